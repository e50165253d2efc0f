// kling.pick, approve and ask: a person is asked once, whoever answers, and whatever dies
// meanwhile.
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

const std::string kPick = R"(local kling = require "kling"
local takes = kling.map({ "1", "2" }, function(take)
  return kling.text2video { prompt = "A kite", take = take }:wait()
end)
print("picked", kling.pick("Which kite?", takes).job.name)
)";

Outcome answer(const Stage& stage, const std::string& choice, const std::string& id = "1") {
  return stage.run({"jobs", "answer", id, choice});
}

}  // namespace

TEST_CASE(
    "without a person a run stops with 4 and the command, and an answer lets the next go on") {
  const Stage stage(kPick);
  const Outcome asked = stage.run();
  CAPTURE(asked.err);
  CHECK(asked.code == 4);
  CHECK(contains(asked.err, "film.lua:5 asks: Which kite?\n  1  map 1, "));
  CHECK(contains(asked.err, "clips/"));
  CHECK(contains(asked.err, "kling jobs answer 1 CHOICE, then the same command again"));
  CHECK(contains(asked.err, "2 submitted, 0 reused"));
  CHECK(contains(stage.run({"jobs", "answer"}).out, "1  film.lua:5 asks: Which kite?"));
  CHECK(answer(stage, "2").code == 0);
  CHECK(contains(stage.run({"jobs", "answer"}).out, "Which kite?  answered: \"map 2, .kling/"));
  for (int again = 0; again < 2; ++again) {
    const Outcome run = stage.run();
    CHECK(run.code == 0);
    CHECK(run.out == "picked\tmap 2\n");
  }
  CHECK(stage.service->counters().creates == 2);
  // A person may change it, or be asked again; another take is another question.
  CHECK(answer(stage, "1").code == 0);
  CHECK(stage.run().out == "picked\tmap 1\n");
  CHECK(stage.run({"run", "--re-ask", "film.lua"}).code == 4);
  CHECK(stage.run({"run", "--take", "two", "film.lua"}).code == 4);
  CHECK(contains(stage.run({"jobs", "answer"}).out, "2  [two] film.lua:5 asks"));
}

TEST_CASE(
    "jobs and tasks are waited for, and a clip is chosen by its number, name, path or handle") {
  const Stage stage(R"(local kling = require "kling"
local function shot(name) return kling.text2video { prompt = "A kite", name = name } end
local red, blue = shot "Red", kling.spawn(shot, "Blue")
print(kling.pick("Which kite?", { red, blue }).job.name)
print(kling.approve("Both?", { red, blue, shot "Green" }))
)");
  CHECK(stage.run().code == 4);
  const std::string open = stage.run({"jobs", "answer"}).out;
  const std::size_t at = open.find("Blue, ") + 6;
  const std::string path = open.substr(at, open.find('\n', at) - at);
  const std::string file = path.substr(path.rfind('/') + 1);
  REQUIRE(file.ends_with(".mp4"));
  for (const char* choice : {"2", "Blue", "BLUE", path.c_str(), file.c_str()}) {
    CHECK(answer(stage, "1").code == 0);
    CHECK(answer(stage, choice).code == 0);
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 4);
    CHECK(run.out == "Blue\n");
  }
  for (const char* choice : {"Green", "3", "0", ""}) {
    const Outcome refused = answer(stage, choice);
    CHECK(refused.code == 1);
    CHECK(contains(refused.err, "is no answer to question 1: type 1 to 2, or the name of one\n"));
  }
  CHECK(contains(answer(stage, "maybe", "2").err, "is no answer to question 2: type yes or no\n"));
  CHECK(answer(stage, "Yes", "2").code == 0);
  CHECK(stage.run().out == "Blue\ntrue\n");
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("what is the text of one choice and the number of another answers neither") {
  const Stage stage(R"(local kling = require "kling"
print(kling.ask("How many shots?", { "1", "3", "5", "2." }))
print(kling.pick("Which?", { kling.text2video { prompt = "a", name = "2" },
  kling.text2video { prompt = "b", name = "1" } }).job.name))");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).code == 4);
  const Outcome refused = answer(stage, "3");
  CHECK(refused.code == 1);
  CHECK(contains(refused.err,
                 "\"3\" is the number of one choice and the text of another: "
                 "type 2 for \"3\", or 3. for \"5\"\n"));
  CHECK(contains(answer(stage, "2.").err, "type 4 for \"2.\", or 2 for \"3\"\n"));
  for (const auto& [typed, taken] :
       {std::pair{"1", "1"}, {"2", "3"}, {"5", "5"}, {"4", "2."}, {"3.", "5"}})
    CHECK(contains(answer(stage, typed).err, std::string("answered: \"") + taken + "\""));
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "5\n");
  CHECK(contains(answer(stage, "1", "2").err, "the name of another: type 2. for "));
  CHECK(contains(answer(stage, "2.", "2").err, "answered: \"1, "));
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "5\n1\n");
}

TEST_CASE("a loop that asks the same question asks in each turn, and a re-run asks none again") {
  const Stage stage(R"(local kling = require "kling"
while kling.ask("One more?", { "yes", "no" }) == "yes" do
  kling.text2video { prompt = "A kite" }:wait()
end
print("enough"))");
  const std::vector<std::string> run = {"run", "--no-store", "film.lua"};
  for (const auto& [id, word] : {std::pair{"1", "yes"}, {"2", "yes"}, {"3", "no"}}) {
    CHECK(stage.run(run).code == 4);
    CHECK(stage.service->counters().creates == id[0] - '1');
    CHECK(answer(stage, word, id).code == 0);
  }
  for (int i = 0; i < 2; ++i) CHECK(stage.run(run).out == "enough\n");
  CHECK(stage.service->counters().creates == 2);
  const Outcome plan = stage.run({"plan", "--take", "b", "film.lua"});
  CHECK(plan.code == 0);
  CHECK(contains(plan.err, "as if the answer were the last"));
  CHECK(contains(plan.out, "1 to submit"));
}

TEST_CASE("a question that nobody waited for any more is the same when it is asked again") {
  const Stage stage(R"(local kling = require "kling"
local function look() return kling.ask("Day or night?", { "day", "night" }) end
local found, which = pcall(kling.timeout, 0.5, look)
print(found and which or "again", look()))");
  const std::vector<std::string> run = {"run", "--no-store", "film.lua"};
  CHECK(stage.run(run).code == 4);
  CHECK_FALSE(contains(stage.run({"jobs", "answer", "--json"}).out, "\"id\":2"));
  CHECK(answer(stage, "night").code == 0);
  // A loop's next turn is another question still.
  CHECK(stage.run(run).code == 4);
  CHECK(answer(stage, "day", "2").code == 0);
  CHECK(stage.run(run).out == "night\tday\n");
}

TEST_CASE(
    "a question that a good run no longer asks is listed no more, and with --re-ask all are") {
  const Stage stage("print(require 'kling'.ask('Day or night?', { 'day', 'night' }))");
  CHECK(stage.run().code == 4);
  std::ofstream(stage.folder / "film.lua")
      << "require 'kling'.text2video { prompt = 'A day' }:wait()";
  CHECK(contains(stage.run({"jobs", "answer"}).out, "Day or night?"));
  CHECK(stage.run().code == 0);
  CHECK(stage.run({"jobs", "answer"}).out.empty());
  CHECK_FALSE(contains(stage.run({"view", "--json"}).out, "Day or night?"));
  std::ofstream(stage.folder / "film.lua")
      << "print(require 'kling'.ask('Day or night?', { 'day', 'night' }))";
  CHECK(stage.run().code == 4);
  CHECK(answer(stage, "night").code == 0);
  const Outcome again = stage.run({"run", "--re-ask", "film.lua"});
  CHECK(again.code == 4);
  CHECK(contains(again.err, "1 CHOICE, then the same command again, without --re-ask"));
  CHECK(answer(stage, "day").code == 0);
  CHECK(stage.run().out == "day\n");

  const Stage other("print(require 'kling'.ask('Day or night?', { 'day', 'night' }))");
  const auto waits = other.start({"run", "--board", "film.lua"});
  CHECK(other.until([&](const auto&) { return contains(waits->told(), "Day or night?"); }));
  std::ofstream(other.folder / "film.lua") << "require 'kling'.text2video { prompt = 'A' }:wait()";
  CHECK(other.run().code == 0);
  CHECK(answer(other, "night").code == 0);  // who still waits for it hears of it
  CHECK(waits->wait().out == "night\n");
}

TEST_CASE("of several answers the one that was given first is up first in every later run") {
  const Stage stage(R"(local kling = require "kling"
local found, which = kling.any {
  one = kling.spawn(function() return kling.ask("One?", { "a", "b" }) end),
  two = kling.spawn(function() return kling.ask("Two?", { "c", "d" }) end) }
kling.text2video { prompt = "It is " .. found }:wait()
print(found, which))");
  const std::vector<std::string> run = {"run", "--no-store", "film.lua"};
  CHECK(stage.run(run).code == 4);
  const std::string open = stage.run({"jobs", "answer"}).out;  // either may be the first
  const bool turned = open.find("Two?") < open.find("One?");
  CHECK(answer(stage, "d", turned ? "1" : "2").code == 0);
  CHECK(answer(stage, "a", turned ? "2" : "1").code == 0);
  for (int i = 0; i < 8; ++i) CHECK(stage.run(run).out == "d\ttwo\n");
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("equal questions are counted task by task, whoever comes first") {
  Stage stage(R"(local kling = require "kling"
print(table.concat(kling.map({ "a", "b", "c" }, function(task)
  if task ~= os.getenv "FIRST" then kling.sleep(0.02) end
  return task .. kling.ask("Left?", { "l", "r" }) .. kling.ask("Left?", { "l", "r" })
end), " ")))");
  const auto run = [&](const std::string& first) {
    ::setenv("FIRST", first.c_str(), 1);
    const Outcome ended = stage.run();
    ::unsetenv("FIRST");
    return ended;
  };
  for (int asked = 1; asked <= 6; asked += 3) {
    CHECK(run("a").code == 4);
    for (int i = 0; i < 3; ++i)
      CHECK(answer(stage, i == 1 ? "r" : "l", std::to_string(asked + i)).code == 0);
  }
  const std::string told = run("a").out;
  CHECK(told.size() == 12);
  for (const char* first : {"c", "b", "a"}) CHECK(run(first).out == told);
  CHECK(stage.run({"jobs", "answer", "1", "r"}).code == 0);
  CHECK(contains(stage.run({"jobs", "answer"}).out, "Left?  answered: \"r\"\n"));
}

TEST_CASE("what an earlier run saw comes in its order though a clip's path is asked for between") {
  const Stage stage(R"(local kling = require "kling"
local n = 0
kling.spawn(function()
  kling.ask("Mood?", { "x", "y" })
  n = n + 1
  kling.text2video { prompt = "title " .. n }:wait()
end)
local clip = kling.text2video { prompt = "main" }:wait()
assert(clip.path)
n = n + 1
print(n))");
  CHECK(stage.run().code == 4);
  CHECK(answer(stage, "x").code == 0);
  for (int i = 0; i < 6; ++i) CHECK(stage.run().out == "1\n");
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("the command for a question of a client's own ledger names that") {
  const Stage stage(R"(local kling = require "kling"
print(kling.ask("Small?", { "small", "big" }))
local other = kling.client { ledger = "other.db" }
print(other.ask("Red?", { "red", "blue" })))");
  CHECK(contains(stage.run().err, "kling jobs answer 1 CHOICE"));
  CHECK(answer(stage, "small").code == 0);
  CHECK(contains(stage.run().err, "kling jobs answer --ledger "));
  CHECK(stage.run({"jobs", "answer", "--ledger", "other.db", "1", "blue"}).code == 0);
  CHECK(stage.run().out == "small\nblue\n");
}

TEST_CASE("the command to type names the ledger where it would not be found from here") {
  Stage stage("");
  std::filesystem::create_directory(stage.folder / "films");
  std::ofstream(stage.folder / "films/film.lua")
      << "print(require 'kling'.ask('Day or night?', { 'day', 'night' }))";
  const Outcome asked = stage.run({"run", "films/film.lua"});
  CHECK(asked.code == 4);
  const std::string ledger = stage.folder / "films/.kling/ledger.db";
  CHECK(contains(asked.err, "kling jobs answer --ledger " + ledger + " 1 CHOICE"));
  CHECK(stage.run({"jobs", "answer", "--ledger", ledger, "1", "night"}).code == 0);
  CHECK(stage.run({"run", "films/film.lua"}).out == "night\n");
  CHECK(contains(stage.run({"run", "--ledger", "own.db", "films/film.lua"}).err,
                 "kling jobs answer --ledger own.db 1 CHOICE"));
  const Outcome take = stage.run({"run", "--take", "two", "films/film.lua"});
  CHECK(take.code == 4);
  CHECK(contains(stage.run({"jobs", "answer", "--ledger", ledger}).out, "2  [two] film"));
  CHECK(contains(stage.run({"jobs", "answer", "--ledger", ledger, "9", "day"}).err,
                 "kling jobs answer --ledger " + ledger + " lists those that wait"));
  CHECK(contains(stage.run({"jobs", "answer", "--ledger", ledger, "1", "day"}).err,
                 "answered: \"day\", not \"night\";"));
}

TEST_CASE("other tasks go on while a question waits") {
  const Stage stage(R"(local kling = require "kling"
kling.all {
  function() print(kling.ask("Day or night?", { "day", "night" })) end,
  function() for i = 1, 3 do kling.text2video { prompt = "shot " .. i }:wait() end end,
})");
  CHECK(stage.run({"run", "--no-store", "film.lua"}).code == 4);
  CHECK(stage.service->counters().creates == 3);
  CHECK(answer(stage, "night").code == 0);
  CHECK(stage.run({"run", "--no-store", "film.lua"}).out == "night\n");
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("two runs that wait ask one question, and both hear the answer of a third process") {
  const Stage stage(R"(local kling = require "kling"
kling.spawn(function() while not io.open("go") do kling.sleep(0.02) end end)
print(kling.approve("Ship it?", { kling.image "one.png" })))");
  std::ofstream(stage.folder / "one.png") << "\x89PNG";
  const auto one = stage.start({"run", "film.lua"}), two = stage.start({"run", "film.lua"});
  CHECK(stage.until([&](const auto&) {
    return contains(one->told(), "Ship it?") && contains(two->told(), "Ship it?");
  }));
  CHECK_FALSE(contains(stage.run({"jobs", "answer", "--json"}).out, "\"id\":2"));
  CHECK(answer(stage, "no").code == 0);
  std::ofstream(stage.folder / "go") << "now";
  for (const auto& run : {one.get(), two.get()}) {
    const Outcome ended = run->wait();
    CHECK(ended.code == 0);
    CHECK(ended.out == "false\n");
  }
}

TEST_CASE("an answer survives the death of the run that asked") {
  const Stage stage(kPick + "while true do kling.sleep(1) end");
  {
    const auto run = stage.start({"run", "film.lua"});
    CHECK(stage.until([&](const auto&) { return contains(run->told(), "Which kite?"); }));
  }
  CHECK(answer(stage, "2").code == 0);
  const auto run = stage.start({"run", "film.lua"});
  CHECK(stage.until([&](const auto&) { return contains(run->told(), "(paid before)"); }));
  CHECK_FALSE(contains(run->told(), "Which kite?"));
  run->signal(SIGKILL);
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("a plan takes the first choice and says so, and records nothing") {
  const Stage stage(kPick);
  const Outcome plan = stage.run({"plan", "film.lua"});
  CAPTURE(plan.err);
  CHECK(plan.code == 0);
  CHECK(contains(plan.err, "picked\tmap 1"));
  CHECK(contains(plan.err, "Which kite?"));
  CHECK(contains(plan.err, "a plan goes on as if the answer were the first\n"));
  CHECK(stage.run({"jobs", "answer"}).out.empty());
  CHECK(contains(stage.run({"plan", "--json", "film.lua"}).out, R"("question":"Which kite?")"));
}

TEST_CASE("frames of one clip are told apart where one of them is chosen") {
  const Stage stage(R"(local kling = require "kling"
local kite = kling.text2video { prompt = "A kite", name = "kite" }:wait()
print(kling.pick("Which frame?", { kite:frame(1), kite:last_frame(), kite:trim(1, 2) }))
)");
  const Outcome asked = stage.run();
  CAPTURE(asked.err);
  CHECK(contains(asked.err, "\n  1  kite, frame at 1 s, "));
  CHECK(contains(asked.err, "/frame-"));
  CHECK(contains(asked.err, "\n  2  kite, last frame, "));
  CHECK(contains(asked.err, "\n  3  kite, 1 to 2 s, "));
  CHECK(answer(stage, "kite, last frame").code == 0);
  CHECK(contains(stage.run().out, "Image last frame of kling:text2video/"));
  CHECK(contains(stage.run({"view", "--json"}).out, "\"picked\":true"));
}

TEST_CASE("a question that nobody could answer names what is wrong with it, and its line") {
  const Stage stage(R"(local kling = require "kling"
local function try(...) print(select(2, pcall(...))) end
local image = kling.image "a.png"
try(kling.pick, "", { image })
try(kling.pick, "Which?", {})
try(kling.pick, "Which?", { image, 7 })
try(kling.approve, "Well?", { kling.spawn(function() return 7 end) })
try(kling.approve, nil, { image })
try(kling.ask, "Which?", { "one" })
try(kling.ask, "Which?", { "one", "two", "one" })
try(kling.ask, "Which?", { "one", {} })
try(kling.pick, "Which?", { image, kling.image "b.png" })
try(kling.ask, ("x"):rep(3000), { "one", "two" })
print(kling.pick("Which?", { image }) == image)
)");
  for (const char* name : {"a.png", "b.png"}) std::ofstream(stage.folder / name) << "\x89PNG";
  const Outcome run = stage.run({"run", "--no-store", "film.lua"});
  CAPTURE(run.out + run.err);
  CHECK(run.code == 0);
  for (const char* told :
       {"film.lua:2: pick wants the question first, as text", "pick got an empty list",
        "pick: item 2 is a number; it takes clips, images and jobs",
        "approve: item 1 is a number; it takes clips, images and jobs",
        "approve wants the question first, as text", "ask: one choice is none",
        "ask: item 3, \"one\", is there before it", "ask: item 2 is a table; it takes texts",
        "item 2 is the same clip as one before it", "the question is longer than 2000 bytes",
        "true\n"})
    CHECK_MESSAGE(contains(run.out, told), told);
  CHECK(contains(answer(stage, "1", "77").err, "has no question 77"));
}

TEST_CASE("a hostile question moves no cursor") {
  const Stage stage(
      "require 'kling'.ask('a\\27[2Jb\\u{202e}c\\u{9b}2J', { 'x\\27]0;y', 'z\\nw' })");
  const Outcome asked = stage.run();
  CHECK(asked.code == 4);
  for (const std::string& text : {asked.err, stage.run({"jobs", "answer"}).out}) {
    CAPTURE(text);
    CHECK_FALSE(contains(text, "\x1b"));
    CHECK_FALSE(contains(text, "\u202e"));
    CHECK_FALSE(contains(text, "\xc2\x9b"));
  }
}
