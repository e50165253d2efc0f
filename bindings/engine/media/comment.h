// What is said of a clip in the clip itself, without ffmpeg: the comment among an MP4's metadata.
// Any thread; blocks on the disk. Inputs are untrusted files.
#pragma once

#include <string>

#include "base/error.h"

namespace kling::engine::media {

/// Writes a copy of the MP4 at `from` that has this comment, and nothing else of it changed: its
/// pictures and sounds are the same bytes. False when it is no MP4 that can be copied so; then
/// nothing was written.
Result<bool> copy_with_comment(const std::string& from, const std::string& to,
                               const std::string& comment);

}  // namespace kling::engine::media
