// Look-ups that hang and addresses that are not allowed; URLs as they come from services.
#include "net/lookup.h"

#include <cstring>
#include <future>
#include <thread>

#include <arpa/inet.h>
#include <doctest/doctest.h>

using namespace kling;
using namespace kling::net;
using std::chrono::milliseconds;

namespace {

/// Never destroyed: the thread of a look-up that was left behind may begin after the test's end.
std::shared_future<void>& released = *new std::shared_future<void>;

int hanging(const char*, const char*, const addrinfo*, addrinfo**) {
  const auto until = released;
  until.wait();
  return EAI_AGAIN;
}

int failing(const char*, const char*, const addrinfo*, addrinfo**) { return EAI_NONAME; }

TimePoint in(int ms) { return std::chrono::steady_clock::now() + milliseconds(ms); }

}  // namespace

TEST_CASE("a look-up that hangs is left behind at the deadline and on stop") {
  std::promise<void> release;
  released = release.get_future().share();
  auto start = std::chrono::steady_clock::now();
  auto found = addresses_of("hangs.example", kAnywhere, in(40), nullptr, &hanging);
  REQUIRE(!found.ok());
  CHECK(found.error().kind == Kind::network);
  CHECK(std::chrono::steady_clock::now() - start >= milliseconds(40));

  const std::atomic<bool> stop{true};
  CHECK(!addresses_of("hangs.example", kAnywhere, in(86'400'000), &stop, &hanging).ok());
  release.set_value();
}

TEST_CASE("a name that does not exist is named with the reason") {
  auto found = addresses_of("api.exmaple.com", kAnywhere, in(5000), nullptr, &failing);
  REQUIRE(!found.ok());
  CHECK(found.error().kind == Kind::network);
  CHECK(found.error().message.find("api.exmaple.com") != std::string::npos);
  CHECK(found.error().message.find("Name or service not known") != std::string::npos);
  CHECK(!found.error().hint.empty());
}

TEST_CASE("names are held to the addresses that are allowed") {
  auto local = addresses_of("localhost", kLoopback, in(5000));
  REQUIRE(local.ok());
  for (const std::string& address : *local) CHECK(reach_of_address(address) == kLoopback);
  auto refused = addresses_of("localhost", kPublic, in(5000));
  REQUIRE(!refused.ok());
  CHECK(refused.error().kind == Kind::invalid);
}

TEST_CASE("addresses are sorted into loopback private and public") {
  for (const char* address : {"127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1"})
    CHECK_MESSAGE(reach_of_address(address) == kLoopback, address);
  for (const char* address :
       {"10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "0.0.0.0", "224.0.0.1", "255.255.255.255", "fe80::1", "fe80::1%eth0", "fd00::1",
        "::", "::ffff:10.0.0.1", "ff02::1", "64:ff9b::a00:1", "nonsense"})
    CHECK_MESSAGE(reach_of_address(address) == kPrivate, address);
  for (const char* address : {"8.8.8.8", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8"})
    CHECK_MESSAGE(reach_of_address(address) == kPublic, address);
}

TEST_CASE("redirect targets are resolved against where they come from") {
  const Url base = *parse_url("https://cdn.example:8443/a/b.mp4?sign=1");
  const struct {
    const char* location;
    const char* origin;
    const char* target;
  } kCases[] = {
      {"https://Other.example/x", "https://other.example:443", "/x"},
      {"//other.example/x?y#z", "https://other.example:443", "/x?y"},
      {"/x", "https://cdn.example:8443", "/x"},
      {"c.mp4?t=1", "https://cdn.example:8443", "/a/c.mp4?t=1"},
      {"./c.mp4", "https://cdn.example:8443", "/a/c.mp4"},
      {"../c.mp4?t=../1", "https://cdn.example:8443", "/c.mp4?t=../1"},
      {".././../c/..mp4", "https://cdn.example:8443", "/c/..mp4"},
      {"x/../y.mp4", "https://cdn.example:8443", "/a/y.mp4"},
      {"../../z/./y.mp4", "https://cdn.example:8443", "/z/y.mp4"},
      {"/x/./y/../z.mp4?a=/../b", "https://cdn.example:8443", "/x/z.mp4?a=/../b"},
      {"..", "https://cdn.example:8443", "/"},
      {"", "https://cdn.example:8443", "/a/b.mp4"},
      {"?t=2", "https://cdn.example:8443", "/a/b.mp4?t=2"},
      {"http://[::1]:8080", "http://[::1]:8080", "/"},
      {"/\xc3\xa9", "https://cdn.example:8443", "/%C3%A9"},
  };
  for (const auto& c : kCases) {
    CAPTURE(c.location);
    const Result<Url> url = resolve_url(base, c.location);
    REQUIRE(url.ok());
    CHECK(url->origin.url() == c.origin);
    CHECK(url->target == c.target);
  }
  for (const char* location : {"file:///etc/passwd", "javascript:x", "https://u:p@x.example/",
                               "https://x.example\\@y/", "/a\r\nSet-Cookie: x", "https://[::1/"})
    CHECK_MESSAGE(!resolve_url(base, location).ok(), location);
}

TEST_CASE("a path of a script leads below the service's address or is refused") {
  for (const std::string good :
       {"/v1/videos", "/v1/videos/", "/v1/x?a=../..&b=//h@x", "/v1/a.b/..c/.x", "/v1/%E6%88%90",
        "/v1/a%20b", "/v1/x;v=1", "/v1/models/a:run", "/v1/%C3%A9-%D0%B4", "/"}) {
    CAPTURE(good);
    CHECK(check_path(good).ok());
  }
  for (const std::string bad : {"/v1/../../admin",
                                "/..",
                                "/.",
                                "/v1/./x",
                                "/v1/x/..",
                                "/v1/%2e%2e/x",
                                "/v1/%2E./x",
                                "/v1/.%2e",
                                "/v1/%252e%252e/x",
                                "/v1/%25252e%25252e",
                                "/v1/..%2fx",
                                "/v1%2f..%2f..%2fx",
                                "/v1/..%5cx",
                                "/v1\\..\\x",
                                "/\\host/x",
                                "//host/x",
                                "/%2fhost/x",
                                "///host",
                                "/v1//x",
                                "/v1/..;/x",
                                "/v1/..;a=b/x",
                                "/%2e%2e%3b/x",
                                "host/x",
                                "http://host/x",
                                "@host/x",
                                "/@host",
                                "/x%40host",
                                ":80/x",
                                "",
                                "?x",
                                "/v1/%00",
                                "/v1/%0d%0aHost:x",
                                "/v1/\nx",
                                "/v1/\tx",
                                "/v1/x?a=\r\nb",
                                "/v1/%7f",
                                "/v1/...",
                                "/v1/..%20/x",
                                "/v1/%20/x",
                                "/v1/. ./x",
                                "/v1/%u002e%u002e/x",
                                "/v1/100%",
                                "/v1/%2",
                                "/v1/%-1",
                                "/v1/%2?x",
                                "/v1/%c0%ae%c0%ae/x",
                                "/v1/%e0%80%ae/x",
                                "/v1/%c0%afx",
                                "/v1/%ef%bc%8e%ef%bc%8e/x",
                                "/v1/x%ef%bc%8fy",
                                "/v1/\uff0e\uff0e/x",
                                "/v1/%e2%80%a5/x",
                                "/v1/%e2%88%95x",
                                "/v1/x%c2%85y",
                                "/v1/\u6210",
                                "/v1/x y",
                                "/v1/x%3fy",
                                "/v1/x%23y",
                                "/v1/x%25y",
                                "/v1/;/x",
                                "/x#y"}) {
    CAPTURE(bad);
    CHECK(!check_path(bad).ok());
  }
  for (const auto& [path, says] : {std::pair{"/v1/a/../b", "the part \"..\""},
                                   {"/v1/..%20/x", "the part \".. \""},
                                   {"/v1/%u002e/x", "holds \"%u0\""},
                                   {"/v1/x%5cy", "holds \"%5c\""},
                                   {"/v1/x#y", "holds \"#\""},
                                   {"/v1\\x", "holds \"\\\""},
                                   {"/v1/x\ny", "holds \" \""},
                                   {"/v1/%c0%ae", "take \"%C0%AE\" for a dot"}}) {
    const Status found = check_path(path);
    REQUIRE(!found.ok());
    CHECK_MESSAGE(found.error().message.find(says) != std::string::npos, found.error().message);
    const bool mark = std::string_view(path).find('#') != std::string_view::npos;
    CHECK(found.error().hint == (mark ? "a # ends an address: leave out what stands from it on"
                                      : "write the path as the service's documents do, from / on"));
  }
}

TEST_CASE("messages name host and path but never the query") {
  CHECK(display(*parse_url("https://cdn.example/a/b.mp4?sign=secret")) == "cdn.example/a/b.mp4");
  const std::string shown =
      display(*parse_url("https://cdn.example/" + std::string(500, 'x') + "/end.mp4?s=1"));
  CHECK(shown.size() < 90);
  CHECK(shown.ends_with("/end.mp4"));
}
