// What a simulator is told when it starts, and what it counts. Plain data; any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"

namespace kling::sim {

struct Options {
  std::string host = "127.0.0.1";  ///< an IPv4 address to listen on
  int port = 0;                    ///< 0: any free one
  /// Tasks, pictures and clips are kept here and found again by the next start; two simulators
  /// may share it. Empty: in memory and a temporary folder, gone with the simulator.
  std::string state_dir;
  bool keep_clips = true;        ///< false: drawn again by another start that is asked for them
  std::shared_ptr<Clock> clock;  ///< null: the real time. See Simulator::clock_for.
  std::uint64_t seed = 1;
  std::string dialect = "native";  ///< "native", "native,omni=wrapped": see dialect.h
  bool external_lookup = true;     ///< external ids can be queried by
  bool external_unique = true;     ///< and must be unique
  std::string key;                 ///< the only bearer accepted; empty: any non-empty one
  int slots = 0;                   ///< tasks that may run at once; 0: no limit
  double units = 0;                ///< credit in units (US$ 0.14); 0: no limit
  Millis min_run = 60'000, max_run = 180'000;  ///< how long a generation takes
  Millis url_life = 24 * 3'600'000;            ///< how long a clip's URL is valid
  bool draft = false;  ///< clips of half the size and a quarter of the frames, quickly made
  std::vector<std::string> faults;              ///< "create#2: accept, drop" (faults.h)
  std::function<void(const std::string&)> log;  ///< one line a request, from any thread
};

/// What was asked and what it would have cost. Requests are counted since the start; tasks and
/// charges over the whole state.
struct Counters {
  int creates = 0;  ///< create requests received, accepted or not
  int queries = 0;  ///< of one task
  int downloads = 0;
  int renders = 0;
  int callbacks = 0;
  int accepted = 0;  ///< tasks that exist
  int charged = 0;   ///< tasks that are paid for: accepted and not (yet) failed
  double charged_units = 0, charged_usd = 0;
  std::map<std::string, int> charges_by_external_id;  ///< accepted tasks of each external id
};

}  // namespace kling::sim
