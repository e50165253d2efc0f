// Callbacks of the service: a hint that a job is worth a look. What they say is not believed, as
// anybody can send one; whose job they mean is told by a token of ours in the path, or by an id.
#include "base/digest.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

constexpr std::size_t kTokenSize = 32;
constexpr Millis kJustAsked = 5'000;  // however often we are told that it has ended

std::string token_of(const std::string& secret, const std::string& row) {
  return hex(hmac_sha256(secret, "callback " + row)).substr(0, kTokenSize);
}

/// Takes the last part of a path off it.
std::string take_last(std::string& path) {
  const auto slash = path.rfind('/');
  std::string last = slash == std::string::npos ? path : path.substr(slash + 1);
  path.resize(slash == std::string::npos ? 0 : slash);
  return last;
}

}  // namespace

Result<std::string> Engine::callback_url(std::int64_t row) {
  auto book = ledger();
  if (!book) return book.error();
  auto secret = (*book)->secret();
  if (!secret) return secret.error();
  const std::string number = std::to_string(row);
  return options.callback.substr(0, options.callback.find_last_not_of('/') + 1) + "/" + number +
         "/" + token_of(*secret, number);
}

Result<std::string> Engine::notify(const api::CallbackRequest& request) {
  auto told = api::read_callback(request, options.webhook_secret, now() / 1000);
  if (!told) return told.error();
  auto book = ledger();
  if (!book) return book.error();

  std::string path = request.path.substr(0, request.path.find_first_of("?#"));
  const std::string token = take_last(path), number = take_last(path);
  Result<std::optional<Step>> row = std::optional<Step>();
  if (auto secret = (*book)->secret();
      secret && token.size() == kTokenSize && equal_secrets(token, token_of(*secret, number)))
    row = (*book)->find_by_id(std::stoll(number));
  // A callback_url of the script's own. On a proxy the task's id may be another than ours.
  if (row && !*row && !told->external_id.empty())
    row = (*book)->find_by_external(told->external_id);
  if (row && !*row && !told->task_id.empty()) {
    auto rows = (*book)->find_by_task(told->task_id);
    if (!rows) return rows.error();
    for (Step& one : *rows)
      if (one.service == service) row = std::optional(std::move(one));
  }
  if (!row) return row.error();
  if (!*row || (*row)->service != service)
    return Error{.message = "a callback speaks of no job in this ledger",
                 .hint = "it may be of another program, or forged; polling goes on as always"};
  if (const auto job = job_of((*row)->id)) hear(job, told->ended);
  return to_string(Handle{(*row)->endpoint, (*row)->task_id, (*row)->external_id});
}

void Engine::hear(const std::shared_ptr<Job>& job, bool ended) {
  bool at_once = false;
  {
    std::lock_guard lock(job->mutex);
    const Phase phase = job->machine.phase;
    if (phase < Phase::sending || phase > Phase::accepted || phase == Phase::foreign) return;
    if (job->heard == Heard::end || (ended && now() - job->polled_at < kJustAsked)) return;
    // An answer that was lost: the task exists. A poll that failed is repeated in its own time.
    at_once = ended || phase == Phase::looking_up;
    if (!at_once && (job->heard == Heard::progress || job->machine.tries > 0)) return;
    job->heard = ended ? Heard::end : Heard::progress;
    job->ask_now = at_once;
    if (phase == Phase::sending) return;
  }
  if (at_once) return call(job);
  if (!job->asleep.exchange(false)) return;
  insist([&] { wait(job, {.type = ActionType::wait, .delay = kPollDelay}); });
}

}  // namespace kling::engine
