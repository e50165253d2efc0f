#include "net/connection.h"

#include <algorithm>
#include <cerrno>

#include <sys/socket.h>

#include "api/text.h"
#include "base/files.h"
#include "base/leaving.h"
#include "base/signals.h"
#include "net/failure.h"
#include "net/stream.h"

namespace kling::net {
namespace {

using Stage = HttpOutcome::Stage;

std::string seconds(Milliseconds time) {
  std::string text = std::to_string(time.count() / 1000.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

std::string basic_credentials(const Proxy& proxy) {
  return "Basic " + base64_encode(proxy.user + ":" + proxy.password);
}

/// cpp-httplib writes the request and unpacks the answer; all that it does not need for that, its
/// connecting, waiting and reading of heads, stays out of use.
class Library final : public httplib::ClientImpl {
 public:
  explicit Library(const std::string& host) : ClientImpl(host) {
    set_follow_location(false);
    set_url_encode(false);
    set_decompress(true);
  }
  using ClientImpl::process_request;
};

/// Has the library read an answer that nobody sent.
bool read_nothing() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) return false;
  const Descriptor peer(ends[1]);
  const auto socket = std::make_shared<SocketHandle>();
  socket->adopt(Descriptor(ends[0]));
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  if (::send(peer.get(), kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL) < 0) return false;
  Wire wire(socket);
  Stream stream(wire, Milliseconds(1000), Milliseconds(1000));
  httplib::Request request;
  request.method = "GET";
  request.path = "/";
  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  return Library("localhost").process_request(stream, request, response, true, error);
}

}  // namespace

void prepare_library() {
  static const bool prepared = [] {
    const bool read = read_nothing();
    end_threads_first();
    return read;
  }();
  (void)prepared;
}

Connection::Connection(Origin origin, const ConnectionOptions& options,
                       std::shared_ptr<Environment> environment)
    : origin_(std::move(origin)), options_(options), environment_(std::move(environment)) {}

Connection::~Connection() {
  PipeSignalBlock signals;  // closing a TLS connection writes
  wire_.close();
}

std::string Connection::peer() const {
  return origin_.name() + (proxy_ ? " (through the proxy " + proxy_->host + ")" : "");
}

/// What is left of it when the whole exchange has a deadline.
Milliseconds Connection::connect_timeout(const Exchange& exchange) const {
  const auto left =
      std::chrono::duration_cast<Milliseconds>(exchange.deadline.load() - Steady::now());
  return std::clamp(left, Milliseconds(1), options_.connect_timeout);
}

Status Connection::open(const Exchange& exchange) {
  wire_.close();
  Result<std::optional<Proxy>> proxy = environment_->proxy_for(origin_);
  if (!proxy) return proxy.error();
  proxy_ = std::move(*proxy);
  if (proxy_) {
    reach_ = reach_of_host(origin_.host);
    if ((reach_ & options_.allowed) == 0) return address_not_allowed(origin_.host);
  }
  Result<std::vector<std::string>> found =
      addresses_of(proxy_ ? proxy_->host : origin_.host, proxy_ ? kAnywhere : options_.allowed,
                   exchange.deadline, exchange.stop);
  if (!found) return found.error();
  Result<ssl_ctx_st*> tls = nullptr;
  if (origin_.tls) tls = environment_->tls();
  if (!tls) return tls.error();

  int error = 0;
  for (const std::string& address : *found) {
    if (exchange.end != Exchange::End::none) break;
    if (!proxy_) reach_ = reach_of_address(address);
    error = wire_.connect(address, proxy_ ? proxy_->port : origin_.port, connect_timeout(exchange));
    if (error == 0) break;
  }
  if (error == EMFILE || error == ENFILE)
    return failure(Kind::network, "no connection to " + peer() + ": " + system_message(error),
                   system_hint(error));
  if (error == ETIMEDOUT)
    return failure(Kind::network,
                   "no connection to " + peer() + " within " + seconds(options_.connect_timeout),
                   "check the network and proxy settings");
  if (error == ECONNREFUSED && !proxy_ && reach_ == kLoopback)
    return failure(Kind::network,
                   "could not connect to " + peer() + ": refused: nothing listens there",
                   "does kling sim still run? Each start gives it another address, unless --port "
                   "names one");
  if (error != 0)
    return failure(Kind::network, "could not connect to " + peer() + ": refused or unreachable",
                   "check the network, and that the address is right");
  if (!origin_.tls) return Done{};
  if (proxy_)
    if (Status status = tunnel(exchange); !status) return status;
  if (wire_.secure(*tls, origin_.host, connect_timeout(exchange))) return Done{};
  if (const char* fault = wire_.certificate_fault(); fault != nullptr) {
    const std::string_view why = fault;
    const auto has = [why](const char* word) { return why.find(word) != why.npos; };
    return permanent("the certificate of " + peer() + " is not trusted: " + fault,
                     has("expired") || has("not yet valid")
                         ? "check this machine's clock; else its owner must renew it"
                     : has("mismatch") ? "check the address: the certificate is for another host"
                                       : "install the package ca-certificates, or name your own "
                                         "authority's certificate in SSL_CERT_FILE or the option "
                                         "ca_file");
  }
  // What speaks no TLS will not learn it; a line that broke may be whole the next time.
  if (const char* fault = Wire::handshake_fault(); fault != nullptr)
    return permanent("no TLS connection to " + peer() + ": " + fault,
                     proxy_
                         ? "check that the proxy lets this host through, and that it speaks https"
                     : std::string_view(fault).find("protocol version") != std::string_view::npos
                         ? "the service must speak TLS 1.2 or later"
                         : "check that this address speaks https, and not http");
  return failure(Kind::network, "no TLS connection to " + peer() + ": the handshake failed",
                 proxy_ ? "check that the proxy lets this host through, and that it speaks https"
                        : "check that this address speaks https");
}

Status Connection::tunnel(const Exchange& exchange) {
  const std::string place = origin_.bracketed() + ":" + std::to_string(origin_.port);
  std::string request = "CONNECT " + place + " HTTP/1.1\r\nHost: " + place + "\r\n";
  if (!proxy_->user.empty())
    request += "Proxy-Authorization: " + basic_credentials(*proxy_) + "\r\n";
  request += "\r\n";
  const TimePoint until = Steady::now() + connect_timeout(exchange);
  Answer answer(true);
  char buffer[4096];
  ssize_t size = wire_.send(request.data(), request.size(), until);
  while (size > 0 && !answer.whole() && answer.fault().empty()) {
    size = wire_.receive(buffer, sizeof buffer, until);
    std::string_view got(buffer, std::size_t(std::max<ssize_t>(size, 0)));
    answer.take(got);
  }
  if (answer.whole() && answer.status() / 100 == 2) return Done{};
  const std::string proxy = "the proxy " + proxy_->host;
  if (answer.status() == 407) return proxy_refuses();
  return failure(Kind::network,
                 proxy + " gave no way to " + origin_.name() +
                     (answer.whole() ? ": it answered " + std::to_string(answer.status()) : ""),
                 "check that the proxy lets this host through");
}

Error Connection::proxy_refuses() const {
  const char* what = proxy_->user.empty() ? " wants a user name and password"
                                          : " refuses the user name and password it was given";
  return permanent("the proxy " + proxy_->host + what,
                   std::string("write the right ones into ") +
                       (origin_.tls ? "HTTPS_PROXY" : "HTTP_PROXY") +
                       ": http://user:password@host:port");
}

/// Why the watch ended an exchange.
Error Connection::cut_short(const Exchange& exchange, TimePoint start, const char* missed) const {
  if (exchange.end == Exchange::End::stopped)
    return failure(Kind::interrupted, "the exchange with " + peer() + " was stopped");
  const auto took = std::chrono::duration_cast<Milliseconds>(Steady::now() - start);
  return failure(Kind::network, missed + peer() + " within " + seconds(took),
                 "check the network, or allow more time");
}

CallEnd Connection::call(const Call& call, Exchange& exchange) {
  std::optional<PipeSignalBlock> signals;
  if (origin_.tls) signals.emplace();  // OpenSSL writes as to a file
  const auto start = Steady::now();
  const bool opened = reusable_ && socket_->silent();
  exchange.attach(socket_);
  if (!opened) {
    if (Status status = open(exchange); !status) {
      const bool cut = exchange.end != Exchange::End::none && status.error().kind == Kind::network;
      return {Stage::not_sent,
              cut ? cut_short(exchange, start, "no connection to ") : status.error(), false};
    }
  }

  Stream stream(wire_, options_.read_timeout, options_.write_timeout);
  const Answer& answer = stream.answer();
  std::optional<Error> body_error;
  std::size_t unsent = 0;  // of the body
  bool refused = false, by_proxy = false;
  httplib::Request request;
  request.method = call.method;
  request.path = proxy_ && !origin_.tls ? "http://" + origin_.name() + call.target : call.target;
  for (const auto& [name, value] : call.headers) request.headers.emplace(name, value);
  request.headers.emplace("User-Agent", environment_->user_agent());
  request.headers.emplace("Accept-Encoding", "identity");  // a film gains nothing
  request.headers.emplace("Host", origin_.name());
  if (proxy_ && !origin_.tls && !proxy_->user.empty())
    request.headers.emplace("Proxy-Authorization", basic_credentials(*proxy_));
  if (call.body != nullptr && call.body->size() > 0) {
    request.content_length_ = unsent = call.body->size();
    request.content_provider_ = [&](std::size_t, std::size_t, httplib::DataSink& sink) {
      Result<std::string_view> block = call.body->next();
      if (!block)
        body_error = block.error();
      else if (sink.write(block->data(), block->size()))
        unsent -= block->size();
      if (block && call.on_part) call.on_part(1 - double(unsent) / double(call.body->size()));
      return block.ok();
    };
  }
  request.response_handler = [&](const httplib::Response&) {
    exchange.head_seen = true;
    // Of the service there is none: it was not asked.
    by_proxy = proxy_ && !origin_.tls && answer.status() == 407;
    if (by_proxy) return false;
    const bool packed = !answer.coding().empty();
    refused = !call.on_head({answer.status(), packed ? 0 : answer.length(), packed,
                             packed || answer.ends_with_connection(),
                             [&](const char* name) { return answer.header(api::lower(name)); }});
    return !refused;
  };
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    refused = !call.on_data(std::string_view(data, size));
    return !refused;
  };

  httplib::Response response;
  httplib::Error error = httplib::Error::Success;
  const bool done =
      Library(origin_.host).process_request(stream, request, response, !options_.keep_alive, error);
  reusable_ = done && options_.keep_alive && answer.keeps_connection() && !stream.has_rest();
  if (body_error) return {Stage::aborted, std::move(*body_error), false};
  if (by_proxy) return {Stage::not_sent, proxy_refuses(), false};
  if (refused) return {Stage::lost, {}, true};
  // Nobody accepts what is cut off before its announced end.
  const bool partial =
      unsent > 0 && !answer.has_head() && !answer.succeeds() && answer.fault().empty();
  const auto lost = [&](Error why) {
    return CallEnd{partial ? Stage::not_sent : Stage::lost, std::move(why), false};
  };
  // A body that ends with the connection looks whole when it was us who closed it.
  if (exchange.end != Exchange::End::none && !answer.whole())
    return lost(cut_short(exchange, start, "no whole answer from "));
  if (done) return {Stage::answered, {}, false};
  if (!answer.fault().empty()) {
    Error fault = failure(Kind::protocol, peer() + " sent " + answer.fault());
    fault.retryable = true;  // another answer may do better
    return lost(std::move(fault));
  }
  if (stream.spoiled() || answer.coding() == "br")
    return lost(failure(Kind::protocol, "what " + peer() + " sent is packed (" +
                                            api::excerpt(answer.coding(), 60) +
                                            ") and cannot be unpacked"));
  if (error == httplib::Error::Write)
    return lost(failure(Kind::network, "the connection to " + peer() + " broke while sending",
                        "check the network, and run it again; a smaller picture is sent sooner"));
  if (Steady::now() - start >= options_.read_timeout)
    return lost(failure(Kind::network,
                        "no answer from " + peer() + " for " + seconds(options_.read_timeout)));
  return lost(
      failure(Kind::network, "the connection to " + peer() + " broke before the answer was whole"));
}

std::string library_versions() {
  return std::string("cpp-httplib ") + CPPHTTPLIB_VERSION + ", OpenSSL " +
         ::OpenSSL_version(OPENSSL_VERSION_STRING);
}

}  // namespace kling::net
