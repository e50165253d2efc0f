// http and https URLs taken apart, and the sort of address that a host is. Values only: any
// thread, never blocks. Not a general URL library: no user info, no other scheme.
#pragma once

#include <string_view>

#include "base/error.h"

namespace kling::net {

/// Where a connection goes to.
struct Origin {
  bool tls = false;
  std::string host;  ///< lower case; an IPv6 address without its brackets
  int port = 0;

  /// The host as it stands in a URL.
  std::string bracketed() const;
  /// "https://api.example.com:443", with the brackets and always with the port.
  std::string url() const;
  /// "api.example.com", "[::1]:8080": without the scheme's own port.
  std::string name() const;
  bool operator==(const Origin&) const = default;
};

struct Url {
  Origin origin;
  std::string target;  ///< path and query, from "/" on; printable ASCII only
};

/// Errors (kind invalid) never repeat the URL, which may be signed.
Result<Url> parse_url(std::string_view text);

/// True when the text holds ASCII control characters.
bool has_controls(std::string_view text);
/// "%40" for what must not stand in a path's part; for the bytes that `keep` says no to.
std::string percent_encode(std::string_view text);
std::string percent_encode(std::string_view text, bool (*keep)(unsigned char));

/// What `location` means in an answer to `base`: absolute, "//host/path", "/path" or relative.
Result<Url> resolve_url(const Url& base, std::string_view location);

/// Whether a path that a script wrote stays below the service's own address, for servers that are
/// lenient too: no segment of dots or blanks, no empty one ("//host"), nothing that can be read as
/// a dot, a slash or a host, plainly or as percent codes. Behind "?" anything printable may stand.
Status check_path(std::string_view target);

/// "host/path" for messages: no query, and shortened.
std::string display(const Url& url);

/// Bits, so that a set of them can be allowed.
enum Reach : unsigned { kLoopback = 1, kPrivate = 2, kPublic = 4, kAnywhere = 7 };

/// Of a numeric address. Everything that is not routed in the internet is private.
Reach reach_of_address(const std::string& address);

/// Of a name or address, without a look-up: "localhost" is loopback, other names are public.
Reach reach_of_host(const std::string& host);

bool is_numeric_address(const std::string& host);

}  // namespace kling::net
