// Requests sent by the program around us instead of by HTTP of ours: the hook is called on the
// ticking thread, its answer may come from any. send() blocks a worker, never the ticking thread.
#pragma once

#include <memory>

#include "engine/completion_queue.h"
#include "kling/host.h"
#include "net/transport.h"

namespace kling::runtime {

using SendHook = void (*)(void* user, const kling_request* request, kling_exchange* exchange);

std::shared_ptr<net::Transport> make_hook_transport(SendHook send, void* user,
                                                    std::shared_ptr<engine::CompletionQueue> queue);

}  // namespace kling::runtime
