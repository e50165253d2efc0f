
#include <algorithm>

#include "api/decoder.h"
#include "api/endpoint.h"
#include "api/text.h"
#include "base/file_kind.h"

namespace kling::api {
namespace {

using Cells = std::vector<std::string>;

/// The field of a request that the head of a column means, such as "Aspect Ratio"; else the head,
/// small when it is all in capitals.
std::string field_of(const std::string& head) {
  std::string field = lower(head);
  std::ranges::replace_if(
      field, [](char c) { return c == ' ' || c == '-'; }, '_');
  for (const Endpoint& endpoint : endpoints())
    for (const Param& param : endpoint.params)
      if (param.name == field) return field;
  const bool small = std::ranges::any_of(head, [](char c) { return c >= 'a' && c <= 'z'; });
  return small && field != "name" && field != "take" ? head : lower(head);
}

/// What stands most often in the first line outside of quotes.
char separator_of(std::string_view text) {
  constexpr std::string_view kSeparators = ",;\t|";
  int counts[4] = {};
  bool quoted = false;
  for (const char c : text) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    if (c == '\n' || c == '\r') break;
    if (const auto at = kSeparators.find(c); at != kSeparators.npos) ++counts[at];
  }
  return kSeparators[std::size_t(std::ranges::max_element(counts) - counts)];
}

/// Takes the next row off `rest`; false: a quote in its last cell is not as it should be.
bool take_row(std::string_view& rest, char separator, Cells& cells) {
  cells.assign(1, "");
  bool quoted = false, was_quoted = false;
  std::string behind;  // the closing quote
  std::size_t at = 0;
  for (; at < rest.size(); ++at) {
    const char c = rest[at];
    std::string& cell = cells.back();
    if (quoted) {
      if (c != '"') {
        cell += c;
      } else if (rest.substr(at + 1).starts_with('"')) {
        cell += c;
        ++at;
      } else {
        quoted = false;
        was_quoted = true;
      }
    } else if (c == '"' && is_blank(cell) && !was_quoted) {
      cell.clear();
      quoted = true;
    } else if (c == separator && is_blank(behind)) {
      cells.emplace_back();
      was_quoted = false;
    } else if (c == '\n' || c == '\r') {
      at += rest.substr(at).starts_with("\r\n") ? 2 : 1;
      break;
    } else {
      (was_quoted ? behind : cell) += c;
    }
  }
  rest.remove_prefix(at);
  return is_blank(behind) && !quoted;
}

}  // namespace

Result<Json> read_csv(std::string text, const std::string& name, Json* numbers) {
  if (Status read = take_byte_order_mark(text, name); !read) return read.error();
  // The end of a text on CP/M and DOS, which some programs still write.
  if (const auto end = text.find('\x1a'); text.find_first_not_of("\x1a\r\n", end) == text.npos)
    text.resize(std::min(end, text.size()));
  Error error{.message = name + ": "};
  const auto wrong = [&](std::size_t row, const std::string& column, const std::string& what) {
    error.message += "row " + std::to_string(row) + ", column " + column + ": " + what;
    return error;
  };
  const bool zero = text.find('\0') != text.npos, binary = zero || bad_utf8(text) != text.npos;
  const FileKind& kind = file_kind(text);
  const bool other = (binary && kind.family != FileKind::other) || text.starts_with('<') ||
                     text.starts_with("%PDF") || text.starts_with("PK\3\4");
  if (const bool data = parse_json(text).is_structured(); binary || other || data) {
    error.message = name + (other  ? std::string(" is ") + kind.name + ", no table"
                            : data ? " is JSON, no table"
                            : zero ? " is no text: it holds a zero byte"
                                   : " is not UTF-8");
    error.hint = "save the table as CSV UTF-8";
    return error;
  }
  char separator = separator_of(text);
  std::string_view rest = text;
  if (lower(text.substr(0, 4)) == "sep=" && text.find_first_of("\r\n") == 5) {  // for spreadsheets
    separator = text[4];
    rest.remove_prefix(rest.substr(5).starts_with("\r\n") ? 7 : 6);
  }
  Cells names, cells;
  Json rows = Json::array();
  if (separator == '"') return wrong(1, "1", "a quote cannot separate; write sep=; or sep=,");
  for (std::size_t number = 1; !rest.empty(); ++number) {
    // A first column may be called #.
    if (rest.front() == '#' &&
        (number > 1 || rest.substr(0, rest.find_first_of("\r\n")).find(separator) == rest.npos))
      return wrong(number, "1", "# begins no comment here; take the row out, or write \"#…\"");
    const bool whole = take_row(rest, separator, cells);
    const auto column = [&](std::size_t i) {
      return i < names.size() && !names[i].empty() ? names[i] : std::to_string(i + 1);
    };
    if (!whole)
      return wrong(number, column(cells.size() - 1),
                   "a quote is not closed, or something follows it; write \"\" for a quote");
    for (std::string& cell : cells) {
      cell = bare(cell, false);
      for (std::size_t at = 0; (at = cell.find("\r\n", at)) != cell.npos;) cell.erase(at, 1);
    }
    if (number == 1) {
      names = cells;
      for (std::string& cell : names) cell = field_of(cell);
      for (std::size_t i = 0; i < names.size(); ++i)
        if (!names[i].empty() && std::count(names.begin(), names.end(), names[i]) > 1)
          return wrong(1, names[i], "two columns have this name");
      for (std::size_t i = 0; i < names.size(); ++i)
        if (whole_number(names[i]))
          return wrong(1, std::to_string(i + 1),
                       "the first row names the columns, such as prompt,duration");
      continue;
    }
    // The line below the heads of a table that a chat wrote.
    if (number == 2 && separator == '|' && std::ranges::all_of(cells, [](const std::string& cell) {
          return cell.find_first_not_of("-:") == cell.npos;
        }))
      continue;
    Json row = Json::object();
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (cells[i].empty()) continue;
      if (i >= names.size() || names[i].empty())
        return wrong(number, column(i),
                     shown(cells[i]) + (i < names.size()
                                            ? " has no name above it; write one into row 1"
                                            : " has no name above it; is a separator inside a cell "
                                              "that is not in quotes?"));
      row[names[i]] = cells[i];
    }
    if (row.empty()) continue;
    rows.push_back(std::move(row));
    if (numbers != nullptr) numbers->push_back(number);
  }
  if (rows.empty())
    return Error{.message = name + (is_blank(text) ? " is empty" : " has no rows below its first"),
                 .hint = "the first row names the columns, such as prompt,duration"};
  return rows;
}

}  // namespace kling::api
