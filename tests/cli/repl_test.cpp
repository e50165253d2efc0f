// kling repl as a filter, against the simulator: what it runs, prints, sends and leaves behind.
#include <algorithm>
#include <regex>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

/// What `kling repl` does with these lines on its standard input.
std::unique_ptr<Child> start_repl(Stage& stage, const std::string& lines,
                                  std::vector<std::string> words = {}) {
  std::ofstream(stage.folder / "stdin") << lines;
  stage.environment.push_back("XDG_STATE_HOME=" + (stage.folder / "state"));
  words.insert(words.begin(), "repl");
  return stage.start(words);
}
Outcome repl(Stage& stage, const std::string& lines, std::vector<std::string> words = {}) {
  return start_repl(stage, lines, std::move(words))->wait();
}

constexpr const char* kJob = "kling.text2video { prompt = 'A kite' }\n";

}  // namespace

TEST_CASE("the REPL runs each complete chunk of a pipe without a prompt") {
  Stage stage("");
  const Outcome run = repl(stage, "x = 20 +\n22\nx\nfor i = 1, 2 do\nprint(i)\nend\n'last'");
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.out == "42\n1\n2\n\"last\"\n");
  CHECK(run.err.empty());
  CHECK_FALSE(std::ifstream(stage.folder / "state/kling/history").good());  // nobody typed
}

TEST_CASE("an error in a pipe is told with its line and the exit code is one") {
  Stage stage("");
  const Outcome run = repl(stage,
                           "x = 1\nx = = 2\nfunction f() error('deep') end\n"
                           "function g() f() return 1 end\nlocal _ = g()\nprint('goes on')\n"
                           "kling.text2video { prompt = 'x', modle_name = 'y' }\nif x then\n");
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "stdin:2: unexpected symbol"));
  CHECK(contains(run.err, "stdin:3: deep\nstack traceback:\n"));
  CHECK(contains(run.err, "in function 'g'"));
  CHECK_FALSE(contains(run.err, "[kling]"));
  CHECK_FALSE(contains(run.err, "[C]"));
  CHECK(contains(run.err, "stdin:7: text2video: there is no field modle_name"));
  CHECK(contains(run.err, "\n  do: did you mean model_name?"));
  CHECK(contains(run.err, "near <eof>"));
  CHECK(run.out == "goes on\n");
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("a command of the shell is answered, and help on a value shows its calls") {
  Stage stage("");
  const Outcome run = repl(stage, "kling run film.lua\nhelp 'Clip'\n");
  CAPTURE(run.out);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "that is for the shell: leave with Ctrl-D"));
  for (const char* call : {"  :save(path)", "  :trim(from, to?)", "  :mute()"})
    CHECK_MESSAGE(contains(run.out, call), call);
}

TEST_CASE("help knows a variable by what it holds, and the options of functions") {
  Stage stage("");
  const Outcome run = repl(stage,
                           "local c = kling.text2video('A fox'):wait()\nhelp c\njob = c.job\n"
                           "help job\nhelp crossfade\nhelp trim\nhelp nothing_such\n"
                           "help \"pick\"\n");
  CAPTURE(run.out);
  CHECK(run.code == 0);
  for (const char* part :
       {"kling.Clip\n", "kling.job(handle)\n", "kling.concat(parts, path, options?): crossfade: ",
        "clip:trim(from, to?)\n", "there is no help on nothing_such\n",
        "  clips            list: One alone is returned at once.\n"})
    CHECK_MESSAGE(contains(run.out, part), part);
  CHECK(std::ranges::count(repl(stage, "help 'concat'\n").out, '\n') < 24);
}

TEST_CASE("the same line again makes a new clip") {
  Stage stage("");
  const std::string line = "kling.text2video { prompt = 'A kite' }:wait().duration > 5\n";
  const Outcome run = repl(stage, line + line);
  CAPTURE(run.err);
  CHECK(run.out == "true\ntrue\n");
  CHECK(stage.service->counters().creates == 2);
  const Outcome again = repl(stage, line);
  CHECK(again.out == "true\n");
  CHECK(stage.service->counters().creates == 3);
  CHECK_FALSE(contains(again.err, "differs from last time"));
}

TEST_CASE("leaving waits for the answer to each request and names what is open") {
  sim::Options options;
  options.clock = make_clock(1);  // its jobs take minutes
  Stage stage("", options);
  const Outcome run = repl(stage, std::string("j = ") + kJob + "k = " + kJob);
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().creates == 2);
  CHECK(std::regex_search(
      run.err, std::regex("open: A kite \\([a-z]+\\) goes on: kling jobs wait [0-9a-f]{7}\n")));
}

TEST_CASE("an interrupt ends the wait and names the job which goes on") {
  sim::Options options;
  options.clock = make_clock(1);
  Stage stage("", options);
  const auto child =
      start_repl(stage, "kling.text2video { prompt = 'A kite' }:wait()\nprint('no')\n");
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries > 0; }));
  child->signal(SIGINT);
  const Outcome run = child->wait();
  CAPTURE(run.err);
  CHECK(run.code == 130);
  CHECK(run.out.empty());
  CHECK(std::regex_search(run.err, std::regex("A kite goes on .*: kling.job.\"[0-9a-f]+\".:wait")));
}

TEST_CASE("an interrupt stops code that computes although it catches errors") {
  Stage stage("");
  const auto child = start_repl(stage,
                                "io.open('up', 'w'):close()\n"
                                "while true do pcall(function() while true do end end) end\n");
  for (int i = 0; i < 40'000 && !std::ifstream(stage.folder / "up").good(); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  child->signal(SIGINT);
  CHECK(child->wait().code == 130);
}

TEST_CASE("without a key the error names the simulator") {
  Stage stage("");
  stage.environment = {"HOME=" + stage.folder.path()};
  const Outcome run = repl(stage, kJob);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "--sim"));
}

TEST_CASE("the REPL speaks JSON") {
  Stage stage("");
  const Outcome run = repl(stage, "1 + 1\nprint('aside')\nerror('boom')\n", {"--json"});
  CAPTURE(run.out);
  CHECK(run.code == 1);
  CHECK(contains(run.out, "{\"result\":\"2\"}\n"));
  CHECK(contains(run.out, "stdin:3: boom"));
  CHECK_FALSE(contains(run.out, "aside"));
  CHECK(contains(run.err, "aside"));
}

TEST_CASE("the session of the documentation is what the REPL does") {
  std::ifstream page(KLING_SOURCE_DIR "/docs/repl.md");
  std::string input, expected;
  bool inside = false;
  for (std::string line; std::getline(page, line);) {
    if (line == "```") {
      inside = !inside;
    } else if (inside) {
      const bool typed = line.starts_with("kling> ") || line.starts_with("    -> ");
      (typed ? input : expected) += (typed ? line.substr(7) : line) + "\n";
    }
  }
  REQUIRE(input.size() > 200);
  Stage stage("");
  const Outcome run = repl(stage, input, {"--sim", "--speed", "10000"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.out == expected);
}

TEST_CASE("what .load cannot read or compile is told with the file's own line") {
  Stage stage("");
  std::ofstream(stage.folder / "bad.lua") << "local x = 1\nlocal y = = 2\n";
  const Outcome run = repl(stage, ".load bda.lua\n.load bad.lua\n");
  CHECK(contains(run.err,
                 "kling: cannot read the script bda.lua: No such file or directory\n  do: did you "
                 "mean bad.lua?\n"));
  CHECK(
      contains(run.err, "bad.lua:2: unexpected symbol near '='\n  local y = = 2\n            ^\n"));
}

TEST_CASE("a global without a value is no matter of the inputs after the one that read it") {
  Stage stage("");
  const Outcome run = repl(stage, "print(fox)\nkling.text2video { prompt = 'A fox' }\n");
  CHECK_FALSE(contains(run.err, "the global fox is nil"));
  CHECK(contains(repl(stage, "kling.text2video { prompt = fox }\n").err, "the global fox is nil"));
}

TEST_CASE("a word without a value in a request is an error where it is typed, too") {
  Stage stage("");
  const std::string says =
      "stdin:2: mode = pro: the global pro is nil\n  do: a text stands in quotes: mode = \"pro\"\n";
  const std::string request = "kling.text2video { prompt = 'A fox', mode = pro }\n";
  CHECK(contains(repl(stage, "print 'x'\n" + request).err, says));
  CHECK(contains(repl(stage, "function f()\n" + request + "end\nf()\n").err, says));
  std::ofstream(stage.folder / "stdin") << "local kling = require 'kling'\n" << request;
  CHECK(contains(stage.run({"run", "-"}).err, says));
  // A table of shots, a helper, a word of the module.
  for (const char* script :
       {"local shots = {\n  { prompt = 'A fox', mode = pro },\n}\nkling.text2video(shots[1])\n",
        "local function shot(t) return kling.text2video(t) end\n\nshot { prompt = 'x', mode = pro "
        "}\n",
        "\nlocal o = { mode = kling.pro }\nkling.text2video { prompt = 'x', mode = o.mode }\n",
        "\nlocal mode = pro\nkling.text2video { prompt = 'x', mode = mode }\n"}) {
    std::ofstream(stage.folder / "film.lua") << "local kling = require 'kling'\n" << script;
    const Outcome run = stage.run();
    CAPTURE(script);
    CHECK_MESSAGE(contains(run.err, "  do: a text stands in quotes: mode = \"pro\"\n"), run.err);
  }
  CHECK(stage.service->counters().creates == 0);
  // Set in this session, though to nothing.
  CHECK_FALSE(contains(repl(stage, "pro = nil\n" + request).err, "the global"));
  CHECK(stage.service->counters().creates == 1);
}
