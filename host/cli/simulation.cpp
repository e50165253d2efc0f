#include "cli/simulation.h"

#include <algorithm>
#include <cstdio>

namespace kling::cli {

void SimulationOptions::add_options(CLI::App& app) {
  app.add_flag("--sim", on, "talk to the built-in simulator: real HTTP, real clips, no money");
  app.add_option("--speed", speed, "simulated seconds in one real second")
      ->check(CLI::Range(0.01, 100000.0))
      ->capture_default_str();
  app.add_option("--dialect", dialect,
                 "whose answers it gives: native, wrapped, comet, newapi or kling-new")
      ->capture_default_str();
  app.add_option("--fault", faults,
                 "what goes wrong, such as \"create#2: accept, drop\"; may be repeated")
      ->allow_extra_args(false);  // the next word is the script
}

Simulation::Simulation(SimulationOptions options, std::string state_dir)
    : options_(std::move(options)),
      state_dir_(std::move(state_dir)),
      clock_(make_clock(options_.speed,
                        std::max(make_clock()->now(), sim::Simulator::saved_time(state_dir_)))) {}

Status Simulation::connect(engine::EngineOptions& options) {
  if (!simulator_) {
    sim::Options service;
    service.state_dir = state_dir_;
    service.clock = clock_;
    service.dialect = options_.dialect;
    service.faults = options_.faults;
    auto started = sim::Simulator::start(std::move(service));
    if (!started) return started.error();
    simulator_ = std::move(*started);
  }
  options.base_url = simulator_->base_url();
  options.service = "sim";
  options.key = "sk-simulator";
  return Done{};
}

std::string Simulation::summary() const {
  if (!simulator_) return "";
  const sim::Counters counters = simulator_->counters();
  char text[160];
  std::snprintf(
      text, sizeof text,
      "simulated: nothing was paid; the service counted %d create requests and %d charged clips",
      counters.creates, counters.charged);
  return text;
}

}  // namespace kling::cli
