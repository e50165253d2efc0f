// prelude.lua as the build embeds it (third_party/embed.cmake).
#pragma once

#include <cstddef>

namespace kling::lua {

extern const char kPrelude[];
extern const std::size_t kPreludeSize;

}  // namespace kling::lua
