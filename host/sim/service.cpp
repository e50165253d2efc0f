#include "sim/service.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "base/digest.h"
#include "base/files.h"

namespace kling::sim {
namespace {

const Faults kNoFaults;

std::vector<std::string> split(const std::string& text, char mark) {
  std::vector<std::string> parts;
  std::istringstream stream(text);
  for (std::string part; std::getline(stream, part, mark);)
    if (!part.empty()) parts.push_back(part);
  return parts;
}

/// Why a request with this Authorization header is refused; empty when it is not.
std::optional<Refusal> check_authorization(const Options& options, const std::string& header) {
  const std::string_view bearer = "Bearer ";
  if (header.empty()) return refusal(1001);
  if (!header.starts_with(bearer) || header.size() == bearer.size()) return refusal(1002);
  const std::string token = header.substr(bearer.size());
  if (!options.key.empty() && options.key != token) return refusal(1002);
  return {};
}

}  // namespace

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Counters, creates, queries, downloads, renders, callbacks,
                                   accepted, charged, charged_units, charged_usd,
                                   charges_by_external_id)

/// A request on its way to its answer.
struct Service::Exchange {
  const httplib::Request& request;
  std::vector<std::string> parts;  ///< of the path, without the proxy's prefix
  std::string kind;                ///< of the endpoint, "" for other paths
  Faults faults;
};

Service::Service(Options options, Mix mix)
    : options_(std::move(options)),
      mix_(std::move(mix)),
      dir_(
          !options_.state_dir.empty()
              ? options_.state_dir
              : (std::filesystem::temp_directory_path() / ("kling-sim-" + random_hex(8))).string()),
      clips_dir_(dir_ + (options_.keep_clips ? "/clips" : "/drawn-" + random_hex(8))),
      pictures_(dir_ + "/pictures"),
      clips_(clips_dir_, options_.seed, pictures_,
             [this](const std::string& clip) { return store_->find_clip(clip); }),
      callbacks_(options_.clock, faults_, [this](const Task& task, Millis at) {
        const View view = view_of(task, at, kNoFaults);
        return json_answer(callback_body(mix_.of(task.order.kind), view)).body;
      }) {}

Service::~Service() {
  close();
  std::error_code ignored;
  if (options_.state_dir.empty()) std::filesystem::remove_all(dir_, ignored);
  if (!options_.keep_clips) std::filesystem::remove_all(clips_dir_, ignored);
}

Status Service::open(const std::string& base_url) {
  base_url_ = base_url;
  for (const std::string& folder : {dir_ + "/pictures", clips_dir_})
    if (auto made = make_folders(folder); !made) return made;
  for (const std::string& line : options_.faults)
    if (auto added = faults_.add(line); !added) return added;
  store_ = std::make_unique<Store>(options_, dir_);
  for (const auto& [kind, rules] : contract()["endpoints"].items())
    for (const Task& task : store_->list(kind)) callbacks_.watch(task, options_.clock->now());
  return Done{};
}

void Service::close() {
  callbacks_.stop();
  if (store_) store_->note(options_.clock->now());
}

Counters Service::counters() {
  Counters counters;
  counters.creates = creates_;
  counters.queries = queries_;
  counters.downloads = downloads_;
  counters.renders = clips_.renders();
  counters.callbacks = callbacks_.made();
  store_->count(options_.clock->now(), counters);
  return counters;
}

Answer Service::answer(const httplib::Request& request, Mishap& mishap) {
  Exchange exchange{request, split(request.path, '/'), "", {}};
  auto& parts = exchange.parts;
  if (!parts.empty() && parts[0] == "kling") parts.erase(parts.begin());
  const bool of_endpoint = parts.size() >= 3 && parts.size() <= 4 && parts[0] == "v1" &&
                           parts[1] == "videos" && contract()["endpoints"].contains(parts[2]);
  if (of_endpoint) exchange.kind = parts[2];
  Answer answer = route(exchange);
  if (const FaultKind* instead = exchange.faults.replacement()) {
    answer = instead->code != 0 ? refused(exchange, refusal(instead->code))
                                : Answer{.body = instead->body};
    answer.status = instead->http;
    if (answer.body.starts_with("<html")) answer.type = "text/html";
    answer.header = instead->header;
    answer.header_value = instead->header_value;
  }
  mishap = exchange.faults.mishap();
  if (options_.log)
    options_.log(request.method + " " + request.path + " " + std::to_string(answer.status));
  return answer;
}

Answer Service::route(Exchange& exchange) {
  const httplib::Request& request = exchange.request;
  const auto& parts = exchange.parts;
  if (request.path.starts_with("/sim/clips/")) return clip(exchange);
  if (!parts.empty() && parts[0] == "sim") return control(request);
  if (auto why = check_authorization(options_, request.get_header_value("Authorization")))
    return refused(exchange, *why);
  const bool get = request.method == "GET", post = request.method == "POST";
  if (exchange.kind.empty()) {
    // A path that does not exist is answered by the web site, not by the service.
    return {404, "<!doctype html><html><body>404 page not found</body></html>", "text/html"};
  }
  if (post && parts.size() == 3) return create(exchange);
  if (get && parts.size() == 4) return query(exchange);
  if (get && parts.size() == 3) return list(exchange);
  return refused(exchange, refusal(1202));
}

Answer Service::create(Exchange& exchange) {
  ++creates_;
  exchange.faults = faults_.next("create", exchange.kind);
  if (exchange.faults.lost()) return {};
  const Json body = Json::parse(exchange.request.body, nullptr, false);
  const auto checked = validate(exchange.kind, body, pictures_, [this](const std::string& url) {
    return store_->find_clip(Clips::key_of(url));
  });
  if (const auto* why = std::get_if<Refusal>(&checked)) return refused(exchange, *why);
  const Dialect& dialect = mix_.of(exchange.kind);
  const Millis now = options_.clock->now();
  const auto made =
      store_->create(std::get<Order>(checked), text_of(body, "external_task_id"), dialect.ids, now);
  if (const auto* why = std::get_if<Refusal>(&made)) return refused(exchange, *why);
  const Task& task = std::get<Task>(made);
  callbacks_.watch(task, now);
  return create_answer(dialect, view_of(task, now, exchange.faults));
}

Answer Service::query(Exchange& exchange) {
  ++queries_;
  exchange.faults = faults_.next("query", exchange.kind);
  const Millis now = options_.clock->now();
  store_->note(now);
  const auto task = store_->find(exchange.kind, exchange.parts[3]);
  if (!task || exchange.faults.has("not-exist"))
    return refused(exchange, refusal(1201, "unknown_task", exchange.parts[3]));
  return query_answer(mix_.of(exchange.kind), view_of(*task, now, exchange.faults));
}

Answer Service::list(const Exchange& exchange) {
  const Json& limits = contract()["list"];
  const auto number = [&](const char* name, const Json& otherwise, const char* most) {
    const std::string given = exchange.request.get_param_value(name);
    const int value = given.empty() ? otherwise.get<int>() : std::atoi(given.c_str());
    return value > limits[most].get<int>() ? 0 : std::max(value, 0);
  };
  const int page = number("pageNum", 1, "max_page");
  const int size = number("pageSize", limits["default_size"], "max_size");
  if (page == 0 || size == 0)
    return refused(exchange, refusal(1201, "value", page == 0 ? "pageNum" : "pageSize"));
  const std::vector<Task> tasks = store_->list(exchange.kind);
  Json data = Json::array();
  const auto from = static_cast<std::size_t>(page - 1) * static_cast<std::size_t>(size);
  const auto to = std::min(tasks.size(), from + static_cast<std::size_t>(size));
  for (std::size_t i = from; i < to; ++i) {
    const View view = view_of(tasks[i], options_.clock->now(), kNoFaults);
    data.push_back(list_item(mix_.of(exchange.kind), view));
  }
  return json_answer(
      {{"code", 0}, {"message", "SUCCEED"}, {"request_id", request_id()}, {"data", data}});
}

Answer Service::clip(Exchange& exchange) {
  ++downloads_;
  const httplib::Request& request = exchange.request;
  const Millis now = options_.clock->now();
  const std::string key = Clips::key_of(request.path);
  const auto task = store_->find_clip(key);
  exchange.faults = faults_.next("download", task ? task->order.kind : "");
  const char* type = "application/octet-stream";
  if (!clips_.valid(key, request.get_param_value("Expires"), request.get_param_value("Signature"),
                    now))
    return {403, "expired", type};
  const Millis kept =
      std::max(options_.url_life, Millis{86'400'000} * contract()["retention_days"].get<int>());
  if (!task || task->state(now) != State::succeed || now > task->ends + kept)
    return {404, "gone", type};
  const auto file = clips_.file(*task);
  if (!file) return {500, file.error().message, type};
  return {.type = "video/mp4", .file = *file};
}

Answer Service::control(const httplib::Request& request) {
  if (request.path == "/sim/stats") {
    nlohmann::json stats = counters();
    stats["now"] = options_.clock->now();
    stats["dialect"] = options_.dialect;
    return json_answer(stats);
  }
  if (request.path != "/sim/faults") return json_answer({{"error", "no such control"}}, 404);
  if (request.method == "POST") {
    if (const auto added = faults_.add(request.body); !added)
      return json_answer({{"error", added.error().message}}, 400);
  }
  Json kinds = Json::object();
  for (const FaultKind& kind : fault_kinds()) kinds[kind.name] = kind.doc;
  return json_answer(kinds);
}

Answer Service::refused(const Exchange& exchange, const Refusal& refusal) {
  return error_answer(mix_.of(exchange.kind), refusal, request_id());
}

View Service::view_of(const Task& task, Millis now, const Faults& faults) {
  return {task, now, base_url_ + clips_.signed_path(task.clip, now + options_.url_life),
          request_id(), faults};
}

std::string Service::request_id() {
  std::string id = sha256_hex(std::to_string(options_.seed) + "#" + std::to_string(++requests_));
  id.resize(32);
  for (const std::size_t at : {20, 16, 12, 8}) id.insert(at, "-");
  return id;
}

}  // namespace kling::sim
