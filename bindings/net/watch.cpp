#include "net/watch.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/signals.h"

namespace kling::net {
namespace {

constexpr std::chrono::milliseconds kTick{20};

}  // namespace

void SocketHandle::adopt(Descriptor socket) {
  std::lock_guard lock(mutex_);
  socket_ = std::move(socket);
}

void SocketHandle::shut() {
  std::lock_guard lock(mutex_);
  if (socket_) ::shutdown(socket_.get(), SHUT_RDWR);
}

bool SocketHandle::silent() const {
  std::lock_guard lock(mutex_);
  if (!socket_) return false;
  pollfd entry{socket_.get(), POLLIN | POLLRDHUP, 0};
  return ::poll(&entry, 1, 0) == 0;
}

void Exchange::attach(std::shared_ptr<SocketHandle> socket) {
  std::lock_guard lock(mutex_);
  socket_ = std::move(socket);
}

void Exchange::look(TimePoint now) {
  std::lock_guard lock(mutex_);
  if (end == End::none && stop != nullptr && *stop) end = End::stopped;
  if (end == End::none && now >= deadline.load()) end = End::deadline;
  // At every look again: an ended exchange may be about to open its next socket.
  if (end != End::none && socket_) socket_->shut();
}

Watch::Guard::Guard(Watch& watch, Exchange& exchange) : watch_(watch), exchange_(exchange) {
  std::lock_guard lock(watch_.mutex_);
  if (!watch_.thread_.joinable()) {
    SignalBlock signals;
    watch_.thread_ = std::thread([&w = watch_] { w.run(); });
  }
  watch_.exchanges_.push_back(&exchange_);
  if (watch_.idle_) watch_.wake_.notify_one();
}

Watch::Guard::~Guard() {
  std::lock_guard lock(watch_.mutex_);
  std::erase(watch_.exchanges_, &exchange_);
}

Watch::~Watch() {
  {
    std::lock_guard lock(mutex_);
    leaving_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Watch::run() {
  std::unique_lock lock(mutex_);
  while (!leaving_) {
    if (exchanges_.empty()) {
      idle_ = true;
      wake_.wait(lock);
      idle_ = false;
      continue;
    }
    wake_.wait_for(lock, kTick);
    const TimePoint now = std::chrono::steady_clock::now();
    for (Exchange* exchange : exchanges_) exchange->look(now);
  }
}

}  // namespace kling::net
