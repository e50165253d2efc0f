// What people paste and what their editors save: trimmed, or named.
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

const char* const kSimple = "require 'kling'.text2video { prompt = 'x' }:wait()";

}  // namespace

TEST_CASE("a key is what is left when everything that was pasted with it is gone") {
  sim::Options options;
  options.key = "sk-right";
  for (const char* pasted :
       {" sk-right", "sk-right\n", "\"sk-right\"", "'sk-right' ", "Bearer sk-right",
        "Authorization: Bearer sk-right", "KLING_API_KEY=sk-right",
        "export KLING_API_KEY='sk-right';", "\u201csk-right\u201d", "\u00a0sk-right\u200b",
        "\ufeffsk-right", "sk-right,", "<sk-right>", "Bearer <sk-right>", "`sk-right`"}) {
    Stage stage(kSimple, options);
    stage.environment[0] = std::string("KLING_API_KEY=") + pasted;
    const Outcome run = stage.run();
    CAPTURE(pasted);
    CAPTURE(run.err);
    CHECK(run.code == 0);
    std::ofstream(stage.folder / "film.lua")
        << "local kling = require 'kling'\nkling.configure { key = [[" << pasted << "]] }\n"
        << "kling.text2video { prompt = 'y' }:wait()";
    stage.environment[0] = "KLING_API_KEY=wrong";
    CHECK(stage.run().code == 0);
  }
  for (const auto& [pasted, says] : {std::pair{"sk-ri ght", "has a blank"},
                                     {"sk-ri|ght", "has the character |"},
                                     {"sk-ri\"ght", "has the character \""},
                                     {"sk-ri\tght", "has a blank"},
                                     {"sk-ri\u2026", "has a blank"},
                                     {"<sk-ri\u2026>", "has a blank"},
                                     {"sk-ri ght # mine", "has a blank"},
                                     {"null", "is a word in place of one"},
                                     {"undefined", "is a word in place of one"},
                                     {"None", "is a word in place of one"},
                                     {"sk-...", "is cut short by dots"},
                                     {"sk-abcd...wxyz", "is cut short by dots"},
                                     {"<your-api-key>", "is a word in place of one"},
                                     {"your-key-here", "is a word in place of one"}}) {
    Stage stage(kSimple, options);
    stage.environment[0] = std::string("KLING_API_KEY=") + pasted;
    Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, std::string("the key in KLING_API_KEY ") + says));
    CHECK(contains(run.err, "do: "));
    CHECK_FALSE(contains(run.err, "sk-ri"));
    std::ofstream(stage.folder / "film.lua")
        << "require('kling').configure { key = [[" << pasted << "]] }\n"
        << "require('kling').text2video { prompt = 'y' }:wait()";
    stage.environment[0] = "KLING_API_KEY=sk-right";
    run = stage.run();
    CHECK(run.code == 1);
    CHECK(contains(run.err, std::string("the key in the settings ") + says));
    CHECK_FALSE(contains(run.err, "sk-ri"));
  }
  for (const char* none : {"Bearer", "Bearer ", "Authorization: Bearer"}) {
    Stage stage(kSimple, options);
    stage.environment[0] = std::string("KLING_API_KEY=") + none;
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, "KLING_API_KEY"));
    CHECK(contains(run.err, "do: "));
  }
}

TEST_CASE("a blank key hides no other") {
  sim::Options options;
  options.key = "sk-right";
  for (const char* blank : {"", " ", "\"\"", "\n", "Bearer "}) {
    Stage stage(kSimple, options);
    stage.environment[0] = std::string("KLING_API_KEY=") + blank;
    stage.environment.emplace_back("COMETAPI_KEY=sk-right");
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 0);
  }
}

TEST_CASE("a pasted address counts as far as its service") {
  for (const char* more : {"/", " ", "/v1", "/v1/", "/kling", "/kling/v1", "/kling/v1/videos",
                           "/kling/v1/videos/text2video", "\"", "\n", ">"}) {
    Stage stage(kSimple);
    stage.environment[1] += more;
    const Outcome run = stage.run();
    CAPTURE(more);
    CAPTURE(run.err);
    CHECK(run.code == 0);
  }
}

TEST_CASE("an address that is none is named with what to write") {
  for (const auto& [address, says] :
       {std::pair{"http//api.cometapi.com", "must start with https://"},
        {"api.cometapi.com", "must start with https://"},
        {"ftp://api.cometapi.com", "must start with https://"},
        {"https://api.cometapi.com?a=1", "must end with its path"},
        {"https://api.cometapi.com/v1#x", "must end with its path"},
        {"https://api.cometapi.com/../x", "the part \"..\""},
        {"https://api.cometapi.com/x/%2e%2e", "the part \"..\""},
        {"https://api.cometapi.com/a//b", "the part \"\""},
        {"https://api cometapi com", "contains a space"},
        {"https://", "no valid host name"}}) {
    Stage stage(kSimple);
    stage.environment[1] = std::string("KLING_BASE_URL=") + address;
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code != 0);
    CHECK(contains(run.err, says));
    CHECK(contains(run.err, std::string(address).substr(0, 12)));
    CHECK(contains(run.err, "do: "));
  }
}

TEST_CASE("a byte order mark is skipped and UTF-16 is named") {
  const std::string mark = "\xEF\xBB\xBF";
  const Stage stage(mark + "#!/usr/bin/kling run\nprint(require 'part', require 'kling' ~= nil)");
  std::ofstream(stage.folder / "part.lua") << mark << "return 'part'";
  std::ofstream(stage.folder / "stdin") << mark << "print('typed')\n";
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"run", "film.lua"}, {"run", "--profile", "safe", "--root", ".", "film.lua"}}) {
    const Outcome run = stage.run(words);
    CAPTURE(run.err);
    CHECK(run.code == 0);
    CHECK(contains(run.out, "part\t"));
  }
  CHECK(contains(stage.run({"run", "-"}).out, "typed"));
  CHECK(contains(stage.run({"repl"}).out, "typed"));
  for (const std::string& text : {std::string("\xFF\xFEp\0r\0", 6), std::string("\xFE\xFF\0p", 4),
                                  std::string("p\0r\0i\0n\0t\0", 10), std::string("\0p\0r", 4)}) {
    std::ofstream(stage.folder / "film.lua") << text;
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, "film.lua is text in UTF-16"));
    std::ofstream(stage.folder / "wide.lua") << text;
    for (const char* script : {"require 'wide'", "dofile 'wide.lua'", "assert(loadfile 'wide.lua')",
                               "assert(loadfile('wide.lua', 't', {}))"})
      for (const auto& words : std::vector<std::vector<std::string>>{
               {"run", "film.lua"}, {"run", "--profile", "safe", "--root", ".", "film.lua"}}) {
        if (words.size() > 2 && *script != 'r') continue;  // a safe script has no other
        std::ofstream(stage.folder / "film.lua") << script;
        const Outcome required = stage.run(words);
        CAPTURE(script);
        CAPTURE(required.err);
        CHECK(required.code == 1);
        CHECK(contains(required.err, "wide.lua is text in UTF-16"));
        CHECK(contains(required.err, "do: save it as UTF-8"));
      }
  }
}

TEST_CASE("a config file may begin with a byte order mark and quote its values") {
  sim::Options options;
  options.key = "sk-right";
  Stage stage(kSimple, options);
  std::filesystem::create_directories(stage.folder / "kling");
  const std::string path = stage.folder / "kling/config";
  std::ofstream(path) << "\xEF\xBB\xBFkey = 'Bearer sk-right'\r\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_read);
  stage.environment[0] = "XDG_CONFIG_HOME=" + stage.folder.path();
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
}

TEST_CASE("a line of the config file that means nothing is named with its place") {
  Stage stage(kSimple);
  std::filesystem::create_directories(stage.folder / "kling");
  const std::string path = stage.folder / "kling/config";
  stage.environment[0] = "XDG_CONFIG_HOME=" + stage.folder.path();
  for (const auto& [line, says] :
       {std::pair{"kye = sk-right", "there is no setting \"kye\"; did you mean key?"},
        {"baseurl = https://x", "there is no setting \"baseurl\"; did you mean base_url?"},
        {"[kling]", "there is no setting \"[kling]\""},
        {"ask = maybe", "ask is \"maybe\""},
        {"key sk-right", "there is no setting \"key [key]\""}}) {
    std::ofstream(path) << "# mine\n\n  # more\nask = true\n" << line << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    std::filesystem::permissions(
        path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, path + ":5: " + says));
    CHECK(contains(run.err, std::string(line).starts_with("ask") ? "do: write ask = yes or ask = no"
                                                                 : "do: a line is NAME = VALUE"));
    CHECK_FALSE(contains(run.err, "sk-right"));
  }
}

TEST_CASE("sizes and counts take K, M and G") {
  const Stage stage("local t = {} for i = 1, 1e5 do t[i] = { i } end print('fits')");
  const auto run = [&](const char* option, const char* value) {
    return stage.run({"run", "--profile", "safe", option, value, "film.lua"});
  };
  for (const char* enough :
       {"64M", "64m", "64MB", "64MiB", "64Mi", "1G", "65536K", "67108864", "1.5G", "0.1 g"}) {
    const Outcome ran = run("--memory", enough);
    CAPTURE(ran.err);
    CHECK(ran.code == 0);
  }
  CHECK(run("--memory", "1M").code == 1);
  for (const char* few : {"1K", "64K", "0.5M", "5T"}) {
    const Outcome ran = run("--memory", few);
    CAPTURE(ran.err);
    CHECK(ran.code == 2);
    CHECK(contains(ran.err, "takes a number from 1048576 to 1099511627776, not "));
  }
  for (const char* none : {"64 parrots", "M", "1.5X", "nan", "1.5KK"})
    CHECK(contains(run("--memory", none).err, std::string(none) + " is no"));
  CHECK(run("--memory", "64 parrots").code == 2);
  CHECK(run("--instructions", "50M").code == 0);
  CHECK(run("--instructions", "50k").code == 1);
}
