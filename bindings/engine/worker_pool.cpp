#include "engine/worker_pool.h"

#include <algorithm>
#include <array>
#include <deque>
#include <exception>
#include <new>
#include <thread>
#include <utility>
#include <vector>

#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/resource.h>

#include "base/leaving.h"
#include "base/signals.h"

namespace kling::engine {
namespace {

constexpr std::size_t kLanes = 5;
constexpr std::array<int, kLanes> kLimits = {1, 24, 8, 6, 2};
constexpr int kNiceness = 5;
constexpr Millis kPeriod = 30'000;

struct Timer {
  Millis due;
  std::uint64_t number;  // equal times run in the order of their making
  Lane lane;
  std::function<void()> work;
};
struct Later {
  bool operator()(const Timer& a, const Timer& b) const {
    return a.due != b.due ? a.due > b.due : a.number > b.number;
  }
};

}  // namespace

struct WorkerPool::State : std::enable_shared_from_this<State> {
  explicit State(std::shared_ptr<Clock> time) : clock(std::move(time)) {}

  const std::shared_ptr<Clock> clock;
  std::function<void()> interrupt;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable ended;
  std::array<std::deque<std::function<void()>>, kLanes> lanes;
  std::array<int, kLanes> running{};
  std::vector<Timer> timers;  // a heap
  std::uint64_t timers_made = 0;
  std::size_t threads = 0;
  std::size_t idle = 0;
  std::size_t woken = 0;      // of the idle ones: notified, and not awake yet
  std::size_t starting = 0;   // threads that have not come here yet
  bool timed_waiter = false;  // one idle thread watches the timers, the others sleep
  std::size_t busiest = 0;    // threads that were at work at once in the present period
  std::size_t spare = 0;      // threads that the last one has not needed
  Millis period_end = 0;
  bool stopping = false;
  std::shared_ptr<void> exit_entry;  // lives as long as there are threads

  void push(Lane lane, std::function<void()>&& work) {
    lanes[static_cast<std::size_t>(lane)].push_back(std::move(work));
    clock->hold();  // until it has run
  }

  /// The next lane with work and room; kLanes: none.
  std::size_t choose() const {
    for (std::size_t i = 0; i < kLanes; ++i)
      if (!lanes[i].empty() && running[i] < kLimits[i]) return i;
    return kLanes;
  }

  /// How many threads have something to do: to run what may run, and to watch the timers.
  std::size_t wanted() const {
    std::size_t count = !timers.empty() && !timed_waiter ? 1 : 0;
    for (std::size_t i = 0; i < kLanes; ++i)
      count += std::min(lanes[i].size(), static_cast<std::size_t>(kLimits[i] - running[i]));
    return count;
  }

  /// Calls as many threads as are wanted beside those on their way. One that was notified is not
  /// idle any more, though it has not woken: whoever counts it twice leaves work lying. Returns how
  /// many are to be notified, by notify(), once the lock is given back: else they wait for that.
  std::size_t staff() {
    std::size_t calls = 0;
    for (std::size_t want = wanted(); woken + starting < want;) {
      if (idle > woken) {
        ++woken;
        ++calls;
      } else if (threads >= kMaxThreads || !add_thread()) {
        break;  // those at work will come by
      }
    }
    return calls;
  }

  void notify(std::size_t calls) {
    while (calls-- > 0) wake.notify_one();
  }

  bool add_thread() {
    try {
      if (!exit_entry)
        exit_entry = at_exit([weak = weak_from_this()](auto until) {
          const auto self = weak.lock();
          if (self && self->interrupt) self->interrupt();
          if (self) self->end(until);
        });
      // A new thread inherits the signal mask. Signals are the program's business, and a connection
      // that the other side closed is no reason to die (SIGPIPE).
      const SignalBlock signals;
      std::thread([self = shared_from_this()] {
        pthread_setname_np(pthread_self(), "kling-worker");  // for debuggers and top
        // A frame of the program's is not to wait for our work where there are more threads than
        // cores. On Linux this is the thread's own niceness.
        ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
        self->loop();
      }).detach();
    } catch (const std::exception&) {  // no more threads, or memory
      return false;
    }
    ++threads;
    ++starting;
    spare = 0;
    return true;
  }

  /// Whether a thread that comes by without work may end: a burst leaves no threads for the hours
  /// in which its jobs are only asked after.
  bool is_spare() {
    if (const Millis now = clock->now(); now >= period_end) {
      period_end = now + kPeriod;
      spare = threads - std::min(threads, std::exchange(busiest, 0) + 1);  // one watches the timers
    }
    // Another one watches the timers: a thread that would do so in its place may not be to be had.
    if (spare == 0 || woken > 0 || (!timers.empty() && !timed_waiter)) return false;
    --spare;
    return true;
  }

  void release_due_timers() {
    const Millis now = clock->now();
    while (!timers.empty() && timers.front().due <= now) {
      std::pop_heap(timers.begin(), timers.end(), Later{});
      try {
        push(timers.back().lane, std::move(timers.back().work));
      } catch (const std::bad_alloc&) {  // it is where it was, and looked at again
        return std::push_heap(timers.begin(), timers.end(), Later{});
      }
      timers.pop_back();
    }
  }

  void loop() {
    std::unique_lock lock(mutex);
    --starting;
    while (!stopping) {
      release_due_timers();
      const std::size_t lane = choose();
      if (lane == kLanes) {
        if (is_spare()) break;
        wait(lock);
        continue;
      }
      auto work = std::move(lanes[lane].front());
      lanes[lane].pop_front();
      ++running[lane];
      busiest = std::max(busiest, threads - idle - starting);
      const std::size_t calls = staff();
      lock.unlock();
      notify(calls);
      try {
        work();
      } catch (const std::exception&) {  // for want of memory: who submitted it has seen to it
      }
      work = nullptr;
      lock.lock();
      --running[lane];
      clock->release();
    }
    // Before the program learns that this thread is gone: its exit may free OpenSSL's locks then.
    {
      const NoFork whole;
      ::OPENSSL_thread_stop();
    }
    --threads;
    ended.notify_all();
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const bool timed = !timed_waiter && !timers.empty();
    if (timed) timed_waiter = true;
    ++idle;
    clock->wait_until(lock, wake, timed ? timers.front().due : kNever);
    --idle;
    if (woken > 0) --woken;  // whoever it was meant for: that one looks, too
    if (timed) timed_waiter = false;
  }

  void end(std::chrono::steady_clock::time_point until) {
    std::unique_lock lock(mutex);
    stopping = true;
    wake.notify_all();
    ended.wait_until(lock, until, [this] { return threads == 0; });
  }
};

WorkerPool::WorkerPool(std::shared_ptr<Clock> clock)
    : state_(std::make_shared<State>(std::move(clock))) {}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::set_interrupt(std::function<void()> interrupt) {
  state_->interrupt = std::move(interrupt);
}

Status WorkerPool::start() {
  std::lock_guard lock(state_->mutex);
  if (state_->threads > 0 || state_->stopping || state_->add_thread()) return Done{};
  return Error{.kind = Kind::network,
               .message = "nothing was sent: no thread can be started",
               .hint = "raise the limit of threads or of memory that this program has",
               .retryable = true};
}

void WorkerPool::submit(Lane lane, std::function<void()> work) {
  std::unique_lock lock(state_->mutex);
  if (state_->stopping) return;
  state_->push(lane, std::move(work));
  const std::size_t calls = state_->staff();
  lock.unlock();
  state_->notify(calls);
}

void WorkerPool::submit_at(Millis due, Lane lane, std::function<void()> work) {
  std::unique_lock lock(state_->mutex);
  if (state_->stopping) return;
  const std::uint64_t number = ++state_->timers_made;
  state_->timers.push_back({due, number, lane, std::move(work)});
  std::push_heap(state_->timers.begin(), state_->timers.end(), Later{});
  // A new earliest time concerns the one who watches the timers, whoever that is.
  if (state_->timed_waiter && state_->timers.front().number == number) state_->wake.notify_all();
  const std::size_t calls = state_->staff();
  lock.unlock();
  state_->notify(calls);
}

void WorkerPool::stop() {
  std::array<std::deque<std::function<void()>>, kLanes> dropped;
  std::vector<Timer> dropped_timers;
  {
    std::lock_guard lock(state_->mutex);
    state_->stopping = true;
    dropped.swap(state_->lanes);
    dropped_timers.swap(state_->timers);
    for (const auto& lane : dropped)
      for (std::size_t i = 0; i < lane.size(); ++i) state_->clock->release();
  }
  state_->end(std::chrono::steady_clock::now() + std::chrono::milliseconds(60));
  // What was dropped may own this pool's last reference: destroyed unlocked.
}

}  // namespace kling::engine
