// Slots and budget: how many jobs run at a time, and what a script may cost.
#include <cstdio>

#include "engine/admission.h"
#include "engine/stage.h"

namespace kling::engine::testing {
namespace {

// What five seconds of the default text2video cost, by the price table.
constexpr double kShot = 0.21;

sim::Options service_with_slots(int slots) {
  sim::Options service;
  service.slots = slots;
  return service;
}

EngineOptions limited(Limits limits, EngineOptions options = without_store()) {
  options.limits = limits;
  options.script_name = "film.lua";
  return options;
}

std::vector<std::shared_ptr<Job>> shots(Stage& stage, int count, const std::string& name = "shot") {
  std::vector<std::shared_ptr<Job>> jobs;
  for (int i = 0; i < count; ++i)
    jobs.push_back(stage.create(stage.shot(name + " " + std::to_string(i))));
  return jobs;
}

}  // namespace

TEST_CASE("admission asks for slots and budgets and an unknown price") {
  CHECK(admit({}, {.open = 99, .jobs = 99, .usd = 99}, -1) == Admission::admitted);
  CHECK(admit({.slots = 2}, {.open = 1}, 1) == Admission::admitted);
  CHECK(admit({.slots = 2}, {.open = 2}, 1) == Admission::no_slot);
  CHECK(admit({.budget_usd = 0.63}, {.usd = 0.42}, kShot) == Admission::admitted);
  CHECK(admit({.budget_usd = 0.62}, {.usd = 0.42}, kShot) == Admission::over_budget);
  CHECK(admit({.budget_usd = 100}, {}, -1) == Admission::over_budget);
  CHECK(admit({.budget_jobs = 3}, {.jobs = 2}, -1) == Admission::admitted);
  CHECK(admit({.budget_jobs = 3}, {.jobs = 3}, 0) == Admission::over_budget);
  CHECK(admit({.slots = 1, .budget_jobs = 0}, {.open = 1}, 0) == Admission::over_budget);
}

TEST_CASE("what refusals taught about slots is forgotten after ten minutes") {
  LearntSlots slots;
  CHECK(slots.ceiling(-1, 0) == -1);
  slots.refused(3, 1'000);
  CHECK(slots.ceiling(-1, 2'000) == 3);
  CHECK(slots.ceiling(2, 2'000) == 2);
  CHECK(slots.ceiling(9, 600'999) == 3);
  CHECK(slots.ceiling(9, 601'000) == 9);
  slots.refused(0, 700'000);
  CHECK(slots.ceiling(-1, 700'001) == 1);
}

TEST_CASE("no more jobs run at a time than there are slots and the first come first") {
  Stage stage(service_with_slots(2), limited({.slots = 2}));
  const auto jobs = shots(stage, 8);
  REQUIRE(stage.until([&] { return stage.snapshot(jobs[0]).task_id != ""; }));
  CHECK(stage.until([&] { return stage.snapshot(jobs[7]).waiting_for == "a slot"; }));
  Millis last = 0;
  for (const auto& job : jobs) {
    const JobSnapshot seen = stage.finish(job);
    CHECK(seen.phase == Phase::stored);
    CHECK(seen.accepted_at >= last);
    last = seen.accepted_at;
  }
  // The service refuses a third one, and counts what it refuses: nothing was.
  CHECK(stage.count().creates == 8);
  CHECK(stage.count().accepted == 8);
}

TEST_CASE("the ceiling is learnt from the refusals of the service") {
  Stage stage(service_with_slots(2), limited({}));
  const auto jobs = shots(stage, 10);
  for (const auto& job : jobs) CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().accepted == 10);
  // At most one refusal each of those that were under way when the first came back.
  CHECK(stage.count().creates <= 20);
  CHECK(stage.count().creates > 10);
}

TEST_CASE("jobs of another process on the same ledger take slots") {
  Stage stage({}, limited({.slots = 1}));
  const auto other = stage.make();
  const auto one = stage.create(stage.shot("one"));
  REQUIRE(stage.until([&] { return stage.snapshot(one).task_id != ""; }));
  const auto two = stage.create(*other, stage.shot("two"));
  const JobSnapshot second = stage.finish(*other, two);
  CHECK(second.phase == Phase::stored);
  CHECK(second.accepted_at >= stage.finish(one).finished_at);
}

TEST_CASE("over budget nothing is submitted and the error says what to do") {
  Stage stage({}, limited({.budget_usd = 0.5}));
  auto jobs = shots(stage, 2);
  for (const auto& job : jobs) CHECK(stage.finish(job).phase == Phase::stored);
  const auto third = stage.create(stage.shot("too much"));
  const JobSnapshot stopped = stage.finish(third);
  CHECK(stopped.phase == Phase::paused);
  REQUIRE(stopped.error);
  CHECK(stopped.error->kind == Kind::budget);
  CHECK(stopped.error->message.find("$0.42 of the budget of $0.50") != std::string::npos);
  CHECK(stopped.error->hint.find("$0.63") != std::string::npos);
  CHECK(stage.count().creates == 2);

  stage.engine->set_limits({.budget_usd = 0.63});
  CHECK(stage.finish(third).phase == Phase::stored);
  CHECK(stage.count().creates == 3);
}

TEST_CASE("money is reserved before each POST however many are under way") {
  Stage stage({}, limited({.budget_usd = 3 * kShot}));
  int stored = 0, stopped = 0;
  for (const auto& job : shots(stage, 12)) {
    const JobSnapshot seen = stage.finish(job);
    if (seen.phase == Phase::stored) ++stored;
    if (seen.error && seen.error->kind == Kind::budget) ++stopped;
  }
  CHECK(stored == 3);
  CHECK(stopped == 9);
  CHECK(stage.count().creates == 3);
}

TEST_CASE("a budget is kept across resumes and belongs to the script and its take") {
  Stage stage({}, limited({.budget_jobs = 2}));
  for (const auto& job : shots(stage, 2)) CHECK(stage.finish(job).phase == Phase::stored);
  stage.open_engine();
  for (const auto& job : shots(stage, 2)) CHECK(stage.finish(job).reused);
  CHECK(stage.run(stage.shot("new")).error->kind == Kind::budget);
  stage.options.take = "draft";
  stage.open_engine();
  CHECK(stage.run(stage.shot("new")).phase == Phase::stored);
  stage.options.take = "";
  stage.options.script_name = "other.lua";
  stage.open_engine();
  CHECK(stage.run(stage.shot("other")).phase == Phase::stored);
  CHECK(stage.count().creates == 4);
}

TEST_CASE("failed generations give their money back to the budget") {
  Stage stage({}, limited({.budget_jobs = 1}));
  CHECK(stage.run(stage.shot("nsfw")).phase == Phase::failed);
  CHECK(stage.run(stage.shot("again")).phase == Phase::stored);
  CHECK(stage.run(stage.shot("more")).error->kind == Kind::budget);
}

TEST_CASE("a request without a known price is not sent under a budget in money") {
  Stage stage({}, limited({.budget_usd = 100}));
  const Result<Json> answer = stage.post_plainly();
  REQUIRE(!answer);
  CHECK(answer.error().kind == Kind::budget);
  CHECK(answer.error().message.find("price") != std::string::npos);
  CHECK(stage.count().creates == 0);
}

}  // namespace kling::engine::testing
