#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>

#include <sys/socket.h>

#include "base/files.h"
#include "base/signals.h"
#include "sim/service.h"

namespace kling::sim {
namespace {

constexpr int kThreads = 64;  // a waiting render or an open connection holds one each
constexpr std::size_t kLargestBody = std::size_t{128} << 20;
constexpr std::size_t kLargestCut = 20'000;  // a truncated clip keeps so many bytes

// ---- The wire ----

constexpr auto kDrip = std::chrono::milliseconds(10);  // between two bytes of a dripped answer

/// One connection. Its socket has the time-outs of the server.
class Wire : public httplib::Stream {
 public:
  explicit Wire(socket_t socket) : socket_(socket) {}

  /// Waits until there is something to read; false at the end, or when it takes too long.
  bool await() {
    if (ended_) return false;  // the library does not look whether a head could be written
    if (read_ < held_) return true;
    const ssize_t count = ::recv(socket_, bytes_, sizeof bytes_, 0);
    read_ = 0;
    held_ = static_cast<std::size_t>(std::max<ssize_t>(count, 0));
    return held_ > 0;
  }
  ssize_t read(char* out, std::size_t size) override {
    if (!await()) return 0;
    const std::size_t count = std::min(size, held_ - read_);
    std::memcpy(out, bytes_ + read_, count);
    read_ += count;
    return static_cast<ssize_t>(count);
  }

  /// Sends what the mishap leaves of an answer; -1 ends the connection.
  ssize_t write(const char* data, std::size_t size) override {
    ended_ = ended_ || !passes({data, size});
    return ended_ ? -1 : static_cast<ssize_t>(size);
  }

  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return socket_; }

  Mishap mishap = Mishap::none;
  std::size_t body_bytes = 0;  ///< how much of the body `truncate` lets through

 private:
  bool passes(std::string_view bytes) {
    switch (mishap) {
      case Mishap::none: return send(bytes);
      case Mishap::drip:
        for (const char& byte : bytes) {
          if (!send({&byte, 1})) return false;
          std::this_thread::sleep_for(kDrip);
        }
        return true;
      case Mishap::hang:  // until the client ends it, or the server
        for (char byte;;)
          if (const auto got = ::recv(socket_, &byte, 1, 0);
              got == 0 || (got < 0 && errno != EAGAIN))
            return false;
      case Mishap::truncate: {
        seen_ += bytes;
        const auto end = seen_.find("\r\n\r\n");
        if (end == std::string::npos || seen_.size() < end + 4 + body_bytes) return true;
        send(std::string_view(seen_).substr(0, end + 4 + body_bytes));
        return false;
      }
      case Mishap::endless_headers:
      case Mishap::endless_body: {
        const bool head = mishap == Mishap::endless_headers;
        std::string filler = "HTTP/1.1 200 OK\r\n";
        if (!head) filler += "Content-Type: application/json\r\n\r\n{\"data\":\"";
        while (send(filler)) {
          filler.clear();
          while (filler.size() < 32'768) filler += head ? "X-Filler: aaaaaaaaaaaaaaaa\r\n" : "aaaa";
        }
        return false;
      }
      default: return false;
    }
  }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const auto count = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(count));
    }
    return true;
  }

  const socket_t socket_;
  char bytes_[16 << 10];
  std::size_t read_ = 0, held_ = 0;
  bool ended_ = false;
  std::string seen_;  // of a truncated answer
};

thread_local Wire* answering = nullptr;

/// The library's server, with connections on which an answer can be lost, reset, withheld, dripped
/// or cut. One thread of its pool a connection, which it blocks.
class Server : public httplib::Server {
 public:
  /// Stops listening and ends every connection, also those that only wait. Idempotent.
  void end() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
      for (const socket_t socket : open_) ::shutdown(socket, SHUT_RDWR);
    }
    stop();
  }

 private:
  bool process_and_close_socket(socket_t socket) override {
    {
      const std::lock_guard lock(mutex_);
      if (ending_) return ::close(socket) == 0;
      open_.insert(socket);
    }
    Wire wire(socket);
    answering = &wire;
    for (bool over = false; !over && wire.await() && answer_one(wire, over);) {
    }
    const linger none{1, 0};
    if (wire.mishap == Mishap::reset)
      ::setsockopt(socket, SOL_SOCKET, SO_LINGER, &none, sizeof none);
    const std::lock_guard lock(mutex_);
    open_.erase(socket);
    return ::close(socket) == 0;
  }

  /// Later versions than 0.11 are told between which addresses.
  template <class Stream>
  bool answer_one(Stream& wire, bool& over) {
    if constexpr (requires { this->process_request(wire, false, over, nullptr); })
      return this->process_request(wire, false, over, nullptr);
    else
      return this->process_request(wire, "127.0.0.1", 0, "127.0.0.1", 0, false, over, nullptr);
  }

  std::mutex mutex_;
  bool ending_ = false;
  std::set<socket_t> open_;
};

// ---- The simulator ----

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

/// The service behind its HTTP server.
class Listening final : public Simulator {
 public:
  Listening(const Options& options, Mix mix)
      : host_(options.host == "0.0.0.0" ? "127.0.0.1" : options.host),
        service_(options, std::move(mix)) {}
  ~Listening() override { stop(); }

  Status listen(const std::string& address, int port) {
    int listener = -1;
    server_.set_socket_options([&](socket_t made) {
      const int on = 1;  // not the library's SO_REUSEPORT, which lets two servers share a port
      ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
      listener = made;
    });
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_tcp_nodelay(true);
    server_.set_keep_alive_max_count(10'000);
    server_.set_payload_max_length(kLargestBody);
    const auto answer = [this](const httplib::Request& request, httplib::Response& response) {
      handle(request, response);
    };
    server_.Get(".*", answer).Post(".*", answer).Put(".*", answer).Delete(".*", answer);
    errno = 0;
    port_ = port == 0                             ? server_.bind_to_any_port(address)
            : server_.bind_to_port(address, port) ? port
                                                  : -1;
    if (port_ <= 0)
      return Error{.kind = Kind::network,
                   .message = "the simulator cannot listen on " + address + ":" +
                              std::to_string(port) + ": " + system_message(errno),
                   .hint = system_hint(errno, "take another --port, or none for any free one")};
    if (auto ready = service_.open(base_url()); !ready) return ready;
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // Server::stop() before the server runs would wait for ever.
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    // The library's queue of 5 makes bursts wait a second for a second SYN.
    ::listen(listener, 512);
    return Done{};
  }

  std::string base_url() const override { return "http://" + host_ + ":" + std::to_string(port_); }
  int port() const override { return port_; }
  Counters counters() override { return service_.counters(); }
  Status add_fault(const std::string& lines) override { return service_.add_fault(lines); }
  void stop() override {
    if (stopped_.exchange(true)) return;
    service_.close();
    if (!thread_.joinable()) return;
    server_.end();
    thread_.join();
  }

 private:
  void handle(const httplib::Request& request, httplib::Response& response) {
    Mishap mishap = Mishap::none;
    const Answer answer = service_.answer(request, mishap);
    response.set_header("Date", http_date());
    if (answer.header != nullptr) response.set_header(answer.header, answer.header_value);
    if (answer.file.empty()) {
      response.status = answer.status;
      response.set_content(answer.body, answer.type);
    } else {
      serve_file(answer.file, answer.type, request, response);
    }
    answering->mishap = mishap;
    answering->body_bytes = answer.file.empty() ? answer.body.size() / 2 : kLargestCut;
  }

  const std::string host_;
  int port_ = -1;
  Service service_;
  Server server_;
  std::thread thread_;
  std::atomic<bool> stopped_{false};
  const std::shared_ptr<void> at_exit_ = at_exit([this](auto) { stop(); });
};

}  // namespace

Result<std::unique_ptr<Simulator>> Simulator::start(Options options) {
  auto mix = Mix::read(options.dialect);
  if (!mix) return mix.error();
  if (!options.clock) options.clock = make_clock();
  // The library's server ignores SIGPIPE in the whole process, and so in every program that a
  // script starts: our threads block it instead.
  struct sigaction before {};
  ::sigaction(SIGPIPE, nullptr, &before);
  auto made = std::make_unique<Listening>(options, std::move(*mix));
  ::sigaction(SIGPIPE, &before, nullptr);
  const SignalBlock signals;
  if (auto listening = made->listen(options.host, options.port); !listening)
    return listening.error();
  return std::unique_ptr<Simulator>(std::move(made));
}

std::shared_ptr<Clock> Simulator::clock_for(const std::string& state_dir, double speed) {
  return make_clock(speed, std::max(make_clock()->now(), Store::saved_time(state_dir)));
}

}  // namespace kling::sim
