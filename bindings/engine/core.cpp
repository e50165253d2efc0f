#include "engine/core.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "base/digest.h"
#include "base/files.h"
#include "engine/step.h"

namespace kling::engine {
namespace {

// A longer time between two looks (an outage, a sleep) tells nothing about how long a job took.
constexpr Millis kLongestGap = 700'000;
constexpr int kHistory = 500;  // steps to learn from

}  // namespace

Core::Core(EngineOptions chosen, std::string service_name, std::shared_ptr<net::Transport> http)
    : options(std::move(chosen)),
      service(std::move(service_name)),
      transport(std::move(http)),
      queue(options.queue),
      // The clock lives as long as its queue, and the queue as long as this.
      clock(std::shared_ptr<Clock>(queue, &queue->clock())),
      pool(clock),
      limits(options.limits),
      key_(options.key) {}

std::string Core::key() const {
  std::lock_guard lock(key_mutex_);
  return key_;
}

void Core::set_key(const std::string& key) {
  std::lock_guard lock(key_mutex_);
  key_ = key;
}

void Core::log(const char* level, const std::string& message) const {
  if (options.log) options.log(level, message);
}

Result<std::shared_ptr<Ledger>> Core::ledger() {
  std::lock_guard lock(open_mutex_);
  if (!ledger_) {
    auto opened = open_ledger(options.ledger_path.empty() ? ":memory:" : options.ledger_path);
    if (!opened) return opened.error();
    ledger_ = *opened;
  }
  return ledger_;
}

/// What earlier runs saw. Once; blocks on the ledger.
void Core::learn_from_history() {
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

Result<std::string> Core::store_folder() {
  std::lock_guard lock(folder_mutex_);
  if (!folder_.empty()) return folder_;
  std::string folder = options.store_folder;
  if (folder.empty() && !options.ledger_path.empty() && options.ledger_path != ":memory:")
    folder = (std::filesystem::path(options.ledger_path).parent_path() / "clips").string();
  if (folder.empty()) {
    std::error_code error;
    folder = (std::filesystem::temp_directory_path(error) / ("kling-" + random_hex(8))).string();
    temporary_folder_ = folder;
  }
  if (Status made = make_folders(folder); !made.ok()) return made.error();
  folder_ = folder;
  return folder_;
}

void Core::close() {
  {
    std::lock_guard lock(claim_mutex);
    closing = true;
    turn_ended.notify_all();
  }
  transport->stop();
  pool.stop();
  std::lock_guard lock(folder_mutex_);
  std::error_code error;
  if (!temporary_folder_.empty()) std::filesystem::remove_all(temporary_folder_, error);
}

void Core::publish(Job& job) {
  std::vector<std::function<void()>> due;
  Done0 prepared;
  Status outcome = Done{};
  {
    std::lock_guard lock(job.mutex);
    for (Watch& watch : job.watches)
      if (reached(job, static_cast<Milestone>(watch.milestone)))
        due.push_back(std::move(watch.tell));
    std::erase_if(job.watches, [](const Watch& watch) { return watch.tell == nullptr; });
    if (job.sending && job.sending->prepared && reached(job, Milestone::prepared)) {
      prepared = std::exchange(job.sending->prepared, nullptr);
      if (!job.is_prepared && job.error) outcome = *job.error;
    }
    // The request's bytes and pictures are not needed any more once it was answered for good.
    const Phase phase = job.state.phase;
    if (phase == Phase::accepted || phase == Phase::succeeded || phase == Phase::stored ||
        phase == Phase::failed)
      job.sending.reset();
  }
  if (!outcome.ok()) {  // void: the script is told, and nobody else needs to know of it
    std::lock_guard lock(jobs_mutex);
    std::erase_if(jobs, [&job](const auto& other) { return other.get() == &job; });
  }
  if (prepared) queue->post([prepared = std::move(prepared), outcome] { prepared(outcome); });
  for (auto& watch : due) queue->post(std::move(watch));
}

void Core::watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch watch) {
  bool stopped = false;
  {
    std::lock_guard lock(job->mutex);
    if (milestone == Milestone::finished) job->observed = true;
    // What stopped may go on when somebody asks: the network may be back, the disk free again.
    const Phase phase = job->state.phase;
    stopped = !job->active &&
              (phase == Phase::paused ||
               (phase == Phase::succeeded && options.store && milestone == Milestone::stored));
    if (!stopped && reached(*job, milestone)) return queue->post(std::move(watch.tell));
    watch.milestone = static_cast<int>(milestone);
    add_watch(job->watches, std::move(watch));
  }
  if (stopped) resume(job);
}

std::string Job::handle() const {
  return to_string(Handle{endpoint_name, task_id, task_id.empty() ? external_id : ""});
}

bool reached(const Job& job, Milestone milestone) {
  const Phase phase = job.state.phase;
  const bool ended = phase == Phase::failed || phase == Phase::ambiguous || phase == Phase::paused;
  switch (milestone) {
    case Milestone::prepared:
      return job.is_prepared || ended || !job.active;
    case Milestone::accepted:
      return phase == Phase::accepted || phase == Phase::succeeded || phase == Phase::stored ||
             ended;
    case Milestone::finished:
      return phase == Phase::succeeded || phase == Phase::stored || ended;
    case Milestone::stored:
      return phase == Phase::stored || ended || (phase == Phase::succeeded && !job.active);
  }
  return true;
}

std::string script_state(const Job& job) {
  switch (job.state.phase) {
    case Phase::fresh:
      return "preparing";
    case Phase::intended:
    case Phase::sending:
    case Phase::looking_up:
    case Phase::foreign:
      return "sending";
    case Phase::accepted:
      return job.seen == api::TaskState::running ? "running" : "queued";
    case Phase::succeeded:
    case Phase::stored:
      return "succeeded";
    case Phase::failed:
      return "failed";
    case Phase::ambiguous:
      return "ambiguous";
    case Phase::paused:
      return "paused";
  }
  return "preparing";
}

std::string result_text(const Job& job) {
  if (job.endpoint == nullptr)
    return api::Json{{"body", job.answer}}.dump(-1, ' ', false,
                                                api::Json::error_handler_t::replace);
  api::Json videos = api::Json::array();
  for (const api::Video& video : job.videos)
    videos.push_back({{"id", video.id}, {"url", video.url}, {"duration", video.duration}});
  return api::Json{{"videos", videos}}.dump(-1, ' ', false, api::Json::error_handler_t::replace);
}

void note_task(Job& job, const api::Task& task, Millis now) {
  std::lock_guard lock(job.mutex);
  job.seen = task.state;
  if (job.task_id.empty()) job.task_id = task.id;
  if (job.accepted_at == 0) job.accepted_at = now;
  if (task.state != api::TaskState::succeeded) {
    job.polled_at = now;
  } else if (job.timed && job.polled_at != 0 && now - job.polled_at < kLongestGap) {
    // It was done at some time between two looks.
    job.took = (job.polled_at + now) / 2 - job.accepted_at;
  }
  if (task.state == api::TaskState::succeeded && !task.videos.empty()) {
    job.videos = task.videos;
    job.result_at = now;
  }
  if (task.cost_usd) {
    job.cost_usd = *task.cost_usd;
    job.cost_is_real = true;
  }
}

void note_error(Job& job, Error error) {
  if (error.job.empty() && !(job.task_id.empty() && job.external_id.empty()))
    error.job = job.handle();
  job.error = std::make_unique<Error>(std::move(error));
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const unsigned char c : text) {
    if (std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == '~') {
      encoded += static_cast<char>(c);
    } else {
      encoded += {'%', kDigits[c >> 4], kDigits[c & 15]};
    }
  }
  return encoded;
}

}  // namespace kling::engine
