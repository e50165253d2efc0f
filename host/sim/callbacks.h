// Callbacks: one POST for every change of a task's state, from one thread that sleeps on the
// virtual clock. Only loopback URLs are called, as the simulator uses no network. Thread-safe.
#pragma once

#include <atomic>
#include <thread>

#include "sim/contract.h"
#include "sim/faults.h"

namespace kling::sim {

class Callbacks {
 public:
  /// `body` words a task at a time.
  Callbacks(std::shared_ptr<Clock> clock, FaultScript& faults,
            std::function<std::string(const Task&, Millis)> body)
      : clock_(std::move(clock)), faults_(faults), body_(std::move(body)) {}
  ~Callbacks() { stop(); }

  /// Plans the calls of a task, when it asks for them: one for each change from `since` on.
  void watch(const Task& task, Millis since);
  int made() const { return made_; }
  void stop();

 private:
  struct Call {
    Task task;
    Millis state_at;  ///< the time whose state it tells
  };
  void run();

  const std::shared_ptr<Clock> clock_;
  FaultScript& faults_;
  const std::function<std::string(const Task&, Millis)> body_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Millis, Call> calls_;
  std::atomic<int> made_{0};
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kling::sim
