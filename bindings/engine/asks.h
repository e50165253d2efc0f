// Which step an ask of a script means: the n-th ask of a later run gets what the n-th got, and one
// beyond that follows from the errors that were raised into the asking task (its story). Pure but
// for the flags of an Ask; any thread.
#pragma once

#include <atomic>
#include <set>
#include <vector>

#include "base/clock.h"
#include "base/error.h"

namespace kling::engine {

class Ledger;

/// What the ledger knows of a step. `sending` is the mark of the money: bytes may have left.
enum class StepState {
  intended,   ///< recorded, never sent
  sending,    ///< may have been sent; the answer is not known
  accepted,   ///< the service gave a task id
  succeeded,  ///< result recorded
  failed,     ///< refused, or the generation failed: the next run tries again
  ambiguous,  ///< a person must decide (kling jobs resolve)
};
const char* name(StepState state);

/// The n-th time that a task of a script asks for one digest, and the row it got. Made by who asks;
/// the engine fills it in, sets `ready`, and changes only flags from then on.
struct Ask {
  std::string script;  ///< with its take; empty: typed input, of which nothing is kept
  std::string task_path, digest;
  int nth = 0;
  std::weak_ptr<Ledger> book;  ///< whose row it is: clients of one script may have several
  std::int64_t row = 0;
  int timeouts = 0;  ///< which are raised again at once: the recorded run went on after them
  std::atomic<bool> ready{false};
  std::atomic<bool> followed{false};  ///< a later ask got what follows from its error
  std::atomic<bool> lost{false};      ///< another error kept its result from who asked
  std::size_t lost_to = 0;            ///< to this task, the outermost; of the owner's thread
  bool known = false;                 ///< the row is older; set before `ready`
  bool settled = false;               ///< and had ended; likewise
  int raised = 0;                     ///< time-outs raised so far; of the owner's thread
  bool delivered = false;             ///< a script has its result; likewise
  Millis made_at = 0;                 ///< when its row was made; set before `ready`
};

/// An error of a job that was raised into a task, after those `before` it. A task's children begin
/// with their parent's list, so it is shared and never changed.
struct Raised {
  Raised(std::shared_ptr<Ask> of, Kind what, int count, std::shared_ptr<const Raised> older)
      : ask(std::move(of)), kind(what), timeouts(count), before(std::move(older)) {}
  ~Raised();

  const std::shared_ptr<Ask> ask;
  const Kind kind;     ///< script: as far as it is lost
  const int timeouts;  ///< of `ask`, up to this one
  std::shared_ptr<const Raised> before;
  std::shared_ptr<void> memory;           ///< what this takes of a script's limit
  mutable std::atomic<bool> told{false};  ///< this and all before are kept in the ledger
};
using Story = std::shared_ptr<const Raised>;

/// A failure or time-out that a script caught and went on after: it is replayed with its ask.
struct Caught {
  const Ask* ask;
  bool failed;  ///< or will fail, where its wait was cut off
  int timeouts;
};
/// What of a story is to be kept with its asks, once its task has something else sent.
std::vector<Caught> caught(const Story& story);
/// Whether a failure of this kind says something about its request, and is replayed.
bool is_kept(Kind kind);

/// A row of the digest that is asked for, in the order of ordinal and attempt.
struct Attempt {
  std::int64_t id = 0;
  int ordinal = 0;
  StepState state = StepState::intended;
  bool abandoned = false;  ///< given up by a person although it may have been accepted
  bool replaced = false;   ///< a person wanted another, which was made
  bool kept = false;       ///< it failed, and a script that had asked for it went on
  int recorded = 0;        ///< asks of this script that got it
  bool exact = false;      ///< made by the same count of the same task path
};

/// What is known where a script asks.
struct Asking {
  std::string script;  ///< with its take; empty: typed input
  int nth = 0;
  int sequence = 0;                 ///< the how-manyeth create of its task, equal or not
  bool again = false;               ///< what failed, was kept or abandoned, is asked again
  bool anew = false;                ///< a settled step is left behind, and a new one made
  std::vector<std::int64_t> story;  ///< rows of this digest whose errors were raised, newest first
  std::set<int> given;              ///< ordinals that asks of this run got
};

/// `id` 0: a new step; else that row, or a new attempt after it.
struct Choice {
  std::int64_t id = 0;
  bool next_attempt = false;
  std::int64_t follows = 0;  ///< the row of the story that led here
  bool taken = false;        ///< another ask of the script had got it before
};
/// `recorded`: the row that this ask got before; 0: it is beyond the record.
Choice choose(const std::vector<Attempt>& rows, std::int64_t recorded, const Asking& asking);

}  // namespace kling::engine
