// Draws one clip with ffmpeg: a moving pattern that differs by prompt, the pictures it was given,
// the words of the order, and a tone when sound is on. Blocks; any thread.
#pragma once

#include <string>

#include "base/error.h"
#include "sim/task.h"

namespace kling::sim {

/// Writes `draft`.mp4 (and `draft`.txt, the words). The order's picture and clip names are paths,
/// or "~…" for what was not fetched. The clip's first frame is order.first and its last one
/// order.last, where given; words are drawn only in between, so that clips can be chained.
Status render_clip(const Task& task, const std::string& draft);

}  // namespace kling::sim
