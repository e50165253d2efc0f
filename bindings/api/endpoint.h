// The Kling API as data: one row an endpoint, one row a parameter. Functions, checks, editor stubs,
// help and reference come from this table. Immutable; any thread, never blocks.
#pragma once

#include <span>

#include "api/request.h"

namespace kling::api {

enum class Type {
  string,
  number,   ///< a float
  integer,  ///< also given as decimal text (element ids above 2^53)
  boolean,
  seconds,  ///< whole seconds, number or text; sent as text
  image,    ///< URL, Base64, path or Image
  video,    ///< URL or Clip
  object,   ///< `children`
  list,     ///< of objects with `children`, or of `image`/`video` when children holds one item key
};

/// Limits of one parameter. Every length is in Unicode characters, every range inclusive.
struct Rule {
  std::optional<double> minimum{}, maximum{};
  std::optional<std::size_t> max_chars{};   ///< over it: error
  std::optional<std::size_t> warn_chars{};  ///< over it: warning, the documents disagree
  std::vector<std::string> values{};        ///< allowed; empty: any
  std::vector<std::string> warn_values{};   ///< in one document only: warning
  std::optional<std::size_t> min_items{}, max_items{};
};

struct Param {
  std::string name;
  Type type = Type::string;
  bool required = false;
  Rule rule{};
  std::string default_value{};  ///< always sent when nothing was given, as text; empty: none
  std::string doc{};            ///< one or two sentences, units and source included
  std::vector<Param> children{};
  std::vector<std::string>
      aliases{};  ///< other spellings a script may use ("image" for "image_url")
};

/// A rule over several fields.
struct Check {
  unsigned endpoints = 0;  ///< which have it: bit n is the n-th row of the table
  std::string id;
  std::string sentence;  ///< the rule in words, for docs
  std::string judged;    ///< fields: with one of these in `extra` the rule is not asked
  std::function<std::optional<Finding>(const Request&)> run;
};

struct Endpoint {
  std::string name;  ///< the Lua function: "text2video", "image2video", "multi_image2video", "omni"
  std::string kind;  ///< the path's last part: "text2video", "omni-video", …
  std::string path{};  ///< "/kling/v1/videos/" + kind; POST creates, GET path/{id} queries
  std::string doc{};
  std::vector<std::string> aliases{};  ///< "omni_video"
  std::vector<Param> params{};
  std::vector<Check> checks{};
};

std::span<const Endpoint> endpoints();
/// The functions of the module that are endpoints, by all their names, in turn; null: no more. Does
/// not make the table.
const char* function_name(std::size_t index);
/// By Lua name, alias or kind; null when there is none.
const Endpoint* find_endpoint(std::string_view name);
/// The nearest of `choices` when it is a likely misspelling, else empty.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& choices);

/// Brings what the script wrote into one form: aliases to field names, `duration = 5` to "5",
/// bare pictures in lists to objects, strings in picture fields to MediaInputs (http(s):// is a
/// URL, a data: prefix is stripped, "/9j/" and "iVBORw0KGgo" start Base64, else a path). Unknown
/// fields and wrong types are errors, with "did you mean".
std::vector<Finding> normalize(const Endpoint& endpoint, Request& request);

/// Every rule on a normalized request. May be called before the media are looked at (rules that
/// need facts are silent then) and again after. Errors come first.
std::vector<Finding> check(const Endpoint& endpoint, const Request& request);

/// The JSON to send: fields, defaults for what is absent, then `extra` over it. Pictures and clips
/// still stand as {"$media": index}. Blank strings and empty lists count as absent.
Json wire_body(const Endpoint& endpoint, const Request& request);

/// The findings as one Error of kind invalid (field of the first; all messages when several).
/// REQUIRES: at least one finding.
Error to_error(const Endpoint& endpoint, const std::vector<Finding>& findings);

// ---- What people write instead of a field: the names of other tools, of other endpoints of ours,
// and of things that the service does not have ----

struct FieldSlip {
  std::string_view endpoint;  ///< empty: every one
  std::string_view names;     ///< what is written, separated by spaces
  const char* instead;        ///< a sentence: what to write
};
std::span<const FieldSlip> field_slips();

/// What to write instead of the unknown field `name` of an endpoint; empty: no idea.
std::string meant_field(std::string_view endpoint, std::string_view name);

// ---- Reading a request's fields without trusting their types, and what will be sent for them ----

/// Null, "", {} and [] all mean "not given": the service's own examples send empty strings. Text of
/// blanks is sent, and counts in digests, as it stands.
bool absent(const Json& value);
/// Absent, or text of nothing but blanks: no prompt, and nothing else that is needed.
bool blank(const Json& value);
/// True when `extra` decides the field, so that no rule of ours applies.
bool overridden(const Request& request, std::string_view name);
/// What will be sent for a field, `extra` first; null when neither gives it. Without defaults.
const Json* given(const Request& request, std::string_view name);
/// As text, or the default that will be sent; "" when there is neither.
std::string effective(const Request& request, std::string_view name);
/// How many items a list has; 0 when it is not given.
std::size_t count_of(const Request& request, std::string_view name);
/// The input that {"$media": i} stands for; null for anything else.
const MediaInput* media_of(const Request& request, const Json& value);
/// True when an item of the list has this text in `key`.
bool any_item(const Request& request, std::string_view list, std::string_view key,
              std::string_view value);
/// True when omni edits a video: the length and ratio then are the video's.
bool edits_video(const Request& request);
bool has_own_shots(const Request& request);
std::int64_t shots_seconds(const Request& request);

}  // namespace kling::api
