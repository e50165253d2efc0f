// How a task ended that ended with an error, told before its thread is gone.
#include <algorithm>
#include <cstring>

#include "lua/errors.h"
#include "lua/manual.h"
#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

/// What is kept of a script's error: it may be as long as memory allows, and lies outside of it.
constexpr std::size_t kMostMessage = 8u << 10;
std::string cut(const char* message) { return std::string(message).substr(0, kMostMessage); }

/// The text of an error value that is none of ours, after the place where the script raised it.
int describe(lua_State* L) {  // value traceback
  const bool has_text = lua_isstring(L, 1) || luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL;
  if (has_text) {
    luaL_tolstring(L, 1, nullptr);
    return 1;
  }
  const char* line = std::strchr(lua_tostring(L, 2), '\t');
  const char* end = line == nullptr ? nullptr : std::strstr(line, ": in ");
  if (end != nullptr) lua_pushlstring(L, line + 1, std::size_t(end - line - 1));
  lua_pushfstring(L, "%s%serror without a text (%s)", end ? lua_tostring(L, -1) : "",
                  end ? ": " : "", luaL_typename(L, 1));
  return 1;
}

}  // namespace

/// Fills the failure of a task whose thread has died.
int Scheduler::explain(lua_State* L) {
  auto& self = *static_cast<Scheduler*>(lua_touserdata(L, 1));
  Task& task = *self.running_;
  lua_State* thread = task.thread;
  Failure* made = nullptr;
  pure(L, [&] {
    auto copy = std::make_shared<Failure>(*self.no_memory_);
    made = copy.get();
    task.failure = std::move(copy);
  });
  Failure& failure = *made;
  luaL_traceback(L, thread, nullptr, 0);  // before the frames are gone
  const char* traceback = lua_tostring(L, -1);
  pure(L, [&] { failure.traceback = user_frames(traceback); });
  close_thread(thread, L);
  if (task.exits) {
    pure(L, [&] {
      failure.error = {.kind = Kind::interrupted, .code = std::to_string(task.exit_code)};
      failure.message = failure.error.message = "os.exit(" + failure.error.code + ")";
    });
    task.observed = true;
    return 0;
  }
  if (const char* why = stopped(L)) {  // says more than the wait that was cut short
    pure(L, [&] { failure.message = failure.error.message = why; });
    return 0;
  }

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
    failure.error.hint = meant_instead(failure.message);
    // Where what is meant is known, nobody needs to read where else it was looked for.
    const std::size_t tried = failure.message.find("' not found:\n");
    if (!failure.error.hint.empty() && tried != failure.message.npos)
      failure.message.resize(tried + std::strlen("' not found"));
    failure.error.message = failure.message;
    if (!failure.error.hint.empty()) failure.message += "; " + failure.error.hint;
    if (task.inherited && task.inherited->message == failure.message)
      failure.traceback = task.inherited->traceback + "\n" + failure.traceback;
  });
  return 0;
}

}  // namespace kling::lua
