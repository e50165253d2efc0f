#include "net/raw_server.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

std::string Peer::read_request() {
  std::string text;
  receive(true, text);
  return text;
}

std::size_t Peer::skip_request() {
  std::string head;
  return receive(false, head);
}

std::size_t Peer::receive(bool keep, std::string& text) {
  std::size_t head = 0, received = 0, wanted = std::string::npos;
  char buffer[65536];
  while (received < wanted) {
    const ssize_t size = ::recv(socket_, buffer, sizeof buffer, 0);
    if (size <= 0) break;
    received += std::size_t(size);
    if (keep || head == 0) text.append(buffer, std::size_t(size));
    const std::size_t end = text.find("\r\n\r\n");
    if (head != 0 || end == std::string::npos) continue;
    head = end + 4;
    const std::size_t length = text.find("Content-Length: ");
    wanted = head + (length < end ? std::strtoul(text.c_str() + length + 16, nullptr, 10) : 0);
  }
  return received - head;
}

bool Peer::send(std::string_view data) {
  while (!data.empty()) {
    const ssize_t size = ::send(socket_, data.data(), data.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    data.remove_prefix(std::size_t(size));
  }
  return true;
}

void Peer::pipe_to(int port, std::size_t fast) {
  const kling::Descriptor other(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(std::uint16_t(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(other.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  pollfd ends[2] = {{socket_, POLLIN, 0}, {other.get(), POLLIN, 0}};
  char buffer[65536];
  std::size_t returned = 0;
  while (::poll(ends, 2, -1) > 0) {
    for (int from = 0; from < 2; ++from) {
      if (ends[from].revents == 0) continue;
      const bool drips = from == 1 && returned >= fast;
      if (drips) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      const ssize_t size = ::recv(ends[from].fd, buffer, drips ? 1 : sizeof buffer, 0);
      if (from == 1) returned += std::size_t(size > 0 ? size : 0);
      if (size <= 0 || ::send(ends[1 - from].fd, buffer, std::size_t(size), MSG_NOSIGNAL) != size)
        return;
    }
  }
}

void Peer::reset() {
  const linger at_once{1, 0};
  ::setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void Peer::wait_for_close() {
  char buffer[4096];
  while (::recv(socket_, buffer, sizeof buffer, 0) > 0) {
  }
}

RawServer::RawServer(Script script) : script_(std::move(script)) {
  listener_ = kling::Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_.get(), 128) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    std::abort();
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_all(); });
}

RawServer::~RawServer() {
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  {
    std::lock_guard lock(mutex_);
    for (int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
}

void RawServer::accept_all() {
  while (true) {
    const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    std::lock_guard lock(mutex_);
    sockets_.push_back(socket);
    threads_.emplace_back([this, socket, number = ++connections_] {
      Peer peer(socket);
      script_(peer, number);
      std::lock_guard closing(mutex_);
      std::erase(sockets_, socket);
      ::close(socket);
    });
  }
}

std::string answer(std::string_view body, std::string_view extra, std::string_view status) {
  return "HTTP/1.1 " + std::string(status) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n" + std::string(extra) + "\r\n" + std::string(body);
}
