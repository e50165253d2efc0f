#include <algorithm>

#include "api/endpoint.h"
#include "api/text.h"
#include "base/files.h"
#include "engine/media/ffmpeg.h"

namespace kling::engine::media {
namespace {

using Json = nlohmann::json;

/// Reads the fields of one table of options. What is wrong first is kept.
struct Fields {
  const Json& table;
  const std::string name;
  std::string& wrong;
  std::vector<std::string> known = {};

  const Json* find(const char* key) {
    known.push_back(key);
    const auto field = table.find(key);
    return field == table.end() || field->is_null() ? nullptr : &*field;
  }
  void refuse(const char* key, const Json& field, const std::string& limit) {
    if (!wrong.empty()) return;
    std::string is = field.dump(-1, ' ', false, Json::error_handler_t::replace);
    if (is.size() > 60) is = "a " + std::string(field.type_name());
    wrong = name + key + " is " + is + "; it wants " + limit;
  }
  template <class Value>
  void read(const char* key, Value& value, bool fits(const Json&), const char* limit) {
    const Json* field = find(key);
    if (field != nullptr && fits(*field))
      value = field->get<Value>();
    else if (field != nullptr)
      refuse(key, *field, limit);
  }
  template <class Number>
  void number(const char* key, Number& value, double least, double most) {
    const Json* field = find(key);
    if (field == nullptr) return;
    constexpr bool kWhole = std::is_integral_v<Number>;
    const std::string limit =
        printed("a %s from %g to %g", kWhole ? "whole number" : "number", least, most);
    if (!field->is_number() || !(*field >= least && *field <= most) ||  // NaN is in no range
        (kWhole && field->get<double>() != double(field->get<int>())))
      return refuse(key, *field, limit);
    value = field->get<Number>();
  }
  void fade(Fade& fade) {
    const Json* field = find("fade");
    if (field == nullptr) return;
    Json ends = *field;
    if (ends.is_number()) ends = {{"from", ends}, {"to", ends}};
    if (ends.is_array() && ends.size() == 2) ends = {{"from", ends[0]}, {"to", ends[1]}};
    if (!ends.is_object()) return refuse("fade", *field, "{ from, to }, both in seconds");
    Fields fields{ends, name + "fade.", wrong};
    fields.number("from", fade.from, 0, 60);
    fields.number("to", fade.to, 0, 60);
    fields.end();
  }
  /// What was not asked for is a slip.
  void end() const {
    if (wrong.empty() && table.is_array() && !table.empty())
      wrong = "options have names, such as crossfade = 0.3";
    for (const auto& [key, value] : table.items()) {
      if (!wrong.empty() || table.is_array()) return;
      if (std::find(known.begin(), known.end(), key) != known.end()) continue;
      std::string meant = api::did_you_mean(key, known);
      for (const auto& [words, one] : {std::pair{"music song sound", "audio"},
                                       {"transition dissolve", "crossfade"},
                                       {"duration length", "seconds"},
                                       {"cols", "columns"}})
        if (api::has_word(words, key) && std::ranges::count(known, one) > 0) meant = one;
      wrong = "unknown option " + name + key.substr(0, 60);
      if (name.empty() && key == "volume")
        wrong += ", write audio = { path = \"song.mp3\", volume = 0.5 }";
      if (!meant.empty()) wrong += ", did you mean " + name + meant + "?";
      for (const std::string& one : known)
        wrong += (&one == &known[0] ? "; it knows " : ", ") + one;
    }
  }
};

bool is_text(const Json& value) {
  return value.is_string() && value.get_ref<const std::string&>().find('\0') == std::string::npos;
}
bool is_switch(const Json& value) { return value.is_boolean(); }
constexpr const char* kPath = "the path of a sound file";
constexpr const char* kSize =
    "\"WIDTHxHEIGHT\", such as \"1280x720\": even numbers from 16 to 8192";

}  // namespace

Result<FilmOptions> film_options(const Json& written, const char* verb) {
  FilmOptions options;
  std::string wrong, fit, size;
  Fields fields{written, "", wrong};
  if (const Json* audio = fields.find("audio"); audio != nullptr && audio->is_object()) {
    Fields song{*audio, "audio.", wrong};
    song.read("path", options.audio, is_text, kPath);
    song.number("volume", options.volume, 0, 8);
    song.read("loop", options.loop, is_switch, "true or false");
    song.fade(options.audio_fade);
    song.end();
    if (options.audio.empty() && wrong.empty()) wrong = "audio wants a path";
  } else {
    fields.known.pop_back();
    fields.read("audio", options.audio, is_text, kPath);
  }
  fields.number("crossfade", options.crossfade, 0, 60);
  fields.fade(options.fade);
  fields.read(
      "fit", fit, [](const Json& is) { return is == "crop" || is == "pad"; },
      "\"crop\" or \"pad\"");
  fields.number("fps", options.fps, 1, 120);
  fields.number("mix", options.mix, 0, 8);
  fields.read("size", size, is_text, kSize);
  fields.end();
  options.crop = fit == "crop";
  char rest = 0;
  if (!size.empty() &&
      (std::sscanf(size.c_str(), "%5dx%5d%c", &options.width, &options.height, &rest) != 2 ||
       std::min(options.width, options.height) < 16 ||
       std::max(options.width, options.height) > 8192 || (options.width | options.height) % 2 != 0))
    fields.refuse("size", size, kSize);
  if (wrong.empty() && options.mix > 0 && options.audio.empty())
    wrong = "mix says how loud the clips' own sound stays under audio, which is missing";
  if (!wrong.empty()) return Error{.message = verb + (": " + wrong)};
  return options;
}

Status check_ending(const std::string& path, bool timeline) {
  const std::string ending = extension_of(path);
  if (timeline ? ending == "otio" : ending == "mp4" || ending == "m4v" || ending == "mov")
    return Done{};
  std::filesystem::path better(path);
  if (!better.has_filename()) better /= "film";
  return Error{.message = path + (timeline ? ": a timeline is named .otio" : ": a clip is an MP4"),
               .hint = "name it " + better.replace_extension(timeline ? "otio" : "mp4").string()};
}

Status still_options(const Json& written, double& seconds, double& at) {
  std::string wrong;
  Fields fields{written, "", wrong};
  fields.number("seconds", seconds, 0.01, 3600);  // 0 is none given
  fields.number("at", at, 0, 1e6);
  fields.end();
  if (!wrong.empty()) return Error{.message = "still: " + wrong};
  return Done{};
}

Status sheet_options(const Json& written, int& columns, int& frames, bool& labels) {
  std::string wrong;
  Fields fields{written, "", wrong};
  fields.number("columns", columns, 1, 12);
  fields.number("frames", frames, 1, 12);
  fields.read("labels", labels, is_switch, "true or false");
  fields.end();
  if (!wrong.empty()) return Error{.message = "sheet: " + wrong};
  return Done{};
}

}  // namespace kling::engine::media
