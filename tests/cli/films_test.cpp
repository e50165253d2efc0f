// Films and saved clips as the program makes them: nothing is made twice, what is cut is paid once,
// and each clip tells what made it.
#include <filesystem>
#include <functional>
#include <map>

#include <nlohmann/json.hpp>

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
  return tool(
      {"ffmpeg", "-loglevel", "error", "-i", path, "-map", stream, "-c", "copy", "-f", "md5", "-"});
}

int frames_of(const std::string& path) {
  return std::atoi(
      tool({"ffprobe", "-loglevel", "error", "-count_frames", "-select_streams", "v",
            "-show_entries", "stream=nb_read_frames", "-of", "default=nw=1:nk=1", path})
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
    write_script(stage,
                 kTwoShotFilm + "kling.concat({ one, two }, 'film.mp4', { " + options + " })");
  };
  const std::string made = run("film.mp4: ");
  const auto written = fs::last_write_time(film);
  CHECK(run("film.mp4 is up to date") == made);
  CHECK(fs::last_write_time(film) == written);

  // Other sound: the same picture.
  const std::string picture = stream_of(film, "0:v");
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=3", stage.folder / "a.wav"});
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=f=99:d=3",
        stage.folder / "b.wav"});
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

TEST_CASE("a rehearsal or a draft writes beside a film, clip or picture that may be paid for") {
  const Stage stage(kTwoShotFilm + R"(
print(one:save("one.mp4"), one:last_frame():save("one.png"), one:last_frame():save("one.jpg"))
print(kling.concat({ one, two }, "film.mp4").path, kling.timeline({ one, two }, "film.otio")))");
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), "run");
    words.emplace_back("film.lua");
    const Outcome outcome = stage.run(words);
    INFO(outcome.err);
    CHECK(outcome.code == 0);
    return outcome;
  };
  const std::vector<std::string> rehearsal = {"--sim", "--speed", "100000"};
  const std::string plain = "one.mp4\tone.png\tone.jpg\nfilm.mp4\tfilm.otio\n";
  const std::vector<std::string> names = {"one.mp4", "one.png", "one.jpg", "film.mp4", "film.otio"};
  for (int again = 0; again < 2; ++again) CHECK(run(rehearsal).out == plain);
  const Outcome for_money = run({});  // takes the rehearsal's place
  CHECK(for_money.out == plain);
  CHECK_FALSE(tells(for_money.err, "what was there is now"));
  std::map<std::string, std::string> paid;
  for (const std::string& name : names) {
    std::ofstream(stage.folder / name, std::ios::app) << "\n";  // the same simulator made both
    paid[name] = read_file(stage.folder / name, 1 << 28).value();
  }
  for (int again = 0; again < 2; ++again) {
    const Outcome beside = run(rehearsal);
    CHECK(beside.out == "one-sim.mp4\tone-sim.png\tone-sim.jpg\nfilm-sim.mp4\tfilm-sim.otio\n");
    CHECK(tells(beside.err,
                "film.mp4 may be paid for, and stays as it is; this rehearsal writes "
                "film-sim.mp4"));
    CHECK(run({"--draft"}).out ==
          "one-draft.mp4\tone-draft.png\tone-draft.jpg\nfilm-draft.mp4\tfilm-draft.otio\n");
  }
  for (const std::string& name : names)
    CHECK_MESSAGE(read_file(stage.folder / name, 1 << 28).value() == paid[name], name);
  for (const std::string& name : names) fs::remove(stage.folder / name);
  for (int again = 0; again < 2; ++again) CHECK(run({"--draft"}).out == plain);
}

TEST_CASE("a film, picture or timeline of one's own is kept where one of kling takes its name") {
  const Stage stage(R"(
local kling = require "kling"
local one = kling.text2video { prompt = "A kite" }:wait()
local film = function(name) kling.concat({ one, "own.mp4" }, name, { fade = { from = 0.1 * #arg } }) end
one:save(#arg == 0 and "graded.mp4" or "none.mp4")
for _, name in ipairs { "own-film.mp4", "mkv.mp4", "cut.mp4", "film.mp4" } do film(name) end
for _, name in ipairs { "own-clip.mp4", "text.mp4" } do one:save(name) end
one:last_frame():save("own.png")
one:last_frame():save("own.jpg")
kling.sheet { one }:save("sheet.png")
kling.timeline({ one }, "own.otio"))");
  const auto path = [&](const std::string& name) { return std::string(stage.folder / name); };
  const auto content = [&](const std::string& name) {
    return read_file(path(name), 1 << 28).value();
  };
  const auto make = [&](const std::string& from, const char* name, const char* format) {
    tool({"ffmpeg", "-loglevel", "error", "-y", "-f", "lavfi", "-i", from, "-f", format,
          path(name)});
  };
  for (const char* name : {"own.mp4", "own-film.mp4", "own-clip.mp4"})
    make("testsrc=s=320x240:r=24:d=1", name, "mp4");
  make("testsrc=s=320x240:r=24:d=1", "mkv.mp4", "matroska");
  for (const char* name : {"own.png", "own.jpg", "sheet.png"})
    tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=320x240", "-frames:v",
          "1", path(name)});
  std::ofstream(path("cut.mp4")) << content("own.mp4").substr(0, 3000);
  for (const char* name : {"text.mp4", "own.otio"}) std::ofstream(path(name)) << "mine";
  const std::vector<std::string> own = {"own-film.mp4", "mkv.mp4",   "cut.mp4",
                                        "own-clip.mp4", "text.mp4",  "own.png",
                                        "own.jpg",      "sheet.png", "own.otio"};
  std::map<std::string, std::string> kept;
  for (const std::string& name : own) kept[name] = content(name);
  const auto run = [&](std::vector<std::string> words) {
    words.insert(words.begin(), {"run", "film.lua"});
    const Outcome outcome = stage.run(words);
    CAPTURE(outcome.err);
    CHECK(outcome.code == 0);
    return outcome.err;
  };
  const std::string first = run({});
  for (const std::string& name : own) {
    CHECK_MESSAGE(tells(first, name + " is not what kling wrote there: what was there is now " +
                                   name + ".~1~"),
                  name);
    CHECK_MESSAGE(content(name + ".~1~") == kept[name], name);
  }
  // What kling wrote itself is replaced without a word, again and again.
  const std::string film = content("film.mp4");
  for (const char* more : {"x", "", "x"}) {
    CHECK_FALSE(
        tells(run(*more != '\0' ? std::vector<std::string>{"x"} : std::vector<std::string>{}),
              "is not what kling wrote"));
    CHECK((content("film.mp4") == film) == (*more == '\0'));
  }
  // A grading of it carries kling's comment.
  for (const char* name : {"graded.mp4", "film.mp4"}) {
    tool({"ffmpeg", "-loglevel", "error", "-i", path(name), "-vf", "hflip", path("new.mp4")});
    fs::rename(path("new.mp4"), path(name));
    kept[name] = content(name);
  }
  CHECK(tells(run({}), "graded.mp4 is not what kling wrote there"));
  // A script that grades its film each time: the same is kept once.
  std::ofstream(path("graded.mp4")) << kept["graded.mp4"];
  CHECK_FALSE(tells(run({}), "is not what kling wrote there"));
  CHECK_FALSE(fs::exists(path("graded.mp4.~2~")));
  // A film that fails takes no name.
  std::ofstream(path("long.mp4")) << "mine";
  std::ofstream(path("long.lua"))
      << "local kling = require 'kling'\n"
         "kling.concat({'own.mp4', 'own.mp4'}, 'long.mp4', { crossfade = 9 })";
  CHECK(stage.run({"run", "long.lua"}).code == 1);
  CHECK_FALSE(fs::exists(path("long.mp4.~1~")));
  for (const char* name : {"graded.mp4", "film.mp4"})
    CHECK_MESSAGE(content(std::string(name) + ".~1~") == kept[name], name);
  for (const std::string& name : own) CHECK_FALSE(fs::exists(path(name + ".~2~")));
}

TEST_CASE("a file of one's own stays where it is when no picture can be made for its name") {
  const Stage stage("require('kling').bytes('abc'):save('own.png')");
  std::ofstream(stage.folder / "own.png") << "mine";
  const Outcome run = stage.run();
  CAPTURE(run.err);
  CHECK(run.err.starts_with("kling: film.lua:1: kling.bytes is text, no video, picture or sound"));
  CHECK(read_file(stage.folder / "own.png", 100).value() == "mine");
  CHECK_FALSE(fs::exists(stage.folder / "own.png.~1~"));
}

TEST_CASE("a film does not take the place of a part, nor a clip that of the ledger") {
  const struct {
    const char* script;
    const char* says;
  } rows[] = {
      {"kling.concat({ one, 'own.mp4' }, 'own.mp4')", "concat has the film's own path as a part"},
      {"one:save('.kling/ledger.db')", ".kling/ledger.db: a clip is an MP4"},
      {"one:save(kling.text2video('A crow'):wait().path)", "is a clip of the store"},
  };
  for (const auto& row : rows) {
    const Stage stage(std::string("local kling = require 'kling'\n"
                                  "local one = kling.text2video('A kite'):wait()\n") +
                      row.script);
    const Outcome run = stage.run();
    CAPTURE(run.err);
    CHECK(run.code == 1);
    CHECK(tells(run.err, row.says));
    CHECK(stage.run({"jobs"}).code == 0);
  }
}

TEST_CASE("a run for money takes the place of a rehearsal's clip in a folder, too") {
  const Stage stage(R"(
local kling = require "kling"
print(kling.text2video { prompt = "A kite", name = "kite" }:wait():save("out/")))");
  const Outcome rehearsal = stage.run({"run", "--sim", "--speed", "100000", "film.lua"});
  CHECK(rehearsal.out == "out/kite.mp4\n");
  CHECK(contains(rehearsal.err, "rehearsal: nothing was paid; for real about $0.21\n"));
  for (int again = 0; again < 2; ++again) CHECK(stage.run().out == "out/kite.mp4\n");
}

TEST_CASE("a still stands in a film of few frames a second, and a plan goes on behind it") {
  const Stage stage(R"(
local kling = require "kling"
local one = kling.text2video { prompt = "A kite" }:wait()
for i, fps in ipairs { 5, 12 } do
  kling.concat({ one, one:last_frame() }, i .. ".mp4", { fps = fps })
  kling.concat({ one, one:last_frame() }, i .. "x.mp4", { fps = fps, crossfade = 0.2 })
end
os.execute("cp '" .. one.path .. "' copy.mp4 2>&-")
kling.concat({ one.path, one.path }, "both.mp4")
kling.text2video { prompt = "A crow" }:wait())");
  const Outcome plan = stage.run({"plan", "film.lua"});
  CHECK_MESSAGE(plan.code == 0, plan.err);
  CHECK_MESSAGE(tells(plan.out, "2 to submit"), plan.out);
  CHECK_FALSE(fs::exists(stage.folder / "copy.mp4"));  // of a drawing
  const Outcome run = stage.run();
  CHECK_MESSAGE(run.code == 0, run.err);
  CHECK(fs::exists(stage.folder / "copy.mp4"));
}

TEST_CASE("a draft keeps what a run for money wrote at its film's name") {
  const Stage stage(R"(
local kling = require "kling"
kling.concat({ kling.text2video { prompt = "A kite" }:wait() }, "film.mp4")
if arg[1] then kling.concat({ kling.text2video { prompt = "A crow" }:wait() }, "film-draft.mp4") end)");
  CHECK(stage.run({"run", "film.lua", "x"}).code == 0);
  const std::string paid = read_file(stage.folder / "film-draft.mp4", 1 << 28).value();
  const Outcome draft = stage.run({"run", "--draft", "film.lua"});
  CHECK_MESSAGE(tells(draft.err, "film-draft.mp4.~1~"), draft.err);
  CHECK(read_file(stage.folder / "film-draft.mp4.~1~", 1 << 28).value() == paid);
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
one:trim(1, 5.2):save("whole.mp4")  -- told as 5 s, and in truth one frame more
one:frame(5.2):save("end.png")
one:last_frame():save("end2.png")
)";
  Stage stage(script);
  const Outcome run = stage.run();
  INFO(run.err);
  CHECK(run.code == 0);
  CHECK(frames_of(stage.folder / "whole.mp4") == 97);
  CHECK(read_file(stage.folder / "end.png", 1 << 28).value() ==
        read_file(stage.folder / "end2.png", 1 << 28).value());
  INFO(run.out);
  CHECK(tells(run.out, ", 1 to 2.5 s"));
  CHECK(tells(run.out, ", muted"));
  CHECK(tells(run.out, ", from 2 s on"));
  CHECK(tells(run.out, "1.5\tcut-\ttext2video\tnil"));
  CHECK(tells(run.out,
              "trim: 1 to 2 is no part of this clip, which is 1.5 s long; write clip:trim(1, 4)"));
  CHECK(tells(run.out, "trim: 1 to 0.5 is no part of this clip"));
  CHECK(tells(run.out, "trim: -1 to its end is no part of this clip"));
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

TEST_CASE("a clip that was saved already is left alone, and mended where it was changed") {
  Stage stage(R"(
local kling = require "kling"
kling.text2video({ prompt = "A kite" }):wait():save("kite.mp4")
)");
  const std::string saved = stage.folder / "kite.mp4";
  REQUIRE(stage.run().code == 0);
  const std::string before = file_stamp(saved);
  const std::string content = *hash_file(saved);
  CHECK(stage.run().code == 0);
  CHECK(file_stamp(saved) == before);
  std::fstream(saved, std::ios::in | std::ios::out | std::ios::binary).seekp(2000) << "other";
  CHECK(*hash_file(saved) != content);
  CHECK(stage.run().code == 0);
  CHECK(*hash_file(saved) == content);
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("a stored clip that was damaged is fetched again, and harms no saved one") {
  Stage stage(R"(
local kling = require "kling"
local clip = kling.text2video({ prompt = "A kite" }):wait()
clip:save("kite.mp4")
clip:save("again.mp4")
)");
  REQUIRE(stage.run().code == 0);
  const std::string saved = stage.folder / "kite.mp4", again = stage.folder / "again.mp4";
  const std::string content = *hash_file(saved);
  const fs::path stored = fs::directory_iterator(stage.folder / ".kling/clips")->path();
  const std::string clip = *hash_file(stored.string());
  SUBCASE("cut off") { fs::resize_file(stored, 700); }
  SUBCASE("empty") { fs::resize_file(stored, 0); }
  SUBCASE("another clip") { fs::copy_file(saved, stored, fs::copy_options::overwrite_existing); }
  fs::remove(again);
  const Outcome run = stage.run();
  CHECK(run.code == 0);
  CHECK(tells(run.err, "is not what was downloaded; it is fetched again"));
  CHECK(*hash_file(stored.string()) == clip);
  CHECK(*hash_file(saved) == content);
  CHECK(*hash_file(again) == content);
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
       "film.lua:3: concat: crossfade is -1\n  do: it wants a number from 0 to 60"},
      {"kling.concat({ job }, 'x.mp4', { croosfade = 1 })",
       "film.lua:3: concat: unknown option croosfade, did you mean crossfade?"},
      {"kling.concat({ job }, 'x.mp4', { audio = job })", "film.lua:3:"},
      {"kling.concat({ job, job }, 'x.mp4', { crossfade = 9 })",
       "A is shown for 5.042 s, too short for crossfade = 9"},
      {"kling.concat({ job }, 'x.mp4', { fade = 4 })", "shorter than fade = { 4, 4 }"},
      {"kling.concat({ job }, 'x.mp4', { audio = 'none.wav' })", "no such file: none.wav"},
      {"kling.concat({ job:wait():trim(1, 9) }, 'x.mp4')", "trim: 1 to 9 is no part of this clip"},
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

namespace {

using TimelineJson = nlohmann::json;

/// What the published schema of OpenTimelineIO says of the objects in a timeline: each field that
/// its readers know, and of what kind it is. "a|b": one of these; "[a]": a list of them; "?": or
/// null; "{a}": an object whose values are such.
const std::map<std::string, std::map<std::string, std::string>> kTimelineSchema = {
    {"Timeline.1",
     {{"name", "string"},
      {"metadata", "object"},
      {"global_start_time", "?RationalTime.1"},
      {"tracks", "Stack.1"}}},
    {"Stack.1", {{"children", "[Track.1]"}}},
    {"Track.1", {{"children", "[Clip.2|Gap.1|Transition.1]"}, {"kind", "string"}}},
    {"Clip.2",
     {{"media_references", "{ExternalReference.1}"}, {"active_media_reference_key", "string"}}},
    {"Gap.1", {}},
    {"Transition.1",
     {{"name", "string"},
      {"metadata", "object"},
      {"transition_type", "string"},
      {"in_offset", "RationalTime.1"},
      {"out_offset", "RationalTime.1"}}},
    {"ExternalReference.1",
     {{"name", "string"},
      {"metadata", "object"},
      {"available_range", "?TimeRange.1"},
      {"available_image_bounds", "?Box2d.1"},
      {"target_url", "string"}}},
    {"TimeRange.1", {{"start_time", "RationalTime.1"}, {"duration", "RationalTime.1"}}},
    {"RationalTime.1", {{"rate", "number"}, {"value", "number"}}},
};
/// Of all that has a place in a track or stack.
const std::map<std::string, std::string> kTimelineItem = {
    {"name", "string"},    {"metadata", "object"}, {"source_range", "?TimeRange.1"},
    {"effects", "[none]"}, {"markers", "[none]"},  {"enabled", "boolean"}};

void check_timeline(const TimelineJson& value, const std::string& kind, const std::string& at) {
  CAPTURE(at);
  if (kind.front() == '?') {
    if (!value.is_null()) check_timeline(value, kind.substr(1), at);
  } else if (kind.front() == '[' || kind.front() == '{') {
    REQUIRE((kind.front() == '[' ? value.is_array() : value.is_object()));
    for (const auto& [key, one] : value.items())
      check_timeline(one, kind.substr(1, kind.size() - 2), at + "." + key);
  } else if (!kTimelineSchema.contains(kind.substr(0, kind.find('|')))) {
    CHECK(std::string(value.type_name()) == kind);
  } else {
    REQUIRE(value.is_object());
    const std::string name = value.value("OTIO_SCHEMA", "");
    CHECK(tells("|" + kind + "|", "|" + name + "|"));
    auto fields = kTimelineSchema.at(name);
    if (name == "Stack.1" || name == "Track.1" || name == "Clip.2" || name == "Gap.1")
      fields.insert(kTimelineItem.begin(), kTimelineItem.end());
    for (const auto& [field, is] : fields) {
      REQUIRE_MESSAGE(value.contains(field), name << " has no " << field);
      check_timeline(value[field], is, at + "." + field);
    }
    CHECK(value.size() == fields.size() + 1);
    if (name == "RationalTime.1") CHECK(value["rate"] > 0);
  }
}

}  // namespace

TEST_CASE("a timeline for editors has the film's clips, cuts, crossfades, prompts and takes") {
  Stage stage(R"(
local kling = require "kling"
local function shot(take)
  return kling.text2video { prompt = 'A "kite"', name = "kite", take = take, sound = "on", mode = "pro" }:wait()
end
local one, other = shot(1), shot(2)
local function land(of)
  return kling.image2video { prompt = "It lands", image = of:last_frame(), name = of.job.name .. "-" .. of.job.handle:sub(-4) }:wait()
end
local two, too = land(one), land(other)
too:save("too.mp4")
one:last_frame():save("a b.png")
kling.image2video { prompt = "It lands", image = "own.png" }:wait() -- from nobody knows where
local parts = { one, two:trim(1, 3), kling.still("a b.png", { seconds = 1 }), other:mute() }
for name, options in pairs { plain = {}, faded = { crossfade = 0.3, fade = { 1, 0 }, fps = 25 },
                             sung = { audio = { path = "a.wav", loop = true }, mix = 0.5 } } do
  print(kling.timeline(parts, name .. ".otio", options))
  kling.concat(parts, name .. ".mp4", options)
end
)");
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "sine=d=5", stage.folder / "a.wav"});
  tool({"ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "testsrc=s=640x360", "-frames:v", "1",
        stage.folder / "own.png"});
  const Outcome run = stage.run();
  INFO(run.err);
  REQUIRE(run.code == 0);
  CHECK(tells(run.out, "faded.otio"));
  std::map<std::string, TimelineJson> films;
  for (const std::string name : {"plain", "faded", "sung"}) {
    CAPTURE(name);
    TimelineJson& film = films[name] =
        TimelineJson::parse(read_file(stage.folder / (name + ".otio"), 1 << 20).value());
    check_timeline(film, "Timeline.1", name);
    CHECK(film["name"] == name);
    double seconds = 0;
    const TimelineJson& picture = film["tracks"]["children"][0];
    CHECK(picture["kind"] == "Video");
    bool after_clip = false;  // a transition stands between two items
    for (const TimelineJson& child : picture["children"]) {
      const bool clip = child["OTIO_SCHEMA"] == "Clip.2";
      CHECK((clip || after_clip));
      after_clip = clip;
      if (!clip) continue;
      const TimelineJson& lasts = child["source_range"]["duration"];
      seconds += lasts["value"].get<double>() / lasts["rate"].get<double>();
      CHECK(child["media_references"].contains("DEFAULT_MEDIA"));
    }
    const double fps = name == "faded" ? 25 : 24;
    CHECK(seconds * fps ==
          doctest::Approx(frames_of(stage.folder / (name + ".mp4"))).epsilon(0.003));
  }
  const TimelineJson plain = films["plain"]["tracks"]["children"][0]["children"];
  REQUIRE(plain.size() == 4);
  CHECK(plain[0]["name"] == "kite");
  CHECK(plain[0]["metadata"]["kling"]["prompt"] == "A \"kite\"");
  CHECK(tells(plain[0]["metadata"]["kling"]["handle"], "kling:text2video/"));
  CHECK(plain[0]["media_references"].size() == 2);  // the other take
  CHECK(plain[1]["media_references"].size() == 2);  // of the other take's last frame
  CHECK(plain[1]["source_range"]["start_time"]["value"] == 24);
  CHECK(plain[1]["source_range"]["duration"]["value"] == 48);
  const std::string url = plain[2]["media_references"]["DEFAULT_MEDIA"]["target_url"];
  CHECK(url == "file://" + fs::canonical(stage.folder.path()).string() + "/a%20b.png");
  const TimelineJson heard = films["plain"]["tracks"]["children"];
  REQUIRE(heard.size() == 2);
  CHECK(heard[1]["kind"] == "Audio");
  CHECK(heard[1]["children"][3]["OTIO_SCHEMA"] == "Gap.1");
  const TimelineJson faded = films["faded"]["tracks"]["children"][0]["children"];
  REQUIRE(faded.size() == 7);
  CHECK(faded[1]["in_offset"]["value"].get<int>() + faded[1]["out_offset"]["value"].get<int>() ==
        8);
  const TimelineJson sung = films["sung"]["tracks"]["children"];
  REQUIRE(sung.size() == 3);
  CHECK(sung[1]["children"][3]["OTIO_SCHEMA"] == "Gap.1");
  CHECK(sung[2]["children"].size() == 3);  // 5 s of song under 13 s of film
}

TEST_CASE("a contact sheet shows pictures of clips in rows, and counts as its origin") {
  Stage stage(R"(
local kling = require "kling"
local one, two = kling.text2video { prompt = "A kite: 'it', [b]; 100%\\ é" }, kling.text2video { prompt = "B" }
local sheet = kling.sheet({ one, two, one:wait():last_frame() }, { columns = 3, frames = 3 })
print(sheet, sheet:save("sheet.png"), sheet:save("sheet.jpg"))
kling.sheet({ one }, { columns = 2, frames = 4, labels = false }):save("plain.png")
kling.image2video { prompt = "It lands", image = sheet }:wait()
for _, bad in ipairs { { columns = 0 }, { frames = 2.5 }, { lables = true } } do
  print(select(2, pcall(kling.sheet, { one }, bad)))
end
print(select(2, pcall(kling.sheet, {})))
)");
  const Outcome run = stage.run();
  INFO(run.err);
  INFO(run.out);
  CHECK(run.code == 0);
  CHECK(tells(run.out, "Image sheet of 3"));
  CHECK(tells(run.out, "sheet: columns is 0; it wants a whole number from 1 to 12"));
  CHECK(tells(run.out, "sheet: frames is 2.5; it wants a whole number from 1 to 12"));
  CHECK(tells(run.out, "sheet: unknown option lables, did you mean labels?"));
  CHECK(tells(run.out, "sheet got an empty list"));
  const auto size = [&](const char* name) {
    return tool({"ffprobe", "-loglevel", "error", "-show_entries", "stream=width,height", "-of",
                 "csv=p=0", stage.folder / name});
  };
  // Cells of 320 x 180, 6 apart; labels 24 high where there is a font; 7 pictures in 3 rows.
  CHECK(size("plain.png") == "658,378\n");
  const std::string labelled = size("sheet.png");
  CHECK((labelled == "984,636\n" || tells(run.err, "a sheet has no labels")));
  CHECK(size("sheet.jpg") == labelled);
  const auto shade = [&](int x, int y) {
    return tool({"ffmpeg", "-loglevel", "error", "-i", stage.folder / "plain.png", "-vf",
                 "crop=300:160:" + std::to_string(x) + ":" + std::to_string(y), "-f", "md5", "-"});
  };
  CHECK(shade(10, 10) != shade(336, 10));  // another picture of the clip
  const int paid = stage.service->counters().accepted;
  CHECK(paid == 3);
  for (const auto& entry : fs::directory_iterator(stage.folder / ".kling/clips"))
    if (tells(entry.path().filename(), "sheet-")) fs::remove(entry.path());
  CHECK(stage.run().code == 0);
  CHECK(stage.service->counters().accepted == paid);
}
