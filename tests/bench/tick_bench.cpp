// What a frame pays for a thousand jobs, whose service is a hook of this program: ./dev bench.
// Prints rows of the closing table (report.sh). Times of ticks are CPU of the ticking thread: what
// else the machine does is not the library's.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "kling/host.hpp"

namespace {

using Steady = std::chrono::steady_clock;

double micros(Steady::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void line(const char* what, double figure, double goal, const char* unit) {
  std::printf("| %s | %.2f %s | | %.0f %s | %s |\n", what, figure, unit, goal, unit,
              figure <= goal ? "met" : "not met");
}

double percentile(std::vector<double>& figures, double share) {
  std::sort(figures.begin(), figures.end());
  return figures[static_cast<std::size_t>(share * static_cast<double>(figures.size() - 1))];
}

constexpr int kJobs = 1000;

/// Micro-seconds of CPU that this thread has used.
double thread_micros() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e6 + static_cast<double>(time.tv_nsec) / 1e3;
}

/// A socket on loopback that takes connections. `port` becomes its own.
int listening(int& port) {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(listener, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(listener, 256);
  ::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size);
  port = ntohs(address.sin_port);
  return listener;
}

/// Serves one small clip at any path, a connection each, until the program ends.
int serve_clips() {
  int port = 0;
  const int listener = listening(port);
  std::thread([listener] {
    const std::string clip(
        "\0\0\0\x10"
        "ftypisom\0\0\0\0"
        "\0\0\0\x08moov"
        "\0\0\0\x10mdat12345678",
        40);
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nConnection: close\r\n"
        "Content-Length: " +
        std::to_string(clip.size()) + "\r\n\r\n" + clip;
    for (int connection; (connection = ::accept(listener, nullptr, nullptr)) >= 0;) {
      char request[4096];
      (void)!::read(connection, request, sizeof request);
      (void)!::write(connection, answer.data(), answer.size());
      ::close(connection);
    }
  }).detach();
  return port;
}

/// Answers at once: accepted, and processing until `finished`.
struct Service {
  int creates = 0, clips = 0;
  bool finished = false;
  void answer(const kling_request& request, kling::Exchange exchange) {
    const bool create = std::string(request.method) == "POST";
    if (create) ++creates;
    const std::string target = request.target;
    const std::string id =
        create ? std::to_string(1000 + creates) : target.substr(target.rfind('/') + 1);
    const std::string result =
        R"("succeed","task_result":{"videos":[{"id":"v","url":"http://127.0.0.1:)" +
        std::to_string(clips) + "/" + id + R"(.mp4","duration":"5"}]})";
    exchange.answer(200, R"({"code":0,"data":{"task_id":")" + id +
                             R"(","created_at":1,"updated_at":1,"task_status":)" +
                             (finished && !create ? result : R"("processing")") + "}}");
  }
};

/// Ticks as a game does, 60 times a second, while `going`; the CPU of each tick, in micro-seconds.
template <class Condition>
std::vector<double> frames(kling::Host& host, Condition going) {
  std::vector<double> times;
  while (going()) {
    const auto start = Steady::now();
    const double before = thread_micros();
    host.tick(1000);
    times.push_back(thread_micros() - before);
    std::this_thread::sleep_until(start + std::chrono::microseconds(16'667));
  }
  return times;
}

auto for_millis(int length) {
  return [end = Steady::now() + std::chrono::milliseconds(length)] { return Steady::now() < end; };
}

void ticks(const char* phase, std::vector<double> times) {
  std::printf(
      "ticks at 60 Hz while 1,000 jobs %-9s p50 %7.1f us, p99 %7.1f, p99.9 %7.1f, max %7.1f of "
      "%zu\n",
      phase, percentile(times, 0.5), percentile(times, 0.99), percentile(times, 0.999),
      *std::max_element(times.begin(), times.end()), times.size());
}

void list(kling::Host& host, const char* when) {
  const double before = thread_micros();
  host.jobs();
  line(when, (thread_micros() - before) / 1000, 2, "ms");
}

/// How long a host takes to go away while its requests have no answers, in ms: from a
/// hook that owes them, or from a socket that takes connections and is silent.
double leaving(bool hook) {
  int port = 0;
  const int silent = listening(port);
  std::vector<kling::Exchange> owed;
  kling::HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.base_url = "http://127.0.0.1:" + std::to_string(port);
  if (hook)
    options.send = [&](const kling_request&, kling::Exchange exchange) {
      owed.push_back(std::move(exchange));
    };
  kling::Host host(std::move(options));
  host.run("many.lua", "for i = 1, 30 do require 'kling'.text2video { prompt = tostring(i) } end");
  frames(host, for_millis(300));
  const auto start = Steady::now();
  host = kling::Host();
  const double took = micros(Steady::now() - start) / 1000;
  ::close(silent);
  return took;
}

/// A host whose script has made a thousand jobs and waits for each.
kling::Host many(Service& service, const char* phase) {
  kling::HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.poll = 20;  // fifty looks a second
  options.send = [&](const kling_request& request, kling::Exchange exchange) {
    service.answer(request, std::move(exchange));
  };
  kling::Host host(std::move(options));
  host.run("many.lua", R"(
    local kling = require "kling"
    for i = 1, 1000 do
      kling.spawn(function() kling.text2video { prompt = tostring(i) }:wait() end)
    end)");
  auto begin = frames(host, [&] { return service.creates < kJobs; });
  if (phase != nullptr) ticks(phase, begin);
  frames(host, for_millis(500));
  return host;
}

}  // namespace

int main() {
  Service service;
  service.clips = serve_clips();
  kling::Host host = many(service, "begin");
  auto waiting = frames(host, for_millis(10'000));
  ticks("wait", waiting);
  line("CPU of a tick while 1,000 jobs wait, p99", percentile(waiting, 0.99), 100, "us");
  list(host, "CPU of kling_host_jobs of 1,000 jobs, the first call");
  list(host, "  and again");
  service.finished = true;
  const auto limit = Steady::now() + std::chrono::minutes(3);
  ticks("end", frames(host, [&] { return host.pending() > 0 && Steady::now() < limit; }));
  list(host, "  and when each has changed, with a warning");
  host = kling::Host();

  Service other;
  host = many(other, nullptr);
  const auto start = Steady::now();
  host = kling::Host();
  line("end of a host with 1,000 jobs, by the clock", micros(Steady::now() - start) / 1000, 100,
       "ms");
  const double owed = leaving(true), silent = leaving(false);
  line("end of a host whose hook owes its answers", owed, 150, "ms");
  line("end of a host whose service is silent", silent, 150, "ms");
  return percentile(waiting, 0.99) <= 100 && owed <= 150 && silent <= 150 ? 0 : 1;
}
