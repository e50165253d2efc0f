// Turns a host name into addresses, within a deadline: a look-up that hangs (the C library's
// cannot be interrupted) is left behind on its own thread, which holds only what it shares.
// Thread-safe; blocks until the answer, the deadline or `stop`.
#pragma once

#include <atomic>
#include <vector>

#include <netdb.h>

#include "base/clock.h"
#include "net/url.h"

namespace kling::net {

using TimePoint = Steady::time_point;
using LookUp = int (*)(const char* node, const char* service, const addrinfo* hints,
                       addrinfo** result);

/// Numeric addresses of `host` that lie within `allowed` (bits of Reach); at most 6 of them, and
/// none is an error. Errors: network, or invalid when only addresses outside `allowed` were found.
Result<std::vector<std::string>> addresses_of(const std::string& host, unsigned allowed,
                                              TimePoint deadline,
                                              const std::atomic<bool>* stop = nullptr,
                                              LookUp look_up = &::getaddrinfo);

/// That a host is local or private where only others are expected.
Error address_not_allowed(const std::string& host);

}  // namespace kling::net
