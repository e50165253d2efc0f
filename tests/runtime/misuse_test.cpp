// A table of what a program may do wrong, and what it is told; docs/embedding.md has the same.
#include <cmath>
#include <cstring>
#include <fstream>
#include <functional>
#include <thread>

#include <sys/wait.h>

#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

kling_host* new_host(kling_host_options& options) {
  options.ledger = ":memory:";
  char why[200] = "";
  kling_host* host = kling_host_new(&options, why, sizeof why);
  REQUIRE_MESSAGE(host != nullptr, why);
  return host;
}

struct Misuse {
  const char* name;
  const char* text;  ///< a part of what is told
  std::function<bool(kling_host*)> refused;
};

const Misuse kNull[] = {
    {"tick", "there is no host", [](auto*) { return kling_host_tick(nullptr, 0) == -1; }},
    {"fd", "there is no host", [](auto*) { return kling_host_fd(nullptr) == -1; }},
    {"run", "there is no host", [](auto*) { return kling_host_run(nullptr, "a", "", 0, "") == 0; }},
    {"jobs", "there is no host", [](auto*) { return kling_host_jobs(nullptr) == nullptr; }},
    {"result", "there is no host", [](auto*) { return kling_host_result(nullptr, 1) == nullptr; }},
    {"state", "there is no host",
     [](auto*) { return kling_host_task_state(nullptr, 1) == KLING_TASK_UNKNOWN; }},
    {"reload", "there is no host", [](auto*) { return kling_host_reload(nullptr) == -1; }},
    {"move", "there is no host",
     [](auto*) { return kling_host_move_here(nullptr) == KLING_MISUSE; }},
    {"wakeup", "there is no host",
     [](auto*) { return kling_host_wakeup(nullptr) == KLING_MISUSE; }},
    {"exchange", "there is no exchange or call: it is NULL",
     [](auto*) { return kling_exchange_fail(nullptr, 0) == KLING_MISUSE; }},
    {"call", "there is no exchange or call: it is NULL",
     [](auto*) { return kling_call_answer(nullptr, "1") == KLING_MISUSE; }},
    {"foreign call", "has ended before (its deadline may have passed), or was never one",
     [](auto* host) {
       return kling_call_fail(reinterpret_cast<kling_call*>(&host), "x") == KLING_MISUSE;
     }},
};
const Misuse kTexts[] = {
    {"name", "is NULL", [](auto* host) { return kling_host_run(host, nullptr, "", 0, "") == 0; }},
    {"source", "is NULL",
     [](auto* host) { return kling_host_run(host, "a", nullptr, 1, "") == 0; }},
    {"path", "is NULL", [](auto* host) { return kling_host_run_file(host, nullptr, "") == 0; }},
    {"set", "is NULL", [](auto* host) { return kling_host_set(host, nullptr, "1") == -1; }},
    {"value", "is NULL", [](auto* host) { return kling_host_set(host, "x", nullptr) == -1; }},
    {"get", "is NULL", [](auto* host) { return kling_host_get(host, nullptr) == nullptr; }},
    {"call", "is NULL", [](auto* host) { return kling_host_call(host, nullptr, nullptr) == 0; }},
    {"job", "is NULL", [](auto* host) { return kling_host_job(host, nullptr) == nullptr; }},
    {"size", "is NULL",
     [](auto* host) { return kling_host_clip(host, "text2video:1", nullptr) == nullptr; }},
    {"function", "is NULL",
     [](auto* host) { return kling_host_register(host, "f", nullptr, nullptr) == -1; }},
    {"notify", "is NULL",
     [](auto* host) { return kling_host_notify(host, nullptr, nullptr, 0) == -1; }},
};
const Misuse kCallback[] = {
    {"free", "not for a callback",
     [](auto* host) { return kling_host_free(host) == KLING_MISUSE; }},
    {"reload", "not for a callback", [](auto* host) { return kling_host_reload(host) == -1; }},
    {"tick", "not for a callback", [](auto* host) { return kling_host_tick(host, 0) == -1; }},
    {"move", "not for a callback",
     [](auto* host) { return kling_host_move_here(host) == KLING_MISUSE; }},
};
const Misuse kThread[] = {
    {"tick", "another thread", [](auto* host) { return kling_host_tick(host, 0) == -1; }},
    {"free", "another thread", [](auto* host) { return kling_host_free(host) == KLING_MISUSE; }},
    {"run", "another thread", [](auto* host) { return kling_host_run(host, "a", "", 0, "") == 0; }},
    {"jobs", "another thread", [](auto* host) { return kling_host_jobs(host) == nullptr; }},
};
const Misuse kForked[] = {
    {"tick", "the process that made it", [](auto* host) { return kling_host_tick(host, 0) == -1; }},
    {"free", "the process that made it",
     [](auto* host) { return kling_host_free(host) == KLING_FORKED; }},
    {"wakeup", "the process that made it",
     [](auto* host) { return kling_host_wakeup(host) == KLING_FORKED; }},
    {"jobs", "the process that made it",
     [](auto* host) { return kling_host_jobs(host) == nullptr; }},
};

/// Empty: it was told as it is to be.
std::string check(const Misuse& row, kling_host* host, int code = KLING_MISUSE) {
  if (!row.refused(host)) return std::string(row.name) + " was not refused";
  const std::string told = kling_host_error(host);
  if (told.find(row.text) == told.npos || kling_host_code(host) != code)
    return std::string(row.name) + ": " + std::to_string(kling_host_code(host)) + " " + told;
  return "";
}
template <std::size_t Count>
std::string check_all(const Misuse (&rows)[Count], kling_host* host, int code = KLING_MISUSE) {
  std::string wrong;
  for (const Misuse& row : rows)
    if (const std::string one = check(row, host, code); !one.empty()) wrong += one + "\n";
  return wrong;
}

}  // namespace

TEST_CASE("each misuse of a host is told and suffered by nobody") {
  kling_host_options options = KLING_HOST_OPTIONS;
  struct Told {
    kling_host* host = nullptr;
    std::string wrong = "nothing was called back";
  } told;
  options.user = &told;
  options.log = [](void* user, const char*, const char*) {
    Told& to = *static_cast<Told*>(user);
    to.wrong = check_all(kCallback, to.host);
  };
  kling_host* const host = told.host = new_host(options);
  CHECK(check_all(kNull, nullptr) == "");
  CHECK(check_all(kTexts, host) == "");
  std::string elsewhere;
  std::thread([&] { elsewhere = check_all(kThread, host); }).join();
  CHECK(elsewhere == "");
  const pid_t child = ::fork();
  if (child == 0) {
    const bool told_all = check_all(kForked, host, KLING_FORKED).empty();
    ::_exit(told_all && kling_host_wakeup(host) == KLING_FORKED ? 0 : 1);
  }
  int status = -1;
  CHECK(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  const char* source = "require 'kling'.log('now') return 1";
  const kling_task task = kling_host_run(host, "a.lua", source, std::strlen(source), nullptr);
  std::thread([&] {  // a host may move
    CHECK(kling_host_move_here(host) == KLING_OK);
    while (kling_host_task_state(host, task) == KLING_TASK_RUNNING) kling_host_tick(host, 1000);
    CHECK(std::strcmp(kling_host_result(host, task), "[1]") == 0);
  })
      .join();
  CHECK(told.wrong == "");
  CHECK(kling_host_tick(host, 0) == -1);
  CHECK(kling_host_move_here(host) == KLING_OK);
  CHECK(kling_host_free(host) == KLING_OK);
  CHECK(kling_host_free(nullptr) == KLING_OK);
}

TEST_CASE("an exchange that is dropped is looked for, and one that is ended twice is told") {
  struct Game {
    EndlessService service;
    int sent = 0;
    std::string told;
  } game;
  kling_host_options options = KLING_HOST_OPTIONS;
  options.key = "sk-test";
  options.user = &game;
  options.send = [](void* user, const kling_request* request, kling_exchange* exchange) {
    Game& to = *static_cast<Game*>(user);
    if (++to.sent == 1) return (void)Exchange(exchange);  // dropped: as one that failed
    to.service.answer(*request, Exchange(exchange));
    if (kling_exchange_answer(exchange, 200, nullptr, "{}", 2) == KLING_MISUSE)
      to.told = kling_host_error(nullptr);
  };
  kling_host* const host = new_host(options);
  const std::string source = "require 'kling'.text2video { prompt = 'a' }";
  kling_host_run(host, "a.lua", source.data(), source.size(), nullptr);
  while (game.service.queries == 0) kling_host_tick(host, 1000);
  CHECK(game.told.find("this exchange or call has ended before") == 0);
  kling_host_free(host);
}

TEST_CASE("a call that is answered twice or after its host is told") {
  kling_host_options plain = KLING_HOST_OPTIONS;
  static kling_call* twice = nullptr;
  kling_host* box = new_host(plain);
  kling_host_register(
      box, "ask", [](void*, kling_call* call, const char*) { twice = call; }, nullptr);
  const auto ask = [&] {
    twice = nullptr;
    kling_host_run(box, "a.lua", "ask()", 5, nullptr);
    while (twice == nullptr) kling_host_tick(box, 1000);
  };
  ask();
  CHECK(kling_call_answer(twice, "1") == KLING_OK);
  CHECK(kling_call_answer(twice, "1") == KLING_MISUSE);
  CHECK(kling_host_code(box) == KLING_MISUSE);
  CHECK(std::string(kling_host_error(box)).find("this exchange or call has ended before") == 0);
  CHECK(kling_host_fd(box) >= 0);  // a later call that has a host
  CHECK(kling_host_run(box, "b.lua", "(", 1, nullptr) == 0);
  CHECK(kling_host_code(box) == KLING_ERROR);
  ask();
  kling_host_free(box);
  CHECK(kling_call_answer(twice, "1") == KLING_OK);  // nobody waits, and nobody minds
  CHECK(kling_call_answer(twice, "1") == KLING_MISUSE);
  CHECK(kling_host_code(nullptr) == KLING_MISUSE);
}

TEST_CASE("a wrong option is told with its name, its value and its limit") {
  const TempFolder folder;
  const std::string file = folder.path() + "/file";
  std::ofstream(file) << "x";
  const std::string certificates = folder / "ca.pem";
  REQUIRE(
      std::system(("openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=a -keyout /dev/null -out " +
                   certificates + " 2>/dev/null")
                      .c_str()) == 0);
  using Set = std::function<void(HostOptions&)>;
  const std::pair<Set, std::string> rows[] = {
      {[](auto& o) { o.ledger = ""; }, "ledger is required"},
      {[&](auto& o) { o.ledger = folder.path(); }, "ledger: " + folder.path() + " is a folder"},
      {[&](auto& o) { o.ledger = file + "/a/b.db"; }, "ledger: " + file + " is no folder"},
      {[](auto& o) { o.profile = "fool"; }, "profile is \"full\" or \"safe\", not \"fool\""},
      {[](auto& o) { o.poll = -1; }, "poll is a number from 0 to 1e+09, not -1"},
      {[](auto& o) { o.poll = std::nan(""); }, "poll is a number from 0 to 1e+09, not nan"},
      {[](auto& o) { o.max_jobs = -2; }, "max_jobs is a number from 0 to 1e+06, not -2"},
      {[](auto& o) { o.max_cost = -0.5; }, "max_cost is a number from 0 to inf, not -0.5"},
      {[](auto& o) { o.max_requests = -1; }, "max_requests is a number from 0 to 1e+06, not -1"},
      {[](auto& o) { o.patience = -5; }, "patience is a number from 0 to 1e+09, or -1, not -5"},
      {[](auto& o) { o.price_factor = 101; }, "price_factor is a number from 0 to 100, not 101"},
      {[](auto& o) { o.profile = "safe", o.hosts = {"https://cdn.example"}; },
       "hosts: \"https://cdn.example\" is no host or host:port"},
      {[](auto& o) {
         o.profile = "safe", o.hosts = {"a.example", "b.example:x"};
       },
       "hosts: \"b.example:x\" is no host"},
      {[](auto& o) { o.proxy = "ftp://me:secret@proxy:1"; },
       "the proxy in option proxy is not usable: it must be http://host:port, not "
       "\"ftp://proxy:1\""},
      {[](auto& o) { o.proxy = "http://proxy:99999"; }, "option proxy is not usable"},
      {[](auto& o) { o.user_agent = "Game\n1"; }, "user_agent: there is a control character in it"},
      {[](auto& o) { o.base_url = "api.example"; }, "base_url \"api.example\""},
      {[](auto& o) { o.base_url = "http://api.example"; },
       "base_url \"http://api.example\": http:// is allowed for this machine only"},
      {[&](auto& o) { o.ca_file = file + ".pem"; },
       "ca_file: " + file + ".pem: No such file or directory"},
      {[&](auto& o) { o.store = file; }, "store: " + file + " is no folder"},
      {[&](auto& o) { o.store = file + "/clips"; }, "store: " + file + " is no folder"},
      {[&](auto& o) { o.roots = {folder.path()}; }, "roots is for the profile \"safe\""},
      {[](auto& o) { o.profile = "full", o.hosts = {"a"}; }, "hosts is for the profile \"safe\""},
      {[](auto& o) { o.instruction_limit = 1; }, "instruction_limit is for the profile \"safe\""},
      {[](auto& o) { o.wall_limit = 1; }, "wall_limit is for the profile \"safe\""},
      {[](auto& o) { o.key = "sk a"; }, "the key in the settings has a blank"},
      {[](auto& o) { o.key = " \n"; }, "key: it is blank"},
      {[](auto& o) { o.webhook_secret = "whsec_"; }, "webhook_secret is no \"whsec_\" and Base64"},
      {[](auto& o) { o.webhook_secret = "hunter!2"; }, "webhook_secret is no"},
      {[&](auto& o) { o.ca_file = file; }, "ca_file (" + file + ") holds no certificates"},
      {[&](auto& o) { o.ffmpeg = folder.path(); },
       "ffmpeg: " + folder.path() + "/ffmpeg: No such file or directory"},
      {[](auto& o) { o.proxy = "not a proxy"; }, "option proxy is not usable"},
      {[](auto& o) { o.proxy = "proxy..example:80"; }, "option proxy is not usable"},
      {[](auto& o) { o.proxy = "http://:8080"; }, "option proxy is not usable"},
      {[](auto& o) { o.ledger = "/proc/nowhere/ledger.db"; }, "ledger: cannot make the folder"},
      {[&](auto& o) { o.ledger = folder.path() + "/" + std::string(300, 'x') + "/a.db"; },
       "ledger: cannot make the folder"},
      {[&](auto& o) {
         o.profile = "safe", o.roots = {folder.path(), file};
       },
       "roots: " + file + " is no folder"},
      {[&](auto& o) { o.profile = "safe", o.roots = {folder / "none"}; }, "/none is no folder"},
      {[](auto& o) { o.profile = "safe", o.hosts = {"a..example"}; },
       "hosts: \"a..example\" is no host"},
      {[](auto& o) { o.profile = "safe", o.hosts = {"1.2.3.4.5"}; }, "is no host"},
      {[](auto& o) { o.profile = "safe", o.hosts = {""}; }, "is no host"},
      {[](auto& o) { o.callback = "game.example"; }, "callback must be an https address"},
      {[](auto& o) { o.callback = "https://game.example/a?b=1"; }, "callback must be an https"},
      {[](auto& o) { o.callback = "https://game.example/a b"; }, "callback must be an https"},
      {[](auto& o) { o.callback = "http://game.example"; }, "not \"http://game.example\""},
  };
  for (const auto& [set, part] : rows) {
    HostOptions options;
    options.ledger = ":memory:";
    set(options);
    const Host host(options);
    CAPTURE(part);
    CHECK_FALSE(host);
    CHECK(host.error().find(part) != std::string::npos);
    CHECK(host.error().find(":secret") == std::string::npos);
  }
  CHECK(kling_host_new(nullptr, nullptr, 0) == nullptr);
  CHECK(std::string(kling_host_error(nullptr)) == "there are no options: they are NULL");
  CHECK(kling_host_code(nullptr) == KLING_MISUSE);
  const Set good[] = {[](auto& o) { o.patience = -1; },
                      [](auto& o) { o.proxy = "proxy:3128"; },
                      [](auto& o) { o.callback = "http://10.0.0.1:8080/hooks/"; },
                      [&](auto& o) { o.ledger = folder.path() + "/not/there/yet.db"; },
                      [&](auto& o) { o.store = folder.path() + "/not/there/yet"; },
                      [&](auto& o) { o.store = folder.path(), o.ca_file = certificates; },
                      [](auto& o) { o.hosts = {}, o.proxy = "http://proxy.example"; },
                      [](auto& o) { o.webhook_secret = "whsec_b3RoZXI="; },
                      [](auto& o) {
                        o.profile = "safe";
                        o.hosts = {"CDN.example:443", "[::1]", "[::1]:80", "127.0.0.1:8080"};
                      }};
  for (const Set& set : good) {
    HostOptions options;
    options.ledger = ":memory:";
    set(options);
    const Host host(options);
    CHECK(host.error() == "");
    CHECK(host);
  }
}

TEST_CASE("a function has a name that scripts can write") {
  const Stage stage;
  Host host(stage.options);
  const auto provide = [&](const char* name) {
    return host.provide(name, [](Call call, const char*) { call.answer("1"); });
  };
  for (const char* name : {"", ".", "a..b", "a.", ".a", "1x", "a.1", "a b", "kling", "kling.x",
                           "end", "game.end", "gr\xc3\xbc\xc3\x9f", "a-b"}) {
    CAPTURE(name);
    CHECK_FALSE(provide(name));
    CHECK(host.error().find("is no name for a function") != std::string::npos);
    CHECK(host.error().find("\"" + std::string(name).substr(0, 2)) == 0);
  }
  CHECK_FALSE(provide("print.x"));  // there is something else
  CHECK(host.error().find("print is no table") != std::string::npos);
  for (const char* name : {"a", "_a1.b_2.c", "game.kling", "ending"}) CHECK(provide(name));
  for (const char* name : {"game", "_a1.b_2", "string"}) {  // would hide what is in it
    CHECK_FALSE(provide(name));
    CHECK(host.error().find(" is a table") != std::string::npos);
  }
  for (int i = 0; i < 300; ++i) CHECK(provide(("many.f" + std::to_string(i)).c_str()));
  CHECK(host.reload());  // of the good ones only
  CHECK(run(host, "return a(), _a1.b_2.c(), game.kling(), ending()") == Json({1, 1, 1, 1}));
}

TEST_CASE("the page has each misuse and what is told") {
  std::ifstream file(KLING_SOURCE_DIR "/docs/embedding.md");
  const std::string page(std::istreambuf_iterator<char>(file), {});
  const auto has = [&](const auto& rows) {
    for (const Misuse& row : rows) {
      CAPTURE(row.text);
      CHECK(page.find(row.text) != std::string::npos);
    }
  };
  has(kNull), has(kTexts), has(kCallback), has(kThread), has(kForked);
}
