// Killed before and after every action of the job machine, then run again until done: the service's
// charge ledger shows each step once. The points come from the engine itself: a new action is
// covered the day it is written.
#include <set>

#include "crash/life.h"

using namespace kling;
using namespace kling::test;

namespace {

const char* const kTwoShots = R"(
local kling = require "kling"
kling.text2video { prompt = "first" }:wait()
print("done", kling.text2video { prompt = "second" }:wait().url ~= nil)
)";

// It is refused with a code that has many words.
const char* const kOddShot = R"(
local kling = require "kling"
local ok, e = pcall(function()
  kling.text2video { prompt = "one", extra = { duration = "99" } }:wait()
end)
if e.kind == "ambiguous" then error(e, 0) end
print("done", not ok)
)";

/// Kills at every `parts`-th point of a run, beginning with `part`; returns the points there were.
std::set<std::string> crash_everywhere(const Scenario& scenario, int part = 0, int parts = 1) {
  std::set<std::string> seen;
  for (int at = part + 1;; at += parts) {
    Life life(scenario);
    const Outcome killed = life.run(at);
    const auto points = life.points();
    seen.insert(points.begin(), points.end());
    const bool died = killed.code == 128 + SIGKILL;
    CAPTURE(at);
    CAPTURE(points.empty() ? "" : points.back());
    const int steps = scenario.steps + (scenario.warm ? kKinds : 0);
    CHECK(life.counters().accepted <= steps);
    const int decisions = died || killed.code == 4 ? life.finish() : 0;
    CHECK(life.counters().accepted == steps);
    CHECK(life.counters().charged == steps);
    for (const auto& [step, count] : by_step(life.counters())) CHECK(count == 1);
    // A service that looks up ids answers for itself, once a task of the kind has shown that it
    // does; before that, or without look-ups, a person is asked.
    if (scenario.warm) CHECK(decisions == 0);
    if (!died) return seen;
  }
}

const Scenario kPlain{.script = kChain, .steps = kSteps, .warm = true};
const Scenario kBlind{.script = kChain, .steps = kSteps, .looks_up = false};
const Scenario kRefused{.script = kTwoShots, .steps = 2, .faults = {"create#2: 429"}};

}  // namespace

#define CRASHES(scenario, part)                                                          \
  TEST_CASE("a chain killed at every point is paid once " #scenario " " #part " of 4") { \
    crash_everywhere(scenario, (part)-1, 4);                                             \
  }
CRASHES(kPlain, 1)
CRASHES(kPlain, 2)
CRASHES(kPlain, 3)
CRASHES(kPlain, 4)
CRASHES(kBlind, 1)
CRASHES(kBlind, 2)
CRASHES(kBlind, 3)
CRASHES(kBlind, 4)

TEST_CASE("killed at every point while an answer is lost and the task is found") {
  const auto seen =
      crash_everywhere({.script = kTwoShots, .steps = 2, .faults = {"create#2: accept, drop"}});
  CHECK(seen.count("after look_up") == 1);
}

TEST_CASE("killed at every point while a request is lost that nobody accepted") {
  const auto seen =
      crash_everywhere({.script = kTwoShots, .steps = 2, .faults = {"create#2: drop"}});
  CHECK(seen.count("after probe_look_up") == 1);
}

TEST_CASE("killed at every point while an answer is lost that nobody can look up") {
  const auto seen = crash_everywhere(
      {.script = kTwoShots, .steps = 2, .looks_up = false, .faults = {"create#2: accept, drop"}});
  CHECK(seen.count("after ask") == 1);
}

TEST_CASE("killed at every second point while the service refuses for a while") {
  CHECK(crash_everywhere(kRefused, 0, 2).count("after clear_sending") == 1);
}

TEST_CASE("killed at every other point while the service refuses for a while") {
  CHECK(crash_everywhere(kRefused, 1, 2).count("before clear_sending") == 1);
}

// Killed between the refusal and the end of its look-up, it may have been accepted: a person is
// asked, and nothing is sent again.
TEST_CASE("killed at every point while a refusal without a known reason is looked up") {
  const auto seen = crash_everywhere({.script = kOddShot, .steps = 0, .otherwise = "--abandon"});
  CHECK(seen.count("after look_up") == 1);
}

// What is sent twice is accepted twice here, and shows in the charges of its step.
TEST_CASE("a chain killed at every third point is paid once where ids need not be unique") {
  for (const bool looks_up : {true, false})
    crash_everywhere({.script = kChain,
                      .steps = kSteps,
                      .looks_up = looks_up,
                      .warm = looks_up,
                      .unique = false},
                     looks_up ? 0 : 1, 3);
}

TEST_CASE(
    "killed at every point while an answer is lost is paid once where ids need not be unique") {
  for (const char* fault : {"create#2: accept, drop", "create#2: drop", "create#2: accept, reset"})
    for (const bool looks_up : {true, false})
      crash_everywhere({.script = kTwoShots,
                        .steps = 2,
                        .looks_up = looks_up,
                        .faults = {fault},
                        .unique = false});
}

TEST_CASE("killed while it waits for the step of a living process") {
  for (const char* at : {"3", "4"}) {
    const Scenario scenario{.script = kTwoShots, .steps = 2, .faults = {"create#1: accept, hang"}};
    Life life(scenario);
    Stage& stage = life.stage();
    const auto owner = stage.start({"run", "film.lua"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.accepted == 1; }));
    std::filesystem::remove(stage.folder / "points");
    const auto usual = stage.environment;
    stage.environment.push_back(std::string("KLING_CRASH_AT=") + at);
    CHECK(stage.run().code == 128 + SIGKILL);
    stage.environment = usual;
    CHECK(life.points().back() == (*at == '3' ? "before revisit" : "after revisit"));
    owner->signal(SIGKILL);
    CHECK(owner->wait().code == 128 + SIGKILL);
    life.finish();
    CHECK(life.counters().accepted == 2);
  }
}
