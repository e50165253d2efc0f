// What a script does not do to the program around it.
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <unistd.h>

#include "runtime/hooks.h"
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("os exit ends the script with its children and no pcall catches it") {
  const Stage stage;
  Host host(stage.options);
  run(host, "function mark(what) marks = (marks or '') .. what end");
  const auto other = host.run("other.lua", "require 'kling'.sleep(1000)");
  for (const char* leave :
       {"os.exit(5)", "pcall(os.exit, 5)", "pcall(function() pcall(os.exit, 5) end)",
        "coroutine.wrap(function() pcall(os.exit, 5) mark 'x' end)()",
        "table.sort({ 1, 2 }, function() pcall(os.exit, 5) mark 'x' end)",
        "kling.all { function() pcall(kling.sleep, 0) os.exit(5) end }",
        "kling.timeout(9, function() pcall(os.exit, 5) end)",
        "local t <close> = setmetatable({}, { __close = function() os.exit(5) end }) error 'x'",
        "pcall(function() local t <close> = setmetatable({}, { __close = function() os.exit(5) end "
        "})"
        " error 'x' end)"}) {
    CAPTURE(leave);
    const Json failure = run(host, std::string(R"(
      kling = require "kling"
      local child = kling.spawn(function()
        while true do pcall(kling.sleep, 0.001) end
      end)
      local closed <close> = setmetatable({}, { __close = function() mark "c" end })
      )") + leave + " mark 'x'");
    CHECK(failure["error"]["kind"] == "interrupted");
    CHECK(failure["error"]["code"] == "5");
  }
  CHECK(host.get("marks") == R"("ccccccccc")");
  // In what its failure is told with: nobody else ends.
  run(host, "error(setmetatable({}, { __tostring = function() os.exit(1) end }))");
  run(host,
      "local t <close> = setmetatable({}, { __close = function()"
      " kling.spawn(function() survived = true end) end }) os.exit(5)");
  CHECK(run(host, "kling.sleep(0.01) return survived") == Json({nullptr}));
  CHECK(run(host, "os.exit(true)") == Json::array());
  CHECK(run(host, "os.exit()") == Json::array());
  CHECK(run(host, "os.exit(false)")["error"]["code"] == "1");
  CHECK(host.running(other));
  CHECK(run(host, "return 1") == Json({1}));  // and the host lives
}

TEST_CASE("what a script prints is logged and it reads no input of the program") {
  for (const char* profile : {"full", "safe"}) {
    CAPTURE(profile);
    Stage stage;
    stage.options.profile = profile;
    std::string printed;
    stage.options.log = [&](const char* level, const char* line) {
      printed += std::string(level) + ":" + line + "|";
    };
    Host host(stage.options);
    run(host, "print('a', nil, 1)  print()");
    CHECK(printed == "print:a\tnil\t1|print:|");
    printed.clear();
    run(host, "print('x\\0y', ('z'):rep(65530))");
    CHECK(printed == "print:x\\0y\t" + std::string(65530, 'z') + "|");
    if (std::string(profile) == "safe") continue;
    printed.clear();
    const TempFolder folder;
    const std::string path = folder / "out.txt";
    run(host,
        "io.write('one ', 2, '\\nthr') io.stdout:write('ee\\n'):write('') "
        "local file = io.open('" +
            path +
            "', 'w') file:write('kept\\n') file:close() "
            "io.output('" +
            path + "2') io.write('there') io.close() io.output(io.stdout)");
    CHECK(printed == "print:one 2|print:three|");
    std::string kept, there;
    std::getline(std::ifstream(path), kept);
    std::getline(std::ifstream(path + "2"), there);
    CHECK(kept == "kept");
    CHECK(there == "there");
    for (const char* read :
         {"io.read()", "io.stdin:read('a')", "for l in io.lines() do end", "io.stdin:lines()()"})
      CHECK(run(host, read)["message"].get<std::string>().find("no standard input") !=
            std::string::npos);
    for (const char* read : {"dofile()", "loadfile()", "debug.debug()"})
      CHECK(run(host, read)["message"].get<std::string>().find("no standard input") !=
            std::string::npos);
    printed.clear();
    run(host, "for i = 1, 3000 do io.write('x') end io.flush() io.write('next\\n')");
    CHECK(printed == "print:" + std::string(3000, 'x') + "|print:next|");
    printed.clear();
    run(host, "io.write('a\\nlast')");
    CHECK(printed == "print:a|print:last|");
    printed.clear();
    run(host, "io.write(('x'):rep(1 << 18))");  // its memory is not Lua's: in pieces
    CHECK(std::ranges::count(printed, '|') == 4);
    CHECK(run(host, "return io.stdout:seek('set', 0)")[0].is_null());
    CHECK(run(host, "for line in io.lines('" + path + "') do return line end") == Json({"kept"}));
  }
}

TEST_CASE("what a script starts does not read the input of the program") {
  const Stage stage;
  Host host(stage.options);
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  REQUIRE(::write(ends[1], "secret", 6) == 6);
  const int kept = ::dup(0);
  ::dup2(ends[0], 0);
  for (const int end : ends) ::close(end);
  CHECK(run(host, "return io.popen('cat'):read('a'), os.execute('read -r line')")[0] == "");
  CHECK(run(host, "return os.execute('cat >/dev/null')")[0] == true);
  CHECK(run(host, "return io.popen('exit 3'):close()")[2] == 3);
  CHECK(run(host, "return os.execute(), (io.popen('cat >/dev/null', 'w'):write('x'):close())") ==
        Json({true, true}));
  // Under any name; what only writes there, as to a terminal, is no reading.
  const TempFolder folder;
  std::filesystem::create_symlink("/dev/stdin", folder / "link");
  const std::string other = "/proc/" + std::to_string(::getpid()) + "/fd/0";
  for (const std::string& name : {std::string("/dev/stdin"), other, folder / "link"})
    for (const char* open : {"io.open('%', 'rb')", "io.open('%', 'r+')", "io.input('%')",
                             "for l in io.lines('%') do end", "loadfile('%')", "dofile('%')"}) {
      std::string script = open;
      script.replace(script.find('%'), 1, name);
      CAPTURE(script);
      CHECK(run(host, script)["message"].get<std::string>().find("no standard input") !=
            std::string::npos);
    }
  CHECK(run(host, "return io.open('" + other + "', 'wb'):close()") == Json({true}));
  CHECK(run(host, "return io.open('/dev/null'):read('a'), io.open('/dev/null', 'w') ~= nil") ==
        Json({"", true}));
  char left[7] = "";
  CHECK(::read(0, left, 6) == 6);
  CHECK(std::string(left) == "secret");
  ::dup2(kept, 0);
  ::close(kept);
}

TEST_CASE("an error of a task that nobody waits for is logged as it happens and once") {
  Stage stage;
  std::string logged;
  stage.options.log = [&](const char* level, const char* line) {
    logged += std::string(level) + ":" + line + "|";
  };
  Host host(stage.options);
  const auto task = host.run("test.lua", R"(
    local kling = require "kling"
    collectgarbage("stop")
    local waited = kling.spawn(function() kling.sleep(0.01) error "waited" end)
    local held = kling.spawn(function() error "held" end)
    kling.spawn(function() error "boom" end)
    pcall(waited.wait, waited)
    stage = 1
    pcall(kling.all, { function() error "caught" end, function() kling.sleep(0) error "too" end })
    while stage == 1 do kling.sleep(0) end
    collectgarbage("restart")
    return pcall(held.wait, held)
  )");
  REQUIRE(until(host, [&] { return host.get("stage") == "1"; }));
  CHECK(logged == "error:test.lua:5: held|error:test.lua:6: boom|");
  host.set("stage", "2");
  REQUIRE(until(host, [&] { return !host.running(task); }));
  CHECK(Json::parse(host.result(task))[0] == false);  // it can be waited for all the same
  run(host, "collectgarbage()");
  CHECK(logged == "error:test.lua:5: held|error:test.lua:6: boom|");
}

TEST_CASE("tasks that wait for each other are told to the host, once as long as it is so") {
  Stage stage;
  std::string logged;
  stage.options.log = [&](const char* level, const char* line) {
    logged += std::string(level) + ":" + line + "|";
  };
  Host host(stage.options);
  const std::string script = R"(
    local kling = require "kling"
    local second
    local first = kling.spawn(function() kling.sleep(0) second:wait() end)
    second = kling.spawn(function() first:wait() end)
    kling.sleep(0) second:wait())";
  const std::string told =
      "warning:tasks wait for each other, and nothing else can end: test.lua:4, test.lua:5, "
      "test.lua:6|";
  const auto task = host.run("test.lua", script);
  REQUIRE(until(host, [&] { return !logged.empty(); }));
  for (int i = 0; i < 3; ++i) host.tick(1000);
  CHECK(logged == told);
  CHECK(host.running(task));
  host.cancel_all();
  REQUIRE(until(host, [&] { return !host.running(task); }));
  host.run("test.lua", script);
  REQUIRE(until(host, [&] { return logged != told; }));
  CHECK(logged == told + told);
}

TEST_CASE("a call of the waking function that a tick overtakes is the one after that tick") {
  struct SlowClock final : Clock {
    std::atomic<bool> waits{false}, late{false}, go{false};
    Millis now() const override { return 0; }
    void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                    Millis) override {
      waits = true;
      wake.wait(lock);
      lock.unlock();
      for (late = true; !go;) std::this_thread::yield();
      lock.lock();
    }
    Millis real_millis_until(Millis) const override { return 0; }
  };
  const auto clock = std::make_shared<SlowClock>();
  const auto queue = std::make_shared<engine::CompletionQueue>(clock);
  std::atomic<int> rung{0};
  runtime::Bell bell([](void* user) { ++*static_cast<std::atomic<int>*>(user); }, &rung, queue);
  while (!clock->waits) std::this_thread::yield();
  queue->wake();
  while (!clock->late) std::this_thread::yield();
  bell.set(kNever);
  clock->go = true;
  while (rung == 0) std::this_thread::yield();
  for (int i = 0; i < 100; ++i) {
    queue->wake();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  CHECK(rung == 1);
  bell.set(kNever);
  queue->wake();
  while (rung == 1) std::this_thread::yield();
}

TEST_CASE("a loop without descriptors is woken when there is something to tick for") {
  Stage stage;
  std::atomic<int> rung{0};
  stage.options.wake = [&] { ++rung; };
  Host host(stage.options);
  const auto woken = [&](int times) {
    const auto start = Steady::now();
    while (rung < times && millis_since(start) < 180'000) std::this_thread::yield();
    return rung == times;
  };
  host.wakeup();
  CHECK(woken(1));
  host.wakeup();
  host.tick(0);
  const auto task = host.run("a.lua", "require 'kling'.sleep(0.05) return 1");
  CHECK(woken(2));
  int ticks = 0;
  for (int seen = rung; host.running(task); ++ticks) {  // sleeps until it is called
    while (host.tick(1000)) {
    }
    if (host.running(task)) REQUIRE(woken(++seen));
  }
  CHECK(ticks < 10);
  // A job, too, by nothing else than calls.
  const auto job =
      host.run("b.lua", "return require 'kling'.text2video { prompt = 'a' }:wait().url");
  while (!host.done(job)) {
    const int seen = rung;
    while (host.tick(1000)) {
    }
    if (!host.done(job)) {
      const auto start = Steady::now();
      while (rung == seen && millis_since(start) < 180'000) std::this_thread::yield();
      REQUIRE(rung > seen);
    }
  }
}

TEST_CASE("a host is busy while a paid request is on its way") {
  std::vector<Exchange> held;
  HostOptions options;
  options.ledger = ":memory:";
  options.key = "sk-test";
  options.send = [&](const kling_request&, Exchange exchange) {
    held.push_back(std::move(exchange));
  };
  Host host(std::move(options));
  CHECK_FALSE(host.busy());
  host.run("a.lua", "require 'kling'.text2video { prompt = 'a' }");
  REQUIRE(until(host, [&] { return !held.empty(); }));
  CHECK(host.busy());
  held[0].answer(200, R"({"code":0,"data":{"task_id":"7","task_status":"submitted"}})");
  CHECK(until(host, [&] { return !host.busy(); }));
  CHECK(host.pending() == 1);
}

TEST_CASE("a host that forgets leaves no clips behind and sweeps those of the dead") {
  const TempFolder folder;
  const Stage stage;
  ::setenv("TMPDIR", folder.path().c_str(), 1);
  const auto files = [&] {
    return std::distance(std::filesystem::directory_iterator(folder.path()), {});
  };
  const auto dead = folder / "kling-clips-0123456789abcdef";
  std::filesystem::create_directory(dead);
  std::ofstream(dead + "/clip.mp4") << "old";
  std::ofstream(dead + ".lock") << "";
  const char* script = "return require 'kling'.text2video { prompt = 'a' }:wait().path";
  Host one(stage.options);
  const std::string path = run(one, script)[0];
  CHECK(path.starts_with(folder.path()));
  CHECK_FALSE(std::filesystem::exists(dead));
  Host two(stage.options);
  run(two, script);
  CHECK(std::filesystem::exists(path));  // in use
  one = Host();
  two = Host();
  const auto start = Steady::now();
  while (files() > 0 && millis_since(start) < 180'000) std::this_thread::yield();
  CHECK(files() == 0);
  ::unsetenv("TMPDIR");
}
