#include "engine/step.h"

#include <charconv>
#include <cmath>

#include "api/text.h"
#include "base/digest.h"
#include "net/url.h"

namespace kling::engine {
namespace {

using api::Json;

/// Whole numbers without a fraction (5.0 and 5 are one value to a script), media as identities.
Json canonical_value(const Json& value, const Identities* identities) {
  if (value.is_number_float()) {
    constexpr double kExact = 9007199254740992.0;  // 2^53: beyond it doubles are not exact
    const double number = value.get<double>();
    if (std::abs(number) <= kExact && number == std::trunc(number)) return std::int64_t(number);
    return value;
  }
  if (value.is_array()) {
    Json list = Json::array();
    for (const Json& item : value) list.push_back(canonical_value(item, identities));
    return list;
  }
  if (!value.is_object()) return value;
  if (identities != nullptr && value.size() == 1 && value.contains("$media")) {
    const Json& index = value["$media"];
    if (index.is_number_integer() && index.get<std::int64_t>() >= 0 &&
        index.get<std::size_t>() < identities->size())
      return (*identities)[index.get<std::size_t>()];
  }
  Json object = Json::object();
  for (const auto& [key, item] : value.items()) object[key] = canonical_value(item, identities);
  return object;
}

/// The fields that make a request what it is; empty ones are not sent, so they do not count.
Json canonical_fields(const Json& fields, const Identities* identities) {
  Json kept = Json::object();
  if (!fields.is_object()) return kept;
  for (const auto& [key, value] : fields.items()) {
    if (key == "callback_url" || key == "external_task_id") continue;
    const bool is_empty_text = value.is_string() && value.get_ref<const std::string&>().empty();
    if (value.empty() || is_empty_text) continue;
    kept[key] = canonical_value(value, identities);
  }
  return kept;
}

std::string of_step(std::string_view address, int video) {
  std::string text = " of step " + std::string(address);
  if (video > 0) text += " video " + std::to_string(video + 1);
  return text;
}

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// Fit to stand in a URL's path and in a shell: letters and digits, later also . _ - = + @
bool is_id(std::string_view text) {
  if (text.empty() || text.size() > 128 || !is_alphanumeric(text.front())) return false;
  for (const char c : text)
    if (!is_alphanumeric(c) && std::string_view("._-=+@").find(c) == std::string_view::npos)
      return false;
  return true;
}

/// External ids may be the user's own: anything that can be printed.
bool is_external_id(std::string_view text) {
  return !text.empty() && text.size() <= 256 && !net::has_controls(text);
}

}  // namespace

std::string canonical_step(std::string_view service, const api::Request& request,
                           const Identities& identities, std::string_view script_take) {
  Json step = {{"version", 1},
               {"service", std::string(service)},
               {"endpoint", request.endpoint},
               {"fields", canonical_fields(request.fields, &identities)}};
  // What is absent is left out, so that a later kind of field changes no older address.
  Json extra = canonical_fields(request.extra, nullptr);
  if (!extra.empty()) step["extra"] = std::move(extra);
  if (!request.take.empty()) step["take"] = request.take;
  if (!script_take.empty()) step["script_take"] = std::string(script_take);
  return api::to_text(step);
}

std::string step_digest(std::string_view canonical) {
  return sha256_hex("kling-step-1\n" + std::string(canonical));
}

std::string step_address(std::string_view digest, int ordinal) {
  return sha256_hex("kling-address-1\n" + std::string(digest) + "\n" + std::to_string(ordinal))
      .substr(0, 32);
}

std::string external_id(std::string_view prefix, std::string_view address, int attempt) {
  return std::string(prefix) + "-" + std::string(address) + "-" + std::to_string(attempt);
}

std::string origin_last_frame(std::string_view address, int video) {
  return "last frame" + of_step(address, video);
}

std::string origin_frame(std::string_view address, int video, double seconds) {
  char text[64];
  const auto end = std::to_chars(text, text + sizeof text, seconds).ptr;
  return "frame at " + std::string(text, end) + " s" + of_step(address, video);
}

std::string origin_video(std::string_view address, int video) {
  return "video" + of_step(address, video);
}

std::string to_string(const Handle& handle) {
  const std::string id = handle.task_id.empty() ? "~" + handle.external_id : handle.task_id;
  return handle.endpoint.empty() ? id : "kling:" + handle.endpoint + "/" + id;
}

Result<Handle> parse_handle(std::string_view pasted) {
  const std::string bare = api::bare(pasted);
  std::string_view text = bare;
  const bool own = text.find('~') != text.npos;  // anything that can be printed
  if (!own && text.starts_with('(')) text.remove_prefix(1);
  while (!own && !text.empty() && std::string_view(",;.)").find(text.back()) < 4)
    text.remove_suffix(1);
  constexpr std::string_view kScheme = "kling:";
  Handle handle;
  if (text.starts_with(kScheme)) {
    const std::size_t slash = text.find('/');
    if (slash != std::string_view::npos) {
      const std::string_view endpoint = text.substr(kScheme.size(), slash - kScheme.size());
      const std::string_view id = text.substr(slash + 1);
      if (is_id(endpoint)) handle.endpoint = endpoint;
      if (id.starts_with('~') && is_external_id(id.substr(1))) handle.external_id = id.substr(1);
      if (is_id(id)) handle.task_id = id;
    }
    if (!handle.endpoint.empty() && handle.task_id.empty() != handle.external_id.empty())
      return handle;
  } else if (is_id(text)) {
    handle.task_id = text;
    return handle;
  } else if (text.starts_with('~') && is_external_id(text.substr(1))) {
    handle.external_id = text.substr(1);
    return handle;
  }
  return Error{
      .message =
          "no job here is called \"" + std::string(text) + "\", and that is no handle of one",
      .hint =
          "write a shot's name, an id or kling:text2video/861309…: kling jobs lists them; with "
          "--sim those of a rehearsal"};
}

Handle named_handle(const std::string& text) {
  auto handle = parse_handle(text);
  return handle ? *handle : Handle{"", text, ""};
}

}  // namespace kling::engine
