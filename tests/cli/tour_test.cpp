// Every example of docs/tour.md is a script that runs.
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

TEST_CASE("the examples of the tour run") {
  std::ifstream page(KLING_SOURCE_DIR "/docs/tour.md");
  std::string example;
  bool inside = false;
  int examples = 0;
  for (std::string line; std::getline(page, line);) {
    if (line == "```lua") {
      inside = true;
    } else if (inside && line == "```") {
      inside = false;
      ++examples;
      Stage stage(example);
      const Outcome run = stage.run({"run", "--sim", "--speed", "10000", "--no-store", "film.lua"});
      CAPTURE(example);
      CAPTURE(run.err);
      CHECK(run.code == 0);
      example.clear();
    } else if (inside) {
      example += line + "\n";
    }
  }
  CHECK(examples == 9);
}
