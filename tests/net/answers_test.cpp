// The table of framings over real sockets, each as answer to a create, a query and a download: what
// is read, what is refused by name, and how often it was asked for. Every version of cpp-httplib
// gives the same.
#include <chrono>
#include <thread>

#include <doctest/doctest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "base/digest.h"
#include "base/files.h"
#include "net/download.h"
#include "net/framings.h"
#include "net/raw_server.h"
#include "net/support.h"
#include "net/transport.h"

using namespace kling;
using namespace kling::net;
using namespace kling::test;
using Stage = HttpOutcome::Stage;
using std::string;

namespace {

HttpRequest request_of(const string& method) {
  HttpRequest request;
  request.method = method;
  request.target = "/v1/videos";
  request.deadline = Milliseconds(60'000);
  if (method == "POST") request.body = {{.text = "{\"prompt\":\"x\"}"}};
  request.fresh_connection = method == "POST";
  return request;
}

std::shared_ptr<Transport> transport_to(const RawServer& server) {
  return *make_transport({.base_url = server.url()});
}

DownloadOptions fast(int tries) {
  static const std::shared_ptr<Clock> clock = make_clock(1000.0);
  DownloadOptions options;
  options.clock = clock.get();
  options.tries = tries;
  return options;
}

}  // namespace

TEST_CASE("creates and queries read every framing or name what is wrong with it") {
  const string body = R"({"code":0,"message":"SUCCEED","data":{"task_id":"861309198188019719"}})";
  for (const Framing& row : kFramings)
    for (const string method : {"POST", "GET"}) {
      CAPTURE(row.name);
      CAPTURE(method);
      RawServer server([&](Peer& peer, int) {
        peer.read_request();
        play(peer, row.framing(body));
      });
      const HttpOutcome outcome = transport_to(server)->send(request_of(method));
      CAPTURE(outcome.error.message);
      CHECK(server.connections() == 1);
      if (row.fault == nullptr) {
        CHECK(outcome.stage == Stage::answered);
        CHECK(outcome.status == 200);
        CHECK(outcome.body == body);
      } else {
        CHECK(outcome.stage == Stage::lost);
        CHECK(outcome.error.message.find(row.fault) != string::npos);
      }
    }
}

TEST_CASE("downloads read every framing or end by name after their tries") {
  const string body = film_of(20'000);
  for (const Framing& row : kFramings) {
    CAPTURE(row.name);
    TemporaryFolder folder;
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      play(peer, row.framing(body));
    });
    const auto got = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast(2));
    CHECK(server.connections() <= (row.fault == nullptr ? 1 : 2));
    CHECK_MESSAGE(got.ok() == (row.fault == nullptr), (got ? "" : got.error().message));
    if (got)
      CHECK(got->sha256 == sha256_hex(body));
    else if (row.fault != nullptr)
      CHECK_MESSAGE(got.error().message.find(row.fault) != string::npos, got.error().message);
  }
}

TEST_CASE("what cannot be unpacked is asked for once, and the way to unpack is named") {
  const string body = film_of(20'000);
  for (const Framing& row : kFramings) {
    if (row.fault == nullptr || !string(row.fault).starts_with("packed")) continue;
    CAPTURE(row.name);
    TemporaryFolder folder;
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      play(peer, row.framing(body));
    });
    const auto got = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast(5));
    CHECK(!got.ok());
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("a connection is used again only where the answer's end is certain") {
  const struct {
    string name;
    string answer;
    int connections;
  } rows[] = {
      {"of a length", sized("{}"), 1},
      {"chunks and a trailer", kChunked + "\r\n" + chunks("{}") + "X: 1\r\n\r\n", 1},
      {"103 before", "HTTP/1.1 103 Hints\r\n\r\n" + sized("{}"), 1},
      {"gzip", sized(gzip("{}"), "Content-Encoding: gzip\r\n"), 1},
      {"no body", "HTTP/1.1 204 No Content\r\n\r\n", 1},
      {"304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 50\r\n\r\n", 1},
      {"a refusal", sized("{}", "", "HTTP/1.1 404 Not Found\r\n"), 1},
      {"said to close", sized("{}", "Connection: Close\r\n"), 2},
      {"said to close in a list", sized("{}", "Connection: x, close\r\n"), 2},
      {"HTTP/1.0", sized("{}", "", "HTTP/1.0 200 OK\r\n"), 2},
      {"chunks and a length", kChunked + "Content-Length: 2\r\n\r\n" + chunks("{}") + "\r\n", 2},
      {"a line too many", sized("{}") + "\r\n", 2},
      {"an answer too many", sized("{}") + sized("{}"), 2},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    RawServer server([&](Peer& peer, int) {
      while (!peer.read_request().empty()) peer.send(row.answer);
    });
    TransportOptions options;
    options.base_url = server.url();
    options.idle_reuse = Milliseconds(60'000);
    const auto transport = *make_transport(options);
    for (int i = 0; i < 2; ++i) CHECK(transport->send(request_of("GET")).stage == Stage::answered);
    CHECK(server.connections() == row.connections);
  }
}

TEST_CASE("an answer that comes before the picture was sent is read") {
  TemporaryFolder folder;
  const string raw(5u << 20, 'p');
  const string path = folder.write("p.png", raw);
  struct End {
    string name;
    void (*act)(Peer&);
  };
  const End kEnds[] = {
      {"end", [](Peer&) {}},
      {"reset", [](Peer& peer) { peer.reset(); }},
      {"no more reading",
       [](Peer& peer) {
         pollfd entry{peer.socket(), POLLRDHUP, 0};
         ::poll(&entry, 1, 60'000);
       }},
      {"half an end, then reading",
       [](Peer& peer) {
         ::shutdown(peer.socket(), SHUT_WR);
         peer.wait_for_close();
       }},
      {"reading on", [](Peer& peer) { peer.wait_for_close(); }},
  };
  for (const string status : {"413 Payload Too Large", "401 Unauthorized", "429 Too Many Requests"})
    for (const End& end : kEnds)
      for (const bool chunked : {false, true})
        for (const bool hints : {false, true}) {
          CAPTURE(status);
          CAPTURE(end.name);
          CAPTURE(chunked);
          CAPTURE(hints);
          const string words = R"({"code":1200,"message":"refused in words"})";
          RawServer server([&](Peer& peer, int) {
            const int on = 1;  // else a second small piece waits, and is lost with a reset
            ::setsockopt(peer.socket(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            char some[2000];
            ::recv(peer.socket(), some, sizeof some, 0);
            if (hints) play(peer, "HTTP/1.1 100 Continue\r\n\r\n");
            const string first = "HTTP/1.1 " + status + "\r\n";
            peer.send(chunked
                          ? first + "Transfer-Encoding: chunked\r\n\r\n" + chunks(words) + "\r\n"
                          : sized(words, "Connection: close\r\n", first));
            end.act(peer);
          });
          HttpRequest request = request_of("POST");
          request.body = {{.text = "{\"image\":\""},
                          {.path = path, .size = raw.size(), .sha256 = sha256_hex(raw)},
                          {.text = "\"}"}};
          const HttpOutcome outcome = transport_to(server)->send(request);
          CAPTURE(outcome.error.message);
          CHECK(outcome.stage == Stage::answered);
          CHECK(outcome.status == std::stoi(status));
          CHECK(outcome.body == words);
          CHECK(server.connections() == 1);
        }
}

TEST_CASE(
    "an acceptance that breaks off in its head while the picture is sent is lost, not unsent") {
  for (const bool accepts : {true, false}) {
    CAPTURE(accepts);
    RawServer server([&](Peer& peer, int) {
      char some[2000];
      ::recv(peer.socket(), some, sizeof some, 0);
      peer.send(accepts ? "HTTP/1.1 200 OK\r\nContent-Ty" : "HTTP/1.1 2");
      ::shutdown(peer.socket(), SHUT_WR);
      std::this_thread::sleep_for(Milliseconds(20));
    });
    HttpRequest request = request_of("POST");
    request.body = {{.text = string(5u << 20, 'x')}};
    const HttpOutcome outcome = transport_to(server)->send(request);
    CAPTURE(outcome.error.message);
    CHECK(outcome.stage == (accepts ? Stage::lost : Stage::not_sent));
    CHECK(!outcome.error.hint.empty());
  }
}

TEST_CASE("an acceptance that comes early does not stop the sending") {
  std::size_t received = 0;
  RawServer server([&](Peer& peer, int) {
    char some[2000];
    received = std::size_t(::recv(peer.socket(), some, sizeof some, 0));
    peer.send(kOk + "Content-Length: 2\r\n\r\n");
    for (ssize_t got = 1; got > 0 && received < (3u << 20); received += std::size_t(got)) {
      char more[65536];
      got = ::recv(peer.socket(), more, sizeof more, 0);
    }
    peer.send("{}");
  });
  HttpRequest request = request_of("POST");
  request.body = {{.text = string(3u << 20, 'x')}};
  const HttpOutcome outcome = transport_to(server)->send(request);
  CHECK(outcome.stage == Stage::answered);
  CHECK(outcome.body == "{}");
  CHECK(received >= (3u << 20));
}

TEST_CASE("a redirect is followed byte for byte") {
  const string body = film_of(2'000);
  struct Redirect {
    string location, asked;
  };
  const string raw = "a=b;c:d/e,f*g(h)[i]+j'k!l$m@n~o";
  const Redirect kRedirects[] = {
      {"/x?a=%26%23%2B%2F%3D%25", "/x?a=%26%23%2B%2F%3D%25"},
      {"/x%2Fy%20z?s=%2f%2B+%c3%bc", "/x%2Fy%20z?s=%2f%2B+%c3%bc"},
      {"/" + raw + "?" + raw + "&" + raw, "/" + raw + "?" + raw + "&" + raw},
      {"/x?X-Amz-Credential=AK%2F2026&X-Amz-Signature=ab==&p={a|b}^`\"",
       "/x?X-Amz-Credential=AK%2F2026&X-Amz-Signature=ab==&p={a|b}^`\""},
      {"/x?u=http://other/%2e%2e/y", "/x?u=http://other/%2e%2e/y"},
      {"other.mp4?x=1", "/films/other.mp4?x=1"},
      {"?x=%2B", "/films/clip.mp4?x=%2B"},
      {"/x?a=1#part", "/x?a=1"},
      {"//HOST/x?a=%2B", "/x?a=%2B"},
      {"http://HOST/x", "/x"},
      {"HTTP://HOST/x", "/x"},
      {"http://HOST", "/"},
      {"http://HOST?a=%2B", "/?a=%2B"},
      {"  /x?a=1 \t", "/x?a=1"},
      {"/a film.mp4?name=b c", "/a%20film.mp4?name=b%20c"},
      {"/f\xc3\xbcr?a=\xe6\x88\x90", "/f%C3%BCr?a=%E6%88%90"},
      {"/%", "/%"},
  };
  for (const Redirect& redirect : kRedirects) {
    CAPTURE(redirect.location);
    TemporaryFolder folder;
    string asked, place;
    RawServer server([&](Peer& peer, int connection) {
      const string request = peer.read_request();
      if (connection > 1) {
        asked = request.substr(4, request.find(" HTTP/1.1\r\n") - 4);
        peer.send(answer(body));
        return;
      }
      string location = redirect.location;
      if (const std::size_t host = location.find("HOST"); host != location.npos)
        location.replace(host, 4, place);
      peer.send(answer("", "Location: " + location + "\r\n", "302 Found"));
    });
    place = server.url().substr(7);
    const auto got = download(server.url() + "/films/clip.mp4", folder.path + "/clip.mp4", fast(1));
    CHECK_MESSAGE(got.ok(), (got ? "" : got.error().message));
    CHECK(asked == redirect.asked);
  }
}
