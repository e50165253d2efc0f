// The promise of the program as a whole: run, killed, run again, run twice at once.
#include <filesystem>

#include <sys/stat.h>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

// A chain without media work: what is tested is the paying.
const char* const kChain = R"(
local kling = require "kling"
for i = 1, 4 do
  local clip = kling.text2video { prompt = "shot " .. i }:wait()
  print(i, clip.url ~= nil)
end
)";

}  // namespace

TEST_CASE("the same command again sends no POST") {
  Stage stage(kChain);
  const Outcome first = stage.run();
  CAPTURE(first.err);
  REQUIRE(first.code == 0);
  CHECK(stage.service->counters().creates == 4);
  CHECK(contains(first.err, "4 submitted, 0 reused"));
  const Outcome second = stage.run();
  CAPTURE(second.err);
  CHECK(second.code == 0);
  CHECK(second.out == first.out);
  CHECK(stage.service->counters().creates == 4);
  CHECK(contains(second.err, "0 submitted, 4 reused"));
}

TEST_CASE("the fourth equal request of a task is told, as a loop may not mean it") {
  const std::string warning = "the fourth equal request: each is a clip of its own, and paid";
  for (const std::string fields : {"prompt = 'x'", "prompt = 'x', take = i"}) {
    Stage stage("local kling = require 'kling'\nfor i = 1, 5 do\n  kling.text2video { " + fields +
                " }\nend");
    const Outcome run = stage.run();
    CHECK(run.code == 0);
    CHECK(contains(run.err, "film.lua:3: " + warning) == (fields.size() < 15));
    CHECK_FALSE(contains(stage.run().err, warning));
  }
}

TEST_CASE("an edited step is paid for and nothing else") {
  Stage stage(kChain);
  REQUIRE(stage.run().code == 0);
  std::string edited = kChain;
  edited.replace(edited.find("\"shot \" .. i"), 12, "i == 3 and \"new\" or \"shot \" .. i");
  std::ofstream(stage.folder / "film.lua") << edited;
  const Outcome again = stage.run();
  CAPTURE(again.err);
  CHECK(again.code == 0);
  CHECK(stage.service->counters().creates == 5);
  CHECK(contains(again.err, "differs from last time"));
}

TEST_CASE("a price factor scales the list price in plan, bill, jobs and budget") {
  const auto priced = [](Stage& stage, const std::string& sum, const std::string& basis) {
    const Outcome plan = stage.run({"plan", "film.lua"});
    CAPTURE(plan.err);
    CHECK_MESSAGE(contains(plan.out, "4 to submit, about $" + sum), plan.out);
    CHECK_MESSAGE(
        contains(plan.out, (basis[0] == 'l' ? "estimated from the " : "estimated from ") + basis),
        plan.out);
    const Outcome poor = stage.run({"run", "--max-cost", "0.1", "film.lua"});
    CHECK(poor.code == 4);
    CHECK_MESSAGE(contains(poor.err, "estimate: " + basis), poor.err);
    // The service tells units, which are those of the list.
    const Outcome run = stage.run();
    CHECK_MESSAGE(contains(run.err, "4 submitted, 0 reused, $" + sum), run.err);
  };
  const std::string list = "list price of 2026-09";
  {
    Stage stage(kChain);
    priced(stage, "0.84", list);
  }
  Stage stage(kChain);
  stage.environment.emplace_back("KLING_PRICE_FACTOR=0.5 ");
  priced(stage, "0.42", "0.5 of the " + list);
  CHECK(contains(stage.run({"jobs", "list"}).out, "$0.1"));
  // What the script says goes before; what is not told yet is an estimate.
  std::ofstream(stage.folder / "film.lua")
      << "local kling = require 'kling'\nkling.configure { price_factor = 2 }\n"
         "kling.text2video { prompt = 'other' }:accepted()";
  const Outcome open = stage.run({"run", "--detach", "film.lua"});
  CHECK_MESSAGE(contains(open.err, "about $0.42 (2 of the " + list + ")"), open.err);
  for (const char* bad : {"0", "-1", "x", "0.8x", "nan", "inf", "80 %"}) {
    stage.environment.back() = std::string("KLING_PRICE_FACTOR=") + bad;
    const Outcome run = stage.run();
    CHECK(run.code == 1);
    CHECK_MESSAGE(contains(run.err, "KLING_PRICE_FACTOR must be a number above 0"), run.err);
  }
  stage.environment.back() = "XDG_CONFIG_HOME=" + stage.folder.path();
  std::filesystem::create_directory(stage.folder / "kling");
  const std::string config = stage.folder / "kling/config";
  std::ofstream(config) << "price_factor = 0.5\n";
  ::chmod(config.c_str(), 0600);
  std::ofstream(stage.folder / "film.lua") << kChain;
  CHECK(contains(stage.run({"plan", "--take", "b", "film.lua"}).out, "about $0.42"));
  std::ofstream(config) << "price_factor = half\n";
  CHECK(contains(stage.run().err, "price_factor in the config file must be a number above 0"));
  stage.environment.pop_back();
  std::ofstream(stage.folder / "film.lua") << "require 'kling'.configure { price_factor = 0 }";
  CHECK(contains(stage.run().err, "option price_factor takes a number above 0"));
}

TEST_CASE("killed while the second answer is on its way the next run adopts it") {
  sim::Options options;
  options.faults = {"create#2: accept, hang"};
  Stage stage(kChain, options);
  {
    const auto child = stage.start({"run", "film.lua"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.accepted == 2; }));
    child->signal(SIGKILL);
    CHECK(child->wait().code == 128 + SIGKILL);
  }
  const Outcome again = stage.run();
  CAPTURE(again.err);
  CHECK(again.code == 0);
  CHECK(stage.service->counters().accepted == 4);
  CHECK(stage.service->counters().creates == 4);
}

TEST_CASE("killed in the middle of a wait the next run goes on") {
  sim::Options options;
  options.clock = make_clock(100);  // a job takes a second or two
  Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'long' }:wait()",
              options);
  {
    const auto child = stage.start({"run", "film.lua"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries >= 3; }));
    child->signal(SIGKILL);
    child->wait();
  }
  const Outcome again = stage.run();
  CAPTURE(again.err);
  CHECK(again.code == 0);
  CHECK(stage.service->counters().creates == 1);
  CHECK(contains(again.err, "1 reused"));
}

TEST_CASE("two processes with one script and one ledger pay once") {
  Stage stage(kChain);
  const auto one = stage.start({"run", "film.lua"});
  const auto two = stage.start({"run", "film.lua"});
  const Outcome first = one->wait();
  const Outcome second = two->wait();
  CAPTURE(first.err);
  CAPTURE(second.err);
  CHECK(first.code == 0);
  CHECK(second.code == 0);
  CHECK(first.out == second.out);
  CHECK(stage.service->counters().creates == 4);
}

TEST_CASE("a second process takes over while the first is killed") {
  sim::Options options;
  options.faults = {"create#2: accept, hang"};
  Stage stage(kChain, options);
  const auto one = stage.start({"run", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.accepted == 2; }));
  const auto two = stage.start({"run", "film.lua"});
  REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries > 0; }));
  one->signal(SIGKILL);
  one->wait();
  const Outcome second = two->wait();
  CAPTURE(second.err);
  CHECK(second.code == 0);
  CHECK(stage.service->counters().accepted == 4);
}

TEST_CASE("a lost answer is adopted within the run") {
  sim::Options options;
  options.faults = {"create#1: accept, drop"};
  Stage stage(kChain, options);
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().creates == 4);
  CHECK(stage.service->counters().accepted == 4);
}

TEST_CASE("without look-ups a lost answer stops and a person resolves it") {
  sim::Options options;
  options.faults = {"create#1: accept, drop"};
  options.external_lookup = false;
  Stage stage(
      "local kling = require 'kling'\nprint(kling.text2video { prompt = 'lost' }:wait().url ~= "
      "nil)",
      options);
  const Outcome stopped = stage.run({"run", "--patience", "0.1", "film.lua"});
  CAPTURE(stopped.err);
  CHECK(stopped.code == 4);
  CHECK(contains(stopped.err, "kling jobs resolve kling:text2video/~"));
  CHECK(stage.service->counters().creates == 1);
  // Again: it still asks, and still sends nothing.
  CHECK(stage.run({"run", "--patience", "0.1", "film.lua"}).code == 4);
  CHECK(stage.service->counters().creates == 1);

  const std::size_t from = stopped.err.find("kling:text2video/~");
  const std::string handle =
      stopped.err.substr(from, stopped.err.find_first_of(" )\n", from) - from);
  SUBCASE("by sending it again") {
    const Outcome resolved = stage.run({"jobs", "resolve", handle, "--resubmit"});
    CAPTURE(resolved.err);
    CHECK(resolved.code == 0);
    CHECK(stage.run({"jobs", "resolve", handle, "--resubmit"}).code == 1);  // once is enough
    const Outcome done = stage.run({"run", "--patience", "0.1", "film.lua"});
    CAPTURE(done.err);
    // This service refuses ids that exist, and that proves the first request was accepted.
    CHECK(done.code != 0);
    CHECK(stage.service->counters().accepted == 1);
  }
  SUBCASE("by adopting the task of the account's list") {
    std::ofstream(stage.folder / "list.lua")
        << "local kling = require 'kling'\n"
           "print(kling.request('GET', "
           "'/kling/v1/videos/text2video?pageNum=1&pageSize=30').data[1].task_id)";
    std::string id = stage.run({"run", "list.lua"}).out;
    id.erase(id.find_last_not_of('\n') + 1);
    CHECK(stage.run({"jobs", "resolve", handle, "--adopt", "1"}).code == 1);  // no such task
    const Outcome resolved = stage.run({"jobs", "resolve", handle, "--adopt", id});
    CAPTURE(resolved.err);
    CHECK(resolved.code == 0);
    const Outcome done = stage.run();
    CAPTURE(done.err);
    CHECK(done.code == 0);
    CHECK(done.out == "true\n");
    CHECK(stage.service->counters().creates == 1);
  }
  SUBCASE("by giving it up") {
    CHECK(stage.run({"jobs", "resolve", handle, "--abandon"}).code == 0);
    CHECK(stage.run().code != 0);  // it may have been accepted: not again without a word
    CHECK(stage.service->counters().creates == 1);
    const Outcome done = stage.run({"run", "--retry-failed", "film.lua"});
    CAPTURE(done.err);
    CHECK(done.code == 0);
    CHECK(stage.service->counters().accepted == 2);  // as the person decided
  }
}

TEST_CASE("lost means ask stops at once") {
  sim::Options options;
  options.faults = {"create#1: accept, drop"};
  Stage stage(
      "local kling = require 'kling'\nkling.text2video { prompt = 'x', lost = 'ask' }:wait()",
      options);
  CHECK(stage.run().code == 4);
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("an interrupted or terminated run leaves its jobs and says how to go on") {
  for (const int signal : {SIGINT, SIGTERM}) {
    sim::Options options;
    options.clock = make_clock(1);
    Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'slow' }:wait()",
                options);
    const auto child = stage.start({"run", "film.lua"});
    REQUIRE(stage.until([](const sim::Counters& seen) { return seen.queries >= 1; }));
    child->signal(signal);
    const Outcome left = child->wait();
    CAPTURE(left.err);
    CHECK(left.code == 130);
    CHECK(contains(left.err, "Run the same command again"));
    CHECK(stage.service->counters().accepted == 1);
  }
}

TEST_CASE("detached the program leaves nothing unsent of what the script asks for one by one") {
  const Stage stage(R"(local kling = require "kling"
for i = 1, 60 do kling.text2video { prompt = "shot " .. i } end)");
  const Outcome left = stage.run({"run", "--detach", "film.lua"});
  CHECK(left.code == 0);
  CHECK(stage.service->counters().accepted == 60);
}

TEST_CASE("detached the program leaves as soon as the request is answered") {
  sim::Options options;
  options.clock = make_clock(1);
  Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'slow' }:wait()",
              options);
  const Outcome left = stage.run({"run", "--detach", "film.lua"});
  CAPTURE(left.err);
  CHECK(left.code == 0);
  CHECK(contains(left.err, "open: kling:text2video/"));
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("another take is a run of its own that can be resumed") {
  Stage stage(kChain);
  REQUIRE(stage.run().code == 0);
  REQUIRE(stage.run({"run", "--take", "b", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 8);
  REQUIRE(stage.run({"run", "--take", "b", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 8);
}

TEST_CASE("jobs that nobody waited for are finished and stored before the program ends") {
  Stage stage("require 'kling'.text2video { prompt = 'alone' }");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  int clips = 0;
  for (const auto& entry : std::filesystem::directory_iterator(stage.folder / ".kling/clips"))
    clips += entry.path().extension() == ".mp4" ? 1 : 0;
  CHECK(clips == 1);
}

TEST_CASE("after a script error its jobs are still brought home") {
  Stage stage("require 'kling'.text2video { prompt = 'alone' }:accepted()\nerror('oops')");
  const Outcome run = stage.run();
  CHECK(run.code == 1);
  CHECK(contains(run.err, "film.lua:2: oops"));
  CHECK(contains(run.err, "1 submitted"));
  CHECK(std::filesystem::exists(stage.folder / ".kling/clips"));
}

TEST_CASE("a run stops at its budget and a raised one goes on where it stopped") {
  Stage stage(kChain);
  const Outcome first = stage.run({"run", "--max-cost", "0.50", "film.lua"});
  CAPTURE(first.err);
  CHECK(first.code == 4);
  CHECK(contains(first.err, "budget"));
  CHECK(contains(first.err, "--max-cost"));
  CHECK(contains(first.err, "film.lua:4"));
  CHECK(stage.service->counters().creates == 2);
  // The same budget again pays nothing: what was spent counts.
  CHECK(stage.run({"run", "--max-cost", "0.50", "film.lua"}).code == 4);
  CHECK(stage.service->counters().creates == 2);
  CHECK(stage.run({"run", "--max-cost", "1", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 4);
}

TEST_CASE("the budget of the command line holds for clients with takes of their own together") {
  const Stage stage(R"(local kling = require "kling"
for i = 1, 5 do
  print(pcall(function() kling.client { take = "t" .. i }.text2video { prompt = "p" }:wait() end))
end)");
  for (const std::vector<std::string>& limit :
       std::vector<std::vector<std::string>>{{"--max-submissions", "2"}, {"--max-cost", "0.50"}}) {
    CAPTURE(limit[0]);
    const int before = stage.service->counters().accepted;
    std::vector<std::string> words = {"run", "--no-store"};
    words.insert(words.end(), limit.begin(), limit.end());
    words.push_back("film.lua");
    const Outcome run = stage.run(words);
    CAPTURE(run.err);
    CHECK(stage.service->counters().accepted - before == (before == 0 ? 2 : 0));
    CHECK(contains(run.out + run.err, "budget"));
  }
}

TEST_CASE("a script sets its own budget and limits and may change them later") {
  Stage stage(R"(
local kling = require "kling"
kling.configure { budget = { jobs = 1 }, limits = { jobs = 1 } }
kling.text2video { prompt = "one" }:wait()
local ok, err = pcall(function() return kling.text2video { prompt = "two" }:wait() end)
print(ok, err.kind)
kling.configure { budget = false }
print(kling.text2video { prompt = "two" }:wait().url ~= nil)
print(select(2, pcall(kling.configure, { budget = "much" })))
)");
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(contains(run.out, "false\tbudget\ntrue\n"));
  CHECK(contains(run.out, "budget takes a number of dollars"));
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("a wide fan-out keeps to the jobs that may run at a time") {
  sim::Options options;
  options.slots = 2;
  Stage stage(R"(
local kling = require "kling"
local list = {}
for i = 1, 8 do list[i] = i end
kling.map(list, function(i) return kling.text2video { prompt = "shot " .. i }:wait() end)
)",
              options);
  const Outcome run = stage.run({"run", "--max-jobs", "2", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().creates == 8);
}
