// What the verbs of ffmpeg.h share: how the two programs are called on untrusted files, and all
// that is known of a file's streams. Internal to this folder. Any thread; blocks.
#pragma once

#include "base/descriptor.h"
#include "base/process.h"
#include "engine/media/ffmpeg.h"

namespace kling::engine::media {

using Arguments = std::vector<std::string>;

/// A frame rate as the file says it, so that 30000/1001 stays exact.
struct Rate {
  int numerator = 0;
  int denominator = 1;
  double value() const { return double(numerator) / denominator; }
  std::string text() const { return std::to_string(numerator) + "/" + std::to_string(denominator); }
  bool operator==(const Rate&) const = default;
};

/// A Probe and what is needed to cut and join. Width and height are as shown: turned upright and
/// with square pixels.
struct Source : Probe {
  std::string path;
  std::string demuxer;      ///< the one demuxer ffmpeg may use for it
  bool is_picture = false;  ///< a PNG, JPEG or WebP
  int orientation = 1;      ///< of a picture, as EXIF counts; a video's is ffmpeg's work
  Rate rate;                ///< nominal; 0 without video
  bool constant_rate = false;
  Rate time_base;
  int video_index = -1;
  int audio_index = -1;
  double video_start = 0;  ///< seconds after the container's own start
  double video_end = 0;
  double audio_end = 0;
  std::string pixel_format;
  std::string matrix;  ///< of its colours, by its tag or, untagged, by its size
  bool full_range = false;
  std::string beyond;  ///< what its colours have and a film has not: "HDR (PQ)"; mostly empty
  std::string damage;  ///< what decoding all of it complained of; mostly empty
  std::string look;    ///< equal in files whose pictures can be copied one after the other
};

/// Reads all of it with ffprobe; counts frames by decoding when `count_frames`.
Result<Source> inspect(const std::string& path, bool count_frames);

/// The arguments that open `source`, after `options` of its own (such as -ss).
void add_input(Arguments& arguments, const Source& source, const Arguments& options = {});

/// The filters that make `source` upright and so large, and know its colours. More options of the
/// scale filter may follow, after a colon.
std::string scaled(const Source& source, int width, int height);

/// Warns when the colours of `source` cannot be kept.
void warn_of_colours(const Source& source, const Warn& warn);

/// Warns that the file at `path` is not what was once written there, when a tool has said so.
void warn_of_damage(const std::string& path, const std::string& damage, const Warn& warn);

/// What ffmpeg, not ffprobe, is to be told of it: releases differ in which pictures they turn.
Arguments input_options(const Source& source);

/// Runs ffmpeg with `arguments`; a failure becomes an error about `subject`, a path. `reached` is
/// told how many seconds are written, `damage` what it complains of all the same.
Status run_ffmpeg(const Arguments& arguments, const std::string& subject,
                  std::chrono::milliseconds time = std::chrono::minutes(10),
                  const Reached& reached = {}, std::string* damage = nullptr);

/// What a look at a file or at a program takes at most; counting its frames is work.
inline constexpr std::chrono::seconds kProbe{60};

/// Runs a tool that works on `subject`, a path, which an error names. Whoever is to be told of
/// delays is told when nothing comes of it for a while.
Result<ProcessOutput> run_tool(const Arguments& argv, const std::string& subject,
                               ProcessLimits limits);

/// The last line that a tool wrote, without its own address and the file's name, which our own
/// message gives.
std::string reason(std::string_view messages, const std::string& subject);

Error media_error(const std::string& path, const std::string& what, std::string hint = "");
Error no_video(const std::string& path);

/// Says early and plainly that nothing can be written at `path`; ffmpeg would say it late.
Status check_folder(const std::string& path);

/// A decimal number for a command line, whatever the locale.
std::string decimal(double number);

/// An output beside its later path; removed again unless it was committed.
class PartPath : NotCopied {
 public:
  explicit PartPath(const std::string& path);
  ~PartPath();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace kling::engine::media
