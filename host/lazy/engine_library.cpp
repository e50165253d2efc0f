#include "lazy/engine_library.h"

/// The one symbol that libkling-engine.so exports.
extern "C" [[gnu::visibility("default")]] const kling::lazy::EngineLibrary kling_engine_library{
    .version = KLING_VERSION,
    .sha256_hex = kling::sha256_hex,
    .base64_decode = kling::base64_decode,
    .random_hex = kling::random_hex,
    .make_transport = kling::net::make_transport,
    .service_address = kling::net::service_address,
    .library_versions = kling::net::library_versions,
    .proxy_for = kling::net::proxy_for,
    .make_engine = kling::engine::make_engine,
    .service_name = kling::engine::service_name,
    .resolve = kling::engine::resolve,
    .open_ledger = kling::engine::open_ledger,
    .copy_ledger = kling::engine::copy_ledger,
    .step_state_name = kling::engine::name,
    .ledger_library_version = kling::engine::ledger_library_version,
    .start_simulator = kling::sim::Simulator::start,
    .simulator_clock_for = kling::sim::Simulator::clock_for,
};
