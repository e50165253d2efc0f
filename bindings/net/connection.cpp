#include "net/connection.h"

#include <algorithm>
#include <optional>

#include <httplib.h>

#include "net/failure.h"
#include "net/signals.h"
#ifdef KLING_OWN_STREAMS
#include "net/stream.h"
#endif

namespace kling::net {
namespace {

using Stage = HttpOutcome::Stage;
using Steady = std::chrono::steady_clock;

std::string seconds(Milliseconds time) {
  std::string text = std::to_string(time.count() / 1000.0);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text + " s";
}

/// What is left of a time-out when the whole exchange has a deadline.
Milliseconds within(Milliseconds timeout, const Exchange& exchange) {
  const auto left =
      std::chrono::duration_cast<Milliseconds>(exchange.deadline.load() - Steady::now());
  return std::clamp(left, Milliseconds(1), timeout);
}

Head head_of(const httplib::Response& response) {
  return {response.status, [&](const char* name) { return response.get_header_value(name); }};
}

bool is_before_sending(httplib::Error error) {
  using enum httplib::Error;
  constexpr httplib::Error kBefore[] = {Connection,    ConnectionTimeout, BindIPAddress,
                                        SSLConnection, SSLLoadingCerts,   SSLServerVerification};
  return std::ranges::find(kBefore, error) != std::end(kBefore);
}

#ifdef KLING_OWN_STREAMS
/// One of the library's clients, on streams of ours.
template <class Base>
class Streaming final : public Base {
 public:
  Streaming(const Origin& origin, bool& flooded)
      : Base(origin.host, origin.port), flooded_(flooded) {}

 private:
  bool process_socket(const typename Base::Socket& socket,
                      std::function<bool(httplib::Stream&)> use) override {
    const auto time = [](time_t whole, time_t micros) {
      return std::chrono::duration_cast<Milliseconds>(std::chrono::seconds(whole) +
                                                      std::chrono::microseconds(micros));
    };
    GuardedStream stream(socket.sock, socket.ssl,
                         time(this->read_timeout_sec_, this->read_timeout_usec_),
                         time(this->write_timeout_sec_, this->write_timeout_usec_));
    const bool done = use(stream);
    flooded_ = stream.flooded();
    if (stream.has_rest()) {
      std::lock_guard lock(this->socket_mutex_);
      this->socket_should_be_closed_when_request_is_done_ = true;
    }
    return done;
  }

  bool& flooded_;
};
#else
template <class Base>
struct Streaming final : Base {
  Streaming(const Origin& origin, bool&) : Base(origin.host, origin.port) {}
};
#endif

}  // namespace

struct Connection::Client {
  // The library's own choice by URL takes "https://[fd00::1]" for a plain host name.
  explicit Client(const Origin& origin) {
    if (origin.tls) {
      auto made = std::make_unique<Streaming<httplib::SSLClient>>(origin, flooded);
      tls = made.get();
      http = std::move(made);
    } else {
      http = std::make_unique<Streaming<httplib::ClientImpl>>(origin, flooded);
    }
  }
  bool flooded = false;  ///< the last answer's status line had no end
  std::unique_ptr<httplib::ClientImpl> http;
  httplib::SSLClient* tls = nullptr;  ///< the same, when it is one
};

struct Connection::Cause {
  httplib::Error error;
  Steady::time_point start;
};

Connection::Connection(Origin origin, const ConnectionOptions& options,
                       std::shared_ptr<Environment> environment)
    : origin_(std::move(origin)), options_(options), environment_(std::move(environment)) {}

Connection::~Connection() {
  PipeSignalBlock signals;  // closing a TLS connection writes
  client_.reset();
}

bool Connection::reusable() const {
  return client_ && client_->http->is_socket_open() != 0 && socket_->silent();
}

/// Everything that comes before the first connect: proxy, addresses, trust, the client itself.
Status Connection::prepare(const Exchange& exchange) {
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
  addresses_ = std::move(*found);

  client_ = std::make_unique<Client>(origin_);
  httplib::ClientImpl& http = *client_->http;
  http.set_keep_alive(options_.keep_alive);
  http.set_follow_location(false);
  http.set_url_encode(false);
  http.set_decompress(options_.unpack);
  http.set_tcp_nodelay(true);  // head and body are two writes
  http.set_socket_options([this](int socket) { socket_->adopt(socket); });
  if (proxy_) http.set_proxy_basic_auth(proxy_->user, proxy_->password);
  if (!origin_.tls) return Done{};

  Result<x509_store_st*> store = environment_->trust_store();
  if (!store) return store.error();
  ::X509_STORE_up_ref(*store);
  client_->tls->set_ca_cert_store(*store);
  http.set_ca_cert_path("", environment_->trust_folder());  // else it loads the bundle besides
  SSL_CTX* context = client_->tls->ssl_context();
  if (context == nullptr) return failure(Kind::network, "OpenSSL cannot be set up");
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  // OpenSSL's own comparison of the name beside the library's, which is lax about wildcards.
  X509_VERIFY_PARAM* verify = ::SSL_CTX_get0_param(context);
  const bool named = is_numeric_address(origin_.host)
                         ? ::X509_VERIFY_PARAM_set1_ip_asc(verify, origin_.host.c_str()) == 1
                         : ::X509_VERIFY_PARAM_set1_host(verify, origin_.host.c_str(), 0) == 1;
  if (!named)
    return failure(Kind::network, "the certificate of " + origin_.host + " cannot be checked");
  return Done{};
}

void Connection::aim(const std::string& address, const Exchange& exchange) {
  httplib::ClientImpl& http = *client_->http;
  if (proxy_) {
    http.set_proxy(address, proxy_->port);
  } else {
    reach_ = reach_of_address(address);
    http.set_hostname_addr_map({{origin_.host, address}});
  }
  http.set_connection_timeout(within(options_.connect_timeout, exchange));
  http.set_read_timeout(within(options_.read_timeout, exchange));
  http.set_write_timeout(within(options_.write_timeout, exchange));
}

CallEnd Connection::not_answered(const Cause& cause, const Call& call,
                                 const Exchange& exchange) const {
  const std::string host =
      origin_.name() + (proxy_ ? " (through the proxy " + proxy_->host + ")" : "");
  const auto took = std::chrono::duration_cast<Milliseconds>(Steady::now() - cause.start);
  // A read error before the body was asked for can only be the proxy's.
  const bool proxy_failed = proxy_ && origin_.tls && call.body != nullptr &&
                            call.body->size() > 0 && !call.body->started() &&
                            cause.error == httplib::Error::Read;
  const bool unsent = is_before_sending(cause.error) || proxy_failed;
  const auto ends = [&](Kind kind, std::string message, std::string hint = {}) {
    return CallEnd{unsent ? Stage::not_sent : Stage::lost,
                   failure(kind, std::move(message), std::move(hint)), false};
  };
  const Exchange::End why = exchange.end;
  if (why == Exchange::End::deadline)
    return ends(Kind::network,
                (unsent ? "no connection to " : "no whole answer from ") + host + " within " +
                    seconds(took),
                "check the network, or allow more time");
  if (why == Exchange::End::stopped)
    return ends(Kind::interrupted, "the exchange with " + host + " was stopped");
  if (why == Exchange::End::flooded || client_->flooded)
    return ends(Kind::protocol, host + " sent headers without end");
  if (cause.error == httplib::Error::Connection)
    return ends(Kind::network, "could not connect to " + host + ": refused or unreachable",
                "check the network, and that the address is right");
  if (cause.error == httplib::Error::ConnectionTimeout)
    return ends(Kind::network, "no connection to " + host + " within " + seconds(took),
                "check the network and proxy settings");
  if (cause.error == httplib::Error::SSLServerVerification) {
    CallEnd end =
        ends(Kind::network,
             "the certificate of " + host + " is not trusted: " +
                 ::X509_verify_cert_error_string(client_->tls->get_openssl_verify_result()),
             "install the package ca-certificates, or name your own authority's "
             "certificate in SSL_CERT_FILE");
    end.error.retryable = false;
    return end;
  }
  if (cause.error == httplib::Error::SSLConnection)
    return ends(Kind::network, "no TLS connection to " + host + ": the handshake failed",
                proxy_ ? "check that the proxy lets this host through, and that it speaks https"
                       : "check that this address speaks https");
  if (cause.error == httplib::Error::Write)
    return ends(Kind::network, "the connection to " + host + " broke while sending");
  if (took >= options_.read_timeout)
    return ends(Kind::network, "no answer from " + host + " for " + seconds(options_.read_timeout));
  return ends(Kind::network, "the connection to " + host + " broke before the answer was whole");
}

CallEnd Connection::call(const Call& call, Exchange& exchange) {
  PipeSignalBlock signals;
  const auto start = Steady::now();
  if (!reusable()) {
    if (Status status = prepare(exchange); !status) return {Stage::not_sent, status.error(), false};
  }
  exchange.attach(socket_);

  std::optional<Error> body_error;
  bool refused = false;
  httplib::Request request;
  request.method = call.method;
  request.path = call.target;
  for (const auto& [name, value] : call.headers) request.headers.emplace(name, value);
  request.headers.emplace("User-Agent", "kling-lua/0.1");
  request.headers.emplace("Accept-Encoding", "identity");  // a film gains nothing
  request.headers.emplace("Host", origin_.name());  // the library's lacks the brackets of IPv6
  // The library sends the proxy's password to the service as well, unless the header is there.
  if (proxy_ && origin_.tls) request.headers.emplace("Proxy-Authorization", "");
  if (call.body != nullptr && call.body->size() > 0) {
    request.content_length_ = call.body->size();
    request.content_provider_ = [&](std::size_t, std::size_t, httplib::DataSink& sink) {
      Result<std::string_view> block = call.body->next();
      if (block)
        sink.write(block->data(), block->size());
      else
        body_error = block.error();
      return block.ok();
    };
  }
  request.response_handler = [&](const httplib::Response& response) {
    exchange.head_seen = true;
    refused = !call.on_head(head_of(response));
    return !refused;
  };
  request.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
    refused = !call.on_data(std::string_view(data, size));
    return !refused;
  };

  httplib::Result result(nullptr, httplib::Error::Connection);
  for (const std::string& address : addresses_) {
    if (exchange.end != Exchange::End::none) break;
    aim(address, exchange);
    result = client_->http->send(request);
    const bool unconnected = result.error() == httplib::Error::Connection ||
                             result.error() == httplib::Error::ConnectionTimeout;
    if (result || !unconnected) break;
  }
  if (body_error) return {Stage::aborted, std::move(*body_error), false};
  if (refused) return {Stage::lost, {}, true};
  const Cause cause{result.error(), start};
  if (!result) return not_answered(cause, call, exchange);
  if (!exchange.head_seen && proxy_ && result->status == 407) {
    const char* what = proxy_->user.empty() ? " wants a user name and password"
                                            : " refuses the user name and password it was given";
    Error error = failure(Kind::network, "the proxy " + proxy_->host + what,
                          "write the right ones into HTTPS_PROXY: http://user:password@host:port");
    error.retryable = false;  // it would refuse them again
    return {Stage::not_sent, std::move(error)};
  }
  if (!exchange.head_seen && !call.on_head(head_of(*result))) return {Stage::lost, {}, true};
  // A body that ends with the connection looks whole when it was us who closed it.
  const bool framed = result->has_header("Content-Length") ||
                      result->has_header("Transfer-Encoding") || result->status == 204;
  if (!framed && exchange.end != Exchange::End::none) return not_answered(cause, call, exchange);
  return {Stage::answered, {}, false};
}

std::string library_versions() {
  return std::string("cpp-httplib ") + CPPHTTPLIB_VERSION + ", OpenSSL " +
         ::OpenSSL_version(OPENSSL_VERSION_STRING);
}

}  // namespace kling::net
