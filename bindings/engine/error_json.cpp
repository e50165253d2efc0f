#include "engine/error_json.h"

namespace kling::engine {
namespace {

constexpr Kind kKinds[] = {Kind::invalid,     Kind::auth,        Kind::balance,   Kind::policy,
                           Kind::rate_limit,  Kind::network,     Kind::timeout,   Kind::server,
                           Kind::protocol,    Kind::task_failed, Kind::ambiguous, Kind::budget,
                           Kind::interrupted, Kind::media,       Kind::ledger};

}  // namespace

api::Json to_json(const Error& error) {
  api::Json json = {
      {"kind", name(error.kind)}, {"message", error.message}, {"retryable", error.retryable}};
  const auto put = [&json](const char* key, const std::string& text) {
    if (!text.empty()) json[key] = text;
  };
  put("hint", error.hint);
  put("field", error.field);
  put("code", error.code);
  put("request_id", error.request_id);
  put("job", error.job);
  if (error.http_status != 0) json["http_status"] = error.http_status;
  return json;
}

Error error_from_json(const api::Json& json) {
  Error error;
  if (!json.is_object()) return error;
  const auto text = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  const std::string kind = text("kind");
  for (const Kind candidate : kKinds)
    if (kind == name(candidate)) error.kind = candidate;
  error.message = text("message");
  error.hint = text("hint");
  error.field = text("field");
  error.code = text("code");
  error.request_id = text("request_id");
  error.job = text("job");
  if (const auto found = json.find("http_status");
      found != json.end() && found->is_number_integer())
    error.http_status = found->get<int>();
  if (const auto found = json.find("retryable"); found != json.end() && found->is_boolean())
    error.retryable = found->get<bool>();
  return error;
}

}  // namespace kling::engine
