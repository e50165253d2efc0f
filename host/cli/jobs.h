// What the subcommands of `kling jobs` share: which ledger, which job, and how a job is told. Main
// thread; everything but the formatting blocks on the disk.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/settings.h"
#include "cli/simulation.h"
#include "engine/ledger.h"

namespace kling::cli {

struct JobsOptions {
  Voice voice;
  ServiceOptions service;
  SimulationOptions simulation;
  std::string script;  ///< whose ledger and jobs; empty: all of the working directory's ledger

  /// For what only looks into the ledger. What asks the service adds those of `service` and
  /// `simulation`, which hold --ledger and --sim.
  void add_ledger_options(CLI::App& app);
  std::string ledger_path() const;
  /// The ledger; null when there is none yet, as looking makes none.
  Result<std::shared_ptr<engine::Ledger>> open() const;
};

/// The step that `text` names: a handle in either form, a task id, an external id or an address,
/// whole or its unique beginning. Errors (invalid): none, several (named).
Result<engine::StepRow> find_step(const JobsOptions& options, const std::string& text);

/// "kling:text2video/861309…" or, before acceptance, "kling:text2video/~<external id>".
std::string handle_of(const engine::StepRow& row);
/// Neither finished nor failed: something is to be waited for or decided.
bool is_open(const engine::StepRow& row);
/// Of the script's file that made the job, without folder and line.
std::string script_of(const engine::StepRow& row);
/// The job with the field names of Lua; without its request.
nlohmann::json to_json(const engine::StepRow& row);

/// "2026-11-21 13:05:58" of this place; empty for 0.
std::string local_time(Millis at);
/// `text` with the query of every URL in it cut off: that is where signatures are.
std::string without_signatures(const std::string& text);
/// `text` with nothing in it that moves a terminal's cursor.
std::string printable(std::string text);

std::function<int()> set_up_jobs_list(CLI::App& app);
std::function<int()> set_up_jobs_show(CLI::App& app);
std::function<int()> set_up_jobs_wait(CLI::App& app);
std::function<int()> set_up_jobs_save(CLI::App& app);
std::function<int()> set_up_jobs_prune(CLI::App& app);

}  // namespace kling::cli
