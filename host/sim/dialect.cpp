#include "sim/dialect.h"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace kling::sim {
namespace {

State state_of(const View& view) {
  const State state = view.task.state(view.now);
  if (!view.faults.has("backwards")) return state;
  return state == State::succeed || state == State::failed ? State::processing : State::submitted;
}

bool ended(State state) { return state == State::succeed || state == State::failed; }

/// Why a failed task failed; "" of any other.
std::string reason(const View& view, State state) {
  return state == State::failed ? view.task.order.failure : "";
}

std::string units(const View& view, State state) {
  return printed("%.4g", state == State::failed ? 0 : view.task.order.units);
}

/// The fields that real answers leave null, set to null wherever they are.
void null_out(Json& json) {
  for (auto& [key, value] : json.items()) {
    const bool optional = key == "task_info" || key == "task_result" || key == "task_status_msg" ||
                          key == "request_id" || key == "fail_reason" || key == "message";
    if (optional) {
      value = nullptr;
    } else if (value.is_structured()) {
      null_out(value);
    }
  }
}

Json videos(const View& view) {
  Json list = Json::array();
  if (view.faults.has("empty-first")) list.push_back({{"id", ""}, {"url", ""}, {"duration", "0"}});
  list.push_back(
      {{"id", view.task.video_id}, {"url", view.url}, {"duration", view.task.duration()}});
  return list;
}

/// Kling's own object of a task that the asker knows by `id`.
Json task_data(const View& view, const std::string& id) {
  const Task& task = view.task;
  const State state = state_of(view);
  Json info = Json::object(), result = Json::object();
  if (!task.external_id.empty()) info["external_task_id"] = task.external_id;
  if (state == State::succeed) result["videos"] = videos(view);
  Json data = {{"task_id", id},
               {"task_status", view.faults.has("unknown-word") ? "rendering" : name(state)},
               {"task_status_msg", reason(view, state)},
               {"task_info", info},
               {"created_at", task.created},
               {"updated_at", task.updated(view.now)},
               {"task_result", result}};
  if (ended(state)) data["final_unit_deduction"] = units(view, state);
  return data;
}

std::string progress(const View& view, State state) {
  if (state == State::submitted) return "0%";
  if (state != State::processing) return "100%";
  const Task& task = view.task;
  const Millis share =
      100 * (view.now - task.starts) / std::max<Millis>(1, task.ends - task.starts);
  return std::to_string(std::clamp<Millis>(share, 1, 99)) + "%";
}

/// The proxy's own record of the task; times in seconds, unlike those inside.
Json record(const View& view, bool nested) {
  const Task& task = view.task;
  const State state = state_of(view);
  const bool moved_url = view.faults.has("fail-reason-url") && state == State::succeed;
  constexpr const char* kWords[] = {"SUBMITTED", "IN_PROGRESS", "SUCCESS", "FAILURE"};
  std::string status = kWords[static_cast<int>(state)];
  if (view.faults.has("disagree")) status = state == State::succeed ? "IN_PROGRESS" : "FAILURE";
  if (view.faults.has("unknown-word")) status = "RENDERING";
  std::string action = task.order.kind;
  for (char& c : action) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  Json inner = task_data(view, task.kling_id);
  if (moved_url) inner["task_result"] = Json::object();
  if (nested) inner = {{"code", 0}, {"message", "SUCCEED"}, {"data", inner}};
  if (view.faults.has("string-body")) inner = inner.dump();
  return {{"task_id", task.id},
          {"platform", "kling"},
          {"action", action},
          {"status", status},
          {"fail_reason", moved_url ? view.url : reason(view, state)},
          {"submit_time", task.created / 1000},
          {"start_time", state == State::submitted ? 0 : task.starts / 1000},
          {"finish_time", ended(state) ? task.ends / 1000 : 0},
          {"progress", progress(view, state)},
          {"data", inner}};
}

Json fresh_data(const View& view) {
  const Task& task = view.task;
  const State state = state_of(view);
  const std::string word = state == State::succeed ? "succeeded" : name(state);
  Json data = {{"id", task.id},
               {"status", view.faults.has("unknown-word") ? "rendering" : word},
               {"message", reason(view, state)},
               {"create_time", task.created},
               {"update_time", task.updated(view.now)},
               {"external_id", task.external_id},
               {"outputs", Json::array()}};
  if (state != State::succeed) return data;
  for (const Json& video : videos(view)) {
    Json output = {{"type", "video"}};
    output.update(video);
    data["outputs"].push_back(output);
  }
  data["billing"] = Json::array(
      {{{"charge_type", "unit"}, {"amount", units(view, state)}, {"package_type", "video"}}});
  return data;
}

Json worded(const Dialect& dialect, Shape shape, const View& view) {
  // Only a wrapper has an outer and an inner state, and a place for a string or a reason.
  const Faults& faults = view.faults;
  if (shape == Shape::native &&
      (faults.has("disagree") || faults.has("string-body") || faults.has("fail-reason-url"))) {
    shape = Shape::wrapped;
  }
  const bool wrapper = shape == Shape::wrapped || shape == Shape::nested;
  if (wrapper)
    return {{"code", "success"}, {"message", ""}, {"data", record(view, shape == Shape::nested)}};
  return {{"code", 0},
          {"message", dialect.relayed ? "success" : "SUCCEED"},
          {"request_id", dialect.relayed ? view.task.id : view.request_id},
          {"data", shape == Shape::fresh ? fresh_data(view) : task_data(view, view.task.id)}};
}

Answer task_answer(Json body, const View& view) {
  if (view.faults.has("nulls")) null_out(body);
  return json_answer(body);
}

}  // namespace

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> all = {
      {"native", "Kling's own bodies throughout"},
      {"wrapped", "Kling's at create; queries in a proxy's wrapper", Shape::native, Shape::wrapped},
      {"relayed", "Kling's bodies, passed on by a proxy with its own message and request_id",
       Shape::native, Shape::native, Ids::kling, true},
      {"own-ids", "as relayed, with task ids of the proxy's own", Shape::native, Shape::native,
       Ids::proxy, true},
      {"newapi", "as new-api: ids task_…, queries wrapped twice, errors without Kling's codes",
       Shape::native, Shape::nested, Ids::task, false, true},
      {"kling-new", "Kling's design of 2026: status, outputs", Shape::fresh, Shape::fresh},
      {.name = "comet",
       .doc = "as CometAPI in March 2026: `native,image2video=own-ids,omni=wrapped`",
       .mix = "native,image2video=own-ids,omni=wrapped"},
      {.name = "comet-april",
       .doc = "as CometAPI in April 2026: `native,image2video=own-ids,omni=relayed`",
       .mix = "native,image2video=own-ids,omni=relayed"},
  };
  return all;
}

Result<Mix> Mix::read(const std::string& words) {
  const auto wrong = [&](const std::string& why) {
    std::string names;
    for (const Dialect& known : dialects())
      names += (names.empty() ? "" : ", ") + std::string(known.name);
    return Error{.message = why,
                 .hint = "there are " + names + "; one endpoint's: native,omni=wrapped"};
  };
  Mix mix;
  std::istringstream stream("native," + words);
  for (std::string word; std::getline(stream, word, ',');) {
    const auto equals = word.find('=');
    const std::string called = word.substr(equals == std::string::npos ? 0 : equals + 1);
    const auto found = std::find_if(dialects().begin(), dialects().end(),
                                    [&](const Dialect& known) { return called == known.name; });
    if (found == dialects().end()) return wrong("there is no dialect \"" + called + "\"");
    const Mix inner = found->mix != nullptr ? *read(found->mix) : Mix();
    const auto set = [&](const std::string& kind) {
      mix.by_kind_[kind] = found->mix != nullptr ? &inner.of(kind) : &*found;
    };
    if (equals != std::string::npos) {
      const std::string kind = endpoint_kind(word.substr(0, equals));
      if (kind.empty()) return wrong("there is no endpoint \"" + word.substr(0, equals) + "\"");
      set(kind);
      continue;
    }
    set("");
    for (const auto& [kind, rules] : contract()["endpoints"].items()) set(kind);
  }
  return mix;
}

const Dialect& Mix::of(const std::string& kind) const {
  const auto found = by_kind_.find(kind);
  return *(found == by_kind_.end() ? by_kind_.at("") : found->second);
}

Answer json_answer(const Json& body, int status) {
  return {status, body.dump(-1, ' ', false, Json::error_handler_t::replace)};
}

Answer create_answer(const Dialect& dialect, const View& view) {
  if (dialect.create != Shape::native)
    return task_answer(worded(dialect, dialect.create, view), view);
  Json body = {{"code", 0},
               {"message", dialect.ids == Ids::kling ? "SUCCEED" : "success"},
               {"request_id", view.request_id},
               {"data", task_data(view, view.task.id)}};
  body["data"].erase("task_result");
  body["data"].erase("task_status_msg");
  if (dialect.proxy_errors) body["task_id"] = view.task.id;
  return task_answer(body, view);
}

Answer query_answer(const Dialect& dialect, const View& view) {
  return task_answer(worded(dialect, dialect.query, view), view);
}

Json list_item(const Dialect& dialect, const View& view) {
  return worded(dialect, dialect.query, view)["data"];
}

Json callback_body(const Dialect& dialect, const View& view) {
  return dialect.query == Shape::fresh ? fresh_data(view) : task_data(view, view.task.kling_id);
}

Answer error_answer(const Dialect& dialect, const Refusal& refusal, const std::string& request_id) {
  if (!dialect.proxy_errors) {
    Json body = {{"code", refusal.code}, {"message", refusal.message}};
    if (refusal.code != 1001) body["request_id"] = request_id;
    if (refusal.http == 400) body["data"] = nullptr;
    return json_answer(body, refusal.http);
  }
  if (refusal.http == 401) {
    return json_answer({{"error",
                         {{"code", ""},
                          {"message", "invalid token (request id: " + request_id + ")"},
                          {"type", "comet_api_error"}}}},
                       401);
  }
  const bool busy = refusal.http == 429, unknown = refusal.message.starts_with("Task not found");
  return json_answer({{"code", busy      ? "fail_to_fetch_task"
                               : unknown ? "task_not_exist"
                                         : "task_failed"},
                      {"message", busy      ? "当前分组上游负载已饱和，请稍后再试"
                                  : unknown ? "task_not_exist"
                                            : refusal.message},
                      {"data", nullptr}},
                     refusal.http);
}

}  // namespace kling::sim
