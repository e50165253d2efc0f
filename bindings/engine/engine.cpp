#include <algorithm>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/files.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

constexpr std::size_t kSummaryBytes = 60;
constexpr auto npos = std::string::npos;

/// The start of a text, cut between characters.
std::string start_of(const std::string& prompt) {
  std::string text;  // in one line
  for (const unsigned char c : prompt)
    if (c > ' ')
      text += static_cast<char>(c);
    else if (!text.empty() && !text.ends_with(' '))
      text += ' ';
  if (text.ends_with(' ')) text.pop_back();
  if (text.size() <= kSummaryBytes) return text;
  std::size_t end = kSummaryBytes;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

}  // namespace

template <class Done, class Task>
void Engine::work(Lane lane, Done done, Task task) {
  using Outcome = decltype(task(*this));
  auto result = std::make_shared<Outcome>(out_of_memory(Kind::media));
  // Made now, so that a worker needs no memory to tell what has become of it.
  std::function<void()> tell = [done = std::move(done), result] { done(std::move(*result)); };
  if (Status started = pool.start(); !started) {
    *result = started.error();
    return queue->post(std::move(tell));
  }
  std::function<void()> work = [self = shared_from_this(), tell = std::move(tell),
                                result = result.get(), task = std::move(task)]() mutable {
    self->hear_of_delays();
    try {
      *result = task(*self);
    } catch (const std::exception&) {  // it says so already
    }
    // First: whoever runs the completion may ask at once whether anything is pending.
    --self->operations;
    self->insist([&] { self->queue->post(std::move(tell)); });
  };
  ++operations;
  try {
    pool.submit(lane, std::move(work));
  } catch (const std::exception&) {
    --operations;
    throw;
  }
}

template <class Done, class Task>
void Engine::work_on(const std::vector<std::shared_ptr<MediaSource>>& sources, Done done,
                     Task task) {
  std::function<void()> next = [self = shared_from_this(), done = std::move(done),
                                task = std::move(task)] { self->work(Lane::media, done, task); };
  for (const auto& source : sources)
    if (source->job && source->video == 0 && options.store && source->made().empty())
      next = [self = shared_from_this(), job = source->job, then = std::move(next)] {
        self->watch(job, Milestone::stored, {self, then});
      };
  next();
}

std::shared_ptr<Job> Engine::create(CreateRequest request, JobDone prepared) {
  need_key();
  auto job = new_job(api::find_endpoint(request.request.endpoint));
  job->step.script = request.where;
  job->step.name = request.name;
  if (const api::Json& prompt = api::member(request.request.fields, "prompt"); prompt.is_string())
    job->step.summary = start_of(prompt.get_ref<const std::string&>());
  if (request.patience) job->policy.patience = *request.patience;
  if (request.ask_when_lost) job->policy.ask = *request.ask_when_lost;
  if (request.poll_interval) job->poll_interval = *request.poll_interval;
  const api::Json body = api::wire_body(*job->definition, request.request);
  job->job_class = durations.keep(job_class(job->step.endpoint, body));
  if (const auto price = api::estimate(body))
    job->step.estimate_usd = job->estimate_usd = api::decimal(price->usd * job->price_factor);
  job->sending = std::make_unique<Sending>();
  job->sending->request = std::move(request);
  job->sending->prepared = std::move(prepared);
  start(job);
  return job;
}

void Engine::find(const std::string& handle, JobDone done, const std::shared_ptr<Ask>& ask) {
  work(Lane::light, std::move(done),
       [handle, ask](Engine& engine) { return engine.find(handle, *ask); });
}

void Engine::read(const std::shared_ptr<Job>& job, const ReadJob& reader) const {
  std::lock_guard lock(job->mutex);
  reader(view_of(*job, now()));
}

JobSnapshot Engine::snapshot(const std::shared_ptr<Job>& job) const {
  JobSnapshot shot;
  read(job, [&](const JobView& view) { shot = JobSnapshot(view); });
  return shot;
}

void Engine::notify(api::CallbackRequest request, TextDone done) {
  // Anybody can send them without end, and real work would wait behind them. They are only hints.
  constexpr int kMostCallbacks = 1'000;
  if (++callbacks > kMostCallbacks) {
    --callbacks;
    return queue->post([done = std::move(done)] {
      done(Error{.message = "too many callbacks at once: this one is not looked at"});
    });
  }
  work(Lane::light, std::move(done), [request = std::move(request)](Engine& engine) {
    --engine.callbacks;
    return engine.notify(request);
  });
}

void Engine::query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done) {
  need_key();
  work(Lane::light, std::move(done), [target](Engine& engine) { return engine.query(target); });
}

void Engine::get(const std::string& target, std::function<void(Result<api::Json>)> done) {
  need_key();
  work(Lane::light, std::move(done), [target](Engine& engine) -> Result<api::Json> {
    if (Status path = net::check_path(target); !path) return path.error();
    return engine.get_json(target);
  });
}

void Engine::post(const std::string& target, api::Json body, CreateRequest request,
                  JobDone prepared) {
  if (Status path = net::check_path(target); !path)
    return queue->post([prepared, path] { prepared(path.error()); });
  need_key();
  auto job = new_job(nullptr);
  job->target = target;
  job->step.script = request.where;
  job->step.summary = "POST " + target;
  job->sending = std::make_unique<Sending>();
  job->sending->other_body = std::move(body);
  job->sending->request = std::move(request);
  job->sending->prepared = std::move(prepared);
  start(job);
}

api::Json Engine::answer(const std::shared_ptr<Job>& job) const {
  std::lock_guard lock(job->mutex);
  return job->answer;
}

void Engine::materialize(std::shared_ptr<MediaSource> source, TextDone done) {
  work_on({source}, std::move(done),
          [source](Engine& engine) { return engine.materialize(*source); });
}

void Engine::bytes(std::shared_ptr<MediaSource> source, TextDone done) {
  work_on({source}, std::move(done), [source](Engine& engine) {
    const auto path = engine.materialize(*source);
    return path ? read_file(*path, std::uint64_t(2) << 30) : path;
  });
}

void Engine::save(std::shared_ptr<MediaSource> source, const std::string& path, TextDone done) {
  work_on({source}, std::move(done),
          [source, path](Engine& engine) { return engine.save(*source, path); });
}

void Engine::concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                    api::Json written, TextDone done) {
  work_on(parts, std::move(done), [parts, out, written](Engine& engine) {
    return engine.keep(engine.concat(parts, out, written));
  });
}

void Engine::timeline(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                      api::Json written, TextDone done) {
  work_on(parts, std::move(done),
          [parts, out, written](Engine& engine) { return engine.timeline(parts, out, written); });
}

void Engine::probe(std::shared_ptr<MediaSource> source,
                   std::function<void(Result<api::Json>)> done) {
  work_on({source}, std::move(done), [source](Engine& engine) { return engine.probe(*source); });
}

void Engine::ask(Question question, std::vector<std::shared_ptr<MediaSource>> about,
                 std::weak_ptr<void> owner, AnswerDone done, std::shared_ptr<void> until_known) {
  AnswerDone recorded = [self = shared_from_this(), owner, done,
                         until_known](Result<Question> row) {
    row ? self->await_answer(*row, {owner, done}) : done(std::move(row.error()));
  };
  work_on(about, std::move(recorded), [question, about, owner](Engine& engine) {
    return engine.record_question(question, about, owner);
  });
}

std::vector<Question> Engine::questions() const {
  std::lock_guard lock(questions_mutex);
  std::vector<Question> open = questions_;
  std::erase_if(open, [this](const Question& one) {  // whoever asked was cancelled
    return one.answer == 0 && std::ranges::none_of(askers, [&](const auto& other) {
             return other.first == one.id && !other.second.owner.expired();
           });
  });
  return open;
}

void Engine::answer_question(std::int64_t question, int choice, std::function<void(Status)> done) {
  work(Lane::light, std::move(done),
       [question, choice](Engine& engine) { return engine.answer(question, choice); });
}

void Engine::read(const std::string& path, TextDone done) {
  constexpr std::uint64_t kMost = 16u << 20;
  work(Lane::light, std::move(done), [path](Engine& engine) {
    auto file = engine.input_path(path);
    return file ? read_file(*file, kMost) : file;
  });
}

std::size_t Engine::pending() const { return static_cast<std::size_t>(operations + active); }

bool Engine::is_busy() const {
  return std::ranges::any_of(jobs(), [](const auto& job) {
    std::lock_guard lock(job->mutex);
    return job->active && job->machine.phase < Phase::accepted && job->waiting_for.empty();
  });
}

std::vector<std::shared_ptr<Job>> Engine::jobs() const {
  std::lock_guard lock(jobs_mutex);
  return jobs_;
}

std::vector<std::shared_ptr<Job>> Engine::changes(std::uint64_t& since, std::size_t most) const {
  std::vector<std::shared_ptr<Job>> changed;
  std::lock_guard lock(jobs_mutex);
  for (auto at = changes_.upper_bound(since); at != changes_.end() && changed.size() < most; ++at) {
    since = at->first;
    if (auto job = at->second.lock()) changed.push_back(std::move(job));
  }
  return changed;
}

std::string to_text(const Work& work) {
  return work.what + (work.part >= 0 ? printed(" %.0f %%", work.part * 100) : "");
}

std::vector<Work> Engine::works() const {
  std::lock_guard lock(file_work_mutex);
  return {file_work.begin(), file_work.end()};
}

std::vector<JobSnapshot> snapshots(const std::vector<Engine*>& engines) {
  std::vector<JobSnapshot> all;
  for (const Engine* engine : engines)
    for (const auto& job : engine->jobs()) all.push_back(engine->snapshot(job));
  return all;
}

Bill bill_of(const std::vector<Engine*>& engines) {
  Bill bill;
  bill.estimated = engines.empty();
  for (const JobSnapshot& shot : snapshots(engines)) {
    if (shot.background) continue;
    const bool failed = shot.phase == Phase::failed;
    if (shot.submitted) ++bill.submitted;
    if (shot.reused) ++bill.reused;
    if (failed) ++bill.failed;
    if (failed && shot.replayed) ++bill.replayed;
    if (!failed && shot.phase != Phase::stored && shot.phase != Phase::succeeded)
      ++(shot.unsent() ? bill.unsent : bill.open);
    if (shot.phase == Phase::looking_up || shot.phase == Phase::ambiguous)
      bill.in_doubt = api::decimal(bill.in_doubt + shot.cost());
    if (!shot.submitted || failed) continue;
    bill.usd = api::decimal(bill.usd + shot.cost());
    if (!shot.cost_usd) bill.estimated = true;
  }
  return bill;
}

void Engine::stop_submitting() {
  submitting = false;
  call_next();
}

void Engine::set_limits(const Limits& wanted) {
  {
    std::lock_guard lock(slots_mutex);
    limits = wanted;
  }
  call_next();
}

Result<std::string> service_name(const EngineOptions& options) {
  if (!options.service.empty()) return options.service;
  return net::service_address(options.base_url.empty() ? kDefaultBaseUrl : options.base_url);
}

Status check(const EngineOptions& options) {
  if (const auto service = service_name(options); !service) return service.error();
  if (!options.transport && !options.base_url.empty())
    if (Status good = net::check_base_url(options.base_url, options.insecure); !good) return good;
  if (net::has_controls(options.network.user_agent))
    return Error{.message = "user_agent: there is a control character in it"};
  net::Environment network(options.network);
  const auto proxy = network.proxy_for({true, "a.public.host", 443});
  if (!proxy && !options.network.proxy.empty()) return proxy.error();
  if (!options.network.ca_file.empty())
    if (const auto trusted = network.tls(); !trusted) return trusted.error();
  if (Status good = api::check_webhook_secret(options.webhook_secret); !good) return good;
  const auto url = net::parse_url(options.callback);
  const bool secure = url && (url->origin.tls || options.insecure ||
                              net::reach_of_host(url->origin.host) != net::kPublic);
  if (!options.callback.empty() && (!secure || options.callback.find_first_of("?#") != npos))
    return Error{.message =
                     "callback must be an https address without blanks, \"?\" and \"#\" "
                     "(http on your own network only), not " +
                     api::shown(options.callback)};
  for (const std::string& host : options.confinement.hosts)
    if (!net::parse_url("http://" + host) || host.find_first_of("/?#") != npos)
      return Error{.message = "hosts: " + api::shown(host) + " is no host or host:port"};
  const auto key = api::bare_key(options.key, "the settings");
  return key ? Status(Done{}) : key.error();
}

Result<std::shared_ptr<Engine>> make_engine(EngineOptions options) {
  if (options.base_url.empty()) options.base_url = kDefaultBaseUrl;
  if (Status good = check(options); !good) return good.error();
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
  auto engine =
      std::make_shared<Engine>(std::move(options), *service, transport, std::move(environment));
  engine->pool.set_interrupt([weak = std::weak_ptr(engine)] {
    const auto living = weak.lock();
    if (!living) return;
    living->closing = true;
    living->transport->stop();
  });
  {
    std::lock_guard lock(purse->mutex);
    std::erase_if(purse->engines, [](const auto& other) { return other.expired(); });
    purse->engines.push_back(engine);
  }
  // Work under way keeps it, too; whoever drops this one ends it.
  return std::shared_ptr<Engine>(engine.get(), [kept = engine](Engine* ended) {
    if (ended->home.is_here())
      ended->close();
    else  // a forked child has none of the threads that this takes
      new (std::nothrow) std::shared_ptr<Engine>(kept);
  });
}

}  // namespace kling::engine
