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

struct EngineLibrary {
  const char* version;
  decltype(&kling::sha256_hex) sha256_hex;
  decltype(&kling::base64_decode) base64_decode;
  decltype(&kling::random_hex) random_hex;
  decltype(&net::make_transport) make_transport;
  decltype(&net::service_address) service_address;
  decltype(&net::library_versions) library_versions;
  decltype(&net::proxy_for) proxy_for;
  decltype(&engine::make_engine) make_engine;
  decltype(&engine::service_name) service_name;
  decltype(&engine::resolve) resolve;
  decltype(&engine::open_ledger) open_ledger;
  decltype(&engine::copy_ledger) copy_ledger;
  const char* (*step_state_name)(engine::StepState);
  decltype(&engine::ledger_library_version) ledger_library_version;
  decltype(&sim::Simulator::start) start_simulator;
  decltype(&sim::Simulator::clock_for) simulator_clock_for;
};

}  // namespace kling::lazy
