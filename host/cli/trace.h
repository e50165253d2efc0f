// What watches the actions of the job machine in this program: nothing. The crash suite links the
// program with another one that kills it (tests/crash/trace.cpp).
#pragma once

#include <functional>

namespace kling::cli {

/// For EngineOptions::on_action.
std::function<void(const char* action, bool done)> action_trace();

}  // namespace kling::cli
