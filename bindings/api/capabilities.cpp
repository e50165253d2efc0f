#include "api/capabilities.h"

#include <algorithm>
#include <array>
#include <bit>

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

std::string seconds_text(std::uint32_t mask) {
  if (mask == kFive) return "5 s";
  if (mask == kFiveOrTen) return "5 or 10 s";
  return mask == kThreeToTen ? "3 to 10 s" : "3 to 15 s";
}

}  // namespace

bool Offer::has_mode(std::string_view mode) const {
  return modes.empty() ||
         (' ' + std::string(modes) + ' ').find(' ' + std::string(mode) + ' ') != std::string::npos;
}

bool Offer::has_seconds(std::int64_t count) const {
  return count >= 0 && count < 32 && (seconds >> count & 1u) != 0;
}

std::string Offer::text() const {
  std::string words(modes);
  for (std::size_t i = words.find(' '); i != std::string::npos; i = words.find(' ', i + 4))
    words.replace(i, 1, " or ");
  return std::string(model) + " (" + (words.empty() ? "" : "mode " + words + "; ") +
         seconds_text(seconds) + (is_retired(model) ? std::string("; ") + kRetired : "") + ")";
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
  std::string current;
  std::string all;
  for (const Offer& offer : kOffers) {
    if ((offer.features & bit(feature)) == 0 || find_offer(generation, offer.model) == nullptr)
      continue;
    const std::string text = offer.text();
    all += (all.empty() ? "" : ", ") + text;
    if (!is_retired(offer.model)) current += (current.empty() ? "" : ", ") + text;
  }
  return current.empty() ? all : current;
}

Feature feature_of(std::string_view endpoint) {
  if (endpoint == "image2video") return Feature::image2video;
  if (endpoint == "multi_image2video") return Feature::multi_image2video;
  return endpoint == "omni" ? Feature::omni : Feature::text2video;
}

Json as_draft(std::string_view endpoint, std::string_view model, Json fields) {
  const Offer* offer = find_offer(feature_of(endpoint), model);
  if (offer == nullptr || !member(fields, "multi_shot").is_null()) return fields;
  if (!offer->modes.empty() && offer->has_mode("std")) fields["mode"] = "std";
  if (offer->seconds != 0 && member(fields, "video_list").empty())
    fields["duration"] = std::to_string(std::countr_zero(offer->seconds));
  if (fields.contains("sound") && member(fields, "voice_list").empty()) fields["sound"] = "off";
  return fields;
}

bool is_retired(std::string_view model) {
  return std::ranges::find(kRetiredModels, model) != kRetiredModels.end();
}

}  // namespace kling::api
