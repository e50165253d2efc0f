#include <cstring>

#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("coroutines of the script may wait at any depth") {
  for (const bool own : {true, false}) {
    Lua lua(own);
    CHECK_RUNS(lua.task(R"lua(
      kling.spawn(function() end) -- a foreign interpreter is wrapped now
      local function shots(n)
        return coroutine.wrap(function()
          for i = 1, n do
            kling.sleep(1)
            coroutine.yield(i, kling.text2video { prompt = tostring(i) })
          end
        end)
      end
      local seen = {}
      for i, job in shots(3) do
        kling.sleep(1)
        seen[i] = job.handle
      end
      assert(#seen == 3 and seen[3] == "kling:text2video/3")

      local function nest(depth)
        if depth == 0 then kling.sleep(1) return "bottom" end
        local co = coroutine.create(nest)
        local ok, value = coroutine.resume(co, depth - 1)
        assert(ok and coroutine.status(co) == "dead", value)
        return value .. depth
      end
      assert(nest(3) == "bottom123")
      assert(coroutine.isyieldable())
    )lua"));
  }
}

TEST_CASE("wrapped coroutine functions behave like the stock ones") {
  const char* script = R"lua(
    local log = {}
    local function note(...)
      local values = table.pack(...)
      for i = 1, values.n do values[i] = tostring(values[i]):gsub("0x%x+", "ADDRESS") end
      log[#log + 1] = table.concat(values, ",", 1, values.n)
    end
    local co = coroutine.create(function(a, b)
      local c = coroutine.yield(a + b)
      error({ "table", c })
    end)
    note(coroutine.resume(co, 1, 2))
    local ok, value = coroutine.resume(co, "c")
    note(ok, value[1], value[2], coroutine.status(co))
    note(coroutine.resume(co))
    note(coroutine.resume(coroutine.running()))
    note(pcall(coroutine.wrap(function() error("text") end)))
    note(pcall(coroutine.wrap(function() error("text", 0) end)))
    note(pcall(coroutine.wrap(function() local x = nil; x() end)))
    local wrapped = coroutine.wrap(function() return 1 end)
    note(wrapped())
    note(pcall(wrapped))
    local closed
    note(pcall(coroutine.wrap(function()
      local x <close> = setmetatable({}, { __close = function(_, e) closed = e; error("in close", 0) end })
      error("first", 0)
    end)))
    note(closed)
    local parked = coroutine.create(function() coroutine.yield() end)
    coroutine.resume(parked)
    note(coroutine.close(parked), coroutine.status(parked), coroutine.resume(parked))
    note(pcall(coroutine.resume, 1))
    note(pcall(coroutine.wrap, 1))
    note(select("#", coroutine.resume(coroutine.create(function() return nil, nil end))))
    note(coroutine.resume(coroutine.create(function(...) return select("#", ...) end), nil, nil))
    stock = table.concat(log, "\n")
  )lua";
  lua_State* plain = luaL_newstate();
  luaL_openlibs(plain);
  REQUIRE(luaL_loadbufferx(plain, script, std::strlen(script), "@film.lua", "t") == LUA_OK);
  REQUIRE(lua_pcall(plain, 0, 0, 0) == LUA_OK);
  lua_getglobal(plain, "stock");
  const std::string expected = lua_tostring(plain, -1);
  lua_close(plain);
  Lua lua;
  CHECK(lua.direct(script) == "");
  CHECK(lua.global("stock") == expected);
}

TEST_CASE("a coroutine that waits can be closed but not resumed by another task") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local co = coroutine.create(function() kling.sleep(5) return "slept" end)
    local first = kling.spawn(function() return coroutine.resume(co) end)
    kling.sleep(1)
    local ok, err = coroutine.resume(co)
    assert(not ok and err:find("is waiting"), err)
    local a, b = first:wait()
    assert(a == true and b == "slept")

    co = coroutine.create(function() kling.sleep(5) end)
    first = kling.spawn(function() return coroutine.resume(co) end)
    kling.sleep(1)
    assert(coroutine.close(co))
    a, b = first:wait { timeout = 60 }
    assert(a == false and b:find("dead"), tostring(b))
  )lua"));
}

TEST_CASE("a cancel reaches the innermost coroutine") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local kind
    local task = kling.spawn(function()
      coroutine.wrap(function()
        kind = select(2, pcall(kling.sleep, 9)).kind
      end)()
      return "after"
    end)
    kling.sleep(1)
    task:cancel()
    assert(task:wait() == "after" and kind == "interrupted")
  )lua"));
}

TEST_CASE("where waiting is impossible one sentence says so before anything is paid") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local job = kling.text2video { prompt = "x" }
    local function refused(fn)
      local ok, err = pcall(fn)
      assert(not ok and tostring(err):find("kling cannot wait here", 1, true), tostring(err))
    end
    refused(function() table.sort({ 2, 1 }, function() return kling.text2video { prompt = "y" } end) end)
    refused(function() ("x"):gsub("x", function() job:wait() end) end)
    refused(function() tostring(setmetatable({}, { __tostring = function() kling.sleep(1) end })) end)
    refused(function() load(function() kling.sleep(1) end) kling.sleep(0) error(select(2, load(function() kling.sleep(1) end)), 0) end)
    -- a coroutine inside such a place cannot pass a wait on either
    refused(function()
      table.sort({ 2, 1 }, function() coroutine.wrap(function() kling.sleep(1) end)() end)
    end)
    -- places that can
    local t = setmetatable({}, { __index = function() kling.sleep(1) return 1 end,
                                 __add = function() kling.sleep(1) return 2 end })
    assert(t.x == 1 and t + t == 2)
    for _ in (function() kling.sleep(1) return nil end) do end
  )lua"));
  CHECK(lua.engine->made.size() == 1);
}

TEST_CASE("outside of tasks a wait blocks and runs the tasks meanwhile") {
  for (const bool own : {true, false}) {
    Lua lua(own);
    lua.finish_at_once = true;
    CHECK(lua.direct(R"lua(
      local clip = kling.text2video { prompt = "x" }:wait()
      assert(clip.url == "https://h/1.mp4")
      local ticks = 0
      local task = kling.spawn(function() for _ = 1, 3 do kling.sleep(1) ticks = ticks + 1 end return "t" end)
      kling.sleep(10)
      assert(ticks == 3 and task:wait() == "t" and task.path == "main/1")
      local all = kling.all { function() kling.sleep(1) return 1 end, function() return 2 end }
      assert(all[1] == 1 and all[2] == 2)
      -- also in a coroutine that nobody passes on
      assert(coroutine.wrap(function() kling.sleep(1) return "co" end)() == "co")
      local ok, err = pcall(kling.all, { function() error("inner", 0) end })
      assert(not ok and err == "inner")
      assert(select(2, pcall(kling.timeout, 1, kling.sleep, 9)).kind == "timeout")
    )lua") == "");
  }
}

TEST_CASE("a blocked wait ends when the interpreter sets its hook") {
  Lua lua(false);
  // The main thread gets the hook while it is inside the wait: from a task's turn.
  lua_pushlightuserdata(lua.state, lua.state);
  lua_pushcclosure(
      lua.state,
      [](lua_State* L) {
        auto* main = static_cast<lua_State*>(lua_touserdata(L, lua_upvalueindex(1)));
        lua_sethook(
            main,
            [](lua_State* hooked, lua_Debug*) {
              lua_sethook(hooked, nullptr, 0, 0);
              luaL_error(hooked, "interrupted!");
            },
            LUA_MASKCALL | LUA_MASKRET | LUA_MASKLINE | LUA_MASKCOUNT, 1);
        return 0;
      },
      1);
  lua_setglobal(lua.state, "ctrl_c_main");
  lua.load("kling.spawn(ctrl_c_main) kling.sleep(1e6) survived = true");
  REQUIRE(lua_pcall(lua.state, 0, 0, 0) != LUA_OK);
  CHECK(std::string(luaL_tolstring(lua.state, -1, nullptr)).find("interrupted!") !=
        std::string::npos);
  lua_pop(lua.state, 2);
  lua_sethook(lua.state, nullptr, 0, 0);
  CHECK(lua.global("survived") == "nil");
}

TEST_CASE("a host that pumps is never blocked") {
  Lua lua(false);
  lua.runtime->pump(lua.state, 0);
  CHECK(lua.direct("kling.sleep(1)").find("start it with kling.spawn") != std::string::npos);
  CHECK(lua.direct("task = kling.spawn(function() kling.sleep(1) done = true end)") == "");
  lua.runtime->pump(lua.state, 0);
  lua.clock->advance(1000);
  lua.runtime->pump(lua.state, 0);
  CHECK(lua.global("done") == "true");
}

TEST_CASE("module bodies may wait in our own interpreter") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local runs = 0
    package.preload.slow = function(name, data)
      runs = runs + 1
      kling.sleep(2)
      return { name = name, data = data }
    end
    package.preload.nothing = function() end
    package.preload.broken = function() kling.sleep(1) error("body broke") end
    local both = kling.all { function() return require "slow" end, function() return require "slow" end }
    assert(runs == 1 and both[1] == both[2] and both[1].name == "slow" and both[1].data == ":preload:")
    local value, data = require "nothing"
    assert(value == true and data == ":preload:" and select("#", require "nothing") == 1)
    for _ = 1, 2 do
      local ok, err = pcall(require, "broken")
      assert(not ok and err == "film.lua:9: body broke", err)
    end
    local ok, err = pcall(require, "no.such")
    assert(not ok and err:find("^module 'no.such' not found:\n\tno field package.preload%['no.such'%]\n\tno file"), err)
  )lua"));
}

TEST_CASE("all tasks that wait for one module go on when it is loaded") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    package.preload.slow = function() kling.sleep(1) return { "slow" } end
    local function load() return require "slow", kling.sleep(0) end
    local loaded = kling.timeout(10, kling.all, { load, load, load, load })
    assert(loaded[1] == loaded[4] and loaded[1][1] == "slow")
  )lua"));
}

TEST_CASE("require fails with the same words as the stock one") {
  const char* script = R"lua(
    local ok, err = pcall(function() require("no.such") end)
    message = err .. tostring(select(2, pcall(require)))
  )lua";
  Lua foreign(false), own(true);
  CHECK(foreign.direct(script) == "");
  CHECK(own.direct(script) == "");
  CHECK(own.global("message") == foreign.global("message"));
}

TEST_CASE("the module that is forgotten is loaded again as it was, and holds when called by hand") {
  for (const bool own : {false, true}) {
    Lua lua(own);
    CHECK(lua.direct(R"lua(
      local kling = require "kling"
      package.loaded.kling = nil
      same = tostring(require "kling" == kling)
      for _, name in ipairs { "__newindex", "__index" } do
        pcall(getmetatable(kling)[name])
        pcall(getmetatable(kling)[name], kling)
        pcall(getmetatable(kling)[name], nil, "x", {})
      end
    )lua") == "");
    CHECK(lua.global("same") == "true");
  }
}

TEST_CASE("tasks that wait for each other are told where a plain script waits for them") {
  Lua lua(false);
  const std::string error = lua.direct(R"lua(
    local a, b
    a = kling.spawn(function() kling.sleep(0) local got = b:wait() return got end)
    b = kling.spawn(function() local got = a:wait() return got end)
    a:wait()
  )lua");
  CHECK(error.find("tasks wait for each other, and nothing else can end: ") != error.npos);
}

TEST_CASE("modules that require each other are told, whichever task loads which") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    for name, other in pairs { a = "b", b = "a", self = "self" } do
      package.preload[name] = function() kling.sleep(0.01) return require(other) end
    end
    for _, first in ipairs { "a", "self" } do
      local ok, err = pcall(require, first)
      assert(not ok and err:find "is not loaded yet", err)
    end
    local failures = 0
    local function load(name) return function()
      local ok, err = pcall(require, name)
      assert(not ok and err:find "is not loaded yet", err)
      failures = failures + 1
    end end
    kling.timeout(10, kling.all, { load "a", load "b" })
    assert(failures == 2)
  )lua"));
}

TEST_CASE("a task may yield by itself to let others run") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local log = {}
    local function turn(name) for _ = 1, 2 do log[#log + 1] = name coroutine.yield() end end
    kling.all { function() turn("a") end, function() turn("b") end }
    assert(table.concat(log) == "abab")
  )lua"));
}
