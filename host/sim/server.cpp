#include "sim/server.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <thread>

#include <sys/socket.h>
#include <unistd.h>

namespace kling::sim {
namespace {

constexpr auto kDrip = std::chrono::milliseconds(10);  // between two bytes of a dripped answer

/// One connection. Its socket has the time-outs of the server.
class Wire : public httplib::Stream {
 public:
  explicit Wire(socket_t socket) : socket_(socket) {}

  /// Waits until there is something to read; false at the end, or when it takes too long.
  bool await() {
    if (ended_) return false;  // the library does not look whether a head could be written
    if (read_ < held_) return true;
    const ssize_t count = ::recv(socket_, bytes_, sizeof bytes_, 0);
    read_ = 0;
    held_ = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    return held_ > 0;
  }
  ssize_t read(char* out, std::size_t size) override {
    if (!await()) return 0;
    const std::size_t count = std::min(size, held_ - read_);
    std::memcpy(out, bytes_ + read_, count);
    read_ += count;
    return static_cast<ssize_t>(count);
  }

  /// Sends what the mishap leaves of an answer; -1 ends the connection.
  ssize_t write(const char* data, std::size_t size) override {
    ended_ = ended_ || !passes({data, size});
    return ended_ ? -1 : static_cast<ssize_t>(size);
  }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

  Mishap mishap = Mishap::none;
  std::size_t body_bytes = 0;

 private:
  bool passes(std::string_view bytes) {
    switch (mishap) {
      case Mishap::none:
        return send(bytes);
      case Mishap::drip:
        for (const char& byte : bytes) {
          if (!send({&byte, 1})) return false;
          std::this_thread::sleep_for(kDrip);
        }
        return true;
      case Mishap::hang:  // until the client ends it, or the server
        for (char byte; ::recv(socket_, &byte, 1, 0) > 0 || errno == EAGAIN;) {
        }
        return false;
      case Mishap::truncate: {
        seen_ += bytes;
        const auto end = seen_.find("\r\n\r\n");
        if (end == std::string::npos || seen_.size() < end + 4 + body_bytes) return true;
        send(std::string_view(seen_).substr(0, end + 4 + body_bytes));
        return false;
      }
      case Mishap::endless_headers:
      case Mishap::endless_body: {
        const bool head = mishap == Mishap::endless_headers;
        std::string filler = "HTTP/1.1 200 OK\r\n";
        if (!head) filler += "Content-Type: application/json\r\n\r\n{\"data\":\"";
        while (send(filler)) {
          filler.clear();
          while (filler.size() < 32'768) filler += head ? "X-Filler: aaaaaaaaaaaaaaaa\r\n" : "aaaa";
        }
        return false;
      }
      default:
        return false;
    }
  }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  const socket_t socket_;
  char bytes_[16 << 10];
  std::size_t read_ = 0, held_ = 0;
  bool ended_ = false;
  std::string seen_;  // of a truncated answer
};

thread_local Wire* answering = nullptr;

}  // namespace

void Server::strike(Mishap mishap, std::size_t body_bytes) {
  answering->mishap = mishap;
  answering->body_bytes = body_bytes;
}

bool Server::process_and_close_socket(socket_t socket) {
  {
    const std::lock_guard lock(mutex_);
    if (ending_) return ::close(socket) == 0;
    open_.insert(socket);
  }
  Wire wire(socket);
  answering = &wire;
  for (bool closed = false; !closed && wire.await() && process_request(wire, false, closed, {});) {
  }
  const linger none{1, 0};
  if (wire.mishap == Mishap::reset) ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &none, sizeof none);
  const std::lock_guard lock(mutex_);
  open_.erase(socket);
  return ::close(socket) == 0;
}

void Server::end() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    for (const socket_t socket : open_) ::shutdown(socket, SHUT_RDWR);
  }
  stop();
}

}  // namespace kling::sim
