// What people write instead of a field, and what to write: the names of other tools, of other
// endpoints of ours, and of things that the service does not have. Data; pure; any thread.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace kling::api {

struct FieldSlip {
  std::string_view endpoint;  ///< empty: every one
  std::string_view names;     ///< what is written, separated by spaces
  const char* instead;        ///< a sentence: what to write
};
std::span<const FieldSlip> field_slips();

/// What to write instead of the unknown field `name` of an endpoint; empty: no idea.
std::string meant_field(std::string_view endpoint, std::string_view name);

}  // namespace kling::api
