// kling jobs answer: the questions that scripts asked, and a person's answers. A run that waits for
// one hears of it.
#include <algorithm>

#include "cli/jobs.h"

namespace kling::cli {
namespace {

struct AnswerOptions : LedgerOptions {
  std::int64_t id = 0;
  std::string choice;
};

int run_answer(const AnswerOptions& options) {
  const auto book = options.open();
  if (!book) return options.voice.fail(book.error());
  auto rows = *book ? (*book)->questions() : std::vector<engine::Question>();
  if (!rows) return options.voice.fail(rows.error());
  if (options.id == 0) {
    for (const engine::Question& row : *rows) {
      if (options.voice.json) Voice::line({{"question", to_json(row)}});
      if (options.voice.json || row.answer != 0) continue;
      std::printf("%lld  %s\n", static_cast<long long>(row.id), to_text(row).c_str());
    }
    return kExitDone;
  }
  const auto row = std::ranges::find(*rows, options.id, &engine::Question::id);
  const int answer = row == rows->end() ? 0 : read_answer(*row, options.choice);
  if (row == rows->end())
    return options.voice.fail({.message = "the ledger " + options.ledger_path() +
                                          " has no question " + std::to_string(options.id),
                               .hint = "kling jobs answer lists those that wait"});
  if (answer == 0)
    return options.voice.fail(
        {.message =
             "question " + std::to_string(options.id) + " is answered with " +
             (row->kind == "approve" ? "yes or no" : "1 to " + std::to_string(answers(*row))) +
             ", not \"" + printable(options.choice) + "\"",
         .hint = to_text(*row)});
  const Status kept = (*book)->answer(options.id, answer, make_clock()->now());
  if (!kept) return options.voice.fail(kept.error());
  options.voice.note("answered; " +
                     std::string("a run that waits goes on, else the next run takes it"));
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_jobs_answer(CLI::App& app) {
  auto options = std::make_shared<AnswerOptions>();
  options->add_ledger_options(app);
  auto* const id = app.add_option("id", options->id, "the question's number; none: those that wait")
                       ->type_name("ID")
                       ->check(CLI::PositiveNumber);
  app.add_option("choice", options->choice, "its number, or its text; yes or no")
      ->type_name("CHOICE")
      ->needs(id);
  app.footer(
      "Example: kling jobs answer\nthen, for the second choice of question 3: kling jobs answer 3 "
      "2");
  return [options] { return run_answer(*options); };
}

}  // namespace kling::cli
