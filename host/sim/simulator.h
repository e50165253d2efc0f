// A Kling service on this machine, over real HTTP: what its documents promise, what it charges,
// and, on demand, what goes wrong. It knows nothing of this project's client; any Kling client may
// be pointed at base_url(). Beside the service's own paths it answers
//     GET  /sim/stats    what it counted and charged (Counters, as JSON)
//     GET  /sim/faults   the faults there are
//     POST /sim/faults   more fault lines (faults.h), one a line
// Tasks proceed on the given clock. Thread-safe. start() and stop() block for milliseconds, stop()
// also for a clip that is being rendered.
#pragma once

#include <memory>
#include <string>

#include "base/error.h"
#include "sim/options.h"

namespace kling::sim {

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
