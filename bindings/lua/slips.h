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

/// A message of Lua's compiler with the line it speaks of, a caret below it and what to write
/// instead, on lines of their own. `source` is the chunk.
std::string explain_syntax(const std::string& message, std::string_view source);

}  // namespace kling::lua
