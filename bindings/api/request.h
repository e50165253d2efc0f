// A generation request as a script wrote it, before and after it is checked. Plain data.
#pragma once

#include <optional>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/image_facts.h"

namespace kling::api {

using Json = nlohmann::json;  // keys are kept sorted, which makes dump() canonical

/// Of what is sent as Base64.
constexpr std::uint64_t kLargestPicture = 10u << 20;

/// A picture or a clip that a request uses. In Request::fields it stands as {"$media": index}.
struct MediaInput {
  enum class Source {
    url,      ///< `text` is an http(s) address the service fetches
    base64,   ///< `text` is Base64 without a data: prefix
    file,     ///< `text` is a path
    derived,  ///< made or found by the engine when it is needed; `text` is its origin
  };
  Source source = Source::url;
  bool video = false;  ///< a clip rather than a picture
  std::string text;
  std::string identity;  ///< `id` of { url = …, id = … }; empty: the text itself counts
  std::optional<ImageFacts> facts;  ///< known once the engine looked at local bytes
  std::size_t tag = 0;              ///< the caller's own index (for `derived`), kept untouched
};

struct Request {
  std::string endpoint;          ///< "text2video", …
  bool uploads = false;          ///< files that the service does not take are put elsewhere first
  Json fields = Json::object();  ///< what is checked and sent
  Json extra;                    ///< goes into the body unchecked and overrides; null: nothing
  std::string take;              ///< tells equal requests apart; never sent
  bool strict = false;           ///< warnings count as errors
  std::vector<MediaInput> media;
  Json aliases;  ///< by path, what the script wrote instead; null: nothing

  std::string written(const std::string& path) const {
    return aliases.is_null() ? path : aliases.value(path, path);
  }
};

struct Finding {
  enum class Level { warning, error };
  Level level = Level::error;
  std::string id;       ///< stable name of the check, for example "prompt.length"
  std::string field;    ///< for example "image_list[2].image"
  std::string message;  ///< names the field, the value and the limit
  std::string hint;     ///< the cure
  bool is_error() const { return level == Level::error; }
};

}  // namespace kling::api
