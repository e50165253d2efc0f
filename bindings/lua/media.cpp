// The Image and Clip userdata, and the verbs that make them.
#include <cmath>
#include <cstring>

#include "api/text.h"
#include "engine/media/ffmpeg.h"
#include "lua/runtime_state.h"

namespace kling::lua {

using engine::MediaSource;
using Recipe = MediaSource::Recipe;

ImageRef* test_media(lua_State* L, int index) {
  ImageRef* clip = test_object<ClipRef>(L, index);
  return clip ? clip : test_object<ImageRef>(L, index);
}

std::shared_ptr<MediaSource> make_source(Recipe recipe, std::string path) {
  auto source = std::make_shared<MediaSource>();
  source->recipe = recipe;
  source->path = std::move(path);
  return source;
}

namespace {

constexpr const char *kImage = "kling.Image", *kClip = "kling.Clip";

ClipRef& check_clip(lua_State* L) { return check_object<ClipRef>(L, 1, kClip); }

ImageRef& check_media(lua_State* L) {
  ImageRef* media = test_media(L, 1);
  if (media == nullptr) wrong_self(L, 1, kClip);
  return *media;
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
  if (source.edited()) length = ", " + source.which();
  switch (source.recipe) {
    case Recipe::file:
    case Recipe::still:
    case Recipe::part: return "Image " + of;
    case Recipe::bytes: return "Image of " + std::to_string(source.bytes.size()) + " bytes";
    case Recipe::sheet: return "Image sheet of " + std::to_string(source.sheet->of.size());
    case Recipe::last_frame:
    case Recipe::frame_at: return "Image " + source.which() + " of " + of;
    case Recipe::clip: return "Clip " + of + length;
  }
  return "Image";
}

int media_tostring(lua_State* L) {
  const ImageRef& media = check_media(L);
  return push_text(L, [&] { return describe(media); });
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
  if (!lua_isnoneornil(L, 3))
    raise_message(L, "save takes one path", "write clip:save(\"shots/fox.mp4\")");
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
  // Of no file: what another program makes of a plan's drawing is no film. We find it there.
  if (const char* none = engine.options.store_folder.c_str(); engine.options.plans) {
    const void* job = clip.source->job.get();
    const char* path = lua_pushfstring(L, "%s/none/%p-%d.mp4", none, job, clip.source->video);
    Call& call = call_on(L, clip);
    pure(L, [&] {
      call.reply->text = path;
      engine.save(clip.source, path, into(call.reply, [](Reply&, const std::string&) {}));
    });
    return await<push_reply_text>(L, call);
  }
  if (!engine.options.store) return 0;
  lua_settop(L, 2);
  Wait& wait = new_wait(L);
  // Of a clip that is here: what came later in an earlier run comes later.
  wait->brief = !push_snapshot(L, *clip.client, clip.source->job).file.empty();
  lua_settop(L, 3);
  pure(L, [&] { engine.watch(clip.source->job, engine::Milestone::stored, {wait, wake(wait)}); });
  return state_of(L).park(L, *wait, kNever, was_stored, 0);
}

int push_duration(lua_State* L, Call& call) {
  return push_json(L, api::member(call.reply->json, "duration")), 1;
}

template <int (*Push)(lua_State*, Call&)>
int probe(lua_State* L, const ClipRef& clip) {
  Call& call = new_call(L, clip.client);
  pure(L, [&] { call.client->engine->probe(clip.source, into(call.reply, &Reply::json)); });
  return await<Push>(L, call);
}

int clip_index(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  if (push_method(L)) return 1;
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "path") == 0) return clip_path(L, clip);
  if (std::strcmp(key, "job") == 0 && clip.made_by != nullptr)
    return new_object<JobRef>(L) = *clip.made_by, 1;
  if (clip.source->job == nullptr || clip.source->edited()) {
    if (std::strcmp(key, "duration") == 0) return probe<push_duration>(L, clip);
    return no_value(L, kClip, key);
  }
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

/// The clip's seconds as known at once; `told`: as the service rounds them. 0: not known.
lua_Number length_of(lua_State* L, const ClipRef& clip, lua_Number& told) {
  const MediaSource& of = *clip.source;
  const bool cut = of.to > 0;
  told = cut || of.job == nullptr ? 0 : push_snapshot(L, *clip.client, of.job).duration();
  return cut ? of.to - of.from : told > 0 ? told - of.from : 0;
}

/// Clips of a draft are shorter than those of the film: what lies beyond one is its end.
bool is_beyond_draft(lua_State* L, const ClipRef& clip, lua_Number time, lua_Number known) {
  const bool beyond = clip.client->options.draft && known > 0 && time >= known;
  if (beyond)
    pure(L, [&] {
      state_of(L).warn(
          printed("--draft: the clip is %.1f s long; its end stands for %.4g s", known, time));
    });
  return beyond;
}

int clip_trim(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  check_no_comma(L, 3);
  const bool ends = !lua_isnoneornil(L, 3);
  lua_Number from = lua_isnumber(L, 2) ? lua_tonumber(L, 2) : -1;
  lua_Number to = lua_isnumber(L, 3) ? lua_tonumber(L, 3) : 0;
  lua_Number told = 0, known = length_of(L, clip, told), length = known > 0 ? known : 1e6;
  if (from >= 0 && (!ends || (to > from && to > known)) &&
      is_beyond_draft(L, clip, ends ? to : from, known)) {
    known = std::floor(known * 4) / 4;  // the service may tell it more exactly later
    from = ends ? std::max(0.0, known - (to - from)) : 0;
    to = ends ? known : 0;
  }
  if (!(from >= 0 && from < length &&
        (!ends || (to > from && to <= length + (told > 0 ? engine::media::kToldSlack : 0.001))))) {
    const char* start = luaL_tolstring(L, 2, nullptr);
    const char* end = ends ? luaL_tolstring(L, 3, nullptr) : "its end";
    raise_new(L, [&](Error& error) {
      error.message = std::string("trim: ") + start + " to " + end + " is no part of this clip";
      if (known > 0) error.message += printed(", which is %.1f s long", length);
      for (int i = 2; i <= 3; ++i)
        if (!lua_isnoneornil(L, i) && !lua_isnumber(L, i))
          error.message =
              std::string("trim takes two numbers, got ") + (lua_istable(L, i) ? "a table"
                                                             : i == 2          ? start
                                                                               : end);
      error.hint = "write clip:trim(1, 4), in seconds from its start";
    });
  }
  return push_cut(L, clip, [&](MediaSource& cut) {
    if (to > 0) cut.to = cut.from + to;
    cut.from += from;
  });
}

int clip_last_frame(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  if (lua_isnumber(L, 2)) luaL_error(L, "last_frame takes nothing: write clip:frame(2.5)");
  if (lua_isstring(L, 2)) luaL_error(L, "write clip:last_frame():save(\"hero.png\")");
  return push_image(L, clip.client,
                    [&] { return make_frame(*clip.source, Recipe::last_frame, 0); });
}

int clip_frame(lua_State* L) {
  const ClipRef& clip = check_clip(L);
  check_no_comma(L, 2);
  double at = lua_isnumber(L, 2) ? lua_tonumber(L, 2) : -1;
  lua_Number told = 0, known = length_of(L, clip, told);
  if (is_beyond_draft(L, clip, at, known)) at = std::max(0.0, std::floor(known * 4) / 4 - 0.25);
  if (!(at >= 0 && at < (known > 0 ? known + (told > 0 ? engine::media::kToldSlack : 0) : 1e6)))
    raise_new(L, [&](Error& error) {
      const bool number = lua_isnumber(L, 2) != 0;
      error.message = number ? printed("frame: %.10g s is no time of this clip", at)
                             : std::string("frame takes seconds, got ") + luaL_typename(L, 2);
      if (known > 0 && number) error.message += printed(", which is %.1f s long", known);
      error.hint = "write clip:frame(2.5), in seconds from its start; the end is clip:last_frame()";
    });
  return push_image(L, clip.client, [&] { return make_frame(*clip.source, Recipe::frame_at, at); });
}

// ---- Verbs ----

int image(lua_State* L) {
  const char* path = check_path(L, 1);
  return push_image(L, bound_client(L), [&] { return make_source(Recipe::file, path); });
}

int bytes(lua_State* L) {
  std::size_t size = 0;
  const char* data = luaL_checklstring(L, 1, &size);
  return push_image(L, bound_client(L), [&] {
    auto source = make_source(Recipe::bytes, "");
    source->bytes.assign(data, size);
    return source;
  });
}

int still(lua_State* L) {
  const ImageRef* given = test_media(L, 1);
  const char* path = given ? "" : check_path(L, 1);
  if ((!lua_isnoneornil(L, 2) && !lua_istable(L, 2)) || !lua_isnoneornil(L, 3))
    raise_message(L, "still takes options by name",
                  "write kling.still(\"title.png\", { seconds = 3 })");
  lua_settop(L, 2);
  auto& call = new_object<Call>(L);
  double shown = 0, at = 0;
  pure_or_raise(L, state_of(L).slip, [&]() -> Status {
    Status written = put(to_json(L, 2, nullptr), call.json);
    return written ? engine::media::still_options(call.json, shown, at) : written;
  });
  return push_image(L, bound_client(L), [&] {
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

}  // namespace

const luaL_Reg kMediaVerbs[] = {{"image", with_dot<image>},
                                {"bytes", with_dot<bytes>},
                                {"still", with_dot<still>},
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
