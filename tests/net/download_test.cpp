// Downloads from servers that behave, and from some that do not.
#include "net/download.h"

#include <csignal>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>

#include "base/digest.h"
#include "net/framings.h"
#include "net/raw_server.h"
#include "net/support.h"

using namespace kling;
using namespace kling::net;
using namespace kling::test;
using std::chrono::milliseconds;

namespace {

/// The shape of an MP4: an ftyp box and one that reaches to the end.
std::string film(std::size_t size, char fill = 'm') {
  std::string text(
      "\0\0\0\x10"
      "ftypisom\0\0\0\0",
      16);
  const std::size_t rest = size - text.size();
  for (int shift = 24; shift >= 0; shift -= 8) text += char(rest >> shift & 0xff);
  text += "mdat";
  text.resize(size, fill);
  return text;
}

const std::string kIndex("\0\0\0\x08moov", 8);

/// Pauses of seconds pass in milliseconds.
DownloadOptions fast() {
  static const std::shared_ptr<Clock> clock = make_clock(1000.0);
  DownloadOptions options;
  options.clock = clock.get();
  return options;
}

/// A server of one file that understands Range and If-Range, and cuts its first answers short.
class FileServer {
 public:
  FileServer(std::string content, std::vector<std::size_t> cuts, std::string tag = "\"v1\"")
      : content_(std::move(content)),
        cuts_(std::move(cuts)),
        tag_(std::move(tag)),
        server([this](Peer& peer, int connection) { serve(peer, std::size_t(connection)); }) {}

  std::vector<std::string> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void serve(Peer& peer, std::size_t connection) {
    const std::string request = peer.read_request();
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    std::size_t from = 0;
    const std::size_t range = request.find("Range: bytes=");
    if (range != request.npos && request.find("If-Range: " + tag_ + "\r\n") != request.npos)
      from = std::strtoul(request.c_str() + range + 13, nullptr, 10);
    const std::string total = std::to_string(content_.size());
    std::string head = "HTTP/1.1 200 OK\r\n";
    if (from > 0)
      head = "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes " + std::to_string(from) + "-" +
             std::to_string(content_.size() - 1) + "/" + total + "\r\n";
    head += "ETag: " + tag_ + "\r\nContent-Length: " + std::to_string(content_.size() - from) +
            "\r\n\r\n";
    const std::size_t size = connection <= cuts_.size() ? cuts_[connection - 1] : content_.npos;
    peer.send(head);
    peer.send(std::string_view(content_).substr(from, size));
  }

  std::string content_;
  std::vector<std::size_t> cuts_;
  std::string tag_;
  std::mutex mutex_;
  std::vector<std::string> requests_;

 public:
  RawServer server;
};

}  // namespace

TEST_CASE("a film is saved with its size and digest") {
  TemporaryFolder folder;
  const std::string content = film(3'000'000);
  FileServer files(content, {});
  const std::string path = folder.path + "/clip.mp4";
  const auto result = download(files.server.url() + "/clip.mp4?sign=1", path, fast());
  REQUIRE(result.ok());
  CHECK(result->bytes == content.size());
  CHECK(result->sha256 == sha256_hex(content));
  CHECK((content_of(path) == content));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 1);
  CHECK(files.requests().at(0).starts_with("GET /clip.mp4?sign=1 HTTP/1.1\r\n"));
  CHECK(files.requests().at(0).find("Authorization") == std::string::npos);
}

TEST_CASE("a download that breaks goes on where it stopped") {
  TemporaryFolder folder;
  const std::string content = film(2'000'000);
  FileServer files(content, {700'000, 600'000});
  const std::string path = folder.path + "/clip.mp4";
  const auto result = download(files.server.url() + "/clip.mp4", path, fast());
  REQUIRE(result.ok());
  CHECK(result->sha256 == sha256_hex(content));
  REQUIRE(files.requests().size() == 3);
  CHECK(files.requests()[1].find("Range: bytes=700000-\r\n") != std::string::npos);
  CHECK(files.requests()[2].find("Range: bytes=1300000-\r\n") != std::string::npos);
}

TEST_CASE("the next run resumes with a fresh signature what the last one left") {
  TemporaryFolder folder;
  const std::string content = film(1'000'000);
  FileServer files(content, {400'000});
  const std::string path = folder.path + "/clip.mp4";
  DownloadOptions options = fast();
  options.tries = 1;
  const auto broken = download(files.server.url() + "/clip.mp4?sign=old", path, options);
  REQUIRE(!broken.ok());
  CHECK(broken.error().kind == Kind::network);
  CHECK(broken.error().message.find("sign") == std::string::npos);
  CHECK(std::filesystem::file_size(path + ".part") == 400'000);
  const auto result = download(files.server.url() + "/clip.mp4?sign=new", path, options);
  REQUIRE(result.ok());
  CHECK(result->sha256 == sha256_hex(content));
  CHECK(files.requests().at(1).find("Range: bytes=400000-\r\n") != std::string::npos);
}

TEST_CASE("a part of another file or version is not continued") {
  TemporaryFolder folder;
  const std::string path = folder.path + "/clip.mp4";
  DownloadOptions options = fast();
  options.tries = 1;
  FileServer old_files(film(1'000'000, 'o'), {400'000}, "\"old\"");
  REQUIRE(!download(old_files.server.url() + "/clip.mp4", path, options).ok());
  const std::string content = film(900'000, 'n');
  FileServer files(content, {400'000}, "\"new\"");
  REQUIRE(!download(files.server.url() + "/clip.mp4", path, options).ok());
  CHECK(files.requests().at(0).find("Range") == std::string::npos);  // another host
  const auto other = download(files.server.url() + "/other.mp4", path, options);
  REQUIRE(other.ok());
  CHECK(files.requests().at(1).find("Range") == std::string::npos);
  CHECK(other->sha256 == sha256_hex(content));
}

TEST_CASE("a server that ignores Range or answers it wrongly starts over") {
  TemporaryFolder folder;
  const std::string content = film(500'000);
  for (const char* second : {"200 OK", "206 Partial Content", "416 Range Not Satisfiable"}) {
    CAPTURE(second);
    RawServer server([&](Peer& peer, int connection) {
      peer.read_request();
      if (connection == 1) {
        peer.send("HTTP/1.1 200 OK\r\nLast-Modified: today\r\nContent-Length: 500000\r\n\r\n");
        peer.send(content.substr(0, 200'000));
      } else {
        const bool right = connection > 2 || std::string_view(second) == "200 OK";
        peer.send(answer(content, right ? "" : "Content-Range: bytes 0-499999/500000\r\n",
                         right ? "200 OK" : second));
      }
    });
    const std::string path = folder.path + "/clip.mp4";
    const auto result = download(server.url() + "/clip.mp4", path, fast());
    REQUIRE(result.ok());
    CHECK(result->sha256 == sha256_hex(content));
  }
}

TEST_CASE("a server that gives a range in small helpings is asked again") {
  TemporaryFolder folder;
  const std::string content = film(500'000);
  RawServer server([&](Peer& peer, int connection) {
    peer.read_request();
    const std::size_t from = std::size_t(connection - 1) * 125'000;
    if (connection == 1)
      peer.send("HTTP/1.1 200 OK\r\nETag: \"v\"\r\nContent-Length: 500000\r\n\r\n" +
                content.substr(0, 125'000));
    else
      peer.send(answer(content.substr(from, 125'000),
                       "Content-Range: bytes " + std::to_string(from) + "-" +
                           std::to_string(from + 124'999) + "/500000\r\n",
                       "206 Partial Content"));
  });
  const auto result = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast());
  REQUIRE(result.ok());
  CHECK(result->sha256 == sha256_hex(content));
}

TEST_CASE("what is not the whole film never replaces a good file") {
  TemporaryFolder folder;
  const std::string path = folder.write("clip.mp4", "good");
  const std::string content = film(100'000);
  struct Case {
    const char* name;
    std::string answer;
    Kind kind;
    const char* code;
    const char* says = "clip.mp4";
  };
  const Case kCases[] = {
      {"HTML", answer("<!DOCTYPE html><html>Sign in</html>"), Kind::media, "expired"},
      {"empty", answer(""), Kind::media, "expired"},
      {"shorter than promised", "HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n" + content,
       Kind::network, ""},
      {"cut without a length", "HTTP/1.1 200 OK\r\n\r\n" + content.substr(0, 60'000), Kind::media,
       ""},
      {"ended by the connection before its index", "HTTP/1.1 200 OK\r\n\r\n" + content, Kind::media,
       "", "ended after 100000 bytes, within the film"},
      {"ended by the connection before its pictures",
       "HTTP/1.0 200 OK\r\n\r\n" + content.substr(0, 16) + kIndex, Kind::media, "",
       "ended after 24 bytes, within the film"},
      {"larger than allowed", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n" + content,
       Kind::media, ""},
      {"expired", answer("<Error>Request has expired</Error>", "", "403 Forbidden"), Kind::media,
       "expired", "answered 403: <Error>Request has expired</Error>"},
      {"long-winded", answer(std::string(100'000, 'x'), "", "500 Oops"), Kind::network, "",
       "answered 500: xxxxx"},
      {"stopped in its words",
       "HTTP/1.1 403 No\r\nContent-Length: 900\r\n\r\nno: http://x/y?sign=secret", Kind::media,
       "expired", "answered 403: no: http://x/y"},
      {"gone", answer("", "", "404 Not Found"), Kind::media, "expired"},
      {"failing", answer("", "", "503 Unavailable"), Kind::network, ""},
      {"silent", "", Kind::network, ""},
      {"a byte short, as announced", answer(content.substr(0, 99'999)), Kind::media, "",
       "ended after 99999 bytes, within the film"},
      {"cut within its first box", answer(content.substr(0, 12)), Kind::media, "",
       "ended after 12 bytes, within the film"},
      {"a part that nobody asked for",
       answer(content, "Content-Range: bytes 5-9/100000\r\n", "206 Partial Content"), Kind::media,
       "expired", "answered 206: binary data"},
      {"parts in parts", answer("--x\r\n" + content, "", "206 Partial Content"), Kind::media,
       "expired", "sent is of a kind not known here, no MP4 film"},
      {"no such part, unasked", answer("", "Content-Range: bytes */100000\r\n", "416 Range"),
       Kind::media, "expired", "answered 416"},
      {"packed and not said so", answer("\x1f\x8b\b" + content), Kind::media, "expired",
       "sent is a file packed with gzip, no MP4 film"},
      {"words", answer("{\"queued\":true}", "", "202 Accepted"), Kind::media, "expired",
       "sent is text, no MP4 film"},
      {"a picture", answer(std::string("\0\0\0\x18", 4) + "ftypheic" + content), Kind::media,
       "expired", "sent is HEIC, no MP4 film"},
      {"binary words", answer(std::string(99, '\x1f'), "", "502 Bad"), Kind::network, "",
       "answered 502: binary data"},
  };
  for (const Case& c : kCases) {
    CAPTURE(c.name);
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send(c.answer);
    });
    DownloadOptions options = fast();
    options.tries = 2;
    const auto result = download(server.url() + "/clip.mp4?sign=secret", path, options);
    REQUIRE(!result.ok());
    CHECK(result.error().kind == c.kind);
    CHECK(result.error().code == c.code);
    CHECK(result.error().message.find("clip.mp4") != std::string::npos);
    CHECK_MESSAGE(result.error().message.find(c.says) != std::string::npos, result.error().message);
    CHECK(result.error().message.size() < 500);
    CHECK(result.error().message.find("secret") == std::string::npos);
    CHECK(content_of(path) == "good");
    const bool repeats = c.kind == Kind::network ||
                         result.error().message.find("within the film") != std::string::npos;
    CHECK(server.connections() == (repeats ? 2 : 1));
  }
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send("HTTP/1.1 200 OK\r\n\r\n" + content + kIndex);
  });
  CHECK(download(server.url() + "/clip.mp4", path, fast()).ok());
  CHECK((content_of(path) == content + kIndex));
}

TEST_CASE("a whole film is taken whatever the status says and whatever stands behind it") {
  TemporaryFolder folder;
  const std::string content = film(100'000);
  const std::pair<const char*, std::string> kAnswers[] = {
      {"created", answer(content, "Location: /x\r\n", "201 Created")},
      {"changed by a proxy", answer(content, "", "203 Non-Authoritative Information")},
      {"accepted", answer(content, "", "202 Accepted")},
      {"a part that is all",
       answer(content, "Content-Range: bytes 0-99999/100000\r\n", "206 Partial Content")},
      {"a part of nobody knows what", answer(content, "", "206 Partial Content")},
      {"two bytes behind it", answer(content + "xx")},
      {"a line behind it", answer(content + "<!-- served by cache 7 -->")},
      {"lines behind it", answer(content + "\n\n<!-- served by x -->")},
      {"zeros behind it", answer(content + std::string(99, '\0'))},
      {"a movie without its type", answer(content.substr(16))},
  };
  for (const auto& [name, reply] : kAnswers) {
    CAPTURE(name);
    RawServer server([&reply = reply](Peer& peer, int) {
      peer.read_request();
      peer.send(reply);
    });
    const auto got = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast());
    CHECK_MESSAGE(got.ok(), (got ? "" : got.error().message));
    CHECK(server.connections() == 1);
  }
}

TEST_CASE("what a server repeats of the address that it refuses is told without its signature") {
  TemporaryFolder folder;
  for (const std::string& words :
       {std::string("<SignatureProvided>TOPSECRET</SignatureProvided>"),
        std::string("/a.mp4%3FksSecret%3DTOPSECRET denied"),
        std::string(R"("\u002fa.mp4\u003fksSecret\u003dTOPSECRET")"),
        std::string("query was ksSecret=TOPSECRET&x=1"), std::string(492, 'w') + "TOPSECRET"}) {
    RawServer server([&words](Peer& peer, int) {
      peer.read_request();
      peer.send(answer(words, "", "403 Forbidden"));
    });
    const auto got =
        download(server.url() + "/a.mp4?x=1&ksSecret=TOPSECRET", folder.path + "/clip.mp4", fast());
    REQUIRE(!got.ok());
    CAPTURE(got.error().message);
    CHECK(got.error().message.find("403") != std::string::npos);
    CHECK(got.error().message.find("TOPSEC") == std::string::npos);
  }
}

TEST_CASE("a film that may go on is never whole before its announced end") {
  TemporaryFolder folder;
  const auto box = [](const std::string& type, const std::string& data) {
    const std::size_t size = data.size() + 8;
    return std::string{'\0', '\0', char(size >> 8), char(size)} + type + data;
  };
  const std::string head = box("ftyp", "isom0000") + box("moov", std::string(100, 'm'));
  const std::string fragment = box("moof", "sequence") + box("mdat", std::string(500, 'd'));
  const std::string last = std::string(4, '\0') + "mdat" + std::string(500, 'd');
  const std::string plain = head + box("mdat", std::string(500, 'd'));
  for (const std::string& cut :
       {head + fragment, head + last, plain + std::string(3, '\0'), plain + "xx"}) {
    for (const bool chunked : {false, true}) {
      RawServer server([&](Peer& peer, int) {
        peer.read_request();
        peer.send(chunked ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" +
                                hex(cut.size()) + "\r\n" + cut + "\r\n"
                          : "HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + cut);
      });
      const auto got = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast());
      CHECK(!got.ok());
    }
  }
}

TEST_CASE("a film that came a byte short is fetched from its start again") {
  TemporaryFolder folder;
  const std::string content = film(100'000);
  std::vector<std::string> requests;
  RawServer server([&](Peer& peer, int connection) {
    requests.push_back(peer.read_request());
    peer.send(
        answer(content.substr(0, connection == 1 ? 99'999 : content.npos), "ETag: \"1\"\r\n"));
  });
  CHECK(download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast()).ok());
  CHECK((content_of(folder.path + "/clip.mp4") == content));
  REQUIRE(requests.size() == 2);
  CHECK(requests[1].find("Range") == std::string::npos);
}

TEST_CASE("a full disk is media with its reason and keeps the good file") {
  TemporaryFolder folder;
  const std::string path = folder.write("clip.mp4", "good");
  FileServer files(film(3'000'000), {});
  rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1'000'000, before.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ::setrlimit(RLIMIT_FSIZE, &small);
  const auto result = download(files.server.url() + "/clip.mp4", path, fast());
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, old_handler);
  REQUIRE(!result.ok());
  CHECK(result.error().kind == Kind::media);
  CHECK(result.error().message.find("File too large, for the limit that ulimit -f shows") !=
        std::string::npos);
  CHECK(!result.error().hint.empty());
  CHECK(files.requests().size() == 1);
  CHECK(content_of(path) == "good");
  CHECK(!download(files.server.url() + "/clip.mp4", folder.path + "/no/clip.mp4", fast()).ok());
}

TEST_CASE("drips and stalls end and the cancellation is heard") {
  TemporaryFolder folder;
  const std::string content = film(100'000);
  for (const bool drips : {true, false}) {
    CAPTURE(drips);
    std::atomic<bool> cancel{false};
    RawServer server([&](Peer& peer, int connection) {
      peer.read_request();
      peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + content.substr(0, 100));
      if (connection == 2) cancel = true;
      if (drips)
        while (peer.send("m")) std::this_thread::sleep_for(milliseconds(5));
      peer.wait_for_close();
    });
    DownloadOptions options = fast();
    options.stall_timeout = milliseconds(200);
    options.cancel = &cancel;
    const auto result = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", options);
    REQUIRE(!result.ok());
    CHECK(result.error().kind == Kind::interrupted);
    CHECK(server.connections() == 2);
  }
}

TEST_CASE(
    "what is packed ends with its end, or once it has yielded nothing for the read time-out") {
  const std::string content = film_of(20'000);
  const struct {
    std::string first, again;
    bool whole;
  } rows[] = {{gzip(content), std::string(4096, '\0'), true},
              {gzip(content), many("more of it", 400), true},
              {gzip(content), many(gzip(""), 200), false},
              {gzip(content).substr(0, 9000), "", false},
              {"", many(gzip(""), 200), false}};
  for (const auto& row : rows) {
    TemporaryFolder folder;
    RawServer server([&](Peer& peer, int) {
      peer.read_request();
      peer.send("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n" + row.first);
      while (!row.again.empty() && peer.send(row.again))
        std::this_thread::sleep_for(milliseconds(1));
      peer.wait_for_close();
    });
    DownloadOptions options = fast();
    options.tries = 1;
    options.stall_timeout = milliseconds(400);
    const auto result = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", options);
    CHECK(result.ok() == row.whole);
    if (!result) CHECK(result.error().message.find("no answer from") != std::string::npos);
  }
}

TEST_CASE("redirects are followed to allowed places only") {
  TemporaryFolder folder;
  const std::string content = film(50'000);
  FileServer files(content, {});
  const std::string path = folder.path + "/clip.mp4";
  std::string location;
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("", "Location: " + location + "\r\n", "302 Found"));
  });
  location = files.server.url() + "/real.mp4";
  CHECK(download(server.url() + "/clip.mp4", path, fast()).ok());
  for (const auto& [refused, says] :
       {std::pair{"http://192.0.2.1/x.mp4", "a redirect to 192.0.2.1/x.mp4 is refused: plain http"},
        {"https://10.1.2.3/x.mp4", "a redirect to 10.1.2.3/x.mp4 is refused"},
        {"https://[fd00::1]/x.mp4", "a redirect to [fd00::1]/x.mp4 is refused"},
        {"ftp://127.0.0.1/x", "a bad address: the URL must start with https:// or http://"},
        {"http://127.0.0.1:0/x", "a bad address: the URL's port is not a number from 1 to 65535"},
        {"https://u:p@files.example/x", "name or password is refused"},
        {"", "redirects to a bad address: none"},
        {"/again", "redirects more than 5 times"}}) {
    CAPTURE(refused);
    location = refused;
    const auto result = download(server.url() + "/clip.mp4", path, fast());
    REQUIRE(!result.ok());
    CHECK(result.error().kind == Kind::network);
    CHECK(!result.error().retryable);
    CHECK_MESSAGE(result.error().message.find(says) != std::string::npos, result.error().message);
  }
  CHECK(!download("http://files.example/x.mp4", path, fast()).ok());
  CHECK((content_of(path) == content));
}

TEST_CASE("a redirect to another port than was allowed is refused") {
  TemporaryFolder folder;
  FileServer files(film(50'000), {});
  std::string location;
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("", "Location: " + location + "\r\n", "302 Found"));
  });
  location = files.server.url() + "/real.mp4";
  DownloadOptions options = fast();
  const Origin first = parse_url(server.url())->origin;
  options.allowed = [&](const Origin& origin) {
    return origin == first ? unsigned{kAnywhere} : 0U;
  };
  const auto result = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", options);
  REQUIRE(!result.ok());
  CHECK(result.error().message.find("redirect") != std::string::npos);
  CHECK(files.requests().empty());
  options.allowed = [](const Origin&) { return unsigned{kPublic}; };  // not this machine
  CHECK(!download(files.server.url() + "/x.mp4", folder.path + "/clip.mp4", options).ok());
  CHECK(files.requests().empty());
}

TEST_CASE("many downloads at once also onto one path") {
  TemporaryFolder folder;
  const std::string content = film(600'000);
  FileServer files(content, {100'000, 200'000, 300'000});
  std::vector<std::thread> threads;
  std::atomic<int> right{0};
  for (int i = 0; i < 12; ++i)
    threads.emplace_back([&, i] {
      const std::string path = folder.path + "/" + std::to_string(i % 6) + ".mp4";
      const auto result = download(files.server.url() + "/clip.mp4", path, fast());
      right += result.ok() && result->sha256 == sha256_hex(content);
    });
  for (std::thread& thread : threads) thread.join();
  CHECK(right == 12);
  for (int i = 0; i < 6; ++i)
    CHECK((content_of(folder.path + "/" + std::to_string(i) + ".mp4") == content));
  CHECK(std::distance(std::filesystem::directory_iterator(folder.path), {}) == 6);
}

TEST_CASE("a redirect keeps what is encoded in its address") {
  TemporaryFolder folder;
  const std::string content = film(50'000);
  const std::string target =
      "/a%20b.mp4?X-Credential=AK%2F2026%2Fs3&Signature=x%2By%2F%3D&name=%22%C3%BC%25%22&flag";
  std::string asked;
  RawServer files([&](Peer& peer, int) {
    asked = peer.read_request();
    peer.send(answer(content));
  });
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    peer.send(answer("", "Location: " + files.url() + target + "\r\n", "302 Found"));
  });
  CHECK(download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast()).ok());
  CHECK(asked.starts_with("GET " + target + " HTTP/1.1"));
}

TEST_CASE("what another address may mend is told apart from an outage") {
  TemporaryFolder folder;
  for (const auto& [sent, code] :
       {std::pair{answer("", "", "400 Bad Request"), "expired"},
        std::pair{answer("<html>come back later</html>"), "expired"},
        std::pair{answer(""), "expired"},
        std::pair{answer("", "Location: /again\r\n", "302 Found"), ""}}) {
    CAPTURE(sent);
    RawServer server([reply = sent](Peer& peer, int) {
      peer.read_request();
      peer.send(reply);
    });
    const auto result = download(server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast());
    REQUIRE(!result.ok());
    CHECK(result.error().code == code);
    CHECK(!result.error().retryable);
  }
}

TEST_CASE("a film without an index is kept and told") {
  TemporaryFolder folder;
  for (const std::string& content : {film(1000), kIndex + film(1000), film(1000).substr(0, 16)}) {
    FileServer files(film(1000).substr(0, 16) + content, {});
    const auto result =
        download(files.server.url() + "/clip.mp4", folder.path + "/clip.mp4", fast());
    REQUIRE(result.ok());
    CHECK(result->has_index == content.starts_with(kIndex));
  }
}
