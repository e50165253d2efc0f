// Actions on the ledger: what must be on disk before and after money moves.
#include <algorithm>
#include <filesystem>
#include <iterator>

#include "api/text.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

Event failed_record(Job& job, const Error& error) {
  return failed(job, EventType::ledger_failed, error);
}

Error no_key(bool embedded) {
  return {.kind = Kind::auth,
          .message = "no key to send the request with",
          .hint = embedded ? "set the option key, or get_key"
                           : "kling login (or set KLING_API_KEY); kling run --sim rehearses for "
                             "nothing"};
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

/// Says beside each picture and clip of ours which step it came from, for people.
void name_origins(api::Json& value, const Identities& names) {
  if (const auto index = value.is_object() ? value.find("$media") : value.end();
      index != value.end() && value.is_object()) {
    const auto i = index->get<std::size_t>();
    if (i < names.size() && names[i].find(" of step ") != std::string::npos)
      value["from"] = names[i];
  } else if (value.is_structured()) {
    for (api::Json& part : value) name_origins(part, names);
  }
}

}  // namespace

void Engine::load(Job& job, const Step& row) {
  const auto result = api::parse_json(row.result);
  const std::string file = find_clip(row.file);
  std::lock_guard lock(job.mutex);
  // Of the script as it is now, not as it was.
  const StepFacts wanted = std::exchange(job.step, row);
  job.attempt = row.attempt;
  job.took = row.took;
  job.file_sha256 =
      row.file_sha256.empty() ? nullptr : std::make_unique<std::string>(row.file_sha256);
  job.step.file = file;
  job.file_recorded = !file.empty() && file == row.file;
  if (!wanted.summary.empty()) job.step.summary = wanted.summary;
  if (!wanted.name.empty()) job.step.name = wanted.name;
  if (!wanted.script.empty()) job.step.script = wanted.script;
  if (job.step.created_at == 0) job.step.created_at = wanted.created_at;
  job.policy.own_external_id = row.own_external_id;
  job.timed = row.accepted_at != 0;
  if (job.job_class->empty())
    job.job_class = durations.keep(job_class(row.endpoint, api::parse_json(row.request)));
  if (row.state == StepState::succeeded) {
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

/// The job that carries a row out; null: none does.
std::shared_ptr<Job> Engine::job_of(std::int64_t id) {
  std::lock_guard lock(jobs_mutex);
  const auto found = by_row.find(id);
  auto job = found == by_row.end() ? nullptr : found->second.lock();
  return job && !job->gone ? job : nullptr;
}

/// Equal requests are told apart by their order, so this is done in the lane for claims.
Event Engine::write_intent(const std::shared_ptr<Job>& shared) {
  Job& job = *shared;
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  const Sending& sending = *job.sending;
  const CreateRequest& request = sending.request;
  auto names = identities(sending);
  if (!names) return failed_record(job, names.error());

  Step wanted{job.step};
  wanted.service = service;
  wanted.target = target_of(job);
  wanted.task_path = request.task_path;
  wanted.run = options.run_name();
  if (job.definition != nullptr) {
    wanted.digest = step_digest(canonical_step(service, request.request, *names, options.take));
    if (const auto first = first_picture(request.request.fields); first && *first < names->size())
      job.starts_from = std::make_unique<std::string>((*names)[*first]);
    api::Json body = api::wire_body(*job.definition, request.request);
    name_origins(body, *names);
    wanted.request = api::to_text(body);
    for (const api::Json* from : {&request.request.fields, &request.request.extra})
      if (const std::string own = api::scalar_text(api::member(*from, "external_task_id"));
          !own.empty())
        wanted.external_id = own;
  } else {
    api::Request other;
    other.endpoint = "request";
    other.fields = {{"target", job.target}, {"body", sending.other_body}};
    wanted.digest = step_digest(canonical_step(service, other, {}, options.take));
    wanted.request = api::to_text(sending.other_body);
  }

  std::lock_guard lock(options.purse->claim_mutex);
  std::vector<Purse::Got>& equal = asked(**book)[wanted.digest];
  if (job.run != present_run)  // the script was reloaded meanwhile: nobody wants it
    return failed_record(job, {.kind = Kind::interrupted, .message = "the script was reloaded"});
  Asking asking{.script = options.typed ? "" : asks_of(),
                .nth = int(std::ranges::count(equal, wanted.task_path, &Purse::Got::task_path)),
                .sequence = sending.sequence,
                .again = request.again || options.retry_failed,
                .anew = !options.again.empty() && options.again == job.step.name,
                .story = {},
                .given = {}};
  for (const Purse::Got& got : equal) asking.given.insert(got.ordinal);
  std::map<std::int64_t, Ask*> raised;
  for (const Raised* entry = request.story.get(); entry != nullptr; entry = entry->before.get()) {
    Ask& ask = *entry->ask;
    if (!ask.ready || ask.followed || ask.digest != wanted.digest ||
        (entry->kind == Kind::script && !ask.lost))
      continue;
    if (const auto of = ask.book.lock();
        of && of->prefix() == (*book)->prefix() && raised.emplace(ask.row, &ask).second)
      asking.story.push_back(ask.row);
  }
  wanted.created_at = now();  // a later run takes it for the moment at which the script went on
  auto claimed = (*book)->claim(wanted, asking);
  if (!claimed) return failed_record(job, claimed.error());
  const Claim& claim = *claimed;
  equal.push_back({wanted.task_path, claim.step.ordinal});
  if (claim.follows != 0) raised[claim.follows]->followed = true;
  Ask& ask = *request.ask;
  ask.script = asking.script;
  ask.task_path = wanted.task_path;
  ask.digest = wanted.digest;
  ask.nth = asking.nth;
  ask.book = *book;
  ask.row = claim.step.id;
  ask.timeouts = claim.timeouts;
  ask.made_at = claim.step.created_at;
  ask.known = !claim.created;
  ask.settled = ask.known && claim.step.settled();
  ask.ready = true;
  if (claim.created && ask.nth == 3 && claim.step.attempt == 1 && !options.typed)
    log("warning", job.step.script +
                       ": the fourth equal request: each is a clip of its own, and paid; make the "
                       "job before the loop, or write take = n where takes are meant");
  if (claim.differs && !options.typed) {
    ++differing;
    log("info", job.step.script + ": this " + job.step.endpoint +
                    " step differs from last time and is submitted as a new one (" +
                    std::to_string(differing) +
                    (differing == 1 ? " step differs" : " steps differ") + " so far)");
  }
  const Story story = request.story;
  if (join(shared, claim)) return (void)keep(story), Event{};
  // What was sent before follows from what was caught before it; else that is kept once it is sent.
  if (Status kept = claim.step.unsent() ? Status(Done{}) : keep(story); !kept)
    return failed_record(job, kept.error());
  {
    std::lock_guard told(job.mutex);
    job.replayed = claim.step.state == StepState::failed;
  }
  return take_claim(job, claim);
}

/// What the script caught is kept where it was asked for: a fallback may have another ledger.
Status Engine::keep(const Story& story) {
  std::vector<Caught> all = caught(story);
  while (!all.empty()) {
    const auto book = all.back().ask->book.lock();  // null: its client has gone
    const auto rest = std::ranges::stable_partition(
        all, [&](const Caught& one) { return one.ask->book.lock() != book; });
    if (Status kept = book ? book->keep({rest.begin(), rest.end()}) : Done{}; !kept) return kept;
    all.erase(rest.begin(), rest.end());
  }
  if (story) story->told = true;
  return Done{};
}

/// One job a row: who asks for it again gets that job, which goes on where it rests unsettled.
bool Engine::join(const std::shared_ptr<Job>& job, const Claim& claim) {
  std::shared_ptr<Job> other;
  bool earlier = false;
  {
    std::lock_guard lock(jobs_mutex);
    std::weak_ptr<Job>& carries = by_row[claim.step.id];
    other = carries.lock();
    if (!other || other->gone || other == job) {
      carries = job;
      return false;
    }
    if (other->run.exchange(job->run) != job->run)  // what an earlier run has paid for
      earlier = true;
    drop(*job);
  }
  JobDone prepared = std::exchange(job->sending->prepared, nullptr);
  bool rests = false;
  {
    std::scoped_lock lock(job->mutex, other->mutex);
    other->watches.insert(other->watches.end(), std::make_move_iterator(job->watches.begin()),
                          std::make_move_iterator(job->watches.end()));
    job->watches.clear();
    set_active(*job, false);
    if (std::exchange(other->background, false) && other->active) ++active;
    const Phase phase = other->machine.phase;
    if (earlier && phase >= Phase::accepted && phase <= Phase::stored) other->reused = true;
    rests = !other->active && (phase == Phase::paused || phase == Phase::ambiguous);
    // It was found by its handle, and could not be sent without its request.
    if (rests && !other->sending) other->sending = std::move(job->sending);
  }
  // Before the script is told: what it waits for is what comes of this, not what was before.
  if (rests) insist([&] { resume(other); });
  if (prepared) queue->post([prepared = std::move(prepared), other] { prepared(other); });
  publish(*other);
  queue->wake();
  return true;
}

Event Engine::take_claim(Job& job, const Claim& claim) {
  load(job, claim.step);
  {
    std::lock_guard lock(options.purse->ends_mutex);  // the clock may have been set back since
    options.purse->last_end = std::max(options.purse->last_end, claim.step.finished_at);
  }
  const StepState state = claim.step.state;
  if (auto book = ledger(); book && state != StepState::succeeded)
    if (auto known = (*book)->lookup_known(service, job.step.endpoint); known && *known)
      job.machine.lookup = **known ? Known::yes : Known::no;
  const bool open = state == StepState::intended || state == StepState::sending;
  std::lock_guard lock(job.mutex);
  job.differs = job.differs || claim.differs;
  job.is_prepared = true;
  // A person said that it was not accepted, which is no proof.
  if (state == StepState::intended && claim.step.sent_at != 0) job.machine.may_exist = true;
  if (!open) job.reused = state == StepState::accepted || state == StepState::succeeded;
  if (state == StepState::intended && !claim.foreign && key().empty()) {
    job.is_prepared = false;
    note_error(job, no_key(options.embedded));
    return {.type = EventType::stopped};
  }
  return {.type = EventType::claimed, .step = state, .foreign = claim.foreign};
}

Event Engine::revisit(Job& job) {
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  auto claim = (*book)->revisit(job.step.id);
  if (!claim) return failed_record(job, claim.error());
  return take_claim(job, *claim);
}

/// Who waits for a slot sees to it that each job which holds one comes to its end: what no living
/// process follows is followed here, though nobody of this script asked for it.
void Engine::follow_orphans() {
  auto book = ledger();
  if (!book) return;
  const auto orphans = (*book)->take_orphans(service, now());
  if (!orphans) return;
  for (const Step& step : *orphans) {
    if (job_of(step.id)) continue;
    const auto job = new_job(api::find_endpoint(step.endpoint));
    if (job->definition == nullptr) continue;
    job->background = true;
    job->target = step.target;
    load(*job, step);
    job->is_prepared = job->reused = true;
    add(job);
    run_soon(job, {.type = EventType::claimed, .step = StepState::accepted});
  }
}

Event Engine::mark_sending(Job& job) {
  const Event event = admit_to_send(job);
  if (event.type != EventType::no_slot) leave_line(job);
  if (event.type != EventType::done) return event;
  if (Status kept = keep(job.sending->request.story); !kept) {
    if (auto book = ledger(); book && job.step.sent_at == 0)
      (void)(*book)->clear_sending(Step{job.step}, now());
    return failed_record(job, kept.error());
  }
  std::lock_guard lock(job.mutex);
  if (job.step.sent_at == 0) job.step.sent_at = now();
  return event;
}

/// By this process's other clients, as far as they have ledgers of their own, and what runs for
/// them at the service that this one does not see. REQUIRES: the purse's mutex is held, until what
/// is to be spent here is recorded.
Usage Engine::spent_elsewhere() {
  const auto place = [](const Engine& engine) {
    std::error_code code;
    return std::filesystem::weakly_canonical(engine.options.ledger_path, code).string();
  };
  Usage spent;
  // Slots are those of a service, money and jobs those of a run: each take is one.
  std::set<std::string> counted = {place(*this) + "\nat " + service,
                                   place(*this) + "\nof " + options.run_name()};
  for (const auto& engine : options.purse->engines) {
    const auto core = engine.lock();
    if (!core || core.get() == this) continue;
    const std::string& path = core->options.ledger_path;
    const bool in_memory = path.empty() || path == ":memory:";
    const std::string file = in_memory ? "" : place(*core);
    const bool other_slots = in_memory || counted.insert(file + "\nat " + core->service).second;
    const bool other_run =
        in_memory || counted.insert(file + "\nof " + core->options.run_name()).second;
    if (!other_slots && !other_run) continue;
    const auto book = core->ledger();  // what cannot be opened has spent nothing
    Step none;
    none.service = core->service;
    none.run = core->options.run_name();
    const auto usage = book ? (*book)->usage(none, now()) : book.error();
    if (!usage) continue;
    if (other_slots) spent.open += usage->open;
    if (!other_run) continue;
    spent.jobs += usage->jobs;
    spent.usd += usage->usd;
  }
  return spent;
}

Event Engine::admit_to_send(Job& job) {
  const auto stopped = [&job](const Error& error) {
    return failed(job, EventType::stopped, error);
  };
  if (!submitting)
    return stopped({.kind = Kind::interrupted,
                    .message = "stopped before the request was sent",
                    .hint = "run the same command again to go on"});
  if (!job.sending)
    return stopped(
        {.message = "this step was recorded but never sent, and only its script can send it",
         .hint = "run the script again"});
  if (key().empty()) return stopped(no_key(options.embedded));
  if (options.purse->held) return is_next(job), Event{.type = EventType::no_slot};
  const Limits limits_of_now = limits_now();
  // What may be at the service already has its slot: the line may wait for that one.
  if (limits_of_now.slots >= 0 && job.step.sent_at == 0 && !is_next(job))
    return {.type = EventType::no_slot};
  if (!std::exchange(job.sending->made, false)) {
    if (Status built = build_body(job, *job.sending); !built.ok()) return stopped(built.error());
    job.sending->made = job.sending->lane() != Lane::post;
    if (job.sending->made) return {.type = EventType::elapsed};  // next, by a worker that sends
  }
  auto book = ledger();
  if (!book) return failed_record(job, book.error());
  std::unique_lock purse(options.purse->mutex, std::defer_lock);
  Usage elsewhere;
  Limits left = options.most;
  if (left.budget_usd >= 0 || left.budget_jobs >= 0 || left.slots >= 0) {
    purse.lock();
    elsewhere = spent_elsewhere();
    if (left.budget_usd >= 0) left.budget_usd = std::max(0.0, left.budget_usd - elsewhere.usd);
    if (left.budget_jobs >= 0) left.budget_jobs = std::max(0, left.budget_jobs - elsewhere.jobs);
    if (left.slots >= 0) left.slots = std::max(0, left.slots - elsewhere.open);
  }
  auto marked = (*book)->mark_sending(Step{job.step}, now(), lower(limits_of_now, left),
                                      job.estimate_usd, account(**book));
  if (!marked) return failed_record(job, marked.error());
  if (marked->admission == Admission::no_slot) {
    follow_orphans();
    return {.type = EventType::no_slot};
  }
  if (marked->admission == Admission::over_budget) {
    Usage& usage = marked->usage;
    const bool here = admit(limits_of_now, usage, job.estimate_usd) == Admission::over_budget;
    if (!here) usage.jobs += elsewhere.jobs, usage.usd += elsewhere.usd;
    return stopped(over_budget(here ? limits_of_now : options.most, usage, job.estimate_usd,
                               job.price_factor, options.embedded, options.most));
  }
  return {.type = EventType::done};
}

Event Engine::record(Job& job, ActionType action) {
  const Event done{.type = EventType::done};
  const bool failing = action == ActionType::record_failure || action == ActionType::ask;
  std::unique_lock lock(job.mutex);
  if (action == ActionType::record_file && job.file_recorded) return job.error.reset(), done;
  if (action == ActionType::ask) {
    const std::string cause = job.error ? " (" + job.error->message + ")" : "";
    note_error(job, {.kind = Kind::ambiguous,
                     .message = "the answer to this request was lost" + cause +
                                ", and the service does not tell whether it was accepted",
                     .hint = "look at your account's tasks, then: " +
                             decision(handle_of(job), " --adopt ID, or --resubmit, or --abandon")});
  }
  if (action == ActionType::record_accepted) job.submitted = !job.reused;
  Step step{job.step};
  step.took = job.took;
  step.result = result_text(job);
  if (job.error) step.error = api::to_text(to_json(*job.error));
  if (job.file_sha256) step.file_sha256 = *job.file_sha256;
  const std::string raw = job.raw ? *job.raw : "";
  lock.unlock();
  if (step.id == 0) return done;  // a task that this ledger does not know
  auto opened = ledger();
  if (!opened) return failed_record(job, opened.error());
  Ledger& book = **opened;
  const auto write = [&]() -> Status {
    switch (action) {
      case ActionType::clear_sending: return book.clear_sending(step, now());
      case ActionType::release: return book.release(step);
      case ActionType::record_accepted: return book.record_accepted(step, raw, now());
      case ActionType::record_result:
        if (durations.learn(*job.job_class, step.took)) hasten(job.job_class);
        return book.record_result(step, raw, step.finished_at);
      case ActionType::record_failure: return book.record_failure(step, raw, step.finished_at);
      case ActionType::record_file: return book.record_file(step, now());
      default: return book.record_ambiguous(step, now());
    }
  };
  if (Status written = write(); !written) {
    if (action == ActionType::record_accepted) {  // nobody else can tell whose task it is
      Error lost = written.error();
      const bool task = job.definition != nullptr;
      lost.message = (task ? "the task " + step.task_id + " was accepted"
                           : std::string("the request was carried out")) +
                     ", and " + lost.message;
      lost.hint = std::string("mend that while this runs; else try again, and ") +
                  (task ? "if the task is not found: " : "then: ") + "kling jobs resolve " +
                  step.address.substr(0, 7) + (task ? " --adopt " + step.task_id : " --abandon");
      written = std::move(lost);
    }
    log("warning", handle_of(job) + ": " + written.error().message + ". " + written.error().hint);
    // The error a failed job ends with stays what the service said.
    return failing ? Event{.type = EventType::ledger_failed} : failed_record(job, written.error());
  }
  if (action == ActionType::clear_sending) {
    std::lock_guard told(job.mutex);
    job.step.sent_at = 0;
  }
  if (action == ActionType::release) return done;  // it rests with the reason that it has
  lock.lock();
  job.raw.reset();
  // A task that had failed when it was first seen is recorded as accepted first.
  if (!failing && action != ActionType::clear_sending && job.seen != api::TaskState::failed)
    job.error.reset();
  return done;
}

}  // namespace kling::engine
