// Slots: jobs that wait until another one has ended, first in, first out. The ledger decides
// whether a slot is free; here is only who asks it next, so that a thousand waiting jobs do not.
#include "engine/core.h"

namespace kling::engine {
namespace {

// The first in line asks again, for slots of other processes; the others are called.
constexpr Millis kAskAgain = 2'000;
constexpr Millis kLookAgain = 15'000;

}  // namespace

Limits Core::limits_now() {
  std::lock_guard lock(slots_mutex);
  Limits now_allowed = lower(limits, options.most);
  now_allowed.slots = learnt_slots.ceiling(now_allowed.slots, now());
  return now_allowed;
}

/// Joins the line; true for its head.
bool Core::is_next(Job& job) {
  std::lock_guard lock(slots_mutex);
  line[job.order] = job.weak_from_this();
  return line.begin()->first == job.order;
}

void Core::leave_line(Job& job) {
  {
    std::lock_guard lock(slots_mutex);
    if (line.erase(job.order) == 0) return;
  }
  call_next();
}

void Core::wait_for_slot(const std::shared_ptr<Job>& job) {
  sleep(job, is_next(*job) ? kAskAgain : kLookAgain);
}

/// A slot may be free, or nothing is sent any more: the head of the line looks at once.
void Core::call_next() {
  std::shared_ptr<Job> head;
  {
    std::lock_guard lock(slots_mutex);
    if (line.empty()) return;
    head = line.begin()->second.lock();
  }
  if (head) call(head);
}

}  // namespace kling::engine
