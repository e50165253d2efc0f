// When to ask next whether a job is done. Pure.
#pragma once

#include "base/clock.h"

namespace kling::engine {

/// Milliseconds until the next GET of a job that was accepted `age` ms ago. `fixed` > 0 replaces
/// the schedule. Without it: first after 10 s, then every 5 s, slower with age up to 16 s
/// (api-contract 9.1.3). Jitter is the caller's.
Millis poll_delay(Millis age, Millis fixed);

}  // namespace kling::engine
