// kling jobs wait, save and notify: picks up what another process left. Sends no paid request: a
// job that was never sent needs its script.
#include <iostream>
#include <iterator>

#include "api/text.h"
#include "cli/jobs.h"
#include "cli/progress.h"

namespace kling::cli {
namespace {

using engine::Step;

struct WaitOptions : LedgerOptions {
  using JobOptions::add_options;
  std::vector<std::string> handles;
  std::string path;  ///< of `save` and `notify`
  std::vector<std::string> headers;
};

/// One job that is wanted: null until it is found, or why it cannot be waited for.
struct Target {
  std::string handle;
  Result<std::shared_ptr<engine::Job>> job = std::shared_ptr<engine::Job>();
};

/// An engine and the jobs that it waits for.
class Waiting {
 public:
  explicit Waiting(WaitOptions& options) : options_(options), service_(options) {}

  /// Blocks until each job of the command line (without any: each that is open, or whose clip was
  /// never stored) has come to rest and its clip to the store, or Ctrl-C.
  Status wait() {
    if (!engine_)
      if (Status started = start(); !started.ok()) return started;
    if (Status found = find_targets(); !found.ok()) return found;
    if (targets_.empty()) options_.voice.note("no job is open in " + options_.ledger_path());
    for (Target& target : targets_) {
      if (!target.job) continue;
      ++open_;
      engine_->find(target.handle, [this, &target](Result<std::shared_ptr<engine::Job>> job) {
        target.job = std::move(job);
        if (target.job)
          engine_->watch(*target.job, engine::Milestone::stored,
                         {*target.job, [this] { --open_; }});
        else
          --open_;
      });
    }
    until([this] { return open_ == 0; });
    return Done{};
  }

  template <class Condition>
  void until(Condition reached) {
    while (!interrupted()) {
      service_.queue->drain();
      progress_->update({engine_.get()});
      if (reached()) break;
      service_.queue->wait(service_.deadline(progress_->until_next_look()));
    }
    progress_->finish({engine_.get()});
  }

  /// Tells why a job came to nothing; its exit code, or nothing when it did not.
  std::optional<int> failure(const Target& target) const {
    engine::JobSnapshot shot;
    if (target.job && *target.job) shot = engine_->snapshot(*target.job);
    if (target.job && !shot.error) return std::nullopt;
    Error error = target.job ? *shot.error : target.job.error();
    error.job = target.handle;
    if (!options_.voice.json && target.job)
      error.job = shot.name + (shot.name.empty() ? "" : ", ") + short_id(shot);
    const int code = options_.voice.fail(error);
    return shot.state == "failed" ? int{kExitGenerationFailed} : code;
  }

  /// The handle of the job that a callback speaks of, and whether the service says that it ended.
  Result<std::string> hear(const api::CallbackRequest& callback, bool& ended) {
    if (Status started = start(); !started.ok()) return started.error();
    auto heard = service_.ended<std::string>([&](auto told) { engine_->notify(callback, told); });
    if (!heard) return heard;
    const auto seen = service_.ended<engine::QueryResult>(
        [&](auto told) { engine_->query({.text = *heard}, told); });
    if (!seen) return seen.error();
    ended = seen->task.state >= api::TaskState::succeeded;
    return heard;
  }

  const std::vector<Target>& targets() const { return targets_; }
  engine::Engine& engine() { return *engine_; }

 private:
  Status start() {
    auto engine = service_.start("");
    if (!engine) return engine.error();
    engine_ = std::move(*engine);
    progress_.emplace(options_.voice, service_.queue->clock());
    return Done{};
  }

  Status find_targets() {
    for (const std::string& text : options_.handles) {
      const auto row = find_step(options_, text);
      targets_.push_back(row ? target_of(*row) : Target{text});
      // A job that this ledger does not know may still be the account's.
      const auto handle = engine::parse_handle(text);
      if (!row && (!handle || handle->endpoint.empty())) targets_.back().job = row.error();
    }
    if (!options_.handles.empty()) return Done{};
    const auto ledger = options_.open();
    if (!ledger) return ledger.error();
    if (*ledger == nullptr) return Done{};
    const auto rows = (*ledger)->list(0);
    if (!rows) return rows.error();
    for (auto row = rows->rbegin(); row != rows->rend(); ++row)
      if (is_open(*row) ||
          (engine_->options.store && is_unfetched(*row) && row->service == service_name()))
        targets_.push_back(target_of(*row));
    return Done{};
  }

  std::string service_name() const { return *engine::service_name(engine_->options); }

  /// Another service may know another task by the same id, or deny that there is one: only the
  /// service that was paid is asked.
  Target target_of(const Step& row) const {
    Target target{handle_of(row)};
    if (row.service != service_name() && is_open(row))
      target.job = Error{
          .message = target.handle + " is a job of " + row.service + ", not of " + service_name(),
          .hint = row.service == "sim" ? "add --sim" : "name its service with --base-url"};
    return target;
  }

  WaitOptions& options_;
  Service service_;
  std::shared_ptr<engine::Engine> engine_;
  std::optional<Progress> progress_;
  std::vector<Target> targets_;
  std::size_t open_ = 0;  ///< jobs that are waited for
};

int leave(const Voice& voice) {
  voice.note("interrupted; jobs go on at the service. Run the same command again to go on waiting");
  return kExitInterrupted;
}

int wait_for(Waiting& waiting, const WaitOptions& options) {
  if (Status waited = waiting.wait(); !waited.ok()) return options.voice.fail(waited.error());
  int code = kExitDone;
  bool left = false;
  for (const Target& target : waiting.targets()) {
    if (const auto failed = waiting.failure(target)) {
      if (code == kExitDone) code = *failed;
      continue;
    }
    engine::JobSnapshot shot;
    if (*target.job) shot = waiting.engine().snapshot(*target.job);
    const bool missing = waiting.engine().options.store && shot.file.empty();
    if (shot.state != "succeeded" || (missing && interrupted())) {
      left = true;
    } else if (missing && shot.store_error) {
      Error error = *shot.store_error;
      error.message = "the clip is not stored: " + error.message;
      if (error.hint.empty() || error.code == "expired")
        error.hint = "run kling jobs wait again; the service keeps clips for 30 days";
      error.job = shot.handle;
      if (const int failed = options.voice.fail(error); code == kExitDone) code = failed;
    } else if (!options.voice.json) {
      std::printf("%s  succeeded  %s\n", shot.handle.c_str(), shot.file.c_str());
    }
  }
  return left && interrupted() ? leave(options.voice) : code;
}

int run_notify(WaitOptions& options) {
  api::CallbackRequest callback{options.path, {}, {}};
  for (const std::string& header : options.headers) {
    const auto colon = std::min(header.find(':'), header.size() - 1);
    callback.headers.emplace_back(header.substr(0, colon), api::bare(header.substr(colon + 1)));
  }
  callback.body.assign(std::istreambuf_iterator<char>(std::cin), {});
  Waiting waiting(options);
  bool ended = false;
  const auto handle = waiting.hear(callback, ended);
  if (interrupted()) return leave(options.voice);
  if (!handle) return options.voice.fail(handle.error());
  options.handles = {*handle};
  if (ended) return wait_for(waiting, options);
  return options.voice.result({{"handle", *handle}, {"state", "running"}},
                              *handle + "  has not ended\n");
}

int run_save(WaitOptions& options) {
  if (options.path.starts_with("~/"))
    return options.voice.fail({.message = "the shell left the folder ~ as it is: " + options.path,
                               .hint = "write it without quotes"});
  Waiting waiting(options);
  if (Status waited = waiting.wait(); !waited.ok()) return options.voice.fail(waited.error());
  const Target& target = waiting.targets().front();
  if (const auto failed = waiting.failure(target)) return *failed;
  if (interrupted()) return leave(options.voice);

  const auto clip = std::make_shared<engine::MediaSource>();
  clip->recipe = engine::MediaSource::Recipe::clip;
  clip->job = *target.job;
  std::optional<Result<std::string>> saved;
  waiting.engine().save(clip, options.path,
                        [&saved](Result<std::string> path) { saved.emplace(std::move(path)); });
  waiting.until([&] { return saved.has_value(); });
  if (!saved) return leave(options.voice);
  if (!*saved) return options.voice.fail(saved->error());
  return options.voice.result({{"handle", target.handle}, {"path", **saved}}, **saved + "\n");
}

// ---- kling query HANDLE: one GET ----

struct QueryOptions : LedgerOptions {
  std::string handle;
  std::string kind;
};

int run_query(const QueryOptions& options) {
  // Without a ledger a name is of nobody, and none is made for the question.
  const bool name = options.kind.empty() && options.handle.find(":") == std::string::npos &&
                    options.handle.find_first_not_of("0123456789") != std::string::npos;
  if (const auto ledger = options.open(); name && ledger && *ledger == nullptr)
    return options.voice.fail(find_step(options, options.handle).error());
  Service service(options);
  const auto engine = service.start("");
  if (!engine) return options.voice.fail(engine.error());

  const auto found = service.ended<engine::QueryResult>([&](auto done) {
    (*engine)->query({.text = options.handle, .external_id = "", .endpoint = options.kind},
                     std::move(done));
  });
  if (!found) {
    const int code = options.voice.fail(found.error());
    if (interrupted()) ::_exit(code);  // a silent host would be waited for
    return code;
  }
  const api::Task& task = found->task;
  std::string text = found->handle + "  " + api::name(task.state) +
                     (task.message.empty() ? "" : "  ") + task.message + "\n";
  for (const api::Video& video : task.videos) text += video.url + "\n";
  nlohmann::json told = engine::to_json(*found);
  told.emplace("message", "");
  told["raw"] = api::parse_json(found->raw);
  return options.voice.result(told, text);
}

}  // namespace

std::function<int()> set_up_jobs_wait(CLI::App& app) {
  auto options = options_of<WaitOptions>(app);
  app.add_option(
         "handles", options->handles,
         "handles, ids, or beginnings (default: all that are open or whose clip is missing)")
      ->type_name("HANDLE");
  app.footer("Example: kling jobs wait kling:text2video/861309198188019719");
  return [options] {
    Waiting waiting(*options);
    return wait_for(waiting, *options);
  };
}

std::function<int()> set_up_jobs_notify(CLI::App& app) {
  auto options = options_of<WaitOptions>(app);
  app.add_option("path", options->path, "of the request that a web server got")->required();
  app.add_option("--header", options->headers, "a header of it; needed where callbacks are signed")
      ->type_name("NAME:VALUE")
      ->check(CLI::Validator(
          [](std::string& text) {
            return text.find(':') == text.npos ? "a header is NAME: VALUE" : std::string();
          },
          ""));
  app.footer("The body is standard input.\nExample: kling jobs notify \"$PATH_INFO\" <body.json");
  return [options] { return run_notify(*options); };
}

std::function<int()> set_up_jobs_save(CLI::App& app) {
  auto options = options_of<WaitOptions>(app);
  options->handles.resize(1);
  add_handle(app, options->handles[0]);
  app.add_option("path", options->path, "where to; \"folder/\" picks a name")
      ->required()
      ->type_name("FILE");
  app.footer("Example: kling jobs save kling:text2video/861309198188019719 shot.mp4");
  return [options] { return run_save(*options); };
}

std::function<int()> set_up_query(CLI::App& app) {
  auto options = std::make_shared<QueryOptions>();
  options->voice.add_options(app);
  options->service.add_options(app);
  options->simulation.add_options(app);
  add_handle(app, options->handle, "kling:text2video/8613…, or an id the ledger knows");
  app.add_option("--kind", options->kind,
                 "what a bare id is: text2video, image2video, multi_image2video, omni");
  app.footer("Example: kling query kling:text2video/861309198188019719");
  return [options] { return run_query(*options); };
}

}  // namespace kling::cli
