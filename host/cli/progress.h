// Shows how the jobs of a run are doing: a live line each on a terminal, else a line at each
// change; JSON events on request. Main thread; reads snapshots only.
#pragma once

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
  /// Looks at all jobs and tells what changed since the last call.
  void update(const std::vector<engine::Engine*>& engines);
  /// Takes the live lines away, so that something else may be printed.
  void erase();
  /// Real milliseconds between two updates of the live lines; 0: only changes matter.
  int refresh_millis() const { return live_ ? 200 : 0; }

 private:
  void tell(const engine::JobSnapshot& job);
  void draw(const std::vector<engine::JobSnapshot>& jobs);
  std::string describe(const engine::JobSnapshot& job) const;

  const Voice& voice_;
  Clock& clock_;
  const bool live_;
  const bool colour_;
  int drawn_ = 0;
  std::map<std::string, std::string> told_;  // external id to the state told last
};

/// A job as scripts see it: handle id kind state cost path url duration error.
nlohmann::json to_json(const engine::JobSnapshot& job);

}  // namespace kling::cli
