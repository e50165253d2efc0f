// A small HTTP/1.1 server: callbacks of the service, pages for the person at this machine. Not for
// the open internet: TLS, and who may come, are a reverse proxy's. Starts threads of its own, on
// which the handler runs; listen() and the end block for moments only.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "base/error.h"

namespace kling::net {

struct ServerRequest {
  std::string method;
  std::string target;  ///< path and query, as sent
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;  ///< at most 256 KiB: more is answered with 413
};

struct ServerAnswer {
  int status = 204;
  std::string type;
  std::string body;
  std::string file;  ///< in place of the body; parts of it are sent where parts are asked for
  /// In place of the body: blocks until there is more to send; empty: the end.
  std::function<std::string()> next;
};

class Server {
 public:
  /// Called on any of several threads, at the same time too.
  using Handler = std::function<ServerAnswer(const ServerRequest&)>;
  virtual ~Server() = default;
  virtual int port() const = 0;
};

/// Listens at "HOST:PORT"; port 0 is any free one. Kind invalid for another text, network when the
/// address cannot be had.
Result<std::unique_ptr<Server>> serve(const std::string& address, Server::Handler handler);

}  // namespace kling::net
