// What was raised into the tasks of a scheduler, and into whom it goes on.
#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <sstream>

#include "lua/manual.h"
#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

/// The newest entry of this job among the last of a story; null: there is none.
const engine::Raised* recent(const engine::Story& story, const std::shared_ptr<engine::Ask>& ask) {
  const engine::Raised* entry = story.get();
  for (int i = 0; entry != nullptr && entry->ask != ask; ++i)
    entry = i < 8 ? entry->before.get() : nullptr;
  return entry;
}

}  // namespace

void Scheduler::note_raised(lua_State* L, const std::shared_ptr<engine::Ask>& ask, Kind kind) {
  // An interruption tells nothing that an earlier error of the job does not tell; as far as a loop
  // of short waits goes.
  const bool told = recent(story(), ask) != nullptr;
  const bool cut_off = kind == Kind::interrupted || kind == Kind::timeout;
  pure(L, [&] {
    if (!cut_off)
      std::erase(untold_, ask);
    else if (untold_.empty() || untold_.back() != ask)
      untold_.push_back(ask);
  });
  if (kind == Kind::interrupted && told) return;
  if (kind == Kind::timeout) ++ask->raised;
  if (!cut_off) note_left(L, ask.get());
  add_raised(L, ask, kind, ask->raised);
}

void Scheduler::note_left(lua_State* L, const engine::Ask* but, const Task* of) {
  const Task& top = of != nullptr ? *of : here();
  auto& left = new_object<std::vector<std::shared_ptr<engine::Ask>>>(L);
  pure(L, [&] {
    const auto take = [&](const auto& asked, bool delivered) {
      for (const auto& one : asked)
        if (one.get() != but && !(one->lost && one->lost_to == here().id) &&
            !(delivered && one->delivered))
          left.push_back(one);
    };
    take(top.asked, true);
    const std::string below = top.path + "/";
    if (top.spawned > 0)
      for (const auto& [id, task] : tasks_)
        if (task->path.starts_with(below) && (top.root == 0 || task->root == top.root) &&
            (!task->failure || task->failure->is_kling_error))
          take(task->asked, false);
  });
  for (std::size_t i = 0; i < left.size(); ++i) note_lost(L, left[i]);
  lua_pop(L, 1);
}

void Scheduler::add_raised(lua_State* L, const std::shared_ptr<engine::Ask>& ask, Kind kind,
                           int timeouts) {
  auto& memory = new_object<std::shared_ptr<void>>(L);
  hold_memory(L, sizeof(engine::Raised) + 64, memory);
  pure(L, [&] {
    engine::Story& head = story();
    // The same once more, as a loop of short waits has it, is told by the last.
    const bool shared = head.get() == here().born_with;
    const bool again = head && !shared && head->ask == ask && head->kind == kind;
    auto entry = std::make_shared<engine::Raised>(ask, kind, timeouts, again ? head->before : head);
    entry->memory = std::move(memory);
    head = std::move(entry);
  });
  lua_pop(L, 1);
}

void Scheduler::note_unended(lua_State* L, const Ticket& ticket, Kind kind) {
  auto& through = new_object<std::set<TaskId>>(L);
  auto& found = new_object<std::vector<std::shared_ptr<engine::Ask>>>(L);
  pure(L, [&] { found = unended(ticket.shared_from_this(), &through); });
  for (const TaskId id : through)  // what they were told they do not come to tell
    if (const Task* task = find(id)) note_failed(L, *task);
  for (std::size_t i = 0; i < found.size(); ++i) note_raised(L, found[i], kind);
  lua_pop(L, 2);
}

/// The jobs that a wait, or a task it waits for, still waits for.
std::vector<std::shared_ptr<engine::Ask>> Scheduler::unended(
    const std::shared_ptr<const Ticket>& first, std::set<TaskId>* through) const {
  std::vector<std::shared_ptr<engine::Ask>> found;
  std::set<TaskId> own, &seen = through != nullptr ? *through : own;  // some wait for each other
  std::vector<std::shared_ptr<const Ticket>> waits{first};
  while (!waits.empty()) {
    const std::shared_ptr<const Ticket> wait = std::move(waits.back());
    waits.pop_back();
    for (const Awaited& item : wait->awaited) {
      if (item.ended) continue;
      if (item.ask) found.push_back(item.ask);
      const Task* task = find(item.task);
      if (task == nullptr || !seen.insert(task->id).second) continue;
      if (auto next = task->ticket.lock()) waits.push_back(std::move(next));
    }
  }
  return found;
}

void Scheduler::pass_over(const engine::Raised* since) {
  for (const engine::Raised* one = story().get(); one != nullptr && one != since;
       one = one->before.get())
    if (engine::is_kept(one->kind)) untold_.push_back(one->ask);
}

void Scheduler::note_lost(lua_State* L, const std::shared_ptr<engine::Ask>& ask) {
  if (ask->followed) return;
  // Who began a task has a smaller id: the outermost that lost it can have it back for all.
  ask->lost_to = ask->lost ? std::min<std::size_t>(ask->lost_to, here().id) : here().id;
  ask->lost = true;
  add_raised(L, ask, Kind::script, ask->raised);
}

void Scheduler::note_ask(const std::shared_ptr<engine::Ask>& ask) {
  Task& asking = here();
  // Nobody waits for a script: what it has got cannot be kept from anybody.
  if (asking.root == asking.id && std::has_single_bit(asking.asked.size()))
    std::erase_if(asking.asked, [](const auto& one) { return one->delivered; });
  asking.asked.push_back(ask);
}

void Scheduler::hand_on(Task& ended, bool got) {
  if (got && ended.phase == Task::Phase::done)
    for (const auto& one : ended.asked)
      if (one->delivered) note_got(*one);
  if (auto& to = here(); to.root != to.id)
    to.asked.insert(to.asked.end(), ended.asked.begin(), ended.asked.end());
  ended.asked.clear();
}

/// Nobody can have its results any more: what it asked for counts as asked by who began it.
void Scheduler::leave_to_parent(const Task& task) {
  Task* heir = find(task.parent) != nullptr ? find(task.parent) : find(task.root);
  if (heir == &task || (heir == nullptr && task.parent != 0)) return;
  auto& asked = (heir != nullptr ? *heir : outside_).asked;
  try {
    asked.insert(asked.end(), task.asked.begin(), task.asked.end());
    for (const auto& one : task.asked) one->delivered = false;
  } catch (const std::bad_alloc&) {  // then it may be paid for again, after an error
  }
}

std::string Scheduler::deadlock() const {
  if (ready_.first != nullptr || !timers_.empty() || !arrivals_.empty() || !held_.empty())
    return "";
  const auto done = [](const auto& entry) { return entry.second->phase == Task::Phase::done; };
  for (const auto& entry : tasks_) {
    const auto wait = entry.second->ticket.lock();
    if (done(entry)) continue;
    if (entry.second->phase != Task::Phase::parked || !wait || wait->awaited.empty()) return "";
    for (const Awaited& item : wait->awaited)
      if (!item.ended && item.task == 0) return "";
  }
  std::set<std::string> places;
  for (const auto& entry : tasks_)
    if (!done(entry)) places.insert(where(entry.second->thread).text);
  std::string text;
  for (const std::string& place : places)
    if (!place.empty()) text += (text.empty() ? "" : ", ") + place;  // a tail call leaves none
  return text.empty() ? "" : "tasks wait for each other, and nothing else can end: " + text;
}

void Scheduler::note_failed(lua_State* L, const Task& task) {
  auto& found = new_object<std::vector<const engine::Raised*>>(L);
  pure(L, [&] {
    for (const engine::Raised* entry = task.story.get();
         entry != nullptr && entry != task.born_with; entry = entry->before.get()) {
      const engine::Raised* known = recent(story(), entry->ask);
      if (task.failure) {
        found.push_back(entry);
      } else if (engine::is_kept(entry->kind) && (!known || known->kind != entry->kind)) {
        found.push_back(entry);  // it may go on, and has told only what failed
        untold_.push_back(entry->ask);
      }
    }
  });
  for (std::size_t i = found.size(); i > 0; --i)
    add_raised(L, found[i - 1]->ask, found[i - 1]->kind, found[i - 1]->timeouts);
  lua_pop(L, 1);
}

// ---- How a task ended that ended with an error, told before its thread is gone ----

namespace {

/// What is kept of a script's error: it may be as long as memory allows, and lies outside of it.
constexpr std::size_t kMostMessage = 8u << 10;
std::string cut(const char* message) { return std::string(message).substr(0, kMostMessage); }

/// Appends the names that stand for something in the functions of a thread that has died, each
/// after a blank.
void add_names(lua_State* L, lua_State* thread, std::string& names) {
  const auto add = [&](const char* name) { pure(L, [&] { names += std::string(" ") + name; }); };
  lua_Debug frame;
  for (int level = 0; level < 20 && lua_getstack(thread, level, &frame) != 0; ++level) {
    for (int i = 1; const char* name = lua_getlocal(thread, &frame, i); ++i)
      add(name), lua_pop(thread, 1);
  }
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING) add(lua_tostring(L, -2));
  lua_pop(L, 1);
}

/// The text of an error value that is none of ours. What a function of C says, and what says
/// nothing, stands after the place where the script raised it.
int describe(lua_State* L) {  // value traceback
  const bool has_text = lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL;
  const char* text = has_text
                         ? luaL_tolstring(L, 1, nullptr)
                         : lua_pushfstring(L, "error without a text (%s)", luaL_typename(L, 1));
  const char* line = std::strchr(lua_tostring(L, 2), '\t');
  const char* end = line == nullptr ? nullptr : std::strstr(line, ": in ");
  if (end == nullptr || (has_text && std::strncmp(text, "attempt to ", 11) != 0)) return 1;
  lua_pushlstring(L, line + 1, std::size_t(end - line - 1));
  lua_pushfstring(L, "%s: %s", lua_tostring(L, -1), text);
  return 1;
}

}  // namespace

void Scheduler::tell_failure(Task& task) {
  if (!task.failure || task.observed) return;
  task.told = true;
  unobserved_ -= unobserved_ > 0 ? 1 : 0;
  tell_lost(*task.failure);
}

/// Adds to the failure where memory ran out, which takes none of Lua's.
void Scheduler::note_place(lua_State* L, Task& task) {
  lua_Debug frame{};
  for (int i = 0; frame.currentline <= 0 && lua_getstack(task.thread, i, &frame) != 0; ++i)
    lua_getinfo(task.thread, "Sl", &frame);
  pure(L, [&] {
    auto told = std::make_shared<Failure>(*task.failure);
    if (frame.currentline > 0)
      told->message.insert(0, printed("%s:%d: ", frame.short_src, frame.currentline));
    told->error.message = told->message;
    task.failure = std::move(told);
  });
}

/// Fills the failure of a task whose thread has died.
int Scheduler::explain(lua_State* L) {
  auto& self = *static_cast<Scheduler*>(lua_touserdata(L, 1));
  Task& task = *self.running_;
  lua_State* thread = task.thread;
  Failure* made = nullptr;
  pure(L, [&] {
    auto copy = std::make_shared<Failure>(*task.failure);
    made = copy.get();
    task.failure = std::move(copy);
  });
  Failure& failure = *made;
  luaL_traceback(L, thread, nullptr, 0);  // before the frames are gone
  const char* traceback = lua_tostring(L, -1);
  pure(L, [&] { failure.traceback = user_frames(traceback); });
  std::string& names = new_object<std::string>(L);
  if (lua_type(thread, -1) == LUA_TSTRING && lua_checkstack(thread, 4)) add_names(L, thread, names);
  if (const Runtime* runtime = runtime_of(L))
    pure(L, [&] { names += " kling." + runtime->missing_member; });
  const bool no_memory = lua_status(thread) == LUA_ERRMEM;
  close_thread(thread, L);
  if (task.exits) {
    pure(L, [&] {
      failure.error.kind = Kind::interrupted;
      if (!task.cancelled) failure.error.code = std::to_string(task.exit_code);
      failure.message = failure.error.message =
          task.cancelled ? "the wait was cancelled" : "os.exit(" + failure.error.code + ")";
    });
    task.observed = true;
    return 0;
  }
  if (const char* why = stopped(L)) {  // says more than the wait that was cut short
    pure(L, [&] { failure.message = failure.error.message = why; });
    return 0;
  }
  if (no_memory) return 0;

  lua_pushvalue(thread, -1);
  lua_xmove(thread, L, 1);
  if (const ErrorValue* value = test_object<ErrorValue>(L, -1)) {
    hold_memory(L, 2 * text_bytes(*value), failure.memory);
    pure(L, [&] {
      failure.is_kling_error = true;
      failure.error = value->error;
      failure.message = to_text(*value);
      failure.where = value->where;
      if (!value->traceback.empty()) failure.traceback = value->traceback;
    });
    // Cancelled on purpose: nobody needs to be told.
    if (task.cancelled && value->error.kind == Kind::interrupted) task.observed = true;
    return 0;
  }
  lua_pushcfunction(L, describe);
  lua_insert(L, -2);
  lua_pushstring(L, failure.traceback.c_str());
  lua_pcall(L, 2, 1, 0);
  const char* message =
      lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "error in __tostring";
  if (!is_stopped(L))  // by its __tostring: then that is what is told
    hold_memory(L, 2 * std::min(std::strlen(message), kMostMessage) + failure.traceback.size(),
                failure.memory);
  pure(L, [&] {
    failure.message = cut(message);
    std::istringstream words(names);
    failure.error.hint = meant_instead(failure.message, {std::istream_iterator<std::string>(words),
                                                         std::istream_iterator<std::string>()});
    // Nobody needs to read where it was looked for.
    if (const std::size_t tried = failure.message.find("' not found:\n");
        tried != std::string::npos)
      failure.message.resize(tried + std::strlen("' not found"));
    failure.error.message = failure.message;
    if (!failure.error.hint.empty()) failure.message += "; " + failure.error.hint;
    if (task.inherited && task.inherited->message == failure.message)
      failure.traceback = user_frames(failure.traceback.c_str(), task.inherited->traceback);
  });
  return 0;
}

}  // namespace kling::lua
