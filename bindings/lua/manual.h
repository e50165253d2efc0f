// The module in words: what a script finds in the table `kling` and in its values, read from
// scripts/types/kling.lua, where people write it as editors take it. Help, manual page and
// reference come from it, and tests compare it with the real table. Fields of requests are not
// here: those are the endpoint table's. Immutable; any thread, never blocks.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace kling::lua {

/// A field, parameter or option. A name that ends with '?' may be left out.
struct ManualField {
  std::string name;
  std::string type;  ///< as LuaLS writes it
  std::string doc;
};

struct ManualFunction {
  std::string name;
  std::vector<ManualField> params;
  std::string returns;  ///< a type a line, as LuaLS writes it; empty: nothing
  std::string doc;
};

struct ManualClass {
  std::string name;  ///< "kling.Job"
  std::string doc;
  std::vector<ManualField> fields;
  std::vector<ManualFunction> methods;  ///< called with a colon
};

/// The lines around what is written there from the endpoint table.
inline constexpr std::string_view kFromTable =
                                      "-- From the endpoint table: `./dev docs` writes this part.",
                                  kEndOfTable = "-- So far the endpoint table.";

struct Manual {
  std::vector<ManualFunction> functions;  ///< without those of the endpoint table
  std::vector<ManualField> values;        ///< of the table that are no functions
  std::vector<ManualClass> values_of;     ///< what the functions give
  std::vector<ManualClass> options;       ///< tables that they take
};
const Manual& manual();

/// "kling.map(list, fn, options?)"
std::string call_of(const ManualFunction& function, const std::string& before);

// ---- Slips in a script, from the messages that Lua has for them: what was probably meant, in a
// sentence. Knows nothing of Lua's state ----

/// For Lua's message of an error while running, such as "attempt to call a nil value (field
/// 'text2vidio')": "did you mean kling.text2video?"; empty: no idea. Tables of the script's own
/// look the same. `names`: what could have been called there.
std::string meant_instead(std::string_view message, const std::vector<std::string>& names = {});

/// Whether values of the class may have it, as the manual says.
bool has_member(std::string_view owner, std::string_view name);
/// What to write instead of a field or method that a class, such as "kling.Job", does not have.
std::string meant_member(std::string_view owner, std::string_view name);

/// What stands between `before` and `after`; empty when it is not there.
std::string text_between(std::string_view text, std::string_view before, std::string_view after);

/// "kling.Job" as scripts call such a value: "job".
std::string short_name(std::string_view owner);

/// A message of Lua's compiler with the line it speaks of, a caret below it and what to write
/// instead, on lines of their own; or that the text is UTF-16. `source` is the chunk.
std::string explain_syntax(const std::string& message, std::string_view source);

}  // namespace kling::lua
