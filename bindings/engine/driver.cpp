// The job machine's hands: runs a job until it rests, carrying out one action at a time. Every
// action passes through perform(), so what must hold before and after an action is checked there.
#include <algorithm>
#include <random>

#include "engine/inside.h"

namespace kling::engine {
namespace {

// Forty GETs a second, however many jobs there are; the service documents no limit of them.
constexpr Millis kRequestSpacing = 25;
constexpr Millis kJustNow = 2'000;
constexpr Millis kRareLook = 60'000;  // between two polls of a job whose callbacks come

/// What was marked is sent, and what became of it recorded, by the same worker: also while the
/// engine closes, when sending fails at once.
bool follows_mark(ActionType action) {
  return action == ActionType::post || action == ActionType::record_accepted ||
         action == ActionType::record_failure || action == ActionType::clear_sending;
}

Lane lane_of(ActionType type, const Job& job, Lane present) {
  if (type == ActionType::write_intent) return Lane::claim;
  if (type == ActionType::post) return Lane::post;
  // Of a re-run there is nothing to fetch, and nothing to write.
  if (job.file_recorded && (type == ActionType::download || type == ActionType::record_file))
    return present;
  if (type == ActionType::download) return Lane::transfer;
  // Marked where it is sent, or whoever kills a busy program leaves many in doubt that were not.
  if (type == ActionType::mark_sending)
    return job.sending && !job.sending->made ? job.sending->lane() : Lane::post;
  return follows_mark(type) ? present : Lane::light;
}

/// A random time of `least` to `most`: clients that failed together must not come back together.
Millis random_delay(Millis least, Millis most) {
  thread_local std::minstd_rand random(std::random_device{}());
  return std::uniform_int_distribution<Millis>(std::max<Millis>(1, least),
                                               std::max<Millis>(1, std::max(least, most)))(random);
}

std::string spoken(Millis span) {
  const bool minutes = span >= 120'000;
  return std::to_string(span / (minutes ? 60'000 : 1'000)) + (minutes ? " minutes" : " s");
}

/// What a person should know about a wait. `error`: of the last try, if there was one.
std::string reason_to_wait(const JobState& state, const Action& wait, const Error* error) {
  if (state.redo) return "the ledger";
  if (wait.delay == kSlotDelay) return "a slot";
  switch (state.phase) {
    case Phase::intended:
    case Phase::sending: {
      std::string text = "the service to take the request";
      if (error == nullptr) return text;
      text += " (" + error->message;
      if (!state.may_exist)
        text += error->kind == Kind::rate_limit ? "; nothing was accepted" : "; nothing was sent";
      return text + "; tried again for " + spoken(state.window) + " in all)";
    }
    case Phase::looking_up:
      return state.unnamed ? "a look-up of a request that was refused without a known reason"
                           : "news of a request whose answer was lost";
    case Phase::foreign: return "another process that runs this step";
    case Phase::accepted:
    case Phase::succeeded: return state.tries > 0 ? "the network" : "";
    default: return "";
  }
}

/// The answer of an action that ended for want of memory: how far it came is not known.
Event cut_short(Job& job, ActionType action) {
  const bool asked = action == ActionType::look_up || action == ActionType::probe_look_up ||
                     action == ActionType::get || action == ActionType::download;
  const bool sent = action == ActionType::post;
  std::lock_guard lock(job.mutex);
  job.error = boxed_out_of_memory(asked || sent ? Kind::network : Kind::ledger);
  return {.type = sent    ? EventType::lost
                  : asked ? EventType::unreachable
                          : EventType::ledger_failed};
}

/// Adds to what a request waits for what came instead, how often, and when it is tried again.
void tell_trouble(std::string& waiting_for, const Transition& step, const Error& trouble) {
  const bool network = waiting_for == "the network";
  if (!network && step.state.phase != Phase::looking_up) return;
  if (network && (trouble.http_status != 0 || trouble.kind != Kind::network))
    waiting_for = "a usable answer";
  if (step.state.tries > 1)
    waiting_for += ", " + std::to_string(step.state.tries) + " times so far";
  if (const Millis minutes = step.action.delay / 60'000; minutes > 0)
    waiting_for += ", again within " + std::to_string(minutes) + " min";
  waiting_for += ": " + trouble.message;
}

}  // namespace

/// Nothing of it was recorded or sent.
void Engine::refuse(Job& job, const Error& error) {
  insist([&] {
    {
      std::lock_guard lock(job.mutex);
      job.machine.phase = Phase::failed;
      set_active(job, false);
      note_error(job, error);
    }
    publish(job);
    queue->wake();
  });
}

void Engine::start(const std::shared_ptr<Job>& job) {
  job->order = ++orders;
  job->sending->sequence = sequences[job->sending->request.task_path]++;
  if (Status started = pool.start(); !started) return refuse(*job, started.error());
  std::function<void()> work = [self = shared_from_this(), job] {
    Status looked = Done{};
    self->hear_of_delays();
    try {
      looked = self->inspect(*job->sending);
    } catch (const std::exception&) {
      looked = out_of_memory(Kind::media);
    }
    if (!looked) return self->refuse(*job, looked.error());
    self->run(job, {.type = EventType::start}, Lane::claim);
  };
  add(job);
  try {
    pool.submit(Lane::claim, std::move(work));
  } catch (const std::exception&) {
    refuse(*job, out_of_memory(Kind::media));
  }
}

void Engine::resume(const std::shared_ptr<Job>& job) {
  {
    std::lock_guard lock(job->mutex);
    if (job->active) return;
    set_active(*job, true);
    if (job->machine.phase == Phase::paused) job->machine.phase = job->machine.before;
    // Who was told that it is ambiguous has perhaps not read why.
    if (job->machine.phase != Phase::ambiguous) job->error.reset();
    job->store_error.reset();
  }
  try {
    run_soon(job, {.type = EventType::start});
  } catch (const std::exception&) {
    std::lock_guard lock(job->mutex);
    job->machine.before = std::exchange(job->machine.phase, Phase::paused);
    job->error = boxed_out_of_memory(Kind::interrupted);
    set_active(*job, false);
    throw;
  }
}

void Engine::run_soon(const std::shared_ptr<Job>& job, const Event& event) {
  pool.submit(Lane::light,
              [self = shared_from_this(), job, event] { self->run(job, event, Lane::light); });
}

/// When an end is recorded, no two at one time: later runs tell them in this order. Null: no end.
Engine::End Engine::begin_end(Job& job, ActionType action) {
  if (action != ActionType::record_result && action != ActionType::record_failure) return {};
  const End end(new Millis(0), [purse = options.purse](const Millis* at) {
    std::lock_guard lock(purse->ends_mutex);
    purse->ends.erase(*at);
    purse->told.notify_all();
    delete at;
  });
  std::scoped_lock lock(job.mutex, options.purse->ends_mutex);
  *end = std::max(now(), options.purse->last_end + 1);
  options.purse->ends.insert(*end);
  job.step.finished_at = options.purse->last_end = *end;
  return end;
}

void Engine::run(const std::shared_ptr<Job>& job, Event event, Lane lane, End end) {
  if (std::exchange(job->polls, false)) --waits;
  hear_of_delays();
  while (true) {
    event.now = now();
    Transition step = next(job->machine, event, job->policy);
    const ActionType action = step.action.type;
    if (closing && !follows_mark(action)) return;
    if (may_retire(*job, action) && retire(job)) return;
    insist([&] {
      std::lock_guard lock(job->mutex);
      job->machine = step.state;
      set_active(*job, action != ActionType::rest);
      job->waiting_for =
          action == ActionType::wait
              ? reason_to_wait(step.state, step.action, job->error ? &*job->error : nullptr)
              : "";
      if (options.purse->held && step.action.delay == kSlotDelay) job->waiting_for = kYourWord;
      // The clip's host is another one than the service's.
      const auto& trouble = step.state.phase == Phase::succeeded ? job->store_error : job->error;
      if (step.state.tries > 0 && trouble) tell_trouble(job->waiting_for, step, *trouble);
      if (!job->active && job->step.finished_at == 0) job->step.finished_at = now();
    });
    if (end) {
      std::unique_lock lock(options.purse->ends_mutex);
      options.purse->told.wait(lock, [&] { return *options.purse->ends.begin() == *end; });
    }
    insist([&] { publish(*job); });
    end = {};
    // Nobody may be watching this job, but somebody may wait for all to rest, or show them.
    if (action == ActionType::rest || action == ActionType::wait) queue->wake();
    if (action == ActionType::rest) return;
    if (action == ActionType::wait) return insist([&] { wait(job, step.action); });
    if (const Lane wanted = closing ? lane : lane_of(action, *job, lane); wanted != lane)
      return insist([&] {
        pool.submit(wanted, [self = shared_from_this(), job, action, wanted] {
          End mine;
          self->insist([&] { mine = self->begin_end(*job, action); });
          const Event done = self->perform(job, action);
          self->run(job, done, wanted, std::move(mine));
        });
      });
    insist([&] { end = begin_end(*job, action); });
    event = perform(job, action);
    if (action == ActionType::write_intent && job->gone) return;  // another job has the row
  }
}

// The first in line asks again, for slots of other processes; the others are called.
constexpr Millis kAskAgain = 2'000;
constexpr Millis kLookAgain = 15'000;

void Engine::wait(const std::shared_ptr<Job>& job, const Action& action) {
  if (action.delay == kSlotDelay) return sleep(job, is_next(*job) ? kAskAgain : kLookAgain);
  Millis delay = action.delay;
  if (delay == kPollDelay) {
    if (std::lock_guard lock(job->mutex); job->polled_at != 0)
      durations.learn_open(*job->job_class, job->polled_at - job->step.accepted_at);
    delay = next_look(*job);
    if (job->poll_interval > 0 && delay > 0) delay = job->poll_interval;
  }
  // What has no range is spread by a tenth, so that many jobs do not ask in step.
  delay = action.least >= 0 ? random_delay(action.least, delay)
                            : random_delay(delay - delay / 10, delay + delay / 10);
  if (!std::exchange(job->polls, true)) ++waits;
  job->may_hasten = action.delay == kPollDelay && job->poll_interval == 0;
  sleep(job, delay);
}

/// Jobs like those that run have just turned out to be quicker than was expected.
void Engine::hasten(const std::string* job_class) {
  for (const auto& job : jobs()) {
    if (!job->may_hasten || job->job_class != job_class || !job->asleep.exchange(false)) continue;
    const Millis left = job->wakes_at - now();
    insist([&] { sleep(job, std::min(next_look(*job), std::max<Millis>(left, 0))); });
  }
}

/// Has the job run on after so long, or when it is called.
void Engine::sleep(const std::shared_ptr<Job>& job, Millis delay) {
  const unsigned wait = ++job->wait;
  job->wakes_at = now() + delay;
  job->asleep = true;
  pool.submit_at(now() + delay, Lane::light, [self = shared_from_this(), job, wait] {
    if (job->wait == wait && job->asleep.exchange(false))
      self->run(job, {.type = EventType::elapsed}, Lane::light);
  });
}

/// Wakes a job that waits. For want of memory it runs later, by itself.
void Engine::call(const std::shared_ptr<Job>& job) {
  if (!job->asleep.exchange(false)) return;
  try {
    run_soon(job, {.type = EventType::elapsed});
  } catch (const std::exception&) {
    job->asleep = true;
  }
}

// ---- Runs that follow one another on one engine ----

void Engine::end_run(const std::vector<std::shared_ptr<Ask>>& untold) {
  auto book = ledger();
  if (!book || options.run_name().empty()) return;
  std::vector<Caught> kept;
  for (const auto& ask : untold)
    if (ask->ready && ask->book.lock() == *book) kept.push_back({ask.get(), true, 0});
  std::set<std::string> questions;
  {
    std::lock_guard lock(questions_mutex);
    for (const auto& [digest, asked_by] : asked_again) questions.insert(digest);
  }
  std::lock_guard lock(options.purse->claim_mutex);
  AskCounts counts;
  for (const auto& [digest, equal] : asked(**book))
    for (const Purse::Got& got : equal) ++counts[{got.task_path, digest}];
  if (Status ended = (*book)->end_run(options.run_name(), counts, kept, questions); !ended)
    log("warning", ended.error().message);
}

void Engine::begin_run() {
  ++present_run;
  {
    std::lock_guard lock(questions_mutex);
    questions_.clear();
    asked_again.clear();
  }
  for (const auto& job : jobs()) {
    std::unique_lock lock(job->mutex);
    const bool rests = !job->active, unsent = job->machine.phase == Phase::intended;
    lock.unlock();
    if (rests)
      retire(job);
    else if (unsent)
      call(job);  // gives its place in the line up
  }
}

void Engine::forget_asks() {
  std::lock_guard lock(options.purse->claim_mutex);
  options.purse->asked.clear();
}

/// Of an earlier run, and nothing of it is on its way: its step goes on with whoever asks for it.
/// What is paid for is followed to its end, whoever asks.
bool Engine::may_retire(const Job& job, ActionType next) const {
  const Phase phase = job.machine.phase;
  if (job.run == present_run || phase == Phase::accepted || phase == Phase::succeeded) return false;
  switch (next) {
    case ActionType::write_intent:
    case ActionType::revisit:
    case ActionType::mark_sending:
    case ActionType::rest: return true;
    case ActionType::wait: return phase != Phase::sending && phase != Phase::looking_up;
    default: return false;
  }
}

/// False when the present run has asked for it meanwhile.
bool Engine::retire(const std::shared_ptr<Job>& job) {
  {
    std::lock_guard lock(jobs_mutex);
    if (job->run == present_run) return false;
    drop(*job);
  }
  leave_line(*job);
  std::lock_guard lock(job->mutex);
  set_active(*job, false);
  job->watches.clear();
  return true;
}

/// By the schedule, as far as the process's budget of requests goes.
Millis Engine::next_look(Job& job) {
  learn_from_history();
  std::lock_guard lock(job.mutex);
  const Millis past = now() - job.step.accepted_at;
  const Expectation expected = durations.expect(*job.job_class);
  job.expected = expected.median;
  if (std::exchange(job.ask_now, false)) return 0;
  Millis delay = job.polled_at <= job.step.accepted_at && past < kJustNow
                     ? first_look(expected, random_delay(0, 1'000))
                     : poll_delay(expected, past);
  delay = std::max(delay, waits * kRequestSpacing);
  // Only in case that the last callback is lost.
  if (job.heard == Heard::progress)
    delay = std::max({delay, 3 * expected.median - past, kRareLook});
  return delay;
}

Event Engine::perform(const std::shared_ptr<Job>& job, ActionType action) {
  if (options.on_action) options.on_action(name(action), false);
  const Event event = [&] {
    try {
      switch (action) {
        case ActionType::write_intent: return write_intent(job);
        case ActionType::revisit: return revisit(*job);
        case ActionType::mark_sending: return mark_sending(*job);
        case ActionType::post: return post(*job);
        case ActionType::look_up: return look_up(*job);
        case ActionType::probe_look_up: return probe_look_up(*job);
        case ActionType::get: return get(*job);
        case ActionType::download: return download(*job);
        default: return record(*job, action);
      }
    } catch (const std::exception&) {
      return cut_short(*job, action);
    }
  }();
  if (options.on_action) options.on_action(name(action), true);
  // Whatever was at the service is not there any more: its slot is free.
  if (action == ActionType::record_result || action == ActionType::record_failure ||
      action == ActionType::clear_sending || action == ActionType::ask)
    call_next();
  return event;
}

// ---- Slots: jobs that wait until another one has ended, first in, first out. The ledger decides
// whether one is free; here is only who asks it next, so that a thousand waiting jobs do not ----

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
