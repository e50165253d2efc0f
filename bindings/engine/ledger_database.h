// One SQLite connection, for the ledger only: opened carefully, statements cached, failures in
// words. After a failure everything does nothing and reads nothing until begin(), so that a
// transaction reads as if nothing could fail and end() tells. Not thread-safe: the ledger's mutex
// guards it. Every call blocks on the disk.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "engine/ledger.h"

struct sqlite3;
struct sqlite3_stmt;

namespace kling::engine {

inline constexpr const char* kDamagedHint =
    "restore a copy, or move it away with its -wal and -shm files; what it knew of paid jobs is "
    "then known to the service only";

Error ledger_error(std::string message, std::string hint);

class Database {
 public:
  /// Opens or makes the file with its folder and journal mode. Neither reads nor makes a schema.
  static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                const LedgerOptions& options);
  /// Writes what the database `from` holds into the new file `to`. `from` is only read.
  static Status copy(const std::string& from, const std::string& to);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Forgets an earlier failure and starts a transaction, in which what is read stays as it is: one
  /// that writes takes the lock at once.
  void begin(bool write);
  /// Commits, or undoes everything when something failed.
  Status end();
  /// Makes the transaction fail.
  void fail(Error error);
  bool ok() const { return !error_; }

  /// Runs SQL without rows; returns how many rows it changed.
  template <class... Values>
  int run(const std::string& sql, const Values&... values);
  std::int64_t last_id() const;
  /// The file, absolute; empty for ":memory:".
  const std::string& file() const { return file_; }
  /// For messages: "the ledger /path".
  std::string title() const { return "the ledger " + (file_.empty() ? "in memory" : file_); }

 private:
  friend class Query;
  Database(std::string file, int busy_timeout)
      : file_(std::move(file)), busy_timeout_(busy_timeout) {}
  void connect();
  void choose_journal(bool wal);
  sqlite3_stmt* prepare(const std::string& sql);
  int changes() const;
  /// Why the connection's last call failed, as a person should read it.
  Error failure() const;

  std::string file_;
  int busy_timeout_;
  bool open_ = false;  // a transaction is
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  std::optional<Error> error_;
};

/// One run of a cached statement. REQUIRES: no other Query of the same SQL is alive.
class Query {
 public:
  template <class... Values>
  Query(Database& database, const std::string& sql, const Values&... values)
      : database_(database), statement_(database.prepare(sql)) {
    (bind(values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  /// Steps to the next row; false at the end and after a failure.
  bool next();
  /// Reads the row's columns, from the first on.
  Query& operator>>(std::string& value);
  Query& operator>>(std::int64_t& value);
  Query& operator>>(int& value);
  Query& operator>>(bool& value);
  Query& operator>>(double& value);
  Query& operator>>(std::optional<double>& value);

 private:
  void bind(std::string_view value);
  void bind(std::int64_t value);
  void bind(const std::optional<double>& value);
  void bind(double value) { bind(std::optional<double>(value)); }
  void bind(const char* value) { bind(std::string_view(value)); }
  void bind(const std::string& value) { bind(std::string_view(value)); }
  void bind(int value) { bind(std::int64_t{value}); }
  void check(int code);

  Database& database_;
  sqlite3_stmt* statement_;  // null after a failure
  int bound_ = 0;
  int column_ = 0;
};

template <class... Values>
int Database::run(const std::string& sql, const Values&... values) {
  Query query(*this, sql, values...);
  while (query.next()) continue;
  return ok() ? changes() : 0;
}

}  // namespace kling::engine
