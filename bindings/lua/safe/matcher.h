// The patterns of Lua's string library, matched with every step counted: a pattern that would run
// for hours uses up the script's instructions instead. Raises Lua errors; plain data, as one may
// leave any of its functions.
#pragma once

#include <cctype>
#include <cstring>

#include "lua/safe/limits.h"

namespace kling::lua {

using Byte = unsigned char;

inline constexpr int kMostCaptures = 32;
inline constexpr int kMostDepth = 200;
inline constexpr std::uint64_t kLookAfter = 4096;  ///< steps between two looks at the limits

inline bool is_in_class(Byte c, Byte letter) {
  static constexpr char kLetters[] = "acdglpsuwx";
  static int (*const kTests[])(int) = {std::isalpha, std::iscntrl, std::isdigit, std::isgraph,
                                       std::islower, std::ispunct, std::isspace, std::isupper,
                                       std::isalnum, std::isxdigit};
  const char* found = std::strchr(kLetters, std::tolower(letter));
  if (found == nullptr || letter == 0) return c == letter;
  const bool in = kTests[found - kLetters](c) != 0;
  return std::isupper(letter) != 0 ? !in : in;
}

/// One subject and pattern. Positions in the subject are offsets; -1 is "no match".
class Matcher {
 public:
  Matcher(lua_State* L, std::string_view subject, std::string_view pattern)
      : L_(L), subject_(subject), pattern_(pattern) {}

  /// Where a match that begins at `at` ends.
  std::ptrdiff_t run(std::ptrdiff_t at) {
    depth_ = count_ = 0;
    return match(at, 0);
  }

  /// Captures of the last match, or all of it; returns how many were pushed.
  int push_captures(std::ptrdiff_t from, std::ptrdiff_t to, bool whole_if_none) {
    const int count = count_ == 0 && whole_if_none ? 1 : count_;
    luaL_checkstack(L_, count, "too many captures");
    for (int i = 0; i < count; ++i) push_capture(i, from, to);
    return count;
  }

  void push_capture(int index, std::ptrdiff_t from, std::ptrdiff_t to) {
    if (index >= count_) {
      if (index > 0) luaL_error(L_, "invalid capture index %%%d", index + 1);
      lua_pushlstring(L_, subject_.data() + from, std::size_t(to - from));
      return;
    }
    const Capture& capture = captures_[index];
    if (capture.length == kPosition) return lua_pushinteger(L_, capture.start + 1);
    if (capture.length == kOpen) luaL_error(L_, "unfinished capture");
    lua_pushlstring(L_, subject_.data() + capture.start, std::size_t(capture.length));
  }

  void spend(std::uint64_t steps) {
    steps_ += steps;
    if (steps_ < kLookAfter) return;
    charge(L_, steps_);
    steps_ = 0;
  }

 private:
  static constexpr std::ptrdiff_t kOpen = -1, kPosition = -2;
  struct Capture {
    std::ptrdiff_t start;
    std::ptrdiff_t length;
  };

  std::ptrdiff_t size() const { return std::ptrdiff_t(subject_.size()); }
  Byte at(std::ptrdiff_t i) const { return Byte(subject_[std::size_t(i)]); }
  /// The pattern's byte; 0 behind its end.
  char pat(std::size_t i) const { return i < pattern_.size() ? pattern_[i] : '\0'; }

  std::ptrdiff_t match(std::ptrdiff_t s, std::size_t p) {
    if (++depth_ > kMostDepth) luaL_error(L_, "pattern too complex");
    const std::ptrdiff_t end = match_items(s, p);
    --depth_;
    return end;
  }

  /// As match(); goes on by itself where nothing has to be tried twice.
  std::ptrdiff_t match_items(std::ptrdiff_t s, std::size_t p) {
    for (;;) {
      spend(1);
      if (p >= pattern_.size()) return s;
      const char c = pattern_[p];
      if (c == '(') return pat(p + 1) == ')' ? open(s, p + 2, kPosition) : open(s, p + 1, kOpen);
      if (c == ')') return close(s, p + 1);
      if (c == '$' && p + 1 == pattern_.size()) return s == size() ? s : -1;
      if (c == '%' && p + 1 < pattern_.size()) {
        const char next = pattern_[p + 1];
        if (next == 'b') {
          s = balanced(s, p + 2);
          if (s < 0) return -1;
          p += 4;
          continue;
        }
        if (next == 'f') {
          p += 2;
          if (pat(p) != '[') luaL_error(L_, "missing '[' after '%%f' in pattern");
          const std::size_t end = item_end(p);
          const Byte before = s == 0 ? 0 : at(s - 1);
          const Byte here = s < size() ? at(s) : 0;
          if (is_in_set(before, p, end) || !is_in_set(here, p, end)) return -1;
          p = end;
          continue;
        }
        if (std::isdigit(Byte(next)) != 0) {
          s = again(s, Byte(next));
          if (s < 0) return -1;
          p += 2;
          continue;
        }
      }
      const std::size_t end = item_end(p);
      switch (pat(end)) {
        case '?': {
          if (fits(s, p, end)) {
            const std::ptrdiff_t found = match(s + 1, end + 1);
            if (found >= 0) return found;
          }
          p = end + 1;
          continue;
        }
        case '+': return fits(s, p, end) ? longest(s + 1, p, end) : -1;
        case '*': return longest(s, p, end);
        case '-': return shortest(s, p, end);
        default:
          if (!fits(s, p, end)) return -1;
          ++s;
          p = end;
      }
    }
  }

  std::ptrdiff_t longest(std::ptrdiff_t s, std::size_t p, std::size_t end) {
    std::ptrdiff_t count = 0;
    while (fits(s + count, p, end)) ++count;
    for (; count >= 0; --count) {
      const std::ptrdiff_t found = match(s + count, end + 1);
      if (found >= 0) return found;
    }
    return -1;
  }

  std::ptrdiff_t shortest(std::ptrdiff_t s, std::size_t p, std::size_t end) {
    for (;; ++s) {
      const std::ptrdiff_t found = match(s, end + 1);
      if (found >= 0) return found;
      if (!fits(s, p, end)) return -1;
    }
  }

  std::ptrdiff_t open(std::ptrdiff_t s, std::size_t p, std::ptrdiff_t length) {
    if (count_ >= kMostCaptures) luaL_error(L_, "too many captures");
    captures_[count_] = {s, length};
    ++count_;
    const std::ptrdiff_t found = match(s, p);
    if (found < 0) --count_;
    return found;
  }

  std::ptrdiff_t close(std::ptrdiff_t s, std::size_t p) {
    int index = count_ - 1;
    while (index >= 0 && captures_[index].length != kOpen) --index;
    if (index < 0) luaL_error(L_, "invalid pattern capture");
    captures_[index].length = s - captures_[index].start;
    const std::ptrdiff_t found = match(s, p);
    if (found < 0) captures_[index].length = kOpen;
    return found;
  }

  /// %1 … %9: the text of a capture once more.
  std::ptrdiff_t again(std::ptrdiff_t s, Byte digit) {
    const int index = digit - '1';
    if (index < 0 || index >= count_ || captures_[index].length == kOpen)
      luaL_error(L_, "invalid capture index %%%d in pattern", index + 1);
    // A position has no text; the stock functions take its mark for a length, which never fits.
    const std::ptrdiff_t length = captures_[index].length;
    if (length < 0 || size() - s < length) return -1;
    spend(std::uint64_t(length) / 8);
    const char* data = subject_.data();
    const bool same =
        std::memcmp(data + captures_[index].start, data + s, std::size_t(length)) == 0;
    return same ? s + length : -1;
  }

  std::ptrdiff_t balanced(std::ptrdiff_t s, std::size_t p) {
    if (p + 1 >= pattern_.size()) luaL_error(L_, "malformed pattern (missing arguments to '%%b')");
    const Byte begin = Byte(pattern_[p]), end = Byte(pattern_[p + 1]);
    if (s >= size() || at(s) != begin) return -1;
    for (std::ptrdiff_t nested = 1; ++s < size();) {
      spend(1);
      if (at(s) == end) {
        if (--nested == 0) return s + 1;
      } else if (at(s) == begin) {
        ++nested;
      }
    }
    return -1;
  }

  /// Where the single-character item at `p` ends.
  std::size_t item_end(std::size_t p) {
    const char first = pattern_[p++];
    if (first == '%') {
      if (p >= pattern_.size()) luaL_error(L_, "malformed pattern (ends with '%%')");
      return p + 1;
    }
    if (first != '[') return p;
    if (pat(p) == '^') ++p;
    for (bool first_one = true;; first_one = false) {  // a ']' that comes first is meant as itself
      if (p >= pattern_.size()) luaL_error(L_, "malformed pattern (missing ']')");
      spend(1);
      const char c = pattern_[p++];
      if (c == ']' && !first_one) return p;
      if (c == '%') ++p;
    }
  }

  bool fits(std::ptrdiff_t s, std::size_t p, std::size_t end) {
    spend(1);
    if (s >= size()) return false;
    const Byte c = at(s);
    switch (pattern_[p]) {
      case '.': return true;
      case '%': return is_in_class(c, Byte(pattern_[p + 1]));
      case '[': return is_in_set(c, p, end);
      default: return Byte(pattern_[p]) == c;
    }
  }

  /// The set from '[' at `p` to behind its ']'.
  bool is_in_set(Byte c, std::size_t p, std::size_t end) {
    spend((end - p) / 2);
    const std::size_t last = end - 1;
    ++p;
    const bool inside = pattern_[p] != '^';
    if (!inside) ++p;
    while (p < last) {
      if (pattern_[p] == '%') {
        if (is_in_class(c, Byte(pat(p + 1)))) return inside;
        p += 2;
      } else if (pat(p + 1) == '-' && p + 2 < last) {
        if (Byte(pattern_[p]) <= c && c <= Byte(pattern_[p + 2])) return inside;
        p += 3;
      } else {
        if (Byte(pattern_[p]) == c) return inside;
        ++p;
      }
    }
    return !inside;
  }

  lua_State* const L_;
  const std::string_view subject_;
  const std::string_view pattern_;
  std::uint64_t steps_ = 0;
  int depth_ = 0;
  int count_ = 0;
  Capture captures_[kMostCaptures];
};

}  // namespace kling::lua
