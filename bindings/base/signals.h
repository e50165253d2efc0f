// Keeps signals away from a thread for a scope, or makes them bytes on a descriptor. Never blocks.
#pragma once

#include <csignal>
#include <ctime>
#include <initializer_list>

#include "base/descriptor.h"

namespace kling {

/// All of them: threads started within inherit that, so that the program's own threads get its
/// signals.
class SignalBlock : NotCopied {
 public:
  SignalBlock() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

/// Only SIGPIPE, which cpp-httplib and OpenSSL raise when a peer has gone; one that came meanwhile
/// is dropped, so that a library user's process is neither killed nor told.
class PipeSignalBlock : NotCopied {
 public:
  PipeSignalBlock() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~PipeSignalBlock() {
    if (sigismember(&before_, SIGPIPE) == 0) {
      const timespec at_once{};
      sigtimedwait(&pipe_, nullptr, &at_once);
    }
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

 private:
  sigset_t pipe_;
  sigset_t before_;
};

/// From now on each of `signals` is one byte, its number, on the descriptor returned, which never
/// blocks; one for the process. Signals that were blocked instead would be so in every program that
/// a script starts. A SIGHUP that is ignored (nohup) stays so. -1: no descriptor is left.
int signal_pipe(std::initializer_list<int> signals);

}  // namespace kling
