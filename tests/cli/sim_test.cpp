// The simulator inside the program: its options, and what is wrong with them. `kling sim` itself is
// driven by tests/foreign/client.py.
#include <filesystem>

#include "cli/program.h"

using namespace kling::test;

namespace {

constexpr const char* kTwoClips = R"(
local kling = require "kling"
local scene = kling.omni { prompt = "A storm" }
local shot = kling.text2video { prompt = "A lighthouse" }
scene:wait()
shot:wait()
print(kling.query(scene).raw:find("OMNI_VIDEO") and "wrapped" or "native")
)";

Outcome run(const TempFolder& folder, std::vector<std::string> options) {
  std::ofstream(folder / "film.lua") << kTwoClips;
  std::vector<std::string> words = {KLING_PROGRAM,     "run", "--sim",     "--speed", "5000",
                                    "--poll-interval", "5",   "--no-store"};
  words.insert(words.end(), options.begin(), options.end());
  words.push_back("film.lua");
  return Child(words, folder.path(), {}).wait();
}

}  // namespace

TEST_CASE("a run can be rehearsed in a dialect for each endpoint") {
  for (const auto& [dialect, word] : {std::pair("native", "native"),
                                      {"native,omni=wrapped", "wrapped"},
                                      {"comet", "wrapped"},
                                      {"comet-april", "native"}}) {
    const TempFolder folder;
    const Outcome outcome = run(folder, {"--dialect", dialect});
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK_MESSAGE(contains(outcome.out, std::string(word) + "\n"), outcome.out);
  }
}

TEST_CASE("a run can be rehearsed with a file of faults and a service of limits") {
  const TempFolder folder;
  std::ofstream(folder / "bad.faults") << "# both creates\ncreate#*: 1301\n";
  const Outcome refused = run(folder, {"--fault", "@bad.faults"});
  CHECK(refused.code == 3);
  CHECK(contains(refused.err, "content security policy"));
  const Outcome poor = run(folder, {"--credit", "2"});
  CHECK(poor.code == 1);
  CHECK(contains(poor.err, "balance not enough"));
}

TEST_CASE("wrong options of the simulator say what there is") {
  const TempFolder folder;
  const Outcome dialect = run(folder, {"--dialect", "native,omni=klingon"});
  CHECK(dialect.code == 2);
  CHECK(contains(dialect.err, "there is no dialect \"klingon\""));
  CHECK(contains(dialect.err, "wrapped"));
  const Outcome fault = run(folder, {"--fault", "create#1: dorp"});
  CHECK(fault.code == 2);
  CHECK(contains(fault.err, "there is no fault \"dorp\""));
  CHECK(run(folder, {"--fault", "@missing"}).code == 2);
}
