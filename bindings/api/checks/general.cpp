#include <algorithm>
#include <regex>

#include "api/checks/checks.h"

namespace kling::api {
namespace {

bool is_multi_shot(const Request& r) {
  const Json* value = given(r, "multi_shot");
  return value != nullptr && *value == true;
}

Verdict some_picture(const Request& r) {
  if (given(r, "image")) return {};
  if (given(r, "image_tail"))
    return warning("image", "image is missing; CometAPI's documents require it",
                   "give image too, unless only the last frame matters");
  return error("image", "image is missing",
               "give image = a path, a URL or clip:last_frame() (or image_tail)");
}

Verdict some_prompt(const Request& r) {
  const Json* prompt = given(r, "prompt");
  if ((prompt && !blank(*prompt)) || (is_multi_shot(r) && effective(r, "shot_type") == "customize"))
    return {};
  const auto find = r.endpoint == "image2video" ? warning : error;
  return find("prompt", "prompt is missing",
              "describe the shot, for example prompt = \"A red kite over a beach\"");
}

Verdict model_offer(const Request& r) {
  const std::string model = effective(r, "model_name");
  const std::string mode = effective(r, "mode");
  const Feature generation = feature_of(r.endpoint);
  const Offer* offer = find_offer(generation, model);
  if (offer == nullptr) return {};  // the row's list of models speaks
  const std::int64_t seconds = seconds_of(r);
  const bool any_length = edits_video(r) || seconds < 3 || seconds > 15;
  const bool has_mode = offer->has_mode(mode);
  if (has_mode && (any_length || offer->has_seconds(seconds))) return {};
  std::string hint = "offered: " + offer->text();
  for (const std::string& name : models_of(generation)) {
    const Offer* other = find_offer(generation, name);
    if (is_retired(name) || !other->has_mode(mode) || !(any_length || other->has_seconds(seconds)))
      continue;
    hint += ", " + other->text();
    break;
  }
  if (!has_mode) return error("mode", model + " has no mode " + excerpt(mode, 20), hint);
  return error("duration", model + " makes no clips of " + std::to_string(seconds) + " s", hint);
}

Verdict retired_model(const Request& r) {
  const std::string model = effective(r, "model_name");
  if (!is_retired(model)) return {};
  const Feature generation = feature_of(r.endpoint);
  return warning("model_name", model + " was " + kRetired,
                 generation == Feature::multi_image2video
                     ? "no other model is documented here; the living way is omni with the "
                       "same image_list"
                     : "current: " + offers_text(generation, generation));
}

Verdict callback_form(const Request& r) {
  const std::string url = effective(r, "callback_url");
  if (url.empty() || lower(url).starts_with("https://")) return {};
  const std::string hint = "give an address that starts with https://";
  if (is_url(url)) return warning("callback_url", "callback_url is not https", hint);
  return error("callback_url", "callback_url is no http address", hint);
}

Verdict cfg_scale_model(const Request& r) {
  const std::string model = effective(r, "model_name");
  if (!given(r, "cfg_scale") || !model.starts_with("kling-v2")) return {};
  return warning("cfg_scale", "cfg_scale is not supported by " + excerpt(model, 40),
                 "leave it out");
}

Verdict camera_shape(const Request& r) {
  const Json* camera = given(r, "camera_control");
  if (camera == nullptr) return {};
  const std::string field = "camera_control.config";
  const Json& config = member(*camera, "config");
  if (scalar_text(member(*camera, "type")) != "simple") {
    if (absent(config)) return {};
    return error(field, field + " goes with type simple only",
                 "leave it out, or write type = \"simple\"");
  }
  const std::string example = "for example config = { zoom = 5 }";
  if (absent(config)) return error(field, "camera_control of type simple needs a config", example);
  const auto moving = std::count_if(config.begin(), config.end(), [](const Json& value) {
    return value.is_number() && value != 0;
  });
  if (moving > 1)
    return error(field,
                 field + " has " + std::to_string(moving) +
                     " values that are not zero; the limit is exactly 1",
                 "keep one movement");
  if (moving == 1) return {};
  return warning(field, field + " moves nothing; one value has to be other than zero", example);
}

Verdict shots_off(const Request& r) {
  if (is_multi_shot(r)) return {};
  for (const char* field : {"multi_prompt", "shot_type"})
    if (given(r, field))
      return error(field, std::string(field) + " counts only with multi_shot",
                   "add multi_shot = true");
  return {};
}

Verdict shots_order(const Request& r) {
  const Json* shots = given(r, "multi_prompt");
  if (shots == nullptr || !shots->is_array()) return {};
  for (std::size_t i = 0; i < shots->size(); ++i) {
    const std::string wanted = std::to_string(i + 1);
    const std::string index = scalar_text(member((*shots)[i], "index"));
    if (index == wanted) continue;
    const std::string field = "multi_prompt[" + wanted + "].index";
    return error(field,
                 field + " is " + (index.empty() ? "missing" : excerpt(index, 20)) +
                     "; it has to be " + wanted,
                 "leave index out of every shot, and it is filled in");
  }
  return {};
}

Verdict shots_sum(const Request& r) {
  const std::int64_t sum = shots_seconds(r);
  if (!has_own_shots(r) || edits_video(r) || sum == seconds_of(r)) return {};
  return error("duration",
               "the shots of multi_prompt last " + std::to_string(sum) + " s, but duration is " +
                   effective(r, "duration"),
               "leave duration out, and the sum is sent");
}

// ---- References in prompts ----

struct Reference {
  std::string text;  ///< between the brackets
  std::string kind;  ///< "image", …; empty: not a reference the service knows
  std::int64_t number = 0;
};

struct Referable {
  const char* name;
  const char* list;
};
constexpr Referable kReferables[] = {{"image", "image_list"},
                                     {"element", "element_list"},
                                     {"video", "video_list"},
                                     {"voice", "voice_list"}};

void scan(std::string_view prompt, std::vector<Reference>& references) {
  for (std::size_t at = prompt.find("<<<"); at != std::string_view::npos;
       at = prompt.find("<<<", at + 3)) {
    const std::size_t end = prompt.find(">>>", at);
    if (end == std::string_view::npos) return;
    Reference reference;
    reference.text = prompt.substr(at + 3, end - at - 3);
    const std::size_t line = reference.text.rfind('_');
    if (line != std::string::npos) {
      const auto number = whole_number(std::string_view(reference.text).substr(line + 1));
      for (const Referable& kind : kReferables)
        if (number && reference.text.substr(0, line) == kind.name) reference.kind = kind.name;
      reference.number = number.value_or(0);
    }
    references.push_back(std::move(reference));
  }
}

std::vector<Reference> references_of(const Request& request) {
  std::vector<Reference> references;
  const auto scan_text = [&](const Json& text) {
    if (text.is_string()) scan(text.get_ref<const std::string&>(), references);
  };
  if (!overridden(request, "prompt")) scan_text(member(request.fields, "prompt"));
  if (!overridden(request, "multi_prompt"))
    for (const Json& shot : member(request.fields, "multi_prompt"))
      scan_text(member(shot, "prompt"));
  return references;
}

bool takes(const Request& request, std::string_view field) {
  return std::ranges::any_of(find_endpoint(request.endpoint)->params,
                             [&](const Param& param) { return param.name == field; });
}

Verdict reference_targets(const Request& request) {
  const std::vector<Reference> references = references_of(request);
  std::vector<std::string> complaints;
  std::vector<std::string> lists;
  bool known = true;
  for (const Referable& kind : kReferables) {
    std::size_t count = count_of(request, kind.list);
    if (std::string_view(kind.name) == "image")
      count += (given(request, "image") ? 1u : 0u) + (given(request, "image_tail") ? 1u : 0u);
    std::vector<std::string> missing;
    for (const Reference& reference : references) {
      const std::string text = "<<<" + reference.text + ">>>";
      if (reference.kind == kind.name &&
          (reference.number < 1 || reference.number > static_cast<std::int64_t>(count)) &&
          std::ranges::find(missing, text) == missing.end())
        missing.push_back(text);
    }
    if (missing.empty()) continue;
    known = known && takes(request, kind.list);
    complaints.push_back(joined(missing, ", ") + ", but " + std::to_string(count) + " " +
                         kind.name + (count == 1 ? " is" : "s are") + " given");
    lists.push_back(std::string(kind.list) + " = { … }");
  }
  if (complaints.empty()) return {};
  return error("prompt", "prompt refers to " + joined(complaints, "; and to "),
               (known ? "numbers start at 1; give " : "kling.omni takes ") +
                   joined(lists, " and ") + " (or put them into extra, which is sent unchecked)");
}

/// An address is another one in each run, which would pay for the clip again.
Verdict prompt_value(const Request& request) {
  std::string text;
  for (const char* field : {"prompt", "negative_prompt"})
    text += scalar_text(member(request.fields, field)).substr(0, 5000) + "\n";
  for (const Json& shot : member(request.fields, "multi_prompt"))
    text += scalar_text(member(shot, "prompt")).substr(0, 5000) + "\n";
  // A pattern is made only for a prompt that may hold it, here and below: few do.
  if (text.find("0x") == text.npos && text.find("kling:") == text.npos) return {};
  static const std::regex& value = *new std::regex(
      R"(\b(table|function|userdata|thread|builtin): 0x[0-9a-f]+|\b(Job|Clip|Image) [^\n]{0,60}kling:\w+/|\b(file) \(0x[0-9a-f]+)");
  std::smatch match;
  if (!std::regex_search(text, match, value)) return {};
  return error("prompt",
               "a " + match[1].str() + match[2].str() + match[3].str() +
                   " stands in the prompt, and is no text",
               "take a text of it, such as place[1] or place.name");
}

Verdict prompt_hole(const Request& request) {
  const std::string prompt = scalar_text(member(request.fields, "prompt")).substr(0, 5000);
  if (prompt.find_first_of("${%") == prompt.npos && prompt.find("nil") == prompt.npos) return {};
  static const std::regex& hole = *new std::regex(
      R"(\$\{\w+\}|\{\{ ?\w+ ?\}\}|\{(?!(image|element|video|voice)[_ ]?[0-9])\w*\}|%[sd](?!\w)|\B\$[a-z]\w*|\bnil\b)");
  std::smatch match;
  if (!std::regex_search(prompt, match, hole)) return {};
  return warning("prompt", match.str() + " stands in the prompt as it is",
                 "Lua fills in with \"Shot \" .. n, or (\"Shot %d\"):format(n)");
}

Verdict reference_spelling(const Request& request) {
  for (const Reference& reference : references_of(request))
    if (reference.kind.empty())
      return warning("prompt",
                     "<<<" + excerpt(reference.text, 40) + ">>> is no reference the service knows",
                     "write <<<image_1>>>, <<<element_1>>>, <<<video_1>>> or <<<voice_1>>>");
  const std::string prompt = scalar_text(member(request.fields, "prompt")).substr(0, 5000);
  if (prompt.find_first_of("<@[{") == prompt.npos) return {};
  // As other services have them: @Image1, <<image_1>>.
  static const std::regex& foreign = *new std::regex(
      "(^|[^<])((<{1,2}|@|\\[|\\{)(image|element|video|voice)[_ ]?([0-9]{1,3})[>\\]}]*)",
      std::regex::icase);
  std::smatch match;
  if (!std::regex_search(prompt, match, foreign)) return {};
  const std::string kind = lower(match[4].str());
  return warning("prompt", match[2].str() + " is no reference the service knows",
                 takes(request, kind + "_list")
                     ? "write <<<" + kind + "_" + match[5].str() + ">>>"
                     : "kling.omni refers to what it is given: " + kind + "_list = { … }, and <<<" +
                           kind + "_1>>> in the prompt");
}

}  // namespace

Check rule(unsigned endpoints, const char* id, const char* sentence, const char* judged,
           Finding finding, bool (*broken)(const Request&)) {
  return {endpoints, id, sentence, judged,
          [=](const Request& r) -> Verdict { return broken(r) ? Verdict(finding) : std::nullopt; }};
}

Check needs(unsigned endpoints, const char* id, const char* sentence, const char* field,
            Feature feature, bool (*when)(const Request&)) {
  return {endpoints, id, sentence, std::string(field) + " model_name mode duration",
          [=](const Request& r) -> Verdict {
            if (when == nullptr ? given(r, field) == nullptr : !when(r)) return {};
            const std::string model = effective(r, "model_name");
            const std::string mode = effective(r, "mode");
            const Offer* offer = find_offer(feature, model);
            if (offer != nullptr && offer->has_mode(mode) &&
                (edits_video(r) || seconds_of(r) == 0 || offer->has_seconds(seconds_of(r))))
              return {};
            return error(field,
                         std::string(field) + " does not work with " + excerpt(model, 40) +
                             ", mode " + excerpt(mode, 20) + ", " + std::to_string(seconds_of(r)) +
                             " s",
                         "it works with " + offers_text(feature, feature_of(r.endpoint)));
          }};
}

std::vector<Check> first_checks() {
  return {
      {kImage, "image.required", "image or image_tail is needed.", "image image_tail",
       some_picture},
      {kText | kImage | kOmni, "prompt.required",
       "A prompt is needed, unless shot_type is customize.",
       "prompt multi_shot shot_type multi_prompt", some_prompt},
      {kAll, "model.offer", "The model offers the mode and the duration.",
       "model_name mode duration", model_offer},
      {kAll, "model.retired", "Retired models may be refused.", "model_name", retired_model},
      {kAll, "callback_url.form", "callback_url is an https address.", "callback_url",
       callback_form},
      {kAll, "prompt.references", "References in the prompt point at something that is given.", "",
       reference_targets},
      {kAll, "prompt.reference_form", "References are spelt as the service knows them.", "",
       reference_spelling},
      {kAll, "prompt.value", "No table, function, Job or Clip stands in the prompt.", "",
       prompt_value},
      {kAll, "prompt.hole", "No place in the prompt is left to be filled in.", "", prompt_hole},
      {kText | kImage, "cfg_scale.model", "kling-v2 models do not support cfg_scale.",
       "cfg_scale model_name", cfg_scale_model},
  };
}

std::vector<Check> last_checks() {
  return {
      {kText | kImage, "camera_control.shape",
       "Type simple has exactly one value that is not zero, the presets have no config.",
       "camera_control", camera_shape},
      needs(kText, "camera_control.model", "camera_control works with one model, mode and length.",
            "camera_control", Feature::camera_text),
      needs(kImage, "camera_control.model", "camera_control works with one model, mode and length.",
            "camera_control", Feature::camera_image),
      needs(kText | kImage, "sound.model", "Sound needs a model and mode that have it.", "sound",
            Feature::sound, has_sound),
      rule(kText | kImage, "voice_list.sound", "voice_list needs sound = on.", "voice_list sound",
           error("voice_list", "voice_list needs sound", "add sound = \"on\""),
           [](const Request& r) { return given(r, "voice_list") && !has_sound(r); }),
      needs(kText | kImage, "voice_list.model", "Named voices need kling-v2-6 in mode pro.",
            "voice_list", Feature::voices),
      {kText | kImage | kOmni, "shots.off", "shot_type and multi_prompt need multi_shot = true.",
       "multi_shot shot_type multi_prompt", shots_off},
      rule(kText | kImage | kOmni, "shots.type", "multi_shot needs a shot_type.",
           "multi_shot shot_type",
           error("shot_type", "multi_shot needs a shot_type",
                 "add shot_type = \"customize\" and multi_prompt, or \"intelligence\" and prompt"),
           [](const Request& r) { return is_multi_shot(r) && !given(r, "shot_type"); }),
      rule(kText | kImage | kOmni, "shots.prompts", "shot_type customize needs multi_prompt.",
           "multi_shot shot_type multi_prompt",
           error("multi_prompt", "shot_type customize needs multi_prompt",
                 "add multi_prompt = { { prompt = …, duration = 2 }, … }"),
           [](const Request& r) {
             return is_multi_shot(r) && effective(r, "shot_type") == "customize" &&
                    !given(r, "multi_prompt");
           }),
      rule(kText | kImage | kOmni, "shots.prompt", "With shots of its own, prompt is ignored.",
           "multi_shot shot_type multi_prompt prompt",
           warning("prompt", "prompt is ignored beside multi_prompt", "leave it out"),
           [](const Request& r) { return has_own_shots(r) && given(r, "prompt"); }),
      {kText | kImage | kOmni, "shots.order", "Shots are numbered 1, 2, 3, … without gaps.",
       "multi_prompt", shots_order},
      {kText | kImage | kOmni, "shots.sum", "The shots' lengths add up to duration.",
       "multi_prompt duration", shots_sum},
      needs(kText | kImage | kOmni, "shots.model",
            "Several shots in one clip need kling-v3 or kling-v3-omni.", "multi_shot",
            Feature::multi_shot, is_multi_shot),
      rule(kOmni, "shots.end_frame", "multi_shot excludes an end frame.", "multi_shot image_list",
           error("image_list", "multi_shot takes no end frame with omni",
                 "leave out one of the two, or take image2video with kling-v3"),
           [](const Request& r) { return is_multi_shot(r) && has_end_frame(r); }),
  };
}

}  // namespace kling::api
