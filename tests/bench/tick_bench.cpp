// What a frame pays for a thousand waiting jobs, whose service is a hook of this program: ./dev
// bench. Prints one line a figure: what it is, the figure, the goal, and their ratio.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kling/host.hpp"

namespace {

using Steady = std::chrono::steady_clock;

double micros(Steady::duration time) {
  return std::chrono::duration<double, std::micro>(time).count();
}

void line(const char* what, double figure, double goal, const char* unit) {
  std::printf("%-52s %9.2f %s, goal %.0f, ratio %.2f\n", what, figure, unit, goal, figure / goal);
}

double percentile(std::vector<double>& figures, double share) {
  std::sort(figures.begin(), figures.end());
  return figures[static_cast<std::size_t>(share * static_cast<double>(figures.size() - 1))];
}

/// Answers at once: accepted, and processing for ever.
struct Service {
  int creates = 0;
  long queries = 0;
  void answer(const kling_request& request, kling::Exchange exchange) {
    const bool create = std::string(request.method) == "POST";
    create ? ++creates : ++queries;
    const std::string target = request.target;
    const std::string id =
        create ? std::to_string(1000 + creates) : target.substr(target.rfind('/') + 1);
    exchange.answer(200, R"({"code":0,"data":{"task_id":")" + id +
                             R"(","task_status":"processing","created_at":1,"updated_at":1}})");
  }
};

/// Ticks as a game does, for this long, at 1,000 frames a second.
std::vector<double> frames(kling::Host& host, std::chrono::milliseconds length) {
  std::vector<double> times;
  const auto end = Steady::now() + length;
  while (Steady::now() < end) {
    const auto start = Steady::now();
    host.tick(1000);
    times.push_back(micros(Steady::now() - start));
    while (Steady::now() - start < std::chrono::milliseconds(1)) {
    }
  }
  return times;
}

/// How long a host takes to go away while its requests have no answers, in ms: from a
/// hook that owes them, or from a socket that takes connections and is silent.
double leaving(bool hook) {
  const int silent = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ::bind(silent, reinterpret_cast<sockaddr*>(&address), size);
  ::listen(silent, 64);
  ::getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<kling::Exchange> owed;
  kling::HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.base_url = "http://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  if (hook)
    options.send = [&](const kling_request&, kling::Exchange exchange) {
      owed.push_back(std::move(exchange));
    };
  kling::Host host(std::move(options));
  host.run("many.lua", "for i = 1, 30 do require 'kling'.text2video { prompt = tostring(i) } end");
  frames(host, std::chrono::milliseconds(300));
  const auto start = Steady::now();
  host = kling::Host();
  const double took = micros(Steady::now() - start) / 1000;
  ::close(silent);
  return took;
}

}  // namespace

int main() {
  Service service;
  kling::HostOptions options;
  options.ledger = ":memory:";
  options.key = "k";
  options.poll = 20;  // a thousand jobs: fifty looks a second
  options.send = [&](const kling_request& request, kling::Exchange exchange) {
    service.answer(request, std::move(exchange));
  };
  kling::Host host(std::move(options));
  const auto task = host.run("many.lua", R"(
    local kling = require "kling"
    for i = 1, 1000 do
      kling.spawn(function() kling.text2video { prompt = tostring(i) }:wait() end)
    end)");
  if (task == 0) return std::fprintf(stderr, "%s\n", host.error().c_str()), 1;
  while (service.creates < 1000) frames(host, std::chrono::milliseconds(100));
  frames(host, std::chrono::milliseconds(500));
  auto waiting = frames(host, std::chrono::milliseconds(3000));
  line("tick while 1,000 jobs wait, p99", percentile(waiting, 0.99), 100, "us");
  line("tick while 1,000 jobs wait, median", percentile(waiting, 0.5), 100, "us");
  const auto start = Steady::now();
  host = kling::Host();
  line("end of a host with 1,000 jobs", micros(Steady::now() - start) / 1000, 100, "ms");
  const double owed = leaving(true), silent = leaving(false);
  line("end of a host whose hook owes its answers", owed, 150, "ms");
  line("end of a host whose service is silent", silent, 150, "ms");
  return percentile(waiting, 0.99) <= 100 && owed <= 150 && silent <= 150 ? 0 : 1;
}
