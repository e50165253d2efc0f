// What editors and luacheck read: from the endpoint table and the module's manual.
#pragma once

#include <string>
#include <vector>

#include "api/endpoint.h"
#include "api/text.h"
#include "lua/manual.h"

namespace kling::docs {

using api::Param;
using api::Type;

inline const char* const kPicture = "kling.Image|string|kling.Address";
inline const char* const kVideo = "kling.Clip|string|kling.Address";

inline std::string literals(const api::Rule& rule) {
  std::vector<std::string> words;
  for (const auto* list : {&rule.values, &rule.warn_values})
    for (const std::string& word : *list) words.push_back('"' + word + '"');
  return words.empty() ? "string" : api::joined(words, "|");
}

/// What a script may write for the parameter; `class_name` is the one of its children.
inline std::string type_of(const Param& param, const std::string& class_name) {
  switch (param.type) {
    case Type::string: return literals(param.rule);
    case Type::number: return "number";
    case Type::boolean: return "boolean";
    case Type::integer:
    case Type::seconds: return "integer|string";
    case Type::image: return kPicture;
    case Type::video: return kVideo;
    case Type::object: return class_name;
    case Type::list: break;
  }
  std::string item = class_name;
  for (const Param& child : param.children)  // a bare picture or clip stands for its object
    if (child.type == Type::image || child.type == Type::video)
      item += std::string("|") + (child.type == Type::image ? kPicture : kVideo);
  return "(" + item + ")[]|" + item;
}

inline std::string field_line(const std::string& name, const std::string& type,
                              const std::string& doc) {
  return "---@field " + name + " " + type + " " + doc + "\n";
}

/// The class of a table of parameters, after those of the tables in it.
inline std::string class_of(const std::string& name, const std::string& head,
                            const std::vector<Param>& params) {
  std::string before, fields;
  for (const Param& param : params) {
    const std::string child = name + "." + param.name;
    if (!param.children.empty())
      before += class_of(child, "---" + param.doc + "\n---@class " + child, param.children);
    const std::string type = type_of(param, child);
    const bool optional = !param.required || !param.aliases.empty();
    fields += field_line(param.name + (optional ? "?" : ""), type, param.doc);
    for (const std::string& alias : param.aliases)
      fields += field_line(alias + "?", type, "The same as " + param.name + ".");
  }
  return before + head + "\n" + fields + "\n";
}

/// The text with what stands between the two lines, the n-th time, replaced.
inline std::string with_part(std::string text, int n, const std::string& part) {
  std::size_t from = 0, to = 0;
  for (; n > 0; --n) {
    from = text.find(lua::kFromTable, to) + lua::kFromTable.size();
    to = text.find(lua::kEndOfTable, from);
  }
  return text.replace(from, to - from, "\n\n" + part);
}

/// The module as LuaLS annotations, with the classes and functions of the endpoint table anew.
inline std::string editor_types(const std::string& present) {
  std::string classes, makers;
  for (const api::Endpoint& endpoint : api::endpoints()) {
    const std::string name = "kling." + endpoint.name;
    classes += class_of(
        name,
        "---Fields of kling." + endpoint.name + "{}.\n---@class " + name + ": kling.RequestOptions",
        endpoint.params);
    std::vector<std::string> names = {endpoint.name};
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
    for (const std::string& called : names)
      makers += "---" + endpoint.doc + " Returns at once; only `wait` waits for the service.\n" +
                "---@async\n---@param request " + name + " What is wanted.\n" +
                "---@return kling.Job\nfunction kling." + called + "(request) end\n\n";
  }
  return with_part(with_part(present, 1, classes), 2, makers);
}

/// What luacheck is told of the module.
inline std::string luacheckrc() {
  std::vector<std::string> names;
  for (const api::Endpoint& endpoint : api::endpoints()) {
    names.push_back(endpoint.name);
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
  }
  for (const auto& function : lua::manual().functions) names.push_back(function.name);
  for (const auto& value : lua::manual().values) names.push_back(value.name);
  std::string globals;
  for (const std::string& name : names) globals += "      " + name + " = {},\n";
  return "-- Written by `kling types`. The REPL and some hosts give the module as a global.\n"
         "std = \"lua54\"\nexclude_files = { \"types\" }\nread_globals = {\n  kling = {\n"
         "    fields = {\n" +
         globals + "    },\n  },\n}\n";
}

}  // namespace kling::docs
