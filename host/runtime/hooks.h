// Time, requests and functions by the program around us instead of ours.
#pragma once

#include "kling/host.h"
#include "lua/runtime.h"
#include "net/transport.h"

namespace kling::runtime {

/// It moves at ticks only. now() and wait_until() from any thread, set() on the ticking one.
class HostClock final : public Clock {
 public:
  explicit HostClock(Millis start) : now_(start) {}
  void set(Millis now) { now_ = now; }

  Millis now() const override { return now_; }
  /// Nobody tells a waiting thread that the time was set, so it looks now and then.
  void wait_until(std::unique_lock<std::mutex>& lock, std::condition_variable& wake,
                  Millis deadline) override {
    if (deadline == kNever) return wake.wait(lock);
    if (now_ < deadline) wake.wait_for(lock, std::chrono::milliseconds(20));
  }
  Millis real_millis_until(Millis deadline) const override {
    return deadline == kNever ? kNever : std::clamp<Millis>(deadline - now_, 0, 3'600'000);
  }

 private:
  std::atomic<Millis> now_;
};

/// Rings for the program's wake hook, on a thread of its own: when there is something to tick for,
/// timers included, and once between two ticks. Made and destroyed on the ticking thread.
class Bell {
 public:
  Bell(void (*hook)(void*), void* user, std::shared_ptr<engine::CompletionQueue> queue);
  ~Bell() { stop(); }

  /// A tick is over, and the next is due at this time.
  void set(Millis due);

 private:
  void run();
  void stop();

  void (*const hook_)(void*);
  void* const user_;
  const std::shared_ptr<engine::CompletionQueue> queue_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Millis due_ = kNever;
  bool armed_ = true, stopped_ = false;
  std::shared_ptr<void> at_exit_;
  std::thread thread_;
};

/// What kling_host_error tells of misuse, where no host may keep it: of this thread's last call.
inline thread_local const char* refusal = "";

/// What a program ends once, from any thread, and perhaps twice, too late or never. It holds a
/// number that looks like a pointer, so one that is over is told instead of followed.
template <class Handle, class Kept>
class Handles {
 public:
  Handle* put(std::shared_ptr<Kept> kept) {
    std::lock_guard lock(mutex_);
    kept_.emplace(++last_, std::move(kept));
    return reinterpret_cast<Handle*>(last_);  // NOLINT(performance-no-int-to-ptr): see above
  }
  /// Null, and a refusal: there is none (any more).
  std::shared_ptr<Kept> take(Handle* handle) {
    std::lock_guard lock(mutex_);
    auto node = kept_.extract(reinterpret_cast<std::uintptr_t>(handle));
    refusal = node                ? ""
              : handle == nullptr ? "there is no exchange or call: it is NULL"
                                  : "this exchange or call has ended before (its deadline may have "
                                    "passed), or was never one";
    return node ? std::move(node.mapped()) : nullptr;
  }
  /// Of the whole process, and never taken down: a thread of the program may be late.
  static Handles& all() {
    static auto& handles = *new Handles;
    return handles;
  }

 private:
  std::mutex mutex_;
  std::uintptr_t last_ = 0;
  std::unordered_map<std::uintptr_t, std::shared_ptr<Kept>> kept_;
};

using SendHook = void (*)(void* user, const kling_request* request, kling_exchange* exchange);

/// The hook is called on the ticking thread, its answer may come from any. send() blocks a worker,
/// never the ticking thread.
std::shared_ptr<net::Transport> make_hook_transport(SendHook send, void* user,
                                                    std::shared_ptr<engine::CompletionQueue> queue);

/// A function of the program that scripts call. Values pass as JSON; the answer may come at once or
/// later, from any thread. All but the answer belongs to the ticking thread; nothing here blocks.
struct Function {
  kling_function call = nullptr;
  void* user = nullptr;
};

// These may raise Lua errors. Names may have dots.

/// Pushes a global function of the scripts.
void push_function(lua_State* L, const char* name);
/// Makes `function`, which must live as long as the state, a global, and the tables before it.
void set_function(lua_State* L, const char* name, Function& function);

}  // namespace kling::runtime
