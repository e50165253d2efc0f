#include "sim/service.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>

#include "base/digest.h"
#include "base/files.h"
#include "sim/auth.h"
#include "sim/validate.h"

namespace kling::sim {
namespace {

bool loopback_url(const std::string& url) {
  return url.rfind("http://127.0.0.1", 0) == 0 || url.rfind("http://localhost", 0) == 0;
}

std::vector<std::string> parts_of(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < path.size();) {
    const auto end = std::min(path.find('/', at), path.size());
    if (end > at) parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return parts;
}

Answer plain_answer(int status, const char* type, const std::string& body) {
  Answer answer;
  answer.status = status;
  answer.type = type;
  answer.body = body;
  return answer;
}

/// Tokens carry the client's real time.
Millis real_now() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

std::string folder_of(const Options& options) {
  if (!options.state_dir.empty()) return options.state_dir;
  return (std::filesystem::temp_directory_path() / ("kling-sim-" + random_hex(8))).string();
}

}  // namespace

Service::Service(Options options, const Dialect& dialect)
    : options_(std::move(options)),
      dialect_(dialect),
      temporary_(options_.state_dir.empty()),
      dir_(folder_of(options_)),
      pictures_(dir_ + "/pictures"),
      clips_(dir_ + "/clips", options_.seed, pictures_,
             [this](const std::string& clip) { return store_->find_clip(clip); }),
      callbacks_(options_.clock, options_.callback_faults, [this](const Task& task, Millis at) {
        const Faults none;
        return json_answer(task_data(view_of(task, at, none))).body;
      }) {}

Service::~Service() {
  close();
  std::error_code ignored;
  if (temporary_) std::filesystem::remove_all(dir_, ignored);
}

Status Service::open(const std::string& base_url) {
  base_url_ = base_url;
  for (const char* folder : {"/pictures", "/clips"}) {
    if (auto made = make_folders(dir_ + folder); !made) return made;
  }
  const Options& o = options_;
  auto store = Store::open({o.state_dir, o.seed, o.min_run, o.max_run, o.external_lookup,
                            o.external_unique, o.slots, o.units});
  if (!store) return store.error();
  store_ = std::move(*store);
  for (const std::string& line : options_.faults) {
    if (auto added = faults_.add(line); !added) return added;
  }
  return Done{};
}

void Service::close() {
  callbacks_.stop();
  if (store_) store_->note(options_.clock->now());
}

Counters Service::counters() {
  const Bill bill = store_->bill(options_.clock->now());
  Counters counters;
  counters.creates = creates_;
  counters.queries = queries_;
  counters.downloads = downloads_;
  counters.renders = clips_.renders();
  counters.callbacks = callbacks_.made();
  counters.accepted = bill.accepted;
  counters.charged = bill.charged;
  counters.charged_units = bill.units;
  counters.charged_usd = bill.units * contract()["prices"]["usd_per_unit"].get<double>();
  counters.charges_by_external_id = bill.by_external_id;
  return counters;
}

Answer Service::answer(const Request& request, Mishap& mishap) {
  Faults faults;
  Answer answer = route(request, faults);
  if (const FaultKind* instead = faults.replacement()) {
    answer = instead->code != 0 ? refused(refusal(instead->code))
                                : plain_answer(0, "application/json; charset=utf-8", instead->body);
    answer.status = instead->http;
    if (answer.body.rfind("<html", 0) == 0) answer.type = "text/html";
    answer.header = instead->header;
    if (instead->header != nullptr) answer.header_value = instead->header_value;
  }
  mishap = faults.mishap();
  if (options_.log) {
    options_.log(request.method + " " + request.path + " " + std::to_string(answer.status));
  }
  return answer;
}

Answer Service::route(const Request& request, Faults& faults) {
  std::vector<std::string> parts = parts_of(request.path);
  if (request.path.rfind("/sim/clips/", 0) == 0) return clip(request, faults);
  if (!parts.empty() && parts[0] == "sim") return control(request);
  if (auto refusal_of =
          check_authorization({options_.key, options_.access_key, options_.secret_key},
                              request.authorization, real_now())) {
    return refused(*refusal_of);
  }
  if (!parts.empty() && parts[0] == "kling") parts.erase(parts.begin());
  const bool get = request.method == "GET", post = request.method == "POST";
  if (parts == std::vector<std::string>{"tasks"} && get && dialect_.create == Shape::fresh) {
    return batch(request);
  }
  const bool known = parts.size() >= 3 && parts.size() <= 4 && parts[0] == "v1" &&
                     parts[1] == "videos" && contract()["endpoints"].contains(parts[2]);
  if (!known) {
    // A path that does not exist is answered by the web site, not by the service.
    return plain_answer(404, "text/html",
                        "<!doctype html><html><body>404 page not found</body></html>");
  }
  if (post && parts.size() == 3) return create(parts[2], request, faults);
  if (get && parts.size() == 4) return query(parts[2], parts[3], faults);
  if (get && parts.size() == 3) return list(parts[2], request);
  return refused(refusal(1202));
}

Answer Service::create(const std::string& kind, const Request& request, Faults& faults) {
  ++creates_;
  faults = faults_.next("create", kind);
  if (faults.lost()) return json_answer(Json());
  const Json body = Json::parse(request.body, nullptr, false);
  const auto checked = validate(kind, body, pictures_, [this](const std::string& url) {
    const std::string clip = Clips::key_of(url);
    return loopback_url(url) && !clip.empty() ? store_->find_clip(clip) : nullptr;
  });
  if (const auto* why = std::get_if<Refusal>(&checked)) return refused(*why);
  const Millis now = options_.clock->now();
  const auto made = store_->create(std::get<Order>(checked), text_of(body, "external_task_id"),
                                   kind == "image2video" ? dialect_.image_ids : dialect_.ids, now);
  if (const auto* why = std::get_if<Refusal>(&made)) return refused(*why);
  const Task& task = std::get<Task>(made);
  callbacks_.watch(task);
  return create_answer(dialect_, view_of(task, now, faults));
}

Answer Service::query(const std::string& kind, const std::string& id, Faults& faults) {
  ++queries_;
  faults = faults_.next("query", kind);
  const Millis now = options_.clock->now();
  store_->note(now);
  const auto task = store_->find(kind, id);
  if (!task || faults.has("not-exist")) return refused(refusal(1201, "unknown_task", id));
  return query_answer(dialect_, view_of(*task, now, faults));
}

Answer Service::list(const std::string& kind, const Request& request) {
  const Json& limits = contract()["list"];
  const auto number = [&](const char* name, int otherwise, const char* most) {
    const int given = std::atoi(request.param(name).c_str());
    const int value = request.has(name) ? given : otherwise;
    return value < 1 || value > limits[most].get<int>() ? 0 : value;
  };
  const int page = number("pageNum", 1, "max_page");
  const int size = number("pageSize", limits["default_size"].get<int>(), "max_size");
  if (page == 0) return refused(refusal(1201, "value", "pageNum"));
  if (size == 0) return refused(refusal(1201, "value", "pageSize"));
  const std::vector<Task> tasks = store_->list(kind);
  const Faults none;
  Json data = Json::array();
  const std::size_t from = static_cast<std::size_t>(page - 1) * static_cast<std::size_t>(size);
  for (std::size_t i = from; i < tasks.size() && data.size() < static_cast<std::size_t>(size);
       ++i) {
    data.push_back(task_data(view_of(tasks[i], options_.clock->now(), none)));
  }
  return data_answer(data);
}

Answer Service::batch(const Request& request) {
  const std::string name = request.has("task_ids") ? "task_ids" : "external_task_ids";
  if (!request.has(name.c_str())) {
    Refusal missing = refusal(1201);
    missing.message = "task_ids or external_task_ids is required";
    return refused(missing);
  }
  ++queries_;
  std::string ids = request.param(name.c_str());
  for (char& c : ids) c = c == ',' ? '/' : c;
  const Faults none;
  Json data = Json::array();
  for (const std::string& id : parts_of(ids)) {
    const auto task = store_->find("", id);
    if (!task) continue;
    const Answer one = query_answer(dialect_, view_of(*task, options_.clock->now(), none));
    data.push_back(Json::parse(one.body)["data"]);
  }
  return data_answer(data);
}

Answer Service::clip(const Request& request, Faults& faults) {
  ++downloads_;
  faults = faults_.next("download", "");
  const Millis now = options_.clock->now();
  const std::string key = Clips::key_of(request.path);
  const char* type = "application/octet-stream";
  if (!clips_.valid(key, request.param("Expires"), request.param("Signature"), now)) {
    return plain_answer(403, type, "expired");
  }
  const auto task = store_->find_clip(key);
  const Millis kept = Millis{86'400'000} * contract()["retention_days"].get<int>();
  if (!task || task->state(now) != State::succeed || now > task->ends + kept) {
    return plain_answer(404, type, "gone");
  }
  const auto file = clips_.file(*task);
  if (!file) return plain_answer(500, type, file.error().message);
  Answer answer = plain_answer(200, "video/mp4", "");
  answer.file = *file;
  return answer;
}

Answer Service::control(const Request& request) {
  if (request.path == "/sim/stats") {
    const Counters c = counters();
    return json_answer({{"creates", c.creates},
                        {"queries", c.queries},
                        {"downloads", c.downloads},
                        {"renders", c.renders},
                        {"callbacks", c.callbacks},
                        {"accepted", c.accepted},
                        {"charged", c.charged},
                        {"charged_units", c.charged_units},
                        {"charged_usd", c.charged_usd},
                        {"charges_by_external_id", c.charges_by_external_id},
                        {"now", options_.clock->now()},
                        {"dialect", dialect_.name}});
  }
  if (request.path != "/sim/faults") return json_answer({{"error", "no such control"}}, 404);
  if (request.method == "POST") {
    std::string lines = request.body;
    for (std::size_t at = 0; at < lines.size();) {
      const auto end = std::min(lines.find('\n', at), lines.size());
      const auto added = faults_.add(lines.substr(at, end - at));
      if (!added) return json_answer({{"error", added.error().message}}, 400);
      at = end + 1;
    }
  }
  Json kinds = Json::object();
  for (const FaultKind& kind : fault_kinds()) kinds[kind.name] = kind.doc;
  return json_answer(kinds);
}

Answer Service::data_answer(const Json& data) {
  return json_answer(
      {{"code", 0}, {"message", "SUCCEED"}, {"request_id", request_id()}, {"data", data}});
}

View Service::view_of(const Task& task, Millis now, const Faults& faults) {
  return {task, now, base_url_ + clips_.signed_path(task.clip, now + options_.url_life),
          request_id(), faults};
}

std::string Service::request_id() {
  const std::string hex =
      sha256_hex(std::to_string(options_.seed) + "#" + std::to_string(++requests_));
  return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
         hex.substr(16, 4) + "-" + hex.substr(20, 12);
}

}  // namespace kling::sim
