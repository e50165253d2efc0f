// The clips: real MP4s, rendered by ffmpeg when first asked for and kept by their key - a moving
// pattern that differs by prompt, the pictures that were given, the words of the order, and a tone
// when sound is on - and the signed, expiring URLs that they are had under. Thread-safe; file()
// blocks on a rendering, at most two of which run at once.
#pragma once

#include <atomic>
#include <set>

#include "base/error.h"
#include "sim/contract.h"
#include "sim/pictures.h"

namespace kling::sim {

class Clips {
 public:
  /// `find` gives the task of a clip that another one edits.
  Clips(std::string dir, std::uint64_t seed, const Pictures& pictures, TaskFinder find)
      : dir_(std::move(dir)), seed_(seed), pictures_(pictures), find_(std::move(find)) {}

  /// The clip's file. Errors (kind media): ffmpeg is missing or failed.
  Result<std::string> file(const Task& task);
  int renders() const { return renders_; }

  /// "/sim/clips/<key>.mp4?Expires=…&Signature=…"; `expires` in ms on the virtual clock.
  std::string signed_path(const std::string& clip, Millis expires) const;
  /// The key in such a URL or path, "" when it is none.
  static std::string key_of(const std::string& url);
  /// True when the signature is ours and `expires` (seconds, as in the URL) is not over.
  bool valid(const std::string& clip, const std::string& expires, const std::string& signature,
             Millis now) const;

 private:
  Status render(const Task& task, const std::string& path) const;
  std::string path(const std::string& clip) const { return dir_ + "/" + clip + ".mp4"; }
  std::string signature(const std::string& clip, const std::string& expires) const;

  const std::string dir_;
  const std::uint64_t seed_;
  const Pictures& pictures_;
  const TaskFinder find_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<std::string> rendering_;
  std::atomic<int> renders_{0};
};

}  // namespace kling::sim
