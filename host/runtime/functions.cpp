#include <cstring>

#include "api/text.h"
#include "lua/runtime_state.h"
#include "runtime/hooks.h"

namespace kling::runtime {
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
    pending.reply->json = api::parse_json(pending.text);
    if (!pending.reply->json.is_discarded()) return pending.reply->complete();
    error.message = "the program's answer is no JSON: " + pending.text.substr(0, 60);
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
  lua::Scheduler& scheduler = lua::state_of(L).scheduler;
  lua::Call& call = lua::new_object<lua::Call>(L);
  lua::pure_or_raise(L, call.error, [&]() -> Status {
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
    function.call(function.user, Calls::all().put(pending), call.text.c_str());
    std::lock_guard lock(pending->mutex);
    pending->returned = true;
    if (pending->answered) settle(*pending);
  });
  if (call.reply->done && call.reply->failed) return lua::raise(L, call.reply->error);
  if (call.reply->done) return lua::push_reply_json(L, call);
  return lua::await<lua::push_reply_json>(L, call);
}

/// Pushes the table that holds the last part of a dotted name, which it returns; null: there is
/// none.
const char* push_owner(lua_State* L, const char* name, bool make) {
  lua_pushglobaltable(L);
  while (const char* dot = std::strchr(name, '.')) {
    lua_pushlstring(L, name, static_cast<std::size_t>(dot - name));
    lua_pushvalue(L, -1);
    const int type = lua_rawget(L, -3);  // owner part value
    if (type != LUA_TTABLE) {
      if (!make) return nullptr;
      if (type != LUA_TNIL) luaL_error(L, "%s is no table", lua_tostring(L, -2));
      lua_newtable(L);
      lua_replace(L, -2);
      lua_pushvalue(L, -2);
      lua_pushvalue(L, -2);
      lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
    name = dot + 1;
  }
  return name;
}

}  // namespace

void push_function(lua_State* L, const char* name) {
  const char* last = push_owner(L, name, false);
  if (last != nullptr) {
    lua_pushstring(L, last);
    lua_rawget(L, -2);
  }
  if (last == nullptr || !lua_isfunction(L, -1)) luaL_error(L, "there is no function %s", name);
}

void set_function(lua_State* L, const char* name, Function& function) {
  lua_pushstring(L, push_owner(L, name, true));
  lua_pushlightuserdata(L, &function);
  lua_pushstring(L, name);
  lua_pushcclosure(L, call_program, 2);
  lua_rawset(L, -3);
}

}  // namespace kling::runtime

int kling_call_answer(kling_call* call, const char* json) {
  return kling::runtime::answer(call, json, false);
}

int kling_call_fail(kling_call* call, const char* message) {
  return kling::runtime::answer(call, message, true);
}
