// Where the rows of the endpoint table are written; use endpoints() of endpoint.h.
#pragma once

#include <vector>

#include "api/endpoint.h"

namespace kling::api {

std::vector<Endpoint> make_endpoints();

}  // namespace kling::api
