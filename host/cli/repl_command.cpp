// kling repl: a session in which each input runs as a task. Jobs go on while lines are typed.
#include <algorithm>

#include "base/files.h"
#include "base/terminal.h"
#include "cli/board.h"
#include "cli/progress.h"
#include "lua/manual.h"
#include "repl/console.h"
#include "script/script.h"

namespace kling::cli {
namespace {

using repl::Console;
using Verdict = repl::Interpreter::Verdict;

// ---- Ctrl-C while Lua computes ----

constexpr int kLookInstructions = 10'000;
char interrupt_key;

struct Interruption {
  Console* console;
  bool requested = false;
};

/// Raises until the task gives in: an error that the input catches is raised again at once.
void on_count(lua_State* L, lua_Debug*) {
  lua_rawgetp(L, LUA_REGISTRYINDEX, &interrupt_key);
  auto& interruption = *static_cast<Interruption*>(lua_touserdata(L, -1));
  lua_pop(L, 1);
  if (!interruption.requested) interruption.requested = interruption.console->take_interrupts() > 0;
  lua_sethook(L, on_count, LUA_MASKCOUNT, interruption.requested ? 1 : kLookInstructions);
  if (interruption.requested) luaL_error(L, "interrupted");
}

// ---- The session ----

class Session {
 public:
  Session(const Voice& voice, Console& console, lua_State* L, lua::Runtime& runtime,
          Interruption& interruption, bool simulated)
      : voice_(voice),
        console_(console),
        L_(L),
        runtime_(runtime),
        interruption_(interruption),
        interpreter_(L),
        progress_(voice_, runtime.queue().clock()),
        simulated_(simulated) {}

  int until_left() {
    std::string pending, line, text;
    int first_line = 1;
    for (int number = 1; !leaving_; ++number) {
      const Console::Read read = console_.read_line(pending.empty() ? "kling> " : "    -> ", line);
      if (read == Console::Read::interrupted && !console_.interactive()) code_ = kExitInterrupted;
      if (read == Console::Read::interrupted && console_.interactive()) {
        pending.clear();
        continue;
      }
      if (read != Console::Read::line) break;
      if (pending.empty()) first_line = console_.interactive() ? 1 : number;
      pending += (pending.empty() ? "" : "\n") + line;
      const Verdict verdict = interpreter_.submit(pending, first_line, text);
      if (verdict == Verdict::more) continue;
      std::string& typed = runtime_.typed;  // on a pipe the lines are numbered through
      typed = console_.interactive() ? pending + "\n\n" + typed : typed + pending + "\n";
      // Such as one that came from the history.
      if (const auto paid = paid_.find(pending); paid != paid_.end())
        tell("this makes a new one; what it made before is " + paid->second);
      if (verdict == Verdict::error) {
        std::string source = std::string(std::size_t(first_line) - 1, '\n') + pending;
        if (pending.starts_with(".load "))
          if (const auto loaded = script::read(text.substr(0, text.find(':')))) source = *loaded;
        text = lua::explain_syntax(text, source);
      }
      obey(verdict, text);
      tell_price(pending);
      pending.clear();
    }
    if (!pending.empty()) fail(text);  // the input ended within
    leave();
    // A person has seen what went wrong.
    return console_.interactive() ? int{kExitDone} : code_;
  }

  std::unique_ptr<Board> board;  ///< null: none

  /// While a line is typed: tasks and jobs go on. Returns the ms until it wants to be called again.
  int idle() {
    const bool busy = runtime_.run(10'000);
    interruption_.requested = false;  // what was interrupted lies in its task
    tell_news();
    for (engine::Engine* engine : runtime_.engines())
      for (const engine::Question& one : engine->questions())
        if (one.answer == 0 && answering_.second == 0) announce(engine, one);
    if (answering_.second != 0 && !why_closed(answering_).empty()) console_.withdraw();
    if (board) board->update();
    return busy ? 0 : next_timer();
  }

  repl::Proposals complete(const std::string& before) { return interpreter_.complete(before); }

  /// The user's print, and the answers of help and jobs.
  void print(const std::string& text) {
    voice_.json ? void(std::fprintf(stderr, "%s\n", text.c_str())) : console_.say(text);
  }

  std::string jobs_text() const {
    std::string text;
    for (engine::JobSnapshot job : jobs()) {
      // A path that fills lines hides the rest: clip.path has it.
      job.file = fitted(job.file.substr(job.file.rfind('/') + 1),
                        terminal_size(STDOUT_FILENO).columns - 5);
      text += (text.empty() ? "" : "\n") + short_id(job) + "  " + progress_.describe(job);
    }
    return wrapped(
        text.empty() ? Voice{}.typed("no jobs in this session; kling jobs list shows the ledger's")
                     : text,
        STDOUT_FILENO);
  }

  /// The program's own words: for a person between the lines, else on standard error.
  void tell(const std::string& text) {
    if (voice_.json || voice_.quiet) return;
    console_.interactive() ? console_.say(wrapped(text, STDOUT_FILENO)) : voice_.note(text);
  }

 private:
  void obey(Verdict verdict, const std::string& text) {
    switch (verdict) {
      case Verdict::text: return print(wrapped(text, STDOUT_FILENO));
      case Verdict::error: return fail(text);
      case Verdict::clear: return console_.clear_screen();
      case Verdict::quit: leaving_ = true; return;
      case Verdict::run:
      case Verdict::timed: return run(verdict == Verdict::timed);
      default: return;
    }
  }

  /// Runs the function on the stack as a task, until it has ended or Ctrl-C ends the wait for it.
  void run(bool timed) {
    const auto started = Steady::now();
    const Millis began = runtime_.queue().clock().now();
    runtime_.missing.clear();  // by an input before
    runtime_.looked_at.clear();
    const lua::TaskId task = runtime_.spawn(L_, 0, "main");
    if (task == 0) return fail("not enough memory");
    bool interrupted = false;
    lua::TaskResult result;
    for (;;) {
      progress_.erase();
      const bool busy = runtime_.run(10'000);
      const bool computing = std::exchange(interruption_.requested, false);
      if (computing && runtime_.result(task).done) interrupted = true;
      result = runtime_.result(task);
      if (result.done) break;
      if (computing || console_.take_interrupts() > 0) {
        if (interrupted) break;  // it goes on, but nobody waits for it
        interrupted = true;
        runtime_.cancel(task);
        continue;
      }
      if (console_.told_to_leave()) break;
      if (!busy && ask_person(interrupted)) {
        if (interrupted) runtime_.cancel(task);
        continue;
      }
      progress_.update(runtime_.engines());
      if (board) board->update();
      if (!busy) console_.wait(sooner(next_timer(), progress_.until_next_look()));
    }
    runtime_.release(task);
    progress_.erase();
    if (interrupted || !result.done) return tell_open_jobs(began);
    tell_news();
    if (!result.ok) report(result);
    const std::string answer = result.ok ? interpreter_.finish() : "";
    if (!answer.empty()) voice_.json ? Voice::line({{"result", answer}}) : console_.say(answer);
    const std::chrono::duration<double> took = Steady::now() - started;
    if (timed) tell(printed("%.3f s", took.count()));
  }

  void announce(engine::Engine* engine, const engine::Question& one) {
    if (console_.interactive() && told_.emplace(engine, one.id).second)
      tell(to_text(one) + "\n  " + voice_.typed(answer_command(one)));
  }

  /// Empty: the question still waits for its answer.
  std::string why_closed(const std::pair<engine::Engine*, std::int64_t>& question) const {
    std::string why = "the script waits no longer for question " + std::to_string(question.second);
    for (engine::Engine* engine : runtime_.engines())
      for (const engine::Question& one : engine->questions())
        if (question == std::pair(engine, one.id))
          why = one.answer == 0 ? "" : "answered elsewhere: " + choice_text(one, one.answer);
    return why;
  }

  /// Asks who types about the oldest open question. False: there is none, or nobody types.
  bool ask_person(bool& interrupted) {
    if (!console_.interactive() || interrupted) return false;
    for (engine::Engine* engine : runtime_.engines())
      for (const engine::Question& open : engine->questions()) {
        if (open.answer != 0 || answered_.contains({engine, open.id})) continue;
        std::string line;
        announce(engine, open);
        answering_ = {engine, open.id};
        const auto read = console_.read_line(engine::answer_prompt(open), line);
        const auto answered = std::exchange(answering_, {});
        if (read == repl::Console::Read::withdrawn) {
          told_.erase(answered);
          return tell(why_closed(answered)), true;
        }
        interrupted = read != repl::Console::Read::line;
        const int answer = interrupted ? 0 : engine::read_answer(open, line);
        if (!interrupted && answer == 0) tell(engine::no_answer(open, line));
        if (interrupted) told_.erase({engine, open.id});  // asked again it is told again
        if (answer == 0) return true;
        answered_.emplace(engine, open.id);
        engine->answer_question(open.id, answer, [this](const Status& kept) {
          if (!kept) tell(kept.error().message);
        });
        return true;
      }
    return false;
  }

  /// Of two spans in ms; -1 is never.
  static int sooner(int one, int other) {
    return one < 0 || other < 0 ? std::max(one, other) : std::min(one, other);
  }

  int next_timer() const {
    const Millis due = runtime_.next_timer();
    if (due == kNever) return -1;
    return static_cast<int>(
        std::min<Millis>(runtime_.queue().clock().real_millis_until(due), 3'600'000));
  }

  /// What ended or went wrong in the background since the last look.
  void tell_news() {
    runtime_.queue().drain();
    for (const std::string& line : progress_.news(runtime_.engines())) tell(line);
    for (const lua::TaskResult& task : runtime_.take_unobserved()) report(task);
  }

  void report(const lua::TaskResult& result) {
    code_ = kExitError;
    if (voice_.json) return void(voice_.fail(result, result.error.job));
    // A frame or two is the input itself, which the message names.
    const bool deep = std::ranges::count(result.traceback, '\n') > 1;
    std::string text;
    for (const auto& job : jobs())
      if (job.handle == result.error.job) text = job.name + ", " + short_id(job);
    const Told told = told_apart(result, text);
    text = told.problem;
    if (!told.hint.empty()) text += "\n  do: " + voice_.typed(told.hint);
    if (!told.job.empty()) text += "\n  job: " + told.job;
    fail(text + (deep ? "\n" + result.traceback : ""));
  }

  void fail(const std::string& message) {
    code_ = kExitError;
    if (voice_.json) return void(voice_.fail(Error{.message = message}));
    if (console_.interactive()) return console_.say(wrapped(message, STDOUT_FILENO));
    std::fprintf(stderr, "kling: %s\n", message.c_str());
  }

  /// What this input costs, to a person who is there to hear it.
  void tell_price(const std::string& input) {
    if (!console_.interactive()) return;
    double usd = 0, session = 0;
    std::string made;
    // Whether a budget allows it is known in a moment; a full queue may take minutes.
    for (int i = 0; i < 30 && std::ranges::any_of(jobs(), is_under_way); ++i)
      runtime_.run(10'000), interruption_.requested = false, console_.wait(10);
    for (const auto& job : jobs()) {
      if (job.reused || job.state == "failed" || job.phase < engine::Phase::intended) continue;
      if (job.error && !job.submitted) continue;  // it was not sent
      session += job.cost();
      if (!priced_.insert(job.external_id).second) continue;
      usd += job.cost();
      made += (made.empty() ? "kling.job(\"" : ", kling.job(\"") + short_id(job) + "\")";
    }
    if (usd <= 0) return;
    paid_[input] = made;
    tell(printed("about $%.2f, $%.2f in this session%s", usd, session,
                 simulated_ ? " if it were real" : ""));
  }

  std::vector<engine::JobSnapshot> jobs() const { return engine::snapshots(runtime_.engines()); }

  /// After Ctrl-C: the jobs that the input made or waited for go on.
  void tell_open_jobs(Millis since) {
    std::string text = "interrupted";
    for (const auto& job : jobs()) {
      if (!is_over(job) && (job.observed || job.created_at >= since))
        text += "\n" + job.name + " goes on (" + job.state + "): kling.job(\"" + short_id(job) +
                "\"):wait()";
    }
    if (!console_.interactive()) leaving_ = true, code_ = kExitInterrupted;
    tell(text);
  }

  /// Waits until no request is without an answer (Ctrl-C: not even that), then names what is open.
  void leave() {
    for (bool told = false; !console_.told_to_leave();) {
      // What waits to be sent is not answered, and will not be.
      const auto unanswered = std::ranges::count_if(jobs(), [](const auto& job) {
        return job.phase <= engine::Phase::sending ? is_under_way(job) : job.state == "sending";
      });
      if (unanswered == 0 || console_.take_interrupts() > 0) break;
      if (!std::exchange(told, true))
        tell("waiting for the answer to " + std::to_string(unanswered) +
             (unanswered == 1 ? " request" : " requests") + " (Ctrl-C leaves now)");
      runtime_.run(10'000);
      console_.wait(50);
    }
    for (engine::Engine* engine : runtime_.engines()) engine->stop_submitting();
    tell_news();
    for (const auto& job : jobs()) {
      const bool stored = job.state != "succeeded" || !job.file.empty() || job.store_error;
      if (!is_over(job)) {
        tell("open: " + job.name + " (" + job.state +
             ") goes on: " + voice_.typed("kling jobs wait ") + short_id(job));
      } else if (!stored) {
        tell("not stored yet: " + job.handle + "; kling.job finds it again");
      }
    }
  }

  const Voice& voice_;
  Console& console_;
  lua_State* L_;
  lua::Runtime& runtime_;
  Interruption& interruption_;
  repl::Interpreter interpreter_;
  Progress progress_;
  const bool simulated_;
  std::set<std::string> priced_;                                        ///< jobs, by external id
  std::set<std::pair<engine::Engine*, std::int64_t>> told_, answered_;  ///< questions, here
  std::map<std::string, std::string> paid_;             ///< inputs that paid, and their jobs
  std::pair<engine::Engine*, std::int64_t> answering_;  ///< the question at the prompt
  bool leaving_ = false;
  int code_ = kExitDone;
};

// ---- Set-up ----

std::string greeting(const engine::EngineOptions& settings, bool simulated) {
  std::string text = "kling " KLING_VERSION ", " LUA_RELEASE "; ledger " + settings.ledger_path +
                     "\nTab completes, help() explains, .help lists commands, .quit leaves.";
  if (simulated) {
    text += "\nThe simulator answers: nothing is paid.";
  } else if (settings.key.empty()) {
    text +=
        "\nThere is no key (KLING_API_KEY); kling repl --sim does the same on a simulator, free.";
  }
  return text;
}

struct ReplOptions : JobOptions {
  engine::Limits limits;
  BoardOptions board;
};

int run_repl(const ReplOptions& options) {
  Service service(options);
  if (Status opened = service.open(""); !opened.ok()) return options.voice.fail(opened.error());
  service.settings.typed = true;
  service.settings.most = options.limits;
  // The budget of a session is its own.
  service.settings.script_name = "repl " + std::to_string(make_clock()->now());

  Console console;  // before any thread
  Interruption interruption{&console};
  std::unique_ptr<Session> session;
  // Any thread's words wait until the main thread may print.
  service.settings.log = [queue = service.queue, &session, interactive = console.interactive()](
                             const std::string& level, const std::string& message) {
    if (level == "question" && interactive) return;  // each is told when it is its turn
    queue->post([&session, text = level == "info" || level == "question"
                                      ? message
                                      : level + ": " + message] { session->tell(text); });
  };
  lua::ModuleOptions module = service.module_options();
  const repl::Host host{.chunk_name = console.interactive() ? "=input" : "=stdin",
                        .write = [&](const std::string& text) { session->print(text); },
                        .jobs = [&] { return session->jobs_text(); }};
  const std::unique_ptr<lua_State, decltype(&lua_close)> state(luaL_newstate(), lua_close);
  if (!state) return options.voice.fail({.message = "not enough memory"});
  lua::Runtime* runtime = nullptr;
  auto prepare = [&](lua_State* L) {
    runtime = &script::open(L, false, std::move(module));
    lua_pushlightuserdata(L, &interruption);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &interrupt_key);
    lua_newtable(L);
    lua_setglobal(L, "arg");
    repl::Interpreter::open(L, host);
    lua_sethook(L, on_count, LUA_MASKCOUNT, kLookInstructions);  // tasks inherit it
  };
  if (const Status ready = script::protect(state.get(), prepare); !ready)
    return options.voice.fail(ready.error());

  session = std::make_unique<Session>(options.voice, console, state.get(), *runtime, interruption,
                                      options.simulation.on);
  const fs::path lines = xdg_folder("XDG_STATE_HOME", ".local/state") / "history";
  repl::HistoryFile history(console.interactive() && lines.is_absolute() ? lines.string() : "");
  console.start(history, service.settings.key,
                {.idle = [&] { return session->idle(); },
                 .complete = [&](const std::string& before) { return session->complete(before); },
                 .descriptor = service.queue->fd()});
  if (Status open = options.board.start(options.voice, "kling repl", service.queue, session->board);
      !open)
    session->tell(open.error().message);
  if (session->board) session->board->show(*runtime);
  if (!service.notice.empty()) session->tell(service.notice);
  if (console.interactive()) session->tell(greeting(service.settings, options.simulation.on));
  const int code = session->until_left();
  if (const std::string text = service.summary(runtime->engines()); !text.empty())
    session->tell(text);
  return code;
}

}  // namespace

std::function<int()> set_up_repl(CLI::App& app) {
  auto options = options_of<ReplOptions>(app);
  app.add_option("--max-cost", options->limits.budget_usd, "what the session may cost in US$")
      ->check(number_in(0));
  options->board.add_options(app);
  app.footer(
      "Examples:\n  kling repl --sim\n  echo 'help(\"omni.image_list\")' | kling repl\n"
      "Each input runs at once and is never replayed: the same line again makes a new clip.");
  return [options] { return run_repl(*options); };
}

}  // namespace kling::cli
