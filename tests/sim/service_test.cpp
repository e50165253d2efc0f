// The service's behaviour over HTTP: creates, queries, refusals, ids, external ids, state on disk.
#include "fixture.h"
#include "sim/store.h"

namespace kling::sim::testing {

TEST_CASE("a text2video task goes from submitted over processing to succeed on the virtual clock") {
  Fixture sim;
  const Json created = Fixture::body(sim.create("text2video", kShot));
  CHECK(created["code"] == 0);
  CHECK(created["message"] == "SUCCEED");
  CHECK(created["data"]["task_status"] == "submitted");
  CHECK(created["data"]["created_at"] == sim.clock->now());
  const std::string id = created["data"]["task_id"];
  CHECK(Fixture::body(sim.query("text2video", id))["data"]["task_status"] == "submitted");
  sim.clock->advance(10'000);
  CHECK(Fixture::body(sim.query("text2video", id))["data"]["task_status"] == "processing");
  sim.clock->advance(200'000);
  const Json done = Fixture::body(sim.query("text2video", id))["data"];
  CHECK(done["task_status"] == "succeed");
  CHECK(done["task_id"] == id);
  CHECK(done["final_unit_deduction"] == "1.5");
  CHECK(done["task_result"]["videos"][0]["duration"] == "5.041");
  CHECK(sim.simulator->counters().queries == 3);
}

TEST_CASE("task ids are snowflakes of the time of creation") {
  Fixture sim;
  for (int i = 0; i < 3; ++i) {
    const auto id = std::stoull(sim.accepted("text2video", kShot));
    const auto made = static_cast<Millis>(id >> 22) + 1568028518783;
    CHECK(std::abs(made - sim.clock->now()) <= 4);
  }
}

TEST_CASE("every endpoint accepts what its documents show and works without the prefix too") {
  Fixture sim;
  const Json pictures = {{{"image", "https://example.com/a.png"}},
                         {{"image", "https://example.com/b.png"}}};
  const std::vector<std::pair<std::string, Json>> requests = {
      {"text2video", {{"prompt", "A happy scene of a vacation on the beach."}}},
      {"image2video", {{"model_name", "kling-v2-6"}, {"image", "https://example.com/a.png"}}},
      {"multi-image2video", {{"prompt", "The astronauts left."}, {"image_list", pictures}}},
      {"omni-video",
       {{"prompt", "A <<<image_1>>>"},
        {"aspect_ratio", "16:9"},
        {"image_list", {{{"image_url", "https://example.com/a.png"}}}}}}};
  for (const auto& [kind, body] : requests) {
    CAPTURE(kind);
    const std::string id = sim.accepted(kind, body);
    CHECK(Fixture::body(sim.get("/v1/videos/" + kind + "/" + id))["data"]["task_id"] == id);
    const Json list = Fixture::body(sim.get("/kling/v1/videos/" + kind + "?pageNum=1&pageSize=5"));
    CHECK(list["data"].size() == 1);
    CHECK(list["data"][0]["task_id"] == id);
    CHECK(Fixture::body(sim.get("/v1/videos/" + kind + "?pageNum=2"))["data"].empty());
    const std::string other = kind == "text2video" ? "omni-video" : "text2video";
    CHECK(Fixture::body(sim.query(other, id), 400)["code"] == 1201);
  }
  CHECK(sim.simulator->counters().accepted == 4);
}

TEST_CASE("a wrong path answers a page and a wrong method a code") {
  Fixture sim;
  const auto page = sim.get("/v1/kling/task/1");
  REQUIRE(page);
  CHECK(page->status == 404);
  CHECK(page->body.find("<html>") != std::string::npos);
  CHECK(Fixture::body(sim.post("/v1/videos/text2video/1", "{}"), 404)["code"] == 1202);
  CHECK(Fixture::body(sim.get("/v1/videos/text2video?pageSize=501"), 400)["code"] == 1201);
}

TEST_CASE("external ids are unique per account and can be queried by") {
  Fixture sim;
  Json body = kShot;
  body["external_task_id"] = "mine-1";
  const std::string id = sim.accepted("text2video", body);
  const Json found = Fixture::body(sim.query("text2video", "mine-1"))["data"];
  CHECK(found["task_id"] == id);
  CHECK(found["task_info"]["external_task_id"] == "mine-1");
  const Json refused = Fixture::body(sim.create("text2video", body), 400);
  CHECK(refused["code"] == 1201);
  CHECK(refused["message"] == "External_task_id mine-1 already exists");
  body["external_task_id"] = "";
  sim.accepted("text2video", body);
  sim.accepted("text2video", body);
  const Json unknown = Fixture::body(sim.query("text2video", "mine-2"), 400);
  CHECK(unknown["message"] == "Task not found by id/external id: mine-2");
  const Counters counters = sim.simulator->counters();
  CHECK(counters.creates == 4);
  CHECK(counters.charged == 3);
  CHECK(counters.charged_usd == doctest::Approx(3 * 0.21));
  CHECK(counters.charges_by_external_id.at("mine-1") == 1);
}

TEST_CASE("external ids may be neither unique nor known as behind a proxy") {
  Options options;
  options.external_lookup = options.external_unique = false;
  Fixture sim(options);
  Json body = kShot;
  body["external_task_id"] = "mine-1";
  sim.accepted("text2video", body);
  sim.accepted("text2video", body);
  CHECK(Fixture::body(sim.query("text2video", "mine-1"), 400)["code"] == 1201);
  CHECK(sim.simulator->counters().charges_by_external_id.at("mine-1") == 2);
}

TEST_CASE("a stopped simulator goes on from its folder with ids charges and time") {
  TemporaryFolder folder;
  Options options;
  options.state_dir = folder.path;
  Fixture sim(options);
  Json body = kShot;
  body["external_task_id"] = "mine-1";
  const std::string id = sim.accepted("text2video", body);
  const std::string first_url = sim.simulator->base_url();
  sim.clock->advance(200'000);
  sim.simulator.reset();
  CHECK(Store::saved_time(folder.path) == sim.clock->now());
  sim.start(options);
  CHECK(sim.simulator->counters().charged == 1);
  CHECK(Fixture::body(sim.create("text2video", body), 400)["code"] == 1201);
  const Json data = Fixture::body(sim.query("text2video", id))["data"];
  const std::string url = data["task_result"]["videos"][0]["url"];
  CHECK(url.rfind(sim.simulator->base_url() + "/sim/clips/", 0) == 0);
}

TEST_CASE("two simulators on one folder share their tasks") {
  TemporaryFolder folder;
  Options options;
  options.state_dir = folder.path;
  Fixture one(options), two(options);
  Json body = kShot;
  body["external_task_id"] = "shared";
  const std::string id = one.accepted("text2video", body);
  CHECK(Fixture::body(two.query("text2video", "shared"))["data"]["task_id"] == id);
  CHECK(Fixture::body(two.create("text2video", body), 400)["code"] == 1201);
}

TEST_CASE("keys are checked with the documented codes") {
  Options options;
  options.key = "sk-right";
  Fixture sim(options);
  CHECK(Fixture::body(sim.query("text2video", "1"), 401)["code"] == 1002);
  const auto bare = sim.client().Get("/v1/videos/text2video/1");
  const Json empty = Fixture::body(bare, 401);
  CHECK(empty["code"] == 1001);
  CHECK(empty["message"] == "Authorization is empty");
  const auto right = sim.client().Get("/v1/videos/text2video/1",
                                      httplib::Headers{{"Authorization", "Bearer sk-right"}});
  CHECK(Fixture::body(right, 400)["code"] == 1201);
}

TEST_CASE("a token must be signed and timely") {
  Options options;
  options.access_key = "test_access_key";
  options.secret_key = "test_secret_key";
  Fixture sim(options);
  const auto ask = [&](const std::string& token) {
    return sim.client().Get("/v1/videos/text2video/1",
                            httplib::Headers{{"Authorization", "Bearer " + token}});
  };
  // The published vector; it expired in 2023.
  const std::string token =
      "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
      "eyJpc3MiOiJ0ZXN0X2FjY2Vzc19rZXkiLCJleHAiOjE3MDAwMDE4MDAs"
      "Im5iZiI6MTY5OTk5OTk5NX0.RRHTi__7g1MT9vNI6rvdlU0_kdkcA1HuseMqS4kn9IA";
  CHECK(Fixture::body(ask(token), 401)["code"] == 1004);
  CHECK(Fixture::body(ask(token.substr(0, token.size() - 2) + "AA"), 401)["code"] == 1002);
  CHECK(Fixture::body(ask("sk-key"), 401)["code"] == 1002);
}

TEST_CASE("slots and credit are limited and failures give both back") {
  Options options;
  options.slots = 1;
  options.units = 2;
  Fixture sim(options);
  Json bad = kShot;
  bad["prompt"] = "nsfw";
  sim.accepted("text2video", bad);
  const Json full = Fixture::body(sim.create("text2video", kShot), 429);
  CHECK(full["code"] == 1303);
  CHECK(full["message"] == "parallel task over resource pack limit");
  sim.clock->advance(200'000);
  CHECK(sim.simulator->counters().charged == 0);
  sim.accepted("text2video", kShot);
  sim.clock->advance(200'000);
  CHECK(Fixture::body(sim.create("text2video", kShot), 429)["code"] == 1102);
}

TEST_CASE("callbacks tell every change") {
  httplib::Server receiver;
  std::mutex mutex;
  std::vector<std::string> states;
  receiver.Post("/hook", [&](const httplib::Request& request, httplib::Response&) {
    const std::lock_guard lock(mutex);
    states.push_back(Json::parse(request.body)["task_status"]);
  });
  const int port = receiver.bind_to_any_port("127.0.0.1");
  std::thread thread([&] { receiver.listen_after_bind(); });
  while (!receiver.is_running()) std::this_thread::yield();
  {
    Fixture sim;
    Json body = kShot;
    body["callback_url"] = "http://127.0.0.1:" + std::to_string(port) + "/hook";
    sim.accepted("text2video", body);
    sim.clock->advance(200'000);
    for (int i = 0; i < 500 && sim.simulator->counters().callbacks < 3; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  }
  receiver.stop();
  thread.join();
  CHECK(states == std::vector<std::string>{"submitted", "processing", "succeed"});
}

TEST_CASE("statistics can be asked for over HTTP") {
  Fixture sim;
  sim.accepted("text2video", kShot);
  const Json stats = Fixture::body(sim.client().Get("/sim/stats"));
  CHECK(stats["creates"] == 1);
  CHECK(stats["charged"] == 1);
  CHECK(stats["charged_usd"] == doctest::Approx(0.21));
}

}  // namespace kling::sim::testing
