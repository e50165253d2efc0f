#include <algorithm>

#include "api/decoder.h"
#include "api/text.h"

namespace kling::api {
namespace {

constexpr std::size_t kDeepest = 64;

/// Builds the value as the parser walks; returning false ends the walk.
class Builder : public nlohmann::json_sax<Json> {
 public:
  explicit Builder(Json& root, bool digits = true) : root_(root), digits_(digits) {}

  bool null() override { return put(nullptr); }
  bool boolean(bool value) override { return put(value); }
  bool number_integer(number_integer_t value) override { return put(value); }
  bool number_unsigned(number_unsigned_t value) override { return put(value); }
  bool number_float(number_float_t value, const string_t& text) override {
    // The parser calls an integer beyond 64 bits a float: keep its digits.
    if (digits_ && text.find_first_not_of("-0123456789") == std::string::npos) return put(text);
    return put(value);
  }
  bool string(string_t& value) override { return put(std::move(value)); }
  bool binary(binary_t&) override { return false; }
  bool key(string_t& value) override {
    key_ = std::move(value);
    return true;
  }
  bool start_object(std::size_t) override { return open(Json::object()); }
  bool start_array(std::size_t) override { return open(Json::array()); }
  bool end_object() override { return close(); }
  bool end_array() override { return close(); }
  bool parse_error(std::size_t, const std::string&, const nlohmann::detail::exception&) override {
    return false;
  }

 private:
  Json& place(Json value) {
    if (open_.empty()) return root_ = std::move(value);
    if (open_.back()->is_object()) return (*open_.back())[key_] = std::move(value);
    open_.back()->push_back(std::move(value));
    return open_.back()->back();
  }
  bool put(Json value) {
    place(std::move(value));
    return true;
  }
  bool open(Json container) {
    if (open_.size() == kDeepest) return false;
    open_.push_back(&place(std::move(container)));
    return true;
  }
  bool close() {
    open_.pop_back();
    return true;
  }

  Json& root_;
  const bool digits_;
  std::string key_;
  std::vector<Json*> open_;  // a container does not move while one inside it is open
};

}  // namespace

Json parse_json(std::string_view text, bool digits) {
  Json value;
  Builder builder(value, digits);
  if (!Json::sax_parse(text.begin(), text.end(), &builder)) return Json(Json::value_t::discarded);
  return value;
}

Json parse_answer(std::string_view text, bool& whole) {
  Json value = parse_json(text);
  whole = !value.is_discarded();
  if (whole) return value;
  std::string clean(text);
  std::erase(clean, '\0');  // behind it, or in every other byte of UTF-16
  for (std::size_t at = 0, bad = 0;
       (bad = bad_utf8(std::string_view(clean).substr(at))) != clean.npos;)
    clean[at += bad] = '?';
  std::ranges::replace_if(
      clean, [](unsigned char c) { return c < 0x20; }, ' ');
  for (const std::string_view word : {"NaN", "-Infinity", "Infinity"})  // as Python writes them
    for (std::size_t at = 0; (at = clean.find(word, at)) != clean.npos; at += 4)
      if (const std::size_t before = clean.find_last_not_of(' ', at - 1);
          at > 0 && before != clean.npos && (clean[before] == ':' || clean[before] == ','))
        clean.replace(at, word.size(), "null");
  const std::size_t start = clean.find_first_of("{[<");  // nothing in a web page is meant
  // Of a number that is cut off nobody sees that it is.
  clean.erase(clean.find_last_not_of("+-.0123456789eE") + 1);
  value = nullptr;
  Builder builder(value);
  whole = Json::sax_parse(clean.begin() + std::ptrdiff_t(std::min(start, clean.size())),
                          clean.end(), &builder, Json::input_format_t::json, false) &&
          clean.find_first_not_of(' ') == start;
  return value;
}

}  // namespace kling::api
