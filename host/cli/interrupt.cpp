#include "cli/interrupt.h"

#include <atomic>
#include <thread>

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "cli/command.h"

namespace kling::cli {
namespace {

std::atomic<int> g_signals{0};

}  // namespace

void Interrupt::install(std::function<void()> wake) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::thread([signals, wake = std::move(wake)] {
    for (;;) {
      int signal = 0;
      if (sigwait(&signals, &signal) != 0) continue;
      if (++g_signals > 1) ::_exit(kExitInterrupted);
      wake();
    }
  }).detach();
}

bool Interrupt::requested() { return g_signals > 0; }

}  // namespace kling::cli
