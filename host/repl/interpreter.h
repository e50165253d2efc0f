// What the REPL does with text: inputs become functions, values become text, beginnings of words
// become proposals. The Lua part is in show.lua, assist.lua and session.lua; this is the way to it.
// Owner's thread; blocks on the disk only (.load, .save, file names).
#pragma once

#include <functional>
#include <string>
#include <vector>

struct lua_State;

namespace kling::repl {

/// What the Lua part needs of the program.
struct Host {
  std::string chunk_name;                         ///< of what is typed, as "=input"
  std::function<void(const std::string&)> write;  ///< own words and the user's, without newline
  std::function<std::string()> jobs;              ///< the jobs of this session as lines
};

struct Proposals {
  std::size_t replaced = 0;  ///< bytes before the cursor that a proposal takes the place of
  std::vector<std::string> texts;
};

class Interpreter {
 public:
  enum class Verdict { nothing, run, timed, more, text, error, clear, quit };

  /// REQUIRES: the module kling is open in `L`; called in protected mode (may raise Lua errors).
  /// `host` must outlive the state. Sets the globals kling, print, help and jobs.
  static void open(lua_State* L, const Host& host);

  explicit Interpreter(lua_State* L) : L_(L) {}
  /// Judges the lines typed so far, the first of them having that number. For run and timed the
  /// function to spawn lies on the stack; for text and error `text` is what to print.
  Verdict submit(const std::string& lines, int first_line, std::string& text);
  /// The answer of the input that has just run without an error; empty: none.
  std::string finish();
  /// What may follow `before`. Calls nothing of the user's.
  Proposals complete(const std::string& before);

 private:
  bool call(const char* name, const std::string& text, int number, int results);

  lua_State* L_;
};

/// True when the text holds what looks like a key or a signed address.
bool is_secret(const std::string& text);

}  // namespace kling::repl
