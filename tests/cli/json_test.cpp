// docs/json.md against what the program writes with --json.
#include <filesystem>
#include <map>
#include <set>

#include <nlohmann/json.hpp>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;
using Json = nlohmann::json;

namespace {

struct Documented {
  std::set<std::string> all, always;
};

/// The tables of the page by their heading: rows "| `field` | yes | … |".
std::map<std::string, Documented> documented() {
  std::map<std::string, Documented> tables;
  std::ifstream page(KLING_SOURCE_DIR "/docs/json.md");
  std::string heading;
  for (std::string line; std::getline(page, line);) {
    if (line.starts_with("### ")) heading = line.substr(4);
    if (heading.empty() || !line.starts_with("| `")) continue;
    const std::size_t end = line.find('`', 3);
    const std::string field = line.substr(3, end - 3);
    tables[heading].all.insert(field);
    if (line.compare(end, 6, "` | ye") == 0) tables[heading].always.insert(field);
  }
  return tables;
}

void compare(const std::map<std::string, Documented>& tables, const std::string& name,
             const Json& object) {
  CAPTURE(name);
  CAPTURE(object.dump());
  REQUIRE(tables.contains(name));
  const Documented& table = tables.at(name);
  for (const auto& [field, value] : object.items()) {
    CHECK_MESSAGE(table.all.contains(field), field);
    if (field == "error") compare(tables, "error", value);
  }
  for (const std::string& field : table.always) CHECK_MESSAGE(object.contains(field), field);
}

}  // namespace

TEST_CASE("every event and field of the JSON output is documented") {
  const auto tables = documented();
  REQUIRE(tables.size() == 15);
  Stage stage(
      "local kling = require 'kling'\n"
      "local function wait(job) return job:wait() end\n"
      "wait(kling.text2video { prompt = 'A kite' })\n"
      "kling.text2video { prompt = 'a bloodbath' }\n"
      "pcall(error)\n"
      "local function deep() error 'a plain error' end\n"
      "kling.spawn(deep)\n"
      "kling.text2video { prompt = 'x', nonsense = 1 }");
  std::map<std::string, int> seen;
  Json script_error;
  for (int times = 0; times < 2; ++times) {  // the second one reuses
    const Outcome run = stage.run({"run", "--json", "film.lua"});
    std::istringstream lines(run.out);
    for (std::string line; std::getline(lines, line);) {
      const Json event = Json::parse(line);
      REQUIRE(event.size() == 1);
      const std::string name = event.begin().key();
      ++seen[name];
      compare(tables, name, event.begin().value());
      if (name == "error" && event["error"].value("field", "") == "nonsense")
        script_error = event["error"];
    }
  }
  CHECK(seen["job"] >= 4);
  CHECK(seen["error"] >= 4);
  CHECK(seen["bill"] == 2);
  CHECK(script_error.value("where", "") == "film.lua:8");
  CHECK(contains(script_error.value("traceback", ""), "film.lua:8"));
  CHECK(contains(script_error.value("hint", ""), "extra"));
}

TEST_CASE("the lines of a plan are documented") {
  const auto tables = documented();
  Stage stage("require('kling').text2video { prompt = 'A kite' }:wait()");
  std::istringstream lines(stage.run({"plan", "--json", "film.lua"}).out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    const Json event = Json::parse(line);
    compare(tables, event.begin().key(), event.begin().value());
  }
  CHECK(count == 2);
}

TEST_CASE("an error is JSON in every command, wrong usage too") {
  const auto tables = documented();
  const Stage stage("x = = 3");
  const struct {
    std::vector<std::string> words;
    int code;
  } rows[] = {{{"plan", "--json", "nofile.lua"}, 1},
              {{"plan", "--json", "film.lua"}, 1},
              {{"run", "--json", "--nonsense", "film.lua"}, 2},
              {{"run", "--json", "film.lua", "--sim"}, 2},
              {{"run", "--json"}, 2},
              {{"jobs", "list", "--json", "--state", "done"}, 2},
              {{"jobs", "show", "--json"}, 2},
              {{"view", "--json", "nofile.lua"}, 1}};
  for (const auto& row : rows) {
    const Outcome run = stage.run(row.words);
    CAPTURE(row.words[0]);
    CAPTURE(run.err);
    CHECK(run.code == row.code);
    REQUIRE(!run.out.empty());
    const Json told = Json::parse(run.out);
    compare(tables, "error", told["error"]);
  }
}

TEST_CASE("what the other commands write is documented") {
  auto tables = documented();
  tables["jobs show"].all.merge(std::set(tables["jobs list"].all));
  tables["jobs show"].always.merge(std::set(tables["jobs list"].always));
  const auto check = [&](const std::string& name, const Outcome& outcome) {
    CAPTURE(outcome.err);
    std::vector<Json> told;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);) {
      told.push_back(Json::parse(line));
      const Json& line_of = told.back();
      // What waits tells of its jobs first; the simulator when it listens, and at its end.
      if (line_of.size() == 1 && line_of.contains("job"))
        compare(tables, "job", line_of["job"]);
      else
        compare(tables, line_of.contains("creates") ? "sim, at its end" : name, line_of);
    }
    REQUIRE(!told.empty());
    return told;
  };
  sim::Options losing;
  losing.faults = {"create#3: accept, drop"};
  losing.external_lookup = false;
  Stage stage(
      "local kling = require 'kling'\n"
      "kling.text2video { prompt = 'A kite' }:wait()\n"
      "pcall(function() kling.text2video { prompt = 'a bloodbath' }:wait() end)\n"
      "kling.text2video { prompt = 'lost' }:wait()",
      losing);
  REQUIRE(stage.run({"run", "--patience", "0.1", "film.lua"}).code == 4);
  const auto jobs = check("jobs list", stage.run({"jobs", "list", "--json"}));
  REQUIRE(jobs.size() == 3);
  CHECK(jobs[0]["state"] == "ambiguous");
  CHECK(jobs[1]["error"]["kind"] == "policy");
  const std::string lost = jobs[0]["handle"], done = jobs[2]["handle"];
  const Json shown =
      check("jobs show", stage.run({"jobs", "show", "--json", "--request", done})).front();
  CHECK(shown["timeline"][0].contains("at"));
  CHECK(shown["videos"][0].contains("url"));
  check("jobs save", stage.run({"jobs", "save", "--json", done, "shot.mp4"}));
  check("jobs resolve", stage.run({"jobs", "resolve", "--json", lost, "--abandon"}));
  check("jobs prune", stage.run({"jobs", "prune", "--json"}));
  CHECK(check("query", stage.run({"query", "--json", done})).front()["videos"].size() == 1);
  CHECK(check("doctor", stage.run({"doctor", "--json"})).size() == 13);
  const auto server = stage.start({"sim", "--json", "--state", "state"});
  REQUIRE(stage.until(
      [&](const sim::Counters&) { return std::filesystem::exists(stage.folder / "state/clips"); }));
  server->signal(SIGTERM);
  CHECK(check("sim", server->wait()).size() == 2);
}
