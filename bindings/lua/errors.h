// Errors as Lua values, and where in the user's code something happened. Owner's thread only.
#pragma once

#include <memory>

#include "base/error.h"
#include "lua/guard.h"

namespace kling::lua {

struct ErrorValue {
  Error error;
  std::string where;             ///< "film.lua:14", the line that got the error
  std::string asked;             ///< the line that made the job, when that is another one
  std::string traceback;         ///< through the user's own code
  std::shared_ptr<void> memory;  ///< what this takes of a limited state
};

void define_error(lua_State* L);
std::string to_text(const ErrorValue& value);
std::size_t text_bytes(const ErrorValue& value);

/// The line of the innermost function of the user's own code: "film.lua:12", or "". Never raises.
struct Where {
  char text[LUA_IDSIZE + 16] = "";
  int line = 0, function = 0;  ///< also that where the function begins
};
Where where(lua_State* L);

/// Lines of a traceback without C functions and the prelude, which go on what was kept `before`.
std::string user_frames(const char* traceback, std::string before = "");

/// Raises a copy of `error`, which must be owned by an object on the Lua stack, or the state.
int raise(lua_State* L, const Error& error, const char* asked = "");
/// pure() for work that gives a Status: raises its error, of which `error`, owned so, keeps hold.
template <class Work>
void pure_or_raise(lua_State* L, Error& error, Work work) {
  static_assert(std::is_trivially_destructible_v<Work>, "capture references only");
  bool failed = false;
  pure(L, [&] {
    Status done = work();
    failed = !done;
    if (failed) error = std::move(done.error());
  });
  if (failed) raise(L, error);
}
/// Puts a value there; or gives the error.
template <class Value>
Status put(Result<Value> value, Value& there) {
  if (!value) return std::move(value.error());
  there = std::move(*value);
  return Done{};
}
template <class Fill>
int raise_new(lua_State* L, Fill fill) {
  Error& error = new_object<Error>(L);
  pure(L, [&] { fill(error); });
  return raise(L, error);
}
inline int raise_message(lua_State* L, const char* message, const char* hint = "",
                         Kind kind = Kind::invalid) {
  return raise_new(L, [&](Error& error) {
    error.kind = kind;
    error.message = message;
    error.hint = hint;
  });
}
constexpr const char* kPoint = "numbers have a point: 2.5, not 2,5";
/// Leaves `most` arguments. Raises where a comma stands for a point, as in clip:frame(2,5).
inline void check_no_comma(lua_State* L, int most) {
  if (lua_type(L, most) == LUA_TNUMBER && lua_type(L, most + 1) == LUA_TNUMBER &&
      where(L).line > 0)  // kling.map gives one
    raise_message(L, "a number too many stands in the brackets", kPoint);
  lua_settop(L, most);
}

/// For __index: nothing, of a field that the class ("kling.Job") may have; raises for others.
int no_value(lua_State* L, const char* owner, const char* member);

/// A function of the module, which must not be called as a method of it.
int refuse_module(lua_State* L);
/// A global, or a member of the module ("kling.pro"), that was read and has no value.
void note_missing(lua_State* L, const char* name);
/// Warns of a global without a value that was read for the arguments of this call.
void tell_missing(lua_State* L);
template <lua_CFunction Function>
int with_dot(lua_State* L) {
  return refuse_module(L), tell_missing(L), Function(L);
}
/// A path as it was written; the shell's "~" is no folder here.
const char* check_path(lua_State* L, int index);

}  // namespace kling::lua
