#include "sim/pictures.h"

#include "base/digest.h"
#include "base/files.h"
#include "sim/contract.h"

namespace kling::sim {
namespace {

int big_endian(std::string_view data, std::size_t at, std::size_t size) {
  int value = 0;
  for (std::size_t i = 0; i < size; ++i) {
    value = (value << 8) | static_cast<unsigned char>(data[at + i]);
  }
  return value;
}

bool jpeg_size(std::string_view data, int& width, int& height) {
  for (std::size_t at = 2; at + 9 < data.size();) {
    if (data[at] != '\xff') return false;
    const int marker = static_cast<unsigned char>(data[at + 1]);
    // C0 to CF are frame headers, but for three tables among them.
    if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) {
      height = big_endian(data, at + 5, 2);
      width = big_endian(data, at + 7, 2);
      return true;
    }
    at += marker == 0xFF ? 1 : 2 + static_cast<std::size_t>(big_endian(data, at + 2, 2));
  }
  return false;
}

/// Width and height from the header of a PNG or JPEG; false when it is neither.
bool picture_size(std::string_view data, int& width, int& height) {
  if (data.size() > 24 && data.substr(0, 8) == "\x89PNG\r\n\x1a\n") {
    width = big_endian(data, 16, 4);
    height = big_endian(data, 20, 4);
    return true;
  }
  return data.substr(0, 2) == "\xff\xd8" && jpeg_size(data, width, height);
}

}  // namespace

std::optional<Picture> Pictures::add(const std::string& text) const {
  Picture picture;
  if (text.rfind("http://", 0) == 0 || text.rfind("https://", 0) == 0) {
    picture.name = "~" + std::to_string(hash_of(text.substr(0, text.find('?'))));
    return picture;
  }
  std::string data;
  if (!base64_decode(text, data) || data.empty()) return std::nullopt;
  picture.bytes = data.size();
  if (!picture_size(data, picture.width, picture.height)) return picture;
  picture.name = sha256_hex(data) + (data[0] == '\xff' ? ".jpg" : ".png");
  if (!std::filesystem::exists(path(picture.name)) && !write_file(path(picture.name), data)) {
    picture.name.clear();
  }
  return picture;
}

}  // namespace kling::sim
