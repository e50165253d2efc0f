#include "engine/completion_queue.h"

#include <algorithm>

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>

namespace kling::engine {

CompletionQueue::CompletionQueue(std::shared_ptr<Clock> clock) : clock_(std::move(clock)) {}

CompletionQueue::~CompletionQueue() {
  for (std::size_t i = 0; i < posted_.size(); ++i) clock_->release();
}

void CompletionQueue::post(std::function<void()>&& completion) {
  std::unique_lock lock(mutex_);
  posted_.push_back(std::move(completion));
  clock_->hold();  // until it ran: a jumping clock must not overtake it
  signal();
  const bool first = posted_.size() == 1;  // else whoever waits is on its way
  lock.unlock();                           // that one need not wait for it
  if (first) wake_.notify_all();
}

std::size_t CompletionQueue::drain(TimePoint stop) {
  std::unique_lock lock(mutex_);
  if (signalled_) {
    std::uint64_t count = 0;
    if (event_) ::eventfd_read(event_.get(), &count);
    signalled_ = false;
  }
  std::size_t ran = 0;
  // What is posted meanwhile waits for the next round.
  for (std::size_t left = posted_.size(); left > 0 && !posted_.empty(); --left) {
    if (ran > 0 && std::chrono::steady_clock::now() >= stop) break;
    auto completion = std::move(posted_.front());
    posted_.pop_front();
    lock.unlock();
    const auto finish = [&] {
      clock_->release();
      lock.lock();
    };
    try {
      std::exchange(completion, nullptr)();  // gone before the lock is taken: it may post
    } catch (...) {                          // for want of memory; the others' turn comes
      finish();
      signal();
      throw;
    }
    finish();
    ++ran;
  }
  if (!posted_.empty()) signal();
  return ran;
}

void CompletionQueue::wait(Millis deadline) {
  std::unique_lock lock(mutex_);
  while (posted_.empty() && !woken_ && clock_->now() < deadline)
    clock_->wait_until(lock, wake_, deadline);
  woken_ = false;
}

void CompletionQueue::wake() {
  std::unique_lock lock(mutex_);
  const bool first = !std::exchange(woken_, true);
  signal();
  lock.unlock();
  if (first) wake_.notify_all();
}

/// REQUIRES: the mutex is held.
void CompletionQueue::signal() {
  if (!signalled_ && event_) ::eventfd_write(event_.get(), 1);
  signalled_ = true;
}

int CompletionQueue::fd() {
  std::lock_guard lock(mutex_);
  if (poll_) return poll_.get();
  Descriptor poll(::epoll_create1(EPOLL_CLOEXEC));
  Descriptor event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  Descriptor timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  epoll_event readable{.events = EPOLLIN, .data = {}};
  if (!poll || !event || !timer ||
      ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, event.get(), &readable) != 0 ||
      ::epoll_ctl(poll.get(), EPOLL_CTL_ADD, timer.get(), &readable) != 0)
    return -1;
  poll_ = std::move(poll);
  event_ = std::move(event);
  timer_ = std::move(timer);
  if (signalled_) ::eventfd_write(event_.get(), 1);
  arm();
  return poll_.get();
}

void CompletionQueue::wake_fd_at(Millis due) {
  if (due == due_) return;
  due_ = due;
  if (timer_) arm();
}

/// Setting the timer also takes back that it had expired, so nobody has to read it.
void CompletionQueue::arm() {
  itimerspec time{};
  if (due_ != kNever) {
    const Millis left = clock_->real_millis_until(due_);
    time.it_value.tv_sec = left / 1000;
    time.it_value.tv_nsec = std::max<long>(1, left % 1000 * 1'000'000);
  }
  ::timerfd_settime(timer_.get(), 0, &time, nullptr);
}

}  // namespace kling::engine
