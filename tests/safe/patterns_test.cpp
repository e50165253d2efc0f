// The counting matcher against the stock one: the same results, and an error where that has one.
#include <random>
#include <string>

#include <doctest/doctest.h>
#include <lua.hpp>

#include "lua/safe/limits.h"

namespace {

struct Both {
  Both() {
    luaL_openlibs(L);
    lua_getglobal(L, "string");
    lua_newtable(L);
    luaL_setfuncs(L, kling::lua::kPatternFunctions, 0);
    lua_setglobal(L, "own");
    lua_setglobal(L, "stock");
    const char* compare = R"(
      local function collect(library, s, p, repl, init)
        local out = {}
        local function add(...)
          for i = 1, select('#', ...) do
            local v = select(i, ...)
            out[#out + 1] = math.type(v) or type(v)
            out[#out + 1] = tostring(v)
          end
        end
        local calls = {
          function() add(library.find(s, p, init)) end,
          function() add(library.match(s, p, init)) end,
          function() add(library.find(s, p, init, true)) end,
          function() for a, b, c in library.gmatch(s, p, init) do add(a, b, c) end end,
          function() add(library.gsub(s, p, repl)) end,
          function() add(library.gsub(s, p, repl, 2)) end,
          function() add(library.gsub(s, p, { a = 'T', ab = 1, [1] = false })) end,
          function() add(library.gsub(s, p, function(a, b) add(a, b) return b end)) end,
        }
        for i, call in ipairs(calls) do
          out[#out + 1] = '#' .. i
          local ok, e = pcall(call)
          if not ok then
            out[#out + 1] = 'error'
            last = e
          end
        end
        return table.concat(out, '|')
      end
      function same(s, p, repl, init)
        local a, b = collect(stock, s, p, repl, init), collect(own, s, p, repl, init)
        return a == b or ('%q %q %q %s\nstock %s\nown   %s'):format(s, p, repl, init, a, b)
      end
    )";
    REQUIRE(luaL_dostring(L, compare) == LUA_OK);
  }
  ~Both() { lua_close(L); }

  /// Empty when both do the same.
  std::string differ(const std::string& s, const std::string& p, const std::string& repl,
                     int init) {
    lua_getglobal(L, "same");
    lua_pushlstring(L, s.data(), s.size());
    lua_pushlstring(L, p.data(), p.size());
    lua_pushlstring(L, repl.data(), repl.size());
    lua_pushinteger(L, init);
    const bool ran = lua_pcall(L, 4, 1, 0) == LUA_OK;
    std::string text = ran && lua_isboolean(L, -1) ? "" : lua_tostring(L, -1);
    lua_pop(L, 1);
    return text;
  }

  lua_State* L = luaL_newstate();
};

TEST_CASE("patterns: forty thousand random ones match as the stock functions do") {
  Both both;
  std::mt19937 random(20261121);
  const auto pick = [&](const char* const* list, int count) {
    return std::string(list[random() % unsigned(count)]);
  };
  const char* const kPieces[] = {
      "a",     "b",   "c",     ".",     "%a",     "%d",     "%s", "%W", "[ab]", "[^a]",
      "[a-c]", "[]]", "[^]b]", "[%a-]", "[a-]",   "(",      ")",  "()", "(a*)", "(.-)",
      "%1",    "%2",  "%b()",  "%bab",  "%f[%a]", "%f[^b]", "^",  "$",  "*",    "+",
      "-",     "?",   "a*",    "b-",    ".+",     "c?",     "%",  "[",  "[a",   "%b",
      "%f",    "%0",  "%.",    "%%",    "[%]]",   "[%",     "x",  "\1", "é",    "[\200-\377]"};
  const char* const kText[] = {"a", "b", "c", "ab", "(", ")", "1", " ",
                               ".", "%", "]", "-",  "x", "é", "A"};
  const char* const kReplace[] = {"x", "%0", "%1", "%2", "%%", "<%1>", "%", "%a", "", "%9"};
  for (int i = 0; i < 40'000; ++i) {
    std::string subject, pattern;
    for (unsigned n = random() % 12; n > 0; --n) subject += pick(kText, std::size(kText));
    for (unsigned n = random() % 6 + 1; n > 0; --n) pattern += pick(kPieces, std::size(kPieces));
    if (random() % 20 == 0) subject += std::string("\0a", 2);
    if (random() % 20 == 0) pattern += std::string("\0", 1);
    const std::string difference =
        both.differ(subject, pattern, pick(kReplace, std::size(kReplace)), int(random() % 24) - 12);
    REQUIRE(difference == "");
  }
}

TEST_CASE("patterns: what is long or deep has the same limits as the stock functions") {
  Both both;
  const auto times = [](const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  for (const int count : {1, 31, 32, 33, 150, 198, 199, 200, 201, 250, 1000}) {
    CHECK(both.differ(times("a", 300), times("a?", count), "x", 1) == "");
    CHECK(both.differ(times("a", 300), times("()", count), "x", 1) == "");
    CHECK(both.differ(times("a", 300), times("(a", count) + times(")", count), "x", 1) == "");
    CHECK(both.differ(times("a", 300), times("a", count), "x", 1) == "");
    CHECK(both.differ(times("(", count), "%b()", "x", 1) == "");
  }
}

}  // namespace
