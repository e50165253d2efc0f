// The transport over real connections to servers that behave, and to some that do not.
#include "net/transport.h"

#include <csignal>
#include <future>
#include <thread>

#include <doctest/doctest.h>
#include <malloc.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/process.h"
#include "base/signals.h"
#include "net/raw_server.h"
#include "net/support.h"

using namespace kling;
using namespace kling::net;
using Stage = HttpOutcome::Stage;

namespace {

/// A time-out that nothing here lives to see: what waits for it, hangs.
constexpr Milliseconds kForEver{86'400'000};

TransportOptions idle_reuse(Milliseconds age) {
  TransportOptions options;
  options.idle_reuse = age;
  return options;
}

std::shared_ptr<Transport> transport_to(const std::string& url,
                                        TransportOptions options = idle_reuse(kForEver)) {
  options.base_url = url;
  Result<std::shared_ptr<Transport>> made = make_transport(options);
  REQUIRE_MESSAGE(made.ok(), (made.ok() ? "" : made.error().message));
  return *made;
}

Result<std::shared_ptr<Transport>> try_transport(const std::string& url, bool insecure = false) {
  TransportOptions options;
  options.base_url = url;
  options.insecure = insecure;
  return make_transport(options);
}

HttpRequest get(const std::string& target = "/x") {
  HttpRequest request;
  request.target = target;
  return request;
}

HttpRequest post(const std::string& text) {
  HttpRequest request;
  request.method = "POST";
  request.target = "/create";
  request.body = {BodyPiece{.text = text, .path = "", .size = 0, .sha256 = ""}};
  request.fresh_connection = true;
  return request;
}

BodyPiece file_piece(const std::string& path, std::string_view content) {
  return {.text = "", .path = path, .size = content.size(), .sha256 = sha256_hex(content)};
}

std::size_t peak_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmHWM:")) return std::strtoull(line.c_str() + 6, nullptr, 10) << 10;
  return 0;
}

std::size_t reset_peak_memory() {
  ::malloc_trim(0);
  std::ofstream("/proc/self/clear_refs") << "5";
  return peak_memory();
}

Milliseconds since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration_cast<Milliseconds>(std::chrono::steady_clock::now() - start);
}

}  // namespace

TEST_CASE("a GET is answered with status headers and body") {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.send(answer("{\"a\":1}",
                     "Content-Type: application/json\r\nRetry-After: 7\r\nDate: today\r\n",
                     "429 Too Many"));
  });
  HttpRequest request = get("/kling/v1/videos/text2video/1?x=%20+,y");
  request.headers = {{"Authorization", "Bearer k"}};
  const HttpOutcome outcome = transport_to(server.url() + "/prefix/")->send(request);
  REQUIRE(outcome.stage == Stage::answered);
  CHECK(outcome.status == 429);
  CHECK(outcome.body == "{\"a\":1}");
  CHECK(outcome.content_type == "application/json");
  CHECK(outcome.retry_after == "7");
  CHECK(outcome.date == "today");
  CHECK(seen.starts_with("GET /prefix/kling/v1/videos/text2video/1?x=%20+,y HTTP/1.1\r\n"));
  CHECK(seen.find("Authorization: Bearer k\r\n") != seen.npos);
  CHECK(seen.find("User-Agent: kling-lua/0.1\r\n") != seen.npos);
}

TEST_CASE("a POST sends text and files as one body of known length") {
  TemporaryFolder folder;
  std::string picture(500'000, '\0');
  for (std::size_t i = 0; i < picture.size(); ++i) picture[i] = char(i * 7 + i / 251);
  const std::string path = folder.write("a.png", picture);
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.send(answer("{}"));
  });
  HttpRequest request = post("{\"image\":\"");
  request.body.push_back(file_piece(path, picture));
  request.body.push_back({.text = "\"}", .path = "", .size = 0, .sha256 = ""});
  const HttpOutcome outcome = transport_to(server.url())->send(request);
  REQUIRE(outcome.stage == Stage::answered);
  const std::string body = "{\"image\":\"" + base64_encode(picture) + "\"}";
  CHECK(seen.find("Content-Length: " + std::to_string(body.size()) + "\r\n") != seen.npos);
  CHECK(seen.find("Content-Type: application/json\r\n") != seen.npos);
  CHECK((seen.substr(seen.find("\r\n\r\n") + 4) == body));
}

TEST_CASE("GETs share a connection and creates get one of their own") {
  RawServer server([&](Peer& peer, int) {
    while (!peer.read_request().empty()) peer.send(answer("ok"));
  });
  auto transport = transport_to(server.url());
  for (int i = 0; i < 5; ++i) CHECK(transport->send(get()).status == 200);
  CHECK(server.connections() == 1);
  CHECK(transport->send(post("{}")).status == 200);
  CHECK(transport->send(post("{}")).status == 200);
  CHECK(server.connections() == 3);
  CHECK(transport->send(get()).status == 200);
  CHECK(server.connections() == 3);
}

TEST_CASE("an idle connection beyond its age is not used again") {
  RawServer server([&](Peer& peer, int) {
    while (!peer.read_request().empty()) peer.send(answer("ok"));
  });
  auto transport = transport_to(server.url(), idle_reuse(Milliseconds(0)));
  CHECK(transport->send(get()).status == 200);
  std::this_thread::sleep_for(Milliseconds(2));
  CHECK(transport->send(get()).status == 200);
  CHECK(server.connections() == 2);
}

TEST_CASE("a connection that the server closed while idle costs nothing") {
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("ok"));
  });
  auto transport = transport_to(server.url());
  for (int i = 0; i < 4; ++i) {
    CHECK(transport->send(get()).stage == Stage::answered);
    std::this_thread::sleep_for(Milliseconds(5));
  }
}

TEST_CASE("a GET is repeated once when a used connection breaks under it") {
  std::atomic<int> requests{0};
  RawServer server([&](Peer& peer, int connection) {
    while (!peer.read_request().empty()) {
      ++requests;
      if (connection == 1 && requests == 2) return;  // reads the second request and hangs up
      peer.send(answer("ok"));
    }
  });
  auto transport = transport_to(server.url());
  CHECK(transport->send(get()).stage == Stage::answered);
  CHECK(transport->send(get()).stage == Stage::answered);
  CHECK(requests == 3);
}

TEST_CASE("a POST whose connection breaks is lost and never repeated") {
  std::atomic<int> requests{0};
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    ++requests;
    peer.reset();
  });
  const HttpOutcome outcome = transport_to(server.url())->send(post("{\"prompt\":\"x\"}"));
  CHECK(outcome.stage == Stage::lost);
  CHECK(outcome.error.kind == Kind::network);
  CHECK(requests == 1);
}

TEST_CASE("what breaks before the first byte is not sent") {
  int port = 0;
  {
    port = RawServer([](Peer&, int) {}).port();
  }
  const HttpOutcome refused =
      transport_to("http://127.0.0.1:" + std::to_string(port))->send(post("{}"));
  CHECK(refused.stage == Stage::not_sent);
  CHECK(refused.error.kind == Kind::network);
  CHECK(refused.error.message.find("could not connect") != std::string::npos);

  const std::string name = std::string(64, 'a') + ".invalid";  // which no resolver is asked for
  const HttpOutcome unknown = transport_to("https://" + name)->send(post("{}"));
  CHECK(unknown.stage == Stage::not_sent);
  CHECK(unknown.error.message.find(name) != std::string::npos);
}

TEST_CASE("an answer that ends early is lost") {
  const char* const kAnswers[] = {
      "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"half\":",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
      "HTTP/1.1 200 OK\r\nContent-Le",
      "",
      "SSH-2.0-OpenSSH_9.2\r\n",
      "HTTP/1.1 103 Early Hints\r\n\r\n",
  };
  for (const char* text : kAnswers) {
    CAPTURE(text);
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send(text);
    });
    CHECK(transport_to(server.url())->send(post("{}")).stage == Stage::lost);
  }
}

TEST_CASE("a chunked answer and one that ends with the connection are whole") {
  RawServer server([&](Peer& peer, int connection) {
    peer.read_request();
    peer.send(connection == 1 ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                                "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
                              : "HTTP/1.1 200 OK\r\n\r\nabcde");
  });
  auto transport = transport_to(server.url(), idle_reuse(Milliseconds(0)));
  CHECK(transport->send(get()).body == "abcde");
  CHECK(transport->send(get()).body == "abcde");
  CHECK(server.connections() == 2);
}

TEST_CASE("a server that accepts and says nothing is lost at the read time-out") {
  RawServer server([](Peer& peer, int) { peer.wait_for_close(); });
  TransportOptions options;
  options.read_timeout = Milliseconds(50);
  const HttpOutcome outcome = transport_to(server.url(), options)->send(post("{}"));
  CHECK(outcome.stage == Stage::lost);
  CHECK(outcome.error.message.find("0.05 s") != std::string::npos);
}

TEST_CASE("the deadline holds against hanging dripping and endless answers") {
  struct Case {
    const char* name;
    std::function<void(Peer&)> act;
  };
  const Case kCases[] = {
      {"hang", [](Peer& peer) { peer.wait_for_close(); }},
      {"drip in the head",
       [](Peer& peer) {
         peer.send("HTTP/1.1 200 OK\r\nX-Drip: ");
         while (peer.send("a")) std::this_thread::sleep_for(Milliseconds(5));
       }},
      {"drip in a body of known length",
       [](Peer& peer) {
         peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n");
         while (peer.send("a")) std::this_thread::sleep_for(Milliseconds(5));
       }},
      {"drip in a body that ends with the connection",
       [](Peer& peer) {
         peer.send("HTTP/1.1 200 OK\r\n\r\n");
         while (peer.send("a")) std::this_thread::sleep_for(Milliseconds(5));
       }},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      c.act(peer);
    });
    HttpRequest request = post("{}");
    request.deadline = Milliseconds(300);
    const auto start = std::chrono::steady_clock::now();
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == Stage::lost);
    CHECK(outcome.error.kind == Kind::network);
    CHECK(since(start) >= Milliseconds(295));
  }
}

TEST_CASE(
    "what a server did not read to its end was not sent, and a body that is all out is lost") {
  for (const std::size_t size : {32u << 20, 100u}) {
    std::promise<void> over;
    RawServer server([&](Peer&, int) { over.get_future().wait(); });
    HttpRequest request = post(std::string(size, 'x'));
    request.deadline = Milliseconds(300);
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == (size > 100 ? Stage::not_sent : Stage::lost));
    CHECK(outcome.error.kind == Kind::network);
    over.set_value();
  }
}

TEST_CASE("how much of a body is out is told from the first block to the last") {
  RawServer server([](Peer& peer, int) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
  });
  HttpRequest request = post(std::string(1u << 20, 'x'));
  request.body = {{.text = "{"}, {.text = std::string(1u << 20, 'x')}, {.text = "}"}};
  std::vector<double> told;
  request.on_part = [&](double part) { told.push_back(part); };
  CHECK(transport_to(server.url())->send(request).stage == Stage::answered);
  REQUIRE(told.size() >= 3);
  CHECK(told.front() < 0.01);
  CHECK(told.back() == 1);
  CHECK(std::is_sorted(told.begin(), told.end()));
}

TEST_CASE("a program names itself, its proxy and whom it trusts") {
  RawServer proxy([](Peer& peer, int) {
    const std::string head = peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(head.size()) + "\r\n\r\n" +
              head);
  });
  TransportOptions options{.base_url = "http://service.invalid/api", .insecure = true};
  options.environment = std::make_shared<Environment>(NetworkOptions{
      .ca_file = "/nonexistent.pem", .proxy = proxy.url(), .user_agent = "Game/1.2"});
  const HttpOutcome seen = (*make_transport(options))->send(get());
  REQUIRE(seen.stage == Stage::answered);
  CHECK(seen.body.find("http://service.invalid/api") != std::string::npos);
  CHECK(seen.body.find("User-Agent: Game/1.2 kling-lua/") != std::string::npos);
  options.base_url = "https://127.0.0.1:1";
  CHECK((*make_transport(options))->send(get()).error.message.find("/nonexistent.pem") !=
        std::string::npos);
  options.environment = std::make_shared<Environment>(NetworkOptions{.proxy = "socks5://x:1"});
  options.base_url = "https://service.invalid";
  CHECK(make_transport(options).error().message.find("option proxy") != std::string::npos);
}

TEST_CASE("a mute TLS handshake is not sent and ends at the deadline") {
  RawServer server([](Peer& peer, int) { peer.wait_for_close(); });
  HttpRequest request = post("{}");
  request.deadline = Milliseconds(300);
  const HttpOutcome outcome =
      transport_to("https://127.0.0.1:" + std::to_string(server.port()))->send(request);
  CHECK(outcome.stage == Stage::not_sent);
  CHECK(outcome.error.kind == Kind::network);
}

TEST_CASE("endless headers end without a deadline") {
  for (const char* line :
       {"X-More: 0123456789012345678901234567890123456789\r\n", "aaaaaaaaaaaaaaaa"}) {
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send("HTTP/1.1 200 OK\r\n");
      while (peer.send(line)) {
      }
    });
    HttpRequest request = get();
    request.deadline = kForEver;
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == Stage::lost);
    CHECK(outcome.error.message.find("headers without end") != std::string::npos);
  }
}

TEST_CASE("a status line without end is no answer and ends nothing else") {
  for (const char* start : {"HTTP/1.1 200 ", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "}) {
    RawServer server([&](Peer& peer, int connection) {
      peer.read_request();
      if (connection > 1) {
        peer.send(answer("{}"));
        return;
      }
      peer.send(start + std::string(8u << 20, 'a') + "\r\n\r\n");
      peer.wait_for_close();
    });
    const auto transport = transport_to(server.url());
    const HttpOutcome outcome = transport->send(get());
    CHECK(outcome.stage == Stage::lost);
    CHECK(outcome.error.message.find("without end") != std::string::npos);
    CHECK(transport->send(get()).status == 200);
  }
}

TEST_CASE("a connection whose answer was longer than it said is not used again") {
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("{}") + answer("more"));
    peer.wait_for_close();
  });
  const auto transport = transport_to(server.url());
  for (int request = 1; request <= 3; ++request) {
    CHECK(transport->send(get()).body == "{}");
    CHECK(server.connections() == request);
  }
}

TEST_CASE("an answer over the cap is lost with kind protocol") {
  for (const char* head :
       {"HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n"}) {
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send(head);
      const std::string block(65536, 'a');
      while (peer.send(block)) {
      }
    });
    HttpRequest request = get();
    request.response_cap = 100'000;
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == Stage::lost);
    CHECK(outcome.error.kind == Kind::protocol);
    CHECK(outcome.error.message.find("100000 bytes") != std::string::npos);
  }
}

TEST_CASE("an answer that was packed unasked is unpacked up to the cap") {
  const auto packed = [](const std::string& what) {
    return run_process({"sh", "-c", what + " | gzip"})->output;
  };
  const std::string whole = packed("printf '{\"code\":0}'");
  const std::string bomb = packed("head -c 67108864 /dev/zero");
  REQUIRE(bomb.size() < 100'000);
  const struct {
    const std::string& sent;
    Stage stage;
    const char* body;
  } rows[] = {{whole, Stage::answered, "{\"code\":0}"}, {bomb, Stage::lost, nullptr}};
  for (const auto& row : rows) {
    RawServer server([&](Peer& peer, int) {
      CHECK(peer.read_request().find("Accept-Encoding: identity\r\n") != std::string::npos);
      peer.send(answer(row.sent, "Content-Encoding: gzip\r\n"));
    });
    HttpRequest request = get();
    request.response_cap = 100'000;
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == row.stage);
    if (row.body != nullptr) CHECK(outcome.body == row.body);
    CHECK((row.body != nullptr || outcome.error.kind == Kind::protocol));
    CHECK(outcome.body.size() <= request.response_cap);
  }
  for (const std::string& broken : {whole.substr(0, whole.size() / 2), std::string("no gzip")}) {
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send(answer(broken, "Content-Encoding: gzip\r\n"));
    });
    CHECK(transport_to(server.url())->send(get()).body.find("code") == std::string::npos);
  }
  // The connection ends within a packed body: at once, and as what it is.
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    const std::string sent = answer(whole, "Content-Encoding: gzip\r\n");
    peer.send(sent.substr(0, sent.size() - 8));
  });
  CHECK(transport_to(server.url())->send(get()).stage != Stage::answered);
}

TEST_CASE("a redirect is returned and not followed") {
  RawServer elsewhere([](Peer& peer, int) { peer.read_request(); });
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("", "Location: " + elsewhere.url() + "/steal\r\n", "302 Found"));
  });
  HttpRequest request = get();
  request.headers = {{"Authorization", "Bearer secret"}};
  const HttpOutcome outcome = transport_to(server.url())->send(request);
  CHECK(outcome.stage == Stage::answered);
  CHECK(outcome.status == 302);
  CHECK(elsewhere.connections() == 0);
}

TEST_CASE("where a redirect leads is told without what may be secret") {
  const struct {
    const char *location, *leads_to, *base_url;
  } rows[] = {
      {"https://HOST/api/x", "https://HOST/api/x", "https://HOST/api"},
      {"https://www.example.org/api/x", "https://www.example.org/api/x",
       "https://www.example.org/api"},
      {"//www.example.org:8080/api/x", "http://www.example.org:8080/api/x",
       "http://www.example.org:8080/api"},
      {"https://example.org/x", "https://example.org/x", "https://example.org"},
      {"https://example.org/v2/api/x", "https://example.org/v2/api/x",
       "https://example.org/v2/api"},
      {"/login?token=secret", "http://HOST/login", ""},
      {"/login?next=/x", "http://HOST/login", ""},
      {"https://example.org/api/x?token=secret", "https://example.org/api/x", ""},
      {"https://example.org/api/x#secret", "https://example.org/api/x", "https://example.org/api"},
      {"/api/x/", "http://HOST/api/x/", ""},
      {"/api/x", "http://HOST/api/x", ""},
      {"https://me:secret@example.org/api/x", "", ""},
      {"not an address", "", ""},
      {"", "", ""},
  };
  for (const auto& row : rows) {
    CAPTURE(row.location);
    std::string place;
    const auto here = [&](std::string text) {
      if (const std::size_t at = text.find("HOST"); at != text.npos) text.replace(at, 4, place);
      return text;
    };
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send(answer("", "Location: " + here(row.location) + "\r\n", "301 Moved"));
    });
    place = server.url().substr(7);
    HttpRequest request = get();
    request.target = "/x";
    const HttpOutcome outcome = transport_to(server.url() + "/api")->send(request);
    CHECK(outcome.leads_to == here(row.leads_to));
    CHECK(outcome.base_url == here(row.base_url));
    const Error told = read_answer(outcome).error;
    CHECK((told.message.find(", and leads to ") != told.message.npos) == (*row.leads_to != '\0'));
    CHECK((told.hint.find("to " + outcome.base_url) != told.hint.npos) == (*row.base_url != '\0'));
    CHECK(told.message.find("secret@") == told.message.npos);
    CHECK(told.message.find("token") == told.message.npos);
  }
}

TEST_CASE("control characters never reach the wire") {
  RawServer server([](Peer& peer, int) { peer.read_request(); });
  auto transport = transport_to(server.url());
  std::vector<HttpRequest> requests(6, get());
  requests[0].headers = {{"Authorization", "Bearer secret\r\nX-Evil: 1"}};
  requests[1].headers = {{"X\r\nEvil", "1"}};
  requests[2].headers = {{"X-Zero", std::string("a\0b", 3)}};
  requests[3].target = "/x HTTP/1.1\r\nX-Evil: 1\r\n\r\n";
  requests[4].content_type = "text/plain\r\nX-Evil: 1";
  requests[5].method = "DELETE";
  for (const HttpRequest& request : requests) {
    const HttpOutcome outcome = transport->send(request);
    CHECK(outcome.stage == Stage::not_sent);
    CHECK(outcome.error.kind == Kind::invalid);
    CHECK(outcome.error.message.find("secret") == std::string::npos);
  }
  CHECK(server.connections() == 0);
}

TEST_CASE("stop ends a running exchange and refuses later ones") {
  std::promise<void> reached;
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    reached.set_value();
    peer.wait_for_close();
  });
  auto transport = transport_to(server.url());
  HttpRequest request = post("{}");
  request.deadline = kForEver;
  auto running = std::async(std::launch::async, [&] { return transport->send(request); });
  reached.get_future().wait();
  transport->stop();
  const HttpOutcome outcome = running.get();
  CHECK(outcome.stage == Stage::lost);
  CHECK(outcome.error.kind == Kind::interrupted);
  CHECK(transport->send(get()).stage == Stage::not_sent);
}

TEST_CASE("a file that changed after its check is not sent whole") {
  TemporaryFolder folder;
  const std::string checked(600'000, 'a');
  std::string changed = checked;
  changed.back() = 'b';
  const std::string path = folder.write("a.png", changed);
  for (const std::string text_after : {"", "]"}) {
    CAPTURE(text_after);
    std::promise<std::string> seen;
    RawServer server([&](Peer& peer, int) { seen.set_value(peer.read_request()); });
    HttpRequest request = post("[");
    request.body.push_back(file_piece(path, checked));
    request.body.push_back({.text = text_after, .path = "", .size = 0, .sha256 = ""});
    const HttpOutcome outcome = transport_to(server.url())->send(request);
    CHECK(outcome.stage == Stage::aborted);
    CHECK(outcome.error.kind == Kind::media);
    CHECK(outcome.error.message.find(path) != std::string::npos);
    const std::string text = seen.get_future().get();
    const std::size_t whole = base64_size(checked.size()) + 1 + text_after.size();
    CHECK(text.find("Content-Length: " + std::to_string(whole) + "\r\n") != text.npos);
    const std::size_t body = text.size() - (text.find("\r\n\r\n") + 4);
    CHECK(body > 0);
    CHECK(body <= whole - text_after.size() - base64_size(checked.size() % (192 * 1024)));
  }
}

TEST_CASE("a file of another size or none is not sent at all") {
  TemporaryFolder folder;
  const std::string path = folder.write("a.png", "abcdef");
  RawServer server([](Peer& peer, int) { peer.read_request(); });
  auto transport = transport_to(server.url());
  for (const std::string& name : {path, path + ".missing", folder.path}) {
    HttpRequest request = post("[");
    request.body.push_back(file_piece(name, "abc"));
    const HttpOutcome outcome = transport->send(request);
    CHECK(outcome.stage == Stage::not_sent);
    CHECK(outcome.error.kind == Kind::media);
  }
  CHECK(server.connections() == 0);
}

TEST_CASE("a large picture does not pass through memory as a whole") {
  TemporaryFolder folder;
  const std::string path = folder.path + "/big.png";
  {
    const std::string block(1u << 20, 'p');
    std::FILE* file = std::fopen(path.c_str(), "wb");
    for (int i = 0; i < 10; ++i) std::fwrite(block.data(), 1, block.size(), file);
    std::fclose(file);
  }
  std::atomic<std::size_t> received{0};
  RawServer server([&](Peer& peer, int) {
    received = peer.skip_request();
    peer.send(answer("ok"));
  });
  HttpRequest request = post("[");
  request.body.push_back({.text = "", .path = path, .size = 10u << 20, .sha256 = *hash_file(path)});
  auto transport = transport_to(server.url());
  CHECK(transport->send(post("{}")).status == 200);  // what is allocated once
  const std::size_t before = reset_peak_memory();
  CHECK(transport->send(request).status == 200);
  CHECK(received == base64_size(10u << 20) + 1);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they keep freed memory
  CHECK(peak_memory() - before < (2u << 20));
#else
  CHECK(before > 0);
#endif
}

TEST_CASE("a SIGPIPE raised within an exchange is neither deadly nor left behind") {
  static std::atomic<int> raised{0};
  const auto before = std::signal(SIGPIPE, [](int) { ++raised; });
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  ::close(ends[0]);
  {
    PipeSignalBlock block;
    CHECK(::write(ends[1], "x", 1) == -1);
    CHECK(errno == EPIPE);
  }
  ::close(ends[1]);
  std::signal(SIGPIPE, before);
  CHECK(raised == 0);
}

TEST_CASE("a second answer that nobody asked for is not taken for the next one") {
  std::promise<void> strayed;
  RawServer server([&](Peer& peer, int connection) {
    peer.read_request();
    peer.send(answer("right"));
    if (connection > 1) return;
    peer.send(answer("stray"));
    strayed.set_value();
    peer.wait_for_close();
  });
  auto transport = transport_to(server.url());
  CHECK(transport->send(get()).body == "right");
  strayed.get_future().wait();
  CHECK(transport->send(get()).body == "right");
}

TEST_CASE("peers that leave early harm nobody") {
  RawServer server([](Peer& peer, int) { peer.reset(); });
  auto transport = transport_to(server.url());
  for (int i = 0; i < 20; ++i)
    CHECK(transport->send(post(std::string(1u << 20, 'x'))).stage != Stage::answered);
}

TEST_CASE("many threads share a transport") {
  RawServer server([](Peer& peer, int) {
    for (std::string text; !(text = peer.read_request()).empty();)
      peer.send(answer(text.substr(4, text.find(' ', 4) - 4)));
  });
  auto transport = transport_to(server.url());
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&, i] {
      for (int k = 0; k < 50; ++k) {
        const std::string target = "/" + std::to_string(i) + "-" + std::to_string(k);
        right += transport->send(get(target)).body == target;
      }
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 400);
  CHECK(server.connections() <= 8);
}

TEST_CASE("addresses of IPv6 with letters are connected to") {
  std::string seen;
  RawServer server([&](Peer& peer, int) {
    seen = peer.read_request();
    peer.send(answer("ok"));
  });
  const std::string place = "[::ffff:7f00:1]:" + std::to_string(server.port());
  const HttpOutcome outcome = transport_to("http://" + place)->send(get());
  if (kling::Descriptor(::socket(AF_INET6, SOCK_STREAM, 0))) {
    CHECK(outcome.body == "ok");
    CHECK(seen.find("Host: " + place + "\r\n") != std::string::npos);
  }
  HttpRequest request = get();
  request.deadline = Milliseconds(300);
  CHECK(transport_to("https://" + place)->send(request).stage == Stage::not_sent);
}

TEST_CASE("base URLs are checked before anything happens") {
  for (const char* url : {"", "ftp://a.example", "http://api.example.com", "http://10.0.0.1",
                          "https://user:pass@api.example.com", "https://a.example/x?y=1",
                          "https://a b.example", "https://a.example:99999", "https://a\r\n.example",
                          "https://", "http://127.0.0.1.evil.example"}) {
    CAPTURE(url);
    auto made = try_transport(url);
    CHECK(!made.ok());
    if (!made.ok()) CHECK(made.error().kind == Kind::invalid);
  }
  for (const char* url : {"https://api.cometapi.com", "http://127.0.0.1:8080", "http://localhost",
                          "http://[::1]:8080", "HTTPS://API.example.com/v1/"})
    CHECK(try_transport(url).ok());
  CHECK(try_transport("http://10.0.0.1", true).ok());
}

TEST_CASE("the address of a service is normalized") {
  CHECK(*service_address("https://API.CometAPI.com/") == "api.cometapi.com");
  CHECK(*service_address("https://api.cometapi.com:443") == "api.cometapi.com");
  CHECK(*service_address("http://127.0.0.1:8080/prefix/") == "127.0.0.1:8080/prefix");
  CHECK(*service_address("http://[::1]:80") == "[::1]");
  CHECK(!service_address("nonsense").ok());
}
