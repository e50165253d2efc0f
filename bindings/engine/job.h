// One generation as others see it. A Job is a shared record: the engine writes it, everybody may
// read snapshots from any thread; nothing here blocks or does I/O.
#pragma once

#include "engine/job_machine.h"
#include "engine/ledger.h"

namespace kling::engine {

/// How far a job must have come for a wait to end.
enum class Milestone {
  prepared,  ///< checked and recorded in the ledger (or refused by the checks)
  accepted,  ///< the service has given an id, or the job ended
  finished,  ///< succeeded, failed, ambiguous or paused
  stored,    ///< the clip lies in the store, or that ended with an error
};

/// What happens to a step now.
struct JobFacts {
  std::string waiting_for;  ///< for people: "the network", "a slot"; may be empty
  std::vector<api::Video> videos;
  bool differs = false;     ///< this place of the script asked something else in the last run
  bool replayed = false;    ///< failed in an earlier run, which went on after it: not sent again
  bool reused = false;      ///< found finished or accepted in the ledger: not paid by this run
  bool submitted = false;   ///< this run sent (or adopted) the paid request
  bool observed = false;    ///< a script waits or waited for its end, so it knows of an error
  bool background = false;  ///< followed for its slot only: nobody of this script asked for it
  Millis expected = 0;      ///< ms from accepted to done that jobs like this take; 0: not known
  /// 0 to 1: what the service says; in a snapshot else a guess by `expected`. < 0: not known.
  double progress = -1;
  double transfer = -1;  ///< 0 to 1, of what goes up or comes down now; < 0: nothing does
  // Boxed: most jobs have none, and an Error is large.
  std::shared_ptr<const Error> error;        ///< why it failed, asks or paused; null: no reason
  std::shared_ptr<const Error> store_error;  ///< why the clip could not be stored; null: it could
};

/// What is told of a job, without a copy of it: of the job itself while its mutex is held, or of a
/// snapshot.
struct JobView {
  const StepFacts& step;
  const JobFacts& job;
  Phase phase;
  const char* state;  ///< see JobSnapshot
  double progress;    ///< with the guess where the service says nothing
  std::shared_ptr<const Error> error, store_error;  ///< of the state it is in; null: none
};

struct JobSnapshot : StepFacts, JobFacts {
  JobSnapshot() = default;
  explicit JobSnapshot(const JobView& view);
  JobView view() const {
    return {*this, *this, phase, state.c_str(), progress, error, store_error};
  }

  std::string handle;
  Phase phase = Phase::fresh;
  /// For scripts: preparing sending queued running succeeded failed ambiguous paused.
  std::string state;
  /// Seconds of the clip; 0: not known.
  double duration() const { return videos.empty() ? 0 : videos[0].duration; }
};

/// What is told in one member of an object, as long as the object lives; no Error: there is none.
using Fact = std::variant<const Error*, bool, int, double, std::string_view, std::string>;
api::Json to_json(const Fact& fact);

/// A field under the name that scripts, --json and kling_host_jobs have for it.
struct JobField {
  const char* name;
  Fact (*get)(const JobView&);
};
std::span<const JobField> job_fields();
api::Json to_json(const JobView& view);
void append_json(std::string& to, const JobView& view);  ///< the same as text
inline api::Json to_json(const JobSnapshot& job) { return to_json(job.view()); }

/// The texts of an error that may be missing, under the names that scripts and JSON have for them.
inline constexpr std::pair<const char*, std::string Error::*> kErrorTexts[] = {
    {"hint", &Error::hint}, {"field", &Error::field},           {"code", &Error::code},
    {"job", &Error::job},   {"request_id", &Error::request_id},
};

api::Json to_json(const Error& error);
/// Lenient: missing or foreign fields are left at their defaults.
Error error_from_json(const api::Json& json);

}  // namespace kling::engine
