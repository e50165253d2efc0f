// From a request's body to an order, or to the refusal that the service would answer. Follows
// contract.json; what crosses fields is written here. Any thread; blocks on the picture store.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>

#include "sim/pictures.h"
#include "sim/task.h"

namespace kling::sim {

/// Finds the task whose clip a URL of the simulator's own names; null for any other URL.
using ClipFinder = std::function<std::unique_ptr<Task>(const std::string& url)>;

/// REQUIRES: contract()["endpoints"] has `kind`.
std::variant<Order, Refusal> validate(const std::string& kind, const Json& body,
                                      const Pictures& pictures, const ClipFinder& clip_of);

}  // namespace kling::sim
