// kling plan: tells what a run would do, and does nothing.
#include <filesystem>

#include <nlohmann/json.hpp>

#include "cli/typist.h"

using namespace kling;
using namespace kling::test;

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

const char* const kPlannedFilm = R"(
local kling = require "kling"
local shot = kling.text2video { prompt = "a harbour" }:wait()
shot:last_frame():save("frame.png")
local storm = kling.image2video { image = "frame.png", prompt = "storm" }:wait()
kling.omni { prompt = "the end of it", video_list = { storm } }:wait():save("out/")
)";

std::vector<Json> lines(const std::string& text, const char* kind) {
  std::vector<Json> found;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);)
    if (const Json value = Json::parse(line, nullptr, false); value.contains(kind))
      found.push_back(value[kind]);
  return found;
}

std::string bytes(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

}  // namespace

TEST_CASE("a plan warns of what a run would warn of") {
  const Stage stage(
      "require 'kling'.text2video { prompt = 'x', model_name = 'kling-v1', mode = 'std' }");
  const std::string warning = "warning: ";
  for (const char* verb : {"run", "plan"}) {
    const Outcome ran = stage.run({verb, "film.lua"});
    CAPTURE(verb);
    CAPTURE(ran.err);
    CHECK(contains(ran.err, warning));
    CHECK(contains(ran.err, "retired on 2026-09-15"));
  }
  CHECK_FALSE(contains(stage.run({"plan", "--json", "film.lua"}).err, warning));
}

TEST_CASE("a plan tells every step of a chain and sends and records and saves nothing") {
  Stage stage(kPlannedFilm);
  const Outcome plan = stage.run({"plan", "--json", "film.lua"});
  CAPTURE(plan.err);
  CHECK(plan.code == 0);
  const auto steps = lines(plan.out, "step");
  REQUIRE(steps.size() == 3);
  CHECK(steps[0]["state"] == "new");
  CHECK(steps[0]["kind"] == "text2video");
  CHECK(steps[0]["model"] == "kling-v2-6");
  CHECK(steps[0]["seconds"] == "5");
  CHECK(steps[0]["usd"] == doctest::Approx(0.21));
  CHECK(steps[0]["where"] == "film.lua:3");
  CHECK(steps[2]["kind"] == "omni");
  const auto total = lines(plan.out, "plan").at(0);
  CHECK(total["new"] == 3);
  CHECK(total["usd"] == doctest::Approx(0.21 + 0.21 + 1.26));
  CHECK(stage.service->counters().creates == 0);
  CHECK(stage.service->counters().queries == 0);
  CHECK(!fs::exists(stage.folder / ".kling"));
  CHECK(!fs::exists(stage.folder / "frame.png"));
  CHECK(!fs::exists(stage.folder / "out"));
}

TEST_CASE("what was paid is told as paid and an edited step as one that differs") {
  Stage stage(kPlannedFilm);
  REQUIRE(stage.run().code == 0);
  const std::string before = bytes(stage.folder / ".kling/ledger.db");
  const Outcome paid = stage.run({"plan", "film.lua"});
  CAPTURE(paid.out);
  CHECK(paid.code == 0);
  CHECK(contains(paid.out, "0 to submit, about $0.00; 3 paid or running, $1.05"));

  std::string edited = kPlannedFilm;
  edited.replace(edited.find("\"storm\""), 7, "\"a worse storm\"");
  std::ofstream(stage.folder / "film.lua") << edited;
  const Outcome plan = stage.run({"plan", "film.lua"});
  CAPTURE(plan.out);
  // The edited step, and the one that is made from it.
  CHECK(contains(plan.out, "2 to submit, about $1.47; 1 paid or running, $0.21"));
  CHECK(contains(plan.out, "1 step differs from last time\n"));
  CHECK(contains(plan.out, "  (differs from last time)\n"));
  CHECK(contains(plan.out, "  (made from what differs)\n"));
  CHECK(bytes(stage.folder / ".kling/ledger.db") == before);
  CHECK(stage.service->counters().creates == 3);

  // And that is what the run then does.
  REQUIRE(stage.run().code == 0);
  CHECK(stage.service->counters().creates == 5);
}

TEST_CASE("running and failed steps and those that need a decision are told apart") {
  sim::Options options;
  options.faults = {"create#2: accept, drop", "create#3: hang"};
  options.external_lookup = false;
  Stage stage(R"(
local kling = require "kling"
local jobs = {}
for i, prompt in ipairs { "nsfw", "lost" } do
  jobs[i] = kling.text2video { prompt = prompt }
  pcall(jobs[i].wait, jobs[i])
end
kling.text2video { prompt = "hangs" }:wait()
)",
              options);
  {
    const auto child = stage.start({"run", "--patience", "0.1", "film.lua"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.creates == 3; }));
    child->signal(SIGKILL);
    child->wait();
  }
  const Outcome plan = stage.run({"plan", "--json", "film.lua"});
  CAPTURE(plan.err);
  CAPTURE(plan.out);
  const auto steps = lines(plan.out, "step");
  REQUIRE(steps.size() == 3);
  CHECK(steps[0]["state"] == "refused");
  CHECK(steps[1]["state"] == "ambiguous");
  CHECK(steps[2]["state"] == "running");
}

TEST_CASE("a plan over the budget ends with four") {
  Stage stage(kPlannedFilm);
  const Outcome plan = stage.run({"plan", "--max-cost", "0.5", "film.lua"});
  CHECK(plan.code == 4);
  CHECK(contains(plan.out, "over the budget of $0.50"));
  CHECK(stage.run({"plan", "--max-cost", "1.68", "film.lua"}).code == 0);
}

TEST_CASE("an error of the script is the plan's error") {
  Stage stage("local kling = require 'kling'\nkling.text2video { promt = 'x' }");
  const Outcome plan = stage.run({"plan", "film.lua"});
  CHECK(plan.code == 1);
  CHECK(contains(plan.err, "film.lua:2"));
  CHECK(contains(plan.err, "prompt"));
}

TEST_CASE("no line of a plan is wider than the terminal") {
  const Stage stage(kPlannedFilm);
  for (const unsigned short columns : {80, 40}) {
    Typist plan(stage, {"plan", "film.lua"}, columns);
    CHECK(plan.end() == 0);
    CAPTURE(plan.screen);
    CHECK(contains(plan.screen, "a harbour"));
    std::istringstream stream(plan.screen);
    for (std::string line; std::getline(stream, line);) CHECK(line.size() <= columns + 1u);
  }
}
