#include "lua/runtime_state.h"

#include <algorithm>
#include <cstring>

#include "api/text.h"
#include "base/files.h"

namespace kling::lua {
namespace {

struct Home {
  std::unique_ptr<Runtime> state;
};
char home_key;

// ---- configure{ upload = function }, which puts a file where the service can fetch it ----

struct Upload {
  int function;
  std::string path;
  engine::TextDone done;
};

int push_call(lua_State* L) {
  const auto& upload = *static_cast<const Upload*>(lua_touserdata(L, 1));
  lua_rawgeti(L, LUA_REGISTRYINDEX, upload.function);
  lua_pushlstring(L, upload.path.data(), upload.path.size());
  return 2;
}

Result<std::string> address_of(Runtime& runtime, lua_State* L, TaskId task) {
  const TaskResult result = runtime.result(task);
  if (!result.ok) return Error{.message = result.message};
  const int count = runtime.push_results(L, task);
  const int kind = count > 0 ? lua_type(L, -count) : LUA_TNONE;
  const bool why = kind == LUA_TNIL && count > 1 && lua_type(L, 1 - count) == LUA_TSTRING;
  Error none{.message = "it returned nothing"};
  if (kind > LUA_TNIL)
    none.message = std::string("it returned a ") + lua_typename(L, kind) + ", not a text";
  if (why) none.message = lua_tostring(L, 1 - count);
  Result<std::string> url = none;
  if (kind == LUA_TSTRING) url = std::string(lua_tostring(L, -count));
  lua_pop(L, std::max(count, 0));
  return url;
}

/// On the owner's thread: a task of the script's function; its result goes to the worker.
void begin(Runtime& runtime, lua_State* L, const Upload& upload) {
  TaskId task = 0;
  if (lua_checkstack(L, LUA_MINSTACK)) {
    lua_pushcfunction(L, push_call);
    lua_pushlightuserdata(L, const_cast<Upload*>(&upload));
    if (lua_pcall(L, 1, 2, 0) == LUA_OK)
      task = runtime.spawn(L, 1, "upload");
    else
      lua_pop(L, 1);
  }
  if (task == 0) return upload.done(Error{.message = "not enough memory"});
  const auto owner = std::make_shared<int>();
  add_watch(runtime.find(task)->watches,
            {.owner = owner, .tell = [&runtime, L, task, owner, done = upload.done] {
               done(address_of(runtime, L, task));
               runtime.release(task);
             }});
}

}  // namespace

Runtime::Runtime(lua_State* main, ModuleOptions chosen)
    : Scheduler(main, chosen.queue ? chosen.queue
                                   : std::make_shared<engine::CompletionQueue>(make_clock())),
      options(std::move(chosen)) {
  options.queue = options.engine.queue = {};
}

Runtime::~Runtime() {
  for (const auto& client : clients_) client->engine.reset();
}

TaskId Runtime::spawn(lua_State* L, int arguments, const char* name) {
  if (!lua_checkstack(L, 4)) return lua_pop(L, arguments + 1), 0;
  spawn_name_ = name;
  spawned_ = 0;
  lua_pushcfunction(L, spawn_protected);
  lua_insert(L, -arguments - 2);
  if (lua_pcall(L, arguments + 1, 0, 0) == LUA_OK) return spawned_;
  lua_pop(L, 1);
  Scheduler::release(L, spawned_);
  return 0;
}

int Runtime::spawn_protected(lua_State* L) {
  Runtime& self = state_of(L);
  pure(L, [&] { self.spawned_ = self.announce(self.spawn_name_); });
  self.find(self.spawned_)->observed = true;  // the host asks for the result
  self.start(L, self.spawned_, lua_gettop(L) - 1);
  return 0;
}

bool Runtime::pump(lua_State* L, std::int64_t budget_us) {
  set_host_pumps();
  return Scheduler::run(L, budget_us);
}

void Runtime::wait(Millis deadline) { queue().wait(std::min(deadline, next_timer())); }

TaskResult Runtime::result(TaskId id) const {
  const Task* task = find(id);
  TaskResult result;
  if (task == nullptr || task->phase != Task::Phase::done) return result;
  if (task->failure != nullptr) return *task->failure;
  result.done = result.ok = true;
  return result;
}

int Runtime::push_results(lua_State* L, TaskId id) {
  const Task* task = find(id);
  if (task == nullptr || task->phase != Task::Phase::done || task->failure != nullptr) return 0;
  const int count = lua_gettop(task->thread);
  if (!lua_checkstack(L, count + LUA_MINSTACK)) return -1;
  for (int i = 1; i <= count; ++i) push_left(L, *task, i);
  return count;
}

void Runtime::release(TaskId task) {
  Scheduler::release(main(), task);
  sweep();
}

std::vector<std::shared_ptr<engine::Engine>> Runtime::take_engines() {
  std::vector<std::shared_ptr<engine::Engine>> taken;
  for (const auto& client : clients_)
    if (client->engine) taken.push_back(std::move(client->engine));
  return taken;
}

Status Runtime::notify(const api::CallbackRequest& request) {
  const std::string& secret =
      (clients_.empty() ? options.engine : clients_.front()->options).webhook_secret;
  const auto read = api::read_callback(request, secret, queue().clock().now() / 1000);
  if (!read) return read.error();
  for (engine::Engine* engine : engines()) engine->notify(request, [](const auto&) {});
  return Done{};
}

std::vector<engine::Engine*> Runtime::engines(std::vector<engine::Engine*> open) const {
  for (const auto& client : clients_)
    if (client->engine) open.push_back(client->engine.get());
  return open;
}

Status Runtime::open_engine(Client& client) {
  engine::EngineOptions chosen = client.options;
  chosen.queue = shared_queue();
  if (!chosen.log) chosen.log = options.log;
  auto made = options.make_engine ? options.make_engine(std::move(chosen))
                                  : engine::make_engine(std::move(chosen));
  if (!made) return made.error();
  client.engine = std::move(*made);
  if (!born_) born_.emplace();
  return Done{};
}

void Runtime::log(const std::string& level, const std::string& message) {
  if (options.log) return options.log(level, message);
  std::fprintf(stderr, "kling: %s: %s\n", level.c_str(), message.c_str());
}

void Runtime::warn(const std::string& message) {
  if (warned_.insert(message).second) log("warning", message);
}

bool Runtime::name_cell(const std::string& request, Error& error) const {
  api::Json fields = cells.empty() ? api::Json() : api::parse_json(request);
  if (!fields.is_object()) return false;
  if (!fields.contains(error.field)) fields[error.field] = "";
  for (const auto& [column, value] : fields.items()) {
    const std::string text = api::scalar_text(value);
    const bool meant =
        !error.field.empty() ? column == error.field : error.message.ends_with(": " + text);
    const auto cell = meant ? cells.find(column + "\n" + text) : cells.end();
    if (cell == cells.end()) continue;
    error.message.insert(std::min(error.message.find('\n'), error.message.size()),
                         " (" + cell->second + ")");
    return true;
  }
  return false;
}

Runtime* any_runtime_of(lua_State* L) {
  if (!lua_checkstack(L, 1)) return nullptr;
  lua_rawgetp(L, LUA_REGISTRYINDEX, &home_key);
  const auto* home = static_cast<Object<Home>*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  return home != nullptr && home->alive ? home->value.state.get() : nullptr;
}

Runtime* runtime_of(lua_State* L) {
  Runtime* state = any_runtime_of(L);
  return state != nullptr && state->is_here() ? state : nullptr;
}

Runtime& state_of(lua_State* L) {
  Runtime* state = runtime_of(L);
  if (state == nullptr)
    luaL_error(L, any_runtime_of(L) != nullptr ? "this belongs to the process that made it"
                                               : "kling is closing");
  return *state;
}

Runtime& open_state(lua_State* L, ModuleOptions& options) {
  define<Home>(L, "kling.Runtime");
  Home& home = new_object<Home>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &home_key);
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_MAINTHREAD);
  lua_State* main = lua_tothread(L, -1);
  lua_pop(L, 1);
  pure(L, [&] { home.state = std::make_unique<Runtime>(main, std::move(options)); });
  return *home.state;
}

const std::shared_ptr<Client>& bound_client(lua_State* L) {
  return own_object<ClientRef>(L, lua_upvalueindex(1));
}

engine::Engine& engine_of(lua_State* L, Client& client) {
  if (client.engine) return *client.engine;
  Runtime& state = state_of(L);
  pure_or_raise(L, state.slip, [&] { return state.open_engine(client); });
  return *client.engine;
}

engine::JobSnapshot& push_snapshot(lua_State* L, Client& client,
                                   const std::shared_ptr<engine::Job>& job) {
  auto& snapshot = new_object<engine::JobSnapshot>(L);
  engine::Engine& engine = engine_of(L, client);
  pure(L, [&] { snapshot = engine.snapshot(job); });
  return snapshot;
}

Call& new_call(lua_State* L, const std::shared_ptr<Client>& client) {
  Call& call = new_call_unopened(L, client);
  engine_of(L, *client);
  return call;
}

Call& new_call_unopened(lua_State* L, const std::shared_ptr<Client>& client, bool at_once) {
  Scheduler& scheduler = state_of(L);
  scheduler.check_can_wait(L, at_once);
  std::size_t bytes = 0;
  for (int i = lua_gettop(L); i > 0; --i)
    if (lua_type(L, i) == LUA_TSTRING) bytes += lua_rawlen(L, i);
  Call& call = new_object<Call>(L);
  pure(L, [&] {
    call.client = client;
    call.reply = std::make_shared<Reply>(scheduler.home());
    call.reply->brief = true;
    call.reply->at_once = at_once;
  });
  hold_memory(L, bytes, call.reply->memory);
  return call;
}

int raise_failure(lua_State* L, const Call& call) {
  Runtime& state = state_of(L);
  const Reply& reply = *call.reply;
  if (!reply.error) return luaL_error(L, "not enough memory");
  for (const Awaited& asked : reply.awaited) state.note_raised(L, asked.ask, reply.error->kind);
  if (reply.made_by) state.note_raised(L, reply.made_by, reply.error->kind);
  pure(L, [&] { (void)state.name_cell(call.text, state.slip = *reply.error); });
  return raise(L, state.slip);
}

Wait& new_wait(lua_State* L) {
  Scheduler& scheduler = state_of(L);
  scheduler.check_can_wait(L);
  Wait& wait = new_object<Wait>(L);
  pure(L, [&] { wait = std::make_shared<Ticket>(scheduler.home()); });
  return wait;
}

void note_ask(lua_State* L, Call& call, engine::CreateRequest& request, const Where& here) {
  Scheduler& scheduler = state_of(L);
  const Task* task = scheduler.running();
  request.task_path = task ? task->path : "main";
  scheduler.note_ask(request.ask);
  request.where = here.text;
  request.story = scheduler.story();
  call.reply->awaited.push_back({.ask = request.ask});
}

void note_taken(lua_State* L, bool taken) {
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 1));
  for (lua_Integer i = 1; i <= count; ++i, lua_pop(L, 1)) {
    lua_rawgeti(L, 1, i);
    if (const JobRef* job = test_object<JobRef>(L, -1); job != nullptr) {
      job->ask->delivered = taken;
      if (taken) state_of(L).note_got(*job->ask);
    }
  }
}

void check_list(lua_State* L, int index, const char* name) {
  const int top = lua_gettop(L);
  lua_pushglobaltable(L);
  lua_pushliteral(L, "arg");
  lua_rawget(L, -2);
  const bool words = lua_rawequal(L, -1, index) != 0;  // behind the script, which is arg[0]
  if (lua_rawgeti(L, index, 0) != LUA_TNIL && !words)
    raise_message(
        L, lua_pushfstring(L, "%s takes a list, and got a table with the name 0 in it", name),
        "a list begins at 1: { one, two }");
  lua_settop(L, top);
  lua_pushnil(L);
  if (lua_rawlen(L, index) == 0 && !words && lua_next(L, index) != 0 &&
      lua_type(L, -2) == LUA_TSTRING && std::strcmp(lua_tostring(L, -2), "n") != 0)
    raise_message(L, lua_pushfstring(L, "%s takes a list, and got a table of named values", name),
                  "write { one, two } without names");
  lua_settop(L, top);
}

bool is_replayed(const std::shared_ptr<engine::Ask>& ask) { return ask->raised < ask->timeouts; }

int push_reply_json(lua_State* L, Call& call) { return push_json(L, call.reply->json), 1; }

int push_reply_text(lua_State* L, Call& call) {
  return lua_pushlstring(L, call.reply->text.data(), call.reply->text.size()), 1;
}

Millis read_deadline(lua_State* L, int index) {
  if (lua_isnoneornil(L, index)) return kNever;
  if (!lua_istable(L, index))
    raise_message(L, "wait takes a table", "write job:wait { timeout = 60 }");
  for (lua_pushnil(L); lua_next(L, index); lua_pop(L, 1)) {
    const char* key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
    if (std::strcmp(key, "timeout") != 0 && std::strcmp(key, "on_progress") != 0) {
      const bool comma = *key == '?' && lua_getfield(L, index, "timeout") != LUA_TNIL;
      raise_message(L, lua_pushfstring(L, "wait takes timeout and on_progress, not '%s'", key),
                    comma ? kPoint : "write job:wait { timeout = 60 }");
    }
  }
  if (lua_getfield(L, index, "timeout") == LUA_TNIL) return lua_pop(L, 1), kNever;
  if (lua_type(L, -1) != LUA_TNUMBER)
    raise_message(L, "timeout is a number of seconds", "write timeout = 60");
  const lua_Number seconds = lua_tonumber(L, -1);
  lua_pop(L, 1);
  return state_of(L).deadline(seconds);
}

std::function<void(const std::string&, engine::TextDone)> upload_by(Runtime& runtime,
                                                                    int function) {
  return [home = runtime.home(), queue = runtime.shared_queue(), &runtime, function](
             const std::string& path, engine::TextDone done) {
    queue->post([home, &runtime, upload = Upload{function, path, std::move(done)}] {
      if (*home != nullptr) begin(runtime, runtime.main(), upload);
    });
  };
}

}  // namespace kling::lua
