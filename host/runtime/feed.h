// What a program is told of its jobs and tasks, as JSON. Each job has one record with its text,
// made when it changed: so the list of all costs little, states that nobody asked for merge into
// the last, and no end is lost. Ticking thread; nothing blocks.
#pragma once

#include "engine/engine.h"

namespace kling::runtime {

class Feed {
 public:
  using Engines = std::vector<engine::Engine*>;

  /// Takes in what has changed since the last look.
  void look(const Engines& engines);
  /// Jobs only, of each engine so many at most.
  void look_at_jobs(const Engines& engines, std::size_t most = SIZE_MAX);
  /// A part of what list() does, some micro-seconds long.
  void prepare_list();
  /// Something else to tell, once. `task`: of this one, until forget(task).
  void add(std::string event, unsigned long long task = 0) {
    others_.push_back({task, std::move(event)});
  }
  void forget(unsigned long long task) {
    std::erase_if(others_, [&](const auto& other) { return other.first == task; });
  }
  /// The next event; empty: none. Of the last look.
  std::string next();
  /// All jobs, oldest first, until the next call, and one of them by its handle (empty: none). Of
  /// the last look.
  const std::string& list(const Engines& engines);
  std::string find(const std::string& handle) const;

 private:
  struct Record {
    std::string text;
    const char* event = nullptr;                  ///< to be told; null: nothing
    bool accepted = false, was_accepted = false;  ///< now, and when the last event was told
  };
  void take(const std::shared_ptr<engine::Job>& job, const engine::JobView& now, bool stores);

  std::unordered_map<std::shared_ptr<engine::Job>, Record> records_;
  std::string text_, list_;
  std::string next_list_;   ///< written to beforehand: fresh memory costs more than what is written
  std::size_t length_ = 0;  ///< of all texts
  std::deque<std::shared_ptr<engine::Job>> told_next_;
  std::deque<std::pair<unsigned long long, std::string>> others_;  ///< of a task, or 0
  std::map<const engine::Engine*, std::uint64_t> seen_;
  std::set<std::pair<const engine::Engine*, std::int64_t>> asked_;  ///< questions that were told
};

}  // namespace kling::runtime
