#include <algorithm>
#include <cstdio>

#include <nlohmann/json.hpp>

#include "api/endpoint.h"
#include "engine/media/ffmpeg.h"

namespace kling::engine::media {
namespace {

using Json = nlohmann::json;

/// Reads the fields of one table. What is wrong first is kept.
class Fields {
 public:
  Fields(const Json& table, std::string name, std::string& wrong)
      : table_(table), name_(std::move(name)), wrong_(wrong) {}

  void number(const char* key, double& value, double least, double most) {
    const Json* field = find(key);
    if (field == nullptr) return;
    // NaN is in no range.
    if (field->is_number() && *field >= least && *field <= most)
      value = field->get<double>();
    else
      say(key, *field, limit("a number", least, most));
  }
  void whole(const char* key, int& value, int least, int most) {
    double number_there = value;
    number(key, number_there, least, most);
    value = int(number_there);
    if (value != number_there) say(key, number_there, limit("a whole number", least, most));
  }
  void fade(Fade& fade) {
    const Json* field = find("fade");
    if (field == nullptr) return;
    if (field->is_number()) {
      number("fade", fade.from, 0, 60);
      fade.to = fade.from;
    } else if (field->is_array() && field->size() == 2) {
      const Json named = {{"from", (*field)[0]}, {"to", (*field)[1]}};
      Fields(named, name_ + "fade.", wrong_).ends(fade);
    } else if (field->is_object()) {
      Fields(*field, name_ + "fade.", wrong_).ends(fade);
    } else {
      say("fade", *field, "{ from, to }, both in seconds");
    }
  }
  void size(int& width, int& height) {
    const Json* field = find("size");
    if (field == nullptr) return;
    char rest = 0;
    if (!field->is_string() || std::sscanf(field->get_ref<const std::string&>().c_str(),
                                           "%5dx%5d%c", &width, &height, &rest) != 2)
      return say("size", *field, "\"WIDTHxHEIGHT\", such as \"1280x720\"");
    for (const int side : {width, height})
      if (side < 16 || side > 8192 || side % 2 != 0)
        say("size", *field, "both sides are even numbers from 16 to 8192");
  }
  template <class Value>
  void typed(const char* key, Value& value, bool (Json::*is)() const noexcept, const char* what) {
    const Json* field = find(key);
    if (field == nullptr) return;
    if ((field->*is)())
      value = field->get<Value>();
    else
      say(key, *field, what);
  }
  void known(const char* key) { known_.push_back(key); }
  /// What was not asked for is a slip.
  void end() const {
    if (table_.is_array() && !table_.empty() && wrong_.empty())
      wrong_ = name_ + " options have names, such as crossfade = 0.3";
    for (const auto& [key, value] : table_.items()) {
      if (!wrong_.empty() || table_.is_array()) return;
      if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
      const std::string meant = api::did_you_mean(key, known_);
      wrong_ = "unknown option " + name_ + key.substr(0, 60);
      if (!meant.empty()) wrong_ += ", did you mean " + name_ + meant + "?";
      wrong_ += "; it knows";
      for (const std::string& name : known_) wrong_ += (name == known_[0] ? " " : ", ") + name;
    }
  }
  void say(const char* key, const Json& field, const std::string& limit) {
    if (!wrong_.empty()) return;
    std::string is = field.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (is.size() > 60) is = "a " + std::string(field.type_name());
    wrong_ = name_ + key + " is " + is + "; it wants " + limit;
  }

 private:
  void ends(Fade& fade) {
    number("from", fade.from, 0, 60);
    number("to", fade.to, 0, 60);
    end();
  }
  const Json* find(const char* key) {
    known(key);
    const auto field = table_.find(key);
    return field == table_.end() || field->is_null() ? nullptr : &*field;
  }
  static std::string limit(const char* what, double least, double most) {
    char text[80];
    std::snprintf(text, sizeof text, "%s from %g to %g", what, least, most);
    return text;
  }

  const Json& table_;
  const std::string name_;
  std::string& wrong_;
  std::vector<std::string> known_;
};

}  // namespace

Result<FilmOptions> film_options(const Json& written, const char* verb) {
  FilmOptions options;
  std::string wrong, fit = "pad";
  Fields fields(written, "", wrong);
  if (const auto audio = written.find("audio"); audio != written.end() && audio->is_object()) {
    Fields song(*audio, "audio.", wrong);
    song.typed("path", options.audio, &Json::is_string, "the path of a sound file");
    song.number("volume", options.volume, 0, 8);
    song.typed("loop", options.loop, &Json::is_boolean, "true or false");
    song.fade(options.audio_fade);
    song.end();
    if (options.audio.empty() && wrong.empty()) wrong = "audio wants a path";
    fields.known("audio");
  } else {
    fields.typed("audio", options.audio, &Json::is_string, "the path of a sound file");
  }
  fields.number("crossfade", options.crossfade, 0, 60);
  fields.fade(options.fade);
  fields.typed("fit", fit, &Json::is_string, "\"crop\" or \"pad\"");
  fields.number("fps", options.fps, 1, 120);
  fields.number("mix", options.mix, 0, 8);
  fields.size(options.width, options.height);
  fields.end();
  options.crop = fit == "crop";
  if (wrong.empty() && !options.crop && fit != "pad") fields.say("fit", fit, "\"crop\" or \"pad\"");
  if (wrong.empty() && options.mix > 0 && options.audio.empty())
    wrong = "mix says how loud the clips' own sound stays under audio, which is missing";
  if (wrong.empty() && options.audio.find('\0') != std::string::npos)
    wrong = "audio is no path: it holds a zero byte";
  if (!wrong.empty()) return Error{.kind = Kind::invalid, .message = verb + (": " + wrong)};
  return options;
}

Status sheet_options(const Json& written, int& columns, int& frames, bool& labels) {
  std::string wrong;
  Fields fields(written, "", wrong);
  fields.whole("columns", columns, 1, 12);
  fields.whole("frames", frames, 1, 12);
  fields.typed("labels", labels, &Json::is_boolean, "true or false");
  fields.end();
  if (!wrong.empty()) return Error{.kind = Kind::invalid, .message = "sheet: " + wrong};
  return Done{};
}

}  // namespace kling::engine::media
