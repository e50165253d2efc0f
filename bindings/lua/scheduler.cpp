#include <algorithm>

#include "base/digest.h"
#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

/// Stock lua5.4 tells of Ctrl-C by a hook on the main thread only: a blocked wait looks this often.
constexpr Millis kSliceMs = 100;
constexpr std::size_t kMostPath = 400;
/// Of one run(): a host that sets no limit gives the largest number there is.
constexpr std::int64_t kLongestTurnUs = 3'600'000'000;
/// Failures that nobody waited for are told up to here: their texts are kept.
constexpr std::size_t kMostUnobserved = 1000;
/// A cancelled task that catches each error and waits again is ended after that many waits, as is
/// one that yields so often instead.
constexpr int kMostRefused = 1000;
/// Of tasks that are never quiet: then the next of an earlier run's results comes all the same.
constexpr int kMostRestless = 1000;

/// Marks that run() runs.
struct Turn : NotCopied {
  explicit Turn(bool& flag) : driving(flag) { driving = true; }
  ~Turn() { driving = false; }
  bool& driving;
};

bool in_finalizer(lua_State* L) { return lua_gc(L, LUA_GCISRUNNING) < 0; }

}  // namespace

void* wait_mark() {
  static char mark;
  return &mark;
}

bool is_waiting(lua_State* thread) {
  return lua_status(thread) == LUA_YIELD && lua_gettop(thread) > 0 &&
         lua_islightuserdata(thread, -1) && lua_touserdata(thread, -1) == wait_mark();
}

void Ticket::complete() {
  done = true;
  if (waiter != 0 && *scheduler != nullptr) (*scheduler)->wake(waiter, serial);
}

Scheduler::Scheduler(lua_State* main, std::shared_ptr<engine::CompletionQueue> queue)
    : main_(main),
      queue_(std::move(queue)),
      home_(std::make_shared<Scheduler*>(this)),
      begun_(queue_->clock().now()) {
  Failure no_memory;
  no_memory.done = true;
  no_memory.error.kind = Kind::script;
  const Meter* meter = meter_of(main);
  no_memory.message = no_memory.error.message =
      "not enough memory" +
      (meter == nullptr
           ? ""
           : ": the limit is " + std::to_string(meter->limits.memory_bytes) + " bytes");
  no_memory_ = std::make_shared<const Failure>(std::move(no_memory));
}

Scheduler::~Scheduler() { *home_ = nullptr; }

TaskId Scheduler::announce(std::string path) {
  auto task = std::make_unique<Task>();
  Task& parent = here();
  if (path.empty()) {
    // Begun by a __close on the way out; or by a loop that is to end, and would pay at each turn.
    task->exits = parent.exits;
    task->cancelled = parent.cancelled;
    path = parent.path + "/" + std::to_string(++parent.spawned);
    // Of tasks within tasks without end: each would be longer than the one before.
    if (path.size() > kMostPath) path = sha256_hex(path);
  }
  task->path = std::move(path);
  task->story = story();
  task->born_with = task->story.get();
  task->label = parent.label;
  task->folder = running_ != nullptr ? running_->folder : folder;
  task->id = ++last_id_;
  task->root = parent.root != 0 ? parent.root : last_id_;
  task->parent = parent.id;
  task->held = true;
  tasks_.emplace(last_id_, std::move(task));
  return last_id_;
}

void Scheduler::start(lua_State* L, TaskId id, int arguments) {
  Task& task = *find(id);
  lua_State* thread = lua_newthread(L);
  task.reference = luaL_ref(L, LUA_REGISTRYINDEX);
  task.thread = thread;
  if (!lua_checkstack(thread, arguments + 1)) luaL_error(L, "too many arguments");
  lua_xmove(L, thread, arguments + 1);
  task.arguments = arguments;
  task.phase = Task::Phase::ready;
  ready_.push(task);
  ++unfinished_;
  if (running_ == nullptr) queue_->wake_fd_at(0);
}

std::string Scheduler::shot_name(const std::string& wanted, bool takes) {
  auto& shots = here().shots;
  int count = shots.contains(wanted) ? shots[wanted] + 1 : 1;
  std::string name = wanted;
  while (count > 1 && shots.contains(name = wanted + "-" + std::to_string(count))) ++count;
  if (takes) shots[wanted] = count, shots.try_emplace(name, 1);
  return name;
}

Task* Scheduler::find(TaskId id) const {
  const auto found = tasks_.find(id);
  return found == tasks_.end() ? nullptr : found->second.get();
}

void Scheduler::release(lua_State* L, TaskId id) {
  Task* task = find(id);
  if (task == nullptr || !task->held) return;
  task->held = false;
  if (task->phase == Task::Phase::done || task->phase == Task::Phase::unborn) let_go(L, *task);
}

/// REQUIRES: the task is over, or never began, and nobody holds it. Its thread is the collector's.
void Scheduler::let_go(lua_State* L, Task& task) {
  luaL_unref(L, LUA_REGISTRYINDEX, task.reference);
  task.reference = LUA_NOREF;
  task.thread = nullptr;
  released_.push(task);
}

void Scheduler::sweep() {
  if (!driving_ && running_ == nullptr) free_released();
}

void Scheduler::free_released() {
  while (Task* task = released_.pop()) {
    const bool lost = task->failure != nullptr && !task->observed && !task->told;
    if (lost && !tell_lost) continue;  // take_unobserved() needs its record
    if (lost) tell_failure(*task);
    leave_to_parent(*task);
    tasks_.erase(task->id);
  }
}

void Scheduler::cancel(TaskId id) {
  Task* task = find(id);
  if (task == nullptr || task->phase == Task::Phase::done) return;
  task->cancelled = true;
  wake(id, task->serial);
  if (running_ == nullptr) queue_->wake_fd_at(0);
}

int Scheduler::end_script(lua_State* L, int code) {
  if (running_ == nullptr) return luaL_error(L, "os.exit: no script runs here");
  for (auto& [id, task] : tasks_) {
    // In a __close on its thread, which an error ends, it is about to.
    const bool ends = task->phase < Task::Phase::ending || L == task->thread;
    if (task->root != running_->root || !ends) continue;
    task->exits = true;
    task->exit_code = code;
    wake(id, task->serial);
  }
  return leave(L);
}

int Scheduler::leave(lua_State* L) {
  if (L == passable && lua_isyieldable(L)) {
    lua_pushlightuserdata(L, wait_mark());
    return lua_yield(L, 1);
  }
  // In a __tostring that its failure is told with: the thread is not its own.
  if (running_->phase == Task::Phase::ending) return luaL_error(L, "os.exit");
  // In table.sort and such: nothing on this thread goes on after the error.
  const lua_Hook stop = [](lua_State* thread, lua_Debug*) { luaL_error(thread, "os.exit"); };
  for (lua_State* thread : {L, running_->thread}) lua_sethook(thread, stop, LUA_MASKCOUNT, 1);
  return luaL_error(L, "os.exit");
}

void Scheduler::cancel_all() {
  for (const auto& [id, task] : tasks_) cancel(id);
  interrupted_ = true;
}

std::vector<TaskResult> Scheduler::take_unobserved() {
  if (driving_) return {};
  sweep();
  std::vector<TaskId> told;
  for (auto& [id, task] : tasks_)
    if (task->failure != nullptr && !task->observed && !task->told) told.push_back(id);
  std::ranges::sort(told);
  unobserved_ = 0;
  std::vector<TaskResult> results;
  for (const TaskId id : told) {
    Task& task = *find(id);
    results.push_back(*task.failure);
    task.observed = true;
    if (!task.held) tasks_.erase(id);
  }
  return results;
}

// ---- Waiting ----

Millis Scheduler::deadline(double seconds) const {
  const double most = 3.2e9;
  return now() + static_cast<Millis>((seconds > 0 ? std::min(seconds, most) : 0.0) * 1000);
}

void Scheduler::check_can_wait(lua_State* L, bool at_once) {
  if (in_finalizer(L)) luaL_error(L, "kling cannot be used in a finalizer");
  if (running_ == nullptr && !driving_) {  // else it is a hook that was called by run()
    if (host_pumps_ && !at_once)
      raise_message(L, "this host may not be blocked: start it with kling.spawn");
    return;
  }
  if (running_ != nullptr && running_->cancelled) {
    if (++running_->refused > kMostRefused) {
      running_->exits = true;
      leave(L);
    }
    raise_message(L, "the wait was cancelled", "", Kind::interrupted);
  }
  if (L == passable && lua_isyieldable(L)) return;
  raise_message(L,
                "kling cannot wait here (inside table.sort, string.gsub, __tostring, a message "
                "handler, require or a coroutine that another library runs)",
                "Wait before, and use the result here.");
}

int Scheduler::park(lua_State* L, Ticket& ticket, Millis deadline, lua_KFunction next,
                    lua_KContext context) {
  // Where all garbage has finalizers, as waits have, Lua's collector falls behind.
  if (++waits_ % 256 == 0 && lua_gc(L, LUA_GCISRUNNING) > 0) lua_gc(L, LUA_GCSTEP, 64);
  check_can_wait(L, ticket.at_once);
  ticket.order = waits_;
  if (deadline != kNever) ticket.until = past_ + deadline - now();
  if (running_ == nullptr) return block(L, ticket, deadline), next(L, LUA_OK, context);
  if (ticket.done) return next(L, LUA_OK, context);
  Task& task = *running_;
  ++task.serial;
  const auto add_timer = [&] {
    // Waits that ended early leave their timers behind; they go when they are the most.
    if (timers_.size() > 2 * unfinished_ + 64) {
      std::erase_if(timers_, [&](const Timer& timer) {
        const Task* owner = find(timer.task);
        return owner == nullptr || owner->serial != timer.serial;
      });
      std::make_heap(timers_.begin(), timers_.end());
    }
    timers_.push_back({deadline, ticket.order, task.id, task.serial});
    std::push_heap(timers_.begin(), timers_.end());
  };
  if (deadline != kNever) pure(L, add_timer);
  // From here on nothing raises: a task that is parked does yield.
  task.phase = Task::Phase::parked;
  task.brief = ticket.brief;
  if (task.brief) ++brief_;
  ticket.waiter = task.id;
  ticket.serial = task.serial;
  task.ticket = ticket.weak_from_this();
  lua_pushlightuserdata(L, wait_mark());
  return lua_yieldk(L, 1, context, next);
}

bool Scheduler::woken(lua_State* L, Ticket& ticket) {
  if (running_ != nullptr && running_->cancelled) {
    note_unended(L, ticket, Kind::interrupted);
    raise_message(L, "the wait was cancelled", "", Kind::interrupted);
  }
  if (!ticket.done && ticket.until != kNever) past_ = std::max(past_, ticket.until);
  return ticket.done;
}

void Scheduler::block(lua_State* L, Ticket& ticket, Millis deadline) {
  const lua_Hook hook = lua_gethook(main_);
  interrupted_ = false;
  pure(L, [&] { blocked_ = ticket.weak_from_this(); });
  while (!ticket.done && !ticket.over && now() < deadline) {
    bool failed = false, more = false, stuck = deadline == kNever && !ticket.awaited.empty();
    pure(L, [&] { more = run(L, kSliceMs * 1000, &failed); });
    if (failed) lua_error(L);  // Ctrl-C's hook fired while tasks ran
    if (ticket.done || ticket.over) break;
    if (lua_gethook(main_) != hook || interrupted_)
      raise_message(L, "interrupted!", "", Kind::interrupted);
    if (more) continue;
    pure(L, [&] { stuck = stuck && unended(blocked_.lock()).empty() && !deadlock().empty(); });
    if (stuck)
      raise_new(L, [this](Error& e) { e = {.kind = Kind::script, .message = deadlock()}; });
    const Millis per_second = std::max<Millis>(1, queue_->clock().real_millis_until(now() + 1000));
    const Millis slice = now() + std::max<Millis>(1, kSliceMs * 1000 / per_second);
    queue_->wait(std::min({deadline, next_timer(), slice}));
  }
  blocked_.reset();
}

void Scheduler::wake(TaskId id, std::uint32_t serial) {
  Task* task = find(id);
  if (task == nullptr || task->phase != Task::Phase::parked || task->serial != serial) return;
  task->phase = Task::Phase::ready;
  ready_.push(*task);
}

void Scheduler::arrive(Arrival arrival) {
  const bool is_new = arrival.when == 0 || arrival.when > begun_;
  // Of an older row, it may not overtake what the earlier run saw before.
  if (is_new && !arrival.is_held() && !(arrival.ask && arrival.ask->known)) return arrival.tell();
  auto& list = arrival.is_held() ? held_ : arrivals_;
  if (&list == &arrivals_ && arrival.when == 0) arrival.when = now();
  list.push_back(std::move(arrival));
  if (&list == &arrivals_) std::push_heap(list.begin(), list.end());
}

std::shared_ptr<void> Scheduler::expect() {
  ++*due_;
  return {nullptr, [due = due_](void*) { --*due; }};
}

bool Scheduler::is_quiet() const {
  const auto blocked = blocked_.lock();
  return ready_.first == nullptr && brief_ == 0 && *due_ == 0 &&
         !(blocked && blocked->brief && !blocked->done);
}

/// The next of what an earlier run saw, once all that followed from the one before is done.
void Scheduler::tell_arrivals() {
  const bool nothing = arrivals_.empty() && held_.empty();
  restless_ = nothing || is_quiet() ? 0 : restless_ + 1;
  const bool overdue = restless_ > kMostRestless;
  if (overdue) restless_ = 0;
  for (bool tell = overdue || is_quiet(); tell; tell = is_quiet()) {
    const auto held = std::ranges::stable_partition(held_, &Arrival::is_held);
    const std::vector<Arrival> released(held.begin(), held.end());
    held_.erase(held.begin(), held.end());
    for (const Arrival& one : released) arrive(one);
    // A job that is held ended after the wait that is to time out, and before what came later.
    const bool held_first = std::ranges::any_of(held_, [this](const Arrival& one) {
      return one.when != 0 && !arrivals_.empty() && one.when < arrivals_.front().when;
    });
    const bool only_held = held_first || arrivals_.empty();
    if (end_held_wait(only_held ? kNever : moment(arrivals_.front().when))) return;
    if (!arrivals_.empty()) {
      const Millis when = arrivals_.front().when;
      reach(when);
      do {  // all that wait for it
        std::pop_heap(arrivals_.begin(), arrivals_.end());
        const Arrival next = std::move(arrivals_.back());
        arrivals_.pop_back();
        if (!next.waiting.expired()) next.tell();
      } while (!arrivals_.empty() && arrivals_.front().when == when);
    } else if (held_.empty()) {
      return;
    } else {  // it is another script now: nobody ends a wait for them
      for (const Arrival& one : std::exchange(held_, {}))
        if (!one.waiting.expired()) one.tell();
    }
  }
}

Millis Scheduler::moment(Millis when) {
  if (when > begun_) return kNever;  // no earlier run came so far
  if (!ahead_) ahead_ = past_ - when;
  return when + *ahead_;
}

/// Of the waits for what is held the one that ends first ends; false: there is none `before` that.
bool Scheduler::end_held_wait(Millis before) {
  if (held_.empty()) return false;  // in each tick, and there may be thousands of tasks
  std::shared_ptr<Ticket> first;
  // In the recorded run one that is past had ended before, for something else.
  const auto rank = [&](auto& of) { return std::tuple(of->until < past_, of->until, of->order); };
  const auto look = [&](const std::shared_ptr<Ticket>& wait) {
    if (!wait || wait->until == kNever || (first && rank(first) < rank(wait))) return;
    for (const auto& ask : unended(wait))
      if (std::ranges::find(held_, ask, &Arrival::ask) != held_.end()) first = wait;
  };
  look(blocked_.lock());
  for (const auto& [id, task] : tasks_) look(task->ticket.lock());
  if (!first || first->until >= before) return false;
  first->over = true;
  wake(first->waiter, first->serial);
  return true;
}

void Scheduler::fire_timers() {
  while (!timers_.empty()) {
    const Timer timer = timers_.front();
    const Task* task = find(timer.task);
    const bool stale =
        task == nullptr || task->phase != Task::Phase::parked || task->serial != timer.serial;
    if (!stale && timer.due > now()) return;
    std::pop_heap(timers_.begin(), timers_.end());
    timers_.pop_back();
    wake(timer.task, timer.serial);
  }
}

// ---- Running ----

bool Scheduler::run(lua_State* L, std::int64_t budget_us, bool* failed) {
  // From inside a task, or from what is called back meanwhile: its own turn is not over.
  if (running_ != nullptr || driving_ || in_finalizer(L)) return false;
  free_released();
  const bool timed = budget_us > 0;
  const std::int64_t stop_at = steady_us() + std::min(budget_us, kLongestTurnUs);
  const Turn turn(driving_);
  const Slice slice(L);
  const engine::CompletionQueue::TimePoint drain_until{std::chrono::microseconds(stop_at)};
  do {
    queue_->drain(timed ? drain_until : engine::CompletionQueue::TimePoint::max());
    if (arrivals_.empty()) fire_timers();
    tell_arrivals();
    if (ready_.first == nullptr || !lua_checkstack(L, 4)) break;
    stop_at_us_ = timed && !is_stopped(L) ? stop_at : 0;
    lua_pushcfunction(L, resume_ready);
    lua_pushlightuserdata(L, this);
    const int status = lua_pcall(L, 1, 0, 0);
    free_released();
    if (is_stopped(L)) cancel_all();  // all end now, before a host allows the next script more
    if (status == LUA_OK) continue;
    if (failed != nullptr) return *failed = true;
    lua_pop(L, 1);  // short of memory; the task's own result tells
  } while (is_stopped(L) || (timed && steady_us() < stop_at));
  const bool more = ready_.first != nullptr || next_timer() <= now() ||
                    (is_quiet() && !(arrivals_.empty() && held_.empty()));
  queue_->wake_fd_at(more ? 0 : next_timer());
  return more;
}

int Scheduler::resume_ready(lua_State* L) {
  auto& self = *static_cast<Scheduler*>(lua_touserdata(L, 1));
  const Task* const last = self.ready_.last;  // who becomes ready meanwhile has the next turn
  for (Task* task = nullptr; task != last && self.ready_.first != nullptr;) {
    task = self.ready_.pop();
    self.resume(L, *task);
    if (self.stop_at_us_ != 0 && steady_us() >= self.stop_at_us_) break;
  }
  return 0;
}

void Scheduler::resume(lua_State* L, Task& task) {
  lua_State* thread = task.thread;
  const int arguments = std::exchange(task.arguments, 0);
  if (is_waiting(thread)) lua_pop(thread, 1);
  if (std::exchange(task.brief, false)) --brief_;
  task.ticket.reset();
  if (task.exits) return finish(L, task, LUA_OK);
  running_ = &task;
  passable = thread;
  int count = 0;
  lua_State* const ran_before = enter_thread(L, thread);
  const int status = lua_resume(thread, L, arguments, &count);
  enter_thread(L, ran_before);
  running_ = nullptr;
  passable = nullptr;
  if (status != LUA_YIELD || task.exits) return finish(L, task, status);
  if (is_waiting(thread)) return;
  // The script's own coroutine.yield in the body of a task: let the others run.
  lua_pop(thread, count);
  task.exits = task.cancelled && ++task.refused > kMostRefused;  // it never waits, and would go on
  ready_.push(task);
}

void Scheduler::finish(lua_State* L, Task& task, int status) {
  task.phase = Task::Phase::ending;
  if (status != LUA_OK || task.exits) {
    task.failure = no_memory_;  // explain() says more, unless it runs out of it, too
    if (status == LUA_ERRMEM) note_place(L, task);
    running_ = &task;  // what its __close and __tostring functions run into
    lua_pushcfunction(L, explain);
    lua_pushlightuserdata(L, this);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {  // for want of memory, which the thread may hold
      lua_pop(L, 1);
      close_thread(task.thread, L);
    }
    running_ = nullptr;
    if (task.exits && task.exit_code == 0 && !task.cancelled) {
      task.failure.reset();
      lua_settop(task.thread, 0);
    } else if (++unobserved_ > kMostUnobserved)
      task.observed = true;
  }
  // From here on no Lua runs.
  task.phase = Task::Phase::done;
  --unfinished_;
  task.inherited.reset();
  if (status == LUA_OK) task.story.reset();  // else whoever waits for it goes on with it
  if (!task.held) let_go(L, task);
  pure(L, [&] {
    const auto watches = std::move(task.watches);
    for (const Watch& watch : watches) watch.tell();
    const auto waits = [](const Watch& watch) { return !watch.owner.expired(); };
    if (tell_lost && std::ranges::none_of(watches, waits)) tell_failure(task);
  });
}

}  // namespace kling::lua
