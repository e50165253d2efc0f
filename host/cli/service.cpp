#include "cli/service.h"

#include <semaphore>

#include "api/text.h"
#include "base/files.h"
#include "sim/dialect.h"

namespace kling::cli {
namespace {

constexpr const char* kSimulated = "The simulated service";

/// A line for the fault script, or "@FILE" with many.
std::string read_fault(std::string& line) {
  if (line.starts_with("@")) {
    auto file = read_file(line.substr(1), 1u << 20);
    if (!file) return file.error().message;
    line = std::move(*file);
    if (Status read = api::take_byte_order_mark(line, "this file"); !read)
      return read.error().message;
  }
  const Status known = sim::FaultScript().add(line);
  return known ? "" : known.error().message + "; " + known.error().hint;
}

std::string check_dialect(const std::string& words) {
  const auto known = sim::Mix::read(words);
  return known ? "" : known.error().message + "; " + known.error().hint;
}

// ---- kling sim: the simulator as a server, until Ctrl-C ----

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
  (void)options.voice.result({{"base_url", url}}, url + "\n");
  std::fflush(stdout);
  options.voice.note("point any Kling client at this address, for example: KLING_BASE_URL=" + url +
                     " KLING_API_KEY=any kling run film.lua");
  over.acquire();
  const sim::Counters counters = (*simulator)->counters();
  if (options.voice.json)
    Voice::line({{"creates", counters.creates},
                 {"charged", counters.charged},
                 {"charged_usd", counters.charged_usd}});
  options.voice.note(std::to_string(counters.creates) + " create requests, " +
                     std::to_string(counters.charged) + " charged clips");
  return kExitDone;
}

}  // namespace

void ServiceOptions::add_options(CLI::App& app) {
  app.add_option("--base-url", base_url,
                 "the service (KLING_BASE_URL; default https://api.cometapi.com)");
  app.add_option("--ledger", ledger,
                 "the ledger file (KLING_LEDGER; default: in the nearest .kling/), or :memory:");
  app.add_option("--store", store, "folder for finished clips (default: beside the ledger)");
  app.add_flag("--insecure", insecure,
               "allow a plain http:// service elsewhere than on this machine");
}

void SimulationOptions::add_options(CLI::App& app) {
  CLI::Option* sim =
      app.add_flag("--sim", on, "talk to the built-in simulator: real HTTP, real clips, no money");
  add_service_options(app);
  for (CLI::Option* option : app.get_options()) {
    if (option->get_group() != kSimulated) continue;
    option->needs(sim);  // who rehearses faults and forgets --sim must not pay
    if (app.get_name() != "run") option->group("");  // the same everywhere, shown once
  }
}

void SimulationOptions::add_service_options(CLI::App& app) {
  const auto add = [&app](const char* name, auto& value, const char* doc) {
    return app.add_option(name, value, doc)->group(kSimulated);
  };
  add("--speed", speed, "simulated seconds in one real second")
      ->check(number_in(0.01, 100000.0))
      ->capture_default_str();
  add("--dialect", service.dialect,
      "the form of its answers, such as comet; native,omni=wrapped sets it for one endpoint")
      ->check(CLI::Validator(check_dialect, ""))
      ->capture_default_str();
  add("--fault", service.faults,
      "what goes wrong, such as \"create#2: accept, drop\", or @FILE of such lines; may be "
      "repeated")
      ->allow_extra_args(false)  // the next word may be the script
      ->transform(CLI::Validator(read_fault, "LINE"));
  add("--seed", service.seed, "the seed of its random events");
  add("--slots", service.slots, "tasks at once, more are refused with code 1303 (0: no limit)")
      ->check(number_in(0));
  add("--credit", service.units, "units to spend, at US$ 0.14, then code 1102 (0: no limit)")
      ->check(number_in(0));
  const auto flag = [&app](const char* name, bool& value, const char* doc) {
    app.add_flag(std::string(name) + "{false}", value, doc)->group(kSimulated);
  };
  flag("--no-lookup", service.external_lookup,
       "tasks are not found by external id, as with some proxies");
  flag("--no-unique", service.external_unique,
       "external ids may be used twice, as with some proxies");
}

void JobOptions::add_options(CLI::App& app) {
  voice.add_options(app);
  service.add_options(app);
  app.add_option("--poll-interval", service.poll_interval,
                 "seconds between two queries of a job (KLING_POLL_INTERVAL)")
      ->check(number_in(0));
  app.add_option("--patience", service.patience,
                 "how many seconds a lost answer is looked for (KLING_PATIENCE)")
      ->check(number_in(0));
  simulation.add_options(app);
}

Status Service::open(const std::string& script) {
  const SimulationOptions& simulation = options_.simulation;
  auto found = engine_options(options_.service, script,
                              simulation.on && !simulation.with_real_ledger, notice);
  if (!found) return found.error();
  settings = std::move(*found);
  simulated_ = simulation.service;
  simulated_.keep_clips = false;  // the store has them
  if (simulated_.state_dir.empty() && settings.ledger_path != ":memory:")
    simulated_.state_dir = std::filesystem::path(settings.ledger_path).parent_path().string();
  if (simulation.on)
    simulated_.clock = sim::Simulator::clock_for(simulated_.state_dir, simulation.speed);
  queue =
      std::make_shared<engine::CompletionQueue>(simulation.on ? simulated_.clock : make_clock());
  settings.queue = queue;
  // A worker's words wait until the main thread may print: it has live lines on the terminal.
  settings.log = [voice = options_.voice, home = std::this_thread::get_id(),
                  waiting = std::weak_ptr(queue)](const std::string& level,
                                                  const std::string& text) {
    const std::string line = level == "info" || level == "question" ? text : level + ": " + text;
    Voice loud = voice;
    if (level == "question" || ((voice.warns || voice.json) && level == "warning")) {
      loud.quiet = voice.quiet && !voice.warns && level == "warning";
      loud.json = voice.json && level != "warning";  // somebody is to answer, or to think again
    }
    const auto there = waiting.lock();
    if (std::this_thread::get_id() == home || !there) return loud.note(loud.typed(line));
    there->post([loud, line] { loud.note(loud.typed(line)); });
  };
  return Done{};
}

Status Service::connect(engine::EngineOptions& options) {
  if (!options_.simulation.on) return Done{};
  if (!simulator_) {
    auto started = sim::Simulator::start(simulated_);
    if (!started) return started.error();
    simulator_ = std::move(*started);
  }
  options.base_url = simulator_->base_url();
  options.service = "sim";
  options.key = "sk-simulator";
  return Done{};
}

Result<std::shared_ptr<engine::Engine>> Service::start(const std::string& script,
                                                       const std::string& service) {
  if (Status opened = open(script); !opened) return opened.error();
  if (!service.empty()) settings.service = service;
  watch_interrupts([queue = queue] { queue->wake(); });
  return make_engine(settings);
}

Result<std::shared_ptr<engine::Engine>> Service::make_engine(engine::EngineOptions options) {
  if (Status connected = connect(options); !connected.ok()) return connected.error();
  return engine::make_engine(std::move(options));
}

lua::ModuleOptions Service::module_options() {
  return {.engine = settings,
          .make_engine = [this](auto chosen) { return make_engine(std::move(chosen)); },
          .queue = queue,
          .own_interpreter = true,
          .log = settings.log};
}

Millis Service::deadline(int real_milliseconds) const {
  if (real_milliseconds < 0) return kNever;
  const double speed = options_.simulation.on ? options_.simulation.speed : 1.0;
  return queue->clock().now() + static_cast<Millis>(real_milliseconds * speed) + 1;
}

std::string Service::summary(const std::vector<engine::Engine*>& engines) const {
  if (!simulator_) return "";
  const double usd = engine::bill_of(engines).usd;
  return "rehearsal: nothing was paid" + (usd > 0 ? printed("; for real about $%.2f", usd) : "");
}

std::function<int()> set_up_sim(CLI::App& app) {
  auto options = std::make_shared<SimOptions>();
  options->speed = 1;
  options->voice.add_options(app);
  app.add_option("--host", options->service.host, "the IPv4 address to listen on")
      ->check(CLI::ValidIPV4)
      ->capture_default_str();
  app.add_option("--port", options->service.port, "0 (default): any free one")
      ->check(number_in(0, 65535));
  app.add_option("--state", options->service.state_dir,
                 "folder that keeps tasks and clips (default: none)");
  app.add_option("--key", options->service.key, "the only bearer accepted (default: any)");
  options->add_service_options(app);
  app.add_option("--run-seconds", options->run_seconds, "how long a generation takes, from to")
      ->expected(2)
      ->check(number_in(0))
      ->capture_default_str()
      ->group(kSimulated);
  app.add_option("--url-seconds", options->url_seconds, "how long a clip's URL is valid")
      ->check(number_in(0.001))
      ->capture_default_str()
      ->group(kSimulated);
  app.footer("Example: kling sim --port 8900 --speed 60");
  return [options] { return run_sim(*options); };
}

}  // namespace kling::cli
