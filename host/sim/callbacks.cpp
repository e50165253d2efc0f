#include "sim/callbacks.h"

#include <regex>

#include <httplib.h>

#include "base/signals.h"

namespace kling::sim {

constexpr Millis kLate = 60'000;  // of a last callback that comes late

/// True when it was answered with a 2xx.
static bool post(const std::string& url, const std::string& body) {
  static const std::regex loopback(R"((http://(127\.0\.0\.1|localhost)(:\d+)?)(/.*)?)");
  std::smatch parts;
  if (!std::regex_match(url, parts, loopback)) return false;
  httplib::Client client(parts[1].str());
  client.set_connection_timeout(2);
  client.set_read_timeout(2);
  client.set_write_timeout(2);
  const std::string path = parts[4].matched ? parts[4].str() : "/";
  const auto answer = client.Post(path, body, "application/json");
  return answer && answer->status / 100 == 2;
}

void Callbacks::watch(const Task& task, Millis since) {
  if (task.order.callback_url.empty()) return;
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  const Millis changes[] = {task.created, task.starts, task.ends, task.ends + kLate};
  for (int i = 0; i < 3; ++i) {
    if (changes[i] < since) continue;
    const Faults faults = faults_.next("callback", task.order.kind);
    if (faults.has("lose")) continue;
    const Millis at = faults.has("late") ? changes[i + 1] + 1 : changes[i];
    for (int times = faults.has("repeat") ? 2 : 1; times > 0; --times)
      calls_.emplace(at, Call{task, changes[i]});
  }
  if (!thread_.joinable()) {
    const SignalBlock signals;
    thread_ = std::thread([this] { run(); });
  }
  wake_.notify_all();
}

void Callbacks::run() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const Millis next = calls_.empty() ? kNever : calls_.begin()->first;
    if (next > clock_->now()) {
      clock_->wait_until(lock, wake_, next);
      continue;
    }
    const Call call = std::move(calls_.extract(calls_.begin()).mapped());
    clock_->hold();  // a jumping clock must not overtake what is on its way
    lock.unlock();
    const bool arrived = post(call.task.order.callback_url, body_(call.task, call.state_at));
    lock.lock();
    clock_->release();
    made_ += arrived ? 1 : 0;
  }
}

void Callbacks::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

}  // namespace kling::sim
