// The functions of <kling/host.h>: who may call them is looked at here, and no exception gets out.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/files.h"
#include "runtime/host_state.h"

using namespace kling;
using api::Json;
using runtime::kTaskBits;
using runtime::text_of;

namespace {

// Of jobs that have changed, written in a tick: so that kling_host_jobs finds most of them.
constexpr std::size_t kTexts = 16;

// It has the host's memory but not its threads, which may have held any lock.
constexpr const char* kForked = "this host belongs to the process that made it: this one is forked";

bool is_mine(const kling_host* host) {
  return host != nullptr && host->thread_ == std::this_thread::get_id();
}

/// Whether what went wrong last here was told to this host.
bool tells(const kling_host* host) { return is_mine(host) && *runtime::refusal == '\0'; }

/// Whether this call may go on. `texts`: those that it cannot do without.
bool may_enter(kling_host* host, std::initializer_list<const void*> texts, bool from_callback) {
  runtime::refusal = host == nullptr ? "there is no host: it is NULL"
                     : !is_mine(host)
                         ? "this host belongs to another thread: kling_host_move_here moves it"
                         : "";
  if (*runtime::refusal != '\0') return false;
  if (!host->home_.is_here()) return host->fail(kForked, KLING_FORKED);
  if (host->depth_ > 0 && !from_callback)
    return host->fail("this is not for a callback: the host is at work", KLING_MISUSE);
  return std::ranges::find(texts, nullptr) == texts.end() ||
         host->fail("something that this needs is NULL", KLING_MISUSE);
}

/// What the function answers, or `otherwise` where it may not be called, and when it threw.
template <class Value, class Work>
Value guarded(kling_host* host, Value otherwise, std::initializer_list<const void*> texts,
              Work work, bool from_callback = true) {
  if (!may_enter(host, texts, from_callback)) return otherwise;
  Value value = otherwise;
  struct Depth {  // what is no std::exception leaves with it, and the host goes on
    int& depth;
    explicit Depth(int& of) : depth(of) { ++depth; }
    ~Depth() { --depth; }
  } const inside(host->depth_);
  try {
    value = work();
  } catch (const std::exception& failure) {
    const bool memory = dynamic_cast<const std::bad_alloc*>(&failure) != nullptr;
    host->fail(failure.what(), memory ? KLING_NO_MEMORY : KLING_ERROR);
  }
  return value;
}
template <class Value, class Work>
Value guarded(kling_host* host, Value otherwise, Work work, bool from_callback = true) {
  return guarded(host, otherwise, {}, work, from_callback);
}

/// Empty: nothing that can be seen at once.
std::string wrong_with(const kling_host_options& options) {
  if (options.struct_size < offsetof(kling_host_options, user))
    return "struct_size is not set: start from KLING_HOST_OPTIONS";
  const std::string ledger = text_of(options.ledger), profile = text_of(options.profile);
  if (ledger.empty()) return "ledger is required: a file, or \":memory:\" for a host that forgets";
  for (const auto& [name, path, is_folder] :
       {std::tuple("ledger", ledger == ":memory:" ? "" : ledger, false),
        {"store", text_of(options.store), true}}) {
    std::error_code error;
    const fs::path wanted = fs::absolute(path, error);
    fs::path at = wanted;
    while (!at.empty() && !fs::exists(at, error)) at = at.parent_path();
    const bool folder = fs::is_directory(at, error);
    if (!path.empty() && folder != (is_folder || at != wanted))
      return std::string(name) + ": " + at.string() + (folder ? " is a folder" : " is no folder");
    if (!path.empty() && ::access(at.c_str(), W_OK) != 0)
      return std::string(name) + ": " + at.string() + ": " + system_message(errno);
  }
  std::vector<std::pair<const char*, std::string>> files;
  if (options.ca_file != nullptr) files.emplace_back("ca_file", options.ca_file);
  for (const char* tool : {"/ffmpeg", "/ffprobe"})
    if (!text_of(options.ffmpeg).empty())
      files.emplace_back("ffmpeg", options.ffmpeg + text_of(tool));
  for (const auto& [name, path] : files)
    if (::access(path.c_str(), name[0] == 'c' ? R_OK : X_OK) != 0)
      return name + (": " + path) + ": " + system_message(errno);
  if (!profile.empty() && profile != "full" && profile != "safe")
    return "profile is \"full\" or \"safe\", not " + api::shown(profile);
  for (const char* const* root = options.roots; root != nullptr && *root != nullptr; ++root)
    if (std::error_code error; !fs::is_directory(*root, error))
      return std::string("roots: ") + *root + " is no folder";
  if (const std::string key = text_of(options.key); !key.empty() && api::is_blank(key))
    return "key: it is blank; without one get_key is asked";
  for (const auto& [name, is_set] :
       {std::pair("roots", options.roots != nullptr && *options.roots != nullptr),
        {"hosts", options.hosts != nullptr && *options.hosts != nullptr},
        {"instruction_limit", options.instruction_limit != 0},
        {"wall_limit", options.wall_limit != 0}})
    if (is_set && profile != "safe")
      return std::string(name) + " is for the profile \"safe\": in \"full\" nothing is limited";
  const std::tuple<const char*, double, double> numbers[] = {
      {"poll", options.poll, 1e9},
      {"max_jobs", double(options.max_jobs), 1e6},
      {"max_cost", options.max_cost, HUGE_VAL},
      {"max_requests", double(options.max_requests), 1e6},
      {"wall_limit", options.wall_limit, HUGE_VAL},
      {"price_factor", options.price_factor, 100},
      {"patience", options.patience == -1 ? 0 : options.patience, 1e9}};
  for (const auto& [name, value, most] : numbers)
    if (!(value >= 0 && value <= most))
      return printed("%s is a number from 0 to %g%s, not %g", name, most,
                     name == std::string("patience") ? ", or -1" : "", value);
  return "";
}

}  // namespace

const char* kling_host_version(void) { return KLING_VERSION; }

kling_host* kling_host_new(const kling_host_options* given, char* error, size_t error_size) {
  const auto refuse = [&](const std::string& why) -> kling_host* {
    if (error != nullptr && error_size > 0) std::snprintf(error, error_size, "%s", why.c_str());
    static thread_local char told[256];
    std::snprintf(told, sizeof told, "%s", why.c_str());
    runtime::refusal = told;
    return nullptr;
  };
  runtime::refusal = "";
  if (given == nullptr) return refuse("there are no options: they are NULL");
  // As far as the program knew the options when it was compiled; the rest is zero.
  kling_host_options options{};
  std::memcpy(&options, given, std::min(given->struct_size, sizeof options));
  try {
    if (const std::string why = wrong_with(options); !why.empty()) return refuse(why);
    auto made = std::make_unique<kling_host>(options);
    if (const Status good = engine::check(made->engine_); !good)
      return refuse(good.error().message);
    const fs::path ledger = made->engine_.ledger_path;
    for (const auto& [name, folder] : {std::pair("ledger: ", ledger.parent_path().string()),
                                       {"store: ", made->engine_.store_folder}})
      if (Status there = make_folders(folder); !there) return refuse(name + there.error().message);
    if (!made->open()) return refuse(made->error_);
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
  return tells(host) ? host->error_.c_str() : runtime::refusal;
}

int kling_host_code(kling_host* host) {
  return tells(host) ? host->code_ : int{runtime::refusal == kForked ? KLING_FORKED : KLING_MISUSE};
}

int kling_host_move_here(kling_host* host) {
  if (host != nullptr && host->depth_ == 0) host->thread_ = std::this_thread::get_id();
  return may_enter(host, {}, false) ? int{KLING_OK} : kling_host_code(host);
}

int kling_host_register(kling_host* host, const char* name, kling_function function, void* user) {
  return guarded(host, -1, {name, reinterpret_cast<const void*>(function)}, [&] {
    const auto [at, is_new] = host->functions_.try_emplace(name);
    at->second = {function, user};
    if (host->call([&](lua_State* L) { runtime::set_function(L, name, at->second); })) return 0;
    if (is_new) host->functions_.erase(at);  // a reload would fail of it
    if (host->code_ == KLING_ERROR) host->code_ = KLING_MISUSE;
    return -1;
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
    std::error_code absent;
    if (fs::exists(path, absent) && !fs::is_regular_file(path, absent))
      return host->fail(no_such_file(path).message), 0;
    const auto source = script::read(path);
    if (!source) return host->fail(source.error().message + ": " + source.error().hint);
    const std::string name = std::filesystem::path(path).filename().string();
    return host->run(name.c_str(), *source, arguments, script::folder_of(path));
  });
}

int kling_host_tick(kling_host* host, long long budget_us) {
  return guarded(
      host, -1,
      [&] {
        if (host->clock_) host->clock_->set(host->hooks_.now(host->hooks_.user));
        if (host->state_ == nullptr) return host->queue_->drain(), 0;
        if (host->safe_) lua::refill(host->state_);
        const bool more = host->runtime_->run(budget_us);
        const std::string stuck = more ? "" : host->runtime_->deadlock();
        if (std::exchange(host->stuck_, stuck) != stuck && !stuck.empty())
          host->hooks_.log(host->hooks_.user, "warning", stuck.c_str());
        host->shown_.clear();
        host->shown_ = host->engines(std::move(host->shown_));
        host->feed_->look_at_jobs(host->shown_, kTexts);
        host->feed_->prepare_list();
        if (host->bell_) host->bell_->set(more ? 0 : host->runtime_->next_timer());
        return int{more};
      },
      false);
}

int kling_host_fd(kling_host* host) {
  return guarded(host, -1, [&] { return host->queue_->fd(); });
}

int kling_host_task_state(kling_host* host, kling_task task) {
  return guarded(host, int{KLING_TASK_UNKNOWN}, [&] {
    const int state = host->task_state(task);
    if (state == KLING_TASK_UNKNOWN && task != 0) host->fail("there is no such task");
    return state;
  });
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
    return host->feed_->list(host->engines()).c_str();
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

const void* kling_host_clip(kling_host* host, const char* handle, size_t* size) {
  return guarded<const void*>(host, nullptr, {handle, size}, [&]() -> const void* {
    host->feed_->look(host->engines());
    const Json job = api::parse_json(host->feed_->find(handle));
    const Json& path = api::member(job, "path");
    if (!path.is_string())
      return host->fail(std::string("there is no stored clip of ") + handle), nullptr;
    auto bytes = read_file(path.get<std::string>(), std::uint64_t(2) << 30);
    if (!bytes) return host->fail(bytes.error().message), nullptr;
    *size = bytes->size();
    return host->give(std::move(*bytes));
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
    const std::string name = "question " + std::to_string(question);
    bool known = false;
    for (engine::Engine* engine : host->engines())
      for (const auto& asked : engine->questions())
        if (asked.id == question && choice >= 1 && choice <= engine::answers(asked)) {
          known = true;  // another client may have a question of that number, too
          if (asked.answer != 0 || !host->answered_.emplace(engine, question).second) continue;
          const std::weak_ptr<void> living = host->feed_;
          engine->answer_question(question, choice, [=](const Status& kept) {
            if (!kept && !living.expired()) host->answered_.erase({engine, question});
          });
          return 0;
        }
    if (known) return host->fail(name + " was answered before", KLING_MISUSE) - 1;
    return host->fail("there is no " + name + " with an answer " + std::to_string(choice)) - 1;
  });
}

int kling_host_busy(kling_host* host) {
  return guarded(host, -1, [&] {
    return int{std::ranges::any_of(host->engines(), &engine::Engine::is_busy)};
  });
}

int kling_host_wakeup(kling_host* host) {
  if (host == nullptr) return (void)may_enter(host, {}, true), KLING_MISUSE;
  if (!host->home_.is_here()) return runtime::refusal = kForked, KLING_FORKED;
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
  return guarded(host, -1, {name, json}, [&] {
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
          while (!host->running_.empty()) host->tell_end(host->running_.begin()->first, false);
          for (auto& engine : taken) host->kept_.push_back(std::move(engine));
        }
        for (const auto& engine : host->kept_) engine->begin_run();
        for (const auto& engine : host->kept_) engine->forget_asks();
        host->feed_->look(host->engines());  // nobody asks now
        ++host->generation_;
        return host->open() ? 0 : -1;
      },
      false);
}
