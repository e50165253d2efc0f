// The C face of <kling/host.h>: one Lua state and the engines its scripts use, which outlive a
// state that is reloaded. Ticking thread only; a tick neither blocks nor does I/O; no exception
// gets out.
#include "kling/host.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <map>
#include <thread>

#include "api/text.h"
#include "base/leaving.h"
#include "engine/error_json.h"
#include "lua/runtime_state.h"
#include "runtime/feed.h"
#include "runtime/functions.h"
#include "runtime/hooks.h"
#include "script/script.h"

namespace kling {
extern const std::string_view kBorders;  // borders.lua
}

using namespace kling;
using api::Json;

namespace {

constexpr int kTaskBits = 40;  // a trillion tasks a state

std::string text_of(const char* text) { return text != nullptr ? text : ""; }

}  // namespace

struct kling_host {
  explicit kling_host(const kling_host_options& options);
  ~kling_host() {
    bell_.reset();
    if (state_ != nullptr) lua_close(state_);
  }
  kling_host(const kling_host&) = delete;
  kling_host& operator=(const kling_host&) = delete;

  /// Makes the Lua state. False: error_ tells why.
  bool open();
  bool call(auto work);
  bool fail(const std::string& why, int code = KLING_ERROR) {
    code_ = code;
    return error_ = why, false;
  }
  bool read_json(const char* text, Json& value);
  const char* give(const Json& value);
  const char* give(std::string text);  ///< empty: none
  Result<std::unique_ptr<engine::Engine>> make_engine(engine::EngineOptions chosen);
  /// `push` pushes the function that becomes a task.
  void set_borders(lua_State* L);
  kling_task start(const char* name, const char* arguments, auto push);
  kling_task run(const char* name, std::string_view source, const char* arguments,
                 const std::string& folder);
  const char* result(kling_task task);
  int task_state(kling_task task) const;
  lua::TaskId known(kling_task task) const;
  std::vector<engine::Engine*> engines() const;

  const Birthplace home_;
  std::atomic<std::thread::id> thread_{std::this_thread::get_id()};
  int depth_ = 0;  ///< calls of the program under way: one from within is from a callback
  const bool safe_;
  const kling_host_options hooks_;  ///< its texts are not ours: only the hooks and numbers
  engine::EngineOptions engine_;
  std::shared_ptr<runtime::HostClock> clock_;  ///< null: the wall clock
  std::shared_ptr<engine::CompletionQueue> queue_;
  std::unique_ptr<runtime::Bell> bell_;  ///< null: nobody wants to be woken
  std::size_t used_ = 0;                 ///< bytes of the Lua state
  lua_State* state_ = nullptr;
  lua::Runtime* runtime_ = nullptr;
  kling_task generation_ = 0;  ///< of the state: in the upper half of a kling_task
  std::vector<std::unique_ptr<engine::Engine>> kept_;  ///< of states before
  std::shared_ptr<runtime::Feed> feed_ = std::make_shared<runtime::Feed>();
  std::map<std::string, runtime::Function> functions_;  ///< registered, under their names
  std::string error_, text_;
  int code_ = KLING_OK;
};

kling_host::kling_host(const kling_host_options& options)
    : safe_(text_of(options.profile) == "safe"), hooks_(options) {
  engine_.base_url = text_of(options.base_url);
  engine_.key = text_of(options.key);
  engine_.ledger_path = text_of(options.ledger);
  engine_.store_folder = text_of(options.store);
  engine_.poll_interval = static_cast<Millis>(options.poll * 1000);
  if (options.price_factor > 0) engine_.price_factor = options.price_factor;
  engine_.callback = text_of(options.callback);
  engine_.webhook_secret = text_of(options.webhook_secret);
  if (options.max_jobs > 0) engine_.limits.slots = options.max_jobs;
  if (options.max_cost > 0) engine_.limits.budget_usd = options.max_cost;
  for (const char* const* root = options.roots; root != nullptr && *root != nullptr; ++root)
    engine_.confinement.roots.emplace_back(*root);
  for (const char* const* host = options.hosts; host != nullptr && *host != nullptr; ++host)
    engine_.confinement.hosts.emplace_back(*host);
  if (options.now != nullptr)
    clock_ = std::make_shared<runtime::HostClock>(options.now(options.user));
  queue_ = std::make_shared<engine::CompletionQueue>(
      clock_ ? std::static_pointer_cast<Clock>(clock_) : make_clock());
  if (options.send != nullptr)
    engine_.transport = runtime::make_hook_transport(options.send, options.user, queue_);
  if (options.wake != nullptr)
    bell_ = std::make_unique<runtime::Bell>(options.wake, options.user, queue_);
  if (options.max_requests > 0) engine_.limits.budget_jobs = options.max_requests;
  if (options.patience != 0)
    engine_.patience = static_cast<Millis>(std::max(0.0, options.patience) * 1000);
  engine_.ask_when_lost = options.ask_when_lost != 0;
  engine_.typed = options.no_replay != 0;
  // Workers log, too; their words are told by a tick.
  if (options.log != nullptr)
    engine_.log = [hook = options.log, user = options.user, queue = std::weak_ptr(queue_)](
                      const std::string& level, const std::string& message) {
      if (const auto to = queue.lock())
        to->post([=] { hook(user, level.c_str(), message.c_str()); });
    };
}

// ---- The Lua state ----

static void* allocate(void* data, void* block, std::size_t old_size, std::size_t new_size) {
  auto& self = *static_cast<kling_host*>(data);
  if (block == nullptr) old_size = 0;  // it is a type tag then
  const std::size_t limit = self.hooks_.memory_limit;
  if (limit != 0 && new_size > old_size && self.used_ - old_size + new_size > limit) return nullptr;
  void* moved = nullptr;
  if (self.hooks_.allocate != nullptr) {
    moved = self.hooks_.allocate(self.hooks_.user, block, old_size, new_size);
  } else if (new_size == 0) {
    std::free(block);
  } else {
    moved = std::realloc(block, new_size);
  }
  if (moved != nullptr || new_size == 0) self.used_ += new_size - old_size;
  return moved;
}

/// Runs what may raise Lua errors; false and error_ when it did.
bool kling_host::call(auto work) {
  if (state_ == nullptr) return fail("the host has no Lua state: not enough memory");
  const Status done = script::protect(state_, work);
  return done.ok() || fail(done.error().message);
}

bool kling_host::open() {
  used_ = 0;
  if (safe_) {
    lua::Limits limits;
    if (hooks_.memory_limit != 0) limits.memory_bytes = hooks_.memory_limit;
    limits.instructions = hooks_.instruction_limit;
    // More than a thousand years, infinity too, is no limit.
    if (hooks_.wall_limit < 1e11)
      limits.wall_ms = static_cast<std::int64_t>(std::ceil(hooks_.wall_limit * 1000));
    limits.allocate = allocate;
    limits.allocate_data = this;
    state_ = lua::new_limited_state(limits);
  } else {
    state_ = lua_newstate(allocate, this);
  }
  lua::ModuleOptions module{
      .engine = engine_,
      .make_engine = [this](engine::EngineOptions o) { return make_engine(std::move(o)); },
      .queue = queue_,
      .own_interpreter = true,
      .log = nullptr};
  if (hooks_.log != nullptr)
    module.log = [this](const std::string& level, const std::string& message) {
      hooks_.log(hooks_.user, level.c_str(), message.c_str());
    };
  if (state_ == nullptr) return fail("not enough memory for a Lua state");
  if (call([&](lua_State* L) {
        runtime_ = &script::open(L, safe_, std::move(module));
        set_borders(L);
        for (auto& [name, function] : functions_) runtime::set_function(L, name.c_str(), function);
      }))
    return true;
  lua_close(std::exchange(state_, nullptr));
  runtime_ = nullptr;
  return false;
}

static int exit_script(lua_State* L) {
  const int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : int(luaL_optinteger(L, 1, 0));
  return lua::state_of(L).scheduler.end_script(L, code);
}

static int say(lua_State* L) {
  const auto& hooks =
      *static_cast<const kling_host_options*>(lua_touserdata(L, lua_upvalueindex(1)));
  const char* line = luaL_checkstring(L, 1);
  lua::pure(L, [&] { hooks.log(hooks.user, "print", line); });
  return 0;
}

/// Runs borders.lua.
void kling_host::set_borders(lua_State* L) {
  if (luaL_loadbufferx(L, kBorders.data(), kBorders.size(), "=[kling]", "t") != LUA_OK)
    lua_error(L);
  lua_pushcfunction(L, exit_script);
  if (hooks_.log != nullptr) {
    lua_pushlightuserdata(L, const_cast<kling_host_options*>(&hooks_));
    lua_pushcclosure(L, say, 1);
  }
  lua_call(L, hooks_.log != nullptr ? 2 : 1, 0);
}

Result<std::unique_ptr<engine::Engine>> kling_host::make_engine(engine::EngineOptions chosen) {
  if (chosen.key.empty() && hooks_.get_key != nullptr)
    chosen.key = text_of(hooks_.get_key(hooks_.user));
  const std::string url = chosen.base_url.empty() ? engine::kDefaultBaseUrl : chosen.base_url;
  std::unique_ptr<engine::Engine>* kept = nullptr;
  for (auto& engine : kept_) {
    const engine::EngineOptions& has = engine->options();
    if (has.base_url != url || has.ledger_path != chosen.ledger_path || has.take != chosen.take)
      continue;
    // The key tells two clients of one service apart, and may have been changed.
    const bool same_key = engine->key() == chosen.key;
    if (kept == nullptr || same_key) kept = &engine;
    if (same_key) break;
  }
  if (kept != nullptr) {
    auto found = std::move(*kept);
    std::erase(kept_, nullptr);
    if (!chosen.key.empty()) found->set_key(chosen.key);
    found->set_limits(chosen.limits);
    return found;
  }
  return engine::make_engine(std::move(chosen));
}

// ---- Tasks ----

kling_task kling_host::start(const char* name, const char* arguments, auto push) {
  Json list;
  if (!read_json(arguments, list)) return 0;
  if (!list.is_null() && !list.is_array()) return fail("arguments are a JSON array");
  lua::TaskId started = 0;
  if (!call([&](lua_State* L) {
        push(L);
        started = script::start(L, *runtime_, name, list);
      }))
    return 0;
  if (bell_) queue_->wake();
  const kling_task task = started | generation_ << kTaskBits;
  runtime_->watch(started, {feed_, [this, task, name = std::string(name)] {
                              feed_->add(
                                  api::to_text(Json{{"event", "ended"},
                                                    {"task", task},
                                                    {"name", name},
                                                    {"ok", task_state(task) == KLING_TASK_DONE}}),
                                  task);
                            }});
  return task;
}

kling_task kling_host::run(const char* name, std::string_view source, const char* arguments,
                           const std::string& folder) {
  const std::string chunk = std::string("@") + name;
  return start(name, arguments, [&](lua_State* L) {
    if (!safe_) script::add_folder(L, folder);
    script::load(L, source, chunk.c_str());
  });
}

lua::TaskId kling_host::known(kling_task task) const {
  if (state_ == nullptr || task >> kTaskBits != generation_) return 0;
  return task & ((kling_task{1} << kTaskBits) - 1);
}

int kling_host::task_state(kling_task task) const {
  const lua::TaskId id = known(task);
  if (id == 0 || !runtime_->knows(id)) return KLING_TASK_UNKNOWN;
  const lua::TaskResult result = runtime_->result(id);
  if (!result.done) return KLING_TASK_RUNNING;
  return result.ok ? KLING_TASK_DONE : KLING_TASK_FAILED;
}

const char* kling_host::result(kling_task task) {
  const int state = task_state(task);
  if (state != KLING_TASK_DONE && state != KLING_TASK_FAILED) {
    fail(state == KLING_TASK_RUNNING ? "the task has not ended" : "there is no such task");
    return nullptr;
  }
  const lua::TaskId id = known(task);
  if (state == KLING_TASK_FAILED) {
    lua::TaskResult failure = runtime_->result(id);
    if (failure.error.message.empty()) failure.error.message = failure.message;
    return give({{"error", engine::to_json(failure.error)},
                 {"message", failure.message},
                 {"traceback", failure.traceback}});
  }
  const int top = lua_gettop(state_);
  const int count = runtime_->push_results(state_, id);
  if (count < 0) {
    fail("not enough memory for the results", KLING_NO_MEMORY);
    return nullptr;
  }
  Json values = Json::array();
  for (int i = 1; i <= count; ++i) {
    auto value = lua::to_json(state_, top + i, &lua::kTold);
    if (!value) fail("result " + std::to_string(i) + ": " + value.error().message);
    values.push_back(value ? std::move(*value) : Json());
  }
  lua_settop(state_, top);
  return give(values);
}

std::vector<engine::Engine*> kling_host::engines() const {
  std::vector<engine::Engine*> all;
  for (const auto& engine : kept_) all.push_back(engine.get());
  if (state_ != nullptr)
    for (engine::Engine* engine : runtime_->engines()) all.push_back(engine);
  return all;
}

bool kling_host::read_json(const char* text, Json& value) {
  if (text != nullptr) value = api::parse_json(text);
  return !value.is_discarded() || fail("this is no JSON: " + std::string(text).substr(0, 60));
}

const char* kling_host::give(std::string text) {
  text_ = std::move(text);
  return text_.empty() ? nullptr : text_.c_str();
}

const char* kling_host::give(const Json& value) { return give(api::to_text(value)); }

// ---- The functions ----

namespace {

/// Of a call that was refused where the host's own words must not be touched.
thread_local const char* refusal = "";

bool is_mine(const kling_host* host) {
  return host != nullptr && host->thread_ == std::this_thread::get_id();
}

/// Whether this call may go on. `texts`: those that it cannot do without.
bool may_enter(kling_host* host, std::initializer_list<const void*> texts, bool from_callback) {
  refusal = host == nullptr  ? "there is no host: it is NULL"
            : !is_mine(host) ? "this host belongs to another thread: kling_host_move_here moves it"
                             : "";
  if (*refusal != '\0') return false;
  // A forked child has the host's memory but not its threads, which may have held any lock.
  if (!host->home_.is_here())
    return host->fail("this host belongs to the process that made it", KLING_FORKED);
  if (host->depth_ > 0 && !from_callback)
    return host->fail("this is not for a callback: the host is at work", KLING_MISUSE);
  return std::ranges::find(texts, nullptr) == texts.end() ||
         host->fail("a text that this needs is NULL", KLING_MISUSE);
}

/// What the function answers, or `otherwise` where it may not be called, and when it threw (memory
/// is short).
template <class Value, class Work>
Value guarded(kling_host* host, Value otherwise, std::initializer_list<const void*> texts,
              Work work, bool from_callback = true) {
  if (!may_enter(host, texts, from_callback)) return otherwise;
  Value value = otherwise;
  ++host->depth_;
  try {
    value = work();
  } catch (const std::exception& failure) {
    host->fail(failure.what(), KLING_NO_MEMORY);
  }
  --host->depth_;
  return value;
}
template <class Value, class Work>
Value guarded(kling_host* host, Value otherwise, Work work) {
  return guarded(host, otherwise, {}, work);
}

/// As far as the program knew the options when it was compiled; the rest is zero.
kling_host_options present_options(const kling_host_options& given) {
  kling_host_options options{};
  std::memcpy(&options, &given, std::min(given.struct_size, sizeof options));
  return options;
}

const char* wrong_with(const kling_host_options& options) {
  if (options.struct_size < offsetof(kling_host_options, user))
    return "struct_size is not set: start from KLING_HOST_OPTIONS";
  if (options.ledger == nullptr || *options.ledger == '\0')
    return "ledger is required: a file, or \":memory:\" for a host that forgets";
  if (options.profile != nullptr && std::strcmp(options.profile, "full") != 0 &&
      std::strcmp(options.profile, "safe") != 0)
    return "profile is \"full\" or \"safe\"";
  if (!(options.poll >= 0 && options.poll < 1e9) || options.max_jobs < 0 ||
      !(options.wall_limit >= 0) || !(options.max_cost >= 0))
    return "poll, max_jobs and max_cost are 0 or more";
  if (options.price_factor != 0 && !engine::is_price_factor(options.price_factor))
    return "price_factor is above 0 and at most 100";
  if (!text_of(options.callback).empty() && !api::is_url(options.callback))
    return "callback is an http or https address";
  return nullptr;
}

}  // namespace

const char* kling_host_version(void) { return KLING_VERSION; }

kling_host* kling_host_new(const kling_host_options* given, char* error, size_t error_size) {
  const auto refuse = [&](const char* why) -> kling_host* {
    if (error != nullptr && error_size > 0) std::snprintf(error, error_size, "%s", why);
    return nullptr;
  };
  if (given == nullptr) return refuse("there are no options");
  const kling_host_options options = present_options(*given);
  if (const char* why = wrong_with(options)) return refuse(why);
  try {
    auto made = std::make_unique<kling_host>(options);
    if (!made->open()) return refuse(made->error_.c_str());
    return made.release();
  } catch (const std::exception& failure) {
    return refuse(failure.what());
  }
}

int kling_host_free(kling_host* host) {
  if (host == nullptr) return KLING_OK;
  if (!may_enter(host, {}, false)) return kling_host_code(host);
  delete host;
  return KLING_OK;
}

const char* kling_host_error(kling_host* host) {
  return is_mine(host) ? host->error_.c_str() : refusal;
}

int kling_host_code(kling_host* host) { return is_mine(host) ? host->code_ : int{KLING_MISUSE}; }

int kling_host_move_here(kling_host* host) {
  if (host != nullptr && host->depth_ == 0) host->thread_ = std::this_thread::get_id();
  return may_enter(host, {}, false) ? int{KLING_OK} : kling_host_code(host);
}

int kling_host_register(kling_host* host, const char* name, kling_function function, void* user) {
  return guarded(host, -1, {name}, [&] {
    if (function == nullptr)
      return host->fail("there is no function: it is NULL", KLING_MISUSE) - 1;
    runtime::Function& kept = host->functions_[name];
    kept = {function, user};
    return host->call([&](lua_State* L) { runtime::set_function(L, name, kept); }) - 1;
  });
}

kling_task kling_host_call(kling_host* host, const char* function, const char* arguments) {
  return guarded(host, kling_task{0}, {function}, [&] {
    return host->start(function, arguments,
                       [&](lua_State* L) { runtime::push_function(L, function); });
  });
}

kling_task kling_host_run(kling_host* host, const char* name, const char* source, size_t size,
                          const char* arguments) {
  return guarded(host, kling_task{0}, {name, source}, [&] {
    return host->run(name, {source, size}, arguments, "");
  });
}

kling_task kling_host_run_file(kling_host* host, const char* path, const char* arguments) {
  return guarded(host, kling_task{0}, {path}, [&]() -> kling_task {
    const auto source = script::read(path);
    if (!source) return host->fail(source.error().message + ": " + source.error().hint);
    const std::string name = std::filesystem::path(path).filename().string();
    return host->run(name.c_str(), *source, arguments, script::folder_of(path));
  });
}

int kling_host_tick(kling_host* host, long long budget_us) {
  return guarded(host, -1, [&] {
    if (host->clock_) host->clock_->set(host->hooks_.now(host->hooks_.user));
    if (host->state_ == nullptr) return 0;
    if (host->safe_) lua::refill(host->state_);
    const bool more = host->runtime_->run(budget_us);
    if (host->bell_) host->bell_->set(more ? 0 : host->runtime_->next_timer());
    return int{more};
  });
}

int kling_host_fd(kling_host* host) {
  return guarded(host, -1, [&] { return host->queue_->fd(); });
}

int kling_host_task_state(kling_host* host, kling_task task) {
  return guarded(host, int{KLING_TASK_UNKNOWN}, [&] { return host->task_state(task); });
}

const char* kling_host_result(kling_host* host, kling_task task) {
  return guarded<const char*>(host, nullptr, [&] { return host->result(task); });
}

void kling_host_forget(kling_host* host, kling_task task) {
  guarded(host, 0, [&] {
    if (const lua::TaskId id = host->known(task)) host->runtime_->release(id);
    host->feed_->forget(task);
    return 0;
  });
}

void kling_host_cancel(kling_host* host, kling_task task) {
  guarded(host, 0, [&] {
    if (host->bell_) host->queue_->wake();
    if (host->state_ != nullptr && task == 0) host->runtime_->cancel_all();
    if (const lua::TaskId id = host->known(task)) host->runtime_->cancel(id);
    return 0;
  });
}

const char* kling_host_jobs(kling_host* host) {
  return guarded<const char*>(host, nullptr, [&] {
    host->feed_->look(host->engines());
    return host->give(host->feed_->list(host->engines()));
  });
}

const char* kling_host_job(kling_host* host, const char* handle) {
  return guarded<const char*>(host, nullptr, {handle}, [&] {
    host->feed_->look(host->engines());
    std::string text = host->feed_->find(handle);
    if (text.empty()) host->fail(std::string("there is no job ") + handle);
    return host->give(std::move(text));
  });
}

const char* kling_host_next_event(kling_host* host) {
  return guarded<const char*>(host, nullptr, [&] {
    host->feed_->look(host->engines());
    return host->give(host->feed_->next());
  });
}

size_t kling_host_pending(kling_host* host) {
  return guarded(host, size_t{0}, [&] {
    size_t count = 0;
    for (const engine::Engine* engine : host->engines()) count += engine->pending();
    return count;
  });
}

const char* kling_host_questions(kling_host* host) {
  return guarded<const char*>(host, nullptr, [&] {
    Json list = Json::array();
    for (engine::Engine* engine : host->engines())
      for (const auto& question : engine->questions()) list.push_back(engine::to_json(question));
    return host->give(list);
  });
}

int kling_host_answer(kling_host* host, long long question, int choice) {
  return guarded(host, -1, [&] {
    for (engine::Engine* engine : host->engines())
      for (const auto& asked : engine->questions())
        if (asked.id == question && choice >= 1 && choice <= engine::answers(asked))
          return engine->answer_question(question, choice, [](const Status&) {}), 0;
    return host->fail("there is no question " + std::to_string(question) + " with an answer " +
                      std::to_string(choice)) -
           1;
  });
}

int kling_host_busy(kling_host* host) {
  return guarded(host, -1, [&] {
    return int{std::ranges::any_of(host->engines(), &engine::Engine::is_busy)};
  });
}

int kling_host_wakeup(kling_host* host) {
  if (host == nullptr || !host->home_.is_here()) return KLING_MISUSE;
  host->queue_->wake();
  return KLING_OK;
}

int kling_host_notify(kling_host* host, const char* path, const char* body, size_t size) {
  return kling_host_notify_signed(host, path, nullptr, body, size);
}

int kling_host_notify_signed(kling_host* host, const char* path, const char* const* headers,
                             const char* body, size_t size) {
  return guarded(host, -1, {path, body}, [&] {
    if (host->state_ == nullptr) return host->fail("the host has no Lua state") - 1;
    api::CallbackRequest request{path, {}, {body, size}};
    for (; headers != nullptr && headers[0] != nullptr && headers[1] != nullptr; headers += 2)
      request.headers.emplace_back(headers[0], headers[1]);
    for (const auto& engine : host->kept_) engine->notify(request, [](const auto&) {});
    const Status taken = host->runtime_->notify(request);
    return taken ? 0 : host->fail(taken.error().message) - 1;
  });
}

int kling_host_set(kling_host* host, const char* name, const char* json) {
  return guarded(host, -1, {name}, [&] {
    Json value;
    const bool set = host->read_json(json, value) && host->call([&](lua_State* L) {
      lua_pushglobaltable(L);
      lua_pushstring(L, name);
      if (value.is_null()) {
        lua_pushnil(L);
      } else {
        lua::push_json(L, value);
      }
      lua_rawset(L, -3);
    });
    return set ? 0 : -1;
  });
}

const char* kling_host_get(kling_host* host, const char* name) {
  return guarded<const char*>(host, nullptr, {name}, [&]() -> const char* {
    Result<Json> value = Json();
    const bool got = host->call([&](lua_State* L) {
      lua_pushglobaltable(L);
      lua_pushstring(L, name);
      lua_rawget(L, -2);
      lua::pure(L, [&] { value = lua::to_json(L, 3, &lua::kTold); });
    });
    if (!got) return nullptr;
    if (!value) host->fail(value.error().message);
    return value ? host->give(*value) : nullptr;
  });
}

int kling_host_reload(kling_host* host) {
  return guarded(
      host, -1, {},
      [&] {
        host->feed_->look(host->engines());  // jobs that have ended leave their engine now
        if (host->state_ != nullptr) {
          auto taken = host->runtime_->take_engines();
          lua_close(std::exchange(host->state_, nullptr));
          for (auto& engine : taken) host->kept_.push_back(std::move(engine));
        }
        for (const auto& engine : host->kept_) engine->begin_run();
        ++host->generation_;
        return host->open() ? 0 : -1;
      },
      false);
}
