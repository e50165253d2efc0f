// Nothing is waited for in vain: faults that stay are told at once, others with their cause and
// their end, and a run that has ended leaves nothing behind but what is paid for.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "cli/program.h"
#include "net/raw_server.h"

using namespace kling;
using namespace kling::test;

namespace {

const char* const kSlow = "require 'kling'.text2video { prompt = 'x' }:wait()";

/// A port where nobody listens, for as long as this lives.
class ClosedPort {
 public:
  ClosedPort() : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) == 0);
    number = ntohs(address.sin_port);
  }
  ~ClosedPort() { ::close(socket_); }
  ClosedPort(const ClosedPort&) = delete;
  ClosedPort& operator=(const ClosedPort&) = delete;
  int number = 0;

 private:
  int socket_;
};

bool tells(const Child& child, const std::string& part) {
  for (int i = 0; i < 12'000 && !contains(child.told(), part); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  return contains(child.told(), part);
}

}  // namespace

TEST_CASE("a service that refuses connections is named, and one Ctrl-C leaves with a true word") {
  Stage stage(kSlow);
  const ClosedPort port;
  stage.environment[1] = "KLING_BASE_URL=http://127.0.0.1:" + std::to_string(port.number);
  const auto child = stage.start({"run", "film.lua"});
  CHECK(tells(*child, "could not connect to 127.0.0.1:" + std::to_string(port.number)));
  CHECK(tells(*child, "nothing was sent; tried again for 60 s in all"));
  child->signal(SIGINT);
  const Outcome left = child->wait();
  CAPTURE(left.err);
  CHECK(left.code == 130);
  CHECK(contains(left.err, "interrupted; nothing was sent."));
  CHECK_FALSE(contains(left.err, "go on at the service"));
  CHECK_FALSE(contains(left.err, "Waiting for the answer"));
}

TEST_CASE("a query of a silent service says what it waits for, and Ctrl-C leaves at once") {
  Stage stage(kSlow);
  RawServer silent([](Peer& peer, int) {
    (void)peer.read_request();
    (void)peer.read_request();  // until the program is gone
  });
  const std::string url = "http://127.0.0.1:" + std::to_string(silent.port());
  stage.environment[1] = "KLING_BASE_URL=" + url;
  const auto child = stage.start({"query", "kling:text2video/1"});
  CHECK(tells(*child, "waiting for " + url + " (Ctrl-C leaves)"));
  child->signal(SIGINT);
  const Outcome left = child->wait();
  CHECK(left.code == 130);
  CHECK(contains(left.err, "kling: interrupted\n  do: run it again\n"));
}

TEST_CASE("a script without an end that hears no Ctrl-C is told of, and a second one leaves") {
  const Stage stage("io.open('begun', 'w'):close() while true do end");
  const auto child = stage.start({"run", "film.lua"});
  CHECK(stage.until([&](const auto&) { return std::filesystem::exists(stage.folder / "begun"); }));
  child->signal(SIGINT);
  CHECK(tells(*child, "kling: still busy\n  do: Ctrl-C once more leaves at once"));
  child->signal(SIGINT);
  CHECK(child->wait().code == 130);
}

TEST_CASE("a fault that stays is told at once") {
  Stage stage(kSlow);
  const std::string port = stage.environment[1].substr(stage.environment[1].rfind(':') + 1);
  RawServer proxy([](Peer& peer, int) {
    (void)peer.read_request();
    peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
  });
  const std::string through = "_PROXY=http://user:wrong@127.0.0.1:" + std::to_string(proxy.port());
  const struct {
    std::vector<std::string> environment;
    std::vector<std::string> says;
  } rows[] = {
      {{"KLING_BASE_URL=https://127.0.0.1:1", "SSL_CERT_FILE=/nonexistent/ca.pem"},
       {"SSL_CERT_FILE (/nonexistent/ca.pem)"}},
      {{"KLING_BASE_URL=https://127.0.0.1:" + port}, {"speaks https, and not http"}},
      {{"KLING_BASE_URL=ftp://127.0.0.1"}, {"must start with https://"}},
      {{"KLING_BASE_URL=https://example.invalid", "HTTPS_PROXY=socks5://127.0.0.1:1"},
       {"the proxy in HTTPS_PROXY is not usable"}},
      {{"KLING_BASE_URL=https://example.invalid", "HTTPS" + through},
       {"refuses the user name and password", "HTTPS_PROXY"}},
      {{"KLING_BASE_URL=http://example.invalid", "HTTP" + through},
       {"refuses the user name and password", "HTTP_PROXY"}},
  };
  for (const auto& row : rows) {
    const std::vector<std::string> before = stage.environment;
    for (const std::string& entry : row.environment) stage.environment.push_back(entry);
    const Outcome run = stage.run({"run", "--insecure", "film.lua"});
    stage.environment = before;
    CAPTURE(row.environment.back());
    CAPTURE(run.err);
    CHECK(run.code == 1);  // not 4: nobody has to decide anything
    for (const std::string& part : row.says) CHECK(contains(run.err, part));
    CHECK_FALSE(contains(run.err, "waiting for"));
    CHECK_FALSE(contains(run.err, "lost"));
  }
}

TEST_CASE("after a script's error its tasks end and only what is paid for is waited for") {
  sim::Options options;
  options.clock = make_clock(20);
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"run", "film.lua"}, {"run", "--profile", "safe", "--root", ".", "film.lua"}}) {
    Stage stage(R"(
local kling = require 'kling'
kling.configure { limits = { jobs = 1 } }
kling.spawn(function() kling.sleep(1e6) end)
kling.text2video { prompt = 'paid' }:accepted()
kling.text2video { prompt = 'not sent' }
kling.sleep(0.1)
error 'oops')",
                options);
    const Outcome run = stage.run(words);
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, "film.lua:8: oops"));
    CHECK(contains(run.err, "1 not sent"));
    CHECK_FALSE(contains(run.err, "the wait was cancelled"));
    CHECK(stage.service->counters().creates == 1);
    CHECK(std::filesystem::exists(stage.folder / ".kling/clips"));
  }
}

TEST_CASE("a cancelled task that catches every interruption and waits again is ended") {
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"run", "film.lua"}, {"run", "--profile", "safe", "--root", ".", "film.lua"}}) {
    Stage stage(R"(
local kling = require 'kling'
kling.spawn(function() while true do pcall(kling.sleep, 1) end end)
kling.spawn(function()
  while true do
    coroutine.wrap(function() pcall(kling.text2video, { prompt = 'a fox' }) end)()
    pcall(kling.sleep, 1)
  end
end)
kling.sleep(0.1)
error 'oops')");
    const Outcome run = stage.run(words);
    CHECK_MESSAGE(run.code == 1, run.err);
    CHECK_MESSAGE(contains(run.err, "film.lua:11: oops"), run.err);
  }
}

TEST_CASE("after the end by a limit nothing is waited for that is not paid") {
  const Stage stage(R"(
local kling = require 'kling'
kling.spawn(function() kling.sleep(1e6) end)
kling.spawn(function() while true do end end)
kling.sleep(1e6))");
  const Outcome run = stage.run({"run", "--profile", "safe", "--wall", "0.1", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "ran longer than 0.1 seconds"));
}

TEST_CASE("a deadline ends a run with its waits, and its jobs go on at the service") {
  sim::Options options;
  options.clock = make_clock(1);
  for (const std::string profile : {"full", "safe"}) {
    const Stage stage(kSlow, options);
    const Outcome run = stage.run({"run", "--profile", profile, "--deadline", "2", "film.lua"});
    CAPTURE(run.err);
    CHECK(run.code == 130);
    CHECK(contains(run.err, "the deadline of 2 seconds has passed"));
    CHECK(contains(run.err, "1 job goes on at the service"));
    CHECK(contains(run.err, "open: kling:text2video/"));
    CHECK(stage.service->counters().accepted == 1);
  }
}

TEST_CASE("a deadline leaves a request that nobody answers, for the next run to look for") {
  sim::Options options;
  options.faults = {"create#1: hang"};
  const Stage stage("require 'kling'.text2video { prompt = 'x' }:wait()", options);
  const Outcome run = stage.run({"run", "--no-store", "--deadline", "0.5", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 130);
  CHECK(contains(run.err, "the deadline of 0.5 seconds has passed"));
  CHECK(contains(run.err, "Waiting for the answer to 1 request"));
}

TEST_CASE("a deadline ends a script that does not wait") {
  const Stage stage("while true do pcall(require 'kling'.sleep, 0) end");
  for (const std::string profile : {"full", "safe"}) {
    const Outcome run = stage.run({"run", "--profile", profile, "--deadline", "0.2", "film.lua"});
    CAPTURE(run.err);
    CHECK(run.code == 130);
    CHECK(contains(run.err, "deadline"));
  }
  std::ofstream(stage.folder / "film.lua") << "while true do end";
  CHECK(stage.run({"run", "--deadline", "0.2", "film.lua"}).code == 130);
}
