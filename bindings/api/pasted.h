// Text as people paste it and as editors save it. Pure; any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"

namespace kling::api {

/// Without the blanks and quotes around it.
std::string bare(std::string_view pasted);
/// A key without what came with it: blanks, quotes, "Bearer ", the name of its variable. Error
/// (auth): blanks or foreign letters are inside of it. `source`: whose, in words.
Result<std::string> bare_key(std::string_view pasted, const std::string& source);
/// Takes the byte order mark off a text. Error (invalid): it is UTF-16. `name`: the file's.
Status take_byte_order_mark(std::string& text, const std::string& name);

}  // namespace kling::api
