// The clips: playable files of the asked shape, that begin and end where they were told to.
#include "base/files.h"
#include "base/process.h"
#include "fixture.h"

namespace kling::sim::testing {
namespace {

std::string run(const std::vector<std::string>& argv) {
  ProcessLimits limits;
  limits.output_bytes = 64u << 20;
  auto result = run_process(argv, limits);
  REQUIRE_MESSAGE(result.ok(), (result ? "" : result.error().message));
  REQUIRE_MESSAGE(result->exit_code == 0, result->messages);
  return result->output;
}

Json probe(const std::string& path) {
  return Json::parse(run({"ffprobe", "-v", "error", "-of", "json", "-count_frames", "-show_streams",
                          "-show_format", path}));
}

/// Pixels, 640 × 360, of the picture that `seek` names.
std::string pixels(std::vector<std::string> seek, const std::string& path,
                   const std::string& filter = "") {
  std::vector<std::string> argv = {"ffmpeg", "-v", "error", "-nostdin"};
  argv.insert(argv.end(), seek.begin(), seek.end());
  argv.insert(argv.end(), {"-i", path, "-frames:v", "1", "-vf", filter + "scale=640:360", "-f",
                           "rawvideo", "-pix_fmt", "rgb24", "-"});
  return run(argv);
}

double difference(const std::string& a, const std::string& b) {
  REQUIRE(a.size() == b.size());
  REQUIRE(!a.empty());
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    sum += std::abs(static_cast<unsigned char>(a[i]) - static_cast<unsigned char>(b[i]));
  }
  return sum / static_cast<double>(a.size());
}

std::string save(const TemporaryFolder& folder, const std::string& name, const std::string& data) {
  const std::string path = folder.path + "/" + name;
  REQUIRE(write_file(path, data).ok());
  return path;
}

std::string picture(const TemporaryFolder& folder, const std::string& name,
                    const std::string& source) {
  const std::string path = folder.path + "/" + name;
  run({"ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, "-frames:v", "1",
       path});
  return path;
}

std::string base64_of(const std::string& path) {
  return base64_encode(*read_file(path, 64u << 20));
}

std::string download(Fixture& sim, const std::string& path) {
  const auto answer = sim.client().Get(path.c_str());
  REQUIRE(answer);
  CHECK(answer->status == 200);
  CHECK(answer->get_header_value("Content-Type") == "video/mp4");
  return answer->body;
}

}  // namespace

TEST_CASE("a clip has the asked length shape and no sound") {
  TemporaryFolder folder;
  Options options;
  options.state_dir = folder.path + "/it's: a [folder]; really,yes";
  Fixture sim(options);
  const Json body = {{"model_name", "kling-v2-6"},
                     {"aspect_ratio", "9:16"},
                     {"prompt", "50% of 'this': %{pts} [x]; \\ and \"that\"\nä漢"}};
  const std::string path = sim.clip_path("text2video", sim.accepted("text2video", body));
  const std::string file = save(folder, "a.mp4", download(sim, path));
  const Json about = probe(file);
  REQUIRE(about["streams"].size() == 1);
  const Json stream = about["streams"][0];
  CHECK(stream["codec_name"] == "h264");
  CHECK(stream["pix_fmt"] == "yuv420p");
  CHECK(stream["width"] == 720);
  CHECK(stream["height"] == 1280);
  CHECK(stream["nb_read_frames"] == "121");
  CHECK(stream["r_frame_rate"] == "24/1");
  CHECK(sim.simulator->counters().renders == 1);
  CHECK(difference(pixels({"-ss", "1"}, file), pixels({"-ss", "4"}, file)) > 5);  // it moves
  CHECK(download(sim, path).size() == std::filesystem::file_size(file));
  CHECK(sim.simulator->counters().renders == 1);
}

TEST_CASE("a clip begins with its first and ends with its last frame and is rendered once") {
  TemporaryFolder folder;
  const std::string frame = base64_of(picture(folder, "frame.png", "testsrc2=s=1280x720"));
  Fixture sim;
  const Json body = {
      {"model_name", "kling-v3"}, {"prompt", "a change"}, {"image", frame}, {"image_tail", frame}};
  const std::string path = sim.clip_path("image2video", sim.accepted("image2video", body));
  download(sim, path);
  const std::string file = save(folder, "a.mp4", download(sim, path));
  CHECK(sim.simulator->counters().renders == 1);
  const std::string wanted = pixels({}, folder.path + "/frame.png");
  for (const char* number : {"0", "119", "120"})
    CHECK(difference(pixels({}, file, "select=eq(n\\," + std::string(number) + "),"), wanted) < 6);
}

TEST_CASE("a clip with sound has an audio stream of the same length") {
  TemporaryFolder folder;
  Fixture sim;
  const Json body = {
      {"model_name", "kling-v3"}, {"prompt", "waves"}, {"duration", "3"}, {"sound", "on"}};
  const std::string id = sim.accepted("text2video", body);
  const Json about = probe(save(folder, "a.mp4", download(sim, sim.clip_path("text2video", id))));
  REQUIRE(about["streams"].size() == 2);
  CHECK(about["streams"][1]["codec_name"] == "aac");
  CHECK(std::stod(about["streams"][1]["duration"].get<std::string>()) ==
        doctest::Approx(3.04).epsilon(0.02));
  CHECK(std::stod(about["format"]["duration"].get<std::string>()) ==
        doctest::Approx(3.04).epsilon(0.02));
}

TEST_CASE("an image2video clip begins with its image and ends with its tail") {
  TemporaryFolder folder;
  const std::string first = picture(folder, "first.png", "testsrc2=s=1280x720");
  const std::string last = picture(folder, "last.jpg", "smptehdbars=s=1280x720");
  Fixture sim;
  const Json body = {{"model_name", "kling-v3"},
                     {"duration", "3"},
                     {"prompt", "a change"},
                     {"image", base64_of(first)},
                     {"image_tail", base64_of(last)}};
  const std::string id = sim.accepted("image2video", body);
  const std::string file = save(folder, "a.mp4", download(sim, sim.clip_path("image2video", id)));
  const Json stream = probe(file)["streams"][0];
  CHECK(stream["width"] == 1280);
  CHECK(stream["height"] == 720);
  const std::string begin = pixels({}, file);
  CHECK(difference(begin, pixels({}, first)) < 4);
  CHECK(difference(pixels({"-ss", "2.99"}, file), pixels({}, last)) < 6);
  CHECK(difference(pixels({"-ss", "1.5"}, file), begin) > 10);
}

TEST_CASE("clips differ by prompt and by take and are the same for the same request") {
  TemporaryFolder folder;
  const auto made = [&](Fixture& sim, const char* prompt) {
    const Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", prompt}};
    return sim.clip_path("text2video", sim.accepted("text2video", body));
  };
  Fixture one, two;
  const std::string a = made(one, "a lighthouse"), b = made(one, "a storm"),
                    c = made(one, "a storm");
  const auto frame = [&](Fixture& sim, const std::string& path) {
    return pixels({}, save(folder, "frame.mp4", download(sim, path)));
  };
  const std::string first = frame(one, a);
  CHECK(difference(first, frame(one, b)) > 5);
  CHECK(b.substr(0, 40) != c.substr(0, 40));
  const std::string again = made(two, "a lighthouse");
  CHECK(a.substr(0, a.find('?')) == again.substr(0, again.find('?')));
  CHECK(difference(first, frame(two, again)) == 0);
}

TEST_CASE("equal requests have clips of their own in draft too") {
  Options options;
  options.draft = true;
  Fixture sim(options);
  const Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", "a storm"}};
  const std::string path = sim.clip_path("text2video", sim.accepted("text2video", body));
  sim.accepted("text2video", body);  // not begun while the first one is had
  CHECK(download(sim, path).size() > 1000);
}

TEST_CASE("an edited clip keeps the length and shape of its source") {
  TemporaryFolder folder;
  Fixture sim;
  const Json first = {{"model_name", "kling-v3"},
                      {"duration", "3"},
                      {"prompt", "a street"},
                      {"aspect_ratio", "1:1"}};
  const std::string source = sim.clip_path("text2video", sim.accepted("text2video", first));
  const Json edit = {
      {"prompt", "make it snow in <<<video_1>>> with <<<image_1>>>"},
      {"mode", "std"},
      {"image_list", {{{"image_url", "https://example.com/snow.png"}}}},
      {"video_list",
       {{{"video_url", sim.simulator->base_url() + source}, {"refer_type", "base"}}}}};
  const std::string id = sim.accepted("omni-video", edit);
  const Json stream =
      probe(save(folder, "a.mp4", download(sim, sim.clip_path("omni-video", id))))["streams"][0];
  CHECK(stream["width"] == 960);
  CHECK(stream["height"] == 960);
  CHECK(stream["nb_read_frames"] == "73");
  CHECK(sim.simulator->counters().renders == 2);
}

TEST_CASE("downloads resume by range and end with their URL") {
  Options options;
  options.url_life = 60'000;
  Fixture sim(options);
  const Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", "waves"}};
  const std::string id = sim.accepted("text2video", body);
  const std::string path = sim.clip_path("text2video", id);
  const std::string whole = download(sim, path);
  const auto part = [&](const std::string& range) {
    return sim.client().Get(path.c_str(), httplib::Headers{{"Range", "bytes=" + range}});
  };
  const auto tail = part("1000-");
  REQUIRE(tail);
  CHECK(tail->status == 206);
  CHECK(tail->body == whole.substr(1000));
  CHECK(tail->get_header_value("Content-Range") ==
        "bytes 1000-" + std::to_string(whole.size() - 1) + "/" + std::to_string(whole.size()));
  CHECK(part("0-99")->body == whole.substr(0, 100));
  CHECK(part("-10")->body == whole.substr(whole.size() - 10));
  CHECK(part("5-99999999")->body == whole.substr(5));
  CHECK(part(std::to_string(whole.size()) + "-")->status == 416);

  REQUIRE(sim.simulator->add_fault("download#7: truncate").ok());
  const auto cut = sim.client().Get(path.c_str());
  CHECK(!cut);
  CHECK(sim.client().Get((path + "0").c_str())->status == 403);
  sim.clock->advance(61'000);
  CHECK(sim.client().Get(path.c_str())->status == 403);
  CHECK(sim.client().Get(sim.clip_path("text2video", id).c_str())->status == 200);
  sim.clock->advance(Millis{31} * 86'400'000);
  CHECK(sim.client().Get(sim.clip_path("text2video", id).c_str())->status == 404);
}

TEST_CASE("a clip asked for by several at once is rendered once") {
  Fixture sim;
  const Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", "waves"}};
  const std::string path = sim.clip_path("text2video", sim.accepted("text2video", body));
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 5; ++i) {
    clients.emplace_back([&] {
      httplib::Client client(sim.simulator->base_url());
      client.set_read_timeout(300);
      const auto answer = client.Get(path.c_str());
      if (answer && answer->status == 200) ++good;
    });
  }
  for (auto& client : clients) client.join();
  CHECK(good == 5);
  CHECK(sim.simulator->counters().renders == 1);
}

}  // namespace kling::sim::testing
