// The program `kling`. The crash suite links the rest with another one (tests/crash/trace.cpp).
#include <cstdio>

#include <malloc.h>
#include <unistd.h>

#include "cli/command.h"

std::function<void(const char*, bool)> kling::cli::action_trace() { return nullptr; }

int main(int argc, char** argv) {
  // Else each worker's memory lies in a heap of its own, full of holes once ten thousand jobs have
  // been sent.
  ::mallopt(M_ARENA_MAX, 2);
  const int code = kling::cli::run_program(argc, argv);
  // Nothing is left to end, and the process's memory goes with it: taking OpenSSL apart would cost
  // an empty run as much as running it.
  std::fflush(nullptr);
  ::_exit(code);
}
