// docs/json.md against what the program writes with --json.
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
  REQUIRE(tables.size() == 5);
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
