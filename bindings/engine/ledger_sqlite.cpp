#include <map>
#include <mutex>

#include <sys/stat.h>

#include "engine/ledger_database.h"
#include "engine/ledger_owner.h"
#include "engine/ledger_rows.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

using Outcome = Claim::Outcome;

class SqliteLedger : public Ledger {
 public:
  SqliteLedger(std::unique_ptr<Database> database, std::string prefix)
      : database_(std::move(database)),
        db_(*database_),
        prefix_(std::move(prefix)),
        owner_(db_.file()) {}

  Result<Claim> claim(const Intent& intent, const std::set<std::int64_t>& mine) override {
    return work(true, [&] {
      owner_.enter(db_);
      const bool differs = note_position(intent);
      const std::int64_t id = intent.fresh ? 0 : reusable(intent, mine);
      Claim claim = id == 0 ? insert(intent) : reuse(id, intent);
      claim.differs = differs && claim.outcome == Outcome::created;
      return claim;
    });
  }

  Result<Step> retry(std::int64_t step, Millis now) override {
    return work(true, [&] {
      owner_.enter(db_);
      const Step row = present(step);
      if (row.state != StepState::failed) db_.fail(refused(row, "retried"));
      next_attempt(row, now);
      return present(step);
    });
  }

  Result<Claim> revisit(std::int64_t step) override {
    return work(true, [&] {
      owner_.enter(db_);
      return take_over(present(step), 0);
    });
  }

  Result<Marked> mark_sending(std::int64_t step, Millis now, const Limits& limits,
                              double estimate_usd) override {
    Marked marked;
    auto refusal = work(true, [&]() -> std::optional<Error> {
      marked.usage = usage_beside(db_, present(step), owner_.id(), now);
      marked.admission = admit(limits, marked.usage, estimate_usd);
      if (marked.admission != Admission::admitted) return std::nullopt;
      return change(step, now, "sending", "", "state = 'sending', sent_at = ?",
                    "state IN ('intended', 'sending') AND owner = ?", now, owner_.id());
    });
    if (!refusal) return refusal.error();
    if (*refusal) return **refusal;
    return marked;
  }
  Status clear_sending(std::int64_t step, Millis now) override {
    return transition(step, now, "not sent", "", "state = 'intended', sent_at = 0",
                      "state = 'sending' AND owner = ?", owner_.id());
  }
  Status record_accepted(std::int64_t step, std::string_view task_id, std::string_view raw,
                         Millis now) override {
    return transition(
        step, now, "accepted", raw.empty() ? task_id : raw,
        "state = CASE state WHEN 'succeeded' THEN 'succeeded' ELSE 'accepted' END, task_id = ?,"
        " accepted_at = CASE accepted_at WHEN 0 THEN ? ELSE accepted_at END, error = ''",
        "(state IN ('intended', 'sending') AND owner = ? OR state = 'ambiguous'"
        " OR state IN ('accepted', 'succeeded') AND task_id = ?)",
        task_id, now, owner_.id(), task_id);
  }
  Status record_result(std::int64_t step, std::string_view result, std::optional<double> cost_usd,
                       std::string_view raw, Millis now, Millis took) override {
    return transition(step, now, "succeeded", raw,
                      "state = 'succeeded', result = ?, cost_usd = COALESCE(?, cost_usd),"
                      " finished_at = CASE finished_at WHEN 0 THEN ? ELSE finished_at END,"
                      " took = CASE took WHEN 0 THEN ? ELSE took END",
                      "(state IN ('accepted', 'succeeded')"
                      " OR state IN ('intended', 'sending') AND owner = ?)",
                      result, cost_usd, now, took, owner_.id());
  }
  Status record_failure(std::int64_t step, std::string_view error, std::string_view raw,
                        Millis now) override {
    // Also from failed: two processes that wait for one task both see it fail.
    return transition(step, now, "failed", raw.empty() ? error : raw,
                      "state = 'failed', error = ?, finished_at = ?",
                      "(state IN ('accepted', 'failed')"
                      " OR state IN ('intended', 'sending') AND owner = ?)",
                      error, now, owner_.id());
  }
  Status record_ambiguous(std::int64_t step, std::string_view error, Millis now) override {
    return transition(step, now, "ambiguous", error, "state = 'ambiguous', error = ?",
                      "state = 'sending' AND owner = ?", error, owner_.id());
  }
  Status record_file(std::int64_t step, std::string_view path, std::string_view sha256,
                     Millis now) override {
    const auto row = find_by_id(step);
    if (row.ok() && *row && (*row)->file == path && (*row)->file_sha256 == sha256)
      return Done{};  // found where it was: the next run of a script writes nothing
    return transition(step, now, "stored", path, "file = ?, file_sha256 = ?", "state = 'succeeded'",
                      path, sha256);
  }
  Status resubmit(std::int64_t step, Millis now) override {
    return transition(step, now, "resubmitted", "", "state = 'intended', owner = '', error = ''",
                      "state = 'ambiguous'");
  }
  Status abandon(std::int64_t step, Millis now) override {
    return transition(step, now, "abandoned", "", "state = 'failed', finished_at = ?",
                      "state = 'ambiguous'", now);
  }

  Result<std::optional<Step>> find_by_id(std::int64_t step) override {
    return work(false, [&] { return first("id = ?", step); });
  }
  Result<std::vector<Step>> find_by_task(std::string_view task_id) override {
    return work(false, [&] {
      return read_steps(db_, "task_id = ? AND task_id <> '' ORDER BY id", task_id);
    });
  }
  Result<std::optional<Step>> find_by_external(std::string_view external_id) override {
    return work(false, [&] { return first("external_id = ? ORDER BY id DESC", external_id); });
  }
  Result<std::vector<Step>> list(int limit) override {
    const std::int64_t rows = limit > 0 ? limit : INT64_MAX;
    return work(false, [&] { return read_steps(db_, "id > 0 ORDER BY id DESC LIMIT ?", rows); });
  }
  Result<std::optional<Step>> any_accepted(std::string_view service, std::string_view endpoint,
                                           std::int64_t except) override {
    return work(false, [&] {
      return first(
          "service = ? AND endpoint = ? AND id <> ? AND task_id <> '' AND external_id <> ''"
          " AND state IN ('accepted', 'succeeded') ORDER BY id DESC LIMIT 1",
          service, endpoint, except);
    });
  }

  Result<std::vector<JournalRow>> journal(std::int64_t step) override {
    return work(false, [&] {
      std::vector<JournalRow> rows;
      Query query(db_, "SELECT step, at, what, body FROM journal WHERE step = ? ORDER BY id", step);
      while (query.next()) {
        JournalRow& row = rows.emplace_back();
        query >> row.step >> row.at >> row.what >> row.body;
      }
      return rows;
    });
  }

  Result<std::int64_t> forget_answers(Millis before, bool forget) override {
    return work(forget, [&] { return old_answers(db_, before, forget); });
  }

  Result<std::optional<bool>> lookup_known(std::string_view service,
                                           std::string_view endpoint) override {
    return read<bool>("SELECT works FROM lookups WHERE service = ? AND endpoint = ?", service,
                      endpoint);
  }
  Status learn_lookup(std::string_view service, std::string_view endpoint, bool works) override {
    return write(
        "INSERT INTO lookups (service, endpoint, works) VALUES (?, ?, ?)"
        " ON CONFLICT (service, endpoint) DO UPDATE SET works = excluded.works",
        service, endpoint, works);
  }
  Status record_derived(std::string_view sha256, std::string_view origin) override {
    return write(
        "INSERT INTO derived (sha256, origin) VALUES (?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET origin = excluded.origin",
        sha256, origin);
  }
  Result<std::optional<std::string>> origin_of(std::string_view sha256) override {
    return read<std::string>("SELECT origin FROM derived WHERE sha256 = ?", sha256);
  }

  std::string prefix() const override { return prefix_; }

 private:
  /// Runs `body` alone on the connection; what it returns counts only when nothing failed.
  template <class Body>
  auto work(bool write, Body body) -> Result<decltype(body())> {
    std::lock_guard lock(mutex_);
    db_.begin(write);
    auto value = body();
    if (Status ended = db_.end(); !ended) return ended.error();
    remember(value);
    return value;
  }

  template <class Value, class... Values>
  Result<std::optional<Value>> read(const char* sql, const Values&... values) {
    return work(false, [&] { return db_.read<Value>(sql, values...); });
  }
  template <class... Values>
  Status write(const char* sql, const Values&... values) {
    auto changed = work(true, [&] { return db_.run(sql, values...); });
    if (!changed) return changed.error();
    return Done{};
  }

  // What a slow process learnt of one attempt must not hit the next one: changes hold only for the
  // attempt that this object has shown to its caller.
  void remember(const Step& row) { attempts_[row.id] = row.attempt; }
  void remember(const Claim& claim) { remember(claim.step); }
  void remember(const std::optional<Step>& row) {
    if (row) remember(*row);
  }
  void remember(const std::vector<Step>& rows) {
    for (const Step& row : rows) remember(row);
  }
  template <class T>
  void remember(const T&) {}

  template <class... Values>
  std::optional<Step> first(const std::string& where, const Values&... values) {
    auto rows = read_steps(db_, where, values...);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  }

  Step present(std::int64_t step) {
    auto row = first("id = ?", step);
    if (row) return std::move(*row);
    db_.fail(ledger_error(db_.title() + " has no step " + std::to_string(step), "run again"));
    return {};
  }

  void note(std::int64_t step, Millis at, std::string_view what, std::string_view body) {
    db_.run("INSERT INTO journal (step, at, what, body) VALUES (?, ?, ?, ?)", step, at, what, body);
  }

  static Error refused(const Step& row, const std::string& what) {
    Error error =
        ledger_error("step " + std::to_string(row.id) + " cannot become \"" + what + "\": it is " +
                         name(row.state) + ", attempt " + std::to_string(row.attempt),
                     "another process acted on it; run again to see what it did");
    error.job = to_string(Handle{row.endpoint, row.task_id, row.external_id});
    return error;
  }

  /// One guarded change of a step, with its line in the journal. `values` are those of `set`, then
  /// those of `guard`. What the guard forbids is written down all the same: it may be the only
  /// trace of a paid task.
  template <class... Values>
  Status transition(std::int64_t step, Millis now, const std::string& what, std::string_view body,
                    const std::string& set, const std::string& guard, const Values&... values) {
    auto error = work(true, [&] { return change(step, now, what, body, set, guard, values...); });
    if (!error) return error.error();
    if (*error) return **error;
    return Done{};
  }

  /// The same within a transaction.
  template <class... Values>
  std::optional<Error> change(std::int64_t step, Millis now, const std::string& what,
                              std::string_view body, const std::string& set,
                              const std::string& guard, const Values&... values) {
    const Step row = present(step);
    const int attempt = attempts_.try_emplace(step, row.attempt).first->second;
    const bool changed =
        db_.run("UPDATE steps SET " + set + " WHERE " + guard + " AND id = ? AND attempt = ?",
                values..., step, attempt) == 1;
    note(step, now, changed ? what : "refused: " + what, body);
    if (changed) return std::nullopt;
    return refused(row, what);
  }

  /// Remembers what this position of the script asks for; true when it asked something else.
  bool note_position(const Intent& intent) {
    const auto before = db_.read<std::string>(
        "SELECT digest FROM positions WHERE script_name = ? AND task_path = ? AND sequence = ?",
        intent.script_name, intent.task_path, intent.sequence);
    if (before == intent.digest) return false;
    db_.run(
        "INSERT INTO positions (script_name, task_path, sequence, digest) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (script_name, task_path, sequence) DO UPDATE SET digest = excluded.digest",
        intent.script_name, intent.task_path, intent.sequence, intent.digest);
    return before.has_value();
  }

  /// The recorded step that this intent means; 0 when there is none.
  std::int64_t reusable(const Intent& intent, const std::set<std::int64_t>& mine) {
    std::int64_t id = 0;
    for (Query query(db_,
                     "SELECT id FROM steps WHERE service = ? AND digest = ?"
                     " ORDER BY (task_path = ? AND nth = ?) DESC, ordinal",
                     intent.service, intent.digest, intent.task_path, intent.nth);
         query.next();) {
      query >> id;
      if (!mine.contains(id)) return id;
    }
    return 0;
  }

  Claim insert(const Intent& intent) {
    const int ordinal =
        db_.read<int>(
               "SELECT COALESCE(MAX(ordinal) + 1, 0) FROM steps WHERE service = ? AND digest = ?",
               intent.service, intent.digest)
            .value_or(0);
    const std::string address = step_address(intent.digest, ordinal);
    const bool own_id = !intent.user_external_id.empty();
    db_.run(
        "INSERT INTO steps (service, endpoint, digest, ordinal, address, attempt, external_id,"
        " own_external_id, task_path, nth, state, owner, target, script, summary, request,"
        " created_at, estimate_usd, run)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?, ?)",
        intent.service, intent.endpoint, intent.digest, ordinal, address,
        own_id ? intent.user_external_id : external_id(prefix_, address, 1), own_id,
        intent.task_path, intent.nth, owner_.id(), intent.target, intent.script, intent.summary,
        intent.request, intent.now, intent.estimate_usd, intent.script_name);
    const std::int64_t id = db_.last_id();
    note(id, intent.now, "intended", "");
    return {Outcome::created, present(id), false};
  }

  Claim reuse(std::int64_t id, const Intent& intent) {
    Claim claim = take_over(present(id), intent.now);
    if (claim.outcome == Outcome::foreign) return claim;
    // Bound to who asked last, so that the next run pairs exactly.
    if (claim.step.task_path != intent.task_path || claim.step.nth != intent.nth)
      db_.run("UPDATE steps SET task_path = ?, nth = ? WHERE id = ?", intent.task_path, intent.nth,
              id);
    if (claim.step.state == StepState::failed) {
      claim.outcome = Outcome::retried;
      claim.step.own_external_id = !intent.user_external_id.empty();
      claim.step.external_id = intent.user_external_id;
      next_attempt(claim.step, intent.now);
      db_.run(
          "UPDATE steps SET target = ?, script = ?, summary = ?, request = ?, estimate_usd = ?,"
          " run = ? WHERE id = ?",
          intent.target, intent.script, intent.summary, intent.request, intent.estimate_usd,
          intent.script_name, id);
    }
    claim.step = present(id);
    return claim;
  }

  /// Makes an open step ours unless its owner lives.
  Claim take_over(Step row, Millis now) {
    if (row.state != StepState::intended && row.state != StepState::sending)
      return {Outcome::known, std::move(row), false};
    if (row.owner != owner_.id()) {
      if (owner_.lives(db_, row.owner)) return {Outcome::foreign, std::move(row), false};
      row.owner = owner_.id();
      db_.run("UPDATE steps SET owner = ? WHERE id = ?", owner_.id(), row.id);
      note(row.id, now, "taken over", "");
    }
    return {Outcome::taken_over, std::move(row), false};
  }

  /// From failed to intended, ours, under the next external id (the user's own stays).
  void next_attempt(const Step& row, Millis now) {
    const int attempt = row.attempt + 1;
    const std::string id =
        row.own_external_id ? row.external_id : external_id(prefix_, row.address, attempt);
    db_.run(
        "UPDATE steps SET state = 'intended', attempt = ?, external_id = ?, own_external_id = ?,"
        " owner = ?, task_id = '', result = '', error = '', file = '', file_sha256 = '',"
        " sent_at = 0, accepted_at = 0, finished_at = 0, took = 0, cost_usd = NULL"
        " WHERE id = ? AND state = 'failed'",
        attempt, id, row.own_external_id, owner_.id(), row.id);
    note(row.id, now, "retried", id);
  }

  const std::unique_ptr<Database> database_;
  Database& db_;
  const std::string prefix_;
  Owner owner_;
  std::map<std::int64_t, int> attempts_;  // see remember()
  std::mutex mutex_;
};

}  // namespace

Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path, const LedgerOptions& options) {
  auto database = Database::open(path, options);
  if (!database) return database.error();
  const std::string file = (*database)->file();
  if (Status ready = prepare_schema(**database); !ready) return ready.error();
  (*database)->begin(false);
  const auto prefix =
      (*database)->read<std::string>("SELECT value FROM meta WHERE name = 'prefix'");
  if (Status ended = (*database)->end(); !ended) return ended.error();
  // Signed URLs lie in it. Only now, as a file that is no ledger must stay as it is.
  if (!file.empty()) (void)::chmod(file.c_str(), 0600);
  return std::shared_ptr<Ledger>(
      std::make_shared<SqliteLedger>(std::move(*database), prefix.value_or("")));
}

}  // namespace kling::engine
