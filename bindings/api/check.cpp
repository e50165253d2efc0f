#include <algorithm>

#include "api/endpoint.h"
#include "api/text.h"

namespace kling::api {
namespace {

constexpr std::uint64_t kTenMegabytes = 10'000'000;  // the other reading of "10 MB"
constexpr int kSmallestSide = 300;
constexpr double kWidestRatio = 2.5;

constexpr auto kError = Finding::Level::error;
constexpr auto kWarning = Finding::Level::warning;

std::string plain(double number) { return printed("%.10g", number); }

/// The rules that each row of the table states by itself.
class Checker {
 public:
  explicit Checker(const Request& request) : request_(request) {}

  void object(const Json& object, const std::vector<Param>& params, const std::string& prefix) {
    for (const Param& param : params) {
      if (prefix.empty() && overridden(request_, param.name)) continue;
      const Json& value = member(object, param.name);
      const std::string path = prefix + param.name;
      if (param.required && blank(value)) {
        add(kError, param, "required", path, " is missing", param.doc);
      } else if (!absent(value)) {
        present(value, param, path);
      }
    }
  }

  std::vector<Finding> findings;

 private:
  /// `what` follows the path of the field in the message.
  void add(Finding::Level level, const Param& param, const char* rule, const std::string& path,
           const std::string& what, std::string hint) {
    findings.push_back(
        {level, param.name + "." + rule, path, request_.written(path) + what, std::move(hint)});
  }

  void present(const Json& value, const Param& param, const std::string& path) {
    switch (param.type) {
      case Type::string:
        if (value.is_string()) text(value.get_ref<const std::string&>(), param, path);
        break;
      case Type::number:
      case Type::integer:
        if (value.is_number()) range(value.get<double>(), param, path, "");
        break;
      case Type::seconds:
        if (const auto seconds = whole_number(scalar_text(value)))
          range(static_cast<double>(*seconds), param, path, " seconds");
        break;
      case Type::boolean:
      case Type::video: break;
      case Type::image:
        if (const MediaInput* input = media_of(request_, value); input && input->facts)
          picture(*input->facts, param, path);
        break;
      case Type::object: object(value, param.children, path + "."); break;
      case Type::list: list(value, param, path); break;
    }
  }

  void text(const std::string& value, const Param& param, const std::string& path) {
    const Rule& rule = param.rule;
    const std::size_t length = characters(value);
    const auto too_long = [&](std::size_t limit) {
      return " has " + std::to_string(length) + " characters; the limit is " +
             std::to_string(limit);
    };
    if (rule.max_chars && length > *rule.max_chars) {
      add(kError, param, "length", path, too_long(*rule.max_chars), "shorten it");
    } else if (rule.warn_chars && length > *rule.warn_chars) {
      add(kWarning, param, "length", path, too_long(*rule.warn_chars) + " in CometAPI's documents",
          "Kling itself takes " + std::to_string(rule.max_chars.value_or(0)) +
              "; shorten it if the service refuses it");
    }
    const auto is_one_of = [&](const std::vector<std::string>& values) {
      return std::ranges::find(values, value) != values.end();
    };
    if (is_one_of(rule.warn_values)) {
      add(kWarning, param, "value", path,
          " = " + shown(value) + " is in only one of the service's two documents",
          "safe are: " + joined(rule.values, ", "));
    } else if (!rule.values.empty() && !is_one_of(rule.values)) {
      std::vector<std::string> all = rule.values;
      all.insert(all.end(), rule.warn_values.begin(), rule.warn_values.end());
      add(kError, param, "value", path,
          " = " + shown(value) + " is not one of: " + joined(all, ", "),
          instead(value, param, path, all));
    }
  }

  /// What to write for a value that is none of `all`.
  std::string instead(const std::string& value, const Param& param, const std::string& path,
                      const std::vector<std::string>& all) const {
    for (const Endpoint& endpoint : endpoints())
      for (const Param& other : endpoint.params)
        if (other.name == param.name && path == param.name && value.starts_with("kling-") &&
            std::ranges::count(other.rule.values, value) > 0)
          return request_.endpoint == "multi_image2video"
                     ? "kling.omni with image_list = { … } is what newer models have"
                     : "it is a model of kling." + endpoint.name;
    const std::size_t dash = std::min(value.rfind('-'), value.size());
    if (has_word("-pro -std", value.substr(dash)) &&
        std::ranges::count(all, value.substr(0, dash)) > 0)
      return "write model_name = \"" + value.substr(0, dash) + "\", mode = \"" +
             value.substr(dash + 1) + '"';
    if (const std::string nearest = did_you_mean(value, all); !nearest.empty())
      return "did you mean " + nearest + "?";
    if (param.name == "mode") return meant_field("", "resolution");
    if (param.name == "aspect_ratio") return "9:16 is upright, 16:9 is wide, 1:1 is square";
    if (all.size() <= 3) return "give \"" + joined(all, "\" or \"") + '"';
    if (path == param.name && value.starts_with("kling-"))
      return "one that is newer than this program goes into extra = { " + param.name + " = … }";
    return "give one of these, or leave it out";
  }

  /// `said` is the value in words, behind the path.
  void limits(double value, std::optional<double> least, std::optional<double> most,
              const Param& param, const char* rule, const std::string& path,
              const std::string& said, const char* unit, std::string hint) {
    const bool low = least && value < *least;
    if (!low && !(most && value > *most)) return;
    add(kError, param, rule, path,
        said + "; the limit is " + (low ? "at least " : "at most ") + plain(low ? *least : *most) +
            unit,
        std::move(hint));
  }

  void range(double value, const Param& param, const std::string& path, const char* unit) {
    const auto& [least, most] = std::tie(param.rule.minimum, param.rule.maximum);
    const bool plain_range = least && most && *unit == '\0';
    limits(value, least, most, param, "range", path, " = " + plain(value), unit,
           plain_range ? "give " + plain(*least) + " to " + plain(*most) : param.doc);
  }

  void list(const Json& value, const Param& param, const std::string& path) {
    if (!value.is_array()) return;
    const std::size_t count = value.size();
    limits(double(count), param.rule.min_items, param.rule.max_items, param, "count", path,
           " has " + std::to_string(count) + " items", "", param.doc);
    for (std::size_t i = 0; i < count; ++i)
      object(value[i], param.children, path + "[" + std::to_string(i + 1) + "].");
  }

  void picture(const ImageFacts& facts, const Param& param, const std::string& path) {
    const std::string size = std::to_string(facts.width) + "x" + std::to_string(facts.height);
    if (facts.format.empty()) {
      add(kError, param, "format", path,
          facts.is.empty() ? " is neither a JPEG nor a PNG picture"
                           : " is " + facts.is + "; the service takes JPEG and PNG pictures",
          facts.cure.empty() ? "convert it, for example with ffmpeg -i IN OUT.png" : facts.cure);
      return;
    }
    if (!facts.whole) {
      add(kError, param, "whole", path,
          " ends after " + std::to_string(facts.bytes) + " bytes, in the middle of its picture",
          "download or save it again");
      return;
    }
    if (facts.bytes > kLargestPicture && request_.uploads) {
      // It goes elsewhere, and its address to the service.
    } else if (facts.bytes > kLargestPicture) {
      add(kError, param, "bytes", path,
          " has " + std::to_string(facts.bytes) + " bytes; the limit is 10485760",
          "make it smaller, for example a JPEG");
    } else if (facts.bytes > kTenMegabytes) {
      add(kWarning, param, "bytes", path,
          " has " + std::to_string(facts.bytes) +
              " bytes; the documents' \"10 MB\" may mean 10000000",
          "make it a little smaller");
    }
    if (facts.width < kSmallestSide || facts.height < kSmallestSide) {
      add(kError, param, "pixels", path,
          " is " + size + " pixels; the limit is at least 300 on each side",
          "scale it up; the service would accept it and fail the task later");
    }
    const double ratio = double(facts.width) / std::max(facts.height, 1);
    if (ratio > kWidestRatio || ratio < 1 / kWidestRatio) {
      const bool restated = param.name != "image_tail";
      add(restated ? kError : kWarning, param, "ratio", path,
          " is " + size + " pixels; the limit is a ratio from 1:2.5 to 2.5:1",
          "crop it or add borders");
    }
  }

  const Request& request_;
};

}  // namespace

std::vector<Finding> check(const Endpoint& endpoint, const Request& request) {
  Checker checker(request);
  checker.object(request.fields, endpoint.params, "");
  std::vector<Finding> findings = std::move(checker.findings);
  for (const Check& rule : endpoint.checks) {
    bool judged = true;
    for (const auto& [field, value] : request.extra.items())
      judged = judged && !has_word(rule.judged, field);
    if (!judged) continue;
    if (std::optional<Finding> finding = rule.run(request)) {
      finding->id = rule.id;
      findings.push_back(std::move(*finding));
    }
  }
  if (request.strict)
    for (Finding& finding : findings) finding.level = Finding::Level::error;
  std::ranges::stable_partition(findings, &Finding::is_error);
  return findings;
}

}  // namespace kling::api
