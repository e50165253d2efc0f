// kling jobs: decisions that only a person can make.
#include <memory>

#include "cli/command.h"
#include "cli/settings.h"

namespace kling::cli {
namespace {

struct ResolveOptions {
  Voice voice;
  ServiceOptions service;
  std::string handle;
  std::string adopt;
  bool resubmit = false;
  bool abandon = false;
  bool simulated = false;
};

int run_resolve(const ResolveOptions& options) {
  if (int(!options.adopt.empty()) + int(options.resubmit) + int(options.abandon) != 1) {
    std::fprintf(stderr, "kling: say one of --adopt ID, --resubmit, --abandon\n");
    return kExitUsage;
  }
  std::string notice;
  auto settings = engine_options(options.service, "", options.simulated, notice);
  if (!settings) return options.voice.fail(settings.error());
  const Status resolved =
      engine::resolve(*settings, options.handle, options.adopt, options.resubmit);
  if (!resolved.ok()) return options.voice.fail(resolved.error());
  const char* what = options.resubmit ? "will be sent again by the next run of its script"
                     : options.abandon
                         ? "is given up; the next run of its script asks for a new one"
                         : "is adopted; the next run of its script goes on with it";
  if (options.voice.json) {
    Voice::line({{"handle", options.handle}, {"resolved", true}});
  } else {
    std::printf("%s %s\n", options.handle.c_str(), what);
  }
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_jobs(CLI::App& app) {
  auto options = std::make_shared<ResolveOptions>();
  app.require_subcommand(1);
  app.footer("Example: kling jobs resolve HANDLE --adopt 861309198188019719");
  CLI::App* resolve = app.add_subcommand("resolve", "decide about a job whose answer was lost");
  options->voice.add_options(*resolve);
  options->service.add_options(*resolve);
  resolve->add_option("handle", options->handle, "as named by the message that asks")->required();
  resolve->add_option("--adopt", options->adopt, "it was accepted as the task with this id");
  resolve->add_flag("--resubmit", options->resubmit,
                    "it was not accepted: the next run sends it again, and pays");
  resolve->add_flag("--abandon", options->abandon,
                    "give it up: the next run asks for a new one, and pays");
  resolve->add_flag("--sim", options->simulated, "look in the simulator's ledger");
  resolve->footer("Example: kling jobs resolve kling:text2video/~k3v9… --adopt 861309198188019719");
  return [options] { return run_resolve(*options); };
}

}  // namespace kling::cli
