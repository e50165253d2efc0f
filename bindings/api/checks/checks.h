// The rules that cross fields, one list an endpoint. Every rule reads a normalized request, trusts
// no type, and is silent when a field it judges was put into `extra`. Pure; any thread.
#pragma once

#include <vector>

#include "api/endpoint.h"

namespace kling::api {

std::vector<Check> text2video_checks();
std::vector<Check> image2video_checks();
std::vector<Check> multi_image2video_checks();
std::vector<Check> omni_checks();

}  // namespace kling::api
