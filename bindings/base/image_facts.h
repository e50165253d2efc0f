// Format and size of a picture, read from its bytes, which are not trusted. Any thread.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace kling {

struct ImageFacts {
  std::string format;  ///< "jpeg", "png", or "" when it is neither
  int width = 0;       ///< pixels as shown: EXIF orientation is applied
  int height = 0;
  std::uint64_t bytes = 0;
  int orientation = 1;  ///< EXIF's: 1 upright, to 8
  bool whole = true;    ///< false: the file ends before its picture does
  std::string is;       ///< what it is, fit to stand after "is"
  std::string cure;     ///< when it is neither: what to do
};

constexpr const char* kAnimated = "an animated PNG";

/// Gives the bytes of a file from `at` on, at most `count`; none behind its end.
using ReadAt = std::function<std::string(std::uint64_t at, std::size_t count)>;

/// Reads a JPEG or PNG file from segment to segment, however much metadata stands before them, and
/// whether its end is there. Leaves `bytes` 0.
ImageFacts read_image_facts(const ReadAt& read);
ImageFacts read_image_facts(std::string_view bytes);

}  // namespace kling
