// What the simulated service answers, without HTTP: paths, authorization, creates, queries, lists,
// clips, its own control paths, and what the fault script makes of them. Thread-safe; answers
// block on the disk, and that of a clip on its rendering.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "sim/callbacks.h"
#include "sim/clips.h"
#include "sim/dialect.h"
#include "sim/simulator.h"
#include "sim/store.h"

namespace kling::sim {

struct Request {
  std::string method, path, authorization, body;
  std::multimap<std::string, std::string> params;  ///< decoded, of the query string

  bool has(const char* name) const { return params.count(name) != 0; }
  std::string param(const char* name) const {
    const auto found = params.find(name);
    return found == params.end() ? std::string() : found->second;
  }
};

class Service {
 public:
  /// REQUIRES: options.clock
  Service(Options options, const Dialect& dialect);
  ~Service();

  /// Opens the state folder and reads the fault lines of the options. `base_url`: where clips are
  /// had. Once, before anything else.
  Status open(const std::string& base_url);
  /// Ends the callbacks and keeps the time. Idempotent.
  void close();

  /// The answer to a request; `mishap` is what is to happen to it on the wire.
  Answer answer(const Request& request, Mishap& mishap);
  Counters counters();
  Status add_fault(const std::string& line) { return faults_.add(line); }

 private:
  Answer route(const Request& request, Faults& faults);
  Answer create(const std::string& kind, const Request& request, Faults& faults);
  Answer query(const std::string& kind, const std::string& id, Faults& faults);
  Answer list(const std::string& kind, const Request& request);
  Answer batch(const Request& request);
  Answer clip(const Request& request, Faults& faults);
  Answer control(const Request& request);
  Answer refused(const Refusal& refusal) { return error_answer(dialect_, refusal, request_id()); }
  Answer data_answer(const Json& data);
  View view_of(const Task& task, Millis now, const Faults& faults);
  std::string request_id();

  const Options options_;
  const Dialect& dialect_;
  const bool temporary_;
  const std::string dir_;
  const Pictures pictures_;
  std::string base_url_;
  std::unique_ptr<Store> store_;
  FaultScript faults_;
  Clips clips_;
  Callbacks callbacks_;
  std::atomic<int> creates_{0}, queries_{0}, downloads_{0};
  std::atomic<std::uint64_t> requests_{0};
};

}  // namespace kling::sim
