#include "sim/task.h"

namespace kling::sim {
namespace {

bool get(const Json& json, const char* member, std::string& out) {
  out = text_of(json, member);
  return true;
}

template <class Number>
bool get(const Json& json, const char* member, Number& out) {
  const Json* found = member_of(json, member);
  if (found == nullptr || !found->is_number()) return false;
  out = found->get<Number>();
  return true;
}

}  // namespace

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
  switch (state) {
    case State::submitted:
      return "submitted";
    case State::processing:
      return "processing";
    case State::succeed:
      return "succeed";
    case State::failed:
      break;
  }
  return "failed";
}

Json task_json(const Task& task) {
  const Order& o = task.order;
  return {{"id", task.id},
          {"kling_id", task.kling_id},
          {"video_id", task.video_id},
          {"external_id", task.external_id},
          {"clip", task.clip},
          {"created", task.created},
          {"starts", task.starts},
          {"ends", task.ends},
          {"kind", o.kind},
          {"prompt", o.prompt},
          {"model", o.model},
          {"mode", o.mode},
          {"seconds", o.seconds},
          {"sound", o.sound},
          {"width", o.width},
          {"height", o.height},
          {"fps", o.fps},
          {"first", o.first},
          {"last", o.last},
          {"others", o.others},
          {"source", o.source},
          {"failure", o.failure},
          {"units", o.units},
          {"callback_url", o.callback_url}};
}

bool read_task(const Json& json, Task& task) {
  Order& o = task.order;
  const bool numbers = get(json, "created", task.created) && get(json, "starts", task.starts) &&
                       get(json, "ends", task.ends) && get(json, "seconds", o.seconds) &&
                       get(json, "width", o.width) && get(json, "height", o.height) &&
                       get(json, "fps", o.fps) && get(json, "units", o.units);
  if (!numbers || o.fps <= 0) return false;
  get(json, "id", task.id), get(json, "kling_id", task.kling_id);
  get(json, "video_id", task.video_id), get(json, "external_id", task.external_id);
  get(json, "clip", task.clip), get(json, "kind", o.kind), get(json, "prompt", o.prompt);
  get(json, "model", o.model), get(json, "mode", o.mode), get(json, "first", o.first);
  get(json, "last", o.last), get(json, "source", o.source), get(json, "failure", o.failure);
  get(json, "callback_url", o.callback_url);
  const Json* sound = member_of(json, "sound");
  o.sound = sound != nullptr && sound->is_boolean() && sound->get<bool>();
  if (const Json* others = member_of(json, "others"); others != nullptr && others->is_array()) {
    for (const Json& other : *others) {
      if (other.is_string()) o.others.push_back(other.get<std::string>());
    }
  }
  return !task.id.empty() && !task.clip.empty();
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
