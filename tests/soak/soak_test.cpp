// What takes minutes of real time: random kills from outside, and a service that is really gone.
#include <cstdlib>
#include <map>
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

namespace {

// Each shot is asked for until there is a clip: five clips, however often it is interrupted.
const char* const kStubborn = R"(
local kling = require "kling"
local function shot(prompt)
  for _ = 1, 1000 do
    local ok, clip = pcall(function() return kling.text2video { prompt = prompt }:wait { timeout = 0.05 } end)
    if ok then return clip end
    if clip.kind ~= "timeout" then error(clip, 0) end
  end
end
shot "opening"
local clips = kling.map({ 1, 2, 3 }, function() return shot "the same" end)
print("done", #clips == 3 and shot "the end".url ~= nil)
)";
constexpr int kStubbornSteps = 5;

struct Tally {
  int rounds = 0, kills = 0, stops = 0, interrupts = 0, accepted = 0, twice = 0, asked = 0;
};

/// Three processes on one ledger, which are killed, stopped and interrupted at random.
void play(Life& life, std::mt19937& random, Tally& tally) {
  std::vector<std::unique_ptr<Child>> children(3);
  for (int events = 0; events < 10; ++events) {
    for (auto& child : children)
      if (!child) child = life.stage().start({"run", "--no-store", "film.lua"});
    std::this_thread::sleep_for(std::chrono::milliseconds(random() % 150));
    auto& child = children[random() % children.size()];
    switch (random() % 5) {
      case 0:
      case 1:
        child.reset();  // SIGKILL
        ++tally.kills;
        break;
      case 2:
        child->signal(SIGSTOP);
        ++tally.stops;
        break;
      case 3: child->signal(SIGCONT); break;
      default:
        child->signal(SIGINT);
        child->signal(SIGCONT);
        (void)child->wait();
        child.reset();
        ++tally.interrupts;
    }
  }
  for (auto& child : children)
    if (child) child->signal(SIGCONT);
  for (auto& child : children)
    if (child) (void)child->wait();
}

}  // namespace

TEST_CASE("two hundred rounds of chaos pay each step once") {
  const char* const given = std::getenv("KLING_SEED");
  const unsigned seed = given != nullptr ? unsigned(std::atoi(given)) : std::random_device{}();
  MESSAGE("KLING_SEED=" << seed);
  std::mt19937 random(seed);
  const char* const kFaults[] = {"", "accept, drop", "drop", "accept, reset", "500", "429"};
  std::map<std::string, Tally> table;
  std::map<std::string, int> reasons;
  const char* const wanted = std::getenv("KLING_ROUNDS");
  for (int round = 0, rounds = wanted ? std::atoi(wanted) : 200; round < rounds; ++round) {
    const bool looks_up = round % 2 == 0, unique = round / 2 % 2 == 0;
    const bool warm = round / 4 % 2 == 0;
    std::vector<std::string> faults;
    for (const int at : {1, 2, 4}) {  // from the warming on
      const char* fault = kFaults[random() % std::size(kFaults)];
      if (*fault != 0)
        faults.push_back("create#" + std::to_string(at + (warm ? 3 : 0)) + ": " + fault);
    }
    const Scenario scenario{.script = kStubborn,
                            .steps = kStubbornSteps,
                            .looks_up = looks_up,
                            .faults = faults,
                            .warm = warm,
                            .unique = unique};
    CAPTURE(round);
    CAPTURE(faults.empty() ? "" : faults.front());
    Life life(scenario);
    Tally& tally = table[std::string(looks_up ? "look-ups" : "no look-ups") +
                         (unique ? ", unique ids" : ", ids repeat") + (warm ? ", known" : ", new")];
    ++tally.rounds;
    play(life, random, tally);
    tally.asked += life.finish();
    for (const std::string& why : life.asked)
      ++reasons[why.substr(0, why.find(", and the service"))];
    const int expected = kStubbornSteps + (warm ? kKinds : 0);
    CHECK(life.counters().accepted == expected);
    tally.accepted += life.counters().accepted - (warm ? kKinds : 0);
    for (const auto& [step, count] : by_step(life.counters())) {
      CHECK(count == 1);
      if (count > 1) ++tally.twice;
    }
  }
  std::ostringstream text;
  text << "rounds kills stops ints | clips, steps paid twice | asked\n";
  for (const auto& [name, tally] : table)
    text << tally.rounds << "  " << tally.kills << "  " << tally.stops << "  " << tally.interrupts
         << " | " << tally.accepted << "  " << tally.twice << " | " << tally.asked << "  " << name
         << "\n";
  for (const auto& [why, count] : reasons) text << count << " times: " << why << "\n";
  MESSAGE(text.str());
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
