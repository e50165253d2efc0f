#include <algorithm>

#include "api/text.h"
#include "net/connection.h"
#include "net/failure.h"

namespace kling::net {
namespace {

using Stage = HttpOutcome::Stage;

/// What the library would send as it is, to whatever effect. Values may be secret.
Status check(const HttpRequest& request) {
  if (request.method != "GET" && request.method != "POST")
    return invalid("the method must be GET or POST");
  if (!request.target.starts_with('/') ||
      std::any_of(request.target.begin(), request.target.end(),
                  [](unsigned char c) { return c <= 0x20 || c >= 0x7f || c == '#'; }))
    return invalid("the path must start with / and hold only printable ASCII, without spaces");
  for (const auto& [name, value] : request.headers) {
    const bool is_token =
        !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
          return c > 0x20 && c < 0x7f &&
                 std::string_view("()<>@,;:\\\"/[]?={}").find(char(c)) == std::string_view::npos;
        });
    if (!is_token) return invalid("a header's name is malformed");
    if (has_controls(value))
      return invalid(
          "the header " + name + " contains a control character",
          name == "Authorization" ? "check the key: a line break may have come with it" : "");
  }
  if (has_controls(request.content_type))
    return invalid("the content type contains a control character");
  return Done{};
}

/// Of the address of a whole endpoint, as documents show it, only the service counts: the paths
/// bring the rest along.
Result<Url> parse_base_url(const std::string& pasted) {
  const std::string text = api::bare(pasted);
  Result<Url> url = parse_url(text);
  Status fits = url ? Status(Done{}) : url.error();
  if (url && text.find_first_of("?#") != text.npos) fits = invalid("it must end with its path");
  while (url && url->target.ends_with('/')) url->target.pop_back();
  if (fits && !url->target.empty()) fits = check_path(url->target);
  if (!fits)  // without a password
    return invalid("base_url \"" + api::excerpt(text.substr(text.rfind('@') + 1), 80) +
                       "\": " + fits.error().message,
                   "write scheme, host and path: https://api.cometapi.com");
  for (const std::string_view known : {"/kling/v1/videos", "/kling/v1", "/kling", "/v1"})
    if (url->target == known || url->target.starts_with("/kling/v1/videos/")) url->target.clear();
  return url;
}

class HttpTransport : public Transport {
 public:
  HttpTransport(Url base, TransportOptions options, std::shared_ptr<Environment> environment)
      : base_(std::move(base)),
        options_(std::move(options)),
        environment_(std::move(environment)) {}

  HttpOutcome send(const HttpRequest& request) override {
    bool begun = false;  // until then no byte can have left
    try {
      if (Status status = check(request); !status) return not_sent(status.error());
      if (stopped_)
        return not_sent(failure(Kind::interrupted,
                                "the connection to " + base_.origin.name() + " was stopped"));
      return exchange(request, begun);
    } catch (const std::exception& exception) {  // memory: how far it came is unknown
      return {.stage = begun ? Stage::lost : Stage::not_sent,
              .error = failure(Kind::network,
                               std::string("the exchange failed inside: ") + exception.what())};
    }
  }

  void stop() override { stopped_ = true; }

 private:
  struct Idle {
    std::unique_ptr<Connection> connection;
    Steady::time_point since;
  };

  static HttpOutcome not_sent(Error error) { return {.error = std::move(error)}; }

  std::unique_ptr<Connection> connect(bool keep_alive) const {
    const ConnectionOptions options{
        .connect_timeout = options_.connect_timeout,
        .read_timeout = options_.read_timeout,
        .write_timeout = options_.write_timeout,
        .allowed = base_.origin.tls || options_.insecure ? kAnywhere : kLoopback,
        .keep_alive = keep_alive};
    return std::make_unique<Connection>(base_.origin, options, environment_);
  }

  /// The one used last, if the service cannot have given it up yet. Null: none.
  std::unique_ptr<Connection> take_idle() {
    std::vector<Idle> dropped;  // closed outside of the lock
    std::lock_guard lock(mutex_);
    const auto oldest = Steady::now() - options_.idle_reuse;
    while (!idle_.empty()) {
      Idle last = std::move(idle_.back());
      idle_.pop_back();
      if (last.since >= oldest) return std::move(last.connection);
      dropped.push_back(std::move(last));
    }
    return nullptr;
  }

  HttpOutcome exchange(const HttpRequest& request, bool& begun) {
    Result<BodyReader> body = BodyReader::open(request.body);
    if (!body) return not_sent(body.error());
    Exchange exchange(Steady::now() + request.deadline, &stopped_);
    Watch::Guard guard(watch_, exchange);
    // Only a GET may fail on a connection that the service closes at that moment: it is repeated.
    const bool keep_alive = request.method == "GET" && !request.fresh_connection;
    std::unique_ptr<Connection> connection = keep_alive ? take_idle() : nullptr;
    const bool reused = connection != nullptr;
    if (!reused) connection = connect(keep_alive);
    begun = true;
    HttpOutcome outcome = exchange_on(*connection, request, *body, exchange);
    outcome.origin = base_.origin;
    if (reused && outcome.stage == Stage::lost && !exchange.head_seen &&
        exchange.end == Exchange::End::none) {
      connection = connect(keep_alive);
      outcome = exchange_on(*connection, request, *body, exchange);
    }
    if (keep_alive && outcome.stage == Stage::answered && connection->reusable()) {
      std::lock_guard lock(mutex_);
      idle_.push_back({std::move(connection), Steady::now()});
    }
    return outcome;
  }

  /// It is never followed with the key, but people are told of it.
  void note_redirect(const HttpRequest& request, const std::string& location,
                     HttpOutcome& outcome) const {
    const Url here{base_.origin, base_.target + request.target};
    const Result<Url> to = resolve_url(here, location);
    if (!to || location.empty()) return;
    const std::string scheme = to->origin.tls ? "https://" : "http://";
    outcome.leads_to = scheme + display(*to);
    const bool moved = to->origin != here.origin || to->target != here.target;
    if (!moved || !to->target.ends_with(request.target) || (here.origin.tls && !to->origin.tls))
      return;
    const std::string path = to->target.substr(0, to->target.size() - request.target.size());
    if (path.find('?') == path.npos) outcome.base_url = scheme + to->origin.name() + path;
  }

  HttpOutcome exchange_on(Connection& connection, const HttpRequest& request, BodyReader& body,
                          Exchange& exchange) {
    HttpOutcome outcome;
    bool too_long = false;
    Call call;
    call.method = request.method;
    call.target = base_.target + request.target;
    call.headers = request.headers;
    if (request.method == "POST") call.headers.emplace_back("Content-Type", request.content_type);
    call.body = &body;
    call.on_part = request.on_part;
    call.on_head = [&](const Head& head) {
      outcome.status = head.status;
      outcome.content_type = head.header("Content-Type");
      outcome.retry_after = head.header("Retry-After");
      outcome.date = head.header("Date");
      if (head.status / 100 == 3) note_redirect(request, head.header("Location"), outcome);
      return true;
    };
    call.on_data = [&](std::string_view data) {
      too_long = outcome.body.size() + data.size() > request.response_cap;
      if (!too_long) outcome.body += data;
      return !too_long;
    };
    CallEnd end = connection.call(call, exchange);
    outcome.stage = end.stage;
    if (end.refused)
      end.error = failure(Kind::protocol, base_.origin.name() + " sent an answer of more than " +
                                              std::to_string(request.response_cap) + " bytes");
    outcome.error = std::move(end.error);
    return outcome;
  }

  const Url base_;
  const TransportOptions options_;
  const std::shared_ptr<Environment> environment_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::vector<Idle> idle_;
  Watch watch_;
};

}  // namespace

Status check_base_url(const std::string& base_url, bool insecure) {
  const Result<Url> base = parse_base_url(base_url);
  if (!base) return base.error();
  if (base->origin.tls || insecure || reach_of_host(base->origin.host) == kLoopback) return Done{};
  return invalid("base_url " + api::shown(base_url) +
                     ": http:// is allowed for this machine only, as it shows the key to others",
                 "use https://, or insecure (--insecure) if you trust the network");
}

Result<std::shared_ptr<Transport>> make_transport(const TransportOptions& options) {
  if (const Status good = check_base_url(options.base_url, options.insecure); !good)
    return good.error();
  Result<Url> base = parse_base_url(options.base_url);
  prepare_library();
  auto environment = options.environment ? options.environment : std::make_shared<Environment>();
  if (auto proxy = environment->proxy_for(base->origin); !proxy) return proxy.error();
  return std::shared_ptr<Transport>(
      std::make_shared<HttpTransport>(std::move(*base), options, std::move(environment)));
}

Result<std::string> service_address(const std::string& base_url) {
  Result<Url> base = parse_base_url(base_url);
  if (!base) return base.error();
  return base->origin.name() + base->target;
}

api::Answer read_answer(const HttpOutcome& outcome, bool create) {
  api::Answer answer = create ? api::decode_create(outcome.status, outcome.body)
                              : api::decode_query(outcome.status, outcome.body);
  // A proxy that keeps clips itself may not know its own address: "/path" is at the service.
  if (answer.task)
    for (api::Video& video : answer.task->videos)
      if (const auto here = resolve_url({outcome.origin, "/"}, video.url);
          here && video.url.starts_with('/'))
        video.url = here->origin.url() + here->target;
  if (!outcome.leads_to.empty()) answer.error.message += ", and leads to " + outcome.leads_to;
  if (!outcome.base_url.empty())
    answer.error.hint = "set the base URL (KLING_BASE_URL) to " + outcome.base_url;
  return answer;
}

std::time_t http_date(const std::string& text) {
  std::tm parts{};
  const bool read = ::strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S", &parts) != nullptr;
  return read ? ::timegm(&parts) : 0;
}

}  // namespace kling::net
