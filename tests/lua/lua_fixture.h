// A Lua state with the module on a fake engine and a clock that stands until the test moves it.
#pragma once

#include <string>

#include <doctest/doctest.h>
#include <lua.hpp>

#include "fake_engine.h"
#include "lua/safe.h"
#include "support/collecting.h"

namespace kling::lua {

/// Time that passes only in advance() and, when `flows`, by waiting.
class TestClock : public Clock {
 public:
  Millis now() const override { return now_; }
  void wait_until(std::unique_lock<std::mutex>&, std::condition_variable&,
                  Millis deadline) override {
    if (deadline != kNever && deadline > now_) now_ = deadline;
  }
  Millis real_millis_until(Millis deadline) const override { return deadline - now_; }
  void advance(Millis by) { now_ += by; }

 private:
  Millis now_ = 1'800'000'000'000;
};

struct Lua {
  /// With `limits` it is a state of the safe profile. Without `allocate`: as test::Collecting says.
  explicit Lua(bool own = true, lua_Alloc allocate = nullptr, void* data = nullptr,
               std::optional<Limits> limits = {}) {
    if (allocate == nullptr) allocate = test::Collecting::allocate, data = &collecting;
    if (limits) limits->allocate = allocate, limits->allocate_data = data;
    state = limits ? new_limited_state(*limits) : lua_newstate(allocate, data);
    if (!limits) luaL_openlibs(state);
    ModuleOptions options;
    options.queue = queue;
    options.own_interpreter = own;
    options.engine.key = "k";
    options.engine.store = true;
    options.log = [this](const std::string& level, const std::string& text) {
      logged.push_back(level + ": " + text);
    };
    options.make_engine =
        [this](engine::EngineOptions chosen) -> Result<std::shared_ptr<engine::Engine>> {
      if (no_engine) return *no_engine;
      auto made = std::make_shared<engine::FakeEngine>(std::move(chosen));
      engine = made.get();
      made->finish_at_once = finish_at_once;
      return std::shared_ptr<engine::Engine>(std::move(made));
    };
    lua_pushcfunction(state, limits ? open<open_safe> : open<open_module>);
    lua_pushlightuserdata(state, &options);
    if (lua_pcall(state, 1, 0, 0) != LUA_OK) FAIL(lua_tostring(state, -1));
    runtime = runtime_of(state);
    collecting.begin(state);
  }
  ~Lua() { close(); }
  void close() {
    collecting.end();
    if (state != nullptr) lua_close(state);
    state = nullptr;
  }

  template <Runtime& (*Open)(lua_State*, ModuleOptions&&)>
  static int open(lua_State* L) {
    Open(L, std::move(*static_cast<ModuleOptions*>(lua_touserdata(L, 1))));
    lua_setglobal(L, "kling");
    return 0;
  }

  /// Loads `text` as the chunk film.lua; false and the message on the stack when it is none.
  void load(const std::string& text) {
    if (luaL_loadbufferx(state, text.data(), text.size(), "@film.lua", "t") != LUA_OK)
      FAIL(lua_tostring(state, -1));
  }
  TaskId start(const std::string& text) {
    load(text);
    return runtime->spawn(state, 0, "main");
  }
  /// Runs until nothing is ready.
  void settle() {
    for (int i = 0; i < 2000 && (runtime->run(0) || queue->drain() != 0); ++i) {
    }
  }
  /// Runs a script as a task; timers pass by themselves.
  TaskResult task(const std::string& text) {
    const TaskId id = start(text);
    for (int i = 0; i < 2000 && !runtime->result(id).done; ++i) {
      settle();  // however slow the machine is: time passes only when nothing is ready
      if (runtime->next_timer() != kNever && runtime->next_timer() > clock->now())
        clock->advance(runtime->next_timer() - clock->now());
    }
    return runtime->result(id);
  }
  /// Runs a script outside of any task: waits block.
  std::string direct(const std::string& text) {
    load(text);
    if (lua_pcall(state, 0, 1, 0) == LUA_OK) {
      lua_pop(state, 1);
      return "";
    }
    const std::string message = luaL_tolstring(state, -1, nullptr);
    lua_pop(state, 2);
    return message;
  }
  std::string global(const char* name) {
    lua_getglobal(state, name);
    const std::string text = luaL_tolstring(state, -1, nullptr);
    lua_pop(state, 2);
    return text;
  }

  test::Collecting collecting;
  std::shared_ptr<TestClock> clock = std::make_shared<TestClock>();
  std::shared_ptr<engine::CompletionQueue> queue = std::make_shared<engine::CompletionQueue>(clock);
  std::vector<std::string> logged;
  std::optional<Error> no_engine;
  bool finish_at_once = false;
  engine::FakeEngine* engine = nullptr;
  lua_State* state = nullptr;
  Runtime* runtime = nullptr;
};

#define CHECK_RUNS(result)          \
  do {                              \
    const auto checked_ = (result); \
    INFO(checked_.message);         \
    INFO(checked_.traceback);       \
    CHECK(checked_.done);           \
    CHECK(checked_.ok);             \
  } while (false)

}  // namespace kling::lua
