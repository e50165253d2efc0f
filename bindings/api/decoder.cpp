#include <algorithm>
#include <charconv>

#include "api/capabilities.h"
#include "api/decode_error.h"
#include "api/text.h"

namespace kling::api {
namespace {

constexpr int kLevels = 4;  // the body, and up to three `data` inside each other

/// A body that holds JSON as text is replaced by that JSON.
void unfold(Json& value) {
  if (!value.is_string()) return;
  const auto& text = value.get_ref<const std::string&>();
  if (!text.starts_with('{') && !text.starts_with('[')) return;
  Json inner = parse_json(text);
  if (inner.is_structured()) value = std::move(inner);
}

/// The body and what is nested in it under `data`, outermost first.
std::vector<const Json*> levels_of(Json& body) {
  std::vector<const Json*> levels;
  Json* level = &body;
  while (levels.size() < kLevels) {
    unfold(*level);
    if (level->is_array() && level->size() == 1) level = &level->front();  // of more, which?
    if (!level->is_object()) break;
    levels.push_back(level);
    if (const auto result = level->find("task_result"); result != level->end()) unfold(*result);
    const auto data = level->find("data");
    if (data == level->end()) break;
    level = &*data;
  }
  return levels;
}

/// The first value that is not empty under one of the keys. No fraction: an id that is written so
/// has lost digits.
std::string first_text(const Json& level, std::initializer_list<const char*> keys) {
  for (const char* key : keys)
    if (const Json& value = member(level, key); !value.is_number_float())
      if (std::string text = scalar_text(value); !text.empty()) return text;
  return {};
}

/// Of an address that is none, what holds no secret.
std::string shown_address(const std::string& url) {
  std::string shown = url.substr(0, url.find_first_of("?#;"));
  const std::size_t at = shown.find('@'), host = shown.find("//");
  if (at != shown.npos && host < at) shown.erase(host + 2, at - host - 1);
  return shown;
}

/// Nothing for the words that programs write where there is no id.
std::string id_text(const std::string& said) {
  std::string id = bare(said);
  constexpr std::string_view kWords =
      "null undefined none nil nan false true 0 -1 submitted processing succeed succeeded success "
      "failed queued pending running ok";
  return has_word(kWords, lower(id)) || id.find_first_of("/#%?") != id.npos ? "" : id;
}

double number_of(const Json& value) {
  double number = 0;
  const std::string text = scalar_text(value);
  std::from_chars(text.data(), text.data() + text.size(), number);
  return std::isfinite(number) && number > 0 ? number : 0;
}

/// Times come in seconds from proxies and in milliseconds from Kling.
std::int64_t millis_of(const Json& level, std::initializer_list<const char*> keys) {
  constexpr double kLatestAsSeconds = 1e11;
  constexpr double kLatest = 1e15;
  for (const char* key : keys) {
    const double time = number_of(member(level, key));
    if (time > 0 && time < kLatest)
      return static_cast<std::int64_t>(time < kLatestAsSeconds ? time * 1000 : time);
  }
  return 0;
}

struct Word {
  std::string text;
  std::optional<TaskState> state;  ///< nothing: a word we do not know
};

Word read_word(std::string text) {
  static constexpr std::pair<const char*, TaskState> kWords[] = {
      {"submitted not_start queued pending", TaskState::queued},
      {"processing in_progress running unknown", TaskState::running},
      {"succeed succeeded success completed", TaskState::succeeded},
      {"failed failure fail", TaskState::failed}};
  const std::string word = lower(bare(text));
  for (const auto& [words, state] : kWords)
    if (word.find(' ') == word.npos && has_word(words, word)) return {std::move(text), state};
  return {std::move(text), std::nullopt};
}

/// A level that speaks of a task by itself, rather than of the exchange around it.
bool is_task(const Json& level) {
  if (!first_text(level, {"task_id", "task_status"}).empty()) return true;
  if (member(level, "task_result").is_object()) return true;
  return member(level, "status").is_string() &&
         (!first_text(level, {"id", "url", "external_id"}).empty() || level.contains("outputs"));
}

/// One state out of the proxy's word and Kling's: Kling's decides, unless it is the older one.
TaskState settle(const std::vector<Word>& words, bool has_url, std::vector<std::string>& warnings) {
  for (const Word& word : words)
    if (!word.state)
      warnings.push_back("unknown status word \"" + excerpt(word.text, 40) +
                         "\", taken as running");
  const TaskState outer = words.front().state.value_or(TaskState::running);
  const TaskState inner = words.back().state.value_or(TaskState::running);
  if (outer == inner) return inner;
  const auto is_final = [](TaskState state) {
    return state == TaskState::succeeded || state == TaskState::failed;
  };
  if (!is_final(outer) && !is_final(inner)) return inner;
  warnings.push_back("the proxy says " + excerpt(words.front().text, 40) + ", Kling says " +
                     excerpt(words.back().text, 40));
  if (is_final(inner)) return inner;
  // The proxy's copy of Kling's answer may lag. A proxy that gave up is no failure of Kling's.
  return outer == TaskState::succeeded && has_url && words.back().state ? TaskState::succeeded
                                                                        : TaskState::running;
}

void add_video(Task& task, const Json& source) {
  Video video;
  video.url = tidy_url(first_text(source, {"url"}));
  if (!is_url(video.url) && !video.url.starts_with('/')) {
    if (task.no_url.empty()) task.no_url = excerpt(shown_address(video.url), 80);
    return;
  }
  video.id = first_text(source, {"id"});
  video.watermark_url = tidy_url(first_text(source, {"watermark_url"}));
  video.duration = number_of(member(source, "duration"));
  task.videos.push_back(std::move(video));
}

void add_url(std::vector<std::string>& urls, const Json& source) {
  for (const char* key : {"url", "url_mp3", "url_wav"})
    if (std::string url = tidy_url(first_text(source, {key})); is_url(url))
      urls.push_back(std::move(url));
}

void read_results(const Json& level, Task& task) {
  const Json& result = member(level, "task_result");
  for (const Json& video : member(result, "videos")) add_video(task, video);
  for (const char* key : {"images", "audios"})
    for (const Json& other : member(result, key)) add_url(task.others, other);
  for (const Json& output : member(level, "outputs")) {
    const std::string type = first_text(output, {"type"});
    if (type.empty() || type == "video") {
      add_video(task, output);
    } else {
      add_url(task.others, output);
    }
  }
}

/// Where proxies put the address when Kling's own list is not there.
void read_loose_url(const Json& level, bool success, Task& task) {
  std::string url = first_text(level, {"result_url", "url", "video_url"});
  if (url.empty()) url = first_text(member(level, "metadata"), {"url"});
  // Old versions keep the address of a success in fail_reason.
  if (url.empty() && success) url = first_text(level, {"fail_reason"});
  if (task.videos.empty() && is_url(tidy_url(url))) add_video(task, Json::object({{"url", url}}));
}

/// What is no amount leaves the estimate as it is.
std::optional<double> amount_of(const Json& value) {
  const std::string text = bare(scalar_text(value));
  const char* const last = text.data() + text.size();
  double amount = -1;
  const auto [end, failed] = std::from_chars(text.data(), last, amount);
  if (failed != std::errc() || end != last) return {};
  return amount >= 0 && amount < 1e6 ? std::optional(amount) : std::nullopt;
}

std::optional<double> read_cost(const Json& level, bool& listed) {
  if (const Json& units = member(level, "final_unit_deduction"); !scalar_text(units).empty()) {
    const auto amount = amount_of(units);
    return amount ? listed = true, std::optional(*amount * kUsdPerUnit) : amount;
  }
  const Json& balance = member(level, "final_balance_deduction");
  const Json& money = balance.is_object() ? member(balance, "quota") : balance;
  if (!scalar_text(money).empty()) return amount_of(money);
  std::optional<double> sum;
  for (const Json& item : member(level, "billing")) {
    const auto read = amount_of(member(item, "amount"));
    if (!read) return {};
    const double amount = *read;
    const std::string currency = first_text(item, {"currency"});
    if (first_text(item, {"charge_type"}) == "unit") {
      listed = true;
      sum = sum.value_or(0) + amount * kUsdPerUnit;
    } else if (currency.empty() || currency == "USD") {
      sum = sum.value_or(0) + amount;
    }
  }
  return sum;
}

std::string read_message(const Json& level) {
  std::string text = first_text(level, {"task_status_msg", "fail_reason"});
  if (is_url(text)) text.clear();
  if (text.empty()) text = first_text(member(level, "error"), {"message"});
  if (text.empty() && !level.contains("code")) text = first_text(level, {"message"});
  return excerpt(text, 1000);
}

std::optional<Task> read_task(const std::vector<const Json*>& levels, Answer& answer) {
  std::vector<const Json*> tasks;
  std::copy_if(levels.begin(), levels.end(), std::back_inserter(tasks),
               [](const Json* level) { return is_task(*level); });
  if (tasks.empty()) return std::nullopt;
  Task task;
  std::vector<Word> words;
  const auto keep_first = [](auto& kept, auto found) {
    if (kept == decltype(found){}) kept = std::move(found);
  };
  // The outermost id is the one this service answers queries for. `id` beside a task_id is a row
  // number of the proxy's database.
  for (const Json* level : tasks) {
    keep_first(task.id, first_text(*level, {"task_id"}));
    const std::string word = first_text(*level, {"task_status", "status"});
    if (!word.empty()) words.push_back(read_word(word));
  }
  for (const Json* level : tasks) keep_first(task.id, first_text(*level, {"id"}));
  task.id = id_text(task.id);
  // Not "..", no sentence, and no letter of it is broken.
  if (task.id.find_first_not_of("./-") == task.id.npos ||
      task.id.find_first_of("<>\"'`{}?\\") != task.id.npos ||
      std::ranges::any_of(task.id, [](char c) { return c <= ' ' || c >= 0x7F; }))
    task.id.clear();
  const bool success = !words.empty() && words.front().state == TaskState::succeeded;
  for (auto level = tasks.rbegin(); level != tasks.rend(); ++level) {  // Kling's own words first
    keep_first(task.external_id, first_text(member(**level, "task_info"), {"external_task_id"}));
    keep_first(task.external_id, first_text(**level, {"external_task_id", "external_id"}));
    keep_first(task.message, read_message(**level));
    keep_first(task.created_at, millis_of(**level, {"created_at", "create_time", "submit_time"}));
    keep_first(task.updated_at, millis_of(**level, {"updated_at", "update_time", "finish_time"}));
    if (const std::string part = first_text(**level, {"progress"}); part.ends_with('%'))
      task.progress = std::clamp(std::strtod(part.c_str(), nullptr) / 100, 0.0, 1.0);
    if (!task.cost_usd) task.cost_usd = read_cost(**level, task.cost_is_listed);
    if (task.videos.empty()) read_results(**level, task);
  }
  task.external_id = id_text(task.external_id);
  for (const Json* level : tasks) read_loose_url(*level, success, task);

  if (!words.empty()) {
    task.status_word = words.back().text;
    task.state = settle(words, !task.videos.empty(), answer.warnings);
  }
  if (task.state != TaskState::succeeded) {  // an address elsewhere is an echo, not the clip
    task.videos.clear();
    task.others.clear();
  }
  return task;
}

std::string read_request_id(const std::vector<const Json*>& levels, const Fault& fault) {
  for (const Json* level : levels)
    if (std::string id = first_text(*level, {"request_id"}); !id.empty()) return excerpt(id, 100);
  constexpr std::string_view kMark = "(request id: ";
  const std::size_t from = fault.message.rfind(kMark);
  if (from == std::string::npos) return {};
  const std::size_t start = from + kMark.size();
  return excerpt(fault.message.substr(start, fault.message.find(')', start) - start), 100);
}

/// The two ways in which a look-up says "no such task" with HTTP 200.
bool found_nothing(const Json& body) {
  const Json& data = member(body, "data");
  if (!is_success_code(member(body, "code"))) return false;
  return (data.is_array() && data.empty()) ||
         (data.is_null() && body.contains("data") && member(body, "code").is_string());
}

Answer decode(Asked asked, int http_status, std::string_view text) {
  Answer answer;
  bool whole = false;
  Json body = parse_answer(text, whole);
  const std::vector<const Json*> levels = levels_of(body);
  const Fault fault = levels.empty() ? Fault() : find_fault(levels, http_status);
  // Of what was cut off or stands in a page, the id of a new task counts, which nobody tells twice,
  // and the reason of a refusal. A redirect may tell of the task that it leads to.
  const bool create = asked == Asked::create, refused = create && http_status / 100 == 4;
  const bool good = http_status / 100 == 2 || (create && http_status / 100 == 3);
  const bool named = whole || (refused && !(fault.code + fault.message).empty());
  if (levels.empty() || !(named || (create && good))) {
    refuse_unreadable(answer, asked, http_status, text);
    return answer;
  }
  answer.request_id = read_request_id(levels, fault);
  const bool ok = good && !fault.found;

  std::optional<Task> task = read_task(levels, answer);
  // Beside an error, only an answer that names a task and its state counts as one: "still pending"
  // as HTTP 400, a failed task as code 1. A create without an id cannot be followed.
  const bool has_state = task && !task->status_word.empty();
  const bool has_id = task && !task->id.empty();
  if (ok ? has_id || (asked == Asked::query && has_state) : has_id && has_state) {
    if (!has_state && asked == Asked::query) {
      answer.warnings.emplace_back("the answer has no status word, taken as running");
      task->state = TaskState::running;
    }
    answer.task = std::move(task);
    return answer;
  }
  answer.warnings.clear();
  if (fault.found && named) {
    refuse(answer, asked, http_status, fault);
  } else if (ok && asked == Asked::query && found_nothing(body)) {
    refuse(answer, asked, 404, {});
    answer.error.http_status = http_status;
    answer.error.message = "the service knows no such task";
  } else {
    refuse_unreadable(answer, asked, http_status, text);
  }
  return answer;
}

}  // namespace

const char* name(TaskState state) {
  static constexpr const char* kNames[] = {"queued", "running", "succeeded", "failed"};
  return kNames[static_cast<std::size_t>(state)];
}

Status is_that(const Task& task, const std::string& id, const std::string& external_id) {
  // Some proxies put a mark of theirs before an external id. Asked for by one, a task has an id.
  const std::string& external = task.external_id;
  const bool marked = external_id.size() > 15 && external.ends_with(external_id);
  const bool silent = external.empty() || external_id.empty();
  if (external == id || external == external_id ? !external.empty() : marked) return Done{};
  if (silent && (task.id.empty() || task.id == id || id == external_id)) return Done{};
  return Error{.kind = Kind::protocol,
               .message = "the service answered with another task: " + excerpt(task.id, 80) +
                          (external.empty() ? "" : ", external id " + excerpt(external, 80)),
               .hint = "ask again later; if it stays so, tell the service"};
}

Answer decode_create(int http_status, std::string_view body) {
  return decode(Asked::create, http_status, body);
}

Answer decode_query(int http_status, std::string_view body) {
  return decode(Asked::query, http_status, body);
}

}  // namespace kling::api
