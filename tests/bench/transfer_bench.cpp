// Requests and downloads beside their peers, in turn: bare cpp-httplib with as many threads, and
// curl. ./dev bench. Prints rows of the closing table (report.sh): by the clock, and the ratio is
// the median of the pairs'.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include <httplib.h>

#include "base/process.h"
#include "net/download.h"
#include "net/transport.h"

using namespace kling;

namespace {

constexpr int kPairs = 7;
constexpr int kThreads = 8;
constexpr int kRequests = 250;  // a thread
constexpr std::size_t kFilmBytes = 256u << 20;

const std::string kBody = R"({"prompt":")" + std::string(300, 'x') + "\"}";

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void on_threads(const std::function<void()>& work) {
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work);
  for (std::thread& thread : threads) thread.join();
}

double median(std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  return figures[figures.size() / 2];
}

/// Runs both in turn, so that what else the machine does meets both. `amount` is done in one run.
void compare(const char* what, double amount, const char* unit, const std::function<void()>& ours,
             const std::function<void()>& peer, double goal) {
  std::vector<double> mine, others, ratios;
  for (int i = 0; i < kPairs; ++i) {
    mine.push_back(amount / seconds_of(ours));
    others.push_back(amount / seconds_of(peer));
    ratios.push_back(mine.back() / others.back());
  }
  std::printf("| %s | %.0f %s | %.0f, ratio %.2f | ratio %.2f | %s |\n", what, median(mine), unit,
              median(others), median(ratios), goal, median(ratios) >= goal ? "met" : "not met");
}

std::string film() {
  std::string bytes(
      "\0\0\0\x10"
      "ftypisom\0\0\0\0",
      16);
  const std::size_t rest = kFilmBytes - bytes.size();
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(rest >> shift & 0xff);
  bytes += "mdat";
  bytes.resize(kFilmBytes, 'm');
  return bytes;
}

}  // namespace

int main() {
  namespace fs = std::filesystem;
  const std::string clip = film();
  httplib::Server server;
  server.new_task_queue = [] { return new httplib::ThreadPool(4 * kThreads); };
  server.set_keep_alive_max_count(1'000'000);
  server.set_tcp_nodelay(true);
  server.Post("/create", [](const httplib::Request& request, httplib::Response& response) {
    response.set_content(R"({"code":0,"size":)" + std::to_string(request.body.size()) + "}",
                         "application/json");
  });
  server.Get("/query", [](const httplib::Request&, httplib::Response& response) {
    response.set_content(kBody, "application/json");
  });
  server.Get("/film.mp4", [&](const httplib::Request&, httplib::Response& response) {
    response.set_content_provider(clip.size(), "video/mp4",
                                  [&](std::size_t from, std::size_t size, httplib::DataSink& sink) {
                                    return sink.write(clip.data() + from, size);
                                  });
  });
  const int port = server.bind_to_any_port("127.0.0.1");
  std::thread listener([&] { server.listen_after_bind(); });
  while (!server.is_running()) std::this_thread::yield();
  const std::string address = "http://127.0.0.1:" + std::to_string(port);
  bool failed = false;

  const auto transport = net::make_transport({.base_url = address});
  compare(
      "queries with 8 threads, by the clock, beside bare cpp-httplib", kThreads * kRequests, "/s",
      [&] {
        on_threads([&] {
          for (int i = 0; i < kRequests; ++i) {
            if ((*transport)->send({.target = "/query"}).status != 200) failed = true;
          }
        });
      },
      [&] {
        on_threads([&] {
          httplib::Client client(address);
          client.set_keep_alive(true);
          client.set_tcp_nodelay(true);
          for (int i = 0; i < kRequests; ++i)
            if (!client.Get("/query")) failed = true;
        });
      },
      0.85);
  compare(
      "creates with 8 threads, a connection each, likewise", kThreads * kRequests, "/s",
      [&] {
        on_threads([&] {
          for (int i = 0; i < kRequests; ++i) {
            net::HttpRequest request{.method = "POST", .target = "/create"};
            request.body.push_back({.text = kBody});
            if ((*transport)->send(request).status != 200) failed = true;
          }
        });
      },
      [&] {
        on_threads([&] {
          for (int i = 0; i < kRequests; ++i) {
            httplib::Client client(address);
            client.set_tcp_nodelay(true);
            if (!client.Post("/create", kBody, "application/json")) failed = true;
          }
        });
      },
      0.85);

  const fs::path folder = fs::temp_directory_path() / ("kling-bench-" + std::to_string(port));
  fs::create_directory(folder);
  const std::string ours = folder / "ours.mp4", peers = folder / "curl.mp4";
  const auto fetch = [&] {
    fs::remove(ours);
    if (!net::download(address + "/film.mp4", ours, {})) failed = true;
  };
  const auto beside = [&](const char* what, const std::string& command) {
    compare(
        what, static_cast<double>(kFilmBytes) / 1e6, "MB/s", fetch,
        [&] {
          fs::remove(peers);
          const auto done = run_process({"sh", "-c", command, peers, address + "/film.mp4"});
          if (!done || done->exit_code != 0) failed = true;
        },
        0.8);
  };
  beside("a download of 256 MB, by the clock, beside curl", "curl -s -o \"$0\" \"$1\"");
  beside("the same, beside curl, sha256sum and sync",
         "curl -s -o \"$0\" \"$1\" && sha256sum \"$0\" && sync \"$0\"");
  fs::remove_all(folder);
  server.stop();
  listener.join();
  if (failed) std::fprintf(stderr, "something failed: the figures mean nothing\n");
  return failed ? 1 : 0;
}
