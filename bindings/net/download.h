// Saves a result file, so that a clip cannot be lost: `.part`, resume, retries, checks, sync,
// rename. Its own connections, which never carry a key. Thread-safe; fetch() blocks.
#pragma once

#include <atomic>
#include <functional>

#include "base/clock.h"
#include "net/environment.h"

namespace kling::net {

struct DownloadOptions {
  bool insecure = false;       ///< http:// elsewhere than on loopback; redirects to it
  bool allow_private = false;  ///< private and loopback addresses when `base` is public
  /// Which sort of address (bits of Reach) may be called for a host, that of a redirect too; 0:
  /// none. Null: any, by the rules above.
  std::function<unsigned(const Origin&)> allowed;
  int tries = 5;  ///< of one call, with growing pauses on `clock`
  /// Real time until the status and headers have come, between two bytes, and for a kilobyte a
  /// second on the whole.
  std::chrono::milliseconds stall_timeout{30'000};
  std::shared_ptr<Environment> environment;  ///< null: one of the variables' own
  std::function<void(double)> on_part;       ///< how much has come, 0 to 1; may be null
  Clock* clock = nullptr;                    ///< REQUIRES: not null, and the caller holds it
  const std::atomic<bool>* cancel = nullptr;
};

struct DownloadResult {
  std::uint64_t bytes = 0;
  std::string sha256;
  bool has_index = true;  ///< a "moov", without which no player shows it
};

/// Fetches the MP4 film at `url`, at most 2 GiB, onto `path` (its folder exists). A good file at
/// `path` is replaced only by a whole, checked one. Redirects are followed by hand, at most 5, each
/// target checked. Errors: media (disk, not an MP4, wrong length), network (after the tries; the
/// .part stays and is resumed next time), code "expired" for 401, 403, 404 and 410 (ask the service
/// for a fresh URL), interrupted (cancelled). Messages name host and path, never the query of the
/// URL.
Result<DownloadResult> download(const std::string& url, const std::string& path,
                                const DownloadOptions& options);

}  // namespace kling::net
