#include "net/url.h"

#include <algorithm>
#include <cctype>
#include <charconv>

#include <arpa/inet.h>

#include "api/text.h"
#include "net/failure.h"

namespace kling::net {
namespace {

/// As a look-up may find it: what ends in a number is an address, of which there is one spelling.
bool is_host_name(const std::string& host) {
  const std::size_t end = host.find_last_not_of("0123456789");
  const bool number = end + 1 < host.size() && (end == host.npos || host[end] == '.');
  return !host.empty() && host.size() <= 253 && !host.starts_with('.') &&
         host.find("..") == host.npos &&
         host.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789.-_") == host.npos &&
         (!number || is_numeric_address(host));
}

bool is_ipv6(const std::string& host) {
  in6_addr bytes;
  return ::inet_pton(AF_INET6, host.c_str(), &bytes) == 1;
}

/// "host", "host:port", "[v6]:port".
Status parse_authority(std::string_view text, Origin& origin) {
  if (text.find('@') != text.npos) return invalid("a URL with user name or password is refused");
  std::string_view port;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == text.npos) return invalid("the URL's address has no closing bracket");
    origin.host = api::lower(text.substr(1, end - 1));
    if (!is_ipv6(origin.host)) return invalid("the URL has no valid IPv6 address");
    port = text.substr(end + 1);
    if (!port.empty() && port.front() != ':') return invalid("the URL's host is malformed");
    if (!port.empty()) port.remove_prefix(1);
  } else {
    const std::size_t colon = text.find(':');
    origin.host = api::lower(text.substr(0, colon));
    if (!is_host_name(origin.host)) return invalid("the URL has no valid host name");
    if (colon != text.npos) port = text.substr(colon + 1);
  }
  origin.port = origin.tls ? 443 : 80;
  if (port.empty()) return Done{};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), origin.port);
  if (error != std::errc() || end != port.data() + port.size() || origin.port < 1 ||
      origin.port > 65535)
    return invalid("the URL's port is not a number from 1 to 65535");
  return Done{};
}

Reach reach_of_ipv4(std::uint32_t address) {
  const auto in = [address](std::uint32_t network, int bits) {
    return (address ^ network) >> (32 - bits) == 0;
  };
  if (in(0x7f000000, 8)) return kLoopback;
  const bool local = in(0, 8) || in(0x0a000000, 8) || in(0x64400000, 10) || in(0xa9fe0000, 16) ||
                     in(0xac100000, 12) || in(0xc0000000, 24) || in(0xc0a80000, 16) ||
                     in(0xc6120000, 15) || in(0xe0000000, 3);
  return local ? kPrivate : kPublic;
}

std::uint32_t big_endian(const unsigned char* bytes) {
  return std::uint32_t(bytes[0]) << 24 | std::uint32_t(bytes[1]) << 16 |
         std::uint32_t(bytes[2]) << 8 | bytes[3];
}

}  // namespace

bool has_controls(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string percent_encode(std::string_view text, bool (*keep)(unsigned char)) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (keep(c))
      encoded += char(c);
    else
      encoded += {'%', kDigits[c >> 4], kDigits[c & 15]};
  }
  return encoded;
}

std::string percent_encode(std::string_view text) {
  return percent_encode(text, [](unsigned char c) {
    return std::isalnum(c) != 0 || std::string_view("-_.~").find(char(c)) != std::string_view::npos;
  });
}

std::string Origin::bracketed() const {
  return host.find(':') == host.npos ? host : "[" + host + "]";
}

std::string Origin::url() const {
  return (tls ? "https://" : "http://") + bracketed() + ":" + std::to_string(port);
}

std::string Origin::name() const {
  return port == (tls ? 443 : 80) ? bracketed() : bracketed() + ":" + std::to_string(port);
}

Result<Url> parse_url(std::string_view text) {
  if (has_controls(text) || text.find_first_of(" \\") != text.npos)
    return invalid("the URL contains a space, a backslash or a control character");
  Url url;
  const std::string scheme = api::lower(text.substr(0, text.find("://")));
  if (scheme != "http" && scheme != "https")
    return invalid("the URL must start with https:// or http://");
  url.origin.tls = scheme == "https";
  text.remove_prefix(scheme.size() + 3);
  text = text.substr(0, text.find('#'));
  const std::size_t end = std::min(text.find_first_of("/?"), text.size());
  if (Status status = parse_authority(text.substr(0, end), url.origin); !status)
    return status.error();
  url.target = percent_encode(text.substr(end), [](unsigned char c) { return c < 0x80; });
  if (!url.target.starts_with('/')) url.target.insert(0, "/");
  return url;
}

/// A path without "." and "..", as in RFC 3986, 5.2.4.
static std::string without_dots(std::string_view path) {
  std::string result;
  for (std::size_t at = 0, end = 0; at < path.size(); at = end) {
    end = std::min(path.find('/', at + 1), path.size());
    const std::string_view segment = path.substr(at + 1, end - at - 1);
    const bool last = end == path.size();
    if (segment == "..") result.resize(result.empty() ? 0 : result.rfind('/'));
    if (segment != "." && segment != "..")
      (result += '/') += segment;
    else if (last)
      result += '/';
  }
  return result;
}

Result<Url> resolve_url(const Url& base, std::string_view location) {
  if (location.find(':') < location.find_first_of("/?#")) return parse_url(location);
  if (location.starts_with("//"))
    return parse_url((base.origin.tls ? "https:" : "http:") + std::string(location));
  const std::size_t end = std::min(location.find_first_of("?#"), location.size());
  const std::string rest(location.substr(end));
  location = location.substr(0, end);
  if (location.starts_with('/'))
    return parse_url(base.origin.url() + without_dots(location) + rest);
  const std::string path = base.target.substr(0, base.target.find('?'));
  if (location.empty()) return parse_url(base.origin.url() + path + rest);
  const std::string folder = path.substr(0, path.rfind('/') + 1);
  return parse_url(base.origin.url() + without_dots(folder + std::string(location)) + rest);
}

Status check_path(std::string_view target) {
  const char* const kHint = "write the path as the service's documents do, from / on";
  if (!target.starts_with('/')) return invalid("the path must start with /", kHint);
  std::string path;
  for (std::size_t i = 0, length = 1; i < target.size() && target[i] != '?'; i += length) {
    unsigned code = static_cast<unsigned char>(target[i]);
    const std::string_view piece = target.substr(i, code == '%' ? 3 : 1);
    const char* const end = piece.data() + piece.size();
    const bool coded = piece.size() == 3 && std::from_chars(end - 2, end, code, 16).ptr == end;
    const bool plain = (code < 0x80 && std::isalnum(int(code)) != 0) ||
                       (code > ' ' && code < 0x7f &&
                        std::string_view("\\@#%?").find(char(code)) == std::string_view::npos);
    // Coded twice, or in a way of its own, it is for a lenient server to say what it means.
    if (!plain && !(coded && (code == ' ' || code >= 0x80)))
      return invalid(
          "the path holds \"" + api::excerpt(piece, 9) + "\", which has no place there",
          piece == "#" ? "a # ends an address: leave out what stands from it on" : kHint);
    path += char(code);
    length = piece.size();
  }
  // Overlong forms, and those that stand for ASCII or look like it: servers make them equal.
  const std::size_t odd = std::min(api::bad_utf8(path), path.find_first_of("\xC2\xE2\xEF"));
  if (odd < path.size())
    return invalid("the path leads elsewhere: some servers take \"" +
                       percent_encode(path.substr(odd, 3)) + "\" for a dot or a slash",
                   kHint);
  for (std::size_t at = 0, end = 0; at < path.size(); at = end) {
    end = std::min(path.find('/', at + 1), path.size());
    const std::string segment = path.substr(at + 1, end - at - 1);
    const std::string_view name = std::string_view(segment).substr(0, segment.find(';'));
    if (name.find_first_not_of(". ") == name.npos && (!segment.empty() || end < path.size()))
      return invalid("the path leads elsewhere: it has the part \"" + segment + "\"", kHint);
  }
  if (has_controls(target)) return invalid("the path's query holds a control character", kHint);
  return Done{};
}

std::string display(const Url& url) {
  std::string path = url.target.substr(0, url.target.find('?'));
  if (path.size() > 60) path = path.substr(0, 24) + "..." + path.substr(path.size() - 32);
  return url.origin.name() + path;
}

Reach reach_of_address(const std::string& address) {
  unsigned char bytes[16];
  if (::inet_pton(AF_INET, address.c_str(), bytes) == 1) return reach_of_ipv4(big_endian(bytes));
  // A scope as in "fe80::1%eth0" only occurs with link-local addresses.
  if (::inet_pton(AF_INET6, address.substr(0, address.find('%')).c_str(), bytes) != 1)
    return kPrivate;
  const bool zeros = std::all_of(bytes, bytes + 10, [](unsigned char b) { return b == 0; });
  if (zeros && bytes[10] == 0xff && bytes[11] == 0xff) return reach_of_ipv4(big_endian(bytes + 12));
  if (zeros && bytes[10] == 0 && bytes[11] == 0 && big_endian(bytes + 12) == 1) return kLoopback;
  return (bytes[0] & 0xe0) == 0x20 ? kPublic : kPrivate;  // 2000::/3 is all that is routed
}

Reach reach_of_host(const std::string& host) {
  if (is_numeric_address(host)) return reach_of_address(host);
  return host == "localhost" || host.ends_with(".localhost") ? kLoopback : kPublic;
}

bool is_numeric_address(const std::string& host) {
  in_addr bytes;
  return ::inet_pton(AF_INET, host.c_str(), &bytes) == 1 || is_ipv6(host);
}

}  // namespace kling::net
