// A browser without a window, told what to do over its debugging pipe: JSON messages with a zero
// byte after each.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "cli/program.h"

namespace kling::test {

class Browser {
 public:
  static bool is_there() { return ::access("/usr/bin/chromium", X_OK) == 0; }

  explicit Browser(const Stage& stage) {
    int to[2], from[2];
    REQUIRE(::pipe(to) == 0);
    REQUIRE(::pipe(from) == 0);
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(::open("/dev/null", O_RDWR), 2);
      const int in = ::fcntl(to[0], F_DUPFD, 10), out = ::fcntl(from[1], F_DUPFD, 10);
      ::dup2(in, 3);
      ::dup2(out, 4);
      ::setpgid(0, 0);
      const std::string profile = "--user-data-dir=" + stage.folder.path() + "/browser";
      ::execl("/usr/bin/chromium", "chromium", "--headless", "--no-sandbox", "--disable-gpu",
              "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
              "--remote-debugging-pipe", profile.c_str(), nullptr);
      ::_exit(127);
    }
    ::close(to[0]);
    ::close(from[1]);
    to_ = to[1];
    from_ = from[0];
  }
  ~Browser() {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    ::close(to_);
    ::close(from_);
  }
  Browser(const Browser&) = delete;
  Browser& operator=(const Browser&) = delete;

  /// Opens a page, whose complaints are noted from the first on, as are its requests.
  void open(const std::string& address, int width = 1280) {
    const auto target = call("Target.createTarget", {{"url", "about:blank"}})["targetId"];
    session_ =
        call("Target.attachToTarget", {{"targetId", target}, {"flatten", true}})["sessionId"];
    for (const char* domain : {"Runtime.enable", "Log.enable", "Network.enable", "Page.enable"})
      call(domain);
    call("Emulation.setDeviceMetricsOverride",
         {{"width", width}, {"height", 900}, {"deviceScaleFactor", 1}, {"mobile", false}});
    call("Page.navigate", {{"url", address}});
  }
  /// The value of an expression, which may be a promise.
  nlohmann::json evaluate(const std::string& expression) {
    return call("Runtime.evaluate", {{"expression", expression},
                                     {"returnByValue", true},
                                     {"awaitPromise", true}})["result"]["value"];
  }
  /// Waits until it is true; false after minutes.
  bool shows(const std::string& expression) {
    for (int i = 0; i < 1200; ++i) {
      if (evaluate("Boolean(" + expression + ")") == true) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
    return false;
  }
  /// "light" or "dark".
  void prefer(const char* scheme) {
    call("Emulation.setEmulatedMedia",
         {{"features", {{{"name", "prefers-color-scheme"}, {"value", scheme}}}}});
  }
  void press(const std::string& key, int code) {
    for (const char* type : {"keyDown", "keyUp"})
      call("Input.dispatchKeyEvent", {{"type", type},
                                      {"key", key},
                                      {"code", key},
                                      {"text", key == "Enter" ? "\r" : ""},
                                      {"windowsVirtualKeyCode", code}});
  }
  /// Until what has come, moved or was scrolled takes presses, by the page's clock.
  void settle() { evaluate("new Promise((done) => setTimeout(done, 1500))"); }
  /// Clicks the middle of what `expression` finds; twice as a double click.
  void click(const std::string& expression, int times = 1) {
    const auto at = evaluate("(() => { const node = " + expression +
                             "; node.scrollIntoView({ behavior: 'instant', block: 'center' });"
                             " const box = node.getBoundingClientRect();"
                             " return [box.x + box.width / 2, box.y + box.height / 2]; })()");
    for (int i = 1; i <= times; ++i) {
      if (i > 1) std::this_thread::sleep_for(std::chrono::milliseconds(400));
      for (const char* type : {"mousePressed", "mouseReleased"})
        call("Input.dispatchMouseEvent",
             {{"type", type}, {"x", at[0]}, {"y", at[1]}, {"button", "left"}, {"clickCount", i}});
    }
  }

  std::string complaints;
  std::vector<std::string> requests;

 private:
  nlohmann::json call(const char* method, nlohmann::json parameters = nlohmann::json::object()) {
    nlohmann::json message = {{"id", ++last_}, {"method", method}, {"params", parameters}};
    if (!session_.empty()) message["sessionId"] = session_;
    const std::string text = message.dump() + '\0';
    REQUIRE(::write(to_, text.data(), text.size()) == ssize_t(text.size()));
    for (;;) {
      const std::size_t end = read_.find('\0');
      if (end == std::string::npos) {
        pollfd more{from_, POLLIN, 0};
        char block[65536];
        REQUIRE(::poll(&more, 1, 180'000) > 0);
        const ssize_t size = ::read(from_, block, sizeof block);
        REQUIRE(size > 0);
        read_.append(block, std::size_t(size));
        continue;
      }
      const auto told = nlohmann::json::parse(read_.substr(0, end));
      read_.erase(0, end + 1);
      const std::string event = told.value("method", "");
      if (event == "Runtime.exceptionThrown" || event == "Log.entryAdded" ||
          event == "Runtime.consoleAPICalled")
        complaints += told["params"].dump() + "\n";
      if (event == "Network.requestWillBeSent")
        if (const std::string url = told["params"]["request"]["url"]; !url.starts_with("data:"))
          requests.push_back(url);  // the others are the browser's own
      if (told.value("id", 0) != last_) continue;
      INFO(told.dump());
      REQUIRE(told.contains("result"));
      return told["result"];
    }
  }

  pid_t pid_ = -1;
  int to_ = -1, from_ = -1, last_ = 0;
  std::string session_, read_;
};

}  // namespace kling::test
