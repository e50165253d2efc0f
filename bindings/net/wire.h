// One TCP connection, with TLS over it or without. Not thread-safe, but for its SocketHandle, which
// another thread may shut; every call blocks, until its time-out at the latest.
#pragma once

#include <sys/types.h>

#include "net/transport.h"
#include "net/watch.h"

struct ssl_ctx_st;
struct ssl_st;

namespace kling::net {

class Wire : NotCopied {
 public:
  explicit Wire(std::shared_ptr<SocketHandle> socket) : socket_(std::move(socket)) {}
  ~Wire() { close(); }

  /// To a numeric address. 0, or the errno.
  int connect(const std::string& address, int port, Milliseconds timeout);
  /// The handshake with a peer whose certificate must be one of `host`.
  bool secure(ssl_ctx_st* context, const std::string& host, Milliseconds timeout);
  /// What is wrong with the peer's certificate; null: nothing.
  const char* certificate_fault() const;
  /// What the handshake that just failed on this thread met: not TLS, or none that we speak. Null:
  /// the line broke.
  static const char* handshake_fault();
  void close();

  /// poll() until then: its events, 0 after the time-out.
  short wait(short events, TimePoint until) const;
  /// As recv() and send() do: 0 at the end, -1 on errors and after the time-out (EAGAIN). With TLS
  /// the end may come with or without a farewell: many servers send none.
  ssize_t receive(char* to, std::size_t size, TimePoint until);
  ssize_t send(const char* from, std::size_t size, TimePoint until);

 private:
  /// Does one of the two until it is done, waiting as it asks for: `event`, or what TLS wants. A
  /// record of TLS that drips is not waited for longer than anything else.
  template <class Plain, class Secure>
  ssize_t transfer(short event, TimePoint until, Plain plain, Secure secure);

  const std::shared_ptr<SocketHandle> socket_;
  ssl_st* tls_ = nullptr;
};

}  // namespace kling::net
