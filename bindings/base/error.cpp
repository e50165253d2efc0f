#include "base/error.h"

namespace kling {

const char* name(Kind kind) {
  switch (kind) {
    case Kind::invalid:
      return "invalid";
    case Kind::auth:
      return "auth";
    case Kind::balance:
      return "balance";
    case Kind::policy:
      return "policy";
    case Kind::rate_limit:
      return "rate_limit";
    case Kind::network:
      return "network";
    case Kind::timeout:
      return "timeout";
    case Kind::server:
      return "server";
    case Kind::protocol:
      return "protocol";
    case Kind::task_failed:
      return "task_failed";
    case Kind::ambiguous:
      return "ambiguous";
    case Kind::budget:
      return "budget";
    case Kind::interrupted:
      return "interrupted";
    case Kind::media:
      return "media";
    case Kind::ledger:
      return "ledger";
  }
  return "invalid";
}

}  // namespace kling
