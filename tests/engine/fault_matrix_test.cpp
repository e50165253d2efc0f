// Each fault of the simulator at each request of a job, over real HTTP: what was sent, what was
// accepted, how it ended. What is expected follows from docs/money-safety.md, not from the code.
// KLING_FAULT_MATRIX=1 prints the table of docs/faults.md.
#include <cstdio>
#include <cstdlib>

#include "engine/stage.h"
#include "sim/faults.h"

namespace kling::engine::testing {
namespace {

/// "1/0 ambiguous": POSTs sent, tasks accepted, how the job ended; "-": makes no sense here.
struct Row {
  const char* fault;
  const char* create;    ///< the first create goes wrong and the service never saw it
  const char* accepted;  ///< the first create goes wrong after the service accepted it
  const char* query;     ///< the first three queries go wrong
  const char* download;  ///< the first two downloads go wrong
};

// Lost and not found on a fresh ledger: nothing proves that it was not accepted, so it stops.
constexpr const char* kAsks = "1/0 ambiguous";
constexpr const char* kDone = "1/1 stored";
constexpr const char* kRefused = "1/0 failed";
constexpr const char* kAgain = "2/1 stored";  // not accepted, by the service's own word
constexpr const char* kPaused = "1/1 paused";
// The generation is safe; what came instead of the clip is reported, and fetched by the next run.
constexpr const char* kLater = "1/1 succeeded";

const Row kRows[] = {
    {"drop", kAsks, kDone, kDone, kDone},
    {"reset", kAsks, kDone, kDone, kDone},
    {"hang", kAsks, kDone, kDone, kDone},
    {"drip", kAsks, kDone, kDone, kDone},
    {"truncate", kAsks, kDone, kDone, kDone},
    {"endless-headers", kAsks, kDone, kDone, kLater},
    {"endless-body", kAsks, kDone, kDone, kLater},
    {"html502", kAsks, kDone, kDone, kDone},
    {"500", kAsks, kDone, kDone, kDone},
    {"503", kAsks, kDone, kDone, kDone},
    {"504", kAsks, kDone, kDone, kDone},
    {"429", kAgain, kAgain, kDone, kDone},
    {"429-retry-after", kAgain, kAgain, kDone, kDone},
    {"429-retry-date", "-", "-", "-", "-"},  // an hour: lost_answer_test.cpp
    {"429-slots", kAgain, kAgain, kDone, kDone},
    {"429-balance", kRefused, "-", kDone, kDone},
    {"429-hidden", kAgain, kAgain, kDone, kDone},
    {"401", kRefused, "-", kPaused, kDone},
    {"invalid-request", kRefused, "-", kDone, kDone},
    {"no-channel", kRefused, "-", kDone, kDone},
    {"garbage", kAsks, kDone, kDone, kLater},
    {"redirect", kAsks, kDone, kDone, "-"},
    {"not-exist", "-", "-", kPaused, "-"},
    {"backwards", "-", kDone, kDone, "-"},
    {"nulls", "-", kDone, kDone, "-"},
    {"disagree", "-", kDone, kDone, "-"},
    {"unknown-word", "-", kDone, kDone, "-"},
    {"string-body", "-", kDone, kDone, "-"},
    {"fail-reason-url", "-", kDone, kDone, "-"},
    {"empty-first", "-", kDone, kDone, "-"},
    {"expired", "-", "-", "-", kDone},
    {"wrong-length", "-", "-", "-", kDone},
};

struct Cell {
  std::string text = "-";
  Millis took = 0;
};

Cell run(const std::string& line, bool store) {
  CAPTURE(line);
  sim::Options service;
  service.min_run = service.max_run = 60'000;
  EngineOptions options = impatient();
  options.store = store;
  options.poll_interval = 30'000;  // three queries reach beyond the end of the generation
  Stage stage(with_faults({line}, service), options);
  const Millis before = stage.clock->now();
  const JobSnapshot seen = stage.run(stage.shot());
  const Millis took = stage.clock->now() - before;
  const sim::Counters count = stage.count();
  CHECK(count.accepted <= 1);
  CHECK(count.charged == count.accepted);
  // What the service told is recorded, whatever happened meanwhile: later runs need no POST. A
  // fault that lasts longer than a run may take two of them.
  if (count.accepted == 1) {
    JobSnapshot again = seen;
    for (int runs = 0; runs < 3 && again.phase != Phase::stored; ++runs) {
      stage.open_engine();
      again = stage.run(stage.shot());
    }
    CHECK_MESSAGE(again.phase == Phase::stored, name(again.phase));
    CHECK(stage.count().creates == count.creates);
    if (store) CHECK(std::filesystem::file_size(again.path) > 10'000);
  }
  return {
      std::to_string(count.creates) + "/" + std::to_string(count.accepted) + " " + name(seen.phase),
      took};
}

void check(const char* what, const char* Row::*expected, const char* prefix, bool store) {
  for (const Row& row : kRows) {
    if (std::string(row.*expected) == "-") continue;
    const Cell cell = run(std::string(prefix) + row.fault, store);
    CHECK_MESSAGE(cell.text == std::string(row.*expected), what, ": ", row.fault);
    // Three minutes of search and five minutes for everything else, pauses included.
    CHECK(cell.took < 8 * 60'000);
    if (std::getenv("KLING_FAULT_MATRIX") != nullptr)
      std::printf("| %s | %s | %s | %lld s |\n", row.fault, what, cell.text.c_str(),
                  static_cast<long long>(cell.took / 1000));
  }
}

}  // namespace

TEST_CASE("a fault at the create never makes two tasks") {
  check("create", &Row::create, "create#1: ", false);
}

TEST_CASE("a fault after the create was accepted is adopted without a second task") {
  check("create, accepted", &Row::accepted, "create#1: accept, ", false);
}

TEST_CASE("a fault at the queries never ends a job that is paid for") {
  check("query", &Row::query, "query#1-3: ", false);
}

TEST_CASE("a fault at the downloads never loses a clip") {
  check("download", &Row::download, "download#1-2: ", true);
}

TEST_CASE("docs/faults.md shows this table") {
  auto page = read_head(std::string(KLING_SOURCE_DIR) + "/docs/faults.md", 1u << 20);
  REQUIRE(page.ok());
  for (const Row& row : kRows) {
    std::string line = std::string("| `") + row.fault + "` |";
    for (const auto cell : {&Row::create, &Row::accepted, &Row::query, &Row::download})
      line += std::string(" ") + row.*cell + " |";
    CHECK_MESSAGE(page->data.find(line + "\n") != std::string::npos, line);
  }
}

TEST_CASE("docs/simulator.md explains every fault in its own words") {
  auto page = read_head(std::string(KLING_SOURCE_DIR) + "/docs/simulator.md", 1u << 20);
  REQUIRE(page.ok());
  for (const sim::FaultKind& kind : sim::fault_kinds()) {
    const std::string line = std::string("| `") + kind.name + "` | " + kind.doc + " |\n";
    CHECK_MESSAGE(page->data.find(line) != std::string::npos, line);
  }
}

TEST_CASE("the matrix has a row for every fault") {
  std::vector<std::string> rows = {"accept"};  // which only qualifies the others
  for (const Row& row : kRows) rows.emplace_back(row.fault);
  std::vector<std::string> faults;
  for (const sim::FaultKind& kind : sim::fault_kinds()) faults.emplace_back(kind.name);
  std::sort(rows.begin(), rows.end());
  std::sort(faults.begin(), faults.end());
  CHECK(rows == faults);
}

}  // namespace kling::engine::testing
