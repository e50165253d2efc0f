#include "sim/auth.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/digest.h"

namespace kling::sim {
namespace {

std::string hmac(const std::string& key, const std::string& text) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest, &size);
  return std::string(reinterpret_cast<const char*>(digest), size);
}

/// Base64url without padding, as tokens use it.
std::string decoded(std::string text) {
  for (char& c : text) c = c == '-' ? '+' : c == '_' ? '/' : c;
  text.append((4 - text.size() % 4) % 4, '=');
  std::string data;
  return base64_decode(text, data) ? data : std::string();
}

std::optional<Refusal> check_token(const Options& options, const std::string& token, Millis now) {
  const auto first = token.find('.'), last = token.rfind('.');
  if (first == std::string::npos || first == last) return refusal(1002, "token");
  const std::string body = token.substr(0, last);
  if (hmac(options.secret_key, body) != decoded(token.substr(last + 1))) return refusal(1002);
  const Json claims =
      Json::parse(decoded(token.substr(first + 1, last - first - 1)), nullptr, false);
  const auto seconds = [&](const char* name) {
    const Json* claim = member_of(claims, name);
    return claim != nullptr && claim->is_number() ? claim->get<Millis>() : 0;
  };
  if (text_of(claims, "iss") != options.access_key) return refusal(1002);
  if (seconds("nbf") > now / 1000) return refusal(1003);
  if (seconds("exp") <= now / 1000) return refusal(1004);
  return {};
}

}  // namespace

std::optional<Refusal> check_authorization(const Options& options, const std::string& header,
                                           Millis now) {
  const std::string bearer = "Bearer ";
  if (header.empty()) return refusal(1001);
  if (header.rfind(bearer, 0) != 0 || header.size() == bearer.size()) return refusal(1002);
  const std::string token = header.substr(bearer.size());
  if (!options.secret_key.empty()) return check_token(options, token, now);
  if (!options.key.empty() && options.key != token) return refusal(1002);
  return {};
}

}  // namespace kling::sim
