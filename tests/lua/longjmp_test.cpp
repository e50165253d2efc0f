// Every failing path must leave no C++ object behind, on the C and on the C++ build of Lua: the
// test program counts what operator new gave and nobody returned.
#include <atomic>
#include <cstdlib>
#include <new>

#include <malloc.h>

#include "lua_fixture.h"

namespace {
std::atomic<long> live_blocks{0};
std::atomic<long> live_bytes{0};
std::atomic<long> news{0};
}  // namespace

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

using namespace kling;
using namespace kling::lua;

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
    "kling.image()",
    "kling.bytes({})",
    "kling.still(LONG, { seconds = LONG })",
    "kling.still({})",
    "kling.concat({ LONG, LONG, 7 }, LONG)",
    "kling.concat({ LONG })",
    "kling.concat({}, LONG)",
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
    "CLIP.last_frame(LONG)",
    "CLIP:last_frame():save()",
    "local err = select(2, pcall(kling.text2video, {})) error(err)",
    "require(LONG)",
};

std::string quoted(const char* body, int times) {
  return "for _ = 1, " + std::to_string(times) + " do local ok, err = pcall(function() " + body +
         " end) assert(not ok, 'it did not fail') last = tostring(err) end";
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
  CHECK_RUNS(lua.task("CLIP = DONE:wait()"));
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
      lua.engine->made[0]->watchers.clear();  // the fake's, of waits that timed out
      lua.engine->made[0]->watchers.shrink_to_fit();
      lua.clock->advance(100'000);
      lua.settle();
      lua.runtime->take_unobserved();
      lua_gc(lua.state, LUA_GCCOLLECT, 0);
      lua_gc(lua.state, LUA_GCCOLLECT, 0);
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
    for (auto& [milestone, reached] : job->watchers) queue->post(std::move(reached));
    lua->close();
    queue->drain();  // completions after the end are ignored
  }
  CHECK(live_blocks.load() == before);
}

TEST_CASE("a waiting task costs at most 2400 bytes and an idle run allocates nothing in Lua") {
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
  const long each = (lua_bytes() + live_bytes - before) / 10000;
  MESSAGE("bytes for each waiting task: " << each);
  CHECK(each <= 2400);
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

TEST_CASE("running out of Lua memory anywhere is an error and no crash") {
  struct Budget {
    long left = -1;
  };
  const auto allocate = [](void* data, void* block, std::size_t, std::size_t size) -> void* {
    auto& budget = *static_cast<Budget*>(data);
    if (size == 0) return std::free(block), nullptr;
    if (budget.left == 0) return nullptr;
    if (budget.left > 0) --budget.left;
    return std::realloc(block, size);
  };
  const auto script = R"lua(
    local job = kling.text2video { prompt = "a prompt of more than fifteen letters", take = "x" }
    pcall(kling.text2video, { promt = "wrong" })
    local clip = job:wait()
    pcall(kling.all, { function() return kling.image2video { image = clip:last_frame(), prompt = "y" } end,
                       function() error("trouble") end })
    for value in coroutine.wrap(function() kling.sleep(1) coroutine.yield(1) end) do tostring(clip) end
    kling.query(job) kling.request("POST", "/x", { list = { 1, 2 }, length = clip.duration })
    kling.concat({ clip, "b.mp4" }, "out.mp4"):probe()
    kling.log("info", job, clip.videos[1].url)
  )lua";
  Budget budget;
  Lua lua(true, allocate, &budget);
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(script));
  lua_gc(lua.state, LUA_GCSTOP);
  int failures = 0;
  for (long point = 0; point < 700; ++point) {
    INFO(point);
    const TaskId task = lua.start(script);
    budget.left = point;
    for (int i = 0; i < 60 && !lua.runtime->result(task).done; ++i) {
      lua.settle();
      lua.clock->advance(1000);
    }
    budget.left = -1;
    CHECK(lua.runtime->result(task).done);
    failures += !lua.runtime->result(task).ok;
    if (point % 50 == 0) lua_gc(lua.state, LUA_GCCOLLECT, 0);
  }
  CHECK(failures > 100);
  CHECK_RUNS(lua.task(script));
}
