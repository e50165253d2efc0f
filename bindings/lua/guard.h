// How bindings stay right under longjmp and under the C++ build of Lua alike. Owner's thread only.
//
// A Lua error may skip destructors (C build) or fly as an exception through them (C++ build). So:
// 1. While a Lua function that can raise runs, no C++ object with a destructor lives on the C++
//    stack. What must live longer is the value of a full userdata on the Lua stack (new_object).
// 2. C++ work happens in pure(): its lambda captures references only and calls no Lua function;
//    what it throws becomes a Lua error after its objects are gone.
// 3. No catch stands around a Lua call. Functions that must hold objects while they read the Lua
//    stack (convert.cpp) use only Lua functions that neither raise nor allocate.
#pragma once

#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <type_traits>

#include <lua.hpp>

namespace kling::lua {

template <class Work>
void pure(lua_State* L, Work work) {
  static_assert(std::is_trivially_destructible_v<Work>, "capture references only");
  char reason[160];
  try {
    work();
    return;
  } catch (const std::exception& failure) {
    std::snprintf(reason, sizeof reason, "%s", failure.what());
  }
  luaL_error(L, "kling: %s", reason);
}

/// The value of a full userdata. `alive` makes __gc idempotent and late calls harmless.
template <class T>
struct Object {
  T value{};
  bool alive = true;
};

/// Where T's metatable lies in the registry.
template <class T>
void* type_key() {
  static char key;
  return &key;
}

/// Pushes a new T. REQUIRES: define<T>() ran in this state. Raises when memory is short, and in
/// finalizers: what is made while a state closes would never be collected.
template <class T>
T& new_object(lua_State* L) {
  static_assert(std::is_nothrow_default_constructible_v<T>, "nothing may throw between two calls");
  static_assert(alignof(Object<T>) <= alignof(double), "Lua aligns no better");
  luaL_checkstack(L, 4, nullptr);
  if (lua_gc(L, LUA_GCISRUNNING) < 0) luaL_error(L, "kling cannot be used in a finalizer");
  auto* object = static_cast<Object<T>*>(lua_newuserdatauv(L, sizeof(Object<T>), 0));
  new (object) Object<T>();
  lua_rawgetp(L, LUA_REGISTRYINDEX, type_key<T>());
  lua_setmetatable(L, -2);
  return object->value;
}

/// The T at `index`, null when it is something else or was collected. Never raises or allocates.
template <class T>
T* test_object(lua_State* L, int index, bool* dead = nullptr) {
  auto* object = static_cast<Object<T>*>(lua_touserdata(L, index));
  if (object == nullptr || !lua_checkstack(L, 2) || !lua_getmetatable(L, index)) return nullptr;
  lua_rawgetp(L, LUA_REGISTRYINDEX, type_key<T>());
  const bool same = lua_rawequal(L, -1, -2) != 0 && !lua_isnil(L, -1);
  lua_pop(L, 2);
  if (!same) return nullptr;
  if (dead != nullptr) *dead = !object->alive;
  return object->alive ? &object->value : nullptr;
}

/// Raises: argument `index` of the running function is no `name`, which stands before its colon.
int wrong_self(lua_State* L, int index, const char* name);

/// The T at argument `index`; raises when it is none.
template <class T>
T& check_object(lua_State* L, int index, const char* name) {
  bool dead = false;
  T* value = test_object<T>(L, index, &dead);
  if (dead) luaL_error(L, "kling is closing");
  if (value == nullptr) wrong_self(L, index, name);
  return *value;
}

/// The T that this function pushed itself at `index`.
template <class T>
T& own_object(lua_State* L, int index) {
  return static_cast<Object<T>*>(lua_touserdata(L, index))->value;
}

template <class T>
int collect_object(lua_State* L) {
  if (test_object<T>(L, 1) == nullptr) return 0;
  auto* object = static_cast<Object<T>*>(lua_touserdata(L, 1));
  object->alive = false;
  object->value.~T();
  return 0;
}

/// Makes T's metatable. With `methods`, leaves a table of them on the stack; `index` then gets
/// that table as its upvalue (null: the methods alone).
template <class T>
void define(lua_State* L, const char* name, const luaL_Reg* metamethods = nullptr,
            const luaL_Reg* methods = nullptr, lua_CFunction index = nullptr) {
  lua_newtable(L);
  lua_pushcfunction(L, collect_object<T>);
  lua_setfield(L, -2, "__gc");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__name");
  lua_pushstring(L, name);
  lua_setfield(L, -2, "__metatable");
  if (metamethods != nullptr) luaL_setfuncs(L, metamethods, 0);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, type_key<T>());  // metatable
  if (methods == nullptr) return lua_pop(L, 1);
  lua_newtable(L);
  luaL_setfuncs(L, methods, 0);  // metatable methods
  lua_pushvalue(L, -1);
  if (index != nullptr) lua_pushcclosure(L, index, 1);
  lua_setfield(L, -3, "__index");
  lua_remove(L, -2);  // methods
}

/// For __index functions: true when the method asked for was pushed.
inline bool push_method(lua_State* L) {
  lua_pushvalue(L, 2);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return true;
  lua_pop(L, 1);
  return false;
}

/// Pushes the std::string that `work` returns.
template <class Work>
int push_text(lua_State* L, Work work) {
  std::string& text = new_object<std::string>(L);
  pure(L, [&] { text = work(); });
  lua_pushlstring(L, text.data(), text.size());
  lua_remove(L, -2);
  return 1;
}

/// Pushes a text, but not an empty one. Returns how many values that are.
inline int push_some(lua_State* L, const std::string& text) {
  if (text.empty()) return 0;
  lua_pushlstring(L, text.data(), text.size());
  return 1;
}

/// The one place that knows which name this Lua has for it.
inline int close_thread(lua_State* thread, [[maybe_unused]] lua_State* from) {
#if LUA_VERSION_RELEASE_NUM >= 50406
  return lua_closethread(thread, from);
#else
  return lua_resetthread(thread);
#endif
}

}  // namespace kling::lua
