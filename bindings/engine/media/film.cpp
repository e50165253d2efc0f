#include "engine/media/film.h"

#include <algorithm>
#include <future>
#include <system_error>

#include <sys/resource.h>

#include "base/file_kind.h"
#include "base/signals.h"

namespace kling::engine::media {

using Json = nlohmann::json;

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Rate, numerator, denominator)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Source, duration, width, height, fps, frames, video_codec,
                                   audio_codec, bytes, is_picture, orientation, rate, constant_rate,
                                   time_base, video_index, audio_index, video_start, video_end,
                                   audio_end, pixel_format, matrix, full_range, beyond, damage,
                                   look)

std::string note_of(const Source& source) {
  return Json(source).dump(-1, ' ', false, Json::error_handler_t::replace);
}

namespace {

constexpr double kCross = 0.04;  // seconds that a sound goes on beyond a cut, where there is more

/// The rate that a number means: 29.97 is 30000/1001.
Rate rate_of(double fps) {
  if (const double whole = std::round(fps * 1.001); std::abs(whole / 1.001 - fps) < 0.006)
    if (std::round(fps) != fps) return {int(whole) * 1000, 1001};
  return std::round(fps) == fps ? Rate{int(fps), 1} : Rate{int(std::lround(fps * 1000)), 1000};
}

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
Shape shape_of(const std::vector<Part>& parts, const FilmOptions& options) {
  const auto first = [&](auto is) { return std::find_if(parts.begin(), parts.end(), is); };
  auto model = first([](const Part& part) { return part.segment.generated; });
  if (model == parts.end()) model = first([](const Part& part) { return !part.source.is_picture; });
  if (model == parts.end()) model = parts.begin();
  const Source& source = model->source;
  Shape shape;
  // H.264 with halved colour planes has even sizes only.
  shape.width = options.width > 0 ? options.width : std::max(2, source.width / 2 * 2);
  shape.height = options.width > 0 ? options.height : std::max(2, source.height / 2 * 2);
  shape.rate = source.is_picture ? Rate{24, 1} : film_rate(source);
  if (options.fps > 0) shape.rate = rate_of(options.fps);
  shape.crop = options.crop;
  shape.fade = options.fade;
  const bool deep = source.pixel_format == "yuv420p10le" || source.pixel_format == "yuv422p" ||
                    source.pixel_format == "yuv444p";
  shape.pixel_format = deep ? source.pixel_format : "yuv420p";
  for (const Part& part : parts) shape.sound = shape.sound || part.sounds();
  return shape;
}

/// Finds the frames that its cuts leave: those that begin in between.
Status cut_part(Part& part) {
  const Segment& cut = part.segment;
  const Source& source = part.source;
  const double start = source.video_start, length = std::max(source.duration, source.video_end);
  if (cut.from >= length || cut.to > length + (cut.generated ? kToldSlack : kNear))
    return media_error(cut.path, printed("is %.4g s long, and is to be cut at %.4g s", length,
                                         cut.from >= length ? cut.from : cut.to));
  const auto frame_from = [&](double seconds) {
    const double frame = std::ceil((seconds - start - kNear) * source.fps);
    return std::clamp<std::int64_t>(std::int64_t(frame), 0, source.frames);
  };
  part.first = std::max<std::int64_t>(frame_from(cut.from), cut.drop_first_frame ? 1 : 0);
  const auto last = cut.to > 0 ? frame_from(cut.to) : source.frames;
  part.own = last - part.first;
  part.from = start + double(part.first) / source.fps;
  part.to = start + double(last) / source.fps;
  part.by_time = !source.constant_rate && cut.from + cut.to > 0;
  if (part.by_time) {
    part.from = std::max(start, cut.from);
    part.to = cut.to > 0 ? std::min(cut.to, source.video_end) : source.video_end;
  }
  if (part.by_time ? part.to <= part.from : part.own < 1)
    return media_error(cut.path, "has no frame between its cuts");
  return Done{};
}

/// What an earlier look at these bytes has found. How they are opened is not for notes to say.
std::optional<Source> known_source(const Segment& segment) {
  const Json json = Json::parse(segment.known, nullptr, false);
  if (!json.is_object()) return std::nullopt;
  try {
    auto source = json.get<Source>();
    source.path = segment.path;
    source.demuxer = file_kind_at(segment.path).demuxer;
    return source;
  } catch (const Json::exception&) {
    return std::nullopt;
  }
}

Result<Part> read_part(const Segment& segment) {
  const double still = segment.still_seconds;
  if (!(still >= 0 && still <= 3600))
    return media_error(segment.path, "must be shown for 0 to 3600 seconds");
  auto known = known_source(segment);
  auto source = known ? Result(std::move(*known)) : inspect(segment.path, still == 0);
  if (!source) return source.error();
  if (segment.mute) source->audio_index = -1;
  if (source->video_index < 0) return no_video(segment.path);
  if (source->is_picture != (still > 0))
    return media_error(segment.path, source->is_picture
                                         ? "is a picture: say how many seconds it is shown"
                                         : "is no picture and has a length of its own");
  if (!source->is_picture && (source->frames < 1 || source->fps <= 0))
    return media_error(segment.path, "has no frame that can be decoded");
  if (segment.drop_first_frame && !source->is_picture && source->frames < 2)
    return media_error(segment.path, "has one frame only, and it is to be dropped");
  Part part{segment, std::move(*source)};
  if (!part.source.is_picture)
    if (Status cut = cut_part(part); !cut) return cut.error();
  return part;
}

/// A picture's first frame repeats nothing that a viewer could notice, so it counts in full.
std::int64_t frames_in_film(const Part& part, const Rate& rate) {
  if (!part.source.is_picture && keeps_frames(part, rate)) return part.own;
  const double seconds = part.source.is_picture ? part.segment.still_seconds
                         : part.by_time         ? part.to - part.from
                                                : double(part.own) / part.source.fps;
  return std::max<std::int64_t>(1, std::llround(seconds * rate.value()));
}

/// Where each part begins, and how far the sounds reach beyond their pictures.
Status lay_out_parts(std::vector<Part>& parts, Shape& shape, const FilmOptions& options,
                     const std::string& out) {
  if (options.crossfade > 0 && parts.size() > 1)
    shape.blend = std::max<std::int64_t>(1, std::llround(options.crossfade * shape.rate.value()));
  const auto fades = [&](std::size_t i) {
    return (i > 0 ? 1 : 0) + (i + 1 < parts.size() ? 1 : 0);
  };
  std::int64_t longest = INT64_MAX;  // fade that all of them have room for
  for (std::size_t i = 0; i < parts.size(); ++i) {
    parts[i].frames = frames_in_film(parts[i], shape.rate);
    if (shape.blend > 0) longest = std::min(longest, (parts[i].frames - 1) / fades(i));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    Part& part = parts[i];
    part.begin = shape.frames - (i > 0 ? shape.blend : 0);
    shape.frames = part.begin + part.frames;
    if (shape.blend > 0 && part.frames <= fades(i) * shape.blend)
      return media_error(part.segment.name.empty()
                             ? std::filesystem::path(part.segment.path).filename().string()
                             : part.segment.name,
                         printed("is shown for %.4g s, too short for crossfade = %.4g",
                                 shape.seconds(part.frames), options.crossfade),
                         longest > 0 ? printed("give crossfade at most %.4g",
                                               std::floor(1000 * shape.seconds(longest)) / 1000)
                                     : std::string("leave crossfade out"));
    if (i == 0 || shape.blend > 0) continue;
    Part& before = parts[i - 1];
    const double most = std::min(kCross, shape.seconds(std::min(part.frames, before.frames)) / 2);
    const auto samples = [&](const Part& of, double more) {
      return of.sounds()
                 ? std::max<std::int64_t>(0, std::int64_t(std::min(more, most) * kSampleRate))
                 : 0;
    };
    part.ahead = samples(part, part.from);
    if (part.ahead == 0) before.behind = samples(before, before.source.audio_end - before.to);
  }
  if (options.fade.from + options.fade.to > shape.seconds(shape.frames))
    return media_error(
        out,
        printed("is %.4g s long, shorter than fade = { %.4g, %.4g }", shape.seconds(shape.frames),
                options.fade.from, options.fade.to),
        "write fade = { 1, 2 }: seconds at its beginning and end, in all at most the film's");
  return Done{};
}

}  // namespace

Result<Film> read_film(const std::vector<Segment>& segments, const std::string& out,
                       const FilmOptions& options) {
  if (segments.empty()) return media_error(out, "cannot be made of no parts");
  if (Status status = check_folder(out); !status) return status.error();
  if (Status usable = check_ffmpeg(); !usable) return usable.error();
  Film film;
  // Each look is a program's start: several at once, or one after the other where no thread starts.
  std::vector<Result<Part>> read(segments.size(), Error{});
  std::atomic<std::size_t> next{0};
  const auto look = [&] {
    for (std::size_t i; (i = next++) < segments.size();) read[i] = read_part(segments[i]);
  };
  std::vector<std::future<void>> others;
  try {
    const SignalBlock signals;
    rlimit descriptors{};
    ::getrlimit(RLIMIT_NOFILE, &descriptors);  // each takes half a dozen
    const std::size_t most = descriptors.rlim_cur < 256 ? 0 : 3;
    while (others.size() < std::min(most, segments.size() - 1))
      others.push_back(std::async(std::launch::async, look));
  } catch (const std::system_error&) {
  }
  look();
  for (std::future<void>& other : others) other.get();
  for (Result<Part>& part : read) {
    if (!part) return part.error();
    film.parts.push_back(std::move(*part));
  }
  if (!options.audio.empty()) {
    auto source = inspect(options.audio, false);
    if (!source) return source.error();
    if (source->audio_index < 0)
      return media_error(options.audio, "has no sound",
                         "give a file with sound, such as song.mp3, or leave audio out");
    film.song = std::move(*source);
  }
  film.shape = shape_of(film.parts, options);
  if (Status laid = lay_out_parts(film.parts, film.shape, options, out); !laid) return laid.error();
  return film;
}

}  // namespace kling::engine::media
