#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("spawned tasks run beside each other and return their values") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local order = {}
    local function work(name, seconds)
      kling.sleep(seconds)
      order[#order + 1] = name
      return name, nil, seconds
    end
    local slow, quick = kling.spawn(work, "slow", 2), kling.spawn(work, "quick", 1)
    assert(slow.path == "main/1" and quick.path == "main/2" and not slow.done)
    assert(tostring(slow) == "Task main/1 (running)")
    local a, b, c = slow:wait()
    assert(a == "slow" and b == nil and c == 2 and select("#", slow:wait()) == 3)
    assert(quick.done and order[1] == "quick" and order[2] == "slow")
    assert(tostring(quick) == "Task main/2 (done)")
    local inner = kling.spawn(function() return kling.spawn(function() end).path end)
    assert(inner:wait() == "main/3/1")
    local ok, err = pcall(slow.wait, slow, { timeout = 0 })
    assert(ok)
  )lua"));
  CHECK(lua.runtime->unfinished() == 0);
}

TEST_CASE("waits that leave nothing behind take no memory however many there are") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    for i = 1, 200000 do kling.sleep(0) end
    assert(collectgarbage "count" < 800, collectgarbage "count")
  )lua"));
}

TEST_CASE("all keeps keys and takes jobs and tasks and functions") {
  Lua lua;
  const TaskId task = lua.start(R"lua(
    local job = kling.text2video { prompt = "x" }
    local result = kling.all { job, kling.spawn(function() return 2 end), function() return 3 end,
                               named = function() kling.sleep(1) return kling.text2video { prompt = "y" } end }
    assert(result[1].url == "https://h/1.mp4" and result[2] == 2 and result[3] == 3)
    assert(result.named.url == "https://h/2.mp4" and result.named.job.handle == "kling:text2video/2")
    assert(next(kling.all {}) == nil)
    local unnamed, slip = pcall(function() return { result.named, result.namd } end)
    assert(not unnamed and slip.message == 'what kling.all gave has no "namd"', slip)
    assert(result[4] == nil and slip.hint == "did you mean named?", slip.hint)
    assert(result.other == nil)
    local twice, why = pcall(kling.all, result)
    assert(not twice and why.message:find("is a", 1, true), why)
    local given = kling.all { none = function() end }
    assert(given.none == nil)
    local ok, err = pcall(kling.all, { 7 })
    assert(not ok and err.message:find("[1] is a number", 1, true), err)
  )lua");
  lua.settle();
  lua.clock->advance(1000);
  lua.settle();
  lua.engine->succeed(*lua.engine->made[0]);
  lua.settle();
  lua.engine->succeed(*lua.engine->made[1]);  // of a function that did not wait for it
  lua.settle();
  CHECK_RUNS(lua.runtime->result(task));
  CHECK(lua.engine->made[1]->request.task_path == "main/3");
}

TEST_CASE("an error in all interrupts the siblings and keeps the tracebacks") {
  Lua lua;
  const auto result = lua.task(R"lua(
    closed, interrupted = 0, nil
    local function guarded()
      local mark <close> = setmetatable({}, { __close = function() closed = closed + 1 end })
      local ok, err = pcall(kling.sleep, 100)
      interrupted = not ok and err.kind
      kling.sleep(100)
    end
    local function broken()
      kling.sleep(1)
      local nothing = nil
      return nothing.field
    end
    kling.all { guarded, broken, function() guarded() end }
  )lua");
  CHECK_FALSE(result.ok);
  CHECK(result.message.find("film.lua:12: attempt to index") != std::string::npos);
  CHECK(result.traceback.find("film.lua:12: in function <film.lua:9>") != std::string::npos);
  CHECK(result.traceback.find("film.lua:14: in main chunk") != std::string::npos);
  CHECK(result.traceback.find("[kling]") == std::string::npos);
  CHECK(lua.global("closed") == "2");
  CHECK(lua.global("interrupted") == "interrupted");
  CHECK(lua.runtime->unfinished() == 0);
  CHECK(lua.runtime->take_unobserved().empty());
}

TEST_CASE("error values pass through tasks and pcall unchanged") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local mark = {}
    local ok, err = pcall(kling.all, { function() error(mark) end })
    assert(not ok and err == mark)
    ok, err = pcall(kling.all, { function() error("plain", 0) end })
    assert(not ok and err == "plain")
    ok, err = pcall(kling.all, { function() kling.text2video {} end })
    assert(not ok and err.kind == "invalid" and err.where == "film.lua:7")
    assert(err.traceback:find("film.lua:7:", 1, true) and err.traceback:find("film.lua:7: in main chunk", 1, true))
    -- a sibling that fails while it is interrupted is told of as well
    ok, err = pcall(kling.all, {
      function() kling.sleep(1) kling.text2video {} end,
      function() pcall(kling.sleep, 9) error("second trouble") end,
    })
    assert(not ok and err.traceback:find("main/5 failed too: film.lua:13: second trouble", 1, true), err.traceback)
  )lua"));
}

TEST_CASE("any gives the first success with its key") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local value, key = kling.any {
      function() kling.sleep(3) return "late" end,
      bad = function() error("no") end,
      good = function() kling.sleep(2) return "good" end,
    }
    assert(value == "good" and key == "good")
    local ok, err = pcall(kling.any, { function() error("one", 0) end, function() kling.sleep(1) error("two", 0) end })
    assert(not ok and err == "one")
    ok, err = pcall(kling.any, {})
    assert(not ok and err.message:find("nothing to wait for"))
  )lua"));
  lua.settle();
  CHECK(lua.runtime->unfinished() == 0);
}

TEST_CASE("any prefers on a resume what had finished first") {
  Lua lua;
  const TaskId task = lua.start(R"lua(
    local jobs = { kling.text2video { prompt = "a" }, kling.text2video { prompt = "b" } }
    go = true
    kling.sleep(1)
    local clip, key = kling.any(jobs)
    assert(key == 2 and clip.job.handle == jobs[2].handle)
    -- through functions, where the first to ask is not the first that had ended
    clip, key = kling.any {
      function() return jobs[1]:wait() end,
      function() kling.request("GET", "/one") kling.request("GET", "/two") return jobs[2]:wait() end,
      function() kling.sleep(1000) end,
    }
    assert(key == 2, key)
  )lua");
  lua.settle();
  lua.engine->succeed(*lua.engine->made[0], 2000);
  lua.engine->succeed(*lua.engine->made[1], 1000);
  for (int i = 0; i < 20 && !lua.runtime->result(task).done; ++i) {
    lua.clock->advance(200);
    lua.settle();
  }
  CHECK_RUNS(lua.runtime->result(task));
}

TEST_CASE("a time-out of an earlier run comes between what that run saw before and after it") {
  for (const bool before : {true, false}) {
    CAPTURE(before);
    Lua lua;
    const TaskId task = lua.start(R"lua(
      local a, b = kling.text2video { prompt = "a" }, kling.text2video { prompt = "b" }
      local never = kling.text2video { prompt = "never" }
      order = ""
      kling.sleep(1)
      kling.all {
        function()
          a:wait()
          order = order .. "a "
          assert(not pcall(never.wait, never, { timeout = seconds }))
          order = order .. "time-out "
        end,
        function()
          b:wait()
          order = order .. "b "
        end,
      }
    )lua");
    // Of what ended in another century the next came 99 seconds after the first.
    lua_pushinteger(lua.state, before ? 98 : 100);
    lua_setglobal(lua.state, "seconds");
    lua.settle();
    for (const auto& job : lua.engine->made) job->request.ask->known = true;
    lua.engine->made[2]->request.ask->timeouts = 1;
    lua.engine->succeed(*lua.engine->made[0], 1'000);
    lua.engine->succeed(*lua.engine->made[1], 100'000);
    lua.engine->succeed(*lua.engine->made[2], 500'000);
    lua.clock->advance(1'000);
    lua.settle();
    CHECK_RUNS(lua.runtime->result(task));
    CHECK(lua.global("order") == (before ? "a time-out b " : "a b time-out "));
  }
}

TEST_CASE("map keeps order and its limit") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local now, most = 0, 0
    local function work(x, i)
      now = now + 1
      most = math.max(most, now)
      kling.sleep(x)
      now = now - 1
      return x * 10 + i
    end
    local result = kling.map({ 3, 1, 2, 1 }, work, { limit = 2 })
    assert(most == 2 and table.concat(result, " ") == "31 12 23 14", table.concat(result, " "))
    most = 0
    kling.map({ 1, 1, 1 }, work)
    assert(most == 3 and #kling.map({}, work) == 0)
    local ok, err = pcall(kling.map, { 1, 2, 3 }, function(x) if x == 2 then error("two", 0) end kling.sleep(9) end)
    assert(not ok and err == "two" and not pcall(kling.map, {}, 1) and not pcall(kling.map, { 1 }, work, { limit = 0 }))
  )lua"));
  CHECK(lua.runtime->unfinished() == 0);
}

TEST_CASE("a shot without a name is called after its task, its take or its prompt") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local function shot(more)
      local request = { prompt = "A lighthouse at dusk, slow dolly in" }
      for key, value in pairs(more or {}) do request[key] = value end
      kling.text2video(request)
    end
    shot()
    shot { name = "opening" }
    shot { take = 2 }
    shot { take = "night" }
    kling.omni { prompt = "<<<image_1>>> is Mira who waves her hat at us", image_list = { "a.png" } }
    shot { prompt = "灯台守が海を見ている。夜明けの光が波間に揺れて、風が吹き抜けていく朝" }
    for _ = 1, 2 do shot() end
    kling.all { storm = function() shot() shot() end, function() shot() end }
    kling.map({ "a", "b" }, function() kling.spawn(shot):wait() shot { name = "own" } end)
    assert(not pcall(shot, { name = {} }))
  )lua"));
  std::string names;
  for (const auto& job : lua.engine->made) names += job->request.name + "\n";
  CHECK(names ==
        "A lighthouse at dusk\nopening\ntake 2\nnight\nimage_1 is Mira who\n"
        "灯台守が海を見ている。夜明けの光が波間に揺れて、\n"
        "A lighthouse at dusk-2\nA lighthouse at dusk-3\n"
        "all 1\nstorm\nstorm-2\nmap 1\nmap 2\nown\nown\n");
}

TEST_CASE("all and map tell how many have ended") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local told = {}
    local options = { on_progress = function(done, total) told[#told + 1] = done .. "/" .. total end }
    local function nap(seconds) return function() kling.sleep(seconds) end end
    kling.all({ last = nap(3), nap(1) }, options)
    kling.map({ 2, 1, 3 }, kling.sleep, { limit = 2, on_progress = options.on_progress })
    assert(table.concat(told, " ") == "1/2 2/2 1/3 2/3 3/3", table.concat(told, " "))
    local ok, err = pcall(kling.all, {}, { on_progress = 7 })
    assert(not ok and err:find("on_progress is a function"), err)
  )lua"));
}

TEST_CASE("an option that all, any or map do not take is named") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local function refused(part, fn, ...)
      local ok, err = pcall(fn, ...)
      assert(not ok and tostring(err):find(part, 1, true), tostring(err))
    end
    local nothing = function() end
    refused("its options are a table, and it got a number", kling.map, { 1 }, nothing, 2)
    refused("unknown option limt", kling.map, { 1 }, nothing, { limt = 2 })
    refused("unknown option %", kling.map, { 1 }, nothing, { ["%"] = 2 })
    refused("limit is a number, 1 or more, and was given \"two\"", kling.map, { 1 }, nothing, { limit = "two" })
    refused("unknown option limit", kling.all, { nothing }, { limit = 2 })
    refused("kling.any takes no options", kling.any, { nothing }, { timeout = 2 })
    refused("kling.any has nothing to wait for", kling.any, {})
    refused("a table of named values", kling.concat, { one = 1 }, "film.mp4")
    refused("options are a table of their own", kling.concat, { 1, fade = 2 }, "film.mp4")
    assert(kling.map({ { function() return 7 end } }, kling.all)[1][1] == 7)
    assert(kling.map({ { function() return 7 end } }, kling.any)[1] == 7)
  )lua"));
}

TEST_CASE("timeout ends what takes too long and returns what does not") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local a, b = kling.timeout(5, function(...) kling.sleep(1) return ... end, 1, 2)
    assert(a == 1 and b == 2)
    local told
    local ok, err = pcall(kling.timeout, 1, function()
      told = select(2, pcall(kling.sleep, 60)).kind
    end)
    assert(not ok and err.kind == "timeout", tostring(err))
    kling.sleep(0)
    assert(told == "interrupted")
    ok, err = pcall(kling.timeout, 1, function() error("own", 0) end)
    assert(not ok and err == "own")
  )lua"));
}

TEST_CASE("a cancelled task is interrupted at this and every later wait") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local kinds, job = {}, nil
    local task = kling.spawn(function()
      job = kling.text2video { prompt = "x" }
      for _ = 1, 3 do
        local ok, err = pcall(job.wait, job)
        kinds[#kinds + 1] = err.kind
      end
      local ok, err = pcall(kling.text2video, { prompt = "never made" })
      kinds[#kinds + 1] = err.kind
      return "done"
    end)
    kling.sleep(1)
    task:cancel()
    assert(task:wait() == "done" and table.concat(kinds, " ") == ("interrupted "):rep(4):sub(1, -2))
    task:cancel()
    local other = kling.spawn(function() kling.sleep(5) end)
    other:cancel()
    local ok, err = pcall(other.wait, other)
    assert(not ok and err.kind == "interrupted")
  )lua"));
  CHECK(lua.engine->made.size() == 1);
}

TEST_CASE("cancel_all interrupts every wait") {
  Lua lua;
  const TaskId task = lua.start("kling.spawn(function() kling.sleep(9) end) kling.sleep(9)");
  lua.settle();
  CHECK(lua.runtime->unfinished() == 2);
  lua.runtime->cancel_all();
  lua.settle();
  CHECK(lua.runtime->unfinished() == 0);
  CHECK(lua.runtime->result(task).error.kind == Kind::interrupted);
  CHECK(lua.runtime->take_unobserved().empty());
}

TEST_CASE("errors of tasks that nobody waited for are told once") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    kling.spawn(function() error("lost trouble") end)
    local seen = kling.spawn(function() error("seen") end)
    pcall(seen.wait, seen)
    collectgarbage()
    kling.sleep(1)
    collectgarbage()
  )lua"));
  const auto errors = lua.runtime->take_unobserved();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "film.lua:2: lost trouble");
  CHECK(lua.runtime->take_unobserved().empty());
}

TEST_CASE("the host sees ready work and the next timer") {
  Lua lua;
  CHECK(lua.runtime->next_timer() == kNever);
  lua.start("kling.sleep(5)");
  lua.settle();
  CHECK(lua.runtime->next_timer() == lua.clock->now() + 5000);
  lua.runtime->wait(kNever);  // the clock of the test jumps there
  lua.settle();
  CHECK(lua.runtime->unfinished() == 0);
  lua.runtime->run(0);
  CHECK(lua.runtime->next_timer() == kNever);
}

TEST_CASE("a wait that ended early leaves no time behind at which the host is woken") {
  Lua lua;
  lua.start(
      "kling.spawn(function() kling.sleep(10) end)"
      "kling.spawn(function() kling.sleep(1) end):wait { timeout = 3600 } kling.sleep(7200)");
  for (int sleeps = 0; sleeps < 2; ++sleeps) {
    lua.settle();
    lua.runtime->wait(kNever);
  }
  lua.settle();
  CHECK(lua.runtime->next_timer() == lua.clock->now() + 7'191'000);
}

TEST_CASE("the shortest turn is over once its time is") {
  Lua lua;
  int told = 0;
  for (int i = 0; i < 2; ++i)
    lua.queue->post([&told] {
      ++told;
      const auto start = std::chrono::steady_clock::now();
      while (std::chrono::steady_clock::now() < start + std::chrono::microseconds(50)) continue;
    });
  lua.runtime->run(1);
  CHECK(told < 2);
  lua.runtime->run(0);
  CHECK(told == 2);
}

TEST_CASE("a misspelt function or method is told what was meant") {
  const std::pair<const char*, const char*> cases[] = {
      {"kling.text2vidio { prompt = 'x' }", "did you mean kling.text2video?"},
      {"kling.text2video { prompt = 'x' }:acepted()", "did you mean accepted?"},
      {"kling.spawn(function() kling.concatt({}, 'x') end):wait()", "did you mean kling.concat?"},
      {"string.entirely_else()", "(field 'entirely_else')"},
      {"nothing()", "(global 'nothing'); no function is called nothing there"},
  };
  for (const auto& [script, end] : cases) {
    Lua lua;
    CAPTURE(script);
    const std::string message = lua.task(script).message;
    CAPTURE(message);
    CHECK(message.ends_with(end));
  }
}

TEST_CASE("a task that lets go of itself and ends at its memory limit is no crash") {
  Lua lua(true, nullptr, nullptr, Limits{.memory_bytes = 8u << 20});
  for (int i = 0; i < 20; ++i) {
    CHECK_RUNS(lua.task(R"lua(
      local kept, holder = {}, {}
      holder[1] = kling.spawn(function()
        local n = 0
        pcall(function() while true do n = n + 1 kept[n] = ("y"):rep(1000) .. n end end)
        for i = 1, 4 do kept[n - i] = nil end
        holder[1] = nil
        error(("x"):rep(7000), 0)
      end)
      kling.sleep(0.01)
    )lua"));
    lua.runtime->take_unobserved();
  }
}

TEST_CASE("what the text of an error waits for does not run the tasks once more") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local depth, most, told = 0, 0, nil
    local function busy()
      depth = depth + 1
      most = math.max(most, depth)
      for _ = 1, 3 do kling.sleep(0) end
      depth = depth - 1
    end
    local text = setmetatable({}, { __tostring = function()
      told = select(2, pcall(kling.sleep, 100))
      return "text"
    end })
    local others = { busy, busy }
    kling.spawn(function() error(text) end)
    kling.all(others)
    assert(told and told.kind == "invalid" and told.message:find("cannot wait here"), tostring(told))
  )lua"));
  const auto errors = lua.runtime->take_unobserved();
  REQUIRE(errors.size() == 1);
  CHECK(errors[0].message == "text");
}

TEST_CASE("nothing that waits or runs tasks does so in a finalizer") {
  Lua lua(false);
  lua_pushcfunction(lua.state, [](lua_State* L) {
    lua_pushboolean(L, runtime_of(L)->run(0));
    return 1;
  });
  lua_setglobal(lua.state, "run");
  CHECK(lua.direct(R"lua(
    local said, ran
    kling.spawn(function() ran = true end)
    local function drop()
      setmetatable({}, { __gc = function() run() said = select(2, pcall(kling.sleep, 1)) end })
    end
    drop()
    collectgarbage()
    assert(said and said:find("in a finalizer") and not ran, said)
    kling.sleep(1)
    assert(ran)
  )lua") == "");
}

TEST_CASE("thousands of values and items pass through tasks") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local values = {}
    for i = 1, 20000 do values[i] = i end
    local task = kling.spawn(function(...) return ... end, table.unpack(values))
    assert(select("#", task:wait()) == 20000 and select(20000, task:wait()) == 20000)
    local wrapped = coroutine.wrap(function(...) kling.sleep(0) return ... end)
    assert(select("#", wrapped(table.unpack(values))) == 20000)
    assert(kling.map(values, function(n) return n end)[20000] == 20000)
    local all = {}
    for i = 1, 5000 do all[i] = function() return i end end
    assert(#kling.all(all) == 5000 and kling.any(all) == 1)
  )lua"));
}

TEST_CASE("a limit of map may be larger than any list") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local function double(n) return 2 * n end
    assert(kling.map({ 1, 2, 3 }, double, { limit = math.huge })[3] == 6)
    assert(kling.map({ 1, 2, 3 }, double, { limit = math.maxinteger })[3] == 6)
  )lua"));
}
