// What a script is called: neither the spelling of its path nor the place of its project may make
// anybody pay again.
#include <filesystem>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;
namespace fs = std::filesystem;

namespace {

const char* const kTwoShots = R"(
local kling = require "kling"
local dice = kling.text2video { prompt = "a scene " .. math.random(1000) }:wait()
kling.text2video { prompt = "then " .. math.random(1000) }:wait()
)";

/// A script in a folder of its own, which other spellings and links lead to.
struct LinkedProject : Stage {
  explicit LinkedProject(const char* script) : Stage(script) {
    fs::create_directory(folder / "x");
    fs::rename(folder / "film.lua", folder / "x/film.lua");
    fs::create_symlink("x/film.lua", folder / "link.lua");
    fs::create_directory_symlink("x", folder / "y");
  }
};

}  // namespace

TEST_CASE("a script is the same however its path is spelled") {
  LinkedProject project(kTwoShots);
  REQUIRE(project.run({"run", "x/film.lua"}).code == 0);
  REQUIRE(project.service->counters().creates == 2);
  for (const std::string& path :
       {std::string("./x/film.lua"), std::string("x//film.lua"), std::string("x/../x/./film.lua"),
        std::string("y/film.lua"), std::string("link.lua"), project.folder / "x/film.lua"}) {
    CAPTURE(path);
    const Outcome again = project.run({"run", path});
    CAPTURE(again.err);
    CHECK(again.code == 0);
    CHECK(contains(again.err, "0 submitted, 2 reused"));
    CHECK(!contains(again.err, "differs"));
    CHECK(project.service->counters().creates == 2);
  }
}

TEST_CASE("a project that moved goes on where it was, with the same random numbers") {
  LinkedProject project(kTwoShots);
  REQUIRE(project.run({"run", "x/film.lua"}).code == 0);
  fs::create_directory(project.folder / "far");
  fs::rename(project.folder / "x", project.folder / "far/away");
  const Outcome again = project.run({"run", "far/away/film.lua"});
  CAPTURE(again.err);
  CHECK(contains(again.err, "0 submitted, 2 reused"));
  CHECK(!contains(again.err, "differs"));
  const Outcome plan = project.run({"plan", "far/away/film.lua"});
  CAPTURE(plan.out);
  CHECK(contains(plan.out, "0 to submit"));
}

TEST_CASE("the budget of a script holds for every spelling of its path") {
  LinkedProject project(kTwoShots);
  REQUIRE(project.run({"run", "--max-submissions", "2", "x/film.lua"}).code == 0);
  std::ofstream(project.folder / "x/film.lua")
      << "require('kling').text2video { prompt = 'one more' }:wait()";
  for (const char* path : {"x/film.lua", "./x/film.lua", "link.lua", "y/film.lua"}) {
    const Outcome refused = project.run({"run", "--max-submissions", "2", path});
    CAPTURE(refused.err);
    CHECK(refused.code == 4);
    CHECK(project.service->counters().creates == 2);
  }
}

TEST_CASE("two scripts of one name in a project are two scripts") {
  LinkedProject project("require('kling').text2video { prompt = 'first' }:wait()");
  fs::create_directory(project.folder / ".kling");  // one ledger for both
  fs::create_directory(project.folder / "z");
  std::ofstream(project.folder / "z/film.lua")
      << "require('kling').text2video { prompt = 'second' }:wait()";
  CHECK(project.run({"run", "--max-submissions", "1", "x/film.lua"}).code == 0);
  const Outcome other = project.run({"run", "--max-submissions", "1", "z/film.lua"});
  CAPTURE(other.err);
  CHECK(other.code == 0);
  CHECK(!contains(other.err, "differs"));
  CHECK(fs::exists(project.folder / ".kling/ledger.db"));
}

TEST_CASE("a link to a script elsewhere finds the ledger beside the script, then beside the link") {
  LinkedProject project("require('kling').text2video { prompt = 'x' }:wait()");
  fs::create_directory(project.folder / "bin");
  fs::create_symlink("../x/film.lua", project.folder / "bin/film.lua");
  SUBCASE("none yet: it is made beside the script") {
    REQUIRE(project.run({"run", "bin/film.lua"}).code == 0);
    CHECK(fs::exists(project.folder / "x/.kling/ledger.db"));
  }
  SUBCASE("one beside the link") {
    fs::create_directory(project.folder / "bin/.kling");
    REQUIRE(project.run({"run", "bin/film.lua"}).code == 0);
    CHECK(fs::exists(project.folder / "bin/.kling/ledger.db"));
  }
}

TEST_CASE("what comes through a pipe is typed input") {
  Stage stage("");
  std::ofstream(stage.folder / "stdin") << "require('kling').text2video { prompt = 'x' }:wait()";
  // A file as standard input is named like a pipe: /dev/stdin.
  const auto piped = [&] {
    return std::system(("cd " + stage.folder.path() + " && cat stdin | KLING_API_KEY=sk-test " +
                        stage.environment[1] + " " + stage.environment[2] +
                        " " KLING_PROGRAM " run -q /dev/stdin")
                           .c_str());
  };
  CHECK(piped() == 0);
  CHECK(piped() == 0);
  CHECK(stage.service->counters().creates == 2);
  CHECK(fs::exists(stage.folder / ".kling/ledger.db"));
}
