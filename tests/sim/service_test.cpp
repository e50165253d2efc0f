// The service's behaviour over HTTP: creates, queries, refusals, ids, external ids, state on disk.
#include <fstream>

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

TEST_CASE("look-up by external id and its uniqueness can each be off as behind proxies") {
  for (const bool lookup : {true, false}) {
    for (const bool unique : {true, false}) {
      CAPTURE(lookup);
      CAPTURE(unique);
      Options options;
      options.external_lookup = lookup;
      options.external_unique = unique;
      Fixture sim(options);
      Json body = kShot;
      body["external_task_id"] = "mine-1";
      const std::string id = sim.accepted("text2video", body);
      const Json again = Fixture::body(sim.create("text2video", body), unique ? 400 : 200);
      CHECK(again["code"] == (unique ? 1201 : 0));
      CHECK(sim.simulator->counters().charges_by_external_id.at("mine-1") == (unique ? 1 : 2));
      // Of two with one external id, the first is found.
      const Json found = Fixture::body(sim.query("text2video", "mine-1"), lookup ? 200 : 400);
      if (lookup) CHECK(found["data"]["task_id"] == id);
    }
  }
}

TEST_CASE("a stopped simulator goes on from its folder with ids charges clips and time") {
  TemporaryFolder folder;
  Options options;
  options.state_dir = folder.path;
  Fixture sim(options);
  Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", "waves"}};
  body["external_task_id"] = "mine-1";
  const std::string id = sim.accepted("text2video", body);
  sim.clock->advance(1'000);
  const std::string late = sim.accepted("text2video", kShot);
  REQUIRE(sim.client().Get(sim.clip_path("text2video", id).c_str())->status == 200);
  sim.simulator.reset();
  CHECK(Store::saved_time(folder.path) == sim.clock->now());
  // What a killed process may leave.
  std::ofstream(folder.path + "/journal.jsonl", std::ios::app) << "\n{\"id\":\"half";
  sim.start(options);
  CHECK(sim.simulator->counters().charged == 2);
  CHECK(sim.simulator->counters().creates == 0);
  CHECK(Fixture::body(sim.create("text2video", body), 400)["code"] == 1201);
  CHECK(sim.client().Get(sim.clip_path("text2video", id).c_str())->status == 200);
  CHECK(sim.simulator->counters().renders == 0);
  CHECK(sim.accepted("text2video", kShot) > late);
  CHECK(sim.simulator->counters().accepted == 3);
}

TEST_CASE("the same seed and requests give the same answers and another seed others") {
  const auto answers = [](std::uint64_t seed) {
    Options options;
    options.seed = seed;
    Fixture sim(options);
    std::string all;
    for (const char* prompt : {"waves", "waves", "a storm", "nsfw"}) {
      const Json body = {{"model_name", "kling-v2-6"}, {"prompt", prompt}};
      const Json created = Fixture::body(sim.create("text2video", body));
      const std::string id = created["data"]["task_id"];
      all += created.dump() + "\n";
      for (int i = 0; i < 20; ++i) {
        sim.clock->advance(10'000);
        all += Fixture::body(sim.query("text2video", id)).dump() + "\n";
      }
    }
    for (auto at = all.find(sim.simulator->base_url()); at != std::string::npos;
         at = all.find(sim.simulator->base_url()))
      all.erase(at, sim.simulator->base_url().size());
    return all;
  };
  const std::string first = answers(7);
  CHECK(first.find("succeed") != std::string::npos);
  CHECK(first == answers(7));
  CHECK(first != answers(8));
}

TEST_CASE("another seed lets tasks take another time") {
  const auto lengths = [](std::uint64_t seed) {
    Options options;
    options.seed = seed;
    Fixture sim(options);
    std::vector<Millis> found;
    for (const char* prompt : {"waves", "a storm", "a street"}) {
      const std::string id =
          sim.accepted("text2video", {{"model_name", "kling-v2-6"}, {"prompt", prompt}});
      sim.clock->advance(200'000);
      const Json data = Fixture::body(sim.query("text2video", id))["data"];
      found.push_back(data["updated_at"].get<Millis>() - data["created_at"].get<Millis>());
      CHECK(found.back() >= 60'000);
      CHECK(found.back() <= 180'000);
    }
    return found;
  };
  CHECK(lengths(7) == lengths(7));
  CHECK(lengths(7) != lengths(8));
}

TEST_CASE("generations take the asked time on a clock of any speed") {
  Options options;
  options.min_run = options.max_run = 60'000;
  Fixture sim(options);
  const std::string id = sim.accepted("text2video", kShot);
  const auto status = [&] {
    return Fixture::body(sim.query("text2video", id))["data"]["task_status"].get<std::string>();
  };
  sim.clock->advance(59'999);
  CHECK(status() == "processing");
  sim.clock->advance(1);
  CHECK(status() == "succeed");

  options.clock = Simulator::clock_for("", 100'000);  // a minute in 0.6 ms
  auto fast = Simulator::start(options);
  REQUIRE(fast.ok());
  sim.simulator = std::move(*fast);
  const std::string other = sim.accepted("text2video", kShot);
  Json data = Json::object();
  for (int i = 0; i < 2000 && data.value("task_status", "") != "succeed"; ++i)
    data = Fixture::body(sim.query("text2video", other))["data"];
  CHECK(data["task_status"] == "succeed");
  CHECK(data["updated_at"].get<Millis>() - data["created_at"].get<Millis>() == 60'000);
}

TEST_CASE("answers carry the real time so that clients can compare their clock") {
  Fixture sim;
  std::tm parts{};
  const std::string date = sim.query("text2video", "1")->get_header_value("Date");
  REQUIRE(::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts) != nullptr);
  CHECK(std::abs(std::time(nullptr) - ::timegm(&parts)) < 30);
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

TEST_CASE("a slot is held from submit to the end and given back by success and failure") {
  Options options;
  options.slots = 2;
  Fixture sim(options);
  Json bad = kShot;
  bad["prompt"] = "nsfw";
  sim.accepted("text2video", bad);
  sim.accepted("text2video", kShot);
  for (const Millis later : {0, 30'000}) {
    sim.clock->advance(later);
    const Json full = Fixture::body(sim.create("text2video", kShot), 429);
    CHECK(full["code"] == 1303);
    CHECK(full["message"] == "parallel task over resource pack limit");
  }
  sim.clock->advance(180'000);
  sim.accepted("text2video", kShot);
  sim.accepted("text2video", kShot);
  CHECK(Fixture::body(sim.create("text2video", kShot), 429)["code"] == 1303);
}

TEST_CASE("the charge ledger refunds what fails and credit ends with what is charged") {
  Options options;
  options.units = 4;  // two clips at 1.5
  Fixture sim(options);
  Json bad = kShot;
  bad["prompt"] = "nsfw";
  const std::string failing = sim.accepted("text2video", bad);
  sim.accepted("text2video", kShot);
  CHECK(sim.simulator->counters().charged == 2);
  CHECK(sim.simulator->counters().charged_units == doctest::Approx(3));
  CHECK(Fixture::body(sim.create("text2video", kShot), 429)["code"] == 1102);
  sim.clock->advance(180'000);
  const Counters refunded = sim.simulator->counters();
  CHECK(refunded.accepted == 2);
  CHECK(refunded.charged == 1);
  CHECK(refunded.charged_usd == doctest::Approx(0.21));
  const Json data = Fixture::body(sim.query("text2video", failing))["data"];
  CHECK(data["final_unit_deduction"] == "0");
  CHECK(data["task_status_msg"] == "Failure to pass the risk control system");
  sim.accepted("text2video", kShot);
  CHECK(Fixture::body(sim.create("text2video", kShot), 429)["code"] == 1102);
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
