// The border between the program, or kling.so, and libkling-engine: HTTP, TLS, the ledger's
// database and the simulator cost 3 ms to load, so they are loaded with the first call that needs
// them. These are the functions that cross, under the names they have behind it; classes cross by
// their virtual functions, values by being compiled into both sides. Both are of one build. Any
// thread.
#pragma once

#include "base/digest.h"
#include "engine/engine.h"
#include "engine/ledger.h"
#include "net/environment.h"
#include "net/transport.h"
#include "sim/simulator.h"

namespace kling::lazy {

/// Made in the library only: what stands to the right of the equals signs is not in the program.
struct EngineLibrary {
  const char* version = KLING_VERSION;
  decltype(&kling::sha256_hex) sha256_hex = kling::sha256_hex;
  decltype(&kling::base64_decode) base64_decode = kling::base64_decode;
  decltype(&kling::random_hex) random_hex = kling::random_hex;
  decltype(&net::make_transport) make_transport = kling::net::make_transport;
  decltype(&net::library_versions) library_versions = kling::net::library_versions;
  decltype(&net::proxy_for) proxy_for = kling::net::proxy_for;
  decltype(&engine::make_engine) make_engine = kling::engine::make_engine;
  decltype(&engine::service_name) service_name = kling::engine::service_name;
  decltype(&engine::resolve) resolve = kling::engine::resolve;
  decltype(&engine::open_ledger) open_ledger = kling::engine::open_ledger;
  decltype(&engine::copy_ledger) copy_ledger = kling::engine::copy_ledger;
  const char* (*step_state_name)(engine::StepState) = kling::engine::name;
  decltype(&engine::ledger_library_version) ledger_library_version =
      kling::engine::ledger_library_version;
  decltype(&sim::Simulator::start) start_simulator = kling::sim::Simulator::start;
  decltype(&sim::Simulator::clock_for) simulator_clock_for = kling::sim::Simulator::clock_for;
};

}  // namespace kling::lazy
