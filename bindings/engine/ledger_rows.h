// Steps, and what is kept about them, in the tables of the ledger's database.
#pragma once

#include "api/decoder.h"
#include "api/text.h"
#include "base/digest.h"
#include "base/files.h"
#include "engine/ledger_database.h"
#include "engine/step.h"

namespace kling::engine {

/// Who may act on an open step: this ledger object, known to other processes by a lock file that
/// the kernel frees when the process dies. In memory there are no others. Guarded by the ledger's
/// mutex; every call blocks on the disk.
class Owner {
 public:
  /// `ledger`: the file, which is there; empty for ":memory:". However it is spelled, and whatever
  /// links lead to it, its owners' locks lie beside it.
  explicit Owner(const std::string& ledger);
  ~Owner();

  const std::string& id() const { return id_; }
  /// Makes this owner visible before its first intent, and forgets those that died. Inside a
  /// write transaction, which fails with this.
  void enter(Database& database);
  /// Whether another process holds this owner's lock. Removes the lock file of a dead one.
  bool lives(Database& database, const std::string& owner);

 private:
  std::string lock_path(const std::string& owner) const { return folder_ + "/" + owner; }
  UnsharedDescriptor take_lock(Database& database, const std::string& owner);

  const std::string folder_;
  const std::string id_ = random_hex(16);
  UnsharedDescriptor lock_;
};

/// asks.run of a step that a person had made anew in a run that has not come to its end. Until that
/// may be at the service the ask has the step before, which the journal of the new one names, and
/// its run is less by the id of the new one.
inline constexpr std::int64_t kMadeAnew = -2;
inline constexpr const char* kAnew = "made again";

/// SELECT of all columns, in the order that read_step expects, up to its WHERE.
extern const char* const kSelectSteps;

/// The step in the query's row. Fails the transaction when its state is none.
Step read_step(Database& database, Query& query);

/// The rows of the digest that is wanted, as choose() needs them.
std::vector<Attempt> attempts_of(Database& database, const Step& wanted, const Asking& asking);

/// How many of its service's jobs are running beside this step.
int count_open(Database& database, const Step& row, Millis now, Owner& owner);
/// What its script has spent beside it. Typed input has no script: there it is this process,
/// `owner`.
Usage count_spent(Database& database, const Step& row, const std::string& owner);

/// A path as a row keeps it: below the ledger's folder without that, as a project may move; and as
/// it is now.
std::string to_kept(const Database& database, const std::string& file);
std::string from_kept(const Database& database, const std::string& kept);

/// Remembers what this position of the script asks for; true when it asked something else.
bool note_position(Database& db, const Step& wanted, const Asking& asking);
/// That these asks are answered as before the next time, too.
void keep(Database& db, const std::vector<Caught>& caught);
/// That this ask got the row; what was kept of another one that it had got before goes. `taken`:
/// from other asks of the script, which have none any more. `run`: of asks (0: this one), or
/// kMadeAnew.
void note_ask(Database& db, const Step& wanted, const Asking& asking, std::int64_t row,
              bool taken = false, std::int64_t run = 0);
/// The row that an ask without a record would get, as it or its script has moved, noted as its own;
/// 0: none.
std::int64_t note_moved(Database& db, const Step& wanted, const Asking& asking);

/// Whether a step that was to be made anew may be at the service: then its asks have it from now
/// on. `made` 0: it is gone or was refused, and the one before counts; what is not `wanted` and
/// belongs to no living process goes.
bool has_left(Database& db, Owner& owner, std::int64_t& made, bool wanted);
/// `what` has happened to a step: if it was made anew, its asks have it once it may be at the
/// service, and the one before again if it fails.
void count_anew(Database& db, std::int64_t made, std::string_view what);

std::int64_t old_answers(Database& database, Millis before, bool forget);

/// The steps `where`, which is SQL with a ? for each of `values`.
template <class... Values>
std::vector<Step> read_steps(Database& database, const std::string& where,
                             const Values&... values) {
  std::vector<Step> rows;
  for (Query query(database, kSelectSteps + where, values...); query.next();)
    rows.push_back(read_step(database, query));
  return rows;
}

template <class... Values>
std::vector<Question> read_questions(Database& database, const std::string& where,
                                     const Values&... values) {
  std::vector<Question> rows;
  for (Query query(database,
                   "SELECT id, script, digest, kind, question, choices, place, answer, at"
                   " FROM questions WHERE " +
                       where,
                   values...);
       query.next();) {
    Question& row = rows.emplace_back();
    std::string choices;
    query >> row.id >> row.run >> row.digest >> row.kind >> row.text >> choices >> row.where >>
        row.answer >> row.at;
    row.choices = api::parse_json(choices);
    row.withdrawn = row.answer < 0;
    row.answer = std::max(row.answer, 0);
  }
  return rows;
}

/// What a change says that the row as it is does not allow.
Error refused(const Step& row, const std::string& what);

/// An external id that the user chose belongs to one step: the service may refuse it to another,
/// or answer with that one's task.
std::optional<Error> check_own_id(Database& database, Owner& owner, const Step& step);

/// The question as it is kept now; its answer is forgotten when it is to be asked again.
Question keep_question(Database& database, const Question& asked, bool again);
void keep_derived(Database& database, std::string_view sha256, std::string_view origin);
/// Open questions whose digest is not among these.
void withdraw_questions(Database& database, std::string_view script,
                        const std::set<std::string>& asked);
void keep_answer(Database& database, std::int64_t question, std::int64_t choice, Millis now,
                 bool change);
std::vector<std::pair<std::int64_t, std::string>> read_askers(Database& database);
std::vector<Film> read_films(Database& database);

/// Notes the run of the first asks of a task; but not where another process than the owner (the
/// last ?) is about to send what was made anew.
inline constexpr const char* kCountRun =
    "UPDATE asks SET run = ? WHERE script = ? AND task_path = ? AND digest = ? AND nth < ?"
    " AND NOT EXISTS (SELECT 1 FROM steps WHERE id = -2 - asks.run"
    " AND state IN ('intended', 'sending')"
    " AND owner NOT IN ('', ?))";

/// No other step has this task; what kling.request sent may.
inline constexpr const char* kOfNoOther =
    " AND (endpoint = 'request' OR NOT EXISTS (SELECT 1 FROM steps other"
    " WHERE other.task_id = ? AND other.id <> steps.id AND other.service = steps.service"
    " AND other.endpoint = steps.endpoint))";

}  // namespace kling::engine
