// The lines typed in earlier sessions: one a line in $XDG_STATE_HOME/kling/history, mode 0600,
// written as they are typed, so that nothing is lost when the program is killed. Lines with a key
// or a signed address are left out. Blocks on the disk; one thread.
#pragma once

#include <string>
#include <vector>

namespace kling::repl {

class HistoryFile {
 public:
  /// Reads the newest lines of the file, which is made on the first add(). An unusable path means
  /// no history, and no error.
  explicit HistoryFile(std::string path);
  /// Oldest first.
  const std::vector<std::string>& lines() const { return lines_; }
  /// Whether the line was kept. `key` is never written, whatever it looks like; may be empty.
  bool add(const std::string& line, const std::string& key);

 private:
  std::string path_;
  std::vector<std::string> lines_;
};

}  // namespace kling::repl
