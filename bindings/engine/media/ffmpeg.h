// Frames and films by the ffmpeg and ffprobe programs, as child processes (argv, no shell, only
// the file protocol, bounded in time and size). Not a decoder of ours. Any thread; every function
// blocks for the length of the work. Inputs are untrusted files.
#pragma once

#include <atomic>
#include <chrono>

#include <nlohmann/json_fwd.hpp>

#include "api/request.h"

namespace kling::engine::media {

struct Probe {
  double duration = 0;  ///< seconds, of the container
  int width = 0;
  int height = 0;
  double fps = 0;           ///< the nominal rate; the average where the frames come at no fixed one
  std::int64_t frames = 0;  ///< video frames, counted by decoding when `count_frames`; else 0
  std::string video_codec;  ///< "h264"; empty: no video stream
  std::string audio_codec;  ///< empty: no audio stream
  std::uint64_t bytes = 0;
};

/// Looks at a local media file. Errors: media.
Result<Probe> probe(const std::string& path, bool count_frames = false);

/// What a person should know of a result that was made all the same.
using Warn = std::function<void(const std::string&)>;

/// How far the work is: seconds written, or the part of all.
using Reached = std::function<void(double)>;

/// Who is told, of this thread, which program works on which file when it has said nothing for so
/// long; null: nobody. `cancel`, when set, ends the programs of this thread.
void tell_delays(Warn tell, std::chrono::milliseconds after = std::chrono::seconds(10),
                 const std::atomic<bool>* cancel = nullptr);

/// Takes away what is half written, as the process ends before its workers do.
void drop_parts();

/// Where ffmpeg and ffprobe lie, for the whole process; empty: on PATH.
void use_tools(const std::string& folder);
/// The program of that name: its name alone where PATH decides.
std::string tool(const char* name);

/// Whether ffmpeg and ffprobe on PATH run and have what is used here; every verb of this file asks
/// first. The answer is kept for as long as PATH is the same.
Status check_ffmpeg();

/// Of a PNG, JPEG or WebP file. Error: it is cut off, or nobody can decode it.
Result<ImageFacts> look_at_picture(const std::string& path);

/// Writes the last *video* frame as PNG, also when the audio outlasts the video; checks the PNG by
/// reading it back. Frames are upright and have square pixels.
Status last_frame(const std::string& video, const std::string& png, const Warn& warn);

/// How much longer a generated clip may be told than it is: what lies so far beyond it is its end.
inline constexpr double kToldSlack = 0.25;

/// Writes the frame shown at `seconds` (0 ≤ seconds < duration; later gives an error that names
/// the length).
Status frame_at(const std::string& video, double seconds, const std::string& png, const Warn& warn,
                bool generated = false);

/// Writes a picture again, upright, as `out`'s name says: .png, else JPEG. `ready` comes before
/// what lies there is replaced.
Status convert_picture(const std::string& picture, const std::string& out,
                       const std::function<Status()>& ready);

/// One picture of a contact sheet.
struct Cell {
  std::string path;  ///< a picture or a video
  double share = 0;  ///< of a video: how far into it, 0 to 1
  std::string label;
};

/// Writes a PNG of small pictures, `columns` in a row, with their labels below where there is a
/// font. All have the shape of the first; the others lie in black.
Status sheet(const std::vector<Cell>& cells, int columns, bool labels, const std::string& png,
             const Warn& warn);

/// One part of a film.
struct Segment {
  std::string path;
  bool drop_first_frame = false;  ///< it repeats the last frame of the part before (a chained clip)
  double still_seconds = 0;       ///< > 0: `path` is a picture, shown this long
  bool generated = false;         ///< the first of these decides the film's size and rate
  double from = 0;                ///< of a video: what comes before is not shown
  double to = 0;                  ///< > 0: nor is what comes from here on
  bool mute = false;
  std::string name;   ///< of its shot, for messages
  std::string known;  ///< FilmResult::found of a file with these bytes; empty: look
};

/// Seconds at the beginning and at the end.
struct Fade {
  double from = 0, to = 0;
};

struct FilmOptions {
  double crossfade = 0;  ///< seconds that a part goes over into the next, picture and sound
  Fade fade;             ///< from and to black and silence
  int width = 0, height = 0;
  double fps = 0;
  bool crop = false;  ///< parts of another shape fill the picture, instead of lying in a box
  std::string audio;  ///< a sound file, which takes the place of the parts' own sound
  double volume = 1;
  bool loop = false;
  Fade audio_fade;
  double mix = 0;  ///< how loud the parts' own sound stays under it
  /// The film lies there with just this picture; only its sound is made.
  bool keep_picture = false;
};

/// What a script wrote, checked: the error (kind invalid) names field, value and limit.
Result<FilmOptions> film_options(const nlohmann::json& written, const char* verb = "concat");
/// Refuses a path whose name is not one of what is written there: a clip (or film), a timeline.
Status check_ending(const std::string& path, bool timeline);
Status still_options(const nlohmann::json& written, double& seconds, double& at);
Status sheet_options(const nlohmann::json& written, int& columns, int& frames, bool& labels);

struct FilmResult {
  std::int64_t frames = 0;
  double seconds = 0;
  int width = 0, height = 0;
  bool reencoded = false;  ///< the picture; sound always is, so that it has no gap at a seam
  std::vector<std::string> found;  ///< in each part's file, as JSON
};

/// The film as a timeline for an editor: the text of an OpenTimelineIO file at `out`. `told` has
/// for each part its "name", what is told of it as "metadata", and the files of its other "takes".
Result<std::string> timeline(const std::vector<Segment>& parts, const std::string& out,
                             const FilmOptions& options, const nlohmann::json& told);

/// Joins the parts into an MP4 at `out`, which appears only when it is whole and decodes. Without
/// options of their own, size and nominal rate are those of the first generated clip (without one:
/// of the first moving part); parts are never stretched. The picture is copied when nothing is cut
/// or blended and all that a player shows is alike in all parts; else it is encoded again, as
/// BT.709. The sum of frames minus dropped, cut and blended ones is kept. Each part's sound lasts
/// as long as its picture and crosses into the next where there is more of it; what is shorter by a
/// moment is slowed down by that, silence follows what is shorter by more. `reached` is told the
/// part of the film that is made.
Result<FilmResult> concat(const std::vector<Segment>& parts, const std::string& out,
                          const FilmOptions& options, const Warn& warn, const Reached& reached = {},
                          const std::function<Status()>& make_room = {});

/// Without ffmpeg: writes a copy of the MP4 at `from` that has this comment among its metadata, and
/// nothing else of it changed: its pictures and sounds are the same bytes. False when it is no MP4
/// that can be copied so; then nothing was written.
Result<bool> copy_with_comment(const std::string& from, const std::string& to,
                               const std::string& comment);

}  // namespace kling::engine::media
