// Ctrl-C and SIGTERM for commands that wait: the first asks, the second leaves at once (what was
// sent is in the ledger). A thread of its own takes the signals, so that no system call is cut.
#pragma once

#include <functional>

namespace kling::cli {

class Interrupt {
 public:
  /// Call before any other thread exists. `wake` is called from the signal thread.
  static void install(std::function<void()> wake);
  static bool requested();
};

}  // namespace kling::cli
