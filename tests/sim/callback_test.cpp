// Callbacks: who is called, how often, in which order and in which words.
#include <mutex>

#include "fixture.h"

namespace kling::sim::testing {
namespace {

/// A server that notes the states it is told.
class Receiver {
 public:
  Receiver() {
    server_.Post("/hook", [this](const httplib::Request& request, httplib::Response&) {
      const std::lock_guard lock(mutex_);
      bodies_.push_back(Json::parse(request.body));
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~Receiver() {
    server_.stop();
    thread_.join();
  }

  Json shot() const {
    Json body = kShot;
    body["callback_url"] = "http://127.0.0.1:" + std::to_string(port_) + "/hook";
    return body;
  }
  std::vector<Json> bodies() {
    const std::lock_guard lock(mutex_);
    return bodies_;
  }
  /// "submitted processing succeed", in the order they came in.
  std::string states() {
    std::string all;
    for (const Json& body : bodies())
      all += (all.empty() ? "" : " ") +
             body.value(body.contains("status") ? "status" : "task_status", "");
    return all;
  }

 private:
  httplib::Server server_;
  std::thread thread_;
  int port_ = 0;
  std::mutex mutex_;
  std::vector<Json> bodies_;
};

/// Waits until so many callbacks were answered.
void wait_for(Fixture& sim, int count) {
  for (int i = 0; i < 60'000 && sim.simulator->counters().callbacks < count; ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
}

/// The states told of one task that runs to its end under these faults.
std::string told(const std::vector<std::string>& faults, int count) {
  Receiver receiver;
  Options options;
  options.faults = faults;
  Fixture sim(options);
  sim.accepted("text2video", receiver.shot());
  sim.clock->advance(300'000);
  wait_for(sim, count);
  sim.simulator.reset();
  return receiver.states();
}

}  // namespace

TEST_CASE("callbacks tell every change in Kling's words") {
  Receiver receiver;
  Fixture sim;
  const std::string id = sim.accepted("text2video", receiver.shot());
  wait_for(sim, 1);
  CHECK(receiver.states() == "submitted");
  sim.clock->advance(300'000);
  wait_for(sim, 3);
  CHECK(receiver.states() == "submitted processing succeed");
  const Json last = receiver.bodies().back();
  CHECK(last["task_id"] == id);
  CHECK_FALSE(last.contains("code"));
  const std::string url = last["task_result"]["videos"][0]["url"];
  CHECK(url.rfind(sim.simulator->base_url(), 0) == 0);
}

TEST_CASE("callbacks are repeated reordered and lost as the fault script says") {
  CHECK(told({"callback#*: repeat"}, 6) ==
        "submitted submitted processing processing succeed succeed");
  CHECK(told({"callback#2: late"}, 3) == "submitted succeed processing");
  CHECK(told({"callback#1: late"}, 3) == "processing submitted succeed");
  CHECK(told({"callback#1-2: lose"}, 1) == "succeed");
  CHECK(told({"callback/omni#*: lose", "callback#3: lose"}, 2) == "submitted processing");
}

TEST_CASE("callbacks come from Kling with its own id and in the new design in new words") {
  for (const char* dialect : {"newapi", "own-ids"}) {
    Receiver receiver;
    Options options;
    options.dialect = dialect;
    Fixture sim(options);
    const std::string id = sim.accepted("text2video", receiver.shot());
    wait_for(sim, 1);
    REQUIRE(receiver.bodies().size() == 1);
    CHECK(receiver.bodies()[0]["task_id"].get<std::string>().size() == 18);
    CHECK(receiver.bodies()[0]["task_id"] != id);
  }
  Receiver receiver;
  Options options;
  options.dialect = "kling-new";
  Fixture sim(options);
  Fixture::body(sim.create("text2video", receiver.shot()));
  sim.clock->advance(300'000);
  wait_for(sim, 3);
  CHECK(receiver.states() == "submitted processing succeeded");
  CHECK(receiver.bodies().back()["outputs"].size() == 1);
}

TEST_CASE("a restarted simulator makes the callbacks that are still due") {
  Receiver receiver;
  TemporaryFolder folder;
  Options options;
  options.state_dir = folder.path;
  Fixture sim(options);
  sim.accepted("text2video", receiver.shot());
  wait_for(sim, 1);
  sim.clock->advance(20'000);
  wait_for(sim, 2);
  sim.simulator.reset();
  sim.start(options);
  sim.clock->advance(300'000);
  wait_for(sim, 1);
  sim.simulator.reset();
  CHECK(receiver.states() == "submitted processing succeed");
}

TEST_CASE("only addresses of this machine are called") {
  Fixture sim;
  for (const char* url : {"http://127.0.0.1.example.com/hook", "https://example.com/hook",
                          "http://localhost@example.com/"}) {
    Json body = kShot;
    body["callback_url"] = url;
    sim.accepted("text2video", body);
  }
  sim.clock->advance(300'000);
  CHECK(sim.simulator->counters().callbacks == 0);
}

}  // namespace kling::sim::testing
