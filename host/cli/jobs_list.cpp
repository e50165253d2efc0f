// kling jobs list and show: what the ledger knows. Reads only; asks nobody.
#include <algorithm>

#include "api/decoder.h"
#include "api/prices.h"
#include "api/text.h"
#include "cli/jobs.h"

namespace kling::cli {
namespace {

using engine::JournalRow;
using engine::Step;

struct ListOptions : LedgerOptions {
  std::vector<std::string> states, kinds;
  bool open_only = false;
  std::size_t limit = 0;
};

bool is_wanted(const ListOptions& options, const Step& row) {
  const auto any = [](const std::vector<std::string>& wanted, const std::string& value) {
    return wanted.empty() || std::find(wanted.begin(), wanted.end(), value) != wanted.end();
  };
  const std::string script = options.script.substr(options.script.rfind('/') + 1);
  return any(options.states, engine::name(row.state)) && any(options.kinds, row.endpoint) &&
         (script.empty() || script == script_of(row)) && (!options.open_only || is_open(row));
}

std::string money(const Step& row) {
  char text[32];
  std::snprintf(text, sizeof text, "%s$%.2f", row.cost_usd ? "" : "~",
                row.cost_usd.value_or(row.estimate_usd));
  return text;
}

int run_list(const ListOptions& options) {
  auto ledger = options.open();
  if (!ledger) return options.voice.fail(ledger.error());
  std::vector<Step> rows;
  if (*ledger) {
    auto all = (*ledger)->list(0);
    if (!all) return options.voice.fail(all.error());
    for (Step& row : *all)
      if (is_wanted(options, row) && (options.limit == 0 || rows.size() < options.limit))
        rows.push_back(std::move(row));
  } else {
    options.voice.note("there is no ledger at " + options.ledger_path() + " yet");
  }
  std::size_t widest = 0;
  for (const Step& row : rows) widest = std::max(widest, handle_of(row).size());
  for (const Step& row : rows) {
    if (options.voice.json) {
      Voice::line(to_json(row));
      continue;
    }
    std::printf("%-*s  %-9s  %s  %6s  %s  %s\n", static_cast<int>(widest), handle_of(row).c_str(),
                engine::name(row.state), local_time(row.created_at).c_str(), money(row).c_str(),
                printable(row.script).c_str(), printable(row.summary).c_str());
  }
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

void print_step(const Step& row, const Reader& reader) {
  const auto line = [](const char* name, const std::string& value) {
    if (!value.empty()) std::printf("  %-12s %s\n", name, printable(value).c_str());
  };
  std::printf("%s  %s\n", handle_of(row).c_str(), engine::name(row.state));
  line("prompt", row.summary);
  line("script", row.script);
  line("service", row.service);
  line("external id", row.external_id);
  line("attempt", row.attempt > 1 ? std::to_string(row.attempt) : "");
  line("cost",
       money(row) + (row.cost_usd ? "" : " (estimate from the " + api::price_basis(1) + ")"));
  line("clip", row.file);
  const auto result = api::parse_json(row.result);
  if (result.is_object() && result.contains("videos") && result["videos"].is_array())
    for (const auto& video : result["videos"])
      line("url", reader.text(video.is_object() ? video.value("url", "") : ""));
  const auto error = api::parse_json(row.error);
  if (!error.is_object()) return;
  line("error", error.value("kind", "") + ": " + error.value("message", ""));
  line("what to do", error.value("hint", ""));
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
    nlohmann::json job = to_json(*row);
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
  print_step(*row, reader);
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

}  // namespace

std::function<int()> set_up_jobs_list(CLI::App& app) {
  auto options = std::make_shared<ListOptions>();
  options->add_ledger_options(app);
  app.add_option("--state", options->states, "only those; may be repeated")
      ->check(CLI::IsMember(std::vector<std::string>{"intended", "sending", "accepted", "succeeded",
                                                     "failed", "ambiguous"}))
      ->allow_extra_args(false);
  app.add_option("--kind", options->kinds, "only text2video, image2video, …; may be repeated")
      ->allow_extra_args(false);
  app.add_option("--script", options->script, "only this script's, from the ledger beside it")
      ->type_name("FILE");
  app.add_flag("--open", options->open_only, "only what is neither finished nor failed");
  app.add_option("--limit", options->limit, "at most so many, the newest first (0: all)");
  app.footer("Example: kling jobs list --open --kind text2video");
  return [options] { return run_list(*options); };
}

std::function<int()> set_up_jobs_show(CLI::App& app) {
  auto options = std::make_shared<ShowOptions>();
  options->add_ledger_options(app);
  add_handle(app, options->handle);
  app.add_flag("--request", options->request, "the body that was sent, too");
  app.add_flag("--raw", options->raw, kRawHelp);
  app.footer("Example: kling jobs show kling:text2video/861309198188019719 --request");
  return [options] { return run_show(*options); };
}

}  // namespace kling::cli
