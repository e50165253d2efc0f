#include "engine/ledger.h"

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <set>
#include <thread>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/step.h"

using namespace kling;
using namespace kling::engine;
namespace fs = std::filesystem;

namespace {

struct Folder {
  std::string path;
  Folder() {
    // In memory where there is such a place: a sync of a busy disk takes its time.
    const fs::path root = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
    std::string pattern = (root / "kling-ledger-XXXXXX").string();
    path = ::mkdtemp(pattern.data());
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  std::string ledger() const { return path + "/.kling/ledger"; }
};

/// A ledger whose changes are told by what they say, of the row as it stands now.
class Teller {
 public:
  explicit Teller(std::shared_ptr<Ledger> ledger) : ledger_(std::move(ledger)) {}
  Ledger& real() const { return *ledger_; }

  Status resubmit(std::int64_t id, Millis now) const { return ledger_->resubmit(now_of(id), now); }
  Status mark_sending(std::int64_t id, Millis now) const {
    auto marked = ledger_->mark_sending(now_of(id), now, {}, 0, "");
    if (!marked) return marked.error();
    return Done{};
  }
  Status clear_sending(std::int64_t id, Millis now) const {
    return ledger_->clear_sending(now_of(id), now);
  }
  Status record_accepted(std::int64_t id, const std::string& task, const std::string& raw,
                         Millis now) const {
    Step step = now_of(id);
    step.task_id = task;
    return ledger_->record_accepted(step, raw, now);
  }
  Status record_result(std::int64_t id, const std::string& result, std::optional<double> cost,
                       const std::string& raw, Millis now) const {
    Step step = now_of(id);
    step.result = result;
    step.cost_usd = cost;
    return ledger_->record_result(step, raw, now);
  }
  Status record_failure(std::int64_t id, const std::string& error, const std::string& raw,
                        Millis now) const {
    Step step = now_of(id);
    step.error = error;
    return ledger_->record_failure(step, raw, now);
  }
  Status record_ambiguous(std::int64_t id, const std::string& error, Millis now) const {
    Step step = now_of(id);
    step.error = error;
    return ledger_->record_ambiguous(step, now);
  }
  Status abandon(std::int64_t id, Millis now) const { return ledger_->abandon(now_of(id), now); }
  Status record_file(std::int64_t id, const std::string& file, const std::string& sha256) const {
    Step step = now_of(id);
    step.file = file;
    step.file_sha256 = sha256;
    return ledger_->record_file(step);
  }

 private:
  Step now_of(std::int64_t id) const {
    const auto row = ledger_->find_by_id(id);
    if (row && *row) return **row;
    Step none;
    none.id = id;
    return none;
  }
  std::shared_ptr<Ledger> ledger_;
};

/// `->` for what only reads or names a row, `*` to tell.
struct Book {
  std::shared_ptr<Ledger> ledger;
  Ledger* operator->() const { return ledger.get(); }
  Teller operator*() const { return Teller(ledger); }
  void reset() { ledger.reset(); }
};

Book open_book(const std::string& path, const LedgerOptions& options = {}) {
  auto opened = open_ledger(path, options);
  if (!opened) MESSAGE(opened.error().message);
  REQUIRE(opened);
  return {*opened};
}

/// What a script asks for, and where.
struct Wanted {
  Step step;
  Asking asking;
};

Wanted wanted(const std::string& what, const std::string& task = "main", int nth = 0) {
  Wanted made;
  made.step.service = "sim";
  made.step.endpoint = "text2video";
  made.step.digest = step_digest(what);
  made.step.task_path = task;
  made.step.target = "/kling/v1/videos/text2video";
  made.step.script = "film.lua:1";
  made.step.summary = what;
  made.step.run = made.asking.script = "film.lua";
  made.step.estimate_usd = 0.35;
  made.step.created_at = 1000;
  made.asking.nth = nth;
  return made;
}

Result<Claim> try_claim(Ledger& book, const Wanted& what) {
  return book.claim(what.step, what.asking);
}

/// One run of a script: remembers what it asked for, as the driver does.
struct Run {
  Book book;
  std::map<std::string, std::set<int>> given;
  Claim claim(Wanted what) {
    what.asking.given = given[what.step.digest];
    auto claimed = book->claim(what.step, what.asking);
    if (!claimed) MESSAGE(claimed.error().message);
    REQUIRE(claimed);
    given[what.step.digest].insert(claimed->step.ordinal);
    return *claimed;
  }
  Claim claim(const std::string& what, const std::string& task = "main", int nth = 0) {
    return claim(wanted(what, task, nth));
  }
};

Claim claim(const Book& book, const Wanted& what) { return Run{book}.claim(what); }
Claim claim(const Book& book, const std::string& what) { return claim(book, wanted(what)); }

Step row(const Book& book, std::int64_t id) {
  auto found = book->find_by_id(id);
  REQUIRE(found);
  REQUIRE(*found);
  return **found;
}

void check_refused(const Status& status, const std::string& present_state) {
  REQUIRE_FALSE(status);
  CHECK(status.error().kind == Kind::ledger);
  CHECK(status.error().message.find(present_state) != std::string::npos);
  CHECK_FALSE(status.error().hint.empty());
}

/// Brings a new step into a state.
std::int64_t step_in(const Book& book, StepState state) {
  static int counter = 0;
  const auto id = claim(book, wanted("step " + std::to_string(++counter))).step.id;
  if (state == StepState::intended) return id;
  REQUIRE((*book).mark_sending(id, 1001));
  if (state == StepState::ambiguous) REQUIRE((*book).record_ambiguous(id, "{\"kind\":1}", 1002));
  if (state == StepState::accepted || state == StepState::succeeded)
    REQUIRE((*book).record_accepted(id, "task" + std::to_string(id), "raw", 1003));
  if (state == StepState::succeeded) REQUIRE((*book).record_result(id, "{}", 0.5, "raw", 1004));
  if (state == StepState::failed) REQUIRE((*book).record_failure(id, "{\"kind\":2}", "raw", 1005));
  REQUIRE(row(book, id).state == state);
  return id;
}

void finish(const Book& book, std::int64_t id) {
  REQUIRE((*book).mark_sending(id, 1));
  REQUIRE((*book).record_accepted(id, "t" + std::to_string(id), "", 2));
  REQUIRE((*book).record_result(id, "{}", std::nullopt, "", 3));
}

void fail(const Book& book, std::int64_t id) {
  REQUIRE((*book).mark_sending(id, 1));
  REQUIRE((*book).record_failure(id, "{}", "", 2));
}

/// Runs `body` in a child process; its exit status, or 128 + signal.
int in_child(const std::function<int()>& body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void run_sql(const std::string& file, const char* sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(file.c_str(), &handle) == SQLITE_OK);
  CHECK(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  sqlite3_close(handle);
}

std::string slurp(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

void spill(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

std::size_t lock_files(const std::string& ledger) {
  std::error_code none;
  std::size_t count = 0;
  for (auto it = fs::directory_iterator(ledger + ".owners", none); it != fs::directory_iterator();
       ++it)
    ++count;
  return count;
}

/// A finished ledger of some pages, whole in one file.
std::string sample_ledger(const Folder& folder) {
  {
    Run run{open_book(folder.ledger()), {}};
    for (int i = 0; i < 40; ++i) {
      Wanted what = wanted("sample " + std::to_string(i));
      what.step.request = std::string(1500, 'x');
      finish(run.book, run.claim(what).step.id);
    }
  }
  const std::string content = slurp(folder.ledger());
  REQUIRE(content.size() > 60'000);
  return content;
}

/// Uses whatever lies at `path` as the engine would. No crash; errors are of kind ledger.
bool works(const std::string& path) {
  auto opened = open_ledger(path);
  Error error;
  if (!opened) error = opened.error();
  bool good = opened.ok();
  const auto look = [&](const auto& result) {
    if (!result) error = result.error();
    good = good && result.ok();
  };
  if (good) {
    look((*opened)->list(0));
    look((*opened)->find_by_task("t3"));
    look((*opened)->journal(3));
    auto claimed = try_claim(**opened, wanted("sample 5"));
    look(claimed);
    auto fresh = try_claim(**opened, wanted("another"));
    look(fresh);
    if (fresh) look(Teller(*opened).mark_sending(fresh->step.id, 5));
  }
  if (!good) {
    CHECK(error.kind == Kind::ledger);
    CHECK_FALSE(error.message.empty());
    CHECK_FALSE(error.hint.empty());
  }
  return good;
}

}  // namespace

TEST_CASE("a new step is recorded before anything is sent and keeps what it was told") {
  const Book book = open_book(":memory:");
  CHECK(book->prefix().size() == 8);
  const Claim made = claim(book, wanted("a lighthouse"));
  CHECK(made.created);
  CHECK_FALSE(made.differs);
  const Step step = row(book, made.step.id);
  CHECK(step.state == StepState::intended);
  CHECK(step.ordinal == 0);
  CHECK(step.attempt == 1);
  CHECK(step.address == step_address(step.digest, 0));
  CHECK(step.external_id == external_id(book->prefix(), step.address, 1));
  CHECK_FALSE(step.own_external_id);
  CHECK(step.script == "film.lua:1");
  CHECK(step.summary == "a lighthouse");
  CHECK(step.target == "/kling/v1/videos/text2video");
  CHECK(step.estimate_usd == doctest::Approx(0.35));
  CHECK(step.created_at == 1000);
  CHECK_FALSE(step.cost_usd);
}

TEST_CASE("a step runs from intent to stored clip and its journal tells the way") {
  const Book book = open_book(":memory:");
  const auto id = claim(book, wanted("a")).step.id;
  REQUIRE((*book).mark_sending(id, 10));
  CHECK(row(book, id).sent_at == 10);
  REQUIRE((*book).clear_sending(id, 11));
  CHECK(row(book, id).state == StepState::intended);
  REQUIRE((*book).mark_sending(id, 12));
  REQUIRE((*book).record_accepted(id, "861", "{\"raw\":1}", 20));
  CHECK(row(book, id).task_id == "861");
  CHECK(row(book, id).accepted_at == 20);
  REQUIRE((*book).record_accepted(id, "861", "{}", 25));
  CHECK(row(book, id).accepted_at == 20);
  REQUIRE((*book).record_result(id, "{\"videos\":[]}", 0.42, "{\"raw\":2}", 30));
  REQUIRE((*book).record_result(id, "{\"videos\":[1]}", std::nullopt, "", 40));
  REQUIRE((*book).record_accepted(id, "861", "", 45));
  REQUIRE((*book).record_file(id, "/clips/a.mp4", "abcd"));
  const Step step = row(book, id);
  CHECK(step.state == StepState::succeeded);
  CHECK(step.result == "{\"videos\":[1]}");
  CHECK(step.cost_usd == 0.42);
  CHECK(step.finished_at == 30);
  CHECK(step.file == "/clips/a.mp4");
  CHECK(step.file_sha256 == "abcd");

  const auto lines = book->journal(id);
  REQUIRE(lines);
  std::string story;
  for (const JournalRow& line : *lines) story += line.what + " ";
  CHECK(story ==
        "intended sending not sent sending accepted accepted succeeded succeeded accepted "
        "stored ");
  CHECK((*lines)[4].body == "{\"raw\":1}");
  CHECK((*lines)[4].at == 20);
}

TEST_CASE("every forbidden transition is refused with the present state and leaves the step") {
  const Book book = open_book(":memory:");
  using S = StepState;
  using Act = std::function<Status(std::int64_t)>;
  const struct {
    const char* name;
    Act act;
    std::set<S> from;
  } rules[] = {
      {"mark_sending",
       [&](auto id) { return (*book).mark_sending(id, 1); },
       {S::intended, S::sending}},
      {"clear_sending", [&](auto id) { return (*book).clear_sending(id, 1); }, {S::sending}},
      {"record_accepted",
       [&](auto id) { return (*book).record_accepted(id, "new" + std::to_string(id), "raw", 1); },
       {S::intended, S::sending, S::ambiguous}},
      {"record_result",
       [&](auto id) { return (*book).record_result(id, "{}", 1.0, "raw", 1); },
       {S::intended, S::sending, S::accepted, S::succeeded}},
      {"record_failure",
       [&](auto id) { return (*book).record_failure(id, "{}", "raw", 1); },
       {S::intended, S::sending, S::accepted, S::failed}},
      {"record_ambiguous",
       [&](auto id) { return (*book).record_ambiguous(id, "{}", 1); },
       {S::sending}},
      {"record_file", [&](auto id) { return (*book).record_file(id, "f", "s"); }, {S::succeeded}},
      {"resubmit", [&](auto id) { return (*book).resubmit(id, 1); }, {S::ambiguous}},
      {"abandon",
       [&](auto id) { return (*book).abandon(id, 1); },
       {S::intended, S::sending, S::accepted, S::ambiguous}},
  };
  for (const auto& rule : rules) {
    for (const S state :
         {S::intended, S::sending, S::accepted, S::succeeded, S::failed, S::ambiguous}) {
      CAPTURE(rule.name);
      CAPTURE(name(state));
      const auto id = step_in(book, state);
      const Status status = rule.act(id);
      if (rule.from.contains(state)) {
        CHECK(status);
        continue;
      }
      check_refused(status, name(state));
      CHECK(row(book, id).state == state);
      CHECK(row(book, id).attempt == 1);
    }
    check_refused(rule.act(999'999), "no step");
  }
}

TEST_CASE("an answer that came too late is refused but kept in the journal") {
  const Book book = open_book(":memory:");
  const auto id = step_in(book, StepState::failed);
  check_refused((*book).record_accepted(id, "late", "", 77), "failed");
  const auto lines = book->journal(id);
  REQUIRE(lines);
  CHECK(lines->back().what == "refused: accepted");
  CHECK(lines->back().body == "late");
  CHECK(lines->back().at == 77);
}

TEST_CASE("an ambiguous step is adopted or resubmitted or abandoned by a person") {
  const Folder folder;
  const Book engine = open_book(folder.ledger());
  const Book person = open_book(folder.ledger());
  Wanted what = wanted("lost");
  const auto id = claim(engine, what).step.id;
  REQUIRE((*engine).mark_sending(id, 1));
  REQUIRE((*engine).record_ambiguous(id, "{\"message\":\"?\"}", 2));
  CHECK(claim(engine, what).step.state == StepState::ambiguous);
  CHECK(row(engine, id).error == "{\"message\":\"?\"}");
  const std::string external = row(engine, id).external_id;

  REQUIRE((*person).resubmit(id, 3));
  CHECK(row(engine, id).state == StepState::intended);
  const Claim again = claim(engine, what);
  CHECK_FALSE(again.created);
  CHECK_FALSE(again.foreign);
  CHECK(again.step.external_id == external);
  CHECK(again.step.attempt == 1);

  REQUIRE((*engine).mark_sending(id, 4));
  REQUIRE((*engine).record_ambiguous(id, "{}", 5));
  REQUIRE((*person).abandon(id, 6));
  // What a person gave up may have been paid: it is sent again only when somebody says so.
  CHECK_FALSE(claim(engine, what).created);
  CHECK(claim(engine, what).step.abandoned);
  what.asking.again = true;
  const Claim next = claim(engine, what);
  CHECK(next.created);
  CHECK(next.step.attempt == 2);

  const auto second = next.step.id;
  REQUIRE((*engine).mark_sending(second, 7));
  REQUIRE((*engine).record_ambiguous(second, "{}", 8));
  REQUIRE((*person).record_accepted(second, "861", "", 9));
  CHECK(row(engine, second).state == StepState::accepted);
  CHECK(row(engine, second).error.empty());
}

TEST_CASE("what is recorded late of one attempt does not hit the next one") {
  const Folder folder;
  const Book slow = open_book(folder.ledger());
  const Book quick = open_book(folder.ledger());
  const auto first = claim(slow, "a").step.id;
  REQUIRE((*slow).mark_sending(first, 1));
  REQUIRE((*slow).record_accepted(first, "first", "", 2));
  const Step seen = row(slow, first);
  REQUIRE((*quick).record_failure(first, "{}", "", 3));
  const auto second = claim(quick, "a").step.id;
  CHECK(second != first);
  REQUIRE((*quick).mark_sending(second, 5));
  REQUIRE((*quick).record_accepted(second, "second", "", 6));
  REQUIRE(slow->record_failure(seen, "", 7));  // both saw it fail
  CHECK(row(quick, second).state == StepState::accepted);
  CHECK(row(quick, second).task_id == "second");
  CHECK(row(quick, second).attempt == 2);

  // A success is kept however late it comes: it was paid for.
  REQUIRE(slow->record_result(seen, "", 8));
  CHECK(row(quick, first).state == StepState::succeeded);
  check_refused(slow->record_failure(seen, "", 9), "succeeded");
  // Not what speaks of another task, or of a task that another step has.
  Step other = row(quick, second);
  other.task_id = "third";
  check_refused(quick->record_result(other, "", 9), "accepted");
  check_refused(quick->record_failure(other, "", 9), "accepted");
  const auto third = claim(quick, "b").step.id;
  REQUIRE((*quick).mark_sending(third, 10));
  check_refused((*quick).record_accepted(third, "second", "", 11), "sending");
  REQUIRE((*quick).record_accepted(third, "fourth", "", 11));
  // Lists show the newest attempt, and older ones that were paid for.
  const auto rows = quick->list(0);
  REQUIRE(rows);
  CHECK(rows->size() == 3);
}

TEST_CASE("a failed step becomes the next attempt with a new external id") {
  const Book book = open_book(":memory:");
  const Claim first = claim(book, "a");
  REQUIRE((*book).mark_sending(first.step.id, 1));
  REQUIRE((*book).record_accepted(first.step.id, "861", "", 2));
  REQUIRE((*book).record_failure(first.step.id, "{\"kind\":1}", "", 3));
  Wanted again = wanted("a");
  again.step.script = "film.lua:9";
  const Claim next = claim(book, again);
  CHECK(next.created);
  CHECK(next.step.id != first.step.id);
  CHECK(next.step.attempt == 2);
  CHECK(next.step.ordinal == 0);
  CHECK(next.step.script == "film.lua:9");
  CHECK(next.step.state == StepState::intended);
  CHECK(next.step.external_id == external_id(book->prefix(), first.step.address, 2));
  CHECK(next.step.task_id.empty());
  CHECK(next.step.error.empty());
  CHECK(row(book, first.step.id).state == StepState::failed);
}

TEST_CASE("an external id of the user is sent verbatim in every attempt") {
  const Book book = open_book(":memory:");
  Wanted what = wanted("a");
  what.step.external_id = "my/own id";
  const Claim made = claim(book, what);
  CHECK(made.step.external_id == "my/own id");
  CHECK(made.step.own_external_id);
  fail(book, made.step.id);
  const auto retried = claim(book, what).step;
  CHECK(retried.external_id == "my/own id");
  fail(book, retried.id);
  what.step.external_id = "another";
  const auto third = claim(book, what).step;
  CHECK(third.external_id == "another");
  fail(book, third.id);
  const Claim ours = claim(book, "a");
  CHECK_FALSE(ours.step.own_external_id);
  CHECK(ours.step.external_id == external_id(book->prefix(), ours.step.address, 4));
}

TEST_CASE("equal requests pair up on the next run also when tasks run in another order") {
  const Folder folder;
  std::map<std::string, std::int64_t> before;
  {
    Run run{open_book(folder.ledger()), {}};
    for (const char* task : {"main/1", "main/2", "main/3"})
      for (int nth = 0; nth < 2; ++nth) {
        const Claim made = run.claim(wanted("same", task, nth));
        CHECK(made.created);
        before[task + std::to_string(nth)] = made.step.id;
        finish(run.book, made.step.id);
      }
    CHECK(row(run.book, before["main/31"]).ordinal == 5);
  }
  Run run{open_book(folder.ledger()), {}};
  for (const char* task : {"main/3", "main/1", "main/2"})
    for (int nth = 0; nth < 2; ++nth) {
      const Claim again = run.claim(wanted("same", task, nth));
      CHECK_FALSE(again.created);
      CHECK(again.step.state == StepState::succeeded);
      CHECK(again.step.id == before[task + std::to_string(nth)]);
    }
}

TEST_CASE("an added step is new and moved steps are found by their content") {
  const Folder folder;
  std::int64_t a = 0, b = 0;
  {
    Run run{open_book(folder.ledger()), {}};
    a = run.claim(wanted("a")).step.id;
    b = run.claim(wanted("b")).step.id;
    finish(run.book, a);
    finish(run.book, b);
  }
  Run run{open_book(folder.ledger()), {}};
  CHECK(run.claim(wanted("b", "main/7")).step.id == b);
  CHECK(run.claim(wanted("added")).created);
  CHECK(run.claim(wanted("a", "main/8", 3)).step.id == a);
  const Claim second = run.claim(wanted("a", "main/8", 4));
  CHECK(second.created);
  CHECK(second.step.ordinal == 1);
  CHECK(second.step.address != row(run.book, a).address);
}

TEST_CASE("a step used from another task is bound to it for the run after") {
  const Book book = open_book(":memory:");
  Run first{book, {}};
  const auto one = first.claim(wanted("x", "old", 0)).step.id;
  const auto two = first.claim(wanted("x", "old", 1)).step.id;
  finish(book, one);
  finish(book, two);
  Run second{book, {}};
  CHECK(second.claim(wanted("x", "new", 0)).step.id == one);
  CHECK(second.claim(wanted("x", "other", 0)).step.id == two);
  Run third{book, {}};
  CHECK(third.claim(wanted("x", "other", 0)).step.id == two);
  CHECK(third.claim(wanted("x", "new", 0)).step.id == one);
}

TEST_CASE("a step that another ask took has one ask also after a run that was killed in between") {
  const Book book = open_book(":memory:");
  Run first{book, {}};
  const auto one = first.claim(wanted("x", "main", 0)).step.id;
  finish(book, one);
  Run killed{book, {}};  // before "main" asks
  CHECK(killed.claim(wanted("x", "main/1", 0)).step.id == one);
  Run again{book, {}};
  CHECK(again.claim(wanted("x", "main/1", 0)).step.id == one);
  const Claim second = again.claim(wanted("x", "main", 0));
  CHECK(second.created);
  finish(book, second.step.id);
  Run unchanged{book, {}};
  CHECK(unchanged.claim(wanted("x", "main", 0)).step.id == second.step.id);
  CHECK(unchanged.claim(wanted("x", "main/1", 0)).step.id == one);
  // Who comes first has the choice, and the one that is left goes to the other.
  Run back{book, {}};
  CHECK(back.claim(wanted("x", "main", 0)).step.id == second.step.id);
  CHECK_FALSE(back.claim(wanted("x", "main/2", 0)).created);
}

TEST_CASE(
    "runs beside each other share what they ask for in other tasks, and no clip stands twice") {
  const Book book = open_book(":memory:");
  Run one{book, {}}, two{book, {}};
  const auto first = one.claim("x", "map/2").step.id;
  CHECK(two.claim("x", "map/1").step.id == first);
  const Claim second = one.claim("x", "map/1");  // of which the other run has made map/2's
  CHECK(second.created);
  CHECK(two.claim("x", "map/2").step.id == second.step.id);
  Run again{book, {}};
  const auto third = again.claim("x", "map/1").step.id;
  CHECK(again.claim("x", "map/2").step.id == first + second.step.id - third);
  // What was asked once more after an error has one step, and the next run gets no error.
  Wanted more = wanted("x", "main");
  more.asking.story = {third};
  CHECK(again.claim(more).step.id == third);
  Run unchanged{book, {}};
  CHECK(unchanged.claim("x", "map/1").step.id == third);
  CHECK(unchanged.claim("x", "main").step.id == third);
}

TEST_CASE("typed input takes a new ordinal each time") {
  const Book book = open_book(":memory:");
  Wanted typed = wanted("same line");
  typed.asking.script.clear();
  for (int ordinal = 0; ordinal < 3; ++ordinal) {
    const Claim made = claim(book, typed);
    CHECK(made.created);
    CHECK(made.step.ordinal == ordinal);
    finish(book, made.step.id);
  }
}

TEST_CASE("other services and other requests never share a step") {
  const Book book = open_book(":memory:");
  Wanted what = wanted("a");
  const auto id = claim(book, what).step.id;
  what.step.service = "api.cometapi.com";
  CHECK(claim(book, what).step.id != id);
  CHECK(claim(book, wanted("b")).step.id != id);
}

TEST_CASE("a step differs when its position of the script asked something else before") {
  const Book book = open_book(":memory:");
  const auto at = [](const char* what, int sequence) {
    Wanted made = wanted(what);
    made.asking.sequence = sequence;
    return made;
  };
  {
    Run run{book, {}};
    CHECK_FALSE(run.claim(at("one", 0)).differs);
    CHECK_FALSE(run.claim(at("two", 1)).differs);
  }
  {
    Run run{book, {}};
    CHECK_FALSE(run.claim(at("one", 0)).differs);
    CHECK(run.claim(at("two edited", 1)).differs);
    CHECK_FALSE(run.claim(at("three added", 2)).differs);
  }
  Run run{book, {}};
  CHECK_FALSE(run.claim(at("two edited", 0)).differs);  // moved, not new
  CHECK(run.claim(at("four", 1)).differs);
  Wanted elsewhere = at("five", 0);
  elsewhere.step.run = "other.lua";
  CHECK_FALSE(run.claim(elsewhere).differs);
}

TEST_CASE("an open step of a living owner is foreign and taken over once the owner is gone") {
  const Folder folder;
  Book one = open_book(folder.ledger());
  const Book two = open_book(folder.ledger());
  const auto id = claim(one, wanted("a")).step.id;
  CHECK(claim(two, wanted("a")).foreign);
  auto seen = two->revisit(id);
  REQUIRE(seen);
  CHECK(seen->foreign);
  check_refused((*two).mark_sending(id, 1), "intended");
  REQUIRE((*one).mark_sending(id, 1));
  for (const Status& status : {(*two).mark_sending(id, 1), (*two).record_accepted(id, "x", "", 1),
                               (*two).clear_sending(id, 1), (*two).record_failure(id, "", "", 1),
                               (*two).record_ambiguous(id, "", 1)})
    check_refused(status, "sending");
  CHECK(lock_files(folder.ledger()) == 2);

  one.reset();
  CHECK(lock_files(folder.ledger()) == 1);
  seen = two->revisit(id);
  REQUIRE(seen);
  CHECK_FALSE(seen->foreign);
  CHECK(seen->step.state == StepState::sending);
  CHECK(seen->step.sent_at == 1);
  CHECK((*two).record_accepted(id, "x", "", 1));
  seen = two->revisit(id);
  REQUIRE(seen);
  CHECK(seen->step.state == StepState::accepted);
  CHECK(lock_files(folder.ledger()) == 1);
}

TEST_CASE("our own open step of an earlier run is taken over") {
  const Book book = open_book(":memory:");
  const auto id = claim(book, wanted("a")).step.id;
  CHECK_FALSE(claim(book, wanted("a")).created);
  REQUIRE((*book).mark_sending(id, 1));
  CHECK(claim(book, wanted("a")).step.state == StepState::sending);
}

TEST_CASE("a process killed between intent and sending leaves a step that is taken over") {
  const Folder folder;
  for (const bool sent : {false, true}) {
    CAPTURE(sent);
    const Wanted what = wanted(sent ? "sent" : "meant");
    const int status = in_child([&] {
      const Book book{*open_ledger(folder.ledger())};
      const auto made = try_claim(*book.ledger, what);
      if (made && sent) (void)(*book).mark_sending(made->step.id, 5);
      ::kill(::getpid(), SIGKILL);
      return 0;
    });
    CHECK(status == 128 + SIGKILL);
    const Book survivor = open_book(folder.ledger());  // a child opens none beside its parent's
    const Claim found = claim(survivor, what);
    CHECK_FALSE(found.created);
    CHECK_FALSE(found.foreign);
    CHECK(found.step.state == (sent ? StepState::sending : StepState::intended));
    CHECK(lock_files(folder.ledger()) == 1);
  }
}

TEST_CASE("processes that start at once share one new ledger and pay once") {
  const Folder folder;
  constexpr int kProcesses = 6;
  std::vector<pid_t> children;
  for (int i = 0; i < kProcesses; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      auto book = open_ledger(folder.ledger());
      if (!book) ::_exit(100);
      const Teller teller(*book);
      int created = 0;
      for (int step = 0; step < 5; ++step) {
        auto made = try_claim(**book, wanted("shot " + std::to_string(step)));
        if (!made) ::_exit(101);
        if (!made->created) continue;
        ++created;
        if (!teller.mark_sending(made->step.id, 1) ||
            !teller.record_accepted(made->step.id, "t" + std::to_string(step), "", 2))
          ::_exit(102);
      }
      ::_exit(created);
    }
    children.push_back(child);
  }
  int created = 0;
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    REQUIRE(WIFEXITED(status));
    CHECK(WEXITSTATUS(status) < 100);
    created += WEXITSTATUS(status);
  }
  CHECK(created == 5);
}

TEST_CASE("a new ledger can be opened by many processes in the same instant") {
  const Folder folder;
  for (int round = 0; round < 15; ++round) {
    int gate[2];
    REQUIRE(::pipe(gate) == 0);
    std::vector<pid_t> children;
    int told[2];
    REQUIRE(::pipe(told) == 0);
    for (int i = 0; i < 10; ++i) {
      const pid_t child = ::fork();
      if (child == 0) {
        ::close(gate[1]);
        char none;
        if (::read(gate[0], &none, 1) != 0) ::_exit(1);  // until the parent closes it
        const auto book = open_ledger(folder.path + "/" + std::to_string(round));
        const std::string prefix = book.ok() ? (*book)->prefix() : "";
        ::_exit(::write(told[1], prefix.data(), prefix.size()) == 8 ? 0 : 1);
      }
      children.push_back(child);
    }
    ::close(gate[0]);
    ::close(gate[1]);
    ::close(told[1]);
    std::set<std::string> prefixes;  // what one process sends, the others look for
    for (char prefix[8]; ::read(told[0], prefix, 8) == 8;) prefixes.emplace(prefix, 8);
    CHECK(prefixes.size() == 1);
    ::close(told[0]);
    for (const pid_t child : children) {
      int status = 0;
      ::waitpid(child, &status, 0);
      CHECK(status == 0);
    }
  }
}

TEST_CASE("a kill at any moment leaves whole records") {
  const Folder folder;
  (void)open_book(folder.ledger());
  for (int round = 0; round < 12; ++round) {
    int told[2];
    REQUIRE(::pipe(told) == 0);
    const pid_t child = ::fork();
    if (child == 0) {
      const Book book{*open_ledger(folder.ledger())};
      for (int i = 0;; ++i) {
        const auto made =
            try_claim(*book.ledger, wanted(std::to_string(round) + "/" + std::to_string(i)));
        if (!made) ::_exit(1);
        (void)(*book).mark_sending(made->step.id, 1);
        (void)(*book).record_accepted(
            made->step.id, "t" + std::to_string(round) + "/" + std::to_string(i), "raw", 2);
        if (::write(told[1], "x", 1) != 1) ::_exit(1);
      }
    }
    ::close(told[1]);
    // Some rows later, in the middle of another.
    char byte = 0;
    for (int row = 0; row <= round; ++row) REQUIRE(::read(told[0], &byte, 1) == 1);
    std::this_thread::sleep_for(std::chrono::microseconds(round * 170));
    ::kill(child, SIGKILL);
    ::close(told[0]);
    ::waitpid(child, nullptr, 0);
  }
  const Book book = open_book(folder.ledger());
  const auto rows = book->list(0);
  REQUIRE(rows);
  REQUIRE(rows->size() > 10);
  for (const Step& step : *rows) {
    const auto lines = book->journal(step.id);
    REQUIRE(lines);
    REQUIRE(lines->size() >= 1);
    const std::string last = lines->back().what;
    CHECK(last == name(step.state));
    CHECK((step.state == StepState::accepted) == !step.task_id.empty());
    CHECK((step.state == StepState::intended) == (step.sent_at == 0));
  }
}

TEST_CASE("threads share one ledger object") {
  const Folder folder;
  const Book book = open_book(folder.ledger());
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&book, i] {
      for (int k = 0; k < 10; ++k) {
        const auto made = try_claim(*book.ledger, wanted(std::to_string(i), "t", k));
        if (made) (void)(*book).mark_sending(made->step.id, 1);
        (void)book->list(5);
      }
    });
  for (std::thread& thread : threads) thread.join();
  const auto rows = book->list(0);
  REQUIRE(rows);
  CHECK(rows->size() == 4);
}

TEST_CASE("steps are found by id and task and external id") {
  const Book book = open_book(":memory:");
  const auto one = step_in(book, StepState::accepted);
  const auto two = step_in(book, StepState::succeeded);
  const auto open = step_in(book, StepState::sending);
  const auto by_task = book->find_by_task("task" + std::to_string(one));
  REQUIRE(by_task);
  REQUIRE(by_task->size() == 1);
  CHECK(by_task->front().id == one);
  CHECK(book->find_by_task("")->empty());
  CHECK(book->find_by_task("none")->empty());
  CHECK((*book->find_by_external(row(book, two).external_id))->id == two);
  CHECK_FALSE(*book->find_by_external("none"));
  CHECK_FALSE(*book->find_by_id(12345));
  const auto all = book->list(0);
  REQUIRE(all);
  REQUIRE(all->size() == 3);
  CHECK(all->front().id == open);
  CHECK(book->list(2)->size() == 2);
  CHECK(book->list(1)->front().id == open);
  CHECK(book->list(1)->size() == 1);

  CHECK((*book->any_accepted("sim", "text2video", two))->id == one);
  CHECK((*book->any_accepted("sim", "text2video", one))->id == two);
  CHECK_FALSE(*book->any_accepted("sim", "omni", 0));
  CHECK_FALSE(*book->any_accepted("other", "text2video", 0));
}

TEST_CASE("that a service cannot look up is forgotten when it accepts a newer task") {
  const Book book = open_book(":memory:");
  const auto accept = [&](const std::string& prompt, Millis now) {
    const auto id = claim(book, prompt).step.id;
    REQUIRE((*book).mark_sending(id, now));
    REQUIRE((*book).record_accepted(id, "task " + prompt, "", now));
  };
  accept("one", 5);
  REQUIRE(book->learn_lookup("sim", "text2video", false, 6));
  REQUIRE(*book->lookup_known("sim", "text2video"));
  CHECK_FALSE(**book->lookup_known("sim", "text2video"));
  accept("two", 7);
  CHECK_FALSE(*book->lookup_known("sim", "text2video"));
  REQUIRE(book->learn_lookup("sim", "text2video", true, 8));
  accept("three", 9);
  CHECK(**book->lookup_known("sim", "text2video"));
}

TEST_CASE("two processes see each other however the ledger's file is spelled") {
  const Folder folder;
  const Book one = open_book(folder.ledger());
  const auto id = claim(one, "shot").step.id;
  fs::create_directory_symlink(folder.path, folder.path + "-link");
  fs::create_symlink(folder.ledger(), folder.path + "/link");
  for (const std::string& spelled : {folder.path + "-link/.kling/ledger", folder.path + "/link"}) {
    CAPTURE(spelled);
    const Book other = open_book(spelled);
    const Claim seen = claim(other, "shot");
    CHECK(seen.step.id == id);
    CHECK(seen.foreign);
  }
  fs::remove(folder.path + "-link");
}

TEST_CASE("an external id that the user chose belongs to one request") {
  const Book book = open_book(":memory:");
  const auto ask = [&](const std::string& prompt, const std::string& own) {
    Wanted what = wanted(prompt);
    what.step.script = prompt + ".lua:1";
    what.step.external_id = own;
    return try_claim(*book.ledger, what);
  };
  const auto first = ask("one", "mine");
  REQUIRE(first);
  const auto second = ask("two", "mine");
  REQUIRE_FALSE(second);
  CHECK(second.error().kind == Kind::invalid);
  CHECK(second.error().message.find("one.lua:1") != std::string::npos);
  CHECK(second.error().message.find("two.lua:1") != std::string::npos);
  REQUIRE(ask("two", "other"));  // nothing of the refused one is left

  REQUIRE((*book).mark_sending(first->step.id, 1));
  REQUIRE((*book).record_failure(first->step.id, "{}", "", 2));  // the service does not know it
  REQUIRE(ask("three", "mine"));
}

TEST_CASE("what a person gives up is asked for again only where it was never sent") {
  const Book book = open_book(":memory:");
  const auto unsent = step_in(book, StepState::intended);
  const auto accepted = step_in(book, StepState::accepted);
  for (const auto id : {unsent, accepted}) REQUIRE((*book).abandon(id, 9));
  CHECK(row(book, unsent).state == StepState::failed);
  CHECK_FALSE(row(book, unsent).abandoned);
  CHECK(row(book, accepted).abandoned);
  REQUIRE((*book).record_result(accepted, "{}", 1.0, "raw", 10));  // it was paid for
  CHECK(row(book, accepted).state == StepState::succeeded);
  CHECK_FALSE(row(book, accepted).abandoned);
}

TEST_CASE(
    "a clean run forgets what it asks for no more, if that was never sent, and nothing else") {
  const Book book = open_book(":memory:");
  Run first{book, {}};
  // Of each state a step that the next run leaves out; one of it is this run's, one another's.
  std::map<std::int64_t, StepState> kept;
  for (const StepState state : {StepState::accepted, StepState::succeeded, StepState::failed,
                                StepState::ambiguous, StepState::sending}) {
    const auto id =
        state == StepState::sending ? first.claim("on its way").step.id : step_in(book, state);
    if (state == StepState::sending) REQUIRE((*book).mark_sending(id, 5));
    kept[id] = state;
  }
  const auto left_out = first.claim("left out").step.id;
  const auto released = first.claim("left out and released").step.id;
  REQUIRE(book->release(row(book, released)));
  auto asked_again = wanted("asked again");
  kept[first.claim(asked_again).step.id] = StepState::intended;
  auto other = wanted("of another script");
  other.step.run = other.asking.script = "other.lua";
  const auto foreign = first.claim(other).step.id;
  kept[foreign] = StepState::intended;
  REQUIRE(book->release(row(book, foreign)));  // nobody's now, but still its script's

  const AskCounts asked{{{asked_again.step.task_path, asked_again.step.digest}, 1}};
  REQUIRE(book->end_run("film.lua", asked));
  for (const auto& [id, state] : kept) {
    CAPTURE(name(state));
    CHECK(row(book, id).state == state);
    CHECK_FALSE(book->journal(id)->empty());
  }
  for (const auto id : {left_out, released}) {
    CHECK_FALSE(book->find_by_id(id)->has_value());
    CHECK(book->journal(id)->empty());
  }
}

TEST_CASE("what was learnt stays in the file") {
  const Folder folder;
  std::string prefix;
  {
    const Book book = open_book(folder.ledger());
    prefix = book->prefix();
    CHECK(prefix.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789") == std::string::npos);
    CHECK_FALSE(*book->lookup_known("sim", "omni"));
    REQUIRE(book->learn_lookup("sim", "omni", true, 5));
    REQUIRE(book->learn_lookup("sim", "text2video", true, 5));
    REQUIRE(book->learn_lookup("sim", "text2video", false, 5));
    REQUIRE(book->record_derived("ab12", "last frame of step 1"));
    REQUIRE(book->record_derived("ab12", "last frame of step 2"));
  }
  const Book book = open_book(folder.ledger());
  CHECK(book->prefix() == prefix);
  CHECK(**book->lookup_known("sim", "omni"));
  CHECK_FALSE(**book->lookup_known("sim", "text2video"));
  CHECK(**book->origin_of("ab12") == "last frame of step 1");
  CHECK_FALSE(*book->origin_of("cd"));
  CHECK(open_book(":memory:")->prefix() != prefix);
}

TEST_CASE("text with quotes and zero bytes and any language stays as it was") {
  const Book book = open_book(":memory:");
  Wanted what = wanted("a");
  what.step.summary = std::string("'; DROP TABLE steps; -- \0 \xff 海", 30);
  what.step.request = std::string(300'000, 'r');
  const Step step = row(book, claim(book, what).step.id);
  CHECK(step.summary == what.step.summary);
  CHECK(step.request == what.step.request);
}

TEST_CASE("the ledger file and its folder are private") {
  const Folder folder;
  const std::string ledger = folder.path + "/deep/er/.kling/ledger";
  const Book book = open_book(ledger);
  (void)claim(book, wanted("a"));
  const auto mode = [](const std::string& path) {
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    return info.st_mode & 0777;
  };
  CHECK(mode(ledger) == 0600);
  CHECK(mode(ledger + "-wal") == 0600);
  CHECK(mode(folder.path + "/deep/er/.kling") == 0700);
  CHECK(mode(ledger + ".owners") == 0700);
  for (const auto& entry : fs::directory_iterator(ledger + ".owners"))
    CHECK(mode(entry.path().string()) == 0600);
  REQUIRE(::chmod(ledger.c_str(), 0644) == 0);
  (void)open_book(ledger);
  CHECK(mode(ledger) == 0600);
}

TEST_CASE("without WAL the ledger works through a truncated journal and back") {
  const Folder folder;
  LedgerOptions network;
  network.allow_wal = false;
  std::int64_t id = 0;
  {
    const Book one = open_book(folder.ledger(), network);
    const Book two = open_book(folder.ledger(), network);
    id = claim(one, wanted("a")).step.id;
    CHECK(claim(two, wanted("a")).foreign);
    CHECK_FALSE(fs::exists(folder.ledger() + "-wal"));
    CHECK(fs::file_size(folder.ledger() + "-journal") == 0);
  }
  CHECK(claim(open_book(folder.ledger()), wanted("a")).step.id == id);
  CHECK(claim(open_book(folder.ledger(), network), wanted("a")).step.id == id);
}

TEST_CASE("files that are no ledger stay untouched and are named so") {
  const Folder folder;
  const std::string path = folder.path + "/film.mp4";
  const auto refused = [&](const char* words) {
    const auto opened = open_ledger(path);
    REQUIRE_FALSE(opened);
    CAPTURE(opened.error().message);
    CHECK(opened.error().kind == Kind::ledger);
    CHECK(opened.error().message.find(words) != std::string::npos);
    CHECK(opened.error().message.find(path) != std::string::npos);
    CHECK_FALSE(opened.error().hint.empty());
  };
  std::string noise(20'000, '\0');
  std::mt19937 random(7);
  for (char& c : noise) c = char(random());
  for (const std::string& content : {noise, std::string("print('hello')\n"), noise.substr(0, 99)}) {
    spill(path, content);
    REQUIRE(::chmod(path.c_str(), 0644) == 0);
    refused("is not a ledger");
    CHECK(slurp(path) == content);
    struct stat info {};
    REQUIRE(::stat(path.c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0644);
  }
  fs::remove(path);
  run_sql(path, "CREATE TABLE cookies (id)");
  refused("another program");
  fs::remove(path);
  fs::create_directory(path);
  refused("is not a file");
  fs::remove(path);
  (void)open_book(path);
  fs::create_hard_link(path, folder.path + "/second.db");
  refused("has a second name (a hard link)");
  fs::remove(folder.path + "/second.db");
  CHECK(open_ledger(path).ok());
  CHECK_FALSE(open_ledger("/dev/null"));
  CHECK_FALSE(open_ledger(""));
  CHECK_FALSE(open_ledger(std::string("a\0b", 3)));
}

TEST_CASE("a ledger of the first version is brought up to date and keeps its steps") {
  const Folder folder;
  std::int64_t id = 0;
  {
    const Book book = open_book(folder.ledger());
    id = step_in(book, StepState::succeeded);
  }
  // What later versions added goes; what is left is the first version, as it was released.
  run_sql(folder.ledger(),
          "DROP INDEX steps_run; DROP INDEX steps_state; ALTER TABLE steps DROP COLUMN run;"
          " ALTER TABLE steps DROP COLUMN took; ALTER TABLE steps DROP COLUMN name;"
          " ALTER TABLE steps DROP COLUMN abandoned; DROP TABLE asks; DROP TABLE scripts;"
          " ALTER TABLE lookups DROP COLUMN learnt_at; DROP TABLE questions; DROP TABLE films;"
          " PRAGMA user_version = 1");
  const Book book = open_book(folder.ledger());
  CHECK(row(book, id).state == StepState::succeeded);
  CHECK(row(book, id).took == 0);
  CHECK(claim(book, wanted("new")).created);
}

TEST_CASE("a copy for a plan has every step to send again and leaves the ledger as it is") {
  const Folder folder;
  std::int64_t id = 0;
  {
    const Book book = open_book(folder.ledger());
    id = step_in(book, StepState::accepted);
    (void)step_in(book, StepState::succeeded);
  }
  const auto rows = copy_ledger(folder.ledger(), folder.path + "/copy");
  REQUIRE(rows);
  REQUIRE(rows->size() == 2);
  CHECK((*rows)[0].state == StepState::accepted);
  CHECK(row(open_book(folder.path + "/copy"), id).state == StepState::failed);
  CHECK(row(open_book(folder.ledger()), id).state == StepState::accepted);
  const auto none = copy_ledger(folder.path + "/nothing", folder.path + "/copy2");
  REQUIRE(none);
  CHECK(none->empty());
  CHECK(!fs::exists(folder.path + "/nothing"));
}

TEST_CASE("a ledger of a newer schema is left alone") {
  const Folder folder;
  (void)open_book(folder.ledger());
  run_sql(folder.ledger(), "PRAGMA user_version = 99");
  const auto opened = open_ledger(folder.ledger());
  REQUIRE_FALSE(opened);
  CHECK(opened.error().kind == Kind::ledger);
  CHECK(opened.error().message.find("newer") != std::string::npos);
  CHECK(opened.error().hint.find("update kling") != std::string::npos);
}

TEST_CASE("a ledger whose version its tables belie is damaged and stays as it is") {
  const Folder folder;
  (void)open_book(folder.ledger());
  for (const char* version : {"PRAGMA user_version = 0", "PRAGMA user_version = -1"}) {
    run_sql(folder.ledger(), version);
    const std::string before = slurp(folder.ledger());
    const auto opened = open_ledger(folder.ledger());
    REQUIRE_FALSE(opened);
    CHECK(opened.error().message.find("damaged") != std::string::npos);
    CHECK(slurp(folder.ledger()) == before);
  }
  const std::string empty = folder.path + "/empty.db";
  run_sql(empty, "PRAGMA application_id = 1802268263; PRAGMA user_version = 2");
  const auto opened = open_ledger(empty);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().message.find("damaged") != std::string::npos);
}

TEST_CASE("an empty file left by a crash becomes a ledger") {
  const Folder folder;
  const std::string path = folder.path + "/ledger";
  spill(path, "");
  CHECK(claim(open_book(path), wanted("a")).created);
}

TEST_CASE("a truncated ledger is a clear error or works at every length") {
  const Folder folder;
  const std::string whole = sample_ledger(folder);
  const std::string path = folder.path + "/cut";
  int broken = 0, tried = 0;
  for (std::size_t size = 2; size < whole.size(); size += whole.size() / 60 + 1, ++tried) {
    CAPTURE(size);
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix);
    spill(path, whole.substr(0, size));
    if (!works(path)) ++broken;
  }
  CHECK(broken == tried);
  spill(path, whole);
  CHECK(works(path));
}

TEST_CASE("flipped bytes in a ledger never crash and errors are clear") {
  const Folder folder;
  const std::string whole = sample_ledger(folder);
  const std::string path = folder.path + "/flipped";
  std::mt19937 random(42);
  int broken = 0;
  for (int round = 0; round < 120; ++round) {
    CAPTURE(round);
    std::string bad = whole;
    const int flips = 1 + int(random() % 8);
    for (int i = 0; i < flips; ++i) {
      // Half of them in the headers of pages, where they hurt most.
      std::size_t at = random() % bad.size();
      if (random() % 2 == 0) at = at / 4096 * 4096 + random() % 64;
      bad[at % bad.size()] = char(random());
    }
    for (const char* suffix : {"", "-wal", "-shm"}) fs::remove(path + suffix);
    spill(path, bad);
    if (!works(path)) ++broken;
  }
  CHECK(broken > 20);
}

TEST_CASE("names in a tampered ledger cannot lead to other files") {
  const Folder folder;
  const auto id = claim(open_book(folder.ledger()), wanted("a")).step.id;
  const std::string victim = folder.path + "/.kling/victim";
  spill(victim, "x");
  run_sql(folder.ledger(), "UPDATE steps SET owner = '../victim'");
  run_sql(folder.ledger(), "INSERT INTO owners VALUES ('../victim', 1, '')");
  const Claim found = claim(open_book(folder.ledger()), wanted("a"));
  CHECK(found.step.id == id);
  CHECK_FALSE(found.created);
  CHECK_FALSE(found.foreign);
  CHECK(fs::exists(victim));
}

TEST_CASE("a ledger locked by another program ends in a clear error after the time-out") {
  const Folder folder;
  LedgerOptions hasty;
  hasty.busy_timeout = 30;
  const Book book = open_book(folder.ledger(), hasty);
  sqlite3* other = nullptr;
  REQUIRE(sqlite3_open(folder.ledger().c_str(), &other) == SQLITE_OK);
  REQUIRE(sqlite3_exec(other, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr) == SQLITE_OK);
  const auto refused = try_claim(*book.ledger, wanted("a"));
  REQUIRE_FALSE(refused);
  CHECK(refused.error().kind == Kind::ledger);
  CHECK(refused.error().retryable);
  CHECK(refused.error().message.find("locked by another process") != std::string::npos);
  sqlite3_exec(other, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(other);
  CHECK(try_claim(*book.ledger, wanted("a")));
}

TEST_CASE("a ledger that cannot be made or written is a clear error") {
  const Folder folder;
  spill(folder.path + "/file", "x");
  for (const std::string& path :
       {folder.path + "/file/ledger", folder.path + "/file/deep/ledger"}) {
    const auto opened = open_ledger(path);
    REQUIRE_FALSE(opened);
    CHECK(opened.error().kind == Kind::ledger);
    CHECK_FALSE(opened.error().hint.empty());
  }
  // As another user, since the superuser may write everywhere.
  (void)open_book(folder.ledger());
  REQUIRE(::chmod(folder.path.c_str(), 0755) == 0);
  REQUIRE(::chmod((folder.path + "/.kling").c_str(), 0555) == 0);
  const auto as_nobody = [&](mode_t mode) {
    REQUIRE(::chmod(folder.ledger().c_str(), mode) == 0);
    return in_child([&] {
      if (::geteuid() == 0 && ::seteuid(65534) != 0) return 9;
      const auto opened = open_ledger(folder.ledger());
      if (!opened)
        return opened.error().kind == Kind::ledger && !opened.error().hint.empty() ? 1 : 2;
      return try_claim(**opened, wanted("a")) ? 3 : 1;
    });
  };
  CHECK(as_nobody(0444) == 1);
  CHECK(as_nobody(0000) == 1);
  CHECK(as_nobody(0666) == 1);
  REQUIRE(::chmod((folder.path + "/.kling").c_str(), 0755) == 0);
}

TEST_CASE("what is sent has room on the disk for its answer") {
  const Folder folder;
  const Book book = open_book(folder.ledger());
  const std::string log = folder.ledger() + "-wal";
  struct stat info {};
  for (int i = 0; i < 300; ++i) {
    auto what = wanted(std::to_string(i));
    what.step.request = std::string(5000, 'r');
    REQUIRE((*book).mark_sending(claim(book, what).step.id, 1));
    REQUIRE(::stat(log.c_str(), &info) == 0);
    CHECK(info.st_blocks * 512 >= info.st_size + (400 << 10));
  }
  CHECK(info.st_size > 2 << 20);  // it grew, and the room with it
}

TEST_CASE("a full disk is a clear error at every size and loses no record") {
  const Folder folder;
  int full = 0;
  for (rlim_t limit = 0; limit < 120'000; limit += 6'000) {
    CAPTURE(limit);
    const std::string path = folder.path + "/" + std::to_string(limit) + "/ledger";
    const int status = in_child([&] {
      ::signal(SIGXFSZ, SIG_IGN);
      const rlimit size{limit, limit};
      ::setrlimit(RLIMIT_FSIZE, &size);
      Error error;
      auto book = open_ledger(path);
      if (!book) error = book.error();
      for (int i = 0; book && i < 100 && error.message.empty(); ++i) {
        auto made = try_claim(**book, wanted(std::to_string(i)));
        if (!made) error = made.error();
        if (!made) continue;
        const auto sent = (*book)->mark_sending(made->step, 1, {}, 0, "");
        if (!sent) error = sent.error();
      }
      if (error.message.empty()) return 1;
      const bool clear = error.kind == Kind::ledger && !error.hint.empty() &&
                         error.message.find("full") != std::string::npos;
      if (!clear) ::write(2, (error.message + "\n").data(), error.message.size() + 1);
      return clear ? 0 : 2;
    });
    CHECK(status == 0);
    if (status == 0) ++full;
    const Book book = open_book(path);
    const auto rows = book->list(0);
    REQUIRE(rows);
    for (const Step& step : *rows) CHECK(book->journal(step.id)->back().what == name(step.state));
    CHECK(claim(book, wanted("after")).created);
  }
  CHECK(full > 10);
}
