// The rules at their borders, without a service: who is admitted, which row an ask gets, what the
// ledger's rows count, and where an id ends. Quick, so that a change of one sign is noticed first.
#include <limits>
#include <tuple>

#include <doctest/doctest.h>

#include "base/temp_folder.h"
#include "engine/ledger.h"
#include "engine/step.h"

namespace kling::engine::testing {
namespace {

using test::TempFolder;

constexpr Millis kHour = 3'600'000;

std::shared_ptr<Ledger> book_at(const std::string& path = ":memory:") {
  auto book = open_ledger(path);
  REQUIRE(book.ok());
  return *book;
}

struct Place {
  std::string script = "film.lua", task = "main";
  int nth = 0;
};

/// What a script asks for at a place.
Claim ask_for(Ledger& book, const Step& step, const Place& place = {}, bool anew = false) {
  Step wanted = step;
  wanted.task_path = place.task;
  if (wanted.run.empty()) wanted.run = place.script;
  Asking asking;
  asking.script = place.script;
  asking.nth = place.nth;
  asking.anew = anew;
  auto claim = book.claim(wanted, asking);
  REQUIRE_MESSAGE(claim.ok(), (claim ? "" : claim.error().message));
  return *claim;
}

Step shot_of(const std::string& what, const std::string& endpoint = "text2video",
             const std::string& service = "sim") {
  Step step;
  step.service = service, step.endpoint = endpoint, step.digest = step_digest(what);
  step.script = "film.lua:1", step.target = "/" + endpoint;
  step.estimate_usd = 0.5;
  return step;
}

Step as_it_is(Ledger& book, std::int64_t id) {
  const auto row = book.find_by_id(id);
  REQUIRE(row.ok());
  REQUIRE(row->has_value());
  return **row;
}

void send(Ledger& book, std::int64_t id, Millis at) {
  const auto marked = book.mark_sending(as_it_is(book, id), at, {}, 0, "");
  REQUIRE(marked.ok());
  CHECK(marked->admission == Admission::admitted);
}

void accept(Ledger& book, std::int64_t id, Millis at) {
  send(book, id, at);
  Step row = as_it_is(book, id);
  row.task_id = "t" + std::to_string(id);
  REQUIRE(book.record_accepted(row, "", at).ok());
}

void end_well(Ledger& book, std::int64_t id, Millis at = 5) {
  accept(book, id, at);
  REQUIRE(book.record_result(as_it_is(book, id), "the answer", at).ok());
}

void end_badly(Ledger& book, std::int64_t id, Millis at = 5) {
  send(book, id, at);
  REQUIRE(book.record_failure(as_it_is(book, id), "", at).ok());
}

AskCounts counts_of(const std::vector<Step>& asked) {
  AskCounts counts;
  for (const Step& step : asked) ++counts[{"main", step.digest}];
  return counts;
}

}  // namespace

TEST_CASE("of two limits the lower counts, none is lower than zero, and no limit is the highest") {
  for (const auto& [one, other, both] : std::vector<std::tuple<int, int, int>>{{-1, -1, -1},
                                                                               {-1, 0, 0},
                                                                               {0, -1, 0},
                                                                               {0, 2, 0},
                                                                               {2, 0, 0},
                                                                               {1, 2, 1},
                                                                               {2, 1, 1},
                                                                               {-1, 1, 1}}) {
    CAPTURE(one);
    CAPTURE(other);
    const Limits low = lower({.slots = one, .budget_usd = double(one), .budget_jobs = one},
                             {.slots = other, .budget_usd = double(other), .budget_jobs = other});
    CHECK(low.slots == both);
    CHECK(low.budget_usd == both);
    CHECK(low.budget_jobs == both);
  }
}

TEST_CASE("a limit of zero is a limit, and what costs nothing has a price") {
  CHECK(admit({.slots = 0}, {}, 1) == Admission::no_slot);
  CHECK(admit({.budget_jobs = 0}, {}, 0) == Admission::over_budget);
  CHECK(admit({.budget_jobs = 1}, {}, 0) == Admission::admitted);
  CHECK(admit({.budget_usd = 0}, {}, 0.01) == Admission::over_budget);
  CHECK(admit({.budget_usd = 0}, {}, 0) == Admission::admitted);
  CHECK(admit({.budget_usd = 0}, {}, -1) == Admission::over_budget);
  // A hundred thousand prices of a dime: the sum of the doubles is a little more than is paid.
  double spent = 0;
  for (int i = 1; i < 100'000; ++i) spent += 0.1;
  CHECK(admit({.budget_usd = 10'000}, {.usd = spent}, 0.1) == Admission::admitted);
  CHECK(admit({.budget_usd = 10'000}, {.usd = spent}, 0.11) == Admission::over_budget);

  LearntSlots slots;
  slots.refused(1, 1'000);
  CHECK(slots.ceiling(-1, 1'001) == 1);
  CHECK(slots.ceiling(0, 1'001) == 0);
  CHECK(slots.ceiling(0, 601'000) == 0);
  CHECK(slots.ceiling(5, 601'000) == 5);
}

TEST_CASE("an error over budget tells which limit it was and where that is raised") {
  struct Row {
    Limits limits;
    Usage usage;
    double estimate;
    bool embedded;
    Limits most;
    const char* words;
  };
  for (const Row& row : std::vector<Row>{
           {{.budget_jobs = 0}, {}, 1, false, {}, "budget of 0 jobs is used up (0 submitted)"},
           {{.budget_jobs = 2}, {.jobs = 2}, -1, false, {}, "--max-submissions"},
           {{.budget_jobs = 2}, {.jobs = 2}, -1, true, {}, "raise the option max_requests"},
           {{.budget_usd = 1, .budget_jobs = 2},
            {.jobs = 1},
            -1,
            false,
            {},
            "price of this request"},
           {{.budget_usd = 1}, {.usd = 2}, 0, false, {}, "it would cost about $0.00, and $2.00"},
           {{.budget_usd = 1}, {.usd = 1}, 1, false, {}, "at least $2.00 (kling.configure{"},
           {{.budget_usd = 1}, {.usd = 1}, 1, false, {.budget_usd = 1}, "$2.00 (--max-cost)"},
           {{.budget_usd = 1},
            {.usd = 1},
            1,
            true,
            {.budget_usd = 1},
            "$2.00 (the option max_cost)"}}) {
    const Error error = over_budget(row.limits, row.usage, row.estimate, 1, row.embedded, row.most);
    CHECK(error.kind == Kind::budget);
    CHECK_MESSAGE((error.message + "; " + error.hint).find(row.words) != std::string::npos,
                  error.message, "; ", error.hint);
  }
}

TEST_CASE("an ask gets what it got before, or the attempt after what it was told") {
  using S = StepState;
  const auto at = [](std::int64_t id, int ordinal, S state) {
    Attempt row;
    row.id = id, row.ordinal = ordinal, row.state = state;
    return row;
  };
  Attempt kept = at(3, 1, S::failed), given_up = at(3, 1, S::failed);
  kept.kept = true, given_up.abandoned = true;
  const Attempt before = at(1, 0, S::succeeded), after = at(9, 2, S::succeeded);
  struct Row {
    const char* what;
    std::vector<Attempt> rows;
    std::int64_t recorded;
    std::vector<std::int64_t> story;
    std::int64_t id;
    bool next = false;
    std::int64_t follows = 0;
    bool again = false;
  };
  for (const Row& row : std::vector<Row>{
           {"what has ended well", {at(3, 1, S::succeeded)}, 3, {}, 3},
           {"what is open", {at(3, 1, S::sending)}, 3, {}, 3},
           {"a failure is tried again", {at(3, 1, S::failed)}, 3, {}, 3, true},
           {"by the newest attempt", {at(3, 1, S::failed), at(4, 1, S::failed)}, 3, {}, 4, true},
           {"which another has made", {at(3, 1, S::failed), at(4, 1, S::intended)}, 3, {}, 4},
           {"not by an earlier one", {at(3, 1, S::succeeded), at(4, 1, S::failed)}, 4, {}, 4, true},
           {"a failure that a script went on after", {kept}, 3, {}, 3},
           {"unless it is asked again", {kept}, 3, {}, 3, true, 0, true},
           {"what a person gave up", {given_up}, 3, {}, 3},
           {"unless it is asked again", {given_up}, 3, {}, 3, true, 0, true},
           {"its error was told", {at(3, 1, S::succeeded)}, 3, {3}, 3, false, 3},
           {"of the errors the newest", {kept, at(4, 1, S::succeeded)}, 4, {3, 4}, 4, false, 3},
           {"not that of another step", {at(3, 1, S::succeeded)}, 3, {1}, 3},
           {"after a failure that was caught", {at(3, 1, S::failed)}, 0, {3}, 3, true, 3},
           {"the attempt that there is", {kept, at(4, 1, S::succeeded)}, 0, {3}, 4, false, 3},
           {"after a time-out the same", {at(3, 1, S::accepted)}, 0, {3}, 3, false, 3},
           {"what was given up stays so", {given_up}, 0, {3}, 3, false, 3},
           {"unless it is asked again", {given_up}, 0, {3}, 3, true, 3, true},
           {"a row that is gone led nowhere", {at(3, 1, S::accepted)}, 0, {8, 3}, 3, false, 3},
       }) {
    CAPTURE(row.what);
    std::vector<Attempt> rows = {before};
    rows.insert(rows.end(), row.rows.begin(), row.rows.end());
    rows.push_back(after);
    Asking asking;
    asking.script = "film.lua";
    asking.story = row.story;
    asking.again = row.again;
    const Choice choice = choose(rows, row.recorded, asking);
    CHECK(choice.id == row.id);
    CHECK(choice.next_attempt == row.next);
    CHECK(choice.follows == row.follows);
    CHECK_FALSE(choice.taken);
  }
}

TEST_CASE("a record counts unless this run has its step, and no other ask of the script does") {
  for (const auto& [asks, given, story, id] :
       std::vector<std::tuple<int, bool, bool, std::int64_t>>{{1, false, false, 1},
                                                              {1, true, false, 2},
                                                              {2, true, false, 1},
                                                              {2, false, false, 1},
                                                              {1, true, true, 1}}) {
    CAPTURE(asks);
    CAPTURE(given);
    std::vector<Attempt> rows(2);
    rows[0].id = 1, rows[0].state = StepState::succeeded, rows[0].recorded = asks;
    rows[1].id = 2, rows[1].ordinal = 1, rows[1].state = StepState::accepted;
    Asking asking;
    asking.script = "film.lua";
    if (given) asking.given = {0};
    if (story) asking.story = {1};
    CHECK(choose(rows, 1, asking).id == id);
  }
}

TEST_CASE("an ask without a record gets the step that is most like it, and nobody else's") {
  const auto make = [](std::int64_t id, int ordinal, auto... set) {
    Attempt row;
    row.id = id, row.ordinal = ordinal, row.state = StepState::succeeded;
    (set(row), ...);
    return row;
  };
  const auto replaced = [](Attempt& row) { row.replaced = true; };
  const auto recorded = [](Attempt& row) { row.recorded = 1; };
  const auto exact = [](Attempt& row) { row.exact = true; };
  const auto kept = [](Attempt& row) { row.kept = true; };
  const auto failed = [](Attempt& row) { row.state = StepState::failed; };
  struct Row {
    const char* what;
    std::vector<Attempt> rows;
    std::int64_t id;
    bool taken = false, next = false;
  };
  for (const Row& row : std::vector<Row>{
           {"none", {}, 0},
           {"the first of equals", {make(1, 0), make(2, 1)}, 1},
           {"one of its own place", {make(1, 0), make(2, 1, exact)}, 2},
           {"one that has not failed", {make(1, 0, failed, exact), make(2, 1)}, 2},
           {"one that no ask has",
            {make(1, 0, recorded, exact), make(2, 1, failed)},
            2,
            false,
            true},
           {"one that no person replaced", {make(1, 0, replaced), make(2, 1, recorded)}, 2, true},
           {"a replaced one before none", {make(1, 0, replaced)}, 1},
           {"not one that was kept", {make(1, 0, failed, kept), make(2, 1, recorded)}, 2, true},
           {"which goes for all attempts", {make(1, 0, failed, kept), make(2, 0), make(3, 1)}, 3},
           {"and of the record, too", {make(1, 0, failed, recorded), make(2, 0), make(3, 1)}, 3},
           {"and of the place", {make(1, 0), make(2, 1, failed, exact), make(3, 1)}, 3},
           {"its newest attempt counts", {make(1, 0, failed), make(2, 0), make(3, 1, failed)}, 2},
           {"and is tried again", {make(1, 0, failed), make(2, 0, failed)}, 2, false, true},
       }) {
    CAPTURE(row.what);
    Asking asking;
    asking.script = "film.lua";
    const Choice choice = choose(row.rows, 0, asking);
    CHECK(choice.id == row.id);
    CHECK(choice.taken == row.taken);
    CHECK(choice.next_attempt == row.next);
    CHECK(choice.follows == 0);
    for (const Attempt& one : row.rows) asking.given.insert(one.ordinal);
    CHECK(choose(row.rows, 0, asking).id == 0);  // other asks of this run have them
    asking.given.clear();
    asking.script.clear();
    CHECK(choose(row.rows, 0, asking).id == 0);  // typed input is new each time
  }
}

TEST_CASE("what is replayed of caught errors is what says something about its ask") {
  struct Row {
    Kind kind;
    bool told, failed;
  };
  for (const Row& row : {Row{Kind::policy, true, true}, Row{Kind::invalid, true, true},
                         Row{Kind::task_failed, true, true}, Row{Kind::interrupted, true, true},
                         Row{Kind::timeout, true, false}, Row{Kind::network, false, false},
                         Row{Kind::server, false, false}, Row{Kind::script, false, false}}) {
    CAPTURE(static_cast<int>(row.kind));
    const auto ask = std::make_shared<Ask>();
    ask->script = "film.lua";
    CHECK(caught(std::make_shared<Raised>(ask, row.kind, 3, nullptr)).empty());  // not recorded
    ask->ready = true;
    const Story story = std::make_shared<Raised>(
        ask, row.kind, 3, std::make_shared<Raised>(ask, Kind::timeout, 2, nullptr));
    auto found = caught(story);
    REQUIRE(found.size() == (row.told ? 2 : 1));
    if (row.told) {
      CHECK(found[0].failed == row.failed);
      CHECK(found[0].timeouts == (row.failed ? 0 : 3));
    }
    CHECK(found.back().timeouts == 2);
    story->before->told = true;
    CHECK(caught(story).size() == (row.told ? 1 : 0));
    story->told = true;
    CHECK(caught(story).empty());
    ask->script.clear();
    CHECK(caught(std::make_shared<Raised>(ask, row.kind, 3, nullptr)).empty());  // typed input
  }
}

TEST_CASE("slots are held by what runs beside, and by nothing that was forgotten for an hour") {
  const auto book = book_at();
  const Claim beside = ask_for(*book, shot_of("beside"));
  const auto open_at = [&](Millis now) {
    const auto usage = book->usage(as_it_is(*book, beside.step.id), now);
    REQUIRE(usage.ok());
    return usage->open;
  };
  send(*book, beside.step.id, 1'000);
  CHECK(open_at(1'000) == 0);  // it does not hold up itself
  const auto accepted = ask_for(*book, shot_of("accepted")).step.id;
  accept(*book, accepted, 1'000);
  const auto sending = ask_for(*book, shot_of("sending")).step.id;
  send(*book, sending, 2'000);
  end_well(*book, ask_for(*book, shot_of("done")).step.id, 3'000);
  end_badly(*book, ask_for(*book, shot_of("failed")).step.id, 3'000);
  accept(*book, ask_for(*book, shot_of("x", "omni", "other")).step.id, 3'000);
  (void)ask_for(*book, shot_of("intended"));
  CHECK(open_at(3'000) == 2);
  CHECK(open_at(1'000 + kHour - 1) == 2);
  CHECK(open_at(1'000 + kHour) == 1);
  CHECK(open_at(2'000 + kHour - 1) == 1);
  CHECK(open_at(2'000 + kHour) == 0);
}

TEST_CASE("a budget counts what its script may have to pay for, at the price that is known") {
  const TempFolder folder;
  const auto book = book_at(folder / "ledger.db");
  const Claim beside = ask_for(*book, shot_of("beside"));
  send(*book, beside.step.id, 1);
  const auto spent = [&](const Step& by) {
    const auto usage = book->usage(by, 9);
    REQUIRE(usage.ok());
    return std::pair(usage->jobs, usage->usd);
  };
  using Spent = std::pair<int, double>;
  CHECK(spent(beside.step) == Spent(0, 0));
  send(*book, ask_for(*book, shot_of("sending")).step.id, 1);
  accept(*book, ask_for(*book, shot_of("accepted")).step.id, 1);
  const auto doubt = ask_for(*book, shot_of("in doubt")).step.id;
  send(*book, doubt, 1);
  REQUIRE(book->record_ambiguous(as_it_is(*book, doubt), 2).ok());
  CHECK(spent(beside.step) == Spent(3, 1.5));
  const auto done = ask_for(*book, shot_of("done")).step.id;
  accept(*book, done, 1);
  Step row = as_it_is(*book, done);
  row.cost_usd = 2;
  REQUIRE(book->record_result(row, "", 3).ok());
  CHECK(spent(beside.step) == Spent(4, 3.5));
  end_badly(*book, ask_for(*book, shot_of("failed")).step.id);
  (void)ask_for(*book, shot_of("intended"));
  accept(*book, ask_for(*book, shot_of("of another"), {.script = "other.lua"}).step.id, 1);
  CHECK(spent(beside.step) == Spent(4, 3.5));
  // What a person gave up was accepted, or it was not.
  const auto given_up = ask_for(*book, shot_of("given up")).step.id;
  accept(*book, given_up, 1);
  REQUIRE(book->abandon(as_it_is(*book, given_up), 2).ok());
  CHECK(spent(beside.step) == Spent(5, 4));
  REQUIRE(book->abandon(as_it_is(*book, doubt), 2).ok());
  CHECK(spent(beside.step) == Spent(4, 3.5));

  // Typed input has no script: there each process has a budget of its own.
  const auto other = book_at(folder / "ledger.db");
  const Claim typed = ask_for(*book, shot_of("typed"), {.script = ""});
  send(*book, ask_for(*book, shot_of("typed too"), {.script = ""}).step.id, 1);
  send(*other, ask_for(*other, shot_of("elsewhere"), {.script = ""}).step.id, 1);
  CHECK(spent(typed.step) == Spent(1, 0.5));
}

TEST_CASE("a step is superseded when the last clean run of its script did not ask for it") {
  const auto book = book_at();
  const Step a = shot_of("a"), b = shot_of("b"), shared = shot_of("shared"), late = shot_of("late");
  std::map<std::string, std::int64_t> ids;
  for (const auto& [name, step] : {std::pair("a", a), {"b", b}, {"shared", shared}}) {
    ids[name] = ask_for(*book, step).step.id;
    end_well(*book, ids[name]);
  }
  CHECK(ask_for(*book, shared, {.script = "other.lua"}).step.id == ids["shared"]);
  for (const char* script : {"other.lua", "typed"})  // of which no run has ended
    REQUIRE(book->seed(script, "1").ok());
  Step typed = shot_of("typed");
  typed.run = "typed";
  ids["typed"] = ask_for(*book, typed, {.script = ""}).step.id;
  const auto superseded = [&] {
    std::string names;
    for (const auto& [name, id] : ids)
      if (as_it_is(*book, id).superseded) names += name + " ";
    return names;
  };
  CHECK(superseded() == "");
  REQUIRE(book->end_run("film.lua", counts_of({a, b, shared})).ok());
  CHECK(superseded() == "");
  ids["late"] = ask_for(*book, late).step.id;  // by a run that does not come to its end
  end_well(*book, ids["late"]);
  CHECK(superseded() == "");
  REQUIRE(book->end_run("film.lua", counts_of({b})).ok());
  CHECK(superseded() == "a late ");  // another script asks for the shared one
  // Of the other script, which has not ended, everything is still asked for.
  const auto askers = book->askers();
  REQUIRE(askers.ok());
  CHECK(*askers == std::vector<std::pair<std::int64_t, std::string>>{{ids["b"], "film.lua"},
                                                                     {ids["shared"], "other.lua"}});
}

TEST_CASE("what looks ups are tried with is the last accepted task of that service and endpoint") {
  const auto book = book_at();
  std::map<std::string, std::int64_t> ids;
  const auto accepted = [&](const std::string& name, Millis at, const Step& step) {
    ids[name] = ask_for(*book, step).step.id;
    accept(*book, ids[name], at);
  };
  accepted("first", 10, shot_of("first"));
  accepted("last", 20, shot_of("last"));
  accepted("failed", 30, shot_of("failed"));
  REQUIRE(book->record_failure(as_it_is(*book, ids["failed"]), "", 31).ok());
  accepted("service", 40, shot_of("service", "text2video", "other"));
  accepted("endpoint", 50, shot_of("endpoint", "omni"));
  (void)ask_for(*book, shot_of("intended"));
  const auto found = [&](const char* service, const char* endpoint, std::int64_t except) {
    const auto row = book->any_accepted(service, endpoint, except);
    REQUIRE(row.ok());
    return *row ? (*row)->id : 0;
  };
  CHECK(found("sim", "text2video", 0) == ids["last"]);
  CHECK(found("sim", "text2video", ids["last"]) == ids["first"]);
  CHECK(found("sim", "omni", 0) == ids["endpoint"]);
  CHECK(found("sim", "omni", ids["endpoint"]) == 0);
  CHECK(found("other", "text2video", 0) == ids["service"]);
  CHECK(found("other", "omni", 0) == 0);

  const auto known = [&](const char* service, const char* endpoint) {
    const auto works = book->lookup_known(service, endpoint);
    REQUIRE(works.ok());
    return !*works ? "unknown" : **works ? "works" : "does not";
  };
  REQUIRE(book->learn_lookup("other", "text2video", true, 1).ok());
  CHECK(known("sim", "text2video") == std::string("unknown"));
  CHECK(known("other", "omni") == std::string("unknown"));
  REQUIRE(book->learn_lookup("sim", "text2video", false, 30).ok());
  CHECK(known("sim", "text2video") == std::string("does not"));
  CHECK(known("other", "text2video") == std::string("works"));
  REQUIRE(book->learn_lookup("sim", "text2video", false, 29).ok());  // before the last acceptance
  CHECK(known("sim", "text2video") == std::string("unknown"));
  REQUIRE(book->learn_lookup("sim", "omni", false, 50).ok());
  CHECK(known("sim", "omni") == std::string("does not"));
}

TEST_CASE("time-outs that are kept are those of one ask and its row") {
  const auto book = book_at();
  Ask ask;
  ask.script = "film.lua", ask.task_path = "main", ask.digest = shot_of("a").digest;
  ask.row = ask_for(*book, shot_of("a")).step.id;
  (void)ask_for(*book, shot_of("b"));
  REQUIRE(book->keep({{&ask, false, 2}}).ok());
  const auto kept_of = [&](const std::function<void(Ask&)>& change) {
    Ask asked;
    asked.script = ask.script, asked.task_path = ask.task_path, asked.digest = ask.digest;
    asked.nth = ask.nth, asked.row = ask.row;
    change(asked);
    const auto kept = book->timeouts(asked);
    REQUIRE(kept.ok());
    return *kept;
  };
  CHECK(kept_of([](Ask&) {}) == 2);
  CHECK(kept_of([](Ask& one) { one.script = "other.lua"; }) == 0);
  CHECK(kept_of([](Ask& one) { one.task_path = "main/1"; }) == 0);
  CHECK(kept_of([](Ask& one) { one.digest = shot_of("b").digest; }) == 0);
  CHECK(kept_of([](Ask& one) { one.nth = 1; }) == 0);
  CHECK(kept_of([](Ask& one) { one.row += 1; }) == 0);
  CHECK(ask_for(*book, shot_of("a")).timeouts == 2);
  REQUIRE(book->keep({{&ask, false, 1}}).ok());  // fewer than are known
  CHECK(kept_of([](Ask&) {}) == 2);
}

TEST_CASE("what is made anew is its ask's once it may be at the service, and nobody else's") {
  const auto book = book_at();
  const Step a = shot_of("a");
  const Place other{.script = "other.lua"};
  const auto first = ask_for(*book, a).step.id;
  end_well(*book, first);
  CHECK(ask_for(*book, a, other).step.id == first);
  const Claim made = ask_for(*book, a, {}, true);
  REQUIRE(made.step.id != first);
  CHECK(made.created);
  bool fails = false;
  SUBCASE("it is accepted") {}
  SUBCASE("it is refused, and the one before counts again") { fails = true; }
  // What happens to others meanwhile is of no weight.
  const auto unrelated = ask_for(*book, shot_of("unrelated")).step.id;
  end_badly(*book, unrelated);
  CHECK(ask_for(*book, a, {}, true).step.id == made.step.id);  // a second time in the same run
  if (fails)
    end_badly(*book, made.step.id);
  else
    end_well(*book, made.step.id);
  end_badly(*book, ask_for(*book, shot_of("unrelated")).step.id);
  CHECK(ask_for(*book, a).step.id == (fails ? first : made.step.id));
  CHECK(ask_for(*book, a, other).step.id == first);
  // A script that asks for the first time gets what a person wanted in its place.
  CHECK(ask_for(*book, a, {.script = "third.lua"}).step.id == (fails ? first : made.step.id));
  REQUIRE(book->end_run("film.lua", counts_of({a})).ok());
  CHECK(ask_for(*book, a).step.id == (fails ? first : made.step.id));
  CHECK(ask_for(*book, a, other).step.id == first);
  CHECK(ask_for(*book, a, {}, true).created);  // of the next run another one may be made
}

TEST_CASE("what was to be made anew and was never sent leaves nothing behind") {
  const TempFolder folder;
  const Step a = shot_of("a");
  std::int64_t first = 0;
  {
    const auto dies = book_at(folder / "ledger.db");
    first = ask_for(*dies, a).step.id;
    end_well(*dies, first);
    CHECK(ask_for(*dies, a, {}, true).created);
  }
  const auto book = book_at(folder / "ledger.db");
  CHECK(ask_for(*book, a).step.id == first);
  CHECK(book->list(0)->size() == 1);
  REQUIRE(book->end_run("film.lua", {}).ok());
  CHECK(as_it_is(*book, first).superseded);

  // Likewise a step that no ask needs any more: whoever asks next, and wants another, gets one.
  const auto unsent = ask_for(*book, shot_of("unsent")).step.id;
  REQUIRE(book->end_run("film.lua", {}).ok());
  CHECK_FALSE(book->find_by_id(unsent)->has_value());
  CHECK(ask_for(*book, shot_of("unsent"), {}, true).created);
  CHECK(book->askers()->size() == 1);
}

TEST_CASE("an external id of a person's own is free again where nothing can have it") {
  const TempFolder folder;
  const auto book = book_at(folder / "ledger.db");
  const auto own = [](const std::string& what, const std::string& id) {
    Step step = shot_of(what);
    step.external_id = id;
    return step;
  };
  int asked = 0;
  const auto is_free = [&](const std::string& id, const std::string& service = "sim") {
    Step step = own("another " + std::to_string(++asked), id);
    step.service = service;
    Asking asking;
    asking.script = "film.lua";
    const auto claim = book->claim(step, asking);
    return claim.ok();
  };
  const auto in = [&](const char* id) { return ask_for(*book, own(id, id)).step.id; };
  (void)in("intended");
  CHECK_FALSE(is_free("intended"));  // we are about to send it
  CHECK(is_free("intended", "other"));
  REQUIRE(book->release(as_it_is(*book, in("intended"))).ok());
  CHECK(is_free("intended"));
  send(*book, in("sent"), 5);
  CHECK_FALSE(is_free("sent"));
  accept(*book, in("accepted"), 5);
  CHECK_FALSE(is_free("accepted"));
  end_badly(*book, in("refused"));
  CHECK(is_free("refused"));
  accept(*book, in("failed"), 5);
  REQUIRE(book->record_failure(as_it_is(*book, in("failed")), "", 6).ok());
  CHECK_FALSE(is_free("failed"));
  send(*book, in("given up"), 5);
  REQUIRE(book->abandon(as_it_is(*book, in("given up")), 6).ok());
  CHECK_FALSE(is_free("given up"));
  // A process that died and one that lives.
  {
    const auto dead = book_at(folder / "ledger.db");
    (void)ask_for(*dead, own("dead", "dead"));
  }
  CHECK(is_free("dead"));
  const auto living = book_at(folder / "ledger.db");
  (void)ask_for(*living, own("living", "living"));
  CHECK_FALSE(is_free("living"));
}

TEST_CASE("an answer is one of its choices, and changed on a person's word only") {
  const auto book = book_at();
  Question asked;
  asked.kind = "ask", asked.text = "Which?", asked.run = "film.lua", asked.digest = "d";
  asked.choices = {"one", "two", "three"};
  const auto question = book->record_question(asked, false);
  REQUIRE(question.ok());
  const auto answer = [&](int choice, bool change = false) {
    return book->answer(question->id, choice, 7, change).ok();
  };
  for (const int none : {-1, 0, 4}) CHECK_FALSE(answer(none));
  CHECK_FALSE(book->answer(question->id + 1, 1, 7, false).ok());
  CHECK(answer(1));
  CHECK_FALSE(answer(1));
  CHECK_FALSE(answer(3));
  CHECK(answer(3, true));
  CHECK(book->record_question(asked, false)->answer == 3);
  CHECK(book->questions()->size() == 1);
  CHECK(book->record_question(asked, true)->answer == 0);
  CHECK(answer(2));
}

TEST_CASE("a seed is read before the ledger is opened, and answers are forgotten by their age") {
  const TempFolder folder;
  const std::string path = folder / "ledger.db";
  CHECK(read_seed(path, "film.lua") == "");
  CHECK(read_seed(":memory:", "film.lua") == "");
  const auto book = book_at(path);
  CHECK(*book->seed("film.lua", "one") == "one");
  CHECK(*book->seed("film.lua", "two") == "one");
  CHECK(read_seed(path, "film.lua") == "one");
  CHECK(read_seed(path, "other.lua") == "");

  end_well(*book, ask_for(*book, shot_of("a")).step.id, 100);
  accept(*book, ask_for(*book, shot_of("open")).step.id, 100);
  const auto bytes = [&](Millis before, bool forget = false) {
    const auto size = book->forget_answers(before, forget);
    REQUIRE(size.ok());
    return *size;
  };
  CHECK(bytes(100) == 0);
  const auto all = bytes(101);
  CHECK(all == std::int64_t(std::string("t1the answer").size()));
  CHECK(bytes(101, true) == all);
  CHECK(bytes(101) == 0);
}

TEST_CASE("an id ends where a URL or a shell would not take it") {
  const auto reads = [](const std::string& text) { return parse_handle(text).ok(); };
  for (const char c : std::string("09azAZ")) CHECK(reads(std::string(1, c)));
  for (const char c : std::string("._-=+@")) {
    CHECK_FALSE(reads(std::string(1, c)));
    CHECK(reads("1" + std::string(1, c) + "1"));
  }
  for (const char c : std::string("/:[`{!")) {
    CHECK_FALSE(reads(std::string(1, c)));
    CHECK_FALSE(reads("1" + std::string(1, c) + "1"));
  }
  CHECK(reads(std::string(128, 'a')));
  CHECK_FALSE(reads(std::string(129, 'a')));
  CHECK(reads("~" + std::string(256, ' ') + "x") == false);
  CHECK(reads("~" + std::string(256, 'a')));
  CHECK_FALSE(reads("~" + std::string(257, 'a')));
  CHECK_FALSE(reads("kling:omni/~"));
  CHECK(reads("kling:omni/~x"));
  // Of an id that is a person's own nothing is taken away.
  CHECK(parse_handle("kling:omni/~(mine).")->external_id == "(mine).");
  CHECK(parse_handle("~(mine),")->external_id == "(mine),");
  CHECK(parse_handle("((861);.,)").ok() == false);
  CHECK(parse_handle("(861;.,)")->task_id == "861");
  CHECK(origin_video("ab", 1) == "video of step ab video 2");
}

}  // namespace kling::engine::testing
