// Slips in a script: what was probably meant.
#include <algorithm>
#include <regex>

#include "api/endpoint.h"
#include "api/text.h"
#include "lua/manual.h"

namespace kling::lua {
namespace {

/// A method of this name, and in `owner` the value that has it: "job" or "clip"; null: none has.
const ManualFunction* method_of(std::string_view name, std::string& owner) {
  for (const ManualClass& value : manual().values_of)
    for (const ManualFunction& method : value.methods)
      if (owner = short_name(value.name); method.name == name) return &method;
  return nullptr;
}

std::vector<std::string> function_names() {
  std::vector<std::string> names;
  for (const api::Endpoint& endpoint : api::endpoints()) names.push_back(endpoint.name);
  for (const ManualFunction& function : manual().functions) names.push_back(function.name);
  return names;
}

/// Names of other tools, and wishes. Without an owner: of all.
struct MemberSlip {
  std::string_view owner, names;
  const char* instead;
};
constexpr MemberSlip kMembers[] = {
    {"kling.Job", "status", "write job.state"},
    {"kling.Job", "price", "write job.cost"},
    {"kling.Job", "clip video result output get await join done_clip",
     "wait for its clip: job:wait()"},
    {"kling.Job", "done finished_ok ready is_done", "write job.state == \"succeeded\""},
    {"kling.Job", "download write export", "wait for its clip: job:wait():save(\"shot.mp4\")"},
    {"kling.Job", "cancel stop abort kill",
     "what was sent cannot be called back; task:cancel() ends a task's waits"},
    {"kling.Clip", "still", "write kling.still(clip, { at = 2, seconds = 3 })"},
    {"kling.Clip", "wait accepted", "leave it out: a Clip is already finished"},
    {"kling.Clip", "seconds length lenght", "write clip.duration"},
    {"kling.Clip", "file filename filepath", "write clip.path"},
    {"kling.Clip", "download write export", "write clip:save(\"shot.mp4\")"},
    {"kling.Clip", "first_frame thumbnail poster", "write clip:frame(0)"},
    {"kling.Clip", "cut clip subclip", "write clip:trim(1, 4)"},
    {"kling.Job", "then_ next finally on_complete callback",
     "write job:on_done(function(clip, err) … end)"},
    {"kling.Clip", "size resolution", "write clip:probe().width and .height"},
    {"kling.Image", "last_frame frame", "leave it out: an Image is already a picture"},
    {"kling.Image", "wait", "leave it out: an Image needs no wait"},
    {"kling", "clip video load open file footage",
     "a path is a part of a film: kling.concat({ \"intro.mp4\", clip }, \"film.mp4\")"},
    {"kling", "wait_all waitall parallel gather await_all", "write kling.all { one, two }"},
    {"kling", "race first", "write kling.any { one, two }"},
    {"kling", "await", "write job:wait()"},
    {"kling", "download export", "wait for its clip: job:wait():save(\"shot.mp4\")"},
    {"kling", "join merge stitch render", "write kling.concat({ one, two }, \"film.mp4\")"},
    {"kling",
     "generate create make run text_to_video t2v txt2video video_from_text text2vid "
     "txt2vid txt2video create_video generate_video make_video prompt",
     "write kling.text2video { prompt = \"…\" }"},
    {"kling", "image_to_video i2v img2video animate image2vid",
     "write kling.image2video { image = \"hero.png\", prompt = \"…\" }"},
    {"kling", "video2video v2v edit extend continue",
     "write kling.omni { video_list = { clip }, prompt = \"…\" }"},
    {"kling", "text2image image_gen lip_sync lipsync tts text2speech subtitles",
     "kling makes videos; kling.request reaches what else the service has"},
    {"kling", "read_csv load_csv table open_csv", "write kling.csv(\"shots.csv\")"},
    {"kling", "upload", "write kling.configure { upload = function(path) … return url end }"},
    {"kling", "balance credit credits",
     "your account's page shows it; kling doctor checks the key"},
    {"kling.Clip", "extend continue lengthen",
     "write kling.image2video { image = clip:last_frame(), prompt = \"…\" }"},
    {"kling", "budget max_cost set_budget limit", "write kling.configure { budget = 5 }"},
    {"kling", "key api_key token login auth set_key set_api_key",
     "write kling.configure { key = … }, or kling login in the shell"},
    {"kling", "new setup init connect", "write kling.configure { … }, or kling.client { … }"},
    {"kling.Error", "msg text reason description error", "write e.message"},
    {"kling.Error", "match find gsub sub lower upper format", "as text: tostring(e)"},
    {"kling.Task", "result results value", "write task:wait()"},
    {"kling.Task", "state status", "write task.done"},
    {"kling", "view board plan rehearse sim draft again doctor jobs",
     "that is for the shell: kling plan film.lua, kling run --sim film.lua, kling view film.lua"},
    {"", "audio music song", "write kling.concat(clips, \"film.mp4\", { audio = \"song.mp3\" })"},
    {"", "crossfade transition dissolve fade fade_in fade_out",
     "write kling.concat(clips, \"film.mp4\", { crossfade = 0.5, fade = 1 })"},
    {"", "crop resize scale",
     "write kling.concat(clips, \"film.mp4\", { size = \"720x720\", fit = \"crop\" })"},
    {"", "text title card caption subtitle",
     "kling draws no text: make a picture of it, then kling.still(\"title.png\", { seconds = 3 })"},
    {"", "speed slow slow_motion fast reverse rotate flip loop filter color grade",
     "kling cannot do that: save the clip, and use ffmpeg or an editing program"},
};

/// Empty: nobody wished that yet.
std::string wished(std::string_view owner, std::string_view name) {
  for (const MemberSlip& slip : kMembers)
    if ((slip.owner.empty() || slip.owner == owner) && api::has_word(slip.names, api::lower(name)))
      return slip.instead;
  return {};
}

/// `name` was called, and was nil: a method of a value, a field of a table, or a name that stands
/// alone, when it may be one of `names`, which are known there.
std::string called(const std::string& name, bool method, const std::vector<std::string>& names) {
  if (const std::string near = api::did_you_mean(name, names); !near.empty())
    return "did you mean " + near + "?";
  const bool of_module = std::ranges::count(names, "kling." + name) > 0;
  if (const std::string wish = of_module ? wished("kling", name) : ""; !wish.empty()) return wish;
  std::vector<std::string> known = function_names();
  if (std::string owner; method_of(name, owner) != nullptr)
    return method ? "this is no " + owner + (owner == "clip" ? ": save gives a path" : "") +
                        "; an item of a list is list[1]:" + name + "(…)"
                  : "write " + owner + ":" + name + "(…): it belongs to the " + owner;
  if (method) {
    known.clear();
    for (const ManualClass& value : manual().values_of)
      for (const ManualFunction& one : value.methods) known.push_back(one.name);
  }
  // Short ones are near everything.
  std::erase_if(known, [&](const std::string& one) { return one.size() < 4 && one != name; });
  const std::string near = api::did_you_mean(name, known);
  if (near.empty() && of_module) return "kling has " + api::joined(function_names(), ", ");
  if (near.empty() && !names.empty()) return "no function is called " + name + " there";
  return near.empty() ? near
                      : std::string("did you mean ") + (method ? ":" : "kling.") + near + "?";
}

/// How a function or method of ours is called: "write kling.sleep(seconds)"; empty: it is none.
std::string call_form(std::string_view name) {
  for (const ManualFunction& function : manual().functions)
    if (function.name == name) return "write " + call_of(function, "kling.");
  std::string owner;
  const ManualFunction* method = method_of(name, owner);
  return method == nullptr ? "" : "write " + call_of(*method, owner + ":");
}

/// How one value leads to another that may have what was looked for.
struct Way {
  std::string_view owner, there;
  const char* before;
};
constexpr Way kWays[] = {
    {"kling.Job", "kling.Clip", "wait for its clip: job:wait()"},
    {"kling.Job", "kling.Probe", "wait for its clip: job:wait():probe()"},
    {"kling.Clip", "kling.Job", "write clip.job"},
    {"kling.Clip", "kling.Probe", "write clip:probe()"},
    {"kling.Task", "kling.Clip", "wait for what its function returns: task:wait()"},
    {"kling.Task", "kling.Job", "wait for what its function returns: task:wait()"},
};

const ManualClass* class_of(std::string_view name) {
  for (const ManualClass& value : manual().values_of)
    if (value.name == name) return &value;
  return nullptr;
}

/// A name of the manual without the '?' of what may be missing.
std::string plain(std::string_view name) { return std::string(name.substr(0, name.find('?'))); }

std::vector<std::string> members_of(std::string_view owner) {
  std::vector<std::string> names;
  for (const ManualField& field : class_of(owner)->fields) names.push_back(plain(field.name));
  for (const ManualFunction& method : class_of(owner)->methods) names.push_back(method.name);
  return names;
}

struct Hint {
  const char* where;  ///< a pattern of Lua's message
  const char* says;
};

/// Words of other languages, in small letters, that were called, or stand before a dot, where
/// nothing is.
constexpr struct {
  std::string_view called, indexed;
  const char* instead;
  bool methods = false;  ///< called as a method or field, too
} kElsewhere[] = {
    {"push pushback append add insert pop shift remove sort sorted join implode", "",
     "write table.insert(t, x), table.remove(t), table.sort(t), table.concat(t, \", \")", true},
    {"slice unpack substr substring", "",
     "a part of a list: { table.unpack(list, 1, 2) }, of a text: text:sub(1, 2)", true},
    {"foreach each map filter reduce items keys values entries enumerate zip sum",
     "object array itertools",
     "write for i, item in ipairs(list) do … end; pairs(t) goes through names", true},
    {"split explode splitlines", "", "write for part in text:gmatch(\"[^,]+\") do … end", true},
    {"strip trim chomp", "", "write text:match(\"^%s*(.-)%s*$\")", true},
    {"replace replaceall startswith endswith includes contains indexof has", "re regex regexp",
     "write text:gsub(\"old\", \"new\"), text:find(\"fox\", 1, true), text:match(\"%d+\")", true},
    {"toupper tolower touppercase tolowercase upcase downcase capitalize", "string",
     "write text:upper(), text:lower(), (\"take %d\"):format(3)", true},
    {"str tostring tos string int float parseint parsefloat number toi", "",
     "write tostring(x), tonumber(x)"},
    {"input prompt alert readline gets confirm", "",
     "write kling.ask(\"When?\", { \"day\", \"night\" })"},
    {"random randint choice rand shuffle", "random", "write math.random(6), t[math.random(#t)]",
     true},
    {"round floor ceil abs min max sqrt", "math np", "write math.floor(x + 0.5), math.max(a, b)",
     true},
    {"open fopen exists isfile listdir mkdir makedirs glob", "fs pathlib shutil path",
     "a path is a text: folder .. \"/one.mp4\"; io.open(path) gives its file, nil: there is none"},
    {"list dict array set tuple", "", "a table is { 1, 2 }, or { name = 1 }"},
    {"delay settimeout usleep", "time thread asyncio datetime date",
     "write kling.sleep(seconds); os.time() is the clock, os.date() its text"},
    {"", "json", "kling.json(x) reads and writes JSON"},
    {"", "csv pd pandas", "kling.csv(\"shots.csv\") reads a table"},
    {"", "sys process environ argv env",
     "arg[1] is the first word behind the script; os.getenv(\"HOME\"); os.exit(1)"},
    {"", "promise threading", "write kling.all { one, two }"},
};

/// Empty: the name is no such word, or one of `names` that are known there.
std::string elsewhere(const std::string& message, const std::vector<std::string>& names) {
  std::smatch nil;
  if (!std::regex_search(message, nil, std::regex("(call|index) a nil value \\((\\w+) '(\\w+)'")) ||
      api::has_word("local upvalue", nil[2].str()))
    return {};
  const bool global = nil[2] == "global";
  if (nil[1] == "index" && std::ranges::count(names, "kling." + nil[3].str()) > 0)
    return "write kling.text2video { prompt = \"…\" }, kling.image2video { image = \"hero.png\" }";
  const std::vector<std::string> ours = function_names();
  std::string word = api::lower(nil[3].str());
  std::erase(word, '_');
  // A table of the script's own may have fields of any name, that are not set.
  for (const auto& [called, indexed, instead, methods] : kElsewhere)
    if (api::has_word(nil[1] == "call" ? called : indexed, word) &&
        (global || word == "path" ? nil[1] == "index" || std::ranges::count(ours, word) == 0
                                  : nil[1] == "call" && methods))
      return instead;
  return {};
}

constexpr Hint kMeant[] = {
    {"attempt to (call|index) .*\\(global "
     "'(console|System|std|cout|echo|puts|printf|println|log|sprintf)'",
     "write print(x); filled in: print((\"take %d\"):format(3))"},
    {"concatenate a nil value$", "what is joined by .. has no value: leave it out"},
    {"nil value \\(global '(kling|import|include)'", "begin with: local kling = require \"kling\""},
    {"arithmetic .*'kling'", "a text stands in quotes: \"kling-v3\""},
    {"\\(for iterator", "write for i, item in ipairs(list) do"},
    {"index a nil value \\((local|upvalue|global) '(f|fh|file|handle|input|out|log)'",
     "io.open gives nil where there is no such file: assert(io.open(path)) says why"},
    {"error without a text \\(table", "error wants a text: error(\"…\"), or kling.json(value)"},
    {"' \\(table expected, got n(il|o v)|(concatenate|length of) a nil value \\((?!field "
     "'(\\?|int))|arithmetic on a nil value \\((field '(?!\\?|integer "
     "index)|local|upv)|compare.*nil",
     "a value was never set: is it spelt as where it was set?"},
    {"'(for iterator|ipairs|pairs)' \\(table expected", "pairs and ipairs go through tables only"},
    {"(call|arithmetic|length|compare).*'(length|size|count|len)'",
     "#list counts a list: for i = 1, #list do"},
    {"bad 'for' limit|'for' limit must",
     "#list counts a list: for i = 1, #list do; tonumber(x) reads a number"},
    {"module '.*' is not loaded yet", "require one of the two inside of the function that uses it"},
    {"module '.*json' not", "kling.json(x) reads and writes JSON"},
    {"module 'kling[./]", "write local kling = require \"kling\": kling.text2video is in it"},
    {"compare .*kling\\.(Clip|Job|Task)", "write clip.duration > 3, or job:wait().duration > 3"},
    {"global '(switch|case|elif)'", "write if … then … elseif … then … else … end"},
    {"value \\(\\w+ 'kling'", "write kling.text2video { … }"},
    {"global '(exit|quit|die|abort)'", "write os.exit(1), or error(\"why\")"},
    {"global 'range'", "write for i = 1, 3 do … end"},
    {"global 'f'",
     "a function is made above its first call; Lua puts no {name} into a text: \"A \" .. name"},
    {"to '(upper|lower|rep|format|sub|gsub|find|match|len)' \\(string expected, got n",
     "a text has its methods behind a colon: name:upper()"},
    {"index a nil value \\((local|upvalue|field '(?!\\?|int))",
     "it was given no value; a function that gives one needs a return; kling.all gives one table"},
    {"index a nil value$", "is it spelt as where it was set? does its function have a return?"},
    {"index a nil value \\(global '(prompt|image|duration|mode|name|sound|aspect_ratio|cfg_scale)'",
     "in a table a field is written name = value, not name: value"},
    {"index a nil value \\(global", "it has no value; a text, such as a path, stands in quotes"},
    {"index a kling\\.", "it cannot be changed; name = \"…\" and such stand in its request"},
    {"index a boolean value \\((local|upvalue|global)",
     "it is true or false; a file that require reads ends with return and what it gives"},
    {"index a (number|boolean) value", "it has no fields and methods; as text: tostring(x)"},
    {"to 'format' \\(no value", "each %d and %s in the text wants a value of its own"},
    {"to 'format' \\(number", "%d wants a number; %s takes any value"},
    {"index a function value",
     "a function is called first: kling.text2video { … }:wait(), clip:probe()"},
    {"length of a kling\\.", "a clip has clip.duration; # counts a list"},
    {"attempt to compare", "compare numbers with numbers; tonumber(x) makes one of a text"},
    {"attempt to \\w+ a '",
     "texts are joined with ..: \"A \" .. name; filled in with text:format(3)"},
    {"concatenate a kling\\.Clip value|arithmetic on a kling\\.",
     "kling.concat({ one, two }, \"film.mp4\") joins clips; as text write tostring(clip)"},
    {"arithmetic on a", "a comment begins with --; a text, such as a path, stands in quotes"},
    {"concatenate a nil value \\(field '(\\?|integer index)'",
     "there is no such item: a list begins at [1], as do the words behind the script, arg[1]"},
    {"concatenate a [^n]", "as text: tostring(x); of a list: table.concat(list, \", \")"},
    {"nil value \\(field '(\\?|integer index)'",
     "the list has no such item: the first is [1]; did a function for kling.map forget its "
     "return?"},
    {"call a (string|number|boolean|table|kling.\\w+) value",
     "only a function is called; an item is list[1]; is a comma or .. missing before it?"},
    {"call a nil value \\((local|upvalue)", "it was given no function, or another value since"},
    {"table for 'concat'",
     "kling.concat({ one, two }, \"film.mp4\") joins clips; table.concat joins texts"},
    {"global '(raise|throw|panic|fail)'", "write error(\"…\")"},
    {"^[^\n]*: (cannot open |[^ ]*: No such file or directory$)",
     "check the path; relative ones start at the working folder"},
    {"stack overflow", "a function calls itself without an end"},
};
}  // namespace

std::string text_between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t found = text.find(before);
  if (found == text.npos) return {};
  const std::size_t from = found + before.size();
  const std::size_t to = text.find(after, from);
  return std::string(text.substr(from, to == text.npos ? 0 : to - from));
}

std::string short_name(std::string_view owner) {
  return api::lower(owner.substr(owner.rfind('.') + 1));
}

bool has_member(std::string_view owner, std::string_view name) {
  return std::ranges::count(members_of(owner), name) > 0;
}

std::string meant_member(std::string_view owner, std::string_view name) {
  if (std::string wish = wished(owner, name); !wish.empty()) return wish;
  for (const Way& way : kWays) {
    if (way.owner != owner) continue;
    const ManualClass& there = *class_of(way.there);
    for (const ManualFunction& method : there.methods)
      if (method.name == name)
        return way.before + (":" + method.name) + (method.params.empty() ? "()" : "(…)");
    for (const ManualField& field : there.fields)
      if (plain(field.name) == name) return way.before + ("." + std::string(name));
  }
  for (const api::Endpoint& endpoint : api::endpoints())
    for (const api::Param& param : endpoint.params)
      if (param.name == name && (owner == "kling.Job" || owner == "kling.Clip"))
        return (owner == "kling.Job" ? "write job.request." : "write clip.job.request.") +
               param.name;
  if (std::string form = call_form(name); !form.empty()) return form;
  const std::vector<std::string> known = members_of(owner);
  const std::string near = api::did_you_mean(name, known);
  return near.empty() ? "it has " + api::joined(known, ", ") : "did you mean " + near + "?";
}

std::string meant_instead(std::string_view message, const std::vector<std::string>& names) {
  const std::string text(message.substr(0, 1000));
  // What a script says in its own errors is no slip.
  static const std::regex& ours = *new std::regex(
      "attempt to |bad argument #|bad 'for'|'for' |module '[^']*' (not found:|is not loaded)|error "
      "without a text|"
      "stack overflow|cannot open |: No such file|not enough memory|index out of range|invalid ");
  if (!std::regex_search(text, ours)) return {};
  if (const std::string name = text_between(text, "nil value (global '", "'");
      name != "kling" && !api::did_you_mean(name, {"kling"}).empty())
    return "did you mean kling?";
  if (std::smatch field; std::regex_search(
          text, field,
          std::regex("call a (string|number|boolean|table) value \\((?:method|field) '(\\w+)'")))
    return "it is a " + field[1].str() + ": write ." + field[2].str() + " without brackets";
  if (std::string instead = elsewhere(text, names); !instead.empty()) return instead;
  for (const Hint& hint : kMeant)
    if (std::regex_search(text, std::regex(hint.where))) return hint.says;
  if (const std::string name = text_between(message, "call a nil value (global '", "'");
      !name.empty())
    return called(name, false, names);
  if (std::string name = text_between(message, "module '", "' not found"); !name.empty()) {
    if (!api::did_you_mean(name, {"kling"}).empty()) return "did you mean require \"kling\"?";
    if (name.ends_with(".lua")) return "write require \"" + name.substr(0, name.size() - 4) + '"';
    const bool safe = text.find("a folder that was allowed") != text.npos;
    if (name.find('/') != name.npos) {
      while (name.starts_with("./") || name.starts_with("../")) name.erase(0, name.find('/') + 1);
      std::ranges::replace(name, '/', '.');
      return "write require \"" + name + '"';
    }
    std::ranges::replace(name, '.', '/');
    return "a file " + name +
           (safe ? ".lua below a folder that was allowed" : ".lua beside the script") + " is found";
  }
  if (const std::string name = text_between(message, "nil value (method '", "'"); !name.empty())
    return called(name, true, {});
  if (const std::string name = text_between(message, "nil value (field '", "'"); !name.empty())
    return called(name, false,
                  std::ranges::count(names, "kling." + name) > 0
                      ? std::vector<std::string>{"kling." + name}
                      : std::vector<std::string>{});
  return call_form(
      text_between(text.substr(std::min(text.find("bad argument #"), text.size())), "to '", "'"));
}

}  // namespace kling::lua
