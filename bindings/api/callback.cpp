#include "api/callback.h"

#include <charconv>

#include "api/decoder.h"
#include "api/text.h"
#include "base/digest.h"

namespace kling::api {
namespace {

constexpr std::int64_t kTolerance = 300;  // seconds
constexpr std::size_t kMostBody = 1u << 20, kMostPath = 1u << 13;

std::string header(const CallbackRequest& request, std::string_view name) {
  for (const auto& [key, value] : request.headers)
    if (lower(key) == name) return value;
  return "";
}

Error unsigned_callback(const char* why) {
  return {.kind = Kind::auth,
          .message = std::string("a callback is refused: ") + why,
          .hint =
              "check webhook_secret: it is that of Kling's console; without one, callbacks are "
              "taken as they come"};
}

/// Empty: the secret is of a wrong form.
std::string key_of(std::string_view secret) {
  constexpr std::string_view kPrefix = "whsec_";
  if (secret.starts_with(kPrefix)) secret.remove_prefix(kPrefix.size());
  std::string key;
  return base64_decode(secret, key) ? key : "";
}

Status check_signature(const CallbackRequest& request, std::string_view secret, std::int64_t now) {
  const std::string key = key_of(secret), time = header(request, "webhook-timestamp");
  if (key.empty()) return check_webhook_secret(secret);
  if (time.empty()) return unsigned_callback("it is not signed");
  std::int64_t at = 0;
  const auto [end, failed] = std::from_chars(time.data(), time.data() + time.size(), at);
  if (failed != std::errc() || end != time.data() + time.size())
    return unsigned_callback("its webhook-timestamp is no number of seconds");
  if (at < now - kTolerance || at > now + kTolerance)
    return unsigned_callback("it was signed more than 300 s ago, or will be");
  const std::string expected = base64_encode(
      hmac_sha256(key, header(request, "webhook-id") + "." + time + "." + request.body));
  const std::string given = header(request, "webhook-signature");
  bool matches = false;  // one of several, while the secret is being changed
  for (std::size_t from = 0; from <= given.size();) {
    const std::size_t space = std::min(given.find(' ', from), given.size());
    matches |= equal_secrets(given.substr(from, space - from), "v1," + expected);
    from = space + 1;
  }
  if (!matches) return unsigned_callback("its signature is not that of webhook_secret");
  return Done{};
}

}  // namespace

Status check_webhook_secret(std::string_view secret) {
  if (secret.empty() || !key_of(secret).empty()) return Done{};
  return Error{.kind = Kind::auth,
               .message = "webhook_secret is no \"whsec_\" and Base64",
               .hint = "copy it again from Kling's console"};
}

Result<Callback> read_callback(const CallbackRequest& request, std::string_view secret,
                               std::int64_t now) {
  if (request.body.size() > kMostBody) return Error{.message = "a callback's body is over 1 MB"};
  if (request.path.size() > kMostPath) return Error{.message = "a callback's path is over 8 KB"};
  if (!secret.empty())
    if (Status checked = check_signature(request, secret, now); !checked) return checked.error();
  const Json json = parse_json(request.body);
  if (!json.is_object()) return Error{.message = "a callback's body is no JSON object"};
  const auto text = [&json](const char* key) { return scalar_text(member(json, key)); };
  Callback read{text("task_id"), text("external_id")};
  if (read.task_id.empty()) read.task_id = text("id");
  if (const Json& info = member(json, "task_info"); info.is_object())
    read.external_id = scalar_text(member(info, "external_task_id"));
  // Unless its address has a token, which may be ours.
  const std::string path = request.path.substr(0, request.path.find_first_of("?#"));
  const std::string last = path.substr(path.rfind('/') + 1);
  if (read.task_id.empty() && read.external_id.empty() &&
      (last.size() < 16 || last.find_first_not_of("0123456789abcdef") != last.npos))
    return Error{.message = "a callback names no task: it has no task_id and no external id"};
  std::string status = text("task_status");
  if (status.empty()) status = text("status");
  // A word that we do not know may be an end.
  read.ended = status != "submitted" && status != "processing";
  return read;
}

}  // namespace kling::api
