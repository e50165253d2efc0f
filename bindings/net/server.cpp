#include "net/server.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <map>

#include <poll.h>

#include "base/files.h"
#include "base/signals.h"
#include "net/stream.h"

namespace kling::net {
namespace {

constexpr std::size_t kMost = 256;  // connections whose request is on its way: then the oldest goes
constexpr std::chrono::seconds kPatience{5};  // for a whole request to arrive
constexpr std::size_t kLargestBody = 256 << 10;

/// The ranges are the library's own, which does not see where the file ends.
void send_file(const ServerAnswer& answer, httplib::Ranges& ranges, httplib::Response& response) {
  const auto file = std::make_shared<std::ifstream>(answer.file, std::ios::binary | std::ios::ate);
  const std::streamoff size = file->tellg();
  if (size <= 0) return void(response.status = 404);
  for (auto& [first, last] : ranges) {
    if (first >= size || (first < 0 && last == 0)) {
      response.set_header("Content-Range", "bytes */" + std::to_string(size));
      return void(response.status = 416);
    }
    last = std::min<ssize_t>(last, size - (first < 0 ? 0 : 1));
  }
  response.status = -1;  // the library's word: 200, or 206 for a part
  response.set_content_provider(
      std::size_t(size), answer.type,
      [file](std::size_t from, std::size_t length, httplib::DataSink& sink) {
        char block[64 << 10];
        file->seekg(std::streamoff(from));
        file->read(block, std::streamsize(std::min(length, sizeof block)));
        return file->gcount() > 0 && sink.write(block, std::size_t(file->gcount()));
      });
}

/// The connections, each with a thread of its own: one that dawdles keeps nobody else out.
class Visits {
 public:
  void begin(int socket) {
    std::lock_guard lock(mutex_);
    open_[socket] = true;
    coming_[++last_] = socket;
    if (ended_ || coming_.size() > kMost) ::shutdown(coming_.begin()->second, SHUT_RDWR);
  }
  /// Its request is there.
  void arrived(int socket) {
    std::lock_guard lock(mutex_);
    std::erase_if(coming_, [=](const auto& one) { return one.second == socket; });
  }
  void close(int socket) {
    arrived(socket);
    std::lock_guard lock(mutex_);
    open_.erase(socket);
    ::shutdown(socket, SHUT_RDWR);
    ::close(socket);
  }

  /// What has arrived is answered; who dawdles, then or now, is cut off.
  void end() {
    std::unique_lock lock(mutex_);
    ended_ = true;
    for (const auto& [order, socket] : coming_) ::shutdown(socket, SHUT_RDWR);
    const auto over = [this] { return threads_ == 0; };
    if (changed_.wait_for(lock, std::chrono::seconds(1), over)) return;
    for (const auto& [socket, is_open] : open_) ::shutdown(socket, SHUT_RDWR);
    changed_.wait(lock, over);
  }
  void count(int more) {
    std::lock_guard lock(mutex_);
    threads_ += more;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int, bool> open_;
  std::map<std::uint64_t, int> coming_;  ///< sockets, the oldest first
  std::uint64_t last_ = 0;
  int threads_ = 0;
  bool ended_ = false;
};

thread_local bool refuses = false;  ///< there is no thread for this connection

// Newer versions ask for more; nothing here is marked "override", so that it suits all.
// NOLINTBEGIN(modernize-use-override)
class Threads final : public httplib::TaskQueue {
 public:
  explicit Threads(std::shared_ptr<Visits> visits) : visits_(std::move(visits)) {}
  using Enqueued = decltype(std::declval<httplib::TaskQueue&>().enqueue(nullptr));
  Enqueued enqueue(std::function<void()> task) {
    visits_->count(1);
    try {
      std::thread([visits = visits_, task] {
        task();
        visits->count(-1);
      }).detach();
    } catch (const std::exception&) {
      refuses = true;
      task();
      refuses = false;
      visits_->count(-1);
    }
    return Enqueued(true);
  }
  void shutdown() { visits_->end(); }

 private:
  const std::shared_ptr<Visits> visits_;
};

/// One request and its answer.
class Visit final : public PlainStream {
 public:
  Visit(int socket, Visits& visits) : socket_(socket), visits_(visits) {}

  ssize_t read(char* to, size_t size) {
    if (rest_.empty()) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(until_ - Steady::now());
      pollfd ready{socket_, POLLIN, 0};
      if (left.count() <= 0 || ::poll(&ready, 1, int(left.count())) <= 0) return -1;
      const ssize_t got = ::recv(socket_, buffer_, sizeof buffer_, 0);
      if (got <= 0) return got;
      rest_ = {buffer_, std::size_t(got)};
    }
    const std::size_t part = rest_.copy(to, size);
    rest_.remove_prefix(part);
    return ssize_t(part);
  }
  ssize_t write(const char* from, size_t size) {
    if (!std::exchange(answers_, true)) visits_.arrived(socket_);
    return ::send(socket_, from, size, MSG_NOSIGNAL);
  }
  int socket() const { return socket_; }

 private:
  const int socket_;
  Visits& visits_;
  const TimePoint until_ = Steady::now() + kPatience;
  char buffer_[8 << 10];
  std::string_view rest_;
  bool answers_ = false;
};

/// The library's, but that a connection has a time in which its request must have come.
class PatientServer final : public httplib::Server {
 public:
  const std::shared_ptr<Visits> visits = std::make_shared<Visits>();

 private:
  template <class Self>
  static void process(Self& self, httplib::Stream& stream) {
    bool closed = false;
    if constexpr (requires { self.process_request(stream, true, closed, nullptr); })
      self.process_request(stream, true, closed, nullptr);
    else
      self.process_request(stream, "", 0, "", 0, true, closed, nullptr);
  }
  bool process_and_close_socket(socket_t socket) {
    visits->begin(socket);
    if (!refuses) {
      Visit visit(socket, *visits);
      process(*this, visit);
    }
    visits->close(socket);
    return true;
  }
};
// NOLINTEND(modernize-use-override)

class HttpServer final : public Server {
 public:
  explicit HttpServer(Handler handler) {
    server_.new_task_queue = [this] { return new Threads(server_.visits); };
    server_.set_payload_max_length(kLargestBody);
    server_.set_write_timeout(kPatience);
    server_.set_socket_options([](socket_t made) {
      const int on = 1;  // not the library's SO_REUSEPORT, which lets two servers share a port
      ::setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    });
    const auto answer = [handler = std::move(handler)](const httplib::Request& request,
                                                       httplib::Response& response) {
      const ServerAnswer made = handler({request.method,
                                         request.target,
                                         {request.headers.begin(), request.headers.end()},
                                         request.body});
      response.status = made.status;
      response.set_header("Cache-Control", "no-store");
      response.set_header("X-Content-Type-Options", "nosniff");
      response.set_header("X-Frame-Options", "DENY");
      if (made.next) {
        response.set_chunked_content_provider(
            made.type, [next = made.next](std::size_t, httplib::DataSink& sink) {
              const std::string more = next();
              if (more.empty()) sink.done();
              return more.empty() || sink.write(more.data(), more.size());
            });
      } else if (!made.file.empty()) {
        // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): the library's object is not const
        send_file(made, const_cast<httplib::Request&>(request).ranges, response);
      } else if (!made.type.empty()) {
        response.set_content(made.body, made.type);
      }
    };
    server_.Get(".*", answer).Post(".*", answer).Put(".*", answer).Delete(".*", answer);
  }
  ~HttpServer() override { end(); }

  Status listen(const std::string& host, int port) {
    errno = 0;
    port_ = port == 0                          ? server_.bind_to_any_port(host)
            : server_.bind_to_port(host, port) ? port
                                               : -1;
    if (port_ <= 0)
      return Error{.kind = Kind::network,
                   .message = "cannot listen at " + host + ":" + std::to_string(port) + ": " +
                              (errno != 0 ? system_message(errno) : "no such address"),
                   .hint = system_hint(
                       errno, "take another port; an address must be one of this machine's")};
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // Server::stop() before the server runs would wait for ever.
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return Done{};
  }
  int port() const override { return port_; }

 private:
  void end() {
    if (ended_.exchange(true) || !thread_.joinable()) return;
    server_.stop();
    thread_.join();
  }

  PatientServer server_;
  int port_ = -1;
  std::thread thread_;
  std::atomic<bool> ended_{false};
  const std::shared_ptr<void> at_exit_ = at_exit([this](auto) { end(); });
};

}  // namespace

Result<std::unique_ptr<Server>> serve(const std::string& address, Server::Handler handler) {
  const auto colon = address.rfind(':');
  std::string host = address.substr(0, colon == std::string::npos ? 0 : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  int port = -1;
  const char* const last = address.data() + address.size();
  const auto [end, failed] =
      std::from_chars(address.data() + std::min(colon + 1, address.size()), last, port);
  if (host.empty() || failed != std::errc() || end != last || port < 0 || port > 65535)
    return Error{.message = "an address to listen at is HOST:PORT, not \"" + address + "\"",
                 .hint = "for example 127.0.0.1:8080; port 0 is any free one"};
  // The library's server ignores SIGPIPE in the whole process, and so in every program that a
  // script starts: our threads block it instead.
  struct sigaction before {};
  ::sigaction(SIGPIPE, nullptr, &before);
  auto server = std::make_unique<HttpServer>(std::move(handler));
  ::sigaction(SIGPIPE, &before, nullptr);
  const SignalBlock signals;
  if (Status listening = server->listen(host, port); !listening) return listening.error();
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace kling::net
