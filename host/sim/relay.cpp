#include "sim/relay.h"

#include <atomic>
#include <cerrno>
#include <chrono>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"

namespace kling::sim {
namespace {

constexpr auto kDrip = std::chrono::milliseconds(10);  // between two bytes of a dripped answer

sockaddr_in address(const std::string& host, int port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(port));
  inet_pton(AF_INET, host.c_str(), &result.sin_addr);
  return result;
}

int local_port(int descriptor) {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size);
  return ntohs(bound.sin_port);
}

void send_at_once(int descriptor) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

bool send_all(int descriptor, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto count = send(descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
  return true;
}

/// Hands what arrives to `use` until the stream ends or `use` has enough.
template <class Use>
void receive(int descriptor, Use use) {
  char bytes[64 << 10];
  for (;;) {
    const auto count = recv(descriptor, bytes, sizeof bytes, 0);
    if (count <= 0 || !use(std::string_view(bytes, static_cast<std::size_t>(count)))) return;
  }
}

}  // namespace

/// One connection. Its thread closes both sockets; until then others may end them.
struct Relay::Link {
  int client = -1, server = -1;
  int peer_port = 0;
  std::atomic<bool> done{false};
  std::thread thread;
};

Result<std::unique_ptr<Relay>> Relay::open(const std::string& host, int port) {
  std::unique_ptr<Relay> relay(new Relay);
  relay->listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  setsockopt(relay->listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in where = address(host, port);
  if (bind(relay->listener_, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      listen(relay->listener_, 512) != 0) {
    return Error{.kind = Kind::network,
                 .message = "the simulator cannot listen on " + host + ":" + std::to_string(port) +
                            ": " + system_message(errno),
                 .hint = "take another --port, or none for any free one"};
  }
  relay->port_ = local_port(relay->listener_);
  return relay;
}

void Relay::start(int backend_port) {
  thread_ = std::thread([this, backend_port] { accept_all(backend_port); });
}

Relay::~Relay() {
  stop();
  if (listener_ >= 0) close(listener_);
}

void Relay::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  shutdown(listener_, SHUT_RDWR);
  thread_.join();
  {
    const std::lock_guard lock(mutex_);
    for (Link& link : links_) {
      if (link.client < 0) continue;
      shutdown(link.client, SHUT_RDWR);
      shutdown(link.server, SHUT_RDWR);
    }
  }
  for (Link& link : links_) link.thread.join();
  links_.clear();
}

void Relay::strike(int peer_port, Mishap mishap, std::size_t body_bytes) {
  const std::lock_guard lock(mutex_);
  blows_[peer_port] = {mishap, body_bytes, {}};
}

Relay::Blow Relay::blow_for(int peer_port) {
  const std::lock_guard lock(mutex_);
  const auto found = blows_.extract(peer_port);
  return found.empty() ? Blow() : found.mapped();
}

void Relay::accept_all(int backend_port) {
  const sockaddr_in backend = address("127.0.0.1", backend_port);
  for (;;) {
    const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    links_.remove_if([](Link& link) {
      if (link.done) link.thread.join();
      return link.done.load();
    });
    const std::lock_guard lock(mutex_);
    if (client < 0 && !stopping_) continue;
    if (stopping_) {
      close(client);
      return;
    }
    Link& link = links_.emplace_back();
    link.client = client;
    link.server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    // Loopback to a listener with a long queue: this does not wait. What fails is seen by serve().
    [[maybe_unused]] const int refused =
        connect(link.server, reinterpret_cast<const sockaddr*>(&backend), sizeof backend);
    send_at_once(link.client);
    send_at_once(link.server);
    link.peer_port = local_port(link.server);
    blows_.erase(link.peer_port);  // one meant for an earlier connection with this number
    link.thread = std::thread([this, &link] { serve(link); });
  }
}

void Relay::serve(Link& link) {
  std::thread up([&link] {
    receive(link.client, [&](std::string_view bytes) { return send_all(link.server, bytes); });
    shutdown(link.server, SHUT_WR);
  });
  Blow blow;
  receive(link.server, [&](std::string_view bytes) {
    if (blow.mishap == Mishap::none) blow = blow_for(link.peer_port);
    return pass(link.client, blow, bytes);
  });
  // Nothing but the client ends a connection whose answer is withheld.
  if (blow.mishap == Mishap::hang) up.join();
  shutdown(link.client, SHUT_RD);
  shutdown(link.server, SHUT_RDWR);
  if (up.joinable()) up.join();
  if (blow.mishap == Mishap::reset) {
    const linger now{1, 0};
    setsockopt(link.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
  }
  const std::lock_guard lock(mutex_);
  close(link.client);
  close(link.server);
  link.client = -1;
  link.done = true;
}

/// Sends on what the blow leaves of an answer; false ends the connection.
bool Relay::pass(int client, Blow& blow, std::string_view bytes) {
  switch (blow.mishap) {
    case Mishap::none:
      return send_all(client, bytes);
    case Mishap::drip:
      for (const char& byte : bytes) {
        if (!send_all(client, {&byte, 1})) return false;
        std::this_thread::sleep_for(kDrip);
      }
      return true;
    case Mishap::drop:
    case Mishap::reset:
      return false;
    case Mishap::hang:
      return true;
    case Mishap::truncate: {
      blow.seen += bytes;
      const auto end = blow.seen.find("\r\n\r\n");
      const auto size = end + 4 + blow.body_bytes;
      if (end == std::string::npos || blow.seen.size() < size) return true;
      send_all(client, blow.seen.substr(0, size));
      return false;
    }
    case Mishap::endless_headers:
    case Mishap::endless_body: {
      const bool head = blow.mishap == Mishap::endless_headers;
      std::string filler = "HTTP/1.1 200 OK\r\n";
      if (!head) filler += "Content-Type: application/json\r\n\r\n{\"data\":\"";
      while (send_all(client, filler)) {
        filler.clear();
        while (filler.size() < 32'768) filler += head ? "X-Filler: aaaaaaaaaaaaaaaa\r\n" : "aaaa";
      }
      return false;
    }
  }
  return false;
}

}  // namespace kling::sim
