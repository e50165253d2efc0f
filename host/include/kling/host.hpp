// kling::Host: <kling/host.h> for C++17, header-only; needs neither exceptions nor RTTI. What holds
// there holds here: one thread a host, callbacks on that thread, tick() never blocks.
#ifndef KLING_HOST_HPP
#define KLING_HOST_HPP

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "kling/host.h"

namespace kling {

/// An answer to a request of HostOptions::send, from any thread. Dropped without one, it fails.
class Exchange {
 public:
  explicit Exchange(kling_exchange* handle) : handle_(handle) {}
  Exchange(Exchange&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Exchange& operator=(Exchange&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Exchange() { fail(true); }
  void answer(int status, std::string_view body, const char* content_type = "application/json") {
    if (auto* handle = std::exchange(handle_, nullptr))
      kling_exchange_answer(handle, status, content_type, body.data(), body.size());
  }
  void fail(bool may_have_been_sent) {
    if (auto* handle = std::exchange(handle_, nullptr))
      kling_exchange_fail(handle, may_have_been_sent ? 1 : 0);
  }

 private:
  kling_exchange* handle_;
};

/// A script's call of a function of yours, answered from any thread. Dropped without an answer, it
/// fails.
class Call {
 public:
  explicit Call(kling_call* handle) : handle_(handle) {}
  Call(Call&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Call& operator=(Call&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Call() { fail("the program dropped the call"); }
  void answer(const char* json = "null") {
    if (auto* handle = std::exchange(handle_, nullptr)) kling_call_answer(handle, json);
  }
  void fail(const char* message) {
    if (auto* handle = std::exchange(handle_, nullptr)) kling_call_fail(handle, message);
  }

 private:
  kling_call* handle_;
};
using Function = std::function<void(Call call, const char* arguments)>;

/// Empty and zero mean the default; see kling_host_options for each.
struct HostOptions {
  std::string ledger;  ///< required: a file, or ":memory:"
  std::string base_url, key, store, profile;
  std::size_t memory_limit = 0;
  double poll = 0;
  int max_jobs = 0;
  double max_cost = 0;
  unsigned long long instruction_limit = 0;
  double wall_limit = 0;
  std::vector<std::string> roots, hosts;
  std::function<std::string()> get_key;
  std::function<void(const char* level, const char* message)> log;
  std::function<long long()> now;
  std::function<void*(void* block, std::size_t old_size, std::size_t new_size)> allocate;
  std::function<void(const kling_request& request, Exchange exchange)> send;
  double price_factor = 0;
  std::string callback, webhook_secret;
  std::function<void()> wake;  ///< from a thread of the host's
  int max_requests = 0;
  double patience = 0;
  bool ask_when_lost = false, no_replay = false;
  std::string ca_file, proxy, user_agent, ffmpeg;
};

class Host {
 public:
  using Task = kling_task;

  /// An empty host: every call is answered as by one that failed.
  Host() = default;
  /// Check with `if (host)`, then error().
  explicit Host(HostOptions options) : options_(std::make_unique<Kept>()) {
    HostOptions& kept = options_->options = std::move(options);
    kling_host_options c = KLING_HOST_OPTIONS;
    const std::pair<const char**, const std::string*> texts[] = {
        {&c.ledger, &kept.ledger},   {&c.base_url, &kept.base_url},
        {&c.key, &kept.key},         {&c.store, &kept.store},
        {&c.profile, &kept.profile}, {&c.callback, &kept.callback},
        {&c.ca_file, &kept.ca_file}, {&c.webhook_secret, &kept.webhook_secret},
        {&c.proxy, &kept.proxy},     {&c.user_agent, &kept.user_agent},
        {&c.ffmpeg, &kept.ffmpeg}};
    for (const auto& [to, from] : texts) *to = from->empty() ? nullptr : from->c_str();
    c.memory_limit = kept.memory_limit;
    c.poll = kept.poll;
    c.max_jobs = kept.max_jobs;
    c.max_cost = kept.max_cost;
    c.instruction_limit = kept.instruction_limit;
    c.wall_limit = kept.wall_limit;
    const auto roots = list(kept.roots), hosts = list(kept.hosts);
    c.price_factor = kept.price_factor;
    c.roots = roots.data();
    c.hosts = hosts.data();
    c.user = options_.get();
    if (kept.get_key)
      c.get_key = [](void* user) {
        Kept& of = *static_cast<Kept*>(user);
        of.key = of.options.get_key();
        return of.key.c_str();
      };
    if (kept.log)
      c.log = [](void* user, const char* level, const char* message) {
        static_cast<Kept*>(user)->options.log(level, message);
      };
    if (kept.now) c.now = [](void* user) { return static_cast<Kept*>(user)->options.now(); };
    if (kept.allocate)
      c.allocate = [](void* user, void* block, std::size_t old_size, std::size_t new_size) {
        return static_cast<Kept*>(user)->options.allocate(block, old_size, new_size);
      };
    if (kept.send)
      c.send = [](void* user, const kling_request* request, kling_exchange* exchange) {
        static_cast<Kept*>(user)->options.send(*request, Exchange(exchange));
      };
    if (kept.wake) c.wake = [](void* user) { static_cast<Kept*>(user)->options.wake(); };
    c.max_requests = kept.max_requests;
    c.patience = kept.patience;
    c.ask_when_lost = kept.ask_when_lost;
    c.no_replay = kept.no_replay;
    char why[256] = "";
    host_ = kling_host_new(&c, why, sizeof why);
    options_->error = why;
  }
  ~Host() { close(); }
  Host(Host&& other) noexcept
      : options_(std::move(other.options_)), host_(std::exchange(other.host_, nullptr)) {}
  Host& operator=(Host&& other) noexcept {
    if (this == &other) return *this;
    close();
    host_ = std::exchange(other.host_, nullptr);
    options_ = std::move(other.options_);
    return *this;
  }

  explicit operator bool() const { return host_ != nullptr; }
  std::string error() const {
    return host_ || !options_ ? kling_host_error(host_) : options_->error;
  }

  /// 0: see error().
  Task run(const std::string& name, std::string_view source, const char* arguments = nullptr) {
    return kling_host_run(host_, name.c_str(), source.data(), source.size(), arguments);
  }
  Task run_file(const std::string& path, const char* arguments = nullptr) {
    return kling_host_run_file(host_, path.c_str(), arguments);
  }
  bool tick(std::int64_t budget_us) { return kling_host_tick(host_, budget_us) == 1; }
  int fd() { return kling_host_fd(host_); }

  bool running(Task task) const { return state(task) == KLING_TASK_RUNNING; }
  bool done(Task task) const { return state(task) == KLING_TASK_DONE; }
  bool failed(Task task) const { return state(task) == KLING_TASK_FAILED; }
  /// JSON; "" while it runs.
  std::string result(Task task) { return text(kling_host_result(host_, task)); }
  /// See kling_host_register.
  bool provide(const std::string& name, Function function) {
    if (!host_) return false;
    auto slot = std::make_unique<Slot>();
    const auto known = options_->functions.find(name);
    Slot* const user = known != options_->functions.end() ? known->second.get() : slot.get();
    const auto call = [](void* at, kling_call* handle, const char* arguments) {
      const Slot running = *static_cast<Slot*>(at);  // it may provide another under its own name
      (*running)(Call(handle), arguments);
    };
    if (kling_host_register(host_, name.c_str(), call, user) != 0) return false;
    *user = std::make_shared<Function>(std::move(function));
    if (user == slot.get()) options_->functions[name] = std::move(slot);
    return true;
  }
  /// 0: see error().
  Task call(const std::string& function, const char* arguments = nullptr) {
    return kling_host_call(host_, function.c_str(), arguments);
  }
  void forget(Task task) { kling_host_forget(host_, task); }
  void cancel(Task task) {
    if (task != 0) kling_host_cancel(host_, task);
  }
  void cancel_all() { kling_host_cancel(host_, 0); }

  /// "": nothing (more) has happened.
  std::string next_event() { return text(kling_host_next_event(host_)); }
  std::string job(const std::string& handle) { return text(kling_host_job(host_, handle.c_str())); }
  /// Empty: there is none.
  std::string clip(const std::string& handle) {
    std::size_t size = 0;
    const void* bytes = kling_host_clip(host_, handle.c_str(), &size);
    return {static_cast<const char*>(bytes), bytes != nullptr ? size : 0};
  }
  std::string jobs() { return host_ ? text(kling_host_jobs(host_)) : "[]"; }
  std::string questions() { return host_ ? text(kling_host_questions(host_)) : "[]"; }
  bool answer(long long question, int choice) {
    return kling_host_answer(host_, question, choice) == 0;
  }
  std::size_t pending() const { return kling_host_pending(host_); }
  bool busy() const { return kling_host_busy(host_) == 1; }
  /// From any thread.
  void wakeup() const { kling_host_wakeup(host_); }
  /// `headers`: name, value, name, value, …
  bool notify(const std::string& path, std::string_view body,
              const std::vector<std::string>& headers = {}) {
    return kling_host_notify_signed(host_, path.c_str(), list(headers).data(), body.data(),
                                    body.size()) == 0;
  }
  bool set(const std::string& name, const std::string& json) {
    return kling_host_set(host_, name.c_str(), json.c_str()) == 0;
  }
  /// JSON; "" for what JSON cannot say.
  std::string get(const std::string& name) { return text(kling_host_get(host_, name.c_str())); }
  bool reload() { return kling_host_reload(host_) == 0; }

 private:
  using Slot = std::shared_ptr<Function>;
  struct Kept {
    HostOptions options;
    std::string key, error;
    std::map<std::string, std::unique_ptr<Slot>> functions;
  };
  /// A host that may not be freed here (another thread, a callback) lives on, with what it uses.
  void close() noexcept {
    if (kling_host_free(std::exchange(host_, nullptr)) != KLING_OK) (void)options_.release();
  }
  int state(Task task) const { return kling_host_task_state(host_, task); }
  static std::vector<const char*> list(const std::vector<std::string>& texts) {
    std::vector<const char*> pointers;
    for (const std::string& one : texts) pointers.push_back(one.c_str());
    pointers.push_back(nullptr);
    return pointers;
  }
  static std::string text(const char* value) { return value != nullptr ? value : ""; }

  std::unique_ptr<Kept> options_;
  kling_host* host_ = nullptr;
};

}  // namespace kling

#endif
