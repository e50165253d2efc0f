#include "engine/step.h"

#include <algorithm>

#include <doctest/doctest.h>

#include "api/endpoint.h"

using namespace kling;
using namespace kling::engine;
using api::Json;

namespace {

api::Request request(const char* fields) {
  api::Request made;
  made.endpoint = "text2video";
  made.fields = Json::parse(fields);
  return made;
}

std::string canonical(const char* fields) { return canonical_step("sim", request(fields), {}, ""); }

}  // namespace

TEST_CASE("golden vectors of steps are frozen as a change would make people pay again") {
  // Computed once with the first release. Never adapt them to the code: every finished clip in
  // every ledger is found by these digits. A new canonical form needs a new version that is looked
  // up after this one.
  api::Request simple = request(R"({"prompt":"A lighthouse at dusk","duration":"5"})");
  CHECK(canonical_step("api.cometapi.com", simple, {}, "") ==
        R"({"endpoint":"text2video","fields":{"duration":"5","prompt":"A lighthouse at dusk"},)"
        R"("service":"api.cometapi.com","version":1})");
  const std::string digest = step_digest(canonical_step("api.cometapi.com", simple, {}, ""));
  CHECK(digest == "e8033526d594c109ff4d3d7d86b74d5b55d0cd65b73def04002f0c93a4398081");
  CHECK(step_address(digest, 0) == "8581c1fe4dea003b5b402384eb3b3291");
  CHECK(step_address(digest, 1) == "de0d3489a33f3208f1c35a9fad7d8081");

  api::Request full = request(
      R"({"prompt":"Ünïcode \"quoted\" \n 海 <<<image_1>>>","cfg_scale":0.7,"seed":5.0,
          "image_list":[{"image":{"$media":0}},{"image":{"$media":1}}],
          "camera_control":{"type":"simple","config":{"zoom":-3.5,"pan":1e-7,"far":1e21}},
          "callback_url":"https://x","external_task_id":"mine"})");
  full.endpoint = "omni";
  full.extra = Json::parse(R"({"watermark":false,"depth":1.0})");
  full.take = "two";
  const std::string text =
      canonical_step("sim", full, {"sha256:ab", "last frame of step 01"}, "night");
  CHECK(text ==
        R"({"endpoint":"omni","extra":{"depth":1,"watermark":false},"fields":{"camera_control":)"
        R"({"config":{"far":1e+21,"pan":1e-07,"zoom":-3.5},"type":"simple"},"cfg_scale":0.7,)"
        R"("image_list":[{"image":"sha256:ab"},{"image":"last frame of step 01"}],)"
        R"("prompt":"Ünïcode \"quoted\" \n 海 <<<image_1>>>","seed":5},"script_take":"night",)"
        R"("service":"sim","take":"two","version":1})");
  CHECK(step_digest(text) == "efb8b3ac55e5ba76fda30ad834d272f98a0e47dc664ea417dc1a10f5678cd534");

  CHECK(external_id("ab12cd34", "00112233445566778899aabbccddeeff", 2) ==
        "ab12cd34-00112233445566778899aabbccddeeff-2");
  CHECK(external_id("ab12cd34", "00112233445566778899aabbccddeeff", 2'000'000'000).size() <= 64);
  CHECK(origin_last_frame("ab", 0) == "last frame of step ab");
  CHECK(origin_last_frame("ab", 1) == "last frame of step ab video 2");
  CHECK(origin_frame("ab", 0, 1.5) == "frame at 1.5 s of step ab");
  CHECK(origin_frame("ab", 0, 2.0) == "frame at 2 s of step ab");
  CHECK(origin_video("ab", 0) == "video of step ab");
}

TEST_CASE("a field of blanks that was paid for keeps its address") {
  // Digests that an earlier release wrote into ledgers.
  const auto digest_of = [](const char* endpoint, const char* fields, const Identities& media) {
    api::Request made = request(fields);
    made.endpoint = endpoint;
    CHECK(api::normalize(*api::find_endpoint(endpoint), made).empty());
    CHECK(std::ranges::none_of(
        api::check(*api::find_endpoint(endpoint), made),
        [](const api::Finding& found) { return found.level == api::Finding::Level::error; }));
    return step_digest(canonical_step("sim", made, media, ""));
  };
  CHECK(digest_of("text2video", R"({"prompt":"A lighthouse at dusk","negative_prompt":"  "})",
                  {}) == "07e5508d81c8314544233369f68694cb4fb88e14503b69685d50f526bf392c11");
  CHECK(digest_of("text2video", R"({"prompt":"A lighthouse at dusk","negative_prompt":""})", {}) ==
        "8b77a85a5019169cfb3fd2782bac28e9d09569dcb812dfafeb10724b687ccf98");
  CHECK(digest_of(
            "image2video", R"({"image":{"url":"https://e.com/a.png","id":"hero"},"prompt":" "})",
            {"id:hero"}) == "91540ae39ac83f4c4294b2601ad9a48ceb705cf8892fbfca43094b3691ab6274");
}

TEST_CASE("what is not sent or means the same does not change a step") {
  const std::string plain = canonical(R"({"prompt":"a","cfg_scale":1})");
  CHECK(canonical(R"({"cfg_scale":1.0,"prompt":"a"})") == plain);
  CHECK(canonical(R"({"cfg_scale":1,"prompt":"a","callback_url":"https://cb"})") == plain);
  CHECK(canonical(R"({"cfg_scale":1,"prompt":"a","external_task_id":"x"})") == plain);
  CHECK(canonical(R"({"cfg_scale":1,"prompt":"a","negative_prompt":"","image_list":[]})") == plain);
  api::Request again = request(R"({"prompt":"a","cfg_scale":1})");
  again.strict = true;
  again.extra = Json::parse(R"({"callback_url":"https://cb"})");
  CHECK(canonical_step("sim", again, {}, "") == plain);
  CHECK(canonical(R"({"prompt":"a","cfg_scale":-0.0})") ==
        canonical(R"({"prompt":"a","cfg_scale":0})"));
}

TEST_CASE("what makes another clip changes the step") {
  const std::string plain = canonical(R"({"prompt":"a"})");
  CHECK(canonical(R"({"prompt":"b"})") != plain);
  CHECK(canonical(R"({"prompt":"a","cfg_scale":0})") != plain);
  CHECK(canonical(R"({"prompt":"a","sound":false})") != plain);
  api::Request other = request(R"({"prompt":"a"})");
  CHECK(canonical_step("api.cometapi.com", other, {}, "") != plain);
  CHECK(canonical_step("sim", other, {}, "x") != plain);
  other.take = "x";
  CHECK(canonical_step("sim", other, {}, "") != plain);
  CHECK(canonical_step("sim", other, {}, "") !=
        canonical_step("sim", request(R"({"prompt":"a"})"), {}, "x"));
  api::Request image = request(R"({"image":{"$media":0}})");
  CHECK(canonical_step("sim", image, {"one"}, "") != canonical_step("sim", image, {"two"}, ""));
}

TEST_CASE("odd values neither throw nor read beyond the identities") {
  api::Request odd = request(
      R"({"a":{"$media":7},"b":{"$media":-1},"c":{"$media":"0"},"d":{"$media":0,"x":1},"e":null})");
  odd.fields["bad"] = std::string("\xff\xfe");
  odd.fields["huge"] = 1e300;
  const Json read = Json::parse(canonical_step("sim", odd, {"id"}, ""));
  CHECK(read["fields"]["a"]["$media"] == 7);
  CHECK(read["fields"]["d"]["x"] == 1);
  CHECK_FALSE(read["fields"].contains("e"));
  odd.fields = Json::array();
  CHECK(Json::parse(canonical_step("sim", odd, {}, ""))["fields"].empty());
}

TEST_CASE("handles survive writing and reading") {
  const Handle accepted{"text2video", "861309428", ""};
  const Handle early{"multi_image2video", "", "ab12cd34-00ff-1"};
  const Handle own{"omni", "", "my own / id: ä"};
  for (const Handle& handle : {accepted, early, own}) {
    const auto read = parse_handle(to_string(handle));
    REQUIRE(read);
    CHECK(read->endpoint == handle.endpoint);
    CHECK(read->task_id == handle.task_id);
    CHECK(read->external_id == handle.external_id);
  }
  CHECK(to_string(accepted) == "kling:text2video/861309428");
  CHECK(to_string(early) == "kling:multi_image2video/~ab12cd34-00ff-1");
  const auto bare = parse_handle("task_0-1.x");
  REQUIRE(bare);
  CHECK(bare->endpoint.empty());
  CHECK(bare->task_id == "task_0-1.x");
}

TEST_CASE("a handle is pasted with what stands around it") {
  for (const char* text : {"861\n", "\"861\"", " '861' ", "\u201c861\u201d", "(861),", "861."}) {
    CAPTURE(text);
    const auto handle = parse_handle(text);
    REQUIRE(handle);
    CHECK(handle->task_id == "861");
  }
}

TEST_CASE("rubbish is no handle") {
  for (const char* text :
       {"", " ", "kling:", "kling:text2video", "kling:text2video/", "kling:text2video/~",
        "kling:/861", "kling:text2video/86 13", "kling:text2video/../x", "kling:a b/1", "../x",
        "a/b", "a?b", "~", "~a\nb", "kling:text2video/~a\nb", "kling:text2video/1/2"}) {
    CAPTURE(text);
    const auto handle = parse_handle(text);
    REQUIRE_FALSE(handle);
    CHECK(handle.error().kind == Kind::invalid);
    CHECK(handle.error().hint.find("kling:text2video/") != std::string::npos);
  }
}
