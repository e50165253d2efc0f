// Code from text, and loops that the libraries make in C, in the safe profile: counted before they
// run.
#include <algorithm>
#include <cctype>
#include <cstring>

#include "api/text.h"
#include "base/files.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

/// Source of more bytes takes the compiler too long, which no hook sees.
constexpr std::size_t kMostText = 64u << 10;
constexpr std::uint64_t kMostModule = 256u << 10;
constexpr std::size_t kMostName = 255;  ///< of a module
constexpr int kMostNestedCloses = 20;

// ---- Code ----

int used_memory(lua_State* L) {
  const char* what = luaL_optstring(L, 1, "collect");
  if (std::strcmp(what, "count") != 0) return lua_pushinteger(L, 0), 1;  // its work has no limit
  lua_pushnumber(L, lua_Number(lua_gc(L, LUA_GCCOUNT)) + lua_gc(L, LUA_GCCOUNTB) / 1024.0);
  return 1;
}

/// Replaces the reader at index 1 by the text it gives. Each piece counts: the loop is in C.
void read_pieces(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (;;) {
    charge(L, 10);
    lua_pushvalue(L, 1);
    lua_call(L, 0, 1);
    std::size_t size = 0;
    if (lua_isnil(L, -1)) break;
    if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "reader function must return a string");
    lua_tolstring(L, -1, &size);
    if (size == 0) break;
    if (luaL_bufflen(&text) + size > kMostText) luaL_error(L, "the text is too long for load");
    luaL_addvalue(&text);
  }
  lua_pop(L, 1);
  luaL_pushresult(&text);
  lua_replace(L, 1);
}

/// load(text or function [, name [, mode [, env]]]): text only, and not too much of it.
int load(lua_State* L) {
  const bool has_environment = lua_gettop(L) >= 4;
  lua_settop(L, 4);
  if (lua_type(L, 1) != LUA_TSTRING) read_pieces(L);
  std::size_t size = 0;
  const char* text = lua_tolstring(L, 1, &size);
  const char* name = luaL_optstring(L, 2, text);
  charge(L, size * 4);
  if (size > kMostText) {
    lua_pushnil(L);
    lua_pushliteral(L, "the text is too long for load");
    return 2;
  }
  if (luaL_loadbufferx(L, text, size, name, "t") != LUA_OK) {
    lua_pushnil(L);
    lua_insert(L, -2);
    return 2;
  }
  if (!has_environment) return 1;
  lua_pushvalue(L, 4);
  if (lua_setupvalue(L, -2, 1) == nullptr) lua_pop(L, 1);
  return 1;
}

struct Found {
  std::string path;
  std::string text;
  Error error;
};

/// Looks for the module `name` below the roots.
Found find_module(const engine::Confinement& confinement, const char* name) {
  std::string file(name, ::strnlen(name, kMostName + 1));
  if (file.size() > kMostName) return {};
  const auto strange = [](unsigned char c) { return !(std::isalnum(c) || c == '_' || c == '-'); };
  std::ranges::replace(file, '.', '/');
  if (std::ranges::any_of(file, [&](char c) { return c != '/' && strange(c); })) return {};
  for (const std::string& root : confinement.roots)
    for (const char* end : {".lua", "/init.lua"}) {
      auto path =
          engine::readable(confinement, (std::filesystem::absolute(root) / (file + end)).string());
      std::error_code error;
      if (!path || !std::filesystem::is_regular_file(*path, error)) continue;
      if (auto text = read_file(*path, kMostModule)) return {*path, std::move(*text)};
    }
  return {};
}

/// Stock 5.4.4 overruns the C stack when closing closes, many times over.
int co_close(lua_State* L) {
  luaL_argexpected(L, lua_isthread(L, 1), 1, "thread");
  Meter* meter = meter_of(L);
  if (meter == nullptr || meter->closing >= kMostNestedCloses)
    return luaL_error(L, "coroutines are closed within each other too deeply");
  ++meter->closing;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  const int status = lua_pcall(L, 1, LUA_MULTRET, 0);
  --meter->closing;
  if (is_stopped(L)) return stop_again(L);
  if (status != LUA_OK) return lua_error(L);
  return lua_gettop(L);
}

// ---- Loops in C ----

int repeat(lua_State* L) {  // upvalue: the stock function, here and below
  std::size_t size = 0, separator = 0;
  luaL_checklstring(L, 1, &size);
  luaL_optlstring(L, 3, "", &separator);
  if (size + separator == 0 && luaL_checkinteger(L, 2) > 0) return lua_pushliteral(L, ""), 1;
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

template <lua_Integer (*Count)(lua_State*)>
int counted(lua_State* L) {
  const int top = lua_gettop(L);
  charge_elements(L, Count(L));
  lua_settop(L, top);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

/// How many elements first … last are; also when the number has no room.
lua_Integer between(lua_Integer first, lua_Integer last) {
  if (first > last) return 0;
  const auto count = static_cast<lua_Unsigned>(last) - static_cast<lua_Unsigned>(first);
  return count >= static_cast<lua_Unsigned>(LUA_MAXINTEGER) ? LUA_MAXINTEGER
                                                            : static_cast<lua_Integer>(count) + 1;
}
lua_Integer length(lua_State* L) { return lua_istable(L, 1) ? luaL_len(L, 1) : 0; }
lua_Integer moved_by_position(lua_State* L) {  // insert(t, position, value), remove(t, position)
  return lua_gettop(L) < 2 ? 0 : between(luaL_optinteger(L, 2, LUA_MAXINTEGER), length(L));
}
lua_Integer moved_by_insert(lua_State* L) { return lua_gettop(L) < 3 ? 0 : moved_by_position(L); }
lua_Integer joined(lua_State* L) {
  return between(luaL_optinteger(L, 3, 1),
                 lua_isnoneornil(L, 4) ? length(L) : luaL_checkinteger(L, 4));
}
lua_Integer unpacked(lua_State* L) {
  return between(luaL_optinteger(L, 2, 1),
                 lua_isnoneornil(L, 3) ? luaL_len(L, 1) : luaL_checkinteger(L, 3));
}
lua_Integer moved(lua_State* L) {
  return between(luaL_checkinteger(L, 2), luaL_checkinteger(L, 3));
}

/// Upvalue: the script's comparison, or nil.
int compare(lua_State* L) {
  std::size_t size = 0;
  if (lua_type(L, 1) == LUA_TSTRING) lua_tolstring(L, 1, &size);
  charge(L, 2 + size / 16);
  if (lua_isnil(L, lua_upvalueindex(1)))
    return lua_pushboolean(L, lua_compare(L, 1, 2, LUA_OPLT)), 1;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, 2, 1);
  return 1;
}

int sort(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  if (!lua_isnoneornil(L, 2)) luaL_checktype(L, 2, LUA_TFUNCTION);
  charge_elements(L, length(L));
  lua_settop(L, 2);
  lua_pushcclosure(L, compare, 1);
  return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

}  // namespace

int search_module(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  Found& found = new_object<Found>(L);
  pure_or_raise(L, found.error, [&] {
    found = find_module(bound_client(L)->options.confinement, name);
    return api::take_byte_order_mark(found.text, found.path);
  });
  if (found.path.empty()) {
    lua_pushfstring(L, "no text file '%s' below a folder that was allowed", name);
    return 1;
  }
  charge(L, found.text.size() * 4);
  lua_pushfstring(L, "@%s", found.path.c_str());
  if (luaL_loadbufferx(L, found.text.data(), found.text.size(), lua_tostring(L, -1), "t") != LUA_OK)
    return lua_error(L);
  lua_pushstring(L, found.path.c_str());
  return 2;
}

void define_modules(lua_State* L) { define<Found>(L, "kling.Found"); }

const luaL_Reg kCodeFunctions[] = {
    {"load", load}, {"collectgarbage", used_memory}, {nullptr, nullptr}};

const Wrapper kWrappers[8] = {{"coroutine", "close", co_close},
                              {"string", "rep", repeat},
                              {"table", "insert", counted<moved_by_insert>},
                              {"table", "remove", counted<moved_by_position>},
                              {"table", "concat", counted<joined>},
                              {"table", "unpack", counted<unpacked>},
                              {"table", "move", counted<moved>},
                              {"table", "sort", sort}};

}  // namespace kling::lua
