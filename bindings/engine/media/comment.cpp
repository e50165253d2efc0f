// What is said of a clip in the clip itself: the comment among an MP4's metadata.
#include <algorithm>
#include <fstream>
#include <span>

#include "base/files.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

using std::string_view;
constexpr std::uint64_t kMostMoov = 32u << 20;

std::uint64_t big_endian(string_view bytes, std::size_t size) {
  std::uint64_t value = 0;
  for (const char byte : bytes.substr(0, size))
    value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

std::string bytes_of(std::uint64_t value, std::size_t size) {
  std::string bytes(size, '\0');
  for (; size > 0; value >>= 8) bytes[--size] = static_cast<char>(value & 0xFF);
  return bytes;
}

std::string box(string_view type, const std::string& content) {
  return bytes_of(content.size() + 8, 4).append(type) + content;
}

/// The size of the box that `boxes` begin with; 0 when there is none.
std::size_t box_size(string_view boxes) {
  const std::uint64_t size = boxes.size() < 8 ? 0 : big_endian(boxes, 4);
  return size >= 8 && size <= boxes.size() ? std::size_t(size) : 0;
}

/// The boxes with the one at `path` put in place of what is there. What cannot be read is nothing.
std::optional<std::string> put(string_view boxes, std::span<const string_view> path,
                               const std::string& content) {
  if (path.empty()) return content;
  std::string head;
  if (path[0] == "ilst") {  // in "meta", which tells its version and whose way of telling it is
    head = bytes_of(0, 4);
    if (boxes.empty())
      head += box("hdlr", bytes_of(0, 8) + "mdirappl" + bytes_of(0, 9));
    else if (boxes.size() < 4 || big_endian(boxes, 4) != 0)
      return std::nullopt;
    else
      boxes.remove_prefix(4);
  }
  std::string before = head, after;
  string_view old;
  while (const std::size_t size = box_size(boxes)) {
    const string_view whole = boxes.substr(0, size);
    boxes.remove_prefix(size);
    if (whole.substr(4, 4) == path[0] && old.empty())
      old = whole;
    else
      (old.empty() ? before : after) += whole;
  }
  // Some end a list of user data with a zero.
  if (!boxes.empty() && (boxes.size() > 4 || big_endian(boxes, boxes.size()) != 0))
    return std::nullopt;
  const auto inner = put(old.empty() ? old : old.substr(8), path.subspan(1), content);
  if (!inner) return inner;
  return before + box(path[0], *inner) + after + std::string(boxes);
}

/// Moves what the tables of chunks say of places in the file from `behind` on. False when there is
/// a table that cannot be moved.
bool move_places(std::string& moov, std::size_t at, std::size_t end, std::uint64_t behind,
                 std::uint64_t by, int depth = 0) {
  if (depth > 8) return false;  // trak, mdia, minf, stbl: who nests more wants our stack
  while (at < end) {
    const std::size_t size = box_size(string_view(moov).substr(at, end - at));
    if (size == 0) return end - at <= 4;
    const string_view type = string_view(moov).substr(at + 4, 4);
    if (type == "trak" || type == "mdia" || type == "minf" || type == "stbl") {
      if (!move_places(moov, at + 8, at + size, behind, by, depth + 1)) return false;
    } else if (type == "stco" || type == "co64") {
      const std::size_t width = type == "stco" ? 4 : 8;
      const std::uint64_t count = size < 16 ? 0 : big_endian(string_view(moov).substr(at + 12), 4);
      if (count > (size - 8) / width) return false;
      for (std::size_t place = at + 16; place < at + 16 + count * width; place += width) {
        const std::uint64_t offset = big_endian(string_view(moov).substr(place), width);
        if (place + width > at + size) return false;
        if (offset < behind) continue;
        if (width == 4 && offset + by > UINT32_MAX) return false;
        moov.replace(place, width, bytes_of(offset + by, width));
      }
    } else if (type == "saio" || type == "mvex") {
      return false;
    }
    at += size;
  }
  return true;
}

/// The moov box of an MP4 file, and where it begins. Empty: there is none that can be read.
std::string read_moov(const auto& read, std::uint64_t& moov_at) {
  std::uint64_t at = 0, moov_end = 0;
  for (bool first = true;; first = false) {
    const std::string head = read(at, 16);
    if (head.size() < 8) break;
    std::uint64_t size = big_endian(head, 4);
    const string_view type = string_view(head).substr(4, 4);
    if (size == 1 && head.size() == 16) size = big_endian(string_view(head).substr(8), 8);
    if (first && type != "ftyp") return {};
    if (type == "moov") moov_at = at, moov_end = at + size;
    if (size == 0) break;  // up to the end of the file
    if (size < 8 || size > UINT64_MAX - at) return {};
    at += size;
  }
  if (moov_end < moov_at + 8 || moov_end - moov_at > kMostMoov) return {};
  std::string moov = read(moov_at, std::size_t(moov_end - moov_at));
  return box_size(moov) == moov.size() && moov.size() == moov_end - moov_at ? moov : "";
}

}  // namespace

Result<bool> copy_with_comment(const std::string& from, const std::string& to,
                               const std::string& comment) {
  const auto read = read_from(from);
  std::uint64_t moov_at = 0;
  std::string moov = read_moov(read, moov_at);
  if (moov.empty()) return false;
  const std::uint64_t moov_end = moov_at + moov.size();

  constexpr string_view kPath[] = {"udta", "meta", "ilst", "\251cmt"};
  const auto changed = put(string_view(moov).substr(8), kPath,
                           box("data", bytes_of(1, 4) + bytes_of(0, 4) + comment));
  if (!changed) return false;
  const std::uint64_t by = changed->size() + 8 - moov.size();  // less is more, modulo 2^64
  moov = box("moov", *changed);
  if (!move_places(moov, 8, moov.size(), moov_end, by)) return false;

  if (Status status = check_folder(to); !status) return status.error();
  const PartPath part(to);
  std::ofstream out(part.path(), std::ios::binary);
  std::uint64_t read_to = 0;
  Status status = read_pieces(from, [&](string_view piece) {
    const std::uint64_t begin = read_to, end = read_to += piece.size();
    const auto keep = [&](std::uint64_t low, std::uint64_t high) {
      low = std::max(low, begin), high = std::min(high, end);
      if (low < high) out << piece.substr(std::size_t(low - begin), std::size_t(high - low));
    };
    keep(0, moov_at);
    if (begin <= moov_at && moov_at < end) out << moov;
    keep(moov_end, UINT64_MAX);
    return bool(out);
  });
  if (!status) return status.error();
  out.close();
  if (!out)
    return media_error(to, "cannot be written", "is the disk full? may its folder be written?");
  if (status = commit_file(part.path(), to); !status) return status.error();
  return true;
}

}  // namespace kling::engine::media
