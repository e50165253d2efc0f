#include "engine/poll_schedule.h"

#include <algorithm>

namespace kling::engine {

Millis poll_delay(Millis age, Millis fixed) {
  if (fixed > 0) return fixed;
  if (age < 10'000) return 10'000 - std::max<Millis>(age, 0);
  return std::clamp<Millis>(age / 20, 5'000, 16'000);
}

}  // namespace kling::engine
