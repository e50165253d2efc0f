// The tasks of a Lua state: coroutines that wait for tickets and timers and are resumed by run().
// Owner's thread only; block() and the blocking side of park() are all that blocks. Functions that
// take a lua_State may raise Lua errors (see guard.h) unless they say otherwise.
//
// Wherever Lua runs a collection may run too, and with it the finalizer of any value. So a
// finalizer only marks a task as released; records are freed by sweep(), between two turns, when no
// Lua runs that somebody waits for. Until then a Task& stays good.
#pragma once

#include <tuple>

#include "engine/engine.h"
#include "lua/guard.h"

namespace kling::lua {

class Scheduler;

/// How a task ended.
struct TaskResult {
  bool done = false;
  bool ok = false;
  std::string message;    ///< tostring of the error, script line included
  std::string where;      ///< "film.lua:14" of an Error value
  std::string traceback;  ///< through the user's own code
  Error error;            ///< of an Error value; kind script with `message` for others
  bool is_kling_error = false;
};

using TaskId = std::size_t;  // 0 is none

/// A job, by its ask, or a task that a wait waits for.
struct Awaited {
  std::shared_ptr<engine::Ask> ask;
  TaskId task = 0;
  bool ended = false;
};

/// What a wait waits for. Shared by the waiting function and the completion that ends it, either
/// of which may outlive the scheduler.
struct Ticket : std::enable_shared_from_this<Ticket> {
  explicit Ticket(std::shared_ptr<Scheduler*> home) : scheduler(std::move(home)) {}
  virtual ~Ticket() = default;
  void complete();
  /// What it waits for has come: the item of that number, where there are several.
  virtual void arrive(int) { complete(); }

  std::shared_ptr<Scheduler*> scheduler;  ///< holds null once the state is closed
  TaskId waiter = 0;
  std::uint32_t serial = 0;  ///< of the waiter's wait; an older one is over
  bool done = false;
  bool brief = false;       ///< an answer of this machine or one exchange, not a generation
  bool at_once = false;     ///< of this machine, within milliseconds: may block a host that pumps
  bool over = false;        ///< its time is up, although the clock does not say so
  Millis until = kNever;    ///< when it is to end on the story's clock
  std::uint64_t order = 0;  ///< of two waits that end at one moment the one that began first does
  std::vector<Awaited> awaited;
};

/// A job has come so far, or a person has answered. What an earlier run saw is told in the order in
/// which that saw it, each after all that followed from the one before: so nobody comes further
/// than he came then.
struct Arrival {
  Millis when = 0;                   ///< 0: now
  std::shared_ptr<engine::Ask> ask;  ///< null: of a person's answer
  std::weak_ptr<Ticket> waiting;
  std::function<void()> tell;

  bool operator<(const Arrival& other) const {  // a heap's top is least
    return when > other.when;
  }
  /// The recorded run did not see it before a wait for it was over.
  bool is_held() const { return ask && ask->raised < ask->timeouts; }
};

/// A completion for who may have stopped waiting.
inline auto wake(const std::weak_ptr<Ticket>& waiting, int item = 0) {
  return [waiting, item] {
    if (const auto ticket = waiting.lock()) ticket->arrive(item);
  };
}

struct Failure : TaskResult {
  std::shared_ptr<void> memory;  ///< what it takes of a limited state
};

struct Task {
  /// `ending`: its body is over, and Lua may still run to tell how.
  enum class Phase : std::uint8_t { unborn, ready, parked, ending, done };
  TaskId id = 0;
  lua_State* thread = nullptr;
  int reference = LUA_NOREF;  ///< keeps the thread, and after its end its results
  int arguments = 0;
  std::string path;
  std::uint32_t spawned = 0;
  std::uint32_t serial = 0;
  Phase phase = Phase::unborn;
  bool cancelled = false;
  bool brief = false;     ///< waits for a brief ticket
  bool exits = false;     ///< no code of it runs any more
  int refused = 0;        ///< waits since it was cancelled
  bool held = false;      ///< a Task value of the script, or the host, may ask for the result
  bool observed = false;  ///< somebody was told about the failure
  bool told = false;      ///< so was the host, as nobody waited: the story goes on as it was
  TaskId root = 0;        ///< the script it belongs to
  TaskId parent = 0;      ///< who began it; 0: what runs outside of tasks
  int exit_code = 0;
  const std::string* folder = nullptr;         ///< of its script, in Scheduler::folders; null: none
  std::unique_ptr<const std::string> born_at;  ///< where, when its body is a function of C
  std::shared_ptr<const std::string> label;  ///< what its shots without a name are called, or null
  std::map<std::string, int> shots;          ///< how often each name was given in it
  std::weak_ptr<Ticket> ticket;  ///< what it waits for; gone with the coroutine that waits
  engine::Story story;           ///< what was raised into it, and into its parent before it
  const engine::Raised* born_with = nullptr;        ///< where that of its parent begins
  std::vector<std::shared_ptr<engine::Ask>> asked;  ///< by it, and by those whose results it got
  std::shared_ptr<const Failure> failure;
  std::unique_ptr<TaskResult> inherited;  ///< traceback of an awaited task's error
  std::vector<Watch> watches;             ///< called once it is done
  Task* next = nullptr;                   ///< in the one TaskList that it is in
};

/// Pushes one of the values that an ended task has left on its thread. Never raises.
inline void push_left(lua_State* L, const Task& task, int index) {
  lua_pushvalue(task.thread, index);
  lua_xmove(task.thread, L, 1);
}

/// First in, first out. Adding needs no memory: who is woken or let go never fails to be.
struct TaskList {
  Task* first = nullptr;
  Task* last = nullptr;

  void push(Task& task) {
    (first == nullptr ? first : last->next) = &task;
    last = &task;
    task.next = nullptr;
  }
  Task* pop() {
    Task* task = first;
    if (task != nullptr) first = task->next;
    return task;
  }
};

class Scheduler {
 public:
  Scheduler(lua_State* main, std::shared_ptr<engine::CompletionQueue> queue);
  ~Scheduler();

  /// A task record for `path` (empty: the next child of the running task). Plain C++; may throw.
  TaskId announce(std::string path);
  /// Makes the function and `arguments` values on top of the stack the body of an announced task.
  void start(lua_State* L, TaskId task, int arguments);
  /// Nobody will ask for this task's result any more: marks it, as finalizers may. Never raises.
  void release(lua_State* L, TaskId task);
  /// Frees what was released. Does nothing while tasks run.
  void sweep();
  /// Raises `interrupted` in this and every later wait of a task that has not ended. Jobs go on.
  void cancel(TaskId task);
  /// Raises `interrupted` in the waits of every task (Ctrl-C). Jobs go on.
  void cancel_all();
  /// os.exit of a script in a host: its first task and all that came of it end here and now, which
  /// no pcall catches. Use as: return end_script(…).
  int end_script(lua_State* L, int code);

  lua_State* main() const { return main_; }
  Task* find(TaskId task) const;
  Task* running() const { return running_; }
  /// The same, or what stands for all that runs outside of tasks.
  Task& here() { return running_ != nullptr ? *running_ : outside_; }
  /// Tasks that have not ended.
  std::size_t unfinished() const { return unfinished_; }
  /// That tasks wait for each other, and where, when nothing else can end; else empty.
  std::string deadlock() const;
  /// Errors of spawned tasks that nobody waited for, since the last call.
  std::vector<TaskResult> take_unobserved();
  /// Told of each, outside of Lua, as soon as nobody waits for it or can any more. Null: nobody.
  std::function<void(const TaskResult&)> tell_lost;
  const std::shared_ptr<Scheduler*>& home() const { return home_; }
  Millis now() const { return queue_->clock().now(); }
  /// The moment `seconds` from now; at most a hundred years, at least now.
  Millis deadline(double seconds) const;
  engine::CompletionQueue& queue() { return *queue_; }
  const std::shared_ptr<engine::CompletionQueue>& shared_queue() const { return queue_; }

  /// Raises where the function cannot wait (or its task is cancelled): before anything is done.
  void check_can_wait(lua_State* L, bool at_once = false);
  /// Suspends until the ticket is done or `deadline` has passed, then goes on in `next`; outside of
  /// tasks it blocks and runs the tasks meanwhile. Use as: return park(…). `next` calls woken().
  int park(lua_State* L, Ticket& ticket, Millis deadline, lua_KFunction next, lua_KContext context);
  /// Whether the ticket is done (else the deadline passed). Raises `interrupted` when cancelled.
  bool woken(lua_State* L, Ticket& ticket);

  /// Runtime::run on behalf of `L`; nothing of Lua is entered when no task is ready. An error of
  /// the loop itself is dropped, or left on the stack when `failed` asks for it.
  bool run(lua_State* L, std::int64_t budget_us, bool* failed = nullptr);
  /// When the next timer is due on the clock; kNever: none.
  Millis next_timer() const {
    return timers_.empty() || !arrivals_.empty() ? kNever : timers_.front().due;
  }

  /// What was raised into the running task, or outside of tasks.
  engine::Story& story() { return here().story; }
  /// The same grows by an error of a job that this ask got. Raises when memory is short.
  void note_raised(lua_State* L, const std::shared_ptr<engine::Ask>& ask, Kind kind);
  /// And by one for each job that this wait, or a task it waits for, still waits for, after what
  /// such a task was told of jobs that failed.
  void note_unended(lua_State* L, const Ticket& ticket, Kind kind);
  /// And by what was raised into `task`, which came to nothing; what failed, where it goes on.
  void note_failed(lua_State* L, const Task& task);
  /// What failed and was raised here after `since` did without harm. Plain C++; may throw.
  void pass_over(const engine::Raised* since);
  /// And by what results an error keeps from who asked: an equal ask gets those.
  void note_lost(lua_State* L, const std::shared_ptr<engine::Ask>& ask);
  /// The running task has its result, unless it was another one that lost it.
  void note_got(engine::Ask& ask) {
    if (ask.lost_to == here().id) ask.lost = false;
  }
  /// And by what the running task, or `of`, has asked for, with tasks that it began, and not got.
  void note_left(lua_State* L, const engine::Ask* but = nullptr, const Task* of = nullptr);
  /// The running task, or who asks outside of tasks, makes this ask. Plain C++; may throw.
  void note_ask(const std::shared_ptr<engine::Ask>& ask);
  /// An ended task's results reach the running one; not `got`: would have. Plain C++; may throw.
  void hand_on(Task& ended, bool got = true);
  /// Asks whose wait was cut off, and who asked was not told a failure later on.
  const std::vector<std::shared_ptr<engine::Ask>>& untold() const { return untold_; }

  /// `wanted`, or "wanted-2" where the running task has a shot of that name; `takes`: now it has.
  /// Plain C++; may throw.
  std::string shot_name(const std::string& wanted, bool takes);

  /// Where modules are looked for beside scripts, and which of them (null: none) is that of what
  /// runs outside of tasks, or begins there.
  std::set<std::string> folders;
  const std::string* folder = nullptr;

  void set_host_pumps() { host_pumps_ = true; }
  void wake(TaskId task, std::uint32_t serial);
  /// While it lives, something of an earlier run is about to arrive. Plain C++; may throw.
  std::shared_ptr<void> expect();
  /// Tells it at once, or when its turn comes.
  void arrive(Arrival arrival);
  /// When this run began: what is older was seen by an earlier one.
  Millis begun() const { return begun_; }
  /// The script has come to where something of this time happened.
  void reach(Millis when) {
    if (when > 0) past_ = std::max(past_, when > begun_ ? now() : moment(when));
  }

  /// The wrapped coroutine functions (coroutine.cpp). `coroutine` is the table to change.
  void wrap_coroutines(lua_State* L);
  /// The one thread whose yield reaches us now; see coroutine.cpp.
  lua_State* passable = nullptr;

 private:
  struct Timer {
    Millis due;
    std::uint64_t order;
    TaskId task;
    std::uint32_t serial;
    bool operator<(const Timer& other) const {  // a heap's top is least
      return std::tie(due, order) > std::tie(other.due, other.order);
    }
  };
  void block(lua_State* L, Ticket& ticket, Millis deadline);
  /// Ends the running task, whose `exits` is set. Never returns.
  int leave(lua_State* L);
  void add_raised(lua_State* L, const std::shared_ptr<engine::Ask>& ask, Kind kind, int timeouts);
  void fire_timers();
  void tell_arrivals();
  bool end_held_wait(Millis before);
  /// A time that an earlier run wrote down, on the story's clock.
  Millis moment(Millis when);
  bool is_quiet() const;
  std::vector<std::shared_ptr<engine::Ask>> unended(const std::shared_ptr<const Ticket>& wait,
                                                    std::set<TaskId>* through = nullptr) const;
  static int resume_ready(lua_State* L);
  void resume(lua_State* L, Task& task);
  void finish(lua_State* L, Task& task, int status);
  static void note_place(lua_State* L, Task& task);
  static int explain(lua_State* L);
  void let_go(lua_State* L, Task& task);
  void tell_failure(Task& task);
  void free_released();
  void leave_to_parent(const Task& task);

  lua_State* const main_;
  std::shared_ptr<engine::CompletionQueue> queue_;
  std::shared_ptr<Scheduler*> home_;
  std::unordered_map<TaskId, std::unique_ptr<Task>> tasks_;
  TaskList ready_, released_;
  std::shared_ptr<const Failure> no_memory_;  ///< made before it is needed
  std::vector<Timer> timers_;
  std::vector<Arrival> arrivals_;  ///< of earlier runs, a heap
  std::vector<Arrival> held_;      ///< those whose wait is to end first
  int restless_ = 0;               ///< turns without quiet since the last of them was told
  const Millis begun_;
  /// The story's clock: what took an earlier run minutes takes as long on it when it is told again,
  /// so that waits end in the same order. And how far it is ahead of that run's.
  Millis past_ = begun_;
  std::optional<Millis> ahead_;
  std::size_t brief_ = 0;  ///< tasks that wait for a brief ticket
  /// What expect() gave; shared, as it is let go on any thread.
  std::shared_ptr<std::atomic<int>> due_ = std::make_shared<std::atomic<int>>(0);
  std::weak_ptr<Ticket> blocked_;  ///< what is waited for outside of tasks
  TaskId last_id_ = 0;
  std::uint64_t waits_ = 0;  ///< begun so far
  std::size_t unfinished_ = 0;
  std::size_t unobserved_ = 0;  ///< failures since take_unobserved()
  std::int64_t stop_at_us_ = 0;
  Task* running_ = nullptr;
  bool driving_ = false;  ///< within run()
  Task outside_{.path = "main"};
  std::vector<std::shared_ptr<engine::Ask>> untold_;
  bool host_pumps_ = false;
  bool interrupted_ = false;  ///< ends a block()
};

/// The private value that a waiting coroutine yields.
void* wait_mark();
/// True when `thread` is suspended in a wait of ours (the mark is still on its stack).
bool is_waiting(lua_State* thread);

}  // namespace kling::lua
