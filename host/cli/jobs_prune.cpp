// kling jobs prune: gives disk space back. Takes away clips and answers, never a step: what was
// paid stays known, so nothing is paid again.

#include "base/files.h"
#include "cli/jobs.h"

namespace kling::cli {
namespace {

using engine::Step;
using engine::StepState;

constexpr double kDay = 24 * 3600 * 1000.0;

struct PruneOptions : LedgerOptions {
  double days = 30;
  bool yes = false;
};

/// The file's size when it is a clip that we stored, else nothing. The path is the ledger's word
/// only: what is not a plain file below the store is somebody else's.
std::optional<std::uintmax_t> stored_size(const std::string& file, const fs::path& store) {
  std::error_code error;
  const fs::path folder = fs::canonical(fs::path(file).parent_path(), error);
  if (error || folder != store || !fs::is_regular_file(fs::symlink_status(file, error)))
    return std::nullopt;
  const std::uintmax_t size = fs::file_size(file, error);
  if (error) return std::nullopt;
  return size;
}

int run_prune(const PruneOptions& options) {
  const auto ledger = options.open();
  if (!ledger) return options.voice.fail(ledger.error());
  if (*ledger == nullptr) {
    options.note_absent();
    return kExitDone;
  }
  const std::string folder = fs::path(options.ledger_path()).parent_path().string();
  const auto clock = options.simulation.on ? sim::Simulator::clock_for(folder, 1) : make_clock();
  const Millis before = clock->now() - static_cast<Millis>(options.days * kDay);
  std::error_code error;
  const fs::path store = fs::canonical(
      options.service.store.empty() ? folder + "/clips" : options.service.store, error);

  const auto rows = (*ledger)->list(0);
  if (!rows) return options.voice.fail(rows.error());
  int clips = 0;
  std::uintmax_t bytes = 0;
  for (const Step& row : *rows) {
    if (row.state != StepState::succeeded || row.finished_at >= before || row.file.empty())
      continue;
    const auto size = stored_size(row.file, store);
    if (!size) continue;
    if (options.yes && !fs::remove(row.file, error)) {
      options.voice.note(row.file + " cannot be deleted: " + error.message());
      continue;
    }
    if (!options.voice.json) std::printf("%s  %s\n", handle_of(row).c_str(), row.file.c_str());
    ++clips;
    bytes += *size;
  }
  const auto answers = (*ledger)->forget_answers(before, options.yes);
  if (!answers) return options.voice.fail(answers.error());
  if (options.voice.json) {
    Voice::line({{"clips", clips},
                 {"clip_bytes", bytes},
                 {"answer_bytes", *answers},
                 {"deleted", options.yes}});
    return kExitDone;
  }
  std::printf("%s %d clips (%.1f MB) and %.1f kB of kept answers, older than %g days\n",
              options.yes ? "deleted" : "would delete", clips, static_cast<double>(bytes) / 1e6,
              static_cast<double>(*answers) / 1e3, options.days);
  if (!options.yes)
    options.voice.note(
        "nothing is deleted without --yes. No step is paid again for it, but the service keeps "
        "clips for 30 days only");
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_jobs_prune(CLI::App& app) {
  auto options = std::make_shared<PruneOptions>();
  options->add_ledger_options(app);
  app.add_option("--store", options->service.store,
                 "folder of the finished clips (default: beside the ledger)")
      ->type_name("DIR");
  app.add_option("--older-than", options->days, "days since the job finished")
      ->check(CLI::Range(0.0, 36500.0))
      ->capture_default_str();
  app.add_flag("--yes", options->yes, "delete; without it, only say what would be deleted");
  app.footer("Example: kling jobs prune --older-than 90");
  return [options] { return run_prune(*options); };
}

}  // namespace kling::cli
