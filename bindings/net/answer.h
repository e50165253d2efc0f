// One answer of HTTP/1.1 or 1.0, taken apart while its bytes come: interim answers, folded lines,
// chunk extensions and trailers are read as RFC 9112 says and as curl reads them; limits are
// curl's. Not a client: no I/O, and what the headers mean is for others. A value; any thread.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace kling::net {

class Answer {
 public:
  /// `bodiless`: the answer to a CONNECT, which has no body.
  explicit Answer(bool bodiless = false) : bodiless_(bodiless) {}

  /// Takes bytes off the front of `data` and gives the first piece of body among them, which points
  /// into `data`. Empty: all is taken, or the answer is whole or faulty.
  std::string_view take(std::string_view& data);

  bool has_head() const { return part_ > Part::headers; }  ///< of the final answer
  /// The line with the status of the final answer has come: it says that this was done.
  bool succeeds() const { return part_ > Part::status && status_ / 100 == 2; }
  bool whole() const { return part_ == Part::done; }
  /// Also without the line after the last chunk, which some leave out.
  bool ends_with_connection() const {
    return (part_ == Part::body && left_ == kUntilTheEnd) ||
           (part_ == Part::trailers && line_.empty());
  }
  /// The next request may follow on the same connection.
  bool keeps_connection() const { return whole() && keeps_connection_; }
  /// What is wrong with it, behind "the service sent "; empty: nothing.
  const std::string& fault() const { return fault_; }

  int status() const { return status_; }
  /// What its body is packed with besides chunks, as a list; empty: nothing.
  const std::string& coding() const { return coding_; }
  /// Of the body; 0: unknown, or none.
  std::uint64_t length() const { return length_; }
  /// The first value of a name in lower case; empty text when it is missing.
  std::string header(std::string_view name) const;

 private:
  enum class Part { status, headers, chunk_size, body, chunk_end, trailers, done };
  static constexpr std::uint64_t kUntilTheEnd = std::numeric_limits<std::uint64_t>::max();

  /// All values of a name, joined with ", ".
  std::string list(std::string_view name) const;
  void read_codings(std::string_view list, bool transfer);
  void take_line(std::string_view& data);
  void read_line(std::string_view line);
  void read_status(std::string_view line);
  void read_header(std::string_view line);
  void read_chunk_size(std::string_view line);
  void end_head();
  void fail(std::string fault);

  const bool bodiless_;
  Part part_ = Part::status;
  std::string line_;        ///< what has come of the present line
  std::size_t lines_ = 0;   ///< bytes of all lines since the last piece of body
  std::uint64_t left_ = 0;  ///< of the body or the chunk
  std::uint64_t length_ = 0;
  bool chunked_ = false;
  bool keeps_connection_ = false;
  std::string coding_;
  int status_ = 0;
  std::vector<std::pair<std::string, std::string>> headers_;
  std::string fault_;
};

}  // namespace kling::net
