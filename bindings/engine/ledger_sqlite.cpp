#include <sys/stat.h>

#include "api/text.h"
#include "engine/ledger_rows.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

class SqliteLedger : public Ledger {
 public:
  SqliteLedger(std::unique_ptr<Database> database, std::string prefix)
      : database_(std::move(database)),
        db_(*database_),
        prefix_(std::move(prefix)),
        owner_(db_.file()) {}

  Status end_run(std::string_view script, const AskCounts& counts,
                 const std::vector<Caught>& untold, const std::set<std::string>& asked) override {
    return work(true, [&] {
      engine::keep(db_, untold);
      db_.run(
          "INSERT INTO scripts (name, runs) VALUES (?, 1)"
          " ON CONFLICT (name) DO UPDATE SET runs = runs + 1",
          script);
      const auto run = db_.read<std::int64_t>("SELECT runs FROM scripts WHERE name = ?", script);
      for (const auto& [key, count] : counts)
        db_.run(kCountRun, run.value_or(0), script, key.first, key.second, count, owner_.id());
      db_.run("UPDATE asks SET run = -1 WHERE script = ? AND run IN (0, ?)", script, kMadeAnew);
      const std::string forgotten =
          "state = 'intended' AND sent_at = 0 AND run = ? AND (owner = '' OR owner = ?)"
          " AND NOT EXISTS (SELECT 1 FROM asks WHERE step = steps.id"
          " AND (asks.script <> steps.run OR asks.run = ?))";
      db_.run("DELETE FROM journal WHERE step IN (SELECT id FROM steps WHERE " + forgotten + ")",
              script, owner_.id(), run.value_or(0));
      if (db_.run("DELETE FROM steps WHERE " + forgotten, script, owner_.id(), run.value_or(0)) > 0)
        db_.run("DELETE FROM asks WHERE script = ? AND step NOT IN (SELECT id FROM steps)", script);
      withdraw_questions(db_, script, asked);
      return Done{};
    });
  }
  Status keep(const std::vector<Caught>& caught) override {
    return work(true, [&] { return engine::keep(db_, caught), Done{}; });
  }
  Result<int> timeouts(const Ask& ask) override {
    return work(false, [&] {
      return db_
          .read<int>(
              "SELECT timeouts FROM asks WHERE script = ? AND task_path = ?"
              " AND digest = ? AND nth = ? AND step = ?",
              ask.script, ask.task_path, ask.digest, ask.nth, ask.row)
          .value_or(0);
    });
  }
  Result<std::string> seed(std::string_view script, std::string_view proposed) override {
    return work(true, [&] {
      db_.run(
          "INSERT INTO scripts (name, seed) VALUES (?, ?) ON CONFLICT (name) DO UPDATE"
          " SET seed = excluded.seed WHERE seed = ''",
          script, proposed);
      return db_.read<std::string>("SELECT seed FROM scripts WHERE name = ?", script).value_or("");
    });
  }

  Result<Claim> claim(const Step& wanted, const Asking& asking) override {
    return commit(true, [&] {
      owner_.enter(db_);
      const bool differs = note_position(db_, wanted, asking);
      std::int64_t recorded = 0, run = 0, timeouts = 0;
      if (Query query(db_,
                      "SELECT step, timeouts, run FROM asks WHERE script = ? AND script <> ''"
                      " AND task_path = ? AND digest = ? AND nth = ?",
                      asking.script, wanted.task_path, wanted.digest, asking.nth);
          query.next())
        query >> recorded >> timeouts >> run;
      if (asking.anew && recorded == 0) recorded = note_moved(db_, wanted, asking);
      // Once until a run comes to its end: what is repeated after a crash must not pay again.
      bool anew = asking.anew && recorded != 0 && run != kMadeAnew && present(recorded).settled();
      std::int64_t made = run < kMadeAnew ? kMadeAnew - run : 0;
      if (made != 0 && has_left(db_, owner_, made, anew))
        recorded = std::exchange(made, 0), run = kMadeAnew, timeouts = 0, anew = false;
      const Choice choice =
          anew ? Choice{.id = made} : choose(attempts_of(db_, wanted, asking), recorded, asking);
      Claim claim;
      if (choice.id == 0 || choice.next_attempt) {
        claim.step = insert(wanted, asking, choice.id);
        claim.created = true;
      } else {
        db_.run(
            "UPDATE steps SET external_id = ?1, own_external_id = 1 WHERE ?1 <> '' AND id = ?2"
            " AND state = 'intended' AND sent_at = 0",
            wanted.external_id, choice.id);
        if (choice.follows == 0)  // what is asked once more keeps its name
          db_.run("UPDATE steps SET name = ?1 WHERE id = ?2 AND ?1 NOT IN ('', name)", wanted.name,
                  choice.id);
        claim = take_over(present(choice.id), wanted.created_at, wanted.run);
      }
      claim.differs = differs && claim.created && choice.id == 0;
      claim.follows = choice.follows;
      const bool same = recorded == claim.step.id;
      claim.timeouts = same ? int(timeouts) : 0;
      if (anew && made == 0)
        note(claim.step.id, wanted.created_at, kAnew, std::to_string(recorded));
      if (anew || (same && run < kMadeAnew && made == 0))  // who shares the step goes with it
        db_.run("UPDATE asks SET run = ? WHERE script = ? AND digest = ? AND step = ?",
                anew ? kMadeAnew - claim.step.id : 0, asking.script, wanted.digest, recorded);
      else if (!same && !asking.script.empty())
        note_ask(db_, wanted, asking, claim.step.id, choice.taken,
                 asking.anew && claim.created ? kMadeAnew : 0);  // what is new needs no other
      return claim;
    });
  }

  Result<Claim> revisit(std::int64_t id) override {
    return work(true, [&] { return owner_.enter(db_), take_over(present(id), 0, ""); });
  }

  Result<std::vector<Step>> take_orphans(std::string_view service, Millis now) override {
    return work(true, [&] {
      owner_.enter(db_);
      std::vector<Step> orphans =
          read_steps(db_, "service = ? AND state = 'accepted' AND endpoint <> 'request'", service);
      std::erase_if(orphans, [&](const Step& step) { return owner_.lives(db_, step.owner); });
      for (const Step& step : orphans) follow(step, now);
      return orphans;
    });
  }

  Result<Marked> mark_sending(const Step& step, Millis now, const Limits& limits,
                              double estimate_usd, std::string_view account) override {
    Marked marked;
    auto refusal = work(true, [&]() -> std::optional<Error> {
      db_.reserve();
      const Step row = present(step.id);
      if (limits.budget_jobs >= 0 || limits.budget_usd >= 0)
        marked.usage = count_spent(db_, row, owner_.id());
      if (limits.slots >= 0) marked.usage.open = count_open(db_, row, now, owner_);
      marked.admission = admit(limits, marked.usage, estimate_usd);
      if (marked.admission != Admission::admitted) return std::nullopt;
      if (auto taken = check_own_id(db_, owner_, row)) return taken;
      return change(step, now, "sending", account,
                    "state = 'sending', sent_at = CASE sent_at WHEN 0 THEN ? ELSE sent_at END",
                    "state IN ('intended', 'sending') AND owner = ?", now, owner_.id());
    });
    if (!refusal) return refusal.error();
    if (*refusal) return **refusal;
    return marked;
  }
  Status clear_sending(const Step& step, Millis now) override {
    return transition(step, now, "not sent", "", "state = 'intended', sent_at = 0",
                      "state = 'sending' AND owner = ?", owner_.id());
  }
  Status release(const Step& step) override {
    return write(
        "UPDATE steps SET owner = '' WHERE id = ? AND state IN ('intended', 'sending')"
        " AND owner = ?",
        step.id, owner_.id());
  }
  Status record_accepted(const Step& step, std::string_view raw, Millis now) override {
    return transition(
        step, now, "accepted", raw.empty() ? step.task_id : raw,
        "state = CASE state WHEN 'succeeded' THEN 'succeeded' ELSE 'accepted' END, task_id = ?,"
        " accepted_at = CASE accepted_at WHEN 0 THEN ? ELSE accepted_at END, error = '',"
        " abandoned = 0, owner = ?",
        "(state IN ('intended', 'sending') AND owner = ? OR state = 'ambiguous' OR abandoned = 1"
        " OR state IN ('accepted', 'succeeded') AND task_id = ?)" +
            std::string(kOfNoOther),
        step.task_id, now, owner_.id(), owner_.id(), step.task_id, step.task_id);
  }
  Status record_result(const Step& step, std::string_view raw, Millis now) override {
    // A success is kept however late it comes: it was paid for.
    return transition(step, now, "succeeded", raw,
                      "state = 'succeeded', result = ?, cost_usd = COALESCE(?, cost_usd),"
                      " error = '', abandoned = 0,"
                      " finished_at = CASE WHEN finished_at = 0 OR state <> 'succeeded' THEN ?"
                      " ELSE finished_at END, took = CASE took WHEN 0 THEN ? ELSE took END",
                      "(task_id <> '' OR state IN ('intended', 'sending') AND owner = ?)",
                      step.result, step.cost_usd, now, step.took, owner_.id());
  }
  Status record_failure(const Step& step, std::string_view raw, Millis now) override {
    // Also from failed: two processes that wait for one task both see it fail.
    return transition(step, now, "failed", raw.empty() ? step.error : raw,
                      "state = 'failed', error = ?, finished_at = ?, abandoned = 0",
                      "(state IN ('accepted', 'failed')"
                      " OR state IN ('intended', 'sending') AND owner = ?)",
                      step.error, now, owner_.id());
  }
  Status record_ambiguous(const Step& step, Millis now) override {
    return transition(step, now, "ambiguous", step.error, "state = 'ambiguous', error = ?",
                      "state = 'sending' AND owner = ?", step.error, owner_.id());
  }
  Status record_file(const Step& step, Millis now) override {
    return transition(step, now, "stored", step.file, "file = ?, file_sha256 = ?",
                      "state = 'succeeded'", to_kept(db_, step.file), step.file_sha256);
  }
  Status resubmit(const Step& step, Millis now) override {
    return transition(step, now, "resubmitted", "", "state = 'intended', owner = '', error = ''",
                      "state = 'ambiguous'");
  }
  Status rename_task(const Step& step, std::string_view task, Millis now) override {
    return transition(step, now, "renamed to " + std::string(task), step.task_id, "task_id = ?",
                      std::string("(state <> 'failed' OR abandoned)") + kOfNoOther, task, task);
  }
  Status abandon(const Step& step, Millis now) override {
    auto refusal = work(true, [&]() -> std::optional<Error> {
      owner_.enter(db_);
      const Step row = present(step.id);
      if (is_open(row) && row.owner != owner_.id() && owner_.lives(db_, row.owner))
        return ledger_error("a running process is about to send this request",
                            "end it, then say so again");
      return change(row, now, "abandoned", "",
                    "state = 'failed', finished_at = ?, error = ?,"
                    " abandoned = sent_at <> 0 OR task_id <> ''",
                    "state NOT IN ('succeeded', 'failed')", now, step.error);
    });
    if (!refusal) return refusal.error();
    if (*refusal) return **refusal;
    return Done{};
  }

  Result<std::optional<Step>> find_by_id(std::int64_t id) override {
    return work(false, [&] { return first("id = ?", id); });
  }
  Result<std::vector<Step>> find_by_task(std::string_view task_id) override {
    return work(false, [&] {
      return read_steps(db_, "task_id = ? AND task_id <> '' ORDER BY id", task_id);
    });
  }
  Result<std::optional<Step>> find_by_external(std::string_view external_id) override {
    return work(false, [&] { return first("external_id = ? ORDER BY id DESC", external_id); });
  }
  Result<std::vector<Step>> find_renamed(std::string_view task_id) override {
    return work(false, [&] {
      return read_steps(
          db_, "id IN (SELECT step FROM journal WHERE body = ? AND what LIKE 'renamed to %')",
          task_id);
    });
  }
  Result<std::vector<Step>> list(int limit) override {
    const std::int64_t rows = limit > 0 ? limit : INT64_MAX;
    return work(false, [&] {
      return read_steps(db_,
                        "(state = 'succeeded' OR attempt = (SELECT MAX(attempt) FROM steps other"
                        " WHERE other.service = steps.service AND other.digest = steps.digest"
                        " AND other.ordinal = steps.ordinal)) ORDER BY id DESC LIMIT ?",
                        rows);
    });
  }
  Result<std::optional<Step>> any_accepted(std::string_view service, std::string_view endpoint,
                                           std::int64_t except) override {
    return work(false, [&] {
      return first(
          "service = ? AND endpoint = ? AND id <> ? AND task_id <> '' AND external_id <> ''"
          " AND state IN ('accepted', 'succeeded') ORDER BY accepted_at DESC, id DESC LIMIT 1",
          service, endpoint, except);
    });
  }
  Result<std::vector<std::pair<std::int64_t, std::string>>> askers() override {
    return work(false, [&] { return read_askers(db_); });
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
    return read<bool>(
        "SELECT works FROM lookups WHERE service = ? AND endpoint = ? AND (works OR NOT EXISTS"
        " (SELECT 1 FROM steps WHERE steps.service = lookups.service"
        " AND steps.endpoint = lookups.endpoint AND accepted_at > learnt_at))",
        service, endpoint);
  }
  Status learn_lookup(std::string_view service, std::string_view endpoint, bool works,
                      Millis now) override {
    return write(
        "INSERT INTO lookups (service, endpoint, works, learnt_at) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (service, endpoint) DO UPDATE SET works = excluded.works,"
        " learnt_at = excluded.learnt_at",
        service, endpoint, works, now);
  }
  Result<Usage> usage(const Step& beside, Millis now) override {
    return work(false, [&] {
      Usage usage = count_spent(db_, beside, owner_.id());
      usage.open = count_open(db_, beside, now, owner_);
      return usage;
    });
  }
  Status record_derived(std::string_view sha256, std::string_view origin, bool sync) override {
    const auto insert = [&] { return keep_derived(db_, sha256, origin), Done{}; };
    return sync ? work(true, insert) : commit(true, insert);
  }
  Result<std::optional<std::string>> origin_of(std::string_view sha256) override {
    return read<std::string>("SELECT origin FROM derived WHERE sha256 = ?", sha256);
  }
  Result<Question> record_question(const Question& asked, bool again) override {
    return work(true, [&] { return keep_question(db_, asked, again); });
  }
  Status answer(std::int64_t question, std::int64_t choice, Millis now, bool change) override {
    return work(true, [&] { return keep_answer(db_, question, choice, now, change), Done{}; });
  }
  Result<std::vector<Question>> questions() override {
    return work(false, [&] { return read_questions(db_, "id > 0 ORDER BY id"); });
  }

  Status record_film(const Film& film) override {
    return write(
        "INSERT INTO films (path, script, at) VALUES (?, ?, ?) ON CONFLICT (path) DO UPDATE SET"
        " script = excluded.script, at = excluded.at",
        to_kept(db_, film.path), film.run, film.at);
  }
  Result<std::vector<Film>> films() override {
    return work(false, [&] { return read_films(db_); });
  }

  std::string prefix() const override { return prefix_; }
  Result<std::string> secret() override {
    return work(true, [&] {
      db_.run("INSERT INTO meta (name, value) VALUES ('secret', ?) ON CONFLICT (name) DO NOTHING",
              random_hex(16));
      return db_.read<std::string>("SELECT value FROM meta WHERE name = 'secret'").value_or("");
    });
  }

 private:
  /// Runs `body` alone on the connection; what it returns counts only when nothing failed.
  template <class Body>
  auto work(bool write, Body body) -> Result<decltype(body())> {
    auto value = commit(write, body);
    if (Status synced = write && value ? db_.sync() : Done{}; !synced) return synced.error();
    return value;
  }
  /// The same, on the disk as soon as anything that is written later is.
  template <class Body>
  auto commit(bool write, Body body) -> Result<decltype(body())> {
    std::lock_guard lock(mutex_);
    const auto undo = [](Database* database) { database->undo(); };  // should memory end within
    const std::unique_ptr<Database, decltype(undo)> open(&db_, undo);
    db_.begin(write);
    auto value = body();
    if (Status ended = db_.end(); !ended) return ended.error();
    return value;
  }

  template <class Value, class... Values>
  Result<std::optional<Value>> read(const char* sql, const Values&... values) {
    return work(false, [&] { return db_.read<Value>(sql, values...); });
  }
  template <class... Values>
  Status write(const char* sql, const Values&... values) {
    return work(true, [&] { return (void)db_.run(sql, values...), Done{}; });
  }

  template <class... Values>
  std::optional<Step> first(const std::string& where, const Values&... values) {
    auto rows = read_steps(db_, where, values...);
    if (rows.empty()) return std::nullopt;
    return std::move(rows.front());
  }

  Step present(std::int64_t step) {
    auto row = first("id = ?", step);
    if (row) return std::move(*row);
    db_.fail(ledger_error(db_.title() + " has no step " + std::to_string(step), "try again"));
    return {};
  }

  void note(std::int64_t step, Millis at, std::string_view what, std::string_view body) {
    db_.run("INSERT INTO journal (step, at, what, body) VALUES (?, ?, ?, ?)", step, at, what, body);
  }

  /// One guarded change of a step, with its line in the journal. `values` are those of `set`, then
  /// those of `guard`. What the guard forbids is written down all the same: it may be the only
  /// trace of a paid task.
  template <class... Values>
  Status transition(const Step& step, Millis now, const std::string& what, std::string_view body,
                    const std::string& set, const std::string& guard, const Values&... values) {
    auto error = work(true, [&] { return change(step, now, what, body, set, guard, values...); });
    if (!error) return error.error();
    if (*error) return **error;
    return Done{};
  }

  /// The same within a transaction.
  template <class... Values>
  std::optional<Error> change(const Step& step, Millis now, const std::string& what,
                              std::string_view body, const std::string& set,
                              const std::string& guard, const Values&... values) {
    const bool changed = db_.run("UPDATE steps SET " + set + " WHERE " + guard +
                                     " AND id = ? AND task_id IN ('', ?)",
                                 values..., step.id, step.task_id) == 1;
    note(step.id, now, changed ? what : "refused: " + what, body);
    if (!changed) return refused(present(step.id), what);
    count_anew(db_, step.id, what);
    return std::nullopt;
  }

  static bool is_open(const Step& row) {
    return row.state == StepState::intended || row.state == StepState::sending;
  }

  /// A new step, or the attempt after the newest one, which is `before`.
  Step insert(const Step& wanted, const Asking& asking, std::int64_t before) {
    Step step = wanted;
    if (before != 0) {
      const Step last = present(before);
      step.ordinal = last.ordinal;
      step.attempt = last.attempt + 1;
    } else {
      step.ordinal = db_.read<int>(
                            "SELECT COALESCE(MAX(ordinal) + 1, 0) FROM steps WHERE service = ?"
                            " AND digest = ?",
                            wanted.service, wanted.digest)
                         .value_or(0);
    }
    step.address = step_address(step.digest, step.ordinal);
    step.own_external_id = !wanted.external_id.empty();
    if (!step.own_external_id) step.external_id = external_id(prefix_, step.address, step.attempt);
    if (auto taken = check_own_id(db_, owner_, step)) db_.fail(std::move(*taken));
    db_.run(
        "INSERT INTO steps (service, endpoint, digest, ordinal, address, attempt, external_id,"
        " own_external_id, task_path, nth, state, owner, target, script, summary, request,"
        " created_at, estimate_usd, run, name)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'intended', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        step.service, step.endpoint, step.digest, step.ordinal, step.address, step.attempt,
        step.external_id, step.own_external_id, step.task_path, asking.nth, owner_.id(),
        step.target, step.script, step.summary, step.request, step.created_at, step.estimate_usd,
        step.run, step.name);
    const std::int64_t id = db_.last_id();
    note(id, step.created_at, before == 0 ? "intended" : "retried",
         before == 0 ? "" : step.external_id);
    return present(id);
  }

  /// Makes an open step ours unless its owner lives; who follows an accepted one is its owner, too.
  Claim take_over(Step row, Millis now, const std::string& run) {
    if (row.state == StepState::ambiguous && is_found(row)) {
      // As if its answer had just been lost.
      db_.run("UPDATE steps SET state = 'sending', owner = ?, error = '' WHERE id = ?", owner_.id(),
              row.id);
      note(row.id, now, "sending", "examined again");
      return {.step = present(row.id)};
    }
    const bool open = is_open(row);
    if (row.owner == owner_.id() || !(open || row.state == StepState::accepted))
      return {.step = std::move(row)};
    if (owner_.lives(db_, row.owner)) return {.step = std::move(row), .foreign = open};
    if (open && !run.empty()) row.run = run;  // whose budget pays for it from here on
    follow(row, now);
    row.owner = owner_.id();
    return {.step = std::move(row)};
  }

  /// Whether the service is known to find such a step by its external id.
  bool is_found(const Step& row) {
    return db_
        .read<bool>("SELECT works FROM lookups WHERE service = ? AND endpoint = ?", row.service,
                    row.endpoint)
        .value_or(false);
  }

  void follow(const Step& row, Millis now) {
    db_.run("UPDATE steps SET owner = ?, run = ? WHERE id = ?", owner_.id(), row.run, row.id);
    if (!row.owner.empty() && row.state != StepState::accepted) note(row.id, now, "taken over", "");
  }

  const std::unique_ptr<Database> database_;
  Database& db_;
  const std::string prefix_;
  Owner owner_;
  std::mutex mutex_;
};

}  // namespace

Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path, const LedgerOptions& options) {
  auto database = Database::open(path, options);
  if (!database) return database.error();
  if (Status ready = prepare_schema(**database); !ready) return ready.error();
  (*database)->begin(false);
  const auto prefix =
      (*database)->read<std::string>("SELECT value FROM meta WHERE name = 'prefix'");
  if (Status ended = (*database)->end(); !ended) return ended.error();
  // Signed URLs lie in it. Only now, as a file that is no ledger must stay as it is.
  if (const auto file = (*database)->file(); !file.empty()) (void)::chmod(file.c_str(), 0600);
  return std::shared_ptr<Ledger>(
      std::make_shared<SqliteLedger>(std::move(*database), prefix.value_or("")));
}

}  // namespace kling::engine
