// The Task userdata, spawn and sleep, and Group: what the prelude builds all, any and map on.
#include <cstring>

#include "api/text.h"
#include "lua/manual.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

constexpr const char* kTask = "kling.Task";

Task& check_task(lua_State* L, int index) {
  const TaskRef& ref = check_object<TaskRef>(L, index, kTask);
  Task* task = state_of(L).find(ref.id);
  if (task == nullptr) luaL_error(L, "kling is closing");
  return *task;
}

int task_gc(lua_State* L) {
  const TaskRef* ref = test_object<TaskRef>(L, 1);
  Scheduler* scheduler = runtime_of(L);
  if (ref != nullptr && scheduler != nullptr) scheduler->release(L, ref->id);
  return collect_object<TaskRef>(L);
}

bool is_cut_off(Kind kind) { return kind == Kind::timeout || kind == Kind::interrupted; }

int spawn(lua_State* L) {
  if (test_object<JobRef>(L, 1) != nullptr)
    raise_message(L, "spawn takes a function, got a Job",
                  "leave spawn out: a job runs by itself; job:wait() gives its clip");
  if (!lua_isfunction(L, 1))
    raise_message(L, "spawn takes a function", "write kling.spawn(function() … end)");
  const int arguments = lua_gettop(L) - 1;
  Scheduler& scheduler = state_of(L);
  scheduler.wrap_coroutines(L);
  const Where here = lua_iscfunction(L, 1) ? where(L) : Where();
  TaskRef& ref = new_object<TaskRef>(L);
  lua_insert(L, 1);
  pure(L, [&] {
    ref.id = scheduler.announce("");
    if (*here.text != 0) scheduler.find(ref.id)->born_at = std::make_unique<std::string>(here.text);
  });
  scheduler.start(L, ref.id, arguments);
  return 1;
}

/// Pushes the results of a task that has ended, or raises its error with its traceback. REQUIRES:
/// its Task value is on the stack, so that its thread is not let go.
int push_results(lua_State* L, Task& task) {
  lua_State* thread = task.thread;
  if (task.failure == nullptr) {
    const int count = lua_gettop(thread);
    luaL_checkstack(L, count, "results");
    for (int i = 1; i <= count; ++i) push_left(L, task, i);
    return count;
  }
  task.observed = true;
  // A script that raised an error of its own has had its results.
  if (task.failure->is_kling_error) {
    for (const auto& one : task.asked) state_of(L).note_lost(L, one);
    state_of(L).note_left(L, nullptr, is_cut_off(task.failure->error.kind) ? &task : nullptr);
  }
  state_of(L).note_failed(L, task);
  if (lua_gettop(thread) > 0)
    push_left(L, task, -1);
  else  // memory was short for its own error
    lua_pushlstring(L, task.failure->message.data(), task.failure->message.size());
  ErrorValue* value = test_object<ErrorValue>(L, -1);
  Task* waiter = state_of(L).running();
  luaL_traceback(L, L, nullptr, 0);
  const char* here = lua_tostring(L, -1);
  pure(L, [&] {
    if (value != nullptr) {
      value->traceback = user_frames(here, task.failure->traceback);
    } else if (waiter != nullptr) {
      waiter->inherited = std::make_unique<TaskResult>(*task.failure);
    }
  });
  lua_pop(L, 1);
  return lua_error(L);
}

int hand_on_results(lua_State* L, Task& task) {
  pure(L, [&] {
    if (!task.failure) state_of(L).hand_on(task);
  });
  return push_results(L, task);
}

int task_waited(lua_State* L, int, lua_KContext) {
  Task& task = check_task(L, 1);
  const Ticket& ticket = *own_object<Wait>(L, 2);
  if (state_of(L).woken(L, *own_object<Wait>(L, 2))) return hand_on_results(L, task);
  state_of(L).note_unended(L, ticket, Kind::timeout);
  return raise_new(L, [&](Error& error) {
    error.kind = Kind::timeout;
    error.message = "task " + task.path + " was still running when the wait timed out";
    error.hint = "give it more seconds; what it sent goes on, and the next run finds it";
    error.retryable = true;
  });
}

int task_wait(lua_State* L) {
  Task& task = check_task(L, 1);
  Scheduler& scheduler = state_of(L);
  const Millis deadline = read_deadline(L, 2);
  if (&task == scheduler.running()) luaL_error(L, "a task cannot wait for itself");
  lua_settop(L, 1);
  Wait& wait = new_wait(L);
  if (task.phase == Task::Phase::done) return hand_on_results(L, task);
  pure(L, [&] {
    wait->awaited.push_back({.task = task.id});
    add_watch(task.watches, {wait, wake(wait)});
  });
  return scheduler.park(L, *wait, deadline, task_waited, 0);
}

int task_cancel(lua_State* L) {
  const Task& task = check_task(L, 1);
  Scheduler& scheduler = state_of(L);
  Wait& wait = new_wait(L);
  pure(L, [&] {
    wait->awaited.push_back({.task = task.id});
    scheduler.cancel(task.id);
  });
  scheduler.note_unended(L, *wait, Kind::interrupted);
  return 0;
}

int task_index(lua_State* L) {
  const Task& task = check_task(L, 1);
  if (push_method(L)) return 1;
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "done") == 0) return lua_pushboolean(L, task.phase == Task::Phase::done), 1;
  if (std::strcmp(key, "path") == 0) return lua_pushstring(L, task.path.c_str()), 1;
  return no_value(L, kTask, key);
}

int task_tostring(lua_State* L) {
  const Task& task = check_task(L, 1);
  return push_text(L, [&] {
    const char* state = task.phase != Task::Phase::done ? "running"
                        : task.failure                  ? "failed"
                                                        : "done";
    return "Task " + task.path + " (" + state + ")";
  });
}

int slept(lua_State* L, int, lua_KContext) {
  return state_of(L).woken(L, *own_object<Wait>(L, 1)), 0;
}

int sleep(lua_State* L) {
  const lua_Number seconds = luaL_checknumber(L, 1);
  check_no_comma(L, 1);
  lua_settop(L, 0);
  Wait& wait = new_wait(L);
  Scheduler& scheduler = state_of(L);
  return scheduler.park(L, *wait, scheduler.deadline(seconds), slept, 0);
}

// ---- Groups ----

/// Jobs and Tasks that are waited for together; shared with their completions.
struct Group : Ticket {
  using Ticket::Ticket;
  std::vector<int> arrived;  ///< has room for all items
  std::size_t told = 0;      ///< of them
  std::size_t open = 0;      ///< items that have not arrived
  std::size_t open_tasks = 0;
  bool cancelled = false;
  engine::Story before;  ///< what had been raised when it began

  /// The index of a new item. Plain C++; may throw, and then nothing was added.
  int add(Awaited item) {
    if (arrived.capacity() <= awaited.size()) arrived.reserve(2 * awaited.size() + 8);
    const bool is_task = item.task != 0;
    awaited.push_back(std::move(item));
    ++open;
    if (is_task) ++open_tasks;
    return static_cast<int>(awaited.size());
  }

  void arrive(int index) override {
    --open;
    Awaited& item = awaited[static_cast<std::size_t>(index) - 1];
    item.ended = true;
    if (item.task != 0) --open_tasks;
    arrived.push_back(index);
    complete();
  }
};
using GroupRef = std::shared_ptr<Group>;

Group& check_group(lua_State* L) { return *check_object<GroupRef>(L, 1, "kling.Group"); }

int new_group(lua_State* L) {
  Scheduler& scheduler = state_of(L);
  GroupRef& ref = new_object<GroupRef>(L);
  pure(L, [&] {
    ref = std::make_shared<Group>(scheduler.home());
    ref->before = scheduler.story();
  });
  return 1;
}

/// group:add(job or task)
int group_add(lua_State* L) {
  const auto& group = check_object<GroupRef>(L, 1, "kling.Group");
  if (const JobRef* ref = test_object<JobRef>(L, 2)) {
    engine_of(L, *ref->client);
    pure(L, [&] {
      watch_job(*ref, engine::Milestone::finished, group, group->add({.ask = ref->ask}));
    });
    return 0;
  }
  Task& task = check_task(L, 2);
  pure(L, [&] {
    const auto tell = wake(group, group->add({.task = task.id}));
    if (task.phase == Task::Phase::done) return tell();
    add_watch(task.watches, {group, tell});
  });
  return 0;
}

int next_arrived(lua_State* L, int, lua_KContext) {
  Group& group = check_group(L);
  Scheduler& scheduler = state_of(L);
  scheduler.woken(L, group);
  group.done = false;
  if (group.told == group.arrived.size()) {
    if (group.cancelled ? group.open_tasks == 0 : group.open == 0) return 0;
    return scheduler.park(L, group, kNever, next_arrived, 0);
  }
  return lua_pushinteger(L, group.arrived[group.told++]), 1;
}

/// group:next(): the index of an item that has ended, earliest first; nil when none is left.
int group_next(lua_State* L) {
  check_group(L);
  state_of(L).check_can_wait(L);
  lua_settop(L, 1);
  return next_arrived(L, LUA_OK, 0);
}

/// group:cancel(error), also at the end of its scope: interrupts the tasks that still run.
int group_cancel(lua_State* L) {
  Group& group = check_group(L);
  Scheduler& scheduler = state_of(L);
  const bool first = !std::exchange(group.cancelled, true);
  const bool failed = first && !lua_isnoneornil(L, 2);
  pure(L, [&] {
    for (const Awaited& item : group.awaited) {
      Task* task = scheduler.find(item.task);
      if (task != nullptr && !failed && !task->failure) scheduler.hand_on(*task, first);
      if (task == nullptr || task->phase == Task::Phase::done) continue;
      task->observed = true;
      scheduler.cancel(task->id);
    }
    if (first && !failed) scheduler.pass_over(group.before.get());
    group.before.reset();
  });
  // Last: it may raise for want of memory, and nobody may go on and pay for that.
  for (const Awaited& item : group.awaited) {
    const Task* task = scheduler.find(item.task);
    if (failed && task != nullptr && !task->failure)
      for (const auto& one : task->asked) scheduler.note_lost(L, one);
    if (failed && task != nullptr && task->spawned > 0) scheduler.note_left(L, nullptr, task);
    if (failed && item.ask && item.ended) scheduler.note_lost(L, item.ask);
  }
  // Whose time was up, others go on.
  const ErrorValue* error = test_object<ErrorValue>(L, 2);
  if (failed && error != nullptr && !is_cut_off(error->error.kind)) scheduler.note_left(L);
  for (const Awaited& item : group.awaited)
    if (const Task* task = scheduler.find(item.task); task && task->failure && !task->observed)
      scheduler.note_failed(L, *task);
  scheduler.note_unended(L, group, Kind::interrupted);
  return 0;
}

// ---- For the prelude ----

/// outcome(job or task): what wait() gives, of one that has ended.
int outcome(lua_State* L) {
  if (const JobRef* job = test_object<JobRef>(L, 1)) return push_outcome(L, *job);
  return push_results(L, check_task(L, 1));
}

/// also(error, task or job): keeps the traceback of a sibling that failed as well.
int also(lua_State* L) {
  ErrorValue* value = test_object<ErrorValue>(L, 1);
  const TaskRef* ref = test_object<TaskRef>(L, 2);
  Scheduler& scheduler = state_of(L);
  Task* other = ref ? scheduler.find(ref->id) : nullptr;
  if (other == nullptr || other->failure == nullptr) return 0;
  other->observed = true;
  scheduler.note_failed(L, *other);
  const TaskResult& failure = *other->failure;
  if (failure.is_kling_error && failure.error.kind == Kind::interrupted) return 0;
  pure(L, [&] {
    if (value != nullptr && to_text(*value) == failure.message) return;  // one reason, told once
    const std::string text =
        "\ntask " + other->path + " failed too: " + failure.message + "\n" + failure.traceback;
    if (value != nullptr) {
      value->traceback += text;
    } else if (Task* task = scheduler.running(); task != nullptr && task->inherited) {
      task->inherited->traceback += text;
    }
  });
  return 0;
}

int now(lua_State* L) {
  return lua_pushnumber(L, static_cast<lua_Number>(state_of(L).now()) / 1000), 1;
}

/// here(): which task runs; 0: none.
int here(lua_State* L) {
  const Task* task = state_of(L).running();
  return lua_pushinteger(L, task != nullptr ? static_cast<lua_Integer>(task->id) : 0), 1;
}

/// waitable(x): whether it is a Job or a Task.
int waitable(lua_State* L) {
  lua_pushboolean(L, test_object<JobRef>(L, 1) != nullptr || test_object<TaskRef>(L, 1) != nullptr);
  return 1;
}

/// label(task, name): what its shots are called.
int label(lua_State* L) {
  Task& task = check_task(L, 1);
  const char* text = luaL_tolstring(L, 2, nullptr);
  pure(L, [&] { task.label = std::make_shared<std::string>(api::excerpt(text, 60)); });
  return 0;
}

/// check_list(list, name): raises where it begins at 0.
int check_a_list(lua_State* L) { return check_list(L, 1, luaL_checkstring(L, 2)), 0; }

/// explain(message, source): why a text does not compile, with its line.
int explain(lua_State* L) {
  std::size_t size = 0;
  const char *message = luaL_checkstring(L, 1), *source = luaL_checklstring(L, 2, &size);
  return push_text(L, [&] { return explain_syntax(message, std::string_view(source, size)); });
}

/// refuse(message, hint): raises with the script's line.
int refuse(lua_State* L) {
  return raise_message(L, luaL_checkstring(L, 1), luaL_optstring(L, 2, ""));
}

/// no_result(name, names...): raises where that is one of these misspelt, else warns.
int no_result(lua_State* L) {
  const char* name = luaL_checkstring(L, 1);
  const Where here = where(L);
  auto& slip = new_object<Error>(L);
  bool meant = false;
  pure(L, [&] {
    std::vector<std::string> names;
    for (int i = 2; lua_type(L, i) == LUA_TSTRING; ++i) names.emplace_back(lua_tostring(L, i));
    const std::string near = api::did_you_mean(name, names);
    meant = !near.empty();
    slip = {.message = std::string("what kling.all gave has no \"") + name + '"',
            .hint = "did you mean " + near + "?"};
    if (!meant)
      state_of(L).warn(here.text + (": " + slip.message) + ": it has " +
                       api::excerpt(api::joined(names, ", "), 200));
  });
  if (meant) raise(L, slip);
  return 0;
}

int stepped(lua_State* L, int, lua_KContext) {
  return lua_pushboolean(L, state_of(L).woken(L, check_group(L))), 1;
}

/// group:step(seconds): whether something has arrived within that time.
int group_step(lua_State* L) {
  Group& group = check_group(L);
  const lua_Number seconds = luaL_checknumber(L, 2);
  lua_settop(L, 1);
  Scheduler& scheduler = state_of(L);
  return scheduler.park(L, group, scheduler.deadline(seconds), stepped, 0);
}

/// group:set(): ends its step(); an empty group is a signal.
int group_set(lua_State* L) { return check_group(L).complete(), 0; }

}  // namespace

const luaL_Reg kTaskVerbs[] = {
    {"spawn", with_dot<spawn>}, {"sleep", with_dot<sleep>}, {nullptr, nullptr}};
const luaL_Reg kTaskCore[] = {{"group", new_group},
                              {"outcome", outcome},
                              {"also", also},
                              {"now", now},
                              {"here", here},
                              {"no_result", no_result},
                              {"waitable", waitable},
                              {"refuse", refuse},
                              {"label", label},
                              {"explain", explain},
                              {"check_list", check_a_list},
                              {nullptr, nullptr}};

void define_tasks(lua_State* L) {
  static const luaL_Reg kTaskMeta[] = {
      {"__gc", task_gc}, {"__tostring", task_tostring}, {nullptr, nullptr}};
  static const luaL_Reg kTaskMethods[] = {
      {"wait", task_wait}, {"cancel", task_cancel}, {nullptr, nullptr}};
  static const luaL_Reg kGroupMeta[] = {{"__close", group_cancel}, {nullptr, nullptr}};
  static const luaL_Reg kGroupMethods[] = {{"add", group_add},       {"next", group_next},
                                           {"step", group_step},     {"set", group_set},
                                           {"cancel", group_cancel}, {nullptr, nullptr}};
  define<TaskRef>(L, kTask, kTaskMeta, kTaskMethods, task_index);
  define<GroupRef>(L, "kling.Group", kGroupMeta, kGroupMethods);
  lua_pop(L, 2);
}

}  // namespace kling::lua
