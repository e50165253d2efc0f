// Slips in a script, from the messages of the real Lua.
#include <doctest/doctest.h>
#include <lua.hpp>

#include "lua/manual.h"

using namespace kling::lua;

namespace {

/// What the compiler says of a chunk, with what we add.
std::string compiled(const std::string& source) {
  lua_State* L = luaL_newstate();
  std::string text;
  if (luaL_loadbufferx(L, source.data(), source.size(), "@film.lua", "t") != LUA_OK)
    text = explain_syntax(lua_tostring(L, -1), source);
  lua_close(L);
  return text;
}

}  // namespace

TEST_CASE("a chunk that does not compile is shown with its line, a caret and what to write") {
  struct Row {
    const char* source;
    const char* says;
  };
  const Row rows[] = {
      {"local kling = require 'kling'\nkling.text2video { prompt = “a fox” }",
       "film.lua:2: unexpected symbol near '<\\226>'\n"
       "  kling.text2video { prompt = “a fox” }\n"
       "                              ^\n"
       "  do: use straight quotes: \"…\"; a text over several lines stands in [[…]]"},
      {"x = 1\n\uFEFFy = 2",
       "film.lua:2: unexpected symbol near '<\\239>'\n"
       "  \uFEFFy = 2\n"
       "  ^\n"
       "  do: there is an invisible letter in this line: type it anew"},
      {"t = {\n  prompt: \"x\",\n}",
       "film.lua:2: <name> expected near '\"x\"'\n"
       "    prompt: \"x\",\n"
       "            ^\n"
       "  do: in a table a field is written name = value, not name: value"},
      {"t = {\n  prompt = \"x\"\n  duration = 5,\n}",
       "film.lua:3: '}' expected (to close '{' at line 1) near 'duration'\n"
       "    duration = 5,\n"
       "    ^\n"
       "  do: is a comma missing before duration?"},
      {"t = { prompt = 'x' duration = 5 }",
       "film.lua:1: '}' expected near 'duration'\n"
       "  t = { prompt = 'x' duration = 5 }\n"
       "                     ^\n"
       "  do: is a comma missing before duration?"},
      {"if x != 1 then end",
       "film.lua:1: 'then' expected near '!'\n"
       "  if x != 1 then end\n"
       "       ^\n"
       "  do: Lua's \"not equal\" is ~="},
      {"local function f()\n  return 1\n",
       "film.lua:3: 'end' expected (to close 'function' at line 1) near <eof>\n"
       "  do: what \"function\" began in line 1 is not closed"},
      {"x = 1 y = = 2",
       "film.lua:1: unexpected symbol near '='\n"
       "  x = 1 y = = 2\n"
       "            ^"},
      {"local s = \"} x\" }",  // what is alike inside of a text is not meant
       "film.lua:1: unexpected symbol near '}'\n"
       "  local s = \"} x\" }\n"
       "                  ^\n"
       "  do: it is one too many, or what it closes was not opened"},
      {"local s = \"é灯🦊\" print(1 2)",  // wide letters take two columns
       "film.lua:1: ')' expected near '2'\n"
       "  local s = \"é灯🦊\" print(1 2)\n"
       "                            ^\n"
       "  do: is a comma missing before 2, or a )?"},
      {"x = 1\rprint(1\r\n\nx = )",  // line ends of all systems
       "film.lua:4: ')' expected (to close '(' at line 2) near 'x'\n"
       "  x = )\n"
       "  ^\n"
       "  do: is a comma missing before x?"},
      {"x = [[\nstatic camera\n]] y = = 2",  // a line of a text is no line of code
       "film.lua:3: unexpected symbol near '='\n"
       "  ]] y = = 2\n"
       "         ^"},
      {"if x then break end\nlocal y = 1",
       "film.lua:2: break outside loop at line 1\n"
       "  if x then break end\n"
       "            ^\n"
       "  do: break ends a loop: a function ends with return, the script with os.exit()"},
  };
  for (const Row& row : rows) CHECK(compiled(row.source) == row.says);
  const std::string far = std::string(900, 'x'), text = "s = \"" + far + "\" y = = \"" + far + '"';
  CHECK(compiled(text) == "film.lua:1: unexpected symbol near '='\n  " + far.substr(0, 31) +
                              "\" y = = \"" + far.substr(0, 34) + "\n  " + std::string(37, ' ') +
                              '^');
}

TEST_CASE("a message without a line, and a line that is not there, stay as they are") {
  CHECK(explain_syntax("not enough memory", "x") == "not enough memory");
  CHECK(explain_syntax("film.lua:99: odd", "one line") == "film.lua:99: odd");
  CHECK(explain_syntax("", "") == "");
  CHECK(explain_syntax("a:99999999999999999999: b", "x") == "a:99999999999999999999: b");
}

TEST_CASE("a call of nothing is told what was meant") {
  struct Row {
    const char* message;
    const char* says;
  };
  const Row rows[] = {
      {"film.lua:1: attempt to index a nil value (global 'kling')",
       "begin with: local kling = require \"kling\""},
      {"film.lua:1: attempt to call a nil value (global 'text2video')",
       "did you mean kling.text2video?"},
      {"film.lua:1: attempt to call a nil value (global 'helper')", ""},
      {"film.lua:1: module 'Kling' not found:\n\tno field", "did you mean require \"kling\"?"},
      {"film.lua:1: module 'socket' not found:\n\tno field",
       "a file socket.lua beside the script is found"},
      {"film.lua:1: module 'a' not found:\n\tno text file 'a' below a folder that was allowed",
       "a file a.lua below a folder that was allowed is found"},
      {"film.lua:1: module 'socket.lua' not found:\n\tno field", "write require \"socket\""},
      {"film.lua:1: attempt to call a nil value (field 'text2vidio')",
       "did you mean kling.text2video?"},
      {"film.lua:1: attempt to call a nil value (field 'wait')",
       "write job:wait(…): it belongs to the job"},
      {"film.lua:1: attempt to call a nil value (field 'last_frame')",
       "write clip:last_frame(…): it belongs to the clip"},
      {"film.lua:1: attempt to call a nil value (method 'lastframe')", "did you mean :last_frame?"},
      {"film.lua:1: bad argument #1 to 'sleep' (number expected, got string)",
       "write kling.sleep(seconds)"},
      {"film.lua:1: bad argument #1 to 'save' (string expected, got no value)",
       "write clip:save(path)"},
      {"film.lua:1: bad argument #1 to 'insert' (table expected, got nil)",
       "a value was never set: is it spelt as where it was set?"},
      {"film.lua:1: stack overflow", "a function calls itself without an end"},
      {"film.lua:1: attempt to index a nil value (field 'integer index')",
       "the list has no such item: the first is [1]; did a function for kling.map forget its "
       "return?"},
      {"film.lua:1: attempt to add a nil value", ""},
  };
  for (const Row& row : rows) {
    CAPTURE(std::string(row.message));
    CHECK(meant_instead(row.message) == row.says);
  }
}
