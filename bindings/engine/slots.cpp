// Slots: jobs that wait until another one has ended, first in, first out. The ledger decides
// whether a slot is free; here is only who asks it next, so that a thousand waiting jobs do not.
#include "engine/inside.h"

namespace kling::engine {
namespace {

// The first in line asks again, for slots of other processes; the others are called.
constexpr Millis kAskAgain = 2'000;
constexpr Millis kLookAgain = 15'000;

}  // namespace

Limits Engine::limits_now() {
  std::lock_guard lock(slots_mutex);
  Limits now_allowed = lower(limits, options.most);
  now_allowed.slots = learnt_slots.ceiling(now_allowed.slots, now());
  return now_allowed;
}

/// Joins the line; true for its head.
bool Engine::is_next(Job& job) {
  std::lock_guard lock(slots_mutex);
  line[job.order] = job.weak_from_this();
  return line.begin()->first == job.order;
}

void Engine::leave_line(Job& job) {
  {
    std::lock_guard lock(slots_mutex);
    if (line.erase(job.order) == 0) return;
  }
  call_next();
}

void Engine::wait_for_slot(const std::shared_ptr<Job>& job) {
  sleep(job, is_next(*job) ? kAskAgain : kLookAgain);
}

/// A slot may be free, or nothing is sent any more: the head of the line looks at once.
void Engine::call_next() {
  std::shared_ptr<Job> head;
  {
    std::lock_guard lock(slots_mutex);
    if (line.empty()) return;
    head = line.begin()->second.lock();
  }
  if (head) call(head);
}

}  // namespace kling::engine
