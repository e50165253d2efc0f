// One Lua state and the engines its scripts use, which outlive a state that is reloaded: what a
// kling_host of <kling/host.h> is. Its functions stand in host_api.cpp. Ticking thread only; a tick
// neither blocks nor does I/O.
#pragma once

#include "api/text.h"
#include "lua/runtime_state.h"
#include "runtime/feed.h"
#include "runtime/hooks.h"
#include "script/script.h"

namespace kling::runtime {

constexpr int kTaskBits = 40;  // a trillion tasks a state

inline std::string text_of(const char* text) { return text != nullptr ? text : ""; }

}  // namespace kling::runtime

struct kling_host {
  explicit kling_host(const kling_host_options& options);
  ~kling_host() {
    bell_.reset();
    if (state_ != nullptr) lua_close(state_);
  }

  /// Makes the Lua state. False: error_ tells why.
  bool open();
  bool call(auto work);
  bool fail(const std::string& why, int code = KLING_ERROR) {
    kling::runtime::refusal = "";  // this is the later one
    code_ = code;
    return error_ = why, false;
  }
  bool read_json(const char* text, kling::api::Json& value);
  const char* give(const kling::api::Json& value);
  const char* give(std::string text);  ///< empty: none
  kling::Result<std::shared_ptr<kling::engine::Engine>> make_engine(
      kling::engine::EngineOptions chosen);
  /// `push` pushes the function that becomes a task.
  kling_task start(const char* name, const char* arguments, auto push);
  kling_task run(const char* name, std::string_view source, const char* arguments,
                 const std::string& folder);
  const char* result(kling_task task);
  void tell_end(kling_task task, bool ok);
  /// Writes to the log hook line by line; end_line: also what has no line break yet.
  void print(std::string_view text);
  void end_line();
  void log_line();
  int task_state(kling_task task) const;
  kling::lua::TaskId known(kling_task task) const;
  std::vector<kling::engine::Engine*> engines(std::vector<kling::engine::Engine*> all = {}) const;

  const kling::Birthplace home_;
  std::atomic<std::thread::id> thread_{std::this_thread::get_id()};
  int depth_ = 0;  ///< calls of the program under way: one from within is from a callback
  const bool safe_;
  const kling_host_options hooks_;  ///< its texts are not ours: only the hooks and numbers
  kling::engine::EngineOptions engine_;
  std::shared_ptr<kling::runtime::HostClock> clock_;  ///< null: the wall clock
  std::shared_ptr<kling::engine::CompletionQueue> queue_;
  std::unique_ptr<kling::runtime::Bell> bell_;  ///< null: nobody wants to be woken
  std::size_t used_ = 0;                        ///< bytes of the Lua state
  lua_State* state_ = nullptr;
  kling::lua::Runtime* runtime_ = nullptr;
  kling_task generation_ = 0;  ///< of the state: in the upper half of a kling_task
  std::vector<std::shared_ptr<kling::engine::Engine>> kept_;  ///< of states before
  std::vector<kling::engine::Engine*> shown_;  ///< of a tick, which allocates no memory
  std::shared_ptr<kling::runtime::Feed> feed_ = std::make_shared<kling::runtime::Feed>();
  std::map<std::string, kling::runtime::Function> functions_;  ///< registered, under their names
  std::map<kling_task, std::string> running_;                  ///< their names
  /// Questions whose answer was given, and is kept soon.
  std::set<std::pair<const kling::engine::Engine*, long long>> answered_;
  std::string stuck_;                ///< that tasks wait for each other, as the last tick found it
  std::string error_, text_, line_;  ///< line_: what scripts wrote since the last line break
  int code_ = KLING_OK;
};

/// Runs what may raise Lua errors; false and error_ when it did.
bool kling_host::call(auto work) {
  if (state_ == nullptr)
    return fail("the host has no Lua state: not enough memory", KLING_NO_MEMORY);
  const kling::Status done = kling::script::protect(state_, work);
  if (done) return true;
  // In these words Lua tells so, also of C++ within.
  const bool memory = done.error().message.ends_with("not enough memory");
  return fail(done.error().message, memory ? KLING_NO_MEMORY : KLING_ERROR);
}

kling_task kling_host::start(const char* name, const char* arguments, auto push) {
  kling::api::Json list;
  if (!read_json(arguments, list)) return 0;
  if (!list.is_null() && !list.is_array()) return fail("arguments are a JSON array");
  kling::lua::TaskId started = 0;
  if (!call([&](lua_State* L) {
        push(L);
        started = kling::script::start(L, *runtime_, name, list);
      }))
    return 0;
  if (bell_) queue_->wake();
  const kling_task task = started | generation_ << kling::runtime::kTaskBits;
  running_[task] = name;
  runtime_->watch(started,
                  {feed_, [this, task] { tell_end(task, task_state(task) == KLING_TASK_DONE); }});
  return task;
}
