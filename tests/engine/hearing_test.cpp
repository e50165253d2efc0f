// Callbacks of the service: a hint to ask, whoever sends it, and never more.
#include "engine/stage.h"
#include "net/server.h"

namespace kling::engine::testing {
namespace {

/// A web server beside the engine, as a program has one.
struct Listening {
  std::mutex mutex;
  std::vector<api::CallbackRequest> requests;
  std::unique_ptr<net::Server> server;
  Engine** engine = nullptr;

  explicit Listening(const std::shared_ptr<CompletionQueue>& queue, Engine*& told) : engine(&told) {
    auto made = net::serve("127.0.0.1:0", [this, queue](const net::ServerRequest& request) {
      queue->clock().hold();
      api::CallbackRequest callback{request.target, request.headers, request.body};
      {
        const std::lock_guard lock(mutex);
        requests.push_back(callback);
      }
      queue->post([this, queue, callback] {
        if (*engine == nullptr) return queue->clock().release();
        (*engine)->notify(callback, [queue](const auto&) { queue->clock().release(); });
      });
      return net::ServerAnswer{};
    });
    REQUIRE_MESSAGE(made.ok(), (made ? "" : made.error().message));
    server = std::move(*made);
  }
  std::string address() const { return "http://127.0.0.1:" + std::to_string(server->port()); }
};

/// An engine whose service calls back.
struct Called : Stage {
  Engine* told = nullptr;
  Listening listening{queue, told};

  explicit Called(const std::vector<std::string>& faults = {},
                  EngineOptions chosen = without_store())
      : Called(with_faults(faults), std::move(chosen)) {}
  Called(sim::Options service_options, EngineOptions chosen)
      : Stage(std::move(service_options), std::move(chosen)) {
    options.callback = listening.address() + "/base/";
    open_engine();
    told = engine.get();
  }
  ~Called() { listening.server.reset(); }

  Result<std::string> notify(api::CallbackRequest request) {
    auto answer = std::make_shared<Result<std::string>>(Error{});
    auto done = std::make_shared<bool>(false);
    engine->notify(std::move(request), [answer, done](Result<std::string> got) {
      *answer = std::move(got);
      *done = true;
    });
    REQUIRE(until([&] { return *done; }));
    return *answer;
  }
};

}  // namespace

TEST_CASE("a job whose callbacks come is asked about twice at most") {
  for (const auto& faults :
       {std::vector<std::string>{}, {"callback#*: repeat"}, {"callback#1-2: late"}}) {
    // Where other programs hold up the thread that calls, jumping time runs ahead of it.
    int queries = 99;
    for (int tries = 0; tries < 4 && queries > 16; ++tries) {
      Called stage(faults);
      std::vector<std::shared_ptr<Job>> jobs;
      for (int i = 0; i < 8; ++i)
        jobs.push_back(stage.create(stage.shot("Shot " + std::to_string(i))));
      for (const auto& job : jobs) CHECK(stage.finish(job).phase == Phase::stored);
      CHECK(stage.count().accepted == 8);
      CHECK(stage.count().callbacks >= 16);
      CHECK(stage.listening.requests.front().path.starts_with("/base/"));
      queries = stage.count().queries;
    }
    CHECK(queries <= 16);
  }
}

TEST_CASE("a job that ends soon after it was accepted is heard at once") {
  sim::Options quick = with_faults({});
  quick.min_run = quick.max_run = 1'500;
  Called stage(std::move(quick), without_store());
  const auto job = stage.create(stage.shot());
  const JobSnapshot done = stage.finish(job);
  CHECK(done.phase == Phase::stored);
  CHECK(done.finished_at - done.accepted_at < 4'000);
  CHECK(stage.count().queries <= 2);
}

TEST_CASE("a job whose callbacks are lost is polled as one without") {
  const auto queries = [](bool with) {
    Called stage({"callback#*: lose"});
    if (!with) stage.options.callback.clear();
    stage.open_engine();
    CHECK(stage.run(stage.shot()).phase == Phase::stored);
    CHECK(stage.listening.requests.empty());
    return stage.count().queries;
  };
  const int usual = queries(false);
  CHECK(usual >= 3);
  CHECK(std::abs(queries(true) - usual) <= 2);  // what is random in the schedule
}

TEST_CASE("the end of a job is found without its last callback") {
  Called stage({"callback#3: lose"});
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.count().callbacks <= 2);
  CHECK(stage.count().queries <= 4);
}

TEST_CASE("a callback is of no weight where it is forged or foreign or comes too early") {
  Called stage({"callback#*: lose"});
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return !stage.snapshot(job).task_id.empty(); }));
  const std::string end = R"("task_status":"succeed"})";
  for (const auto& [path, body] :
       {std::pair<std::string, std::string>{"/base/1/00000000000000000000000000000000",
                                            "{\"task_id\":\"7\"," + end},
        {"/base/99/" + std::string(32, 'a'), "{" + end},
        {"/", "{\"task_id\":\"123456\"," + end},
        {"", "{" + end},
        {"/base/1/", "{\"task_info\":{\"external_task_id\":\"somebody\"}," + end},
        {"/base/-1/x", "{" + end},
        {"/base/18446744073709551616/" + std::string(32, 'b'), "{" + end}}) {
    CAPTURE(path);
    const auto heard = stage.notify({path, {}, body});
    REQUIRE_FALSE(heard.ok());
    CHECK(heard.error().kind == Kind::invalid);
  }
  CHECK_FALSE(stage.notify({"/base/1/x", {}, "no JSON"}).ok());
  const int before = stage.count().queries;
  // Somebody who knows the id says again and again that it has ended.
  const std::string told = "{\"task_id\":\"" + stage.snapshot(job).task_id + "\"," + end;
  for (int i = 0; i < 50; ++i) CHECK(stage.notify({"/x", {}, told}).ok());
  CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().queries - before <= 60);
  CHECK(stage.count().accepted == 1);
}

TEST_CASE("whose job is meant is told by the address and by each id") {
  Called stage({"callback#*: lose"});
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return !stage.snapshot(job).task_id.empty(); }));
  const JobSnapshot shot = stage.snapshot(job);
  const std::string body = R"("task_status":"processing"})";
  for (const std::string& text :
       {"{\"task_id\":\"" + shot.task_id + "\"," + body,
        "{\"id\":\"kling's own\",\"external_id\":\"" + shot.external_id + "\"," + body,
        "{\"task_info\":{\"external_task_id\":\"" + shot.external_id + "\"}," + body}) {
    const auto heard = stage.notify({"/anything", {}, text});
    REQUIRE_MESSAGE(heard.ok(), text);
    CHECK(*heard == shot.handle);
  }
  CHECK(stage.finish(job).phase == Phase::stored);
}

TEST_CASE("the address of a callback belongs to one ledger and is the same after a restart") {
  Called stage;
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  REQUIRE(stage.until([&] { return stage.count().callbacks == 3; }));
  const api::CallbackRequest request = stage.listening.requests.front();
  stage.told = nullptr;
  stage.open_engine();
  auto heard = stage.notify({request.path + "?from=proxy", {}, "{}"});
  REQUIRE(heard.ok());
  CHECK(heard->starts_with("kling:text2video/"));
  stage.options.ledger_path = stage.folder / "other.db";
  stage.open_engine();
  CHECK_FALSE(stage.notify({request.path, {}, "{}"}).ok());
}

TEST_CASE("an address of the script's own is sent as it is and digests do not know of ours") {
  Called stage;
  const auto own = stage.listening.address() + "/mine";
  const JobSnapshot first = stage.run(stage.shot("A"));
  const JobSnapshot second =
      stage.run(Stage::request("text2video", {{"prompt", "B"}, {"callback_url", own}}));
  CHECK(second.phase == Phase::stored);
  REQUIRE(stage.until([&] { return stage.count().callbacks == 6; }));
  CHECK(stage.listening.requests.back().path == "/mine");
  // The request of the run before, which had no address, is the same one.
  stage.told = nullptr;
  stage.options.callback.clear();
  stage.open_engine();
  CHECK(stage.run(stage.shot("A")).task_id == first.task_id);
  CHECK(stage.count().accepted == 2);
}

TEST_CASE("a request whose answer was lost is found as soon as its callback comes") {
  Called stage({"create#1: accept, drop", "query#1-3: 500"});
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.count().accepted == 1);
}

}  // namespace kling::engine::testing
