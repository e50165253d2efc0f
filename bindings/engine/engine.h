// The engine as the Lua floor and hosts see it: make jobs, be told how far they came, work with
// their media. Everything that blocks happens on its own worker threads, started on first need.
//
// Threads: one owner's thread calls everything here; none of it blocks or touches disk, network or
// database (resolve() excepted: it says so). Completions run on the owner's thread, only inside
// CompletionQueue::drain(). Destroying returns within about 100 ms even while a name look-up hangs.
#pragma once

#include <exception>
#include <list>
#include <thread>
#include <unordered_map>

#include "api/callback.h"
#include "base/leaving.h"
#include "engine/completion_queue.h"
#include "engine/confinement.h"
#include "engine/job.h"
#include "engine/media_source.h"
#include "engine/poll_schedule.h"
#include "engine/purse.h"
#include "engine/step.h"
#include "engine/worker_pool.h"
#include "net/environment.h"

namespace kling::net {
class Transport;
struct HttpOutcome;
}  // namespace kling::net

namespace kling::engine {

inline constexpr const char* kDefaultBaseUrl = "https://api.cometapi.com";

class Engine;
struct Sending;

/// What a job waits for until its purse is released.
inline constexpr const char* kYourWord = "your word";

struct EngineOptions {
  std::string base_url;      ///< default kDefaultBaseUrl
  std::string service;       ///< the name in addresses; empty: from base_url
  std::string key;           ///< bearer key; empty: creates fail with kind auth
  std::string ledger_path;   ///< a file, or ":memory:"
  std::string store_folder;  ///< clips are kept here; empty: a folder "clips" beside the ledger
  bool store = true, insecure = false;
  bool plans = false;         ///< a clip has a path, of no file
  bool embedded = false;      ///< in a kling_host: hints name its options
  Millis patience = 180'000;  ///< ms a lost answer is searched for
  bool ask_when_lost = false;
  Millis poll_interval = 0;  ///< ms between polls; 0: the schedule
  /// Real ms of a whole exchange: a GET, and a POST with its pictures on a slow line.
  Millis get_deadline = 30'000, post_deadline = 180'000;
  Millis stall_timeout = 30'000;  ///< real ms a download may bring nothing
  Limits limits;                  ///< slots and budget of this client
  Limits most;                    ///< what the host allows all those of its purse together
  std::shared_ptr<Purse> purse = std::make_shared<Purse>();  ///< shared by copies of these options
  net::NetworkOptions network;
  double price_factor = 1;  ///< what this account is charged of the list price
  /// Where the service can reach us: each request gets a callback_url below it. Empty: none.
  std::string callback;
  std::string webhook_secret;  ///< of the callbacks' signatures; empty: they are taken unsigned
  /// Puts a file where the service can fetch it, and tells its address. Called on any thread, once
  /// for each content; without it the service's limits hold.
  std::function<void(const std::string& path, std::function<void(Result<std::string> url)>)> upload;
  /// Of a rehearsal: what a script saves goes below this folder, and is found there again.
  std::string output_folder;
  Confinement confinement;              ///< files and hosts a script may name
  std::size_t response_cap = 8u << 20;  ///< bytes of an answer
  bool strict = false;
  std::string take;         ///< of the run (--take); empty: none
  bool draft = false;       ///< requests are made as cheap as they can be (api::as_draft)
  std::string again;        ///< the name of a shot that is made anew although it is there
  std::string script_name;  ///< names asks and positions in the ledger
  std::string seed;         ///< of the script's random numbers, to be kept; empty: nothing to keep
  /// Script and take: each take has its own asks, positions, budget and seed.
  std::string run_name() const { return take.empty() ? script_name : script_name + "@" + take; }
  bool retry_failed = false;  ///< failures that the script caught and went on after are asked again
  bool ask_again = false;     ///< questions that were answered are asked again
  bool take_first = false;    ///< of a plan: nobody is asked, the first choice is taken
  bool typed = false;         ///< REPL and standard input: equal requests are new steps
  std::shared_ptr<net::Transport> transport;  ///< null: HTTP to base_url
  std::shared_ptr<CompletionQueue> queue;     ///< where completions go; engines may share one
  std::function<void(const std::string& level, const std::string& message)> log;  ///< any thread
  std::function<std::string()> get_key;  ///< asked by who has a request sent, while there is none
  /// Before and after each action of the job machine, on the worker's thread: a trace.
  std::function<void(const char* action, bool done)> on_action;
};

struct CreateRequest {
  api::Request request;  ///< normalized; `tag` of its derived media indexes `sources`
  std::vector<std::shared_ptr<MediaSource>> sources;
  std::string task_path;  ///< the task that asks
  std::string where;      ///< "film.lua:12"
  std::string name;       ///< what the script calls the shot: not sent, not part of its digest
  std::shared_ptr<Ask> ask = std::make_shared<Ask>();
  Story story;                     ///< what was raised into that task before
  bool again = false;              ///< although it failed and the script went on after that
  std::shared_ptr<void> memory;    ///< what this takes of a script's limit, for as long as it lives
  std::optional<Millis> patience;  ///< override of the engine's
  std::optional<bool> ask_when_lost;
  std::optional<Millis> poll_interval;
};

struct QueryTarget {
  std::string text;  ///< a handle or an id; or empty:
  std::string external_id;
  std::string endpoint;  ///< name or kind, where the id alone does not tell
};

struct QueryResult {
  api::Task task;
  std::string handle;
  std::string raw;  ///< the body as the service sent it
};
/// Under the names that scripts and --json have.
api::Json to_json(const QueryResult& found);
api::Json to_json(const std::vector<api::Video>& videos);

/// Work on files that takes a while, as people are told of it.
struct Work {
  std::string what;  ///< "joining film.mp4"
  double part = -1;  ///< of it that is done, 0 to 1; < 0: not known
};
std::string to_text(const Work& work);

struct Bill {
  int submitted = 0;
  int reused = 0;
  int failed = 0;
  int replayed = 0;       ///< of those: failed earlier and not sent again
  int open = 0;           ///< sent, and neither finished nor failed
  int unsent = 0;         ///< nothing of them ever left
  double usd = 0;         ///< of the submitted ones that did not fail
  double in_doubt = 0;    ///< of those whose answer is lost
  bool estimated = true;  ///< some of it is an estimate
};

/// Every job of these engines, oldest first in each.
std::vector<JobSnapshot> snapshots(const std::vector<Engine*>& engines);
Bill bill_of(const std::vector<Engine*>& engines);

using JobDone = std::function<void(Result<std::shared_ptr<Job>>)>;
using ReadJob = std::function<void(const JobView&)>;
using TextDone = std::function<void(Result<std::string>)>;

/// What is virtual is so for a double of the Lua floor's tests.
class Engine : public std::enable_shared_from_this<Engine> {
 public:
  /// Use make_engine().
  Engine(EngineOptions options, std::string service, std::shared_ptr<net::Transport> transport,
         std::shared_ptr<net::Environment> environment);
  virtual ~Engine() = default;

  const EngineOptions options;  ///< as it was made

  /// Starts a job: look at local media, check again, claim the step in the ledger, send. `prepared`
  /// gets the job once it is recorded, which is an earlier one when this means the same row; an
  /// error means that nothing was paid and the job is void.
  virtual std::shared_ptr<Job> create(CreateRequest request, JobDone prepared);
  /// The job of a handle or id, from this run or the ledger; it is polled when it is open. `ask`
  /// counts as one more for this step by its task: its time-outs are kept, too.
  virtual void find(const std::string& handle, JobDone done,
                    const std::shared_ptr<Ask>& ask = std::make_shared<Ask>());
  /// Calls `reader` at once, with the job locked: it copies what it needs, and calls nothing here.
  virtual void read(const std::shared_ptr<Job>& job, const ReadJob& reader) const;
  JobSnapshot snapshot(const std::shared_ptr<Job>& job) const;
  /// Calls `reached` once the job has come so far (in the next drain() when it has already), unless
  /// its owner has gone. A paused job that somebody waits for is resumed.
  virtual void watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch reached);
  /// A callback of the service has come: the job that it speaks of is asked about soon, once. Not
  /// when it is not signed as it should be, or no job of this engine's ledger is meant (kind auth,
  /// invalid). `done` gets the job's handle.
  virtual void notify(api::CallbackRequest request, TextDone done);
  virtual void query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done);
  /// Any other endpoint. A POST is recorded before it is sent, never repeated, and replayed from
  /// the ledger by the next run; its job has an answer() instead of a clip. `done` gets the body.
  virtual void post(const std::string& target, api::Json body, CreateRequest request,
                    JobDone prepared);
  virtual api::Json answer(const std::shared_ptr<Job>& job) const;
  virtual void get(const std::string& target, std::function<void(Result<api::Json>)> done);

  /// Makes the bytes of a picture or clip; `done` gets the local path.
  virtual void materialize(std::shared_ptr<MediaSource> source, TextDone done);
  /// The same; `done` gets what is in the file, at most 2 GiB.
  virtual void bytes(std::shared_ptr<MediaSource> source, TextDone done);
  /// Saves a picture or clip to `path` ("dir/" picks a name); `done` gets the path written.
  virtual void save(std::shared_ptr<MediaSource> source, const std::string& path, TextDone done);
  /// Joins clips and stills; the seam frame is dropped where a clip was generated from the last
  /// frame of the part before it. `written` is what media::film_options() takes. A film that is
  /// what it would become is not made again. `done` gets the path.
  virtual void concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                      api::Json written, TextDone done);
  /// Writes the same film as a timeline for editors (OpenTimelineIO).
  virtual void timeline(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                        api::Json written, TextDone done);
  /// Facts of a clip or video as JSON: duration width height fps video_codec audio_codec bytes.
  virtual void probe(std::shared_ptr<MediaSource> source,
                     std::function<void(Result<api::Json>)> done);

  /// The text of a file that the script may read.
  virtual void read(const std::string& path, TextDone done);

  /// Operations whose completion has not run yet, and jobs that are not at rest.
  virtual std::size_t pending() const;

  /// A question to a person about these media, or with the choices that it has. Recorded under what
  /// it asks: an answer of an earlier run, or of anybody from now on, is the one. `done` gets it
  /// with its answer, unless its `owner` has gone. Not an operation of pending(): it may take days.
  /// `until_known` is let go once it is known whether an earlier run got one.
  virtual void ask(Question question, std::vector<std::shared_ptr<MediaSource>> about,
                   std::weak_ptr<void> owner, AnswerDone done, std::shared_ptr<void> until_known);
  /// Those that this run has asked, answered or not.
  std::vector<Question> questions() const;
  /// A person's answer. Errors (kind invalid): no such question or choice, answered already.
  virtual void answer_question(std::int64_t question, int choice, std::function<void(Status)> done);

  /// Whether a paid request is about to be sent, or was sent and is not answered yet.
  bool is_busy() const;
  /// Every job of this run, oldest first.
  virtual std::vector<std::shared_ptr<Job>> jobs() const;
  /// Those that changed after `since` (0: all), each once, the latest change last, so many at most;
  /// moves `since` on. For any number of readers, each with a number of its own.
  virtual std::vector<std::shared_ptr<Job>> changes(std::uint64_t& since,
                                                    std::size_t most = SIZE_MAX) const;
  std::vector<Work> works() const;
  /// From now on nothing new is sent (Ctrl-C): jobs not yet sent stay recorded for the next run.
  void stop_submitting();
  void release() { call_next(); }  ///< its purse is not held any more
  /// A new run on this engine (a host reloads its script): requests pair up with the steps of the
  /// ledger as after a restart. Jobs of the run before that were not accepted end once nothing of
  /// theirs is on its way; those that the new run asks for again go on.
  void begin_run();
  /// After begin_run() of all that share a purse: the present run has asked for nothing yet.
  void forget_asks();
  /// The script came to a good end: what it does not ask for any more and was never sent goes. A
  /// failure of those that are `untold`, whose end no wait has told, is not asked again. Blocks.
  void end_run(const std::vector<std::shared_ptr<Ask>>& untold);
  std::string key() const;
  void need_key();
  /// Another key from now on. Jobs that wait for want of one go on when somebody asks.
  void set_key(const std::string& key);
  /// Other limits from now on. What the budget had stopped is sent when somebody waits for it
  /// again.
  void set_limits(const Limits& limits);

 private:
  friend class Working;
  friend Result<std::shared_ptr<Engine>> make_engine(EngineOptions options);

  // --- engine.cpp
  /// Runs `task` on a worker; `done` gets its result on the owner's thread, perhaps after this.
  template <class Done, class Task>
  void work(Lane lane, Done done, Task task);
  /// The same, once the clips behind `sources` lie in the store or failed to.
  template <class Done, class Task>
  void work_on(const std::vector<std::shared_ptr<MediaSource>>& sources, Done done, Task task);

  // --- driver.cpp: the job machine's hands
  void start(const std::shared_ptr<Job>& job);
  void resume(const std::shared_ptr<Job>& job);
  using End = std::shared_ptr<Millis>;  ///< its time, in Purse::ends while this lives
  void run(const std::shared_ptr<Job>& job, Event event, Lane lane, End end = {});
  End begin_end(Job& job, ActionType action);
  void refuse(Job& job, const Error& error);
  void wait(const std::shared_ptr<Job>& job, const Action& action);
  void run_soon(const std::shared_ptr<Job>& job, const Event& event);
  Event perform(const std::shared_ptr<Job>& job, ActionType action);

  Millis next_look(Job& job);
  void sleep(const std::shared_ptr<Job>& job, Millis delay);
  void hasten(const std::string* job_class);
  void call(const std::shared_ptr<Job>& job);
  bool may_retire(const Job& job, ActionType next) const;
  bool retire(const std::shared_ptr<Job>& job);

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
  Limits limits_now();
  bool is_next(Job& job);
  void leave_line(Job& job);
  void call_next();

  // --- records.cpp: actions on the ledger
  Event write_intent(const std::shared_ptr<Job>& job);
  Status keep(const Story& story);
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

  /// From what this thread does next, which is work of ours.
  void hear_of_delays();

  // --- exchange.cpp: actions on the service
  Event post(Job& job);
  Event look_up(Job& job);
  Event probe_look_up(const Job& job);
  std::string account(const Ledger& book) const;
  /// Whether a POST of it that may be at the service went out with another key than that of now:
  /// what this one's account does not know, that of then may.
  bool sent_for_another(const Job& job);
  std::optional<bool> is_ours(const Job& job, const api::Task& task, const std::string& date);
  bool of_another_step(const Job& job, const api::Task& task);
  Event get(Job& job);
  void learn_lookup(const Job& job, bool works);
  void tell_warnings(Job& job, const api::Answer& answer) const;
  /// GET `target`, or what is below it under `id`.
  net::HttpOutcome fetch(const std::string& target, const std::string& id = {});

  // --- preparing.cpp: from a script's request to a digest and to a body
  Status inspect(Sending& sending);
  Result<Identities> identities(const Sending& sending);
  Status build_body(Job& job, Sending& sending);
  Result<std::string> uploaded(const std::string& path);

  // --- questions.cpp: what only a person can say
  Result<Question> record_question(Question question,
                                   const std::vector<std::shared_ptr<MediaSource>>& about,
                                   const std::weak_ptr<void>& owner);
  void await_answer(const Question& question, Asker asker);
  void look_for_answers();
  bool take_answers();
  Status answer(std::int64_t id, int choice);

  // --- finding.cpp: jobs and tasks that a script names, or a callback
  Result<std::string> callback_url(std::int64_t row);
  api::Json request_of(const Job& job);
  Result<std::string> notify(const api::CallbackRequest& request);
  void hear(const std::shared_ptr<Job>& job, bool ended);
  Result<std::shared_ptr<Job>> find(const std::string& text, Ask& ask);
  /// Whose asks are kept. A host may run scripts without a name: they are replayed all the same.
  /// REQUIRES: the purse's claim_mutex is held, as long as that is used.
  Purse::Asked& asked(const Ledger& book) {
    return options.purse->asked[book.prefix() + " " + options.run_name()];
  }
  std::string asks_of() const { return options.run_name().empty() ? "*" : options.run_name(); }
  Result<QueryResult> query(const QueryTarget& wanted);
  Result<api::Json> get_json(const std::string& target);
  Result<std::optional<Step>> find_row(const Handle& handle);
  /// How a person decides about a job, and asks for it: for hints.
  std::string decision(const std::string& handle, const char* how) const;
  std::string query_of(const std::string& handle) const;

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
  api::Json told_of(const MediaSource& part, const std::vector<Step>& rows,
                    std::map<std::string, std::string>& asked);
  Status note_derived(const std::string& path, const std::string& identity);
  std::string unpaid() const;
  Result<std::string> spare(const std::string& place);
  Status clear(const std::string& place);
  Result<std::string> made_by(const std::string& place);
  void note_made(const std::string& place);
  std::string find_clip(const std::string& file);
  Result<MediaSource::Recipe> resolve(const MediaSource& source);
  Result<std::string> identify(const MediaSource& source);
  Result<std::string> digest_of(const std::string& path);
  Result<std::string> origin_or_content(const std::string& sha256);
  Result<std::string> store_folder();
  Result<std::string> store_path(const std::string& name);
  /// Where a script's file is written, and where it is found again, if the script may.
  Result<std::string> output_path(const std::string& path) const;
  Result<std::string> input_path(const std::string& path);

  // --- engine_state.cpp
  void close();
  std::shared_ptr<Job> new_job(const api::Endpoint* definition);
  Result<std::shared_ptr<Ledger>> ledger();
  void learn_from_history();
  void log(const char* level, const std::string& message) const;
  /// How much of its body is out, or of its clip has come; 1: all, or no more is moved.
  void tell_transfer(Job& job, double part);
  void publish(Job& job);
  /// REQUIRES: job.mutex is held.
  void set_active(Job& job, bool active);
  void add(const std::shared_ptr<Job>& job);
  void drop(Job& job);
  Millis now() const { return clock->now(); }

  const Birthplace home;
  std::map<std::string, int> sequences;  ///< requests of each task; owner's thread
  std::uint64_t orders = 0;              ///< likewise: jobs so far
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
  Durations durations;
  std::atomic<int> operations{0};  // whose completion has not been posted
  std::atomic<int> callbacks{0};   // that are to be looked at

  int differing = 0;  ///< steps that differ from the last run of the script

  mutable std::mutex jobs_mutex;
  std::vector<std::shared_ptr<Job>> jobs_;
  std::map<std::uint64_t, std::weak_ptr<Job>> changes_;  ///< each job by its last change
  std::uint64_t last_change = 0;
  std::unordered_map<std::int64_t, std::weak_ptr<Job>> by_row;

  /// Where a file went, by its content; nothing: on its way.
  std::mutex uploads_mutex;
  std::condition_variable uploads_changed;
  std::map<std::string, std::shared_ptr<std::optional<Result<std::string>>>> uploads;

  mutable std::mutex file_work_mutex;
  std::list<Work> file_work;

  mutable std::mutex questions_mutex;
  std::vector<Question> questions_;
  std::vector<std::pair<std::int64_t, Asker>> askers;
  std::map<std::string, AskedAgain> asked_again;  ///< digests of this run, and who waits

  std::mutex slots_mutex;
  Limits limits;
  LearntSlots learnt_slots;
  std::map<std::uint64_t, std::weak_ptr<Job>> line;  ///< waiting for a slot, by order

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
  std::map<std::string, std::string> saved_;    ///< by path, what was saved there first
  std::map<std::string, std::string> digests_;  ///< by the stamps of files
};

/// Makes an engine; checks the options (kind invalid: base URL). No I/O: ledger and network are
/// opened by the first operation, whose completion gets their errors.
Result<std::shared_ptr<Engine>> make_engine(EngineOptions options);

/// What can be seen to be wrong with them before anything is sent or opened.
Status check(const EngineOptions& options);

/// The name of the service in addresses, as make_engine() takes it from the options.
Result<std::string> service_name(const EngineOptions& options);

/// A person's decision. Blocks (ledger, one GET for adopt). `adopt` is the task id that a lost or
/// abandoned request has; otherwise a lost one is sent again (`resubmit`), or a job that is neither
/// finished nor failed is given up.
Status resolve(const EngineOptions& options, const std::string& handle, const std::string& adopt,
               bool resubmit);

}  // namespace kling::engine
