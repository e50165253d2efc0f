// The program: one table of subcommands.
#include <algorithm>
#include <cctype>
#include <csignal>
#include <regex>

#include <fcntl.h>

#include "api/text.h"
#include "cli/run.h"

namespace kling::cli {
namespace {

constexpr Command kCommands[] = {
    {"run", "run a Lua script that generates clips", set_up_run},
    {"plan", "what a run of a script would submit and cost, without sending anything", set_up_plan},
    {"repl", "try things line by line", set_up_repl},
    {"query", "ask the service once about a job", set_up_query},
    {"jobs", "list the ledger's jobs, wait for them, save their clips, decide about lost answers",
     set_up_jobs},
    {"view", "a page of what was made: clips, takes, chain, timeline", set_up_view},
    {"sim", "run the simulator as a server for any Kling client", set_up_sim},
    {"doctor", "check key, network, ffmpeg and ledger, and say what to do", set_up_doctor},
    {"login", "ask for your key, check it and keep it", set_up_login},
    {"init", "make a small project to start from", set_up_init},
    {"types", "write the module's types for editors and luacheck", set_up_types},
    {"completion", "print the completion script of a shell", set_up_completion},
    {"man", "print the manual page", set_up_man},
    {"version", "print the version", set_up_version},
};

/// The library's help, without its notation of types and the needs of options.
struct Formatter : CLI::Formatter {
  std::string make_option_opts(const CLI::Option* option) const override {
    if (option->get_items_expected_max() == 0) return "";
    std::string type = option->get_type_name();
    const std::size_t values = type.find(":{");
    if (values != type.npos) type = type.substr(values + 1, type.find('}') - values);
    type.resize(std::min(type.size(), type.find_first_of(": [")));
    const std::string preset = option->get_default_str();
    return " " + type + (preset.empty() ? "" : "=" + preset);
  }
  std::string make_option_name(const CLI::Option* option, bool positional) const override {
    const std::string name = CLI::Formatter::make_option_name(option, positional);
    return name.substr(0, name.find('{'));
  }
  std::string make_usage(const CLI::App* app, std::string name) const override {
    std::string text = CLI::Formatter::make_usage(app, std::move(name));
    if (app->get_prefix_command()) text.insert(text.size() - 1, " SCRIPT [ARGS...]");
    return text;
  }
};

/// What is wrong with the words of a command, not in the library's terms.
std::string in_our_words(std::string text) {
  for (const auto& [theirs, ours] :
       {std::pair(" is required$", " is missing"),
        {"(.*) was given a disallowed flag override", "--$1 takes no value"},
        {": [0-9]+ required .* missing$", " wants a value behind it"},
        {"^Could not convert: (.*) = ", "$1 wants a whole number, not "},
        {": At least ([0-9]+) required.*", " wants $1 values behind it"},
        {": At [Mm]ost 1 required.*", " is given twice"},
        {" not in \\{(.*)\\}$", " is not one of $1"},
        {"^ requires ", "an option here is one of the simulator's: it requires "},
        {": Value ", ": "}})
    text = std::regex_replace(text, std::regex(theirs), ours);
  return text;
}

/// Words that other programs know: behind which command (empty: any), and what to write instead.
constexpr struct {
  std::string_view path, words;
  const char* instead;
} kMeant[] = {
    {"kling", "list ls status history", "kling jobs"},
    {"kling", "show info", "kling jobs show HANDLE"},
    {"kling", "save get fetch download", "kling jobs save HANDLE shot.mp4"},
    {"kling", "wait watch resume", "kling jobs wait, or the same kling run once more"},
    {"kling", "start exec generate make render export film", "kling run film.lua"},
    {"kling", "draft", "kling run --draft film.lua"},
    {"kling", "again retake", "kling run --again \"shot 3\" film.lua"},
    {"kling", "retry", "kling run --retry-failed film.lua"},
    {"kling", "board", "kling run --board --open film.lua"},
    {"kling", "open play", "kling view --open film.lua"},
    {"kling", "simulate rehearse test try preview demo", "kling run --sim film.lua"},
    {"kling", "cost price estimate dry-run budget", "kling plan film.lua"},
    {"kling", "config configure key auth setup logout", "kling login keeps your key"},
    {"kling", "install upgrade update", "README.md tells: git pull && ./dev install"},
    {"kling", "uninstall remove", "README.md tells how, under \"uninstall\""},
    {"kling", "prune resolve answer notify", "it is one of kling jobs: kling help jobs"},
    {"kling", "new create", "kling init film"},
    {"kling", "shell console lua", "kling repl"},
    {"kling sim", "run", "kling run --sim film.lua; kling sim alone is a server"},
    {"kling", "text2video image2video omni multi_image2video prompt",
     "it stands in a script, or in kling repl: kling.text2video(\"…\")"},
    {"kling jobs", "ls all status history", "kling jobs list"},
    {"kling jobs", "open pending running", "kling jobs list --open"},
    {"kling jobs", "failed errors", "kling jobs list --state failed"},
    {"kling jobs", "log info view inspect", "kling jobs show ID"},
    {"kling jobs", "get download fetch export", "kling jobs save ID shot.mp4"},
    {"kling jobs", "retry again", "kling run --retry-failed film.lua"},
    {"kling jobs", "rm delete remove clean", "kling jobs prune deletes old clips"},
    {"kling jobs", "cancel stop kill abort", "kling jobs resolve ID --abandon"},
    {"", "--dry-run --dryrun --plan --preview --rehearse --estimate --cost --price",
     "kling plan film.lua shows what a run would cost; kling run --sim rehearses it"},
    {"", "--budget --limit --max-price", "--max-cost 5: what the script may cost in US$"},
    {"", "--api-key --apikey --key --token",
     "kling login keeps the key; what is typed here stays in your shell's history"},
    {"", "--verbose --debug", "kling jobs show ID tells what happened to a job"},
    {"kling", "--sim --draft --yes --take --max-cost",
     "it is an option of run: kling run --sim film.lua"},
    {"kling view", "--draft", "kling view --take draft film.lua"},
    {"kling run", "--prompt --image --duration --mode --model --negative-prompt",
     "it stands in the script, or in kling repl: kling.text2video { prompt = \"…\" }"},
    {"", "--board", "kling run --board --open film.lua shows it while the film is made"},
    {"", "--output --out -o", "the script names its film: kling.concat(clips, \"film.mp4\")"},
    {"", "--sim", "leave it out: nothing is paid here"},
};

/// What to write instead of a word that the command `app` does not know.
int tell_unknown(const CLI::App& app, const std::string& path, const std::string& word) {
  const std::string meant = std::regex_replace(word, std::regex("^(\u2013|\u2014)"), "--");
  const bool option = meant.starts_with('-');
  std::vector<std::string> known;
  if (option)
    for (const CLI::Option* one : app.get_options())
      for (const std::string& name : one->get_lnames()) known.push_back("--" + name);
  else
    for (const CLI::App* one : app.get_subcommands([](const CLI::App*) { return true; }))
      known.push_back(one->get_name());
  std::string near = api::did_you_mean(meant.substr(0, meant.find('=')), known);
  for (const std::string& name : known)  // "--simulate"
    if (near.empty() && option && meant.starts_with(name)) near = name;
  if (word.ends_with(".lua") && !option && path != "kling" && !app.get_prefix_command())
    return misused(path + " has no argument " + word,
                   path.starts_with("kling jobs") ? "kling jobs list --script " + word
                   : path == "kling repl" ? "kling run " + word + ", or in a session: .load " + word
                                          : "kling run --sim " + word);
  const std::string name = meant.substr(0, meant.find('='));
  const std::string what = option ? "option " : known.empty() ? "argument " : "command ";
  for (const auto& [behind, words, instead] : kMeant)
    if (near != name && (behind.empty() || behind == path) && api::has_word(words, name))
      return misused(path + " has no " + what + name, instead);
  if (CLI::App run; path == "kling plan" && option) {
    (void)set_up_run(run);
    if (run.get_option_no_throw(name) != nullptr)
      return misused("kling plan has no option " + name, "kling run has it; leave it out here");
  }
  // It may be the key itself.
  if (path == "kling login")
    return misused("kling login takes no key as an argument: your shell keeps what is typed",
                   "kling login asks for it; if that was your key, make a new one");
  if (app.get_prefix_command() && (!option || near == word))
    return misused("-- belongs behind the script", "leave it out: the same line without it");
  if (path == "kling" && !option && word.find_first_of(" .") != word.npos)
    return misused("kling has no command " + word,
                   "kling init film makes a script; kling repl takes kling.text2video(\"…\")");
  if (path == "kling jobs" && !option && near.empty())
    return misused("kling jobs has no command " + word, "kling jobs show " + quoted(word));
  if (!near.empty()) near = "; did you mean " + near + "?";
  return misused(path + " has no " + what + word + near, path + " --help");
}

void set_up(CLI::App& app, int& code, std::string_view only) {
  app.name("kling");
  app.formatter(std::make_shared<Formatter>());
  app.set_version_flag("-v,-V,--version", "kling " KLING_VERSION);
  app.description("Lua workflows for Kling video generation: nothing paid twice, nothing lost");
  app.require_subcommand(1);
  app.footer(
      "Examples:\n  kling doctor               is everything in place?\n"
      "  kling run --sim film.lua   rehearse a script: real clips, no money\n"
      "  kling help run             what a command does\n"
      "A first film.lua:\n  local kling = require \"kling\"\n"
      "  kling.text2video{ prompt = \"A lighthouse at dusk\" }:wait():save(\"shot.mp4\")");
  add_commands(app, kCommands, code, only);
}

}  // namespace

void describe_program(CLI::App& app) {
  static int code;
  set_up(app, code, "");
}

int run_program(int argc, char** argv) {
  // Closed, they would become a connection's or the ledger's, and what is printed go there.
  for (int stream = 0; stream < 3; ++stream)
    if (::fcntl(stream, F_GETFD) < 0) (void)::open("/dev/null", stream == 0 ? O_WRONLY : O_RDONLY);
  // A parent's ways are inherited: "ignore" would lose ffmpeg's end, and what its thread blocked
  // neither we nor what a script starts would hear.
  std::signal(SIGCHLD, SIG_DFL);
  std::signal(SIGXFSZ, [](int) {});  // a file beyond "ulimit -f" is an error of its write
  sigset_t none;
  sigemptyset(&none);
  pthread_sigmask(SIG_SETMASK, &none, nullptr);
  std::vector<std::string> words(argv + 1, argv + argc);
  // "kling help run" is "kling run --help"
  if (!words.empty() &&
      (words[0] == "help" || (words.size() > 1 && (words[0] == "--help" || words[0] == "-h")))) {
    words.erase(words.begin());
    words.emplace_back("--help");
  }
  CLI::App& app = *new CLI::App;  // never taken apart, as the process ends then
  int code = kExitUsage;
  // Most often; all the options would be half the work of an empty run.
  const bool alone = words.size() == 2 && words[0] == "run" &&
                     (std::isalnum(static_cast<unsigned char>(words[1][0])) != 0 ||
                      words[1].starts_with('/') || words[1].starts_with("./"));
  // A word that is no command matches none: the help lists them without their options.
  if (!alone) set_up(app, code, words.empty() || words[0].empty() ? "-" : words[0]);
  if (words.empty()) {
    std::fputs(wrapped(app.help(), STDERR_FILENO).c_str(), stderr);
    return code;
  }
  const std::string first = words[0];
  const auto has = [&words](const char* word) {
    const auto end = std::ranges::find(words, "--");
    return std::find(words.begin(), end, word) != end;
  };
  g_misused_in_json = has("--json");
  g_rehearses = has("--sim");
  const bool known =
      std::ranges::any_of(kCommands, [&](const Command& command) { return command.name == first; });
  if (!known && !first.starts_with('-')) {
    if (first.ends_with(".lua")) {
      // Options stand before it: as they were typed they would be an error once more.
      if (words.size() > 1 && words[1].starts_with('-') && words[1] != "--")
        std::rotate(words.begin(), words.begin() + 1, words.end());
      std::string line;
      for (const std::string& word : words) line += " " + quoted(word);
      return misused(first + " is a script",
                     "kling run" + line + (g_rehearses ? "" : ", or kling run --sim" + line));
    }
    return tell_unknown(app, "kling", first);
  }
  // The library would take the next option for a value: --take --sim, and the run is paid for.
  CLI::App* command = &app;
  for (std::size_t i = 0; i + 1 < words.size() && words[i] != "--"; ++i) {
    for (CLI::App* inner : command->get_subcommands([](const CLI::App*) { return true; }))
      if (inner->get_name() == words[i]) {
        command = inner;
        break;
      }
    const CLI::Option* option = command->get_option_no_throw(words[i]);
    if (option != nullptr && words[i].starts_with('-') && option->get_items_expected_min() > 0 &&
        std::regex_match(words[i + 1], std::regex("(-|\u2013|\u2014)+[A-Za-z][\\w-]*(=.*)?")))
      return misused(words[i] + " wants a value behind it, and " + words[i + 1] + " is none",
                     "write " + words[i] + " VALUE " + words[i + 1]);
  }
  // The help leaves some out, and the library names none of them in an error.
  if (!has("--help") && !has("-h"))
    for (CLI::Option* option : command->get_options())
      if (option->get_group().empty()) option->group("-");
  std::ranges::reverse(words);  // as the library takes them
  try {
    if (alone) return run_alone(words[0]);
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    if (dynamic_cast<const CLI::CallForHelp*>(&error) != nullptr)
      return print(wrapped(std::regex_replace(app.help(), std::regex("\n{3,}"), "\n\n"), 1));
    if (error.get_exit_code() == 0) return app.exit(error);  // the version
    const CLI::App* last = &app;
    std::string path = "kling";
    for (auto given = app.get_subcommands(); !given.empty(); given = last->get_subcommands()) {
      last = given.front();
      path += " " + last->get_name();
    }
    const std::string what = in_our_words(error.what());
    const CLI::Option* option = last->get_option_no_throw(what.substr(0, what.find(": takes ")));
    if (option != nullptr)  // what it counts: days, seconds
      return misused(what, option->get_name() + ": " + option->get_description());
    if (last == &app && first.starts_with('-')) return tell_unknown(app, path, first);
    const std::string typed = as_typed(*last);
    if (what == "path is missing" && !typed.empty())
      return misused(what, "write " + path + typed + " shot.mp4");
    if (what == "handle is missing")
      return misused("which job? Its " + what,
                     "kling jobs lists them; then: " + path + typed + " ID");
    if (path == "kling man")
      return misused(what, "kling man prints all of it; kling help COMMAND tells one command");
    const std::string example = last->get_footer();
    const std::size_t at = example.rfind("Example: ");
    if (dynamic_cast<const CLI::ExtrasError*>(&error) == nullptr)
      return misused(what, what.ends_with(" is missing") && at != example.npos
                               ? "for example " + example.substr(at + 9)
                               : path + " --help");
    if (first.starts_with('-') && last != &app)
      return misused(first + " belongs behind the command", "write " + path + " " + first + " …");
    return tell_unknown(*last, path, app.remaining(true).front());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "kling: %s\n", error.what());
    return kExitError;
  }
  return code;
}

}  // namespace kling::cli
