#include "api/decode_error.h"

#include <algorithm>

#include "api/text.h"

namespace kling::api {
namespace {

constexpr const char* kKey =
    "check the key (KLING_API_KEY, the option key), and that it belongs to this base URL";
constexpr const char* kCredit = "top up the account; it was not started";
constexpr const char* kContent = "change the prompt or the pictures; it was not started";
constexpr const char* kFields = "correct the field that the message names; it was not started";
constexpr const char* kSilent = "it gives no reason; it was not started";
constexpr const char* kSlower = "wait and send it again, or run fewer jobs at once";
constexpr const char* kAddress =
    "check the base URL (KLING_BASE_URL, the option base_url): this path is not the service's";
constexpr const char* kClock = "set this machine's clock, then try again";
constexpr const char* kLost =
    "whether it was accepted is unknown: look it up by its external id before sending it again";
constexpr const char* kNoTask =
    "check the id and the kind; a new task can take a minute to be found, and results are kept 30 "
    "days";

constexpr ErrorRow kRows[] = {
    // Words of a proxy that lost the answer itself, whatever status it gives them.
    {"bad_response_body bad_response read_response_body_failed do_request_failed", "", "",
     Asked::create, Kind::server, Refusal::unavailable, kLost},
    {"", "bad_response_body", "", Asked::create, Kind::server, Refusal::unavailable, kLost},
    {"", "context canceled", "", Asked::create, Kind::server, Refusal::unavailable, kLost},
    {"", "context deadline exceeded", "", Asked::create, Kind::server, Refusal::unavailable, kLost},
    {"", "unexpected eof", "", Asked::create, Kind::server, Refusal::unavailable, kLost},

    // One code, three meanings: 1201 is bad input, a duplicate, or no such task.
    {"", "already exist", "", Asked::create, Kind::invalid, Refusal::duplicate,
     "an earlier request with this external_task_id was accepted: look it up by that id"},
    {"", "task not found", "", Asked::query, Kind::invalid, Refusal::no_such_task, kNoTask},
    {"task_not_exist", "", "", Asked::query, Kind::invalid, Refusal::no_such_task, kNoTask},
    {"", "task_not_exist", "", Asked::query, Kind::invalid, Refusal::no_such_task, kNoTask},

    // Said by servers between us and the service, which may have passed the request on; whatever
    // code they write beside it.
    {"", "", "408 409 425 499", Asked::create, Kind::server, Refusal::unavailable, kLost},

    {"1000 1001 1002", "", "", Asked::any, Kind::auth, Refusal::definite, kKey},
    {"1003 1004", "", "", Asked::any, Kind::auth, Refusal::clock, kClock},
    {"1100", "", "", Asked::any, Kind::balance, Refusal::definite, "check the account's state"},
    {"1101 1102 insufficient_user_quota", "", "", Asked::any, Kind::balance, Refusal::definite,
     kCredit},
    {"1103", "", "", Asked::query, Kind::auth, Refusal::definite,
     "this key may not use this endpoint; ask for the permission"},
    {"1103", "", "", Asked::any, Kind::auth, Refusal::definite,
     "this key may not use this endpoint or model; ask for the permission or change model_name"},
    // "Exists" has many words, and so has a 5000 whose code a proxy left out: a look-up tells.
    {"1200 1201", "", "", Asked::create, Kind::invalid, Refusal::unnamed, kFields},
    {"1200 1201 invalid_request", "", "", Asked::any, Kind::invalid, Refusal::definite, kFields},
    {"1202", "", "", Asked::any, Kind::protocol, Refusal::definite, kAddress},
    {"1203", "", "", Asked::any, Kind::invalid, Refusal::definite,
     "the message names what does not exist, often model_name"},
    {"1300 1301", "", "", Asked::any, Kind::policy, Refusal::definite, kContent},
    {"1302 1303", "", "", Asked::any, Kind::rate_limit, Refusal::rate_limited, kSlower},
    {"1304", "", "", Asked::any, Kind::auth, Refusal::definite,
     "this address is not on the account's IP whitelist; add it"},
    {"5000 5001 5002", "", "", Asked::any, Kind::server, Refusal::unavailable, kLost},

    // CometAPI and its family. The proxy drops Kling's code with task_failed, only its words are
    // left.
    {"model_not_found", "", "", Asked::any, Kind::invalid, Refusal::definite,
     "no channel serves this model now; change model_name, or use omni in place of "
     "multi_image2video"},
    {"task_failed", "risk control", "", Asked::create, Kind::policy, Refusal::definite, kContent},
    {"task_failed", "balance", "", Asked::create, Kind::balance, Refusal::definite, kCredit},
    {"task_failed", "resource pack limit", "", Asked::create, Kind::rate_limit,
     Refusal::rate_limited, kSlower},
    {"task_failed", "", "400", Asked::create, Kind::invalid, Refusal::unnamed, kFields},
    {"comet_api_error new_api_error", "", "400", Asked::create, Kind::invalid, Refusal::unnamed,
     kFields},

    {"", "", "401", Asked::any, Kind::auth, Refusal::definite, kKey},
    {"", "", "402", Asked::any, Kind::balance, Refusal::definite, kCredit},
    {"", "quota", "403", Asked::any, Kind::balance, Refusal::definite, kCredit},
    {"", "", "403", Asked::any, Kind::auth, Refusal::definite,
     "this key may not do this; check its permissions and the account"},
    {"", "invalid url", "404", Asked::any, Kind::protocol, Refusal::definite, kAddress},
    {"", "", "404", Asked::query, Kind::invalid, Refusal::no_such_task, kNoTask},
    {"", "", "405", Asked::any, Kind::protocol, Refusal::definite, kAddress},
    {"", "", "404 301 302 307 308", Asked::create, Kind::protocol, Refusal::definite, kAddress},
    {"", "", "407", Asked::any, Kind::network, Refusal::definite,
     "the proxy asks for a name and a password: HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT"},
    {"", "", "413", Asked::any, Kind::invalid, Refusal::definite, "make the pictures smaller"},
    {"", "", "429", Asked::any, Kind::rate_limit, Refusal::rate_limited, kSlower},
    {"", "", "5xx", Asked::any, Kind::server, Refusal::unavailable, kLost},
    // What no row above knows. While polling it may mean "still pending".
    {"", "", "4xx", Asked::create, Kind::invalid, Refusal::unnamed, kFields},
    {"", "", "", Asked::create, Kind::protocol, Refusal::unavailable, kLost},
    {"", "", "", Asked::query, Kind::server, Refusal::unavailable, "ask again later"},
};

/// What people say for it, before the service's own words.
std::string plainly(const char* hint) {
  if (hint == kKey) return "the key is not accepted";
  if (hint == kCredit) return "no credit left";
  if (hint == kContent) return "the content was refused";
  if (hint == kSlower) return "too many requests or jobs at once";
  return hint == kNoTask ? "there is no such task" : "";
}

const ErrorRow& row_for(Asked asked, int http, std::string_view code, std::string_view message) {
  return *std::ranges::find_if(kRows, [&, words = lower(message)](const ErrorRow& row) {
    return row.fits(asked, http, code, words);
  });
}

void fill(Answer& answer, Asked asked, int http, Kind kind, Refusal refusal, std::string message,
          const char* hint) {
  answer.refusal = refusal;
  answer.error.kind = kind;
  answer.error.message = std::move(message);
  answer.error.hint = asked == Asked::query && hint == kLost ? "ask again later" : hint;
  if (const auto at = answer.error.hint.find("; it was not started");
      asked == Asked::query && at != std::string::npos)
    answer.error.hint.resize(at);
  answer.error.http_status = http;
  answer.error.request_id = answer.request_id;
  answer.error.retryable = refusal == Refusal::rate_limited || refusal == Refusal::clock ||
                           (refusal == Refusal::unavailable && asked == Asked::query);
}

Fault fault_of(const Json& level) {
  const Json& error = member(level, "error");
  if (error.is_string() && !scalar_text(error).empty()) return {true, "", scalar_text(error)};
  for (const Json* source : {&error, &level}) {
    std::string code = scalar_text(member(*source, "code"));
    std::string message = scalar_text(member(*source, "message"));
    if (message.empty()) message = scalar_text(member(*source, "msg"));
    if (is_success_code(code) && (source == &level || message.empty())) continue;
    if (code.empty()) code = scalar_text(member(*source, "type"));
    return {true, std::move(code), std::move(message)};
  }
  return {};
}

}  // namespace

std::span<const ErrorRow> error_rows() { return kRows; }

bool ErrorRow::fits(Asked by, int status, std::string_view code, std::string_view words) const {
  return (asked == Asked::any || asked == by) &&
         (http.empty() || has_word(http, std::to_string(status)) ||
          http == std::to_string(status / 100) + "xx") &&
         (codes.empty() || has_word(codes, code)) && words.find(phrase) != words.npos;
}

bool is_success_code(const Json& code) {
  const std::string word = lower(scalar_text(code));
  return word.empty() || word == "0" || word == "200" || word == "success" || word == "succeed";
}

Fault find_fault(const std::vector<const Json*>& levels, int http_status) {
  for (const Json* level : levels) {
    Fault fault = fault_of(*level);
    if (!fault.found) continue;
    const std::size_t from = fault.message.find('{');
    const std::size_t to = fault.message.rfind('}');
    if (from != std::string::npos && to != std::string::npos && to > from) {
      Fault inner =
          fault_of(parse_json(std::string_view(fault.message).substr(from, to - from + 1)));
      if (inner.found) return inner;
    }
    return fault;
  }
  if (http_status < 400) return {};
  return {true, "", scalar_text(member(*levels.front(), "message"))};
}

void refuse(Answer& answer, Asked asked, int http_status, const Fault& fault) {
  // Some proxies put the HTTP status into the code of a 200.
  const auto status = whole_number(fault.code).value_or(0);
  const bool hidden = http_status / 100 == 2 && status >= 400 && status < 600;
  const ErrorRow& row =
      row_for(asked, hidden ? static_cast<int>(status) : http_status, fault.code, fault.message);
  std::string answer_code = "HTTP " + std::to_string(http_status);
  if (!fault.code.empty()) answer_code += ", code " + excerpt(fault.code, 60);
  const std::string words = plainly(row.hint);
  std::string message = words.empty() ? "the service answered " + answer_code : words;
  if (!fault.message.empty()) message += ": " + excerpt(fault.message, 400);
  if (!words.empty()) message += " (" + answer_code + ")";
  // A 200 that no row explains says nothing certain, whatever number it holds.
  const bool unnamed = row.refusal == Refusal::unnamed;
  fill(answer, asked, http_status, row.kind, unnamed && hidden ? Refusal::unavailable : row.refusal,
       std::move(message),
       unnamed && hidden                              ? kLost
       : row.hint == kFields && fault.message.empty() ? kSilent
                                                      : row.hint);
  answer.error.code = excerpt(fault.code, 60);
}

void refuse_unreadable(Answer& answer, Asked asked, int http_status, std::string_view body) {
  std::string message = "the service answered HTTP " + std::to_string(http_status);
  message +=
      body.empty() ? " with an empty body" : " with something unexpected: " + excerpt(body, 120);
  // Some refusals are made before any request is looked at, whatever page comes with them. A page
  // that says 404 to a look-up is not the service saying that the task does not exist.
  const ErrorRow& row = row_for(asked, http_status, "", "");
  const bool page = row.refusal == Refusal::no_such_task && !body.empty();
  if (!row.http.empty() && row.refusal != Refusal::unavailable && !page) {
    fill(answer, asked, http_status, row.kind, row.refusal, std::move(message),
         row.hint == kFields ? kSilent : row.hint);
  } else {
    fill(answer, asked, http_status, Kind::protocol, Refusal::unavailable, std::move(message),
         kAddress);
  }
}

}  // namespace kling::api
