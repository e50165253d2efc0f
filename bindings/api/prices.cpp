#include "api/prices.h"

#include <cstdio>

#include "api/text.h"

namespace kling::api {
namespace {

struct Price {
  const char* model;
  const char* mode;             ///< empty: any
  double silent, sound, video;  ///< units; 0: not offered
  bool per_second;              ///< else for each 5 s
};

constexpr Price kPrices[] = {
    {"kling-v3", "std", 0.6, 0.9, 0, true},        {"kling-v3", "pro", 0.8, 1.2, 0, true},
    {"kling-v3", "4k", 3.0, 3.0, 0, true},         {"kling-video-o1", "std", 0.6, 0, 0.9, true},
    {"kling-video-o1", "pro", 0.8, 0, 1.2, true},  {"kling-v3-omni", "std", 0.6, 0.8, 0.9, true},
    {"kling-v3-omni", "pro", 0.8, 1.0, 1.2, true}, {"kling-v3-omni", "4k", 3.0, 3.0, 3.0, true},
    {"kling-v2-6", "std", 1.5, 0, 0, false},       {"kling-v2-6", "pro", 2.5, 5, 0, false},
    {"kling-v2-5-turbo", "std", 1.5, 0, 0, false}, {"kling-v2-5-turbo", "pro", 2.5, 0, 0, false},
    {"kling-v2-master", "", 10, 0, 0, false},      {"kling-v2-1-master", "", 10, 0, 0, false},
    {"kling-v2-1", "std", 2, 0, 0, false},         {"kling-v2-1", "pro", 3.5, 0, 0, false},
    {"kling-v1-6", "std", 2, 0, 0, false},         {"kling-v1-6", "pro", 3.5, 0, 0, false},
    {"kling-v1-5", "std", 2, 0, 0, false},         {"kling-v1-5", "pro", 3.5, 0, 0, false},
    {"kling-v1", "std", 1, 0, 0, false},           {"kling-v1", "pro", 3.5, 0, 0, false},
};
constexpr double kVoices = 1.2;               // a clip with named voices, against one with sound
constexpr double kLongestEditedSeconds = 10;  // an edited video is billed by its own length

}  // namespace

std::optional<Estimate> estimate(const Endpoint&, const Json& body) {
  const std::string model = scalar_text(member(body, "model_name"));
  const std::string mode = scalar_text(member(body, "mode"));
  const bool sound = scalar_text(member(body, "sound")) == "on";
  const bool video = !member(body, "video_list").empty();
  for (const Price& price : kPrices) {
    if (model != price.model || (price.mode[0] != '\0' && mode != price.mode)) continue;
    double units = price.silent;
    if (sound && price.sound > 0) units = price.sound;
    if (sound && !member(body, "voice_list").empty()) units *= kVoices;
    if (video && price.video > 0) units = price.video;
    const auto seconds = whole_number(scalar_text(member(body, "duration")));
    const double length = seconds ? static_cast<double>(*seconds) : kLongestEditedSeconds;
    return Estimate{units * kUsdPerUnit * (price.per_second ? length : length / 5), length};
  }
  return std::nullopt;
}

std::string price_basis(double factor) {
  std::string list = "list price of 2026-09";
  if (factor == 1) return list;
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", factor);
  return std::string(text) + " of the " + list;
}

std::string price_source(double factor) {
  return price_basis(factor) +
         " (Kling's public one, 1 unit = US$0.14; CometAPI charges 0.8 or 1 of it: set "
         "KLING_PRICE_FACTOR)";
}

}  // namespace kling::api
