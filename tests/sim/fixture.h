// A simulator on a free port with a clock that the test moves, and a client of it.
#pragma once

#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>

#include <doctest/doctest.h>
#include <httplib.h>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/digest.h"
#include "sim/simulator.h"

namespace kling::sim::testing {

using Json = nlohmann::json;

class ManualClock : public Clock {
 public:
  Millis now() const override { return now_; }
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  Millis) override {
    wake.wait_for(lock, std::chrono::milliseconds(2));
  }
  Millis real_millis_until(Millis) const override { return 0; }
  void advance(Millis millis) { now_ += millis; }

 private:
  std::atomic<Millis> now_{1'773'380'633'979};
};

struct TemporaryFolder {
  std::string path =
      (std::filesystem::temp_directory_path() / ("kling-test-sim-" + random_hex(6))).string();
  TemporaryFolder() { std::filesystem::create_directories(path); }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
};

struct Fixture {
  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>();
  std::unique_ptr<Simulator> simulator;

  explicit Fixture(Options options = {}) { start(std::move(options)); }

  void start(Options options) {
    options.clock = clock;
    auto started = Simulator::start(std::move(options));
    REQUIRE_MESSAGE(started.ok(), (started ? "" : started.error().message));
    simulator = std::move(*started);
  }

  httplib::Result get(const std::string& path, httplib::Headers headers = {}) {
    return client().Get(path, with_key(std::move(headers)));
  }
  httplib::Result post(const std::string& path, const std::string& body) {
    return client().Post(path, with_key({}), body, "application/json");
  }
  httplib::Result create(const std::string& kind, const Json& body) {
    return post("/kling/v1/videos/" + kind, body.dump());
  }
  httplib::Result query(const std::string& kind, const std::string& id) {
    return get("/kling/v1/videos/" + kind + "/" + id);
  }

  /// The body of an answer that must have this status.
  static Json body(const httplib::Result& answer, int status = 200) {
    REQUIRE(answer);
    CHECK_MESSAGE(answer->status == status, answer->body);
    return Json::parse(answer->body, nullptr, false);
  }
  /// Creates a task that must be accepted, and gives its id.
  std::string accepted(const std::string& kind, const Json& body_of) {
    return body(create(kind, body_of))["data"]["task_id"].get<std::string>();
  }
  /// The clip's URL of a task, once it is over, as a path.
  std::string clip_path(const std::string& kind, const std::string& id) {
    clock->advance(200'000);
    const Json data = body(query(kind, id))["data"];
    REQUIRE(data["task_status"] == "succeed");
    const auto url = data["task_result"]["videos"][0]["url"].get<std::string>();
    REQUIRE(url.rfind(simulator->base_url(), 0) == 0);
    return url.substr(simulator->base_url().size());
  }

  httplib::Client client() {
    std::signal(SIGPIPE, SIG_IGN);  // its client raises it where a fault cuts what it sends
    httplib::Client made(simulator->base_url());
    made.set_read_timeout(300);
    return made;
  }

 private:
  static httplib::Headers with_key(httplib::Headers headers) {
    headers.emplace("Authorization", "Bearer sk-test");
    return headers;
  }
};

inline const Json kShot = {{"model_name", "kling-v2-6"}, {"prompt", "A lighthouse at dusk"}};

}  // namespace kling::sim::testing
