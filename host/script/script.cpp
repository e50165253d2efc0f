#include "script/script.h"

#include <fstream>
#include <iostream>
#include <iterator>

#include "api/text.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "lua/convert.h"

namespace kling::script {

constexpr std::streamsize kLargest = 64 << 20;

Result<std::string> read(const std::string& path) {
  std::string source;
  if (path == "-") {
    source.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::error_code error;
    std::ifstream file(path, std::ios::binary);
    std::string why = file ? "" : ": " + system_message(errno);
    if (fs::is_directory(path, error)) why = ": it is a folder";
    if (!why.empty()) {
      const fs::path folder = fs::path(path).parent_path();
      std::vector<std::string> scripts;
      for (const auto& entry : fs::directory_iterator(folder.empty() ? "." : folder, error))
        if (entry.path().extension() == ".lua" && entry.is_regular_file(error))
          scripts.push_back(entry.path().filename());
      const std::string near =
          api::did_you_mean(fs::path(path).filename().replace_extension("lua").string(), scripts);
      return Error{.message = "cannot read the script " + path + why,
                   .hint = near.empty() ? "name a file such as film.lua"
                                        : "did you mean " + (folder / near).string() + "?"};
    }
    if (fs::is_regular_file(path, error)) {
      auto whole = read_file(path, kLargest);
      if (!whole) return whole.error();
      source = std::move(*whole);
    } else {  // a pipe, or what has no end
      source.resize(kLargest);
      source.resize(std::size_t(file.read(source.data(), kLargest).gcount()));
      if (source.size() == kLargest)
        return Error{.message = path + " is longer than 64 MB, which no script is"};
    }
  }
  const std::string ending = extension_of(path);
  if (api::has_word("csv tsv json", ending))
    return Error{.message = path + " is no Lua script: it is named ." + ending,
                 .hint = (ending == "json" ? "kling.json(\"" : "kling.csv(\"") + path +
                         "\") reads a table in a script"};
  const FileKind& kind = file_kind(std::string_view(source).substr(0, 256));
  const bool binary = source.find('\0') != source.npos || api::bad_utf8(source) != source.npos;
  if ((binary &&
       (kind.family != FileKind::other || std::string_view(kind.name).starts_with("a "))) ||
      source.starts_with('<'))
    return Error{.message = path + " is " + kind.name + ", not a script", .hint = "name a .lua"};
  if (Status read = api::take_byte_order_mark(source, path == "-" ? "standard input" : path); !read)
    return read.error();
  if (source.starts_with('\x1b'))
    return Error{.message = path + " is compiled Lua, which is not run",
                 .hint = "name the .lua it was made of"};
  if (source.starts_with("{\\rtf") || source.find('\0') != source.npos)
    return Error{.message = path + " is not plain text", .hint = "save it as plain text, UTF-8"};
  if (source.starts_with('#')) source.insert(0, "--");
  return source;
}

std::string folder_of(const std::string& path) {
  std::error_code error;
  return fs::absolute(path, error).parent_path().string();
}

lua::Runtime& open(lua_State* L, bool safe, lua::ModuleOptions&& options) {
  if (safe) return lua::open_safe(L, std::move(options));
  luaL_openlibs(L);
  return lua::open_module(L, std::move(options));
}

/// One of package.searchers: beside the script that runs, then beside others. Not by package.path,
/// which is one for all scripts, and takes "?" and ";" in a folder's name for its own.
static int search_beside(lua_State* L) {
  const char* name = luaL_gsub(L, luaL_checkstring(L, 1), ".", "/");
  lua::Runtime* runtime = lua::any_runtime_of(L);
  if (runtime == nullptr) return 0;
  const std::string* folder = runtime->running() ? runtime->running()->folder : runtime->folder;
  for (auto next = runtime->folders.begin();; folder = &*next++) {
    for (const char* end : {".lua", "/init.lua"}) {
      if (folder == nullptr) continue;
      lua_pushfstring(L, "%s/%s%s", folder->c_str(), name, end);
      const int loaded = luaL_loadfile(L, lua_tostring(L, -1));
      if (loaded == LUA_OK) return lua_insert(L, -2), 2;
      if (loaded != LUA_ERRFILE)  // in the words of stock Lua
        return luaL_error(L, "error loading module '%s' from file '%s':\n\t%s", lua_tostring(L, 1),
                          lua_tostring(L, -2), lua_tostring(L, -1));
      lua_pop(L, 2);
    }
    if (next == runtime->folders.end()) break;
  }
  lua_pushfstring(L, "no file '%s.lua' beside a script", name);
  return 1;
}

void use_folder(lua_State* L, lua::Runtime& runtime, const std::string& folder) {
  runtime.folder = nullptr;
  if (folder.empty()) return;
  constexpr const char* kInstall =
      "local list = package and package.searchers\n"
      "if list then table.insert(list, 2, (...)) end";  // the first is for what is preloaded
  if (runtime.folders.empty() && luaL_loadstring(L, kInstall) == LUA_OK) {
    lua_pushcfunction(L, search_beside);
    lua_call(L, 1, 0);
  }
  lua::pure(L, [&] { runtime.folder = &*runtime.folders.insert(folder).first; });
}

void load(lua_State* L, std::string_view source, const char* chunk_name) {
  if (source.starts_with("\xEF\xBB\xBF")) source.remove_prefix(3);  // a byte order mark is no Lua
  // Text only: a damaged or hostile binary chunk can crash the interpreter.
  if (luaL_loadbufferx(L, source.data(), source.size(), chunk_name, "t") != LUA_OK) lua_error(L);
}

lua::TaskId start(lua_State* L, lua::Runtime& runtime, const char* task,
                  const api::Json& arguments) {
  const auto count = static_cast<int>(arguments.size());
  luaL_checkstack(L, count + LUA_MINSTACK, "too many arguments");
  for (int i = 0; i < count; ++i) lua::push_json(L, arguments[static_cast<std::size_t>(i)]);
  const lua::TaskId started = runtime.spawn(L, count, task);
  if (started == 0) luaL_error(L, "not enough memory");
  return started;
}

}  // namespace kling::script
