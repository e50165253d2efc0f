// kling jobs: what the ledger knows, and picking up what another process left.
#include <filesystem>
#include <regex>

#include <nlohmann/json.hpp>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

using Json = nlohmann::json;

const char* const kOne =
    "local kling = require 'kling'\nkling.text2video { prompt = 'A kite' }:wait()";

std::vector<Json> lines_of(const std::string& text) {
  std::vector<Json> values;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) values.push_back(Json::parse(line));
  return values;
}

std::vector<Json> list(const Stage& stage, std::vector<std::string> options = {}) {
  std::vector<std::string> words = {"jobs", "list", "--json"};
  words.insert(words.end(), options.begin(), options.end());
  const Outcome outcome = stage.run(words);
  REQUIRE(outcome.code == 0);
  return lines_of(outcome.out);
}

std::string clip_of(const Stage& stage) {
  for (const auto& entry : fs::directory_iterator(stage.folder / ".kling/clips"))
    if (entry.path().extension() == ".mp4") return entry.path().string();
  return "";
}

/// A job that a process left when it was killed, at a service where it goes on.
void leave_a_job(const Stage& stage) {
  const auto child = stage.start({"run", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries >= 1; }));
  child->signal(SIGKILL);
  child->wait();
}

}  // namespace

TEST_CASE("jobs lists what the ledger knows and filters it") {
  Stage stage(
      "local kling = require 'kling'\n"
      "local kite = kling.text2video { prompt = 'A kite' }:wait()\n"
      "kling.image2video { image = kite:last_frame(), prompt = 'It falls' }:wait()\n"
      "pcall(function() kling.text2video { prompt = 'a bloodbath' }:wait() end)");
  REQUIRE(stage.run().code == 0);
  const auto all = list(stage);
  REQUIRE(all.size() == 3);
  CHECK(all[0]["summary"] == "a bloodbath");  // the newest first
  CHECK(all[0]["state"] == "failed");
  CHECK(all[0]["error"]["kind"] == "policy");
  CHECK(all[2]["kind"] == "text2video");
  CHECK(all[2]["where"] == "film.lua:2");
  CHECK(all[2]["handle"] == "kling:text2video/" + all[2]["id"].get<std::string>());
  CHECK(fs::exists(all[2]["path"].get<std::string>()));
  CHECK(list(stage, {"--state", "failed"}).size() == 1);
  CHECK(list(stage, {"--state", "failed", "--state", "succeeded"}).size() == 3);
  CHECK(list(stage, {"--kind", "image2video"}).size() == 1);
  CHECK(list(stage, {"--limit", "2"}).size() == 2);
  CHECK(list(stage, {"--open"}).empty());
  CHECK(list(stage, {"--script", "film.lua"}).size() == 3);
  const Outcome absent = stage.run({"jobs", "--script", "other.lua"});
  CHECK(absent.code == 1);
  CHECK(contains(absent.err, "cannot read the script other.lua: No such file"));
  std::ofstream(stage.folder / "other.lua") << "";
  CHECK(list(stage, {"--script", "other.lua"}).empty());
  CHECK(contains(stage.run({"jobs", "--script", "other.lua"}).err, "none of the 3 jobs"));
  CHECK(stage.run({"jobs", "--open"}).err == "kling: none of the 3 jobs of this ledger is open\n");
  const Outcome shown = stage.run({"jobs"});  // for people
  CHECK(shown.out.starts_with("ID "));
  CHECK(shown.out.ends_with("2 clips, $0.42; 1 failed\n"));
  // The short id of the last line, which is the oldest job's, is accepted as its handle is.
  const std::size_t last = shown.out.rfind('\n', shown.out.rfind("2 clips") - 2) + 1;
  const std::string id = shown.out.substr(last, shown.out.find(' ', last) - last);
  CHECK(id.size() >= 7);
  CHECK(contains(stage.run({"jobs", "show", id}).out, all[2]["handle"].get<std::string>()));
  CHECK(contains(shown.out, "It falls"));
  CHECK(stage.run({"jobs", "list", "--state", "done"}).code == 2);
}

TEST_CASE("jobs makes no ledger where there is none") {
  Stage stage("");
  const Outcome outcome = stage.run({"jobs"});
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.err, "no ledger"));
  CHECK(stage.run({"jobs", "show", "1"}).code == 1);
  CHECK(stage.run({"jobs", "wait"}).code == 0);
  CHECK(stage.run({"jobs", "prune"}).code == 0);
  CHECK_FALSE(fs::exists(stage.folder / ".kling"));
}

TEST_CASE("jobs show tells the timeline and hides signatures unless asked") {
  Stage stage(kOne);
  REQUIRE(stage.run().code == 0);
  const auto job = list(stage).front();
  const std::string id = job["id"];
  for (const std::string& name :
       {id, "kling:text2video/" + id, "kling:text2video/~" + job["external_id"].get<std::string>(),
        job["external_id"].get<std::string>(), id.substr(0, 6)}) {
    const Outcome shown = stage.run({"jobs", "show", name});
    CAPTURE(name);
    CAPTURE(shown.err);
    CHECK(shown.code == 0);
    CHECK(contains(shown.out, "A kite"));
    const std::size_t sending = shown.out.find("  sending");
    REQUIRE(sending != std::string::npos);
    CHECK(shown.out.find("  intended") < sending);
    CHECK(shown.out.find("  succeeded", sending) != std::string::npos);
    CHECK(contains(shown.out, ".mp4?…"));
  }
  const Outcome asked = stage.run({"query", id.substr(0, 6)});
  CHECK(contains(asked.out, "kling:text2video/" + id));
  CHECK(contains(asked.out, "Signature="));  // an address that works
  CHECK_FALSE(contains(asked.out, ".mp4?…"));
  CHECK(contains(stage.run({"query", "--json", id}).out, "Signature="));
  CHECK_FALSE(contains(asked.err, "Signature="));
  const std::string raw = stage.run({"jobs", "show", "--raw", id}).out;
  CHECK(contains(raw, "\"task_status\""));  // the answer as it came
  CHECK_FALSE(contains(raw, ".mp4?…"));
  const Outcome json = stage.run({"jobs", "show", "--json", "--request", id});
  const auto told = lines_of(json.out).front();
  CHECK(told["request"]["prompt"] == "A kite");
  CHECK(told["timeline"][0]["what"] == "intended");
  CHECK_FALSE(told["timeline"][0].contains("body"));
  CHECK(contains(told["videos"][0]["url"].get<std::string>(), "?…"));
  CHECK_FALSE(contains(stage.run({"jobs", "show", id}).out, "\"prompt\""));
}

TEST_CASE("a beginning that fits several jobs names them") {
  Stage stage(
      "local kling = require 'kling'\n"
      "kling.all { kling.text2video { prompt = '1' }, kling.text2video { prompt = '2' } }");
  REQUIRE(stage.run().code == 0);
  const auto all = list(stage);
  const std::string prefix = all[0]["external_id"].get<std::string>().substr(0, 8);
  const Outcome several = stage.run({"jobs", "show", prefix});
  CHECK(several.code == 1);
  CHECK(contains(several.err, "2 jobs begin with"));
  for (const auto& job : all) CHECK(contains(several.err, job["handle"].get<std::string>()));
  CHECK(contains(stage.run({"jobs", "show", "nothing-like-it"}).err, "has no job"));
}

TEST_CASE("names with blanks, beginnings of names and of handles name a job everywhere") {
  const Stage stage(
      "local kling = require 'kling'\n"
      "if arg[1] then return print(kling.job(arg[1]):wait().job.name) end\n"
      "kling.all { kling.text2video { prompt = 'storm', name = 'storm' },\n"
      "  kling.text2video { prompt = '2', name = 'kite 2' },\n"
      "  kling.text2video { prompt = '3', name = 'kite 3' } }");
  REQUIRE(stage.run().code == 0);
  CHECK(contains(stage.run({"query", "kite 2"}).out, "succeeded"));
  CHECK(contains(stage.run({"jobs", "show", "sto"}).out, "  name         storm\n"));
  CHECK(stage.run({"run", "film.lua", "kite 2"}).out == "kite 2\n");
  CHECK(contains(stage.run({"run", "film.lua", "kite 9"}).err,
                 "no job here is called \"kite 9\", and that is no handle of one\n"));
  const Outcome several = stage.run({"jobs", "show", "kite"});
  CAPTURE(several.err);
  CHECK(contains(several.err, "2 jobs begin with kite\n"));
  CHECK_FALSE(contains(several.err, "kling:text2video"));
  const std::string table = stage.run({"jobs"}).out;
  for (std::size_t at = several.err.find("  kite "); at != std::string::npos;
       at = several.err.find("  kite ", at + 1))
    CHECK(contains(table, several.err.substr(at - 7, 7)));
  CHECK(contains(stage.run({"jobs", "show", "kling:text2"}).err, "3 jobs begin with"));
  CHECK(contains(stage.run({"query", "kling:txt2video/1"}).err,
                 "txt2video is no kind of job\n  do: the kinds are text2video, "));
}

TEST_CASE("a job that was never sent is not called open") {
  const Stage stage("require 'kling'.text2video { prompt = 'A kite' }:wait()");
  REQUIRE(stage.run({"run", "--max-cost", "0.1", "film.lua"}).code == 4);
  const Outcome listed = stage.run({"jobs"});
  CHECK(contains(listed.out, "  not sent  "));
  CHECK(
      listed.out.ends_with("0 clips, $0.00; 1 not sent, about $0.21 when their script sends "
                           "them\n"));
  const Outcome asked = stage.run({"jobs", "resolve", "A kite"});
  CHECK(asked.code == 2);
  CHECK(contains(asked.err, ": it was never sent\n  do: kling jobs resolve "));
}

TEST_CASE("jobs wait picks up what a killed process left") {
  sim::Options options;
  options.clock = make_clock(200);
  Stage stage(kOne, options);
  leave_a_job(stage);
  REQUIRE(list(stage, {"--open"}).size() == 1);
  const Outcome waited = stage.run({"jobs", "wait"});
  CAPTURE(waited.err);
  CHECK(waited.code == 0);
  CHECK(contains(waited.out, "succeeded"));
  CHECK(list(stage, {"--open"}).empty());
  CHECK(fs::exists(clip_of(stage)));
  CHECK(contains(stage.run({"jobs", "wait"}).err, "no job is open"));
  CHECK(contains(stage.run().err, "0 submitted, 1 reused"));
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("jobs wait fetches a clip whose download was left and jobs list tells of it") {
  sim::Options options;
  options.clock = make_clock(200);
  options.faults = {"download#1: hang"};
  Stage stage(kOne, options);
  const auto child = stage.start({"run", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.downloads > 0; }));
  child->signal(SIGINT);
  REQUIRE(child->wait().code == 130);
  CHECK(contains(stage.run({"jobs", "list"}).out,
                 "1 clip, $0.21; 1 not stored here: kling jobs wait"));
  {  // left once more
    REQUIRE(stage.service->add_fault("download#2: hang").ok());
    const auto waiting = stage.start({"jobs", "wait"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.downloads > 1; }));
    waiting->signal(SIGINT);
    const Outcome left = waiting->wait();
    CHECK(left.code == 130);
    CHECK_FALSE(contains(left.out, "succeeded"));
  }
  const Outcome waited = stage.run({"jobs", "wait"});
  CAPTURE(waited.err);
  CHECK(waited.code == 0);
  CHECK(fs::exists(clip_of(stage)));
  CHECK(contains(stage.run({"jobs", "list"}).out, "1 clip, $0.21\n"));
  CHECK(contains(stage.run({"jobs", "wait"}).err, "no job is open"));
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("jobs wait fails where no clip can be stored") {
  sim::Options options;
  options.clock = make_clock(1000);
  options.faults = {"download#*: garbage"};
  Stage stage("require('kling').text2video { prompt = 'x' }", options);
  REQUIRE(stage.run().code == 0);
  const Outcome failed = stage.run({"jobs", "wait", "-q"});
  CHECK(failed.code == 1);
  CHECK(contains(failed.err, "the clip is not stored: "));
  CHECK(contains(failed.err, "do: run kling jobs wait again"));
  CHECK(failed.out.empty());
}

TEST_CASE("jobs wait has the exit codes of run") {
  Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'a bloodbath' }:wait()");
  REQUIRE(stage.run().code == 3);
  const std::string id = list(stage).front()["id"];
  const Outcome failed = stage.run({"jobs", "wait", id});
  CHECK(failed.code == 3);
  CHECK(contains(failed.err, "risk control"));
  CHECK(std::regex_search(failed.err, std::regex("\n  job: a bloodbath, [0-9a-f]{7}\n$")));
  const Outcome json = stage.run({"jobs", "wait", "--json", id});
  CHECK(json.code == 3);
  CHECK(lines_of(json.out).back()["error"]["kind"] == "policy");
  CHECK(stage.run({"jobs", "wait", "no-such-job"}).code == 1);

  sim::Options lost;
  lost.faults = {"create#1: accept, drop"};
  lost.external_lookup = false;
  Stage asking(kOne, lost);
  REQUIRE(asking.run({"run", "--patience", "0.1", "film.lua"}).code == 4);
  const Outcome open = asking.run({"jobs", "wait", "--patience", "0.1"});
  CAPTURE(open.err);
  CHECK(open.code == 4);
  CHECK(contains(open.err, "jobs resolve"));
  // A bare external id is a handle, too.
  const std::string external = list(asking).front()["external_id"];
  CHECK(asking.run({"jobs", "resolve", external.substr(0, 12), "--abandon"}).code == 0);
  CHECK(list(asking, {"--open"}).empty());
}

TEST_CASE("an interrupted jobs wait leaves the job") {
  sim::Options options;
  options.clock = make_clock(1);
  Stage stage(kOne, options);
  leave_a_job(stage);
  const int before = stage.service->counters().queries;
  const auto child = stage.start({"jobs", "wait"});
  REQUIRE(stage.until([&](const sim::Counters& seen) { return seen.queries > before; }));
  child->signal(SIGINT);
  const Outcome left = child->wait();
  CHECK(left.code == 130);
  CHECK(contains(left.err, "jobs go on"));
  CHECK(list(stage, {"--open"}).size() == 1);
}

TEST_CASE("jobs wait asks only the service that was paid") {
  sim::Options options;
  options.clock = make_clock(1);
  Stage stage(kOne, options);
  leave_a_job(stage);
  Stage other("");
  const Outcome outcome = stage.run({"jobs", "wait", "--base-url", other.service->base_url()});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "is a job of"));
  CHECK(other.service->counters().queries == 0);
  CHECK(list(stage, {"--open"}).size() == 1);
}

TEST_CASE("jobs save takes the clip from the store or from a fresh address") {
  Stage stage(kOne);
  REQUIRE(stage.run().code == 0);
  const std::string id = list(stage).front()["id"];
  const int downloads = stage.service->counters().downloads;
  const Outcome stored = stage.run({"jobs", "save", id, "again/"});
  CAPTURE(stored.err);
  REQUIRE(stored.code == 0);
  const std::string saved = stored.out.substr(0, stored.out.size() - 1);
  CHECK(fs::file_size(stage.folder / saved) >= fs::file_size(clip_of(stage)));  // and its words
  CHECK(stage.service->counters().downloads == downloads);

  fs::remove_all(stage.folder / ".kling/clips");
  REQUIRE(stage.service->add_fault("download#" + std::to_string(downloads + 1) + ": expired").ok());
  const Outcome fetched = stage.run({"jobs", "save", "kling:text2video/" + id, "shot.mp4"});
  CAPTURE(fetched.err);
  CHECK(fetched.code == 0);
  CHECK(fs::file_size(stage.folder / "shot.mp4") == fs::file_size(stage.folder / saved));
  CHECK(stage.service->counters().creates == 1);

  // Another ledger, as on another machine: the whole handle is enough.
  const Outcome elsewhere = stage.run({"jobs", "save", "--ledger", stage.folder / "other/ledger.db",
                                       "kling:text2video/" + id, "third.mp4"});
  CAPTURE(elsewhere.err);
  CHECK(elsewhere.code == 0);
  CHECK(fs::exists(stage.folder / "third.mp4"));
}

TEST_CASE("jobs prune deletes only with a word and nothing is paid again") {
  Stage stage(kOne);
  REQUIRE(stage.run().code == 0);
  const std::string clip = clip_of(stage);
  const std::string id = list(stage).front()["id"];
  CHECK(contains(stage.run({"jobs", "prune"}).out, "would delete 0 clips"));  // too young
  // The stage's clock runs ahead, the ledger's times are real: 0 days is "before now".
  const Outcome shown = stage.run({"jobs", "prune", "--older-than", "0"});
  CHECK(contains(shown.out, "would delete 1 clip ("));
  CHECK(fs::exists(clip));
  const Outcome done = stage.run({"jobs", "prune", "--older-than", "0", "--yes"});
  CAPTURE(done.err);
  CHECK(done.code == 0);
  CHECK_FALSE(fs::exists(clip));
  CHECK(contains(stage.run({"jobs", "show", id}).out, "  succeeded"));
  CHECK_FALSE(contains(stage.run({"jobs", "show", "--raw", id}).out, "task_status"));
  const Outcome again = stage.run();
  CAPTURE(again.err);
  CHECK(again.code == 0);
  CHECK(contains(again.err, "0 submitted, 1 reused"));
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("jobs prune deletes nothing that lies elsewhere than in the store") {
  Stage stage(kOne);
  REQUIRE(stage.run().code == 0);
  const std::string clip = clip_of(stage);
  SUBCASE("another store was used") {
    const Outcome outcome =
        stage.run({"jobs", "prune", "--older-than", "0", "--yes", "--store", "elsewhere"});
    CHECK(contains(outcome.out, "deleted 0 clips"));
    CHECK(fs::exists(clip));
  }
  SUBCASE("two stores were used and one is named") {
    std::ofstream(stage.folder / "other.lua")
        << "require 'kling'.text2video { prompt = 'another' }:wait()";
    REQUIRE(stage.run({"run", "--store", "kept", "other.lua"}).code == 0);
    const auto kept = [&] {
      return std::distance(fs::directory_iterator(stage.folder / "kept"), fs::directory_iterator());
    };
    const auto before = kept();
    CHECK(before > 0);
    CHECK(contains(stage.run({"jobs", "prune", "--older-than", "0", "--yes"}).out,
                   "deleted 1 clip ("));
    CHECK_FALSE(fs::exists(clip));
    CHECK(kept() == before);
    CHECK(
        contains(stage.run({"jobs", "prune", "--older-than", "0", "--yes", "--store", "kept"}).out,
                 "deleted 1 clip ("));
    CHECK(kept() < before);
  }
  SUBCASE("a link stands in the clip's place") {
    fs::rename(clip, stage.folder / "mine.mp4");
    fs::create_symlink(stage.folder / "mine.mp4", clip);
    CHECK(contains(stage.run({"jobs", "prune", "--older-than", "0", "--yes"}).out,
                   "deleted 0 clips"));
    CHECK(fs::exists(stage.folder / "mine.mp4"));
  }
}

TEST_CASE("jobs of the simulator are in a ledger of their own") {
  Stage stage(kOne);
  REQUIRE(stage.run({"run", "--sim", "--speed", "10000", "film.lua"}).code == 0);
  CHECK(list(stage).empty());
  const auto all = list(stage, {"--sim"});
  REQUIRE(all.size() == 1);
  const std::string id = all.front()["id"];
  using Files = fs::directory_iterator;  // each clip once: the service's own are not kept
  CHECK(std::distance(Files(stage.folder / ".kling/sim/clips"), Files()) == 1);
  fs::remove_all(stage.folder / ".kling/sim/clips");
  const Outcome saved =
      stage.run({"jobs", "save", "--sim", "--speed", "10000", id.substr(0, 8), "shot.mp4"});
  CAPTURE(saved.err);
  CHECK(saved.code == 0);
  CHECK(fs::exists(stage.folder / "shot.mp4"));
}

TEST_CASE("a shot's name leads what people see and is no other request") {
  Stage stage(
      "local kling = require 'kling'\n"
      "local clip = kling.text2video { prompt = 'A kite', name = arg[1] }:wait()\n"
      "print(clip.job.name, clip:save('out/'))");
  const Outcome first = stage.run({"run", "film.lua", "shot 3"});
  CAPTURE(first.err);
  REQUIRE(first.code == 0);
  CHECK(first.out == "shot 3\tout/shot-3.mp4\n");
  CHECK(contains(first.err, "kling: shot 3  succeeded"));
  CHECK(contains(stage.run({"jobs"}).out, "  shot 3: A kite  film.lua:2\n"));
  CHECK(list(stage).front()["name"] == "shot 3");
  CHECK(contains(stage.run({"plan", "film.lua", "shot 3"}).out, "shot 3: A kite"));
  const Outcome renamed = stage.run({"run", "film.lua", "the kite"});
  CHECK(contains(renamed.out, "the kite\tout/the-kite.mp4"));
  CHECK(stage.service->counters().creates == 1);
  CHECK(stage.service->counters().charged == 1);
}
