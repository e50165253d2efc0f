#include "api/request.h"

namespace kling::api {
namespace {

std::uint32_t big_endian(std::string_view bytes, std::size_t at, int count) {
  std::uint32_t value = 0;
  for (int i = 0; i < count; ++i)
    value = value << 8 | static_cast<unsigned char>(bytes[at + static_cast<std::size_t>(i)]);
  return value;
}

std::optional<ImageFacts> facts(const char* format, std::uint32_t width, std::uint32_t height) {
  constexpr std::uint32_t kLargest = 0x7FFFFFFF;
  if (width == 0 || height == 0 || width > kLargest || height > kLargest) return std::nullopt;
  return ImageFacts{format, static_cast<int>(width), static_cast<int>(height), 0};
}

std::optional<ImageFacts> png(std::string_view head) {
  // Signature, then the first chunk: length, "IHDR", width, height.
  if (head.size() < 24 || head.substr(12, 4) != "IHDR") return std::nullopt;
  return facts("png", big_endian(head, 16, 4), big_endian(head, 20, 4));
}

std::optional<ImageFacts> jpeg(std::string_view head) {
  for (std::size_t at = 2; at + 4 <= head.size();) {
    const std::uint32_t marker = big_endian(head, at, 2);
    if (marker == 0xFFFF) {  // a fill byte
      ++at;
      continue;
    }
    if (marker < 0xFF01 || marker == 0xFFDA || marker == 0xFFD9) return std::nullopt;
    if (marker == 0xFF01 || (marker >= 0xFFD0 && marker <= 0xFFD8)) {  // no segment follows
      at += 2;
      continue;
    }
    const bool frame = marker >= 0xFFC0 && marker <= 0xFFCF && marker != 0xFFC4 &&
                       marker != 0xFFC8 && marker != 0xFFCC;
    if (frame && at + 9 <= head.size())
      return facts("jpeg", big_endian(head, at + 7, 2), big_endian(head, at + 5, 2));
    at += 2 + big_endian(head, at + 2, 2);
  }
  return std::nullopt;
}

}  // namespace

std::optional<ImageFacts> read_image_facts(std::string_view head) {
  if (head.starts_with("\x89PNG\r\n\x1a\n")) return png(head);
  if (head.starts_with("\xFF\xD8\xFF")) return jpeg(head);
  return std::nullopt;
}

}  // namespace kling::api
