// A child process run to its end: no shell, no standard input, bounded in time and output.
// The one file that knows how this system starts programs. Any thread; run_process blocks.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <vector>

#include "base/error.h"

namespace kling {

struct ProcessLimits {
  std::chrono::milliseconds time{120'000};        ///< real time; the child is killed at its end
  std::size_t output_bytes = 4u << 20;            ///< of standard output; more ends the child
  std::size_t message_bytes = 16u << 10;          ///< the last so many of standard error are kept
  std::size_t file_bytes = std::size_t{4} << 30;  ///< the largest file the child may write
  std::function<void(std::string&)> read;     ///< given standard output as it grows; may take of it
  const std::atomic<bool>* cancel = nullptr;  ///< set: the child is killed
};

struct ProcessOutput {
  int exit_code = 0;
  std::string output;    ///< standard output
  std::string messages;  ///< the tail of standard error
};

/// Runs argv[0], looked up on PATH, with /dev/null as its standard input and no other inherited
/// descriptor. It ends with the thread that waits for it. Errors: media (the program is missing,
/// was killed by its limits, or by a signal), interrupted (cancelled). A non-zero exit code is
/// none.
Result<ProcessOutput> run_process(const std::vector<std::string>& argv,
                                  const ProcessLimits& limits = {});

}  // namespace kling
