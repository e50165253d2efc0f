// Files of paid clips: none takes another's place, and all are found again.
#include <filesystem>

#include "cli/ledger_file.h"
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

int files_in(const std::string& folder) {
  int count = 0;
  for (const auto& entry : fs::directory_iterator(folder)) count += entry.is_regular_file() ? 1 : 0;
  return count;
}

const char* const kStoredClip =
    "local kling = require 'kling'\nprint(kling.text2video { prompt = 'A kite' }:wait().path)";

}  // namespace

TEST_CASE(
    "no clip takes the place of another, neither in the store nor in a folder it is saved to") {
  Stage stage(R"(
local kling = require "kling"
local other = kling.client { ledger = "other.db", store = ".kling/clips" }
local one = kling.text2video { prompt = "A kite" }:wait()
local two = other.text2video { prompt = "A kite" }:wait()
for _, clip in ipairs { one, two, one } do clip:save("out/") end
for _, folder in ipairs { "a", "b", "a" } do kling.image(folder .. "/x.jpg"):save("out/") end
)");
  for (const std::string folder : {"a", "b"}) {
    fs::create_directory(stage.folder / folder);
    // The least that a JPEG has: its size, a scan and an end.
    std::ofstream(stage.folder / (folder + "/x.jpg"))
        << std::string("\xff\xd8\xff\xc0\0\x0b\x08\1\xe0\2\x80\1\1\x11\0", 15)
        << std::string("\xff\xda\0\x08\1\1\0\0?\0", 10) << folder << "\xff\xd9";
  }
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().accepted == 2);
  CHECK(files_in(stage.folder / ".kling/clips") == 2);
  CHECK(files_in(stage.folder / "out") == 4);
  CHECK(fs::exists(stage.folder / "out/x-2.jpg"));
  CHECK(stage.run().code == 0);
  CHECK(files_in(stage.folder / "out") == 4);
}

TEST_CASE("a clip is found again after its project was moved") {
  Stage stage(kStoredClip);
  const auto run_in = [&](const std::string& folder) {
    const Outcome run = Child({KLING_PROGRAM, "run", stage.folder / (folder + "/film.lua")},
                              stage.folder.path(), stage.environment)
                            .wait();
    CAPTURE(run.err);
    CHECK(run.code == 0);
    return run.out.substr(0, run.out.find('\n'));
  };
  fs::create_directories(stage.folder / "old/.kling");
  fs::rename(stage.folder / "film.lua", stage.folder / "old/film.lua");
  const std::string before = run_in("old");
  CHECK(fs::exists(before));
  SUBCASE("as the ledger tells it") {}
  SUBCASE("although the ledger tells the whole path, as that of an earlier version does") {
    change_ledger(stage.folder / "old/.kling/ledger.db",
                  "UPDATE steps SET file = '" + before + "'");
  }
  fs::rename(stage.folder / "old", stage.folder / "new");
  for (int run = 0; run < 2; ++run) {
    const std::string path = run_in("new");
    CHECK(path == stage.folder / "new/.kling/clips/" + fs::path(before).filename().string());
    CHECK(fs::exists(path));
  }
  const Outcome shown =
      Child({KLING_PROGRAM, "jobs", "--json"}, stage.folder / "new", stage.environment).wait();
  CHECK(contains(shown.out, stage.folder / "new/.kling/clips/"));
  CHECK(stage.service->counters().downloads == 1);
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("an external id that is given as extra is the one that is sent and kept") {
  Stage stage(
      "local kling = require 'kling'\nkling.text2video { prompt = 'A kite', external_task_id = "
      "'field', extra = { external_task_id = 'mine-7' } }:wait()");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).code == 0);
  CHECK(contains(stage.run({"jobs", "--json"}).out, "\"external_id\":\"mine-7\""));
  const auto [id, charges] = *stage.service->counters().charges_by_external_id.begin();
  CHECK(id == "mine-7");
  CHECK(charges == 1);
}
