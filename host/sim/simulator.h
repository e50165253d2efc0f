// A Kling service on this machine, over real HTTP: what its documents promise, what it charges,
// and, on demand, what goes wrong. It knows nothing of this project's client; any Kling client may
// be pointed at base_url(). Beside the service's own paths it answers
//     GET  /sim/stats    what it counted and charged (Counters, as JSON)
//     GET  /sim/faults   the faults there are
//     POST /sim/faults   more fault lines (faults.h), one a line
// Tasks proceed on the given clock. Thread-safe. start() and stop() block for milliseconds, stop()
// also for a clip that is being rendered.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace kling::sim {

struct Options {
  std::string host = "127.0.0.1";  ///< an IPv4 address to listen on
  int port = 0;                    ///< 0: any free one
  /// Tasks, pictures and clips are kept here and found again by the next start; two simulators
  /// may share it. Empty: in memory and a temporary folder, gone with the simulator.
  std::string state_dir;
  std::shared_ptr<Clock> clock;  ///< null: the real time. See Simulator::saved_time.
  std::uint64_t seed = 1;
  std::string dialect = "native";      ///< native, wrapped, comet, newapi or kling-new (dialect.h)
  bool external_lookup = true;         ///< external ids can be queried by
  bool external_unique = true;         ///< and must be unique
  std::string key;                     ///< the only bearer accepted; empty: any non-empty one
  std::string access_key, secret_key;  ///< when set, a JWT signed with them is required instead
  int slots = 0;                       ///< tasks that may run at once; 0: no limit
  double units = 0;                    ///< credit in units (US$ 0.14); 0: no limit
  Millis min_run = 60'000, max_run = 180'000;  ///< how long a generation takes
  Millis url_life = 24 * 3'600'000;            ///< how long a clip's URL is valid
  std::vector<std::string> faults;             ///< "create#2: accept, drop" (faults.h)
  std::string callback_faults;  ///< any of "repeat", "reorder", "lose", separated by spaces
  std::function<void(const std::string&)> log;  ///< one line a request, from any thread
};

/// What was asked and what it would have cost. Requests are counted since start(); tasks and
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
  ~Simulator();

  /// "http://127.0.0.1:<port>", without a path.
  std::string base_url() const;
  int port() const;
  Counters counters() const;
  /// Adds a fault line. Requests counted so far stay counted.
  Status add_fault(const std::string& line);
  /// Closes every connection and ends all threads. Idempotent.
  void stop();

  /// The latest time of a state folder, for make_clock: 0 when there is none.
  static Millis saved_time(const std::string& state_dir);

 private:
  struct Parts;
  explicit Simulator(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

}  // namespace kling::sim
