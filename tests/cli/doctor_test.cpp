// kling doctor: what it says of a good set-up and of each broken one, and that it keeps the secret.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <map>

#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <pty.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "cli/typist.h"
#include "engine/ledger.h"

using namespace kling;
using namespace kling::test;

namespace {

struct Report {
  Outcome run;
  std::map<std::string, nlohmann::json> checks;

  std::string state(const std::string& check) const { return checks.at(check).at("state"); }
  std::string words(const std::string& check) const {
    return checks.at(check).at("message").get<std::string>() + " → " +
           checks.at(check).at("hint").get<std::string>();
  }
};

/// The doctor looks at a folder of its own, whose home has no config file yet.
struct Patient : Stage {
  explicit Patient(sim::Options options = {}) : Stage("", std::move(options)) {
    environment.push_back("HOME=" + folder.path());
    environment.push_back("XDG_CONFIG_HOME=" + folder.path() + "/config");
  }
  void set(const std::string& entry) { environment.push_back(entry); }

  Report examine(std::vector<std::string> options = {}) {
    options.insert(options.begin(), {"doctor", "--json"});
    Report report{run(options), {}};
    std::istringstream lines(report.run.out);
    for (std::string line; std::getline(lines, line);) {
      const auto value = nlohmann::json::parse(line, nullptr, false);
      REQUIRE(value.is_object());
      report.checks[value.at("check")] = value;
    }
    CAPTURE(report.run.err);
    REQUIRE(report.checks.size() == 13);
    for (const auto& [name, check] : report.checks)
      CHECK_MESSAGE((check.at("state") == "ok" || check.at("hint") != ""), name);
    // The exit code says whether any line is a problem, and no line holds a key.
    const bool sick = std::any_of(report.checks.begin(), report.checks.end(),
                                  [](const auto& c) { return c.second.at("state") == "problem"; });
    CHECK(report.run.code == (sick ? 1 : 0));
    CHECK_FALSE(contains(report.run.out + report.run.err, "sk-"));
    return report;
  }

  void write_config(const std::string& text, mode_t mode) const {
    std::filesystem::create_directories(folder / "config/kling");
    std::ofstream(folder / "config/kling/config") << text;
    ::chmod((folder / "config/kling/config").c_str(), mode);
  }
};

/// A listening port of this machine on which one request gets `answer`; none: it is closed again.
class Port {
 public:
  explicit Port(const std::string& answer) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    ::bind(socket_, reinterpret_cast<sockaddr*>(&address), size);
    ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    number_ = ntohs(address.sin_port);
    if (answer.empty()) return;
    ::listen(socket_, 1);
    thread_ = std::thread([this, answer] {
      const int client = ::accept(socket_, nullptr, nullptr);
      char request[4096];
      if (client >= 0 && ::recv(client, request, sizeof request, 0) > 0)
        (void)!::write(client, answer.data(), answer.size());
      ::close(client);
    });
  }
  ~Port() {
    ::shutdown(socket_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    ::close(socket_);
  }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;
  std::string url() const { return "http://127.0.0.1:" + std::to_string(number_); }

 private:
  int socket_;
  int number_ = 0;
  std::thread thread_;
};

}  // namespace

TEST_CASE("doctor finds a good set-up healthy and asks nothing that costs") {
  Patient patient({.key = "sk-test"});
  const Report report = patient.examine();
  for (const auto& [name, check] : report.checks) {
    CAPTURE(name);
    CAPTURE(report.words(name));
    CHECK(report.state(name) == "ok");
  }
  CHECK(contains(report.words("key"), "KLING_API_KEY"));
  CHECK(contains(report.words("service"), "accepts the key"));
  CHECK(contains(report.words("versions"), "SQLite 3"));
  CHECK(contains(report.words("clock"), " s from the service's"));
  CHECK(contains(report.words("ledger"), "none yet"));
  CHECK_FALSE(std::filesystem::exists(patient.folder / ".kling"));  // it only looks
  CHECK(patient.service->counters().creates == 0);
  CHECK(patient.service->counters().queries == 1);
}

TEST_CASE("doctor names three jobs that need a decision, and how many more there are") {
  sim::Options lossy;
  lossy.faults = {"create#1: accept, drop", "create#2: accept, drop", "create#3: accept, drop",
                  "create#4: accept, drop", "create#5: accept, drop"};
  lossy.external_lookup = false;
  Patient patient(std::move(lossy));
  std::ofstream(patient.folder / "film.lua")
      << "local kling = require 'kling'\nfor i = 1, 5 do kling.text2video('shot ' .. i) end";
  CHECK(patient.run({"run", "--no-store", "--patience", "0.2", "film.lua"}).code == 4);
  const std::string said = patient.examine().checks.at("ledger").at("message");
  CAPTURE(said);
  CHECK(contains(said, "5 jobs; these need a decision: kling:text2video/~"));
  CHECK(said.ends_with(" and 2 more (kling jobs --open)"));
}

TEST_CASE("doctor says in words for people what it says as JSON") {
  Patient patient({.key = "sk-other"});
  const Outcome run = patient.run({"doctor"});
  CHECK(run.code == 1);
  CHECK(contains(run.out, "ok       key         found in KLING_API_KEY"));
  CHECK(contains(run.out, "problem  service "));
  CHECK(contains(run.out, "→ check the key"));
  const Outcome quiet = patient.run({"doctor", "--quiet"});
  CHECK(std::count(quiet.out.begin(), quiet.out.end(), '\n') == 2);
}

TEST_CASE("doctor tells a key that the service refuses from one that is missing") {
  Patient refused({.key = "sk-other"});
  const Report wrong = refused.examine();
  CHECK(wrong.state("key") == "ok");
  CHECK(wrong.state("connection") == "ok");
  CHECK(wrong.state("service") == "problem");
  CHECK(contains(wrong.words("service"), "check the key"));

  Patient without;
  without.set("KLING_API_KEY=");
  const Report none = without.examine();
  CHECK(none.state("key") == "problem");
  CHECK(contains(none.words("key"), "kling login"));
  CHECK(none.state("service") == "warning");
  CHECK(none.state("connection") == "ok");
}

TEST_CASE("doctor works without a network") {
  Patient patient;
  const Port closed("");
  patient.set("KLING_BASE_URL=" + closed.url());
  const Report report = patient.examine();
  CHECK(report.state("connection") == "problem");
  CHECK(contains(report.words("connection"), "refused"));
  CHECK(contains(report.words("service"), "fix the problem above"));
  CHECK(report.state("service") == "warning");
  CHECK(report.state("clock") == "warning");
  CHECK(report.state("ffmpeg") == "ok");
  CHECK(report.state("ledger") == "ok");
}

TEST_CASE("doctor works without a key a network or a name that is found") {
  Patient patient;
  patient.set("KLING_API_KEY=");
  patient.set("KLING_BASE_URL=https://kling.invalid");
  const Report report = patient.examine();
  CHECK(report.state("key") == "problem");
  CHECK(report.state("dns") == "problem");
  CHECK(contains(report.words("dns"), "kling.invalid"));
  CHECK(report.state("tls") == "warning");
  Typist narrow(patient, {"doctor"}, 40);
  CHECK(narrow.end() == 1);
  CHECK_MESSAGE(contains(narrow.screen, "\n         → kling login;"), narrow.screen);
  const Outcome help = patient.run({"doctor", "--help"});
  CHECK_FALSE(contains(help.out, "--poll-interval"));
  CHECK_FALSE(contains(help.out, "--patience"));
}

TEST_CASE("doctor names an address that is none, and one where nothing listens") {
  Patient patient;
  patient.service.reset();
  const Report ended = patient.examine();
  CHECK(contains(ended.words("connection"),
                 ": refused: nothing listens there → does kling sim still run?"));
  CHECK(contains(patient.run({"query", "kling:text2video/1"}).err,
                 ": refused: nothing listens there\n"));
  patient.set("KLING_BASE_URL=api.cometapi.com");
  const Report report = patient.examine();
  CHECK(report.state("address") == "problem");
  CHECK(contains(report.words("address"), "api.cometapi.com: the URL must start with https://"));
  CHECK(report.state("proxy") == "warning");
}

TEST_CASE("doctor compares the clock with the service's") {
  const auto answer_at = [](std::time_t time) {
    char date[64];
    std::strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", std::gmtime(&time));
    return "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
           "Connection: close\r\nDate: " +
           std::string(date) + "\r\n\r\n{}";
  };
  const auto look = [&](std::time_t time) {
    Patient patient;
    const Port port(answer_at(time));
    patient.set("KLING_BASE_URL=" + port.url());
    return patient.examine();
  };
  CHECK(look(std::time(nullptr)).state("clock") == "ok");
  const Report slow = look(std::time(nullptr) + 7200);
  CHECK(slow.state("clock") == "warning");
  CHECK(contains(slow.words("clock"), "set this machine's clock"));
}

TEST_CASE("doctor misses ffmpeg and says what to install") {
  Patient patient;
  patient.set("PATH=/nonexistent");
  const Report report = patient.examine();
  CHECK(report.state("ffmpeg") == "problem");
  CHECK(contains(report.words("ffmpeg"), "install the package ffmpeg"));
  CHECK(report.state("codecs") == "warning");

  // An ffmpeg that runs and can do nothing.
  for (const char* tool : {"ffmpeg", "ffprobe"}) {
    std::ofstream(patient.folder / tool) << "#!/bin/sh\necho " << tool << " version 5.1\n";
    ::chmod((patient.folder / tool).c_str(), 0700);
  }
  patient.set("PATH=" + patient.folder.path());
  const Report poor = patient.examine();
  CHECK(poor.state("ffmpeg") == "ok");
  CHECK(poor.state("codecs") == "problem");
  CHECK(contains(poor.words("codecs"), "libx264"));

  // One of before, first on PATH.
  for (const char* tool : {"ffmpeg", "ffprobe"})
    std::ofstream(patient.folder / tool) << "#!/bin/sh\necho " << tool << " version 4.4.2\n";
  const Report old = patient.examine();
  CHECK(old.state("ffmpeg") == "problem");
  CHECK(contains(old.words("ffmpeg"), "ffmpeg version 4.4.2 on PATH is too old"));
}

TEST_CASE("an ffmpeg that is too old is told before anything is paid for frames or films") {
  const std::string old = "ffmpeg version 4.4.2 on PATH is too old";
  for (const std::string media : {"shot:wait():last_frame()", "require 'parts.help'(shot)", ""}) {
    // The service takes nothing: whatever is told comes before.
    Stage stage(std::string("local kling = require 'kling'\n"
                            "local shot = kling.text2video { prompt = 'x' }\n") +
                    (media.empty() ? "shot:wait()" : media),
                {.faults = {"create#*: 401"}});
    std::filesystem::create_directory(stage.folder / "parts");
    std::ofstream(stage.folder / "parts/help.lua")
        << "return function(shot) shot:wait():last_frame() end";
    std::ofstream(stage.folder / "ffmpeg") << "#!/bin/sh\necho ffmpeg version 4.4.2\n";
    ::chmod((stage.folder / "ffmpeg").c_str(), 0700);
    stage.environment.push_back("PATH=" + stage.folder.path() + ":" + std::getenv("PATH"));
    const Outcome run = stage.run();
    CHECK(contains(run.err, old) == !media.empty());
    CHECK(stage.service->counters().accepted == 0);
  }
}

TEST_CASE("doctor refuses a config file that others may read and reads one that they may not") {
  Patient patient({.key = "sk-test"});
  patient.set("KLING_API_KEY=");
  patient.write_config("key = sk-test\n", 0644);
  const Report open = patient.examine();
  CHECK(open.state("key") == "problem");
  CHECK(contains(open.words("key"), "chmod 600"));
  CHECK(open.state("connection") == "ok");  // the rest is looked at all the same

  patient.write_config("key = sk-test\n", 0600);
  const Report closed = patient.examine();
  CHECK(contains(closed.words("key"), "config file"));
  CHECK(closed.state("service") == "ok");
}

TEST_CASE("doctor shows the proxy without its password") {
  Patient patient;
  patient.set("KLING_BASE_URL=https://kling.invalid");
  patient.set("HTTPS_PROXY=http://me:sk-secret@127.0.0.1:9");
  const Report report = patient.examine();
  CHECK(contains(report.words("proxy"), "127.0.0.1:9"));
  CHECK(report.state("connection") == "problem");
}

TEST_CASE("doctor looks at ledger and folders") {
  Patient patient;
  std::filesystem::create_directories(patient.folder / ".kling");
  std::ofstream(patient.folder / ".kling/ledger.db") << std::string(4096, 'x');
  const Report damaged = patient.examine();
  CHECK(damaged.state("ledger") == "problem");
  CHECK(contains(damaged.words("ledger"), "is not a ledger"));

  const std::string file = patient.folder / "other.db";
  {
    auto ledger = engine::open_ledger(file);
    REQUIRE(ledger.ok());
    engine::Step asked;
    asked.service = "sim";
    asked.endpoint = "text2video";
    asked.digest = "d";
    asked.task_path = "main";
    asked.target = "/x";
    const auto claim = (*ledger)->claim(asked, {});
    REQUIRE(claim.ok());
    engine::Step step = claim->step;
    step.error = "{}";
    REQUIRE((*ledger)->mark_sending(step, 1, {}, 0, "").ok());
    REQUIRE((*ledger)->record_ambiguous(step, 2).ok());
  }
  const Report undecided = patient.examine({"--ledger", file});
  CHECK(undecided.state("ledger") == "warning");
  CHECK(contains(undecided.words("ledger"), "kling:text2video/~"));
  CHECK(contains(undecided.words("ledger"), "1 job;"));
  CHECK(contains(undecided.words("ledger"), "kling jobs resolve"));

  const Report unwritable = patient.examine({"--ledger", "/proc/none/ledger.db"});
  CHECK(unwritable.state("folders") == "problem");
}

TEST_CASE("login checks a key, keeps it for this user alone and leaves the other lines") {
  sim::Options options;
  options.key = "sk-right-0123456789";
  Patient patient(options);
  patient.environment[0] = "KLING_API_KEY=";
  patient.write_config("# mine\nask = true\nkey = sk-old\n", 0600);
  std::ofstream(patient.folder / "stdin") << "sk-wrong\n";
  const Outcome wrong = patient.run({"login"});
  CAPTURE(wrong.err);
  CHECK(wrong.code == 1);
  CHECK(contains(wrong.err, "the key is not kept"));
  std::ofstream(patient.folder / "stdin") << " 'Bearer sk-right-0123456789' \n";
  const Outcome right = patient.run({"login"});
  CAPTURE(right.err);
  CHECK(right.code == 0);
  CHECK(contains(right.err, "the service accepts the key"));
  CHECK_FALSE(contains(wrong.err + right.err + right.out, "sk-"));
  const std::string path = patient.folder / "config/kling/config";
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  CHECK(text.str() == "# mine\nask = true\nkey = sk-right-0123456789\n");
  struct stat facts {};
  REQUIRE(::stat(path.c_str(), &facts) == 0);
  CHECK((facts.st_mode & 0777) == 0600);
  CHECK(patient.examine().words("key") == "found in the config file → ");
  // A variable that is set goes before the file: a new key would seem to have no effect.
  patient.set("COMETAPI_KEY=sk-other");
  CHECK(contains(patient.run({"login"}).err, "warning: COMETAPI_KEY is set and goes before it"));
  std::ofstream(patient.folder / "stdin") << "";
  const Outcome empty = patient.run({"login"});
  CHECK(empty.code == 1);
  CHECK(contains(empty.err, "no key came: standard input is no terminal"));
}

TEST_CASE("login does not show what is typed, and Ctrl-C leaves the key as it was") {
  const Patient patient;
  for (const bool leaves : {false, true}) {
    int terminal = -1;
    const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
    if (child == 0) {
      for (const std::string& entry : patient.environment)
        ::putenv(const_cast<char*>(entry.c_str()));
      ::execl(KLING_PROGRAM, "kling", "login", nullptr);
      ::_exit(127);
    }
    std::string shown;
    char piece[256];
    bool typed = false;
    for (ssize_t got = 0; (got = ::read(terminal, piece, sizeof piece)) > 0;) {
      shown.append(piece, std::size_t(got));
      if (typed || !contains(shown, "not shown): ")) continue;
      typed = true;
      const std::string keys = leaves ? "sk-half\3" : "sk-typed-9876\n";
      REQUIRE(::write(terminal, keys.data(), keys.size()) == ssize_t(keys.size()));
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    ::close(terminal);
    CAPTURE(shown);
    CHECK(typed);
    CHECK(WEXITSTATUS(status) == (leaves ? 130 : 0));
    CHECK_FALSE(contains(shown, "sk-"));
    std::ostringstream text;
    text << std::ifstream(patient.folder / "config/kling/config").rdbuf();
    CHECK(text.str() == "key = sk-typed-9876\n");
  }
}

TEST_CASE("a key that is typed behind login is not shown again") {
  Stage stage("");
  const Outcome run = stage.run({"login", "sk-0123456789abcdef"});
  CAPTURE(run.err);
  CHECK(run.code == 2);
  CHECK(contains(run.err, "takes no key as an argument"));
  CHECK_FALSE(contains(run.err, "0123456789"));
}
