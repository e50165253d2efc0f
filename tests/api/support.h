// Requests as the Lua floor hands them over, written as JSON.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/decoder.h"
#include "api/endpoint.h"

namespace kling::api::test {

/// A number of so many bytes, the high one first.
inline std::string big(std::uint64_t value, unsigned size) {
  std::string bytes;
  while (size-- > 0) bytes += static_cast<char>(value >> 8 * size & 0xFF);
  return bytes;
}

/// A part of a PNG file, with its checksum.
inline std::string png_chunk(const std::string& type, const std::string& data) {
  std::uint32_t sum = ~0u;
  for (const unsigned char c : type + data) {
    sum ^= c;
    for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xEDB88320 : 0);
  }
  return big(data.size(), 4) + type + data + big(~sum, 4);
}
const std::string kPngData = "\x78\x9C and more";

/// The smallest request of an endpoint that no rule minds.
inline Json smallest(std::string_view endpoint) {
  if (endpoint == "image2video")
    return parse_json(R"({"image":"https://example.com/a.png","prompt":"waves"})");
  if (endpoint == "multi_image2video")
    return parse_json(
        R"({"prompt":"they meet","image_list":["https://example.com/a.png","https://example.com/b.png"]})");
  return parse_json(R"({"prompt":"a lighthouse"})");
}

/// The smallest request with fields replaced, or taken out with null.
inline Request request_with(std::string_view endpoint, std::string_view patch) {
  Request request;
  request.endpoint = endpoint;
  request.fields = smallest(endpoint);
  request.fields.merge_patch(parse_json(patch));
  return request;
}

/// What normalize finds, else what check finds.
inline std::vector<Finding> findings_of(Request& request) {
  const Endpoint* endpoint = find_endpoint(request.endpoint);
  std::vector<Finding> findings = normalize(*endpoint, request);
  return findings.empty() ? check(*endpoint, request) : findings;
}

inline const Finding* find(const std::vector<Finding>& findings, std::string_view id) {
  for (const Finding& finding : findings)
    if (finding.id == id) return &finding;
  return nullptr;
}

inline std::string listed(const std::vector<Finding>& findings) {
  std::string text;
  for (const Finding& finding : findings)
    text += (finding.level == Finding::Level::error ? "error " : "warning ") + finding.id + ": " +
            finding.message + "\n";
  return text;
}

}  // namespace kling::api::test
