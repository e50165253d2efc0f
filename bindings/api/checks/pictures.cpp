#include "api/checks/checks.h"

namespace kling::api {
namespace {

bool has_masks(const Request& r) { return given(r, "static_mask") || given(r, "dynamic_masks"); }

Verdict one_control(const Request& r) {
  std::vector<std::string> used;
  if (given(r, "image_tail")) used.emplace_back("image_tail");
  if (has_masks(r)) used.emplace_back("static_mask or dynamic_masks");
  if (given(r, "camera_control")) used.emplace_back("camera_control");
  if (used.size() < 2) return {};
  return error(used[1].substr(0, used[1].find(' ')), joined(used, " and ") + " exclude each other",
               "keep one of them");
}

/// Compares what is local with the picture, or the first one of the list.
Verdict mask_sizes(const Request& r) {
  std::vector<std::pair<std::string, const ImageFacts*>> pictures;
  const auto add = [&](const std::string& field, const Json& value) {
    const MediaInput* input = media_of(r, value);
    if (input != nullptr && input->facts && input->facts->width != 0)
      pictures.emplace_back(field, &*input->facts);
  };
  if (const Json* picture = given(r, "image")) add("image", *picture);
  if (const Json* list = given(r, "image_list"); list && list->is_array())
    add("image_list[1].image", member(list->front(), "image"));
  if (const Json* mask = given(r, "static_mask")) add("static_mask", *mask);
  if (const Json* masks = given(r, "dynamic_masks"); masks && masks->is_array())
    for (std::size_t i = 0; i < masks->size(); ++i)
      add("dynamic_masks[" + std::to_string(i + 1) + "].mask", member((*masks)[i], "mask"));
  const auto size = [](const ImageFacts& facts) {
    return std::to_string(facts.width) + "x" + std::to_string(facts.height);
  };
  for (const auto& [field, facts] : pictures) {
    const auto& [wanted_field, wanted] = pictures.front();
    if (facts->width == wanted->width && facts->height == wanted->height) continue;
    return error(
        field,
        field + " is " + size(*facts) + " pixels, but " + wanted_field + " is " + size(*wanted),
        "give masks of the picture's size; else the task fails later");
  }
  return {};
}

Verdict simple_camera(const Request& r) {
  const Json* camera = given(r, "camera_control");
  const std::string type = camera ? scalar_text(member(*camera, "type")) : "simple";
  if (type == "simple") return {};
  return error("camera_control.type",
               "camera_control.type = \"" + excerpt(type, 40) + "\"; image2video takes simple only",
               "write type = \"simple\" with one value in config");
}

Check in_one_document(const std::string& field) {
  return {kMulti, field + ".document", field + " is in one of the two documents only.", field,
          [field](const Request& r) -> Verdict {
            if (given(r, field) == nullptr) return {};
            return warning(field,
                           field +
                               " is listed by CometAPI only; Kling's own documents have none here, "
                               "so it may be ignored",
                           "leave it out");
          }};
}

bool has_both_frames(const Request& r) { return given(r, "image") && given(r, "image_tail"); }
bool has_tail_alone(const Request& r) { return !given(r, "image") && given(r, "image_tail"); }

}  // namespace

std::vector<Check> picture_checks() {
  return {
      {kImage, "image.controls", "image_tail, masks and camera_control exclude each other.",
       "image_tail static_mask dynamic_masks camera_control", one_control},
      needs(kImage, "image_tail.model",
            "First and last frame need a model and mode that take both.", "image_tail",
            Feature::end_frame, has_both_frames),
      needs(kImage, "image_tail.alone", "Only kling-v1-5 and kling-v1-6 take a last frame alone.",
            "image_tail", Feature::end_frame_alone, has_tail_alone),
      rule(kImage, "image_tail.sound", "kling-v2-6 is silent with image_tail.",
           "image_tail sound model_name",
           error("sound", "kling-v2-6 is silent with image_tail",
                 "leave sound out, or take model_name = \"kling-v3\""),
           [](const Request& r) {
             return given(r, "image_tail") && has_sound(r) &&
                    effective(r, "model_name") == "kling-v2-6";
           }),
      needs(kImage, "static_mask.model", "The motion brush needs kling-v1 or kling-v1-5, 5 s.",
            "static_mask", Feature::motion_brush),
      needs(kImage, "dynamic_masks.model", "The motion brush needs kling-v1 or kling-v1-5, 5 s.",
            "dynamic_masks", Feature::motion_brush),
      rule(kMulti, "image_list.single", "One picture is in one of the two documents only.",
           "image_list",
           warning("image_list", "image_list has 1 picture; CometAPI's documents want 2 to 4",
                   "add a picture, or use image2video"),
           [](const Request& r) { return count_of(r, "image_list") == 1; }),
      in_one_document("cfg_scale"),
      in_one_document("static_mask"),
      in_one_document("dynamic_masks"),
      {kImage | kMulti, "mask.size", "Masks have the size of the picture.",
       "image image_list static_mask dynamic_masks", mask_sizes},
      {kImage, "camera_control.simple", "image2video takes only camera_control of type simple.",
       "camera_control", simple_camera},
      rule(
          kImage, "element_list.voices", "element_list and voice_list exclude each other.",
          "element_list voice_list",
          error("voice_list", "element_list and voice_list exclude each other", "keep one of them"),
          [](const Request& r) { return given(r, "element_list") && given(r, "voice_list"); }),
      needs(kImage, "element_list.model", "Elements need kling-v3.", "element_list",
            Feature::elements)};
}

}  // namespace kling::api
