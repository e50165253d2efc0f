#include <algorithm>
#include <charconv>
#include <cmath>

#include "api/endpoint.h"
#include "api/text.h"
#include "base/digest.h"

namespace kling::api {
namespace {

constexpr std::size_t kLongestPath = 4096;
constexpr double kExactIntegers = 9007199254740992.0;  // 2^53: above, a float has lost digits

bool is_media(const Param& param) { return param.type == Type::image || param.type == Type::video; }

class Normalizer {
 public:
  explicit Normalizer(Request& request) : request_(request) {}

  void object(Json& object, const std::vector<Param>& params, const std::string& prefix) {
    for (const Param& param : params) rename_aliases(object, param, prefix);
    for (auto entry = object.begin(); entry != object.end();) {
      const auto param =
          std::ranges::find_if(params, [&](const Param& row) { return row.name == entry.key(); });
      if (param == params.end()) {
        unknown(entry.key(), params, prefix);
      } else if (absent(*entry)) {
        entry = object.erase(entry);
        continue;
      } else {
        value(*entry, *param, prefix + param->name);
      }
      ++entry;
    }
  }

  /// False, for who tells whether it is well.
  bool fail(std::string id, std::string field, std::string message, std::string hint) {
    findings.push_back({Finding::Level::error, std::move(id), std::move(field), std::move(message),
                        std::move(hint)});
    return false;
  }

  std::vector<Finding> findings;

 private:
  void rename_aliases(Json& object, const Param& param, const std::string& prefix) {
    for (const std::string& alias : param.aliases) {
      const auto found = object.find(alias);
      if (found == object.end()) continue;
      if (object.contains(param.name)) {
        fail("field.twice", prefix + param.name,
             alias + " and " + param.name + " are the same field", "give one of the two");
      } else {
        Json moved = std::move(*found);
        object[param.name] = std::move(moved);
        request_.aliases[prefix + param.name] = prefix + alias;
      }
      object.erase(alias);
    }
  }

  void unknown(const std::string& key, const std::vector<Param>& params,
               const std::string& prefix) {
    std::vector<std::string> names;
    names.reserve(params.size());
    for (const Param& param : params) names.push_back(param.name);
    const std::string shown_key = excerpt(key, 60);
    std::string hint = prefix.empty() ? meant_field(request_.endpoint, key) : "";
    if (hint.empty())
      if (const std::string nearest = did_you_mean(key, names); !nearest.empty())
        hint = "did you mean " + nearest + "?";
    for (const Param& param : params)  // one table further inside
      for (const Param& child : param.children)
        if (hint.empty() && child.name == key)
          hint = "write " + param.name + " = { " + shown_key + " = … }";
    if (hint.empty()) {
      hint = "the fields here are " + joined(names, ", ");
      // Names in the service's form only: none of its fields is called promptText.
      if (prefix.empty() && std::ranges::none_of(key, [](unsigned char c) {
            return std::islower(c) == 0 && c != '_' && std::isdigit(c) == 0;
          }))
        hint += "; what is newer than this program goes into extra = { " + shown_key + " = … }";
    }
    fail("field.unknown", prefix + shown_key, "there is no field " + prefix + shown_key, hint);
  }

  void wrong_type(const Json& value, const std::string& path, const std::string& wanted,
                  std::string hint = {}) {
    const std::string name = path.substr(path.rfind('.') + 1);
    fail(name.substr(0, name.find('[')) + ".type", path,
         request_.written(path) + " must be " + wanted + ", got " + shown(value),
         hint.empty() ? "give " + wanted : std::move(hint));
  }

  void text(const Json& value, const Param& param, const std::string& path) {
    if (value.is_string() && bad_utf8(value.get_ref<const std::string&>()) == std::string::npos)
      return;
    if (value.is_string())
      return wrong_type(value, path, "text in UTF-8", "save the script as UTF-8");
    if (const std::vector<std::string>& values = param.rule.values;
        !values.empty() && values.size() <= 3)
      return wrong_type(value, path, '"' + joined(values, "\" or \"") + '"');
    const bool plain = value.is_number() || value.is_boolean();
    wrong_type(value, path, "text",
               plain ? "write it in quotes: " + request_.written(param.name) + " = \"" +
                           value.dump() + "\""
                     : "");
  }

  /// Text that is a number counts as one: tables of CSV and arguments of a program hold texts.
  void number(Json& value, const std::string& path) {
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      double number = 0;
      const char* end = text.data() + text.size();
      if (const auto read = std::from_chars(text.data(), end, number);
          read.ec == std::errc() && read.ptr == end)
        value = number;
    }
    if (!value.is_number() || !std::isfinite(value.get<double>()))
      wrong_type(value, path, "a number", with_point(value));
  }

  /// What to write for "0,5"; empty: it is something else.
  static std::string with_point(const Json& value) {
    std::string text = scalar_text(value);
    const std::size_t comma = text.find(',');
    if (comma == text.npos || text.find_first_not_of("0123456789,") != text.npos) return {};
    return "write " + text.replace(comma, 1, ".");
  }

  void value(Json& value, const Param& param, const std::string& path) {
    switch (param.type) {
      case Type::string: text(value, param, path); break;
      case Type::number: number(value, path); break;
      case Type::integer: integer(value, path); break;
      case Type::boolean:
        if (const std::string word = lower(scalar_text(value)); word == "true" || word == "false")
          value = word == "true";  // of a table
        if (!value.is_boolean()) wrong_type(value, path, "true or false");
        break;
      case Type::seconds: seconds(value, path); break;
      case Type::image:
      case Type::video: media(value, param, path); break;
      case Type::object:
        if (value.is_object() && !value.contains("$media")) {
          object(value, param.children, path + ".");
        } else {
          wrong_type(value, path, "a table",
                     param.name == "camera_control"
                         ? "write camera_control = { type = \"simple\", config = { zoom = 5 } }"
                         : "write " + param.name + " = { " + param.children.front().name + " = " +
                               (param.children.front().type == Type::boolean ? "true" : "…") +
                               " }");
        }
        break;
      case Type::list: list(value, param, path); break;
    }
  }

  /// A whole number in whatever form; nothing when it is none or exceeds 64 bits.
  static std::optional<std::int64_t> whole(const Json& value) {
    if (!value.is_number_float()) {
      std::string text = scalar_text(value);  // a spreadsheet writes 5 as 5.0
      if (const auto dot = text.find_last_not_of('0'); dot != text.npos && text[dot] == '.')
        text.resize(dot);
      return whole_number(text);
    }
    const double number = value.get<double>();
    if (std::abs(number) >= kExactIntegers || number != std::floor(number)) return std::nullopt;
    return static_cast<std::int64_t>(number);
  }

  void integer(Json& value, const std::string& path) {
    if (value.is_number_integer()) return;
    if (const auto number = whole(value)) {
      value = *number;
    } else if (!value.is_string() || value.get_ref<const std::string&>().find_first_not_of(
                                         "0123456789") != std::string::npos) {
      wrong_type(value, path, "a whole number (as text when it is above 2^53)");
    }  // else too large for 64 bits, or with leading zeros: the text goes out digit by digit
  }

  void seconds(Json& value, const std::string& path) {
    const auto count = whole(value);
    if (!count) return wrong_type(value, path, "whole seconds, such as 5 or \"5\"");
    value = std::to_string(*count);
  }

  void list(Json& value, const Param& param, const std::string& path) {
    if (!value.is_array()) {
      Json only = std::move(value);
      value = Json::array();
      value.push_back(std::move(only));
    }
    const Param& first = param.children.front();
    for (std::size_t i = 0; i < value.size(); ++i) {
      Json& item = value[i];
      const std::string item_path = path + "[" + std::to_string(i + 1) + "]";
      if (absent(item)) {
        fail(param.name + ".empty_item", item_path, item_path + " is empty", "leave it out");
        continue;
      }
      if (item.is_string() && param.name == "multi_prompt") {
        fail("multi_prompt.type", item_path, item_path + " is a text",
             "write { prompt = \"…\", duration = 2 }");
        continue;
      }
      if (!item.is_object() || item.contains("$media")) {
        Json bare = std::move(item);
        item = Json::object();
        item[first.name] = std::move(bare);
        request_.aliases[item_path + "." + first.name] = item_path;
      } else if (is_media(first) && item.contains("url") && !item.contains(first.name)) {
        Json address = Json::object();
        for (const char* key : {"url", "id"}) {
          if (item.contains(key)) address[key] = item[key];
          item.erase(key);
        }
        item[first.name] = std::move(address);
      }
      object(item, param.children, item_path + ".");
    }
  }

  void media(Json& value, const Param& param, const std::string& path) {
    const bool video = param.type == Type::video;
    if (value.is_object() && value.contains("$media")) return match_media(value, video, path);
    MediaInput input;
    input.video = video;
    if (value.is_string()) {
      if (!classify(input, value.get<std::string>(), path)) return;
    } else if (member(value, "url").is_string()) {
      input.text = value["url"].get<std::string>();
      input.identity = scalar_text(member(value, "id"));
      if (!is_url(input.text))
        return void(fail("media.url", path,
                         path + ".url is no http address: " + shown(value["url"]),
                         "give an address that starts with https://"));
      for (const auto& [key, unused] : value.items())
        if (key != "url" && key != "id")
          fail("field.unknown", path + "." + excerpt(key, 60),
               "there is no field " + path + "." + excerpt(key, 60),
               "write { url = \"https://…\", id = \"a name\" }");
    } else {
      return wrong_type(
          value, path,
          video ? "a clip or the URL of a video" : "a picture: a URL, a path, Base64 or an Image",
          value.is_array() ? "kling.omni takes several: image_list = { … }" : "");
    }
    if (video && input.source != MediaInput::Source::url && !local_video(input, path)) return;
    value = Json::object();
    value["$media"] = request_.media.size();
    request_.media.push_back(std::move(input));
  }

  void match_media(const Json& value, bool video, const std::string& path) {
    const MediaInput* input = media_of(request_, value);
    if (input == nullptr) {
      fail("media.index", path, path + " names an input that does not exist", "give it again");
    } else if (input->video && !video) {
      fail("media.kind", path, path + " wants a picture, got a clip",
           "clip:last_frame() or clip:frame(seconds) gives one");
    } else if (!input->video && video) {
      fail("media.kind", path, path + " wants a clip, got a picture",
           "kling.image2video makes a clip of a picture");
    } else if (video && input->source == MediaInput::Source::file) {
      local_video(*input, path);
    }
  }

  /// False after a finding.
  bool local_video(const MediaInput& input, const std::string& path) {
    if (request_.uploads && input.source == MediaInput::Source::file) return true;
    return fail("media.video_url", path,
                request_.written(path) + ": the service takes videos by URL only",
                "give the https:// address of the file or a generated Clip, or say where files go: "
                "kling.configure { upload = function(path) … return url end }");
  }

  /// What was meant by a text that is no path here; null: it may be one.
  static const char* meant_address(const std::string& text) {
    if (lower(text.substr(0, 4)) == "www.")
      return "write https:// before an address, ./ before a folder";
    if (lower(text.substr(0, 5)) == "file:") return "give the path alone: what follows file://";
    if (text.find("://") < 10) return "the service takes http:// and https:// addresses";
    if (text.size() > 2 && text[1] == ':' && (text[2] == '\\' || text[2] == '/'))
      return "a disk of Windows lies elsewhere here, such as /mnt/c/…";
    return nullptr;
  }

  /// False after a finding.
  bool classify(MediaInput& input, std::string text, const std::string& path) {
    if (is_url(tidy_url(text.substr(0, 100)))) text = tidy_url(text);  // as it was pasted
    if (is_url(text)) {
      const std::size_t host = text.find("//") + 2;
      if (text.find_first_of("/?#", host) == host || host == text.size() ||
          std::ranges::any_of(text, [](unsigned char c) { return c <= ' '; }))
        return fail("media.url", path, path + " is an address with a space or without a host",
                    "write %20 for a space");
      input.source = MediaInput::Source::url;
    } else if (lower(text.substr(0, 5)) == "data:") {
      const std::size_t comma = text.find(',');
      if (comma == std::string::npos || !lower(text.substr(0, comma)).ends_with(";base64"))
        return fail("media.base64", path, path + " is a data: address without Base64",
                    "write data:image/png;base64,… or give a path");
      input.source = MediaInput::Source::base64;
      text.erase(0, comma + 1);
    } else if (text.starts_with("/9j/") || text.starts_with("iVBORw0KGgo")) {
      input.source = MediaInput::Source::base64;
    } else if (text.size() > kLongestPath) {
      return fail("media.text", path,
                  path + " is neither a URL, nor Base64 of a JPEG or PNG picture, nor a path",
                  "give a path to a JPEG or PNG file");
    } else if (text.starts_with("~/")) {
      return fail("media.home", path,
                  "Lua does not know the folder ~: " + path + " is " + excerpt(text, 200),
                  "write os.getenv(\"HOME\") .. \"" + excerpt(text.substr(1), 200) + "\"");
    } else if (const char* hint = meant_address(text)) {
      return fail("media.address", path, path + " is no path: " + excerpt(text, 200), hint);
    } else {
      input.source = MediaInput::Source::file;
    }
    if (input.source == MediaInput::Source::base64 && !input.video && !decode(input, text, path))
      return false;
    input.text = std::move(text);
    return true;
  }

  bool decode(MediaInput& input, std::string& text, const std::string& path) {
    std::erase_if(text, [](char c) { return c == '\n' || c == '\r' || c == ' ' || c == '\t'; });
    std::string bytes;
    if (!base64_decode(text, bytes))
      return fail("media.base64", path, path + " is not valid Base64", "encode the file again");
    input.facts = read_image_facts(bytes);
    input.facts->bytes = bytes.size();
    return true;
  }

  Request& request_;
};

/// Shots count from 1 without gaps, so there is nothing to ask when no index was written.
void number_shots(Json& fields) {
  const auto shots = fields.find("multi_prompt");
  if (shots == fields.end() || !shots->is_array()) return;
  for (const Json& shot : *shots)
    if (!shot.is_object() || shot.contains("index")) return;
  int index = 0;
  for (Json& shot : *shots) shot["index"] = ++index;
}

}  // namespace

std::vector<Finding> normalize(const Endpoint& endpoint, Request& request) {
  Normalizer normalizer(request);
  request.endpoint = endpoint.name;
  if (absent(request.fields)) request.fields = Json::object();
  if (absent(request.extra)) request.extra = nullptr;
  if (!request.fields.is_object() || !(request.extra.is_null() || request.extra.is_object())) {
    const char* name = request.fields.is_object() ? "extra" : "the request";
    normalizer.fail("request.type", "", std::string(name) + " wants named fields",
                    "write { prompt = \"…\" }");
  } else {
    normalizer.object(request.fields, endpoint.params, "");
    number_shots(request.fields);
  }
  return std::move(normalizer.findings);
}

}  // namespace kling::api
