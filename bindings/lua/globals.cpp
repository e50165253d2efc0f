// Globals without a value: words of other languages, and texts without their quotes, which would
// be paid for as if they were not there.
#include <algorithm>
#include <cstring>
#include <regex>
#include <sstream>

#include "api/text.h"
#include "base/files.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

/// Words of other languages: what follows them would run, and pay, as if they were not there.
struct Keyword {
  const char *name, *instead;
};
constexpr Keyword kKeywords[] = {{"await", "write job:wait(): kling.text2video { … }:wait()"},
                                 {"async", "write kling.spawn(function() … end)"},
                                 {"yield", "leave it out: a wait lets the others run"},
                                 {"new", "leave it out"}};

/// __index of the table of globals.
int missing_global(lua_State* L) {
  const char* name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
  for (const Keyword& word : kKeywords)
    if (std::strcmp(name, word.name) == 0)
      raise_message(L, lua_pushfstring(L, "Lua has no %s", name), word.instead);
  return note_missing(L, name), 0;
}

}  // namespace

void watch_globals(lua_State* L) {
  lua_pushglobaltable(L);
  lua_createtable(L, 0, 1);
  lua_pushcfunction(L, missing_global);
  lua_setfield(L, -2, "__index");
  lua_setmetatable(L, -2);
  lua_pop(L, 1);
}

bool is_field(const std::string& name) {
  for (const api::Endpoint& endpoint : api::endpoints())
    for (const api::Param& param : endpoint.params)
      if (param.name == name) return true;
  return false;
}

namespace {

/// What a file says of a global that was read for a call, which stands in these lines of it.
struct Use {
  std::string field;    ///< that is given it, as in { mode = pro }: "mode"; empty: none is
  bool tested = false;  ///< as in pro or "std", or set elsewhere: it may be nil
  bool listed = false;  ///< as an item, as in { clip, pro }
};

/// `frame`: of which file; `typed`: the text of what is in none.
Use use_of(const lua_Debug& frame, const std::string& typed, int line, int last,
           const std::string& name) {
  const bool word = std::ranges::all_of(
      name, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.'; });
  if (name.empty() || name.size() > 100 || !word) return {};
  const std::regex assigned("^[^{]*\\b" + name + "\\s*(,[\\w\\s,]*)?=[^=](.*[^,\\s])?\\s*$");
  const std::regex tested("\\b(not|if|elseif|while|until)\\s+" + name + "\\b|\\b" + name +
                          "\\s*(or\\b|and\\b|then\\b|==|~=)|_G\\." + name + "\\b");
  const bool is_file = frame.source != nullptr && *frame.source == '@';
  const auto source = is_file ? read_file(frame.source + 1, 1 << 20) : typed;
  std::istringstream file(source ? *source : "");
  std::string lines, own, text;
  bool set = false;  // somewhere: then it is nil for a reason
  for (int number = 1; number < 10'000 && std::getline(file, text); ++number) {
    text.resize(std::min<std::size_t>(text.size(), 300));
    if (number >= line && number <= last + 1)
      lines += text + "\n", own += number <= last ? text + "\n" : "";
    else
      set = set || std::regex_match(text, assigned);
  }
  Use use{.tested = set || std::regex_search(lines, tested)};
  const std::regex given(
      "(^|[\n{,;.]|\\blocal\\s)\\s*(?:\\[\\s*[\"'])?(\\w+)(?:[\"']\\s*\\])?\\s*=[\\s(]*" + name +
      "[\\s)]*([,;}\n]|--)");
  own = std::regex_replace(own, std::regex("\"[^\"]*\"|'[^']*'"), "\"\"");
  use.listed =
      !use.tested && std::regex_search(own, std::regex("\\{([^{}()]*,)?\\s*" + name + "\\s*[,}]"));
  std::smatch match;
  if (set || !std::regex_search(lines, match, given)) return use;
  const std::string before = match[1].str(), field = match[2].str();
  // What stands in no table may be anything.
  if (before == "{" || before == "," || before == ";" || is_field(api::lower(field)))
    use.field = field;
  return use;
}

std::string without_value(const std::string& name) {
  return name.starts_with("kling.") ? "kling has no " + name.substr(6)
                                    : "the global " + name + " is nil";
}

/// Whether some field of a request may have it.
bool is_value(const std::string& word) {
  const std::string small = api::lower(word.starts_with("kling.") ? word.substr(6) : word);
  for (const api::Endpoint& endpoint : api::endpoints())
    for (const api::Param& param : endpoint.params)
      if (std::ranges::count(param.rule.values, small) > 0) return true;
  return false;
}

Error nil_item(const std::string& name) {
  return {.message = name + " in a list: " + without_value(name),
          .hint =
              "is it spelt as where it was set? a text stands in quotes; where it may be "
              "missing, write " +
              name + " or nil"};
}

/// What to write where a request's field was given a word that has no value.
std::string instead_of(const std::string& field, const std::string& word) {
  const std::string name = word.starts_with("kling.") ? word.substr(6) : word;
  const std::string small = api::lower(name == "yes" ? "true" : name == "no" ? "false" : name);
  if (api::has_word("true false", small)) return "write " + field + " = " + small;
  for (const api::Endpoint& endpoint : api::endpoints())
    for (const api::Param& param : endpoint.params)
      for (const std::string& value : param.rule.values)
        if (param.name == api::lower(field) && value == small)
          return "a text stands in quotes: " + field + " = \"" + value + '"';
  return "a text stands in quotes: " + field + " = \"" + name +
         "\"; a name is spelt as where it was set, or where it may be missing: " + name + " or nil";
}

/// The line of a script that sets this variable, where nothing in it can read that; 0: something
/// may. What a text or comment has counts as read, unless it is plain where that ends.
int set_in_vain(const std::string& source, const std::string& name, bool global) {
  static const std::regex& others =
      *new std::regex(R"(\b(_G|_ENV|load|loadfile|dofile|require\b(?![\s("']*kling["']))\b)");
  static const std::regex& plain = *new std::regex("\"[^\"]*\"|--[^={]*$");
  static const std::regex& joins = *new std::regex("\\.\\.");
  const std::regex statement("\\s*(local\\s+)?" + name + "\\s*=.*[^,]"), word("\\b" + name + "\\b"),
      sets("[.:]\\s*" + name + "\\b|\\b" + name + "\\s*=(?!=)");
  std::istringstream file(source);
  std::string text;
  int line = 0;
  for (int number = 1; std::getline(file, text); ++number) {
    if (text.size() > 1000 || text.find("debug.") != text.npos) return 0;
    if (global && std::regex_search(text, others)) return 0;
    text = std::regex_replace(text, joins, " ");
    if (text.find_first_of("'\\[]") == text.npos) text = std::regex_replace(text, plain, "");
    if (line == 0 && std::regex_match(text, statement)) line = number;
    if (std::regex_search(std::regex_replace(text, sets, ""), word)) return 0;
  }
  return line;
}

}  // namespace

std::string read_by_none(lua_State* L, const api::Endpoint& endpoint, const api::Json& given) {
  Runtime& runtime = *runtime_of(L);
  if (!runtime.options.own_interpreter || runtime.options.engine.confinement.on) return "";
  std::string script;
  std::map<std::string, bool> set;  // texts, numbers and flags, and which of them are globals
  lua_pushglobaltable(L);
  for (lua_pushnil(L); lua_next(L, -2) != 0; lua_pop(L, 1)) {
    if (lua_type(L, -2) != LUA_TSTRING) continue;
    const std::string name = lua_tostring(L, -2);
    if (lua_isstring(L, -1) || lua_isboolean(L, -1)) set[name] = true;
    if (name != "arg" || !lua_istable(L, -1)) continue;
    if (lua_rawgeti(L, -1, 0) == LUA_TSTRING) script = lua_tostring(L, -1);
    lua_pop(L, 1);
  }
  lua_pop(L, 1);
  if (script.empty()) return "";
  const Task* root = runtime.running() ? runtime.find(runtime.running()->root) : nullptr;
  for (lua_State* thread : {L, root != nullptr && root->thread != nullptr ? root->thread : L}) {
    lua_Debug frame{};
    for (int level = 0; level < 50 && lua_getstack(thread, level, &frame) != 0; ++level) {
      lua_getinfo(thread, "S", &frame);
      if (frame.source != "@" + script || !lua_checkstack(thread, 1)) continue;
      const char* name = nullptr;
      for (int i = 1; (name = lua_getlocal(thread, &frame, i)) != nullptr; ++i, lua_pop(thread, 1))
        if (lua_isstring(thread, -1) || lua_isboolean(thread, -1)) set[name] = false;
    }
  }
  for (const auto& [name, global] : set)
    for (const api::Param& param : endpoint.params) {
      const std::string small = api::lower(name);
      if (small != param.name && std::ranges::count(param.aliases, small) == 0) continue;
      if (given.contains(param.name)) continue;
      const bool first = runtime.looked_at.try_emplace(script + "\n" + name).second;
      const auto source = first ? read_file(script, 1 << 20) : Error{};
      if (const int line = source ? set_in_vain(*source, name, global) : 0; line > 0)
        return name + ", set in " + script + ":" + std::to_string(line) +
               ", is not in this request, and nothing reads it: write kling." + endpoint.name +
               " { …, " + param.name + " = " + name + " }, or take that line out";
    }
  return "";
}

/// Of a field's own word without quotes, wherever it stands: { mode = pro }.
void note_missing(lua_State* L, const char* name) {
  Runtime* runtime = runtime_of(L);
  if (runtime == nullptr || lua_gc(L, LUA_GCISRUNNING) < 0) return;  // in a finalizer
  const Where here = where(L);
  bool looks = false;
  pure(L, [&] {
    runtime->missing = name;
    runtime->missing_at = here;
    looks = is_value(name);
  });
  if (!looks) return;
  lua_Debug frame{};
  for (int level = 0; frame.currentline <= 0 && lua_getstack(L, level, &frame) != 0; ++level)
    lua_getinfo(L, "Sl", &frame);
  const Error* refusal = nullptr;
  pure(L, [&] {
    const auto [place, first] = runtime->looked_at.try_emplace(here.text + std::string(" ") + name);
    refusal = &place->second;
    if (!first || frame.source == nullptr) return;
    const int line = frame.currentline;
    const Use use = use_of(frame, runtime->typed, line, line, name);
    const std::string hint = instead_of(use.field, name);
    if (use.listed) place->second = nil_item(name);
    if (use.tested || use.listed) return;
    if (use.field.empty())
      runtime->warn(here.text + std::string(": ") + without_value(name) +
                    ": a text stands in quotes, \"" + name + '"');
    if (!hint.starts_with("a text stands") || hint.find(';') != hint.npos) return;
    place->second = {.message = use.field + " = " + name + ": " + without_value(name),
                     .hint = hint};
  });
  if (!refusal->message.empty()) raise(L, *refusal);
}

void tell_missing(lua_State* L) {
  Runtime* runtime = runtime_of(L);
  if (runtime == nullptr || runtime->missing.empty()) return;
  const Where& there = runtime->missing_at;
  constexpr int kLinesOfACall = 20;
  lua_pushglobaltable(L);
  lua_pushlstring(L, runtime->missing.data(), runtime->missing.size());
  const bool still = lua_rawget(L, -2) == LUA_TNIL;
  lua_pop(L, 2);
  // It may have been read for a function of the script's own that makes the request.
  lua_Debug frame{};
  bool there_too = false;
  for (int level = 0; !there_too && level < 50 && lua_getstack(L, level, &frame) != 0; ++level) {
    lua_getinfo(L, "Sl", &frame);
    there_too = frame.currentline > 0 && frame.linedefined == there.function &&
                there.line >= frame.currentline && there.line < frame.currentline + kLinesOfACall &&
                std::strncmp(there.text, frame.short_src, std::strlen(frame.short_src)) == 0;
  }
  auto& refusal = new_object<Error>(L);
  pure(L, [&] {
    const std::string name = std::exchange(runtime->missing, "");
    if (!still || !there_too || api::has_word("null None undefined NULL", name)) return;
    const Use use = use_of(frame, runtime->typed, frame.currentline, there.line, name);
    if (use.tested) return;
    if (use.listed)
      refusal = nil_item(name);
    else if (!use.field.empty())
      refusal = {.message = use.field + " = " + name + ": " + without_value(name),
                 .hint = instead_of(use.field, name)};
    else
      runtime->warn(there.text + ((name.starts_with("kling.") ? ": " : ": the global ") + name) +
                    " is nil: is it spelt as where it was set? a text stands in quotes");
  });
  if (!refusal.message.empty()) raise(L, refusal);
  lua_pop(L, 1);
}

}  // namespace kling::lua
