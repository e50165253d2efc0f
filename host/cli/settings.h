// The options of every command that talks to the service; what they mean is runtime/settings.h.
#pragma once

#include <CLI/CLI.hpp>

#include "runtime/settings.h"

namespace kling::cli {

/// With their command-line options: where the service and the ledger are, and how long a command
/// that runs jobs waits.
struct ServiceOptions : runtime::ServiceSettings {
  void add_options(CLI::App& app);
  void add_waiting_options(CLI::App& app);  ///< poll_interval and patience
};

using runtime::Access;
using runtime::engine_options;
using runtime::find_access;
using runtime::find_ledger;

}  // namespace kling::cli
