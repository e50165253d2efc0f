// What an answer of the service leads to, by its status, its words and its time, without a network.
#include <ctime>
#include <functional>
#include <set>

#include "engine/stage.h"
#include "net/transport.h"

namespace kling::engine::testing {
namespace {

using Outcome = net::HttpOutcome;

const char* const kNoSuchTask = R"({"code":1201,"message":"Task not found by id/external id"})";

Outcome said(int status, std::string body = "") {
  Outcome outcome;
  outcome.stage = Outcome::Stage::answered;
  outcome.status = status;
  outcome.body = std::move(body);
  return outcome;
}

Outcome lost(int status = 0, std::string body = "") {
  Outcome outcome = said(status, std::move(body));
  outcome.stage = Outcome::Stage::lost;
  outcome.error = {.kind = Kind::network, .message = "the connection broke"};
  return outcome;
}

std::string task_of(const std::string& id, const char* word, const std::string& external = "",
                    Millis created_at = 0) {
  Json data = {{"task_id", id}, {"task_status", word}};
  if (created_at != 0) data["created_at"] = created_at;
  if (!external.empty()) data["task_info"]["external_task_id"] = external;
  if (std::string(word) == "succeed")
    data["task_result"]["videos"] = Json::array({{{"url", "http://x/v.mp4"}}});
  return Json{{"code", 0}, {"data", data}}.dump();
}

/// Answers the n-th create and the n-th query as a test says, which is told the last of the path.
struct ToldService : net::Transport {
  using Answer = std::function<Outcome(int, const std::string&)>;
  Answer create, query;
  std::atomic<int> creates{0}, queries{0};
  std::function<Millis()> now;
  std::mutex mutex;
  std::vector<Millis> asked_at;
  bool all_fresh = true;  ///< each create had a connection of its own

  Outcome send(const net::HttpRequest& request) override {
    const std::string last = request.target.substr(request.target.rfind('/') + 1);
    if (request.method == "POST") {
      all_fresh = all_fresh && request.fresh_connection;
      return create(++creates, last);
    }
    const std::lock_guard lock(mutex);
    asked_at.push_back(now());
    return query(++queries, last);
  }
  void stop() override {}
};

struct Told {
  std::shared_ptr<ToldService> service = std::make_shared<ToldService>();
  std::unique_ptr<Stage> stage;
  std::mutex mutex;
  std::vector<std::string> logged;

  explicit Told(ToldService::Answer create, ToldService::Answer query = nullptr) {
    service->create = std::move(create);
    service->query =
        query ? std::move(query) : [](int, const std::string&) { return said(400, kNoSuchTask); };
    service->now = [clock = std::make_shared<JumpingClock>()] { return clock->now(); };
    EngineOptions options = without_store();
    options.transport = service;
    options.patience = 0;  // a lost answer is looked up once
    options.log = [this](const std::string&, const std::string& text) {
      const std::lock_guard lock(mutex);
      logged.push_back(text);
    };
    stage = std::make_unique<Stage>(sim::Options{}, options);
    service->now = [clock = stage->clock] { return clock->now(); };
  }
  JobSnapshot run(const std::string& prompt = "two") { return stage->run(Stage::shot(prompt)); }
  std::shared_ptr<Ledger> book() const {
    auto opened = open_ledger(stage->options.ledger_path);
    REQUIRE(opened.ok());
    return *opened;
  }
  std::vector<JournalRow> journal_of(const JobSnapshot& job) const {
    const auto rows = book()->journal(job.id);
    REQUIRE(rows.ok());
    return *rows;
  }
  /// Whether look-ups by external id work, as far as that is known.
  std::optional<bool> lookup_known() const {
    const auto known = book()->lookup_known("sim", "text2video");
    REQUIRE(known.ok());
    return *known;
  }
};

}  // namespace

TEST_CASE("a look-up finds nothing only where its answer is about the request") {
  // Of an answer that is not, nothing is decided: it is looked up again.
  const std::set<int> again = {199, 408, 429, 500, 501, 503, 599};
  for (const int status : {199, 200, 201, 302, 399, 400, 402, 404, 407, 408, 409, 428, 429, 430,
                           499, 500, 501, 503, 599}) {
    CAPTURE(status);
    Told told([](int, const std::string&) { return lost(); },
              [&](int nth, const std::string&) {
                return nth <= 3 ? said(status) : said(400, kNoSuchTask);
              });
    CHECK(told.run().phase == Phase::ambiguous);
    CHECK(told.service->queries == (again.count(status) != 0 ? 4 : 1));
    CHECK(told.service->creates == 1);
  }
  for (const int status : {401, 403}) {  // the key may be wrong: the script is told
    Told told([](int, const std::string&) { return lost(); },
              [&](int, const std::string&) { return said(status); });
    const JobSnapshot seen = told.run();
    CHECK(seen.phase == Phase::paused);
    CHECK(told.service->queries == 1);
    REQUIRE(seen.error);
    CHECK(seen.error->http_status == status);
  }
}

TEST_CASE("whether look-ups work is learnt only from an answer that is about the request") {
  // The first job is accepted, the answer to the second is lost; the first is then looked up.
  const std::set<int> again = {401, 403, 408, 429, 500, 599};
  for (const int status : {200, 302, 400, 401, 402, 403, 404, 408, 409, 429, 430, 499, 500, 599}) {
    CAPTURE(status);
    std::string first;
    int probes = 0;
    Told told([](int nth, const std::string&) {
      return nth == 1 ? said(200, task_of("1000", "submitted")) : lost();
    });
    told.service->query = [&](int, const std::string& asked) {
      if (asked == "1000") return said(200, task_of("1000", "succeed"));
      if (asked == first) return ++probes <= 3 ? said(status) : said(400, kNoSuchTask);
      return said(400, kNoSuchTask);
    };
    first = told.run("one").external_id;
    CHECK(told.run().phase == Phase::ambiguous);
    CHECK(probes == (again.count(status) != 0 ? 4 : 1));
    CHECK(told.service->creates == 2);
    CHECK(told.lookup_known() == std::optional(false));
  }
  // It is also learnt from a look-up that tells our id.
  Told found([](int, const std::string&) { return lost(); },
             [](int, const std::string& asked) {
               return said(200, task_of("1000", "succeed", asked == "1000" ? "" : asked));
             });
  CHECK(found.run().phase == Phase::stored);
  CHECK(found.lookup_known() == std::optional(true));
}

TEST_CASE("a pause that the service asks for is kept, whichever way it says it") {
  const auto date = [](Millis at) {
    const std::time_t seconds = at / 1000;
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char text[64];
    (void)std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    return std::string(text);
  };
  struct Row {
    const char* what;
    std::string retry_after, date;
    Millis least;
  };
  const Millis now = JumpingClock().now(), early = 86'400'000;
  for (const Row& row : std::vector<Row>{
           {"none", "", date(now), 1'000},
           {"seconds", "100", "", 100'000},
           {"less than none", "-100", "", 1'000},
           {"a day", "86400", "", 3'600'000},
           {"no number", "100x", "", 1'000},
           {"a date", date(early + 100'000), date(early), 100'000},
           {"a date by our clock", date(now + 100'000), "", 99'000},
           {"a date that has passed", date(early - 100'000), date(early), 1'000},
           {"a date of tomorrow", date(2 * early), date(early), 3'600'000},
           {"a date beside one that cannot be read", date(now + 100'000), "today", 1'000},
           {"one that cannot be read", "tomorrow", date(early), 1'000}}) {
    CAPTURE(row.what);
    Told told(
        [&](int nth, const std::string&) {
          if (nth > 1) return said(200, task_of("1000", "succeed"));
          Outcome busy = said(429, R"({"code":1302,"message":"slower"})");
          busy.retry_after = row.retry_after;
          busy.date = row.date;
          return busy;
        },
        [](int, const std::string&) { return said(200, task_of("1000", "succeed")); });
    const Millis before = told.stage->clock->now();
    const JobSnapshot seen = told.run();
    CHECK(seen.phase == Phase::stored);
    CHECK(seen.accepted_at - before >= row.least);
    CHECK(seen.accepted_at - before <= row.least + 1'500);
    CHECK(told.service->creates == 2);
    CHECK(told.service->all_fresh);
  }
}

TEST_CASE("an answer that was cut off counts as far as it names a task or refuses") {
  struct Row {
    const char* what;
    int status;
    std::string body;
    Phase end;
    int queries;
  };
  for (const Row& row : std::vector<Row>{
           {"nothing came", 0, "", Phase::ambiguous, 1},
           {"a task", 200, task_of("1000", "submitted"), Phase::stored, 1},
           {"a task in a refusal", 400, task_of("1000", "submitted"), Phase::ambiguous, 1},
           {"a refusal", 400, R"({"code":1102,"message":"no credit"})", Phase::failed, 0},
           {"a refusal for the key", 401, "", Phase::failed, 0},
           {"a refusal that may be none", 408, "", Phase::ambiguous, 1},
           {"a refusal with 200", 200, R"({"code":1102,"message":"no credit"})", Phase::ambiguous,
            1},
           {"a refusal with 500", 500, R"({"code":1102,"message":"no credit"})", Phase::ambiguous,
            1},
           {"trouble", 503, "", Phase::ambiguous, 1}}) {
    CAPTURE(row.what);
    Told told([&](int, const std::string&) { return lost(row.status, row.body); },
              [](int, const std::string& asked) {
                return asked == "1000" ? said(200, task_of("1000", "succeed"))
                                       : said(400, kNoSuchTask);
              });
    const JobSnapshot seen = told.run();
    CHECK_MESSAGE(seen.phase == row.end, name(seen.phase));
    CHECK(told.service->queries == row.queries);
    CHECK(told.service->creates == 1);
    if (row.end == Phase::failed) {
      REQUIRE(seen.error);
      CHECK(seen.error->message.find("cut off: the connection broke") != std::string::npos);
    }
  }
}

TEST_CASE("a create that is sent elsewhere is refused only where a look-up is as well") {
  for (const int status : {307, 404, 0}) {
    CAPTURE(status);
    Told told([](int, const std::string&) { return said(307); },
              [&](int nth, const std::string&) {
                if (nth > 1) return said(400, kNoSuchTask);
                return status == 0 ? lost(307) : said(status);
              });
    CHECK(told.run().phase == (status == 307 ? Phase::failed : Phase::ambiguous));
    CHECK(told.service->queries == (status == 307 ? 1 : 2));
    CHECK(told.service->creates == 1);
  }
}

TEST_CASE("a request of any kind was carried out where its answer does not say otherwise") {
  for (const auto& [body, yes] :
       std::vector<std::pair<const char*, bool>>{{R"({})", true},
                                                 {R"([])", true},
                                                 {R"({"code":0})", true},
                                                 {R"({"code":200})", true},
                                                 {R"({"code":"0"})", true},
                                                 {R"({"code":"success"})", true},
                                                 {R"({"code":null})", true},
                                                 {R"({"error":"none"})", true},
                                                 {R"({"code":1})", false},
                                                 {R"({"code":201})", false},
                                                 {R"({"code":"1"})", false},
                                                 {R"({"error":{}})", false},
                                                 {R"({"code":0,"error":{"message":"no"}})", false},
                                                 {R"({"code":0)", false}}) {
    CAPTURE(body);
    Told told([&](int, const std::string&) { return said(200, body); });
    CHECK(told.stage->post_plainly().ok() == yes);
    CHECK(told.service->creates == 1);
  }
}

TEST_CASE("a service that answers oddly is asked once at a time, and its words are kept") {
  Told told([](int, const std::string&) { return said(200, task_of("1000", "submitted")); });
  SUBCASE("with nothing") {
    told.service->query = [](int nth, const std::string&) {
      return nth <= 3 ? said(200, "{}") : said(200, task_of("1000", "succeed"));
    };
  }
  SUBCASE("with another task") {
    told.service->query = [](int nth, const std::string&) {
      return said(200, task_of(nth <= 3 ? "1001" : "1000", "succeed"));
    };
  }
  SUBCASE("that it knows no such task, and finds it by our id") {
    told.service->query = [](int, const std::string& asked) {
      return asked == "1000" ? said(400, kNoSuchTask)
                             : said(200, task_of("1000", "succeed", asked));
    };
  }
  const JobSnapshot seen = told.run();
  CHECK(seen.phase == Phase::stored);
  CHECK(seen.task_id == "1000");
  std::map<std::string, std::string> bodies;
  for (const JournalRow& row : told.journal_of(seen)) bodies[row.what] = row.body;
  CHECK(bodies["accepted"] == task_of("1000", "submitted"));
  CHECK(bodies["succeeded"].find(R"("task_status":"succeed")") != std::string::npos);
  for (const auto& [what, body] : bodies) CHECK_FALSE(what.starts_with("renamed"));
  if (bodies["succeeded"].find("external") != std::string::npos) return;  // two ids, one time
  const auto& at = told.service->asked_at;
  CHECK(at.size() == 4);
  CHECK(std::set<Millis>(at.begin(), at.end()).size() == at.size());
}

TEST_CASE("what an answer warns of is told once, and once more when it is something else") {
  Told told([](int, const std::string&) { return said(200, task_of("1000", "submitted")); },
            [](int nth, const std::string&) {
              return said(200, task_of("1000", nth <= 3   ? "baking"
                                               : nth <= 5 ? "cooling"
                                               : nth <= 7 ? "processing"
                                                          : "succeed"));
            });
  CHECK(told.run().phase == Phase::stored);
  CHECK(told.service->queries == 8);
  REQUIRE(told.logged.size() == 2);
  CHECK(told.logged[0].find("\"baking\"") != std::string::npos);
  CHECK(told.logged[1].find("\"cooling\"") != std::string::npos);
}

TEST_CASE("which key a request was sent with counts until it was certainly not accepted") {
  // With a first key it is refused for now, or its answer is lost; with a second one it is lost.
  for (const bool refused : {true, false}) {
    CAPTURE(refused);
    std::string first;
    std::atomic<bool> away{!refused};
    std::shared_ptr<JumpingClock> clock;
    Told told([&](int nth, const std::string&) {
      if (nth == 1) return said(200, task_of("1000", "succeed"));
      if (nth == 2) clock->hold();  // until there is another key
      if (nth == 2 && refused) return said(429, R"({"code":1302,"message":"slower"})");
      if (nth <= 3) return lost();
      return said(200, task_of("2000", "succeed"));
    });
    clock = told.stage->clock;
    told.service->query = [&](int, const std::string& asked) {
      if (asked == "2000") return said(200, task_of("2000", "succeed"));
      if (asked == "1000" || asked == first) return said(200, task_of("1000", "succeed"));
      return away ? lost() : said(400, kNoSuchTask);
    };
    Stage& stage = *told.stage;
    first = told.run("one").external_id;
    const auto job = stage.create(Stage::shot("two"));
    const Phase waits = refused ? Phase::intended : Phase::looking_up;
    REQUIRE(stage.until(
        [&] { return told.service->creates == 2 && stage.snapshot(job).phase == waits; }));
    away = false;
    stage.options.key = "sk-other";
    stage.open_engine();
    clock->release();
    // What the second account does not know was not accepted, if only it was asked.
    CHECK(told.run("two").phase == (refused ? Phase::stored : Phase::ambiguous));
    CHECK(told.service->creates == (refused ? 4 : 2));
  }
}

TEST_CASE("a task without our id is ours where it is no older than our request, by its clock") {
  struct Row {
    const char* what;
    Millis age, its_clock;  ///< the task was made before our request; the service's is ahead
    bool dated, ours;
  };
  const Millis day = 86'400'000;
  for (const Row& row :
       {Row{"as old", 0, 0, false, true}, Row{"within two seconds", 1'500, 0, false, true},
        Row{"older", 3'000, 0, false, false}, Row{"its clock is ahead", -day, day, true, true},
        Row{"and the task is older", 4'000 - day, day, true, false},
        Row{"its clock is behind", day, -day, true, true},
        Row{"and nobody tells", day, -day, false, false}}) {
    CAPTURE(row.what);
    Millis sent = 0;
    std::string first;
    Told told([&](int nth, const std::string&) {
      if (nth == 1) return said(200, task_of("1000", "succeed"));
      return lost();
    });
    told.service->query = [&](int, const std::string& asked) {
      if (asked == "1000" || asked == first) return said(200, task_of("1000", "succeed"));
      Outcome found = said(200, task_of("2000", "succeed", "", sent - row.age));
      const std::time_t its_now = (told.stage->clock->now() + row.its_clock) / 1000;
      std::tm parts{};
      ::gmtime_r(&its_now, &parts);
      char text[64];
      (void)std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
      if (row.dated) found.date = text;
      return found;
    };
    first = told.run("one").external_id;
    sent = told.stage->clock->now();
    const JobSnapshot seen = told.run();
    CHECK_MESSAGE((seen.phase == Phase::stored) == row.ours, name(seen.phase));
    CHECK(told.service->creates == 2);
    // Who answers with another task does not look up.
    CHECK(told.lookup_known() == std::optional(row.ours));
  }
}

}  // namespace kling::engine::testing
