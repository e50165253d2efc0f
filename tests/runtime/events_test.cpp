// Events instead of polling.
#include <fstream>

#include "base/files.h"
#include "engine/media/ffmpeg.h"
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

std::vector<Json> take_events(Host& host) {
  std::vector<Json> events;
  for (std::string event; !(event = host.next_event()).empty();)
    events.push_back(Json::parse(event));
  return events;
}

constexpr const char* kTwo = R"(
  local kling = require "kling"
  local a, b = kling.text2video { prompt = "a boat" }, kling.text2video { prompt = "a kite" }
  return kling.all { a = a, b = b })";

}  // namespace

TEST_CASE("a job and a task are announced once for each thing that happens") {
  const Stage stage;
  Host host(stage.options);
  const Host::Task task = host.run("two.lua", kTwo);
  std::map<std::string, std::vector<std::string>> told;
  std::string path;
  int ended = 0;
  REQUIRE(until(host, [&] {
    for (const Json& event : take_events(host)) {
      const std::string what = event["event"];
      if (what == "ended") {
        CHECK(event["task"] == task);
        CHECK(event["name"] == "two.lua");
        CHECK(event["ok"] == true);
        ++ended;
        continue;
      }
      const Json& job = event["job"];
      told[job["prompt"]].push_back(what);
      CHECK((job["state"] == "succeeded" || what != "succeeded"));
      CHECK((job["state"] != "sending" || what != "accepted"));
      if (what == "succeeded") path = job["path"];
      const double progress = job.value("progress", 0.0);
      CHECK((progress >= 0 && progress <= 1));
    }
    return ended == 1 && told["a boat"].size() > 1 && told["a boat"].back() == "succeeded" &&
           told["a kite"].size() > 1 && told["a kite"].back() == "succeeded";
  }));
  CHECK(std::ranges::count(told["a boat"], "accepted") == 1);
  CHECK(std::ranges::count(told["a boat"], "succeeded") == 1);
  CHECK(path.ends_with(".mp4"));
  const Json jobs = Json::parse(host.jobs());
  const Json one = Json::parse(host.job(jobs[0]["handle"]));
  CHECK(one == jobs[0]);
  CHECK(one["progress"] == 1);
  CHECK(one["expected"] > 0);
  CHECK(host.job("text2video:0").empty());
  CHECK(take_events(host).empty());
}

TEST_CASE("a job is found by the handle that it had before it was accepted") {
  const Stage stage;
  Host host(stage.options);
  const Json early = run(host, R"(
    local job = require "kling".text2video { prompt = 'a "boat"' }
    local early = job.handle
    job:accepted()
    return early, job.handle)");
  REQUIRE(early[0] != early[1]);
  CHECK(host.job(early[0]) == host.job(early[1]));
  CHECK(Json::parse(host.job(early[0]))["prompt"] == "a \"boat\"");
  for (const char* none : {"kling:text2video/~", "kling:text2video/", "kling:image2video/~x", "/~"})
    CHECK(host.job(none).empty());
}

TEST_CASE("a question that is asked again after a reload is told again") {
  Stage stage;
  const TempFolder folder;
  stage.options.ledger = folder / "ledger.db";
  Host host(stage.options);
  const char* script = "return require 'kling'.ask('Which?', { 'day', 'night' })";
  for (int round = 0; round < 2; ++round) {
    const Host::Task task = host.run("a.lua", script);
    Json question;
    REQUIRE(until(host, [&] {
      for (const Json& event : take_events(host))
        if (event["event"] == "question") question = event["question"];
      return !question.is_null();
    }));
    if (round == 0) {
      REQUIRE(host.reload());
      continue;
    }
    CHECK(host.answer(question["id"], 2));
    REQUIRE(until(host, [&] { return host.done(task); }));
    CHECK(Json::parse(host.result(task)) == Json({"night"}));
  }
}

TEST_CASE("the bytes of a clip come without a file's name") {
  const Stage stage;
  Host host(stage.options);
  const Host::Task task = host.run("one.lua", R"(
    local kling = require "kling"
    local clip = kling.text2video { prompt = "a boat" }:wait()
    local bytes, still = clip:bytes(), kling.bytes(clip:last_frame():bytes())
    return #bytes, bytes:sub(5, 8), still:bytes():sub(2, 4))");
  REQUIRE(until(host, [&] { return host.done(task); }));
  const Json job = Json::parse(host.jobs())[0];
  const std::string bytes = host.clip(job["handle"]);
  CHECK(Json::parse(host.result(task)) == Json({bytes.size(), "ftyp", "PNG"}));
  CHECK(bytes == *read_file(job["path"], 1u << 30));
  CHECK(host.clip("text2video:0").empty());
  CHECK(host.error() == "there is no stored clip of text2video:0");
}

TEST_CASE("a clip that cannot be stored is told with the reason and how to get it") {
  Stage stage;
  const TempFolder folder;
  stage.options.store = folder / "clips";
  Host host(stage.options);
  REQUIRE(std::filesystem::remove(stage.options.store));
  std::ofstream(stage.options.store) << "in the way";
  host.run("a.lua", "require 'kling'.text2video { prompt = 'a' }");
  Json job;
  REQUIRE(until(host, [&] {
    for (const Json& event : take_events(host))
      if (event["event"] == "succeeded") job = event["job"];
    return !job.is_null();
  }));
  CHECK_FALSE(job.contains("path"));
  const std::string handle = job["handle"];
  CHECK(job["warning"]["kind"] == "media");
  CHECK(job["warning"]["message"].get<std::string>().find("cannot ") == 0);
  const std::string how = job["warning"]["hint"];
  const std::string call = "kling.job(\"" + handle + "\"):wait():save(\"clip.mp4\")";
  CHECK(how.ends_with(call + " fetches it"));
  CHECK(Json::parse(host.job(handle)) == job);
  CHECK(run(host, "kling = require 'kling' return kling.job('" + handle + "').warning.kind") ==
        Json({"media"}));
  std::filesystem::remove(stage.options.store);
  const std::string path = folder / "clip.mp4";
  run(host, "kling.job('" + handle + "'):wait():save('" + path + "')");
  CHECK(std::filesystem::file_size(path) > 1000);
}

TEST_CASE("a program may bring its own ffmpeg") {
  const Stage stage;
  constexpr const char* kSource = R"(
    local clip = require "kling".text2video { prompt = "a boat" }:wait()
    clip:last_frame():save("frame.png"))";
  const auto result = [&](const HostOptions& options) {
    Host host(options);
    const Host::Task task = host.run("one.lua", kSource);
    REQUIRE(until(host, [&] { return host.failed(task); }));
    return host.result(task);
  };
  HostOptions options = stage.options;
  const TempFolder folder;
  for (const char* tool : {"ffmpeg", "ffprobe"}) {
    std::ofstream(folder / tool) << "#!/bin/sh\necho ffmpeg version 3.2 Copyright\n";
    std::filesystem::permissions(folder / tool, std::filesystem::perms::owner_all);
  }
  options.ffmpeg = folder.path();
  const std::string told = result(options);
  engine::media::use_tools("");
  CHECK(told.find("ffmpeg version 3.2 on PATH is too old") != std::string::npos);
}

TEST_CASE("states that nobody asked for merge and no end is lost") {
  const Stage stage;
  Host host(stage.options);
  run(host, kTwo);
  REQUIRE(until(host, [&] { return host.pending() == 0; }));
  const Host::Task failing = host.run("failing.lua", "error('no')");
  REQUIRE(until(host, [&] { return host.failed(failing); }));
  const Host::Task forgotten = host.run("forgotten.lua", "");
  REQUIRE(until(host, [&] { return host.done(forgotten); }));
  host.forget(forgotten);
  REQUIRE(host.reload());
  Json told;
  for (const Json& event : take_events(host)) told.push_back(event["event"]);
  CHECK(told == Json({"succeeded", "succeeded", "ended", "ended"}));
}

TEST_CASE("tasks that a reload ends are announced as ended") {
  const Stage stage;
  Host host(stage.options);
  const Host::Task sleeps = host.run("sleeps.lua", "require 'kling'.sleep(1000)");
  const Host::Task never_ran = host.run("never_ran.lua", "");
  host.tick(0);
  const Host::Task begins = host.run("begins.lua", "");
  REQUIRE(host.reload());
  const auto ended = [](Host::Task task, const char* name, bool ok) {
    return Json{{"event", "ended"}, {"task", task}, {"name", name}, {"ok", ok}};
  };
  CHECK(take_events(host) == std::vector<Json>{ended(never_ran, "never_ran.lua", true),
                                               ended(sleeps, "sleeps.lua", false),
                                               ended(begins, "begins.lua", false)});
  CHECK(host.result(sleeps).empty());
  run(host, "return 1");
  CHECK(take_events(host).size() == 1);
}

TEST_CASE("a job that fails is announced as failed with its error") {
  const Stage stage;
  Host host(stage.options);
  run(host, "require 'kling'.text2video { prompt = 'an nsfw boat' }:wait()");
  Json last;
  for (const Json& event : take_events(host))
    if (event.contains("job")) last = event;
  CHECK(last["event"] == "failed");
  CHECK(last["job"]["error"]["kind"] == "policy");
}
