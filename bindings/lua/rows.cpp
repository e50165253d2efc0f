// The rows of kling.csv: tables whose columns may be spelt in more than one way.
#include <algorithm>
#include <cctype>

#include "api/text.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

/// Pushes what a column of this name, the text at 2, is called in a row.
void push_field(lua_State* L) {
  luaL_Buffer field;
  luaL_buffinit(L, &field);
  for (const char* c = lua_tostring(L, 2); *c != '\0'; ++c) {
    const bool gap = *c == ' ' || *c == '-';
    luaL_addchar(&field, gap ? '_' : char(std::tolower(static_cast<unsigned char>(*c))));
  }
  luaL_pushresult(&field);
}

/// __newindex of a row: a column is the same however it is spelt.
int row_set(lua_State* L) {
  luaL_checktype(L, 1, LUA_TTABLE);
  lua_settop(L, 3);
  if (lua_type(L, 2) == LUA_TSTRING) {
    push_field(L);
    lua_pushvalue(L, 4);
    if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) lua_copy(L, 4, 2);
    lua_settop(L, 3);
  }
  lua_rawset(L, 1);
  return 0;
}

/// __index of a row: its columns are as the head names them, too.
int row_index(lua_State* L) {
  if (!lua_istable(L, 1) || lua_type(L, 2) != LUA_TSTRING) return 0;
  lua_settop(L, 2);
  Runtime& state = state_of(L);
  push_field(L);
  lua_pushvalue(L, 3);
  if (lua_rawget(L, 1) != LUA_TNIL) return 1;
  lua_pushvalue(L, 3);
  if (lua_rawget(L, lua_upvalueindex(1)) != LUA_TNIL) return 0;  // an empty cell
  const Where here = where(L);
  pure(L, [&] {
    const std::string wanted = lua_tostring(L, 3);
    const std::string none = std::string(here.text) + ": the table has no column " + wanted + ": ";
    std::vector<std::string> columns;
    bool heads = !is_field(wanted);
    for (lua_pushnil(L); lua_next(L, lua_upvalueindex(1)) != 0; lua_pop(L, 1)) {
      const std::string& column = columns.emplace_back(lua_tostring(L, -2));
      const bool near = api::lower(column).starts_with(wanted + " ");  // "duration (s)"
      if (near) state.warn(none + "write row[\"" + column + "\"]");
      heads = heads || near || is_field(column);
    }
    std::ranges::sort(columns);
    if (!heads)
      state.warn(none + "its first row is taken for the names of the columns, and reads: " +
                 api::excerpt(api::joined(columns, ", "), 60));
  });
  return 0;
}

}  // namespace

int push_rows(lua_State* L, Call& call) {
  Runtime& state = state_of(L);
  hold_memory(L, 2 * call.reply->text.size(), call.reply->memory);
  pure_or_raise(L, state_of(L).slip, [&]() -> Status {
    api::Json numbers;
    auto rows = api::read_csv(std::move(call.reply->text), call.text, &numbers);
    if (!rows) return rows.error();
    call.json = std::move(*rows);
    api::Json columns = api::Json::object();
    for (const api::Json& row : call.json) columns.update(row);
    for (const auto& [column, unused] : columns.items()) {
      for (std::size_t i = 0; i < numbers.size(); ++i)
        state.cells.try_emplace(column + "\n" + call.json[i].value(column, ""),
                                call.text + ", row " + numbers[i].dump());
      if (api::meant_field("", column).starts_with("write duration"))
        state.warn(call.text + ": a request calls the column " + column + " duration");
    }
    state.cells_memory.push_back(std::move(call.reply->memory));
    call.reply->json = std::move(columns);
    return Done{};
  });
  push_json(L, call.json);
  static const luaL_Reg kMeta[] = {
      {"__index", row_index}, {"__newindex", row_set}, {nullptr, nullptr}};
  lua_createtable(L, 0, 2);
  push_json(L, call.reply->json);
  luaL_setfuncs(L, kMeta, 1);
  for (lua_Integer i = lua_Integer(lua_rawlen(L, -2)); i > 0; --i) {
    lua_rawgeti(L, -2, i);
    lua_pushvalue(L, -2);
    lua_setmetatable(L, -2);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  return 1;
}

}  // namespace kling::lua
