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
Fact text(const JobView& view) {
  return std::string_view(of(view, Text));
}
template <auto Text>
Fact some(const JobView& view) {
  return of(view, Text).empty() ? Fact() : text<Text>(view);
}
template <auto Time>
Fact seconds(const JobView& view) {
  const Millis time = of(view, Time);
  return time == 0 ? Fact() : static_cast<double>(time) / 1000;
}
Fact part(double part) { return part < 0 ? Fact() : part; }

constexpr JobField kJobFields[] = {
    {"handle", [](const JobView& view) { return Fact(handle_of(view.step)); }},
    {"id", some<&StepFacts::task_id>},
    {"state", [](const JobView& view) { return Fact(std::string_view(view.state)); }},
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
    {"cost", [](const JobView& view) { return Fact(api::decimal(view.step.cost())); }},
    {"reused", [](const JobView& view) { return Fact(view.job.reused); }},
    {"error", [](const JobView& view) { return Fact(view.error.get()); }},
    {"warning", [](const JobView& view) { return Fact(view.store_error.get()); }},
};

void tell(const JobView& view, auto member) {
  for (const JobField& field : kJobFields) member(field.name, field.get(view));
}
void tell(const Error& error, auto member) {
  member("kind", std::string_view(name(error.kind)));
  member("message", std::string_view(error.message));
  member("retryable", error.retryable);
  for (const auto& [key, text] : kErrorTexts)
    if (!(error.*text).empty()) member(key, std::string_view(error.*text));
  if (error.http_status != 0) member("http_status", error.http_status);
}

template <class Told>
api::Json object_of(const Told& told) {
  api::Json json;
  tell(told, [&](const char* name, const Fact& fact) {
    if (fact != Fact()) json[name] = to_json(fact);
  });
  return json;
}

/// As object_of says it, without making the object: there may be thousands.
template <class Told>
void append(std::string& to, const Told& told) {
  char before = '{';
  tell(told, [&](const char* name, const Fact& fact) {
    if (fact == Fact()) return;
    to += std::exchange(before, ',');
    ((to += '"') += name) += "\":";
    const auto add = [&]<class T>(const T& value) {
      if constexpr (std::is_same_v<T, const Error*>)
        append(to, *value);
      else if constexpr (std::is_arithmetic_v<T>)
        api::append_text(to, value);
      else
        api::append_quoted(to, value);
    };
    std::visit(add, fact);
  });
  to += '}';
}

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

api::Json to_json(const Fact& fact) {
  const auto get = []<class T>(const T& value) -> api::Json {
    if constexpr (std::is_same_v<T, const Error*>)
      return value ? to_json(*value) : api::Json();
    else
      return value;
  };
  return std::visit(get, fact);
}

api::Json to_json(const JobView& view) { return object_of(view); }
api::Json to_json(const Error& error) { return object_of(error); }
void append_json(std::string& to, const JobView& view) { append(to, view); }

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
