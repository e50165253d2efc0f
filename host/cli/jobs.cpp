#include "cli/jobs.h"

#include <ctime>

#include "api/text.h"
#include "base/files.h"

namespace kling::cli {

using engine::Step;
using engine::StepState;

constexpr Millis kKept = Millis{30} * 24 * 3600 * 1000;  // by the service

void LedgerOptions::add_options(CLI::App& app) {
  voice.add_options(app);
  app.add_option("--ledger", service.ledger, "the ledger file (default: in the nearest .kling/)")
      ->type_name("FILE");
  app.add_flag("--sim", simulation.on, "look into the simulator's ledger");
}

void add_handle(CLI::App& app, std::string& handle, const char* doc) {
  app.add_option("handle", handle, doc)->required()->type_name("HANDLE");
}

std::string LedgerOptions::ledger_path() const {
  std::string notice;
  return find_ledger(service, script, simulation.on, notice);
}

void LedgerOptions::note_absent() const {
  voice.note("there is no ledger at " + ledger_path() + " yet" +
             (simulation.on ? "" : "; that of rehearsals is seen with --sim"));
}

Result<std::shared_ptr<engine::Ledger>> LedgerOptions::open() const {
  const std::string path = ledger_path();
  std::error_code error;
  if (!fs::exists(path, error)) return std::shared_ptr<engine::Ledger>();
  return engine::open_ledger(path);
}

std::string take_of(const std::string& run) {
  constexpr std::string_view kBefore = ".lua@";
  const std::size_t at = run.rfind(kBefore);
  return at == std::string::npos ? "" : run.substr(at + kBefore.size());
}

bool is_open(const Step& row) {
  return row.state != StepState::succeeded && row.state != StepState::failed;
}

bool is_unfetched(const Step& row) {
  return row.state == StepState::succeeded && row.file.empty() && !row.superseded &&
         make_clock()->now() - row.finished_at < kKept &&
         !api::member(api::parse_json(row.result), "videos").empty();
}

std::string script_of(const Step& row) {
  return fs::path(row.script.substr(0, row.script.rfind(':'))).filename().string();
}

Result<Step> find_step(const LedgerOptions& options, const std::string& text) {
  const auto ledger = options.open();
  if (!ledger) return ledger.error();
  auto row = *ledger ? find_step(**ledger, engine::named_handle(text)) : std::optional<Step>();
  if (!row) return row.error();
  if (*row) return std::move(**row);
  return Error{.message = "the ledger " + options.ledger_path() + " has no job " + text,
               .hint =
                   "kling jobs lists those it has; another ledger is named by --ledger, the "
                   "simulator's by --sim"};
}

nlohmann::json to_json(const Step& row) {
  const engine::JobFacts none;
  const auto error = api::parse_json(row.error);
  nlohmann::json json = engine::to_json(engine::JobView{
      row, none, engine::Phase::fresh, engine::name(row.state), -1,
      error.is_object() ? std::make_shared<const Error>(engine::error_from_json(error)) : nullptr,
      nullptr});
  json.erase("reused");  // that is of a run
  json["cost_is_real"] = row.cost_usd.has_value();
  if (row.state == StepState::failed) json["cost"] = 0;
  json["summary"] = row.summary;
  if (row.superseded) json["superseded"] = true;
  if (const std::string take = take_of(row.run); !take.empty()) json["take"] = take;
  return json;
}

nlohmann::json LedgerOptions::told(const Step& row) const {
  nlohmann::json json = to_json(row);
  if (json.contains("error") && json["error"].contains("hint"))
    json["error"]["hint"] = voice.typed(json["error"]["hint"]);
  return json;
}

std::string titled(const std::string& name, const std::string& summary) {
  if (summary.starts_with(name)) return summary;
  return name + (summary.empty() ? "" : ": ") + summary;
}

std::string local_time(Millis at) {
  if (at == 0) return "";
  const std::time_t seconds = at / 1000;
  std::tm parts{};
  char text[32];
  ::localtime_r(&seconds, &parts);
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

}  // namespace kling::cli
