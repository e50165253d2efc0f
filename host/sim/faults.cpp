#include "sim/faults.h"

#include <algorithm>
#include <regex>
#include <sstream>

#include "sim/contract.h"

namespace kling::sim {
namespace {

constexpr const char* kAny = "create query download";

Error wrong(const std::string& line, const std::string& why) {
  return {.message = "fault \"" + line + "\": " + why,
          .hint = "a fault looks like \"create#2: accept, drop\"; docs/simulator.md lists them"};
}

/// A row for each code of the service: a request may be refused with any of them.
const std::vector<FaultKind>& code_kinds() {
  static const std::vector<FaultKind> kinds = [] {
    std::vector<FaultKind> rows;
    for (const auto& [code, row] : contract()["errors"].items()) {
      rows.push_back({.name = code.c_str(),
                      .at = kAny,
                      .doc = row["meaning"].get_ref<const std::string&>().c_str(),
                      .http = row["http"].get<int>(),
                      .code = std::stoi(code)});
    }
    return rows;
  }();
  return kinds;
}

const FaultKind* find_kind(const std::string& name) {
  for (const auto* kinds : {&fault_kinds(), &code_kinds()})
    for (const FaultKind& kind : *kinds)
      if (name == kind.name) return &kind;
  return nullptr;
}

}  // namespace

const std::vector<FaultKind>& fault_kinds() {
  static const std::vector<FaultKind> kinds = {
      {"accept", "create",
       "the request takes effect (a create is accepted and charged) whatever is answered"},
      {"drop", kAny, "the connection is closed without an answer", Mishap::drop},
      {"reset", kAny, "the connection is reset without an answer", Mishap::reset},
      {"hang", kAny, "no answer ever comes and the connection stays open", Mishap::hang},
      {"drip", kAny, "the answer comes a byte every 10 ms", Mishap::drip},
      {"truncate", kAny, "the connection is closed in the middle of the answer's body",
       Mishap::truncate},
      {"endless-headers", kAny, "the answer's head never ends", Mishap::endless_headers},
      {"endless-body", kAny, "the answer's body never ends", Mishap::endless_body},
      {"html502", kAny, "502 with an HTML page, as from a gateway", Mishap::none, 502, 0,
       "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"},
      {"500", kAny, "500 with code 5000", Mishap::none, 500, 5000},
      {"503", kAny, "503 with code 5001 (maintenance)", Mishap::none, 503, 5001},
      {"504", kAny, "504 with code 5002; \"accept, 504\" after the task was made", Mishap::none,
       504, 5002},
      {"429", kAny, "429 with code 1302, without Retry-After", Mishap::none, 429, 1302},
      {"429-retry-after", kAny, "429 with code 1302 and Retry-After: 2", Mishap::none, 429, 1302,
       "", "Retry-After", "2"},
      {"429-retry-date", kAny, "429 with code 1302 and a Retry-After that is a date in 2099",
       Mishap::none, 429, 1302, "", "Retry-After", "Thu, 01 Jan 2099 00:00:00 GMT"},
      {"429-slots", kAny, "429 with code 1303", Mishap::none, 429, 1303},
      {"429-balance", kAny, "429 with code 1102: no credit", Mishap::none, 429, 1102},
      {"429-hidden", kAny, "429 whose code a proxy has replaced", Mishap::none, 429, 0,
       "{\"code\":\"fail_to_fetch_task\",\"message\":\"当前分组上游负载已饱和，请稍后再试\","
       "\"data\":null}"},
      {"401", kAny, "401 with code 1002", Mishap::none, 401, 1002},
      {"invalid-request", kAny, "500 that is a refusal: code invalid_request", Mishap::none, 500, 0,
       "{\"error\":{\"message\":\"field prompt is required (request id: 2026)\",\"type\":"
       "\"comet_api_error\",\"param\":\"\",\"code\":\"invalid_request\"}}"},
      {"no-channel", kAny, "503 that is a refusal: code model_not_found", Mishap::none, 503, 0,
       "{\"error\":{\"code\":\"model_not_found\",\"type\":\"comet_api_error\",\"message\":"
       "\"no available channel for group default (distributor) (request id: 2026)\"}}"},
      {"garbage", kAny, "200 with bytes that mean nothing", Mishap::none, 200, 0,
       "\x01\xff{]garbage\xfe"},
      {"redirect", kAny, "302 to another host", Mishap::none, 302, 0, "", "Location",
       "https://elsewhere.invalid/"},
      {"not-exist", "query", "a query is told that there is no such task"},
      {"backwards", "create query", "the state goes back by one"},
      {"nulls", "create query", "every object and text that may be missing is null"},
      {"disagree", "create query", "outer and inner state disagree"},
      {"unknown-word", "create query", "the state is a word that no document has"},
      {"string-body", "create query", "the service's own body comes as a JSON string"},
      {"fail-reason-url", "create query", "the result's URL is in fail_reason"},
      {"empty-first", "create query", "the first entry of videos has an empty URL"},
      {"expired", "download", "a download is told that its URL has expired", Mishap::none, 403, 0,
       "expired"},
      {"wrong-length", "download", "a download announces more bytes than it sends",
       Mishap::truncate},
      {"repeat", "callback", "a callback is made twice"},
      {"late", "callback", "a callback comes after the next one; the last one a minute late"},
      {"lose", "callback", "a callback is not made"},
  };
  return kinds;
}

bool Faults::has(std::string_view name) const {
  return std::ranges::any_of(kinds, [&](const FaultKind* kind) { return name == kind->name; });
}

Mishap Faults::mishap() const {
  for (const FaultKind* kind : kinds)
    if (kind->mishap != Mishap::none) return kind->mishap;
  return Mishap::none;
}

const FaultKind* Faults::replacement() const {
  for (const FaultKind* kind : kinds)
    if (kind->http != 0) return kind;
  return nullptr;
}

bool Faults::lost() const {
  return !has("accept") && (replacement() != nullptr || mishap() != Mishap::none);
}

Status FaultScript::add(const std::string& lines) {
  static const std::regex form(R"(\s*((create|query|download|callback)(/([\w-]+))?)\s*#\s*)"
                               R"((\*|([1-9]\d{0,8})(-([1-9]\d{0,8}))?)\s*:\s*(.*)\s*)");
  static const std::regex name_form(R"([^\s,]+)");
  std::istringstream stream(lines);
  for (std::string line; std::getline(stream, line);) {
    if (line.find_first_not_of(" \t\r") == std::string::npos || line.front() == '#') continue;
    std::smatch parts;
    if (!std::regex_match(line, parts, form)) {
      return wrong(line,
                   "WHAT#WHICH: FAULT is expected, with WHAT one of create, query, download, "
                   "callback and WHICH a number, a range or *");
    }
    const std::string kind_of_line = endpoint_kind(parts[4]);
    if (parts[4].matched && kind_of_line.empty())
      return wrong(line, "there is no endpoint \"" + parts[4].str() + "\"");
    Line parsed{parts[2].str() + (parts[4].matched ? "/" + kind_of_line : ""), 1, 1 << 30, {}};
    if (parts[6].matched) parsed.from = parsed.to = std::stoi(parts[6]);
    if (parts[8].matched) parsed.to = std::stoi(parts[8]);
    const std::string names = parts[9];
    for (std::sregex_iterator at(names.begin(), names.end(), name_form), end; at != end; ++at) {
      const FaultKind* kind = find_kind(at->str());
      if (kind == nullptr) return wrong(line, "there is no fault \"" + at->str() + "\"");
      if (std::string(kind->at).find(parts[2]) == std::string::npos)
        return wrong(line, at->str() + " is for " + kind->at);
      parsed.faults.kinds.push_back(kind);
    }
    if (parsed.faults.kinds.empty()) return wrong(line, "no fault is named");
    const std::lock_guard lock(mutex_);
    lines_.push_back(std::move(parsed));
  }
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
    faults.kinds.insert(faults.kinds.end(), line.faults.kinds.begin(), line.faults.kinds.end());
  }
  return faults;
}

}  // namespace kling::sim
