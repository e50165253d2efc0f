// What the subcommands of `kling jobs` share: which ledger, which job, and how a job is told. Main
// thread; everything but the formatting blocks on the disk.
#pragma once

#include "cli/service.h"

namespace kling::cli {

/// Of every command that looks into the ledger.
struct LedgerOptions : JobOptions {
  std::string script;  ///< whose ledger and jobs; empty: all of the working directory's ledger

  /// In place of those of all jobs, for what only looks into the ledger.
  void add_options(CLI::App& app);
  std::string ledger_path() const;
  /// The ledger; null when there is none yet, as looking makes none.
  Result<std::shared_ptr<engine::Ledger>> open() const;
  void note_absent() const;
  nlohmann::json told(const engine::Step& row) const;  ///< with hints as they are typed here
};

/// The step that `text` names: a handle in either form, a task id, an external id or an address,
/// whole or its unique beginning, or the name of a shot. Errors (invalid): none, several (named).
Result<engine::Step> find_step(const LedgerOptions& options, const std::string& text);

/// Of a run, as the ledger names it (--take); empty: none.
std::string take_of(const std::string& run);
/// Neither finished nor failed: something is to be waited for or decided.
bool is_open(const engine::Step& row);
/// It succeeded, is wanted, and its clip was never brought here: its download was left, or no store
/// was wanted. Not when it is so old that the service has deleted it.
bool is_unfetched(const engine::Step& row);
/// Of the script's file that made the job, without folder and line.
std::string script_of(const engine::Step& row);
/// The job with the field names of Lua; without its request.
nlohmann::json to_json(const engine::Step& row);

/// The name of a shot before the start of its prompt, where it has one.
std::string titled(const std::string& name, const std::string& summary);
/// "2026-11-21 13:05:58" of this place; empty for 0.
std::string local_time(Millis at);

/// The argument that names a job.
void add_handle(CLI::App& app, std::string& handle,
                const char* doc = "a name, a handle, an id, or the beginning of one");

inline constexpr char kRawHelp[] =
    "the service's answers as they came, and whole URLs: whoever has one can fetch the clip";

CommandSetUp set_up_jobs_list, set_up_jobs_show, set_up_jobs_wait, set_up_jobs_save,
    set_up_jobs_notify, set_up_jobs_answer, set_up_jobs_prune;

}  // namespace kling::cli
