// A TCP relay between the clients and the simulator's HTTP server, so that what goes wrong on a
// wire can go wrong here: an answer that is lost, reset, withheld, dripped or cut. It is not a
// proxy: it copies bytes and knows of HTTP only where a head ends. A connection has two threads,
// one a direction, that block; stop() wakes them by ending their sockets.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "base/error.h"

namespace kling::sim {

enum class Mishap { none, drop, reset, hang, drip, truncate, endless_headers, endless_body };

class Relay {
 public:
  /// Listens on host:port (0: any free); connections wait until start().
  static Result<std::unique_ptr<Relay>> open(const std::string& host, int port);
  /// Passes connections on to 127.0.0.1:backend_port from now on. Once.
  void start(int backend_port);
  ~Relay();

  int port() const { return port_; }

  /// The next answer on the backend connection whose peer has this port suffers `mishap`, and the
  /// connection ends. `body_bytes`: how much of the body `truncate` lets through. Any thread.
  void strike(int peer_port, Mishap mishap, std::size_t body_bytes = 0);

  /// Closes every connection and joins the threads. Idempotent.
  void stop();

 private:
  struct Blow {
    Mishap mishap = Mishap::none;
    std::size_t body_bytes = 0;
    std::string seen;  ///< of a truncated answer
  };
  struct Link;

  Relay() = default;
  void accept_all(int backend_port);
  void serve(Link& link);
  static bool pass(int client, Blow& blow, std::string_view bytes);
  Blow blow_for(int peer_port);

  int listener_ = -1, port_ = 0;
  std::mutex mutex_;
  bool stopping_ = false;      // guarded by mutex_
  std::map<int, Blow> blows_;  // guarded by mutex_
  std::list<Link> links_;      // of the accepting thread, then of stop()
  std::thread thread_;
};

}  // namespace kling::sim
