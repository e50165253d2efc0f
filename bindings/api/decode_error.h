// What an unsuccessful answer means: the table of api-contract 4.13, 1.7, 3.5 and 10. Pure.
#pragma once

#include <span>

#include "api/decoder.h"

namespace kling::api {

enum class Asked { create, query, any };

/// A row of the error table. The first one whose conditions all hold decides; an empty one always
/// holds.
struct ErrorRow {
  std::string_view codes;  ///< separated by spaces
  const char* phrase;      ///< in the message, in lower case
  std::string_view http;   ///< statuses, or "4xx" or "5xx" for all of these
  Asked asked;
  Kind kind;
  Refusal refusal;
  const char* hint;

  bool fits(Asked by, int status, std::string_view code, std::string_view words) const;
};
std::span<const ErrorRow> error_rows();

struct Fault {
  bool found = false;
  std::string code;
  std::string message;
};

/// The first failing code or error object in the nested bodies, outermost first; a Kling error
/// written as text inside a proxy's message wins. REQUIRES: a level.
Fault find_fault(const std::vector<const Json*>& levels, int http_status);
/// True for 0, "success", 200 and the like, and for no code at all.
bool is_success_code(const Json& code);

/// Fills refusal and error of `answer` for an answer that holds no task.
void refuse(Answer& answer, Asked asked, int http_status, const Fault& fault);
/// For a body that is no JSON, or JSON that explains nothing: `body` is kept in its first bytes.
void refuse_unreadable(Answer& answer, Asked asked, int http_status, std::string_view body);

}  // namespace kling::api
