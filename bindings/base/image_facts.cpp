#include "base/image_facts.h"

#include <algorithm>

#include "base/file_kind.h"

namespace kling {
namespace {

/// The bytes of a file by their place, read in pieces. Numbers behind its end are 0.
class Bytes {
 public:
  explicit Bytes(const ReadAt& read) : read_(read) {}

  int at(std::uint64_t place) {
    if (place - start_ >= piece_.size()) {  // also before the piece: the difference wraps
      piece_ = read_(place, 64u << 10);
      start_ = place;
      if (piece_.empty()) return -1;
    }
    return static_cast<unsigned char>(piece_[place - start_]);
  }

  std::uint32_t number(std::uint64_t place, unsigned size, bool little = false) {
    std::uint32_t value = 0;
    for (unsigned i = 0; i < size; ++i) {
      const int byte = at(place + (little ? size - 1 - i : i));
      if (byte < 0) return 0;
      value = value << 8 | static_cast<std::uint32_t>(byte);
    }
    return value;
  }

 private:
  const ReadAt& read_;
  std::string piece_;
  std::uint64_t start_ = 0;
};

/// The orientation in the EXIF block from `at` to `end`; 1 when it tells none.
int orientation(Bytes& bytes, std::uint64_t at, std::uint64_t end) {
  const std::uint32_t order = bytes.number(at, 4);
  const bool little = order == 0x49492A00;
  if (!little && order != 0x4D4D002A) return 1;
  const std::uint64_t list = at + bytes.number(at + 4, 4, little);
  for (std::uint64_t i = 0, count = bytes.number(list, 2, little); i < count; ++i) {
    const std::uint64_t entry = list + 2 + 12 * i;
    if (entry + 12 > end) break;
    if (bytes.number(entry, 2, little) != 0x0112) continue;
    const unsigned size = bytes.number(entry + 2, 2, little) == 4 ? 4 : 2;  // LONG or SHORT
    const auto value = bytes.number(entry + 8, size, little);
    return value >= 1 && value <= 8 ? static_cast<int>(value) : 1;
  }
  return 1;
}

constexpr std::uint32_t kLargest = 0x7FFFFFFF;
constexpr int kMostSide = 16'384;  // nobody decodes more

void size(ImageFacts& facts, std::uint32_t width, std::uint32_t height) {
  if (facts.width != 0 || width - 1 >= kLargest || height - 1 >= kLargest) return;
  facts.width = static_cast<int>(width);
  facts.height = static_cast<int>(height);
}

void png(Bytes& bytes, ImageFacts& facts) {
  for (std::uint64_t at = 8; bytes.at(at) >= 0;) {  // chunks: length, type, data, checksum
    const std::uint32_t type = bytes.number(at + 4, 4);
    const std::uint64_t end = at + 8 + bytes.number(at, 4);
    if (type == 0x49484452 && end == at + 21)  // IHDR
      size(facts, bytes.number(at + 8, 4), bytes.number(at + 12, 4));
    if (type == 0x6163544C) facts.is = kAnimated;  // acTL
    if (type == 0x43674249) {                      // CgBI
      facts.is = "a PNG as iPhone programs have it inside";
      facts.cure = "convert it, on a Mac with sips -s format png IN --out OUT.png";
    }
    if (type == 0x65584966) facts.orientation = orientation(bytes, at + 8, end);  // eXIf
    at = end + 4;
    if (type == 0x49454E44 && bytes.at(at - 1) >= 0) return;  // IEND
  }
  facts.whole = false;
}

void jpeg(Bytes& bytes, ImageFacts& facts) {
  for (std::uint64_t at = 2; bytes.at(at + 1) >= 0;) {
    const int marker = bytes.at(at + 1);
    // Coded data (its FF is followed by 0), fill bytes, and markers without a segment.
    if (bytes.at(at) != 0xFF || marker == 0xFF) {
      ++at;
    } else if (marker <= 0x01 || (marker >= 0xD0 && marker <= 0xD8)) {
      at += 2;
    } else if (marker == 0xD9) {
      return;
    } else {
      const std::uint64_t end = at + 2 + bytes.number(at + 2, 2);
      if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC)
        size(facts, bytes.number(at + 7, 2), bytes.number(at + 5, 2));
      if (marker == 0xE1 && bytes.number(at + 4, 4) == 0x45786966)  // "Exif"
        facts.orientation = orientation(bytes, at + 10, end);
      at = end;
    }
  }
  facts.whole = false;
}

void webp(Bytes& bytes, ImageFacts& facts) {
  for (std::uint64_t at = 12; bytes.at(at) >= 0;) {  // chunks: type, length, data, evened
    const std::uint64_t length = bytes.number(at + 4, 4, true);
    const std::uint64_t begin = at + 8 + (bytes.number(at + 8, 4) == 0x45786966 ? 6 : 0);
    if (bytes.number(at, 4) == 0x45584946)  // EXIF, with or without "Exif" before
      facts.orientation = orientation(bytes, begin, at + 8 + length);
    at += 8 + length + length % 2;
  }
}

}  // namespace

ImageFacts read_image_facts(const ReadAt& read) {
  ImageFacts facts;
  const FileKind& kind = file_kind(read(0, 256));
  facts.is = kind.name;
  facts.cure = kind.family == FileKind::video
                   ? "take a picture of it: clip:last_frame(), or kling.still(PATH, { at = 0 })"
               : kind.family == FileKind::picture || *kind.cure ? cure_of(kind)
                                                                : "give a JPEG or PNG picture";
  Bytes bytes(read);
  if (facts.is == "PNG") png(bytes, facts);
  if (facts.is == "JPEG") jpeg(bytes, facts);
  if (facts.is == "WebP") webp(bytes, facts);
  if (facts.orientation > 4) std::swap(facts.width, facts.height);
  if (std::max(facts.width, facts.height) > kMostSide) {
    facts.is += " of " + std::to_string(facts.width) + "x" + std::to_string(facts.height) +
                " pixels, where 16384 on a side are the limit";
    facts.cure = "make it smaller";
  } else if ((facts.is == "PNG" || facts.is == "JPEG") && facts.whole && facts.width == 0) {
    facts.is += " without a size";
    facts.cure = "save it again with a picture editor";
  } else if (facts.is == "PNG" || facts.is == "JPEG" || facts.is == kAnimated) {
    facts.format = facts.is == "JPEG" ? "jpeg" : "png";
  }
  return facts;
}

ImageFacts read_image_facts(std::string_view bytes) {
  return read_image_facts([bytes](std::uint64_t at, std::size_t count) {
    return std::string(at < bytes.size() ? bytes.substr(at, count) : "");
  });
}

}  // namespace kling
