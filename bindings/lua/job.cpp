// The Job userdata.
#include <cstring>

#include "lua/runtime_state.h"

namespace kling::lua {
namespace {

constexpr const char* kName = "kling.Job";

JobRef& check_job(lua_State* L) {
  JobRef& job = check_object<JobRef>(L, 1, kName);
  if (job.client->engine == nullptr) luaL_error(L, "kling is closing");
  (void)state_of(L);  // raises in a forked child
  return job;
}

engine::JobSnapshot& push_snapshot(lua_State* L, const JobRef& job) {
  return push_snapshot(L, *job.client, job.job);
}

int job_index(lua_State* L) {
  JobRef& job = check_job(L);
  if (push_method(L)) return 1;
  const char* key = luaL_checkstring(L, 2);
  if (std::strcmp(key, "request") == 0) {
    if (job.request == nullptr) return 0;
    api::Json& request = new_object<api::Json>(L);
    pure(L, [&] { request = api::parse_json(*job.request); });
    return push_json(L, request), 1;
  }
  const bool failed = std::strcmp(key, "error") == 0;
  if (failed || std::strcmp(key, "warning") == 0) {
    const auto& now = push_snapshot(L, job);
    const auto& why = failed ? now.error : now.store_error;
    if (!why) return 0;
    ErrorValue& value = new_object<ErrorValue>(L);
    pure(L, [&] { value.error = *why; });
    return 1;
  }
  for (const engine::JobField& field : engine::job_fields()) {
    if (std::strcmp(key, field.name) != 0) continue;
    api::Json& value = new_object<api::Json>(L);
    pure(L, [&] {
      const auto get = [&](const engine::JobView& now) { value = engine::to_json(field.get(now)); };
      job.client->engine->read(job.job, get);
    });
    if (value.is_null() || value == "") return 0;
    return push_json(L, value), 1;
  }
  return no_value(L, kName, key);
}

int job_tostring(lua_State* L) {
  const auto& now = push_snapshot(L, check_job(L));
  return push_text(L, [&] { return "Job " + now.handle + " (" + now.state + ")"; });
}

bool has_ended(const engine::JobSnapshot& now) {
  return now.phase >= engine::Phase::succeeded && now.phase <= engine::Phase::ambiguous;
}

int raise_of(lua_State* L, const JobRef& job, const Error& error, const char* asked) {
  state_of(L).note_raised(L, job.ask, error.kind);
  return raise(L, error, asked);
}

int timed_out(lua_State* L, const JobRef& job) {
  const auto& now = push_snapshot(L, job);
  state_of(L).note_raised(L, job.ask, Kind::timeout);
  return raise_new(L, [&](Error& error) {
    error.kind = Kind::timeout;
    error.message =
        now.handle + " was still " + now.state + " when the wait timed out; the job goes on";
    error.job = now.handle;
    error.hint = "Wait again, or later with kling.job(\"" + now.handle + "\").";
    if (has_ended(now)) {
      error.message = "the wait for " + now.handle + " timed out here in an earlier run";
      error.hint = "The script went on without it then, and does so again.";
    }
    if (now.phase == engine::Phase::fresh || now.phase == engine::Phase::intended) {
      error.message = now.handle + " was not sent yet when the wait timed out";
      error.hint = "It is sent as long as the script runs: give it more time, or no timeout.";
    }
    error.retryable = true;
  });
}

/// Waits until the job at index 1 has come so far, then goes on in `next` with a Wait at index 2.
int watch(lua_State* L, engine::Milestone milestone, Millis deadline, lua_KFunction next) {
  JobRef& job = check_job(L);
  lua_settop(L, 1);
  Wait& wait = new_wait(L);
  pure(L, [&] { wait->awaited.push_back({.ask = job.ask}); });
  pure(L, [&] { watch_job(job, milestone, wait); });
  return state_of(L).park(L, *wait, deadline, next, 0);
}

/// Whether the job has come so far. The ticket goes: the collector does not see how large it is.
bool end_wait(lua_State* L) {
  Wait& wait = own_object<Wait>(L, 2);
  const bool come = state_of(L).woken(L, *wait);
  wait.reset();
  return come;
}

int waited(lua_State* L, int, lua_KContext) {
  JobRef& job = check_job(L);
  if (!end_wait(L)) return timed_out(L, job);
  return push_outcome(L, job);
}

int job_wait(lua_State* L) {
  JobRef& job = check_job(L);
  const Millis deadline = read_deadline(L, 2);
  state_of(L).check_can_wait(L);
  // No value of Lua's: who waits would carry it until the next collections.
  bool ended = false;
  pure(L, [&] {
    const engine::JobSnapshot now = job.client->engine->snapshot(job.job);
    ended = has_ended(now) && now.finished_at > state_of(L).begun() && !is_replayed(job.ask) &&
            (job.ask->delivered || !job.ask->known);
    // The engine is told that the script knows of the end.
    if (ended) job.client->engine->watch(job.job, engine::Milestone::finished, {job.job, [] {}});
  });
  if (ended) return push_outcome(L, job);
  return watch(L, engine::Milestone::finished, deadline, waited);
}

int was_accepted(lua_State* L, int, lua_KContext) {
  JobRef& job = check_job(L);
  if (!end_wait(L)) return timed_out(L, job);
  bool refused = false;
  pure(L, [&] {
    const engine::JobSnapshot now = job.client->engine->snapshot(job.job);
    refused = now.task_id.empty() && now.error;
  });
  lua_settop(L, 1);
  if (!refused) return 1;
  const auto& now = push_snapshot(L, job);
  return raise_of(L, job, *now.error, now.script.c_str());
}

int job_accepted(lua_State* L) {
  return watch(L, engine::Milestone::accepted, read_deadline(L, 2), was_accepted);
}

int push_answer(lua_State* L, int, lua_KContext) {
  JobRef& job = check_job(L);
  end_wait(L);
  const auto& now = push_snapshot(L, job);
  if (now.error) return raise_of(L, job, *now.error, now.script.c_str());
  if (!has_ended(now)) return raise_message(L, "the request was not sent", "", Kind::interrupted);
  api::Json& answer = new_object<api::Json>(L);
  pure(L, [&] { answer = job.client->engine->answer(job.job); });
  return push_json(L, answer), 1;
}

}  // namespace

void watch_job(const JobRef& ref, engine::Milestone milestone,
               const std::shared_ptr<Ticket>& ticket, int item) {
  Scheduler* const scheduler = *ticket->scheduler;
  // That it is still open must be noticed, too.
  if (is_replayed(ref.ask)) scheduler->arrive({.ask = ref.ask, .waiting = ticket, .tell = [] {}});
  ref.client->engine->watch(
      ref.job, milestone,
      // Held weakly: the job holds this, and the client the job.
      {ticket, [due = ref.ask->settled ? scheduler->expect() : nullptr,
                waiting = std::weak_ptr(ticket), of = std::weak_ptr(ref.client),
                job = std::weak_ptr(ref.job), ask = ref.ask, milestone, item] {
         const auto open = waiting.lock();
         const auto client = of.lock();
         const auto come = job.lock();
         if (!open || !client || !come || !client->engine || *open->scheduler == nullptr) return;
         const auto now = client->engine->snapshot(come);
         const bool accepted = milestone == engine::Milestone::accepted && now.accepted_at != 0;
         (*open->scheduler)
             ->arrive(
                 {accepted ? now.accepted_at : now.finished_at, ask, waiting, wake(waiting, item)});
       }});
}

int push_job(lua_State* L, Call& call) {
  JobRef& job = new_object<JobRef>(L);
  job.client = call.client;
  job.job = call.reply->job;
  job.ask = call.reply->awaited.front().ask;
  state_of(L).reach(job.ask->made_at);
  // The job exists and may be paid for: it must not be lost for the sake of its text.
  if (call.text.empty() || call.text.size() > memory_left(L)) return 1;
  hold_memory(L, call.text.size(), job.memory);
  pure(L, [&] { job.request = std::make_shared<const std::string>(std::move(call.text)); });
  return 1;
}

int await_answer(lua_State* L, Call& call) {
  push_job(L, call);
  lua_replace(L, 1);
  return watch(L, engine::Milestone::finished, kNever, push_answer);
}

int push_outcome(lua_State* L, const JobRef& job) {
  const auto& now = push_snapshot(L, job);
  using engine::Phase;
  if (now.phase == Phase::succeeded || now.phase == Phase::stored) {
    job.ask->delivered = true;
    state_of(L).note_got(*job.ask);
    return push_clip_of(L, job);
  }
  if (now.error) return raise_of(L, job, *now.error, now.script.c_str());
  auto& error = new_object<Error>(L);
  pure(L, [&] {
    error.kind = Kind::protocol;
    error.message = now.handle + " ended as " + now.state + " without a reason";
    error.job = now.handle;
  });
  return raise_of(L, job, error, now.script.c_str());
}

void define_job(lua_State* L) {
  static const luaL_Reg kMeta[] = {{"__tostring", job_tostring}, {nullptr, nullptr}};
  static const luaL_Reg kMethods[] = {
      {"wait", job_wait}, {"accepted", job_accepted}, {nullptr, nullptr}};
  define<engine::JobSnapshot>(L, "kling.Snapshot");
  define<api::Json>(L, "kling.Json");
  define<JobRef>(L, kName, kMeta, kMethods, job_index);
}

}  // namespace kling::lua
