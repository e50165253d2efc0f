// The options of every command that talks to the service; what they mean is runtime/settings.h.
#pragma once

#include <CLI/CLI.hpp>

#include "runtime/settings.h"

namespace kling::cli {

struct ServiceOptions : runtime::ServiceSettings {
  void add_options(CLI::App& app);
};

using runtime::Access;
using runtime::engine_options;
using runtime::find_access;
using runtime::find_ledger;

}  // namespace kling::cli
