#include "cli/command.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <optional>
#include <thread>

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include "base/signals.h"
#include "engine/error_json.h"
#include "lua/runtime.h"

namespace kling::cli {
namespace {

using Steady = std::chrono::steady_clock;

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

CLI::Validator not_negative() {
  const auto check = [](std::string& text) -> std::string {
    double number = 0;
    if (CLI::detail::lexical_cast(text, number) && number >= 0) return {};
    return "takes a number that is 0 or more, not " + text;
  };
  return {check, "NONNEGATIVE"};
}

void add_commands(CLI::App& app, std::span<const Command> table, int& code, std::string_view only) {
  for (const Command& command : table) {
    CLI::App* sub = app.add_subcommand(command.name, command.doc);
    // Built on use only: most of a short run would go into options nobody asked for.
    if (!only.empty() && only != command.name) continue;
    sub->callback([run = command.set_up(*sub), &code] { code = run(); });
  }
}

int print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() ? kExitDone : kExitError;
}

void Voice::add_options(CLI::App& app) {
  app.add_flag("--json", json, "one JSON value a line on standard output");
  app.add_flag("-q,--quiet", quiet, "errors only");
}

void Voice::line(const nlohmann::json& value) {
  const std::string text =
      value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

void Voice::note(const std::string& text) const {
  if (!quiet && !json) std::fprintf(stderr, "kling: %s\n", text.c_str());
}

int Voice::fail(const Error& error) const {
  if (json) {
    line({{"error", engine::to_json(error)}});
  } else {
    // Of the kinds, "invalid" says nothing that the message does not.
    const std::string kind =
        error.kind == Kind::invalid ? "" : name(error.kind) + std::string(": ");
    std::fprintf(stderr, "kling: %s%s\n", kind.c_str(), error.message.c_str());
    if (!error.hint.empty()) std::fprintf(stderr, "  do: %s\n", error.hint.c_str());
  }
  return exit_code(error.kind);
}

int Voice::fail(const lua::TaskResult& task) const {
  if (json) {
    nlohmann::json error = engine::to_json(task.error);
    if (!task.where.empty()) error["where"] = task.where;
    if (!task.traceback.empty()) error["traceback"] = task.traceback;
    line({{"error", error}});
  } else {
    // What to do has a line of its own.
    const std::string& hint = task.error.hint;
    std::string text = task.message;
    if (!hint.empty() && text.ends_with(" " + hint)) {
      text.resize(text.size() - hint.size() - 1);
      if (text.ends_with(';') || text.ends_with('.')) text.pop_back();
    }
    std::fprintf(stderr, "kling: %s\n", text.c_str());
    if (!hint.empty()) std::fprintf(stderr, "  do: %s\n", hint.c_str());
    // One frame is the line that the message begins with.
    if (std::ranges::count(task.traceback, '\n') > 1)
      std::fprintf(stderr, "%s\n", task.traceback.c_str());
  }
  return task.is_kling_error ? exit_code(task.error.kind) : int{kExitError};
}

std::function<int()> set_up_version(CLI::App& app) {
  auto voice = std::make_shared<Voice>();
  voice->add_options(app);
  app.footer("Example: kling version --json");
  return [voice] {
    if (voice->json) {
      Voice::line({{"version", KLING_VERSION}});
    } else {
      std::printf("kling %s\n", KLING_VERSION);
    }
    return int{kExitDone};
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
        if (++g_signals > 1) ::_exit(kExitInterrupted);
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
