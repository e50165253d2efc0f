// One HTTP connection, and requests on it one after the other.
// Not thread-safe; call() blocks, until its Exchange is ended at the latest.
#pragma once

#include "net/body.h"
#include "net/wire.h"

namespace kling::net {

struct ConnectionOptions {
  Milliseconds connect_timeout{10'000};
  Milliseconds read_timeout{60'000};
  Milliseconds write_timeout{60'000};
  unsigned allowed = kAnywhere;  ///< addresses it may connect to (bits of Reach)
  bool keep_alive = true;
};

/// Status and headers of an answer.
struct Head {
  int status = 0;
  std::uint64_t length = 0;  ///< of the body as on_data gets it; 0: unknown, or none
  bool packed = false;       ///< on_data gets it unpacked
  bool endless = false;      ///< no length, no last chunk: it may end at any time
  std::function<std::string(const char* name)> header;  ///< byte for byte; empty when missing
};

struct Call {
  std::string method = "GET";
  std::string target;
  Headers headers;
  BodyReader* body = nullptr;
  std::function<void(double)> on_part;  ///< of the body is out; may be null
  /// Both return false to end the exchange.
  std::function<bool(const Head&)> on_head;
  std::function<bool(std::string_view)> on_data;
};

struct CallEnd {
  HttpOutcome::Stage stage = HttpOutcome::Stage::not_sent;  ///< answered: all went to the callbacks
  Error error;                                              ///< unless answered or refused
  bool refused = false;                                     ///< a callback ended it
};

/// Before threads use connections: cpp-httplib makes a pattern with the first answer it reads,
/// which exit() would destroy before it has ended the threads. Any thread; does it once.
void prepare_library();

class Connection {
 public:
  Connection(Origin origin, const ConnectionOptions& options,
             std::shared_ptr<Environment> environment);
  ~Connection();

  /// REQUIRES: method, target and headers hold no control characters.
  CallEnd call(const Call& call, Exchange& exchange);

  /// Whether the peer has promised to keep it open; where it did not, the next call opens it anew.
  bool reusable() const { return reusable_; }
  /// Of the address it last connected to; of the name when a proxy connects for us.
  Reach reach() const { return reach_; }

 private:
  /// Everything before the first byte of a request; an error means that none was sent.
  Status open(const Exchange& exchange);
  Status tunnel(const Exchange& exchange);
  std::string peer() const;
  Milliseconds connect_timeout(const Exchange& exchange) const;
  Error proxy_refuses() const;
  Error cut_short(const Exchange& exchange, TimePoint start, const char* missed) const;

  const Origin origin_;
  const ConnectionOptions options_;
  const std::shared_ptr<Environment> environment_;
  std::optional<Proxy> proxy_;
  Reach reach_ = kPublic;
  const std::shared_ptr<SocketHandle> socket_ = std::make_shared<SocketHandle>();
  Wire wire_{socket_};
  bool reusable_ = false;
};

}  // namespace kling::net
