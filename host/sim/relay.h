// A TCP relay between the clients and the simulator's HTTP server, so that what goes wrong on a
// wire can go wrong here: an answer that is lost, reset, withheld, dripped or cut. It is not a
// proxy: it copies bytes and knows of HTTP only where a head ends. One thread serves every
// connection and never blocks on one, so withheld answers cost nothing and stop() is prompt.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/error.h"

namespace kling::sim {

enum class Mishap { none, drop, reset, hang, drip, truncate, endless_headers, endless_body };

class Relay {
 public:
  /// Listens on host:port (0: any free); connections wait until start().
  static Result<std::unique_ptr<Relay>> open(const std::string& host, int port);
  /// Passes connections on to 127.0.0.1:backend_port from now on. Once.
  Status start(int backend_port);
  ~Relay();

  int port() const { return port_; }

  /// The next answer on the backend connection whose peer has this port suffers `mishap`, and the
  /// connection ends. `body_bytes`: how much of the body `truncate` lets through. Any thread.
  void strike(int peer_port, Mishap mishap, std::size_t body_bytes = 0);

  /// Closes every connection and joins the thread. Idempotent.
  void stop();

 private:
  struct Blow {
    Mishap mishap = Mishap::none;
    std::size_t body_bytes = 0;
  };
  struct Link;

  Relay() = default;
  void run();
  void accept_all();
  void from_client(Link& link);
  void from_server(Link& link);
  void to_client(Link& link);
  void to_server(Link& link);
  Blow blow_for(int peer_port);

  int listener_ = -1, wake_[2] = {-1, -1};
  int port_ = 0, backend_port_ = 0;
  std::map<int, std::unique_ptr<Link>> links_;  // by client descriptor; of the thread only
  std::mutex mutex_;
  std::map<int, Blow> blows_;  // guarded by mutex_
  std::thread thread_;
};

}  // namespace kling::sim
