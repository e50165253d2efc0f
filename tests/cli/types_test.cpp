// Functions, editor types, reference and manual pages: one table, the same names.
#include <filesystem>
#include <iterator>
#include <regex>
#include <set>

#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;
using Names = std::set<std::string>;

namespace {

std::string read(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  REQUIRE_MESSAGE(!text.str().empty(), path);
  return text.str();
}
std::string source(const std::string& path) { return read(KLING_SOURCE_DIR "/" + path); }

Names found(const std::string& text, const char* expression) {
  const std::regex wanted(expression);
  Names names;
  for (std::sregex_iterator at(text.begin(), text.end(), wanted), end; at != end; ++at)
    names.insert((*at)[1].str());
  return names;
}

/// The part of `text` from `from` to the next `to`.
std::string part(const std::string& text, const std::string& from, const std::string& to) {
  const std::size_t start = text.find(from);
  REQUIRE_MESSAGE(start != std::string::npos, from);
  return text.substr(start, text.find(to, start + from.size()) - start);
}

std::string stubs() { return source("scripts/types/kling.lua"); }

/// The fields of a class in the stubs.
Names stub_fields(const std::string& name) {
  const std::regex head("---@class " + name + "(:[^\n]*)?\n");
  const std::string text = stubs();
  std::smatch at;
  REQUIRE_MESSAGE(std::regex_search(text, at, head), name);
  const std::string rest = text.substr(std::size_t(at.position()) + std::size_t(at.length()));
  return found(rest.substr(0, rest.find("\n\n")), "---@field (\\w+)");
}
Names stub_methods(const std::string& local) {
  return found(stubs(), ("function " + local + ":(\\w+)\\(").c_str());
}
/// The same in docs/reference.md.
Names page_fields(const std::string& name) {
  return found(part(source("docs/reference.md"), "\n### kling." + name + "\n", "\n##"),
               "\n\\| `(\\w+)\\??` \\|");
}
Names page_methods(const std::string& name) {
  return found(part(source("docs/reference.md"), "\n### kling." + name + "\n", "\n##"),
               "\n\\| `:(\\w+)\\(");
}

void check_same(const std::string& what, const Names& documented, const Names& real) {
  CAPTURE(what);
  std::string difference;
  for (const std::string& name : real)
    if (!documented.contains(name)) difference += " undocumented " + name;
  for (const std::string& name : documented)
    if (!real.contains(name)) difference += " not there " + name;
  CHECK(difference == "");
}

/// The words of one line of output, "NAME: word word".
Names words_of(const std::string& output, const std::string& name) {
  std::istringstream words(part("\n" + output, "\n" + name + ":", "\n").substr(name.size() + 2));
  return {std::istream_iterator<std::string>(words), {}};
}

// Walks what the interpreter really has: the module, a client, and the metatables of its values.
const char* const kWalk = R"(
local kling = require "kling"
local function show(name, names)
  table.sort(names)
  print(name .. ": " .. table.concat(names, " "))
end
for name, module in pairs { module = kling, client = kling.client {} } do
  local functions, values = {}, {}
  for key, value in pairs(module) do
    local list = type(value) == "function" and functions or values
    list[#list + 1] = key
  end
  show(name .. ".functions", functions)
  show(name .. ".values", values)
end
for _, meta in pairs(debug.getregistry()) do
  local name = type(meta) == "table" and rawget(meta, "__name")
  local methods = name and meta.__index
  if type(methods) == "function" then
    local _, upvalue = debug.getupvalue(methods, 1)
    methods = upvalue
  end
  if type(methods) == "table" and name:find("^kling%.") then
    local names = {}
    for key in pairs(methods) do names[#names + 1] = key end
    show(name, names)
  end
end
)";

}  // namespace

TEST_CASE("the checked in types and manual pages are what the program writes") {
  const Stage stage("");
  REQUIRE(stage.run({"types", "."}).code == 0);
  for (const char* file : {"types/kling.lua", ".luarc.json", ".luacheckrc"})
    CHECK_MESSAGE(read(stage.folder / file) == source(std::string("scripts/") + file),
                  "run ./dev docs: ", file);
  for (const std::string section : {"1", "3lua"}) {
    const Outcome page = stage.run({"man", section});
    CHECK_MESSAGE(page.out == source("docs/man/kling." + section), "run ./dev docs: man ", section);
  }
}

TEST_CASE("functions and types and reference have the same names") {
  Stage stage(kWalk);
  const Outcome walk = stage.run();
  CAPTURE(walk.err);
  REQUIRE(walk.code == 0);
  const std::string text = stubs(), page = source("docs/reference.md");
  const Names functions = words_of(walk.out, "module.functions");
  CHECK(functions.size() >= 20);
  CHECK(functions == words_of(walk.out, "client.functions"));
  check_same("types", found(text, "\nfunction kling\\.(\\w+)\\("), functions);
  Names shown = found(page, "\n\\| `kling\\.(\\w+)\\(");
  for (const char* other : {"\n## kling\\.(\\w+)\\{\\}", "also called `(\\w+)`"})
    shown.merge(found(page, other));
  check_same("reference", shown, functions);
  check_same("values", stub_fields("kling.Module"), words_of(walk.out, "module.values"));
  CHECK(words_of(walk.out, "module.values") == words_of(walk.out, "client.values"));
  for (const std::string& name : functions)
    CHECK_MESSAGE(contains(source("scripts/.luacheckrc"), " " + name + " = {}"), name);
  for (const char* name : {"Job", "Clip", "Image", "Task"}) {
    const Names methods = words_of(walk.out, std::string("kling.") + name);
    check_same(name, stub_methods(name), methods);
    check_same(name, page_methods(name), methods);
  }
}

TEST_CASE("fields of values are documented under the names that the code answers to") {
  const auto keys = [](const char* file, const char* function) {
    return found(part(source(file), std::string("int ") + function + "(lua_State", "\n}\n"),
                 "strcmp\\(key, \"(\\w+)\"\\)");
  };
  const auto told = [](const char* file, const std::string& what) {
    return found(part(source(file), "api::Json to_json(" + what, "\n}\n"), "[{\\[]\"(\\w+)\"");
  };
  Names error = keys("bindings/lua/errors.cpp", "error_index");
  error.merge(found(part(source("bindings/engine/job.cpp"), "void tell(const Error&", "\n}\n"),
                    "member\\(\"(\\w+)\""));
  error.merge(found(source("bindings/engine/job.h"), "\\{\"(\\w+)\", "));
  Names job = keys("bindings/lua/job.cpp", "job_index");
  job.merge(
      found(part(source("bindings/engine/job.cpp"), "kJobFields[]", "\n};"), "\\{\"(\\w+)\",\\s"));
  const std::pair<const char*, Names> real[] = {
      {"Job", job},
      {"Clip", keys("bindings/lua/media.cpp", "clip_index")},
      {"Image", keys("bindings/lua/media.cpp", "image_index")},
      {"Task", keys("bindings/lua/tasks.cpp", "task_index")},
      {"Error", error},
      {"Query", told("bindings/engine/finding.cpp", "const QueryResult&")},
      {"Video", told("bindings/engine/finding.cpp", "const std::vector<api::Video>&")},
      {"Options",
       found(part(source("bindings/lua/verbs.cpp"), "kOptions[] = {", "};"), "\\{\"(\\w+)\", \"")},
      {"RequestOptions",
       found(part(source("bindings/lua/create.cpp"), "Status take_meta(", "\n}\n"),
             "(?:take|seconds)\\(\"(\\w+)\"")},
      {"Probe", found(part(source("bindings/engine/media_work.cpp"), "Engine::probe(", "\n}"),
                      "\\{\"(\\w+)\", ")},
  };
  for (const auto& [name, fields] : real) {
    CHECK(fields.size() >= 2);
    check_same(name, stub_fields(std::string("kling.") + name), fields);
    check_same(name, page_fields(name), fields);
  }
}

TEST_CASE("the functions that make videos know every field of the types and no other") {
  std::string script =
      "local kling = require 'kling'\n"
      "local function knows(name, field)\n"
      "  local ok, err = pcall(kling[name], { [field] = {}, no_such_field = 1 })\n"
      "  assert(not ok)\n"
      "  if err.message:find('no field ' .. field, 1, true) then print(name, field) end\n"
      "end\n";
  for (const std::string& name : found(source("docs/reference.md"), "\n## kling\\.(\\w+)\\{\\}")) {
    const Names fields = stub_fields("kling." + name);
    CHECK(fields.size() > 8);
    for (const std::string& field : fields) script += "knows('" + name + "', '" + field + "')\n";
    script += "knows('" + name + "', 'misspelt')\n";
    // The reference shows aliases beside their field.
    const std::string section =
        part(source("docs/reference.md"), "\n## kling." + name + "{}", "\n##");
    Names shown = found(section, "\n\\| `(\\w+)`");
    shown.merge(found(section, "\n\\| `\\w+` \\(or `(\\w+)`\\)"));
    for (const std::string& field : fields) CHECK_MESSAGE(shown.contains(field), name, ".", field);
  }
  Stage stage(script);
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.out ==
        "image2video\tmisspelt\nmulti_image2video\tmisspelt\nomni\tmisspelt\n"
        "text2video\tmisspelt\n");
}

TEST_CASE("types are Lua and mark what waits") {
  Stage stage("assert(loadfile(arg[1]))");
  const Outcome run = stage.run({"run", "film.lua", KLING_SOURCE_DIR "/scripts/types/kling.lua"});
  CAPTURE(run.err);
  CHECK(run.code == 0);
  const std::string text = stubs();
  CHECK(text.starts_with("---@meta kling\n"));
  const auto waits = [&](const std::string& call) {
    const std::size_t at = text.find("\nfunction " + call + "(");
    REQUIRE_MESSAGE(at != std::string::npos, call);
    return contains(text.substr(text.rfind("\n\n", at), at - text.rfind("\n\n", at)), "---@async");
  };
  for (const char* call : {"Job:wait", "Job:accepted", "Clip:save", "kling.all", "kling.sleep"})
    CHECK_MESSAGE(waits(call), call);
  for (const char* call : {"kling.log", "kling.spawn", "Clip:last_frame", "Task:cancel"})
    CHECK_MESSAGE(!waits(call), call);
  CHECK(contains(text, "---@field mode? \"std\"|\"pro\"|\"4k\" "));
  CHECK(contains(text, "kling-v2-6 is sent when none is given"));
}

TEST_CASE("types and init never overwrite what a person wrote") {
  const Stage stage("-- mine");
  fs::create_directory(stage.folder / "types");
  std::ofstream(stage.folder / "types/kling.lua") << "-- mine too";
  std::ofstream(stage.folder / ".luarc.json") << "{}";
  for (const char* command : {"types", "init"}) {
    const Outcome outcome = stage.run({command, "."});
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.err, "types/kling.lua exists and is left as it is"));
    CHECK(read(stage.folder / "film.lua") == "-- mine");
    CHECK(read(stage.folder / "types/kling.lua") == "-- mine too");
    CHECK(read(stage.folder / ".luarc.json") == "{}");
  }
  // Types of an older version are ours to renew.
  std::ofstream(stage.folder / "types/kling.lua") << "---@meta kling\n-- old";
  CHECK(contains(stage.run({"types", "."}).err, "wrote"));
  CHECK(read(stage.folder / "types/kling.lua") == stubs());
  // Nor does a link lead elsewhere.
  fs::remove(stage.folder / "types/kling.lua");
  std::ofstream(stage.folder / "far.lua") << "---@meta kling\n";
  fs::create_symlink("../far.lua", stage.folder / "types/kling.lua");
  CHECK(stage.run({"types", "."}).code == 0);
  CHECK(read(stage.folder / "far.lua") == "---@meta kling\n");
}
