#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("a job is made and waited for in a task") {
  Lua lua;
  const TaskId task = lua.start(R"(
    local job = kling.text2video { prompt = "A lighthouse at dusk", duration = 5 }
    made, kind, handle = tostring(job), job.kind, job.handle
    local clip = job:wait()
    url, length, path = clip.url, clip.duration, clip.path
  )");
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
