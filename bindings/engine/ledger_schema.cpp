#include "base/digest.h"
#include "engine/ledger_database.h"

namespace kling::engine {
namespace {

using Migration = std::vector<std::string>;

/// Of the table of steps, from the first version on.
const auto& kStepColumns = *new std::string(
    "id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, digest TEXT NOT NULL, ordinal INTEGER NOT NULL,"
    " address TEXT NOT NULL, attempt INTEGER NOT NULL, external_id TEXT NOT NULL,"
    " own_external_id INTEGER NOT NULL, task_path TEXT NOT NULL, nth INTEGER NOT NULL,"
    " state TEXT NOT NULL CHECK (state IN"
    " ('intended', 'sending', 'accepted', 'succeeded', 'failed', 'ambiguous')),"
    " owner TEXT NOT NULL, task_id TEXT NOT NULL DEFAULT '', target TEXT NOT NULL,"
    " script TEXT NOT NULL, summary TEXT NOT NULL, request TEXT NOT NULL,"
    " result TEXT NOT NULL DEFAULT '', error TEXT NOT NULL DEFAULT '',"
    " file TEXT NOT NULL DEFAULT '', file_sha256 TEXT NOT NULL DEFAULT '',"
    " created_at INTEGER NOT NULL, sent_at INTEGER NOT NULL DEFAULT 0,"
    " accepted_at INTEGER NOT NULL DEFAULT 0, finished_at INTEGER NOT NULL DEFAULT 0,"
    " estimate_usd REAL NOT NULL, cost_usd REAL");

/// Entry n leads from version n to n + 1. Never change one that was released: append.
/// AUTOINCREMENT, as an id is remembered by running programs and must not come back.
const auto& kMigrations = *new std::vector<Migration>{
    {
        "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
        "CREATE TABLE owners (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL)",
        "CREATE TABLE steps (" + kStepColumns + ", UNIQUE (service, digest, ordinal))",
        "CREATE INDEX steps_task ON steps (task_id)",
        "CREATE INDEX steps_external ON steps (external_id)",
        "CREATE TABLE journal (id INTEGER PRIMARY KEY, step INTEGER NOT NULL, at INTEGER NOT NULL,"
        " what TEXT NOT NULL, body TEXT NOT NULL)",
        "CREATE INDEX journal_step ON journal (step)",
        "CREATE TABLE positions (script_name TEXT NOT NULL, task_path TEXT NOT NULL,"
        " sequence INTEGER NOT NULL, digest TEXT NOT NULL,"
        " PRIMARY KEY (script_name, task_path, sequence))",
        "CREATE TABLE lookups (service TEXT NOT NULL, endpoint TEXT NOT NULL,"
        " works INTEGER NOT NULL, PRIMARY KEY (service, endpoint))",
        "CREATE TABLE derived (sha256 TEXT PRIMARY KEY, origin TEXT NOT NULL)",
    },
    {
        // Budget and slots count rows: whose script they belong to, and which are open.
        "ALTER TABLE steps ADD COLUMN run TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE steps ADD COLUMN took INTEGER NOT NULL DEFAULT 0",
        "CREATE INDEX steps_run ON steps (run)",
        "CREATE INDEX steps_state ON steps (state)",
    },
    {
        // A row is an attempt. What each ask of a script got, so that the next run gets the same.
        "CREATE TABLE attempts (" + kStepColumns +
            ", run TEXT NOT NULL DEFAULT '', took INTEGER NOT NULL DEFAULT 0,"
            " abandoned INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL DEFAULT '',"
            " UNIQUE (service, digest, ordinal, attempt))",
        "INSERT INTO attempts SELECT id, service, endpoint, digest, ordinal, address, attempt,"
        " external_id, own_external_id, task_path, nth, state, owner, task_id, target, script,"
        " summary, request, result, error, file, file_sha256, created_at, sent_at, accepted_at,"
        " finished_at, estimate_usd, cost_usd, run, took, 0, '' FROM steps",
        "DROP TABLE steps",
        "ALTER TABLE attempts RENAME TO steps",
        "CREATE INDEX steps_task ON steps (task_id)",
        "CREATE INDEX steps_external ON steps (external_id)",
        "CREATE INDEX steps_run ON steps (run)",
        "CREATE INDEX steps_state ON steps (state)",
        "CREATE TABLE asks (script TEXT NOT NULL, task_path TEXT NOT NULL, digest TEXT NOT NULL,"
        " nth INTEGER NOT NULL, step INTEGER NOT NULL, timeouts INTEGER NOT NULL DEFAULT 0,"
        " kept INTEGER NOT NULL DEFAULT 0, run INTEGER NOT NULL DEFAULT 0,"
        " PRIMARY KEY (script, task_path, digest, nth))",
        "CREATE INDEX asks_step ON asks (step)",
        "CREATE TABLE scripts (name TEXT PRIMARY KEY, seed TEXT NOT NULL DEFAULT '',"
        " runs INTEGER NOT NULL DEFAULT 0)",
        "ALTER TABLE lookups ADD COLUMN learnt_at INTEGER NOT NULL DEFAULT 0",
    },
    {
        "CREATE TABLE questions (id INTEGER PRIMARY KEY AUTOINCREMENT, script TEXT NOT NULL,"
        " digest TEXT NOT NULL, kind TEXT NOT NULL, question TEXT NOT NULL,"
        " choices TEXT NOT NULL, place TEXT NOT NULL, answer INTEGER NOT NULL DEFAULT 0,"
        " at INTEGER NOT NULL DEFAULT 0, UNIQUE (script, digest))",
        "CREATE TABLE films (path TEXT PRIMARY KEY, script TEXT NOT NULL, at INTEGER NOT NULL)",
    },
    {
        // Another was made in its place on a person's word, also for scripts that come later.
        "ALTER TABLE steps ADD COLUMN replaced INTEGER NOT NULL DEFAULT 0",
        "UPDATE steps SET replaced = 1 WHERE id IN (SELECT CAST(body AS INTEGER) FROM journal"
        " JOIN steps made ON made.id = step WHERE what = 'made again'"
        " AND made.state IN ('accepted', 'succeeded', 'ambiguous'))",
    }};

constexpr std::int64_t kApplication = 0x6b6c6e67;  // "klng": tells a ledger from other databases

/// 8 characters of 36: ledgers are many (each machine of a build farm makes its own), and an
/// external id must be unique in the whole account.
std::string random_prefix() {
  const std::string hex = random_hex(8);
  std::string prefix;
  for (std::size_t i = 0; i < hex.size(); i += 2)
    prefix += "0123456789abcdefghijklmnopqrstuvwxyz"[std::stoi(hex.substr(i, 2), nullptr, 16) % 36];
  return prefix;
}

/// The schema's version; 0 for an empty file.
std::int64_t read_version(Database& database) {
  const auto number = [&](const char* sql) { return database.read<std::int64_t>(sql).value_or(0); };
  const std::int64_t version = number("PRAGMA user_version");
  const std::int64_t application = number("PRAGMA application_id");
  const std::int64_t tables = number("SELECT COUNT(*) FROM sqlite_master");
  const auto newest = std::int64_t(kMigrations.size());
  if (tables > 0 && application != kApplication)
    database.fail(ledger_error(database.file() + " is a database of another program",
                               "name another file for the ledger"));
  if (version > newest)
    database.fail(ledger_error(database.title() + " was written by a newer kling (schema " +
                                   std::to_string(version) + ", this one knows " +
                                   std::to_string(newest) + ")",
                               "update kling, or name another ledger"));
  if (version < 0 || (version == 0) != (tables == 0))
    database.fail(
        ledger_error(database.title() + " is damaged: schema and version disagree", kDamagedHint));
  return version;
}

Status migrate(Database& database) {
  database.begin(true);
  const auto version = std::size_t(read_version(database));  // another process may have been first
  for (std::size_t i = version; database.ok() && i < kMigrations.size(); ++i)
    for (const std::string& sql : kMigrations[i]) database.run(sql);
  database.run("INSERT INTO meta (name, value) VALUES ('prefix', ?) ON CONFLICT (name) DO NOTHING",
               random_prefix());
  database.run("PRAGMA application_id = " + std::to_string(kApplication));
  database.run("PRAGMA user_version = " + std::to_string(kMigrations.size()));
  return database.end();
}

}  // namespace

Status prepare_schema(Database& database) {
  database.begin(false);
  const std::int64_t version = read_version(database);
  if (database.ok() && version < std::int64_t(kMigrations.size())) {
    if (Status read = database.end(); !read) return read;
    return migrate(database);
  }
  // A damaged page must be found before anything is paid, not when the task id is to be written.
  const auto verdict = database.read<std::string>("PRAGMA quick_check(1)").value_or("");
  if (verdict != "ok")
    database.fail(ledger_error(database.title() + " is damaged: " + verdict, kDamagedHint));
  return database.end();
}

}  // namespace kling::engine
