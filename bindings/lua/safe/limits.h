// What a limited state has used, and the functions that count. Found through the allocator, so that
// asking costs no look-up and needs no lock. Owner's thread only, except `outside`.
#pragma once

#include "lua/safe.h"

namespace kling::lua {

/// How one C loop counts as instructions; what has more elements is refused before it begins.
inline constexpr lua_Integer kMostElements = 8'000'000;

struct Meter {
  Limits limits;
  std::size_t used = 0;  ///< bytes of the state
  /// Bytes that its values hold outside; freed by workers as well.
  std::shared_ptr<std::atomic<std::size_t>> outside = std::make_shared<std::atomic<std::size_t>>(0);
  std::size_t largest = 0;  ///< block: what one instruction may have to work through
  std::uint64_t instructions = 0;
  std::int64_t ran_us = 0;  ///< before this slice
  std::int64_t since_us = 0;
  int slices = 0;
  int closing = 0;               ///< coroutine.close within coroutine.close
  lua_State* current = nullptr;  ///< the thread that runs; null between slices
  bool open = false;             ///< the state was made: its last byte frees this
  char why[80] = "";             ///< why it was stopped; empty: it was not
  char told[200] = "";           ///< the same with the line it happened at
};

/// Null on states that have no limits. Never raises.
Meter* meter_of(lua_State* L);
inline bool is_stopped(lua_State* L) {
  const Meter* meter = meter_of(L);
  return meter != nullptr && meter->why[0] != '\0';
}

/// Raises the end of a stopped script once more, where something would catch it.
int stop_again(lua_State* L);

/// Counts `steps` instructions of a C loop before it runs; raises when they are used up.
void charge(lua_State* L, std::uint64_t steps);
/// The same without raising: what is used up ends the script at its next instruction.
void count_work(lua_State* L, std::uint64_t steps);
/// charge() for a loop over elements; raises when they are too many for any script.
void charge_elements(lua_State* L, lua_Integer count);

/// Takes `bytes` of the memory for as long as `token` or a copy lives. Raises when there are not as
/// many. Does nothing on states without limits. REQUIRES: `token` lives on the Lua stack.
void hold_memory(lua_State* L, std::size_t bytes, std::shared_ptr<void>& token);
/// Bytes that may still be used; a gigabyte without limits. Never raises.
std::size_t memory_left(lua_State* L);

/// The thread that is about to run, of a state with limits; returns the one before. Counts as work.
/// In a stopped state it ends with its first instruction.
lua_State* enter_thread(lua_State* L, lua_State* thread);

// ---- What stands in for stock functions in the safe profile. Each says in its file what the stock
// one lets through (measured on 5.4.4) ----

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

/// Replaces the sealed table on top of the stack by the one behind it; false: it is none.
bool push_behind(lua_State* L);
/// Pushes the table of globals that scripts see and cannot change.
void push_given(lua_State* L);
/// Makes what setmetatable needs in this state.
void define_metatables(lua_State* L);
/// Marks the metatable on top of the stack: its table cannot be changed by rawset either.
void mark_sealed(lua_State* L);
/// What search_module keeps on the stack.
void define_modules(lua_State* L);

}  // namespace kling::lua
