#ifdef KLING_OWN_STREAMS
#include "net/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

namespace kling::net {
namespace {

using Steady = std::chrono::steady_clock;

constexpr size_t kBuffer = 16u << 10;
constexpr size_t kMostStatusLine = 1024;  // a regular expression's stack: about 300 bytes each

}  // namespace

GuardedStream::GuardedStream(int socket, SSL* tls, Milliseconds read_timeout,
                             Milliseconds write_timeout)
    : socket_(socket),
      tls_(tls),
      read_timeout_(read_timeout),
      write_timeout_(write_timeout),
      buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {
  ::fcntl(socket_, F_SETFL, O_NONBLOCK);
  // A time-out is for each record then, not for a whole block.
  if (tls_ != nullptr) ::SSL_set_mode(tls_, SSL_MODE_ENABLE_PARTIAL_WRITE);
}

bool GuardedStream::wait(short events, TimePoint until) const {
  for (;;) {
    const auto left = std::chrono::ceil<Milliseconds>(until - Steady::now()).count();
    pollfd entry{socket_, events, 0};
    const int ready = ::poll(&entry, 1, int(std::clamp<long>(left, 0, 3'600'000)));
    if (ready >= 0 || errno != EINTR) return ready > 0;
  }
}

bool GuardedStream::is_readable() const {
  return has_rest() || (tls_ != nullptr && ::SSL_pending(tls_) > 0) ||
         wait(POLLIN, Steady::now() + read_timeout_);
}

bool GuardedStream::is_writable() const {
  if (!wait(POLLOUT, Steady::now() + write_timeout_)) return false;
  char next = 0;
  const ssize_t have = ::recv(socket_, &next, 1, MSG_PEEK);
  return have > 0 || (have < 0 && (errno == EAGAIN || errno == EINTR));
}

template <class Plain, class Secure>
ssize_t GuardedStream::transfer(short event, Milliseconds timeout, Plain plain, Secure secure) {
  const TimePoint until = Steady::now() + timeout;
  for (;;) {
    short wanted = 0;
    ssize_t done = 0;
    if (tls_ == nullptr) {
      done = plain();
      if (done < 0 && (errno == EAGAIN || errno == EINTR)) wanted = event;
    } else {
      ::ERR_clear_error();
      const int result = secure();
      const int error = ::SSL_get_error(tls_, result);
      if (error == SSL_ERROR_WANT_READ) wanted = POLLIN;
      if (error == SSL_ERROR_WANT_WRITE) wanted = POLLOUT;
      done = result;
    }
    if (wanted == 0) return done;
    if (!wait(wanted, until)) return -1;
  }
}

// With TLS the end may come with or without a farewell: many servers send none.
ssize_t GuardedStream::receive(char* to, size_t size) {
  return transfer(
      POLLIN, read_timeout_, [&] { return ::recv(socket_, to, size, 0); },
      [&] { return ::SSL_read(tls_, to, int(size)); });
}

ssize_t GuardedStream::write(const char* from, size_t size) {
  if (!is_writable()) return -1;
  const ssize_t sent = transfer(
      POLLOUT, write_timeout_, [&] { return ::send(socket_, from, size, MSG_NOSIGNAL); },
      [&] { return ::SSL_write(tls_, from, int(std::min<size_t>(size, 1u << 30))); });
  return sent > 0 ? sent : -1;  // the library would try again for ever
}

ssize_t GuardedStream::read(char* to, size_t size) {
  if (!has_rest()) {
    const ssize_t got = receive(buffer_.get(), kBuffer);
    if (got <= 0) return got;
    begin_ = 0;
    end_ = size_t(got);
  }
  const size_t part = std::min(size, end_ - begin_);
  std::memcpy(to, buffer_.get() + begin_, part);
  begin_ += part;
  // The library takes lines byte by byte, and bodies in larger pieces.
  flooded_ = flooded_ || (size == 1 && part == 1 && !line_fits(*to));
  return flooded_ ? -1 : ssize_t(part);
}

bool GuardedStream::line_fits(char next) {
  constexpr std::string_view kStart = "HTTP/";
  if (next == '\n') {
    line_ = 0;
    return true;
  }
  if (line_ < kStart.size()) status_line_ = (line_ == 0 || status_line_) && next == kStart[line_];
  return ++line_ <= kMostStatusLine || !status_line_;
}

}  // namespace kling::net
#endif
