// A Kling service on this machine, over real HTTP: what its documents promise, what it charges,
// and, on demand, what goes wrong. It knows nothing of this project's client; any Kling client may
// be pointed at base_url(). Beside the service's own paths it answers
//     GET  /sim/stats    what it counted and charged (Counters, as JSON)
//     GET  /sim/faults   the faults there are
//     POST /sim/faults   more fault lines (faults.h), one a line
// Tasks proceed on the given clock. Thread-safe. start() and stop() block for milliseconds, stop()
// also for a clip that is being rendered.
#pragma once

#include <functional>
#include <map>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace kling::sim {

/// What it is told when it starts.
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

class Simulator {
 public:
  /// Listens when it returns. Errors: a wrong option (invalid), no port (network), no folder.
  static Result<std::unique_ptr<Simulator>> start(Options options);
  virtual ~Simulator() = default;

  /// "http://127.0.0.1:<port>", without a path.
  virtual std::string base_url() const = 0;
  virtual int port() const = 0;
  virtual Counters counters() = 0;
  /// Adds fault lines. Requests counted so far stay counted.
  virtual Status add_fault(const std::string& lines) = 0;
  /// Closes every connection and ends all threads. Idempotent.
  virtual void stop() = 0;

  /// A clock that starts now, or where the time of the state folder ended if that is later.
  static std::shared_ptr<Clock> clock_for(const std::string& state_dir, double speed);
};

}  // namespace kling::sim
