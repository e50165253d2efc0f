// What a generation probably costs. An estimate with source and date, never a bill: what the
// service deducts replaces it. Pure; any thread.
#pragma once

#include <optional>
#include <string>

#include "api/endpoint.h"

namespace kling::api {

struct Estimate {
  double usd = 0;
  double seconds = 0;  ///< of video
};

/// For a wire body (defaults filled in). Nothing when the model is in no price list.
std::optional<Estimate> estimate(const Endpoint& endpoint, const Json& body);
/// One sentence: source and date of the table.
const char* price_source();
/// US$ of one video unit, for `final_unit_deduction`.
inline constexpr double kUsdPerUnit = 0.14;

}  // namespace kling::api
