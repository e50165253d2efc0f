#include "engine/job_machine.h"

#include <algorithm>

namespace kling::engine {
namespace {

constexpr Millis kSecond = 1000;
constexpr Millis kMinute = 60 * kSecond;

// How long a request that reached nobody is repeated before the script is told.
constexpr Millis kOfflineWindow = kMinute;
// A 429 without a known code may hide a refusal (api-contract 3.5); 1302 and 1303 say "later".
constexpr Millis kUnexplainedLimitWindow = 10 * kMinute;
constexpr Millis kExplainedLimitWindow = 60 * kMinute;
// Proxies register a task late; "no such task" means nothing before that.
constexpr Millis kLedgerWindow = kMinute;
constexpr int kMaxGaps = 5;

/// 2, 4, 8, … seconds, at most `cap`. The dice are the driver's: this file knows no chance.
Millis backoff(int tries, Millis cap) {
  return std::min<Millis>(2 * kSecond << std::min(tries, 10), cap);
}

/// Between two look-ups of a lost answer.
Millis search_pause(Millis searched) { return std::clamp(searched / 2, 2 * kSecond, 30 * kSecond); }

/// The rules, with the state they work on. One function a phase, in the order of a job's life.
class Machine {
 public:
  Machine(const JobState& state, const Event& event, const JobPolicy& policy)
      : s(state), e(event), p(policy) {}

  Transition run() {
    switch (e.type) {
      case EventType::start: return start();
      case EventType::claimed: return claimed();
      case EventType::done: return recorded();
      case EventType::elapsed: return elapsed();
      case EventType::ledger_failed: return ledger_failed();
      case EventType::stopped: return pause();
      case EventType::no_slot: calm(); return wait(kSlotDelay);
      default: break;
    }
    if (s.phase == Phase::sending) return answered();
    if (s.phase == Phase::looking_up) return searched();
    if (s.phase == Phase::accepted) return polled();
    if (s.phase == Phase::succeeded) return stored();
    return rest();
  }

 private:
  Transition act(ActionType type) {
    s.last = type;
    s.redo = false;
    return {s, {type, 0}};
  }
  Transition enter(Phase phase, ActionType type) {
    s.phase = phase;
    calm();
    return act(type);
  }
  Transition wait(Millis delay, Millis least = -1) { return {s, {ActionType::wait, delay, least}}; }
  Transition rest() { return {s, {ActionType::rest, 0}}; }
  Transition settle(Phase phase) {
    s.phase = phase;
    calm();
    return rest();
  }
  Transition pause() {
    if (s.phase != Phase::paused) s.before = s.phase;
    const bool open = s.phase <= Phase::looking_up && !s.redo;
    if (open && s.last != ActionType::release) return act(ActionType::release);
    return settle(Phase::paused);
  }
  void calm() {
    s.tries = 0;
    s.since = 0;
  }
  /// True once the present trouble has lasted as long as `window`.
  bool lasted(Millis window) {
    if (s.since == 0) s.since = std::max<Millis>(e.now, 1);
    s.window = window;
    return e.now - s.since >= window;
  }
  /// Waits, longer each time, before the phase's request is made again.
  Transition again(Millis cap) { return wait(backoff(s.tries++, cap), kSecond); }

  Transition start() {
    if (s.phase == Phase::paused) s.phase = s.before;
    if (s.redo) return act(s.last);
    if (s.phase == Phase::fresh) return act(ActionType::write_intent);
    // It belonged to nobody, or to a person, meanwhile.
    const bool was_open = s.phase >= Phase::intended && s.phase <= Phase::looking_up;
    if (was_open || s.phase == Phase::ambiguous) return act(ActionType::revisit);
    return elapsed();
  }

  Transition elapsed() {
    if (s.redo) return act(s.last);
    switch (s.phase) {
      case Phase::intended: return act(ActionType::mark_sending);
      case Phase::sending: return act(ActionType::post);
      case Phase::looking_up: return act(ActionType::look_up);
      case Phase::foreign: return act(ActionType::revisit);
      case Phase::accepted: return act(ActionType::get);
      // A host that does not answer may be gone for good: every other try asks for a fresh URL.
      case Phase::succeeded:
        return p.store ? act(s.tries % 2 == 1 ? ActionType::get : ActionType::download) : rest();
      default: return rest();
    }
  }

  // What the service told must reach the disk, so its record is tried again for a while. What was
  // not sent yet is not sent without a record.
  Transition ledger_failed() {
    s.redo = s.last == ActionType::record_accepted || s.last == ActionType::record_result ||
             s.last == ActionType::record_failure || s.last == ActionType::record_file ||
             s.last == ActionType::ask || s.last == ActionType::clear_sending;
    if (!s.redo || lasted(kLedgerWindow)) return pause();
    return wait(5 * kSecond);
  }

  Transition claimed() {
    if (e.foreign) {
      s.phase = Phase::foreign;
      return wait(kSecond);
    }
    switch (e.step) {
      case StepState::intended: return enter(Phase::intended, ActionType::mark_sending);
      case StepState::sending: return search();
      case StepState::accepted:
        s.accepted_at = e.now;
        return enter(Phase::accepted, ActionType::get);
      case StepState::succeeded: return keep();
      case StepState::failed: return settle(Phase::failed);
      case StepState::ambiguous:
        s.asked = true;
        if (p.ask || !p.poll) return settle(Phase::ambiguous);
        return enter(Phase::looking_up, ActionType::look_up);
    }
    return rest();
  }

  Transition keep() {
    return p.store && p.poll ? enter(Phase::succeeded, ActionType::download)
                             : settle(Phase::stored);
  }

  Transition recorded() {
    switch (s.last) {
      case ActionType::mark_sending: s.phase = Phase::sending; return act(ActionType::post);
      case ActionType::release: return settle(Phase::paused);
      case ActionType::clear_sending:
        s.phase = Phase::intended;
        return s.pause == kNever ? pause() : wait(s.pause, s.pause_least);
      case ActionType::record_accepted: s.phase = Phase::accepted; return follow(s.task);
      case ActionType::record_failure: return settle(Phase::failed);
      case ActionType::ask: return settle(Phase::ambiguous);
      case ActionType::record_result: return keep();
      case ActionType::record_file: return settle(Phase::stored);
      default: return rest();
    }
  }

  Transition answered() {
    switch (e.type) {
      case EventType::accepted: return adopt();
      // While an earlier POST may exist, a refusal speaks of the repetition only, whatever its
      // words: it may be refused because the first one was accepted.
      case EventType::refused:
        return s.may_exist ? search_known() : act(ActionType::record_failure);
      case EventType::unnamed:
        if (s.may_exist) return search_known();
        // Its task cannot be looked up; by an id of the user's own an older one may be found.
        if (!p.poll || p.own_external_id) return act(ActionType::record_failure);
        s.unnamed = true;
        return enter(Phase::looking_up, ActionType::look_up);
      case EventType::rate_limited:
        if (lasted(e.explained ? kExplainedLimitWindow : kUnexplainedLimitWindow))
          return s.may_exist ? pause_search() : act(ActionType::record_failure);
        return not_accepted(kMinute, e.delay);
      case EventType::not_sent:
        if (!e.retryable || lasted(kOfflineWindow)) return pause_unsent();
        return not_accepted(10 * kSecond, 0);
      case EventType::duplicate:
        if (p.own_external_id && !s.may_exist && e.explained)
          return act(ActionType::record_failure);
        return search_known();
      default: return search();  // lost
    }
  }

  /// Nothing was accepted: the mark goes, so that a crash during the pause costs no search - unless
  /// an earlier POST with this id is still in doubt.
  Transition not_accepted(Millis cap, Millis at_least) {
    s.pause_least = std::max(at_least, kSecond);
    s.pause = std::max(s.pause_least, backoff(s.tries++, cap));
    return s.may_exist ? wait(s.pause, s.pause_least) : act(ActionType::clear_sending);
  }

  /// The script is told; the next run, or the next wait, sends it.
  Transition pause_unsent() {
    if (s.may_exist) return pause_search();
    s.pause = kNever;
    return act(ActionType::clear_sending);
  }
  Transition pause_search() {
    s.phase = Phase::looking_up;
    s.searched = 0;
    return pause();
  }

  Transition search() {
    s.may_exist = true;
    s.asked = false;
    s.searched = 0;
    // At once: a crash or an outage has usually taken longer than any registration.
    return enter(Phase::looking_up, p.ask || !p.poll ? ActionType::ask : ActionType::look_up);
  }

  /// An earlier POST is known of, or may be: found or asked about, but not made again.
  Transition search_known() {
    s.duplicate = true;
    return search();
  }

  Transition searched() {
    // A look-up that nobody answered has not decided; for too long, and a person does.
    const bool unanswered = s.unnamed && e.type == EventType::unreachable;
    if (unanswered && !p.ask && !lasted(p.patience)) return again(30 * kSecond);
    if (std::exchange(s.unnamed, false) && e.type != EventType::accepted) {
      calm();
      return act(unanswered ? ActionType::ask : ActionType::record_failure);
    }
    switch (e.type) {
      case EventType::accepted: return adopt();
      case EventType::denied: return pause();
      case EventType::not_found:
        if (e.works == Known::no) s.lookup = Known::no;
        return not_found();
      case EventType::probed:
        s.lookup = e.works;
        if (s.asked) return e.works == Known::yes ? act(ActionType::revisit) : not_found();
        return e.works == Known::yes ? repeat() : act(ActionType::ask);
      default: return again(30 * kSecond);  // an outage costs no patience
    }
  }

  Transition not_found() {
    calm();
    // Look-ups may work by now; then it is searched for as if its answer had just been lost.
    if (s.asked)
      return s.lookup == Known::unknown && e.type != EventType::probed
                 ? act(ActionType::probe_look_up)
                 : settle(Phase::ambiguous);
    if (s.searched < p.patience && s.lookup != Known::no) {
      const Millis pause = std::min(search_pause(s.searched), p.patience - s.searched);
      s.searched += pause;
      return wait(pause);
    }
    if (s.duplicate || s.lookup == Known::no) return act(ActionType::ask);
    return s.lookup == Known::yes ? repeat() : act(ActionType::probe_look_up);
  }

  /// The service knows every id it accepted, and this one it does not know. Marked anew: another
  /// process may have made the mark that stands, and the request is made again before it.
  Transition repeat() { return act(ActionType::mark_sending); }

  Transition adopt() {
    s.task = e.gap ? api::TaskState::running : e.task;
    s.accepted_at = e.now;
    calm();
    return act(ActionType::record_accepted);
  }

  /// What the service said of an accepted task.
  Transition follow(api::TaskState task) {
    s.task = task;
    if (task == api::TaskState::succeeded) {
      s.gaps = 0;  // from here on it counts addresses that had expired
      return act(ActionType::record_result);
    }
    if (task == api::TaskState::failed) return act(ActionType::record_failure);
    return wait(kPollDelay);
  }

  Transition polled() {
    switch (e.type) {
      case EventType::polled:
        calm();
        if (!e.gap || ++s.gaps <= kMaxGaps) return follow(e.gap ? api::TaskState::running : e.task);
        s.gaps = 0;
        return pause();
      case EventType::not_found:
        return e.now - s.accepted_at < kRegistrationTime ? wait(kPollDelay) : pause();
      case EventType::denied: return pause();
      default: return again(30 * kSecond);  // any outage is survived
    }
  }

  /// The clip of a finished job on its way to the disk. Trouble here never unfinishes the job.
  Transition stored() {
    switch (e.type) {
      case EventType::downloaded: return act(ActionType::record_file);
      case EventType::polled:
        return e.task == api::TaskState::succeeded && !e.gap ? act(ActionType::download) : rest();
      case EventType::expired:
        // A fresh URL that is no good either: the clip is gone, or its store is behind the service.
        if (++s.gaps == 1) return act(ActionType::get);
        if (s.gaps <= kMaxGaps) return again(10 * kSecond);
        s.gaps = 0;
        return settle(Phase::succeeded);
      case EventType::unreachable:
        return again(10 * kMinute);  // each time costs up to the whole clip
      default: return rest();        // not_found, denied, disk_failed
    }
  }

  JobState s;
  const Event& e;
  const JobPolicy& p;
};

}  // namespace

Transition next(const JobState& state, const Event& event, const JobPolicy& policy) {
  return Machine(state, event, policy).run();
}

const char* name(Phase phase) {
  static constexpr const char* kNames[] = {"fresh",   "intended",  "sending",   "looking_up",
                                           "foreign", "accepted",  "succeeded", "stored",
                                           "failed",  "ambiguous", "paused"};
  return kNames[static_cast<std::size_t>(phase)];
}

const char* name(ActionType type) {
  static constexpr const char* kNames[] = {
      "write_intent",    "mark_sending", "clear_sending", "release",     "post",
      "record_accepted", "look_up",      "probe_look_up", "get",         "record_result",
      "record_failure",  "ask",          "download",      "record_file", "wait",
      "revisit",         "rest"};
  return kNames[static_cast<std::size_t>(type)];
}

}  // namespace kling::engine
