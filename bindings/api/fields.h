// Reading a request's fields without trusting their types, and what will be sent for them.
// Pure; any thread.
#pragma once

#include "api/endpoint.h"

namespace kling::api {

/// Null, "", {} and [] all mean "not given": the service's own examples send empty strings. Text of
/// blanks is sent, and counts in digests, as it stands.
bool absent(const Json& value);
/// Absent, or text of nothing but blanks: no prompt, and nothing else that is needed.
bool blank(const Json& value);
/// True when `extra` decides the field, so that no rule of ours applies.
bool overridden(const Request& request, std::string_view name);
/// What will be sent for a field, `extra` first; null when neither gives it. Without defaults.
const Json* given(const Request& request, std::string_view name);
/// As text, or the default that will be sent; "" when there is neither.
std::string effective(const Request& request, std::string_view name);
/// How many items a list has; 0 when it is not given.
std::size_t count_of(const Request& request, std::string_view name);
/// The input that {"$media": i} stands for; null for anything else.
const MediaInput* media_of(const Request& request, const Json& value);
/// True when an item of the list has this text in `key`.
bool any_item(const Request& request, std::string_view list, std::string_view key,
              std::string_view value);
/// True when omni edits a video: the length and ratio then are the video's.
bool edits_video(const Request& request);
/// True for a multi-shot request that writes its own shots.
bool has_own_shots(const Request& request);
/// Seconds of the shots of multi_prompt together.
std::int64_t shots_seconds(const Request& request);

}  // namespace kling::api
