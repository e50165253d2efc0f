// Errors and metatables in the safe profile.
#include <cstring>

#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

char copies_key;    // registry: metatables of scripts to the copies in use
char original_key;  // in a copy: the script's own table
char sealed_key;    // in a metatable: its table cannot be changed, or what is in this one cannot
char given_key;     // registry: what the program gives, behind the globals

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
  if (lua_getmetatable(L, 1) && lua_rawgetp(L, -1, &sealed_key) != LUA_TNIL) {
    if (!lua_istable(L, -1)) return luaL_error(L, "this table is read-only");
    lua_pushvalue(L, 2);
    if (lua_rawget(L, -2) != LUA_TNIL)
      return luaL_error(L, "%s is the program's: it cannot be changed", lua_tostring(L, 2));
  }
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 1;
}

}  // namespace

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

const luaL_Reg kValueFunctions[] = {{"pcall", pcall},
                                    {"xpcall", xpcall},
                                    {"setmetatable", set_metatable},
                                    {"getmetatable", get_metatable},
                                    {"rawset", raw_set},
                                    {nullptr, nullptr}};

void define_metatables(lua_State* L) {
  lua_newtable(L);
  lua_createtable(L, 0, 1);
  lua_pushliteral(L, "k");
  lua_setfield(L, -2, "__mode");
  lua_setmetatable(L, -2);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &copies_key);
}

void mark_sealed(lua_State* L) {
  lua_pushboolean(L, 1);
  lua_rawsetp(L, -2, &sealed_key);
}

bool push_behind(lua_State* L) {
  if (!lua_getmetatable(L, -1)) return false;
  const bool sealed = lua_rawgetp(L, -1, &sealed_key) != LUA_TNIL;
  if (sealed) lua_getfield(L, -2, "__index");
  if (sealed) lua_replace(L, -4);
  lua_pop(L, 2);
  return sealed;
}

void push_given(lua_State* L) {
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &given_key) == LUA_TTABLE) return;
  lua_pop(L, 1);
  lua_newtable(L);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &given_key);
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 4);  // given globals metatable
  lua_pushvalue(L, -3);
  lua_setfield(L, -2, "__index");
  lua_pushcfunction(L, raw_set);
  lua_setfield(L, -2, "__newindex");
  lua_pushboolean(L, 0);
  lua_setfield(L, -2, "__metatable");
  lua_pushvalue(L, -3);
  lua_rawsetp(L, -2, &sealed_key);
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

}  // namespace kling::lua
