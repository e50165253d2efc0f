// Actions on the service: one HTTP exchange each, told to the job machine as one event.
#include <algorithm>

#include "api/decode_error.h"
#include "api/text.h"
#include "base/digest.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

using Stage = net::HttpOutcome::Stage;

/// Retry-After in ms: seconds, or a date measured against the answer's own Date.
Millis retry_after(const net::HttpOutcome& outcome, Millis now) {
  if (outcome.retry_after.empty()) return 0;
  char* end = nullptr;
  const double seconds = std::strtod(outcome.retry_after.c_str(), &end);
  if (end != outcome.retry_after.c_str() && *end == '\0')
    return static_cast<Millis>(std::clamp(seconds, 0.0, 3600.0) * 1000);
  const std::time_t until = net::http_date(outcome.retry_after);
  const std::time_t from = outcome.date.empty() ? now / 1000 : net::http_date(outcome.date);
  if (until == 0 || from == 0) return 0;
  return std::clamp<Millis>((until - from) * 1000, 0, 3'600'000);
}

Event told(EventType type, const api::Task& task) {
  return {.type = type,
          .task = task.state,
          .gap = task.state == api::TaskState::succeeded && task.videos.empty()};
}

Error generation_failed(const api::Task& task) {
  const std::string charged = task.cost_usd.value_or(0) > 0
                                  ? "the service says that it charged " + dollars(*task.cost_usd)
                                  : "failed tasks are not charged";
  Error error{.kind = Kind::task_failed,
              .message = "the generation failed: " +
                         (task.message.empty() ? "the service gave no reason" : task.message),
              .hint = charged + "; change the request, or run the script again to try once more"};
  // What the service refuses for its content is that before it was accepted and after.
  api::Answer said;
  api::refuse(said, api::Asked::create, 200, {true, "task_failed", task.message});
  if (said.error.kind == Kind::policy) {
    error.kind = Kind::policy;
    error.hint = charged + "; change the prompt or the pictures";
  }
  return error;
}

bool is_denied(const net::HttpOutcome& outcome) {
  return outcome.status == 401 || outcome.status == 403;
}

bool is_redirect(const net::HttpOutcome& outcome) { return outcome.status / 100 == 3; }

/// An answer that is about the request and not about the service's health.
bool is_no(const net::HttpOutcome& outcome) {
  return outcome.status >= 200 && outcome.status < 500 && outcome.status != 429 &&
         outcome.status != 408;
}

/// True when a body of kling.request, which may be anything, says that it was carried out.
bool says_yes(const api::Json& body) {
  const api::Json& code = api::member(body, "code");
  return !api::member(body, "error").is_object() &&
         (code.is_null() || code == 0 || code == 200 || code == "0" || code == "success");
}

}  // namespace

/// Once, however often the service says it.
void Engine::tell_warnings(Job& job, const api::Answer& answer) const {
  const std::string all = api::joined(answer.warnings, "; ");
  if (all.empty() || (job.warned && *job.warned == all)) return;
  job.warned = std::make_unique<std::string>(all);
  log("warning", job.step.script + ": " + all);
}

net::HttpOutcome Engine::fetch(const std::string& target, const std::string& id) {
  net::HttpRequest request;
  request.target = id.empty() ? target : target + "/" + net::percent_encode(id);
  request.deadline = net::Milliseconds(options.get_deadline);
  request.response_cap = options.response_cap;
  if (const std::string now = key(); !now.empty())
    request.headers = {{"Authorization", "Bearer " + now}};
  return transport->send(request);
}

Event Engine::post(Job& job) {
  net::HttpRequest request;
  request.method = "POST";
  request.target = target_of(job);
  request.headers = {{"Authorization", "Bearer " + key()}};
  request.deadline = net::Milliseconds(options.post_deadline);
  request.response_cap = options.response_cap;
  request.fresh_connection = true;
  if (job.sending) request.body = job.sending->body;
  request.on_part = [&](double part) { tell_transfer(job, part); };
  const net::HttpOutcome outcome = transport->send(request);
  tell_transfer(job, 1);

  const auto fail = [&job](EventType type, const Error& error, bool explained = false) {
    return failed(job, type, error, explained);
  };
  if (outcome.stage == Stage::not_sent) return fail(EventType::not_sent, outcome.error);
  if (outcome.stage == Stage::aborted) return fail(EventType::refused, outcome.error);
  api::Answer answer = net::read_answer(outcome, true);
  // What came of an answer may name the task, or be a refusal by its status, all the same.
  const bool named =
      job.definition != nullptr && outcome.status / 100 < 4 && answer.task.has_value();
  const bool refused =
      outcome.status / 100 == 4 && !answer.task && answer.refusal != api::Refusal::unavailable;
  if (outcome.stage == Stage::lost) {
    if (!named && !refused) return fail(EventType::lost, outcome.error);
    answer.error.message += " (cut off: " + outcome.error.message + ")";
  }

  {
    std::lock_guard lock(job.mutex);
    job.raw = std::make_unique<std::string>(outcome.body);
  }
  if (job.definition == nullptr && outcome.status / 100 == 2) {
    bool whole = false;
    const api::Json body = api::parse_answer(outcome.body, whole);
    if (whole && says_yes(body)) {
      std::lock_guard lock(job.mutex);
      job.answer = body;
      job.step.task_id = "-";
      return {.type = EventType::accepted, .task = api::TaskState::succeeded};
    }
    if (!whole)
      return fail(EventType::lost, {.kind = Kind::protocol, .message = "the answer is not JSON"});
  }
  tell_warnings(job, answer);
  // A redirect comes from a wrong address, or from a service that took the request first: only when
  // a look-up is sent away as well has nobody accepted anything.
  if (job.definition != nullptr && is_redirect(outcome) && !answer.task) {
    const net::HttpOutcome again = fetch(target_of(job), job.step.external_id);
    if (again.stage != Stage::answered || !is_redirect(again))
      return fail(EventType::lost, answer.error);
  }
  switch (answer.refusal) {
    case api::Refusal::none: {
      if (of_another_step(job, *answer.task))
        return fail(EventType::duplicate,
                    {.kind = Kind::protocol,
                     .message = "the service answered with the task " + answer.task->id +
                                ", which belongs to another job"});
      note_task(job, *answer.task, now());
      std::lock_guard lock(job.mutex);
      job.timed = true;
      if (answer.task->state == api::TaskState::failed)
        note_error(job, generation_failed(*answer.task));
      return told(EventType::accepted, *answer.task);
    }
    case api::Refusal::rate_limited: {
      const std::string& code = answer.error.code;
      Event event = fail(EventType::rate_limited, answer.error, code == "1302" || code == "1303");
      if (auto book = ledger(); code == "1303" && book)
        if (const auto usage = (*book)->usage(Step{job.step, service}, now()); usage) {
          std::lock_guard lock(slots_mutex);
          learnt_slots.refused(usage->open, now());
        }
      event.delay = retry_after(outcome, now());
      return event;
    }
    case api::Refusal::duplicate: {
      Error used = answer.error;
      if (job.policy.own_external_id)
        used.hint =
            "an earlier request had this external_task_id: choose another, or take its "
            "clip: " +
            query_of("kling:" + job.step.endpoint + "/~" + job.step.external_id);
      return fail(EventType::duplicate, used, true);
    }
    case api::Refusal::unnamed: return fail(EventType::unnamed, answer.error);
    case api::Refusal::unavailable: return fail(EventType::lost, answer.error);
    case api::Refusal::definite:
    case api::Refusal::clock:
    case api::Refusal::no_such_task: return fail(EventType::refused, answer.error, true);
  }
  return {.type = EventType::lost};
}

/// For the next time: whether this service finds such jobs by external id.
void Engine::learn_lookup(const Job& job, bool works) {
  auto book = ledger();
  if (!book) return;
  if (Status learnt = (*book)->learn_lookup(service, job.step.endpoint, works, now()); !learnt)
    log("warning", learnt.error().message);
}

/// A task belongs to one step; kling.request may ask for what it likes.
bool Engine::of_another_step(const Job& job, const api::Task& task) {
  auto book = ledger();
  if (!book || job.definition == nullptr) return false;
  const auto rows = (*book)->find_by_task(task.id);
  return rows && std::ranges::any_of(*rows, [&](const Step& row) {
           return row.id != job.step.id && row.service == service &&
                  row.endpoint == job.step.endpoint;
         });
}

/// Tells keys apart, and says nothing of them.
std::string Engine::account(const Ledger& book) const {
  const std::string present = key();
  return present.empty() ? "" : sha256_hex("account " + book.prefix() + " " + present).substr(0, 8);
}

bool Engine::sent_for_another(const Job& job) {
  auto book = ledger();
  const auto journal = book ? (*book)->journal(job.step.id) : book.error();
  if (!journal) return true;
  const std::string present = account(**book);
  bool another = false;
  for (const JournalRow& row : *journal) {
    if (row.what == "not sent") another = false;
    if (row.what == "sending" && row.body.size() == present.size() && row.body != present)
      another = true;
  }
  return another;
}

/// Whether the answer to a look-up by external id tells of our task. One that carries no external
/// id proves it only where look-ups are known to work; a service that cannot look up may answer
/// with any task. Nothing: it could not be found out now.
std::optional<bool> Engine::is_ours(const Job& job, const api::Task& task,
                                    const std::string& date) {
  if (task.id.empty() || of_another_step(job, task)) return false;
  if (!task.external_id.empty()) return task.external_id == job.step.external_id;
  auto book = ledger();
  if (!book) return std::nullopt;
  const auto row = (*book)->find_by_id(job.step.id);
  const auto known = (*book)->lookup_known(service, job.step.endpoint);
  if (!row || !*row || !known) return std::nullopt;
  // By the service's clock: a second for what Date leaves out, and one for what the way takes.
  const std::time_t its_now = net::http_date(date);
  const Millis ahead = its_now == 0 ? 0 : its_now * 1000 - now();
  const bool older = task.created_at != 0 && task.created_at + 2'000 < (*row)->sent_at + ahead;
  if (task.id == job.step.external_id || older) return false;
  if (*known) return **known;
  const Event probed = probe_look_up(job);
  if (probed.type != EventType::probed) return std::nullopt;
  return probed.works == Known::yes;
}

Event Engine::look_up(Job& job) {
  const net::HttpOutcome outcome = fetch(target_of(job), job.step.external_id);
  if (outcome.stage != Stage::answered) return {.type = EventType::unreachable};
  const api::Answer answer = net::read_answer(outcome);
  if (answer.task) {
    const api::Task& task = *answer.task;
    const std::optional<bool> ours = is_ours(job, task, outcome.date);
    if (!ours) return {.type = EventType::unreachable};
    if (!*ours && !task.external_id.empty() && task.external_id == job.step.external_id)
      return {.type = EventType::not_found, .works = Known::no};  // ours; another step has its id
    if (!*ours) {  // who answers with another task does not look up
      learn_lookup(job, false);
      return {.type = EventType::not_found, .works = Known::no};
    }
    if (!task.external_id.empty()) learn_lookup(job, true);
    note_task(job, task, now());
    std::lock_guard lock(job.mutex);
    job.raw = std::make_unique<std::string>(outcome.body);
    if (task.state == api::TaskState::failed) note_error(job, generation_failed(task));
    return told(EventType::accepted, task);
  }
  if (is_denied(outcome)) {
    // What the service said of the request itself is told, not what it says of the look-up.
    if (job.machine.unnamed) return {.type = EventType::denied};
    return failed(job, EventType::denied, answer.error);
  }
  if (!is_no(outcome)) return {.type = EventType::unreachable};
  if (!sent_for_another(job)) return {.type = EventType::not_found};
  if (job.machine.unnamed) return {.type = EventType::unreachable};
  return {.type = EventType::not_found, .works = Known::no};
}

Event Engine::probe_look_up(const Job& job) {
  Event event{.type = EventType::probed};
  auto book = ledger();
  if (!book) return event;
  const auto other = (*book)->any_accepted(service, job.step.endpoint, job.step.id);
  if (!other || !*other) return event;  // nothing to learn from: a person must decide
  const net::HttpOutcome outcome = fetch(target_of(job), (*other)->external_id);
  if (outcome.stage != Stage::answered || is_denied(outcome))
    return {.type = EventType::unreachable};
  const api::Answer answer = net::read_answer(outcome);
  if (!answer.task && !is_no(outcome)) return {.type = EventType::unreachable};
  const bool works = answer.task && answer.task->id == (*other)->task_id;
  learn_lookup(job, works);
  event.works = works ? Known::yes : Known::no;
  return event;
}

Event Engine::get(Job& job) {
  std::string task_id;  // which another look may change
  {
    std::lock_guard lock(job.mutex);
    job.ask_now = false;
    task_id = job.step.task_id;
  }
  net::HttpOutcome outcome = fetch(target_of(job), task_id);
  // What was cut off may be long, and is read only if it is whole.
  api::Answer answer = outcome.stage == Stage::answered ? net::read_answer(outcome) : api::Answer();
  // A person may have told the right id meanwhile, in a process of its own.
  if (auto book = ledger(); book && outcome.stage == Stage::answered &&
                            (!answer.task || !is_that(*answer.task, task_id, job.step.external_id)))
    if (const auto row = (*book)->find_by_id(job.step.id);
        row && *row && !(*row)->task_id.empty() && (*row)->task_id != task_id) {
      task_id = (*row)->task_id;
      outcome = fetch(target_of(job), task_id), answer = net::read_answer(outcome);
      std::lock_guard lock(job.mutex);
      job.step.task_id = task_id;
    }
  const auto fail = [&job](EventType type, const Error& error) { return failed(job, type, error); };
  // Of a broken frame what it holds may be whole; megabytes that were cut off end in no bracket.
  const bool whole = outcome.stage == Stage::lost && outcome.status / 100 == 2 &&
                     outcome.body.find_last_of('}') == outcome.body.find_last_not_of(" \r\n") &&
                     !api::parse_json(outcome.body).is_discarded();
  if (outcome.stage != Stage::answered && !whole)
    return fail(EventType::unreachable, outcome.error);
  if (whole) answer = net::read_answer(outcome);
  // Before it is given up: what the service called its id may be none.
  bool by_our_id = false;
  std::string adopt;  // a task that the service finds by our id, without a proof that it is ours
  const std::string handle = to_string({job.step.endpoint, task_id, ""});
  const auto other_id = [&] {
    return "under this job's own id the service has the task " + adopt +
           "; if your account's tasks have no other: " +
           decision(handle, (" --adopt " + adopt).c_str());
  };
  const Status that =
      answer.task ? is_that(*answer.task, task_id, job.step.external_id) : Status(Done{});
  const bool unknown = answer.refusal == api::Refusal::no_such_task;
  const bool odd = !that || (!answer.task && outcome.status / 100 != 5 && !is_denied(outcome) &&
                             answer.refusal != api::Refusal::rate_limited);
  if ((unknown || (odd && job.machine.tries % 8 == 7)) && !job.step.external_id.empty() &&
      job.step.id != 0 && now() - job.machine.accepted_at >= kRegistrationTime - 10'000) {
    net::HttpOutcome other = fetch(target_of(job), job.step.external_id);
    api::Answer found = net::read_answer(other);
    if (other.stage == Stage::answered && found.task) {
      by_our_id = is_ours(job, *found.task, other.date) == true;
      const Millis born = found.task->created_at;
      if (!by_our_id && found.task->external_id.empty() && !of_another_step(job, *found.task) &&
          found.task->id != job.step.external_id &&
          (born == 0 || born + 600'000 > job.step.sent_at))
        adopt = found.task->id;
    }
    if (by_our_id) {
      outcome = std::move(other), answer = std::move(found);
      const std::string& id = answer.task->id;
      if (auto book = ledger(); book && !id.empty() && id != task_id) {
        Step row;
        row.id = job.step.id;
        row.task_id = task_id;
        (void)(*book)->rename_task(row, id, now());  // refused where another process was first
        const auto there = (*book)->find_by_id(row.id);
        std::lock_guard lock(job.mutex);
        if (there && *there && !(*there)->task_id.empty()) job.step.task_id = (*there)->task_id;
      }
    }
    if (!adopt.empty() && !unknown && job.machine.tries == 7)
      log("warning", handle + ": " + other_id());
  }
  tell_warnings(job, answer);
  if (answer.task) {
    if (!that && !by_our_id) return fail(EventType::unreachable, that.error());
    note_task(job, *answer.task, now());
    std::lock_guard lock(job.mutex);
    const Event polled = told(EventType::polled, *answer.task);
    const bool failure = polled.task == api::TaskState::failed;
    if (failure || (polled.task == api::TaskState::succeeded && !polled.gap))
      job.raw = std::make_unique<std::string>(outcome.body);
    if (failure) note_error(job, generation_failed(*answer.task));
    if (polled.gap)
      note_error(job,
                 {.kind = Kind::protocol,
                  .message = "the service says that the clip is done but gives no address for it" +
                             (answer.task->no_url.empty() ? "" : ": " + answer.task->no_url),
                  .hint = answer.task->no_url.empty()
                              ? "try again later; the job is safe"
                              : "ask the service for the clip of this task; the job is safe"});
    return polled;
  }
  if (answer.refusal == api::Refusal::no_such_task) {
    Error gone = answer.error;
    if (!adopt.empty())
      gone.hint = other_id();
    else if (job.step.id != 0)
      gone.hint = std::string(sent_for_another(job) ? "it was sent with another key: use that one"
                                                    : "results are kept 30 days") +
                  "; if it never comes back: " + decision(handle, " --abandon");
    return fail(EventType::not_found, gone);
  }
  if (is_denied(outcome)) {
    answer.error.hint += "; the job goes on at the service: then run this again";
    return fail(EventType::denied, answer.error);
  }
  return fail(EventType::unreachable, answer.error);
}

}  // namespace kling::engine
