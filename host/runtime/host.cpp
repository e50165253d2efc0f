#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "base/files.h"
#include "engine/media/ffmpeg.h"
#include "runtime/host_state.h"

namespace kling {
extern const std::string_view kBorders;  // borders.lua
}

using namespace kling;
using api::Json;
using runtime::kTaskBits;
using runtime::text_of;

kling_host::kling_host(const kling_host_options& options)
    : safe_(text_of(options.profile) == "safe"), hooks_(options) {
  engine_.base_url = text_of(options.base_url);
  engine_.key = text_of(options.key);
  if (options.get_key != nullptr)
    engine_.get_key = [this] { return text_of(hooks_.get_key(hooks_.user)); };
  // Relative ones as they are meant now, wherever the program goes later.
  const auto path = [](const char* given) {
    std::error_code error;
    const std::string text = text_of(given);
    return text.empty() || text == ":memory:" ? text : fs::absolute(text, error).string();
  };
  engine_.ledger_path = path(options.ledger);
  engine_.store_folder = path(options.store);
  engine_.poll_interval = static_cast<Millis>(options.poll * 1000);
  if (options.price_factor > 0) engine_.price_factor = options.price_factor;
  engine_.callback = text_of(options.callback);
  engine_.webhook_secret = text_of(options.webhook_secret);
  engine_.network = {path(options.ca_file), text_of(options.proxy), text_of(options.user_agent)};
  if (options.ffmpeg != nullptr) engine::media::use_tools(options.ffmpeg);
  if (options.max_jobs > 0) engine_.limits.slots = options.max_jobs;
  if (options.max_cost > 0) engine_.limits.budget_usd = options.max_cost;
  for (const char* const* root = options.roots; root != nullptr && *root != nullptr; ++root)
    engine_.confinement.roots.push_back(path(*root));
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
  engine_.embedded = true;
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

static int exit_script(lua_State* L) {
  const int code = lua_isboolean(L, 1) ? !lua_toboolean(L, 1) : int(luaL_optinteger(L, 1, 0));
  return lua::state_of(L).end_script(L, code);
}

static int is_input(lua_State* L) {
  const char* path = lua_tostring(L, 1);
  lua_pushboolean(L, path != nullptr && is_standard_input(path));
  return 1;
}

static int say(lua_State* L) {
  auto& host = *static_cast<kling_host*>(lua_touserdata(L, lua_upvalueindex(1)));
  std::size_t size = 0;
  const char* text = luaL_optlstring(L, 1, nullptr, &size);
  lua::pure(L, [&] { text != nullptr ? host.print({text, size}) : host.end_line(); });
  return 0;
}

void kling_host::print(std::string_view text) {
  constexpr std::size_t kLongestLine = 1 << 16;  // what a script writes counts in no limit of Lua's
  for (const char c : text) {
    if (c == '\n' || line_.size() >= kLongestLine) log_line();
    if (c == '\0')
      line_ += "\\0";  // a hook's text would end there
    else if (c != '\n')
      line_ += c;
  }
}

void kling_host::log_line() { hooks_.log(hooks_.user, "print", std::exchange(line_, "").c_str()); }

void kling_host::end_line() {
  if (!line_.empty()) log_line();
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
  if (state_ == nullptr)
    return fail(hooks_.memory_limit == 0
                    ? "not enough memory for a Lua state"
                    : printed("memory_limit: %zu bytes are not enough", hooks_.memory_limit),
                KLING_NO_MEMORY);
  if (call([&](lua_State* L) {
        runtime_ = &script::open(L, safe_, std::move(module));
        runtime_->tell_lost = [this](const lua::TaskResult& task) {
          if (hooks_.log != nullptr)
            hooks_.log(hooks_.user, "error", task.message.c_str());
          else
            std::fprintf(stderr, "kling: error: %s\n", task.message.c_str());
        };
        if (luaL_loadbufferx(L, kBorders.data(), kBorders.size(), "=[kling]", "t") != LUA_OK)
          lua_error(L);
        lua_pushcfunction(L, exit_script);
        lua_pushcfunction(L, is_input);
        lua_pushlightuserdata(L, this);
        lua_pushcclosure(L, say, 1);
        if (hooks_.log == nullptr) lua_pop(L, 1);
        lua_call(L, hooks_.log != nullptr ? 3 : 2, 0);
        for (auto& [name, function] : functions_) runtime::set_function(L, name.c_str(), function);
      }))
    return true;
  lua_close(std::exchange(state_, nullptr));
  runtime_ = nullptr;
  return false;
}

Result<std::shared_ptr<engine::Engine>> kling_host::make_engine(engine::EngineOptions chosen) {
  if (chosen.key.empty() && chosen.get_key) chosen.key = chosen.get_key();
  const std::string url = chosen.base_url.empty() ? engine::kDefaultBaseUrl : chosen.base_url;
  std::shared_ptr<engine::Engine>* kept = nullptr;
  for (auto& engine : kept_) {
    const engine::EngineOptions& has = engine->options;
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
    if (!chosen.key.empty() || chosen.get_key) found->set_key(chosen.key);
    found->set_limits(chosen.limits);
    return found;
  }
  return engine::make_engine(std::move(chosen));
}

// ---- Tasks ----

kling_task kling_host::run(const char* name, std::string_view source, const char* arguments,
                           const std::string& folder) {
  const std::string chunk = std::string("@") + name;
  return start(name, arguments, [&](lua_State* L) {
    if (!safe_) script::use_folder(L, *runtime_, folder);
    script::load(L, source, chunk.c_str());
  });
}

void kling_host::tell_end(kling_task task, bool ok) {
  end_line();
  const auto ended = running_.extract(task);
  const Json event = {{"event", "ended"}, {"task", task}, {"name", ended.mapped()}, {"ok", ok}};
  feed_->add(api::to_text(event), task);
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
    if (!value && safe_) {  // what is garbage counts against its limit until it is collected
      lua_gc(state_, LUA_GCCOLLECT);
      value = lua::to_json(state_, top + i, &lua::kTold);
    }
    if (!value) fail("result " + std::to_string(i) + ": " + value.error().message);
    values.push_back(value ? std::move(*value) : Json());
  }
  lua_settop(state_, top);
  return give(values);
}

std::vector<engine::Engine*> kling_host::engines(std::vector<engine::Engine*> all) const {
  for (const auto& engine : kept_) all.push_back(engine.get());
  return state_ == nullptr ? all : runtime_->engines(std::move(all));
}

bool kling_host::read_json(const char* text, Json& value) {
  if (text != nullptr) value = api::parse_json(text, false);
  return !value.is_discarded() ||
         fail("this is no JSON of at most 64 levels: " + api::excerpt(text, 60));
}

const char* kling_host::give(std::string text) {
  text_ = std::move(text);
  return text_.empty() ? nullptr : text_.c_str();
}

const char* kling_host::give(const Json& value) { return give(api::to_text(value)); }
