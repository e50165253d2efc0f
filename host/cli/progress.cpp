#include "cli/progress.h"

#include <algorithm>
#include <cmath>

#include "base/terminal.h"

namespace kling::cli {
namespace {

constexpr int kLookMillis = 50, kRefreshMillis = 200;
constexpr std::size_t kMostLines = 12;   // a person's eye takes in no more
constexpr std::size_t kMostWorks = 3;    // of lines on files
constexpr std::size_t kMostWide = 1000;  // of a line in a log

std::string minutes(Millis span) {
  const long whole = static_cast<long>(std::max<Millis>(span, 0) / 1000);
  return printed("%ld:%02ld", whole / 60, whole % 60);
}

/// Its clip is on the way to the store.
bool is_downloaded(const engine::JobSnapshot& job) {
  return job.phase == engine::Phase::succeeded && !job.store_error;
}

double speed_of(const Clock& clock) {
  constexpr Millis kSpan = 3'600'000;
  const auto real = static_cast<double>(clock.real_millis_until(clock.now() + kSpan));
  return std::round(static_cast<double>(kSpan) / real * 100) / 100;
}

}  // namespace

bool is_over(const engine::JobSnapshot& job) {
  return job.state == "succeeded" || job.state == "failed" || job.state == "ambiguous" ||
         job.state == "paused";
}

bool is_under_way(const engine::JobSnapshot& job) {
  return job.phase <= engine::Phase::sending && job.waiting_for.empty();
}

Progress::Progress(const Voice& voice, Clock& clock)
    : voice_(voice),
      clock_(clock),
      speed_(speed_of(clock)),
      live_(!voice.quiet && !voice.json && is_capable_terminal(STDERR_FILENO)) {}

std::string Progress::describe(const engine::JobSnapshot& job, std::size_t columns,
                               bool why) const {
  use_utf8();
  // A request that waits is not being sent.
  const bool waits = !job.waiting_for.empty();
  const bool unsent = is_over(job) && job.unsent();
  std::string state = unsent ? "not sent" : job.state + " ";
  if (waits && job.phase < engine::Phase::accepted) state.clear();
  if (job.transfer >= 0)
    state += (job.phase < engine::Phase::accepted ? "up " : "down ") +
             std::to_string(int(job.transfer * 100)) + " % ";
  const Millis until = job.finished_at != 0 ? job.finished_at : clock_.now();
  if (job.reused) {
    state += "(paid before)";
  } else if (!unsent) {
    state += minutes(until - job.created_at);
    const Millis expected = job.accepted_at - job.created_at + job.expected;
    if (!is_over(job) && job.expected > 0 && job.accepted_at != 0)
      state +=
          (clock_.now() - job.created_at <= expected ? " of ~" : ", usually ~") + minutes(expected);
  }
  std::string text = job.name.empty() ? job.endpoint : job.name;
  if (const std::size_t taken = columns_of(state) + 2; columns_of(text) + taken > columns)
    text = fitted(text, std::max<std::size_t>(columns, taken + 8) - taken);
  text += "  " + state;
  if (waits)
    text += "  waiting for " + job.waiting_for +
            (job.task_id.empty() ? "" : ", job " + job.task_id + " is safe");
  else if (why && is_over(job) && job.error)
    text += "  " + job.error->message;
  text = fitted(text, columns);
  const bool titled = job.summary.starts_with(job.name);
  for (const std::string& one :
       {job.endpoint, job.script, titled || waits ? "" : job.summary, job.file})
    if (!one.empty() && columns_of(text) + columns_of(one) + 2 <= columns) text += "  " + one;
  return text;
}

/// Those whose state was not told yet, of the jobs that changed.
std::vector<Progress::Shown*> Progress::look(const std::vector<engine::Engine*>& engines) {
  std::vector<Shown*> changed;
  works_.clear();
  for (engine::Engine* engine : engines) {
    for (const auto& job : engine->changes(seen_[engine])) {
      engine::JobSnapshot now = engine->snapshot(job);
      if (now.external_id.empty() && now.task_id.empty()) continue;  // not recorded yet
      Shown& shown = shown_[numbers_.try_emplace(job.get(), numbers_.size() + 1).first->second];
      for (api::Video& video : now.videos) video.url.clear(), video.watermark_url.clear();
      const std::string told = now.state + (now.waiting_for.empty() ? "" : " " + now.waiting_for);
      const bool same = shown.told == told;
      if (same && !live_) continue;
      shown.job = std::make_unique<engine::JobSnapshot>(std::move(now));
      if (same) continue;
      shown.told = told;
      nlohmann::json event = voice_.json ? engine::to_json(*shown.job) : nlohmann::json();
      if (voice_.json && shown.job->duration() > 0) event["duration"] = shown.job->duration();
      if (voice_.json) Voice::line({{"job", std::move(event)}});
      changed.push_back(&shown);
    }
    for (engine::Work& work : engine->works()) works_.push_back(std::move(work));
  }
  return changed;
}

std::size_t Progress::columns() const {
  return live_ ? terminal_size(STDERR_FILENO).columns - 1 : kMostWide;
}

std::vector<std::string> Progress::news(const std::vector<engine::Engine*>& engines) {
  std::vector<std::string> lines;
  for (const Shown* shown : look(engines))
    if (is_over(*shown->job) && !voice_.json && !voice_.quiet)
      lines.push_back(describe(*shown->job, columns()));
  return lines;
}

void Progress::update(const std::vector<engine::Engine*>& engines) {
  const auto now = std::chrono::steady_clock::now();
  waits_ = now - looked_at_ < std::chrono::milliseconds(kLookMillis);
  if (waits_) return restore();
  looked_at_ = now;
  if (voice_.quiet && !voice_.json) return;
  const std::vector<Shown*> changed = look(engines);
  if (live_) erase();
  // Of the times that follow.
  if (!live_ && !voice_.json && speed_ != 1 && !changed.empty() &&
      told_works_.insert(simulated()).second)
    voice_.note(simulated());
  for (Shown* shown : changed) {
    // Live lines show the rest; what an earlier run paid for is told by the bill.
    if (!voice_.json && !(live_ && (!is_over(*shown->job) || shown->job->reused)))
      std::fprintf(stderr, "%s%s\n",
                   live_ ? "" : "kling: ", describe(*shown->job, columns(), false).c_str());
    if (!live_) shown->job.reset();
  }
  if (live_) return draw();
  if (voice_.json) return;
  for (const engine::Work& work : works_)
    if (told_works_.insert(work.what).second) voice_.note(work.what);
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

std::string Progress::simulated() const { return printed("simulated time, %gx", speed_); }

/// Such as "3 of 6 done, $0.63 of about $1.26, about 4 min left", as far as it fits.
std::string Progress::totals(std::size_t columns) const {
  std::size_t over = 0, failed = 0, stored = 0, unstored = 0, waiting = 0, running = 0;
  double usd = 0, spent = 0;
  bool estimated = false;
  Millis left = 0, usual = 0;
  for (const auto& [number, shown] : shown_) {
    const engine::JobSnapshot& job = *shown.job;
    if (is_over(job))
      ++over;
    else
      ++(job.accepted_at == 0 ? waiting : running);
    if (!is_over(job) && job.expected > 0) {
      left = std::max(left, job.accepted_at + job.expected - clock_.now());
      usual = job.expected;
    }
    if (job.state == "failed") ++failed;
    if (job.state == "succeeded") ++(is_downloaded(job) ? unstored : stored);
    if (job.reused || job.state == "failed") continue;
    usd += job.cost();
    if (job.state == "succeeded") spent += job.cost();
    estimated = estimated || !job.cost_usd;
  }
  if (running > 0) left += static_cast<Millis>((waiting + running - 1) / running) * usual;
  std::vector<std::string> parts;
  if (over < shown_.size())
    parts.push_back(std::to_string(over) + " of " + std::to_string(shown_.size()) + " done");
  if (usd > 0 && over < shown_.size())
    parts.push_back(printed("$%.2f of %s$%.2f", spent, estimated ? "about " : "", usd));
  const auto seconds = static_cast<long>(static_cast<double>(left) / 1000 / speed_);
  if (seconds > 0)
    parts.push_back("about " +
                    (seconds < 90 ? std::to_string(seconds) + " s"
                                  : std::to_string((seconds + 30) / 60) + " min") +
                    " left");
  if (unstored > 0)
    parts.push_back("downloading " + std::to_string(stored + 1) + " of " +
                    std::to_string(stored + unstored));
  if (failed > 0) parts.push_back(std::to_string(failed) + " failed");
  if (speed_ != 1) parts.push_back(simulated());
  std::string line;
  for (const std::string& part : parts)
    if (line.size() + part.size() + 2 <= columns) line += (line.empty() ? "" : ", ") + part;
  return line;
}

void Progress::draw() {
  use_utf8();
  block_.clear();
  widths_.clear();
  const TerminalSize size = terminal_size(STDERR_FILENO);
  const auto line = [&](const std::string& text, const char* colour) {
    const std::string shown = fitted(text, size.columns - 1);
    block_ += coloured(shown, colour) + "\n";
    widths_.push_back(columns_of(shown));
  };
  works_.resize(std::min(works_.size(), kMostWorks));
  const std::size_t room = std::max(size.rows, works_.size() + 4) - works_.size() - 3;
  const std::size_t most = std::min(kMostLines, room);
  std::size_t open = 0, unstored = 0;
  for (const auto& [number, shown] : shown_) {
    const engine::JobSnapshot& job = *shown.job;
    if (is_downloaded(job)) ++unstored;
    if (!is_over(job) && ++open <= most)
      line(describe(job, size.columns - 1), job.waiting_for.empty() ? "36" : "33");
  }
  if (open > most) line("and " + std::to_string(open - most) + " more", "2");
  for (const engine::Work& work : works_) {
    line(to_text(work), "36");
  }
  if (open > 0 || unstored > 0) line(totals(size.columns - 1), "2");
  if (!widths_.empty()) restore();
}

}  // namespace kling::cli
