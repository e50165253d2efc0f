// Films and saved clips as the program makes them: nothing is made twice, what is cut is paid once,
// and each clip tells what made it.
#include <filesystem>

#include "base/files.h"
#include "base/process.h"
#include "cli/program.h"

using namespace kling;
using namespace kling::test;

namespace fs = std::filesystem;

namespace {

bool tells(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string tool(std::vector<std::string> words) {
  const auto result = run_process(words);
  REQUIRE(result.ok());
  INFO(result->messages);
  REQUIRE(result->exit_code == 0);
  return result->output;
}

std::string comment_of_file(const std::string& path) {
  return tool({"ffprobe", "-loglevel", "error", "-show_entries", "format_tags=comment", "-of",
               "default=nw=1:nk=1", path});
}

std::string stream_of(const std::string& path, const char* stream) {
  return tool({"ffmpeg", "-loglevel", "error", "-i", path, "-map", stream, "-c", "copy", "-f",
               "md5", "-"});
}

int frames_of(const std::string& path) {
  return std::atoi(tool({"ffprobe", "-loglevel", "error", "-count_frames", "-select_streams", "v",
                         "-show_entries", "stream=nb_read_frames", "-of", "default=nw=1:nk=1",
                         path})
                       .c_str());
}

void write_script(const Stage& stage, const std::string& text) {
  std::ofstream(stage.folder / "film.lua") << text;
}

const std::string kTwoShotFilm = R"(
local kling = require "kling"
local one = kling.text2video { prompt = "A kite" }:wait()
local two = kling.image2video { prompt = "It lands", image = one:last_frame() }:wait()
)";

}  // namespace

TEST_CASE("a film whose parts and options and file are what they were is not made again") {
  Stage stage(kTwoShotFilm + "kling.concat({ one, two }, 'film.mp4')");
  const std::string film = stage.folder / "film.mp4";
  const auto run = [&](const char* says) {
    const Outcome outcome = stage.run();
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    CHECK(tells(outcome.err, says));
    return read_file(film, 1 << 28).value();
  };
  const auto with = [&](const std::string& options) {
    write_script(stage, kTwoShotFilm + "kling.concat({ one, two }, 'film.mp4', { " + options + " })");
  };
  const std::string made = run("film.mp4: ");
  const auto written = fs::last_write_time(film);
  CHECK(run("film.mp4 is up to date") == made);
  CHECK(fs::last_write_time(film) == written);

  // Other sound: the same picture.
  const std::string picture = stream_of(film, "0:v");
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=3", stage.folder / "a.wav"});
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=f=99:d=3", stage.folder / "b.wav"});
  with("audio = 'a.wav'");
  run("film.mp4: ");
  CHECK(stream_of(film, "0:v") == picture);
  const std::string sound = stream_of(film, "0:a");
  fs::rename(stage.folder / "b.wav", stage.folder / "a.wav");
  run("film.mp4: ");
  CHECK(stream_of(film, "0:v") == picture);
  CHECK(stream_of(film, "0:a") != sound);
  run("film.mp4 is up to date");
  with("audio = { path = 'a.wav', volume = 0.5 }");
  run("film.mp4: ");
  CHECK(stream_of(film, "0:v") == picture);

  // Another picture: a film of its own.
  with("crossfade = 0.25");
  run("film.mp4: ");
  CHECK(stream_of(film, "0:v") != picture);
  run("film.mp4 is up to date");

  // What somebody else wrote there, or nothing: it is made again.
  const std::string whole = read_file(film, 1 << 28).value();
  std::ofstream(film, std::ios::binary) << whole.substr(0, whole.size() - 1) << "x";
  CHECK(run("film.mp4: ").size() == whole.size());
  run("film.mp4 is up to date");
  fs::remove(film);
  run("film.mp4: ");
  CHECK(stage.service->counters().accepted == 2);
}

TEST_CASE("a trimmed or mute clip is made when it is needed, and pictures of it are paid once") {
  const std::string script = R"(
local kling = require "kling"
local one = kling.text2video { prompt = "A kite" }:wait()
local part = one:trim(1, 2.5)
print(part, part:mute(), one:trim(2))
print(part.duration, part.path:match("cut%-"), part.job.kind, part.url)
local two = kling.image2video { prompt = "It lands", image = part:last_frame() }:wait()
kling.image2video { prompt = "It turns", image = part:trim(0.5, 1):frame(0.25) }:wait()
part:last_frame():save("last.png")
one:frame(59 / 24):save("same.png")
kling.concat({ part:mute(), two }, "film.mp4")
part:save("out/")
print(select(2, pcall(part.trim, part, 1, 2)))
print(select(2, pcall(part.trim, part, 1, 0.5)))
print(select(2, pcall(part.trim, part, -1)))
print(select(2, pcall(kling.omni, { prompt = "x", video_list = { part } })))
)";
  Stage stage(script);
  const Outcome run = stage.run();
  INFO(run.err);
  CHECK(run.code == 0);
  INFO(run.out);
  CHECK(tells(run.out, ", 1 to 2.5 s"));
  CHECK(tells(run.out, ", muted"));
  CHECK(tells(run.out, ", from 2 s on"));
  CHECK(tells(run.out, "1.5\tcut-\ttext2video\tnil"));
  CHECK(tells(run.out, "trim: to is 2.0; the clip was trimmed to 1.5 s before"));
  CHECK(tells(run.out, "trim: to is 0.5; it is seconds from the start, more than from (1.0)"));
  CHECK(tells(run.out, "trim: from is -1.0; it is seconds from the start, 0 or more"));
  CHECK(tells(run.out, "the service takes videos by URL only"));
  const auto in_out = fs::directory_iterator(stage.folder / "out")->path().string();
  CHECK(frames_of(in_out) == 36);
  CHECK(read_file(stage.folder / "last.png", 1 << 28).value() ==
        read_file(stage.folder / "same.png", 1 << 28).value());
  // The second begins with the last frame of the part, which is shown once.
  CHECK(frames_of(stage.folder / "film.mp4") == 36 + 121 - 1);
  const int paid = stage.service->counters().accepted;
  CHECK(paid == 3);
  // Whatever ffmpeg makes of it.
  for (const auto& entry : fs::directory_iterator(stage.folder / ".kling/clips"))
    if (entry.path().extension() == ".png" || tells(entry.path().filename(), "cut-"))
      fs::remove(entry.path());
  CHECK(stage.run().code == 0);
  CHECK(stage.service->counters().accepted == paid);
}

TEST_CASE("a saved clip tells prompt and model and handle, and no secret") {
  const std::string script = R"(
local kling = require "kling"
local prompt = 'A kite "é" of sk-test, https://h/x.png?X-Signature=abc&k=1 in the wind'
local clip = kling.text2video { prompt = prompt, name = "kite" }:wait()
for _ = 1, 2 do print(clip:save("out/")) end
print(clip.path, clip.job.handle)
)";
  Stage stage(script);
  SUBCASE("with ffmpeg") {}
  SUBCASE("without it") { stage.environment.push_back("PATH=/nonexistent"); }
  Outcome run = stage.run();
  INFO(run.err);
  REQUIRE(run.code == 0);
  const std::string saved = stage.folder / "out/kite.mp4";
  std::istringstream words(run.out);
  std::string first, second, stored, handle;
  words >> first >> second >> stored >> handle;
  CHECK(first == second);
  const std::string comment = comment_of_file(saved);
  CHECK(tells(comment, "A kite \"é\" of , https://h/x.png in the wind"));
  CHECK(tells(comment, "kling-v2-6"));
  CHECK(tells(comment, handle));
  for (const char* stream : {"0:v", "0:a?"})
    CHECK(stream_of(saved, stream) == stream_of(stored, stream));
  CHECK(frames_of(saved) == 121);
  CHECK(comment_of_file(stored) == "");
  CHECK(stage.run().code == 0);
  CHECK(!fs::exists(stage.folder / "out/kite-2.mp4"));
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("a picture of a clip that an earlier version saved is not paid again") {
  Stage stage(R"(
local kling = require "kling"
local clip = kling.text2video { prompt = "A kite" }:wait()
if arg[1] then clip:save("kite.mp4") end
kling.image2video { prompt = "It lands", image = kling.still("kite.mp4", { at = 1 }) }:wait()
)");
  std::ofstream(stage.folder / "kite.mp4") << "";
  CHECK(stage.run().code != 0);
  const fs::path stored = fs::directory_iterator(stage.folder / ".kling/clips")->path();
  fs::copy_file(stored, stage.folder / "kite.mp4", fs::copy_options::overwrite_existing);
  CHECK(stage.run().code == 0);
  CHECK(stage.run({"run", "film.lua", "saved"}).code == 0);
  CHECK(tells(comment_of_file(stage.folder / "kite.mp4"), "A kite"));
  CHECK(stage.service->counters().accepted == 2);
}

TEST_CASE("what is wrong with a film is said with the script's line before anything is joined") {
  const struct {
    const char* call;
    const char* message;
  } rows[] = {
      {"kling.concat({ job }, 'x.mp4', { crossfade = -1 })",
       "film.lua:3: concat: crossfade is -1; it wants a number from 0 to 60"},
      {"kling.concat({ job }, 'x.mp4', { croosfade = 1 })",
       "film.lua:3: concat: unknown option croosfade, did you mean crossfade?"},
      {"kling.concat({ job }, 'x.mp4', { audio = job })", "film.lua:3:"},
      {"kling.concat({ job, job }, 'x.mp4', { crossfade = 9 })", "too short for crossfade = 9"},
      {"kling.concat({ job }, 'x.mp4', { fade = 4 })", "shorter than what fades"},
      {"kling.concat({ job }, 'x.mp4', { audio = 'none.wav' })", "no such file: none.wav"},
      {"kling.concat({ job:wait():trim(1, 9) }, 'x.mp4')", "is to be cut at 9"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.call);
    Stage stage("local kling = require 'kling'\nlocal job = kling.text2video { prompt = 'A' }\n" +
                std::string(row.call));
    const Outcome run = stage.run();
    INFO(run.err);
    CHECK(run.code == 1);
    CHECK(tells(run.err, row.message));
    CHECK(tells(run.err, "film.lua:3:"));
    CHECK(!fs::exists(stage.folder / "x.mp4"));
  }
}
