// From a script's request to what identifies it and to the body that is sent.

#include "api/text.h"
#include "base/digest.h"
#include "base/file_kind.h"
#include "base/files.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

using Source = api::MediaInput::Source;

// A URL from an earlier answer may have expired by the time the service fetches it.
constexpr Millis kFreshUrl = 10 * 60 * 1000;

/// Adds what the file's own bytes tell. A picture that is neither JPEG nor PNG has empty facts.
Status look_at(api::MediaInput& input, const Result<std::string>& path) {
  if (!path) return path.error();
  const auto head = read_head(*path, 1);
  if (!head) return head.error();
  input.facts = read_image_facts(read_from(*path));
  input.facts->bytes = head->size;
  return Done{};
}

/// A video of one's own: the service takes two forms. What nobody here knows may be one of them.
Status look_at_video(const Result<std::string>& found) {
  if (!found) return found.error();
  const auto head = read_head(*found, 256);
  if (!head) return head.error();
  const FileKind& kind = file_kind(head->data);
  const bool video = kind.family == FileKind::video;
  if (video ? std::string_view(kind.demuxer) == "mov"
            : std::string_view(kind.name).starts_with("of a kind"))
    return Done{};
  return Error{.message = *found + " is " + kind.name + "; the service takes MP4 and MOV videos",
               .hint = video ? cure_of(kind) : "give a video or a Clip"};
}

/// Where the medium stands in `value`: "image_list[2].image"; empty: not there.
std::string place_of(std::size_t medium, const api::Json& value, const std::string& path = "") {
  if (api::scalar_text(api::member(value, "$media")) == std::to_string(medium)) return path;
  std::string found;
  for (auto one = value.begin(); value.is_structured() && found.empty() && one != value.end();
       ++one)
    found = place_of(medium, *one,
                     value.is_array() ? path + "[" + std::to_string(one - value.begin() + 1) + "]"
                                      : path + (path.empty() ? "" : ".") + one.key());
  return found;
}

Status check_again(const api::Request& request) {
  const api::Endpoint& endpoint = *api::find_endpoint(request.endpoint);
  auto findings = api::check(endpoint, request);
  if (!request.strict) std::erase_if(findings, std::not_fn(&api::Finding::is_error));
  if (findings.empty()) return Done{};
  return api::to_error(endpoint, findings);
}

}  // namespace

Status Engine::inspect(Sending& sending) {
  api::Request& request = sending.request.request;
  bool looked = false;
  const auto in_field = [&](const api::MediaInput& input, const Status& seen) {
    Error error = seen.error();
    error.field = place_of(std::size_t(&input - request.media.data()), request.fields);
    error.message = request.endpoint + ": " + request.written(error.field) + ": " + error.message;
    return error;
  };
  for (api::MediaInput& input : request.media) {
    if (input.video) {
      if (input.source != Source::file) continue;
      if (Status seen = look_at_video(input_path(input.text)); !seen) return in_field(input, seen);
      continue;
    }
    if (input.source == Source::file) {
      if (Status seen = look_at(input, input_path(input.text)); !seen) return in_field(input, seen);
      looked = true;
    } else if (input.source == Source::derived) {
      const MediaSource& source = *sending.request.sources.at(input.tag);
      const auto recipe = resolve(source);
      if (!recipe) return recipe.error();
      if (*recipe == MediaSource::Recipe::file) {
        if (Status seen = look_at(input, input_path(source.path)); !seen)
          return in_field(input, seen);
      } else if (*recipe == MediaSource::Recipe::bytes) {
        input.facts = read_image_facts(source.bytes);
        input.facts->bytes = source.bytes.size();
      }
      looked = true;
    }
    if (input.facts && input.facts->is == kAnimated)
      log("warning",
          "of an animated PNG the service takes one frame; kling.still(PATH):save writes it");
  }
  return looked ? check_again(request) : Done{};
}

Result<Identities> Engine::identities(const Sending& sending) {
  Identities names;
  std::optional<Working> working;
  for (const api::MediaInput& input : sending.request.request.media) {
    Result<std::string> identity =
        input.identity.empty() ? "url:" + input.text : "id:" + input.identity;
    if (input.source == Source::base64) {
      std::string bytes;
      identity =
          origin_or_content(sha256_hex(base64_decode(input.text, bytes) ? bytes : input.text));
    } else if (input.source == Source::file) {
      auto path = input_path(input.text);
      working.emplace(*this, "hashing " + input.text);
      identity = path ? digest_of(*path) : path;
      if (identity) identity = origin_or_content(*identity);
    } else if (input.source == Source::derived) {
      identity = identify(*sending.request.sources.at(input.tag));
    }
    if (!identity) return identity.error();
    names.push_back(*identity);
  }
  return names;
}

Status Engine::build_body(Job& job, Sending& sending) {
  net::Body body;
  if (job.definition == nullptr) {
    body.push_back({.text = api::to_text(sending.other_body)});
    sending.body = std::move(body);
    return Done{};
  }
  api::Request& request = sending.request.request;
  // What each medium is in the body: a JSON string, or a file that is streamed.
  std::vector<net::BodyPiece> media;
  for (api::MediaInput& input : request.media) {
    net::BodyPiece piece;
    if (input.source == Source::url || input.source == Source::base64) {
      piece.text = input.text;
    } else if (input.video) {
      MediaSource* source =
          input.source == Source::derived ? sending.request.sources.at(input.tag).get() : nullptr;
      const bool generated = source != nullptr && source->job != nullptr;
      if (!generated && !options.upload)
        return Error{
            .message = "the service takes videos by URL only",
            .hint = "use a generated clip, or put the file where the service can fetch it"};
      auto url = generated ? fresh_url(*source->job, source->video)
                           : uploaded(source != nullptr ? source->path : input.text);
      if (!url) return url.error();
      piece.text = *url;
    } else {
      auto found = input.source == Source::derived
                       ? materialize(*sending.request.sources.at(input.tag))
                       : input_path(input.text);
      if (Status seen = look_at(input, found); !seen) return seen;
      if (input.facts->bytes > api::kLargestPicture && options.upload) {
        auto url = uploaded(*found);
        if (!url) return url.error();
        media.push_back({.text = *url});
        continue;
      }
      auto hash = hash_file(*found, &piece.size);
      if (!hash) return hash.error();
      piece.path = *found;
      piece.sha256 = *hash;
    }
    media.push_back(std::move(piece));
  }
  if (Status checked = check_again(request); !checked) return checked;

  // The body with a token in place of each medium, cut at the tokens.
  const std::string token = "kling-media-" + random_hex(12) + "-";
  api::Json json = api::wire_body(*job.definition, request);
  json["external_task_id"] = job.step.external_id;
  if (!options.callback.empty() && !json.contains("callback_url")) {
    auto url = callback_url(job.step.id);
    if (!url) return url.error();
    json["callback_url"] = *url;
  }
  const std::function<void(api::Json&)> put_tokens = [&](api::Json& value) {
    if (value.is_object() && value.size() == 1 && value.contains("$media")) {
      value = token + std::to_string(value["$media"].get<std::size_t>()) + "@";
    } else if (value.is_structured()) {
      for (auto& item : value) put_tokens(item);
    }
  };
  put_tokens(json);
  const std::string text = api::to_text(json);
  std::string literal;
  std::size_t from = 0;
  for (std::size_t at = text.find(token); at != std::string::npos; at = text.find(token, from)) {
    const std::size_t number_at = at + token.size();
    const std::size_t end = text.find('@', number_at);
    const net::BodyPiece& piece = media.at(std::stoul(text.substr(number_at, end - number_at)));
    literal += text.substr(from, at - from);
    from = end + 1;
    if (piece.path.empty()) {
      const std::string quoted = api::to_text(piece.text);
      literal += quoted.substr(1, quoted.size() - 2);
    } else {
      body.push_back({.text = std::exchange(literal, {})});
      body.push_back(piece);
    }
  }
  literal += text.substr(from);
  body.push_back({.text = std::move(literal)});
  sending.body = std::move(body);
  return Done{};
}

/// SHA-256 of a file's content. One that is as it was when that was last asked is not read again:
/// the ledger notes it by the file's place, size and times.
Result<std::string> Engine::digest_of(const std::string& path) {
  const std::string stamp = file_stamp(path);
  if (stamp.empty()) return hash_file(path);
  std::unique_lock lock(origins_mutex_);
  if (const auto known = digests_.find(stamp); known != digests_.end()) return known->second;
  lock.unlock();
  const std::string noted = sha256_hex("file " + stamp);
  auto book = ledger();
  const auto known = book ? (*book)->origin_of(noted) : book.error();
  const bool is_noted = known && *known;
  auto digest = is_noted ? Result<std::string>(**known) : hash_file(path);
  if (!is_noted && digest && book) (void)(*book)->record_derived(noted, *digest, false);
  lock.lock();
  if (digests_.size() > 1'000) digests_.clear();  // soon asked again, or not
  if (digest) digests_[stamp] = *digest;
  return digest;
}

Result<std::string> Engine::uploaded(const std::string& path) {
  const auto found = input_path(path);
  auto hash = found ? hash_file(*found) : found;
  if (!hash) return hash.error();
  const Working working(*this, "uploading " + path);
  std::unique_lock lock(uploads_mutex);
  auto url = uploads[*hash];
  if (url == nullptr) {
    url = uploads[*hash] = std::make_shared<std::optional<Result<std::string>>>();
    lock.unlock();
    options.upload(*found, [self = shared_from_this(), url](const Result<std::string>& told) {
      const std::lock_guard guard(self->uploads_mutex);
      *url = told;
      self->uploads_changed.notify_all();
    });
    lock.lock();
  }
  while (!*url && !closing) uploads_changed.wait_for(lock, std::chrono::milliseconds(100));
  const std::string address = *url && **url ? api::tidy_url(***url) : "";  // as programs print it
  const auto reach = [](const Result<net::Url>& of) {
    return of ? net::reach_of_host(of->origin.host) : net::kPublic;
  };
  // A service in this network may reach what is in it.
  const bool near = reach(net::parse_url(address)) != net::kPublic &&
                    reach(net::parse_url(options.base_url)) == net::kPublic;
  if (api::is_url(address) && !near) return address;
  if (uploads[*hash] == url) uploads.erase(*hash);  // who comes next asks again
  Error error{.hint = "the function returns the https:// address of the file; nothing was sent"};
  error.message =
      "the upload of " + path +
      (!*url   ? " was cut short"
       : near  ? " gave an address that the service cannot reach: " + api::excerpt(address, 60)
       : **url ? " gave no http address, but \"" + api::excerpt(***url, 60) + '"'
               : " failed: " + (*url)->error().message);
  if (!*url) error.hint = "nothing was sent; the job waits for the next run";
  return error;
}

Result<std::string> Engine::fresh_url(Job& job, int video) {
  std::unique_lock lock(job.mutex);
  if (job.step.task_id.empty())
    return Error{
        .kind = Kind::media, .message = "this job has no clip yet", .hint = "wait for it first"};
  if (job.result_at == 0 || now() - job.result_at > kFreshUrl || known_url(job, video).empty()) {
    lock.unlock();
    const Event event = get(job);
    lock.lock();
    if (event.type != EventType::polled || event.task != api::TaskState::succeeded || event.gap)
      return Error{
          .kind = Kind::media,
          .message = "no address for the clip of " + handle_of(job) +
                     (job.error ? ": " + job.error->message : ""),
          .hint = "the service keeps clips for 30 days; a new take makes it again: take = \"2\""};
  }
  const std::string url = known_url(job, video);
  if (url.empty()) return Error{.kind = Kind::media, .message = "the job has no such video"};
  return url;
}

}  // namespace kling::engine
