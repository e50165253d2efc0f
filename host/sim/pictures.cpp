#include "sim/pictures.h"

#include "base/digest.h"
#include "base/files.h"
#include "base/image_facts.h"
#include "sim/contract.h"

namespace kling::sim {
std::optional<Picture> Pictures::add(const std::string& text) const {
  Picture picture;
  if (text.rfind("http://", 0) == 0 || text.rfind("https://", 0) == 0) {
    picture.name = "~" + std::to_string(hash_of(text.substr(0, text.find('?'))));
    return picture;
  }
  std::string data;
  if (!base64_decode(text, data) || data.empty()) return std::nullopt;
  picture.bytes = data.size();
  const ImageFacts facts = read_image_facts(data);
  picture.width = facts.width;
  picture.height = facts.height;
  if (facts.format.empty() || facts.width == 0) return picture;
  picture.name = sha256_hex(data) + (facts.format == "jpeg" ? ".jpg" : ".png");
  if (!std::filesystem::exists(path(picture.name)) && !write_file(path(picture.name), data))
    picture.name.clear();
  return picture;
}

}  // namespace kling::sim
