// kling sim: the simulator as a server, until Ctrl-C.
#include <semaphore>

#include "cli/service.h"

namespace kling::cli {
namespace {

struct SimOptions : SimulationOptions {
  Voice voice;
  std::vector<double> run_seconds = {60, 180};
  double url_seconds = 86'400;
};

int run_sim(SimOptions& options) {
  std::binary_semaphore over(0);
  // Before any thread exists, so that every one inherits the mask.
  watch_interrupts([&] { over.release(); });
  sim::Options& service = options.service;
  service.clock = sim::Simulator::clock_for(service.state_dir, options.speed);
  service.min_run = static_cast<Millis>(options.run_seconds[0] * 1000);
  service.max_run = std::max(service.min_run, static_cast<Millis>(options.run_seconds[1] * 1000));
  service.url_life = static_cast<Millis>(options.url_seconds * 1000);
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
  over.acquire();
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
  options->speed = 1;
  options->voice.add_options(app);
  app.add_option("--host", options->service.host, "the IPv4 address to listen on")
      ->check(CLI::ValidIPV4)
      ->capture_default_str();
  app.add_option("--port", options->service.port, "0 (default): any free one")
      ->check(CLI::Range(0, 65535));
  app.add_option("--state", options->service.state_dir,
                 "folder that keeps tasks and clips (default: none)");
  app.add_option("--key", options->service.key, "the only bearer accepted (default: any)");
  options->add_service_options(app);
  const std::string group = "The simulated service";
  app.add_option("--run-seconds", options->run_seconds, "how long a generation takes, from to")
      ->expected(2)
      ->check(not_negative())
      ->capture_default_str()
      ->group(group);
  app.add_option("--url-seconds", options->url_seconds, "how long a clip's URL is valid")
      ->check(CLI::PositiveNumber)
      ->capture_default_str()
      ->group(group);
  app.footer("Example: kling sim --port 8900 --speed 60");
  return [options] { return run_sim(*options); };
}

}  // namespace kling::cli
