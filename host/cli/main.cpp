// The program `kling`. The crash suite links the rest with another one (tests/crash/trace.cpp).

#include <fcntl.h>
#include <malloc.h>
#include <unistd.h>

#include "cli/command.h"

std::function<void(const char*, bool)> kling::cli::action_trace() { return nullptr; }

int main(int argc, char** argv) {
  // Else each worker's memory lies in a heap of its own, full of holes once ten thousand jobs have
  // been sent.
  ::mallopt(M_ARENA_MAX, 2);
  int code = kling::cli::run_program(argc, argv);
  // Where it is closed, nobody wanted to see it.
  const bool open = (::fcntl(STDOUT_FILENO, F_GETFL) & O_ACCMODE) != O_RDONLY;
  const bool written = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  if (open && !written && code == kling::cli::kExitDone) {
    kling::cli::tell("standard output could not be written whole",
                     "free space, or let the output go elsewhere");
    code = kling::cli::kExitError;
  }
  // Nothing is left to end, and the process's memory goes with it: taking OpenSSL apart would cost
  // an empty run as much as running it.
  std::fflush(nullptr);
  ::_exit(code);
}
