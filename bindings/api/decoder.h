// Reads every dialect of the service's answers: native, wrapped (depth 2 and 3), flat, Kling-new,
// and CometAPI's own errors. Untrusted input; pure; any thread. Knows nothing of HTTP but the
// status number.
#pragma once

#include "api/request.h"

namespace kling::api {

enum class TaskState { queued, running, succeeded, failed };
const char* name(TaskState state);

struct Video {
  std::string id;
  std::string url;  ///< byte for byte as sent; signed: never log it
  std::string watermark_url;
  double duration = 0;  ///< seconds; 0 when unknown
};

/// One task as the service tells it.
struct Task {
  std::string id;  ///< always text: ids exceed 2^53
  std::string external_id;
  TaskState state = TaskState::queued;
  std::string status_word;          ///< the service's own word
  double progress = -1;             ///< 0 to 1, where the service says "30%"; < 0: it does not
  std::string message;              ///< task_status_msg or fail_reason
  std::vector<Video> videos;        ///< only those with a URL; [0] is the clip
  std::string no_url;               ///< what stands in the place of a video's URL, and is none
  std::vector<std::string> others;  ///< URLs of images or audios
  std::int64_t created_at = 0;      ///< ms since 1970; 0 unknown
  std::int64_t updated_at = 0;
  std::optional<double> cost_usd;  ///< what the service says it deducted
  bool cost_is_listed = false;     ///< in units, so by the list price
};

/// What an unsuccessful answer means for the caller (api-contract 4.13, 1.7, 3.5, 10.1-2).
enum class Refusal {
  none,
  definite,      ///< refused for a reason that it names: nothing was accepted
  unnamed,       ///< a 4xx without a known reason: a refusal, unless a look-up finds the task
  rate_limited,  ///< not accepted; may be repeated later (1302, 1303, an unexplained 429)
  clock,         ///< 1003, 1004: sign again once; nothing was accepted
  duplicate,     ///< 1201 "already exists": an earlier request with this external id was accepted
  no_such_task,  ///< the look-up found nothing
  unavailable,   ///< 5xx, HTML, garbage, an unreadable body: after a create it proves nothing
};

struct Answer {
  std::optional<Task> task;  ///< set exactly when refusal is none
  Refusal refusal = Refusal::none;
  Error error;  ///< valid when refusal is not none; retryable follows the table
  std::vector<std::string>
      warnings;  ///< unknown status words, disagreement of inner and outer state
  std::string request_id;
};

/// The answer of a create (POST). `retryable` of Error stays false here for lost answers.
Answer decode_create(int http_status, std::string_view body);
/// The answer of a query (GET), by task id or external id.
Answer decode_query(int http_status, std::string_view body);

/// An error when it names another id, and not this external id, or another external id: that is no
/// answer to the question for them.
Status is_that(const Task& task, const std::string& id, const std::string& external_id);

/// Parses JSON with a depth limit (64) and without exceptions; a discarded value when it is none.
/// Integers that do not fit 64 bits are kept as text (`digits`), or else are the nearest number.
Json parse_json(std::string_view text, bool digits = true);

/// The same for an answer, with what servers and proxies do to one: bytes that are no UTF-8, raw
/// control characters, text behind it. `whole` is false for what stands within other text, or is
/// cut off: the values that are there count, but none that is missing.
Json parse_answer(std::string_view text, bool& whole);

}  // namespace kling::api
