// The inside of the engine: what its files share. Not part of its interface. A Core is owned by
// its Engine and by the work under way; a Job is run by one worker at a time.
#pragma once

#include <exception>
#include <list>
#include <thread>
#include <unordered_map>

#include "base/leaving.h"
#include "base/watches.h"
#include "engine/engine.h"
#include "engine/ledger.h"
#include "engine/poll_schedule.h"
#include "engine/step.h"
#include "engine/worker_pool.h"
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

/// A step with what happens to it now: run by one worker at a time, which alone writes what
/// `mutex` guards.
class Job : public std::enable_shared_from_this<Job> {
 public:
  // Set before the job is shared.
  const api::Endpoint* definition = nullptr;  ///< null: kling.request
  Millis poll_interval = 0;
  std::string job_class;  ///< of those that take equally long
  JobPolicy policy;

  std::atomic<unsigned> run{0};      ///< the run of Core::present_run that asked for it last
  std::uint64_t order = 0;           ///< among the jobs of this engine: first in, first out
  double estimate_usd = -1;          ///< of what is to be sent; < 0: the price is not known
  double price_factor = 1;           ///< of the list price
  std::atomic<unsigned> wait{0};     ///< number of the present wait
  std::atomic<bool> asleep{false};   ///< waits: who sets it back runs the job
  bool polls = false;                ///< counted in Core::waits; for the worker that runs it
  std::unique_ptr<Sending> sending;  ///< only for the worker that runs the job; null once answered
  std::mutex file_mutex;             ///< held while the clip is fetched
  bool gone = false;                 ///< void, or of an earlier run; guarded by Core::jobs_mutex
  std::uint64_t changed = 0;         ///< its key in Core::changes; likewise

  // Guarded by `mutex`.
  mutable std::mutex mutex;
  Step step;  ///< the ledger's row; its id is 0 while nothing is recorded there
  JobState machine;
  std::string waiting_for;  ///< for people
  std::vector<api::Video> videos;
  std::optional<Error> error;        ///< why it failed, asks or paused
  std::optional<Error> store_error;  ///< why the clip could not be stored
  bool differs = false, replayed = false, reused = false, submitted = false, observed = false;
  bool background = false;  ///< followed for its slot only: nobody of this script asked for it
  Millis expected = 0;
  double progress = -1;  ///< what the service says; < 0: nothing
  double transfer = -1;  ///< of the body that goes up, the clip that comes down; < 0: neither
  Heard heard = Heard::nothing;
  bool ask_now = false;  ///< a callback told of the end while the job was busy
  bool active = false;   ///< being run, or waiting for its time; else at rest (Core::set_active)
  bool is_prepared = false;
  api::TaskState seen = api::TaskState::queued;
  Millis polled_at = 0;     ///< the last time it was not done yet; 0: not known
  bool timed = false;       ///< accepted_at is when the service took it, not when it was found
  Millis result_at = 0;     ///< when the URLs were fresh; 0: before this run
  std::string starts_from;  ///< origin of the picture it begins with, when it has one
  api::Json answer;         ///< the body of kling.request
  std::string raw;          ///< of the last answer, until it is recorded
  std::vector<Watch> watches;
};

/// Everything the workers share.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(EngineOptions options, std::string service_name, std::shared_ptr<net::Transport> transport,
       std::shared_ptr<net::Environment> environment);

  // --- driver.cpp: the job machine's hands
  void start(const std::shared_ptr<Job>& job);
  void resume(const std::shared_ptr<Job>& job);
  void watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch watch);
  void run(const std::shared_ptr<Job>& job, Event event, Lane lane);
  void refuse(Job& job, const Error& error);
  void wait(const std::shared_ptr<Job>& job, const Action& action);
  void run_soon(const std::shared_ptr<Job>& job, const Event& event);
  Event perform(const std::shared_ptr<Job>& job, ActionType action);
  Event carry_out(const std::shared_ptr<Job>& job, ActionType action);

  Millis next_look(Job& job);
  void sleep(const std::shared_ptr<Job>& job, Millis delay);
  void call(const std::shared_ptr<Job>& job);
  bool may_retire(const Job& job, ActionType next) const;
  bool retire(const std::shared_ptr<Job>& job);
  void begin_run();
  void end_run(const std::vector<std::shared_ptr<Ask>>& untold);

  /// Does what only the want of memory can prevent, and what must not be left undone.
  template <class Work>
  void insist(Work work) {
    for (;;) {
      try {
        return work();
      } catch (const std::exception&) {
        if (closing) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(10));
      }
    }
  }

  // --- slots.cpp: who may be sent next
  Limits limits_now();
  bool is_next(Job& job);
  void leave_line(Job& job);
  void call_next();
  void wait_for_slot(const std::shared_ptr<Job>& job);

  // --- records.cpp: actions on the ledger
  Event write_intent(const std::shared_ptr<Job>& job);
  bool join(const std::shared_ptr<Job>& job, const Claim& claim);
  Event revisit(Job& job);
  Event take_claim(Job& job, const Claim& claim);
  Event mark_sending(Job& job);
  Event admit_to_send(Job& job);
  Usage spent_elsewhere();
  Event record(Job& job, ActionType action);
  void load(Job& job, const Step& row);
  std::shared_ptr<Job> job_of(std::int64_t id);
  void follow_orphans();

  // --- exchange.cpp: actions on the service
  Event post(Job& job);
  Event look_up(Job& job);
  Event probe_look_up(const Job& job);
  std::optional<bool> is_ours(const Job& job, const api::Task& task, const std::string& date);
  bool of_another_step(const Job& job, const api::Task& task);
  Event get(Job& job);
  void learn_lookup(const Job& job, bool works);
  /// GET `target`, or what is below it under `id`.
  net::HttpOutcome fetch(const std::string& target, const std::string& id = {});

  // --- preparing.cpp: from a script's request to a digest and to a body
  Status inspect(Sending& sending);
  Result<Identities> identities(const Sending& sending);
  Status build_body(Job& job, Sending& sending);
  Result<std::string> uploaded(const std::string& path);

  // --- questions.cpp: what only a person can say
  struct Asker {
    std::weak_ptr<void> owner;
    std::function<void(Result<int>)> tell;
  };
  Result<Question> record_question(Question question,
                                   const std::vector<std::shared_ptr<MediaSource>>& about);
  void await_answer(const Question& question, Asker asker);
  void look_for_answers();
  bool take_answers();
  Status answer(std::int64_t id, int choice);

  // --- hearing.cpp: callbacks of the service
  Result<std::string> callback_url(std::int64_t row);
  Result<std::string> notify(const api::CallbackRequest& request);
  void hear(const std::shared_ptr<Job>& job, bool ended);

  // --- finding.cpp: jobs and tasks that a script names
  Result<std::shared_ptr<Job>> find(const std::string& text);
  Result<QueryResult> query(const QueryTarget& wanted);
  Result<api::Json> get_json(const std::string& target);
  Result<std::optional<Step>> find_row(const Handle& handle);

  // --- media_work.cpp: bytes of pictures and clips
  Event download(Job& job);
  Result<std::string> materialize(MediaSource& source);
  Result<std::string> save(MediaSource& source, const std::string& path);
  Result<std::string> concat(const std::vector<std::shared_ptr<MediaSource>>& parts,
                             const std::string& wanted, const api::Json& written);
  Result<std::string> keep(Result<std::string> film);
  Result<api::Json> probe(MediaSource& source);
  Result<std::string> fresh_url(Job& job, int video);
  Result<std::string> fetch_video(Job& job, int video, const std::string& path);
  Result<std::string> clip_file(Job& job, int video);
  Result<std::string> video_file(const MediaSource& source);
  Result<std::string> make_sheet(MediaSource& source);
  Result<std::string> timeline(const std::vector<std::shared_ptr<MediaSource>>& parts,
                               const std::string& wanted, const api::Json& written);
  struct Reel;
  Result<Reel> read_reel(const std::vector<std::shared_ptr<MediaSource>>& parts,
                         const std::string& wanted, const api::Json& written);
  api::Json told_of(const MediaSource& part, const std::vector<Step>& rows);
  Status note_derived(const std::string& path, const std::string& identity);
  std::string find_clip(const std::string& file);
  Result<MediaSource::Recipe> resolve(const MediaSource& source);
  Result<std::string> identify(const MediaSource& source);
  Result<std::string> origin_or_content(const std::string& sha256);
  Result<std::string> store_folder();
  Result<std::string> store_path(const std::string& name);
  /// Where a script's file is written, and where it is found again, if the script may.
  Result<std::string> output_path(const std::string& path) const;
  Result<std::string> input_path(const std::string& path);

  // --- core.cpp
  std::shared_ptr<Job> new_job(const api::Endpoint* definition);
  Result<std::shared_ptr<Ledger>> ledger();
  void learn_from_history();
  void log(const char* level, const std::string& message) const;
  /// How much of its body is out, or of its clip has come; 1: all, or no more is moved.
  void tell_transfer(Job& job, double part);
  void publish(Job& job);
  /// REQUIRES: job.mutex is held.
  void set_active(Job& job, bool active);
  void drop(Job& job);
  std::string key() const;
  void set_key(const std::string& key);
  Millis now() const { return clock->now(); }
  void close();

  const EngineOptions options;
  const std::string service;
  const std::shared_ptr<net::Transport> transport;
  const std::shared_ptr<net::Environment> environment;  ///< shared with the transport
  const std::shared_ptr<CompletionQueue> queue;
  const std::shared_ptr<Clock> clock;  // outlives the pool's threads
  WorkerPool pool;
  std::atomic<bool> closing{false};
  std::atomic<bool> submitting{true};
  std::atomic<unsigned> present_run{0};
  std::atomic<int> waits{0};   // jobs that wait for their next look
  std::atomic<int> active{0};  // jobs that are, but for those in the background
  std::atomic<Millis> last_end{0};
  Durations durations;
  std::atomic<int> operations{0};  // whose completion has not been posted

  // What this run has asked for (asks.h).
  std::mutex claim_mutex;
  AskCounts asked;
  std::map<std::string, std::set<int>> given, taken;  ///< ordinals by digest
  int differing = 0;  ///< steps that differ from the last run of the script

  mutable std::mutex jobs_mutex;
  std::vector<std::shared_ptr<Job>> jobs;
  std::map<std::uint64_t, std::weak_ptr<Job>> changes;  ///< each job by its last change
  std::uint64_t last_change = 0;
  std::unordered_map<std::int64_t, std::weak_ptr<Job>> by_row;

  /// Where a file went, by its content; nothing: on its way.
  std::mutex uploads_mutex;
  std::condition_variable uploads_changed;
  std::map<std::string, std::shared_ptr<std::optional<Result<std::string>>>> uploads;

  mutable std::mutex file_work_mutex;
  std::list<Work> file_work;

  mutable std::mutex questions_mutex;
  std::vector<Question> questions;
  std::vector<std::pair<std::int64_t, Asker>> askers;
  std::set<std::string> asked_again;  ///< digests: only once in a run

  std::mutex slots_mutex;
  Limits limits;
  LearntSlots learnt_slots;
  std::map<std::uint64_t, std::weak_ptr<Job>> line;  ///< waiting for a slot, by order

 private:
  mutable std::mutex key_mutex_;
  std::string key_;
  std::mutex open_mutex_;
  std::shared_ptr<Ledger> ledger_;
  std::once_flag history_read_;
  std::mutex folder_mutex_;
  std::string folder_;
  std::string temporary_folder_;
  UnsharedDescriptor temporary_lock_;  ///< of the file beside it: somebody uses it
  std::mutex origins_mutex_;
  std::map<std::string, std::string> film_origins_;
};

/// While it lives, people are told of this work.
class Working {
 public:
  Working(Core& core, std::string what) : core_(core) {
    std::lock_guard lock(core_.file_work_mutex);
    work_ = core_.file_work.insert(core_.file_work.end(), {.what = std::move(what)});
  }
  ~Working() {
    std::lock_guard lock(core_.file_work_mutex);
    core_.file_work.erase(work_);
  }
  Working(const Working&) = delete;
  Working& operator=(const Working&) = delete;
  void reached(double part) {
    std::lock_guard lock(core_.file_work_mutex);
    work_->part = part;
  }

 private:
  Core& core_;
  std::list<Work>::iterator work_;
};

// These read a job whose mutex is held.
std::string handle_of(const Job& job);
JobSnapshot snapshot_of(const Job& job);
/// The address of a video as it was last told; it may have expired. Empty: none.
std::string known_url(const Job& job, int video);
/// True when `job` has come as far as `milestone`.
bool reached(const Job& job, Milestone milestone);
/// The result column of the ledger.
std::string result_text(const Job& job);
/// Made without memory, as it may be what is missing.
Error out_of_memory(Kind kind);
/// Writes task facts (state, videos, cost) into the job.
void note_task(Job& job, const api::Task& task, Millis now);
/// REQUIRES: job.mutex is held.
void note_error(Job& job, Error error);
/// Notes the error and makes the event that tells of it.
Event failed(Job& job, EventType type, const Error& error, bool explained = true);

// Of media_work.cpp and film_work.cpp; these block on the disk.
bool is_file(const std::string& path);
Error no_such_file(const std::string& path);
/// A name for a file in the store.
std::string short_name(const std::string& identity);
/// What people call it.
std::string label_of(const MediaSource& source);
/// The file at `path` with the cuts of `source`.
media::Segment segment_of(const MediaSource& source, const std::string& path);

}  // namespace kling::engine
