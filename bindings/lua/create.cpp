// The functions that make jobs, one for every row of the endpoint table: read, check, hand over.
#include <algorithm>
#include <regex>

#include "api/capabilities.h"
#include "api/text.h"
#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

/// What a call holds besides the fields of its endpoint.
Status take_meta(engine::CreateRequest& create) {
  api::Json& fields = create.request.fields;
  const auto take = [&](const char* name) -> std::optional<api::Json> {
    const auto found = fields.find(name);
    if (found == fields.end()) return {};
    api::Json value = std::move(*found);
    fields.erase(found);
    return value;
  };
  const auto wrong = [](const char* field, const char* what, const char* example) {
    return Error{.message = std::string(field) + " " + what,
                 .hint = std::string("write ") + field + " = " + example,
                 .field = field};
  };
  const auto seconds = [&](const char* field, std::optional<Millis>& out) -> Status {
    const auto value = take(field);
    if (!value) return Done{};
    const double number = value->is_number() ? value->get<double>() : -1;
    if (number < 0 || number > 1e9) return wrong(field, "is a number of seconds, 0 or more", "60");
    out = std::llround(number * 1000);
    return Done{};
  };
  if (const auto extra = take("extra")) {
    const bool empty = extra->is_array() && extra->empty();
    if (!extra->is_object() && !empty)
      return wrong("extra", "is a table of fields", "{ field = value }");
    if (!empty) create.request.extra = *extra;
  }
  if (const auto value = take("take")) {
    if (!value->is_string() && !value->is_number())
      return wrong("take", "is a text or a number", "2");
    create.request.take = value->is_string() ? value->get<std::string>() : value->dump();
  }
  if (const auto value = take("name")) {
    create.name = api::excerpt(api::scalar_text(*value), 60);
    if (api::is_blank(create.name))
      return wrong("name", value->is_string() ? "is empty" : "is a text or a number", "\"shot 3\"");
  }
  if (const auto value = take("strict")) {
    if (!value->is_boolean()) return wrong("strict", "is true or false", "true");
    create.request.strict = value->get<bool>();
  }
  if (const auto value = take("lost")) {
    if (*value != "ask") return wrong("lost", "can only be \"ask\"", "\"ask\"");
    create.ask_when_lost = true;
  }
  if (const auto value = take("retry")) {
    if (!value->is_boolean()) return wrong("retry", "is true or false", "true");
    create.again = value->get<bool>();
  }
  if (auto read = seconds("patience", create.patience); !read) return read;
  return seconds("poll", create.poll_interval);
}

/// The start of a prompt, at most two dozen characters: up to a mark or between words.
std::string first_words(std::string prompt) {
  constexpr std::size_t kMost = 24;
  std::erase_if(prompt, [](char c) { return c == '<' || c == '>'; });  // of references
  prompt.resize(std::min(prompt.size(), prompt.find_first_of(".,;:!?\n\r", 1)));
  std::size_t end = 0, word = 0;
  for (std::size_t count = 0; end < prompt.size(); ++end) {
    if ((static_cast<unsigned char>(prompt[end]) & 0xC0) != 0x80 && ++count > kMost) break;
    if (prompt[end] == ' ') word = end;
  }
  if (end < prompt.size()) prompt.resize(word > 0 ? word : end);
  return prompt;
}

/// What a shot is called that the script gave no name: after its task, its take or its prompt.
std::string default_name(const Task* task, const api::Request& request) {
  if (task != nullptr && task->label && !task->label->empty()) return *task->label;
  if (!request.take.empty())
    return (api::whole_number(request.take) ? "take " : "") + api::excerpt(request.take, 60);
  const std::string words = first_words(api::scalar_text(api::member(request.fields, "prompt")));
  return api::is_blank(words) ? request.endpoint : words;
}

Status prepare(lua_State* L, Runtime& state, const api::Endpoint& endpoint, Call& call,
               const Where& here, std::size_t& bytes) {
  auto& create = *call.request;
  api::Request& request = create.request;
  request.endpoint = endpoint.name;
  // The client's own: an engine that was kept over a reload has those of the script before.
  const auto& options = call.client->options;
  request.strict = options.strict;
  request.uploads = options.upload != nullptr;
  create.patience = options.patience;
  create.ask_when_lost = options.ask_when_lost;
  create.poll_interval = options.poll_interval;
  const MediaSink sink{&request.media, &create.sources};
  auto fields = to_json(L, 1, &sink, &bytes);
  if (!fields) return fields.error();
  request.fields = fields->is_object() ? std::move(*fields) : api::Json::object();
  call.text = request.fields.dump(-1, ' ', false, api::Json::error_handler_t::replace);
  if (auto meta = take_meta(create); !meta) return meta;

  auto findings = api::normalize(endpoint, request);
  if (options.draft) {
    const auto price = api::estimate(api::wire_body(endpoint, request));
    request = api::as_draft(endpoint, std::move(request));
    const auto least = api::estimate(api::wire_body(endpoint, request));
    options.purse->spared = options.purse->spared || !price || !least || least->usd < price->usd;
    if (price && least && least->usd >= price->usd)
      state.warn(std::string(here.text) +
                 ": --draft: a shot at the lowest price costs the same as a draft, and pays again");
  }
  if (std::ranges::none_of(findings, &api::Finding::is_error))
    for (auto& finding : api::check(endpoint, request)) findings.push_back(std::move(finding));
  std::vector<api::Finding> errors;
  for (const auto& finding : findings)
    if (request.strict || finding.is_error()) errors.push_back(finding);
  if (!errors.empty()) {
    Error error = api::to_error(endpoint, errors);
    if (!state.name_cell(call.text, error)) return error;
    static const std::regex& meant = *new std::regex("^(write|did you mean) (\\w+).*");
    if (errors.front().id == "field.unknown")
      error.hint =
          error.hint.starts_with("the fields here are")
              ? "the first row names the columns, such as prompt,duration; of others take what "
                "belongs here: { prompt = row.prompt }"
              : std::regex_replace(error.hint, meant, "call the column $2");
    return error;
  }
  if (const std::string unread = read_by_none(L, endpoint, request.fields); !unread.empty())
    state.warn(std::string(here.text) + ": " + unread);
  for (const auto& finding : findings)
    state.warn(std::string(here.text) + ": " + endpoint.name + ": " + finding.message +
               (finding.hint.empty() ? "" : " (" + finding.hint + ")"));
  return Done{};
}

/// What was refused here has no name.
int push_named_job(lua_State* L, Call& call) {
  Runtime& state = state_of(L);
  pure(L, [&] { state.shot_name(call.reply->text, true); });
  return push_job(L, call);
}

/// Upvalues: client, the endpoint's name.
int create(lua_State* L) {
  const api::Endpoint& endpoint = *api::find_endpoint(lua_tostring(L, lua_upvalueindex(2)));
  const bool prompt = lua_type(L, 1) == LUA_TSTRING;
  // kling.map gives the number of an item, too.
  const bool two = !lua_isnoneornil(L, 2) && (lua_type(L, 2) != LUA_TNUMBER || where(L).line > 0);
  const bool unnamed = lua_istable(L, 1) && lua_rawgeti(L, 1, 1) != LUA_TNIL;
  const bool rows = unnamed && lua_istable(L, -1);
  const bool comma = unnamed && lua_type(L, -1) == LUA_TNUMBER;
  const bool index = lua_type(L, 1) == LUA_TNUMBER;
  const char* got = rows                                   ? "a list"
                    : test_object<JobRef>(L, 1) != nullptr ? "a Job"
                    : two                                  ? "two arguments"
                    : unnamed                              ? "a value without its field's name"
                                                           : luaL_typename(L, 1);
  const bool nothing = lua_isnil(L, 1);
  if ((!prompt && !lua_istable(L, 1)) || two || unnamed)
    raise_new(L, [&](Error& error) {
      error.message = endpoint.name + " takes one table, got " + got;
      error.hint = "write kling." + endpoint.name +
                   (endpoint.name == "image2video" ? " { image = \"hero.png\", prompt = \"…\" }"
                                                   : " { prompt = \"…\", duration = 5 }");
      if (rows || index)
        error.hint = "write for _, row in ipairs(rows) do kling." + endpoint.name + "(row) end";
      if (comma) error.hint = kPoint;
      if (nothing)
        error.hint =
            "the value in its brackets is nil; a list begins at [1], as do the words behind the "
            "script, arg[1]";
    });
  lua_settop(L, 1);
  if (prompt) {  // the prompt alone
    lua_newtable(L);
    lua_insert(L, 1);
    lua_setfield(L, 1, "prompt");
  }
  Runtime& state = state_of(L);
  Call& call = new_call_unopened(L, bound_client(L), true);
  const Where here = where(L);
  std::size_t bytes = 0;
  // to_json raises no Lua error, so it may stand in a pure block.
  pure_or_raise(L, state_of(L).slip, [&]() -> Status {
    call.request = std::make_unique<engine::CreateRequest>();
    if (Status prepared = prepare(L, state, endpoint, call, here, bytes); !prepared)
      return prepared;
    auto& asked = *call.request;
    if (asked.name.empty()) asked.name = default_name(state.running(), asked.request);
    call.reply->text = asked.name;
    asked.name = state.shot_name(asked.name, false);
    note_ask(L, call, asked, here);
    return Done{};
  });
  engine::Engine& engine = engine_of(L, *call.client);
  hold_memory(L, bytes, call.request->memory);
  pure(L, [&] {
    engine.create(std::move(*call.request), into(call.reply, &Reply::job));
    call.request.reset();
  });
  return await<push_named_job>(L, call);
}

}  // namespace

/// By name, as the table of endpoints is large and made when it is first needed.
void add_endpoints(lua_State* L) {
  for (int i = 0; const char* name = api::function_name(i); ++i) {
    lua_pushvalue(L, -1);
    lua_pushstring(L, name);
    lua_pushcclosure(L, with_dot<create>, 2);
    lua_setfield(L, -3, name);
  }
}

}  // namespace kling::lua
