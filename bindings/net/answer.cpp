#include "net/answer.h"

#include <algorithm>
#include <charconv>

#include "api/text.h"

namespace kling::net {
namespace {

constexpr std::size_t kMostLine = 100u << 10;
constexpr std::size_t kMostLines = 300u << 10;

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t\r"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
}

/// Takes the first of a list's items off it.
std::string_view take_item(std::string_view& list) {
  const std::size_t comma = std::min(list.find(','), list.size());
  const std::string_view item = trimmed(list.substr(0, comma));
  list.remove_prefix(std::min(comma + 1, list.size()));
  return item;
}

/// The one number that a list of lengths names: "5", or "5, 5".
bool read_lengths(std::string_view list, std::uint64_t& length) {
  if (list.ends_with(',')) return false;
  for (bool first = true; !list.empty(); first = false) {
    const std::string_view digits = take_item(list);
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return false;
    if (!first && value != length) return false;
    length = value;
  }
  return true;
}

}  // namespace

std::string Answer::header(std::string_view name) const {
  const auto found = std::ranges::find(
      headers_, name, [](const auto& header) { return std::string_view(header.first); });
  return found == headers_.end() ? std::string() : found->second;
}

std::string Answer::list(std::string_view name) const {
  std::string all;
  for (const auto& [key, value] : headers_)
    if (key == name) all += (all.empty() ? "" : ", ") + value;
  return all;
}

void Answer::fail(std::string fault) {
  fault_ = std::move(fault);
  keeps_connection_ = false;
}

std::string_view Answer::take(std::string_view& data) {
  while (!data.empty() && part_ != Part::done && fault_.empty()) {
    if (part_ != Part::body) {
      take_line(data);
      continue;
    }
    const std::string_view piece = data.substr(0, std::min<std::uint64_t>(left_, data.size()));
    data.remove_prefix(piece.size());
    lines_ = 0;
    if (left_ != kUntilTheEnd) left_ -= piece.size();
    if (left_ == 0) part_ = chunked_ ? Part::chunk_end : Part::done;
    return piece;
  }
  return {};
}

void Answer::take_line(std::string_view& data) {
  const std::size_t end = data.find('\n');
  const std::string_view part = data.substr(0, end);
  data.remove_prefix(std::min(part.size() + 1, data.size()));
  lines_ += part.size() + 1;
  if (line_.size() + part.size() > kMostLine)
    return fail("headers without end: a line of more than 100 KB");
  if (lines_ > kMostLines) return fail("headers without end: more than 300 KB");
  line_ += part;
  // What speaks something else need not end its lines.
  constexpr std::string_view kStart = "HTTP/";
  const std::string_view start = trimmed(line_).substr(0, kStart.size());
  if (part_ == Part::status && !kStart.starts_with(start))
    return fail("no HTTP answer: \"" + api::excerpt(line_, 60) + "\"");
  if (end == data.npos) return;
  const std::string line = std::exchange(line_, {});
  read_line(std::string_view(line).substr(0, line.size() - (line.ends_with('\r') ? 1 : 0)));
}

void Answer::read_line(std::string_view line) {
  switch (part_) {
    case Part::status: return read_status(line);
    case Part::headers: return line.empty() ? end_head() : read_header(line);
    case Part::chunk_size: return read_chunk_size(line);
    case Part::chunk_end:
      if (!line.empty()) return fail("a chunk that is longer than it says");
      part_ = Part::chunk_size;
      return;
    case Part::trailers:
      if (line.empty()) part_ = Part::done;
      return;
    case Part::body:
    case Part::done: return;
  }
}

/// "HTTP/1.1 200 OK"; the reason may be missing.
void Answer::read_status(std::string_view line) {
  if (line.empty()) return;  // of an earlier answer that ended with one more
  const std::string_view number = line.substr(std::min<std::size_t>(9, line.size()), 3);
  const bool valid = line.starts_with("HTTP/1.") && line.size() > 8 && line[8] == ' ' &&
                     number.size() == 3 && number.find_first_not_of("0123456789") == line.npos &&
                     number.front() != '0' && (line.size() == 12 || line[12] == ' ');
  if (!valid) return fail("no HTTP/1.1 answer: \"" + api::excerpt(line, 60) + "\"");
  std::from_chars(number.data(), number.data() + 3, status_);
  keeps_connection_ = line[7] != '0';
  part_ = Part::headers;
}

void Answer::read_header(std::string_view line) {
  if (line.front() == ' ' || line.front() == '\t') {  // folded
    if (!headers_.empty()) headers_.back().second.append(" ").append(trimmed(line));
    return;
  }
  const std::size_t colon = line.find(':');
  if (colon == line.npos) return;
  headers_.emplace_back(api::lower(trimmed(line.substr(0, colon))),
                        trimmed(line.substr(colon + 1)));
}

/// Some proxies name the same one twice; some servers name in Content-Encoding what is no packing
/// ("utf-8", "aws-chunked"): not meant.
void Answer::read_codings(std::string_view list, bool transfer) {
  while (!list.empty()) {
    const std::string_view coding = take_item(list);
    bool meant = transfer && !coding.empty() && coding != "chunked" && coding != "identity";
    for (const char* word : {"gzip", "deflate", "br", "zstd", "compress"})
      meant = meant || coding.find(word) != coding.npos;
    if (meant) coding_.append(coding_.empty() ? "" : ", ").append(coding);
    chunked_ = chunked_ || (transfer && coding == "chunked");
  }
}

void Answer::end_head() {
  if (status_ == 101) return fail("another protocol (status 101)");
  if (status_ < 200) {  // interim: the answer is yet to come
    headers_.clear();
    part_ = Part::status;
    return;
  }
  const std::string length = list("content-length");
  read_codings(api::lower(list("transfer-encoding")), true);
  read_codings(api::lower(list("content-encoding")), false);
  left_ = kUntilTheEnd;
  if (api::lower(list("connection")).find("close") != std::string::npos ||
      (chunked_ && !length.empty()))
    keeps_connection_ = false;
  part_ = chunked_ ? Part::chunk_size : Part::body;
  if (bodiless_ || status_ == 204 || status_ == 304) {
    part_ = Part::done;
  } else if (!chunked_ && !length.empty()) {
    if (!read_lengths(length, left_) || left_ == kUntilTheEnd)
      return fail("no valid length: \"" + api::excerpt(length, 60) + "\"");
    length_ = left_;
    if (left_ == 0) part_ = Part::done;
  }
}

void Answer::read_chunk_size(std::string_view line) {
  line = trimmed(line);
  const auto [after, error] = std::from_chars(line.data(), line.data() + line.size(), left_, 16);
  const std::string_view rest = trimmed(line.substr(std::size_t(after - line.data())));
  if (error != std::errc() || (!rest.empty() && rest.front() != ';') || left_ == kUntilTheEnd)
    return fail("no valid size of a chunk: \"" + api::excerpt(line, 60) + "\"");
  part_ = left_ > 0 ? Part::body : Part::trailers;
}

}  // namespace kling::net
