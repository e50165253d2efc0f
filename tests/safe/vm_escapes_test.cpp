// One test per way out of the virtual machine's limits. Each is a real attempt, as Lua text.
#include "safe_fixture.h"

namespace kling::lua {
namespace {

// ---- Memory ----

TEST_CASE("memory: string.rep of a gigabyte fails at once and the script goes on") {
  Safe safe;
  safe.check_passes(R"(
    local ok, message = pcall(string.rep, 'x', 1e9)
    assert(not ok and message:find('not enough memory'), message)
  )");
}

TEST_CASE("memory: a string that doubles itself ends at the cap") {
  Safe safe;
  safe.check_ended("local s = 'xxxxxxxx' while true do s = s .. s end", "not enough memory");
}

TEST_CASE("memory: a table that is filled without end ends at the cap") {
  Safe safe({.memory_bytes = 8u << 20});
  safe.check_ended("local t = {} while true do t[#t + 1] = {} end", "not enough memory");
}

TEST_CASE("memory: coroutines that are kept end at the cap") {
  Safe safe({.memory_bytes = 8u << 20});
  safe.check_ended("local t = {} while true do t[#t + 1] = coroutine.create(print) end",
                   "not enough memory");
}

TEST_CASE("memory: tasks that are kept end at the cap") {
  Safe safe({.memory_bytes = 8u << 20});
  safe.check_ended(
      "local kling, t = require 'kling', {} while true do t[#t + 1] = kling.spawn(print) end",
      "not enough memory");
}

TEST_CASE("memory: catching its end again and again runs out of time") {
  Safe safe({.memory_bytes = 16u << 20, .wall_ms = 200});
  const char* const greedy = R"(
    local kept = {}
    for i = 1, 50000 do kept[i] = { i } end
    while true do pcall(string.rep, 'x', 1e9) end
  )";
  safe.check_stopped(greedy, "the script ran longer than 0.2 seconds");
}

TEST_CASE("memory: a table that holds itself twice at every level is refused as a request") {
  Safe safe;
  safe.check_passes(R"(
    local kling, t = require 'kling', {}
    for i = 1, 40 do t = { t, t } end
    local ok, message = pcall(kling.text2video, { prompt = 'x', extra = { t = t } })
    assert(not ok and tostring(message):find('too large'), tostring(message))
  )");
}

TEST_CASE("memory: the bytes of pictures count although they lie outside of Lua") {
  Safe safe;
  safe.check_passes(R"(
    local kling, kept, s = require 'kling', {}, ('x'):rep(1 << 20)
    local ok, message = pcall(function() for i = 1, 1000 do kept[i] = kling.bytes(s) end end)
    assert(not ok and message:find('not enough memory'), message)
    assert(#kept < 16, #kept)
    kept = nil
  )");
}

TEST_CASE("memory: pictures that were dropped give their bytes back") {
  Safe safe({.memory_bytes = 16u << 20, .wall_ms = 5000});
  safe.check_passes(R"(
    local kling, s = require 'kling', ('x'):rep(1 << 20)
    for i = 1, 100 do kling.bytes(s) end
  )");
}

TEST_CASE("memory: long names of pictures count as well") {
  Safe safe;
  safe.check_passes(R"(
    local kling, kept, s = require 'kling', {}, ('x'):rep(1 << 20)
    local ok = pcall(function() for i = 1, 1000 do kept[i] = kling.image(s) end end)
    assert(not ok and #kept < 16, #kept)
    kept = nil
  )");
}

TEST_CASE("memory: a long error message is kept in part only") {
  Safe safe({.memory_bytes = 16u << 20, .wall_ms = 1000});
  const TaskResult result = safe.run("error(('x'):rep(4 << 20), 0)");
  CHECK_FALSE(result.ok);
  CHECK(result.message.size() <= 8u << 10);
  safe.check_works();
}

TEST_CASE("memory: recursion without end is an error that can be caught") {
  Safe safe;
  safe.check_passes(R"(
    local function deeper() return 1 + deeper() end
    local ok, message = pcall(deeper)
    assert(not ok and message:find('stack overflow') or message:find('not enough memory'), message)
  )");
}

TEST_CASE("memory: text that nests without end is refused by the compiler") {
  Safe safe;
  safe.check_passes("assert(not load('return ' .. ('('):rep(60000)))");
}

// ---- Time ----

TEST_CASE("time: a loop without end is stopped with its line") {
  Safe safe;
  const TaskResult result = safe.run("\nwhile true do end");
  CHECK(result.message == "film.lua:2: the script used up its 3000000 instructions");
  safe.check_works();
}

TEST_CASE("time: the wall limit alone stops a loop") {
  Safe safe({.wall_ms = 100});
  safe.check_ended("while true do end", "longer than 0.1 seconds");
}

TEST_CASE("time: a loop that catches every error is stopped") {
  Safe safe;
  safe.check_ended("while true do pcall(function() while true do end end) end");
}

TEST_CASE("time: nested catches do not multiply the limit") {
  Safe safe({.memory_bytes = 16u << 20, .wall_ms = 500});
  safe.check_ended(R"(
    local function again(n)
      while true do pcall(again, n + 1) end
    end
    again(1)
  )");
}

TEST_CASE("time: a coroutine that was made long before is stopped") {
  Safe safe;
  safe.check_passes("old = coroutine.create(function() while true do end end)");
  safe.check_ended("coroutine.resume(old) while true do end");
}

TEST_CASE("time: coroutine.resume does not catch the end") {
  Safe safe;
  safe.check_ended(R"(
    while true do coroutine.resume(coroutine.create(function() while true do end end)) end
  )");
}

TEST_CASE("time: coroutine.wrap in pcall does not catch the end") {
  Safe safe;
  safe.check_ended(R"(
    while true do pcall(coroutine.wrap(function() while true do end end)) end
  )");
}

TEST_CASE("time: a message handler does not outlive the end") {
  Safe safe;
  safe.check_ended(R"(
    xpcall(function() while true do end end, function() while true do end end)
  )");
}

TEST_CASE("time: a message handler is counted") {
  Safe safe;
  safe.check_ended("xpcall(error, function() while true do end end)");
}

TEST_CASE("time: a message handler that fails is no way on") {
  Safe safe;
  safe.check_passes(R"(
    local ok, message = xpcall(error, function() error('again', 0) end, 'first')
    assert(not ok and message == 'again', message)
  )");
}

TEST_CASE("time: xpcall still hands message and traceback to its handler") {
  Safe safe;
  safe.check_passes(R"(
    local ok, text = xpcall(function() local x = nil; return x.y end, debug.traceback)
    assert(not ok and text:find('film.lua:2') and text:find('stack traceback'), text)
    assert(select('#', xpcall(function(...) return ... end, print, 1, nil, nil)) == 4)
    local ok, a, b = xpcall(error, function(m) return m, 'b' end, 'a')
    assert(not ok and a == 'a' and b == 'b')
  )");
}

TEST_CASE("time: waiting inside pcall and xpcall still works") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    assert(pcall(kling.sleep, 0.01))
    assert(xpcall(kling.sleep, print, 0.01))
    local ok, m = xpcall(function() kling.sleep(0.01) error('late', 0) end, function(m) return m end)
    assert(not ok and m == 'late')
  )");
}

TEST_CASE("time: waits do not count as running") {
  Safe safe({.wall_ms = 50});
  safe.check_passes("require('kling').sleep(0.2)");
}

TEST_CASE("time: a __gc cannot be set, not even as false") {
  Safe safe;
  safe.check_passes(R"(
    assert(not pcall(setmetatable, {}, { __gc = function() while true do end end }))
    assert(not pcall(setmetatable, {}, { __gc = false }))
    local mt = {}
    local t = setmetatable({}, mt)
    mt.__gc = function() ran = true end
    t = nil
    local junk = {}
    for i = 1, 10000 do junk[i % 10] = { i } end
    assert(not ran)
  )");
}

TEST_CASE("time: a __gc that is set later and then once more is refused") {
  Safe safe;
  safe.check_passes(R"(
    local mt = {}
    local t = setmetatable({}, mt)
    mt.__gc = print
    assert(not pcall(setmetatable, t, mt))
  )");
}

TEST_CASE("time: __close of a stopped function does not run on") {
  Safe safe;
  safe.check_ended(R"(
    local _ <close> = setmetatable({}, { __close = function() while true do end end })
    while true do end
  )");
}

TEST_CASE("time: __close of a stopped coroutine does not run without hooks") {
  Safe safe;
  safe.check_ended(R"(
    local co = coroutine.wrap(function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      while true do end
    end)
    pcall(co)
  )");
}

TEST_CASE("time: a coroutine that was stopped cannot be closed into a free run later") {
  Safe safe;
  safe.check_ended(R"(
    co = coroutine.create(function()
      local _ <close> = setmetatable({}, { __close = function() while true do end end })
      while true do end
    end)
    coroutine.resume(co)
  )");
  refill(safe.state);
  safe.check_passes("coroutine.close(co)");
}

TEST_CASE("time: many pending __close end with the script") {
  Safe safe;
  safe.check_ended(R"(
    local mt = { __close = function() while true do end end }
    local function deeper(n)
      local _ <close> = setmetatable({}, mt)
      if n > 0 then deeper(n - 1) end
      while true do end
    end
    deeper(100)
  )");
}

TEST_CASE("time: a deep chain of coroutine.close is an error instead of a crash") {
  Safe safe({.memory_bytes = 64u << 20, .wall_ms = 60'000});
  safe.check_passes(R"(
    local previous
    for i = 1, 20000 do
      local inner = previous
      local co = coroutine.create(function()
        local _ <close> = setmetatable({}, { __close = function()
          if inner then coroutine.close(inner) end
        end })
        coroutine.yield()
      end)
      coroutine.resume(co)
      previous = co
    end
    coroutine.close(previous)
  )");
}

TEST_CASE("time: a deep chain of wraps that fail while they are closed is no crash") {
  Safe safe({.memory_bytes = 64u << 20, .wall_ms = 60'000});
  safe.check_passes(R"(
    local previous
    for i = 1, 20000 do
      local inner = previous
      previous = coroutine.wrap(function()
        local _ <close> = setmetatable({}, { __close = function() if inner then inner() end end })
        error('x')
      end)
    end
    pcall(previous)
  )");
}

TEST_CASE("time: __call in a circle is refused") {
  Safe safe;
  safe.check_passes(R"(
    local a, b = {}, {}
    assert(not pcall(setmetatable, a, { __call = b }))
    local mt = {}
    setmetatable(a, mt)
    mt.__call = a
    assert(not pcall(a))
    assert(not pcall(setmetatable, a, mt))
    local callable = setmetatable({}, { __call = function(_, x) return x end })
    assert(callable(5) == 5)
  )");
}

TEST_CASE("time: __index in a circle is an error") {
  Safe safe;
  safe.check_passes(R"(
    local a, b = {}, {}
    setmetatable(a, { __index = b })
    setmetatable(b, { __index = a })
    assert(not pcall(function() return a.x end))
  )");
}

TEST_CASE("time: a weak metatable is no crash under a full memory") {
  Safe safe({.memory_bytes = 4u << 20, .wall_ms = 500});
  safe.run(R"(
    for i = 1, 200 do
      pcall(function()
        local mt = setmetatable({}, { __mode = 'kv' })
        mt.__newindex = function(t, k, v) rawset(t, k, v) end
        mt.__index = setmetatable({}, setmetatable({}, { __mode = 'v' }))
        local t = setmetatable({}, mt)
        for j = 1, 1e6 do t[j] = ('x'):rep(j) end
      end)
    end
  )");
  safe.check_works();
}

TEST_CASE("time: exponential patterns use up the instructions") {
  Safe safe;
  safe.check_ended("return (('a'):rep(300)):find(('.-'):rep(6) .. 'b')");
}

TEST_CASE("time: exponential patterns of few characters use up the wall time") {
  Safe safe({.wall_ms = 200});
  safe.check_ended("return (('a'):rep(32)):find(('a*'):rep(48) .. 'b')");
}

TEST_CASE("time: exponential patterns in pcall and gsub and gmatch and match are stopped") {
  for (const char* attack : {"while true do pcall(string.match, s, p) end", "s:gsub(p, '')",
                             "for _ in s:gmatch(p) do end", "s:match(p)"}) {
    Safe safe;
    safe.check_ended("local s, p = ('a'):rep(300), ('.-'):rep(6) .. 'b'; " + std::string(attack));
  }
}

TEST_CASE("time: balanced matches that never end are counted") {
  Safe safe;
  safe.check_ended("return (('('):rep(1 << 20)):find('%b()')");
}

TEST_CASE("time: long sets are counted") {
  Safe safe;
  safe.check_ended("return (('a'):rep(1 << 16)):find('[' .. ('b'):rep(1 << 16) .. ']')");
}

TEST_CASE("time: a plain search takes linear time") {
  Safe safe({.memory_bytes = 32u << 20, .wall_ms = 60'000});
  safe.check_passes(R"(
    local s = ('a'):rep(4 << 20)
    assert(not s:find(('a'):rep(1 << 20) .. 'b', 1, true))
    assert(not s:find(('a'):rep(1 << 20) .. 'b'))
  )");
}

TEST_CASE("time: string.rep of nothing a billion times takes no time") {
  Safe safe;
  safe.check_passes("assert((''):rep(1e9) == '' and (''):rep(1 << 62, '') == '')");
}

TEST_CASE("time: table functions refuse false lengths") {
  Safe safe;
  safe.check_passes(R"(
    local long = setmetatable({}, { __len = function() return 1 << 60 end, __index = type })
    for name, call in pairs {
      move = function() table.move(long, 1, 1 << 60, 2, {}) end,
      concat = function() table.concat(long, '') end,
      ranged = function() table.concat({}, '', 1 - (1 << 62), 1 << 62) end,
      insert = function() table.insert(long, 1, 0) end,
      remove = function() table.remove(long, 1) end,
      unpack = function() table.unpack(long) end,
      unpack_range = function() table.unpack({}, math.mininteger, math.maxinteger) end,
      sort = function() table.sort(long) end,
    } do
      local ok, message = pcall(call)
      assert(not ok and message:find('too many'), name .. ': ' .. tostring(message))
    end
  )");
}

TEST_CASE("time: table functions in a loop are counted by their elements") {
  for (const char* attack : {"table.move(t, 1, #t, 2)", "table.insert(t, 1, 0) table.remove(t, 1)",
                             "table.concat(t)", "pcall(table.unpack, t)", "table.sort(t)"}) {
    Safe safe({.instructions = 3'000'000});
    safe.check_ended("local t = {} for i = 1, 1e5 do t[i] = i end while true do " +
                     std::string(attack) + " end");
  }
}

TEST_CASE("time: a sort that never agrees with itself ends") {
  Safe safe;
  safe.check_ended(R"(
    local t = {}
    for i = 1, 1e5 do t[i] = i end
    while true do pcall(table.sort, t, function() return true end) end
  )");
}

TEST_CASE("time: load from an iterator that never ends is stopped") {
  Safe safe;
  safe.check_ended("load(coroutine.wrap(function() while true do coroutine.yield(' ') end end))",
                   "the ");
  for (const char* reader : {"os.time", "math.random", "os.clock", "print"}) {
    Safe other;
    other.check_passes("pcall(load, " + std::string(reader) + ")");
  }
}

TEST_CASE("time: comparing long strings of zero bytes is stopped") {
  Safe safe({.memory_bytes = 64u << 20, .wall_ms = 200});
  safe.check_ended(R"(
    local a = ('\0'):rep(16 << 20)
    local b = a .. 'x'
    while true do local _ = a < b end
  )");
}

TEST_CASE("time: joining long strings is stopped") {
  Safe safe({.memory_bytes = 64u << 20, .wall_ms = 200});
  safe.check_ended("local a = ('x'):rep(16 << 20) while true do local _ = a .. 'y' end");
}

TEST_CASE("time: collectgarbage does not work for scripts") {
  Safe safe;
  safe.check_passes(R"(
    for i = 1, 1000 do collectgarbage() collectgarbage('step') end
    assert(collectgarbage('stop') == 0 and collectgarbage('count') > 1)
  )");
}

TEST_CASE("time: __tostring and __name and __index run under the limits in print and errors") {
  Safe safe;
  safe.check_ended(R"(
    error(setmetatable({}, { __tostring = function() while true do end end }))
  )");
}

TEST_CASE("time: a goto loop and a numeric loop without body are stopped") {
  for (const char* attack : {"::again:: goto again", "for i = 1, math.huge do end",
                             "for i = 1, math.maxinteger do end", "repeat until false"}) {
    Safe safe;
    safe.check_ended(attack);
  }
}

TEST_CASE("time: tasks that spawn tasks share one limit") {
  Safe safe;
  safe.check_ended(R"(
    local kling = require 'kling'
    local function again() kling.spawn(again) while true do end end
    again()
  )");
}

TEST_CASE("time: a task that is stopped takes those along that wait") {
  Safe safe;
  safe.check_ended(R"(
    local kling = require 'kling'
    kling.spawn(function() while true do end end)
    kling.sleep(1000)
  )");
}

TEST_CASE("time: refill lets a host give each tick its own allowance") {
  Safe safe({.instructions = 50'000});
  const TaskResult first = safe.run("for i = 1, 1e4 do end n = (n or 0) + 1");
  CHECK(first.ok);
  for (int i = 0; i < 20; ++i) {
    refill(safe.state);
    CHECK(safe.run("for i = 1, 1e4 do end n = (n or 0) + 1").ok);
  }
  refill(safe.state);
  CHECK(safe.ask("return n") == "21");
}

// ---- Code and libraries ----

TEST_CASE("code: binary chunks are refused whatever the mode says") {
  Safe safe;
  safe.check_passes(R"(
    for _, mode in ipairs { 'b', 'bt', 't' } do
      local f, message = load('\27Lua\x54\0', 'x', mode)
      assert(not f and message:find('binary'), message)
      local f = load(coroutine.wrap(function() coroutine.yield('\27Lua') end), 'x', mode)
      assert(not f)
    end
  )");
}

TEST_CASE("code: there is no string.dump") {
  Safe safe;
  safe.check_passes("assert(string.dump == nil and (''):rep(0).dump == nil)");
}

TEST_CASE("code: load keeps its environment and gives no other") {
  Safe safe;
  safe.check_passes(R"(
    assert(load('return _G')() == _G)
    assert(load('x = 1; return x', 'x', 't', {})() == 1 and x == nil)
    assert(load('return _ENV', 'x', 't', nil)() == nil)
    assert(load(function() end)() == nil)
  )");
}

TEST_CASE("code: only what is named here is global") {
  Safe safe;
  CHECK(safe.ask(R"(
    local names = {}
    for name in pairs(_G) do names[#names + 1] = name end
    table.sort(names)
    return table.concat(names, ' ')
  )") == "_G _VERSION assert collectgarbage coroutine debug error getmetatable ipairs load math "
         "next os package pairs pcall print rawequal rawget rawlen rawset require select "
         "setmetatable string table tonumber tostring type utf8 xpcall");
}

TEST_CASE("code: there is no io and os only tells the time") {
  Safe safe;
  safe.check_passes(R"(
    assert(io == nil and dofile == nil and loadfile == nil and package.loadlib == nil)
    local names = {}
    for name in pairs(os) do names[#names + 1] = name end
    table.sort(names)
    assert(table.concat(names, ' ') == 'clock date difftime time')
    assert(not pcall(require, 'io') and not pcall(require, 'debug.getregistry'))
  )");
}

TEST_CASE("code: debug has a traceback and nothing else") {
  Safe safe;
  safe.check_passes(R"(
    for name in pairs(debug) do assert(name == 'traceback', name) end
    assert(debug.getupvalue == nil and debug.getregistry == nil and debug.sethook == nil)
    assert(debug.traceback('m', 1):find('film.lua:4'))
    assert(debug.traceback({}) ~= nil and #debug.traceback('x', math.mininteger) < 10000)
  )");
}

TEST_CASE("code: the metatable of strings is out of reach") {
  Safe safe;
  safe.check_passes(R"(
    assert(getmetatable('') == false)
    assert(not pcall(setmetatable, '', {}))
    assert(not pcall(function() local s = ''; s.rep = print end))
  )");
}

TEST_CASE("code: library tables and the module are read-only") {
  Safe safe;
  safe.check_passes(R"(
    for _, lib in ipairs { string, table, math, os, utf8, coroutine, debug, require 'kling',
                           package.loaded.string, package.searchers, package } do
      assert(not pcall(function() lib.x = 1 end))
      assert(not pcall(rawset, lib, 'x', 1))
      assert(not pcall(setmetatable, lib, {}))
      assert(getmetatable(lib) == false)
      assert(not pcall(table.insert, lib, 1))
      local _, shown = pairs(lib)
      assert(shown == lib)
    end
    assert(require 'kling' == package.loaded.kling)
  )");
}

TEST_CASE("code: what scripts do to package.loaded is theirs alone") {
  Safe safe;
  safe.run("package.loaded.kling = { fake = true } package.loaded.string = nil _G.pcall = nil");
  CHECK(safe.ask("return package.loaded.kling.fake") == "true");
  CHECK(safe.run("package.loaded.kling = nil").ok);
  lua_getglobal(safe.state, "pcall");
  CHECK(lua_isnil(safe.state, -1));
  lua_pop(safe.state, 1);
  CHECK(safe.ask("return ('x'):rep(3)") == "xxx");
}

TEST_CASE("code: metatables work as ever for what they are used for") {
  Safe safe;
  safe.check_passes(R"(
    local Class = {}
    Class.__index = Class
    local object = setmetatable({}, Class)
    function Class.name() return 'n' end
    assert(object.name() == 'n' and getmetatable(object) == Class)
    local sum = setmetatable({}, { __add = function() return 5 end, __len = function() return 7 end,
                                   __tostring = function() return 'sum' end })
    assert(sum + 1 == 5 and #sum == 7 and tostring(sum) == 'sum')
    assert(not pcall(setmetatable, setmetatable({}, { __metatable = 'm' }), {}))
    assert(setmetatable(object, nil) == object and getmetatable(object) == nil)
    local cache = setmetatable({}, { __mode = 'k' })
    cache[{}] = 1
    do
      local closed
      do local _ <close> = setmetatable({}, { __close = function() closed = true end }) end
      assert(closed)
    end
  )");
}

TEST_CASE("code: a changed metatable counts once it is set again") {
  Safe safe;
  safe.check_passes(R"(
    local mt = {}
    local a = setmetatable({}, mt)
    mt.__len = function() return 9 end
    local b = setmetatable({}, mt)
    assert(#a == 9 and #b == 9 and getmetatable(a) == mt)
    assert(getmetatable(a).__len == mt.__len)
  )");
}

TEST_CASE("code: the values of the module show no metatable") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    for _, value in ipairs { kling.null, kling.bytes('x'), kling.spawn(print) } do
      assert(type(getmetatable(value)) == 'string')
      assert(not pcall(setmetatable, value, {}))
      for _, name in ipairs { '__gc', '__index' } do
        local reached, got = pcall(function() return value[name] end)
        assert(not reached or got == nil or value == kling.null)
      end
    end
  )");
}

TEST_CASE("code: coroutine.running and yield give no way to the scheduler") {
  Safe safe;
  safe.check_passes(R"(
    local main = coroutine.running()
    assert(not coroutine.resume(main))
    assert(not pcall(coroutine.close, main))
    coroutine.yield(1, 2, 3)
  )");
}

// ---- Key and options ----

TEST_CASE("key: no option that leads it elsewhere can be set") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    for name, value in pairs { key = 'k', base_url = 'http://127.0.0.1:9', ledger = '/tmp/l',
                               store = '/tmp', insecure = true, price_factor = 0.01,
                               ca_file = '/tmp/ca.pem', proxy = 'http://127.0.0.1:9',
                               user_agent = 'me' } do
      local ok, message = pcall(kling.configure, { [name] = value })
      assert(not ok and tostring(message):find('for the host'), name)
      local ok, message = pcall(kling.client, { [name] = value })
      assert(not ok and tostring(message):find('for the host'), name)
    end
    assert(pcall(kling.configure, { strict = true }))
  )");
}

TEST_CASE("key: a budget of the host can be lowered and not raised") {
  Safe safe;
  safe.check_passes("require('kling').configure { budget = false }");
  safe.check_passes("require('kling').configure { budget = 1000 }");
  safe.check_passes(R"(
    local kling = require 'kling'
    assert(kling.text2video { prompt = 'x' }.state)
  )");
  REQUIRE_FALSE(safe.runtime->engines().empty());
  CHECK(safe.runtime->engines()[0]->options.limits.budget_usd == 1);
}

TEST_CASE("key: it shows in nothing that a script can print") {
  Safe safe;
  const std::string shown = safe.ask(R"(
    local kling, seen, out = require 'kling', {}, {}
    local function show(value)
      out[#out + 1] = tostring(value)
      if type(value) ~= 'table' or seen[value] then return end
      seen[value] = true
      for k, v in pairs(value) do show(k) show(v) end
    end
    show(_G) show(kling) show(package)
    for _, call in ipairs { kling.configure, kling.client, kling.query, kling.request } do
      show(select(2, pcall(call, { key = 1 })))
      show(select(2, pcall(call, 'POST', '/x\r\nX: y', {})))
    end
    local ok, e = pcall(kling.request, 'GET', '/kling/v1/x')
    show(e) show(e.message) show(e.hint) show(e.traceback)
    return table.concat(out, '\n')
  )");
  CHECK(shown.find("table: ") != std::string::npos);
  CHECK(shown.find("sk-secret") == std::string::npos);
}

TEST_CASE("key: clients without end are refused") {
  Safe safe;
  safe.check_passes(R"(
    local kling = require 'kling'
    assert(not pcall(function() for i = 1, 100 do kling.client {} end end))
  )");
}

// ---- Modules ----

TEST_CASE("modules: a text file below the root is found and may wait") {
  Safe safe;
  safe.write("tool.lua", "require('kling').sleep(0.01) return { answer = 42, name = ... }");
  CHECK(safe.ask("return require('tool').answer .. require('tool').name") == "42tool");
}

TEST_CASE("modules: names cannot lead out of the root") {
  Safe safe;
  std::ofstream(safe.folder.path() + "-outside.lua") << "return 'out'";
  std::filesystem::create_symlink(safe.folder.path() + "-outside.lua", safe.folder / "link.lua");
  const std::string name = std::filesystem::path(safe.folder.path()).filename().string();
  safe.check_passes("for _, name in ipairs { '../" + name + "-outside', '..." + name +
                    "-outside', '" + safe.folder.path() +
                    "-outside', 'link', '/etc/passwd', "
                    "'a\\0b' } do assert(not pcall(require, name), name) end");
  std::filesystem::remove(safe.folder.path() + "-outside.lua");
}

TEST_CASE("modules: a shared library or binary chunk is not loaded") {
  Safe safe;
  safe.write("evil.so", "\177ELF");
  safe.write("chunk.lua", std::string("\33Lua\x54\0", 6));
  safe.check_passes("assert(not pcall(require, 'evil') and not pcall(require, 'chunk'))");
}

TEST_CASE("modules: a huge module is refused") {
  Safe safe;
  safe.write("huge.lua", "return '" + std::string(1 << 20, 'x') + "'");
  safe.check_passes("assert(not pcall(require, 'huge'))");
}

}  // namespace
}  // namespace kling::lua
