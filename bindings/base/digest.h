// SHA-256, HMAC and Base64 over OpenSSL. Values only; any thread, never blocks.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace kling {

/// SHA-256 of data that arrives in pieces.
class Sha256 {
 public:
  Sha256();
  void update(std::string_view data);
  /// 64 lower-case hex digits. Ends this digest: update no more.
  std::string hex();

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
};

/// 64 lower-case hex digits.
std::string sha256_hex(std::string_view data);

std::string hmac_sha256(std::string_view key, std::string_view data);
/// Compares in a time that does not tell where they differ.
bool equal_secrets(std::string_view a, std::string_view b);
std::string hex(std::string_view data);

std::string base64_encode(std::string_view data);
constexpr std::size_t base64_size(std::size_t size) { return (size + 2) / 3 * 4; }
/// Decodes standard Base64, white space ignored. False when it is none; `out` is then unchanged.
bool base64_decode(std::string_view text, std::string& out);

/// `count` random bytes of the system's generator, as hex digits (twice as many characters).
std::string random_hex(std::size_t count);

}  // namespace kling
