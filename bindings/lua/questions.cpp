// pick, approve, ask: what only a person can say. The task waits; others go on.
#include <cstring>

#include "api/text.h"
#include "lua/runtime_state.h"
#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

constexpr lua_Integer kMost = 100;  // a person reads them
constexpr std::size_t kLongest = 2000;

int push_choice(lua_State* L, Call& call) {
  return lua_rawgeti(L, 2, call.reply->json.get<lua_Integer>()), 1;
}
int push_approval(lua_State* L, Call& call) { return lua_pushboolean(L, call.reply->json == 1), 1; }

/// What is wrong with item `i` of the list, which is on top of the stack.
int refuse_item(lua_State* L, const char* kind, lua_Integer i, const char* takes) {
  const char* type = luaL_typename(L, -1);
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) type = lua_tostring(L, -1);
  const bool waits = std::strstr(type, ".Job") != nullptr || std::strstr(type, ".Task") != nullptr;
  return raise_new(L, Kind::invalid, [&](Error& error) {
    error.message =
        std::string(kind) + ": item " + std::to_string(i) + " is a " + type + "; it takes " + takes;
    if (waits)
      error.hint =
          std::string("wait for them first: kling.") + kind + "(question, kling.all(list))";
  });
}

template <int (*Push)(lua_State*, Call&)>
int ask_about(lua_State* L, const char* kind, bool clips) {
  const auto wrong = [&](const char* what, const char* hint) {
    return raise_new(L, Kind::invalid, [&](Error& error) {
      error.message = std::string(kind) + what;
      error.hint = hint;
    });
  };
  std::size_t size = 0;
  const char* text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : "";
  bool blank = false;
  pure(L, [&] { blank = api::is_blank({text, size}); });
  if (blank) return wrong(" wants the question first, as text", "write \"Which take?\"");
  if (size > kLongest) return wrong(": the question is longer than 2000 bytes", "");
  if (!lua_istable(L, 2))
    return wrong(clips ? " wants a list of clips after the question"
                       : " wants a list of choices after the question",
                 clips ? "write { one, two }" : "write { \"day\", \"night\" }");
  lua_settop(L, 2);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 2));
  if (count == 0) return wrong(" got an empty list", "");
  if (count == 1 && !clips) return wrong(": one choice is none", "give two or more");
  if (count > kMost) return wrong(": more than 100 are too many for a person", "");
  lua_createtable(L, static_cast<int>(count), 0);  // the script may change its own meanwhile
  for (lua_Integer i = 1; i <= count; ++i) {
    const bool is_text = lua_rawgeti(L, 2, i) == LUA_TSTRING || lua_type(L, -1) == LUA_TNUMBER;
    const bool media = test_object<ClipRef>(L, -1) || test_object<ImageRef>(L, -1);
    if (clips ? !media : !is_text)
      return refuse_item(L, kind, i, clips ? "clips and images" : "texts");
    lua_rawseti(L, 3, i);
  }
  lua_replace(L, 2);  // question list
  if (count == 1 && Push == push_choice) return lua_rawgeti(L, 2, 1), 1;

  Call& call = new_call(L, bound_client(L));
  const Where here = where(L);
  lua_Integer same = 0;
  api::Json& choices = call.json;
  pure(L, [&] { choices = api::Json::array(); });
  for (lua_Integer i = 1; i <= count && same == 0; ++i, lua_pop(L, 1)) {
    lua_rawgeti(L, 2, i);
    ImageRef* media = test_object<ClipRef>(L, -1);
    if (media == nullptr) media = test_object<ImageRef>(L, -1);
    const char* choice = media == nullptr ? luaL_tolstring(L, -1, nullptr) : "";
    pure(L, [&] {
      if (media != nullptr) return call.sources.push_back(media->source);
      for (const auto& other : choices)
        if (other == choice) same = i;
      choices.push_back(api::excerpt(choice, kLongest));
    });
    if (media == nullptr) lua_pop(L, 1);
  }
  if (same != 0)
    return raise_new(L, Kind::invalid, [&](Error& error) {
      error.message = std::string(kind) + ": item " + std::to_string(same) + ", \"" +
                      choices.back().get<std::string>() + "\", is there before it";
    });
  call.reply->brief = false;
  pure(L, [&] {
    call.client->engine->ask(
        {.kind = kind, .text = {text, size}, .choices = choices, .where = here.text}, call.sources,
        call.reply, [waiting = std::weak_ptr(call.reply)](Result<int> answer) {
          const auto put = [](Reply& reply, int number) { reply.json = number; };
          if (auto reply = waiting.lock()) into(std::move(reply), put)(std::move(answer));
        });
  });
  return await<Push>(L, call);
}

int pick(lua_State* L) { return ask_about<push_choice>(L, "pick", true); }
int approve(lua_State* L) { return ask_about<push_approval>(L, "approve", true); }
int ask(lua_State* L) { return ask_about<push_choice>(L, "ask", false); }

}  // namespace

const luaL_Reg kQuestionVerbs[] = {{"pick", with_dot<pick>},
                                   {"approve", with_dot<approve>},
                                   {"ask", with_dot<ask>},
                                   {nullptr, nullptr}};

}  // namespace kling::lua
