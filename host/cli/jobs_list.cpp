// kling jobs list, show and prune: what the ledger knows, and what need not be kept. Asks nobody.
#include <algorithm>

#include "api/capabilities.h"
#include "api/text.h"
#include "base/files.h"
#include "base/terminal.h"
#include "cli/jobs.h"
#include "script/script.h"

namespace kling::cli {
namespace {

using engine::JournalRow;
using engine::Step;
using engine::StepState;

struct ListOptions : LedgerOptions {
  std::vector<std::string> states, kinds;
  bool open_only = false;
  std::size_t limit = 0;
};

bool is_wanted(const ListOptions& options, const Step& row) {
  const auto any = [](const std::vector<std::string>& wanted, const std::string& value) {
    return wanted.empty() || std::ranges::find(wanted, value) != wanted.end();
  };
  const std::string script = options.script.substr(options.script.rfind('/') + 1);
  return any(options.states, engine::name(row.state)) && any(options.kinds, row.endpoint) &&
         (script.empty() || script == script_of(row)) && (!options.open_only || is_open(row));
}

std::string money(const Step& row) {
  if (row.state == StepState::failed) return "$0.00";
  return printed("%s$%.2f", row.cost_usd ? "" : "~", row.cost());
}

/// The shortest beginning of its address that no other step has, of seven characters or more.
std::string short_id(const Step& row, const std::set<std::string>& addresses) {
  if (row.address.empty()) return handle_of(row);
  std::size_t length = 7;
  const auto here = addresses.find(row.address);
  const auto beside = [&](const std::string& other) {
    const auto same = std::ranges::mismatch(row.address, other).in1 - row.address.begin();
    length = std::max(length, std::size_t(same) + 1);
  };
  if (here != addresses.begin()) beside(*std::prev(here));
  if (std::next(here) != addresses.end()) beside(*std::next(here));
  return row.address.substr(0, length);
}

std::string age(Millis at) {
  const long minutes = (make_clock()->now() - at) / 60'000;
  if (minutes < 1) return "now";  // the simulator's time may be ahead
  if (minutes < 100) return std::to_string(minutes) + " min";
  return minutes < 2880 ? std::to_string(minutes / 60) + " h"
                        : std::to_string(minutes / 1440) + " days";
}

int run_list(const ListOptions& options) {
  auto ledger = options.open();
  if (!ledger) return options.voice.fail(ledger.error());
  std::vector<Step> rows;
  std::set<std::string> addresses;
  if (*ledger) {
    auto all = (*ledger)->list(0);
    if (!all) return options.voice.fail(all.error());
    for (const Step& row : *all) addresses.insert(row.address);
    for (Step& row : *all)
      if (is_wanted(options, row) && (options.limit == 0 || rows.size() < options.limit))
        rows.push_back(std::move(row));
  } else {
    options.note_absent();
  }
  if (rows.empty() && !options.script.empty())
    if (const auto script = script::read(options.script); !script)
      return options.voice.fail(script.error());
  if (options.voice.json) {
    for (const Step& row : rows) Voice::line(options.told(row));
    return kExitDone;
  }
  if (rows.empty()) {
    if (!addresses.empty())
      options.voice.note("none of the " + std::to_string(addresses.size()) +
                         (options.open_only ? " jobs of this ledger is open"
                                            : " jobs of this ledger is of those"));
    return kExitDone;
  }
  std::vector<std::string> ids;
  std::size_t widest = 2;
  for (const Step& row : rows) {
    ids.push_back(short_id(row, addresses));
    widest = std::max(widest, ids.back().size());
  }
  use_utf8();
  const std::size_t columns =
      ::isatty(STDOUT_FILENO) != 0 ? terminal_size(STDOUT_FILENO).columns : 1000;
  const auto print = [&](const std::string& id, const char* state, const std::string& age,
                         const std::string& cost, const std::string& what,
                         const std::string& place = "") {
    std::string line = printed("%-*s  %-9s  ", int(widest), id.c_str(), state);
    if (columns >= 60) line += printed("%7s  %7s  ", age.c_str(), cost.c_str());
    line += what;
    if (!place.empty() && columns_of(line) + 2 + columns_of(place) <= columns) line += "  " + place;
    std::printf("%s\n", fitted(line, columns).c_str());
  };
  print("ID", "STATE", "AGE", "COST", "SHOT");
  std::size_t open = 0, failed = 0, superseded = 0, unsent = 0, unfetched = 0;
  double paid = 0, expected = 0, asked = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Step& row = rows[i];
    const double usd = row.cost();
    const bool left = row.state == StepState::intended;
    unsent += left ? 1 : 0;
    open += is_open(row) && !left ? 1 : 0;
    failed += row.state == StepState::failed ? 1 : 0;
    if (row.state != StepState::failed) (left ? asked : is_open(row) ? expected : paid) += usd;
    const std::string take = take_of(row.run);
    superseded += row.superseded ? 1 : 0;
    unfetched += is_unfetched(row) ? 1 : 0;
    print(ids[i], left ? "not sent" : engine::name(row.state), age(row.created_at), money(row),
          (row.superseded ? "(superseded) " : "") + (take.empty() ? "" : "[" + take + "] ") +
              printable(titled(row.name, row.summary)),
          printable(row.script));
  }
  const std::size_t clips = rows.size() - open - failed - unsent;
  std::string text = printed("%zu clip%s, $%.2f", clips, clips == 1 ? "" : "s", paid);
  if (open > 0) text += printed("; %zu open, about $%.2f", open, expected);
  if (unsent > 0)
    text += printed("; %zu not sent, about $%.2f when their script sends them", unsent, asked);
  if (failed > 0) text += "; " + std::to_string(failed) + " failed";
  if (unfetched > 0)
    text += "; " + std::to_string(unfetched) +
            " not stored here: " + options.voice.typed("kling jobs wait") +
            " fetches what the service keeps";
  if (superseded > 0) text += "; " + std::to_string(superseded) + " superseded";
  std::printf("%s\n", wrapped(text, STDOUT_FILENO).c_str());
  return kExitDone;
}

struct ShowOptions : LedgerOptions {
  std::string handle;
  bool request = false;
  bool raw = false;
};

/// The columns with JSON in them, and the answers: as they are, or without signatures.
struct Reader {
  bool raw;
  std::string text(const std::string& body) const {
    return raw ? body : api::excerpt(body, std::string::npos);
  }
  nlohmann::json json(const std::string& body) const {
    nlohmann::json value = api::parse_json(text(body));
    return value.is_discarded() ? nlohmann::json(text(body)) : value;
  }
};

void print_step(const Step& row, const Reader& reader, const Voice& voice) {
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty())
      std::printf("%s\n", wrapped(printed("  %-12s ", name) + value, STDOUT_FILENO).c_str());
  };
  std::printf("%s  %s\n", handle_of(row).c_str(), engine::name(row.state));
  line("name", row.name);
  line("prompt", row.summary);
  const auto body = api::parse_json(row.request);
  std::string made;
  for (const auto& [field, unit] : {std::pair("model_name", ""), {"mode", ""}, {"duration", " s"}})
    if (const std::string value = api::scalar_text(api::member(body, field)); !value.empty())
      made += (made.empty() ? "" : ", ") + value + unit;
  line("made by", made);
  line("script", row.script);
  line("take", take_of(row.run));
  line("service", row.service);
  line("external id", row.external_id);
  line("attempt", row.attempt > 1 ? std::to_string(row.attempt) : "");
  line("cost",
       money(row) + (row.cost_usd ? "" : " (estimate from the " + api::price_basis(1) + ")"));
  std::error_code error_code;
  const bool gone = !row.file.empty() && !fs::exists(row.file, error_code);
  line("clip", gone
                   ? row.file + ", which is gone; " + voice.typed("kling jobs save") + " fetches it"
                   : row.file);
  const auto result = api::parse_json(row.result);
  if (result.is_object() && result.contains("videos") && result["videos"].is_array())
    for (const auto& video : result["videos"])
      line("url", reader.text(video.is_object() ? video.value("url", "") : ""));
  const auto error = api::parse_json(row.error);
  if (!error.is_object()) return;
  line("error", error.value("kind", "") + ": " + error.value("message", ""));
  line("what to do", voice.typed(error.value("hint", "")));
}

int run_show(const ShowOptions& options) {
  const auto row = find_step(options, options.handle);
  if (!row) return options.voice.fail(row.error());
  const auto ledger = options.open();
  if (!ledger) return options.voice.fail(ledger.error());
  const auto journal = (*ledger)->journal(row->id);
  if (!journal) return options.voice.fail(journal.error());
  const Reader reader{options.raw};

  if (options.voice.json) {
    nlohmann::json job = options.told(*row);
    job["service"] = row->service;
    job["attempt"] = row->attempt;
    if (const auto result = reader.json(row->result); result.is_object()) job.update(result);
    if (options.request) job["request"] = reader.json(row->request);
    for (const JournalRow& entry : *journal) {
      nlohmann::json line = {{"at", static_cast<double>(entry.at) / 1000}, {"what", entry.what}};
      if (options.raw && !entry.body.empty()) line["body"] = entry.body;
      job["timeline"].push_back(line);
    }
    Voice::line(job);
    return kExitDone;
  }
  print_step(*row, reader, options.voice);
  if (options.request)
    std::printf("  %-12s %s\n", "request",
                reader.json(row->request)
                    .dump(2, ' ', false, nlohmann::json::error_handler_t::replace)
                    .c_str());
  std::printf("  %-12s\n", "timeline");
  for (const JournalRow& entry : *journal) {
    std::printf("    %-19s  %s\n", local_time(entry.at).c_str(), printable(entry.what).c_str());
    if (options.raw && !entry.body.empty())
      std::printf("      %s\n", printable(entry.body).c_str());
  }
  return kExitDone;
}

// ---- kling jobs prune: gives disk space back. Takes away clips and answers, never a step: what
// was paid stays known, so nothing is paid again ----

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
  std::printf("%s %d clip%s (%.1f MB) and %.1f kB of kept answers, older than %g days\n",
              options.yes ? "deleted" : "would delete", clips, clips == 1 ? "" : "s",
              static_cast<double>(bytes) / 1e6, static_cast<double>(*answers) / 1e3, options.days);
  if (!options.yes)
    options.voice.note(
        "nothing is deleted without --yes. No step is paid again for it, but the service keeps "
        "clips for 30 days only");
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_jobs_list(CLI::App& app) {
  auto options = options_of<ListOptions>(app);
  app.add_option("--state", options->states, "only jobs in this state; may be repeated")
      ->check(CLI::IsMember(std::vector<std::string>{"intended", "sending", "accepted", "succeeded",
                                                     "failed", "ambiguous"}))
      ->allow_extra_args(false);
  std::vector<std::string> kinds = {"request"};
  for (const api::Endpoint& endpoint : api::endpoints()) kinds.push_back(endpoint.name);
  app.add_option("--kind", options->kinds, "only text2video, image2video, …; may be repeated")
      ->check(CLI::IsMember(kinds))
      ->allow_extra_args(false);
  app.add_option("--script", options->script, "only this script's, from the ledger beside it")
      ->type_name("FILE");
  app.add_flag("--open", options->open_only, "only what is neither finished nor failed");
  app.add_option("--limit", options->limit, "show at most this many, the newest first (0: all)")
      ->check(number_in(0));
  app.footer("Example: kling jobs list --open --kind text2video");
  return [options] { return run_list(*options); };
}

std::function<int()> set_up_jobs_show(CLI::App& app) {
  auto options = options_of<ShowOptions>(app);
  add_handle(app, options->handle);
  app.add_flag("--request", options->request, "the body that was sent, too");
  app.add_flag("--raw", options->raw, kRawHelp);
  app.footer("Example: kling jobs show kling:text2video/861309198188019719 --request");
  return [options] { return run_show(*options); };
}

std::function<int()> set_up_jobs_prune(CLI::App& app) {
  auto options = options_of<PruneOptions>(app);
  app.add_option("--store", options->service.store,
                 "folder of the finished clips (default: beside the ledger)")
      ->type_name("DIR");
  app.add_option("--older-than", options->days, "days since the job finished")
      ->check(number_in(0.0, 36500.0))
      ->capture_default_str();
  app.add_flag("--yes", options->yes, "delete; without it, only say what would be deleted");
  app.footer("Example: kling jobs prune --older-than 90");
  return [options] { return run_prune(*options); };
}

}  // namespace kling::cli
