// Who may ask: a bearer key, or a JSON Web Token as the official service wants it. Values only;
// any thread, never blocks.
#pragma once

#include <optional>
#include <string>

#include "sim/contract.h"
#include "sim/options.h"

namespace kling::sim {

/// Why a request with this Authorization header is refused; empty when it is not. `now`: real time.
std::optional<Refusal> check_authorization(const Options& options, const std::string& header,
                                           Millis now);

}  // namespace kling::sim
