// What is on the disk before money moves, and how often the disk is waited for. The program's own
// fdatasync can be held at a gate, and made to fail.
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <sys/syscall.h>
#include <unistd.h>

#include "engine/ledger.h"
#include "engine/stage.h"

using namespace kling;
using namespace kling::engine;
using namespace kling::engine::testing;

namespace {

std::atomic<bool> g_closed{false}, g_breaks{false};
std::atomic<int> g_syncs{0};  // of ledgers' logs

/// Takes no memory: another test has each allocation of a worker fail.
bool is_log(int file) {
  char link[32], path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", file);
  const auto size = ::readlink(link, path, sizeof path);
  return size > 0 && std::string_view(path, std::size_t(size)).ends_with("-wal");
}

/// Closed while it lives, or until it is opened.
struct Gate {
  Gate() { g_syncs = 0, g_closed = true; }
  ~Gate() { g_closed = g_breaks = false; }
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;
};

}  // namespace

extern "C" int fdatasync(int file) {
  if (g_closed && is_log(file)) {
    ++g_syncs;
    while (g_closed) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    if (g_breaks) return errno = EIO, -1;
  } else if (is_log(file)) {
    ++g_syncs;
  }
  return int(::syscall(SYS_fdatasync, file));
}

TEST_CASE("nothing is sent before the disk has it") {
  Stage stage({}, without_store());
  stage.run(Stage::shot("before"));
  const int charged = stage.count().charged;
  std::vector<std::shared_ptr<Job>> jobs;
  {
    const Gate gate;
    for (int i = 0; i < 6; ++i)
      jobs.push_back(stage.create(Stage::shot("shot " + std::to_string(i))));
    // All are claimed, marked and read while the disk is at work on the first one.
    auto book = open_ledger(stage.options.ledger_path);
    REQUIRE(book);
    CHECK(stage.until([&] {
      int sending = 0;
      const auto rows = (*book)->list(0);
      REQUIRE(rows.ok());
      for (const Step& step : *rows) sending += step.state == StepState::sending;
      return sending == 6;
    }));
    CHECK(stage.count().charged == charged);
    CHECK(g_syncs == 1);
  }
  for (const auto& job : jobs) CHECK(stage.finish(job).phase == Phase::stored);
  CHECK(stage.count().charged == charged + 6);
}

TEST_CASE("who has written while the disk was at work waits for it together") {
  const TempFolder folder;
  auto book = open_ledger(folder / "ledger.db");
  REQUIRE(book);
  std::vector<Step> steps;
  for (int i = 0; i < 12; ++i) {
    Step wanted;
    wanted.service = "s", wanted.endpoint = "text2video", wanted.digest = std::to_string(i);
    auto claim = (*book)->claim(wanted, {});
    REQUIRE(claim);
    steps.push_back(claim->step);
  }
  std::vector<std::thread> threads;
  std::atomic<int> durable{0};
  {
    const Gate gate;
    for (const Step& step : steps)
      threads.emplace_back([&] { durable += (*book)->mark_sending(step, 1, {}, 0, "").ok(); });
    for (int sending = 0; sending < 12;) {
      sending = 0;
      const auto rows = (*book)->list(0);
      REQUIRE(rows.ok());
      for (const Step& step : *rows) sending += step.state == StepState::sending;
    }
    CHECK(durable == 0);
  }
  for (std::thread& thread : threads) thread.join();
  CHECK(durable == 12);
  CHECK(g_syncs < 12);
}

TEST_CASE("what a disk that fails may have lost is not sent, then and later") {
  Stage stage({}, without_store());
  stage.run(Stage::shot("before"));
  const int charged = stage.count().charged;
  {
    const Gate gate;
    g_breaks = true;
    const auto job = stage.create(Stage::shot("lost"));
    REQUIRE(stage.until([&] { return g_syncs == 1; }));
    g_closed = false;
    const JobSnapshot seen = stage.finish(job);
    REQUIRE(seen.error);
    CHECK(seen.error->kind == Kind::ledger);
    CHECK(seen.error->message.find("cannot be written") != std::string::npos);
  }
  // The kernel tells of a failure once; what is synced later proves nothing of what was before.
  const JobSnapshot later = stage.run(Stage::shot("later"));
  REQUIRE(later.error);
  CHECK(later.error->kind == Kind::ledger);
  CHECK(stage.count().charged == charged);
  stage.open_engine();
  CHECK(stage.run(Stage::shot("lost")).phase == Phase::stored);
  CHECK(stage.run(Stage::shot("later")).phase == Phase::stored);
  CHECK(stage.count().charged == charged + 2);
}

TEST_CASE("each record is on the disk when it is told, and what only reads waits for no disk") {
  const TempFolder folder;
  auto opened = open_ledger(folder / "ledger.db");
  REQUIRE(opened);
  Ledger& book = **opened;
  Step step;
  const auto claim = [&](const char* digest) {
    Step wanted;
    wanted.service = "s", wanted.endpoint = "text2video", wanted.digest = digest;
    auto made = book.claim(wanted, {});
    if (made) step = made->step;
    return made.ok();
  };
  const auto as = [&](const char* task) {
    Step changed = step;
    changed.task_id = task;
    return changed;
  };
  Ask ask;
  ask.script = "film.lua", ask.task_path = "main", ask.digest = "d", ask.row = 1;
  Question question;
  question.kind = "ask", question.run = "film.lua", question.choices = {"a", "b"};
  struct Row {
    const char* what;
    int syncs;
    std::function<bool()> call;
  };
  const auto mark = [&] { return book.mark_sending(step, 1, {}, 0, "").ok(); };
  for (const Row& row : std::vector<Row>{
           {"claim", 0, [&] { return claim("a"); }},
           {"mark_sending", 1, mark},
           {"clear_sending", 1, [&] { return book.clear_sending(step, 2).ok(); }},
           {"mark_sending", 1, mark},
           {"record_accepted", 1, [&] { return book.record_accepted(as("t"), "", 3).ok(); }},
           {"rename_task", 1, [&] { return book.rename_task(as("t"), "u", 3).ok(); }},
           {"record_result", 1, [&] { return book.record_result(as("u"), "", 4).ok(); }},
           {"record_file", 1, [&] { return book.record_file(as("u"), 5).ok(); }},
           {"claim", 0, [&] { return claim("b"); }},
           {"release", 1, [&] { return book.release(step).ok(); }},
           {"revisit", 1, [&] { return book.revisit(step.id).ok(); }},
           {"mark_sending", 1, mark},
           {"record_ambiguous", 1, [&] { return book.record_ambiguous(step, 6).ok(); }},
           {"resubmit", 1, [&] { return book.resubmit(step, 6).ok(); }},
           {"abandon", 1, [&] { return book.abandon(step, 6).ok(); }},
           {"claim", 0, [&] { return claim("c"); }},
           {"record_failure", 1, [&] { return book.record_failure(step, "", 7).ok(); }},
           {"take_orphans", 1, [&] { return book.take_orphans("s", 8).ok(); }},
           {"seed", 1, [&] { return book.seed("film.lua", "1").ok(); }},
           {"keep", 1,
            [&] {
              return book.keep({{&ask, false, 1}}).ok();
            }},
           {"end_run", 1, [&] { return book.end_run("film.lua", {}).ok(); }},
           {"learn_lookup", 1, [&] { return book.learn_lookup("s", "e", true, 1).ok(); }},
           {"record_derived", 1, [&] { return book.record_derived("x", "y").ok(); }},
           {"record_derived later", 0, [&] { return book.record_derived("z", "y", false).ok(); }},
           {"record_question", 1, [&] { return book.record_question(question, false).ok(); }},
           {"answer", 1, [&] { return book.answer(1, 1, 9, false).ok(); }},
           {"record_film", 1,
            [&] {
              return book.record_film({"f.mp4", "film.lua", 9}).ok();
            }},
           {"secret", 1, [&] { return book.secret().ok(); }},
           {"forget_answers", 1, [&] { return book.forget_answers(9, true).ok(); }},
           {"how much there is to forget", 0, [&] { return book.forget_answers(9, false).ok(); }},
           {"timeouts", 0, [&] { return book.timeouts(ask).ok(); }},
           {"find_by_id", 0, [&] { return book.find_by_id(1).ok(); }},
           {"find_by_task", 0, [&] { return book.find_by_task("u").ok(); }},
           {"find_by_external", 0, [&] { return book.find_by_external("x").ok(); }},
           {"find_renamed", 0, [&] { return book.find_renamed("t").ok(); }},
           {"list", 0, [&] { return book.list(1).ok(); }},
           {"any_accepted", 0, [&] { return book.any_accepted("s", "e", 0).ok(); }},
           {"askers", 0, [&] { return book.askers().ok(); }},
           {"journal", 0, [&] { return book.journal(1).ok(); }},
           {"lookup_known", 0, [&] { return book.lookup_known("s", "e").ok(); }},
           {"usage", 0, [&] { return book.usage(step, 9).ok(); }},
           {"origin_of", 0, [&] { return book.origin_of("x").ok(); }},
           {"questions", 0, [&] { return book.questions().ok(); }},
           {"films", 0, [&] { return book.films().ok(); }}}) {
    CAPTURE(row.what);
    g_syncs = 0;
    CHECK(row.call());
    CHECK(g_syncs == row.syncs);
  }
}
