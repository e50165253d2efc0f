// `kling run --profile safe`: an untrusted script in a child process, under the limits of its Lua
// state and under the kernel's own, for what the interpreter cannot stop. Main thread.
#pragma once

#include "cli/command.h"
#include "lua/safe.h"

namespace kling::cli {

class SafeRun {
 public:
  void add_options(CLI::App& app);
  bool on() const { return profile_ == "safe"; }

  /// Runs `body` in a child process and returns its exit code. The child is killed when one running
  /// slice of its script has taken all of --wall and a second more. Call before threads exist.
  int in_child(const Voice& voice, const std::function<int()>& body);

  // In the child, before its first thread:
  lua::Limits limits() const;
  void confine(engine::EngineOptions& engine) const;

  /// Calls `run`, which runs the script, and lets the parent see for how long. Nothing in `full`.
  bool watched(const std::function<bool()>& run) const;

 private:
  /// Shared with the parent.
  struct Seen {
    std::atomic<std::int64_t> ran_us{0};
    std::atomic<std::int64_t> since_us{0};  ///< 0: the script does not run
  };

  std::string profile_ = "full";
  std::vector<std::string> roots_;
  std::vector<std::string> hosts_;
  std::size_t memory_ = 64u << 20;
  std::uint64_t instructions_ = 0;
  double wall_ = 60;
  Seen* seen_ = nullptr;
};

}  // namespace kling::cli
