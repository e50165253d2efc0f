#include "base/clock.h"

#include <algorithm>
#include <cmath>

namespace kling {
namespace {

class ScaledClock : public Clock {
 public:
  ScaledClock(double speed, Millis start) : speed_(speed), start_(start) {}

  Millis now() const override {
    const double real = std::chrono::duration<double, std::milli>(Steady::now() - origin_).count();
    return start_ + static_cast<Millis>(real * speed_);
  }

  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  Millis deadline) override {
    if (deadline == kNever) return wake.wait(lock);
    wake.wait_for(lock, std::chrono::milliseconds(real_millis_until(deadline)));
  }

  Millis real_millis_until(Millis deadline) const override {
    if (deadline == kNever) return kNever;
    // An hour at most, so that a later change of the machine's time cannot overflow the wait.
    const double real = std::ceil(static_cast<double>(deadline - now()) / speed_);
    return static_cast<Millis>(std::clamp(real, 0.0, 3.6e6));
  }

 private:
  const double speed_;
  const Millis start_;
  const Steady::time_point origin_ = Steady::now();
};

}  // namespace

std::shared_ptr<Clock> make_clock(double speed, Millis start) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  if (start == 0) start = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return std::make_shared<ScaledClock>(speed > 0 ? speed : 1.0, start);
}

std::int64_t steady_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace kling
