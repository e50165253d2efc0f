// <<<image_1>>>, <<<element_1>>>, <<<video_1>>>, <<<voice_1>>> in prompts. Pure; any thread.
#pragma once

#include <vector>

#include "api/endpoint.h"

namespace kling::api {

/// References point at something that is given (`extra` counts as given) and are spelt rightly.
std::vector<Check> reference_checks();

}  // namespace kling::api
