#include "engine/admission.h"

#include <algorithm>

#include "api/capabilities.h"

namespace kling::engine {

constexpr Millis kRemembered = 600'000;
// Sums of decimal prices are not exact: a budget of exactly the price must do.
constexpr double kRounding = 1e-6;

std::string dollars(double usd) { return printed("$%.2f", usd); }

Limits lower(const Limits& one, const Limits& other) {
  const auto least = [](auto a, auto b) { return a < 0 || (b >= 0 && b < a) ? b : a; };
  return {least(one.slots, other.slots), least(one.budget_usd, other.budget_usd),
          least(one.budget_jobs, other.budget_jobs)};
}

Admission admit(const Limits& limits, const Usage& usage, double estimate_usd) {
  if (limits.budget_jobs >= 0 && usage.jobs >= limits.budget_jobs) return Admission::over_budget;
  if (limits.budget_usd >= 0 &&
      (estimate_usd < 0 || usage.usd + estimate_usd > limits.budget_usd + kRounding))
    return Admission::over_budget;
  if (limits.slots >= 0 && usage.open >= limits.slots) return Admission::no_slot;
  return Admission::admitted;
}

Error over_budget(const Limits& limits, const Usage& usage, double estimate_usd,
                  double price_factor, bool embedded, const Limits& most) {
  const std::string budget = dollars(limits.budget_usd);
  const char* const said =
      limits.budget_usd == most.budget_usd ? " (--max-cost)" : " (kling.configure{ budget = … })";
  if (limits.budget_jobs >= 0 && usage.jobs >= limits.budget_jobs)
    return {.kind = Kind::budget,
            .message = "not submitted: the budget of " + std::to_string(limits.budget_jobs) +
                       " jobs is used up (" + std::to_string(usage.jobs) + " submitted)",
            .hint = std::string(embedded ? "raise the option max_requests"
                                         : "raise budget = { jobs = … } (--max-submissions)") +
                    " and try again; what is paid stays paid"};
  if (estimate_usd < 0)
    return {.kind = Kind::budget,
            .message = "not submitted: the price of this request is not known, so the budget of " +
                       budget + " cannot cover it",
            .hint = std::string("use a model of the price list, or a budget in jobs: ") +
                    (embedded ? "the option max_requests" : "budget = { jobs = … }")};
  return {.kind = Kind::budget,
          .message = "not submitted: it would cost about " + dollars(estimate_usd) + ", and " +
                     dollars(usage.usd) + " of the budget of " + budget + " are spent or reserved",
          .hint = "raise the budget to at least " + dollars(usage.usd + estimate_usd) +
                  (embedded ? " (the option max_cost)" : said) +
                  " and try again; what is paid stays paid. The price is an estimate: " +
                  (embedded ? api::price_basis(price_factor) + " (the option price_factor)"
                            : api::price_source(price_factor))};
}

void LearntSlots::refused(int open, Millis now) {
  slots_ = std::max(open, 1);
  until_ = now + kRemembered;
}

int LearntSlots::ceiling(int configured, Millis now) const {
  if (slots_ < 0 || now >= until_) return configured;
  return configured < 0 ? slots_ : std::min(configured, slots_);
}

}  // namespace kling::engine
