// Slips in a script, from the messages that Lua has for them: what was probably meant, in a
// sentence. Pure; any thread; knows nothing of Lua's state.
#pragma once

#include <string>
#include <string_view>

namespace kling::lua {

/// For Lua's message of an error while running, such as "attempt to call a nil value (field
/// 'text2vidio')": "did you mean kling.text2video?"; empty: no idea. Tables of the script's own
/// look the same.
std::string meant_instead(std::string_view message);

/// Whether values of the class may have it, as the manual says.
bool has_member(std::string_view owner, std::string_view name);
/// What to write instead of a field or method that a class, such as "kling.Job", does not have.
std::string meant_member(std::string_view owner, std::string_view name);

/// "kling.Job" as scripts call such a value: "job".
std::string short_name(std::string_view owner);

/// A message of Lua's compiler with the line it speaks of, a caret below it and what to write
/// instead, on lines of their own. `source` is the chunk.
std::string explain_syntax(const std::string& message, std::string_view source);

}  // namespace kling::lua
