// What the engine's files share and its users do not see. A Job is run by one worker at a time.
#pragma once

#include "engine/engine.h"
#include "net/transport.h"

namespace kling::engine {

namespace media {
struct Segment;
}

/// What a job needs until its request was answered; dropped then.
struct Sending {
  CreateRequest request;
  api::Json other_body;  ///< of kling.request
  int sequence = 0;
  net::Body body;     ///< made just before the first POST
  bool made = false;  ///< by another worker than the one that sends it
  /// Where the body is made: uploads take time, frames ffmpeg, other things only the ledger.
  Lane lane() const {
    if (request.request.uploads && !request.request.media.empty()) return Lane::transfer;
    return request.sources.empty() ? Lane::post : Lane::media;
  }
  JobDone prepared;  ///< called once
};

/// What callbacks have told of a job. Once one came, the others will, and polls are rare; not after
/// one that told of the end too early.
enum class Heard : std::uint8_t { nothing, progress, end };

/// A step as it goes on: run by one worker at a time, which alone writes what `mutex` guards.
class Job : public std::enable_shared_from_this<Job>, public JobFacts {
 public:
  // Set before the job is shared.
  const api::Endpoint* definition = nullptr;  ///< null: kling.request
  Millis poll_interval = 0;
  const std::string* job_class = nullptr;  ///< of those that take equally long
  JobPolicy policy;

  std::atomic<unsigned> run{0};         ///< the run of Engine::present_run that asked for it last
  std::uint64_t order = 0;              ///< among the jobs of this engine: first in, first out
  double estimate_usd = -1;             ///< of what is to be sent; < 0: the price is not known
  double price_factor = 1;              ///< of the list price
  std::atomic<unsigned> wait{0};        ///< number of the present wait
  std::atomic<bool> asleep{false};      ///< waits: who sets it back runs the job
  std::atomic<bool> may_hasten{false};  ///< its wait is the schedule's
  std::atomic<Millis> wakes_at{0};
  bool polls = false;                ///< counted in Engine::waits; for the worker that runs it
  std::unique_ptr<Sending> sending;  ///< only for the worker that runs the job; null once answered
  std::mutex file_mutex;             ///< held while the clip is fetched
  bool gone = false;                 ///< void, or of an earlier run; guarded by Engine::jobs_mutex
  std::uint64_t changed = 0;         ///< its key in Engine::changes; likewise

  // Guarded by `mutex`, as are its facts.
  mutable std::mutex mutex;
  /// As far as it is needed here; the rest of the row is in the ledger. Id 0: nothing is.
  StepFacts step;
  int attempt = 1;
  Millis took = 0;
  std::string target;                              ///< empty: of its definition
  std::unique_ptr<const std::string> file_sha256;  ///< of what is in the store; null: not known
  JobState machine;
  Heard heard = Heard::nothing;
  bool ask_now = false;  ///< a callback told of the end while the job was busy
  bool active = false;   ///< being run, or waiting for its time; else at rest (Engine::set_active)
  bool is_prepared = false;
  api::TaskState seen = api::TaskState::queued;
  Millis polled_at = 0;        ///< the last time it was not done yet; 0: not known
  bool file_recorded = false;  ///< the ledger has its file as it is
  bool timed = false;          ///< accepted_at is when the service took it, not when it was found
  Millis result_at = 0;        ///< when the URLs were fresh; 0: before this run
  api::Json answer;            ///< the body of kling.request
  // Boxed: most jobs have none.
  std::unique_ptr<const std::string> starts_from;  ///< origin of the picture it begins with
  std::unique_ptr<const std::string> raw;          ///< the last answer, until it is recorded
  std::unique_ptr<const std::string> warned;       ///< what was warned of last
  std::vector<Watch> watches;
};

/// While it lives, people are told of this work.
class Working : NotCopied {
 public:
  Working(Engine& engine, std::string what) : engine_(engine) {
    std::lock_guard lock(engine_.file_work_mutex);
    work_ = engine_.file_work.insert(engine_.file_work.end(), {.what = std::move(what)});
  }
  ~Working() {
    std::lock_guard lock(engine_.file_work_mutex);
    engine_.file_work.erase(work_);
  }
  void reached(double part) {
    std::lock_guard lock(engine_.file_work_mutex);
    work_->part = part;
  }

 private:
  Engine& engine_;
  std::list<Work>::iterator work_;
};

// These read a job whose mutex is held.
inline std::string handle_of(const Job& job) { return handle_of(job.step); }
inline const std::string& target_of(const Job& job) {
  return job.target.empty() && job.definition != nullptr ? job.definition->path : job.target;
}
JobView view_of(const Job& job, Millis now);
/// The address of a video as it was last told; it may have expired. Empty: none.
std::string known_url(const Job& job, int video);
bool reached(const Job& job, Milestone milestone);
std::string result_text(const Job& job);
/// Made without memory, as it may be what is missing.
const Error& out_of_memory(Kind kind);
/// Likewise.
inline std::shared_ptr<const Error> boxed_out_of_memory(Kind kind) {
  return {std::shared_ptr<void>(), &out_of_memory(kind)};
}
void note_task(Job& job, const api::Task& task, Millis now);
/// REQUIRES: job.mutex is held.
void note_error(Job& job, Error error);
Event failed(Job& job, EventType type, const Error& error, bool explained = true);

// Of media_work.cpp and film_work.cpp; these block on the disk.
bool is_file(const std::string& path);
std::string short_name(const std::string& identity);
/// What people call it.
std::string label_of(const MediaSource& source);
media::Segment segment_of(const MediaSource& source, const std::string& path);
/// What a shot is called, as a part of a file's name; empty when nothing of it can be.
std::string as_file_name(const std::string& shot);

}  // namespace kling::engine
