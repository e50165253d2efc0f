// Files for people and their tools: kling init, types, completion and man. Nothing that a person
// may have written is overwritten.
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "base/files.h"
#include "base/terminal.h"
#include "cli/jobs.h"

namespace kling {
extern const std::string_view kEditorTypes, kLuarc, kLuacheckrc, kFirstScript,
    kFirstReadme;                                       // scripts/
extern const std::string_view kBash, kZsh, kFish;       // docs/completion
extern const std::string_view kManProgram, kManModule;  // docs/man
}  // namespace kling

namespace kling::cli {
namespace {

struct ProjectFile {
  const char* name;  ///< below the folder
  std::string_view text;
};

/// types/kling.lua, .luarc.json and .luacheckrc.
std::vector<ProjectFile> editor_files() {
  return {{"types/kling.lua", kEditorTypes}, {".luarc.json", kLuarc}, {".luacheckrc", kLuacheckrc}};
}

struct FolderOptions {
  Voice voice;
  std::string folder = ".";
};

/// Nothing when it was written, else why not.
std::optional<std::string> write_new(const std::string& path, std::string_view text) {
  std::FILE* file = std::fopen(path.c_str(), "wbx");  // fails where there is anything
  if (file == nullptr) return system_message(errno);
  const bool whole = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  if (std::fclose(file) == 0 && whole) return std::nullopt;
  const std::string reason = system_message(errno);
  (void)std::remove(path.c_str());  // half a file would be taken for somebody's
  return reason;
}

/// Writes `files` below `folder`, which is made, and says so. One that exists is left as it is;
/// generated types are brought up to date. Returns the exit code.
int write_project(const Voice& voice, const std::string& folder,
                  const std::vector<ProjectFile>& files) {
  nlohmann::json written = nlohmann::json::array(), kept = nlohmann::json::array();
  for (const ProjectFile& file : files) {
    const fs::path path = fs::path(folder) / file.name;
    if (Status made = make_folders(path.parent_path().string()); !made.ok())
      return voice.fail(made.error());
    std::error_code error;
    const auto status = fs::symlink_status(path, error);
    if (!fs::exists(status)) {
      if (const auto reason = write_new(path.string(), file.text))
        return voice.fail({.kind = Kind::media, .message = path.string() + ": " + *reason});
      written.push_back(path.string());
      continue;
    }
    // Our own types of an older version are replaced; everything else is somebody's.
    const auto old = read_file(path.string(), 1 << 20);
    const std::string_view first_line = file.text.substr(0, file.text.find('\n') + 1);
    if (old && *old == file.text) continue;
    if (old && fs::is_regular_file(status) && first_line.starts_with("---@meta") &&
        old->starts_with(first_line)) {
      if (Status replaced = write_file(path.string(), std::string(file.text)); !replaced.ok())
        return voice.fail(replaced.error());
      written.push_back(path.string());
    } else {
      kept.push_back(path.string());
    }
  }
  if (voice.json) Voice::line({{"written", written}, {"kept", kept}});
  for (const auto& path : written) voice.note("wrote " + path.get<std::string>());
  for (const auto& path : kept)
    voice.note(path.get<std::string>() + " exists and is left as it is");
  return kExitDone;
}

// ---- kling completion SHELL: the scripts only ask the program, so they know what the program
// knows. And kling man: the manual pages that `./dev docs` has written ----

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
  std::fprintf(stderr,
               "kling completion: which shell, bash, zsh or fish? There is none for others\n");
  return kExitUsage;
}

}  // namespace

std::function<int()> set_up_types(CLI::App& app) {
  auto options = std::make_shared<FolderOptions>();
  options->voice.add_options(app);
  app.add_option("folder", options->folder, "of your scripts (default: this one)")
      ->type_name("DIR");
  app.footer(
      "Example: kling types .\nWrites types/kling.lua for LuaLS, .luarc.json and .luacheckrc.");
  return [options] { return write_project(options->voice, options->folder, editor_files()); };
}

std::function<int()> set_up_init(CLI::App& app) {
  auto options = std::make_shared<FolderOptions>();
  options->voice.add_options(app);
  app.add_option("folder", options->folder, "to make or to fill (default: this one)")
      ->type_name("DIR");
  app.footer("Example: kling init film");
  return [options] {
    if (options->folder.ends_with(".lua"))
      return misused("kling init makes a folder, and " + options->folder + " is a script",
                     "kling init film");
    std::vector<ProjectFile> files = {{"film.lua", kFirstScript},
                                      {"README.md", kFirstReadme},
                                      {".gitignore", ".kling/\nout/\n*.part\n"}};
    for (const ProjectFile& file : editor_files()) files.push_back(file);
    const int code = write_project(options->voice, options->folder, files);
    if (code == kExitDone)
      options->voice.note("now: kling run --sim " +
                          quoted((fs::path(options->folder) / "film.lua").lexically_normal()));
    return code;
  };
}

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
