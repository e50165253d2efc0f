#include <algorithm>
#include <cmath>

#include "base/files.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

/// The frames to write: one over the other, so that the last one stays.
struct Stretch {
  double from = 0;
  double length = HUGE_VAL;  ///< a frame that starts at its very end is not in it
  bool first_frame_only = false;
};

/// No frame in the stretch is no error: then no file is written.
Status write_frames(const Source& source, const Stretch& stretch, const std::string& part,
                    bool png = true, std::string* damage = nullptr) {
  Arguments arguments, options = input_options(source);
  if (stretch.from > 0) options.insert(options.end(), {"-ss", decimal(stretch.from)});
  add_input(arguments, source, options);
  // Not -t, which counts from the first frame found instead of from the time sought.
  std::string filters;
  if (stretch.length < HUGE_VAL) filters = "trim=end=" + decimal(stretch.length) + ",";
  filters += scaled(source, source.width, source.height);
  filters += png ? ",format=rgb24"
                 : ",format=rgb24,scale=out_color_matrix=bt601:out_range=pc,format=yuvj444p";
  arguments.insert(arguments.end(), {"-map", "0:" + std::to_string(source.video_index), "-vf",
                                     filters + ",setsar=1", "-fps_mode", "passthrough"});
  if (stretch.first_frame_only) arguments.insert(arguments.end(), {"-frames:v", "1"});
  arguments.insert(arguments.end(), {"-f", "image2", "-update", "1", "-c:v", png ? "png" : "mjpeg",
                                     "-q:v", "2", "file:" + part});
  return run_ffmpeg(arguments, source.path, std::chrono::minutes(10), {}, damage);
}

/// The picture that was written beside `path`, to its place once it is known to decode.
Status commit_picture(const PartPath& part, const std::string& path) {
  const auto picture = inspect(part.path(), true);
  if (!picture) return picture.error();
  if (picture->frames != 1)
    return media_error(path, "was written, but cannot be decoded", "is the disk full?");
  return commit_file(part.path(), path);
}

/// Writes the frame shown at `at` seconds; without it, the last one. It is the last that is
/// decoded from a stretch before `at`: -sseof counts from the end of the longest stream, so it
/// finds nothing when the sound outlasts the picture, and -ss alone gives the next frame, not the
/// one shown.
Status write_shown_frame(const Source& source, std::optional<double> at, const std::string& png,
                         const Warn& warn) {
  warn_of_colours(source, warn);
  std::string damage;
  if (Status status = check_folder(png); !status) return status;
  const PartPath part(png);
  const auto written = [&] {
    std::error_code error;
    return std::filesystem::exists(part.path(), error);
  };
  const double end = at.value_or(source.video_end);
  for (const double back : {0.25, 2.0, 20.0, HUGE_VAL}) {
    Stretch stretch{.from = std::max(0.0, end - back)};
    // A frame that starts within the next millisecond is meant: times are rounded on the way.
    if (at) stretch.length = end - stretch.from + 0.001;
    if (Status status = write_frames(source, stretch, part.path(), true, &damage); !status)
      return status;
    if (written() || stretch.from == 0) break;
  }
  if (!written()) {  // the video starts later than the sound: its first frame stands in
    Status status = write_frames(source, {.first_frame_only = true}, part.path());
    if (!status) return status;
  }
  warn_of_damage(source.path, damage, warn);
  if (!written()) return media_error(source.path, "has no frame that can be decoded");

  return commit_picture(part, png);
}

Result<Source> inspect_video(const std::string& path) {
  auto source = inspect(path, false);
  if (source && source->video_index < 0) return no_video(path);
  return source;
}

}  // namespace

Result<Probe> probe(const std::string& path, bool count_frames) {
  auto source = inspect(path, count_frames);
  if (!source) return source.error();
  return Probe(*source);
}

Status last_frame(const std::string& video, const std::string& png, const Warn& warn) {
  const auto source = inspect_video(video);
  if (!source) return source.error();
  return write_shown_frame(*source, std::nullopt, png, warn);
}

Status frame_at(const std::string& video, double seconds, const std::string& png, const Warn& warn,
                bool generated) {
  if (!std::isfinite(seconds) || seconds < 0)
    return media_error(video, "cannot show a frame at a negative time or at none",
                       "give seconds from the start, 0 or more");
  const auto source = inspect_video(video);
  if (!source) return source.error();
  const bool beyond = seconds >= source->duration;
  if (beyond && !(generated && seconds < source->duration + kToldSlack))
    return media_error(
        video, printed("has no frame at %.4g s: it is %.4g s long", seconds, source->duration));
  return write_shown_frame(*source, beyond ? std::nullopt : std::optional(seconds), png, warn);
}

Status convert_picture(const std::string& picture, const std::string& out,
                       const std::function<Status()>& ready) {
  if (Status status = check_folder(out); !status) return status;
  const auto source = inspect_video(picture);
  if (!source) return source.error();
  const PartPath part(out);
  const bool png = extension_of(out) == "png";
  Status status = write_frames(*source, {.first_frame_only = true}, part.path(), png);
  if (status) status = ready();
  return status ? commit_picture(part, out) : status;
}

}  // namespace kling::engine::media
