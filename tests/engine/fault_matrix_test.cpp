// Each fault of the simulator at each request of a job, in each dialect, over real HTTP: what was
// sent, what was accepted, how it ended and when. What is expected follows from
// docs/money-safety.md, not from the code. KLING_FAULT_MATRIX=1 prints what was seen.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <set>

#include "engine/stage.h"
#include "sim/contract.h"
#include "sim/dialect.h"

namespace kling::engine::testing {
namespace {

/// "1/0 ambiguous, 3 min": POSTs sent, tasks accepted, how the job ended, on the service's clock;
/// "-": the fault is not made for this request.
struct Row {
  const char* fault;
  const char* create;    ///< the first create goes wrong and the service never saw it
  const char* accepted;  ///< the first create goes wrong after the service accepted it
  const char* query;     ///< the first three queries go wrong
  const char* download;  ///< the first two downloads go wrong
};

// Lost and not found on a fresh ledger: nothing proves that it was not accepted, so it stops.
constexpr const char* kAsks = "1/0 ambiguous, 3 min";
constexpr const char* kDone = "1/1 stored, 1 min";
constexpr const char* kTwice = "1/1 stored, 2 min";  // told once more than the generation takes
constexpr const char* kRefused = "1/0 failed, at once";
constexpr const char* kAgain = "2/1 stored, 1 min";  // not accepted, by the service's own word
constexpr const char* kPaused = "1/1 paused, at once";

const Row kRows[] = {
    {"drop", kAsks, kDone, kDone, kDone},
    {"reset", kAsks, kDone, kDone, kDone},
    {"hang", kAsks, kDone, kDone, kDone},
    {"drip", kAsks, kDone, kDone, kDone},
    {"truncate", kAsks, kDone, kDone, kDone},
    {"endless-headers", kAsks, kDone, kDone, kDone},
    {"endless-body", kAsks, kDone, kDone, kDone},
    {"html502", kAsks, kDone, kDone, kDone},
    {"500", kAsks, kDone, kDone, kDone},
    {"503", kAsks, kDone, kDone, kDone},
    {"504", kAsks, kDone, kDone, kDone},
    {"429", kAgain, kAgain, kDone, kDone},
    {"429-retry-after", kAgain, kAgain, kDone, kDone},
    {"429-retry-date", "2/1 stored, 61 min", "2/1 stored, 61 min", kDone, kDone},
    {"429-slots", kAgain, kAgain, kDone, kDone},
    {"429-balance", kRefused, "-", kDone, kDone},
    {"429-hidden", kAgain, kAgain, kDone, kDone},
    {"401", kRefused, "-", kPaused, kDone},
    {"invalid-request", kRefused, "-", kDone, kDone},
    {"no-channel", kRefused, "-", kDone, kDone},
    {"garbage", kAsks, kDone, kDone, kDone},
    {"redirect", kAsks, kDone, kDone, kDone},
    {"not-exist", "-", "-", "1/1 paused, 1 min", "-"},
    {"backwards", "-", kDone, kTwice, "-"},
    {"nulls", "-", kDone, kTwice, "-"},
    {"disagree", "-", kDone, kDone, "-"},
    {"unknown-word", "-", kDone, kTwice, "-"},
    {"string-body", "-", kDone, kDone, "-"},
    {"fail-reason-url", "-", kDone, kDone, "-"},
    {"empty-first", "-", kDone, kDone, "-"},
    {"expired", "-", "-", "-", kDone},
    {"wrong-length", "-", "-", "-", kDone},
};

/// Where a dialect makes another outcome than the table's.
struct Deviation {
  const char* dialect;
  const char* fault;
  const char* Row::*column;
  const char* cell;
};
const Deviation kDifferences[] = {
    // The proxy hides that it is the credit that is used up.
    {"newapi", "429-balance", &Row::create, kAgain},
    // The new design has no field that real answers leave null.
    {"kling-new", "nulls", &Row::query, kDone},
};

struct Cell {
  std::string what, fault, dialect, text;
  Millis took = 0;
};

/// Runs a job into the fault. A proof that nothing paid for is lost belongs to it: what the service
/// told is recorded, so later runs need no POST. A fault that outlasts a run may take two of them.
void run(Cell& cell, const std::string& line, bool store) {
  CAPTURE(cell.dialect);
  CAPTURE(line);
  sim::Options service;
  service.dialect = cell.dialect;
  service.min_run = service.max_run = 60'000;
  // Short time-outs only for what runs into them: else a loaded machine would.
  const std::set<std::string> endless = {"hang", "drip", "endless-headers", "endless-body"};
  EngineOptions options = endless.contains(cell.fault) ? impatient() : EngineOptions();
  options.store = store;
  options.poll_interval = 30'000;  // three queries reach beyond the end of the generation
  Stage stage(with_faults({line}, service), options);
  const Millis before = stage.clock->now();
  const JobSnapshot seen = stage.run(stage.shot());
  cell.took = stage.clock->now() - before;
  const sim::Counters count = stage.count();
  CHECK(count.accepted <= 1);
  CHECK(count.charged == count.accepted);
  JobSnapshot again = seen;
  for (int runs = 0; count.accepted == 1 && runs < 3 && again.phase != Phase::stored; ++runs) {
    stage.open_engine();
    again = stage.run(stage.shot());
  }
  if (count.accepted == 1) CHECK_MESSAGE(again.phase == Phase::stored, name(again.phase));
  CHECK(stage.count().creates == count.creates);
  if (store) CHECK(std::filesystem::file_size(again.file) > 10'000);
  cell.text =
      std::to_string(count.creates) + "/" + std::to_string(count.accepted) + " " + name(seen.phase);
}

/// Cells wait more than they work, so several are run at a time.
void run_all(std::vector<Cell>& cells, const std::string& prefix, bool store) {
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < cells.size(); at = next++) {
        try {
          run(cells[at], prefix + cells[at].fault, store);
        } catch (...) {  // doctest ends a case so; it has noted the failure
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
}

/// Polls are 30 s apart and all pauses are jittered by a tenth.
void check(const Cell& cell, const std::string& expected) {
  const auto comma = expected.find(", ");
  const std::string time = expected.substr(comma + 2);
  const Millis wanted = std::atoi(time.c_str()) * Millis{60'000};
  // Where the service tells our id with the task, it is found by that.
  const bool found = cell.fault == "not-exist" && cell.text == "1/1 stored";
  CHECK_MESSAGE((found || cell.text == expected.substr(0, comma)), cell.what, " ", cell.fault,
                " in ", cell.dialect);
  CHECK_MESSAGE(std::abs(cell.took - wanted) < std::max<Millis>(40'000, wanted / 10), cell.what,
                " ", cell.fault, " in ", cell.dialect, ": ", cell.took / 1000, " s, not ", time);
  if (std::getenv("KLING_FAULT_MATRIX") != nullptr)
    std::printf("| %s | %s | %s | %s, %lld s |\n", cell.what.c_str(), cell.fault.c_str(),
                cell.dialect.c_str(), cell.text.c_str(), static_cast<long long>(cell.took / 1000));
}

std::string expected(const Row& row, const std::string& dialect, const char* Row::*column) {
  for (const Deviation& other : kDifferences)
    if (dialect == other.dialect && std::string(row.fault) == other.fault && column == other.column)
      return other.cell;
  return row.*column;
}

void check_column(const char* what, const char* Row::*column, const char* prefix, bool store) {
  std::vector<Cell> cells;
  std::vector<std::string> wanted;
  for (const sim::Dialect& dialect : sim::dialects()) {
    if (dialect.mix != nullptr) continue;  // another dialect's at each endpoint
    for (const Row& row : kRows) {
      if (std::string(row.*column) == "-") continue;
      cells.push_back({what, row.fault, dialect.name, "", 0});
      wanted.push_back(expected(row, dialect.name, column));
    }
  }
  if (store) Stage().run(Stage::shot());  // renders the clip that all of them find
  run_all(cells, prefix, store);
  for (std::size_t i = 0; i < cells.size(); ++i) check(cells[i], wanted[i]);
}

}  // namespace

TEST_CASE("a fault at the create never makes two tasks") {
  check_column("create", &Row::create, "create#1: ", false);
}

TEST_CASE("a fault after the create was accepted is adopted without a second task") {
  check_column("create, accepted", &Row::accepted, "create#1: accept, ", false);
}

TEST_CASE("a fault at the queries never ends a job that is paid for") {
  check_column("query", &Row::query, "query#1-3: ", false);
}

TEST_CASE("a fault at the downloads never loses a clip") {
  check_column("download", &Row::download, "download#1-2: ", true);
}

TEST_CASE("a create that is refused with any code of the service ends as the code says") {
  const std::map<std::string, const char*> others = {
      {"1302", kAgain}, {"1303", kAgain}, {"5000", kAsks}, {"5001", kAsks}, {"5002", kAsks}};
  std::vector<Cell> cells;
  for (const auto& [code, row] : sim::contract()["errors"].items())
    cells.push_back({"create", code, "native", "", 0});
  CHECK(cells.size() == 21);
  run_all(cells, "create#1: ", false);
  for (const Cell& cell : cells)
    check(cell, others.count(cell.fault) != 0 ? others.at(cell.fault) : kRefused);
}

TEST_CASE("docs/faults.md shows this table") {
  auto page = read_head(std::string(KLING_SOURCE_DIR) + "/docs/faults.md", 1u << 20);
  REQUIRE(page.ok());
  const auto shows = [&](const std::string& line) {
    CHECK_MESSAGE(page->data.find(line + "\n") != std::string::npos, line);
  };
  const std::pair<const char*, const char * Row::*> columns[] = {{"create", &Row::create},
                                                                 {"accepted", &Row::accepted},
                                                                 {"query", &Row::query},
                                                                 {"download", &Row::download}};
  for (const Row& row : kRows) {
    std::string line = std::string("| `") + row.fault + "` |";
    for (const auto& [name, column] : columns) line += std::string(" ") + row.*column + " |";
    shows(line);
  }
  for (const Deviation& other : kDifferences)
    for (const auto& [name, column] : columns)
      if (column == other.column)
        shows(std::string("| `") + other.dialect + "` | `" + other.fault + "` | " + name + " | " +
              other.cell + " |");
}

TEST_CASE("docs/simulator.md explains every fault and dialect in its own words") {
  auto page = read_head(std::string(KLING_SOURCE_DIR) + "/docs/simulator.md", 1u << 20);
  REQUIRE(page.ok());
  const auto shows = [&](const std::string& line) {
    CHECK_MESSAGE(page->data.find(line + "\n") != std::string::npos, line);
  };
  for (const sim::FaultKind& kind : sim::fault_kinds())
    shows(std::string("| `") + kind.name + "` | " + kind.doc + " |");
  for (const sim::Dialect& dialect : sim::dialects())
    shows(std::string("| `") + dialect.name + "` | " + dialect.doc + " |");
}

TEST_CASE("the matrix has a row for every fault and no cell that its table leaves out") {
  for (const sim::FaultKind& kind : sim::fault_kinds()) {
    const std::string at = kind.at;
    if (at == "callback" || std::string(kind.name) == "accept") continue;  // the client has none
    const auto row = std::find_if(std::begin(kRows), std::end(kRows), [&](const Row& known) {
      return std::string(known.fault) == kind.name;
    });
    REQUIRE_MESSAGE(row != std::end(kRows), kind.name);
    CHECK((at.find("query") == std::string::npos) == (std::string(row->query) == "-"));
    CHECK((at.find("download") == std::string::npos) == (std::string(row->download) == "-"));
  }
  CHECK(std::size(kRows) + 4 == sim::fault_kinds().size());  // accept and those of callbacks
}

}  // namespace kling::engine::testing
