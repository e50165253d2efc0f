#include "base/process.h"

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/files.h"
#include "base/temp_folder.h"

using namespace kling;
using namespace std::chrono_literals;
using test::TempFolder;

namespace {

Result<ProcessOutput> shell(const std::string& script, ProcessLimits limits = {}) {
  return run_process({"sh", "-c", script}, limits);
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Waits for the end of a process that is nobody's child here; ends it where it does not come.
bool is_dead(pid_t process) {
  const std::string stat = "/proc/" + std::to_string(process) + "/stat";
  for (int i = 0; i < 100'000; ++i) {
    const auto state = read_file(stat, 1000);
    if (!state || has(*state, ") Z")) return true;  // or gone, where init has looked already
    std::this_thread::sleep_for(1ms);
  }
  ::kill(process, SIGKILL);
  return false;
}

}  // namespace

TEST_CASE("a process gives its output and messages and exit code") {
  const auto result = shell("echo out; echo err >&2; exit 7");
  REQUIRE(result.ok());
  CHECK(result->output == "out\n");
  CHECK(result->messages == "err\n");
  CHECK(result->exit_code == 7);
}

TEST_CASE("arguments reach the program untouched") {
  const auto result = run_process({"printf", "%s|", "a b", "$HOME", "-x", "", "\n;"});
  REQUIRE(result.ok());
  CHECK(result->output == "a b|$HOME|-x||\n;|");
  CHECK(!run_process({"printf", std::string("a\0b", 3)}));
  CHECK(!run_process({}));
}

TEST_CASE("standard input is empty and no descriptor of ours is inherited") {
  const int leak = ::open("/dev/null", O_RDONLY);  // without O_CLOEXEC
  REQUIRE(leak > 2);
  const auto result = shell("cat; ls /proc/self/fd | wc -l");
  ::close(leak);
  REQUIRE(result.ok());
  CHECK(result->output == "4\n");  // 0 to 2 and the folder that ls reads
}

TEST_CASE("a missing ffmpeg names the package to install") {
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const auto result = run_process({"ffprobe"});
  ::setenv("PATH", path.c_str(), 1);
  REQUIRE(!result);
  CHECK(result.error().kind == Kind::media);
  CHECK(has(result.error().message, "ffprobe was not found"));
  CHECK(has(result.error().hint, "apt-get install ffmpeg"));
  CHECK(run_process({"/etc/passwd"}).error().message ==
        "/etc/passwd cannot be started: Permission denied");
}

TEST_CASE("a process that runs too long is killed") {
  const auto result = shell("sleep 100000", {.time = 200ms});
  REQUIRE(!result);
  CHECK(has(result.error().message, "did not end within 200 ms"));
}

TEST_CASE("a process that is killed takes its children with it") {
  TempFolder folder;
  const auto result = shell("sleep 100000 & echo $! > '" + folder / "pid" + "'; yes",
                            {.time = 10min, .output_bytes = 10});
  REQUIRE(!result);
  const pid_t grandchild = std::stoi(read_file(folder / "pid", 100).value());
  CHECK(is_dead(grandchild));
}

TEST_CASE("a process that is cancelled or whose thread ends is killed") {
  std::atomic<bool> cancel = false;
  const auto result = run_process({"sh", "-c", "echo begun; sleep 100000"},
                                  {.time = 10min,
                                   .read = [&](std::string& told) { cancel = has(told, "begun"); },
                                   .cancel = &cancel});
  REQUIRE(!result);
  CHECK(result.error().kind == Kind::interrupted);

  // As when this process is killed: nobody is there to kill its children.
  TempFolder folder;
  const pid_t parent = ::fork();
  if (parent == 0) {
    (void)run_process({"sh", "-c", "echo $$ > '" + folder / "pid" + "'; exec sleep 100000"},
                      {.time = 10min});
    ::_exit(0);
  }
  std::string child;
  while (child.empty())
    child = read_file(folder / "pid", 100) ? *read_file(folder / "pid", 100) : "";
  ::kill(parent, SIGKILL);
  ::waitpid(parent, nullptr, 0);
  CHECK(is_dead(std::stoi(child)));
}

TEST_CASE("closed streams do not hide a process that runs on") {
  const auto result = shell("exec >&- 2>&-; sleep 100000", {.time = 100ms});
  REQUIRE(!result);
  CHECK(has(result.error().message, "did not end within 100 ms"));
}

TEST_CASE("a child of the child that keeps the streams open does not delay the end") {
  // The limit is only for the case that it does.
  const auto result = shell("setsid sleep 100000 & echo $!; exit 0", {.time = 1min});
  REQUIRE(result.ok());
  CHECK(::kill(std::stoi(result->output), SIGKILL) == 0);
}

TEST_CASE("a process that writes too much is stopped") {
  const auto result = shell("yes", {.output_bytes = 100'000});
  REQUIRE(!result);
  CHECK(has(result.error().message, "more than 100000 bytes"));
  CHECK(shell("head -c 100000 /dev/zero", {.output_bytes = 100'000})->output.size() == 100'000);
  CHECK(!shell("head -c 100001 /dev/zero", {.output_bytes = 100'000}));
}

TEST_CASE("only the tail of the messages is kept") {
  const auto result =
      shell("head -c 300000 /dev/zero | tr '\\0' a >&2; echo last >&2", {.message_bytes = 10});
  REQUIRE(result.ok());
  CHECK(result->messages == "aaaaalast\n");
}

TEST_CASE("a file larger than its limit ends the process however quick it is") {
  TempFolder folder;
  // A thread that stands back behind its children, on the same processor: what it did after the
  // start would come too late.
  std::thread([&] {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(::sched_getcpu(), &one);
    const sched_param none{};
    CHECK(::sched_setaffinity(0, sizeof one, &one) == 0);
    CHECK(::sched_setscheduler(0, SCHED_BATCH | SCHED_RESET_ON_FORK, &none) == 0);
    for (int round = 0; round < 20; ++round) {
      const auto result =
          run_process({"truncate", "-s", "2M", folder / "x"}, {.file_bytes = 1 << 20});
      CHECK_FALSE(result);
      if (!result) CHECK(has(result.error().message, "larger than its limit"));
      CHECK(std::filesystem::file_size(folder / "x") == 0);
    }
  }).join();
}

TEST_CASE("a limit that this process has itself is no reason not to start another") {
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit small{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &small);
    const auto result = run_process({"sh", "-c", "ulimit -f"});
    ::_exit(result.ok() && result->output == "2048\n" ? 0 : 1);  // blocks of 512 bytes
  }
  int status = 1;
  ::waitpid(child, &status, 0);
  CHECK(status == 0);
}

TEST_CASE("a signal that ends the process is an error") {
  const auto result = shell("kill -SEGV $$");
  REQUIRE(!result);
  CHECK(has(result.error().message, "signal 11"));
}

TEST_CASE("blocked and ignored signals of ours are not handed on") {
  sigset_t blocked, before;
  ::sigemptyset(&blocked);
  ::sigaddset(&blocked, SIGTERM);
  ::pthread_sigmask(SIG_BLOCK, &blocked, &before);
  const auto old_handler = std::signal(SIGPIPE, SIG_IGN);
  const auto result = run_process({"grep", "-E", "^Sig(Blk|Ign):", "/proc/self/status"});
  std::signal(SIGPIPE, old_handler);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  REQUIRE(result.ok());
  CHECK(has(result->output, "SigBlk:\t0000000000000000\n"));
  const auto ignored = std::stoull(result->output.substr(result->output.rfind('\t')), nullptr, 16);
  CHECK((ignored & (1ull << (SIGPIPE - 1))) == 0);  // glibc leaves two signals of its own ignored
}

TEST_CASE("many processes at once get their own output and leave no zombie") {
  std::vector<std::thread> threads;
  std::vector<std::string> outputs(16);
  for (std::size_t i = 0; i < outputs.size(); ++i)
    threads.emplace_back([&outputs, i] {
      const auto result = shell("head -c 200000 /dev/zero | wc -c; echo " + std::to_string(i));
      outputs[i] = result ? result->output : result.error().message;
    });
  for (std::thread& thread : threads) thread.join();
  for (std::size_t i = 0; i < outputs.size(); ++i)
    CHECK(outputs[i] == "200000\n" + std::to_string(i) + "\n");
  CHECK(::waitpid(-1, nullptr, WNOHANG) == -1);
  CHECK(errno == ECHILD);
}
