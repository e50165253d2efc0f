#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

TEST_CASE("clips and pictures have their verbs") {
  Lua lua;
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(R"lua(
    local clip = kling.text2video { prompt = "x" }:wait()
    assert(clip.url == "https://h/1.mp4" and clip.duration == 5 and clip.path == "/store/1.mp4")
    assert(clip.videos[1].id == "v1" and clip.job:wait().job.handle == "kling:text2video/1" and clip.job.request.prompt == "x")
    local known, why = pcall(function() return clip.none end)
    assert(not known and why.message == "a Clip has no none")
    assert(clip:save("out.mp4") == "out.mp4" and clip:probe().width == 1280)
    assert(tostring(clip) == "Clip kling:text2video/1, 5.0 s, /store/1.mp4")
    local last, at = clip:last_frame(), clip:frame(1.5)
    assert(tostring(last) == "Image last frame of kling:text2video/1")
    assert(tostring(at) == "Image frame at 1.5 s of kling:text2video/1")
    assert(last.path == "/store/made.png" and at:save("x/") == "x/")
    assert(not pcall(clip.frame, clip, -1) and not pcall(clip.frame, clip, 0/0) and not pcall(clip.frame, last, 1))
    local bytes = kling.bytes(("x"):rep(1000))
    assert(tostring(bytes) == "Image of 1000 bytes")
    local shown = kling.still("a.png", { seconds = 3 })
    assert(shown.seconds == 3 and bytes.seconds == nil)
    local film = kling.concat({ clip, last, "b.mp4", "c.png", shown, kling.still(clip, { at = 2 }) }, "film.mp4")
    assert(film.path == "film.mp4" and film.duration == 5 and film.url == nil and film.job == nil)
    assert(film:probe().duration == 5)
    assert(tostring(film:last_frame()) == "Image last frame of film.mp4")
    local ok, err = pcall(kling.concat, { clip, 7.5, {} }, "x.mp4")
    assert(not ok and err:find("item 2 is a number"), err)
    assert(not pcall(kling.concat, {}, "x.mp4"))
    assert(not pcall(kling.concat, { clip }, "x.mp4", { audio = 7 }))
    local ok, err = pcall(kling.concat, { clip }, "x.mp4", { audoi = "song.wav" })
    assert(not ok and err.message:find("audoi"), err)
    local ok, err = pcall(kling.concat, { clip }, "x.mp4", { crossfade = -1 })
    assert(not ok and err.kind == "invalid" and err.message:find("crossfade is -1; it wants a number from 0 to 60", 1, true), err)
    assert(not pcall(kling.concat, { clip }, "x.mp4", { audio = clip }))
    assert(not pcall(kling.still, "a.png", { seconds = "x" }))
    local part = clip:trim(1, 3)
    assert(tostring(part) == "Clip kling:text2video/1, 1 to 3 s" and part.path == "/store/made.png")
    assert(tostring(part:mute():trim(0.5)) == "Clip kling:text2video/1, muted, 1.5 to 3 s")
    assert(tostring(part:last_frame()) == "Image frame at 2.998 s of kling:text2video/1")
    assert(tostring(part:frame(0.5)) == "Image frame at 1.5 s of kling:text2video/1")
    assert(tostring(clip:trim(1):last_frame()) == "Image last frame of kling:text2video/1")
    assert(part.duration == 5 and part.job.kind == "text2video" and part.url == nil)
    for _, bad in ipairs { { -1 }, { 1, 1 }, { 0, 2.5 }, { 0/0 }, { "x" }, {} } do
      assert(not pcall(part.trim, part, table.unpack(bad)))
    end
  )lua"));
  using Recipe = engine::MediaSource::Recipe;
  const auto& parts = lua.engine->joined;
  REQUIRE(parts.size() == 6);
  CHECK(parts[0]->recipe == Recipe::clip);
  CHECK(parts[1]->recipe == Recipe::last_frame);
  CHECK(parts[2]->recipe == Recipe::part);
  CHECK(parts[3]->recipe == Recipe::part);
  CHECK(parts[4]->recipe == Recipe::still);
  CHECK(parts[4]->still_seconds == 3);
  CHECK(parts[5]->recipe == Recipe::frame_at);
  CHECK(parts[5]->seconds == 2);
  CHECK(parts[5]->job == lua.engine->made[0]);
  CHECK(lua.engine->joined_options.empty());
  CHECK_RUNS(lua.task(R"lua(kling.concat({ "a.mp4" }, "film.mp4", { audio = "song.wav" }))lua"));
  CHECK(lua.engine->joined_options == api::Json{{"audio", "song.wav"}});
}

TEST_CASE("the path of a clip is nil without a store") {
  Lua lua;
  lua.finish_at_once = true;
  CHECK_RUNS(lua.task(R"lua(
    kling.configure { store = false }
    assert(kling.text2video { prompt = "x" }:wait().path == nil)
  )lua"));
}
