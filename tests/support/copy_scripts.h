// The shipped scripts in a folder of the test's.
#pragma once

#include <filesystem>
#include <string>

namespace kling::test {

/// Copies scripts/ to the folder `to`, without the ledger that `./dev demo` keeps there.
inline void copy_scripts(const std::string& to) {
  std::filesystem::copy(KLING_SOURCE_DIR "/scripts", to, std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(to + "/.kling");
}

}  // namespace kling::test
