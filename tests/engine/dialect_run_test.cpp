// Every endpoint in every dialect of the service, from the request to the clip on the disk.
#include "engine/media/ffmpeg.h"
#include "engine/stage.h"
#include "sim/dialect.h"

namespace kling::engine::testing {
namespace {

void run_all(const std::string& dialect) {
  CAPTURE(dialect);
  sim::Options service;
  service.dialect = dialect;
  Stage stage(service);
  const JobSnapshot text = stage.run(stage.shot());
  auto source = std::make_shared<MediaSource>();
  source->recipe = MediaSource::Recipe::last_frame;
  source->path = text.file;
  std::string picture;
  bool made = false;
  stage.engine->materialize(source, [&](Result<std::string> path) {
    REQUIRE_MESSAGE(path.ok(), (path ? "" : path.error().message));
    picture = *path;
    made = true;
  });
  REQUIRE(stage.until([&] { return made; }));

  const std::vector<std::pair<std::string, Json>> others = {
      {"image2video", {{"image", picture}, {"prompt", "The storm arrives"}}},
      {"multi_image2video", {{"image_list", {picture, picture}}, {"prompt", "They meet"}}},
      {"omni", {{"prompt", "Like <<<image_1>>>"}, {"image_list", {picture}}}}};
  std::vector<JobSnapshot> done = {text};
  std::vector<std::shared_ptr<Job>> jobs;
  for (const auto& [endpoint, fields] : others)
    jobs.push_back(stage.create(stage.request(endpoint, fields)));
  for (const auto& job : jobs) done.push_back(stage.finish(job));

  for (const JobSnapshot& seen : done) {
    CAPTURE(seen.endpoint);
    CHECK_MESSAGE(seen.phase == Phase::stored, name(seen.phase),
                  (seen.error ? seen.error->message : ""),
                  (seen.store_error ? seen.store_error->message : ""));
    CHECK(!seen.task_id.empty());
    CHECK(seen.submitted);
    CHECK(seen.duration() > 4.9);
    CHECK(std::filesystem::file_size(seen.file) > 10'000);
    CHECK(seen.cost() > 0);
    const auto facts = media::probe(seen.file);
    REQUIRE(facts.ok());
    CHECK(facts->duration == doctest::Approx(5.04).epsilon(0.03));
  }
  CHECK(stage.count().creates == 4);
  CHECK(stage.count().charged == 4);

  // A later run pays for nothing and asks for nothing.
  stage.open_engine();
  const int queries = stage.count().queries;
  const JobSnapshot again = stage.run(stage.shot());
  CHECK(again.reused);
  CHECK(again.file == text.file);
  CHECK(stage.count().creates == 4);
  CHECK(stage.count().queries == queries);
}

}  // namespace

// One case, so that each clip is rendered once.
TEST_CASE("all four endpoints run to a stored clip in every dialect") {
  REQUIRE(sim::dialects().size() >= 5);
  for (const sim::Dialect& dialect : sim::dialects()) run_all(dialect.name);
}

}  // namespace kling::engine::testing
