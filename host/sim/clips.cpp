#include "sim/clips.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <sstream>

#include "base/digest.h"
#include "base/files.h"
#include "base/process.h"

namespace kling::sim {
namespace {

constexpr std::size_t kRendersAtOnce = 2;

/// "0xRRGGBB" of a hue (turns), at a light and saturation that text stays readable on.
std::string colour(double hue, double light) {
  const auto channel = [&](double offset) {
    const double wave = 0.5 + 0.5 * std::cos(6.28318530718 * (hue + offset));
    return static_cast<int>(std::lround(255 * std::clamp(light * (0.25 + 0.75 * wave), 0.0, 1.0)));
  };
  return printed("0x%02x%02x%02x", channel(0), channel(1 / 3.0), channel(2 / 3.0));
}

/// A moving pattern, the same for the same seed: rays or a spiral around a point that circles the
/// middle. Its very first frame has a crack, so it is left out.
std::string pattern(std::uint64_t seed, const Order& order) {
  const double hue = static_cast<double>(seed % 1000) / 1000;
  // Small, and scaled up: a full-size one costs more than the encoding.
  const auto width = static_cast<std::uint64_t>(order.width / 8),
             height = static_cast<std::uint64_t>(order.height / 8);
  const std::uint64_t colours = 4 + seed / 13 % 3;
  const auto part = [](const char* name, std::uint64_t value) {
    return std::string(":") + name + "=" + std::to_string(value);
  };
  std::string source = "gradients=s=" + std::to_string(width) + "x" + std::to_string(height) +
                       part("r", static_cast<std::uint64_t>(order.fps)) + part("n", colours) +
                       part("x0", width * (1 + seed / 17 % 2 * 2) / 4) + part("x1", width) +
                       part("y0", height * (1 + seed / 51 % 3) / 4) + part("y1", height) +
                       (seed / 5 % 2 == 0 ? ":type=circular" : ":type=spiral") + ":speed=0.0" +
                       std::to_string(1 + seed / 1000 % 3) + part("seed", seed / 7 % 100000);
  for (std::uint64_t i = 0; i < colours; ++i) {
    source += ":c" + std::to_string(i) + "=" +
              colour(hue + 0.13 * static_cast<double>(i), i % 2 == 0 ? 0.9 : 0.35);
  }
  return source + ",trim=start_frame=1";
}

/// Prompt text as lines of at most `width` characters, four at most.
std::string wrapped(const std::string& prompt, std::size_t width) {
  std::string text;
  std::size_t column = 0, lines = 1;
  for (const char c : prompt) {
    const bool starts_character = (c & 0xC0) != 0x80;
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (starts_character && (column >= width + 12 || (column >= width && space))) {
      if (++lines > 4) return text + " ...";
      text += '\n';
      column = 0;
      if (space) continue;
    }
    // Control characters would be drawn as boxes.
    text += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    column += starts_character ? 1 : 0;
  }
  return text;
}

/// A value inside a filter graph: two levels of parsing, so two of escaping.
std::string escaped(const std::string& value) {
  std::string once, twice;
  for (const char c : value)
    (std::string("\\':").find(c) == std::string::npos ? once : once += '\\') += c;
  for (const char c : once) {
    (std::string("\\'[],;").find(c) == std::string::npos ? twice : twice += '\\') += c;
  }
  return twice;
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

std::string seconds(double value) { return printed("%.3f", value); }

/// The command line and the filter graph of one clip, grown input by input.
class Drawing {
 public:
  Drawing(const Task& task, const std::string& draft, bool words)
      : task_(task), order_(task.order), draft_(draft), words_(words) {}

  std::vector<std::string> command() {
    std::string picture = background();
    picture = thumbnails(picture);
    picture = frames(picture);
    if (words_) picture = words(picture);
    if (order_.sound) add({"-f", "lavfi", "-i", tone()});
    // A time, as a count of frames would cut the sound short; between two frames, to be safe.
    const std::string length = seconds((task_.frames() - 0.25) / order_.fps);
    std::vector<std::string> argv = words_of("ffmpeg -hide_banner -loglevel error -nostdin -y");
    argv.insert(argv.end(), inputs_.begin(), inputs_.end());
    argv.insert(argv.end(), {"-filter_complex", graph_, "-map", "[" + picture + "]"});
    if (order_.sound) {
      const std::string audio = std::to_string(count_ - 1) + ":a";
      argv.insert(argv.end(), {"-map", audio, "-c:a", "aac", "-b:a", "96k"});
    }
    const std::string output =
        "-c:v libx264 -preset ultrafast -crf 20 -pix_fmt yuv420p -colorspace bt709 "
        "-color_primaries bt709 -color_trc bt709 -color_range tv -fflags +bitexact "
        "-flags:v +bitexact -movflags +faststart -t " +
        length;
    for (const std::string& word : words_of(output)) argv.push_back(word);
    argv.push_back(draft_ + ".mp4");
    return argv;
  }

 private:
  int add(std::vector<std::string> input) {
    inputs_.insert(inputs_.end(), input.begin(), input.end());
    return count_++;
  }

  /// Appends a chain to the graph and gives its output's name.
  std::string chain(const std::string& in, const std::string& filters) {
    std::string out = "v" + std::to_string(++chains_);
    graph_ += (graph_.empty() ? "" : ";") + in + filters + "[" + out + "]";
    return out;
  }

  std::string scaled(int width, int height) const {
    return "scale=" + std::to_string(width) + ":" + std::to_string(height) +
           ":flags=bicubic:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p";
  }
  std::string timed() const {
    const std::string rate = std::to_string(order_.fps);
    return ",setpts=N,settb=1/" + rate + ",fps=" + rate;
  }

  /// A still picture of so many frames, -1: as long as needed. `name`: a path, or "~…" for a
  /// stand-in.
  std::string still(const std::string& name, int width, int height, int frames = -1) {
    // One decoded frame, repeated by the filter: -loop would decode it for every frame.
    const int input = name[0] == '~' ? add({"-f", "lavfi", "-i", pattern(hash_of(name), order_)})
                                     : add({"-f", "image2", "-pattern_type", "none", "-i", name});
    return chain("[" + std::to_string(input) + "]", "trim=end_frame=1," + scaled(width, height) +
                                                        ",loop=" + std::to_string(frames) + ":1:0" +
                                                        timed());
  }

  std::string background() {
    const std::string& source = order_.source;
    const std::string words = order_.kind + order_.model + order_.prompt + task_.clip;
    if (source.empty() || source[0] == '~') {
      const int input = add({"-f", "lavfi", "-i", pattern(hash_of(words), order_)});
      return chain("[" + std::to_string(input) + "]",
                   scaled(order_.width, order_.height) + timed());
    }
    // The edited clip in other colours; its last frame stands when it is the shorter one.
    const int input = add({"-f", "mov", "-i", source});
    return chain("[" + std::to_string(input) + "]",
                 scaled(order_.width, order_.height) + ",fps=" + std::to_string(order_.fps) +
                     ",hue=h=" + std::to_string(60 + hash_of(words) % 240) +
                     ",tpad=stop=-1:stop_mode=clone" + timed());
  }

  /// Reference pictures in a row at the top.
  std::string thumbnails(std::string picture) {
    const int width = order_.width / 10 * 2, gap = order_.width / 40;
    int x = gap;
    for (const std::string& other : order_.others) {
      if (x + width > order_.width) break;
      const std::string small = still(other, width, width * 9 / 32 * 2);
      picture = chain("[" + picture + "][" + small + "]",
                      "overlay=x=" + std::to_string(x) + ":y=" + std::to_string(gap * 4));
      x += width + gap;
    }
    return picture;
  }

  /// The first frame fades into the clip and the clip into the last frame. Transparency over the
  /// clip, only while it is seen, costs a fraction of a cross-fade.
  std::string frames(std::string picture) {
    const double fade = order_.seconds * 0.4;
    // `count`: of frames; -1: to the end, so that no rounding can lose the very last one.
    const auto over = [&](const std::string& name, const char* direction, double from, double rest,
                          int count) {
      const std::string frame =
          chain("[" + still(name, order_.width, order_.height, count) + "]",
                std::string("format=yuva420p,fade=") + direction + ":alpha=1:st=" + seconds(rest) +
                    ":d=" + seconds(fade) + ",setpts=PTS+" + seconds(from) + "/TB");
      picture = chain("[" + picture + "][" + frame + "]", "overlay=eof_action=pass");
    };
    constexpr double kRest = 0.2;  // shown in full before and after
    const int shown = static_cast<int>((kRest + fade) * order_.fps) + 2;
    if (!order_.first.empty()) over(order_.first, "out", 0, kRest, shown);
    if (!order_.last.empty()) over(order_.last, "in", order_.seconds - fade - kRest, 0, -1);
    return picture;
  }

  /// The prompt comes from a file and is not expanded, so that nothing in it is filter syntax.
  std::string words(const std::string& picture) {
    const std::string size = std::to_string(std::min(order_.width, order_.height) / 26);
    const std::string style = ":fontsize=" + size +
                              ":fontcolor=white:box=1:boxcolor=black@0.45:boxborderw=" + size +
                              "/3:enable='between(t,0.3," + seconds(order_.seconds - 0.3) + ")'";
    const std::string left = ":x=" + size + "*1.5";
    // Above the words of a clip that is edited.
    const std::string lower = order_.source.empty() ? "1.5" : "8";
    return chain("[" + picture + "]", "drawtext=textfile=" + escaped(draft_ + ".txt") +
                                          ":expansion=none" + left + ":y=h-th-" + size + "*" +
                                          lower + style +
                                          ",drawtext=text='simulation   frame %{n}'" + left +
                                          ":y=" + size + "*1.2" + style);
  }

  std::string tone() const {
    const auto pitch = 180 + hash_of(order_.prompt) % 400;
    return "sine=frequency=" + std::to_string(pitch) +
           ":beep_factor=2:sample_rate=44100,volume=0.4";
  }

  const Task& task_;
  const Order& order_;
  const std::string& draft_;
  const bool words_;
  std::vector<std::string> inputs_;
  std::string graph_;
  int count_ = 0, chains_ = 0;
};

/// Writes `draft`.mp4 (and `draft`.txt, the words). The order's picture and clip names are paths,
/// or "~…" for what was not fetched. The first frame is order.first and the last one order.last,
/// where given; words are drawn only in between, so that clips can be chained.
Status render_clip(const Task& task, const std::string& draft) {
  const Order& order = task.order;
  const std::size_t columns = order.width > order.height ? 64 : 34;
  const std::string words = wrapped(order.prompt, columns) + "\n" + order.model + " " + order.mode +
                            "  " + std::to_string(order.seconds) + " s";
  if (auto written = write_file(draft + ".txt", words); !written) return written.error();
  std::string messages;
  // Where there is no font, a clip without words is better than none.
  for (const bool with_words : {true, false}) {
    auto run = run_process(Drawing(task, draft, with_words).command());
    if (!run) return run.error();
    if (run->exit_code == 0) return Done{};
    messages = run->messages;
  }
  return Error{.kind = Kind::media, .message = "ffmpeg could not render the clip: " + messages};
}

}  // namespace

Result<std::string> Clips::file(const Task& task) {
  const std::string target = path(task.clip);
  // A clip that is edited comes first, outside of the queue: it needs a place in it too.
  if (const auto source = find_(task.order.source)) {
    if (auto made = file(*source); !made) return made.error();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool mine = rendering_.count(task.clip) == 0;
    return mine && (rendering_.size() < kRendersAtOnce || std::filesystem::exists(target));
  });
  if (std::filesystem::exists(target)) return target;
  rendering_.insert(task.clip);
  lock.unlock();
  const auto made = render(task, target);
  lock.lock();
  rendering_.erase(task.clip);
  ++renders_;
  changed_.notify_all();
  if (!made) return made.error();
  return target;
}

Status Clips::render(const Task& task, const std::string& target) const {
  // A name of its own: another simulator may render into the same folder.
  const std::string draft = dir_ + "/" + random_hex(8);
  const auto input = [this](const std::string& name) {
    if (name.empty() || name[0] == '~') return name;
    const bool picture = name.find('.') != std::string::npos;
    return picture ? pictures_.path(name) : path(name);
  };
  Task named = task;
  for (std::string* name : {&named.order.first, &named.order.last, &named.order.source}) {
    *name = input(*name);
  }
  for (std::string& name : named.order.others) name = input(name);
  auto made = render_clip(named, draft);
  if (made) made = commit_file(draft + ".mp4", target);
  std::error_code ignored;
  std::filesystem::remove(draft + ".txt", ignored);
  std::filesystem::remove(draft + ".mp4", ignored);
  return made;
}

std::string Clips::signature(const std::string& clip, const std::string& expires) const {
  return sha256_hex(std::to_string(seed_) + "/" + clip + "/" + expires).substr(0, 40);
}

std::string Clips::signed_path(const std::string& clip, Millis expires) const {
  const std::string seconds = std::to_string(expires / 1000);
  return "/sim/clips/" + clip + ".mp4?Expires=" + seconds +
         "&Signature=" + signature(clip, seconds);
}

std::string Clips::key_of(const std::string& url) {
  const std::string before = "/sim/clips/";
  const auto start = url.find(before);
  const auto end = url.find(".mp4", start == std::string::npos ? 0 : start);
  if (start == std::string::npos || end == std::string::npos) return {};
  return url.substr(start + before.size(), end - start - before.size());
}

bool Clips::valid(const std::string& clip, const std::string& expires, const std::string& given,
                  Millis now) const {
  return given == signature(clip, expires) && now / 1000 < std::atoll(expires.c_str());
}

}  // namespace kling::sim
