// kling query HANDLE: one GET.
#include <memory>

#include "api/text.h"
#include "cli/jobs.h"

namespace kling::cli {
namespace {

struct QueryOptions : LedgerOptions {
  std::string handle;
  std::string kind;
};

int run_query(const QueryOptions& options) {
  Service service(options);
  if (Status opened = service.open(""); !opened.ok()) return options.voice.fail(opened.error());
  auto engine = service.make_engine(service.settings);
  if (!engine) return options.voice.fail(engine.error());

  std::optional<Result<engine::QueryResult>> result;
  (*engine)->query(
      {.text = options.handle, .external_id = "", .endpoint = options.kind},
      [&result](Result<engine::QueryResult> answer) { result.emplace(std::move(answer)); });
  while (!result) {
    service.queue->wait(kNever);
    service.queue->drain();
  }
  if (!result->ok()) return options.voice.fail(result->error());
  const engine::QueryResult& found = result->value();
  const api::Task& task = found.task;
  if (options.voice.json) {
    nlohmann::json videos = nlohmann::json::array();
    for (const api::Video& video : task.videos)
      videos.push_back({{"id", video.id}, {"url", video.url}, {"duration", video.duration}});
    Voice::line({{"handle", found.handle},
                 {"status", api::name(task.state)},
                 {"message", task.message},
                 {"videos", videos},
                 {"raw", api::parse_json(found.raw)}});
  } else {
    std::printf("%s  %s%s%s\n", found.handle.c_str(), api::name(task.state),
                task.message.empty() ? "" : "  ", task.message.c_str());
    for (const api::Video& video : task.videos) std::printf("%s\n", video.url.c_str());
  }
  return kExitDone;
}

}  // namespace

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
