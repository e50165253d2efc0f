// What the subcommands share: their table, the exit codes, the way they speak. Main thread only.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "base/error.h"

namespace kling::lua {
struct TaskResult;
}

namespace kling::cli {

/// Exit codes of the program (documented in README).
enum ExitCode {
  kExitDone = 0,
  kExitError = 1,
  kExitUsage = 2,
  kExitGenerationFailed = 3,
  kExitDecision = 4,
  kExitInterrupted = 130,
};

/// The code for an error that ended a command.
int exit_code(Kind kind);

/// One subcommand: its options are added to `app`; the function returned runs it.
struct Command {
  const char* name;
  const char* doc;
  std::function<int()> (*set_up)(CLI::App& app);
};

/// Adds the commands of `table` to `app`. The one that is called leaves its exit code in `code`.
/// `only`: options and arguments are built for this one alone; empty: for all.
void add_commands(CLI::App& app, std::span<const Command> table, int& code, std::string_view only);
/// The program as a tree of commands with all their options: what completion and manual are
/// written from.
void describe_program(CLI::App& app);

std::function<int()> set_up_run(CLI::App& app);
std::function<int()> set_up_plan(CLI::App& app);
std::function<int()> set_up_repl(CLI::App& app);
std::function<int()> set_up_query(CLI::App& app);
std::function<int()> set_up_jobs(CLI::App& app);
std::function<int()> set_up_sim(CLI::App& app);
std::function<int()> set_up_doctor(CLI::App& app);
std::function<int()> set_up_init(CLI::App& app);
std::function<int()> set_up_types(CLI::App& app);
std::function<int()> set_up_completion(CLI::App& app);
std::function<int()> set_up_man(CLI::App& app);
std::function<int()> set_up_version(CLI::App& app);

/// How a command speaks to whoever started it.
struct Voice {
  bool json = false;
  bool quiet = false;
  void add_options(CLI::App& app);

  /// One JSON value as a line on standard output.
  static void line(const nlohmann::json& value);
  /// A sentence on standard error; not with --quiet.
  void note(const std::string& text) const;
  /// An error as text on standard error, or as {"error":{…}} on standard output. Returns its code.
  int fail(const Error& error) const;
  /// The same for a task that failed, with the script's line and the traceback.
  int fail(const lua::TaskResult& task) const;
};

}  // namespace kling::cli
