#include "repl/history.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/files.h"
#include "repl/interpreter.h"

namespace kling::repl {

constexpr std::size_t kMostLines = 1000;
constexpr std::uint64_t kMostBytes = 4 << 20;

HistoryFile::HistoryFile(std::string path) : path_(std::move(path)) {
  const auto read =
      path_.empty() ? Result<std::string>(std::string()) : read_file(path_, kMostBytes);
  if (!read) return;
  for (std::size_t at = 0; at < read->size();) {
    const std::size_t end = std::min(read->find('\n', at), read->size());
    lines_.push_back(read->substr(at, end - at));
    at = end + 1;
  }
  if (lines_.size() <= kMostLines) return;
  const bool much = lines_.size() > 2 * kMostLines;
  lines_.erase(lines_.begin(), lines_.end() - static_cast<std::ptrdiff_t>(kMostLines));
  if (!much) return;
  std::string text;
  for (const std::string& line : lines_) text += line + "\n";
  (void)write_file(path_, text, true);
}

bool HistoryFile::add(const std::string& line, const std::string& key) {
  if (line.find_first_not_of(" \t") == std::string::npos) return false;
  if (is_secret(line) || (!key.empty() && line.find(key) != std::string::npos)) return false;
  if (!lines_.empty() && lines_.back() == line) return false;
  lines_.push_back(line);
  if (path_.empty()) return true;
  if (!make_folders(std::filesystem::path(path_).parent_path().string())) return true;
  const Descriptor file(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600));
  if (!file) return true;
  ::fchmod(file.get(), 0600);  // it may be older than this rule
  const std::string text = line + "\n";
  (void)!::write(file.get(), text.data(), text.size());
  return true;
}

}  // namespace kling::repl
