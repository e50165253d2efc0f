// Clips that one case of a test program has rendered, for the next: rendering takes its time.
#pragma once

#include <filesystem>
#include <string>

#include "base/temp_folder.h"

namespace kling::test {

/// A folder as long as the program runs.
inline const std::string& clip_cache() {
  static const TempFolder folder;
  return folder.path();
}

inline void copy_clips(const std::string& from, const std::string& to) {
  std::error_code error;
  std::filesystem::create_directories(to, error);
  using Options = std::filesystem::copy_options;
  std::filesystem::copy(from, to, Options::recursive | Options::skip_existing, error);
}

}  // namespace kling::test
