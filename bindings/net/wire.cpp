#include "net/wire.h"

#include <algorithm>
#include <cerrno>

#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/leaving.h"

namespace kling::net {
int Wire::connect(const std::string& address, int port, Milliseconds timeout) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(address.c_str(), std::to_string(port).c_str(), &hints, &found) != 0)
    return EADDRNOTAVAIL;
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> place(found, &::freeaddrinfo);
  Descriptor made(::socket(place->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!made) return errno;
  const int number = made.get();
  const int on = 1;  // head and body are two writes
  ::setsockopt(number, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  socket_->adopt(std::move(made));
  if (::connect(number, place->ai_addr, place->ai_addrlen) == 0) return 0;
  if (errno != EINPROGRESS) return errno;
  if (wait(POLLOUT, Steady::now() + timeout) == 0) return ETIMEDOUT;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

bool Wire::secure(ssl_ctx_st* context, const std::string& host, Milliseconds timeout) {
  bool named = false;
  {
    const NoFork whole;
    tls_ = ::SSL_new(context);
    if (tls_ == nullptr || ::SSL_set_fd(tls_, socket_->number()) != 1) return false;
    X509_VERIFY_PARAM* verify = ::SSL_get0_param(tls_);
    named = is_numeric_address(host)
                ? ::X509_VERIFY_PARAM_set1_ip_asc(verify, host.c_str()) == 1
                : ::X509_VERIFY_PARAM_set1_host(verify, host.c_str(), 0) == 1 &&
                      ::SSL_set_tlsext_host_name(tls_, host.c_str()) == 1;
  }
  return named && transfer(
                      POLLIN, Steady::now() + timeout, [] { return -1; },
                      [&] { return ::SSL_connect(tls_); }) == 1;
}

const char* Wire::certificate_fault() const {
  const long result = tls_ == nullptr ? X509_V_OK : ::SSL_get_verify_result(tls_);
  return result == X509_V_OK ? nullptr : ::X509_verify_cert_error_string(result);
}

const char* Wire::handshake_fault() {
  const unsigned long last = ::ERR_peek_last_error();
  const bool cut = ERR_GET_REASON(last) == SSL_R_UNEXPECTED_EOF_WHILE_READING;
  return ERR_GET_LIB(last) == ERR_LIB_SSL && !cut ? ::ERR_reason_error_string(last) : nullptr;
}

void Wire::close() {
  {
    const NoFork whole;
    if (tls_ != nullptr && ::SSL_is_init_finished(tls_) == 1) ::SSL_shutdown(tls_);
    ::SSL_free(tls_);
    ::ERR_clear_error();
  }
  tls_ = nullptr;
  socket_->adopt(Descriptor());
}

short Wire::wait(short events, TimePoint until) const {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now()).count();
    pollfd entry{socket_->number(), events, 0};
    const int ready = ::poll(&entry, 1, int(std::clamp<long>(left, 0, 3'600'000)));
    if (ready >= 0 || errno != EINTR) return ready > 0 ? entry.revents : short(0);
  }
}

template <class Plain, class Secure>
ssize_t Wire::transfer(short event, TimePoint until, Plain plain, Secure secure) {
  for (;;) {
    short wanted = 0;
    ssize_t done = 0;
    if (tls_ == nullptr) {
      done = plain();
      if (done < 0 && (errno == EAGAIN || errno == EINTR)) wanted = event;
    } else {
      const NoFork whole;
      ::ERR_clear_error();
      const int result = secure();
      const int error = ::SSL_get_error(tls_, result);
      if (error == SSL_ERROR_WANT_READ) wanted = POLLIN;
      if (error == SSL_ERROR_WANT_WRITE) wanted = POLLOUT;
      done = result;
      errno = EIO;
    }
    if (wanted == 0) return done;
    if (wait(wanted, until) == 0) {
      errno = EAGAIN;
      return -1;
    }
  }
}

ssize_t Wire::receive(char* to, std::size_t size, TimePoint until) {
  return transfer(
      POLLIN, until, [&] { return ::recv(socket_->number(), to, size, 0); },
      [&] { return ::SSL_read(tls_, to, int(size)); });
}

ssize_t Wire::send(const char* from, std::size_t size, TimePoint until) {
  return transfer(
      POLLOUT, until, [&] { return ::send(socket_->number(), from, size, MSG_NOSIGNAL); },
      [&] { return ::SSL_write(tls_, from, int(std::min<std::size_t>(size, 1u << 30))); });
}

}  // namespace kling::net
