// kling sim: the simulator as a server, until Ctrl-C.
#include <condition_variable>
#include <memory>
#include <mutex>

#include "cli/command.h"
#include "cli/interrupt.h"
#include "cli/simulation.h"

namespace kling::cli {
namespace {

struct SimOptions {
  Voice voice;
  sim::Options service;
  double speed = 1;
  bool no_lookup = false;
};

int run_sim(SimOptions& options) {
  std::mutex mutex;
  std::condition_variable wake;
  // Before any thread exists, so that every one inherits the mask.
  Interrupt::install([&] {
    std::lock_guard lock(mutex);
    wake.notify_all();
  });
  sim::Options& service = options.service;
  service.clock = make_clock(
      options.speed, std::max(make_clock()->now(), sim::Simulator::saved_time(service.state_dir)));
  service.external_lookup = !options.no_lookup;
  service.log = [&](const std::string& line) { options.voice.note(line); };
  auto simulator = sim::Simulator::start(service);
  if (!simulator) return options.voice.fail(simulator.error());
  const std::string url = (*simulator)->base_url();
  if (options.voice.json) {
    Voice::line({{"base_url", url}});
  } else {
    std::printf("%s\n", url.c_str());
    std::fflush(stdout);
    options.voice.note("point any Kling client at this address, for example: KLING_BASE_URL=" +
                       url + " KLING_API_KEY=any kling run film.lua");
  }
  std::unique_lock lock(mutex);
  wake.wait(lock, [] { return Interrupt::requested(); });
  lock.unlock();
  const sim::Counters counters = (*simulator)->counters();
  if (options.voice.json) {
    Voice::line({{"creates", counters.creates},
                 {"charged", counters.charged},
                 {"charged_usd", counters.charged_usd}});
  } else {
    options.voice.note(std::to_string(counters.creates) + " create requests, " +
                       std::to_string(counters.charged) + " charged clips");
  }
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_sim(CLI::App& app) {
  auto options = std::make_shared<SimOptions>();
  options->voice.add_options(app);
  app.add_option("--port", options->service.port, "0 (default): any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--state", options->service.state_dir,
                 "folder that keeps tasks and clips (default: none)");
  app.add_option("--speed", options->speed, "simulated seconds in one real second")
      ->check(CLI::Range(0.01, 100000.0))
      ->capture_default_str();
  app.add_option("--dialect", options->service.dialect,
                 "whose answers it gives: native, wrapped, comet, newapi or kling-new")
      ->capture_default_str();
  app.add_option("--fault", options->service.faults,
                 "what goes wrong, such as \"create#2: accept, drop\"; may be repeated");
  app.add_option("--seed", options->service.seed,
                 "another number, another series of random events");
  app.add_option("--key", options->service.key, "the only bearer accepted (default: any)");
  app.add_option("--slots", options->service.slots,
                 "tasks at once, more are refused with code 1303 (0: no limit)");
  app.add_flag("--no-lookup", options->no_lookup,
               "tasks are not found by external id, as with some proxies");
  app.footer("Example: kling sim --port 8900 --speed 60");
  return [options] { return run_sim(*options); };
}

}  // namespace kling::cli
