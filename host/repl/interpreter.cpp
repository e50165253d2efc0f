#include "repl/interpreter.h"

#include <algorithm>

#include "api/text.h"
#include "base/files.h"
#include "base/terminal.h"
#include "lua/convert.h"
#include "lua/manual.h"
#include "script/script.h"

namespace kling {
extern const std::string_view kReplShow, kReplAssist, kReplSession;  // show.lua and so on
}

namespace kling::lua {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ManualField, name, type, doc)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ManualFunction, name, doc, params)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ManualClass, name, doc, fields, methods)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Manual, functions, values_of, options)

}  // namespace kling::lua

namespace kling::repl {
namespace {

using api::Json;
using lua::new_object;
using lua::pure;

char repl_key;  // where the registry keeps the table of the Lua part

// ---- The tables in which completion and help look ----

Json to_json(const std::vector<api::Param>& params) {
  static constexpr const char* kTypes[] = {"string", "number", "integer", "boolean", "seconds",
                                           "image",  "video",  "object",  "list"};
  Json list = Json::array();
  for (const api::Param& param : params)
    list.push_back({{"name", param.name},
                    {"type", kTypes[static_cast<int>(param.type)]},
                    {"required", param.required},
                    {"default", param.default_value},
                    {"doc", param.doc},
                    {"values", param.rule.values},
                    {"aliases", param.aliases},
                    {"children", to_json(param.children)}});
  return list;
}

Json make_reference() {
  Json endpoints = Json::array();
  for (const api::Endpoint& endpoint : api::endpoints()) {
    Json rules = Json::array();
    for (const api::Check& check : endpoint.checks) rules.push_back(check.sentence);
    endpoints.push_back({{"name", endpoint.name},
                         {"doc", endpoint.doc},
                         {"aliases", endpoint.aliases},
                         {"params", to_json(endpoint.params)},
                         {"rules", rules}});
  }
  return {{"endpoints", endpoints}, {"manual", lua::manual()}};
}

// ---- The functions of the table `host` ----

const Host& host_of(lua_State* L) {
  return *static_cast<const Host*>(lua_touserdata(L, lua_upvalueindex(1)));
}

int host_write(lua_State* L) {
  std::size_t size = 0;
  const char* text = luaL_checklstring(L, 1, &size);
  const Host& host = host_of(L);
  pure(L, [&] { host.write(std::string(text, size)); });
  return 0;
}

int host_jobs(lua_State* L) {
  const Host& host = host_of(L);
  return lua::push_text(L, [&] { return host.jobs(); });
}

int host_is_secret(lua_State* L) {
  std::size_t size = 0;
  const char* text = luaL_checklstring(L, 1, &size);
  bool secret = false;
  pure(L, [&] { secret = is_secret(std::string(text, size)); });
  lua_pushboolean(L, secret);
  return 1;
}

/// near(word): the topic of help of which it is a likely misspelling, else "".
int host_near(lua_State* L) {
  const char* word = luaL_checkstring(L, 1);
  return lua::push_text(L, [&] {
    std::vector<std::string> topics;
    for (const api::Endpoint& endpoint : api::endpoints()) {
      topics.push_back(endpoint.name);
      for (const api::Param& param : endpoint.params)
        topics.push_back(endpoint.name + "." + param.name);
    }
    for (const auto& function : lua::manual().functions) topics.push_back(function.name);
    for (const auto& entry : lua::manual().values_of) topics.push_back(entry.name.substr(6));
    return api::did_you_mean(word, topics);
  });
}

/// read(path): the text of a script, or nil and why there is none.
int host_read(lua_State* L) {
  const char* path = luaL_checkstring(L, 1);
  auto& read = new_object<std::vector<std::string>>(L);
  bool there = false;
  pure(L, [&] {
    const auto source = script::read(path);
    there = source.ok();
    read.push_back(there ? *source : source.error().message + "\n  do: " + source.error().hint);
  });
  if (!there) lua_pushnil(L);
  lua_pushlstring(L, read[0].data(), read[0].size());
  return there ? 1 : 2;
}

int host_columns(lua_State* L) {
  lua_pushinteger(L, static_cast<lua_Integer>(terminal_size(STDOUT_FILENO).columns));
  return 1;
}

/// files(start): the names of files that begin so, folders with a slash at their end.
int host_files(lua_State* L) {
  constexpr std::size_t kMost = 1000;
  const char* start = luaL_checkstring(L, 1);
  auto& names = new_object<std::vector<std::string>>(L);
  pure(L, [&] {
    const fs::path path(start);
    const std::string beginning = path.filename().string();
    const std::string before(start, std::string(start).size() - beginning.size());
    std::error_code error;
    fs::directory_iterator entry(before.empty() ? "." : before, error), end;
    for (; !error && entry != end && names.size() < kMost; entry.increment(error)) {
      const std::string name = entry->path().filename().string();
      if (!name.starts_with(beginning) || (name.front() == '.' && beginning.empty())) continue;
      std::error_code unknown;
      names.push_back(before + name + (entry->is_directory(unknown) ? "/" : ""));
    }
    std::ranges::sort(names);
  });
  lua_createtable(L, static_cast<int>(names.size()), 0);
  for (std::size_t i = 0; i < names.size(); ++i) {
    lua_pushlstring(L, names[i].data(), names[i].size());
    lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
  }
  return 1;
}

void push_host(lua_State* L, const Host& host) {
  static const luaL_Reg kFunctions[] = {{"write", host_write},         {"jobs", host_jobs},
                                        {"is_secret", host_is_secret}, {"near", host_near},
                                        {"read", host_read},           {"columns", host_columns},
                                        {"files", host_files},         {nullptr, nullptr}};
  lua_newtable(L);
  lua_pushlightuserdata(L, const_cast<Host*>(&host));
  luaL_setfuncs(L, kFunctions, 1);
  lua_pushstring(L, host.chunk_name.c_str());
  lua_setfield(L, -2, "chunk_name");
}

/// A call of one function of the Lua part; plain pointers, so that a Lua error may pass.
struct Call {
  const char* name;
  const std::string* text;
  int number;
};

int call_protected(lua_State* L) {
  const Call& call = *static_cast<const Call*>(lua_touserdata(L, 1));
  lua_rawgetp(L, LUA_REGISTRYINDEX, &repl_key);
  lua_getfield(L, -1, call.name);
  lua_pushlstring(L, call.text->data(), call.text->size());
  lua_pushinteger(L, call.number);
  lua_call(L, 2, LUA_MULTRET);
  return lua_gettop(L) - 2;
}

std::string text_at(lua_State* L, int index) {
  std::size_t size = 0;
  const char* text = lua_type(L, index) == LUA_TSTRING ? lua_tolstring(L, index, &size) : "";
  return {text, size};
}

}  // namespace

void Interpreter::open(lua_State* L, const Host& host) {
  luaL_checkstack(L, 12, nullptr);
  lua::define<std::vector<std::string>>(L, "kling.Words");
  lua_newtable(L);  // repl
  push_host(L, host);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  lua_getfield(L, -1, "kling");
  lua_remove(L, -2);
  Json& reference = new_object<Json>(L);
  pure(L, [&] { reference = make_reference(); });
  lua::push_json(L, reference);
  lua_remove(L, -2);  // repl host kling reference
  for (const std::string_view part : {kReplShow, kReplAssist, kReplSession}) {
    // The name keeps its frames out of tracebacks.
    if (luaL_loadbufferx(L, part.data(), part.size(), "=[kling]", "t") != LUA_OK) lua_error(L);
    for (int i = 0; i < 4; ++i) lua_pushvalue(L, -5);
    lua_call(L, 4, 0);
  }
  lua_pop(L, 3);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &repl_key);
}

/// Leaves `results` values on the stack; false: one, the message.
bool Interpreter::call(const char* name, const std::string& text, int number, int results) {
  Call call{name, &text, number};
  if (!lua_checkstack(L_, results + 4)) return false;
  lua_pushcfunction(L_, call_protected);
  lua_pushlightuserdata(L_, &call);
  return lua_pcall(L_, 1, results, 0) == LUA_OK;
}

Interpreter::Verdict Interpreter::submit(const std::string& lines, int first_line,
                                         std::string& text) {
  static constexpr const char* kVerdicts[] = {"nothing", "run",   "timed", "more",
                                              "text",    "error", "clear", "quit"};
  if (!call("submit", lines, first_line, 2)) {
    text = text_at(L_, -1);
    lua_pop(L_, 1);
    return Verdict::error;
  }
  const auto* found = std::ranges::find(kVerdicts, text_at(L_, -2));
  const auto verdict = static_cast<Verdict>(found - std::begin(kVerdicts));
  if (verdict == Verdict::run || verdict == Verdict::timed) {
    lua_remove(L_, -2);
    return verdict;
  }
  text = text_at(L_, -1);
  lua_pop(L_, 2);
  return verdict;
}

std::string Interpreter::finish() {
  (void)call("finish", "", 0, 1);
  std::string answer = text_at(L_, -1);
  lua_pop(L_, 1);
  return answer;
}

Proposals Interpreter::complete(const std::string& before) {
  Proposals proposals;
  if (!call("complete", before, 0, 2)) {
    lua_pop(L_, 1);
    return proposals;
  }
  proposals.replaced = static_cast<std::size_t>(lua_tointeger(L_, -2));
  const auto count = static_cast<lua_Integer>(lua_rawlen(L_, -1));
  for (lua_Integer i = 1; i <= count; ++i) {
    lua_rawgeti(L_, -1, i);
    proposals.texts.push_back(text_at(L_, -1));
    lua_pop(L_, 1);
  }
  lua_pop(L_, 2);
  return proposals;
}

bool is_secret(const std::string& text) {
  const auto count = [](const std::string& in, const char* part) {
    std::size_t found = 0;
    for (std::size_t at = in.find(part); at != std::string::npos; at = in.find(part, at + 1))
      ++found;
    return found;
  };
  // What messages leave out of foreign text: keys of the usual forms, and signatures.
  const std::string shown = api::excerpt(text, 2 * text.size() + 1000);
  for (const char* cut : {"[key]", "?…"})
    if (count(shown, cut) > count(text, cut)) return true;
  // key = "…" and the like, whatever the key looks like.
  for (std::size_t at = text.find("key"); at != std::string::npos; at = text.find("key", at + 1)) {
    const std::size_t sign = text.find_first_not_of(" \t\"']", at + 3);
    if (sign == std::string::npos || text[sign] != '=') continue;
    const std::size_t value = text.find_first_not_of(" \t", sign + 1);
    if (value != std::string::npos && (text[value] == '"' || text[value] == '\'')) return true;
  }
  return text.find("Bearer ") != std::string::npos;
}

}  // namespace kling::repl
