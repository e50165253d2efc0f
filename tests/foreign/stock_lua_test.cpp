// The module in an unmodified interpreter: `require "kling"` in lua5.4.
#include <filesystem>
#include <map>

#include "cli/program.h"
#include "foreign/foreign.h"
#include "support/copy_scripts.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

/// The films below out/, each with its size and frames; out/ is then emptied.
std::map<std::string, std::string> take_films(const Stage& stage) {
  std::map<std::string, std::string> films;
  for (const auto& entry : fs::recursive_directory_iterator(stage.folder / "out")) {
    if (entry.path().extension() != ".mp4") continue;
    const auto probe =
        run_process({"ffprobe", "-v", "error", "-show_entries",
                     "stream=codec_type,width,height,nb_frames", "-of", "csv=p=0", entry.path()});
    REQUIRE(probe.ok());
    films[fs::relative(entry.path(), stage.folder.path())] = probe->output;
  }
  fs::remove_all(stage.folder / "out");
  return films;
}

/// lua5.4 pays for the script's film; `kling run` then finds all of it in the ledger, and makes the
/// same film.
void runs_unchanged(const std::string& script) {
  sim::Options options;
  options.draft = true;
  const Stage stage("", std::move(options));
  copy_scripts(stage.folder / "scripts");

  const Outcome stock = foreign(stage, {"lua5.4", script});
  CAPTURE(stock.err);
  REQUIRE(stock.code == 0);
  const auto films = take_films(stage);
  CHECK(films.size() > 0);
  const int creates = stage.service->counters().creates;
  CHECK(creates > 0);

  const Outcome program = stage.run({"run", script});
  CAPTURE(program.err);
  CHECK(program.code == 0);
  CHECK(program.out == stock.out);
  CHECK(stage.service->counters().creates == creates);
  CHECK(take_films(stage) == films);
}

/// A case for each, so that they run side by side.
#define RUNS_UNCHANGED(script)                          \
  TEST_CASE(script " runs unchanged in stock lua5.4") { \
    NEEDS("lua5.4");                                    \
    runs_unchanged(script);                             \
  }

}  // namespace

RUNS_UNCHANGED("scripts/cast.lua")
RUNS_UNCHANGED("scripts/continue_shot.lua")
RUNS_UNCHANGED("scripts/from_csv.lua")
RUNS_UNCHANGED("scripts/motion.lua")
RUNS_UNCHANGED("scripts/music_video.lua")
RUNS_UNCHANGED("scripts/quickstart.lua")
RUNS_UNCHANGED("scripts/restyle.lua")
RUNS_UNCHANGED("scripts/storyboard.lua")
RUNS_UNCHANGED("scripts/variations.lua")

TEST_CASE("a second run in lua5.4 pays for nothing and finds the modules beside the script") {
  NEEDS("lua5.4");
  const Stage stage("");
  copy_scripts(stage.folder / "scripts");
  std::ofstream(stage.folder / "one.csv")
      << "file,prompt,duration\ndawn.mp4,Dawn over a harbour,5\n";
  for (int run = 1; run <= 2; ++run) {
    const Outcome outcome = foreign(stage, {"lua5.4", "scripts/from_csv.lua", "one.csv"});
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(stage.service->counters().accepted == 1);
    CHECK(fs::exists(stage.folder / "scripts/.kling/ledger.db"));
  }
  std::ofstream(stage.folder / "scripts/own.lua") << "require 'kling' print(require 'lib.mask')";
  CHECK(foreign(stage, {"lua5.4", "scripts/own.lua"}).code == 0);
}

TEST_CASE("typed lines make new clips in lua5.4") {
  NEEDS("lua5.4");
  const Stage stage("");
  for (int run = 1; run <= 2; ++run) {
    const Outcome outcome = foreign(
        stage,
        {"lua5.4", "-e", "print(require 'kling'.text2video { prompt = 'x' }:accepted().reused)"});
    CAPTURE(outcome.err);
    CHECK(outcome.out == "false\n");
    CHECK(stage.service->counters().accepted == run);
  }
}

TEST_CASE("Ctrl-C ends a wait in lua5.4 and leaves the job to the next run") {
  NEEDS("lua5.4");
  sim::Options options;
  options.clock = make_clock();  // minutes
  const Stage stage(
      "local kling = require 'kling'\n"
      "kling.text2video { prompt = 'x' }:wait()\n",
      std::move(options));
  const auto child = start_foreign(stage, {"lua5.4", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries > 0; }));
  child->signal(SIGINT);
  const Outcome outcome = child->wait();
  CAPTURE(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "interrupted"));
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("neither the end of a script nor os exit loses a request in flight") {
  NEEDS("lua5.4");
  const char* const ends[] = {"", "os.exit(0)", "os.exit(true, true)", "error('x', 0)"};
  for (const char* end : ends) {
    CAPTURE(end);
    const Stage stage(std::string("local kling = require 'kling'\n"
                                  "local job = kling.text2video { prompt = 'x' }\n"
                                  "print(job.id, job.reused)\n") +
                      end);
    // Its id is known already where the service was faster than the next line.
    CHECK(foreign(stage, {"lua5.4", "film.lua"}).out.ends_with("\tfalse\n"));
    const Outcome again = foreign(stage, {"lua5.4", "film.lua"});
    CAPTURE(again.err);
    CHECK(contains(again.out, "true"));  // the answer was recorded: nothing to search for
    CHECK(stage.service->counters().creates == 1);
  }
}

TEST_CASE("os exit gives its code while jobs are looked at") {
  NEEDS("lua5.4");
  Stage stage(
      "local kling = require 'kling'\n"
      "for take = 1, 5 do kling.text2video { prompt = 'x', take = take } end\n"
      "print(pcall(os.exit, {}))\n"
      "os.exit(3)\n");
  stage.environment.push_back("KLING_POLL_INTERVAL=0.01");
  for (int run = 1; run <= 20; ++run) {
    const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
    CHECK(outcome.code == 3);
    CHECK(contains(outcome.out, "number expected"));
  }
  CHECK(stage.service->counters().creates == 5);
}

TEST_CASE("a child that lua5.4 forks while workers are busy leaves as it likes") {
  NEEDS("lua5.4");
  Stage stage(
      "local kling, fork = require 'kling', require 'fork'\n"
      "for i = 1, 20 do kling.spawn(function() kling.text2video { prompt = i .. '' }:wait() end) "
      "end\n"
      "local codes = {}\n"
      "for i = 1, 30 do kling.sleep(0.005) "
      "codes[i] = fork(function() os.exit(7, i % 2 == 0) end) end\n"
      "print(table.concat(codes))\n"
      "os.exit(3)\n");
  stage.environment.push_back("KLING_POLL_INTERVAL=0.01");
  const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 3);
  CHECK(outcome.out == std::string(30, '7') + "\n");
}

TEST_CASE("the ledger of KLING_LEDGER and a refused config file are heeded by the module") {
  NEEDS("lua5.4");
  Stage stage("print(require 'kling'.text2video { prompt = 'x' }:accepted().id)");
  stage.environment.push_back("KLING_LEDGER=" + (stage.folder / "here.db"));
  CHECK(foreign(stage, {"lua5.4", "film.lua"}).code == 0);
  CHECK(fs::exists(stage.folder / "here.db"));
  CHECK_FALSE(fs::exists(stage.folder / ".kling"));

  fs::create_directories(stage.folder / "config/kling");
  std::ofstream(stage.folder / "config/kling/config") << "key = sk-secret\n";
  stage.environment.push_back("XDG_CONFIG_HOME=" + (stage.folder / "config"));
  const Outcome open = foreign(stage, {"lua5.4", "film.lua"});
  CHECK(open.code == 1);
  CHECK(contains(open.err, "can be read by others"));
  CHECK_FALSE(contains(open.err, "sk-secret"));
}

TEST_CASE("a wrong setting of the user fails the first request and ends no program") {
  NEEDS("lua5.4");
  Stage stage(
      "local kling = require 'kling'\n"
      "local ok, err = pcall(kling.text2video, { prompt = 'x' })\n"
      "print(ok, err.kind, err.message)\n");
  stage.environment.push_back("KLING_POLL_INTERVAL=abc");
  const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "false\tinvalid\tKLING_POLL_INTERVAL must be a number"));
}

TEST_CASE("another Lua is refused in a sentence") {
  NEEDS("luajit");
  for (const char* other : {"luajit", "lua5.1", "lua5.3"}) {  // the others where there are any
    if (std::system(("command -v " + std::string(other) + " >/dev/null 2>&1").c_str()) != 0)
      continue;
    const Stage stage("package.cpath = '" +
                      std::string(MODULE).substr(0, std::string(MODULE).rfind('/')) +
                      "/?.so'\nprint(pcall(require, 'kling'))\n");
    const Outcome outcome = foreign(stage, {other, "film.lua"});
    CAPTURE(outcome.err);
    CHECK(contains(outcome.out, "false\tthis kling is for Lua 5.4"));
  }
}

TEST_CASE("coroutines of a scheduler of its own wait for kling by a bridge") {
  NEEDS("lua5.4");
  const Stage stage(
      "local kling = require 'kling'\n"
      "local function await(fn, ...)\n"
      "  local co, done, packed = coroutine.running(), false, nil\n"
      "  kling.spawn(function(...)\n"
      "    packed = table.pack(pcall(fn, ...))\n"
      "    if done then assert(coroutine.resume(co)) end\n"
      "    done = true\n"
      "  end, ...)\n"
      "  if not done then done = true coroutine.yield() end\n"
      "  if not packed[1] then error(packed[2], 0) end\n"
      "  return table.unpack(packed, 2, packed.n)\n"
      "end\n"
      "local told = {}\n"
      "for i = 1, 2 do\n"
      "  coroutine.wrap(function()\n"
      "    await(kling.sleep, 0.01 * i)\n"
      "    local job = await(kling.text2video, { prompt = 'boat ' .. i })\n"
      "    local clip = await(job.wait, job)\n"
      "    told[#told + 1] = clip.duration > 0\n"
      "    local ok = pcall(await, kling.text2video, { promt = 'x' })\n"
      "    told[#told + 1] = not ok\n"
      "  end)()\n"
      "end\n"
      "coroutine.wrap(function() await(kling.sleep, 0.01) error('it is told') end)()\n"
      "while #told < 4 do kling.pump(1000) end\n"
      "print(told[1], told[2], told[3], told[4])\n");
  const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
  CAPTURE(outcome.err);
  CHECK(contains(outcome.out, "true\ttrue\ttrue\ttrue"));
  CHECK(contains(outcome.err, "it is told"));
}

TEST_CASE("a chunk creates jobs after a pump and on_done tells what became of them") {
  NEEDS("lua5.4");
  const Stage stage(
      "local kling = require 'kling'\n"
      "kling.pump()\n"
      "local told = 0\n"
      "for i = 1, 2 do\n"
      "  kling.text2video { prompt = 'boat ' .. i }:on_done(function(clip, err)\n"
      "    told = told + (clip.duration > 0 and err == nil and 1 or 100)\n"
      "  end)\n"
      "end\n"
      "print(pcall(kling.sleep, 1))\n"
      "while told < 2 do kling.pump(1000) end\n"
      "print(told)\n");
  const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
  CAPTURE(outcome.err);
  CHECK(contains(outcome.out, "start it with kling.spawn"));
  CHECK(outcome.out.ends_with("2\n"));
}

TEST_CASE("kling.so brings no Lua along and exports three functions") {
  const auto symbols = run_process({"nm", "-D", "--defined-only", "--format=just-symbols", MODULE});
  REQUIRE(symbols.ok());
  CHECK(symbols->output == "kling_fd\nkling_pump\nluaopen_kling\n");
  const auto dynamic = run_process({"readelf", "-d", MODULE});
  REQUIRE(dynamic.ok());
  CHECK_FALSE(contains(dynamic->output, "liblua"));
  CHECK(contains(dynamic->output, "NODELETE"));
}
