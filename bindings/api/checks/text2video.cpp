#include "api/checks/checks.h"
#include "api/checks/shared.h"

namespace kling::api {

std::vector<Check> text2video_checks() {
  std::vector<Check> checks = {prompt_check(Finding::Level::error)};
  append(checks, common_checks(Feature::text2video));
  append(checks, {cfg_scale_check()});
  append(checks, camera_checks(Feature::camera_text));
  append(checks, sound_checks());
  append(checks, shot_checks());
  return checks;
}

}  // namespace kling::api
