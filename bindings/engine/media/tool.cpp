#include "engine/media/tool.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <mutex>
#include <set>

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

/// Never destroyed: a worker may outlive main.
struct Tools {
  std::mutex mutex;
  std::string folder;           ///< empty: PATH
  std::string good;             ///< what was found to do
  std::set<std::string> parts;  ///< what is being written
};
Tools& g_tools = *new Tools;

struct Delays {
  Warn tell;
  std::chrono::milliseconds after{0};
  const std::atomic<bool>* cancel = nullptr;
};
thread_local Delays t_delays;

Status check_tool(const std::string& name) {
  const std::string program = tool(name.c_str());
  const auto output = run_tool({program, "-version"}, "", {.time = std::chrono::minutes(1)});
  if (!output) return output.error();
  // "ffmpeg version 5.1.9-0+deb12u1", "n7.1"; a build from no release tells its library's number.
  const auto at = output->output.find(name + " version ");
  if (output->exit_code != 0 || at == std::string::npos)
    return media_error(program, "does not run: " + reason(output->messages, ""),
                       "install ffmpeg 5.1 or later, or put one first on PATH");
  const std::string text = output->output.substr(at);
  const char* version = text.c_str() + name.size() + sizeof "version";
  int major = 0, minor = 0;
  bool old = std::sscanf(version, " %*[n]%d.%d", &major, &minor) > 0 ||
             std::sscanf(version, " %d.%d", &major, &minor) > 0;
  if (old) {
    old = major < 5 || (major == 5 && minor < 1);
  } else if (const auto library = text.find("libavutil"); library != text.npos) {
    old = std::sscanf(text.c_str() + library, "libavutil %d.%d", &major, &minor) == 2 &&
          (major < 57 || (major == 57 && minor < 28));
  }
  if (!old) return Done{};
  const auto line = text.substr(0, std::min(text.find(" Copyright"), text.find('\n')));
  return media_error(line, "on PATH is too old: frames and films need 5.1 or later",
                     "install a newer ffmpeg, or put one first on PATH");
}

}  // namespace

void tell_delays(Warn tell, std::chrono::milliseconds after, const std::atomic<bool>* cancel) {
  t_delays = {std::move(tell), after, cancel};
}

Result<ProcessOutput> run_tool(const Arguments& argv, const std::string& subject,
                               ProcessLimits limits) {
  const std::string what = subject.empty() ? "" : ", which works on " + printable(subject, 300);
  std::size_t seen = 0;  // of its output, a sign of life
  auto due = std::chrono::steady_clock::now() + t_delays.after;
  const auto read = std::move(limits.read);
  limits.cancel = t_delays.cancel;
  limits.read = [&](std::string& output) {
    if (output.size() != seen) due = std::chrono::steady_clock::now() + t_delays.after;
    if (read) read(output);
    seen = output.size();
    if (!t_delays.tell || std::chrono::steady_clock::now() < due) return;
    due = std::chrono::steady_clock::time_point::max();
    t_delays.tell("still waiting for " + argv[0] + what);
  };
  auto result = run_process(argv, limits);
  if (result || subject.empty()) return result;
  Error error = result.error();
  error.message = printable(subject, 300) + ": " + error.message;
  return error;
}

std::string reason(string_view messages, const std::string& subject) {
  while (!messages.empty() && messages.back() == '\n') messages.remove_suffix(1);
  const std::string named = "file:" + subject + ": ";
  if (const auto at = messages.rfind(named); at != string_view::npos)
    messages.remove_prefix(at + named.size());
  if (const auto at = messages.rfind('\n'); at != string_view::npos) messages.remove_prefix(at + 1);
  // "[mov,mp4 @ 0x55d0c0de] moov atom not found"
  if (const auto at = messages.find("] "); messages.starts_with('[') && at != string_view::npos)
    messages.remove_prefix(at + 2);
  return messages.empty() ? "no reason was given" : printable(messages, 200);
}

Error media_error(const std::string& path, const std::string& what, std::string hint) {
  return {
      .kind = Kind::media, .message = printable(path, 300) + " " + what, .hint = std::move(hint)};
}

Error no_video(const std::string& path) {
  return media_error(path, "has no video, only sound",
                     "give a file with a picture; a sound under the film is its { audio = PATH }");
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

Arguments input_options(const Source& source) {
  return source.is_picture ? Arguments{"-noautorotate"} : Arguments{};
}

std::string scaled(const Source& source, int width, int height) {
  constexpr const char* kUpright[] = {"",
                                      "hflip,",
                                      "hflip,vflip,",
                                      "vflip,",
                                      "transpose=0,",
                                      "transpose=1,",
                                      "transpose=3,",
                                      "transpose=2,"};
  std::string filters = kUpright[source.orientation - 1];
  // ffmpeg 7 would hand the camera's turn on to the film, beside what we have turned.
  if (!filters.empty()) filters += "sidedata=mode=delete:type=DISPLAYMATRIX,";
  filters += "scale=" + std::to_string(width) + ":" + std::to_string(height) +
             ":flags=bicubic+accurate_rnd+full_chroma_int";
  if (!source.pixel_format.starts_with("yuv")) return filters;
  return filters + ":in_color_matrix=" + source.matrix +
         ":in_range=" + (source.full_range ? "pc" : "tv");
}

void warn_of_colours(const Source& source, const Warn& warn) {
  if (source.beyond.empty() || !warn) return;
  warn(printable(source.path, 300) + " is " + source.beyond +
       "; frames and films are BT.709 without HDR, so its colours look wrong there: convert it "
       "first, with an editor or ffmpeg's filters zscale and tonemap");
}

void warn_of_damage(const std::string& path, const std::string& damage, const Warn& warn) {
  if (damage.empty() || !warn) return;
  warn(printable(path, 300) + " may be damaged or cut off (" + damage +
       "): look at what is made of it, or get the file again");
}

void use_tools(const std::string& folder) {
  std::lock_guard lock(g_tools.mutex);
  g_tools.folder = folder;
  g_tools.good.clear();
}

std::string tool(const char* name) {
  std::lock_guard lock(g_tools.mutex);
  return g_tools.folder.empty() ? name : g_tools.folder + "/" + name;
}

Status check_ffmpeg() {
  const char* path = std::getenv("PATH");
  const std::string place = tool("") + ":" + (path != nullptr ? path : "");
  {
    std::lock_guard lock(g_tools.mutex);
    if (g_tools.good == place) return Done{};
  }
  for (const std::string name : {"ffmpeg", "ffprobe"})
    if (Status usable = check_tool(name); !usable) return usable;
  std::lock_guard lock(g_tools.mutex);
  g_tools.good = place;
  return Done{};
}

Status run_ffmpeg(const Arguments& arguments, const std::string& subject,
                  std::chrono::milliseconds time, const Reached& reached, std::string* damage) {
  Arguments argv = {tool("ffmpeg"), "-nostdin", "-hide_banner", "-loglevel", "repeat+error", "-y"};
  ProcessLimits limits{.time = time};
  if (reached) {
    argv.insert(argv.end(), {"-progress", "pipe:1"});
    limits.read = [&reached](std::string& told) {
      constexpr string_view kTime = "out_time_us=";
      double microseconds = 0;
      if (const auto at = told.rfind(kTime); at != told.npos && told.find('\n', at) != told.npos)
        if (std::sscanf(told.c_str() + at + kTime.size(), "%lf", &microseconds) == 1)
          reached(microseconds / 1e6);
      told.erase(0, told.rfind('\n') + 1);
    };
  }
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = run_tool(argv, subject, limits);
  if (!result) return result.error();
  if (damage && !result->messages.empty()) *damage = reason(result->messages, subject);
  if (result->exit_code == 0) return Done{};
  return media_error(subject, "could not be made or read: " + reason(result->messages, subject));
}

PartPath::PartPath(const std::string& path) : path_(part_path(path)) {
  std::lock_guard lock(g_tools.mutex);
  g_tools.parts.insert(path_);
}

PartPath::~PartPath() {
  ::unlink(path_.c_str());
  std::lock_guard lock(g_tools.mutex);
  g_tools.parts.erase(path_);
}

void drop_parts() {
  std::lock_guard lock(g_tools.mutex);
  for (const std::string& part : g_tools.parts) ::unlink(part.c_str());
}

}  // namespace kling::engine::media
