#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "api/text.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

// What ffprobe is asked for: no more is read from an untrusted file's description.
constexpr const char* kEntries =
    "format=duration,start_time:stream:stream_disposition=attached_pic:stream_side_data";

using Json = nlohmann::json;
using api::member;

/// A field as text, whatever type ffprobe gave it; empty when it is missing.
std::string text(const Json& object, const char* key) {
  return api::scalar_text(member(object, key));
}

template <class Number = double>
Number number(const Json& object, const char* key, Number otherwise = 0) {
  const std::string digits = text(object, key);
  Number value = otherwise;
  std::from_chars(digits.data(), digits.data() + digits.size(), value);
  return value;
}

/// "30000/1001", also "4:3".
Rate ratio(const Json& object, const char* key) {
  const std::string digits = text(object, key);
  const char* end = digits.data() + digits.size();
  Rate rate;
  const auto [separator, error] = std::from_chars(digits.data(), end, rate.numerator);
  if (error == std::errc() && separator != end)
    std::from_chars(separator + 1, end, rate.denominator);
  return rate.numerator > 0 && rate.denominator > 0 ? rate : Rate{};
}

/// A constant rate is the nominal one but for a frame: the last may be shown longer. A screen that
/// rarely changes has a nominal rate too, and an average far below it.
void read_rate(const Json& stream, Source& source) {
  Rate nominal = ratio(stream, "r_frame_rate");
  const Rate average = ratio(stream, "avg_frame_rate");
  // Fields are counted for frames in some files.
  if (nominal.numerator % 2 == 0 && std::abs(nominal.value() / 2 - average.value()) < 0.001)
    nominal.numerator /= 2;
  const auto frames =
      std::max<std::int64_t>(source.frames, number<std::int64_t>(stream, "nb_frames"));
  const double length = number(stream, "duration", source.duration);
  const double expected = frames > 0 ? double(frames) : length * nominal.value();
  const double missing = std::abs(average.value() / nominal.value() - 1) * expected;
  source.constant_rate =
      nominal.value() > 0 && nominal.value() <= 240 && (average.value() <= 0 || missing < 1.5);
  source.rate = nominal;
  source.fps = source.constant_rate || average.value() <= 0 ? nominal.value() : average.value();
  source.time_base = ratio(stream, "time_base");
}

/// As it is shown: with square pixels, and upright when the file says that it lies on its side.
/// What a picture says of its pixels' sides is for printers: viewers show it with square ones.
void read_size(const Json& stream, Source& source) {
  const Rate pixel = ratio(stream, "sample_aspect_ratio");
  source.width = number<int>(stream, "width");
  source.height = number<int>(stream, "height");
  if (pixel.value() > 0 && !source.is_picture)
    source.width = std::max(1, int(std::lround(source.width * pixel.value())));
  bool lies = source.orientation > 4;
  for (const Json& side : member(stream, "side_data_list"))
    lies = lies || (!source.is_picture && std::abs(number<int>(side, "rotation")) % 180 == 90);
  if (lies) std::swap(source.width, source.height);
}

void read_colours(const Json& stream, Source& source) {
  source.pixel_format = text(stream, "pix_fmt");
  source.full_range =
      source.pixel_format.starts_with("yuvj") || text(stream, "color_range") == "pc";
  const std::string matrix = text(stream, "color_space"), transfer = text(stream, "color_transfer");
  const std::string primaries = text(stream, "color_primaries");
  if (matrix == "bt709" || matrix == "fcc" || matrix == "smpte240m") {
    source.matrix = matrix;
  } else if (matrix.starts_with("bt2020")) {
    source.matrix = "bt2020";
  } else if (matrix == "smpte170m" || matrix == "bt470bg" || source.is_picture) {
    source.matrix = "bt601";
  } else {
    // Players take untagged material that is stored so for BT.709; ffmpeg would take it for BT.601.
    const int width = number<int>(stream, "width"), height = number<int>(stream, "height");
    source.matrix = width >= 1280 || height > 576 ? "bt709" : "bt601";
  }
  if (transfer == "smpte2084")
    source.beyond = "HDR (PQ)";
  else if (transfer == "arib-std-b67")
    source.beyond = "HDR (HLG)";
  else if (primaries == "bt2020" || primaries.starts_with("smpte43"))
    source.beyond = "of a wide gamut (" + primaries + ")";
}

void read_video(const Json& stream, double container_start, Source& source) {
  source.video_index = number<int>(stream, "index");
  source.video_codec = text(stream, "codec_name");
  source.frames = number<std::int64_t>(stream, "nb_read_frames");
  source.video_start = number(stream, "start_time", container_start) - container_start;
  source.video_end = source.video_start + number(stream, "duration", source.duration);
  read_size(stream, source);
  read_colours(stream, source);
  read_rate(stream, source);
  for (const char* key :
       {"index", "codec_name", "profile", "level", "codec_tag_string", "has_b_frames", "width",
        "height", "sample_aspect_ratio", "pix_fmt", "color_range", "color_space", "color_transfer",
        "color_primaries", "chroma_location", "field_order", "r_frame_rate", "time_base",
        "extradata_hash"})
    source.look += text(stream, key) + "|";
  for (const Json& side : member(stream, "side_data_list"))  // turned, mirrored, HDR, spherical …
    if (text(side, "side_data_type") != "CPB properties") source.look += side.dump();
}

}  // namespace

Result<ImageFacts> look_at_picture(const std::string& path) {
  auto facts = read_image_facts(read_from(path));
  if (!facts.whole) return media_error(path, "ends in the middle of its picture", "save it again");
  const std::string_view is = file_kind_at(path).name;
  if ((is == "PNG" || is == "JPEG") && facts.format.empty())
    return media_error(path, "is " + facts.is, facts.cure);
  return facts;
}

Result<Source> inspect(const std::string& path, bool count_frames) {
  if (Status usable = check_ffmpeg(); !usable) return usable.error();
  Source source;
  source.path = path;
  std::error_code error;
  source.bytes = std::filesystem::file_size(path, error);
  if (error) return media_error(path, "cannot be read: " + error.message());
  const FileKind& kind = file_kind_at(path);
  source.demuxer = kind.demuxer;
  if (source.demuxer.empty())
    return media_error(
        path, std::string("is ") + kind.name + ", no video, picture or sound that can be read",
        cure_of(kind));
  source.is_picture = kind.family == FileKind::picture;
  if (source.is_picture) {
    const auto facts = look_at_picture(path);
    if (!facts) return facts.error();
    source.orientation = facts->orientation;
  }

  Arguments argv = {tool("ffprobe"), "-hide_banner",    "-loglevel", "repeat+error",  "-of",
                    "json",          "-show_data_hash", "MD5",       "-show_entries", kEntries};
  if (count_frames) argv.push_back("-count_frames");
  add_input(argv, source);
  const auto output =
      run_tool(argv, path, {.time = count_frames ? std::chrono::minutes(10) : kProbe});
  if (!output) return output.error();
  if (output->messages.find("moov atom not found") != std::string::npos)
    return media_error(
        path, "cannot be read: its index (moov) is missing, so it is cut off",
        "get the file again; if it is a clip in the store, delete it and run its script again");
  const Json json = Json::parse(output->output, nullptr, false);
  if (output->exit_code != 0 || !json.is_object())
    return media_error(path, "cannot be read: " + reason(output->messages, path));

  if (count_frames && !output->messages.empty()) source.damage = reason(output->messages, path);

  const Json format = member(json, "format");
  const double start = number(format, "start_time");
  source.duration = number(format, "duration");
  for (const Json& stream : member(json, "streams")) {
    const std::string type = text(stream, "codec_type");
    const bool cover = number<int>(member(stream, "disposition"), "attached_pic") == 1;
    if (type == "video" && source.video_index < 0 && !cover) {
      read_video(stream, start, source);
    } else if (type == "audio" && source.audio_index < 0) {
      source.audio_index = number<int>(stream, "index");
      source.audio_codec = text(stream, "codec_name");
      source.audio_end =
          number(stream, "start_time", start) - start + number(stream, "duration", source.duration);
    }
  }
  if (source.video_index < 0 && source.audio_index < 0)
    return media_error(path, "holds neither video nor sound");
  return source;
}

}  // namespace kling::engine::media
