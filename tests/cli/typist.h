// A person at a terminal, in which the program runs.
#pragma once

#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include <poll.h>
#include <pty.h>

#include "cli/program.h"

namespace kling::test {

class Typist {
 public:
  Typist(const Stage& stage, std::vector<std::string> words, unsigned short columns = 0) {
    words.insert(words.begin(), KLING_PROGRAM);
    const winsize size{.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    pid_ = ::forkpty(&terminal_, nullptr, nullptr, columns > 0 ? &size : nullptr);
    if (pid_ != 0) return;
    if (::chdir(stage.folder.path().c_str()) != 0) ::_exit(126);
    for (const std::string& entry : stage.environment) ::putenv(const_cast<char*>(entry.c_str()));
    ::putenv(const_cast<char*>("TERM=dumb"));
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Typist() {
    if (pid_ > 0) ::kill(pid_, SIGKILL), (void)end();
    ::close(terminal_);
  }
  Typist(const Typist&) = delete;
  Typist& operator=(const Typist&) = delete;

  void type(const std::string& text) const {
    REQUIRE(::write(terminal_, text.data(), text.size()) == ssize_t(text.size()));
  }
  /// Waits until the text stands there; false after minutes, or when the program ended without it.
  bool shows(const std::string& text) {
    for (int i = 0; i < 2400 && !contains(screen, text); ++i)
      if (!look()) return contains(screen, text);
    return contains(screen, text);
  }
  /// The exit code.
  int end() {
    while (look()) continue;
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

  std::string screen;  ///< all that was written to it

 private:
  bool look() {
    pollfd more{terminal_, POLLIN, 0};
    if (::poll(&more, 1, 100) <= 0) return true;
    char text[4096];
    const ssize_t size = ::read(terminal_, text, sizeof text);
    if (size > 0) screen.append(text, std::size_t(size));
    return size > 0;
  }
  int terminal_ = -1;
  pid_t pid_ = -1;
};

}  // namespace kling::test
