#include "cli/jobs.h"

#include <algorithm>
#include <ctime>

#include "base/files.h"
#include "engine/step.h"

namespace kling::cli {

using engine::Step;
using engine::StepState;

void LedgerOptions::add_ledger_options(CLI::App& app) {
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

std::string take_of(const Step& row) {
  constexpr std::string_view kBefore = ".lua@";
  const std::size_t at = row.run.rfind(kBefore);
  return at == std::string::npos ? "" : row.run.substr(at + kBefore.size());
}

bool is_open(const Step& row) {
  return row.state != StepState::succeeded && row.state != StepState::failed;
}

std::string script_of(const Step& row) {
  return fs::path(row.script.substr(0, row.script.rfind(':'))).filename().string();
}

Result<Step> find_step(const LedgerOptions& options, const std::string& text) {
  const auto ledger = options.open();
  if (!ledger) return ledger.error();
  auto handle = engine::parse_handle(text);
  if (!handle && !text.starts_with("kling:")) handle = engine::Handle{.task_id = text};  // a name
  if (!handle) return handle.error();
  auto row = *ledger ? find_step(**ledger, *handle) : std::optional<Step>();
  if (!row) return row.error();
  if (*row) return std::move(**row);
  return Error{.message = "the ledger " + options.ledger_path() + " has no job " + text,
               .hint =
                   "kling jobs lists those it has; another ledger is named by --ledger, the "
                   "simulator's by --sim"};
}

nlohmann::json to_json(const Step& row) {
  const auto seconds = [](Millis at) { return static_cast<double>(at) / 1000; };
  nlohmann::json json = {{"handle", handle_of(row)},
                         {"kind", row.endpoint},
                         {"state", engine::name(row.state)},
                         {"external_id", row.external_id},
                         {"created", seconds(row.created_at)},
                         {"cost", row.cost()},
                         {"cost_is_real", row.cost_usd.has_value()},
                         {"where", row.script},
                         {"summary", row.summary}};
  if (!row.name.empty()) json["name"] = row.name;
  if (row.superseded) json["superseded"] = true;
  if (const std::string take = take_of(row); !take.empty()) json["take"] = take;
  if (!row.task_id.empty()) json["id"] = row.task_id;
  if (row.finished_at != 0) json["finished"] = seconds(row.finished_at);
  if (!row.file.empty()) json["path"] = row.file;
  if (const auto error = api::parse_json(row.error); error.is_object()) json["error"] = error;
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
