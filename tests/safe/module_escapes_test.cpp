// Attempts through the functions of the module, and past the counting of instructions.
#include "safe_fixture.h"

using namespace kling::lua;

namespace {

constexpr Limits kWallOnly{.memory_bytes = 16u << 20, .instructions = 0, .wall_ms = 300};

/// Says that memory was short, instead of taking it outside of the limit.
void check_short_of_memory(const std::string& text) {
  Safe safe({.memory_bytes = 4u << 20, .instructions = 0, .wall_ms = 60'000});
  const auto result = safe.run("local kling = require 'kling' local big = ('x'):rep(5e5) " + text);
  INFO(result.message);
  CHECK(result.done);
  CHECK((result.message.find("not enough memory") != std::string::npos ||
         result.message.find("is too large") != std::string::npos));
  safe.check_works();
}

}  // namespace

TEST_CASE("time: coroutines within coroutines that each end soon are stopped") {
  const auto script = R"(
    local function f(depth)
      if depth == 0 then return end
      for i = 1, 50 do coroutine.wrap(f)(depth - 1) end
    end
    f(6))";
  Safe(kWallOnly).check_ended(script);
  Safe().check_ended(script);
}

TEST_CASE("time: coroutines that are resumed for a moment each are counted") {
  Safe().check_ended("while true do coroutine.resume(coroutine.create(function() end)) end");
}

TEST_CASE("time: tasks that each end soon and spawn more are stopped") {
  const auto script = R"(
    local kling = require 'kling'
    local function f(depth)
      if depth == 0 then return end
      for i = 1, 20 do kling.spawn(f, depth - 1) end
    end
    while true do kling.spawn(f, 2) kling.sleep(0) end)";
  Safe(kWallOnly).check_ended(script);
  Safe().check_ended(script);
}

TEST_CASE("time: requests that fail after much reading are counted") {
  for (const char* call : {"kling.request, 'GET', '/x', t", "kling.text2video, { promt = t }",
                           "kling.configure, { promt = t }"}) {
    INFO(std::string(call));
    Safe(kWallOnly).check_ended(
        "local kling = require 'kling' local t = {} for i = 1, 12 do t = { t, t } end\n"
        "while true do pcall(" +
        std::string(call) + ") end");
  }
}

TEST_CASE("time: long and many names of fields that do not exist are counted") {
  Safe(kWallOnly).check_ended(
      "local kling = require 'kling' local name = ('promt'):rep(1e5)\n"
      "while true do pcall(kling.text2video, { [name] = 1 }) end");
  Safe(kWallOnly).check_ended(
      "local kling = require 'kling' local t = {} for i = 1, 5000 do t['promt' .. i] = i end\n"
      "while true do pcall(kling.omni, t) end");
}

TEST_CASE("time: names of modules are short") {
  Safe safe;
  safe.check_passes(R"(
    local ok, e = pcall(require, ('x.'):rep(1e4))
    assert(not ok and tostring(e):find('not found')))");
  Safe brief(kWallOnly);
  brief.check_ended("while true do pcall(require, ('x.'):rep(100)) end");
}

TEST_CASE("memory: what waiting calls were given counts for each of them") {
  for (const char* call :
       {"kling.query(big, 'text2video')", "kling.job(big)", "kling.request('GET', big)",
        "kling.request('POST', '/x', { big })", "kling.bytes('x'):save(big)"}) {
    INFO(std::string(call));
    check_short_of_memory("for i = 1, 40 do kling.spawn(function() " + std::string(call) +
                          " end) end\n"
                          "kling.all { function() " +
                          std::string(call) + " end }");
  }
}

TEST_CASE("memory: requests that wait to be sent count after their jobs were dropped") {
  check_short_of_memory(R"(
    kling.configure { limits = { jobs = 1 } }
    for i = 1, 40 do kling.text2video { prompt = 'x', take = i, extra = { n = big } } end)");
}

TEST_CASE("memory: one text many times over in a list of clips counts each time") {
  check_short_of_memory("local t = {} for i = 1, 100 do t[i] = big end kling.concat(t, 'x.mp4')");
}

TEST_CASE("memory: errors that are kept count with their texts") {
  check_short_of_memory(R"(
    local kept = {}
    for i = 1, 1e6 do kept[i] = select(2, pcall(kling.text2video, { x = 1 })) end)");
  check_short_of_memory(R"(
    local kept = {}
    for i = 1, 1e6 do kept[i] = kling.spawn(error, big) kling.sleep(0) end)");
}

TEST_CASE("memory: tasks within tasks without end have short names") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    local deep, longest = 0, 0
    local function f()
      deep = deep + 1
      if deep < 2000 then longest = math.max(longest, #kling.spawn(f).path) end
    end
    f()
    while deep < 2000 do kling.sleep(0) end
    assert(longest > 100 and longest < 500))");
}

TEST_CASE("memory: waits that were given up leave nothing behind") {
  Safe safe({.memory_bytes = 16u << 20, .instructions = 0, .wall_ms = 60'000});
  safe.check_passes(R"(
    local kling = require 'kling'
    local task = kling.spawn(function() kling.sleep(1e9) end)
    for i = 1, 2000 do
      pcall(task.wait, task, { timeout = 0 })
      kling.any { task, function() return 1 end }
    end
    task:cancel())");
}

TEST_CASE("code: neither the handler of an error nor a key shows in what errors tell") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    local told = {}
    for _, f in pairs(kling) do
      if type(f) == 'function' then
        for _, a in ipairs { 1, 'x', {}, print, { x = 1 }, setmetatable({}, { __index = function() error('bad') end }) } do
          told[#told + 1] = tostring((select(2, pcall(kling.timeout, 0, f, a))))
        end
      end
    end
    local all = table.concat(told) .. debug.traceback('here')
    assert(not all:find('sk%-secret') and not all:find('/home'), all))");
}

TEST_CASE("code: yields in comparisons and callbacks and a loop of yields do no harm") {
  Safe safe;
  safe.check_passes(R"(
    for _, f in ipairs { function() table.sort({ 3, 2, 1 }, coroutine.yield) end,
                         function() return ('abc'):gsub('.', coroutine.yield) end,
                         function() return tostring(setmetatable({}, { __tostring = coroutine.yield })) end } do
      local ok, e = coroutine.resume(coroutine.create(f))
      assert(not ok and tostring(e):find('yield'), tostring(e))
    end)");
  Safe(kWallOnly).check_ended("while true do coroutine.yield() end");
}
