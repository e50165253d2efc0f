#include "runtime/feed.h"

#include "api/text.h"

namespace kling::runtime {
namespace {

/// The service has it, and the ledger knows.
bool has_task(const engine::JobView& job) {
  return !job.step.task_id.empty() && job.phase >= engine::Phase::accepted;
}

/// What a program would call this change.
const char* name_of(const engine::JobView& job, bool stores, bool was_accepted) {
  using engine::Phase;
  const bool here = !stores || !job.step.file.empty() || job.store_error;
  if (job.phase == Phase::stored || (job.phase == Phase::succeeded && here)) return "succeeded";
  if (job.phase >= Phase::failed) return "failed";
  return !has_task(job) || was_accepted ? "progress" : "accepted";
}

}  // namespace

void Feed::take(const std::shared_ptr<engine::Job>& job, const engine::JobView& now, bool stores) {
  Record& record = records_[job];
  text_.clear();
  engine::append_json(text_, now);
  if (text_ == record.text) return;
  const engine::StepFacts& step = now.step;
  length_ += text_.size() - record.text.size();
  record.text = text_;
  if (step.task_id.empty() && step.external_id.empty()) return;  // not recorded yet
  if (record.event == nullptr) {
    told_next_.push_back(job);
    record.was_accepted = record.accepted;
  }
  record.event = name_of(now, stores, record.was_accepted);
  record.accepted = has_task(now);
}

void Feed::look_at_jobs(const Engines& engines, std::size_t most) {
  for (const engine::Engine* engine : engines)
    for (auto& job : engine->changes(seen_[engine], most))
      engine->read(job, [&](const engine::JobView& now) { take(job, now, engine->options.store); });
}

void Feed::look(const Engines& engines) {
  look_at_jobs(engines);
  decltype(asked_) present;
  for (const engine::Engine* engine : engines)
    for (const engine::Question& question : engine->questions()) {
      const auto key = std::pair(engine, question.id);
      if (question.answer == 0 && present.insert(key).second && !asked_.contains(key))
        add(R"({"event":"question","question":)" + api::to_text(engine::to_json(question)) + "}");
    }
  asked_ = std::move(present);  // one that is asked again is told again
}

std::string Feed::next() {
  std::string text;
  if (!told_next_.empty()) {
    Record& record = records_[told_next_.front()];
    text = std::string(R"({"event":")") + record.event + R"(","job":)" + record.text + "}";
    record.event = nullptr;
    told_next_.pop_front();
  } else if (!others_.empty()) {
    text = std::move(others_.front().second);
    others_.pop_front();
  }
  return text;
}

void Feed::prepare_list() {
  constexpr std::size_t kPart = 16 << 10;
  const std::size_t size = length_ + records_.size() + 2;
  if (size <= list_.capacity()) return;
  if (next_list_.capacity() < size) (next_list_ = {}).reserve(size + size / 2);
  next_list_.resize(std::min(next_list_.capacity(), next_list_.size() + kPart));
}

const std::string& Feed::list(const Engines& engines) {
  if (next_list_.size() > list_.capacity()) list_ = std::exchange(next_list_, {});
  list_ = "[";
  std::size_t count = 0;
  for (const engine::Engine* engine : engines)
    for (const auto& job : engine->jobs()) {
      if (count++ > 0) list_ += ',';
      const auto record = records_.find(job);
      if (record != records_.end())
        list_ += record->second.text;
      else
        engine::append_json(list_, engine->snapshot(job).view());
    }
  if (records_.size() > 2 * count + 100)  // those of runs before, which nobody has any more
    std::erase_if(records_, [&](const auto& record) {
      const bool gone = record.second.event == nullptr && record.first.use_count() == 1;
      if (gone) length_ -= record.second.text.size();
      return gone;
    });
  return list_ += ']';
}

std::string Feed::find(const std::string& handle) const {
  // One from before the job was accepted holds the external id, which stays a field.
  const auto tilde = handle.find("/~") + 1;
  const std::string text = api::to_text(handle.substr(tilde == 0 ? 0 : tilde + 1));
  const std::string start = R"({"handle":)" + (tilde == 0 ? text : '"' + handle.substr(0, tilde));
  for (const auto& [job, record] : records_)
    if (record.text.starts_with(start) &&
        (tilde == 0 || record.text.find(R"("external_id":)" + text) != std::string::npos))
      return record.text;
  return {};
}

}  // namespace kling::runtime
