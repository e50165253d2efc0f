// string.find, match, gmatch and gsub with a matcher that counts its steps: the same patterns and
// results as the stock ones, but a pattern that would run for hours uses up the script's
// instructions instead. Plain searches take linear time.
#pragma once

#include <lua.hpp>

namespace kling::lua {

extern const luaL_Reg kPatternFunctions[];

}  // namespace kling::lua
