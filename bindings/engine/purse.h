// What the engines of one process share: a run may have several clients, each with an engine. Any
// thread, under the mutex that stands above each part.
#pragma once

#include <condition_variable>
#include <set>

#include "engine/ledger.h"

namespace kling::engine {

class Engine;

/// The engines of one process, whose spending is one, whatever ledger each has.
struct Purse {
  std::mutex mutex;
  std::vector<std::weak_ptr<Engine>> engines;
  /// Times of ends that are being recorded, side by side: scripts are told them in this order.
  std::set<Millis> ends;
  std::mutex ends_mutex;
  Millis last_end = 0;
  std::condition_variable told;
  std::atomic<bool> held{false};    ///< nothing is sent until a person has agreed (release)
  std::atomic<bool> spared{false};  ///< a draft was cheaper than its shot

  /// An ask of a run (asks.h), whichever of its clients it asked, and what it got.
  struct Got {
    std::string task_path;
    int ordinal = 0;
  };
  using Asked = std::map<std::string, std::vector<Got>>;  ///< by digest
  std::mutex claim_mutex;
  std::map<std::string, Asked> asked;  ///< by ledger and run
};

}  // namespace kling::engine
