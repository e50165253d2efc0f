// What a frame pays: ticks that have nothing to do, and a host that goes away in the middle.
#include <cstdlib>
#include <new>

#include <dlfcn.h>
#include <netdb.h>

#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

thread_local std::size_t g_allocations = 0;
std::atomic<bool> g_names_hang{false};
std::atomic<int> g_names_hanging{0};

}  // namespace

// Counts what this thread allocates. Sanitizers have operators of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
// Inlined into a template that took its block from the other one, g++ sees malloc's free.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
void* operator new(std::size_t size) {
  ++g_allocations;
  if (void* block = std::malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void* block) noexcept { std::free(block); }
void operator delete(void* block, std::size_t) noexcept { std::free(block); }
#endif

// A resolver that does not come back, as some do for minutes; addresses need none.
extern "C" int getaddrinfo(const char* name, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  static const auto real =
      reinterpret_cast<decltype(&getaddrinfo)>(::dlsym(RTLD_NEXT, "getaddrinfo"));
  if (name == nullptr || !std::string_view(name).ends_with(".invalid"))
    return real(name, service, hints, found);
  ++g_names_hanging;
  while (g_names_hang) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  --g_names_hanging;
  return EAI_AGAIN;
}

TEST_CASE("an idle tick with a thousand waiting jobs allocates nothing and enters no Lua") {
  EndlessService service;
  std::size_t lua_calls = 0;
  HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.poll = 1000;
  options.allocate = [&](void* block, std::size_t, std::size_t new_size) -> void* {
    ++lua_calls;
    if (new_size != 0) return std::realloc(block, new_size);
    std::free(block);
    return nullptr;
  };
  options.send = [&](const kling_request& request, Exchange exchange) {
    service.answer(request, std::move(exchange));
  };
  Host host(std::move(options));
  host.run("many.lua", R"(
    local kling = require "kling"
    steps = 0
    debug.sethook(function() steps = steps + 1 end, "l")
    for i = 1, 1000 do
      kling.spawn(function() kling.text2video { prompt = tostring(i) }:wait() end)
    end)");
  REQUIRE(until(host, [&] { return service.creates >= 1000; }));
  const auto start = Steady::now();
  until(host, [&] { return millis_since(start) > 200; });  // the last answers are recorded
  const std::size_t before = g_allocations, lua_before = lua_calls;
  const int descriptor = host.fd();
  for (int i = 0; i < 10'000; ++i) host.tick(1000);
  CHECK(g_allocations == before);
  CHECK(lua_calls == lua_before);
  CHECK(descriptor >= 0);
}

TEST_CASE("a tick ends though a script always goes on, and the next one goes on with it") {
  Stage stage;
  Host host(stage.options);
  REQUIRE(host);
  const auto task = host.run("busy.lua", "n = 0 while true do n = n + 1 coroutine.yield() end");
  CHECK(host.tick(1));  // there is more to do; a tick that never ends fails by its time-out
  const Json first = run(host, "return n");
  CHECK(first[0] > 0);
  CHECK(run(host, "return n")[0] > first[0]);
  host.cancel(task);
}

TEST_CASE("the descriptor is quiet while there is nothing to do and speaks up in time") {
  Host host([] {
    HostOptions options;
    options.ledger = ":memory:";
    return options;
  }());
  pollfd wait{host.fd(), POLLIN, 0};
  host.tick(0);
  CHECK(::poll(&wait, 1, 0) == 0);
  const auto task = host.run("a.lua", "require 'kling'.sleep(0.05) return 1");
  CHECK(::poll(&wait, 1, 0) == 1);  // a new task
  while (host.tick(1000)) {
  }
  CHECK(::poll(&wait, 1, 0) == 0);
  CHECK(::poll(&wait, 1, -1) == 1);  // its timer
  CHECK(until(host, [&] { return host.done(task); }));
  CHECK(::poll(&wait, 1, 0) == 0);
}

TEST_CASE("the descriptor is readable from a wakeup on until the next tick") {
  HostOptions options;
  options.ledger = ":memory:";
  bool has_memory = true;
  options.allocate = [&](void* block, std::size_t old_size, std::size_t new_size) -> void* {
    if (new_size == 0) return std::free(block), nullptr;
    const bool more = block == nullptr || new_size > old_size;
    return more && !has_memory ? nullptr : std::realloc(block, new_size);
  };
  Host host(std::move(options));
  const auto readable = [&] {
    pollfd wait{host.fd(), POLLIN, 0};
    return ::poll(&wait, 1, 0) == 1;
  };
  host.wakeup();  // before anybody asked for the descriptor
  CHECK(readable());
  CHECK(readable());
  host.tick(0);
  CHECK_FALSE(readable());
  host.wakeup();
  host.wakeup();
  CHECK(readable());
  host.tick(1000);
  CHECK_FALSE(readable());
  has_memory = false;
  CHECK_FALSE(host.reload());  // now there is no Lua state
  has_memory = true;
  host.wakeup();
  CHECK(readable());
  host.tick(1000);
  CHECK_FALSE(readable());
}

TEST_CASE("a host goes away while a name look-up hangs and does not wait for it") {
  g_names_hang = true;
  HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.base_url = "https://kling.example.invalid";
  auto host = std::make_unique<Host>(std::move(options));
  host->run("a.lua",
            "local k = require 'kling'\n"
            "for i = 1, 30 do k.text2video { prompt = 'x' .. i } end\n"
            "ready = true k.sleep(1000)");
  CHECK(until(*host, [&] { return host->get("ready") == "true"; }));
  host.reset();
  CHECK(g_names_hanging > 0);  // it was not waited for
  g_names_hang = false;
}

TEST_CASE("a host goes away while its transport hook owes an answer") {
  kling_exchange* owed = nullptr;
  kling_host_options options = KLING_HOST_OPTIONS;
  options.ledger = ":memory:";
  options.key = "k";
  options.user = &owed;
  options.send = [](void* user, const kling_request*, kling_exchange* exchange) {
    *static_cast<kling_exchange**>(user) = exchange;
  };
  kling_host* host = kling_host_new(&options, nullptr, 0);
  REQUIRE(host != nullptr);
  const std::string script = "require 'kling'.text2video { prompt = 'x' }:wait()";
  kling_host_run(host, "a.lua", script.data(), script.size(), nullptr);
  while (owed == nullptr) kling_host_tick(host, 1000);
  REQUIRE(owed != nullptr);
  CHECK(kling_host_pending(host) > 0);
  kling_host_free(host);
  kling_exchange_answer(owed, 200, "application/json", "{}", 2);  // too late, and harmless
}

TEST_CASE("a host goes away at any moment of a job") {
  const Stage stage;
  for (int moment = 0; moment < 40; moment += 2) {
    Host host(stage.options);
    host.run("a.lua",
             "local k = require 'kling' k.spawn(function() k.sleep(0.001) end)\n"
             "k.text2video { prompt = ... }:wait():probe()",
             ("[\"" + std::to_string(moment) + "\"]").c_str());
    const auto start = Steady::now();
    until(host, [&] { return millis_since(start) > moment; });
  }
}

TEST_CASE("options of an older program are filled up with defaults") {
  kling_host_options options = KLING_HOST_OPTIONS;
  options.ledger = ":memory:";
  options.struct_size = offsetof(kling_host_options, user);
  options.send = [](void*, const kling_request*, kling_exchange*) { std::abort(); };
  kling_host* host = kling_host_new(&options, nullptr, 0);
  CHECK(host != nullptr);
  kling_host_free(host);
  char why[100] = "";
  options.struct_size = 8;
  CHECK(kling_host_new(&options, why, sizeof why) == nullptr);
  CHECK(std::string(why).find("KLING_HOST_OPTIONS") != std::string::npos);
}
