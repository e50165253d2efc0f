#include "cli/command.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <regex>

#include <poll.h>
#include <signal.h>

#include "base/signals.h"
#include "base/terminal.h"
#include "engine/media/ffmpeg.h"
#include "lua/runtime.h"

namespace kling::cli {
namespace {

std::atomic<int> g_signals{0};
std::atomic<bool> g_overdue{false}, g_heeded{false};
constexpr std::chrono::seconds kGrace{2};

/// Waits for a signal, at most until `due` (none: for ever). 0: that has come.
int next_signal(int signals, std::optional<Steady::time_point> due) {
  for (;;) {
    int left = -1;
    if (due) {
      const auto time = std::chrono::ceil<std::chrono::milliseconds>(*due - Steady::now());
      if (time.count() <= 0) return 0;
      left = static_cast<int>(std::min<std::int64_t>(time.count(), 1'000'000));
    }
    pollfd source{signals, POLLIN, 0};
    ::poll(&source, 1, left);
    if (unsigned char signal = 0; ::read(signals, &signal, 1) == 1) return signal;
  }
}

}  // namespace

int exit_code(Kind kind) {
  switch (kind) {
    case Kind::task_failed:
    case Kind::policy: return kExitGenerationFailed;
    case Kind::ambiguous:
    case Kind::budget: return kExitDecision;
    case Kind::interrupted: return kExitInterrupted;
    default: return kExitError;
  }
}

CLI::Validator number_in(double low, double high) {
  const auto told = [](double number) { return printed("%.15g", number); };
  const bool bounded = high < kUnbounded;
  const std::string range =
      bounded ? "from " + told(low) + " to " + told(high) : "that is " + told(low) + " or more";
  const auto check = [=](std::string& text) -> std::string {
    double number = 0;
    if (text.starts_with('$')) text.erase(0, 1);  // of money
    if (CLI::detail::lexical_cast(text, number) && number >= low && number <= high) return {};
    const std::size_t comma = text.find(',');
    const std::string meant =
        comma == text.npos ? "" : ", such as " + std::string(text).replace(comma, 1, ".");
    return "takes a number " + range + meant + ", not " + text;
  };
  return {check, bounded ? told(low) + "-" + told(high) : ""};
}

void add_commands(CLI::App& app, std::span<const Command> table, int& code, std::string_view only) {
  // Built on use only: most of a short run would go into options nobody asked for.
  const bool known = std::ranges::count(table, only, &Command::name) > 0;
  for (const Command& command : table) {
    if (known && only != command.name) continue;
    CLI::App* sub = app.add_subcommand(command.name, command.doc);
    if (!only.empty() && !known) continue;
    const std::function<int()> run = command.set_up(*sub);
    for (CLI::Option* option : sub->get_options())
      if (option->get_items_expected_max() == 0) option->disable_flag_override();  // --yes=0
    sub->callback([sub, run, &code] {
      const std::string parent = sub->get_parent()->get_name();
      const std::string path =
          "kling " + (parent == "kling" || parent.empty() ? "" : parent + " ") + sub->get_name();
      // Before the command's name they would be another command's: `kling jobs --sim prune`.
      for (const CLI::Option* option : sub->get_parent()->get_options())
        if (option->count() > 0)
          return void(code =
                          misused(option->get_name() + " belongs behind " + sub->get_name(),
                                  "write " + path + as_typed(*sub->get_parent()) + as_typed(*sub)));
      for (const CLI::Option* option : sub->get_options()) {
        const std::string value = option->empty() ? "" : option->results().back();
        if (option->get_positional() || option->check_lname("script") || !value.ends_with(".lua"))
          continue;
        return void(code = misused(option->get_name() + " took " + value + " as its value",
                                   "write " + path + with_value(*sub, *option)));
      }
      code = run();
    });
  }
}

int print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? kExitDone : kExitError;
}

std::string coloured(const std::string& text, const char* colour) {
  const char* plain = std::getenv("NO_COLOR");
  if (!is_capable_terminal(STDERR_FILENO) || (plain != nullptr && *plain != '\0')) return text;
  return std::string("\x1b[") + colour + "m" + text + "\x1b[0m";
}

std::string wrapped(const std::string& given, int descriptor) {
  const std::string text = printable(given);
  if (::isatty(descriptor) == 0) return text;
  const std::size_t columns = terminal_size(descriptor).columns;
  std::string out, word;
  std::size_t at = 0, blanks = 0, indent = 4;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] != ' ' && text[i] != '\n') {
      word += text[i];
      continue;
    }
    // A table goes on below the column where its second one began.
    if (!word.empty() && blanks > 1 && at > blanks && at + 20 < columns) indent = at;
    blanks = word.empty() ? blanks + 1 : 1;
    const std::size_t width = columns_of(word);
    const std::size_t next = indent + width < columns ? indent : std::min<std::size_t>(indent, 4);
    if (at > next && at + width >= columns) out += "\n" + std::string(at = next, ' ');
    out += word;
    at += width + 1;
    word.clear();
    if (i == text.size()) break;
    out += text[i];
    if (text[i] == '\n') {
      at = blanks = 0;
      indent = 4;
    }
  }
  return out;
}

void tell(const std::string& problem, const std::string& hint, const std::string& job) {
  const auto line = [](const char* label, const char* colour, const std::string& text) {
    const std::string shown = wrapped(label + text, STDERR_FILENO) + "\n";
    if (!text.empty())
      std::fputs((coloured(label, colour) + shown.substr(std::strlen(label))).c_str(), stderr);
  };
  // Some tell both in one sentence: "crossfade is -1; it wants a number from 0 to 60".
  for (const char* advice : {"; it wants ", "; it takes ", "; it knows ", "; is a ", "; write "})
    if (const std::size_t at = problem.find(advice); hint.empty() && at != problem.npos)
      return tell(problem.substr(0, at), problem.substr(at + 2), job);
  line("kling: ", "31", problem.empty() ? "an error without a text" : problem);
  line("  do: ", "32", hint);
  line("  job: ", "2", job);
}

void Voice::add_options(CLI::App& owner) {
  app = &owner;
  owner.add_flag("--json", json, "one JSON value a line on standard output");
  owner.add_flag("-q,--quiet", quiet, "errors only");
}

std::string Voice::typed(std::string hint) const {
  constexpr const char* kOurs =
      "jobs( (list|show|wait|save|resolve|answer|notify|prune))?|run|plan|query|repl|view";
  for (const auto& [name, commands] : {std::pair{"--take", "run|plan|view"},
                                       {"--draft", "run|plan"},
                                       {"--ledger", kOurs},
                                       {"--sim", kOurs}}) {
    const CLI::Option* option = app == nullptr ? nullptr : app->get_option_no_throw(name);
    const bool typed_too = (option != nullptr && option->count() > 0) ||
                           (g_rehearses && name == std::string_view("--sim"));
    if (!typed_too && (ledger.empty() || name != std::string_view("--ledger"))) continue;
    std::string given = std::string(" ") + name;
    if (!typed_too)
      given += " " + quoted(ledger);
    else if (option != nullptr && option->get_items_expected_max() > 0)
      given += " " + quoted(option->results().back());
    // Unless the command has it already; words of the sentence behind it may name it, too.
    const std::regex command(std::string("(kling (") + commands +
                             ")\\b)(?!( \\w+)? --help)(?![^;,\\n]* " + name + "\\b)");
    hint = std::regex_replace(hint, command,
                              "$1" + std::regex_replace(given, std::regex("\\$"), "$$$$"));
  }
  return hint;
}

void Voice::line(const nlohmann::json& value) {
  const std::string text =
      value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

int Voice::result(const nlohmann::json& value, const std::string& text) const {
  if (!json) return print(::isatty(STDOUT_FILENO) != 0 ? printable(text) : text);
  line(value);
  return kExitDone;
}

void Voice::note(const std::string& text) const {
  if (!quiet && !json)
    std::fprintf(stderr, "%s\n", wrapped("kling: " + text, STDERR_FILENO).c_str());
}

int misused(const std::string& problem, const std::string& hint) {
  const Voice voice{.json = g_misused_in_json};
  (void)voice.fail({.message = problem, .hint = hint});
  return kExitUsage;
}

int Voice::fail(const Error& error) const {
  if (json || fails_in_json) {
    Error told = error;
    told.hint = typed(told.hint);
    line({{"error", engine::to_json(told)}});
  } else {
    const bool named = error.message.find(error.job) != std::string::npos;
    tell(error.message, typed(error.hint), named ? "" : error.job);
  }
  return exit_code(error.kind);
}

Told told_apart(const lua::TaskResult& task, const std::string& job) {
  const auto& [hint, handle] = std::tie(task.error.hint, task.error.job);
  Told told{task.message, hint, ""};
  std::string& text = told.problem;
  if (!hint.empty() && text.ends_with(" " + hint)) {
    text.resize(text.size() - hint.size() - 1);
    if (text.ends_with(';') || text.ends_with('.')) text.pop_back();
  }
  for (const std::string& cut : {" (" + handle + ")", handle + ", "}) {
    const std::size_t at = handle.empty() ? text.npos : text.rfind(cut);
    if (at == text.npos) continue;
    text.erase(at, cut.size());
    told.job = job;
  }
  return told;
}

int Voice::fail(const lua::TaskResult& task, const std::string& job) const {
  if (json || fails_in_json) {
    nlohmann::json error = engine::to_json(task.error);
    if (!task.where.empty()) error["where"] = task.where;
    if (!task.traceback.empty()) error["traceback"] = task.traceback;
    if (!task.error.hint.empty()) error["hint"] = typed(task.error.hint);
    line({{"error", error}});
  } else {
    const Told told = told_apart(task, job);
    tell(told.problem, typed(told.hint), told.job);
    // One frame is the line that the message begins with.
    if (std::ranges::count(task.traceback, '\n') > 1)
      std::fprintf(stderr, "%s\n", printable(task.traceback).c_str());
  }
  return task.is_kling_error ? exit_code(task.error.kind) : int{kExitError};
}

std::function<int()> set_up_version(CLI::App& app) {
  auto voice = options_of<Voice>(app);
  app.footer("Example: kling version --json");
  return [voice] {
    return voice->result({{"version", KLING_VERSION}}, "kling " KLING_VERSION "\n");
  };
}

void watch_interrupts(std::function<void()> wake, double deadline) {
  const int signals = signal_pipe({SIGINT, SIGTERM, SIGHUP});
  std::optional<Steady::time_point> due;
  if (deadline > 0)
    due = Steady::now() +
          std::chrono::duration_cast<Steady::duration>(std::chrono::duration<double>(deadline));
  std::thread([signals, due, wake = std::move(wake)]() mutable {
    for (;;) {
      if (next_signal(signals, due) != 0) {
        if (++g_signals > 1) {
          engine::media::drop_parts();
          ::_exit(kExitInterrupted);
        }
        due = Steady::now() + kGrace;
      } else if (g_signals > 0 && !g_overdue) {
        due.reset();
        if (!g_heeded)
          tell("still busy", "Ctrl-C once more leaves at once; what was sent is recorded");
      } else if (!g_overdue) {
        g_overdue = true;
        ++g_signals;
        due = Steady::now() + kGrace;
      } else {
        due.reset();
        if (!g_heeded) {
          static constexpr char kText[] =
              "kling: interrupted: the deadline has passed, and the script does not stop; what was "
              "sent is in the ledger\n";
          (void)!::write(STDERR_FILENO, kText, sizeof kText - 1);
          ::_exit(kExitInterrupted);
        }
      }
      wake();
    }
  }).detach();
}

bool overdue() { return g_overdue; }
void heed_interrupt() { g_heeded = true; }

bool interrupted() { return g_signals > 0; }

}  // namespace kling::cli
