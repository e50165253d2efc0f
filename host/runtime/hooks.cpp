#include "runtime/hooks.h"

#include <cstring>

#include "api/text.h"
#include "base/signals.h"
#include "lua/runtime_state.h"
#include "net/body.h"

namespace {

using kling::Kind;
using kling::net::HttpOutcome;

/// What a worker and the program around us share: whoever comes last lets it go.
struct Meeting {
  std::mutex mutex;
  std::condition_variable changed;
  bool begun = false;                  ///< the hook was called
  kling_exchange* exchange = nullptr;  ///< then
  bool ended = false;
  HttpOutcome outcome;
};

HttpOutcome failed(bool lost, const char* why) {
  return {.stage = lost ? HttpOutcome::Stage::lost : HttpOutcome::Stage::not_sent,
          .error = {.kind = Kind::network, .message = why, .retryable = true}};
}

using Exchanges = kling::runtime::Handles<kling_exchange, Meeting>;

int end(kling_exchange* exchange, HttpOutcome how) {
  const auto meeting = Exchanges::all().take(exchange);
  if (!meeting) return KLING_MISUSE;
  std::lock_guard lock(meeting->mutex);
  if (!std::exchange(meeting->ended, true)) meeting->outcome = std::move(how);
  meeting->changed.notify_all();
  return KLING_OK;
}

}  // namespace

namespace kling::runtime {
namespace {

class HookTransport final : public net::Transport {
 public:
  HookTransport(SendHook hook, void* user, std::shared_ptr<engine::CompletionQueue> queue)
      : send_(hook), user_(user), queue_(std::move(queue)) {}

  HttpOutcome send(const net::HttpRequest& request) override {
    std::string body;
    auto reader = net::BodyReader::open(request.body);
    if (!reader) return {.error = reader.error()};
    for (;;) {
      auto block = reader->next();
      if (!block) return {.error = block.error()};
      if (block->empty()) break;
      body += *block;
    }
    auto meeting = std::make_shared<Meeting>();
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return failed(false, kClosing);
      std::erase_if(open_, [](const auto& other) { return other.expired(); });
      open_.push_back(meeting);
    }
    queue_->post([meeting, request, body = std::move(body), hook = send_, user = user_] {
      {
        std::lock_guard lock(meeting->mutex);
        if (meeting->ended) return;
        meeting->begun = true;
        meeting->exchange = Exchanges::all().put(meeting);
      }
      call(hook, user, request, body, meeting->exchange);
    });
    std::unique_lock lock(meeting->mutex);
    const bool in_time =
        meeting->changed.wait_for(lock, request.deadline, [&] { return meeting->ended; });
    if (in_time) return std::move(meeting->outcome);
    meeting->ended = true;
    Exchanges::all().take(meeting->exchange);
    return failed(meeting->begun, "the program's transport gave no answer in time");
  }

  void stop() override {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    for (const auto& weak : open_)
      if (const auto meeting = weak.lock()) {
        std::lock_guard meeting_lock(meeting->mutex);
        if (!std::exchange(meeting->ended, true))
          meeting->outcome = failed(meeting->begun, kClosing);
        meeting->changed.notify_all();
      }
  }

 private:
  static constexpr const char* kClosing = "the host is closing";

  static void call(SendHook hook, void* user, const net::HttpRequest& request,
                   const std::string& body, kling_exchange* exchange) {
    std::vector<const char*> headers;
    for (const auto& [name, value] : request.headers) {
      headers.push_back(name.c_str());
      headers.push_back(value.c_str());
    }
    headers.push_back(nullptr);
    const kling_request view{.struct_size = sizeof(kling_request),
                             .method = request.method.c_str(),
                             .target = request.target.c_str(),
                             .headers = headers.data(),
                             .content_type = request.content_type.c_str(),
                             .body = body.data(),
                             .body_size = body.size(),
                             .deadline_ms = request.deadline.count()};
    hook(user, &view, exchange);
  }

  const SendHook send_;
  void* const user_;
  const std::shared_ptr<engine::CompletionQueue> queue_;
  std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::weak_ptr<Meeting>> open_;
};

}  // namespace

// ---- The bell ----

Bell::Bell(void (*hook)(void*), void* user, std::shared_ptr<engine::CompletionQueue> queue)
    : hook_(hook), user_(user), queue_(std::move(queue)) {
  at_exit_ = at_exit([this](auto) { stop(); });
  const SignalBlock signals;  // they are the program's business
  thread_ = std::thread([this] { run(); });
}

void Bell::set(Millis due) {
  std::lock_guard lock(mutex_);
  due_ = due;
  armed_ = true;
  changed_.notify_all();
}

void Bell::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return armed_ || stopped_; });
    if (stopped_) return;
    armed_ = false;
    const Millis due = due_;
    lock.unlock();
    queue_->wait(due);
    lock.lock();
    if (stopped_) return;
    armed_ = false;  // by a tick meanwhile: this is the call after that one
    lock.unlock();
    hook_(user_);
    lock.lock();
  }
}

void Bell::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  queue_->wake();
  if (thread_.joinable()) thread_.join();
}

// ---- The transport ----

std::shared_ptr<net::Transport> make_hook_transport(
    SendHook send, void* user, std::shared_ptr<engine::CompletionQueue> queue) {
  return std::make_shared<HookTransport>(send, user, std::move(queue));
}

// ---- Functions of the program that scripts call ----

namespace {

/// One call, shared by its script and by who answers it.
struct Pending {
  std::mutex mutex;
  bool returned = false;  ///< the function has, and its script waits
  bool answered = false;
  std::string text;
  bool failed = false;
  std::shared_ptr<lua::Reply> reply;
  std::weak_ptr<engine::CompletionQueue> queue;  ///< which holds this, once answered
};
using Calls = Handles<kling_call, Pending>;

/// Owner's thread: the reply gets what was answered.
void settle(Pending& pending) {
  Error error{.kind = Kind::script, .message = pending.text};
  if (!pending.failed) {
    pending.reply->json = api::parse_json(pending.text, false);
    if (!pending.reply->json.is_discarded()) return pending.reply->complete();
    error.message =
        "the program's answer is no JSON of at most 64 levels: " + api::excerpt(pending.text, 60);
  }
  pending.reply->fail(std::move(error));
}

int answer(kling_call* call, const char* text, bool failed) {
  const auto pending = Calls::all().take(call);
  if (!pending) return KLING_MISUSE;
  std::lock_guard lock(pending->mutex);
  pending->answered = true;
  pending->text = text != nullptr ? text : failed ? "the program's function failed" : "null";
  pending->failed = failed;
  if (!pending->returned) return KLING_OK;
  if (const auto queue = pending->queue.lock()) queue->post([pending] { settle(*pending); });
  return KLING_OK;
}

/// Upvalues: the Function, its name.
int call_program(lua_State* L) {
  const auto& function = *static_cast<Function*>(lua_touserdata(L, lua_upvalueindex(1)));
  const int count = lua_gettop(L);
  lua::Runtime& scheduler = lua::state_of(L);
  lua::Call& call = lua::new_object<lua::Call>(L);
  lua::pure_or_raise(L, scheduler.slip, [&]() -> Status {
    call.reply = std::make_shared<lua::Reply>(scheduler.home());
    call.json = api::Json::array();
    for (int i = 1; i <= count; ++i) {
      Status read = lua::put(lua::to_json(L, i, &lua::kTold), call.json.emplace_back());
      if (read) continue;
      read.error().message = lua_tostring(L, lua_upvalueindex(2)) + (": " + read.error().message);
      return read;
    }
    call.text = api::to_text(call.json);
    return Done{};
  });
  lua::pure(L, [&] {
    const auto pending = std::make_shared<Pending>();
    pending->reply = call.reply;
    pending->queue = scheduler.shared_queue();
    try {
      function.call(function.user, Calls::all().put(pending), call.text.c_str());
    } catch (const std::exception& thrown) {
      return call.reply->fail({.kind = Kind::script, .message = thrown.what()});
    } catch (...) {
      return call.reply->fail(
          {.kind = Kind::script,
           .message = "the program's function threw what is no std::exception"});
    }
    std::lock_guard lock(pending->mutex);
    pending->returned = true;
    if (pending->answered) settle(*pending);
  });
  if (call.reply->done && call.reply->failed) return lua::raise_failure(L, call);
  if (call.reply->done) return lua::push_reply_json(L, call);
  return lua::await<lua::push_reply_json>(L, call);
}

}  // namespace

void push_function(lua_State* L, const char* name) {
  lua_pushglobaltable(L);
  const char* rest = name;
  while (rest != nullptr && lua_istable(L, -1)) {
    luaL_checkstack(L, 3, nullptr);
    const std::size_t size = std::strcspn(rest, ".");
    lua_pushlstring(L, rest, size);
    // What the program gives lies behind the table in "safe".
    if (lua_rawget(L, -2) == LUA_TNIL && luaL_getmetafield(L, -2, "__index") != LUA_TNIL) {
      if (!lua_istable(L, -1)) break;
      lua_pushlstring(L, rest, size);
      lua_rawget(L, -2);
    }
    rest = rest[size] == '.' ? rest + size + 1 : nullptr;
  }
  if (rest != nullptr || !lua_isfunction(L, -1)) luaL_error(L, "there is no function %s", name);
}

void set_function(lua_State* L, const char* name, Function& function) {
  // What Lua's own parser takes for names between dots.
  constexpr const char* kLetters =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.";
  const int top = lua_gettop(L);
  const char* source = lua_pushfstring(L, "%s=1", name);
  if (name[std::strspn(name, kLetters)] != '\0' || std::strcmp(name, "kling") == 0 ||
      std::strncmp(name, "kling.", 6) == 0 ||
      luaL_loadbufferx(L, source, std::strlen(source), name, "t") == LUA_ERRSYNTAX)
    luaL_error(L,
               "\"%s\" is no name for a function: letters, digits and _ between dots, none of the "
               "words of Lua, and not the name kling",
               name);
  lua_pushlightuserdata(L, &function);
  lua_pushstring(L, name);
  lua_pushcclosure(L, call_program, 2);
  lua::give(L, name);
  lua_settop(L, top);
}

}  // namespace kling::runtime

int kling_exchange_answer(kling_exchange* exchange, int status, const char* content_type,
                          const char* body, size_t size) {
  if (body == nullptr && size > 0)
    return kling::runtime::refusal = "something that this needs is NULL", KLING_MISUSE;
  HttpOutcome outcome{.stage = HttpOutcome::Stage::answered, .status = status};
  if (content_type != nullptr) outcome.content_type = content_type;
  if (body != nullptr) outcome.body.assign(body, size);
  return end(exchange, std::move(outcome));
}

int kling_exchange_fail(kling_exchange* exchange, int may_have_been_sent) {
  return end(exchange, failed(may_have_been_sent != 0, "the program's transport failed"));
}

int kling_call_answer(kling_call* call, const char* json) {
  return kling::runtime::answer(call, json, false);
}

int kling_call_fail(kling_call* call, const char* message) {
  return kling::runtime::answer(call, message, true);
}
