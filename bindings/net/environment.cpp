#include "net/environment.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <sstream>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "api/text.h"
#include "base/leaving.h"
#include "net/failure.h"

namespace kling::net {
namespace {

constexpr const char* kSystemFolder = "/etc/ssl/certs";

std::string first_set(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return {};
}

/// "%40" is a character in a user name or password.
std::string percent_decode(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string digits(text.substr(i + 1, 2));
    if (text[i] == '%' && digits.size() == 2 &&
        digits.find_first_not_of("0123456789abcdefABCDEF") == digits.npos) {
      result += char(std::stoi(digits, nullptr, 16));
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

/// "example.com", ".example.com", "*.example.com": the domain and all below; with ":port" only it.
bool covers(std::string_view entry, const Origin& origin) {
  if (entry == "*") return true;
  if (entry.starts_with("*")) entry.remove_prefix(1);
  if (entry.starts_with(".")) entry.remove_prefix(1);
  const std::string port = ":" + std::to_string(origin.port);
  if (entry.ends_with(port) && entry.find(':') == entry.size() - port.size())
    entry.remove_suffix(port.size());
  if (entry.empty() || !origin.host.ends_with(entry)) return false;
  const std::size_t before = origin.host.size() - entry.size();
  return before == 0 || origin.host[before - 1] == '.';
}

bool is_excepted(std::string list, const Origin& origin) {
  std::replace(list.begin(), list.end(), ',', ' ');
  std::istringstream entries(list);
  for (std::string entry; entries >> entry;)
    if (covers(entry, origin)) return true;
  return false;
}

}  // namespace

Environment::Environment(const NetworkOptions& chosen)
    : trust_file_(first_set({"SSL_CERT_FILE"})),
      trust_folder_(first_set({"SSL_CERT_DIR"})),
      http_proxy_(first_set({"http_proxy", "HTTP_PROXY"})),
      https_proxy_(first_set({"https_proxy", "HTTPS_PROXY"})),
      no_proxy_(first_set({"no_proxy", "NO_PROXY"})) {
  if (!chosen.ca_file.empty()) {
    trust_file_ = chosen.ca_file;
    trust_from_ = "ca_file";
    trust_folder_.clear();
  }
  if (trust_folder_.empty() && trust_file_.empty()) trust_folder_ = kSystemFolder;
  if (proxy_chosen_ = !chosen.proxy.empty(); proxy_chosen_)
    http_proxy_ = https_proxy_ = chosen.proxy;
  if (!chosen.user_agent.empty()) user_agent_ = chosen.user_agent + " " + user_agent_;
}

Environment::~Environment() {
  const NoFork whole;
  ::SSL_CTX_free(tls_);
}

Result<std::optional<Proxy>> Environment::proxy_for(const Origin& origin) const {
  std::string text = origin.tls ? https_proxy_ : http_proxy_;
  if (text.empty() || reach_of_host(origin.host) == kLoopback || is_excepted(no_proxy_, origin))
    return std::optional<Proxy>();
  Proxy proxy;
  if (text.find("://") == text.npos) text.insert(0, "http://");
  const std::size_t start = text.find("://") + 3;
  const std::size_t at = text.rfind('@');
  if (at != text.npos && at > start) {
    const std::string user_info = text.substr(start, at - start);
    const std::size_t colon = std::min(user_info.find(':'), user_info.size());
    proxy.user = percent_decode(std::string_view(user_info).substr(0, colon));
    if (colon < user_info.size())
      proxy.password = percent_decode(std::string_view(user_info).substr(colon + 1));
    text.erase(start, at + 1 - start);
  }
  Result<Url> url = parse_url(text);
  if (!url || url->origin.tls) {
    return invalid(std::string("the proxy in ") +
                       (proxy_chosen_ ? "option proxy"
                        : origin.tls  ? "HTTPS_PROXY"
                                      : "HTTP_PROXY") +
                       " is not usable: it must be http://host:port, not \"" +
                       api::excerpt(text, 80) + "\"",
                   "change it, or name the service's host in NO_PROXY");
  }
  proxy.host = url->origin.host;
  proxy.port = url->origin.port;
  return std::optional<Proxy>(std::move(proxy));
}

Result<ssl_ctx_st*> Environment::tls() {
  std::lock_guard lock(mutex_);
  if (tls_ != nullptr) return tls_;
  static constexpr const char* kHint =
      "install the package ca-certificates, or set SSL_CERT_FILE, or the option ca_file, to a "
      "file of certificates";
  std::error_code ignored;
  if (trust_folder_ == kSystemFolder && !std::filesystem::exists(trust_folder_, ignored))
    return permanent(
        std::string("there are no trusted certificates: ") + kSystemFolder + " is missing", kHint);
  const NoFork whole;
  SSL_CTX* made = ::SSL_CTX_new(::TLS_client_method());
  if (made == nullptr) return failure(Kind::network, "OpenSSL cannot be set up");
  const bool loaded =
      (trust_file_.empty() || ::SSL_CTX_load_verify_file(made, trust_file_.c_str()) == 1) &&
      (trust_folder_.empty() || ::SSL_CTX_load_verify_dir(made, trust_folder_.c_str()) == 1);
  ::ERR_clear_error();
  if (!loaded) {
    ::SSL_CTX_free(made);
    return permanent(trust_from_ + " (" + trust_file_ + ") " +
                         (std::filesystem::exists(trust_file_, ignored)
                              ? "holds no certificates that can be read"
                              : "is no file that is there"),
                     "name a file of certificates (PEM) there, or leave it out");
  }
  ::SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nullptr);
  ::SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
  // A time-out is for each record then, not for a whole block.
  ::SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE);
  ::SSL_CTX_set_options(made, SSL_OP_IGNORE_UNEXPECTED_EOF);
  return tls_ = made;
}

}  // namespace kling::net
