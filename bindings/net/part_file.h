// The unfinished file of a download: "<path>.part", and beside it "<path>.part.info", which says
// what it is part of, so that another run can go on where this one stopped. Gathers small pieces
// into large writes and hashes them. Not thread-safe; blocks on the disk. Locked: a second
// download onto the same path works on a file of its own and resumes nothing.
#pragma once

#include <cstdint>

#include "base/descriptor.h"
#include "base/digest.h"
#include "base/error.h"

namespace kling::net {

class PartFile {
 public:
  /// What the bytes are part of. Signatures in a URL change, so its query does not count.
  struct Source {
    std::string place;        ///< host and path
    std::string validator;    ///< ETag or Last-Modified; empty: it cannot be resumed
    std::uint64_t total = 0;  ///< 0: unknown
  };

  /// Errors (kind media): the folder is missing or cannot be written.
  static Result<PartFile> open(const std::string& path);

  std::uint64_t size() const { return size_ + gathered_.size(); }
  const Source& source() const { return source_; }

  /// Empties it and notes what comes next.
  Status restart(Source source);
  /// Keeps what is there, reading it once for its digest.
  Status resume();
  Status append(std::string_view data);
  Status flush();
  /// Its first bytes, at most 256.
  std::string start() const;
  struct Boxes {
    bool cut = false;  ///< one is longer than what is there: the rest is missing
    bool moov = false, mdat = false;
  };
  /// What an MP4 consists of, read from the disk.
  Boxes boxes() const;
  /// Writes all, renames it onto the path, and gives the digest of the whole.
  Result<std::string> commit();
  /// Removes it and its note.
  void discard();

 private:
  PartFile() = default;
  Error failed(const char* verb, int error_number) const;
  std::string note() const { return part_ + ".info"; }
  void read_note();

  std::string path_;
  std::string part_;
  Descriptor file_;
  Source source_;
  Sha256 digest_;
  std::uint64_t size_ = 0;
  std::string gathered_;
};

}  // namespace kling::net
