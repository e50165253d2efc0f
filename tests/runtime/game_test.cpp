// A game without a window: sixty ticks a second of its own time, scripts that drive its screens,
// events instead of polling, callbacks of the service through its own web server, and a player who
// quits in the middle of three uploads.
#include <fstream>
#include <map>
#include <mutex>

#include "net/server.h"
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

constexpr const char* kLevel = R"(
  local kling = require "kling"
  function on_pickup(what)
    local clip = kling.text2video { prompt = "a " .. what }:wait()
    return game.spawn_screen { path = clip.path, clip = clip, over = what }.screen
  end
  function finale(picture)
    local jobs = {}
    for i = 1, 3 do
      jobs[i] = kling.image2video { prompt = "end " .. i, image = kling.image(picture) }
    end
    return #kling.all(jobs)
  end)";

void put(std::string& to, std::uint32_t number) {
  for (int shift = 24; shift >= 0; shift -= 8) to += static_cast<char>(number >> shift);
}

/// What counts as a picture of some megabytes, for uploads that take a while.
std::string write_picture(const std::string& path) {
  std::string png = "\x89PNG\r\n\x1a\n";
  const auto chunk = [&png](const std::string& type, const std::string& data) {
    put(png, static_cast<std::uint32_t>(data.size()));
    png += type + data + "crc.";
  };
  std::string size;
  put(size, 640);
  put(size, 480);
  chunk("IHDR", size + std::string("\x08\x02\0\0\0", 5));
  chunk("IDAT", std::string(6u << 20, 'd'));
  chunk("IEND", "");
  std::ofstream(path, std::ios::binary) << png;
  return path;
}

/// The game's own web server: its threads only keep what came.
struct Hooks {
  std::mutex mutex;
  std::vector<net::ServerRequest> heard;
  std::unique_ptr<net::Server> server;

  Hooks() {
    auto made = net::serve("127.0.0.1:0", [this](const net::ServerRequest& request) {
      std::lock_guard lock(mutex);
      heard.push_back(request);
      return net::ServerAnswer{};
    });
    REQUIRE(made.ok());
    server = std::move(*made);
  }
  std::vector<net::ServerRequest> take() {
    std::lock_guard lock(mutex);
    return std::exchange(heard, {});
  }
};

struct Game {
  Hooks& hooks;
  double& time;  ///< goes on over an evening
  HostOptions options;
  Host host;
  std::map<std::string, int> events;
  std::map<Host::Task, bool> ended;
  std::vector<Json> screens;
  std::vector<std::string> clips;

  Game(HostOptions chosen, Hooks& web, double& clock) : hooks(web), time(clock) {
    chosen.now = [this] { return static_cast<long long>(time); };
    chosen.callback = "http://127.0.0.1:" + std::to_string(web.server->port()) + "/hooks";
    host = Host(std::move(chosen));
    REQUIRE_MESSAGE(host, host.error());
    host.provide("game.spawn_screen", [this](Call call, const char* arguments) {
      screens.push_back(Json::parse(arguments)[0]);
      call.answer(("{\"screen\":" + std::to_string(screens.size()) + "}").c_str());
    });
    host.run("level.lua", kLevel);
    frame();
  }

  void frame() {
    time += 1000.0 / 60;
    for (const auto& request : hooks.take()) host.notify(request.target, request.body);
    while (host.tick(500)) {
    }
    for (std::string text; !(text = host.next_event()).empty();) {
      const Json event = Json::parse(text);
      const std::string what = event["event"];
      ++events[what];
      if (what == "ended") ended[event["task"]] = event["ok"];
      if (what == "succeeded") clips.push_back(event["job"]["path"]);
    }
    pollfd wait{host.fd(), POLLIN, 0};
    ::poll(&wait, 1, 1);
  }
  bool until(auto condition) {
    const auto start = Steady::now();
    while (!condition()) {
      if (millis_since(start) > 180'000) return false;
      frame();
    }
    return true;
  }
};

}  // namespace

TEST_CASE("a game makes its clips while it runs and pays once however it is left") {
  const TempFolder folder;
  const std::string picture = write_picture(folder / "end.png");
  for (const int frames : {0, 1, 3, 8}) {  // how long the player stays in the finale
    CAPTURE(frames);
    Hooks hooks;
    sim::Options service;
    service.draft = true;
    Stage stage(std::move(service));
    stage.options.ledger = folder / ("evening-" + std::to_string(frames) + ".db");
    stage.options.poll = 2;
    double time = 1'800'000'000'000;
    {
      Game game(stage.options, hooks, time);
      const auto key = game.host.call("on_pickup", R"(["key"])");
      const auto lamp = game.host.call("on_pickup", R"(["lamp"])");
      REQUIRE(game.until([&] { return game.ended.count(key) && game.ended.count(lamp); }));
      INFO(game.host.result(key));
      REQUIRE(game.ended[key]);
      REQUIRE(game.ended[lamp]);
      REQUIRE(game.screens.size() == 2);
      CHECK(game.screens[0]["path"].get<std::string>().ends_with(".mp4"));
      CHECK(game.screens[0]["clip"]["path"] == game.screens[0]["path"]);
      REQUIRE(game.until([&] { return game.clips.size() == 2; }));
      CHECK(game.events["succeeded"] == 2);
      CHECK(stage.service->counters().accepted == 2);
      game.host.call("finale", Json::array({picture}).dump().c_str());
      REQUIRE(game.until([&] { return game.host.busy(); }));
      for (int i = 0; i < frames; ++i) game.frame();
    }  // quits
    Game game(stage.options, hooks, time);
    const auto finale = game.host.call("finale", Json::array({picture}).dump().c_str());
    REQUIRE(game.until([&] { return game.ended.count(finale) != 0; }));
    CHECK(game.host.result(finale) == "[3]");
    const auto counters = stage.service->counters();
    CHECK(counters.accepted == 5);
    CHECK(counters.charged == 5);
    for (const auto& [id, times] : counters.charges_by_external_id) CHECK(times == 1);
    CHECK(counters.callbacks > 0);
  }
}
