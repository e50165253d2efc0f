// What a terminal shows: its size, and how many columns text takes there. Wide characters count
// two. Any thread; nothing blocks.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kling {

struct TerminalSize {
  std::size_t columns = 80, rows = 24;
};
/// Of the terminal behind a descriptor; the default when there is none.
TerminalSize terminal_size(int descriptor);

/// True when `descriptor` is a terminal on which the cursor can be moved (TERM is not "dumb").
bool is_capable_terminal(int descriptor);

/// Makes this thread read text as UTF-8, whatever the user's locale: for the two below and for
/// libraries that ask the C library about characters.
void use_utf8();

/// Columns that UTF-8 text takes. REQUIRES: use_utf8() was called on this thread.
std::size_t columns_of(std::string_view text);
/// The text without what a terminal would obey instead of showing; lines and tabs stay.
std::string printable(std::string_view text);
/// As much of the text as fits into `columns`, without anything that moves a terminal's cursor.
std::string fitted(std::string_view text, std::size_t columns);

}  // namespace kling
