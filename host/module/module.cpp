// kling.so: the module for interpreters and programs that bring their own Lua.
#include <algorithm>
#include <filesystem>

#include "kling/kling.h"
#include "lua/runtime_state.h"
#include "runtime/settings.h"
#include "script/script.h"

namespace kling {
namespace {

void log(const std::string& level, const std::string& message) {
  const bool plain = level == "info";
  std::fprintf(stderr, "kling: %s%s%s\n", plain ? "" : level.c_str(), plain ? "" : ": ",
               message.c_str());
}

/// Of a task that nobody waited for: else it would end in silence.
void log_lost(const lua::TaskResult& task) { log("error", task.message); }

using lua::pure;

constexpr std::chrono::seconds kLastWait{10};
constexpr Millis kLookMillis = 20;

/// Lets requests arrive before the process ends; tasks do not run any more.
void wait_for_requests(lua::Runtime& runtime) {
  const auto until = std::chrono::steady_clock::now() + kLastWait;
  const auto is_busy = [&] {
    return std::ranges::any_of(runtime.engines(), &engine::Engine::is_busy);
  };
  for (const lua::TaskResult& lost : runtime.take_unobserved()) log_lost(lost);
  while (is_busy() && std::chrono::steady_clock::now() < until) {
    engine::CompletionQueue& queue = runtime.queue();
    queue.drain();
    queue.wait(queue.clock().now() + kLookMillis);
  }
}

int wait_before_end(lua_State* L) {
  lua::Runtime* runtime = lua::runtime_of(L);
  if (runtime != nullptr) pure(L, [&] { wait_for_requests(*runtime); });
  return 0;
}

/// os.exit, which skips finalizers unless asked. Upvalue: the one of the interpreter.
int exit_after_requests(lua_State* L) {
  if (!lua_isboolean(L, 1)) (void)luaL_optinteger(L, 1, 0);  // or else it would not exit
  wait_before_end(L);
  lua::Runtime* runtime = lua::runtime_of(L);
  // Workers end first: the process takes down what they use.
  if (runtime != nullptr) pure(L, [&] { (void)runtime->take_engines(); });
  lua_pushvalue(L, lua_upvalueindex(1));
  lua_insert(L, 1);
  lua_call(L, lua_gettop(L) - 1, 0);
  return 0;
}

/// The end of the state (its finalizers run last made first) and os.exit wait for requests.
void guard_the_end(lua_State* L) {
  const int top = lua_gettop(L);
  lua_newuserdatauv(L, 0, 0);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, wait_before_end);
  lua_setfield(L, -2, "__gc");
  lua_setmetatable(L, -2);
  static char sentinel;
  lua_rawsetp(L, LUA_REGISTRYINDEX, &sentinel);

  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (lua_getfield(L, -1, "os") == LUA_TTABLE && lua_getfield(L, -1, "exit") == LUA_TFUNCTION) {
    lua_pushcclosure(L, exit_after_requests, 1);
    lua_setfield(L, -2, "exit");
  }
  lua_settop(L, top);
}

/// What opening needs, where a Lua error may pass.
struct Opening {
  std::optional<lua::ModuleOptions> options;  // made where it may throw
  std::string folder;
};

/// The path of the script that the interpreter runs, as `lua5.4` tells it: arg[0], with the
/// interpreter's own name before it. "" when lines are typed, or a program runs chunks of its own.
/// Leaves on the stack what keeps the text.
const char* find_script(lua_State* L) {
  lua_rawgeti(L, LUA_REGISTRYINDEX, LUA_RIDX_GLOBALS);
  lua_pushliteral(L, "arg");
  if (lua_rawget(L, -2) != LUA_TTABLE || lua_rawgeti(L, -1, -1) != LUA_TSTRING ||
      lua_rawgeti(L, -2, 0) != LUA_TSTRING)
    return "";
  const char* script = lua_tostring(L, -1);
  bool is_file = false;
  pure(L, [&] {
    std::error_code error;
    is_file = std::filesystem::is_regular_file(script, error);
  });
  return is_file ? script : "";
}

void read_settings(Opening& opening, const char* script) {
  std::string notice;
  auto settings = runtime::engine_options({}, script, false, notice);
  opening.options.emplace();
  if (!settings) {  // a user's mistake is no reason to end the program: the first request tells
    opening.options->make_engine = [error = settings.error()](const auto&) { return error; };
    settings = engine::EngineOptions();
  }
  if (!notice.empty()) log("info", notice);
  settings->typed = *script == '\0';
  settings->log = log;
  if (!settings->typed) opening.folder = script::folder_of(script);
  opening.options->log = log;
  opening.options->engine = std::move(*settings);
}

/// pump([microseconds]) for hosts that are written in Lua themselves.
int pump(lua_State* L) {
  lua_pushboolean(L, kling_pump(L, luaL_optinteger(L, 1, 0)) > 0);
  return 1;
}

int descriptor(lua_State* L) {
  lua_pushinteger(L, kling_fd(L));
  return 1;
}

// Missing in a Lua before 5.4 (host/CMakeLists.txt).
#pragma weak lua_newuserdatauv

bool is_ours(lua_State* L) {
  return lua_newuserdatauv != nullptr && lua_version(L) == LUA_VERSION_NUM;
}

/// Null: the module is not open there.
lua::Runtime* runtime_in(lua_State* L) {
  return L != nullptr && is_ours(L) ? lua::runtime_of(L) : nullptr;
}

}  // namespace
}  // namespace kling

extern "C" {

int luaopen_kling(lua_State* L) {
  using namespace kling;
  if (!is_ours(L))
    return luaL_error(L, "this kling is for Lua 5.4, and the program around it is another Lua");
  luaL_checkversion(L);
  // It is open, and package.loaded was cleared; not where opening has failed half-way.
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, lua::module_key()) == LUA_TTABLE) return 1;
  lua_pop(L, 1);
  const char* script = find_script(L);
  lua::define<Opening>(L, "kling.Opening");
  auto& opening = lua::new_object<Opening>(L);
  lua::pure(L, [&] { read_settings(opening, script); });
  lua::Runtime& runtime = lua::open_module(L, std::move(*opening.options));
  script::use_folder(L, runtime, opening.folder);
  runtime.tell_lost = log_lost;
  guard_the_end(L);
  lua_pushcfunction(L, pump);
  lua_setfield(L, -2, "pump");
  lua_pushcfunction(L, descriptor);
  lua_setfield(L, -2, "fd");
  return 1;
}

int kling_pump(lua_State* L, long long microseconds) {
  kling::lua::Runtime* runtime = kling::runtime_in(L);
  try {
    return runtime != nullptr ? int{runtime->pump(L, microseconds)} : -1;
  } catch (const std::exception&) {
    return 1;  // memory was short, or a callback of the program threw: the others' turn comes
  }
}

int kling_fd(lua_State* L) {
  kling::lua::Runtime* runtime = kling::runtime_in(L);
  return runtime != nullptr ? runtime->queue().fd() : -1;
}

}  // extern "C"
