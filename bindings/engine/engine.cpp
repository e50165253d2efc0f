#include "engine/engine.h"

#include <cstdlib>
#include <filesystem>
#include <utility>

#include "api/prices.h"
#include "engine/core.h"
#include "engine/media/ffmpeg.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

constexpr std::size_t kSummaryBytes = 60;

/// The start of a text, cut between characters.
std::string start_of(const std::string& text) {
  if (text.size() <= kSummaryBytes) return text;
  std::size_t end = kSummaryBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

class EngineImpl : public Engine {
 public:
  explicit EngineImpl(std::shared_ptr<Core> core) : core_(std::move(core)) {}
  ~EngineImpl() override { core_->close(); }

  std::shared_ptr<Job> create(CreateRequest request, Done0 prepared) override {
    auto job = std::make_shared<Job>();
    job->endpoint = api::find_endpoint(request.request.endpoint);
    job->endpoint_name = job->endpoint->name;
    job->target = job->endpoint->path;
    job->where = request.where;
    if (const auto prompt = request.request.fields.find("prompt");
        prompt != request.request.fields.end() && prompt->is_string())
      job->summary = start_of(prompt->get_ref<const std::string&>());
    job->created_at = core_->now();
    const EngineOptions& options = core_->options;
    job->policy.patience = request.patience.value_or(options.patience);
    job->policy.ask = request.ask_when_lost.value_or(options.ask_when_lost);
    job->policy.store = options.store;
    job->poll_interval = request.poll_interval.value_or(options.poll_interval);
    const api::Json body = api::wire_body(*job->endpoint, request.request);
    job->job_class = job_class(job->endpoint_name, body);
    if (const auto price = api::estimate(*job->endpoint, body))
      job->cost_usd = job->estimate_usd = price->usd;
    job->order = ++orders_;
    job->run = core_->present_run;
    job->sending = std::make_unique<Sending>();
    job->sending->sequence = sequences_[request.task_path]++;
    job->sending->request = std::move(request);
    job->sending->prepared = std::move(prepared);
    core_->start(job);
    return job;
  }

  void find(const std::string& handle,
            std::function<void(Result<std::shared_ptr<Job>>)> done) override {
    work(core_, Lane::light, std::move(done),
         [core = core_, handle] { return find_job(*core, handle); });
  }

  JobSnapshot snapshot(const std::shared_ptr<Job>& job) const override {
    JobSnapshot shot;
    std::lock_guard lock(job->mutex);
    shot.handle = job->handle();
    shot.endpoint = job->endpoint_name;
    shot.task_id = job->task_id;
    shot.external_id = job->external_id;
    shot.address = job->address;
    shot.phase = job->state.phase;
    shot.state = script_state(*job);
    shot.waiting_for = job->waiting_for;
    shot.summary = job->summary;
    shot.where = job->where;
    shot.path = job->path;
    shot.videos = job->videos;
    shot.duration = job->videos.empty() ? 0 : job->videos[0].duration;
    shot.cost_usd = job->cost_usd;
    shot.cost_is_real = job->cost_is_real;
    shot.reused = job->reused;
    shot.differs = job->differs;
    shot.submitted = job->submitted;
    shot.observed = job->observed;
    shot.created_at = job->created_at;
    shot.accepted_at = job->accepted_at;
    shot.finished_at = job->finished_at;
    shot.expected = job->expected;
    const Phase phase = job->state.phase;
    if (job->error &&
        (phase == Phase::failed || phase == Phase::ambiguous || phase == Phase::paused))
      shot.error = *job->error;
    if (job->store_error && phase == Phase::succeeded && !job->active)
      shot.store_error = *job->store_error;
    return shot;
  }

  void watch(const std::shared_ptr<Job>& job, Milestone milestone, std::weak_ptr<void> owner,
             std::function<void()> reached_it) override {
    core_->watch(job, milestone, {std::move(owner), std::move(reached_it)});
  }

  void query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done) override {
    work(core_, Lane::light, std::move(done),
         [core = core_, target] { return query_task(*core, target); });
  }

  void request(const std::string& method, const std::string& target, api::Json body,
               const std::string& task_path, const std::string& where,
               std::function<void(Result<api::Json>)> done) override {
    if (method != "POST") {
      work(core_, Lane::light, std::move(done),
           [core = core_, target] { return get_json(*core, target); });
      return;
    }
    auto job = std::make_shared<Job>();
    job->endpoint_name = "request";
    job->target = target;
    job->where = where;
    job->summary = method + " " + target;
    job->created_at = core_->now();
    job->policy.poll = false;
    job->policy.store = false;
    job->order = ++orders_;
    job->run = core_->present_run;
    job->sending = std::make_unique<Sending>();
    job->sending->other_body = std::move(body);
    job->sending->request.task_path = task_path;
    job->sending->sequence = sequences_[task_path]++;
    job->watches.push_back({core_,
                            [core = core_, job = job.get(), done = std::move(done)] {
                              Result<api::Json> answer = Error{
                                  .kind = Kind::interrupted, .message = "the request was not sent"};
                              {
                                std::lock_guard lock(job->mutex);  // the core's list keeps the job
                                if (job->state.phase == Phase::stored)
                                  answer = job->answer;
                                else if (job->error)
                                  answer = *job->error;
                              }
                              done(std::move(answer));
                            },
                            static_cast<int>(Milestone::finished)});
    core_->start(job);
  }

  void materialize(std::shared_ptr<MediaSource> source, TextDone done) override {
    with_bytes(core_, source, [core = core_, source, done = std::move(done)] {
      work(core, Lane::media, done, [core, source] { return core->materialize(*source); });
    });
  }

  void save(std::shared_ptr<MediaSource> source, const std::string& path, TextDone done) override {
    with_bytes(core_, source, [core = core_, source, path, done = std::move(done)] {
      work(core, Lane::media, done, [core, source, path] { return core->save(*source, path); });
    });
  }

  void concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
              const std::string& audio, TextDone done) override {
    const auto all = std::make_shared<std::vector<std::shared_ptr<MediaSource>>>(std::move(parts));
    with_all_bytes(core_, all, 0, [core = core_, all, out, audio, done = std::move(done)] {
      work(core, Lane::media, done,
           [core, all, out, audio] { return core->concat(*all, out, audio); });
    });
  }

  void probe(std::shared_ptr<MediaSource> source,
             std::function<void(Result<api::Json>)> done) override {
    with_bytes(core_, source, [core = core_, source, done = std::move(done)] {
      work(core, Lane::media, done, [core, source]() -> Result<api::Json> {
        auto path = core->materialize(*source);
        if (!path) return path.error();
        auto facts = media::probe(*path);
        if (!facts) return facts.error();
        return api::Json{{"duration", facts->duration},
                         {"width", facts->width},
                         {"height", facts->height},
                         {"fps", facts->fps},
                         {"video_codec", facts->video_codec},
                         {"audio_codec", facts->audio_codec},
                         {"bytes", facts->bytes},
                         {"path", *path}};
      });
    });
  }

  std::size_t pending() const override {
    std::size_t count = static_cast<std::size_t>(core_->operations.load());
    for (const auto& job : jobs()) {
      std::lock_guard lock(job->mutex);
      if (job->active) ++count;
    }
    return count;
  }

  std::vector<std::shared_ptr<Job>> jobs() const override {
    std::lock_guard lock(core_->jobs_mutex);
    return core_->jobs;
  }

  Bill bill() const override {
    Bill bill;
    bill.estimated = false;
    for (const auto& job : jobs()) {
      const JobSnapshot shot = snapshot(job);
      if (shot.submitted) ++bill.submitted;
      if (shot.reused) ++bill.reused;
      if (shot.phase == Phase::failed) ++bill.failed;
      if (shot.phase != Phase::failed && shot.phase != Phase::stored &&
          shot.phase != Phase::succeeded)
        ++bill.open;
      if (!shot.submitted || shot.phase == Phase::failed) continue;
      bill.usd += shot.cost_usd;
      if (!shot.cost_is_real) bill.estimated = true;
    }
    return bill;
  }

  const EngineOptions& options() const override { return core_->options; }
  void stop_submitting() override {
    core_->submitting = false;
    core_->call_next();
  }
  void begin_run() override { core_->begin_run(); }
  std::string key() const override { return core_->key(); }
  void set_key(const std::string& key) override { core_->set_key(key); }
  void set_limits(const Limits& limits) override {
    {
      std::lock_guard lock(core_->slots_mutex);
      core_->limits = limits;
    }
    core_->call_next();
  }

 private:
  // What follows works on the core alone: a completion may be run after its engine has gone.
  using CorePtr = std::shared_ptr<Core>;
  using Sources = std::shared_ptr<std::vector<std::shared_ptr<MediaSource>>>;

  /// Runs `task` on a worker and hands its result to `done` on the owner's thread.
  template <class Done, class Task>
  static void work(const CorePtr& owner, Lane lane, Done done, Task task) {
    ++owner->operations;
    owner->pool.submit(
        lane, [core = owner, done = std::move(done), task = std::move(task)]() mutable {
          auto result = std::make_shared<decltype(task())>(task());
          // First: whoever runs the completion may ask at once whether anything is pending.
          --core->operations;
          core->queue->post([done = std::move(done), result] { done(std::move(*result)); });
        });
  }

  /// Calls `next` once the clip behind `source`, if there is one, lies in the store or failed to.
  static void with_bytes(const CorePtr& core, const std::shared_ptr<MediaSource>& source,
                         std::function<void()> next) {
    if (source->job && source->video == 0 && core->options.store && source->made().empty())
      return core->watch(source->job, Milestone::stored, {core, std::move(next)});
    next();
  }

  static void with_all_bytes(const CorePtr& owner, const Sources& sources, std::size_t index,
                             std::function<void()> next) {
    if (index == sources->size()) return next();
    with_bytes(owner, (*sources)[index], [core = owner, sources, index, next = std::move(next)] {
      with_all_bytes(core, sources, index + 1, next);
    });
  }

  static Result<std::optional<StepRow>> find_row(Core& core, const Handle& handle) {
    auto found = find_any_row(core, handle);
    // Another service would answer that there is no such task.
    if (found && *found && (*found)->service != core.service)
      return Error{
          .kind = Kind::invalid,
          .message = "this job is one of " + (*found)->service + ", not of " + core.service,
          .hint = "name its service with --base-url, KLING_BASE_URL or kling.client"};
    return found;
  }
  static Result<std::optional<StepRow>> find_any_row(Core& core, const Handle& handle) {
    auto book = core.ledger();
    if (!book) return book.error();
    if (!handle.external_id.empty()) return (*book)->find_by_external(handle.external_id);
    auto rows = (*book)->find_by_task(handle.task_id);
    if (!rows) return rows.error();
    for (const StepRow& row : *rows)
      if (handle.endpoint.empty() || row.endpoint == handle.endpoint) return std::optional(row);
    if (handle.endpoint.empty() && rows->empty()) return (*book)->find_by_external(handle.task_id);
    return std::optional<StepRow>();
  }

  static Error unknown_kind(const Handle& handle) {
    std::string kinds;
    for (const api::Endpoint& endpoint : api::endpoints())
      kinds += (kinds.empty() ? "" : ", ") + endpoint.name;
    const std::string id = handle.task_id.empty() ? handle.external_id : handle.task_id;
    return {
        .kind = Kind::invalid,
        .message = "the ledger does not know " + (id.empty() ? "this job" : id) +
                   ", and the id alone does not tell its kind",
        .hint = "name the kind, for example kling:text2video/" + id + " (kinds: " + kinds + ")"};
  }

  static Result<std::shared_ptr<Job>> find_job(Core& core, const std::string& text) {
    auto handle = parse_handle(text);
    if (!handle) return handle.error();
    auto row = find_row(core, *handle);
    if (!row) return row.error();
    const api::Endpoint* endpoint = api::find_endpoint(*row ? (*row)->endpoint : handle->endpoint);
    if (endpoint == nullptr) return unknown_kind(*handle);
    if (*row) {
      std::lock_guard lock(core.jobs_mutex);
      for (const auto& job : core.jobs) {
        std::lock_guard job_lock(job->mutex);
        if (job->step == (*row)->id) return job;
      }
    }
    auto job = std::make_shared<Job>();
    job->run = core.present_run;
    job->endpoint = endpoint;
    job->endpoint_name = endpoint->name;
    job->policy.patience = core.options.patience;
    job->policy.ask = core.options.ask_when_lost;
    job->policy.store = core.options.store;
    job->poll_interval = core.options.poll_interval;
    job->created_at = core.now();
    Event event{.type = EventType::claimed, .claimed = Claimed::accepted};
    if (*row) {
      core.load(*job, **row);
      event = core.revisit(*job);
    } else {
      job->target = endpoint->path;
      job->task_id = handle->task_id;
      job->external_id = handle->external_id;
      // Without an entry in the ledger there is no id but the one given; both look up alike.
      if (job->task_id.empty()) job->task_id = handle->external_id;
      job->is_prepared = true;
      job->reused = true;
    }
    {
      std::lock_guard lock(core.jobs_mutex);
      core.jobs.push_back(job);
    }
    core.pool.submit(Lane::light, [self = core.shared_from_this(), job, event] {
      self->run(job, event, Lane::light);
    });
    return job;
  }

  static Result<QueryResult> query_task(Core& core, const QueryTarget& wanted) {
    Handle handle;
    if (!wanted.external_id.empty()) {
      handle.external_id = wanted.external_id;
    } else {
      auto parsed = parse_handle(wanted.text);
      if (!parsed) return parsed.error();
      handle = *parsed;
    }
    if (!wanted.endpoint.empty()) handle.endpoint = wanted.endpoint;
    auto row = find_row(core, handle);
    if (!row) return row.error();
    const api::Endpoint* endpoint = api::find_endpoint(*row ? (*row)->endpoint : handle.endpoint);
    if (endpoint == nullptr) return unknown_kind(handle);
    std::string id = handle.task_id.empty() ? handle.external_id : handle.task_id;
    if (*row && !(*row)->task_id.empty()) id = (*row)->task_id;
    const net::HttpOutcome outcome = core.fetch(endpoint->path + "/" + percent_encode(id));
    if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
    const api::Answer answer = api::decode_query(outcome.status, outcome.body);
    for (const std::string& warning : answer.warnings) core.log("warning", warning);
    if (!answer.task) return answer.error;
    return QueryResult{*answer.task, to_string({endpoint->name, answer.task->id, ""}),
                       outcome.body};
  }

  static Result<api::Json> get_json(Core& core, const std::string& target) {
    const net::HttpOutcome outcome = core.fetch(target);
    if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
    const api::Json body = api::parse_json(outcome.body);
    if (outcome.status >= 200 && outcome.status < 300 && !body.is_discarded()) return body;
    const api::Answer answer = api::decode_query(outcome.status, outcome.body);
    if (answer.refusal != api::Refusal::none) return answer.error;
    return body;
  }

  std::shared_ptr<Core> core_;
  std::map<std::string, int> sequences_;
  std::uint64_t orders_ = 0;
};

}  // namespace

Result<std::string> service_name(const EngineOptions& options) {
  if (!options.service.empty()) return options.service;
  return net::service_address(options.base_url.empty() ? kDefaultBaseUrl : options.base_url);
}

Result<std::unique_ptr<Engine>> make_engine(EngineOptions options) {
  if (options.base_url.empty()) options.base_url = kDefaultBaseUrl;
  if (!options.queue) options.queue = std::make_shared<CompletionQueue>(make_clock());
  auto service = service_name(options);
  if (!service) return service.error();
  if (options.ledger_path != ":memory:") options.confinement.ledger = options.ledger_path;
  if (!options.transport) {
    auto made = net::make_transport({.base_url = options.base_url, .insecure = options.insecure});
    if (!made) return made.error();
    options.transport = *made;
  }
  const auto transport = options.transport;
  return std::unique_ptr<Engine>(std::make_unique<EngineImpl>(
      std::make_shared<Core>(std::move(options), *service, transport)));
}

Status resolve(const EngineOptions& options, const std::string& handle, const std::string& adopt,
               bool resubmit) {
  auto parsed = parse_handle(handle);
  if (!parsed) return parsed.error();
  auto book = open_ledger(options.ledger_path);
  if (!book) return book.error();
  const std::string& id = parsed->external_id.empty() ? parsed->task_id : parsed->external_id;
  auto row = (*book)->find_by_external(id);
  if (!row) return row.error();
  if (!*row)
    return Error{.kind = Kind::invalid,
                 .message = "the ledger " + options.ledger_path + " has no job " + handle,
                 .hint = "the handle is in the message that asked for a decision"};
  const StepRow& step = **row;
  if (step.state != StepState::ambiguous)
    return Error{.kind = Kind::invalid,
                 .message = handle + " needs no decision: it is " + name(step.state),
                 .hint = "run its script again"};
  const Millis now = make_clock()->now();
  if (adopt.empty())
    return resubmit ? (*book)->resubmit(step.id, now) : (*book)->abandon(step.id, now);
  auto transport =
      net::make_transport({.base_url = options.base_url, .insecure = options.insecure});
  if (!transport) return transport.error();
  net::HttpRequest request;
  request.target = step.target + "/" + percent_encode(adopt);
  request.headers = {{"Authorization", "Bearer " + options.key}};
  const net::HttpOutcome outcome = (*transport)->send(request);
  if (outcome.stage != net::HttpOutcome::Stage::answered) return outcome.error;
  const api::Answer answer = api::decode_query(outcome.status, outcome.body);
  if (!answer.task) return answer.error;
  return (*book)->record_accepted(step.id, answer.task->id, outcome.body, now);
}

}  // namespace kling::engine
