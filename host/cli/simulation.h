// The simulator as the program starts it: as a server (`kling sim`), or inside a run (--sim), on a
// clock that it shares with the client. Main thread.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

#include "engine/engine.h"
#include "sim/simulator.h"

namespace kling::cli {

/// What both have: how the service behaves.
struct SimulationOptions {
  bool on = false;
  double speed = 60;
  sim::Options service;
  /// Adds --sim and the others.
  void add_options(CLI::App& app);
  /// Adds all but --sim.
  void add_service_options(CLI::App& app);
};

class Simulation {
 public:
  /// `state_dir`: where tasks and clips are kept.
  Simulation(SimulationOptions options, const std::string& state_dir);
  /// One clock for the client and the service; it goes on where the state's time ended.
  const std::shared_ptr<Clock>& clock();
  /// Starts the service, once, and points `options` at it.
  Status connect(engine::EngineOptions& options);
  /// A sentence on what was simulated and would have been charged; empty when never started.
  std::string summary() const;

 private:
  SimulationOptions options_;
  std::unique_ptr<sim::Simulator> simulator_;
};

}  // namespace kling::cli
