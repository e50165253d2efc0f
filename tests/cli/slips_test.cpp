// Nothing is paid by a slip: options behind the script, simulator options without the simulator.
#include "cli/program.h"
#include "tools/slip_samples.h"

using namespace kling;
using namespace kling::test;

namespace {

const char* const kPaying = "require 'kling'.text2video { prompt = 'x' }:wait()\nprint(...)";

}  // namespace

TEST_CASE("an option is no value of the one before it") {
  Stage stage("require('kling').text2video { prompt = 'x' }");
  for (const char* option : {"--take", "--store", "--ledger", "--max-cost"}) {
    const Outcome run = stage.run({"run", option, "--sim", "film.lua"});
    CHECK(run.code == 2);
    CHECK_MESSAGE(
        contains(run.err, option + std::string(" wants a value behind it, and --sim is none")),
        run.err);
  }
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("an option behind the script is an error that shows the right order") {
  const Stage stage(kPaying);
  const struct {
    std::vector<std::string> words;
    std::vector<std::string> says;
  } rows[] = {
      {{"run", "film.lua", "--sim"}, {"--sim stands behind", "kling run --sim film.lua\n"}},
      {{"run", "film.lua", "--sim=true"}, {"kling run --sim=true film.lua\n"}},
      {{"run", "film.lua", "a b", "--sim"},
       {"kling run --sim film.lua 'a b'\n", "kling run film.lua 'a b' -- --sim\n"}},
      {{"run", "--strict", "film.lua", "--max-cost", "0.01", "7"},
       {"kling run --strict --max-cost 0.01 film.lua 7\n",
        "kling run --strict film.lua -- --max-cost 0.01 7\n"}},
      {{"run", "--take", "b", "film.lua", "--max-cost=0.01"},
       {"kling run --take b --max-cost=0.01 film.lua\n"}},
      {{"run", "-", "--sim"}, {"kling run --sim -\n"}},
      {{"run", "film.lua", "-q"}, {"kling run --quiet film.lua\n"}},
      {{"run", "film.lua", "-qh"}, {"-qh stands behind"}},
      {{"run", "film.lua", "--dry-run"}, {"has no --dry-run", "Nothing was run"}},
      {{"run", "film.lua", "--budget=2"}, {"has no --budget=2", "Nothing was run"}},
      {{"run", "film.lua", "--help"}, {"--help stands behind"}},
      {{"run", "film.lua", "-sim"}, {"kling run --sim film.lua\n"}},
      {{"run", "film.lua", "--SIM"}, {"kling run --sim film.lua\n"}},
      {{"run", "film.lua", "\u200b--sim"}, {"kling run --sim film.lua\n", "Nothing was run"}},
      {{"run", "film.lua", " --sim"}, {"kling run --sim film.lua\n", "Nothing was run"}},
      {{"run", "film.lua", "--simulate"}, {"kling run --sim film.lua\n"}},
      {{"run", "film.lua", "--max_cost", "1"}, {"kling run --max-cost 1 film.lua\n"}},
      {{"run", "film.lua", "--maxcost", "1"}, {"kling run --max-cost 1 film.lua\n"}},
      {{"run", "film.lua", "--max-c", "1"}, {"kling run --max-cost 1 film.lua\n"}},
      {{"run", "film.lua", "\u2013sim"}, {"kling run --sim film.lua\n"}},
      {{"run", "film.lua", "\u2014max\u2011cost", "1"}, {"kling run --max-cost 1 film.lua\n"}},
      {{"run", "film.lua", "--speed", "60", "--sim"}, {"kling run --speed 60 --sim film.lua\n"}},
      {{"run", "film.lua", "--sim", "--", "--sim"}, {"kling run --sim film.lua -- --sim\n"}},
      {{"plan", "film.lua", "--sim"}, {"kling plan --sim film.lua\n"}},
      {{"run", "film.lua", "--max-cots", "1"}, {"kling run --max-cost 1 film.lua\n"}},
      {{"run", "film.lua", "--max-costs=1"}, {"kling run --max-cost=1 film.lua\n"}},
      {{"run", "film.lua", "--drafts"}, {"kling run --draft film.lua\n"}},
      {{"run", "film.lua", "--takes", "b"}, {"kling run --take b film.lua\n"}},
      {{"run", "film.lua", "--agian", "shot 1"}, {"kling run --again 'shot 1' film.lua\n"}},
      {{"run", "film.lua", "--quite"}, {"kling run --quiet film.lua\n"}},
      {{"run", "film.lua", "-x"},
       {"-x stands behind the script, where kling run does not read it, and kling run has no -x. "
        "Nothing was run.\n  for the script's own options: kling run film.lua -- -x\n"}},
      {{"run", "film.lua", "a", "--resume", "3", "--sim"},
       {"kling run --sim film.lua a -- --resume 3\n",
        "kling run film.lua a -- --resume 3 --sim\n"}},
      {{"plan", "film.lua", "--max-jobs", "2"}, {"kling plan has no --max-jobs (kling run has)"}},
  };
  for (const auto& row : rows) {
    const Outcome run = stage.run(row.words);
    CAPTURE(run.err);
    CHECK(run.code == 2);
    for (const std::string& part : row.says) CHECK_MESSAGE(contains(run.err, part), part);
  }
  for (const char* name : {"--board", "--draft", "--again", "--listen", "--public-url", "--notify",
                           "--yes", "--retry-failed"})
    for (const char* command : {"run", "plan"}) {
      const Outcome run = stage.run({command, "film.lua", name, "x"});
      CAPTURE(run.err);
      CHECK(run.code == 2);
      CHECK(contains(run.err, std::string("film.lua -- ") + name + " x\n"));
    }
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("what stands behind two dashes, and what is no option, is the script's") {
  const Stage stage("print(arg[0], ...)");
  const struct {
    std::vector<std::string> words;
    const char* out;
  } rows[] = {
      {{"run", "film.lua", "-5", "-.5", "-", "- 2 -"}, "film.lua\t-5\t-.5\t-\t- 2 -\n"},
      {{"run", "film.lua", "--", "--shots", "-x"}, "film.lua\t--shots\t-x\n"},
      {{"run", "film.lua", "--", "--sim", "--max-cost=1"}, "film.lua\t--sim\t--max-cost=1\n"},
      {{"run", "film.lua", "a", "--", "--sim", "--", "b"}, "film.lua\ta\t--sim\t--\tb\n"},
      {{"run", "film.lua", "sim", "max-cost", ""}, "film.lua\tsim\tmax-cost\t\n"},
  };
  for (const auto& row : rows) {
    const Outcome run = stage.run(row.words);
    CAPTURE(run.err);
    CHECK(run.code == 0);
    CHECK(run.out == row.out);
  }
}

TEST_CASE("an option of the simulator without the simulator is an error") {
  const Stage stage(kPaying);
  const std::vector<std::vector<std::string>> options = {
      {"--speed", "60"}, {"--dialect", "native"}, {"--fault", "create#1: 401"},
      {"--seed", "7"},   {"--slots", "2"},        {"--credit", "5"},
      {"--no-lookup"},   {"--no-unique"}};
  for (const auto& option : options)
    for (const auto& command :
         std::vector<std::vector<std::string>>{{"run"}, {"repl"}, {"jobs", "wait"}}) {
      std::vector<std::string> words = command;
      words.insert(words.end(), option.begin(), option.end());
      if (command[0] == "run") words.emplace_back("film.lua");
      const Outcome run = stage.run(words);
      CAPTURE(run.err);
      CHECK(run.code == 2);
      CHECK(contains(run.err, "--sim"));
    }
  CHECK(stage.run({"run", "--sim=false", "--speed", "60", "film.lua"}).code == 2);
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("a prompt of blanks is a missing one") {
  for (const char* blank :
       {" ", "\\t\\n\\r\\v\\f", "\u00a0", "\u3000\u2003", "\u200b\ufeff", "\u2028\u2029\u0085",
        "\u2800", "\u3164\u180e", "\u034f\u061c\u17b4\ufff9",
        "\U0001bca0\U0001d159\U0001d173\U000e0001"}) {
    const Stage stage(std::string("local kling = require 'kling'\nlocal p = '") + blank +
                      "'\nfor _, f in ipairs { kling.text2video, kling.omni } do "
                      "print(pcall(f, { prompt = p })) end\n"
                      "print(pcall(kling.text2video, { model_name = 'kling-v3', multi_shot = true, "
                      "shot_type = 'customize', duration = 5, "
                      "multi_prompt = { { prompt = p, duration = 5 } } }))");
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CAPTURE(run.out);
    std::size_t missing = 0;
    for (std::size_t at = run.out.find("is missing"); at != std::string::npos;
         at = run.out.find("is missing", at + 1))
      ++missing;
    CHECK(missing >= 3);
    CHECK(stage.service->counters().creates == 0);
  }
}

TEST_CASE("what people write by mistake is answered with what to write") {
  const Stage stage("");
  int rows = 0;
  for (const SlipSample& row : kSlipSamples) {
    const std::string script = row.script;
    std::ofstream(stage.folder / "film.lua")
        << (script[0] == '!' ? script.substr(1) : "local kling = require \"kling\"\n" + script)
        << "\n";
    const Outcome run = stage.run({"run", "--quiet", "film.lua"});
    CAPTURE(script);
    CHECK(run.err == row.says);
    CHECK(run.out == row.prints);
    CHECK(run.code == (*row.says == '\0' ? 0 : 1));
    ++rows;
  }
  CHECK(rows > 90);
}

TEST_CASE("a slip on the command line is answered in words of ours") {
  const Stage stage(kPaying);
  std::ofstream(stage.folder / "two.lua") << "";
  std::ofstream(stage.folder / "clip.mp4") << std::string(
      "\0\0\0\x18"
      "ftypisom\0\0",
      14);
  std::ofstream(stage.folder / "page.lua") << "<!DOCTYPE html>\n";
  std::ofstream(stage.folder / "shots.csv") << "prompt\nA fox\n";
  const struct {
    std::vector<std::string> words;
    const char* err;
  } rows[] = {
      {{"--sim", "run", "film.lua"},
       "kling: --sim belongs behind the command\n  do: write kling run --sim …\n"},
      {{"jobs", "--sim", "show", "x"},
       "kling: --sim belongs behind show\n  do: write kling jobs show --sim x\n"},
      {{"render", "--sim", "film.lua"},
       "kling: kling has no command render\n  do: kling run --sim film.lua\n"},
      {{"jobs", "--sim", "cancel", "fox"},
       "kling: kling jobs has no command cancel\n  do: kling jobs resolve --sim ID --abandon\n"},
      {{"jobs", "open", "--sim"},
       "kling: kling jobs has no command open\n  do: kling jobs list --sim --open\n"},
      {{"run", "--", "--sim", "film.lua"},
       "kling: -- belongs behind the script\n  do: leave it out: the same line without it\n"},
      {{"run", "sim", "film.lua"},
       "kling: sim is no script, and film.lua stands behind it\n  do: kling run --sim film.lua\n"},
      {{"run", "--", "film.lua"},
       "kling: -- belongs behind the script\n  do: leave it out: the same line without it\n"},
      {{"run", "--take", "film.lua"},
       "kling: --take took film.lua as its value\n  do: write kling run --take VALUE film.lua\n"},
      {{"run", "--take", "film.lua", "a b", "c"},
       "kling: --take took film.lua as its value\n  do: write kling run --take VALUE film.lua 'a "
       "b' "
       "c\n"},
      {{"view", "--sheet", "film.lua"},
       "kling: --sheet took film.lua as its value\n  do: write kling view --sheet VALUE "
       "film.lua\n"},
      {{"run", "\u2013sim", "film.lua"},
       "kling: kling run has no option \u2013sim; did you mean --sim?\n  do: kling run --help\n"},
      {{"run", "--simulate", "film.lua"},
       "kling: kling run has no option --simulate; did you mean --sim?\n  do: kling run --help\n"},
      {{"run", "--simulation=1", "film.lua"},
       "kling: kling run has no option --simulation=1; did you mean --sim?\n  do: kling run "
       "--help\n"},
      {{"run", "fim.lua"},
       "kling: cannot read the script fim.lua: No such file or directory\n  do: did you mean "
       "film.lua?\n"},
      {{"plan", "Film"},
       "kling: cannot read the script Film: No such file or directory\n  do: did you mean "
       "film.lua?\n"},
      {{"run", "film"},
       "kling: cannot read the script film: No such file or directory\n  do: did you mean "
       "film.lua?\n"},
      {{"run", "."},
       "kling: cannot read the script .: it is a folder\n  do: name a file such as film.lua\n"},
      {{"run", "clip.mp4"}, "kling: clip.mp4 is MP4 or MOV, not a script\n  do: name a .lua\n"},
      {{"run", "page.lua"},
       "kling: page.lua is a web page or other XML, not a script\n  do: name a .lua\n"},
      {{"run", "--deadline", "1h", "film.lua"},
       "kling: --deadline: takes a number from 0.001 to 100000000, not 1h\n  do: --deadline: real "
       "seconds after which the run ends; its jobs go on at the service\n"},
      {{"jobs", "prune", "--older-than", "30d"},
       "kling: --older-than: takes a number from 0 to 36500, not 30d\n  do: --older-than: days "
       "since "
       "the job finished\n"},
      {{"run", "--max-cost", "0,5", "film.lua"},
       "kling: --max-cost: takes a number that is 0 or more, such as 0.5, not 0,5\n  do: "
       "--max-cost: "
       "what the script may cost in US$, its earlier runs included\n"},
      {{"run", "--dry-run", "film.lua"},
       "kling: kling run has no option --dry-run\n  do: kling plan film.lua shows what a run would "
       "cost; kling run --sim rehearses it\n"},
      {{"run", "--sim=yes", "film.lua"}, "kling: --sim takes no value\n  do: kling run --help\n"},
      {{"run", "--yes=0", "film.lua"}, "kling: --yes takes no value\n  do: kling run --help\n"},
      {{"jobs", "list", "--open=0"},
       "kling: --open takes no value\n  do: kling jobs list --help\n"},
      {{"run", "--wall", "5", "film.lua"},
       "kling: --wall: takes effect with --profile safe only\n  do: --wall: safe: seconds the "
       "script may run, waits not counted\n"},
      {{"run", "--profile", "full", "--root", ".", "film.lua"},
       "kling: --root: takes effect with --profile safe only\n  do: --root: safe: a folder the "
       "script may read and write; may be repeated\n"},
      {{"repl", "--sim", "--dialect", "1"},
       "kling: --dialect: there is no dialect \"1\"; there are native, wrapped, relayed, own-ids, "
       "newapi, kling-new, comet, comet-april; one endpoint's: native,omni=wrapped\n  do: kling "
       "repl --help\n"},
      {{"jobs", "list", "film.lua"},
       "kling: kling jobs list has no argument film.lua\n  do: kling jobs list --script "
       "film.lua\n"},
      {{"view", "fim.lua"},
       "kling: cannot read the script fim.lua: No such file or directory\n  do: did you mean "
       "film.lua?\n"},
      {{"run", "shots.csv"},
       "kling: shots.csv is no Lua script: it is named .csv\n  do: kling.csv(\"shots.csv\") reads "
       "a "
       "table in a script\n"},
      {{"start", "film.lua"}, "kling: kling has no command start\n  do: kling run film.lua\n"},
      {{"render", "film.lua"}, "kling: kling has no command render\n  do: kling run film.lua\n"},
      {{"draft", "film.lua"},
       "kling: kling has no command draft\n  do: kling run --draft film.lua\n"},
      {{"sim", "film.lua"},
       "kling: kling sim has no argument film.lua\n  do: kling run --sim film.lua\n"},
      {{"sim", "run", "film.lua"},
       "kling: kling sim has no argument run\n  do: kling run --sim film.lua; kling sim alone is a "
       "server\n"},
      {{"view", "--board", "film.lua"},
       "kling: kling view has no option --board\n  do: kling run --board --open film.lua shows it "
       "while the film is made\n"},
      {{"doctor", "--sim"},
       "kling: kling doctor has no option --sim\n  do: leave it out: nothing is paid here\n"},
      {{"run", "--draft"}, "kling: which script?\n  do: kling run --draft --sim film.lua\n"},
      {{"plan", "--sim"}, "kling: which script?\n  do: kling plan --sim film.lua\n"},
      {{"ls"}, "kling: kling has no command ls\n  do: kling jobs\n"},
      {{"preview", "film.lua"},
       "kling: kling has no command preview\n  do: kling run --sim film.lua\n"},
      {{"cost", "film.lua"}, "kling: kling has no command cost\n  do: kling plan film.lua\n"},
      {{"key"}, "kling: kling has no command key\n  do: kling login keeps your key\n"},
      {{"jobs", "show"},
       "kling: which job? Its handle is missing\n  do: kling jobs lists them; then: kling jobs "
       "show "
       "ID\n"},
      {{"jobs", "show", "--sim"},
       "kling: which job? Its handle is missing\n  do: kling jobs --sim lists them; then: kling "
       "jobs "
       "show --sim ID\n"},
      {{"jobs", "resolve", "--sim", "--abandon"},
       "kling: which job? Its handle is missing\n  do: kling jobs --sim lists them; then: kling "
       "jobs "
       "resolve --abandon --sim ID\n"},
      {{"query", "--sim"},
       "kling: which job? Its handle is missing\n  do: kling jobs --sim lists them; then: kling "
       "query --sim ID\n"},
      {{"jobs", "save", "--sim", "mole"},
       "kling: path is missing\n  do: write kling jobs save --sim mole shot.mp4\n"},
      {{"text2video", "A heron"},
       "kling: kling has no command text2video\n  do: it stands in a script, or in kling repl: "
       "kling.text2video(\"…\")\n"},
      {{"A heron over a lake"},
       "kling: kling has no command A heron over a lake\n  do: kling init film makes a script; "
       "kling repl takes kling.text2video(\"…\")\n"},
      {{"run", "--prompt", "A heron"},
       "kling: kling run has no option --prompt\n  do: it stands in the script, or in kling repl: "
       "kling.text2video { prompt = \"…\" }\n"},
      {{"view", "--draft"},
       "kling: kling view has no option --draft\n  do: kling view --take draft film.lua\n"},
      {{"run", "--again", "shot", "2", "film.lua"},
       "kling: 2 is no script, and film.lua stands behind it\n  do: a name of several words stands "
       "in quotes: --again \"shot 2\"\n"},
      {{"completion", "powershell"},
       "kling completion: which shell, bash, zsh or fish? There is none for others\n"},
      {{"run", "--budget", "5", "film.lua"},
       "kling: kling run has no option --budget\n  do: --max-cost 5: what the script may cost in "
       "US$\n"},
      {{"run", "--api-key=sk-1", "film.lua"},
       "kling: kling run has no option --api-key\n  do: kling login keeps the key; what is typed "
       "here stays in your shell's history\n"},
      {{"plan", "--max-jobs", "3", "film.lua"},
       "kling: kling plan has no option --max-jobs\n  do: kling run has it; leave it out here\n"},
      {{"run", "--max-cost", "5", "--max-cost", "1", "film.lua"},
       "kling: --max-cost is given twice\n  do: kling run --help\n"},
      {{"--Version"},
       "kling: kling has no option --Version; did you mean --version?\n  do: kling --help\n"},
      {{"init", "film.lua"},
       "kling: kling init makes a folder, and film.lua is a script\n  do: kling init film\n"},
      {{"jobs", "rm"},
       "kling: kling jobs has no command rm\n  do: kling jobs prune deletes old clips\n"},
      {{"jobs", "storm"}, "kling: kling jobs has no command storm\n  do: kling jobs show storm\n"},
      {{"help", "prune"},
       "kling: kling has no command prune\n  do: it is one of kling jobs: kling help jobs\n"},
      {{"man", "run"},
       "kling: section: run is not one of 1,3lua\n  do: kling man prints all of it; kling help "
       "COMMAND tells one command\n"},
      {{"jobs", "save", "x", "~/y.mp4"},
       "kling: the shell left the folder ~ as it is: ~/y.mp4\n  do: write it without quotes\n"},
      {{"run", "--take"}, "kling: --take wants a value behind it\n  do: kling run --help\n"},
      {{"run", "--sim", "--seed", "x", "film.lua"},
       "kling: --seed wants a whole number, not x\n  do: kling run --help\n"},
      {{"run", "--max-jobs", "0", "film.lua"},
       "kling: --max-jobs: takes a number from 1 to 10000, not 0\n  do: --max-jobs: how many jobs "
       "may "
       "run at a time\n"},
  };
  for (const auto& row : rows) {
    const Outcome run = stage.run(row.words);
    CHECK(run.code != 0);
    CHECK(run.err == row.err);
  }
  CHECK(stage.service->counters().creates == 0);
  const Outcome paid = stage.run({"run", "--max-cost", "$1", "film.lua", "two.lua"});
  CHECK(paid.code == 0);
  CHECK(contains(paid.err, "kling: warning: two.lua is no second script, but an argument\n"));
  CHECK(stage.run({"run", "--max-cost", "$x", "film.lua"}).code == 2);
  CHECK(contains(stage.run({"init", "my film"}).err, "kling run --sim 'my film/film.lua'\n"));
  CHECK(stage.run({"jobs", "answer"}).err == "kling: no question waits for an answer\n");
}

TEST_CASE("a global without a value that a request is given is told") {
  const Stage stage("");
  const struct {
    const char* script;
    const char* says;  // empty: nothing
  } rows[] = {
      {"kling.text2video { prompt = promtp }",
       "kling: film.lua:2: prompt = promtp: the global promtp is nil\n"},
      {"kling.text2video { prompt = 'x', mode = pro }",
       "kling: film.lua:2: mode = pro: the global pro is nil\n"},
      {"kling.text2video {\n  prompt = 'x',\n  mode = pro,\n}",
       "kling: film.lua:4: mode = pro: the global pro is nil\n"},
      {"kling.text2video(fox)",
       "warning: film.lua:2: the global fox is nil: is it spelt as where it was set?"},
      {"kling.configure { strict = True }",
       "kling: film.lua:2: strict = True: the global True is nil\n  do: write strict = true\n"},
      {"kling.configure { take = null }", ""},
      {"if DEBUG then print 'x' end\nkling.text2video { prompt = 'x' }", ""},
      {"local function shot(p)\n  return kling.text2video { prompt = p }\nend\n"
       "if DEBUG then print 'x' end\nshot('fox')",
       ""},
      {"for i = 1, 2 do\n  kling.text2video { prompt = 'x' .. i }\n  count = (count or 0) + i\nend",
       ""},
  };
  for (const auto& row : rows) {
    std::ofstream(stage.folder / "film.lua") << "local kling = require \"kling\"\n"
                                             << row.script << "\n";
    const Outcome run = stage.run({"run", "film.lua"});
    CAPTURE(row.script);
    CAPTURE(run.err);
    CHECK(contains(run.err, row.says));
    CHECK(contains(run.err, "the global ") == (*row.says != '\0'));
  }
  CHECK(stage.service->counters().creates == 4);  // of those that nothing is said of
}

TEST_CASE("a variable called like a field is no slip where something may read it") {
  Stage stage("");
  std::ofstream(stage.folder / "shots.lua") << "return 1";
  int runs = 0;
  for (const char* script :
       {"local mode = 'pro' kling.text2video { prompt = 'a' } print(mode)",
        "mode='pro'\nkling.text2video { prompt = 'b', mode=mode }\nkling.text2video 'c'",
        "local mode = 'pro'\nkling.text2video('d '..mode)",
        "mode = 'pro'\nkling.text2video(_G.mode)",
        "mode = 'pro'\nrequire 'shots'\nkling.text2video 'e'",
        "local sound = \"off\" print(\"it's\"..sound..\"it's\")\nkling.text2video 'f'",
        "local mode = 'std'\nkling.text2video { prompt = 'g', mode = 'std' }",
        "local function shot(prompt, duration)\n  return kling.text2video { prompt = prompt "
        "}\nend\n"
        "shot('h', 5)",
        "for duration = 1, 1 do kling.text2video 'i' end", "name = 'Foxes'\nkling.text2video 'j'",
        "local image = \"hero.png\"\nkling.text2video 'k'", "local mode = {}\nkling.text2video 'l'",
        "duration = 10\nkling.text2video {\n  prompt = 'm',\n  -- duration = duration,\n}"}) {
    std::ofstream(stage.folder / "film.lua") << "local kling = require 'kling'\n" << script;
    const Outcome run = stage.run();
    CAPTURE(script);
    CAPTURE(run.err);
    CHECK(run.code == 0);
    CHECK_FALSE(contains(run.err, "nothing reads it"));
    ++runs;
  }
  CHECK(stage.service->counters().creates > runs);
  std::ofstream(stage.folder / "film.lua")
      << "local kling = require \"kling\"\nlocal mode = \"pro\" -- the best mode\n"
         "kling.map({ \"A fox in slow mode\" }, kling.text2video)";
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(contains(run.err,
                 "kling: warning: film.lua:3: mode, set in film.lua:2, is not in this "
                 "request, and nothing reads it: write kling.text2video { …, mode = mode }"));
  CHECK(run.code == 0);
  std::ofstream(stage.folder / "film.lua")
      << "local kling = require 'kling'\nduration = 10\nkling.text2video('A crow'):wait()\n"
         "kling.text2video('A cat'):wait()";
  const std::string twice = stage.run().err;
  CHECK(contains(twice, "duration, set in film.lua:2"));
  CHECK(twice.find("duration, set") == twice.rfind("duration, set"));
}

TEST_CASE("a table without the names of its columns is told with its first row") {
  Stage stage(
      "for _, row in ipairs(require('kling').csv('shots.csv')) do\n"
      "  print(pcall(function() return 'Red ' .. row.prompt end), row.prompt or row.text)\nend");
  const auto warning = [&](const char* table) {
    std::ofstream(stage.folder / "shots.csv") << table;
    return stage.run().err;
  };
  const std::string told = warning("A fox,pro\nA crow,std\n");
  CHECK(told ==
        "kling: warning: film.lua:2: the table has no column prompt: its first row is taken "
        "for the names of the columns, and reads: A fox, pro\n");
  CHECK(warning("text,mode\nA crow,std\n") == "");
}

TEST_CASE("a file that does not compile is told with its line, whoever asks for it") {
  const Stage stage("");
  std::ofstream(stage.folder / "shots.lua") << "local x = 1\nlocal film = [ x ]\n";
  const std::string says =
      "shots.lua:2: unexpected symbol near '['\n  local film = [ x ]\n               ^\n  do: a "
      "table "
      "stands in { and }, not in [ and ]\n";
  for (const char* script :
       {"require 'shots'", "dofile 'shots.lua'", "error(select(2, loadfile 'shots.lua'))"}) {
    std::ofstream(stage.folder / "film.lua") << script << "\n";
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(run.err.starts_with("kling: film.lua:1: "));
    CHECK(run.err.ends_with(says));
  }
}

TEST_CASE("os exit says that it ends the run") {
  const Stage stage("require('kling').text2video('A fox'):wait()\nos.exit(5)");
  for (const auto& words : {std::vector<std::string>{"run", "film.lua"},
                            {"run", "--sim", "--speed", "5000", "film.lua"}}) {
    const Outcome run = stage.run(words);
    CAPTURE(run.err);
    CHECK(run.code == 5);
    CHECK(contains(run.err, words[1] == "--sim"
                                ? "kling: the script left by os.exit; kling jobs --sim lists"
                                : "kling: the script left by os.exit; kling jobs lists"));
  }
}

TEST_CASE("a job is named by the name of its shot, and those with one beginning are listed") {
  const Stage stage(
      "local kling = require 'kling'\nlocal jobs = {}\nfor i = 1, 11 do\n  jobs[i] = "
      "kling.text2video { prompt = 'x' .. i, name = 'shot ' .. i }\nend\n"
      "local first = {}\nfor _, clip in ipairs(kling.all(jobs)) do\n"
      "  local digit = clip.job.id:sub(1, 1)\n  if first[digit] then io.write(digit) break end\n"
      "  first[digit] = true\nend");
  const Outcome made = stage.run();  // of eleven numbers two have the same first digit
  REQUIRE(made.out.size() == 1);
  const Outcome shown = stage.run({"jobs", "show", "shot 2"});
  CAPTURE(shown.err);
  CHECK(shown.code == 0);
  CHECK(contains(shown.out, "  name         shot 2\n"));
  const Outcome many = stage.run({"jobs", "show", "kling:text2video/" + made.out});
  CAPTURE(many.err);
  CHECK(many.code == 1);
}

TEST_CASE("a clip that takes the place of another of the same script says so") {
  const Stage stage(R"(local kling = require "kling"
local one = kling.text2video { prompt = "one" }:wait()
local two = kling.text2video { prompt = "two" }:wait()
one:save("shot.mp4") one:save("shot.mp4") two:save("shot.mp4"))");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  const std::string warning = "warning: shot.mp4: another clip was saved there before";
  CHECK(contains(run.err, warning));
  CHECK(run.err.find(warning) == run.err.rfind(warning));
}
