// What was meant, sent, accepted and paid: the memory that makes "never twice, never lost" true.
// An interface with one SQLite implementation. Thread-safe; every function blocks on the disk and
// is durable when it returns. Not a cache: a failure here (kind ledger) means that nothing may be
// sent.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "engine/admission.h"

namespace kling::engine {

/// What the ledger knows of a step. `sending` is the mark of the money: bytes may have left.
enum class StepState {
  intended,   ///< recorded, never sent
  sending,    ///< may have been sent; the answer is not known
  accepted,   ///< the service gave a task id
  succeeded,  ///< result recorded
  failed,     ///< refused, or the generation failed: the next run tries again
  ambiguous,  ///< a person must decide (kling jobs resolve)
};
const char* name(StepState state);

struct Step {
  std::int64_t id = 0;
  std::string service;
  std::string endpoint;  ///< "text2video", …; "request" for kling.request
  std::string digest;
  int ordinal = 0;
  std::string address;
  int attempt = 1;
  std::string external_id;
  bool own_external_id = false;  ///< set by the user, sent verbatim
  std::string task_path;         ///< which task of the script asked, for example "main/2"
  int nth = 0;                   ///< how many equal requests came before in that task
  StepState state = StepState::intended;
  std::string owner;  ///< the process that holds an open intent
  std::string task_id;
  std::string target;   ///< "/kling/v1/videos/text2video": POST here, GET target/id
  std::string script;   ///< for people: "film.lua:12"
  std::string summary;  ///< for people: the start of the prompt
  std::string request;  ///< the body without bytes of media, for people
  std::string run;      ///< the script and take that asked first: whose budget it is
  std::string result;   ///< JSON: what decode gave ({"videos":[…]}), signed URLs included
  std::string error;    ///< JSON of the Error when failed or ambiguous
  std::string file;     ///< where the clip is stored; empty: nowhere yet
  std::string file_sha256;
  Millis created_at = 0, sent_at = 0, accepted_at = 0, finished_at = 0;
  Millis took = 0;  ///< from accepted to done, where a process saw it; 0: not known
  double estimate_usd = 0;
  std::optional<double> cost_usd;  ///< what the service said it deducted
};

/// A request about to be made.
struct Intent {
  std::string service, endpoint, digest, task_path, target, script, summary, request;
  std::string user_external_id;  ///< empty: ours is made from prefix, address and attempt
  int nth = 0;
  int sequence = 0;         ///< the how-manyeth create of its task, equal or not
  std::string script_name;  ///< with task_path and sequence: the position in the script
  bool fresh = false;       ///< typed input: always a new step
  double estimate_usd = 0;
  Millis now = 0;
};

struct Claim {
  enum class Outcome {
    created,     ///< a new step, ours to send
    retried,     ///< a definite failure before: next attempt, ours to send
    taken_over,  ///< open (intended or sending), its owner is dead or it was ours: ours now
    foreign,     ///< open (intended or sending), owned by a living process: await it
    known,       ///< accepted, succeeded or ambiguous: `step.state` tells
  };
  Outcome outcome = Outcome::created;
  Step step;
  bool differs =
      false;  ///< new here, while this position of the script asked something else before
};

/// What became of a request that asked to be sent.
struct Marked {
  Admission admission = Admission::admitted;
  Usage usage;  ///< counted in the same transaction, this step not included
};

/// One line of a step's history.
struct JournalRow {
  std::int64_t step = 0;
  Millis at = 0;     ///< 0: not told
  std::string what;  ///< "intended", "sending", "accepted", …; "refused: …" when it was forbidden
  std::string body;  ///< the raw answer, or what explains the line; may be empty
};

class Ledger {
 public:
  virtual ~Ledger() = default;

  /// In one transaction: finds the step of this intent or records it. Exact (task path, nth) first,
  /// else the lowest ordinal of this digest that is not in `mine`, else a new ordinal. `mine` are
  /// the ids of the steps that this run claimed already.
  virtual Result<Claim> claim(const Intent& intent, const std::set<std::int64_t>& mine) = 0;
  /// The same step again after a definite failure within one run: attempt + 1.
  virtual Result<Step> retry(std::int64_t step, Millis now) = 0;
  /// Takes an open intent over when its owner has died meanwhile; the row as it is now either way.
  virtual Result<Claim> revisit(std::int64_t step) = 0;

  /// Only from intended or sending, and only by the owner; else kind ledger (somebody else acted).
  /// In the same transaction the limits are asked; what they do not admit stays as it was.
  /// `estimate_usd` < 0: not known.
  virtual Result<Marked> mark_sending(std::int64_t step, Millis now, const Limits& limits,
                                      double estimate_usd) = 0;
  Status mark_sending(std::int64_t step, Millis now) {
    auto marked = mark_sending(step, now, {}, 0);
    if (!marked) return marked.error();
    return Done{};
  }
  /// sending to intended: the request was certainly not accepted.
  virtual Status clear_sending(std::int64_t step, Millis now) = 0;
  virtual Status record_accepted(std::int64_t step, std::string_view task_id, std::string_view raw,
                                 Millis now) = 0;
  virtual Status record_result(std::int64_t step, std::string_view result,
                               std::optional<double> cost_usd, std::string_view raw, Millis now,
                               Millis took = 0) = 0;
  virtual Status record_failure(std::int64_t step, std::string_view error, std::string_view raw,
                                Millis now) = 0;
  virtual Status record_ambiguous(std::int64_t step, std::string_view error, Millis now) = 0;
  virtual Status record_file(std::int64_t step, std::string_view path, std::string_view sha256,
                             Millis now = 0) = 0;

  /// A person's word on an ambiguous step: back to intended with the same id (resubmit) or failed
  /// (abandon). Adopting is record_accepted.
  virtual Status resubmit(std::int64_t step, Millis now) = 0;
  virtual Status abandon(std::int64_t step, Millis now) = 0;

  virtual Result<std::optional<Step>> find_by_id(std::int64_t step) = 0;
  virtual Result<std::vector<Step>> find_by_task(std::string_view task_id) = 0;
  virtual Result<std::optional<Step>> find_by_external(std::string_view external_id) = 0;
  /// Newest first; `limit` 0: all.
  virtual Result<std::vector<Step>> list(int limit) = 0;
  /// Everything that happened to a step, oldest first.
  virtual Result<std::vector<JournalRow>> journal(std::int64_t step) = 0;

  /// The bytes of answers kept for steps that ended before that time; `forget` empties them. The
  /// steps, their ids and results stay, and so does every line of the journal.
  virtual Result<std::int64_t> forget_answers(Millis before, bool forget) = 0;

  /// An accepted task of this service and endpoint with an external id, other than `except`.
  virtual Result<std::optional<Step>> any_accepted(std::string_view service,
                                                   std::string_view endpoint,
                                                   std::int64_t except) = 0;
  /// Whether the service looks up external ids for this kind; nothing: not learnt yet.
  virtual Result<std::optional<bool>> lookup_known(std::string_view service,
                                                   std::string_view endpoint) = 0;
  virtual Status learn_lookup(std::string_view service, std::string_view endpoint, bool works) = 0;

  /// Content that came from a step: a plain file with this content counts as its origin.
  virtual Status record_derived(std::string_view sha256, std::string_view origin) = 0;
  virtual Result<std::optional<std::string>> origin_of(std::string_view sha256) = 0;

  /// 8 random characters [a-z0-9] of this ledger.
  virtual std::string prefix() const = 0;
};

struct LedgerOptions {
  int busy_timeout = 5000;  ///< real ms to wait for another process that writes
  bool allow_wal = true;    ///< false: as on a network file system, where WAL cannot work
};

/// Opens or makes the ledger file (0600, its folder 0700) or ":memory:". Errors (kind ledger):
/// unwritable, corrupt, locked, a newer schema, full - each with what to do.
Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path,
                                            const LedgerOptions& options = {});

/// For a rehearsal: copies the ledger at `path`, which is not changed, to the new file `copy`,
/// where every step is then to be sent again. Returns the steps as they are. Without a ledger
/// nothing is copied.
Result<std::vector<Step>> copy_ledger(const std::string& path, const std::string& copy);

/// "SQLite 3.40.1"
std::string ledger_library_version();

}  // namespace kling::engine
