// What stands in for stock functions in the safe profile. Each says in its file what the stock one
// lets through (measured on 5.4.4). Internal to this folder.
#pragma once

#include <lua.hpp>

namespace kling::lua {

/// Globals: pcall xpcall setmetatable getmetatable rawset (values.cpp), load collectgarbage.
extern const luaL_Reg kValueFunctions[];
extern const luaL_Reg kCodeFunctions[];
/// string.find, match, gmatch and gsub with a matcher that counts its steps: the same patterns and
/// results, but one that would run for hours uses up the script's instructions instead.
extern const luaL_Reg kPatternFunctions[];
int traceback(lua_State* L);
/// package.searchers' only one. Upvalue: the client whose options say where files may be.
int search_module(lua_State* L);

/// Functions of libraries that go around the stock one, which is their upvalue.
struct Wrapper {
  const char* library;
  const char* name;
  lua_CFunction function;
};
extern const Wrapper kWrappers[8];

/// Makes what setmetatable needs in this state.
void define_metatables(lua_State* L);
/// Marks the metatable on top of the stack: its table cannot be changed by rawset either.
void mark_sealed(lua_State* L);
/// What search_module keeps on the stack.
void define_modules(lua_State* L);

}  // namespace kling::lua
