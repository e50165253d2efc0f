// The documented contract of the service, as data (contract.json, embedded at build). Read-only
// after the first use; any thread, never blocks.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace kling::sim {

using Json = nlohmann::ordered_json;

const Json& contract();

/// What the service says when it refuses a request at once.
struct Refusal {
  int http = 400;
  int code = 1201;
  std::string message;
};

/// A refusal with the code's own documented text.
Refusal refusal(int code);
/// A refusal with a message of contract.json; its {} becomes `value`.
Refusal refusal(int code, std::string_view message, std::string_view value = {});

/// The member as a string, "" when it is absent or something else.
std::string text_of(const Json& object, const char* member);
/// The member, or null when it is absent or `object` is no object. Empty strings count as absent,
/// as the official examples send them.
const Json* member_of(const Json& object, const char* member);

}  // namespace kling::sim
