// The Lua face of the engine, as hosts see it: opens the module `kling` in a Lua state and drives
// its tasks. Belongs to the thread that runs the state; nothing here may be called from another
// one, interrupt() excepted. Only run_until_idle() and wait() block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

struct lua_State;

namespace kling::lua {

struct ModuleOptions {
  engine::EngineOptions engine;  ///< the defaults that kling.configure{} changes
  /// Makes the engine on first need; null: engine::make_engine. A host that starts quickly loads
  /// the library behind it only then.
  std::function<Result<std::unique_ptr<engine::Engine>>(engine::EngineOptions)> make_engine;
  std::shared_ptr<engine::CompletionQueue> queue;  ///< null: one of its own on the wall clock
  bool own_interpreter = false;  ///< ours: wrap coroutine at once and let module bodies wait
  std::function<void(const std::string& level, const std::string& message)>
      log;  ///< kling.log and warnings
};

/// How a task ended.
struct TaskResult {
  bool done = false;
  bool ok = false;
  std::string message;    ///< tostring of the error, script line included
  std::string where;      ///< "film.lua:14" of an Error value
  std::string traceback;  ///< through the user's own code
  Error error;            ///< of an Error value; kind invalid with `message` for others
  bool is_kling_error = false;
};

using TaskId = std::size_t;  // 0 is none

class Runtime {
 public:
  virtual ~Runtime() = default;

  /// Takes the function and its `arguments` values from the top of the stack of `L` and makes them
  /// a task called `name` (the root of its task path). It first runs in run().
  virtual TaskId spawn(lua_State* L, int arguments, const char* name) = 0;
  /// Runs ready tasks, completions and due timers for about `budget_us` (0: one round). Returns
  /// true while tasks are ready to go on at once. Never blocks; a running slice is not cut.
  virtual bool run(std::int64_t budget_us) = 0;
  /// run() for a host that calls it from a Lua function (kling_pump). From the first call on,
  /// waits outside of tasks raise "start it with kling.spawn" instead of blocking.
  virtual bool pump(lua_State* L, std::int64_t budget_us) = 0;
  /// Blocks until a completion arrives, a timer is due, `deadline` passes or interrupt() is called.
  virtual void wait(Millis deadline) = 0;
  /// When the next timer is due on the clock; kNever: none.
  virtual Millis next_timer() const = 0;
  virtual TaskResult result(TaskId task) const = 0;
  virtual bool knows(TaskId task) const = 0;  ///< it exists and was not released
  /// Tasks that have not ended.
  virtual std::size_t unfinished() const = 0;
  /// Errors of spawned tasks that nobody waited for, since the last call.
  virtual std::vector<TaskResult> take_unobserved() = 0;
  /// Pushes what a task has returned and tells how many values; 0 for one that has not (yet), -1
  /// when there is no room. Never raises.
  virtual int push_results(lua_State* L, TaskId task) = 0;
  /// The host will not ask for this task again: its results may go.
  virtual void release(TaskId task) = 0;
  /// Raises `interrupted` in this and every later wait of one task. Jobs go on.
  virtual void cancel(TaskId task) = 0;
  /// Raises `interrupted` in the waits of every task (Ctrl-C). Jobs go on.
  virtual void cancel_all() = 0;
  /// A callback of the service, as a web server got it: the job that it speaks of is asked about
  /// soon. An error for what is none, or not signed as it should be.
  virtual Status notify(const api::CallbackRequest& request) = 0;
  /// Ends a wait() from another thread.
  virtual void wake() = 0;
  /// Every engine in use (the default one, then those of kling.client); empty before the first
  /// call.
  virtual std::vector<engine::Engine*> engines() const = 0;
  /// Takes the engines out of a state that is closed next, so that their jobs go on.
  virtual std::vector<std::unique_ptr<engine::Engine>> take_engines() = 0;
  virtual engine::CompletionQueue& queue() = 0;
};

/// Opens the module: pushes its table and sets package.loaded.kling. REQUIRES: called in protected
/// mode (it may raise Lua errors) on a state that has no such module yet. The Runtime lives in the
/// state and dies with it, at lua_close at the latest; it answers "closing" after that.
/// Takes `options` only once nothing can fail any more.
Runtime& open_module(lua_State* L, ModuleOptions&& options);
/// The runtime of a state; null when the module was not opened there.
Runtime* runtime_of(lua_State* L);

}  // namespace kling::lua
