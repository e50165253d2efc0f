// A Lua state for scripts that are not trusted: what they may use of memory and time, and the
// libraries they see. Not a wall against bugs of the interpreter itself: docs/safe.md lists what an
// embedding program cannot prevent. Belongs to the thread that runs the state; nothing blocks.
//
//   lua_State* L = new_limited_state(limits);          // lua_close(L) frees all of it
//   in protected mode:  open_safe(L, std::move(options));  // for luaL_openlibs and open_module
//                       luaL_loadbufferx(…, "t");      // text only
//                       runtime.spawn(L, 0, "main");
//   again and again:    refill(L);                     // only for limits that count for each tick
//                       runtime.run(budget_us);
#pragma once

#include "lua/runtime.h"

namespace kling::lua {

struct Limits {
  /// Of the Lua state and of what its values hold outside of it (pictures, requests).
  std::size_t memory_bytes = 64u << 20;
  std::uint64_t instructions = 0;  ///< of the virtual machine, library calls included; 0: no limit
  std::int64_t wall_ms = 0;        ///< of running, waits not counted; 0: no limit
  lua_Alloc allocate = nullptr;    ///< where the memory comes from; null: malloc
  void* allocate_data = nullptr;
};

/// A state whose allocator and hook keep the limits, in every coroutine. Null: no memory.
lua_State* new_limited_state(const Limits& limits);

/// Opens the allowed libraries, read-only, and the module. `options.engine.confinement` says which
/// files and hosts the script may reach; it is switched on, with no root when there is none.
/// REQUIRES: a new state of new_limited_state, in protected mode (raises Lua errors).
Runtime& open_safe(lua_State* L, ModuleOptions&& options);

/// Pops a function, which is what scripts find under this name from now on; it may have dots. In a
/// state with limits they cannot change it.
void give(lua_State* L, const char* name);

/// Why the script was stopped, "used its 1000 instructions", or null. A stopped script's code does
/// not run any more: its tasks end with an error that no pcall of it catches.
const char* stopped(lua_State* L);

/// Allows all instructions and time anew, also to a script that was stopped.
void refill(lua_State* L);

/// Counts the time of a call into Lua that is not made by Runtime::run (which counts its own). May
/// be nested. Does nothing on other states. On the host's stack only: not across a Lua error.
class Slice : NotCopied {
 public:
  explicit Slice(lua_State* L);
  ~Slice();

 private:
  lua_State* const L_;
};

}  // namespace kling::lua
