#include "runtime/feed.h"

#include "api/text.h"

namespace kling::runtime {
namespace {

/// As engine::to_json says it, without making the object: there may be thousands.
std::string text_of(const engine::JobView& job) {
  std::string text;
  for (const engine::JobField& field : engine::job_fields()) {
    const api::Json value = field.get(job);
    if (value.is_null()) continue;
    text += text.empty() ? "{\"" : ",\"";
    text += field.name;
    text += "\":" + api::to_text(value);
  }
  return text + "}";
}

/// What a program would call this change.
const char* name_of(const engine::JobView& job, bool stores, bool was_accepted) {
  using engine::Phase;
  const bool here = !stores || !job.step.file.empty() || job.store_error;
  if (job.phase == Phase::stored || (job.phase == Phase::succeeded && here)) return "succeeded";
  if (job.phase >= Phase::failed) return "failed";
  return job.step.task_id.empty() || was_accepted ? "progress" : "accepted";
}

}  // namespace

void Feed::take(const std::shared_ptr<engine::Job>& job, const engine::JobView& now, bool stores) {
  Record& record = records_[job];
  std::string text = text_of(now);
  if (text == record.text) return;
  const engine::StepFacts& step = now.step;
  record.text = std::move(text);
  record.handle = handle_of(step);
  if (step.task_id.empty()) record.early_handle = record.handle;
  if (step.task_id.empty() && step.external_id.empty()) return;  // not recorded yet
  if (record.event == nullptr) {
    told_next_.push_back(job);
    record.was_accepted = record.accepted;
  }
  record.event = name_of(now, stores, record.was_accepted);
  record.accepted = !step.task_id.empty();
}

void Feed::look(const Engines& engines) {
  for (const engine::Engine* engine : engines) {
    for (auto& job : engine->changes(seen_[engine]))
      engine->read(job, [&](const engine::JobView& now) { take(job, now, engine->options.store); });
    for (const engine::Question& question : engine->questions())
      if (question.answer == 0 && asked_.emplace(engine, question.id).second)
        add(R"({"event":"question","question":)" + api::to_text(engine::to_json(question)) + "}");
  }
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

std::string Feed::list(const Engines& engines) {
  std::string text = "[";
  std::size_t count = 0;
  for (const engine::Engine* engine : engines)
    for (const auto& job : engine->jobs()) {
      ++count;
      if (text.size() > 1) text += ',';
      const auto record = records_.find(job);
      text +=
          record != records_.end() ? record->second.text : text_of(engine->snapshot(job).view());
    }
  if (records_.size() > 2 * count + 100)  // those of runs before, which nobody has any more
    std::erase_if(records_, [](const auto& record) {
      return record.second.event == nullptr && record.first.use_count() == 1;
    });
  return text + "]";
}

std::string Feed::find(const std::string& handle) const {
  for (const auto& [job, record] : records_)
    if (!handle.empty() && (record.handle == handle || record.early_handle == handle))
      return record.text;
  return {};
}

}  // namespace kling::runtime
