#include "sim/store.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "base/digest.h"
#include "base/files.h"

namespace kling::sim {
namespace {

std::string journal(const std::string& dir) { return dir + "/journal.jsonl"; }

/// The journal's complete lines from byte `from` on; `from` moves behind them.
std::string new_lines(const std::string& dir, std::size_t& from) {
  std::ifstream file(journal(dir), std::ios::binary);
  file.seekg(static_cast<std::streamoff>(from));
  std::string text((std::istreambuf_iterator<char>(file)), {});
  // A line that another process is writing, or died in, is not taken.
  text.resize(text.rfind('\n') + 1);
  from += text.size();
  return text;
}

template <class Use>
void for_each_line(const std::string& text, Use use) {
  for (std::size_t at = 0; at < text.size();) {
    const auto end = text.find('\n', at);
    const Json line = Json::parse(text.begin() + static_cast<std::ptrdiff_t>(at),
                                  text.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (line.is_object()) use(line);
    at = end + 1;
  }
}

/// What makes two orders equal, external id and callback apart.
std::string digest_of(const Order& order) {
  Task plain;
  plain.order = order;
  plain.order.callback_url.clear();
  return sha256_hex(task_json(plain).dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace

Store::Store(const Options& options, std::string dir) : options_(options), dir_(std::move(dir)) {
  refresh();
}

Millis Store::saved_time(const std::string& dir) {
  Millis latest = 0;
  std::size_t from = 0;
  for_each_line(new_lines(dir, from), [&](const Json& line) {
    const Json* now = member_of(line, "now");
    if (now == nullptr) now = member_of(line, "created");
    if (now != nullptr && now->is_number()) latest = std::max(latest, now->get<Millis>());
  });
  return latest;
}

void Store::refresh() {
  for_each_line(new_lines(dir_, read_), [&](const Json& line) {
    if (auto task = read_task(line)) take(std::move(*task));
  });
}

void Store::take(Task task) {
  const std::size_t index = tasks_.size();
  by_id_[task.id] = index;
  if (!task.external_id.empty()) by_external_.emplace(task.external_id, index);
  by_clip_[task.clip] = index;
  ++equal_orders_[digest_of(task.order)];
  last_id_ = std::max<std::uint64_t>(last_id_, std::strtoull(task.kling_id.c_str(), nullptr, 10));
  tasks_.push_back(std::move(task));
}

bool Store::append(const Json& line) {
  std::ofstream file(journal(dir_), std::ios::binary | std::ios::app);
  // The first line end closes what a killed process may have left half written.
  file << "\n" + line.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n" << std::flush;
  return static_cast<bool>(file);
}

std::variant<Task, Refusal> Store::create(const Order& order, const std::string& external_id,
                                          Ids ids, Millis now) {
  const std::lock_guard lock(mutex_);
  UnsharedDescriptor others;
  while (!others) {
    auto locked = try_lock(dir_ + "/lock");
    if (!locked) return Refusal{500, 5000, locked.error().message};
    others = std::move(*locked);
    if (!others) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  refresh();
  if (options_.external_unique && !external_id.empty() && by_external_.count(external_id) != 0) {
    return refusal(1201, "duplicate", external_id);
  }
  int running = 0;
  double units = 0;
  if (options_.slots > 0 || options_.units > 0)
    for (const Task& task : tasks_) {
      if (now < task.ends) ++running;
      if (task.state(now) != State::failed) units += task.order.units;
    }
  if (options_.slots > 0 && running >= options_.slots) return refusal(1303);
  if (options_.units > 0 && units + order.units > options_.units) return refusal(1102);

  Task task;
  task.order = order;
  if (options_.draft) {
    task.order.width /= 2;
    task.order.height /= 2;
    task.order.fps /= 4;
  }
  task.external_id = external_id;
  task.created = now;
  const std::string digest = digest_of(task.order);  // as take() counts it
  task.clip = sha256_hex(digest + std::to_string(equal_orders_[digest])).substr(0, 32);
  // Seeded by the order, not by its place: parallel requests arrive in any order.
  const std::uint64_t chance = hash_of(std::to_string(options_.seed) + task.clip);
  const auto spread = static_cast<std::uint64_t>(options_.max_run - options_.min_run) + 1;
  const Millis run = options_.min_run + static_cast<Millis>(chance % spread);
  task.starts = now + std::min<Millis>(1000 + static_cast<Millis>(chance >> 40) % 4000, run / 4);
  task.ends = now + run;

  const auto snowflake = [&](const char* epoch) {
    const auto since = static_cast<std::uint64_t>(now - contract()["ids"][epoch].get<Millis>());
    return (since << 22) | (chance & 0x3fffff);
  };
  const std::uint64_t id = std::max(snowflake("epoch"), last_id_ + 1);
  task.id = task.kling_id = std::to_string(id);
  task.video_id = std::to_string(id + (std::uint64_t{2} << 22) + (chance >> 45));
  if (ids == Ids::task) task.id = "task_" + sha256_hex(task.kling_id).substr(0, 32);
  if (ids == Ids::proxy) task.id = std::to_string(snowflake("proxy_epoch"));
  if (!append(task_json(task)))
    return Refusal{500, 5000, "cannot write " + journal(dir_) + ": " + system_message(errno)};
  refresh();
  return task;
}

std::optional<Task> Store::at(const Index& index, const std::string& key) const {
  const auto found = index.find(key);
  if (found == index.end()) return std::nullopt;
  return tasks_[found->second];
}

std::optional<Task> Store::find(const std::string& kind, const std::string& id) {
  const std::lock_guard lock(mutex_);
  refresh();
  auto task = at(by_id_, id);
  if (!task && options_.external_lookup) task = at(by_external_, id);
  if (task && !kind.empty() && task->order.kind != kind) task.reset();
  return task;
}

std::optional<Task> Store::find_clip(const std::string& clip) {
  const std::lock_guard lock(mutex_);
  refresh();
  return at(by_clip_, clip);
}

std::vector<Task> Store::list(const std::string& kind) {
  const std::lock_guard lock(mutex_);
  refresh();
  std::vector<Task> found;
  std::copy_if(tasks_.rbegin(), tasks_.rend(), std::back_inserter(found),
               [&](const Task& task) { return task.order.kind == kind; });
  return found;
}

void Store::count(Millis now, Counters& counters) {
  const std::lock_guard lock(mutex_);
  refresh();
  for (const Task& task : tasks_) {
    ++counters.accepted;
    if (!task.external_id.empty()) ++counters.charges_by_external_id[task.external_id];
    if (task.state(now) == State::failed) continue;
    ++counters.charged;
    counters.charged_units += task.order.units;
  }
  counters.charged_usd =
      counters.charged_units * contract()["prices"]["usd_per_unit"].get<double>();
}

void Store::note(Millis now) {
  const std::lock_guard lock(mutex_);
  // Often enough that little time is lost to a kill, seldom enough that the journal stays small.
  if (now < noted_ + 250) return;
  noted_ = now;
  append({{"now", now}});
}

}  // namespace kling::sim
