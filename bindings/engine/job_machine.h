// The rules of money: what a job does next, given what happened. Pure: no clock, no I/O, no thread;
// a table test drives every path. The driver carries the actions out, one at a time, and answers
// each with exactly one event. Slots, budget and the poll schedule are not here.
#pragma once

#include "api/decoder.h"
#include "engine/asks.h"

namespace kling::engine {

/// In the order in which a job comes to them, which the engine compares.
enum class Phase : std::uint8_t {
  fresh,       ///< nothing recorded
  intended,    ///< on disk, never sent
  sending,     ///< marked: bytes may have left
  looking_up,  ///< the answer was lost; being searched for by external id
  foreign,     ///< a living process owns the intent
  accepted,    ///< the service has it; polling
  succeeded,   ///< result recorded; the clip may still have to be stored
  stored,      ///< finished
  failed,      ///< refused or failed, definitely
  ambiguous,   ///< a person must decide
  paused,      ///< the wait ended with a reason; the job itself goes on and can be resumed
};

enum class ActionType : std::uint8_t {
  write_intent,  ///< claim the step in the ledger
  mark_sending,
  clear_sending,  ///< nothing was accepted: back to intended, so that a crash costs no search
  release,        ///< it rests open: whoever asks for the step may go on with it
  post,
  record_accepted,
  look_up,        ///< GET by external id
  probe_look_up,  ///< does this service find an accepted task of ours by external id?
  get,            ///< GET by task id
  record_result,
  record_failure,
  ask,  ///< record as ambiguous
  download,
  record_file,
  wait,     ///< until `delay` has passed, then `elapsed`
  revisit,  ///< claim the step anew: its owner may have gone, or somebody may have acted on it
  rest,     ///< nothing more to do; `resume` starts again
};

struct Action {
  ActionType type = ActionType::rest;
  Millis delay = 0;   ///< of wait; kPollDelay: ask the poll schedule; kSlotDelay: until one is free
  Millis least = -1;  ///< >= 0: the wait is a random time from `least` to `delay` (full jitter)
};
inline constexpr Millis kPollDelay = -1;
inline constexpr Millis kSlotDelay = -2;

enum class EventType : std::uint8_t {
  start,         ///< first, or to go on after rest
  claimed,       ///< write_intent or revisit: `step` is what the ledger says
  done,          ///< a record or mark is on disk
  accepted,      ///< post or look_up: the service has it, `task` tells its state
  refused,       ///< post: definitely not accepted; `explained`: the service itself said so
  unnamed,       ///< post: a refusal without a reason that we know; the task may exist all the same
  rate_limited,  ///< post: not accepted, may be repeated (`delay`: Retry-After or 0)
  not_sent,      ///< post: no whole request reached the service; `retryable` when the network may
                 ///< return
  lost,          ///< post: accepted or not
  duplicate,     ///< post: the external id exists already; not `explained`: the answer names a task
                 ///< that another step has
  not_found,     ///< look_up, get: the service answered that it has no such task
  unreachable,   ///< look_up, get, download: no usable answer
  denied,        ///< look_up, get: 401 or 403
  probed,        ///< probe_look_up: `works` tells
  polled,        ///< get: `task` tells
  elapsed,       ///< wait is over
  downloaded,
  expired,        ///< download: the URL is no longer valid
  disk_failed,    ///< download: the disk, or a file that is no clip
  ledger_failed,  ///< the action before was a record, and it could not be written
  stopped,        ///< mark_sending: not now, for a reason the job's error tells (Ctrl-C, budget)
  no_slot,        ///< mark_sending: as many jobs are running as may
};

enum class Known : std::uint8_t { unknown, yes, no };

struct Event {
  EventType type = EventType::start;
  StepState step = StepState::intended;
  bool foreign = false;  ///< claimed: a living process owns the step
  api::TaskState task = api::TaskState::queued;
  bool gap = false;  ///< the task is said to be done, but without an address of its clip
  Known works = Known::unknown;
  bool retryable = false;
  bool explained = true;  ///< refused, rate_limited: the service gave a known reason
  Millis delay = 0;
  Millis now = 0;
};

/// Chosen when the job is made.
struct JobPolicy {
  Millis patience = 180'000;  ///< how long a lost answer is searched for while the service answers
  bool ask = false;           ///< lost = "ask": never look up or repeat by ourselves
  bool poll = true;           ///< false: the answer of the POST is the result (kling.request)
  bool store = true;          ///< download the clip when it is done
  bool own_external_id = false;  ///< the user chose the id: another task may have it already
};

struct JobState {
  Phase phase = Phase::fresh;
  Phase before = Phase::fresh;         ///< of a paused job: where it goes on
  ActionType last = ActionType::rest;  ///< the last action that was not a wait
  bool redo = false;                   ///< `last` is a record that could not be written yet
  Known lookup = Known::unknown;       ///< does the service find tasks by external id?
  api::TaskState task = api::TaskState::queued;  ///< what the last answer said of it
  bool may_exist = false;   ///< an earlier POST with this id may have been accepted
  bool duplicate = false;   ///< the service knows of an earlier POST: never repeat it
  bool unnamed = false;     ///< refused without a reason: the first answer to a look-up decides
  bool asked = false;       ///< already recorded as ambiguous
  std::uint16_t tries = 0;  ///< fruitless attempts of the present kind in a row
  std::uint16_t gaps = 0;   ///< answers "succeeded" without a usable URL in a row
  Millis since = 0;         ///< start of the present trouble; 0: none
  Millis window = 0;        ///< how long that is borne
  Millis pause = 0;         ///< to wait once the record before it is written
  Millis pause_least = 0;   ///< and at least this, as chance has it
  Millis searched = 0;      ///< time spent on a lost answer while the service answered
  Millis accepted_at = 0;
};

/// A new task may be unknown to the service for so long.
constexpr Millis kRegistrationTime = 60'000;

/// Where a job stands now, and what is to be done next.
struct Transition {
  JobState state;
  Action action;
};

/// REQUIRES: `event` answers the action given before (or is start, resume or elapsed).
Transition next(const JobState& state, const Event& event, const JobPolicy& policy);

const char* name(Phase phase);
const char* name(ActionType type);

}  // namespace kling::engine
