#include "api/checks/shared.h"

#include <algorithm>

#include "api/checks/references.h"

namespace kling::api {

Finding error(std::string field, std::string message, std::string hint) {
  return {Finding::Level::error, "", std::move(field), std::move(message), std::move(hint)};
}

Finding warning(std::string field, std::string message, std::string hint) {
  return {Finding::Level::warning, "", std::move(field), std::move(message), std::move(hint)};
}

Check rule(std::string id, std::string sentence, std::vector<std::string> judged,
           std::function<Verdict(const Request&)> run) {
  return {std::move(id), std::move(sentence),
          [judged = std::move(judged), run = std::move(run)](const Request& request) -> Verdict {
            for (const std::string& field : judged)
              if (overridden(request, field)) return std::nullopt;
            return run(request);
          }};
}

void append(std::vector<Check>& checks, std::vector<Check> more) {
  std::move(more.begin(), more.end(), std::back_inserter(checks));
}

namespace {

bool is_on(const Request& request, std::string_view field) {
  return effective(request, field) == "on";
}

bool is_multi_shot(const Request& request) {
  const Json* value = given(request, "multi_shot");
  return value != nullptr && *value == true;
}

std::int64_t seconds_of(const Request& request) {
  return whole_number(effective(request, "duration")).value_or(0);
}

Check offer_check(Feature generation) {
  return rule("model.offer", "The model offers the mode and the duration.",
              {"model_name", "mode", "duration"}, [generation](const Request& r) -> Verdict {
                const std::string model = effective(r, "model_name");
                const std::string mode = effective(r, "mode");
                const Offer* offer = find_offer(generation, model);
                if (offer == nullptr) return std::nullopt;  // the row's list of models speaks
                if (!offer->has_mode(mode))
                  return error("mode", model + " has no mode " + excerpt(mode, 20),
                               "offered: " + offer->text());
                const std::int64_t seconds = seconds_of(r);
                if (edits_video(r) || seconds < 3 || seconds > 15 || offer->has_seconds(seconds))
                  return std::nullopt;
                return error("duration",
                             model + " makes no clips of " + std::to_string(seconds) + " s",
                             "offered: " + offer->text());
              });
}

Check retired_check(Feature generation) {
  return rule("model.retired", "Retired models may be refused.", {"model_name"},
              [generation](const Request& r) -> Verdict {
                const std::string model = effective(r, "model_name");
                if (!is_retired(model)) return std::nullopt;
                return warning("model_name", model + " was " + kRetired,
                               generation == Feature::multi_image2video
                                   ? "no other model is documented here; omni takes pictures too"
                                   : "current: " + offers_text(generation, generation));
              });
}

Check callback_check() {
  return rule("callback_url.form", "callback_url is an https address.", {"callback_url"},
              [](const Request& r) -> Verdict {
                const std::string url = effective(r, "callback_url");
                if (url.empty() || lower(url).starts_with("https://")) return std::nullopt;
                const std::string hint = "give an address that starts with https://";
                if (is_url(url)) return warning("callback_url", "callback_url is not https", hint);
                return error("callback_url", "callback_url is no http address", hint);
              });
}

Check shot_order_check() {
  return rule("shots.order", "Shots are numbered 1, 2, 3, … without gaps.", {"multi_prompt"},
              [](const Request& r) -> Verdict {
                const Json* shots = given(r, "multi_prompt");
                if (shots == nullptr || !shots->is_array()) return std::nullopt;
                for (std::size_t i = 0; i < shots->size(); ++i) {
                  const std::string index = scalar_text(member((*shots)[i], "index"));
                  if (index == std::to_string(i + 1)) continue;
                  const std::string field = "multi_prompt[" + std::to_string(i + 1) + "].index";
                  return error(field,
                               field + " is " + (index.empty() ? "missing" : excerpt(index, 20)) +
                                   "; it has to be " + std::to_string(i + 1),
                               "leave index out of every shot, and it is filled in");
                }
                return std::nullopt;
              });
}

Check shot_sum_check() {
  return rule("shots.sum", "The shots' lengths add up to duration.", {"multi_prompt", "duration"},
              [](const Request& r) -> Verdict {
                if (!has_own_shots(r) || edits_video(r)) return std::nullopt;
                const std::int64_t sum = shots_seconds(r);
                if (sum == seconds_of(r)) return std::nullopt;
                return error("duration",
                             "the shots of multi_prompt last " + std::to_string(sum) +
                                 " s, but duration is " + effective(r, "duration"),
                             "leave duration out, and the sum is sent");
              });
}

}  // namespace

Check feature_rule(std::string id, std::string sentence, const std::string& field, Feature feature,
                   std::function<bool(const Request&)> when) {
  return rule(std::move(id), std::move(sentence), {field, "model_name", "mode", "duration"},
              [field, feature, when = std::move(when)](const Request& r) -> Verdict {
                if (!when(r)) return std::nullopt;
                const std::string model = effective(r, "model_name");
                const Offer* offer = find_offer(feature, model);
                const std::string mode = effective(r, "mode");
                if (offer != nullptr && offer->has_mode(mode) &&
                    (edits_video(r) || offer->has_seconds(seconds_of(r))))
                  return std::nullopt;
                return error(field,
                             field + " does not work with " + excerpt(model, 40) + ", mode " +
                                 excerpt(mode, 20) + ", " + std::to_string(seconds_of(r)) + " s",
                             "it works with " + offers_text(feature, feature_of(r.endpoint)));
              });
}

Check one_document_rule(const std::string& field) {
  return rule(field + ".document", field + " is in one of the two documents only.", {field},
              [field](const Request& r) -> Verdict {
                if (given(r, field) == nullptr) return std::nullopt;
                return warning(field,
                               field +
                                   " is listed by CometAPI only; Kling's own documents have "
                                   "none here, so it may be ignored",
                               "leave it out");
              });
}

std::vector<Check> common_checks(Feature generation) {
  std::vector<Check> checks = {offer_check(generation), retired_check(generation),
                               callback_check()};
  append(checks, reference_checks());
  return checks;
}

std::vector<Check> shot_checks() {
  return {rule("shots.off", "shot_type and multi_prompt need multi_shot = true.",
               {"multi_shot", "shot_type", "multi_prompt"},
               [](const Request& r) -> Verdict {
                 if (is_multi_shot(r)) return std::nullopt;
                 const char* field = given(r, "multi_prompt") ? "multi_prompt"
                                     : given(r, "shot_type")  ? "shot_type"
                                                              : nullptr;
                 if (field == nullptr) return std::nullopt;
                 return error(field, std::string(field) + " counts only with multi_shot",
                              "add multi_shot = true");
               }),
          rule("shots.type", "multi_shot needs a shot_type.", {"multi_shot", "shot_type"},
               [](const Request& r) -> Verdict {
                 if (!is_multi_shot(r) || given(r, "shot_type")) return std::nullopt;
                 return error(
                     "shot_type", "multi_shot needs a shot_type",
                     "add shot_type = \"customize\" and multi_prompt, or \"intelligence\" and "
                     "prompt");
               }),
          rule("shots.prompts", "shot_type customize needs multi_prompt.",
               {"multi_shot", "shot_type", "multi_prompt"},
               [](const Request& r) -> Verdict {
                 if (!is_multi_shot(r) || effective(r, "shot_type") != "customize" ||
                     given(r, "multi_prompt"))
                   return std::nullopt;
                 return error("multi_prompt", "shot_type customize needs multi_prompt",
                              "add multi_prompt = { { prompt = …, duration = 2 }, … }");
               }),
          rule("shots.prompt", "With shots of its own, prompt is ignored.",
               {"multi_shot", "shot_type", "multi_prompt", "prompt"},
               [](const Request& r) -> Verdict {
                 if (!has_own_shots(r) || !given(r, "prompt")) return std::nullopt;
                 return warning("prompt", "prompt is ignored beside multi_prompt", "leave it out");
               }),
          shot_order_check(),
          shot_sum_check(),
          feature_rule("shots.model", "Several shots in one clip need kling-v3 or kling-v3-omni.",
                       "multi_shot", Feature::multi_shot, is_multi_shot),
          rule("shots.end_frame", "multi_shot excludes an end frame.",
               {"multi_shot", "image_tail", "image_list"}, [](const Request& r) -> Verdict {
                 const bool list = any_item(r, "image_list", "type", "end_frame");
                 if (!is_multi_shot(r) || (!given(r, "image_tail") && !list)) return std::nullopt;
                 return error(list ? "image_list" : "image_tail", "multi_shot takes no end frame",
                              "leave out one of the two");
               })};
}

std::vector<Check> sound_checks() {
  return {feature_rule("sound.model", "Sound needs a model and mode that have it.", "sound",
                       Feature::sound, [](const Request& r) { return is_on(r, "sound"); }),
          rule("voice_list.sound", "voice_list needs sound = on.", {"voice_list", "sound"},
               [](const Request& r) -> Verdict {
                 if (!given(r, "voice_list") || is_on(r, "sound")) return std::nullopt;
                 return error("voice_list", "voice_list needs sound", "add sound = \"on\"");
               }),
          feature_rule("voice_list.model", "Named voices need kling-v2-6 in mode pro.",
                       "voice_list", Feature::voices,
                       [](const Request& r) { return given(r, "voice_list") != nullptr; })};
}

std::vector<Check> camera_checks(Feature feature) {
  return {
      rule("camera_control.shape",
           "Type simple has exactly one value that is not zero, the presets have no config.",
           {"camera_control"},
           [](const Request& r) -> Verdict {
             const Json* camera = given(r, "camera_control");
             if (camera == nullptr) return std::nullopt;
             const std::string field = "camera_control.config";
             const std::string type = scalar_text(member(*camera, "type"));
             const Json& config = member(*camera, "config");
             if (type != "simple") {
               if (absent(config)) return std::nullopt;
               return error(field, field + " goes with type simple only",
                            "leave it out, or write type = \"simple\"");
             }
             if (absent(config))
               return error(field, "camera_control of type simple needs a config",
                            "for example config = { zoom = 5 }");
             const auto moving = std::count_if(config.begin(), config.end(), [](const Json& value) {
               return value.is_number() && value != 0;
             });
             if (moving > 1)
               return error(field,
                            field + " has " + std::to_string(moving) +
                                " values that are not zero; the limit is exactly 1",
                            "keep one movement");
             if (moving == 0)
               return warning(field, field + " moves nothing; one value has to be other than zero",
                              "for example config = { zoom = 5 }");
             return std::nullopt;
           }),
      feature_rule("camera_control.model", "camera_control works with one model, mode and length.",
                   "camera_control", feature,
                   [](const Request& r) { return given(r, "camera_control") != nullptr; })};
}

Check cfg_scale_check() {
  return rule("cfg_scale.model", "kling-v2 models do not support cfg_scale.",
              {"cfg_scale", "model_name"}, [](const Request& r) -> Verdict {
                const std::string model = effective(r, "model_name");
                if (!given(r, "cfg_scale") || !model.starts_with("kling-v2")) return std::nullopt;
                return warning("cfg_scale", "cfg_scale is not supported by " + excerpt(model, 40),
                               "leave it out");
              });
}

Check prompt_check(Finding::Level level) {
  return rule(
      "prompt.required", "A prompt is needed, unless shot_type is customize.",
      {"prompt", "multi_shot", "shot_type", "multi_prompt"}, [level](const Request& r) -> Verdict {
        if (given(r, "prompt") || (is_multi_shot(r) && effective(r, "shot_type") == "customize"))
          return std::nullopt;
        Finding finding = error("prompt", "prompt is missing",
                                "say what happens; the service's own default is \"Hello\"");
        finding.level = level;
        return finding;
      });
}

Check mask_size_check(const std::string& picture_field) {
  return rule("mask.size", "Masks have the size of the picture.",
              {picture_field, "static_mask", "dynamic_masks"},
              [picture_field](const Request& r) -> Verdict {
                std::optional<ImageFacts> wanted;
                std::string wanted_field;
                Verdict verdict;
                const auto compare = [&](const std::string& field, const Json& value) {
                  const MediaInput* input = media_of(r, value);
                  if (verdict || input == nullptr || !input->facts || input->facts->width == 0)
                    return;
                  const ImageFacts& facts = *input->facts;
                  const auto size = [](const ImageFacts& f) {
                    return std::to_string(f.width) + "x" + std::to_string(f.height);
                  };
                  if (!wanted) {
                    wanted = facts;
                    wanted_field = field;
                  } else if (facts.width != wanted->width || facts.height != wanted->height) {
                    verdict = error(field,
                                    field + " is " + size(facts) + " pixels, but " + wanted_field +
                                        " is " + size(*wanted),
                                    "give masks of the picture's size; else the task fails later");
                  }
                };
                const Json* picture = given(r, picture_field);
                const bool list = picture != nullptr && picture->is_array() && !picture->empty();
                if (picture != nullptr)
                  compare(list ? picture_field + "[1].image" : picture_field,
                          list ? member(picture->front(), "image") : *picture);
                if (const Json* mask = given(r, "static_mask")) compare("static_mask", *mask);
                if (const Json* masks = given(r, "dynamic_masks"); masks && masks->is_array())
                  for (std::size_t i = 0; i < masks->size(); ++i)
                    compare("dynamic_masks[" + std::to_string(i + 1) + "].mask",
                            member((*masks)[i], "mask"));
                return verdict;
              });
}

}  // namespace kling::api
