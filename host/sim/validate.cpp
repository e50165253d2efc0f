// What crosses fields is written here; the rest follows contract.json.
#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "sim/contract.h"
#include "sim/pictures.h"

namespace kling::sim {
namespace {

using Refused = std::optional<Refusal>;

/// A refusal with code 1201 and a message of contract.json.
Refused refuse(std::string_view message, std::string_view value = {}) {
  return refusal(1201, message, value);
}

/// A number of a rule, or `otherwise` when the rule does not have it.
double limit(const Json& rule, const std::string& name, double otherwise = 0) {
  const Json* found = member_of(rule, name);
  return found == nullptr ? otherwise : found->get<double>();
}

/// True when the array `list` (null: none) has this text.
bool contains(const Json* list, const std::string& text) {
  return list != nullptr && std::find(list->begin(), list->end(), Json(text)) != list->end();
}

// ---- One value against its rule: type, length, range, choices, counts, members ----

Refused check_member(const std::string& path, const std::string& name, const Json& rule,
                     const Json& object);

bool has_type(const Json& value, const std::string& type) {
  if (type == "integer") return value.is_number_integer();
  return type.empty() || type == "any" || type == value.type_name();
}

/// True when `value` is beyond the rule's limits of these names.
bool outside(const Json& rule, double value, const char* least, const char* most) {
  return value < limit(rule, least, value) || value > limit(rule, most, value);
}

Refused check_value(const std::string& path, const Json& rule, const Json& value) {
  if (!has_type(value, text_of(rule, "type"))) return refuse("type", path);
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const Json* choices = member_of(rule, "enum");
    if (choices != nullptr && !contains(choices, text)) return refuse("value", path);
    const auto characters = std::ranges::count_if(text, [](char c) { return (c & 0xC0) != 0x80; });
    if (outside(rule, static_cast<double>(characters), "", "max_chars"))
      return refuse("length", path);
  } else if (value.is_number()) {
    if (outside(rule, value.get<double>(), "min", "max")) return refuse("value", path);
  } else if (value.is_array()) {
    if (outside(rule, static_cast<double>(value.size()), "min_items", "max_items"))
      return refuse("count", path);
    for (const Json& item : value)
      if (auto refused = check_value(path, rule["items"], item)) return refused;
  } else if (value.is_object()) {
    for (const auto& [name, inner] : rule["fields"].items())
      if (auto refused = check_member(path + ".", name, inner, value)) return refused;
  }
  return {};
}

/// `path` is what the message puts before the name.
Refused check_member(const std::string& path, const std::string& name, const Json& rule,
                     const Json& object) {
  const Json* value = member_of(object, name);
  if (value != nullptr) return check_value(path + name, rule, *value);
  if (member_of(rule, "required") != nullptr) return refuse("required", path + name);
  return {};
}

// ---- What crosses fields ----

/// One request on its way through the checks; each check may complete the order.
class Validation {
 public:
  Validation(const std::string& kind, const Json& body, const Pictures& pictures,
             const TaskFinder& task_of)
      : endpoint_(contract()["endpoints"][kind]),
        body_(body),
        pictures_(pictures),
        task_of_(task_of) {
    order.kind = kind;
  }

  Refused run() {
    for (const auto check : {&Validation::fields, &Validation::model, &Validation::shots,
                             &Validation::images, &Validation::masks, &Validation::camera,
                             &Validation::omni, &Validation::references, &Validation::features}) {
      if (auto refused = (this->*check)()) return refused;
    }
    price();
    shape();
    for (const Json& word : contract()["blocked_words"])
      if (order.prompt.find(word.get<std::string>()) != std::string::npos) fail("risk");
    return {};
  }

  Order order;

 private:
  const Json* given(const std::string& name) const { return member_of(body_, name); }
  std::string text(const char* name) const { return text_of(body_, name); }
  bool is(const char* name) const { return given(name) != nullptr && *given(name) == true; }
  std::string text_or_default(const char* name) const {
    const std::string value = text(name);
    return value.empty() ? text_of(endpoint_["defaults"], name) : value;
  }
  std::size_t count(const std::string& name) const {
    return given(name) == nullptr ? 0 : given(name)->size();
  }
  bool more(std::size_t number, const char* most) const {
    return static_cast<double>(number) > limit(endpoint_, most);
  }
  bool image_kind() const { return order.kind == "image2video"; }
  bool omni_kind() const { return order.kind == "omni-video"; }
  bool edits_video() const {
    const Json* videos = omni_kind() ? given("video_list") : nullptr;
    return videos != nullptr && !videos->empty() &&
           text_of((*videos)[0], "refer_type") != "feature";
  }
  /// True when the model does this in the mode and length of the order.
  bool offered(const std::string& feature) const {
    const Json* list = member_of(*model_, feature);
    const std::string mode = order.mode + "/";
    return contains(list, mode + std::to_string(order.seconds)) || contains(list, mode + "*") ||
           contains(list, "*/*");
  }
  void fail(const char* reason) {
    if (order.failure.empty()) order.failure = text_of(contract()["failures"], reason);
  }

  Refused fields() {
    for (const auto& [name, rule] : endpoint_["rules"].items()) {
      // The service names a wrong duration by its value, whatever its type.
      const Json* value = given(name);
      if (name == "duration" && value != nullptr && !value->is_string())
        return refuse("duration", value->dump(-1, ' ', false, Json::error_handler_t::replace));
      if (auto refused = check_member("", name, rule, body_)) return refused;
    }
    return {};
  }

  Refused model() {
    order.model = text_or_default("model_name");
    order.mode = text_or_default("mode");
    order.prompt = text("prompt");
    order.callback_url = text("callback_url");
    order.sound = text("sound") == "on";
    const auto found = contract()["models"].find(order.model);
    if (found == contract()["models"].end()) return refusal(1203, "model_unknown", order.model);
    model_ = &*found;
    if (!contains(member_of(*model_, "kinds"), order.kind)) return refuse("model");
    if (order.mode == "4k" && !contains(member_of(*model_, "modes"), order.mode))
      return refuse("value", "mode");
    const bool text_only = order.kind == "text2video" && model_->contains("fps_text");
    order.fps = (*model_)[text_only ? "fps_text" : "fps"].get<int>();
    const std::string wanted = text_or_default("duration");
    const double least = limit(*model_, "min_seconds"), most = limit(*model_, "max_seconds");
    order.seconds = wanted.size() <= 2 ? std::atoi(wanted.c_str()) : 0;
    bool listed = least == 0 ? order.seconds == 5 || order.seconds == 10
                             : order.seconds >= least && order.seconds <= most;
    listed = listed && std::to_string(order.seconds) == wanted;
    // A video that is edited keeps its length, whatever is asked for.
    if (!listed && !edits_video()) return refuse("duration", wanted);
    order.seconds = std::clamp(order.seconds, 1, 15);
    return {};
  }

  Refused shots() {
    if (!is("multi_shot")) {
      if (given("shot_type") != nullptr || given("multi_prompt") != nullptr)
        return refuse("shot_fields");
      return order.prompt.empty() && !image_kind() ? refuse("required", "prompt") : Refused();
    }
    if (!offered("multi_shot")) return refuse("multi_shot");
    if (given("shot_type") == nullptr) return refuse("required", "shot_type");
    if (text("shot_type") != "customize") {
      if (omni_kind()) return refuse("value", "shot_type");
      return order.prompt.empty() ? refuse("required", "prompt") : Refused();
    }
    if (!order.prompt.empty()) return refuse("shot_prompt");
    if (given("multi_prompt") == nullptr) return refuse("required", "multi_prompt");
    int index = 0, seconds = 0;
    for (const Json& shot : *given("multi_prompt")) {
      const int length = std::atoi(text_of(shot, "duration").c_str());
      if (shot["index"] != ++index || length < 1) return refuse("shots");
      seconds += length;
      order.prompt += (index > 1 ? " / " : "") + text_of(shot, "prompt");
    }
    return seconds == order.seconds ? Refused() : refuse("shots");
  }

  /// Takes one picture; what it says of size is found out only by the generation, as documented.
  Refused picture(const std::string& source, std::string& place, bool frame) {
    const auto taken = pictures_.add(source);
    const Json& rules = contract()["image"];
    if (!taken) return refuse("not_base64");
    if (static_cast<double>(taken->bytes) > limit(rules, "max_bytes")) return refuse("file_size");
    if (taken->name.empty()) return refuse("file_format");
    place = taken->name;
    if (frame && frame_.name.empty()) frame_ = *taken;
    if (taken->width == 0 && taken->height == 0) return {};
    const double ratio = static_cast<double>(taken->width) / std::max(taken->height, 1);
    if (std::min(taken->width, taken->height) < limit(rules, "min_side") ||
        ratio < limit(rules, "min_ratio") || ratio > limit(rules, "max_ratio")) {
      fail("pixels");
    }
    return {};
  }

  Refused images() {
    if (image_kind()) {
      if (given("image") == nullptr && given("image_tail") == nullptr) return refuse("image_null");
      for (const auto& [field, place] :
           {std::pair("image", &order.first), {"image_tail", &order.last}}) {
        if (given(field) == nullptr) continue;
        if (auto refused = picture(text(field), *place, true)) return refused;
      }
    }
    for (std::size_t i = 0; i < count("image_list"); ++i) {
      const Json& item = (*given("image_list"))[i];
      const std::string type = text_of(item, "type");
      const bool first = type == "first_frame";
      std::string& place = first          ? order.first
                           : type.empty() ? order.others.emplace_back()
                                          : order.last;
      const std::string source = text_of(item, omni_kind() ? "image_url" : "image");
      if (auto refused = picture(source, place, first)) return refused;
    }
    return {};
  }

  Refused masks() {
    std::vector<std::string> sources;
    if (given("static_mask") != nullptr) sources.push_back(text("static_mask"));
    for (std::size_t i = 0; i < count("dynamic_masks"); ++i)
      sources.push_back(text_of((*given("dynamic_masks"))[i], "mask"));
    const int used = int(!sources.empty()) + int(given("image_tail") != nullptr) +
                     int(given("camera_control") != nullptr);
    if (used > 1) return refuse("exclusive", "image_tail, masks and camera_control");
    if (!sources.empty() && !offered("masks")) return refuse("masks");
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
    if (!offered(image_kind() ? "camera_image" : "camera_text") || (image_kind() && !simple))
      return refuse("camera");
    const Json* config = member_of(*control, "config");
    if (simple != (config != nullptr)) return refuse("camera_config");
    const Json axes = simple ? *config : Json::object();
    const auto moves = std::count_if(axes.begin(), axes.end(), [](const Json& axis) {
      return axis.is_number() && axis.get<double>() != 0;
    });
    return moves > 1 ? refuse("camera_config") : Refused();
  }

  Refused omni() {
    if (!omni_kind()) return {};
    const bool video = count("video_list") > 0;
    const Json source = video ? (*given("video_list"))[0] : Json();
    const bool base = edits_video();
    const bool frames = !order.first.empty() || !order.last.empty();
    const bool o1 = order.model == "kling-video-o1";
    const std::size_t elements = count("element_list"), images = count("image_list");
    if (!order.last.empty() && (order.first.empty() || (o1 && images > 2)))
      return refuse("end_frame");
    if (base && frames) return refuse("frames_base");
    if (more(images + elements, video ? "max_references_with_video" : "max_references"))
      return refuse("count", "image_list and element_list");
    const bool none = o1 && !order.last.empty() && elements > 0;
    if (none || (frames && more(elements, "max_elements_with_frame")))
      return refuse("count", "element_list");
    if (video && order.sound) return refuse("sound_video");
    if (!base && order.first.empty() && given("aspect_ratio") == nullptr) return refuse("aspect");
    const bool bare = order.others.empty() && elements == 0 && order.last.empty();
    if (o1 && !video && bare && order.seconds != 5 && order.seconds != 10)
      return refuse("duration_o1");
    if (!video) return {};
    if (!base && more(static_cast<std::size_t>(order.seconds), "max_video_seconds"))
      return refuse("duration", text("duration"));
    return take_video(text_of(source, "video_url"), base);
  }

  /// A clip of ours is edited as it is; of any other video nothing is known.
  Refused take_video(const std::string& url, bool base) {
    order.source = "~" + std::to_string(hash_of(url.substr(0, url.find('?'))));
    const auto task = task_of_(url);
    if (!task) return {};
    order.source = task->clip;
    if (more(static_cast<std::size_t>(task->order.seconds), "max_video_seconds")) fail("video");
    if (!base) return {};
    order.seconds = task->order.seconds;
    frame_.width = task->order.width;
    frame_.height = task->order.height;
    return {};
  }

  /// <<<image_1>>> and its like must be in the request.
  Refused references() {
    if (!omni_kind()) return {};
    for (auto at = order.prompt.find("<<<"); at != std::string::npos;) {
      const auto end = order.prompt.find(">>>", at);
      if (end == std::string::npos) break;
      const std::string name = order.prompt.substr(at + 3, end - at - 3);
      const auto bar = std::min(name.rfind('_'), name.size());
      const int number = std::atoi(name.substr(std::min(bar + 1, name.size())).c_str());
      if (number < 1 || static_cast<std::size_t>(number) > count(name.substr(0, bar) + "_list"))
        return refuse("reference", name);
      at = order.prompt.find("<<<", end);
    }
    return {};
  }

  /// What only some models do, in some modes and lengths.
  Refused features() {
    const bool tail = given("image_tail") != nullptr, voices = count("voice_list") > 0;
    const bool elements = count("element_list") > 0 && image_kind();
    if (tail && (!model_->contains("tail") || (order.first.empty() && !offered("tail_only"))))
      return refuse("tail_model");
    if (tail && !offered("tail")) {
      return refuse("tail_combination",
                    order.model + "/" + order.mode + "/" + std::to_string(order.seconds));
    }
    if ((tail || !order.last.empty()) && is("multi_shot") && !model_->contains("tail_shots"))
      return refuse("exclusive", "multi_shot and an end frame");
    if (order.sound && !offered("sound")) return refuse("sound");
    if (tail && order.sound && model_->contains("tail_silent"))
      return refuse("exclusive", "sound and image_tail");
    if (voices && !order.sound) return refuse("voice_sound");
    if (voices && elements) return refuse("exclusive", "element_list and voice_list");
    if (voices && !offered("voice")) return refuse("voice");
    return elements && !offered("elements") ? refuse("elements") : Refused();
  }

  void price() {
    const Json& prices = contract()["prices"];
    for (const auto& [counts, what] : {std::pair(!order.source.empty(), "/video"),
                                       {count("voice_list") > 0, "/voice"},
                                       {order.sound, "/sound"},
                                       {true, ""}}) {
      if (!counts || order.units > 0) continue;
      const std::string key = order.model + "/" + order.mode + what;
      order.units =
          order.seconds * (limit(prices["per_second"], key) + limit(prices["per_5s"], key) / 5);
    }
  }

  /// The same number of pixels in every shape: 1280 × 720, 720 × 1280, 960 × 960.
  void shape() {
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
    const double pixels = limit(*model_, "height",
                                order.mode == "4k"    ? 2160
                                : order.mode == "pro" ? 1080
                                                      : 720);
    const double scale = std::sqrt(pixels * pixels * 16 / 9 / (wide * high));
    const auto even = [](double side) { return 2 * static_cast<int>(std::lround(side / 2)); };
    order.width = even(wide * scale);
    order.height = even(high * scale);
  }

  const Json& endpoint_;
  const Json& body_;
  const Pictures& pictures_;
  const TaskFinder& task_of_;
  const Json* model_ = nullptr;
  Picture frame_;  // what the clip's shape follows
};

}  // namespace

std::variant<Order, Refusal> validate(const std::string& kind, const Json& body,
                                      const Pictures& pictures, const TaskFinder& task_of) {
  if (!body.is_object()) return refusal(1200, "body");
  Validation validation(kind, body, pictures, task_of);
  if (auto refused = validation.run()) return *refused;
  return validation.order;
}

}  // namespace kling::sim
