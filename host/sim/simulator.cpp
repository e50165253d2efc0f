#include "sim/simulator.h"

#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include <httplib.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/files.h"
#include "sim/auth.h"
#include "sim/callbacks.h"
#include "sim/clips.h"
#include "sim/dialect.h"
#include "sim/faults.h"
#include "sim/relay.h"
#include "sim/store.h"
#include "sim/validate.h"

namespace kling::sim {
namespace {

constexpr int kThreads = 32;  // a waiting render or an idle connection holds one each
constexpr std::size_t kLargestBody = std::size_t{128} << 20;

Error invalid(const std::string& message) {
  Error error;
  error.message = message;
  return error;
}

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

}  // namespace

class Simulator::Service {
 public:
  explicit Service(Options options, const Dialect& dialect)
      : options_(std::move(options)),
        dialect_(dialect),
        temporary_(options_.state_dir.empty()),
        dir_(
            temporary_
                ? (std::filesystem::temp_directory_path() / ("kling-sim-" + random_hex(8))).string()
                : options_.state_dir),
        pictures_(dir_ + "/pictures"),
        clips_(dir_ + "/clips", options_.seed, pictures_,
               [this](const std::string& clip) { return store_->find_clip(clip); }),
        callbacks_(options_.clock, options_.callback_faults,
                   [this](const Task& task, Millis at) { return callback_body(task, at); }) {}

  ~Service() {
    stop();
    std::error_code ignored;
    if (temporary_) std::filesystem::remove_all(dir_, ignored);
  }

  Status start() {
    for (const char* folder : {"/pictures", "/clips"}) {
      if (auto made = make_folders(dir_ + folder); !made) return made;
    }
    auto store = Store::open({options_.state_dir, options_.seed, options_.min_run, options_.max_run,
                              options_.external_lookup, options_.external_unique, options_.slots,
                              options_.units});
    if (!store) return store.error();
    store_ = std::move(*store);
    for (const std::string& line : options_.faults) {
      if (auto added = faults_.add(line); !added) return added;
    }
    return listen();
  }

  void stop() {
    if (stopped_.exchange(true)) return;
    callbacks_.stop();
    // The relay first: a server that waits on an idle connection would wait for its time-out.
    if (relay_) relay_->stop();
    if (thread_.joinable()) {
      server_.stop();
      thread_.join();
    }
    if (store_) store_->note(options_.clock->now());
  }

  int port() const { return relay_->port(); }
  std::string base_url() const {
    const std::string host = options_.host == "0.0.0.0" ? "127.0.0.1" : options_.host;
    return "http://" + host + ":" + std::to_string(port());
  }
  Status add_fault(const std::string& line) { return faults_.add(line); }

  Counters counters() {
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

 private:
  Status listen() {
    int listener = -1;
    server_.set_socket_options([&](socket_t made) { listener = made; });
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_tcp_nodelay(true);
    server_.set_keep_alive_max_count(10'000);
    server_.set_payload_max_length(kLargestBody);
    const auto handle = [this](const httplib::Request& request, httplib::Response& response) {
      this->handle(request, response);
    };
    server_.Get(".*", handle).Post(".*", handle).Put(".*", handle).Delete(".*", handle);
    const int backend = server_.bind_to_any_port("127.0.0.1");
    if (backend <= 0) return invalid("the simulator finds no free port");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // Server::stop() before the server runs would wait for ever.
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // The library's queue of 5 makes bursts wait a second for a second SYN.
    ::listen(listener, 512);
    auto relay = Relay::start(options_.host, options_.port, backend);
    if (!relay) return relay.error();
    relay_ = std::move(*relay);
    return Done{};
  }

  /// One request: finds who answers, and gives the answer or what the fault script makes of it.
  void handle(const httplib::Request& request, httplib::Response& response) {
    if (request.path.rfind("/sim/clips/", 0) == 0) return download(request, response);
    Faults faults;
    Answer answer = route(request, faults);
    if (const FaultKind* instead = faults.replacement()) {
      answer = instead->code != 0 ? error_answer(dialect_, refusal(instead->code), request_id())
                                  : json_answer(Json());
      if (instead->code == 0) answer.body = instead->body;
      answer.status = instead->http;
      answer.header = instead->header;
      answer.header_value = instead->header_value == nullptr ? "" : instead->header_value;
      if (answer.body.rfind("<html", 0) == 0) answer.type = "text/html";
    }
    response.status = answer.status;
    if (answer.header != nullptr && std::string(answer.header) != "Content-Type") {
      response.set_header(answer.header, answer.header_value);
    }
    response.set_content(answer.body, answer.type);
    if (faults.mishap() != Mishap::none) {
      relay_->strike(request.remote_port, faults.mishap(), answer.body.size() / 2);
    }
    if (options_.log) {
      options_.log(request.method + " " + request.path + " " + std::to_string(answer.status));
    }
  }

  Answer route(const httplib::Request& request, Faults& faults) {
    std::vector<std::string> parts = parts_of(request.path);
    if (!parts.empty() && parts[0] == "sim") return control(request);
    if (auto refused = check_authorization({options_.key, options_.access_key, options_.secret_key},
                                           request.get_header_value("Authorization"), real_now())) {
      return refused_answer(*refused);
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
      Answer page = json_answer(Json(), 404);
      page.type = "text/html";
      page.body = "<!doctype html><html><body>404 page not found</body></html>";
      return page;
    }
    if (post && parts.size() == 3) return create(parts[2], request, faults);
    if (get && parts.size() == 4) return query(parts[2], parts[3], faults);
    if (get && parts.size() == 3) return list(parts[2], request);
    return refused_answer(refusal(1202));
  }

  Answer create(const std::string& kind, const httplib::Request& request, Faults& faults) {
    ++creates_;
    faults = faults_.next("create", kind);
    if (faults.lost()) return json_answer(Json());
    const Json body = Json::parse(request.body, nullptr, false);
    const auto checked = validate(kind, body, pictures_, [this](const std::string& url) {
      const std::string clip = Clips::key_of(url);
      return loopback_url(url) && !clip.empty() ? store_->find_clip(clip) : nullptr;
    });
    if (const auto* refused = std::get_if<Refusal>(&checked)) return refused_answer(*refused);
    const Millis now = options_.clock->now();
    const auto made =
        store_->create(std::get<Order>(checked), text_of(body, "external_task_id"),
                       kind == "image2video" ? dialect_.image_ids : dialect_.ids, now);
    if (const auto* refused = std::get_if<Refusal>(&made)) return refused_answer(*refused);
    const Task& task = std::get<Task>(made);
    callbacks_.watch(task);
    return create_answer(dialect_, view_of(task, now, faults));
  }

  Answer query(const std::string& kind, const std::string& id, Faults& faults) {
    ++queries_;
    faults = faults_.next("query", kind);
    const Millis now = options_.clock->now();
    store_->note(now);
    const auto task = store_->find(kind, id);
    if (!task || faults.has("not-exist")) return refused_answer(refusal(1201, "unknown_task", id));
    return query_answer(dialect_, view_of(*task, now, faults));
  }

  Answer list(const std::string& kind, const httplib::Request& request) {
    const Json& limits = contract()["list"];
    const auto number = [&](const char* name, int otherwise, const char* most) {
      const int given = std::atoi(request.get_param_value(name).c_str());
      const int value = request.has_param(name) ? given : otherwise;
      return value < 1 || value > limits[most].get<int>() ? 0 : value;
    };
    const int page = number("pageNum", 1, "max_page");
    const int size = number("pageSize", limits["default_size"].get<int>(), "max_size");
    if (page == 0) return refused_answer(refusal(1201, "value", "pageNum"));
    if (size == 0) return refused_answer(refusal(1201, "value", "pageSize"));
    const std::vector<Task> tasks = store_->list(kind);
    const Faults none;
    Json data = Json::array();
    const std::size_t from = static_cast<std::size_t>(page - 1) * static_cast<std::size_t>(size);
    for (std::size_t i = from; i < tasks.size() && data.size() < static_cast<std::size_t>(size);
         ++i) {
      data.push_back(task_data(view_of(tasks[i], options_.clock->now(), none)));
    }
    return json_answer(
        {{"code", 0}, {"message", "SUCCEED"}, {"request_id", request_id()}, {"data", data}});
  }

  /// GET /tasks?task_ids=a,b of the new design.
  Answer batch(const httplib::Request& request) {
    const std::string name = request.has_param("task_ids") ? "task_ids" : "external_task_ids";
    if (!request.has_param(name.c_str())) {
      Refusal refused = refusal(1201);
      refused.message = "task_ids or external_task_ids is required";
      return refused_answer(refused);
    }
    ++queries_;
    std::string ids = request.get_param_value(name.c_str());
    for (char& c : ids) c = c == ',' ? '/' : c;
    const Faults none;
    Json data = Json::array();
    for (const std::string& id : parts_of(ids)) {
      const auto task = store_->find("", id);
      if (!task) continue;
      const Answer one = query_answer(dialect_, view_of(*task, options_.clock->now(), none));
      data.push_back(Json::parse(one.body)["data"]);
    }
    return json_answer(
        {{"code", 0}, {"message", "SUCCEED"}, {"request_id", request_id()}, {"data", data}});
  }

  Answer control(const httplib::Request& request) {
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

  void download(const httplib::Request& request, httplib::Response& response) {
    ++downloads_;
    const Faults faults = faults_.next("download", "");
    const Millis now = options_.clock->now();
    const std::string clip = Clips::key_of(request.path);
    const auto task = store_->find_clip(clip);
    const auto say = [&](int status, const std::string& why) {
      response.status = status;
      response.set_content(why, "application/octet-stream");
    };
    const Millis purge = Millis{86'400'000} * contract()["retention_days"].get<int>();
    const FaultKind* instead = faults.replacement();
    if (instead != nullptr) {
      if (instead->header != nullptr) response.set_header(instead->header, instead->header_value);
      say(instead->http, instead->body);
    } else if (!clips_.valid(clip, request.get_param_value("Expires"),
                             request.get_param_value("Signature"), now)) {
      say(403, "expired");
    } else if (!task || task->state(now) != State::succeed || now > task->ends + purge) {
      say(404, "gone");
    } else if (const auto file = clips_.file(*task); !file) {
      say(500, file.error().message);
    } else {
      serve(*file, request, response);
    }
    if (faults.mishap() != Mishap::none) {
      relay_->strike(request.remote_port, faults.mishap(), 20'000);
    }
    if (options_.log)
      options_.log("GET /sim/clips/" + clip + ".mp4 " + std::to_string(response.status));
  }

  static void serve(const std::string& path, const httplib::Request& request,
                    httplib::Response& response) {
    const auto size = static_cast<ssize_t>(std::filesystem::file_size(path));
    // The library cuts out the range but does not check it; the request is its own, not const.
    auto& ranges = const_cast<httplib::Request&>(request).ranges;
    for (auto& [first, last] : ranges) {
      if (first >= size) {
        response.status = 416;
        response.set_header("Content-Range", "bytes */" + std::to_string(size));
        ranges.clear();
        return;
      }
      if (last >= size) last = size - 1;
      if (first < 0 && last > size) last = size;
    }
    auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
    response.set_header("Accept-Ranges", "bytes");
    response.set_content_provider(
        static_cast<std::size_t>(size), "video/mp4",
        [file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
          char bytes[64 << 10];
          file->seekg(static_cast<std::streamoff>(offset));
          file->read(bytes, static_cast<std::streamsize>(std::min(length, sizeof bytes)));
          return file->gcount() > 0 && sink.write(bytes, static_cast<std::size_t>(file->gcount()));
        });
  }

  View view_of(const Task& task, Millis now, const Faults& faults) {
    return {task, now, base_url() + clips_.signed_path(task.clip, now + options_.url_life),
            request_id(), faults};
  }

  std::string callback_body(const Task& task, Millis at) {
    const Faults none;
    return json_answer(task_data(view_of(task, at, none))).body;
  }

  Answer refused_answer(const Refusal& refused) {
    return error_answer(dialect_, refused, request_id());
  }

  std::string request_id() {
    const std::string hex =
        sha256_hex(std::to_string(options_.seed) + "#" + std::to_string(++requests_));
    return hex.substr(0, 8) + "-" + hex.substr(8, 4) + "-" + hex.substr(12, 4) + "-" +
           hex.substr(16, 4) + "-" + hex.substr(20, 12);
  }

  /// Tokens carry the client's real time.
  static Millis real_now() {
    return std::chrono::duration_cast<std::chrono::milliseconds>(
               std::chrono::system_clock::now().time_since_epoch())
        .count();
  }

  const Options options_;
  const Dialect& dialect_;
  const bool temporary_;
  const std::string dir_;
  const Pictures pictures_;
  std::unique_ptr<Store> store_;
  FaultScript faults_;
  Clips clips_;
  Callbacks callbacks_;
  std::atomic<int> creates_{0}, queries_{0}, downloads_{0};
  std::atomic<std::uint64_t> requests_{0};
  std::atomic<bool> stopped_{false};
  httplib::Server server_;
  std::unique_ptr<Relay> relay_;
  std::thread thread_;
};

Simulator::Simulator(std::unique_ptr<Service> service) : service_(std::move(service)) {}
Simulator::~Simulator() = default;

Result<std::unique_ptr<Simulator>> Simulator::start(Options options) {
  const Dialect* dialect = find_dialect(options.dialect);
  if (dialect == nullptr) {
    std::string names;
    for (const Dialect& known : dialects()) names += (names.empty() ? "" : ", ") + known.name;
    return invalid("there is no dialect \"" + options.dialect + "\"; there are " + names);
  }
  if (!options.clock) options.clock = make_clock(1.0, 0);
  auto service = std::make_unique<Service>(std::move(options), *dialect);
  if (auto started = service->start(); !started) return started.error();
  return std::unique_ptr<Simulator>(new Simulator(std::move(service)));
}

std::string Simulator::base_url() const { return service_->base_url(); }
int Simulator::port() const { return service_->port(); }
Counters Simulator::counters() const { return service_->counters(); }
Status Simulator::add_fault(const std::string& line) { return service_->add_fault(line); }
void Simulator::stop() { service_->stop(); }

Millis Simulator::saved_time(const std::string& state_dir) { return Store::saved_time(state_dir); }

}  // namespace kling::sim
