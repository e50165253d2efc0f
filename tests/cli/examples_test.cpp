// Every command shown in a --help or in a page of the documentation is run, against a service of
// the test's own. (The Lua examples of the pages: tour_test.cpp, scripts_test.cpp.)
#include <filesystem>

#include "cli/help.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

const char* const kFilm =
    "local kling = require 'kling'\n"
    "kling.text2video { prompt = 'A kite' }:wait()\n"
    "if arg[1] == 'lost' then kling.text2video { prompt = 'Lost', patience = 0.1 }:wait() end\n";

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  for (std::size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

/// A folder where the examples find what they speak of: film.lua, and a job that is done. Where one
/// is to be decided about, there is also a job whose answer was lost.
struct Place {
  Stage stage;
  std::string id, done, lost, lost_id;

  explicit Place(bool decides) : stage(kFilm, options(decides)) {
    stage.environment.push_back("XDG_CONFIG_HOME=" + stage.folder.path());
    REQUIRE(stage.run({"run", "film.lua", decides ? "lost" : ""}).code == (decides ? 4 : 0));
    done = found(stage.run({"jobs", "--json"}).out, "kling:text2video/[0-9]+");
    id = done.substr(done.find('/') + 1);
    std::ofstream(stage.folder / "body.json")
        << "{\"task_id\":\"" + id + "\",\"task_status\":\"succeed\"}";
    if (!decides) {
      std::ofstream(stage.folder / "ask.lua") << "local kling = require 'kling'\nkling.map({ "
                                                 "'one?', 'two?', 'three?' }, function(text) "
                                                 "return kling.ask(text, { 'yes', 'no' }) end)";
      REQUIRE(stage.run({"run", "ask.lua"}).code == 4);
      return;
    }
    lost = found(stage.run({"jobs", "--json"}).out, "kling:text2video/~[a-z0-9-]+");
    // The account's list tells the task of the lost one.
    std::ofstream(stage.folder / "list.lua")
        << "for _, task in ipairs(require('kling').request('GET', "
           "'/kling/v1/videos/text2video?pageNum=1&pageSize=30').data) do print(task.task_id) end";
    std::istringstream ids(stage.run({"run", "list.lua"}).out);
    for (std::string each; ids >> each;)
      if (each != id) lost_id = each;
  }

  static sim::Options options(bool decides) {
    sim::Options lossy;
    if (decides) lossy.faults = {"create#2: accept, drop"};
    lossy.external_lookup = false;
    return lossy;
  }
  static std::string found(const std::string& text, const char* expression) {
    std::smatch match;
    REQUIRE(std::regex_search(text, match, std::regex(expression)));
    return match[0].str();
  }

  bool is_serving() const {
    for (const auto& entry : fs::directory_iterator(stage.folder.path())) {
      std::ostringstream text;
      if (entry.path().filename().string().starts_with("stdout."))
        text << std::ifstream(entry.path()).rdbuf();
      if (text.str().starts_with("http://")) return true;
    }
    return false;
  }

  void run(std::string line) const {
    CAPTURE(line);
    line = replaced(line, "./dev run", "kling run");
    line = replaced(line, "kling login", "echo sk-test | kling login");
    line = replaced(line, "sk-…", "sk-test");
    line = replaced(line, "\"shot 3\"", "'A kite'");
    line = replaced(line, "--sim ", "--sim --speed 100000 ");
    line = replaced(line, "--port 8900", "--port 0");
    line = replaced(line, "kling:text2video/861309198188019719", done);
    const std::string& named = contains(line, "--adopt") && !lost_id.empty() ? lost_id : id;
    line = replaced(line, "861309198188019719", named);
    line = replaced(line, "TASK_ID", named);
    line = replaced(line, "HANDLE", lost.empty() ? done : lost);
    const std::regex script("[A-Za-z0-9_/]+\\.lua");
    for (std::sregex_iterator at(line.begin(), line.end(), script), end; at != end; ++at) {
      const fs::path path = stage.folder / at->str();
      fs::create_directories(path.parent_path());
      std::ofstream(path) << kFilm;  // short, whatever the page makes
    }
    CAPTURE(line);
    const std::string shell = "kling() { exec '" KLING_PROGRAM "' \"$@\"; }; " + line;
    Child child({"/bin/sh", "-c", shell}, stage.folder.path(), stage.environment);
    if (contains(line, "kling sim")) {  // serves until it is told
      while (!is_serving()) std::this_thread::sleep_for(std::chrono::milliseconds(5));
      child.signal(SIGTERM);
    }
    const Outcome outcome = child.wait();
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
  }
};

/// Runs each where the examples before it have left their traces; a decision needs an open one.
void run_all(const std::vector<std::string>& lines) {
  std::unique_ptr<Place> place;
  for (const std::string& line : lines) {
    const bool decides = contains(line, "jobs resolve");
    if (decides) {
      Place(true).run(line);
    } else {
      if (!place) place = std::make_unique<Place>(false);
      place->run(line);
    }
  }
}

/// The commands after "Example:" or, one a line, after "Examples:"; their remarks left out.
std::vector<std::string> examples_of(const std::string& help) {
  std::vector<std::string> lines;
  std::istringstream text(help);
  bool several = false;
  for (std::string line; std::getline(text, line);) {
    if (line.starts_with("Example: ")) lines.push_back(line.substr(9));
    if (several && line.starts_with("  ")) lines.push_back(line.substr(2, line.find("   ", 2) - 2));
    several = line == "Examples:" || (several && line.starts_with("  "));
  }
  return lines;
}

/// The help of `words` and of every command below.
void collect_help(const Stage& stage, const std::vector<std::string>& words,
                  std::vector<std::string>& examples) {
  const std::string help = help_of(stage, words);
  const auto own = examples_of(help);
  CHECK_MESSAGE(!own.empty(), "no example: ", words.empty() ? "kling" : words.back());
  examples.insert(examples.end(), own.begin(), own.end());
  for (const std::string& name : commands_in(help)) {
    std::vector<std::string> below = words;
    below.push_back(name);
    collect_help(stage, below, examples);
  }
}

}  // namespace

TEST_CASE("every command has an example in its help and it runs") {
  std::vector<std::string> examples;
  collect_help(Stage(""), {}, examples);
  CHECK(examples.size() > 15);
  run_all(examples);
}

TEST_CASE("the first script of the help runs") {
  Stage stage("");
  const std::string help = stage.run({"--help"}).out;
  const std::size_t from = help.find("A first film.lua:\n");
  REQUIRE(from != std::string::npos);
  std::ofstream(stage.folder / "film.lua") << help.substr(help.find('\n', from) + 1);
  const Outcome run = stage.run({"run", "--sim", "--speed", "100000", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(fs::exists(stage.folder / "shot.mp4"));
}

TEST_CASE("every command of the pages runs") {
  std::vector<fs::path> pages = {KLING_SOURCE_DIR "/README.md"};
  for (const auto& entry : fs::directory_iterator(KLING_SOURCE_DIR "/docs"))
    if (entry.path().extension() == ".md") pages.push_back(entry.path());
  // In a block of its own, at the start of a line or after settings of the environment.
  const std::regex command(
      "(?:\\$ )?((?:[A-Z_]+=\\S+ )*(?:kling|\\./dev run) (?!= )[^#&]*[^#& ]).*");
  std::vector<std::string> lines;
  for (const fs::path& page : pages) {
    std::ifstream file(page);
    std::string fence;
    for (std::string line; std::getline(file, line);) {
      if (line.starts_with("```")) fence = fence.empty() ? line : "";
      std::smatch match;
      if (!fence.empty() && fence != "```lua" && std::regex_match(line, match, command))
        lines.push_back(match[1].str());
    }
  }
  CHECK(lines.size() >= 5);
  run_all(lines);
}
