// The time that a host's program gives: it moves at ticks only. now() and wait_until() from any
// thread, set() on the ticking one.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>

#include "base/clock.h"

namespace kling::runtime {

class HostClock final : public Clock {
 public:
  explicit HostClock(Millis start) : now_(start) {}
  void set(Millis now) { now_ = now; }

  Millis now() const override { return now_; }
  /// Nobody tells a waiting thread that the time was set, so it looks now and then.
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  Millis deadline) override {
    if (deadline == kNever) return wake.wait(lock);
    if (now_ < deadline) wake.wait_for(lock, std::chrono::milliseconds(20));
  }
  Millis real_millis_until(Millis deadline) const override {
    return deadline == kNever ? kNever : std::clamp<Millis>(deadline - now_, 0, 3'600'000);
  }

 private:
  std::atomic<Millis> now_;
};

}  // namespace kling::runtime
