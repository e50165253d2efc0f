#include <algorithm>

#include "lua/safe/matcher.h"

namespace kling::lua {
namespace {

std::string_view check_text(lua_State* L, int index) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(L, index, &size);
  return {data, size};
}

/// The offset that argument `index` names, which counts from 1, or from the end when negative.
std::size_t start_of(lua_State* L, int index, std::size_t size) {
  const lua_Integer start = luaL_optinteger(L, index, 1);
  if (start > 0) return std::size_t(start) - 1;
  if (start == 0 || start < -lua_Integer(size)) return 0;
  return size - std::size_t(-start);
}

int search(lua_State* L, bool find) {
  const std::string_view subject = check_text(L, 1);
  std::string_view pattern = check_text(L, 2);
  const std::size_t start = start_of(L, 3, subject.size());
  if (start > subject.size()) return lua_pushnil(L), 1;
  const bool plain = find && (lua_toboolean(L, 4) != 0 ||
                              pattern.find_first_of("^$*+?.([%-") == std::string_view::npos);
  if (plain) {
    charge(L, (subject.size() - start) / 16);
    const void* found = ::memmem(subject.data() + start, subject.size() - start, pattern.data(),
                                 pattern.size());  // linear, whatever they hold
    if (found == nullptr) return lua_pushnil(L), 1;
    const auto at = static_cast<const char*>(found) - subject.data();
    lua_pushinteger(L, at + 1);
    lua_pushinteger(L, at + lua_Integer(pattern.size()));
    return 2;
  }
  const bool anchored = pattern.starts_with('^');
  if (anchored) pattern.remove_prefix(1);
  Matcher matcher(L, subject, pattern);
  for (auto from = std::ptrdiff_t(start); from <= std::ptrdiff_t(subject.size()); ++from) {
    const std::ptrdiff_t to = matcher.run(from);
    if (to >= 0) {
      if (!find) return matcher.push_captures(from, to, true);
      lua_pushinteger(L, from + 1);
      lua_pushinteger(L, to);
      return 2 + matcher.push_captures(from, to, false);
    }
    if (anchored) break;
  }
  return lua_pushnil(L), 1;
}

int find(lua_State* L) { return search(L, true); }
int match(lua_State* L) { return search(L, false); }

/// Upvalues: subject, pattern, where to go on, where the last match ended.
int next_match(lua_State* L) {
  const std::string_view subject = check_text(L, lua_upvalueindex(1));
  Matcher matcher(L, subject, check_text(L, lua_upvalueindex(2)));
  const lua_Integer last = lua_tointeger(L, lua_upvalueindex(4));
  for (lua_Integer from = lua_tointeger(L, lua_upvalueindex(3));
       from <= lua_Integer(subject.size()); ++from) {
    const std::ptrdiff_t to = matcher.run(from);
    if (to < 0 || to == last) continue;
    lua_pushinteger(L, to);
    lua_copy(L, -1, lua_upvalueindex(3));
    lua_replace(L, lua_upvalueindex(4));
    return matcher.push_captures(from, to, true);
  }
  return 0;
}

int gmatch(lua_State* L) {
  const std::string_view subject = check_text(L, 1);
  check_text(L, 2);
  const std::size_t start = std::min(start_of(L, 3, subject.size()), subject.size() + 1);
  lua_settop(L, 2);
  lua_pushinteger(L, lua_Integer(start));
  lua_pushinteger(L, -1);
  lua_pushcclosure(L, next_match, 4);
  return 1;
}

void add_template(lua_State* L, Matcher& matcher, luaL_Buffer& out, std::ptrdiff_t from,
                  std::ptrdiff_t to) {
  const std::string_view text = check_text(L, 3);
  matcher.spend(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c != '%') {
      luaL_addchar(&out, c);
      continue;
    }
    const char next = ++i < text.size() ? text[i] : '\0';
    if (next == '%') {
      luaL_addchar(&out, '%');
    } else if (next == '0') {
      luaL_addlstring(&out, lua_tostring(L, 1) + from, std::size_t(to - from));
    } else if (std::isdigit(Byte(next)) != 0) {
      matcher.push_capture(next - '1', from, to);
      luaL_tolstring(L, -1, nullptr);
      lua_remove(L, -2);
      luaL_addvalue(&out);
    } else {
      luaL_error(L, "invalid use of '%%' in replacement string");
    }
  }
}

/// Adds what a match is replaced by.
void add_replacement(lua_State* L, Matcher& matcher, luaL_Buffer& out, std::ptrdiff_t from,
                     std::ptrdiff_t to) {
  switch (lua_type(L, 3)) {
    case LUA_TFUNCTION:
      lua_pushvalue(L, 3);
      lua_call(L, matcher.push_captures(from, to, true), 1);
      break;
    case LUA_TTABLE:
      matcher.push_capture(0, from, to);
      lua_gettable(L, 3);
      break;
    default: return add_template(L, matcher, out, from, to);
  }
  if (lua_toboolean(L, -1) == 0) {
    lua_pop(L, 1);
    return luaL_addlstring(&out, lua_tostring(L, 1) + from, std::size_t(to - from));
  }
  if (lua_isstring(L, -1) == 0)
    luaL_error(L, "invalid replacement value (a %s)", luaL_typename(L, -1));
  luaL_addvalue(&out);
}

int gsub(lua_State* L) {
  std::string_view pattern = check_text(L, 2);
  lua_settop(L, 4);
  const int type = lua_type(L, 3);
  luaL_argexpected(
      L, type == LUA_TNUMBER || type == LUA_TSTRING || type == LUA_TFUNCTION || type == LUA_TTABLE,
      3, "string/function/table");
  const std::string_view subject = check_text(L, 1);
  const auto size = std::ptrdiff_t(subject.size());
  const lua_Integer most = luaL_optinteger(L, 4, lua_Integer(size) + 1);
  const bool anchored = pattern.starts_with('^');
  if (anchored) pattern.remove_prefix(1);
  Matcher matcher(L, subject, pattern);
  luaL_Buffer out;
  luaL_buffinit(L, &out);
  lua_Integer count = 0;
  std::ptrdiff_t from = 0, last = -1;
  while (count < most) {
    const std::ptrdiff_t to = matcher.run(from);
    if (to >= 0 && to != last) {
      ++count;
      add_replacement(L, matcher, out, from, to);
      from = last = to;
    } else if (from < size) {
      luaL_addchar(&out, subject[std::size_t(from)]);
      ++from;
    } else {
      break;
    }
    if (anchored) break;
  }
  luaL_addlstring(&out, subject.data() + std::min(from, size),
                  std::size_t(size - std::min(from, size)));
  luaL_pushresult(&out);
  lua_pushinteger(L, count);
  return 2;
}

}  // namespace

const luaL_Reg kPatternFunctions[] = {
    {"find", find}, {"match", match}, {"gmatch", gmatch}, {"gsub", gsub}, {nullptr, nullptr}};

}  // namespace kling::lua
