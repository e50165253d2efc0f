#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "base/process.h"
#include "base/temp_folder.h"
#include "engine/media/tool.h"

using namespace kling;
using namespace kling::engine;
using test::TempFolder;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string ffmpeg(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), {"ffmpeg", "-nostdin", "-loglevel", "error", "-y"});
  const auto result = run_process(arguments);
  REQUIRE(result.ok());
  INFO(result->messages);
  REQUIRE(result->exit_code == 0);
  return result->output;
}

struct Clip {
  int frames = 24;
  int first = 0;  ///< the number that the first frame's brightness tells
  std::string rate = "24";
  std::string size = "160x90";
  double sound = 0;  ///< seconds of a tone; 0: no audio stream
  double tone_from = 0;
};

/// A clip whose frame n has the brightness 40 + 4 n, so that a test can tell which one it sees.
std::string make_clip(const std::string& path, const Clip& clip = {}) {
  const std::string shade = ",geq=lum=40+4*(N+" + std::to_string(clip.first) +
                            "):cb=128:cr=128,trim=end_frame=" + std::to_string(clip.frames);
  std::vector<std::string> arguments = {"-f", "lavfi", "-i",
                                        "color=size=" + clip.size + ":rate=" + clip.rate + shade};
  if (clip.sound > 0)
    arguments.insert(arguments.end(),
                     {"-f", "lavfi", "-i",
                      "aevalsrc=exprs='if(lt(t," + std::to_string(clip.tone_from) +
                          "),0,sin(2764*t))':s=44100:d=" + std::to_string(clip.sound),
                      "-c:a", "aac"});
  arguments.insert(arguments.end(), {"-c:v", "libx264", "-preset", "ultrafast", "-crf", "10",
                                     "-pix_fmt", "yuv420p", "file:" + path});
  ffmpeg(arguments);
  return path;
}

/// The number told by the brightness of each frame of a clip or picture, in the middle of it.
std::vector<int> frame_numbers(const std::string& path) {
  const std::string shades =
      ffmpeg({"-f", path.ends_with(".png") ? "png_pipe" : "mov", "-i", "file:" + path, "-map",
              "0:v", "-vf", "crop=8:8,scale=1:1:flags=area,format=gray", "-fps_mode", "passthrough",
              "-f", "rawvideo", "-"});
  std::vector<int> numbers;
  for (unsigned char shade : shades)  // gray is full range, where 16 to 235 have become 0 to 255
    numbers.push_back(int(std::lround((16 + shade * 219 / 255.0 - 40) / 4)));
  return numbers;
}

std::vector<int> range(int first, int count) {
  std::vector<int> numbers;
  for (int i = 0; i < count; ++i) numbers.push_back(first + i);
  return numbers;
}

std::vector<int> operator+(std::vector<int> left, const std::vector<int>& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

/// When the sound is first louder than silence, in seconds; -1: never.
double sound_begins(const std::string& path) {
  const std::string samples =
      ffmpeg({"-i", "file:" + path, "-map", "0:a", "-ac", "1", "-ar", "8000", "-f", "s16le", "-"});
  for (std::size_t i = 0; i + 1 < samples.size(); i += 2) {
    const auto value = static_cast<std::int16_t>(static_cast<unsigned char>(samples[i]) |
                                                 static_cast<unsigned char>(samples[i + 1]) << 8);
    if (std::abs(value) > 800) return double(i / 2) / 8000;
  }
  return -1;
}

Status last_frame(const std::string& video, const std::string& png) {
  return media::last_frame(video, png, {});
}
Status frame_at(const std::string& video, double seconds, const std::string& png) {
  return media::frame_at(video, seconds, png, {});
}
Result<media::FilmResult> join(const std::vector<media::Segment>& parts, const std::string& out,
                               const std::string& audio = "") {
  media::FilmOptions options;
  options.audio = audio;
  return media::concat(parts, out, options, {});
}

struct Facts {
  std::vector<double> silences;  ///< when one begins, of more than 5 ms
  double loudness = 0;           ///< dB, of the mean
};

Facts listen(const std::string& path, const std::string& before = "anull") {
  const auto heard =
      run_process({"ffmpeg", "-nostdin", "-hide_banner", "-i", path, "-map", "0:a", "-af",
                   before + ",silencedetect=n=-35dB:d=0.005,volumedetect", "-f", "null", "-"});
  REQUIRE(heard.ok());
  Facts facts;
  const std::string& told = heard->messages;
  for (std::size_t at = 0; (at = told.find("silence_start: ", at)) != told.npos; at += 15)
    facts.silences.push_back(std::atof(told.c_str() + at + 15));
  const auto mean = told.find("mean_volume: ");
  REQUIRE(mean != told.npos);
  facts.loudness = std::atof(told.c_str() + mean + 13);
  return facts;
}

Result<media::FilmResult> join(const std::vector<media::Segment>& parts, const std::string& out,
                               const nlohmann::json& options, std::string* warned = nullptr) {
  const auto read = media::film_options(options);
  REQUIRE_MESSAGE(read.ok(), (read ? "" : read.error().message));
  auto film = media::concat(parts, out, *read, [&](const std::string& text) {
    if (warned != nullptr) *warned += text + "\n";
  });
  if (!film) return film;
  const auto probe = media::probe(out, true);
  REQUIRE(probe.ok());
  CHECK(probe->frames == film->frames);
  CHECK(probe->duration == doctest::Approx(film->seconds).epsilon(0.001));
  CHECK(probe->width == film->width);
  return film;
}

}  // namespace

TEST_CASE("a probe tells length and size and rate and codecs") {
  TempFolder folder;
  const auto probe = media::probe(make_clip(folder / "a.mp4", {.sound = 1}), true);
  REQUIRE(probe.ok());
  CHECK(probe->duration == doctest::Approx(1).epsilon(0.05));
  CHECK(probe->width == 160);
  CHECK(probe->height == 90);
  CHECK(probe->fps == 24);
  CHECK(probe->frames == 24);
  CHECK(probe->video_codec == "h264");
  CHECK(probe->audio_codec == "aac");
  CHECK(probe->bytes == std::filesystem::file_size(folder / "a.mp4"));
  CHECK(media::probe(folder / "a.mp4")->frames == 0);
}

TEST_CASE("a broken or missing or foreign file is a media error that names it") {
  TempFolder folder;
  const auto missing = media::probe(folder / "none.mp4");
  REQUIRE(!missing);
  CHECK(missing.error().kind == Kind::media);
  CHECK(has(missing.error().message, "none.mp4 cannot be read: No such file"));

  const std::string whole = read_file(make_clip(folder / "a.mp4"), 1 << 20).value();
  REQUIRE(write_file(folder / "cut.mp4", whole.substr(0, whole.size() / 2)).ok());
  const auto cut = media::probe(folder / "cut.mp4");
  REQUIRE(!cut);
  CHECK(has(cut.error().message, "cut.mp4 cannot be read: its index (moov) is missing"));
  CHECK(!has(cut.error().message, "\n"));

  REQUIRE(write_file(folder / "page.mp4", "<html>404</html>").ok());
  CHECK(has(media::probe(folder / "page.mp4").error().message, "no video, picture or sound"));
  REQUIRE(write_file(folder / "empty.mp4", "").ok());
  CHECK(!media::probe(folder / "empty.mp4"));
  CHECK(!media::probe(folder.path()));
}

TEST_CASE("a list that names other files is not followed") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  REQUIRE(write_file(folder / "list.mp4", "ffconcat version 1.0\nfile a.mp4\n").ok());
  CHECK(!media::probe(folder / "list.mp4"));
  REQUIRE(write_file(folder / "hls.mp4",
                     "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\na.mp4\n#EXT-X-ENDLIST\n")
              .ok());
  CHECK(!media::probe(folder / "hls.mp4"));
  CHECK(!last_frame(folder / "hls.mp4", folder / "x.png"));
  CHECK(!std::filesystem::exists(folder / "x.png"));
}

TEST_CASE("a picture that a demuxer of lists would take for its own stays a picture") {
  TempFolder folder;
  make_clip(folder / "secret.mp4");
  ffmpeg({"-f", "lavfi", "-i", "color=red:s=64x48", "-frames:v", "1", folder / "a.jpg"});
  std::string picture = read_file(folder / "a.jpg", 1 << 20).value();
  // A manifest in a comment behind the first marker, as long as no byte of its length is zero:
  // looked at as text, the file is a list that names another.
  std::string list =
      "<MPD profiles=\"urn:mpeg:dash:profile:isoff-on-demand:2011\" type=\"static\">"
      "<Period><AdaptationSet><Representation><BaseURL>secret.mp4</BaseURL>"
      "</Representation></AdaptationSet></Period></MPD>";
  list.resize(0x0202 - 2, ' ');
  picture.insert(2, "\xff\xfe\x02\x02" + list);
  REQUIRE(write_file(folder / "b.jpg", picture).ok());
  const auto seen = media::probe(folder / "b.jpg");
  REQUIRE_MESSAGE(seen.ok(), (seen ? "" : seen.error().message));
  CHECK(seen->width == 64);
  CHECK(seen->height == 48);
}

TEST_CASE("odd names are only names") {
  TempFolder folder;
  for (const std::string name : {"concat:a|b.mp4", "it's %03d.mp4", "a\nb.mp4", "http:x.mp4"}) {
    CAPTURE(name);
    make_clip(folder / name, {.frames = 3});
    CHECK(media::probe(folder / name).ok());
    const std::string png = folder / (name + ".png");
    REQUIRE(last_frame(folder / name, png).ok());
    CHECK(frame_numbers(png) == range(2, 1));
    const auto film = join({{folder / name}, {folder / name}}, folder / (name + ".film"));
    REQUIRE(film.ok());
    CHECK(film->frames == 6);
    CHECK(film->reencoded == has(name, "\n"));  // a list of files has one in a line
  }
  const std::string before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  make_clip("-y.mp4", {.frames = 3});
  CHECK(last_frame("-y.mp4", "-loglevel.png").ok());
  CHECK(join({{"-y.mp4"}}, "-i.mp4").ok());
  std::filesystem::current_path(before);
  CHECK(std::filesystem::exists(folder / "-i.mp4"));
}

TEST_CASE("the last frame is the last video frame also when the sound outlasts it") {
  TempFolder folder;
  const auto last_of = [&](const std::string& name, double sound) {
    make_clip(folder / name, {.sound = sound});
    REQUIRE(last_frame(folder / name, folder / "last.png").ok());
    return frame_numbers(folder / "last.png");
  };
  CHECK(last_of("a.mp4", 0) == range(23, 1));
  CHECK(last_of("a.mp4", 4) == range(23, 1));
  CHECK(last_of("a.mkv", 0.5) == range(23, 1));
  CHECK(last_of("a.mkv", 4) == range(23, 1));  // Matroska tells no length of a stream
  const auto picture = media::probe(folder / "last.png", true);
  REQUIRE(picture.ok());
  CHECK(picture->width == 160);
  CHECK(picture->video_codec == "png");
  CHECK(folder.size() == 3);
}

TEST_CASE("a clip of one frame has it as its last") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 1, .first = 7});
  REQUIRE(last_frame(folder / "a.mp4", folder / "x.png").ok());
  CHECK(frame_numbers(folder / "x.png") == range(7, 1));
}

TEST_CASE("the frame at a time is the one shown then") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.sound = 2});
  const std::string png = folder / "x.png";
  const auto at = [&](double seconds) {
    REQUIRE(frame_at(folder / "a.mp4", seconds, png).ok());
    return frame_numbers(png).at(0);
  };
  CHECK(at(0) == 0);
  CHECK(at(0.03) == 0);
  CHECK(at(1.0 / 24) == 1);
  CHECK(at(0.54) == 12);
  CHECK(at(23.0 / 24) == 23);
  CHECK(at(1.7) == 23);  // the sound goes on
}

TEST_CASE("before a late picture begins its first frame stands in") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.first = 5, .sound = 1});
  ffmpeg({"-i", folder / "a.mp4", "-itsoffset", "0.4", "-i", folder / "a.mp4", "-map", "1:v",
          "-map", "0:a", "-c", "copy", folder / "late.mkv"});
  REQUIRE(frame_at(folder / "late.mkv", 0.1, folder / "x.png").ok());
  CHECK(frame_numbers(folder / "x.png") == range(5, 1));
  REQUIRE(frame_at(folder / "late.mkv", 0.48, folder / "x.png").ok());
  CHECK(frame_numbers(folder / "x.png") == range(6, 1));
}

TEST_CASE("a time outside the clip is an error that names its length") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  const Status late = frame_at(folder / "a.mp4", 1.0, folder / "x.png");
  REQUIRE(!late);
  CHECK(late.error().kind == Kind::media);
  CHECK(has(late.error().message, "it is 1 s long"));
  for (const double bad : {-0.1, double(NAN), HUGE_VAL, 1e300})
    CHECK(!frame_at(folder / "a.mp4", bad, folder / "x.png"));
  CHECK(folder.size() == 1);
}

TEST_CASE("a sound without a picture has no frame") {
  TempFolder folder;
  ffmpeg({"-f", "lavfi", "-i", "sine=d=0.2", folder / "a.m4a"});
  CHECK(media::probe(folder / "a.m4a")->video_codec.empty());
  CHECK(has(last_frame(folder / "a.m4a", folder / "x.png").error().message, "only sound"));
  const Error silent = join({{folder / "a.m4a"}}, folder / "x.mp4").error();
  CHECK(has(silent.message, "only sound"));
  CHECK(has(silent.hint, "{ audio = PATH }"));
}

TEST_CASE("a frame that cannot be written leaves nothing behind") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  const Status frame = last_frame(folder / "a.mp4", folder / "none/x.png");
  REQUIRE(!frame);
  CHECK(has(frame.error().message, "none/x.png cannot be written: No such file or directory"));
  CHECK(!last_frame(folder / "a.mp4", folder.path()));
  CHECK(!last_frame(folder / "a.mp4", folder / "a.mp4/x.png"));
  const auto film = join({{folder / "a.mp4"}}, folder / "none/x.mp4");
  REQUIRE(!film);
  CHECK(has(film.error().message, "none/x.mp4 cannot be written: No such file or directory"));
  CHECK(folder.size() == 1);
}

TEST_CASE("parts that are alike and whole are copied") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.sound = 1});
  make_clip(folder / "b.mp4", {.first = 10, .sound = 1});
  const auto film = join({{folder / "a.mp4"}, {folder / "b.mp4"}}, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(!film->reencoded);
  CHECK(film->frames == 48);
  CHECK(frame_numbers(folder / "film.mp4") == range(0, 24) + range(10, 24));
  CHECK(media::probe(folder / "film.mp4")->audio_codec == "aac");
  CHECK(folder.size() == 3);
}

TEST_CASE("one part makes a film too") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  const auto film = join({{folder / "a.mp4"}}, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(frame_numbers(folder / "film.mp4") == range(0, 24));
  CHECK(join({{folder / "a.mp4"}}, folder / "a.mp4").ok());  // onto itself
  CHECK(media::probe(folder / "a.mp4", true)->frames == 24);
}

TEST_CASE("a dropped seam frame is gone and no other") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  make_clip(folder / "b.mp4", {.first = 23});
  const auto film = join({{folder / "a.mp4"}, {folder / "b.mp4", true}}, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(film->reencoded);
  CHECK(film->frames == 47);
  CHECK(frame_numbers(folder / "film.mp4") == range(0, 47));
  CHECK(media::probe(folder / "film.mp4")->fps == 24);
}

TEST_CASE("frames of rates that are no whole number are kept through many seams") {
  TempFolder folder;
  std::vector<media::Segment> parts;
  for (int i = 0; i < 4; ++i)
    parts.push_back({make_clip(folder / (std::to_string(i) + ".mp4"),
                               {.frames = 11, .first = 10 * i, .rate = "30000/1001"}),
                     i > 0});
  const auto film = join(parts, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(frame_numbers(folder / "film.mp4") == range(0, 41));
  CHECK(media::probe(folder / "film.mp4")->fps == doctest::Approx(30000.0 / 1001));
}

TEST_CASE("sound keeps its place when a seam frame is dropped") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 12, .rate = "12"});  // silent, 1 s
  make_clip(folder / "b.mp4", {.frames = 12, .rate = "12", .sound = 3, .tone_from = 0.5});
  make_clip(folder / "c.mp4", {.frames = 12, .rate = "12"});
  const auto film =
      join({{folder / "a.mp4"}, {folder / "b.mp4", true}, {folder / "c.mp4"}}, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(film->frames == 35);
  // 1 s of the first part, and half a second less one frame of 1/12 s.
  CHECK(sound_begins(folder / "film.mp4") == doctest::Approx(1 + 0.5 - 1.0 / 12).epsilon(0.02));
  CHECK(media::probe(folder / "film.mp4")->duration == doctest::Approx(35.0 / 12).epsilon(0.02));
}

TEST_CASE("a song takes the place of the parts own sound") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.sound = 1});
  make_clip(folder / "b.mp4", {.first = 23});
  for (const std::string song : {"song.wav", "song.mp3", "song.flac", "song.m4a"}) {
    CAPTURE(song);
    ffmpeg({"-f", "lavfi", "-i", "aevalsrc=exprs='if(lt(t,0.7),0,sin(2764*t))':s=44100:d=1.2",
            folder / song});
    const auto film =
        join({{folder / "a.mp4"}, {folder / "b.mp4", true}}, folder / "film.mp4", folder / song);
    REQUIRE(film.ok());
    CHECK(frame_numbers(folder / "film.mp4") == range(0, 47));
    CHECK(sound_begins(folder / "film.mp4") == doctest::Approx(0.7).epsilon(0.05));
    CHECK(media::probe(folder / "film.mp4")->duration == doctest::Approx(47.0 / 24).epsilon(0.02));
  }
  const auto silent = join({{folder / "a.mp4"}}, folder / "x.mp4", folder / "b.mp4");
  REQUIRE(!silent);
  CHECK(has(silent.error().message, "has no sound"));
  CHECK(!join({{folder / "a.mp4"}}, folder / "x.mp4", folder / "none.wav"));
}

TEST_CASE("sound that begins later than its picture still does in a film") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.sound = 1});
  ffmpeg({"-i", folder / "a.mp4", "-itsoffset", "0.4", "-i", folder / "a.mp4", "-map", "0:v",
          "-map", "1:a", "-c", "copy", folder / "late.mp4"});
  make_clip(folder / "b.mp4");
  REQUIRE(join({{folder / "b.mp4"}, {folder / "late.mp4"}}, folder / "film.mp4").ok());
  CHECK(sound_begins(folder / "film.mp4") == doctest::Approx(1.4).epsilon(0.02));
}

TEST_CASE("other sizes are letterboxed and other rates are converted") {
  TempFolder folder;
  make_clip(folder / "wide.mp4", {.frames = 12, .first = 20});
  make_clip(folder / "tall.mp4", {.frames = 24, .first = 20, .rate = "12", .size = "90x160"});
  const auto film = join({{folder / "wide.mp4"}, {folder / "tall.mp4"}}, folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(film->reencoded);
  CHECK(film->frames == 12 + 48);
  const auto probe = media::probe(folder / "film.mp4", true);
  CHECK(probe->width == 160);
  CHECK(probe->height == 90);
  CHECK(probe->frames == 60);
  CHECK(probe->duration == doctest::Approx(2.5));
  const std::string row =
      ffmpeg({"-ss", "1", "-i", folder / "film.mp4", "-frames:v", "1", "-vf",
              "crop=160:2:0:44,scale=160:1:flags=area,format=gray", "-f", "rawvideo", "-"});
  REQUIRE(row.size() == 160);
  const auto shade = [&](std::size_t x) { return int(static_cast<unsigned char>(row[x])); };
  CHECK(shade(5) < 24);
  CHECK(shade(80) > 100);
  CHECK(shade(62) > 100);  // 51 of 160 columns: never stretched
  CHECK(shade(50) < 24);
  CHECK(shade(110) < 24);
}

TEST_CASE("a part with sides that are not square pixels keeps its shape") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  ffmpeg({"-i", folder / "a.mp4", "-vf", "setsar=2", "-c:v", "libx264", folder / "b.mp4"});
  CHECK(media::probe(folder / "b.mp4")->width == 320);
  REQUIRE(join({{folder / "b.mp4"}, {folder / "a.mp4"}}, folder / "film.mp4").ok());
  CHECK(media::probe(folder / "film.mp4")->width == 320);
  CHECK(media::probe(folder / "film.mp4")->height == 90);
  const std::string edge =
      ffmpeg({"-i", folder / "film.mp4", "-frames:v", "1", "-vf",
              "crop=8:8:0:40,scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-"});
  CHECK(static_cast<unsigned char>(edge.at(0)) > 20);  // no bars: the first part fills the film
}

TEST_CASE("a picture is shown for its time between clips") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 12, .sound = 0.5});
  REQUIRE(frame_at(folder / "a.mp4", 0.25, folder / "p.png").ok());
  const auto film =
      join({{folder / "p.png", false, 0.5}, {folder / "a.mp4"}, {folder / "p.png", true, 0.25}},
           folder / "film.mp4");
  REQUIRE(film.ok());
  CHECK(film->frames == 12 + 12 + 6);
  CHECK(frame_numbers(folder / "film.mp4") ==
        std::vector<int>(12, 6) + range(0, 12) + std::vector<int>(6, 6));
  CHECK(sound_begins(folder / "film.mp4") == doctest::Approx(0.5).epsilon(0.05));
  CHECK(join({{folder / "p.png", false, 1}}, folder / "only.mp4")->frames == 24);
  const std::vector<media::Segment> shown = {{folder / "p.png", false, 1}};
  CHECK(join(shown, folder / "only.mp4", {{"fps", 25}})->frames == 25);  // as ffmpeg reads it
  CHECK(has(join({{folder / "p.png"}}, folder / "x.mp4").error().message, "a picture"));
  CHECK(!join({{folder / "a.mp4", false, 1}}, folder / "x.mp4"));
  CHECK(!join({{folder / "p.png", false, -1}}, folder / "x.mp4"));
  CHECK(!join({{folder / "p.png", false, NAN}}, folder / "x.mp4"));
}

TEST_CASE("a film that cannot be made leaves the old one") {
  TempFolder folder;
  make_clip(folder / "a.mp4");
  REQUIRE(write_file(folder / "film.mp4", "old").ok());
  REQUIRE(write_file(folder / "bad.mp4", "no clip").ok());
  const auto film = join({{folder / "a.mp4"}, {folder / "bad.mp4"}}, folder / "film.mp4");
  REQUIRE(!film);
  CHECK(has(film.error().message, "bad.mp4"));
  make_clip(folder / "one.mp4", {.frames = 1});
  CHECK(!join({{folder / "a.mp4"}, {folder / "one.mp4", true}}, folder / "film.mp4"));
  CHECK(!join({}, folder / "film.mp4"));
  CHECK(read_file(folder / "film.mp4", 10).value() == "old");
  CHECK(folder.size() == 4);
}

TEST_CASE("a program that hangs is named with its file, and does not hang for ever") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 2});
  const std::string path = ::getenv("PATH"), go = folder / "go";
  // Hangs until somebody has been told.
  const std::string hanging = "#!/bin/sh\ni=0\nwhile [ ! -e " + go +
                              " ] && [ $i -lt 600 ]; do i=$((i+1)); sleep 0.1; done\nPATH='" +
                              path + "' exec ffprobe \"$@\"\n";
  REQUIRE(write_file(folder / "ffprobe", hanging).ok());
  std::filesystem::permissions(folder / "ffprobe", std::filesystem::perms::owner_all);
  REQUIRE(media::check_ffmpeg().ok());
  ::setenv("PATH", (folder.path() + ":" + path).c_str(), 1);
  std::vector<std::string> told;
  media::tell_delays(
      [&](const std::string& text) {
        told.push_back(text);
        CHECK(write_file(go, "").ok());
      },
      std::chrono::milliseconds(1));
  const auto probe = media::probe(folder / "a.mp4");
  media::tell_delays({});
  const auto stopped =
      media::run_tool({"sleep", "600"}, folder / "a.mp4", {.time = std::chrono::milliseconds(20)});
  ::setenv("PATH", path.c_str(), 1);
  CHECK(probe.ok());
  REQUIRE(!told.empty());
  CHECK(has(told.back(), "still waiting for ffprobe, which works on " + folder.path() + "/a.mp4"));
  REQUIRE(!stopped);
  CHECK(has(stopped.error().message, "a.mp4: sleep did not end within 20 ms and was stopped"));
}

TEST_CASE("a missing ffmpeg is one clear error") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 2});
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", "/nonexistent", 1);
  const auto probe = media::probe(folder / "a.mp4");
  ::setenv("PATH", path.c_str(), 1);
  REQUIRE(!probe);
  CHECK(has(probe.error().hint, "apt-get install ffmpeg"));
}

TEST_CASE("a cut of a part keeps exactly the frames that begin in it") {
  TempFolder folder;
  const std::string clip = make_clip(folder / "a.mp4", {.sound = 1}), film = folder / "film.mp4";
  const auto cut = [&](double from, double to) {
    REQUIRE(join({{.path = clip, .from = from, .to = to}}, film).ok());
    CHECK(media::probe(film)->duration ==
          doctest::Approx(double(frame_numbers(film).size()) / 24).epsilon(0.01));
    return frame_numbers(film);
  };
  CHECK(cut(0.25, 0.5) == range(6, 6));
  CHECK(cut(0, 0.5) == range(0, 12));
  CHECK(cut(0.5, 0) == range(12, 12));
  CHECK(cut(0.26, 0.4999) == range(7, 5));
  CHECK(cut(7.0 / 24, 8.0 / 24) == range(7, 1));
  CHECK(cut(0, 1) == range(0, 24));
  make_clip(folder / "sparse.mp4", {.frames = 24});
  ffmpeg({"-i", folder / "sparse.mp4", "-vf", "select='not(mod(n,5))'", "-fps_mode", "passthrough",
          "-c:v", "libx264", "-crf", "10", folder / "vfr.mp4"});
  const auto sparse =
      join({{.path = clip}, {.path = folder / "vfr.mp4", .from = 0.4, .to = 0.8}}, film);
  REQUIRE_MESSAGE(sparse.ok(), (sparse ? "" : sparse.error().message));
  const auto shown = frame_numbers(film);
  CHECK(shown.front() == 0);
  CHECK(shown.at(24) == 10);
  CHECK(shown.back() == 15);
  CHECK(has(join({{.path = clip, .from = 2}}, film).error().message, "is 1 s long"));
  CHECK(has(join({{.path = clip, .to = 1.5}}, film).error().message, "cut at 1.5 s"));
  CHECK(has(join({{.path = clip, .from = 0.51, .to = 0.52}}, film).error().message, "no frame"));
}

TEST_CASE("what is cut from a picture is cut from its sound, and a mute part has none") {
  TempFolder folder;
  make_clip(folder / "a.mp4", {.frames = 48, .sound = 2, .tone_from = 1.2});
  const std::string film = folder / "film.mp4";
  REQUIRE(join({{.path = folder / "a.mp4", .from = 1, .to = 1.5}}, film).ok());
  CHECK(sound_begins(film) == doctest::Approx(0.2).epsilon(0.02));
  const auto whole = join({{.path = folder / "a.mp4", .mute = true}}, film);
  REQUIRE(whole.ok());
  CHECK(!whole->reencoded);
  CHECK(media::probe(film)->audio_codec.empty());
  REQUIRE(join({{.path = folder / "a.mp4", .mute = true}, {.path = folder / "a.mp4"}}, film).ok());
  CHECK(sound_begins(film) == doctest::Approx(3.2).epsilon(0.02));
}

TEST_CASE("sound has no gap where parts meet, however they are joined") {
  TempFolder folder;
  std::vector<media::Segment> parts;
  for (int i = 0; i < 4; ++i)  // that of the second ends 60 ms early, of the third goes on for long
    parts.push_back({make_clip(folder / (std::to_string(i) + ".mp4"), {.first = 10 * i,
                                                                       .sound = i == 1   ? 0.94
                                                                                : i == 2 ? 1.5
                                                                                         : 1})});
  const std::string film = folder / "film.mp4";
  const auto gaps = [&](const nlohmann::json& options) {
    const auto made = join(parts, film, options);
    REQUIRE_MESSAGE(made.ok(), (made ? "" : made.error().message));
    std::vector<double> inside;
    for (const double at : listen(film).silences)
      if (at > 0.02 && at < made->seconds - 0.05) inside.push_back(at);
    return inside;
  };
  CHECK(gaps({}) == std::vector<double>{});
  CHECK(gaps({{"crossfade", 0.25}}) == std::vector<double>{});
  for (media::Segment& part : parts) part.drop_first_frame = part.path != parts[0].path;
  CHECK(gaps({}) == std::vector<double>{});
  for (media::Segment& part : parts) {
    part.drop_first_frame = false;
    part.from = 0.2, part.to = 0.8;
  }
  CHECK(gaps({}) == std::vector<double>{});
  // More parts than one ffmpeg opens: pieces of the film meet as well.
  std::vector<media::Segment> many;
  for (int i = 0; i < 9; ++i) many.insert(many.end(), parts.begin(), parts.end());
  parts = many;
  CHECK(gaps({}) == std::vector<double>{});
  CHECK(gaps({{"crossfade", 0.1}}) == std::vector<double>{});
}

TEST_CASE("in a crossfade a part goes over into the next, frame by frame") {
  TempFolder folder;
  const std::string film = folder / "film.mp4";
  std::vector<media::Segment> parts;
  for (int i = 0; i < 20; ++i)
    parts.push_back({make_clip(folder / (std::to_string(i % 2) + ".mp4"),
                               {.frames = 20, .first = i % 2 ? 30 : 0, .rate = "30000/1001"})});
  const auto made = join(parts, film, {{"crossfade", 4 * 1001 / 30000.0}});
  REQUIRE(made.ok());
  CHECK(made->frames == 20 * 20 - 19 * 4);
  const auto seen = frame_numbers(film);
  REQUIRE(seen.size() == 324);
  for (int part = 0; part < 20; ++part) {
    CAPTURE(part);
    const int begin = part * 16, first = part % 2 ? 30 : 0;
    const auto alone = [&](int frame) { return seen.at(std::size_t(begin + frame)) - first; };
    for (int frame = part > 0 ? 4 : 0; frame < (part < 19 ? 16 : 20); ++frame)
      CHECK(alone(frame) == frame);
    if (part == 0) continue;
    // Both are seen: nearer to the one before at first, to this one at last.
    const int before = part % 2 ? 0 : 30;
    for (int frame = 0; frame < 4; ++frame) {
      const int other = before + 16 + frame - first - frame, mixed = alone(frame) - frame;
      CHECK(std::abs(mixed) <= std::abs(other));
      CHECK(std::abs(mixed - other * (4 - frame) / 4.0) < std::abs(other) * 0.3 + 1);
    }
  }
  const auto loud = [&](const std::string& path) { return listen(path).loudness; };
  for (media::Segment& part : parts) part.path = make_clip(folder / "tone.mp4", {.sound = 1});
  REQUIRE(join(parts, film, {{"crossfade", 0.3}}).ok());
  CHECK(listen(film).silences.size() <= 1);
  CHECK(std::abs(loud(film) - loud(folder / "tone.mp4")) < 4);
  const auto too_long = join(parts, film, {{"crossfade", 0.6}});
  REQUIRE(!too_long);
  CHECK(has(too_long.error().message, "too short for crossfade = 0.6"));
}

TEST_CASE("a film fades from and to black and silence") {
  TempFolder folder;
  const std::string film = folder / "film.mp4";
  std::vector<media::Segment> parts;
  for (int i = 0; i < 18; ++i)
    parts.push_back({make_clip(folder / "a.mp4", {.frames = 12, .first = 20, .sound = 0.5})});
  // Longer than the last piece of the film.
  REQUIRE(join(parts, film, {{"fade", {0.25, 2}}}).ok());
  const auto seen = frame_numbers(film);
  REQUIRE(seen.size() == 18 * 12);
  CHECK(seen[0] < 0);
  CHECK(seen[3] > seen[0]);
  CHECK(seen[7] == 27);
  CHECK(seen[18 * 12 - 49] == 20 + 11);
  CHECK(seen[18 * 12 - 24] < 15);
  CHECK(seen.back() < 0);
  CHECK(listen(film, "atrim=end=0.01").loudness < -20);
  CHECK(listen(film, "atrim=start=8.9").loudness < -20);
  CHECK(listen(film, "atrim=start=4:end=5").loudness > -9);
  CHECK(has(join(parts, film, {{"fade", {{"from", 4}, {"to", 6}}}}).error().message,
            "is 9 s long, shorter than fade = { 4, 6 }"));
}

TEST_CASE("a song is as loud as asked, is repeated, fades, and lies over the clips' own sound") {
  TempFolder folder;
  const std::string film = folder / "film.mp4", song = folder / "song.wav";
  ffmpeg({"-f", "lavfi", "-i", "sine=f=880:d=0.7,volume=6", song});
  std::vector<media::Segment> parts;
  for (int i = 0; i < 2; ++i)
    parts.push_back({make_clip(folder / (std::to_string(i) + ".mp4"), {.sound = 1})});
  const auto at = [&](double from, double to, const char* band) {
    return listen(film, "atrim=" + std::to_string(from) + ":" + std::to_string(to) + "," + band)
        .loudness;
  };
  const char* const high = "highpass=f=700,highpass=f=700,highpass=f=700";
  const char* const low = "lowpass=f=500,lowpass=f=500,lowpass=f=500";
  const auto make = [&](nlohmann::json audio, double mix) {
    audio["path"] = song;
    nlohmann::json options = {{"audio", audio}};
    if (mix > 0) options["mix"] = mix;
    const auto made = join(parts, film, options);
    REQUIRE_MESSAGE(made.ok(), (made ? "" : made.error().message));
    CHECK(!made->reencoded);
  };
  make({}, 0);
  const double loud = at(0.2, 0.6, high);
  CHECK(at(0.8, 2, high) < -60);
  CHECK(at(0.2, 0.6, low) < loud - 15);
  make({{"volume", 0.1}}, 0);
  CHECK(at(0.2, 0.6, high) == doctest::Approx(loud - 20).epsilon(0.1));
  make({{"loop", true}, {"fade", 0.2}}, 0);
  CHECK(listen(film, "atrim=0.1:1.9").silences.empty());
  CHECK(at(0, 0.02, high) < loud - 12);
  CHECK(at(1.97, 2, high) < loud - 12);
  CHECK(at(0.6, 0.9, high) == doctest::Approx(loud).epsilon(0.1));
  make({{"volume", 0.5}}, 0.3);
  CHECK(at(0.2, 0.6, high) == doctest::Approx(loud - 6).epsilon(0.15));
  const double own = at(1.2, 1.8, low);
  CHECK(own < loud - 2);
  CHECK(own > loud - 14);
}

TEST_CASE("size and rate and fit of a film are what was asked for") {
  TempFolder folder;
  const std::string film = folder / "film.mp4";
  make_clip(folder / "a.mp4", {.first = 20});
  make_clip(folder / "square.mp4", {.first = 20, .size = "90x90"});
  const std::vector<media::Segment> parts = {{folder / "a.mp4"}, {folder / "square.mp4"}};
  const auto corner = [&] {
    const std::string shade =
        ffmpeg({"-ss", "1.5", "-i", film, "-frames:v", "1", "-vf",
                "crop=8:8:0:40,scale=1:1:flags=area,format=gray", "-f", "rawvideo", "-"});
    return int(static_cast<unsigned char>(shade.at(0)));
  };
  std::string warned;
  auto made = join(parts, film, nlohmann::json(), &warned);
  REQUIRE(made.ok());
  CHECK(made->width == 160);
  CHECK(corner() < 24);
  CHECK(has(warned, "square.mp4 is 90x90 and stands in black bars in a film of 160x90"));
  warned.clear();
  REQUIRE(join(parts, film, {{"fit", "crop"}}, &warned).ok());
  CHECK(corner() > 60);
  CHECK(warned.empty());
  made = join(parts, film, {{"size", "90x160"}, {"fps", 12}});
  REQUIRE(made.ok());
  CHECK(made->width == 90);
  CHECK(made->height == 160);
  CHECK(made->frames == 24);
  CHECK(media::probe(film)->fps == 12);
  REQUIRE(join(parts, film, {{"fps", 23.976}}).ok());
  CHECK(media::probe(film)->fps == doctest::Approx(24000 / 1001.0));
  CHECK(!join({{folder / "a.mp4"}}, film, {{"size", "160x90"}, {"fps", 24}})->reencoded);
}

TEST_CASE("a picture that is there stays as it is when only the sound is made") {
  TempFolder folder;
  const std::string film = folder / "film.mp4";
  std::vector<media::Segment> parts = {{make_clip(folder / "a.mp4", {.sound = 1})},
                                       {make_clip(folder / "b.mp4", {.first = 23}), true}};
  const auto first = join(parts, film);
  REQUIRE(first.ok());
  CHECK(first->reencoded);
  REQUIRE(first->found.size() == 2);
  for (const std::string& found : first->found) CHECK(nlohmann::json::parse(found)["frames"] == 24);
  const auto picture = [&] {
    return ffmpeg({"-i", film, "-map", "0:v", "-c", "copy", "-f", "md5", "-"});
  };
  const std::string before = picture();
  ffmpeg({"-f", "lavfi", "-i", "sine=f=880:d=3", folder / "song.wav"});
  media::FilmOptions options;
  options.keep_picture = true;
  options.audio = folder / "song.wav";
  parts[0].known = first->found[0];
  for (const std::string& noted : {first->found[1], std::string("24 24"), std::string("{}")}) {
    CAPTURE(noted);
    parts[1].known = noted;
    const auto again = media::concat(parts, film, options, {});
    REQUIRE(again.ok());
    CHECK(!again->reencoded);
    CHECK(again->found == first->found);
    CHECK(picture() == before);
  }
  CHECK(frame_numbers(film) == range(0, 47));
  CHECK(sound_begins(film) < 0.05);
  CHECK(media::probe(film)->duration == doctest::Approx(47 / 24.0).epsilon(0.001));
}

TEST_CASE("what an option of a film is not is told with its name, value and limit") {
  const struct {
    nlohmann::json written;
    const char* message;
  } rows[] = {
      {{{"crossfade", -1}}, "crossfade is -1; it wants a number from 0 to 60"},
      {{{"crossfade", "0.3"}}, "crossfade is \"0.3\"; it wants a number from 0 to 60"},
      {{{"crossfade", NAN}}, "crossfade is null; it wants a number from 0 to 60"},
      {{{"fade", {1}}}, "fade is [1]; it wants { from, to }, both in seconds"},
      {{{"fade", {1, -2}}}, "fade.to is -2; it wants a number from 0 to 60"},
      {{{"fade", {{"form", 1}}}}, "unknown option fade.form, did you mean fade.from?; it knows"},
      {{{"size", "1281x720"}}, "size is \"1281x720\"; it wants \"WIDTHxHEIGHT\""},
      {{{"size", "720p"}}, "size is \"720p\"; it wants \"WIDTHxHEIGHT\""},
      {{{"size", 720}}, "size is 720; it wants \"WIDTHxHEIGHT\""},
      {{{"size", "99999x720"}}, "such as \"1280x720\": even numbers from 16 to 8192"},
      {{{"fps", 0}}, "fps is 0; it wants a number from 1 to 120"},
      {{{"fit", "stretch"}}, "fit is \"stretch\"; it wants \"crop\" or \"pad\""},
      {{{"mix", 0.3}}, "mix says how loud the clips' own sound stays under audio"},
      {{{"audio", 7}}, "audio is 7; it wants the path of a sound file"},
      {{{"audio", {{"volume", 1}}}}, "audio wants a path"},
      {{{"audio", {{"path", "a"}, {"volume", -1}}}}, "audio.volume is -1; it wants a number"},
      {{{"audio", {{"path", "a"}, {"loop", 1}}}}, "audio.loop is 1; it wants true or false"},
      {{{"audoi", "x"}}, "unknown option audoi, did you mean audio?; it knows audio, crossfade"},
      {{"crossfade"}, "options have names"},
  };
  for (const auto& row : rows) {
    const auto read = media::film_options(row.written);
    REQUIRE(!read);
    CHECK(read.error().kind == Kind::invalid);
    CHECK_MESSAGE(has(read.error().message, row.message), read.error().message);
  }
  CHECK(media::film_options(nlohmann::json())->crossfade == 0);
}

TEST_CASE("a clip whose boxes lie in one another without end gets no comment, and does no harm") {
  TempFolder folder;
  const auto box = [](std::size_t size, const char* type) {
    std::string head;
    for (int shift = 24; shift >= 0; shift -= 8) head += char(size >> shift & 0xFF);
    return head + type;
  };
  constexpr std::size_t kDeep = 1'000'000;
  std::string bytes = box(8, "ftyp") + box(8 * (kDeep + 1), "moov");
  for (std::size_t left = kDeep; left > 0; --left) bytes += box(8 * left, "trak");
  REQUIRE(write_file(folder / "deep.mp4", bytes).ok());
  const auto copied = media::copy_with_comment(folder / "deep.mp4", folder / "out.mp4", "A kite");
  REQUIRE(copied.ok());
  CHECK_FALSE(*copied);
}
