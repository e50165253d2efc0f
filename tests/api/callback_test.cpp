// What a callback says, and who signed it (api-contract 4.11, 4.12).
#include "api/callback.h"

#include <doctest/doctest.h>

#include "base/digest.h"

using namespace kling;
using namespace kling::api;

namespace {

constexpr const char* kSecret = "whsec_dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=";
constexpr std::int64_t kTime = 1781080794;

/// The documented vector.
CallbackRequest vector_request() {
  return {"/kling/1/x",
          {{"Webhook-Id", "9876543210"},
           {"Webhook-Timestamp", "1781080794"},
           {"Webhook-Signature", "v1,UsKlJP00XoQyOn410NM9xv34sP+Gl0jnOO9Lcpr7NJ4="}},
          R"({"id":"1234567890","status":"succeeded","message":"","create_time":1781080778802,)"
          R"("update_time":1781080794151})"};
}

Kind refused(const CallbackRequest& request, std::int64_t now = kTime,
             std::string_view secret = kSecret) {
  const auto read = read_callback(request, secret, now);
  REQUIRE_FALSE(read.ok());
  CHECK(read.error().message.find("dGVzdHNl") == std::string::npos);
  return read.error().kind;
}

}  // namespace

TEST_CASE("a callback is read in both designs and its words are those of the documents") {
  const auto read = [](const char* body) { return read_callback({"", {}, body}, "", 0); };
  auto told = read(R"({"task_id":"861","task_status":"processing","task_status_msg":"",)"
                   R"("task_info":{"external_task_id":"kl-1"}})");
  REQUIRE(told.ok());
  CHECK(told->task_id == "861");
  CHECK(told->external_id == "kl-1");
  CHECK_FALSE(told->ended);
  for (const char* body : {R"({"task_id":"861","task_status":"succeed"})",
                           R"({"task_id":861,"task_status":"failed","task_info":null})",
                           R"({"id":"861","status":"succeeded","external_id":""})",
                           R"({"id":"861","status":"a word of tomorrow"})"}) {
    CAPTURE(body);
    told = read(body);
    REQUIRE(told.ok());
    CHECK(told->task_id == "861");
    CHECK(told->ended);
  }
  told = read(R"({"id":"9","status":"submitted","outputs":[],"external_id":"kl-2"})");
  REQUIRE(told.ok());
  CHECK(told->external_id == "kl-2");
  CHECK_FALSE(told->ended);
  for (const char* body : {"", "[]", "7", "{", "<html>", "null", "\xFF\xFE{}"})
    CHECK(refused({"", {}, body}, 0, "") == Kind::invalid);
}

TEST_CASE("a signed callback is that of the documented vector and no other") {
  const auto read = read_callback(vector_request(), kSecret, kTime);
  REQUIRE_MESSAGE(read.ok(), (read ? "" : read.error().message));
  CHECK(read->ended);
  CHECK(read_callback(vector_request(), kSecret, kTime + 300).ok());
  CHECK(read_callback(vector_request(), kSecret, kTime - 300).ok());
  CHECK(
      read_callback(vector_request(), "dGVzdHNlY3JldHRlc3RzZWNyZXR0ZXN0c2VjcmV0MTI=", kTime).ok());
  CHECK(refused(vector_request(), kTime + 301) == Kind::auth);
  CHECK(refused(vector_request(), kTime - 301) == Kind::auth);
  CHECK(refused(vector_request(), kTime, "whsec_b3RoZXI=") == Kind::auth);
  CHECK(refused(vector_request(), kTime, "whsec_") == Kind::auth);
  CHECK(refused(vector_request(), kTime, "not Base64!") == Kind::auth);

  auto request = vector_request();
  request.body[10] = '9';
  CHECK(refused(request) == Kind::auth);
  for (std::size_t i = 0; i < 3; ++i) {
    request = vector_request();
    request.headers[i].second.back() ^= 1;
    CHECK(refused(request) == Kind::auth);
    request.headers.erase(request.headers.begin() + long(i));
    CHECK(refused(request) == Kind::auth);
  }
  // Two secrets for a week: any signature that fits is enough.
  request = vector_request();
  request.headers[2].second.insert(0, "v1,AAAA v2,abc  ");
  CHECK(read_callback(request, kSecret, kTime).ok());
  request.headers[2].second += " v1,BBBB";
  CHECK(read_callback(request, kSecret, kTime).ok());
}

TEST_CASE("a keyed digest is that of RFC 4231") {
  CHECK(hex(hmac_sha256(std::string(20, '\x0b'), "Hi There")) ==
        "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  CHECK(hex(hmac_sha256("Jefe", "what do ya want for nothing?")) ==
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}
