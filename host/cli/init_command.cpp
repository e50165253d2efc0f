// kling init and kling types: files for a folder of scripts. Nothing that a person may have written
// is overwritten.
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <span>

#include "api/endpoint.h"
#include "api/text.h"
#include "base/files.h"
#include "cli/command.h"
#include "lua/manual.h"

namespace kling::cli {
namespace {

namespace fs = std::filesystem;

struct ProjectFile {
  std::string name;  ///< below the folder
  std::string text;
};

// ---- From the endpoint table and the module's manual to what editors read ----

using api::Param;
using api::Type;

const char* const kPicture = "kling.Image|string|kling.Address";
const char* const kVideo = "kling.Clip|string|kling.Address";

std::string literals(const api::Rule& rule) {
  std::vector<std::string> words;
  for (const auto* list : {&rule.values, &rule.warn_values})
    for (const std::string& word : *list) words.push_back('"' + word + '"');
  return words.empty() ? "string" : api::joined(words, "|");
}

/// What a script may write for the parameter; `class_name` is the one of its children.
std::string type_of(const Param& param, const std::string& class_name) {
  switch (param.type) {
    case Type::string:
      return literals(param.rule);
    case Type::number:
      return "number";
    case Type::boolean:
      return "boolean";
    case Type::integer:
    case Type::seconds:
      return "integer|string";
    case Type::image:
      return kPicture;
    case Type::video:
      return kVideo;
    case Type::object:
      return class_name;
    case Type::list:
      break;
  }
  std::string item = class_name;
  for (const Param& child : param.children)  // a bare picture or clip stands for its object
    if (child.type == Type::image || child.type == Type::video)
      item += std::string("|") + (child.type == Type::image ? kPicture : kVideo);
  return "(" + item + ")[]|" + item;
}

std::string field_line(const std::string& name, const std::string& type, const std::string& doc) {
  return "---@field " + name + " " + type + " " + doc + "\n";
}

/// The class of a table of parameters, after those of the tables in it.
std::string class_of(const std::string& name, const std::string& head,
                     const std::vector<Param>& params) {
  std::string before, fields;
  for (const Param& param : params) {
    const std::string child = name + "." + param.name;
    if (!param.children.empty())
      before += class_of(child, "---" + param.doc + "\n---@class " + child, param.children);
    const std::string type = type_of(param, child);
    const bool optional = !param.required || !param.aliases.empty();
    fields += field_line(param.name + (optional ? "?" : ""), type, param.doc);
    for (const std::string& alias : param.aliases)
      fields += field_line(alias + "?", type, "The same as " + param.name + ".");
  }
  return before + head + "\n" + fields + "\n";
}

std::string function_text(const lua::ManualFunction& function, const std::string& before) {
  std::string text = "---" + function.doc + "\n";
  if (function.waits) text += "---@async\n";
  if (!function.generics.empty()) text += "---@generic " + function.generics + "\n";
  for (const lua::ManualField& param : function.params)
    text += "---@param " + param.name + " " + param.type + " " + param.doc + "\n";
  if (!function.returns.empty()) {
    text += "---@return ";
    for (const char c : function.returns) text += c == '\n' ? "\n---@return " : std::string(1, c);
    text += "\n";
  }
  std::string call = lua::call_of(function, before);
  std::erase(call, '?');
  return text + "function " + call + " end\n\n";
}

std::string class_text(const lua::ManualClass& described) {
  std::string text = "---" + described.doc + "\n---@class " + described.name + "\n";
  for (const lua::ManualField& field : described.fields)
    text += field_line(field.name, field.type, field.doc);
  if (described.methods.empty()) return text + "\n";
  const std::string local = described.name.substr(described.name.find('.') + 1);
  text += "local " + local + " = {}\n\n";
  for (const lua::ManualFunction& method : described.methods)
    text += function_text(method, local + ":");
  return text;
}

/// The module as LuaLS annotations: functions, request fields, values and errors.
std::string editor_types() {
  const lua::Manual& manual = lua::manual();
  std::string text =
      "---@meta kling\n"
      "-- Written by `kling types` from the tables of the program: do not edit.\n"
      "-- luacheck: ignore 212 241 631\n\n";
  for (const auto* classes : {&manual.options, &manual.values_of})
    for (const lua::ManualClass& described : *classes) text += class_text(described);
  std::vector<lua::ManualFunction> makers;
  for (const api::Endpoint& endpoint : api::endpoints()) {
    const std::string name = "kling." + endpoint.name;
    text += class_of(
        name,
        "---Fields of kling." + endpoint.name + "{}.\n---@class " + name + ": kling.RequestOptions",
        endpoint.params);
    std::vector<std::string> names = {endpoint.name};
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
    for (const std::string& called : names)
      makers.push_back({called,
                        {{"request", name, "What is wanted."}},
                        "kling.Job",
                        endpoint.doc + " Returns at once; only `wait` waits for the service.",
                        true,
                        ""});
  }
  text += "---@class kling.Module\n";
  for (const lua::ManualField& value : manual.values)
    text += field_line(value.name, value.type, value.doc);
  text += "local kling = {}\n\n";
  for (const std::vector<lua::ManualFunction>* functions :
       {&std::as_const(makers), &manual.functions})
    for (const lua::ManualFunction& function : *functions)
      text += function_text(function, "kling.");
  return text + "return kling\n";
}

/// types/kling.lua, .luarc.json and .luacheckrc.
std::vector<ProjectFile> editor_files() {
  std::vector<std::string> names;
  for (const api::Endpoint& endpoint : api::endpoints()) {
    names.push_back(endpoint.name);
    names.insert(names.end(), endpoint.aliases.begin(), endpoint.aliases.end());
  }
  for (const auto& function : lua::manual().functions) names.push_back(function.name);
  for (const auto& value : lua::manual().values) names.push_back(value.name);
  std::string globals;
  for (const std::string& name : names) globals += "      " + name + " = {},\n";
  return {{"types/kling.lua", editor_types()},
          {".luarc.json",
           "{\n  \"runtime.version\": \"Lua 5.4\",\n  \"workspace.library\": [\"types\"],\n"
           "  \"workspace.checkThirdParty\": false\n}\n"},
          {".luacheckrc",
           "-- Written by `kling types`. The REPL and some hosts give the module as a global.\n"
           "std = \"lua54\"\nexclude_files = { \"types\" }\nread_globals = {\n  kling = {\n"
           "    fields = {\n" +
               globals + "    },\n  },\n}\n"}};
}

// ---- The files of a folder ----

struct FolderOptions {
  Voice voice;
  std::string folder = ".";
};

constexpr std::uint64_t kMostTypes = 1 << 20;

/// Nothing when it was written, else why not.
std::optional<std::string> write_new(const std::string& path, const std::string& text) {
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
    const std::string first_line = file.text.substr(0, file.text.find('\n') + 1);
    if (old && *old == file.text) continue;
    if (old && fs::is_regular_file(status) && first_line.starts_with("---@meta") &&
        old->starts_with(first_line)) {
      if (Status replaced = write_file(path.string(), file.text); !replaced.ok())
        return voice.fail(replaced.error());
      written.push_back(path.string());
    } else {
      kept.push_back(path.string());
    }
  }
  if (voice.json) {
    Voice::line({{"written", written}, {"kept", kept}});
    return kExitDone;
  }
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
    for (ProjectFile& file : editor_files()) files.push_back(std::move(file));
    const int code = write_project(options->voice, options->folder, files);
    if (code == kExitDone)
      options->voice.note("now: kling run --sim " +
                          (fs::path(options->folder) / "film.lua").lexically_normal().string());
    return code;
  };
}

}  // namespace kling::cli
