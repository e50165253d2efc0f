// Programs that are not ours, loading the module from where it was built.
#pragma once

#include <cstdlib>
#include <string>
#include <vector>

#include "base/process.h"
#include "cli/program.h"

namespace kling::test {

inline constexpr const char* MODULE = KLING_MODULE;

/// Ends the test where the program is not installed: ctest, which looks for these words, counts it
/// as skipped, and `./dev check` does not accept that.
#define NEEDS(program)                                                \
  do {                                                                \
    if (std::system("command -v " program " >/dev/null 2>&1") != 0) { \
      MESSAGE("skipped: " program " is not installed");               \
      return;                                                         \
    }                                                                 \
  } while (false)

inline std::unique_ptr<Child> start_foreign(const Stage& stage, std::vector<std::string> words) {
  words.insert(words.begin(), "/usr/bin/env");
  auto environment = stage.environment;
  const std::string module = MODULE;
  environment.push_back("LUA_CPATH_5_4=" + module.substr(0, module.rfind('/')) + "/?.so;;");
  return std::make_unique<Child>(words, stage.folder.path(), environment);
}
inline Outcome foreign(const Stage& stage, std::vector<std::string> words) {
  return start_foreign(stage, std::move(words))->wait();
}

}  // namespace kling::test
