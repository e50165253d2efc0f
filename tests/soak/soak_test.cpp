// What takes minutes of real time: random kills from outside, and a service that is really gone.
#include <random>

#include "crash/life.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("two hundred kills at random moments pay each step once") {
  const unsigned seed = std::random_device{}();
  MESSAGE("seed " << seed);
  std::mt19937 random(seed);
  const Scenario scenario{.script = kChain, .steps = kSteps, .warm = true};
  for (int kills = 0; kills < 200;) {
    Life life(scenario);
    for (;;) {
      const auto child = life.stage().start({"run", "film.lua"});
      std::this_thread::sleep_for(std::chrono::milliseconds(random() % 400));
      child->signal(SIGKILL);
      const Outcome end = child->wait();
      if (end.code == 0) break;
      CAPTURE(end.err);
      REQUIRE((end.code == 128 + SIGKILL || end.code == 4));
      if (end.code == 4) break;
      ++kills;
    }
    CHECK(life.finish() == 0);
    CHECK(life.counters().accepted == kSteps + kKinds);
    for (const auto& [id, count] : life.counters().charges_by_external_id) CHECK(count == 1);
  }
}

TEST_CASE("a port that is closed for sixty real seconds loses no job") {
  sim::Options options;
  options.clock = make_clock(1);
  options.min_run = options.max_run = 20'000;
  const TempFolder state;
  options.state_dir = state.path();
  Stage stage(
      "local kling = require 'kling'\nprint(kling.text2video { prompt = 'x' }:wait().url ~= nil)",
      options);
  const auto child = stage.start({"run", "--no-store", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.accepted == 1; }));
  options.port = stage.service->port();
  options.clock = make_clock(1);
  stage.service.reset();
  std::this_thread::sleep_for(std::chrono::seconds(60));
  auto again = sim::Simulator::start(options);
  REQUIRE(again.ok());
  stage.service = std::move(*again);
  const Outcome end = child->wait();
  CAPTURE(end.err);
  CHECK(end.code == 0);
  CHECK(contains(end.err, "waiting for the network"));
  CHECK(contains(end.err, "is safe"));
  CHECK(stage.service->counters().creates == 0);
  CHECK(stage.service->counters().accepted == 1);
}
