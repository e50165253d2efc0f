// Runs scripts, whoever asks: `kling run` and `plan`, the REPL, kling_host_*, kling.so. Opens a
// state, reads and compiles texts, makes them tasks. Owner's thread; only read() blocks, on the
// disk.
#pragma once

#include "lua/safe.h"

namespace kling::script {

/// The text of a script ("-": standard input), without a byte order mark. The interpreter's own
/// loader skips a first line that starts with '#': so it is made a comment.
Result<std::string> read(const std::string& path);

/// Where the modules beside a script are.
std::string folder_of(const std::string& path);

/// Calls `work`, which may raise Lua errors, and so must own nothing then. The error (kind invalid)
/// has their message.
template <class Work>
Status protect(lua_State* L, Work& work) {
  if (!lua_checkstack(L, 4)) return Error{.message = "not enough memory"};
  lua_pushcfunction(L, [](lua_State* state) {
    (*static_cast<Work*>(lua_touserdata(state, 1)))(state);
    return 0;
  });
  lua_pushlightuserdata(L, &work);
  if (lua_pcall(L, 1, 0, 0) == LUA_OK) return Done{};
  const char* message = lua_tostring(L, -1);
  Error error{.message = message != nullptr ? message : "an error without a message"};
  lua_pop(L, 1);
  return error;
}

// These may raise Lua errors.

/// The libraries and the module. `safe`: in a new state of new_limited_state.
lua::Runtime& open(lua_State* L, bool safe, lua::ModuleOptions&& options);
/// The scripts that are started next lie in this folder (empty: in none): `require` looks there
/// first, then beside others.
void use_folder(lua_State* L, lua::Runtime& runtime, const std::string& folder);
/// Compiles a text, in words only, and pushes its function.
void load(lua_State* L, std::string_view source, const char* chunk_name);
/// Makes the function on top a task with these arguments, a list or null.
lua::TaskId start(lua_State* L, lua::Runtime& runtime, const char* task,
                  const api::Json& arguments);

}  // namespace kling::script
