#include "base/leaving.h"
#include "base/signals.h"
#include "runtime/hooks.h"

namespace kling::runtime {

Bell::Bell(void (*hook)(void*), void* user, std::shared_ptr<engine::CompletionQueue> queue)
    : hook_(hook), user_(user), queue_(std::move(queue)) {
  at_exit_ = at_exit([this](auto) { stop(); });
  const SignalBlock signals;  // they are the program's business
  thread_ = std::thread([this] { run(); });
}

void Bell::set(Millis due) {
  std::lock_guard lock(mutex_);
  due_ = due;
  armed_ = true;
  changed_.notify_all();
}

void Bell::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return armed_ || stopped_; });
    if (stopped_) return;
    armed_ = false;
    const Millis due = due_;
    lock.unlock();
    queue_->wait(due);
    lock.lock();
    if (stopped_) return;
    lock.unlock();
    hook_(user_);
    lock.lock();
  }
}

void Bell::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
  }
  queue_->wake();
  if (thread_.joinable()) thread_.join();
}

}  // namespace kling::runtime
