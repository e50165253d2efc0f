#include "sim/contract.h"

namespace kling {

extern const std::string_view kContractText;  // contract.json
}

namespace kling::sim {

const Json& contract() {
  static const Json all = [] {
    Json data = Json::parse(kContractText);
    for (Json& endpoint : data["endpoints"]) {
      Json rules = Json::object();
      const Json own = endpoint.value("own", Json::object());
      for (const Json& field : endpoint["fields"]) {
        const auto name = field.get<std::string>();
        rules[name] = data["fields"].value(name, Json::object());
        rules[name].update(own.value(name, Json::object()));
      }
      endpoint["rules"] = rules;
    }
    return data;
  }();
  return all;
}

std::string endpoint_kind(std::string name) {
  for (char& c : name) c = c == '_' ? '-' : c;
  if (name == "omni") name = "omni-video";
  return contract()["endpoints"].contains(name) ? name : "";
}

Refusal refusal(int code) {
  const Json& row = contract()["errors"][std::to_string(code)];
  return {row["http"].get<int>(), code, row["meaning"].get<std::string>()};
}

Refusal refusal(int code, std::string_view message, std::string_view value) {
  Refusal result = refusal(code);
  const Json& messages = contract()["messages"];
  const std::string key(message);
  result.message = text_of(messages["seen"], key);
  if (result.message.empty()) result.message = text_of(messages["assumed"], key);
  if (const auto at = result.message.find("{}"); at != std::string::npos) {
    result.message.replace(at, 2, value);
  }
  return result;
}

std::string text_of(const Json& object, const std::string& member) {
  const Json* found = member_of(object, member);
  return found != nullptr && found->is_string() ? found->get<std::string>() : std::string();
}

const Json* member_of(const Json& object, const std::string& member) {
  if (!object.is_object()) return nullptr;
  const auto found = object.find(member);
  if (found == object.end() || found->is_null()) return nullptr;
  if (found->is_string() && found->get_ref<const std::string&>().empty()) return nullptr;
  return &*found;
}

State Task::state(Millis now) const {
  if (now < starts) return State::submitted;
  if (now < ends) return State::processing;
  return order.failure.empty() ? State::succeed : State::failed;
}

Millis Task::updated(Millis now) const {
  if (now < starts) return created;
  return now < ends ? starts : ends;
}

std::string Task::duration() const {
  const int millis = frames() * 1000 / order.fps;
  std::string fraction = std::to_string(1000 + millis % 1000).substr(1);
  return std::to_string(millis / 1000) + "." + fraction;
}

const char* name(State state) {
  constexpr const char* kNames[] = {"submitted", "processing", "succeed", "failed"};
  return kNames[static_cast<int>(state)];
}

// One line a type; only here, as the reading half throws.
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Order, kind, prompt, model, mode, seconds, sound,
                                                width, height, fps, first, last, others, source,
                                                failure, units, callback_url)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(Task, id, kling_id, video_id, external_id, clip,
                                                order, created, starts, ends)

Json task_json(const Task& task) { return Json(nlohmann::json(task)); }

std::optional<Task> read_task(const Json& json) {
  try {
    Task task = nlohmann::json(json).get<Task>();
    if (!task.id.empty() && !task.clip.empty() && task.order.fps > 0) return task;
  } catch (const nlohmann::json::exception&) {
  }
  return std::nullopt;
}

std::uint64_t hash_of(std::string_view text) {
  std::uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  // The low bits of short texts differ little; one round of mixing spreads them.
  hash ^= hash >> 31;
  hash *= 0x9E3779B97F4A7C15u;
  return hash ^ (hash >> 29);
}

}  // namespace kling::sim
