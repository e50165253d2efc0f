// kling plan SCRIPT: what a run would submit, what is paid already, what it would cost. The script
// runs against the simulator, at once, on a copy of the ledger: nothing is sent, nothing recorded,
// and what it saves goes to a temporary folder.
#include <regex>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/files.h"
#include "base/terminal.h"
#include "cli/run.h"

namespace kling::cli {
namespace {

using engine::Step;
using engine::StepState;

/// A folder that is gone with this object.
struct Scratch : NotCopied {
  fs::path path = fs::temp_directory_path() / ("kling-plan-" + random_hex(8));
  Scratch() {
    fs::create_directory(path);
    fs::permissions(path, fs::perms::owner_all);
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
};

/// What a run would do about a step, given how its ledger row stands; one that was recorded and
/// never sent is new.
const char* fate(const Step* row) {
  constexpr const char* kFates[] = {"new", "running", "running", "paid", "failed", "ambiguous"};
  return row == nullptr ? "new" : kFates[int(row->state)];
}

class Plan {
 public:
  explicit Plan(RunOptions& run) : run_(run) {}

  int run() {
    run_.simulation.with_real_ledger = !std::exchange(run_.simulation.on, true);
    run_.simulation.speed = 100'000;
    run_.simulation.service.draft = true;  // a plan is read, not watched
    // Of a month at that speed 26 seconds are left, which a slow machine needs for a film.
    run_.simulation.service.url_life = Millis{36'500} * 86'400'000;
    run_.simulation.service.state_dir = (scratch_.path / "service").string();
    run_.make_engine = [this](engine::EngineOptions options, Service& service) {
      return make(std::move(options), service);
    };
    run_.report = [this](const std::vector<engine::Engine*>& engines) { report(engines); };
    json_ = std::exchange(run_.voice.json, false);
    run_.voice.quiet = true;
    run_.voice.warns = !json_;
    run_.voice.fails_in_json = json_;
    const int code = run_script(run_);
    if (code != kExitDone && copies_ > 0 && !json_)
      std::puts("the script ended with an error: what comes behind that is not in this plan");
    // What a run would stop for, this one tells.
    return code == kExitDone && over_budget_ ? int{kExitDecision} : code;
  }

 private:
  Result<std::shared_ptr<engine::Engine>> make(engine::EngineOptions options, Service& simulated) {
    if (!run_.simulation.with_real_ledger) options.service = "sim";
    auto service = engine::service_name(options);
    if (!service) return service.error();
    const std::string copy =
        (scratch_.path / ("ledger-" + std::to_string(++copies_) + ".db")).string();
    auto rows = engine::copy_ledger(options.ledger_path, copy);
    if (!rows) return rows.error();
    for (Step& row : *rows)
      if (row.service == *service) known_[row.address] = std::move(row);
    limits_ = engine::lower(std::exchange(options.limits, {}), std::exchange(options.most, {}));
    if (Status started = simulated.connect(options); !started.ok()) return started.error();
    options.service = *service;
    options.ledger_path = copy;
    options.plans = std::exchange(options.store, false);
    if (options.upload)  // the script's own would send the file
      options.upload = [](const std::string&, const auto& done) {
        done(std::string("https://plan.invalid/"));
      };
    options.store_folder = (scratch_.path / "clips").string();
    options.output_folder = (scratch_.path / "output").string();
    return engine::make_engine(std::move(options));
  }

  void report(const std::vector<engine::Engine*>& engines) {
    std::map<std::string, int> counts;
    double usd = 0, paid = 0, draft = 0;
    int differing = 0, unpriced = 0;
    bool spared = false;
    use_utf8();
    if (!json_ && !engines.empty()) print_row("state", "kind", "model", "mode", "s", "US$", "shot");
    double price_factor = 1;
    for (const engine::Engine* engine : engines)
      for (const engine::Question& one : engine->questions())
        if (json_) Voice::line({{"question", engine::to_json(one)}});
    for (engine::Engine* engine : engines) {
      price_factor = engine->options.price_factor;
      auto book = engine::open_ledger(engine->options.ledger_path);
      for (const auto& job : engine->jobs()) {
        const engine::JobSnapshot shot = engine->snapshot(job);
        const auto found = known_.find(shot.address);
        const Step* row = found == known_.end() ? nullptr : &found->second;
        const std::string state = shot.replayed ? "refused" : fate(row);
        ++counts[state];
        const bool to_pay = state == "new" || state == "failed";
        // As it would be sent.
        const auto copied = book ? (*book)->find_by_external(shot.external_id) : book.error();
        const Step planned = copied && *copied ? **copied : Step();
        // What was asked, but for which of our shots it was made from.
        const auto words = [](const Step& step) {
          static const std::regex from(" of step [0-9a-f]{32}");
          return std::regex_replace(step.endpoint + step.request, from, "");
        };
        const bool carried = shot.differs && std::ranges::any_of(known_, [&](const auto& known) {
                               return words(known.second) == words(planned);
                             });
        if (shot.differs && !carried) ++differing;
        const double price = to_pay || row == nullptr ? planned.estimate_usd : row->cost();
        double& sum = to_pay ? usd : paid;
        if (!shot.replayed) sum = api::decimal(sum + price);
        if (to_pay && price <= 0) ++unpriced;
        const api::Json body = api::parse_json(planned.request);
        // Clips of the film are none of its draft's, which is a take of its own.
        if (const auto* endpoint = api::find_endpoint(shot.endpoint); !shot.replayed && endpoint)
          if (const auto least = api::estimate(
                  api::as_draft(*endpoint, {.endpoint = shot.endpoint, .fields = body}).fields)) {
            spared = spared || least->usd * price_factor < planned.estimate_usd - 1e-6;
            draft = api::decimal(draft + least->usd * price_factor);
          }
        show(state, shot, price, body, carried);
      }
    }
    over_budget_ = limits_.budget_usd >= 0 && usd + paid > limits_.budget_usd + 1e-6;
    const int submissions = counts["new"] + counts["failed"];
    if (json_) {
      nlohmann::json plan = {
          {"differ", differing},         {"usd", usd},
          {"draft_usd", draft},          {"paid_usd", paid},
          {"over_budget", over_budget_}, {"prices", api::price_source(price_factor)}};
      for (const char* state : {"new", "failed", "paid", "running", "ambiguous", "refused"})
        plan[state] = counts[state];
      return Voice::line({{"plan", plan}});
    }
    std::string text =
        printed("%d to submit, about $%.2f; %d paid or running, $%.2f\n", submissions, usd,
                counts["paid"] + counts["running"] + counts["ambiguous"], paid);
    if (counts["refused"] > 0)
      text += std::to_string(counts["refused"]) +
              " refused (not sent again): " + command_line(*run_.app, "--retry-failed") +
              " asks anew\n";
    const bool is_draft = !engines.empty() && engines[0]->options.draft;
    if (spared && submissions > 0) text += printed("with --draft about $%.2f\n", draft);
    if (draft > 0 && !spared && !(is_draft && engines[0]->options.purse->spared))
      text += "the draft costs what the film costs\n";
    if (differing > 0)
      text += printed("%d step%s from last time\n", differing,
                      differing == 1 ? " differs" : "s differ");
    if (counts["ambiguous"] > 0)
      text += run_.voice.typed(
          printed("%d need%s your decision first: kling jobs list --state ambiguous\n",
                  counts["ambiguous"], counts["ambiguous"] == 1 ? "s" : ""));
    if (unpriced > 0) text += printed("%d without a known price\n", unpriced);
    if (over_budget_) text += printed("over the budget of $%.2f\n", limits_.budget_usd);
    if (submissions > 0)
      text += printed("estimated from %s%s\n", price_factor == 1 ? "the " : "",
                      api::price_source(price_factor).c_str());
    text +=
        "nothing was sent or recorded; save and concat wrote to a temporary folder, io and os "
        "did what they always do\n";
    (void)print(wrapped(text, STDOUT_FILENO));
  }

  void show(const std::string& state, const engine::JobSnapshot& shot, double price,
            const api::Json& body, bool carried) const {
    const auto text = [&body](const char* field) {
      return api::scalar_text(api::member(body, field));
    };
    if (json_)
      return Voice::line({{"step",
                           {{"state", state},
                            {"kind", shot.endpoint},
                            {"model", text("model_name")},
                            {"mode", text("mode")},
                            {"seconds", text("duration")},
                            {"usd", api::decimal(price)},
                            {"differs", shot.differs},
                            {"where", shot.script},
                            {"name", shot.name},
                            {"summary", shot.summary}}}});
    print_row(state, shot.endpoint, text("model_name"), text("mode"), text("duration"),
              printed("%.2f", price), titled(shot.name, shot.summary),
              "  " + shot.script +
                  (carried        ? "  (made from what differs)"
                   : shot.differs ? "  (differs from last time)"
                                  : ""));
  }

  /// On a narrow terminal without what the script tells, too.
  static void print_row(const std::string& state, const std::string& kind, const std::string& model,
                        const std::string& mode, const std::string& length, const std::string& usd,
                        const std::string& shot, const std::string& place = "") {
    const bool terminal = ::isatty(STDOUT_FILENO) != 0;
    const std::size_t columns = terminal ? terminal_size(STDOUT_FILENO).columns : 1000;
    std::string line = printed("%-9s ", state.c_str());
    if (columns >= 100)
      line += printed("%-18s %-16s %-4s %4s ", kind.c_str(), model.c_str(), mode.c_str(),
                      length.c_str());
    line += printed(columns < 60 ? "%6s  " : "%8s  ", usd.c_str()) + shot;
    if (terminal) line = printable(line);
    if (columns_of(line + place) <= columns) line += place;
    std::printf("%s\n", fitted(line, columns).c_str());
  }

  RunOptions& run_;
  Scratch scratch_;
  bool json_ = false;
  bool over_budget_ = false;
  int copies_ = 0;
  engine::Limits limits_;
  std::map<std::string, Step> known_;  // by address, as they stand in the real ledger
};

}  // namespace

std::function<int()> set_up_plan(CLI::App& app) {
  auto options = std::make_shared<RunOptions>();
  options->app = &app;
  app.add_flag("--json", options->voice.json, "one JSON value a line on standard output");
  options->service.add_options(app);
  app.add_flag("--sim", options->simulation.on, "plan a run with --sim");
  options->add_take_options();
  app.add_flag("--strict", options->strict, "warnings about requests are errors");
  app.add_option("--max-cost", options->limits.budget_usd,
                 "exit with 4 when the script would cost more US$ in all")
      ->transform(number_in(0));
  app.prefix_command();
  app.footer("Example: kling plan scripts/quickstart.lua");
  return [options] { return Plan(*options).run(); };
}

}  // namespace kling::cli
