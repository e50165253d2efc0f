// Paid once, and the story told the same way again: ordinary Lua that used to pay twice. Each
// script runs, and runs again unchanged; what counts is what the service charged.
#include <fstream>
#include <iterator>

#include "cli/ledger_file.h"
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

struct Story {
  const char* name;
  const char* script;
  std::vector<std::string> faults;
  int charged;         ///< by the first run
  int creates_again;   ///< requests that the second sends, unchanged
  int code = 0;        ///< of the first
  int code_again = 0;  ///< of the second
  bool looks_up = true;
};

const Story kStories[] = {
    {"tries until one is in time",
     R"(local clip
for _ = 1, 2000 do
  local ok, got = pcall(function() return kling.text2video { prompt = "x" }:wait { timeout = 0.05 } end)
  if ok then clip = got break end
end
print(clip.url ~= nil))",
     {},
     1,
     0},
    {"a slow day, then the same again",
     R"(local a = kling.text2video { prompt = "x" }
pcall(a.wait, a, { timeout = 0 })
local b = kling.text2video { prompt = "x" }:wait()
print(b.url ~= nil))",
     {},
     1,
     0},
    {"an ambiguous request is asked for again",
     R"(for _ = 1, 3 do
  local ok, e = pcall(function() return kling.text2video { prompt = "x", lost = "ask" }:wait() end)
  print(ok, e.kind)
end)",
     {"create#1: accept, drop"},
     1,
     0,
     0,
     0,
     false},
    {"a fallback after a refusal",
     R"(local ok, e = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
print(ok, e.kind)
print(kling.text2video { prompt = "second" }:wait().url ~= nil))",
     {"create#1: 1301"},
     1,
     0},
    {"tries with a client each",
     R"(local n
for i = 1, 3 do
  local client = kling.client {}
  if pcall(function() client.text2video { prompt = "x" }:wait() end) then n = i break end
end
print(kling.text2video { prompt = "after " .. n }:wait().url ~= nil))",
     {"create#1: 1301"},
     2,
     0},
    {"tasks with a client each",
     R"(kling.map({ 1, 2, 3 }, function()
  return kling.client({}).text2video { prompt = "x" }:wait()
end)
print(kling.text2video { prompt = "x" }:wait().url ~= nil))",
     {},
     4,
     0},
    {"three tries of the same, then another",
     R"(local ok, clip
for _ = 1, 3 do
  ok, clip = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
  if ok then break end
end
if not ok then clip = kling.text2video { prompt = "second" }:wait() end
print(clip.url ~= nil))",
     {"create#1-3: 1301"},
     1,
     0},
    {"a fallback after a time-out of a task",
     R"(local ok, clip = pcall(kling.timeout, 0, function()
  return kling.text2video { prompt = "first" }:wait()
end)
if not ok then clip = kling.text2video { prompt = "second" }:wait() end
print(clip.url ~= nil))",
     {},
     2,
     0},
    {"a loser that tries again by tasks of its own begins nothing any more",
     R"(local won = kling.any {
  function()
    while not pcall(function()
      return kling.spawn(function() return kling.text2video { prompt = "slow", duration = 10 }:wait() end):wait()
    end) do end
  end,
  function()
    kling.text2video { prompt = "fast" }:accepted()
    return "fast"
  end,
}
print(won))",
     {},
     2,
     0},
    {"a task that waits by looping, and what an earlier run had seen",
     R"(local task = kling.spawn(function() return kling.text2video { prompt = "a" }:wait() end)
while not task.done do coroutine.yield() end
kling.text2video { prompt = "b" }:wait()
print "e")",
     {},
     2,
     0},
    {"a loser that only yields ends",
     R"(print(kling.any {
  function()
    while true do coroutine.yield() end
  end,
  function()
    kling.text2video { prompt = "a" }:wait()
    return 2
  end,
}))",
     {},
     1,
     0},
    {"equal requests of clients with ledgers of their own are told apart",
     R"(local other = kling.client { ledger = "other.db" }
local a = kling.text2video { prompt = "x" }
pcall(a.wait, a, { timeout = 0 })
local b = other.text2video { prompt = "x" }:wait()
local c = other.text2video { prompt = "x" }:wait()
assert(b.job.id ~= c.job.id)
assert(kling.text2video { prompt = "x" }:wait().job.id == a.id))",
     {},
     3,
     0},
    {"a fallback to a client with a ledger of its own",
     R"(local other = kling.client { ledger = "other.db" }
local ok = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
if not ok then other.text2video { prompt = "second" }:wait() end
print(ok))",
     {"create#1: 1301"},
     1,
     0},
    {"of jobs that end at nearly one time the same one is first again",
     R"(local list = {}
for i = 1, 40 do list[i] = i end
print(table.concat(kling.map(list, function(i)
  local won = kling.any {
    function() kling.text2video { prompt = "a" .. i }:wait() return "a" end,
    function() kling.text2video { prompt = "b" .. i }:wait() return "b" end,
  }
  kling.text2video { prompt = won .. " goes on " .. i }:wait()
  return won
end))))",
     {},
     120,
     0},
    {"a map of equal requests",
     R"(local clips = kling.map({ 1, 2, 3 }, function()
  return kling.text2video { prompt = "same" }:wait()
end)
print(#clips))",
     {},
     3,
     0},
    {"a map of equal requests, each tried until it is in time",
     R"(local clips = kling.map({ 1, 2, 3 }, function()
  for _ = 1, 2000 do
    local ok, clip = pcall(function() return kling.text2video { prompt = "same" }:wait { timeout = 0.05 } end)
    if ok then return clip end
  end
end)
print(#clips))",
     {},
     3,
     0},
    {"a map whose first shot failed pays that shot and its ending only",
     R"(local clips = kling.map({ "a", "b", "c" }, function(prompt)
  kling.text2video { prompt = prompt }:wait()
  return kling.text2video { prompt = prompt .. ", ending" }:wait()
end, { limit = 1 })
print(#clips))",
     {"create#1: 1301"},
     0,
     6,
     3},
    {"a map whose first task failed, asked for again",
     R"(local function film()
  return kling.map({ "a", "b", "c" }, function(prompt) return kling.text2video { prompt = prompt }:wait() end)
end
local ok, clips = pcall(film)
if not ok then clips = film() end
print(#clips))",
     {"create#1: 1301"},
     3,
     0},
    {"a whole batch is tried again after one of it failed",
     R"(local function batch()
  return kling.all {
    a = function()
      kling.text2video { prompt = "a" }:wait()
      return kling.text2video { prompt = "a, ending" }:wait()
    end,
    b = function() return kling.text2video { prompt = "a bloodbath", duration = 10 }:wait() end,
    c = function() return kling.text2video { prompt = "c" }:wait() end,
  }
end
for _ = 1, 3 do print((pcall(batch))) end)",
     {},
     3,
     1},
    {"a whole batch of jobs is tried again after one of it failed",
     R"(local function ask(prompt, duration)
  return kling.text2video { prompt = prompt, duration = duration }
end
for _ = 1, 3 do
  print((pcall(kling.all, { ask "a", ask("a bloodbath", 10), ask "a", ask("d", 10) })))
end)",
     {},
     3,
     1},
    {"tasks within tasks are tried again after their sibling failed",
     R"(local function batch()
  return kling.map({ 1, 2 }, function(i)
    if i == 2 then return kling.text2video { prompt = "a bloodbath", duration = 10 }:wait() end
    local inner = kling.all { function() return kling.text2video { prompt = "a" }:wait() end }
    local other = kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end)
    return { inner[1], other:wait() }
  end)
end
for _ = 1, 3 do print((pcall(batch))) end)",
     {},
     2,
     1},
    {"a chain in a task is tried again from where it failed",
     R"(local function chain()
  kling.text2video { prompt = "a" }:wait()
  kling.text2video { prompt = "a bloodbath" }:wait()
end
for _ = 1, 3 do
  local task = kling.spawn(chain)
  print((pcall(task.wait, task)))
end)",
     {},
     1,
     1},
    {"a chain that was too slow is tried again from where it was",
     R"(local function chain()
  kling.text2video { prompt = "a" }:wait()
  kling.text2video { prompt = "b", duration = 10 }:wait()
end
for _ = 1, 2000 do
  if pcall(kling.timeout, 0.05, chain) then break end
end)",
     {},
     2,
     0},
    {"two shots at once are tried again after one of them failed",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local a = kling.text2video { prompt = "a" }
    kling.text2video { prompt = "a bloodbath" }:wait()
    return a:wait()
  end)))
end)",
     {},
     1,
     1},
    {"a task is not waited for because another job failed",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local task = kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end)
    kling.text2video { prompt = "a bloodbath" }:wait()
    return task:wait()
  end)))
end)",
     {},
     1,
     1},
    {"a job is not waited for because a task failed",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local job = kling.text2video { prompt = "b" }
    kling.spawn(function() kling.text2video { prompt = "a bloodbath" }:wait() end):wait()
    return job:wait()
  end)))
end)",
     {},
     1,
     1},
    {"a task of a task is not waited for because a sibling failed",
     R"(for _ = 1, 3 do
  print((pcall(function()
    kling.all {
      function()
        local task = kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end)
        kling.sleep(0.2)
        return task:wait()
      end,
      function() kling.text2video { prompt = "a bloodbath" }:wait() end,
    }
  end)))
end)",
     {},
     1,
     1},
    {"a task is not waited for because its time was up",
     R"(for _ = 1, 3 do
  print((pcall(function()
    kling.timeout(0.3, function()
      local task = kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end)
      kling.sleep(1000)
      return task:wait()
    end)
  end)))
end)",
     {},
     1,
     0},
    {"nobody holds a task when another job fails",
     R"(for _ = 1, 3 do
  print((pcall(function()
    kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end)
    kling.sleep(0.2)
    collectgarbage()
    kling.text2video { prompt = "a bloodbath" }:wait()
  end)))
end)",
     {},
     1,
     1},
    {"a task that still runs gives its clip to an equal request after another job failed",
     R"(local task = kling.spawn(function() return kling.text2video { prompt = "b", duration = 10 }:wait() end)
print((pcall(function() kling.text2video { prompt = "a bloodbath" }:wait() end)))
local mine = kling.text2video { prompt = "b", duration = 10 }:wait()
print(mine.job.id == task:wait().job.id))",
     {},
     1,
     0},
    {"a task waits for another one, and a third job fails",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local hero = kling.spawn(function() return kling.text2video { prompt = "b", duration = 10 }:wait() end)
    local scene = kling.spawn(function() return hero:wait() end)
    kling.text2video { prompt = "a bloodbath" }:wait()
    return scene:wait()
  end)))
end)",
     {},
     1,
     1},
    {"what a task got that nobody can wait for is found again, though it handed it on",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local outer = kling.spawn(function()
      return kling.spawn(function() return kling.text2video { prompt = "b" }:wait() end):wait()
    end)
    kling.text2video { prompt = "a bloodbath" }:wait()
    return outer:wait()
  end)))
  kling.sleep(0.5)
end)",
     {},
     1,
     1},
    {"a task that nobody waits for goes on after an error of its own",
     R"(for _ = 1, 3 do
  print((pcall(function()
    local task = kling.spawn(function()
      local first = kling.text2video { prompt = "b" }
      pcall(function() return kling.text2video { prompt = "a bloodbath of two" }:wait() end)
      return first:wait()
    end)
    kling.text2video { prompt = "a bloodbath" }:wait()
    return task:wait()
  end)))
  kling.sleep(0.5)
end)",
     {},
     1,
     4},
    {"a task that ended well has not got what it did not wait for",
     R"(local task = kling.spawn(function()
  kling.text2video { prompt = "b" }
  return 1
end)
print((pcall(function() kling.text2video { prompt = "a bloodbath" }:wait() end)))
print(kling.all { task }[1], kling.text2video { prompt = "b" }:wait().job.state))",
     {},
     1,
     0},
    {"a task that failed cannot give what it had got",
     R"(local task = kling.spawn(function()
  local got = kling.text2video { prompt = "b" }:wait()
  return kling.text2video { prompt = "a bloodbath of two" }:wait(), got
end)
print((pcall(function() kling.text2video { prompt = "a bloodbath" }:wait() end)))
print(kling.text2video { prompt = "b" }:wait().job.state, (pcall(task.wait, task))))",
     {},
     1,
     1},
    {"a clip that could not be saved in one task is found again when another one failed first",
     R"(for _ = 1, 2 do
  print((pcall(function()
    local one = kling.spawn(function() return kling.text2video { prompt = "b" }:wait():save("/proc/x/b.mp4") end)
    kling.spawn(function()
      kling.sleep(0.5)
      kling.text2video { prompt = "a bloodbath" }:wait()
    end):wait()
    return one:wait()
  end)))
end)",
     {},
     1,
     1,
     1,
     1},
    {"a task in a variable that is given another one is tried again",
     R"(local task
for _ = 1, 3 do
  print((pcall(function()
    task = kling.spawn(function() return kling.text2video { prompt = "b", duration = 10 }:wait() end)
    kling.text2video { prompt = "a bloodbath" }:wait()
    return task:wait()
  end)))
end)",
     {},
     1,
     1},
    {"a film is joined from jobs, and again after one of them failed",
     R"(for _ = 1, 3 do
  print((pcall(kling.concat, {
    kling.text2video { prompt = "a" }, kling.text2video { prompt = "a bloodbath" },
    kling.text2video { prompt = "b" } }, "film.mp4")))
end)",
     {},
     2,
     1},
    {"a clip that could not be had is not made anew",
     R"(for _ = 1, 3 do
  local ok, bytes = pcall(function() return kling.text2video { prompt = "a" }:wait():bytes() end)
  if ok then break end
end)",
     {"download#1-2: wrong-length"},
     1,
     0},
    {"a result that a task was not content with is made anew",
     R"(for i = 1, 3 do
  local task = kling.spawn(function()
    local clip = kling.text2video { prompt = "a" }:wait()
    if i < 3 then error("not this one") end
    return clip
  end)
  print((pcall(task.wait, task)))
end)",
     {},
     3,
     0},
    {"a request of another endpoint, refused and asked for again",
     R"(local body = { prompt = "x", model_name = "kling-v2-6" }
local ok, answer
for _ = 1, 2 do
  ok, answer = pcall(kling.request, "POST", "/kling/v1/videos/text2video", body)
  if ok then break end
end
print(ok, answer.data.task_id ~= nil))",
     {"create#1: 1301"},
     1,
     0},
};

}  // namespace

TEST_CASE("a caught error is asked about once more, and an unchanged script runs again for free") {
  for (const Story& story : kStories) {
    CAPTURE(story.name);
    sim::Options options;
    options.faults = story.faults;
    options.external_lookup = story.looks_up;
    options.external_unique = false;  // so that what is sent twice is charged twice
    Stage stage(std::string("local kling = require 'kling'\n") + story.script, options);
    const Outcome first = stage.run({"run", "--no-store", "film.lua"});
    CAPTURE(first.out);
    CAPTURE(first.err);
    CHECK(first.code == story.code);
    const auto counted = stage.service->counters();
    CHECK(counted.charged == story.charged);
    const Outcome second = stage.run({"run", "--no-store", "film.lua"});
    CAPTURE(second.err);
    CHECK(second.code == story.code_again);
    if (story.code_again == story.code) CHECK(second.out == first.out);
    CHECK(stage.service->counters().creates == counted.creates + story.creates_again);
  }
}

TEST_CASE("what was asked for again after a network error is paid once when the network is back") {
  Stage stage(R"(local kling = require 'kling'
for _ = 1, 2 do
  local ok, e = pcall(function() return kling.text2video { prompt = "x" }:wait() end)
  print(ok, not ok and e.kind)
end
)");
  const auto usual = stage.environment;
  std::string tls = "KLING_BASE_URL=" + stage.service->base_url();
  stage.environment.push_back(tls.insert(tls.find("http") + 4, "s"));  // it speaks no TLS
  const Outcome first = stage.run({"run", "--no-store", "film.lua"});
  CAPTURE(first.err);
  CHECK(first.out == "false\tnetwork\nfalse\tnetwork\n");
  stage.environment = usual;
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "true\tfalse\ntrue\tfalse\n");
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("whatever was cut off or timed out, an unchanged script sends nothing") {
  const std::string head =
      "local kling = require 'kling'\n"
      "local function ask(prompt, duration, poll) return kling.text2video { prompt = prompt, "
      "duration = duration, poll = poll } end\n"
      "local function briefly(job, timeout) pcall(job.wait, job, { timeout = timeout }) end\n";
  for (
      const std::string script : {
          R"(local t = kling.spawn(function() ask("g", 10):wait() ask("lost"):wait() end)
local j = ask "p" briefly(j, 5) j:wait() t:cancel() ask("end"):wait())",
          R"(kling.any { function() ask("f"):wait() ask("g", 10):wait() ask("lost"):wait() end,
  function() local j = ask "p" briefly(j, 5) j:wait() ask("next"):wait() end }
ask("end"):wait())",
          R"(pcall(kling.all, { function() ask("g", 10):wait() ask("lost"):wait() end,
  function() local j = ask "bloodbath" briefly(j, 5) j:wait() end })
ask("end"):wait())",
          R"(pcall(kling.timeout, 40, function()
  briefly(ask "p", 5) ask("q"):wait() ask("g", 10):wait() end)
ask("end"):wait())",
          R"(briefly(ask "bloodbath", 10) ask("end"):wait())",
          R"(kling.any { function() ask("a", 10):wait() ask("b", 10):wait() ask("lost"):wait() end,
  function() briefly(ask "bloodbath", 20) ask("w"):wait() end }
ask("end"):wait())",
          // What had failed in a task that is then cut off, or beside the one that won.
          R"(pcall(kling.timeout, 0.6, function() return kling.any { ask("f", 10, 1), ask "bloodbath" } end)
ask("end"):wait())",
          R"(local r = kling.spawn(function() pcall(function() ask("bloodbath"):wait() end) kling.sleep(1e6) end)
pcall(r.wait, r, { timeout = 0.6 }) ask("end"):wait() r:cancel())",
          R"(kling.any { kling.spawn(function() kling.any { ask("f", 10, 1), ask "bloodbath" } end),
  ask("q", 5, 0.5) }
ask("end"):wait())",
          R"(local r = kling.spawn(function() kling.any { ask("f", 10, 1), ask "bloodbath" } end)
kling.sleep(0.6) r:cancel() ask("end"):wait())",
          R"(kling.any { ask("f", 10, 0.5), ask "bloodbath" })",
          R"(kling.map({ 1, 2 }, function(i) kling.any { ask("f" .. i, 10, 0.5), ask("bloodbath " .. i) } end)
ask("end"):wait())",
          // What fails when nobody waits for it any more.
          R"(kling.any { ask "f", ask("bloodbath", 10, 0.6) })",
          R"(kling.any { function() ask("f"):wait() end, function() ask("bloodbath", 10, 0.6):wait() end })",
          R"(pcall(kling.all, { function() ask("bloodbath"):wait() end,
  function() ask("a bloodbath", 10):wait() end })
ask("end"):wait())",
          R"(briefly(ask "bloodbath", 0))",
          // Several inner times are up before the outer one is.
          R"(local tries = 0
pcall(kling.timeout, 1.3, function()
  for i = 1, 50 do
    tries = i
    if pcall(kling.timeout, 0.3, function() ask("p", 10, 3):wait() end) then ask("in time"):wait() end
  end
end)
ask("end " .. tries):wait())",
          R"(local job, tries = ask("p", 10, 3), 0
pcall(kling.timeout, 1.2, function()
  repeat
    tries = tries + 1
    local ok = pcall(job.wait, job, { timeout = 0.45 })
    ask("try " .. tries .. tostring(ok))
  until ok
end)
ask("end " .. tries):wait())",
          // A time is up before another job ends.
          R"(ask((kling.any {
  function() briefly(ask("slow", 10, 1), 0.005) ask("fallback"):wait() return "fallback" end,
  function() ask("q", 10, 0.25):wait() ask("lost"):wait() return "q" end,
})):wait())",
          // A job that is found by its handle.
          R"(local handle = ask("p", 10, 1):accepted().handle
local ok = pcall(function() kling.job(handle):wait { timeout = 0.02 } end)
ask("end " .. tostring(ok)):wait())",
          R"(local handle = ask("p", 10, 1):accepted().handle
local ok = pcall(kling.timeout, 0.02, function() kling.job(handle):wait() end)
ask("end " .. tostring(ok)):wait())",
          R"(local handle, tries = ask("p", 10, 1):accepted().handle, 0
repeat
  tries = tries + 1
  local ok = pcall(function() kling.job(handle):wait { timeout = 0.03 } end)
  if tries == 2 then ask("second"):wait() end
until ok
ask("end " .. tries):wait())",
          R"(local handle = ask("bloodbath", 10, 0.1):accepted().handle
local ok = pcall(function() kling.job(handle):wait() end)
ask("end " .. tostring(ok)):wait())"}) {
    CAPTURE(script);
    Stage stage(head + script);
    REQUIRE(stage.run({"run", "--no-store", "film.lua"}).code == 0);
    for (int run = 0; run < 2; ++run) {
      const Outcome again = stage.run({"run", "--no-store", "film.lua"});
      CHECK_MESSAGE(contains(again.err, " 0 submitted"), again.err);
    }
  }
}

TEST_CASE("ends keep their order though the clock is set back between two runs") {
  const std::string head =
      "local kling = require 'kling'\n"
      "local function ask(prompt, poll) return kling.text2video { prompt = prompt, poll = poll } "
      "end\n"
      "local late, early = ask('late', 0.6), ask 'early'\n";
  Stage stage(head + "kling.all { early }");
  REQUIRE(stage.run({"run", "--no-store", "film.lua"}).code == 0);
  change_ledger(stage.folder / ".kling/ledger.db",
                "UPDATE steps SET finished_at = 0, state = 'accepted' WHERE summary LIKE '%late%';"
                "UPDATE steps SET finished_at = finished_at + 3600000 WHERE finished_at > 0");
  std::ofstream(stage.folder / "film.lua")
      << head << "local _, key = kling.any { late, early }\nask('won ' .. key):wait()\nlate:wait()";
  for (const char* sent : {" 1 submitted", " 0 submitted", " 0 submitted"}) {
    const Outcome run = stage.run({"run", "--no-store", "film.lua"});
    CHECK_MESSAGE(contains(run.err, sent), run.err);
  }
}

TEST_CASE("--retry-failed tells a time-out of what did not fail again") {
  Stage stage(R"(local kling = require 'kling'
local job = kling.text2video { prompt = "p", duration = 10, poll = 1 }
local ok = pcall(job.wait, job, { timeout = 0.01 })
kling.text2video { prompt = tostring(ok) }:wait()
job:wait()
)");
  REQUIRE(stage.run({"run", "--no-store", "film.lua"}).code == 0);
  for (int run = 0; run < 2; ++run)
    CHECK(stage.run({"run", "--no-store", "--retry-failed", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("what was settled after a run does not overtake what that run saw") {
  sim::Options options;
  options.external_lookup = false;
  options.faults = {"create/omni-video#1: accept, drop"};
  Stage stage(R"(local kling = require 'kling'
local function ask(prompt) return kling.text2video { prompt = prompt }:wait() end
local _, key = kling.any { a = kling.omni { prompt = "S" },
  b = kling.spawn(function() for i = 1, 5 do ask("B" .. i) end return ask "B" end) }
print(key)
ask("C" .. key)
)",
              options);
  const Outcome first = stage.run({"run", "--no-store", "--patience", "0.1", "film.lua"});
  CAPTURE(first.err);
  REQUIRE(first.out == "b\n");
  const std::string table = stage.run({"jobs", "--state", "ambiguous"}).out;
  const std::size_t row = table.find('\n') + 1;
  const std::string handle = table.substr(row, table.find(' ', row) - row);
  std::ofstream(stage.folder / "list.lua")
      << "print(require('kling').request('GET', '/kling/v1/videos/omni-video').data[1].task_id)";
  std::string task = stage.run({"run", "list.lua"}).out;
  task.pop_back();
  REQUIRE(stage.run({"jobs", "resolve", handle, "--adopt", task}).code == 0);
  const auto creates = stage.service->counters().creates;
  for (int run = 0; run < 2; ++run)
    CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "b\n");
  CHECK(stage.service->counters().creates == creates);
}

TEST_CASE(
    "what failed and was caught is told by the bill and asked for again with --retry-failed") {
  sim::Options options;
  options.faults = {"create#1: 1301"};
  Stage stage(R"(local kling = require 'kling'
local ok, clip = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
if not ok then clip = kling.text2video { prompt = "second" }:wait() end
print(ok)
)",
              options);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  const Outcome again = stage.run({"run", "--no-store", "film.lua", "two words", "--", "-x"});
  CHECK(again.out == "false\n");
  // The whole command: without its take or ledger, another film would be paid.
  CHECK(contains(again.err, "--no-store --retry-failed film.lua 'two words' -- -x\n"));
  const Outcome plan = stage.run({"plan", "film.lua", "a b", "--", "-x"});
  CAPTURE(plan.out);
  CHECK(contains(
      plan.out,
      "1 refused (not sent again): kling run --retry-failed film.lua 'a b' -- -x asks anew\n"));
  CHECK(stage.service->counters().creates == 2);
  const Outcome retried = stage.run({"run", "--no-store", "--retry-failed", "film.lua"});
  CHECK(retried.out == "true\n");
  CHECK(stage.service->counters().creates == 3);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "true\n");
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("a failure after which only the budget stopped the script is asked again") {
  sim::Options options;
  options.faults = {"create#1: 1301"};
  Stage stage(R"(local kling = require 'kling'
local ok = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
if not ok then kling.text2video { prompt = "second", duration = 10 }:wait() end
print(ok)
)",
              options);
  const Outcome poor = stage.run({"run", "--no-store", "--max-cost", "0.3", "film.lua"});
  CAPTURE(poor.err);
  REQUIRE(poor.code == 4);
  REQUIRE(stage.service->counters().creates == 1);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "true\n");
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("a caught failure is kept although all that follows it was paid before") {
  const std::string script = R"(local kling = require 'kling'
local ok = pcall(function() return kling.text2video { prompt = "FIRST" }:wait() end)
if not ok then kling.text2video { prompt = "second" }:wait() end
print(ok)
)";
  sim::Options options;
  Stage stage(script, options);
  const auto edit = [&](const std::string& prompt) {
    std::string text = script;
    std::ofstream(stage.folder / "film.lua") << text.replace(text.find("FIRST"), 5, prompt);
  };
  edit("a bloodbath");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  edit("another bloodbath");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  CHECK(stage.service->counters().creates == 3);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("what fails once more after --retry-failed is kept like the first failure") {
  sim::Options options;
  options.faults = {"create#1: 1301", "create#3: 1301"};
  Stage stage(R"(local kling = require 'kling'
local ok = pcall(function() return kling.text2video { prompt = "first" }:wait() end)
if not ok then kling.text2video { prompt = "second" }:wait() end
print(ok)
)",
              options);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  CHECK(stage.run({"run", "--no-store", "--retry-failed", "film.lua"}).out == "false\n");
  CHECK(stage.service->counters().creates == 3);
  const Outcome again = stage.run({"run", "--no-store", "film.lua"});
  CHECK(again.out == "false\n");
  CHECK(contains(again.err, "1 failed earlier, not sent again"));
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("the example with a fallback runs again for nothing, and goes the same way") {
  std::ifstream file(KLING_SOURCE_DIR "/scripts/fallback.lua");
  const std::string script{std::istreambuf_iterator<char>(file), {}};
  sim::Options options;
  options.faults = {"create#1: 1301"};
  Stage stage(script, options);
  const Outcome first = stage.run({"run", "film.lua"});
  CAPTURE(first.err);
  CHECK(first.code == 0);
  CHECK(contains(first.out, "opening: The battle at dawn, banners"));
  CHECK(stage.service->counters().charged == 2);
  const Outcome again = stage.run({"run", "film.lua"});
  CHECK(again.out == first.out);
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("a request with retry = true is sent again although the script went on without it") {
  sim::Options options;
  options.faults = {"create#1: 1301"};
  Stage stage(R"(local kling = require 'kling'
local ok = pcall(function() return kling.text2video { prompt = "first", retry = true }:wait() end)
if not ok then kling.text2video { prompt = "second" }:wait() end
print(ok)
)",
              options);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "false\n");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "true\n");
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("two processes with the same loop of tries pay once") {
  sim::Options options;
  options.external_unique = false;
  options.faults = {"create#1-2: 1301"};
  Stage stage(R"(local kling = require 'kling'
for _ = 1, 4000 do
  local ok, clip = pcall(function() return kling.text2video { prompt = "x" }:wait { timeout = 0.05 } end)
  if ok then print(clip.job.id) break end
end
)",
              options);
  const auto one = stage.start({"run", "--no-store", "film.lua"});
  const auto two = stage.start({"run", "--no-store", "film.lua"});
  const Outcome first = one->wait();
  const Outcome second = two->wait();
  CAPTURE(first.err);
  CAPTURE(second.err);
  CHECK(first.code == 0);
  CHECK(first.out == second.out);
  CHECK(stage.service->counters().accepted == 1);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == first.out);
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("a job that is found by its handle and polled slowly does not hit the attempt after it") {
  sim::Options options;
  options.external_unique = false;
  Stage stage(R"(local kling = require 'kling'
local first = kling.text2video { prompt = "a bloodbath", poll = 0.3 }:accepted()
local old = kling.job(first.handle)
local late = kling.spawn(function() return pcall(old.wait, old) end)
pcall(first.wait, first)
for _ = 1, 3 do
  pcall(function() return kling.text2video { prompt = "a bloodbath" }:wait() end)
end
late:wait()
print(kling.text2video { prompt = "quiet" }:wait().job.id)
)",
              options);
  const Outcome first = stage.run({"run", "--no-store", "film.lua"});
  CAPTURE(first.err);
  CHECK(first.code == 0);
  CHECK(stage.service->counters().creates == 5);
  const Outcome second = stage.run({"run", "--no-store", "film.lua"});
  CAPTURE(second.err);
  CHECK(second.out == first.out);
  CHECK(stage.service->counters().creates == 5);
}
