// Time as the engine and the simulator see it: a seam, so that tests need no real seconds and
// `kling run --sim --speed 60` lets minutes pass in seconds. Not for socket time-outs, which are
// always real. Thread-safe; only wait_until blocks.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <limits>
#include <memory>
#include <mutex>

namespace kling {

using Steady = std::chrono::steady_clock;

/// Milliseconds since 1970, on the clock in force.
using Millis = std::int64_t;
inline constexpr Millis kNever = std::numeric_limits<Millis>::max();

/// Of the real time, which never steps back: for measuring spans.
std::int64_t steady_us();

class Clock {
 public:
  virtual ~Clock() = default;

  virtual Millis now() const = 0;

  /// Waits until `wake` is notified or `deadline` is reached (kNever: only a notification ends it);
  /// may return early. REQUIRES: lock is held.
  virtual void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                          Millis deadline) = 0;

  /// Real milliseconds until `deadline`, rounded up, at least 0: for a descriptor's poll().
  virtual Millis real_millis_until(Millis deadline) const = 0;

  /// Says that work exists which has not reached a wait yet. A clock that jumps to the next
  /// deadline when everybody waits (tests) must not jump meanwhile; others ignore it.
  virtual void hold() {}
  virtual void release() {}
};

/// The wall clock, made monotonic: it never steps back while the process lives. With speed > 1,
/// that many milliseconds pass on it in each real one, starting from `start` (0: the real time).
std::shared_ptr<Clock> make_clock(double speed = 1.0, Millis start = 0);

}  // namespace kling
