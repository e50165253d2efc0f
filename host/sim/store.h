// What the service knows: its tasks, in an append-only journal, so that a stopped simulator goes
// on where it was and two simulators may share one folder. Thread-safe; create() and find() block
// on the disk.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/error.h"
#include "sim/task.h"

namespace kling::sim {

struct StoreOptions {
  std::string dir;  ///< must exist; "" keeps everything in memory
  std::uint64_t seed = 1;
  Millis min_run = 60'000, max_run = 180'000;
  bool external_lookup = true, external_unique = true;
  int slots = 0;     ///< tasks that may run at once; 0: no limit
  double units = 0;  ///< credit; 0: no limit
};

/// What has been charged so far: units of every task that has not failed.
struct Bill {
  int accepted = 0, charged = 0;
  double units = 0;
  std::map<std::string, int> by_external_id;  ///< accepted tasks, for ids that were given
};

class Store {
 public:
  static Result<std::unique_ptr<Store>> open(StoreOptions options);

  /// Accepts a task, or says why not. `own_ids`: "" the service's snowflakes, "task" a proxy's
  /// task_..., "proxy" another proxy's longer snowflakes.
  std::variant<Task, Refusal> create(const Order& order, const std::string& external_id,
                                     const std::string& own_ids, Millis now);
  /// The task with this id or, where such look-up is on, this external id; null when the kind has
  /// none. "" as the kind finds any.
  std::unique_ptr<Task> find(const std::string& kind, const std::string& id);
  std::unique_ptr<Task> find_clip(const std::string& clip);
  /// Newest first.
  std::vector<Task> list(const std::string& kind);
  Bill bill(Millis now);
  /// Keeps the time, so that the next start does not go back before it.
  void note(Millis now);

  /// The latest time in the journal of this folder; 0 when there is none.
  static Millis saved_time(const std::string& dir);

 private:
  explicit Store(StoreOptions options) : options_(std::move(options)) {}
  void refresh();
  bool append(const Json& line);
  void take(Task task);

  const StoreOptions options_;
  std::mutex mutex_;
  std::deque<Task> tasks_;
  std::unordered_map<std::string, std::size_t> by_id_, by_external_, by_clip_;
  std::map<std::string, int> equal_orders_;
  std::uint64_t last_id_ = 0;
  std::size_t read_ = 0;  // bytes of the journal that are known
  Millis noted_ = 0;
};

}  // namespace kling::sim
