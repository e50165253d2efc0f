#include "script/script.h"

#include <fstream>
#include <iostream>
#include <iterator>

#include "api/text.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "lua/convert.h"

namespace kling::script {

Result<std::string> read(const std::string& path) {
  std::string source;
  if (path == "-") {
    source.assign(std::istreambuf_iterator<char>(std::cin), {});
  } else {
    std::error_code error;
    std::ifstream file(path, std::ios::binary);
    if (!file || fs::is_directory(path, error))
      return Error{.message = "cannot read the script " + path,
                   .hint = fs::exists(path + ".lua", error) ? "did you mean " + path + ".lua?"
                                                            : "name a file such as film.lua"};
    source.assign(std::istreambuf_iterator<char>(file), {});
  }
  const FileKind& kind = file_kind(std::string_view(source).substr(0, 256));
  const bool binary = source.find('\0') != source.npos || api::bad_utf8(source) != source.npos;
  if ((binary &&
       (kind.family != FileKind::other || std::string_view(kind.name).starts_with("a "))) ||
      source.starts_with('<'))
    return Error{.message = path + " is " + kind.name + ", not a script", .hint = "name a .lua"};
  if (Status read = api::take_byte_order_mark(source, path == "-" ? "standard input" : path); !read)
    return read.error();
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

void add_folder(lua_State* L, const std::string& folder) {
  const int top = lua_gettop(L);
  luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
  if (!folder.empty() && lua_getfield(L, -1, "package") == LUA_TTABLE &&
      lua_getfield(L, -1, "path") == LUA_TSTRING) {
    const char* path = lua_tostring(L, -1);
    const char* added =
        lua_pushfstring(L, "%s/?.lua;%s/?/init.lua;", folder.c_str(), folder.c_str());
    if (std::string_view(path).find(added) == std::string_view::npos) {
      lua_pushfstring(L, "%s%s", added, path);
      lua_setfield(L, top + 2, "path");
    }
  }
  lua_settop(L, top);
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
