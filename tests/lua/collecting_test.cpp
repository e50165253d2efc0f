// Nothing that is in use is ever freed, whenever the collector runs: in __close, __gc and
// __tostring functions of the script, and at allocations that a seed draws. Most of what would go
// wrong here shows under the address sanitizer only.
#include <algorithm>
#include <cstdlib>

#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

namespace {

constexpr int kRounds = 150;
constexpr int kPiece = 500;

/// What the bodies use: collect() collects, dropped(f) has f run when it is collected (in the safe
/// profile never), `closing(f)` when its scope ends, `told(f)` when it is turned into a text.
constexpr const char* kPrelude = R"lua(
  function dropped(f) return pcall(setmetatable, {}, { __gc = f }) and setmetatable({}, { __gc = f }) end
  function closing(f) return setmetatable({}, { __close = f }) end
  function told(f) return setmetatable({}, { __tostring = f }) end
  function forever() kling.sleep(20) end
  function litter() local t = {} for i = 1, 30 do t[i] = { i, tostring(i) } end collect() end
)lua";

/// Each is the body of a loop whose variable is i; an error ends neither loop nor test.
constexpr const char* kBodies[] = {
    "kling.timeout(0, forever)",
    "kling.timeout(0, function(what) kling.sleep(20) return what end, { i })",
    "kling.timeout(0, function() local c <close> = closing(collect) forever() end)",
    "kling.timeout(0, function() local c <close> = closing(litter) forever() end)",
    "kling.any { function() return i end, forever }",
    "kling.any { function() return i end, function() local c <close> = closing(litter) forever() "
    "end }",
    "kling.any { function() error(told(function() litter() return 'told' end)) end }",
    "kling.all { function() error({ i }) end, function() local c <close> = closing(litter) "
    "forever() end }",
    "kling.all { function() kling.sleep(0) error('x') end, function() pcall(forever) error('y') "
    "end }",
    "kling.map({ 1, 2, 3, 4 }, function(n) litter() if n == 3 then error(told(litter)) end return "
    "n end)",
    "kling.map({ 1, 2, 3 }, function() local c <close> = closing(litter) forever() end, { limit = "
    "2, i })",
    // Tasks that nobody holds when they end, in each way.
    "kling.spawn(function() error(told(function() collect() error('no') end)) end) kling.sleep(0)",
    "local h = {} h[1] = kling.spawn(function() h[1] = nil litter() error('x') end) kling.sleep(0)",
    "local h = {} h[1] = kling.spawn(function() h[1] = nil collect() error(told(litter)) end) "
    "kling.sleep(0)",
    "local h = {} h[1] = kling.spawn(function() h[1] = nil return litter() end) kling.sleep(0) "
    "collect()",
    "local h = {} h[1] = kling.spawn(function() local c <close> = closing(function() h[1] = nil "
    "litter() "
    "error('again') end) error('first') end) kling.sleep(0)",
    "local h = {} h[1] = kling.spawn(function() local c <close> = closing(function() h[1]:cancel() "
    "h[1] = nil "
    "litter() end) forever() end) kling.sleep(0) h[1]:cancel() kling.sleep(0)",
    "local t = kling.spawn(function() return litter() end) t:cancel() t = nil collect() "
    "kling.sleep(0)",
    "local t = kling.spawn(function() error(told(litter)) end) pcall(t.wait, t) collect() "
    "pcall(t.wait, t)",
    "local t = kling.spawn(forever) local w = kling.spawn(function() t:wait() end) t:cancel() t = "
    "nil litter() w:wait()",
    // Where waiting, spawning and cancelling are called from what runs while a task ends.
    "kling.spawn(function() error(told(function() kling.sleep(5) return 'slept' end)) end) "
    "kling.sleep(0)",
    "kling.spawn(function() error(told(function() coroutine.yield() end)) end) kling.sleep(0)",
    "kling.spawn(function() error(told(function() kling.any { forever, forever } end)) end) "
    "kling.sleep(0)",
    "kling.spawn(function() error(told(function() kling.spawn(litter) return 'x' end)) end) "
    "kling.sleep(0)",
    "kling.timeout(0, function() local c <close> = closing(function() kling.any { forever, litter "
    "} end) forever() end)",
    "kling.timeout(0, function() local c <close> = closing(function() kling.spawn(litter) "
    "collect() end) forever() end)",
    "kling.timeout(0, function() local c <close> = closing(function() pcall(kling.all, { litter, "
    "forever }) collect() "
    "end) forever() end)",
    "kling.timeout(0, function() local c <close> = closing(function() kling.timeout(0, litter) "
    "end) error('x') end)",
    "local c <close> = closing(function() kling.timeout(0, forever) end) litter()",
    "local c <close> = closing(function() kling.any { litter, forever } end) error('x')",
    // Finalizers that call everything.
    "dropped(function() kling.sleep(1) end) litter() kling.sleep(0)",
    "dropped(function() kling.spawn(forever) end) litter()",
    "local t = kling.spawn(forever) dropped(function() t:cancel() end) litter() kling.sleep(0)",
    "local t = kling.spawn(function() litter() error('x') end) dropped(function() t:wait() end) "
    "pcall(t.wait, t) litter()",
    "dropped(function() pcall(kling.any, { litter }) kling.log(told(litter)) end) litter()",
    "local j = JOB dropped(function() tostring(j) j:wait { timeout = 0 } end) litter()",
    "kling.timeout(0, function() dropped(function() pcall(forever) end) litter() forever() end)",
    "kling.any { function() dropped(litter) litter() end, function() local d = dropped(litter) "
    "forever() end }",
    // Within coroutines.
    "coroutine.wrap(function() kling.any { litter, forever } end)()",
    "coroutine.wrap(function() local c <close> = closing(litter) kling.timeout(0, forever) end)()",
    "kling.timeout(0, coroutine.wrap(function() local c <close> = closing(litter) forever() end))",
    "local co = coroutine.create(function() local c <close> = closing(litter) kling.any { forever, "
    "forever } end) "
    "local t = kling.spawn(coroutine.resume, co) kling.sleep(0) coroutine.close(co) t:cancel() "
    "litter()",
    "local co = coroutine.wrap(function() for n = 1, 9 do coroutine.yield(n) litter() end end) "
    "co() co() co = nil litter()",
    "kling.timeout(0, function() coroutine.wrap(function() coroutine.wrap(function() local c "
    "<close> = closing(litter) "
    "forever() end)() end)() end)",
    "local co = coroutine.create(error) for _ = 1, 9 do coroutine.resume(co, told(litter)) end "
    "coroutine.close(co)",
    // Jobs and what they make.
    "kling.timeout(0, function() local c <close> = closing(litter) JOB:wait() end)",
    "JOB:wait { timeout = 0 }",
    "kling.any { JOB, function() litter() return 1 end, function() JOB:wait() end }",
    "kling.all { function() FAILED:wait() end, function() local c <close> = closing(litter) "
    "JOB:wait() end }",
    "local c = DONE:wait() local f = c:last_frame() c = nil litter() tostring(f) f:save('a.png') "
    "litter()",
    "kling.concat({ DONE:wait(), kling.still('a.png'), 'b.mp4' }, 'c.mp4') litter()",
    "kling.request('POST', '/x', { list = { told(litter) } })",
    "kling.text2video { promt = ('x'):rep(100), extra = { i } }",
    "JOB:wait { timeout = 0, on_progress = function() litter() end }",
    "JOB:wait { timeout = 2, on_progress = function() litter() error(told(litter)) end }",
    "local e = select(2, pcall(kling.text2video, {})) litter() kling.spawn(error, e):wait()",
    "kling.log(told(function() litter() return 'x' end), told(litter))",
    // Many values, and many tasks.
    "local t = {} for n = 1, 300 do t[n] = n end assert(select('#', kling.spawn(function(...) "
    "litter() return ... end, "
    "table.unpack(t)):wait()) == 300)",
    "local t = {} for n = 1, 40 do t[n] = kling.spawn(function() if n % 3 == 0 then "
    "error(told(litter)) end kling.sleep(n % 4) "
    "end) end t = nil litter() kling.sleep(2)",
    "local t = {} for n = 1, 20 do t[n] = function() if n == 7 then return n end forever() end end "
    "kling.any(t)",
};

struct Profile {
  const char* name;
  bool own;
  std::optional<Limits> limits;
};
const Profile kProfiles[] = {
    {"full", true, {}},
    {"stock Lua", false, {}},
    {"safe", true, Limits{.memory_bytes = 256u << 20}},
};

int collect(lua_State* L) {
  lua_gc(L, LUA_GCCOLLECT);
  return 0;
}

void prepare(Lua& lua, std::uint32_t seed) {
  lua_pushcfunction(lua.state, collect);
  lua_setglobal(lua.state, "collect");
  CHECK_RUNS(lua.task(kPrelude));
  CHECK_RUNS(lua.task(R"lua(
    JOB = kling.text2video { prompt = "open" }
    FAILED = kling.text2video { prompt = "failed" }
    DONE = kling.text2video { prompt = "done" }
  )lua"));
  lua.engine->fail(*lua.engine->made[1], "the generation failed");
  lua.engine->succeed(*lua.engine->made[2]);
  lua.collecting.begin(lua.state, seed);
}

int rounds() {
  const char* given = std::getenv("KLING_ROUNDS");
  return given != nullptr ? std::atoi(given) : kRounds;
}

std::string loop(const char* body, int times) {
  return "for i = 1, " + std::to_string(times) + " do pcall(function() " + body + " end) end";
}

}  // namespace

TEST_CASE("nothing in use is freed wherever the collector runs") {
  for (const Profile& profile : kProfiles) {
    std::size_t collections = 0;
    for (const char* body : kBodies) {
      INFO(std::string(profile.name) << ": " << body);
      // In pieces: a fixture lets time pass so many times only, and what one keeps, each collection
      // visits.
      for (int left = rounds(); left > 0; left -= kPiece) {
        Lua lua(profile.own, nullptr, nullptr, profile.limits);
        prepare(lua, static_cast<std::uint32_t>(7 + left));
        CHECK_RUNS(lua.task(loop(body, std::min(left, kPiece))));
        lua.runtime->cancel_all();
        lua.settle();
        lua.runtime->take_unobserved();
        lua_gc(lua.state, LUA_GCCOLLECT);
        lua.runtime->run(0);
        CHECK(lua.runtime->unfinished() == 0);
        collections += static_cast<std::size_t>(lua.collecting.collections());
      }
    }
    MESSAGE(std::string(profile.name) << ": collections that were drawn: " << collections);
  }
}

TEST_CASE("nothing in use is freed where the main chunk itself waits") {
  Lua lua(false);
  prepare(lua, 11);
  for (const char* body : kBodies) {
    INFO(std::string(body));
    CHECK(lua.direct(loop(body, rounds())) == "");
    lua.runtime->cancel_all();
    lua.settle();
    lua.runtime->take_unobserved();
  }
}

TEST_CASE("a state is closed while everything waits and collects") {
  for (const Profile& profile : kProfiles) {
    for (std::uint32_t seed = 1; seed <= 20; ++seed) {
      Lua lua(profile.own, nullptr, nullptr, profile.limits);
      prepare(lua, seed);
      for (const char* body : kBodies) lua.start(loop(body, 2));
      for (std::uint32_t turn = 0; turn < seed % 7; ++turn) lua.runtime->run(0);
    }
  }
}
