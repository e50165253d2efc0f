// One SQLite connection, for the ledger only: opened carefully, statements cached, failures in
// words. After a failure everything does nothing and reads nothing until begin(), so that a
// transaction reads as if nothing could fail and end() tells. Not thread-safe: the ledger's mutex
// guards it. Every call blocks on the disk.
#pragma once

#include <type_traits>
#include <unordered_map>

#include <sqlite3.h>

#include "base/descriptor.h"
#include "engine/ledger.h"

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
  /// An existing file, for reading only. The first read fails where it cannot be opened.
  static std::unique_ptr<Database> open_to_read(const std::string& path);
  /// Writes what the database `from` holds into the new file `to`. `from` is only read.
  static Status copy(const std::string& from, const std::string& to);
  ~Database();

  /// Forgets an earlier failure and starts a transaction, in which what is read stays as it is: one
  /// that writes takes the lock at once.
  void begin(bool write);
  /// Commits, or undoes everything when something failed.
  Status end();
  /// Waits until all that was committed before is on the disk: one thread sees to it for those that
  /// come meanwhile. Unlike the rest, for any thread, and not under the ledger's mutex, so that
  /// others read and write while the disk is at work.
  Status sync();
  /// Makes room for the answer's record, or fails: a full disk says so before a request is sent.
  void reserve();
  /// Undoes what is open: where an exception has left before the end.
  void undo() noexcept;
  void fail(Error error);
  bool ok() const { return !error_; }

  /// Runs SQL without rows; returns how many rows it changed.
  template <class... Values>
  int run(const std::string& sql, const Values&... values);
  /// The first column of the first row; nothing without a row and after a failure.
  template <class Value, class... Values>
  std::optional<Value> read(const std::string& sql, const Values&... values);
  std::int64_t last_id() const { return sqlite3_last_insert_rowid(handle_); }
  /// The file, absolute; empty for ":memory:".
  const std::string& file() const { return file_; }
  std::string title() const { return "the ledger " + (file_.empty() ? "in memory" : file_); }

 private:
  friend class Query;
  /// Fails in a forked child whose parent had one.
  Database(std::string file, int busy_timeout);
  void connect();
  void choose_journal(bool wal);
  sqlite3_stmt* prepare(const std::string& sql);
  /// Why the connection's last call failed, as a person should read it.
  Error failure() const;

  std::string file_;
  int busy_timeout_;
  bool open_ = false;  // a transaction is
  sqlite3* handle_ = nullptr;
  std::unordered_map<std::string, sqlite3_stmt*> statements_;
  std::optional<Error> error_;

  Descriptor log_;  // the write-ahead log; none: each commit is on the disk when it ends
  std::mutex sync_mutex_;
  std::condition_variable synced_;
  std::uint64_t asked_ = 0, reached_ = 0;  // calls of sync(), and those that the disk has reached
  bool syncing_ = false;
  int sync_failure_ = 0;  // for good: what was not written may be lost without another word
};

/// One run of a cached statement. REQUIRES: no other Query of the same SQL is alive.
class Query : NotCopied {
 public:
  template <class... Values>
  Query(Database& database, const std::string& sql, const Values&... values)
      : database_(database), statement_(database.prepare(sql)) {
    (bind(values), ...);
  }
  ~Query();

  /// Steps to the next row; false at the end and after a failure.
  bool next();
  /// Reads the row's columns, from the first on.
  template <class Value>
  Query& operator>>(Value& value) {
    const int column = column_++;
    if constexpr (std::is_same_v<Value, std::string>) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
      value.assign(text == nullptr ? "" : text,
                   std::size_t(sqlite3_column_bytes(statement_, column)));
    } else if constexpr (std::is_integral_v<Value>) {
      value = static_cast<Value>(sqlite3_column_int64(statement_, column));
    } else {  // double, or an optional of it
      value = {};
      if (sqlite3_column_type(statement_, column) != SQLITE_NULL)
        value = sqlite3_column_double(statement_, column);
    }
    return *this;
  }

 private:
  template <class Value>
  void bind(const Value& value) {
    if (statement_ == nullptr) return;
    ++bound_;
    if constexpr (std::is_integral_v<Value>) {
      check(sqlite3_bind_int64(statement_, bound_, value));
    } else if constexpr (std::is_convertible_v<Value, std::string_view>) {
      const std::string_view text = value;
      // A null pointer would be bound as NULL, which no column of text allows.
      check(sqlite3_bind_text64(statement_, bound_, text.data() == nullptr ? "" : text.data(),
                                text.size(), SQLITE_TRANSIENT, SQLITE_UTF8));
    } else if (const std::optional<double> number = value) {  // else it stays NULL
      check(sqlite3_bind_double(statement_, bound_, *number));
    }
  }
  void check(int code) {
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE)
      database_.fail(database_.failure());
  }

  Database& database_;
  sqlite3_stmt* statement_;  // null after a failure
  int bound_ = 0;
  int column_ = 0;
};

template <class... Values>
int Database::run(const std::string& sql, const Values&... values) {
  Query query(*this, sql, values...);
  while (query.next()) continue;
  return ok() ? sqlite3_changes(handle_) : 0;
}

template <class Value, class... Values>
std::optional<Value> Database::read(const std::string& sql, const Values&... values) {
  std::optional<Value> value;
  if (Query query(*this, sql, values...); query.next()) query >> value.emplace();
  return value;
}

/// Brings the database to the present schema, making it when it is empty, and checks its pages.
/// Errors (kind ledger): damaged, of a newer kling, or of another program.
Status prepare_schema(Database& database);

}  // namespace kling::engine
