// A server on loopback that does exactly what a test says, byte by byte: what a real HTTP server
// library would never do. One thread a connection; the destructor ends them all.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/descriptor.h"

class Peer {
 public:
  explicit Peer(int socket) : socket_(socket) {}
  /// Head and body of a request (of a Content-Length); what came until then if the client leaves.
  std::string read_request();
  /// The same without keeping it: the size of the body.
  std::size_t skip_request();
  /// False when the client has gone.
  bool send(std::string_view data);
  /// Passes bytes to and from a port of this machine until either side closes. What comes back
  /// after the first `fast` bytes drips, five milliseconds each.
  void pipe_to(int port, std::size_t fast = SIZE_MAX);
  int socket() const { return socket_; }
  /// Closes with a RST packet.
  void reset();
  /// Waits until the client closes, or the server ends.
  void wait_for_close();

 private:
  std::size_t receive(bool keep, std::string& text);
  int socket_;
};

class RawServer {
 public:
  /// Called on a thread of its own for each connection, with its number from 1 on. The connection
  /// is closed when it returns.
  using Script = std::function<void(Peer&, int connection)>;

  explicit RawServer(Script script);
  ~RawServer();

  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  int port() const { return port_; }
  int connections() const { return connections_; }

 private:
  void accept_all();

  Script script_;
  kling::Descriptor listener_;
  int port_ = 0;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::vector<int> sockets_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

/// "HTTP/1.1 200 OK" with a Content-Length and the body; `extra` are whole header lines.
std::string answer(std::string_view body, std::string_view extra = "",
                   std::string_view status = "200 OK");
