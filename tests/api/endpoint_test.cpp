#include <set>

#include <doctest/doctest.h>

#include "api/capabilities.h"
#include "api/support.h"
#include "base/digest.h"

using namespace kling::api;
using namespace kling::api::test;

namespace {

/// The body that goes out; fails when a rule minds the request.
Json body_of(std::string_view endpoint, std::string_view fields) {
  Request request;
  request.endpoint = endpoint;
  request.fields = parse_json(fields);
  const auto findings = findings_of(request);
  for (const Finding& finding : findings)
    CHECK_MESSAGE(finding.level == Finding::Level::warning, finding.message);
  return wire_body(*find_endpoint(endpoint), request);
}

std::string png(std::uint32_t width, std::uint32_t height) {
  return "\x89PNG\r\n\x1a\n" +
         test::png_chunk("IHDR",
                         test::big(width, 4) + test::big(height, 4) + std::string(5, '\0')) +
         test::png_chunk("IDAT", test::kPngData) + test::png_chunk("IEND", "");
}
}  // namespace

TEST_CASE("every function of the module is found by name and kind") {
  for (const char* name : {"text2video", "image2video", "multi_image2video", "multi-image2video",
                           "omni", "omni_video", "omni-video"})
    CHECK_MESSAGE(find_endpoint(name) != nullptr, name);
  CHECK(find_endpoint("nothing") == nullptr);
  CHECK(find_endpoint("omni")->path == "/kling/v1/videos/omni-video");
}

TEST_CASE("every parameter says what it is and has one name") {
  for (const Endpoint& endpoint : endpoints()) {
    std::set<std::string> names;
    for (const Param& param : endpoint.params) {
      CHECK_MESSAGE(!param.doc.empty(), param.name);
      CHECK_MESSAGE(names.insert(param.name).second, param.name);
      CHECK_MESSAGE((param.type != Type::list || !param.children.empty()), param.name);
    }
  }
}

TEST_CASE("a likely misspelling is recognised and a distant word is not") {
  CHECK(did_you_mean("promt", {"prompt", "mode"}) == "prompt");
  CHECK(did_you_mean("modle_name", {"model_name", "mode"}) == "model_name");
  CHECK(did_you_mean("STD", {"std", "pro"}) == "std");
  CHECK(did_you_mean("colour", {"prompt", "mode"}).empty());
  CHECK(did_you_mean("x", {"y"}).empty());
}

TEST_CASE("the curl examples of the documents go out as written plus our defaults") {
  CHECK(body_of("text2video", R"({"prompt":"A happy scene of a vacation on the beach."})") ==
        parse_json(R"({"prompt":"A happy scene of a vacation on the beach.",
                       "model_name":"kling-v2-6","mode":"std","duration":"5"})"));
  CHECK(body_of("image2video",
                R"({"model_name":"kling-v2-master","image":"https://e.com/a.jpg","prompt":"x"})") ==
        parse_json(R"({"model_name":"kling-v2-master","image":{"$media":0},"prompt":"x",
                       "mode":"std","duration":"5"})"));
  const std::string multi = R"({"model_name":"kling-v1-6","duration":"5","image_list":[
      {"image":"https://h2.inkwai.com/bs2/upload-ylab-stunt/a_raw_image_0.jpg"},
      {"image":"https://h2.inkwai.com/bs2/upload-ylab-stunt/a_raw_image_0.jpg"},
      {"image":"https://filesystem.site/cdn/20250414/chxiLc2O45zoLT8BCrQ6WQlTvGDDnK.png"},
      {"image":"https://filesystem.site/cdn/20250414/chxiLc2O45zoLT8BCrQ6WQlTvGDDnK.png"}],
      "prompt":"The astronauts got up and left."})";
  CHECK(body_of("multi_image2video", multi) ==
        parse_json(R"({"model_name":"kling-v1-6","duration":"5","mode":"std","image_list":[
            {"image":{"$media":0}},{"image":{"$media":1}},{"image":{"$media":2}},
            {"image":{"$media":3}}],"prompt":"The astronauts got up and left."})"));
}

TEST_CASE("the omni example refers to what it does not send and passes through extra") {
  Request request;
  request.endpoint = "omni";
  request.fields = parse_json(
      R"({"prompt":"The boy in <<<image_1>>> is wearing <<<element_1>>> and, together with the girl in <<<image_2>>>, sits side by side in <<<element_2>>>, playfully and intimately chatting, close-up shot."})");
  const auto findings = findings_of(request);
  REQUIRE(findings.size() == 1);
  CHECK(findings[0].id == "prompt.references");
  CHECK(findings[0].message ==
        "prompt refers to <<<image_1>>>, <<<image_2>>>, but 0 images are given; and to "
        "<<<element_1>>>, <<<element_2>>>, but 0 elements are given");
  CHECK(findings[0].hint.find("extra") != std::string::npos);

  request.extra = parse_json(R"({"image_list":[{"image_url":"https://e.com/a.png"},
      {"image_url":"https://e.com/b.png"}],"element_list":[{"element_id":1},{"element_id":2}]})");
  CHECK(check(*find_endpoint("omni"), request).empty());
  const Json body = wire_body(*find_endpoint("omni"), request);
  CHECK(body["image_list"] == request.extra["image_list"]);
  CHECK(body["aspect_ratio"] == "16:9");
  CHECK(body["model_name"] == "kling-video-o1");
}

TEST_CASE("defaults never make a legal request illegal") {
  const Json edit = body_of("omni", R"({"prompt":"x","video_list":["https://e.com/a.mp4"]})");
  CHECK(!edit.contains("duration"));
  CHECK(!edit.contains("aspect_ratio"));
  const Json style = body_of(
      "omni",
      R"({"prompt":"x","video_list":[{"video_url":"https://e.com/a.mp4","refer_type":"feature"}]})");
  CHECK(style["aspect_ratio"] == "16:9");
  CHECK(style["duration"] == "5");
  const Json first = body_of(
      "omni",
      R"({"prompt":"x","image_list":[{"image":"https://e.com/a.png","type":"first_frame"}]})");
  CHECK(!first.contains("aspect_ratio"));
  const Json shots = body_of("text2video", R"({"model_name":"kling-v3","multi_shot":true,
      "shot_type":"customize","multi_prompt":[{"prompt":"a","duration":3},{"prompt":"b","duration":5}]})");
  CHECK(shots["duration"] == "8");
  CHECK(shots["multi_prompt"][1] == parse_json(R"({"prompt":"b","duration":"5","index":2})"));
  // Where the service cuts, shots of ours are refused, and say nothing about the length.
  Request theirs;
  theirs.endpoint = "text2video";
  theirs.fields = parse_json(R"({"model_name":"kling-v3","multi_shot":true,
      "shot_type":"intelligence","multi_prompt":[{"prompt":"a","duration":3},{"prompt":"b","duration":5}]})");
  CHECK(normalize(*find_endpoint("text2video"), theirs).empty());
  CHECK(wire_body(*find_endpoint("text2video"), theirs)["duration"] == "5");
}

TEST_CASE("empty values count as absent and numbers become the text the service wants") {
  CHECK(body_of("text2video", R"({"prompt":"x","duration":10.0,"callback_url":"",
      "external_task_id":"","negative_prompt":"","voice_list":[],"watermark_info":{}})") ==
        parse_json(R"({"prompt":"x","duration":"10","model_name":"kling-v2-6","mode":"std"})"));
  const Json ids = body_of(
      "omni",
      R"({"prompt":"x","element_list":[829836802793406551,"829836802793406551",{"element_id":"99999999999999999999"}]})");
  CHECK(
      ids["element_list"].dump() ==
      R"([{"element_id":829836802793406551},{"element_id":829836802793406551},{"element_id":"99999999999999999999"}])");
}

TEST_CASE("truth and whole numbers are taken as spreadsheets write them") {
  for (const char* word : {"true", "TRUE", "True"}) {
    CAPTURE(word);
    const Json body =
        body_of("text2video", R"({"prompt":"x","model_name":"kling-v3","duration":"5.0",
        "shot_type":"intelligence","multi_shot":")" +
                                  std::string(word) + "\"}");
    CHECK(body["multi_shot"] == true);
    CHECK(body["duration"] == "5");
  }
  CHECK(body_of("text2video", R"({"prompt":"x","multi_shot":"FALSE"})")["multi_shot"] == false);
  for (const char* wrong :
       {R"({"prompt":"x","multi_shot":"yes"})", R"({"prompt":"x","duration":"5.5"})",
        R"({"prompt":"x","duration":".0"})", R"({"prompt":"x","duration":"5.0s"})"}) {
    Request request{.endpoint = "text2video", .fields = parse_json(wrong)};
    CAPTURE(wrong);
    CHECK(normalize(*find_endpoint("text2video"), request).size() == 1);
  }
}

TEST_CASE("every way of giving a picture ends in one form") {
  Request request;
  request.endpoint = "omni";
  request.media.push_back({.source = MediaInput::Source::derived, .text = "last frame"});
  request.fields = parse_json(R"({"prompt":"x","image_list":["a.png",{"$media":0},
      {"image":" https://e.com/b c.png?s=%2F\r\n"},{"image_url":"data:image/png;base64,AAAA"},
      {"type":"first_frame","image":"/9j/AAAA"},{"url":"https://e.com/c.png?sig=1","id":"hero-v3"}]})");
  CHECK(normalize(*find_endpoint("omni"), request).empty());
  const Json& list = request.fields["image_list"];
  CHECK(list[0] == parse_json(R"({"image_url":{"$media":1}})"));
  CHECK(list[1] == parse_json(R"({"image_url":{"$media":0}})"));
  CHECK(list[4] == parse_json(R"({"image_url":{"$media":4},"type":"first_frame"})"));
  REQUIRE(request.media.size() == 6);
  CHECK(request.media[1].source == MediaInput::Source::file);
  CHECK(request.media[2].source == MediaInput::Source::url);
  CHECK(request.media[2].text == "https://e.com/b%20c.png?s=%2F");  // as it was pasted
  CHECK(request.media[3].source == MediaInput::Source::base64);
  CHECK(request.media[3].text == "AAAA");
  CHECK(request.media[3].facts->bytes == 3);
  CHECK(request.media[4].source == MediaInput::Source::base64);
  CHECK(request.media[5].identity == "hero-v3");
  CHECK(request.media[5].text == "https://e.com/c.png?sig=1");

  const Json before = request.fields;
  CHECK(normalize(*find_endpoint("omni"), request).empty());
  CHECK(request.fields == before);
  CHECK(request.media.size() == 6);
}

TEST_CASE("a clip is no picture and a picture is no clip") {
  Request request;
  request.endpoint = "omni";
  request.media = {{.source = MediaInput::Source::derived, .video = true},
                   {.source = MediaInput::Source::derived},
                   {.source = MediaInput::Source::file, .video = true, .text = "film.mp4"}};
  const auto finding = [&](const char* fields) {
    Request copy = request;
    copy.fields = parse_json(fields);
    const auto findings = normalize(*find_endpoint("omni"), copy);
    return findings.empty() ? Finding{} : findings[0];
  };
  CHECK(finding(R"({"prompt":"x","video_list":[{"$media":0}]})").id.empty());
  CHECK(finding(R"({"prompt":"x","image_list":[{"$media":0}]})").hint.find("last_frame()") !=
        std::string::npos);
  CHECK(finding(R"({"prompt":"x","video_list":[{"$media":1}]})").id == "media.kind");
  CHECK(finding(R"({"prompt":"x","video_list":[{"video_url":{"$media":2}}]})").id ==
        "media.video_url");
  CHECK(finding(R"({"prompt":"x","image_list":[{"$media":9}]})").id == "media.index");
}

TEST_CASE("Base64 pictures are measured without a file") {
  Request request;
  request.endpoint = "image2video";
  request.fields = Json::object(
      {{"prompt", "x"}, {"image", "data:image/png;base64," + kling::base64_encode(png(200, 400))}});
  auto findings = findings_of(request);
  CHECK_MESSAGE(find(findings, "image.pixels") != nullptr, listed(findings));
  request.fields["image"] = "data:image/webp;base64,UklGRg==";
  findings = findings_of(request);
  CHECK(find(findings, "image.format") != nullptr);
}

TEST_CASE("the table offers exactly the models of the matrix") {
  for (const Endpoint& endpoint : endpoints())
    for (const Param& param : endpoint.params)
      if (param.name == "model_name") {
        CHECK(param.rule.values.size() + param.rule.warn_values.size() ==
              models_of(feature_of(endpoint.name)).size());
        CHECK(find_offer(feature_of(endpoint.name), param.default_value) != nullptr);
      }
}

TEST_CASE("estimates follow the price list") {
  const auto usd = [](const char* body) {
    const auto found = estimate(parse_json(body));
    return found ? found->usd : -1;
  };
  CHECK(usd(R"({"model_name":"kling-v2-6","mode":"std","duration":"5"})") == doctest::Approx(0.21));
  CHECK(usd(R"({"model_name":"kling-v2-6","mode":"pro","duration":"10","sound":"on"})") ==
        doctest::Approx(1.40));
  CHECK(
      usd(R"({"model_name":"kling-v2-6","mode":"pro","duration":"5","sound":"on","voice_list":[1]})") ==
      doctest::Approx(0.84));
  CHECK(usd(R"({"model_name":"kling-v2-master","mode":"std","duration":"10"})") ==
        doctest::Approx(2.80));
  CHECK(usd(R"({"model_name":"kling-v3","mode":"4k","duration":"5"})") == doctest::Approx(2.10));
  CHECK(usd(R"({"model_name":"kling-video-o1","mode":"pro","video_list":[{}]})") ==
        doctest::Approx(1.68));
  CHECK(usd(R"({"model_name":"kling-v3-omni","mode":"std","duration":"10","sound":"on"})") ==
        doctest::Approx(1.12));
  CHECK(usd(R"({"model_name":"kling-v9","mode":"std","duration":"5"})") == -1);
  for (const Endpoint& endpoint : endpoints()) {
    Request request;
    request.endpoint = endpoint.name;
    CHECK(estimate(wire_body(endpoint, request)));
  }
}

TEST_CASE("a draft is as cheap as the other fields of its request allow, each change by itself") {
  struct Row {
    const char *endpoint, *given, *draft;  // what it changes
  };
  const Row rows[] = {
      {"text2video", R"({"mode":"pro","duration":"10"})", R"({"mode":"std","duration":"5"})"},
      {"text2video", R"({"model_name":"kling-v3","mode":"4k","duration":"15","sound":"on"})",
       R"({"mode":"std","duration":"3","sound":"off"})"},
      {"text2video",
       R"({"model_name":"kling-v2-6","mode":"pro","duration":"10","sound":"on","voice_list":[{"voice_id":"1"}]})",
       R"({"duration":"5"})"},
      {"image2video",
       R"({"model_name":"kling-v2-1","mode":"pro","duration":"10","image_tail":"https://x.org/1.png"})",
       R"({"duration":"5"})"},
      {"image2video",
       R"({"model_name":"kling-v3","mode":"pro","duration":"10","image_tail":"https://x.org/1.png"})",
       R"({"mode":"std","duration":"3"})"},
      {"text2video",
       R"({"model_name":"kling-v3","mode":"pro","duration":"8","sound":"on","multi_shot":true,"shot_type":"customize","multi_prompt":[{"index":1,"prompt":"a","duration":"5"},{"index":2,"prompt":"b","duration":"3"}]})",
       R"({"mode":"std","sound":"off"})"},
      {"omni", R"({"mode":"pro","video_list":[{"video_url":"https://x.org/1.mp4"}]})",
       R"({"mode":"std"})"},
      {"text2video", R"({"mode":"std","duration":"5"})", R"({})"},
      {"text2video", R"({"model_name":"kling-v9","mode":"pro","duration":"10"})", R"({})"},
  };
  for (const Row& row : rows) {
    CAPTURE(row.given);
    Request request{.endpoint = row.endpoint, .fields = parse_json(row.given)};
    if (!request.fields.contains("multi_prompt")) request.fields["prompt"] = "A kite";
    if (request.endpoint == "image2video") request.fields["image"] = "https://x.org/0.png";
    const Endpoint& endpoint = *find_endpoint(row.endpoint);
    (void)normalize(endpoint, request);
    Request expected = request;
    expected.fields.update(parse_json(row.draft));
    const Request draft = as_draft(endpoint, request);
    CHECK(wire_body(endpoint, draft) == wire_body(endpoint, expected));
    // A plan has the body that would be sent in place of the request.
    const Request sent{.endpoint = row.endpoint, .fields = wire_body(endpoint, request)};
    CHECK(wire_body(endpoint, as_draft(endpoint, sent)) == wire_body(endpoint, draft));
    request = draft;
    CHECK(as_draft(endpoint, request).fields == draft.fields);
  }
}
