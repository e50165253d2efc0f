// The pictures that requests carry: decoded, measured and kept by content, so that clips can begin
// with them. Pictures given by URL are not fetched (the simulator needs no network): a name that
// starts with "~" stands for one. Any thread; add() blocks on the disk.
#pragma once

#include <optional>
#include <string>

namespace kling::sim {

struct Picture {
  std::string name;           ///< "<sha256>.png", "<sha256>.jpg" or "~<hash of the URL>"
  int width = 0, height = 0;  ///< 0 when not known
  std::size_t bytes = 0;
};

class Pictures {
 public:
  /// `dir`: where they are kept.
  explicit Pictures(std::string dir) : dir_(std::move(dir)) {}

  /// Takes what a request says, Base64 or a URL. Empty when it is neither. A picture whose format
  /// is none of JPEG and PNG has an empty name.
  std::optional<Picture> add(const std::string& text) const;
  std::string path(const std::string& name) const { return dir_ + "/" + name; }

 private:
  const std::string dir_;
};

}  // namespace kling::sim
