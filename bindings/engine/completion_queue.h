// Where workers hand results to the owner's thread: the one way back. post() and wake() from any
// thread; the rest on the owner's thread only. Only wait() blocks.
#pragma once

#include <deque>
#include <functional>
#include <vector>

#include "base/clock.h"
#include "base/descriptor.h"

namespace kling {

/// What is told of something that may never happen. One whose owner has gone is forgotten, so that
/// waits that were given up leave nothing behind. Values; not thread-safe.
struct Watch {
  std::weak_ptr<void> owner;  ///< who waits
  std::function<void()> tell;
  int milestone = 0;  ///< where one list serves several
};

/// Adds a watch. Looks for forgotten ones only when the list would grow: constant time on average.
inline void add_watch(std::vector<Watch>& list, Watch watch) {
  if (list.size() == list.capacity()) {
    std::erase_if(list, [](const Watch& one) { return one.owner.expired(); });
    list.reserve(2 * list.size() + 1);
  }
  list.push_back(std::move(watch));
}

}  // namespace kling

namespace kling::engine {

class CompletionQueue {
 public:
  using TimePoint = std::chrono::steady_clock::time_point;

  explicit CompletionQueue(std::shared_ptr<Clock> clock);
  ~CompletionQueue();

  /// Throws for want of memory only, and `completion` is as it was then.
  void post(std::function<void()>&& completion);
  /// Runs what was posted, until `stop` at most (at least one); returns how many ran. Completions
  /// may post and may call engines. Allocates nothing when nothing was posted.
  std::size_t drain(TimePoint stop = TimePoint::max());
  /// Blocks until something is posted or woken, or until `deadline` on the clock.
  void wait(Millis deadline);
  /// Ends a wait() from any thread (not from a signal handler).
  void wake();
  /// Readable while something waits to be drained, after a wake() and from wake_fd_at() on. Made on
  /// first use; -1 when the system refuses.
  int fd();
  /// When fd() is to be readable by itself (kNever: not); replaces the time given before.
  void wake_fd_at(Millis due);
  Clock& clock() const { return *clock_; }

 private:
  void signal();
  void arm();

  std::shared_ptr<Clock> clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
  bool woken_ = false;
  bool signalled_ = false;  ///< event_ is readable
  Millis due_ = kNever;
  Descriptor poll_, event_, timer_;  ///< poll_ is readable when one of the others is
};

}  // namespace kling::engine
