// One request and its answer on a Wire, in the way that every version of cpp-httplib can take: it
// is given a plain head of two lines and a body that ends with the stream, whatever the peer
// really sent, and never connects, waits or counts by itself. Not thread-safe; reads and writes
// block, until a time-out at the latest.
#pragma once

#include <httplib.h>
#include <zlib.h>

#include "net/answer.h"
#include "net/wire.h"

namespace kling::net {

// Newer versions ask for more; nothing here is marked "override", so that it suits all.
// NOLINTBEGIN(modernize-use-override)
/// What the library asks for beside reading and writing.
class PlainStream : public httplib::Stream {
 public:
  bool is_readable() const { return true; }
  bool wait_readable() const { return true; }
  bool is_writable() const { return true; }
  bool wait_writable() const { return true; }
  bool is_peer_alive() const { return true; }
  // Only a server's log asks for these.
  void get_remote_ip_and_port(std::string&, int&) const {}
  void get_local_ip_and_port(std::string&, int&) const {}
  int socket() const { return -1; }
  time_t duration() const { return 0; }
};

class Stream final : public PlainStream {
 public:
  Stream(Wire& wire, Milliseconds read_timeout, Milliseconds write_timeout);
  ~Stream() { ::inflateEnd(&zip_); }

  const Answer& answer() const { return answer_; }
  /// What the body is packed with is unknown, or is not what it says.
  bool spoiled() const { return spoiled_; }
  /// More has come than the answer said.
  bool has_rest() const { return !rest_.empty(); }

  ssize_t read(char* to, size_t size);
  ssize_t write(const char* from, size_t size);

 private:
  bool receive(TimePoint until);
  bool listen();
  bool find_head();
  int fill(TimePoint until);
  ssize_t unpack(char* to, size_t size, TimePoint until);

  Wire& wire_;
  const Milliseconds read_timeout_, write_timeout_;
  const std::unique_ptr<char[]> buffer_;
  Answer answer_;
  std::string_view rest_;  ///< of the buffer, not taken apart yet
  std::string head_;       ///< for the library
  std::size_t head_read_ = 0;
  std::string_view body_;  ///< what the library has yet to read of a piece
  z_stream zip_{};
  bool zip_ended_ = false;  ///< a member of a gzip file, or the only part of what is deflated
  bool spoiled_ = false;
  bool sending_ = true;  ///< until the whole request is out, or nobody wants the rest of it
  bool first_ = true;
  bool ended_ = false;  ///< the peer closed
  bool broken_ = false;
};
// NOLINTEND(modernize-use-override)

}  // namespace kling::net
