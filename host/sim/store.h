// What the service knows: its tasks, in an append-only journal, so that a stopped simulator goes
// on where it was and two simulators may share one folder. Thread-safe; create() and find() block
// on the disk.
#pragma once

#include <deque>
#include <unordered_map>

#include "sim/contract.h"
#include "sim/simulator.h"

namespace kling::sim {

/// Whose ids a client is given: the service's snowflakes, a proxy's task_…, or another proxy's
/// longer snowflakes.
enum class Ids { kling, task, proxy };

class Store {
 public:
  /// `dir`: where the journal is kept.
  Store(const Options& options, std::string dir);

  /// Accepts a task, or says why not.
  std::variant<Task, Refusal> create(const Order& order, const std::string& external_id, Ids ids,
                                     Millis now);
  /// The task with this id or, where such look-up is on, this external id; nothing when the kind
  /// has none. "" as the kind finds any.
  std::optional<Task> find(const std::string& kind, const std::string& id);
  std::optional<Task> find_clip(const std::string& clip);
  /// Newest first.
  std::vector<Task> list(const std::string& kind);
  /// Fills in what was accepted and charged: failed tasks are given back.
  void count(Millis now, Counters& counters);
  /// Keeps the time, so that the next start does not go back before it.
  void note(Millis now);

  /// The latest time in the journal of this folder; 0 when there is none.
  static Millis saved_time(const std::string& dir);

 private:
  using Index = std::unordered_map<std::string, std::size_t>;
  std::optional<Task> at(const Index& index, const std::string& key) const;
  void refresh();
  bool append(const Json& line);
  void take(Task task);

  const Options options_;
  const std::string dir_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  Index by_id_, by_external_, by_clip_;
  std::map<std::string, int> equal_orders_;
  std::uint64_t last_id_ = 0;
  std::size_t read_ = 0;  // bytes of the journal that are known
  Millis noted_ = 0;
};

}  // namespace kling::sim
