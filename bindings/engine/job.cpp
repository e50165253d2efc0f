#include "engine/job.h"

#include "api/capabilities.h"
#include "api/text.h"

namespace kling::engine {
namespace {

template <class T>
const T& of(const JobView& view, T StepFacts::*fact) {
  return view.step.*fact;
}
template <class T>
const T& of(const JobView& view, T JobFacts::*fact) {
  return view.job.*fact;
}

template <auto Text>
api::Json text(const JobView& view) {
  return of(view, Text);
}
template <auto Text>
api::Json some(const JobView& view) {
  return of(view, Text).empty() ? api::Json() : api::Json(of(view, Text));
}
template <auto Time>
api::Json seconds(const JobView& view) {
  const Millis time = of(view, Time);
  return time == 0 ? api::Json() : api::Json(static_cast<double>(time) / 1000);
}
api::Json reason(const std::shared_ptr<const Error>& error) {
  return error ? to_json(*error) : api::Json();
}
api::Json part(double part) { return part < 0 ? api::Json() : api::Json(part); }

constexpr JobField kJobFields[] = {
    {"handle", [](const JobView& view) { return api::Json(handle_of(view.step)); }},
    {"id", some<&StepFacts::task_id>},
    {"state", [](const JobView& view) { return api::Json(view.state); }},
    {"kind", text<&StepFacts::endpoint>},
    {"external_id", some<&StepFacts::external_id>},
    {"path", some<&StepFacts::file>},
    {"name", some<&StepFacts::name>},
    {"where", text<&StepFacts::script>},
    {"waiting_for", some<&JobFacts::waiting_for>},
    {"prompt", some<&StepFacts::summary>},
    {"created", seconds<&StepFacts::created_at>},
    {"finished", seconds<&StepFacts::finished_at>},
    {"expected", seconds<&JobFacts::expected>},
    {"progress", [](const JobView& view) { return part(view.progress); }},
    {"transfer", [](const JobView& view) { return part(view.job.transfer); }},
    {"cost", [](const JobView& view) { return api::Json(api::decimal(view.step.cost())); }},
    {"reused", [](const JobView& view) { return api::Json(view.job.reused); }},
    {"error", [](const JobView& view) { return reason(view.error); }},
    {"warning", [](const JobView& view) { return reason(view.store_error); }},
};

}  // namespace

std::span<const JobField> job_fields() { return kJobFields; }

JobSnapshot::JobSnapshot(const JobView& view)
    : StepFacts(view.step),
      JobFacts(view.job),
      handle(handle_of(view.step)),
      phase(view.phase),
      state(view.state) {
  progress = view.progress;
  error = view.error;
  store_error = view.store_error;
}

api::Json to_json(const JobView& view) {
  api::Json json;
  for (const JobField& field : kJobFields)
    if (api::Json value = field.get(view); !value.is_null()) json[field.name] = std::move(value);
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
