#include "api/endpoint.h"

#include <doctest/doctest.h>

using namespace kling::api;

TEST_CASE("every function of the module is found by name and kind") {
  for (const char* name : {"text2video", "image2video", "multi_image2video", "multi-image2video",
                           "omni", "omni_video", "omni-video"})
    CHECK_MESSAGE(find_endpoint(name) != nullptr, name);
  CHECK(find_endpoint("nothing") == nullptr);
}
