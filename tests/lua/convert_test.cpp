#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("values go to JSON and come back the same") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local body = { text = "ü", integer = 1 << 62, float = 0.5, yes = true, nothing = kling.null,
                   list = { 1, { 2 } }, object = { a = { b = "c" } } }
    local answer = kling.request("POST", "/x", body)
    assert(answer.method == "POST" and answer.target == "/x")
    local back = answer.body
    assert(back.text == "ü" and back.integer == 1 << 62 and math.type(back.integer) == "integer")
    assert(back.float == 0.5 and back.yes == true and back.nothing == kling.null)
    assert(#back.list == 2 and back.list[2][1] == 2 and back.object.a.b == "c")
    assert(answer.big == 861309876543210987 and math.type(answer.big) == "integer")
    assert(answer.none == kling.null and tostring(kling.null) == "null")
    -- an empty list stays one
    local again = kling.request("POST", "/x", { list = answer.list, object = {} }).body
    assert(getmetatable(again.list) and not getmetatable(again.object))
  )lua"));
}

TEST_CASE("what cannot be sent is refused with its key path") {
  Lua lua;
  CHECK_RUNS(lua.task(R"lua(
    local function refused(body, message)
      local ok, err = pcall(kling.request, "POST", "/x", body)
      assert(not ok and err.kind == "invalid", tostring(err))
      assert(err.message:find(message, 1, true), err.message)
    end
    local loop = {} ; loop.a = { loop }
    refused({ a = { b = print } }, "a.b is a function")
    refused({ a = { 1, { f = coroutine.create(print) } } }, "a[2].f is a thread")
    refused(loop, "a[1] contains itself")
    refused({ list = { 1, nil, 3 } }, "list[2] is missing")
    refused({ list = { 1, x = 2 } }, "list mixes a list with named fields")
    refused({ [true] = 1 }, "has a boolean as a key")
    refused({ n = 0 / 0 }, "n is not a finite number")
    refused({ n = math.huge }, "n is not a finite number")
    refused({ s = "abc\xff" }, "s is not UTF-8 text (at byte 4)")
    refused({ s = "\xed\xa0\x80" }, "s is not UTF-8")
    refused({ s = "\xc0\x80" }, "s is not UTF-8")
    refused({ ["\xff"] = 1 }, "is a key that is not UTF-8 text")
    refused({ ["$media"] = 0 }, "$media is reserved")
    refused({ image = kling.image("a.png") }, "image is a picture or clip")
    refused({ job = io.stdout }, "job is no Image or Clip")
    local deep = {} ; local at = deep
    for _ = 1, 100 do at.d = {} ; at = at.d end
    refused(deep, "is nested too deeply")
    local ok, err = pcall(kling.image2video, { image = kling.text2video { prompt = "x" } })
    assert(not ok and err.message == "image is a Job" and err.hint:find("job:wait():last_frame()", 1, true))
    assert(err.field == "image")
  )lua"));
}

TEST_CASE("pictures and clips become media of the request") {
  Lua lua;
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(R"lua(
    local clip = kling.text2video { prompt = "x" }:wait()
    kling.image2video { image = clip:last_frame(), prompt = "y" }
    kling.omni { prompt = "z", image_list = { kling.image("a.png"), { image = kling.bytes("\xff\xd8") } },
                 aspect_ratio = "16:9" }
    kling.omni { prompt = "z", video_list = { clip } }
    local ok, err = pcall(kling.omni, { prompt = "z", video_list = { kling.concat({ clip }, "f.mp4") } })
    assert(not ok and err.kind == "invalid", tostring(err))
    localvideo = err.message
  )lua"));
  REQUIRE(lua.engine->made.size() == 4);
  const auto& frame = lua.engine->made[1]->request;
  CHECK(frame.request.fields["image"]["$media"] == 0);
  CHECK(frame.request.media[0].source == api::MediaInput::Source::derived);
  CHECK(frame.sources[0]->recipe == engine::MediaSource::Recipe::last_frame);
  CHECK(frame.sources[0]->job == lua.engine->made[0]);
  const auto& two = lua.engine->made[2]->request;
  REQUIRE(two.sources.size() == 2);
  for (const auto& input : two.request.media) {
    const auto& source = *two.sources[input.tag];
    CHECK(source.recipe == (input.tag == 0 ? engine::MediaSource::Recipe::file
                                           : engine::MediaSource::Recipe::bytes));
  }
  CHECK(lua.engine->made[3]->request.request.media[0].video);
}
