// The small server, as hostile and as clumsy clients see it.
#include "net/server.h"

#include <atomic>
#include <cstdio>
#include <fstream>
#include <thread>

#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace kling;
using namespace kling::net;

namespace {

int connect_to(int port) {
  const int socket = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  ::inet_pton(AF_INET, "127.0.0.1", &to.sin_addr);
  REQUIRE(::connect(socket, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  return socket;
}

/// Sends the bytes and reads until the server closes or the answer's head and body are there.
std::string talk(int port, const std::string& bytes, bool ends = false) {
  const int socket = connect_to(port);
  for (std::size_t sent = 0; sent < bytes.size();) {
    const auto count = ::send(socket, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (count <= 0) break;
    sent += static_cast<std::size_t>(count);
  }
  if (ends) ::shutdown(socket, SHUT_WR);
  std::string answer;
  char part[4096];
  for (ssize_t count = 0; (count = ::recv(socket, part, sizeof part, 0)) > 0;)
    answer.append(part, static_cast<std::size_t>(count));
  ::close(socket);
  return answer;
}

std::string post(const std::string& target, const std::string& body) {
  return "POST " + target +
         " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\nX-Mine: yes\r\nConnection: close\r\n\r\n" + body;
}

}  // namespace

TEST_CASE("three hundred slow and silent clients keep nobody out and hold no end up") {
  using Steady = std::chrono::steady_clock;
  std::atomic<int> handled = 0;
  auto server = serve("127.0.0.1:0", [&](const ServerRequest&) {
    ++handled;
    return ServerAnswer{.status = 200, .type = "text/plain", .next = [blocks = 0]() mutable {
                          return blocks++ < 2000 ? std::string(64 << 10, 'x') : std::string();
                        }};
  });
  REQUIRE(server.ok());
  const int port = (*server)->port();
  std::vector<int> sockets;
  for (int i = 0; i < 300; ++i) sockets.push_back(connect_to(port));
  const auto drip = [&] {  // every second client sends one byte more, the others nothing
    for (std::size_t i = 0; i < sockets.size(); i += 2) ::send(sockets[i], "P", 1, MSG_NOSIGNAL);
  };
  std::string head = post("/x", "{}");
  for (int i = 0; i < 3; ++i) {
    drip();
    const auto start = Steady::now();
    sockets.push_back(connect_to(port));
    ::send(sockets.back(), head.data(), head.size(), MSG_NOSIGNAL);
    char first = 0;
    CHECK(::recv(sockets.back(), &first, 1, 0) == 1);  // and reads no more of it
    CHECK(Steady::now() - start < std::chrono::seconds(2));
  }
  CHECK(handled == 3);
  const auto start = Steady::now();
  server->reset();
  CHECK(Steady::now() - start < std::chrono::milliseconds(2500));
  for (const int socket : sockets) ::close(socket);
}

TEST_CASE("a client has five seconds for its request however steadily it sends") {
  auto server = serve("127.0.0.1:0", [](const ServerRequest&) { return ServerAnswer{}; });
  REQUIRE(server.ok());
  const int socket = connect_to((*server)->port());
  int sent = 0;
  for (char end = 0; sent < 30 && ::recv(socket, &end, 1, MSG_DONTWAIT) < 0; ++sent) {
    ::send(socket, "P", 1, MSG_NOSIGNAL);
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
  CHECK(sent >= 8);
  CHECK(sent < 30);
  ::close(socket);
}

TEST_CASE("a server hands requests over as they came and sends what it is told") {
  ServerRequest seen;
  auto server = serve("127.0.0.1:0", [&](const ServerRequest& request) {
    seen = request;
    return ServerAnswer{201, "text/plain", "done"};
  });
  REQUIRE_MESSAGE(server.ok(), (server ? "" : server.error().message));
  const std::string answer = talk((*server)->port(), post("/a%2Fb/c?d=1", "{\"x\":1}"));
  CHECK(answer.starts_with("HTTP/1.1 201"));
  CHECK(answer.ends_with("done"));
  CHECK(seen.method == "POST");
  CHECK(seen.target == "/a%2Fb/c?d=1");
  CHECK(seen.body == "{\"x\":1}");
  bool mine = false;
  for (const auto& [name, value] : seen.headers) mine |= name == "X-Mine" && value == "yes";
  CHECK(mine);
}

TEST_CASE("parts of a file end where it ends, and what lies beyond is refused") {
  const std::string path = "/tmp/kling-server-test-" + std::to_string(::getpid());
  std::ofstream(path) << "0123456789";
  auto server = serve("127.0.0.1:0", [&](const ServerRequest&) {
    return ServerAnswer{.status = 200, .type = "video/mp4", .file = path};
  });
  REQUIRE(server.ok());
  const auto ask = [&](const std::string& method, const std::string& range) {
    return talk((*server)->port(), method + " / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" +
                                       (range.empty() ? "" : "Range: bytes=" + range + "\r\n") +
                                       "\r\n");
  };
  const std::pair<const char*, const char*> rows[] = {
      {"", "200 0123456789"}, {"0-", "206 0123456789"},  {"4-7", "206 4567"},
      {"9-9", "206 9"},       {"8-99", "206 89"},        {"0-99999999999", "206 0123456789"},
      {"-3", "206 789"},      {"-99", "206 0123456789"}, {"10-", "416 "},
      {"11-12", "416 "},      {"99999999999-", "416 "},  {"-0", "416 "}};
  for (const auto& [range, expected] : rows) {
    CAPTURE(range);
    const std::string answer = ask("GET", range), body = std::string(expected).substr(4);
    CHECK(answer.substr(9, 3) == std::string(expected).substr(0, 3));
    CHECK(answer.substr(answer.find("\r\n\r\n") + 4) == body);
    CHECK(answer.find("Content-Length: " + std::to_string(body.size()) + "\r\n") != answer.npos);
  }
  const std::string head = ask("HEAD", "");
  CHECK(head.starts_with("HTTP/1.1 200"));
  CHECK(head.find("Content-Length: 10\r\n") != head.npos);
  CHECK(head.ends_with("\r\n\r\n"));
  std::remove(path.c_str());
}

TEST_CASE("a server bears what is no request and takes no more than its limit") {
  int handled = 0;
  auto server = serve("127.0.0.1:0", [&](const ServerRequest&) {
    ++handled;
    return ServerAnswer{};
  });
  REQUIRE(server.ok());
  const int port = (*server)->port();
  for (const std::string& bytes :
       {std::string(), std::string("\0\0\0", 3), std::string("GET"), std::string(100'000, 'A'),
        std::string("POST / HTTP/1.1\r\nContent-Length: -5\r\n\r\n"),
        std::string("POST / HTTP/9.9\r\n\r\n"), std::string("\r\n\r\n\r\n")})
    (void)talk(port, bytes, true);
  handled = 0;
  CHECK(talk(port, post("/x", std::string(300 << 10, 'x'))).find(" 413 ") != std::string::npos);
  CHECK(handled == 0);
  CHECK(talk(port, post("/x", std::string(200 << 10, 'x'))).starts_with("HTTP/1.1 204"));
  CHECK(handled == 1);
}

TEST_CASE("an address to listen at that cannot be had is an error with its reason") {
  const auto refused = [](const std::string& address) {
    auto made = serve(address, [](const ServerRequest&) { return ServerAnswer{}; });
    REQUIRE_FALSE(made.ok());
    CHECK(made.error().message.find(address) != std::string::npos);
    return made.error().kind;
  };
  for (const char* text : {"", "8080", ":80", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                           "127.0.0.1:70000", "127.0.0.1:-1", "127.0.0.1:80 "})
    CHECK(refused(text) == Kind::invalid);
  auto first = serve("127.0.0.1:0", [](const ServerRequest&) { return ServerAnswer{}; });
  REQUIRE(first.ok());
  CHECK(refused("127.0.0.1:" + std::to_string((*first)->port())) == Kind::network);
  CHECK(refused("192.0.2.1:0") == Kind::network);
}
