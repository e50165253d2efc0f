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

/// A child of a prefork server: told what is wrong, and free to leave as it likes.
int child(kling_host* host, bool frees) {
  if (kling_host_tick(host, 1000) != 0 || kling_host_pending(host) != 0) return 2;
  if (kling_host_run(host, "x", "", 0, nullptr) != 0) return 3;
  if (std::strstr(kling_host_error(host), "the process that made it") == nullptr) return 4;
  if (frees) kling_host_free(host);
  return 0;
}

}  // namespace

int main(int, char** argv) {
  const char* how = argv[2];
  kling_host_options options = KLING_HOST_OPTIONS;
  options.base_url = argv[1];
  options.key = "sk-test";
  options.ledger = ":memory:";
  options.poll = 0.01;
  kling_host* host = kling_host_new(&options, nullptr, 0);
  if (host == nullptr || kling_host_run(host, "film", kScript, std::strlen(kScript), nullptr) == 0)
    return 1;
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(std::atoi(argv[3]));
  do kling_host_tick(host, 500);
  while (std::chrono::steady_clock::now() < end);
  if (std::strncmp(how, "fork", 4) == 0) {
    const pid_t made = fork();
    if (made == 0) {
      alarm(30);  // only ends a hang
      const int code = child(host, std::strcmp(how, "fork-free") == 0);
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
