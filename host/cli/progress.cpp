#include "cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <sys/ioctl.h>
#include <unistd.h>

#include "engine/error_json.h"

namespace kling::cli {
namespace {

constexpr std::size_t kMaxLines = 12;

bool is_over(const engine::JobSnapshot& job) {
  return job.state == "succeeded" || job.state == "failed" || job.state == "ambiguous" ||
         job.state == "paused";
}

std::size_t terminal_columns() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 10) return size.ws_col;
  return 80;
}

/// At most `columns` characters of UTF-8, and nothing that moves a terminal's cursor.
std::string fitted(const std::string& text, std::size_t columns) {
  std::string line;
  std::size_t used = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool starts = (byte & 0xC0) != 0x80;
    if (starts && used == columns) break;
    if (starts) ++used;
    line += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return line;
}

std::string minutes(Millis span) {
  char text[32];
  const long seconds = static_cast<long>(std::max<Millis>(span, 0) / 1000);
  std::snprintf(text, sizeof text, "%ld:%02ld", seconds / 60, seconds % 60);
  return text;
}

}  // namespace

nlohmann::json to_json(const engine::JobSnapshot& job) {
  nlohmann::json json = {{"handle", job.handle}, {"kind", job.endpoint}, {"state", job.state},
                         {"cost", job.cost_usd}, {"where", job.where},   {"reused", job.reused}};
  if (!job.task_id.empty()) json["id"] = job.task_id;
  if (!job.path.empty()) json["path"] = job.path;
  if (job.duration > 0) json["duration"] = job.duration;
  if (!job.waiting_for.empty()) json["waiting_for"] = job.waiting_for;
  if (job.error) json["error"] = engine::to_json(*job.error);
  return json;
}

Progress::Progress(const Voice& voice, Clock& clock)
    : voice_(voice),
      clock_(clock),
      live_(!voice.quiet && !voice.json && ::isatty(STDERR_FILENO) != 0 &&
            std::string_view(std::getenv("TERM") != nullptr ? std::getenv("TERM") : "dumb") !=
                "dumb"),
      colour_(live_ && std::getenv("NO_COLOR") == nullptr) {}

std::string Progress::describe(const engine::JobSnapshot& job) const {
  std::string text = job.endpoint + " " + job.where + "  " + job.state;
  const Millis until = job.finished_at != 0 ? job.finished_at : clock_.now();
  if (job.reused) {
    text += " (paid before)";
  } else {
    text += " " + minutes(until - job.created_at);
  }
  if (!job.waiting_for.empty()) {
    text += "  waiting for " + job.waiting_for;
    if (!job.task_id.empty()) text += ", job " + job.task_id + " is safe";
  } else if (!job.summary.empty()) {
    text += "  " + job.summary;
  }
  return text;
}

void Progress::tell(const engine::JobSnapshot& job) {
  if (voice_.json) {
    Voice::line({{"job", to_json(job)}});
  } else if (!live_ && !voice_.quiet) {
    std::fprintf(stderr, "kling: %s\n", fitted(describe(job), 400).c_str());
  }
}

void Progress::update(const std::vector<engine::Engine*>& engines) {
  std::vector<engine::JobSnapshot> shots;
  for (engine::Engine* engine : engines)
    for (const auto& job : engine->jobs()) {
      engine::JobSnapshot shot = engine->snapshot(job);
      if (shot.external_id.empty() && shot.task_id.empty()) continue;  // not recorded yet
      std::string& told = told_[shot.external_id.empty() ? shot.task_id : shot.external_id];
      const std::string now = shot.state + (shot.waiting_for.empty() ? "" : " " + shot.waiting_for);
      if (told != now) {
        told = now;
        tell(shot);
      }
      if (live_) shots.push_back(std::move(shot));
    }
  if (live_) draw(shots);
}

void Progress::erase() {
  if (drawn_ > 0) std::fprintf(stderr, "\x1b[%dA\r\x1b[J", drawn_);
  drawn_ = 0;
}

void Progress::draw(const std::vector<engine::JobSnapshot>& jobs) {
  std::size_t over = 0;
  std::vector<const engine::JobSnapshot*> open;
  for (const auto& job : jobs) {
    if (is_over(job))
      ++over;
    else
      open.push_back(&job);
  }
  std::string block;
  if (drawn_ > 0) block = "\x1b[" + std::to_string(drawn_) + "A\r\x1b[J";
  drawn_ = 0;
  const std::size_t columns = terminal_columns() - 1;
  const auto line = [&](const std::string& text, const char* colour) {
    block += colour_ ? std::string(colour) + fitted(text, columns) + "\x1b[0m\n"
                     : fitted(text, columns) + "\n";
    ++drawn_;
  };
  for (std::size_t i = 0; i < std::min(open.size(), kMaxLines); ++i)
    line(describe(*open[i]), open[i]->waiting_for.empty() ? "\x1b[36m" : "\x1b[33m");
  if (!open.empty())
    line(std::to_string(over) + " of " + std::to_string(jobs.size()) + " done" +
             (open.size() > kMaxLines
                  ? ", " + std::to_string(open.size() - kMaxLines) + " more under way"
                  : ""),
         "\x1b[2m");
  std::fwrite(block.data(), 1, block.size(), stderr);
  std::fflush(stderr);
}

}  // namespace kling::cli
