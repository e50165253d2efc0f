// A host on a simulator, driven as a program would drive it; and a service that is only a hook.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>
#include <poll.h>

#include "base/temp_folder.h"
#include "kling/host.hpp"
#include "sim/simulator.h"

namespace kling::test {

using Json = nlohmann::json;
using Steady = std::chrono::steady_clock;

inline double millis_since(Steady::time_point start) {
  return std::chrono::duration<double, std::milli>(Steady::now() - start).count();
}

struct Stage {
  std::unique_ptr<sim::Simulator> service;
  HostOptions options;

  explicit Stage(sim::Options service_options = {}) {
    if (!service_options.clock) service_options.clock = make_clock(1000);
    auto started = sim::Simulator::start(std::move(service_options));
    REQUIRE(started.ok());
    service = std::move(*started);
    options.base_url = service->base_url();
    options.key = "sk-test";
    options.ledger = ":memory:";
    options.poll = 0.02;
  }
};

/// Ticks whenever the descriptor says so, until `condition` holds; false after minutes, where
/// something hangs.
template <class Condition>
bool until(Host& host, Condition condition) {
  const auto start = Steady::now();
  while (!condition()) {
    if (millis_since(start) > 180'000) return false;
    if (host.tick(1000)) continue;
    pollfd wait{host.fd(), POLLIN, 0};
    ::poll(&wait, 1, 20);
  }
  return true;
}

/// Runs a script to its end: its results, or its error.
inline Json run(Host& host, const std::string& source, const char* arguments = nullptr) {
  const Host::Task task = host.run("test.lua", source, arguments);
  INFO(host.error());
  REQUIRE(task != 0);
  REQUIRE(until(host, [&] { return !host.running(task); }));
  return Json::parse(host.result(task));
}

/// Accepts every create and says "processing" for ever.
struct EndlessService {
  int creates = 0, queries = 0;
  std::thread::id asked_on;

  void answer(const kling_request& request, Exchange exchange) {
    asked_on = std::this_thread::get_id();
    std::string id = std::string(request.target);
    id = id.substr(id.rfind('/') + 1);
    const bool create = std::string(request.method) == "POST";
    create ? ++creates : ++queries;
    if (create) id = std::to_string(1000 + creates);
    exchange.answer(200, R"({"code":0,"message":"ok","data":{"task_id":")" + id +
                             R"(","task_status":"processing","created_at":1,"updated_at":1}})");
  }
};

}  // namespace kling::test
