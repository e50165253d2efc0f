// query, job, request, log, and the options of configure and client.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>
#include <regex>

#include "api/text.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

/// query(x [, kind]); x is a Job, a handle, an id or {external_id=, kind=}.
int query(lua_State* L) {
  JobRef* job = test_object<JobRef>(L, 1);
  const char* text = "";
  const char* external_id = "";
  const char* kind = luaL_optstring(L, 2, "");
  if (lua_istable(L, 1)) {
    lua_getfield(L, 1, "external_id");
    if (lua_type(L, -1) != LUA_TSTRING)
      raise_message(L, "kling.query: the table has no external_id",
                    "write { external_id = \"…\", kind = \"text2video\" }");
    external_id = lua_tostring(L, -1);
    lua_getfield(L, 1, "kind");
    kind = luaL_optstring(L, -1, kind);
  } else if (job == nullptr) {
    if (lua_isnoneornil(L, 1))
      raise_message(L, "query wants a job", "write kling.query(job), or its handle as text");
    if (test_object<ClipRef>(L, 1) != nullptr)
      raise_message(L, "query wants a job, got a Clip", "write kling.query(clip.job)");
    text = luaL_checkstring(L, 1);  // an integer id, too
  }
  Call& call = new_call(L, job ? job->client : bound_client(L));
  pure(L, [&] {
    engine::QueryTarget target{text, external_id, kind};
    if (job != nullptr) target.text = call.client->engine->snapshot(job->job).handle;
    call.client->engine->query(target,
                               into(call.reply, [](Reply& to, const engine::QueryResult& found) {
                                 to.json = engine::to_json(found);
                               }));
  });
  return await<push_reply_json>(L, call);
}

int find_job(lua_State* L) {
  const char* handle = luaL_checkstring(L, 1);
  Call& call = new_call(L, bound_client(L));
  Scheduler& scheduler = state_of(L);
  pure(L, [&] {
    const auto ask = std::make_shared<engine::Ask>();
    ask->task_path = scheduler.running() ? scheduler.running()->path : "main";
    call.reply->awaited.push_back({.ask = ask});
    call.client->engine->find(handle, into(call.reply, &Reply::job), ask);
  });
  return await<push_job>(L, call);
}

/// request(method, path [, body])
int request(lua_State* L) {
  const char* method = luaL_checkstring(L, 1);
  const char* target = luaL_checkstring(L, 2);
  lua_settop(L, 3);
  Call& call = new_call(L, bound_client(L));
  const Where here = where(L);
  std::size_t bytes = 0;
  pure_or_raise(L, state_of(L).slip,
                [&] { return put(to_json(L, 3, nullptr, &bytes), call.json); });
  hold_memory(L, bytes + lua_rawlen(L, 2), call.reply->memory);
  const bool get = strcasecmp(method, "GET") == 0;
  const char* wrong = !get && strcasecmp(method, "POST") != 0   ? "the method is GET or POST"
                      : get && !lua_isnil(L, 3)                 ? "a GET has no body"
                      : std::strlen(target) != lua_rawlen(L, 2) ? "there is a zero byte in the path"
                                                                : nullptr;
  if (wrong != nullptr)
    return raise_message(L, lua_pushfstring(L, "request: %s", wrong),
                         "write kling.request(\"POST\", \"/kling/v1/…\", { … })");
  if (get) {
    pure(L, [&] { call.client->engine->get(target, into(call.reply, &Reply::json)); });
    return await<push_reply_json>(L, call);
  }
  pure(L, [&] {
    call.request = std::make_unique<engine::CreateRequest>();
    note_ask(L, call, *call.request, here);
    call.client->engine->post(target, std::move(call.json), std::move(*call.request),
                              into(call.reply, &Reply::job));
  });
  return await<await_answer>(L, call);
}

/// notify(path, body [, headers]): true, or nil and why the callback is refused.
int notify(lua_State* L) {
  std::size_t path_size = 0, body_size = 0;
  const char* path = luaL_checklstring(L, 1, &path_size);
  const char* body = luaL_checklstring(L, 2, &body_size);
  if (!lua_isnoneornil(L, 3)) luaL_checktype(L, 3, LUA_TTABLE);
  lua_settop(L, 3);
  Error& error = new_object<Error>(L);
  bool taken = false;
  pure(L, [&] {
    api::CallbackRequest request{std::string(path, path_size), {}, std::string(body, body_size)};
    if (auto headers = to_json(L, 3, nullptr); headers && headers->is_object())
      for (const auto& [name, value] : headers->items())
        if (value.is_string()) request.headers.emplace_back(name, value.get<std::string>());
    const Status done = state_of(L).notify(request);
    taken = done.ok();
    if (!taken) error = done.error();
  });
  if (taken) return lua_pushboolean(L, true), 1;
  lua_pushnil(L);
  lua_pushlstring(L, error.message.data(), error.message.size());
  return 2;
}

/// The answer as `parse` reads the file that was asked for.
template <Result<api::Json> (*Parse)(std::string, const std::string&)>
int push_parsed(lua_State* L, Call& call) {
  pure_or_raise(L, state_of(L).slip,
                [&] { return put(Parse(std::move(call.reply->text), call.text), call.json); });
  return push_json(L, call.json), 1;
}

template <int (*Push)(lua_State*, Call&)>
int read_as(lua_State* L) {
  const char* path = check_path(L, 1);
  if (lua_gettop(L) > 1 && lua_type(L, 2) != LUA_TNUMBER)  // kling.map gives one
    raise_message(L, "the path stands alone: there are no options",
                  "leave out what follows it; the form of the file is found out");
  Call& call = new_call(L, bound_client(L));
  pure(L, [&] {
    call.text = path;
    call.client->engine->read(path, text_into(call));
  });
  return await<Push>(L, call);
}

Result<api::Json> parse_file(std::string text, const std::string& name) {
  if (Status read = api::take_byte_order_mark(text, name); !read) return read.error();
  api::Json value = api::parse_json(text);
  if (!value.is_discarded()) return value;
  if (api::is_blank(text)) return Error{.message = name + " is empty"};
  Error error{.message = name + " is not JSON",
              .hint = "names stand in double quotes, no comma behind the last item, no comments"};
  try {
    value = api::Json::parse(text);
    return Error{.message = name + " has more than 64 tables inside of each other"};
  } catch (const std::exception& problem) {
    const std::string why = problem.what();
    std::smatch match;
    if (std::regex_search(why, match, std::regex("line [0-9]+, column [0-9]+")))
      error.message += ": " + match.str();
    if (why.find("expected end of input") != why.npos)
      error.hint = "several values are one list: [ … ], with commas between them";
  }
  return error;
}

/// json(path): what the file holds; json(text): what that holds; json(value): the value as text.
int json(lua_State* L) {
  if (lua_isnone(L, 1))
    raise_message(L, "json wants a path, a text of JSON or a value",
                  "write kling.json(\"shots.json\")");
  const char* text = lua_type(L, 1) == LUA_TSTRING ? lua_tostring(L, 1) : nullptr;
  const char* start = text;
  if (start != nullptr && std::strncmp(start, "\xEF\xBB\xBF", 3) == 0) start += 3;
  const bool path =
      text != nullptr && std::strchr("{[", start[std::strspn(start, " \t\r\n")]) == nullptr;
  if (path) return read_as<push_parsed<parse_file>>(L);
  Call& call = new_call_unopened(L, bound_client(L));
  if (text != nullptr) {
    pure_or_raise(L, state_of(L).slip, [&] {
      return put(parse_file(std::string(text, lua_rawlen(L, 1)), "this text"), call.json);
    });
    return push_json(L, call.json), 1;
  }
  pure_or_raise(L, state_of(L).slip, [&] { return put(to_json(L, 1, nullptr), call.json); });
  return push_text(L, [&] { return api::to_text(call.json); });
}

/// log([level,] ...): the values as print shows them.
int log(lua_State* L) {
  static const char* const kLevels[] = {"debug", "info", "warning", "error"};
  int first = 1;
  const char* level = "info";
  if (lua_gettop(L) > 1 && lua_type(L, 1) == LUA_TSTRING)
    for (const char* known : kLevels)
      if (std::strcmp(lua_tostring(L, 1), known) == 0) level = known, first = 2;
  const int last = lua_gettop(L);
  luaL_Buffer text;
  luaL_buffinit(L, &text);
  for (int i = first; i <= last; ++i) {
    if (i > first) luaL_addchar(&text, ' ');
    luaL_tolstring(L, i, nullptr);
    luaL_addvalue(&text);
  }
  luaL_pushresult(&text);
  const char* message = lua_tostring(L, -1);
  Runtime& state = state_of(L);
  pure(L, [&] { state.log(level, message); });
  return 0;
}

// ---- Options ----

using Options = engine::EngineOptions;

/// One option of configure{} and client{}. `set` is false for a value of the wrong type.
struct Option {
  const char* name;
  const char* takes;
  bool (*set)(Options&, const api::Json&);
  /// A confined script has no say in where its key goes, nor in what its host set as limits.
  bool for_the_host = false;
};

template <auto... Field>  // of a field, too
bool set_text(Options& options, const api::Json& value) {
  if (value.is_string()) (options.*....*Field) = value.get<std::string>();
  return value.is_string();
}
template <bool Options::*Field>
bool set_flag(Options& options, const api::Json& value) {
  if (value.is_boolean()) options.*Field = value.get<bool>();
  return value.is_boolean();
}
template <Millis Options::*Field>
bool set_seconds(Options& options, const api::Json& value) {
  const double seconds = value.is_number() ? value.get<double>() : -1;
  if (!(seconds >= 0 && seconds < 1e9)) return false;
  options.*Field = std::llround(seconds * 1000);
  return true;
}
bool set_price_factor(Options& options, const api::Json& value) {
  if (!value.is_number() || !engine::is_price_factor(value.get<double>())) return false;
  return options.price_factor = value.get<double>(), true;
}
bool set_lost(Options& options, const api::Json& value) {
  options.ask_when_lost = true;
  return value == "ask";
}
bool set_replay(Options& options, const api::Json& value) {
  if (value.is_boolean()) options.typed = !value.get<bool>();
  return value.is_boolean();
}
bool set_ledger(Options& options, const api::Json& value) {
  options.seed.clear();  // the script's random numbers are those of the other ledger
  return set_text<&Options::ledger_path>(options, value);
}
bool set_store(Options& options, const api::Json& value) {
  if (value.is_boolean()) return options.store = value.get<bool>(), true;
  options.store = true;
  return set_text<&Options::store_folder>(options, value);
}

/// A whole number of jobs, or false: no limit.
bool set_count(int& count, const api::Json& value) {
  if (value == false) return count = -1, true;
  if (!value.is_number_integer() || value < 0 || value > 1'000'000) return false;
  return count = value.get<int>(), true;
}
bool set_limits(Options& options, const api::Json& value) {
  return value.is_object() && value.size() == 1 && value.contains("jobs") &&
         set_count(options.limits.slots, value["jobs"]) && options.limits.slots != 0;
}
/// Dollars, or { usd = …, jobs = … }; false: no budget.
bool set_budget(Options& options, const api::Json& value) {
  engine::Limits& limits = options.limits;
  const auto set_usd = [&limits](const api::Json& usd) {
    if (!usd.is_number() || !(usd.get<double>() >= 0)) return false;
    return limits.budget_usd = usd.get<double>(), true;
  };
  if (value == false) return limits.budget_usd = limits.budget_jobs = -1, true;
  if (!value.is_object()) return set_usd(value);
  for (auto part = value.begin(); part != value.end(); ++part)
    if (!(part.key() == "usd" ? set_usd(*part)
                              : part.key() == "jobs" && set_count(limits.budget_jobs, *part)))
      return false;
  return !value.empty();
}

constexpr Option kOptions[] = {
    {"key", "a text", set_text<&Options::key>, true},
    {"base_url", "a text", set_text<&Options::base_url>, true},
    {"ledger", "a path or \":memory:\"", set_ledger, true},
    {"store", "true, false or a folder", set_store, true},
    {"insecure", "true or false", set_flag<&Options::insecure>, true},
    {"patience", "a number of seconds from 0 to 1e9", set_seconds<&Options::patience>},
    {"poll", "a number of seconds from 0 to 1e9", set_seconds<&Options::poll_interval>},
    {"limits", "{ jobs = how many may run at a time }", set_limits},
    {"budget", "a number of dollars, { usd = …, jobs = … } or false", set_budget},
    {"price_factor", "a number above 0, such as 0.8, at most 100", set_price_factor, true},
    {"callback", "the address of your web server", set_text<&Options::callback>, true},
    {"webhook_secret", "a text", set_text<&Options::webhook_secret>, true},
    {"ca_file", "a path", set_text<&Options::network, &net::NetworkOptions::ca_file>, true},
    {"proxy", "a text: http://host:port", set_text<&Options::network, &net::NetworkOptions::proxy>,
     true},
    {"user_agent", "a text", set_text<&Options::network, &net::NetworkOptions::user_agent>, true},
    {"lost", "\"ask\"", set_lost},
    {"replay", "true or false", set_replay},
    {"take", "a text", set_text<&Options::take>},
    {"strict", "true or false", set_flag<&Options::strict>},
    {"upload", "a function that is given a path and returns an address",
     [](Options&, const api::Json&) { return false; }},  // functions are taken before
};

Status read_options(Options& options, const api::Json& given) {
  Error error;
  for (auto field = given.begin(); field != given.end(); ++field) {
    const auto* found =
        std::ranges::find_if(kOptions, [&](const Option& o) { return field.key() == o.name; });
    error.field = field.key();
    if (options.confinement.on && found != std::end(kOptions) && found->for_the_host) {
      error.message = "option " + field.key() + " is for the host of a safe script to set";
      return error;
    }
    if (found == std::end(kOptions)) {
      std::vector<std::string> names;
      for (const Option& option : kOptions) names.push_back(option.name);
      const std::string near = api::did_you_mean(field.key(), names);
      error.message = "there is no option " + field.key();
      error.hint =
          near.empty() ? "it knows " + api::joined(names, ", ") : "did you mean " + near + "?";
      if (error.field == "api_key") error.hint = "write key = …, or kling login in the shell";
      if (api::has_word("sim simulate simulation dry_run rehearse draft plan", error.field))
        error.hint = "the command says so: kling run --sim film.lua, kling run --draft film.lua";
      if (error.field.starts_with("max_")) error.hint = "write budget = 5, limits = { jobs = 3 }";
      return error;
    }
    if (field->is_string() && field->get_ref<const std::string&>().starts_with("~/")) {
      error.message = "Lua does not know the folder ~: " + field->get<std::string>();
      error.hint = "write os.getenv(\"HOME\") .. \"" + field->get<std::string>().substr(1) + '"';
      return error;
    }
    if (found->set(options, *field)) continue;
    error.message = "option " + field.key() + " takes " + found->takes;
    if (field->is_primitive() && !std::string_view(found->takes).starts_with("a text"))  // a key
      error.message += ", not " + api::to_text(*field);
    if (error.field == "upload") error.hint = "write upload = function(path) … return url end";
    if (field->is_string() && error.field == "budget")
      error.hint = "write budget = 5, without $ and quotes";
    if (field->is_number() && error.message.ends_with(" a text"))
      error.hint = "write " + field.key() + " = \"" + field->dump() + '"';
    return error;
  }
  return Done{};
}

/// A reference to the function `upload` of the table at 1, in whose place comes a copy without.
int take_upload(lua_State* L) {
  if (lua_getfield(L, 1, "upload") != LUA_TFUNCTION) return lua_pop(L, 1), LUA_NOREF;
  const int function = luaL_ref(L, LUA_REGISTRYINDEX);
  lua_newtable(L);
  lua_pushnil(L);
  while (lua_next(L, 1) != 0) {
    lua_pushvalue(L, -2);
    lua_insert(L, -2);
    lua_rawset(L, -4);
  }
  lua_pushnil(L);
  lua_setfield(L, -2, "upload");
  lua_replace(L, 1);
  return function;
}

/// Takes the options of the table at index 1 into the client; raises what is wrong with them.
void apply(lua_State* L, Client& client) {
  luaL_checktype(L, 1, LUA_TTABLE);
  const int function = take_upload(L);
  pure_or_raise(L, new_object<Error>(L), [&]() -> Status {
    auto given = to_json(L, 1, nullptr);
    if (!given) return given.error();
    Options changed = client.options;
    if (auto read = read_options(changed, *given); !read) return read;
    // A script in a confined engine may lower what its host allows.
    if (changed.confinement.on)
      changed.limits = engine::lower(changed.limits, client.options.limits);
    const bool any_time =
        std::all_of(given->items().begin(), given->items().end(), [](const auto& o) {
          return o.key() == "strict" || o.key() == "limits" || o.key() == "budget";
        });
    if (client.engine != nullptr && (!any_time || function != LUA_NOREF))
      return Error{
          .message = "kling.configure comes before the first job of this client",
          .hint = "Move it to the top of the script, or make another client with kling.client{}."};
    if (function != LUA_NOREF) changed.upload = upload_by(state_of(L), function);
    client.options = std::move(changed);
    if (client.engine) client.engine->set_limits(client.options.limits);
    return Done{};
  });
  lua_pop(L, 1);
}

int configure(lua_State* L) {
  apply(L, *bound_client(L));
  return 0;
}

/// client{}: the module's functions bound to a service of their own.
int client(lua_State* L) {
  lua_settop(L, 1);
  ClientRef& made = new_object<ClientRef>(L);
  const auto& like = bound_client(L);
  Runtime& state = state_of(L);
  constexpr std::size_t kMostClients = 8;  // each has threads and connections of its own
  if (like->options.confinement.on && state.clients() >= kMostClients)
    luaL_error(L, "a safe script has at most %d clients", static_cast<int>(kMostClients));
  pure(L, [&] {
    made = std::make_shared<Client>();
    made->options = like->options;
  });
  apply(L, *made);
  pure(L, [&] { state.add_client(made); });
  push_functions(L);
  return 1;
}

}  // namespace

bool is_option(std::string_view name) {
  return name == "api_key" ||
         std::ranges::find(kOptions, name, &Option::name) != std::end(kOptions);
}

const luaL_Reg kVerbs[] = {{"query", with_dot<query>},   {"notify", with_dot<notify>},
                           {"job", with_dot<find_job>},  {"request", with_dot<request>},
                           {"log", with_dot<log>},       {"csv", with_dot<read_as<push_rows>>},
                           {"json", with_dot<json>},     {"configure", with_dot<configure>},
                           {"client", with_dot<client>}, {nullptr, nullptr}};

}  // namespace kling::lua
