// Jobs and tasks that a script or a person names by handle or id.
#include <algorithm>

#include "api/text.h"
#include "base/digest.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

Error unknown_kind(const std::string& kind, const std::string& id) {
  std::string kinds;
  for (const api::Endpoint& endpoint : api::endpoints())
    kinds += (kinds.empty() ? "" : ", ") + endpoint.name;
  if (!kind.empty())
    return {.message = kind + " is no kind of job", .hint = "the kinds are " + kinds};
  return {.message = "the ledger does not know " + (id.empty() ? "this job" : id) +
                     ", and the id alone does not tell its kind",
          .hint = "name the kind, for example kling:text2video/" + id + " (kinds: " + kinds + ")"};
}

/// An id as the service knows it; both sorts look up alike.
std::string id_of(const Handle& handle) {
  return handle.task_id.empty() ? handle.external_id : handle.task_id;
}

/// The newest row of this name, of `run` or at least of no take where there is one, and of those
/// that were sent, and that the script still asks for; else the one
/// whose id, handle, name or step's address begins with `id`: of attempts at one step, and of one
/// name, the newest.
Result<std::optional<Step>> find_by_beginning(Ledger& book, const std::string& kind,
                                              const std::string& id, const std::string& run) {
  auto rows = book.list(0);
  if (!rows) return rows.error();
  std::vector<const Step*> begun;
  const auto rank = [&run](const Step& row) {
    const bool take = row.run.find('@') != row.run.npos;
    const bool draft = take && (row.run.ends_with("@draft") || row.run.ends_with("-draft"));
    const int left = row.superseded && row.unsent() ? 10 : row.superseded || row.unsent() ? 1 : 0;
    return left + (!run.empty() && row.run == run ? 0 : draft ? 6 : take ? 4 : 2);
  };
  const Step* named = nullptr;
  for (const Step& row : *rows)
    if (row.name == id && kind.empty() && (named == nullptr || rank(row) < rank(*named)))
      named = &row;
  if (named != nullptr) return std::optional(*named);
  for (const Step& row : *rows) {
    if (!kind.empty() && kind != row.endpoint) continue;
    const auto is_newest = [&](std::string StepFacts::*text) {
      return (row.*text).starts_with(id) &&
             std::ranges::none_of(begun, [&](auto* newer) { return newer->*text == row.*text; });
    };
    if (row.task_id.starts_with(id) || row.external_id.starts_with(id) ||
        (id.starts_with("kling:") && handle_of(row).starts_with(id)) ||
        is_newest(&StepFacts::address) || (kind.empty() && is_newest(&StepFacts::name)))
      begun.push_back(&row);
  }
  if (begun.empty()) return std::optional<Step>();
  if (begun.size() == 1) return std::optional(*begun.front());
  std::string names;
  for (std::size_t i = 0; i < std::min<std::size_t>(begun.size(), 10); ++i)
    names += "\n  " +
             (begun[i]->address.starts_with(id) ? begun[i]->address.substr(0, id.size() + 6)
              : begun[i]->name.starts_with(id)  ? short_id(*begun[i])
                                                : handle_of(*begun[i])) +
             "  " + begun[i]->name;
  return Error{.message = std::to_string(begun.size()) + " jobs begin with " + id,
               .hint = "write more of one:" + names + (begun.size() > 10 ? "\n  …" : "")};
}

/// The texts that are not empty.
void add_some(api::Json& told,
              std::initializer_list<std::pair<const char*, const std::string&>> texts) {
  for (const auto& [key, text] : texts)
    if (!text.empty()) told[key] = text;
}

}  // namespace

std::string handle_of(const StepFacts& row) {
  // What kling.request sent has no id of its own.
  const bool has_id = !row.task_id.empty() && row.task_id != "-";
  return to_string(Handle{row.endpoint, has_id ? row.task_id : "", has_id ? "" : row.external_id});
}

std::string short_id(const StepFacts& row) {
  return row.address.empty() ? handle_of(row) : row.address.substr(0, 7);
}

Result<std::optional<Step>> find_step(Ledger& book, const Handle& handle, const std::string& run) {
  const api::Endpoint* endpoint = api::find_endpoint(handle.endpoint);
  const std::string kind = endpoint != nullptr ? endpoint->name : handle.endpoint;
  const std::string id = id_of(handle);
  if (handle.external_id.empty()) {
    auto rows = book.find_by_task(id);
    if (!rows) return rows.error();
    for (Step& row : *rows)
      if (kind.empty() || row.endpoint == kind) return std::optional(std::move(row));
  }
  auto row = book.find_by_external(id);
  if (!row || *row || id.empty()) return row;
  auto renamed = book.find_renamed(id);
  if (!renamed) return renamed.error();
  for (Step& one : *renamed)
    if (kind.empty() || one.endpoint == kind) return std::optional(std::move(one));
  return find_by_beginning(book, kind, id, run);
}

Error of_another(const Step& step, const std::string& service, bool embedded) {
  return {.message = "this job is one of " + step.service + ", not of " + service,
          .hint = std::string("name its service with ") +
                  (embedded ? "the option base_url" : "--base-url, KLING_BASE_URL") +
                  " or kling.client"};
}

Result<std::optional<Step>> Engine::find_row(const Handle& handle) {
  auto book = ledger();
  if (!book) return book.error();
  auto found = find_step(**book, handle, options.run_name());
  // Another service would answer that there is no such task.
  if (found && *found && (*found)->service != service)
    return of_another(**found, service, options.embedded);
  return found;
}

/// What its ledger says that it asked for; null: nothing.
api::Json Engine::request_of(const Job& job) {
  auto book = ledger();
  const auto row = book ? (*book)->find_by_id(job.step.id) : book.error();
  return row && *row ? api::parse_json((*row)->request) : api::Json();
}

std::string Engine::decision(const std::string& handle, const char* how) const {
  if (options.embedded && options.ledger_path == ":memory:")
    return "a ledger in a file could be told; with \":memory:\" a new request has another take";
  return "kling jobs resolve " + handle +
         (options.embedded ? " --ledger " + options.ledger_path : "") + how;
}

std::string Engine::query_of(const std::string& handle) const {
  return options.embedded ? "kling.query(\"" + handle + "\")" : "kling query " + handle;
}

Result<std::shared_ptr<Job>> Engine::find(const std::string& text, Ask& ask) {
  auto handle = parse_handle(text);
  auto row = find_row(named_handle(text));
  if (!row) return row.error();
  if (!*row && !handle) return handle.error();
  const api::Endpoint* endpoint = api::find_endpoint(*row ? (*row)->endpoint : handle->endpoint);
  if (endpoint == nullptr)
    return unknown_kind(*row ? "" : handle->endpoint, *row ? text : id_of(*handle));
  if (*row) {
    auto book = ledger();
    if (!book) return book.error();
    ask.script = options.typed ? "" : asks_of();
    ask.digest = "job " + (*row)->address;
    ask.book = *book;
    ask.row = (*row)->id;
    {
      std::lock_guard lock(options.purse->claim_mutex);
      auto& equal = asked(**book)[ask.digest];
      ask.nth = int(std::ranges::count(equal, ask.task_path, &Purse::Got::task_path));
      equal.push_back({ask.task_path});
    }
    const auto timeouts = (*book)->timeouts(ask);
    if (!timeouts) return timeouts.error();
    ask.timeouts = *timeouts;
    ask.settled = (*row)->settled();
    ask.ready = true;
    if (auto job = job_of((*row)->id)) return job;
  }
  auto job = new_job(endpoint);
  Event event{.type = EventType::claimed, .step = StepState::accepted};
  if (*row) {
    job->target = (*row)->target;
    load(*job, **row);
    event = revisit(*job);
  } else {
    // Without an entry in the ledger there is no id but the one given.
    job->step.task_id = id_of(*handle);
    job->step.external_id = handle->external_id;
    job->is_prepared = true;
    job->reused = true;
  }
  add(job);
  run_soon(job, event);
  return job;
}

api::Json to_json(const std::vector<api::Video>& videos) {
  api::Json list = api::Json::array();
  for (const api::Video& video : videos) {
    api::Json& told = list.emplace_back(api::Json::object());
    add_some(told, {{"id", video.id}, {"url", video.url}, {"watermark_url", video.watermark_url}});
    if (video.duration > 0) told["duration"] = video.duration;
  }
  return list;
}

api::Json to_json(const QueryResult& found) {
  const api::Task& task = found.task;
  api::Json told = {{"status", name(task.state)}, {"videos", to_json(task.videos)}};
  add_some(told, {{"message", task.message},
                  {"id", task.id},
                  {"external_id", task.external_id},
                  {"handle", found.handle},
                  {"raw", found.raw}});
  return told;
}

Result<QueryResult> Engine::query(const QueryTarget& wanted) {
  Result<Handle> handle = Handle{.external_id = wanted.external_id};
  if (wanted.external_id.empty()) handle = parse_handle(wanted.text);
  Handle named = handle ? *handle : named_handle(wanted.text);
  if (!wanted.endpoint.empty()) named.endpoint = wanted.endpoint;
  auto row = find_row(named);
  if (!row) return row.error();
  if (!*row && !handle) return handle.error();
  const api::Endpoint* endpoint = api::find_endpoint(*row ? (*row)->endpoint : named.endpoint);
  std::string id = id_of(named);
  if (endpoint == nullptr) return unknown_kind(*row ? "" : named.endpoint, id);
  if (*row) id = (*row)->task_id.empty() ? (*row)->external_id : (*row)->task_id;
  const std::string& external_id = *row ? (*row)->external_id : named.external_id;
  net::HttpOutcome outcome = fetch(endpoint->path, id);
  api::Answer answer = net::read_answer(outcome);
  // What the service once called its id may be none.
  if (*row && !answer.task && !external_id.empty() && id != external_id) {
    net::HttpOutcome other = fetch(endpoint->path, external_id);
    api::Answer found = net::read_answer(other);
    if (found.task) id = external_id, outcome = std::move(other), answer = std::move(found);
  }
  if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
  for (const std::string& warning : answer.warnings) log("warning", warning);
  if (!answer.task) return answer.error;
  if (Status that = is_that(*answer.task, id, external_id); !that) return that.error();
  return QueryResult{*answer.task, to_string({endpoint->name, answer.task->id, ""}), outcome.body};
}

Result<api::Json> Engine::get_json(const std::string& target) {
  const net::HttpOutcome outcome = fetch(target);
  if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
  api::Json body = api::parse_json(outcome.body);
  if (outcome.status / 100 == 2 && !body.is_discarded()) return body;
  const api::Answer answer = net::read_answer(outcome);
  if (answer.refusal != api::Refusal::none) return answer.error;
  return body;
}

Status resolve(const EngineOptions& options, const std::string& handle, const std::string& task,
               bool resubmit) {
  auto parsed = parse_handle(handle);
  if (!parsed) return parsed.error();
  auto book = open_ledger(options.ledger_path);
  if (!book) return book.error();
  auto row = (*book)->find_by_external(id_of(*parsed));
  if (!row) return row.error();
  if (!*row)
    return Error{.message = "the ledger " + options.ledger_path + " has no job " + handle,
                 .hint = "the handle is in the message that asked for a decision"};
  const Step& step = **row;
  std::string adopt;
  if (!task.empty()) {
    const auto named = parse_handle(task);
    adopt = named ? id_of(*named) : api::bare(task);
    if (adopt.empty())
      return Error{.message = "--adopt names no task",
                   .hint = "write the id of the task behind it"};
  }
  const bool gives_up = task.empty() && !resubmit && !step.settled();
  const bool adopts =
      !adopt.empty() &&
      (step.abandoned || (step.state == StepState::accepted && adopt != step.task_id));
  if (step.state != StepState::ambiguous && !gives_up && !adopts)
    return Error{
        .message = handle +
                   (step.state == StepState::failed      ? " failed"
                    : step.state == StepState::succeeded ? " succeeded"
                                                         : " goes on") +
                   ": there is nothing to decide",
        .hint = step.state == StepState::failed
                    ? "to ask for a new one: kling run --retry-failed with its script"
                : step.task_id.empty()
                    ? "whether the service has it is looked for when its script runs again; "
                      "only what that leaves open is yours to decide, but for --abandon"
                    : "kling jobs save " + short_id(step) + " shot.mp4 gets its clip"};
  const Millis now = make_clock()->now();
  Step decided = step;
  if (gives_up) {
    decided.error = api::to_text(to_json(Error{
        .kind = Kind::task_failed,
        .message = "given up by a person (kling jobs resolve --abandon)",
        .hint = "to ask for a new one, which is paid: retry = true, or kling run --retry-failed",
        .job = to_string({step.endpoint, step.task_id, step.external_id})}));
    return (*book)->abandon(decided, now);
  }
  if (resubmit) return (*book)->resubmit(step, now);
  const auto service = service_name(options);
  if (!service) return service.error();
  if (step.service != *service) return of_another(step, *service, options.embedded);
  auto transport =
      net::make_transport({.base_url = options.base_url,
                           .insecure = options.insecure,
                           .environment = std::make_shared<net::Environment>(options.network)});
  if (!transport) return transport.error();
  const auto fetch = [&](const std::string& id) {
    net::HttpRequest request;
    request.target = step.target + "/" + net::percent_encode(id);
    request.headers = {{"Authorization", "Bearer " + options.key}};
    return (*transport)->send(request);
  };
  const net::HttpOutcome outcome = fetch(adopt);
  if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
  const api::Answer answer = net::read_answer(outcome);
  if (!answer.task) return answer.error;
  const auto owners = (*book)->find_by_task(answer.task->id);
  if (!owners) return owners.error();
  for (const Step& other : *owners)
    if (other.id != step.id && other.service == step.service && other.endpoint == step.endpoint)
      return Error{
          .message =
              "the task " + answer.task->id + " is that of another request, at " + other.script,
          .hint = !answer.task->external_id.empty() && answer.task->external_id == step.external_id
                      ? "it tells this job's own id: when that one has ended, run the "
                        "script again, which finds it"
                      : "look for another task in your account's list, or say --resubmit "
                        "or --abandon"};
  if (Status that = is_that(*answer.task, adopt, step.external_id); !that) {
    Error other = that.error();
    other.hint = "it is not this job's: look for another in your account's list";
    return other;
  }
  decided.task_id = answer.task->id;
  if (!step.task_id.empty() && step.task_id != decided.task_id) {
    // Only from an id that finds nothing, and to what our own id finds where it finds any.
    const net::HttpOutcome present = fetch(step.task_id);
    const api::Answer told = net::read_answer(present),
                      ours = net::read_answer(fetch(step.external_id));
    const bool other = told.task && !is_that(*told.task, step.task_id, step.external_id);
    const bool refused = !told.task && told.refusal != api::Refusal::unavailable &&
                         told.refusal != api::Refusal::rate_limited && present.status / 100 == 4 &&
                         !api::has_word("401 403 407 408", std::to_string(present.status));
    if (present.stage != net::HttpOutcome::Stage::answered || (!other && !refused))
      return Error{.message = handle + " goes on as the task " + step.task_id +
                              ", and the service does not say that it has no such task",
                   .hint = "ask for it: kling query " + short_id(step)};
    if (ours.task && ours.task->id != decided.task_id && ours.task->id != step.external_id)
      return Error{
          .message = "under this job's own id the service has another task: " + ours.task->id,
          .hint = "kling jobs resolve " + short_id(step) + " --adopt " + ours.task->id};
    if (Status renamed = (*book)->rename_task(step, decided.task_id, now); !renamed) return renamed;
  }
  return (*book)->record_accepted(decided, outcome.body, now);
}

// ---- Callbacks of the service: a hint that a job is worth a look. What they say is not believed,
// as anybody can send one; whose job they mean is told by a token of ours in the path, or by an id
// ----

namespace {

constexpr std::size_t kTokenSize = 32;
/// Between two looks, however often we are told that it has ended.
constexpr Millis kJustAsked = 5'000;

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
  Millis pause = 0;
  {
    std::lock_guard lock(job->mutex);
    const Phase phase = job->machine.phase;
    if (phase < Phase::sending || phase > Phase::accepted || phase == Phase::foreign) return;
    // The first that tells of the end is believed at once; if it was wrong, others may be.
    if (ended && job->heard == Heard::end)
      pause = std::max<Millis>(0, job->polled_at + kJustAsked - now());
    // An answer that was lost: the task exists. A poll that failed is repeated in its own time.
    at_once = ended || phase == Phase::looking_up;
    if (!at_once && (job->heard != Heard::nothing || job->machine.tries > 0)) return;
    job->heard = ended ? Heard::end : Heard::progress;
    job->ask_now = at_once && pause == 0;
    if (phase == Phase::sending) return;
  }
  if (at_once && pause == 0) return call(job);
  if ((pause > 0 && job->wakes_at - now() <= pause) || !job->asleep.exchange(false)) return;
  if (pause > 0) return insist([&] { sleep(job, pause); });
  insist([&] { wait(job, {.type = ActionType::wait, .delay = kPollDelay}); });
}

}  // namespace kling::engine
