// What is behind a kling_host: one Lua state and the engines its scripts use, which outlive a state
// that is reloaded. Ticking thread only; tick() neither blocks nor does I/O.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <lua.hpp>

#include "api/request.h"
#include "kling/host.h"
#include "lua/runtime.h"
#include "runtime/host_clock.h"

namespace kling::runtime {

class Host {
 public:
  explicit Host(const kling_host_options& options);
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  /// Makes the Lua state. False: error() tells why.
  bool open();
  kling_task run(const char* name, const char* source, std::size_t size, const char* arguments);
  kling_task run_file(const char* path, const char* arguments);
  bool tick(std::int64_t budget_us);
  int fd();
  int task_state(kling_task task) const;
  const char* result(kling_task task);
  void forget(kling_task task);
  void cancel(kling_task task);
  const char* jobs();
  std::size_t pending() const;
  bool notify(const char* path, const char* const* headers, std::string_view body);
  bool set(const char* name, const char* json);
  const char* get(const char* name);
  bool reload();
  const char* error() const { return error_.c_str(); }
  /// For a failure that was an exception: nothing may leave the library.
  void note_error(const char* what);

 private:
  static void* allocate(void* self, void* block, std::size_t old_size, std::size_t new_size);
  static int prepare(lua_State* L);
  static int start(lua_State* L);
  static int assign(lua_State* L);
  Result<std::unique_ptr<engine::Engine>> make_engine(engine::EngineOptions chosen);
  /// Calls a function of ours with this as its argument; false and error() when it raised.
  bool call(lua_CFunction function);
  bool read_json(const char* text);
  const char* give(const api::Json& value);
  lua::TaskId known(kling_task task) const;
  std::vector<engine::Engine*> engines() const;

  const bool safe_;
  const kling_host_options hooks_;  ///< its texts are not ours: only the hooks and numbers
  engine::EngineOptions engine_;
  lua::ModuleOptions module_;         ///< for prepare(), where a Lua error may pass
  std::shared_ptr<HostClock> clock_;  ///< null: the wall clock
  std::shared_ptr<engine::CompletionQueue> queue_;
  std::size_t used_ = 0;  ///< bytes of the Lua state
  lua_State* state_ = nullptr;
  lua::Runtime* runtime_ = nullptr;
  kling_task generation_ = 0;  ///< of the state: in the upper half of a kling_task
  std::vector<std::unique_ptr<engine::Engine>> kept_;  ///< of states before
  std::string error_, text_;

  // What start() and assign() work on, where a Lua error may pass.
  const char* name_ = "";
  const char* source_ = "";
  std::size_t source_size_ = 0;
  std::string folder_;
  api::Json json_;
  lua::TaskId started_ = 0;
};

}  // namespace kling::runtime
