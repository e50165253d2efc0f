// What the service POSTs to a callback_url when a task changes: a hint to ask, never a state, as
// anybody may send one. Both designs of api-contract 4.11; the signature is 4.12. Untrusted input;
// pure; any thread.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kling::api {

/// A request as a web server got it.
struct CallbackRequest {
  std::string path;  ///< with or without a query
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
};

struct Callback {
  std::string task_id;  ///< Kling's own: on a proxy not always the one the create returned
  std::string external_id;
  bool ended = false;  ///< it speaks of the end of the task
};

/// Whether that is what the service gives, "whsec_…"; none is good, too.
Status check_webhook_secret(std::string_view secret);

/// Kind invalid for what is no callback. With a `secret` ("whsec_…"): kind auth for what does not
/// carry its Standard Webhooks signature, made within 300 s of `now` (Unix seconds).
Result<Callback> read_callback(const CallbackRequest& request, std::string_view secret,
                               std::int64_t now);

}  // namespace kling::api
