#include "api/checks/checks.h"
#include "api/checks/shared.h"

namespace kling::api {
namespace {

bool has_masks(const Request& r) { return given(r, "static_mask") || given(r, "dynamic_masks"); }

Verdict some_picture(const Request& r) {
  if (given(r, "image")) return std::nullopt;
  if (given(r, "image_tail"))
    return warning("image", "image is missing; CometAPI's documents require it",
                   "give image too, unless only the last frame matters");
  return error("image", "image is missing",
               "give image = a path, a URL or clip:last_frame() (or image_tail)");
}

Verdict one_control(const Request& r) {
  std::vector<std::string> used;
  if (given(r, "image_tail")) used.emplace_back("image_tail");
  if (has_masks(r)) used.emplace_back("static_mask or dynamic_masks");
  if (given(r, "camera_control")) used.emplace_back("camera_control");
  if (used.size() < 2) return std::nullopt;
  return error(used[1].substr(0, used[1].find(' ')), joined(used, " and ") + " exclude each other",
               "keep one of them");
}

Verdict simple_camera(const Request& r) {
  const Json* camera = given(r, "camera_control");
  const std::string type = camera ? scalar_text(member(*camera, "type")) : "simple";
  if (type == "simple") return std::nullopt;
  return error("camera_control.type",
               "camera_control.type = \"" + excerpt(type, 40) + "\"; image2video takes simple only",
               "write type = \"simple\" with one value in config");
}

Verdict voices_or_elements(const Request& r) {
  if (!given(r, "element_list") || !given(r, "voice_list")) return std::nullopt;
  return error("voice_list", "element_list and voice_list exclude each other", "keep one of them");
}

Verdict silent_end_frame(const Request& r) {
  if (!given(r, "image_tail") || effective(r, "sound") != "on" ||
      effective(r, "model_name") != "kling-v2-6")
    return std::nullopt;
  return error("sound", "kling-v2-6 is silent with image_tail",
               "leave sound out, or take model_name = \"kling-v3\"");
}

}  // namespace

std::vector<Check> image2video_checks() {
  std::vector<Check> checks = {rule("image.required", "image or image_tail is needed.",
                                    {"image", "image_tail"}, some_picture),
                               prompt_check(Finding::Level::warning)};
  append(checks, common_checks(Feature::image2video));
  append(
      checks,
      {cfg_scale_check(),
       rule("image.controls", "image_tail, masks and camera_control exclude each other.",
            {"image_tail", "static_mask", "dynamic_masks", "camera_control"}, one_control),
       feature_rule("image_tail.model",
                    "First and last frame need a model and mode that take both.", "image_tail",
                    Feature::end_frame,
                    [](const Request& r) { return given(r, "image") && given(r, "image_tail"); }),
       feature_rule("image_tail.alone", "Only kling-v1-5 and kling-v1-6 take a last frame alone.",
                    "image_tail", Feature::end_frame_alone,
                    [](const Request& r) { return !given(r, "image") && given(r, "image_tail"); }),
       rule("image_tail.sound", "kling-v2-6 is silent with image_tail.",
            {"image_tail", "sound", "model_name"}, silent_end_frame),
       feature_rule("static_mask.model", "The motion brush needs kling-v1 or kling-v1-5, 5 s.",
                    "static_mask", Feature::motion_brush,
                    [](const Request& r) { return given(r, "static_mask") != nullptr; }),
       feature_rule("dynamic_masks.model", "The motion brush needs kling-v1 or kling-v1-5, 5 s.",
                    "dynamic_masks", Feature::motion_brush,
                    [](const Request& r) { return given(r, "dynamic_masks") != nullptr; }),
       mask_size_check("image"),
       rule("camera_control.simple", "image2video takes only camera_control of type simple.",
            {"camera_control"}, simple_camera),
       rule("element_list.voices", "element_list and voice_list exclude each other.",
            {"element_list", "voice_list"}, voices_or_elements),
       feature_rule("element_list.model", "Elements need kling-v3.", "element_list",
                    Feature::elements,
                    [](const Request& r) { return given(r, "element_list") != nullptr; })});
  append(checks, camera_checks(Feature::camera_image));
  append(checks, sound_checks());
  append(checks, shot_checks());
  return checks;
}

}  // namespace kling::api
