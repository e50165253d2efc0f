// The poll schedule against fixed intervals: how often it asks, and how late it notices.
#include "engine/poll_schedule.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <random>

#include <doctest/doctest.h>

using namespace kling;
using namespace kling::engine;

namespace {

constexpr int kJobs = 1'000;
constexpr const char* kClass = "text2video/kling-v2-6/std/5";

/// Over 1,000 jobs whose length is log-normal with sigma 0.3.
struct Cost {
  double gets = 0;       ///< a job
  double delay = 0;      ///< seconds until the end is noticed, mean
  double at_equal_gets;  ///< delay over that of a fixed interval with as many GETs
};

using Delay = std::function<Millis(Millis age)>;
using Ended = std::function<void(Millis took)>;

Cost poll_jobs(
    double median_seconds, const Delay& delay, const Ended& ended = [](Millis) {}) {
  std::mt19937 random(7);
  std::normal_distribution<double> spread(0, 0.3);
  Cost cost;
  double length = 0;
  for (int i = 0; i < kJobs; ++i) {
    const auto end = static_cast<Millis>(median_seconds * 1000 * std::exp(spread(random)));
    Millis age = 0, before = 0;
    do {
      before = age;
      age += delay(age);
      ++cost.gets;
    } while (age < end);
    cost.delay += static_cast<double>(age - end) / 1000;
    length += static_cast<double>(end) / 1000;
    // What the engine knows: the job ended between two looks.
    ended((before + age) / 2);
  }
  cost.gets /= kJobs;
  cost.delay /= kJobs;
  // A fixed interval d asks length / d times and is d / 2 late: their product does not depend on d.
  cost.at_equal_gets = cost.gets * cost.delay / (length / kJobs / 2);
  return cost;
}

Cost poll_fixed(double median_seconds, double interval) {
  return poll_jobs(median_seconds, [=](Millis) { return static_cast<Millis>(interval * 1000); });
}

/// Begins with the published average, whatever the truth is, and learns as the engine does.
Cost poll_learnt(double median_seconds) {
  Durations durations;
  return poll_jobs(
      median_seconds, [&](Millis age) { return poll_delay(durations.expect(kClass), age); },
      [&](Millis took) { durations.learn(kClass, took); });
}

void tell(const std::string& name, const Cost& cost) {
  MESSAGE(name << ": " << cost.gets << " GETs, " << cost.delay << " s late, " << cost.at_equal_gets
               << " of a fixed interval");
}

}  // namespace

TEST_CASE(
    "a job of five minutes takes at most twelve GETs and is noticed sooner than by a fixed "
    "interval") {
  const Cost ours = poll_learnt(300);
  tell("learnt", ours);
  CHECK(ours.gets <= 12);
  CHECK(ours.at_equal_gets <= 0.6);
  for (const double interval : {0.5, 3.0, 5.0, 10.0, 20.0}) {
    const Cost fixed = poll_fixed(300, interval);
    tell("fixed " + std::to_string(interval), fixed);
    CHECK(ours.gets * ours.delay < 0.6 * fixed.gets * fixed.delay);
    CHECK(ours.gets < fixed.gets);
  }
}

TEST_CASE("a wrong estimate is never worse than a fixed interval of ten seconds") {
  for (const double truth : {20.0, 60.0, 100.0, 150.0, 600.0, 1500.0, 4000.0}) {
    CAPTURE(truth);
    const Cost ours = poll_learnt(truth);
    const Cost fixed = poll_fixed(truth, 10);
    tell("truth " + std::to_string(truth), ours);
    tell("fixed", fixed);
    CHECK(ours.gets * ours.delay <= fixed.gets * fixed.delay);
    CHECK((ours.gets < fixed.gets || ours.delay < fixed.delay));
  }
}

TEST_CASE("without anything learnt the published averages hold and a longer clip takes longer") {
  const Durations durations;
  CHECK(durations.expect("text2video/kling-v2-6/std/5").median == 319'000);
  CHECK(durations.expect("image2video/kling-v2-6/std/5").median == 164'000);
  CHECK(durations.expect("text2video/kling-v2-6/std/10").median > 500'000);
  CHECK(durations.expect("omni/kling-video-o1//").median == 319'000);
}

TEST_CASE("the very first job is noticed in time though the published average is far off") {
  const Durations durations;
  for (const Millis end : {15'000LL, 60'000LL, 300'000LL, 2'000'000LL}) {
    Millis age = 0;
    int gets = 0;
    for (; age < end; ++gets) age += poll_delay(durations.expect(kClass), age);
    CHECK(age - end <= std::max<Millis>(10'000, end / 3));
    CHECK(gets <= end / 10'000 + 1);
  }
}

namespace {

/// Jobs that begin at once with nothing learnt, asked as the engine asks: what is learnt of one
/// brings the others' looks forward.
struct Batch {
  int gets = 0;
  double median = 0, worst = 0;  ///< seconds until an end is noticed
};

Batch poll_batch(const std::vector<Millis>& ends, bool replans = true) {
  struct Running {
    Millis end, due, before = 0;
  };
  Durations durations;
  std::mt19937 random(11);
  const auto between = [&](Millis least, Millis most) {
    return std::uniform_int_distribution<Millis>(least, most)(random);
  };
  std::vector<Running> running;
  for (const Millis end : ends)
    running.push_back({end, first_look(durations.expect(kClass), between(0, 1'000))});
  Batch batch;
  std::vector<double> late;
  while (!running.empty()) {
    const auto next = std::ranges::min_element(running, {}, &Running::due);
    const Millis now = next->due;
    ++batch.gets;
    if (now < next->end) {
      next->before = now;
      durations.learn_open(kClass, now);
      const Millis delay = poll_delay(durations.expect(kClass), now);
      next->due = now + between(delay - delay / 10, delay + delay / 10);
      continue;
    }
    late.push_back(static_cast<double>(now - next->end) / 1000);
    const bool sooner = durations.learn(kClass, (next->before + now) / 2);
    running.erase(next);
    if (sooner && replans)
      for (Running& other : running)
        other.due = std::min(other.due, now + poll_delay(durations.expect(kClass), now));
  }
  std::ranges::sort(late);
  batch.median = late[late.size() / 2];
  batch.worst = late.back();
  return batch;
}

std::vector<Millis> ends_of(int count, const std::function<double(std::mt19937&, int)>& seconds) {
  std::mt19937 random(5);
  std::vector<Millis> ends;
  for (int i = 0; i < count; ++i) ends.push_back(static_cast<Millis>(1000 * seconds(random, i)));
  return ends;
}

}  // namespace

TEST_CASE("jobs that run at once learn from each other, whatever their lengths are like") {
  const auto log_normal = [](double median, double sigma) {
    return [=](std::mt19937& random, int) {
      return median * std::exp(std::normal_distribution<double>(0, sigma)(random));
    };
  };
  const struct {
    std::string name;
    std::vector<Millis> ends;
    double gets, median, worst;  ///< at most, a job; seconds
  } kBatches[] = {
      {"3 to 18 s",
       ends_of(100, [](std::mt19937& random,
                       int) { return std::uniform_real_distribution<double>(3, 18)(random); }),
       5.08, 1.35, 3.0},
      {"as published", ends_of(100, log_normal(319, 0.3)), 20, 9, 50},
      {"five times as quick", ends_of(100, log_normal(60, 0.3)), 23, 1.5, 6},
      {"two kinds",
       ends_of(100, [&](std::mt19937& random,
                        int i) { return log_normal(i % 2 == 0 ? 20 : 200, 0.2)(random, i); }),
       23, 3, 20},
      {"ever slower", ends_of(100, [](std::mt19937&, int i) { return 60.0 + 3 * i; }), 20, 7, 30},
      {"an outage in the middle",
       ends_of(100, [&](std::mt19937& random,
                        int i) { return log_normal(30, 0.3)(random, i) + (i < 50 ? 0 : 600); }),
       34, 3, 95},
  };
  for (const auto& batch : kBatches) {
    const Batch ours = poll_batch(batch.ends), alone = poll_batch(batch.ends, false);
    const double gets = ours.gets / double(batch.ends.size());
    MESSAGE(batch.name << ": " << gets << " GETs a job, " << ours.median << " s late, at most "
                       << ours.worst << "; without learning from each other "
                       << alone.gets / double(batch.ends.size()) << ", " << alone.median << ", "
                       << alone.worst);
    CAPTURE(batch.name);
    CHECK(gets <= batch.gets);
    CHECK(ours.median <= batch.median);
    CHECK(ours.worst <= batch.worst);
  }
}

TEST_CASE("classes of jobs learn apart from each other") {
  Durations durations;
  for (int i = 0; i < 100; ++i) durations.learn("text2video/a/std/5", 60'000);
  CHECK(durations.expect("text2video/a/std/5").median == doctest::Approx(60'000).epsilon(0.1));
  CHECK(durations.expect("text2video/b/std/5").median == 319'000);
  CHECK(durations.expect("text2video/a/std/5").sigma < 0.3);
}

TEST_CASE("delays stay within two seconds and ten minutes whatever is expected") {
  for (const double sigma : {0.15, 0.8})
    for (const Millis median : {1LL, 5'000LL, 300'000LL, 86'400'000LL})
      for (const Millis age : {-5LL, 0LL, 1LL, 60'000LL, 300'000LL, 900'000LL, 999'999'999LL}) {
        const Millis delay = poll_delay({median, sigma}, age);
        CHECK(delay >= 2'000);
        CHECK(delay <= 600'000);
      }
}
