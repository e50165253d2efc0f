// What the subcommands share: their table, the exit codes, the way they speak. Main thread only.
#pragma once

#include <functional>
#include <span>

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

/// Adds the options of a subcommand; the function returned runs it.
using CommandSetUp = std::function<int()>(CLI::App& app);
struct Command {
  const char* name;
  const char* doc;
  CommandSetUp* set_up;
};

/// The options of a command, kept for as long as it may be called.
template <class Options>
std::shared_ptr<Options> options_of(CLI::App& app) {
  auto options = std::make_shared<Options>();
  options->add_options(app);
  return options;
}

constexpr double kUnbounded = 1e18;
/// A number of this range. The messages of the library's own check differ from version to version.
CLI::Validator number_in(double low, double high = kUnbounded);

/// Adds the commands of `table` to `app`. The one that is called leaves its exit code in `code`.
/// `only`: options and arguments are built for this one alone; empty: for all.
void add_commands(CLI::App& app, std::span<const Command> table, int& code, std::string_view only);
/// The program as a tree of commands with all their options: what completion and manual are
/// written from.
void describe_program(CLI::App& app);
/// The program itself; returns its exit code.
int run_program(int argc, char** argv);
/// For EngineOptions::on_action: each program that links the commands has its own.
std::function<void(const char* action, bool done)> action_trace();

CommandSetUp set_up_run, set_up_plan, set_up_repl, set_up_query, set_up_jobs, set_up_view,
    set_up_sim, set_up_doctor, set_up_login, set_up_init, set_up_types, set_up_completion,
    set_up_man, set_up_version;

/// Writes `text` to standard output and returns the exit code.
int print(std::string_view text);
/// A word as it is typed in a shell.
std::string quoted(const std::string& word);
/// The options and arguments that a command was given, each behind a blank.
std::string as_typed(const CLI::App& app);
/// The options of a command that was given, with a value for the one that took its script.
std::string with_value(const CLI::App& app, const CLI::Option& option);
/// The text in a colour ("31") of a terminal, where standard error is one and NO_COLOR is not set.
std::string coloured(const std::string& text, const char* colour);
/// The text with its lines broken between words, where `descriptor` is a terminal.
std::string wrapped(const std::string& text, int descriptor);
/// A problem, what to do about it and the job it is about: a line each on standard error.
void tell(const std::string& problem, const std::string& hint, const std::string& job = "");

/// An error of a script, its three parts apart. `job`: what people call the job it is about.
struct Told {
  std::string problem, hint, job;
};
Told told_apart(const lua::TaskResult& task, const std::string& job);

/// How a command speaks to whoever started it.
struct Voice {
  bool json = false;
  bool quiet = false;
  bool warns = false;             ///< quiet, but for warnings
  bool fails_in_json = false;     ///< errors alone are JSON
  const CLI::App* app = nullptr;  ///< whose command line it is
  std::string ledger;             ///< the one that a command typed here would not find; or empty
  void add_options(CLI::App& app);

  /// One JSON value as a line on standard output.
  static void line(const nlohmann::json& value);
  /// What a command is for: the value as such a line with --json, else the text, which has its own
  /// line ends. Returns the exit code.
  int result(const nlohmann::json& value, const std::string& text) const;
  /// A sentence on standard error; not with --quiet.
  void note(const std::string& text) const;
  /// An error as text on standard error, or as {"error":{…}} on standard output. Returns its code.
  int fail(const Error& error) const;
  /// The same for a task that failed, with the script's line and the traceback. `job`: what people
  /// call the job it is about.
  int fail(const lua::TaskResult& task, const std::string& job) const;
  /// What to do, as it is typed here: with --take, --ledger, --sim where this command had them.
  std::string typed(std::string hint) const;
};

/// Says what is wrong with the command line, as JSON where --json stands in it. Returns the exit
/// code.
int misused(const std::string& problem, const std::string& hint);
inline bool g_misused_in_json = false;  ///< set before the line is read
inline bool g_rehearses = false;        ///< likewise: --sim is among its words

/// Ctrl-C and SIGTERM for commands that wait: the first asks, the second leaves at once (what was
/// sent is in the ledger). A thread of its own hears of the signals and calls `wake`; no system
/// call is cut short. Call before any other thread exists. `deadline`: real seconds (0: none) after
/// which it is as if Ctrl-C had come; who does not answer that within seconds by heed_interrupt()
/// is in an endless loop, and the process ends.
void watch_interrupts(std::function<void()> wake, double deadline = 0);
bool interrupted();
bool overdue();  ///< it was the deadline
void heed_interrupt();

}  // namespace kling::cli
