#include "sim/callbacks.h"

#include <httplib.h>

namespace kling::sim {

void Callbacks::watch(const Task& task) {
  if (task.order.callback_url.empty()) return;
  const auto has = [&](const char* fault) { return faults_.find(fault) != std::string::npos; };
  const std::lock_guard lock(mutex_);
  if (stopping_) return;
  for (const Millis change : {task.created, task.starts, task.ends}) {
    if (has("lose") && ++planned_ % 2 == 0) continue;
    const Millis at = has("reorder") && change == task.starts ? task.ends + 1 : change;
    for (int i = has("repeat") ? 2 : 1; i > 0; --i) calls_.emplace(at, Call{task, change});
  }
  if (!thread_.joinable()) thread_ = std::thread([this] { run(); });
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
    const Call call = std::move(calls_.begin()->second);
    calls_.erase(calls_.begin());
    lock.unlock();
    const bool arrived = post(call.task.order.callback_url, body_(call.task, call.state_at));
    lock.lock();
    made_ += arrived ? 1 : 0;
  }
}

bool Callbacks::post(const std::string& url, const std::string& body) const {
  const auto path = url.find('/', std::string("http://").size());
  const std::string host = url.substr(0, path);
  if (host.rfind("http://127.0.0.1", 0) != 0 && host.rfind("http://localhost", 0) != 0)
    return false;
  httplib::Client client(host);
  client.set_connection_timeout(2);
  client.set_read_timeout(2);
  client.set_write_timeout(2);
  const auto answer =
      client.Post(path == std::string::npos ? "/" : url.substr(path), body, "application/json");
  return answer && answer->status == 200;
}

int Callbacks::made() const {
  const std::lock_guard lock(mutex_);
  return made_;
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
