#include "sim/relay.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/files.h"

namespace kling::sim {
namespace {

using Steady = std::chrono::steady_clock;
constexpr std::size_t kBuffer = 256 << 10;
constexpr auto kDrip = std::chrono::milliseconds(10);  // between two bytes of a dripped answer

sockaddr_in address(const std::string& host, int port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(static_cast<std::uint16_t>(port));
  if (inet_pton(AF_INET, host.c_str(), &result.sin_addr) != 1) {
    result.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  }
  return result;
}

int local_port(int descriptor) {
  sockaddr_in bound{};
  socklen_t size = sizeof bound;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&bound), &size) != 0) return 0;
  return ntohs(bound.sin_port);
}

void set_flags(int descriptor) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK);
}

Error failure(const std::string& what) {
  Error error;
  error.kind = Kind::network;
  error.message = "the simulator " + what + ": " + system_message(errno);
  return error;
}

}  // namespace

struct Relay::Link {
  int client = -1, server = -1, peer_port = 0;
  std::string up, down;  // bytes on their way to the server, to the client
  bool client_ended = false, server_ended = false, passed_end = false, dead = false;
  Blow blow;
  std::string head;              // of a truncated answer, until its end is seen
  Steady::time_point next_drip;  // of a dripped answer

  bool struck(Mishap mishap) const { return blow.mishap == mishap; }
  bool endless() const { return struck(Mishap::endless_headers) || struck(Mishap::endless_body); }

  ~Link() {
    if (client >= 0) close(client);
    if (server >= 0) close(server);
  }
};

Result<std::unique_ptr<Relay>> Relay::open(const std::string& host, int port) {
  std::unique_ptr<Relay> relay(new Relay);
  relay->listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (relay->listener_ < 0) return failure("cannot open a socket");
  const int on = 1;
  setsockopt(relay->listener_, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in where = address(host, port);
  if (bind(relay->listener_, reinterpret_cast<const sockaddr*>(&where), sizeof where) != 0 ||
      listen(relay->listener_, 512) != 0) {
    return failure("cannot listen on port " + std::to_string(port));
  }
  relay->port_ = local_port(relay->listener_);
  return relay;
}

Status Relay::start(int backend_port) {
  backend_port_ = backend_port;
  if (pipe2(wake_, O_CLOEXEC | O_NONBLOCK) != 0) return failure("cannot open a pipe");
  thread_ = std::thread([this] { run(); });
  return Done{};
}

Relay::~Relay() {
  stop();
  for (const int descriptor : {listener_, wake_[0], wake_[1]}) {
    if (descriptor >= 0) close(descriptor);
  }
}

void Relay::stop() {
  if (!thread_.joinable()) return;
  const char byte = 0;
  [[maybe_unused]] const auto written = write(wake_[1], &byte, 1);
  thread_.join();
}

void Relay::strike(int peer_port, Mishap mishap, std::size_t body_bytes) {
  const std::lock_guard lock(mutex_);
  blows_[peer_port] = {mishap, body_bytes};
}

Relay::Blow Relay::blow_for(int peer_port) {
  const std::lock_guard lock(mutex_);
  const auto found = blows_.find(peer_port);
  if (found == blows_.end()) return {};
  const Blow blow = found->second;
  blows_.erase(found);
  return blow;
}

void Relay::run() {
  std::vector<pollfd> polled;
  std::vector<Link*> order;
  for (;;) {
    polled = {{wake_[0], POLLIN, 0}, {listener_, POLLIN, 0}};
    order.clear();
    int timeout = -1;
    for (auto& [descriptor, link] : links_) {
      const bool drips = link->struck(Mishap::drip) && !link->down.empty();
      const auto wait = drips ? link->next_drip - Steady::now() : Steady::duration::zero();
      if (drips && wait > Steady::duration::zero()) {
        const auto millis = std::chrono::ceil<std::chrono::milliseconds>(wait).count();
        timeout = timeout < 0 ? static_cast<int>(millis) : std::min<int>(timeout, millis);
      }
      const bool sends = link->endless() || (!link->down.empty() && wait <= wait.zero());
      short client = sends ? POLLOUT : 0, server = link->up.empty() ? 0 : POLLOUT;
      if (!link->client_ended && link->up.size() < kBuffer) client |= POLLIN;
      if (!link->server_ended && link->down.size() < kBuffer) server |= POLLIN;
      // A negative descriptor is skipped: an ended side would report its end for ever.
      polled.push_back({client != 0 ? descriptor : -1, client, 0});
      polled.push_back({server != 0 ? link->server : -1, server, 0});
      order.push_back(link.get());
    }
    if (poll(polled.data(), polled.size(), timeout) < 0 && errno != EINTR) break;
    if (polled[0].revents != 0) break;
    for (std::size_t i = 0; i < order.size(); ++i) {
      Link& link = *order[i];
      const short client = polled[2 + 2 * i].revents, server = polled[3 + 2 * i].revents;
      if ((client & (POLLIN | POLLHUP | POLLERR)) != 0) from_client(link);
      if (!link.dead && (server & (POLLIN | POLLHUP | POLLERR)) != 0) from_server(link);
      if (!link.dead) to_server(link);
      if (!link.dead) to_client(link);
    }
    std::erase_if(links_, [](const auto& entry) { return entry.second->dead; });
    if (polled[1].revents != 0) accept_all();
  }
  links_.clear();
}

void Relay::accept_all() {
  for (;;) {
    auto link = std::make_unique<Link>();
    link->client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (link->client < 0) return;
    link->server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in backend = address("127.0.0.1", backend_port_);
    // Loopback to a listener with a long queue: this does not wait.
    if (connect(link->server, reinterpret_cast<const sockaddr*>(&backend), sizeof backend) != 0) {
      continue;
    }
    set_flags(link->client);
    set_flags(link->server);
    link->peer_port = local_port(link->server);
    blow_for(link->peer_port);  // one meant for an earlier connection with this number
    const int key = link->client;
    links_[key] = std::move(link);
  }
}

void Relay::from_client(Link& link) {
  char bytes[64 << 10];
  const auto count = recv(link.client, bytes, sizeof bytes, 0);
  if (count > 0) {
    link.up.append(bytes, static_cast<std::size_t>(count));
  } else if (count == 0) {
    link.client_ended = true;
    // Nobody is left to wait for a withheld answer.
    if (link.blow.mishap != Mishap::none) link.dead = true;
  } else if (errno != EAGAIN && errno != EINTR) {
    link.dead = true;
  }
}

void Relay::from_server(Link& link) {
  char bytes[64 << 10];
  const auto count = recv(link.server, bytes, sizeof bytes, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    link.server_ended = true;
    return;
  }
  if (link.struck(Mishap::none)) {
    link.blow = blow_for(link.peer_port);
    if (link.struck(Mishap::endless_headers)) link.down = "HTTP/1.1 200 OK\r\n";
    if (link.struck(Mishap::endless_body)) {
      link.down = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"data\":\"";
    }
  }
  switch (link.blow.mishap) {
    case Mishap::none:
    case Mishap::drip:
      link.down.append(bytes, static_cast<std::size_t>(count));
      break;
    case Mishap::drop:
      link.dead = true;
      break;
    case Mishap::reset: {
      const linger now{1, 0};
      setsockopt(link.client, SOL_SOCKET, SO_LINGER, &now, sizeof now);
      link.dead = true;
      break;
    }
    case Mishap::truncate: {
      if (link.passed_end) break;
      link.head.append(bytes, static_cast<std::size_t>(count));
      const auto end = link.head.find("\r\n\r\n");
      if (end == std::string::npos || link.head.size() < end + 4 + link.blow.body_bytes) break;
      link.down = link.head.substr(0, end + 4 + link.blow.body_bytes);
      link.passed_end = link.server_ended = true;  // what is here is sent, then the link ends
      break;
    }
    case Mishap::hang:
    case Mishap::endless_headers:
    case Mishap::endless_body:
      break;
  }
}

void Relay::to_client(Link& link) {
  if (link.endless() && link.down.size() < kBuffer / 4) {
    const bool head = link.struck(Mishap::endless_headers);
    while (link.down.size() < kBuffer / 2) {
      link.down +=
          head ? "X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n" : "aaaaaaaaaaaaaaaaaaaaaaaa";
    }
  }
  const bool drips = link.struck(Mishap::drip);
  if (!link.down.empty() && !(drips && Steady::now() < link.next_drip)) {
    const auto count =
        send(link.client, link.down.data(), drips ? 1 : link.down.size(), MSG_NOSIGNAL);
    if (count > 0) link.down.erase(0, static_cast<std::size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) link.dead = true;
    if (drips) link.next_drip = Steady::now() + kDrip;
  }
  const bool withheld = link.struck(Mishap::hang) || link.endless();
  if (link.server_ended && link.down.empty() && !withheld) link.dead = true;
}

void Relay::to_server(Link& link) {
  if (!link.up.empty() && !link.server_ended) {
    const auto count = send(link.server, link.up.data(), link.up.size(), MSG_NOSIGNAL);
    if (count > 0) link.up.erase(0, static_cast<std::size_t>(count));
    if (count < 0 && errno != EAGAIN && errno != EINTR) link.server_ended = true;
  }
  if (link.server_ended) link.up.clear();
  if (link.client_ended && link.up.empty() && !link.server_ended && !link.passed_end) {
    shutdown(link.server, SHUT_WR);
    link.passed_end = true;
  }
}

}  // namespace kling::sim
