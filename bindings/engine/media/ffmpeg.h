// Frames and films by the ffmpeg and ffprobe programs, as child processes (argv, no shell, only
// the file protocol, bounded in time and size). Not a decoder of ours. Any thread; every function
// blocks for the length of the work. Inputs are untrusted files.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/error.h"

namespace kling::engine::media {

struct Probe {
  double duration = 0;  ///< seconds, of the container
  int width = 0;
  int height = 0;
  double fps = 0;
  std::int64_t frames = 0;  ///< video frames, counted by decoding when `count_frames`; else 0
  std::string video_codec;  ///< "h264"; empty: no video stream
  std::string audio_codec;  ///< empty: no audio stream
  std::uint64_t bytes = 0;
};

/// Looks at a local media file. Errors: media.
Result<Probe> probe(const std::string& path, bool count_frames = false);

/// Writes the last *video* frame as PNG, also when the audio outlasts the video; checks the PNG by
/// reading it back.
Status last_frame(const std::string& video, const std::string& png);

/// Writes the frame shown at `seconds` (0 ≤ seconds < duration; later gives an error that names
/// the length).
Status frame_at(const std::string& video, double seconds, const std::string& png);

/// One part of a film.
struct Segment {
  std::string path;
  bool drop_first_frame = false;  ///< it repeats the last frame of the part before (a chained clip)
  double still_seconds = 0;       ///< > 0: `path` is a picture, shown this long
};

struct FilmResult {
  std::int64_t frames = 0;
  bool reencoded = false;
};

/// Joins the parts into an MP4 at `out`, conforming all to the first part's size, rate and pixel
/// format (letterboxed, never stretched); silence is put in where only some parts have sound.
/// Copies streams only when nothing is cut and all parts are alike; else encodes again. `out`
/// appears only when it is whole and decodes. The sum of frames minus the dropped ones is kept.
/// The sound of `audio`, a file, takes the place of the parts' own; it is cut at the film's end, or
/// followed by silence.
Result<FilmResult> concat(const std::vector<Segment>& parts, const std::string& out,
                          const std::string& audio = "");

}  // namespace kling::engine::media
