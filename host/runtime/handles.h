// What a program ends once, from any thread, and perhaps twice, too late or never. It holds a
// number that looks like a pointer, so one that is over is told instead of followed.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

namespace kling::runtime {

template <class Handle, class Kept>
class Handles {
 public:
  Handle* put(std::shared_ptr<Kept> kept) {
    std::lock_guard lock(mutex_);
    kept_.emplace(++last_, std::move(kept));
    return reinterpret_cast<Handle*>(last_);  // NOLINT(performance-no-int-to-ptr): see above
  }
  /// Null: there is none (any more).
  std::shared_ptr<Kept> take(Handle* handle) {
    std::lock_guard lock(mutex_);
    auto node = kept_.extract(reinterpret_cast<std::uintptr_t>(handle));
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

}  // namespace kling::runtime
