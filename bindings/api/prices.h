// What a generation probably costs. An estimate with source and date, never a bill: what the
// service deducts replaces it. Pure; any thread.
#pragma once

#include <cmath>

#include "api/endpoint.h"

namespace kling::api {

struct Estimate {
  double usd = 0;
  double seconds = 0;  ///< of video
};

/// For a wire body (defaults filled in). Nothing when the model is in no price list.
std::optional<Estimate> estimate(const Endpoint& endpoint, const Json& body);
/// What the estimates are, with the date: "list price of 2026-09", or so much of it.
std::string price_basis(double factor);
/// The same, with where it comes from.
std::string price_source(double factor = 1);
/// US$ of one video unit, for `final_unit_deduction`.
inline constexpr double kUsdPerUnit = 0.14;
/// What a sum or product of prices is in decimals: 0.21, not 0.21000000000000002.
inline double decimal(double usd) { return std::round(usd * 1e6) / 1e6; }

}  // namespace kling::api
