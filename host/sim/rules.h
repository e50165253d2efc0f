// One value of a request against its rule in contract.json. Any thread, never blocks.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "sim/contract.h"

namespace kling::sim {

using Refused = std::optional<Refusal>;

/// A refusal with code 1201 and a message of contract.json.
Refused refuse(std::string_view message, std::string_view value = {});

/// The member `name` of `object` against `rule`: required, type, length, range, choices, counts
/// and what is inside. `path` is what the message puts before the name.
Refused check_member(const std::string& path, const std::string& name, const Json& rule,
                     const Json& object);

/// A number of a rule, or `otherwise` when the rule does not have it.
double limit(const Json& rule, const std::string& name, double otherwise = 0);
/// True when the array `list` (null: none) has this text.
bool contains(const Json* list, const std::string& text);

}  // namespace kling::sim
