#include "cli/progress.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <unistd.h>

#include "base/terminal.h"
#include "engine/error_json.h"

namespace kling::cli {
namespace {

constexpr int kLookMillis = 50, kRefreshMillis = 200;
constexpr std::size_t kMostLines = 12;   // a person's eye takes in no more
constexpr std::size_t kMostWide = 1000;  // of a line in a log

std::string minutes(Millis span) {
  char text[32];
  const long whole = static_cast<long>(std::max<Millis>(span, 0) / 1000);
  std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

}  // namespace

bool is_over(const engine::JobSnapshot& job) {
  return job.state == "succeeded" || job.state == "failed" || job.state == "ambiguous" ||
         job.state == "paused";
}

bool is_under_way(const engine::JobSnapshot& job) {
  return job.phase <= engine::Phase::sending && job.waiting_for.empty();
}

nlohmann::json to_json(const engine::JobSnapshot& job) {
  const auto seconds = [](Millis time) { return static_cast<double>(time) / 1000; };
  nlohmann::json json = {{"handle", job.handle},
                         {"kind", job.endpoint},
                         {"state", job.state},
                         {"cost", job.cost_usd},
                         {"where", job.where},
                         {"reused", job.reused},
                         {"created", seconds(job.created_at)}};
  if (!job.name.empty()) json["name"] = job.name;
  if (!job.task_id.empty()) json["id"] = job.task_id;
  if (!job.external_id.empty()) json["external_id"] = job.external_id;
  if (!job.path.empty()) json["path"] = job.path;
  if (job.finished_at != 0) json["finished"] = seconds(job.finished_at);
  if (job.expected != 0) json["expected"] = seconds(job.expected);
  if (job.duration > 0) json["duration"] = job.duration;
  if (!job.waiting_for.empty()) json["waiting_for"] = job.waiting_for;
  if (job.error) json["error"] = engine::to_json(*job.error);
  return json;
}

Progress::Progress(const Voice& voice, Clock& clock)
    : voice_(voice),
      clock_(clock),
      live_(!voice.quiet && !voice.json && is_capable_terminal(STDERR_FILENO)),
      colour_(live_ && std::getenv("NO_COLOR") == nullptr) {}

std::string Progress::describe(const engine::JobSnapshot& job) const {
  use_utf8();
  std::string text = (job.name.empty() ? "" : job.name + "  ") + job.state;
  const Millis until = job.finished_at != 0 ? job.finished_at : clock_.now();
  if (job.reused) {
    text += " (paid before)";
  } else {
    text += " " + minutes(until - job.created_at);
    const Millis expected = job.accepted_at - job.created_at + job.expected;
    if (!is_over(job) && job.expected > 0 && job.accepted_at != 0)
      text +=
          (clock_.now() - job.created_at <= expected ? " of ~" : ", usually ~") + minutes(expected);
  }
  text += "  " + job.endpoint + " " + job.where;
  if (!job.waiting_for.empty()) {
    text += "  waiting for " + job.waiting_for;
    if (!job.task_id.empty()) text += ", job " + job.task_id + " is safe";
  } else if (is_over(job) && job.error && !job.observed) {  // else the script tells it
    text += "  " + job.error->message;
  } else if (!job.path.empty()) {
    text += "  " + job.path;
  } else if (!job.summary.empty()) {
    text += "  " + job.summary;
  }
  return fitted(text, kMostWide);
}

/// All recorded jobs; `changed` gets those whose state was not told yet.
Progress::Shots Progress::look(const std::vector<engine::Engine*>& engines, Shots& changed) {
  Shots shots;
  for (engine::Engine* engine : engines)
    for (const auto& job : engine->jobs()) {
      engine::JobSnapshot shot = engine->snapshot(job);
      if (shot.external_id.empty() && shot.task_id.empty()) continue;  // not recorded yet
      std::string& told = told_[shot.external_id.empty() ? shot.task_id : shot.external_id];
      const std::string now = shot.state + (shot.waiting_for.empty() ? "" : " " + shot.waiting_for);
      if (told != now) {
        told = now;
        if (voice_.json) Voice::line({{"job", to_json(shot)}});
        changed.push_back(shot);
      }
      shots.push_back(std::move(shot));
    }
  return shots;
}

std::vector<std::string> Progress::news(const std::vector<engine::Engine*>& engines) {
  Shots changed;
  look(engines, changed);
  std::vector<std::string> lines;
  if (!voice_.json && !voice_.quiet)
    for (const auto& job : changed)
      if (is_over(job)) lines.push_back(describe(job));
  return lines;
}

void Progress::update(const std::vector<engine::Engine*>& engines) {
  const auto now = std::chrono::steady_clock::now();
  waits_ = now - looked_at_ < std::chrono::milliseconds(kLookMillis);
  if (waits_) return restore();
  looked_at_ = now;
  Shots changed;
  const Shots shots = look(engines, changed);
  if (voice_.json || voice_.quiet) return;
  if (live_) erase();
  for (const auto& job : changed) {
    // Live lines show the rest; what an earlier run paid for is told by the bill.
    if (live_ && (!is_over(job) || job.reused)) continue;
    std::fprintf(stderr, "%s%s\n", live_ ? "" : "kling: ", describe(job).c_str());
  }
  if (live_) draw(shots);
}

int Progress::until_next_look() const {
  if (waits_) return kLookMillis;
  return live_ ? kRefreshMillis : -1;
}

void Progress::finish(const std::vector<engine::Engine*>& engines) {
  looked_at_ = {};
  update(engines);
  erase();
}

void Progress::erase() {
  if (!std::exchange(drawn_, false)) return;
  // A terminal that became narrower has broken the lines since.
  const std::size_t columns = terminal_size(STDERR_FILENO).columns;
  std::size_t rows = 0;
  for (const std::size_t width : widths_)
    rows += std::max<std::size_t>(1, (width + columns - 1) / columns);
  std::fprintf(stderr, "\x1b[%zuA\r\x1b[J", rows);
  std::fflush(stderr);
}

void Progress::restore() {
  if (drawn_ || block_.empty()) return;
  std::fwrite(block_.data(), 1, block_.size(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::draw(const Shots& jobs) {
  std::size_t over = 0, failed = 0;
  double usd = 0;
  bool estimated = false;
  std::vector<const engine::JobSnapshot*> open;
  for (const auto& job : jobs) {
    if (is_over(job))
      ++over;
    else
      open.push_back(&job);
    if (job.state == "failed") ++failed;
    if (job.reused || job.state == "failed") continue;
    usd += job.cost_usd;
    estimated = estimated || !job.cost_is_real;
  }
  block_.clear();
  widths_.clear();
  if (open.empty()) return;
  const TerminalSize size = terminal_size(STDERR_FILENO);
  const auto line = [&](const std::string& text, const char* colour) {
    const std::string shown = fitted(text, size.columns - 1);
    block_ += colour_ ? colour + shown + "\x1b[0m\n" : shown + "\n";
    widths_.push_back(columns_of(shown));
  };
  const std::size_t most = std::min(kMostLines, std::max<std::size_t>(size.rows, 3) - 2);
  for (std::size_t i = 0; i < std::min(open.size(), most); ++i)
    line(describe(*open[i]), open[i]->waiting_for.empty() ? "\x1b[36m" : "\x1b[33m");
  std::string totals = std::to_string(over) + " of " + std::to_string(jobs.size()) + " done";
  if (failed > 0) totals += ", " + std::to_string(failed) + " failed";
  if (open.size() > most) totals += ", " + std::to_string(open.size() - most) + " more under way";
  char money[40];
  std::snprintf(money, sizeof money, ", %s$%.2f", estimated ? "about " : "", usd);
  line(totals + (usd > 0 ? money : ""), "\x1b[2m");
  restore();
}

}  // namespace kling::cli
