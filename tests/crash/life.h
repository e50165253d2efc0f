// One life of a script: a fresh ledger, a fresh service, a program that is killed and run again.
#pragma once

#include <algorithm>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/program.h"
#include "support/clip_cache.h"

namespace kling::test {

// Four steps, the second of them twice; the third begins at a frame of the second.
inline const char* const kChain = R"(
local kling = require "kling"
local opening = kling.text2video { prompt = "opening" }:wait()
local sides = kling.map({ "left", "right" }, function(side)
  return kling.omni { prompt = side .. " side", video_list = { opening } }:wait()
end)
local storm = kling.image2video { image = sides[1]:last_frame(), prompt = "storm" }:wait()
local finish = kling.omni { prompt = "the end", video_list = { storm } }:wait()
print("done", finish.url ~= nil)
)";
inline constexpr int kSteps = 5;

// One task of each kind that the chain uses, for the ledger to learn from.
inline const char* const kOneOfEach = R"(
local kling = require "kling"
local clip = kling.text2video { prompt = "one" }:wait()
kling.all { kling.omni { prompt = "one", video_list = { clip } },
  kling.image2video { prompt = "one", image = "https://example.com/one.png" } }
)";
inline constexpr int kKinds = 3;

struct Scenario {
  const char* script;
  int steps;
  bool looks_up = true;
  std::vector<std::string> faults = {};
  bool warm = false;                     ///< the ledger has an accepted task of each kind
  bool unique = true;                    ///< the service refuses an external id that it knows
  const char* otherwise = "--resubmit";  ///< what a person decides who finds no task
};

/// Accepted tasks by step: an external id ends with the attempt.
inline std::map<std::string, int> by_step(const sim::Counters& counters) {
  std::map<std::string, int> steps;
  for (const auto& [id, count] : counters.charges_by_external_id)
    steps[id.substr(0, id.rfind('-'))] += count;
  return steps;
}

inline std::string line_with(const std::string& text, const std::string& part) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    if (contains(line, part)) return line;
  return "";
}

/// One life of a script on a fresh ledger and a fresh service.
class Life {
 public:
  explicit Life(const Scenario& scenario)
      : scenario_(scenario), stage_(scenario.script, service_options()) {
    copy_clips(clip_cache(), folder_ / "clips");
    stage_.environment.push_back("KLING_PATIENCE=0.1");
    if (scenario.warm) {
      std::ofstream(stage_.folder / "warm.lua") << kOneOfEach;
      REQUIRE(stage_.run({"run", "--no-store", "warm.lua"}).code == 0);
    }
    stage_.environment.push_back("KLING_CRASH_LOG=" + (folder_ / "points"));
  }
  ~Life() {
    stage_.service.reset();
    copy_clips(folder_ / "clips", clip_cache());
  }

  Stage& stage() { return stage_; }
  std::vector<std::string> asked;  ///< what a person was asked, in the program's words

  Outcome run(int kill_at) {
    std::vector<std::string> usual = stage_.environment;
    stage_.environment.push_back("KLING_CRASH_AT=" + std::to_string(kill_at));
    Outcome outcome = stage_.run();
    stage_.environment = usual;
    return outcome;
  }

  /// Runs until done, deciding as a person would who looks at the account; how often that was.
  int finish() {
    int decisions = 0;
    for (int i = 0; i < 12; ++i) {
      const Outcome run = stage_.run();
      if (run.code == 0) {
        CHECK(contains(run.out, "done\ttrue"));
        return decisions;
      }
      CAPTURE(run.err);
      REQUIRE(run.code == 4);
      ++decisions;
      asked.push_back(line_with(run.err, "was lost"));
      const auto at = run.err.find("kling:", run.err.find("jobs resolve"));
      REQUIRE(at != std::string::npos);
      const std::string handle = run.err.substr(at, run.err.find(' ', at) - at);
      const std::string task = task_of(handle.substr(handle.find('~') + 1));
      const Outcome resolved = task.empty()
                                   ? stage_.run({"jobs", "resolve", handle, scenario_.otherwise})
                                   : stage_.run({"jobs", "resolve", handle, "--adopt", task});
      CAPTURE(resolved.err);
      REQUIRE(resolved.code == 0);
    }
    FAIL("the script does not come to an end");
    return decisions;
  }

  std::vector<std::string> points() const {
    std::vector<std::string> lines;
    std::ifstream file(folder_ / "points");
    for (std::string line; std::getline(file, line);) lines.push_back(line);
    return lines;
  }
  sim::Counters counters() const { return stage_.service->counters(); }

 private:
  sim::Options service_options() const {
    sim::Options options;
    options.faults = scenario_.faults;
    options.external_lookup = scenario_.looks_up;
    options.external_unique = scenario_.unique;
    options.state_dir = folder_.path();
    options.min_run = 20'000;
    options.max_run = 60'000;
    return options;
  }
  /// The task that the service made for this external id; empty: none.
  std::string task_of(const std::string& external_id) const {
    std::ostringstream text;
    text << std::ifstream(folder_ / "journal.jsonl").rdbuf();
    const auto task = nlohmann::json::parse(line_with(text.str(), external_id), nullptr, false);
    return task.is_object() ? task.value("id", "") : "";
  }

  const Scenario& scenario_;
  TempFolder folder_;  // the service's
  Stage stage_;
};

}  // namespace kling::test
