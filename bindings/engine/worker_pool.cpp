#include "engine/worker_pool.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <queue>
#include <thread>
#include <vector>

#include <openssl/crypto.h>
#include <pthread.h>
#include <sys/resource.h>
#include <unistd.h>

#include "net/signals.h"

namespace kling::engine {
namespace {

constexpr std::size_t kLanes = 5;
constexpr std::array<int, kLanes> kLimits = {1, 24, 8, 6, 2};
constexpr int kNiceness = 5;

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

/// Threads that are still at work though their pool has stopped. The end of main waits a moment for
/// them, as exit handlers older than this one (OpenSSL's) free what they use.
struct LeftBehind {
  std::mutex mutex;
  std::condition_variable gone;
  std::size_t threads = 0;

  static LeftBehind& all() {
    static auto* const made = [] {
      std::atexit([] {
        std::unique_lock lock(all().mutex);
        all().gone.wait_for(lock, std::chrono::seconds(2), [] { return all().threads == 0; });
      });
      return new LeftBehind;
    }();
    return *made;
  }
  void change(std::size_t more, std::size_t fewer) {
    std::lock_guard lock(mutex);
    threads += more;
    threads -= fewer;
    gone.notify_all();
  }
};

}  // namespace

struct WorkerPool::State {
  explicit State(std::shared_ptr<Clock> time) : clock(std::move(time)) {}

  std::shared_ptr<Clock> clock;
  std::mutex mutex;
  std::condition_variable wake;
  std::condition_variable ended;
  std::array<std::deque<std::function<void()>>, kLanes> lanes;
  std::array<int, kLanes> running{};
  std::vector<Timer> timers;  // a heap
  std::uint64_t timers_made = 0;
  std::size_t threads = 0;
  std::size_t idle = 0;
  bool timed_waiter = false;  // one idle thread watches the timers, the others sleep
  bool stopping = false;
  bool left_behind = false;  // its threads are counted in LeftBehind

  void push(Lane lane, std::function<void()> work) {
    clock->hold();  // until it has run
    lanes[static_cast<std::size_t>(lane)].push_back(std::move(work));
  }

  /// The next lane with work and room; kLanes: none.
  std::size_t choose() const {
    for (std::size_t i = 0; i < kLanes; ++i)
      if (!lanes[i].empty() && running[i] < kLimits[i]) return i;
    return kLanes;
  }

  void release_due_timers() {
    const Millis now = clock->now();
    while (!timers.empty() && timers.front().due <= now) {
      std::pop_heap(timers.begin(), timers.end(), Later{});
      push(timers.back().lane, std::move(timers.back().work));
      timers.pop_back();
    }
  }

  void loop() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      release_due_timers();
      const std::size_t lane = choose();
      if (lane == kLanes) {
        wait(lock);
        continue;
      }
      auto work = std::move(lanes[lane].front());
      lanes[lane].pop_front();
      ++running[lane];
      if (choose() != kLanes || (!timed_waiter && !timers.empty())) wake.notify_one();
      lock.unlock();
      work();
      work = nullptr;
      lock.lock();
      --running[lane];
      clock->release();
    }
    // Before the program learns that this thread is gone: its exit may free OpenSSL's locks then.
    ::OPENSSL_thread_stop();
    --threads;
    ended.notify_all();
    if (left_behind) LeftBehind::all().change(0, 1);
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    const bool timed = !timed_waiter && !timers.empty();
    if (timed) timed_waiter = true;
    ++idle;
    clock->wait_until(lock, wake, timed ? timers.front().due : kNever);
    --idle;
    if (timed) timed_waiter = false;
  }
};

WorkerPool::WorkerPool(std::shared_ptr<Clock> clock)
    : state_(std::make_shared<State>(std::move(clock))) {}

WorkerPool::~WorkerPool() { stop(); }

void WorkerPool::submit(Lane lane, std::function<void()> work) {
  submit_at(0, lane, std::move(work));
}

void WorkerPool::submit_at(Millis due, Lane lane, std::function<void()> work) {
  std::lock_guard lock(state_->mutex);
  if (state_->stopping) return;
  const std::uint64_t number = ++state_->timers_made;
  if (due == 0) {
    state_->push(lane, std::move(work));
  } else {
    state_->timers.push_back({due, number, lane, std::move(work)});
    std::push_heap(state_->timers.begin(), state_->timers.end(), Later{});
  }
  const bool earliest = due != 0 && state_->timers.front().number == number;
  if (state_->idle == 0 && state_->threads < kMaxThreads) {
    // A new thread inherits the signal mask. Signals are the program's business, and a connection
    // that the other side closed is no reason to die (SIGPIPE).
    const net::SignalBlock signals;
    std::thread([state = state_] {
      pthread_setname_np(pthread_self(), "kling-worker");  // for debuggers and top
      // A frame of the program's is not to wait for our work where there are more threads than
      // cores. On Linux this is the thread's own niceness.
      ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), kNiceness);
      state->loop();
    }).detach();
    ++state_->threads;
  }
  // A new earliest time concerns the one who watches the timers, whoever that is.
  if (earliest) state_->wake.notify_all();
  if (due == 0) state_->wake.notify_one();
}

void WorkerPool::stop() {
  std::array<std::deque<std::function<void()>>, kLanes> dropped;
  std::vector<Timer> dropped_timers;
  std::unique_lock lock(state_->mutex);
  if (!state_->stopping) {
    state_->stopping = true;
    dropped.swap(state_->lanes);
    dropped_timers.swap(state_->timers);
    for (const auto& lane : dropped)
      for (std::size_t i = 0; i < lane.size(); ++i) state_->clock->release();
    state_->wake.notify_all();
  }
  state_->ended.wait_for(lock, std::chrono::milliseconds(100),
                         [this] { return state_->threads == 0; });
  if (!state_->left_behind && state_->threads > 0) {
    state_->left_behind = true;
    LeftBehind::all().change(state_->threads, 0);
  }
  lock.unlock();  // what was dropped may own this pool's last reference: destroyed unlocked
}

}  // namespace kling::engine
