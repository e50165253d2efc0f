// What happens between the POST and the clip: outages, expired URLs, other runs, the end.
#include <atomic>
#include <fstream>
#include <set>

#include "engine/inside.h"
#include "engine/stage.h"
#include "sim/faults.h"

namespace kling::engine::testing {
namespace {

/// Threads of engines in this process; a service has its own.
int workers() {
  int threads = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::ifstream file(task.path() / "comm");
    std::getline(file, name);
    threads += name == "kling-worker" ? 1 : 0;
  }
  return threads;
}

/// A job into a fault that never ends, for `span` on the service's clock or until it rests.
void check_unending(const std::vector<std::string>& faults, Millis span, EngineOptions options) {
  std::string text;
  for (const std::string& line : faults) text += line + "; ";
  CAPTURE(text);
  bool rests = false;
  sim::Options service;
  service.min_run = service.max_run = 60'000;
  Stage stage(with_faults(faults, service), std::move(options));
  const auto job = stage.create(stage.shot());
  stage.engine->watch(job, Milestone::stored, {job, [&] { rests = true; }});
  const Millis since = stage.clock->now();
  std::string waited;
  REQUIRE(stage.until([&] {
    const std::string waiting = stage.snapshot(job).waiting_for;
    if (!waiting.empty()) waited = waiting;
    return rests || stage.clock->now() - since > span;
  }));
  const sim::Counters count = stage.count();
  CHECK(count.accepted <= 1);
  CHECK(count.creates <= 150);  // what the service itself calls "later", for an hour
  CHECK(count.queries <= 400);
  CHECK(count.downloads <= 60);
  const JobSnapshot seen = stage.snapshot(job);
  CAPTURE(name(seen.phase));
  if (rests) {
    CHECK((seen.error || seen.store_error || seen.phase == Phase::stored));
  } else if (text.starts_with("create#*")) {
    CHECK_MESSAGE(waited.find("tried again for 60 minutes in all)") != waited.npos, waited);
  } else if (text.find("backwards") == text.npos && text.find("unknown-word") == text.npos) {
    // Those two say "it runs" for ever, which is no trouble.
    CHECK_MESSAGE(waited.find(" times so far") != waited.npos, waited);
    CHECK_MESSAGE(waited.find(": ") != waited.npos, waited);
    if (count.downloads > 0) CHECK_MESSAGE(waited.find(", again within ") != waited.npos, waited);
  }
}

template <class T, class Start>
Result<T> answer_of(Stage& stage, Start start) {
  auto answer = std::make_shared<Result<T>>(Error{});
  auto done = std::make_shared<bool>(false);
  start([answer, done](Result<T> got) {
    *answer = std::move(got);
    *done = true;
  });
  REQUIRE(stage.until([&] { return *done; }));
  return *answer;
}

}  // namespace

TEST_CASE("a service that is gone for ten minutes loses no job") {
  Stage stage({}, without_store());
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.until([&] { return !stage.snapshot(job).task_id.empty(); }));
  const sim::Counters before = stage.count();
  stage.simulator.reset();
  const Millis gone = stage.clock->now();
  REQUIRE(stage.until([&] { return stage.clock->now() - gone > 600'000; }));
  CHECK(stage.snapshot(job).phase == Phase::accepted);
  // While it asks it waits for nothing.
  CHECK(stage.until([&] { return stage.snapshot(job).waiting_for.starts_with("the network, "); }));
  stage.start_service();
  CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().creates == 0);
  CHECK(stage.count().accepted == before.accepted);
}

TEST_CASE("an expired URL is replaced by a fresh one") {
  sim::Options service;
  service.url_life = 1'000;
  service.faults = {"download#1-2: 500"};  // the pauses after them outlast the URL
  Stage stage(service);
  const JobSnapshot seen = stage.run(stage.shot());
  CHECK(seen.phase == Phase::stored);
  CHECK(stage.count().downloads == 4);
}

TEST_CASE("a clip whose file comes seconds after the word that it is done is stored") {
  sim::Options service;
  service.faults = {"download#1-4: expired"};
  Stage stage(service);
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.count().downloads == 5);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("a clip is saved long after its URL has expired") {
  sim::Options service;
  service.url_life = 60'000;
  Stage stage(service, without_store());
  const auto job = stage.create(stage.shot());
  REQUIRE(stage.finish(job).phase == Phase::stored);
  // A week later, from the same run.
  {
    std::mutex mutex;
    std::condition_variable nobody;
    std::unique_lock lock(mutex);
    const Millis later = stage.clock->now() + 7ll * 86'400'000;
    while (stage.clock->now() < later) stage.clock->wait_until(lock, nobody, later);
  }
  auto source = std::make_shared<MediaSource>();
  source->recipe = MediaSource::Recipe::clip;
  source->job = job;
  const auto saved = answer_of<std::string>(
      stage, [&](auto done) { stage.engine->save(source, stage.folder / "films/", done); });
  REQUIRE_MESSAGE(saved.ok(), (saved ? "" : saved.error().message));
  CHECK(std::filesystem::file_size(*saved) > 10'000);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("of jobs that begin at once the first that is seen to end brings the others forward") {
  sim::Options quick;
  quick.min_run = quick.max_run = 1'000;
  Stage stage(quick, without_store());
  const Millis begun = stage.clock->now();
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < 20; ++i) jobs.push_back(stage.create(Stage::shot(std::to_string(i))));
  for (const auto& job : jobs) CHECK(stage.finish(job).state == "succeeded");
  CHECK(stage.clock->now() - begun < 8'000);
}

TEST_CASE("a finished step whose clip lies where it was is not written again by the next run") {
  Stage stage;
  const JobSnapshot first = stage.run(Stage::shot());
  REQUIRE(first.phase == Phase::stored);
  stage.open_engine();
  const JobSnapshot again = stage.run(Stage::shot());
  CHECK(again.reused);
  CHECK(again.phase == Phase::stored);
  const auto stored = [&] {
    const auto book = open_ledger(stage.options.ledger_path, {});
    REQUIRE(book);
    const auto lines = (*book)->journal(first.id);
    REQUIRE(lines);
    return std::ranges::count(*lines, "stored", &JournalRow::what);
  };
  CHECK(stored() == 1);
  // One that has to be fetched again is.
  std::filesystem::remove(again.file);
  stage.open_engine();
  CHECK(stage.run(Stage::shot()).phase == Phase::stored);
  CHECK(stored() == 2);
}

TEST_CASE("a job is found again by task id and by external id and queried by a bare id") {
  Stage stage({}, without_store());
  const JobSnapshot first = stage.run(stage.shot());
  stage.open_engine();
  for (const std::string& handle : {"kling:text2video/" + first.task_id,
                                    "kling:text2video/~" + first.external_id, first.task_id}) {
    CAPTURE(handle);
    const auto found = answer_of<std::shared_ptr<Job>>(
        stage, [&](auto done) { stage.engine->find(handle, done); });
    REQUIRE_MESSAGE(found.ok(), (found ? "" : found.error().message));
    const JobSnapshot seen = stage.finish(*found);
    CHECK(seen.task_id == first.task_id);
    CHECK(seen.phase == Phase::stored);
    CHECK(seen.videos.size() == 1);
  }
  const auto asked = answer_of<QueryResult>(
      stage, [&](auto done) { stage.engine->query({.text = first.task_id}, done); });
  REQUIRE_MESSAGE(asked.ok(), (asked ? "" : asked.error().message));
  CHECK(asked->task.state == api::TaskState::succeeded);
  CHECK(asked->handle == "kling:text2video/" + first.task_id);
  const auto unknown = answer_of<QueryResult>(
      stage, [&](auto done) { stage.engine->query({.text = "123456"}, done); });
  REQUIRE(!unknown.ok());
  CHECK(unknown.error().message.find("does not know 123456") != std::string::npos);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("an engine that is destroyed waits for no request and leaves none behind") {
  for (const std::string fault : {"create#1: accept, hang", "query#*: hang", "download#*: hang"}) {
    CAPTURE(fault);
    EngineOptions options;
    options.store = fault.starts_with("download");
    // Time-outs that nothing here lives to see: what waits for one, hangs.
    options.get_deadline = options.post_deadline = options.stall_timeout = 86'400'000;
    Stage stage(with_faults({fault}), options);
    stage.create(stage.shot());
    REQUIRE(stage.until([&] {
      const sim::Counters count = stage.count();
      return count.accepted == 1 && (fault.starts_with("create") || count.queries > 0) &&
             (!options.store || count.downloads > 0);
    }));
    stage.engine.reset();
    CHECK(stage.until([] { return workers() == 0; }));
    // An answer was lost with it: the next run adopts what was accepted.
    stage.simulator.reset();
    stage.service.faults.clear();
    stage.start_service();
    stage.open_engine();
    CHECK(stage.run(stage.shot()).phase == Phase::stored);
    CHECK(stage.count().creates == 0);
  }
}

TEST_CASE("two engines on one ledger pay once") {
  Stage stage({}, without_store());
  const auto other = stage.make();
  const auto here = stage.create(stage.shot());
  const auto there = Stage::create(*other, stage.shot());
  CHECK(stage.finish(here).phase == Phase::stored);
  CHECK(stage.finish(*other, there).phase == Phase::stored);
  CHECK(stage.snapshot(here).task_id == other->snapshot(there).task_id);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("equal requests pair up on a resume as they were made") {
  Stage stage({}, without_store());
  // Enough of them that workers would overtake each other.
  constexpr std::size_t kJobs = 12;
  const auto run_all = [&] {
    std::vector<std::shared_ptr<Job>> jobs;
    std::vector<std::string> ids;
    for (std::size_t i = 0; i < kJobs; ++i) jobs.push_back(stage.create(stage.shot()));
    for (const auto& job : jobs) ids.push_back(stage.finish(job).task_id);
    return ids;
  };
  const std::vector<std::string> ids = run_all();
  CHECK(std::set<std::string>(ids.begin(), ids.end()).size() == kJobs);
  stage.open_engine();
  CHECK(run_all() == ids);
  CHECK(stage.count().creates == static_cast<int>(kJobs));
}

TEST_CASE("a request that the checks refuse does not hold up those after it") {
  Stage stage({}, without_store());
  const auto refused =
      stage.create(stage.request("image2video", {{"image", stage.folder / "none.png"}}));
  CHECK(stage.run(stage.shot()).phase == Phase::stored);
  CHECK(stage.finish(refused).phase == Phase::failed);
  CHECK(stage.count().creates == 1);
}

TEST_CASE("a thousand waiting jobs are cheap") {
  EngineOptions options = without_store();
  options.ledger_path = ":memory:";
  sim::Options service;
  service.min_run = service.max_run = 3'600'000;
  Stage stage(service, options);
  constexpr int kJobs = 1'000;
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < kJobs; ++i)
    jobs.push_back(stage.create(stage.shot("shot " + std::to_string(i))));
  REQUIRE(stage.until([&] { return stage.count().accepted == kJobs; }));
  const int threads = workers();
  CHECK(threads > 0);
  CHECK(threads < 30);  // what a worker starts (the watch over deadlines) bears its name
}

TEST_CASE("a job that waits at the service holds neither its request nor what was answered") {
  sim::Options service;
  service.min_run = service.max_run = 60'000;
  Stage stage(service);
  const auto job = stage.create(stage.shot());
  CHECK(stage.until([&] {
    std::lock_guard lock(job->mutex);
    return job->machine.phase >= Phase::accepted && !job->sending && !job->raw;
  }));
  CHECK(job->target.empty());
  if (sizeof(std::string) == 32 && sizeof(std::mutex) == 40) CHECK(sizeof(Job) <= 900);
}

TEST_CASE("a frame keeps its address whatever the bytes of its file are") {
  Stage stage;
  const auto clip = stage.create(stage.shot());
  const JobSnapshot first = stage.finish(clip);
  REQUIRE(first.phase == Phase::stored);
  const auto run_from_frame = [&](const std::shared_ptr<Job>& of) {
    CreateRequest wanted;
    wanted.request.endpoint = "image2video";
    wanted.request.fields = {{"prompt", "The storm"}, {"image", {{"$media", 0}}}};
    api::MediaInput input;
    input.source = api::MediaInput::Source::derived;
    wanted.request.media.push_back(input);
    auto frame = std::make_shared<MediaSource>();
    frame->recipe = MediaSource::Recipe::last_frame;
    frame->job = of;
    wanted.sources.push_back(frame);
    wanted.task_path = "main";
    wanted.where = "film.lua:2";
    const JobSnapshot seen = stage.run(std::move(wanted));
    return std::pair(seen, frame->made());
  };
  const auto [storm, picture] = run_from_frame(clip);
  REQUIRE_MESSAGE(storm.phase == Phase::stored, (storm.error ? storm.error->message : ""));
  CHECK(stage.count().creates == 2);

  // A plain copy of the frame counts as the frame.
  const std::string copy = stage.folder / "copy.png";
  std::filesystem::copy_file(picture, copy);
  stage.open_engine();
  const JobSnapshot by_path =
      stage.run(stage.request("image2video", {{"prompt", "The storm"}, {"image", copy}}));
  CHECK(by_path.reused);
  CHECK(by_path.address == storm.address);
  CHECK(stage.count().creates == 2);

  // Another ffmpeg makes other bytes of the same frame: nothing is paid again.
  {
    auto bytes = read_head(picture, 64u << 20);
    REQUIRE(bytes.ok());
    REQUIRE(write_file(picture, bytes->data + "trailing").ok());
  }
  stage.open_engine();
  const auto clip_again = stage.create(stage.shot());
  stage.finish(clip_again);
  const auto [again, unused] = run_from_frame(clip_again);
  CHECK(again.address == storm.address);
  CHECK(again.reused);
  CHECK(stage.count().creates == 2);
}

TEST_CASE("another service is not asked about a job") {
  Stage stage({}, without_store());
  const JobSnapshot made = stage.run(stage.shot());
  stage.options.service = "elsewhere";
  stage.open_engine();
  const auto found = answer_of<std::shared_ptr<Job>>(
      stage, [&](auto done) { stage.engine->find(made.handle, done); });
  REQUIRE(!found);
  CHECK(found.error().message.find("is one of sim, not of elsewhere") != std::string::npos);
}

TEST_CASE("how long jobs take is learnt and known to the next run") {
  Stage stage({}, without_store());
  const auto first = stage.create(stage.shot("one"));
  REQUIRE(stage.until([&] { return stage.snapshot(first).expected != 0; }));
  CHECK(stage.snapshot(first).expected == 319'000);  // what others published
  const JobSnapshot done = stage.finish(first);
  stage.open_engine();
  const auto second = stage.create(stage.shot("two"));
  REQUIRE(stage.until([&] { return stage.snapshot(second).expected != 0; }));
  const Millis expected = stage.snapshot(second).expected;
  const Millis took = done.finished_at - done.accepted_at;
  CHECK(expected != 319'000);
  CHECK(std::abs(expected - took) < std::abs(319'000 - took));
}

TEST_CASE("a query that gets no usable answer says what it waits for") {
  sim::Options service;
  service.faults = {"query#*: garbage"};
  Stage stage(service);
  const auto job = stage.create(stage.shot());
  CHECK(stage.until([&] {
    const std::string why = stage.snapshot(job).waiting_for;
    return why.starts_with("a usable answer, ") &&
           why.find(" times so far: the service answered HTTP 200") != why.npos;
  }));
  CHECK(stage.count().creates == 1);
}

TEST_CASE("whatever does not end is asked seldom and says what it waits for") {
  Stage().run(Stage::shot());  // renders the clip that all of them find
  std::vector<std::vector<std::string>> lines;
  for (const sim::FaultKind& kind : sim::fault_kinds())
    for (const std::string what : {"create", "query", "download"})
      if (std::string(kind.at).find(what) != std::string::npos)
        lines.push_back({what + "#*: " + kind.name});
  // Accepted, and what would tell so answers nothing that can be used.
  for (const char* query : {"html502", "garbage", "drop"})
    lines.push_back({"create#1: accept, drop", "query#*: " + std::string(query)});
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i)
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < lines.size(); at = next++) {
        const std::string& line = lines[at].back();
        const bool endless =
            line.ends_with("hang") || line.ends_with("drip") || line.find("endless") != line.npos;
        try {
          // Each try takes real time there.
          check_unending(lines[at], endless ? 600'000 : 3'600'000,
                         endless ? impatient() : EngineOptions());
        } catch (...) {  // doctest ends a case so; it has noted the failure
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
}

TEST_CASE("a path that leads elsewhere is refused before anything is sent") {
  Stage stage;
  const auto check = [](const auto& answer) {
    REQUIRE(!answer.ok());
    CHECK(answer.error().message.starts_with("the path leads elsewhere"));
  };
  for (const std::string path : {"/kling/v1/../../admin", "//other.example/x", "/v1/%2e%2e/x"}) {
    CAPTURE(path);
    check(answer_of<Json>(stage, [&](auto done) { stage.engine->get(path, done); }));
    check(answer_of<std::shared_ptr<Job>>(stage, [&](auto done) {
      stage.engine->post(path, Json::object(), Stage::from_main(), done);
    }));
  }
  CHECK(stage.count().creates == 0);
}

}  // namespace kling::engine::testing
