// The Lua face of the engine, as hosts see it: opens the module `kling` in a Lua state and drives
// its tasks. Belongs to the thread that runs the state; nothing here may be called from another
// one, wake() excepted. Only wait() blocks.
#pragma once

#include "lua/errors.h"
#include "lua/scheduler.h"

namespace kling::lua {

struct ModuleOptions {
  engine::EngineOptions engine;  ///< the defaults that kling.configure{} changes
  /// Makes the engine on first need, and may load its library then; null: engine::make_engine.
  std::function<Result<std::shared_ptr<engine::Engine>>(engine::EngineOptions)> make_engine;
  std::shared_ptr<engine::CompletionQueue> queue;  ///< null: one of its own on the wall clock
  bool own_interpreter = false;  ///< ours: wrap coroutine at once and let module bodies wait
  std::function<void(const std::string& level, const std::string& message)>
      log;  ///< kling.log and warnings
};

/// The service a module table talks to: options, and the engine once it was needed.
struct Client {
  engine::EngineOptions options;
  std::shared_ptr<engine::Engine> engine;
};

/// One Lua state's tasks and engines. Lives in a userdata of the registry and ends with the state.
class Runtime : public Scheduler {
 public:
  Runtime(lua_State* main, ModuleOptions options);
  ~Runtime();

  Error slip;  ///< that is about to be raised: no Lua runs before it is copied

  /// Takes the function and its `arguments` values from the top of the stack of `L` and makes them
  /// a task called `name` (the root of its task path). It first runs in run().
  TaskId spawn(lua_State* L, int arguments, const char* name);
  /// Runs ready tasks, completions and due timers for about `budget_us` (0: one round). Returns
  /// true while tasks are ready to go on at once. Never blocks; a running slice is not cut.
  using Scheduler::release, Scheduler::run;
  bool run(std::int64_t budget_us) { return Scheduler::run(main(), budget_us); }
  /// run() for a host that calls it from a Lua function (kling_pump). From the first call on,
  /// waits outside of tasks raise "start it with kling.spawn" instead of blocking.
  bool pump(lua_State* L, std::int64_t budget_us);
  /// Blocks until a completion arrives, a timer is due, `deadline` passes or wake() is called.
  void wait(Millis deadline);
  TaskResult result(TaskId task) const;
  bool knows(TaskId task) const { return find(task) != nullptr; }  ///< and not released
  /// Pushes what a task has returned and tells how many values; 0 for one that has not (yet), -1
  /// when there is no room. Never raises.
  int push_results(lua_State* L, TaskId task);
  /// Has `watch` told when a task has ended. It must be there.
  void watch(TaskId task, Watch watch) { add_watch(find(task)->watches, std::move(watch)); }
  /// The host will not ask for this task again: its results may go.
  void release(TaskId task);
  /// A callback of the service, as a web server got it: the job that it speaks of is asked about
  /// soon. An error for what is none, or not signed as it should be.
  Status notify(const api::CallbackRequest& request);
  /// Every engine in use (the default one, then those of kling.client); empty before the first
  /// call. Behind those in `open`, whose memory is used.
  std::vector<engine::Engine*> engines(std::vector<engine::Engine*> open = {}) const;
  /// The script came to a good end (Engine::end_run).
  void end_run() {
    for (engine::Engine* engine : engines()) engine->end_run(untold());
  }
  /// Takes the engines out of a state that is closed next, so that their jobs go on.
  std::vector<std::shared_ptr<engine::Engine>> take_engines();

  // For the bindings.
  /// Plain C++; may throw.
  void add_client(std::shared_ptr<Client> client) { clients_.push_back(std::move(client)); }
  std::size_t clients() const { return clients_.size(); }
  Status open_engine(Client& client);
  /// "column\ntext" of tables of CSV, and where the first cell of these stands.
  std::map<std::string, std::string> cells;
  /// Adds to the error of a request where the cell stands that it speaks of; false: in no table.
  bool name_cell(const std::string& request, Error& error) const;
  std::vector<std::shared_ptr<void>> cells_memory;  ///< what that takes of a limited state
  std::string missing;  ///< the last global that was read and had no value, and where
  Where missing_at;
  std::map<std::string, Error> looked_at;  ///< of a word of a field's, read there: what to say
  std::string typed;  ///< the lines that run, where no file has them; behind them, those before
  std::string
      missing_member;  ///< the last name that was looked for in the module, and is not there
  void log(const std::string& level, const std::string& message);
  /// Logs a warning the first time it is seen.
  void warn(const std::string& message);
  /// False in a forked child, which has none of the threads that engines need.
  bool is_here() const { return !born_ || born_->is_here(); }

  ModuleOptions options;

 private:
  static int spawn_protected(lua_State* L);

  std::vector<std::shared_ptr<Client>> clients_;
  std::set<std::string> warned_;
  std::optional<Birthplace> born_;  ///< of the first engine
  const char* spawn_name_ = "";
  TaskId spawned_ = 0;
};

/// Opens the module: pushes its table and sets package.loaded.kling. REQUIRES: called in protected
/// mode (it may raise Lua errors) on a state that has no such module yet. The Runtime lives in the
/// state and dies with it, at lua_close at the latest; it answers "closing" after that.
/// Takes `options` only once nothing can fail any more.
Runtime& open_module(lua_State* L, ModuleOptions&& options);
/// The runtime of a state; null when the module was not opened there, once the state is closing,
/// and in a forked child once it had an engine. Never raises.
Runtime* runtime_of(lua_State* L);
/// The same for what needs no engine: in a forked child, too.
Runtime* any_runtime_of(lua_State* L);

}  // namespace kling::lua
