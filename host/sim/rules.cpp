#include "sim/rules.h"

#include <algorithm>

namespace kling::sim {
namespace {

bool has_type(const Json& value, const std::string& type) {
  if (type == "string") return value.is_string();
  if (type == "number") return value.is_number();
  if (type == "integer") return value.is_number_integer();
  if (type == "boolean") return value.is_boolean();
  if (type == "object") return value.is_object();
  return type == "array" ? value.is_array() : true;
}

/// True when `value` is beyond the rule's limits of these names.
bool outside(const Json& rule, double value, const char* least, const char* most) {
  return value < limit(rule, least, value) || value > limit(rule, most, value);
}

/// Type, length, range, choices, counts, members.
Refused check_value(const std::string& path, const Json& rule, const Json& value) {
  if (!has_type(value, text_of(rule, "type"))) return refuse("type", path);
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const Json* choices = member_of(rule, "enum");
    if (choices != nullptr && !contains(choices, text)) return refuse("value", path);
    const auto characters =
        std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; });
    if (outside(rule, static_cast<double>(characters), "", "max_chars"))
      return refuse("length", path);
  } else if (value.is_number()) {
    if (outside(rule, value.get<double>(), "min", "max")) return refuse("value", path);
  } else if (value.is_array()) {
    if (outside(rule, static_cast<double>(value.size()), "min_items", "max_items"))
      return refuse("count", path);
    for (const Json& item : value)
      if (auto refused = check_value(path, rule["items"], item)) return refused;
  } else if (value.is_object()) {
    for (const auto& [name, inner] : rule["fields"].items())
      if (auto refused = check_member(path + ".", name, inner, value)) return refused;
  }
  return {};
}

}  // namespace

Refused refuse(std::string_view message, std::string_view value) {
  return refusal(1201, message, value);
}

double limit(const Json& rule, const std::string& name, double otherwise) {
  const Json* found = member_of(rule, name);
  return found == nullptr ? otherwise : found->get<double>();
}

bool contains(const Json* list, const std::string& text) {
  return list != nullptr && std::find(list->begin(), list->end(), Json(text)) != list->end();
}

Refused check_member(const std::string& path, const std::string& name, const Json& rule,
                     const Json& object) {
  const Json* value = member_of(object, name);
  if (value != nullptr) return check_value(path + name, rule, *value);
  if (member_of(rule, "required") != nullptr) return refuse("required", path + name);
  return {};
}

}  // namespace kling::sim
