// A worker may run out of memory at any allocation: the job ends, with an error or without, the
// process lives, and the next run pays for nothing twice.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <sstream>

#include <dlfcn.h>
#include <execinfo.h>
#include <pthread.h>

#include "base/process.h"
#include "engine/stage.h"

// Sanitizers have operators of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

using namespace kling;
using namespace kling::engine;
using namespace kling::engine::testing;

namespace {

/// Which allocation of the workers fails; 0 and below: none.
std::atomic<long> g_fails{0};

bool is_worker() {
  thread_local const bool worker = [] {
    char name[16] = "";
    ::pthread_getname_np(::pthread_self(), name, sizeof name);
    return std::strcmp(name, "kling-worker") == 0;
  }();
  return worker;
}

/// nlohmann's destructor takes memory for a list of what is inside, and ends the process when there
/// is none: nothing of ours can change that. Where its code lies.
std::vector<std::pair<std::uintptr_t, std::uintptr_t>> g_spared;

bool find_spared() {
  Dl_info program{};
  const auto names = run_process({"nm", "-S", "/proc/" + std::to_string(::getpid()) + "/exe"},
                                 {.output_bytes = 64u << 20});
  if (!names || ::dladdr(reinterpret_cast<void*>(&is_worker), &program) == 0) return false;
  const auto base = reinterpret_cast<std::uintptr_t>(program.dli_fbase);
  std::istringstream lines(names->output);
  for (std::string line; std::getline(lines, line);) {
    std::uintptr_t start = 0, size = 0;
    if (line.find("nlohmann") == std::string::npos || line.find("7destroyE") == std::string::npos)
      continue;
    std::istringstream(line) >> std::hex >> start >> size;
    g_spared.emplace_back(base + start, base + start + size);
  }
  return !g_spared.empty();
}

bool is_spared() {
  void* frames[24];
  const int count = ::backtrace(frames, 24);
  for (int i = 0; i < count; ++i)
    for (const auto& [start, end] : g_spared)
      if (const auto at = reinterpret_cast<std::uintptr_t>(frames[i]); at > start && at <= end)
        return true;
  return false;
}

}  // namespace

// Inlined into a template that took its block from the other one, g++ sees malloc's free.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  const bool fails = g_fails > 0 && is_worker() && --g_fails == 0 && !is_spared();
  if (void* block = fails ? nullptr : std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }

namespace {

/// The spans of a job's life on the workers: each action, and what follows it until the next.
struct Span {
  std::string action;
  bool after = false;
};

/// Has the n-th allocation of a span fail, for growing n until it has none left. How many failed.
int fail_in(Stage& stage, const Span& span, EngineOptions options) {
  const bool every = std::getenv("KLING_EVERY") != nullptr;
  options.store = span.action == "download" || span.action == "record_file";
  int failed = 0;
  for (long n = 1;; n += every ? 1 : 1 + n / (options.store ? 2 : 4)) {  // clips take their time
    const std::string prompt = span.action + (span.after ? " after " : " in ") + std::to_string(n);
    CAPTURE(prompt);
    std::atomic<bool> reached{false};
    bool left = false;
    stage.options = options;
    stage.options.on_action = [&](const char* action, bool done) {
      if (action == span.action && done == span.after && !reached.exchange(true))
        g_fails = n;
      else if (reached && g_fails.exchange(0) > 0)
        left = true;
    };
    stage.open_engine();
    const int charged = stage.count().charged;
    if (span.action == "start" && !reached.exchange(true)) g_fails = n;
    const auto job = stage.create(Stage::shot(prompt));
    const JobSnapshot seen = stage.finish(job);
    if (g_fails.exchange(0) > 0) left = true;
    REQUIRE(reached);
    CHECK((seen.error || seen.phase == Phase::stored || seen.phase == Phase::succeeded));
    stage.options.on_action = nullptr;
    stage.open_engine();
    const JobSnapshot again = stage.run(Stage::shot(prompt));
    CAPTURE((again.error ? again.error->message : ""));
    CHECK((again.phase == Phase::stored || again.phase == Phase::succeeded));
    CHECK(stage.count().charged == charged + 1);
    if (left) return failed;
    ++failed;
  }
}

}  // namespace

TEST_CASE("nothing is lost or paid twice when memory ends at any allocation of a worker") {
  if (!find_spared()) {
    MESSAGE("skipped: there is no nm");
    return;
  }
  Stage stage;
  const EngineOptions options = stage.options;
  std::vector<std::string> actions;
  stage.options.on_action = [&](const char* action, bool done) {
    if (!done && std::find(actions.begin(), actions.end(), action) == actions.end())
      actions.emplace_back(action);
  };
  stage.open_engine();
  stage.run(Stage::shot());
  stage.engine.reset();
  int failed = fail_in(stage, {"start"}, options);
  for (const std::string& action : actions)
    for (const bool after : {false, true}) failed += fail_in(stage, {action, after}, options);
  MESSAGE("allocations that failed: " << failed << ", in and after " << actions.size()
                                      << " actions");
  CHECK(failed > 100);
}
#endif
