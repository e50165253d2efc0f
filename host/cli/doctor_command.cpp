// kling doctor: everything a run needs, looked at once. Free, and whole without a network: one
// look-up, one GET and a few child processes, each with a limit of seconds. kling login keeps a
// key after the same look at it.
#include <cstdlib>

#include <termios.h>

#include "api/text.h"
#include "base/files.h"
#include "base/process.h"
#include "base/terminal.h"
#include "cli/service.h"
#include "engine/media/ffmpeg.h"
#include "net/lookup.h"
#include "net/transport.h"

namespace kling::cli {
namespace {

using std::chrono::seconds;

struct Finding {
  std::string message;
  std::string cure = "";
  const char* level = "ok";
};
constexpr const char* kProblem = "problem";
Finding warning(const std::string& message, const std::string& cure) {
  return {message, cure, "warning"};
}
Finding problem(const std::string& message, const std::string& cure) {
  return {message, cure, kProblem};
}
Finding problem(const Error& error) { return problem(error.message, error.hint); }

/// What is examined: each check may use what an earlier row of the table found out.
struct Patient {
  ServiceOptions options;
  Result<runtime::Access> access;
  std::string base_url;
  std::string notice;  ///< why the ledger is not beside the script
  std::string ledger;
  std::optional<net::Origin> origin;
  std::optional<net::Proxy> proxy;
  bool reachable = false;  ///< the name was found
  net::HttpOutcome answer;

  bool answered() const { return answer.stage == net::HttpOutcome::Stage::answered; }
};

Finding not_known() {
  return warning("unknown, as the service did not answer", "fix the problem above first");
}

/// The standard output of a tool.
Result<std::string> output_of(const std::vector<std::string>& argv) {
  const auto ran = run_process(argv, {.time = seconds(5)});
  if (!ran) return ran.error();
  if (ran->exit_code == 0) return ran->output;
  return Error{.message = argv[0] + " fails with exit code " + std::to_string(ran->exit_code)};
}

Finding check_versions(Patient&) {
  return {"kling " KLING_VERSION ", " LUA_RELEASE ", " + net::library_versions() + ", " +
          engine::ledger_library_version()};
}

Finding check_key(Patient& patient) {
  if (!patient.access) return problem(patient.access.error());
  if (patient.access->key.empty())
    return problem("there is no key", "kling login; kling run --sim needs none");
  return {"found in " + patient.access->key_source};
}

Finding check_address(Patient& patient) {
  const auto url = net::parse_url(patient.base_url);
  if (!url)
    return problem("the service's address is " + api::excerpt(patient.base_url, 60) + ": " +
                       url.error().message,
                   "--base-url, KLING_BASE_URL or base_url in the config file gives it");
  patient.origin = url->origin;
  return {url->origin.name()};
}

Finding check_proxy(Patient& patient) {
  if (!patient.origin) return not_known();
  auto proxy = net::Environment().proxy_for(*patient.origin);
  if (!proxy) return problem(proxy.error());
  patient.proxy = std::move(*proxy);
  if (!patient.proxy) return {"none for " + patient.origin->name()};
  return {patient.proxy->host + ":" + std::to_string(patient.proxy->port) + " connects to " +
          patient.origin->name()};
}

Finding check_dns(Patient& patient) {
  if (!patient.origin) return not_known();
  const std::string& host = patient.proxy ? patient.proxy->host : patient.origin->host;
  const auto found =
      net::addresses_of(host, net::kAnywhere, std::chrono::steady_clock::now() + seconds(3));
  if (!found) return problem(found.error());
  patient.reachable = true;
  return {host == found->front() ? "not needed for " + host : host + " is " + found->front()};
}

/// Asks for a task that cannot exist: free, and the answer tells whether the key is accepted.
Finding check_connection(Patient& patient) {
  if (!patient.reachable) return not_known();
  const auto transport = net::make_transport({.base_url = patient.base_url,
                                              .insecure = patient.options.insecure,
                                              .connect_timeout = seconds(4),
                                              .read_timeout = seconds(5)});
  if (!transport) return problem(transport.error());
  net::HttpRequest request;
  request.target = api::find_endpoint("text2video")->path + "/1";
  request.deadline = seconds(6);
  if (patient.access && !patient.access->key.empty())
    request.headers = {{"Authorization", "Bearer " + patient.access->key}};
  patient.answer = (*transport)->send(request);
  if (!patient.answered()) return problem(patient.answer.error);
  return {patient.origin->name() + " answers"};
}

Finding check_tls(Patient& patient) {
  if (!patient.origin) return not_known();
  const std::string name = patient.origin->name();
  if (patient.origin->tls) {
    if (patient.answered()) return {"the certificate of " + name + " is trusted"};
    const bool distrusted = patient.answer.error.message.find("certificate") != std::string::npos;
    return distrusted ? problem(patient.answer.error) : not_known();
  }
  if (!patient.options.insecure) return {"not used with " + name};
  return warning(name + " is used without TLS: whoever is on the way can read the key",
                 "use https:// if the service has it");
}

Finding check_service(Patient& patient) {
  if (!patient.answered()) return not_known();
  if (!patient.access || patient.access->key.empty())
    return warning("unknown whether the service accepts you, as there is no key", "kling login");
  const api::Answer answer = net::read_answer(patient.answer);
  if (answer.task || answer.refusal == api::Refusal::no_such_task)
    return {"the service accepts the key"};
  if (answer.refusal == api::Refusal::rate_limited || answer.refusal == api::Refusal::unavailable)
    return warning("the service did not say: " + answer.error.message, answer.error.hint);
  return problem(answer.error);
}

Finding check_clock(Patient& patient) {
  if (!patient.answered()) return not_known();
  const std::time_t its = net::http_date(patient.answer.date);
  if (its == 0) return {"not compared: the service does not tell its time"};
  const auto skew = std::abs(std::time(nullptr) - its);
  const std::string text = std::to_string(skew) + " s from the service's";
  return skew <= 60 ? Finding{text} : warning(text, "set this machine's clock");
}

Finding check_ffmpeg(Patient&) {
  std::string found;
  for (const char* tool : {"ffmpeg", "ffprobe"}) {
    const auto output = output_of({tool, "-version"});
    if (!output)
      return problem(output.error().message,
                     "install the package ffmpeg; frames, films and --sim need it");
    const std::size_t end = std::min(output->find(" Copyright"), output->find('\n'));
    found += (found.empty() ? "" : ", ") + output->substr(0, end);
  }
  if (Status usable = engine::media::check_ffmpeg(); !usable) return problem(usable.error());
  return {found};
}

Finding check_codecs(Patient&) {
  const auto encoders = output_of({"ffmpeg", "-hide_banner", "-encoders"});
  const auto filters =
      encoders ? output_of({"ffmpeg", "-hide_banner", "-filters"}) : encoders.error();
  if (!encoders || !filters)
    return warning("unknown, as ffmpeg does not run", "install the package ffmpeg");
  for (const char* encoder : {"libx264", "aac"})
    if (encoders->find(std::string(" ") + encoder + " ") == std::string::npos)
      return problem("ffmpeg has no encoder " + std::string(encoder),
                     "install an ffmpeg that has it, such as Debian's; films need it");
  if (filters->find(" drawtext ") == std::string::npos)
    return warning("ffmpeg has no filter drawtext",
                   "install an ffmpeg that has it, such as Debian's; --sim needs it");
  return {"libx264, aac, drawtext"};
}

Finding check_folders(Patient& patient) {
  if (patient.ledger == ":memory:") return {"none is needed"};
  const fs::path ledger = fs::path(patient.ledger).parent_path();
  const fs::path store =
      patient.options.store.empty() ? ledger / "clips" : fs::path(patient.options.store);
  for (const fs::path& folder : {ledger, store}) {
    std::error_code error;
    fs::path there = fs::absolute(folder, error);
    while (!fs::exists(there, error) && there != there.parent_path()) there = there.parent_path();
    const std::string trial = part_path((there / "kling-doctor").string());
    const Status written = write_file(trial, "");
    fs::remove(trial, error);
    if (!written)
      return problem(there.string() + " cannot be written",
                     "check its owner and rights, or name another with --ledger and --store");
  }
  if (!patient.notice.empty())
    return warning(patient.notice, "make it writable, or name another place with --ledger");
  return {ledger.string() + ", " + store.string()};
}

Finding check_ledger(Patient& patient) {
  std::error_code error;
  if (patient.ledger == ":memory:" || !fs::exists(patient.ledger, error))
    return {"none yet"};  // opening it would make one
  const auto ledger = engine::open_ledger(patient.ledger, {.busy_timeout = 2000});
  if (!ledger) return problem(ledger.error());
  const auto steps = (*ledger)->list(0);
  if (!steps) return problem(steps.error());
  const std::string count = std::to_string(steps->size()) + (steps->size() == 1 ? " job" : " jobs");
  std::string undecided;
  int open = 0;
  for (const engine::Step& step : *steps)
    if (step.state == engine::StepState::ambiguous && ++open <= 3)
      undecided += " kling:" + step.endpoint + "/~" + step.external_id;
  if (open > 3) undecided += " and " + std::to_string(open - 3) + " more (kling jobs --open)";
  if (open > 0)
    return warning(count + "; these need a decision:" + undecided,
                   "kling jobs resolve HANDLE --adopt ID | --resubmit | --abandon");
  return {patient.ledger + ": " + count};
}

constexpr struct {
  const char* name;
  Finding (*run)(Patient&);
} kChecks[] = {
    {"versions", check_versions}, {"key", check_key},         {"address", check_address},
    {"proxy", check_proxy},       {"dns", check_dns},         {"connection", check_connection},
    {"tls", check_tls},           {"service", check_service}, {"clock", check_clock},
    {"ffmpeg", check_ffmpeg},     {"codecs", check_codecs},   {"folders", check_folders},
    {"ledger", check_ledger},
};

int run_doctor(const Voice& voice, const ServiceOptions& options) {
  Patient patient{options, runtime::find_access(options)};
  // A config file that is refused must not send the look at the network elsewhere.
  const char* named = std::getenv("KLING_BASE_URL");
  for (const std::string& url :
       {patient.access ? patient.access->base_url : options.base_url,
        std::string(named ? named : ""), std::string(engine::kDefaultBaseUrl)})
    if (patient.base_url.empty()) patient.base_url = url;
  patient.ledger = find_ledger(options, "", false, patient.notice);
  int code = kExitDone;
  for (const auto& check : kChecks) {
    Finding finding = check.run(patient);
    finding.cure = voice.typed(finding.cure);
    if (finding.level == kProblem) code = kExitError;
    if (voice.json) {
      Voice::line({{"check", check.name},
                   {"state", finding.level},
                   {"message", finding.message},
                   {"hint", finding.cure}});
    } else if (!voice.quiet || finding.level == kProblem) {
      std::string text = printed("%-8s %-11s ", finding.level, check.name) + finding.message;
      if (!finding.cure.empty())
        text += "\n" + std::string(terminal_size(STDOUT_FILENO).columns < 42 ? 8 : 20, ' ') +
                " → " + finding.cure;
      std::printf("%s\n", wrapped(text, STDOUT_FILENO).c_str());
      std::fflush(stdout);
    }
  }
  return code;
}

/// A line from standard input, not shown where that is a terminal; nothing at its end or Ctrl-C.
std::optional<std::string> ask_secretly(const char* question) {
  termios shown{};
  const bool terminal = ::tcgetattr(STDIN_FILENO, &shown) == 0;
  if (terminal) {
    constexpr char kControlC = 3;  // ends the line, so that the terminal is set right in any case
    termios hidden = shown;
    hidden.c_lflag &= ~tcflag_t(ECHO | ISIG);
    hidden.c_cc[VEOL] = kControlC;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &hidden);
    std::fputs(question, stderr);
  }
  std::string line;
  int byte = 0;
  while ((byte = std::getchar()) != EOF && byte != '\n' && byte != 3) line += char(byte);
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &shown);
    std::fputc('\n', stderr);
  }
  return byte == '\n' || (byte == EOF && !line.empty()) ? std::optional(line) : std::nullopt;
}

int run_login(const Voice& voice, const ServiceOptions& options) {
  voice.note("sign in at https://www.cometapi.com, make an API key in its console, top up there");
  const auto line = ask_secretly("The key (it is not shown): ");
  if (!line && ::isatty(STDIN_FILENO) == 0)
    return voice.fail({.kind = Kind::auth,
                       .message = "no key came: standard input is no terminal, and is empty",
                       .hint = "run kling login in a terminal, or set KLING_API_KEY"});
  if (!line) return kExitInterrupted;
  auto key = api::bare_key(*line, "what you typed");
  if (!key) return voice.fail(key.error());
  if (key->find("://") != key->npos)
    return voice.fail({.kind = Kind::auth,
                       .message = "that is an address, not a key",
                       .hint = "kling login --base-url takes the address; a key begins with sk-"});
  if (key->empty()) return voice.fail({.kind = Kind::auth, .message = "no key was given"});
  Patient patient{options, runtime::find_access(options)};
  if (!patient.access) return voice.fail(patient.access.error());
  const std::string other = patient.access->key_source;
  patient.access->key = *key;
  patient.base_url = patient.access->base_url.empty() ? std::string(engine::kDefaultBaseUrl)
                                                      : patient.access->base_url;
  Finding finding;
  for (auto* check : {check_address, check_proxy, check_dns, check_connection, check_service})
    if (finding = check(patient); finding.level == kProblem) break;
  if (finding.level == kProblem && patient.answered())
    return voice.fail({.kind = Kind::auth,
                       .message = finding.message + "; the key is not kept",
                       .hint = finding.cure});
  const auto kept = runtime::keep_key(*key);
  if (!kept) return voice.fail(kept.error());
  voice.note("kept in " + *kept + ", which only you can read; " +
             (finding.level == kProblem ? "not checked: " : "") + finding.message);
  if (other.ends_with("_KEY")) voice.note("warning: " + other + " is set and goes before it");
  return kExitDone;
}

}  // namespace

std::function<int()> set_up_doctor(CLI::App& app) {
  auto voice = options_of<Voice>(app);
  auto options = options_of<ServiceOptions>(app);
  app.footer(
      "Example: kling doctor\nIt costs nothing. Exit code 1 when there is a problem, else 0.");
  return [voice, options] { return run_doctor(*voice, *options); };
}

std::function<int()> set_up_login(CLI::App& app) {
  auto voice = std::make_shared<Voice>();
  auto options = std::make_shared<ServiceOptions>();
  app.add_flag("-q,--quiet", voice->quiet, "errors only");
  app.add_option("--base-url", options->base_url, "the service (KLING_BASE_URL)");
  app.add_flag("--insecure", options->insecure, "allow a plain http:// service elsewhere");
  app.footer(
      "Example: kling login\nIt asks for the key without showing it, checks it for free and keeps "
      "it in ~/.config/kling/config.");
  return [voice, options] { return run_login(*voice, *options); };
}

}  // namespace kling::cli
