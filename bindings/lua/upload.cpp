// configure{ upload = function }: the script's function puts a file where the service can fetch it.
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

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
  Result<std::string> url = Error{.message = "it returned no text"};
  if (count > 0 && lua_type(L, -count) == LUA_TSTRING) url = std::string(lua_tostring(L, -count));
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
  add_watch(runtime.scheduler.find(task)->watches,
            {.owner = owner, .tell = [&runtime, L, task, owner, done = upload.done] {
               done(address_of(runtime, L, task));
               runtime.release(task);
             }});
}

}  // namespace

std::function<void(const std::string&, engine::TextDone)> upload_by(Runtime& runtime,
                                                                    int function) {
  return [home = runtime.scheduler.home(), queue = runtime.scheduler.shared_queue(), &runtime,
          function](const std::string& path, engine::TextDone done) {
    queue->post([home, &runtime, upload = Upload{function, path, std::move(done)}] {
      if (*home != nullptr) begin(runtime, runtime.main(), upload);
    });
  };
}

}  // namespace kling::lua
