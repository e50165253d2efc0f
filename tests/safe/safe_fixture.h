// A state of the safe profile on a real engine, and scripts that try to get out of it.
#pragma once

#include <ctime>
#include <fstream>
#include <string>

#include <doctest/doctest.h>

#include "base/temp_folder.h"
#include "lua/safe.h"
#include "support/collecting.h"

namespace kling::lua {

struct Safe {
  explicit Safe(Limits limits = {.memory_bytes = 16u << 20,
                                 .instructions = 3'000'000,
                                 .wall_ms = 20'000},
                const std::function<void(ModuleOptions&)>& change = nullptr)
      : limit(limits) {
    limits.allocate = test::Collecting::allocate;
    limits.allocate_data = &collecting;
    state = new_limited_state(limits);
    REQUIRE(state != nullptr);
    ModuleOptions options;
    options.queue = std::make_shared<engine::CompletionQueue>(make_clock());
    options.engine.key = "sk-secret-key";
    options.engine.base_url = "http://127.0.0.1:1";  // nobody answers
    options.engine.ledger_path = ":memory:";
    options.engine.limits.budget_usd = 1;
    options.engine.confinement.roots = {folder.path()};
    options.log = [](const std::string&, const std::string&) {};
    if (change) change(options);
    lua_pushcfunction(state, [](lua_State* L) {
      open_safe(L, std::move(*static_cast<ModuleOptions*>(lua_touserdata(L, 1))));
      return 0;
    });
    lua_pushlightuserdata(state, &options);
    if (lua_pcall(state, 1, 0, 0) != LUA_OK) FAIL(lua_tostring(state, -1));
    runtime = runtime_of(state);
    collecting.begin(state);
  }
  ~Safe() {
    collecting.end();
    if (state != nullptr) lua_close(state);
  }
  Safe(const Safe&) = delete;
  Safe& operator=(const Safe&) = delete;

  /// Runs a script as a task, until it ends or everything waits. Says what that took of the
  /// processor, which other programs do not change.
  TaskResult run(const std::string& text) {
    if (luaL_loadbufferx(state, text.data(), text.size(), "@film.lua", "t") != LUA_OK)
      FAIL(lua_tostring(state, -1));
    const std::clock_t start = std::clock();
    const TaskId id = runtime->spawn(state, 0, "main");
    for (int i = 0; i < 3000 && !runtime->result(id).done; ++i) {
      if (!runtime->run(10'000) && runtime->queue().drain() == 0)
        runtime->wait(runtime->queue().clock().now() + 5);
    }
    seconds = double(std::clock() - start) / CLOCKS_PER_SEC;
    return runtime->result(id);
  }

  /// What a script returns as text; an error as its message.
  std::string ask(const std::string& text) {
    const TaskResult result =
        run("local function asked() " + text + " end\nerror(tostring(asked()), 0)");
    return result.message;
  }

  /// The script was ended by a limit, soon, and the state works on.
  void check_ended(const std::string& text, const std::string& by = "the script ") {
    const TaskResult result = run(text);
    INFO(result.message);
    REQUIRE_FALSE(by.empty());  // which would be any failure
    CHECK(result.done);
    CHECK_FALSE(result.ok);
    CHECK(result.message.find(by) != std::string::npos);
    check_works();
  }
  /// The same where there may be no memory left for the sentence: the state knows why it was ended.
  void check_stopped(const std::string& text, const std::string& why) {
    const TaskResult result = run(text);
    INFO(result.message);
    CHECK(result.done);
    CHECK_FALSE(result.ok);
    REQUIRE(stopped(state) != nullptr);
    CHECK(std::string(stopped(state)).find(why) != std::string::npos);
    check_works();
  }
  /// The script went through, with its own assertions, within its limits; the state works on.
  void check_passes(const std::string& text) {
    const TaskResult result = run(text);
    INFO(result.message);
    CHECK(result.ok);
    check_works();
  }
  void check_works() {
    CHECK(seconds < 60 + double(limit.wall_ms) / 1000);  // sanitizers; else a hang
    CHECK(memory() <= limit.memory_bytes);
    refill(state);
    lua_gc(state, LUA_GCCOLLECT);
    CHECK(ask("return 6 * 7") == "42");
    CHECK(ask("return ('a-b'):gsub('%-', '+')") == "a+b");
    CHECK(ask("return require('kling') ~= nil") == "true");
    refill(state);
  }
  std::size_t memory() const { return std::size_t(lua_gc(state, LUA_GCCOUNT)) * 1024; }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder / name, std::ios::binary) << text;
  }

  test::Collecting collecting;
  Limits limit;
  test::TempFolder folder;
  lua_State* state = nullptr;
  Runtime* runtime = nullptr;
  double seconds = 0;
};

}  // namespace kling::lua
