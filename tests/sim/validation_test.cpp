// What the service refuses at once, and what it accepts and fails later.
#include "base/files.h"
#include "fixture.h"
#include "sim/contract.h"
#include "sim/pictures.h"

namespace kling::sim::testing {
namespace {

/// A PNG's head with this size: all that is looked at before a clip is drawn.
std::string png(int width, int height) {
  std::string data("\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16);
  for (const int side : {width, height}) {
    for (int shift = 24; shift >= 0; shift -= 8) data += static_cast<char>(side >> shift);
  }
  return base64_encode(data + std::string(8, '\0'));
}

Json with(Json body, const Json& more) {
  body.update(more);
  return body;
}

const Json kImage = {{"model_name", "kling-v2-6"}, {"image", png(1280, 720)}};
const Json kOmniStd = {{"prompt", "A storm"}, {"aspect_ratio", "16:9"}, {"mode", "std"}};
const Json kMulti = {{"prompt", "They left"}, {"image_list", {{{"image", png(640, 640)}}}}};
const Json kVideo = {{{"video_url", "https://example.com/a.mp4"}}};

struct Case {
  const char* kind;
  Json body;
  const char* message;  // "" when it is accepted
};

}  // namespace

TEST_CASE("requests are refused with the documented code and message or accepted") {
  const Json camera = {{"type", "simple"}, {"config", {{"zoom", 5}}}};
  const Json shots = {{{"index", 1}, {"prompt", "a"}, {"duration", "2"}},
                      {{"index", 2}, {"prompt", "b"}, {"duration", "3"}}};
  const Json customized = {{"model_name", "kling-v3"},
                           {"multi_shot", true},
                           {"shot_type", "customize"},
                           {"multi_prompt", shots}};
  const std::vector<Case> cases = {
      {"text2video", with(kShot, {{"duration", 5}}), "duration value '5' is invalid"},
      {"text2video", with(kShot, {{"duration", "99"}}), "duration value '99' is invalid"},
      {"text2video", with(kShot, {{"duration", "3"}}), "duration value '3' is invalid"},
      {"text2video", with(kShot, {{"duration", "05"}}), "duration value '05' is invalid"},
      {"text2video", with(kShot, {{"duration", "10"}}), ""},
      {"text2video", {{"prompt", ""}}, "prompt can not be null"},
      {"text2video", with(kShot, {{"prompt", std::string(2501, 'a')}}), "prompt is too long"},
      {"text2video", with(kShot, {{"prompt", 7}}), "prompt has an invalid type"},
      {"text2video", with(kShot, {{"aspect_ratio", "4:3"}}), "aspect_ratio value is invalid"},
      {"text2video", with(kShot, {{"cfg_scale", 1.5}}), "cfg_scale value is invalid"},
      {"text2video", with(kShot, {{"mode", "4k"}}), "mode value is invalid"},
      {"text2video", with(kShot, {{"mode", "4k"}, {"model_name", "kling-v3"}}), ""},
      {"omni-video", with(kOmniStd, {{"mode", "4k"}, {"model_name", "kling-v3-omni"}}), ""},
      {"omni-video", with(kOmniStd, {{"mode", "4k"}}), "mode value is invalid"},
      {"multi-image2video", with(kMulti, {{"mode", "4k"}}), "mode value is invalid"},
      {"text2video", with(kShot, {{"model_name", "kling-v2-1"}}), "model is not supported"},
      {"text2video", with(kShot, {{"sound", "on"}}),
       "sound is not supported by the current model and mode"},
      {"text2video", with(kShot, {{"sound", "on"}, {"mode", "pro"}}), ""},
      {"text2video", with(kShot, {{"unknown_field", 1}, {"callback_url", ""}}), ""},
      {"text2video", with(kShot, {{"camera_control", camera}}),
       "camera_control is only supported in std mode with 5s duration and kling-v1"},
      {"text2video", {{"prompt", "x"}, {"camera_control", camera}}, ""},
      {"text2video",
       {{"prompt", "x"}, {"camera_control", {{"type", "simple"}}}},
       "camera_control config is invalid"},
      {"text2video", customized, ""},
      {"text2video", with(customized, {{"duration", "10"}}), "multi_prompt is invalid"},
      {"text2video", with(kShot, {{"shot_type", "customize"}}),
       "shot_type and multi_prompt require multi_shot"},
      {"image2video", {{"prompt", "x"}}, "image can not be null"},
      {"image2video", with(kImage, {{"image", "data:image/png;base64," + png(640, 640)}}),
       "File is not in a valid base64 format"},
      {"image2video", with(kImage, {{"image", base64_encode("no picture")}}),
       "File format is invalid"},
      {"image2video", with(kImage, {{"image_tail", png(1280, 720)}}),
       "model/mode/duration(kling-v2-6/std/5) is not supported with image_tail"},
      {"image2video", with(kImage, {{"image_tail", png(1280, 720)}, {"mode", "pro"}}), ""},
      {"image2video",
       with(kImage, {{"image_tail", png(640, 640)}, {"model_name", "kling-v2-master"}}),
       "Image tail is not supported by the current model"},
      {"image2video", with(kImage, {{"static_mask", png(1280, 720)}}),
       "static_mask and dynamic_masks are not supported by the current model"},
      {"multi-image2video", kMulti, ""},
      {"multi-image2video", {{"prompt", "x"}}, "image_list can not be null"},
      {"multi-image2video",
       {{"prompt", "x"}, {"image_list", Json::array({kImage, kImage, kImage, kImage, kImage})}},
       "image_list has an invalid number of items"},
      {"omni-video", kOmniStd, ""},
      {"omni-video", {{"prompt", "x"}}, "aspect_ratio can not be null"},
      {"omni-video", with(kOmniStd, {{"duration", "7"}}),
       "Duration only supports 5 or 10 seconds when no refer_image is provided"},
      {"omni-video",
       with(kOmniStd, {{"duration", "7"}, {"image_list", {{{"image_url", png(640, 640)}}}}}), ""},
      {"omni-video", with(kOmniStd, {{"prompt", "<<<image_1>>>"}}),
       "prompt refers to image_1 which is not in the request"},
      {"omni-video",
       with(kOmniStd, {{"model_name", "kling-v3-omni"}, {"sound", "on"}, {"video_list", kVideo}}),
       "sound on is not supported with video input"},
      {"omni-video", with(kOmniStd, {{"video_list", kVideo}}), ""},
      {"omni-video", with(kOmniStd, {{"video_list", kVideo}, {"duration", "15"}}), ""},
      {"omni-video",
       with(kOmniStd, {{"image_list", {{{"image_url", png(640, 640)}, {"type", "end_frame"}}}}}),
       "end_frame is not supported with these images"},
  };
  Fixture sim;
  for (const Case& row : cases) {
    CAPTURE(row.kind);
    CAPTURE(row.body.dump().substr(0, 300));
    const auto answer = sim.create(row.kind, row.body);
    REQUIRE(answer);
    const Json body = Json::parse(answer->body);
    CHECK(body["message"] == (*row.message == '\0' ? "SUCCEED" : row.message));
    CHECK(answer->status == (*row.message == '\0' ? 200 : 400));
    CHECK(body["code"] == (*row.message == '\0' ? 0 : 1201));
  }
  CHECK(Fixture::body(sim.post("/v1/videos/text2video", "{]"), 400)["code"] == 1200);
  const Json unknown = with(kShot, {{"model_name", "kling-v99"}});
  CHECK(Fixture::body(sim.create("text2video", unknown), 404)["code"] == 1203);
}

TEST_CASE("bad pictures are accepted and fail later and are not charged") {
  const std::vector<std::pair<Json, std::string>> rows = {
      {with(kImage, {{"image", png(200, 200)}}), "Image pixel is invalid"},
      {with(kImage, {{"image", png(3000, 400)}}), "Image pixel is invalid"},
      {{{"image", png(640, 640)}, {"static_mask", png(320, 640)}},
       "Mask size does not match the image"}};
  Fixture sim;
  for (const auto& [body, reason] : rows) {
    const std::string id = sim.accepted("image2video", body);
    CHECK(sim.simulator->counters().charged == 1);
    sim.clock->advance(200'000);
    const Json data = Fixture::body(sim.query("image2video", id))["data"];
    CHECK(data["task_status"] == "failed");
    CHECK(data["task_status_msg"] == reason);
    CHECK(data["final_unit_deduction"] == "0");
    CHECK(sim.simulator->counters().charged == 0);
  }
}

TEST_CASE("prices follow the table") {
  const std::vector<std::tuple<const char*, Json, double>> rows = {
      {"text2video", with(kShot, {{"duration", "10"}, {"mode", "pro"}}), 5},
      {"text2video", with(kShot, {{"sound", "on"}, {"mode", "pro"}}), 5},
      {"text2video", {{"prompt", "x"}, {"model_name", "kling-v3"}, {"duration", "7"}}, 4.2},
      {"text2video", with(kShot, {{"model_name", "kling-v3"}, {"mode", "4k"}}), 15},
      {"multi-image2video", kMulti, 2},
      {"omni-video", kOmniStd, 3},
      {"omni-video", with(kOmniStd, {{"video_list", kVideo}}), 4.5}};
  for (const auto& [kind, body, units] : rows) {
    Fixture sim;
    sim.accepted(kind, body);
    CHECK(sim.simulator->counters().charged_units == doctest::Approx(units));
  }
}

TEST_CASE("every model of the contract has a price and every endpoint a default model") {
  const auto& prices = contract()["prices"];
  for (const auto& [model, about] : contract()["models"].items()) {
    CAPTURE(model);
    for (const char* mode : {"/std", "/pro"}) {
      CHECK(
          (prices["per_second"].contains(model + mode) || prices["per_5s"].contains(model + mode)));
    }
  }
  for (const auto& [kind, about] : contract()["endpoints"].items()) {
    const std::string model = about["defaults"]["model_name"];
    CHECK(contract()["models"].contains(model));
    CHECK(about["rules"].size() == about["fields"].size());
    for (const auto& [name, rule] : about["rules"].items()) CHECK(rule.contains("type"));
  }
}

}  // namespace kling::sim::testing
