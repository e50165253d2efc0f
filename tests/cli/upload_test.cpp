// configure{ upload = … }: what the service takes by address only goes where the script puts it.
#include <cstdlib>

#include "base/files.h"
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace {

/// How an MP4 begins.
const std::string kHeadOfMp4(
    "\0\0\0\x18"
    "ftypisom",
    12);
const std::string kPut = "print('put ' .. path) return 'https://example.org/' .. path";

std::string script(const std::string& body = kPut) {
  return "local kling = require 'kling'\n"
         "kling.configure { upload = function(path) kling.sleep(0.01)\n" +
         body +
         "\nend }\nlocal own = { { video_url = 'own.mp4' } }\n"
         "kling.all { kling.omni { prompt = 'make it rain', video_list = own },\n"
         "  kling.omni { prompt = 'and snow', video_list = own } }\n";
}

}  // namespace

TEST_CASE("a video of one's own is put elsewhere once, and counts by what is in it") {
  Stage stage(script());
  std::ofstream(stage.folder / "own.mp4") << kHeadOfMp4 + "the same bytes";
  const Outcome plan = stage.run({"plan", "film.lua"});
  CHECK(plan.code == 0);
  CHECK_FALSE(contains(plan.out + plan.err, "put "));
  Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(run.out == "put own.mp4\n");
  CHECK(stage.service->counters().accepted == 2);
  // Under another name it is still the same film, and nothing is put anywhere again.
  fs::rename(stage.folder / "own.mp4", stage.folder / "renamed.mp4");
  std::string renamed = script();
  renamed.replace(renamed.find("own.mp4"), 7, "renamed.mp4");
  std::ofstream(stage.folder / "film.lua") << renamed;
  run = stage.run();
  CHECK(run.code == 0);
  CHECK(run.out.empty());
  CHECK(stage.service->counters().creates == 2);
  std::ofstream(stage.folder / "renamed.mp4") << kHeadOfMp4 + "other bytes";
  CHECK(stage.run().out == "put renamed.mp4\n");
  CHECK(stage.service->counters().accepted == 4);
}

TEST_CASE("an upload that fails sends nothing and says why, and the next run goes on") {
  const struct {
    const char* body;
    const char* says;
  } rows[] = {
      {"error('the disk is full')", "the upload of own.mp4 failed: film.lua:3: the disk is full"},
      {"return 7", "the upload of own.mp4 failed: it returned a number, not a text"},
      {"return", "the upload of own.mp4 failed: it returned nothing"},
      {"return nil, 'the net is down'", "the upload of own.mp4 failed: the net is down"},
      {"return 'own.mp4'", "gave no http address, but \"own.mp4\""},
  };
  for (const auto& row : rows) {
    Stage stage(script(row.body));
    std::ofstream(stage.folder / "own.mp4") << kHeadOfMp4;
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(contains(run.err, row.says));
    CHECK(contains(run.err, "do: the function returns the https:// address of the file"));
    CHECK(stage.service->counters().creates == 0);
    std::ofstream(stage.folder / "film.lua") << script();
    CHECK(stage.run().code == 0);
    CHECK(stage.service->counters().accepted == 2);
  }
}

TEST_CASE("an address is taken as programs print it, with blanks around and within") {
  Stage stage(script("return ' https://example.org/own film.mp4\\n'"));
  std::ofstream(stage.folder / "own.mp4") << kHeadOfMp4;
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.code == 0);
  CHECK(stage.service->counters().accepted == 2);
}

TEST_CASE("what is no video is not put anywhere, and nothing is sent for it") {
  Stage stage(script());
  const struct {
    std::string bytes;
    const char* says;
  } rows[] = {
      {"local kling = require 'kling'", "own.mp4 is text; the service takes MP4 and MOV videos"},
      {"\x89PNG\r\n\x1a\n", "own.mp4 is PNG; the service takes MP4 and MOV videos"},
      {"\x1a\x45\xdf\xa3",
       "own.mp4 is Matroska or WebM; the service takes MP4 and MOV videos\n  do: convert it"},
  };
  for (const auto& row : rows) {
    std::ofstream(stage.folder / "own.mp4") << row.bytes;
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(run.out.empty());
    CHECK(contains(run.err, row.says));
  }
  CHECK(stage.service->counters().creates == 0);
}

TEST_CASE("a picture beyond the limit goes by its address where there is one to give") {
  Stage stage(R"lua(
local kling = require "kling"
if arg[1] then kling.configure { upload = function(path) print(path) return arg[1] end } end
kling.image2video { image = "large.png", prompt = "a wave" }:wait()
)lua");
  const std::string picture = stage.folder / "large.png";
  REQUIRE(std::system(
              ("ffmpeg -v error -f lavfi -i color=s=400x400 -frames:v 1 " + picture).c_str()) == 0);
  std::ofstream(picture, std::ios::app) << std::string(11u << 20, '\0');
  CHECK(contains(stage.run().err, "bytes; the limit is 10485760"));
  const Outcome run = stage.run({"run", "film.lua", "https://example.org/large.png"});
  CAPTURE(run.err);
  CHECK(contains(run.out, "large.png\n"));
  CHECK(stage.service->counters().creates == 1);
}

TEST_CASE("upload takes a function, and comes before the first job") {
  Stage stage("require 'kling'.configure { upload = 'rclone' }");
  CHECK(contains(stage.run().err, "film.lua:1: option upload takes a function"));
  std::ofstream(stage.folder / "film.lua")
      << "local kling = require 'kling'\nkling.text2video { prompt = 'x' }\n"
         "kling.configure { upload = print, strict = true }";
  CHECK(contains(stage.run().err, "film.lua:3: kling.configure comes before the first job"));
}
