// The simulator inside the program, for --sim: started on first need, on a clock that it shares
// with the client. Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/engine.h"
#include "sim/simulator.h"

namespace kling::cli {

struct SimulationOptions {
  bool on = false;
  double speed = 60;
  std::string dialect = "native";
  std::vector<std::string> faults;
  void add_options(CLI::App& app);
};

class Simulation {
 public:
  /// `state_dir`: where tasks and clips are kept.
  Simulation(SimulationOptions options, std::string state_dir);
  /// One clock for the client and the service; it goes on where the state's time ended.
  const std::shared_ptr<Clock>& clock() const { return clock_; }
  /// Starts the service, once, and points `options` at it.
  Status connect(engine::EngineOptions& options);
  /// A sentence on what was simulated and would have been charged; empty when never started.
  std::string summary() const;

 private:
  SimulationOptions options_;
  std::string state_dir_;
  std::shared_ptr<Clock> clock_;
  std::unique_ptr<sim::Simulator> simulator_;
};

}  // namespace kling::cli
