#include "engine/ledger_rows.h"

#include <algorithm>

#include <sys/stat.h>

#include "api/text.h"
#include "engine/job.h"

namespace kling::engine {
namespace {

// A job that was accepted so long ago and never looked at again holds no slot any more.
constexpr Millis kForgotten = 3'600'000;

constexpr std::string_view kStates[] = {"intended",  "sending", "accepted",
                                        "succeeded", "failed",  "ambiguous"};

StepState state_of(Database& database, const std::string& text) {
  const auto known = std::ranges::find(kStates, text);
  if (known != std::end(kStates)) return StepState(known - std::begin(kStates));
  database.fail(ledger_error(database.title() + " is damaged: a step has no state", kDamagedHint));
  return StepState::intended;
}

}  // namespace

const char* name(StepState state) { return kStates[static_cast<std::size_t>(state)].data(); }

const char* const kSelectSteps =
    "SELECT id, service, endpoint, digest, ordinal, address, attempt, external_id,"
    " own_external_id, task_path, nth, owner, task_id, target, script, summary, request, result,"
    " error, file, file_sha256, created_at, sent_at, accepted_at, finished_at, estimate_usd,"
    " cost_usd, run, took, abandoned, name,"
    " EXISTS (SELECT 1 FROM scripts WHERE name = steps.run AND runs > 0) AND NOT EXISTS"
    " (SELECT 1 FROM asks JOIN scripts ON scripts.name = asks.script"
    " WHERE step = steps.id AND (asks.run IN (0, runs) OR asks.run < -1)),"
    " state FROM steps WHERE ";

Step read_step(Database& database, Query& query) {
  Step row;
  std::string state;
  query >> row.id >> row.service >> row.endpoint >> row.digest >> row.ordinal >> row.address >>
      row.attempt >> row.external_id >> row.own_external_id >> row.task_path >> row.nth >>
      row.owner >> row.task_id >> row.target >> row.script >> row.summary >> row.request >>
      row.result >> row.error >> row.file >> row.file_sha256 >> row.created_at >> row.sent_at >>
      row.accepted_at >> row.finished_at >> row.estimate_usd >> row.cost_usd >> row.run >>
      row.took >> row.abandoned >> row.name >> row.superseded >> state;
  row.state = state_of(database, state);
  row.file = from_kept(database, row.file);
  return row;
}

std::string to_kept(const Database& database, const std::string& file) {
  std::error_code code;
  const fs::path below = fs::relative(file, fs::path(database.file()).parent_path(), code);
  const bool outside = code || below.empty() || *below.begin() == ".." || database.file().empty();
  return outside ? file : below.string();
}

std::string from_kept(const Database& database, const std::string& kept) {
  return kept.empty() ? "" : (fs::path(database.file()).parent_path() / kept).string();
}

int count_open(Database& database, const Step& row, Millis now, Owner& owner) {
  int open = 0;
  for (Query query(
           database,
           "SELECT CASE state WHEN 'sending' THEN owner ELSE ? END AS sender, COUNT(*)"
           " FROM steps WHERE service = ? AND id <> ? AND (state = 'sending' AND sent_at > ?"
           " OR state = 'accepted' AND accepted_at > ?) GROUP BY sender",
           owner.id(), row.service, row.id, now - kForgotten, now - kForgotten);
       query.next();) {
    std::string sender;
    int count = 0;
    query >> sender >> count;
    // Of a process that died nobody knows whether it runs; a refusal (1303) would tell.
    if (sender == owner.id() || owner.lives(database, sender)) open += count;
  }
  return open;
}

Usage count_spent(Database& database, const Step& row, const std::string& owner) {
  Usage usage;
  Query spent(database,
              "SELECT COUNT(*), COALESCE(SUM(COALESCE(cost_usd, estimate_usd)), 0.0)"
              " FROM steps WHERE id <> ? AND run = ? AND (run <> '' OR owner = ?)"
              " AND (state IN ('sending', 'accepted', 'succeeded', 'ambiguous')"
              " OR abandoned = 1 AND task_id <> '')",
              row.id, row.run, owner);
  if (spent.next()) spent >> usage.jobs >> usage.usd;
  return usage;
}

std::vector<Attempt> attempts_of(Database& database, const Step& wanted, const Asking& asking) {
  std::vector<Attempt> rows;
  std::string state, error;
  for (Query query(
           database,
           "SELECT id, ordinal, abandoned, replaced, task_path = ? AND nth = ?, state,"
           // A time-out that the script went on after is told again, with what came of the job.
           " (SELECT 2 * COUNT(*) + COALESCE(MAX(kept OR timeouts > 0), 0)"
           " FROM asks WHERE step = steps.id AND asks.script = ?),"
           " CASE state WHEN 'failed' THEN error ELSE '' END,"
           // One that is to be made anew is of nobody else before it may be there. CASE, as it
           // reads every ask of the script.
           " CASE WHEN ordinal > 0 AND state IN ('intended', 'sending') THEN EXISTS (SELECT 1"
           " FROM asks WHERE asks.script = steps.run AND asks.run = -2 - steps.id) ELSE 0 END"
           " FROM steps"
           " WHERE service = ? AND digest = ? ORDER BY ordinal, attempt",
           wanted.task_path, asking.nth, asking.script, wanted.service, wanted.digest);
       query.next();) {
    Attempt& row = rows.emplace_back();
    int asks = 0;
    bool hidden = false;
    query >> row.id >> row.ordinal >> row.abandoned >> row.replaced >> row.exact >> state >> asks >>
        error >> hidden;
    if (hidden && std::ranges::find(asking.story, row.id) == asking.story.end()) {
      rows.pop_back();
      continue;
    }
    row.state = state_of(database, state);
    row.recorded = asks / 2;
    row.kept = row.state == StepState::failed && asks % 2 != 0 &&
               is_kept(error_from_json(api::parse_json(error)).kind);
  }
  return rows;
}

std::int64_t old_answers(Database& database, Millis before, bool forget) {
  // Not the bodies of "refused: …": one may be the only trace of a paid task.
  const std::string old =
      " WHERE what IN ('accepted', 'succeeded', 'failed') AND step IN (SELECT id FROM steps"
      " WHERE state IN ('succeeded', 'failed') AND finished_at > 0 AND finished_at < ?)";
  const auto bytes = database.read<std::int64_t>(
      "SELECT COALESCE(SUM(LENGTH(CAST(body AS BLOB))), 0) FROM journal" + old, before);
  if (forget) database.run("UPDATE journal SET body = ''" + old, before);
  return bytes.value_or(0);
}

std::string read_seed(const std::string& path, const std::string& run) {
  struct stat facts {};
  if (path == ":memory:" || ::stat(path.c_str(), &facts) != 0) return "";
  return Database::open_to_read(path)
      ->read<std::string>("SELECT seed FROM scripts WHERE name = ?", run)
      .value_or("");
}

Result<std::vector<Step>> copy_ledger(const std::string& path, const std::string& copy) {
  std::vector<Step> rows;
  struct stat facts {};
  if (path == ":memory:" || ::stat(path.c_str(), &facts) != 0) return rows;
  if (Status copied = Database::copy(path, copy); !copied) return copied.error();
  auto database = Database::open(copy, {});
  if (!database) return database.error();
  if (Status ready = prepare_schema(**database); !ready) return ready.error();
  (*database)->begin(true);
  rows = read_steps(**database, "id > 0 ORDER BY id");
  (*database)->run(
      "UPDATE steps SET state = 'failed', owner = '', task_id = '', file = ''"
      " WHERE state <> 'failed'");
  if (Status ended = (*database)->end(); !ended) return ended.error();
  return rows;
}

bool note_position(Database& db, const Step& wanted, const Asking& asking) {
  const auto before = db.read<std::string>(
      "SELECT digest FROM positions WHERE script_name = ? AND task_path = ? AND sequence = ?",
      wanted.run, wanted.task_path, asking.sequence);
  if (before == wanted.digest) return false;
  db.run(
      "INSERT INTO positions (script_name, task_path, sequence, digest) VALUES (?, ?, ?, ?)"
      " ON CONFLICT (script_name, task_path, sequence) DO UPDATE SET digest = excluded.digest",
      wanted.run, wanted.task_path, asking.sequence, wanted.digest);
  return before.has_value();
}

void note_ask(Database& db, const Step& wanted, const Asking& asking, std::int64_t row, bool taken,
              std::int64_t run) {
  if (taken)
    db.run(
        "DELETE FROM asks WHERE script = ? AND digest = ? AND step IN (SELECT other.id FROM steps"
        " JOIN steps other USING (service, digest, ordinal) WHERE steps.id = ?)",
        asking.script, wanted.digest, row);
  db.run(
      "INSERT INTO asks (script, task_path, digest, nth, step, run) VALUES (?, ?, ?, ?, ?, ?)"
      " ON CONFLICT (script, task_path, digest, nth) DO UPDATE SET step = excluded.step,"
      " kept = 0, timeouts = 0, run = CASE excluded.run WHEN 0 THEN run ELSE excluded.run END",
      asking.script, wanted.task_path, wanted.digest, asking.nth, row, run);
}

std::int64_t note_moved(Database& db, const Step& wanted, const Asking& asking) {
  const Choice found = choose(attempts_of(db, wanted, asking), 0, asking);
  if (found.id == 0 || found.follows != 0) return 0;
  note_ask(db, wanted, asking, found.id);
  return found.id;
}

bool has_left(Database& db, Owner& owner, std::int64_t& made, bool wanted) {
  const auto rows = read_steps(db, "id = ? AND state <> 'failed'", made);
  if (!rows.empty() && rows[0].state != StepState::intended)
    return count_anew(db, made, "accepted"), true;
  if (!rows.empty() && (wanted || owner.lives(db, rows[0].owner))) return false;
  db.run(
      "DELETE FROM journal WHERE step = (SELECT id FROM steps WHERE id = ? AND state = 'intended')",
      made);
  db.run("DELETE FROM steps WHERE id = ? AND state = 'intended'", made);
  made = 0;
  return false;
}

void count_anew(Database& db, std::int64_t made, std::string_view what) {
  const bool there = what == "accepted" || what == "succeeded" || what == "ambiguous";
  if (!there && what != "failed" && what != "abandoned") return;
  const auto before = db.read<std::int64_t>(
      "SELECT CAST(body AS INTEGER) FROM journal WHERE step = ? AND what = ?", made, kAnew);
  if (before) db.run("UPDATE steps SET replaced = ? WHERE id = ?", there, *before);
  // Whether a failure is kept says nothing of one that goes on, and all of what comes back.
  if (before && there)
    db.run("UPDATE asks SET step = ?, timeouts = 0, run = ? WHERE step = ? AND run = ?", made,
           kMadeAnew, *before, kMadeAnew - made);
  else if (before)
    db.run("UPDATE asks SET step = ?, timeouts = 0, run = 0 WHERE step = ?", *before, made);
}

void keep(Database& db, const std::vector<Caught>& caught) {
  // An ask that has moved on to another attempt says nothing of this one any more.
  for (const Caught& one : caught)
    db.run(
        "INSERT INTO asks (kept, timeouts, script, task_path, digest, nth, step)"
        " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE ?3 <> ''"
        " ON CONFLICT (script, task_path, digest, nth) DO UPDATE SET kept = MAX(kept, ?1),"
        " timeouts = MAX(timeouts, ?2), step = ?7 WHERE (kept < ?1 OR timeouts < ?2)"
        // One that was to be made again and failed has given its ask back.
        " AND (step = ?7 OR ?1 AND step = (SELECT CAST(body AS INTEGER) FROM journal"
        " WHERE step = ?7 AND what = ?8))",
        one.failed, one.timeouts, one.ask->script, one.ask->task_path, one.ask->digest,
        one.ask->nth, one.ask->row, kAnew);
}

Error refused(const Step& row, const std::string& what) {
  Error error =
      ledger_error("step " + std::to_string(row.id) + " cannot become \"" + what + "\": it is " +
                       name(row.state) + ", attempt " + std::to_string(row.attempt),
                   "another process acted on it; try again to see what it did");
  error.job = to_string(Handle{row.endpoint, row.task_id, row.external_id});
  return error;
}

std::optional<Error> check_own_id(Database& database, Owner& owner, const Step& step) {
  if (!step.own_external_id) return std::nullopt;
  const auto others =
      read_steps(database, "external_id = ? AND service = ? AND NOT (digest = ? AND ordinal = ?)",
                 step.external_id, step.service, step.digest, step.ordinal);
  for (const Step& other : others) {
    const bool held = other.owner == owner.id() || owner.lives(database, other.owner);
    const bool unsent = other.state == StepState::intended && other.sent_at == 0 && !held;
    const bool refused = other.state == StepState::failed && other.task_id.empty();
    if (unsent || (refused && !other.abandoned)) continue;
    const std::string handle = to_string(Handle{other.endpoint, other.task_id, other.external_id});
    return Error{.message = "external_task_id \"" + step.external_id + "\" of " + step.script +
                            " is that of another request, at " + other.script + " (" + handle + ")",
                 .hint = "give each request an id of its own, or none"};
  }
  return std::nullopt;
}

Question keep_question(Database& database, const Question& asked, bool again) {
  const std::string choices = api::to_text(asked.choices);
  const int known = database.run(
      "UPDATE questions SET choices = ?, place = ?, answer = CASE WHEN ? THEN 0 ELSE max(answer, "
      "0) END"
      " WHERE script = ? AND digest = ?",
      choices, asked.where, again, asked.run, asked.digest);
  if (known == 0)
    database.run(
        "INSERT INTO questions (script, digest, kind, question, choices, place)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        asked.run, asked.digest, asked.kind, asked.text, choices, asked.where);
  auto rows = read_questions(database, "script = ? AND digest = ?", asked.run, asked.digest);
  return rows.empty() ? asked : std::move(rows.front());
}

void keep_derived(Database& database, std::string_view sha256, std::string_view origin) {
  database.run("INSERT OR IGNORE INTO derived (sha256, origin) VALUES (?, ?)", sha256, origin);
}

void withdraw_questions(Database& database, std::string_view script,
                        const std::set<std::string>& asked) {
  for (const Question& open : read_questions(database, "script = ? AND answer = 0", script))
    if (!asked.contains(open.digest))
      database.run("UPDATE questions SET answer = -1 WHERE id = ?", open.id);
}

void keep_answer(Database& database, std::int64_t question, std::int64_t choice, Millis now,
                 bool change) {
  const auto rows = read_questions(database, "id = ?", question);
  const std::string id = std::to_string(question);
  if (rows.empty()) return database.fail({.message = "there is no question " + id});
  const Question& row = rows.front();
  if (choice < 1 || choice > answers(row))
    return database.fail({.message = "the answer to question " + id + " is 1 to " +
                                     std::to_string(answers(row)) + ", not " +
                                     std::to_string(choice)});
  if (row.answer != 0 && !change)
    return database.fail(
        {.message = "question " + id + " is answered already: " + choice_text(row, row.answer)});
  database.run("UPDATE questions SET answer = ?, at = ? WHERE id = ?", choice, now, question);
}

std::vector<std::pair<std::int64_t, std::string>> read_askers(Database& database) {
  std::vector<std::pair<std::int64_t, std::string>> askers;
  for (Query query(database,
                   "SELECT DISTINCT step, script FROM asks LEFT JOIN scripts ON name = script"
                   " WHERE asks.run IN (0, coalesce(runs, 0)) OR asks.run < -1");
       query.next();) {
    auto& [row, run] = askers.emplace_back();
    query >> row >> run;
  }
  return askers;
}

std::vector<Film> read_films(Database& database) {
  std::vector<Film> films;
  Query query(database, "SELECT path, script, at FROM films ORDER BY at");
  while (query.next()) {
    Film& film = films.emplace_back();
    query >> film.path >> film.run >> film.at;
    film.path = from_kept(database, film.path);
  }
  return films;
}

// ---- Who may act on an open step ----

Owner::Owner(const std::string& ledger)
    : folder_([&]() -> std::string {
        std::error_code code;
        const auto file = std::filesystem::canonical(ledger, code);
        return ledger.empty() ? "" : (code ? ledger : file.string()) + ".owners";
      }()) {}

Owner::~Owner() {
  if (lock_) ::unlink(lock_path(id_).c_str());
}

void Owner::enter(Database& database) {
  if (folder_.empty()) return;
  if (!lock_) {
    ::mkdir(folder_.c_str(), 0700);  // a failure shows in the lock
    lock_ = take_lock(database, id_);
    std::vector<std::string> others;
    for (Query query(database, "SELECT id FROM owners"); query.next();)
      query >> others.emplace_back();
    for (const std::string& other : others)
      if (!lives(database, other)) database.run("DELETE FROM owners WHERE id = ?", other);
  }
  char host[256] = "";
  (void)::gethostname(host, sizeof host - 1);
  // Each time, as the transaction of the first time may have failed.
  database.run("INSERT INTO owners (id, pid, host) VALUES (?, ?, ?) ON CONFLICT (id) DO NOTHING",
               id_, int(::getpid()), host);
}

bool Owner::lives(Database& database, const std::string& owner) {
  // Only names that we make: the ledger's content must not lead to other paths.
  const bool named_by_us = owner.size() == id_.size() &&
                           owner.find_first_not_of("0123456789abcdef") == std::string::npos;
  if (!named_by_us || folder_.empty()) return false;
  if (owner == id_ || !take_lock(database, owner)) return true;
  ::unlink(lock_path(owner).c_str());
  return false;
}

/// None when another holder has it, and after a failure.
UnsharedDescriptor Owner::take_lock(Database& database, const std::string& owner) {
  auto lock = try_lock(lock_path(owner));
  if (lock) return std::move(*lock);
  database.fail(ledger_error(lock.error().message, lock.error().hint.empty()
                                                       ? "locks must work where the ledger is"
                                                       : lock.error().hint));
  return {};
}

}  // namespace kling::engine
