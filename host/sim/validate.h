// From a request's body to an order, or to the refusal that the service would answer. Follows
// contract.json; what crosses fields is written here. Any thread; blocks on the picture store.
#pragma once

#include <variant>

#include "sim/contract.h"
#include "sim/pictures.h"

namespace kling::sim {

/// REQUIRES: contract()["endpoints"] has `kind`. `task_of` gives the task whose clip a URL names.
std::variant<Order, Refusal> validate(const std::string& kind, const Json& body,
                                      const Pictures& pictures, const TaskFinder& task_of);

}  // namespace kling::sim
