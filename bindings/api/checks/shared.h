// Rules that several endpoints share, and the words they are written with. Pure; any thread.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "api/capabilities.h"
#include "api/endpoint.h"
#include "api/fields.h"
#include "api/text.h"

namespace kling::api {

using Verdict = std::optional<Finding>;

/// The check's id is filled in by check().
Finding error(std::string field, std::string message, std::string hint);
Finding warning(std::string field, std::string message, std::string hint);

/// A check that is silent when one of the fields it judges is in `extra`.
Check rule(std::string id, std::string sentence, std::vector<std::string> judged,
           std::function<Verdict(const Request&)> run);
/// When `when` holds, model, mode and duration must offer the feature.
Check feature_rule(std::string id, std::string sentence, const std::string& field, Feature feature,
                   std::function<bool(const Request&)> when);
/// A given field is a warning, because only one of the service's two documents lists it here.
Check one_document_rule(const std::string& field);

/// What every endpoint checks: model, mode and duration; retirement; references; callback_url.
std::vector<Check> common_checks(Feature generation);
/// multi_shot, shot_type, multi_prompt.
std::vector<Check> shot_checks();
/// sound and voice_list.
std::vector<Check> sound_checks();
/// The shape of camera_control, and where it works.
std::vector<Check> camera_checks(Feature feature);
Check cfg_scale_check();
/// A prompt is needed, unless the shots are written one by one.
Check prompt_check(Finding::Level level);
/// Masks have the size of the picture (the field, or the first of a list), where both are local.
Check mask_size_check(const std::string& picture_field);

void append(std::vector<Check>& checks, std::vector<Check> more);

}  // namespace kling::api
