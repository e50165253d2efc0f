// The rules of money as tables: what happened, and what is done next. Then a model: random faults
// and crashes against a service that counts what it accepted.
#include "engine/job_machine.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <vector>

#include <doctest/doctest.h>

using namespace kling::engine;
namespace api = kling::api;
using kling::Millis;

namespace {

/// One job, driven by hand.
struct Play {
  JobState state;
  JobPolicy policy;
  Millis now = 1'000'000;
  Millis delay = 0, least = -1;

  ActionType on(Event event) {
    event.now = now;
    const Transition step = next(state, event, policy);
    state = step.state;
    delay = step.action.delay;
    least = step.action.least;
    return step.action.type;
  }
  ActionType on(EventType type) { return on(Event{.type = type}); }
  ActionType claimed(StepState what) { return on(Event{.type = EventType::claimed, .step = what}); }
  ActionType seen(EventType type, api::TaskState what) {
    return on(Event{.type = type, .task = what});
  }

  void until_posted() {
    REQUIRE(on(EventType::start) == ActionType::write_intent);
    REQUIRE(claimed(StepState::intended) == ActionType::mark_sending);
    REQUIRE(on(EventType::done) == ActionType::post);
  }
  void until_accepted() {
    until_posted();
    REQUIRE(seen(EventType::accepted, api::TaskState::queued) == ActionType::record_accepted);
    REQUIRE(on(EventType::done) == ActionType::wait);
    REQUIRE(delay == kPollDelay);
  }
  void until_succeeded() {
    until_accepted();
    REQUIRE(on(EventType::elapsed) == ActionType::get);
    REQUIRE(seen(EventType::polled, api::TaskState::succeeded) == ActionType::record_result);
  }
  /// Look-ups that find nothing until the machine does something else; the time they took.
  Millis search_in_vain(ActionType& then) {
    Millis waited = 0;
    for (;;) {
      then = on(EventType::not_found);
      if (then != ActionType::wait) return waited;
      waited += delay;
      now += delay;
      REQUIRE(on(EventType::elapsed) == ActionType::look_up);
    }
  }
};

}  // namespace

TEST_CASE("a job goes from intent to stored clip with one POST") {
  Play play;
  play.until_succeeded();
  CHECK(play.on(EventType::done) == ActionType::download);
  CHECK(play.on(EventType::downloaded) == ActionType::record_file);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::stored);
}

TEST_CASE("the intent is on disk and marked before the POST") {
  Play play;
  CHECK(play.on(EventType::start) == ActionType::write_intent);
  CHECK(play.claimed(StepState::intended) == ActionType::mark_sending);
  CHECK(play.on(EventType::ledger_failed) == ActionType::release);  // whoever asks next may have it
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
}

TEST_CASE("what the ledger says decides how a run begins") {
  struct Row {
    StepState claimed;
    ActionType then;
    Phase phase;
    bool foreign = false;
  };
  const Row rows[] = {
      {StepState::intended, ActionType::mark_sending, Phase::intended},
      {StepState::sending, ActionType::look_up, Phase::looking_up},
      {StepState::sending, ActionType::wait, Phase::foreign, true},
      {StepState::accepted, ActionType::get, Phase::accepted},
      {StepState::succeeded, ActionType::download, Phase::succeeded},
      {StepState::failed, ActionType::rest, Phase::failed},
      {StepState::ambiguous, ActionType::look_up, Phase::looking_up},
  };
  for (const Row& row : rows) {
    Play play;
    play.on(EventType::start);
    CAPTURE(static_cast<int>(row.claimed));
    CHECK(play.on(Event{.type = EventType::claimed, .step = row.claimed, .foreign = row.foreign}) ==
          row.then);
    CHECK(play.state.phase == row.phase);
  }
}

TEST_CASE("a request that a person was asked about is searched for again once look-ups work") {
  Play play;
  play.on(EventType::start);
  CHECK(play.claimed(StepState::ambiguous) == ActionType::look_up);
  CHECK(play.on(EventType::not_found) == ActionType::probe_look_up);
  const Play unknown = play;
  for (const Known works : {Known::no, Known::unknown}) {
    play = unknown;
    CHECK(play.on(Event{.type = EventType::probed, .works = works}) == ActionType::rest);
    CHECK(play.state.phase == Phase::ambiguous);
  }
  play = unknown;
  CHECK(play.on(Event{.type = EventType::probed, .works = Known::yes}) == ActionType::revisit);
  CHECK(play.claimed(StepState::sending) == ActionType::look_up);
  CHECK(play.on(EventType::not_found) == ActionType::wait);  // as if its answer had just been lost
}

TEST_CASE("a lost answer is adopted when the look-up finds it") {
  Play play;
  play.until_posted();
  CHECK(play.on(EventType::lost) == ActionType::look_up);
  CHECK(play.on(EventType::not_found) == ActionType::wait);
  CHECK(play.on(EventType::elapsed) == ActionType::look_up);
  CHECK(play.seen(EventType::accepted, api::TaskState::running) == ActionType::record_accepted);
  CHECK(play.on(EventType::done) == ActionType::wait);
  CHECK(play.state.phase == Phase::accepted);
}

TEST_CASE("a lost answer is repeated only where look-ups are known to work") {
  struct Row {
    Known known;
    Known probe;
    ActionType end;
  };
  const Row rows[] = {{Known::unknown, Known::yes, ActionType::mark_sending},
                      {Known::unknown, Known::no, ActionType::ask},
                      {Known::unknown, Known::unknown, ActionType::ask},
                      {Known::yes, Known::yes, ActionType::mark_sending},
                      {Known::no, Known::no, ActionType::ask}};
  for (const Row& row : rows) {
    Play play;
    play.state.lookup = row.known;
    play.until_posted();
    CHECK(play.on(EventType::lost) == ActionType::look_up);
    ActionType then = ActionType::rest;
    const Millis waited = play.search_in_vain(then);
    if (row.known == Known::no) {
      CHECK(waited == 0);  // patience is of no use there
    } else {
      CHECK(waited == play.policy.patience);
    }
    if (row.known == Known::unknown) {
      CHECK(then == ActionType::probe_look_up);
      then = play.on(Event{.type = EventType::probed, .works = row.probe});
    }
    CHECK(then == row.end);
    if (then == ActionType::ask) {
      CHECK(play.on(EventType::done) == ActionType::rest);
      CHECK(play.state.phase == Phase::ambiguous);
    }
  }
}

TEST_CASE("a look-up that answers with another task proves nothing, and nothing is repeated") {
  for (const Known known : {Known::unknown, Known::yes}) {
    Play play;
    play.state.lookup = known;
    play.until_posted();
    CHECK(play.on(EventType::lost) == ActionType::look_up);
    CHECK(play.on(Event{.type = EventType::not_found, .works = Known::no}) == ActionType::ask);
    CHECK(play.on(EventType::done) == ActionType::rest);
    CHECK(play.state.phase == Phase::ambiguous);
  }
}

TEST_CASE("an outage during the search costs no patience") {
  Play play;
  play.until_posted();
  play.on(EventType::lost);
  for (int i = 0; i < 100; ++i) {
    CHECK(play.on(EventType::unreachable) == ActionType::wait);
    CHECK(play.delay <= 30'000);
    play.now += play.delay;
    CHECK(play.on(EventType::elapsed) == ActionType::look_up);
  }
  CHECK(play.state.searched == 0);
}

TEST_CASE("lost means ask stops without looking or repeating") {
  Play play;
  play.policy.ask = true;
  play.until_posted();
  CHECK(play.on(EventType::lost) == ActionType::ask);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::ambiguous);
}

TEST_CASE("a plain request is never looked up or repeated") {
  Play play;
  play.policy.poll = false;
  play.until_posted();
  CHECK(play.on(EventType::lost) == ActionType::ask);
  Play answered;
  answered.policy.poll = false;
  answered.until_posted();
  CHECK(answered.seen(EventType::accepted, api::TaskState::succeeded) ==
        ActionType::record_accepted);
  CHECK(answered.on(EventType::done) == ActionType::record_result);
  CHECK(answered.on(EventType::done) == ActionType::rest);
  CHECK(answered.state.phase == Phase::stored);
}

TEST_CASE("a duplicate id proves the first request and is never sent again") {
  Play play;
  play.until_posted();
  CHECK(play.on(EventType::duplicate) == ActionType::look_up);
  play.state.lookup = Known::yes;
  ActionType then = ActionType::rest;
  play.search_in_vain(then);
  CHECK(then == ActionType::ask);

  Play own;  // the user's id may belong to another task
  own.policy.own_external_id = true;
  own.until_posted();
  CHECK(own.on(EventType::duplicate) == ActionType::record_failure);
}

TEST_CASE("a refusal without a known reason is one only when a look-up finds nothing") {
  for (const EventType found : {EventType::accepted, EventType::not_found, EventType::denied}) {
    for (const int unanswered : {0, 3}) {
      CAPTURE(static_cast<int>(found));
      CAPTURE(unanswered);
      Play play;
      play.state.lookup = Known::yes;  // and all the same it is not sent again
      play.until_posted();
      CHECK(play.on(EventType::unnamed) == ActionType::look_up);
      for (int i = 0; i < unanswered; ++i) {  // which says nothing: it is looked up again
        CHECK(play.on(EventType::unreachable) == ActionType::wait);
        play.now += play.delay;
        CHECK(play.on(EventType::elapsed) == ActionType::look_up);
      }
      CHECK(play.on(found) == (found == EventType::accepted ? ActionType::record_accepted
                                                            : ActionType::record_failure));
    }
  }
  Play plain;
  plain.policy.poll = false;  // of kling.request: there is nothing to look up
  plain.until_posted();
  CHECK(plain.on(EventType::unnamed) == ActionType::record_failure);
}

TEST_CASE("a refusal without a known reason that nobody can look up is decided by a person") {
  for (const bool ask : {true, false}) {
    CAPTURE(ask);
    Play play;
    play.policy.ask = ask;
    play.until_posted();
    CHECK(play.on(EventType::unnamed) == ActionType::look_up);
    const Millis began = play.now;
    while (play.on(EventType::unreachable) == ActionType::wait) {
      play.now += play.delay;
      REQUIRE(play.now < began + 2 * play.policy.patience);
      REQUIRE(play.on(EventType::elapsed) == ActionType::look_up);
    }
    CHECK((play.now - began >= play.policy.patience) == !ask);
    CHECK(play.state.last == ActionType::ask);
    CHECK(play.on(EventType::done) == ActionType::rest);
    CHECK(play.state.phase == Phase::ambiguous);
    // Asked again, it is looked up once more, as any that a person is to decide.
    CHECK(play.on(EventType::start) == ActionType::revisit);
    play.state.lookup = Known::yes;
    if (play.claimed(StepState::ambiguous) == ActionType::look_up)
      CHECK(play.on(EventType::not_found) == ActionType::rest);
    CHECK(play.state.phase == Phase::ambiguous);
  }
}

TEST_CASE("while an earlier POST may exist no refusal of a repetition is a failure") {
  for (const EventType refusal :
       {EventType::refused, EventType::unnamed, EventType::duplicate, EventType::lost}) {
    for (const bool explained : {true, false}) {
      CAPTURE(static_cast<int>(refusal));
      Play play;
      play.state.lookup = Known::yes;
      play.policy.own_external_id = explained;
      play.until_posted();
      REQUIRE(play.on(EventType::lost) == ActionType::look_up);
      ActionType then = ActionType::rest;
      play.search_in_vain(then);
      REQUIRE(then == ActionType::mark_sending);
      REQUIRE(play.on(EventType::done) == ActionType::post);
      CHECK(play.on(Event{.type = refusal, .explained = explained}) == ActionType::look_up);
      play.search_in_vain(then);
      // Lost once more is as before; what was refused is not made a third time.
      CHECK(then == (refusal == EventType::lost ? ActionType::mark_sending : ActionType::ask));
    }
  }
}

TEST_CASE("a refusal is final") {
  Play play;
  play.until_posted();
  CHECK(play.on(EventType::refused) == ActionType::record_failure);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::failed);
}

TEST_CASE("a request that was not accepted is unmarked before its pause") {
  Play play;
  play.until_posted();
  CHECK(play.on(Event{.type = EventType::rate_limited, .delay = 7'000}) ==
        ActionType::clear_sending);
  CHECK(play.on(EventType::done) == ActionType::wait);
  CHECK(play.delay >= 7'000);
  CHECK(play.state.phase == Phase::intended);
  CHECK(play.on(EventType::elapsed) == ActionType::mark_sending);
  CHECK(play.on(EventType::done) == ActionType::post);
}

TEST_CASE("pauses between tries are at least a second and grow") {
  Play play;
  play.until_posted();
  Millis before = 0;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(play.on(EventType::rate_limited) == ActionType::clear_sending);
    REQUIRE(play.on(EventType::done) == ActionType::wait);
    CHECK(play.delay >= 1'000);
    CHECK(play.delay >= before);
    before = play.delay;
    play.now += play.delay;
    play.on(EventType::elapsed);
    REQUIRE(play.on(EventType::done) == ActionType::post);
  }
}

TEST_CASE("an anonymous 429 ends after ten minutes and a known one after an hour") {
  for (const bool explained : {false, true}) {
    Play play;
    play.until_posted();
    const Millis from = play.now;
    for (;;) {
      const ActionType action =
          play.on(Event{.type = EventType::rate_limited, .explained = explained});
      if (action == ActionType::record_failure) break;
      REQUIRE(action == ActionType::clear_sending);
      play.on(EventType::done);
      play.now += play.delay;
      play.on(EventType::elapsed);
      REQUIRE(play.on(EventType::done) == ActionType::post);
    }
    const Millis took = play.now - from;
    const Millis window = explained ? 3'600'000 : 600'000;
    CHECK(took >= window);
    CHECK(took < window + 120'000);
  }
}

TEST_CASE("trouble is borne for exactly as long as its window") {
  struct Row {
    Event trouble;
    Millis window;
  };
  for (const Row& row : {Row{{.type = EventType::rate_limited, .explained = false}, 600'000},
                         Row{{.type = EventType::rate_limited, .explained = true}, 3'600'000},
                         Row{{.type = EventType::not_sent, .retryable = true}, 60'000}}) {
    CAPTURE(row.window);
    Play play;
    play.until_posted();
    const Millis began = play.now;
    for (const Millis lasted : {Millis(0), Millis(1), row.window - 1}) {
      play.now = began + lasted;
      REQUIRE(play.on(row.trouble) == ActionType::clear_sending);
      REQUIRE(play.on(EventType::done) == ActionType::wait);
      REQUIRE(play.on(EventType::elapsed) == ActionType::mark_sending);
      REQUIRE(play.on(EventType::done) == ActionType::post);
    }
    play.now = began + row.window;
    const bool unsent = row.trouble.type == EventType::not_sent;
    CHECK(play.on(row.trouble) ==
          (unsent ? ActionType::clear_sending : ActionType::record_failure));
    CHECK(play.on(EventType::done) == (unsent ? ActionType::release : ActionType::rest));
  }
  Play play;  // what was accepted is to reach the disk
  play.until_posted();
  REQUIRE(play.seen(EventType::accepted, api::TaskState::queued) == ActionType::record_accepted);
  const Millis began = play.now;
  for (const Millis lasted : {0, 1, 59'999}) {
    play.now = began + lasted;
    REQUIRE(play.on(EventType::ledger_failed) == ActionType::wait);
    CHECK(play.delay == 5'000);
    REQUIRE(play.on(EventType::elapsed) == ActionType::record_accepted);
  }
  play.now = began + 60'000;
  CHECK(play.on(EventType::ledger_failed) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
}

TEST_CASE("the pauses between tries double up to what each trouble allows") {
  using Pauses = std::vector<Millis>;
  const auto again = [](Play& play, EventType trouble, std::size_t times) {
    Pauses pauses;
    while (pauses.size() < times) {
      if (play.on(trouble) != ActionType::wait)
        REQUIRE(play.on(EventType::done) == ActionType::wait);
      pauses.push_back(play.delay);
      CHECK(play.least == 1'000);
      if (play.on(EventType::elapsed) == ActionType::mark_sending) play.on(EventType::done);
    }
    return pauses;
  };
  Play busy;
  busy.until_posted();
  CHECK(again(busy, EventType::rate_limited, 7) ==
        Pauses{2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000});
  Play away;
  away.until_posted();
  Pauses pauses;
  for (int i = 0; i < 5; ++i) {
    REQUIRE(away.on(Event{.type = EventType::not_sent, .retryable = true}) ==
            ActionType::clear_sending);
    away.on(EventType::done);
    pauses.push_back(away.delay);
    away.on(EventType::elapsed);
    away.on(EventType::done);
  }
  CHECK(pauses == Pauses{2'000, 4'000, 8'000, 10'000, 10'000});
  Play polled;
  polled.until_accepted();
  polled.on(EventType::elapsed);
  CHECK(again(polled, EventType::unreachable, 6) ==
        Pauses{2'000, 4'000, 8'000, 16'000, 30'000, 30'000});
  Play lost;
  lost.until_posted();
  lost.on(EventType::lost);
  CHECK(again(lost, EventType::unreachable, 6) ==
        Pauses{2'000, 4'000, 8'000, 16'000, 30'000, 30'000});
  Play stored;
  stored.until_succeeded();
  stored.on(EventType::done);
  const Pauses downloads = again(stored, EventType::unreachable, 11);
  CHECK(downloads[8] == 512'000);
  CHECK(downloads[9] == 600'000);
  CHECK(downloads[10] == 600'000);

  // What is asked for and not found: half as long again as it has been searched for.
  Play searched;
  searched.policy.patience = 200'000;
  searched.until_posted();
  searched.on(EventType::lost);
  pauses.clear();
  while (searched.on(EventType::not_found) == ActionType::wait) {
    pauses.push_back(searched.delay);
    CHECK(searched.least < 0);
    searched.on(EventType::elapsed);
  }
  REQUIRE(pauses.size() > 12);
  CHECK(Pauses(pauses.begin(), pauses.begin() + 6) ==
        Pauses{2'000, 2'000, 2'000, 3'000, 4'500, 6'750});
  CHECK(*std::max_element(pauses.begin(), pauses.end()) == 30'000);
  CHECK(std::accumulate(pauses.begin(), pauses.end(), Millis(0)) == 200'000);

  Play foreign;
  foreign.on(EventType::start);
  CHECK(
      foreign.on(Event{.type = EventType::claimed, .step = StepState::sending, .foreign = true}) ==
      ActionType::wait);
  CHECK(foreign.delay == 1'000);
}

TEST_CASE("a clip without an address, or with one that has expired, is asked for five times more") {
  Play polled;
  polled.until_accepted();
  const Event gap{.type = EventType::polled, .task = api::TaskState::succeeded, .gap = true};
  for (int round = 0; round < 2; ++round) {
    polled.on(EventType::start);
    for (int i = 0; i < 5; ++i) {
      REQUIRE(polled.on(gap) == ActionType::wait);
      REQUIRE(polled.on(EventType::elapsed) == ActionType::get);
    }
    CHECK(polled.on(gap) == ActionType::rest);
    CHECK(polled.state.phase == Phase::paused);
  }

  Play stored;
  stored.until_succeeded();
  REQUIRE(stored.on(EventType::done) == ActionType::download);
  for (int round = 0; round < 2; ++round) {
    REQUIRE(stored.on(EventType::expired) == ActionType::get);  // at once, then with pauses
    REQUIRE(stored.seen(EventType::polled, api::TaskState::succeeded) == ActionType::download);
    for (int i = 0; i < 4; ++i) {
      REQUIRE(stored.on(EventType::expired) == ActionType::wait);
      CHECK(stored.delay == std::min(10'000, 2'000 << i));
    }
    CHECK(stored.on(EventType::expired) == ActionType::rest);
    CHECK(stored.state.phase == Phase::succeeded);
    stored.on(EventType::start);
  }
}

TEST_CASE("an accepted task that is not found is waited for until it must be registered") {
  Play play;
  play.until_accepted();
  const Millis accepted = play.now;
  for (const Millis later : {Millis(0), kRegistrationTime - 1}) {
    play.now = accepted + later;
    REQUIRE(play.on(EventType::elapsed) == ActionType::get);
    REQUIRE(play.on(EventType::not_found) == ActionType::wait);
    CHECK(play.delay == kPollDelay);
  }
  play.now = accepted + kRegistrationTime;
  REQUIRE(play.on(EventType::elapsed) == ActionType::get);
  CHECK(play.on(EventType::not_found) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
}

TEST_CASE("without a network the request stays recorded as never sent") {
  Play play;
  play.until_posted();
  for (int i = 0; i < 100; ++i) {
    REQUIRE(play.on(Event{.type = EventType::not_sent, .retryable = true}) ==
            ActionType::clear_sending);
    if (play.on(EventType::done) == ActionType::release) break;
    play.now += play.delay;
    play.on(EventType::elapsed);
    REQUIRE(play.on(EventType::done) == ActionType::post);
  }
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.on(EventType::start) == ActionType::revisit);  // somebody waits again
}

TEST_CASE("a bad certificate is told at once") {
  Play play;
  play.until_posted();
  CHECK(play.on(Event{.type = EventType::not_sent, .retryable = false}) ==
        ActionType::clear_sending);
  CHECK(play.on(EventType::done) == ActionType::release);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
}

TEST_CASE("polling survives any outage") {
  Play play;
  play.until_accepted();
  for (int i = 0; i < 1000; ++i) {
    CHECK(play.on(EventType::elapsed) == ActionType::get);
    CHECK(play.on(EventType::unreachable) == ActionType::wait);
    CHECK(play.delay <= 30'000);
    play.now += play.delay;
  }
  CHECK(play.on(EventType::elapsed) == ActionType::get);
  CHECK(play.seen(EventType::polled, api::TaskState::succeeded) == ActionType::record_result);
}

TEST_CASE("a missing task means nothing in its first minute and pauses the wait after it") {
  Play play;
  play.until_accepted();
  play.on(EventType::elapsed);
  CHECK(play.on(EventType::not_found) == ActionType::wait);
  play.now += 61'000;
  play.on(EventType::elapsed);
  CHECK(play.on(EventType::not_found) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.on(EventType::start) == ActionType::get);  // it stays resumable
}

TEST_CASE("a key that is refused pauses the wait and not the job") {
  Play play;
  play.until_accepted();
  play.on(EventType::elapsed);
  CHECK(play.on(EventType::denied) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.on(EventType::start) == ActionType::get);
}

TEST_CASE("a lost answer that cannot be looked for is left to whoever asks next") {
  Play play;
  play.until_posted();
  CHECK(play.on(EventType::lost) == ActionType::look_up);
  CHECK(play.on(EventType::denied) == ActionType::release);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.on(EventType::start) == ActionType::revisit);
  CHECK(play.claimed(StepState::sending) == ActionType::look_up);
}

TEST_CASE("succeeded without an address is asked again a few times") {
  Play play;
  play.until_accepted();
  int polls = 0;
  for (;;) {
    play.on(EventType::elapsed);
    ++polls;
    if (play.on(Event{.type = EventType::polled, .task = api::TaskState::succeeded, .gap = true}) ==
        ActionType::rest)
      break;
  }
  CHECK(polls == 6);
  CHECK(play.state.phase == Phase::paused);
}

TEST_CASE("a create that is already over is recorded without a poll") {
  Play done;
  done.until_posted();
  CHECK(done.seen(EventType::accepted, api::TaskState::succeeded) == ActionType::record_accepted);
  CHECK(done.on(EventType::done) == ActionType::record_result);
  Play failed;
  failed.until_posted();
  CHECK(failed.seen(EventType::accepted, api::TaskState::failed) == ActionType::record_accepted);
  CHECK(failed.on(EventType::done) == ActionType::record_failure);
}

TEST_CASE("an expired address is replaced by a fresh one") {
  Play play;
  play.until_succeeded();
  play.on(EventType::done);
  CHECK(play.on(EventType::expired) == ActionType::get);
  CHECK(play.seen(EventType::polled, api::TaskState::succeeded) == ActionType::download);
  CHECK(play.on(EventType::downloaded) == ActionType::record_file);
}

TEST_CASE("a clip that is gone for good is given up after half a minute and fresh addresses") {
  Play play;
  play.until_succeeded();
  play.on(EventType::done);
  CHECK(play.on(EventType::expired) == ActionType::get);
  CHECK(play.seen(EventType::polled, api::TaskState::succeeded) == ActionType::download);
  Millis waited = 0;
  int fresh = 1;
  ActionType then = play.on(EventType::expired);
  for (; then == ActionType::wait; then = play.on(EventType::expired)) {
    REQUIRE(waited < 60'000);
    waited += play.delay;
    play.now += play.delay;
    if (play.on(EventType::elapsed) == ActionType::download) continue;
    CHECK(play.seen(EventType::polled, api::TaskState::succeeded) == ActionType::download);
    ++fresh;
  }
  CHECK(then == ActionType::rest);
  CHECK(play.state.phase == Phase::succeeded);
  CHECK(waited > 15'000);
  CHECK(fresh >= 3);
}

TEST_CASE("a clip that cannot be stored leaves the job succeeded") {
  for (const EventType trouble :
       {EventType::disk_failed, EventType::not_found, EventType::denied}) {
    Play play;
    play.until_succeeded();
    play.on(EventType::done);
    CHECK(play.on(trouble) == ActionType::rest);
    CHECK(play.state.phase == Phase::succeeded);
    CHECK(play.on(EventType::start) == ActionType::download);
  }
}

TEST_CASE("a download that fails goes on for as long as the outage lasts") {
  Play play;
  play.until_succeeded();
  play.on(EventType::done);
  int downloads = 0;
  int gets = 0;
  for (int i = 0; i < 100; ++i) {
    REQUIRE(play.on(EventType::unreachable) == ActionType::wait);
    const ActionType then = play.on(EventType::elapsed);
    downloads += then == ActionType::download ? 1 : 0;
    gets += then == ActionType::get ? 1 : 0;
  }
  CHECK(downloads == 50);
  CHECK(gets == 50);  // the host may be gone: a fresh address
}

TEST_CASE("what the service told is recorded again when the ledger failed") {
  Play play;
  play.until_posted();
  CHECK(play.seen(EventType::accepted, api::TaskState::queued) == ActionType::record_accepted);
  CHECK(play.on(EventType::ledger_failed) == ActionType::wait);
  CHECK(play.on(EventType::elapsed) == ActionType::record_accepted);
  CHECK(play.on(EventType::done) == ActionType::wait);
  CHECK(play.state.phase == Phase::accepted);
}

TEST_CASE("a ledger that stays broken pauses the job with its news") {
  Play play;
  play.until_posted();
  play.seen(EventType::accepted, api::TaskState::queued);
  while (play.on(EventType::ledger_failed) == ActionType::wait) {
    play.now += play.delay;
    REQUIRE(play.on(EventType::elapsed) == ActionType::record_accepted);
  }
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.on(EventType::start) == ActionType::record_accepted);
}

TEST_CASE("after Ctrl-C nothing new is sent") {
  Play play;
  play.on(EventType::start);
  play.claimed(StepState::intended);
  CHECK(play.on(EventType::stopped) == ActionType::release);
  CHECK(play.on(EventType::done) == ActionType::rest);
  CHECK(play.state.phase == Phase::paused);
  CHECK(play.state.before == Phase::intended);
}

TEST_CASE("without a free slot a request waits as recorded and is then sent") {
  Play play;
  play.on(EventType::start);
  play.claimed(StepState::intended);
  CHECK(play.on(EventType::no_slot) == ActionType::wait);
  CHECK(play.delay == kSlotDelay);
  CHECK(play.state.phase == Phase::intended);
  CHECK(play.on(EventType::elapsed) == ActionType::mark_sending);
  CHECK(play.on(EventType::done) == ActionType::post);
}

TEST_CASE("a wait for a slot does not use up the time in which a refusal is repeated") {
  Play play;
  play.until_posted();
  play.on(Event{.type = EventType::rate_limited, .explained = true});
  play.on(EventType::done);
  play.on(EventType::elapsed);
  play.on(EventType::no_slot);
  play.now += 2 * 3'600'000;
  play.on(EventType::elapsed);
  play.on(EventType::done);
  CHECK(play.on(Event{.type = EventType::rate_limited, .explained = true}) ==
        ActionType::clear_sending);
}

namespace {

/// A service and a ledger that outlive the client's crashes.
struct World {
  bool looks_up = false;  // finds tasks by external id
  bool unique = false;    // refuses an id that exists
  int accepted = 0;
  bool finished = false;
  StepState ledger = StepState::intended;
  bool stored = false;
  bool intent = false;
  Known known = Known::unknown;
  bool stopped_for_person = false;
};

/// What the world answers to an action, with faults drawn from `random`.
Event answer(World& world, ActionType action, std::mt19937& random) {
  const auto chance = [&random](int percent) { return static_cast<int>(random() % 100) < percent; };
  switch (action) {
    case ActionType::write_intent: {
      const Event event{.type = EventType::claimed, .step = world.ledger};
      world.intent = true;
      return event;
    }
    case ActionType::mark_sending:
      world.ledger = StepState::sending;
      return {.type = EventType::done};
    case ActionType::clear_sending:
      world.ledger = StepState::intended;
      return {.type = EventType::done};
    case ActionType::post: {
      if (chance(15)) return {.type = EventType::not_sent, .retryable = true};
      if (chance(10)) return {.type = EventType::rate_limited};
      if (chance(15)) return {.type = EventType::lost};  // on the way there
      if (world.unique && world.accepted > 0) return {.type = EventType::duplicate};
      ++world.accepted;
      if (chance(40)) return {.type = EventType::lost};  // on the way back
      return {.type = EventType::accepted, .task = api::TaskState::queued};
    }
    case ActionType::look_up:
      if (chance(20)) return {.type = EventType::unreachable};
      if (world.looks_up && world.accepted > 0)
        return {.type = EventType::accepted, .task = api::TaskState::running};
      return {.type = EventType::not_found};
    case ActionType::probe_look_up:
      if (chance(20)) return {.type = EventType::unreachable};
      if (chance(20)) return {.type = EventType::probed, .works = Known::unknown};
      world.known = world.looks_up ? Known::yes : Known::no;
      return {.type = EventType::probed, .works = world.known};
    case ActionType::record_accepted:
      world.ledger = StepState::accepted;
      return {.type = EventType::done};
    case ActionType::get:
      if (chance(20)) return {.type = EventType::unreachable};
      world.finished = chance(30);
      return {.type = EventType::polled,
              .task = world.finished ? api::TaskState::succeeded : api::TaskState::running};
    case ActionType::record_result:
      world.ledger = StepState::succeeded;
      return {.type = EventType::done};
    case ActionType::record_failure:
      world.ledger = StepState::failed;
      return {.type = EventType::done};
    case ActionType::ask: world.ledger = StepState::ambiguous; return {.type = EventType::done};
    case ActionType::download:
      return {.type = chance(20) ? EventType::expired : EventType::downloaded};
    case ActionType::record_file: world.stored = true; return {.type = EventType::done};
    default: return {.type = EventType::elapsed};
  }
}

}  // namespace

TEST_CASE("no order of faults and crashes makes the service accept twice") {
  std::mt19937 random(20261121);
  int finished = 0;
  int asked = 0;
  for (int walk = 0; walk < 20'000; ++walk) {
    World world;
    world.looks_up = walk % 2 == 0;
    world.unique = walk % 3 == 0;
    JobPolicy policy;
    Millis now = 1;
    bool over = false;
    for (int life = 0; life < 12 && !over; ++life) {
      JobState state;
      state.lookup = world.known;
      Event event{.type = EventType::start};
      for (int i = 0; i < 200; ++i) {
        event.now = ++now;
        const Transition step = next(state, event, policy);
        state = step.state;
        if (step.action.type == ActionType::rest) {
          over = state.phase == Phase::stored || state.phase == Phase::ambiguous ||
                 state.phase == Phase::failed;
          break;
        }
        if (step.action.type == ActionType::wait && step.action.delay > 0) now += step.action.delay;
        if (random() % 40 == 0) break;  // killed before the action
        event = answer(world, step.action.type, random);
        if (random() % 40 == 0) break;  // killed after it
      }
    }
    CAPTURE(walk);
    REQUIRE(world.accepted <= 1);
    finished += world.stored ? 1 : 0;
    asked += world.ledger == StepState::ambiguous ? 1 : 0;
    if (world.stored) REQUIRE(world.accepted == 1);
  }
  CHECK(finished > 10'000);  // the walks do arrive
  CHECK(asked > 100);
}

TEST_CASE("a refused create is repeated after a random time of at least a second that grows") {
  Play play;
  play.until_posted();
  Millis most = 0;
  for (int i = 0; i < 6; ++i) {
    play.on(Event{.type = EventType::rate_limited, .explained = true});
    CHECK(play.on(EventType::done) == ActionType::wait);
    CHECK(play.least == 1'000);
    CHECK(play.delay > most);
    most = play.delay;
    play.on(EventType::elapsed);
    play.on(EventType::done);
  }
  CHECK(most == 60'000);
  play.on(Event{.type = EventType::rate_limited, .explained = true, .delay = 90'000});
  play.on(EventType::done);
  CHECK(play.least == 90'000);  // Retry-After is never cut short
  CHECK(play.delay == 90'000);
}
