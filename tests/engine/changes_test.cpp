// The feed of changed jobs: each reader hears of each change, and of nothing else.
#include <set>

#include "api/text.h"
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

TEST_CASE("the text of a job is its JSON whatever stands in its prompt and its error") {
  JobSnapshot job;
  job.endpoint = "text2video";
  job.task_id = "7";
  job.state = "failed";
  job.created_at = 1'234;
  job.progress = 0.5;
  for (const char* odd : {"plain", "say \"no\" \\ twice\\", "una línea, 灯台", "one\ntwo\t\x01\x7F",
                          "broken \xC3( \xFF", "\"", ""}) {
    CAPTURE(odd);
    job.summary = job.file = odd;
    job.error = std::make_shared<const Error>(
        Error{.message = odd, .hint = odd, .code = odd, .http_status = 500});
    std::string written;
    append_json(written, job.view());
    CHECK(api::to_text(api::parse_json(written)) == api::to_text(to_json(job)));
  }
  CHECK(to_json(job)["error"]["http_status"] == 500);
}
