#include <algorithm>
#include <cmath>
#include <filesystem>
#include <list>
#include <optional>
#include <span>

#include "base/files.h"
#include "engine/media/ffmpeg.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

constexpr int kSampleRate = 48'000;
constexpr std::size_t kBatch = 16;  // parts that one ffmpeg opens at a time

/// A part of the film with what becomes of it.
struct Part {
  Segment segment;
  Source source;
  std::int64_t frames = 0;  ///< in the film
  std::int64_t begin = 0;   ///< the film's frames before it
  int dropped() const { return segment.drop_first_frame ? 1 : 0; }
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
  double seconds(std::int64_t count) const { return double(count) / rate.value(); }
  std::int64_t samples(std::int64_t count) const {
    return std::llround(seconds(count) * kSampleRate);
  }
};

/// The nominal rate. One that no film has, of a video without a fixed one, gives way to the next
/// common rate, as an average of it would be no rate to see a film at.
Rate film_rate(const Source& source) {
  if (source.rate.value() >= 5 && source.rate.value() <= 120) return source.rate;
  constexpr Rate kCommon[] = {{24, 1}, {25, 1}, {30000, 1001}, {50, 1}, {60000, 1001}};
  for (const Rate& rate : kCommon)
    if (source.fps <= rate.value() * 1.01) return rate;
  return {60, 1};
}

/// Size and rate are those of the first generated clip, else of the first moving part; those of a
/// film of pictures only are the first one's, 24 a second.
Shape shape_of(const std::vector<Part>& parts) {
  const auto first = [&](auto is) { return std::find_if(parts.begin(), parts.end(), is); };
  auto model = first([](const Part& part) { return part.segment.generated; });
  if (model == parts.end()) model = first([](const Part& part) { return !part.source.is_picture; });
  if (model == parts.end()) model = parts.begin();
  const Source& source = model->source;
  Shape shape;
  // H.264 with halved colour planes has even sizes only.
  shape.width = std::max(2, source.width / 2 * 2);
  shape.height = std::max(2, source.height / 2 * 2);
  shape.rate = source.is_picture ? Rate{24, 1} : film_rate(source);
  const bool deep = source.pixel_format == "yuv420p10le" || source.pixel_format == "yuv422p" ||
                    source.pixel_format == "yuv444p";
  shape.pixel_format = deep ? source.pixel_format : "yuv420p";
  for (const Part& part : parts) shape.sound = shape.sound || part.source.audio_index >= 0;
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
  const Source& source = part.source;
  std::string filters = "[" + index + ":" + std::to_string(source.video_index) + "]";
  if (source.is_picture)
    filters += "trim=end_frame=1,";
  else if (part.dropped() > 0)
    filters += "trim=start_frame=1,";
  filters += keeps_frames(part, shape.rate) ? "setpts=N/(" + shape.rate.text() + "*TB)"
                                            : "setpts=PTS-STARTPTS";
  const double fit =
      std::min(double(shape.width) / source.width, double(shape.height) / source.height);
  const auto side = [fit](int length) {
    return std::max(2, int(std::lround(length * fit / 2)) * 2);
  };
  return filters + ",fps=" + shape.rate.text() + "," +
         scaled(source, std::min(shape.width, side(source.width)),
                std::min(shape.height, side(source.height))) +
         ":out_color_matrix=bt709:out_range=tv,format=" + shape.pixel_format +
         ",pad=" + std::to_string(shape.width) + ":" + std::to_string(shape.height) +
         ":-1:-1,setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:"
         "colorspace=bt709,tpad=stop=-1:stop_mode=clone,trim=end_frame=" +
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
  const auto samples = shape.samples(part.begin + part.frames) - shape.samples(part.begin);
  const std::string end = exactly(samples) + ",asetpts=N/SR/TB[a" + index + "];";
  if (source.audio_index < 0)
    return "anullsrc=r=" + std::to_string(kSampleRate) + ":cl=stereo," + end;
  const std::string cut = decimal(source.video_start + part.dropped() / source.fps);
  return "[" + index + ":" + std::to_string(source.audio_index) + "]atrim=start=" + cut +
         ",asetpts=PTS-" + cut + "/TB," + end;
}

/// Makes one piece of the film from some of its parts: pictures in their last form, sound without
/// loss.
Status make_piece(Parts parts, const Shape& shape, bool picture, bool sound,
                  const std::string& path, const std::string& out, const Reached& reached) {
  Arguments arguments;
  std::string filters, video_pads, audio_pads;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::string index = std::to_string(i);
    add_input(arguments, parts[i].source, input_options(parts[i].source));
    if (picture) filters += video_filters(parts[i], shape, index);
    if (sound) filters += audio_filters(parts[i], shape, index);
    video_pads += "[v" + index + "]";
    audio_pads += "[a" + index + "]";
  }
  const std::string count = std::to_string(parts.size());
  if (picture) filters += video_pads + "concat=n=" + count + "[v]" + (sound ? ";" : "");
  if (sound) filters += audio_pads + "concat=n=" + count + ":v=0:a=1[a]";
  arguments.insert(arguments.end(), {"-filter_complex", filters});
  // veryfast at crf 18: no loss that shows, which matters as a film is often cut again, at about
  // half the time of x264's default; ultrafast is faster still but twice the size for it.
  if (picture)
    arguments.insert(arguments.end(), {"-map",
                                       "[v]",
                                       "-c:v",
                                       "libx264",
                                       "-preset",
                                       "veryfast",
                                       "-crf",
                                       "18",
                                       "-pix_fmt",
                                       shape.pixel_format,
                                       "-colorspace",
                                       "bt709",
                                       "-color_primaries",
                                       "bt709",
                                       "-color_trc",
                                       "bt709",
                                       "-color_range",
                                       "tv",
                                       "-r",
                                       shape.rate.text(),
                                       "-fps_mode",
                                       "cfr"});
  if (sound) arguments.insert(arguments.end(), {"-map", "[a]", "-c:a", "pcm_s16le"});
  arguments.insert(arguments.end(), {"-map_metadata", "-1", "-f", "mov", "file:" + path});
  const std::int64_t frames = parts.back().begin + parts.back().frames - parts.front().begin;
  // A minute of work for a second of film is far beyond any machine's need.
  const auto time = std::chrono::minutes(10 + std::int64_t(shape.seconds(frames)));
  return run_ffmpeg(arguments, out, time, reached);
}

/// Only pictures that are all alike and whole can be copied, and only frames that lie on a time
/// base that can say the rate. A seam frame cannot be dropped so: a copy keeps it (measured).
bool can_copy(Parts parts, const Shape& shape) {
  const Source& first = parts.front().source;
  const auto ticks = std::int64_t{first.time_base.denominator} * shape.rate.denominator;
  if (first.video_codec != "h264" || first.demuxer != "mov" || first.time_base.numerator != 1 ||
      ticks % shape.rate.numerator != 0)
    return false;
  return std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
    return part.dropped() == 0 && keeps_frames(part, shape.rate) &&
           part.source.look == first.look &&
           std::abs(part.source.video_start) * shape.rate.value() < 0.25 &&
           part.source.path.find_first_of("\r\n") == std::string::npos;  // the list has lines
  });
}

/// Files that follow each other, as one input. A list of them is written to `list`.
struct Reel {
  std::vector<std::string> files;
  std::vector<double> seconds;
};

Status add_reel(Arguments& arguments, const Reel& reel, const std::string& list) {
  arguments.insert(arguments.end(), {"-protocol_whitelist", "file", "-f"});
  if (reel.files.size() == 1) {
    arguments.insert(arguments.end(), {"mov", "-i", "file:" + reel.files[0]});
    return Done{};
  }
  std::string text = "ffconcat version 1.0\n";
  for (std::size_t i = 0; i < reel.files.size(); ++i) {
    std::string quoted;
    std::error_code error;
    for (char c : std::filesystem::absolute(reel.files[i], error).string())
      quoted += c == '\'' ? "'\\''" : std::string(1, c);
    text += "file 'file:" + quoted + "'\nduration " + decimal(reel.seconds[i]) + "\n";
  }
  arguments.insert(arguments.end(), {"concat", "-format_whitelist", "concat,mov", "-safe", "0",
                                     "-i", "file:" + list});
  return write_file(list, text);
}

/// Makes the whole film: its pieces, beside it and gone afterwards, and from them the file. The
/// picture is not touched when it is `copied`; `song` is null where the parts' own sound is kept.
Status make_film(Parts parts, const Shape& shape, const Source* song, bool copied,
                 const std::string& part_path, const std::string& out, const Reached& reached) {
  std::list<PartPath> pieces;
  // Encoding takes nearly all the time; a look at the whole follows.
  constexpr double kPieces = 0.8, kWhole = 0.9;
  const double seconds = shape.seconds(shape.frames);
  double made_before = 0;
  const Reached in_piece = [&](double made) {
    if (reached) reached(kPieces * std::min(1.0, (made_before + made) / seconds));
  };
  const Reached in_whole = [&](double made) {
    const double from = pieces.empty() ? 0 : kPieces;
    if (reached) reached(from + (kWhole - from) * std::min(1.0, made / seconds));
  };
  Reel pictures, sounds;
  if (copied)
    for (const Part& part : parts) {
      pictures.files.push_back(part.source.path);
      pictures.seconds.push_back(shape.seconds(part.frames));
    }
  const bool own_sound = shape.sound && !song;
  for (std::size_t at = 0; at < parts.size() && (!copied || own_sound); at += kBatch) {
    const Parts batch = parts.subspan(at, std::min(kBatch, parts.size() - at));
    const std::string& path = pieces.emplace_back(out).path();
    Status made = make_piece(batch, shape, !copied, own_sound, path, out, in_piece);
    if (!made) return made;
    const auto frames = batch.back().begin + batch.back().frames - batch.front().begin;
    made_before += shape.seconds(frames);
    for (Reel* reel : {&pictures, &sounds}) {
      if (copied && reel == &pictures) continue;
      reel->files.push_back(path);
      reel->seconds.push_back(shape.seconds(frames));
    }
  }

  // A sound that begins before its picture, by what its coder needs, must not move the picture.
  Arguments arguments = {"-copyts"};
  const PartPath picture_list(out), sound_list(out);
  if (Status added = add_reel(arguments, pictures, picture_list.path()); !added) return added;
  const int index = copied ? parts.front().source.video_index : 0;
  int timescale = shape.rate.numerator;
  while (timescale < 10'000) timescale *= 2;
  if (copied) timescale = parts.front().source.time_base.denominator;
  std::string sound_filters = "asetpts=N/SR/TB";
  if (song) {
    add_input(arguments, *song);
    sound_filters = "asetpts=PTS-STARTPTS," + exactly(shape.samples(shape.frames));
  } else if (own_sound) {
    if (Status added = add_reel(arguments, sounds, sound_list.path()); !added) return added;
  }
  // A list counts microseconds: back to where the frames belong.
  const std::string rate = "(" + shape.rate.text() + ")";
  const std::string grid = "*TB*" + rate + ")/" + rate + "/TB";
  arguments.insert(arguments.end(), {"-map", "0:" + std::to_string(index), "-c:v", "copy", "-bsf:v",
                                     "setts=pts=round(PTS" + grid + ":dts=round(DTS" + grid,
                                     "-video_track_timescale", std::to_string(timescale)});
  if (song || own_sound)
    arguments.insert(arguments.end(),
                     {"-map", "1:" + (song ? std::to_string(song->audio_index) : "a"), "-af",
                      sound_filters, "-c:a", "aac", "-b:a", "192k"});
  arguments.insert(arguments.end(), {"-map_metadata", "-1", "-movflags", "+faststart", "-f", "mp4",
                                     "file:" + part_path});
  Status made =
      run_ffmpeg(arguments, out, std::chrono::minutes(10 + std::int64_t(seconds)), in_whole);
  in_whole(seconds);
  return made;
}

}  // namespace

Result<FilmResult> concat(const std::vector<Segment>& segments, const std::string& out,
                          const std::string& audio, const Warn& warn, const Reached& reached) {
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
  Shape shape = shape_of(parts);
  for (Part& part : parts) {
    part.begin = shape.frames;
    shape.frames += part.frames = frames_in_film(part, shape.rate);
  }

  const PartPath part_path(out);
  const auto make = [&](bool copied) {
    return make_film(parts, shape, song ? &*song : nullptr, copied, part_path.path(), out, reached);
  };
  const auto is_whole = [&](bool copied) {
    const auto written = inspect(part_path.path(), true);
    return written && written->frames == shape.frames &&
           std::abs(written->video_end - shape.seconds(shape.frames)) * shape.rate.value() < 0.5 &&
           (!copied || written->look == parts.front().source.look);
  };
  FilmResult film{.frames = shape.frames,
                  .seconds = shape.seconds(shape.frames),
                  .width = shape.width,
                  .height = shape.height};
  if (!can_copy(parts, shape) || !make(true) || !is_whole(true)) {
    film.reencoded = true;
    for (const Part& part : parts) warn_of_colours(part.source, warn);
    if (Status status = make(false); !status) return status.error();
    if (!is_whole(false))
      return media_error(
          out, "was made, but does not hold its " + std::to_string(film.frames) + " frames",
          "is the disk full?");
  }
  if (Status status = commit_file(part_path.path(), out); !status) return status.error();
  return film;
}

}  // namespace kling::engine::media
