// kling init and kling types: files for a folder of scripts. Nothing that a person may have written
// is overwritten.
#include <cerrno>
#include <cstdio>

#include "base/files.h"
#include "cli/command.h"

namespace kling {
extern const std::string_view kEditorTypes, kLuarc, kLuacheckrc;  // scripts/
}

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

constexpr std::uint64_t kMostTypes = 1 << 20;

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

constexpr const char* kScript = R"(-- One shot, and a second one that begins with its last frame.
local kling = require "kling"

local shot = kling.text2video { prompt = "A lighthouse at dusk, slow dolly in", duration = 5 }:wait()
local storm = kling.image2video { image = shot:last_frame(), prompt = "The storm arrives" }:wait()
print(kling.concat({ shot, storm }, "out/film.mp4").path)
)";

constexpr const char* kReadme = R"(# A film with kling

    kling run --sim film.lua     # rehearse: real HTTP, real clips, no money
    kling run film.lua           # for real; the key is in KLING_API_KEY
    kling jobs                   # what was made, and what it cost

Run it again: nothing that was paid is paid twice. What was sent and paid is in `.kling/`; keep it.
Editors that know LuaLS read `types/`, luacheck reads `.luacheckrc`; `kling types` writes them anew.
)";

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
    const auto old = read_file(path.string(), kMostTypes);
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
    std::vector<ProjectFile> files = {
        {"film.lua", kScript}, {"README.md", kReadme}, {".gitignore", ".kling/\nout/\n*.part\n"}};
    for (const ProjectFile& file : editor_files()) files.push_back(file);
    const int code = write_project(options->voice, options->folder, files);
    if (code == kExitDone)
      options->voice.note("now: kling run --sim " +
                          (fs::path(options->folder) / "film.lua").lexically_normal().string());
    return code;
  };
}

}  // namespace kling::cli
