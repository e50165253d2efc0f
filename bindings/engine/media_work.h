// What media_work.cpp and film_work.cpp share. Internal to the engine. Any thread; blocks on the
// disk.
#pragma once

#include <string>

#include "engine/media/ffmpeg.h"
#include "engine/media_source.h"

namespace kling::engine {

bool is_file(const std::string& path);
Error no_such_file(const std::string& path);
/// A name for a file in the store.
std::string short_name(const std::string& identity);
/// What people call it.
std::string label_of(const MediaSource& source);
/// The file at `path` with the cuts of `source`.
media::Segment segment_of(const MediaSource& source, const std::string& path);

}  // namespace kling::engine
