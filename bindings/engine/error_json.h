// An Error as JSON, with the field names that scripts see: for the ledger and for --json. Pure.
#pragma once

#include <utility>

#include "api/request.h"
#include "base/error.h"

namespace kling::engine {

/// The texts of an error that may be missing, under the names that scripts and JSON have for them.
inline constexpr std::pair<const char*, std::string Error::*> kErrorTexts[] = {
    {"hint", &Error::hint}, {"field", &Error::field},           {"code", &Error::code},
    {"job", &Error::job},   {"request_id", &Error::request_id},
};

api::Json to_json(const Error& error);
/// Lenient: missing or foreign fields are left at their defaults.
Error error_from_json(const api::Json& json);

}  // namespace kling::engine
