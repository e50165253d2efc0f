// kling jobs wait and save: picks up what another process left. Sends no paid request: a job that
// was never sent needs its script.
#include <optional>

#include "cli/interrupt.h"
#include "cli/jobs.h"
#include "cli/progress.h"
#include "engine/media_source.h"
#include "engine/step.h"
#include "net/transport.h"

namespace kling::cli {
namespace {

using engine::StepRow;

struct WaitOptions : JobsOptions {
  std::vector<std::string> handles;
  std::string path;  ///< of `save`
};

/// What a handle means, and its error when it means nothing that can be waited for.
struct Target {
  std::string handle;
  std::optional<Error> error;
  std::shared_ptr<engine::Job> job;
};

/// An engine and the jobs that it waits for.
class Waiting {
 public:
  explicit Waiting(WaitOptions& options) : options_(options) {}

  Result<Done> start() {
    std::string notice;
    auto settings =
        engine_options(options_.service, options_.script, options_.simulation.on, notice);
    if (!settings) return settings.error();
    simulation_.emplace(options_.simulation,
                        std::filesystem::path(settings->ledger_path).parent_path().string());
    queue_ = std::make_shared<engine::CompletionQueue>(options_.simulation.on ? simulation_->clock()
                                                                              : make_clock());
    // Signals are blocked before the first thread, so that all of them inherit that.
    Interrupt::install([queue = queue_] { queue->wake(); });
    settings->queue = queue_;
    settings->log = [this](const std::string& level, const std::string& text) {
      options_.voice.note(level == "info" ? text : level + ": " + text);
    };
    if (options_.simulation.on)
      if (Status connected = simulation_->connect(*settings); !connected.ok())
        return connected.error();
    service_ = settings->service;
    if (service_.empty()) {
      auto address = net::service_address(settings->base_url.empty() ? engine::kDefaultBaseUrl
                                                                     : settings->base_url);
      if (!address) return address.error();
      service_ = *address;
    }
    auto engine = engine::make_engine(std::move(*settings));
    if (!engine) return engine.error();
    engine_ = std::move(*engine);
    progress_.emplace(options_.voice, queue_->clock());
    return Done{};
  }

  /// The jobs of the command line; without any, all that are open.
  Result<std::vector<Target>> targets() const {
    std::vector<Target> found;
    if (!options_.handles.empty()) {
      for (const std::string& text : options_.handles) {
        const auto row = find_step(options_, text);
        // A job that this ledger does not know may still be the account's.
        const auto handle = engine::parse_handle(text);
        if (!row && handle && !handle->endpoint.empty())
          found.push_back({text, {}, nullptr});
        else if (!row)
          found.push_back({text, row.error(), nullptr});
        else
          found.push_back(target_of(*row));
      }
      return found;
    }
    const auto ledger = options_.open();
    if (!ledger) return ledger.error();
    if (*ledger == nullptr) return found;
    const auto rows = (*ledger)->list(0);
    if (!rows) return rows.error();
    for (auto row = rows->rbegin(); row != rows->rend(); ++row)
      if (is_open(*row)) found.push_back(target_of(*row));
    return found;
  }

  /// Blocks until each has come to rest (and its clip to the store), or Ctrl-C.
  void wait(std::vector<Target>& wanted) {
    for (Target& target : wanted) {
      if (target.error) continue;
      ++open_;
      engine_->find(target.handle, [this, &target](Result<std::shared_ptr<engine::Job>> job) {
        if (!job) {
          target.error = job.error();
          --open_;
          return;
        }
        target.job = *job;
        engine_->watch(*job, engine::Milestone::stored, [this] { --open_; });
      });
    }
    until([this] { return open_ == 0; });
  }

  template <class Condition>
  void until(Condition reached) {
    while (!Interrupt::requested()) {
      queue_->drain();
      progress_->update({engine_.get()});
      if (reached()) break;
      const int refresh = progress_->refresh_millis();
      const double speed = options_.simulation.on ? options_.simulation.speed : 1.0;
      queue_->wait(refresh == 0 ? kNever
                                : queue_->clock().now() + static_cast<Millis>(refresh * speed) + 1);
    }
    progress_->erase();
  }

  engine::Engine& engine() { return *engine_; }

 private:
  /// Another service may know another task by the same id, or deny that there is one: only the
  /// service that was paid is asked.
  Target target_of(const StepRow& row) const {
    const std::string handle = handle_of(row);
    if (row.service == service_ || !is_open(row)) return {handle, {}, nullptr};
    return {handle,
            Error{.kind = Kind::invalid,
                  .message = handle + " is a job of " + row.service + ", not of " + service_,
                  .hint = row.service == "sim" ? "add --sim" : "name its service with --base-url"},
            nullptr};
  }

  WaitOptions& options_;
  std::optional<Simulation> simulation_;
  std::shared_ptr<engine::CompletionQueue> queue_;
  std::unique_ptr<engine::Engine> engine_;
  std::optional<Progress> progress_;
  std::string service_;
  std::size_t open_ = 0;  ///< jobs that are waited for
};

int interrupted(const Voice& voice) {
  voice.note("interrupted; jobs go on at the service. Run the same command again to go on waiting");
  return kExitInterrupted;
}

int run_wait(WaitOptions& options) {
  Waiting waiting(options);
  if (auto started = waiting.start(); !started) return options.voice.fail(started.error());
  auto targets = waiting.targets();
  if (!targets) return options.voice.fail(targets.error());
  if (targets->empty()) options.voice.note("no job is open in " + options.ledger_path());
  waiting.wait(*targets);

  int code = kExitDone;
  bool left = false;
  for (const Target& target : *targets) {
    std::optional<Error> error = target.error;
    bool failed = false;
    if (target.job) {
      const engine::JobSnapshot shot = waiting.engine().snapshot(target.job);
      error = shot.error;
      failed = shot.state == "failed";
      if (!error && shot.state != "succeeded") left = true;
      if (!error && shot.state == "succeeded" && !options.voice.json)
        std::printf("%s  succeeded  %s\n", shot.handle.c_str(), shot.path.c_str());
      if (shot.store_error)
        options.voice.note(shot.handle + ": the clip is not stored: " + shot.store_error->message);
    } else if (!error) {
      left = true;
    }
    if (!error) continue;
    error->job = target.handle;
    if (!options.voice.json && !error->message.starts_with(target.handle))
      error->message = target.handle + ": " + error->message;
    const int its = options.voice.fail(*error);
    if (code == kExitDone) code = failed ? int{kExitGenerationFailed} : its;
  }
  return left && Interrupt::requested() ? interrupted(options.voice) : code;
}

int run_save(WaitOptions& options) {
  Waiting waiting(options);
  if (auto started = waiting.start(); !started) return options.voice.fail(started.error());
  auto targets = waiting.targets();
  if (!targets) return options.voice.fail(targets.error());
  waiting.wait(*targets);
  const Target& target = targets->front();
  if (target.error) return options.voice.fail(*target.error);
  if (Interrupt::requested()) return interrupted(options.voice);
  if (const auto shot = waiting.engine().snapshot(target.job); shot.error) {
    const int code = options.voice.fail(*shot.error);
    return shot.state == "failed" ? int{kExitGenerationFailed} : code;
  }

  const auto clip = std::make_shared<engine::MediaSource>();
  clip->recipe = engine::MediaSource::Recipe::clip;
  clip->job = target.job;
  std::optional<Result<std::string>> saved;
  waiting.engine().save(clip, options.path,
                        [&saved](Result<std::string> path) { saved.emplace(std::move(path)); });
  waiting.until([&] { return saved.has_value(); });
  if (!saved) return interrupted(options.voice);
  if (!*saved) return options.voice.fail(saved->error());
  if (options.voice.json) {
    Voice::line({{"handle", target.handle}, {"path", **saved}});
  } else {
    std::printf("%s\n", saved->value().c_str());
  }
  return kExitDone;
}

std::shared_ptr<WaitOptions> add_options(CLI::App& app) {
  auto options = std::make_shared<WaitOptions>();
  options->voice.add_options(app);
  options->service.add_options(app);
  options->service.add_waiting_options(app);
  options->simulation.add_options(app);
  return options;
}

}  // namespace

std::function<int()> set_up_jobs_wait(CLI::App& app) {
  auto options = add_options(app);
  app.add_option("handles", options->handles, "handles, ids, or beginnings (default: all open)")
      ->type_name("HANDLE");
  app.footer("Example: kling jobs wait kling:text2video/861309198188019719");
  return [options] { return run_wait(*options); };
}

std::function<int()> set_up_jobs_save(CLI::App& app) {
  auto options = add_options(app);
  options->handles.resize(1);
  app.add_option("handle", options->handles[0], "a handle, an id, or the beginning of one")
      ->required()
      ->type_name("HANDLE");
  app.add_option("path", options->path, "where to; \"folder/\" picks a name")
      ->required()
      ->type_name("FILE");
  app.footer("Example: kling jobs save kling:text2video/861309198188019719 shot.mp4");
  return [options] { return run_save(*options); };
}

}  // namespace kling::cli
