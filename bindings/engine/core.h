// The inside of the engine: what its files share. Not part of its interface. A Core is owned by
// its Engine and by the work under way; a Job is run by one worker at a time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/watches.h"
#include "engine/engine.h"
#include "engine/ledger.h"
#include "engine/poll_schedule.h"
#include "engine/step.h"
#include "engine/worker_pool.h"
#include "net/transport.h"

namespace kling::engine {

/// What a job needs until its request was answered; dropped then.
struct Sending {
  CreateRequest request;
  api::Json other_body;  ///< of kling.request
  int sequence = 0;
  net::Body body;  ///< made just before the first POST
  Done0 prepared;  ///< called once
};

class Job : public std::enable_shared_from_this<Job> {
 public:
  // Set before the job is shared.
  const api::Endpoint* endpoint = nullptr;  ///< null: kling.request
  std::string endpoint_name;
  std::string target;
  std::string where;
  std::string summary;
  Millis created_at = 0;
  Millis poll_interval = 0;
  std::string job_class;  ///< of those that take equally long
  JobPolicy policy;

  unsigned run = 0;                 ///< the run of Core::present_run that made it
  std::uint64_t order = 0;          ///< among the jobs of this engine: first in, first out
  double estimate_usd = -1;         ///< < 0: the price is not known
  int open_when_sent = 0;           ///< other jobs at the service then; for the worker that runs it
  std::atomic<unsigned> wait{0};    ///< number of the present wait for a slot
  std::atomic<bool> queued{false};  ///< waits for a slot: who sets it back runs the job
  std::unique_ptr<Sending> sending;  ///< only for the worker that runs the job; null once answered
  std::mutex file_mutex;             ///< held while the clip is fetched

  // Guarded by `mutex`; written by the worker that runs the job.
  mutable std::mutex mutex;
  JobState state;
  bool active = true;  ///< being run, or waiting for its time; else at rest
  bool is_prepared = false;
  bool reused = false;
  bool differs = false;
  bool submitted = false;
  bool observed = false;  ///< somebody waits or waited for its end
  bool cost_is_real = false;
  api::TaskState seen = api::TaskState::queued;
  std::int64_t step = 0;  ///< the ledger's row; 0: not recorded there
  double cost_usd = 0;
  Millis accepted_at = 0;
  Millis finished_at = 0;
  Millis polled_at = 0;  ///< the last time it was not done yet; 0: not known
  Millis expected = 0;   ///< how long jobs like this take
  bool timed = false;    ///< accepted_at is when the service took it, not when it was found
  Millis took = 0;       ///< from accepted to done, when this process saw it
  Millis result_at = 0;  ///< when the URLs were fresh; 0: before this run
  std::string address;
  std::string external_id;
  std::string task_id;
  std::string starts_from;  ///< origin of the picture it begins with, when it has one
  std::string path;         ///< of the stored clip
  std::string file_sha256;
  std::vector<api::Video> videos;
  api::Json answer;  ///< the body of kling.request
  std::string waiting_for;
  std::string raw;  ///< of the last answer, until it is recorded
  std::unique_ptr<Error> error;
  std::unique_ptr<Error> store_error;
  std::vector<Watch> watches;

  std::string handle() const;  ///< REQUIRES: mutex is held
};

/// Everything the workers share.
class Core : public std::enable_shared_from_this<Core> {
 public:
  Core(EngineOptions options, std::string service_name, std::shared_ptr<net::Transport> transport);

  // --- driver.cpp: the job machine's hands
  void start(const std::shared_ptr<Job>& job);
  void resume(const std::shared_ptr<Job>& job);
  void watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch watch);
  void run(const std::shared_ptr<Job>& job, Event event, Lane lane);
  Event perform(const std::shared_ptr<Job>& job, ActionType action);
  Event carry_out(const std::shared_ptr<Job>& job, ActionType action);

  Millis next_look(Job& job);
  bool may_retire(const Job& job, ActionType next) const;
  void retire(const std::shared_ptr<Job>& job);
  void begin_run();
  bool runs_elsewhere(const Job& job);

  // --- slots.cpp: who may be sent next
  Limits limits_now();
  bool is_next(Job& job);
  void leave_line(Job& job);
  void call_next();
  void wait_for_slot(const std::shared_ptr<Job>& job);

  // --- records.cpp: actions on the ledger
  Event write_intent(Job& job);
  Event claim_step(Job& job);
  void end_turn(const Sending& sending);
  Event revisit(Job& job);
  Event take_claim(Job& job, const Claim& claim);
  Event mark_sending(Job& job);
  Event admit_to_send(Job& job);
  Event record(Job& job, ActionType action);
  void load(Job& job, const StepRow& row);

  // --- exchange.cpp: actions on the service
  Event post(Job& job);
  Event look_up(Job& job);
  Event probe_look_up(Job& job);
  Event get(Job& job);
  net::HttpOutcome fetch(const std::string& target);

  // --- preparing.cpp: from a script's request to a digest and to a body
  Status inspect(Sending& sending);
  Result<Identities> identities(const Sending& sending);
  Status build_body(Job& job, Sending& sending);

  // --- media_work.cpp: bytes of pictures and clips
  Event download(Job& job);
  Result<std::string> materialize(MediaSource& source);
  Result<std::string> save(MediaSource& source, const std::string& path);
  Result<std::string> concat(const std::vector<std::shared_ptr<MediaSource>>& parts,
                             const std::string& wanted, const std::string& audio);
  Result<std::string> fresh_url(Job& job, int video);
  Result<std::string> fetch_video(Job& job, int video, const std::string& path);
  Result<std::string> clip_file(Job& job, int video);
  Result<std::string> identify(const MediaSource& source);
  Result<std::string> origin_or_content(const std::string& sha256);
  Result<std::string> store_folder();
  /// Where a script's file is written, and where it is found again, if the script may.
  Result<std::string> output_path(const std::string& path) const;
  Result<std::string> input_path(const std::string& path);

  // --- core.cpp
  Result<std::shared_ptr<Ledger>> ledger();
  void learn_from_history();
  void log(const char* level, const std::string& message) const;
  void publish(Job& job);
  std::string key() const;
  void set_key(const std::string& key);
  Millis now() const { return clock->now(); }
  void close();

  const EngineOptions options;
  const std::string service;
  const std::shared_ptr<net::Transport> transport;
  const std::shared_ptr<CompletionQueue> queue;
  const std::shared_ptr<Clock> clock;  // outlives the pool's threads
  WorkerPool pool;
  std::atomic<bool> closing{false};
  std::atomic<bool> submitting{true};
  std::atomic<unsigned> present_run{0};
  std::atomic<int> waits{0};  // jobs that wait for their next look
  Durations durations;
  std::atomic<int> operations{0};  // whose completion has not been posted

  // What this run has claimed: equal requests pair up by task and count (design 3.2).
  struct Asked {
    int count = 0;
    std::int64_t last_step = 0;
    std::weak_ptr<Job> last_job;
  };
  struct Turn {
    int next = 0;         ///< the sequence that may claim now
    std::set<int> ended;  ///< later ones that gave up before their turn
  };
  std::mutex claim_mutex;
  std::condition_variable turn_ended;
  std::map<std::string, Turn> turns;  ///< by task: requests claim in the order they were made
  std::set<std::int64_t> mine;
  int differing = 0;  ///< steps that differ from the last run of the script
  std::map<std::pair<std::string, std::string>, Asked> asked;

  mutable std::mutex jobs_mutex;
  std::vector<std::shared_ptr<Job>> jobs;

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
  std::mutex origins_mutex_;
  std::map<std::string, std::string> film_origins_;
};

/// The state name that scripts see.
std::string script_state(const Job& job);
/// True when `job` has come as far as `milestone`. REQUIRES: job.mutex is held.
bool reached(const Job& job, Milestone milestone);
/// The result column of the ledger, and back.
std::string result_text(const Job& job);
/// Writes task facts (state, videos, cost) into the job.
void note_task(Job& job, const api::Task& task, Millis now);
void note_error(Job& job, Error error);
std::string percent_encode(std::string_view text);

}  // namespace kling::engine
