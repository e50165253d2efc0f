// Films, their timelines and contact sheets, from what a script holds.
#include <cctype>
#include <ranges>
#include <regex>
#include <sstream>

#include "api/text.h"
#include "base/digest.h"
#include "base/files.h"
#include "base/terminal.h"
#include "engine/inside.h"
#include "engine/media/ffmpeg.h"

namespace kling::engine {
namespace {

using Recipe = MediaSource::Recipe;

constexpr double kStillSeconds = 2;

/// What the ledger at `book` calls what was written: its content, at its place beside the ledger.
std::string as_noted(const fs::path& place, const std::string& sum, const fs::path& book) {
  std::error_code error;
  return sha256_hex("made " + sum + fs::relative(place, book.parent_path() / ".", error).string());
}

/// By the addresses of rows, which stand the newest first: what each asks for. Where a picture came
/// from another shot, every take of that shot is the same; a file is not told by its request.
std::map<std::string, std::string> asked_for(const std::vector<Step>& rows) {
  static const std::regex& kFile = *new std::regex(R"re("\$media":\d+\})re");
  constexpr std::string_view kOrigin = " of step ";
  std::map<std::string, std::string> asked;
  for (const Step& row : rows | std::views::reverse) {
    std::string text = row.endpoint + row.script.substr(0, row.script.rfind(':')) + row.request;
    if (std::regex_search(text, kFile)) text += row.digest;
    for (std::size_t at = 0; (at = text.find(kOrigin, at)) != text.npos;)
      if (const auto shot = asked.find(text.substr(at += kOrigin.size(), 32)); shot != asked.end())
        text.replace(at, 32, shot->second);
    asked[row.address] = sha256_hex(text);
  }
  return asked;
}

}  // namespace

/// The parts of a film as files, and by origin, which its frames count as, and by content.
struct Engine::Reel {
  std::vector<media::Segment> segments;
  media::FilmOptions options;
  std::string out, origins, picture = "picture 1\n", sound = "sound 1\n";
};

/// Of a run whose files may not take the place of paid ones, what it is; else nothing.
std::string Engine::unpaid() const {
  return service == "sim" ? "sim" : options.draft ? "draft" : "";
}

/// `place`, or beside it for a rehearsal or draft where something else lies than such a run wrote.
Result<std::string> Engine::spare(const std::string& place) {
  std::error_code error;
  const fs::path file = fs::weakly_canonical(place, error);
  const fs::path book = fs::weakly_canonical(options.ledger_path, error);
  for (const char* behind : {"", "-wal", "-shm", "-journal", ".owners"})
    if (!book.empty() && file == book.string() + behind)
      return Error{.message = place + " is the ledger, which knows what was paid for",
                   .hint = "give another name"};
  const auto by = made_by(place);
  if (!by) return by;
  const Result<std::string> store = by->empty() && options.store ? store_folder() : Error{};
  if (store && file.parent_path() == fs::weakly_canonical(*store, error))
    return Error{.message = place + " is a clip of the store, and may be paid for",
                 .hint = "give another name, outside of that folder"};
  const std::string what = unpaid();
  if (what.empty() || *by == what || *by == "none") return place;
  fs::path beside(place);
  beside.replace_filename(beside.stem().string() + "-" + what + beside.extension().string());
  log("warning", place + " may be paid for, and stays as it is; this " +
                     (what == "sim" ? "rehearsal" : "draft") + " writes " +
                     beside.filename().string());
  return beside.string();
}

/// Before something is written at `place`: what lies there and is not as we wrote it is kept.
Status Engine::clear(const std::string& place) {
  const auto by = made_by(place);
  if (!by) return by.error();
  if (!by->empty() && (*by != "paid" || unpaid().empty())) return Done{};
  std::error_code error;
  std::string aside;
  for (int i = 1; aside.empty() || fs::exists(aside, error); ++i) {
    aside = place + ".~" + std::to_string(i) + "~";
    if (const auto kept = digest_of(aside), there = digest_of(place);
        kept && there && *kept == *there)
      return Done{};
  }
  fs::create_hard_link(place, aside, error);
  if (error)
    if (Status copied = copy_file(place, aside); !copied) return copied;
  log("warning", place + " is not what kling wrote there: what was there is now " +
                     fs::path(aside).filename().string());
  return Done{};
}

/// Which run wrote the file at `place`: "paid", "sim", "draft", "" (unknown); "none": no file.
Result<std::string> Engine::made_by(const std::string& place) {
  if (!is_file(place)) return std::string("none");
  const auto digest = digest_of(place);
  auto book = digest ? ledger() : digest.error();
  if (!book) return book.error();
  const auto known = (*book)->origin_of(as_noted(place, *digest, options.ledger_path));
  if (!known) return known.error();
  if (*known || service == "sim") return known->value_or("");
  const fs::path there = fs::path(options.ledger_path).parent_path() / "sim" / "ledger.db";
  const auto sims = is_file(there.string()) ? open_ledger(there.string()) : Error{};
  const auto by_sim = sims ? (*sims)->origin_of(as_noted(place, *digest, there)) : sims.error();
  return by_sim ? by_sim->value_or("") : "";
}

void Engine::note_made(const std::string& place) {
  const auto digest = digest_of(place);
  const std::string what = unpaid().empty() ? "paid" : unpaid();
  if (auto book = ledger(); book && digest)
    (void)(*book)->record_derived(as_noted(place, *digest, options.ledger_path), what, false);
}

/// Remembers where a film is: people look for it later.
Result<std::string> Engine::keep(Result<std::string> film) {
  std::error_code error;
  if (auto book = ledger(); film && book)
    (void)(*book)->record_film({fs::absolute(*film, error).string(), options.run_name(), now()});
  return film;
}

Result<Engine::Reel> Engine::read_reel(const std::vector<std::shared_ptr<MediaSource>>& parts,
                                       const std::string& wanted, const api::Json& written) {
  Reel reel;
  auto how = media::film_options(written);
  if (!how) return how.error();
  reel.options = std::move(*how);
  auto out = output_path(wanted);
  if (std::error_code error; out && fs::equivalent(reel.options.audio, *out, error))
    return Error{.message = wanted + " is the song of the film that is to have its name",
                 .hint = "give the film another name"};
  for (const auto& part : parts)
    if (std::error_code error;
        out && part->recipe == Recipe::part && fs::equivalent(part->path, *out, error))
      return Error{.message = wanted + " is a part of the film that is to have its name",
                   .hint = "give the film another name"};
  if (out) out = spare(*out);
  if (!out) return out.error();
  reel.out = *out;
  if (parts.empty()) return Error{.message = "concat needs at least one clip"};
  if (wanted.empty())
    return Error{.message = "concat needs a path",
                 .hint = "for example concat(clips, \"film.mp4\")"};
  std::string others_are;
  if (!reel.options.audio.empty()) {
    auto song = input_path(reel.options.audio);
    if (song && !is_file(*song)) song = no_such_file(*song);
    auto hash = song ? digest_of(*song) : song;
    if (!hash) return hash.error();
    reel.options.audio = *song;
    others_are += "audio " + *hash + "\n";
    reel.sound += *hash + "\n";
  }
  api::Json others = written.is_object() ? written : api::Json::object();
  if (const auto audio = others.find("audio"); audio != others.end() && audio->is_object())
    audio->erase("path");
  else
    others.erase("audio");
  if (!others.empty()) others_are += others.dump() + "\n";
  for (const auto& [key, value] : others.items())
    (key == "audio" || key == "mix" ? reel.sound : reel.picture) += key + " " + value.dump() + "\n";
  std::string last_frame_before;  // origin of the frame that the next clip may begin with
  for (const auto& part : parts) {
    auto recipe = resolve(*part);
    if (!recipe) return recipe.error();
    const bool clip = *recipe == Recipe::clip;
    auto path = clip ? video_file(*part) : materialize(*part);
    auto identity = path ? identify(*part) : path;
    auto content = identity ? digest_of(*path) : identity;
    if (!content) return content.error();
    media::Segment segment = segment_of(*part, *path);
    std::string last_frame;
    segment.generated = segment.generated && clip;
    if (!clip) {
      segment.still_seconds = part->still_seconds > 0 ? part->still_seconds : kStillSeconds;
    } else if (part->job) {
      std::lock_guard lock(part->job->mutex);
      segment.name = part->job->step.name;
      segment.drop_first_frame = !last_frame_before.empty() && part->video == 0 &&
                                 part->from == 0 && part->job->starts_from &&
                                 *part->job->starts_from == last_frame_before;
      const std::string& step = part->job->step.address;
      last_frame = part->to > 0 ? origin_frame(step, part->video, part->shows_last())
                                : origin_last_frame(step, part->video);
    }
    last_frame_before = last_frame;
    const std::string shown =
        segment.still_seconds > 0 ? "@" + std::to_string(segment.still_seconds) : "";
    reel.origins += *identity + shown + "\n";
    reel.picture += *content + shown + " " + std::to_string(part->from) + " " +
                    std::to_string(part->to) + (segment.drop_first_frame ? " dropped" : "") +
                    (segment.generated ? " generated\n" : "\n");
    reel.sound += part->mute ? "mute\n" : "\n";
    reel.segments.push_back(std::move(segment));
  }
  reel.origins += others_are;
  if (Status made = make_folders(fs::path(*out).parent_path().string()); !made) return made.error();
  return reel;
}

Result<std::string> Engine::concat(const std::vector<std::shared_ptr<MediaSource>>& parts,
                                   const std::string& wanted, const api::Json& written) {
  auto reel = read_reel(parts, wanted, written);
  if (!reel) return reel.error();
  auto& [segments, how, out, origins, picture, sound] = *reel;
  const std::string name = (fs::path(wanted).parent_path() / fs::path(out).filename()).string();
  auto book = ledger();
  if (!book) return book.error();
  // What the film was when it had been made of this; the value is what its parts' files hold.
  const auto noted = [&, &out = out](const std::string& what) -> std::optional<std::string> {
    if (!is_file(out)) return std::nullopt;
    const auto content = digest_of(out);
    auto known = content ? (*book)->origin_of(sha256_hex(what + *content)) : content.error();
    return known ? *known : std::nullopt;
  };
  if (noted(picture + sound)) {
    log("info", name + " is up to date");
  } else {
    if (const auto found = noted(picture)) {
      how.keep_picture = true;
      std::istringstream lines(*found);
      for (media::Segment& segment : segments) std::getline(lines, segment.known);
    }
    Working working(*this, "joining " + fs::path(out).filename().string());
    auto film = media::concat(
        segments, out, how,
        [this](const std::string& text) {
          if (!options.plans) log("warning", text);  // drawings have other sizes than clips
        },
        [&working](double part) { working.reached(part); }, [&] { return clear(out); });
    if (!film) return film.error();
    auto content = digest_of(out);
    if (!content) return content;
    std::string found;
    for (const std::string& of_part : film->found) found += of_part + "\n";
    for (const std::string& what : {picture, picture + sound})
      if (Status kept = (*book)->record_derived(sha256_hex(what + *content), found); !kept)
        return kept.error();
    std::error_code ignored;
    log("info", name + printed(": %.1f s, %dx%d, %.1f MB", film->seconds, film->width, film->height,
                               static_cast<double>(fs::file_size(out, ignored)) / 1e6));
  }
  note_made(out);
  std::lock_guard lock(origins_mutex_);
  film_origins_[out] = "film:" + sha256_hex(origins);
  return out;
}

/// What is told of a shot. Its other takes: those of its script of the same name or request.
api::Json Engine::told_of(const MediaSource& part, const std::vector<Step>& rows,
                          std::map<std::string, std::string>& requests) {
  api::Json told = {{"name", label_of(part)}, {"metadata", api::Json::object()}};
  if (!part.job) return told;
  const api::Json request = request_of(*part.job);
  std::lock_guard lock(part.job->mutex);
  const StepFacts& step = part.job->step;
  api::Json& facts = told["metadata"];
  for (const char* field : {"prompt", "model_name", "mode", "duration"})
    if (const api::Json value = api::member(request, field); value.is_string())
      facts[field] = value;
  facts["handle"] = handle_of(*part.job);
  const auto script_of = [](const StepFacts& row) {
    return row.script.substr(0, row.script.rfind(':'));
  };
  for (const Step& row : rows)
    if (row.id != step.id && row.endpoint == step.endpoint && script_of(row) == script_of(step) &&
        ((!step.name.empty() && row.name == step.name) ||
         requests[row.address] == requests[step.address]))
      if (const std::string file = find_clip(row.file); is_file(file))
        told["takes"][engine::handle_of(row)] = file;
  return told;
}

Result<std::string> Engine::timeline(const std::vector<std::shared_ptr<MediaSource>>& parts,
                                     const std::string& wanted, const api::Json& written) {
  auto reel = read_reel(parts, wanted, written);
  if (!reel) return reel.error();
  auto book = ledger();
  auto rows = book ? (*book)->list(0) : book.error();
  if (!rows) return rows.error();
  api::Json told = api::Json::array();
  auto requests = asked_for(*rows);
  for (const auto& part : parts) told.push_back(told_of(*part, *rows, requests));
  const auto text = media::timeline(reel->segments, reel->out, reel->options, told);
  if (!text) return text.error();
  if (Status saved = clear(reel->out); !saved || !(saved = write_file(reel->out, *text)))
    return saved.error();
  note_made(reel->out);
  return reel->out;
}

Result<std::string> Engine::make_sheet(MediaSource& source) {
  const MediaSource::Sheet& sheet = *source.sheet;
  std::vector<media::Cell> cells;
  auto identity = identify(source);
  if (!identity) return identity;
  std::string content = *identity;
  for (const auto& one : sheet.of) {
    auto path = materialize(*one);
    auto hash = path ? digest_of(*path) : path;
    if (!hash) return hash.error();
    content += *hash;
    const auto recipe = resolve(*one);
    if (!recipe) return recipe.error();
    const int frames = *recipe == Recipe::clip ? sheet.frames : 1;
    for (int i = 0; i < frames; ++i)
      cells.push_back({*path, frames > 1 ? double(i) / (frames - 1) : 0.5, label_of(*one)});
  }
  constexpr std::size_t kMost = 200;
  if (cells.size() > kMost)
    return Error{.message = "a sheet of " + std::to_string(cells.size()) + " pictures; " +
                            std::to_string(kMost) + " is the most",
                 .hint = "make several, or show fewer frames of each clip"};
  auto path = store_path("sheet-" + short_name(content) + ".png");
  if (!path) return path;
  if (!is_file(*path)) {
    const Status made = media::sheet(cells, sheet.columns, sheet.labels, *path,
                                     [this](const std::string& text) { log("warning", text); });
    if (!made) return made.error();
    if (Status noted = note_derived(*path, *identity); !noted) return noted.error();
  }
  source.set_made(*path);
  return path;
}

std::string MediaSource::which() const {
  if (recipe == Recipe::last_frame) return "last frame";
  if (recipe == Recipe::frame_at) return printed("frame at %g s", seconds);
  std::string text = mute ? "muted" : "";
  if (to > 0 || from > 0) text += mute ? ", " : "";
  if (to > 0) return text + printed("%g to %g s", from, to);
  return from > 0 ? text + printed("from %g s on", from) : text;
}

std::string as_file_name(const std::string& shot) {
  constexpr std::size_t kMost = 100;  // bytes; a name has 255 at most, with all that follows
  std::string name;
  for (const char c : printable(shot)) {  // nothing that turns the writing of other names
    const auto byte = static_cast<unsigned char>(c);
    if (name.size() >= kMost && (byte & 0xC0) != 0x80) break;
    if (std::isalnum(byte) != 0 || byte >= 0x80 || c == '_')
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  if (name.ends_with('-')) name.pop_back();
  return name;
}

}  // namespace kling::engine
