// The fault script: which request is to go wrong, and how. A line is
//     WHAT[/KIND]#WHICH: FAULT[, FAULT]        "create#2: accept, drop"
// where WHAT is create, query, download or callback, KIND an endpoint such as omni-video, and
// WHICH a number from 1, a range "2-5", or "*". A FAULT is a name of the table or a code of the
// service, such as 1301. Requests are counted per WHAT, or per WHAT and KIND where the line names
// one; callbacks in the order in which their tasks are made, three a task. "#" starts a comment
// where a line begins with it. Thread-safe; never blocks.
#pragma once

#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace kling::sim {

/// What happens to the bytes of an answer.
enum class Mishap { none, drop, reset, hang, drip, truncate, endless_headers, endless_body };

/// One row of the fault table: everything that is known of a fault but its effect on a body.
struct FaultKind {
  const char* name;
  const char* at;  ///< what it is for: "create query"
  const char* doc;
  Mishap mishap = Mishap::none;
  int http = 0;  ///< the status of an answer that replaces the real one; 0: none
  int code = 0;  ///< its code in the service's error table; 0: `body` as it is
  const char* body = "";
  const char* header = nullptr;  ///< one more header, and its value
  const char* header_value = nullptr;
};

const std::vector<FaultKind>& fault_kinds();

/// The faults of one request.
struct Faults {
  std::vector<const FaultKind*> kinds;
  bool has(std::string_view name) const;
  Mishap mishap() const;
  /// The fault that answers in the service's place, or null.
  const FaultKind* replacement() const;
  /// True when the request does not reach the service: it goes wrong and `accept` is not said.
  bool lost() const;
};

class FaultScript {
 public:
  /// Adds lines. Errors (kind invalid) name what is wrong with one and what there is.
  Status add(const std::string& lines);
  /// Counts a request and says what goes wrong with it.
  Faults next(const std::string& what, const std::string& kind);

 private:
  struct Line {
    std::string key;
    int from = 1, to = 1;
    Faults faults;
  };
  std::mutex mutex_;
  std::vector<Line> lines_;
  std::map<std::string, int> counts_;
};

}  // namespace kling::sim
