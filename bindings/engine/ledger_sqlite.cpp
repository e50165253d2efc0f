#include <array>
#include <map>
#include <mutex>

#include <sys/stat.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/files.h"
#include "engine/ledger.h"
#include "engine/ledger_database.h"
#include "engine/ledger_schema.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

constexpr std::array kStates{StepState::intended,  StepState::sending, StepState::accepted,
                             StepState::succeeded, StepState::failed,  StepState::ambiguous};

const std::string kSelect =
    "SELECT id, service, endpoint, digest, ordinal, address, attempt, external_id,"
    " own_external_id, task_path, nth, state, owner, task_id, target, script, summary, request,"
    " result, error, file, file_sha256, created_at, sent_at, accepted_at, finished_at,"
    " estimate_usd, cost_usd FROM steps WHERE ";

Result<StepRow> read_step(const Query& query) {
  StepRow row;
  int column = 0;
  const auto text = [&] { return query.text(column++); };
  const auto integer = [&] { return query.integer(column++); };
  row.id = integer();
  row.service = text();
  row.endpoint = text();
  row.digest = text();
  row.ordinal = int(integer());
  row.address = text();
  row.attempt = int(integer());
  row.external_id = text();
  row.own_external_id = integer() != 0;
  row.task_path = text();
  row.nth = int(integer());
  const std::string state = text();
  row.owner = text();
  row.task_id = text();
  row.target = text();
  row.script = text();
  row.summary = text();
  row.request = text();
  row.result = text();
  row.error = text();
  row.file = text();
  row.file_sha256 = text();
  row.created_at = integer();
  row.sent_at = integer();
  row.accepted_at = integer();
  row.finished_at = integer();
  row.estimate_usd = query.number(column++);
  if (!query.is_null(column)) row.cost_usd = query.number(column);
  for (StepState known : kStates) {
    if (state != name(known)) continue;
    row.state = known;
    return row;
  }
  return ledger_error("the ledger is damaged: step " + std::to_string(row.id) + " has no state",
                      "restore a copy, or move it away");
}

std::string host_name() {
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  return host;
}

class SqliteLedger : public Ledger {
 public:
  SqliteLedger(std::string path, std::unique_ptr<Database> database)
      : path_(std::move(path)), database_(std::move(database)), db_(*database_) {
    if (!db_.file().empty()) owners_folder_ = db_.file() + ".owners";
  }

  ~SqliteLedger() override {
    if (lock_) ::unlink(lock_path(owner_).c_str());
  }

  /// Reads what does not change.
  Status load() {
    Query query(db_, "SELECT value FROM meta WHERE name = 'prefix'");
    if (query.next()) prefix_ = query.text(0);
    return query.finish();
  }

  Result<Claim> claim(const Intent& intent, const std::set<std::int64_t>& mine) override {
    std::lock_guard lock(mutex_);
    if (Status status = become_owner(); !status) return status.error();
    Transaction transaction(db_);
    if (Status status = transaction.begin(); !status) return status.error();
    auto differs = note_position(intent);
    if (!differs) return differs.error();
    auto id = intent.fresh ? Result<std::int64_t>(0) : reusable(intent, mine);
    if (!id) return id.error();
    auto claim = *id == 0 ? insert(intent) : reuse(*id, intent);
    if (!claim) return claim;
    if (Status status = transaction.commit(); !status) return status.error();
    claim->differs = *differs && claim->outcome == Claim::Outcome::created;
    attempts_[claim->step.id] = claim->step.attempt;
    return claim;
  }

  Result<StepRow> retry(std::int64_t step, Millis now) override {
    std::lock_guard lock(mutex_);
    if (Status status = become_owner(); !status) return status.error();
    Transaction transaction(db_);
    if (Status status = transaction.begin(); !status) return status.error();
    auto row = present(step);
    if (!row) return row;
    if (row->state != StepState::failed) return refused(*row, "retried");
    if (Status status = next_attempt(*row, now); !status) return status.error();
    row = present(step);
    if (!row) return row;
    if (Status status = transaction.commit(); !status) return status.error();
    attempts_[step] = row->attempt;
    return row;
  }

  Result<Claim> revisit(std::int64_t step) override {
    std::lock_guard lock(mutex_);
    if (Status status = become_owner(); !status) return status.error();
    Transaction transaction(db_);
    if (Status status = transaction.begin(); !status) return status.error();
    auto row = present(step);
    if (!row) return row.error();
    auto claim = take_over(*row, 0);
    if (!claim) return claim;
    if (Status status = transaction.commit(); !status) return status.error();
    attempts_[step] = claim->step.attempt;
    return claim;
  }

  Status mark_sending(std::int64_t step, Millis now) override {
    return transition(step, now, "sending", "", "state = 'sending', sent_at = ?",
                      "state IN ('intended', 'sending') AND owner = ?", now, owner_);
  }

  Status clear_sending(std::int64_t step, Millis now) override {
    return transition(step, now, "not sent", "", "state = 'intended', sent_at = 0",
                      "state = 'sending' AND owner = ?", owner_);
  }

  Status record_accepted(std::int64_t step, std::string_view task_id, std::string_view raw,
                         Millis now) override {
    return transition(
        step, now, "accepted", raw.empty() ? task_id : raw,
        "state = CASE state WHEN 'succeeded' THEN 'succeeded' ELSE 'accepted' END, task_id = ?,"
        " accepted_at = CASE accepted_at WHEN 0 THEN ? ELSE accepted_at END, error = ''",
        "(state IN ('intended', 'sending') AND owner = ? OR state = 'ambiguous'"
        " OR state IN ('accepted', 'succeeded') AND task_id = ?)",
        task_id, now, owner_, task_id);
  }

  Status record_result(std::int64_t step, std::string_view result, std::optional<double> cost_usd,
                       std::string_view raw, Millis now) override {
    return transition(step, now, "succeeded", raw,
                      "state = 'succeeded', result = ?, cost_usd = COALESCE(?, cost_usd),"
                      " finished_at = CASE finished_at WHEN 0 THEN ? ELSE finished_at END",
                      "(state IN ('accepted', 'succeeded')"
                      " OR state IN ('intended', 'sending') AND owner = ?)",
                      result, cost_usd, now, owner_);
  }

  Status record_failure(std::int64_t step, std::string_view error, std::string_view raw,
                        Millis now) override {
    // Also from failed: two processes that wait for one task both see it fail.
    return transition(step, now, "failed", raw.empty() ? error : raw,
                      "state = 'failed', error = ?, finished_at = ?",
                      "(state IN ('accepted', 'failed')"
                      " OR state IN ('intended', 'sending') AND owner = ?)",
                      error, now, owner_);
  }

  Status record_ambiguous(std::int64_t step, std::string_view error, Millis now) override {
    return transition(step, now, "ambiguous", error, "state = 'ambiguous', error = ?",
                      "state = 'sending' AND owner = ?", error, owner_);
  }

  Status record_file(std::int64_t step, std::string_view path, std::string_view sha256,
                     Millis now) override {
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

  Result<std::optional<StepRow>> find_by_id(std::int64_t step) override {
    return first_found("id = ?", step);
  }
  Result<std::vector<StepRow>> find_by_task(std::string_view task_id) override {
    return found("task_id = ? AND task_id <> '' ORDER BY id", task_id);
  }
  Result<std::optional<StepRow>> find_by_external(std::string_view external_id) override {
    return first_found("external_id = ? ORDER BY id DESC", external_id);
  }
  Result<std::vector<StepRow>> list(int limit) override {
    const std::int64_t rows = limit > 0 ? limit : INT64_MAX;
    return found("id > 0 ORDER BY id DESC LIMIT ?", rows);
  }
  Result<std::optional<StepRow>> any_accepted(std::string_view service, std::string_view endpoint,
                                              std::int64_t except) override {
    return first_found(
        "service = ? AND endpoint = ? AND id <> ? AND task_id <> '' AND external_id <> ''"
        " AND state IN ('accepted', 'succeeded') ORDER BY id DESC LIMIT 1",
        service, endpoint, except);
  }

  Result<std::vector<JournalRow>> journal(std::int64_t step) override {
    std::lock_guard lock(mutex_);
    std::vector<JournalRow> rows;
    Query query(db_, "SELECT step, at, what, body FROM journal WHERE step = ? ORDER BY id", step);
    while (query.next())
      rows.push_back({query.integer(0), query.integer(1), query.text(2), query.text(3)});
    if (Status status = query.finish(); !status) return status.error();
    return rows;
  }

  Result<std::optional<bool>> lookup_known(std::string_view service,
                                           std::string_view endpoint) override {
    std::lock_guard lock(mutex_);
    Query query(db_, "SELECT works FROM lookups WHERE service = ? AND endpoint = ?", service,
                endpoint);
    std::optional<bool> works;
    if (query.next()) works = query.integer(0) != 0;
    if (Status status = query.finish(); !status) return status.error();
    return works;
  }
  Status learn_lookup(std::string_view service, std::string_view endpoint, bool works) override {
    std::lock_guard lock(mutex_);
    return write(
        "INSERT INTO lookups (service, endpoint, works) VALUES (?, ?, ?)"
        " ON CONFLICT (service, endpoint) DO UPDATE SET works = excluded.works",
        service, endpoint, int(works));
  }

  Status record_derived(std::string_view sha256, std::string_view origin) override {
    std::lock_guard lock(mutex_);
    return write(
        "INSERT INTO derived (sha256, origin) VALUES (?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET origin = excluded.origin",
        sha256, origin);
  }
  Result<std::optional<std::string>> origin_of(std::string_view sha256) override {
    std::lock_guard lock(mutex_);
    Query query(db_, "SELECT origin FROM derived WHERE sha256 = ?", sha256);
    std::optional<std::string> origin;
    if (query.next()) origin = query.text(0);
    if (Status status = query.finish(); !status) return status.error();
    return origin;
  }

  std::string prefix() const override { return prefix_; }
  std::string path() const override { return path_; }

 private:
  /// The steps `where`, for a caller who may act on them.
  template <class... Values>
  Result<std::vector<StepRow>> found(const std::string& where, const Values&... values) {
    std::lock_guard lock(mutex_);
    auto rows = steps(where, values...);
    if (rows)
      for (const StepRow& row : *rows) attempts_[row.id] = row.attempt;
    return rows;
  }

  template <class... Values>
  Result<std::optional<StepRow>> first_found(const std::string& where, const Values&... values) {
    auto rows = found(where, values...);
    if (!rows) return rows.error();
    if (rows->empty()) return std::optional<StepRow>();
    return std::optional<StepRow>(std::move(rows->front()));
  }

  // Everything below expects mutex_ to be held.

  template <class... Values>
  Status write(const std::string& sql, const Values&... values) {
    return Query(db_, sql, values...).finish();
  }

  template <class... Values>
  Result<std::vector<StepRow>> steps(const std::string& where, const Values&... values) {
    std::vector<StepRow> rows;
    Query query(db_, kSelect + where, values...);
    while (query.next()) {
      auto row = read_step(query);
      if (!row) return row.error();
      rows.push_back(std::move(*row));
    }
    if (Status status = query.finish(); !status) return status.error();
    return rows;
  }

  Result<StepRow> present(std::int64_t step) {
    auto rows = steps("id = ?", step);
    if (!rows) return rows.error();
    if (rows->empty())
      return ledger_error("the ledger has no step " + std::to_string(step), "run again");
    return std::move(rows->front());
  }

  Status note(std::int64_t step, Millis at, std::string_view what, std::string_view body) {
    return write("INSERT INTO journal (step, at, what, body) VALUES (?, ?, ?, ?)", step, at, what,
                 body);
  }

  Error refused(const StepRow& row, const std::string& what) const {
    Error error =
        ledger_error("step " + std::to_string(row.id) + " cannot become " + what + ": it is " +
                         name(row.state) + ", attempt " + std::to_string(row.attempt),
                     "another process acted on it; run again to see what it did");
    error.job = to_string(Handle{row.endpoint, row.task_id, row.external_id});
    return error;
  }

  /// One guarded change of a step, with its line in the journal. `values` are those of `set`, then
  /// those of `guard`. It also holds only for the attempt that this ledger object knows, as what a
  /// slow process learnt of one attempt must not hit the next. What the guard forbids is written
  /// down all the same: it may be the only trace of a paid task.
  template <class... Values>
  Status transition(std::int64_t step, Millis now, const std::string& what, std::string_view body,
                    const std::string& set, const std::string& guard, const Values&... values) {
    std::lock_guard lock(mutex_);
    Transaction transaction(db_);
    if (Status status = transaction.begin(); !status) return status;
    auto row = present(step);
    if (!row) return row.error();
    const auto known = attempts_.try_emplace(step, row->attempt).first;
    Status status =
        write("UPDATE steps SET " + set + " WHERE " + guard + " AND id = ? AND attempt = ?",
              values..., step, known->second);
    if (!status) return status;
    const bool changed = db_.changes() == 1;
    if (status = note(step, now, changed ? what : "refused: " + what, body); !status) return status;
    if (status = transaction.commit(); !status) return status;
    if (!changed) return refused(*row, what);
    return Done{};
  }

  std::string lock_path(const std::string& owner) const { return owners_folder_ + "/" + owner; }

  /// Makes this object visible to other processes, and forgets those that died; once, before the
  /// first intent.
  Status become_owner() {
    if (lock_ || owners_folder_.empty()) return Done{};
    if (::mkdir(owners_folder_.c_str(), 0700) != 0 && errno != EEXIST)
      return ledger_error("cannot make " + owners_folder_ + ": " + system_message(errno),
                          "check the rights of the folder");
    auto lock = FileLock::try_lock(lock_path(owner_));
    if (!lock) return ledger_error(lock.error().message, "locks must work where the ledger is");
    Transaction transaction(db_);
    if (Status status = transaction.begin(); !status) return status;
    std::vector<std::string> others;
    {
      Query query(db_, "SELECT id FROM owners");
      while (query.next()) others.push_back(query.text(0));
      if (Status status = query.finish(); !status) return status;
    }
    for (const std::string& other : others) {
      auto alive = lives(other);
      if (!alive) return alive.error();
      if (*alive) continue;
      if (Status status = write("DELETE FROM owners WHERE id = ?", other); !status) return status;
    }
    Status status = write("INSERT INTO owners (id, pid, host) VALUES (?, ?, ?)", owner_,
                          int(::getpid()), host_name());
    if (!status) return status;
    if (status = transaction.commit(); !status) return status;
    lock_ = std::move(*lock);
    return Done{};
  }

  /// Whether another process holds this owner's lock. Removes the lock file of a dead one.
  Result<bool> lives(const std::string& owner) {
    // Only names that we make: the file's content must not lead to other paths.
    const bool named_by_us = owner.size() == owner_.size() &&
                             owner.find_first_not_of("0123456789abcdef") == std::string::npos;
    if (!named_by_us || owners_folder_.empty()) return false;
    auto lock = FileLock::try_lock(lock_path(owner));
    if (!lock) return ledger_error(lock.error().message, "locks must work where the ledger is");
    if (*lock == nullptr) return true;
    ::unlink(lock_path(owner).c_str());
    return false;
  }

  /// Remembers what this position of the script asks for; true when it asked something else.
  Result<bool> note_position(const Intent& intent) {
    std::string before;
    {
      Query query(db_,
                  "SELECT digest FROM positions"
                  " WHERE script_name = ? AND task_path = ? AND sequence = ?",
                  intent.script_name, intent.task_path, intent.sequence);
      if (query.next()) before = query.text(0);
      if (Status status = query.finish(); !status) return status.error();
    }
    if (before == intent.digest) return false;
    Status status = write(
        "INSERT INTO positions (script_name, task_path, sequence, digest) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (script_name, task_path, sequence) DO UPDATE SET digest = excluded.digest",
        intent.script_name, intent.task_path, intent.sequence, intent.digest);
    if (!status) return status.error();
    return !before.empty();
  }

  /// The recorded step that this intent means; 0 when there is none.
  Result<std::int64_t> reusable(const Intent& intent, const std::set<std::int64_t>& mine) {
    const auto first_free = [&](const char* sql, const auto&... values) -> Result<std::int64_t> {
      Query query(db_, sql, values...);
      while (query.next())
        if (!mine.contains(query.integer(0))) return query.integer(0);
      if (Status status = query.finish(); !status) return status.error();
      return 0;
    };
    auto id = first_free(
        "SELECT id FROM steps WHERE service = ? AND digest = ? AND task_path = ? AND nth = ?"
        " ORDER BY ordinal",
        intent.service, intent.digest, intent.task_path, intent.nth);
    if (!id || *id != 0) return id;
    return first_free("SELECT id FROM steps WHERE service = ? AND digest = ? ORDER BY ordinal",
                      intent.service, intent.digest);
  }

  Result<Claim> insert(const Intent& intent) {
    int ordinal = 0;
    {
      Query query(
          db_, "SELECT COALESCE(MAX(ordinal) + 1, 0) FROM steps WHERE service = ? AND digest = ?",
          intent.service, intent.digest);
      if (query.next()) ordinal = int(query.integer(0));
      if (Status status = query.finish(); !status) return status.error();
    }
    const std::string address = step_address(intent.digest, ordinal);
    const bool own_id = !intent.user_external_id.empty();
    Status status = write(
        "INSERT INTO steps (service, endpoint, digest, ordinal, address, attempt, external_id,"
        " own_external_id, task_path, nth, state, owner, target, script, summary, request,"
        " created_at, estimate_usd)"
        " VALUES (?, ?, ?, ?, ?, 1, ?, ?, ?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?)",
        intent.service, intent.endpoint, intent.digest, ordinal, address,
        own_id ? intent.user_external_id : external_id(prefix_, address, 1), int(own_id),
        intent.task_path, intent.nth, owner_, intent.target, intent.script, intent.summary,
        intent.request, intent.now, intent.estimate_usd);
    if (!status) return status.error();
    const std::int64_t id = db_.last_id();
    if (status = note(id, intent.now, "intended", ""); !status) return status.error();
    auto row = present(id);
    if (!row) return row.error();
    return Claim{Claim::Outcome::created, std::move(*row), false};
  }

  Result<Claim> reuse(std::int64_t id, const Intent& intent) {
    auto row = present(id);
    if (!row) return row.error();
    auto claim = take_over(*row, intent.now);
    if (!claim || claim->outcome == Claim::Outcome::foreign) return claim;
    // Bound to who asked last, so that the next run pairs exactly.
    Status status = Done{};
    if (row->task_path != intent.task_path || row->nth != intent.nth)
      status = write("UPDATE steps SET task_path = ?, nth = ? WHERE id = ?", intent.task_path,
                     intent.nth, id);
    if (status && row->state == StepState::failed) {
      claim->outcome = Claim::Outcome::retried;
      row->own_external_id = !intent.user_external_id.empty();
      row->external_id = intent.user_external_id;
      status = next_attempt(*row, intent.now);
      if (status)
        status = write(
            "UPDATE steps SET target = ?, script = ?, summary = ?, request = ?,"
            " estimate_usd = ? WHERE id = ?",
            intent.target, intent.script, intent.summary, intent.request, intent.estimate_usd, id);
    }
    if (!status) return status.error();
    row = present(id);
    if (!row) return row.error();
    claim->step = std::move(*row);
    return claim;
  }

  /// Makes an open step ours unless its owner lives.
  Result<Claim> take_over(StepRow row, Millis now) {
    if (row.state != StepState::intended && row.state != StepState::sending)
      return Claim{Claim::Outcome::known, std::move(row), false};
    if (row.owner != owner_) {
      auto alive = lives(row.owner);
      if (!alive) return alive.error();
      if (*alive) return Claim{Claim::Outcome::foreign, std::move(row), false};
      row.owner = owner_;
      if (Status status = write("UPDATE steps SET owner = ? WHERE id = ?", owner_, row.id); !status)
        return status.error();
      if (Status status = note(row.id, now, "taken over", ""); !status) return status.error();
    }
    return Claim{Claim::Outcome::taken_over, std::move(row), false};
  }

  /// From failed to intended, ours, under the next external id (the user's own stays).
  Status next_attempt(const StepRow& row, Millis now) {
    const int attempt = row.attempt + 1;
    const std::string id =
        row.own_external_id ? row.external_id : external_id(prefix_, row.address, attempt);
    Status status = write(
        "UPDATE steps SET state = 'intended', attempt = ?, external_id = ?, own_external_id = ?,"
        " owner = ?, task_id = '', result = '', error = '', file = '', file_sha256 = '',"
        " sent_at = 0, accepted_at = 0, finished_at = 0, cost_usd = NULL"
        " WHERE id = ? AND state = 'failed'",
        attempt, id, int(row.own_external_id), owner_, row.id);
    return status ? note(row.id, now, "retried", id) : status;
  }

  const std::string path_;
  const std::unique_ptr<Database> database_;
  Database& db_;
  std::string owners_folder_;  // empty for ":memory:", which nobody shares
  std::string prefix_;
  const std::string owner_ = random_hex(16);
  std::unique_ptr<FileLock> lock_;
  std::map<std::int64_t, int> attempts_;  // of the steps this object acted on
  std::mutex mutex_;
};

}  // namespace

const char* name(StepState state) {
  switch (state) {
    case StepState::intended:
      return "intended";
    case StepState::sending:
      return "sending";
    case StepState::accepted:
      return "accepted";
    case StepState::succeeded:
      return "succeeded";
    case StepState::failed:
      return "failed";
    case StepState::ambiguous:
      return "ambiguous";
  }
  return "ambiguous";
}

Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path, const LedgerOptions& options) {
  auto database = Database::open(path, options);
  if (!database) return database.error();
  if (Status status = prepare_schema(**database); !status) return status.error();
  auto ledger = std::make_shared<SqliteLedger>(path, std::move(*database));
  if (Status status = ledger->load(); !status) return status.error();
  // Signed URLs lie in it. Only now, as a file that is no ledger must stay as it is.
  if (path != ":memory:") (void)::chmod(path.c_str(), 0600);
  return std::shared_ptr<Ledger>(std::move(ledger));
}

}  // namespace kling::engine
