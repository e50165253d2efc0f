// The engine's threads: started on first need, at most `kMaxThreads`, each running what may block.
// Any thread may submit. stop() drops what has not begun and returns within about 60 ms; a thread
// that hangs in a system call is left behind with what it holds. So does exit() with every pool
// that nobody stopped, and waits for its threads, as what they use is taken down then.
#pragma once

#include <cstddef>
#include <functional>

#include "base/clock.h"
#include "base/descriptor.h"
#include "base/error.h"

namespace kling::engine {

/// What a piece of work mainly waits for; each lane has its own ceiling, so that long uploads,
/// downloads or renderings cannot keep polls and records waiting. `claim` runs one after the other,
/// in the order of submission.
enum class Lane { claim, light, post, transfer, media };

class WorkerPool : NotCopied {
 public:
  static constexpr std::size_t kMaxThreads = 24;

  explicit WorkerPool(std::shared_ptr<Clock> clock);
  ~WorkerPool();

  /// Before the first start(): what ends the waits of the threads, called at exit().
  void set_interrupt(std::function<void()> interrupt);
  /// Makes sure of one thread at least, so that what is submitted is run. An error: none can be
  /// started, and nothing may be submitted.
  Status start();
  /// Work may throw for want of memory, and is over then; so may this, and has done nothing then.
  void submit(Lane lane, std::function<void()> work);
  /// Once the clock shows `due`.
  void submit_at(Millis due, Lane lane, std::function<void()> work);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kling::engine
