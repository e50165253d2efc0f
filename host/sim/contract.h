// The documented contract of the service, as data (contract.json, embedded at build). Read-only
// after the first use; any thread, never blocks.
#pragma once

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace kling::sim {

using Json = nlohmann::ordered_json;

/// The file; each endpoint's "rules" are its fields' rules, the shared ones and its own together.
const Json& contract();

/// The path's word for an endpoint that is named in it or in a client's way ("omni"), else "".
std::string endpoint_kind(std::string name);

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
std::string text_of(const Json& object, const std::string& member);
/// The member, or null when it is absent or `object` is no object. Empty strings count as absent,
/// as the official examples send them.
const Json* member_of(const Json& object, const std::string& member);

}  // namespace kling::sim
