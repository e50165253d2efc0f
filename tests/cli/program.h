// Runs the program `kling` against a simulator in the test's own process, over real HTTP.
#pragma once

#include <chrono>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temp_folder.h"
#include "sim/simulator.h"

namespace kling::test {

struct Outcome {
  int code = -1;  ///< exit code; 128 + signal when one ended it
  std::string out;
  std::string err;
};

/// A program that was started and may be killed.
class Child {
 public:
  Child(const std::vector<std::string>& words, const std::string& folder,
        const std::vector<std::string>& environment) {
    out_ = folder + "/stdout." + std::to_string(++count());
    err_ = folder + "/stderr." + std::to_string(count());
    // A signal that comes before the program has begun is not doctest's, as the copy here has it.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_ = ::fork();
    if (pid_ == 0) {
      for (const int number : {SIGINT, SIGTERM}) ::signal(number, SIG_DFL);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      const auto redirect = [](const std::string& path, int to) {
        ::dup2(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600), to);
      };
      redirect(out_, 1);
      redirect(err_, 2);
      if (::chdir(folder.c_str()) != 0) ::_exit(126);
      const int input = ::open("stdin", O_RDONLY);  // a file of the test, where there is one
      ::dup2(input >= 0 ? input : ::open("/dev/null", O_RDONLY), 0);
      for (const char* name : {"KLING_API_KEY", "COMETAPI_KEY", "KLING_BASE_URL"}) ::unsetenv(name);
      for (const std::string& entry : environment) ::putenv(const_cast<char*>(entry.c_str()));
      std::vector<char*> argv;
      for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
      argv.push_back(nullptr);
      ::execv(argv[0], argv.data());
      ::_exit(127);
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Child() {
    if (pid_ > 0) {
      ::kill(pid_, SIGKILL);
      (void)wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  pid_t pid() const { return pid_; }
  /// What it has written to standard error by now.
  std::string told() const { return read(err_); }
  Outcome wait() {
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    return {WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status), read(out_),
            read(err_)};
  }

 private:
  static int& count() {
    static int made = 0;
    return made;
  }
  static std::string read(const std::string& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }
  std::string out_, err_;
  pid_t pid_ = -1;
};

/// A folder with a script, and a service whose jobs take a few real milliseconds.
struct Stage {
  TempFolder folder;
  std::unique_ptr<sim::Simulator> service;
  std::vector<std::string> environment;

  explicit Stage(const std::string& script, sim::Options options = {}) {
    std::ofstream(folder / "film.lua") << script;
    if (!options.clock) options.clock = make_clock(1000);
    auto started = sim::Simulator::start(std::move(options));
    REQUIRE(started.ok());
    service = std::move(*started);
    environment = {"KLING_API_KEY=sk-test", "KLING_BASE_URL=" + service->base_url(),
                   "KLING_POLL_INTERVAL=0.05"};
  }

  std::unique_ptr<Child> start(std::vector<std::string> words) const {
    const char* const other = std::getenv("KLING_TESTED");  // one that is broken on purpose
    words.insert(words.begin(), other != nullptr ? other : KLING_PROGRAM);
    return std::make_unique<Child>(words, folder.path(), environment);
  }
  Outcome run(std::vector<std::string> words) const { return start(std::move(words))->wait(); }
  Outcome run() const { return run({"run", "film.lua"}); }

  /// Waits for what the service sees; false after minutes, where something hangs.
  template <class Condition>
  bool until(Condition condition) const {
    for (int i = 0; i < 40'000; ++i) {
      if (condition(service->counters())) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    return false;
  }
};

inline bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace kling::test
