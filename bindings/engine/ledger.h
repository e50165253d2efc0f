// What was meant, sent, accepted and paid: the memory that makes "never twice, never lost" true.
// An interface with one SQLite implementation. Thread-safe; every function blocks on the disk and,
// but for claim(), is durable when it returns. Not a cache: a failure here (kind ledger) means that
// nothing may be sent.
#pragma once

#include <map>

#include "engine/admission.h"
#include "engine/asks.h"
#include "engine/question.h"

namespace kling::engine {

/// What people are told of a step.
struct StepFacts {
  std::int64_t id = 0;   ///< of its row; 0: not recorded
  std::string endpoint;  ///< "text2video", …; "request" for kling.request
  std::string address;
  std::string external_id;
  std::string task_id;  ///< empty until accepted
  std::string script;   ///< and line: "film.lua:12"
  std::string summary;  ///< the start of the prompt
  std::string name;     ///< what the script calls the shot; may be empty
  std::string file;     ///< where the clip is stored; empty: nowhere yet
  Millis created_at = 0, sent_at = 0, accepted_at = 0, finished_at = 0;
  double estimate_usd = 0;
  std::optional<double> cost_usd;  ///< what the service said it deducted
  bool unsent() const { return sent_at == 0 && task_id.empty(); }  ///< nothing of it ever left
  double cost() const { return cost_usd.value_or(estimate_usd); }
};

/// One attempt of a step: a row of the ledger. A definite failure is followed by another row with
/// the same digest and ordinal and the next attempt.
struct Step : StepFacts {
  std::string service;
  std::string digest;
  int ordinal = 0;
  int attempt = 1;
  bool own_external_id = false;  ///< set by the user, sent verbatim
  std::string task_path;         ///< which task of the script asked, for example "main/2"
  int nth = 0;                   ///< how many equal requests came before in that task
  StepState state = StepState::intended;
  std::string owner;    ///< the process that holds an open intent
  std::string target;   ///< "/kling/v1/videos/text2video": POST here, GET target/id
  std::string request;  ///< the body without bytes of media, for people
  std::string run;      ///< the script and take whose budget it is
  std::string result;   ///< JSON: what decode gave ({"videos":[…]}), signed URLs included
  std::string error;    ///< JSON of the Error when failed or ambiguous
  std::string file_sha256;
  Millis took = 0;          ///< from accepted to done, where a process saw it; 0: not known
  bool superseded = false;  ///< read: the last clean run of its script did not ask for it
  bool abandoned = false;   ///< a person gave it up, though it may have been accepted
  bool settled() const { return state == StepState::succeeded || state == StepState::failed; }
};

struct Claim {
  Step step;
  bool created = false;  ///< recorded now: a new step, or a new attempt
  bool foreign = false;  ///< open, and a living process owns it: await it
  bool differs =
      false;  ///< new here, while this position of the script asked something else before
  std::int64_t follows = 0;  ///< the row of the story that led here
  int timeouts = 0;          ///< time-outs of this ask that the script caught and went on after
};

/// What became of a request that asked to be sent.
struct Marked {
  Admission admission = Admission::admitted;
  Usage usage;  ///< as far as a limit asks for it, in the same transaction; without this step
};

struct JournalRow {
  std::int64_t step = 0;
  Millis at = 0;     ///< 0: not told
  std::string what;  ///< "intended", "sending", "accepted", …; "refused: …" when it was forbidden
  std::string body;  ///< the raw answer, or what explains the line; may be empty
};

struct Film {
  std::string path;
  std::string run;  ///< script and take
  Millis at = 0;
};

/// How many times each digest was asked for, by task path and digest.
using AskCounts = std::map<std::pair<std::string, std::string>, int>;

class Ledger {
 public:
  virtual ~Ledger() = default;

  /// A run of the script came to a good end, in which each (task path, digest) was asked for so
  /// many times: what the script does not ask for any more and was never sent is forgotten.
  /// `untold`: who asked for it was not told how it ended, and the script did without. Open
  /// questions whose digest is not among `questions` are withdrawn until they are asked again.
  virtual Status end_run(std::string_view script, const AskCounts& counts,
                         const std::vector<Caught>& untold = {},
                         const std::set<std::string>& questions = {}) = 0;
  /// That these asks are answered as before the next time, too: the script goes on after them.
  virtual Status keep(const std::vector<Caught>& caught) = 0;
  /// Those that are kept of this ask.
  virtual Result<int> timeouts(const Ask& ask) = 0;
  /// The seed of a script's random numbers: `proposed`, or the one that it got first.
  virtual Result<std::string> seed(std::string_view script, std::string_view proposed) = 0;

  /// In one transaction: the row that this ask means, or a new one (asks.h), and that it got it.
  /// `wanted` says what it is, where it comes from, its owner's external id when it has one, and
  /// its price. Durable with whatever is written next, such as that it is about to be sent.
  virtual Result<Claim> claim(const Step& wanted, const Asking& asking) = 0;
  /// Takes an open step over when its owner has died meanwhile; the row as it is now either way.
  virtual Result<Claim> revisit(std::int64_t id) = 0;
  /// Accepted steps of this service that no living process follows: ours from now on.
  virtual Result<std::vector<Step>> take_orphans(std::string_view service, Millis now) = 0;

  // A change names the attempt (the row's id) and the task that it speaks of; what is recorded of
  // another task is refused (kind ledger), and written to the journal all the same.

  /// Only from intended or sending, and only by the owner; else kind ledger (somebody else acted).
  /// In the same transaction the limits are asked; what they do not admit stays as it was.
  /// `estimate_usd` < 0: not known. `account`: a mark of the key that it is sent with.
  virtual Result<Marked> mark_sending(const Step& step, Millis now, const Limits& limits,
                                      double estimate_usd, std::string_view account) = 0;
  /// sending to intended: the request was certainly not accepted.
  virtual Status clear_sending(const Step& step, Millis now) = 0;
  /// An open step that comes to rest belongs to nobody.
  virtual Status release(const Step& step) = 0;
  /// `step.task_id` is the task; another step that has it keeps it.
  virtual Status record_accepted(const Step& step, std::string_view raw, Millis now) = 0;
  virtual Status record_result(const Step& step, std::string_view raw, Millis now) = 0;
  virtual Status record_failure(const Step& step, std::string_view raw, Millis now) = 0;
  virtual Status record_ambiguous(const Step& step, Millis now) = 0;
  virtual Status record_file(const Step& step, Millis now = 0) = 0;

  /// A person's word. An ambiguous step goes back to intended with the same id (resubmit); one that
  /// is neither finished nor on its way to the service is failed, with `step.error` (abandon).
  /// Adopting is record_accepted.
  virtual Status resubmit(const Step& step, Millis now) = 0;
  virtual Status abandon(const Step& step, Millis now) = 0;
  /// `step.task_id` finds nothing: it is this task, which no other step has.
  virtual Status rename_task(const Step& step, std::string_view task_id, Millis now) = 0;

  virtual Result<std::optional<Step>> find_by_id(std::int64_t id) = 0;
  virtual Result<std::vector<Step>> find_by_task(std::string_view task_id) = 0;
  virtual Result<std::optional<Step>> find_by_external(std::string_view external_id) = 0;
  /// Whose task this was until it was renamed: a handle that somebody wrote down goes on to work.
  virtual Result<std::vector<Step>> find_renamed(std::string_view task_id) = 0;
  /// Newest first; `limit` 0: all.
  virtual Result<std::vector<Step>> list(int limit) = 0;
  /// Which scripts (and takes) ask for which rows, each once: by their last clean runs.
  virtual Result<std::vector<std::pair<std::int64_t, std::string>>> askers() = 0;
  /// Everything that happened to a step, oldest first.
  virtual Result<std::vector<JournalRow>> journal(std::int64_t step) = 0;

  /// The bytes of answers kept for steps that ended before that time; `forget` empties them. The
  /// steps, their ids and results stay, and so does every line of the journal.
  virtual Result<std::int64_t> forget_answers(Millis before, bool forget) = 0;

  /// An accepted task of this service and endpoint with an external id, other than `except`.
  virtual Result<std::optional<Step>> any_accepted(std::string_view service,
                                                   std::string_view endpoint,
                                                   std::int64_t except) = 0;
  /// Whether the service looks up external ids for this kind; nothing: not learnt yet, or it could
  /// not before the newest task was accepted.
  virtual Result<std::optional<bool>> lookup_known(std::string_view service,
                                                   std::string_view endpoint) = 0;
  virtual Status learn_lookup(std::string_view service, std::string_view endpoint, bool works,
                              Millis now) = 0;

  /// What runs at the service and what its script has spent, beside this step.
  virtual Result<Usage> usage(const Step& beside, Millis now) = 0;

  /// Content that came from a step: a plain file with this content counts as its origin, the first
  /// that is told of it. Waits for the disk only with `sync`.
  virtual Status record_derived(std::string_view sha256, std::string_view origin,
                                bool sync = true) = 0;
  virtual Result<std::optional<std::string>> origin_of(std::string_view sha256) = 0;

  /// The question's row, a new one where this script and take have none of its digest yet. `again`:
  /// its answer is forgotten.
  virtual Result<Question> record_question(const Question& asked, bool again) = 0;
  /// A person's word; in place of an earlier one only with `change`. Errors (kind invalid): no such
  /// question or choice, answered already.
  virtual Status answer(std::int64_t question, std::int64_t choice, Millis now, bool change) = 0;
  virtual Result<std::vector<Question>> questions() = 0;  ///< oldest first

  virtual Status record_film(const Film& film) = 0;
  virtual Result<std::vector<Film>> films() = 0;  ///< the newest last

  /// 8 random characters [a-z0-9] of this ledger.
  virtual std::string prefix() const = 0;
  /// Random hex digits that nobody else knows: what proves that an address is one of ours.
  virtual Result<std::string> secret() = 0;
};

struct LedgerOptions {
  int busy_timeout = 5000;  ///< real ms to wait for another process that writes
  bool allow_wal = true;    ///< false: as on a network file system, where WAL cannot work
};

/// Opens or makes the ledger file (0600, its folder 0700) or ":memory:". Errors (kind ledger):
/// unwritable, corrupt, locked, a newer schema, full - each with what to do.
Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path,
                                            const LedgerOptions& options = {});

/// As people name it: "kling:text2video/861309…", or "…/~" and the external id before acceptance.
std::string handle_of(const StepFacts& row);
/// The beginning of its address, which is taken wherever a handle is; a job that has none: its
/// handle.
std::string short_id(const StepFacts& row);

struct Handle;
/// The step that has this id, external id or (in place of a bare id) name, or the only one of which
/// it is the beginning of one or of the address; nothing: none. Error (invalid): several.
Result<std::optional<Step>> find_step(Ledger& book, const Handle& handle,
                                      const std::string& run = "");

/// For a rehearsal: copies the ledger at `path`, which is not changed, to the new file `copy`,
/// where every step is then to be sent again. Returns the steps as they are. Without a ledger
/// nothing is copied.
Result<std::vector<Step>> copy_ledger(const std::string& path, const std::string& copy);

/// The seed() that was kept, before the ledger is opened; makes nothing. Empty: nothing is kept,
/// or it cannot be read, which seed() notices.
std::string read_seed(const std::string& path, const std::string& run);

std::string ledger_library_version();

}  // namespace kling::engine
