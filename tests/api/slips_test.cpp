// What people write instead of a field: each word of the table gets its row's sentence.

#include <sstream>

#include <doctest/doctest.h>

#include "api/endpoint.h"

using namespace kling::api;

namespace {

std::vector<Finding> findings_of(const Endpoint& endpoint, const std::string& key,
                                 const Json& value = "x") {
  Request request;
  request.fields = {{key, value}};
  return normalize(endpoint, request);
}

}  // namespace

TEST_CASE("each slip is answered with what to write and never with extra") {
  int rows = 0;
  for (const FieldSlip& slip : field_slips()) {
    std::istringstream names{std::string(slip.names)};
    for (std::string name; names >> name;) {
      for (const Endpoint& endpoint : endpoints()) {
        if (!slip.endpoint.empty() && slip.endpoint != endpoint.name) continue;
        CAPTURE(endpoint.name);
        CAPTURE(name);
        const auto findings = findings_of(endpoint, name);
        const bool known = findings.empty() || findings[0].id != "field.unknown";
        // A word that one endpoint has as a field may be a slip at another.
        if (known) {
          CHECK(slip.endpoint.empty());
          continue;
        }
        CHECK(findings[0].hint == meant_field(endpoint.name, name));
        CHECK(findings[0].hint.find("extra") == std::string::npos);
        if (!slip.endpoint.empty()) CHECK(findings[0].hint == slip.instead);
        ++rows;
      }
    }
  }
  CHECK(rows > 200);
}

TEST_CASE("a typo gets the nearest field, and only a word that nothing is near to gets extra") {
  const Endpoint& endpoint = *find_endpoint("text2video");
  CHECK(findings_of(endpoint, "promtp")[0].hint == "did you mean prompt?");
  CHECK(findings_of(endpoint, "Duration")[0].hint == "did you mean duration?");
  const std::string far = findings_of(endpoint, "xyzzy")[0].hint;
  CHECK(far.find("the fields here are prompt, ") == 0);
  CHECK(far.find("extra = { xyzzy = … }") != std::string::npos);
}

TEST_CASE("a value of another type is told what the field takes") {
  struct Row {
    const char* field;
    Json value;
    const char* says;
    const char* hint;
  };
  const Row rows[] = {
      {"sound", true, "sound must be \"on\" or \"off\", got true", "give \"on\" or \"off\""},
      {"mode", 1, "mode must be \"std\" or \"pro\" or \"4k\", got 1",
       "give \"std\" or \"pro\" or \"4k\""},
      {"prompt", 5, "prompt must be text, got 5", "write it in quotes: prompt = \"5\""},
      {"prompt", Json::array({"a", "b"}), "prompt must be text, got a list", "give text"},
      {"prompt", "\xff", "prompt must be text in UTF-8, got \"?\"", "save the script as UTF-8"},
      {"cfg_scale", "much", "cfg_scale must be a number, got \"much\"", "give a number"},
      {"duration", 5.5, "duration must be whole seconds, such as 5 or \"5\", got 5.5",
       "give whole seconds, such as 5 or \"5\""},
  };
  for (const Row& row : rows) {
    const auto findings = findings_of(*find_endpoint("text2video"), row.field, row.value);
    REQUIRE(findings.size() == 1);
    CHECK(findings[0].message == row.says);
    CHECK(findings[0].hint == row.hint);
  }
}

TEST_CASE("a number may be written as text") {
  const Endpoint& endpoint = *find_endpoint("text2video");
  Request request;
  request.fields = {{"cfg_scale", "0.5"}, {"duration", "10"}};
  CHECK(normalize(endpoint, request).empty());
  CHECK(request.fields["cfg_scale"] == 0.5);
  CHECK(request.fields["duration"] == "10");
}
