// What an untrusted script may make the engine touch: files below given folders, and clips from
// given hosts. Asked where files are opened and addresses are called, on workers: blocks on the
// disk. A value; any thread.
#pragma once

#include <vector>

#include "net/url.h"

namespace kling::engine {

struct Confinement {
  bool on = false;  ///< false: nothing here counts
  /// Folders. Relative paths count from the first; without one no file may be named.
  std::vector<std::string> roots;
  /// "host" or "host:port" that clips may come from, besides the service's own. Empty: any public
  /// address.
  std::vector<std::string> hosts;
  bool private_addresses = false;  ///< also behind a name in `hosts`
  std::string ledger;  ///< this file, what lies beside it under its name, and every .kling: never
};

/// The real path of an existing file that may be read; of one that may be written, whose folder
/// need not exist. Errors: invalid, without a word on what lies outside.
Result<std::string> readable(const Confinement& confinement, const std::string& path);
Result<std::string> writable(const Confinement& confinement, const std::string& path);

/// Whether a clip may be fetched from `origin`, and from which sort of address (bits of Reach).
/// 0: not at all. `service` is the origin of the base URL.
unsigned reach_allowed(const Confinement& confinement, const net::Origin& origin,
                       const net::Origin& service);

}  // namespace kling::engine
