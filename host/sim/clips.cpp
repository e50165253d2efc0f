#include "sim/clips.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "base/digest.h"
#include "base/files.h"
#include "sim/render.h"

namespace kling::sim {

constexpr std::size_t kRendersAtOnce = 2;

Result<std::string> Clips::file(const Task& task) {
  const std::string target = path(task.clip);
  // A clip that is edited comes first, outside of the queue: it needs a place in it too.
  if (const auto source = find_(task.order.source)) {
    if (auto made = file(*source); !made) return made.error();
  }
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] {
    const bool mine = rendering_.count(task.clip) == 0;
    return mine && (rendering_.size() < kRendersAtOnce || std::filesystem::exists(target));
  });
  if (std::filesystem::exists(target)) return target;
  rendering_.insert(task.clip);
  lock.unlock();
  const auto made = render(task, target);
  lock.lock();
  rendering_.erase(task.clip);
  ++renders_;
  changed_.notify_all();
  if (!made) return made.error();
  return target;
}

Status Clips::render(const Task& task, const std::string& target) const {
  // A name of its own: another simulator may render into the same folder.
  const std::string draft = dir_ + "/" + random_hex(8);
  const auto input = [this](const std::string& name) {
    if (name.empty() || name[0] == '~') return name;
    const bool picture = name.find('.') != std::string::npos;
    return picture ? pictures_.path(name) : path(name);
  };
  Task named = task;
  for (std::string* name : {&named.order.first, &named.order.last, &named.order.source}) {
    *name = input(*name);
  }
  for (std::string& name : named.order.others) name = input(name);
  auto made = render_clip(named, draft);
  if (made) made = commit_file(draft + ".mp4", target);
  std::error_code ignored;
  std::filesystem::remove(draft + ".txt", ignored);
  std::filesystem::remove(draft + ".mp4", ignored);
  return made;
}

int Clips::renders() const {
  const std::lock_guard lock(mutex_);
  return renders_;
}

std::string Clips::signature(const std::string& clip, const std::string& expires) const {
  return sha256_hex(std::to_string(seed_) + "/" + clip + "/" + expires).substr(0, 40);
}

std::string Clips::signed_path(const std::string& clip, Millis expires) const {
  const std::string seconds = std::to_string(expires / 1000);
  return "/sim/clips/" + clip + ".mp4?Expires=" + seconds +
         "&Signature=" + signature(clip, seconds);
}

std::string Clips::key_of(const std::string& url) {
  const std::string before = "/sim/clips/";
  const auto start = url.find(before);
  const auto end = url.find(".mp4", start == std::string::npos ? 0 : start);
  if (start == std::string::npos || end == std::string::npos) return {};
  return url.substr(start + before.size(), end - start - before.size());
}

bool Clips::valid(const std::string& clip, const std::string& expires, const std::string& given,
                  Millis now) const {
  return given == signature(clip, expires) && now / 1000 < std::atoll(expires.c_str());
}

}  // namespace kling::sim
