// A clock without real seconds: when nothing is under way (hold, release) it jumps to the earliest
// deadline that anybody waits for. Shared by an engine and a simulator in one process, minutes of
// polling pass in milliseconds. Socket time-outs stay real: an exchange is work, and holds it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <vector>

#include "base/clock.h"

namespace kling::test {

class JumpingClock : public Clock {
 public:
  explicit JumpingClock(Millis start = 1'773'380'633'979) : now_(start) { waiters_.reserve(64); }

  Millis now() const override { return now_; }

  // Whoever waits for a time comes back here every millisecond, so the deadlines are up to date:
  // a notification that is still on its way cannot be overtaken by more than that.
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  Millis deadline) override {
    if (deadline == kNever) return wake.wait(lock);
    if (jumped_to(deadline, &wake)) return;
    wake.wait_for(lock, std::chrono::milliseconds(1));
  }

  Millis real_millis_until(Millis) const override { return 1; }

  void hold() override {
    std::lock_guard guard(mutex_);
    ++holds_;
    quiet_since_ = Steady::now();
  }
  void release() override {
    std::lock_guard guard(mutex_);
    --holds_;
    quiet_since_ = Steady::now();
  }

 private:
  using Steady = std::chrono::steady_clock;
  struct Waiter {
    const void* who;
    Millis deadline;
    Steady::time_point seen;
  };
  // A thread that finished its work needs a moment to say what it waits for.
  static constexpr auto kQuiet = std::chrono::milliseconds(1);
  static constexpr auto kGone = std::chrono::milliseconds(20);

  bool jumped_to(Millis deadline, const void* who) {
    std::lock_guard guard(mutex_);
    const auto real = Steady::now();
    std::erase_if(waiters_, [&](const Waiter& item) { return item.who == who; });
    waiters_.push_back({who, deadline, real});
    if (deadline <= now_) return true;
    std::erase_if(waiters_, [&](const Waiter& item) { return real - item.seen > kGone; });
    const bool first = std::all_of(waiters_.begin(), waiters_.end(),
                                   [&](const Waiter& item) { return item.deadline >= deadline; });
    if (holds_ > 0 || real - quiet_since_ < kQuiet || !first) return false;
    now_ = deadline;
    return true;
  }

  std::atomic<Millis> now_;
  std::mutex mutex_;
  int holds_ = 0;
  Steady::time_point quiet_since_ = Steady::now();
  std::vector<Waiter> waiters_;  // with room: a wait may not fail for want of memory
};

}  // namespace kling::test
