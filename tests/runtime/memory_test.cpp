// A host whose program runs out of memory for Lua, at every allocation: each call of the C API
// tells so, nothing crashes or leaks, and the host works again when there is memory.
#include <cstdlib>

#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

struct Memory {
  long left = -1;  ///< allocations until it ends; < 0: there is enough
  std::size_t used = 0;

  void* operator()(void* block, std::size_t old_size, std::size_t new_size) {
    if (block == nullptr) old_size = 0;
    if (new_size > old_size && left == 0) return nullptr;
    if (new_size > old_size && left > 0) --left;
    used += new_size - old_size;
    if (new_size != 0) return std::realloc(block, new_size);
    std::free(block);
    return nullptr;
  }
};

struct Short {
  explicit Short(const std::string& profile) {
    options.ledger = ":memory:";
    options.key = "k";
    options.poll = 1000;
    options.log = [](const char*, const char*) {};
    options.profile = profile;
    options.allocate = [this](auto... call) { return memory(call...); };
    options.send = [this](const kling_request& request, Exchange exchange) {
      service.answer(request, std::move(exchange));
    };
  }
  Memory memory;
  EndlessService service;
  HostOptions options;
};

constexpr const char* kWaitingScript = R"(
  local kling = require "kling"
  local job = kling.text2video { prompt = given.name }
  local rest = kling.spawn(function() pcall(job.wait, job, { timeout = 0 }) return "rest" end)
  kling.log("debug", job:accepted().handle)
  answer = { job.id, rest:wait(), coroutine.wrap(function() kling.sleep(0) return 1 end)() }
  return answer, job)";

}  // namespace

TEST_CASE("a host is refused when memory ends anywhere while it is made") {
  for (const char* profile : {"full", "safe"}) {
    Short stage(profile);
    int refused = 0;
    for (bool made = false; !made; ++refused) {
      INFO(refused);
      stage.memory.left = refused;
      const Host host(stage.options);
      made = static_cast<bool>(host);
      if (!made) REQUIRE(host.error().find("memory") != std::string::npos);
      stage.memory.left = -1;
    }
    CHECK(refused > 500);
    CHECK(stage.memory.used == 0);
  }
}

TEST_CASE("a host answers every call when memory ends anywhere and goes on when there is more") {
  for (const char* profile : {"full", "safe"}) {
    CAPTURE(std::string(profile));
    Short stage(profile);
    Host host(stage.options);
    REQUIRE(host);
    int failures = 0;
    for (long point = 0, over = 0; over < 5; ++point) {
      INFO(point);
      REQUIRE(point < 5000);
      stage.memory.left = point;
      bool well = host.set("given", R"({"name": "a prompt that is not short", "list": [1, {}]})");
      const auto task = host.run("film.lua", kWaitingScript);
      for (int i = 0; i < 200 && task != 0 && host.running(task); ++i) {
        if (host.tick(1000)) continue;
        pollfd wait{host.fd(), POLLIN, 0};
        ::poll(&wait, 1, 5);
      }
      well = well && host.done(task) && !host.result(task).empty();
      well = well && host.get("answer").find("rest") != std::string::npos;
      CHECK(host.jobs().starts_with("["));
      if (!well && task == 0) CHECK(host.error().find("memory") != std::string::npos);
      over += stage.memory.left > 0;
      stage.memory.left = -1;
      host.forget(task);
      host.cancel(0);
      until(host, [&] { return !host.tick(1000); });
      failures += !well;
      if (point % 50 == 0) CHECK(run(host, "collectgarbage() return 1") == Json({1}));
    }
    CHECK(failures > 100);
    CHECK(run(host, "return 6 * 7") == Json({42}));
    host = Host();
    CHECK(stage.memory.used == 0);
  }
}

TEST_CASE("what fails for want of memory has a code of its own") {
  Memory memory;
  kling_host_options options = KLING_HOST_OPTIONS;
  options.ledger = ":memory:";
  options.user = &memory;
  options.allocate = [](void* user, void* block, std::size_t old_size, std::size_t new_size) {
    return (*static_cast<Memory*>(user))(block, old_size, new_size);
  };
  kling_host* const host = kling_host_new(&options, nullptr, 0);
  REQUIRE(host != nullptr);
  const auto code_of = [&](auto call) {
    memory.left = 0;
    CHECK_FALSE(call());
    memory.left = -1;
    return kling_host_code(host);
  };
  CHECK(code_of([&] { return kling_host_set(host, "a", "[{\"b\": [1]}]") == 0; }) ==
        KLING_NO_MEMORY);
  CHECK(code_of([&] { return kling_host_run(host, "a", "return {}", 9, nullptr); }) ==
        KLING_NO_MEMORY);
  CHECK(code_of([&] {
          return kling_host_register(
                     host, "a.b", [](void*, kling_call*, const char*) {}, nullptr) == 0;
        }) == KLING_NO_MEMORY);
  CHECK(code_of([&] { return kling_host_reload(host) == 0; }) == KLING_NO_MEMORY);
  CHECK(code_of([&] { return kling_host_get(host, "a") != nullptr; }) == KLING_NO_MEMORY);
  CHECK(kling_host_reload(host) == 0);
  CHECK(kling_host_run(host, "a", "(", 1, nullptr) == 0);
  CHECK(kling_host_code(host) == KLING_ERROR);
  kling_host_free(host);
  CHECK(memory.used == 0);
}

TEST_CASE("a reload for which memory ends anywhere fails and a later one finds the jobs") {
  for (const char* profile : {"full", "safe"}) {
    Short stage(profile);
    Host host(stage.options);
    const std::string script =
        "return require 'kling'.text2video { prompt = 'once' }:accepted().id";
    const Json id = run(host, script);
    long point = 0;
    for (bool reloaded = false; !reloaded; point += 7) {
      INFO(point);
      stage.memory.left = point;
      reloaded = host.reload();
      stage.memory.left = -1;
      if (reloaded) break;
      CHECK(host.run("film.lua", script) == 0);
      CHECK(host.get("x").empty());
      CHECK_FALSE(host.tick(0));
      CHECK(host.jobs().starts_with("["));
    }
    CHECK(point > 500);
    CHECK(run(host, script) == id);
    CHECK(stage.service.creates == 1);
  }
}
