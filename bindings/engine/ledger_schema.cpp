#include "engine/ledger_schema.h"

#include <vector>

#include "base/digest.h"

namespace kling::engine {
namespace {

/// Entry n leads from version n to n + 1. Never change one that was released: append.
/// AUTOINCREMENT, as an id is remembered by running programs and must not come back.
const std::vector<std::vector<const char*>>& migrations() {
  static const std::vector<std::vector<const char*>> list = {{
      "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
      "CREATE TABLE owners (id TEXT PRIMARY KEY, pid INTEGER NOT NULL, host TEXT NOT NULL)",
      "CREATE TABLE steps (id INTEGER PRIMARY KEY AUTOINCREMENT, service TEXT NOT NULL,"
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
      " estimate_usd REAL NOT NULL, cost_usd REAL, UNIQUE (service, digest, ordinal))",
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
      "PRAGMA application_id = 1802268263",  // "klng": tells a ledger from any other database
  }};
  return list;
}

Result<std::int64_t> read_number(Database& database, const char* sql) {
  Query query(database, sql);
  const std::int64_t value = query.next() ? query.integer(0) : 0;
  if (Status status = query.finish(); !status) return status.error();
  return value;
}

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
Result<std::int64_t> read_version(Database& database) {
  const auto version = read_number(database, "PRAGMA user_version");
  const auto program = read_number(database, "PRAGMA application_id");
  const auto tables = read_number(database, "SELECT COUNT(*) FROM sqlite_master");
  for (const auto* value : {&version, &program, &tables})
    if (!*value) return value->error();
  const std::string& file = database.file();
  if (*tables > 0 && *program != 1802268263)
    return ledger_error(file + " is a database of another program",
                        "name another file for the ledger");
  const auto newest = std::int64_t(migrations().size());
  if (*version > newest)
    return ledger_error("the ledger " + file + " was written by a newer kling (schema " +
                            std::to_string(*version) + ", this one knows " +
                            std::to_string(newest) + ")",
                        "update kling, or name another ledger");
  if (*version < 0 || (*version == 0) != (*tables == 0))
    return ledger_error("the ledger " + file + " is damaged: its schema and version disagree",
                        "restore a copy, or move it away");
  return *version;
}

Status migrate(Database& database) {
  Transaction transaction(database);
  if (Status begun = transaction.begin(); !begun) return begun;
  const auto version = read_version(database);  // again: another process may have been first
  if (!version) return version.error();
  for (auto i = std::size_t(*version); i < migrations().size(); ++i)
    for (const char* sql : migrations()[i])
      if (Status status = database.run(sql); !status) return status;
  const std::string mark = "PRAGMA user_version = " + std::to_string(migrations().size());
  if (Status status = database.run(mark.c_str()); !status) return status;
  Status named = Query(database,
                       "INSERT INTO meta (name, value) VALUES ('prefix', ?)"
                       " ON CONFLICT (name) DO NOTHING",
                       random_prefix())
                     .finish();
  return named ? transaction.commit() : named;
}

}  // namespace

Status prepare_schema(Database& database) {
  const auto version = read_version(database);
  if (!version) return version.error();
  if (*version < std::int64_t(migrations().size())) return migrate(database);
  // A damaged page must be found before anything is paid, not when the task id is to be written.
  Query check(database, "PRAGMA quick_check(1)");
  const std::string verdict = check.next() ? check.text(0) : "";
  if (Status status = check.finish(); !status) return status;
  if (verdict != "ok")
    return ledger_error("the ledger " + database.file() + " is damaged: " + verdict,
                        "restore a copy, or move it away with its -wal and -shm files; what it "
                        "knew of paid jobs is then known to the service only");
  return Done{};
}

}  // namespace kling::engine
