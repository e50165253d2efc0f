#include "engine/media/tool.h"

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <string_view>

#include <unistd.h>

#include "base/files.h"

namespace kling::engine::media {
namespace {

using std::string_view;

/// Names and messages of others, fit for one line on a terminal.
std::string printable(string_view text, std::size_t size) {
  std::string line(text.substr(0, size));
  for (char& c : line)
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  return line;
}

}  // namespace

std::string reason(string_view messages, const std::string& subject) {
  while (!messages.empty() && messages.back() == '\n') messages.remove_suffix(1);
  const std::string named = "file:" + subject + ": ";
  if (const auto at = messages.rfind(named); at != string_view::npos)
    messages.remove_prefix(at + named.size());
  if (const auto at = messages.rfind('\n'); at != string_view::npos) messages.remove_prefix(at + 1);
  return messages.empty() ? "no reason was given" : printable(messages, 200);
}

Error media_error(const std::string& path, const std::string& what, std::string hint) {
  Error error;
  error.kind = Kind::media;
  error.message = printable(path, 300) + " " + what;
  error.hint = std::move(hint);
  return error;
}

Status check_folder(const std::string& path) {
  const auto folder = std::filesystem::path(path).parent_path().string();
  if (::access(folder.empty() ? "./" : (folder + "/").c_str(), W_OK | X_OK) == 0) return Done{};
  return media_error(path, "cannot be written: " + system_message(errno));
}

std::string decimal(double number) {
  char text[400];
  const auto end = std::to_chars(text, text + sizeof text, number, std::chars_format::fixed, 6);
  return std::string(text, end.ptr);
}

void add_input(Arguments& arguments, const Source& source, const Arguments& options) {
  arguments.insert(arguments.end(), options.begin(), options.end());
  // The demuxer is fixed by our own look at the file: none that opens further files (concat, HLS,
  // image sequences) is ever chosen, and "file:" makes any name inert. 8192 x 8192 pixels.
  for (const char* argument : {"-protocol_whitelist", "file", "-max_pixels", "67108864", "-f"})
    arguments.push_back(argument);
  arguments.insert(arguments.end(), {source.demuxer, "-i", "file:" + source.path});
}

Status run_ffmpeg(const Arguments& arguments, const std::string& subject,
                  std::chrono::milliseconds time) {
  Arguments argv = {"ffmpeg", "-nostdin", "-hide_banner", "-loglevel", "error", "-y"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = run_process(argv, {.time = time});
  if (!result) return result.error();
  if (result->exit_code == 0) return Done{};
  return media_error(subject, "could not be made or read: " + reason(result->messages, subject));
}

PartPath::PartPath(const std::string& path) : path_(part_path(path)) {}
PartPath::~PartPath() { ::unlink(path_.c_str()); }

}  // namespace kling::engine::media
