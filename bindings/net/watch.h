// Ends exchanges that take too long: one thread looks at all running ones every few milliseconds
// and shuts the sockets of those whose deadline has passed, whose owner wants to stop, or whose
// answer sends header lines without end. cpp-httplib 0.11.4 has no limit for any of these, and its
// own stop() waits for a TLS handshake; a shut socket ends all of it at once. Thread-safe.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/descriptor.h"
#include "net/lookup.h"

namespace kling::net {

/// Our own handle on a connection's socket: shutting it is safe whatever the library does with
/// its descriptor meanwhile.
class SocketHandle {
 public:
  void adopt(int socket);
  void shut();
  std::uint64_t received() const;  ///< bytes that have arrived so far
  /// True while it is open and nothing waits to be read: a closed peer, or bytes that nobody asked
  /// for, are no state to start a request in.
  bool silent() const;

 private:
  mutable std::mutex mutex_;
  Descriptor socket_;
};

/// One request and its answer, as the watch sees it. Thread-safe.
class Exchange {
 public:
  enum class End { none, deadline, stopped, flooded };

  /// `stop_flag` may be null.
  Exchange(TimePoint latest, const std::atomic<bool>* stop_flag)
      : deadline(latest), stop(stop_flag) {}

  /// Which socket is to be shut when it ends.
  void attach(std::shared_ptr<SocketHandle> socket);
  /// Decides whether it has to end now, and shuts the socket if so.
  void look(TimePoint now);

  std::atomic<TimePoint> deadline;
  const std::atomic<bool>* const stop;
  std::atomic<bool> head_seen{false};  ///< status and headers have arrived
  std::atomic<End> end{End::none};     ///< why the watch ended it

 private:
  End reason_to_end(TimePoint now) const;

  mutable std::mutex mutex_;
  std::shared_ptr<SocketHandle> socket_;
  std::uint64_t received_before_ = 0;  ///< by earlier exchanges on this socket
};

class Watch {
 public:
  ~Watch();

  /// Watches an exchange for a scope. The first one starts the thread.
  class Guard {
   public:
    Guard(Watch& watch, Exchange& exchange);
    ~Guard();
    Guard(const Guard&) = delete;
    Guard& operator=(const Guard&) = delete;

   private:
    Watch& watch_;
    Exchange& exchange_;
  };

 private:
  void run();

  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<Exchange*> exchanges_;
  bool idle_ = false;  ///< waits for an exchange, so it must be told of one
  bool leaving_ = false;
  std::thread thread_;
};

}  // namespace kling::net
