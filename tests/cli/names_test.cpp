// What people read: names and short ids of shots, errors in three lines, what was made of files.
#include <filesystem>
#include <set>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

/// The words that begin the lines of `kling jobs`, without its first line and its last.
std::vector<std::string> short_ids(const std::string& table) {
  std::vector<std::string> ids;
  std::istringstream lines(table);
  for (std::string line; std::getline(lines, line);) ids.push_back(line.substr(0, line.find(' ')));
  REQUIRE(ids.size() >= 2);
  return {ids.begin() + 1, ids.end() - 1};
}

}  // namespace

TEST_CASE("shots are called after their tasks, and their files after them") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "local function shot(prompt) return kling.text2video { prompt = prompt }:wait() end\n"
      "local made = kling.all { dawn = function() return shot('A kite') end }\n"
      "local more = kling.map({ 'A fox', 'A crow' }, shot, { limit = 1 })\n"
      "for _, clip in ipairs { made.dawn, more[1], more[2], shot('A fox, running') } do\n"
      "  print(clip.job.name, clip:save('out/'))\n"
      "end\n");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.out ==
        "dawn\tout/dawn.mp4\nmap 1\tout/map-1.mp4\nmap 2\tout/map-2.mp4\n"
        "A fox\tout/A-fox.mp4\n");
  CHECK(contains(run.err, "kling: map 1  succeeded"));
  CHECK_FALSE(contains(run.err, "simulated time"));
  std::set<std::string> stored;
  for (const auto& clip : fs::directory_iterator(stage.folder / ".kling/clips"))
    stored.insert(clip.path().filename().string());
  CHECK(stored.size() == 4);
  CHECK(stored.begin()->starts_with("A-fox-"));
  // Saved again, they are the same files.
  CHECK(stage.run().out == run.out);
}

TEST_CASE("a name cannot lead a file elsewhere") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "local name = '../..' .. ('é'):rep(25) .. '/-'\n"
      "print(kling.text2video { prompt = 'A kite', name = name }:wait():save('out/'))\n"
      "print(kling.text2video { prompt = 'A kite', name = '/../', take = 2 "
      "}:wait():save('out/'))\n");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  std::string name;
  for (int i = 0; i < 25; ++i) name += "é";
  CHECK(run.out.starts_with("out/" + name + ".mp4\nout/text2video-"));
}

TEST_CASE("a short id is taken wherever a handle is") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "if arg[1] then return print(kling.job(arg[1]):wait().job.handle, "
      "kling.query(arg[1]).status) end\n"
      "kling.text2video { prompt = 'A kite' }:wait()");
  REQUIRE(stage.run().code == 0);
  const std::string id = short_ids(stage.run({"jobs"}).out).front();
  CHECK(id.size() == 7);
  const Outcome found = stage.run({"run", "film.lua", id});
  CAPTURE(found.err);
  CHECK(found.out.starts_with("kling:text2video/"));
  CHECK(found.out.ends_with("\tsucceeded\n"));
  CHECK(contains(stage.run({"query", id}).out, "succeeded"));
  CHECK(stage.run({"jobs", "wait", id}).code == 0);
  CHECK(stage.run({"jobs", "save", id, "kite.mp4"}).code == 0);
  CHECK(contains(stage.run({"jobs", "show", id}).out, "A kite"));
  const Outcome resolved = stage.run({"jobs", "resolve", id});
  CHECK(resolved.code == 2);
  CHECK(contains(resolved.err, "it succeeded: there is nothing to decide"));
  CHECK(stage.service->counters().creates == 1);
  CHECK(contains(stage.run({"run", "film.lua", "0000000"}).err, "does not know 0000000"));
}

TEST_CASE("what the last clean run did not ask for is superseded, and takes are marked") {
  const Stage stage(
      "require 'kling'.text2video { prompt = arg[1] }:wait()\nif arg[2] then error('x') end");
  REQUIRE(stage.run({"run", "film.lua", "A kite"}).code == 0);
  CHECK_FALSE(contains(stage.run({"jobs"}).out, "superseded"));
  REQUIRE(stage.run({"run", "film.lua", "A crow", "fails"}).code == 1);
  CHECK_FALSE(contains(stage.run({"jobs"}).out, "superseded"));
  REQUIRE(stage.run({"run", "film.lua", "A fox"}).code == 0);
  REQUIRE(stage.run({"run", "--take", "night", "film.lua", "A fox"}).code == 0);
  const std::string table = stage.run({"jobs"}).out;
  CAPTURE(table);
  CHECK(contains(table, "(superseded) A kite"));
  CHECK(contains(table, "(superseded) A crow"));
  CHECK(contains(table, "$0.21  A fox"));
  CHECK(contains(table, "$0.21  [night] A fox"));
  CHECK(table.ends_with("4 clips, $0.84; 2 superseded\n"));
  REQUIRE(stage.run({"run", "film.lua", "A kite"}).code == 0);
  CHECK(contains(stage.run({"jobs"}).out, "$0.21  A kite"));
  CHECK(contains(stage.run({"jobs", "list", "--json"}).out, "\"take\":\"night\""));
}

TEST_CASE(
    "a name means the shot that its script asks for now, and a take only if there is no other") {
  const Stage stage(
      "require 'kling'.text2video { prompt = arg[1], duration = arg[2] and 10, name = 'lead' }");
  const auto made = [&] { return stage.run({"jobs", "show", "lead"}).out; };
  for (const char* prompt : {"A red boat", "A blue boat", "A red boat"}) {
    REQUIRE(stage.run({"run", "film.lua", prompt}).code == 0);
    CHECK(contains(made(), prompt));
  }
  (void)stage.run({"run", "--take", "2", "--max-cost", "0.1", "film.lua", "A boat", "long"});
  CHECK(contains(made(), "A red boat"));
}

TEST_CASE("an error is the problem, what to do and the job, a line each") {
  sim::Options options;
  options.faults = {"create#1: 429-balance"};
  const Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'A kite' }:wait()",
                    options);
  const Outcome run = stage.run();
  CAPTURE(run.err);
  const std::size_t last = run.err.rfind("kling: ");
  const std::string error = run.err.substr(last);
  CHECK(error.starts_with("kling: film.lua:2: no credit left: "));
  CHECK(contains(error,
                 " (HTTP 429, code 1102)\n  do: top up the account; it was not started\n"
                 "  job: A kite, "));
  CHECK(std::count(error.begin(), error.end(), '\n') == 3);
  CHECK_FALSE(contains(error, "\x1b["));
  const std::string handle = stage.run({"run", "--json", "--retry-failed", "film.lua"}).out;
  CHECK(contains(handle, "\"handle\":\"kling:text2video/"));  // whole where programs read
}

TEST_CASE("the command that a hint names has --sim where the run had it") {
  const Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'A kite' }:wait()");
  const Outcome lost = stage.run({"run", "--sim", "--speed", "1000", "--patience", "1", "--fault",
                                  "create#1: accept, drop", "--no-lookup", "film.lua"});
  CAPTURE(lost.err);
  CHECK(lost.code == 4);
  CHECK(contains(lost.err, "kling: simulated time, 1000x\n"));
  CHECK(contains(lost.err, "kling jobs resolve --sim kling:text2video/~"));
  const std::string id = short_ids(stage.run({"jobs", "--sim"}).out).front();
  const Outcome asked = stage.run({"jobs", "resolve", "--sim", id});
  CAPTURE(asked.err);
  CHECK(asked.code == 2);
  for (const char* choice : {" --adopt ID\n", " --resubmit\n", " --abandon\n"})
    CHECK(contains(asked.err, "kling jobs resolve --sim " + id + choice));
  CHECK(contains(asked.err, ": was it accepted? The answer was lost\n"));
  CHECK(contains(stage.run({"jobs", "list", "--sim", "--json"}).out, "kling jobs resolve --sim "));
}

TEST_CASE("the command that a hint names has the take and the ledger of the run that tells it") {
  Stage stage("require('kling').text2video { prompt = 'A kite' }:wait()");
  const Outcome lost = stage.run(
      {"run", "--sim", "--take", "b c", "--ledger", "my $1.db", "--speed", "1000", "--patience",
       "1", "--fault", "create#1: accept, drop", "--no-lookup", "film.lua", "x", "--", "-y"});
  CAPTURE(lost.err);
  CHECK(lost.code == 4);
  CHECK(contains(lost.err, "kling jobs resolve --sim --ledger 'my $1.db' kling:text2video/~"));
  const std::vector<std::string> ledger = {"--sim", "--ledger", "my $1.db"};
  const auto jobs = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "jobs");
    words.insert(words.end(), ledger.begin(), ledger.end());
    return stage.run(words);
  };
  const std::string id = short_ids(jobs({"list"}).out).front();
  CHECK(contains(jobs({"resolve", id}).err,
                 "give it up; kling run --sim --ledger 'my $1.db' --take 'b c' --retry-failed with "
                 "its script"));
  CHECK(contains(jobs({"resolve", "--abandon", id}).out,
                 "by kling run --sim --ledger 'my $1.db' --take 'b c' --retry-failed\n"));
  const Outcome refused = stage.run({"run", "--sim", "--take", "b c", "--ledger", "my $1.db",
                                     "--speed", "1000", "film.lua", "x", "--", "-y"});
  CAPTURE(refused.err);
  CHECK(contains(refused.err,
                 "or kling run --sim --ledger 'my $1.db' --take 'b c' --retry-failed\n"));
}

TEST_CASE("what was refused before it was sent takes no other's name") {
  const Stage stage(
      "local kling = require 'kling'\nfor _ = 1, 2 do\n"
      "  print(pcall(kling.image2video, { image = 'no.png', prompt = 'shot' }))\nend\n"
      "for _ = 1, 3 do print(kling.text2video('shot').name) end\n"
      "print(kling.text2video { prompt = 'x', name = 'shot-4' }.name, "
      "kling.text2video('shot').name)");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(contains(run.out, "\nshot\nshot-2\nshot-3\nshot-4\tshot-5\n"));
}

TEST_CASE("files that are joined are told of, and what was made of them") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "local clip = kling.text2video { prompt = 'A kite' }:wait()\n"
      "kling.concat({ clip, clip }, 'out/film.mp4')");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  REQUIRE(run.code == 0);
  CHECK(contains(run.err, "kling: out/film.mp4: 10.1 s, "));
  CHECK(contains(run.err, " MB\n"));
}

TEST_CASE("with --notify the desktop is told how a run ended") {
  Stage stage("require 'kling'.text2video { prompt = 'A kite' }:wait()");
  std::ofstream(stage.folder / "notify-send") << "#!/bin/sh\nprintf '%s\\n' \"$@\" >told\n";
  fs::permissions(stage.folder / "notify-send", fs::perms::owner_all);
  stage.environment.push_back("PATH=" + stage.folder.path() + ":" + std::getenv("PATH"));
  REQUIRE(stage.run().code == 0);
  CHECK_FALSE(fs::exists(stage.folder / "told"));
  REQUIRE(stage.run({"run", "--notify", "film.lua"}).code == 0);
  std::ostringstream told;
  told << std::ifstream(stage.folder / "told").rdbuf();
  CHECK(told.str() == "--\nfilm.lua is done\n0 submitted, 1 reused, $0.00\n");
}

TEST_CASE("tables and JSON files are read into requests") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "for _, row in ipairs(kling.csv('shots.csv')) do\n"
      "  local clip = kling.text2video(row):wait()\n"
      "  print(clip.job.name, clip.job.request.prompt)\n"
      "end\n"
      "local data = kling.json('data.json')\n"
      "print(data.shots[2], data.none == kling.null, kling.json(data.shots))\n"
      "print(select(2, pcall(kling.json, 'shots.csv')).message)\n"
      "print(select(2, pcall(kling.csv, 'none.csv')).kind)\n");
  std::ofstream(stage.folder / "shots.csv")
      << "\xEF\xBB\xBFprompt;name;take;;\r\n\"A fox; red\";shot 1;1;;\r\nA crow;;;;\r\n";
  std::ofstream(stage.folder / "data.json") << R"({"shots": ["a", "b"], "none": null})";
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.out ==
        "shot 1\tA fox; red\nA crow\tA crow\nb\ttrue\t[\"a\",\"b\"]\n"
        "shots.csv is not JSON: line 1, column 1\nmedia\n");
}
