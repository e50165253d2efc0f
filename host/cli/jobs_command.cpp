// kling jobs: the table of its subcommands, and the decisions that only a person can make.
#include <algorithm>

#include "base/terminal.h"
#include "cli/jobs.h"

namespace kling::cli {
namespace {

struct ResolveOptions : LedgerOptions {
  std::string handle;
  std::string adopt;
  bool resubmit = false;
  bool abandon = false;
};

/// The run that asks for the row's shot anew.
std::string asks_anew(const engine::Step& row) {
  std::string take = take_of(row.run), draft;
  if (take == "draft" || take.ends_with("-draft"))
    take.resize(take.size() - std::min<std::size_t>(take.size(), 6)), draft = " --draft";
  return "kling run" + (take.empty() ? "" : " --take " + cli::quoted(take)) + draft +
         " --retry-failed";
}

/// What can be chosen for this job.
int tell_choices(const Voice& voice, const engine::Step& row) {
  const bool ends =
      row.state == engine::StepState::succeeded || row.state == engine::StepState::failed;
  const std::string job = "kling jobs resolve " + short_id(row);
  std::string hint;
  if (row.state == engine::StepState::ambiguous)
    hint += job +
            " --adopt ID\n       it was accepted: your account's list of tasks shows it with "
            "this prompt and time, and its id\n      " +
            job +
            " --resubmit\n       it is not in "
            "that list: the next run of its script sends it again, and pays\n      ";
  if (row.state == engine::StepState::accepted)
    hint += job + " --adopt ID\n       its own id finds nothing: it is this task\n      ";
  if (!ends)
    hint += job + " --abandon\n       give it up; " + asks_anew(row) + " with its script asks anew";
  constexpr const char* kWords[] = {"it was never sent",
                                    "it is being sent",
                                    "it goes on at the service",
                                    "it succeeded: there is nothing to decide",
                                    "it failed: there is nothing to decide",
                                    "was it accepted? The answer was lost"};
  (void)voice.fail({.message = titled(row.name, row.summary) + ", " + row.script + ", " +
                               local_time(row.sent_at != 0 ? row.sent_at : row.created_at) + ": " +
                               kWords[int(row.state)],
                    .hint = hint});
  return kExitUsage;
}

int run_resolve(const ResolveOptions& options) {
  const auto row = find_step(options, options.handle);
  if (!row) return options.voice.fail(row.error());
  const int chosen = int(!options.adopt.empty()) + int(options.resubmit) + int(options.abandon);
  if (chosen != 1) return tell_choices(options.voice, *row);
  const std::string handle = handle_of(*row);
  const std::string asked = to_string(engine::Handle{row->endpoint, "", row->external_id});
  Service service(options);
  if (Status opened = service.open(""); !opened) return options.voice.fail(opened.error());
  if (!options.adopt.empty())  // the service is asked for that task
    if (Status there = service.connect(service.settings); !there)
      return options.voice.fail(there.error());
  const Status resolved = engine::resolve(service.settings, asked, options.adopt, options.resubmit);
  if (!resolved.ok()) return options.voice.fail(resolved.error());
  const std::string what = options.voice.typed(
      options.resubmit ? "will be sent again by the next run of its script"
      : options.abandon
          ? row->unsent() ? "is given up; it was never sent"
                          : "is given up; a new one is asked for, and paid, by " + asks_anew(*row)
          : "is adopted; the next run of its script goes on with it");
  return options.voice.result({{"handle", handle}, {"resolved", true}}, handle + " " + what + "\n");
}

std::function<int()> set_up_jobs_resolve(CLI::App& app) {
  auto options = std::make_shared<ResolveOptions>();
  options->voice.add_options(app);
  options->service.add_options(app);
  add_handle(app, options->handle, "as named by the message that asks");
  app.add_option("--adopt", options->adopt, "it was accepted as the task with this id")
      ->type_name("ID");
  app.add_flag("--resubmit", options->resubmit,
               "it was not accepted: the next run sends it again, and pays");
  app.add_flag(
      "--abandon", options->abandon,
      "give the job up; if it may have been accepted, only kling run --retry-failed asks for "
      "it again, and pays");
  app.add_flag("--sim", options->simulation.on, "look in the simulator's ledger");
  app.footer("Example: kling jobs resolve HANDLE --adopt 861309198188019719");
  return [options] { return run_resolve(*options); };
}

// ---- The questions that scripts asked, and a person's answers: a run that waits hears of it ----

struct AnswerOptions : LedgerOptions {
  std::int64_t id = 0;
  std::string choice = "?";  ///< what can be chosen
};

int run_answer(const AnswerOptions& options) {
  const auto book = options.open();
  if (!book) return options.voice.fail(book.error());
  if (*book == nullptr && options.id == 0) return options.note_absent(), kExitDone;
  auto rows = *book ? (*book)->questions() : std::vector<engine::Question>();
  if (!rows) return options.voice.fail(rows.error());
  if (options.id == 0) {
    std::erase_if(*rows, [](const engine::Question& row) { return row.withdrawn; });
    std::ranges::stable_partition(*rows, [](const engine::Question& row) { return !row.answer; });
    for (const engine::Question& row : *rows) {
      if (options.voice.json) Voice::line({{"question", to_json(row)}});
      if (options.voice.json) continue;
      const std::string take = take_of(row.run);
      std::string text = to_text(row);
      if (row.answer != 0)
        text = text.substr(0, text.find('\n')) + "  answered: " + choice_text(row, row.answer);
      std::printf("%lld  %s%s\n", static_cast<long long>(row.id),
                  take.empty() ? "" : ("[" + printable(take) + "] ").c_str(), text.c_str());
    }
    if (std::ranges::count(*rows, 0, &engine::Question::answer) == 0)
      options.voice.note("no question waits for an answer");
    return kExitDone;
  }
  const auto row = std::ranges::find(*rows, options.id, &engine::Question::id);
  const int answer = row == rows->end() ? 0 : read_answer(*row, options.choice);
  if (row == rows->end())
    return options.voice.fail(
        {.message = "the ledger " + options.ledger_path() + " has no question " +
                    std::to_string(options.id),
         .hint = std::string("kling jobs answer lists those that wait") +
                 (options.simulation.on ? "" : "; --sim those of a rehearsal")});
  if (options.choice == "?")
    return options.voice.result({{"question", to_json(*row)}}, to_text(*row) + "\n");
  if (answer == 0)
    return options.voice.fail({.message = no_answer(*row, options.choice) + "\n" + to_text(*row)});
  const Status kept = (*book)->answer(options.id, answer, make_clock()->now(), true);
  if (!kept) return options.voice.fail(kept.error());
  const bool changed = row->answer != 0 && row->answer != answer;
  options.voice.note("answered: " + choice_text(*row, answer) +
                     (changed ? ", not " + choice_text(*row, row->answer) : "") +
                     (row->withdrawn ? "; its script asks it no more: who still waits goes on"
                                     : "; a run that waits goes on, else the next run takes it"));
  return kExitDone;
}

constexpr Command kJobs[] = {
    {"list", "what the ledger knows, the newest first", set_up_jobs_list},
    {"show", "one job: its prompt, cost, clip, error and timeline", set_up_jobs_show},
    {"wait", "wait for jobs that any process left, and store their clips", set_up_jobs_wait},
    {"save", "save a job's clip once more, any time within 30 days", set_up_jobs_save},
    {"notify", "take a callback of the service that a web server got", set_up_jobs_notify},
    {"resolve", "decide about a job whose answer was lost, or give a job up", set_up_jobs_resolve},
    {"answer", "answer what a script asked; alone: those that wait, and the answered",
     set_up_jobs_answer},
    {"prune", "delete old clips and answers; never what was paid", set_up_jobs_prune},
};

}  // namespace

std::function<int()> set_up_jobs_answer(CLI::App& app) {
  auto options = options_of<AnswerOptions>(app);
  auto* const id = app.add_option("id", options->id, "the question's number; none: those that wait")
                       ->type_name("ID")
                       ->check(number_in(1));
  app.add_option("choice", options->choice,
                 "its number, its text or the name of its clip; yes or no")
      ->type_name("CHOICE")
      ->needs(id);
  app.footer(
      "Example: kling jobs answer\nthen, for the second choice of question 3: kling jobs answer 3 "
      "2");
  return [options] { return run_answer(*options); };
}

std::function<int()> set_up_jobs(CLI::App& app) {
  auto code = std::make_shared<int>(kExitUsage);
  const auto list = set_up_jobs_list(app);  // what `kling jobs` alone means
  app.footer("Example: kling jobs --open\nEach subcommand has a --help of its own.");
  add_commands(app, kJobs, *code, "");
  return [&app, code, list] { return app.get_subcommands().empty() ? list() : *code; };
}

}  // namespace kling::cli
