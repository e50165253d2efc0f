// The Image and Clip userdata, and the verbs that make them.
#include <cstring>

#include "api/text.h"
#include "engine/media/ffmpeg.h"
#include "lua/runtime_state.h"
#include "lua/safe/limits.h"

namespace kling::lua {
namespace {

using engine::MediaSource;
using Recipe = MediaSource::Recipe;

constexpr const char *kImage = "kling.Image", *kClip = "kling.Clip";

ClipRef& check_clip(lua_State* L) { return check_object<ClipRef>(L, 1, kClip); }

/// The Image or Clip at `index`, null when it is neither.
ImageRef* test_media(lua_State* L, int index) {
  ImageRef* clip = test_object<ClipRef>(L, index);
  return clip ? clip : test_object<ImageRef>(L, index);
}

ImageRef& check_media(lua_State* L) {
  ImageRef* media = test_media(L, 1);
  if (media == nullptr) wrong_self(L, 1, kClip);
  return *media;
}

std::shared_ptr<MediaSource> make_source(Recipe recipe, std::string path) {
  auto source = std::make_shared<MediaSource>();
  source->recipe = recipe;
  source->path = std::move(path);
  return source;
}

/// A still from the clip `from` (its end, or at `seconds`).
std::shared_ptr<MediaSource> make_frame(const MediaSource& from, Recipe recipe, double seconds) {
  auto source = make_source(recipe, from.path);
  source->job = from.job;
  source->video = from.video;
  source->seconds = seconds;
  if (from.recipe != Recipe::clip || recipe == Recipe::clip) return source;
  source->seconds += from.from;
  if (recipe == Recipe::last_frame && from.to > 0) {
    source->recipe = Recipe::frame_at;
    source->seconds = from.shows_last();
  }
  return source;
}

std::string describe(const ImageRef& media) {
  const MediaSource& source = *media.source;
  std::string of = source.path;
  std::string length;
  if (source.job != nullptr && media.client->engine) {
    const auto now = media.client->engine->snapshot(source.job);
    of = now.handle;
    if (source.recipe == Recipe::clip && now.duration() > 0)
      length = printed(", %.1f s", now.duration());
    if (source.recipe == Recipe::clip && !now.file.empty() && !source.edited())
      return "Clip " + of + length + ", " + now.file;
  } else if (source.job != nullptr) {
    of = "a closed job";
  }
  if (source.to > 0)
    length = printed(", %g to %g s", source.from, source.to);
  else if (source.from > 0)
    length = printed(", from %g s on", source.from);
  if (source.mute) of += ", muted";
  switch (source.recipe) {
    case Recipe::file:
    case Recipe::still:
    case Recipe::part: return "Image " + of;
    case Recipe::bytes: return "Image of " + std::to_string(source.bytes.size()) + " bytes";
    case Recipe::sheet: return "Image sheet of " + std::to_string(source.sheet->of.size());
    case Recipe::last_frame: return "Image last frame of " + of;
    case Recipe::frame_at: return printed("Image frame at %g s of ", source.seconds) + of;
    case Recipe::clip: return "Clip " + of + length;
  }
  return "Image";
}

int media_tostring(lua_State* L) {
  const ImageRef& media = check_media(L);
  return push_text(L, [&] { return describe(media); });
}

int push_reply_text(lua_State* L, Call& call) {
  lua_pushlstring(L, call.reply->text.data(), call.reply->text.size());
  return 1;
}

/// A Call on the media at 1: an error of it is one of the job that made the clip.
Call& call_on(lua_State* L, const ImageRef& media) {
  Call& call = new_call(L, media.client);
  if (const ClipRef* clip = test_object<ClipRef>(L, 1); clip != nullptr && clip->made_by)
    pure(L, [&] { call.reply->made_by = clip->made_by->ask; });
  return call;
}

int media_save(lua_State* L) {
  const ImageRef& media = check_media(L);
  const char* path = check_path(L, 2);
  Call& call = call_on(L, media);
  pure(L, [&] { call.client->engine->save(media.source, path, text_into(call)); });
  return await<push_reply_text>(L, call);
}

int media_bytes(lua_State* L) {
  const ImageRef& media = check_media(L);
  Call& call = call_on(L, media);
  pure(L, [&] { call.client->engine->bytes(media.source, text_into(call)); });
  return await<push_reply_text>(L, call);
}

int media_made(lua_State* L, const ImageRef& media) {
  Call& call = new_call(L, media.client);
  pure(L, [&] { call.client->engine->materialize(media.source, text_into(call)); });
  return await<push_reply_text>(L, call);
}

int image_index(lua_State* L) {
  const ImageRef& image = check_object<ImageRef>(L, 1, kImage);
  if (push_method(L)) return 1;
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "path") == 0) return media_made(L, image);
  if (std::strcmp(key, "seconds") == 0 && image.source->still_seconds > 0)
    return lua_pushnumber(L, image.source->still_seconds), 1;
  return no_value(L, kImage, key);
}

// ---- Clips ----

int was_stored(lua_State* L, int, lua_KContext) {
  const ClipRef& clip = check_clip(L);
  state_of(L).woken(L, *own_object<Wait>(L, 3));
  const auto& now = push_snapshot(L, *clip.client, clip.source->job);
  if (now.file.empty() && now.store_error) return raise(L, *now.store_error, now.script.c_str());
  return push_some(L, now.file);
}

int clip_path(lua_State* L, const ClipRef& clip) {
  if (clip.source->edited()) return media_made(L, clip);
  if (clip.source->job == nullptr) return push_some(L, clip.source->path);
  engine::Engine& engine = engine_of(L, *clip.client);
  // Of no file: what another program makes of a plan's drawing is no film.
  if (const char* none = engine.options.store_folder.c_str(); engine.options.plans)
    return lua_pushfstring(L, "%s/none/%p.mp4", none, lua_topointer(L, 1)), 1;
  if (!engine.options.store) return 0;
  lua_settop(L, 2);
  Wait& wait = new_wait(L);
  pure(L, [&] { engine.watch(clip.source->job, engine::Milestone::stored, {wait, wake(wait)}); });
  return state_of(L).park(L, *wait, kNever, was_stored, 0);
}

int push_duration(lua_State* L, Call& call) {
  push_json(L, api::member(call.reply->json, "duration"));
  return 1;
}

template <int (*Push)(lua_State*, Call&)>
int probe(lua_State* L, const ClipRef& clip) {
  Call& call = new_call(L, clip.client);
  pure(L, [&] { call.client->engine->probe(clip.source, into(call.reply, &Reply::json)); });
  return await<Push>(L, call);
}

int push_maker(lua_State* L, const ClipRef& clip) {
  JobRef& job = new_object<JobRef>(L);
  if (clip.made_by != nullptr) job = *clip.made_by;
  return 1;
}

int clip_index(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  if (push_method(L)) return 1;
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "path") == 0) return clip_path(L, clip);
  if (clip.source->job == nullptr || clip.source->edited()) {
    if (std::strcmp(key, "job") == 0 && clip.made_by != nullptr) return push_maker(L, clip);
    if (std::strcmp(key, "duration") == 0) return probe<push_duration>(L, clip);
    return no_value(L, kClip, key);
  }
  if (std::strcmp(key, "job") == 0) return push_maker(L, clip);
  const auto& now = push_snapshot(L, *clip.client, clip.source->job);
  if (std::strcmp(key, "videos") == 0) {
    api::Json& videos = new_object<api::Json>(L);
    pure(L, [&] { videos = engine::to_json(now.videos); });
    return push_json(L, videos), 1;
  }
  if (std::strcmp(key, "duration") == 0 && now.duration() > 0)
    return lua_pushnumber(L, now.duration()), 1;
  const auto index = static_cast<std::size_t>(clip.source->video);
  if (std::strcmp(key, "url") == 0 && index < now.videos.size()) {
    lua_pushstring(L, now.videos[index].url.c_str());
    return 1;
  }
  return no_value(L, kClip, key);
}

int clip_probe(lua_State* L) { return probe<push_reply_json>(L, check_clip(L)); }

/// Pushes the clip with less of it, made when its bytes are needed; concat cuts it itself.
template <class Change>
int push_cut(lua_State* L, const ClipRef& clip, Change change) {
  ClipRef& cut = new_object<ClipRef>(L);
  pure(L, [&] {
    cut = clip;
    cut.source = make_frame(*clip.source, Recipe::clip, 0);
    cut.source->from = clip.source->from;
    cut.source->to = clip.source->to;
    cut.source->mute = clip.source->mute;
    change(*cut.source);
  });
  return 1;
}

int clip_mute(lua_State* L) {
  return push_cut(L, check_clip(L), [](MediaSource& cut) { cut.mute = true; });
}

/// How long the clip is as far as that is known at once, and in `told` what the service says, which
/// may be rounded; 0: not known.
lua_Number length_of(lua_State* L, const ClipRef& clip, lua_Number& told) {
  const MediaSource& of = *clip.source;
  const bool cut = of.to > 0;
  told = cut || of.job == nullptr ? 0 : push_snapshot(L, *clip.client, of.job).duration();
  return cut ? of.to - of.from : told > 0 ? told - of.from : 0;
}

int clip_trim(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  check_no_comma(L, 3);
  const bool ends = !lua_isnoneornil(L, 3);
  const lua_Number from = lua_isnumber(L, 2) ? lua_tonumber(L, 2) : -1;
  const lua_Number to = lua_isnumber(L, 3) ? lua_tonumber(L, 3) : 0;
  lua_Number told = 0, known = length_of(L, clip, told), length = known > 0 ? known : 1e6;
  if (!(from >= 0 && from < length &&
        (!ends || (to > from && to <= length + (told > 0 ? 0.25 : 0.001))))) {
    const char* start = luaL_tolstring(L, 2, nullptr);
    const char* end = ends ? luaL_tolstring(L, 3, nullptr) : "its end";
    raise_new(L, Kind::invalid, [&](Error& error) {
      error.message = std::string("trim: ") + start + " to " + end + " is no part of this clip";
      if (known > 0) error.message += printed(", which is %.1f s long", length);
      if (lua_istable(L, 2)) error.message = "trim takes two numbers, got a table";
      error.hint = "write clip:trim(1, 4), in seconds from its start";
    });
  }
  return push_cut(L, clip, [&](MediaSource& cut) {
    if (to > 0) cut.to = cut.from + to;
    cut.from += from;
  });
}

/// Pushes the Image that `make` describes. It is made when its bytes are first needed.
template <class Make>
int push_made(lua_State* L, const std::shared_ptr<Client>& client, Make make) {
  ImageRef& image = new_object<ImageRef>(L);
  pure(L, [&] {
    image.client = client;
    image.source = make();
  });
  hold_memory(L, image.source->bytes.size() + image.source->path.size(), image.memory);
  return 1;
}

int clip_last_frame(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  if (lua_isstring(L, 2)) luaL_error(L, "write clip:last_frame():save(\"hero.png\")");
  return push_made(L, clip.client, [&] { return make_frame(*clip.source, Recipe::last_frame, 0); });
}

int clip_frame(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  check_no_comma(L, 2);
  const double at = lua_isnumber(L, 2) ? lua_tonumber(L, 2) : -1;
  lua_Number told = 0, known = length_of(L, clip, told);
  if (!(at >= 0 && at < (known > 0 ? known + (told > 0 ? 0.25 : 0) : 1e6)))
    raise_new(L, Kind::invalid, [&](Error& error) {
      const bool number = lua_isnumber(L, 2) != 0;
      error.message = number ? printed("frame: %.10g s is no time of this clip", at)
                             : std::string("frame takes seconds, got ") + luaL_typename(L, 2);
      if (known > 0 && number) error.message += printed(", which is %.1f s long", known);
      error.hint = "write clip:frame(2.5), in seconds from its start; the end is clip:last_frame()";
    });
  return push_made(L, clip.client, [&] { return make_frame(*clip.source, Recipe::frame_at, at); });
}

// ---- Verbs ----

int image(lua_State* L) {
  const char* path = check_path(L, 1);
  return push_made(L, bound_client(L), [&] { return make_source(Recipe::file, path); });
}

int bytes(lua_State* L) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(L, 1, &size);
  return push_made(L, bound_client(L), [&] {
    auto source = make_source(Recipe::bytes, "");
    source->bytes.assign(data, size);
    return source;
  });
}

int still(lua_State* L) {
  const ImageRef* given = test_media(L, 1);
  const char* path = given ? "" : check_path(L, 1);
  if (!lua_isnoneornil(L, 2) && !lua_istable(L, 2))
    raise_message(L, Kind::invalid, "still takes options by name",
                  "write kling.still(\"title.png\", { seconds = 3 })");
  lua_settop(L, 2);
  auto& call = new_object<Call>(L);
  double shown = 0, at = 0;
  pure_or_raise(L, call.error, [&]() -> Status {
    Status written = put(to_json(L, 2, nullptr), call.json);
    return written ? engine::media::still_options(call.json, shown, at) : written;
  });
  return push_made(L, bound_client(L), [&] {
    auto source = given == nullptr
                      ? make_source(Recipe::still, path)
                      : make_frame(*given->source, given->source->recipe, given->source->seconds);
    if (given != nullptr) source->bytes = given->source->bytes;
    if (source->recipe == Recipe::clip) source->recipe = Recipe::frame_at;
    if (given == nullptr || given->source->recipe == Recipe::clip) source->seconds = at;
    source->still_seconds = shown;
    return source;
  });
}

int push_film(lua_State* L, Call& call) {
  ClipRef& film = new_object<ClipRef>(L);
  pure(L, [&] {
    film.client = call.client;
    film.source = make_source(Recipe::clip, call.reply->text);
  });
  return 1;
}

// ---- Verbs of a list ----

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
  pure_or_raise(L, call.error, [&]() -> Status {
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
      luaL_error(L, "%s: item %d is a %s; it takes clips, images and paths", kVerbNames[int(verb)],
                 static_cast<int>(i), luaL_typename(L, -1));
    pure(L,
         [&] { call.sources.push_back(media ? media->source : make_source(Recipe::part, path)); });
  }
  if constexpr (verb == Verb::sheet)
    return push_made(L, call.client, [&] {
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
    lua_pushfstring(L, "%s %s", name, what);
    raise_message(L, Kind::invalid, lua_tostring(L, -1), hint);
  };
  if (!lua_istable(L, 1))
    wrong("takes a list of clips first", lua_isnil(L, 1)
                                             ? "if a function gave the list, does it have a return?"
                                             : kExamples[int(verb)]);
  for (lua_pushnil(L); lua_next(L, 1) != 0; lua_pop(L, 1))
    if (lua_isinteger(L, -2)
            ? lua_tointeger(L, -2) == 0 && lua_isuserdata(L, -1)
            : lua_type(L, -2) == LUA_TSTRING && std::strcmp(lua_tostring(L, -2), "n") != 0) {
      lua_pushfstring(L, "takes a list, and got a table with the name %s in it",
                      lua_tostring(L, -2));
      wrong(lua_tostring(L, -1), lua_rawlen(L, 1) == 0
                                     ? "give their order: { clips.one, clips.two }"
                                     : "a list begins at 1; options are a table of their own");
    }
  if (lua_rawlen(L, 1) == 0)
    wrong("got an empty list: there is nothing to join",
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
    wrong(verb == Verb::sheet ? "takes options by name"
                              : "takes options by name, such as { audio = \"song.mp3\" }",
          kExamples[int(verb)]);
  read_options(L, verb);
  state_of(L).check_can_wait(L);
  lua_newtable(L);
  return take_items<join<verb>>(L, LUA_OK, 0);
}

}  // namespace

const luaL_Reg kMediaVerbs[] = {{"image", with_dot<image>},
                                {"bytes", with_dot<bytes>},
                                {"still", with_dot<still>},
                                {"concat", with_dot<verb_of_list<Verb::concat>>},
                                {"timeline", with_dot<verb_of_list<Verb::timeline>>},
                                {"sheet", with_dot<verb_of_list<Verb::sheet>>},
                                {nullptr, nullptr}};

int push_clip_of(lua_State* L, const JobRef& job) {
  ClipRef& clip = new_object<ClipRef>(L);
  pure(L, [&] {
    clip.client = job.client;
    clip.source = make_source(Recipe::clip, "");
    clip.source->job = job.job;
    clip.made_by = std::make_shared<const JobRef>(job);
  });
  return 1;
}

void define_media(lua_State* L) {
  static const luaL_Reg kMeta[] = {{"__tostring", media_tostring}, {nullptr, nullptr}};
  static const luaL_Reg kImageMethods[] = {
      {"save", media_save}, {"bytes", media_bytes}, {nullptr, nullptr}};
  static const luaL_Reg kClipMethods[] = {{"save", media_save},   {"last_frame", clip_last_frame},
                                          {"frame", clip_frame},  {"trim", clip_trim},
                                          {"mute", clip_mute},    {"probe", clip_probe},
                                          {"bytes", media_bytes}, {nullptr, nullptr}};
  define<ImageRef>(L, kImage, kMeta, kImageMethods, image_index);
  define<ClipRef>(L, kClip, kMeta, kClipMethods, clip_index);
  lua_pop(L, 2);
}

}  // namespace kling::lua
