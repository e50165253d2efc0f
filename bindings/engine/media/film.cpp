#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "base/files.h"
#include "engine/media/ffmpeg.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

constexpr int kSampleRate = 48'000;

/// A part of the film with what becomes of it.
struct Part {
  Segment segment;
  Source source;
  std::int64_t frames = 0;  ///< in the film
  int dropped() const { return segment.drop_first_frame ? 1 : 0; }
};

/// What all parts are conformed to.
struct Shape {
  int width = 0;
  int height = 0;
  Rate rate;
  std::string pixel_format;
  bool bt709 = false;
  bool sound = false;
};

/// The first part's size; the first moving part's rate, 24 when all are pictures.
Shape shape_of(const std::vector<Part>& parts) {
  const Source& first = parts.front().source;
  Shape shape;
  // H.264 with halved colour planes has even sizes only.
  shape.width = std::max(2, first.width / 2 * 2);
  shape.height = std::max(2, first.height / 2 * 2);
  const bool deep = first.pixel_format == "yuv420p10le" || first.pixel_format == "yuv422p" ||
                    first.pixel_format == "yuv444p";
  shape.pixel_format = deep ? first.pixel_format : "yuv420p";
  shape.bt709 = first.is_picture ? shape.width >= 1280 || shape.height > 576 : first.bt709;
  for (const Part& part : parts) {
    if (shape.rate.numerator == 0 && !part.source.is_picture) shape.rate = part.source.rate;
    shape.sound = shape.sound || part.source.audio_index >= 0;
  }
  if (shape.rate.numerator == 0) shape.rate = {24, 1};
  return shape;
}

Result<Part> read_part(const Segment& segment) {
  const double still = segment.still_seconds;
  if (!(still >= 0 && still <= 3600))
    return media_error(segment.path, "must be shown for 0 to 3600 seconds");
  auto source = inspect(segment.path, still == 0);
  if (!source) return source.error();
  if (source->video_index < 0) return media_error(segment.path, "has no video, only sound");
  if (source->is_picture != (still > 0))
    return media_error(segment.path, source->is_picture
                                         ? "is a picture: say how many seconds it is shown"
                                         : "is no picture and has a length of its own");
  if (!source->is_picture && (source->frames < 1 || source->fps <= 0))
    return media_error(segment.path, "has no frame that can be decoded");
  if (segment.drop_first_frame && !source->is_picture && source->frames < 2)
    return media_error(segment.path, "has one frame only, and it is to be dropped");
  return Part{segment, std::move(*source)};
}

bool keeps_frames(const Part& part, const Rate& rate) {
  return part.source.constant_rate && part.source.rate == rate;
}

/// A picture's first frame repeats nothing that a viewer could notice, so it counts in full.
std::int64_t frames_in_film(const Part& part, const Rate& rate) {
  const Source& source = part.source;
  const auto own = double(source.frames - part.dropped());
  if (source.is_picture)
    return std::max<std::int64_t>(1, std::llround(part.segment.still_seconds * rate.value()));
  if (keeps_frames(part, rate)) return source.frames - part.dropped();
  return std::max<std::int64_t>(1, std::llround(own / source.fps * rate.value()));
}

/// The filters that turn input `index` into exactly part.frames frames of the shape. A frame too
/// few or too many, from whatever rounding, would shift all sound behind it.
std::string video_filters(const Part& part, const Shape& shape, const std::string& index) {
  const std::string size = std::to_string(shape.width) + ":" + std::to_string(shape.height);
  std::string filters = "[" + index + ":" + std::to_string(part.source.video_index) + "]";
  if (part.source.is_picture)
    filters += "trim=end_frame=1,";
  else if (part.dropped() > 0)
    filters += "trim=start_frame=1,";
  filters += keeps_frames(part, shape.rate) ? "setpts=N/(" + shape.rate.text() + "*TB)"
                                            : "setpts=PTS-STARTPTS";
  filters += ",fps=" + shape.rate.text() +
             ",scale=max(2\\,round(iw*sar)):ih,setsar=1,scale=" + size +
             ":force_original_aspect_ratio=decrease:flags=bicubic";
  if (part.source.is_picture && shape.bt709) filters += ":out_color_matrix=bt709";
  return filters + ",format=" + shape.pixel_format + ",pad=" + size +
         ":-1:-1,setsar=1,tpad=stop=-1:stop_mode=clone,trim=end_frame=" +
         std::to_string(part.frames) + "[v" + index + "];";
}

/// `samples` samples of what comes in; silence behind its end.
std::string exactly(std::int64_t samples) {
  return "aresample=" + std::to_string(kSampleRate) +
         ":async=1:first_pts=0,aformat=sample_fmts=fltp:channel_layouts=stereo,apad,"
         "atrim=end_sample=" +
         std::to_string(samples);
}

/// Sound of exactly the length of the part's frames; silence where it has none. What is cut from
/// the picture's start is cut from the sound's.
std::string audio_filters(const Part& part, const Shape& shape, const std::string& index) {
  const Source& source = part.source;
  const auto samples = std::llround(double(part.frames) / shape.rate.value() * kSampleRate);
  const std::string end = exactly(samples) + ",asetpts=N/SR/TB[a" + index + "];";
  if (source.audio_index < 0)
    return "anullsrc=r=" + std::to_string(kSampleRate) + ":cl=stereo," + end;
  const std::string cut = decimal(source.video_start + part.dropped() / source.fps);
  return "[" + index + ":" + std::to_string(source.audio_index) + "]atrim=start=" + cut +
         ",asetpts=PTS-" + cut + "/TB," + end;
}

/// `song` is null where the parts' own sound is kept.
Status encode(const std::vector<Part>& parts, const Shape& shape, const Source* song,
              const std::string& part_path, const std::string& out) {
  Arguments arguments;
  std::string filters, video_pads, audio_pads;
  double seconds = 0;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string index = std::to_string(i);
    add_input(arguments, parts[i].source);
    filters += video_filters(parts[i], shape, index);
    video_pads += "[v" + index + "]";
    if (shape.sound && !song) filters += audio_filters(parts[i], shape, index);
    audio_pads += "[a" + index + "]";
    seconds += double(parts[i].frames) / shape.rate.value();
  }
  const std::string count = std::to_string(parts.size());
  filters += video_pads + "concat=n=" + count + "[v]";
  if (song) {
    add_input(arguments, *song);
    filters += ";[" + count + ":" + std::to_string(song->audio_index) + "]" +
               exactly(std::llround(seconds * kSampleRate)) + "[a]";
  } else if (shape.sound) {
    filters += ";" + audio_pads + "concat=n=" + count + ":v=0:a=1[a]";
  }
  // veryfast at crf 18: no loss that shows, which matters as a film is often cut again, at about
  // half the time of x264's default; ultrafast is faster still but twice the size for it.
  arguments.insert(
      arguments.end(),
      {"-filter_complex", filters, "-map", "[v]", "-c:v", "libx264", "-preset", "veryfast", "-crf",
       "18", "-pix_fmt", shape.pixel_format, "-r", shape.rate.text(), "-fps_mode", "cfr"});
  if (shape.sound || song)
    arguments.insert(arguments.end(), {"-map", "[a]", "-c:a", "aac", "-b:a", "192k"});
  arguments.insert(arguments.end(), {"-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4",
                                     "file:" + part_path});
  // A minute of work for a second of film is far beyond any machine's need.
  const auto time = std::chrono::minutes(10 + std::int64_t(seconds));
  return run_ffmpeg(arguments, out, time);
}

/// Only streams that are all alike and whole can be copied. A seam frame cannot be dropped so:
/// a copy keeps it (measured).
bool can_copy(const std::vector<Part>& parts) {
  const Source& first = parts.front().source;
  if (first.video_codec != "h264" || !(first.audio_codec.empty() || first.audio_codec == "aac"))
    return false;
  return std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
    return part.dropped() == 0 && !part.source.is_picture && part.source.constant_rate &&
           part.source.signature == first.signature &&
           part.source.path.find_first_of("\r\n") == std::string::npos;  // the list has lines
  });
}

Status copy(const std::vector<Part>& parts, const std::string& part_path, const std::string& out) {
  std::string list = "ffconcat version 1.0\n";
  for (const Part& part : parts) {
    std::string quoted;
    std::error_code error;
    for (char c : std::filesystem::absolute(part.source.path, error).string())
      quoted += c == '\'' ? "'\\''" : std::string(1, c);
    list += "file 'file:" + quoted + "'\n";
  }
  const PartPath list_path(out);
  if (Status status = write_file(list_path.path(), list); !status) return status;
  const Source& first = parts.front().source;
  Arguments arguments = {"-protocol_whitelist",
                         "file",
                         "-format_whitelist",
                         "concat,mov,matroska",
                         "-f",
                         "concat",
                         "-safe",
                         "0",
                         "-i",
                         "file:" + list_path.path(),
                         "-map",
                         "0:" + std::to_string(first.video_index)};
  if (first.audio_index >= 0)
    arguments.insert(arguments.end(), {"-map", "0:" + std::to_string(first.audio_index)});
  arguments.insert(arguments.end(), {"-c", "copy", "-map_metadata", "-1", "-movflags", "+faststart",
                                     "-f", "mp4", "file:" + part_path});
  return run_ffmpeg(arguments, out);
}

}  // namespace

Result<FilmResult> concat(const std::vector<Segment>& segments, const std::string& out,
                          const std::string& audio) {
  if (segments.empty()) return media_error(out, "cannot be made of no parts");
  if (Status status = check_folder(out); !status) return status.error();
  std::vector<Part> parts;
  for (const Segment& segment : segments) {
    auto part = read_part(segment);
    if (!part) return part.error();
    parts.push_back(std::move(*part));
  }
  std::optional<Source> song;
  if (!audio.empty()) {
    auto source = inspect(audio, false);
    if (!source) return source.error();
    if (source->audio_index < 0) return media_error(audio, "has no sound");
    song = std::move(*source);
  }
  const Shape shape = shape_of(parts);
  FilmResult film;
  for (Part& part : parts) film.frames += part.frames = frames_in_film(part, shape.rate);

  const PartPath part_path(out);
  const auto is_whole = [&] {
    const auto written = inspect(part_path.path(), true);
    return written && written->frames == film.frames;
  };
  if (song || !can_copy(parts) || !copy(parts, part_path.path(), out) || !is_whole()) {
    film.reencoded = true;
    if (Status status = encode(parts, shape, song ? &*song : nullptr, part_path.path(), out);
        !status)
      return status.error();
    if (!is_whole())
      return media_error(
          out, "was made, but does not hold its " + std::to_string(film.frames) + " frames",
          "is the disk full?");
  }
  if (Status status = commit_file(part_path.path(), out); !status) return status.error();
  return film;
}

}  // namespace kling::engine::media
