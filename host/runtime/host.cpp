#include "runtime/host.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "api/pasted.h"
#include "engine/error_json.h"
#include "lua/convert.h"
#include "lua/safe.h"
#include "runtime/hook_transport.h"

namespace kling::runtime {
namespace {

constexpr int kTaskBits = 40;  // a billion tasks a state

std::string text_of(const char* text) { return text != nullptr ? text : ""; }

api::Json describe(const engine::JobSnapshot& job) {
  api::Json value = {{"handle", job.handle},
                     {"kind", job.endpoint},
                     {"state", job.state},
                     {"cost", job.cost_usd},
                     {"reused", job.reused},
                     {"where", job.where},
                     {"prompt", job.summary},
                     {"waiting_for", job.waiting_for},
                     {"created", static_cast<double>(job.created_at) / 1000}};
  if (!job.task_id.empty()) value["id"] = job.task_id;
  if (!job.path.empty()) value["path"] = job.path;
  if (job.finished_at != 0) value["finished"] = static_cast<double>(job.finished_at) / 1000;
  if (job.error) value["error"] = engine::to_json(*job.error);
  return value;
}

}  // namespace

Host::Host(const kling_host_options& options)
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
  if (options.now != nullptr) clock_ = std::make_shared<HostClock>(options.now(options.user));
  queue_ = std::make_shared<engine::CompletionQueue>(
      clock_ ? std::static_pointer_cast<Clock>(clock_) : make_clock());
  if (options.send != nullptr)
    engine_.transport = make_hook_transport(options.send, options.user, queue_);
  // Workers log, too; their words are told by a tick.
  if (options.log != nullptr)
    engine_.log = [hook = options.log, user = options.user, queue = std::weak_ptr(queue_)](
                      const std::string& level, const std::string& message) {
      if (const auto to = queue.lock())
        to->post([=] { hook(user, level.c_str(), message.c_str()); });
    };
}

Host::~Host() {
  if (state_ != nullptr) lua_close(state_);
}

void Host::note_error(const char* what) { error_ = what; }

void* Host::allocate(void* data, void* block, std::size_t old_size, std::size_t new_size) {
  auto& self = *static_cast<Host*>(data);
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

// ---- The Lua state ----

bool Host::call(lua_CFunction function) {
  if (state_ == nullptr) {
    error_ = "the host has no Lua state: not enough memory";
    return false;
  }
  if (!lua_checkstack(state_, 4)) return false;
  lua_pushcfunction(state_, function);
  lua_pushlightuserdata(state_, this);
  if (lua_pcall(state_, 1, 0, 0) == LUA_OK) return true;
  const char* message = lua_tostring(state_, -1);
  error_ = message != nullptr ? message : "an error without a message";
  lua_pop(state_, 1);
  return false;
}

bool Host::open() {
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
  if (state_ != nullptr && call(prepare)) return true;
  if (state_ == nullptr) {
    error_ = "not enough memory for a Lua state";
  } else {
    lua_close(state_);
  }
  state_ = nullptr;
  runtime_ = nullptr;
  return false;
}

int Host::prepare(lua_State* L) {
  auto& self = *static_cast<Host*>(lua_touserdata(L, 1));
  if (!self.safe_) luaL_openlibs(L);
  lua::ModuleOptions& module = self.module_;
  lua::pure(L, [&] {
    module = {};
    module.engine = self.engine_;
    module.queue = self.queue_;
    module.own_interpreter = true;
    if (self.hooks_.log != nullptr)
      module.log = [&self](const std::string& level, const std::string& message) {
        self.hooks_.log(self.hooks_.user, level.c_str(), message.c_str());
      };
    module.make_engine = [&self](engine::EngineOptions chosen) {
      return self.make_engine(std::move(chosen));
    };
  });
  self.runtime_ =
      self.safe_ ? &lua::open_safe(L, std::move(module)) : &lua::open_module(L, std::move(module));
  return 0;
}

Result<std::unique_ptr<engine::Engine>> Host::make_engine(engine::EngineOptions chosen) {
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

bool Host::reload() {
  if (state_ != nullptr) {
    auto taken = runtime_->take_engines();
    lua_close(state_);
    state_ = nullptr;
    for (auto& engine : taken) kept_.push_back(std::move(engine));
  }
  for (const auto& engine : kept_) engine->begin_run();
  ++generation_;
  return open();
}

// ---- Tasks ----

kling_task Host::run(const char* name, const char* source, std::size_t size,
                     const char* arguments) {
  if (!read_json(arguments)) return 0;
  if (!json_.is_null() && !json_.is_array()) {
    error_ = "the arguments of a script are a JSON array";
    return 0;
  }
  const std::size_t mark = std::string_view(source, size).starts_with("\xEF\xBB\xBF") ? 3 : 0;
  name_ = name;
  source_ = source + mark;  // a byte order mark is no Lua
  source_size_ = size - mark;
  started_ = 0;
  if (!call(start)) return 0;
  return started_ | generation_ << kTaskBits;
}

kling_task Host::run_file(const char* path, const char* arguments) {
  namespace fs = std::filesystem;
  std::error_code failed;
  std::ifstream file(path, std::ios::binary);
  if (!file || fs::is_directory(path, failed)) {
    error_ = std::string("cannot read the script ") + path;
    return 0;
  }
  std::string source(std::istreambuf_iterator<char>(file), {});
  if (Status read = api::take_byte_order_mark(source, path); !read) {
    error_ = read.error().message + ": " + read.error().hint;
    return 0;
  }
  if (source.starts_with('#')) source.insert(0, "--");  // as the interpreter's own loader
  folder_ = fs::absolute(path, failed).parent_path().string();
  const std::string name = fs::path(path).filename().string();
  const kling_task task = run(name.c_str(), source.data(), source.size(), arguments);
  folder_.clear();
  return task;
}

/// Compiles the source and makes it a task.
int Host::start(lua_State* L) {
  auto& self = *static_cast<Host*>(lua_touserdata(L, 1));
  if (!self.safe_ && !self.folder_.empty() && lua_getglobal(L, "package") == LUA_TTABLE) {
    lua_getfield(L, -1, "path");
    const char* path = luaL_optstring(L, -1, "");
    lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;", self.folder_.c_str(), self.folder_.c_str());
    const char* added = lua_tostring(L, -1);
    if (std::string_view(path).find(added) == std::string_view::npos) {
      lua_pushfstring(L, "%s%s", added, path);
      lua_setfield(L, -4, "path");
    }
  }
  lua_settop(L, 1);
  lua_pushfstring(L, "@%s", self.name_);
  // Text only: a damaged or hostile binary chunk can crash the interpreter.
  if (luaL_loadbufferx(L, self.source_, self.source_size_, lua_tostring(L, 2), "t") != LUA_OK)
    return lua_error(L);
  const auto count = static_cast<int>(self.json_.size());
  luaL_checkstack(L, count + 2, "too many arguments");
  for (int i = 0; i < count; ++i) lua::push_json(L, self.json_[static_cast<std::size_t>(i)]);
  self.started_ = self.runtime_->spawn(L, count, self.name_);
  if (self.started_ == 0) luaL_error(L, "not enough memory");
  return 0;
}

bool Host::tick(std::int64_t budget_us) {
  if (clock_) clock_->set(hooks_.now(hooks_.user));
  if (state_ == nullptr) return false;
  if (safe_) lua::refill(state_);
  return runtime_->run(budget_us);
}

int Host::fd() { return queue_->fd(); }

lua::TaskId Host::known(kling_task task) const {
  if (state_ == nullptr || task >> kTaskBits != generation_) return 0;
  return task & ((kling_task{1} << kTaskBits) - 1);
}

int Host::task_state(kling_task task) const {
  const lua::TaskId id = known(task);
  if (id == 0 || !runtime_->knows(id)) return KLING_TASK_UNKNOWN;
  const lua::TaskResult result = runtime_->result(id);
  if (!result.done) return KLING_TASK_RUNNING;
  return result.ok ? KLING_TASK_DONE : KLING_TASK_FAILED;
}

const char* Host::result(kling_task task) {
  const int state = task_state(task);
  if (state != KLING_TASK_DONE && state != KLING_TASK_FAILED) {
    error_ = state == KLING_TASK_RUNNING ? "the task has not ended" : "there is no such task";
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
    error_ = "not enough memory for the results";
    return nullptr;
  }
  api::Json values = api::Json::array();
  for (int i = 1; i <= count; ++i) {
    auto value = lua::to_json(state_, top + i, nullptr);
    // What JSON cannot say is told as its kind, such as "Clip".
    values.push_back(value ? std::move(*value) : api::Json{{"error", value.error().message}});
  }
  lua_settop(state_, top);
  return give(values);
}

void Host::forget(kling_task task) {
  if (const lua::TaskId id = known(task)) runtime_->release(id);
}

void Host::cancel(kling_task task) {
  if (state_ == nullptr) return;
  if (task == 0) return runtime_->cancel_all();
  if (const lua::TaskId id = known(task)) runtime_->cancel(id);
}

// ---- Jobs ----

std::vector<engine::Engine*> Host::engines() const {
  std::vector<engine::Engine*> all;
  for (const auto& engine : kept_) all.push_back(engine.get());
  if (state_ != nullptr)
    for (engine::Engine* engine : runtime_->engines()) all.push_back(engine);
  return all;
}

const char* Host::jobs() {
  api::Json list = api::Json::array();
  for (engine::Engine* engine : engines())
    for (const auto& job : engine->jobs()) list.push_back(describe(engine->snapshot(job)));
  return give(list);
}

std::size_t Host::pending() const {
  std::size_t count = 0;
  for (const engine::Engine* engine : engines()) count += engine->pending();
  return count;
}

bool Host::notify(const char* path, const char* const* headers, std::string_view body) {
  api::CallbackRequest request{path, {}, std::string(body)};
  for (; headers != nullptr && *headers != nullptr && headers[1] != nullptr; headers += 2)
    request.headers.emplace_back(headers[0], headers[1]);
  if (state_ == nullptr) return error_ = "the host has no Lua state: not enough memory", false;
  const Status taken = runtime_->notify(request);
  if (!taken) error_ = taken.error().message;
  for (const auto& engine : kept_) engine->notify(request, [](const auto&) {});
  return taken.ok();
}

// ---- Values ----

bool Host::read_json(const char* text) {
  json_ = text != nullptr ? api::parse_json(text) : api::Json();
  if (!json_.is_discarded()) return true;
  error_ = "this is no JSON: " + std::string(text).substr(0, 60);
  return false;
}

const char* Host::give(const api::Json& value) {
  text_ = value.dump(-1, ' ', false, api::Json::error_handler_t::replace);
  return text_.c_str();
}

bool Host::set(const char* name, const char* json) {
  name_ = name;
  return read_json(json) && call(assign);
}

int Host::assign(lua_State* L) {
  auto& self = *static_cast<Host*>(lua_touserdata(L, 1));
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushstring(L, self.name_);
  if (self.json_.is_null()) {
    lua_pushnil(L);
  } else {
    lua::push_json(L, self.json_);
  }
  lua_rawset(L, -3);
  return 0;
}

const char* Host::get(const char* name) {
  const int top = state_ != nullptr ? lua_gettop(state_) : 0;
  name_ = name;
  json_ = api::Json();
  bool ready = call([](lua_State* L) {
    auto& self = *static_cast<Host*>(lua_touserdata(L, 1));
    lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
    lua_pushstring(L, self.name_);
    lua_rawget(L, -2);
    lua::pure(L, [&] {
      auto value = lua::to_json(L, 3, nullptr);
      self.error_ = value ? "" : value.error().message;
      if (value) self.json_ = std::move(*value);
    });
    return 0;
  });
  if (state_ != nullptr) lua_settop(state_, top);
  ready = ready && error_.empty();
  return ready ? give(json_) : nullptr;
}

}  // namespace kling::runtime
