// A ledger as the version before the rows of attempts left it, with every kind of step, is opened
// and resumed by this one, and nothing in it is paid for again. tests/fixtures/schema-2 was made by
// that version: the ledger as SQL, the simulator's journal, and the scripts.
#include <filesystem>

#include <sqlite3.h>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;
namespace fs = std::filesystem;

namespace {

const fs::path kFixture = fs::path(KLING_SOURCE_DIR) / "tests/fixtures/schema-2";

/// The project where it was: that version drew its random numbers from the script's whole path.
struct Project {
  const fs::path folder = "/tmp/kling-ledger-of-schema-2";
  Project() {
    fs::remove_all(folder);
    fs::create_directories(folder / ".kling/sim");
    for (const auto& entry : fs::directory_iterator(kFixture))
      if (entry.path().extension() == ".lua") fs::copy(entry.path(), folder);
    fs::create_symlink("film.lua", folder / "link.lua");
    fs::copy_file(kFixture / "service.jsonl", folder / ".kling/sim/journal.jsonl");
    std::ostringstream sql;
    sql << std::ifstream(kFixture / "ledger.sql").rdbuf();
    REQUIRE(!sql.str().empty());
    sqlite3* ledger = nullptr;
    REQUIRE(sqlite3_open((folder / ".kling/sim/ledger.db").c_str(), &ledger) == SQLITE_OK);
    CHECK(sqlite3_exec(ledger, sql.str().c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(ledger);
  }
  ~Project() { fs::remove_all(folder); }

  Outcome run(std::vector<std::string> words) const {
    words.insert(words.begin(), {KLING_PROGRAM, "run", "--sim", "--speed", "5000", "--no-store"});
    return Child(words, folder.string(), {}).wait();
  }
};

/// How many clips the service has charged, of all runs.
int charged(const Project& project) {
  sim::Options options;
  options.state_dir = (project.folder / ".kling/sim").string();
  options.clock = sim::Simulator::clock_for(options.state_dir, 5000);  // as the run before it
  const auto service = sim::Simulator::start(options);
  REQUIRE(service.ok());
  return (*service)->counters().charged;
}

}  // namespace

TEST_CASE("a ledger of the version before is resumed and nothing is paid for again") {
  const Project project;
  constexpr int kCharged = 11;  // by that version
  for (const char* script :
       {"film.lua", "link.lua", "lost.lua", "sending.lua", "slow.lua", "film.lua"}) {
    CAPTURE(script);
    const Outcome run = project.run({script});
    CAPTURE(run.err);
    CHECK(run.code == 0);
    CHECK(charged(project) == kCharged);
  }
  const Outcome spent = project.run({"--max-submissions", "1", "meant.lua"});
  CAPTURE(spent.err);
  CHECK(spent.code == 4);
  CHECK(contains(spent.err, "the budget of 1 jobs is used up"));
  CHECK(charged(project) == kCharged);
  CHECK(project.run({"meant.lua"}).code == 0);
  CHECK(charged(project) == kCharged + 1);  // what was never sent is sent now
}
