// One generation as others see it. A Job is a shared record: the engine writes it, everybody may
// read snapshots from any thread; nothing here blocks or does I/O.
#pragma once

#include <span>

#include "engine/job_machine.h"

namespace kling::engine {

/// How far a job must have come for a wait to end.
enum class Milestone {
  prepared,  ///< checked and recorded in the ledger (or refused by the checks)
  accepted,  ///< the service has given an id, or the job ended
  finished,  ///< succeeded, failed, ambiguous or paused
  stored,    ///< the clip lies in the store, or that ended with an error
};

struct JobSnapshot {
  std::string handle;
  std::int64_t row = 0;  ///< of the ledger; 0: not recorded there
  std::string endpoint;  ///< "text2video"
  std::string task_id;   ///< empty until accepted
  std::string external_id;
  std::string address;
  Phase phase = Phase::fresh;
  /// For scripts: preparing sending queued running succeeded failed ambiguous paused.
  std::string state;
  std::string
      waiting_for;      ///< for people: "the network", "a slot", "another process"; may be empty
  std::string summary;  ///< the start of the prompt
  std::string name;     ///< what the script calls the shot; may be empty
  std::string where;    ///< script and line of the call
  std::string path;     ///< of the stored clip; empty until stored
  std::vector<api::Video> videos;
  double duration = 0;  ///< seconds of the clip, when known
  double cost_usd = 0;  ///< real when `cost_is_real`, else the estimate
  bool cost_is_real = false;
  bool differs = false;    ///< this place of the script asked something else in the last run
  bool replayed = false;   ///< failed in an earlier run, which went on after it: not sent again
  bool reused = false;     ///< found finished or accepted in the ledger: not paid by this run
  bool submitted = false;  ///< this run sent (or adopted) the paid request
  bool observed = false;   ///< a script waits or waited for its end, so it knows of an error
  Millis created_at = 0;
  Millis accepted_at = 0;
  Millis finished_at = 0;
  Millis expected = 0;  ///< ms from accepted to done that jobs like this take; 0: not known yet
  /// 0 to 1: what the service says, else a guess by `expected`; < 0: not known.
  double progress = -1;
  double transfer = -1;        ///< 0 to 1, of what goes up or comes down now; < 0: nothing does
  std::optional<Error> error;  ///< why it failed, asks or paused
  std::optional<Error> store_error;  ///< why the clip could not be stored
};

/// A field under the name that scripts, --json and kling_host_jobs have for it.
struct JobField {
  const char* name;
  api::Json (*get)(const JobSnapshot&);  ///< null: this job has none
};
std::span<const JobField> job_fields();
api::Json to_json(const JobSnapshot& job);

/// The texts of an error that may be missing, under the names that scripts and JSON have for them.
inline constexpr std::pair<const char*, std::string Error::*> kErrorTexts[] = {
    {"hint", &Error::hint}, {"field", &Error::field},           {"code", &Error::code},
    {"job", &Error::job},   {"request_id", &Error::request_id},
};

api::Json to_json(const Error& error);
/// Lenient: missing or foreign fields are left at their defaults.
Error error_from_json(const api::Json& json);

}  // namespace kling::engine
