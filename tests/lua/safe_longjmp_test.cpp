// The safe profile's own libraries under longjmp: whatever fails in them, nothing of C++ is left
// behind. What they let through is tested in tests/safe.
#include "counted.h"
#include "lua/safe.h"
#include "lua_fixture.h"

using namespace kling;
using namespace kling::lua;

namespace {

/// A safe state whose limits are out of reach, so that only what the tests do fails.
struct SafeLua {
  explicit SafeLua(Supply& supply)
      : state(new_limited_state({.memory_bytes = 64u << 20,
                                 .instructions = 4'000'000'000,
                                 .allocate = Supply::allocate,
                                 .allocate_data = &supply})) {
    REQUIRE(state != nullptr);
    ModuleOptions options;
    options.queue = std::make_shared<engine::CompletionQueue>(make_clock());
    options.engine.ledger_path = ":memory:";
    options.engine.confinement.roots = {KLING_SOURCE_DIR "/scripts"};
    options.make_engine = [](engine::EngineOptions chosen) {
      return Result<std::shared_ptr<engine::Engine>>(
          std::make_shared<engine::FakeEngine>(std::move(chosen)));
    };
    lua_pushcfunction(state, [](lua_State* L) {
      open_safe(L, std::move(*static_cast<ModuleOptions*>(lua_touserdata(L, 1))));
      return 0;
    });
    lua_pushlightuserdata(state, &options);
    if (lua_pcall(state, 1, 0, 0) != LUA_OK) FAIL(lua_tostring(state, -1));
  }
  ~SafeLua() { lua_close(state); }
  SafeLua(const SafeLua&) = delete;
  SafeLua& operator=(const SafeLua&) = delete;

  /// The text as a function on top of the stack.
  void load(const std::string& text) const {
    if (luaL_loadbufferx(state, text.data(), text.size(), "@film.lua", "t") != LUA_OK)
      FAIL(lua_tostring(state, -1));
  }
  void collect() const {
    lua_gc(state, LUA_GCCOLLECT);
    lua_gc(state, LUA_GCCOLLECT);
  }

  lua_State* const state;
};

/// Every function of the globals and libraries, but for the module's own, with each pair and some
/// triples of values that fit nowhere. Returns how many were called and how many calls failed.
constexpr const char* kEveryWrongCall = R"lua(
  local LONG = ("long enough for the heap "):rep(5)
  local raise = function() error(LONG) end
  local BAD = setmetatable({}, { __index = raise, __newindex = raise, __len = raise,
    __pairs = raise, __tostring = raise, __call = raise, __lt = raise, __eq = raise,
    __concat = raise, __close = raise, __name = LONG })
  local values = { 7, -1, 0 / 0, 1e300, math.maxinteger, math.mininteger, true, LONG, "%", "[", "(",
    "%b", "%f", "%1", "(.-)%1()", "lib/mask", "lib.mask", "lib." .. LONG, "return " .. LONG, "count",
    "*t", {}, { 3, 1, 2 }, { LONG, BAD, {} }, BAD, raise, type, coroutine.create(raise),
    coroutine.running() }
  local functions, seen = {}, { [print] = true }
  local function add(library)
    for _, value in pairs(library) do
      if type(value) == "function" and not seen[value] then
        seen[value] = true
        functions[#functions + 1] = value
      end
    end
  end
  add(_G)
  for _, name in ipairs { "coroutine", "table", "string", "math", "utf8", "os", "debug" } do
    add(_G[name])
  end
  add(package.searchers)
  local failed = 0
  local function try(f, ...)
    local arguments = table.pack(...)
    local thread = coroutine.create(function() f(table.unpack(arguments, 1, arguments.n)) end)
    if not coroutine.resume(thread) then failed = failed + 1 end
    coroutine.close(thread)
  end
  for _, f in ipairs(functions) do
    try(f)
    for _, first in ipairs(values) do
      try(f, first)
      for _, second in ipairs(values) do
        try(f, first, second)
        try(f, first, second, LONG)
        try(f, first, second, 2, raise)
      end
    end
  end
  return #functions, failed
)lua";

/// Each function of the libraries that is ours, as it is meant; and its way to an error.
constexpr const char* kEverySafeFunction = R"lua(
  local LONG = ("long enough for the heap "):rep(5)
  local mask = require("lib.mask")
  assert(not pcall(require, "lib.nothing"))
  assert(load("return ...", "=text", "t", {})(LONG) == LONG)
  local pieces = { "return ", "7" }
  assert(load(function() return table.remove(pieces, 1) end)() == 7)
  assert(not load("return return"))
  assert(collectgarbage("count") > 0)
  assert(xpcall(error, function(e, where) return LONG .. where .. debug.traceback(e) end, "x") == false)
  local object = setmetatable({}, { __index = { LONG }, __close = function() error(LONG) end })
  assert(getmetatable(object).__index[1] == LONG)
  assert(not pcall(function() local closed <close> = object end))
  rawset(object, LONG, LONG)
  assert(not pcall(rawset, string, "x", 1))
  for name in pairs(string) do assert(#name > 1) end
  local thread = coroutine.create(function() local closed <close> = object coroutine.yield() end)
  coroutine.resume(thread)
  assert(not coroutine.close(thread))
  local list = table.move({ 3, 1, 2, LONG }, 1, 3, 1, {})
  table.insert(list, 1, 4) table.remove(list, 1)
  table.sort(list, function(a, b) return a > b end) table.sort(list)
  assert(table.concat(list, LONG) and table.unpack(list) == 1)
  assert(LONG:find("hea(p)") and LONG:match("(%a+) ()") and LONG:gsub("%w+", { long = LONG }))
  assert(LONG:gsub("%w+", function(word) return word .. word end):rep(2, " "))
  for word in LONG:gmatch("%a+") do assert(#word > 2) end
  assert(not pcall(string.find, LONG, "(") and not pcall(string.gsub, LONG, "l", "%9"))
)lua";

}  // namespace

TEST_CASE("no function of the safe libraries leaves a C++ object behind whatever it is given") {
  Supply supply;
  const SafeLua lua(supply);
  const auto left_by = [&] {
    const long before = live_blocks;
    lua.load(kEveryWrongCall);
    const int status = lua_pcall(lua.state, 0, 2, 0);
    INFO((status == LUA_OK ? "" : lua_tostring(lua.state, -1)));
    REQUIRE(status == LUA_OK);
    CHECK(lua_tointeger(lua.state, -2) > 70);
    CHECK(lua_tointeger(lua.state, -1) > 50'000);
    lua_settop(lua.state, 0);
    lua.collect();
    return live_blocks - before;
  };
  left_by();
  CHECK(left_by() == 0);
}

TEST_CASE("the safe libraries run short of memory anywhere and leave nothing behind") {
  Supply supply;
  const SafeLua lua(supply);
  const auto run = [&](long allocations) {
    lua.load(kEverySafeFunction);
    supply.left = allocations;
    const int status = lua_pcall(lua.state, 0, 0, 0);
    const bool enough = supply.left != 0;
    supply.left = -1;
    INFO((status == LUA_OK ? "" : lua_tostring(lua.state, -1)));
    if (enough) CHECK(status == LUA_OK);
    lua_settop(lua.state, 0);
    return enough;
  };
  REQUIRE(run(-1));
  lua.collect();
  const long before = live_blocks;
  long point = 0;
  while (point < 20'000 && !run(point)) ++point;
  lua.collect();
  CHECK(live_blocks.load() == before);
  CHECK(point > 100);
  CHECK(point < 20'000);
  MESSAGE("allocations that failed: " << point);
}
