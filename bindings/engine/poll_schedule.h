// When to ask next whether a job is done: seldom while it cannot be, densest around the time when
// jobs like it usually end, seldomer again for stragglers. Pure, and the memory of how long jobs
// took (thread-safe; nothing blocks).
#pragma once

#include <map>
#include <set>

#include "api/endpoint.h"
#include "base/clock.h"

namespace kling::engine {

/// How long a job probably takes: a log-normal distribution.
struct Expectation {
  Millis median = 300'000;
  double sigma = 0.5;  ///< of the logarithm
  bool learnt = true;  ///< false: published averages only, which may be far off
};

/// Milliseconds until the next GET of a job that was accepted `age` ms ago, 2 s to 10 min. The gap
/// is inverse to the square root of the chance that the job ends now, which makes the mean delay
/// least for a given number of GETs (about 10 a job). Jitter is the caller's.
Millis poll_delay(const Expectation& expected, Millis age);

/// The delay of the first of them. With nothing learnt, the first guess or a part of it, by
/// `chance` (0 to 1,000): of many that began at once some tell the others early.
Millis first_look(const Expectation& expected, Millis chance);

/// What jobs have in common that take equally long: endpoint, model, mode, seconds of a wire body.
std::string job_class(std::string_view endpoint, const api::Json& body);

/// Learns from the jobs that ended, the latest counting most; begins with published averages.
class Durations {
 public:
  /// True when those that run now end sooner than was expected, by a tenth or more.
  bool learn(const std::string& job_class, Millis took);
  /// One is not done at this age. Those that end first are the quick ones: without this a batch
  /// that began at once would learn from them alone.
  void learn_open(const std::string& job_class, Millis age);
  Expectation expect(const std::string& job_class) const;
  /// The one copy of that text, as long as this lives: thousands of jobs may have it.
  const std::string* keep(std::string job_class) {
    std::lock_guard lock(mutex_);
    return &*names_.insert(std::move(job_class)).first;
  }

 private:
  struct Learnt {
    double weight = 0, mean = 0, variance = 0;  ///< of the logarithm of milliseconds
  };
  static Expectation from(const Learnt& learnt);
  mutable std::mutex mutex_;
  std::map<std::string, Learnt> learnt_;
  std::set<std::string> names_;
};

}  // namespace kling::engine
