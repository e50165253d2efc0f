// pick, approve, ask: what only a person can say. The task waits; others go on.

#include "api/text.h"
#include "base/files.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

constexpr lua_Integer kMost = 100;  // a person reads them
constexpr std::size_t kLongest = 2000;

enum class Asking : std::uint8_t { pick, approve, ask };
constexpr const char* kAskings[] = {"pick", "approve", "ask"};
constexpr const char* kForms[] = {"write kling.pick(\"Which kite?\", { one, two })",
                                  "write kling.approve(\"Is it good?\", { clip })",
                                  "write kling.ask(\"Day or night?\", { \"day\", \"night\" })"};

// While one waits: the list at 1, the question at 2, the choices at 4.
int push_choice(lua_State* L, Call& call) {
  return lua_rawgeti(L, 4, call.reply->json.get<lua_Integer>()), 1;
}
int push_approval(lua_State* L, Call& call) { return lua_pushboolean(L, call.reply->json == 1), 1; }

/// Raises what is wrong with item `i` of the list, which is on top of the stack.
void check_item(lua_State* L, Asking verb, lua_Integer i) {
  const int kind = lua_type(L, -1);
  if (verb == Asking::ask
          ? kind == LUA_TSTRING || kind == LUA_TNUMBER
          : test_media(L, -1) || test_object<JobRef>(L, -1) || test_object<TaskRef>(L, -1))
    return;
  const char* type = luaL_typename(L, -1);
  const char* const text = kind == LUA_TSTRING ? lua_tostring(L, -1) : "";
  if (luaL_getmetafield(L, -1, "__name") == LUA_TSTRING) type = lua_tostring(L, -1);
  raise_new(L, [&](Error& error) {
    error.message = std::string(kAskings[int(verb)]) + ": item " + std::to_string(i) + " is a " +
                    type + "; it takes " +
                    (verb == Asking::ask ? "texts" : "clips, images and jobs");
    if (verb != Asking::ask && kind == LUA_TSTRING)
      error.hint = api::has_word("mp4 mov png jpg jpeg webp", extension_of(text))
                       ? "give what kling.concat or job:wait() returned, or kling.image(\"a.png\")"
                       : kForms[int(Asking::ask)];
    if (kind == LUA_TTABLE) error.hint = "kling.all and kling.map give one list: pass it as it is";
  });
}

template <Asking verb>
int put_question(lua_State* L) {
  constexpr const char* kind = kAskings[int(verb)];
  constexpr auto push = verb == Asking::approve ? push_approval : push_choice;
  std::size_t size = 0;
  const char* text = lua_tolstring(L, 2, &size);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 4));
  if (count == 1 && verb == Asking::pick) return lua_rawgeti(L, 4, 1), 1;

  Call& call = new_call(L, bound_client(L));
  const Where here = where(L);
  const Task* const task = state_of(L).running();
  lua_Integer same = 0;
  api::Json& choices = call.json;
  pure(L, [&] { choices = api::Json::array(); });
  for (lua_Integer i = 1; i <= count && same == 0; ++i, lua_pop(L, 1)) {
    lua_rawgeti(L, 4, i);
    check_item(L, verb, i);  // what a task came to may be anything
    const ImageRef* media = test_media(L, -1);
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
    return raise_new(L, [&](Error& error) {
      error.message = std::string(kind) + ": item " + std::to_string(same) + ", \"" +
                      choices.back().get<std::string>() + "\", is there before it";
      error.hint = "give each choice once";
    });
  call.reply->brief = false;
  pure(L, [&] {
    call.reply->question = std::make_shared<int>();
    call.client->engine->ask(
        {.kind = kind,
         .text = {text, size},
         .choices = choices,
         .where = here.text,
         .task = task ? task->path : "main"},
        call.sources, call.reply->question,
        [waiting = std::weak_ptr(call.reply)](const Result<engine::Question>& row) {
          const auto reply = waiting.lock();
          if (!reply || *reply->scheduler == nullptr) return;
          const auto tell = [waiting, row] {
            const auto put = [](Reply& to, const engine::Question& one) { to.json = one.answer; };
            if (auto open = waiting.lock()) into(std::move(open), put)(row);
          };
          // Answers of an earlier run come in the order in which they were given.
          (*reply->scheduler)
              ->arrive({.when = row ? row->at : 0, .ask = {}, .waiting = reply, .tell = tell});
        },
        state_of(L).expect());
  });
  return await<push>(L, call);
}

template <Asking verb>
int ask_about(lua_State* L) {
  constexpr const char* kind = kAskings[int(verb)];
  constexpr bool clips = verb != Asking::ask;
  const auto wrong = [&](const char* what, const char* hint) {
    return raise_message(L, lua_pushfstring(L, "%s%s", kind, what), hint);
  };
  std::size_t size = 0;
  const char* text = lua_type(L, 1) == LUA_TSTRING ? lua_tolstring(L, 1, &size) : "";
  bool blank = false;
  pure(L, [&] { blank = api::is_blank({text, size}); });
  constexpr const char* form = kForms[int(verb)];
  if (blank) return wrong(" wants the question first, as text", form);
  if (size > kLongest) return wrong(": the question is longer than 2000 bytes", "");
  if (!lua_istable(L, 2))
    return wrong(clips ? " wants a list of clips after the question"
                       : " wants a list of choices after the question",
                 form);
  check_list(L, 2, kind);
  if (!lua_isnoneornil(L, 3)) return wrong(" takes a question and a list, and no more", form);
  lua_settop(L, 2);
  lua_insert(L, 1);
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 1));
  if (count == 0) return wrong(" got an empty list", form);
  if (count == 1 && !clips) return wrong(": one choice is none", "give two or more");
  if (count > kMost) return wrong(": more than 100 are too many for a person", "");
  for (lua_Integer i = 1; i <= count; ++i, lua_pop(L, 1)) {  // before anything is waited for
    lua_rawgeti(L, 1, i);
    check_item(L, verb, i);
  }
  lua_pushnil(L);
  lua_createtable(L, static_cast<int>(count), 0);  // the script may change its own meanwhile
  return take_items<put_question<verb>>(L, LUA_OK, 0);
}

}  // namespace

const luaL_Reg kQuestionVerbs[] = {{"pick", with_dot<ask_about<Asking::pick>>},
                                   {"approve", with_dot<ask_about<Asking::approve>>},
                                   {"ask", with_dot<ask_about<Asking::ask>>},
                                   {nullptr, nullptr}};

}  // namespace kling::lua
