// What kling run asks who sits at its terminal: before paying, and what its script asks. Another
// film for less, and one shot once more.
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>

#include "cli/typist.h"

using namespace kling;
using namespace kling::test;

namespace {

const std::string kPairOfShots = R"(local kling = require "kling"
local one = kling.text2video { prompt = "one", name = "first", duration = 10, mode = "pro" }
local two = kling.text2video { prompt = "two", name = "second" }
print(one:wait().job.name, two:wait().job.name)
)";
const std::vector<std::string> kPlainRun = {"run", "--no-store", "film.lua"};

}  // namespace

TEST_CASE("on a terminal nothing is sent before a person has agreed to what it costs") {
  const Stage stage(kPairOfShots);
  {
    Typist no(stage, kPlainRun);
    CHECK(no.shows("2 new shots, about $0.91; more may follow; go on? [Y/n] "));
    CHECK(stage.service->counters().creates == 0);
    no.type("what?\n");
    CHECK(no.shows("y or n: "));
    no.type("\n");  // it was meant for another question
    CHECK(no.shows("y or n: \r\ny or n: "));
    no.type("n\n");
    CHECK(no.end() == 130);
    CAPTURE(no.screen);
    CHECK(contains(no.screen, "kling: nothing was sent. "));
    CHECK(contains(no.screen, "0 submitted, 0 reused, $0.00, 2 not sent"));
    CHECK_FALSE(contains(no.screen, "open"));
    CHECK(stage.service->counters().creates == 0);
  }
  Typist yes(stage, kPlainRun);
  CHECK(yes.shows("[Y/n] "));
  yes.type("\n");
  CHECK(yes.end() == 0);
  CHECK(stage.service->counters().creates == 2);
  Typist paid(stage, kPlainRun);  // nothing is new
  CHECK(paid.end() == 0);
  CHECK_FALSE(contains(paid.screen, "[Y/n]"));
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("what a script asks for while nobody answers is told before it is paid") {
  const Stage stage(R"(local kling = require "kling"
local one = kling.text2video { prompt = "one" }
while not io.open("go") do kling.sleep(0.02) end
local two = kling.text2video { prompt = "two" }
kling.all { one, two })");
  Typist run(stage, kPlainRun);
  CHECK(run.shows("1 new shot, about $0.21; more may follow; go on? [Y/n] "));
  std::ofstream(stage.folder / "go") << "now";
  CHECK(run.shows("\r\n2 new shots, about $0.42; more may follow; go on? [Y/n] "));
  CHECK(stage.service->counters().creates == 0);
  run.type("y\n");
  CHECK(run.end() == 0);
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("at the REPL a question ends when it is answered elsewhere or nobody waits any more") {
  const Stage stage("");
  Typist session(stage, {"repl"});
  REQUIRE(session.shows("kling> "));
  session.type("kling.ask('Day or night?', { 'day', 'night' })\n");
  REQUIRE(session.shows("question 1, 1 to 2: "));
  CHECK(stage.run({"jobs", "answer", "1", "night"}).code == 0);
  CHECK(session.shows("answered elsewhere: \"night\""));
  CHECK(session.shows("\"night\"\r\nkling> "));
  session.type(
      "pcall(kling.timeout, 0.5, function() return kling.ask('Now?', { 'a', 'b' }) end)\n");
  CHECK(session.shows("the script waits no longer for question 2"));
  session.type(".quit\n");
  CHECK(session.end() == 0);
}

TEST_CASE("nobody is asked before paying with --yes, a budget, ask = no, or without a terminal") {
  const std::vector<std::vector<std::string>> without = {
      {"run", "--no-store", "--yes", "film.lua"},
      {"run", "--no-store", "--max-cost", "2", "film.lua"},
      {"run", "--no-store", "--max-submissions", "2", "film.lua"}};
  for (const auto& words : without) {
    const Stage stage(kPairOfShots);
    Typist run(stage, words);
    CHECK(run.end() == 0);
    CHECK_FALSE(contains(run.screen, "[Y/n]"));
    CHECK(stage.service->counters().creates == 2);
  }
  Stage stage(kPairOfShots);
  std::filesystem::create_directories(stage.folder / "config/kling");
  std::ofstream(stage.folder / "config/kling/config") << "ask = No\n";
  std::filesystem::permissions(stage.folder / "config/kling/config",
                               std::filesystem::perms::owner_read);
  stage.environment.push_back("XDG_CONFIG_HOME=" + stage.folder.path() + "/config");
  Typist run(stage, kPlainRun);
  CHECK(run.end() == 0);
  CHECK_FALSE(contains(run.screen, "[Y/n]"));
  CHECK(Stage(kPairOfShots).run(kPlainRun).code == 0);
}

TEST_CASE("who sits at the terminal answers what the script asks, and Ctrl-C leaves it open") {
  const Stage stage(R"(print(require("kling").ask("Day or night?", { "day", "night" })))");
  {
    Typist left(stage, kPlainRun);
    CHECK(left.shows("question 1, 1 to 2: "));
    left.type("\x03");
    CHECK(left.end() == 130);
  }
  {
    Typist other(stage, kPlainRun);
    CHECK(other.shows("question 1, 1 to 2: "));
    other.type("3\n");
    CHECK(
        other.shows("1 to 2: 3\r\n\"3\" is no answer to question 1: type 1 to 2, or one of the "
                    "texts\r\nquestion 1, 1 to 2: "));
    other.type("night\n");
    CHECK(other.end() == 0);
    CHECK(contains(other.screen, "night\r\n"));
  }
  CHECK(stage.run().out == "night\n");
}

TEST_CASE("of several questions a person reads each when it is the one that is answered") {
  const Stage stage(R"(local kling = require "kling"
local found = kling.map({ "fox", "crow", "owl" }, function(x)
  return kling.ask("Which " .. x .. "?", { x .. " one", x .. " two" })
end)
print(table.concat(found, ", ")))");
  Typist run(stage, kPlainRun);
  for (const char* id : {"1", "2", "3"}) {
    const std::string prompt = std::string("question ") + id + ", 1 to 2: ";
    REQUIRE(run.shows(prompt));
    CHECK(run.screen.ends_with(std::string("kling jobs answer ") + id + " CHOICE\r\n" + prompt));
    CHECK(std::count(run.screen.begin(), run.screen.end(), '?') == id[0] - '0');
    run.type("2\n");
  }
  CHECK(run.end() == 0);
  CAPTURE(run.screen);
  for (const char* told : {"answered: \"fox two\"", "fox two, crow two, owl two"})
    CHECK(contains(run.screen, told));

  const Stage other("");  // and at the REPL
  Typist session(other, {"repl"});
  REQUIRE(session.shows("kling> "));
  session.type(
      "kling.map({ 'fox', 'owl' }, function(x) return kling.ask(x .. '?', { 'a', 'b' }) end)\n");
  for (const char* id : {"1", "2"}) {
    REQUIRE(session.shows(std::string("question ") + id + ", 1 to 2: "));
    CHECK(contains(session.screen, "2  b"));
    CHECK(contains(session.screen, "owl? ") == false);
    CHECK(contains(session.screen, std::string("kling jobs answer ") + id + " CHOICE"));
    CHECK(contains(session.screen, "kling jobs answer 2 CHOICE") == (id[0] == '2'));
    session.type("2\n");
  }
  CHECK(session.shows("\"b\", \"b\""));
}

TEST_CASE("a question that is answered elsewhere meanwhile keeps that answer") {
  const Stage stage(R"(print(require("kling").ask("Day or night?", { "day", "night" })))");
  Typist run(stage, kPlainRun);
  REQUIRE(run.shows("question 1, 1 to 2: "));
  CHECK(stage.run({"jobs", "answer", "1", "day"}).code == 0);
  run.type("night\n");
  CHECK(run.end() == 0);
  CHECK(contains(run.screen, "day\r\n"));
  CHECK(stage.run().out == "day\n");
}

TEST_CASE("a draft is another take, as cheap as it can be, and a plan tells both prices") {
  const Stage stage(kPairOfShots);
  const Outcome plan = stage.run({"plan", "film.lua"});
  CHECK(contains(plan.out, "2 to submit, about $0.91"));
  CHECK(contains(plan.out, "with --draft about $0.42"));
  const Outcome draft = stage.run({"run", "--draft", "--no-store", "film.lua"});
  CAPTURE(draft.err);
  CHECK(draft.code == 0);
  CHECK(contains(draft.err, "2 submitted, 0 reused, $0.42"));
  const Outcome whole = stage.run(kPlainRun);
  CHECK(contains(whole.err, "2 submitted, 0 reused, $0.91"));
  CHECK(stage.service->counters().creates == 4);
  CHECK(contains(stage.run({"run", "--draft", "--no-store", "film.lua"}).err,
                 "0 submitted, 2 reused"));
}

TEST_CASE("a plan tells what the draft costs where a shot cannot be all of one") {
  const Stage stage(R"(local kling = require "kling"
local kite = kling.text2video { prompt = "A kite" }:wait():last_frame()
kling.all {
  kling.image2video { image = kite, image_tail = kite, prompt = "a", model_name = "kling-v2-6",
    duration = 10, mode = "pro" },
  kling.text2video { prompt = "b <<<voice_1>>>", model_name = "kling-v2-6", sound = "on",
    duration = 10, mode = "pro", voice_list = { { voice_id = "1" } } },
  kling.text2video { prompt = "c", model_name = "kling-v3", duration = 4, mode = "pro" },
})");
  CHECK(contains(stage.run({"plan", "film.lua"}).out, "with --draft about $1.65\n"));
  CHECK(contains(stage.run({"run", "--draft", "film.lua"}).err, "4 submitted, 0 reused, $1.65"));
}

TEST_CASE("a plan's draft pays for all shots and cuts at times that its clips have") {
  sim::Options options;
  options.clock = make_clock(1000);
  const Stage stage(R"(local kling = require "kling"
local a = kling.text2video { prompt = "one", mode = "pro", duration = 10 }
local b = kling.text2video { prompt = os.getenv "SECOND" or "two", mode = "pro" }
a:wait():frame(8):save("frame.png")
kling.concat({ a:wait():trim(6, 9), b }, "film.mp4"))",
                    options);
  REQUIRE(stage.run().code == 0);
  ::setenv("SECOND", "another", 1);
  CHECK(contains(stage.run({"plan", "film.lua"}).out,
                 "1 to submit, about $0.35; 1 paid or running, $0.70\nwith --draft about $0.42"));
  ::unsetenv("SECOND");
  const Outcome draft = stage.run({"run", "--draft", "film.lua"});
  CAPTURE(draft.err);
  CHECK(draft.code == 0);
  CHECK(contains(draft.err, "--draft: the clip is 5.0 s long; its end stands for 9 s"));
}

TEST_CASE("a draft that costs what the film costs says so before anything is paid") {
  const Stage stage(R"(local kling = require "kling"
kling.text2video { prompt = "one", duration = os.getenv("LONG") and 10 or 5 }
kling.text2video { prompt = "two" })");
  const char* same = "the draft costs what the film costs\n";
  CHECK(contains(stage.run({"plan", "film.lua"}).out, same));
  CHECK(contains(stage.run({"plan", "--draft", "film.lua"}).out, same));
  const std::vector<std::string> draft = {"run", "--draft", "--no-store", "film.lua"};
  {
    Typist asked(stage, draft);
    CHECK(asked.shows("2 new shots, about $0.42; the draft costs what the film costs; more may"));
    asked.type("n\n");
    CHECK(asked.end() == 130);
  }
  ::setenv("LONG", "1", 1);
  {
    Typist asked(stage, draft);
    CHECK(asked.shows("film.lua:3: --draft: a shot at the lowest price costs the same"));
    CHECK(asked.shows("2 new shots, about $0.42; more may follow"));
    asked.type("n\n");
    CHECK(asked.end() == 130);
  }
  CHECK_FALSE(contains(stage.run({"plan", "--draft", "film.lua"}).out, same));
  ::unsetenv("LONG");
  CHECK(stage.service->counters().creates == 0);
  CHECK(contains(stage.run(draft).err,
                 "warning: film.lua:3: --draft: a shot at the lowest price costs the same as a "
                 "draft, and pays again"));
}

TEST_CASE("a shot that was to be made again counts once the new one is sent") {
  const Stage stage(R"(local kling = require "kling"
kling.text2video { prompt = "one", name = "a" }
kling.text2video { prompt = "two", name = "b" })");
  REQUIRE(stage.run().code == 0);
  for (int made = 0; made < 2; ++made) {
    CHECK(stage.run({"run", "--again", "b", "--max-cost", "0.01", "film.lua"}).code == 4);
    const Outcome plain = stage.run();
    CHECK(plain.code == 0);
    CHECK(contains(plain.err, "0 submitted, 2 reused"));
    CHECK(contains(stage.run({"jobs", "list"}).out, "; 1 superseded") == (made == 1));
    CHECK(stage.service->counters().creates == 2 + made);
    if (made == 0) CHECK(stage.run({"run", "--again", "b", "film.lua"}).code == 0);
  }
  CHECK(contains(stage.run({"run", "--take", "draft", "film.lua"}).err, "write --draft"));
}

TEST_CASE("while a shot that is made again waits to be sent another run has the old one") {
  const Stage stage(kPairOfShots);
  REQUIRE(stage.run(kPlainRun).code == 0);
  const std::string name = "second";
  Typist again(stage, {"run", "--again", name, "--no-store", "film.lua"});
  REQUIRE(again.shows("1 new shot, "));
  for (int i = 0; i < 2; ++i) CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 2 reused"));
  again.type("y\n");
  CHECK(again.end() == 0);
  CHECK(stage.service->counters().creates == 3);
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 2 reused"));
  CHECK(contains(stage.run({"jobs", "list"}).out, "; 1 superseded"));
}

TEST_CASE("a shot that could not be made again is the one that it was") {
  Stage stage(kPairOfShots);
  REQUIRE(stage.run(kPlainRun).code == 0);
  const std::vector<std::string> again = {"run", "--again", "second", "--no-store", "film.lua"};
  for (const char* fault : {"create#3: invalid-request", "create#4: 429-balance"}) {
    CAPTURE(std::string(fault));
    REQUIRE(stage.service->add_fault(fault).ok());
    CHECK(stage.run(again).code != 0);
    const Outcome plain = stage.run(kPlainRun);
    CHECK(plain.code == 0);
    CHECK(contains(plain.err, "0 submitted, 2 reused"));
  }
  CHECK(stage.run(again).code == 0);
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 2 reused"));
  CHECK(stage.service->counters().accepted == 3);
}

TEST_CASE("a shot that was to be made again and was not sent leaves the story as it was") {
  const Stage stage(R"(local kling = require "kling"
if not pcall(function() kling.text2video { prompt = "A bloodbath", name = "b" }:wait() end) then
  kling.text2video { prompt = "Calm", name = "c" }:wait()
end
pcall(function() kling.text2video { prompt = "Kite", name = "k" }:wait() end)
if os.getenv "MORE" then kling.text2video { prompt = "Kite" }:wait() end)");
  REQUIRE(stage.run().code == 0);
  const int creates = stage.service->counters().creates;
  for (const char* name : {"b", "k"}) {
    CAPTURE(std::string(name));
    CHECK(contains(stage.run({"run", "--again", name, "--max-cost", "0.01", "film.lua"}).err,
                   "0 submitted"));
    const Outcome plain = stage.run();
    CHECK(plain.code == 0);
    CHECK(contains(plain.err, "0 submitted, 2 reused"));
    CHECK(stage.service->counters().creates == creates);
  }
  CHECK(stage.run({"run", "--again", "k", "--max-cost", "0.01", "film.lua"}).code == 0);
  ::setenv("MORE", "1", 1);
  CHECK(contains(stage.run().err, "1 submitted, 2 reused"));
  ::unsetenv("MORE");
}

TEST_CASE("a shot that was made again is also that of a script that is edited or copied") {
  const Stage stage(R"(local kling = require "kling"
local b = kling.text2video { prompt = "one", name = "b" }:wait()
kling.image2video { image = b:last_frame(), prompt = "two" }:wait())");
  REQUIRE(stage.run(kPlainRun).code == 0);
  REQUIRE(stage.run({"run", "--again", "b", "--no-store", "film.lua"}).code == 0);
  REQUIRE(stage.service->counters().creates == 4);
  std::stringstream script;
  script << std::ifstream(stage.folder / "film.lua").rdbuf();
  std::ofstream(stage.folder / "copy.lua") << script.str();
  CHECK(contains(stage.run({"plan", "copy.lua"}).out, "0 to submit"));
  CHECK(contains(stage.run({"run", "--no-store", "copy.lua"}).err, "0 submitted, 2 reused"));
  std::ofstream(stage.folder / "film.lua")
      << std::regex_replace(script.str(), std::regex("kling.text2video(.*):wait\\(\\)"),
                            "kling.spawn(function() return kling.text2video$1:wait() end):wait()");
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 2 reused"));
  CHECK(contains(stage.run({"jobs", "list"}).out, "; 2 superseded"));
}

TEST_CASE("a shot that has moved is made again at the first word") {
  const Stage stage(R"(local kling = require "kling"
kling.map({ "one", "two" }, function(p) return kling.text2video { prompt = p, name = p }:wait() end))");
  REQUIRE(stage.run(kPlainRun).code == 0);
  std::stringstream script;
  script << std::ifstream(stage.folder / "film.lua").rdbuf();
  std::ofstream(stage.folder / "film.lua")
      << std::regex_replace(script.str(), std::regex("\\{ \"one"), "{ \"new\", \"one");
  const std::vector<std::string> again = {"run", "--again", "two", "--no-store", "film.lua"};
  CHECK(contains(stage.run({"plan", "--again", "two", "film.lua"}).out, "2 to submit"));
  CHECK(contains(stage.run(again).err, "2 submitted, 1 reused"));
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 3 reused"));
  std::ofstream(stage.folder / "copy.lua") << script.str();
  CHECK(contains(stage.run({"run", "--again", "two", "--no-store", "copy.lua"}).err,
                 "1 submitted, 1 reused"));
  CHECK(contains(stage.run({"run", "--no-store", "copy.lua"}).err, "0 submitted, 2 reused"));
  CHECK(stage.service->counters().creates == 5);
}

TEST_CASE("what a script paid for after a shot could not be made again stays its story") {
  const Stage stage(R"(local kling = require "kling"
local made, b = pcall(function() return kling.text2video { prompt = "one", name = "b" }:wait() end)
if not made then b = kling.text2video { prompt = "other", name = "f" }:wait() end
print("made", made))");
  REQUIRE(stage.run().code == 0);
  REQUIRE(stage.service->add_fault("create#2: invalid-request").ok());
  const std::vector<std::string> again = {"run", "--again", "b", "film.lua"};
  CHECK(contains(stage.run(again).out, "made\tfalse"));
  for (int i = 0; i < 2; ++i) {
    const Outcome plain = stage.run();
    CHECK(contains(plain.out, "made\tfalse"));
    CHECK(contains(plain.err, "0 submitted"));
  }
  CHECK(contains(stage.run(again).out, "made\ttrue"));
  CHECK(contains(stage.run().out, "made\ttrue"));
  CHECK(stage.service->counters().creates == 4);
}

TEST_CASE("a caught failure that was made again and failed later stays caught") {
  const Stage stage(R"(local kling = require "kling"
if not pcall(function() kling.text2video { prompt = "A bloodbath", name = "b" }:wait() end) then
  kling.text2video { prompt = "other", name = "f" }:wait()
end)");
  REQUIRE(stage.run().code == 0);
  CHECK(stage.run({"run", "--again", "b", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 3);
  for (int i = 0; i < 2; ++i) CHECK(contains(stage.run().err, "0 submitted"));
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("what a run that died made again is superseded once no run asks for it") {
  const Stage stage(kPairOfShots + "if os.getenv 'DIE' then os.execute('kill -9 $PPID') end");
  REQUIRE(stage.run(kPlainRun).code == 0);
  ::setenv("DIE", "1", 1);
  CHECK(stage.run({"run", "--again", "second", "--no-store", "film.lua"}).code != 0);
  ::unsetenv("DIE");
  std::ofstream(stage.folder / "film.lua") << "require 'kling'.text2video { prompt = 'three' }";
  CHECK(stage.run(kPlainRun).code == 0);
  CHECK(contains(stage.run({"jobs", "list"}).out, "; 3 superseded"));
}

TEST_CASE("one shot is made again, the newest counts from then on, and the old one is superseded") {
  const Stage stage(kPairOfShots);
  CHECK(stage.run(kPlainRun).code == 0);
  const Outcome again = stage.run({"run", "--again", "second", "--no-store", "film.lua"});
  CAPTURE(again.err);
  CHECK(again.code == 0);
  CHECK(contains(again.err, "1 submitted, 1 reused"));
  CHECK(stage.service->counters().creates == 3);
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 2 reused"));
  CHECK(contains(stage.run({"view", "--json"}).out, R"("superseded":true)"));
  const Outcome none = stage.run({"run", "--again", "third", "--no-store", "film.lua"});
  CHECK(none.code == 1);
  CHECK(contains(none.err, "no shot is called \"third\""));
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("a shot to make again whose name is misspelt is told before anything is paid") {
  const Stage stage(kPairOfShots);
  CHECK(stage.run(kPlainRun).code == 0);
  std::ofstream(stage.folder / "film.lua", std::ios::app)
      << "for i = 1, 2 do kling.text2video { prompt = 'x' .. i, name = 'shot ' .. i } end\n";
  const std::string no = "kling: no shot is called ", none = ", so none was made again\n  do: ";
  const auto again = [&](const char* name) {
    return stage.run({"run", "--no-store", "--again", name, "film.lua"}).err;
  };
  CHECK(again("secnod") == no + "\"secnod\"" + none + "did you mean --again second?\n");
  CHECK(again("sec") == no + "\"sec\"" + none + "did you mean --again second?\n");
  CHECK(again("nosuch") == no + "\"nosuch\"" + none + "kling jobs list shows the names\n");
  CHECK(stage.service->counters().creates == 2);
  const std::string id = stage.run({"jobs"}).out.substr(
      std::string("ID       STATE          AGE     COST  SHOT\n").size(), 7);
  CHECK(contains(again(id.c_str()), "did you mean --again "));

  CHECK(stage.run(kPlainRun).code == 0);  // and what they are called since
  std::stringstream script;
  script << std::ifstream(stage.folder / "film.lua").rdbuf();
  std::ofstream(stage.folder / "film.lua")
      << std::regex_replace(script.str(), std::regex("shot "), "scene ");
  CHECK(contains(stage.run(kPlainRun).err, "0 submitted, 4 reused"));
  CHECK(contains(stage.run({"jobs"}).out, "scene 2: x2"));
  CHECK(contains(again("scene 3"), "did you mean --again 'scene "));
  CHECK(contains(again("scene 2"), "1 submitted, 3 reused"));
}

TEST_CASE("a shot that is made again in a run that dies is not paid for once more by the next") {
  for (const bool is_new : {false, true}) {  // then what that run makes first is the new one
    CAPTURE(is_new);
    const Stage stage(kPairOfShots +
                      "if os.getenv('STAY') then while true do kling.sleep(1) end end");
    if (!is_new) CHECK(stage.run(kPlainRun).code == 0);
    const int made = is_new ? 2 : 3;
    const std::vector<std::string> again = {"run", "--again", "second", "--no-store", "film.lua"};
    {
      ::setenv("STAY", "1", 1);
      const auto run = stage.start(again);
      CHECK(stage.until([&](const auto& counters) { return counters.creates == made; }));
      CHECK(stage.until([&](const auto&) { return contains(run->told(), "second  succeeded"); }));
      run->signal(SIGKILL);
      (void)run->wait();
      ::unsetenv("STAY");
    }
    CHECK(stage.run(again).code == 0);
    CHECK(stage.service->counters().creates == made);
    CHECK(stage.run(again).code == 0);  // that one came to its end
    CHECK(stage.service->counters().creates == made + 1);
  }
}

TEST_CASE("who types at the REPL is asked there, and Ctrl-C leaves the question open") {
  const Stage stage("");
  Typist session(stage, {"repl"});
  const bool begun = session.shows("kling> ");
  CAPTURE(session.screen);
  REQUIRE(begun);
  session.type("return kling.ask('How?', { 'fast', 'well' })\n");
  REQUIRE(session.shows("question 1, 1 to 2: "));
  session.type("perhaps\n2\n");
  CHECK(session.shows("\"perhaps\" is no answer to question 1: type 1 to 2"));
  CHECK(session.shows("\"well\""));
  session.type("return kling.ask('How?', { 'fast', 'well' })\n");  // the same line asks again
  REQUIRE(session.shows("CHOICE\r\nquestion 2, 1 to 2: "));
  session.type("1\n");
  CHECK(session.shows("\"fast\""));
  session.type("return kling.ask('Which?', { 'red', 'blue' })\n");
  REQUIRE(session.shows("question 3, 1 to 2: "));
  session.type("blue\n");
  CHECK(session.shows("\"blue\""));
  session.type("return kling.ask('Third?', { 'red', 'blue' })\n");
  REQUIRE(session.shows("question 4, 1 to 2: "));
  session.type("\x03");
  REQUIRE(session.shows("interrupted"));
  session.type("return 'still ' .. 'here'\n");
  CHECK(session.shows("still here"));
}

TEST_CASE("a session's sum leaves out what its budget refused, and the hint names what set that") {
  const Stage stage("");
  Typist session(stage, {"repl", "--max-cost", "0.3"});
  session.type("kling.text2video('A fox')\n");
  CHECK(session.shows("about $0.21, $0.21 in this session"));
  session.type("kling.text2video('A crow')\nprint(1 + 10)\n");
  CHECK(session.shows("11\r"));
  session.type("kling.text2video('A crow'):wait()\n");
  CHECK(session.shows("(--max-cost)"));
  CHECK_FALSE(contains(session.screen, "$0.42 in this session"));
}
