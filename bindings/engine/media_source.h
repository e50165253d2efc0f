// A picture or clip that a script holds, in the engine's terms: where it comes from and, once its
// bytes were needed, where it lies. Shared between the owner's thread and workers; the mutable part
// is guarded. Making one (Engine::materialize) happens on a worker.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "base/error.h"

namespace kling::engine {

class Job;

struct MediaSource {
  enum class Recipe {
    file,        ///< a picture at `path`
    bytes,       ///< a picture in `bytes`
    last_frame,  ///< of clip `job`, or of the local video at `path` when job is null
    frame_at,    ///< the same, at `seconds`
    clip,        ///< the clip `video` of `job`, or the local video at `path` when job is null
    still,       ///< the picture at `path`, or the frame at `seconds` of the video there
    part,        ///< the picture or the whole video at `path`
    sheet,       ///< a contact sheet of `sheet`
  };
  Recipe recipe = Recipe::file;
  std::shared_ptr<Job> job;
  int video = 0;
  std::string path;
  std::string bytes;
  double seconds = 0;
  double still_seconds = 0;  ///< how long a picture is shown in a film; 0: the default (2 s)
  struct Sheet {
    std::vector<std::shared_ptr<MediaSource>> of;
    int columns = 3, frames = 3;  ///< in a row, of each clip
    bool labels = true;
  };
  std::shared_ptr<const Sheet> sheet;
  /// What of a clip is meant: from here on, to there (0: its end), with its sound or without.
  double from = 0, to = 0;
  bool mute = false;
  /// When its last picture is shown, where it has an end of its own.
  double shows_last() const { return to - 0.002; }
  bool edited() const { return from > 0 || to > 0 || mute; }
  /// What of the clip this is: "muted, 1 to 2.5 s"; the whole clip: "".
  std::string which() const;

  /// Where the bytes lie once they were made; empty before.
  std::string made() const {
    std::lock_guard lock(mutex_);
    return made_;
  }
  void set_made(std::string where) {
    std::lock_guard lock(mutex_);
    made_ = std::move(where);
  }

 private:
  mutable std::mutex mutex_;
  std::string made_;
};

}  // namespace kling::engine
