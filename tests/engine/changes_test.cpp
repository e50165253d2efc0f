// The feed of changed jobs: each reader hears of each change, and of nothing else.
#include <set>

#include "engine/stage.h"

using namespace kling;
using namespace kling::engine;
using namespace kling::engine::testing;

TEST_CASE("each reader of the changes is told of the jobs that changed since it last asked") {
  Stage stage;
  std::uint64_t first = 0, second = 0;
  CHECK(stage.engine->changes(first).empty());
  const auto job = stage.create(Stage::shot("A kite"));
  std::vector<std::string> states;
  const bool ended = stage.until([&] {
    for (const auto& changed : stage.engine->changes(first)) {
      CHECK(changed == job);
      const std::string state = stage.snapshot(changed).state;
      if (states.empty() || states.back() != state) states.push_back(state);
    }
    return !states.empty() && stage.snapshot(job).phase == Phase::stored;
  });
  REQUIRE(ended);
  (void)stage.engine->changes(first);
  // No state comes back once another was told.
  CHECK(std::set<std::string>(states.begin(), states.end()).size() == states.size());
  CHECK(stage.engine->changes(first).empty());
  const auto other = stage.create(Stage::shot("A crow"));
  stage.finish(other);
  const auto since = stage.engine->changes(first);
  REQUIRE(since.size() == 1);  // many changes, told once
  CHECK(since[0] == other);
  const auto all = stage.engine->changes(second);
  REQUIRE(all.size() == 2);
  CHECK(all[0] == job);
  CHECK(all[1] == other);
}
