// The Lua part of the REPL, embedded in the build.
#pragma once

#include <cstddef>

namespace kling::lua {

extern const char kReplShow[], kReplAssist[], kReplSession[];
extern const std::size_t kReplShowSize, kReplAssistSize, kReplSessionSize;

}  // namespace kling::lua
