// The engine as the Lua floor and hosts see it: make jobs, be told how far they came, work with
// their media. Everything that blocks happens on its own worker threads, started on first need.
//
// Threads: one owner's thread calls everything here; none of it blocks or touches disk, network or
// database (resolve() excepted: it says so). Completions run on the owner's thread, only inside
// CompletionQueue::drain(). Destroying returns within about 100 ms even while a name look-up hangs.
#pragma once

#include "api/callback.h"
#include "engine/admission.h"
#include "engine/completion_queue.h"
#include "engine/confinement.h"
#include "engine/job.h"
#include "engine/media_source.h"
#include "engine/question.h"
#include "net/environment.h"

namespace kling::net {
class Transport;
}

namespace kling::engine {

inline constexpr const char* kDefaultBaseUrl = "https://api.cometapi.com";

class Core;

/// What a job waits for until its purse is released.
inline constexpr const char* kYourWord = "your word";

/// The engines of one process, whose spending is one, whatever ledger each has.
struct Purse {
  std::mutex mutex;
  std::vector<std::weak_ptr<Core>> engines;
  std::atomic<bool> held{false};  ///< nothing is sent until a person has agreed (release)
};

struct EngineOptions {
  std::string base_url;      ///< default kDefaultBaseUrl
  std::string service;       ///< the name in addresses; empty: from base_url
  std::string key;           ///< bearer key; empty: creates fail with kind auth
  std::string ledger_path;   ///< a file, or ":memory:"
  std::string store_folder;  ///< clips are kept here; empty: a folder "clips" beside the ledger
  bool store = true;
  bool insecure = false;
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
  /// Before and after each action of the job machine, on the worker's thread: a trace.
  std::function<void(const char* action, bool done)> on_action;
};

/// One call of an endpoint's function.
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

/// Work on files that takes a while, as people are told of it.
struct Work {
  std::string what;  ///< "joining film.mp4"
  double part = -1;  ///< of it that is done, 0 to 1; < 0: not known
};

/// What a run did, for its last line.
struct Bill {
  int submitted = 0;
  int reused = 0;
  int failed = 0;
  int replayed = 0;       ///< of those: failed earlier and not sent again
  int open = 0;           ///< neither finished nor failed
  double usd = 0;         ///< of the submitted ones that did not fail
  double in_doubt = 0;    ///< of those whose answer is lost
  bool estimated = true;  ///< some of it is an estimate
};

using JobDone = std::function<void(Result<std::shared_ptr<Job>>)>;
using TextDone = std::function<void(Result<std::string>)>;

class Engine {
 public:
  virtual ~Engine() = default;

  /// Starts a job: look at local media, check again, claim the step in the ledger, send. `prepared`
  /// gets the job once it is recorded, which is an earlier one when this means the same row; an
  /// error means that nothing was paid and the job is void.
  virtual std::shared_ptr<Job> create(CreateRequest request, JobDone prepared) = 0;
  /// The job of a handle or id, from this run or the ledger; it is polled when it is open.
  virtual void find(const std::string& handle, JobDone done) = 0;
  virtual JobSnapshot snapshot(const std::shared_ptr<Job>& job) const = 0;
  /// Calls `reached` once the job has come so far (in the next drain() when it has already), unless
  /// its `owner` has gone. A paused job that somebody waits for is resumed.
  virtual void watch(const std::shared_ptr<Job>& job, Milestone milestone,
                     std::weak_ptr<void> owner, std::function<void()> reached) = 0;
  /// A callback of the service has come: the job that it speaks of is asked about soon, once. Not
  /// when it is not signed as it should be, or no job of this engine's ledger is meant (kind auth,
  /// invalid). `done` gets the job's handle.
  virtual void notify(api::CallbackRequest request, TextDone done) = 0;
  /// One GET.
  virtual void query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done) = 0;
  /// Any other endpoint. A POST is recorded before it is sent, never repeated, and replayed from
  /// the ledger by the next run; its job has an answer() instead of a clip. `done` gets the body.
  virtual void post(const std::string& target, api::Json body, CreateRequest asked,
                    JobDone prepared) = 0;
  virtual api::Json answer(const std::shared_ptr<Job>& job) const = 0;
  virtual void get(const std::string& target, std::function<void(Result<api::Json>)> done) = 0;

  /// Makes the bytes of a picture or clip; `done` gets the local path.
  virtual void materialize(std::shared_ptr<MediaSource> source, TextDone done) = 0;
  /// The same; `done` gets what is in the file, at most 2 GiB.
  virtual void bytes(std::shared_ptr<MediaSource> source, TextDone done) = 0;
  /// Saves a picture or clip to `path` ("dir/" picks a name); `done` gets the path written.
  virtual void save(std::shared_ptr<MediaSource> source, const std::string& path,
                    TextDone done) = 0;
  /// Joins clips and stills; the seam frame is dropped where a clip was generated from the last
  /// frame of the part before it. `options` are what media::film_options() takes. A film that is
  /// what it would become is not made again. `done` gets the path.
  virtual void concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                      api::Json options, TextDone done) = 0;
  /// Writes the same film as a timeline for editors (OpenTimelineIO).
  virtual void timeline(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                        api::Json options, TextDone done) = 0;
  /// Facts of a clip or video as JSON: duration width height fps video_codec audio_codec bytes.
  virtual void probe(std::shared_ptr<MediaSource> source,
                     std::function<void(Result<api::Json>)> done) = 0;

  /// The text of a file that the script may read.
  virtual void read(const std::string& path, TextDone done) = 0;

  /// Operations whose completion has not run yet, and jobs that are not at rest.
  virtual std::size_t pending() const = 0;

  /// A question to a person about these media, or with the choices that it has. Recorded under what
  /// it asks: an answer of an earlier run, or of anybody from now on, is the one. `done` gets its
  /// number, unless its `owner` has gone. Not an operation of pending(): it may take days.
  virtual void ask(Question, std::vector<std::shared_ptr<MediaSource>> /*about*/,
                   std::weak_ptr<void> /*owner*/, std::function<void(Result<int>)> /*done*/) {}
  /// Those that this run has asked, answered or not.
  virtual std::vector<Question> questions() const { return {}; }
  /// A person's answer, to any question of the ledger. Errors (kind invalid): no such question, no
  /// such choice.
  virtual void answer_question(std::int64_t /*question*/, int /*choice*/,
                               std::function<void(Status)> /*done*/) {}

  /// Whether a paid request is about to be sent, or was sent and is not answered yet.
  virtual bool is_busy() const { return false; }
  /// Every job of this run, oldest first.
  virtual std::vector<std::shared_ptr<Job>> jobs() const = 0;
  /// Those that changed after `since` (0: all), each once, the latest change last; moves `since`
  /// on. Any number of readers, each with a number of its own: nobody need look at all jobs.
  virtual std::vector<std::shared_ptr<Job>> changes(std::uint64_t& since) const = 0;
  virtual std::vector<Work> works() const = 0;
  virtual Bill bill() const = 0;
  virtual const EngineOptions& options() const = 0;  ///< as it was made
  /// From now on nothing new is sent (Ctrl-C): jobs not yet sent stay recorded for the next run.
  virtual void stop_submitting() = 0;
  /// Its purse is not held any more.
  virtual void release() {}
  /// A new run on this engine (a host reloads its script): requests pair up with the steps of the
  /// ledger as after a restart. Jobs of the run before end once nothing of theirs is on its way;
  /// those that the new run asks for again go on.
  virtual void begin_run() {}
  /// The script came to a good end: what it does not ask for any more and was never sent is
  /// forgotten. It did without those that are `untold`, whose end no wait has told: a failure of
  /// theirs is not asked again. Blocks on the ledger.
  virtual void end_run(const std::vector<std::shared_ptr<Ask>>& /*untold*/) {}
  virtual std::string key() const = 0;
  /// Another key for the requests from now on: the jobs stay, and those that wait for want of one
  /// go on when somebody asks.
  virtual void set_key(const std::string& key) = 0;
  /// Other limits from now on. A job that was stopped by the budget is sent when somebody waits for
  /// it again.
  virtual void set_limits(const Limits& limits) = 0;
};

/// Makes an engine; checks the options (kind invalid: base URL). No I/O: ledger and network are
/// opened by the first operation, whose completion gets their errors.
Result<std::unique_ptr<Engine>> make_engine(EngineOptions options);

/// The name of the service in addresses, as make_engine() takes it from the options.
Result<std::string> service_name(const EngineOptions& options);

/// A person's decision. Blocks (ledger, one GET for adopt). `adopt` is the task id that a lost or
/// abandoned request has; otherwise a lost one is sent again (`resubmit`), or a job that is neither
/// finished nor failed is given up.
Status resolve(const EngineOptions& options, const std::string& handle, const std::string& adopt,
               bool resubmit);

}  // namespace kling::engine
