#include "sim/simulator.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <thread>

#include <httplib.h>
#include <sys/socket.h>

#include "sim/relay.h"
#include "sim/service.h"

namespace kling::sim {
namespace {

constexpr int kThreads = 32;  // a waiting render or an idle connection holds one each
constexpr std::size_t kLargestBody = std::size_t{128} << 20;
constexpr std::size_t kLargestCut = 20'000;  // a truncated clip keeps so many bytes

/// The real time: a client's clock is compared with it.
std::string http_date() {
  char text[64];
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &parts));
  return text;
}

void serve_file(const std::string& path, const std::string& type, const httplib::Request& request,
                httplib::Response& response) {
  const auto size = static_cast<ssize_t>(std::filesystem::file_size(path));
  // The library cuts out the range but does not check it; the request is its own, not const.
  auto& ranges = const_cast<httplib::Request&>(request).ranges;
  for (auto& [first, last] : ranges) {
    if (first >= size) {
      response.status = 416;
      response.set_header("Content-Range", "bytes */" + std::to_string(size));
      ranges.clear();
      return;
    }
    last = std::min(last, first < 0 ? size : size - 1);
  }
  auto file = std::make_shared<std::ifstream>(path, std::ios::binary);
  response.set_header("Accept-Ranges", "bytes");
  response.set_content_provider(
      static_cast<std::size_t>(size), type,
      [file](std::size_t offset, std::size_t length, httplib::DataSink& sink) {
        char bytes[64 << 10];
        file->seekg(static_cast<std::streamoff>(offset));
        file->read(bytes, static_cast<std::streamsize>(std::min(length, sizeof bytes)));
        return file->gcount() > 0 && sink.write(bytes, static_cast<std::size_t>(file->gcount()));
      });
}

}  // namespace

/// The service behind its HTTP server behind the relay.
struct Simulator::Parts {
  Parts(Options options, Mix mix)
      : host(options.host == "0.0.0.0" ? "127.0.0.1" : options.host),
        service(std::move(options), std::move(mix)) {}

  void handle(const httplib::Request& request, httplib::Response& response) {
    Mishap mishap = Mishap::none;
    const Answer answer = service.answer(request, mishap);
    response.set_header("Date", http_date());
    if (answer.header != nullptr) response.set_header(answer.header, answer.header_value);
    if (answer.file.empty()) {
      response.status = answer.status;
      response.set_content(answer.body, answer.type);
    } else {
      serve_file(answer.file, answer.type, request, response);
    }
    if (mishap == Mishap::none) return;
    const std::size_t cut = answer.file.empty() ? answer.body.size() / 2 : kLargestCut;
    relay->strike(request.remote_port, mishap, cut);
  }

  Status listen(const std::string& address, int port) {
    auto opened = Relay::open(address, port);
    if (!opened) return opened.error();
    relay = std::move(*opened);
    if (auto ready = service.open(base_url()); !ready) return ready;

    int listener = -1;
    server.set_socket_options([&](socket_t made) { listener = made; });
    server.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server.set_tcp_nodelay(true);
    server.set_keep_alive_max_count(10'000);
    server.set_payload_max_length(kLargestBody);
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      handle(request, response);
    };
    server.Get(".*", answer).Post(".*", answer).Put(".*", answer).Delete(".*", answer);
    const int backend = server.bind_to_any_port("127.0.0.1");
    if (backend <= 0)
      return Error{.kind = Kind::network, .message = "the simulator finds no free port"};
    thread = std::thread([this] { server.listen_after_bind(); });
    // Server::stop() before the server runs would wait for ever.
    while (!server.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // The library's queue of 5 makes bursts wait a second for a second SYN.
    ::listen(listener, 512);
    relay->start(backend);
    return Done{};
  }

  ~Parts() { stop(); }

  void stop() {
    if (stopped.exchange(true)) return;
    service.close();
    // The relay first: a server that waits on an idle connection would wait for its time-out.
    if (relay) relay->stop();
    if (!thread.joinable()) return;
    server.stop();
    thread.join();
  }

  std::string base_url() const { return "http://" + host + ":" + std::to_string(relay->port()); }

  const std::string host;
  Service service;
  httplib::Server server;
  std::unique_ptr<Relay> relay;
  std::thread thread;
  std::atomic<bool> stopped{false};
};

Simulator::Simulator(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Simulator::~Simulator() = default;

Result<std::unique_ptr<Simulator>> Simulator::start(Options options) {
  auto mix = Mix::read(options.dialect);
  if (!mix) return mix.error();
  if (!options.clock) options.clock = make_clock();
  const std::string host = options.host;
  const int port = options.port;
  auto parts = std::make_unique<Parts>(std::move(options), std::move(*mix));
  if (auto listening = parts->listen(host, port); !listening) return listening.error();
  return std::unique_ptr<Simulator>(new Simulator(std::move(parts)));
}

std::string Simulator::base_url() const { return parts_->base_url(); }
int Simulator::port() const { return parts_->relay->port(); }
Counters Simulator::counters() const { return parts_->service.counters(); }
Status Simulator::add_fault(const std::string& lines) { return parts_->service.add_fault(lines); }
void Simulator::stop() { parts_->stop(); }

std::shared_ptr<Clock> Simulator::clock_for(const std::string& state_dir, double speed) {
  return make_clock(speed, std::max(make_clock()->now(), Store::saved_time(state_dir)));
}

}  // namespace kling::sim
