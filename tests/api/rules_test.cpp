// One row a rule: a request that passes it and one that it catches.
#include <doctest/doctest.h>

#include "api/support.h"

using namespace kling;
using namespace kling::api;
using namespace kling::api::test;

namespace {

struct RuleCase {
  const char* endpoint;
  const char* id;
  Finding::Level level;
  std::string passes;  ///< a patch of the smallest request
  std::string fails;
  const char* says;  ///< part of the message
};

constexpr auto kError = Finding::Level::error;
constexpr auto kWarning = Finding::Level::warning;

std::string text_field(const char* name, std::size_t length, const char* unit = "é") {
  std::string value;
  for (std::size_t i = 0; i < length; ++i) value += unit;
  return Json::object({{name, value}}).dump();
}

std::string repeated(const char* item, int count) {
  std::string list;
  for (int i = 0; i < count; ++i) list += std::string(i == 0 ? "" : ",") + item;
  return "[" + list + "]";
}

const char* const kShots =
    R"({"model_name":"kling-v3","multi_shot":true,"shot_type":"customize","prompt":null,
        "multi_prompt":[{"prompt":"a","duration":2},{"prompt":"b","duration":3}]})";

const std::vector<RuleCase>& cases() {
  static const std::string mask = R"("static_mask":"https://e.com/m.png")";
  static const std::vector<RuleCase> rows = {
      // types
      {"text2video", "field.unknown", kError, R"({"prompt":"x"})", R"({"promt":"x"})",
       "no field promt"},
      {"text2video", "field.twice", kError, R"({"model":"kling-v3"})",
       R"({"model":"kling-v3","model_name":"kling-v3"})", "the same field"},
      {"text2video", "prompt.type", kError, R"({"prompt":"x"})", R"({"prompt":5})",
       "prompt must be text, got 5"},
      {"text2video", "cfg_scale.type", kError, R"({"cfg_scale":0.5})", R"({"cfg_scale":"much"})",
       "cfg_scale must be a number, got \"much\""},
      {"text2video", "multi_shot.type", kError, R"({"multi_shot":false})", R"({"multi_shot":"no"})",
       "true or false"},
      {"text2video", "duration.type", kError, R"({"duration":"10"})", R"({"duration":5.5})",
       "whole seconds"},
      {"text2video", "camera_control.type", kError, R"({})", R"({"camera_control":"zoom"})",
       "a table"},
      {"omni", "element_id.type", kError, R"({"element_list":["12"]})",
       R"({"element_list":[8.613091981880197e17]})", "whole number"},
      {"image2video", "image.type", kError, R"({})", R"({"image":true})", "a picture"},
      {"omni", "image_list.empty_item", kError, R"({"image_list":["https://e.com/a.png"]})",
       R"({"image_list":["https://e.com/a.png",""]})", "image_list[2] is empty"},
      {"image2video", "media.url", kError, R"({"image":{"url":"https://e.com/a.png","id":"hero"}})",
       R"({"image":{"url":"a.png"}})", "no http address"},
      {"image2video", "media.base64", kError, R"({"image":"data:image/png;base64,iVBORw0KGgo="})",
       R"({"image":"data:image/png,abc"})", "without Base64"},
      {"omni", "media.video_url", kError, R"({"video_list":["https://e.com/a.mp4"]})",
       R"({"video_list":["a.mp4"]})", "the service takes videos by URL only"},

      // each row of the table
      {"text2video", "prompt.length", kError, text_field("prompt", 500), text_field("prompt", 2501),
       "prompt has 2501 characters; the limit is 2500"},
      {"text2video", "prompt.length", kWarning, text_field("prompt", 500, "😀"),
       text_field("prompt", 501), "501 characters; the limit is 500"},
      {"omni", "prompt.length", kError, text_field("prompt", 2500), text_field("prompt", 2501),
       "2500"},
      {"image2video", "negative_prompt.length", kWarning, text_field("negative_prompt", 200),
       text_field("negative_prompt", 201), "limit is 200"},
      {"image2video", "negative_prompt.length", kError, text_field("negative_prompt", 200),
       text_field("negative_prompt", 2501), "limit is 2500"},
      {"text2video", "prompt.required", kError, R"({})", R"({"prompt":null})", "prompt is missing"},
      {"text2video", "prompt.required", kError, R"({})", R"({"prompt":""})", "prompt is missing"},
      {"omni", "prompt.required", kError, R"({})", R"({"prompt":null})", "prompt is missing"},
      {"multi_image2video", "prompt.required", kError, R"({})", R"({"prompt":null})",
       "prompt is missing"},
      {"image2video", "prompt.required", kWarning, R"({})", R"({"prompt":null})",
       "prompt is missing"},
      {"text2video", "aspect_ratio.value", kError, R"({"aspect_ratio":"9:16"})",
       R"({"aspect_ratio":"16x9"})", "\"16x9\" is not one of: 16:9"},
      {"text2video", "aspect_ratio.value", kWarning, R"({"aspect_ratio":"1:1"})",
       R"({"aspect_ratio":"3:2"})", "only one"},
      {"omni", "aspect_ratio.value", kError, R"({"aspect_ratio":"1:1"})",
       R"({"aspect_ratio":"3:2"})", "not one of"},
      {"text2video", "mode.value", kError, R"({"mode":"pro"})", R"({"mode":"turbo"})", "std, pro"},
      {"text2video", "mode.value", kError, R"({"model":"kling-v3","mode":"4k"})",
       R"({"mode":"8k"})", "std, pro, 4k"},
      {"multi_image2video", "mode.value", kError, R"({"mode":"pro"})", R"({"mode":"4k"})",
       "std, pro"},
      {"text2video", "model_name.value", kError, R"({"model_name":"kling-v2-5-turbo"})",
       R"({"model_name":"kling-v26"})", "not one of"},
      {"text2video", "model_name.value", kError, R"({"model_name":"kling-v1"})",
       R"({"model_name":"kling-v1-5"})", "not one of"},
      {"omni", "model_name.value", kError, R"({"model_name":"kling-v3-omni"})",
       R"({"model_name":"kling-v3"})", "kling-video-o1, kling-v3-omni"},
      {"text2video", "cfg_scale.range", kError, R"({"cfg_scale":1})", R"({"cfg_scale":1.5})",
       "cfg_scale = 1.5; the limit is at most 1"},
      {"text2video", "duration.range", kError, R"({"duration":5})", R"({"duration":99})",
       "duration = 99; the limit is at most 15 seconds"},
      {"multi_image2video", "image_list.count", kError, R"({})",
       "{\"image_list\":" + repeated("\"https://e.com/a.png\"", 5) + "}", "at most 4"},
      {"multi_image2video", "image_list.required", kError, R"({})", R"({"image_list":null})",
       "image_list is missing"},
      {"multi_image2video", "image_list.single", kWarning, R"({})",
       R"({"image_list":["https://e.com/a.png"]})", "has 1 picture"},
      {"multi_image2video", "image.required", kError, R"({})", R"({"image_list":[{"image":""}]})",
       "image_list[1]"},
      {"omni", "video_list.count", kError, R"({"video_list":["https://e.com/a.mp4"]})",
       R"({"video_list":["https://e.com/a.mp4","https://e.com/b.mp4"]})", "at most 1"},
      {"omni", "refer_type.value", kError,
       R"({"video_list":[{"video":"https://e.com/a.mp4","refer_type":"base"}]})",
       R"({"video_list":[{"video":"https://e.com/a.mp4","refer_type":"style"}]})", "base, feature"},
      {"omni", "keep_original_sound.value", kError,
       R"({"video_list":[{"video":"https://e.com/a.mp4","keep_original_sound":"yes"}]})",
       R"({"video_list":[{"video":"https://e.com/a.mp4","keep_original_sound":"on"}]})", "yes, no"},
      {"text2video", "type.required", kError, R"({"camera_control":{"type":"down_back"}})",
       R"({"camera_control":{"config":{"zoom":1}}})", "camera_control.type is missing"},
      {"text2video", "enabled.type", kError, R"({"watermark_info":{"enabled":true}})",
       R"({"watermark_info":{"enabled":"yes"}})", "true or false"},
      {"text2video", "callback_url.form", kError, R"({"callback_url":"https://e.com/hook"})",
       R"({"callback_url":"e.com/hook"})", "no http address"},
      {"text2video", "callback_url.form", kWarning, R"({"callback_url":""})",
       R"({"callback_url":"http://e.com/hook"})", "not https"},

      // model x mode x duration
      {"text2video", "model.offer", kError, R"({"duration":10})", R"({"duration":7})",
       "kling-v2-6 makes no clips of 7 s"},
      {"text2video", "model.offer", kError, R"({"duration":15,"model":"kling-v3"})",
       R"({"mode":"4k"})", "no mode 4k"},
      {"omni", "model.offer", kError, R"({"duration":10})", R"({"duration":12})", "12 s"},
      {"omni", "model.offer", kError, R"({"duration":12,"model":"kling-v3-omni"})",
       R"({"duration":11})", "11 s"},
      {"text2video", "model.retired", kWarning, R"({})", R"({"model":"kling-v1-6"})", "2026-09-15"},
      {"text2video", "cfg_scale.model", kWarning, R"({"model":"kling-v3","cfg_scale":0.5})",
       R"({"cfg_scale":0.5})", "kling-v2-6"},
      {"omni", "duration.o1", kWarning, R"({"duration":7,"image_list":["https://e.com/a.png"]})",
       R"({"duration":7})", "5 or 10"},

      // camera_control
      {"text2video", "camera_control.model", kError,
       R"({"model":"kling-v1","camera_control":{"type":"down_back"}})",
       R"({"camera_control":{"type":"down_back"}})", "kling-v2-6, mode std, 5 s"},
      {"image2video", "camera_control.model", kError,
       R"({"model":"kling-v1-5","mode":"pro","camera_control":{"type":"simple","config":{"pan":1}}})",
       R"({"model":"kling-v1-5","camera_control":{"type":"simple","config":{"pan":1}}})",
       "mode std"},
      {"text2video", "camera_control.shape", kError,
       R"({"camera_control":{"type":"simple","config":{"zoom":5,"pan":0}}})",
       R"({"camera_control":{"type":"simple","config":{"zoom":5,"pan":1}}})", "exactly 1"},
      {"text2video", "camera_control.shape", kError, R"({"camera_control":{"type":"forward_up"}})",
       R"({"camera_control":{"type":"forward_up","config":{"zoom":1}}})", "simple only"},
      {"text2video", "camera_control.shape", kError, R"({})",
       R"({"camera_control":{"type":"simple"}})", "needs a config"},
      {"text2video", "camera_control.shape", kWarning, R"({})",
       R"({"camera_control":{"type":"simple","config":{"zoom":0}}})", "moves nothing"},
      {"text2video", "zoom.range", kError,
       R"({"camera_control":{"type":"simple","config":{"zoom":-10}}})",
       R"({"camera_control":{"type":"simple","config":{"zoom":-11}}})", "at least -10"},
      {"text2video", "type.value", kError, R"({"camera_control":{"type":"down_back"}})",
       R"({"camera_control":{"type":"downback"}})", "not one of"},
      {"image2video", "camera_control.simple", kError,
       R"({"camera_control":{"type":"simple","config":{"pan":1}}})",
       R"({"camera_control":{"type":"down_back"}})", "simple only"},

      // image2video
      {"image2video", "image.required", kError, R"({})", R"({"image":null})", "image is missing"},
      {"image2video", "image.required", kWarning, R"({})",
       R"({"image":null,"image_tail":"https://e.com/t.png"})", "CometAPI"},
      {"image2video", "image.controls", kError, R"({"image_tail":"https://e.com/t.png"})",
       R"({"image_tail":"https://e.com/t.png",)" + mask + "}", "exclude each other"},
      {"image2video", "image_tail.model", kError,
       R"({"mode":"pro","image_tail":"https://e.com/t.png"})",
       R"({"image_tail":"https://e.com/t.png"})", "kling-v2-6, mode std"},
      {"image2video", "image_tail.alone", kError,
       R"({"image":null,"model":"kling-v1-6","mode":"pro","image_tail":"https://e.com/t.png"})",
       R"({"image":null,"mode":"pro","image_tail":"https://e.com/t.png"})", "kling-v2-6"},
      {"image2video", "image_tail.sound", kError,
       R"({"mode":"pro","image_tail":"https://e.com/t.png","sound":"off"})",
       R"({"mode":"pro","image_tail":"https://e.com/t.png","sound":"on"})", "silent"},
      {"image2video", "static_mask.model", kError, R"({"model":"kling-v1",)" + mask + "}",
       "{" + mask + "}", "static_mask does not work with kling-v2-6"},
      {"image2video", "dynamic_masks.model", kError,
       R"({"model":"kling-v1-5","mode":"pro","dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":[{"x":1,"y":2},{"x":3,"y":4}]}]})",
       R"({"dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":[{"x":1,"y":2},{"x":3,"y":4}]}]})",
       "dynamic_masks"},
      {"image2video", "dynamic_masks.count", kError, R"({})",
       R"({"dynamic_masks":)" + repeated(R"({"mask":"https://e.com/m.png"})", 7) + "}",
       "at most 6"},
      {"image2video", "trajectories.required", kError, R"({})",
       R"({"dynamic_masks":["https://e.com/m.png"]})", "dynamic_masks[1].trajectories"},
      {"image2video", "trajectories.count", kError,
       R"({"dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":)" +
           repeated(R"({"x":1,"y":1})", 77) + "}]}",
       R"({"dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":)" +
           repeated(R"({"x":1,"y":1})", 78) + "}]}",
       "at most 77"},
      {"image2video", "trajectories.count", kError, R"({})",
       R"({"dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":[{"x":1,"y":1}]}]})",
       "at least 2"},
      {"image2video", "x.range", kError, R"({})",
       R"({"dynamic_masks":[{"mask":"https://e.com/m.png","trajectories":[{"x":-1,"y":1}]}]})",
       "trajectories[1].x"},
      {"image2video", "element_list.model", kError, R"({"model":"kling-v3","element_list":["7"]})",
       R"({"element_list":["7"]})", "element_list does not work with kling-v2-6"},
      {"image2video", "element_list.count", kError, R"({"element_list":[1,2,3]})",
       R"({"element_list":[1,2,3,4]})", "at most 3"},
      {"image2video", "element_list.voices", kError, R"({"element_list":["7"]})",
       R"({"element_list":["7"],"voice_list":["v"]})", "exclude"},
      {"multi_image2video", "cfg_scale.document", kWarning, R"({})", R"({"cfg_scale":0.5})",
       "CometAPI only"},
      {"multi_image2video", "static_mask.document", kWarning, R"({})", "{" + mask + "}",
       "CometAPI only"},
      {"multi_image2video", "dynamic_masks.document", kWarning, R"({})",
       R"({"dynamic_masks":["https://e.com/m.png"]})", "CometAPI only"},

      // sound and voices
      {"text2video", "sound.model", kError, R"({"sound":"on","mode":"pro"})", R"({"sound":"on"})",
       "sound does not work with kling-v2-6, mode std"},
      {"text2video", "sound.value", kError, R"({"sound":"off"})", R"({"sound":"yes"})", "on, off"},
      {"text2video", "voice_list.sound", kError,
       R"({"voice_list":["v"],"sound":"on","mode":"pro"})", R"({"voice_list":["v"],"mode":"pro"})",
       "needs sound"},
      {"text2video", "voice_list.model", kError,
       R"({"voice_list":["v"],"sound":"on","mode":"pro"})",
       R"({"voice_list":["v"],"sound":"on","model":"kling-v3"})", "kling-v3"},
      {"text2video", "voice_list.count", kError, R"({"voice_list":["a","b"]})",
       R"({"voice_list":["a","b","c"]})", "at most 2"},
      {"omni", "sound.model", kError, R"({"sound":"on","model":"kling-v3-omni"})",
       R"({"sound":"on"})", "kling-video-o1"},
      {"omni", "sound.video", kError, R"({"sound":"off","video_list":["https://e.com/a.mp4"]})",
       R"({"sound":"on","video_list":["https://e.com/a.mp4"]})", "not supported with a video"},

      // several shots
      {"text2video", "shots.off", kError, kShots,
       R"({"multi_prompt":[{"prompt":"a","duration":5}]})", "only with multi_shot"},
      {"text2video", "shots.type", kError, kShots, R"({"multi_shot":true})", "needs a shot_type"},
      {"text2video", "shots.prompts", kError, kShots,
       R"({"multi_shot":true,"shot_type":"customize"})", "needs multi_prompt"},
      {"text2video", "shots.model", kError, kShots,
       R"({"multi_shot":true,"shot_type":"intelligence"})", "multi_shot does not work"},
      {"text2video", "shots.prompt", kWarning, kShots,
       R"({"prompt":"x","multi_shot":true,"shot_type":"customize","multi_prompt":[{"prompt":"a","duration":5}]})",
       "ignored"},
      {"text2video", "shots.order", kError, kShots,
       R"({"multi_prompt":[{"prompt":"a","duration":2,"index":1},{"prompt":"b","duration":3,"index":3}]})",
       "multi_prompt[2].index is 3; it has to be 2"},
      {"text2video", "shots.sum", kError, kShots,
       R"({"duration":10,"multi_shot":true,"shot_type":"customize","multi_prompt":[{"prompt":"a","duration":5}]})",
       "last 5 s, but duration is 10"},
      {"text2video", "multi_prompt.count", kError, kShots,
       R"({"multi_prompt":)" + repeated(R"({"prompt":"a","duration":1})", 7) + "}", "at most 6"},
      {"text2video", "prompt.length", kError, kShots,
       "{\"multi_prompt\":[" + text_field("prompt", 513) + "]}",
       "513 characters; the limit is 512"},
      {"text2video", "duration.range", kError, kShots,
       R"({"multi_prompt":[{"prompt":"a","duration":0}]})", "at least 1"},
      {"text2video", "shot_type.value", kError, kShots, R"({"shot_type":"custom"})", "customize"},
      {"omni", "shots.end_frame", kError,
       R"({"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"}]})",
       R"({"multi_shot":true,"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"}]})",
       "no end frame"},
      {"omni", "shots.intelligence", kWarning, R"({"multi_shot":true,"shot_type":"customize"})",
       R"({"multi_shot":true,"shot_type":"intelligence"})", "not to work"},

      // omni
      {"omni", "image_list.frames", kError,
       R"({"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"}]})",
       R"({"image_list":[{"image":"https://e.com/b.png","type":"end_frame"}]})", "first frame"},
      {"omni", "image_list.frames", kError, R"({"image_list":["https://e.com/a.png"]})",
       R"({"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"first_frame"}]})",
       "2 first frames"},
      {"omni", "image_list.o1_end_frame", kError,
       R"({"model":"kling-v3-omni","image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"},"https://e.com/c.png"]})",
       R"({"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"},"https://e.com/c.png"]})",
       "3 pictures"},
      {"omni", "image_list.base", kError,
       R"({"video_list":[{"video_url":"https://e.com/a.mp4","refer_type":"feature"}],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"}]})",
       R"({"video_list":["https://e.com/a.mp4"],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"}]})",
       "exclude a video to edit"},
      {"omni", "references.count", kError,
       "{\"image_list\":" + repeated("\"https://e.com/a.png\"", 4) + ",\"element_list\":[1,2,3]}",
       "{\"image_list\":" + repeated("\"https://e.com/a.png\"", 4) + ",\"element_list\":[1,2,3,4]}",
       "are 8 together; the limit is 7"},
      {"omni", "references.count", kError,
       "{\"video_list\":[\"https://e.com/a.mp4\"],\"element_list\":[1,2,3,4]}",
       "{\"video_list\":[\"https://e.com/a.mp4\"],\"element_list\":[1,2,3,4,5]}",
       "the limit is 4 with a video"},
      {"omni", "references.count", kError,
       R"({"element_list":[1,2,3],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"}]})",
       R"({"element_list":[1,2,3,4],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"}]})",
       "3 with a first frame"},
      {"omni", "references.count", kError,
       R"({"model":"kling-v3-omni","element_list":[1],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"}]})",
       R"({"element_list":[1],"image_list":[{"image":"https://e.com/a.png","type":"first_frame"},{"image":"https://e.com/b.png","type":"end_frame"}]})",
       "0 with first and end frame"},
      {"omni", "image_list.count", kError, R"({})",
       "{\"image_list\":" + repeated("\"https://e.com/a.png\"", 8) + "}", "at most 7"},
      {"omni", "duration.video", kError,
       R"({"model":"kling-v3-omni","duration":10,"video_list":[{"video":"https://e.com/a.mp4","refer_type":"feature"}]})",
       R"({"model":"kling-v3-omni","duration":12,"video_list":[{"video":"https://e.com/a.mp4","refer_type":"feature"}]})",
       "at most 10"},
      {"omni", "duration.video", kWarning, R"({"video_list":["https://e.com/a.mp4"]})",
       R"({"duration":5,"video_list":["https://e.com/a.mp4"]})", "ignored"},

      // references
      {"omni", "prompt.references", kError,
       R"({"prompt":"<<<image_1>>>","image_list":["https://e.com/a.png"]})",
       R"({"prompt":"<<<image_2>>> and <<<image_1>>>","image_list":["https://e.com/a.png"]})",
       "refers to <<<image_2>>>, but 1 image is given"},
      {"omni", "prompt.references", kError, R"({"prompt":"<<<element_1>>>","element_list":["9"]})",
       R"({"prompt":"<<<element_0>>>","element_list":["9"]})", "<<<element_0>>>, but 1 element"},
      {"omni", "prompt.references", kError,
       R"({"prompt":"<<<video_1>>>","video_list":["https://e.com/a.mp4"]})",
       R"({"prompt":"<<<video_1>>>"})", "0 videos are given"},
      {"text2video", "prompt.references", kError,
       R"({"prompt":"<<<voice_1>>>","voice_list":["v"],"sound":"on","mode":"pro"})",
       R"({"prompt":"<<<voice_1>>>"})", "0 voices are given"},
      {"omni", "prompt.references", kError, kShots,
       R"({"multi_prompt":[{"prompt":"<<<image_1>>>","duration":5}]})", "0 images are given"},
      {"text2video", "prompt.value", kError, R"({"prompt":"a table: 0x of them"})",
       R"({"prompt":"a table: 0x55d0c0de1234"})", "a table stands in the prompt"},
      {"text2video", "prompt.hole", kWarning, R"({"prompt":"50 % grey, {image_1} and a { b }"})",
       R"({"prompt":"Shot ${n}"})", "${n} stands in the prompt as it is"},
      {"omni", "prompt.reference_form", kWarning, R"({"prompt":"a <<< b"})",
       R"({"prompt":"<<<image1>>>"})", "<<<image1>>> is no reference"},
  };
  return rows;
}

/// A request whose pictures carry these sizes, in the order they are written.
std::vector<Finding> with_facts(std::string_view endpoint, std::string_view patch,
                                const std::vector<ImageFacts>& facts, bool strict = false) {
  Request request = request_with(endpoint, patch);
  request.strict = strict;
  const Endpoint& row = *find_endpoint(endpoint);
  REQUIRE(normalize(row, request).empty());
  CHECK(find(check(row, request), "image.pixels") == nullptr);
  REQUIRE(request.media.size() == facts.size());
  for (std::size_t i = 0; i < facts.size(); ++i) request.media[i].facts = facts[i];
  return check(row, request);
}

}  // namespace

TEST_CASE("every rule passes what it allows and catches what it forbids") {
  for (const RuleCase& row : cases()) {
    CAPTURE(row.endpoint);
    CAPTURE(row.id);
    CAPTURE(row.fails);
    Request passing = request_with(row.endpoint, row.passes);
    const auto none = findings_of(passing);
    CHECK_MESSAGE(find(none, row.id) == nullptr, listed(none));

    Request failing = request_with(row.endpoint, row.fails);
    const auto some = findings_of(failing);
    const Finding* finding = find(some, row.id);
    REQUIRE_MESSAGE(finding != nullptr, listed(some));
    CHECK(finding->level == row.level);
    CHECK_MESSAGE(finding->message.find(row.says) != std::string::npos, finding->message);
    CHECK(!finding->hint.empty());
    CHECK(!finding->field.empty());
  }
}

TEST_CASE("every cross field check of the table has a row above") {
  for (const Endpoint& endpoint : endpoints())
    for (const Check& rule : endpoint.checks) {
      const bool known = std::any_of(cases().begin(), cases().end(),
                                     [&](const RuleCase& row) { return row.id == rule.id; });
      CHECK_MESSAGE((known || rule.id == "mask.size"), rule.id);
      CHECK(!rule.sentence.empty());
    }
}

TEST_CASE("pictures are judged by their own facts") {
  const auto one = [](ImageFacts facts) { return with_facts("image2video", "{}", {facts}); };
  CHECK(one({"png", 300, 300, 1000}).empty());
  CHECK(one({"jpeg", 1000, 400, 10'000'000}).empty());
  CHECK(find(one({"png", 200, 200, 1000}), "image.pixels")->message ==
        "image is 200x200 pixels; the limit is at least 300 on each side");
  CHECK(find(one({"png", 1001, 400, 1000}), "image.ratio")->level == kError);
  CHECK(find(one({"png", 400, 1001, 1000}), "image.ratio") != nullptr);
  CHECK(find(one({"", 0, 0, 1000}), "image.format")->message.find("neither") != std::string::npos);
  CHECK(find(one({"png", 400, 400, 10'485'761}), "image.bytes")->level == kError);
  CHECK(find(one({"png", 400, 400, 10'485'760}), "image.bytes")->level == kWarning);
  const auto tail = with_facts("image2video", R"({"mode":"pro","image_tail":"t.png"})",
                               {{"png", 400, 400, 9}, {"png", 1200, 400, 9}});
  CHECK(find(tail, "image_tail.ratio")->level == kWarning);
}

TEST_CASE("masks have the size of the picture where both are local") {
  const char* patch = R"({"model":"kling-v1","image":"a.png","static_mask":"m.png",
      "dynamic_masks":[{"mask":"d.png","trajectories":[{"x":1,"y":2},{"x":3,"y":4}]}]})";
  const ImageFacts wide{"png", 640, 480, 9};
  const ImageFacts other{"png", 640, 481, 9};
  // The pictures are found in the order of the fields' names: dynamic_masks, image, static_mask.
  CHECK(find(with_facts("image2video", patch, {wide, wide, wide}), "mask.size") == nullptr);
  CHECK(find(with_facts("image2video", patch, {other, wide, wide}), "mask.size")->message ==
        "dynamic_masks[1].mask is 640x481 pixels, but image is 640x480");
  CHECK(find(with_facts("image2video", patch, {wide, wide, other}), "mask.size")->field ==
        "static_mask");
  CHECK(find(with_facts("multi_image2video", R"({"static_mask":"m.png"})", {wide, wide, other}),
             "mask.size") != nullptr);
}

TEST_CASE("the service's values of today are plain values") {
  const std::pair<const char*, const char*> plain[] = {
      {"omni", R"({"model":"kling-v3-omni"})"},
      {"omni", R"({"model":"kling-v3-omni","mode":"4k","sound":"on","duration":15})"},
      {"text2video", R"({"model":"kling-v3","sound":"on"})"},
      {"text2video", R"({"model":"kling-v3","mode":"4k"})"},
      {"image2video", R"({"model":"kling-v3","mode":"4k","duration":3})"},
      {"image2video", R"({"model":"kling-v3","multi_shot":true,"shot_type":"customize",
          "prompt":null,"duration":5,"image_tail":"https://e.com/b.png",
          "multi_prompt":[{"prompt":"a","duration":2},{"prompt":"b","duration":3}]})"},
  };
  for (const auto& [endpoint, patch] : plain) {
    Request request = request_with(endpoint, patch);
    request.strict = true;
    const auto findings = findings_of(request);
    CHECK_MESSAGE(findings.empty(), endpoint, " ", patch, "\n", listed(findings));
  }
  Request old = request_with("multi_image2video", "{}");
  const auto findings = findings_of(old);
  REQUIRE(find(findings, "model.retired") != nullptr);
  CHECK(find(findings, "model.retired")->hint.find("omni with the same image_list") !=
        std::string::npos);
  CHECK(find_endpoint("multi_image2video")->doc.find("kling.omni with image_list") !=
        std::string::npos);
}

TEST_CASE("strict makes warnings errors and errors come first") {
  Request request = request_with("text2video", R"({"model":"kling-v1-6","sound":"on"})");
  auto findings = findings_of(request);
  REQUIRE(findings.size() == 2);
  CHECK(findings[0].id == "sound.model");
  CHECK(findings[1].level == kWarning);
  request.strict = true;
  CHECK(check(*find_endpoint("text2video"), request)[1].level == kError);
}

TEST_CASE("what extra holds is neither checked nor missed") {
  const Endpoint& row = *find_endpoint("text2video");
  Request request = request_with("text2video", R"({"prompt":null,"model":"kling-v1"})");
  request.extra = parse_json(R"({"prompt":"","model_name":"kling-v9","duration":"99","mode":"x",
                                 "cfg_scale":7,"sound":"on","camera_control":3})");
  CHECK(normalize(row, request).empty());
  CHECK(check(row, request).empty());
  CHECK(wire_body(row, request) == request.extra);
}

TEST_CASE("the messages of several findings become one error") {
  Request request =
      request_with("text2video", R"({"mode":"pr","sound":"loud","model":"kling-v1"})");
  const auto findings = findings_of(request);
  const kling::Error error = to_error(*find_endpoint("text2video"), findings);
  CHECK(error.kind == kling::Kind::invalid);
  CHECK(error.field == "mode");
  CHECK(error.message ==
        "text2video: 2 fields are wrong\n"
        "  mode = \"pr\" is not one of: std, pro, 4k\n    do: did you mean pro?\n"
        "  sound = \"loud\" is not one of: on, off\n    do: give \"on\" or \"off\"");
  CHECK(error.hint.empty());
  // One picture in two places is told once.
  const Endpoint& multi = *find_endpoint("multi_image2video");
  Request twice;
  twice.fields = parse_json(R"({"prompt":"x","image_list":[{"image":"a"},{"image":"a"}]})");
  REQUIRE(normalize(multi, twice).empty());
  for (MediaInput& input : twice.media) input.facts = read_image_facts("no picture");
  CHECK(to_error(multi, check(multi, twice)).message ==
        "multi_image2video: image_list[1].image is text; the service takes JPEG and PNG pictures "
        "(image_list[2].image too)");
}

TEST_CASE("any structure in the place of a field is survived") {
  for (const RuleCase& row : cases()) {
    const Request request = request_with(row.endpoint, row.passes);
    const Endpoint& endpoint = *find_endpoint(row.endpoint);
    const Json flat = request.fields.flatten();
    for (const auto& [path, unused] : flat.items())
      for (const char* other : {"{}", "[1]", "\"\"", "-1", "1e300", "true", "[[{}]]",
                                "{\"$media\":-1}", "{\"url\":7,\"id\":[]}", "[[],{\"x\":null}]"}) {
        Request changed = request;
        changed.fields[Json::json_pointer(path)] = parse_json(other);
        Request raw = changed;
        CHECK_NOTHROW(check(endpoint, raw));
        CHECK_NOTHROW(findings_of(changed));
        CHECK_NOTHROW(wire_body(endpoint, changed));
      }
  }
}
