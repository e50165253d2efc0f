// Actions on the ledger: what must be on disk before and after money moves.
#include "api/text.h"
#include "engine/core.h"
#include "engine/error_json.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

Event failed_record(Job& job, const Error& error) {
  return failed(job, EventType::ledger_failed, error);
}

Error no_key() {
  return {.kind = Kind::auth,
          .message = "no key to send the request with",
          .hint = "set KLING_API_KEY to your CometAPI key, or rehearse for nothing with --sim"};
}

/// The picture a clip begins with, as an index of the request's media; none: no such picture.
std::optional<std::size_t> first_picture(const api::Json& fields) {
  const api::Json* picture = &api::member(fields, "image");
  for (const auto& item : api::member(fields, "image_list"))
    if (picture->is_null() && api::member(item, "type") == "first_frame")
      picture = &api::member(item, "image_url");
  const api::Json& index = api::member(*picture, "$media");
  return index.is_null() ? std::nullopt : std::optional(index.get<std::size_t>());
}

}  // namespace

/// Fills the job from its row in the ledger.
void Core::load(Job& job, const Step& row) {
  const auto result = api::parse_json(row.result);
  std::lock_guard lock(job.mutex);
  job.step = row.id;
  job.address = row.address;
  job.external_id = row.external_id;
  job.task_id = row.task_id;
  job.policy.own_external_id = row.own_external_id;
  job.path = row.file;
  job.file_sha256 = row.file_sha256;
  job.accepted_at = row.accepted_at;
  job.timed = row.accepted_at != 0;
  if (job.job_class.empty()) job.job_class = job_class(row.endpoint, api::parse_json(row.request));
  job.cost_is_real = row.cost_usd.has_value();
  job.cost_usd = row.cost_usd.value_or(row.estimate_usd);
  if (job.target.empty()) job.target = row.target;
  if (job.summary.empty()) job.summary = row.summary;
  if (job.where.empty()) job.where = row.script;
  if (row.created_at != 0) job.created_at = row.created_at;
  if (row.state == StepState::succeeded) {
    job.finished_at = row.finished_at;
    job.seen = api::TaskState::succeeded;
    job.answer = api::member(result, "body");
    job.videos.clear();
    for (const auto& item : api::member(result, "videos"))
      if (item.is_object())
        job.videos.push_back({.id = item.value("id", ""),
                              .url = item.value("url", ""),
                              .duration = item.value("duration", 0.0)});
  }
  if (!row.error.empty() && (row.state == StepState::failed || row.state == StepState::ambiguous))
    note_error(job, error_from_json(api::parse_json(row.error)));
}

/// Equal requests are told apart by their order, so this is done in the lane for claims.
Event Core::write_intent(Job& job) {
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  const Sending& sending = *job.sending;
  const CreateRequest& request = sending.request;
  auto names = identities(sending);
  if (!names) return failed_record(job, names.error());

  Intent intent;
  if (job.definition != nullptr) {
    intent.digest = step_digest(canonical_step(service, request.request, *names, options.take));
    if (const auto first = first_picture(request.request.fields); first && *first < names->size())
      job.starts_from = (*names)[*first];
    intent.request = api::to_text(api::wire_body(*job.definition, request.request));
    if (const auto& own = api::member(request.request.fields, "external_task_id"); own.is_string())
      intent.user_external_id = own.get<std::string>();
  } else {
    api::Request other;
    other.endpoint = "request";
    other.fields = {{"target", job.target}, {"body", sending.other_body}};
    intent.digest = step_digest(canonical_step(service, other, {}, options.take));
    intent.request = api::to_text(sending.other_body);
  }
  intent.service = service;
  intent.endpoint = job.endpoint;
  intent.task_path = request.task_path;
  intent.target = job.target;
  intent.script = job.where;
  intent.summary = job.summary;
  intent.sequence = sending.sequence;
  // Each take has its own positions: a new take is not a changed script.
  intent.script_name =
      options.take.empty() ? options.script_name : options.script_name + "@" + options.take;
  intent.fresh = options.typed;
  intent.estimate_usd = job.cost_usd;
  intent.now = now();

  std::lock_guard lock(claim_mutex);
  Asked& before = asked[{request.task_path, intent.digest}];
  const auto previous = before.last_job.lock();
  bool again = false;
  if (previous) {
    std::lock_guard previous_lock(previous->mutex);
    again = previous->machine.phase == Phase::failed && previous->step != 0;
  }
  if (job.run != present_run)  // the script was reloaded meanwhile: nobody wants it
    return failed_record(job, {.kind = Kind::interrupted, .message = "the script was reloaded"});
  Claim claim;
  if (again) {
    auto row = (*book)->retry(before.last_step, intent.now);
    if (!row) return failed_record(job, row.error());
    claim = {Claim::Outcome::retried, *row, false};
  } else {
    intent.nth = before.count;
    auto claimed = (*book)->claim(intent, mine);
    if (!claimed) return failed_record(job, claimed.error());
    claim = *claimed;
    ++before.count;
  }
  before.last_step = claim.step.id;
  before.last_job = job.weak_from_this();
  mine.insert(claim.step.id);
  if (claim.differs && !options.typed) {
    ++differing;
    log("info", job.where + ": this " + job.endpoint +
                    " step differs from last time and is submitted as a new one (" +
                    std::to_string(differing) +
                    (differing == 1 ? " step differs" : " steps differ") + " so far)");
  }
  if (auto known = (*book)->lookup_known(service, job.endpoint); known && *known)
    job.machine.lookup = **known ? Known::yes : Known::no;
  return take_claim(job, claim);
}

Event Core::take_claim(Job& job, const Claim& claim) {
  load(job, claim.step);
  const StepState state = claim.step.state;
  const bool open = state == StepState::intended || state == StepState::sending;
  const bool elsewhere = open && runs_elsewhere(job);
  std::lock_guard lock(job.mutex);
  job.differs = claim.differs;
  job.is_prepared = true;
  static constexpr Claimed kClaimed[] = {Claimed::to_send,  Claimed::maybe_sent,
                                         Claimed::accepted, Claimed::succeeded,
                                         Claimed::failed,   Claimed::ambiguous};
  Event event{.type = EventType::claimed, .claimed = kClaimed[static_cast<std::size_t>(state)]};
  if (elsewhere || claim.outcome == Claim::Outcome::foreign) event.claimed = Claimed::foreign;
  if (!open) job.reused = state == StepState::accepted || state == StepState::succeeded;
  if (event.claimed == Claimed::to_send && key().empty()) {
    job.is_prepared = false;
    note_error(job, no_key());
    return {.type = EventType::stopped};
  }
  return event;
}

Event Core::revisit(Job& job) {
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  auto claim = (*book)->revisit(job.step);
  if (!claim) return failed_record(job, claim.error());
  return take_claim(job, *claim);
}

Event Core::mark_sending(Job& job) {
  const Event event = admit_to_send(job);
  if (event.type != EventType::no_slot) leave_line(job);
  return event;
}

Event Core::admit_to_send(Job& job) {
  const auto stopped = [&job](const Error& error) {
    return failed(job, EventType::stopped, error);
  };
  if (!submitting)
    return stopped({.kind = Kind::interrupted,
                    .message = "stopped before the request was sent",
                    .hint = "run the same command again to go on"});
  if (!job.sending)
    return stopped(
        {.kind = Kind::invalid,
         .message = "this step was recorded but never sent, and only its script can send it",
         .hint = "run the script again"});
  if (key().empty()) return stopped(no_key());
  const Limits limits_of_now = limits_now();
  if (limits_of_now.slots >= 0 && !is_next(job)) return {.type = EventType::no_slot};
  if (Status built = build_body(job, *job.sending); !built.ok()) return stopped(built.error());
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  auto marked = (*book)->mark_sending(job.step, now(), limits_of_now, job.estimate_usd);
  if (!marked) return failed_record(job, marked.error());
  job.open_when_sent = marked->usage.open;
  if (marked->admission == Admission::no_slot) return {.type = EventType::no_slot};
  if (marked->admission == Admission::over_budget)
    return stopped(over_budget(limits_of_now, marked->usage, job.estimate_usd));
  return {.type = EventType::done};
}

Event Core::record(Job& job, ActionType action) {
  const Event done{.type = EventType::done};
  const bool failing = action == ActionType::record_failure || action == ActionType::ask;
  std::string result, error;
  std::optional<double> cost;
  Millis took = 0;
  {
    std::lock_guard lock(job.mutex);
    if (action == ActionType::ask) {
      const std::string cause = job.error ? " (" + job.error->message + ")" : "";
      note_error(job, {.kind = Kind::ambiguous,
                       .message = "the answer to this request was lost" + cause +
                                  ", and the service does not tell whether it was accepted",
                       .hint = "look at your account's tasks, then: kling jobs resolve " +
                               handle_of(job) + " --adopt ID, or --resubmit, or --abandon"});
    }
    if (action == ActionType::record_accepted) job.submitted = !job.reused;
    if (action == ActionType::record_result || action == ActionType::record_failure)
      job.finished_at = now();
    result = result_text(job);
    if (job.error) error = api::to_text(to_json(*job.error));
    if (job.cost_is_real) cost = job.cost_usd;
    took = std::exchange(job.took, 0);
  }
  if (job.step == 0) return done;  // a task that this ledger does not know
  auto opened = ledger();
  if (!opened) return failed_record(job, opened.error());
  Ledger& book = **opened;
  const auto write = [&]() -> Status {
    switch (action) {
      case ActionType::clear_sending:
        return book.clear_sending(job.step, now());
      case ActionType::record_accepted:
        return book.record_accepted(job.step, job.task_id, job.raw, now());
      case ActionType::record_result:
        durations.learn(job.job_class, took);
        return book.record_result(job.step, result, cost, job.raw, now(), took);
      case ActionType::record_failure:
        return book.record_failure(job.step, error, job.raw, now());
      case ActionType::record_file:
        return book.record_file(job.step, job.path, job.file_sha256, now());
      default:
        return book.record_ambiguous(job.step, error, now());
    }
  };
  if (Status written = write(); !written) {
    log("warning", handle_of(job) + ": " + written.error().message + ". " + written.error().hint);
    // The error a failed job ends with stays what the service said.
    return failing ? Event{.type = EventType::ledger_failed} : failed_record(job, written.error());
  }
  std::lock_guard lock(job.mutex);
  job.raw.clear();
  // A task that had failed when it was first seen is recorded as accepted first.
  if (!failing && action != ActionType::clear_sending && job.seen != api::TaskState::failed)
    job.error.reset();
  return done;
}

}  // namespace kling::engine
