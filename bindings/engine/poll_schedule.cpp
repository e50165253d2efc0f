#include "engine/poll_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "api/text.h"

namespace kling::engine {
namespace {

constexpr Millis kShortest = 2'000, kLongest = 600'000;
constexpr double kLooks = 10.5;         // GETs of an average job
constexpr double kFirstGuess = 10'000;  // ms; while nothing is learnt, then a third of the age
constexpr double kFirstLook = -1.645;   // when one of twenty is done
constexpr double kLate = 2, kLateShare = 0.15;  // of the time since nearly all are done

// The averages that ComfyUI's Kling nodes publish (2025), for 5 seconds of video.
constexpr double kTextSeconds = 319, kImageSeconds = 164;
// What was published counts as much as two jobs of our own, and may be wrong by a factor of two.
constexpr double kSeedWeight = 2, kSeedSigma = 0.6;
// So many sigmas away from it, the first of our own shows that it is of another service.
constexpr double kForeign = 3;
// While so few have ended, each look at one that is open counts as a part of a job.
constexpr double kFewJobs = 30, kOpenWeight = 0.15;
constexpr double kMemoryJobs = 60;
constexpr double kLeastSigma = 0.15, kMostSigma = 0.8;

/// Density over survival of the normal distribution.
double normal_hazard(double z) {
  if (z > 5) return z;  // both are too small to divide
  const double density = std::exp(-z * z / 2) / std::sqrt(2 * std::numbers::pi);
  return density / (std::erfc(z / std::numbers::sqrt2) / 2);
}

/// The chance of a log-normal variable to end now, given that it has not: density over survival, in
/// units of the median. `x` is the age in medians.
double hazard(double x, double sigma) { return normal_hazard(std::log(x) / sigma) / (sigma * x); }

Expectation seed(const std::string& job_class) {
  const double base = job_class.starts_with("image2video") ? kImageSeconds : kTextSeconds;
  const auto last = job_class.rfind('/');
  const auto seconds = api::whole_number(job_class.substr(last + 1));
  const double scale =
      std::pow(static_cast<double>(seconds && *seconds > 0 ? *seconds : 5) / 5, 0.7);
  return {static_cast<Millis>(base * scale * 1000), kSeedSigma, false};
}

}  // namespace

Millis poll_delay(const Expectation& expected, Millis age) {
  const double median = std::max(1.0, static_cast<double>(expected.median));
  const double first = median * std::exp(kFirstLook * expected.sigma);
  const auto at = static_cast<double>(std::max<Millis>(age, 0));
  const double most = expected.learnt ? kLongest : std::max(kFirstGuess, at / 3);
  if (at < first)
    return std::clamp(static_cast<Millis>(std::min(first - at, most)), kShortest, kLongest);
  // The integral of sqrt(density * survival) is 1.3 sqrt(sigma), within 4 %.
  const double gap = median * 1.3 * std::sqrt(expected.sigma) /
                     (kLooks * std::sqrt(hazard(at / median, expected.sigma)));
  // Long after its time nothing is known any more but that it is late.
  const double late = (at - median * std::exp(kLate * expected.sigma)) * kLateShare;
  return std::clamp(static_cast<Millis>(std::min(std::max(gap, late), most)), kShortest, kLongest);
}

Millis first_look(const Expectation& expected, Millis chance) {
  const Millis delay = poll_delay(expected, 0);
  return expected.learnt ? delay : delay * (300 + 7 * chance / 10) / 1000;
}

std::string job_class(std::string_view endpoint, const api::Json& body) {
  std::string text(endpoint);
  for (const char* field : {"model_name", "mode", "duration"})
    text += "/" + api::scalar_text(api::member(body, field));
  return text;
}

bool Durations::learn(const std::string& job_class, Millis took) {
  if (took <= 0) return false;
  const double value = std::log(static_cast<double>(took));
  std::lock_guard lock(mutex_);
  auto [found, fresh] = learnt_.try_emplace(job_class);
  Learnt& learnt = found->second;
  Expectation before = seed(job_class);
  if (fresh) {
    const double mean = std::log(static_cast<double>(before.median));
    const bool apart = std::abs(value - mean) > kForeign * before.sigma;
    learnt = {apart ? 0 : kSeedWeight, apart ? value : mean, before.sigma * before.sigma};
  } else {
    before = from(learnt);
  }
  const double weight = std::min(learnt.weight + 1, kMemoryJobs);
  const double off = value - learnt.mean;
  learnt.mean += off / weight;
  learnt.variance += (off * (value - learnt.mean) - learnt.variance) / weight;
  learnt.weight = weight;
  return fresh || static_cast<double>(from(learnt).median) < 0.9 * double(before.median);
}

void Durations::learn_open(const std::string& job_class, Millis age) {
  std::lock_guard lock(mutex_);
  const auto found = learnt_.find(job_class);
  if (found == learnt_.end() || age <= 0 || found->second.weight > kFewJobs) return;
  Learnt& learnt = found->second;
  const double sigma = from(learnt).sigma;
  const double z = (std::log(static_cast<double>(age)) - learnt.mean) / sigma;
  if (z < -1) return;
  // What the logarithm of its length is on average, as it is longer than this.
  const double later = sigma * std::max(z, normal_hazard(z));
  learnt.mean += kOpenWeight * later / (learnt.weight + kOpenWeight);
}

Expectation Durations::from(const Learnt& learnt) {
  return {static_cast<Millis>(std::exp(learnt.mean)),
          std::clamp(std::sqrt(learnt.variance), kLeastSigma, kMostSigma), true};
}

Expectation Durations::expect(const std::string& job_class) const {
  std::lock_guard lock(mutex_);
  const auto found = learnt_.find(job_class);
  return found == learnt_.end() ? seed(job_class) : from(found->second);
}

}  // namespace kling::engine
