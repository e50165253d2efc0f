// The terminal of the REPL: lines typed with editing, history and completion, signals, and text
// that comes in between without breaking the line that is being typed. On a pipe or a terminal
// without cursor movement the same, line by line. One object a process; main thread; reading
// blocks.
#pragma once

#include <memory>

#include "repl/history.h"
#include "repl/interpreter.h"

namespace kling::repl {

class Console {
 public:
  enum class Read { line, interrupted, withdrawn, end };  ///< line: there is something to read

  struct Hooks {
    /// Lets the background go on; called before each wait. Returns the real ms after which it
    /// wants to be called again; -1: only when `descriptor` is readable.
    std::function<int()> idle;
    std::function<Proposals(const std::string& before)> complete;
    int descriptor = -1;
  };

  /// Blocks SIGINT, SIGTERM, SIGHUP, SIGWINCH and SIGCONT for this thread and those it starts:
  /// make it before any thread.
  Console();
  ~Console();

  /// A person types, so prompts are shown.
  bool interactive() const { return interactive_; }
  void start(HistoryFile& history, std::string key, Hooks hooks);

  /// Ends read_line() with Read::withdrawn; from the hook `idle`.
  void withdraw() { withdrawn_ = true; }
  /// The next line, without its end.
  Read read_line(const std::string& prompt, std::string& line);
  /// Prints a line or several; above the line being typed, when there is one.
  void say(const std::string& text);
  void clear_screen();

  /// Waits for the hooks' descriptor or a signal, at most so many real ms (-1: no limit).
  void wait(int milliseconds);
  /// Ctrl-C presses since the last call. Never blocks; also from a Lua hook.
  int take_interrupts();
  /// SIGTERM or SIGHUP arrived: leave.
  bool told_to_leave() const { return leave_; }

 private:
  struct Editor;
  Read await_input();
  Read read_plain(std::string& line);
  Read read_edited(std::string& line);

  const bool interactive_;
  int signals_ = -1;  ///< of the whole process
  int interrupts_ = 0;
  bool leave_ = false;
  bool resized_ = false, continued_ = false;
  HistoryFile* history_ = nullptr;
  std::string key_;
  Hooks hooks_;
  std::string prompt_;
  bool reading_ = false;
  std::string buffer_;  ///< read but not yet a line; without an editor
  bool begun_ = false;  ///< standard input was read from
  bool withdrawn_ = false;
  bool ended_ = false;
  std::unique_ptr<Editor> editor_;
};

}  // namespace kling::repl
