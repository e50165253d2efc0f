#include "api/capabilities.h"

#include <algorithm>
#include <array>

#include "api/text.h"

namespace kling::api {
namespace {

constexpr std::uint32_t seconds(int from, int to) {
  std::uint32_t mask = 0;
  for (int i = from; i <= to; ++i) mask |= 1u << i;
  return mask;
}
constexpr std::uint32_t kFive = seconds(5, 5);
constexpr std::uint32_t kFiveOrTen = seconds(5, 5) | seconds(10, 10);
constexpr std::uint32_t kThreeToTen = seconds(3, 10);
constexpr std::uint32_t kThreeToFifteen = seconds(3, 15);

constexpr unsigned bit(Feature feature) { return 1u << unsigned(feature); }
template <class... Features>
constexpr unsigned all(Features... features) {
  return (bit(features) | ...);
}

namespace rows {
using enum Feature;
constexpr Offer kOffers[] = {
    {all(text2video, image2video), "kling-v2-6", "std pro", kFiveOrTen},
    {all(text2video, image2video), "kling-v2-5-turbo", "std pro", kFiveOrTen},
    {all(text2video, image2video, end_frame, sound, multi_shot, elements), "kling-v3", "std pro 4k",
     kThreeToFifteen},
    {all(image2video), "kling-v2-1", "std pro", kFiveOrTen},
    {all(text2video, image2video), "kling-v2-1-master", "", kFiveOrTen},
    {all(text2video, image2video), "kling-v2-master", "", kFiveOrTen},
    {all(text2video, image2video, multi_image2video), "kling-v1-6", "std pro", kFiveOrTen},
    {all(image2video), "kling-v1-5", "std pro", kFiveOrTen},
    {all(text2video, image2video), "kling-v1", "std pro", kFiveOrTen},
    {all(omni), "kling-video-o1", "std pro", kThreeToTen},
    {all(omni, sound, multi_shot), "kling-v3-omni", "std pro 4k", kThreeToFifteen},

    {all(end_frame, sound, voices), "kling-v2-6", "pro", kFiveOrTen},
    {all(end_frame), "kling-v2-5-turbo", "pro", kFiveOrTen},
    {all(end_frame), "kling-v2-1", "pro", kFiveOrTen},
    {all(end_frame, end_frame_alone), "kling-v1-6", "pro", kFiveOrTen},
    {all(end_frame, end_frame_alone), "kling-v1-5", "pro", kFiveOrTen},
    {all(end_frame, motion_brush), "kling-v1", "std pro", kFive},
    {all(motion_brush, camera_image), "kling-v1-5", "pro", kFive},
    {all(camera_text), "kling-v1", "std", kFive},
};
}  // namespace rows
using rows::kOffers;

constexpr std::array<std::string_view, 6> kRetiredModels = {
    "kling-v1", "kling-v1-5", "kling-v1-6", "kling-v2-master", "kling-v2-1", "kling-v2-1-master"};

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

bool Offer::has_mode(std::string_view mode) const { return modes.empty() || has_word(modes, mode); }

bool Offer::has_seconds(std::int64_t count) const {
  return count >= 0 && count < 32 && (seconds >> count & 1u) != 0;
}

std::string Offer::text() const {
  std::string words(modes);
  for (std::size_t i = words.find(' '); i != std::string::npos; i = words.find(' ', i + 4))
    words.replace(i, 1, " or ");
  const char* const length = seconds == kFive         ? "5 s"
                             : seconds == kFiveOrTen  ? "5 or 10 s"
                             : seconds == kThreeToTen ? "3 to 10 s"
                                                      : "3 to 15 s";
  return std::string(model) + " (" + (words.empty() ? "" : "mode " + words + "; ") + length +
         (is_retired(model) ? std::string("; ") + kRetired : "") + ")";
}

const Offer* find_offer(Feature feature, std::string_view model) {
  const auto* found = std::ranges::find_if(kOffers, [&](const Offer& offer) {
    return (offer.features & bit(feature)) != 0 && offer.model == model;
  });
  return found == std::end(kOffers) ? nullptr : found;
}

std::vector<std::string> models_of(Feature feature) {
  std::vector<std::string> models;
  for (const Offer& offer : kOffers)
    if ((offer.features & bit(feature)) != 0) models.emplace_back(offer.model);
  return models;
}

std::string offers_text(Feature feature, Feature generation) {
  std::vector<std::string> current, retired;
  for (const Offer& offer : kOffers) {
    if ((offer.features & bit(feature)) == 0 || find_offer(generation, offer.model) == nullptr)
      continue;
    (is_retired(offer.model) ? retired : current).push_back(offer.text());
  }
  return joined(current.empty() ? retired : current, ", ");
}

Feature feature_of(std::string_view endpoint) {
  if (endpoint == "image2video") return Feature::image2video;
  if (endpoint == "multi_image2video") return Feature::multi_image2video;
  return endpoint == "omni" ? Feature::omni : Feature::text2video;
}

Request as_draft(const Endpoint& endpoint, Request request) {
  const Offer* offer = find_offer(feature_of(endpoint.name), effective(request, "model_name"));
  if (offer == nullptr) return request;
  const auto errors = [&] {
    return std::ranges::count(check(endpoint, request), Finding::Level::error, &Finding::level);
  };
  const auto before = errors();
  const auto changes = [&](const char* field, std::string value) {
    if (const std::string now = effective(request, field); now.empty() || now == value)
      return false;
    Json fields = request.fields;
    request.fields[field] = std::move(value);
    if (errors() <= before) return true;
    request.fields = std::move(fields);
    return false;
  };
  changes("sound", "off");
  const std::int64_t length = whole_number(effective(request, "duration")).value_or(0);
  for (int count = 1; count < length && !edits_video(request); ++count)
    if (offer->has_seconds(count) && changes("duration", std::to_string(count))) break;
  if (!offer->modes.empty() && offer->has_mode("std")) changes("mode", "std");
  return request;
}

bool is_retired(std::string_view model) {
  return std::ranges::find(kRetiredModels, model) != kRetiredModels.end();
}

std::optional<Estimate> estimate(const Json& body) {
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
  return (factor == 1 ? "" : printed("%.10g of the ", factor)) + "list price of 2026-09";
}

std::string price_source(double factor) {
  return price_basis(factor) +
         " (Kling's public one, 1 unit = US$0.14; CometAPI charges 0.8 or 1 of it: set "
         "price_factor, KLING_PRICE_FACTOR)";
}

}  // namespace kling::api
