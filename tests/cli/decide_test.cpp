// What a person can decide, what is refused before it is paid, and what is paid again.
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

std::string shot_with_id(const std::string& prompt, const std::string& id) {
  return "kling.text2video { prompt = '" + prompt + "', external_task_id = '" + id + "' }";
}

/// Of the table that `kling jobs` prints, behind its header.
std::string first_id(const std::string& table) {
  const std::size_t row = table.find('\n') + 1;
  return table.substr(row, table.find(' ', row) - row);
}

}  // namespace

TEST_CASE("a request that was never sent can be given up and is sent when it is asked for again") {
  Stage stage("local kling = require 'kling'\nkling.text2video { prompt = 'x' }:wait()");
  REQUIRE(stage.run({"run", "--max-submissions", "0", "film.lua"}).code == 4);
  const std::string told = stage.run({"jobs", "--open"}).out;
  const std::string handle = first_id(told);
  const Outcome given_up = stage.run({"jobs", "resolve", handle, "--abandon"});
  CAPTURE(given_up.err);
  CHECK(given_up.code == 0);
  CHECK(contains(given_up.out, "it was never sent"));
  CHECK(stage.run({"jobs", "--open"}).out.empty());
  CHECK(stage.run().code == 0);
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("one external id in two requests is refused before the second is sent and names both") {
  Stage stage("local kling = require 'kling'\nlocal a = " + shot_with_id("one", "mine") +
              "\nlocal b = " + shot_with_id("two", "mine") + "\na:wait()\nb:wait()");
  const Outcome run = stage.run({"run", "--no-store", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 1);
  CHECK(contains(run.err, "external_task_id \"mine\" of film.lua:3"));
  CHECK(contains(run.err, "at film.lua:2"));
  CHECK(stage.service->counters().creates <= 1);
}

TEST_CASE("a task that one request has cannot be adopted for another") {
  sim::Options options;
  options.faults = {"create#2: drop"};
  options.external_lookup = false;
  Stage stage(
      "local kling = require 'kling'\nprint(kling.text2video { prompt = 'one' }:wait().job.id)\n"
      "kling.text2video { prompt = 'two' }:wait()",
      options);
  const Outcome stopped = stage.run({"run", "--no-store", "--patience", "0.1", "film.lua"});
  REQUIRE(stopped.code == 4);
  const std::string told = stage.run({"jobs", "--state", "ambiguous"}).out;
  const std::string handle = first_id(told);
  const std::string first = stopped.out.substr(0, stopped.out.find('\n'));
  const Outcome adopted = stage.run({"jobs", "resolve", handle, "--adopt", first});
  CAPTURE(adopted.err);
  CHECK(adopted.code == 1);
  CHECK(contains(adopted.err, "the task " + first + " is that of another request, at film.lua:2"));
}

TEST_CASE("the command line's budget holds for all clients, whatever ledgers they have") {
  Stage stage(R"(
local kling = require "kling"
local other = kling.client { ledger = "other.db" }
kling.text2video { prompt = "one" }:wait()
other.text2video { prompt = "two" }:wait()
)");
  for (int run = 0; run < 2; ++run) {
    const Outcome over = stage.run({"run", "--no-store", "--max-submissions", "1", "film.lua"});
    CAPTURE(over.err);
    CHECK(over.code == 4);
    CHECK(contains(over.err, "the budget of 1 jobs is used up (1 submitted)"));
    CHECK(stage.service->counters().creates == 1);
  }
  CHECK(stage.run({"run", "--no-store", "--max-cost", "0.42", "film.lua"}).code == 0);
  CHECK(stage.service->counters().creates == 2);
  // What was spent through the other ledger counts for the first one as well.
  std::ofstream(stage.folder / "film.lua", std::ios::app)
      << "kling.text2video { prompt = 'three' }:wait()";
  CHECK(stage.run({"run", "--no-store", "--max-cost", "0.60", "film.lua"}).code == 4);
  CHECK(stage.service->counters().creates == 2);
}

TEST_CASE("the command line's number of jobs holds for all clients, ledgers and services") {
  sim::Options options;
  options.slots = 1;  // one more is refused, and asked for again
  Stage stage(R"(
local kling = require "kling"
local here = os.getenv "KLING_BASE_URL"
local clients = { kling, kling.client { ledger = "other.db" },
  kling.client { base_url = here:gsub("127.0.0.1", "localhost") } }
kling.map(clients, function(client) return client.text2video { prompt = "one" }:wait() end)
)",
              options);
  const Outcome run = stage.run({"run", "--no-store", "--max-jobs", "1", "film.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().accepted == 3);
  CHECK(stage.service->counters().creates == 3);
}

TEST_CASE("what docs/money-safety.md says is paid again is, and nothing else") {
  const std::string script =
      "local kling = require 'kling'\n"
      "local kite = kling.text2video { prompt = 'A kite ' .. math.random(1e6) }:wait()\n"
      "kling.image2video { image = kite:last_frame(), prompt = 'It falls' }:wait()\n"
      "pcall(function() kling.text2video { prompt = 'a bloodbath' }:wait() end)\n"
      "kling.text2video { prompt = 'The end', take = arg[1] }:wait()\n";
  Stage stage(script);
  const auto write = [&](const std::string& name, const std::string& text) {
    std::ofstream(stage.folder / name) << text;
  };
  std::string edited = script;
  edited.replace(edited.find("'A kite '"), 9, "'A bird '");
  write("edited.lua", edited);
  write("stdin", script);
  REQUIRE(stage.run().code == 0);
  REQUIRE(stage.service->counters().creates == 4);
  const struct {
    std::vector<std::string> words;
    int paid;
    int failed = 0;  ///< sent, and not charged
  } rows[] = {
      {{"film.lua"}, 0},
      {{"./film.lua"}, 0},
      {{"edited.lua"}, 2, 1},  // named otherwise as well: what it caught is tried again
      {{"film.lua", "2"}, 1},
      {{"--take", "b", "film.lua"}, 3, 1},
      {{"--take", "b", "film.lua"}, 0},
      {{"-"}, 3, 1},
      {{"-"}, 3, 1},
      {{"film.lua"}, 0},
      {{"--retry-failed", "film.lua"}, 0, 1},
  };
  int creates = 4;
  for (const auto& row : rows) {
    std::vector<std::string> words = {"run"};
    words.insert(words.end(), row.words.begin(), row.words.end());
    const Outcome run = stage.run(words);
    CAPTURE(row.words.front());
    CAPTURE(run.err);
    creates += row.paid + row.failed;
    CHECK(stage.service->counters().creates == creates);
  }
}
