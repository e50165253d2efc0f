#include "base/process.h"

#include <algorithm>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/files.h"

namespace kling {
namespace {

using std::chrono::milliseconds;

/// Where a child tells why its program cannot start; 0 to 2 are its streams.
constexpr int kFailure = 3;

struct Pipe {
  Descriptor read;   ///< non-blocking
  Descriptor write;  ///< above what the child overwrites
};

bool open_pipe(Pipe& pipe) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  pipe.read = Descriptor(ends[0]);
  pipe.write = Descriptor(ends[1]);
  if (ends[1] <= kFailure) pipe.write = Descriptor(::fcntl(ends[1], F_DUPFD_CLOEXEC, kFailure + 1));
  return pipe.write && ::fcntl(pipe.read.get(), F_SETFL, O_NONBLOCK) == 0;
}

/// Between vfork and the program: the child's streams on the pipes, a process group of its own, no
/// signal ignored or blocked, no other descriptor of ours, its limit. It shares this process's
/// memory, so nothing here takes or changes any.
[[noreturn]] void become(char* const* argv, const Pipe& output, const Pipe& messages,
                         const Pipe& failure, rlim_t file_bytes) {
  struct sigaction normal {};
  for (int signal = 1; signal < NSIG; ++signal) ::sigaction(signal, &normal, nullptr);
  rlimit file_size{};
  ::getrlimit(RLIMIT_FSIZE, &file_size);
  file_size = {std::min(file_size.rlim_cur, file_bytes), std::min(file_size.rlim_max, file_bytes)};
  sigset_t none;
  ::sigemptyset(&none);
  ::dup3(failure.write.get(), kFailure, O_CLOEXEC);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // of the thread that waits: nobody else wants the result
  const int input = ::open("/dev/null", O_RDONLY);
  if (input >= 0 && ::dup2(input, 0) >= 0 && ::dup2(output.write.get(), 1) >= 0 &&
      ::dup2(messages.write.get(), 2) >= 0 && ::setpgid(0, 0) == 0 &&
      ::setrlimit(RLIMIT_FSIZE, &file_size) == 0 &&
      ::sigprocmask(SIG_SETMASK, &none, nullptr) == 0) {
    ::closefrom(kFailure + 1);
    ::execvp(argv[0], argv);
  }
  const int error = errno;
  ::_exit(::write(kFailure, &error, sizeof error) > 0 ? 127 : 126);
}

/// Starts the program as posix_spawn does, which has no place for a limit: one that is set after
/// the start comes too late for a quick program. Returns an errno value.
int start(const std::vector<std::string>& argv, const Pipe& output, const Pipe& messages,
          rlim_t file_bytes, pid_t& child) {
  std::vector<char*> arguments;
  arguments.reserve(argv.size() + 1);
  for (const std::string& argument : argv) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  Pipe failure;  // closed by the start of the program
  if (!open_pipe(failure)) return errno;

  sigset_t all, before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);  // no handler of ours runs in the child
  child = ::vfork();  // NOLINT(clang-analyzer-security.insecureAPI.vfork): fork copies a big host
  if (child == 0) become(arguments.data(), output, messages, failure, file_bytes);
  int error = child < 0 ? errno : 0;
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  failure.write.reset();
  pollfd told{failure.read.get(), POLLIN, 0};
  while (child > 0 && ::poll(&told, 1, -1) < 0) {
  }
  if (child > 0 && ::read(failure.read.get(), &error, sizeof error) > 0)
    ::waitpid(child, nullptr, 0);
  return error;
}

/// Appends what the pipe holds now; closes it at its end.
void drain(Descriptor& pipe, std::string& text) {
  char piece[16 << 10];
  while (pipe) {
    const ssize_t size = ::read(pipe.get(), piece, sizeof piece);
    if (size > 0) text.append(piece, std::size_t(size));
    if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR)) pipe.reset();
    if (size < 0 && errno == EAGAIN) return;
    if (text.size() > (64u << 10) && size > 0) return;  // let the caller look at its limits
  }
}

void keep_tail(std::string& text, std::size_t size) {
  if (text.size() > size) text.erase(0, text.size() - size);
}

Error process_error(const std::string& program, const std::string& what, std::string hint = "") {
  return {.kind = Kind::media, .message = program + " " + what, .hint = std::move(hint)};
}

std::string spoken(milliseconds time) {
  const bool seconds = time.count() % 1000 == 0;
  return std::to_string(time.count() / (seconds ? 1000 : 1)) + (seconds ? " s" : " ms");
}

Error start_error(const std::string& program, int error_number) {
  if (error_number != ENOENT)
    return process_error(program, "cannot be started: " + system_message(error_number),
                         system_hint(error_number));
  const bool ffmpeg = program.ends_with("ffmpeg") || program.ends_with("ffprobe");
  return process_error(program,
                       program.find('/') == program.npos ? "was not found on PATH" : "is not there",
                       ffmpeg ? "install ffmpeg: apt-get install ffmpeg" : "");
}

}  // namespace

Result<ProcessOutput> run_process(const std::vector<std::string>& argv,
                                  const ProcessLimits& limits) {
  if (argv.empty() || argv[0].empty()) return process_error("a process", "needs a program to run");
  const std::string& program = argv[0];
  for (const std::string& argument : argv)
    if (argument.find('\0') != std::string::npos)
      return process_error(program, "cannot be given an argument with a zero byte");

  Pipe output, messages;
  if (!open_pipe(output) || !open_pipe(messages)) return start_error(program, errno);
  pid_t child = -1;
  if (int error = start(argv, output, messages, limits.file_bytes, child))
    return start_error(program, error);
  output.write.reset();
  messages.write.reset();

  const auto deadline = Steady::now() + std::min<milliseconds>(limits.time, std::chrono::hours(24));
  ProcessOutput result;
  const auto too_much = [&] { return result.output.size() > limits.output_bytes; };
  const auto cancelled = [&] { return limits.cancel != nullptr && *limits.cancel; };
  bool too_late = false;
  siginfo_t ended{};
  while (true) {
    drain(output.read, result.output);
    if (limits.read) limits.read(result.output);
    drain(messages.read, result.messages);
    keep_tail(result.messages, limits.message_bytes);
    too_late = Steady::now() >= deadline;
    if (too_late || too_much() || cancelled()) break;
    // Not reaped yet, so that the number cannot have become another process's before the kill.
    const int waited = ::waitid(P_PID, id_t(child), &ended, WEXITED | WNOHANG | WNOWAIT);
    if (waited != 0 && errno != EINTR)
      return process_error(program, "ended, but this process ignores SIGCHLD");
    if (ended.si_pid == child) break;

    // Without open pipes the end is near, but nothing wakes us; with them a child of the child
    // may hold them open longer than the child lives.
    pollfd pipes[2] = {{output.read.get(), POLLIN, 0}, {messages.read.get(), POLLIN, 0}};
    const auto left = std::chrono::ceil<milliseconds>(deadline - Steady::now()).count();
    const long slice = output.read || messages.read ? 50 : 1;
    ::poll(pipes, 2, int(std::clamp<long>(left, 0, slice)));
  }

  ::kill(-child, SIGKILL);  // also what it started and left behind
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  for (int piece = 0; piece < 64; ++piece) {  // a pipe holds at most 64 of drain's pieces
    drain(output.read, result.output);
    drain(messages.read, result.messages);
  }
  keep_tail(result.messages, limits.message_bytes);
  if (cancelled())
    return Error{.kind = Kind::interrupted, .message = program + " was stopped: the program ends"};
  if (too_late)
    return process_error(program, "did not end within " + spoken(limits.time) + " and was stopped",
                         "try it by hand: " + program + " -version");
  if (too_much())
    return process_error(program, "wrote more than " + std::to_string(limits.output_bytes) +
                                      " bytes of output and was stopped");
  if (WIFSIGNALED(status)) {
    if (WTERMSIG(status) == SIGXFSZ)
      return process_error(
          program, "wanted to write a file larger than its limit",
          "see ulimit -f; ours is " + std::to_string(limits.file_bytes) + " bytes");
    return process_error(program, "was ended by signal " + std::to_string(WTERMSIG(status)));
  }
  result.exit_code = WEXITSTATUS(status);
  return result;
}

}  // namespace kling
