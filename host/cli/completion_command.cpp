// kling completion SHELL: the scripts only ask the program, so they know what the program knows.
// And kling man: the manual pages that `./dev docs` has written.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <tuple>

#include "cli/jobs.h"

namespace kling {
extern const std::string_view kBash, kZsh, kFish;       // docs/completion
extern const std::string_view kManProgram, kManModule;  // docs/man
}  // namespace kling

namespace kling::cli {
namespace {

struct CompletionOptions {
  std::string shell;
  bool words = false;
  std::vector<std::string> line;  ///< after the program's name; the last is being typed
};

void offer(const std::string& word, const std::string& doc, const std::string& typed) {
  if (word.starts_with(typed))
    std::printf("%s\t%s\n", word.c_str(), printable(doc.substr(0, doc.find('\n'))).c_str());
}

/// The newest jobs by their ids alone: the colon of a handle ends a word in bash.
void offer_jobs(const std::vector<std::string>& line) {
  LedgerOptions where;
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    if (line[i] == "--sim") where.simulation.on = true;
    if (line[i] == "--ledger") where.service.ledger = line[i + 1];
  }
  const auto ledger = where.open();
  if (!ledger || *ledger == nullptr) return;
  const auto rows = (*ledger)->list(100);
  if (!rows) return;
  for (const auto& row : *rows) {
    const std::string handle = handle_of(row);
    const std::string id = handle.substr(handle.find('/') + 1);
    offer(line.back().starts_with("kling:") ? handle : id,
          std::string(engine::name(row.state)) + " " + titled(row.name, row.summary), line.back());
  }
}

/// What may stand where a value of this option is wanted.
void offer_values(const CLI::Option& option, const std::vector<std::string>& line) {
  const std::string type = option.get_type_name();
  const std::size_t open = type.find('{');
  const bool is_file = type == "FILE" || type == "DIR" || type == "TEXT";
  std::printf("%s\n", is_file ? "files" : "words");
  if (type == "HANDLE") offer_jobs(line);
  if (open == std::string::npos) return;
  std::istringstream values(type.substr(open + 1, type.size() - open - 2));
  for (std::string value; std::getline(values, value, ',');) offer(value, "", line.back());
}

void print_words(const std::vector<std::string>& line) {
  CLI::App program;
  describe_program(program);
  const CLI::App* app = &program;
  const CLI::Option* value_of = nullptr;
  std::size_t arguments = 0;
  for (std::size_t i = 0; i + 1 < line.size(); ++i) {
    const std::string& word = line[i];
    if (word == "=") continue;  // a word of its own in bash
    if (value_of != nullptr) {
      value_of = nullptr;
    } else if (word.starts_with('-')) {
      const CLI::Option* option = app->get_option_no_throw(word);
      if (option != nullptr && option->get_items_expected_max() > 0) value_of = option;
    } else if (const auto subs = app->get_subcommands(
                   [&](const CLI::App* sub) { return sub->get_name() == word; });
               !subs.empty() && arguments == 0) {
      app = subs.front();
    } else {
      ++arguments;
    }
  }
  if (value_of != nullptr) return offer_values(*value_of, line);
  const std::string& typed = line.back();
  if (app->get_prefix_command() && arguments > 0) return void(std::puts("files"));
  if (typed.starts_with('-')) {
    std::puts("words");
    for (const CLI::Option* option : app->get_options())
      for (const std::string& name : option->get_lnames())
        if (!option->get_group().empty()) offer("--" + name, option->get_description(), typed);
    return;
  }
  if (const auto subs = app->get_subcommands([](const CLI::App*) { return true; });
      !subs.empty() && arguments == 0) {
    std::puts("words");
    for (const CLI::App* sub : subs) offer(sub->get_name(), sub->get_description(), typed);
    return;
  }
  for (const CLI::Option* option : app->get_options())
    if (option->get_positional() &&
        (arguments-- == 0 || option->get_items_expected_max() > 1))  // a list takes all that follow
      return offer_values(*option, line);
  std::puts(app->get_prefix_command() ? "files" : "words");
}

int run_completion(const CompletionOptions& options) {
  if (options.words) {
    // After "--", which CLI11 leaves out, stand the words of the line: its first is `shell` here.
    std::vector<std::string> line = {options.shell};
    line.insert(line.end(), options.line.begin(), options.line.end());
    print_words(line);
    return kExitDone;
  }
  for (const auto& [shell, script] : {std::pair("bash", kBash), {"zsh", kZsh}, {"fish", kFish}})
    if (options.shell == shell) return print(script);
  const char* shell = std::getenv("SHELL");
  const std::string name =
      shell == nullptr
          ? ""
          : std::string(std::strrchr(shell, '/') ? std::strrchr(shell, '/') + 1 : shell);
  for (const auto& [mine, file, line] :
       {std::tuple("bash", "~/.bashrc", "source <(kling completion bash)"),
        {"zsh", "~/.zshrc, after compinit", "source <(kling completion zsh)"},
        {"fish", "~/.config/fish/config.fish", "kling completion fish | source"}})
    if (options.shell.empty() && name == mine)
      return std::printf("Your shell is %s: add this line to %s\n  %s\n", mine, file, line) < 0
                 ? kExitError
                 : kExitDone;
  std::fprintf(stderr, "kling completion: which shell, bash, zsh or fish?\n");
  return kExitUsage;
}

}  // namespace

std::function<int()> set_up_completion(CLI::App& app) {
  auto options = std::make_shared<CompletionOptions>();
  app.add_option("shell", options->shell, "whose script")->type_name("TEXT:{bash,zsh,fish}");
  app.add_option("line", options->line)->group("");
  app.add_flag("--words", options->words)->group("");
  app.footer(
      "Example: kling completion bash\nTo use it: source <(kling completion bash), or zsh; "
      "kling completion fish | source");
  return [options] { return run_completion(*options); };
}

std::function<int()> set_up_man(CLI::App& app) {
  auto section = std::make_shared<std::string>("1");
  app.add_option("section", *section, "1: the program; 3lua: the module")
      ->check(CLI::IsMember({"1", "3lua"}))
      ->capture_default_str();
  app.footer("Example: kling man 3lua\nTo read it: kling man | man -l -");
  return [section] { return print(*section == "1" ? kManProgram : kManModule); };
}

}  // namespace kling::cli
