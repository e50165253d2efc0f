#include "cli/safe_run.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "api/text.h"
#include "base/digest.h"
#include "base/files.h"
#include "engine/media/ffmpeg.h"

namespace kling::cli {
namespace {

constexpr std::int64_t kGraceMicros = 1'000'000;

void set_limit(int resource, rlim_t most) {
  rlimit limit{};
  if (::getrlimit(__rlimit_resource(resource), &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max = std::min(limit.rlim_max, most);
  (void)::setrlimit(__rlimit_resource(resource), &limit);
}

/// Threads of this user, in all processes: what the kernel counts as processes.
rlim_t threads_of_user() {
  rlim_t count = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator("/proc", error)) {
    struct stat threads {};
    if (::stat((entry.path() / "task").c_str(), &threads) == 0 && threads.st_uid == ::getuid())
      count += threads.st_nlink - 2;
  }
  return count;
}

/// Beside the script's memory: libraries, the engine's threads, and ffmpeg, which inherits this.
void set_limits([[maybe_unused]] std::size_t memory, double wall) {
#ifndef __SANITIZE_ADDRESS__
  set_limit(RLIMIT_AS, memory + (rlim_t{4} << 30));
#endif
  // Of the whole process, whose threads also poll and upload for hours.
  set_limit(RLIMIT_CPU, static_cast<rlim_t>(std::min(wall, 1e6)) + 3600);
  set_limit(RLIMIT_FSIZE, rlim_t{4} << 30);
  set_limit(RLIMIT_NOFILE, 1024);
  set_limit(RLIMIT_NPROC, threads_of_user() + 4096);  // the user may start other programs meanwhile
  set_limit(RLIMIT_CORE, 0);                          // a core would hold the key
}

// ---- Landlock: the kernel opens nothing else, whatever we overlook ----

constexpr std::uint64_t kRead =
    LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR;
constexpr std::uint64_t kNewLinks = LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_MAKE_SOCK |
                                    LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_CHAR |
                                    LANDLOCK_ACCESS_FS_MAKE_BLOCK;
constexpr std::uint64_t kWrite = LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                                 LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |
                                 LANDLOCK_ACCESS_FS_MAKE_DIR | kNewLinks;

void allow(int rules, const std::string& path, std::uint64_t access) {
  const int place = ::open(path.c_str(), O_PATH | O_CLOEXEC);
  if (place < 0) return;
  std::error_code error;
  if (!fs::is_directory(path, error))
    access &=
        LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE;
  landlock_path_beneath_attr rule{access, place};
  (void)::syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
  ::close(place);
}

/// Where the kernel has no Landlock, the checks of the engine stand alone (docs/safe.md).
void lock_files(const std::vector<std::string>& written) {
  landlock_ruleset_attr handled{};
  handled.handled_access_fs = kRead | kWrite;
  const int rules = int(::syscall(SYS_landlock_create_ruleset, &handled, sizeof handled, 0));
  if (rules < 0) return;
  // The system's programs, libraries, certificates, fonts and name service; not home, not /proc.
  for (const char* path : {"/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/run",
                           "/var/cache/fontconfig", "/sys/devices/system/cpu", "/dev/urandom"})
    allow(rules, path, kRead);
  allow(rules, "/dev/null", kRead | LANDLOCK_ACCESS_FS_WRITE_FILE);
  for (const char* name : {"SSL_CERT_FILE", "SSL_CERT_DIR"})
    if (const char* path = std::getenv(name)) allow(rules, path, kRead);
  for (const std::string& path : written) allow(rules, path, (kRead | kWrite) & ~kNewLinks);
  (void)::syscall(SYS_landlock_restrict_self, rules, 0);
  ::close(rules);
}

/// A number such as 65536, 64M or 1.5G, with "B", "i" or "iB" behind it or without.
CLI::Validator counted(double step) {
  const auto read = [step](std::string& text) {
    char* end = nullptr;
    double number = std::strtod(text.c_str(), &end);
    std::string unit = api::lower(api::bare(end));
    for (const char last : {'b', 'i'})
      if (unit.ends_with(last)) unit.pop_back();
    for (const std::string letter : {"", "k", "m", "g", "t"}) {
      if (end != text.c_str() && number >= 0 && number < 1e18 && unit == letter)
        return text = std::to_string(std::uint64_t(number)), std::string();
      number *= step;
    }
    return text + " is no number such as 65536, 64M or 1.5G";
  };
  return {read, ""};
}

}  // namespace

void SafeRun::add_options(CLI::App& app) {
  app.add_option("--profile", profile_, "full, or safe for a script that is not trusted")
      ->check(CLI::IsMember({"full", "safe"}));
  // The options are read in this order, wherever they stand: a limit that limits nothing is told.
  const CLI::Validator safe(
      [this](const std::string&) { return on() ? "" : "takes effect with --profile safe only"; },
      "");
  const auto limit = [&](const char* name, auto& value, const std::string& doc) {
    return app.add_option(name, value, "safe: " + doc)->check(safe);
  };
  limit("--root", roots_, "a folder the script may read and write; may be repeated")
      ->allow_extra_args(false);
  limit("--allow-host", hosts_, "HOST[:PORT] that clips may come from; may be repeated")
      ->allow_extra_args(false);
  limit("--memory", memory_, "bytes the script may use, such as 64M")
      ->transform(counted(1024))
      ->check(number_in(1 << 20, 0x1p40));
  limit("--instructions", instructions_, "instructions the script may run, such as 50M")
      ->transform(counted(1000));
  limit("--wall", wall_, "seconds the script may run, waits not counted")
      ->check(number_in(0.001, 1e6));
}

bool SafeRun::watched(const std::function<bool()>& run) const {
  if (seen_ == nullptr) return run();
  const std::int64_t since = steady_us();
  seen_->since_us = since;
  const bool result = run();
  seen_->since_us = 0;
  seen_->ran_us += steady_us() - since;
  return result;
}

lua::Limits SafeRun::limits() const {
  return {.memory_bytes = memory_,
          .instructions = instructions_,
          .wall_ms = std::max<std::int64_t>(1, std::int64_t(wall_ * 1000))};
}

void SafeRun::confine(engine::EngineOptions& engine) const {
  engine.confinement = {.on = true, .roots = roots_, .hosts = hosts_};
  std::error_code error;
  for (std::string* path : {&engine.ledger_path, &engine.store_folder})
    if (!path->empty() && *path != ":memory:") *path = fs::absolute(*path, error).string();
  std::vector<std::string> written;
  const auto add = [&](const fs::path& folder) {
    fs::create_directories(folder, error);  // a rule needs a place that exists
    written.push_back(folder.string());
  };
  for (const std::string& root : roots_) add(root);
  if (engine.ledger_path != ":memory:") add(fs::path(engine.ledger_path).parent_path());
  if (!engine.store_folder.empty()) add(engine.store_folder);
  if (engine.ledger_path == ":memory:") {  // clips would go to a folder of their own in /tmp
    std::string folder = (fs::temp_directory_path(error) / "kling-safe-XXXXXX").string();
    if (engine.store_folder.empty() && ::mkdtemp(folder.data()) != nullptr)
      engine.store_folder = folder, add(folder);
  }
  (void)random_hex(1);  // what is loaded on first need has to be there before the files are locked
  set_limits(memory_, wall_);
  (void)::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  (void)::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);  // nobody else's process may look into this one
  lock_files(written);
}

int SafeRun::in_child(const Voice& voice, const std::function<int()>& body) {
  void* shared =
      ::mmap(nullptr, sizeof(Seen), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) return voice.fail({.message = "not enough memory"});
  seen_ = new (shared) Seen();
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return voice.fail({.message = "no process can be started"});
  if (child == 0) {
    // A group of its own, so that Ctrl-C comes once: from the parent, which is told by the
    // terminal.
    (void)::setpgid(0, 0);
    (void)::prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
    if (::getppid() != parent) ::_exit(kExitInterrupted);
    const int code = body();
    std::fflush(nullptr);
    engine::media::drop_parts();
    ::_exit(code);
  }
  static pid_t told;
  told = child;
  for (const int signal : {SIGINT, SIGTERM, SIGHUP})
    std::signal(signal, [](int number) { ::kill(told, number); });

  int status = 0;
  bool killed = false;
  for (;;) {
    const pid_t ended = ::waitpid(child, &status, WNOHANG);
    if (ended == child || (ended < 0 && errno != EINTR)) break;
    const std::int64_t since = seen_->since_us, ran = seen_->ran_us + steady_us() - since;
    if (!killed && since != 0 && ran > std::int64_t(wall_ * 1e6) + kGraceMicros) {
      killed = true;
      ::kill(child, SIGKILL);
    }
    ::usleep(5'000);
  }
  if (WIFEXITED(status)) return WEXITSTATUS(status);
  return voice.fail(
      {.message =
           killed ? "the script ran longer than it may and could only be killed"
                  : "the script's process was ended by signal " + std::to_string(WTERMSIG(status)),
       .hint = "What was sent is in the ledger: run the same command again to go on with it."});
}

}  // namespace kling::cli
