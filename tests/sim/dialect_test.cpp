// The four dialects: the same task in each one's words.
#include "fixture.h"

namespace kling::sim::testing {
namespace {

Options speaking(const std::string& dialect) {
  Options options;
  options.dialect = dialect;
  return options;
}

const Json kOmni = {{"prompt", "A storm"}, {"aspect_ratio", "16:9"}};

}  // namespace

TEST_CASE("the wrapped dialect answers queries with the state of the proxy around Kling's body") {
  Fixture sim(speaking("wrapped"));
  const std::string id = sim.accepted("text2video", kShot);
  Json outer = Fixture::body(sim.query("text2video", id));
  CHECK(outer["code"] == "success");
  CHECK(outer["data"]["status"] == "SUBMITTED");
  CHECK(outer["data"]["progress"] == "0%");
  sim.clock->advance(30'000);
  outer = Fixture::body(sim.query("text2video", id));
  CHECK(outer["data"]["status"] == "IN_PROGRESS");
  sim.clock->advance(200'000);
  const Json data = Fixture::body(sim.query("text2video", id))["data"];
  CHECK(data["status"] == "SUCCESS");
  CHECK(data["progress"] == "100%");
  CHECK(data["action"] == "TEXT2VIDEO");
  CHECK(data["submit_time"] == data["data"]["created_at"].get<Millis>() / 1000);
  CHECK(data["data"]["task_status"] == "succeed");
  CHECK(data["data"]["task_result"]["videos"].size() == 1);
}

TEST_CASE("the comet dialect wraps omni queries only and gives image2video ids of its own") {
  Fixture sim(speaking("comet"));
  const std::string omni = sim.accepted("omni-video", kOmni);
  CHECK(Fixture::body(sim.query("omni-video", omni))["data"]["action"] == "OMNI_VIDEO");
  const std::string text = sim.accepted("text2video", kShot);
  CHECK(text.size() == 18);
  CHECK(Fixture::body(sim.query("text2video", text))["data"]["task_status"] == "submitted");
  const Json created = Fixture::body(sim.create(
      "image2video", {{"model_name", "kling-v2-6"}, {"image", "https://example.com/a.png"}}));
  CHECK(created["message"] == "success");
  const std::string image = created["data"]["task_id"];
  CHECK(image.size() == 19);
  CHECK(Fixture::body(sim.query("image2video", image))["data"]["task_id"] == image);
  CHECK(sim.query("image2video", "1234567890123456789")->status == 400);
  const std::string second = sim.accepted(
      "image2video", {{"model_name", "kling-v2-6"}, {"image", "https://example.com/a.png"}});
  CHECK(second != image);
  CHECK(Fixture::body(sim.query("image2video", second))["data"]["task_id"] == second);
}

TEST_CASE("the newapi dialect nests twice and hides codes") {
  Fixture sim(speaking("newapi"));
  Json body = kShot;
  body["external_task_id"] = "mine";
  const Json created = Fixture::body(sim.create("text2video", body));
  const std::string id = created["data"]["task_id"];
  CHECK(id.rfind("task_", 0) == 0);
  CHECK(id.size() == 37);
  CHECK(created["task_id"] == id);
  sim.clock->advance(200'000);
  const Json data = Fixture::body(sim.query("text2video", id))["data"];
  CHECK(data["status"] == "SUCCESS");
  const Json inner = data["data"]["data"];
  CHECK(inner["task_status"] == "succeed");
  CHECK(inner["task_id"] != id);
  CHECK(inner["task_result"]["videos"][0]["url"].is_string());
  CHECK(Fixture::body(sim.query("text2video", "task_x"), 400)["code"] == "task_not_exist");
  const Json duplicate = Fixture::body(sim.create("text2video", body), 400);
  CHECK(duplicate["code"] == "task_failed");
  CHECK(duplicate["message"] == "External_task_id mine already exists");
  REQUIRE(sim.simulator->add_fault("create#*: 429-slots").ok());
  CHECK(Fixture::body(sim.create("text2video", kShot), 429)["code"] == "fail_to_fetch_task");
}

TEST_CASE("the new design has its own words") {
  Fixture sim(speaking("kling-new"));
  Json body = kShot;
  body["external_task_id"] = "mine";
  const Json created = Fixture::body(sim.create("text2video", body))["data"];
  CHECK(created["status"] == "submitted");
  CHECK(created["external_id"] == "mine");
  const std::string id = created["id"];
  sim.clock->advance(200'000);
  const Json data = Fixture::body(sim.query("text2video", id))["data"];
  CHECK(data["status"] == "succeeded");
  CHECK(data["outputs"][0]["type"] == "video");
  CHECK(data["outputs"][0]["url"].is_string());
  CHECK(data["billing"][0]["amount"] == "1.5");
}

TEST_CASE("a failed task says why in every dialect") {
  for (const char* dialect : {"native", "wrapped", "comet", "newapi", "kling-new"}) {
    CAPTURE(dialect);
    Fixture sim(speaking(dialect));
    const Json created =
        Fixture::body(sim.create("text2video", {{"prompt", "some nsfw scene"}}))["data"];
    const std::string id = created.contains("id") ? created["id"] : created["task_id"];
    sim.clock->advance(200'000);
    const auto answer = sim.query("text2video", id);
    CHECK(answer->body.find("Failure to pass the risk control system") != std::string::npos);
    CHECK(sim.simulator->counters().charged == 0);
  }
}

TEST_CASE("each endpoint may have a dialect of its own") {
  Fixture sim(speaking("newapi,omni=wrapped,image2video=comet"));
  const std::string omni = sim.accepted("omni-video", kOmni);
  CHECK(omni.size() == 18);
  CHECK(Fixture::body(sim.query("omni-video", omni))["data"]["data"]["task_id"] == omni);
  const std::string text = sim.accepted("text2video", kShot);
  CHECK(text.rfind("task_", 0) == 0);
  const std::string image =
      sim.accepted("image2video", {{"model_name", "kling-v2-6"}, {"image", "https://a.example/a"}});
  CHECK(image.size() == 19);
  // Refusals are worded as their endpoint does, and those of no endpoint as the first one.
  CHECK(Fixture::body(sim.query("omni-video", "1"), 400)["code"] == 1201);
  CHECK(Fixture::body(sim.query("text2video", "1"), 400)["code"] == "task_not_exist");
}

TEST_CASE("the later comet dialect relays omni queries with the task's id as request id") {
  Fixture sim(speaking("comet-april"));
  const std::string omni = sim.accepted("omni-video", kOmni);
  const Json answer = Fixture::body(sim.query("omni-video", omni));
  CHECK(answer["message"] == "success");
  CHECK(answer["request_id"] == omni);
  CHECK(answer["data"]["task_status"] == "submitted");
}

TEST_CASE("an unknown dialect or endpoint is an error that names those there are") {
  for (const char* words : {"klingon", "native,omni=klingon", "native,opera=wrapped"}) {
    auto started = Simulator::start(speaking(words));
    REQUIRE(!started.ok());
    CHECK(started.error().hint.find("newapi") != std::string::npos);
  }
}

}  // namespace kling::sim::testing
