// kling run SCRIPT [ARGS]: a script from its first line to its bill.
#include <iterator>
#include <random>
#include <regex>

#include "base/files.h"
#include "cli/run.h"
#include "engine/media/ffmpeg.h"
#include "lua/manual.h"
#include "script/script.h"

namespace kling::cli {
namespace {

int print_to_stderr(lua_State* L) {
  for (int i = 1, count = lua_gettop(L); i <= count; ++i, lua_pop(L, 1)) {
    std::size_t size = 0;
    const char* text = luaL_tolstring(L, i, &size);
    std::fwrite(text, 1, size, stderr);
    std::fputc(i < count ? '\t' : '\n', stderr);
  }
  if (lua_gettop(L) == 0) std::fputc('\n', stderr);
  return 0;
}

/// Before anything is paid: what a script does with its clips later may be beyond this ffmpeg. Only
/// for scripts whose text has such a verb, or loads others, as asking takes longer than an empty
/// script does.
void warn_of_ffmpeg(const Voice& voice, std::string source) {
  std::erase_if(source, [](char c) { return std::string_view(" ()[]\t").find(c) < 6; });
  for (const std::string other :
       {"table.concat", "require\"kling\"", "require'kling'", "requirekling"})
    for (auto at = source.find(other); at != source.npos; at = source.find(other, at))
      source.erase(at, other.size());
  for (const char* verb : {"last_frame", ":frame", ".concat", ".still", ":probe", ":trim", ":mute",
                           ".sheet", ".timeline", "require", "dofile", "loadfile"}) {
    if (source.find(verb) == std::string::npos) continue;
    const Status usable = engine::media::check_ffmpeg();
    if (!usable)
      voice.note("warning: " + usable.error().message + ", and the script uses " + verb + "; " +
                 usable.error().hint);
    return;
  }
}

/// Lets callbacks in; they are told to `runtime` on its own thread. Whether they mean anything is
/// nobody's business out there.
Result<std::unique_ptr<net::Server>> listen(const RunOptions& options, Service& service,
                                            std::shared_ptr<lua::Runtime*> runtime) {
  auto server = net::serve(options.listen, [queue = service.queue, runtime = std::move(runtime)](
                                               const net::ServerRequest& request) {
    static const std::regex ours("[^?]*/[0-9]{1,18}/[0-9a-f]{32}([?].*)?");
    if (request.method != "POST" || !std::regex_match(request.target, ours))
      return net::ServerAnswer{.status = 404};
    queue->post(
        [runtime, callback = api::CallbackRequest{request.target, request.headers, request.body}] {
          if (*runtime != nullptr) (void)(*runtime)->notify(callback);
        });
    queue->wake();
    return net::ServerAnswer{};
  });
  if (!server) return server;
  std::string& url = service.settings.callback = options.public_url;
  if (url.empty() && options.simulation.on)
    url = "http://127.0.0.1:" + std::to_string((*server)->port());
  if (url.empty())
    return Error{.message = "--listen needs --public-url: where the service reaches it",
                 .hint =
                     "a reverse proxy with TLS in front of it, for example "
                     "--public-url https://example.org/kling"};
  return server;
}

/// os.exit, said first. Upvalues: the voice, and the stock one; nil in a rehearsal: exit() would
/// take down libraries that the simulator's threads still use.
int exit_aloud(lua_State* L) {
  const auto& voice = *static_cast<const Voice*>(lua_touserdata(L, lua_upvalueindex(1)));
  lua::pure(L, [&] {
    if (!lua::runtime_of(L)->engines().empty())
      voice.note(voice.typed("the script left by os.exit; kling jobs lists what was sent"));
  });
  if (!lua_isnil(L, lua_upvalueindex(2))) {
    lua_pushvalue(L, lua_upvalueindex(2));
    lua_insert(L, 1);
    lua_call(L, lua_gettop(L) - 1, 0);
  }
  const auto code =
      lua_isboolean(L, 1) ? lua_Integer(!lua_toboolean(L, 1)) : luaL_optinteger(L, 1, 0);
  std::fflush(nullptr);
  ::_exit(static_cast<int>(code));
}

/// Two numbers as text. The ledger has those of the script's first run; before that, and for
/// ledgers of older versions, they come from its path.
std::string random_seed(const engine::EngineOptions& settings, const std::string& script) {
  if (std::string kept = engine::read_seed(settings.ledger_path, settings.run_name());
      !kept.empty())
    return kept;
  std::error_code error;
  // However it was spelled: processes that begin at once must draw the same numbers.
  const fs::path path = fs::weakly_canonical(fs::absolute(script, error), error);
  const std::string text = path.string() + "\n" + settings.take;
  std::uint32_t part[4];
  std::seed_seq(text.begin(), text.end()).generate(std::begin(part), std::end(part));
  return std::to_string(lua_Integer(part[0]) << 32 | part[1]) + " " +
         std::to_string(lua_Integer(part[2]) << 32 | part[3]);
}

/// Whether who sits here agrees before anything is sent.
bool asks_first(const RunOptions& options) {
  if (options.report || options.simulation.on || options.yes || !sits_here()) return false;
  if (options.limits.budget_usd >= 0 || options.limits.budget_jobs >= 0) return false;
  const auto access = runtime::find_access(options.service);
  return access && access->ask;
}

/// Nothing is paid for a name that is misspelt: a shot that is to be made again was made, or is
/// named in the script.
Status check_again(const engine::EngineOptions& settings, const std::string& source) {
  const std::string& name = settings.again;
  const bool written = source.find('"' + name + '"') != source.npos ||
                       source.find('\'' + name + '\'') != source.npos;
  if (name.empty() || written) return Done{};
  Error error{.message = "no shot is called \"" + name + "\", so none was made again",
              .hint = "kling jobs list shows the names"};
  if (!fs::exists(settings.ledger_path)) return error;
  const auto book = engine::open_ledger(settings.ledger_path);
  const auto rows = book ? (*book)->list(0) : book.error();
  if (!rows) return rows.error();
  std::vector<std::string> names;
  std::string near;
  for (const engine::Step& row : *rows) {
    if (row.name == name) return Done{};
    if (!row.superseded) names.push_back(row.name);
    if ((name.size() > 6 && row.address.starts_with(name)) || row.name.starts_with(name))
      near = row.name;  // its short id, or how it begins
  }
  if (near.empty()) near = api::did_you_mean(name, names);
  if (!near.empty()) error.hint = "did you mean --again " + cli::quoted(near) + "?";
  return error;
}

int run_source(RunOptions& options, const std::vector<std::string>& words,
               const std::string& source) {
  const std::string script = words.front();
  // Also of /dev/stdin, <(…) and other pipes equal requests are new ones each time.
  std::error_code error;
  const bool typed = script.empty() || script == "-" ||
                     (fs::exists(script, error) && !fs::is_regular_file(script, error) &&
                      !fs::is_directory(script, error));

  Service service(options);
  if (Status opened = service.open(typed ? "" : script); !opened.ok())
    return options.voice.fail(opened.error());
  if (!service.notice.empty()) options.voice.note(service.notice);
  std::string unused;
  const std::string& ledger = service.settings.ledger_path;
  const bool real = !options.simulation.on || options.simulation.with_real_ledger;
  if (ledger != find_ledger(options.service, "", !real, unused) && ledger != ":memory:")
    options.voice.ledger = ledger;
  if (!options.simulation.on) warn_of_ffmpeg(options.voice, source);
  engine::EngineOptions& settings = service.settings;
  settings.take = options.take;
  settings.draft = options.draft;
  if (("-" + options.take).ends_with("-draft"))
    return options.voice.fail({.message = "--take " + options.take + " is the take of a draft",
                               .hint = "write --draft, or another name"});
  if (options.draft) settings.take += settings.take.empty() ? "draft" : "-draft";
  settings.again = options.again;
  if (Status named = check_again(settings, source); !named)
    return options.voice.fail(named.error());
  settings.purse->held = asks_first(options);
  if (!typed) settings.seed = random_seed(settings, script);
  settings.typed = typed;
  settings.strict = options.strict;
  settings.store = !options.no_store;
  settings.most = options.limits;
  settings.retry_failed = options.retry_failed;
  settings.ask_again = options.ask_again;
  settings.take_first = options.report != nullptr;
  settings.on_action = action_trace();
  if (options.report == nullptr)  // the run tells each when it is its turn
    settings.log = [log = settings.log](const std::string& level, const std::string& text) {
      if (level != "question") log(level, text);
    };
  if (options.safe.on()) options.safe.confine(settings);
  const auto listened = std::make_shared<lua::Runtime*>(nullptr);
  Result<std::unique_ptr<net::Server>> server = std::unique_ptr<net::Server>();
  if (!options.listen.empty()) server = listen(options, service, listened);
  if (options.listen.empty() && !options.public_url.empty())
    server =
        Error{.message = "--public-url is where the service reaches --listen, which is missing",
              .hint = "say both: --listen 127.0.0.1:8080 --public-url " + options.public_url};
  if (!server) return options.voice.fail(server.error());
  std::unique_ptr<Board> board;
  if (Status open = options.board.start(options.voice, script, service.queue, board); !open)
    return options.voice.fail(open.error());
  lua::ModuleOptions module = service.module_options();
  if (options.make_engine)
    module.make_engine = [&](auto chosen) {
      return options.make_engine(std::move(chosen), service);
    };

  lua_Integer seed[2] = {};
  std::sscanf(settings.seed.c_str(), "%lld %lld", &seed[0], &seed[1]);
  const std::string chunk_name = typed ? "=stdin" : "@" + script;
  const std::string folder = typed ? "." : script::folder_of(script);
  const api::Json arguments(std::vector<std::string>(words.begin() + 1, words.end()));

  const std::unique_ptr<lua_State, decltype(&lua_close)> state(
      options.safe.on() ? lua::new_limited_state(options.safe.limits()) : luaL_newstate(),
      lua_close);
  if (!state) return options.voice.fail({.message = "not enough memory"});
  lua_State* const main = state.get();
  lua::Runtime* runtime = nullptr;
  lua::TaskId task = 0;
  // Signals are blocked before the first thread, so that all of them inherit that.
  watch_interrupts([queue = service.queue] { queue->wake(); }, options.deadline);
  const bool to_stderr = options.voice.json || options.report != nullptr;
  auto prepare = [&](lua_State* L) {
    runtime = &script::open(L, options.safe.on(), std::move(module));
    runtime->typed = typed ? source : "";
    if (!options.safe.on()) script::use_folder(L, *runtime, folder);
    lua_createtable(L, static_cast<int>(words.size()), 0);
    for (std::size_t i = 0; i < words.size(); ++i) {
      lua_pushstring(L, words[i].c_str());
      lua_rawseti(L, -2, static_cast<lua_Integer>(i));
    }
    lua_setglobal(L, "arg");
    // A run that is repeated draws the same numbers, so that its requests are the same.
    lua_getglobal(L, "math");
    lua_getfield(L, -1, "randomseed");
    lua_pushinteger(L, seed[0]);
    lua_pushinteger(L, seed[1]);
    lua_call(L, 2, 0);
    if (!options.safe.on()) {
      lua_getglobal(L, "os");
      lua_pushlightuserdata(L, &options.voice);
      options.simulation.on ? lua_pushnil(L) : (void)lua_getfield(L, -2, "exit");
      lua_pushcclosure(L, exit_aloud, 2);
      lua_setfield(L, -2, "exit");
    }
    if (to_stderr) lua_register(L, "print", print_to_stderr);
    script::load(L, source, chunk_name.c_str());
    task = script::start(L, *runtime, "main", arguments);
  };
  if (const Status ready = script::protect(main, prepare); !ready)
    return options.voice.fail({.message = lua::explain_syntax(ready.error().message, source)});
  *listened = runtime;
  std::string again = "kling view --open";
  if (!settings.take.empty()) again += " --take " + cli::quoted(settings.take);
  if (!typed) again += " " + cli::quoted(script);
  again = options.report == nullptr ? options.voice.typed(again) : "";
  if (board) board->show(*runtime, again);
  const int code = run_until_done(options, service, main, *runtime, task, board.get());
  if (board && !again.empty()) options.voice.note("see it again with: " + again);
  if (board) board->linger();
  return code;
}

}  // namespace

void RunOptions::add_take_options() {
  const auto named = [](std::string& text) { return text.empty() ? "wants a name" : ""; };
  app->add_option("--take", take, "another complete take of the same script")
      ->check(CLI::Validator(named, ""));
  app->add_flag("--draft", draft,
                "a take of its own at the lowest price: std, the shortest clips, no sound");
  app->add_option("--again", again,
                  "make the shot of this name again; the new one is used from then on")
      ->type_name("NAME")
      ->check(CLI::Validator(named, ""));
  board.add_options(*app);
  app->add_flag("--retry-failed", retry_failed,
                "send again what failed in an earlier run, although the script went on after it");
}

int run_script(RunOptions& options) {
  std::vector<std::string> words = options.app->remaining();
  if (const std::string slips = take_slips(*options.app, words); !slips.empty()) {
    if (g_misused_in_json) return misused(slips, "");
    std::fputs(wrapped("kling: " + slips, STDERR_FILENO).c_str(), stderr);
    return kExitUsage;
  }
  if (words.empty()) {
    const char* script = options.app->count("--sim") > 0 ? "film.lua" : "--sim film.lua";
    return misused("which script?", command_line(*options.app, script, options.app->get_name()));
  }
  if (const std::string& first = words.front(); first.starts_with('-') && first != "-") {
    throw CLI::ExtrasError({first});
  }
  if (!fs::exists(words[0]) && words.size() > 1 && words.back().ends_with(".lua"))
    return misused(words[0] + " is no script, and " + words.back() + " stands behind it",
                   options.app->count("--again") > 0
                       ? "a name of several words stands in quotes: --again \"shot 2\""
                       : std::string(words[0] == "sim" ? "kling run --sim " : "kling run ") +
                             cli::quoted(words.back()));
  // Before there is a child: it is in the background of the terminal, which would stop it.
  const auto source = script::read(words.front());
  if (!source) return options.voice.fail(source.error());
  for (std::size_t i = 1; i < words.size(); ++i)
    if (words[i].ends_with(".lua") && fs::is_regular_file(words[i]))
      options.voice.note("warning: " + words[i] + " is no second script, but an argument");
  const auto run = [&] { return run_source(options, words, *source); };
  return options.safe.on() ? options.safe.in_child(options.voice, run) : run();
}

int run_alone(const std::string& script) {
  CLI::App app("", "run");
  app.prefix_command();
  app.parse(std::vector{script});
  RunOptions options;
  options.app = &app;
  return run_script(options);
}

std::function<int()> set_up_run(CLI::App& app) {
  auto options = options_of<RunOptions>(app);
  options->app = &app;
  options->safe.add_options(app);
  options->add_take_options();
  app.add_flag("-y,--yes", options->yes, "send without asking, also on a terminal");
  app.add_flag("--re-ask", options->ask_again, "ask again what was answered in an earlier run");
  app.add_option("--deadline", options->deadline,
                 "real seconds after which the run ends; its jobs go on at the service")
      ->check(number_in(0.001, 1e8));
  app.add_option("--listen", options->listen,
                 "receive the service's callbacks here, so that fewer queries are needed")
      ->type_name("HOST:PORT")
      ->check(CLI::Validator(
          [](std::string& text) { return text.empty() ? "an address is HOST:PORT" : ""; }, ""));
  app.add_option("--public-url", options->public_url, "where the service reaches --listen")
      ->type_name("URL");
  app.add_flag("--detach", options->detach, "leave as soon as every request is answered");
  app.add_flag("--notify", options->notify,
               "at the end ring the bell and show a desktop notification");
  app.add_flag("--strict", options->strict, "warnings about requests are errors");
  app.add_flag("--no-store", options->no_store, "do not keep finished clips beside the ledger");
  app.add_option("--max-jobs", options->limits.slots, "how many jobs may run at a time")
      ->check(number_in(1, 10000));
  app.add_option("--max-cost", options->limits.budget_usd,
                 "what the script may cost in US$, its earlier runs included")
      ->transform(number_in(0));
  app.add_option("--max-submissions", options->limits.budget_jobs,
                 "how many jobs the script may submit, its earlier runs included")
      ->check(number_in(0));
  app.prefix_command();  // what follows the script is the script's
  app.footer(
      "Examples:\n  kling run --sim scripts/quickstart.lua\n  kling run film.lua sunset 3   two "
      "words for the script");
  return [options] { return run_script(*options); };
}

}  // namespace kling::cli
