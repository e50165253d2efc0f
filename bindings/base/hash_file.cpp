// Apart from files.cpp, so that what reads and writes files needs no OpenSSL.
#include "base/digest.h"
#include "base/files.h"

namespace kling {

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
