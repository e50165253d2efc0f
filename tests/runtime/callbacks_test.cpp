// Callbacks of the service that reach an embedding program's own web server.
#include "runtime/stage.h"

using namespace kling;
using namespace kling::test;

namespace {

/// Keeps the addresses that requests carry, and ends a task when it is told to.
struct CallingService {
  std::vector<std::string> addresses;
  int queries = 0;
  bool ended = false;

  void answer(const kling_request& request, Exchange exchange) {
    std::string id = "1001";
    if (std::string(request.method) == "POST") {
      const Json body = Json::parse(std::string(request.body, request.body_size));
      addresses.push_back(body.value("callback_url", ""));
      id = std::to_string(1000 + addresses.size());
    } else {
      ++queries;
      id = std::string(request.target);
      id = id.substr(id.rfind('/') + 1);
    }
    const char* status = ended ? "failed" : "processing";
    exchange.answer(200, R"({"code":0,"message":"ok","data":{"task_id":")" + id +
                             R"(","task_status":")" + status +
                             R"(","task_status_msg":"x","created_at":1,"updated_at":1}})");
  }
};

}  // namespace

TEST_CASE("a host tells its jobs what its web server has heard") {
  CallingService service;
  Stage stage;
  stage.options.callback = "https://game.example/hooks/";
  stage.options.poll = 3600;
  stage.options.send = [&](const kling_request& request, Exchange exchange) {
    service.answer(request, std::move(exchange));
  };
  Host host(stage.options);
  REQUIRE_MESSAGE(host, host.error());
  const auto task = host.run(
      "a.lua", "local kling = require 'kling' return kling.text2video { prompt = 'x' }:wait()");
  REQUIRE(until(host, [&] { return !service.addresses.empty(); }));
  const std::string address = service.addresses[0];
  REQUIRE(address.starts_with("https://game.example/hooks/1/"));
  const std::string path = address.substr(std::string("https://game.example").size());

  CHECK_FALSE(host.notify(path, "no JSON"));
  CHECK(host.error().find("no JSON object") != std::string::npos);
  service.ended = true;
  // It was asked never, and would be in an hour.
  REQUIRE(until(host, [&] {
    host.notify(path, R"({"task_id":"kling's own","task_status":"failed"})");
    return host.failed(task);
  }));
  CHECK(service.queries >= 1);
  CHECK(service.queries <= 2);
  CHECK(host.notify(path, R"({"task_id":"1001","task_status":"failed"})"));  // once more: nothing
  CHECK(run(host, "local kling = require 'kling' return kling.notify('/x', '{\"id\":7}')") ==
        Json::array({true}));
  CHECK_FALSE(host.notify("/x", R"({"hello": "world"})"));
  CHECK(host.error() == "a callback names no task: it has no task_id and no external id");
  CHECK_FALSE(host.notify(std::string(10'000, 'x'), R"({"id": 7})"));
  for (int forged = 0; forged < 5'000; ++forged) host.notify("/x", R"({"id": 7})");
  CHECK(host.pending() <= 2'000);  // what is asked for next does not wait for all of them
  const Json refused = run(host, "local kling = require 'kling' return kling.notify('/x', '[]')");
  CHECK(refused[0].is_null());
}

TEST_CASE("a host with a secret takes signed callbacks only") {
  Stage stage;
  stage.options.callback = "https://game.example";
  stage.options.webhook_secret = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=";
  stage.options.now = [] { return 1781080794000ll; };
  Host host(stage.options);
  REQUIRE_MESSAGE(host, host.error());
  host.tick(0);
  const std::string body =
      R"({"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,)"
      R"("update_time":1781080794151})";
  CHECK_FALSE(host.notify("/x", body));
  CHECK(host.notify("/x", body,
                    {"webhook-id", "9876543210", "webhook-timestamp", "1781080794",
                     "webhook-signature", "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="}));
  CHECK_FALSE(host.notify("/x", body, {"webhook-timestamp", "soon"}));
  CHECK(host.error() == "a callback is refused: its webhook-timestamp is no number of seconds");
  CHECK(
      run(host,
          "local kling = require 'kling' return kling.notify('/x', ..., { ['Webhook-Id'] = 'x' })",
          "[\"{}\"]")[0]
          .is_null());
}

TEST_CASE("options about callbacks are checked when the host is made") {
  Stage stage;
  stage.options.callback = "game.example";
  CHECK(Host(stage.options).error().find("callback") != std::string::npos);
  stage.options.callback.clear();
  stage.options.price_factor = -1;
  CHECK(Host(stage.options).error().find("price_factor") != std::string::npos);
}
