#include "cli/trace.h"

namespace kling::cli {

std::function<void(const char* action, bool done)> action_trace() { return nullptr; }

}  // namespace kling::cli
