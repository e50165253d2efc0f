// Reads a request body as blocks to be sent: text as it is, files as Base64. What it guards: a
// file that is not what was checked never gets its last block out. Not thread-safe; reads files.
#pragma once

#include "base/descriptor.h"
#include "base/digest.h"
#include "net/transport.h"

namespace kling::net {

class BodyReader {
 public:
  /// Opens the files and compares their sizes. REQUIRES: `body` outlives the reader.
  static Result<BodyReader> open(const Body& body);

  /// Of what next() will give in all.
  std::uint64_t size() const { return size_; }
  bool started() const { return started_; }

  /// The next block, valid until the next call; empty after the last. Errors (kind media): the
  /// file changed, shrank or cannot be read.
  Result<std::string_view> next();

 private:
  explicit BodyReader(const Body& body) : body_(&body) {}

  const Body* body_;
  std::vector<Descriptor> files_;  ///< one per piece; empty for text
  std::uint64_t size_ = 0;
  bool started_ = false;
  std::size_t piece_ = 0;
  std::uint64_t offset_ = 0;      ///< within the piece
  std::optional<Sha256> digest_;  ///< of a file
  std::string raw_;
  std::string block_;
};

}  // namespace kling::net
