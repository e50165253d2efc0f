// The program's side: every function that crosses, under its own name, so that no caller knows. The
// linker takes these in place of the archives' (and refuses when anything drags those in as well).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <dlfcn.h>

#include "lazy/engine_library.h"

namespace kling {
namespace {

/// Beside the program, as installed or as built. A run path would be searched for every library
/// that the program starts with. Without it the installation is broken: no caller could go on.
const lazy::EngineLibrary& load() {
  std::error_code error;
  const auto prefix =
      std::filesystem::read_symlink("/proc/self/exe", error).parent_path().parent_path();
  std::string why = "libkling-engine.so is missing";
  for (const char* folder : {KLING_LIBRARY_FOLDER, "lib"}) {
    const std::string path = prefix / folder / "libkling-engine.so";
    // Never from the working directory.
    if (prefix.empty() || !std::filesystem::exists(path, error)) continue;
    void* opened = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void* table = opened == nullptr ? nullptr : ::dlsym(opened, "kling_engine_library");
    const auto* library = static_cast<const lazy::EngineLibrary*>(table);
    if (library != nullptr && std::strcmp(library->version, KLING_VERSION) == 0) return *library;
    why = library != nullptr ? path + " is of version " + library->version : ::dlerror();
  }
  std::fprintf(stderr, "kling: %s\n  install all of kling again, of one version\n", why.c_str());
  std::_Exit(EXIT_FAILURE);
}

const lazy::EngineLibrary& library() {
  static const lazy::EngineLibrary& loaded = load();
  return loaded;
}

}  // namespace

std::string sha256_hex(std::string_view data) { return library().sha256_hex(data); }
bool base64_decode(std::string_view text, std::string& out) {
  return library().base64_decode(text, out);
}
std::string random_hex(std::size_t count) { return library().random_hex(count); }

namespace net {
Result<std::shared_ptr<Transport>> make_transport(const TransportOptions& options) {
  return library().make_transport(options);
}
std::string library_versions() { return library().library_versions(); }
Result<std::optional<Proxy>> proxy_for(const Origin& origin) { return library().proxy_for(origin); }
}  // namespace net

namespace engine {
Result<std::unique_ptr<Engine>> make_engine(EngineOptions options) {
  return library().make_engine(std::move(options));
}
Result<std::string> service_name(const EngineOptions& options) {
  return library().service_name(options);
}
Status resolve(const EngineOptions& options, const std::string& handle, const std::string& adopt,
               bool resubmit) {
  return library().resolve(options, handle, adopt, resubmit);
}
Result<std::shared_ptr<Ledger>> open_ledger(const std::string& path, const LedgerOptions& options) {
  return library().open_ledger(path, options);
}
Result<std::vector<StepRow>> copy_ledger(const std::string& path, const std::string& copy) {
  return library().copy_ledger(path, copy);
}
const char* name(StepState state) { return library().step_state_name(state); }
std::string ledger_library_version() { return library().ledger_library_version(); }
}  // namespace engine

namespace sim {
Result<std::unique_ptr<Simulator>> Simulator::start(Options options) {
  return library().start_simulator(std::move(options));
}
std::shared_ptr<Clock> Simulator::clock_for(const std::string& state_dir, double speed) {
  return library().simulator_clock_for(state_dir, speed);
}
}  // namespace sim

}  // namespace kling
