#include "base/terminal.h"

#include <clocale>
#include <cstdlib>
#include <cwchar>

#include <sys/ioctl.h>
#include <unistd.h>

namespace kling {
namespace {

struct Character {
  std::string_view bytes;
  std::size_t columns = 0;
  bool printable = true;
};

/// Takes the first character off `text`. What is none counts as a byte that cannot be shown.
Character next_character(std::string_view& text) {
  wchar_t code = 0;
  std::mbstate_t state{};
  std::size_t size = std::mbrtowc(&code, text.data(), text.size(), &state);
  const bool valid = size <= text.size() && size > 0;
  if (!valid) size = 1;
  // What turns the direction of writing could show a line as another one.
  const bool turns = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
  const int width = valid && !turns ? ::wcwidth(code) : -1;
  Character character{text.substr(0, size), width < 0 ? 1 : static_cast<std::size_t>(width),
                      width >= 0};
  text.remove_prefix(size);
  return character;
}

}  // namespace

TerminalSize terminal_size(int descriptor) {
  winsize size{};
  TerminalSize result;
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0) return result;
  if (size.ws_col > 0) result.columns = size.ws_col;
  if (size.ws_row > 0) result.rows = size.ws_row;
  return result;
}

bool is_capable_terminal(int descriptor) {
  const char* type = std::getenv("TERM");
  return ::isatty(descriptor) != 0 && type != nullptr && std::string_view(type) != "dumb";
}

void use_utf8() {
  static const locale_t utf8 = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", locale_t{});
  if (utf8 != locale_t{}) ::uselocale(utf8);
}

std::size_t columns_of(std::string_view text) {
  std::size_t columns = 0;
  while (!text.empty()) columns += next_character(text).columns;
  return columns;
}

std::string printable(std::string_view text) {
  use_utf8();
  std::string shown;
  for (std::size_t at = 0, end = 0; at <= text.size(); at = end + 1) {
    end = std::min(text.find_first_of("\n\t", at), text.size());
    shown += fitted(text.substr(at, end - at), text.npos) + std::string(text.substr(end, 1));
  }
  return shown;
}

std::string fitted(std::string_view text, std::size_t columns) {
  std::string line;
  while (!text.empty()) {
    const Character character = next_character(text);
    if (character.columns > columns) break;
    columns -= character.columns;
    if (character.printable) {
      line += character.bytes;
    } else {
      line += static_cast<unsigned char>(character.bytes.front()) <= 0x20 ? ' ' : '?';
    }
  }
  return line;
}

}  // namespace kling
