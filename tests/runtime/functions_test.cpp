// Scripts call the program, and the program calls scripts.
#include <thread>

#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("a script calls a function of the program in either profile") {
  for (const char* profile : {"full", "safe"}) {
    CAPTURE(profile);
    Stage stage;
    stage.options.profile = profile;
    Host host(stage.options);
    std::string heard;
    const auto here = std::this_thread::get_id();
    CHECK(host.provide("game.spawn_screen", [&](Call call, const char* arguments) {
      CHECK(std::this_thread::get_id() == here);
      heard = arguments;
      call.answer(R"({"screen": 7})");
    }));
    CHECK(host.provide("game.quiet", [](Call call, const char*) { call.answer(); }));
    const std::string script = R"(
      local sorted = { 2, 1 }
      table.sort(sorted, function(a, b) game.quiet() return a < b end)  -- where nothing can wait
      local screen = game.spawn_screen({ at = { 1, 2 } }, "north", 0 / 0)
      return screen.screen, game.quiet() == require "kling".null, sorted)";
    CHECK(run(host, script) == Json::parse("[7, true, [1, 2]]"));
    CHECK(Json::parse(heard) == Json::parse(R"([{"at": [1, 2]}, "north", null])"));
    CHECK(host.reload());
    CHECK(run(host, script)[0] == 7);
    CHECK(run(host, "return game.nothing, other") == Json::parse("[null, null]"));
    const Host::Task task = host.call("game.spawn_screen", "[5]");  // as a script of one line would
    REQUIRE(until(host, [&] { return !host.running(task); }));
    CHECK(host.result(task) == R"([{"screen":7}])");
    CHECK(heard == "[5]");
    run(host, "own = setmetatable({}, { __index = function() return print end })");
    for (const char* none : {"game.nothing", "game.quiet.more", "own.any"}) {
      CHECK(host.call(none) == 0);
      CHECK(host.error() == std::string("there is no function ") + none);
    }
  }
}

TEST_CASE("a safe script cannot change what the program gives") {
  Stage stage;
  stage.options.profile = "safe";
  Host host(stage.options);
  host.set("game", R"({"level": 3})");
  const auto answer = [](Call call, const char*) { call.answer("7"); };
  for (const char* name : {"game.spawn", "game.at.night.spawn", "spawn", "string.spawn"})
    REQUIRE_MESSAGE(host.provide(name, answer), host.error());
  for (const char* change :
       {"game = nil", "game.spawn = print", "game.new = 1", "game.at = {}", "spawn = print",
        "game.at.night.spawn = nil", "rawset(game, 'spawn', print)", "rawset(_G, 'game', {})",
        "_G.spawn = 1", "setmetatable(_G, {})", "setmetatable(game, {})", "string = nil"}) {
    CAPTURE(change);
    CHECK(run(host, change).contains("error"));
  }
  CHECK(run(host, "game = 1")["message"] ==
        "test.lua:1: game is the program's: it cannot be changed");
  const char* all =
      "own = 1 rawset(_G, 'other', 2) return game.spawn() + game.at.night.spawn() + spawn() +"
      " string.spawn() + game.level + own + other, ('x'):rep(2), missing";
  CHECK(run(host, all) == Json::parse(R"([34, "xx", null])"));
  REQUIRE(host.provide("game.later", answer));
  CHECK(run(host, "return game.later(), game.spawn()") == Json({7, 7}));
  CHECK(host.reload());
  CHECK(run(host, "game = nil").contains("error"));
}

TEST_CASE("a function answers later from any thread and only its script waits") {
  const Stage stage;
  Host host(stage.options);
  std::vector<Call> calls;
  CHECK(host.provide("ask", [&](Call call, const char*) { calls.push_back(std::move(call)); }));
  const Host::Task asks =
      host.run("asks.lua", "return coroutine.wrap(function() return ask() end)()");
  CHECK(run(host, "require 'kling'.sleep(0.01) return 1") == Json({1}));
  CHECK(host.running(asks));
  REQUIRE(calls.size() == 1);
  std::thread([&] { calls[0].answer("\"yes\""); }).join();
  REQUIRE(until(host, [&] { return !host.running(asks); }));
  CHECK(host.result(asks) == R"(["yes"])");

  const Host::Task waits = host.run("waits.lua", "ask()");
  REQUIRE(until(host, [&] { return calls.size() == 2; }));
  host.cancel(waits);
  REQUIRE(until(host, [&] { return host.failed(waits); }));
  calls[1].answer();  // nobody waits any more
  const Host::Task left = host.run("left.lua", "ask()");
  REQUIRE(until(host, [&] { return calls.size() == 3; }));
  CHECK(host.running(left));
  CHECK(host.reload());
  host = Host();
  calls.clear();  // and now there is no host
}

TEST_CASE("what fails in the program is an error with the line of the script") {
  const Stage stage;
  Host host(stage.options);
  host.provide("refuse", [](Call call, const char*) { call.fail("no such screen"); });
  host.provide("babble", [](Call call, const char*) { call.answer("{"); });
  host.provide("drop", [](Call, const char*) {});
  host.provide("throw_up", [](Call, const char*) { throw std::runtime_error("out of screens"); });
  host.provide("throw_five", [](Call, const char*) { throw 5; });
  for (const auto& [source, part] :
       {std::pair("\nrefuse()", "no such screen"), std::pair("\nbabble()", "no JSON"),
        std::pair("\ndrop()", "dropped the call"), std::pair("\nrefuse(print)", "refuse: "),
        std::pair("\nthrow_up()", "out of screens"),
        std::pair("\nthrow_five()", "no std::exception"),
        std::pair("\ntable.sort({ 1, 2 }, function() refuse() end)", "no such screen")}) {
    const Json failure = run(host, source);
    CAPTURE(failure.dump());
    const std::string message = failure["message"];
    CHECK(message.find("test.lua:2") != message.npos);
    CHECK(message.find(part) != message.npos);
  }
  for (const char* name : {"refuse", "throw_up", "throw_five"})
    CHECK(run(host, std::string(name) + "()")["error"]["kind"] == "script");
  CHECK(host.get("refuse").empty());
}

TEST_CASE("a C function that throws anything at all fails its script alone") {
  const Stage stage;
  kling_host_options options = KLING_HOST_OPTIONS;
  options.base_url = stage.options.base_url.c_str();
  options.key = "sk-test";
  options.ledger = ":memory:";
  kling_host* host = kling_host_new(&options, nullptr, 0);
  REQUIRE(host != nullptr);
  CHECK(kling_host_register(
            host, "five", [](void*, kling_call*, const char*) { throw 5; }, nullptr) == 0);
  const std::string source = "return select(2, pcall(five))";
  const kling_task task = kling_host_run(host, "a", source.data(), source.size(), nullptr);
  for (int i = 0; i < 10'000 && kling_host_task_state(host, task) == KLING_TASK_RUNNING; ++i)
    CHECK(kling_host_tick(host, 0) >= 0);
  CHECK(std::string(kling_host_result(host, task)).find("no std::exception") != std::string::npos);
  CHECK(kling_host_task_state(host, 99) == KLING_TASK_UNKNOWN);
  CHECK(std::string(kling_host_error(host)) == "there is no such task");
  kling_host_free(host);
}

TEST_CASE("the program calls a function of its scripts as a task") {
  const Stage stage;
  Host host(stage.options);
  run(host, R"(
    level = {}
    function level.on_pickup(what, count)
      require "kling".sleep(0.01)
      return what, count + 1
    end
    function broken() error("oh", 0) end)");
  const Host::Task task = host.call("level.on_pickup", R"(["key", 1])");
  REQUIRE(until(host, [&] { return !host.running(task); }));
  CHECK(host.result(task) == R"(["key",2])");
  const Host::Task failing = host.call("broken");
  REQUIRE(until(host, [&] { return host.failed(failing); }));
  CHECK(Json::parse(host.result(failing))["error"]["kind"] == "script");
  CHECK(host.call("level.on_jump") == 0);
  CHECK(host.error() == "there is no function level.on_jump");
  CHECK(host.call("level") == 0);
  CHECK(host.call("nothing.at.all") == 0);
  CHECK(host.call("broken", "{}") == 0);
}

TEST_CASE("a function may be given again under its name, also by itself while it runs") {
  const Stage stage;
  Host host(stage.options);
  std::string said;
  host.provide("swap", [&, kept = std::string(100, 'a')](Call call, const char*) {
    CHECK(host.provide("swap", [](Call other, const char*) { other.answer("2"); }));
    said = kept;
    call.answer("1");
  });
  CHECK(run(host, "return swap(), swap()") == Json({1, 2}));
  CHECK(said == std::string(100, 'a'));
  std::thread([&] { CHECK_FALSE(host.provide("swap", [](Call, const char*) {})); }).join();
  CHECK(run(host, "return swap()") == Json({2}));
  CHECK(host.job("") == "");
}
