// TLS and proxies: what is trusted, and what goes where.
#include <thread>

#include <doctest/doctest.h>
#include <httplib.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/socket.h>

#include "net/raw_server.h"
#include "net/support.h"
#include "net/transport.h"

using namespace kling;
using namespace kling::net;
using Stage = HttpOutcome::Stage;

namespace {

void run(const std::string& command) {
  REQUIRE(std::system((command + " 2>/dev/null").c_str()) == 0);
}

/// A certificate authority and a server's certificate for `names`, made once.
struct Certificates {
  TemporaryFolder folder;
  explicit Certificates(const std::string& names) {
    const std::string in = "cd " + folder.path + " && openssl ";
    const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
    run(in + "req -x509" + key + "-keyout ca.key -out ca.pem -subj /CN=test-ca -days 2");
    run(in + "req" + key + "-keyout key.pem -out request.pem -subj /CN=wrong.example");
    folder.write("names", "subjectAltName=" + names);
    run(in +
        "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 "
        "-extfile names -out cert.pem");
  }
  std::string authority() const { return folder.path + "/ca.pem"; }
};

const Certificates& certificates() {
  static const Certificates made("DNS:localhost,IP:127.0.0.1");
  return made;
}

class TlsServer {
 public:
  explicit TlsServer(const Certificates& files)
      : server_((files.folder.path + "/cert.pem").c_str(),
                (files.folder.path + "/key.pem").c_str()) {
    server_.set_keep_alive_timeout(1);
    server_.Get("/x", [this](const httplib::Request& request, httplib::Response& response) {
      ++requests;
      proxy_header = request.get_header_value("Proxy-Authorization");
      response.set_content("ok", "text/plain");
    });
    server_.Post("/create", [this](const httplib::Request& request, httplib::Response& response) {
      ++requests;
      response.set_content(request.body, "text/plain");
    });
    port = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~TlsServer() {
    server_.stop();
    thread_.join();
  }

  int port = 0;
  std::atomic<int> requests{0};
  std::string proxy_header;

 private:
  httplib::SSLServer server_;
  std::thread thread_;
};

HttpOutcome tls_get(const std::string& base_url) {
  TransportOptions options;
  options.base_url = base_url;
  HttpRequest request;
  request.target = "/x";
  return (*make_transport(options))->send(request);
}

}  // namespace

TEST_CASE("a certificate is trusted only through its authority") {
  TlsServer server(certificates());
  const std::string port = ":" + std::to_string(server.port);
  {
    ScopedVariable file("SSL_CERT_FILE", certificates().authority().c_str());
    CHECK(tls_get("https://127.0.0.1" + port).body == "ok");
    CHECK(tls_get("https://localhost" + port).body == "ok");
  }
  CHECK(server.requests == 2);
  const HttpOutcome outcome = tls_get("https://127.0.0.1" + port);
  CHECK(outcome.stage == Stage::not_sent);
  CHECK(outcome.error.kind == Kind::network);
  CHECK(outcome.error.message.find("not trusted") != std::string::npos);
  CHECK(outcome.error.hint.find("SSL_CERT_FILE") != std::string::npos);
  CHECK(server.requests == 2);
}

TEST_CASE("a certificate of another host is refused") {
  const Certificates other("DNS:other.example");
  TlsServer server(other);
  ScopedVariable file("SSL_CERT_FILE", other.authority().c_str());
  const HttpOutcome outcome = tls_get("https://localhost:" + std::to_string(server.port));
  CHECK(outcome.stage == Stage::not_sent);
  CHECK(outcome.error.message.find("ostname mismatch") != std::string::npos);
  CHECK(server.requests == 0);
}

TEST_CASE("a folder of hashed certificates is honoured") {
  TlsServer server(certificates());
  const TemporaryFolder hashed;
  run("cp " + certificates().authority() + " " + hashed.path + " && openssl rehash " + hashed.path);
  ScopedVariable folder("SSL_CERT_DIR", hashed.path.c_str());
  CHECK(tls_get("https://127.0.0.1:" + std::to_string(server.port)).body == "ok");
}

TEST_CASE("a certificate file that cannot be read is named") {
  ScopedVariable file("SSL_CERT_FILE", "/nonexistent/ca.pem");
  const HttpOutcome outcome = tls_get("https://127.0.0.1:9");
  CHECK(outcome.stage == Stage::not_sent);
  CHECK(outcome.error.message.find("/nonexistent/ca.pem") != std::string::npos);
}

TEST_CASE("a plain server behind an https address is not sent") {
  RawServer server([](Peer& peer, int) { peer.send(answer("plain")); });
  CHECK(tls_get("https://127.0.0.1:" + std::to_string(server.port())).stage == Stage::not_sent);
}

TEST_CASE("TLS connections are kept and one closed while idle costs nothing") {
  TlsServer server(certificates());
  ScopedVariable file("SSL_CERT_FILE", certificates().authority().c_str());
  TransportOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(server.port);
  auto transport = *make_transport(options);
  HttpRequest request;
  request.target = "/x";
  for (int i = 0; i < 12; ++i)  // the server closes after five requests on a connection
    CHECK(transport->send(request).stage == Stage::answered);
  CHECK(server.requests == 12);
  request.method = "POST";
  request.target = "/create";
  request.fresh_connection = true;
  std::string sent;
  while (sent.size() < 7u << 20) sent += std::to_string(sent.size());
  request.body = {{.text = sent, .path = "", .size = 0, .sha256 = ""}};
  const bool same = transport->send(request).body == sent;
  CHECK(same);
}

TEST_CASE("an answer whose end is the end of a TLS connection needs no farewell") {
  const std::string file = certificates().folder.path;
  RawServer server([&](Peer& peer, int) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_use_certificate_file(context, (file + "/cert.pem").c_str(), SSL_FILETYPE_PEM);
    SSL_CTX_use_PrivateKey_file(context, (file + "/key.pem").c_str(), SSL_FILETYPE_PEM);
    SSL* tls = SSL_new(context);
    SSL_set_fd(tls, peer.socket());
    char request[4096];
    if (SSL_accept(tls) == 1 && SSL_read(tls, request, sizeof request) > 0)
      SSL_write(tls, "HTTP/1.1 200 OK\r\n\r\n{}", 21);
    SSL_free(tls);
    SSL_CTX_free(context);
  });
  ScopedVariable trust("SSL_CERT_FILE", certificates().authority().c_str());
  const HttpOutcome outcome = tls_get("https://127.0.0.1:" + std::to_string(server.port()));
  CHECK(outcome.stage == Stage::answered);
  CHECK(outcome.body == "{}");
}

TEST_CASE("an answer that comes before the picture was sent is read over TLS too") {
  const std::string file = certificates().folder.path;
  const std::string words = R"({"code":1200,"message":"refused in words"})";
  ScopedVariable trust("SSL_CERT_FILE", certificates().authority().c_str());
  const struct {
    std::string name;
    void (*act)(Peer&, SSL*);
  } ends[] = {
      {"end", [](Peer&, SSL*) {}},
      {"a farewell and the end", [](Peer&, SSL* tls) { SSL_shutdown(tls); }},
      {"reset", [](Peer& peer, SSL*) { peer.reset(); }},
      {"no more reading",
       [](Peer& peer, SSL*) {
         pollfd entry{peer.socket(), POLLRDHUP, 0};
         ::poll(&entry, 1, 60'000);
       }},
      {"a farewell, then reading",
       [](Peer& peer, SSL* tls) {
         SSL_shutdown(tls);
         ::shutdown(peer.socket(), SHUT_WR);
         peer.wait_for_close();
       }},
      {"reading on", [](Peer& peer, SSL*) { peer.wait_for_close(); }},
  };
  for (const std::string status :
       {"413 Payload Too Large", "401 Unauthorized", "429 Too Many Requests"})
    for (const auto& end : ends) {
      CAPTURE(status);
      CAPTURE(end.name);
      RawServer server([&](Peer& peer, int) {
        const int on = 1;  // else the answer waits behind the session's tickets for a reset
        ::setsockopt(peer.socket(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        SSL_CTX* context = SSL_CTX_new(TLS_server_method());
        SSL_CTX_use_certificate_file(context, (file + "/cert.pem").c_str(), SSL_FILETYPE_PEM);
        SSL_CTX_use_PrivateKey_file(context, (file + "/key.pem").c_str(), SSL_FILETYPE_PEM);
        SSL* tls = SSL_new(context);
        SSL_set_fd(tls, peer.socket());
        char some[4096];
        const std::string text = answer(words, "Connection: close\r\n", status);
        if (SSL_accept(tls) == 1 && SSL_read(tls, some, sizeof some) > 0 &&
            SSL_write(tls, text.data(), static_cast<int>(text.size())) > 0)
          end.act(peer, tls);
        SSL_free(tls);
        SSL_CTX_free(context);
      });
      TransportOptions options;
      options.base_url = "https://127.0.0.1:" + std::to_string(server.port());
      HttpRequest request;
      request.method = "POST";
      request.target = "/create";
      request.deadline = Milliseconds(60'000);
      request.fresh_connection = true;
      request.body = {{.text = std::string(5u << 20, 'p')}};
      const HttpOutcome outcome = (*make_transport(options))->send(request);
      CAPTURE(outcome.error.message);
      CHECK(outcome.stage == Stage::answered);
      CHECK(outcome.status == std::stoi(status));
      CHECK(outcome.body == words);
      CHECK(server.connections() == 1);
    }
}

TEST_CASE("a TLS record that drips is no answer once the read time-out is over") {
  TlsServer server(certificates());
  RawServer slow([&](Peer& peer, int) { peer.pipe_to(server.port, 30'000); });
  ScopedVariable file("SSL_CERT_FILE", certificates().authority().c_str());
  TransportOptions options;
  options.base_url = "https://127.0.0.1:" + std::to_string(slow.port());
  options.read_timeout = Milliseconds(500);
  HttpRequest request;
  request.method = "POST";
  request.target = "/create";
  request.body = {{.text = std::string(100'000, 'x'), .path = "", .size = 0, .sha256 = ""}};
  request.deadline = Milliseconds(86'400'000);  // it is not what ends this
  CHECK((*make_transport(options))->send(request).stage == Stage::lost);
}

TEST_CASE("a proxy gets the tunnel request and its password and the service does not") {
  RawServer proxy([&](Peer& peer, int) {
    const std::string text = peer.read_request();
    if (text.find("Proxy-Authorization: Basic dTpwQHM=\r\n") == text.npos)
      peer.send("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
    else if (text.starts_with("CONNECT api.example:443 HTTP/1.1\r\n"))
      peer.send("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n");
  });
  const std::string port = std::to_string(proxy.port());
  ScopedVariable none("no_proxy", nullptr);
  {
    ScopedVariable variable("https_proxy", ("http://u:p%40s@127.0.0.1:" + port).c_str());
    CHECK(tls_get("https://api.example").stage == Stage::not_sent);
    CHECK(proxy.connections() == 1);
    ScopedVariable exception("NO_PROXY", "other.example, .example:443");
    CHECK(tls_get("https://" + std::string(64, 'a') + ".example").stage == Stage::not_sent);
    CHECK(tls_get("https://127.0.0.1:1").stage == Stage::not_sent);
    CHECK(proxy.connections() == 1);
  }
  ScopedVariable variable("https_proxy", ("127.0.0.1:" + port).c_str());
  const HttpOutcome outcome = tls_get("https://api.example");
  CHECK(outcome.stage == Stage::not_sent);
  CHECK(outcome.error.message.find("wants a user name and password") != std::string::npos);
  {
    ScopedVariable wrong("https_proxy", ("http://u:wrong@127.0.0.1:" + port).c_str());
    const HttpOutcome again = tls_get("https://api.example");
    CHECK(again.error.message.find("refuses the user name") != std::string::npos);
    CHECK_FALSE(again.error.retryable);
  }
  ScopedVariable socks("https_proxy", "socks5://127.0.0.1:1080");
  TransportOptions options;
  options.base_url = "https://api.example";
  CHECK(!make_transport(options).ok());
}

TEST_CASE("the password of a proxy does not reach the service behind it") {
  const Certificates named("DNS:api.example");
  TlsServer server(named);
  std::string tunnel;
  RawServer proxy([&](Peer& peer, int) {
    tunnel = peer.read_request();
    peer.send("HTTP/1.1 200 Connection established\r\n\r\n");
    peer.pipe_to(server.port);
  });
  ScopedVariable none("no_proxy", nullptr);
  ScopedVariable file("SSL_CERT_FILE", named.authority().c_str());
  const std::string address = "http://user:secret@127.0.0.1:" + std::to_string(proxy.port());
  ScopedVariable variable("https_proxy", address.c_str());
  CHECK(tls_get("https://api.example").body == "ok");
  CHECK(tunnel.find("Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=") != std::string::npos);
  CHECK(server.requests == 1);
  CHECK(server.proxy_header == "");
}

TEST_CASE("plain http goes through a proxy with the whole address") {
  std::string seen;
  RawServer proxy([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.send(answer("by proxy"));
  });
  ScopedVariable none("no_proxy", nullptr);
  ScopedVariable variable("http_proxy", proxy.url().c_str());
  TransportOptions options;
  options.base_url = "http://api.example:8080";
  options.insecure = true;
  HttpRequest request;
  request.target = "/x";
  CHECK((*make_transport(options))->send(request).body == "by proxy");
  CHECK(seen.starts_with("GET http://api.example:8080/x HTTP/1.1\r\n"));
}
