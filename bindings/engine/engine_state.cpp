#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/digest.h"
#include "base/files.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

// The clips of a ledger in memory, and a file beside them that is locked while they are used.
constexpr const char* kTemporary = "kling-clips-";
constexpr const char* kLock = ".lock";

void remove_folder(const std::string& folder) {
  std::error_code error;
  std::filesystem::remove_all(folder, error);
  std::filesystem::remove(folder + kLock, error);
}

/// Removes the folders of processes that have died.
void sweep(const std::filesystem::path& all) {
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(all, error)) {
    std::string path = entry.path().string();
    if (!entry.path().filename().string().starts_with(kTemporary) || !path.ends_with(kLock))
      continue;
    const auto lock = try_lock(path);
    path.resize(path.size() - std::strlen(kLock));
    if (lock && *lock) remove_folder(path);
  }
}

// A longer time between two looks (an outage, a sleep) tells nothing about how long a job took.
constexpr Millis kLongestGap = 700'000;
constexpr int kHistory = 500;  // steps to learn from

/// What cannot be a key stays as it is: its request is refused with a reason.
std::string plain_key(const std::string& pasted) {
  const auto key = api::bare_key(pasted, "the settings");
  return key ? *key : pasted;
}

}  // namespace

Engine::Engine(EngineOptions chosen, std::string service_name, std::shared_ptr<net::Transport> http,
               std::shared_ptr<net::Environment> around)
    : options(std::move(chosen)),
      service(std::move(service_name)),
      transport(std::move(http)),
      environment(std::move(around)),
      queue(options.queue),
      // The clock lives as long as its queue, and the queue as long as this.
      clock(std::shared_ptr<Clock>(queue, &queue->clock())),
      pool(clock),
      limits(options.limits),
      key_(plain_key(options.key)) {}

std::string Engine::key() const {
  std::lock_guard lock(key_mutex_);
  return key_;
}

void Engine::need_key() {
  if (options.get_key && key().empty()) set_key(options.get_key());
}

void Engine::set_key(const std::string& key) {
  std::lock_guard lock(key_mutex_);
  key_ = plain_key(key);
}

void Engine::log(const char* level, const std::string& message) const {
  if (options.log) options.log(level, message);
}

Result<std::shared_ptr<Ledger>> Engine::ledger() {
  std::lock_guard lock(open_mutex_);
  if (!ledger_) {
    auto opened = open_ledger(options.ledger_path.empty() ? ":memory:" : options.ledger_path);
    if (!opened) return opened.error();
    // Other random numbers would be other requests, all to be paid.
    if (!options.seed.empty()) {
      const auto kept = (*opened)->seed(options.run_name(), options.seed);
      if (!kept) return kept.error();
      if (*kept != options.seed)
        return Error{.kind = Kind::ledger,
                     .message = "the ledger could not be read when the script began",
                     .hint = "run the script again"};
    }
    ledger_ = *opened;
  }
  return ledger_;
}

/// What earlier runs saw. Once; blocks on the ledger.
void Engine::learn_from_history() {
  std::call_once(history_read_, [this] {
    auto book = ledger();
    if (!book) return;
    auto rows = (*book)->list(kHistory);
    if (!rows) return;
    for (auto row = rows->rbegin(); row != rows->rend(); ++row)
      if (row->took > 0 && row->service == service)
        durations.learn(job_class(row->endpoint, api::parse_json(row->request)), row->took);
  });
}

Result<std::string> Engine::store_folder() {
  std::lock_guard lock(folder_mutex_);
  if (!folder_.empty()) return folder_;
  std::string folder = options.store_folder;
  if (folder.empty() && !options.ledger_path.empty() && options.ledger_path != ":memory:")
    folder = (std::filesystem::path(options.ledger_path).parent_path() / "clips").string();
  if (folder.empty()) {
    std::error_code error;
    const auto all = std::filesystem::temp_directory_path(error);
    sweep(all);
    folder = temporary_folder_ = (all / (kTemporary + random_hex(8))).string();
    if (auto held = try_lock(folder + kLock)) temporary_lock_ = std::move(*held);
  }
  std::error_code code;
  folder = std::filesystem::absolute(folder, code).lexically_normal().string();
  if (Status made = make_folders(folder); !made.ok()) return made.error();
  folder_ = folder;
  return folder_;
}

void Engine::close() {
  closing = true;
  transport->stop();
  pool.stop();
  std::vector<Watch> dropped;  // one may hold this engine, so they are destroyed unlocked
  {
    std::lock_guard lock(jobs_mutex);
    for (const auto& job : jobs_) {
      std::lock_guard job_lock(job->mutex);
      std::move(job->watches.begin(), job->watches.end(), std::back_inserter(dropped));
      job->watches.clear();
    }
  }
  std::lock_guard lock(folder_mutex_);
  if (temporary_folder_.empty()) return;
  try {  // it may take seconds, for which nobody waits; what is left the next start sweeps
    std::thread([folder = temporary_folder_, used = temporary_lock_] {
      remove_folder(folder);
    }).detach();
  } catch (const std::exception&) {
  }
}

/// Null: of kling.request, whose answer is its result.
std::shared_ptr<Job> Engine::new_job(const api::Endpoint* definition) {
  auto job = std::make_shared<Job>();
  job->definition = definition;
  job->job_class = durations.keep("");
  job->step.endpoint = definition == nullptr ? "request" : definition->name;
  job->step.created_at = now();
  job->run = present_run.load();
  job->price_factor = options.price_factor;
  job->poll_interval = options.poll_interval;
  job->policy = {.patience = options.patience,
                 .ask = options.ask_when_lost,
                 .poll = definition != nullptr,
                 .store = definition != nullptr && options.store};
  return job;
}

/// May be called again when it threw: what was told is gone from the lists.
void Engine::tell_transfer(Job& job, double part) {
  {
    std::lock_guard lock(job.mutex);
    const double percent = part < 1 ? std::floor(part * 100) / 100 : -1;
    if (std::exchange(job.transfer, percent) == percent) return;
  }
  insist([&] { publish(job); });
}

void Engine::publish(Job& job) {
  Result<std::shared_ptr<Job>> outcome = job.shared_from_this();
  {
    std::lock_guard lock(job.mutex);
    if (job.sending && job.sending->prepared && reached(job, Milestone::prepared) &&
        !job.is_prepared && job.error)
      outcome = *job.error;
  }
  {
    std::lock_guard lock(jobs_mutex);
    if (!outcome) drop(job);  // void: the script is told, and nobody else needs to know of it
    auto entry = changes_.extract(job.changed);
    if (entry && !job.gone) {  // moved, which takes no memory
      entry.key() = job.changed = ++last_change;
      changes_.insert(changes_.end(), std::move(entry));
    } else if (!job.gone) {
      changes_.emplace(last_change + 1, job.weak_from_this());
      job.changed = ++last_change;
    }
  }
  std::lock_guard lock(job.mutex);
  if (job.sending && job.sending->prepared && reached(job, Milestone::prepared)) {
    queue->post([prepared = job.sending->prepared, outcome] { prepared(outcome); });
    job.sending->prepared = nullptr;
  }
  for (Watch& watch : job.watches)
    if (watch.tell && reached(job, static_cast<Milestone>(watch.milestone)))
      queue->post(std::move(watch.tell));
  std::erase_if(job.watches, [](const Watch& watch) { return watch.tell == nullptr; });
  // The request's bytes and pictures are not needed any more once it was answered for good.
  if (job.machine.phase >= Phase::accepted && job.machine.phase <= Phase::failed)
    job.sending.reset();
}

void Engine::add(const std::shared_ptr<Job>& job) {
  std::lock_guard lock(jobs_mutex);
  jobs_.push_back(job);
  set_active(*job, true);
  if (job->step.id != 0) by_row.insert_or_assign(job->step.id, job);
}

void Engine::set_active(Job& job, bool now_active) {
  if (!job.background) active += int(now_active) - int(job.active);
  job.active = now_active;
}

/// REQUIRES: jobs_mutex is held.
void Engine::drop(Job& job) {
  job.gone = true;
  changes_.erase(job.changed);
  std::erase_if(jobs_, [&job](const auto& other) { return other.get() == &job; });
}

void Engine::watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch watch) {
  bool stopped = false;
  {
    std::lock_guard lock(job->mutex);
    if (milestone == Milestone::finished) job->observed = true;
    // What stopped may go on when somebody asks: the network may be back, the disk free again.
    const Phase phase = job->machine.phase;
    stopped = !job->active &&
              (phase == Phase::paused ||
               (phase == Phase::succeeded && options.store && milestone == Milestone::stored));
    if (!stopped && reached(*job, milestone)) return queue->post(std::move(watch.tell));
    watch.milestone = static_cast<int>(milestone);
    add_watch(job->watches, std::move(watch));
  }
  if (stopped) resume(job);
}

bool reached(const Job& job, Milestone milestone) {
  const Phase phase = job.machine.phase;
  // It is being looked for once more: what becomes of that is not known yet.
  const bool open = phase == Phase::ambiguous && job.active;
  switch (milestone) {
    case Milestone::prepared: return job.is_prepared || phase >= Phase::failed || !job.active;
    case Milestone::accepted: return phase >= Phase::accepted && !open;
    case Milestone::finished: return phase >= Phase::succeeded && !open;
    case Milestone::stored:
      return (phase >= Phase::stored && !open) || (phase == Phase::succeeded && !job.active);
  }
  return true;
}

JobView view_of(const Job& job, Millis now) {
  static constexpr const char* kStates[] = {"preparing", "sending",   "sending",   "sending",
                                            "sending",   "queued",    "succeeded", "succeeded",
                                            "failed",    "ambiguous", "paused"};  // of the phases
  const Phase phase = job.machine.phase;
  JobView view{job.step,     job, phase, kStates[static_cast<std::size_t>(phase)],
               job.progress, {},  {}};
  if (phase == Phase::succeeded || phase == Phase::stored) view.progress = 1;
  if (phase == Phase::accepted && job.seen != api::TaskState::queued) view.state = "running";
  if (phase == Phase::accepted && view.progress < 0 && job.expected > 0) {
    const auto past = static_cast<double>(now - job.step.accepted_at);
    const double part = past / static_cast<double>(job.expected);
    view.progress = std::floor(100 * std::clamp(part, 0.0, 0.99)) / 100;
  }
  if (phase >= Phase::failed) view.error = job.error;
  if (phase == Phase::succeeded && !job.active) view.store_error = job.store_error;
  return view;
}

std::string known_url(const Job& job, int video) {
  const auto index = static_cast<std::size_t>(video);
  return index < job.videos.size() ? job.videos[index].url : "";
}

std::string result_text(const Job& job) {
  if (job.definition == nullptr) return api::to_text(api::Json{{"body", job.answer}});
  api::Json videos = api::Json::array();
  for (const api::Video& video : job.videos)
    videos.push_back({{"id", video.id}, {"url", video.url}, {"duration", video.duration}});
  return api::to_text(api::Json{{"videos", videos}});
}

const Error& out_of_memory(Kind kind) {
  using Errors = std::array<Error, std::size_t(Kind::script) + 1>;
  alignas(Errors) static std::byte place[sizeof(Errors)];
  static const Errors& kErrors = *[] {  // never destroyed: workers may outlive main
    auto* errors = new (place) Errors;
    for (std::size_t i = 0; i < errors->size(); ++i)
      (*errors)[i] = {.kind = Kind(i), .message = "out of memory"};
    return errors;
  }();
  return kErrors[std::size_t(kind)];
}

void note_task(Job& job, const api::Task& task, Millis now) {
  std::lock_guard lock(job.mutex);
  // No state goes backwards, whatever a service says of a task that was running.
  if (task.state != api::TaskState::queued) job.seen = task.state;
  if (job.step.task_id.empty()) job.step.task_id = task.id;
  if (job.step.accepted_at == 0) job.step.accepted_at = now;
  if (task.progress >= 0) job.progress = task.progress;
  if (task.state != api::TaskState::succeeded) {
    job.polled_at = now;
  } else if (job.timed && job.polled_at != 0 && now - job.polled_at < kLongestGap) {
    // It was done at some time between two looks.
    job.took = (job.polled_at + now) / 2 - job.step.accepted_at;
  }
  if (task.state == api::TaskState::succeeded && !task.videos.empty()) {
    job.videos = task.videos;
    job.result_at = now;
  }
  if (task.cost_usd)
    job.step.cost_usd = api::decimal(*task.cost_usd * (task.cost_is_listed ? job.price_factor : 1));
}

void note_error(Job& job, Error error) {
  if (error.job.empty() && !(job.step.task_id.empty() && job.step.external_id.empty()))
    error.job = handle_of(job);
  job.error = std::make_shared<const Error>(std::move(error));
}

Event failed(Job& job, EventType type, const Error& error, bool explained) {
  std::lock_guard lock(job.mutex);
  note_error(job, error);
  return {.type = type, .retryable = error.retryable, .explained = explained};
}

}  // namespace kling::engine
