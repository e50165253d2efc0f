// The libraries as scripts of the safe profile see them: what is missing, what is replaced, and
// that their tables cannot be changed.
#include <algorithm>
#include <cstring>

#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

int refuse_change(lua_State* L) { return luaL_error(L, "this table is read-only"); }

int next_sealed(lua_State* L) {  // upvalue: the table behind
  lua_settop(L, 2);
  if (lua_next(L, lua_upvalueindex(1)) == 0) lua_pushnil(L);
  return lua_isnil(L, -1) ? 1 : 2;
}

/// pairs() of a sealed table, without handing out the table behind it.
int pairs_sealed(lua_State* L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_pushcclosure(L, next_sealed, 1);
  lua_pushvalue(L, 1);
  lua_pushnil(L);
  return 3;
}

/// Replaces the table on top of the stack by one that shows it and cannot be changed.
void seal(lua_State* L) {
  lua_newtable(L);
  lua_createtable(L, 0, 6);  // table face metatable
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, refuse_change);
  lua_setfield(L, -2, "__newindex");
  lua_pushvalue(L, -3);
  lua_pushcclosure(L, pairs_sealed, 1);
  lua_setfield(L, -2, "__pairs");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  mark_sealed(L);
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

void drop_all_but(lua_State* L, std::initializer_list<const char*> kept) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const char* name = lua_tostring(L, -2);
    if (std::ranges::any_of(kept, [&](const char* one) { return std::strcmp(one, name) == 0; }))
      continue;
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, -5);
  }
}

constexpr luaL_Reg kLibraries[] = {{"coroutine", luaopen_coroutine}, {"table", luaopen_table},
                                   {"string", luaopen_string},       {"math", luaopen_math},
                                   {"utf8", luaopen_utf8},           {"os", luaopen_os},
                                   {"debug", luaopen_debug}};

void open_libraries(lua_State* L) {
  luaL_requiref(L, "_G", luaopen_base, 1);
  lua_pop(L, 1);
  for (const luaL_Reg& library : kLibraries) {
    luaL_requiref(L, library.name, library.func, 1);
    lua_pop(L, 1);
  }
  lua_pushglobaltable(L);
  drop_all_but(
      L, {"_G",       "_VERSION", "assert", "error",  "ipairs",   "next",     "pairs", "print",
          "rawequal", "rawget",   "rawlen", "select", "tonumber", "tostring", "type",  "coroutine",
          "table",    "string",   "math",   "utf8",   "os",       "debug"});
  luaL_setfuncs(L, kValueFunctions, 0);
  luaL_setfuncs(L, kCodeFunctions, 0);
  lua_pop(L, 1);

  for (const Wrapper& wrapper : kWrappers) {
    lua_getglobal(L, wrapper.library);
    lua_getfield(L, -1, wrapper.name);
    lua_pushcclosure(L, wrapper.function, 1);
    lua_setfield(L, -2, wrapper.name);
    lua_pop(L, 1);
  }
  lua_getglobal(L, "os");
  drop_all_but(L, {"clock", "date", "difftime", "time"});
  lua_getglobal(L, "debug");
  drop_all_but(L, {});
  lua_pushcfunction(L, traceback);
  lua_setfield(L, -2, "traceback");
  lua_getglobal(L, "string");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  luaL_setfuncs(L, kPatternFunctions, 0);
  lua_pop(L, 3);

  lua_pushliteral(L, "");  // "x":rep() and such go on, its metatable stays out of reach
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

}  // namespace

void give(lua_State* L, const char* name) {
  const bool safe = meter_of(L) != nullptr;
  const int function = lua_gettop(L), owner = function + 1, part = owner + 1;
  safe ? push_given(L) : lua_pushglobaltable(L);
  for (const char* rest = name;;) {
    const std::size_t size = std::strcspn(rest, ".");
    lua_pushlstring(L, rest, size);
    if (safe && rest == name) {  // what it stood for so far
      lua_pushglobaltable(L);
      lua_pushvalue(L, part);
      lua_pushvalue(L, part);
      if (lua_rawget(L, -3) == LUA_TNIL)
        lua_settop(L, part);
      else
        lua_rawset(L, owner), lua_pushvalue(L, part), lua_pushnil(L), lua_rawset(L, -3);
      lua_settop(L, part);
    }
    if (rest[size] == '\0') break;
    lua_pushvalue(L, part);
    if (lua_rawget(L, owner) == LUA_TNIL) {
      lua_newtable(L);
      lua_replace(L, -2);
    }
    if (!lua_istable(L, -1)) luaL_error(L, "%s is no table", lua_tostring(L, part));
    if (!push_behind(L)) {
      lua_pushvalue(L, part);
      lua_pushvalue(L, -2);
      if (safe) seal(L);
      lua_rawset(L, owner);
    }
    lua_replace(L, owner);
    lua_settop(L, owner);
    rest += size + 1;
  }
  lua_pushvalue(L, part);
  if (lua_rawget(L, owner) == LUA_TTABLE) luaL_error(L, "%s is a table", lua_tostring(L, part));
  lua_pop(L, 1);
  lua_pushvalue(L, function);
  lua_rawset(L, owner);
  lua_settop(L, function - 1);
}

Runtime& open_safe(lua_State* L, ModuleOptions&& options) {
  options.own_interpreter = true;  // coroutines that may wait, and a require of ours
  options.engine.confinement.on = true;
  options.engine.response_cap = std::min<std::size_t>(options.engine.response_cap, 1u << 20);
  open_libraries(L);
  define_metatables(L);
  define_modules(L);

  // What the prelude's require works with; the registry's own tables stay out of reach.
  lua_createtable(L, 0, 2);
  lua_newtable(L);
  lua_setfield(L, -2, "loaded");
  lua_newtable(L);
  lua_setfield(L, -2, "searchers");
  lua_setglobal(L, "package");
  Runtime& runtime = open_module(L, std::move(options));  // module

  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_getfield(L, -3, "query");
  lua_getupvalue(L, -1, 1);
  lua_remove(L, -2);  // the client that the module's functions are bound to
  lua_pushcclosure(L, search_module, 1);
  lua_rawseti(L, -2, 1);
  seal(L);
  lua_setfield(L, -2, "searchers");
  lua_getfield(L, -1, "loaded");  // module package loaded
  lua_pushvalue(L, -3);
  seal(L);
  lua_setfield(L, -2, "kling");
  for (const luaL_Reg& library : kLibraries) {
    lua_getglobal(L, library.name);
    seal(L);
    lua_pushvalue(L, -1);
    lua_setglobal(L, library.name);
    lua_setfield(L, -2, library.name);
  }
  lua_pushglobaltable(L);
  lua_setfield(L, -2, "_G");
  lua_getfield(L, -1, "kling");
  lua_replace(L, -4);  // what the script sees is what the caller gets
  lua_pop(L, 1);
  seal(L);
  lua_setglobal(L, "package");
  return runtime;
}

}  // namespace kling::lua
