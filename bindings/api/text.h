// Small things about text that checks and decoder share. Pure; any thread.
#pragma once

#include "api/request.h"

namespace kling::api {

std::size_t characters(std::string_view utf8);
/// The offset of the first byte that is no UTF-8, or npos.
std::size_t bad_utf8(std::string_view text);
/// True when nothing of it can be seen: blanks of every script, marks without width, controls.
bool is_blank(std::string_view utf8);
std::string lower(std::string_view text);
/// Whether a word is in a list that is separated by spaces.
bool has_word(std::string_view words, std::string_view word);
std::string joined(const std::vector<std::string>& words, std::string_view separator);
/// A decimal integer without spaces or leading zeros; nothing when it is none or exceeds 64 bits.
std::optional<std::int64_t> whole_number(std::string_view text);
bool is_url(std::string_view text);
/// An address as services and people write it, made one that can be called: what stands around it
/// is cut off, line breaks within are dropped, and blanks are encoded.
std::string tidy_url(std::string_view text);

/// Foreign text made fit for a message: control characters become spaces, broken UTF-8 becomes
/// '?', what is no text becomes "binary data", keys and the queries of URLs are cut out; at most
/// `limit` bytes, then "…".
std::string excerpt(std::string_view text, std::size_t limit);
/// A value as a message shows it: "\"7\"", 12, true, "a list".
std::string shown(const Json& value);
/// A text or number as text; empty for anything else. Integers keep every digit.
std::string scalar_text(const Json& value);
/// JSON on one line; broken UTF-8 in it is replaced.
std::string to_text(const Json& value);
void append_text(std::string& to, const Json& value);
void append_quoted(std::string& to, std::string_view text);
/// A member of an object; a null value when `value` is no object or has none.
const Json& member(const Json& value, std::string_view key);

/// Without the blanks and, where they are not meant, the quotes around it.
std::string bare(std::string_view pasted, bool quotes = true);
/// A key without what came with it: blanks, quotes, "Bearer ", the name of its variable. Error
/// (auth): blanks or foreign letters are inside of it. `source`: whose, in words.
Result<std::string> bare_key(std::string_view pasted, const std::string& source);
/// Takes the byte order mark off a text. Error (invalid): it is UTF-16. `name`: the file's.
Status take_byte_order_mark(std::string& text, const std::string& name);

/// The rows of a CSV file as objects: the first row names the columns, empty cells are left out.
/// Commas, semicolons or tabs separate, or what a first line "sep=;" names; a cell in quotes may
/// hold them, line breaks and "" for a quote. Error (invalid): what is wrong, with the row as a
/// spreadsheet counts and the column.
Result<Json> read_csv(std::string text, const std::string& name, Json* numbers = nullptr);

}  // namespace kling::api
