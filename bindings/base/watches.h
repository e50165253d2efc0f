// Call-backs for what may never happen. One whose owner has gone is forgotten, so that waits that
// were given up leave nothing behind. Values; not thread-safe.
#pragma once

#include <functional>
#include <memory>
#include <utility>
#include <vector>

namespace kling {

struct Watch {
  std::weak_ptr<void> owner;  ///< who waits
  std::function<void()> tell;
  int milestone = 0;  ///< where one list serves several
};

/// Adds a watch. Looks for forgotten ones only when the list would grow: constant time on average.
inline void add_watch(std::vector<Watch>& list, Watch watch) {
  if (list.size() == list.capacity()) {
    std::erase_if(list, [](const Watch& one) { return one.owner.expired(); });
    list.reserve(2 * list.size() + 1);
  }
  list.push_back(std::move(watch));
}

}  // namespace kling
