// The libraries as scripts of the safe profile see them: what is missing, what is replaced, and
// that their tables cannot be changed. Each replacement says what the stock function lets through
// (measured on 5.4.4).
#include <algorithm>
#include <cctype>
#include <cstring>
#include <filesystem>
#include <string>

#include "base/files.h"
#include "lua/runtime_state.h"
#include "lua/safe/limits.h"
#include "lua/safe/patterns.h"

namespace kling::lua {
namespace {

/// Source of more bytes takes the compiler too long, which no hook sees.
constexpr std::size_t kMostText = 64u << 10;
constexpr std::uint64_t kMostModule = 256u << 10;
constexpr int kMostNestedCloses = 20;

char copies_key;    // registry: metatables of scripts to the copies in use
char original_key;  // in a copy: the script's own table
char sealed_key;    // in a metatable: its table cannot be changed

// ---- Errors ----

/// After a protected call: its results, or false and the message. Nothing catches the end.
int finish_pcall(lua_State* L, int status, lua_KContext extra) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - static_cast<int>(extra);
  if (is_stopped(L)) return stop_again(L);
  lua_pushboolean(L, 0);
  lua_insert(L, -2);
  return 2;
}

/// Within a coroutine the interpreter nests protected calls as deep as memory allows, and unwinds
/// them in a time that grows with the square of the depth.
void check_depth(lua_State* L) {
  constexpr int kMostFrames = 1000;
  lua_Debug frame;
  if (lua_getstack(L, kMostFrames, &frame) != 0)
    luaL_error(L, "stack overflow: protected calls are nested too deeply");
}

int pcall(lua_State* L) {
  luaL_checkany(L, 1);
  check_depth(L);
  lua_pushboolean(L, 1);
  lua_insert(L, 1);
  return finish_pcall(L, lua_pcallk(L, lua_gettop(L) - 2, LUA_MULTRET, 0, 0, finish_pcall), 0);
}

/// Runs where the error happened: a C function, which ends.
int keep_traceback(lua_State* L) {  // message
  luaL_traceback(L, L, nullptr, 1);
  lua_createtable(L, 2, 0);
  lua_insert(L, 1);  // pair message traceback
  lua_rawseti(L, 1, 2);
  lua_rawseti(L, 1, 1);
  return 1;
}

/// Stack: handler keeper false pair, then what the handler gave.
int handled(lua_State* L, int status, lua_KContext) {
  if (status != LUA_OK && status != LUA_YIELD && is_stopped(L)) return stop_again(L);
  lua_remove(L, 4);
  return lua_gettop(L) - 2;
}

/// Stack: handler keeper true, then the results or what keep_traceback made of the error.
int finish_xpcall(lua_State* L, int status, lua_KContext) {
  if (status == LUA_OK || status == LUA_YIELD) return lua_gettop(L) - 2;
  const bool kept = lua_istable(L, -1);  // else memory was short
  if (is_stopped(L)) return stop_again(L);
  lua_pushboolean(L, 0);
  lua_replace(L, 3);
  if (!kept) return 2;
  lua_pushvalue(L, 1);
  lua_rawgeti(L, 4, 1);
  lua_rawgeti(L, 4, 2);
  return handled(L, lua_pcallk(L, 2, LUA_MULTRET, 0, 0, handled), 0);
}

/// Stock: the handler runs without limits when it was the hook that raised. Here it is called
/// after the stack was unwound, with the traceback as its second argument.
int xpcall(lua_State* L) {
  luaL_checktype(L, 2, LUA_TFUNCTION);
  check_depth(L);
  const int arguments = lua_gettop(L) - 2;
  lua_pushcfunction(L, keep_traceback);
  lua_pushboolean(L, 1);
  lua_pushvalue(L, 1);
  lua_rotate(L, 3, 3);
  lua_remove(L, 1);  // handler keeper true function arguments
  return finish_xpcall(L, lua_pcallk(L, arguments, LUA_MULTRET, 2, 0, finish_xpcall), 0);
}

/// traceback([thread,] [message [, level or the traceback that xpcall hands to its handler]])
int traceback(lua_State* L) {
  lua_State* thread = lua_isthread(L, 1) ? lua_tothread(L, 1) : L;
  const int first = lua_isthread(L, 1) ? 2 : 1;
  const char* message = lua_tostring(L, first);
  if (message == nullptr && !lua_isnoneornil(L, first)) return lua_pushvalue(L, first), 1;
  if (lua_type(L, first + 1) == LUA_TSTRING) {
    lua_pushfstring(L, "%s\n%s", message, lua_tostring(L, first + 1));
    return 1;
  }
  const lua_Integer level = luaL_optinteger(L, first + 1, thread == L ? 1 : 0);
  luaL_traceback(L, thread, message, static_cast<int>(std::clamp<lua_Integer>(level, 0, 1 << 20)));
  return 1;
}

// ---- Metatables ----

/// All that the interpreter and its libraries look for.
constexpr const char* kEvents[] = {
    "__index", "__newindex", "__call",     "__add",    "__sub",   "__mul",  "__div",
    "__mod",   "__pow",      "__unm",      "__idiv",   "__band",  "__bor",  "__bxor",
    "__shl",   "__shr",      "__bnot",     "__concat", "__len",   "__eq",   "__lt",
    "__le",    "__close",    "__tostring", "__name",   "__pairs", "__mode", "__metatable"};

/// Upvalue: the script's handler. It is not called on a thread that the hook has ended, where the
/// interpreter runs it with hooks off, also after refill().
int close_value(lua_State* L) {
  if (is_stopped(L) || lua_gethookcount(L) == 1) return 0;
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_callk(L, lua_gettop(L) - 1, 0, 0, [](lua_State*, int, lua_KContext) { return 0; });
  return 0;
}

/// Brings the copy on top of the stack up to date with the script's table at index 2.
void copy_events(lua_State* L) {
  for (const char* event : kEvents) {
    lua_pushstring(L, event);
    lua_pushvalue(L, -1);
    if (lua_rawget(L, 2) != LUA_TNIL && std::strcmp(event, "__close") == 0)
      lua_pushcclosure(L, close_value, 1);
    lua_rawset(L, -3);
  }
}

/// Stock: __gc runs without hooks; a __call that is itself called so may go in a circle for ever;
/// a metatable that is weak may be freed in use. So a checked copy is what counts. It is brought up
/// to date by each setmetatable with the same table.
int set_metatable(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_argexpected(L, lua_isnil(L, 2) || lua_istable(L, 2), 2, "nil or table");
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL)
    return luaL_error(L, "cannot change a protected metatable");
  lua_settop(L, 2);
  if (lua_isnil(L, 2)) return lua_setmetatable(L, 1), 1;
  lua_pushliteral(L, "__gc");
  if (lua_rawget(L, 2) != LUA_TNIL) return luaL_error(L, "a safe script has no __gc; use __close");
  lua_pushliteral(L, "__call");
  const int call = lua_rawget(L, 2);
  if (call != LUA_TNIL && call != LUA_TFUNCTION)
    return luaL_error(L, "__call must be a function in a safe script");
  lua_settop(L, 2);
  lua_rawgetp(L, LUA_REGISTRYINDEX, &copies_key);  // object metatable copies
  lua_pushvalue(L, 2);
  if (lua_rawget(L, 3) == LUA_TNIL) {
    lua_pop(L, 1);
    lua_newtable(L);
    lua_pushvalue(L, 2);
    lua_rawsetp(L, -2, &original_key);
    lua_pushvalue(L, 2);
    lua_pushvalue(L, -2);
    lua_rawset(L, 3);
  }
  copy_events(L);
  lua_setmetatable(L, 1);
  lua_settop(L, 1);
  return 1;
}

int get_metatable(lua_State* L) {
  luaL_checkany(L, 1);
  if (luaL_getmetafield(L, 1, "__metatable") != LUA_TNIL) return 1;
  if (!lua_getmetatable(L, 1)) return 0;
  if (lua_rawgetp(L, -1, &original_key) == LUA_TNIL) lua_pushboolean(L, 0);
  return 1;
}

int raw_set(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  luaL_checkany(L, 3);
  lua_settop(L, 3);
  if (lua_getmetatable(L, 1) && lua_rawgetp(L, -1, &sealed_key) != LUA_TNIL)
    return luaL_error(L, "this table is read-only");
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

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
};

/// Looks for the module `name` below the roots.
Found find_module(const engine::Confinement& confinement, const char* name) {
  std::string file = name;
  const auto strange = [](unsigned char c) { return !(std::isalnum(c) || c == '_' || c == '-'); };
  std::replace(file.begin(), file.end(), '.', '/');
  if (std::any_of(file.begin(), file.end(), [&](char c) { return c != '/' && strange(c); }))
    return {};
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

/// package.searchers' only one. Upvalue: the client whose options say where files may be.
int search(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  Found& found = new_object<Found>(L);
  pure(L, [&] { found = find_module(bound_client(L)->options.confinement, name); });
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

// ---- The environment ----

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
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &sealed_key);
  lua_setmetatable(L, -2);
  lua_remove(L, -2);
}

/// Puts `replacement` around the function `name` of the table on top.
void wrap(lua_State* L, const char* name, lua_CFunction replacement) {
  lua_getfield(L, -1, name);
  lua_pushcclosure(L, replacement, 1);
  lua_setfield(L, -2, name);
}

void drop_all_but(lua_State* L, std::initializer_list<const char*> kept) {
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    const char* name = lua_tostring(L, -2);
    if (std::any_of(kept.begin(), kept.end(),
                    [&](const char* one) { return std::strcmp(one, name) == 0; }))
      continue;
    lua_pushvalue(L, -2);
    lua_pushnil(L);
    lua_rawset(L, -5);
  }
}

constexpr const char* kLibraries[] = {"coroutine", "table", "string", "math",
                                      "utf8",      "os",    "debug"};

void open_libraries(lua_State* L) {
  static const luaL_Reg kOpen[] = {{"_G", luaopen_base},     {"coroutine", luaopen_coroutine},
                                   {"table", luaopen_table}, {"string", luaopen_string},
                                   {"math", luaopen_math},   {"utf8", luaopen_utf8},
                                   {"os", luaopen_os},       {"debug", luaopen_debug}};
  for (const luaL_Reg& library : kOpen) {
    luaL_requiref(L, library.name, library.func, 1);
    lua_pop(L, 1);
  }
  lua_pushglobaltable(L);
  drop_all_but(
      L, {"_G",       "_VERSION", "assert", "error",  "ipairs",   "next",     "pairs", "print",
          "rawequal", "rawget",   "rawlen", "select", "tonumber", "tostring", "type",  "coroutine",
          "table",    "string",   "math",   "utf8",   "os",       "debug"});
  static const luaL_Reg kBase[] = {{"pcall", pcall},
                                   {"xpcall", xpcall},
                                   {"setmetatable", set_metatable},
                                   {"getmetatable", get_metatable},
                                   {"rawset", raw_set},
                                   {"collectgarbage", used_memory},
                                   {"load", load},
                                   {nullptr, nullptr}};
  luaL_setfuncs(L, kBase, 0);
  lua_pop(L, 1);

  lua_getglobal(L, "coroutine");
  wrap(L, "close", co_close);
  lua_getglobal(L, "os");
  drop_all_but(L, {"clock", "date", "difftime", "time"});
  lua_getglobal(L, "debug");
  drop_all_but(L, {});
  lua_pushcfunction(L, traceback);
  lua_setfield(L, -2, "traceback");
  lua_getglobal(L, "table");
  wrap(L, "insert", counted<moved_by_insert>);
  wrap(L, "remove", counted<moved_by_position>);
  wrap(L, "concat", counted<joined>);
  wrap(L, "unpack", counted<unpacked>);
  wrap(L, "move", counted<moved>);
  wrap(L, "sort", sort);
  lua_getglobal(L, "string");
  lua_pushnil(L);
  lua_setfield(L, -2, "dump");
  wrap(L, "rep", repeat);
  luaL_setfuncs(L, kPatternFunctions, 0);
  lua_pop(L, 5);

  lua_pushliteral(L, "");  // "x":rep() and such go on, its metatable stays out of reach
  lua_getmetatable(L, -1);
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pop(L, 2);
}

}  // namespace

Runtime& open_safe(lua_State* L, ModuleOptions options) {
  options.own_interpreter = true;  // coroutines that may wait, and a require of ours
  options.engine.confinement.on = true;
  options.engine.response_cap = std::min<std::size_t>(options.engine.response_cap, 1u << 20);
  open_libraries(L);
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &copies_key);

  // What the prelude's require works with; the registry's own tables stay out of reach.
  lua_createtable(L, 0, 2);
  lua_newtable(L);
  lua_setfield(L, -2, "loaded");
  lua_newtable(L);
  lua_setfield(L, -2, "searchers");
  lua_setglobal(L, "package");
  Runtime& runtime = open_module(L, std::move(options));  // module

  define<Found>(L, "kling.Found");
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "searchers");
  lua_getfield(L, -3, "query");
  lua_getupvalue(L, -1, 1);
  lua_remove(L, -2);  // the client that the module's functions are bound to
  lua_pushcclosure(L, search, 1);
  lua_rawseti(L, -2, 1);
  seal(L);
  lua_setfield(L, -2, "searchers");
  lua_getfield(L, -1, "loaded");  // module package loaded
  lua_pushvalue(L, -3);
  seal(L);
  lua_setfield(L, -2, "kling");
  for (const char* name : kLibraries) {
    lua_getglobal(L, name);
    seal(L);
    lua_pushvalue(L, -1);
    lua_setglobal(L, name);
    lua_setfield(L, -2, name);
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
