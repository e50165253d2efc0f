#include "lua/errors.h"

#include <algorithm>
#include <cctype>
#include <cstring>

#include "api/text.h"
#include "lua/manual.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

int error_index(lua_State* L) {
  const auto& value = check_object<ErrorValue>(L, 1, "kling.Error");
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "where") == 0) return push_some(L, value.where);
  if (std::strcmp(key, "traceback") == 0) return push_some(L, value.traceback);
  api::Json& field = new_object<api::Json>(L);
  pure(L, [&] { field = api::member(engine::to_json(value.error), key); });
  return field.is_null() ? no_value(L, "kling.Error", key) : (push_json(L, field), 1);
}

int error_tostring(lua_State* L) {
  const auto& value = check_object<ErrorValue>(L, 1, "kling.Error");
  return push_text(L, [&] { return to_text(value); });
}

}  // namespace

void define_error(lua_State* L) {
  static const luaL_Reg kMeta[] = {
      {"__index", error_index}, {"__tostring", error_tostring}, {nullptr, nullptr}};
  define<Error>(L, "kling.ErrorRecord");
  define<ErrorValue>(L, "kling.Error", kMeta);
}

std::size_t text_bytes(const ErrorValue& value) {
  const Error& error = value.error;
  return error.message.size() + error.field.size() + error.hint.size() + value.traceback.size();
}

std::string to_text(const ErrorValue& value) {
  std::string text;
  if (!value.where.empty()) text += value.where + ": ";
  text += value.error.message;
  const bool other_line = !value.asked.empty() && value.asked != value.where;
  if (!value.error.job.empty() || other_line) {
    text += " (";
    if (value.error.message.find(value.error.job) == std::string::npos) {
      text += value.error.job;
      if (other_line) text += ", ";
    }
    if (other_line) text += "asked for at " + value.asked;
    text += ")";
    if (text.ends_with(" ()")) text.resize(text.size() - 3);
  }
  if (!value.error.hint.empty()) {
    const bool sentence = std::isupper(static_cast<unsigned char>(value.error.hint.front())) != 0;
    if (!text.ends_with('.')) text += sentence ? '.' : ';';
    text += " " + value.error.hint;
  }
  return text;
}

Where where(lua_State* L) {
  Where result;
  lua_Debug frame;
  for (int level = 0; lua_getstack(L, level, &frame); ++level) {
    lua_getinfo(L, "Sl", &frame);
    if (frame.currentline <= 0 || std::strcmp(frame.source, "=[kling]") == 0) continue;
    std::snprintf(result.text, sizeof result.text, "%s:%d", frame.short_src, frame.currentline);
    result.line = frame.currentline;
    result.function = frame.linedefined;
    return result;
  }
  // A function of ours that is a task of its own, as kling.map(rows, kling.text2video) makes them.
  const Runtime* runtime = runtime_of(L);
  if (const Task* task = runtime == nullptr ? nullptr : runtime->running(); task && task->born_at)
    std::snprintf(result.text, sizeof result.text, "%s", task->born_at->c_str());
  return result;
}

std::string user_frames(const char* traceback, std::string kept) {
  std::string_view last = kept.empty() ? "" : "stack traceback:";
  while (traceback != nullptr && *traceback != '\0') {
    const char* end = std::strchr(traceback, '\n');
    const std::string_view line(traceback, end ? end - traceback : std::strlen(traceback));
    if (!line.starts_with("\t[C]:") && !line.starts_with("\t[kling]:") &&
        line != "\t(...tail calls...)" && line != std::exchange(last, line)) {
      if (!kept.empty()) kept += '\n';
      kept += line;
    }
    traceback = end ? end + 1 : nullptr;
  }
  return kept == "stack traceback:" ? "" : kept;
}

int raise(lua_State* L, const Error& error, const char* asked) {
  ErrorValue& value = new_object<ErrorValue>(L);
  const Where here = where(L);
  luaL_traceback(L, L, nullptr, 0);
  const char* traceback = lua_tostring(L, -1);
  pure(L, [&] {
    value.error = error;
    // A script's own text may be as long as memory allows, and this copy lies outside of it.
    constexpr std::size_t kMostMessage = 16u << 10;
    for (std::string* text : {&value.error.message, &value.error.field, &value.error.hint})
      if (text->size() > kMostMessage) text->resize(kMostMessage);
    value.where = here.text;
    value.asked = asked;
    value.traceback = user_frames(traceback);
  });
  lua_pop(L, 1);
  hold_memory(L, text_bytes(value), value.memory);
  return lua_error(L);
}

int wrong_self(lua_State* L, int index, const char* name) {
  lua_Debug call{};
  const char* function = "the method";
  if (lua_getstack(L, 0, &call) != 0 && lua_getinfo(L, "n", &call) != 0 && call.name != nullptr)
    function = call.name;
  const char* got = luaL_typename(L, index);
  if (luaL_getmetafield(L, index, "__name") == LUA_TSTRING) got = lua_tostring(L, -1);
  return raise_new(L, [&](Error& error) {
    const std::string owner = short_name(name);
    error.message = std::string(function) + " wants its " + owner + " first, got " + got;
    error.hint = "write " + owner + ":" + function + "(…) with a colon";
  });
}

int no_value(lua_State* L, const char* owner, const char* member) {
  bool known = false;
  pure(L, [&] { known = has_member(owner, member); });
  if (known) return 0;
  return raise_new(L, [&](Error& error) {
    const char* what = std::strrchr(owner, '.') + 1;
    error.message =
        std::string(*what == 'I' || *what == 'E' ? "an " : "a ") + what + " has no " + member;
    error.hint = meant_member(owner, member);
  });
}

int refuse_module(lua_State* L) {
  if (!lua_istable(L, 1)) return 0;
  lua_pushliteral(L, "_VERSION");
  const bool module = lua_rawget(L, 1) == LUA_TSTRING;
  lua_pop(L, 1);
  if (!module) return 0;
  lua_Debug call{};
  const bool named = lua_getstack(L, 0, &call) != 0 && lua_getinfo(L, "n", &call) != 0;
  const char* name = named && call.name != nullptr ? call.name : "text2video";
  return raise_message(L, lua_pushfstring(L, "%s was called with a colon", name),
                       lua_pushfstring(L, "write kling.%s with a dot", name));
}

const char* check_path(lua_State* L, int index) {
  const char* path = luaL_checkstring(L, index);
  const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; };
  const bool home = path[0] == '~' && (path[1] == '/' || path[1] == '\0');
  const bool variable = path[0] == '$' && (letter(path[1]) || path[1] == '{');
  const char* scheme = std::strstr(path, "://");
  const bool address = scheme != nullptr && std::all_of(path, scheme, letter);
  const bool windows = letter(path[0]) && path[1] == ':' && path[2] == '\\';
  const bool zero = std::strlen(path) != lua_rawlen(L, index);
  const bool control = std::strpbrk(path, "\a\b\f\n\r\t\v") != nullptr;
  if (!home && !variable && !address && !windows && !zero && !control) return path;
  raise_new(L, [&](Error& error) {
    if (zero) {
      error.message = "there is a zero byte in the path";
      error.hint = "leave out \\0: no system has such names";
    } else if (control) {
      error.message = "there is a control character in the path: " + api::excerpt(path, 60);
      error.hint = "in a text \\t and \\n are a tab and a line's end: folders stand between /";
    } else if (address) {
      error.message = std::string("this is an address and no path: ") + path;
      error.hint = "give a path of this machine, such as shots/fox.mp4";
    } else if (windows) {
      error.message = std::string("this is no path here: ") + path;
      error.hint = "a disk of Windows lies elsewhere, such as /mnt/c/…; folders stand between /";
    } else {
      error.message = std::string("Lua does not know ") +
                      (home ? "the folder ~: " : "variables of the shell: ") + path;
      error.hint = home ? std::string("write os.getenv(\"HOME\") .. \"") + (path + 1) + "\""
                        : "write os.getenv(\"HOME\") .. \"/…\"";
    }
  });
  return path;
}

}  // namespace kling::lua
