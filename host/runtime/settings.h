// Where the program and the module find key, service and ledger. Reads the environment and the
// disk: at start only.
#pragma once

#include "engine/engine.h"

namespace kling::runtime {

/// What was asked for expressly; it goes before the environment.
struct ServiceSettings {
  std::string base_url;
  std::string ledger;
  std::string store;
  bool insecure = false;
  double poll_interval = 0;  ///< seconds
  double patience = -1;      ///< seconds; < 0: the default
};

/// The key and the service, each from the first place that has it: the command line, the
/// environment (KLING_API_KEY, COMETAPI_KEY, KLING_BASE_URL, KLING_PRICE_FACTOR), the config file
/// ($XDG_CONFIG_HOME/kling/config, lines `key = …`, refused when others may read it).
struct Access {
  std::string key;
  std::string key_source;      ///< in words; empty: there is no key
  std::string base_url;        ///< empty: the default
  double price_factor = 1;     ///< KLING_PRICE_FACTOR, or price_factor of the config file
  bool ask = true;             ///< "ask = false" in the config file: nobody is asked before paying
  std::string webhook_secret;  ///< KLING_WEBHOOK_SECRET, or webhook_secret of the config file
};
Result<Access> find_access(const ServiceSettings& options);
/// Writes the key into the config file (mode 0600), whose other lines stay. Returns its path.
Result<std::string> keep_key(const std::string& key);

/// The ledger's path: the option, else KLING_LEDGER (not when simulated), else the nearest
/// `.kling/` upward from the script's real folder, else from the folder as it was spelled (a link),
/// else in one to be made. Arguments as below. Makes nothing.
std::string find_ledger(const ServiceSettings& options, const std::string& script, bool simulated,
                        std::string& notice);

/// What a script is called in the ledger: its path below the folder that holds the ledger's
/// `.kling`, so that neither its spelling nor the project's place matters; else its real path.
std::string script_identity(const std::filesystem::path& script, const std::string& ledger);

/// The engine's options from all of that, KLING_POLL_INTERVAL and KLING_PATIENCE.
/// `script`: whose folder the ledger belongs to; empty: the working directory.
/// `simulated`: the ledger of the simulator, which never mixes with real money.
/// `notice` gets a sentence when the ledger had to go elsewhere than beside the script.
Result<engine::EngineOptions> engine_options(const ServiceSettings& options,
                                             const std::string& script, bool simulated,
                                             std::string& notice);

}  // namespace kling::runtime
