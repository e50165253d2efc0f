#include "runtime/settings.h"

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>

#include <sys/stat.h>

#include "api/text.h"
#include "base/files.h"

namespace kling::runtime {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

fs::path config_path() { return xdg_folder("XDG_CONFIG_HOME", ".config") / "config"; }

/// `name = value` lines. One that holds a key and that others may read is refused.
Result<std::map<std::string, std::string>> read_config() {
  std::map<std::string, std::string> values;
  const fs::path path = config_path();
  struct stat facts {};
  if (::stat(path.c_str(), &facts) != 0) return values;
  if (!S_ISREG(facts.st_mode))
    return Error{.message = path.string() + " is no file",
                 .hint = "kling login writes it anew once it is gone"};
  std::ifstream file(path, std::ios::binary);
  std::string text(std::istreambuf_iterator<char>(file), {});
  if (Status read = api::take_byte_order_mark(text, path.string()); !read) return read.error();
  std::istringstream lines(text);
  const std::vector<std::string> known = {"key", "base_url", "webhook_secret", "ask",
                                          "price_factor"};
  int number = 0;
  for (std::string line; std::getline(lines, line);) {
    ++number;
    const auto equals = std::min(line.find('='), line.size());
    const std::string name = api::bare(std::string_view(line).substr(0, equals));
    if (name.empty() || name.front() == '#') continue;
    if (equals == line.size() || std::ranges::find(known, name) == known.end()) {
      const std::string near = api::did_you_mean(name, known);
      return Error{.message = path.string() + ":" + std::to_string(number) +
                              ": there is no setting \"" + api::excerpt(name, 40) + "\"" +
                              (near.empty() ? "" : "; did you mean " + near + "?"),
                   .hint = "a line is NAME = VALUE, with a NAME of " + api::joined(known, ", ")};
    }
    values[name] = api::bare(std::string_view(line).substr(equals + 1));
    if (name == "ask" && !api::has_word("yes true on 1 no false off 0", api::lower(values[name])))
      return Error{.message = path.string() + ":" + std::to_string(number) + ": ask is \"" +
                              api::excerpt(values[name], 40) + '"',
                   .hint = "write ask = yes or ask = no"};
  }
  if ((facts.st_mode & 077) != 0 && (values.contains("key") || values.contains("webhook_secret")))
    return Error{.kind = Kind::auth,
                 .message = path.string() + " holds a key and can be read by others",
                 .hint = "chmod 600 " + path.string()};
  return values;
}

bool is_writable(const fs::path& folder) { return ::access(folder.c_str(), W_OK) == 0; }

/// The nearest `.kling` from `folder` upward; empty: there is none.
fs::path nearest_ledger_folder(const fs::path& folder) {
  std::error_code error;
  for (fs::path at = folder; !at.empty(); at = at.parent_path()) {
    if (fs::is_directory(at / ".kling", error)) return at / ".kling";
    if (at == at.parent_path()) break;
  }
  return {};
}

/// Where the script really lies, links and all dots resolved; the path itself where that fails.
fs::path real_path(const fs::path& script) {
  std::error_code error;
  fs::path real = fs::weakly_canonical(fs::absolute(script, error), error);
  return error ? script : real;
}

/// A shell leaves a ~ behind a = as it is: a new ledger in a folder of that name would pay again.
std::string at_home(std::string path) {
  const std::string home = environment("HOME");
  for (const std::string_view word : {"~/", "$HOME/", "${HOME}/"})
    if (path.starts_with(word) && !home.empty()) return home + path.substr(word.size() - 1);
  return path;
}

/// The seconds of a variable into `out`, where it is set.
Status read_seconds(const char* name, Millis& out) {
  const std::string text = environment(name);
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty()) return Done{};
  if (end == text.c_str() || *end != '\0' || !(value > 0))
    return Error{.message =
                     std::string(name) + " must be a number of seconds, not \"" + text + "\""};
  out = static_cast<Millis>(value * 1000);
  return Done{};
}

}  // namespace

std::string script_identity(const fs::path& script, const std::string& ledger) {
  const fs::path real = real_path(script);
  fs::path root = real_path(ledger).parent_path();
  if (root.filename() == "sim" && root.parent_path().filename() == ".kling")
    root = root.parent_path();
  if (root.filename() == ".kling") root = root.parent_path();
  const fs::path inside = real.lexically_relative(root);
  if (ledger == ":memory:" || inside.empty() || *inside.begin() == "..") return real.string();
  return inside.string();
}

Result<Access> find_access(const ServiceSettings& options) {
  auto config = read_config();
  if (!config) return config.error();
  Access access;
  const std::pair<const char*, std::string> keys[] = {
      {"KLING_API_KEY", environment("KLING_API_KEY")},
      {"COMETAPI_KEY", environment("COMETAPI_KEY")},
      {"the config file", (*config)["key"]}};
  for (const auto& [source, pasted] : keys) {
    auto key = api::bare_key(pasted, source);
    if (!key) return key.error();
    if (key->empty()) continue;
    access.key = *key;
    access.key_source = source;
    break;
  }
  for (const std::string& url :
       {options.base_url, environment("KLING_BASE_URL"), (*config)["base_url"]})
    if (access.base_url.empty()) access.base_url = api::bare(url);
  for (const std::string& text : {environment("KLING_WEBHOOK_SECRET"), (*config)["webhook_secret"]})
    if (access.webhook_secret.empty()) access.webhook_secret = api::bare(text);
  access.ask = !api::has_word("no false off 0", api::lower((*config)["ask"]));
  for (const auto& [source, text] :
       {std::pair("KLING_PRICE_FACTOR", api::bare(environment("KLING_PRICE_FACTOR"))),
        {"price_factor in the config file", (*config)["price_factor"]}}) {
    if (api::is_blank(text)) continue;
    char* end = nullptr;
    access.price_factor = std::strtod(text.c_str(), &end);
    if (*end == '\0' && engine::is_price_factor(access.price_factor)) break;
    return Error{.message = std::string(source) + " must be a number above 0, at most 100, not \"" +
                            api::excerpt(text, 40) + "\"",
                 .hint =
                     "0.8 for an account that is charged 80 % of the list price; 1 is the list "
                     "price itself"};
  }
  return access;
}

Result<std::string> keep_key(const std::string& key) {
  std::string kept;
  std::ifstream file(config_path());
  for (std::string line; std::getline(file, line);)
    if (api::bare(line.substr(0, line.find('='))) != "key") kept += line + "\n";
  const std::string path = config_path().string();
  if (Status made = make_folders(config_path().parent_path().string()); !made) return made.error();
  if (Status written = write_file(path, kept + "key = " + key + "\n", true); !written)
    return written.error();
  return path;
}

std::string find_ledger(const ServiceSettings& options, const std::string& script, bool simulated,
                        std::string& notice) {
  if (!options.ledger.empty()) return at_home(options.ledger);
  if (std::string set = environment("KLING_LEDGER"); !simulated && !set.empty())
    return at_home(set);
  std::error_code error;
  const fs::path folder =
      script.empty() ? fs::current_path(error) : real_path(script).parent_path();
  fs::path home = nearest_ledger_folder(folder);
  // A link to a script elsewhere may stand beside the ledger that knows it.
  if (home.empty() && !script.empty())
    home = nearest_ledger_folder(fs::absolute(script, error).lexically_normal().parent_path());
  if (!home.empty() && !script.empty() && home.parent_path() != folder)
    notice = "the records are in " + home.string();
  if (home.empty()) home = folder / ".kling";
  if (!fs::exists(home, error) && !is_writable(folder)) {
    home = xdg_folder("XDG_STATE_HOME", ".local/state");
    notice = folder.string() + " cannot be written, so the ledger is kept in " + home.string();
  }
  if (simulated) home /= "sim";
  return (home / "ledger.db").string();
}

Result<engine::EngineOptions> engine_options(const ServiceSettings& options,
                                             const std::string& script, bool simulated,
                                             std::string& notice) {
  engine::EngineOptions engine;
  auto access = find_access(options);
  if (!access) return access.error();
  engine.key = access->key;
  engine.base_url = access->base_url;
  engine.price_factor = access->price_factor;
  engine.webhook_secret = access->webhook_secret;
  engine.insecure = options.insecure;
  engine.poll_interval = static_cast<Millis>(options.poll_interval * 1000);
  if (engine.poll_interval == 0)
    if (Status read = read_seconds("KLING_POLL_INTERVAL", engine.poll_interval); !read)
      return read.error();
  if (options.patience >= 0)
    engine.patience = static_cast<Millis>(options.patience * 1000);
  else if (Status read = read_seconds("KLING_PATIENCE", engine.patience); !read)
    return read.error();

  engine.ledger_path = find_ledger(options, script, simulated, notice);
  engine.store_folder = at_home(options.store);
  if (!script.empty()) engine.script_name = script_identity(script, engine.ledger_path);
  return engine;
}

}  // namespace kling::runtime
