// kling view: a film as a page to look at, in a folder of its own.
#include <algorithm>
#include <fstream>
#include <ranges>
#include <regex>

#include "api/text.h"
#include "base/files.h"
#include "base/process.h"
#include "cli/board.h"
#include "engine/media/ffmpeg.h"
#include "script/script.h"

namespace kling {
extern const std::string_view kViewPageText, kViewStyleText, kViewScriptText;
}

namespace kling::cli {
namespace {

using nlohmann::json;

struct ViewOptions : LedgerOptions {
  std::string take;
  std::string folder, sheet, otio;
  bool open_it = false;
};

/// The steps that the media of a request came from: {"step", "what"}.
void find_origins(const json& value, json& origins) {
  static const std::regex kOrigin("(.*) of step ([0-9a-f]{32})");
  if (value.is_object() && value.contains("from") && value["from"].is_string()) {
    std::smatch match;
    const auto text = value["from"].get<std::string>();
    if (std::regex_search(text, match, kOrigin))
      origins.push_back({{"what", match[1].str()}, {"step", match[2].str()}});
    return;
  }
  if (value.is_structured())
    for (const auto& part : value) find_origins(part, origins);
}

json card_of(const engine::Step& row) {
  const json request = api::parse_json(row.request);
  const auto text = [&](const char* field) {
    return api::scalar_text(api::member(request, field));
  };
  json card = to_json(row);
  card["row"] = row.id;
  card["address"] = row.address;
  card["prompt"] = row.endpoint == "request" ? row.summary : text("prompt");
  card["model"] = text("model_name");
  card["mode"] = text("mode");
  card["seconds"] = text("duration");
  if (row.accepted_at != 0) card["accepted"] = static_cast<double>(row.accepted_at) / 1000;
  card["from"] = json::array();
  find_origins(request, card["from"]);
  return card;
}

/// A copy that costs nothing where it can, whole or not at all.
Status place(const fs::path& from, const fs::path& to) {
  std::error_code error;
  if (fs::exists(to, error)) return Done{};
  fs::create_hard_link(from, to, error);
  if (!error) return Done{};
  const fs::path part = to.string() + ".part";
  fs::copy_file(from, part, fs::copy_options::overwrite_existing, error);
  if (!error) fs::rename(part, to, error);
  if (!error) return Done{};
  std::error_code unused;
  fs::remove(part, unused);  // of a full disk
  return Error{.kind = Kind::media, .message = to.string() + ": " + error.message()};
}

/// As the program text of data.js.
std::string script_of_data(const json& data) {
  std::string text = data.dump(-1, ' ', true, json::error_handler_t::replace);
  for (std::size_t at = 0; (at = text.find('<', at)) != text.npos;) text.replace(at, 1, "\\u003c");
  return "const film = " + text + ";\n";
}

bool is_shown(const json& card) {
  return card["state"] == "succeeded" && !card.contains("superseded") &&
         card["kind"] != "request" && card.value("picked", true);
}

/// The clips that count now, as one picture or as a timeline for an editor.
int write_media(const ViewOptions& options, const json& cards, engine::Ledger* book) {
  if (!options.otio.empty())
    if (Status fits = engine::media::check_ending(options.otio, true); !fits)
      return options.voice.fail(fits.error());
  // A draft and other takes are the film only where nothing else is.
  const bool takes = std::ranges::all_of(
      cards, [](const json& card) { return !is_shown(card) || card.contains("take"); });
  std::vector<engine::Step> rows;
  for (const json& card : cards)
    if (auto row = book->find_by_id(card["row"]);
        row && *row && is_shown(card) && (takes || !card.contains("take")))
      rows.push_back(std::move(**row));
  // A shot that was made again stands where it stood: as far as lines and tasks tell.
  std::ranges::stable_sort(rows, {}, [](const engine::Step& row) {
    const auto colon = row.script.rfind(':');
    const auto line = colon == row.script.npos ? 0 : std::atoi(row.script.c_str() + colon + 1);
    return std::tuple(row.script.substr(0, colon), line, row.task_path.size(), row.task_path);
  });
  // Clips that are all here are asked of nobody, wherever they were made.
  const bool here = std::ranges::all_of(rows, [&](const engine::Step& row) {
    return row.service == rows.front().service && fs::is_regular_file(row.file);
  });
  const std::string made_by = here && !rows.empty() ? rows.front().service : "";
  Service service(options);
  service.waits_for = made_by.empty() ? "" : "ffmpeg";
  const auto engine = service.start(options.script, made_by);
  if (!engine) return options.voice.fail(engine.error());
  std::vector<std::shared_ptr<engine::MediaSource>> clips;
  for (const engine::Step& row : rows) {
    auto job = service.ended<std::shared_ptr<engine::Job>>(
        [&](auto done) { (*engine)->find(handle_of(row), std::move(done)); });
    if (!job) return options.voice.fail(job.error());
    clips.push_back(std::make_shared<engine::MediaSource>());
    clips.back()->recipe = engine::MediaSource::Recipe::clip;
    clips.back()->job = *job;
  }
  if (clips.empty()) return options.voice.fail({.message = "there is no finished shot to show"});
  const auto tell = [&](const Result<std::string>& made) {
    if (!made) return options.voice.fail(made.error());
    return options.voice.result({{"path", *made}}, *made + "\n");
  };
  int code = kExitDone;
  if (!options.sheet.empty()) {
    const auto picture = std::make_shared<engine::MediaSource>();
    picture->recipe = engine::MediaSource::Recipe::sheet;
    picture->sheet =
        std::make_shared<engine::MediaSource::Sheet>(engine::MediaSource::Sheet{.of = clips});
    code = tell(service.ended<std::string>(
        [&](auto done) { (*engine)->save(picture, options.sheet, std::move(done)); }));
  }
  if (code == kExitDone && !options.otio.empty())
    code = tell(service.ended<std::string>([&](auto done) {
      (*engine)->timeline(clips, options.otio, json::object(), std::move(done));
    }));
  return code;
}

int run_view(const ViewOptions& options) {
  const auto book = options.open();
  if (!book) return options.voice.fail(book.error());
  auto data = view_data(
      book->get(), {.script = options.script,
                    .take = options.take,
                    .identity = runtime::script_identity(options.script, options.ledger_path())});
  if (!data) return options.voice.fail(data.error());
  const bool empty =
      (*data)["cards"].empty() && (*data)["films"].empty() && (*data)["questions"].empty();
  if (empty && !options.script.empty())
    if (const auto script = script::read(options.script); !script)
      return options.voice.fail(script.error());
  if (!options.sheet.empty() || !options.otio.empty())
    return write_media(options, (*data)["cards"], book->get());
  if (options.voice.json) return Voice::line(*data), int{kExitDone};
  if (*book == nullptr) return options.note_absent(), kExitError;
  if (empty)
    return options.voice.fail(
        {.message = "the ledger " + options.ledger_path() + " has no shots of " +
                    (*data)["title"].get<std::string>() +
                    (options.take.empty() ? "" : " with --take " + options.take),
         .hint = "kling jobs lists what it has"});
  const fs::path folder = options.folder.empty()
                              ? fs::path(options.ledger_path()).parent_path() / "view"
                              : fs::path(options.folder);
  const std::string index = (folder / "index.html").string();
  const auto other = read_file(index, 1 << 20);
  std::string start;
  std::getline(std::ifstream(folder / "data.js"), start, '{');
  const bool ours =
      other ? other->find("<title>kling</title>") != other->npos : start == "const film = ";
  std::error_code error;
  for (const char* name : {"index.html", "view.css", "view.js", "data.js"})
    if (!ours && fs::exists(folder / name, error))
      return options.voice.fail({.message = folder.string() + " has " +
                                            (name == std::string("index.html") ? "an " : "a ") +
                                            name + " of another kind",
                                 .hint = "name another folder: kling view -o page"});
  if (Status made = make_folders((folder / "clips").string()); !made)
    return options.voice.fail(made.error());
  const auto take_in = [&](json& item) {
    const fs::path from = item.value("path", "");
    item.erase("path");  // of this machine; the folder may go to another
    if (from.empty() || !fs::is_regular_file(from)) return;
    // Of films there may be two of one name.
    const std::string name =
        item.contains("row") ? from.filename().string()
                             : sha256_hex(from.string()).substr(0, 8) + from.extension().string();
    if (!item.contains("row")) fs::remove(folder / "clips" / name);
    if (const Status placed = place(from, folder / "clips" / name); placed)
      item["clip"] = "clips/" + name;
    else
      options.voice.note("warning: " + placed.error().message);
  };
  for (const char* list : {"cards", "films"})
    for (json& item : (*data)[list]) take_in(item);
  Voice voice = options.voice;
  std::string unused;
  if (find_ledger(options.service, "", options.simulation.on, unused) != options.ledger_path())
    voice.ledger = options.ledger_path();
  for (json& question : (*data)["questions"]) {
    const std::int64_t id = question["id"];
    question["command"] = voice.typed(
        engine::answer_command({.id = id, .kind = question["kind"].get<std::string>()}));
    for (json& choice : question["choices"])
      if (choice.is_object()) {
        choice["file"] = fs::path(choice.value("path", "")).filename().string();
        take_in(choice);
      }
  }
  for (const auto& [name, text] :
       {std::pair<const char*, std::string>{"index.html", view_page(false)},
        {"view.css", std::string(kViewStyleText)},
        {"view.js", std::string(kViewScriptText)},
        {"data.js", script_of_data(*data)}})
    if (Status written = write_file((folder / name).string(), text, false); !written)
      return options.voice.fail(written.error());
  const std::string page = fs::absolute(folder / "index.html", error).string();
  std::printf("%s\n", page.c_str());
  if (options.open_it) (void)open_in_browser(options.voice, page);
  return kExitDone;
}

}  // namespace

Result<json> view_data(engine::Ledger* ledger, const ViewFilter& filter) {
  json data = {
      {"title", filter.script.empty() ? "kling" : fs::path(filter.script).filename().string()},
      {"now", static_cast<double>(make_clock()->now()) / 1000},
      {"cards", json::array()},
      {"films", json::array()},
      {"questions", json::array()}};
  if (ledger == nullptr) return data;
  bool known = false;
  const auto script_in = [](const std::string& run) {
    const std::string take = take_of(run);
    return run.substr(0, run.size() - (take.empty() ? 0 : take.size() + 1));
  };
  const auto wanted = [&](const std::string& run) {
    if (!filter.run.empty()) return run == filter.run;
    const fs::path script = script_in(run);
    return (known ? script == filter.identity
                  : filter.script.empty() ||
                        script.filename() == fs::path(filter.script).filename()) &&
           (filter.take.empty() || take_of(run) == filter.take);
  };
  auto rows = ledger->list(0);
  const auto askers = rows ? ledger->askers() : rows.error();
  const auto questions = askers ? ledger->questions() : askers.error();
  const auto films = questions ? ledger->films() : questions.error();
  if (!films) return films.error();
  for (const auto& [row, run] : *askers)
    known = known || (!filter.identity.empty() && script_in(run) == filter.identity);
  for (const engine::Step& row : *rows)
    known = known || (!filter.identity.empty() && script_in(row.run) == filter.identity);
  std::set<std::int64_t> asked;
  std::map<std::int64_t, std::string> ours;  // though another script may have paid for it
  for (const auto& [row, run] : *askers) {
    asked.insert(row);
    if (wanted(run)) ours.emplace(row, run);
  }
  for (engine::Step& row : *rows | std::views::reverse) {
    const auto asker = ours.find(row.id);
    if (asker != ours.end() && !wanted(row.run)) row.run = asker->second;
    row.superseded = row.superseded || (asker == ours.end() && asked.contains(row.id));
    if (wanted(row.run)) data["cards"].push_back(card_of(row));
  }
  for (const engine::Question& question : *questions)
    if (wanted(question.run) && !(question.withdrawn && filter.run.empty())) {
      data["questions"].push_back(to_json(question));
      data["questions"].back()["take"] = take_of(question.run);
    }
  // The newest question of a text decides, so --again and --re-ask leave no second choice; what any
  // has chosen is picked.
  std::map<std::pair<std::string, std::string>, bool> chosen;
  std::map<std::string, bool> picked;
  for (const json& question : data["questions"] | std::views::reverse) {
    const int answer = question["kind"] == "pick" ? question.value("answer", 0) : 0;
    std::map<std::pair<std::string, std::string>, bool> now;  // several may be parts of one shot
    for (std::size_t i = 0; answer > 0 && i < question["choices"].size(); ++i)
      now[{question["question"], question["choices"][i].value("handle", "")}] |=
          i + 1 == std::size_t(answer);
    chosen.insert(now.begin(), now.end());
  }
  for (const auto& [offer, taken] : chosen) picked[offer.second] |= taken;
  for (json& card : data["cards"])
    if (const auto found = picked.find(card["handle"]); found != picked.end())
      card["picked"] = found->second;
  for (const engine::Film& film : *films)
    if (wanted(film.run) && fs::is_regular_file(film.path))
      data["films"].push_back(
          {{"name", fs::path(film.path).filename().string()}, {"path", film.path}});
  return data;
}

std::string view_page(bool live) {
  std::string page(kViewPageText);
  if (live) page.erase(page.find("<script nonce=\"@\" src=\"data.js\">"), 42);
  return std::regex_replace(page, std::regex("nonce(-|=\")@"), "nonce$1n" + random_hex(16));
}

bool open_in_browser(const Voice& voice, const std::string& target) {
  const auto opened = run_process({"xdg-open", target}, {.time = std::chrono::seconds(10)});
  const bool shown = opened && opened->exit_code == 0;
  if (!shown)
    voice.note("warning: no browser: " +
               (opened ? "xdg-open " + target + " failed" : opened.error().message));
  return shown;
}

std::function<int()> set_up_view(CLI::App& app) {
  auto options = options_of<ViewOptions>(app);
  app.add_option("script", options->script, "whose shots; none: all of the ledger")
      ->type_name("SCRIPT");
  app.add_option("--take", options->take, "of this take only");
  app.add_option("-o,--output", options->folder, "the folder (default: view, beside the ledger)")
      ->type_name("DIR");
  app.add_option("--sheet", options->sheet, "a contact sheet of the shots instead, as a picture")
      ->type_name("FILE.png");
  app.add_option("--otio", options->otio, "a timeline of the shots instead, for an editor")
      ->type_name("FILE.otio");
  app.add_flag("--open", options->open_it, "show it in the browser");
  app.footer("Example: kling view --open film.lua");
  return [options] { return run_view(*options); };
}

}  // namespace kling::cli
