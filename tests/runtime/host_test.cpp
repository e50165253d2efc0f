// kling::Host, and with it the whole C API, against the simulator over real HTTP.
#include <atomic>
#include <fstream>
#include <limits>
#include <set>

#include "base/files.h"
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("a script runs as a task and its results and jobs are JSON") {
  const Stage stage;
  Host host(stage.options);
  REQUIRE(host);
  const Json results = run(host, R"(
    local kling = require "kling"
    local clip = kling.text2video { prompt = ... }:wait()
    return clip.duration // 1, { "a", 2 }, kling.null)",
                           R"(["A paper boat"])");
  CHECK(results == Json::parse(R"([5.0, ["a", 2], null])"));
  const Json jobs = Json::parse(host.jobs());
  REQUIRE(jobs.size() == 1);
  CHECK(jobs[0]["kind"] == "text2video");
  CHECK(jobs[0]["prompt"] == "A paper boat");
  CHECK(jobs[0]["state"] == "succeeded");
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("what fails is told with its kind and its line") {
  const Stage stage;
  Host host(stage.options);
  const Json refused = run(host, "\nrequire 'kling'.text2video { promt = 'x' }");
  CHECK(refused["error"]["kind"] == "invalid");
  CHECK(refused["message"].get<std::string>().find("test.lua:2") != std::string::npos);
  CHECK(run(host, "error('plain')")["message"].get<std::string>().find("plain") !=
        std::string::npos);
  CHECK(host.run("broken.lua", "x = = 1") == 0);
  CHECK(host.error().find("broken.lua:1") != std::string::npos);
  CHECK(host.run("binary.lua", "\x1bLua") == 0);
  CHECK(host.run_file("missing.lua") == 0);
  CHECK(host.run("x.lua", "", "{}") == 0);
  CHECK(host.result(99).empty());
  CHECK_FALSE(Host(HostOptions{}));
  HostOptions odd;
  odd.ledger = ":memory:";
  odd.profile = "odd";
  CHECK(Host(odd).error().find("profile") != std::string::npos);
}

TEST_CASE("values go in and come out") {
  const Stage stage;
  Host host(stage.options);
  CHECK(host.set("scene", R"({"name": "dusk", "size": [1280, 720]})"));
  CHECK_FALSE(host.set("scene", "{"));
  CHECK(run(host, "answer = scene.name .. scene.size[2] return #scene.size") == Json({2}));
  CHECK(host.get("answer") == R"("dusk720")");
  CHECK(host.get("nothing") == "null");
  CHECK(host.get("print").empty());
  CHECK(host.set("scene", "null"));
  CHECK(host.get("scene") == "null");
}

TEST_CASE("a forgotten task is unknown and a cancelled one ends with interrupted") {
  const Stage stage;
  Host host(stage.options);
  const auto sleeper = host.run("sleeper.lua", "require 'kling'.sleep(1000)");
  const auto other = host.run("other.lua", "require 'kling'.sleep(0.05) return 1");
  CHECK(until(host, [&] { return host.done(other); }));
  CHECK(host.running(sleeper));
  host.cancel(sleeper);
  CHECK(until(host, [&] { return host.failed(sleeper); }));
  CHECK(Json::parse(host.result(sleeper))["error"]["kind"] == "interrupted");
  host.forget(sleeper);
  CHECK_FALSE(host.failed(sleeper));
}

TEST_CASE("a reloaded script goes on with its jobs also without a ledger file") {
  for (const int moment : {0, 1, 3, 10, 30, 60}) {
    CAPTURE(moment);
    const Stage stage;
    Host host(stage.options);
    const std::string script = R"(
      local kling = require "kling"
      local a = kling.text2video { prompt = "one" }
      local b = kling.text2video { prompt = "one" }
      a:accepted()
      b:accepted()
      return a.id ~= b.id)";
    REQUIRE(host.run("test.lua", script) != 0);
    const auto start = Steady::now();
    until(host, [&] { return millis_since(start) >= moment; });
    REQUIRE(host.reload());
    CHECK(run(host, script) == Json({true}));
    CHECK(stage.service->counters().accepted == 2);
    REQUIRE(host.reload());
    CHECK(run(host, script + ", a.reused, b.reused") == Json({true, true, true}));
    CHECK(stage.service->counters().accepted == 2);
  }
}

TEST_CASE("what was accepted before a reload is announced with its clip though no script asks") {
  const Stage stage;
  Host host(stage.options);
  const Json begun = run(host, R"(
    local job = require "kling".text2video { prompt = "one" }
    job:accepted()
    return job.handle)");
  REQUIRE(host.reload());
  CHECK(host.pending() == 1);
  std::set<std::string> told;
  REQUIRE(until(host, [&] {
    for (std::string event = host.next_event(); !event.empty(); event = host.next_event())
      told.insert(Json::parse(event)["event"]);
    return told.contains("succeeded");
  }));
  const Json job = Json::parse(host.job(begun[0].get<std::string>().c_str()));
  CHECK(job["state"] == "succeeded");
  CHECK(std::filesystem::exists(job["path"].get<std::string>()));
  CHECK(until(host, [&] { return host.pending() == 0; }));
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("hosts live side by side on threads of their own") {
  const Stage stage;
  std::atomic<int> done{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i)
    threads.emplace_back([&, i] {
      Host host(stage.options);
      const auto task = host.run("test.lua",
                                 "local k = require 'kling' return "
                                 "k.text2video { prompt = ... }:wait().duration",
                                 ("[\"" + std::to_string(i) + "\"]").c_str());
      if (until(host, [&] { return host.done(task); })) ++done;
    });
  for (auto& thread : threads) thread.join();
  CHECK(done == 3);
  CHECK(stage.service->counters().accepted == 3);
}

TEST_CASE("callbacks come on the ticking thread and a host may bring transport clock and memory") {
  EndlessService service;
  const auto here = std::this_thread::get_id();
  std::vector<std::thread::id> seen;
  long long time = 1'800'000'000'000;
  std::size_t bytes = 0;
  int keys = 0;
  HostOptions options;
  options.ledger = ":memory:";
  options.poll = 1;
  options.get_key = [&] { return ++keys, seen.push_back(std::this_thread::get_id()), "sk-own"; };
  options.now = [&] { return time; };
  options.log = [&](const char*, const char*) { seen.push_back(std::this_thread::get_id()); };
  options.allocate = [&](void* block, std::size_t old_size, std::size_t new_size) -> void* {
    bytes += new_size - (block ? old_size : 0);
    if (new_size != 0) return std::realloc(block, new_size);
    std::free(block);
    return nullptr;
  };
  options.send = [&](const kling_request& request, Exchange exchange) {
    CHECK(std::string(request.headers[1]) == "Bearer sk-own");
    service.answer(request, std::move(exchange));
  };
  {
    Host host(std::move(options));
    REQUIRE(host);
    const auto task = host.run("test.lua",
                               "local k = require 'kling' k.log('hello')\n"
                               "job = k.text2video { prompt = 'x' } id = job.id job:wait()");
    CHECK(until(host, [&] { return service.creates == 1; }));
    CHECK(keys == 1);
    CHECK(bytes > 10'000);
    const auto start = Steady::now();
    until(host, [&] { return millis_since(start) > 100; });
    CHECK(service.queries == 0);  // time stands still
    time += 2000;
    CHECK(until(host, [&] { return service.queries == 1; }));
    CHECK(host.running(task));
  }
  CHECK(bytes == 0);
  for (const auto id : seen) CHECK(id == here);
  CHECK(service.asked_on == here);
}

TEST_CASE("the transport hook decides whether a failed request may be sent again") {
  for (const bool sent : {false, true}) {
    CAPTURE(sent);
    EndlessService service;
    int tries = 0;
    HostOptions options;
    options.ledger = ":memory:";
    options.key = "k";
    options.poll = 0.01;
    options.send = [&](const kling_request& request, Exchange exchange) {
      if (std::string(request.method) == "POST" && tries++ == 0) return exchange.fail(sent);
      if (sent) return exchange.answer(404, "{\"code\":1203,\"message\":\"no such task\"}");
      service.answer(request, std::move(exchange));
    };
    Host host(std::move(options));
    const auto task = host.run("test.lua",
                               "local k = require 'kling' k.configure { patience = 0 }\n"
                               "return k.text2video { prompt = 'x' }:accepted().id");
    CHECK(until(host, [&] { return !host.running(task); }));
    CHECK(tries == (sent ? 1 : 2));
    if (sent) CHECK(Json::parse(host.result(task))["error"]["kind"] == "ambiguous");
  }
}

TEST_CASE("a script that is reloaded with another poll interval gets it for its next job") {
  EndlessService service;
  HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.send = [&](const kling_request& request, Exchange exchange) {
    service.answer(request, std::move(exchange));
  };
  Host host(std::move(options));
  const auto script = [](const char* poll, const char* prompt) {
    return std::string("local k = require 'kling' k.configure { poll = ") + poll +
           " } return k.text2video { prompt = '" + prompt + "' }:accepted().id";
  };
  run(host, script("1000", "before"));
  REQUIRE(host.reload());
  run(host, script("0.01", "after"));
  CHECK(service.creates == 2);
  CHECK(until(host, [&] { return service.queries > 1; }));
}

TEST_CASE("a memory limit ends the script and not the host") {
  Stage stage;
  stage.options.memory_limit = 4 << 20;
  Host host(stage.options);
  const char* hungry = "local list = {} for i = 1, 1e8 do\nlist[i] = { i } end";
  CHECK(run(host, "return #string.rep('x', 1e8)")["message"] == "test.lua:1: not enough memory");
  CHECK(run(host, hungry)["message"] == "test.lua:2: not enough memory");
  CHECK(run(host, "return 1") == Json({1}));
  stage.options.profile = "safe";
  Host safe(stage.options);
  for (int i = 0; i < 2; ++i)
    CHECK(run(safe, hungry)["message"] ==
          "test.lua:2: not enough memory: the limit is 4194304 bytes");
  CHECK(run(safe, "return 1") == Json({1}));
  // Results are told although what was caught left the memory full of garbage.
  const std::string caught = "return pcall(function() " + std::string(hungry) + " end)";
  CHECK(run(safe, caught) == Json({false, "not enough memory"}));
  stage.options.memory_limit = 1000;
  CHECK_FALSE(Host(stage.options));
}

TEST_CASE("a script file may require its neighbours and wait inside of them") {
  const Stage stage;
  const TempFolder folder;
  std::ofstream(folder / "main.lua") << "#!shebang\nreturn require 'part' + 1\n";
  std::ofstream(folder / "part.lua") << "require 'kling'.sleep(0.01) return 41\n";
  Host host(stage.options);
  const auto task = host.run_file(folder / "main.lua");
  CHECK(until(host, [&] { return !host.running(task); }));
  CHECK(host.result(task) == "[42]");
}

TEST_CASE("thousands of arguments and results pass through a host") {
  const Stage stage;
  Host host(stage.options);
  REQUIRE(host);
  Json given = Json::array();
  for (int i = 0; i < 20'000; ++i) given.push_back(i);
  CHECK(run(host, "return ...", given.dump().c_str()) == given);
}

TEST_CASE("numbers beyond those of Lua are the nearest there is, whichever way they come") {
  const Stage stage;
  Host host(stage.options);
  const char* const big = "[18446744073709551615, 18446744073709551616, -9223372036854775809]";
  const std::string compare = R"(
    local list = ...
    return list[1] == 2.0 ^ 64, list[2] == 2.0 ^ 64, list[3] == -2.0 ^ 63, math.type(list[2]))";
  const Json same = {true, true, true, "float"};
  host.provide("big", [&](Call call, const char*) { call.answer(big); });
  CHECK(host.set("given", big));
  CHECK(run(host, compare, ("[" + std::string(big) + "]").c_str()) == same);
  CHECK(run(host, "local list = given" + compare.substr(compare.find("...") + 3)) == same);
  CHECK(run(host, "local list = big()" + compare.substr(compare.find("...") + 3)) == same);
  CHECK_FALSE(host.set("given", "1e999"));
  CHECK(host.error() == "this is no JSON of at most 64 levels: 1e999");
}

TEST_CASE("a script from a file finds the modules beside it, whatever its folder is called") {
  const Stage stage;
  const TempFolder folder;
  Host host(stage.options);
  std::vector<std::pair<std::string, Host::Task>> tasks;
  for (const std::string name : {"plain", "a;b", "q?x", "50%", "ü", "sp ace"}) {
    const std::string at = folder.path() + "/" + name + "/";
    REQUIRE(make_folders(at + "parts/more").ok());
    std::ofstream(at + "film.lua")
        << "local own, k = require 'parts." << (tasks.size()) << "', require 'kling'\n"
        << "function at_" << tasks.size() << "() return (require 'late" << tasks.size()
        << "') end\n"
        << "k.sleep(0) return own, require 'parts.more', k.spawn(require, 'same'):wait()";
    std::ofstream(at + "parts/" + std::to_string(tasks.size()) + ".lua")
        << "return '" << name << "'";
    std::ofstream(at + "parts/more/init.lua") << "return 'more'";
    std::ofstream(at + "same.lua") << "package.loaded.same = nil return '" << name << "'";
    std::ofstream(at + "late" + std::to_string(tasks.size()) + ".lua")
        << "return 'late " << name << "'";
    tasks.emplace_back(name, host.run_file(at + "film.lua"));  // and no tick between them
  }
  for (const auto& [name, task] : tasks) {
    REQUIRE(until(host, [&, task = task] { return !host.running(task); }));
    CHECK(Json::parse(host.result(task))[0] == name);
    CHECK(Json::parse(host.result(task))[1] == "more");
  }
  const Host::Task late = host.call("at_1");  // a function has no folder of its own
  REQUIRE(until(host, [&] { return !host.running(late); }));
  CHECK(host.result(late) == R"(["late a;b"])");
  std::ofstream(folder.path() + "/plain/bad.lua") << "return (";
  const std::string told = run(host, "require 'bad'")["message"];
  CHECK(told.find("plain/bad.lua:1:") != told.npos);
  CHECK(run(host, "require 'nowhere'")["message"].get<std::string>().find(
            "module 'nowhere' not found") != std::string::npos);
}

TEST_CASE("relative paths are meant as they were when the host was made") {
  const TempFolder folder;
  const auto before = std::filesystem::current_path();
  Stage stage;
  stage.options.ledger = "records/ledger.db";
  std::filesystem::current_path(folder.path());
  Host host(stage.options);
  std::filesystem::current_path(before);
  run(host, "require 'kling'.text2video { prompt = 'a' }:wait()");
  CHECK(std::filesystem::exists(folder.path() + "/records/ledger.db"));
  CHECK_FALSE(std::filesystem::exists(before / "records"));
  std::filesystem::current_path(folder.path());
  CHECK(Host(stage.options));  // the file is there now
  std::filesystem::current_path(before);
}

TEST_CASE("a key that the program has later counts from the next request on") {
  Stage stage;
  stage.options.key = "";
  std::string typed;
  stage.options.get_key = [&] { return typed; };
  Host host(stage.options);
  const char* script = "return require 'kling'.text2video { prompt = 'a' }:wait()";
  CHECK(run(host, script)["error"]["kind"] == "auth");
  typed = "sk-test";
  CHECK(run(host, script)[0].contains("clip"));
  typed = "";  // and not one that it has taken back
  CHECK(host.reload());
  CHECK(run(host, "return require 'kling'.text2video { prompt = 'b' }:wait()")["error"]["kind"] ==
        "auth");
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("what a script means of a clip is told with it") {
  Stage stage;
  Host host(stage.options);
  const Json told = run(host, R"(
    local clip = require "kling".text2video { prompt = "a" }:wait()
    return clip, clip:trim(1, 2.5), clip:trim(1), clip:mute())");
  CHECK_FALSE((told[0].contains("from") || told[0].contains("to") || told[0].contains("mute")));
  CHECK(told[1]["clip"] == told[0]["clip"]);
  CHECK(told[1]["from"] == 1);
  CHECK(told[1]["to"] == 2.5);
  CHECK(told[1]["duration"] == 1.5);
  CHECK(told[2]["to"] == told[0]["duration"]);
  CHECK(told[3]["mute"] == true);
  REQUIRE(stage.service->add_fault("query#*: fail-reason-url").ok());  // which tells no length
  const Json untold =
      run(host, "return require 'kling'.text2video { prompt = 'b' }:wait():trim(1)");
  CHECK(untold[0]["duration"] == 0);
}

TEST_CASE("hints name the options of the program") {
  Stage stage;
  const auto hint_of = [](const HostOptions& options) {
    Host host(options);
    const Json failure = run(host, "require 'kling'.text2video { prompt = 'a' }:wait()");
    return failure["error"].value("hint", "");
  };
  stage.options.key = "";
  CHECK(hint_of(stage.options) == "set the option key, or get_key");
  stage.options.key = "sk-test";
  stage.options.max_cost = 0.01;
  const std::string cost = hint_of(stage.options);
  CHECK(cost.find("(the option max_cost)") != cost.npos);
  CHECK(cost.find("--") == cost.npos);
}

TEST_CASE("a lost answer in a program is decided with the ledger of its option") {
  const TempFolder folder;
  for (const std::string& ledger : {folder.path() + "/game.db", std::string(":memory:")}) {
    HostOptions options;
    options.key = "k";
    options.ledger = ledger;
    options.patience = -1;
    options.send = [](const kling_request& request, Exchange exchange) {
      if (std::string(request.method) == "POST") return exchange.fail(true);
      exchange.answer(404, R"({"code":1203,"message":"no"})");
    };
    Host host(options);
    const Json failure = run(host, "require 'kling'.text2video { prompt = 'a' }:wait()");
    CHECK(failure["error"]["kind"] == "ambiguous");
    const std::string hint = failure["error"].value("hint", "");
    const bool named = hint.find(" --ledger " + ledger + " --adopt") != hint.npos;
    CHECK(named == (ledger != ":memory:"));
    CHECK((hint.find("kling jobs") != hint.npos) == named);
  }
}

TEST_CASE("limits that have no end are none") {
  Stage stage;
  stage.options.profile = "safe";
  stage.options.wall_limit = std::numeric_limits<double>::infinity();
  stage.options.max_cost = std::numeric_limits<double>::infinity();
  Host host(stage.options);
  REQUIRE(host);
  const Host::Task task = host.run("a", "local n = 0 for i = 1, 1e6 do n = n + i end return n");
  host.tick(std::numeric_limits<long long>::max());
  CHECK(host.result(task) == "[500000500000]");
}

TEST_CASE("an empty host answers every call") {
  Host host;
  CHECK_FALSE(host);
  CHECK(host.run("a", "b") == 0);
  CHECK_FALSE(host.tick(1));
  CHECK(host.jobs() == "[]");
  CHECK_FALSE(host.reload());
  host = Host(Stage().options);
  CHECK(host);
}

TEST_CASE("the safe profile stops a script in its tick and shows it only its root") {
  Stage stage;
  const TempFolder folder;
  std::ofstream(folder / "part.lua") << "return 41";
  stage.options.profile = "safe";
  stage.options.instruction_limit = 1'000'000;
  stage.options.roots = {folder.path()};
  Host host(stage.options);
  REQUIRE(host);
  CHECK(run(host, "return io == nil, os.execute == nil, debug and debug.sethook == nil") ==
        Json({true, true, true}));
  CHECK(run(host, "return require 'part' + 1") == Json({42}));
  const char* endless = "while true do pcall(function() while true do end end) end";
  const auto why = [&](Host& of) { return run(of, endless)["message"].get<std::string>(); };
  CHECK(why(host).find("used up its 1000000 instructions") != std::string::npos);
  CHECK(run(host, "return require 'kling'.text2video { prompt = 'x' }:accepted().kind") ==
        Json({"text2video"}));
  stage.options.instruction_limit = 0;
  stage.options.wall_limit = 0.1;
  Host other(stage.options);
  CHECK(why(other).find("ran longer than 0.1 seconds") != std::string::npos);
  stage.options.log = [](const char*, const char*) {};
  Host printing(stage.options);
  endless = "while true do print 'x' end";
  CHECK(why(printing).starts_with("test.lua:1: the script ran longer"));
}

TEST_CASE("a question of a script that was cancelled is not open any more") {
  const Stage stage;
  Host host(stage.options);
  const Host::Task task = host.run("ask.lua", R"(
    collectgarbage("stop")
    return require("kling").ask("Day or night?", { "day", "night" }))");
  REQUIRE(until(host, [&] { return host.questions() != "[]"; }));
  host.cancel(task);
  REQUIRE(until(host, [&] { return !host.running(task); }));
  CHECK(host.questions() == "[]");
  CHECK_FALSE(host.answer(1, 1));
  CHECK(host.error() == "there is no question 1 with an answer 1");
}

TEST_CASE("a program answers what its scripts ask") {
  const Stage stage;
  Host host(stage.options);
  const Host::Task task = host.run("ask.lua", R"(
    return require("kling").ask("Day or night?", { "day", "night" }))");
  CHECK(host.questions() == "[]");
  REQUIRE(until(host, [&] { return host.questions() != "[]"; }));
  const Json asked = Json::parse(host.questions())[0];
  const Json event = Json::parse(host.next_event());
  CHECK(event["event"] == "question");
  CHECK(event["question"] == asked);
  CHECK(host.next_event().empty());
  CHECK(asked["question"] == "Day or night?");
  CHECK(asked["choices"] == Json{"day", "night"});
  CHECK(asked["where"] == "ask.lua:2");
  CHECK(host.pending() == 0);
  CHECK_FALSE(host.answer(asked["id"], 3));
  const std::string question = "question " + asked["id"].dump();
  CHECK(host.error() == "there is no " + question + " with an answer 3");
  CHECK_FALSE(host.answer(77, 1));
  CHECK(host.answer(asked["id"], 2));
  CHECK_FALSE(host.answer(asked["id"], 1));  // before it is recorded
  CHECK(host.error() == question + " was answered before");
  REQUIRE(until(host, [&] { return !host.running(task); }));
  CHECK(Json::parse(host.result(task)) == Json{"night"});
  CHECK(Json::parse(host.questions())[0]["answer"] == 2);
  CHECK_FALSE(host.answer(asked["id"], 1));  // and after that
  CHECK(host.error() == question + " was answered before");
}
