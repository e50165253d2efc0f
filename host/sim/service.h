// What the simulated service answers, without a connection: paths, authorization, creates, queries,
// lists, clips, its own control paths, and what the fault script makes of them. Thread-safe;
// answers block on the disk, and that of a clip on its rendering.
#pragma once

#include <httplib.h>

#include "sim/callbacks.h"
#include "sim/clips.h"
#include "sim/dialect.h"

namespace kling::sim {

class Service {
 public:
  /// REQUIRES: options.clock
  Service(Options options, Mix mix);
  ~Service();

  /// Opens the state folder and reads the fault lines of the options. `base_url`: where clips are
  /// had. Once, before anything else.
  Status open(const std::string& base_url);
  /// Ends the callbacks and keeps the time. Idempotent.
  void close();

  /// The answer to a request; `mishap` is what is to happen to it on the wire.
  Answer answer(const httplib::Request& request, Mishap& mishap);
  Counters counters();
  Status add_fault(const std::string& lines) { return faults_.add(lines); }

 private:
  struct Exchange;
  Answer route(Exchange& exchange);
  Answer create(Exchange& exchange);
  Answer query(Exchange& exchange);
  Answer list(const Exchange& exchange);
  Answer clip(Exchange& exchange);
  Answer control(const httplib::Request& request);
  Answer refused(const Exchange& exchange, const Refusal& refusal);
  View view_of(const Task& task, Millis now, const Faults& faults);
  std::string request_id();

  const Options options_;
  const Mix mix_;
  const std::string dir_, clips_dir_;
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
