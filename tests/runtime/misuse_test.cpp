// A table of what a program may do wrong, and what it is told.
#include <cstring>
#include <functional>
#include <thread>

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
};
const Misuse kTexts[] = {
    {"name", "NULL", [](auto* host) { return kling_host_run(host, nullptr, "", 0, "") == 0; }},
    {"source", "NULL", [](auto* host) { return kling_host_run(host, "a", nullptr, 1, "") == 0; }},
    {"path", "NULL", [](auto* host) { return kling_host_run_file(host, nullptr, "") == 0; }},
    {"set", "NULL", [](auto* host) { return kling_host_set(host, nullptr, "1") == -1; }},
    {"get", "NULL", [](auto* host) { return kling_host_get(host, nullptr) == nullptr; }},
    {"call", "NULL", [](auto* host) { return kling_host_call(host, nullptr, nullptr) == 0; }},
    {"function", "NULL",
     [](auto* host) { return kling_host_register(host, "f", nullptr, nullptr) == -1; }},
    {"notify", "NULL",
     [](auto* host) { return kling_host_notify(host, nullptr, nullptr, 0) == -1; }},
};
const Misuse kCallback[] = {
    {"free", "not for a callback",
     [](auto* host) { return kling_host_free(host) == KLING_MISUSE; }},
    {"reload", "not for a callback", [](auto* host) { return kling_host_reload(host) == -1; }},
    {"move", "not for a callback",
     [](auto* host) { return kling_host_move_here(host) == KLING_MISUSE; }},
};
const Misuse kThread[] = {
    {"tick", "another thread", [](auto* host) { return kling_host_tick(host, 0) == -1; }},
    {"free", "another thread", [](auto* host) { return kling_host_free(host) == KLING_MISUSE; }},
    {"run", "another thread", [](auto* host) { return kling_host_run(host, "a", "", 0, "") == 0; }},
    {"jobs", "another thread", [](auto* host) { return kling_host_jobs(host) == nullptr; }},
};

void check(const Misuse& row, kling_host* host) {
  CAPTURE(row.name);
  CHECK(row.refused(host));
  CHECK(kling_host_code(host) == KLING_MISUSE);
  CHECK(std::strstr(kling_host_error(host), row.text) != nullptr);
}

}  // namespace

TEST_CASE("each misuse of a host is told and suffered by nobody") {
  kling_host_options options = KLING_HOST_OPTIONS;
  kling_host* host = nullptr;
  options.user = &host;
  options.log = [](void* user, const char*, const char*) {
    for (const Misuse& row : kCallback) check(row, *static_cast<kling_host**>(user));
  };
  host = new_host(options);
  for (const Misuse& row : kNull) check(row, nullptr);
  for (const Misuse& row : kTexts) check(row, host);
  std::thread([&] {
    for (const Misuse& row : kThread) check(row, host);
  }).join();
  const char* source = "require 'kling'.log('now') return 1";
  const kling_task task = kling_host_run(host, "a.lua", source, std::strlen(source), nullptr);
  std::thread([&] {  // a host may move
    CHECK(kling_host_move_here(host) == KLING_OK);
    while (kling_host_task_state(host, task) == KLING_TASK_RUNNING) kling_host_tick(host, 1000);
    CHECK(std::strcmp(kling_host_result(host, task), "[1]") == 0);
  })
      .join();
  CHECK(kling_host_tick(host, 0) == -1);
  CHECK(kling_host_move_here(host) == KLING_OK);
  CHECK(kling_host_free(host) == KLING_OK);
  CHECK(kling_host_free(nullptr) == KLING_OK);
}

TEST_CASE("an exchange or a call that is ended twice or never does no harm") {
  EndlessService service;
  kling_exchange* ended = nullptr;
  HostOptions options;
  options.ledger = ":memory:";
  options.key = "sk-test";
  int drops = 0;
  options.send = [&](const kling_request& request, Exchange exchange) {
    if (++drops == 1) return;  // dropped: as one that failed, and looked for
    service.answer(request, std::move(exchange));
  };
  Host host(options);
  run(host, "require 'kling'.text2video { prompt = 'a' }");
  CHECK(until(host, [&] { return service.queries > 0; }));
  CHECK(kling_exchange_fail(ended, 0) == KLING_MISUSE);

  kling_host_options plain = KLING_HOST_OPTIONS;
  static kling_call* twice = nullptr;
  kling_host* box = new_host(plain);
  kling_host_register(
      box, "ask", [](void*, kling_call* call, const char*) { twice = call; }, nullptr);
  kling_host_run(box, "a.lua", "ask()", 5, nullptr);
  while (twice == nullptr) kling_host_tick(box, 1000);
  CHECK(kling_call_answer(twice, "1") == KLING_OK);
  CHECK(kling_call_answer(twice, "1") == KLING_MISUSE);
  CHECK(kling_call_fail(nullptr, "x") == KLING_MISUSE);
  kling_host_free(box);
}
