// A run from its first turn to its bill: tasks, jobs and interrupts, questions, what went wrong.
#include <algorithm>
#include <cctype>

#include <poll.h>
#include <termios.h>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/process.h"
#include "base/terminal.h"
#include "cli/progress.h"
#include "cli/run.h"

namespace kling::cli {
namespace {

/// True when every job has an id or has come to rest: nothing would be lost by leaving.
bool all_answered(const std::vector<engine::Engine*>& engines) {
  return std::ranges::none_of(engine::snapshots(engines), [](const auto& job) {
    return job.state == "preparing" || job.state == "sending";
  });
}

std::size_t pending(const std::vector<engine::Engine*>& engines) {
  std::size_t count = 0;
  for (const engine::Engine* engine : engines) count += engine->pending();
  return count;
}

constexpr int kAskMillis = 100;  // between two looks at what a person types
/// Somebody else may just have answered: the ledger is looked at three times in this.
constexpr std::chrono::seconds kIdle{1};
constexpr double kLongestGrace = 5;  // seconds that a deadline gives requests on their way

/// One run, after its state is set up.
class Run {
 public:
  Run(const RunOptions& options, const Service& service, lua_State* L, lua::Runtime& runtime,
      lua::TaskId task, Board* board)
      : options_(options),
        service_(service),
        state_(L),
        runtime_(runtime),
        task_(task),
        board_(board),
        progress_(options.voice, runtime.queue().clock()) {}

  int until_done() {
    for (;;) {
      if (asking_ == 0) progress_.erase();
      const bool busy = turn();
      if (give_up()) continue;  // what was cancelled has its turn
      const auto engines = runtime_.engines();
      if (const std::string told = busy ? "" : runtime_.deadlock(); !told.empty()) {
        given_up_ = true;
        code_ = kExitError;
        (void)options_.voice.fail({.message = told});
        stop(engines);
        continue;
      }
      const bool waits = (!busy && ask_to_pay(engines)) || ask_person(engines);
      if (asking_ == 0) progress_.update(engines);
      if (interrupted() && !leaving_) leave(engines);
      const auto time = std::chrono::steady_clock::now();
      if (!waits || busy || pending(engines) != 0 || runtime_.next_timer() != kNever)
        busy_until_ = time;
      if (board_ != nullptr) board_->update();
      if (time - busy_until_ > kIdle && !person_ && board_ == nullptr && !leaving_ && !given_up_)
        give_up_asking(engines);
      const bool over = runtime_.result(task_).done && runtime_.unfinished() == 0;
      // An answer that does not come is looked for by the next run.
      const bool late = leaving_ && overdue();
      const std::chrono::duration<double> grace(std::min(options_.deadline, kLongestGrace));
      if (late && time - left_at_ > grace) break;
      if (leaving_ ? count(engines, is_under_way) == 0 : over && pending(engines) == 0) break;
      const int look = progress_.until_next_look();
      // As often as people are told: all jobs are looked at. What the script asks for next once
      // these are accepted was announced before that.
      if (options_.detach && !busy && progress_.has_looked() && all_answered(engines) &&
          !engine::snapshots(engines).empty() && !turn() && all_answered(runtime_.engines()))
        break;
      if (!busy)
        runtime_.wait(
            service_.deadline((waits && (look < 0 || asking_ != 0)) || late ? kAskMillis : look));
    }
    progress_.finish(runtime_.engines());
    if (board_ != nullptr) board_->update();
    return finish();
  }

 private:
  bool turn() {
    return options_.safe.watched([this] { return runtime_.run(10'000); });
  }

  static int count(const std::vector<engine::Engine*>& engines,
                   bool (*is)(const engine::JobSnapshot&)) {
    return static_cast<int>(std::ranges::count_if(engine::snapshots(engines), is));
  }
  static bool goes_on(const engine::JobSnapshot& job) {
    return job.phase == engine::Phase::accepted;
  }

  /// Before the first request, when all that the script asks for so far waits to be sent: what it
  /// costs, and whether to go on. True while that is not answered.
  bool ask_to_pay(const std::vector<engine::Engine*>& engines) {
    constexpr std::int64_t kThis = -1;
    if (engines.empty() || !engines[0]->options.purse->held || leaving_ || given_up_) return false;
    int shots = 0, unpriced = 0;
    double usd = 0;
    bool limited = true;
    for (engine::Engine* engine : engines) {
      const engine::Limits& limits = engine->options.limits;
      limited = limited && (limits.budget_usd >= 0 || limits.budget_jobs >= 0);
    }
    for (const engine::JobSnapshot& shot : engine::snapshots(engines)) {
      if (is_under_way(shot)) return false;  // not recorded yet
      if (shot.waiting_for != engine::kYourWord) continue;
      ++shots;
      if (shot.cost() <= 0) ++unpriced;
      usd = api::decimal(usd + shot.cost());
    }
    if (shots == 0) return false;
    std::string text = limited ? "y" : "";
    // While nobody answers, time-outs and loops of the script may ask for more.
    if (!limited && (asking_ != kThis || told_price_ != std::pair(shots, usd))) {
      if (asking_ != 0) std::fputs("\n", stderr);
      asking_ = kThis;
      told_price_ = {shots, usd};
      forget_typed();
      const bool same = options_.draft && !engines[0]->options.purse->spared;
      std::fprintf(stderr, "%d new shot%s, about %s%s%s; more may follow; go on? [Y/n] ", shots,
                   shots == 1 ? "" : "s", engine::dollars(usd).c_str(),
                   unpriced > 0 ? " and what has no known price" : "",
                   same ? "; the draft costs what the film costs" : "");
    }
    if (!limited) {
      const auto line = read_line();
      if (!line) return true;
      text = api::lower(*line);
    }
    const bool plain = text == "n" || text == "no" || text == "y" || text == "yes";
    // After a word that was not understood an empty line pays nothing.
    if (person_ && !plain && (unclear_ || !text.empty())) {
      unclear_ = true;
      std::fputs("y or n: ", stderr);
      return true;
    }
    asking_ = 0;
    if (!person_ || text.starts_with('n')) {
      leave(engines, "");
    } else {
      engines[0]->options.purse->held = false;
      for (engine::Engine* engine : engines) engine->release();
    }
    return true;
  }

  /// Asks who sits here about the oldest open question. True while one is open.
  bool ask_person(const std::vector<engine::Engine*>& engines) {
    if ((asking_ < 0 && !given_up_ && !leaving_) || *keeping_)
      return true;  // whether to pay; what is next comes after
    engine::Engine* whose = nullptr;
    engine::Question open;
    std::string answered = " (the script waits no longer)\n";
    for (engine::Engine* engine : engines)
      for (engine::Question& one : engine->questions()) {
        if ((options_.voice.json || !person_) && one.answer == 0) announce(engine, one);
        if (one.answer != 0 && one.id == asking_)
          answered = " (answered elsewhere: " + choice_text(one, one.answer) + ")\n";
        if (whose == nullptr && one.answer == 0 && !answered_.contains({engine, one.id}))
          whose = engine, open = std::move(one);
      }
    if (asking_ != open.id && asking_ != 0) {
      std::fputs(answered.c_str(), stderr);
      std::erase_if(told_, [&](const auto& one) { return one.second == asking_; });
    }
    const bool is_new = std::exchange(asking_, person_ && !leaving_ ? open.id : 0) != asking_;
    if (asking_ == 0) return whose != nullptr;
    const std::string prompt = engine::answer_prompt(open);
    if (is_new) {
      announce(whose, open);
      forget_typed();
      std::fputs(prompt.c_str(), stderr);
    }
    const auto line = read_line();
    if (!line) return true;
    if (const int answer = engine::read_answer(open, *line); answer != 0) {
      answered_.emplace(whose, open.id);
      asking_ = 0;
      *keeping_ = true;
      whose->answer_question(open.id, answer,
                             [voice = options_.voice, keeping = keeping_,
                              given = choice_text(open, answer)](const Status& kept) {
                               *keeping = false;
                               voice.note(kept ? "answered: " + given : kept.error().message);
                             });
    } else {
      std::fputs((wrapped(engine::no_answer(open, *line), STDERR_FILENO) + "\n" + prompt).c_str(),
                 stderr);
    }
    return true;
  }

  /// Once; to a person when it is its turn, so that what is read last is what is answered.
  void announce(engine::Engine* engine, const engine::Question& one) {
    if (!told_.emplace(engine, one.id).second) return;
    if (options_.voice.json) return Voice::line({{"question", to_json(one)}});
    Voice loud = options_.voice;
    loud.quiet = false;
    loud.note(to_text(one) + (person_ ? "\n  elsewhere: " : "\n  ") +
              loud.typed(command(engine, one)));
  }

  /// What is typed elsewhere: a client of the script may have a ledger of its own.
  std::string command(const engine::Engine* engine, const engine::Question& one) const {
    if (engine->options.ledger_path == ":memory:") return "a terminal, as this ledger is in memory";
    std::string line = answer_command(one);
    if (engine->options.ledger_path != service_.settings.ledger_path)
      line.insert(line.find(" answer") + 7, " --ledger " + quoted(engine->options.ledger_path));
    return line;
  }

  /// A line that was typed before the question cannot be its answer.
  void forget_typed() const {
    if (person_) (void)::tcflush(STDIN_FILENO, TCIFLUSH);
  }

  /// What was typed, when there is a line. At its end nobody sits here any more.
  std::optional<std::string> read_line() {
    pollfd input{STDIN_FILENO, POLLIN, 0};
    char text[4096];
    if (::poll(&input, 1, 0) <= 0) return std::nullopt;
    const ssize_t size = ::read(STDIN_FILENO, text, sizeof text);
    if (size <= 0) person_ = false;
    std::string line(text, size > 0 ? std::size_t(size) : 0);
    while (!line.empty() && (line.back() == '\n' || line.back() == ' ')) line.pop_back();
    return line;
  }

  /// Only answers could bring this run on, and nobody here gives them.
  void give_up_asking(const std::vector<engine::Engine*>& engines) {
    given_up_ = true;
    code_ = kExitDecision;
    for (const engine::Engine* engine : engines)
      for (const engine::Question& one : engine->questions())
        if (one.answer == 0) {
          lua::TaskResult& asked = failures_.emplace_back();
          asked.message = one.where + " waits for an answer: " + fitted(one.text, 200);
          asked.error = {.kind = Kind::ambiguous,
                         .message = asked.message,
                         .hint = command(engine, one) + ", then the same command again" +
                                 (options_.ask_again ? ", without --re-ask" : "")};
          asked.is_kling_error = true;
          if (options_.voice.json) (void)options_.voice.fail(asked.error);
        }
    if (options_.voice.json) failures_.clear();
    stop(engines);
  }

  /// Nothing more is sent, and no task waits any longer.
  void stop(const std::vector<engine::Engine*>& engines) {
    for (engine::Engine* engine : engines) engine->stop_submitting();
    runtime_.cancel_all();
    progress_.erase();
  }

  /// "2 jobs go on at the service", or what else is true.
  std::string what_is_left(const std::vector<engine::Engine*>& engines) const {
    const int going = count(engines, goes_on);
    const int unanswered = count(engines, is_under_way);
    const int lost = count(engines, [](const engine::JobSnapshot& job) {
      return job.phase == engine::Phase::looking_up || job.phase == engine::Phase::ambiguous;
    });
    const int sent =
        count(engines, [](const engine::JobSnapshot& job) { return job.submitted || job.reused; });
    const auto jobs = [](int number, const char* one, const char* more) {
      return std::to_string(number) + (number == 1 ? one : more);
    };
    std::string text;
    if (going > 0) text = jobs(going, " job goes", " jobs go") + " on at the service. ";
    if (going + unanswered + lost + sent == 0) text = "nothing was sent. ";
    if (going == 0 && unanswered + lost == 0 && sent > 0) text = "no job is left at the service. ";
    if (lost > 0)
      text += "The answer to " + jobs(lost, " request", " requests") +
              " was lost; the next run looks for it. ";
    text += "Run the same command again to go on; nothing is paid twice.";
    if (unanswered > 0)
      text += " Waiting for the answer to " + jobs(unanswered, " request", " requests") +
              " on the way (Ctrl-C leaves at once).";
    return text;
  }

  void leave(const std::vector<engine::Engine*>& engines, const char* why = "interrupted; ") {
    leaving_ = true;
    left_at_ = std::chrono::steady_clock::now();
    heed_interrupt();
    const std::string left = what_is_left(engines);  // what waits wakes up to be stopped
    stop(engines);
    if (!overdue()) return options_.voice.note(why + left);
    (void)options_.voice.fail(
        {.kind = Kind::interrupted,
         .message = printed("the deadline of %.10g seconds has passed", options_.deadline),
         .hint = left});
  }

  /// What failed is told last, where it is read.
  void report(const lua::TaskResult& result) {
    const bool by_us = (leaving_ || given_up_) && result.error.kind == Kind::interrupted;
    const int code = by_us                   ? int{kExitInterrupted}
                     : result.is_kling_error ? exit_code(result.error.kind)
                                             : int{kExitError};
    // The card of a job tells its own.
    if (!by_us && board_ != nullptr && result.error.job.empty())
      board_->tell_failure(result.message);
    if (!by_us && options_.voice.json) (void)options_.voice.fail(result, "");
    if (!by_us && !options_.voice.json) failures_.push_back(result);
    if (code_ == kExitDone && !(by_us && given_up_)) code_ = code;
  }

  /// A script ended with an error. What it has paid for is still brought home; nothing else of it
  /// goes on. True once, when that happened.
  bool give_up() {
    const lua::TaskResult main = runtime_.result(task_);
    const bool failed = main.done && !main.ok;
    if (given_up_ || (!failed && lua::stopped(state_) == nullptr)) return false;
    given_up_ = true;
    if (failed) report(main);
    if (leaving_) return true;
    const auto engines = runtime_.engines();
    stop(engines);
    std::string place =
        main.where.empty() ? main.message.substr(0, main.message.find(": ")) : main.where;
    if (place.empty() || std::isdigit(static_cast<unsigned char>(place.back())) == 0)
      place = "the script";
    if (const int going = count(engines, goes_on); going > 0)
      options_.voice.note(
          (failed ? place + " failed; " : "the script was stopped; ") +
          (going == 1 ? "1 job that is paid for still runs"
                      : std::to_string(going) + " jobs that are paid for still run") +
          "; waiting for " + (going == 1 ? "it" : "them") + " (Ctrl-C leaves, and " +
          (going == 1 ? "it goes" : "they go") + " on at the service)");
    return true;
  }

  /// The end of a job that no part of the script waited for.
  void report_unobserved(const engine::JobSnapshot& job) {
    if (code_ == kExitDone)
      code_ = job.state == "failed" ? int{kExitGenerationFailed} : exit_code(job.error->kind);
    if (options_.voice.json) return;  // its event told
    Error told = *job.error;
    told.message = job.script + ": " + told.message;
    told.job = called(job);
    (void)options_.voice.fail(told);
  }

  /// "shot 3, 91be04d"
  static std::string called(const engine::JobSnapshot& job) {
    return job.name + (job.name.empty() ? "" : ", ") + short_id(job);
  }
  std::string called(const std::string& handle) const {
    for (const engine::JobSnapshot& shot : engine::snapshots(runtime_.engines()))
      if (!handle.empty() && (shot.handle == handle || (!shot.external_id.empty() &&
                                                        handle.ends_with("~" + shot.external_id))))
        return called(shot);
    return handle;
  }

  int finish() {
    runtime_.queue().drain();  // what workers had to say
    std::vector<engine::JobSnapshot> unobserved;
    const auto engines = runtime_.engines();
    const engine::Bill bill = engine::bill_of(engines);
    const double price_factor = engines.empty() ? 1 : engines.back()->options.price_factor;
    for (const engine::JobSnapshot& shot : engine::snapshots(engines)) {
      const bool by_us =
          leaving_ || (given_up_ && shot.error && shot.error->kind == Kind::interrupted);
      if (shot.error && !shot.observed && !by_us) unobserved.push_back(shot);
      // A clip that could not be stored is not lost, but its owner must know.
      if (shot.store_error)
        options_.voice.note(shot.handle + ": the clip is not stored: " + shot.store_error->message);
      if ((leaving_ || options_.detach) && !shot.unsent() && !shot.error &&
          shot.state != "succeeded")
        options_.voice.note("open: " + shot.handle);
    }
    if (options_.report) {
      options_.report(runtime_.engines());
    } else if (options_.voice.json) {
      Voice::line({{"bill",
                    {{"submitted", bill.submitted},
                     {"reused", bill.reused},
                     {"failed", bill.failed},
                     {"not_sent_again", bill.replayed},
                     {"open", bill.open + bill.unsent},
                     {"usd", bill.usd},
                     {"in_doubt_usd", bill.in_doubt},
                     {"estimated", bill.estimated}}}});
    } else if (bill.submitted + bill.reused + bill.failed + bill.open + bill.unsent > 0) {
      const bool about = bill.estimated && bill.usd > 0;
      std::string line = printed("%d submitted, %d reused, %s$%.2f", bill.submitted, bill.reused,
                                 about ? "about " : "", bill.usd);
      if (about) line += " (" + api::price_basis(price_factor) + ")";
      if (bill.failed > 0) line += ", " + std::to_string(bill.failed) + " failed";
      if (bill.open > 0) line += ", " + std::to_string(bill.open) + " still open";
      if (bill.unsent > 0) line += ", " + std::to_string(bill.unsent) + " not sent";
      if (bill.in_doubt > 0)
        line += printed("; lost answers may have cost $%.2f more", bill.in_doubt);
      options_.voice.note(line);
      outcome_ = line;
      if (bill.replayed > 0)
        options_.voice.note(std::to_string(bill.replayed) + " failed earlier, not sent again: " +
                            command_line(*options_.app, "--retry-failed"));
    }
    if (const std::string text = service_.summary(runtime_.engines()); !text.empty())
      options_.voice.note(text);
    if (!options_.again.empty() && !leaving_ && !given_up_ &&
        std::ranges::count(engine::snapshots(engines), options_.again,
                           &engine::JobSnapshot::name) == 0)
      code_ = options_.voice.fail(
          {.message = "no shot is called \"" + options_.again + "\", so none was made again",
           .hint = "kling jobs list shows the names"});
    for (const lua::TaskResult& task : runtime_.take_unobserved()) report(task);
    for (const engine::JobSnapshot& job : unobserved) report_unobserved(job);
    // A hundred shots may fail for one reason.
    std::map<std::string, int> alike;
    const auto reason = [](const lua::TaskResult& task) {
      return task.where + "\n" + task.error.message + "\n" + task.error.hint;
    };
    for (const lua::TaskResult& task : failures_) ++alike[reason(task)];
    for (const lua::TaskResult& task : failures_) {
      const int more = std::exchange(alike[reason(task)], 0) - 1;
      if (more >= 0) (void)options_.voice.fail(task, called(task.error.job));
      if (more > 0)
        options_.voice.note(std::to_string(more) + (more == 1 ? " task" : " tasks") +
                            " more ended for the same reason");
    }
    if (code_ == kExitDone && !leaving_ && !options_.detach && !options_.report) runtime_.end_run();
    if (options_.notify) notify();
    return leaving_ ? int{kExitInterrupted} : code_;
  }

  /// A bell, and a message where the desktop has a place for it.
  void notify() const {
    if (is_capable_terminal(STDERR_FILENO)) std::fputc('\a', stderr);
    const std::string title = options_.app->remaining().front() + (leaving_     ? " was left"
                                                                   : code_ == 0 ? " is done"
                                                                                : " ended");
    (void)run_process({"notify-send", "--", title, outcome_}, {.time = std::chrono::seconds(5)});
  }

  const RunOptions& options_;
  const Service& service_;
  lua_State* const state_;
  lua::Runtime& runtime_;
  const lua::TaskId task_;
  Board* const board_;  ///< null: none
  Progress progress_;
  bool person_ = sits_here();
  bool unclear_ = false;               ///< what was typed before was no answer
  std::int64_t asking_ = 0;            ///< the question that stands on the terminal
  std::pair<int, double> told_price_;  ///< shots and dollars, where it is whether to pay
  /// An answer that was typed is on its way into the ledger.
  const std::shared_ptr<bool> keeping_ = std::make_shared<bool>(false);
  std::set<std::pair<engine::Engine*, std::int64_t>> told_, answered_;
  std::chrono::steady_clock::time_point busy_until_ = std::chrono::steady_clock::now();
  bool leaving_ = false;
  std::chrono::steady_clock::time_point left_at_;
  bool given_up_ = false;  ///< the script ended with an error or at a limit
  int code_ = kExitDone;
  std::vector<lua::TaskResult> failures_;
  std::string outcome_;  ///< the bill in one line
};

}  // namespace

bool sits_here() {
  return ::isatty(STDIN_FILENO) != 0 && ::isatty(STDERR_FILENO) != 0 &&
         ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
}

int run_until_done(const RunOptions& options, const Service& service, lua_State* L,
                   lua::Runtime& runtime, lua::TaskId task, Board* board) {
  return Run(options, service, L, runtime, task, board).until_done();
}

}  // namespace kling::cli
