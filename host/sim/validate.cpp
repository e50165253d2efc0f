#include "sim/validate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sim/rules.h"

namespace kling::sim {
namespace {

/// One request on its way through the checks; each check may complete the order.
class Validation {
 public:
  Validation(const std::string& kind, const Json& body, const Pictures& pictures,
             const ClipFinder& clip_of)
      : endpoint_(contract()["endpoints"][kind]),
        body_(body),
        pictures_(pictures),
        clip_of_(clip_of) {
    order.kind = kind;
  }

  Refused run() {
    for (const auto check :
         {&Validation::fields, &Validation::model, &Validation::shots, &Validation::images,
          &Validation::tail, &Validation::masks, &Validation::camera, &Validation::omni,
          &Validation::references, &Validation::sound, &Validation::length}) {
      if (auto refused = (this->*check)()) return refused;
    }
    finish();
    return {};
  }

  Order order;

 private:
  const Json* given(const char* name) const { return member_of(body_, name); }
  std::string text(const char* name) const { return text_of(body_, name); }
  bool is(const char* name) const {
    const Json* value = given(name);
    return value != nullptr && value->is_boolean() && value->get<bool>();
  }
  std::string text_or_default(const char* name) const {
    const std::string value = text(name);
    return value.empty() ? text_of(endpoint_["defaults"], name) : value;
  }
  std::size_t count(const char* name) const {
    return given(name) == nullptr ? 0 : given(name)->size();
  }
  void fail(const char* reason) {
    if (order.failure.empty()) order.failure = text_of(contract()["failures"], reason);
  }

  Refused fields() {
    for (const Json& name : endpoint_["fields"]) {
      const auto key = name.get<std::string>();
      Json rule = endpoint_.contains(key) ? endpoint_[key] : contract()["fields"][key];
      if (const Json* overrides = member_of(endpoint_, "overrides")) {
        if (overrides->contains(key)) rule.update((*overrides)[key]);
      }
      // The service names a wrong duration by its value, whatever its type.
      const Json* value = given(key.c_str());
      if (key == "duration" && value != nullptr && !value->is_string()) {
        return refuse("duration", value->dump(-1, ' ', false, Json::error_handler_t::replace));
      }
      if (auto refused = check_member("", key.c_str(), rule, body_)) return refused;
    }
    return {};
  }

  Refused model() {
    order.model = text_or_default("model_name");
    order.mode = text_or_default("mode");
    order.prompt = text("prompt");
    order.callback_url = text("callback_url");
    const auto found = contract()["models"].find(order.model);
    if (found == contract()["models"].end()) return refusal(1203, "model_unknown", order.model);
    model_ = &*found;
    if (!contains(member_of(*model_, "kinds"), order.kind)) return refuse("model");
    const bool text_only = order.kind == "text2video" && model_->contains("fps_text");
    order.fps = (*model_)[text_only ? "fps_text" : "fps"].get<int>();
    const std::string wanted = text_or_default("duration");
    const int least = static_cast<int>(limit(*model_, "min_seconds", 0));
    const int most = static_cast<int>(limit(*model_, "max_seconds", 0));
    order.seconds = wanted.size() <= 2 ? std::atoi(wanted.c_str()) : 0;
    const bool listed = least == 0 ? order.seconds == 5 || order.seconds == 10
                                   : order.seconds >= least && order.seconds <= most;
    if (!listed || std::to_string(order.seconds) != wanted) return refuse("duration", wanted);
    return {};
  }

  Refused shots() {
    const bool several = is("multi_shot"), customized = text("shot_type") == "customize";
    if (!several) {
      if (given("shot_type") != nullptr || given("multi_prompt") != nullptr) {
        return refuse("shot_fields");
      }
      const bool optional = order.kind == "image2video";
      return order.prompt.empty() && !optional ? refuse("required", "prompt") : Refused();
    }
    if (!model_->contains("multi_shot")) return refuse("multi_shot");
    if (given("shot_type") == nullptr) return refuse("required", "shot_type");
    if (!customized) {
      if (order.kind == "omni-video") return refuse("value", "shot_type");
      return order.prompt.empty() ? refuse("required", "prompt") : Refused();
    }
    if (!order.prompt.empty()) return refuse("shot_prompt");
    int index = 0, seconds = 0;
    if (given("multi_prompt") == nullptr) return refuse("required", "multi_prompt");
    for (const Json& shot : *given("multi_prompt")) {
      const int length = std::atoi(text_of(shot, "duration").c_str());
      if (shot["index"].get<int>() != ++index || length < 1) return refuse("shots");
      seconds += length;
      order.prompt += (index > 1 ? " / " : "") + text_of(shot, "prompt");
    }
    return seconds == order.seconds ? Refused() : refuse("shots");
  }

  /// Takes one picture; what it says of size is found out only by the generation, as documented.
  Refused picture(const std::string& source, Picture& out) {
    const auto taken = pictures_.add(source);
    const Json& rules = contract()["image"];
    if (!taken) return refuse("not_base64");
    if (static_cast<double>(taken->bytes) > limit(rules, "max_bytes", 0))
      return refuse("file_size");
    if (taken->name.empty()) return refuse("file_format");
    out = *taken;
    if (out.width == 0 && out.height == 0) return {};
    const double ratio = out.height == 0 ? 0 : static_cast<double>(out.width) / out.height;
    if (std::min(out.width, out.height) < limit(rules, "min_side", 0) ||
        ratio < limit(rules, "min_ratio", 0) || ratio > limit(rules, "max_ratio", 0)) {
      fail("pixels");
    }
    return {};
  }

  Refused images() {
    Picture taken;
    if (order.kind == "image2video") {
      if (given("image") == nullptr && given("image_tail") == nullptr) return refuse("image_null");
      for (const auto& [field, place] :
           {std::pair("image", &order.first), {"image_tail", &order.last}}) {
        if (given(field) == nullptr) continue;
        if (auto refused = picture(text(field), taken)) return refused;
        *place = taken.name;
        if (frame_.name.empty()) frame_ = taken;
      }
    }
    if (const Json* list = given("image_list")) {
      for (const Json& item : *list) {
        const bool omni = order.kind == "omni-video";
        if (auto refused = picture(text_of(item, omni ? "image_url" : "image"), taken))
          return refused;
        const std::string type = text_of(item, "type");
        if (type.empty()) {
          order.others.push_back(taken.name);
        } else {
          (type == "first_frame" ? order.first : order.last) = taken.name;
          if (type == "first_frame") frame_ = taken;
        }
      }
    }
    return {};
  }

  Refused tail() {
    if (given("image_tail") == nullptr) return {};
    const Json* supported = member_of(*model_, "tail");
    if (supported == nullptr || (order.first.empty() && !model_->contains("tail_only"))) {
      return refuse("tail_model");
    }
    const std::string wanted = order.mode + "/" + std::to_string(order.seconds);
    if (!contains(supported, wanted) && !contains(supported, order.mode + "/*")) {
      return refuse("tail_combination", order.model + "/" + wanted);
    }
    return {};
  }

  Refused masks() {
    const bool masked = given("static_mask") != nullptr || given("dynamic_masks") != nullptr;
    if (masked + (given("image_tail") != nullptr) + (given("camera_control") != nullptr) > 1) {
      return refuse("exclusive", "image_tail, masks and camera_control");
    }
    if (!masked) return {};
    if (!contains(member_of(*model_, "masks"), order.mode + "/" + std::to_string(order.seconds))) {
      return refuse("masks");
    }
    std::vector<std::string> sources;
    if (given("static_mask") != nullptr) sources.push_back(text("static_mask"));
    if (const Json* groups = given("dynamic_masks")) {
      for (const Json& group : *groups) sources.push_back(text_of(group, "mask"));
    }
    for (const std::string& source : sources) {
      const auto mask = pictures_.add(source);
      if (!mask) return refuse("not_base64");
      if (mask->width != 0 && frame_.width != 0 &&
          (mask->width != frame_.width || mask->height != frame_.height)) {
        fail("mask");
      }
    }
    return {};
  }

  Refused camera() {
    const Json* control = given("camera_control");
    if (control == nullptr) return {};
    const bool simple = text_of(*control, "type") == "simple";
    const bool text_kind = order.kind == "text2video";
    const bool works = order.seconds == 5 &&
                       (text_kind ? order.model == "kling-v1" && order.mode == "std"
                                  : order.model == "kling-v1-5" && order.mode == "pro" && simple);
    if (!works) return refuse("camera");
    const Json* config = member_of(*control, "config");
    if (simple != (config != nullptr)) return refuse("camera_config");
    int moves = 0;
    for (const Json& value : config == nullptr ? Json::array() : *config) {
      if (value.is_number() && value.get<double>() != 0) ++moves;
    }
    return moves > 1 ? refuse("camera_config") : Refused();
  }

  Refused omni() {
    if (order.kind != "omni-video") return {};
    const Json* videos = given("video_list");
    const bool video = videos != nullptr && !videos->empty();
    const bool base = video && text_of((*videos)[0], "refer_type") != "feature";
    const bool frames = !order.first.empty() || !order.last.empty();
    const bool o1 = order.model == "kling-video-o1";
    if (!order.last.empty() && (order.first.empty() || (o1 && count("image_list") > 2))) {
      return refuse("end_frame");
    }
    if (base && frames) return refuse("frames_base");
    const char* most = video ? "max_references_with_video" : "max_references";
    if (static_cast<double>(count("image_list") + count("element_list")) >
        limit(endpoint_, most, 0)) {
      return refuse("count", "image_list and element_list");
    }
    if (frames &&
        static_cast<double>(count("element_list")) >
            (o1 && !order.last.empty() ? 0 : limit(endpoint_, "max_elements_with_frame", 0))) {
      return refuse("count", "element_list");
    }
    if (video && text("sound") == "on") return refuse("sound_video");
    if (!base && order.first.empty() && given("aspect_ratio") == nullptr) return refuse("aspect");
    const bool free = !order.others.empty() || count("element_list") > 0 || !order.last.empty();
    if (o1 && !video && !free && order.seconds != 5 && order.seconds != 10) {
      return refuse("duration_o1");
    }
    if (video && order.seconds > 10) return refuse("duration", text("duration"));
    if (!video) return {};
    const std::string url = text_of((*videos)[0], "video_url");
    const auto clip = clip_of_(url);
    order.source = clip ? clip->clip : "~" + std::to_string(hash_of(url.substr(0, url.find('?'))));
    if (base && clip) {
      order.seconds = clip->order.seconds;
      frame_.width = clip->order.width;
      frame_.height = clip->order.height;
    }
    return {};
  }

  /// <<<image_1>>> and its like must be in the request.
  Refused references() {
    for (auto at = order.prompt.find("<<<"); at != std::string::npos;) {
      const auto end = order.prompt.find(">>>", at);
      if (end == std::string::npos) break;
      const std::string name = order.prompt.substr(at + 3, end - at - 3);
      const auto bar = name.rfind('_');
      const std::string list = name.substr(0, bar) + "_list";
      const int number = bar == std::string::npos ? 0 : std::atoi(name.c_str() + bar + 1);
      if (order.kind == "omni-video" && given(list.c_str()) == nullptr) {
        return refuse("reference", name);
      }
      if (order.kind == "omni-video" &&
          (number < 1 || static_cast<std::size_t>(number) > count(list.c_str()))) {
        return refuse("reference", name);
      }
      at = order.prompt.find("<<<", end);
    }
    return {};
  }

  Refused sound() {
    order.sound = text("sound") == "on";
    if (order.sound && !contains(member_of(*model_, "sound"), order.mode)) return refuse("sound");
    if (count("voice_list") > 0 && !order.sound) return refuse("voice");
    if (count("voice_list") > 0 && count("element_list") > 0 && order.kind == "image2video") {
      return refuse("exclusive", "element_list and voice_list");
    }
    return {};
  }

  Refused length() {
    const Json& prices = contract()["prices"];
    const std::string plain = order.model + "/" + order.mode;
    std::vector<std::string> keys = {plain};
    if (order.sound) keys.insert(keys.begin(), plain + "/sound");
    if (!order.source.empty()) keys.insert(keys.begin(), plain + "/video");
    for (const std::string& key : keys) {
      if (order.units > 0) break;
      order.units = limit(prices["per_second"], key.c_str(), 0) * order.seconds;
      if (order.units <= 0)
        order.units = limit(prices["per_5s"], key.c_str(), 0) * order.seconds / 5;
    }
    return {};
  }

  void finish() {
    for (const Json& word : contract()["blocked_words"]) {
      if (order.prompt.find(word.get<std::string>()) != std::string::npos) fail("risk");
    }
    double wide = 16, high = 9;
    const std::string aspect = text_or_default("aspect_ratio");
    if (frame_.width > 0 && frame_.height > 0) {
      wide = frame_.width;
      high = frame_.height;
    } else if (aspect == "9:16") {
      std::swap(wide, high);
    } else if (aspect == "1:1") {
      wide = high;
    }
    // The same number of pixels in every shape: 1280 × 720, 720 × 1280, 960 × 960.
    const double pixels = limit(*model_, "height", order.mode == "pro" ? 1080 : 720);
    const double scale = std::sqrt(pixels * pixels * 16 / 9 / (wide * high));
    const auto even = [](double side) { return 2 * static_cast<int>(std::lround(side / 2)); };
    order.width = even(wide * scale);
    order.height = even(high * scale);
  }

  const Json& endpoint_;
  const Json& body_;
  const Pictures& pictures_;
  const ClipFinder& clip_of_;
  const Json* model_ = nullptr;
  Picture frame_;  // what the clip's shape follows
};

}  // namespace

std::variant<Order, Refusal> validate(const std::string& kind, const Json& body,
                                      const Pictures& pictures, const ClipFinder& clip_of) {
  if (!body.is_object()) return refusal(1200, "body");
  Validation validation(kind, body, pictures, clip_of);
  if (auto refused = validation.run()) return *refused;
  return validation.order;
}

}  // namespace kling::sim
