// The C face of runtime::Host: checks the options, and lets no exception out.
#include <cstdio>
#include <cstring>
#include <exception>

#include "api/text.h"
#include "base/leaving.h"
#include "runtime/host.h"

struct kling_host {
  kling::runtime::Host host;
  kling::Birthplace home;
};

namespace {

/// A forked child has the host's memory but not its threads, which may have held any lock.
bool is_elsewhere(kling_host* host) {
  if (host->home.is_here()) return false;
  host->host.note_error("this host belongs to the process that made it");
  return true;
}

/// What the function answers, or `otherwise` when it threw (memory is short), and in a forked
/// child.
template <class Value, class Work>
Value guarded(kling_host* host, Value otherwise, Work work) {
  try {
    if (is_elsewhere(host)) return otherwise;
    return work(host->host);
  } catch (const std::exception& failure) {
    host->host.note_error(failure.what());
    return otherwise;
  }
}

/// As far as the program knew the options when it was compiled; the rest is zero.
kling_host_options present_options(const kling_host_options& given) {
  kling_host_options options{};
  std::memcpy(&options, &given, std::min(given.struct_size, sizeof options));
  return options;
}

const char* wrong_with(const kling_host_options& options) {
  if (options.struct_size < offsetof(kling_host_options, user))
    return "struct_size is not set: start from KLING_HOST_OPTIONS";
  if (options.ledger == nullptr || *options.ledger == '\0')
    return "ledger is required: a file, or \":memory:\" for a host that forgets";
  if (options.profile != nullptr && std::strcmp(options.profile, "full") != 0 &&
      std::strcmp(options.profile, "safe") != 0)
    return "profile is \"full\" or \"safe\"";
  if (!(options.poll >= 0 && options.poll < 1e9) || options.max_jobs < 0 ||
      !(options.wall_limit >= 0) || !(options.max_cost >= 0))
    return "poll, max_jobs and max_cost are 0 or more";
  if (options.price_factor != 0 && !kling::engine::is_price_factor(options.price_factor))
    return "price_factor is above 0 and at most 100";
  if (options.callback != nullptr && *options.callback != '\0' &&
      !kling::api::is_url(options.callback))
    return "callback is an http or https address";
  return nullptr;
}

}  // namespace

const char* kling_host_version(void) { return KLING_VERSION; }

kling_host* kling_host_new(const kling_host_options* given, char* error, size_t error_size) {
  const auto refuse = [&](const char* why) -> kling_host* {
    if (error != nullptr && error_size > 0) std::snprintf(error, error_size, "%s", why);
    return nullptr;
  };
  if (given == nullptr) return refuse("there are no options");
  const kling_host_options options = present_options(*given);
  if (const char* why = wrong_with(options)) return refuse(why);
  try {
    std::unique_ptr<kling_host> made(new kling_host{kling::runtime::Host(options), {}});
    if (!made->host.open()) return refuse(made->host.error());
    return made.release();
  } catch (const std::exception& failure) {
    return refuse(failure.what());
  }
}

void kling_host_free(kling_host* host) {
  if (host != nullptr && host->home.is_here()) delete host;
}

const char* kling_host_error(kling_host* host) { return host->host.error(); }

kling_task kling_host_run(kling_host* host, const char* name, const char* source, size_t size,
                          const char* arguments) {
  return guarded(host, kling_task{0},
                 [&](auto& self) { return self.run(name, source, size, arguments); });
}

kling_task kling_host_run_file(kling_host* host, const char* path, const char* arguments) {
  return guarded(host, kling_task{0}, [&](auto& self) { return self.run_file(path, arguments); });
}

int kling_host_tick(kling_host* host, long long budget_us) {
  return guarded(host, 0, [&](auto& self) { return int{self.tick(budget_us)}; });
}

int kling_host_fd(kling_host* host) {
  return guarded(host, -1, [](auto& self) { return self.fd(); });
}

int kling_host_task_state(kling_host* host, kling_task task) {
  return guarded(host, int{KLING_TASK_UNKNOWN}, [&](auto& self) { return self.task_state(task); });
}

const char* kling_host_result(kling_host* host, kling_task task) {
  return guarded<const char*>(host, nullptr, [&](auto& self) { return self.result(task); });
}

void kling_host_forget(kling_host* host, kling_task task) {
  guarded(host, 0, [&](auto& self) { return self.forget(task), 0; });
}

void kling_host_cancel(kling_host* host, kling_task task) {
  guarded(host, 0, [&](auto& self) { return self.cancel(task), 0; });
}

const char* kling_host_jobs(kling_host* host) {
  return guarded<const char*>(host, nullptr, [](auto& self) { return self.jobs(); });
}

size_t kling_host_pending(kling_host* host) {
  return guarded(host, size_t{0}, [](auto& self) { return self.pending(); });
}

int kling_host_notify(kling_host* host, const char* path, const char* body, size_t size) {
  return kling_host_notify_signed(host, path, nullptr, body, size);
}

int kling_host_notify_signed(kling_host* host, const char* path, const char* const* headers,
                             const char* body, size_t size) {
  return guarded(host, -1, [&](auto& self) {
    return self.notify(path, headers, {body, size}) ? 0 : -1;
  });
}

int kling_host_set(kling_host* host, const char* name, const char* json) {
  return guarded(host, -1, [&](auto& self) { return self.set(name, json) ? 0 : -1; });
}

const char* kling_host_get(kling_host* host, const char* name) {
  return guarded<const char*>(host, nullptr, [&](auto& self) { return self.get(name); });
}

int kling_host_reload(kling_host* host) {
  return guarded(host, -1, [](auto& self) { return self.reload() ? 0 : -1; });
}
