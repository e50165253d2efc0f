// The client's checks against the simulator's, which were written from the documents by themselves:
// both judge the same requests, thousands of combinations, and price what both accept.
#include <map>
#include <set>
#include <string>

#include <doctest/doctest.h>

#include "api/capabilities.h"
#include "api/decoder.h"
#include "api/endpoint.h"
#include "base/temp_folder.h"
#include "sim/contract.h"
#include "sim/dialect.h"
#include "sim/pictures.h"

namespace kling::engine::testing {
namespace {

using api::Json;

Json parsed(const char* text) { return Json::parse(text); }

/// What is added to the smallest request of an endpoint; null takes a field out.
struct Feature {
  const char* endpoint;
  const char* name;
  Json fields;
};

const char* const kPicture = "https://example.com/a.png";

Json pictures(int count, const char* type = nullptr) {
  Json list = Json::array();
  for (int i = 0; i < count; ++i) list.push_back({{"image", kPicture}});
  if (type != nullptr) list[0]["type"] = type;
  return list;
}

Json elements(int count) {
  Json list = Json::array();
  for (int i = 0; i < count; ++i) list.push_back({{"element_id", "8613091981"}});
  return list;
}

Json both(Json a, const Json& b) {
  a.update(b);
  return a;
}

std::vector<Feature> features() {
  const Json sound = {{"sound", "on"}}, tail = {{"image_tail", kPicture}};
  const Json voices = {{"voice_list", {{{"voice_id", "v"}}}}};
  const Json mask = {{"static_mask", kPicture}};
  const Json simple = parsed(R"({"camera_control": {"type": "simple", "config": {"zoom": 5}}})");
  const Json preset = parsed(R"({"camera_control": {"type": "down_back"}})");
  const Json shots = parsed(R"({"multi_shot": true, "shot_type": "customize", "prompt": null,
      "duration": null, "multi_prompt": [{"prompt": "a", "duration": 2}, {"prompt": "b", "duration": 3}]})");
  const Json wrong_sum = both(shots, {{"duration", 10}});
  const Json smart = {{"multi_shot", true}, {"shot_type", "intelligence"}};
  Json frames = {{"image_list", pictures(2, "first_frame")}};
  frames["image_list"][1]["type"] = "end_frame";
  Json frames_and_one = {{"image_list", pictures(3, "first_frame")}};
  frames_and_one["image_list"][1]["type"] = "end_frame";
  const Json first = {{"image_list", pictures(1, "first_frame")}};
  const auto video = [](const char* type) {
    return Json{
        {"video_list", {{{"video_url", "https://example.com/a.mp4"}, {"refer_type", type}}}}};
  };
  const auto images = [](int count) { return Json{{"image_list", pictures(count)}}; };
  const auto cast = [](int count) { return Json{{"element_list", elements(count)}}; };
  std::vector<Feature> all;
  const auto add = [&all](const char* endpoint, const char* name, const Json& fields) {
    all.push_back({endpoint, name, fields});
  };
  for (const char* endpoint : {"text2video", "image2video", "omni"}) {
    add(endpoint, "plain", Json::object());
    add(endpoint, "sound", sound);
    add(endpoint, "shots", shots);
    add(endpoint, "shots of another length", wrong_sum);
    add(endpoint, "shots without multi_shot", both(shots, {{"multi_shot", false}}));
    add(endpoint, "shots by themselves", smart);
  }
  for (const char* endpoint : {"text2video", "image2video"}) {
    add(endpoint, "camera", simple);
    add(endpoint, "camera preset", preset);
    add(endpoint, "camera without config", parsed(R"({"camera_control": {"type": "simple"}})"));
    add(endpoint, "camera twice",
        parsed(R"({"camera_control": {"type": "simple", "config": {"zoom": 5, "pan": 1}}})"));
    add(endpoint, "cfg_scale", {{"cfg_scale", 0.5}});
  }
  const char* i2v = "image2video";
  add(i2v, "nothing", {{"image", nullptr}});
  add(i2v, "tail", tail);
  add(i2v, "tail alone", both(tail, {{"image", nullptr}}));
  add(i2v, "tail and sound", both(tail, sound));
  add(i2v, "tail and shots", both(tail, shots));
  add(i2v, "tail and mask", both(tail, mask));
  add(i2v, "mask", mask);
  add(i2v, "mask and camera", both(mask, simple));
  add(i2v, "paths", parsed(R"({"dynamic_masks": [{"mask": "https://example.com/a.png",
      "trajectories": [{"x": 1, "y": 2}, {"x": 3, "y": 4}]}]})"));
  add(i2v, "voices", both(sound, voices));
  add(i2v, "silent voices", voices);
  add(i2v, "voices and elements", both(both(sound, voices), cast(1)));
  for (const int count : {1, 3, 4}) add(i2v, "elements", cast(count));
  for (const int count : {1, 2, 4, 5}) add("multi_image2video", "pictures", images(count));
  for (const int count : {1, 4, 5, 7, 8}) {
    add("omni", "pictures", images(count));
    add("omni", "elements", cast(count));
    add("omni", "pictures and element", both(images(count), cast(1)));
    add("omni", "pictures and video", both(images(count), video("feature")));
    add("omni", "first frame and elements", both(first, cast(count)));
    add("omni", "both frames and elements", both(frames, cast(count)));
  }
  add("omni", "first frame", first);
  add("omni", "both frames", frames);
  add("omni", "both frames and a picture", frames_and_one);
  add("omni", "end frame alone", {{"image_list", pictures(1, "end_frame")}});
  add("omni", "frames and shots", both(frames, shots));
  add("omni", "base video", video("base"));
  add("omni", "base video and frame", both(video("base"), first));
  add("omni", "base video and sound", both(video("base"), sound));
  add("omni", "reference video", video("feature"));
  add("omni", "reference video and sound", both(video("feature"), sound));
  add("omni", "reference to a picture", both(images(2), {{"prompt", "as <<<image_2>>>"}}));
  add("omni", "reference to nothing", both(images(2), {{"prompt", "as <<<image_3>>>"}}));
  add("omni", "reference to no list", {{"prompt", "as <<<element_1>>>"}});
  return all;
}

api::Request smallest(const std::string& endpoint) {
  api::Request request;
  request.endpoint = endpoint;
  request.fields = {{"prompt", "a lighthouse"}};
  if (endpoint == "image2video") request.fields["image"] = kPicture;
  return request;
}

/// The first error, or "".
std::string client_refuses(const api::Endpoint& endpoint, api::Request& request) {
  auto findings = api::normalize(endpoint, request);
  if (findings.empty()) findings = api::check(endpoint, request);
  for (const auto& finding : findings)
    if (finding.level == api::Finding::Level::error) return finding.message;
  return "";
}

/// Pictures and videos as their URLs.
void put_media(Json& json, const api::Request& request) {
  if (json.is_object() && json.contains("$media")) {
    json = request.media.at(json["$media"].get<std::size_t>()).text;
  } else if (json.is_structured()) {
    for (Json& item : json) put_media(item, request);
  }
}

struct Judgement {
  std::string client, service;  ///< why it is refused; "" when it is accepted
  double client_usd = 0, service_usd = 0;
};

Judgement judge(const std::string& name, const Json& fields, const sim::Pictures& store) {
  const api::Endpoint& endpoint = *api::find_endpoint(name);
  api::Request request = smallest(name);
  for (const auto& [field, value] : fields.items()) request.fields[field] = value;
  for (auto field = request.fields.begin(); field != request.fields.end();)
    field = field->is_null() ? request.fields.erase(field) : std::next(field);
  Judgement result;
  result.client = client_refuses(endpoint, request);
  Json body = api::wire_body(endpoint, request);
  put_media(body, request);
  const auto verdict = sim::validate(endpoint.kind, sim::Json(body), store,
                                     [](const std::string&) { return std::nullopt; });
  if (const auto* refusal = std::get_if<sim::Refusal>(&verdict)) {
    result.service = refusal->message;
  } else {
    result.service_usd = std::get<sim::Order>(verdict).units * api::kUsdPerUnit;
  }
  if (const auto estimate = api::estimate(body)) result.client_usd = estimate->usd;
  return result;
}

/// Where one of both refuses what the other accepts: each with its reason.
const std::map<std::string, const char*> kReasons = {
    {"omni plain: only the service refuses: Duration only supports 5 or 10 seconds when no "
     "refer_image is provided",
     "the documents disagree about 3 to 10 s: a warning of the client's"},
    {"omni first frame: only the service refuses: Duration only supports 5 or 10 seconds when no "
     "refer_image is provided",
     "the same"},
    {"omni shots by themselves: only the service refuses: shot_type value is invalid",
     "documented, and measured not to work: a warning of the client's"},
};

}  // namespace

TEST_CASE("client and simulator accept and refuse the same requests at the same price") {
  const test::TempFolder folder;
  const sim::Pictures store(folder.path());
  std::set<std::string> models, differences, prices;
  for (const auto& [model, facts] : sim::contract()["models"].items()) models.insert(model);
  int accepted = 0, refused = 0;
  for (const Feature& feature : features()) {
    for (const std::string& model : models) {
      for (const char* mode : {"std", "pro"}) {
        for (const int seconds : {3, 4, 5, 7, 10, 11, 15}) {
          Json fields = {{"model_name", model}, {"mode", mode}, {"duration", seconds}};
          fields.update(feature.fields);
          const Judgement seen = judge(feature.endpoint, fields, store);
          const std::string what = std::string(feature.endpoint) + " " + feature.name;
          const bool same = seen.client.empty() == seen.service.empty();
          ++(seen.service.empty() ? accepted : refused);
          if (!same)
            differences.insert(what + ": " +
                               (seen.client.empty() ? "only the service refuses: " + seen.service
                                                    : "only the client refuses: " + seen.client));
          if (same && seen.service.empty() && std::abs(seen.client_usd - seen.service_usd) > 1e-6)
            prices.insert(what + " " + fields.dump());
        }
      }
    }
  }
  for (const std::string& difference : differences)
    CHECK_MESSAGE(kReasons.count(difference) == 1, "no reason is given: ", difference);
  for (const auto& [difference, reason] : kReasons)
    CHECK_MESSAGE(differences.count(difference) == 1, "they agree by now: ", difference);
  for (const std::string& price : prices) FAIL_CHECK("another price: ", price);
  CHECK(accepted > 800);
  CHECK(refused > 10'000);
}

TEST_CASE("client and simulator draw the same line around a picture") {
  const sim::Json& limits = sim::contract()["image"];
  const int side = limits["min_side"];
  const double ratio = limits["max_ratio"];
  const std::uint64_t bytes = limits["max_bytes"];
  const auto refused = [](int width, int height, std::uint64_t size) {
    const api::Endpoint& endpoint = *api::find_endpoint("image2video");
    api::Request request = smallest("image2video");
    CHECK(api::normalize(endpoint, request).empty());
    request.media.at(0).facts = ImageFacts{"png", width, height, size};
    for (const auto& finding : api::check(endpoint, request))
      if (finding.level == api::Finding::Level::error) return true;
    return false;
  };
  const int widest = static_cast<int>(side * ratio);
  CHECK_FALSE(refused(side, side, bytes));
  CHECK(refused(side - 1, side, 1000));
  CHECK(refused(side, side - 1, 1000));
  CHECK(refused(side, side, bytes + 1));
  CHECK_FALSE(refused(widest, side, 1000));
  CHECK_FALSE(refused(side, widest, 1000));
  CHECK(refused(widest + 1, side, 1000));
  CHECK(refused(side, widest + 1, 1000));
  CHECK(limits["min_ratio"].get<double>() == doctest::Approx(1 / ratio));
}

TEST_CASE("every code of the service means the same to the client in each dialect of errors") {
  using api::Refusal;
  std::map<int, Refusal> meanings = {
      {1302, Refusal::rate_limited}, {1303, Refusal::rate_limited}, {5000, Refusal::unavailable},
      {5001, Refusal::unavailable},  {5002, Refusal::unavailable},  {1003, Refusal::clock},
      {1004, Refusal::clock},        {1200, Refusal::unnamed},      {1201, Refusal::unnamed}};
  for (const sim::Dialect& dialect : sim::dialects()) {
    if (dialect.mix != nullptr) continue;
    for (const auto& [code, row] : sim::contract()["errors"].items()) {
      const std::string what = std::string(dialect.name) + " " + code;
      CAPTURE(what);
      const sim::Refusal refusal = sim::refusal(std::stoi(code));
      const sim::Answer answer = sim::error_answer(dialect, refusal, "a-request");
      const api::Answer read = api::decode_create(answer.status, answer.body);
      CHECK_FALSE(read.error.message.empty());
      auto meaning = meanings.count(refusal.code) ? meanings[refusal.code] : Refusal::definite;
      // This proxy drops the code, and their words are not those it knows.
      if (std::string(dialect.name) == "newapi" && refusal.code / 2 == 650)
        meaning = Refusal::unnamed;
      if (dialect.proxy_errors && refusal.http == 401) meaning = Refusal::definite;
      if (dialect.proxy_errors && refusal.http == 429) meaning = Refusal::rate_limited;
      CHECK(read.refusal == meaning);
      if (!dialect.proxy_errors) CHECK(read.error.code == code);
    }
  }
}

}  // namespace kling::engine::testing
