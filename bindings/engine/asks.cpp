#include "engine/asks.h"

#include <algorithm>
#include <tuple>

namespace kling::engine {
namespace {

struct Rows {
  std::vector<Attempt>::const_iterator first, last;
  const Attempt& newest() const { return *std::prev(last); }
};

Rows step_of(const std::vector<Attempt>& rows, const Attempt& row) {
  return {std::ranges::lower_bound(rows, row.ordinal, {}, &Attempt::ordinal),
          std::ranges::upper_bound(rows, row.ordinal, {}, &Attempt::ordinal)};
}

/// What an ask gets that may have the step from `from` on: the first attempt that counts.
Choice from(const Rows& step, std::vector<Attempt>::const_iterator from, bool again) {
  const auto counts = [again](const Attempt& row) {
    return row.state != StepState::failed || (!again && (row.kept || row.abandoned));
  };
  const auto found = std::find_if(from, step.last, counts);
  if (found != step.last) return {.id = found->id};
  return {.id = step.newest().id, .next_attempt = true};
}

}  // namespace

bool is_kept(Kind kind) {
  return kind == Kind::policy || kind == Kind::invalid || kind == Kind::task_failed;
}

// Not by recursion: a script may catch a hundred thousand errors.
Raised::~Raised() {
  while (before && before.use_count() == 1) {
    auto older = std::const_pointer_cast<Raised>(before);
    before = std::exchange(older->before, nullptr);
  }
}

std::vector<Caught> caught(const Story& story) {
  std::vector<Caught> found;
  for (const Raised* entry = story.get(); entry != nullptr && !entry->told;
       entry = entry->before.get()) {
    const bool failed = is_kept(entry->kind) || entry->kind == Kind::interrupted;
    if (!failed && entry->kind != Kind::timeout) continue;
    if (!entry->ask->ready || entry->ask->script.empty()) continue;
    // Who was told a failure was told no time-out, though others may have been.
    found.push_back({entry->ask.get(), failed, failed ? 0 : entry->timeouts});
  }
  return found;
}

Choice choose(const std::vector<Attempt>& rows, std::int64_t recorded, const Asking& asking) {
  const auto find = [&](std::int64_t id) { return std::ranges::find(rows, id, &Attempt::id); };
  if (const auto row = find(recorded); row != rows.end()) {
    const Rows step = step_of(rows, *row);
    Choice choice = from(step, row, asking.again);
    // What it follows from is used up, as in the recorded run.
    for (const std::int64_t id : asking.story)
      if (const auto raised = find(id);
          choice.follows == 0 && raised != rows.end() && raised->ordinal == row->ordinal)
        choice.follows = id;
    int asks = 0;
    for (auto one = step.first; one != step.last; ++one) asks += one->recorded;
    // A run beside this one has taken it from another ask, which this run has answered with it.
    const bool taken = asks == 1 && asking.given.contains(row->ordinal) && choice.follows == 0;
    if (!taken) return choice;
  }

  for (const std::int64_t id : asking.story) {
    const auto row = find(id);
    if (row == rows.end()) continue;
    const Rows step = step_of(rows, *row);
    // What was caught is asked once more; an abandoned request only on a person's word.
    const bool failed = row->state == StepState::failed && !(row->abandoned && !asking.again);
    Choice choice = from(step, failed ? std::next(row) : row, asking.again);
    choice.follows = id;
    return choice;
  }
  if (asking.script.empty()) return {};

  Attempt best;  // the newest attempt of its step, with what any of them says
  const auto rank = [](const Attempt& row) {
    return std::tuple(row.replaced, row.recorded > 0, row.state == StepState::failed, !row.exact,
                      row.ordinal);
  };
  for (auto row = rows.begin(); row != rows.end();) {
    const Rows step = step_of(rows, *row);
    row = step.last;
    Attempt facts = step.newest();
    for (auto one = step.first; one != step.last; ++one) {
      facts.recorded = std::max(facts.recorded, one->recorded);
      facts.replaced = facts.replaced || one->replaced;
      facts.kept = facts.kept || one->kept;
      facts.exact = facts.exact || one->exact;
    }
    // Another ask of this script goes on with a failure of it.
    if (asking.given.contains(facts.ordinal) || facts.kept) continue;
    if (best.id == 0 || rank(facts) < rank(best)) best = facts;
  }
  if (best.id == 0) return {};
  const Rows step = step_of(rows, best);
  Choice choice = from(step, std::prev(step.last), asking.again);
  choice.taken = best.recorded > 0;
  return choice;
}

}  // namespace kling::engine
