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

std::size_t characters(const std::string& text) {
  return static_cast<std::size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xC0) != 0x80; }));
}

/// Type, length, range, choices, counts, members.
Refused check_value(const std::string& path, const Json& rule, const Json& value) {
  if (!has_type(value, text_of(rule, "type"))) return refuse("type", path);
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const Json* choices = member_of(rule, "enum");
    if (choices != nullptr && !contains(choices, text)) return refuse("value", path);
    if (static_cast<double>(characters(text)) > limit(rule, "max_chars", 1e9)) {
      return refuse("length", path);
    }
  } else if (value.is_number()) {
    const double number = value.get<double>();
    if (number < limit(rule, "min", -1e18) || number > limit(rule, "max", 1e19)) {
      return refuse("value", path);
    }
  } else if (value.is_array()) {
    const auto count = static_cast<double>(value.size());
    if (count < limit(rule, "min_items", 0) || count > limit(rule, "max_items", 1e9)) {
      return refuse("count", path);
    }
    for (const Json& item : value) {
      if (auto refused = check_value(path, rule["items"], item)) return refused;
    }
  } else if (value.is_object()) {
    for (const auto& [name, inner] : rule["fields"].items()) {
      if (auto refused = check_member(path + ".", name.c_str(), inner, value)) return refused;
    }
  }
  return {};
}

}  // namespace

Refused refuse(std::string_view message, std::string_view value) {
  return refusal(1201, message, value);
}

double limit(const Json& rule, const char* name, double otherwise) {
  const Json* found = member_of(rule, name);
  return found == nullptr ? otherwise : found->get<double>();
}

bool contains(const Json* list, const std::string& text) {
  return list != nullptr && std::find(list->begin(), list->end(), Json(text)) != list->end();
}

Refused check_member(const std::string& path, const char* name, const Json& rule,
                     const Json& object) {
  const Json* value = member_of(object, name);
  if (value != nullptr) return check_value(path + name, rule, *value);
  if (member_of(rule, "required") != nullptr) return refuse("required", path + name);
  return {};
}

}  // namespace kling::sim
