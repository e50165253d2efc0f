#include <algorithm>
#include <regex>

#include "api/text.h"
#include "cli/run.h"

namespace kling::cli {
namespace {

using Words = std::vector<std::string>;

/// Kept for options to come, or typed by who means to pay nothing, or no more than so much: a
/// script gets none of them unseen.
constexpr std::string_view kReserved[] = {"notify", "dry-run", "plan",  "preview",  "rehearse",
                                          "budget", "cost",    "price", "max-price"};

/// A word as it was meant: what turns "--" into a dash is undone, capitals and underscores too.
std::string plain(std::string word) {
  for (const std::string_view dash :
       {"_", "\u2010", "\u2011", "\u2012", "\u2013", "\u2014", "\u2015", "\u2212"})
    for (std::size_t at = 0; (at = word.find(dash, at)) != word.npos;)
      word.replace(at, dash.size(), "-");
  return api::lower(word);
}

std::string line_of(const Words& words) {
  std::string line;
  for (const std::string& word : words) line += " " + quoted(word);
  return line;
}

/// The options that a command was given, as they would be typed, but for `without`.
Words given(const CLI::App& app, const CLI::Option* without = nullptr) {
  Words words;
  for (const CLI::Option* option : app.get_options()) {
    if (option == without) continue;
    const bool flag = option->get_items_expected_max() == 0;
    for (const std::string& value : option->results()) {
      if (!option->get_positional()) words.push_back(option->get_name());
      if (!flag) words.push_back(value);
    }
  }
  return words;
}

/// The long name that a word stands for, without its dashes: one of ours, the nearest to it, else
/// what was written. Empty: it is no option, such as -5.
std::string name_of(const std::string& word, const CLI::App& app) {
  const std::string text = plain(api::bare(word.substr(0, word.find('=')), false));
  const std::size_t dashes = std::min(text.find_first_not_of('-'), text.size());
  const std::string name = text.substr(dashes);
  if (dashes == 0 || name.empty()) return "";
  // "-q", and several in one word: the first decides.
  const auto flag = [&](char c) { return app.get_option_no_throw(std::string("-") + c); };
  if (dashes == 1 && std::ranges::all_of(name, flag)) return flag(name[0])->get_lnames().front();
  const auto means = [&](const std::string& option) {
    const auto solid = [](const auto& one) { return std::regex_replace(one, std::regex("-"), ""); };
    return solid(option) == solid(name) || (name.size() >= 3 && option.starts_with(name)) ||
           (option == "sim" && name.starts_with(option));
  };
  std::string found;
  Words known;
  for (const CLI::Option* option : app.get_options())
    for (const std::string& option_name : option->get_lnames()) known.push_back(option_name);
  known.insert(known.end(), std::begin(kReserved), std::end(kReserved));
  for (const std::string& option : known)
    if (means(option) && (found.empty() || option == name)) found = option;
  if (found.empty() && name.size() > 2) found = api::did_you_mean(name, known);
  if (found.empty() && word.starts_with('-') &&
      (dashes > 1 || std::isalpha(static_cast<unsigned char>(name[0])) != 0))
    return name;
  return found;
}

}  // namespace

std::string quoted(const std::string& word) {
  if (!word.empty() && word.find_first_of(" \t\n'\"\\$`!*?[]{}()<>|&;#~^") == word.npos)
    return word;
  return "'" + std::regex_replace(word, std::regex("'"), "'\\''") + "'";
}

std::string command_line(const CLI::App& run, const std::string& more, const std::string& name) {
  return "kling " + name + line_of(given(run)) + " " + more + line_of(run.remaining());
}

std::string as_typed(const CLI::App& app) { return line_of(given(app)); }

std::string with_value(const CLI::App& app, const CLI::Option& option) {
  return line_of(given(app, &option)) + " " + option.get_name() + " VALUE" +
         line_of(option.results()) + line_of(app.remaining());
}

std::string take_slips(const CLI::App& app, Words& words) {
  // A long dash is one that somebody else's program made of two.
  if (!words.empty() && !words[0].starts_with('-') && plain(words[0]).starts_with('-'))
    words[0] = "-" + plain(words[0]);
  // Behind what is no script there is nothing to look for: another error tells.
  if (words.size() < 2 || (words.front().size() > 1 && words.front().starts_with('-'))) return "";
  const auto end = std::ranges::find(words, "--");
  CLI::App run;  // what plan does not know may not become an argument either
  (void)set_up_run(run);
  Words typed{words.front()}, moved;
  std::string slip, foreign;
  std::size_t first = 0;
  bool own_too = false;  // "--" is among the typed
  for (auto word = words.begin() + 1; word < end; ++word) {
    const std::string name = name_of(*word, run);
    if (name.empty()) {
      typed.push_back(*word);
      continue;
    }
    if (slip.empty()) first = std::size_t(word - words.begin()), slip = *word;
    const CLI::Option* option = app.get_option_no_throw("--" + name);
    if (option == nullptr) {
      if (foreign.empty()) foreign = *word;
      if (run.get_option_no_throw("--" + name) != nullptr || std::ranges::count(kReserved, name))
        continue;
      if (!own_too) typed.emplace_back("--");
      own_too = true;
      typed.push_back(*word);
      continue;
    }
    const std::size_t equals = word->find('=');
    moved.push_back("--" + name + (equals == std::string::npos ? "" : word->substr(equals)));
    if (equals == std::string::npos && option->get_items_expected_max() > 0 && word + 1 < end)
      moved.push_back(*++word);
  }
  if (slip.empty()) {
    if (end != words.end()) words.erase(end);
    return "";
  }
  const std::string command = "kling " + app.get_name();
  const std::string own = command + line_of(given(app));
  const auto behind = words.begin() + std::ptrdiff_t(first);
  Words rest(behind, words.end());
  std::erase(rest, "--");
  std::string text = slip + " stands behind the script, where " + command + " does not read it";
  if (!foreign.empty()) {
    const std::string name = name_of(foreign, run);
    text += (foreign == slip ? ", and " : "; ") + command + " has no " + foreign +
            (run.get_option_no_throw("--" + name) != nullptr ? " (kling run has)"
             : std::ranges::count(kReserved, name) > 0       ? " (the name is reserved)"
                                                             : "");
  }
  text += ". Nothing was run.\n";
  const std::string script = line_of({words.front()}) + "\n";
  if (const std::string name = name_of(foreign, run); name == "budget" || name == "max-price")
    text += "  with a limit in US$:          " + own + " --max-cost 5" + script;
  else if (std::ranges::count(kReserved, name) > 0 && name != "notify")
    text += "  what a run would cost:        kling plan" + script +
            "  to rehearse it unpaid:        kling run --sim" + script;
  if (!moved.empty())
    text += "  options stand before it:      " + own + line_of(moved) + line_of(typed) +
            line_of({end + (own_too && end < words.end()), words.end()}) + "\n";
  return text + "  for the script's own options: " + own + line_of({words.begin(), behind}) +
         " --" + line_of(rest) + "\n";
}

}  // namespace kling::cli
