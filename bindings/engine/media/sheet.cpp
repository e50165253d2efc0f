#include <algorithm>
#include <cmath>
#include <map>

#include "base/files.h"
#include "engine/media/tool.h"

namespace kling::engine::media {
namespace {

constexpr int kCellWidth = 320, kLabelHeight = 24;

/// As the text of a filter's option: what means something there is left out.
std::string as_filter_text(const std::string& label) {
  std::string text;
  for (const char c : label) {
    const bool plain = static_cast<unsigned char>(c) >= ' ' && c != '\x7f';
    text += plain && std::string_view("\\':,;[]%").find(c) == std::string_view::npos ? c : ' ';
  }
  return text;
}

}  // namespace

Status sheet(const std::vector<Cell>& cells, int columns, bool labels, const std::string& png,
             const Warn& warn) {
  if (Status status = check_folder(png); !status) return status;
  std::map<std::string, Source> sources;
  for (const Cell& cell : cells) {
    if (sources.contains(cell.path)) continue;
    auto source = inspect(cell.path, false);
    if (!source) return source.error();
    if (source->video_index < 0) return no_video(cell.path);
    sources.emplace(cell.path, std::move(*source));
  }
  // All have the shape of the first.
  const Source& model = sources.at(cells.front().path);
  const double ratio = std::clamp(double(model.height) / model.width, 0.1, 4.0);
  const int height = std::max(2, int(std::lround(kCellWidth * ratio / 2)) * 2);

  Arguments arguments;
  std::string filters, pads;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const Source& source = sources.at(cells[i].path);
    const std::string index = std::to_string(i);
    Arguments options = input_options(source);
    options.insert(options.end(), {"-threads", "1"});
    std::string label = cells[i].label;
    if (!source.is_picture) {
      const double last = source.video_end - 1.5 / std::max(1.0, source.fps);
      const double at =
          std::max(0.0, source.video_start + cells[i].share * (last - source.video_start));
      options.insert(options.end(), {"-ss", decimal(at)});
      label += printed("  %.1f s", at);
    }
    add_input(arguments, source, options);
    const double fit = std::min(double(kCellWidth) / source.width, double(height) / source.height);
    const auto side = [fit](int length) { return std::max(1, int(length * fit)); };
    filters += "[" + index + ":" + std::to_string(source.video_index) + "]trim=end_frame=1," +
               scaled(source, side(source.width), side(source.height)) +
               ",setsar=1,format=rgb24,pad=" + std::to_string(kCellWidth) + ":" +
               std::to_string(height) + ":-1:-1";
    if (labels)
      filters +=
          ",pad=iw:ih+" + std::to_string(kLabelHeight) +
          ":0:0:color=0x181818,drawtext=expansion=none:fontcolor=white:fontsize=14:x=6:y=h-" +
          std::to_string(kLabelHeight - 5) + ":text='" + as_filter_text(label) + "'";
    filters += ",setpts=" + index + "/TB[c" + index + "];";
    pads += "[c" + index + "]";
  }
  const auto rows = (cells.size() + std::size_t(columns) - 1) / std::size_t(columns);
  filters += pads + "concat=n=" + std::to_string(cells.size()) +
             ",tile=" + std::to_string(columns) + "x" + std::to_string(rows) +
             ":padding=6:margin=6:color=0x181818[s]";
  const PartPath part(png);
  arguments.insert(arguments.end(),
                   {"-filter_complex", filters, "-map", "[s]", "-frames:v", "1", "-f", "image2",
                    "-update", "1", "-c:v", "png", "file:" + part.path()});
  if (Status made = run_ffmpeg(arguments, png); !made) {
    if (!labels) return made;
    // Mostly a machine without fonts, or an ffmpeg that cannot draw with them.
    if (Status plain = sheet(cells, columns, false, png, warn); !plain) return plain;
    if (warn) warn("a sheet has no labels: " + made.error().message);
    return Done{};
  }
  return commit_file(part.path(), png);
}

}  // namespace kling::engine::media
