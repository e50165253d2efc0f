// Every script of scripts/ and everything shown in README.md and docs/ runs. The films are looked
// at with ffprobe. These are the slow tests of the program: their names begin with "script".
#include <algorithm>
#include <filesystem>
#include <regex>

#include "base/process.h"
#include "cli/program.h"
#include "support/copy_scripts.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

enum class Clips { whole, draft };

/// A copy of scripts/, so that ledger and films lie in a folder of the test's. With drafts, which
/// are made quickly, the service is the test's; else it is that of --sim.
struct Copy {
  TempFolder folder;
  std::unique_ptr<Stage> service;

  explicit Copy(Clips clips = Clips::whole) {
    copy_scripts(folder / "scripts");
    sim::Options options;
    options.draft = true;
    if (clips == Clips::draft) service = std::make_unique<Stage>("", std::move(options));
  }

  Outcome run(const std::string& name, const std::vector<std::string>& arguments = {},
              const std::string& speed = "600") const {
    std::vector<std::string> words = {KLING_PROGRAM, "run"};
    if (!service) words.insert(words.end(), {"--sim", "--speed", speed});
    words.push_back("scripts/" + name + ".lua");
    words.insert(words.end(), arguments.begin(), arguments.end());
    return Child(words, folder.path(), service ? service->environment : std::vector<std::string>())
        .wait();
  }

  /// One line a stream: "video,WIDTH,HEIGHT,FRAMES" and "audio,FRAMES".
  std::string streams(const std::string& file) const {
    const auto probe = run_process({"ffprobe", "-v", "error", "-count_frames", "-show_entries",
                                    "stream=codec_type,width,height,nb_read_frames", "-of",
                                    "csv=p=0", folder / file});
    REQUIRE(probe.ok());
    return probe->output;
  }
  double seconds(const std::string& file) const {
    const auto probe = run_process({"ffprobe", "-v", "error", "-show_entries", "format=duration",
                                    "-of", "csv=p=0", folder / file});
    REQUIRE(probe.ok());
    return std::atof(probe->output.c_str());
  }

  /// Runs the script twice: the first run submits `jobs`, the second pays for nothing, and makes
  /// out/NAME.mp4 again, of these `streams`.
  void makes_film(const std::string& name, int jobs, const std::string& expected,
                  const std::string& speed = "600") const {
    for (const std::string& bill : {std::to_string(jobs) + " submitted, 0 reused",
                                    "0 submitted, " + std::to_string(jobs) + " reused"}) {
      fs::remove_all(folder / "out");
      const Outcome outcome = run(name, {}, speed);
      CAPTURE(outcome.out);
      CAPTURE(outcome.err);
      REQUIRE(outcome.code == 0);
      CHECK(contains(outcome.err, bill));
      CHECK(streams("out/" + name + ".mp4") == expected);
    }
  }
};

}  // namespace

// A clip of five seconds has 121 frames at 24 a second, one more than its seconds, as the real
// ones; a draft has 31.

TEST_CASE("script quickstart makes a film of four endpoints with one seam") {
  // Only the storm follows the clip that it continues.
  Copy().makes_film("quickstart", 4, "video,1280,720,483\n");
}

TEST_CASE("script continue_shot makes one long take with three seams") {
  Copy(Clips::draft).makes_film("continue_shot", 4, "video,640,360,121\n");
}

TEST_CASE("script storyboard makes six shots side by side") {
  const Copy copy;
  const Outcome outcome = copy.run("storyboard", {}, "60");  // slow enough for six to be sent
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  const std::string before = outcome.err.substr(0, outcome.err.find("  succeeded "));
  for (const char* shot : {"A paper boat", "The boat shoots", "Underground river", "A rat captain",
                           "The boat reaches", "Sunrise"})
    CHECK_MESSAGE(contains(before, shot), shot);
  CHECK(copy.streams("out/storyboard.mp4") == "video,1280,720,726\n");
  CHECK(contains(copy.run("storyboard").err, "0 submitted, 6 reused"));
}

TEST_CASE("script restyle makes a shot and the same shot redrawn") {
  Copy().makes_film("restyle", 3, "video,1280,720,242\n");
}

TEST_CASE("script cast makes two scenes of the same two characters") {
  const Copy copy(Clips::draft);
  // Multi-image clips come at 30 frames a second (7), and the film takes its first part's rate.
  copy.makes_film("cast", 4, "video,640,360,72\n");
  const Outcome outcome = copy.run("cast", {"861309198188019719"});
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.err, "1 submitted, 3 reused"));  // the scene with the element
}

TEST_CASE("script motion sends a last picture and masks and a camera") {
  Copy(Clips::draft).makes_film("motion", 4, "video,640,360,123\n");
}

TEST_CASE("script variations goes on with the best take or the chosen one") {
  const Copy copy(Clips::draft);
  copy.makes_film("variations", 4, "video,640,360,61\n");
  const Outcome first = copy.run("variations");
  const bool was_third = contains(first.out, "take 3 of 3");
  const Outcome chosen = copy.run("variations", {"3", was_third ? "2" : "3"});
  CAPTURE(chosen.err);
  CHECK(contains(chosen.err, "1 submitted, 3 reused"));
  CHECK(copy.streams("out/variations/3.mp4") == "video,640,360,31\n");
}

TEST_CASE("script from_csv makes the good rows and lists the bad one") {
  const Copy copy;
  const Outcome outcome = copy.run("from_csv");
  CAPTURE(outcome.out);
  CAPTURE(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "3 of 4 clips"));
  CHECK(contains(outcome.out, "row 4: "));
  CHECK(contains(outcome.out, "7 s"));
  CHECK(contains(outcome.err, "3 submitted"));
  CHECK(contains(outcome.err, "Dawn over a harbour, gulls, slow pan"));
  CHECK(contains(outcome.err, "says \"open\" flickers"));
  CHECK(copy.streams("out/from_csv/dawn.mp4") == "video,1280,720,121\n");
  CHECK(copy.streams("out/from_csv/tram.mp4") == "video,720,1280,121\n");
  CHECK(copy.streams("out/from_csv/sign.mp4") == "video,960,960,121\n");
  CHECK(contains(copy.run("from_csv").err, "0 submitted, 3 reused"));
}

TEST_CASE("script music_video lays the song under shots of its parts lengths") {
  const Copy copy(Clips::draft);
  // 4, 3, 5 and 3 seconds and a frame each; the song of 15 s is followed by silence.
  const std::string film = "out/music_video.mp4";
  for (const char* bill : {"4 submitted, 0 reused", "0 submitted, 4 reused"}) {
    const Outcome outcome = copy.run("music_video");
    CAPTURE(outcome.err);
    REQUIRE(outcome.code == 0);
    CHECK(contains(outcome.err, bill));
    CHECK(copy.streams(film).starts_with("video,640,360,94\naudio,"));
    CHECK(copy.seconds(film) == doctest::Approx(94.0 / 6).epsilon(0.01));
  }
}

namespace {

/// README.md and the pages of docs/.
std::vector<fs::path> pages() {
  std::vector<fs::path> found = {KLING_SOURCE_DIR "/README.md"};
  for (const auto& entry : fs::directory_iterator(KLING_SOURCE_DIR "/docs"))
    if (entry.path().extension() == ".md") found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// The blocks of a page between ``` and ```, in the given language; "": of any that is not Lua.
std::vector<std::string> blocks(const fs::path& page, const std::string& language) {
  std::vector<std::string> found;
  std::ifstream file(page);
  std::string fence;
  for (std::string line; std::getline(file, line);) {
    const bool is_fence = line.starts_with("```");
    const bool wanted = language.empty() ? fence != "```lua" : fence == "```" + language;
    if (is_fence && fence.empty()) {
      fence = line;
      found.emplace_back();
    } else if (is_fence) {
      if (!wanted) found.pop_back();
      fence.clear();
    } else if (!fence.empty()) {
      found.back() += line + "\n";
    }
  }
  return found;
}

}  // namespace

TEST_CASE("script blocks of all pages run as they stand") {
  int count = 0;
  for (const fs::path& page : pages()) {
    // Have tests of their own.
    if (page.filename() == "tour.md" || page.filename() == "slips.md") continue;
    for (const std::string& block : blocks(page, "lua")) {
      ++count;
      const TempFolder folder;
      std::ofstream(folder / "film.lua") << block;
      const Outcome run =
          Child({KLING_PROGRAM, "run", "--sim", "--speed", "600", "film.lua"}, folder.path(), {})
              .wait();
      CAPTURE(page.string());
      CAPTURE(block);
      CAPTURE(run.err);
      CHECK(run.code == 0);
    }
  }
  CHECK(count >= 1);
}

TEST_CASE("commands shown in the pages have the subcommands and options that the program has") {
  const std::regex command(
      R"((?:^|\n)[^\n#]*?(?:kling|\./dev) (run|sim|query|doctor|version|jobs \w+|jobs)([^\n#]*))");
  const std::regex option("--[a-z][a-z-]*");
  const TempFolder folder;
  int count = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& block : blocks(page, "")) {
      for (std::sregex_iterator at(block.begin(), block.end(), command), end; at != end; ++at) {
        ++count;
        std::vector<std::string> words = {KLING_PROGRAM};
        std::istringstream names((*at)[1].str());
        for (std::string name; names >> name;) words.push_back(name);
        words.push_back("--help");
        const Outcome help = Child(words, folder.path(), {}).wait();
        CAPTURE(page.string());
        CAPTURE(at->str());
        CHECK(help.code == 0);
        const std::string rest = (*at)[2].str();
        for (std::sregex_iterator name(rest.begin(), rest.end(), option), none; name != none;
             ++name)
          CHECK_MESSAGE(contains(help.out, name->str()), name->str());
      }
    }
  }
  CHECK(count >= 4);
}
