// A service, a ledger and runs of scripts on them, in one process and on one jumping clock. What
// happens to a request is told by its prompt and attempt alone, so that a script is judged by what
// it asks for, and not by chance. A run writes down what its tasks asked for and were told.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <lua.hpp>
#include <nlohmann/json.hpp>

#include "base/temp_folder.h"
#include "engine/ledger_database.h"
#include "lua/runtime_state.h"
#include "net/transport.h"
#include "support/jumping_clock.h"

namespace kling::story {

/// "prefix-address-attempt": all attempts of a step have one address.
inline std::string step_of(const std::string& external_id) {
  return external_id.substr(0, external_id.rfind('-'));
}
inline int attempt_of(const std::string& external_id) {
  return std::stoi(external_id.substr(external_id.rfind('-') + 1));
}

// The first word of a prompt is what happens to its request.
inline const std::vector<std::string>& fates() {
  static const std::vector<std::string> kFates = {
      "ok",     // done after a minute
      "slow",   // after a quarter of an hour
      "never",  // refused for its content, each time
      "once",   // the first attempt is refused
      "sink",   // the first attempt is accepted, and comes to nothing
      "lost",   // accepted, and the answer to the first POST is lost
      "gone",   // the first POST reaches nobody, and nobody can tell
      "down",   // nothing is sent for a minute and a half
      "busy"};  // two POSTs are put off
  return kFates;
}

class Service : public net::Transport {
 public:
  explicit Service(std::shared_ptr<Clock> time) : clock_(std::move(time)) {}

  struct Task {
    std::string id, external_id, prompt;
    Millis created_at = 0;
  };

  net::HttpOutcome send(const net::HttpRequest& request) override {
    std::lock_guard lock(mutex_);
    if (stopped_) return lost(net::HttpOutcome::Stage::not_sent);
    if (request.method == "GET") return find(request.target.substr(request.target.rfind('/') + 1));
    std::string text;
    for (const net::BodyPiece& piece : request.body) text += piece.text;
    const auto body = nlohmann::json::parse(text);
    return create(body.at("prompt"), body.value("external_task_id", "request"));
  }
  void stop() override {}

  /// What is sent from now on reaches nobody.
  void leave() {
    std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  void come_back() {
    std::lock_guard lock(mutex_);
    stopped_ = false;
  }

  bool looks_up = true;
  /// The external ids of the POSTs that it saw, in their order.
  std::vector<std::string> sent() const {
    std::lock_guard lock(mutex_);
    return sent_;
  }
  std::vector<Task> tasks() const {
    std::lock_guard lock(mutex_);
    return tasks_;
  }
  /// It is at its end and was not charged.
  bool failed(const Task& task) const {
    return fate(task.prompt) == "sink" && attempt_of(task.external_id) == 1;
  }
  bool refused(const std::string& prompt, const std::string& external_id) const {
    return fate(prompt) == "never" || (fate(prompt) == "once" && attempt_of(external_id) == 1);
  }

 private:
  using Stage = net::HttpOutcome::Stage;
  static std::string fate(const std::string& prompt) { return prompt.substr(0, prompt.find(' ')); }

  static net::HttpOutcome lost(Stage stage) {
    net::HttpOutcome outcome;
    outcome.stage = stage;
    outcome.error.kind = Kind::network;
    outcome.error.message = "the connection broke";
    outcome.error.retryable = true;
    return outcome;
  }
  static net::HttpOutcome answer(int status, const nlohmann::json& body) {
    net::HttpOutcome outcome;
    outcome.stage = Stage::answered;
    outcome.status = status;
    outcome.content_type = "application/json";
    outcome.body = body.dump();
    return outcome;
  }
  static net::HttpOutcome refusal(int status, int code, const char* why) {
    return answer(status, {{"code", code}, {"message", why}, {"request_id", "r"}});
  }

  net::HttpOutcome create(const std::string& prompt, const std::string& external_id) {
    const std::string what = fate(prompt);
    const int before = tried_[external_id]++;
    if (what == "down") {
      const Millis first = first_.try_emplace(external_id, clock_->now()).first->second;
      if (clock_->now() < first + 90'000) return lost(Stage::not_sent);
    }
    sent_.push_back(external_id);
    if (what == "busy" && before < 2) return refusal(429, 1302, "too many requests");
    if (refused(prompt, external_id)) return refusal(400, 1301, "content policy: not allowed");
    if (what == "gone" && before == 0) return lost(Stage::lost);
    Task task{std::to_string(1000 + tasks_.size()), external_id, prompt, clock_->now()};
    tasks_.push_back(task);
    if (what == "lost" && before == 0) return lost(Stage::lost);
    return tell(task);
  }
  net::HttpOutcome find(const std::string& id) const {
    for (const Task& task : tasks_)
      if (task.id == id || (looks_up && task.external_id == id)) return tell(task);
    return refusal(404, 1201, "the task does not exist");
  }
  net::HttpOutcome tell(const Task& task) const {
    const Millis age = clock_->now() - task.created_at;
    const bool done = age >= (fate(task.prompt) == "slow" ? 900'000 : 60'000);
    nlohmann::json data = {{"task_id", task.id},
                           {"task_status", done ? "succeed" : "processing"},
                           {"task_info", {{"external_task_id", task.external_id}}},
                           {"created_at", task.created_at},
                           {"updated_at", clock_->now()}};
    if (done && failed(task)) {
      data["task_status"] = "failed";
      data["task_status_msg"] = "a fault of the service";
    } else if (done) {
      data["task_result"]["videos"] = {
          {{"id", "v"}, {"url", "https://example.com/" + task.id}, {"duration", "5"}}};
    }
    return answer(200, {{"code", 0}, {"message", "ok"}, {"data", data}});
  }

  const std::shared_ptr<Clock> clock_;
  mutable std::mutex mutex_;
  bool stopped_ = false;
  std::vector<std::string> sent_;
  std::vector<Task> tasks_;
  std::map<std::string, int> tried_;     // POSTs by external id
  std::map<std::string, Millis> first_;  // when the first of them came
};

/// One line of what a run tells.
struct Event {
  std::string path;      ///< of the task
  std::string what;      ///< asked, waits, clip, raised, enter, leave, begin, end
  std::string id;        ///< the external id, or what was entered or left
  std::string how;       ///< the prompt that was asked for, the id of a clip, the kind of an error
  int ask = 0;           ///< which one of the run it is about
  std::size_t sent = 0;  ///< POSTs by then

  bool operator==(const Event& other) const {
    return what == other.what && id == other.id && how == other.how;
  }
};

struct Run {
  bool done = false;  ///< else it was killed, or hangs
  bool ok = false;
  std::string message;
  std::vector<Event> events;
  std::size_t sent = 0;  ///< of the service's POSTs were there before it
  std::size_t posted = 0;
};

/// A ledger and a service; each run is a process of its own as far as those can tell.
class World {
 public:
  World() { service = std::make_shared<Service>(clock); }

  /// Runs a script to its end, or until `kill_at` actions of its jobs were begun.
  Run run(const std::string& script, int kill_at = 0, bool again = false) {
    Run run;
    run.sent = service->sent().size();
    events_ = &run.events;
    actions_ = 0;
    kill_at_ = kill_at;
    killed_ = false;
    lua_State* L = luaL_newstate();
    luaL_openlibs(L);
    const auto queue = std::make_shared<engine::CompletionQueue>(clock);
    lua::ModuleOptions options;
    options.queue = queue;
    options.own_interpreter = true;
    options.engine.key = "k";
    options.engine.service = "sim";
    options.engine.store = false;
    options.engine.ledger_path = ledger();
    options.engine.script_name = "film.lua";
    options.engine.retry_failed = again;
    options.engine.poll_interval = 20'000;
    options.engine.queue = queue;
    options.engine.transport = service;
    options.engine.on_action = [this, queue, number = run_](const char*, bool done) {
      act(done, *queue, number);
    };
    lua_pushcfunction(L, open);
    lua_pushlightuserdata(L, &options);
    lua_pushlightuserdata(L, this);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) throw std::runtime_error(lua_tostring(L, -1));
    lua::Runtime& runtime = *lua::runtime_of(L);
    if (luaL_loadbufferx(L, script.data(), script.size(), "@film.lua", "t") != LUA_OK)
      throw std::runtime_error(lua_tostring(L, -1));
    const lua::TaskId task = runtime.spawn(L, 0, "main");
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    const auto working = [&] {
      if (runtime.unfinished() > 0) return true;
      for (const engine::Engine* engine : runtime.engines())
        if (engine->pending() > 0) return true;
      return false;
    };
    while (!killed_ && working() && std::chrono::steady_clock::now() < end) {
      clock->hold();
      const bool more = runtime.run(1000);
      clock->release();
      if (!more && working()) runtime.wait(runtime.next_timer());
    }
    {
      std::lock_guard none_under_way(acting_);
      ++run_;
    }
    const lua::TaskResult result = runtime.result(task);
    run.done = result.done && !killed_ && !working();
    run.ok = result.ok;
    run.message = result.message;
    if (run.done && run.ok) runtime.end_run();
    events_ = nullptr;
    lua_close(L);
    service->come_back();
    if (killed_) ++life_;
    run.posted = service->sent().size() - run.sent;
    return run;
  }

  /// Where it lies, now or after so many kills.
  std::string ledger(int kills = 0) const {
    return folder_ / ("ledger." + std::to_string(life_ + kills) + ".db");
  }

  std::shared_ptr<test::JumpingClock> clock = std::make_shared<test::JumpingClock>();
  std::shared_ptr<Service> service;

 private:
  static World& self(lua_State* L) {
    return *static_cast<World*>(lua_touserdata(L, lua_upvalueindex(1)));
  }

  static int open(lua_State* L) {
    lua::open_module(L, std::move(*static_cast<lua::ModuleOptions*>(lua_touserdata(L, 1))));
    lua_setglobal(L, "kling");
    lua_pushvalue(L, 2);
    lua_pushcclosure(L, note, 1);
    lua_setglobal(L, "note");
    return 0;
  }
  /// note(what, id, how)
  static int note(lua_State* L) {
    World& world = self(L);
    if (world.events_ == nullptr || world.killed_) return 0;
    const lua::Task* task = lua::state_of(L).running();
    world.events_->push_back({task ? task->path : "", luaL_checkstring(L, 1),
                              luaL_optstring(L, 2, ""), luaL_optstring(L, 3, ""),
                              static_cast<int>(luaL_optinteger(L, 4, 0)),
                              world.service->sent().size()});
    return 0;
  }

  int life_ = 0;  ///< kills so far
  test::TempFolder folder_;
  std::vector<Event>* events_ = nullptr;
  std::mutex acting_;
  int actions_ = 0, kill_at_ = 0;
  int run_ = 0;  ///< what an action of an earlier one still says is of no matter
  std::atomic<bool> killed_{false};

  /// Actions come one after another, so that the ledger and the service are left at one moment.
  void act(bool done, engine::CompletionQueue& queue, int number) {
    if (!done) acting_.lock();
    if (number == run_ && ++actions_ == kill_at_) {
      (void)engine::Database::copy(ledger(), ledger(1));
      service->leave();
      killed_ = true;
      queue.wake();
    }
    if (done) acting_.unlock();
  }
};

}  // namespace kling::story
