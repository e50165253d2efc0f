// A program that leaves without kling_host_free: leaving BASE_URL HOW MILLISECONDS. Its code is 0.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include <kling/host.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr const char* kScript = R"(
  local kling = require "kling"
  for i = 1, 30 do kling.spawn(function() kling.text2video { prompt = "boat " .. i }:wait() end) end)";

kling_host* host;

/// Ticks while it must; false after minutes.
template <class Condition>
bool tick_until(Condition over) {
  const auto start = std::chrono::steady_clock::now();
  do kling_host_tick(host, 500);
  while (!over() && std::chrono::steady_clock::now() - start < std::chrono::minutes(1));
  return over();
}

bool accepted(int count) {
  const char* at = kling_host_jobs(host);
  while ((at = std::strstr(at, "\"id\":")) != nullptr) ++at, --count;
  return count <= 0;
}

/// A child of a prefork server: told what is wrong, and free to leave as it likes.
int child(bool frees) {
  if (kling_host_tick(host, 1000) != -1 || kling_host_pending(host) != 0) return 2;
  if (kling_host_run(host, "x", "", 0, nullptr) != 0) return 3;
  if (std::strstr(kling_host_error(host), "the process that made it") == nullptr) return 4;
  if (frees) kling_host_free(host);
  return 0;
}

/// A host of its own would need locks that came along as they were: that is said, and nothing
/// hangs.
int child_with_own(const kling_host_options& options) {
  constexpr const char* kOwn = R"(
    local ok, e = pcall(function() return require "kling".text2video { prompt = "own" } end)
    assert(ok or e.kind == "ledger" and tostring(e):find "a forked child cannot", e))";
  host = kling_host_new(&options, nullptr, 0);
  if (host == nullptr) return 5;
  const kling_task task = kling_host_run(host, "own", kOwn, std::strlen(kOwn), nullptr);
  if (!tick_until([&] { return kling_host_task_state(host, task) != KLING_TASK_RUNNING; }))
    return 6;
  return kling_host_task_state(host, task) == KLING_TASK_DONE ? 0 : 7;
}

}  // namespace

int main(int, char** argv) {
  const char* how = argv[2];
  kling_host_options options = KLING_HOST_OPTIONS;
  options.base_url = argv[1];
  options.key = "sk-test";
  options.ledger = ":memory:";
  options.poll = 0.01;
  host = kling_host_new(&options, nullptr, 0);
  if (host == nullptr || kling_host_run(host, "film", kScript, std::strlen(kScript), nullptr) == 0)
    return 1;
  if (std::strcmp(how, "late") == 0) {
    // Between the first thread and the first answer: exit() runs it before it ends the threads.
    tick_until([] { return kling_host_pending(host) > 0; });
    std::atexit([] {
      if (!tick_until([] { return accepted(30); })) std::_Exit(5);
    });
    tick_until([] { return accepted(1); });
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::atoi(argv[3]));
  tick_until([&] { return std::chrono::steady_clock::now() >= end; });
  if (std::strncmp(how, "fork", 4) == 0) {
    const pid_t made = fork();
    if (made == 0) {
      alarm(30);  // only ends a hang
      const int code = std::strcmp(how, "fork-own") == 0
                           ? child_with_own(options)
                           : child(std::strcmp(how, "fork-free") == 0);
      std::exit(code);
    }
    int status = 0;
    waitpid(made, &status, 0);
    kling_host_free(host);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 100 + WTERMSIG(status);
  }
  if (std::strcmp(how, "exit") == 0) std::exit(0);
  return 0;
}
