// Running a script from its first line to its bill: what `kling run` and `kling plan` share. Main
// thread; blocks until the script and its jobs are done.
#pragma once

#include "cli/board.h"
#include "cli/safe_run.h"

namespace kling::cli {

struct RunOptions : JobOptions {
  std::string take;
  bool detach = false;
  bool strict = false;
  bool no_store = false;
  bool retry_failed = false;
  bool ask_again = false;  ///< --re-ask
  bool yes = false;        ///< nobody is asked before the first request
  bool draft = false;
  std::string again;  ///< the name of a shot
  BoardOptions board;
  void add_take_options();  ///< which film is made, and shown: of run and plan
  bool notify = false;
  std::string listen;      ///< HOST:PORT for callbacks; empty: none
  std::string public_url;  ///< where the service reaches that; empty: there
  double deadline = 0;     ///< real seconds for all of it; 0: none
  engine::Limits limits;
  SafeRun safe;
  CLI::App* app = nullptr;  ///< its remaining arguments are the script and what follows

  // Of a plan:
  /// Makes the engines; null: those of the service.
  std::function<Result<std::shared_ptr<engine::Engine>>(engine::EngineOptions, Service&)>
      make_engine;
  /// Called at the end, in place of the bill.
  std::function<void(const std::vector<engine::Engine*>&)> report;
};

int run_script(RunOptions& options);
/// `kling run SCRIPT`, with no other word.
int run_alone(const std::string& script);
/// The same once its state is set up; its exit code.
int run_until_done(const RunOptions& options, const Service& service, lua_State* L,
                   lua::Runtime& runtime, lua::TaskId task, Board* board);
/// Whether somebody can be asked at this terminal.
bool sits_here();

/// The run's command as it was typed, with `more` among its options.
std::string command_line(const CLI::App& run, const std::string& more,
                         const std::string& name = "run");

/// Options that stand behind the script, where nobody reads them: `kling run film.lua --sim` must
/// not become a paid run. Pure; any thread. `words`: what `app` (run or plan) left unread, the
/// script first. Takes the first "--" away, behind which every word is the script's. Returns what
/// is wrong, with the right order; empty: nothing is.
std::string take_slips(const CLI::App& app, std::vector<std::string>& words);

}  // namespace kling::cli
