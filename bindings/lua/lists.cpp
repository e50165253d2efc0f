// The verbs of a list of clips and pictures: concat, timeline and sheet.
#include <cstring>

#include "engine/media/ffmpeg.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

using engine::MediaSource;
using Recipe = MediaSource::Recipe;

int push_film(lua_State* L, Call& call) {
  ClipRef& film = new_object<ClipRef>(L);
  pure(L, [&] {
    film.client = call.client;
    film.source = make_source(Recipe::clip, call.reply->text);
  });
  return 1;
}

enum class Verb : std::uint8_t { concat, timeline, sheet };
constexpr const char* kVerbNames[] = {"concat", "timeline", "sheet"};
constexpr const char* kExamples[] = {"write kling.concat({ one, two }, \"film.mp4\")",
                                     "write kling.timeline({ one, two }, \"film.otio\")",
                                     "write kling.sheet({ one, two }, { columns = 3 })"};

Result<MediaSource::Sheet> sheet_of(const api::Json& written) {
  MediaSource::Sheet sheet;
  const Status read =
      engine::media::sheet_options(written, sheet.columns, sheet.frames, sheet.labels);
  if (!read) return read.error();
  return sheet;
}

template <class Value>
Status discard(const Result<Value>& result) {
  return result ? Status(Done{}) : Status(result.error());
}

/// The options at 3 are replaced by what they say, checked before any part is waited for.
void read_options(lua_State* L, Verb verb) {
  const char* path = lua_tostring(L, 2);
  auto& call = new_object<Call>(L);
  pure_or_raise(L, state_of(L).slip, [&]() -> Status {
    call.json = api::Json::object();
    if (!lua_isnil(L, 3))
      if (Status written = put(to_json(L, 3, nullptr), call.json); !written) return written;
    if (verb == Verb::sheet) return discard(sheet_of(call.json));
    Status read = discard(engine::media::film_options(call.json, kVerbNames[int(verb)]));
    return read ? engine::media::check_ending(path, verb == Verb::timeline) : read;
  });
  lua_replace(L, 3);
}

/// Parts, path, options, and the parts with clips in place of jobs.
template <Verb verb>
int join(lua_State* L) {
  const auto count = static_cast<lua_Integer>(lua_rawlen(L, 1));
  Call& call = new_call(L, bound_client(L));
  const api::Json& options = own_object<Call>(L, 3).json;
  std::size_t bytes = 0;
  for (lua_Integer i = 1; i <= count; ++i, lua_pop(L, 1))
    if (lua_rawgeti(L, 4, i) == LUA_TSTRING) bytes += lua_rawlen(L, -1);
  hold_memory(L, bytes, call.reply->memory);
  for (lua_Integer i = 1; i <= count; ++i, lua_pop(L, 1)) {
    const char* path = lua_rawgeti(L, 4, i) == LUA_TSTRING ? check_path(L, -1) : nullptr;
    const ImageRef* media = test_media(L, -1);
    if (media == nullptr && path == nullptr)
      luaL_error(L, "%s: item %d is a %s; it takes clips, images and paths%s",
                 kVerbNames[int(verb)], static_cast<int>(i), luaL_typename(L, -1),
                 lua_istable(L, -1) ? "; kling.all and kling.map give one list" : "");
    pure(L,
         [&] { call.sources.push_back(media ? media->source : make_source(Recipe::part, path)); });
  }
  if constexpr (verb == Verb::sheet)
    return push_image(L, call.client, [&] {
      auto source = make_source(Recipe::sheet, "");
      auto sheet = std::make_shared<MediaSource::Sheet>(*sheet_of(options));
      sheet->of = std::move(call.sources);
      source->sheet = std::move(sheet);
      return source;
    });
  pure(L, [&] {
    engine::Engine& engine = *call.client->engine;
    const char* out = lua_tostring(L, 2);
    if (verb == Verb::timeline)
      engine.timeline(std::move(call.sources), out, options, text_into(call));
    else
      engine.concat(std::move(call.sources), out, options, text_into(call));
  });
  return await < verb == Verb::timeline ? push_reply_text : push_film > (L, call);
}

template <Verb verb>
int verb_of_list(lua_State* L) {
  const char* name = kVerbNames[int(verb)];
  const auto wrong = [&](const char* what, const char* hint) {
    raise_message(L, lua_pushfstring(L, "%s %s", name, what), hint);
  };
  if (!lua_istable(L, 1))
    wrong("takes a list of clips first", lua_isnil(L, 1)
                                             ? "if a function gave the list, does it have a return?"
                                             : kExamples[int(verb)]);
  check_list(L, 1, name);
  if (!lua_isnoneornil(L, verb == Verb::sheet ? 3 : 4))
    wrong("takes its options in one table, the last", kExamples[int(verb)]);
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1))
    if (lua_type(L, -2) == LUA_TSTRING && std::strcmp(lua_tostring(L, -2), "n") != 0) {
      const char* key = lua_tostring(L, -2);
      wrong(lua_pushfstring(L, "takes a list, and got a table with the name %s in it", key),
            lua_pushfstring(L, "options are a table of their own, the last one: { %s = … }", key));
    }
  if (lua_rawlen(L, 1) == 0)
    wrong("got an empty list",
          "the function that made the clips, or that kling.map was given, has to return them");
  if (verb == Verb::sheet && lua_type(L, 2) == LUA_TSTRING)
    wrong("takes no path", "write kling.sheet({ one, two }):save(\"sheet.png\")");
  if (verb == Verb::sheet) {
    lua_settop(L, 2);
    lua_pushliteral(L, "");
    lua_insert(L, 2);
  }
  if (lua_type(L, 2) != LUA_TSTRING)
    wrong(verb == Verb::timeline ? "wants a path" : "wants the path of the film",
          kExamples[int(verb)]);
  check_path(L, 2);
  lua_settop(L, 3);
  for (lua_Integer i = 1; lua_rawgeti(L, 1, i) != LUA_TNIL; ++i, lua_pop(L, 1))
    if (lua_rawequal(L, -1, 2) && verb != Verb::sheet)
      wrong("has the film's own path as a part", "give the film another name");
  lua_pop(L, 1);
  if (!lua_isnil(L, 3) && !lua_istable(L, 3))
    wrong("takes options by name",
          verb == Verb::concat
              ? "write kling.concat({ one, two }, \"film.mp4\", { audio = \"song.mp3\" })"
              : kExamples[int(verb)]);
  read_options(L, verb);
  state_of(L).check_can_wait(L);
  lua_newtable(L);
  return take_items<join<verb>>(L, LUA_OK, 0);
}

}  // namespace

const luaL_Reg kListVerbs[] = {{"concat", with_dot<verb_of_list<Verb::concat>>},
                               {"timeline", with_dot<verb_of_list<Verb::timeline>>},
                               {"sheet", with_dot<verb_of_list<Verb::sheet>>},
                               {nullptr, nullptr}};

}  // namespace kling::lua
