#include "api/endpoint.h"

#include <algorithm>
#include <set>

#include "api/text.h"

namespace kling::api {

std::vector<Endpoint> make_endpoints();  // table.cpp
namespace {

/// Edits between two words: insertions, deletions, changes, and swapped neighbours.
std::size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1);
  std::vector<std::size_t> last(b.size() + 1);
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      row[j] =
          std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

/// A default must never make a legal request illegal.
std::string default_for(const Request& request, const Param& param) {
  if (param.name == "duration") {
    if (edits_video(request)) return {};
    if (has_own_shots(request)) return std::to_string(shots_seconds(request));
  }
  if (param.name == "aspect_ratio" &&
      (edits_video(request) || any_item(request, "image_list", "type", "first_frame")))
    return {};
  return param.default_value;
}

}  // namespace

std::span<const Endpoint> endpoints() {
  // Never destroyed, as nothing in these floors is: a worker may outlive main().
  static const auto* const rows = new std::vector<Endpoint>(make_endpoints());
  return *rows;
}

const Endpoint* find_endpoint(std::string_view name) {
  for (const Endpoint& endpoint : endpoints())
    if (endpoint.name == name || endpoint.kind == name ||
        std::ranges::find(endpoint.aliases, name) != endpoint.aliases.end())
      return &endpoint;
  return nullptr;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& choices) {
  if (word.size() > 64) return {};
  const std::string wanted = lower(word);
  const bool number = !wanted.empty() && wanted[0] >= '0' && wanted[0] <= '9';
  std::string tail = (number ? "-v" : "-") + wanted;  // "v2.6" and "2.6" of "kling-v2-6"
  std::ranges::replace(tail, '.', '-');
  std::size_t best = std::clamp<std::size_t>(wanted.size() / 3, 1, 3) + 1;
  std::string nearest;
  for (const std::string& choice : choices) {
    if (wanted.size() > 1 && lower(choice).ends_with(tail)) return choice;
    const std::size_t distance = edit_distance(wanted, lower(choice));
    if (distance < best && distance < wanted.size()) {
      best = distance;
      nearest = choice;
    }
  }
  return nearest;
}

Error to_error(const Endpoint& endpoint, const std::vector<Finding>& findings) {
  const bool errors = std::ranges::any_of(findings, &Finding::is_error);
  std::set<std::string> fields;  // one fault of each is enough to read
  std::string said;              // of the one before, without its field
  std::vector<Finding> faults;
  for (const Finding& one : findings) {
    if ((errors && !one.is_error()) || !fields.insert(one.field).second) continue;
    const bool names = one.message.starts_with(one.field);
    const std::string words = one.message.substr(names ? one.field.size() : 0);
    if (names && std::exchange(said, words) == words)
      faults.back().message += " (" + one.field + " too)";
    else
      faults.push_back(one);
  }
  Error error{.message = endpoint.name + ": ", .field = faults[0].field};
  if (faults.size() == 1) error.hint = faults[0].hint;
  if (faults.size() == 1) return error.message += faults[0].message, error;
  error.message += std::to_string(faults.size()) + " fields are wrong";
  for (const Finding& one : faults) error.message += "\n  " + one.message + "\n    do: " + one.hint;
  return error;
}

bool absent(const Json& value) {
  if (value.is_string()) return value.get_ref<const std::string&>().empty();
  return value.is_null() || (value.is_structured() && value.empty());
}

bool blank(const Json& value) {
  return absent(value) || (value.is_string() && is_blank(value.get_ref<const std::string&>()));
}

bool overridden(const Request& request, std::string_view name) {
  return request.extra.is_object() && request.extra.contains(name);
}

const Json* given(const Request& request, std::string_view name) {
  const Json& value = member(overridden(request, name) ? request.extra : request.fields, name);
  return absent(value) ? nullptr : &value;
}

std::string effective(const Request& request, std::string_view name) {
  if (const Json* value = given(request, name)) return scalar_text(*value);
  if (const Endpoint* endpoint = find_endpoint(request.endpoint))
    for (const Param& param : endpoint->params)
      if (param.name == name) return default_for(request, param);
  return {};
}

std::size_t count_of(const Request& request, std::string_view name) {
  const Json* list = given(request, name);
  return list != nullptr && list->is_array() ? list->size() : 0;
}

const MediaInput* media_of(const Request& request, const Json& value) {
  const Json& index = member(value, "$media");
  if (!index.is_number_integer() || index.get<std::int64_t>() < 0) return nullptr;
  const auto i = index.get<std::size_t>();
  return i < request.media.size() ? &request.media[i] : nullptr;
}

bool any_item(const Request& request, std::string_view list, std::string_view key,
              std::string_view value) {
  const Json* items = given(request, list);
  if (items == nullptr || !items->is_array()) return false;
  return std::any_of(items->begin(), items->end(),
                     [&](const Json& item) { return scalar_text(member(item, key)) == value; });
}

bool edits_video(const Request& request) {
  // Without a refer_type the service takes the video as the base.
  return count_of(request, "video_list") > 0 &&
         !any_item(request, "video_list", "refer_type", "feature");
}

bool has_own_shots(const Request& request) {
  const Json* multi_shot = given(request, "multi_shot");
  return multi_shot != nullptr && *multi_shot == true && count_of(request, "multi_prompt") > 0 &&
         effective(request, "shot_type") != "intelligence";
}

std::int64_t shots_seconds(const Request& request) {
  std::int64_t sum = 0;
  const Json* shots = given(request, "multi_prompt");
  if (shots == nullptr || !shots->is_array()) return 0;
  for (const Json& shot : *shots) {
    const std::int64_t seconds = whole_number(scalar_text(member(shot, "duration"))).value_or(0);
    sum += std::clamp<std::int64_t>(seconds, 0, 1000);
  }
  return sum;
}

Json wire_body(const Endpoint& endpoint, const Request& request) {
  Json body = Json::object();
  for (const Param& param : endpoint.params) {
    const Json& value = member(request.fields, param.name);
    if (!absent(value)) {
      body[param.name] = value;
    } else if (std::string preset = default_for(request, param); !preset.empty()) {
      body[param.name] = std::move(preset);
    }
  }
  if (request.extra.is_object()) body.update(request.extra);
  return body;
}

}  // namespace kling::api
