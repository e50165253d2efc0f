// kling query HANDLE: one GET.

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

  const auto found = service.ended<engine::QueryResult>([&](auto done) {
    (*engine)->query({.text = options.handle, .external_id = "", .endpoint = options.kind},
                     std::move(done));
  });
  if (!found) return options.voice.fail(found.error());
  const api::Task& task = found->task;
  nlohmann::json videos = nlohmann::json::array();
  std::string text = found->handle + "  " + api::name(task.state) +
                     (task.message.empty() ? "" : "  ") + task.message + "\n";
  for (const api::Video& video : task.videos) {
    videos.push_back({{"id", video.id}, {"url", video.url}, {"duration", video.duration}});
    text += video.url + "\n";
  }
  return options.voice.result({{"handle", found->handle},
                               {"status", api::name(task.state)},
                               {"message", task.message},
                               {"videos", videos},
                               {"raw", api::parse_json(found->raw)}},
                              text);
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
