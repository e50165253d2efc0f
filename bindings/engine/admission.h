// May a recorded request be sent now? Slots (how many jobs run at a time) and budget (what a script
// may spend), as far as they are rules. Pure. The ledger asks inside the transaction that marks the
// request as being sent, so that several processes cannot take the same slot or the same dollar.
#pragma once

#include "base/clock.h"
#include "base/error.h"

namespace kling::engine {

/// What was allowed. Negative: no limit.
struct Limits {
  int slots = -1;          ///< jobs at the service at a time, all processes of the ledger together
  double budget_usd = -1;  ///< what the script may cost, earlier runs of it included
  int budget_jobs = -1;    ///< how many jobs it may submit
};

/// What both allow.
Limits lower(const Limits& one, const Limits& other);

struct Usage {
  int open = 0;    ///< jobs between submit and end, this one not among them
  int jobs = 0;    ///< submitted by this script and not failed
  double usd = 0;  ///< what they cost: real where known, else estimated
};

enum class Admission {
  admitted,
  no_slot,      ///< wait until a job has ended
  over_budget,  ///< ask the user
};

/// `estimate_usd` < 0: the price is not known, which no budget in money can cover.
Admission admit(const Limits& limits, const Usage& usage, double estimate_usd);

std::string dollars(double usd);

/// Why a step that admit() refused is over budget; `most` is what the command line allows.
Error over_budget(const Limits& limits, const Usage& usage, double estimate_usd,
                  double price_factor = 1, bool embedded = false, const Limits& most = {});

/// What may be charged of the list price.
inline bool is_price_factor(double factor) { return factor > 0 && factor <= 100; }

/// How many jobs the account runs at a time, as its refusals tell (code 1303). Thread-safe by its
/// caller. What was learnt is forgotten after ten minutes: other programs may share the account.
class LearntSlots {
 public:
  /// A create was refused while `open` other jobs of this ledger were running.
  void refused(int open, Millis now);
  /// The ceiling: `configured`, or what was learnt when that is lower; negative: none.
  int ceiling(int configured, Millis now) const;

 private:
  int slots_ = -1;
  Millis until_ = 0;
};

}  // namespace kling::engine
