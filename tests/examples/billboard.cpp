// A game loop with a billboard in its scene, which shows clips that a script generates meanwhile:
//     billboard SCRIPT PICTURE.bmp
// KLING_BASE_URL and KLING_API_KEY name the service. Draws at 60 frames a second until the last
// clip of the script has been shown for a while, saves a picture of that, and tells the frame
// times.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

#include <SDL.h>
#include <kling/host.hpp>

namespace {

constexpr int kWidth = 960, kHeight = 540;
constexpr int kClipWidth = 320, kClipHeight = 180;
constexpr double kFrameMillis = 1000.0 / 60;
constexpr int kTickMicros = 500;

double real_millis() {
  return static_cast<double>(SDL_GetPerformanceCounter()) * 1000 /
         static_cast<double>(SDL_GetPerformanceFrequency());
}

/// What this thread has worked, whatever else the machine did.
double own_millis() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1000 + static_cast<double>(time.tv_nsec) / 1e6;
}

/// Decodes a clip beside the game, as a game's own video player would.
class Player {
 public:
  ~Player() { stop(); }
  void play(const std::string& path) {
    stop();
    pixels_.clear();
    thread_path_ = path;
    shown_ = 0;
    ready_ = 0;
    thread_ = SDL_CreateThread(decode, "player", this);
  }
  /// The next picture, null while there is none.
  const unsigned char* next() {
    const int ready = SDL_AtomicGet(&decoded_) != 0 ? ready_ : 0;
    if (ready == 0) return nullptr;
    return pixels_.data() + static_cast<std::size_t>(shown_++ % ready) * kPicture;
  }
  bool playing() const { return thread_ != nullptr; }

 private:
  static constexpr std::size_t kPicture = std::size_t{kClipWidth} * kClipHeight * 3;

  static int decode(void* data) {
    auto& self = *static_cast<Player*>(data);
    const std::string command = "ffmpeg -v error -i '" + self.thread_path_ +
                                "' -t 2 -vf scale=320:180 -f rawvideo -pix_fmt rgb24 -";
    std::FILE* pipe = popen(command.c_str(), "r");
    if (pipe == nullptr) return 1;
    std::vector<unsigned char> picture(kPicture);
    while (std::fread(picture.data(), 1, kPicture, pipe) == kPicture)
      self.pixels_.insert(self.pixels_.end(), picture.begin(), picture.end());
    pclose(pipe);
    self.ready_ = static_cast<int>(self.pixels_.size() / kPicture);
    SDL_AtomicSet(&self.decoded_, 1);
    return 0;
  }
  void stop() {
    if (thread_ != nullptr) SDL_WaitThread(thread_, nullptr);
    thread_ = nullptr;
    SDL_AtomicSet(&decoded_, 0);
  }

  std::string thread_path_;
  std::vector<unsigned char> pixels_;
  int ready_ = 0, shown_ = 0;
  SDL_atomic_t decoded_{};
  SDL_Thread* thread_ = nullptr;
};

void draw_scene(SDL_Renderer* renderer, SDL_Texture* clip, bool shows, double time) {
  for (int y = 0; y < kHeight; ++y) {  // dusk
    const double share = static_cast<double>(y) / kHeight;
    SDL_SetRenderDrawColor(renderer, static_cast<Uint8>(20 + 90 * share),
                           static_cast<Uint8>(24 + 40 * share), static_cast<Uint8>(60 + 30 * share),
                           255);
    SDL_RenderDrawLine(renderer, 0, y, kWidth, y);
  }
  SDL_SetRenderDrawColor(renderer, 14, 14, 22, 255);
  for (int i = 0; i < 12; ++i) {  // houses pass by
    const double x = std::fmod(i * 110 - time * 40, 1320);
    const SDL_Rect house{static_cast<int>(x < -110 ? x + 1320 : x), 330 + i * 37 % 80, 90, 300};
    SDL_RenderFillRect(renderer, &house);
  }
  const SDL_Rect post{470, 330, 20, 210}, frame{290, 130, 380, 220}, picture{300, 140, 360, 200};
  SDL_SetRenderDrawColor(renderer, 50, 50, 60, 255);
  SDL_RenderFillRect(renderer, &post);
  SDL_RenderFillRect(renderer, &frame);
  if (shows) {
    SDL_RenderCopy(renderer, clip, nullptr, &picture);
  } else {
    SDL_SetRenderDrawColor(renderer, 8, 8, 8, 255);
    SDL_RenderFillRect(renderer, &picture);
  }
}

double percentile(std::vector<double> values, double share) {
  std::sort(values.begin(), values.end());
  return values[static_cast<std::size_t>(share * static_cast<double>(values.size() - 1))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return std::fprintf(stderr, "usage: billboard SCRIPT PICTURE.bmp\n"), 2;
  SDL_SetHint(SDL_HINT_RENDER_DRIVER, "software");
  if (SDL_Init(SDL_INIT_VIDEO) != 0) return std::fprintf(stderr, "%s\n", SDL_GetError()), 1;
  SDL_Window* window = SDL_CreateWindow("billboard", 0, 0, kWidth, kHeight, 0);
  SDL_Renderer* renderer = SDL_CreateRenderer(window, -1, SDL_RENDERER_SOFTWARE);
  SDL_Texture* clip = SDL_CreateTexture(renderer, SDL_PIXELFORMAT_RGB24,
                                        SDL_TEXTUREACCESS_STREAMING, kClipWidth, kClipHeight);
  if (clip == nullptr) return std::fprintf(stderr, "%s\n", SDL_GetError()), 1;

  kling::HostOptions options;
  options.ledger = ":memory:";
  options.poll = 0.2;
  if (const char* url = std::getenv("KLING_BASE_URL")) options.base_url = url;
  if (const char* key = std::getenv("KLING_API_KEY")) options.key = key;
  kling::Host host(std::move(options));
  const auto task = host.run_file(argv[1]);
  if (task == 0) return std::fprintf(stderr, "%s\n", host.error().c_str()), 1;

  Player player;
  std::string shown = "null";
  std::vector<double> frames, ticks;
  int over_budget = 0, pictures_of_last = 0;
  bool shows = false;
  const double start = real_millis();
  while (pictures_of_last < 60 && real_millis() - start < 600'000) {
    const double began = real_millis();
    for (SDL_Event event; SDL_PollEvent(&event) != 0;)
      if (event.type == SDL_QUIT) return 0;

    const double before = own_millis();
    host.tick(kTickMicros);
    ticks.push_back(own_millis() - before);

    // The script says which clip is to be seen: `billboard = path`.
    if (frames.size() % 10 == 0) {
      const std::string wanted = host.get("billboard");
      if (wanted != shown && wanted.size() > 2 && wanted != "null") {
        shown = wanted;
        player.play(wanted.substr(1, wanted.size() - 2));
      }
    }
    if (const unsigned char* picture = player.next()) {
      SDL_UpdateTexture(clip, nullptr, picture, kClipWidth * 3);
      shows = true;
      if (!host.running(task)) ++pictures_of_last;
    }
    if (host.failed(task)) return std::fprintf(stderr, "%s\n", host.result(task).c_str()), 1;
    draw_scene(renderer, clip, shows, (began - start) / 1000);
    SDL_RenderPresent(renderer);

    const double took = real_millis() - began;
    frames.push_back(took);
    if (ticks.back() > kFrameMillis / 4) ++over_budget;
    if (took < kFrameMillis) SDL_Delay(static_cast<Uint32>(kFrameMillis - took));
  }

  SDL_Surface* screen =
      SDL_CreateRGBSurfaceWithFormat(0, kWidth, kHeight, 24, SDL_PIXELFORMAT_RGB24);
  SDL_RenderReadPixels(renderer, nullptr, SDL_PIXELFORMAT_RGB24, screen->pixels, screen->pitch);
  SDL_SaveBMP(screen, argv[2]);
  std::printf(
      "%zu frames, of which the script's ticks: median %.3f ms, p99 %.3f ms, longest %.3f ms\n",
      frames.size(), percentile(ticks, 0.5), percentile(ticks, 0.99), percentile(ticks, 1));
  std::printf("frame times: median %.1f ms, p99 %.1f ms; over budget because of us: %d\n",
              percentile(frames, 0.5), percentile(frames, 0.99), over_budget);
  std::printf("clips shown: %s\n", shows ? "yes" : "no");
  SDL_FreeSurface(screen);
  SDL_Quit();
  return shows ? 0 : 1;
}
