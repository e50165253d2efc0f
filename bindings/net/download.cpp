#include "net/download.h"

#include <algorithm>
#include <random>

#include "api/text.h"
#include "base/file_kind.h"
#include "net/connection.h"
#include "net/failure.h"
#include "net/part_file.h"

namespace kling::net {
namespace {

constexpr const char* kSafe = "try again later; the job is safe";

constexpr int kMostRedirects = 5;
constexpr std::uint64_t kProgressWorthATry = 1u << 20;
constexpr std::size_t kMostWords = 200;  // of an answer that is no film
constexpr std::uint64_t kMostBytes = 2ull << 30;
constexpr double kLeastRate = 1'024;  // bytes per second over each stall_timeout

/// From where on an answer 206 continues, and the whole's length: "bytes 5-9/10".
bool continues_at(const std::string& content_range, std::uint64_t offset, std::uint64_t total) {
  const std::string start = "bytes " + std::to_string(offset) + "-";
  const std::size_t slash = content_range.find('/');
  if (!content_range.starts_with(start) || slash == content_range.npos) return false;
  return total == 0 || api::whole_number(content_range.substr(slash + 1)) == std::int64_t(total);
}

/// One that proves equal bytes: a weak ETag does not.
std::string validator_of(const Head& head) {
  const std::string tag = head.header("ETag");
  const std::string validator = tag.starts_with('"') ? tag : head.header("Last-Modified");
  return !has_controls(validator) && validator.size() < 1024 ? validator : std::string();
}

/// Who refuses an address may repeat what is secret in it, in whatever form.
std::string without_secrets(std::string words, const std::string& target) {
  constexpr std::size_t kShortest = 6;  // less is no signature, and stands in any text
  std::string_view rest = target;
  rest.remove_prefix(std::min(rest.find('?'), rest.size()));
  while (!rest.empty()) {
    rest.remove_prefix(1);
    const std::string_view part = rest.substr(0, rest.find('&'));
    rest.remove_prefix(part.size());
    const std::string_view value =
        part.substr(part.find('=') == part.npos ? 0 : part.find('=') + 1);
    if (value.size() < kShortest) continue;
    for (auto at = words.find(value); at != words.npos; at = words.find(value, at))
      words.replace(at, value.size(), "…");
    for (std::size_t length = value.size(); length-- > kShortest;)  // what was kept ends within it
      if (words.ends_with(value.substr(0, length))) words.resize(words.size() - length);
  }
  return words;
}

class Download {
 public:
  Download(const DownloadOptions& options, PartFile part)
      : options_(options), part_(std::move(part)) {}

  Result<DownloadResult> run(const Url& url) {
    place_ = display(url);
    std::uint64_t furthest = part_.size();
    for (int tries = 1;; ++tries) {
      std::optional<Error> error = try_once(url);
      if (!error) error = finish();
      if (!error) return std::move(result_);
      if (cancelled())
        return failure(Kind::interrupted, "the download of " + place_ + " was stopped");
      if (Status status = part_.flush(); !status) return status.error();
      if (part_.size() > furthest + kProgressWorthATry) tries = 1;
      furthest = std::max(furthest, part_.size());
      if (!error->retryable || tries >= options_.tries) return *error;
      pause(tries);
    }
  }

 private:
  bool cancelled() const { return options_.cancel != nullptr && *options_.cancel; }

  std::optional<Error> try_once(Url url) {
    unsigned allowed = kAnywhere;
    for (int hops = 0; hops <= kMostRedirects; ++hops) {
      if (!url.origin.tls && !options_.insecure) allowed &= kLoopback;
      if (options_.allowed) allowed &= options_.allowed(url.origin);
      if (allowed == 0) return refuse(url, hops);
      if ((reach_of_host(url.origin.host) & allowed) == 0) return refuse(url, hops);
      location_.reset();
      ConnectionOptions how{.read_timeout = options_.stall_timeout, .allowed = allowed};
      how.connect_timeout = std::min(how.connect_timeout, options_.stall_timeout);
      how.keep_alive = false;
      Connection connection(url.origin, how, environment_);
      std::optional<Error> error = fetch(connection, url);
      if (error || !location_) return error;
      Result<Url> next = location_->empty() ? invalid("none") : resolve_url(url, *location_);
      if (!next) return permanent(place_ + " redirects to a bad address: " + next.error().message);
      // An address in the internet must not lead us to one of this machine or this network.
      allowed = options_.allow_private ? kAnywhere : kPublic | unsigned(connection.reach());
      url = std::move(*next);
    }
    return permanent(place_ + " redirects more than " + std::to_string(kMostRedirects) + " times");
  }

  static Error refuse(const Url& url, int hops) {
    const std::string reason = " is refused: plain http, or a local or private address";
    return hops == 0 ? invalid(display(url) + reason)
                     : permanent("a redirect to " + display(url) + reason);
  }

  /// One request. No error and no location_: the whole body has been appended.
  std::optional<Error> fetch(Connection& connection, const Url& url) {
    Exchange exchange(Steady::now() + options_.stall_timeout, options_.cancel);
    Watch::Guard guard(watch_, exchange);
    Call call;
    call.target = url.target;
    const bool resuming =
        part_.size() > 0 && part_.source().place == place_ && !part_.source().validator.empty();
    if (resuming) {
      call.headers.emplace_back("Range", "bytes=" + std::to_string(part_.size()) + "-");
      call.headers.emplace_back("If-Range", part_.source().validator);
    }
    std::optional<Error> error;
    std::string words;  // of an answer that is no film
    call.on_head = [&](const Head& head) {
      error = take_head(head, resuming);
      if (error || location_) return error && error->http_status != 0;
      exchange.deadline = TimePoint::max();  // from here on the rate decides
      window_start_ = Steady::now();
      window_bytes_ = 0;
      return true;
    };
    call.on_data = [&](std::string_view data) {
      if (error) words += data.substr(0, kMostWords - words.size());
      if (error) return words.size() < kMostWords;
      error = take_data(data);
      return !error;
    };
    CallEnd end = connection.call(call, exchange);
    if (error && !words.empty())
      error->message += ": " + api::excerpt(without_secrets(words, url.target), kMostWords);
    if (error || end.refused || end.stage == HttpOutcome::Stage::answered) return error;
    end.error.message = "the download of " + place_ + " failed: " + end.error.message;
    return std::move(end.error);
  }

  std::optional<Error> take_head(const Head& head, bool resuming) {
    const auto is = [&head](std::initializer_list<int> statuses) {
      return std::ranges::find(statuses, head.status) != statuses.end();
    };
    endless_ = head.endless;
    if (head.status == 206) {
      const std::string range = head.header("Content-Range");
      // Another version of the film than the one that was begun may be named.
      const std::string& begun = part_.source().validator;
      const std::string now = head.header(begun.starts_with('"') ? "ETag" : "Last-Modified");
      if (resuming && !head.packed && (now.empty() || now == begun) &&
          continues_at(range, part_.size(), part_.source().total))
        return error_of(part_.resume());
      if (resuming) return start_over(place_ + " continued with other bytes than it was asked for");
      if (range.empty() || range.starts_with("bytes 0-")) return take_whole(head);  // boxes tell
    } else if (head.status / 100 == 2) {
      return take_whole(head);
    }
    if (head.status == 416 && resuming) return start_over(place_ + " has no such part any more");
    if (is({301, 302, 303, 307, 308})) {
      location_ = api::tidy_url(head.header("Location"));
      return {};
    }
    Error error = failure(Kind::network, place_ + " answered " + std::to_string(head.status));
    error.http_status = head.status;
    error.retryable = head.status >= 500 || is({408, 429});
    if (!error.retryable) {  // an expired signature is a 400 to some, a 403 or 410 to others
      error.kind = Kind::media;
      error.code = "expired";
      error.hint =
          head.status / 100 == 3
              ? "the server names no other place: try again later; the job is safe"
              : "the address has expired or the file is gone: ask the service for a fresh URL";
    }
    return error;
  }

  std::optional<Error> take_whole(const Head& head) {
    if (head.length > kMostBytes) return too_large();
    // What is unpacked here cannot be asked for from its middle.
    PartFile::Source source{place_, head.packed ? "" : validator_of(head), head.length};
    return error_of(part_.restart(std::move(source)));
  }

  std::optional<Error> take_data(std::string_view data) {
    if (part_.size() + data.size() > kMostBytes) return too_large();
    const std::uint64_t before = part_.size();
    if (Status status = part_.append(data); !status) return status.error();
    if (before < 8 && part_.size() >= 8 && !is_film()) return not_mp4();
    if (const std::uint64_t total = part_.source().total; total != 0 && options_.on_part)
      options_.on_part(double(part_.size()) / double(total));
    return rate_error(data.size());
  }

  /// A server that drips would hold us for ever: no time-out between two bytes ends it.
  std::optional<Error> rate_error(std::size_t size) {
    window_bytes_ += size;
    const auto window = Steady::now() - window_start_;
    if (window < options_.stall_timeout) return {};
    const double seconds = std::chrono::duration<double>(window).count();
    if (double(window_bytes_) < kLeastRate * seconds)
      return failure(Kind::network, place_ + " sends too slowly");
    window_start_ = Steady::now();
    window_bytes_ = 0;
    return {};
  }

  /// The checks of the whole, and its move onto the path.
  std::optional<Error> finish() {
    if (Status status = part_.flush(); !status) return status.error();
    const std::uint64_t total = part_.source().total;
    const std::string size = std::to_string(part_.size());
    if (total != 0 && part_.size() > total) return start_over(place_ + " sent too much");
    if (total != 0 && part_.size() < total)
      return incomplete(" sent " + size + " of " + std::to_string(total) + " bytes");
    if (!is_film()) return not_mp4();
    const PartFile::Boxes boxes = part_.boxes();
    if (boxes.cut || (endless_ && !(boxes.moov && boxes.mdat))) {
      Error error = incomplete(" ended after " + size + " bytes, within the film");
      if (total == 0) return error;
      error.retryable = !std::exchange(cut_, true);  // it announces no more: twice is enough
      if (Status status = part_.restart({}); !status) return status.error();
      return error;
    }
    result_.bytes = part_.size();
    result_.has_index = boxes.moov;
    Result<std::string> digest = part_.commit();
    if (!digest) return digest.error();
    result_.sha256 = std::move(*digest);
    return {};
  }

  std::optional<Error> start_over(std::string message) {
    if (Status status = part_.restart({}); !status) return status.error();
    return failure(Kind::network, std::move(message));
  }

  Error incomplete(const std::string& what) const {
    return {.kind = Kind::media, .message = place_ + what, .hint = kSafe, .retryable = true};
  }

  bool is_film() const {
    const FileKind& kind = file_kind(part_.start());
    return kind.family == FileKind::video && std::string_view(kind.demuxer) == "mov";
  }

  Error not_mp4() {
    const std::string what = file_kind(part_.start()).name;
    part_.discard();
    Error error =
        failure(Kind::media, "what " + place_ + " sent is " + what + ", no MP4 film", kSafe);
    error.code = "expired";  // a page of words instead of a film: another address may do better
    return error;
  }

  Error too_large() {
    part_.discard();
    return failure(Kind::media,
                   place_ + " sends more than " + std::to_string(kMostBytes) + " bytes");
  }

  static std::optional<Error> error_of(const Status& status) {
    return status ? std::optional<Error>() : status.error();
  }

  /// About 1, 2, 4 ... 32 seconds on the clock; looks for a cancellation every 50 ms of it.
  void pause(int tries) const {
    Clock& clock = *options_.clock;
    const Millis length = Millis(750 + std::random_device()() % 500) << std::min(tries - 1, 5);
    const Millis end = clock.now() + length;
    std::mutex mutex;
    std::condition_variable nobody;
    std::unique_lock lock(mutex);
    clock.release();  // a pause is no work: a clock that jumps may jump over it
    while (clock.now() < end && !cancelled())
      clock.wait_until(lock, nobody, std::min(end, clock.now() + 50));
    clock.hold();
  }

  const DownloadOptions& options_;
  PartFile part_;
  std::string place_;
  DownloadResult result_;
  std::shared_ptr<Environment> environment_ =
      options_.environment ? options_.environment : std::make_shared<Environment>();
  Watch watch_;
  std::optional<std::string> location_;  ///< of the last answer, when it was a redirect
  Steady::time_point window_start_;
  std::uint64_t window_bytes_ = 0;
  bool endless_ = false;  ///< the film ended with the connection, which may end at any time
  bool cut_ = false;      ///< what came as announced was not the whole film
};

}  // namespace

Result<DownloadResult> download(const std::string& url, const std::string& path,
                                const DownloadOptions& options) {
  try {
    Result<Url> parsed = parse_url(url);
    if (!parsed) return parsed.error();
    Result<PartFile> part = PartFile::open(path);
    if (!part) return part.error();
    return Download(options, std::move(*part)).run(*parsed);
  } catch (const std::exception& exception) {
    return failure(Kind::network, std::string("the download failed inside: ") + exception.what());
  }
}

}  // namespace kling::net
