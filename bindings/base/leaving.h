// What ends when the process does, or does not go along into a forked one: threads still run while
// exit() takes libraries down, and a lock of the kernel lives on in each copy of its descriptor.
// Not for what its owner ends in time. Any thread.
#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include <sys/types.h>

#include "base/descriptor.h"

namespace kling {

/// Ends threads: told to at once, then awaited until `until` at most. Called twice, with the
/// present time first, so that all of them end side by side.
using EndThreads = std::function<void(std::chrono::steady_clock::time_point until)>;

/// Has `end` called at exit() or the end of main, before libraries are taken down, for as long as
/// the result lives; together they get two seconds. Not in a forked child: it has no threads.
std::shared_ptr<void> at_exit(EndThreads end);

/// The same once more, ahead of what exit() destroys now: for who uses a library's static objects.
void end_threads_first();

/// While one lives, no child is made: for short calls into OpenSSL, whose locks a child would find
/// held for ever when it exits. Not nested, and nothing is awaited meanwhile.
class NoFork : NotCopied {
 public:
  NoFork();
  ~NoFork();
};

/// A descriptor that forked children must not hold: closed in them, and none there.
class UnsharedDescriptor {
 public:
  UnsharedDescriptor() = default;
  /// What `open` gives, while no child can be made.
  explicit UnsharedDescriptor(const std::function<Descriptor()>& open);

  explicit operator bool() const { return file_ != nullptr && *file_; }
  int get() const { return file_ != nullptr ? file_->get() : -1; }

 private:
  std::shared_ptr<Descriptor> file_;
};

/// Which process made something whose threads and locks a forked child does not have.
class Birthplace {
 public:
  bool is_here() const;

 private:
  static pid_t present();
  pid_t process_ = present();
};

}  // namespace kling
