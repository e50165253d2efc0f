#include "api/table.h"

#include "api/capabilities.h"
#include "api/checks/checks.h"

namespace kling::api {
namespace {

// Parameters that several endpoints share.

Param prompt(const char* doc) {
  return {.name = "prompt",
          .rule = {.max_chars = 2500, .warn_chars = 500},
          .doc = std::string(doc) +
                 " At most 2500 characters; CometAPI documents 500, so more is a warning."};
}

Param negative_prompt() {
  return {.name = "negative_prompt",
          .rule = {.max_chars = 2500, .warn_chars = 200},
          .doc = "What to keep out of the video. At most 2500 characters; CometAPI documents 200, "
                 "so more is a warning."};
}

Param model_name(Feature feature, const char* preset, std::vector<std::string> undocumented = {}) {
  std::vector<std::string> models = models_of(feature);
  std::erase_if(models, [&](const std::string& model) {
    return !undocumented.empty() && model == undocumented.front();
  });
  return {.name = "model_name",
          .rule = {.values = std::move(models), .warn_values = std::move(undocumented)},
          .default_value = preset,
          .doc = std::string("The model. ") + preset + " is sent when none is given.",
          .aliases = {"model"}};
}

Param mode(bool with_4k) {
  std::vector<std::string> undocumented;
  if (with_4k) undocumented = {"4k"};
  return {.name = "mode",
          .rule = {.values = {"std", "pro"}, .warn_values = std::move(undocumented)},
          .default_value = "std",
          .doc = "std is faster and cheaper (720p), pro is better (1080p). std is sent when none is "
                 "given."};
}

Param duration(int from, int to, const char* doc) {
  return {.name = "duration",
          .type = Type::seconds,
          .rule = {.minimum = from, .maximum = to},
          .default_value = "5",
          .doc = std::string("Length in seconds. ") + doc + " 5 is sent when none is given."};
}

Param aspect_ratio(std::vector<std::string> undocumented, const char* preset, const char* doc) {
  return {.name = "aspect_ratio",
          .rule = {.values = {"16:9", "9:16", "1:1"}, .warn_values = std::move(undocumented)},
          .default_value = preset,
          .doc = doc};
}

Param cfg_scale(const char* doc) {
  return {.name = "cfg_scale",
          .type = Type::number,
          .rule = {.minimum = 0, .maximum = 1},
          .doc = std::string("How closely the video follows the prompt, 0 to 1. ") + doc};
}

Param picture(std::string name, std::string doc, bool required = false) {
  return {.name = std::move(name),
          .type = Type::image,
          .required = required,
          .doc = std::move(doc) +
                 " A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at "
                 "least 300 pixels, ratio 1:2.5 to 2.5:1."};
}

Param static_mask() {
  return picture("static_mask",
                 "White areas stay frozen; same size as the image. Only kling-v1 and kling-v1-5.");
}

Param dynamic_masks() {
  const Rule whole{.minimum = 0};
  return {.name = "dynamic_masks",
          .type = Type::list,
          .rule = {.max_items = 6},
          .doc = "Motion brush: up to 6 painted areas, each with the path it moves along. Only "
                 "kling-v1 and kling-v1-5, 5 s.",
          .children = {
              picture("mask", "The painted area; same size as the image.", true),
              {.name = "trajectories",
               .type = Type::list,
               .required = true,
               .rule = {.min_items = 2, .max_items = 77},
               .doc = "The path: 2 to 77 points in pixels from the bottom left, the first the start.",
               .children = {{.name = "x",
                             .type = Type::integer,
                             .required = true,
                             .rule = whole,
                             .doc = "Pixels from the left."},
                            {.name = "y",
                             .type = Type::integer,
                             .required = true,
                             .rule = whole,
                             .doc = "Pixels from the bottom."}}}}};
}

Param camera_control() {
  std::vector<Param> axes;
  const auto axis = [&](const char* name, const char* doc) {
    axes.push_back({.name = name,
                    .type = Type::number,
                    .rule = {.minimum = -10, .maximum = 10},
                    .doc = std::string(doc) + " -10 to 10."});
  };
  axis("horizontal", "Moves left (negative) or right.");
  axis("vertical", "Moves down (negative) or up.");
  axis("pan", "Turns left (negative) or right; older documents say down or up.");
  axis("tilt", "Turns down (negative) or up; older documents say left or right.");
  axis("roll", "Rolls counter-clockwise (negative) or clockwise.");
  axis("zoom", "Narrower (negative) or wider view.");
  return {.name = "camera_control",
          .type = Type::object,
          .doc = "A camera movement. text2video: only kling-v1, std, 5 s; image2video: only "
                 "kling-v1-5, pro, 5 s, type simple.",
          .children = {{.name = "type",
                        .required = true,
                        .rule = {.values = {"simple", "down_back", "forward_up",
                                            "right_turn_forward", "left_turn_forward"}},
                        .doc = "A preset, or simple with one value in config."},
                       {.name = "config",
                        .type = Type::object,
                        .doc = "For type simple: exactly one of the six values is not zero.",
                        .children = std::move(axes)}}};
}

std::vector<Param> shots() {
  return {
      {.name = "multi_shot",
       .type = Type::boolean,
       .doc = "One clip of several shots (kling-v3, kling-v3-omni)."},
      {.name = "shot_type",
       .rule = {.values = {"customize", "intelligence"}},
       .doc = "With multi_shot: customize takes multi_prompt, intelligence cuts the prompt by itself."},
      {.name = "multi_prompt",
       .type = Type::list,
       .rule = {.min_items = 1, .max_items = 6},
       .doc = "The shots, 1 to 6; their lengths add up to duration.",
       .children = {{.name = "prompt",
                     .required = true,
                     .rule = {.max_chars = 512},
                     .doc = "The shot, at most 512 characters."},
                    {.name = "duration",
                     .type = Type::seconds,
                     .required = true,
                     .rule = {.minimum = 1, .maximum = 15},
                     .doc = "Seconds of this shot, at least 1."},
                    {.name = "index",
                     .type = Type::integer,
                     .doc = "1, 2, 3, …; filled in when no shot has one."}}}};
}

Param sound() {
  return {.name = "sound",
          .rule = {.values = {"on", "off"}},
          .doc = "on makes sound too: kling-v2-6 (pro), kling-v3, kling-v3-omni without a video."};
}

Param voice_list() {
  return {.name = "voice_list",
          .type = Type::list,
          .rule = {.max_items = 2},
          .doc = "Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = \"on\" "
                 "and kling-v2-6.",
          .children = {{.name = "voice_id", .required = true, .doc = "Id of a voice."}}};
}

Param element_list(std::size_t most) {
  return {.name = "element_list",
          .type = Type::list,
          .rule = {.max_items = most},
          .doc = "Registered elements, as <<<element_1>>> … in the prompt.",
          .children = {{.name = "element_id",
                        .type = Type::integer,
                        .required = true,
                        .doc = "Id of an element; write it as text, it may exceed 2^53."}}};
}

Param watermark_info() {
  return {.name = "watermark_info",
          .type = Type::object,
          .doc = "Asks for a second, watermarked video.",
          .children = {{.name = "enabled",
                        .type = Type::boolean,
                        .required = true,
                        .doc = "true: with watermark."}}};
}

void append(std::vector<Param>& params, std::vector<Param> more) {
  for (Param& param : more) params.push_back(std::move(param));
}

void append_common(std::vector<Param>& params) {
  append(params, {watermark_info(),
                  {.name = "callback_url",
                   .doc = "An https address that the service calls at every change of status."},
                  {.name = "external_task_id",
                   .doc = "Your own id, unique in your account. We choose one when none is given; "
                          "it is how a lost answer is found again."}});
}

Endpoint text2video() {
  Endpoint endpoint{.name = "text2video",
                    .kind = "text2video",
                    .doc = "A video from a prompt.",
                    .checks = text2video_checks()};
  endpoint.params = {
      prompt("What the video shows."),
      negative_prompt(),
      model_name(Feature::text2video, "kling-v2-6"),
      mode(true),
      duration(3, 15, "5 or 10; kling-v3: 3 to 15."),
      aspect_ratio({"4:3", "3:4", "3:2", "2:3"}, "",
                   "Width to height; the service takes 16:9 when none is given. CometAPI also "
                   "lists 4:3, 3:4, 3:2 and 2:3, which Kling does not: a warning."),
      cfg_scale("Not supported by kling-v2 models."),
      camera_control(),
      sound(),
      voice_list()};
  append(endpoint.params, shots());
  append_common(endpoint.params);
  return endpoint;
}

Endpoint image2video() {
  Endpoint endpoint{.name = "image2video",
                    .kind = "image2video",
                    .doc = "A video that starts from a picture; it has the picture's ratio.",
                    .checks = image2video_checks()};
  endpoint.params = {picture("image", "The first frame. Needed unless image_tail is given."),
                     picture("image_tail", "The last frame."),
                     prompt("What moves, and how."),
                     negative_prompt(),
                     model_name(Feature::image2video, "kling-v2-6"),
                     mode(true),
                     duration(3, 15, "5 or 10; kling-v3: 3 to 15."),
                     cfg_scale("Not supported by kling-v2 models."),
                     static_mask(),
                     dynamic_masks(),
                     camera_control(),
                     sound(),
                     voice_list(),
                     element_list(3)};
  append(endpoint.params, shots());
  append_common(endpoint.params);
  return endpoint;
}

Endpoint multi_image2video() {
  Endpoint endpoint{.name = "multi_image2video",
                    .kind = "multi-image2video",
                    .doc = "A video in which the subjects of up to four pictures meet.",
                    .checks = multi_image2video_checks()};
  Param text = prompt("What happens.");
  text.required = true;
  Param image = picture("image", "A picture, already cut to its subject.", true);
  image.aliases = {"image_url"};
  endpoint.params = {
      {.name = "image_list",
       .type = Type::list,
       .required = true,
       .rule = {.max_items = 4},
       .doc = "2 to 4 pictures; Kling's own documents allow 1 too, so 1 is a warning.",
       .children = {std::move(image)}},
      std::move(text),
      negative_prompt(),
      model_name(Feature::multi_image2video, "kling-v1-6"),
      mode(false),
      duration(5, 10, "5 or 10."),
      aspect_ratio({}, "", "Width to height; the service takes 16:9 when none is given."),
      cfg_scale("Only CometAPI's page lists it here: a warning."),
      static_mask(),
      dynamic_masks()};
  append_common(endpoint.params);
  return endpoint;
}

Endpoint omni() {
  Endpoint endpoint{.name = "omni",
                    .kind = "omni-video",
                    .doc = "A video from a prompt with pictures, elements and a video to refer to.",
                    .aliases = {"omni_video"},
                    .checks = omni_checks()};
  Param text{.name = "prompt",
             .rule = {.max_chars = 2500},
             .doc = "What the video shows, with <<<image_1>>>, <<<element_1>>> and <<<video_1>>> "
                    "for what the lists hold. At most 2500 characters."};
  Param image = picture("image_url", "A picture.", true);
  image.aliases = {"image"};
  endpoint.params = {
      std::move(text),
      model_name(Feature::omni, "kling-video-o1", {"kling-v3-omni"}),
      {.name = "image_list",
       .type = Type::list,
       .rule = {.max_items = 7},
       .doc = "Pictures to refer to. With elements at most 7 in all, 4 when there is a video.",
       .children = {std::move(image),
                    {.name = "type",
                     .rule = {.values = {"first_frame", "end_frame"}},
                     .doc = "Makes the picture the first or the last frame."}}},
      element_list(7),
      {.name = "video_list",
       .type = Type::list,
       .rule = {.max_items = 1},
       .doc = "One video to edit or to refer to.",
       .children = {{.name = "video_url",
                     .type = Type::video,
                     .required = true,
                     .doc = "A URL or a Clip: MP4 or MOV, 3 to 10 s, 720 to 2160 pixels, 24 to 60 "
                            "frames a second, at most 200 MB.",
                     .aliases = {"video"}},
                    {.name = "refer_type",
                     .rule = {.values = {"base", "feature"}},
                     .doc = "base (the service's default) edits the video, feature takes its style."},
                    {.name = "keep_original_sound",
                     .rule = {.values = {"yes", "no"}},
                     .doc = "Whether the video's sound is kept."}}},
      mode(true),
      aspect_ratio({}, "16:9",
                   "Width to height. 16:9 is sent when none is given and neither a first frame nor "
                   "a video to edit sets it."),
      duration(3, 15,
               "kling-video-o1: 3 to 10; kling-v3-omni: 3 to 15. Not sent when a video is edited."),
      sound()};
  append(endpoint.params, shots());
  append_common(endpoint.params);
  return endpoint;
}

}  // namespace

std::vector<Endpoint> make_endpoints() {
  std::vector<Endpoint> rows = {text2video(), image2video(), multi_image2video(), omni()};
  for (Endpoint& row : rows) row.path = "/kling/v1/videos/" + row.kind;
  return rows;
}

}  // namespace kling::api
