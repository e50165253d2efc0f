// What cpp-httplib reads from and writes to, in the place of its own streams, which take 4 KB at a
// time, wait within a TLS record for as long as the peer drips, and pass a status line of any
// length to a recursive regular expression: 30 KB of it end the program. Not thread-safe; reads and
// writes block, until a time-out at the latest.
#pragma once

#include <memory>

#include <httplib.h>

#include "net/transport.h"
#include "net/watch.h"

namespace kling::net {

class GuardedStream final : public httplib::Stream {
 public:
  /// `tls` is null for plain http. The socket does not block any more afterwards.
  GuardedStream(int socket, SSL* tls, Milliseconds read_timeout, Milliseconds write_timeout);

  bool is_readable() const override;
  /// False also when the peer has closed.
  bool is_writable() const override;
  /// As recv() and send() do: 0 at the end, -1 on errors and after the time-out.
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  int socket() const override { return socket_; }
  // Only a server's log asks for these.
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}

  /// More has come than was read: the answer was longer than it said.
  bool has_rest() const { return begin_ != end_; }
  /// A status line was too long, and the reading ended there.
  bool flooded() const { return flooded_; }

 private:
  bool wait(short events, TimePoint until) const;
  /// Does one of the two until it is done, waiting as it asks for: `event`, or what TLS wants.
  template <class Plain, class Secure>
  ssize_t transfer(short event, Milliseconds timeout, Plain plain, Secure secure);
  ssize_t receive(char* to, size_t size);
  bool line_fits(char next);

  const int socket_;
  SSL* const tls_;
  const Milliseconds read_timeout_, write_timeout_;
  const std::unique_ptr<char[]> buffer_;
  size_t begin_ = 0, end_ = 0;  ///< of what is in the buffer and was not read yet
  size_t line_ = 0;             ///< length of the present line so far
  bool status_line_ = false;
  bool flooded_ = false;
};

}  // namespace kling::net
