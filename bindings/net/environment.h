// What connections start from, read once: certificates, proxies, the name that servers see. From
// the environment's variables, unless the program says otherwise. Thread-safe; tls() reads files at
// its first call.
#pragma once

#include <mutex>
#include <optional>

#include "net/url.h"

struct ssl_ctx_st;

namespace kling::net {

struct Proxy {
  std::string host;
  int port = 0;
  std::string user;
  std::string password;
};

/// What a program chooses itself; empty: as the environment says.
struct NetworkOptions {
  std::string ca_file;     ///< of certificates to trust, instead of the system's
  std::string proxy;       ///< http://user:password@host:port
  std::string user_agent;  ///< such as "MyGame/1.2", told to servers before our own name
};

class Environment {
 public:
  explicit Environment(const NetworkOptions& chosen = {});  ///< reads the variables
  ~Environment();

  /// The proxy for an origin, if any; never for loopback. Error (invalid): a proxy of a kind that
  /// is not supported.
  Result<std::optional<Proxy>> proxy_for(const Origin& origin) const;

  const std::string& user_agent() const { return user_agent_; }

  /// What TLS connections start from: TLS 1.2 at least, and the certificates to trust, which are
  /// those of SSL_CERT_FILE and SSL_CERT_DIR, else of the system's folder. Loaded once and shared,
  /// as each load of a bundle costs 40 ms. Error (network): there are none.
  Result<ssl_ctx_st*> tls();

 private:
  std::string trust_file_;
  std::string trust_folder_;
  std::string trust_from_ = "SSL_CERT_FILE";  ///< who named the file
  std::string http_proxy_;
  std::string https_proxy_;
  std::string no_proxy_;
  std::string user_agent_ = "kling-lua/0.1";
  bool proxy_chosen_ = false;
  std::mutex mutex_;
  ssl_ctx_st* tls_ = nullptr;
};

}  // namespace kling::net
