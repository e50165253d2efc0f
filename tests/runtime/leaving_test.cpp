// Leaving without a farewell: another program does it at many moments, with and without a fork.
#include <csignal>
#include <cstdlib>

#include "base/process.h"
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

constexpr int kHung = 100 + SIGALRM;
#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// The codes and messages of all runs that did not end well.
std::string ends_of(const char* how, int runs) {
  const Stage stage;
  // A child that leaves at once frees nothing.
  if (kSanitized) REQUIRE(::setenv("ASAN_OPTIONS", "detect_leaks=0", 1) == 0);
  std::string bad;
  for (int run = 0; run < runs; ++run) {
    const auto outcome =
        run_process({KLING_LEAVING, stage.options.base_url, how, std::to_string(run * 7 % 60)});
    if (!outcome)
      bad += outcome.error().message + "\n";
    else if (outcome->exit_code == kHung && kSanitized)
      continue;  // the sanitizer's own locks came along
    else if (outcome->exit_code != 0)
      bad += "code " + std::to_string(outcome->exit_code) + " " + outcome->messages + "\n";
  }
  return bad;
}

}  // namespace

TEST_CASE("a program may exit at any moment without freeing its hosts") {
  CHECK(ends_of("exit", 40) == "");
}

TEST_CASE("a program may return from main at any moment without freeing its hosts") {
  CHECK(ends_of("return", 40) == "");
}

TEST_CASE("a host works until the handlers of exit have come to its threads") {
  // What a library freed too early is not what it was.
  REQUIRE(::setenv("MALLOC_PERTURB_", "90", 1) == 0);
  CHECK(ends_of("late", 5) == "");
  ::unsetenv("MALLOC_PERTURB_");
}

TEST_CASE("a forked child is told that the host is not its own and leaves as it likes") {
  CHECK(ends_of("fork-free", 40) == "");
  CHECK(ends_of("fork-exit", 40) == "");
}

TEST_CASE("a forked child beside a busy parent is told that it cannot open a ledger") {
  CHECK(ends_of("fork-own", 40) == "");
}
