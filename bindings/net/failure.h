// Makes this floor's errors. A value; any thread.
#pragma once

#include "base/error.h"

namespace kling::net {

/// Failures of the network are worth another try; those of other kinds are not.
inline Error failure(Kind kind, std::string message, std::string hint = {}) {
  return {.kind = kind,
          .message = std::move(message),
          .hint = std::move(hint),
          .retryable = kind == Kind::network};
}

/// Of the network, but not to be mended by trying again.
inline Error permanent(std::string message, std::string hint = {}) {
  return {.kind = Kind::network, .message = std::move(message), .hint = std::move(hint)};
}

inline Error invalid(std::string message, std::string hint = {}) {
  return failure(Kind::invalid, std::move(message), std::move(hint));
}

}  // namespace kling::net
