// Shows how the jobs of a run are doing: a live line each on a terminal, else a line at each
// change; JSON events on request (docs/json.md). Main thread; reads snapshots only.
#pragma once

#include "cli/command.h"
#include "engine/engine.h"

namespace kling::cli {

class Progress {
 public:
  /// `clock` is the jobs' clock (virtual with --sim).
  Progress(const Voice& voice, Clock& clock);
  /// Tells what changed since the last call and draws the live lines. When it has just looked it
  /// only draws: every change of thousands of jobs wakes whoever waits.
  void update(const std::vector<engine::Engine*>& engines);
  /// Real milliseconds until update() has something to do although nothing happens; -1: never.
  int until_next_look() const;
  /// In the last update().
  bool has_looked() const { return !waits_; }
  /// The last update(): looks once more and takes the live lines away.
  void finish(const std::vector<engine::Engine*>& engines);
  /// The same while something else has the terminal: the lines on jobs that ended since the last
  /// call are returned, not printed.
  std::vector<std::string> news(const std::vector<engine::Engine*>& engines);
  /// Takes the live lines away, so that something else may be printed.
  void erase();
  /// A job in one line of so many columns, the most important first; what does not fit is left out.
  /// `why` it failed is told, too, where nothing else does.
  std::string describe(const engine::JobSnapshot& job, std::size_t columns = 1000,
                       bool why = true) const;

 private:
  struct Shown {
    std::unique_ptr<engine::JobSnapshot> job;  ///< null: nothing of it is shown any more
    std::string told;                          ///< the state told last
  };
  std::vector<Shown*> look(const std::vector<engine::Engine*>& engines);
  void draw();
  void restore();
  std::string totals(std::size_t columns) const;
  std::string simulated() const;
  std::size_t columns() const;  ///< of a line

  const Voice& voice_;
  Clock& clock_;
  const double speed_;  // of the clock; 1: real time
  const bool live_;
  std::string block_;                // the live lines
  std::vector<std::size_t> widths_;  // columns of each
  bool drawn_ = false;
  bool waits_ = false;  // the last update() was too early
  std::chrono::steady_clock::time_point looked_at_;
  std::map<const engine::Engine*, std::uint64_t> seen_;  // how far each engine's changes were read
  std::map<std::uint64_t, Shown> shown_;                 // by the order in which they were recorded
  std::unordered_map<const engine::Job*, std::uint64_t> numbers_;
  std::vector<engine::Work> works_;
  std::set<std::string> told_works_;
};

/// True when nothing more happens to the job without somebody's doing.
bool is_over(const engine::JobSnapshot& job);

/// True while its request may be on its way, or is about to be. What waits for its next try, for a
/// slot or for the ledger is not.
bool is_under_way(const engine::JobSnapshot& job);

}  // namespace kling::cli
