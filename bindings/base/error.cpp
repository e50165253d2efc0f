#include "base/error.h"

namespace kling {

const char* name(Kind kind) {
  static constexpr const char* kNames[] = {"invalid",     "auth",        "balance",   "policy",
                                           "rate_limit",  "network",     "timeout",   "server",
                                           "protocol",    "task_failed", "ambiguous", "budget",
                                           "interrupted", "media",       "ledger",    "script"};
  return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace kling
