// What operator new gave and nobody returned, in this test program; and every function that a
// script can reach, so that a new one without a test is noticed.
#pragma once

#include <atomic>
#include <cctype>
#include <set>
#include <string>

#include "lua/runtime_state.h"

namespace kling::lua {

extern std::atomic<long> live_blocks, live_bytes, news;

/// Puts "before.name" of every function in the table on top of the stack into `names`; pops it.
inline void add_functions(lua_State* L, const std::string& before, std::set<std::string>& names) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
    if (lua_isfunction(L, -1)) names.insert(before + lua_tostring(L, -2));
  lua_pop(L, 1);
}

/// The methods of a userdata of ours, from its metatable.
template <class T>
void add_methods(lua_State* L, const std::string& before, std::set<std::string>& names) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, type_key<T>());
  if (lua_getfield(L, -1, "__index") == LUA_TFUNCTION) lua_getupvalue(L, -1, 1);
  add_functions(L, before, names);
  lua_settop(L, 0);
}

/// "kling.query" and "JOB:wait" and so on; `L` has the module in the global kling.
inline std::set<std::string> every_function(lua_State* L) {
  std::set<std::string> names;
  lua_getglobal(L, "kling");
  add_functions(L, "kling.", names);
  add_methods<JobRef>(L, "JOB:", names);
  add_methods<TaskRef>(L, "TASK:", names);
  add_methods<ClipRef>(L, "CLIP:", names);
  add_methods<ImageRef>(L, "IMAGE:", names);
  return names;
}

/// Whether `script` calls `name`, which ends as a word.
inline bool calls(const std::string& script, const std::string& name) {
  for (auto at = script.find(name); at != std::string::npos; at = script.find(name, at + 1)) {
    const char next = at + name.size() < script.size() ? script[at + name.size()] : ' ';
    if (std::isalnum(static_cast<unsigned char>(next)) == 0 && next != '_') return true;
  }
  return false;
}

/// Memory that ends after so many allocations.
struct Supply {
  long left = -1;  ///< < 0: enough
  static void* allocate(void* data, void* block, std::size_t, std::size_t size) {
    auto& supply = *static_cast<Supply*>(data);
    if (size == 0) return std::free(block), nullptr;
    if (supply.left == 0) return nullptr;
    if (supply.left > 0) --supply.left;
    return std::realloc(block, size);
  }
};

}  // namespace kling::lua
