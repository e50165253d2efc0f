#include "base/digest.h"

#include <algorithm>
#include <cctype>
#include <stdexcept>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/files.h"

namespace kling {

void Sha256::Free::operator()(evp_md_ctx_st* context) const {
  const NoFork whole;
  EVP_MD_CTX_free(context);
}

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  const NoFork whole;
  if (!context_ || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
    throw std::runtime_error("SHA-256 is not available in this OpenSSL");
}

void Sha256::update(std::string_view data) {
  const NoFork whole;
  EVP_DigestUpdate(context_.get(), data.data(), data.size());
}

std::string Sha256::hex() {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  {
    const NoFork whole;
    EVP_DigestFinal_ex(context_.get(), bytes, &size);
  }
  return kling::hex({reinterpret_cast<const char*>(bytes), size});
}

std::string sha256_hex(std::string_view data) {
  Sha256 digest;
  digest.update(data);
  return digest.hex();
}

std::string hmac_sha256(std::string_view key, std::string_view data) {
  unsigned char bytes[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  const NoFork whole;
  if (HMAC(EVP_sha256(), key.data(), int(key.size()),
           reinterpret_cast<const unsigned char*>(data.data()), data.size(), bytes,
           &size) == nullptr)
    throw std::runtime_error("HMAC-SHA256 is not available in this OpenSSL");
  return {reinterpret_cast<const char*>(bytes), size};
}

bool equal_secrets(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string hex(std::string_view data) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  text.reserve(data.size() * 2);
  for (const unsigned char byte : data) text += {kDigits[byte >> 4], kDigits[byte & 15]};
  return text;
}

std::string base64_encode(std::string_view data) {
  std::string text(base64_size(data.size()) + 1, '\0');  // EVP_EncodeBlock ends with a zero byte
  const int written =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(data.data()), int(data.size()));
  text.resize(static_cast<std::size_t>(written));
  return text;
}

bool base64_decode(std::string_view text, std::string& out) {
  std::string compact;
  compact.reserve(text.size());
  std::copy_if(text.begin(), text.end(), std::back_inserter(compact),
               [](unsigned char c) { return std::isspace(c) == 0; });
  while (compact.size() % 4 != 0) compact += '=';  // some writers leave the padding out
  std::string bytes(compact.size() / 4 * 3, '\0');
  const int written =
      EVP_DecodeBlock(reinterpret_cast<unsigned char*>(bytes.data()),
                      reinterpret_cast<const unsigned char*>(compact.data()), int(compact.size()));
  if (written < 0) return false;
  const std::size_t padding =
      compact.size() - std::min(compact.size(), compact.find_last_not_of('=') + 1);
  // OpenSSL reads an inner '=' as zero bits.
  if (padding > 2 || compact.find('=') < compact.size() - padding) return false;
  bytes.resize(static_cast<std::size_t>(written) - padding);
  out = std::move(bytes);
  return true;
}

std::string random_hex(std::size_t count) {
  std::string bytes(count, '\0');
  const NoFork whole;
  if (RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), int(count)) != 1)
    throw std::runtime_error("the system gives no random numbers");
  return hex(bytes);
}

Result<std::string> hash_file(const std::string& path, std::uint64_t* size) {
  Sha256 digest;
  std::uint64_t total = 0;
  Status status = read_pieces(path, [&](std::string_view piece) {
    digest.update(piece);
    total += piece.size();
    return true;
  });
  if (!status) return status.error();
  if (size != nullptr) *size = total;
  return digest.hex();
}

}  // namespace kling
