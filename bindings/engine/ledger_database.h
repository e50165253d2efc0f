// One SQLite connection, for the ledger only: opened carefully, statements cached, failures in
// words. Not thread-safe: the ledger's mutex guards it. Every call blocks on the disk.
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

Error ledger_error(std::string message, std::string hint);

class Database {
 public:
  /// Opens or makes the file with its folder and journal mode. Neither reads nor makes a schema.
  static Result<std::unique_ptr<Database>> open(const std::string& path,
                                                const LedgerOptions& options);
  ~Database();
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  /// Runs SQL without parameters or rows.
  Status run(const char* sql);
  /// Rows that the last statement changed.
  int changes() const;
  std::int64_t last_id() const;
  /// The file, absolute; empty for ":memory:".
  const std::string& file() const { return file_; }

 private:
  friend class Query;
  Database(std::string file, int busy_timeout)
      : file_(std::move(file)), busy_timeout_(busy_timeout) {}
  Status connect();
  Status choose_journal(bool allow_wal);
  sqlite3_stmt* prepare(const std::string& sql);
  /// The present failure of the connection, as a person should read it.
  Error failure() const;

  std::string file_;
  int busy_timeout_;
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
};

/// One run of a cached statement. REQUIRES: no other Query of the same SQL is alive.
class Query {
 public:
  template <class... Values>
  Query(Database& database, const std::string& sql, const Values&... values)
      : database_(database), statement_(database.prepare(sql)) {
    if (statement_ == nullptr) fail();
    (bind(values), ...);
  }
  ~Query();
  Query(const Query&) = delete;
  Query& operator=(const Query&) = delete;

  /// Steps to the next row; false at the end and after a failure.
  bool next();
  /// Runs to the end; for statements without rows, or after the last.
  Status finish();

  std::string text(int column) const;
  std::int64_t integer(int column) const;
  double number(int column) const;
  bool is_null(int column) const;

 private:
  void bind(std::string_view value);
  void bind(std::int64_t value);
  void bind(double value);
  void bind(const std::optional<double>& value);
  void bind(const char* value) { bind(std::string_view(value)); }
  void bind(const std::string& value) { bind(std::string_view(value)); }
  void bind(int value) { bind(std::int64_t{value}); }
  void fail();

  Database& database_;
  sqlite3_stmt* statement_;
  int bound_ = 0;
  std::optional<Error> error_;
};

/// A write transaction, from begin() to commit(); undone when it is destroyed before.
class Transaction {
 public:
  explicit Transaction(Database& database) : database_(database) {}
  ~Transaction() {
    if (open_) (void)database_.run("ROLLBACK");
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;

  /// Takes the write lock at once, so that what is read inside stays true until commit().
  Status begin() {
    Status status = database_.run("BEGIN IMMEDIATE");
    open_ = status.ok();
    return status;
  }
  Status commit() {
    Status status = database_.run("COMMIT");
    if (status) open_ = false;
    return status;
  }

 private:
  Database& database_;
  bool open_ = false;
};

}  // namespace kling::engine
