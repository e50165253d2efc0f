// The program kling as the crash suite links it: it writes each point before and after an action of
// the job machine to the file KLING_CRASH_LOG, and kills itself at the point KLING_CRASH_AT.
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cli/command.h"

namespace kling::cli {

std::function<void(const char* action, bool done)> action_trace() {
  const char* at = std::getenv("KLING_CRASH_AT");
  const char* log = std::getenv("KLING_CRASH_LOG");
  const int fatal = at != nullptr ? std::atoi(at) : 0;
  const int file = log != nullptr ? ::open(log, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
  return [fatal, file](const char* action, bool done) {
    static std::atomic<int> point{0};
    const std::string line = std::string(done ? "after " : "before ") + action + "\n";
    const int number = ++point;
    if (file >= 0 && ::write(file, line.data(), line.size()) < 0) std::abort();
    if (number == fatal) ::kill(::getpid(), SIGKILL);
  };
}

}  // namespace kling::cli

int main(int argc, char** argv) { return kling::cli::run_program(argc, argv); }
