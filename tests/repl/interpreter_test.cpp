// The REPL's way with text: inputs, locals, results, pretty print, completion, help.
#include "repl/interpreter.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>
#include <lua.hpp>

#include "base/temp_folder.h"
#include "lua/runtime.h"
#include "repl/history.h"

using namespace kling;
using kling::test::TempFolder;
using repl::Interpreter;
using Verdict = Interpreter::Verdict;

namespace {

/// A session without terminal, engine or jobs.
struct Session {
  lua_State* L = luaL_newstate();
  std::string printed;
  repl::Host host{.chunk_name = "=input",
                  .write = [this](const std::string& text) { printed += text + "\n"; },
                  .jobs = [] { return std::string("no jobs"); }};
  lua::Runtime* runtime = nullptr;
  Interpreter interpreter{L};

  Session() {
    lua_pushcfunction(L, set_up);
    lua_pushlightuserdata(L, this);
    REQUIRE(lua_pcall(L, 1, 0, 0) == LUA_OK);
  }
  ~Session() { lua_close(L); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  static int set_up(lua_State* L) {
    auto& self = *static_cast<Session*>(lua_touserdata(L, 1));
    luaL_openlibs(L);
    lua::ModuleOptions module;
    module.own_interpreter = true;
    self.runtime = &lua::open_module(L, std::move(module));
    Interpreter::open(L, self.host);
    return 0;
  }

  /// The answer of an input, "!" and the message of an error, or "…" when more is wanted.
  std::string enter(const std::string& text) {
    std::string message;
    const Verdict verdict = interpreter.submit(text, 1, message);
    if (verdict == Verdict::more) return "…";
    if (verdict == Verdict::error) return "!" + message;
    if (verdict == Verdict::text) return message;
    if (verdict != Verdict::run) return "";
    const lua::TaskId task = runtime->spawn(L, 0, "main");
    while (runtime->run(10'000)) {
    }
    const lua::TaskResult result = runtime->result(task);
    return result.ok ? interpreter.finish() : "!" + result.message;
  }
  std::vector<std::string> complete(const std::string& before) {
    return interpreter.complete(before).texts;
  }
};

using Words = std::vector<std::string>;

bool has(const Words& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}
bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("an input is an expression first and a statement else") {
  Session session;
  CHECK(session.enter("1 + 1") == "2");
  CHECK(session.enter("1, nil, 'x'") == "1, nil, \"x\"");
  CHECK(session.enter("x = 5") == "");
  CHECK(session.enter("x") == "5");
  CHECK(session.enter("print(x, nil)") == "");
  CHECK(session.printed == "5\tnil\n");
  CHECK(session.enter("  ") == "");
  CHECK(session.enter("error('boom')") == "!input:1: boom");
  CHECK(contains(session.enter("x = = 1"), "!input:1:"));
  CHECK(contains(session.enter("x = \"abc"), "!input:1: unfinished string"));
}

TEST_CASE("an input that is not complete wants more lines") {
  Session session;
  for (const char* text :
       {"for i = 1, 2 do", "f(", "x = {", "1 +", "function f()", "s = [[", "if x then"})
    CHECK_MESSAGE(session.enter(text) == "…", text);
  CHECK(session.enter("for i = 1, 2 do\n  total = (total or 0) + i\nend") == "");
  CHECK(session.enter("total") == "3");
  CHECK(session.enter("for i = 1, 2 do\n.clear") == "");
}

TEST_CASE("locals live on and closures share them") {
  Session session;
  CHECK(session.enter("local n, unused = 1") == "");
  CHECK(session.enter("local function inc() n = n + 1 return n end") == "");
  CHECK(session.enter("inc() + inc()") == "5");
  CHECK(session.enter("n") == "3");
  CHECK(session.enter("n = 10") == "");
  CHECK(session.enter("inc()") == "11");
  CHECK(session.enter("rawget(_G, 'n')") == "nil");
  CHECK(session.enter("local n = 'another'") == "");
  CHECK(session.enter("n, inc()") == "\"another\", 12");
  CHECK(session.enter("do local inner = 1 end") == "");
  CHECK(session.enter("inner") == "nil");
  CHECK(session.enter("local q = 5 return q") == "5");
  CHECK(contains(session.printed, "takes its locals with it"));
  session.printed.clear();
  CHECK(session.enter("local r = 5 return r") == "5");
  CHECK(session.printed.empty());  // said once
}

TEST_CASE("results are kept newest first") {
  Session session;
  session.enter("'first'");
  session.enter("x = 1");  // no result
  session.enter("2, 3");
  CHECK(session.enter("{ _, _1, _2, _3 }") == "{ 2, 2, 3, \"first\" }");
  for (int i = 1; i <= 12; ++i) session.enter(std::to_string(i));
  CHECK(session.enter("_9") == "4");
}

TEST_CASE("values are printed so that they can be pasted back") {
  Session session;
  // Equal as values, down to the sort of a number: that printing it again prints the same says
  // less.
  session.enter(
      "function same(a, b)\n"
      "  if type(a) == 'number' then return math.type(a) == math.type(b) and string.pack('n', a) "
      "== "
      "string.pack('n', b) end\n"
      "  if type(a) ~= 'table' or type(b) ~= 'table' then return a == b end\n"
      "  for k, v in next, a do if not same(v, b[k]) then return false end end\n"
      "  for k in next, b do if a[k] == nil then return false end end\n"
      "  return true\n"
      "end");
  const char* values[] = {
      "{ 1, 2, \"x\\n\\\"\\0001é\", { deep = true } }",
      "{ [-1] = 1.5, [2] = 2.0, [\"end\"] = 1, a_b = \"\\200\", z = math.mininteger }",
      "{ 0.1, 1e+100, -0.0, math.huge, -math.huge, 1e15, 123456789012345678 }",
      "{ \"\\127\\194\\133\", \"日本語\" }",
      "{ 1, nil, 3, [7] = 'x', [1.5] = 2, [math.huge] = 0, [-1e300] = { {} }, [true] = false }",
      "{ 5e-324, 2^53, 2^63, -2^63, 1/3, math.maxinteger, 3.0, -7, 0xA }",
      "{ ['a b'] = 1, ['1'] = 2, ['nil'] = 3, [''] = 4, ['\\n'] = 5, _x1 = 6, ['é'] = 7 }",
      "'\\0\\0011\\r\\n\\\\ \\226\\130 ]] ]=] -- \\z'",
      "{}",
      "\"]] --[[\"",
      "kling.null"};
  for (const char* value : values) {
    session.enter("written = " + std::string(value));
    const std::string shown = session.enter("written");
    CAPTURE(shown);
    CHECK(session.enter("same(written, " + shown + ")") == "true");
  }
  CHECK(session.enter("same({ 1 }, { 1.0 }) or same(0.0, -0.0) or same({ 1 }, { 1, 2 })") ==
        "false");
  CHECK(session.enter("{ b = 1, a = 2, [true] = 3, 4 }") == "{ 4, a = 2, b = 1, [true] = 3 }");
  CHECK(session.enter("kling.map") == "kling.map");
}

TEST_CASE("what is printed is bounded and still Lua") {
  Session session;
  session.enter("t = {} t.self = t");
  CHECK(session.enter("t") == "{ self = nil --[[cycle]] }");
  session.enter("d = {} do local at = d for i = 1, 50 do at.n = {} at = at.n end end");
  CHECK(contains(session.enter("d"), "{ --[[deeper]] }"));
  session.enter("big = {} for i = 1, 100000 do big[i] = i big['k' .. i] = i end");
  const std::string big = session.enter("big");
  CHECK(big.size() < 30000);
  CHECK(contains(big, " more]]"));
  CHECK(session.enter("('x'):rep(1e6)").size() < 3000);
  session.enter("wide = {} for i = 1, 90 do wide[i] = ('y'):rep(1000) end");
  CHECK(session.enter("wide").size() < 30000);
  for (const char* name : {"t", "d", "big", "wide"}) {
    const std::string shown = session.enter(name);
    CHECK_MESSAGE(!session.enter(shown).starts_with("!"), name);
  }
}

TEST_CASE("neither completion nor printing runs code of the user") {
  Session session;
  session.enter(
      "calls = 0\n"
      "local function count() calls = calls + 1 return {} end\n"
      "trap = setmetatable({ plain = { leaf = 1 } }, { __index = count, __pairs = count,\n"
      "  __tostring = count, __name = 'trap', __len = count, __eq = count })\n"
      "setmetatable(_G, { __index = count, __pairs = count })\n"
      "child = setmetatable({}, { __index = trap })");
  for (const char* text : {"trap.", "trap.pl", "trap.missing.x", "trap.plain.le", "child.",
                           "child:", "undefined.", "undefined:f", "und", "calls.",
                           "trap.plain.leaf.", "kling.text2video { prompt = trap.", "f(trap:"})
    (void)session.complete(text);
  CHECK(session.complete("trap.plain.l") == Words{"leaf"});
  CHECK(session.complete("child.pl") == Words{"plain"});  // through an __index that is a table
  (void)session.enter("trap, child, { trap }");
  CHECK(session.enter("rawget(_G, 'calls')") == "0");
}

TEST_CASE("the values of a field are proposed behind its equals sign") {
  Session session;
  const Words modes = session.complete("kling.text2video { prompt = 'x', mode = ");
  CHECK(has(modes, "\"std\""));
  CHECK(has(modes, "\"pro\""));
  CHECK(session.complete("kling.text2video { mode =") == modes);
  CHECK(session.complete("kling.text2video { mode = 'std' ").empty());
}

TEST_CASE("names are completed from globals and locals and our values") {
  Session session;
  session.enter("local lighthouse = { beam = { colour = 1 }, dim = print }");
  CHECK(session.complete("lightho") == Words{"lighthouse"});
  CHECK(session.complete("x = lighthouse.be") == Words{"beam"});
  CHECK(session.complete("lighthouse.beam.") == Words{"colour"});
  CHECK(session.complete("lighthouse:") == Words{"dim"});
  CHECK(has(session.complete("kling.te"), "text2video"));
  CHECK(session.complete("string.forma") == Words{"format"});
  CHECK(session.complete("('x'):forma").empty());
  session.enter("s = 'text'");
  CHECK(has(session.complete("s:up"), "upper"));
  CHECK(has(session.complete("func"), "function"));
  CHECK(session.complete("-- lightho").empty());
  CHECK(session.complete("").empty());
  session.enter("task = kling.spawn(function() end)");
  CHECK(session.complete("task:") == Words{"cancel", "wait"});
  CHECK(session.complete("task.pa") == Words{"path"});
  CHECK(session.complete(".lo") == Words{".load"});
}

TEST_CASE("fields of requests are completed from the endpoint table") {
  Session session;
  CHECK(session.complete("kling.text2video { pro") == Words{"prompt = "});
  CHECK(session.complete("kling.text2video{ prompt = 'x', pro").empty());  // given already
  CHECK(session.complete("local job = kling.text2video {\n  prompt = 'a { b',\n  dur") ==
        Words{"duration = "});
  CHECK(has(session.complete("kling.text2video { "), "take = "));
  CHECK(session.complete("kling.omni { image_list = { { ty") == Words{"type = "});
  CHECK(session.complete("kling.text2video({ camera_control = { conf") == Words{"config = "});
  CHECK(
      has(session.complete("kling.text2video { camera_control = { config = { "), "horizontal = "));
  CHECK(session.complete("kling.text2video { mode = \"p") == Words{"pro\""});
  CHECK(has(session.complete("kling.text2video { model_name = 'kling-v2-6"), "kling-v2-6'"));
  CHECK(session.complete("kling.configure { led") == Words{"ledger = "});
  CHECK(session.complete("job:wait { time") == Words{"timeout = "});
  CHECK(session.complete("kling.text2video { prompt = \"do").empty());  // no file names here
}

TEST_CASE("file names are completed in strings for pictures") {
  Session session;
  TempFolder folder;
  std::ofstream(folder / "still_one.png") << "x";
  std::filesystem::create_directory(folder / "still_more");
  const std::string start = folder / "still_";
  CHECK(session.complete("kling.image2video { image = \"" + start) ==
        Words{folder / "still_more/", folder / "still_one.png"});
  CHECK(session.complete("kling.omni { image_list = { '" + start).size() == 2);
  CHECK(session.complete("kling.image('" + start + "o") == Words{folder / "still_one.png"});
  CHECK(session.complete(".load " + start + "o") == Words{folder / "still_one.png"});
}

TEST_CASE("help knows endpoints and fields and functions and values") {
  Session session;
  const auto help = [&](const std::string& input) {
    session.printed.clear();
    CHECK(session.enter(input) == "");
    return session.printed;
  };
  CHECK(contains(help("help(kling.image2video)"), "image_tail"));
  CHECK(contains(help("help 'omni.image_list'"), "Pictures"));
  CHECK(contains(help("help omni.image_list"), "Pictures"));
  CHECK(contains(help("help imge2video"), "did you mean image2video?"));
  CHECK(contains(help("help duration"), "text2video.duration: seconds"));
  CHECK(contains(help("hlep"), "text2video"));
  CHECK(contains(help("help 'omni_video'"), "kling.omni"));
  CHECK(contains(help("help(kling.map)"), "kling.map(list, fn, options?)"));
  CHECK(contains(help("help 'Job'"), "handle"));
  CHECK(contains(help("help 'job:wait'"), "timeout"));
  CHECK(contains(help("help()"), "text2video"));
  CHECK(contains(help("help"), "text2video"));
  CHECK(contains(help("help 'imge2video'"), "did you mean image2video?"));
  CHECK(contains(help("jobs"), "no jobs"));
}

TEST_CASE("commands load and save and refuse what they do not know") {
  Session session;
  TempFolder folder;
  std::ofstream(folder / "part.lua")
      << "#!/usr/bin/lua\nlocal loaded = 7\nfunction twice(x) return 2 * x end\n";
  CHECK(session.enter(".load " + (folder / "part.lua")) == "");
  CHECK(session.enter("twice(loaded)") == "14");
  session.enter("local kept = twice(4)");
  session.enter("error('not this one')");
  session.enter("kling.configure { key = 'sk-abcdefgh12345678' }");
  session.enter("print(kept)");
  const std::string script = folder / "session.lua";
  CHECK(contains(session.enter(".save " + script), "are in"));
  std::ifstream file(script);
  const std::string saved(std::istreambuf_iterator<char>(file), {});
  CHECK(contains(saved, "local kling = require \"kling\"\n"));
  CHECK(contains(saved, "local kept = twice(4)\nprint(kept)\n") ==
        false);  // the key's line is between
  CHECK(contains(saved, "print(kept)"));
  CHECK_FALSE(contains(saved, "not this one"));
  CHECK_FALSE(contains(saved, "sk-abcdefgh"));
  CHECK(contains(session.enter(".save " + script), "exists"));
  CHECK(contains(session.enter(".fly"), "no command .fly"));
  CHECK(contains(session.enter(".load none.lua"), "none.lua"));
  CHECK(contains(session.enter(".help"), ".save"));
  std::string text;
  CHECK(session.interpreter.submit(".quit", 1, text) == Verdict::quit);
  CHECK(session.interpreter.submit("exit", 1, text) == Verdict::quit);
}

TEST_CASE("the history keeps lines but no keys and is private") {
  TempFolder folder;
  const std::string path = folder / "state/kling/history";
  {
    repl::HistoryFile history(path);
    CHECK(history.add("local a = 1", ""));
    CHECK_FALSE(history.add("local a = 1", ""));  // twice in a row
    CHECK_FALSE(history.add("   ", ""));
    CHECK_FALSE(history.add("x = 'sk-abcdefgh12345678'", ""));
    CHECK_FALSE(history.add("kling.configure { key = 'plain' }", ""));
    CHECK_FALSE(history.add("y = 'mysecret'", "mysecret"));
    CHECK_FALSE(history.add("u = 'https://x.test/a.png?sig=1'", ""));
    CHECK(history.add("t[key] = 1", ""));
  }
  CHECK(repl::HistoryFile(path).lines() == Words{"local a = 1", "t[key] = 1"});
  namespace fs = std::filesystem;
  CHECK((fs::status(path).permissions() & fs::perms::all) ==
        (fs::perms::owner_read | fs::perms::owner_write));
  CHECK(repl::HistoryFile("/proc/none/history").add("a", ""));  // unusable, and no error
}
