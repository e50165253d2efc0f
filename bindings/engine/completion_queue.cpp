#include "engine/completion_queue.h"

#include <cstdint>
#include <utility>

#include <sys/eventfd.h>
#include <unistd.h>

namespace kling::engine {

CompletionQueue::CompletionQueue(std::shared_ptr<Clock> clock) : clock_(std::move(clock)) {}

CompletionQueue::~CompletionQueue() {
  for (std::size_t i = 0; i < posted_.size(); ++i) clock_->release();
  if (fd_ >= 0) ::close(fd_);
}

void CompletionQueue::post(std::function<void()> completion) {
  clock_->hold();  // until it ran: a jumping clock must not overtake it
  std::lock_guard lock(mutex_);
  posted_.push_back(std::move(completion));
  if (fd_ >= 0 && posted_.size() == 1) ::eventfd_write(fd_, 1);
  wake_.notify_all();
}

std::size_t CompletionQueue::drain() {
  std::unique_lock lock(mutex_);
  std::uint64_t count = 0;
  if (fd_ >= 0) ::eventfd_read(fd_, &count);
  if (posted_.empty()) return 0;  // before the deque: an idle round allocates nothing
  std::deque<std::function<void()>> batch;
  batch.swap(posted_);
  lock.unlock();
  for (auto& completion : batch) {
    completion();
    completion = nullptr;
    clock_->release();
  }
  return batch.size();
}

void CompletionQueue::wait(Millis deadline) {
  std::unique_lock lock(mutex_);
  while (posted_.empty() && !woken_ && clock_->now() < deadline)
    clock_->wait_until(lock, wake_, deadline);
  woken_ = false;
}

void CompletionQueue::wake() {
  std::lock_guard lock(mutex_);
  woken_ = true;
  if (fd_ >= 0) ::eventfd_write(fd_, 1);
  wake_.notify_all();
}

int CompletionQueue::fd() {
  std::lock_guard lock(mutex_);
  if (fd_ < 0) fd_ = ::eventfd(posted_.empty() ? 0 : 1, EFD_CLOEXEC | EFD_NONBLOCK);
  return fd_;
}

}  // namespace kling::engine
