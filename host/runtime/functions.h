// Functions of the program that scripts call. Values pass as JSON; the answer may come at once or
// later, from any thread. All but the answer belongs to the ticking thread; nothing here blocks.
#pragma once

#include "kling/host.h"
#include "lua/runtime.h"

namespace kling::runtime {

struct Function {
  kling_function call = nullptr;
  void* user = nullptr;
};

// These may raise Lua errors. Names may have dots.

/// Pushes a global function of the scripts.
void push_function(lua_State* L, const char* name);
/// Makes `function`, which must live as long as the state, a global, and the tables before it.
void set_function(lua_State* L, const char* name, Function& function);

}  // namespace kling::runtime
