// One HTTP exchange with the service, behind the guard rails that cpp-httplib 0.11.4 needs. Not a
// retry policy: it sends once and says exactly how far it came. Thread-safe; send() blocks, at most
// for the request's deadline (a name look-up that hangs is abandoned, not awaited).
#pragma once

#include <chrono>
#include <ctime>
#include <memory>

#include "api/decoder.h"
#include "net/environment.h"

namespace kling::net {

using Milliseconds = std::chrono::milliseconds;
using Headers = std::vector<std::pair<std::string, std::string>>;

/// A request body in pieces, so that a picture need not be in memory: text, or a file's bytes sent
/// as Base64.
struct BodyPiece {
  std::string text;        ///< sent as it is, when `path` is empty
  std::string path;        ///< a local file, streamed as Base64
  std::uint64_t size = 0;  ///< its size in bytes when it was checked
  std::string sha256;      ///< its digest when it was checked; a mismatch aborts the request
                           ///< before its last block, so that the service cannot accept it
};
using Body = std::vector<BodyPiece>;

struct HttpRequest {
  std::string method = "GET";  ///< GET or POST
  std::string target;          ///< path with query, from "/" on
  Headers headers;             ///< control characters are refused (Kind::invalid)
  Body body;
  std::string content_type = "application/json";
  Milliseconds deadline{30'000};        ///< of the whole exchange, real time
  std::size_t response_cap = 8u << 20;  ///< bytes of the answer's body
  std::function<void(double)> on_part;  ///< how much of the body is out, 0 to 1; may be null
  bool fresh_connection = false;        ///< creates: never on a connection used before
};

struct HttpOutcome {
  enum class Stage {
    answered,  ///< status, headers and body are valid
    not_sent,  ///< DNS, connect, TLS, refused here, or cut off before the last byte of the body and
               ///< any answer: the service cannot have seen a whole request
    aborted,   ///< we stopped before the last block of the body: it cannot have been accepted
    lost,      ///< sent, or answered in part, no whole answer: it may have been accepted
  };
  Stage stage = Stage::not_sent;
  int status = 0;
  std::string content_type;
  std::string retry_after;  ///< as sent; empty: none
  std::string date;
  Origin origin;         ///< of the service
  std::string leads_to;  ///< of a redirect: the address without its query; empty: none
  std::string base_url;  ///< the one that leads there at once; empty: none does
  std::string body;
  Error error;  ///< when not answered: kind network, timeout, protocol (over the cap), media, …
};

class Transport {
 public:
  virtual ~Transport() = default;
  virtual HttpOutcome send(const HttpRequest& request) = 0;
  /// Ends running exchanges soon and lets later ones fail. Never blocks.
  virtual void stop() = 0;
};

struct TransportOptions {
  std::string base_url;   ///< scheme, host, port and an optional path prefix
  bool insecure = false;  ///< allows http:// elsewhere than on loopback
  Milliseconds connect_timeout{10'000};
  Milliseconds read_timeout{60'000};  ///< between two bytes
  Milliseconds write_timeout{60'000};
  std::shared_ptr<Environment> environment;  ///< null: one of the variables' own
  Milliseconds idle_reuse{1'000};  ///< an idle connection older than this is not used again
};

/// Kind invalid: scheme, user info, control characters, http:// elsewhere than on loopback.
Status check_base_url(const std::string& base_url, bool insecure);
/// Checks the base URL, and the proxy (kind invalid). No network or thread until the first send().
Result<std::shared_ptr<Transport>> make_transport(const TransportOptions& options);

/// "api.cometapi.com", "127.0.0.1:8080/prefix": host in lower case, default port left out.
Result<std::string> service_address(const std::string& base_url);

/// "cpp-httplib 0.11.4, OpenSSL 3.0.17"
std::string library_versions();

/// What an answer to a create, else to a query, says of a task; and where a redirect leads.
api::Answer read_answer(const HttpOutcome& outcome, bool create = false);

/// Of a date in a header: seconds since 1970; 0 for what is none.
std::time_t http_date(const std::string& text);

}  // namespace kling::net
