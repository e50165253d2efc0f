// The service that a command works with, real or simulated (--sim): its options on the command
// line, and what follows from them. What they mean is runtime/settings.h. Main thread.
#pragma once

#include "cli/command.h"
#include "lua/runtime.h"
#include "runtime/settings.h"
#include "sim/simulator.h"

namespace kling::cli {

using runtime::engine_options;
using runtime::find_ledger;

/// Where the service and the ledger are, and how long a command that runs jobs waits.
struct ServiceOptions : runtime::ServiceSettings {
  void add_options(CLI::App& app);
};

/// How the simulated service behaves.
struct SimulationOptions {
  bool on = false;
  bool with_real_ledger = false;  ///< of a plan
  double speed = 60;
  sim::Options service;
  void add_options(CLI::App& app);          ///< --sim and the others
  void add_service_options(CLI::App& app);  ///< all but --sim
};

/// Of every command that runs jobs.
struct JobOptions {
  Voice voice;
  ServiceOptions service;
  SimulationOptions simulation;
  void add_options(CLI::App& app);
};

/// One service, and the clock that its jobs are told by.
class Service {
 public:
  /// `options` must outlive it.
  explicit Service(const JobOptions& options) : options_(options) {}
  /// Finds key, address and ledger. `script`: whose; empty: of the working directory.
  Status open(const std::string& script);

  // Once it is open:
  engine::EngineOptions settings;  ///< of its engines; its log speaks with the command's voice
  std::string waits_for;           ///< what ended() waits for; empty: the service
  std::string notice;              ///< why the ledger is not beside the script
  std::shared_ptr<engine::CompletionQueue> queue;

  /// Points `options` at the simulator, which the first call starts; leaves them without --sim.
  Status connect(engine::EngineOptions& options);
  /// open(), Ctrl-C from now on, and an engine. Before any thread, so that all of them inherit how
  /// signals are blocked.
  /// `service`: whose jobs are looked at, where it need not be asked; empty: the settings'.
  Result<std::shared_ptr<engine::Engine>> start(const std::string& script,
                                                const std::string& service = "");
  Result<std::shared_ptr<engine::Engine>> make_engine(engine::EngineOptions options);
  /// For a state whose engines are this service's, which must outlive it.
  lua::ModuleOptions module_options();
  /// Runs an operation of an engine to its end, or to Ctrl-C. `begin` is given who is told. What is
  /// slow is told once.
  template <class Value, class Begin>
  Result<Value> ended(Begin begin) {
    constexpr int kSlow = 1500;
    std::optional<Result<Value>> result;
    begin([&](Result<Value> value) { result.emplace(std::move(value)); });
    Millis due = deadline(kSlow);
    while (!result && !interrupted()) {
      queue->drain();
      if (result) break;
      if (due != kNever && queue->clock().now() >= due) {
        const std::string& what = waits_for.empty() ? settings.base_url : waits_for;
        options_.voice.note("waiting for " + (what.empty() ? "files" : what) + " (Ctrl-C leaves)");
        due = kNever;
      }
      queue->wait(due);
    }
    if (result) return std::move(*result);
    return Error{.kind = Kind::interrupted, .message = "interrupted", .hint = "run it again"};
  }
  /// When so many real milliseconds (-1: for ever) will have passed on the jobs' clock.
  Millis deadline(int real_milliseconds) const;
  /// What a rehearsal would have cost; empty when it was none.
  std::string summary(const std::vector<engine::Engine*>& engines) const;

 private:
  const JobOptions& options_;
  sim::Options simulated_;
  std::unique_ptr<sim::Simulator> simulator_;
};

}  // namespace kling::cli
