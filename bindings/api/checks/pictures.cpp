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

// ---- Omni ----

constexpr const char* kO1 = "kling-video-o1";

bool has_first_frame(const Request& r) { return any_item(r, "image_list", "type", "first_frame"); }
bool has_video(const Request& r) { return count_of(r, "video_list") > 0; }

Verdict frames(const Request& r) {
  int first = 0, end = 0;
  if (const Json* images = given(r, "image_list"); images && images->is_array())
    for (const Json& image : *images) {
      const std::string type = scalar_text(member(image, "type"));
      first += type == "first_frame" ? 1 : 0;
      end += type == "end_frame" ? 1 : 0;
    }
  if (first > 1 || end > 1)
    return error("image_list",
                 "image_list has " + std::to_string(first) + " first frames and " +
                     std::to_string(end) + " end frames; the limit is 1 of each",
                 "leave type out for plain references");
  if (end == 0 || first > 0) return {};
  return error("image_list", "an end frame needs a first frame too",
               "add a picture with type = \"first_frame\"");
}

Verdict o1_end_frame(const Request& r) {
  const std::size_t count = count_of(r, "image_list");
  if (!has_end_frame(r) || count <= 2 || effective(r, "model_name") != kO1) return {};
  return error("image_list",
               "kling-video-o1 takes no end frame with " + std::to_string(count) +
                   " pictures; the limit is 2",
               "keep the first and the end frame only, or take kling-v3-omni");
}

Verdict reference_count(const Request& r) {
  const std::size_t elements = count_of(r, "element_list");
  const std::size_t count = count_of(r, "image_list") + elements;
  const std::size_t limit = has_video(r) ? 4 : 7;
  if (count > limit)
    return error("image_list",
                 "pictures and elements are " + std::to_string(count) + " together; the limit is " +
                     std::to_string(limit) + (has_video(r) ? " with a video" : ""),
                 "leave some out");
  if (!has_first_frame(r) || elements == 0) return {};
  const bool none = has_end_frame(r) && effective(r, "model_name") == kO1;
  if (elements <= (none ? 0u : 3u)) return {};
  return error("element_list",
               "element_list has " + std::to_string(elements) + " items; the limit is " +
                   (none ? "0 with first and end frame in kling-video-o1" : "3 with a first frame"),
               "leave some out");
}

Verdict video_duration(const Request& r) {
  if (!has_video(r) || !given(r, "duration")) return {};
  if (edits_video(r))
    return warning("duration", "duration is ignored when a video is edited", "leave it out");
  if (seconds_of(r) <= 10) return {};
  return error("duration",
               "duration = " + excerpt(effective(r, "duration"), 20) +
                   "; the limit with a video is at most 10 seconds",
               "give 3 to 10");
}

Verdict o1_duration(const Request& r) {
  const std::string duration = effective(r, "duration");
  const bool plain = count_of(r, "element_list") == 0 && !has_video(r) &&
                     count_of(r, "image_list") == (has_first_frame(r) ? 1u : 0u);
  if (!plain || effective(r, "model_name") != kO1 || duration == "5" || duration == "10") return {};
  return warning("duration",
                 "duration = " + excerpt(duration, 20) +
                     "; without reference pictures the documents allow 5 or 10 only",
                 "give 5 or 10");
}

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

std::vector<Check> omni_checks() {
  return {
      {kOmni, "image_list.frames", "One first frame, and one end frame only beside it.",
       "image_list", frames},
      {kOmni, "image_list.o1_end_frame", "kling-video-o1: no end frame with over 2 pictures.",
       "image_list model_name", o1_end_frame},
      rule(kOmni, "image_list.base", "First and end frames exclude a video to edit.",
           "image_list video_list",
           error("image_list", "first and end frames exclude a video to edit",
                 "leave out the pictures' type, or write refer_type = \"feature\""),
           [](const Request& r) {
             return edits_video(r) && (has_first_frame(r) || has_end_frame(r));
           }),
      {kOmni, "references.count",
       "Pictures and elements: at most 7, with a video 4; elements beside a first frame: 3.",
       "image_list element_list video_list model_name", reference_count},
      rule(kOmni, "sound.video", "Sound cannot be made with a video.", "sound video_list",
           error("sound", "sound on is not supported with a video",
                 "leave sound out; keep_original_sound = \"yes\" keeps the video's"),
           [](const Request& r) { return has_video(r) && has_sound(r); }),
      needs(kOmni, "sound.model", "Sound needs kling-v3-omni.", "sound", Feature::sound, has_sound),
      {kOmni, "duration.video", "With a video at most 10 s; ignored when it is edited.",
       "duration video_list", video_duration},
      {kOmni, "duration.o1", "kling-video-o1 without references: 5 or 10 s.",
       "duration model_name image_list element_list video_list", o1_duration},
      rule(kOmni, "shots.intelligence", "intelligence was measured not to work with omni.",
           "shot_type",
           warning("shot_type", "shot_type intelligence was measured not to work here",
                   "write shot_type = \"customize\" with multi_prompt"),
           [](const Request& r) { return effective(r, "shot_type") == "intelligence"; })};
}

}  // namespace kling::api
