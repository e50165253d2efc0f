// The page of a run while it goes on, for the person at this machine: loopback only, behind an
// address that nobody can guess. It shows and answers questions; it sends nothing and pays nothing.
// Main thread, but for what the server's threads ask. And the page itself (host/view) with its
// data, from the ledger: any thread; view_data() blocks on the disk.
#pragma once

#include "base/digest.h"
#include "cli/jobs.h"
#include "net/server.h"

namespace kling::cli {

class Board {
 public:
  Board(std::string title, std::shared_ptr<engine::CompletionQueue> queue)
      : title_(std::move(title)), token_(random_hex(16)), queue_(std::move(queue)) {}
  ~Board();
  Status listen();
  const std::string& address() const { return address_; }
  /// Whose engines are shown; `again`: how the page is seen when this has ended.
  void show(lua::Runtime& runtime, const std::string& again = "") {
    std::lock_guard lock(mutex_);
    runtime_ = &runtime;
    again_ = again;
  }
  /// Tells the pages what has changed since the last call.
  void update();
  /// Why the script has failed, or a part of it.
  void tell_failure(const std::string& why);
  /// The run has ended. Blocks for some seconds at most, while a page takes the clips that it
  /// shows, or is on its way to the browser that was told to open it; Ctrl-C ends that.
  void linger();

  std::atomic<bool> awaited = false;  ///< a browser was told to open it, and has not come yet

 private:
  net::ServerAnswer answer(const net::ServerRequest& request);
  bool is_ours(const net::ServerRequest& request) const;
  std::string next_event(std::uint64_t page, std::uint64_t& seen);
  nlohmann::json data();
  net::ServerAnswer take_answer(const std::string& body);
  std::string address_of(const std::string& file);

  const std::string title_, token_;
  const std::shared_ptr<engine::CompletionQueue> queue_;
  lua::Runtime* runtime_ = nullptr;
  std::string address_, host_, again_;
  std::map<const engine::Engine*, std::uint64_t> seen_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::uint64_t version_ = 1;
  bool ended_ = false, closing_ = false;
  std::set<std::uint64_t> pages_;  ///< that listen, the oldest first
  std::uint64_t last_page_ = 0;
  std::string ledger_, run_, questions_ = "[]", works_;
  std::map<std::int64_t, nlohmann::json> live_;  ///< what the ledger does not know, by row
  std::set<std::string> failures_;
  std::map<std::string, std::string> files_;  ///< what the page was told of, by its address
  std::unique_ptr<net::Server> server_;       // its threads end first
};

/// --board and --open of a command.
struct BoardOptions {
  bool on = false, open_it = false;
  void add_options(CLI::App& app);
  /// Opens it where it is wanted, and tells its address.
  Status start(const Voice& voice, const std::string& title,
               const std::shared_ptr<engine::CompletionQueue>& queue,
               std::unique_ptr<Board>& board) const;
};

/// Whose shots are shown.
struct ViewFilter {
  std::string script, take;  ///< empty: all; the script by its file name
  std::string identity;      ///< which of those of that name, where the ledger has this one
  std::string run;           ///< in place of both: script and take as the ledger has them
};

/// The shots oldest first, with the names of host/view/view.js; `ledger` may be null. "clip" of
/// each is left to whoever knows where the page finds it; "path" is there.
Result<nlohmann::json> view_data(engine::Ledger* ledger, const ViewFilter& filter);
/// index.html; `live`: told by a running program, not by data.js.
std::string view_page(bool live);
/// Shows the file or address in the desktop's browser.
bool open_in_browser(const Voice& voice, const std::string& target);

}  // namespace kling::cli
