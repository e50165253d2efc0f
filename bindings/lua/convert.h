// Lua values to JSON and back: integers stay integers, kling.null is null, pictures and clips
// become {"$media": index}. Owner's thread only.
#pragma once

#include "api/request.h"
#include "engine/media_source.h"
#include "lua/guard.h"

namespace kling::lua {

struct Null {};
/// A picture and a clip as scripts hold them. `client` is opaque here.
struct Client;
struct ImageRef {
  std::shared_ptr<Client> client;
  std::shared_ptr<engine::MediaSource> source;
  std::shared_ptr<void> memory;  ///< what its bytes take of a limited state
};
struct JobRef;
struct ClipRef : ImageRef {
  std::shared_ptr<const JobRef> made_by;  ///< null: a local file
};

void define_null(lua_State* L);
void push_null(lua_State* L);

/// Where pictures and clips of a request are collected; null: they are errors.
struct MediaSink {
  std::vector<api::MediaInput>* inputs;
  std::vector<std::shared_ptr<engine::MediaSource>>* sources;
};
/// For who is told, not sent to: clips, jobs and errors become objects that describe them, and what
/// is no number null.
inline constexpr MediaSink kTold{nullptr, nullptr};

/// The value at `index`. The error (kind invalid) names the key path. `bytes` gets about what it
/// takes. Never raises a Lua error.
Result<api::Json> to_json(lua_State* L, int index, const MediaSink* media,
                          std::size_t* bytes = nullptr);
/// Pushes a value that an object on the Lua stack owns. An empty list remembers that it is one.
void push_json(lua_State* L, const api::Json& value);

}  // namespace kling::lua
