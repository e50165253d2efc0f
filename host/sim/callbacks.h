// Callbacks: one POST for every change of a task's state, from one thread that sleeps on the
// virtual clock. Only loopback URLs are called, as the simulator uses no network. Thread-safe.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/clock.h"
#include "sim/task.h"

namespace kling::sim {

class Callbacks {
 public:
  /// `body` words a task at a time. `faults`: any of "repeat" (each one twice), "reorder" (the
  /// last but one comes after the last) and "lose" (every second one).
  Callbacks(std::shared_ptr<Clock> clock, std::string faults,
            std::function<std::string(const Task&, Millis)> body)
      : clock_(std::move(clock)), faults_(std::move(faults)), body_(std::move(body)) {}
  ~Callbacks() { stop(); }

  /// Plans the calls of a task, when it asks for them and is not over.
  void watch(const Task& task);
  int made() const;
  void stop();

 private:
  struct Call {
    Task task;
    Millis state_at;  ///< the time whose state it tells
  };
  void run();
  bool post(const std::string& url, const std::string& body) const;

  const std::shared_ptr<Clock> clock_;
  const std::string faults_;
  const std::function<std::string(const Task&, Millis)> body_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Millis, Call> calls_;
  int planned_ = 0, made_ = 0;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace kling::sim
