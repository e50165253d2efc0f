// Lost answers, refusals and limits, driven over real HTTP: what docs/money-safety.md promises.
#include <atomic>
#include <future>

#include "api/decoder.h"
#include "engine/stage.h"
#include "net/transport.h"

namespace kling::engine::testing {
namespace {

sim::Options without_lookup(std::vector<std::string> faults) {
  sim::Options service;
  service.external_lookup = false;
  return with_faults(std::move(faults), service);
}

/// A service whose tasks have failed when they are first seen.
struct FailingService : net::Transport {
  bool lost = false;  ///< the answers to creates
  std::string reason = "Image pixel is invalid";
  net::HttpOutcome send(const net::HttpRequest& request) override {
    net::HttpOutcome outcome;
    if (request.method == "POST" && lost) {
      outcome.stage = net::HttpOutcome::Stage::lost;
      outcome.error = {.kind = Kind::network, .message = "the connection broke"};
      return outcome;
    }
    outcome.stage = net::HttpOutcome::Stage::answered;
    outcome.status = 200;
    const std::string asked = request.target.substr(request.target.rfind('/') + 1);
    outcome.body = R"({"code":0,"data":{"task_id":"861309198188019719","task_status":"failed",)"
                   R"("task_info":{"external_task_id":")" +
                   asked + R"("},"final_unit_deduction":"1.5","task_status_msg":")" + reason +
                   R"("}})";
    return outcome;
  }
  void stop() override {}
};

/// Answers each create with the next of `creates`, and every GET as `found` says.
struct ScriptedService : net::Transport {
  std::vector<std::pair<int, std::string>> creates;
  bool found = false;
  std::string id = "861309198188019719";
  std::atomic<int> posts{0}, gets{0};
  std::atomic<bool> away{false};  ///< no GET is answered
  net::HttpOutcome send(const net::HttpRequest& request) override {
    net::HttpOutcome outcome;
    outcome.stage = net::HttpOutcome::Stage::answered;
    if (request.method == "POST") {
      const auto& [status, body] = creates.at(std::size_t(posts++));
      outcome.status = status;
      outcome.body = body;
      if (status == 0) {
        outcome.stage = net::HttpOutcome::Stage::lost;
        outcome.error = {.kind = Kind::network, .message = "the connection broke"};
      }
      return outcome;
    }
    ++gets;
    outcome.status = found ? 200 : 400;
    if (away) outcome.stage = net::HttpOutcome::Stage::lost;
    const std::string asked = request.target.substr(request.target.rfind('/') + 1);
    outcome.body = found ? R"({"code":0,"data":{"task_id":")" + id +
                               R"(","task_status":"succeed","task_info":{"external_task_id":")" +
                               asked + R"("},"task_result":{"videos":[{"url":"http://x/v.mp4"}]}}})"
                         : R"({"code":1201,"message":"Task not found by id/external id"})";
    return outcome;
  }
  void stop() override {}
};

/// A service that loses the answer to its second create and never tells external ids. It answers
/// a look-up of that one with `answer`, and one of the first task as `finds_first` says.
struct SilentService : net::Transport {
  std::string first_id = "1000", answer;
  Millis created_at = 0;
  bool finds_first = true;
  std::string first_external;
  std::string second_id;  ///< not empty: the second create is accepted, by an id that finds nothing
  std::atomic<int> posts{0};

  static std::string task(const std::string& id, const char* word, Millis created_at = 0) {
    Json data = {{"task_id", id}, {"task_status", word}};
    if (created_at != 0) data["created_at"] = created_at;
    data["task_result"]["videos"] = Json::array({{{"url", "http://x/v.mp4"}}});
    return Json{{"code", 0}, {"data", data}}.dump();
  }
  net::HttpOutcome send(const net::HttpRequest& request) override {
    net::HttpOutcome outcome;
    outcome.stage = net::HttpOutcome::Stage::answered;
    outcome.status = 200;
    if (request.method == "POST") {
      outcome.body = task(first_id, "submitted");
      if (++posts == 1) return outcome;
      if (!second_id.empty()) outcome.body = task(second_id, "submitted");
      if (!second_id.empty()) return outcome;
      if (posts >
          2) {  // where look-ups work it is sent again; that ends in words that prove nothing
        outcome.status = 400;
        outcome.body = R"({"code":1301,"message":"content"})";
        return outcome;
      }
      return {.stage = net::HttpOutcome::Stage::lost,
              .error = {.kind = Kind::network, .message = "the connection broke"}};
    }
    const std::string asked = request.target.substr(request.target.rfind('/') + 1);
    if (!second_id.empty() && asked == second_id) {
      outcome.status = 400;
      outcome.body = R"({"code":1201,"message":"task_not_exist"})";
    } else if (asked == first_id || (asked == first_external && finds_first)) {
      outcome.body = task(first_id, "succeed");
    } else if (answer == "echo" || asked == answer) {
      outcome.body = task(asked, "succeed", created_at);
    } else if (!answer.empty()) {
      outcome.body = task(answer, "succeed", created_at);
    } else {
      outcome.status = 404;
    }
    return outcome;
  }
  void stop() override {}
};

}  // namespace

TEST_CASE("an answer that does not say whose task it is is adopted only with proof") {
  struct Row {
    const char* what;
    std::string answer;
    bool first;        ///< an earlier job was accepted
    bool finds_first;  ///< and is found by its external id
    Millis age;        ///< of the task that the look-up tells of; < 0: not told
    bool adopted;
  };
  const Row rows[] = {
      {"nothing is known of this service", "2000", false, true, -1, false},
      {"look-ups were seen to work", "2000", true, true, 0, true},
      {"they work, and the time is not told", "2000", true, true, -1, true},
      {"they do not work", "2000", true, false, 0, false},
      {"it tells of a task that we have", "1000", true, true, 0, false},
      {"it repeats what it was asked for", "echo", true, true, 0, false},
      {"the task is older than our request", "2000", true, true, 600'000, false},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.what));
    const auto service = std::make_shared<SilentService>();
    service->finds_first = row.finds_first;
    service->answer = row.answer;
    EngineOptions options = without_store();
    options.transport = service;
    options.patience = 10'000;
    Stage stage({}, options);
    if (row.first) {
      const JobSnapshot one = stage.run(stage.shot("one"));
      REQUIRE(one.phase == Phase::stored);
      service->first_external = one.external_id;
    } else {
      service->posts = 1;
    }
    if (row.age >= 0) service->created_at = stage.clock->now() - row.age;
    const JobSnapshot two = stage.run(stage.shot("two"));
    CHECK(std::string(name(two.phase)) == (row.adopted ? "stored" : "ambiguous"));
    CHECK(two.task_id == (row.adopted ? row.answer : ""));
    if (!row.first) CHECK(service->posts == 2);
  }
}

TEST_CASE("an id that finds nothing is asked for by ours, with proof or by a person") {
  for (const bool first : {true, false}) {
    CAPTURE(first);
    const auto service = std::make_shared<SilentService>();
    service->answer = "2000";
    service->second_id = "task_of_none";
    EngineOptions options = without_store();
    options.transport = service;
    Stage stage({}, options);
    if (first)
      service->first_external = stage.run(stage.shot("one")).external_id;
    else
      service->posts = 1;
    service->created_at = stage.clock->now();
    const JobSnapshot two = stage.run(stage.shot("two"));
    CHECK(std::string(name(two.phase)) == (first ? "stored" : "paused"));
    CHECK(service->posts == 2);
    if (first) {  // who has written its first name down finds it all the same
      std::shared_ptr<Job> found;
      stage.engine->find("kling:text2video/task_of_none", [&](const auto& job) {
        REQUIRE(job.ok());
        found = *job;
      });
      REQUIRE(stage.until([&] { return found != nullptr; }));
      CHECK(stage.finish(found).task_id == "2000");
      CHECK(service->posts == 2);
      continue;
    }
    REQUIRE(two.error);
    CHECK_MESSAGE(two.error->hint.find("the service has the task 2000") != std::string::npos,
                  two.error->hint);
    CHECK(two.error->hint.ends_with("kling jobs resolve " + two.handle + " --adopt 2000"));
  }
}

TEST_CASE("a service that gives one task to two requests is not believed") {
  const auto service = std::make_shared<ScriptedService>();
  const std::string accepted = R"({"code":0,"data":{"task_id":"77","task_status":"submitted"}})";
  service->creates = {{200, accepted}, {200, accepted}};
  service->found = true;
  service->id = "77";
  EngineOptions options = without_store();
  options.transport = service;
  options.patience = 10'000;
  Stage stage({}, options);
  REQUIRE(stage.run(stage.shot("one")).phase == Phase::stored);
  const JobSnapshot two = stage.run(stage.shot("two"));
  CHECK(two.phase == Phase::ambiguous);
  REQUIRE(two.error != nullptr);
  CHECK(two.error->message.find("77, which belongs to another job") != std::string::npos);
  CHECK(service->posts == 2);
}

TEST_CASE("a 4xx without a known reason is looked up once before it counts as a refusal") {
  const auto service = std::make_shared<ScriptedService>();
  service->creates = {{400, R"({"code":4711,"message":"something is odd"})"}};
  SUBCASE("and adopted where the task is found") { service->found = true; }
  SUBCASE("and told in the service's words where it is not") {}
  EngineOptions options = without_store();
  options.transport = service;
  Stage stage({}, options);
  const JobSnapshot seen = stage.run(stage.shot());
  CHECK(seen.phase == (service->found ? Phase::stored : Phase::failed));
  CHECK(service->posts == 1);
  CHECK(service->gets >= 1);
  if (!service->found) {
    CHECK(service->gets == 1);
    REQUIRE(seen.error != nullptr);
    CHECK(seen.error->message.find("something is odd") != std::string::npos);
  }
}

CreateRequest refused_without_a_reason() {  // code 1201, which has many words
  CreateRequest wanted = Stage::shot();
  wanted.request.extra = {{"duration", "99"}};
  return wanted;
}

TEST_CASE("a refusal without a known reason waits for the answer to its look-up") {
  Stage stage(with_faults({"query#1: drop", "query#2: 503"}), without_store());
  const JobSnapshot seen = stage.run(refused_without_a_reason());
  CHECK(seen.phase == Phase::failed);
  REQUIRE(seen.error != nullptr);
  CHECK(seen.error->kind == Kind::invalid);
  CHECK(stage.count().creates == 1);
  CHECK(stage.count().queries == 3);
  CHECK(stage.count().accepted == 0);
}

TEST_CASE("a refusal without a known reason asks a person where no look-up is answered") {
  std::vector<std::string> faults;
  for (int i = 1; i <= 200; ++i) faults.push_back("query#" + std::to_string(i) + ": 503");
  Stage stage(with_faults(std::move(faults)), without_store());
  const JobSnapshot seen = stage.run(refused_without_a_reason());
  CHECK(seen.phase == Phase::ambiguous);
  REQUIRE(seen.error != nullptr);
  CHECK(seen.error->message.find("1201") != std::string::npos);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("what was refused without a known reason is in doubt until its look-up was answered") {
  const auto service = std::make_shared<ScriptedService>();
  service->creates = {{400, R"({"code":4711,"message":"something is odd"})"}};
  service->away = true;
  SUBCASE("the next run adopts it where it was accepted") { service->found = true; }
  SUBCASE("the next run asks where nobody can tell") {}
  EngineOptions options = without_store();
  options.transport = service;
  options.patience = kNever;
  Stage stage({}, options);
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return service->gets > 1; }));
  const std::string id = stage.snapshot(job).external_id;
  stage.options.patience = 10'000;
  stage.engine.reset();  // Ctrl-C; what a kill leaves behind is the same
  auto book = open_ledger(stage.options.ledger_path);
  REQUIRE(book.ok());
  CHECK((*(*book)->find_by_external(id))->state == StepState::sending);
  service->away = false;
  stage.open_engine();
  CHECK(stage.run(stage.shot()).phase == (service->found ? Phase::stored : Phase::ambiguous));
  CHECK(service->posts == 1);
}

TEST_CASE("an answer on the way, or with an unknown code, is a lost answer and not a refusal") {
  for (const auto& [status, body] : std::vector<std::pair<int, std::string>>{
           {408, ""},
           {408, R"({"code":1201,"message":"request timeout"})"},
           {409, R"({"message":"conflict"})"},
           {425, ""},
           {499, R"({"message":"client closed request"})"},
           {400, R"({"code":"task_failed","message":"Post upstream: context canceled"})"},
           {200, R"({"code":31337,"message":"eh"})"},
           {303, R"({"code":"elsewhere"})"}}) {
    CAPTURE(status);
    const auto service = std::make_shared<ScriptedService>();
    service->creates = {{status, body}};
    EngineOptions options = without_store();
    options.transport = service;
    options.patience = 10'000;
    Stage stage({}, options);
    CHECK(stage.run(stage.shot()).phase == Phase::ambiguous);
    CHECK(service->posts == 1);
    CHECK(service->gets > 1);
  }
}

TEST_CASE("a task that has failed when it is first seen tells why") {
  const auto service = std::make_shared<FailingService>();
  Kind kind = Kind::task_failed;
  SUBCASE("in the answer to its create") {}
  SUBCASE("when it is looked up") { service->lost = true; }
  SUBCASE("for its content, which it was started for all the same") {
    service->reason = "Failure to pass the risk control system";
    kind = Kind::policy;
  }
  EngineOptions options = without_store();
  options.transport = service;
  Stage stage({}, options);
  const JobSnapshot seen = stage.run(stage.shot());
  CHECK(seen.phase == Phase::failed);
  REQUIRE(seen.error != nullptr);
  CHECK(seen.error->kind == kind);
  CHECK(seen.error->message.find(service->reason) != std::string::npos);
  CHECK(seen.error->hint.find("not started") == std::string::npos);
  CHECK(seen.error->hint.find("the service says that it charged $0.21; change the") == 0);
}

TEST_CASE("a lost request is sent again where an accepted task was found by its external id") {
  Stage stage(with_faults({"create#2: drop"}), without_store());
  REQUIRE(stage.run(stage.shot("one")).phase == Phase::stored);
  const JobSnapshot second = stage.run(stage.shot("two"));
  CHECK(second.phase == Phase::stored);
  CHECK(stage.count().creates == 3);
  CHECK(stage.count().accepted == 2);
  CHECK(stage.count().charges_by_external_id.at(second.external_id) == 1);
}

TEST_CASE("what the account of another key does not know is not sent again") {
  Stage stage(with_faults({"create#2: drop"}), without_store());
  REQUIRE(stage.run(stage.shot("one")).phase == Phase::stored);
  const auto lost = stage.create(stage.shot("two"));
  REQUIRE(stage.until([&] { return stage.engine->snapshot(lost).phase == Phase::looking_up; }));
  stage.options.key = "sk-other";
  stage.open_engine();
  CHECK(stage.run(stage.shot("two")).phase == Phase::ambiguous);
  CHECK(stage.count().creates == 2);
  // The account that was asked knows it better.
  stage.options.key = "sk-test";
  stage.open_engine();
  CHECK(stage.run(stage.shot("two")).phase == Phase::stored);
  CHECK(stage.count().creates == 3);
}

TEST_CASE("what is known of the look-up is kept in the ledger") {
  Stage stage(with_faults({"create#2: drop", "create#4: drop"}), without_store());
  REQUIRE(stage.run(stage.shot("one")).phase == Phase::stored);
  REQUIRE(stage.run(stage.shot("two")).phase == Phase::stored);
  stage.open_engine();
  const int queries = stage.count().queries;
  const auto job = stage.create(stage.shot("three"));
  REQUIRE(stage.until([&] { return stage.count().creates == 5; }));
  CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().queries > queries);
  CHECK(stage.count().accepted == 3);
}

TEST_CASE("a lost answer stops and asks where the service cannot look up external ids") {
  bool accepted = false;
  SUBCASE("and a person may send it again") {}
  SUBCASE("and a person who errs does not pay twice") { accepted = true; }
  Stage stage(without_lookup({accepted ? "create#2: accept, drop" : "create#2: drop"}),
              without_store());
  REQUIRE(stage.run(stage.shot("one")).phase == Phase::stored);
  const JobSnapshot second = stage.run(stage.shot("two"));
  CHECK(second.phase == Phase::ambiguous);
  REQUIRE(second.error != nullptr);
  CHECK(second.error->kind == Kind::ambiguous);
  CHECK(second.error->message.find("lost (the connection to 127.0.0.1") != std::string::npos);
  CHECK(second.error->hint.find("kling jobs resolve " + second.handle) != std::string::npos);
  CHECK(stage.count().creates == 2);

  // The next run does not pay either, until a person has spoken.
  stage.open_engine();
  CHECK(stage.run(stage.shot("two")).phase == Phase::ambiguous);
  CHECK(stage.count().creates == 2);
  stage.engine.reset();

  REQUIRE(resolve(stage.options, second.handle, "", true).ok());
  stage.open_engine();
  const JobSnapshot again = stage.run(stage.shot("two"));
  // The same external id goes out, so the service refuses what it has accepted already.
  CHECK(again.phase == (accepted ? Phase::ambiguous : Phase::stored));
  CHECK(stage.count().creates == 3);
  CHECK(stage.count().accepted == 2);
}

TEST_CASE("who asks again about a lost answer is told once it was looked for again") {
  sim::Options service = with_faults({"create#1: accept, drop"});
  service.external_lookup = false;
  std::atomic<bool> holds{false}, held{false};
  EngineOptions options = without_store();
  options.on_action = [&](const char* action, bool done) {
    if (std::string(action) != "revisit" || done) return;
    held = true;
    while (holds) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  Stage stage(service, options);
  CreateRequest lost = stage.shot();
  const auto ask = lost.ask;
  REQUIRE(stage.finish(stage.create(std::move(lost))).error->kind == Kind::ambiguous);
  holds = true;
  CreateRequest again = stage.shot();
  again.story = std::make_shared<Raised>(ask, Kind::ambiguous, 0, nullptr);
  std::shared_ptr<Job> second;
  bool told = false;
  stage.engine->create(std::move(again), [&](Result<std::shared_ptr<Job>> job) { second = *job; });
  REQUIRE(stage.until([&] { return second != nullptr && held; }));
  stage.engine->watch(second, Milestone::finished, {second, [&] { told = true; }});
  for (int i = 0; i < 20; ++i) stage.queue->drain();
  CHECK_FALSE(told);
  holds = false;
  REQUIRE(stage.until([&] { return told; }));
  CHECK(stage.snapshot(second).error->kind == Kind::ambiguous);
  CHECK(stage.count().accepted == 1);
}

TEST_CASE("a person may adopt a lost task or forget it") {
  Stage stage(without_lookup({"create#1: accept, drop"}), without_store());
  const JobSnapshot lost = stage.run(stage.shot());
  REQUIRE(lost.phase == Phase::ambiguous);
  stage.engine.reset();
  bool adopt = false;
  SUBCASE("adopt") { adopt = true; }
  SUBCASE("abandon") {}
  if (adopt) {
    // The id stands in the account's list of tasks.
    auto browser = net::make_transport({.base_url = stage.options.base_url});
    REQUIRE(browser.ok());
    net::HttpRequest list;
    list.target = "/kling/v1/videos/text2video";
    list.headers = {{"Authorization", "Bearer sk-test"}};
    const Json tasks = api::parse_json((*browser)->send(list).body)["data"];
    REQUIRE(tasks.size() == 1);
    const std::string id = tasks[0]["task_id"];
    CHECK(!resolve(stage.options, lost.handle, "12345", false).ok());
    const Status adopted = resolve(stage.options, lost.handle, id, false);
    REQUIRE_MESSAGE(adopted.ok(), (adopted ? "" : adopted.error().message));
    stage.open_engine();
    const JobSnapshot again = stage.run(stage.shot());
    CHECK(again.phase == Phase::stored);
    CHECK(again.task_id == id);
  } else {
    REQUIRE(resolve(stage.options, lost.handle, "", false).ok());
    CHECK(!resolve(stage.options, lost.handle, "", false).ok());  // nothing is left to decide
  }
  CHECK(stage.count().creates == 1);
}

TEST_CASE("what a person has sent again may exist all the same: no refusal of it is believed") {
  Stage stage(without_lookup({"create#1: accept, drop", "create#2: 1102"}), without_store());
  const JobSnapshot lost = stage.run(stage.shot());
  REQUIRE(lost.phase == Phase::ambiguous);
  stage.engine.reset();
  REQUIRE(resolve(stage.options, lost.handle, "", true).ok());
  stage.open_engine();
  CHECK(stage.run(stage.shot()).phase == Phase::ambiguous);
  CHECK(stage.count().creates == 2);
  CHECK(stage.count().accepted == 1);
}

TEST_CASE("what was cut off while it was sent is looked for before a person decides about it") {
  sim::Options service;
  service.faults = {"create#1: hang"};
  Stage stage(service, without_store());
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return stage.count().creates > 0; }));
  const std::string handle = "kling:text2video/~" + stage.snapshot(job).external_id;
  const Status told = resolve(stage.options, handle, "", true);
  REQUIRE(!told.ok());
  CHECK(told.error().message == handle + " goes on: there is nothing to decide");
  CHECK(told.error().hint.starts_with("whether the service has it is looked for when its script"));
}

TEST_CASE("a task that the service forgot is given up by a person and not sent again by itself") {
  Stage stage({}, without_store());
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return stage.count().queries > 0; }));  // so it is recorded
  stage.engine.reset();
  stage.simulator.reset();
  stage.service.state_dir = stage.folder / "empty";
  stage.start_service();
  stage.open_engine();
  const JobSnapshot open = stage.run(stage.shot());
  CHECK(open.phase == Phase::paused);
  REQUIRE(open.error != nullptr);
  CHECK(open.error->hint.find("kling jobs resolve " + open.handle + " --abandon") !=
        std::string::npos);
  CHECK(open.error->hint.find("another key") == std::string::npos);
  stage.options.key = "sk-other";
  stage.open_engine();
  const JobSnapshot elsewhere = stage.run(stage.shot());
  REQUIRE(elsewhere.error != nullptr);
  CHECK(elsewhere.error->hint.starts_with("it was sent with another key: use that one;"));
  stage.options.key = "sk-test";
  stage.engine.reset();
  const std::string handle = "kling:text2video/~" + open.external_id;
  CHECK(!resolve(stage.options, handle, "", true).ok());  // nothing was lost
  REQUIRE(resolve(stage.options, handle, "", false).ok());
  CHECK(!resolve(stage.options, handle, "", false).ok());  // once is enough
  stage.open_engine();
  const JobSnapshot again = stage.run(stage.shot());
  CHECK(again.phase == Phase::failed);
  CHECK(stage.count().creates == 0);
  stage.options.retry_failed = true;
  stage.open_engine();
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("lost = ask stops at once without a look-up") {
  EngineOptions options = without_store();
  options.ask_when_lost = true;
  Stage stage(with_faults({"create#1: accept, drop"}), options);
  const Millis before = stage.clock->now();
  CHECK(stage.run(stage.shot()).phase == Phase::ambiguous);
  CHECK(stage.clock->now() == before);
  CHECK(stage.count().queries == 0);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("patience is how long a lost answer is searched for") {
  EngineOptions options = without_store();
  options.patience = 20'000;
  Stage stage(with_faults({"create#1: drop"}), options);
  const Millis before = stage.clock->now();
  CHECK(stage.run(stage.shot()).phase == Phase::ambiguous);
  CHECK(stage.clock->now() - before >= 17'000);
  CHECK(stage.clock->now() - before <= 23'000);
}

TEST_CASE("an outage during the search costs no patience") {
  EngineOptions options = without_store();
  options.patience = 20'000;
  Stage stage(with_faults({"create#1: accept, drop", "query#1-40: reset"}), options);
  const Millis before = stage.clock->now();
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.clock->now() - before > 300'000);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("an external id that exists already is adopted") {
  Stage stage({}, without_store());
  Json fields = {{"prompt", "A lighthouse"}, {"external_task_id", "mine-1"}};
  const JobSnapshot first = stage.run(stage.request("text2video", fields));
  REQUIRE(first.phase == Phase::stored);
  CHECK(first.external_id == "mine-1");
  // Another ledger does not know of it. A duplicate of an id that the user chose is a refusal.
  stage.options.ledger_path = stage.folder / "other.db";
  stage.open_engine();
  const JobSnapshot second = stage.run(stage.request("text2video", fields));
  CHECK(second.phase == Phase::failed);
  REQUIRE(second.error != nullptr);
  CHECK(second.error->hint.find("choose another") != std::string::npos);
  CHECK(stage.count().accepted == 1);
}

TEST_CASE("Retry-After in seconds is heeded") {
  Stage stage(with_faults({"create#1: 429-retry-after"}), without_store());
  const Millis before = stage.clock->now();
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return !stage.snapshot(job).task_id.empty(); }));
  CHECK(stage.snapshot(job).accepted_at - before >= 1'800);  // two seconds, a tenth of jitter
  CHECK(stage.finish(job).phase == Phase::stored);
}

TEST_CASE("Retry-After as a date is heeded up to an hour") {
  Stage stage(with_faults({"create#1: 429-retry-date"}), without_store());
  const Millis before = stage.clock->now();
  const JobSnapshot seen = stage.run(stage.shot());
  CHECK(seen.phase == Phase::stored);
  CHECK(seen.accepted_at - before >= 3'200'000);
  CHECK(seen.accepted_at - before <= 4'000'000);
  CHECK(stage.count().creates == 2);
}

TEST_CASE("a hidden rate limit is given up after ten minutes and not charged") {
  Stage stage(with_faults({"create#*: 429-hidden"}), without_store());
  const Millis before = stage.clock->now();
  const JobSnapshot seen = stage.run(stage.shot());
  CHECK(seen.phase == Phase::failed);
  REQUIRE(seen.error != nullptr);
  CHECK(seen.error->kind == Kind::rate_limit);
  CHECK(stage.clock->now() - before >= 600'000);
  CHECK(stage.clock->now() - before < 720'000);
  CHECK(stage.count().accepted == 0);
}

TEST_CASE(
    "a program that is left while many requests are sent leaves in doubt only what was sent") {
  Stage stage(without_lookup({"create#1-8: hang"}), without_store());
  const auto create_all = [&] {
    std::vector<std::shared_ptr<Job>> jobs;
    for (int i = 0; i < 40; ++i)
      jobs.push_back(stage.create(stage.shot("A bell, take " + std::to_string(i))));
    return jobs;
  };
  auto jobs = create_all();
  REQUIRE(stage.until([&] { return stage.count().creates == 8; }));
  REQUIRE(stage.until([&] {
    return std::all_of(jobs.begin(), jobs.end(), [&](const auto& job) {
      return stage.snapshot(job).phase >= Phase::intended;
    });
  }));
  jobs.clear();
  stage.open_engine();
  int in_doubt = 0;
  for (const auto& job : create_all()) {
    const JobSnapshot seen = stage.finish(job);
    if (seen.error && seen.error->kind == Kind::ambiguous) ++in_doubt;
  }
  CHECK(in_doubt == 8);
  CHECK(stage.count().creates == 40);
  CHECK(stage.count().accepted == 32);
}

TEST_CASE("jobs beyond the account's slots wait for one") {
  sim::Options service;
  service.slots = 1;
  Stage stage(service, without_store());
  std::vector<std::shared_ptr<Job>> jobs;
  for (const char* prompt : {"one", "two", "three"})
    jobs.push_back(stage.create(stage.shot(prompt)));
  for (const auto& job : jobs) CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().accepted == 3);
  CHECK(stage.count().creates > 3);
}

TEST_CASE("refusals that come with a server's status are definite") {
  for (const char* fault : {"invalid-request", "no-channel"}) {
    CAPTURE(std::string(fault));
    Stage stage(with_faults({std::string("create#1: ") + fault}), without_store());
    const Millis before = stage.clock->now();
    const JobSnapshot seen = stage.run(stage.shot());
    CHECK(seen.phase == Phase::failed);
    REQUIRE(seen.error != nullptr);
    CHECK(seen.error->kind == Kind::invalid);
    CHECK(stage.clock->now() == before);
    CHECK(stage.count().creates == 1);
  }
}

TEST_CASE("the next attempt after a failed generation has an external id of its own") {
  Stage stage({}, without_store());
  const JobSnapshot refused = stage.run(stage.shot("A bloodbath"));
  CHECK(refused.phase == Phase::failed);
  stage.open_engine();
  const JobSnapshot again = stage.run(stage.shot("A bloodbath"));
  CHECK(again.phase == Phase::failed);
  CHECK(again.external_id != refused.external_id);
  CHECK(again.address == refused.address);
  CHECK(stage.count().creates == 2);
}

TEST_CASE("a POST of kling.request whose answer was lost asks and is never repeated") {
  Stage stage(with_faults({"create#1: accept, drop"}), without_store());
  const Result<Json> lost = stage.post_plainly();
  REQUIRE(!lost.ok());
  CHECK(lost.error().kind == Kind::ambiguous);
  stage.open_engine();
  const Result<Json> again = stage.post_plainly();
  REQUIRE(!again.ok());
  CHECK(again.error().kind == Kind::ambiguous);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("a POST of kling.request that was answered is replayed by the next run") {
  Stage stage({}, without_store());
  for (int run = 0; run < 2; ++run) {
    const Result<Json> answer = stage.post_plainly();
    REQUIRE_MESSAGE(answer.ok(), (answer ? "" : answer.error().message));
    CHECK((*answer)["data"].contains("task_id"));
    stage.open_engine();
  }
  CHECK(stage.count().creates == 1);
}

TEST_CASE("how much of a request is out is told while it goes up") {
  struct SlowService : FailingService {
    std::promise<void> goes_on;
    net::HttpOutcome send(const net::HttpRequest& request) override {
      if (request.method == "POST") {
        request.on_part(0.427);
        goes_on.get_future().wait();
      }
      return FailingService::send(request);
    }
  };
  const auto service = std::make_shared<SlowService>();
  EngineOptions options = without_store();
  options.transport = service;
  Stage stage({}, options);
  const auto job = stage.create(Stage::shot());
  CHECK(stage.until([&] { return stage.snapshot(job).transfer >= 0; }));
  CHECK(to_json(stage.snapshot(job))["transfer"] == 0.42);
  service->goes_on.set_value();
  CHECK(stage.finish(job).transfer < 0);
}

}  // namespace kling::engine::testing
