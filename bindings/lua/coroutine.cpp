// coroutine.resume and coroutine.wrap as scripts see them: like the stock ones, but the yield of a
// wait passes through to the task and the wait goes on in the innermost coroutine, any depth.
//
// `passable` is the one thread whose yield reaches the scheduler: the task's own, or what a
// passable thread resumed through these functions. A coroutine resumed by anything else is not, so
// a foreign scheduler never sees our mark. The mark stays on a waiting coroutine's stack, which
// tells it from one that a script may resume.
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

int transfer(lua_State* L, int arguments, bool wrapped);

int go_on(lua_State* L, int, lua_KContext wrapped) {
  lua_State* thread = lua_tothread(L, 1);
  if (is_waiting(thread)) lua_pop(thread, 1);  // else it was closed meanwhile
  return transfer(L, 0, wrapped != 0);
}

/// A failed resume: the message is on top of L.
int failed(lua_State* L, lua_State* thread, bool wrapped) {
  if (is_stopped(L)) return stop_again(L);  // nothing of the script goes on
  if (!wrapped) {
    lua_pushboolean(L, 0);
    lua_insert(L, -2);
    return 2;
  }
  const int status = lua_status(thread);
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pop(L, 1);
    close_thread(thread, L);  // runs its __close functions, which may change the error
    lua_xmove(thread, L, 1);
  }
  if (status != LUA_ERRMEM && lua_type(L, -1) == LUA_TSTRING) {
    luaL_where(L, 1);
    lua_insert(L, -2);
    lua_concat(L, 2);
  }
  return lua_error(L);
}

/// Resumes the thread at index 1 with the `arguments` values on top.
int transfer(lua_State* L, int arguments, bool wrapped) {
  lua_State* thread = lua_tothread(L, 1);
  if (!lua_checkstack(thread, arguments + 1)) {
    lua_pushliteral(L, "too many arguments to resume");
    return failed(L, thread, wrapped);
  }
  lua_xmove(L, thread, arguments);
  Scheduler* scheduler = runtime_of(L);
  lua_State* const before = scheduler ? scheduler->passable : nullptr;
  if (scheduler != nullptr)
    scheduler->passable = before == L && lua_isyieldable(L) ? thread : nullptr;
  int count = 0;
  lua_State* const ran_before = enter_thread(L, thread);
  const int status = lua_resume(thread, L, arguments, &count);
  enter_thread(L, ran_before);
  if (scheduler != nullptr) scheduler->passable = before;

  if (status == LUA_YIELD && is_waiting(thread)) {
    lua_pushlightuserdata(L, wait_mark());
    return lua_yieldk(L, 1, wrapped ? 1 : 0, go_on);
  }
  if (status != LUA_OK && status != LUA_YIELD) {
    lua_pushvalue(thread, -1);  // a copy: closing the thread wants its own
    lua_xmove(thread, L, 1);
    if (lua_status(thread) == LUA_OK || lua_status(thread) == LUA_YIELD) lua_pop(thread, 1);
    return failed(L, thread, wrapped);
  }
  if (!lua_checkstack(L, count + 1)) {
    lua_pop(thread, count);
    lua_pushliteral(L, "too many results to resume");
    return failed(L, thread, wrapped);
  }
  if (!wrapped) lua_pushboolean(L, 1);
  lua_xmove(thread, L, count);
  return count + (wrapped ? 0 : 1);
}

int begin(lua_State* L, int arguments, bool wrapped) {
  lua_State* thread = lua_tothread(L, 1);
  if (!is_waiting(thread)) return transfer(L, arguments, wrapped);
  lua_pushliteral(L, "cannot resume a coroutine that is waiting for kling");
  return failed(L, thread, wrapped);
}

int co_resume(lua_State* L) {
  luaL_argexpected(L, lua_isthread(L, 1), 1, "thread");
  return begin(L, lua_gettop(L) - 1, false);
}

int call_wrapped(lua_State* L) {
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  return begin(L, lua_gettop(L) - 1, true);
}

int co_wrap(lua_State* L) {
  luaL_checktype(L, 1, LUA_TFUNCTION);
  lua_State* thread = lua_newthread(L);
  lua_pushvalue(L, 1);
  lua_xmove(L, thread, 1);
  lua_pushcclosure(L, call_wrapped, 1);
  return 1;
}

}  // namespace

void Scheduler::wrap_coroutines(lua_State* L) {
  static char done_key;
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, &done_key) == LUA_TNIL) {
    static const luaL_Reg kFunctions[] = {
        {"resume", co_resume}, {"wrap", co_wrap}, {nullptr, nullptr}};
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    if (lua_getfield(L, -1, "coroutine") == LUA_TTABLE) luaL_setfuncs(L, kFunctions, 0);
    lua_pop(L, 2);
    lua_pushboolean(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &done_key);
  }
  lua_pop(L, 1);
}

}  // namespace kling::lua
