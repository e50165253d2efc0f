#include "base/file_kind.h"

#include <algorithm>

#include "base/files.h"

namespace kling {

using std::string_view;
using namespace std::string_view_literals;

constexpr const char* kAgain = "take it again from where it came from";
constexpr const char* kFromHeif = "save it as JPEG, for example with heif-convert IN OUT.jpg";

/// The first row that fits counts. Magic words at 8 stand in a box (ftyp), a RIFF or an IFF file.
constexpr struct {
  std::size_t at;
  string_view magic[6];
  FileKind kind;
} kRows[] = {
    {0, {"\x89PNG\r\n\x1a\n"sv}, {"PNG", FileKind::picture, "png_pipe"}},
    {0, {"\x89PNG"sv}, {"a PNG that was copied as text", FileKind::other, "", kAgain}},
    {0, {"\xff\xd8\xff\xf7"sv}, {"JPEG-LS", FileKind::picture}},
    {0, {"\xff\xd8\xff"sv}, {"JPEG", FileKind::picture, "jpeg_pipe"}},
    {8, {"WEBP"sv}, {"WebP", FileKind::picture, "webp_pipe"}},
    {0, {"GIF8"sv}, {"GIF", FileKind::picture}},
    {0, {"II*\0"sv, "MM\0*"sv}, {"TIFF", FileKind::picture}},
    {0, {"BM"sv}, {"BMP", FileKind::picture}},
    {0, {"\xff\x0a"sv}, {"JPEG XL", FileKind::picture}},
    {4, {"JXL "sv}, {"JPEG XL", FileKind::picture}},
    {4, {"jP  "sv}, {"JPEG 2000", FileKind::picture}},
    {0, {"8BPS"sv}, {"a Photoshop file", FileKind::picture}},
    {0, {"\0\0\1\0"sv}, {"an icon", FileKind::picture}},
    {8, {"avif"sv, "avis"sv}, {"AVIF", FileKind::picture}},
    {8, {"hei"sv, "hev"sv, "mif1"sv}, {"HEIC", FileKind::picture, "", kFromHeif}},
    {8, {"M4A "sv}, {"M4A", FileKind::sound, "mov"}},
    {4,
     {"ftyp"sv, "moov"sv, "mdat"sv, "wide"sv, "free"sv, "skip"sv},
     {"MP4 or MOV", FileKind::video, "mov"}},
    {0, {"\x1a\x45\xdf\xa3"sv}, {"Matroska or WebM", FileKind::video, "matroska"}},
    {8, {"AVI "sv}, {"AVI", FileKind::video}},
    {0, {"FLV\1"sv}, {"FLV", FileKind::video}},
    {0, {"\0\0\1\xba"sv}, {"MPEG", FileKind::video}},
    {0, {"\x30\x26\xb2\x75"sv}, {"Windows Media", FileKind::video}},
    {8, {"WAVE"sv}, {"WAV", FileKind::sound, "wav"}},
    {0, {"fLaC"sv}, {"FLAC", FileKind::sound, "flac"}},
    {0, {"OggS"sv}, {"Ogg", FileKind::sound, "ogg"}},
    {0, {"ID3"sv}, {"MP3", FileKind::sound, "mp3"}},
    {8, {"AIF"sv}, {"AIFF", FileKind::sound}},
    {0, {"#EXTM3U"sv}, {"a playlist"}},
    {0, {"ffconcat"sv}, {"a list of files"}},
    {0, {"%PDF"sv}, {"a PDF", FileKind::other, "", "save its page as PNG"}},
    {0, {"<svg"sv}, {"SVG", FileKind::other, "", "draw it as PNG"}},
    {0, {"<"sv}, {"a web page or other XML"}},
    {0, {"PK\3\4"sv}, {"a ZIP archive"}},
    {0, {"\x1f\x8b"sv}, {"a file packed with gzip"}},
};
constexpr FileKind kEmpty = {"empty"}, kText = {"text"}, kUnknown = {"of a kind not known here"};
constexpr FileKind kAvif = {"AVIF", FileKind::picture}, kStream = {"MPEG-TS", FileKind::video};
constexpr FileKind kMarked = {"behind a byte order mark, as if it were text", FileKind::other, "",
                              kAgain};
constexpr FileKind kFrames = {"MP3", FileKind::sound, "mp3"};

static bool is_text(string_view head) {
  return std::ranges::none_of(head, [](unsigned char c) {
    return c == 0x7f || (c < ' ' && c != '\n' && c != '\r' && c != '\t' && c != '\f');
  });
}

const FileKind& file_kind(string_view head) {
  if (head.empty()) return kEmpty;
  if (head.starts_with("\xff\xfe") || head.starts_with("\xfe\xff")) return kText;  // UTF-16
  const bool marked = head.starts_with("\xef\xbb\xbf");  // stands before a text
  if (marked) head.remove_prefix(3);
  if (head.empty()) return kText;
  const string_view outer = head.substr(0, 4),
                    box = head.substr(std::min<std::size_t>(4, head.size()), 4);
  // A picture in a box may name its coding only among the brands that it is compatible with.
  if (box == "ftyp" && head.substr(8).starts_with("mi") &&
      head.substr(0, 64).find("avif") != string_view::npos)
    return kAvif;
  for (const auto& row : kRows) {
    const string_view there = head.substr(std::min(row.at, head.size()));
    if (std::ranges::none_of(row.magic, [&](string_view magic) {
          return !magic.empty() && there.starts_with(magic);
        }))
      continue;
    if (row.at < 8 || box == "ftyp" || outer == "RIFF" || outer == "FORM")
      return marked && row.kind.family != FileKind::other ? kMarked : row.kind;
  }
  if (head[0] == 'G' && head.size() > 188 && head[188] == 'G') return kStream;
  // A frame of layer III.
  if (head[0] == '\xff' && head.size() > 2 && (head[1] & 0xe6) == 0xe2) return kFrames;
  return is_text(head) ? kText : kUnknown;
}

const FileKind& file_kind_at(const std::string& path) {
  const auto head = read_head(path, 256);
  return head ? file_kind(head->data) : kUnknown;
}

const char* cure_of(const FileKind& kind) {
  if (*kind.cure) return kind.cure;
  switch (kind.family) {
    case FileKind::picture: return "convert it, for example with ffmpeg -i IN OUT.png";
    case FileKind::video: return "convert it, for example with ffmpeg -i IN OUT.mp4";
    case FileKind::sound: return "convert it, for example with ffmpeg -i IN OUT.wav";
    default:
      return "PNG, JPEG and WebP pictures, MP4, MOV, WebM and Matroska videos, and WAV, MP3, "
             "FLAC, Ogg and M4A sounds can be read";
  }
}

}  // namespace kling
