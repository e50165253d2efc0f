// A script that ends the process in the middle of its work.
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("os exit gives its code at any moment while workers are busy") {
  Stage stage(
      "local kling = require 'kling'\n"
      "for i = 1, 20 do kling.spawn(function() kling.text2video { prompt = i .. '' }:wait() end) "
      "end\n"
      "kling.sleep(tonumber(arg[1]) / 1000)\n"
      "os.exit(3)\n");
  stage.environment.push_back("KLING_POLL_INTERVAL=0.01");
  for (int run = 0; run < 40; ++run) {
    const auto outcome =
        stage.run({"run", "--ledger", ":memory:", "film.lua", std::to_string(run * 7 % 100)});
    CAPTURE(outcome.err);
    CHECK(outcome.code == 3);
  }
}
