#include <algorithm>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/files.h"
#include "engine/core.h"

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
  explicit EngineImpl(std::shared_ptr<Core> core) : core_(std::move(core)) {
    core_->pool.set_interrupt([weak = std::weak_ptr(core_)] {
      const auto living = weak.lock();
      if (!living) return;
      living->closing = true;
      living->transport->stop();
    });
  }
  ~EngineImpl() override {
    if (home_.is_here())
      core_->close();
    else  // a forked child has none of the threads that this takes
      new (std::nothrow) std::shared_ptr<Core>(std::move(core_));
  }

  std::shared_ptr<Job> create(CreateRequest request, JobDone prepared) override {
    auto job = core_->new_job(api::find_endpoint(request.request.endpoint));
    job->step.script = request.where;
    job->step.name = request.name;
    if (const api::Json& prompt = api::member(request.request.fields, "prompt"); prompt.is_string())
      job->step.summary = start_of(prompt.get_ref<const std::string&>());
    if (request.patience) job->policy.patience = *request.patience;
    if (request.ask_when_lost) job->policy.ask = *request.ask_when_lost;
    if (request.poll_interval) job->poll_interval = *request.poll_interval;
    const api::Json body = api::wire_body(*job->definition, request.request);
    job->job_class = job_class(job->step.endpoint, body);
    if (const auto price = api::estimate(*job->definition, body))
      job->step.estimate_usd = job->estimate_usd = api::decimal(price->usd * job->price_factor);
    job->sending = std::make_unique<Sending>();
    job->sending->request = std::move(request);
    job->sending->prepared = std::move(prepared);
    start(job);
    return job;
  }

  void find(const std::string& handle, JobDone done) override {
    work(core_, Lane::light, std::move(done), [handle](Core& core) { return core.find(handle); });
  }

  JobSnapshot snapshot(const std::shared_ptr<Job>& job) const override {
    std::lock_guard lock(job->mutex);
    JobSnapshot shot = snapshot_of(*job);
    if (shot.phase == Phase::accepted && shot.progress < 0 && shot.expected > 0) {
      const auto past = static_cast<double>(core_->now() - shot.accepted_at);
      const double part = past / static_cast<double>(shot.expected);
      shot.progress = std::floor(100 * std::clamp(part, 0.0, 0.99)) / 100;
    }
    return shot;
  }

  void watch(const std::shared_ptr<Job>& job, Milestone milestone, std::weak_ptr<void> owner,
             std::function<void()> reached_it) override {
    core_->watch(job, milestone, {std::move(owner), std::move(reached_it)});
  }

  void notify(api::CallbackRequest request, TextDone done) override {
    work(core_, Lane::light, std::move(done),
         [request = std::move(request)](Core& core) { return core.notify(request); });
  }

  void query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done) override {
    work(core_, Lane::light, std::move(done), [target](Core& core) { return core.query(target); });
  }

  void get(const std::string& target, std::function<void(Result<api::Json>)> done) override {
    work(core_, Lane::light, std::move(done), [target](Core& core) -> Result<api::Json> {
      if (Status path = net::check_path(target); !path) return path.error();
      return core.get_json(target);
    });
  }

  void post(const std::string& target, api::Json body, CreateRequest asked,
            JobDone prepared) override {
    if (Status path = net::check_path(target); !path)
      return core_->queue->post([prepared, path] { prepared(path.error()); });
    auto job = core_->new_job(nullptr);
    job->step.target = target;
    job->step.script = asked.where;
    job->step.summary = "POST " + target;
    job->sending = std::make_unique<Sending>();
    job->sending->other_body = std::move(body);
    job->sending->request = std::move(asked);
    job->sending->prepared = std::move(prepared);
    start(job);
  }

  api::Json answer(const std::shared_ptr<Job>& job) const override {
    std::lock_guard lock(job->mutex);
    return job->answer;
  }

  void materialize(std::shared_ptr<MediaSource> source, TextDone done) override {
    work_on({source}, std::move(done), [source](Core& core) { return core.materialize(*source); });
  }

  void bytes(std::shared_ptr<MediaSource> source, TextDone done) override {
    work_on({source}, std::move(done), [source](Core& core) {
      const auto path = core.materialize(*source);
      return path ? read_file(*path, std::uint64_t(2) << 30) : path;
    });
  }

  void save(std::shared_ptr<MediaSource> source, const std::string& path, TextDone done) override {
    work_on({source}, std::move(done),
            [source, path](Core& core) { return core.save(*source, path); });
  }

  void concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
              api::Json options, TextDone done) override {
    work_on(parts, std::move(done), [parts, out, options](Core& core) {
      return core.keep(core.concat(parts, out, options));
    });
  }

  void timeline(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                api::Json options, TextDone done) override {
    work_on(parts, std::move(done),
            [parts, out, options](Core& core) { return core.timeline(parts, out, options); });
  }

  void probe(std::shared_ptr<MediaSource> source,
             std::function<void(Result<api::Json>)> done) override {
    work_on({source}, std::move(done), [source](Core& core) { return core.probe(*source); });
  }

  void ask(Question question, std::vector<std::shared_ptr<MediaSource>> about,
           std::weak_ptr<void> owner, std::function<void(Result<int>)> done) override {
    std::function<void(Result<Question>)> recorded = [core = core_, owner,
                                                      done](Result<Question> row) {
      row ? core->await_answer(*row, {owner, done}) : done(std::move(row.error()));
    };
    work_on(about, std::move(recorded),
            [question, about](Core& core) { return core.record_question(question, about); });
  }

  std::vector<Question> questions() const override {
    std::lock_guard lock(core_->questions_mutex);
    return core_->questions;
  }

  void answer_question(std::int64_t question, int choice,
                       std::function<void(Status)> done) override {
    work(core_, Lane::light, std::move(done),
         [question, choice](Core& core) { return core.answer(question, choice); });
  }

  void read(const std::string& path, TextDone done) override {
    constexpr std::uint64_t kMost = 16u << 20;
    work(core_, Lane::light, std::move(done), [path](Core& core) {
      auto file = core.input_path(path);
      return file ? read_file(*file, kMost) : file;
    });
  }

  std::size_t pending() const override {
    return static_cast<std::size_t>(core_->operations + core_->active);
  }

  bool is_busy() const override {
    return std::ranges::any_of(jobs(), [](const auto& job) {
      std::lock_guard lock(job->mutex);
      return job->active && job->machine.phase < Phase::accepted && job->waiting_for.empty();
    });
  }

  std::vector<std::shared_ptr<Job>> jobs() const override {
    std::lock_guard lock(core_->jobs_mutex);
    return core_->jobs;
  }

  std::vector<std::shared_ptr<Job>> changes(std::uint64_t& since) const override {
    std::vector<std::shared_ptr<Job>> changed;
    std::lock_guard lock(core_->jobs_mutex);
    for (auto at = core_->changes.upper_bound(since); at != core_->changes.end(); ++at)
      if (auto job = at->second.lock()) changed.push_back(std::move(job));
    since = core_->last_change;
    return changed;
  }

  std::vector<Work> works() const override {
    std::lock_guard lock(core_->file_work_mutex);
    return {core_->file_work.begin(), core_->file_work.end()};
  }

  Bill bill() const override {
    Bill bill;
    bill.estimated = false;
    for (const auto& job : jobs()) {
      if (job->background) continue;
      const JobSnapshot shot = snapshot(job);
      if (shot.submitted) ++bill.submitted;
      if (shot.reused) ++bill.reused;
      if (shot.phase == Phase::failed) ++bill.failed;
      if (shot.phase == Phase::failed && shot.replayed) ++bill.replayed;
      if (shot.phase != Phase::failed && shot.phase != Phase::stored &&
          shot.phase != Phase::succeeded)
        ++bill.open;
      if (shot.phase == Phase::looking_up || shot.phase == Phase::ambiguous)
        bill.in_doubt = api::decimal(bill.in_doubt + shot.cost_usd);
      if (!shot.submitted || shot.phase == Phase::failed) continue;
      bill.usd = api::decimal(bill.usd + shot.cost_usd);
      if (!shot.cost_is_real) bill.estimated = true;
    }
    return bill;
  }

  const EngineOptions& options() const override { return core_->options; }
  void stop_submitting() override {
    core_->submitting = false;
    core_->call_next();
  }
  void release() override { core_->call_next(); }
  void begin_run() override { core_->begin_run(); }
  void end_run(const std::vector<std::shared_ptr<Ask>>& untold) override { core_->end_run(untold); }
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
  void start(const std::shared_ptr<Job>& job) {
    job->order = ++orders_;
    job->sending->sequence = sequences_[job->sending->request.task_path]++;
    core_->start(job);
  }

  /// Runs `task` on a worker and hands its result to `done` on the owner's thread, where it may be
  /// run after this engine has gone.
  template <class Done, class Task>
  static void work(const std::shared_ptr<Core>& owner, Lane lane, Done done, Task task) {
    using Outcome = decltype(task(*owner));
    auto result = std::make_shared<Outcome>(out_of_memory(Kind::media));
    // Made now, so that a worker needs no memory to tell what has become of it.
    std::function<void()> tell = [done = std::move(done), result] { done(std::move(*result)); };
    if (Status started = owner->pool.start(); !started) {
      *result = started.error();
      return owner->queue->post(std::move(tell));
    }
    std::function<void()> work = [core = owner, tell = std::move(tell), result = result.get(),
                                  task = std::move(task)]() mutable {
      try {
        *result = task(*core);
      } catch (const std::exception&) {  // it says so already
      }
      // First: whoever runs the completion may ask at once whether anything is pending.
      --core->operations;
      core->insist([&] { core->queue->post(std::move(tell)); });
    };
    ++owner->operations;
    try {
      owner->pool.submit(lane, std::move(work));
    } catch (const std::exception&) {
      --owner->operations;
      throw;
    }
  }

  /// The same, once the clips behind `sources` lie in the store or failed to.
  template <class Done, class Task>
  void work_on(const std::vector<std::shared_ptr<MediaSource>>& sources, Done done, Task task) {
    std::function<void()> next = [core = core_, done = std::move(done), task = std::move(task)] {
      work(core, Lane::media, done, task);
    };
    for (const auto& source : sources)
      if (source->job && source->video == 0 && core_->options.store && source->made().empty())
        next = [core = core_, job = source->job, then = std::move(next)] {
          core->watch(job, Milestone::stored, {core, then});
        };
    next();
  }

  const Birthplace home_;
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
  if (!options.callback.empty() && !api::is_url(options.callback))
    return Error{.message = "callback is no http address: " + api::excerpt(options.callback, 80),
                 .hint = "write where the service reaches your server: \"https://…\""};
  if (auto key = api::bare_key(options.key, "the settings"); !key) return key.error();
  if (!options.queue) options.queue = std::make_shared<CompletionQueue>(make_clock());
  auto service = service_name(options);
  if (!service) return service.error();
  if (options.ledger_path != ":memory:") options.confinement.ledger = options.ledger_path;
  auto environment = std::make_shared<net::Environment>(options.network);
  if (!options.transport) {
    auto made = net::make_transport(
        {.base_url = options.base_url, .insecure = options.insecure, .environment = environment});
    if (!made) return made.error();
    options.transport = *made;
  }
  const auto transport = options.transport;
  const auto purse = options.purse;
  auto core =
      std::make_shared<Core>(std::move(options), *service, transport, std::move(environment));
  {
    std::lock_guard lock(purse->mutex);
    std::erase_if(purse->engines, [](const auto& engine) { return engine.expired(); });
    purse->engines.push_back(core);
  }
  return std::unique_ptr<Engine>(std::make_unique<EngineImpl>(std::move(core)));
}

}  // namespace kling::engine
