// What a media file is by its first bytes, whatever its name says, and what to do with one that is
// not read here. Only file_kind_at() blocks, on the disk; any thread.
#pragma once

#include <string>
#include <string_view>

namespace kling {

struct FileKind {
  enum Family { picture, video, sound, other };
  const char* name;  ///< fit to stand after "is": "HEIC", "a playlist"
  Family family = other;
  const char* demuxer = "";  ///< the one of ffmpeg that may read it; empty: it is not read
  const char* cure = "";     ///< empty: the family's own, see cure_of()
};

/// `head` should hold the first 256 bytes.
const FileKind& file_kind(std::string_view head);
/// Of what cannot be read as a file too.
const FileKind& file_kind_at(const std::string& path);

/// What makes it fit to be sent (pictures) or joined (videos and sounds).
const char* cure_of(const FileKind& kind);

}  // namespace kling
