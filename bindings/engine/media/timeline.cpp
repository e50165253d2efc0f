// A film as OpenTimelineIO tells it: docs at opentimelineio.readthedocs.io, "Serialized Schema".
#include <filesystem>

#include "engine/media/film.h"
#include "net/url.h"

namespace kling::engine::media {
namespace {

using Object = nlohmann::ordered_json;

Object schema(const char* name, Object fields = Object::object()) {
  Object object = {{"OTIO_SCHEMA", name}};
  object.update(fields);
  return object;
}

Object time(double frames, double fps) {
  return schema("RationalTime.1", {{"rate", fps}, {"value", std::round(frames)}});
}

Object range(double from, double to, double fps) {
  const double first = std::round(from * fps);
  return schema("TimeRange.1", {{"start_time", time(first, fps)},
                                {"duration", time(std::round(to * fps) - first, fps)}});
}

Object item(const char* name, const std::string& title, Object fields) {
  Object object = schema(name, {{"name", title},
                                {"metadata", Object::object()},
                                {"source_range", nullptr},
                                {"effects", Object::array()},
                                {"markers", Object::array()},
                                {"enabled", true}});
  object.update(fields);
  return object;
}

Object reference(const std::string& path, const Object& available) {
  std::error_code error;
  const std::string file = std::filesystem::absolute(path, error).lexically_normal().string();
  const auto plain = [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view("-_.~/").find(char(c)) != std::string_view::npos;
  };
  return schema("ExternalReference.1",
                {{"name", std::filesystem::path(path).filename().string()},
                 {"metadata", Object::object()},
                 {"available_range", available},
                 {"available_image_bounds", nullptr},
                 {"target_url", "file://" + net::percent_encode(file, plain)}});
}

Object clip(const std::string& title, const Object& source_range, Object references,
            Object metadata = Object::object()) {
  return item("Clip.2", title,
              {{"source_range", source_range},
               {"metadata", std::move(metadata)},
               {"media_references", std::move(references)},
               {"active_media_reference_key", "DEFAULT_MEDIA"}});
}

}  // namespace

Result<std::string> timeline(const std::vector<Segment>& segments, const std::string& out,
                             const FilmOptions& options, const nlohmann::json& told) {
  const auto film = read_film(segments, out, options);
  if (!film) return film.error();
  const Shape& shape = film->shape;
  const double fps = shape.rate.value(), seconds = shape.seconds(shape.frames);
  // The cut lies in the middle of a transition; both parts go on beyond it.
  const double before = double(shape.blend / 2), behind = double(shape.blend) - before;
  const Object transition = schema("Transition.1", {{"name", "crossfade"},
                                                    {"metadata", Object::object()},
                                                    {"transition_type", "SMPTE_Dissolve"},
                                                    {"in_offset", time(before, fps)},
                                                    {"out_offset", time(behind, fps)}});
  Object pictures = Object::array(), sounds = Object::array();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Part& part = film->parts[i];
    const Source& source = part.source;
    const bool last = i + 1 == segments.size(), still = source.is_picture;
    const double rate = still ? fps : source.fps, start = source.video_start;
    const Object shown = range(
        (still ? 0 : part.from - start) + (i > 0 ? before / fps : 0),
        (still ? shape.seconds(part.frames) : part.to - start) - (last ? 0 : behind / fps), rate);
    const Object whole = still ? Object() : range(0, source.video_end - start, rate);
    const std::string title = told[i]["name"];
    Object media = {{"DEFAULT_MEDIA", reference(source.path, whole)}};
    sounds.push_back(part.sounds() ? clip(title, shown, media)
                                   : item("Gap.1", "", {{"source_range", shown}}));
    if (const auto takes = told[i].find("takes"); takes != told[i].end())
      for (const auto& [handle, file] : takes->items()) media[handle] = reference(file, nullptr);
    pictures.push_back(clip(title, shown, media, {{"kling", told[i]["metadata"]}}));
    if (last || shape.blend == 0) continue;
    pictures.push_back(transition);
    sounds.push_back(transition);
  }
  Object tracks = Object::array();
  const auto add_track = [&](const char* title, const char* kind, Object children) {
    tracks.push_back(item("Track.1", title, {{"kind", kind}, {"children", std::move(children)}}));
  };
  add_track("Picture", "Video", std::move(pictures));
  if (shape.sound && (options.audio.empty() || options.mix > 0))
    add_track("Sound", "Audio", std::move(sounds));
  if (film->song) {
    const double length = std::max(0.1, film->song->duration);
    Object songs = Object::array();
    for (double at = 0; at < seconds && (at == 0 || options.loop); at += length) {
      // In whole frames of the film, none of which is lost between two.
      const double end = std::round(std::min(at + length, seconds) * fps);
      if (end <= std::round(at * fps)) break;
      songs.push_back(clip("song", range(0, (end - std::round(at * fps)) / fps, fps),
                           {{"DEFAULT_MEDIA", reference(options.audio, range(0, length, fps))}}));
    }
    add_track("Song", "Audio", std::move(songs));
  }
  const Object fade = {{"fade", {options.fade.from, options.fade.to}}};
  return schema("Timeline.1",
                {{"name", std::filesystem::path(out).stem().string()},
                 {"metadata", {{"kling", fade}}},
                 {"global_start_time", nullptr},
                 {"tracks", item("Stack.1", "tracks", {{"children", std::move(tracks)}})}})
             .dump(2, ' ', false, Object::error_handler_t::replace) +
         "\n";
}

}  // namespace kling::engine::media
