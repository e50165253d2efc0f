#include "api/checks/checks.h"
#include "api/checks/shared.h"

namespace kling::api {
namespace {

Verdict lonely_picture(const Request& r) {
  if (count_of(r, "image_list") != 1) return std::nullopt;
  return warning("image_list", "image_list has 1 picture; CometAPI's documents want 2 to 4",
                 "add a picture, or use image2video");
}

}  // namespace

std::vector<Check> multi_image2video_checks() {
  std::vector<Check> checks = common_checks(Feature::multi_image2video);
  append(checks, {rule("image_list.single", "One picture is in one of the two documents only.",
                       {"image_list"}, lonely_picture),
                  one_document_rule("cfg_scale"), one_document_rule("static_mask"),
                  one_document_rule("dynamic_masks"), mask_size_check("image_list")});
  return checks;
}

}  // namespace kling::api
