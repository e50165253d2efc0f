// The program in a shell: completion, manual pages, a first project.
#include <filesystem>

#include "base/process.h"
#include "cli/help.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

/// What a shell prints for a script, with `kling` on its PATH; nothing where there is no such
/// shell.
std::string in_shell(const Stage& stage, const std::string& shell, const std::string& script) {
  const auto ran = run_process({"sh", "-c",
                                "cd \"$1\" && PATH=\"$(dirname \"$2\"):$PATH\" && export PATH && "
                                "exec \"$3\" -c \"$4\" 2>&1",
                                "-", stage.folder.path(), KLING_PROGRAM, shell, script});
  REQUIRE(ran.ok());
  return ran->output;
}

bool has_shell(const char* shell) {
  const auto found = run_process({"sh", "-c", std::string("command -v ") + shell});
  return found.ok() && found->exit_code == 0;
}

}  // namespace

TEST_CASE("completion offers every command and option that the help shows") {
  const Stage stage("");
  std::vector<std::vector<std::string>> paths = {{}};
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto words = [&](const std::string& typed) {
      std::vector<std::string> line = {"completion", "--words", "--"};
      line.insert(line.end(), paths[i].begin(), paths[i].end());
      line.push_back(typed);
      return stage.run(line).out;
    };
    const std::string text = help_of(stage, paths[i]);
    const auto commands = commands_in(text);
    const std::string offered = commands.empty() ? "" : words("");
    for (const std::string& name : commands) {
      CHECK_MESSAGE(contains(offered, "\n" + name + "\t"), name);
      paths.push_back(paths[i]);
      paths.back().push_back(name);
    }
    const std::string options = words("--");
    const std::regex option("\n  (?:-[a-z],)?(--[a-z-]+)");
    for (std::sregex_iterator at(text.begin(), text.end(), option), end; at != end; ++at)
      CHECK_MESSAGE(contains(options, "\n" + (*at)[1].str() + "\t"), at->str());
  }
  CHECK(paths.size() > 12);
}

TEST_CASE("completion knows values and jobs and files") {
  Stage stage("require 'kling'.text2video { prompt = 'A kite' }:wait()");
  REQUIRE(stage.run().code == 0);
  const auto words = [&](std::vector<std::string> line) {
    line.insert(line.begin(), {"completion", "--words", "--"});
    return stage.run(line).out;
  };
  CHECK(contains(words({"jobs", "show", ""}), "\tsucceeded A kite\n"));
  CHECK(contains(words({"jobs", "save", "kling:t"}), "kling:text2video/"));
  CHECK(words({"jobs", "save", "x", ""}) == "files\n");
  CHECK(words({"jobs", "show", "--sim", ""}) == "words\n");  // another ledger
  CHECK(words({"jobs", "list", "--state", "su"}) == "words\nsucceeded\t\n");
  CHECK(words({"jobs", "list", "--state", "=", "su"}) ==
        "words\nsucceeded\t\n");  // as bash cuts it
  CHECK(words({"run", "--sim", ""}) == "files\n");
  CHECK(words({"run", "film.lua", "--s"}) == "files\n");  // the script's own arguments
  CHECK(words({"completion", "f"}) == "words\nfish\t\n");
  CHECK(stage.run({"completion", "csh"}).code == 2);
}

TEST_CASE("the shells take the completion scripts and complete with them") {
  Stage stage("require 'kling'.text2video { prompt = 'A kite' }:wait()");
  REQUIRE(stage.run().code == 0);
  const char* const kBash =
      "source <(kling completion bash)\n"
      "COMP_WORDS=(kling jobs sh) COMP_CWORD=2; _kling; echo \"${COMPREPLY[@]}\"\n"
      "COMP_WORDS=(kling jobs show '') COMP_CWORD=3; _kling; echo \"${#COMPREPLY[@]}\"\n"
      "complete -p kling";
  CHECK(in_shell(stage, "bash", kBash) == "show\n1\ncomplete -F _kling kling\n");
  if (has_shell("fish")) {
    const std::string fish = in_shell(stage, "fish",
                                      "kling completion fish | source\n"
                                      "complete -C 'kling jobs sh'\ncomplete -C 'kling run fi'");
    CHECK(fish.starts_with("show\t"));
    CHECK(contains(fish, "film.lua"));
  }
  if (has_shell("zsh")) {
    // The line editor is not there: its two functions are replaced by ones that show their words.
    const char* const kZsh =
        "compdef() { : }\nsource <(kling completion zsh)\n"
        "_describe() { print -l -- $2 ${(P)2} }\n_files() { print files }\n"
        "words=(kling jobs sh) CURRENT=3; _kling\nwords=(kling run '') CURRENT=3; _kling";
    const std::string zsh = in_shell(stage, "zsh", kZsh);
    CHECK(contains(zsh, "\nshow:one job"));
    CHECK(contains(zsh, "\nfiles\n"));
  }
}

TEST_CASE("the manual page has every command") {
  const Stage stage("");
  const std::string page = stage.run({"man"}).out;
  for (const std::string& name : commands_in(help_of(stage, {})))
    CHECK_MESSAGE(contains(page, ".SS \"kling " + name), name);
  CHECK(contains(stage.run({"man", "3lua"}).out, ".SS \"kling.omni{}\""));
  CHECK(stage.run({"man", "7"}).code == 2);
}

TEST_CASE("a new project runs as it stands") {
  const Stage stage("");
  const Outcome made = stage.run({"init", "film"});
  CAPTURE(made.err);
  REQUIRE(made.code == 0);
  CHECK(contains(made.err, "now: kling run --sim film/film.lua"));
  for (const char* file :
       {"film.lua", "README.md", ".gitignore", ".luarc.json", ".luacheckrc", "types/kling.lua"})
    CHECK_MESSAGE(fs::exists(stage.folder / (std::string("film/") + file)), file);
  const Outcome run = stage.run({"run", "--sim", "--speed", "1000", "film/film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(contains(run.err, "2 submitted"));
  CHECK(fs::exists(stage.folder / "film/.kling/sim/ledger.db"));
  CHECK(
      contains(stage.run({"jobs", "--sim", "--script", "film/film.lua"}).out, "The storm arrives"));
  CHECK(stage.run({"init", "film"}).code == 0);  // a second time changes nothing
}

TEST_CASE("a command line that is nearly right is told what is right") {
  const Stage stage("print('ran')");
  const struct {
    std::vector<std::string> words;
    const char* err;
  } rows[] = {
      {{"film.lua"},
       "kling: film.lua is a script\n  do: kling run film.lua, or kling run --sim film.lua\n"},
      {{"film.lua", "a b"},
       "kling: film.lua is a script\n  do: kling run film.lua 'a b', or kling run --sim film.lua "
       "'a b'\n"},
      {{"film.lua", "--max-cost", "5", "--sim"},
       "kling: film.lua is a script\n  do: kling run --max-cost 5 --sim film.lua\n"},
      {{"--sim", "film.lua"},
       "kling: kling has no option --sim\n  do: it is an option of run: kling run --sim "
       "film.lua\n"},
      {{"rnu", "film.lua"},
       "kling: kling has no command rnu; did you mean run?\n  do: kling --help\n"},
      {{"run", "--sped", "60", "film.lua"},
       "kling: kling run has no option --sped; did you mean --speed?\n  do: kling run --help\n"},
      {{"doctor", "--jsn"},
       "kling: kling doctor has no option --jsn; did you mean --json?\n  do: kling doctor "
       "--help\n"},
      {{"jobs", "lits"},
       "kling: kling jobs has no command lits; did you mean list?\n  do: kling jobs --help\n"},
      {{"version", "now"},
       "kling: kling version has no argument now\n  do: kling version --help\n"},
      {{"help", "fly"}, "kling: kling has no command fly\n  do: kling --help\n"},
  };
  for (const auto& row : rows) {
    const Outcome run = stage.run(row.words);
    CHECK(run.code == 2);
    CHECK(run.err == row.err);
    CHECK(run.out.empty());
  }
}

TEST_CASE("version and help are found under the names that people try") {
  Stage stage("");
  for (const char* word : {"--version", "-V", "-v", "version"}) {
    const Outcome run = stage.run({word});
    CHECK(run.code == 0);
    CHECK(run.out.starts_with("kling 0."));
  }
  CHECK(stage.run({"help"}).out == stage.run({"--help"}).out);
  CHECK(stage.run({"help", "jobs", "list"}).out == stage.run({"jobs", "list", "--help"}).out);
  const std::string help = stage.run({"help", "run"}).out;
  CHECK(contains(help, "Usage: kling run [OPTIONS] SCRIPT [ARGS...]\n"));
  CHECK(contains(help, "--profile {full,safe} "));
  for (const char* noise : {"TEXT:", "INT:", "{false}", "Needs:"})
    CHECK_FALSE(contains(help, noise));
  // The options of the simulator are shown once.
  CHECK(contains(help, "--no-lookup"));
  for (const char* command : {"repl", "query"})
    CHECK_FALSE(contains(stage.run({"help", command}).out, "--no-lookup"));
  CHECK_FALSE(contains(stage.run({"help", "jobs", "wait"}).out, "--no-lookup"));
  CHECK(stage.run({"query", "--sim", "kling:text2video/1"}).code == 1);
}

TEST_CASE("a question for a name makes no ledger where there is none") {
  const Stage stage("");
  const Outcome asked = stage.run({"query", "kite"});
  CHECK(asked.code == 1);
  CHECK(contains(asked.err, "has no job kite"));
  CHECK_FALSE(std::filesystem::exists(stage.folder / ".kling"));
}

TEST_CASE("completion without a shell looks for it and says what to add") {
  Stage stage("");
  stage.environment.emplace_back("SHELL=/usr/bin/zsh");
  const Outcome run = stage.run({"completion"});
  CHECK(run.code == 0);
  CHECK(run.out ==
        "Your shell is zsh: add this line to ~/.zshrc, after compinit\n"
        "  source <(kling completion zsh)\n");
  stage.environment.back() = "SHELL=/bin/tcsh";
  CHECK(stage.run({"completion"}).code == 2);
}

TEST_CASE("a script whose records are in a folder above says so") {
  const Stage stage("require 'kling'.text2video { prompt = 'x' }:wait()");
  CHECK(stage.run().code == 0);
  std::filesystem::create_directory(stage.folder / "scenes");
  std::filesystem::copy(stage.folder / "film.lua", stage.folder / "scenes/one.lua");
  CHECK(contains(stage.run({"run", "scenes/one.lua"}).err, "kling: the records are in "));
  CHECK_FALSE(contains(stage.run().err, "the records are in"));
}
