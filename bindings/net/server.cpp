#include "net/server.h"

#include <cerrno>
#include <charconv>
#include <fstream>
#include <thread>

#include <httplib.h>

#include "base/files.h"
#include "base/signals.h"

namespace kling::net {
namespace {

constexpr std::size_t kThreads = 8;  // one a connection: one that dawdles keeps nobody else out
constexpr time_t kPatience = 5;      // seconds for a request to arrive, and for an idle connection
constexpr std::size_t kLargestBody = 256 << 10;

void send_file(const ServerAnswer& answer, httplib::Response& response) {
  const auto file = std::make_shared<std::ifstream>(answer.file, std::ios::binary | std::ios::ate);
  const std::streamoff size = file->tellg();
  if (size <= 0) return void(response.status = 404);
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

class HttpServer final : public Server {
 public:
  explicit HttpServer(Handler handler) {
    server_.new_task_queue = [] { return new httplib::ThreadPool(kThreads); };
    server_.set_payload_max_length(kLargestBody);
    server_.set_read_timeout(kPatience);
    server_.set_write_timeout(kPatience);
    server_.set_keep_alive_timeout(kPatience);
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
        send_file(made, response);
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
                   .hint = "take another port; an address must be one of this machine's"};
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

  httplib::Server server_;
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
