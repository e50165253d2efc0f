// Films of clips that are almost alike: each row is a pair, and what the film shows of it.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include "base/files.h"
#include "base/process.h"
#include "base/temp_folder.h"
#include "engine/media/ffmpeg.h"
#include "support/clip_cache.h"

using namespace kling;
using namespace kling::engine;

using test::TempFolder;

namespace {

std::vector<std::string> words(const std::string& text) {
  std::vector<std::string> list;
  std::string word;
  for (char c : text + " ")
    if (c != ' ')
      word += c;
    else if (!word.empty())
      list.push_back(std::exchange(word, ""));
  return list;
}

std::string ffmpeg_output(const std::vector<std::string>& arguments) {
  std::vector<std::string> argv = {"ffmpeg", "-nostdin", "-loglevel", "error", "-y"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  const auto result = run_process(argv, {.output_bytes = 64u << 20});
  REQUIRE(result.ok());
  INFO(result->messages);
  REQUIRE(result->exit_code == 0);
  return result->output;
}

constexpr int kFrames = 8;  // of a clip, 24 a second

/// How a clip differs from the plain one: what stands for its input, its filters, its coding, and a
/// second pass that changes only the file around the streams.
struct Sort {
  std::string filters;
  std::string coding = "-c:v libx264";
  double sound = 0;  ///< seconds of it; 0: none
  std::string again;
  std::string ending = "mp4";
  bool bare = false;  ///< without the colour tags of BT.709
  std::string rate = "24";
  int turn = 0;  ///< degrees, as ffmpeg 5 counted rotate=
};

/// Writes the matrix of the one track that an MP4 file has.
void turn(const std::string& path, int degrees) {
  std::string bytes = read_file(path, 1 << 22).value();
  const std::size_t at = bytes.find("tkhd") + 44;
  const int sine = degrees == 90 ? -1 : degrees == 270 ? 1 : 0, cosine = degrees == 180 ? -1 : 0;
  const int matrix[] = {cosine, sine, 0, -sine, cosine};
  for (std::size_t i = 0; i < std::size(matrix); ++i)
    for (std::size_t byte = 0; byte < 4; ++byte)
      bytes[at + 4 * i + byte] = char(std::uint32_t(matrix[i]) << 16 >> (24 - 8 * byte));
  REQUIRE(write_file(path, bytes).ok());
}

/// The clip's top left quarter is green, the rest blue; a grey field right below tells the frame.
std::string make(const Sort& kind, int first = 0) {
  static std::map<std::string, std::string>& made = *new std::map<std::string, std::string>;
  const std::string key = kind.filters + "|" + kind.coding + "|" + std::to_string(kind.sound) +
                          "|" + kind.again + "|" + kind.ending + "|" + std::to_string(kind.bare) +
                          "|" + kind.rate + "|" + std::to_string(first) + "|" +
                          std::to_string(kind.turn);
  if (const auto found = made.find(key); found != made.end()) return found->second;
  const std::string path =
      test::clip_cache() + "/" + std::to_string(made.size()) + "." + kind.ending;
  const std::string shade = "40+10*(N+" + std::to_string(first) + ")";
  const std::string grey = "gt(X,W/2)*gt(Y,H/2)", green = "lt(X,W/2)*lt(Y,H/2)";
  std::string graph = "color=size=96x64:rate=" + kind.rate + ",format=gbrp,geq=r='if(" + grey +
                      "," + shade + ",0)':g='if(" + grey + "," + shade + ",if(" + green +
                      ",160,0))':b='if(" + grey + "," + shade + ",if(" + green +
                      ",0,120))',trim=end_frame=" + std::to_string(kFrames);
  graph += kind.filters.empty() ? ",scale=out_color_matrix=bt709:out_range=tv,format=yuv420p"
                                : "," + kind.filters;
  const std::string tags =
      kind.bare ? kind.coding
                : "-colorspace bt709 -color_primaries bt709 -color_trc bt709 -color_range tv";
  const std::vector<std::string> tag = words(tags);
  // On the frames as well: ffmpeg 7 takes no word for it.
  for (std::size_t i = 0; i + 1 < tag.size(); ++i)
    if (tag[i].starts_with("-color"))
      graph += ",setparams=" + (tag[i] == "-color_range" ? "range" : tag[i].substr(1)) + "=" +
               tag[i + 1];
  std::vector<std::string> argv = {"-f", "lavfi", "-i", graph};
  if (kind.sound > 0) {
    argv.insert(argv.end(),
                {"-f", "lavfi", "-i",
                 "sine=frequency=440:sample_rate=44100:duration=" + std::to_string(kind.sound)});
    if (kind.coding.find("-c:a") == std::string::npos) argv.insert(argv.end(), {"-c:a", "aac"});
  }
  if (!kind.bare) argv.insert(argv.end(), tag.begin(), tag.end());
  argv.insert(argv.end(), {"-preset", "ultrafast", "-crf", "4"});
  for (const std::string& word : words(kind.coding)) argv.push_back(word);
  const std::string plain = kind.again.empty() ? path : path + ".first." + kind.ending;
  argv.push_back("file:" + plain);
  ffmpeg_output(argv);
  if (kind.turn != 0) turn(path, kind.turn);
  if (!kind.again.empty()) {
    argv = {"-i", plain};
    for (const std::string& word : words(kind.again)) argv.push_back(word == "IN" ? plain : word);
    argv.push_back("file:" + path);
    ffmpeg_output(argv);
  }
  return made[key] = path;
}

struct Look {
  int green[3];   ///< red, green and blue in the top left
  int corner[3];  ///< … in the bottom left, which is blue
  int number;     ///< told by the grey field
};

/// Every frame as an RGB picture of 96 x 64, by the tags of the file and upright.
std::vector<Look> looks(const std::string& path) {
  const std::string pixels =
      ffmpeg_output({"-i", "file:" + path, "-map", "0:v", "-vf",
                     "scale=96:64:flags=accurate_rnd+full_chroma_int,format=rgb24", "-fps_mode",
                     "passthrough", "-f", "rawvideo", "-"});
  std::vector<Look> list;
  for (std::size_t at = 0; at + 96 * 64 * 3 <= pixels.size(); at += 96 * 64 * 3) {
    const auto pixel = [&](std::size_t x, std::size_t y, std::size_t colour) {
      return int(static_cast<unsigned char>(pixels[at + (y * 96 + x) * 3 + colour]));
    };
    Look look{};
    for (std::size_t colour = 0; colour < 3; ++colour) {
      look.green[colour] = pixel(20, 14, colour);
      look.corner[colour] = pixel(20, 50, colour);
    }
    look.number = int(std::lround((pixel(74, 50, 1) - 40) / 10.0));
    list.push_back(look);
  }
  return list;
}

bool near(const int (&is)[3], int red, int green, int blue) {
  return std::abs(is[0] - red) <= 2 && std::abs(is[1] - green) <= 2 && std::abs(is[2] - blue) <= 2;
}

/// The length of the film's sound in seconds; 0: none.
double sound_length(const std::string& path) {
  const auto result = run_process({"ffprobe", "-v", "error", "-select_streams", "a:0",
                                   "-show_entries", "stream=duration", "-of", "csv=p=0", path});
  REQUIRE(result.ok());
  return std::strtod(result->output.c_str(), nullptr);
}

struct Joint {
  std::string name;
  Sort left, right;
  bool copied = false;
  int right_frames = kFrames;  ///< what a pair's second clip has in the film; 0: not looked at
};

const char* const kTo601 = "scale=out_color_matrix=bt601:out_range=tv,format=yuv420p";
const char* const k601 =
    "-c:v libx264 -colorspace smpte170m -color_primaries smpte170m -color_trc smpte170m "
    "-color_range tv";

std::vector<Joint> rows() {
  const Sort plain{}, sound{.sound = 8.0 / 24};
  const auto coded = [](const std::string& more) { return Sort{.coding = "-c:v libx264 " + more}; };
  const auto again = [](const std::string& how) { return Sort{.again = how}; };
  const auto tagged = [](const std::string& more) {
    return Sort{.coding = "-c:v libx264 -colorspace bt709 " + more, .bare = true};
  };
  const Sort sd{.filters = kTo601, .coding = k601, .bare = true};
  const Sort full{.filters = "scale=out_color_matrix=bt709:out_range=pc,format=yuvj420p",
                  .coding = "-c:v libx264 -colorspace bt709 -color_range pc",
                  .bare = true};
  // The file says: turn me; its picture is stored so that it then is upright.
  const Sort upside{.filters = "hflip,vflip,scale=out_color_matrix=bt709,format=yuv420p",
                    .turn = 180};
  const Sort lying{.filters = "transpose=2,scale=out_color_matrix=bt709,format=yuv420p",
                   .turn = 270};
  const Sort other_side{.filters = "transpose=1,scale=out_color_matrix=bt709,format=yuv420p",
                        .turn = 90};
  const Sort wide{.filters = "scale=48:64:out_color_matrix=bt709,format=yuv420p,setsar=2"};
  const Sort bframes = coded("-bf 2 -g 8 -preset medium");
  const auto with = [](double seconds, const std::string& more = "-c:a aac") {
    return Sort{.coding = "-c:v libx264 " + more, .sound = seconds};
  };
  return {
      {"equal", plain, plain, true},
      {"equal, with sound", sound, sound, true},
      {"equal, with B-frames", bframes, bframes, true},
      {"equal, both upside down", upside, upside, true},
      {"equal, both lying", lying, lying, true},
      {"equal, both BT.601", sd, sd, true},
      {"equal, both full range", full, full, true},
      {"equal, both of wide pixels", wide, wide, true},
      {"equal, a rate of 30000/1001", {.rate = "30000/1001"}, {.rate = "30000/1001"}, true},
      {"plain, upside down", plain, upside},
      {"upside down, plain", upside, plain},
      {"plain, lying", plain, lying},
      {"lying, plain", lying, plain},
      {"lying, lying on the other side", lying, other_side},
      {"plain, wide pixels", plain, wide},
      {"wide pixels, plain", wide, plain},
      {"BT.709, BT.601", plain, sd},
      {"BT.601, BT.709", sd, plain},
      {"limited range, full range", plain, full},
      {"full range, limited range", full, plain},
      {"BT.601, full range", sd, full},
      {"tagged, untagged as BT.601", plain, {.filters = kTo601, .bare = true}},
      {"another transfer", plain,
       tagged("-color_primaries bt709 -color_trc iec61966-2-1 -color_range tv")},
      {"other primaries", plain,
       tagged("-color_primaries smpte170m -color_trc bt709 -color_range tv")},
      {"4:4:4", plain, {.filters = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p"}},
      {"10 bit",
       plain,
       {.filters = "scale=out_color_matrix=bt709:out_range=tv,format=yuv420p10le"}},
      {"4:4:4 first",
       {.filters = "scale=out_color_matrix=bt709:out_range=tv,format=yuv444p"},
       plain},
      {"another time base", plain, coded("-video_track_timescale 90000")},
      {"another time base first", coded("-video_track_timescale 600"), plain},
      {"another profile", plain, coded("-profile:v main -preset medium")},
      {"another level", plain, coded("-level 4.2")},
      {"other parameter sets", plain, coded("-x264-params ref=3")},
      {"plain, B-frames", plain, bframes},
      {"HEVC", plain, {.coding = "-c:v libx265 -x265-params log-level=none -tag:v hvc1"}},
      {"both HEVC",
       {.coding = "-c:v libx265 -x265-params log-level=none"},
       {.coding = "-c:v libx265 -x265-params log-level=none"}},
      {"Matroska", plain, {.ending = "mkv"}},
      {"both Matroska", {.ending = "mkv"}, {.ending = "mkv"}},
      {"MPEG-4 Part 2", plain, {.coding = "-c:v mpeg4 -q:v 2"}},
      {"12 frames a second", plain, {.rate = "12"}, false, 2 * kFrames},
      {"30000/1001 frames a second", plain, {.rate = "30000/1001"}, false, 0},
      {"no sound, sound", plain, sound, true},
      {"sound, no sound", sound, plain, true},
      {"longer sound, plain", with(1.0), sound, true},
      {"sound, longer sound", sound, with(1.0), true},
      {"shorter sound, sound", with(0.15), sound, true},
      {"another sampling rate", sound, with(8.0 / 24, "-c:a aac -ar 22050"), true},
      {"one channel, two", sound, with(8.0 / 24, "-c:a aac -ac 2"), true},
      {"six channels", sound, with(8.0 / 24, "-c:a aac -ac 6"), true},
      {"another codec of sound", sound, with(8.0 / 24, "-c:a libmp3lame"), true},
      {"sound first in the file", sound, {.sound = 8.0 / 24, .again = "-map 0:a -map 0:v -c copy"}},
      {"a picture that starts later",
       sound,
       {.sound = 1.0, .again = "-itsoffset 0.25 -i IN -map 1:v -map 0:a -c copy"}},
      {"sound that starts later",
       sound,
       {.sound = 8.0 / 24, .again = "-itsoffset 0.2 -i IN -map 0:v -map 1:a -c copy"},
       true},
      {"no edit list",
       bframes,
       {.coding = "-c:v libx264 -bf 2 -g 8 -preset medium -use_editlist 0"},
       true,
       0},
      {"a fragmented file", plain, again("-c copy -movflags frag_keyframe+empty_moov"), true},
      {"a file with its index in front", plain, again("-c copy -movflags faststart"), true},
  };
}

void check_row(const Joint& row) {
  TempFolder folder;
  CAPTURE(row.name);
  const std::string left = make(row.left), right = make(row.right, 4);
  const std::string film = folder / "film.mp4";
  const auto made = media::concat({{left}, {right}}, film, {}, {});
  REQUIRE_MESSAGE(made.ok(), made.error().message);
  CHECK(!made->reencoded == row.copied);
  const auto frames = looks(film);
  REQUIRE(std::int64_t(frames.size()) == made->frames);
  if (row.right_frames > 0) {
    REQUIRE(int(frames.size()) == kFrames + row.right_frames);
    for (int i = 0; i < kFrames + row.right_frames; ++i) {
      const int expected = i < kFrames ? i : 4 + (i - kFrames) * kFrames / row.right_frames;
      CHECK(frames[std::size_t(i)].number == expected);
    }
  }
  for (const Look& look : frames) {
    // A BT.601 file stays one when all is alike; by its tags it shows the same.
    CHECK_MESSAGE(near(look.green, 0, 160, 0), look.green[0], " ", look.green[1], " ",
                  look.green[2]);
    CHECK_MESSAGE(near(look.corner, 0, 0, 120), look.corner[0], " ", look.corner[1], " ",
                  look.corner[2]);
  }
  const auto probe = media::probe(film, true);
  REQUIRE(probe.ok());
  const double rate = row.left.rate == "24" ? 24 : 30000.0 / 1001;
  CHECK(probe->fps == doctest::Approx(rate).epsilon(1e-6));
  const double length = double(made->frames) / rate;
  CHECK(std::abs(probe->duration - length) < 0.03);
  const bool sound = row.left.sound > 0 || row.right.sound > 0;
  CHECK(std::abs(sound_length(film) - (sound ? length : 0)) < 0.03);
}

}  // namespace

TEST_CASE("a pair of clips is shown frame by frame, upright, in its colours, with its sound") {
  for (const Joint& row : rows()) check_row(row);
}

TEST_CASE("HDR is told where its colours cannot be kept") {
  TempFolder folder;
  const auto hdr = [](const char* transfer) {
    return Sort{.filters = "scale=out_color_matrix=bt2020:out_range=tv,format=yuv420p10le",
                .coding = std::string("-c:v libx264 -colorspace bt2020nc -color_primaries bt2020 "
                                      "-color_range tv -color_trc ") +
                          transfer,
                .bare = true};
  };
  const std::string pq = make(hdr("smpte2084")), hlg = make(hdr("arib-std-b67")), plain = make({});
  std::vector<std::string> told;
  const auto warn = [&](const std::string& text) { told.push_back(text); };
  REQUIRE(media::concat({{plain}, {pq}, {hlg}}, folder / "film.mp4", {}, warn).ok());
  REQUIRE(told.size() == 2);
  CHECK(told[0].find("HDR (PQ)") != std::string::npos);
  CHECK(told[1].find("HDR (HLG)") != std::string::npos);
  const auto equal = media::concat({{pq}, {pq}}, folder / "film.mp4", {}, warn);
  REQUIRE(equal.ok());
  CHECK(!equal->reencoded);  // and so are its colours what they were
  CHECK(told.size() == 2);
  REQUIRE(media::last_frame(hlg, folder / "x.png", warn).ok());
  CHECK(told.size() == 3);
}

TEST_CASE("size and rate of a film are those of its first generated clip") {
  TempFolder folder;
  ffmpeg_output({"-f", "lavfi", "-i", "color=size=64x64,trim=end_frame=1", folder / "title.png"});
  const std::string tall =
      make({.filters = "scale=64:96:out_color_matrix=bt709,setsar=1,format=yuv420p", .rate = "25"});
  const std::string wide = make({});
  const auto probe = [&](const std::vector<media::Segment>& parts) {
    REQUIRE(media::concat(parts, folder / "film.mp4", {}, {}).ok());
    return media::probe(folder / "film.mp4").value();
  };
  const media::Segment title{.path = folder / "title.png", .still_seconds = 0.2};
  const auto generated = probe({title, {tall}, {.path = wide, .generated = true}});
  CHECK(generated.width == 96);
  CHECK(generated.fps == 24);
  const auto local = probe({title, {tall}, {wide}});
  CHECK(local.width == 64);
  CHECK(local.height == 96);
  CHECK(local.fps == 25);
}

TEST_CASE("a screen that rarely changes gives no film of its average rate") {
  TempFolder folder;
  // Frames at 0, 1.7, 5.1 and 6.8 s, on a clock of 30 a second.
  for (const std::string ending : {"mp4"}) {
    CAPTURE(ending);
    const std::string sparse = make({.filters = "trim=end_frame=4,setpts='(N*51+(gte(N,2))*51)/30/"
                                                "TB',scale=out_color_matrix=bt709,format=yuv420p",
                                     .coding = "-c:v libx264 -fps_mode vfr -enc_time_base 1/30",
                                     .ending = ending});
    REQUIRE(media::concat({{sparse}, {make({})}}, folder / "film.mp4", {}, {}).ok());
    const auto film = media::probe(folder / "film.mp4", true);
    CHECK(film->fps >= 24);
    CHECK(film->fps <= 60);
    CHECK(film->duration > 6.5);
    CHECK(media::concat({{make({})}, {sparse}}, folder / "film.mp4", {}, {}).ok());
    CHECK(media::probe(folder / "film.mp4")->fps == 24);
  }
}

TEST_CASE("frames are upright and have square pixels") {
  TempFolder folder;
  const std::string png = folder / "x.png";
  const auto size_of = [&](const std::string& filters) {
    ffmpeg_output({"-f", "lavfi", "-i",
                   "color=size=720x576:rate=5," + filters + ",trim=end_frame=2", "-c:v", "libx264",
                   "-preset", "ultrafast", folder / "a.mp4"});
    REQUIRE(media::last_frame(folder / "a.mp4", png, {}).ok());
    const auto probe = media::probe(png);
    return std::to_string(probe->width) + "x" + std::to_string(probe->height);
  };
  CHECK(size_of("setsar=64/45") == "1024x576");
  CHECK(size_of("setsar=16/15") == "768x576");
  CHECK(size_of("setsar=1") == "720x576");
}

TEST_CASE("a picture is turned as EXIF says in stills and films, and written as its name says") {
  TempFolder folder;
  const std::string upright = folder / "upright.png";
  ffmpeg_output({"-f", "lavfi", "-i",
                 "color=size=64x48,format=rgb24,geq=r='255*lt(X,32)':g='255*lt(Y,24)':b=0",
                 "-frames:v", "1", upright});
  const auto pixels = [](const std::string& path) {
    return ffmpeg_output({"-i", "file:" + path, "-frames:v", "1", "-vf",
                          "scale=2:2:flags=area,format=rgb24", "-f", "rawvideo", "-"});
  };
  const std::string wanted = pixels(upright);
  const char* const stored[] = {"null",        "hflip",       "hflip,vflip", "vflip",
                                "transpose=0", "transpose=2", "transpose=3", "transpose=1"};
  for (char orientation = 1; orientation <= 8; ++orientation) {
    CAPTURE(int(orientation));
    ffmpeg_output({"-i", upright, "-vf", stored[orientation - 1], "-pix_fmt", "yuvj444p", "-q:v",
                   "1", folder / "plain.jpg"});
    std::string bytes = read_file(folder / "plain.jpg", 1 << 20).value();
    bytes.insert(2, std::string("\xFF\xE1\0\x22"
                                "Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0",
                                29) +
                        orientation + std::string(6, '\0'));
    REQUIRE(write_file(folder / "turned.jpg", bytes).ok());
    CHECK(media::probe(folder / "turned.jpg")->width == 64);
    for (const char* name : {"out.png", "out.jpg", "out.jpeg"}) {
      CAPTURE(name);
      REQUIRE(media::convert_picture(folder / "turned.jpg", folder / name, [] {
                return Status(Done{});
              }).ok());
      const bool png = std::string(name).ends_with("png");
      CHECK(read_file(folder / name, 1 << 20)->starts_with(png ? "\x89PNG" : "\xFF\xD8\xFF"));
      const std::string is = pixels(folder / name);
      REQUIRE(is.size() == wanted.size());
      for (std::size_t i = 0; i < is.size(); ++i)
        CHECK(std::abs(int(static_cast<unsigned char>(is[i])) -
                       int(static_cast<unsigned char>(wanted[i]))) < 12);
    }
  }
  REQUIRE(media::concat({{.path = folder / "turned.jpg", .still_seconds = 0.1}},
                        folder / "film.mp4", {}, {})
              .ok());
  CHECK(media::probe(folder / "film.mp4")->width == 64);
  CHECK(media::probe(folder / "film.mp4")->height == 48);
}

TEST_CASE("a film of many parts is joined in pieces, and the seams are exact") {
  TempFolder folder;
  std::vector<media::Segment> parts;
  const std::string clip = make({.sound = 0.5}), other = make({.sound = 0.1}, 4);
  for (int i = 0; i < 40; ++i) parts.push_back({i % 2 ? clip : other, i % 5 == 4});
  const auto film = media::concat(parts, folder / "film.mp4", {}, {});
  REQUIRE(film.ok());
  CHECK(film->frames == 40 * kFrames - 8);
  std::vector<int> wanted, is;
  for (int i = 0; i < 40; ++i)
    for (int n = i % 5 == 4; n < kFrames; ++n) wanted.push_back((i % 2 ? 0 : 4) + n);
  for (const Look& look : looks(folder / "film.mp4")) is.push_back(look.number);
  CHECK(is == wanted);
  CHECK(sound_length(folder / "film.mp4") == doctest::Approx(film->frames / 24.0).epsilon(0.002));
  CHECK(folder.size() == 1);
}

TEST_CASE("three times the parts take at most three times the programs, with no longer words") {
  TempFolder folder, log;
  const std::string path = ::getenv("PATH");
  for (const std::string tool : {"ffmpeg", "ffprobe"}) {
    REQUIRE(write_file(log / tool, "#!/bin/sh\na=\"$*\"\nprintf '%s\\n' \"${#a}\" >>" +
                                       (log / "log") + "\nPATH='" + path + "' exec " + tool +
                                       " \"$@\"\n")
                .ok());
    std::filesystem::permissions(log / tool, std::filesystem::perms::owner_all);
  }
  struct Work {
    std::size_t programs = 0, longest = 0;
  };
  const auto work = [&](int count) {
    std::vector<media::Segment> parts;
    for (int i = 0; i < count; ++i) parts.push_back({make({.sound = 0.1}, i % 2 * 4), i % 5 == 4});
    std::filesystem::remove(log / "log");
    ::setenv("PATH", (log.path() + ":" + path).c_str(), 1);
    CHECK(media::concat(parts, folder / "film.mp4", {}, {}).ok());
    ::setenv("PATH", path.c_str(), 1);
    Work done;
    std::ifstream file(log / "log");
    for (std::size_t length; file >> length; ++done.programs)
      done.longest = std::max(done.longest, length);
    return done;
  };
  const Work one = work(16), three = work(48);
  CHECK(one.programs > 16);
  CHECK(three.programs <= 3 * one.programs);
  CHECK(three.longest <= one.longest * 18 / 16 + 500);  // a piece has two neighbours
}

TEST_CASE("four hundred parts are one film, each frame in its place") {
  TempFolder folder;
  std::vector<media::Segment> parts;
  std::vector<int> wanted, is;
  const auto two =
      media::concat({{.path = make({}, 0)}, {.path = make({}, 4)}}, folder / "two.mp4", {}, {});
  REQUIRE(two.ok());
  for (int i = 0; i < 400; ++i) {
    parts.push_back({.path = make({}, i % 2 * 4), .known = two->found[std::size_t(i) % 2]});
    for (int n = 0; n < kFrames; ++n) wanted.push_back(i % 2 * 4 + n);
  }
  const auto film = media::concat(parts, folder / "film.mp4", {}, {});
  REQUIRE(film.ok());
  CHECK(!film->reencoded);
  for (const Look& look : looks(folder / "film.mp4")) is.push_back(look.number);
  CHECK(is == wanted);
}

TEST_CASE("a part that is damaged or cut off is joined with a word, and a good one without") {
  TempFolder folder;
  const std::string whole =
      read_file(make({.again = "-c copy -movflags +faststart"}), 1 << 20).value();
  const std::string matroska = read_file(make({.ending = "mkv"}), 1 << 20).value();
  const auto data = whole.find("mdat") + 4;
  std::string broken = whole;
  broken.replace(data + (whole.size() - data) / 2, 600, std::string(600, '\xAA'));
  const struct {
    const char* name;
    std::string bytes;
    bool told;
  } kRows[] = {{"whole.mp4", whole, false},
               {"whole.mkv", matroska, false},
               {"cut.mp4", whole.substr(0, whole.size() - 300), true},
               {"cut.mkv", matroska.substr(0, matroska.size() - 600), true},
               {"broken.mp4", broken, true}};
  for (const auto& row : kRows) {
    CAPTURE(std::string(row.name));
    REQUIRE(write_file(folder / row.name, row.bytes).ok());
    std::vector<std::string> told;
    const auto warn = [&](const std::string& text) { told.push_back(text); };
    CHECK(media::concat({{make({})}, {folder / row.name}}, folder / "film.mp4", {}, warn).ok());
    CHECK(media::last_frame(folder / row.name, folder / "last.png", warn).ok());
    CHECK(told.size() == (row.told ? 2 : 0));
    for (const std::string& text : told)
      CHECK(text.find(std::string(row.name) + " may be damaged or cut off (") != text.npos);
  }
}

TEST_CASE("a video is known by its content, and the reason of a failure is the reason") {
  TempFolder folder;
  std::filesystem::copy_file(make({}), folder / "video");
  std::filesystem::copy_file(make({}), folder / "phone.3gp");
  CHECK(media::concat({{folder / "video"}, {folder / "phone.3gp"}}, folder / "film.mp4", {}, {})
            .ok());
  std::string bytes = read_file(make({}), 1 << 20).value();
  const auto data = bytes.find("mdat");
  bytes.replace(data + 8, 200, std::string(200, '\xAA'));
  REQUIRE(write_file(folder / "broken.mp4", bytes).ok());
  const Status broken = media::last_frame(folder / "broken.mp4", folder / "x.png", {});
  if (!broken) CHECK(broken.error().message.find("repeated") == std::string::npos);
  const auto list = media::probe("/dev/null");
  REQUIRE(!list);
}

TEST_CASE("an ffmpeg that is too old is named before anything else") {
  TempFolder folder;
  const std::string clip = make({});
  const std::string path = ::getenv("PATH");
  ::setenv("PATH", (folder.path() + ":" + path).c_str(), 1);
  const auto with = [&](const std::string& version) {
    REQUIRE(write_file(folder / "ffmpeg", "#!/bin/sh\ncat <<'END'\n" + version + "\nEND\n").ok());
    std::filesystem::permissions(folder / "ffmpeg", std::filesystem::perms::owner_all);
    const Status status = media::check_ffmpeg();
    return status ? "" : status.error().message;
  };
  CHECK(with("ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright (c) 2000-2021") ==
        "ffmpeg version 4.4.2-0ubuntu0.22.04.1 on PATH is too old: frames and films need 5.1 or "
        "later");
  CHECK(media::last_frame(clip, folder / "x.png", {}).error().message.find("too old") !=
        std::string::npos);
  CHECK(with("ffmpeg version n5.0.1 Copyright") != "");
  CHECK(with("ffmpeg version N-104348-gbb10f8d802 Copyright\nlibavutil      57.  7.100 / 57.  "
             "7.100") != "");
  CHECK(with("ffmpeg version N-112-g1 Copyright\nlibavutil      58. 29.100 / 58. 29.100") == "");
  // Both are needed.
  std::filesystem::rename(folder / "ffmpeg", folder / "ffprobe");
  media::use_tools("");  // what was found before is forgotten
  CHECK(with("ffmpeg version 7.1") == "ffprobe does not run: no reason was given");
  ::setenv("PATH", path.c_str(), 1);
  CHECK(media::check_ffmpeg().ok());
}
