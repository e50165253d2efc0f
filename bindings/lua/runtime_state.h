// What every binding needs of the state's runtime, and brings to the module. Owner's thread only.
#pragma once

#include "lua/convert.h"
#include "lua/safe/limits.h"

namespace kling::lua {

using ClientRef = std::shared_ptr<Client>;

struct JobRef {
  std::shared_ptr<Client> client;
  std::shared_ptr<engine::Job> job;
  std::shared_ptr<engine::Ask> ask;
  std::shared_ptr<const std::string> request;  ///< JSON of what the script wrote; null: found
  std::shared_ptr<void> memory;                ///< what that takes of a limited state
};

/// A Task value of a script; its collection releases the task.
struct TaskRef {
  TaskId id = 0;
};

/// EngineOptions::upload by a function of the script, which is a reference in the registry.
std::function<void(const std::string&, engine::TextDone)> upload_by(Runtime& runtime, int function);

/// Raises when the state is closing.
Runtime& state_of(lua_State* L);
/// The client that a module function is bound to (its first upvalue).
const std::shared_ptr<Client>& bound_client(lua_State* L);
/// Makes the engine on first need; raises its error.
engine::Engine& engine_of(lua_State* L, Client& client);

/// What a completion brings back.
struct Reply : Ticket {
  using Ticket::Ticket;
  std::unique_ptr<const Error> error;  ///< null of one that failed: memory was short
  bool failed = false;
  std::string text;
  api::Json json;
  std::shared_ptr<engine::Job> job;
  std::shared_ptr<engine::Ask> made_by;  ///< of the clip it is about; null: none
  std::shared_ptr<void> memory;          ///< what the question takes of a limited state
  std::shared_ptr<void> question;        ///< to a person: it is open while this lives

  void fail(Error why) {
    error.reset(new (std::nothrow) Error(std::move(why)));
    failed = true;
    complete();
  }
};

/// One call that waits: what must live until its answer is pushed. Kept on the Lua stack.
struct Call {
  std::shared_ptr<Client> client;
  std::shared_ptr<Reply> reply;
  std::vector<std::shared_ptr<engine::MediaSource>> sources;
  std::unique_ptr<engine::CreateRequest> request;
  api::Json json;
  std::string text;
};

/// Pushes a Call. Raises where waiting is impossible, before anything is done.
Call& new_call(lua_State* L, const std::shared_ptr<Client>& client);
/// The same without an engine: call engine_of() before it is used. `at_once`: as Ticket has it.
Call& new_call_unopened(lua_State* L, const std::shared_ptr<Client>& client, bool at_once = false);

/// One wait for a milestone, task or time: as small as it can be, there may be thousands.
using Wait = std::shared_ptr<Ticket>;
/// Pushes a Wait. Raises where waiting is impossible.
Wait& new_wait(lua_State* L);

/// Completions that fill a reply.
template <class Put>
auto into(std::shared_ptr<Reply> reply, Put put) {
  return [reply = std::move(reply), put](auto result) {
    if (!result) return reply->fail(std::move(result.error()));
    put(*reply, std::move(*result));
    reply->complete();
  };
}
template <class Value>
auto into(std::shared_ptr<Reply> reply, Value Reply::*member) {
  return into(std::move(reply),
              [member](Reply& to, Value value) { to.*member = std::move(value); });
}
inline engine::TextDone text_into(const Call& call) { return into(call.reply, &Reply::text); }
int push_reply_json(lua_State* L, Call& call);
int push_reply_text(lua_State* L, Call& call);

/// Raises what the reply of the Call failed with.
int raise_failure(lua_State* L, const Call& call);

template <int (*Push)(lua_State*, Call&)>
int answered(lua_State* L, int, lua_KContext index) {
  Call& call = own_object<Call>(L, static_cast<int>(index));
  call.reply->question.reset();
  state_of(L).woken(L, *call.reply);
  if (call.reply->failed) return raise_failure(L, call);
  const int count = Push(L, call);
  call.reply.reset();  // it is large, and the collector does not see that
  return count;
}
/// Waits for the answer of the Call on top of the stack, then pushes it with `Push`.
template <int (*Push)(lua_State*, Call&)>
int await(lua_State* L, Call& call) {
  return state_of(L).park(L, *call.reply, kNever, answered<Push>, lua_gettop(L));
}

/// Whether the script has what the jobs in the list at 1 came to.
void note_taken(lua_State* L, bool taken);
/// Raises where the list at `index` begins at 0, as in other languages, or has names alone: who
/// goes through it would leave that out. `name`: of the function that does.
void check_list(lua_State* L, int index, const char* name);
/// Puts the items of the list at 1 into the table at 4, and what jobs and tasks come to in their
/// place; then goes on with `Next`. The value on top is item `done`, waited for.
template <lua_CFunction Next>
int take_items(lua_State* L, int, lua_KContext done) {
  const auto count = static_cast<lua_KContext>(lua_rawlen(L, 1));
  for (;; lua_rawgeti(L, 1, done)) {
    while (test_object<JobRef>(L, -1) != nullptr || test_object<TaskRef>(L, -1) != nullptr) {
      lua_getfield(L, -1, "wait");
      lua_insert(L, -2);
      note_taken(L, false);  // an error of this one keeps the clips of those before
      lua_callk(L, 1, 1, done, take_items<Next>);
    }
    if (done > 0) lua_rawseti(L, 4, done);
    if (++done > count) return note_taken(L, true), Next(L);
  }
}

/// Reads {timeout=} of a wait at `index`; kNever without one.
Millis read_deadline(lua_State* L, int index);

// What each file brings to the module table.
void define_media(lua_State* L);
void define_job(lua_State* L);  ///< leaves the table of methods on the stack
void define_tasks(lua_State* L);
/// Pushes how a job is now.
engine::JobSnapshot& push_snapshot(lua_State* L, Client& client,
                                   const std::shared_ptr<engine::Job>& job);
/// Pushes the rows of a table as text, and notes where each cell stands, should it be wrong.
int push_rows(lua_State* L, Call& call);
/// Pushes the Job of a Call, the Clip of a Job.
int push_job(lua_State* L, Call& call);
int push_clip_of(lua_State* L, const JobRef& job);
/// Fills in where a request comes from, and has its reply tell which ask it was.
void note_ask(lua_State* L, Call& call, engine::CreateRequest& request, const Where& here);
/// Whether a wait for this ask's job timed out in the recorded run, and is to do so again.
bool is_replayed(const std::shared_ptr<engine::Ask>& ask);
/// Tells the ticket once the job has come so far, unless it is gone. Plain C++; may throw.
void watch_job(const JobRef& job, engine::Milestone milestone,
               const std::shared_ptr<Ticket>& ticket, int item = 0);
/// Waits for the job of a Call of kling.request, and pushes the body of its answer.
int await_answer(lua_State* L, Call& call);
/// The outcome of a finished job: pushes its Clip or raises its error.
int push_outcome(lua_State* L, const JobRef& job);
/// Puts what makes jobs into the table at -2, for the client on top: each endpoint and alias.
void add_endpoints(lua_State* L);

/// The Image or Clip at `index`, null when it is neither.
ImageRef* test_media(lua_State* L, int index);
std::shared_ptr<engine::MediaSource> make_source(engine::MediaSource::Recipe recipe,
                                                 std::string path);

/// Pushes the Image that `make` describes. It is made when its bytes are first needed.
template <class Make>
int push_image(lua_State* L, const std::shared_ptr<Client>& client, Make make) {
  ImageRef& image = new_object<ImageRef>(L);
  pure(L, [&] {
    image.client = client;
    image.source = make();
  });
  hold_memory(L, image.source->bytes.size() + image.source->path.size(), image.memory);
  return 1;
}

/// The functions of the module table: bound to a client, or not, or for the prelude alone.
extern const luaL_Reg kVerbs[];
/// Of configure and client.
bool is_option(std::string_view name);
extern const luaL_Reg kMediaVerbs[];
extern const luaL_Reg kListVerbs[];
extern const luaL_Reg kQuestionVerbs[];
extern const luaL_Reg kTaskVerbs[];
extern const luaL_Reg kTaskCore[];
/// Replaces the client on top of the stack by a table of all functions bound to it.
void push_functions(lua_State* L);
/// Where the registry keeps the module table.
void* module_key();
/// Whether a request of some endpoint has it.
bool is_field(const std::string& name);
/// What is said, once, of a script that sets a variable with the name of a field that the request
/// (what is `given`) does not have, and reads it nowhere; empty: nothing. Raises no Lua error.
std::string read_by_none(lua_State* L, const api::Endpoint& endpoint, const api::Json& given);
/// Has the state's globals tell of those that are read and have no value.
void watch_globals(lua_State* L);
/// Makes the state's runtime; the userdata in the registry owns it.
Runtime& open_state(lua_State* L, ModuleOptions& options);

}  // namespace kling::lua
