#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/files.h"
#include "base/process.h"
#include "base/temp_folder.h"
#include "engine/media/ffmpeg.h"

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
  return media::concat(parts, out, audio, {});
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
  CHECK(has(cut.error().message, "cut.mp4 cannot be read: Invalid data"));
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
  CHECK(has(late.error().message, "1.000000 s long"));
  for (const double bad : {-0.1, double(NAN), HUGE_VAL, 1e300})
    CHECK(!frame_at(folder / "a.mp4", bad, folder / "x.png"));
  CHECK(folder.size() == 1);
}

TEST_CASE("a sound without a picture has no frame") {
  TempFolder folder;
  ffmpeg({"-f", "lavfi", "-i", "sine=d=0.2", folder / "a.m4a"});
  CHECK(media::probe(folder / "a.m4a")->video_codec.empty());
  CHECK(has(last_frame(folder / "a.m4a", folder / "x.png").error().message, "only sound"));
  CHECK(has(join({{folder / "a.m4a"}}, folder / "x.mp4").error().message, "only sound"));
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
