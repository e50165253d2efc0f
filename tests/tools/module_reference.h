// The part of docs/reference.md about everything but requests: from the module's manual.
#pragma once

#include <ostream>
#include <string>

#include "lua/manual.h"

namespace kling::docs {

/// Text as a table's cell.
inline std::string cell(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '|') out += '\\';
    out += c == '<' ? "&lt;" : std::string(1, c);
  }
  return out;
}

inline void field_rows(std::ostream& out, const std::vector<lua::ManualField>& fields) {
  for (const lua::ManualField& field : fields)
    out << "| `" << field.name << "` | " << cell(field.type) << " | " << cell(field.doc) << " |\n";
}

inline void function_rows(std::ostream& out, const std::vector<lua::ManualFunction>& functions,
                          const std::string& before) {
  for (const lua::ManualFunction& function : functions) {
    std::string returns = function.returns;
    if (const std::size_t second = returns.find('\n'); second != std::string::npos)
      returns.replace(second, 1, ", ");
    out << "| `" << lua::call_of(function, before) << "` | " << cell(returns) << " | "
        << cell(function.doc) << " |\n";
  }
}

inline void class_section(std::ostream& out, const lua::ManualClass& described) {
  out << "\n### " << described.name << "\n\n" << cell(described.doc) << "\n\n";
  out << "| field | type | |\n|---|---|---|\n";
  field_rows(out, described.fields);
  if (described.methods.empty()) return;
  out << "\n| method | gives | |\n|---|---|---|\n";
  function_rows(out, described.methods, ":");
}

inline void module_sections(std::ostream& out) {
  const lua::Manual& manual = lua::manual();
  out << "\n## Other functions\n\n| function | gives | |\n|---|---|---|\n";
  function_rows(out, manual.functions, "kling.");
  out << "\n| value | type | |\n|---|---|---|\n";
  field_rows(out, manual.values);
  out << "\n## What they give\n\nA name that ends with `?` may be nil.\n";
  for (const lua::ManualClass& described : manual.values_of) class_section(out, described);
  out << "\n## Options\n";
  for (const lua::ManualClass& described : manual.options) class_section(out, described);
}

}  // namespace kling::docs
