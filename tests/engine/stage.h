// A service and engines that talk to it over real HTTP, in one process and on one jumping clock.
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "api/endpoint.h"
#include "base/digest.h"
#include "base/files.h"
#include "base/temp_folder.h"
#include "engine/engine.h"
#include "sim/simulator.h"
#include "support/clip_cache.h"
#include "support/jumping_clock.h"

namespace kling::engine::testing {

using api::Json;
using test::clip_cache;
using test::copy_clips;
using test::JumpingClock;
using test::TempFolder;

struct Stage {
  TempFolder folder;
  std::shared_ptr<JumpingClock> clock = std::make_shared<JumpingClock>();
  std::shared_ptr<CompletionQueue> queue = std::make_shared<CompletionQueue>(clock);
  sim::Options service;  ///< as it was started
  std::unique_ptr<sim::Simulator> simulator;
  EngineOptions options;
  std::shared_ptr<Engine> engine;

  explicit Stage(sim::Options wanted = {}, EngineOptions chosen = {})
      : service(std::move(wanted)), options(std::move(chosen)) {
    service.clock = clock;
    service.state_dir = folder / "service";
    copy_clips(clip_cache(), service.state_dir + "/clips");
    start_service();
    options.base_url = simulator->base_url();
    options.service = "sim";
    options.key = "sk-test";
    if (options.ledger_path.empty()) options.ledger_path = folder / "ledger.db";
    options.queue = queue;
    open_engine();
  }
  ~Stage() {
    engine.reset();
    simulator.reset();
    copy_clips(service.state_dir + "/clips", clip_cache());
  }

  void start_service() {
    auto started = sim::Simulator::start(service);
    REQUIRE_MESSAGE(started.ok(), (started ? "" : started.error().message));
    simulator = std::move(*started);
    service.port = simulator->port();  // the next start is found at the same address
  }
  /// As a new run on the same ledger does.
  void open_engine() {
    engine.reset();
    engine = make();
  }
  std::shared_ptr<Engine> make() const {
    EngineOptions own = options;
    own.purse = std::make_shared<Purse>();  // a process of its own
    auto made = make_engine(std::move(own));
    REQUIRE_MESSAGE(made.ok(), (made ? "" : made.error().message));
    return std::move(*made);
  }

  /// Runs completions until `condition` holds; false after minutes, where something hangs.
  template <class Condition>
  bool until(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    for (;;) {
      queue->drain();
      if (condition()) return true;
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
  }

  static CreateRequest request(const std::string& endpoint, const Json& fields) {
    CreateRequest made = from_main();
    made.request.endpoint = endpoint;
    made.request.fields = fields;
    for (const auto& finding : api::normalize(*api::find_endpoint(endpoint), made.request))
      CHECK_MESSAGE(finding.level != api::Finding::Level::error, finding.message);
    return made;
  }
  static CreateRequest from_main() {
    CreateRequest made;
    made.task_path = "main";
    made.where = "film.lua:1";
    return made;
  }
  static CreateRequest shot(const std::string& prompt = "A lighthouse at dusk") {
    return request("text2video", {{"prompt", prompt}});
  }

  std::shared_ptr<Job> create(CreateRequest wanted) { return create(*engine, std::move(wanted)); }
  static std::shared_ptr<Job> create(Engine& with, CreateRequest wanted) {
    return with.create(std::move(wanted), [](const Result<std::shared_ptr<Job>>&) {});
  }

  JobSnapshot snapshot(const std::shared_ptr<Job>& job) const { return engine->snapshot(job); }

  /// Waits until the job rests: finished and, where clips are kept, stored or given up.
  JobSnapshot finish(const std::shared_ptr<Job>& job) { return finish(*engine, job); }
  JobSnapshot finish(Engine& with, const std::shared_ptr<Job>& job) {
    bool done = false;
    with.watch(job, options.store ? Milestone::stored : Milestone::finished,
               {job, [&] { done = true; }});
    const bool ended = until([&] { return done; });
    const JobSnapshot seen = with.snapshot(job);
    CAPTURE(name(seen.phase));
    CHECK_MESSAGE(ended, "the job did not come to rest");
    // A completion that refers to this frame must not outlive it.
    REQUIRE(ended);
    return seen;
  }
  JobSnapshot run(CreateRequest wanted) { return finish(create(std::move(wanted))); }

  /// A POST of kling.request.
  Result<Json> post_plainly() {
    Result<std::shared_ptr<Job>> recorded = Error{};
    bool done = false;
    engine->post("/kling/v1/videos/text2video", {{"prompt", "x"}, {"model_name", "kling-v2-6"}},
                 from_main(), [&](Result<std::shared_ptr<Job>> got) {
                   recorded = std::move(got);
                   done = true;
                 });
    REQUIRE(until([&] { return done; }));
    if (!recorded) return recorded.error();
    const JobSnapshot seen = finish(*recorded);
    if (seen.error) return *seen.error;
    return engine->answer(*recorded);
  }

  sim::Counters count() const { return simulator->counters(); }
};

inline EngineOptions without_store() {
  EngineOptions options;
  options.store = false;
  return options;
}

/// Real time-outs as short as a loaded machine allows.
inline EngineOptions impatient(EngineOptions options = {}) {
  options.get_deadline = options.post_deadline = options.stall_timeout = 250;
  return options;
}

inline sim::Options with_faults(std::vector<std::string> lines, sim::Options options = {}) {
  options.faults = std::move(lines);
  return options;
}

}  // namespace kling::engine::testing
