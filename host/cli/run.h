// Running a script from its first line to its bill: what `kling run` and `kling plan` share. Main
// thread; blocks until the script and its jobs are done.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/safe_run.h"
#include "cli/settings.h"
#include "cli/simulation.h"
#include "engine/engine.h"

namespace kling::cli {

struct RunOptions {
  Voice voice;
  ServiceOptions service;
  SimulationOptions simulation;
  std::string take;
  bool detach = false;
  bool strict = false;
  bool no_store = false;
  engine::Limits limits;
  SafeRun safe;
  CLI::App* app = nullptr;  ///< its remaining arguments are the script and what follows

  // Of a plan:
  /// Makes the engines; null: the real ones, or the simulator's with --sim.
  std::function<Result<std::unique_ptr<engine::Engine>>(engine::EngineOptions, Simulation&)>
      make_engine;
  bool of_simulation = false;     ///< it is the simulator's ledger that is planned with
  std::string simulation_folder;  ///< where the simulator keeps its state; empty: by the ledger
  /// Called at the end, in place of the bill.
  std::function<void(const std::vector<engine::Engine*>&)> report;
};

int run_script(RunOptions& options);

}  // namespace kling::cli
