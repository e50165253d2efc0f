#include <charconv>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <nlohmann/json.hpp>

#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

// What ffprobe is asked for: no more is read from an untrusted file's description.
constexpr const char* kEntries =
    "format=duration,start_time:stream:stream_disposition=attached_pic:stream_side_data=rotation";

using Json = nlohmann::json;
using std::string_view;

/// The demuxer for a file's first bytes; empty for kinds that are not read.
const char* demuxer_of(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) return "";
  std::string start(12, '\0');
  std::ifstream(path, std::ios::binary).read(start.data(), std::streamsize(start.size()));
  const string_view bytes = start;
  const string_view box = bytes.substr(4, 4);
  if (box == "ftyp" || box == "moov" || box == "mdat" || box == "wide" || box == "free")
    return "mov";
  if (bytes.starts_with("\x1a\x45\xdf\xa3")) return "matroska";
  if (bytes.starts_with("\x89PNG")) return "png_pipe";
  if (bytes.starts_with("\xff\xd8\xff")) return "jpeg_pipe";
  if (bytes.starts_with("RIFF") && bytes.substr(8) == "WEBP") return "webp_pipe";
  if (bytes.starts_with("RIFF") && bytes.substr(8) == "WAVE") return "wav";
  if (bytes.starts_with("fLaC")) return "flac";
  if (bytes.starts_with("OggS")) return "ogg";
  // MP3: a tag, or a frame of layer III.
  if (bytes.starts_with("ID3") || (bytes[0] == '\xff' && (bytes[1] & 0xe6) == 0xe2)) return "mp3";
  return "";
}

/// A field as text, whatever type ffprobe gave it; empty when it is missing.
std::string text(const Json& object, const char* key) {
  const auto field = object.find(key);
  if (field == object.end()) return "";
  if (field->is_string()) return field->get<std::string>();
  return field->is_number_integer() ? std::to_string(field->get<std::int64_t>()) : "";
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

Json member(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) ? object[key] : Json();
}

/// The measured rate is a hair off when the last frame is shown longer: then the nominal one.
void read_rate(const Json& stream, Source& source) {
  const Rate nominal = ratio(stream, "r_frame_rate");
  const Rate average = ratio(stream, "avg_frame_rate");
  source.constant_rate =
      nominal.value() > 0 && nominal.value() <= 240 &&
      (average.value() <= 0 || std::abs(average.value() / nominal.value() - 1) < 0.02);
  source.rate = source.constant_rate ? nominal : average;
  source.fps = source.rate.value();
}

/// As it is shown: with square pixels, and upright when the file says that it lies on its side.
void read_size(const Json& stream, Source& source) {
  const Rate pixel = ratio(stream, "sample_aspect_ratio");
  source.width = number<int>(stream, "width");
  source.height = number<int>(stream, "height");
  if (pixel.value() > 0) source.width = int(std::lround(source.width * pixel.value()));
  for (const Json& side : member(stream, "side_data_list"))
    if (std::abs(number<int>(side, "rotation")) % 180 == 90) std::swap(source.width, source.height);
  const std::string matrix = text(stream, "color_space");
  // Players take untagged material of this size for BT.709; ffmpeg would take it for BT.601.
  const bool untagged = matrix.empty() || matrix == "unknown";
  source.bt709 = matrix == "bt709" || (untagged && (source.width >= 1280 || source.height > 576));
}

void read_video(const Json& stream, double container_start, Source& source) {
  source.video_index = number<int>(stream, "index");
  source.video_codec = text(stream, "codec_name");
  source.pixel_format = text(stream, "pix_fmt");
  source.frames = number<std::int64_t>(stream, "nb_read_frames");
  source.video_start = number(stream, "start_time", container_start) - container_start;
  source.video_end = source.video_start + number(stream, "duration", source.duration);
  read_size(stream, source);
  read_rate(stream, source);
}

}  // namespace

Result<Source> inspect(const std::string& path, bool count_frames) {
  Source source;
  source.path = path;
  source.demuxer = demuxer_of(path);
  source.is_picture = source.demuxer.ends_with("_pipe");
  std::error_code error;
  source.bytes = std::filesystem::file_size(path, error);
  if (error) return media_error(path, "cannot be read: " + error.message());
  if (source.demuxer.empty())
    return media_error(path, "is no video, picture or sound that can be read",
                       "MP4, MOV, WebM, Matroska, PNG, JPEG, WebP, WAV, MP3, FLAC and Ogg are");

  Arguments argv = {"ffprobe", "-hide_banner",    "-loglevel", "error",         "-of",
                    "json",    "-show_data_hash", "MD5",       "-show_entries", kEntries};
  if (count_frames) argv.push_back("-count_frames");
  add_input(argv, source);
  const auto output = run_process(argv, {.time = std::chrono::minutes(10)});
  if (!output) return output.error();
  const Json json = Json::parse(output->output, nullptr, false);
  if (output->exit_code != 0 || !json.is_object())
    return media_error(path, "cannot be read: " + reason(output->messages, path));

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
    } else {
      continue;
    }
    for (const char* key : {"index", "codec_name", "profile", "codec_tag_string", "width", "height",
                            "sample_aspect_ratio", "pix_fmt", "color_space", "r_frame_rate",
                            "time_base", "sample_rate", "channels", "extradata_hash"})
      source.signature += text(stream, key) + "|";
  }
  if (source.video_index < 0 && source.audio_index < 0)
    return media_error(path, "holds neither video nor sound");
  return source;
}

}  // namespace kling::engine::media
