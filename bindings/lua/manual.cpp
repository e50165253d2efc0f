#include "lua/manual.h"

#include <algorithm>
#include <utility>

namespace kling {
extern const std::string_view kEditorTypes;  // scripts/types/kling.lua
}

namespace kling::lua {
namespace {

/// What stands before the next `mark`; takes both off `text`.
std::string cut(std::string_view& text, std::string_view mark) {
  const std::size_t end = std::min(text.find(mark), text.size());
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(std::min(end + mark.size(), text.size()));
  return std::string(part);
}

/// "name type words": the type ends at a space that is in no bracket and behind no colon.
ManualField field_of(std::string_view text) {
  const std::string name = cut(text, " ");
  int depth = 0;
  std::size_t end = 0;
  for (; end < text.size(); ++end) {
    if (std::string_view("({<").find(text[end]) != text.npos) ++depth;
    if (std::string_view(")}>").find(text[end]) != text.npos) --depth;
    if (text[end] == ' ' && depth == 0 && text[end - 1] != ':') break;
  }
  const std::string type(text.substr(0, end));
  return {name, type, std::string(text.substr(std::min(end + 1, text.size())))};
}

/// Reads annotations of LuaLS as they are written there: a line each, words before the rest.
Manual read_manual() {
  Manual manual;
  std::vector<ManualClass>* classes = nullptr;
  ManualFunction next;
  for (std::string_view text = kEditorTypes; !text.empty();) {
    const std::string whole = cut(text, "\n");
    std::string_view line = whole;
    if (line == kFromTable) cut(text, kEndOfTable);
    if (line == "-- What functions take.") classes = &manual.options;
    if (line == "-- What functions give.") classes = &manual.values_of;
    if (line.starts_with("function ")) {
      cut(line, " ");
      const bool method = line.find(':') < line.find('(');
      cut(line, method ? ":" : ".");
      next.name = cut(line, "(");
      (method ? classes->back().methods : manual.functions).push_back(std::exchange(next, {}));
    }
    if (!line.starts_with("---")) continue;
    line.remove_prefix(3);
    if (!line.starts_with('@')) {
      next.doc = line;
      continue;
    }
    const std::string tag = cut(line, " ");
    if (tag == "@class" && line == "kling.Module") {
      classes = nullptr;
    } else if (tag == "@class") {
      classes->push_back({std::string(line), std::exchange(next.doc, {}), {}, {}});
    } else if (tag == "@field") {
      (classes != nullptr ? classes->back().fields : manual.values).push_back(field_of(line));
    } else if (tag == "@param") {
      next.params.push_back(field_of(line));
    } else if (tag == "@return") {
      next.returns += (next.returns.empty() ? "" : "\n") + std::string(line);
    }
  }
  return manual;
}

}  // namespace

const Manual& manual() {
  static const Manual kManual = read_manual();
  return kManual;
}

std::string call_of(const ManualFunction& function, const std::string& before) {
  std::string text = before + function.name + "(";
  for (const ManualField& param : function.params)
    text += (&param == &function.params.front() ? "" : ", ") + param.name;
  return text + ")";
}

}  // namespace kling::lua
