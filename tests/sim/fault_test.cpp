// What goes wrong on demand, seen as bytes: each fault of the table does what its line says.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fixture.h"
#include "sim/contract.h"
#include "sim/faults.h"

namespace kling::sim::testing {
namespace {

struct Exchange {
  std::string bytes;
  std::string end;  // "closed", "reset" or "open"
};

/// Sends a request over a bare socket and reads until its end, or so many bytes.
Exchange exchange(int port, const std::string& request, std::size_t most = 200'000) {
  Exchange result;
  const int descriptor = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(connect(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(send(descriptor, request.data(), request.size(), MSG_NOSIGNAL) > 0);
  result.end = "open";
  while (result.bytes.size() < most) {
    char buffer[16384];
    const auto count = recv(descriptor, buffer, sizeof buffer, 0);
    if (count > 0) result.bytes.append(buffer, static_cast<std::size_t>(count));
    if (count == 0) result.end = "closed";
    if (count < 0 && errno == ECONNRESET) result.end = "reset";
    if (result.end != "open") break;
  }
  close(descriptor);
  return result;
}

std::string request(const std::string& verb_and_path, const std::string& body) {
  return verb_and_path + " HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer sk-test\r\n" +
         "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

Exchange create(Fixture& sim, std::size_t most = 200'000) {
  return exchange(sim.simulator->port(), request("POST /kling/v1/videos/text2video", kShot.dump()),
                  most);
}

}  // namespace

TEST_CASE("a dropped answer leaves no byte and the accepted task is charged") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#2: accept, drop").ok());
  sim.accepted("text2video", kShot);
  const Exchange lost = create(sim);
  CHECK(lost.bytes.empty());
  CHECK(lost.end == "closed");
  CHECK(sim.simulator->counters().accepted == 2);
  sim.accepted("text2video", kShot);
  CHECK(sim.simulator->counters().creates == 3);
}

TEST_CASE("without accept a lost create has not been accepted") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#1: drop").ok());
  CHECK(create(sim).end == "closed");
  CHECK(sim.simulator->counters().accepted == 0);
  CHECK(sim.simulator->counters().creates == 1);
}

TEST_CASE("a reset is seen as a reset") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create/text2video#1: accept, reset").ok());
  const Exchange lost = create(sim);
  CHECK(lost.bytes.empty());
  CHECK(lost.end == "reset");
}

TEST_CASE("a hanging answer keeps its connection open and others and the end are not delayed") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#1: accept, hang").ok());
  std::thread waiting([&] {
    const Exchange withheld = create(sim);
    CHECK(withheld.bytes.empty());
    CHECK(withheld.end != "open");
  });
  while (sim.simulator->counters().accepted == 0) std::this_thread::yield();
  sim.accepted("text2video", kShot);
  sim.simulator->stop();  // and with it the exchange
  waiting.join();
}

TEST_CASE("a dripped answer comes byte by byte") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#1: accept, drip").ok());
  const Exchange dripped = create(sim, 3);
  CHECK(dripped.end == "open");
  CHECK(dripped.bytes.size() >= 3);
  CHECK(dripped.bytes.size() < 100);  // a third of it, in one piece: not even on a busy machine
}

TEST_CASE("a truncated answer ends in the middle of its body") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#1: accept, truncate").ok());
  const Exchange cut = create(sim);
  CHECK(cut.end == "closed");
  CHECK(cut.bytes.rfind("HTTP/1.1 200 OK\r\n", 0) == 0);
  const auto body = cut.bytes.substr(cut.bytes.find("\r\n\r\n") + 4);
  CHECK(body.size() > 50);
  CHECK(!Json::accept(body));
}

TEST_CASE("endless heads and bodies do not end") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("create#1: endless-headers").ok());
  REQUIRE(sim.simulator->add_fault("create#2: endless-body").ok());
  const Exchange head = create(sim);
  CHECK(head.bytes.size() >= 200'000);
  CHECK(head.bytes.find("\r\n\r\n") == std::string::npos);
  const Exchange body = create(sim);
  CHECK(body.bytes.size() >= 200'000);
  CHECK(body.bytes.find("\r\n\r\n") != std::string::npos);
}

TEST_CASE("answers in the service's place have their status and body") {
  Fixture sim;
  auto next = [&, count = 0](const std::string& fault) mutable {
    REQUIRE(sim.simulator->add_fault("create#" + std::to_string(++count) + ": " + fault).ok());
    auto answer = sim.create("text2video", kShot);
    REQUIRE(answer);
    return *answer;
  };
  const auto page = next("html502");
  CHECK(page.status == 502);
  CHECK(page.get_header_value("Content-Type") == "text/html");
  const auto late = next("accept, 504");
  CHECK(late.status == 504);
  CHECK(Json::parse(late.body)["code"] == 5002);
  CHECK(sim.simulator->counters().accepted == 1);
  const auto fast = next("429");
  CHECK(fast.status == 429);
  CHECK(Json::parse(fast.body)["code"] == 1302);
  CHECK(!fast.has_header("Retry-After"));
  CHECK(next("429-retry-after").get_header_value("Retry-After") == "2");
  CHECK(Json::parse(next("429-slots").body)["code"] == 1303);
  CHECK(Json::parse(next("429-balance").body)["code"] == 1102);
  CHECK(Json::parse(next("429-hidden").body)["code"] == "fail_to_fetch_task");
  CHECK(next("500").status == 500);
  CHECK(next("503").status == 503);
  CHECK(next("401").status == 401);
  CHECK(next("invalid-request").status == 500);
  CHECK(next("no-channel").status == 503);
  const auto garbage = next("garbage");
  CHECK(garbage.status == 200);
  CHECK(!Json::accept(garbage.body));
  const auto redirect = next("redirect");
  CHECK(redirect.status == 302);
  CHECK(redirect.get_header_value("Location") == "https://elsewhere.invalid/");
  CHECK(sim.simulator->counters().accepted == 1);
}

TEST_CASE("a query may be told that its task does not exist at first") {
  Fixture sim;
  REQUIRE(sim.simulator->add_fault("query#1-2: not-exist").ok());
  const std::string id = sim.accepted("text2video", kShot);
  CHECK(sim.query("text2video", id)->status == 400);
  CHECK(sim.query("text2video", id)->status == 400);
  CHECK(sim.query("text2video", id)->status == 200);
}

TEST_CASE("bodies are twisted as the fault says") {
  Fixture sim;
  const std::string id = sim.accepted("text2video", kShot);
  sim.clock->advance(200'000);
  auto next = [&, count = 0](const std::string& fault) mutable {
    REQUIRE(sim.simulator->add_fault("query#" + std::to_string(++count) + ": " + fault).ok());
    return Fixture::body(sim.query("text2video", id))["data"];
  };
  CHECK(next("backwards")["task_status"] == "processing");
  const Json nulls = next("nulls");
  CHECK(nulls["task_status"] == "succeed");
  CHECK(nulls["task_result"].is_null());
  CHECK(next("unknown-word")["task_status"] == "rendering");
  const Json disagreeing = next("disagree");
  CHECK(disagreeing["status"] == "IN_PROGRESS");
  CHECK(disagreeing["data"]["task_status"] == "succeed");
  const Json text = next("string-body")["data"];
  REQUIRE(text.is_string());
  CHECK(Json::parse(text.get<std::string>())["task_status"] == "succeed");
  const Json reason = next("fail-reason-url");
  CHECK(reason["fail_reason"].get<std::string>().rfind("http://", 0) == 0);
  CHECK(reason["data"]["task_result"].empty());
  const Json videos = next("empty-first")["task_result"]["videos"];
  CHECK(videos.size() == 2);
  CHECK(videos[0]["url"] == "");
}

TEST_CASE("faults can be given over HTTP and wrong lines say why") {
  Fixture sim;
  CHECK(sim.client()
            .Post("/sim/faults", "create#1: accept, drop\nquery#*: 500", "text/plain")
            ->status == 200);
  CHECK(create(sim).bytes.empty());
  CHECK(sim.query("text2video", "1")->status == 500);
  CHECK(sim.query("text2video", "1")->status == 500);
  const Json table = Fixture::body(sim.client().Get("/sim/faults"));
  CHECK(table.size() == fault_kinds().size());
  for (const char* wrong : {"create: drop", "create#0: drop", "create#1: dorp", "walk#1: drop",
                            "create#x: drop", "create#1:", "create/opera#1: drop", "create#1: 1999",
                            "create#1: expired", "callback#1: drop", "download#1: nulls"}) {
    CAPTURE(wrong);
    CHECK(!sim.simulator->add_fault(wrong).ok());
  }
  Options options;
  options.faults = {"nothing"};
  CHECK(!Simulator::start(options).ok());
}

TEST_CASE("a fault file has lines comments and endpoints in either spelling") {
  Fixture sim;
  const std::string lines =
      "# what goes wrong\r\n\r\ncreate/omni#1: 503\r\n  create/omni-video # 2 : 500\n";
  REQUIRE(sim.simulator->add_fault(lines).ok());
  const Json omni = {{"prompt", "A storm"}, {"aspect_ratio", "16:9"}};
  CHECK(sim.create("text2video", kShot)->status == 200);
  CHECK(sim.create("omni-video", omni)->status == 503);
  CHECK(sim.create("omni-video", omni)->status == 500);
  CHECK(sim.create("omni-video", omni)->status == 200);
}

TEST_CASE("a request can be refused with any code of the service") {
  Fixture sim;
  int count = 0;
  for (const auto& [code, row] : contract()["errors"].items()) {
    CAPTURE(code);
    REQUIRE(sim.simulator->add_fault("create#" + std::to_string(++count) + ": " + code).ok());
    const auto answer = sim.create("text2video", kShot);
    CHECK(answer->status == row["http"].get<int>());
    CHECK(Json::parse(answer->body)["code"] == std::stoi(code));
  }
  CHECK(sim.simulator->counters().accepted == 0);
}

TEST_CASE("downloads are told that their URL is over and get less than was announced") {
  Fixture sim;
  const Json body = {{"model_name", "kling-v3"}, {"duration", "3"}, {"prompt", "waves"}};
  const std::string path = sim.clip_path("text2video", sim.accepted("text2video", body));
  REQUIRE(
      sim.simulator->add_fault("download#1: expired\ndownload/text2video#2: wrong-length").ok());
  CHECK(sim.client().Get(path.c_str())->status == 403);
  const Exchange cut = exchange(sim.simulator->port(),
                                "GET " + path + " HTTP/1.1\r\nHost: localhost\r\n\r\n", 64u << 20);
  CHECK(cut.end == "closed");
  const auto head = cut.bytes.find("\r\n\r\n") + 4;
  const auto field = cut.bytes.find("Content-Length: ");
  REQUIRE(field < head);
  CHECK(cut.bytes.size() - head > 1000);
  CHECK(std::stoul(cut.bytes.substr(field + 16)) > cut.bytes.size() - head);
  CHECK(sim.client().Get(path.c_str())->status == 200);
  CHECK(sim.simulator->counters().downloads == 3);
}

TEST_CASE("many clients at once are served") {
  Fixture sim;
  std::atomic<int> good{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&] {
      httplib::Client client(sim.simulator->base_url());
      client.set_read_timeout(300);
      const auto answer =
          client.Post("/v1/videos/text2video", httplib::Headers{{"Authorization", "Bearer k"}},
                      kShot.dump(), "application/json");
      if (answer && answer->status == 200) ++good;
    });
  }
  for (auto& client : clients) client.join();
  CHECK(good == 40);
  CHECK(sim.simulator->counters().charged == 40);
}

}  // namespace kling::sim::testing
