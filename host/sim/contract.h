// The documented contract of the service, as data (contract.json, embedded at build; read-only
// after the first use), and its tasks: what was ordered and when it was accepted. Everything else -
// a task's state, its times, what it cost - follows from these and the time. Any thread, never
// blocks.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/clock.h"

namespace kling::sim {

using Json = nlohmann::ordered_json;

/// The file; each endpoint's "rules" are its fields' rules, the shared ones and its own together.
const Json& contract();

/// The path's word for an endpoint that is named in it or in a client's way ("omni"), else "".
std::string endpoint_kind(std::string name);

/// What the service says when it refuses a request at once.
struct Refusal {
  int http = 400;
  int code = 1201;
  std::string message;
};

/// A refusal with the code's own documented text.
Refusal refusal(int code);
/// A refusal with a message of contract.json; its {} becomes `value`.
Refusal refusal(int code, std::string_view message, std::string_view value = {});

/// The member as a string, "" when it is absent or something else.
std::string text_of(const Json& object, const std::string& member);
/// The member, or null when it is absent or `object` is no object. Empty strings count as absent,
/// as the official examples send them.
const Json* member_of(const Json& object, const std::string& member);

/// What is to be generated, after defaults and validation. Pictures are names in the input store
/// ("<sha256>.png"), or "~<hash>" for a URL that was not fetched.
struct Order {
  std::string kind, prompt, model, mode;
  int seconds = 5;
  bool sound = false;
  int width = 1280, height = 720, fps = 24;
  std::string first, last;
  std::vector<std::string> others;
  std::string source;   ///< the clip that is edited: a clip key, "~<hash>", or ""
  std::string failure;  ///< the reason it will fail with, "" when it will succeed
  double units = 0;     ///< price in the service's units
  std::string callback_url;
};

enum class State { submitted, processing, succeed, failed };

struct Task {
  std::string id;        ///< what the client is given
  std::string kling_id;  ///< the id behind a proxy; equal to `id` unless the dialect has its own
  std::string video_id;
  std::string external_id;
  std::string clip;  ///< key of the clip: equal orders differ by their count
  Order order;
  Millis created = 0, starts = 0, ends = 0;

  State state(Millis now) const;
  /// When the state of `now` began.
  Millis updated(Millis now) const;
  /// Pictures in the clip: one more than fps × seconds, as in the service's "5.041" s clips.
  int frames() const { return order.seconds * order.fps + 1; }
  /// The clip's length as the service words it: "5.041".
  std::string duration() const;
};

const char* name(State state);

/// The task behind a clip's key or URL; nothing when there is none.
using TaskFinder = std::function<std::optional<Task>(const std::string&)>;

class Pictures;
/// From a request's body to an order, or to the refusal that the service would answer. REQUIRES:
/// contract()["endpoints"] has `kind`. Blocks on the store of `pictures`.
std::variant<Order, Refusal> validate(const std::string& kind, const Json& body,
                                      const Pictures& pictures, const TaskFinder& task_of);

Json task_json(const Task& task);
/// Nothing when the JSON is not of a task.
std::optional<Task> read_task(const Json& json);

/// A 64-bit hash that is the same on every machine (FNV-1a), for seeded choices.
std::uint64_t hash_of(std::string_view text);

}  // namespace kling::sim
