// A film before it is made: its parts, and where they stand in it. Internal to this folder. Any
// thread; reading it blocks.
#pragma once

#include <cmath>
#include <span>

#include "engine/media/tool.h"

namespace kling::engine::media {

constexpr int kSampleRate = 48'000;
constexpr double kNear = 0.001;  // times are rounded on the way

/// A part of the film with what becomes of it.
struct Part {
  Segment segment;
  Source source;
  std::int64_t first = 0;   ///< the first of its own frames that is shown
  std::int64_t own = 0;     ///< so many are shown
  std::int64_t frames = 0;  ///< in the film
  std::int64_t begin = 0;   ///< the film's frames before it begins
  double from = 0, to = 0;  ///< of its own seconds
  bool by_time = false;     ///< it is cut, and its frames come at no fixed rate
  /// Samples of its sound that are heard before its picture is seen, and after.
  std::int64_t ahead = 0, behind = 0;
  bool whole() const { return own == source.frames; }
  bool sounds() const { return source.audio_index >= 0; }
};
using Parts = std::span<const Part>;

/// What all parts are conformed to.
struct Shape {
  int width = 0;
  int height = 0;
  Rate rate;
  std::string pixel_format;
  bool sound = false;  ///< of the parts' own
  std::int64_t frames = 0;
  std::int64_t blend = 0;  ///< frames that two parts have in common
  bool crop = false;
  Fade fade;
  double seconds(std::int64_t count) const { return double(count) / rate.value(); }
  std::int64_t samples(std::int64_t count) const {
    return std::llround(seconds(count) * kSampleRate);
  }
};

inline bool keeps_frames(const Part& part, const Rate& rate) {
  return part.source.constant_rate && part.source.rate == rate;
}

struct Film {
  std::vector<Part> parts;
  Shape shape;
  std::optional<Source> song;
};

/// A source as Segment::known has it.
std::string note_of(const Source& source);

/// Looks at all files, and checks that they can be a film at `out` with these options.
Result<Film> read_film(const std::vector<Segment>& segments, const std::string& out,
                       const FilmOptions& options);

}  // namespace kling::engine::media
