#include "net/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <poll.h>

namespace kling::net {
namespace {

constexpr std::size_t kBuffer = 16u << 10;

}  // namespace

Stream::Stream(Wire& wire, Milliseconds read_timeout, Milliseconds write_timeout)
    : wire_(wire),
      read_timeout_(read_timeout),
      write_timeout_(write_timeout),
      buffer_(std::make_unique_for_overwrite<char[]>(kBuffer)) {}

bool Stream::receive(TimePoint until) {
  const ssize_t got = wire_.receive(buffer_.get(), kBuffer, until);
  ended_ = ended_ || got == 0;
  broken_ = broken_ || (got < 0 && errno != EAGAIN);
  if (got <= 0) return false;
  rest_ = {buffer_.get(), std::size_t(got)};
  body_ = answer_.take(rest_);
  return true;
}

/// Takes of the head what has come already.
bool Stream::listen() {
  while (!answer_.has_head() && answer_.fault().empty() && receive(TimePoint())) {
  }
  return answer_.has_head();
}

/// An answer may come before the request is out: a refusal ends the sending, and so does anything
/// once the peer takes no more. It lies in the receive buffer even when the peer has reset since.
ssize_t Stream::write(const char* from, size_t size) {
  const TimePoint until = Steady::now() + write_timeout_;
  while (sending_) {
    const bool listens = !answer_.has_head() && !ended_ && !broken_;
    // Nothing that was sent before can keep the first bytes from going out.
    const bool first = std::exchange(first_, false);
    const short ready =
        first ? POLLOUT : wire_.wait(short(POLLOUT | (listens ? POLLIN : 0)), until);
    if (listens && (ready & POLLIN) != 0) {
      if (listen() && answer_.status() >= 300) sending_ = false;
      if (!answer_.fault().empty()) return -1;
      continue;
    }
    const ssize_t sent = ready == 0 ? -1 : wire_.send(from, size, TimePoint());
    if (sent > 0) return sent;
    if (ready != 0 && errno == EAGAIN) continue;
    if (!listen()) return -1;
    sending_ = false;
  }
  return ssize_t(size);
}

bool Stream::find_head() {
  while (!answer_.has_head())
    if (!answer_.fault().empty() || !receive(Steady::now() + read_timeout_)) return false;
  const std::string& packing = answer_.coding();
  const bool zip = packing == "gzip" || packing == "x-gzip" || packing == "deflate";
  spoiled_ = zip ? ::inflateInit2(&zip_, 15 + 32) != Z_OK : !packing.empty() && packing != "br";
  head_ = "HTTP/1.1 200 OK\r\n";
  if (packing == "br") head_ += "Content-Encoding: br\r\n";
  head_ += "\r\n";
  return !spoiled_ || answer_.status() >= 400;  // an error is told by its status as well
}

/// 1: body_ holds more of the body; 0: it has ended; -1: it is not whole.
int Stream::fill(TimePoint until) {
  while (body_.empty()) {
    if (!rest_.empty()) body_ = answer_.take(rest_);
    if (!body_.empty()) break;
    if (answer_.whole()) return 0;
    if (!answer_.fault().empty()) return -1;
    if (!receive(until)) return ended_ && answer_.ends_with_connection() ? 0 : -1;
  }
  return 1;
}

/// The library reads one member of a gzip file only. What stands behind the last one is not read:
/// it need not end.
ssize_t Stream::unpack(char* to, size_t size, TimePoint until) {
  while (Steady::now() < until) {
    const int more = body_.empty() && (zip_ended_ || zip_.total_in == 0) ? fill(until) : 1;
    if (more <= 0) return more;
    if (zip_ended_ && (answer_.coding() == "deflate" || body_.front() != '\x1f')) return 0;
    if (zip_ended_) ::inflateReset(&zip_);
    // Some send "deflate" without a head; gzip by that name has its own.
    if (zip_.total_in == 0 && answer_.coding() == "deflate" && body_.front() != '\x1f' &&
        (body_.front() & 15) != 8)
      ::inflateReset2(&zip_, -15);
    zip_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body_.data()));
    zip_.avail_in = uInt(body_.size());
    zip_.next_out = reinterpret_cast<Bytef*>(to);
    zip_.avail_out = uInt(size);
    const int result = ::inflate(&zip_, Z_NO_FLUSH);
    body_.remove_prefix(body_.size() - zip_.avail_in);
    zip_ended_ = result == Z_STREAM_END;
    spoiled_ = !zip_ended_ && result != Z_OK && result != Z_BUF_ERROR;
    if (zip_.avail_out < size) return ssize_t(size - zip_.avail_out);
    if (spoiled_) return -1;
    if (zip_ended_ || !body_.empty()) continue;
    const int next = fill(until);  // ended too early, or cut off
    spoiled_ = next == 0;
    if (next <= 0) return -1;
  }
  return -1;
}

ssize_t Stream::read(char* to, size_t size) {
  if (head_.empty() && !find_head()) return -1;
  if (head_read_ < head_.size()) {
    const std::size_t part = head_.copy(to, size, head_read_);
    head_read_ += part;
    return ssize_t(part);
  }
  const TimePoint until = Steady::now() + read_timeout_;
  if (zip_.state != nullptr) return unpack(to, size, until);
  if (const int more = fill(until); more <= 0) return more;
  const std::size_t part = std::min(size, body_.size());
  std::memcpy(to, body_.data(), part);
  body_.remove_prefix(part);
  return ssize_t(part);
}

}  // namespace kling::net
