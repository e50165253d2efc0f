// Bytes of pictures and clips: found, fetched or made where they are needed.
#include "api/text.h"
#include "base/digest.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "engine/inside.h"
#include "engine/media/ffmpeg.h"
#include "net/download.h"

namespace kling::engine {
namespace {

using Recipe = MediaSource::Recipe;

/// "shot-3-1f0c…-861309….mp4": no other task has it, so that no clip takes another's place. The
/// further videos of a clip are called after the first, whatever version stored that.
std::string clip_name(const Job& job, int video) {
  std::string stem = fs::path(job.step.file).stem().string();
  if (stem.empty()) {
    const StepFacts& step = job.step;
    stem = as_file_name(step.name);
    if (stem.empty()) stem = step.endpoint;
    stem +=
        "-" + step.address.substr(0, 12) + (step.address.empty() ? "" : "-") +
        (step.task_id.size() > 64 ? short_name(step.task_id) : net::percent_encode(step.task_id));
  }
  return stem + (video > 0 ? "-" + std::to_string(video + 1) : "") + ".mp4";
}

constexpr const char* kOtherThanClips =
    "png jpg jpeg webp gif bmp tif tiff heic heif avif avi webm mkv lua csv json txt md wav mp3 "
    "pdf "
    "svg psd eps doc docx zip";

/// A picture is what its name says: written again for that, or refused; nothing: it is already.
Result<bool> must_convert(const std::string& from, const std::string& to) {
  const std::string ending = extension_of(to);
  std::string is = file_kind_at(from).name;
  if (const auto facts = media::look_at_picture(from); !facts)
    return facts.error();
  else if (is == "PNG")
    is = facts->is;
  if (ending == "png") return is != "PNG";
  if (ending == "jpg" || ending == "jpeg") return is != "JPEG";
  if (ending == "webp" && is == "WebP") return false;
  if (api::has_word(kOtherThanClips, ending) || media::check_ending(to, false))
    return Error{.message = to + ": a picture is not saved as ." + ending,
                 .hint = "name it .png, .jpg or .jpeg; kling.concat makes a film of it"};
  return false;
}

/// "trim 1.5 to 3 of ", "mute of "; empty of a whole clip.
std::string cut_of(const MediaSource& source) {
  const bool trimmed = source.from > 0 || source.to > 0;
  return (source.mute ? "mute of " : "") +
         (trimmed ? printed("trim %.6f to %.6f of ", source.from, source.to) : "");
}

/// For the clip itself: what was asked for, of which model, and where it is found again. Neither
/// the key nor a signature, should a prompt hold one.
std::string what_made(const MediaSource& source, const api::Json& asked, const std::string& key,
                      const std::string& of) {
  std::lock_guard lock(source.job->mutex);
  std::string text;
  for (const char* field : {"prompt", "model_name"})
    if (const api::Json value = api::member(asked, field); value.is_string())
      text += value.get<std::string>() + "\n";
  for (auto at = text.find("://"); at != text.npos; at = text.find("://", at + 3)) {
    const auto end = std::min(text.find_first_of(" \n\t\"'<>)", at), text.size());
    if (const auto query = text.find('?', at); query < end) text.erase(query, end - query);
  }
  for (auto at = text.find(key); !key.empty() && at != text.npos; at = text.find(key))
    text.erase(at, key.size());
  return text + cut_of(source) + handle_of(*source.job) + (of.empty() ? "" : " " + of);
}

/// What tells contents of one origin apart: of a later attempt, or a film with clips of one.
std::string content_of(const MediaSource& source, const std::string& path) {
  if (!source.job) {
    const auto content = hash_file(path);
    return content ? *content : "";
  }
  std::lock_guard lock(source.job->mutex);
  return source.job->attempt > 1 ? source.job->step.task_id : "";
}

}  // namespace

void Engine::hear_of_delays() {
  media::tell_delays([this](const std::string& text) { log("info", text); },
                     std::chrono::seconds(10), &closing);
}

bool is_file(const std::string& path) {
  std::error_code error;
  return !path.empty() && fs::is_regular_file(path, error);
}

std::string short_name(const std::string& identity) { return sha256_hex(identity).substr(0, 16); }

std::string label_of(const MediaSource& source) {
  if (!source.job) return fs::path(source.path).stem().string();
  std::lock_guard lock(source.job->mutex);
  const StepFacts& step = source.job->step;
  std::string label = step.name.empty() ? step.summary : step.name;
  constexpr std::size_t kMost = 32;  // bytes, and what is left of a character
  std::size_t end = std::min(label.size(), kMost);
  while (end < label.size() && (label[end] & 0xC0) == 0x80) ++end;
  return label.substr(0, end);
}

media::Segment segment_of(const MediaSource& source, const std::string& path) {
  return {.path = path,
          .generated = source.job != nullptr,
          .from = source.from,
          .to = source.to,
          .mute = source.mute};
}

Result<std::string> Engine::origin_or_content(const std::string& sha256) {
  auto book = ledger();
  if (!book) return book.error();
  auto known = (*book)->origin_of(sha256);
  if (!known) return known.error();
  return *known ? **known : "sha256:" + sha256;
}

/// The recipe once the file was looked at: neither `still` nor `part`.
Result<Recipe> Engine::resolve(const MediaSource& source) {
  if (source.recipe != Recipe::still && source.recipe != Recipe::part) return source.recipe;
  auto file = input_path(source.path);
  if (!file) return file.error();
  if (!is_file(*file)) return no_such_file(*file);
  const FileKind& kind = file_kind_at(*file);
  if (kind.family == FileKind::picture && *kind.demuxer) return Recipe::file;
  if (kind.family == FileKind::video && *kind.demuxer)
    return source.recipe == Recipe::part ? Recipe::clip : Recipe::frame_at;
  return Error{.kind = Kind::media,
               .message = *file + " is " + kind.name +
                          ", and neither a picture nor a video that can be read",
               .hint = kind.family == FileKind::sound
                           ? "a sound goes under a film: { audio = PATH }"
                           : cure_of(kind)};
}

/// What a picture or clip counts as in addresses: its origin, else its content.
Result<std::string> Engine::identify(const MediaSource& source) {
  auto recipe = resolve(source);
  if (!recipe) return recipe.error();
  const auto taken_from = [&](const std::string& step, const std::string& whole) {
    if (*recipe == Recipe::last_frame) return origin_last_frame(step, source.video);
    if (*recipe == Recipe::frame_at) return origin_frame(step, source.video, source.seconds);
    return cut_of(source) + whole;
  };
  if (*recipe == Recipe::sheet) {
    const MediaSource::Sheet& sheet = *source.sheet;
    std::string shown = std::to_string(sheet.columns) + " " + std::to_string(sheet.frames) +
                        (sheet.labels ? " labels" : "");
    for (const auto& one : sheet.of) {
      auto identity = identify(*one);
      if (!identity) return identity;
      shown += "\n" + *identity + (sheet.labels ? " " + label_of(*one) : "");
    }
    return "sheet:" + sha256_hex(shown);
  }
  if (source.job) {
    std::lock_guard lock(source.job->mutex);
    const std::string& address = source.job->step.address;
    // A task that no ledger knows is told apart by the service's id.
    const std::string step = address.empty() ? "task:" + source.job->step.task_id : address;
    return taken_from(step, origin_video(step, source.video));
  }
  if (source.recipe == Recipe::bytes) return origin_or_content(sha256_hex(source.bytes));
  {
    std::lock_guard lock(origins_mutex_);
    if (const auto film = film_origins_.find(source.path); film != film_origins_.end())
      return taken_from(film->second, film->second);
  }
  auto file = input_path(source.path);
  auto hash = file ? digest_of(*file) : file;
  auto content = hash ? origin_or_content(*hash) : hash;
  if (!content) return content;
  return taken_from(*content, *content);
}

Result<std::string> Engine::store_path(const std::string& name) {
  auto folder = store_folder();
  if (!folder) return folder;
  return (fs::path(*folder) / name).string();
}

/// A clip that was stored: where it was, or under its name in the store that there is now.
std::string Engine::find_clip(const std::string& file) {
  if (file.empty() || is_file(file)) return file;
  auto here = store_path(fs::path(file).filename().string());
  return here && is_file(*here) ? *here : file;
}

Event Engine::download(Job& job) {
  std::lock_guard fetching(job.file_mutex);
  if (is_file(job.step.file)) return {.type = EventType::downloaded};
  auto path = store_path(clip_name(job, 0));
  Result<std::string> saved = path ? fetch_video(job, 0, *path) : path;
  std::lock_guard lock(job.mutex);
  if (saved) {
    job.step.file = *saved;
    job.file_recorded = false;
    job.store_error.reset();
    return {.type = EventType::downloaded};
  }
  Error& error = saved.error();
  if (options.embedded)
    error.hint += (error.hint.empty() ? "" : "; ") + ("kling.job(\"" + handle_of(job)) +
                  "\"):wait():save(\"clip.mp4\") fetches it";
  job.store_error = std::make_shared<const Error>(error);
  if (error.code == "expired") return {.type = EventType::expired};
  // What no repetition can mend must not keep a run waiting for ever.
  const bool passes = error.kind == Kind::network && error.retryable;
  return {.type = passes ? EventType::unreachable : EventType::disk_failed};
}

/// Fetches a video from the address known now. Never asks the service.
Result<std::string> Engine::fetch_video(Job& job, int video, const std::string& path) {
  net::DownloadOptions how;
  const std::string url = [&] {
    std::lock_guard lock(job.mutex);
    how.tries = std::max(2, how.tries - job.machine.tries);  // rounds that failed: fewer in a row
    return known_url(job, video);
  }();
  if (url.empty())
    return Error{
        .kind = Kind::media, .message = "no address is known for this clip", .code = "expired"};
  how.insecure = options.insecure;
  how.stall_timeout = net::Milliseconds(options.stall_timeout);
  // A service on this machine (the simulator) gives addresses on this machine.
  const auto base = net::parse_url(options.base_url);
  how.allow_private = base && net::reach_of_host(base->origin.host) != net::kPublic;
  // What the internet's service says must not make us ask around in this network.
  const auto address = net::parse_url(url);
  const auto unfetched = [this, &job](Error error) {
    std::lock_guard lock(job.mutex);
    if (error.hint.empty())
      error.hint = "the job is safe; " + query_of(handle_of(job)) + " shows the address";
    return error;
  };
  if (!address) return unfetched(address.error());
  if (!options.confinement.on && !how.allow_private &&
      net::reach_of_host(address->origin.host) != net::kPublic)
    return unfetched(
        {.kind = Kind::media,
         .message = "the service names a private address for the clip, which is not fetched: " +
                    net::display(*address)});
  if (options.confinement.on)
    how.allowed = [this, &base](const net::Origin& origin) {
      return reach_allowed(options.confinement, origin, base->origin);
    };
  how.environment = environment;
  how.clock = clock.get();
  how.cancel = &closing;
  how.on_part = [&](double part) { tell_transfer(job, part); };
  auto got = net::download(url, path, how);
  tell_transfer(job, 1);
  if (!got) return unfetched(got.error());
  if (!got->has_index)
    log("warning", path +
                       " has no index (moov), so no player shows it: delete it and run the script "
                       "again, which fetches it anew");
  if (video == 0) {
    std::lock_guard lock(job.mutex);
    job.file_sha256 = std::make_unique<std::string>(got->sha256);
  }
  return path;
}

Result<std::string> Engine::clip_file(Job& job, int video) {
  std::lock_guard fetching(job.file_mutex);
  // Only its content tells a clip that was damaged, or another one that was put in its place.
  const bool stored = video == 0 && is_file(job.step.file);
  const auto digest = stored ? digest_of(job.step.file) : std::string();
  const bool damaged = digest && stored && job.file_sha256 && *digest != *job.file_sha256;
  if (stored && !damaged) return job.step.file;
  auto path = stored ? job.step.file : store_path(clip_name(job, video));
  if (!path || (!damaged && is_file(*path))) return path;
  if (damaged) log("warning", *path + " is not what was downloaded; it is fetched again");
  auto saved = fetch_video(job, video, *path);
  if (!saved && (saved.error().code == "expired" || saved.error().kind == Kind::network)) {
    {
      std::lock_guard lock(job.mutex);
      job.result_at = 0;  // do not trust the address at hand
    }
    if (auto url = fresh_url(job, video); !url) return url;
    saved = fetch_video(job, video, *path);
  }
  if (saved && video == 0) {
    std::lock_guard lock(job.mutex);
    job.step.file = *path;
  }
  return saved;
}

Result<std::string> Engine::video_file(const MediaSource& source) {
  if (source.job) return clip_file(*source.job, source.video);
  auto path = input_path(source.path);
  return !path || is_file(*path) ? path : no_such_file(*path);
}

Result<std::string> Engine::output_path(const std::string& path) const {
  if (options.output_folder.empty()) return writable(options.confinement, path);
  std::error_code ignored;
  return options.output_folder + fs::absolute(path, ignored).lexically_normal().string();
}

/// What is in the store, a confined script may name as well.
Result<std::string> Engine::input_path(const std::string& path) {
  if (!options.confinement.on) {
    auto written = output_path(path);
    return written && is_file(*written) ? *written : path;
  }
  std::error_code error;
  const fs::path file = fs::canonical(path, error);
  if (!error && options.store) {
    auto folder = store_folder();
    if (folder && file.parent_path() == fs::canonical(*folder, error)) return file.string();
  }
  return readable(options.confinement, path);
}

Status Engine::note_derived(const std::string& path, const std::string& identity) {
  auto hash = digest_of(path);
  auto book = hash ? ledger() : hash.error();
  if (!book) return book.error();
  return (*book)->record_derived(*hash, identity);
}

Result<std::string> Engine::materialize(MediaSource& source) {
  if (const std::string made = source.made(); is_file(made)) return made;
  auto recipe = resolve(source);
  if (!recipe) return recipe.error();
  Result<std::string> path = source.path;
  if (!source.job && source.recipe != Recipe::bytes) {
    path = input_path(source.path);
    if (!path) return path;
  }
  switch (*recipe) {
    case Recipe::file:
    case Recipe::still:
    case Recipe::part: break;
    case Recipe::bytes: {
      const bool png = source.bytes.starts_with("\x89PNG");
      path = store_path(short_name(source.bytes) + (png ? ".png" : ".jpg"));
      if (!path || is_file(*path)) break;
      if (Status written = write_file(*path, source.bytes); !written.ok()) return written.error();
      break;
    }
    case Recipe::sheet: return make_sheet(source);
    case Recipe::clip:
    case Recipe::last_frame:
    case Recipe::frame_at: {
      const bool clip = *recipe == Recipe::clip;
      if (clip && !source.edited()) {
        path = video_file(source);
        break;
      }
      auto identity = identify(source);
      if (!identity) return identity;
      path =
          store_path((clip ? "cut-" : "frame-") +
                     short_name(*identity + content_of(source, *path)) + (clip ? ".mp4" : ".png"));
      if (!path || is_file(*path)) break;
      auto video = video_file(source);
      if (!video) return video;
      const auto warn = [this](const std::string& text) { log("warning", text); };
      Status made = Done{};
      if (clip) {
        auto film = media::concat({segment_of(source, *video)}, *path, {}, warn);
        if (!film) return film.error();
      } else {
        made = *recipe == Recipe::last_frame
                   ? media::last_frame(*video, *path, warn)
                   : media::frame_at(*video, source.seconds, *path, warn, source.job != nullptr);
      }
      if (!made.ok()) return made.error();
      if (Status noted = note_derived(*path, *identity); !noted) return noted.error();
    }
  }
  if (path && !is_file(*path)) return no_such_file(*path);
  if (path) source.set_made(*path);
  return path;
}

Result<api::Json> Engine::probe(MediaSource& source) {
  auto path = materialize(source);
  if (!path) return path.error();
  auto facts = media::probe(*path);
  if (!facts) return facts.error();
  return api::Json{{"duration", facts->duration},
                   {"width", facts->width},
                   {"height", facts->height},
                   {"fps", facts->fps},
                   {"video_codec", facts->video_codec},
                   {"audio_codec", facts->audio_codec},
                   {"bytes", facts->bytes},
                   {"path", *path}};
}

Result<std::string> Engine::save(MediaSource& source, const std::string& wanted) {
  std::error_code ignored;
  if (wanted.empty())
    return Error{.message = "save needs a path", .hint = "for example save(\"shot.mp4\")"};
  auto place = output_path(wanted);
  if (!place) return place;
  fs::path target(*place);
  const bool in_folder = wanted.back() == '/' || fs::is_directory(target, ignored);
  const std::string ending = extension_of(wanted);
  if (!in_folder && ending.empty() && fs::path(wanted).parent_path() != "/dev")
    return Error{.message = wanted + " has no ending",
                 .hint = "name it " + wanted + (source.recipe == Recipe::clip ? ".mp4" : ".png") +
                         ", or for a folder " + wanted + "/"};
  if (source.recipe == Recipe::clip && !ending.empty())
    if (Status fits = media::check_ending(wanted, false); !fits) return fits.error();
  auto from = materialize(source);
  if (!from) return from;
  // A clip that tells what made it counts as the clip without that.
  const auto counts_as = [this](const std::string& path) {
    auto hash = digest_of(path);
    return hash ? origin_or_content(*hash) : hash;
  };
  const auto hash = digest_of(*from), content = hash ? origin_or_content(*hash) : hash;
  if (!content) return content;
  if (in_folder) {
    // As its shot, if that has a name, or beside it where something else lies.
    fs::path name = fs::path(*from).filename();
    if (source.recipe == Recipe::clip && source.job != nullptr) {
      std::lock_guard lock(source.job->mutex);
      if (const std::string own = as_file_name(source.job->step.name); !own.empty())
        name = own + name.extension().string();
    }
    const auto is_free = [&](const std::string& there) {
      if (!fs::exists(there, ignored)) return true;
      if (const auto known = counts_as(there); known && *known == *content) return true;
      const auto by = unpaid().empty() ? made_by(there) : Result<std::string>("");
      return by && *by == "sim";
    };
    const std::string stem = (target / name.stem()).string();
    target /= name;
    for (int n = 2; !is_free(target.string()); ++n)
      target = stem + "-" + std::to_string(n) + name.extension().string();
  } else {
    if (fs::equivalent(*from, *place, ignored)) return *place;
    place = spare(*place);
    if (!place) return place;
    target = *place;
    std::lock_guard lock(origins_mutex_);
    const auto& [path, first] = *saved_.try_emplace(*place, *content).first;
    if (first != *content && !options.typed)
      log("warning", path + ": another clip was saved there before, and is overwritten");
  }
  if (Status made = make_folders(target.parent_path().string()); !made) return made.error();
  if (fs::equivalent(*from, target, ignored)) return target.string();
  Result<bool> done = false;
  if (source.recipe != Recipe::clip) done = must_convert(*from, target.string());
  if (done && is_file(target.string())) {
    const bool told = source.recipe == Recipe::clip && source.job;
    const auto there = digest_of(target.string()),
               known = there ? origin_or_content(*there) : there;
    if (known && (told ? *there != *hash && *known == "sha256:" + *hash : *there == *hash))
      return target.string();  // saved here before, and as it was left
    if (!*done)                // else once it is made
      if (Status cleared = clear(target.string()); !cleared) return cleared.error();
  }
  if (source.recipe != Recipe::clip) {
    if (done && *done)
      if (Status made = media::convert_picture(*from, target.string(),
                                               [&] { return clear(target.string()); });
          !made)
        done = made.error();
  } else if (source.job) {
    done = media::copy_with_comment(*from, target.string(),
                                    what_made(source, request_of(*source.job), key(),
                                              unpaid() == "sim" ? "made by kling run --sim" : ""));
    if (done && *done)
      if (Status noted = note_derived(target.string(), *content); !noted) return noted.error();
  }
  if (!done && source.recipe == Recipe::bytes && done.error().message.starts_with(*from))
    return Error{.message = "kling.bytes" + done.error().message.substr(from->size()),
                 .hint = "it takes the bytes of a PNG or JPEG, such as clip:last_frame():bytes()"};
  if (!done) return done.error();
  if (!*done)
    if (Status copied = copy_file(*from, target.string()); !copied) return copied.error();
  note_made(target.string());
  return target.string();
}

}  // namespace kling::engine
