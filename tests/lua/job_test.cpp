#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("a job is made and waited for in a task") {
  Lua lua;
  const TaskId task = lua.start(R"lua(
    local job = kling.text2video { prompt = "A lighthouse at dusk", duration = 5 }
    made, kind, handle = tostring(job), job.kind, job.handle
    local clip = job:wait()
    url, length, path = clip.url, clip.duration, clip.path
  )lua");
  lua.settle();
  REQUIRE(lua.engine != nullptr);
  REQUIRE(lua.engine->made.size() == 1);
  CHECK(lua.global("made") == "Job kling:text2video/1 (running)");
  CHECK_FALSE(lua.runtime->result(task).done);
  CHECK(lua.engine->made[0]->request.where == "film.lua:2");
  CHECK(lua.engine->made[0]->request.task_path == "main");
  CHECK(lua.engine->made[0]->request.request.fields["duration"] == "5");
  lua.engine->succeed(*lua.engine->made[0]);
  lua.settle();
  CHECK_RUNS(lua.runtime->result(task));
  CHECK(lua.global("url") == "https://h/1.mp4");
  CHECK(lua.global("path") == "/store/1.mp4");
}

TEST_CASE("an error names the line of the call") {
  Lua lua;
  auto result = lua.task("local x = 1\nkling.text2video { promt = 'x' }");
  CHECK_FALSE(result.ok);
  CHECK(result.is_kling_error);
  CHECK(result.error.kind == Kind::invalid);
  CHECK(result.message.starts_with("film.lua:2: "));
  CHECK(result.message.find("prompt") != std::string::npos);
  CHECK(result.traceback.find("film.lua:2:") != std::string::npos);
}

TEST_CASE("every endpoint is a function of the module, under its other names as well") {
  Lua lua;
  for (const api::Endpoint& endpoint : api::endpoints()) {
    std::vector<std::string> names = endpoint.aliases;
    names.push_back(endpoint.name);
    for (const std::string& name : names)
      CHECK_RUNS(lua.task("assert(not pcall(kling." + name + ", { promt = 'x' }))\n" +
                          "assert(type(kling." + name + ") == 'function')"));
  }
}

TEST_CASE("a failed generation raises from wait with both lines") {
  Lua lua;
  const TaskId task = lua.start(R"lua(
    local job = kling.text2video { prompt = "x" }
    local ok, err = pcall(function()
      job:wait()
    end)
    assert(not ok and err.kind == "task_failed" and err.job == job.handle and err.retryable == false)
    assert(err.http_status == nil and err.code == nil)
    text, frames = tostring(err), err.traceback
    job:wait()
  )lua");
  lua.settle();
  lua.engine->fail(*lua.engine->made[0], "the picture was refused");
  lua.settle();
  CHECK(lua.global("text") ==
        "film.lua:4: the picture was refused (kling:text2video/1, asked for at film.lua:2)");
  CHECK(lua.global("frames").find("film.lua:4:") != std::string::npos);
  CHECK(lua.global("frames").find("[C]") == std::string::npos);
  const auto result = lua.runtime->result(task);
  CHECK_FALSE(result.ok);
  CHECK(result.message.starts_with("film.lua:9: "));
}

TEST_CASE("what the engine refuses raises at the call") {
  Lua lua;
  lua.task("kling.request('GET', '/x')");
  lua.engine->refuse = Error{Kind::ledger, "the ledger is locked", "Close the other program."};
  const auto result = lua.task("\nkling.text2video { prompt = 'x' }");
  CHECK(result.message == "film.lua:2: the ledger is locked. Close the other program.");
  CHECK(result.error.kind == Kind::ledger);
}

TEST_CASE("an engine that cannot be made is an error of the first call") {
  Lua lua;
  lua.no_engine = Error{Kind::auth, "there is no key"};
  const auto result = lua.task("kling.text2video { prompt = 'x' }");
  CHECK(result.error.kind == Kind::auth);
  CHECK(result.message == "film.lua:1: there is no key");
}

TEST_CASE("a wait that times out leaves the job") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local job = kling.text2video { prompt = "x" }
    local ok, err = pcall(job.wait, job, { timeout = 2.5 })
    assert(not ok and err.kind == "timeout" and err.job == job.handle, tostring(err))
    assert(tostring(err):find("the job goes on", 1, true))
    assert(job.state == "running")
    ok, err = pcall(job.wait, job, { timout = 2 })
    assert(not ok and err.kind == "invalid" and tostring(err):find("timout"))
  )lua"));
}

TEST_CASE("on_progress is called in the waiting task about each second") {
  Lua lua;
  const TaskId task = lua.start(R"lua(
    local job = kling.text2video { prompt = "x" }
    local main = coroutine.running()
    calls = 0
    clip = job:wait { on_progress = function(same)
      assert(same == job and coroutine.running() == main)
      kling.sleep(0) -- may wait itself
      calls, last = calls + 1, same.state
    end }
  )lua");
  lua.settle();
  CHECK(lua.global("calls") == "1");
  for (int i = 0; i < 3; ++i) {
    lua.clock->advance(1000);
    lua.settle();
  }
  lua.engine->succeed(*lua.engine->made[0]);
  lua.settle();
  for (int i = 0; i < 3 && !lua.runtime->result(task).done; ++i) lua.settle();
  CHECK_RUNS(lua.runtime->result(task));
  CHECK(lua.global("last") == "succeeded");
  CHECK(lua.global("calls") == "5");
}

TEST_CASE("fields of a job are snapshots") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local job = kling.text2video { prompt = "x", duration = 5, take = "b" }
    assert(job:accepted() == job and job.id == "1" and job.handle == "kling:text2video/1")
    assert(job.created == 1.7e9 and job.error == nil and job.cost == 0 and job.path == nil)
    local known, why = pcall(function() return job.nothing end)
    assert(not known and why.message == "a Job has no nothing" and why.hint:find("it has handle, "))
    assert(job.request.prompt == "x" and job.request.duration == 5 and job.request.take == "b")
    local same = kling.job(job.handle)
    assert(same.id == "1" and same.request == nil)
    local ok, err = pcall(kling.job, "kling:text2video/9")
    assert(not ok and err.message == "no such job")
    assert(not pcall(function() job.state = "x" end))
    assert(getmetatable(job) == "kling.Job")
    ok, err = pcall(job.wait, {})
    assert(not ok and err.message == "wait wants its job first, got table", err.message)
  )lua"));
}

TEST_CASE("meta fields are taken out of the request") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    kling.text2video { prompt = "x", take = 3, lost = "ask", patience = 1.5, poll = 0.25,
                       extra = { watermark = true } }
    for field, value in pairs { take = {}, lost = "no", patience = "x", poll = -1, strict = 1, extra = 1 } do
      local ok, err = pcall(kling.text2video, { prompt = "x", [field] = value })
      assert(not ok and err.field == field and err.kind == "invalid", field)
    end
  )lua"));
  REQUIRE(lua.engine->made.size() == 1);
  const auto& create = lua.engine->made[0]->request;
  CHECK(create.request.take == "3");
  CHECK(create.ask_when_lost == true);
  CHECK(create.patience == 1500);
  CHECK(create.poll_interval == 250);
  CHECK(create.request.extra["watermark"] == true);
  CHECK_FALSE(create.request.fields.contains("take"));
}

TEST_CASE("every endpoint and alias has its function and warnings are logged once") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    for _, name in ipairs { "text2video", "image2video", "multi_image2video", "omni", "omni_video" } do
      assert(type(kling[name]) == "function", name)
    end
    for _ = 1, 3 do kling.image2video { image = "https://h/a.png" } end
    local ok, err = pcall(kling.image2video, { image = "https://h/a.png", strict = true })
    assert(not ok and err.kind == "invalid")
  )lua"));
  CHECK(lua.logged.size() >= 1);
  CHECK(std::count(lua.logged.begin(), lua.logged.end(), lua.logged[0]) == 1);
  CHECK(lua.logged[0].find(": image2video: ") != std::string::npos);  // after the line
}

TEST_CASE("query takes a job and a handle and an external id") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local job = kling.text2video { prompt = "x" }
    local answer = kling.query(job)
    assert(answer.status == "succeeded" and answer.videos[1].url == "https://h/v.mp4")
    assert(answer.raw == "{}" and answer.handle == "kling:text2video/7" and answer.message == nil)
    kling.query { external_id = "e", kind = "omni-video" }
  )lua"));
  CHECK(lua.engine->queried.external_id == "e");
  CHECK(lua.engine->queried.endpoint == "omni-video");
  CHECK_RUNS(lua.task("kling.query('861309876543210987', 'text2video')"));
  CHECK(lua.engine->queried.text == "861309876543210987");
}

TEST_CASE("configure comes before the first job and names unknown options") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local ok, err = pcall(kling.configure, { bas_url = "x" })
    assert(not ok and err.field == "bas_url" and err.hint == "did you mean base_url?", tostring(err))
    ok, err = pcall(kling.configure, { poll = "soon" })
    assert(not ok and err.message == "option poll takes a number of seconds from 0 to 1e9, not \"soon\"")
    ok, err = pcall(kling.configure, { poll = -1 })
    assert(not ok and err.message == "option poll takes a number of seconds from 0 to 1e9, not -1")
    ok, err = pcall(kling.configure, { key = 12345 })
    assert(not ok and err.message == "option key takes a text")
    kling.configure { poll = 0.5, ledger = ":memory:", store = false, base_url = "http://127.0.0.1:1" }
    local job = kling.text2video { prompt = "x" }
    ok, err = pcall(kling.configure, { poll = 1 })
    assert(not ok and err.message:find("before the first job"))
    kling.configure { strict = true }
    assert(not pcall(kling.image2video, { image = "https://h/a.png" }))
    local other = kling.client { key = "other" }
    first = kling.query(job)
    assert(other.text2video and other.all == kling.all and other.text2video ~= kling.text2video)
    other.text2video { prompt = "y" }
  )lua"));
  CHECK(lua.runtime->engines().size() == 2);
  CHECK(lua.runtime->engines()[0]->options.poll_interval == 500);
  CHECK_FALSE(lua.runtime->engines()[0]->options.store);
  CHECK(lua.runtime->engines()[1]->options.key == "other");
  CHECK(lua.runtime->engines()[1]->jobs().size() == 1);
}

TEST_CASE("log writes its values with a level") {
  Lua lua;
  CHECK_RUNS(
      lua.task("kling.log('error', 1, nil, kling.null) kling.log('plain') kling.log('error')"));
  REQUIRE(lua.logged.size() == 3);
  CHECK(lua.logged[0] == "error: 1 nil null");
  CHECK(lua.logged[1] == "info: plain");
  CHECK(lua.logged[2] == "info: error");
}

TEST_CASE("the module has exactly the functions that are documented") {
  Lua lua;
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(R"lua(
    local names = {}
    for name, value in pairs(kling) do
      assert(value, name)
      names[#names + 1] = name
    end
    table.sort(names)
    names = table.concat(names, " ")
    assert(names == "_VERSION all any approve ask bytes client concat configure csv image image2video job json " ..
      "log map multi_image2video notify null omni omni_video pick query request sheet sleep spawn still " ..
      "text2video timeline timeout", names)
    assert(require "kling" == kling and kling._VERSION:find("^kling %d"))
  )lua"));
}

TEST_CASE("a wrong argument names the line of the script and not one of the prelude") {
  Lua lua;
  for (const std::string call :
       {"job:wait(60)", "job:wait('5')", "job:wait { timout = 5 }", "job:wait { timeout = '5' }",
        "job:wait { on_progress = 5 }", "job:accepted(5)", "kling.timeout('x', print)",
        "kling.timeout(1)", "kling.query {}", "kling.spawn(print):wait(5)"}) {
    CAPTURE(call);
    const auto result = lua.task("local job = kling.text2video { prompt = 'x' }\n" + call);
    CHECK_FALSE(result.ok);
    CHECK(result.message.starts_with("film.lua:2: "));
    CHECK(result.message.find("#-1") == std::string::npos);
  }
}
