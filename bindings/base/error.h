// What every floor says when something went wrong: a value, never an exception.
// Not a log entry and not a control-flow device. Plain data: any thread, never blocks.
#pragma once

#include <cstdarg>
#include <cstdio>
#include <string>
#include <utility>
#include <variant>

namespace kling {

/// The kinds a script can tell apart (`err.kind`). Their names are part of the Lua interface.
enum class Kind {
  invalid,      ///< the request is wrong; nothing was sent, or the service refused its content
  auth,         ///< the key is missing, wrong, expired or of another region
  balance,      ///< no credit left
  policy,       ///< refused by a content or platform policy
  rate_limit,   ///< too fast or too many at once, also after waiting
  network,      ///< no answer, and nothing was accepted
  timeout,      ///< a wait ended by its own limit; the job goes on
  server,       ///< the service failed in a way that is not ours
  protocol,     ///< an answer that no known dialect explains
  task_failed,  ///< the service accepted the task and the generation failed
  ambiguous,    ///< accepted or not: only a person can know; nothing more is sent
  budget,       ///< the limit set by the user would be exceeded
  interrupted,  ///< the wait was cancelled
  media,        ///< a file, frame or clip could not be read, made or saved
  ledger,       ///< the ledger cannot be read or written, so nothing is paid
  script,       ///< a mistake of the script's own code, or what it raised by error()
};

/// The name of a kind as scripts see it, for example "rate_limit".
inline const char* name(Kind kind) {
  static constexpr const char* kNames[] = {"invalid",     "auth",        "balance",   "policy",
                                           "rate_limit",  "network",     "timeout",   "server",
                                           "protocol",    "task_failed", "ambiguous", "budget",
                                           "interrupted", "media",       "ledger",    "script"};
  return kNames[static_cast<std::size_t>(kind)];
}

/// As printf writes it; at most 250 bytes.
[[gnu::format(printf, 1, 2)]] inline std::string printed(const char* format, ...) {
  char text[251];
  va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return text;
}

/// One failure, in words a person can act on. Holds no secret: no key, no signed URL.
struct Error {
  Kind kind = Kind::invalid;
  std::string message;     ///< what happened, naming field, value and limit
  std::string hint;        ///< what to do about it; may be empty
  std::string field;       ///< the request field it is about, for example "image_list[2].image"
  std::string code;        ///< the service's own code as text, for example "1303"
  int http_status = 0;     ///< 0 when no HTTP answer was received
  std::string request_id;  ///< the service's id for this exchange
  std::string job;         ///< the handle of the job, when there is one
  bool retryable = false;  ///< true when the same call may succeed later
};

/// A value or an Error. `if (!result) return result.error();`
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  /// REQUIRES: ok()
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  /// REQUIRES: !ok()
  const Error& error() const { return std::get<1>(state_); }
  Error& error() { return std::get<1>(state_); }

 private:
  std::variant<T, Error> state_;
};

/// The value of a Result that only says that something worked.
struct Done {};
using Status = Result<Done>;

}  // namespace kling
