// Ends exchanges that take too long: one thread looks at all running ones every few milliseconds
// and shuts the sockets of those whose deadline has passed or whose owner wants to stop. A shut
// socket ends whatever waits for it at once. Thread-safe.
#pragma once

#include <thread>

#include "base/descriptor.h"
#include "net/lookup.h"

namespace kling::net {

/// A connection's socket, which its owner uses and which any thread may shut.
class SocketHandle {
 public:
  /// Closes the one before.
  void adopt(Descriptor socket);
  /// For its owner; -1: there is none.
  int number() const { return socket_.get(); }
  void shut();
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
  enum class End { none, deadline, stopped };

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
  mutable std::mutex mutex_;
  std::shared_ptr<SocketHandle> socket_;
};

class Watch {
 public:
  ~Watch();

  /// Watches an exchange for a scope. The first one starts the thread.
  class Guard : NotCopied {
   public:
    Guard(Watch& watch, Exchange& exchange);
    ~Guard();

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
