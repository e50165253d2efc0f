// An Error as JSON, with the field names that scripts see: for the ledger and for --json. Pure.
#pragma once

#include "api/request.h"
#include "base/error.h"

namespace kling::engine {

api::Json to_json(const Error& error);
/// Lenient: missing or foreign fields are left at their defaults.
Error error_from_json(const api::Json& json);

}  // namespace kling::engine
