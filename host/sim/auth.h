// Who may ask: a bearer key, or a JSON Web Token as the official service wants it. Values only;
// any thread, never blocks.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "sim/contract.h"

namespace kling::sim {

struct Credentials {
  std::string key;                     ///< the only bearer accepted; empty: any non-empty one
  std::string access_key, secret_key;  ///< when set: an HS256 token with iss, exp and nbf
};

/// Why a request with this Authorization header is refused; empty when it is not. `now`: real time.
std::optional<Refusal> check_authorization(const Credentials& credentials,
                                           const std::string& header, Millis now);

}  // namespace kling::sim
