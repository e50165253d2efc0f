// Callbacks of the service through the program: taken by itself, or told by a web server.
#include <regex>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

const char* const kTwo =
    "local kling = require 'kling'\n"
    "kling.all { kling.text2video { prompt = 'A kite' }, kling.text2video { prompt = 'A crow' } }";

}  // namespace

TEST_CASE("a run that listens hardly asks") {
  const Stage stage(kTwo);
  // Where it listens is known only once it does; the simulator of the run itself is told.
  const Outcome outcome = stage.run(
      {"run", "--sim", "--speed", "2000", "--listen", "127.0.0.1:0", "--json", "film.lua"});
  CHECK_MESSAGE(outcome.code == 0, outcome.err);
  CHECK(outcome.err.find("\"submitted\":2") + outcome.out.find("\"submitted\":2") !=
        2 * std::string::npos);
}

TEST_CASE("a run can only listen where the service can come to") {
  const Stage stage(kTwo);
  const Outcome nowhere = stage.run({"run", "--listen", "127.0.0.1:0", "film.lua"});
  CHECK(nowhere.code == 1);
  CHECK(nowhere.err.find("--listen needs --public-url") != std::string::npos);
  const Outcome garbage = stage.run({"run", "--sim", "--listen", "everywhere", "film.lua"});
  CHECK(garbage.code == 1);
  CHECK(garbage.err.find("HOST:PORT") != std::string::npos);
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("a web server hands a callback over on the command line") {
  const Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'A kite' }");
  const Outcome left = stage.run({"run", "--detach", "film.lua"});
  REQUIRE_MESSAGE(left.code == 0, left.err);
  std::smatch id;
  REQUIRE(std::regex_search(left.err, id, std::regex("kling:text2video/([0-9]+)")));
  const auto notify = [&](const std::string& body, std::vector<std::string> more = {}) {
    std::ofstream(stage.folder / "stdin") << body;
    std::vector<std::string> words = {"jobs", "notify", "/kling"};
    words.insert(words.end(), more.begin(), more.end());
    return stage.run(words);
  };
  const std::string told = "{\"task_id\":\"" + id.str(1) + "\",\"task_status\":\"processing\"}";
  CHECK(notify(told).code == 0);
  const Outcome foreign = notify("{\"task_id\":\"123\",\"task_status\":\"succeed\"}");
  CHECK(foreign.code == 1);
  CHECK(foreign.err.find("speaks of no job in this ledger") != std::string::npos);
  CHECK(notify("<html>").code == 1);
  CHECK(notify(told, {"--header", "no colon"}).code == 2);
  // With a secret, only what is signed counts.
  CHECK(::setenv("KLING_WEBHOOK_SECRET", "whsec_c2VjcmV0", 1) == 0);
  const Outcome unsigned_one = notify(told, {"--header", "webhook-id: 1"});
  ::unsetenv("KLING_WEBHOOK_SECRET");
  CHECK(unsigned_one.code != 0);
  CHECK(unsigned_one.err.find("it is not signed") != std::string::npos);
  CHECK(unsigned_one.err.find("c2VjcmV0") == std::string::npos);
  REQUIRE(stage.run({"jobs", "wait"}).code == 0);
  const Outcome ended = notify("{\"task_id\":\"" + id.str(1) + "\",\"task_status\":\"succeed\"}");
  CHECK(ended.code == 0);
  CHECK(ended.out.find("succeeded") != std::string::npos);
  CHECK(stage.service->counters().creates == 1);
}
