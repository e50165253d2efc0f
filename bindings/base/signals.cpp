#include "base/signals.h"

#include <cerrno>

#include <fcntl.h>
#include <signal.h>

namespace kling {

static int g_signal_write = -1;

static void write_signal(int signal) {
  const int before = errno;
  const auto byte = static_cast<unsigned char>(signal);
  (void)!::write(g_signal_write, &byte, 1);
  errno = before;
}

int signal_pipe(std::initializer_list<int> signals) {
  static const int read_end = [] {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return -1;
    g_signal_write = ends[1];
    return ends[0];
  }();
  struct sigaction action {};
  action.sa_handler = write_signal;
  action.sa_flags = SA_RESTART;
  for (const int signal : signals) {
    struct sigaction before {};
    ::sigaction(signal, nullptr, &before);
    if (signal != SIGHUP || before.sa_handler != SIG_IGN) ::sigaction(signal, &action, nullptr);
  }
  return read_end;
}

}  // namespace kling
