// Every failing path must leave no C++ object behind, on the C and on the C++ build of Lua: the
// test program counts what operator new gave and nobody returned.
#include <cstdlib>
#include <new>

#include <malloc.h>

#include "counted.h"
#include "lua_fixture.h"

namespace kling::lua {
std::atomic<long> live_blocks{0}, live_bytes{0}, news{0};
}
using namespace kling;
using namespace kling::lua;

void* operator new(std::size_t size) {
  void* block = std::malloc(size);
  if (block == nullptr) throw std::bad_alloc();
  ++live_blocks;
  ++news;
  live_bytes += static_cast<long>(malloc_usable_size(block));
  return block;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return operator new(size); }
void operator delete(void* block) noexcept {
  if (block == nullptr) return;
  --live_blocks;
  live_bytes -= static_cast<long>(malloc_usable_size(block));
  std::free(block);
}
void operator delete(void* block, std::size_t) noexcept { operator delete(block); }

namespace {

/// Fails, each in another place; LONG makes strings that need the heap.
constexpr const char* kFailures[] = {
    "kling.text2video()",
    "kling.text2video(7)",
    "kling.text2video {}",
    "kling.text2video { promt = LONG }",
    "kling.text2video { prompt = LONG, model_name = LONG }",
    "kling.text2video { prompt = LONG, extra = LONG }",
    "kling.text2video { prompt = LONG, take = {} }",
    "kling.text2video { prompt = LONG, a = { b = { c = print } } }",
    "kling.image2video { image = kling.bytes(LONG), prompt = LONG, strict = true, nothing = LONG }",
    "kling.omni { prompt = LONG, image_list = { kling.image(LONG), LONG, function() end } }",
    "local t = { [LONG] = LONG } t.t = t kling.request('POST', LONG, t)",
    "kling.request('POST', LONG, { LONG, x = LONG })",
    "kling.request('POST', LONG, { LONG .. '\\xff' })",
    "kling.request('POST')",
    "kling.query()",
    "kling.query({})",
    "kling.query({ external_id = {} })",
    "kling.job()",
    "kling.job(LONG)",
    "kling.configure { base_url = LONG, ledgr = LONG }",
    "kling.configure { key = LONG, store = 7 }",
    "kling.configure { key = LONG }",
    "kling.configure()",
    "kling.notify(LONG)",
    "kling.notify(LONG, LONG, LONG)",
    "kling.csv({})",
    "kling.json(LONG)",
    "kling.json(print)",
    "kling.json { x = LONG .. '\\xff' }",
    "kling.image()",
    "kling.bytes({})",
    "kling.still(LONG, { seconds = LONG })",
    "kling.still({})",
    "kling.concat({ LONG, LONG, 7 }, LONG)",
    "kling.concat({ LONG })",
    "kling.concat({}, LONG)",
    "kling.concat({ LONG }, LONG, { size = LONG })",
    "kling.concat({ LONG }, LONG, { audio = setmetatable({}, {}) })",
    "kling.pick(LONG, { LONG, 7 })",
    "kling.approve(LONG, {})",
    "kling.ask(LONG, { LONG, LONG })",
    "kling.timeline({ LONG }, LONG, { LONG })",
    "kling.sheet({ LONG, 7 }, { columns = 2 })",
    "kling.sheet({ LONG }, { [LONG] = LONG })",
    "kling.concat({ setmetatable({}, {}) }, LONG)",
    "kling.log(setmetatable({}, { __tostring = function() error(LONG) end }))",
    "kling.spawn(LONG)",
    "kling.sleep(LONG)",
    "kling.all(LONG)",
    "kling.all { LONG }",
    "kling.all { function() error(LONG) end, function() kling.sleep(1) end }",
    "kling.all { function() kling.text2video { promt = LONG } end }",
    "kling.all { function() error({ LONG }) end, function() pcall(kling.sleep, 1) error(LONG) end "
    "}",
    "kling.any { function() error(LONG) end, function() kling.text2video { promt = LONG } end }",
    "kling.any {}",
    "kling.map({ 1, 2 }, function() error(LONG) end)",
    "kling.map({ 1 }, LONG)",
    "kling.timeout(0.1, function() kling.sleep(1e6) end)",
    "kling.spawn(function() error(LONG) end):wait()",
    "local t = kling.spawn(function() kling.sleep(1) end) t:cancel() t:wait()",
    "JOB:wait { timeout = 0 }",
    "JOB:wait { timout = 0 }",
    "JOB:wait { timeout = LONG }",
    "JOB:wait { timeout = 0, on_progress = function() end }",
    "JOB:wait { on_progress = function() error(LONG) end }",
    "JOB.wait(LONG)",
    "JOB.handle = LONG",
    "table.sort({ 2, 1 }, function() JOB:wait() end)",
    "table.sort({ 2, 1 }, function() kling.text2video { prompt = LONG } end)",
    "('x'):gsub('x', function() kling.request('GET', LONG) end)",
    "tostring(setmetatable({}, { __tostring = function() kling.query(LONG) end }))",
    "coroutine.wrap(function() kling.text2video { promt = LONG } end)()",
    "coroutine.wrap(function() kling.sleep(0.1) error(LONG) end)()",
    "FAILED:wait()",
    "kling.all { FAILED, function() kling.sleep(1) end }",
    "CLIP:save()",
    "CLIP:save({})",
    "CLIP:frame(LONG)",
    "CLIP:frame(-1)",
    "CLIP:trim(LONG)",
    "CLIP:trim(2, 1)",
    "CLIP.mute(LONG)",
    "CLIP.last_frame(LONG)",
    "CLIP:last_frame():save()",
    "local err = select(2, pcall(kling.text2video, {})) error(err)",
    "require(LONG)",
    "kling.multi_image2video { image_list = LONG }",
    "kling.omni_video { promt = LONG }",
    "kling.client { key = LONG, ledgr = LONG }",
    "kling.client(7)",
    "kling.timeout(LONG)",
    "TASK:wait { timeout = 0 }",
    "TASK:wait { [LONG] = LONG }",
    "TASK.cancel(LONG)",
    "JOB:accepted { timeout = LONG }",
    "JOB:on_done(1)",
    "CLIP.probe(LONG)",
    "kling.request('DELETE', '/kling')",
    "kling.request('GET', '/kling', {})",
    "kling.request('GET', '/k\\0x')",
    "CLIP.bytes(LONG)",
    "IMAGE.bytes(LONG)",
    "IMAGE:save({})",
    "return IMAGE.nothing.here",
    "local wait <close> = setmetatable({}, { __close = function() JOB:wait { timeout = 0 } end })",
    "local _ <close> = setmetatable({}, { __close = function() error(LONG) end }) kling.sleep(0.1)",
    // Coroutines that wait and are collected.
    "kling.timeout(0, coroutine.wrap(function() JOB:wait() end))",
    "kling.timeout(0, function() coroutine.wrap(function() kling.all { JOB, TASK } end)() end)",
    "kling.timeout(0, kling.any, { JOB, TASK, function() kling.sleep(1e6) end })",
};

/// Uses everything as it is meant.
constexpr const char* kEveryFunction = R"lua(
  local JOB = kling.text2video { prompt = "a prompt of more than fifteen letters", take = "x" }
  pcall(kling.text2video, { promt = "wrong" })
  local CLIP = JOB:wait { timeout = 9, on_progress = function(job) tostring(job) end }
  local IMAGE = CLIP:last_frame()
  JOB:on_done(function() end)
  assert(JOB:accepted().id and JOB.handle and JOB.state and JOB.created and JOB.request.prompt)
  assert(CLIP.job.kind and CLIP.url and CLIP.duration and CLIP.videos[1] and CLIP.path)
  kling.image2video { image = CLIP:frame(1), prompt = "y" }
  kling.multi_image2video { image_list = { IMAGE, kling.bytes("\xff\xd8\xff") }, prompt = "z" }
  kling.omni { prompt = "o", video_list = { { video_url = CLIP, refer_type = "feature" } } }
  kling.omni_video { prompt = "o", duration = 5 }
  pcall(kling.all, { function() return IMAGE:save("a.png") end, function() error("trouble") end })
  assert(kling.any { function() return 1 end, JOB })
  assert(kling.csv("a.csv")[1].a == "1" and kling.json({ a = 1 }) == '{"a":1}')
  kling.map({ 1, 2 }, function(i) kling.sleep(i) end, { limit = 1 })
  pcall(kling.timeout, 0.1, kling.sleep, 9)
  for _ in coroutine.wrap(function() kling.sleep(1) coroutine.yield(1) end) do tostring(CLIP) end
  local TASK = kling.spawn(function() kling.sleep(1e6) end)
  local other <close> = setmetatable({}, { __close = function() TASK:cancel() end })
  pcall(TASK.wait, TASK, { timeout = 0 }) pcall(function() return TASK:wait { timeout = 0 } end)
  kling.query(JOB) kling.job(JOB.handle)
  kling.request("POST", "/x", { list = { 1, 2 }, length = CLIP.duration, none = kling.null })
  kling.concat({ CLIP, kling.still(kling.image("b.png"), { seconds = 2 }) }, "out.mp4"):save("c.mp4")
  CLIP:save("d.mp4") CLIP:probe() CLIP:bytes() IMAGE:bytes() CLIP:trim(1, 4) tostring(CLIP:mute())
  kling.timeline({ CLIP:trim(1), "b.png" }, "film.otio", { crossfade = 0.3 })
  tostring(kling.sheet({ CLIP, "b.png" }, { columns = 2 }).path)
  assert(kling.pick("Which of the two?", { CLIP, IMAGE }) == CLIP and kling.approve("Good?", { CLIP }))
  assert(kling.ask("By day or by night?", { "by day", "by night" }) == "by day")
  kling.configure { strict = false }
  kling.notify("/x", '{"task_id":"7"}', { ["webhook-id"] = "1" })
  kling.client { strict = false }.log("info", JOB, CLIP.videos[1].url)
  kling.log("info", JOB, TASK, IMAGE, TASK.path, TASK.done)
  local e = select(2, pcall(kling.text2video, {}))
  assert(e.kind and e.message and e.where and e.traceback and tostring(e) and e.retryable == false)
)lua";

std::string quoted(const char* body, int times) {
  return "for _ = 1, " + std::to_string(times) + " do local ok, err = pcall(function() " + body +
         " end) assert(not ok, 'it did not fail') last = tostring(err) end";
}

/// Waits that were given up are forgotten when their list would grow next: here, at once.
void forget_given_up(Lua& lua) {
  const auto given_up = [](const Watch& watch) { return watch.owner.expired(); };
  for (const auto& job : lua.engine->made) std::erase_if(job->watches, given_up);
  auto& scheduler = *lua.runtime;
  for (TaskId id = 1; id < 100'000; ++id)
    if (Task* task = scheduler.find(id)) std::erase_if(task->watches, given_up);
}

void prepare(Lua& lua) {
  CHECK_RUNS(lua.task(R"lua(
    LONG = ("long enough for the heap "):rep(5)
    JOB = kling.text2video { prompt = "open" }
    FAILED = kling.text2video { prompt = "failed" }
    DONE = kling.text2video { prompt = "done" }
  )lua"));
  lua.engine->fail(*lua.engine->made[1], "the generation failed, as the test wants it to");
  lua.engine->succeed(*lua.engine->made[2]);
  CHECK_RUNS(lua.task("CLIP = DONE:wait() IMAGE = CLIP:last_frame()"));
  CHECK_RUNS(lua.task("TASK = kling.spawn(function() JOB:wait() end)"));
}

}  // namespace

TEST_CASE("no failing path leaves a C++ object behind") {
  Lua lua;
  prepare(lua);
  for (const char* body : kFailures) {
    INFO(std::string(body));
    // What a root task leaves for its host is the same however often its script fails.
    const auto left_by = [&](int times) {
      const long before = live_blocks;
      CHECK_RUNS(lua.task(quoted(body, times)));
      lua.clock->advance(100'000);
      lua.settle();
      lua.runtime->take_unobserved();
      lua_gc(lua.state, LUA_GCCOLLECT, 0);
      lua_gc(lua.state, LUA_GCCOLLECT, 0);
      lua.runtime->run(0);  // what finalizers have marked goes between two turns
      forget_given_up(lua);
      return live_blocks - before;
    };
    left_by(20);  // containers grow to their size
    const std::size_t jobs = lua.engine->made.size();
    const long once = left_by(1);
    CHECK(std::labs(left_by(20) - once) <= 2);  // a hash table or queue may grow on the way
    CHECK(lua.engine->made.size() == jobs);
  }
}

TEST_CASE("closing a state with work in flight frees everything") {
  const auto script = R"lua(
    local jobs = {}
    for i = 1, 20 do jobs[i] = kling.text2video { prompt = "a prompt that is longer than it looks" } end
    for i = 1, 20 do kling.spawn(function() jobs[i]:wait() end) end
    kling.spawn(function() coroutine.wrap(function() kling.sleep(100) end)() end)
    setmetatable({}, { __gc = function() pcall(kling.text2video, { prompt = "late" }) tostring(jobs[1]) end })
    kling.spawn(function() kling.all { jobs[1], function() jobs[2]:wait() end } end)
    kling.client { key = "k2" }.text2video { prompt = "other" }
    pcall(function() kling.all(jobs) end)
  )lua";
  long before = 0;
  for (int i = 0; i < 4; ++i) {
    if (i == 1) before = live_blocks;
    auto lua = std::make_unique<Lua>();
    lua->start(script);
    lua->settle();
    CHECK(lua->runtime->unfinished() > 20);
    auto queue = lua->queue;
    auto job = lua->engine->made[0];
    for (Watch& watch : job->watches) queue->post(std::move(watch.tell));
    lua->close();
    queue->drain();  // completions after the end are ignored
  }
  CHECK(live_blocks.load() == before);
}

TEST_CASE("a waiting task costs at most 2000 bytes and an idle run allocates nothing in Lua") {
  Lua lua;
  CHECK_RUNS(lua.task("job = kling.text2video { prompt = 'x' }"));
  lua_gc(lua.state, LUA_GCCOLLECT, 0);
  const auto lua_bytes = [&] {
    return lua_gc(lua.state, LUA_GCCOUNT, 0) * 1024L + lua_gc(lua.state, LUA_GCCOUNTB, 0);
  };
  const long before = lua_bytes() + live_bytes;
  lua.start(
      "local job = job for i = 1, 10000 do kling.spawn(function() job:wait() end) end job:wait()");
  lua.settle();
  lua_gc(lua.state, LUA_GCCOLLECT, 0);
  lua_gc(lua.state, LUA_GCCOLLECT, 0);  // stacks shrink, and what had a finalizer goes
  const long each = (lua_bytes() + live_bytes - before) / 10000;
  MESSAGE("bytes for each waiting task: " << each);
  CHECK(each <= 2000);
  CHECK(lua.engine->watches == 10001);
  const long lua_before = lua_bytes();
  const long allocated = news;
  for (int i = 0; i < 100; ++i) lua.runtime->run(100);
  MESSAGE("allocations in 100 idle runs: " << news - allocated);
  CHECK(lua_bytes() == lua_before);
  lua.engine->succeed(*lua.engine->made[0]);
  lua.settle();
  CHECK(lua.runtime->unfinished() == 0);
}

TEST_CASE("an answered call and an ended wait hold nothing until they are collected") {
  Lua lua;
  CHECK_RUNS(lua.task("job = kling.text2video { prompt = 'x' } collectgarbage 'stop'"));
  const long before = live_blocks;
  CHECK_RUNS(lua.task("for i = 1, 100 do kling.query '7' job:accepted() end"));
  MESSAGE("blocks that are left: " << live_blocks - before);
  CHECK(live_blocks - before < 50);
}

TEST_CASE("every function and method has a case that fails and one that runs short of memory") {
  Lua lua;
  std::string failures;
  for (const char* body : kFailures) failures += std::string(body) + "\n";
  for (const std::string& name : every_function(lua.state)) {
    INFO(name);
    std::string method = name;  // also JOB.wait(something else)
    std::replace(method.begin(), method.end(), ':', '.');
    CHECK((calls(failures, name) || calls(failures, method)));
    CHECK(calls(kEveryFunction, name));
  }
}

TEST_CASE("every function takes wrong arguments of every sort and leaves nothing behind") {
  Lua lua;
  prepare(lua);
  std::string functions;
  for (std::string name : every_function(lua.state)) {
    if (name == "kling.client") continue;  // clients live as long as the state
    std::replace(name.begin(), name.end(), ':', '.');
    functions += name + ", ";
  }
  const std::string script = R"lua(
    local raise = function() error(LONG) end
    local BAD = setmetatable({}, { __index = raise, __len = raise, __pairs = raise,
      __tostring = raise, __call = raise, __name = LONG })
    local wrong = { {}, { 7 }, { 0 / 0 }, { LONG }, { {} }, { BAD }, { { BAD } }, { raise }, { JOB },
      { JOB, { timeout = 0 } }, { TASK }, { CLIP }, { CLIP, -1 }, { IMAGE, BAD }, { LONG, LONG },
      { LONG, BAD }, { { [LONG] = LONG }, LONG }, { { raise, BAD, 3 } }, { 7, raise, LONG },
      { { 1, 2 }, raise }, { kling.null }, { kling.null, 1 }, { coroutine.create(raise) } }
    for _, f in ipairs { )lua" +
                             functions + R"lua( } do
      for _, arguments in ipairs(wrong) do
        pcall(kling.timeout, 0.01, f, table.unpack(arguments))
      end
    end)lua";
  const std::size_t jobs = lua.engine->made.size();
  const auto left_by = [&] {
    const long before = live_blocks;
    CHECK_RUNS(lua.task(script));
    lua.clock->advance(100'000);
    lua.settle();
    lua.runtime->take_unobserved();
    lua.logged.clear();
    lua.engine->saved.clear();
    lua.engine->joined.clear();
    lua.engine->made.resize(jobs);  // a text alone is a prompt
    CHECK_RUNS(lua.task("TASK:cancel() TASK = kling.spawn(function() JOB:wait() end)"));
    lua_gc(lua.state, LUA_GCCOLLECT, 0);
    lua_gc(lua.state, LUA_GCCOLLECT, 0);
    lua.runtime->run(0);
    forget_given_up(lua);
    return live_blocks - before;
  };
  left_by();
  left_by();
  CHECK(left_by() <= 8);  // the results of two root tasks, and what a container grows
}

TEST_CASE("running out of Lua memory anywhere is an error and no crash") {
  Supply supply;
  Lua lua(true, Supply::allocate, &supply);
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(kEveryFunction));
  lua_gc(lua.state, LUA_GCSTOP);
  int failures = 0;
  bool enough = false;
  for (long point = 0; !enough; ++point) {
    INFO(point);
    REQUIRE(point < 20'000);
    const TaskId task = lua.start(kEveryFunction);
    supply.left = point;
    for (int i = 0; i < 100 && !lua.runtime->result(task).done; ++i) {
      lua.settle();
      lua.clock->advance(1000);
    }
    enough = supply.left > 0;
    supply.left = -1;
    REQUIRE(lua.runtime->result(task).done);
    failures += !lua.runtime->result(task).ok;
    lua.runtime->release(task);
    lua.runtime->take_unobserved();
    if (point % 50 == 0) lua_gc(lua.state, LUA_GCCOLLECT, 0);
  }
  MESSAGE("runs that failed: " << failures);
  CHECK(failures > 300);
  CHECK_RUNS(lua.task(kEveryFunction));
}
