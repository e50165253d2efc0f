#include "engine/error_json.h"

#include "api/text.h"

namespace kling::engine {

api::Json to_json(const Error& error) {
  api::Json json = {
      {"kind", name(error.kind)}, {"message", error.message}, {"retryable", error.retryable}};
  for (const auto& [key, text] : kErrorTexts)
    if (!(error.*text).empty()) json[key] = error.*text;
  if (error.http_status != 0) json["http_status"] = error.http_status;
  return json;
}

Error error_from_json(const api::Json& json) {
  const auto text = [&json](const char* key) {
    const api::Json& value = api::member(json, key);
    return value.is_string() ? value.get<std::string>() : std::string();
  };
  Error error{.message = text("message")};
  for (int kind = 0; kind <= static_cast<int>(Kind::script); ++kind)
    if (text("kind") == name(Kind(kind))) error.kind = Kind(kind);
  for (const auto& [key, member] : kErrorTexts) error.*member = text(key);
  if (const api::Json& status = api::member(json, "http_status"); status.is_number_integer())
    error.http_status = status.get<int>();
  error.retryable = api::member(json, "retryable") == true;
  return error;
}

}  // namespace kling::engine
