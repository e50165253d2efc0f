// Where workers hand results to the owner's thread: the one way back. post() from any thread;
// drain() and wait() on the owner's thread only. Only wait() blocks.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>

#include "base/clock.h"

namespace kling::engine {

class CompletionQueue {
 public:
  explicit CompletionQueue(std::shared_ptr<Clock> clock);
  ~CompletionQueue();
  CompletionQueue(const CompletionQueue&) = delete;
  CompletionQueue& operator=(const CompletionQueue&) = delete;

  void post(std::function<void()> completion);
  /// Runs what was posted; returns how many ran. Completions may post and may call engines.
  std::size_t drain();
  /// Blocks until something is posted or woken, or until `deadline` on the clock.
  void wait(Millis deadline);
  /// Ends a wait() from any thread (not from a signal handler).
  void wake();
  /// Readable while something waits to be drained. Made on first use; -1 when the system refuses.
  int fd();
  Clock& clock() const { return *clock_; }

 private:
  std::shared_ptr<Clock> clock_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> posted_;
  bool woken_ = false;
  int fd_ = -1;
};

}  // namespace kling::engine
