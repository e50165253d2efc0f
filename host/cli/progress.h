// Shows how the jobs of a run are doing: a live line each on a terminal, else a line at each
// change; JSON events on request (docs/json.md). Main thread; reads snapshots only.
#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "cli/command.h"
#include "engine/engine.h"

namespace kling::cli {

class Progress {
 public:
  /// `clock` is the jobs' clock (virtual with --sim).
  Progress(const Voice& voice, Clock& clock);
  /// Looks at all jobs, tells what changed since the last call and draws the live lines. When it
  /// has just looked it only draws: thousands of jobs take a while, and every change of one wakes
  /// whoever waits.
  void update(const std::vector<engine::Engine*>& engines);
  /// Real milliseconds until update() has something to do although nothing happens; -1: never.
  int until_next_look() const;
  /// The last update(): looks once more and takes the live lines away.
  void finish(const std::vector<engine::Engine*>& engines);
  /// The same while something else has the terminal: the lines on jobs that ended since the last
  /// call are returned, not printed.
  std::vector<std::string> news(const std::vector<engine::Engine*>& engines);
  /// Takes the live lines away, so that something else may be printed.
  void erase();
  /// A job in one line, the most important first.
  std::string describe(const engine::JobSnapshot& job) const;

 private:
  using Shots = std::vector<engine::JobSnapshot>;
  Shots look(const std::vector<engine::Engine*>& engines,
             std::vector<engine::JobSnapshot>& changed);
  void draw(const Shots& jobs);
  void restore();

  const Voice& voice_;
  Clock& clock_;
  const bool live_;
  const bool colour_;
  std::string block_;                // the live lines
  std::vector<std::size_t> widths_;  // columns of each
  bool drawn_ = false;
  bool waits_ = false;  // the last update() was too early
  std::chrono::steady_clock::time_point looked_at_;
  std::map<std::string, std::string> told_;  // external id to the state told last
};

/// True when nothing more happens to the job without somebody's doing.
bool is_over(const engine::JobSnapshot& job);

/// True while its request may be on its way, or is about to be. What waits for its next try, for a
/// slot or for the ledger is not.
bool is_under_way(const engine::JobSnapshot& job);

/// A job as scripts see it: the field names are those of Lua.
nlohmann::json to_json(const engine::JobSnapshot& job);

}  // namespace kling::cli
