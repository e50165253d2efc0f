// The rules that cross fields. Every rule reads a normalized request, trusts no type, and is not
// asked when a field it judges was put into `extra`. Pure; any thread.
#pragma once

#include "api/capabilities.h"
#include "api/text.h"

namespace kling::api {

// In the order of an endpoint's findings: what most endpoints check, what is their own, and
// camera, sound and shots.
std::vector<Check> first_checks();
std::vector<Check> picture_checks();
std::vector<Check> omni_checks();
std::vector<Check> last_checks();

/// Bits of Check::endpoints, in the order of the table.
enum : unsigned { kText = 1, kImage = 2, kMulti = 4, kOmni = 8, kAll = 15 };

using Verdict = std::optional<Finding>;

/// The check's id is filled in by check().
inline Finding error(std::string field, std::string message, std::string hint) {
  return {Finding::Level::error, "", std::move(field), std::move(message), std::move(hint)};
}
inline Finding warning(std::string field, std::string message, std::string hint) {
  return {Finding::Level::warning, "", std::move(field), std::move(message), std::move(hint)};
}

/// When `broken` holds, `finding` is what there is to say.
Check rule(unsigned endpoints, const char* id, const char* sentence, const char* judged,
           Finding finding, bool (*broken)(const Request&));
/// When `when` holds (null: when the field is given), model, mode and duration must offer the
/// feature.
Check needs(unsigned endpoints, const char* id, const char* sentence, const char* field,
            Feature feature, bool (*when)(const Request&) = nullptr);

inline bool has_sound(const Request& r) { return effective(r, "sound") == "on"; }
inline bool has_end_frame(const Request& r) {
  return any_item(r, "image_list", "type", "end_frame");
}
inline std::int64_t seconds_of(const Request& r) {
  return whole_number(effective(r, "duration")).value_or(0);
}

}  // namespace kling::api
