#include <algorithm>
#include <cmath>

#include "api/text.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

using api::Json;

/// About what a value costs as JSON, its key included.
constexpr std::size_t kValueBytes = 64;
constexpr int kMaxDepth = 60;  // api::parse_json refuses deeper than 64

char null_key, list_key;

int null_tostring(lua_State* L) {
  lua_pushliteral(L, "null");
  return 1;
}

/// Uses only Lua functions that neither raise nor allocate, so that it may own C++ objects.
class Reader {
 public:
  Reader(lua_State* L, const MediaSink* media)
      : L_(L), media_(media), all_bytes_(memory_left(L)), bytes_left_(all_bytes_) {}

  bool read(int index, Json& out) {
    // A table that holds itself twice at every level is small in Lua and has no end here.
    if (!take(kValueBytes)) return fail("is too large");
    switch (lua_type(L_, index)) {
      case LUA_TNIL: return out = nullptr, true;
      case LUA_TBOOLEAN: return out = lua_toboolean(L_, index) != 0, true;
      case LUA_TNUMBER: return read_number(index, out);
      case LUA_TSTRING: return read_string(index, out);
      case LUA_TTABLE: return read_table(lua_absindex(L_, index), out);
      case LUA_TUSERDATA: return read_userdata(index, out);
      case LUA_TFUNCTION:
        error_.hint =
            path_ == "on_done"         ? "write job:on_done(function(clip, err) … end)"
            : path_.starts_with("on_") ? "on_progress goes to job:wait, kling.all and kling.map"
            : path_.starts_with("callback")
                ? "it is an address; a function goes to job:on_done(function(clip, err) … end)"
            : path_.starts_with("image") || path_.starts_with("video")
                ? "call it, such as clip:last_frame()"
                : "leave it out, or call it";
        [[fallthrough]];
      default:
        return fail(std::string("is a ") + lua_typename(L_, lua_type(L_, index)) +
                    ", which cannot be sent");
    }
  }
  Error take_error() { return std::move(error_); }
  std::size_t taken() const { return all_bytes_ - bytes_left_; }

 private:
  bool take(std::size_t bytes) {
    if (bytes > bytes_left_) return false;
    bytes_left_ -= bytes;
    return true;
  }

  bool fail(const std::string& what) {
    error_.field = path_;
    error_.message = (path_.empty() ? "the value" : path_) + " " + what;
    return false;
  }

  bool read_number(int index, Json& out) {
    if (lua_isinteger(L_, index)) return out = lua_tointegerx(L_, index, nullptr), true;
    const lua_Number number = lua_tonumberx(L_, index, nullptr);
    const bool finite = std::isfinite(number);
    if (!finite && media_ != &kTold) {
      error_.hint = "something was divided by zero, or has grown without an end";
      return fail("is not a finite number");
    }
    return out = finite ? Json(number) : Json(), true;
  }

  bool read_string(int index, Json& out) {
    std::size_t size = 0;
    const char* data = lua_tolstring(L_, index, &size);  // a string already: nothing is converted
    if (!take(size)) return fail("is too large");
    const std::size_t bad = api::bad_utf8({data, size});
    if (bad != std::string_view::npos) {
      error_.hint =
          api::has_word("name prompt negative_prompt", path_)
              ? "save the script as UTF-8"
              : "The bytes of a picture are given as kling.bytes(s), a file of such a name as "
                "kling.image(path).";
      return fail("is not UTF-8 text (at byte " + std::to_string(bad + 1) + ")");
    }
    return out = std::string(data, size), true;
  }

  bool read_userdata(int index, Json& out) {
    if (test_object<Null>(L_, index)) return out = nullptr, true;
    if (media_ == &kTold) {
      if (tell(index, out)) return true;
      return fail("is something that JSON has no word for");
    }
    const ClipRef* clip = test_object<ClipRef>(L_, index);
    const ImageRef* image = test_media(L_, index);
    const bool job = test_object<JobRef>(L_, index) != nullptr;
    if (job || test_object<TaskRef>(L_, index) != nullptr) {
      const bool picture = media_ != nullptr && !path_.starts_with("video");
      error_.hint = picture ? "give a picture of its clip: " : "write ";
      error_.hint += job ? "job:wait()" : "task:wait()";
      error_.hint += picture ? ":last_frame()" : media_ == nullptr ? ".path" : "";
      return fail(job ? "is a Job" : "is a Task");
    }
    if (image == nullptr) return fail("is no Image or Clip");
    if (media_ == nullptr) error_.hint = "give the path of a file, such as clip.path";
    if (media_ == nullptr) return fail("is a picture or clip, which cannot be sent here");
    api::MediaInput input;
    input.video = clip != nullptr;
    input.tag = media_->sources->size();
    // A local video has no address the service could fetch: the check of files says so.
    const bool local_video =
        clip != nullptr && (clip->source->job == nullptr || clip->source->edited());
    input.source = local_video ? api::MediaInput::Source::file : api::MediaInput::Source::derived;
    if (local_video) input.text = clip->source->path;
    media_->sources->push_back(image->source);
    out = Json{{"$media", media_->inputs->size()}};
    media_->inputs->push_back(std::move(input));
    return true;
  }

  /// What is known of an object now; false: nothing that somebody else could use.
  bool tell(int index, Json& out) {
    const auto snapshot = [](const Client& client, const std::shared_ptr<engine::Job>& job) {
      return client.engine ? client.engine->snapshot(job) : engine::JobSnapshot();
    };
    if (const JobRef* job = test_object<JobRef>(L_, index))
      return out = engine::to_json(snapshot(*job->client, job->job)), true;
    if (const ErrorValue* error = test_object<ErrorValue>(L_, index))
      return out = {{"error", engine::to_json(error->error)},
                    {"message", to_text(*error)},
                    {"traceback", error->traceback}},
             true;
    const ClipRef* clip = test_object<ClipRef>(L_, index);
    if (clip == nullptr) return false;
    const engine::MediaSource& source = *clip->source;
    double end = source.to;
    out = {{"path", source.path}};
    if (source.job != nullptr) {
      const auto now = snapshot(*clip->client, source.job);
      const auto video = static_cast<std::size_t>(source.video);
      if (end == 0) end = now.duration();
      out = {{"clip", now.handle}, {"duration", std::max(0.0, end - source.from)}};
      if (!now.file.empty()) out["path"] = now.file;
      if (video < now.videos.size()) out["url"] = now.videos[video].url;
    }
    // Making a file of a part takes time: who shows it shows so much of the whole.
    if (source.from > 0 || source.to > 0) out["from"] = source.from;
    if (out.contains("from") && end > 0) out["to"] = end;
    if (source.mute) out["mute"] = true;
    return true;
  }

  bool read_table(int index, Json& out) {
    if (depth_ == kMaxDepth || !lua_checkstack(L_, 6)) return fail("is nested too deeply");
    const void* self = lua_topointer(L_, index);
    for (int i = 0; i < depth_; ++i)
      if (open_[i] == self) {
        error_.hint = "JSON has no end then: leave the inner one out";
        return fail("contains itself");
      }
    open_[depth_++] = self;
    const bool ok = is_list(index) ? read_list(index, out) : read_object(index, out);
    --depth_;
    return ok;
  }

  bool is_list(int index) {
    if (lua_rawlen(L_, index) > 0) return true;
    if (!lua_getmetatable(L_, index)) return false;
    lua_rawgetp(L_, LUA_REGISTRYINDEX, &list_key);
    const bool marked = lua_rawequal(L_, -1, -2) != 0;
    lua_pop(L_, 2);
    lua_pushnil(L_);
    if (!lua_next(L_, index)) return marked;
    lua_pop(L_, 2);
    return false;
  }

  bool read_list(int index, Json& out) {
    const auto size = static_cast<lua_Integer>(lua_rawlen(L_, index));
    lua_Integer count = 0;
    for (lua_pushnil(L_); lua_next(L_, index); lua_pop(L_, 1), ++count) {
      if (lua_isinteger(L_, -2)) continue;
      lua_pop(L_, 2);
      error_.hint = lua_rawgeti(L_, index, 1) == LUA_TNUMBER ? kPoint
                    : path_ == "audio" ? "write audio = { path = \"song.mp3\", volume = 0.5 }"
                                       : "write { one, two } or { name = one }, one of both";
      lua_pop(L_, 1);
      return fail("mixes a list with named fields");
    }
    out = Json::array();
    for (lua_Integer i = 1; i <= size; ++i) {
      const std::size_t length = path_.size();
      path_ += "[" + std::to_string(i) + "]";
      if (lua_rawgeti(L_, index, i) == LUA_TNIL)
        return lua_pop(L_, 1), fail("is missing (nil in a list)");
      out.push_back(nullptr);
      const bool ok = read(-1, out.back());
      lua_pop(L_, 1);
      if (!ok) return false;
      path_.resize(length);
    }
    return count == size || fail("has numbers outside of its list");
  }

  bool read_object(int index, Json& out) {
    out = Json::object();
    for (lua_pushnil(L_); lua_next(L_, index); lua_pop(L_, 1)) {
      if (lua_type(L_, -2) != LUA_TSTRING) {
        const char* type = lua_typename(L_, lua_type(L_, -2));
        lua_pop(L_, 2);
        return fail(std::string("has a ") + type + " as a key");
      }
      std::size_t size = 0;
      const char* data = lua_tolstring(L_, -2, &size);
      if (!take(size)) return lua_pop(L_, 2), fail("is too large");
      const std::string key(data, size);
      const std::size_t length = path_.size();
      path_ += (path_.empty() ? "" : ".") + key;
      bool ok = api::bad_utf8(key) == std::string::npos || fail("is a key that is not UTF-8 text");
      ok = ok && (key != "$media" || fail("is reserved"));
      ok = ok && read(-1, out[key]);
      if (!ok) return lua_pop(L_, 2), false;
      path_.resize(length);
    }
    return true;
  }

  lua_State* L_;
  const MediaSink* media_;
  const std::size_t all_bytes_;
  std::size_t bytes_left_;
  const void* open_[kMaxDepth] = {};
  int depth_ = 0;
  std::string path_;
  Error error_;
};

}  // namespace

void define_null(lua_State* L) {
  static const luaL_Reg kMeta[] = {{"__tostring", null_tostring}, {nullptr, nullptr}};
  define<Null>(L, "kling.null", kMeta);
  new_object<Null>(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &null_key);
  lua_newtable(L);
  lua_rawsetp(L, LUA_REGISTRYINDEX, &list_key);
}

void push_null(lua_State* L) { lua_rawgetp(L, LUA_REGISTRYINDEX, &null_key); }

Result<Json> to_json(lua_State* L, int index, const MediaSink* media, std::size_t* bytes) {
  Reader reader(L, media);
  Json value;
  const int top = lua_gettop(L);
  const bool ok = reader.read(index, value);
  lua_settop(L, top);
  count_work(L, reader.taken() / 16);
  if (bytes != nullptr) *bytes = reader.taken();
  if (!ok) return reader.take_error();
  return value;
}

void push_json(lua_State* L, const Json& value) {
  luaL_checkstack(L, 6, "JSON");
  switch (value.type()) {
    case Json::value_t::boolean: return lua_pushboolean(L, *value.get_ptr<const bool*>());
    case Json::value_t::number_integer:
      return lua_pushinteger(L, *value.get_ptr<const std::int64_t*>());
    case Json::value_t::number_unsigned: {
      const std::uint64_t number = *value.get_ptr<const std::uint64_t*>();
      if (number <= LUA_MAXINTEGER) return lua_pushinteger(L, static_cast<lua_Integer>(number));
      return lua_pushnumber(L, static_cast<lua_Number>(number));
    }
    case Json::value_t::number_float: return lua_pushnumber(L, *value.get_ptr<const double*>());
    case Json::value_t::string: {
      const auto& text = *value.get_ptr<const std::string*>();
      lua_pushlstring(L, text.data(), text.size());
      return;
    }
    case Json::value_t::array: {
      const auto& list = *value.get_ptr<const Json::array_t*>();
      lua_createtable(L, static_cast<int>(list.size()), 0);
      for (std::size_t i = 0; i < list.size(); ++i) {
        push_json(L, list[i]);
        lua_rawseti(L, -2, static_cast<lua_Integer>(i) + 1);
      }
      if (!list.empty()) return;
      lua_rawgetp(L, LUA_REGISTRYINDEX, &list_key);
      lua_setmetatable(L, -2);
      return;
    }
    case Json::value_t::object: {
      const auto& object = *value.get_ptr<const Json::object_t*>();
      lua_createtable(L, 0, static_cast<int>(object.size()));
      for (auto field = object.begin(); field != object.end(); ++field) {
        static_assert(std::is_trivially_destructible_v<decltype(field)>);
        lua_pushlstring(L, field->first.data(), field->first.size());
        push_json(L, field->second);
        lua_rawset(L, -3);
      }
      return;
    }
    default: return push_null(L);
  }
}

}  // namespace kling::lua
