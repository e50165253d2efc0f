// This side of the border, in the program and in kling.so: every function that crosses, under its
// own name, so that no caller knows. The linker takes these in place of the archives' (and refuses
// when anything drags those in as well).
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

#include <dlfcn.h>

#include "lazy/engine_library.h"

namespace kling {
namespace {

namespace fs = std::filesystem;

/// The folder of the program or module, at its start: a module may have been found by a relative
/// path, and the working directory changes.
const fs::path own_folder = [] {
  std::error_code error;
#ifdef KLING_IN_MODULE
  Dl_info self{};
  ::dladdr(&own_folder, &self);
  const char* path = self.dli_fname;
#else
  const char* path = "/proc/self/exe";
#endif
  return fs::canonical(path, error).parent_path();
}();

/// The library, or why there is none.
struct Opened {
  const lazy::EngineLibrary* library = nullptr;
  std::string why = "libkling-engine.so is missing";
};

/// From where it is installed or was built, never from the working directory. A run path would be
/// searched for every library that the program starts with.
Opened open() {
  Opened opened;
  for (const char* folder : {KLING_LIBRARY_FOLDERS}) {
    const std::string path = own_folder / folder / "libkling-engine.so";
    std::error_code error;
    if (own_folder.empty() || !fs::exists(path, error)) continue;
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    const void* table = handle == nullptr ? nullptr : ::dlsym(handle, "kling_engine_library");
    const auto* library = static_cast<const lazy::EngineLibrary*>(table);
    if (library != nullptr && std::strcmp(library->version, KLING_VERSION) == 0) return {library};
    opened.why = library != nullptr ? path + " is of version " + library->version : ::dlerror();
  }
  return opened;
}

const Opened& opened() {
  static const Opened once = open();
  return once;
}

constexpr const char* kHint = "install all of kling again, of one version";

/// Without it the installation is broken: no caller could go on.
const lazy::EngineLibrary& library() {
  if (opened().library != nullptr) return *opened().library;
  std::fprintf(stderr, "kling: %s\n  %s\n", opened().why.c_str(), kHint);
  std::_Exit(EXIT_FAILURE);
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
/// What a script's first request needs. Another program's is told, not ended.
Result<std::unique_ptr<Engine>> make_engine(EngineOptions options) {
  if (opened().library == nullptr)
    return Error{.kind = Kind::invalid, .message = opened().why, .hint = kHint};
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
Result<std::vector<Step>> copy_ledger(const std::string& path, const std::string& copy) {
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
