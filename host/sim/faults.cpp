#include "sim/faults.h"

#include <charconv>

namespace kling::sim {
namespace {

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

bool number(std::string_view text, int& out) {
  const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), out);
  return problem == std::errc() && end == text.data() + text.size() && out > 0;
}

Error wrong(std::string_view line, const std::string& why) {
  Error error;
  error.message = "fault \"" + std::string(line) + "\": " + why;
  error.hint = "a fault looks like \"create#2: accept, drop\"; GET /sim/faults lists them";
  return error;
}

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"accept",
       "the request takes effect (a create is accepted and charged) whatever is answered"},
      {"drop", "the connection is closed without an answer", Mishap::drop},
      {"reset", "the connection is reset without an answer", Mishap::reset},
      {"hang", "no answer ever comes and the connection stays open", Mishap::hang},
      {"drip", "the answer comes a byte every 10 ms", Mishap::drip},
      {"truncate", "the connection is closed in the middle of the answer's body", Mishap::truncate},
      {"endless-headers", "the answer's head never ends", Mishap::endless_headers},
      {"endless-body", "the answer's body never ends", Mishap::endless_body},
      {"html502", "502 with an HTML page, as from a gateway", Mishap::none, 502, 0,
       "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"},
      {"500", "500 with code 5000", Mishap::none, 500, 5000},
      {"503", "503 with code 5001 (maintenance)", Mishap::none, 503, 5001},
      {"504", "504 with code 5002; \"accept, 504\" after the task was made", Mishap::none, 504,
       5002},
      {"429", "429 with code 1302, without Retry-After", Mishap::none, 429, 1302},
      {"429-retry-after", "429 with code 1302 and Retry-After: 2", Mishap::none, 429, 1302, "",
       "Retry-After", "2"},
      {"429-retry-date", "429 with code 1302 and a Retry-After that is a date in 2099",
       Mishap::none, 429, 1302, "", "Retry-After", "Thu, 01 Jan 2099 00:00:00 GMT"},
      {"429-slots", "429 with code 1303", Mishap::none, 429, 1303},
      {"429-balance", "429 with code 1102: no credit", Mishap::none, 429, 1102},
      {"429-hidden", "429 whose code a proxy has replaced", Mishap::none, 429, 0,
       "{\"code\":\"fail_to_fetch_task\",\"message\":\"当前分组上游负载已饱和，请稍后再试\","
       "\"data\":null}"},
      {"401", "401 with code 1002", Mishap::none, 401, 1002},
      {"invalid-request", "500 that is a refusal: code invalid_request", Mishap::none, 500, 0,
       "{\"error\":{\"message\":\"field prompt is required (request id: 2026)\",\"type\":"
       "\"comet_api_error\",\"param\":\"\",\"code\":\"invalid_request\"}}"},
      {"no-channel", "503 that is a refusal: code model_not_found", Mishap::none, 503, 0,
       "{\"error\":{\"code\":\"model_not_found\",\"type\":\"comet_api_error\",\"message\":"
       "\"no available channel for group default (distributor) (request id: 2026)\"}}"},
      {"garbage", "200 with bytes that mean nothing", Mishap::none, 200, 0,
       "\x01\xff{]garbage\xfe"},
      {"redirect", "302 to another host", Mishap::none, 302, 0, "", "Location",
       "https://elsewhere.invalid/"},
      {"not-exist", "a query is told that there is no such task"},
      {"backwards", "the state goes back by one"},
      {"nulls", "every object and text that may be missing is null"},
      {"disagree", "outer and inner state disagree"},
      {"unknown-word", "the state is a word that no document has"},
      {"string-body", "the service's own body comes as a JSON string"},
      {"fail-reason-url", "the result's URL is in fail_reason"},
      {"empty-first", "the first entry of videos has an empty URL"},
      {"expired", "a download is told that its URL has expired", Mishap::none, 403, 0, "expired"},
      {"wrong-length", "a download announces more bytes than it sends", Mishap::truncate},
  };
  return kinds;
}

bool Faults::has(std::string_view name) const {
  for (const FaultKind* kind : kinds) {
    if (name == kind->name) return true;
  }
  return false;
}

Mishap Faults::mishap() const {
  for (const FaultKind* kind : kinds) {
    if (kind->mishap != Mishap::none) return kind->mishap;
  }
  return Mishap::none;
}

const FaultKind* Faults::replacement() const {
  for (const FaultKind* kind : kinds) {
    if (kind->http != 0) return kind;
  }
  return nullptr;
}

bool Faults::lost() const {
  return !has("accept") && (replacement() != nullptr || mishap() != Mishap::none);
}

Status FaultScript::add(std::string_view text) {
  const std::string_view line = trim(text);
  if (line.empty()) return Done{};
  const auto hash = line.find('#'), colon = line.find(':');
  if (hash == std::string_view::npos || colon == std::string_view::npos || colon < hash) {
    return wrong(line, "WHAT#WHICH: FAULT is expected");
  }
  Line parsed;
  parsed.key = trim(line.substr(0, hash));
  const std::string what = parsed.key.substr(0, parsed.key.find('/'));
  if (what != "create" && what != "query" && what != "download") {
    return wrong(line, "\"" + what + "\" is none of create, query, download");
  }
  const std::string_view which = trim(line.substr(hash + 1, colon - hash - 1));
  const auto dash = which.find('-');
  if (which == "*") {
    parsed.to = 1 << 30;
  } else if (!number(which.substr(0, dash), parsed.from) ||
             !number(dash == which.npos ? which : which.substr(dash + 1), parsed.to)) {
    return wrong(line, "\"" + std::string(which) + "\" is no number, range or *");
  }
  std::string_view rest = line.substr(colon + 1);
  for (bool more = true; more;) {
    const auto comma = rest.find(',');
    const std::string_view name = trim(rest.substr(0, comma));
    const FaultKind* found = nullptr;
    for (const FaultKind& kind : fault_kinds()) {
      if (name == kind.name) found = &kind;
    }
    if (found == nullptr) return wrong(line, "there is no fault \"" + std::string(name) + "\"");
    parsed.kinds.push_back(found);
    more = comma != std::string_view::npos;
    if (more) rest.remove_prefix(comma + 1);
  }
  const std::lock_guard lock(mutex_);
  lines_.push_back(std::move(parsed));
  return Done{};
}

Faults FaultScript::next(const std::string& what, const std::string& kind) {
  const std::lock_guard lock(mutex_);
  const std::string narrow = what + "/" + kind;
  ++counts_[what];
  ++counts_[narrow];
  Faults faults;
  for (const Line& line : lines_) {
    if (line.key != what && line.key != narrow) continue;
    const int count = counts_[line.key];
    if (count < line.from || count > line.to) continue;
    faults.kinds.insert(faults.kinds.end(), line.kinds.begin(), line.kinds.end());
  }
  return faults;
}

}  // namespace kling::sim
