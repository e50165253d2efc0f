#include "api/text.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace kling::api {
namespace {

/// Length of the UTF-8 character at the start of `text`; 0 when it is broken.
std::size_t sequence(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  if (text.empty()) return 0;
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80) return 0;
  const unsigned second = byte(1);  // overlong forms, surrogates, beyond U+10FFFF
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
      (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

bool is_control(std::string_view character) {
  const auto first = static_cast<unsigned char>(character[0]);
  return first < 0x20 || first == 0x7F ||
         (first == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0);
}

bool in_token(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.';
}

/// JSON may write "/" and "&" of a URL as "\/" and "\u0026": these do not end it.
bool ends_url(std::string_view rest) {
  if (rest.starts_with('\\')) return !rest.starts_with("\\/") && !rest.starts_with("\\u00");
  return std::string_view(" \"<>\t\r\n").find(rest.front()) != std::string_view::npos;
}

constexpr std::string_view kQuotes[] = {"\"",     "'",      "`",      "<",      ">",     "\u2018",
                                        "\u2019", "\u201c", "\u201d", "\u00ab", "\u00bb"};

/// Bytes of the blank or quote at the start or the end of `text`; 0: there is none.
std::size_t wrapping(std::string_view text, bool at_end, bool quotes) {
  for (std::size_t length = 1; length <= std::min<std::size_t>(4, text.size()); ++length) {
    const std::string_view piece =
        at_end ? text.substr(text.size() - length) : text.substr(0, length);
    if (is_blank(piece) || (quotes && std::ranges::find(kQuotes, piece) != std::end(kQuotes)))
      return length;
  }
  return 0;
}

}  // namespace

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (c & 0xC0) != 0x80; }));
}

std::size_t bad_utf8(std::string_view text) {
  for (std::size_t at = 0, length = 0; at < text.size(); at += length) {
    length = sequence(text.substr(at));
    if (length == 0) return at;
  }
  return text.npos;
}

bool is_blank(std::string_view utf8) {
  static constexpr std::pair<std::uint32_t, std::uint32_t> kUnseen[] = {
      {0x00, 0x20},       {0x7F, 0xA0},       {0xAD, 0xAD},      {0x34F, 0x34F},
      {0x61C, 0x61C},     {0x115F, 0x1160},   {0x1680, 0x1680},  {0x17B4, 0x17B5},
      {0x180B, 0x180F},   {0x2000, 0x200F},   {0x2028, 0x202F},  {0x205F, 0x206F},
      {0x2800, 0x2800},   {0x3000, 0x3000},   {0x3164, 0x3164},  {0xFE00, 0xFE0F},
      {0xFEFF, 0xFEFF},   {0xFFA0, 0xFFA0},   {0xFFF0, 0xFFFB},  {0x1BCA0, 0x1BCA3},
      {0x1D159, 0x1D159}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF}};
  for (std::size_t length; !utf8.empty(); utf8.remove_prefix(length)) {
    length = sequence(utf8);
    if (length == 0) return false;
    std::uint32_t point =
        static_cast<unsigned char>(utf8[0]) & (0xFFu >> (length == 1 ? 0 : length));
    for (std::size_t i = 1; i < length; ++i)
      point = point << 6 | (static_cast<unsigned char>(utf8[i]) & 0x3F);
    if (std::ranges::none_of(kUnseen, [point](const auto& range) {
          return range.first <= point && point <= range.second;
        }))
      return false;
  }
  return true;
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return result;
}

bool has_word(std::string_view words, std::string_view word) {
  return (" " + std::string(words) + " ").find(" " + std::string(word) + " ") != std::string::npos;
}

std::string joined(const std::vector<std::string>& words, std::string_view separator) {
  std::string result;
  for (const std::string& word : words) {
    if (!result.empty()) result += separator;
    result += word;
  }
  return result;
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  const std::string_view digits = text.substr(text.starts_with('-') ? 1 : 0);
  if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_url(std::string_view text) {
  const std::string head = lower(text.substr(0, 8));
  return head.starts_with("http://") || head.starts_with("https://");
}

std::string tidy_url(std::string_view text) {
  constexpr std::string_view kBlank(" \t\r\n\f\v\0", 7);
  std::string url;
  for (const char c : bare(text, false)) {
    if (c == ' ')
      url += "%20";
    else if (kBlank.find(c) == kBlank.npos)
      url += c;
  }
  return url;
}

std::string excerpt(std::string_view text, std::size_t limit) {
  std::string result;
  const std::string_view start = text.substr(0, limit);
  const auto odd = std::ranges::count_if(
      start, [](unsigned char c) { return c < 9 || (c > 13 && c < 32 && c != 27) || c == 0x7F; });
  const bool broken =
      std::min(bad_utf8(start), start.size()) + 4 < start.size();  // not by the limit
  if (odd > 1 + (broken ? 0 : std::ptrdiff_t(start.size()) / 32)) return "binary data";
  bool url = false;
  for (std::size_t i = 0; i < text.size();) {
    const std::string_view rest = text.substr(i);
    const bool word_start = i == 0 || !in_token(text[i - 1]);
    std::size_t length = sequence(rest);
    std::string piece(length == 0 ? "?" : rest.substr(0, length));
    if (length != 0 && is_control(piece)) piece = " ";
    if (word_start &&
        (is_url(rest) || rest.starts_with("http:\\/") || rest.starts_with("https:\\/")))
      url = true;
    if (piece == " " || ends_url(rest)) url = false;
    // Also of an address without a host, as servers repeat what they were asked for.
    const std::size_t equals = piece == "?" ? rest.find('=') : rest.npos;
    const bool query =
        equals != rest.npos && std::ranges::all_of(rest.substr(1, equals - 1), in_token);
    if (piece == "?" && (url || query)) {
      while (length < rest.size() && !ends_url(rest.substr(length))) ++length;
      piece = "?…";
      url = false;
    } else if (word_start && (rest.starts_with("sk-") || rest.starts_with("eyJ"))) {
      length = 3;
      while (length < rest.size() && in_token(rest[length])) ++length;
      piece = "[key]";
    }
    if (result.size() + piece.size() > limit) return result + "…";
    result += piece;
    i += std::max<std::size_t>(length, 1);
  }
  return result;
}

std::string shown(const Json& value) {
  if (value.is_string()) {
    return '"' + excerpt(value.get_ref<const std::string&>(), 60) + '"';
  }
  if (value.is_object()) return value.contains("$media") ? "an image or clip" : "a table";
  if (value.is_array()) return "a list";
  if (value.is_null()) return "nothing";
  return value.dump();
}

std::string scalar_text(const Json& value) {
  if (value.is_string()) return value.get<std::string>();
  return value.is_number() ? value.dump() : std::string();
}

void append_text(std::string& to, const Json& value) {
  char digits[64];
  if (const auto* text = value.get_ptr<const std::string*>())
    append_quoted(to, *text);
  else if (value.is_boolean())
    to += value.get<bool>() ? "true" : "false";
  else if (value.is_number_float() && std::isfinite(value.get<double>()))
    to.append(digits, nlohmann::detail::to_chars(digits, std::end(digits), value.get<double>()));
  else
    to += value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void append_quoted(std::string& to, std::string_view text) {
  // Setting up a serializer costs more than most texts do.
  const auto is_control = [](unsigned char c) { return c < ' '; };
  const bool ascii = std::ranges::none_of(text, [](signed char c) { return c < ' '; });
  if (!ascii && (bad_utf8(text) != text.npos || std::ranges::any_of(text, is_control))) {
    to += Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
    return;
  }
  to += '"';
  if (text.find('"') == text.npos && text.find('\\') == text.npos) to += std::exchange(text, {});
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    to += c;
  }
  to += '"';
}

std::string to_text(const Json& value) {
  std::string text;
  append_text(text, value);
  return text;
}

const Json& member(const Json& value, std::string_view key) {
  static const Json& nothing = *new Json;
  if (!value.is_object()) return nothing;
  const auto found = value.find(key);
  return found == value.end() ? nothing : *found;
}

std::string bare(std::string_view pasted, bool quotes) {
  while (const std::size_t length = wrapping(pasted, false, quotes)) pasted.remove_prefix(length);
  while (const std::size_t length = wrapping(pasted, true, quotes)) pasted.remove_suffix(length);
  return std::string(pasted);
}

Result<std::string> bare_key(std::string_view pasted, const std::string& source) {
  std::string key = bare(pasted);
  constexpr std::string_view kBefore[] = {"export ",        "authorization:", "bearer ",
                                          "kling_api_key=", "cometapi_key=",  "key ="};
  const auto cut = [&](std::string_view before) {
    const bool there = lower(key.substr(0, before.size())) == before;
    if (there) key = bare(key.substr(before.size()));
    return there;
  };
  while (std::ranges::any_of(kBefore, cut)) {
  }
  while (key.ends_with(';') || key.ends_with(',')) key = bare(key.substr(0, key.size() - 1));
  const std::string word = lower(key);
  if (word == "bearer") return std::string();
  const auto odd = std::ranges::find_if_not(key, [](char c) {
    return in_token(c) || std::string_view("~+/=:").find(c) != std::string_view::npos;
  });
  std::string what;
  if (odd != key.end())
    what = "has " +
           (*odd > ' ' && *odd < 0x7F ? std::string("the character ") + *odd
                                      : "a blank, a line break or a foreign letter") +
           " inside";
  if (has_word("null undefined none nil false true changeme", word) ||
      (word.find("your") != word.npos && word.find("key") != word.npos))
    what = "is a word in place of one, as \"null\"";
  if (key.find("...") != key.npos) what = "is cut short by dots";
  if (what.empty()) return key;
  return Error{.kind = Kind::auth,
               .message = "the key in " + source + " " + what,
               .hint = "copy it again from your account's page: it is one word such as sk-…"};
}

Status take_byte_order_mark(std::string& text, const std::string& name) {
  while (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);  // by each program that saved it
  using namespace std::string_view_literals;
  const std::string_view start = std::string_view(text).substr(0, 4);
  const auto zero = [start](std::size_t i) { return i < start.size() && start[i] == '\0'; };
  const bool wide = start == "\xFF\xFE\0\0"sv || (zero(0) && zero(1)) || (zero(1) && zero(2));
  if (wide || start.starts_with("\xFF\xFE") || start.starts_with("\xFE\xFF") ||
      (zero(0) && zero(2)) || (zero(1) && zero(3)))
    return Error{.message = name + " is text in UTF-" + (wide ? "32" : "16"),
                 .hint = "save it as UTF-8 with your editor"};
  return Done{};
}

}  // namespace kling::api
