// Events instead of polling.
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
