// The rows of the endpoint table; use endpoints() of endpoint.h.
#include <algorithm>
#include <iterator>

#include "api/checks/checks.h"

namespace kling::api {
namespace {

using Words = std::vector<std::string>;

Rule any_of(Words values, Words undocumented = {}) {
  return {.values = std::move(values), .warn_values = std::move(undocumented)};
}
Rule between(double low, double high) { return {.minimum = low, .maximum = high}; }
Rule items(std::size_t low, std::size_t high) { return {.min_items = low, .max_items = high}; }

Param row(std::string name, Type type, Rule rule, std::string doc,
          std::vector<Param> children = {}) {
  return {.name = std::move(name),
          .type = type,
          .rule = std::move(rule),
          .doc = std::move(doc),
          .children = std::move(children)};
}
Param needed(Param param) {
  param.required = true;
  return param;
}
Param also_called(std::string alias, Param param) {
  param.aliases.push_back(std::move(alias));
  return param;
}
Param sent_always(std::string value, Param param) {
  param.default_value = std::move(value);
  param.doc += " " + param.default_value + " is sent when none is given.";
  return param;
}

// ---- parameters that several endpoints share

Param prompt(const std::string& doc) {
  return row("prompt", Type::string, {.max_chars = 2500, .warn_chars = 500},
             doc + " At most 2500 characters; CometAPI documents 500, so more is a warning.");
}

Param negative_prompt() {
  return row("negative_prompt", Type::string, {.max_chars = 2500, .warn_chars = 200},
             "What to keep out of the video. At most 2500 characters; CometAPI documents 200, so "
             "more is a warning.");
}

Param model_name(Rule models, const char* preset) {
  return also_called("model", sent_always(preset, row("model_name", Type::string, std::move(models),
                                                      "The model.")));
}

Param mode(Words modes = {"std", "pro", "4k"}) {
  const std::string finest = modes.size() > 2 ? ", 4k only kling-v3 and kling-v3-omni" : "";
  return sent_always("std",
                     row("mode", Type::string, any_of(std::move(modes)),
                         "std is faster and cheaper (720p), pro is better (1080p)" + finest + "."));
}

Param duration(int low, int high, const std::string& doc) {
  return sent_always(
      "5", row("duration", Type::seconds, between(low, high), "Length in seconds: " + doc));
}

Param cfg_scale(const std::string& doc) {
  return row("cfg_scale", Type::number, between(0, 1),
             "How closely the video follows the prompt, 0 to 1. " + doc);
}

Param picture(const char* name, const std::string& doc) {
  return row(name, Type::image, {},
             doc +
                 " A URL, Base64, a path or an Image; JPEG or PNG, at most 10 MiB, each side at "
                 "least 300 pixels, ratio 1:2.5 to 2.5:1.");
}

Param static_mask() {
  return picture("static_mask",
                 "White areas stay frozen; same size as the image. Only kling-v1 and kling-v1-5.");
}

Param dynamic_masks() {
  const auto axis = [](const char* name, const char* doc) {
    return needed(row(name, Type::integer, {.minimum = 0}, doc));
  };
  return row(
      "dynamic_masks", Type::list, items(1, 6),
      "Motion brush: up to 6 painted areas, each with the path it moves along. Only kling-v1 "
      "and kling-v1-5, 5 s.",
      {needed(picture("mask", "The painted area; same size as the image.")),
       needed(row("trajectories", Type::list, items(2, 77),
                  "The path: 2 to 77 points in pixels, the first the start.",
                  {axis("x", "Pixels from the left."), axis("y", "Pixels from the bottom.")}))});
}

Param camera_control() {
  const auto axis = [](const char* name, const char* doc) {
    return row(name, Type::number, between(-10, 10), std::string(doc) + " -10 to 10.");
  };
  return row(
      "camera_control", Type::object, {},
      "A camera movement. text2video: only kling-v1, std, 5 s; image2video: only kling-v1-5, pro, "
      "5 s, type simple.",
      {needed(row(
           "type", Type::string,
           any_of({"simple", "down_back", "forward_up", "right_turn_forward", "left_turn_forward"}),
           "A preset, or simple with one value in config.")),
       row("config", Type::object, {}, "For type simple: exactly one of the values is not zero.",
           {axis("horizontal", "Moves left (negative) or right."),
            axis("vertical", "Moves down (negative) or up."),
            axis("pan", "Turns left (negative) or right; older documents say down or up."),
            axis("tilt", "Turns down (negative) or up; older documents say left or right."),
            axis("roll", "Rolls counter-clockwise (negative) or clockwise."),
            axis("zoom", "Narrower (negative) or wider view.")})});
}

Param sound() {
  return row("sound", Type::string, any_of({"on", "off"}),
             "on makes sound too: kling-v2-6 (pro), kling-v3, kling-v3-omni without a video.");
}

Param voice_list() {
  return row("voice_list", Type::list, items(1, 2),
             "Voices for <<<voice_1>>> and <<<voice_2>>> in the prompt; needs sound = \"on\" and "
             "kling-v2-6.",
             {needed(row("voice_id", Type::string, {}, "Id of a voice."))});
}

Param element_list(std::size_t most) {
  return row("element_list", Type::list, items(1, most),
             "Registered elements, as <<<element_1>>> … in the prompt.",
             {needed(row("element_id", Type::integer, {},
                         "Id of an element; write it as text, it may exceed 2^53."))});
}

std::vector<Param> shots() {
  return {
      row("multi_shot", Type::boolean, {}, "One clip of several shots (kling-v3, kling-v3-omni)."),
      row("shot_type", Type::string, any_of({"customize", "intelligence"}),
          "With multi_shot: customize takes multi_prompt, intelligence cuts the prompt by "
          "itself."),
      row("multi_prompt", Type::list, items(1, 6),
          "The shots, 1 to 6; their lengths add up to duration.",
          {needed(row("prompt", Type::string, {.max_chars = 512},
                      "The shot, at most 512 characters.")),
           needed(
               row("duration", Type::seconds, between(1, 15), "Seconds of this shot, at least 1.")),
           row("index", Type::integer, {}, "1, 2, 3, …; filled in when no shot has one.")})};
}

std::vector<Param> common() {
  return {row("watermark_info", Type::object, {}, "Asks for a second, watermarked video.",
              {needed(row("enabled", Type::boolean, {}, "true: with watermark."))}),
          row("callback_url", Type::string, {},
              "An https address that the service calls at every change of status."),
          row("external_task_id", Type::string, {},
              "Your own id, unique in your account. We choose one when none is given; it is how a "
              "lost answer is found again.")};
}

std::vector<Param> text2video() {
  return {
      prompt("What the video shows."),
      negative_prompt(),
      model_name(any_of(models_of(Feature::text2video)), "kling-v2-6"),
      mode(),
      duration(3, 15, "5 or 10; kling-v3: 3 to 15."),
      row("aspect_ratio", Type::string,
          any_of({"16:9", "9:16", "1:1"}, {"4:3", "3:4", "3:2", "2:3"}),
          "Width to height; the service takes 16:9 when none is given. CometAPI also lists 4:3, "
          "3:4, 3:2 and 2:3, which Kling does not: a warning."),
      cfg_scale("Not supported by kling-v2 models."),
      camera_control(),
      sound(),
      voice_list()};
}

std::vector<Param> image2video() {
  return {picture("image", "The first frame. Needed unless image_tail is given."),
          picture("image_tail", "The last frame."),
          prompt("What moves, and how."),
          negative_prompt(),
          model_name(any_of(models_of(Feature::image2video)), "kling-v2-6"),
          mode(),
          duration(3, 15, "5 or 10; kling-v3: 3 to 15."),
          cfg_scale("Not supported by kling-v2 models."),
          static_mask(),
          dynamic_masks(),
          camera_control(),
          sound(),
          voice_list(),
          element_list(3)};
}

std::vector<Param> multi_image2video() {
  return {needed(row(
              "image_list", Type::list, items(1, 4),
              "2 to 4 pictures; Kling's own documents allow 1 too, so 1 is a warning.",
              {also_called("image_url",
                           needed(picture("image", "A picture, already cut to its subject.")))})),
          needed(prompt("What happens.")),
          negative_prompt(),
          model_name(any_of(models_of(Feature::multi_image2video)), "kling-v1-6"),
          mode({"std", "pro"}),
          duration(5, 10, "5 or 10."),
          row("aspect_ratio", Type::string, any_of({"16:9", "9:16", "1:1"}),
              "Width to height; the service takes 16:9 when none is given."),
          cfg_scale("Only CometAPI's page lists it here: a warning."),
          static_mask(),
          dynamic_masks()};
}

std::vector<Param> omni() {
  return {
      row("prompt", Type::string, {.max_chars = 2500},
          "What the video shows, with <<<image_1>>>, <<<element_1>>> and <<<video_1>>> for what "
          "the "
          "lists hold. At most 2500 characters."),
      model_name(any_of(models_of(Feature::omni)), "kling-video-o1"),
      row("image_list", Type::list, items(1, 7),
          "Pictures to refer to. With elements at most 7 in all, 4 when there is a video.",
          {also_called("image", needed(picture("image_url", "A picture."))),
           row("type", Type::string, any_of({"first_frame", "end_frame"}),
               "Makes the picture the first or the last frame.")}),
      element_list(7),
      row("video_list", Type::list, items(1, 1), "One video to edit or to refer to.",
          {also_called("video",
                       needed(row("video_url", Type::video, {},
                                  "A URL or a Clip: MP4 or MOV, 3 to 10 s, 720 to 2160 pixels, 24 "
                                  "to 60 frames a second, at most 200 MB."))),
           row("refer_type", Type::string, any_of({"base", "feature"}),
               "base (the service's default) edits the video, feature takes its style."),
           row("keep_original_sound", Type::string, any_of({"yes", "no"}),
               "Whether the video's sound is kept.")}),
      mode(),
      sent_always("16:9", row("aspect_ratio", Type::string, any_of({"16:9", "9:16", "1:1"}),
                              "Width to height; a first frame or a video to edit sets it too.")),
      duration(3, 15,
               "kling-video-o1 3 to 10, kling-v3-omni 3 to 15; not sent when a video is edited."),
      sound()};
}

struct EndpointRow {
  const char *name, *alias, *kind, *doc;
  std::vector<Param> (*params)();
};
constexpr EndpointRow kEndpointRows[] = {
    {"text2video", "", "text2video", "A video from a prompt.", text2video},
    {"image2video", "", "image2video",
     "A video that starts from a picture; it has the picture's ratio.", image2video},
    {"multi_image2video", "", "multi-image2video",
     "A video in which the subjects of up to four pictures meet. Its only model was announced as "
     "retired on 2026-09-15; kling.omni with image_list is the living way.",
     multi_image2video},
    {"omni", "omni_video", "omni-video",
     "A video from a prompt with pictures, elements and a video to refer to.", omni},
};

}  // namespace

const char* function_name(std::size_t index) {
  for (const EndpointRow& row : kEndpointRows)
    for (const char* name : {row.name, row.alias})
      if (*name != '\0' && index-- == 0) return name;
  return nullptr;
}

std::vector<Endpoint> make_endpoints() {
  std::vector<Endpoint> rows;
  for (const EndpointRow& row : kEndpointRows) {
    rows.push_back({.name = row.name, .kind = row.kind, .doc = row.doc, .params = row.params()});
    if (*row.alias != '\0') rows.back().aliases = {row.alias};
  }
  for (Endpoint& endpoint : rows) {
    endpoint.path = "/kling/v1/videos/" + endpoint.kind;
    if (endpoint.name != "multi_image2video")
      std::ranges::move(shots(), std::back_inserter(endpoint.params));
    std::ranges::move(common(), std::back_inserter(endpoint.params));
  }
  for (const auto& checks : {first_checks(), picture_checks(), omni_checks(), last_checks()})
    for (const Check& check : checks)
      for (std::size_t i = 0; i < rows.size(); ++i)
        if ((check.endpoints >> i & 1u) != 0) rows[i].checks.push_back(check);
  return rows;
}

}  // namespace kling::api
