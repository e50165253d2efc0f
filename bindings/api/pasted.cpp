#include "api/pasted.h"

#include <algorithm>

#include "api/text.h"

namespace kling::api {
namespace {

constexpr std::string_view kQuotes[] = {"\"",     "'",      "`",      "\u2018", "\u2019",
                                        "\u201c", "\u201d", "\u00ab", "\u00bb"};

/// Bytes of the blank or quote at the start or the end of `text`; 0: there is none.
std::size_t wrapping(std::string_view text, bool at_end) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    const std::string_view piece =
        at_end ? text.substr(text.size() - length) : text.substr(0, length);
    if (is_blank(piece) || std::ranges::find(kQuotes, piece) != std::end(kQuotes)) return length;
  }
  return 0;
}

}  // namespace

std::string bare(std::string_view pasted) {
  while (const std::size_t length = wrapping(pasted, false)) pasted.remove_prefix(length);
  while (const std::size_t length = wrapping(pasted, true)) pasted.remove_suffix(length);
  return std::string(pasted);
}

Result<std::string> bare_key(std::string_view pasted, const std::string& source) {
  std::string key = bare(pasted);
  for (bool found = true; found;) {
    found = false;
    for (const char* before :
         {"export ", "authorization:", "bearer ", "kling_api_key=", "cometapi_key=", "key ="}) {
      if (!lower(key).starts_with(before)) continue;
      key = bare(std::string_view(key).substr(std::string_view(before).size()));
      found = true;
    }
  }
  while (key.ends_with(';') || key.ends_with(',')) key = bare(key.substr(0, key.size() - 1));
  if (lower(key) == "bearer") return std::string();
  if (std::any_of(key.begin(), key.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7F; }))
    return Error{
        .kind = Kind::auth,
        .message = "the key in " + source + " has a blank, a line break or a foreign letter inside",
        .hint = "copy it again from your account's page: it is one word such as sk-…"};
  return key;
}

Status take_byte_order_mark(std::string& text, const std::string& name) {
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  const auto zero = [&text](std::size_t i) { return i < text.size() && text[i] == '\0'; };
  if (text.starts_with("\xFF\xFE") || text.starts_with("\xFE\xFF") || (zero(0) && !zero(1)) ||
      (!zero(0) && zero(1)))
    return Error{.kind = Kind::invalid,
                 .message = name + " is text in UTF-16",
                 .hint = "save it as UTF-8 with your editor"};
  return Done{};
}

}  // namespace kling::api
