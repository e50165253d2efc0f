// Actions on the ledger: what must be on disk before and after money moves.
#include "engine/core.h"
#include "engine/error_json.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

Event failed_record(Job& job, Error error) {
  std::lock_guard lock(job.mutex);
  note_error(job, std::move(error));
  return {.type = EventType::ledger_failed};
}

Error no_key() {
  return {.kind = Kind::auth,
          .message = "no key to send the request with",
          .hint = "set KLING_API_KEY to your CometAPI key, or rehearse for nothing with --sim"};
}

/// The picture a clip begins with, as an index of the request's media; none: no such picture.
std::optional<std::size_t> first_picture(const api::Json& fields) {
  const auto index = [](const api::Json& item, const char* key) -> std::optional<std::size_t> {
    const auto found = item.find(key);
    if (found == item.end() || !found->is_object() || !found->contains("$media")) return {};
    return (*found)["$media"].get<std::size_t>();
  };
  if (const auto image = index(fields, "image")) return image;
  const auto list = fields.find("image_list");
  if (list == fields.end() || !list->is_array()) return {};
  for (const auto& item : *list)
    if (item.is_object() && item.value("type", "") == "first_frame")
      return index(item, "image_url");
  return {};
}

}  // namespace

/// Fills the job from its row in the ledger.
void Core::load(Job& job, const StepRow& row) {
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
    if (result.is_object() && result.contains("body")) job.answer = result["body"];
    if (result.is_object() && result.contains("videos") && result["videos"].is_array())
      for (const auto& item : result["videos"]) {
        if (!item.is_object()) continue;
        job.videos.push_back({.id = item.value("id", ""),
                              .url = item.value("url", ""),
                              .watermark_url = "",
                              .duration = item.value("duration", 0.0)});
      }
  }
  if (!row.error.empty() && (row.state == StepState::failed || row.state == StepState::ambiguous))
    note_error(job, error_from_json(api::parse_json(row.error)));
}

/// The request has claimed its step, or given up: the next of its task may.
void Core::end_turn(const Sending& sending) {
  std::lock_guard lock(claim_mutex);
  Turn& turn = turns[sending.request.task_path];
  if (sending.sequence < turn.next) return;  // resumed after a failure
  turn.ended.insert(sending.sequence);
  while (turn.ended.erase(turn.next) != 0) ++turn.next;
  turn_ended.notify_all();
}

Event Core::write_intent(Job& job) {
  const Event event = claim_step(job);
  end_turn(*job.sending);
  return event;
}

Event Core::claim_step(Job& job) {
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  const Sending& sending = *job.sending;
  const CreateRequest& request = sending.request;
  auto names = identities(sending);
  if (!names) return failed_record(job, names.error());

  Intent intent;
  if (job.endpoint != nullptr) {
    intent.digest = step_digest(canonical_step(service, request.request, *names, options.take));
    if (const auto first = first_picture(request.request.fields); first && *first < names->size())
      job.starts_from = (*names)[*first];
    intent.request = api::wire_body(*job.endpoint, request.request)
                         .dump(-1, ' ', false, api::Json::error_handler_t::replace);
    if (const auto own = request.request.fields.find("external_task_id");
        own != request.request.fields.end() && own->is_string())
      intent.user_external_id = own->get<std::string>();
  } else {
    api::Request other;
    other.endpoint = "request";
    other.fields = {{"target", job.target}, {"body", sending.other_body}};
    intent.digest = step_digest(canonical_step(service, other, {}, options.take));
    intent.request = sending.other_body.dump(-1, ' ', false, api::Json::error_handler_t::replace);
  }
  intent.service = service;
  intent.endpoint = job.endpoint_name;
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

  // Equal requests are told apart by their order, so workers must not overtake each other. No
  // deadlock: the lane starts them in order, so the one whose turn it is runs.
  std::unique_lock lock(claim_mutex);
  turn_ended.wait(lock,
                  [&] { return closing || turns[request.task_path].next >= sending.sequence; });
  Asked& before = asked[{request.task_path, intent.digest}];
  const auto previous = before.last_job.lock();
  bool again = false;
  if (previous) {
    std::lock_guard previous_lock(previous->mutex);
    again = previous->state.phase == Phase::failed && previous->step != 0;
  }
  if (job.run != present_run)  // its turn came after the script was reloaded: nobody wants it
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
    log("info", job.where + ": this " + job.endpoint_name +
                    " step differs from last time and is submitted as a new one (" +
                    std::to_string(differing) +
                    (differing == 1 ? " step differs" : " steps differ") + " so far)");
  }
  if (auto known = (*book)->lookup_known(service, job.endpoint_name); known && *known)
    job.state.lookup = **known ? Known::yes : Known::no;
  return take_claim(job, claim);
}

Event Core::take_claim(Job& job, const Claim& claim) {
  load(job, claim.step);
  const bool open =
      claim.step.state == StepState::intended || claim.step.state == StepState::sending;
  const bool elsewhere = open && runs_elsewhere(job);
  std::lock_guard lock(job.mutex);
  job.differs = claim.differs;
  job.is_prepared = true;
  Event event{.type = EventType::claimed};
  if (elsewhere) {
    event.claimed = Claimed::foreign;
    return event;
  }
  switch (claim.outcome) {
    case Claim::Outcome::created:
    case Claim::Outcome::retried:
      event.claimed = Claimed::to_send;
      break;
    case Claim::Outcome::taken_over:
      event.claimed =
          claim.step.state == StepState::intended ? Claimed::to_send : Claimed::maybe_sent;
      break;
    case Claim::Outcome::foreign:
      event.claimed = Claimed::foreign;
      break;
    case Claim::Outcome::known:
      switch (claim.step.state) {
        case StepState::accepted:
          event.claimed = Claimed::accepted;
          break;
        case StepState::succeeded:
          event.claimed = Claimed::succeeded;
          break;
        case StepState::failed:
          event.claimed = Claimed::failed;
          break;
        case StepState::ambiguous:
          event.claimed = Claimed::ambiguous;
          break;
        case StepState::intended:
        case StepState::sending:
          event.claimed = Claimed::foreign;
          break;
      }
      job.reused = event.claimed == Claimed::accepted || event.claimed == Claimed::succeeded;
  }
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
  const auto stopped = [&job](Error error) {
    std::lock_guard lock(job.mutex);
    note_error(job, std::move(error));
    return Event{.type = EventType::stopped};
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
  switch (marked->admission) {
    case Admission::no_slot:
      return {.type = EventType::no_slot};
    case Admission::over_budget:
      return stopped(over_budget(limits_of_now, marked->usage, job.estimate_usd));
    case Admission::admitted:
      break;
  }
  return {.type = EventType::done};
}

Event Core::record(Job& job, ActionType action) {
  const Event done{.type = EventType::done};
  std::string result, error;
  std::optional<double> cost;
  Millis took = 0;
  {
    std::lock_guard lock(job.mutex);
    if (action == ActionType::ask) {
      const std::string handle = job.handle();
      note_error(job,
                 {.kind = Kind::ambiguous,
                  .message = "the answer to this request was lost, and the service does not tell "
                             "whether it was accepted",
                  .hint = "look at your account's tasks, then: kling jobs resolve " + handle +
                          " --adopt ID, or --resubmit, or --abandon"});
    }
    if (action == ActionType::record_accepted) job.submitted = !job.reused;
    if (action == ActionType::record_result || action == ActionType::record_failure)
      job.finished_at = now();
    result = result_text(job);
    if (job.error)
      error = to_json(*job.error).dump(-1, ' ', false, api::Json::error_handler_t::replace);
    if (job.cost_is_real) cost = job.cost_usd;
    took = std::exchange(job.took, 0);
  }
  if (job.step == 0) return done;  // a task that this ledger does not know
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  Status written = Done{};
  switch (action) {
    case ActionType::clear_sending:
      written = (*book)->clear_sending(job.step, now());
      break;
    case ActionType::record_accepted:
      written = (*book)->record_accepted(job.step, job.task_id, job.raw, now());
      break;
    case ActionType::record_result:
      written = (*book)->record_result(job.step, result, cost, job.raw, now(), took);
      durations.learn(job.job_class, took);
      break;
    case ActionType::record_failure:
      written = (*book)->record_failure(job.step, error, job.raw, now());
      break;
    case ActionType::record_file:
      written = (*book)->record_file(job.step, job.path, job.file_sha256, now());
      break;
    case ActionType::ask:
      written = (*book)->record_ambiguous(job.step, error, now());
      break;
    default:
      break;
  }
  if (!written.ok()) {
    log("warning", job.handle() + ": " + written.error().message + ". " + written.error().hint);
    // The error a failed job ends with stays what the service said.
    if (action == ActionType::record_failure || action == ActionType::ask)
      return {.type = EventType::ledger_failed};
    return failed_record(job, written.error());
  }
  std::lock_guard lock(job.mutex);
  job.raw.clear();
  if (action != ActionType::record_failure && action != ActionType::ask &&
      action != ActionType::clear_sending)
    job.error.reset();
  return done;
}

}  // namespace kling::engine
