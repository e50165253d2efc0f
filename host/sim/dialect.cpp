#include "sim/dialect.h"

#include <algorithm>
#include <cctype>
#include <cstdio>

namespace kling::sim {
namespace {

State state_of(const View& view) {
  const State state = view.task.state(view.now);
  if (!view.faults.has("backwards")) return state;
  return state == State::succeed || state == State::failed ? State::processing : State::submitted;
}

std::string decimal(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
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

Json native(const View& view) {
  return {{"code", 0},
          {"message", "SUCCEED"},
          {"request_id", view.request_id},
          {"data", task_data(view)}};
}

const char* wrapper_status(State state) {
  switch (state) {
    case State::submitted:
      return "SUBMITTED";
    case State::processing:
      return "IN_PROGRESS";
    case State::succeed:
      return "SUCCESS";
    case State::failed:
      break;
  }
  return "FAILURE";
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
Json wrapped(const View& view, bool nested) {
  const Task& task = view.task;
  const State state = state_of(view);
  const bool ended = state == State::succeed || state == State::failed;
  const bool moved_url = view.faults.has("fail-reason-url") && state == State::succeed;
  std::string status = wrapper_status(state);
  if (view.faults.has("disagree")) status = state == State::succeed ? "IN_PROGRESS" : "FAILURE";
  std::string action = task.order.kind;
  for (char& c : action) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  Json inner = task_data(view);
  if (moved_url) inner["task_result"] = Json::object();
  if (nested) inner = {{"code", 0}, {"message", "SUCCEED"}, {"data", inner}};
  if (view.faults.has("string-body")) inner = inner.dump();
  return {{"code", "success"},
          {"message", ""},
          {"data",
           {{"task_id", task.id},
            {"platform", "kling"},
            {"action", action},
            {"status", status},
            {"fail_reason", moved_url                ? view.url
                            : state == State::failed ? task.order.failure
                                                     : ""},
            {"submit_time", task.created / 1000},
            {"start_time", state == State::submitted ? 0 : task.starts / 1000},
            {"finish_time", ended ? task.ends / 1000 : 0},
            {"progress", progress(view, state)},
            {"data", inner}}}};
}

Json fresh(const View& view) {
  const Task& task = view.task;
  const State state = state_of(view);
  std::string word = state == State::succeed ? "succeeded" : name(state);
  if (view.faults.has("unknown-word")) word = "rendering";
  Json data = {{"id", task.id},
               {"status", word},
               {"message", state == State::failed ? task.order.failure : ""},
               {"create_time", task.created},
               {"update_time", task.updated(view.now)},
               {"external_id", task.external_id},
               {"outputs", Json::array()}};
  if (state == State::succeed) {
    for (const Json& video : videos(view)) {
      Json output = {{"type", "video"}};
      output.update(video);
      data["outputs"].push_back(output);
    }
    Json bill = {
        {"charge_type", "unit"}, {"amount", decimal(task.order.units)}, {"package_type", "video"}};
    data["billing"] = Json::array({bill});
  }
  return {{"code", 0}, {"message", "SUCCEED"}, {"request_id", view.request_id}, {"data", data}};
}

Answer worded(Shape shape, const View& view) {
  // Only a wrapper has an outer and an inner state, and a place for a string or a reason.
  const Faults& faults = view.faults;
  if (shape == Shape::native &&
      (faults.has("disagree") || faults.has("string-body") || faults.has("fail-reason-url"))) {
    shape = Shape::wrapped;
  }
  Json body = shape == Shape::native  ? native(view)
              : shape == Shape::fresh ? fresh(view)
                                      : wrapped(view, shape == Shape::nested);
  if (faults.has("nulls")) null_out(body);
  return json_answer(body);
}

}  // namespace

const std::vector<Dialect>& dialects() {
  static const std::vector<Dialect> all = {
      {"native", "Kling's own bodies throughout", Shape::native, Shape::native, Shape::native,
       false, "", ""},
      {"wrapped", "Kling's at create; queries in a proxy's wrapper", Shape::native, Shape::wrapped,
       Shape::wrapped, false, "", ""},
      {"comet", "as CometAPI: only the omni query is wrapped; image2video has ids of its own",
       Shape::native, Shape::native, Shape::wrapped, false, "", "proxy"},
      {"newapi", "as new-api: ids task_…, queries wrapped twice, errors without Kling's codes",
       Shape::native, Shape::nested, Shape::nested, true, "task", "task"},
      {"kling-new", "Kling's design of 2026: status, outputs", Shape::fresh, Shape::fresh,
       Shape::fresh, false, "", ""},
  };
  return all;
}

const Dialect* find_dialect(const std::string& name) {
  for (const Dialect& dialect : dialects()) {
    if (dialect.name == name) return &dialect;
  }
  return nullptr;
}

Json task_data(const View& view) {
  const Task& task = view.task;
  const State state = state_of(view);
  const bool ended = state == State::succeed || state == State::failed;
  Json info = Json::object(), result = Json::object();
  if (!task.external_id.empty()) info["external_task_id"] = task.external_id;
  if (state == State::succeed) result["videos"] = videos(view);
  Json data = {{"task_id", task.kling_id},
               {"task_status", view.faults.has("unknown-word") ? "rendering" : name(state)},
               {"task_status_msg", state == State::failed ? task.order.failure : ""},
               {"task_info", info},
               {"created_at", task.created},
               {"updated_at", task.updated(view.now)},
               {"task_result", result}};
  if (ended) {
    data["final_unit_deduction"] = decimal(state == State::failed ? 0 : task.order.units);
  }
  return data;
}

Answer json_answer(const Json& body, int status) {
  Answer answer;
  answer.status = status;
  answer.body = body.dump(-1, ' ', false, Json::error_handler_t::replace);
  return answer;
}

Answer create_answer(const Dialect& dialect, const View& view) {
  if (dialect.create != Shape::native) return worded(dialect.create, view);
  Json body = native(view);
  const bool own_id = view.task.id != view.task.kling_id;
  body["data"]["task_id"] = view.task.id;
  body["data"].erase("task_result");
  body["data"].erase("task_status_msg");
  if (own_id) body["message"] = "success";
  if (dialect.proxy_errors) body["task_id"] = view.task.id;
  if (view.faults.has("nulls")) null_out(body);
  return json_answer(body);
}

Answer query_answer(const Dialect& dialect, const View& view) {
  const bool omni = view.task.order.kind == "omni-video";
  const Shape shape = omni ? dialect.omni_query : dialect.query;
  if (shape != Shape::native || view.task.id == view.task.kling_id) return worded(shape, view);
  Task own = view.task;  // a pass-through proxy puts its own id into Kling's body
  own.kling_id = own.id;
  return worded(shape, View{own, view.now, view.url, view.request_id, view.faults});
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
  Json body = {{"code", "task_failed"}, {"message", refusal.message}, {"data", nullptr}};
  if (refusal.message.rfind("Task not found", 0) == 0)
    body["code"] = body["message"] = "task_not_exist";
  if (refusal.http == 429) {
    body["code"] = "fail_to_fetch_task";
    body["message"] = "当前分组上游负载已饱和，请稍后再试";
  }
  return json_answer(body, refusal.http);
}

}  // namespace kling::sim
