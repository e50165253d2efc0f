#include "engine/job.h"

#include "api/capabilities.h"
#include "api/text.h"

namespace kling::engine {
namespace {

template <auto Text>
api::Json text(const JobSnapshot& job) {
  return job.*Text;
}
template <auto Text>
api::Json some(const JobSnapshot& job) {
  return (job.*Text).empty() ? api::Json() : api::Json(job.*Text);
}
template <auto Time>
api::Json seconds(const JobSnapshot& job) {
  return job.*Time == 0 ? api::Json() : api::Json(static_cast<double>(job.*Time) / 1000);
}

template <auto Part>
api::Json part(const JobSnapshot& job) {
  return job.*Part < 0 ? api::Json() : api::Json(job.*Part);
}

constexpr JobField kJobFields[] = {
    {"handle", text<&JobSnapshot::handle>},
    {"id", some<&JobSnapshot::task_id>},
    {"state", text<&JobSnapshot::state>},
    {"kind", text<&JobSnapshot::endpoint>},
    {"external_id", some<&JobSnapshot::external_id>},
    {"path", some<&JobSnapshot::file>},
    {"name", some<&JobSnapshot::name>},
    {"where", text<&JobSnapshot::script>},
    {"waiting_for", some<&JobSnapshot::waiting_for>},
    {"prompt", some<&JobSnapshot::summary>},
    {"created", seconds<&JobSnapshot::created_at>},
    {"finished", seconds<&JobSnapshot::finished_at>},
    {"expected", seconds<&JobSnapshot::expected>},
    {"progress", part<&JobSnapshot::progress>},
    {"transfer", part<&JobSnapshot::transfer>},
    {"cost", [](const JobSnapshot& job) { return api::Json(api::decimal(job.cost())); }},
    {"reused", [](const JobSnapshot& job) { return api::Json(job.reused); }},
    {"error", [](const JobSnapshot& job) { return job.error ? to_json(*job.error) : api::Json(); }},
};

}  // namespace

std::span<const JobField> job_fields() { return kJobFields; }

api::Json to_json(const JobSnapshot& job) {
  api::Json json;
  for (const JobField& field : kJobFields)
    if (api::Json value = field.get(job); !value.is_null()) json[field.name] = std::move(value);
  return json;
}

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
