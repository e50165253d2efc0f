// The HTTP server of the simulator: the library's, with connections on which an answer can be lost,
// reset, withheld, dripped or cut. A handler strikes the connection that it answers on. Any thread;
// one thread of the server's a connection, which it blocks.
#pragma once

#include <mutex>
#include <set>

#include <httplib.h>

#include "sim/faults.h"

namespace kling::sim {

class Server : public httplib::Server {
 public:
  /// From a handler: the answer being made, and what follows it on this connection, suffers
  /// `mishap`. `body_bytes`: how much of the body `truncate` lets through.
  static void strike(Mishap mishap, std::size_t body_bytes);
  /// Stops listening and ends every connection, also those that only wait. Idempotent.
  void end();

 private:
  bool process_and_close_socket(socket_t socket) override;

  std::mutex mutex_;
  bool ending_ = false;
  std::set<socket_t> open_;
};

}  // namespace kling::sim
