#include <algorithm>
#include <list>

#include "base/files.h"
#include "engine/media/film.h"

namespace kling::engine::media {
namespace {

constexpr std::size_t kBatch = 16;  // parts that one ffmpeg makes a piece of
constexpr double kShort = 0.1;      // so much of a missing end is no silence that anybody meant

std::string after_each_other(const std::string& number, const Rate& rate) {
  return "setpts=" + number + "/(" + rate.text() + "*TB)";
}

/// How large the part is in the film: it lies in the picture, or reaches over it.
std::pair<int, int> fitted(const Source& source, const Shape& shape) {
  const double wide = double(shape.width) / source.width;
  const double high = double(shape.height) / source.height;
  const double fit = shape.crop ? std::max(wide, high) : std::min(wide, high);
  const auto side = [&](int length, int full) {
    const int even = std::max(2, int(std::lround(length * fit / 2)) * 2);
    return shape.crop ? std::max(full, even) : std::min(full, even);
  };
  return {side(source.width, shape.width), side(source.height, shape.height)};
}

/// The filters that turn input `index` into exactly part.frames frames of the shape. A frame too
/// few or too many, from whatever rounding, would shift all sound behind it.
std::string video_filters(const Part& part, const Shape& shape, const std::string& index) {
  const Source& source = part.source;
  std::string filters = "[" + index + ":" + std::to_string(source.video_index) + "]";
  if (source.is_picture)
    filters += "trim=end_frame=1,";
  else if (part.by_time)
    filters +=
        "trim=start=" + decimal(part.from - kNear) + ":end=" + decimal(part.to - kNear) + ",";
  else if (!part.whole())
    filters += "trim=start_frame=" + std::to_string(part.first) +
               ":end_frame=" + std::to_string(part.first + part.own) + ",";
  filters +=
      keeps_frames(part, shape.rate) ? after_each_other("N", shape.rate) : "setpts=PTS-STARTPTS";
  const auto [width, height] = fitted(source, shape);
  const std::string size = std::to_string(shape.width) + ":" + std::to_string(shape.height);
  // A picture lasts 1/25 s as it is read: half a frame or less, as one of a fast clip may, is none.
  const bool short_one = source.is_picture || (part.to - part.from) * shape.rate.value() < 1;
  return filters + ",fps=" + shape.rate.text() + (short_one ? ":round=up," : ",") +
         scaled(source, width, height) +
         ":out_color_matrix=bt709:out_range=tv,format=" + shape.pixel_format +
         (shape.crop ? ",crop=" + size : ",pad=" + size + ":-1:-1") +
         ",setsar=1,setparams=range=tv:color_primaries=bt709:color_trc=bt709:"
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

/// Where its sound begins and ends in the film, in samples.
std::pair<std::int64_t, std::int64_t> heard(const Part& part, const Shape& shape) {
  return {shape.samples(part.begin) - part.ahead,
          shape.samples(part.begin + part.frames) + part.behind};
}

/// Sound of exactly the length of the part's frames, and what crosses into its neighbours; silence
/// where it has none. What is cut from the picture is cut from the sound.
std::string audio_filters(const Part& part, const Shape& shape, const std::string& index) {
  const Source& source = part.source;
  const auto [begin, end] = heard(part, shape);
  const std::string done = exactly(end - begin) + ",asetpts=N/SR/TB[a" + index + "];";
  if (!part.sounds()) return "anullsrc=r=" + std::to_string(kSampleRate) + ":cl=stereo," + done;
  const double from = part.from - double(part.ahead) / kSampleRate;
  std::string filters = "[" + index + ":" + std::to_string(source.audio_index) +
                        "]atrim=start=" + decimal(from) +
                        ":end=" + decimal(part.to + double(part.behind) / kSampleRate) +
                        ",asetpts=PTS-" + decimal(from) + "/TB,";
  // Coders give blocks of samples: the last one often ends a moment before the picture does.
  const double wanted = part.to - from, there = source.audio_end - from;
  if (there < wanted && wanted - there <= kShort && there > 0.5 * wanted)
    filters += "aresample=async=1:first_pts=0,atempo=" + decimal(there / (wanted + 0.002)) + ",";
  return filters + done;
}

/// The filter that joins what is called `kind` 0 and what is called `kind` 1 and so on: one
/// after the other, or crossing where they overlap.
std::string chain(Parts parts, const Shape& shape, const std::string& kind) {
  const bool sound = kind == "a";
  std::string filters, before = "[" + kind + "0]";
  for (std::size_t i = 1; i < parts.size(); ++i) {
    const std::string next = std::to_string(i);
    const Part& part = parts[i];
    filters += before + "[" + kind + next + "]";
    const auto shared = heard(parts[i - 1], shape).second - heard(part, shape).first;
    if (sound && shared > 0)
      filters +=
          "acrossfade=ns=" + std::to_string(shared) + (shape.blend > 0 ? ":c1=qsin:c2=qsin" : "");
    else if (sound)
      filters += "concat=n=2:v=0:a=1";
    else
      filters += "xfade=duration=" + decimal(shape.seconds(shape.blend)) +
                 ":offset=" + decimal(shape.seconds(part.begin - parts[0].begin)) + "," +
                 after_each_other("N", shape.rate) + ",fps=" + shape.rate.text();
    before = "[" + kind + "_" + next + "]";
    filters += before + ";";
  }
  return filters + before;
}

/// What goes over the whole film: from and to black.
std::string faded(const Shape& shape, std::int64_t begin) {
  const double from = shape.fade.from, to = shape.fade.to;
  if (from + to == 0) return "";
  std::string filters = "," + after_each_other("(N+" + std::to_string(begin) + ")", shape.rate);
  if (from > 0) filters += ",fade=t=in:st=0:d=" + decimal(from);
  if (to > 0)
    filters +=
        ",fade=t=out:st=" + decimal(shape.seconds(shape.frames - 1) - to) + ":d=" + decimal(to);
  return filters + "," + after_each_other("N", shape.rate);
}

/// The same for a sound so long.
std::string faded(const Fade& fade, double seconds) {
  std::string filters;
  if (fade.from > 0) filters += ",afade=t=in:d=" + decimal(fade.from);
  if (fade.to > 0)
    filters +=
        ",afade=t=out:st=" + decimal(std::max(0.0, seconds - fade.to)) + ":d=" + decimal(fade.to);
  return filters;
}

/// Makes the piece of the film that the parts from `at` on are, up to `end`: pictures in their last
/// form, sound without loss. The parts before and behind it reach into it.
Status make_piece(Parts all, std::size_t at, std::size_t end, const Shape& shape, bool picture,
                  bool sound, const std::string& path, const std::string& out,
                  const Reached& reached) {
  Arguments arguments;
  std::string filters;
  const std::size_t first = at - (at > 0 && (sound || shape.blend > 0) ? 1 : 0);
  const std::size_t last = std::min(all.size(), end + (sound ? 1 : 0));
  const Parts around = all.subspan(first, last - first);
  for (std::size_t i = 0; i < around.size(); ++i) {
    const std::string index = std::to_string(i);
    add_input(arguments, around[i].source, input_options(around[i].source));
    const bool seen = first + i < end && (shape.blend > 0 || first + i >= at);
    if (picture && seen) filters += video_filters(around[i], shape, index);
    if (sound) filters += audio_filters(around[i], shape, index);
  }
  const std::int64_t begin = all[at].begin;
  const std::int64_t frames = (end < all.size() ? all[end].begin : shape.frames) - begin;
  if (picture && shape.blend > 0) {
    const std::int64_t before = begin - around[0].begin;
    filters += chain(all.subspan(first, end - first), shape, "v");
    filters += "trim=start_frame=" + std::to_string(before) +
               ":end_frame=" + std::to_string(before + frames) + "," +
               after_each_other("N", shape.rate);
  } else if (picture) {
    for (std::size_t i = at; i < end; ++i) filters += "[v" + std::to_string(i - first) + "]";
    filters += "concat=n=" + std::to_string(end - at);
  }
  if (picture) filters += faded(shape, begin) + "[v]" + (sound ? ";" : "");
  if (sound) {
    const auto from = shape.samples(begin) - heard(around[0], shape).first;
    filters += chain(around, shape, "a") + "atrim=start_sample=" + std::to_string(from) +
               ",asetpts=N/SR/TB," + exactly(shape.samples(begin + frames) - shape.samples(begin)) +
               "[a]";
  }
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
      ticks % shape.rate.numerator != 0 || shape.blend > 0 || shape.fade.from + shape.fade.to > 0 ||
      std::abs(first.width - shape.width) > 1 || std::abs(first.height - shape.height) > 1)
    return false;
  return std::all_of(parts.begin(), parts.end(), [&](const Part& part) {
    return part.whole() && keeps_frames(part, shape.rate) && part.source.look == first.look &&
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

/// What the film's sound is made of.
struct Sound {
  const FilmOptions& options;
  const std::optional<Source>& song;
  bool own = false;  ///< the parts' own is heard
};

/// The filter graph from the inputs behind `input`, the first with a sound, to [a].
std::string sound_graph(const Sound& sound, const Shape& shape, int input) {
  const double length = shape.seconds(shape.frames);
  const FilmOptions& options = sound.options;
  const std::string whole = faded(shape.fade, length) + "[a]";
  std::string own = "[" + std::to_string(input) + ":a]asetpts=N/SR/TB";
  if (!sound.song) return own + whole;
  std::string song = "[" + std::to_string(input + (sound.own ? 1 : 0)) + ":" +
                     std::to_string(sound.song->audio_index) + "]asetpts=";
  song += options.loop ? "N/SR/TB," : "PTS-STARTPTS,";
  song += exactly(shape.samples(shape.frames)) + ",volume=" + decimal(options.volume) +
          faded(options.audio_fade, options.loop || sound.song->duration <= 0
                                        ? length
                                        : std::min(length, sound.song->duration));
  if (!sound.own) return song + whole;
  return song + "[song];" + own + ",volume=" + decimal(options.mix) +
         "[own];[song][own]amix=inputs=2:duration=first:normalize=0" + whole;
}

/// Makes the whole film: its pieces, beside it and gone afterwards, and from them the file. The
/// picture is not touched when it is `copied`: from the parts, or from the film that `there` is.
Status make_film(Parts parts, const Shape& shape, const Sound& sound, bool copied,
                 const Source* there, const std::string& part_path, const std::string& out,
                 const Reached& reached) {
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
  if (there)
    pictures.files.push_back(there->path);
  else if (copied)
    for (const Part& part : parts) {
      pictures.files.push_back(part.source.path);
      pictures.seconds.push_back(shape.seconds(part.frames));
    }
  for (std::size_t at = 0; at < parts.size() && (!copied || sound.own); at += kBatch) {
    const std::size_t end = std::min(parts.size(), at + kBatch);
    const std::string& path = pieces.emplace_back(out).path();
    Status made = make_piece(parts, at, end, shape, !copied, sound.own, path, out, in_piece);
    if (!made) return made;
    const double made_to = shape.seconds(end < parts.size() ? parts[end].begin : shape.frames);
    for (Reel* reel : {&pictures, &sounds}) {
      if (copied && reel == &pictures) continue;
      reel->files.push_back(path);
      reel->seconds.push_back(made_to - made_before);
    }
    made_before = made_to;
  }

  // A sound that begins before its picture, by what its coder needs, must not move the picture.
  Arguments arguments = {"-copyts"};
  const PartPath picture_list(out), sound_list(out);
  if (Status added = add_reel(arguments, pictures, picture_list.path()); !added) return added;
  const Source& copy_of = there ? *there : parts.front().source;
  const int index = copied ? copy_of.video_index : 0;
  int timescale = shape.rate.numerator;
  while (timescale < 10'000) timescale *= 2;
  if (copied) timescale = copy_of.time_base.denominator;
  if (sound.own)
    if (Status added = add_reel(arguments, sounds, sound_list.path()); !added) return added;
  if (sound.song)
    add_input(arguments, *sound.song,
              sound.options.loop ? Arguments{"-stream_loop", "-1"} : Arguments{});
  // A list counts microseconds: back to where the frames belong.
  const std::string rate = "(" + shape.rate.text() + ")";
  const std::string grid = "*TB*" + rate + ")/" + rate + "/TB";
  arguments.insert(arguments.end(), {"-map", "0:" + std::to_string(index), "-c:v", "copy", "-bsf:v",
                                     "setts=pts=round(PTS" + grid + ":dts=round(DTS" + grid,
                                     "-video_track_timescale", std::to_string(timescale)});
  if (sound.song || sound.own)
    arguments.insert(arguments.end(), {"-filter_complex", sound_graph(sound, shape, 1), "-map",
                                       "[a]", "-c:a", "aac", "-b:a", "192k"});
  arguments.insert(arguments.end(), {"-map_metadata", "-1", "-metadata", "comment=joined by kling",
                                     "-movflags", "+faststart", "-f", "mp4", "file:" + part_path});
  Status made =
      run_ffmpeg(arguments, out, std::chrono::minutes(10 + std::int64_t(seconds)), in_whole);
  in_whole(seconds);
  return made;
}

void warn_of_bars(const Part& part, const Shape& shape, bool sized, const Warn& warn) {
  const auto [width, height] = fitted(part.source, shape);
  const auto size = [](int wide, int high) {
    return std::to_string(wide) + "x" + std::to_string(high);
  };
  const std::string whole = size(part.source.width, part.source.height);
  const std::string& name = part.segment.name.empty() ? part.segment.path : part.segment.name;
  if (warn && !sized && part.segment.generated && part.source.width > shape.width &&
      part.source.height > shape.height)  // and was paid for so
    warn(media_error(name, "is " + whole + " and becomes smaller in a film of " +
                               size(shape.width, shape.height) + "; size = \"" + whole +
                               "\" keeps it")
             .message);
  if (!warn || shape.crop || (width + 2 >= shape.width && height + 2 >= shape.height)) return;
  warn(media_error(name, "is " + whole + " and stands in black bars in a film of " +
                             size(shape.width, shape.height) + "; fit = \"crop\" fills the picture")
           .message);
}

}  // namespace

Result<FilmResult> concat(const std::vector<Segment>& segments, const std::string& out,
                          const FilmOptions& options, const Warn& warn, const Reached& reached,
                          const std::function<Status()>& make_room) {
  auto read = read_film(segments, out, options);
  if (!read) return read.error();
  const auto& [parts, shape, song] = *read;
  const Sound sound{options, song, shape.sound && (!song || options.mix > 0)};
  std::optional<Source> there;
  if (options.keep_picture) {
    auto source = inspect(out, false);
    if (!source) return source.error();
    there = std::move(*source);
  }
  const PartPath part_path(out);
  const auto make = [&](bool copied) {
    return make_film(parts, shape, sound, copied, there ? &*there : nullptr, part_path.path(), out,
                     reached);
  };
  const auto is_whole = [&](bool copied) {
    // What was once decoded and is copied as it was need not be decoded again.
    const auto written = inspect(part_path.path(), !there);
    const Source& copy_of = there ? *there : parts.front().source;
    return written && (there || written->frames == shape.frames) &&
           std::abs(written->video_end - shape.seconds(shape.frames)) * shape.rate.value() < 0.5 &&
           (!copied || written->look == copy_of.look);
  };
  FilmResult film{.frames = shape.frames,
                  .seconds = shape.seconds(shape.frames),
                  .width = shape.width,
                  .height = shape.height};
  for (const Part& part : parts) {
    film.found.push_back(note_of(part.source));
    warn_of_damage(part.source.path, part.source.damage, warn);
  }
  if (!(there || can_copy(parts, shape)) || !make(true) || !is_whole(true)) {
    there.reset();
    film.reencoded = true;
    for (const Part& part : parts) {
      warn_of_colours(part.source, warn);
      warn_of_bars(part, shape, options.width > 0, warn);
    }
    if (Status status = make(false); !status) return status.error();
    if (!is_whole(false))
      return media_error(
          out, "was made, but does not hold its " + std::to_string(film.frames) + " frames",
          "is the disk full?");
  }
  if (Status room = make_room ? make_room() : Status(Done{}); !room) return room.error();
  if (Status status = commit_file(part_path.path(), out); !status) return status.error();
  return film;
}

}  // namespace kling::engine::media
