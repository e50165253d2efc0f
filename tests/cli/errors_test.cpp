// What bad input gets: one clear sentence, an exit code, and nothing lost.
#include <sys/stat.h>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

struct Row {
  const char* what;
  const char* script;
  int code;
  std::vector<std::string> says;
};

}  // namespace

TEST_CASE("bad input is refused before anything is sent") {
  const Row rows[] = {
      {"too long",
       "kling.text2video { prompt = ('x'):rep(2501) }",
       1,
       {"film.lua:2", "prompt", "2501", "2500"}},
      {"unknown field",
       "kling.text2video { prompt = 'x', modle_name = 'kling-v3' }",
       1,
       {"film.lua:2", "modle_name", "model_name"}},
      {"misspelt model",
       "kling.text2video { prompt = 'x', model_name = 'kling-v2-5-trubo', strict = true }",
       1,
       {"film.lua:2", "kling-v2-5-trubo", "kling-v2-5-turbo"}},
      {"missing file", "kling.image2video { prompt = 'x', image = 'none.png' }", 1, {"none.png"}},
      {"no prompt", "kling.text2video {}", 1, {"prompt"}},
      {"bad duration",
       "kling.text2video { prompt = 'x', duration = 7 }",
       1,
       {"film.lua:2", "7 s", "5 or 10"}},
      {"not a table", "kling.text2video(7)", 1, {"film.lua:2", "table"}},
      {"a handle that is none", "kling.job('nonsense://'):wait()", 1, {"film.lua:2", "handle"}},
      {"no such folder",
       "kling.image('film.lua'):save('/proc/x/y.lua')",
       1,
       {"film.lua:2", "/proc/x"}},
  };
  for (const Row& row : rows) {
    Stage stage(std::string("local kling = require 'kling'\n") + row.script);
    const Outcome run = stage.run();
    CAPTURE(row.what);
    CAPTURE(run.err);
    CHECK(run.code == row.code);
    for (const std::string& part : row.says) CHECK(contains(run.err, part));
    CHECK(stage.service->counters().creates == 0);
  }
}

TEST_CASE("a missing key is told with both ways out") {
  Stage stage("require 'kling'.text2video { prompt = 'x' }");
  stage.environment[0] = "KLING_API_KEY=";
  stage.environment.push_back("HOME=" + stage.folder.path());
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "KLING_API_KEY"));
  CHECK(contains(run.err, "--sim"));
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("a wrong key is the error at once") {
  sim::Options options;
  options.key = "sk-right";
  Stage stage("require 'kling'.text2video { prompt = 'x' }:wait()", options);
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "1002"));
  CHECK_FALSE(contains(run.err, "sk-test"));
}

TEST_CASE("a failed generation has an exit code of its own") {
  // A blocked word is accepted and fails later, as at the real service.
  Stage stage(
      "local kling = require 'kling'\nkling.text2video { prompt = 'a bloodbath at noon' }:wait()");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 3);
  CHECK(contains(run.err, "risk control"));
  CHECK(contains(run.err, "film.lua:2"));
}

TEST_CASE("garbage from the service is a lost answer and never a second request") {
  sim::Options options;
  options.faults = {"create#1: garbage"};
  options.external_lookup = false;
  Stage stage("require 'kling'.text2video { prompt = 'x' }:wait()", options);
  const Outcome run = stage.run({"run", "--patience", "0.1", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 4);
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("an unwritable folder moves the ledger and says so") {
  Stage stage("print(1)");
  // Root may write anywhere; a file where the ledger's folder should be stops everybody.
  std::ofstream(stage.folder / ".kling") << "in the way";
  std::ofstream(stage.folder / "film.lua") << "require 'kling'.text2video { prompt = 'x' }";
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "ledger"));
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("JSON output is one value a line and ends with the bill") {
  Stage stage(
      "local kling = require 'kling'\nprint('to stderr')\nkling.text2video { prompt = 'x' "
      "}:wait()");
  const Outcome run = stage.run({"run", "--json", "film.lua"});
  CAPTURE(run.out);
  CHECK(run.code == 0);
  std::istringstream lines(run.out);
  std::string last;
  for (std::string line; std::getline(lines, line); last = line) CHECK(line.front() == '{');
  CHECK(contains(last, "\"bill\""));
  CHECK(contains(run.err, "to stderr"));
}

TEST_CASE("wrong use exits with two") {
  Stage stage("");
  CHECK(stage.run({"run"}).code == 2);
  const struct {
    std::vector<std::string> words;
    const char* says;
  } rows[] = {
      {{"fly"}, "kling has no command fly\n  do: kling --help"},
      {{"docter"}, "did you mean doctor?"},
      {{"run", "--no-such-option", "film.lua"}, "kling run has no option --no-such-option"},
      {{"run", "--max-cost", "-1", "film.lua"}, "--max-cost: takes a number that is 0 or more"},
      {{"sim", "--credit", "much"}, "not much"},
      {{"run", "--speed", "x", "film.lua"},
       "--speed: takes a number from 0.01 to 100000, not x\n  do: --speed: simulated seconds"},
      {{"run", "--sim", "--dialect", "french", "film.lua"},
       "there is no dialect \"french\"; there"},
      {{"run", "--listen", "", "film.lua"}, "--listen: an address is HOST:PORT\n  do: kling run"},
      {{"jobs", "list", "--kind", "films"}, "--kind: films is not one of request,text2video,"},
      {{"jobs", "list", "--limit", "-1"}, "--limit: takes a number that is 0 or more, not -1"},
  };
  for (const auto& row : rows) {
    const Outcome used = stage.run(row.words);
    CAPTURE(used.err);
    CHECK(used.code == 2);
    CHECK(contains(used.err, row.says));
    CHECK(used.err.size() < 250);
  }
  const Outcome fault = stage.run({"run", "--sim", "--fault", "nonsense", "film.lua"});
  CHECK(fault.code == 2);
  CHECK(fault.err.starts_with("kling: --fault: fault \"nonsense\": WHAT#WHICH: FAULT is expected"));
  CHECK(stage.run({"run", "missing.lua"}).code == 1);
}

TEST_CASE("what could not be printed is an error") {
  const Stage stage("print('x')");
  std::ofstream(stage.folder / "word.lua") << "io.write('x')";
  for (const char* words : {"run film.lua", "run word.lua", "help", "--version"}) {
    Child child({"/bin/sh", "-c", std::string(KLING_PROGRAM) + " " + words + " >/dev/full"},
                stage.folder.path(), stage.environment);
    const Outcome run = child.wait();
    CAPTURE(std::string(words));
    CHECK(run.code == 1);
    CHECK(contains(run.err, "standard output could not be written whole"));
  }
  Child closed({"/bin/sh", "-c", KLING_PROGRAM " run film.lua >&-"}, stage.folder.path(),
               stage.environment);
  CHECK(closed.wait().code == 0);
}

TEST_CASE("what is no file is named as what it is, and its name moves no terminal") {
  const Stage stage("");
  std::filesystem::create_directories(stage.folder / "shots");
  REQUIRE(::mkfifo((stage.folder / "pipe.png").c_str(), 0600) == 0);
  for (const auto& [name, says] : {std::pair{"shots", "cannot read shots: it is a folder"},
                                   {"pipe.png", "cannot read pipe.png: it is no file"},
                                   {"a\\0b", "there is a zero byte in the path"},
                                   {"no\\27[2Jne\\u{202e}.png", "no such file: no [2Jne?.png"},
                                   {"\\xE9.png", "no such file: ?.png"}})
    for (const char* verb : {"still", "image"}) {
      std::ofstream(stage.folder / "film.lua")
          << "require('kling')." << verb << "('" << name << "'):save('x.png')";
      const Outcome run = stage.run();
      CAPTURE(run.err);
      CHECK(run.code == 1);
      CHECK(contains(run.err, says));
      CHECK(contains(run.err, "do: "));
    }
}

TEST_CASE("an error that is no text still has the script's line") {
  const struct {
    const char* script;
    const char* err;
  } rows[] = {
      {"\nerror()", "kling: film.lua:2: error without a text (nil)\n"},
      {"local function f() error({}) end\nf()",
       "kling: film.lua:1: error without a text (table)\n"},
      {"error(setmetatable({}, { __tostring = function() return 'mine' end }))", "kling: mine\n"},
      {"error(7)", "kling: 7\n"},
  };
  for (const auto& row : rows) {
    const Outcome run = Stage(row.script).run();
    CHECK(run.code == 1);
    CHECK(run.err.starts_with(row.err));
  }
}

TEST_CASE("tasks that wait for each other end the run and are named") {
  Stage stage(
      "local kling = require 'kling'\nlocal a, b\n"
      "a = kling.spawn(function() kling.sleep(0.01) return b:wait() end)\n"
      "b = kling.spawn(function() kling.sleep(0.01) local all = kling.all { a } return all "
      "end)\na:wait()");
  const Outcome run = stage.run();
  CHECK(run.code == 1);
  CHECK(contains(run.err, "wait for each other, and nothing else can end: film.lua:3, film.lua:4"));
}

TEST_CASE("a script gets its arguments as in lua") {
  Stage stage("print(arg[0], arg[1], arg[2], ...)");
  const Outcome run = stage.run({"run", "film.lua", "--", "--shots", "3"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.out == "film.lua\t--shots\t3\t--shots\t3\n");
}

TEST_CASE("a script gets as many arguments as the system allows") {
  Stage stage(R"(print(select("#", ...), select(-1, ...), #arg))");
  std::vector<std::string> words = {"run", "film.lua"};
  for (int i = 1; i <= 5000; ++i) words.push_back(std::to_string(i));
  for (const bool safe : {false, true}) {
    if (safe) words.insert(words.begin() + 1, "--profile=safe");
    const Outcome outcome = stage.run(words);
    CHECK(outcome.code == 0);
    CHECK(outcome.out == "5000\t5000\t5000\n");
  }
}

TEST_CASE("a failure that the script handled does not end the program with an error") {
  Stage stage(
      "local kling = require 'kling'\n"
      "local ok, err = pcall(function() kling.text2video { prompt = 'a bloodbath' }:wait() end)\n"
      "print(ok, err.kind)\n"
      "print(pcall(kling.image2video, { prompt = 'x', image = 'film.lua' }))");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(contains(run.out, "false\tpolicy"));
  CHECK(contains(run.out, "film.lua"));
  CHECK(contains(run.err, "1 submitted, 0 reused, $0.00, 1 failed"));
}

TEST_CASE("a failure that nobody waited for is told and has the code of a failed generation") {
  Stage stage("require 'kling'.text2video { prompt = 'a bloodbath' }");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 3);
  CHECK(contains(run.err, "risk control"));
}

TEST_CASE("a script's error is told once and last, and that a paid job still runs") {
  sim::Options options;
  options.clock = make_clock(60);  // the job runs for a second or more after the error
  const Stage stage(
      "local kling = require 'kling'\nlocal job = kling.text2video { prompt = 'x' }\n"
      "job:accepted()\njob:save('x.mp4')\n",
      options);
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err,
                 "kling: film.lua:4 failed; 1 job that is paid for still runs; waiting for it "
                 "(Ctrl-C leaves, and it goes on at the service)\n"));
  const std::string error =
      "kling: film.lua:4: a Job has no save\n  do: wait for its clip: job:wait():save(…)\n";
  CHECK(run.err.ends_with(error));
  CHECK(run.err.find("a Job has no save") == run.err.rfind("a Job has no save"));
}

TEST_CASE("shots that fail for one reason are told once, with their number") {
  Stage stage(
      "local kling = require 'kling'\nfor i = 1, 20 do kling.spawn(function()\n"
      "  kling.text2video { prompt = 'shot ' .. i, duration = 99 }\nend) end");
  const Outcome run = stage.run({"run", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 1);
  const std::string reason = "film.lua:3: text2video: duration";
  CHECK(contains(run.err, reason));
  CHECK(run.err.find(reason) == run.err.rfind(reason));
  CHECK(contains(run.err, "19 tasks more ended for the same reason"));
}

TEST_CASE("warnings are told with --json too, with their line") {
  Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'Shot ${n}' }:wait()");
  const Outcome run = stage.run({"run", "--json", "film.lua"});
  CHECK(run.code == 0);
  CHECK(contains(run.err, "warning: film.lua:2: text2video: ${n} stands in the prompt as it is"));
  CHECK(!contains(run.out, "warning"));
}

TEST_CASE(
    "a home folder is found behind an equals sign, and others may read a file without a key") {
  Stage stage("local kling = require 'kling'\nkling.text2video('A kite'):wait()");
  stage.environment.push_back("HOME=" + stage.folder.path());
  stage.environment.push_back("XDG_CONFIG_HOME=" + (stage.folder / "config"));
  std::filesystem::create_directories(stage.folder / "config/kling");
  std::ofstream(stage.folder / "config/kling/config") << "ask = false\n";
  std::filesystem::permissions(stage.folder / "config/kling/config", std::filesystem::perms(0644));
  const Outcome run = stage.run({"run", "--ledger=~/l.db", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(std::filesystem::exists(stage.folder / "l.db"));
  CHECK(!std::filesystem::exists(stage.folder / "~"));
}
