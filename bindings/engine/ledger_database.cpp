#include "engine/ledger_database.h"

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <thread>

#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/descriptor.h"
#include "base/files.h"

namespace kling::engine {
namespace {

constexpr const char* kElsewhere = "check the rights of file and folder, or name another ledger";

/// File systems on which several machines, or a server behind the kernel's back, may change the
/// file: WAL needs memory shared by all who write, so it is not for them.
bool is_network_file_system(const std::string& path) {
  struct statfs info {};
  if (::statfs(path.c_str(), &info) != 0) return false;
  switch (static_cast<std::uint32_t>(info.f_type)) {
    case 0x6969:      // NFS
    case 0x517b:      // SMB
    case 0xff534d42:  // CIFS
    case 0xfe534d42:  // SMB2
    case 0x65735546:  // FUSE
    case 0x01021997:  // 9p
    case 0x786f4256:  // VirtualBox shared folder
    case 0x00c36400:  // Ceph
    case 0x0bd00bd0:  // Lustre
    case 0x47504653:  // GPFS
    case 0x01161970:  // GFS2
    case 0x7461636f:  // OCFS2
    case 0x5346414f:  // AFS
    case 0x73757245:  // Coda
      return true;
    default:
      return false;
  }
}

/// Makes the file, readable only by its owner, with its folder. An existing file is not opened
/// here: closing it again would drop the locks that SQLite holds on it elsewhere in this process.
Status make_file(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (Status made = make_folders(folder.parent_path().string()); !made)
    return ledger_error(made.error().message, kElsewhere);
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST)
    return ledger_error(
        "cannot make the ledger's folder " + folder.string() + ": " + system_message(errno),
        kElsewhere);
  const Descriptor made(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno != EEXIST)
    return ledger_error(
        "cannot make the ledger " + file + ": " + system_message(errno),
        errno == ENOSPC || errno == EDQUOT ? "free space and run again" : kElsewhere);
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return ledger_error("the ledger " + file + " is not a file", "name a file, or \":memory:\"");
  return Done{};
}

}  // namespace

Error ledger_error(std::string message, std::string hint) {
  Error error;
  error.kind = Kind::ledger;
  error.message = std::move(message);
  error.hint = std::move(hint);
  return error;
}

Result<std::unique_ptr<Database>> Database::open(const std::string& path,
                                                 const LedgerOptions& options) {
  std::string file;
  if (path != ":memory:") {
    std::error_code code;
    file = std::filesystem::absolute(path, code).lexically_normal().string();
    if (path.empty() || code || path.find('\0') != std::string::npos)
      return ledger_error("the ledger needs a path", "name a file, or \":memory:\"");
    if (Status made = make_file(file); !made) return made.error();
  }
  std::unique_ptr<Database> database(new Database(file, options.busy_timeout));
  Status status = database->connect();
  if (status && !file.empty())
    status = database->choose_journal(options.allow_wal && !is_network_file_system(file));
  if (!status) return status.error();
  return database;
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Status Database::connect() {
  const char* name = file_.empty() ? ":memory:" : file_.c_str();
  if (sqlite3_open_v2(name, &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      SQLITE_OK)
    return failure();
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, busy_timeout_);
  // The file may have been damaged or made by somebody else.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  if (sqlite3_db_readonly(handle_, "main") == 1)
    return ledger_error("the ledger " + file_ + " cannot be written", kElsewhere);
  return run("PRAGMA cell_size_check = ON");
}

Status Database::choose_journal(bool allow_wal) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(busy_timeout_);
  const char* mode = allow_wal ? "PRAGMA journal_mode = WAL" : "PRAGMA journal_mode = TRUNCATE";
  while (true) {
    Query query(*this, mode);
    const bool answered = query.next();
    if (answered && query.text(0) == (allow_wal ? "wal" : "truncate")) break;
    Status status = query.finish();
    // SQLite does not wait by itself when two processes change the mode of a new file at once.
    const bool busy = (sqlite3_errcode(handle_) & 0xff) == SQLITE_BUSY;
    if (!status && (!busy || std::chrono::steady_clock::now() >= deadline)) return status.error();
    if (status && allow_wal) return choose_journal(false);
    if (status)
      return ledger_error("the ledger " + file_ + " has a journal that this file system forbids",
                          "move it to a local disk");
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return run("PRAGMA synchronous = FULL");
}

Status Database::run(const char* sql) { return Query(*this, sql).finish(); }

int Database::changes() const { return sqlite3_changes(handle_); }

std::int64_t Database::last_id() const { return sqlite3_last_insert_rowid(handle_); }

sqlite3_stmt* Database::prepare(const std::string& sql) {
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr)
    sqlite3_prepare_v3(handle_, sql.c_str(), int(sql.size()), SQLITE_PREPARE_PERSISTENT, &statement,
                       nullptr);
  return statement;
}

Error Database::failure() const {
  const std::string ledger = "the ledger " + (file_.empty() ? "in memory" : file_);
  const int reason = handle_ == nullptr ? 0 : sqlite3_system_errno(handle_);
  const int code = handle_ == nullptr ? SQLITE_NOMEM : sqlite3_errcode(handle_) & 0xff;
  const bool refused_by_disk = code == SQLITE_IOERR || code == SQLITE_CANTOPEN;
  if (code == SQLITE_FULL ||
      (refused_by_disk && (reason == ENOSPC || reason == EDQUOT || reason == EFBIG)))
    return ledger_error(ledger + " cannot grow: the disk or quota is full",
                        "free space and run again; nothing was lost");
  if (refused_by_disk)
    return ledger_error(ledger + " cannot be read or written: " +
                            (reason != 0 ? system_message(reason) : sqlite3_errmsg(handle_)),
                        kElsewhere);
  switch (code) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: {
      Error error = ledger_error(
          ledger + " was locked by another process for " + std::to_string(busy_timeout_) + " ms",
          "end the program that holds it, then run again");
      error.retryable = true;
      return error;
    }
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ledger_error(ledger + " cannot be written", kElsewhere);
    case SQLITE_NOTADB:
      return ledger_error(file_ + " is not a ledger", "name another file, or move this one away");
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:  // the code never breaks its own constraints: the file does
    case SQLITE_MISMATCH:
    case SQLITE_ERROR:
      return ledger_error(ledger + " is damaged: " + sqlite3_errmsg(handle_),
                          "restore a copy, or move it away with its -wal and -shm files; what it "
                          "knew of paid jobs is then known to the service only");
    default:
      return ledger_error(
          ledger + " failed: " + (handle_ == nullptr ? "no memory" : sqlite3_errmsg(handle_)),
          "run again");
  }
}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Query::fail() {
  if (!error_) error_ = database_.failure();
}

bool Query::next() {
  if (error_) return false;
  const int code = sqlite3_step(statement_);
  if (code != SQLITE_ROW && code != SQLITE_DONE) fail();
  return code == SQLITE_ROW;
}

Status Query::finish() {
  while (next()) continue;
  if (error_) return *error_;
  return Done{};
}

std::string Query::text(int column) const {
  const unsigned char* data = sqlite3_column_text(statement_, column);
  if (data == nullptr) return {};
  return std::string(reinterpret_cast<const char*>(data),
                     std::size_t(sqlite3_column_bytes(statement_, column)));
}

std::int64_t Query::integer(int column) const { return sqlite3_column_int64(statement_, column); }
double Query::number(int column) const { return sqlite3_column_double(statement_, column); }
bool Query::is_null(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

void Query::bind(std::string_view value) {
  // A null pointer would be bound as NULL, which no column of text allows.
  const char* data = value.data() == nullptr ? "" : value.data();
  if (!error_ && sqlite3_bind_text64(statement_, ++bound_, data, value.size(), SQLITE_TRANSIENT,
                                     SQLITE_UTF8) != SQLITE_OK)
    fail();
}

void Query::bind(std::int64_t value) {
  if (!error_ && sqlite3_bind_int64(statement_, ++bound_, value) != SQLITE_OK) fail();
}

void Query::bind(double value) {
  if (!error_ && sqlite3_bind_double(statement_, ++bound_, value) != SQLITE_OK) fail();
}

void Query::bind(const std::optional<double>& value) {
  if (value) return bind(*value);
  if (!error_ && sqlite3_bind_null(statement_, ++bound_) != SQLITE_OK) fail();
}

}  // namespace kling::engine
