// The engine's threads: started on first need, at most `kMaxThreads`, each running what may block.
// Any thread may submit. stop() drops what has not begun and returns within about 100 ms; a thread
// that hangs in a system call is left behind with what it holds.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/clock.h"

namespace kling::engine {

/// What a piece of work mainly waits for; each lane has its own ceiling, so that long uploads,
/// downloads or renderings cannot keep polls and records waiting. `claim` runs one after the other,
/// in the order of submission.
enum class Lane { claim, light, post, transfer, media };

class WorkerPool {
 public:
  static constexpr std::size_t kMaxThreads = 24;

  explicit WorkerPool(std::shared_ptr<Clock> clock);
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  void submit(Lane lane, std::function<void()> work);
  /// Once the clock shows `due`.
  void submit_at(Millis due, Lane lane, std::function<void()> work);
  void stop();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace kling::engine
