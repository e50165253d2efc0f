#include "cli/simulation.h"

#include <cstdio>

#include "base/files.h"

namespace kling::cli {
namespace {

/// A line for the fault script, or "@FILE" with many.
std::string read_fault(std::string& line) {
  if (!line.starts_with("@")) return "";
  auto file = read_file(line.substr(1), 1u << 20);
  if (!file) return file.error().message;
  line = std::move(*file);
  return "";
}

}  // namespace

void SimulationOptions::add_options(CLI::App& app) {
  app.add_flag("--sim", on, "talk to the built-in simulator: real HTTP, real clips, no money");
  add_service_options(app);
}

void SimulationOptions::add_service_options(CLI::App& app) {
  const auto add = [&app](const char* name, auto& value, const char* doc) {
    return app.add_option(name, value, doc)->group("The simulated service");
  };
  add("--speed", speed, "simulated seconds in one real second")
      ->check(CLI::Range(0.01, 100000.0))
      ->capture_default_str();
  add("--dialect", service.dialect,
      "whose answers it gives, such as comet, or native,omni=wrapped for one endpoint")
      ->capture_default_str();
  add("--fault", service.faults,
      "what goes wrong, such as \"create#2: accept, drop\", or @FILE of such lines; may be "
      "repeated")
      ->allow_extra_args(false)  // the next word may be the script
      ->transform(CLI::Validator(read_fault, "LINE"));
  add("--seed", service.seed, "another number, another series of random events");
  add("--slots", service.slots, "tasks at once, more are refused with code 1303 (0: no limit)")
      ->check(CLI::NonNegativeNumber);
  add("--credit", service.units, "units to spend, at US$ 0.14, then code 1102 (0: no limit)")
      ->check(CLI::NonNegativeNumber);
  const auto flag = [&app](const char* name, bool& value, const char* doc) {
    app.add_flag(std::string(name) + "{false}", value, doc)->group("The simulated service");
  };
  flag("--no-lookup", service.external_lookup,
       "tasks are not found by external id, as with some proxies");
  flag("--no-unique", service.external_unique, "external ids need not be unique, likewise");
}

Simulation::Simulation(SimulationOptions options, const std::string& state_dir)
    : options_(std::move(options)) {
  options_.service.state_dir = state_dir;
}

const std::shared_ptr<Clock>& Simulation::clock() {
  auto& service = options_.service;
  if (!service.clock) service.clock = sim::Simulator::clock_for(service.state_dir, options_.speed);
  return service.clock;
}

Status Simulation::connect(engine::EngineOptions& options) {
  if (!simulator_) {
    clock();
    auto started = sim::Simulator::start(options_.service);
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
  std::snprintf(text, sizeof text,
                "simulated: nothing was paid; the service counted %d create requests, and %d "
                "charged clips of "
                "all runs",
                counters.creates, counters.charged);
  return text;
}

}  // namespace kling::cli
