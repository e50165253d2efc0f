// Which model does what, in which mode and length (api-contract 4.5-4.8, 4.16; Feb 2026), and what
// it costs. A matrix of facts, not a checker. Immutable; any thread.
#pragma once

#include <cmath>

#include "api/endpoint.h"

namespace kling::api {

enum class Feature {
  text2video,
  image2video,
  multi_image2video,
  omni,
  end_frame,        ///< image and image_tail
  end_frame_alone,  ///< image_tail without image
  motion_brush,     ///< static_mask, dynamic_masks
  camera_text,      ///< camera_control of text2video
  camera_image,     ///< camera_control of image2video
  sound,
  voices,
  multi_shot,
  elements,  ///< element_list of image2video
};

/// One model's offer of features.
struct Offer {
  unsigned features;  ///< a bit for each Feature
  std::string_view model;
  std::string_view modes;  ///< separated by spaces; empty: the model knows no modes, any will do
  std::uint32_t seconds;   ///< bit n set: n seconds are offered

  bool has_mode(std::string_view mode) const;
  bool has_seconds(std::int64_t count) const;
  /// "kling-v1 (std; 5 s; announced as retired on 2026-09-15)"
  std::string text() const;
};

/// Null when the model does not offer it.
const Offer* find_offer(Feature feature, std::string_view model);
std::vector<std::string> models_of(Feature feature);
/// Every offer of the feature by models that also do `generation`, in words; retired models only
/// when there are no others.
std::string offers_text(Feature feature, Feature generation);
/// The feature of an endpoint's own generation, by Lua name.
Feature feature_of(std::string_view endpoint);
/// A request at the least that its model does, silent, short and std, as far as each of them adds
/// no error. `fields` may be a wire body.
Request as_draft(const Endpoint& endpoint, Request request);
bool is_retired(std::string_view model);

inline constexpr const char* kRetired = "announced as retired on 2026-09-15";

struct Estimate {
  double usd = 0;
  double seconds = 0;  ///< of video
};

/// For a wire body (defaults filled in). Nothing when the model is in no price list.
std::optional<Estimate> estimate(const Json& body);
/// What the estimates are, with the date: "list price of 2026-09", or so much of it.
std::string price_basis(double factor);
/// The same, with where it comes from.
std::string price_source(double factor = 1);
/// US$ of one video unit, for `final_unit_deduction`.
inline constexpr double kUsdPerUnit = 0.14;
/// What a sum or product of prices is in decimals: 0.21, not 0.21000000000000002.
inline double decimal(double usd) { return std::round(usd * 1e6) / 1e6; }

}  // namespace kling::api
