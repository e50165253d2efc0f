#include "engine/ledger_database.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <thread>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/files.h"

namespace kling::engine {
namespace {

constexpr const char* kElsewhere = "check the rights of file and folder, or name another ledger";

/// File systems that other machines, or a server behind the kernel's back, may change too: WAL
/// needs memory shared by all who write. NFS SMB CIFS SMB2 FUSE 9p vboxsf Ceph Lustre GPFS GFS2
/// OCFS2 AFS Coda.
constexpr std::array<std::uint32_t, 14> kNetworkFileSystems{
    0x6969,     0x517b,     0xff534d42, 0xfe534d42, 0x65735546, 0x01021997, 0x786f4256,
    0x00c36400, 0x0bd00bd0, 0x47504653, 0x01161970, 0x7461636f, 0x5346414f, 0x73757245};

bool is_on_network(const std::string& file) {
  struct statfs info {};
  return ::statfs(file.c_str(), &info) == 0 &&
         std::ranges::count(kNetworkFileSystems, static_cast<std::uint32_t>(info.f_type)) > 0;
}

/// Makes the file, readable only by its owner, with its folder. An existing file is not opened
/// here: closing it again would drop the locks that SQLite holds on it elsewhere in this process.
Status make_file(const std::string& file) {
  const std::filesystem::path folder = std::filesystem::path(file).parent_path();
  if (Status made = make_folders(folder.parent_path().string()); !made)
    return ledger_error(made.error().message, kElsewhere);
  Descriptor made;
  if (::mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST)
    made = Descriptor(::open(file.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!made && errno != EEXIST)
    return ledger_error("cannot make the ledger " + file + ": " + system_message(errno),
                        system_hint(errno, kElsewhere));
  struct stat info {};
  if (::stat(file.c_str(), &info) == 0 && !S_ISREG(info.st_mode))
    return ledger_error("the ledger " + file + " is not a file", "name a file, or \":memory:\"");
  // Log and locks lie beside a name: by another one all that is on its way would be paid again.
  if (info.st_nlink > 1)
    return ledger_error(
        "the ledger " + file + " has a second name (a hard link)",
        "give it a file of its own: copy it (cp) and put the copy in its place (mv)");
  return Done{};
}

// SQLite's locks come along into a forked child as they were, held by threads that it has not.
std::atomic<int> databases{0};
std::atomic<pid_t> their_process{0};

}  // namespace

Error ledger_error(std::string message, std::string hint) {
  return {.kind = Kind::ledger, .message = std::move(message), .hint = std::move(hint)};
}

Database::Database(std::string file, int busy_timeout)
    : file_(std::move(file)), busy_timeout_(busy_timeout) {
  if (databases == 0) their_process = ::getpid();  // before others may see that there is one
  ++databases;
  if (their_process != ::getpid())
    fail(ledger_error("a forked child cannot open a ledger where its parent had one open",
                      "start a new process (exec), or fork before the first request"));
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
  database->connect();
  if (!file.empty()) database->choose_journal(options.allow_wal && !is_on_network(file));
  // Of the log, sync() does what FULL would do within each commit.
  database->run("PRAGMA synchronous = " + std::string(database->log_ ? "NORMAL" : "FULL"));
  if (!database->ok()) return *database->error_;
  return database;
}

std::unique_ptr<Database> Database::open_to_read(const std::string& path) {
  std::error_code code;
  std::unique_ptr<Database> source(
      new Database(std::filesystem::absolute(path, code).lexically_normal().string(), 5000));
  if (!source->ok()) return source;
  if (sqlite3_open_v2(source->file_.c_str(), &source->handle_,
                      SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr) == SQLITE_OK) {
    sqlite3_busy_timeout(source->handle_, source->busy_timeout_);
  } else {
    source->fail(source->failure());
  }
  return source;
}

Status Database::copy(const std::string& from, const std::string& to) {
  const auto source = open_to_read(from);
  source->run("VACUUM INTO ?", to);
  if (source->error_) return *source->error_;
  return Done{};
}

Database::~Database() {
  for (auto& [sql, statement] : statements_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
  --databases;
}

void Database::connect() {
  if (!ok()) return;
  const char* name = file_.empty() ? ":memory:" : file_.c_str();
  if (sqlite3_open_v2(name, &handle_, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr) !=
      SQLITE_OK)
    return fail(failure());
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, busy_timeout_);
  // The file may have been damaged or made by somebody else.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  run("PRAGMA cell_size_check = ON");
  run("PRAGMA cache_size = -512");  // KB: what is not in it, the system has
  if (sqlite3_db_readonly(handle_, "main") == 1)
    fail(ledger_error(title() + " cannot be written", kElsewhere));
}

void Database::choose_journal(bool wal) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(busy_timeout_);
  while (ok()) {
    const std::string mode = wal ? "wal" : "truncate";
    if (read<std::string>("PRAGMA journal_mode = " + mode) == mode) {
      read<int>("SELECT COUNT(*) FROM sqlite_master");  // the log is made by the first who reads
      if (wal) log_ = Descriptor(::open((file_ + "-wal").c_str(), O_RDWR | O_CLOEXEC));
      return;
    }
    if (error_ && error_->retryable && std::chrono::steady_clock::now() < deadline) {
      // SQLite does not wait by itself when two processes change the mode of a new file at once.
      error_.reset();
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    } else if (ok() && !wal) {
      fail(ledger_error(title() + " has a journal that this file system forbids",
                        "move it to a local disk"));
    } else {
      wal = false;
    }
  }
}

void Database::begin(bool write) {
  error_.reset();
  run(write ? "BEGIN IMMEDIATE" : "BEGIN");
  open_ = ok();
}

Status Database::end() {
  if (open_ && ok()) {
    run("COMMIT");
    open_ = !ok();
  }
  if (ok()) return Done{};
  undo();
  return *error_;
}

Status Database::sync() {
  std::unique_lock lock(sync_mutex_);
  for (const std::uint64_t mine = ++asked_; log_ && reached_ < mine && sync_failure_ == 0;) {
    if (syncing_) {
      synced_.wait(lock);
      continue;
    }
    syncing_ = true;
    const std::uint64_t now = asked_;
    lock.unlock();
    const int failure = ::fdatasync(log_.get()) == 0 ? 0 : errno;
    lock.lock();
    syncing_ = false;
    reached_ = now;
    sync_failure_ = failure;
    synced_.notify_all();
  }
  if (sync_failure_ == 0) return Done{};
  return ledger_error(title() + " cannot be written: " + system_message(sync_failure_),
                      "see to the disk and try again; nothing was lost");
}

void Database::reserve() {
  constexpr off_t kRoom = 1 << 20;
  struct stat info {};
  if (!ok() || !log_ || ::fstat(log_.get(), &info) != 0 ||
      info.st_blocks * 512 >= info.st_size + kRoom / 2 ||
      ::fallocate(log_.get(), FALLOC_FL_KEEP_SIZE, info.st_size, kRoom) == 0)
    return;
  if (errno == ENOSPC || errno == EDQUOT)  // else the file system knows no such thing
    fail(ledger_error(title() + " cannot grow: the disk is full",
                      "free some megabytes and try again; this request was not sent"));
}

void Database::undo() noexcept {
  if (std::exchange(open_, false)) sqlite3_exec(handle_, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Database::fail(Error error) {
  if (!error_) error_ = std::move(error);
}

sqlite3_stmt* Database::prepare(const std::string& sql) {
  if (!ok()) return nullptr;
  sqlite3_stmt*& statement = statements_[sql];
  if (statement == nullptr &&
      sqlite3_prepare_v3(handle_, sql.c_str(), int(sql.size()), SQLITE_PREPARE_PERSISTENT,
                         &statement, nullptr) != SQLITE_OK)
    fail(failure());
  return statement;
}

Error Database::failure() const {
  if (handle_ == nullptr) return ledger_error("no memory for " + title(), "try again");
  const std::string words = sqlite3_errmsg(handle_);
  const int extended = sqlite3_extended_errcode(handle_);
  const std::string elsewhere = system_hint(sqlite3_system_errno(handle_), kElsewhere);
  switch (extended & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: {
      Error error = ledger_error(
          title() + " was locked by another process for " + std::to_string(busy_timeout_) + " ms",
          "end the program that holds it, then try again");
      error.retryable = true;
      return error;
    }
    case SQLITE_FULL:
    case SQLITE_IOERR:
      if (extended == SQLITE_FULL || extended == SQLITE_IOERR_WRITE ||
          extended == SQLITE_IOERR_SHMSIZE)
        return ledger_error(title() + " cannot be written: the disk, a quota or ulimit -f is full",
                            "free space or raise the limit, and try again; nothing was lost");
      return ledger_error(title() + " cannot be read or written: " + words, elsewhere);
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return ledger_error(title() + " cannot be opened for writing: " + words, elsewhere);
    case SQLITE_NOTADB:
      return ledger_error(file_ + " is not a ledger", "name another file, or move this one away");
    case SQLITE_CORRUPT:
    case SQLITE_CONSTRAINT:  // the code never breaks its own constraints: the file does
    case SQLITE_MISMATCH:
    case SQLITE_ERROR: return ledger_error(title() + " is damaged: " + words, kDamagedHint);
    default: return ledger_error(title() + " failed: " + words, "try again");
  }
}

Query::~Query() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

bool Query::next() {
  if (statement_ == nullptr || !database_.ok()) return false;
  const int code = sqlite3_step(statement_);
  check(code);
  column_ = 0;
  return code == SQLITE_ROW;
}

std::string ledger_library_version() { return std::string("SQLite ") + sqlite3_libversion(); }

}  // namespace kling::engine
