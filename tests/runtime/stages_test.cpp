// A host that is destroyed, or reloads its script, at every stage of a request:
// nothing is paid twice and nothing is lost, with and without a ledger file. The service is a hook,
// so that each stage can be held for as long as the test likes.
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <optional>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

/// Takes connections and never answers one.
struct SilentServer {
  SilentServer() : socket(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(socket, 64) == 0);
    REQUIRE(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/clip.mp4";
  }
  ~SilentServer() { ::close(socket); }
  bool was_called() const {
    pollfd wait{socket, POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  }
  int socket;
  std::string url;
};

/// Whether a child of this process runs that program.
bool runs(const std::string& program) {
  std::error_code ignored;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", ignored)) {
    std::ifstream children(task.path() / "children");
    for (std::string child, name; children >> child;) {
      std::ifstream(std::filesystem::path("/proc") / child / "comm") >> name;
      if (name == program) return true;
    }
  }
  return false;
}

enum class Step { preparing, sending, lost, waiting, asking, downloading, done };
constexpr const char* kStages[] = {"preparing", "sending",     "lost", "waiting",
                                   "asking",    "downloading", "done"};

/// Accepts a create once it is let to, and knows it by any id from then on.
struct Service {
  explicit Service(Step until) : stage(until) {}

  Step stage;  ///< where it holds
  SilentServer clips;
  int creates = 0, asked = 0, lookups = 0;
  std::string key;
  std::string looked_up;  ///< the external id that was asked for
  std::vector<Exchange> held;

  void operator()(const kling_request& request, Exchange exchange) {
    key = request.headers[1];
    if (std::string(request.method) == "POST") {
      ++creates;
      if (stage == Step::lost) return exchange.fail(true);
      if (stage == Step::sending) return held.push_back(std::move(exchange));
      return answer(std::move(exchange), "submitted");
    }
    const std::string target = request.target;
    if (!target.ends_with("/77")) looked_up = target.substr(target.rfind('/') + 1);
    if (stage == Step::lost) {
      ++lookups;
      return held.push_back(std::move(exchange));
    }
    ++asked;
    if (stage == Step::asking) return held.push_back(std::move(exchange));
    const bool finished = stage == Step::downloading || stage == Step::done;
    answer(std::move(exchange), finished ? "succeed" : "processing");
  }
  static std::string result(const std::string& url) {
    return R"(,"task_result":{"videos":[{"id":"v","url":")" + url + R"(","duration":"5"}]})";
  }
  void answer(Exchange exchange, const std::string& status) const {
    exchange.answer(200, R"({"code":0,"message":"ok","data":{"task_id":"77","task_status":")" +
                             status + R"(","task_info":{"external_task_id":")" + looked_up +
                             R"("},"created_at":1,"updated_at":1)" +
                             (status == "succeed" ? result(clips.url) : "") + "}}");
  }
  bool reached() const {
    switch (stage) {
      case Step::preparing: return true;
      case Step::sending: return creates > 0;
      case Step::lost: return lookups > 0;
      case Step::waiting: return asked > 1;
      case Step::asking: return asked > 0;
      case Step::downloading: return clips.was_called();
      case Step::done: return asked > 0;
    }
    return true;
  }
  /// From now on all goes well; what was held is answered late.
  void go_on() {
    stage = Step::done;
    for (Exchange& exchange : std::exchange(held, {})) answer(std::move(exchange), "submitted");
  }
};

HostOptions options_of(Service& service, const std::string& ledger) {
  HostOptions options;
  options.base_url = "http://127.0.0.1:1";  // the hook stands before it; clips may be local, too
  options.key = "sk-first";
  options.ledger = ledger;
  options.poll = 0.01;
  options.send = [&service](const kling_request& request, Exchange exchange) {
    service(request, std::move(exchange));
  };
  return options;
}

constexpr const char* kScript =
    "local kling = require 'kling' kling.configure { key = KEY }\n"
    "local job = kling.text2video { prompt = 'once' } return job:wait().job.id";

void start(Host& host, const Service& service) {
  REQUIRE(host.set("KEY", "\"sk-first\""));
  REQUIRE(host.run("film.lua", kScript) != 0);
  CHECK(until(host, [&] { return service.reached(); }));
}
void check_finishes(Host& host, Service& service, const char* key) {
  host.set("KEY", key);
  const auto task = host.run("film.lua", kScript);
  REQUIRE(task != 0);
  host.tick(0);
  service.go_on();
  CHECK(until(host, [&] { return !host.running(task); }));
  CHECK(host.result(task) == "[\"77\"]");
  CHECK(service.creates == 1);
}

}  // namespace

TEST_CASE("a host that is destroyed at any stage of a request pays once") {
  for (const auto stage : {Step::preparing, Step::sending, Step::lost, Step::waiting, Step::asking,
                           Step::downloading, Step::done}) {
    INFO(std::string(kStages[static_cast<int>(stage)]));
    const TempFolder folder;
    Service service(stage);
    std::optional<Host> host(options_of(service, folder / "ledger.db"));
    REQUIRE(*host);
    start(*host, service);
    host.reset();  // how long it takes is measured in ./dev bench
    Host next(options_of(service, folder / "ledger.db"));
    check_finishes(next, service, "\"sk-first\"");
  }
}

TEST_CASE("a script that is reloaded at any stage of a request goes on and pays once") {
  for (const bool file : {true, false})
    for (const auto stage : {Step::preparing, Step::sending, Step::lost, Step::waiting,
                             Step::asking, Step::downloading, Step::done}) {
      INFO(std::string(kStages[static_cast<int>(stage)]));
      CAPTURE(file);
      const TempFolder folder;
      Service service(stage);
      Host host(options_of(service, file ? folder / "ledger.db" : ":memory:"));
      start(host, service);
      REQUIRE(host.reload());
      REQUIRE(host.reload());
      check_finishes(host, service, "\"sk-second\"");
      if (stage != Step::downloading && stage != Step::done)
        CHECK(service.key == "Bearer sk-second");
    }
}

TEST_CASE("a request that needs a decision still does after a reload and is not sent again") {
  for (const bool file : {true, false}) {
    CAPTURE(file);
    const TempFolder folder;
    int creates = 0;
    HostOptions options;
    options.key = "k";
    options.ledger = file ? folder / "ledger.db" : ":memory:";
    options.send = [&](const kling_request& request, Exchange exchange) {
      if (std::string(request.method) == "POST") return ++creates, exchange.fail(true);
      exchange.answer(404, R"({"code":1203,"message":"no such task"})");
    };
    Host host(std::move(options));
    for (int i = 0; i < 3; ++i) {
      const Json result = run(host,
                              "local kling = require 'kling' kling.configure { patience = 0 }\n"
                              "kling.text2video { prompt = 'x' }:wait()");
      CHECK(result["error"]["kind"] == "ambiguous");
      REQUIRE(host.reload());
    }
    CHECK(creates == 1);
  }
}

TEST_CASE("a host that is destroyed while ffmpeg works does not wait for it") {
  const TempFolder folder;
  const std::string picture = folder / "a.png";
  REQUIRE(std::system(
              ("ffmpeg -v error -f lavfi -i color=red:s=640x360 -frames:v 1 " + picture).c_str()) ==
          0);
  Service service(Step::preparing);
  std::optional<Host> host(options_of(service, ":memory:"));
  const std::string film = folder / "film.mp4";
  const auto task =
      host->run("film.lua", "local kling = require 'kling' kling.concat({ kling.still('" + picture +
                                "', { seconds = 3600 }) }, '" + film + "')");
  CHECK(until(*host, [&] { return runs("ffmpeg"); }));
  INFO(host->result(task));
  CHECK(host->pending() == 1);
  host.reset();  // a film of an hour is not waited for
}

TEST_CASE("finalizers and closing variables that call everything after close began do no harm") {
  const std::string script = R"(
    local kling = require "kling"
    local job = kling.text2video { prompt = "x" }
    local clip = kling.image("a.png")
    local task = kling.spawn(function()
      local _ <close> = setmetatable({}, { __close = function() pcall(job.wait, job) end })
      kling.sleep(1000)
    end)
    local function everything()
      for _, f in pairs(kling) do
        if type(f) == "function" then
          for _, a in ipairs { {}, { {} }, { "x" }, { job }, { task }, { { prompt = "late" } } } do
            pcall(f, table.unpack(a))
          end
        end
      end
      for _, o in ipairs { job, task, clip } do
        pcall(tostring, o)
        for _, name in ipairs { "wait", "accepted", "cancel", "save", "handle", "path", "state" } do
          local ok, f = pcall(function() return o[name] end)
          if ok and type(f) == "function" then pcall(f, o, "x") end
        end
      end
    end
    KEEP = setmetatable({}, { __gc = everything })
    for i = 1, 5 do KEEP = { KEEP, setmetatable({}, { __gc = everything }) } end
    coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = everything })
      job:wait()
    end)())";
  for (const bool reload : {false, true}) {
    CAPTURE(reload);
    Service service(Step::sending);
    Host host(options_of(service, ":memory:"));
    REQUIRE(host.run("film.lua", script) != 0);
    CHECK(until(host, [&] { return service.creates == 1; }));
    if (reload) CHECK(host.reload());
    host = Host();
    CHECK(service.creates == 1);
    service.go_on();  // each exchange is ended once, also after its host
  }
}
