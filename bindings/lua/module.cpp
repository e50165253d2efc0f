// The module table: this file is the index of what a script finds in it.
#include "lua/runtime_state.h"

namespace kling {

extern const std::string_view kPrelude, kPreludeCode;  // prelude.lua, and compiled
}

namespace kling::lua {

/// What prelude.lua adds to the table; a test compares it with what is there.
constexpr const char* kPreludeNames[] = {"all", "any", "map", "timeout"};

static void run_prelude(lua_State* L, bool own_interpreter) {  // module job_methods
  // Compiled by the very Lua that is inside here; another program's may be of another release.
  const std::string_view text = own_interpreter ? kPreludeCode : kPrelude;
  if (luaL_loadbufferx(L, text.data(), text.size(), "=[kling]", own_interpreter ? "b" : "t") !=
      LUA_OK)
    lua_error(L);
  lua_newtable(L);
  luaL_setfuncs(L, kTaskCore, 0);
  lua_pushvalue(L, -4);
  lua_pushvalue(L, -4);
  lua_pushboolean(L, own_interpreter);
  lua_call(L, 4, 0);
}

/// __index of the module: nothing, as scripts may ask what there is.
static int missing_member(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  Runtime* const runtime = runtime_of(L);
  if (runtime == nullptr) return 0;
  pure(L, [&] { runtime->missing_member = name; });
  if (runtime->options.engine.confinement.on) return 0;  // as for globals: it looks into files
  lua_pushfstring(L, "kling.%s", name);
  note_missing(L, lua_tostring(L, -1));
  return 0;
}

/// __newindex of the module: what is an option has no effect there.
static int set_member(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  bool option = false;
  pure(L, [&] { option = is_option(name); });
  if (option || lua_isboolean(L, 3) || lua_isstring(L, 3))
    return raise_new(L, [&](Error& error) {
      error.message = std::string("kling.") + name + " is no field that can be set";
      const bool key = std::string_view(name) == "api_key";
      error.hint = option
                       ? std::string("write kling.configure { ") + (key ? "key" : name) + " = … }"
                       : "kling.configure { … } takes options; to pay nothing: kling run --sim";
    });
  luaL_checktype(L, 1, LUA_TTABLE);  // called by hand
  lua_settop(L, 3);
  lua_rawset(L, 1);
  return 0;
}

void push_functions(lua_State* L) {  // client
  lua_newtable(L);
  lua_insert(L, -2);  // module client
  for (const luaL_Reg* list : {kVerbs, kMediaVerbs, kListVerbs, kQuestionVerbs}) {
    for (const luaL_Reg* entry = list; entry->name != nullptr; ++entry) {
      lua_pushvalue(L, -1);
      lua_pushcclosure(L, entry->func, 1);
      lua_setfield(L, -3, entry->name);
    }
  }
  add_endpoints(L);
  lua_pop(L, 1);
  luaL_setfuncs(L, kTaskVerbs, 0);
  push_null(L);
  lua_setfield(L, -2, "null");
  lua_pushliteral(L, "kling 0.1.0");
  lua_setfield(L, -2, "_VERSION");
  static const luaL_Reg kMeta[] = {
      {"__index", missing_member}, {"__newindex", set_member}, {nullptr, nullptr}};
  luaL_newlib(L, kMeta);
  lua_setmetatable(L, -2);
  if (lua_rawgetp(L, LUA_REGISTRYINDEX, module_key()) == LUA_TTABLE) {
    for (const char* name : kPreludeNames) {
      lua_getfield(L, -1, name);
      lua_setfield(L, -3, name);
    }
  }
  lua_pop(L, 1);
}

void* module_key() {
  static char key;
  return &key;
}

static int push_module(lua_State* L) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, module_key());
  return 1;
}

Runtime& open_module(lua_State* L, ModuleOptions&& options) {
  const bool own = options.own_interpreter;
  Runtime& state = open_state(L, options);
  define_error(L);
  define_null(L);
  define<std::string>(L, "kling.Text");
  define<Call>(L, "kling.Call");
  define<Wait>(L, "kling.Wait");
  define<std::shared_ptr<void>>(L, "kling.Memory");
  define<std::vector<std::shared_ptr<engine::Ask>>>(L, "kling.Asks");
  define<std::vector<const engine::Raised*>>(L, "kling.Story");
  define<std::set<TaskId>>(L, "kling.TaskIds");
  define<ClientRef>(L, "kling.Client");
  define_media(L);
  define_tasks(L);
  if (own) state.wrap_coroutines(L);

  ClientRef& client = new_object<ClientRef>(L);
  pure(L, [&] {
    client = std::make_shared<Client>();
    client->options = state.options.engine;
    state.add_client(client);
  });
  push_functions(L);  // module
  define_job(L);      // module job_methods
  run_prelude(L, own);
  if (own && !state.options.engine.confinement.on) watch_globals(L);
  lua_pop(L, 1);
  lua_pushvalue(L, -1);
  lua_rawsetp(L, LUA_REGISTRYINDEX, module_key());
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_pushvalue(L, -2);
  lua_setfield(L, -2, "kling");
  // Who forgets it there gets it again, and no other library of that name.
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
  lua_pushcfunction(L, push_module);
  lua_setfield(L, -2, "kling");
  lua_pop(L, 2);
  return state;
}

}  // namespace kling::lua
