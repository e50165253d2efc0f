// The rules of paying, told once more: from what the tasks of a run asked for and were told follows
// which step and attempt each ask may get, and what the next run has to tell again. Knows nothing
// of the ledger.
#pragma once

#include <algorithm>
#include <optional>

#include "story/world.h"

namespace kling::story {

class Model {
 public:
  explicit Model(const Service& service) : service_(service) {}

  /// What a run did that it may not do; empty: nothing. `same`: it is the script of the run before.
  std::string judge(const Run& run, bool same) {
    run_ = Told{};
    spawned_.clear();
    run_.sent = service_.sent();
    run_.earlier = run.sent;
    for (const auto& task : service_.tasks())
      if (!service_.failed(task)) run_.good.insert(task.external_id);
    std::string complaint;
    // Who was cut off while it asked does not know what it got.
    for (const Event& event : run.events)
      if (event.what == "refused") cut_.insert(event.id);
    for (std::size_t i = 0; i < run.events.size() && complaint.empty(); ++i)
      complaint = see(run.events[i]);
    if (run.done && run.ok)  // what a good end did without is kept
      for (const auto& [path, task] : run_.tasks)
        for (const auto& [ask, id] : task.waiting) kept_.insert(step_of(id));
    if (complaint.empty()) complaint = charges();
    if (complaint.empty() && same && run.done && before_.done) complaint = compare(run);
    killed_ = killed_ || !run.done;
    before_ = run;
    told_ = run_;
    return complaint;
  }
  /// Runs of an unchanged script: all, those that sent nothing, those that went on where nothing is
  /// kept.
  int reruns = 0, silent = 0, excused = 0;

 private:
  using Key = std::pair<std::string, std::string>;  // task path and prompt
  enum Seal { open, perhaps, sealed };              // whether it is replayed
  struct Entry {
    int ask;
    std::string id, kind;
    bool strict;
    std::shared_ptr<Seal> seal;
  };
  using Story = std::vector<Entry>;
  struct TaskTold {
    Story story;
    std::size_t inherited = 0;
    Story when_entered;
    std::size_t first_child = 0;
    std::vector<std::string> children;  // since it entered
    std::string entered, joins;
    std::map<int, std::string> waiting;  // ask, id
    std::set<int> delivered;             // asks whose clip it has
    std::map<int, std::string> made;     // likewise: what it, or who it waited for, asked for
    std::string asking;                  // prompt of an ask that is on its way
    bool failed = false;
    std::map<std::string, int> asked;  // by prompt
  };
  struct Told {
    std::map<std::string, TaskTold> tasks;
    std::map<int, std::string> prompt_of;
    std::set<int> followed;
    std::set<std::string> given;  // steps
    std::set<std::string> taken;  // of them those that another ask had before
    std::size_t earlier = 0;      // POSTs of the runs before
    std::vector<std::string> sent;
    std::set<std::string> good;  // attempts that were accepted and did not fail
    std::map<std::pair<std::string, std::size_t>, std::shared_ptr<Seal>>
        seals;                                  // of the n-th event of a task
    std::map<std::string, std::size_t> events;  // of a task so far
  };

  static std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
  static bool is_failure(const std::string& kind) {
    return kind == "policy" || kind == "task_failed" || kind == "invalid";
  }
  bool is_failed(const std::string& id, const std::string& prompt) const {
    if (service_.refused(prompt, id)) return true;
    for (const auto& task : service_.tasks())
      if (task.external_id == id) return service_.failed(task);
    return false;
  }
  bool sent_before(const std::string& step, std::size_t sent) const {
    for (std::size_t i = 0; i < std::min(sent, run_.sent.size()); ++i)
      if (step_of(run_.sent[i]) == step) return true;
    return false;
  }
  bool is_recorded(const std::string& step) const {
    for (const auto& [key, ids] : record_)
      for (const std::string& id : ids)
        if (step_of(id) == step) return true;
    return false;
  }

  std::string see(const Event& event) {
    TaskTold& task = run_.tasks[event.path];
    const std::size_t index = run_.events[event.path]++;
    if (event.what == "begin") {
      const std::string parent = parent_of(event.path);
      if (parent != event.path) {
        TaskTold& above = run_.tasks[parent];
        const auto spawned = spawned_.find(event.path);
        if (spawned != spawned_.end()) {
          task.story = spawned->second;
        } else {
          task.story = above.when_entered;
          above.children.push_back(event.path);
        }
        task.inherited = task.story.size();
      }
    } else if (event.what == "spawned") {
      spawned_[event.id] = task.story;
    } else if (event.what == "joins") {
      task.joins = event.id;
    } else if (event.what == "enter") {
      task.entered = event.id;
      task.when_entered = task.story;
      task.children.clear();
    } else if (event.what == "leave") {
      const std::size_t before = task.story.size();
      leave(task, event);
      // A wait for a task that waited for no job says nothing that is kept.
      if (task.story.size() > before && task.story.back().strict)
        run_.seals[{event.path, index}] = task.story.back().seal;
    } else if (event.what == "end") {
      task.failed = event.how != "ok";
    } else if (event.what == "waits") {
      task.waiting[event.ask] = event.id;
    } else if (event.what == "clip" || event.what == "raised") {
      task.waiting.erase(event.ask);
      if (event.what == "clip") task.delivered.insert(event.ask);
      if (event.what == "raised") {
        // What was not waited for so far is lost with the error.
        lose_waiting(task, event.path, event.ask);
        const Entry entry = raise(task, event.ask, event.id, event.how, true);
        run_.seals[{event.path, index}] = entry.seal;
      }
    } else if (event.what == "asks") {
      task.asking = event.how;
    } else if (event.what == "asked") {
      task.asking.clear();
      return ask(task, event);
    } else if (event.what == "refused") {
      task.asking.clear();
      seal(task, perhaps);
    }
    return "";
  }

  Entry raise(TaskTold& task, int ask, const std::string& id, const std::string& kind,
              bool strict) {
    task.story.push_back({ask, id, kind, strict, std::make_shared<Seal>(open)});
    return task.story.back();
  }
  static void seal(TaskTold& task, Seal how) {
    for (Entry& entry : task.story)
      *entry.seal = std::max(*entry.seal, entry.strict ? how : std::min(how, perhaps));
  }

  /// Errors that came out of tasks that this one waited for.
  void leave(TaskTold& task, const Event& event) {
    std::vector<std::string> from =
        task.entered == "join" ? std::vector{task.joins} : task.children;
    const bool timed_out =
        event.how == "timeout" && (task.entered == "timeout" || task.entered == "join");
    for (const std::string& path : from) {
      const TaskTold child = run_.tasks[path];
      // Whether a task that was cut off had caught something is nobody's business; it may count.
      const bool came_out = child.failed && event.how != "ok";
      for (std::size_t i = child.inherited; i < child.story.size(); ++i) {
        Entry entry = child.story[i];
        entry.strict = entry.strict && came_out;
        task.story.push_back(entry);
      }
      cut_off(task, path, timed_out ? "timeout" : "interrupted", 0);
      // What they made is lost to who waits, who may ask for it again.
      lose(task, path, event.how == "ok", 0);
    }
    // So is what it had asked for before, and not waited for, unless its time was up.
    if (event.how != "ok" && event.how != "timeout" && event.how != "interrupted")
      lose_waiting(task, event.path);
  }
  void lose_waiting(TaskTold& task, const std::string& path, int but = 0) {
    for (const auto& [ask, id] : task.made)
      if (ask != but && !task.delivered.count(ask)) raise(task, ask, id, "script", false);
    // Whether the script can still wait for what its tasks make is not looked for.
    for (const auto& [below, told] : run_.tasks)
      if (below.compare(0, path.size() + 1, path + "/") == 0) {
        for (const auto& [ask, id] : told.made)
          if (!task.made.count(ask)) raise(task, ask, id, "script", false);
        // What is on its way may be lost with them: which step it is, is told later only.
        if (!told.asking.empty()) cut_.insert(told.asking);
      }
  }
  void lose(TaskTold& task, const std::string& path, bool handed_on, int depth) {
    const TaskTold child = run_.tasks[path];
    for (const auto& [ask, id] : child.made) {
      if (handed_on)
        task.made[ask] = id;
      else
        raise(task, ask, id, "script", false);
    }
    // Nobody can wait any more for what it has spawned.
    for (const auto& [spawned, told] : run_.tasks)
      if (!handed_on && depth == 0 && spawned.compare(0, path.size() + 1, path + "/") == 0) {
        for (const auto& [ask, id] : told.made) raise(task, ask, id, "script", false);
        if (!told.asking.empty()) cut_.insert(told.asking);
      }
    for (const std::string& inner : child.children)
      if (depth < 5) lose(task, inner, handed_on, depth + 1);
    if (depth < 5 && child.entered == "join") lose(task, child.joins, handed_on, depth + 1);
  }
  /// What it, or a task it waits for, still waits for. Only a time-out is raised into the waiter
  /// for certain.
  void cut_off(TaskTold& task, const std::string& path, const std::string& kind, int depth) {
    const TaskTold child = run_.tasks[path];
    for (const auto& [ask, id] : child.waiting) raise(task, ask, id, kind, kind == "timeout");
    if (depth < 5)
      for (const std::string& inner : child.children) cut_off(task, inner, kind, depth + 1);
    if (depth < 5 && child.entered == "join") cut_off(task, child.joins, "interrupted", depth + 1);
  }

  std::string ask(TaskTold& task, const Event& event) {
    const std::string &id = event.id, &prompt = event.how;
    const auto nth = static_cast<std::size_t>(task.asked[prompt]++);
    const std::string step = step_of(id);
    run_.prompt_of[event.ask] = prompt;
    task.made[event.ask] = id;
    std::vector<std::string>& ids = record_[{event.path, prompt}];
    if (nth >= ids.size()) ids.resize(nth + 1);
    const std::string recorded = ids[nth];
    const std::string wrong = why_not(task, event, recorded);
    ids[nth] = id;
    auto& steps = steps_[prompt];
    if (std::find(steps.begin(), steps.end(), step) == steps.end()) steps.push_back(step);
    run_.given.insert(step);
    seal(task, sealed);
    for (const Entry& entry : task.story) kept_.insert(step_of(entry.id));
    if (wrong.empty()) return "";
    return event.path + " asked for \"" + prompt + "\" (" + std::to_string(nth + 1) + ") and got " +
           id + ": " + wrong;
  }

  std::string why_not(const TaskTold& task, const Event& event, const std::string& recorded) {
    const std::string &id = event.id, &prompt = event.how;
    const std::string step = step_of(id);
    const int attempt = attempt_of(id);
    for (int before = 1; before < attempt; ++before)
      if (!is_failed(step + "-" + std::to_string(before), prompt))
        return "attempt " + std::to_string(before) + " has not failed";
    // What the ask follows from is used up by it.
    bool must = false, fits = false;
    for (auto entry = task.story.rbegin(); entry != task.story.rend() && !fits; ++entry) {
      if (run_.prompt_of[entry->ask] != prompt || run_.followed.count(entry->ask)) continue;
      must = must || entry->strict;
      const int least = attempt_of(entry->id) + (is_failure(entry->kind) ? 1 : 0);
      fits = step_of(entry->id) == step && (attempt >= least || id == recorded);
      if (fits) run_.followed.insert(entry->ask);
    }
    if (cut_.count(prompt)) return "";
    const auto earlier = run_.sent.begin() + static_cast<std::ptrdiff_t>(run_.earlier);
    if (!fits && step != step_of(recorded)) {
      // What a run had asked for last when it was killed is not known: it may be this ask's.
      if (is_recorded(step) && !(killed_ && recorded.empty()) && run_.taken.insert(step).second)
        for (auto& [key, others] : record_)
          for (std::string& other : others)
            if (step_of(other) == step) other.clear();
      if (service_.refused(prompt, id) && std::find(run_.sent.begin(), earlier, id) != earlier)
        return "it got the refusal that another ask goes on with";
    } else if (!fits && run_.taken.count(step)) {
      return "another ask of this run took that step";
    }
    const bool taken =
        !recorded.empty() && step != step_of(recorded) && run_.given.count(step_of(recorded));
    if (!recorded.empty() && !taken) {
      if (step != step_of(recorded)) return "it had got " + recorded + " before";
      if (id != recorded && !is_failed(recorded, prompt))
        return "it had got " + recorded + " before, which has not failed";
      return "";
    }
    if (fits) return "";
    if (must) return "it does not follow from what was raised";
    if (run_.given.count(step)) return "another ask of this run has that step";
    const auto& steps = steps_[prompt];
    const bool known = std::find(steps.begin(), steps.end(), step) != steps.end();
    if (!known && !sent_before(step, event.sent))
      for (const std::string& other : steps)
        if (!run_.given.count(other) && !kept_.count(other) && !is_recorded(other))
          return "step " + other + " is there, and nobody has it";
    return "";
  }

  /// No step is paid twice, and no attempt sent once more that was accepted.
  std::string charges() const {
    std::map<std::string, int> paid, accepted;
    for (const auto& task : service_.tasks()) {
      ++accepted[task.external_id];
      if (!service_.failed(task)) ++paid[step_of(task.external_id)];
    }
    for (const auto& [id, count] : accepted)
      if (count > 1) return id + " was accepted " + std::to_string(count) + " times";
    for (const auto& [step, count] : paid)
      if (count > 1) return "step " + step + " was paid " + std::to_string(count) + " times";
    return "";
  }

  /// Tells the same story, as far as what was caught is kept.
  std::string compare(const Run& run) {
    ++reruns;
    std::map<std::string, std::vector<Event>> was, is;
    for (const Event& event : before_.events) was[event.path].push_back(event);
    for (const Event& event : run.events) is[event.path].push_back(event);
    // Where each task went another way first. What was told of its own tasks only follows from
    // that.
    std::map<std::string, std::size_t> parted;
    for (const auto& [path, events] : was) {
      const auto differ =
          std::mismatch(events.begin(), events.end(), is[path].begin(), is[path].end());
      if (differ.first != events.end() || differ.second != is[path].end())
        parted[path] = static_cast<std::size_t>(differ.first - events.begin());
    }
    const auto within = [](const std::string& inner, const std::string& path) {
      return inner.size() > path.size() && inner.compare(0, path.size() + 1, path + "/") == 0;
    };
    const auto follows = [&](const Event& event) {
      return event.what == "leave" || event.what == "end";
    };
    for (const auto& [path, at] : parted) {
      const auto &old = was[path], &now = is[path];
      if (at >= old.size() || (at >= now.size() && at == 0)) continue;  // its waiter tells why
      const Event& told = old[at];
      const Event got = at < now.size() ? now[at] : Event{};
      const bool follows_other = std::any_of(parted.begin(), parted.end(), [&](const auto& one) {
        const auto& [other, from] = one;
        if (within(other, path)) return follows(told);
        // Another path of the code may be under the same name.
        if (within(path, other) && at <= 1) return true;
        return within(path, other) && from < was[other].size() && !follows(was[other][from]);
      });
      const auto seal = told_.seals.find({path, at});
      const bool kept = seal != told_.seals.end() && *seal->second == sealed &&
                        (told.how == "timeout" || is_failure(told.how));
      if (follows_other || told.how == "interrupted" || got.how == "interrupted") continue;
      if (!kept && (told.what == "raised" || told.how == "timeout" || got.how == "timeout"))
        continue;
      // What it may get was judged when it asked; which way a script takes follows from what it is
      // told.
      if (told.what != "clip" && told.what != "raised" && told.what != "leave") continue;
      return path + " was told " + told.what + " " + told.id + " " + told.how + " and now " +
             got.what + " " + got.id + " " + got.how;
    }
    ++(run.posted == 0 ? silent : excused);
    if (run.posted > 0 && !may_send())
      return std::to_string(run.posted) + " requests were sent, though all that was told is kept";
    return "";
  }

  /// Whether the run before left something to be sent: an error that is not kept, what came to
  /// nothing and nobody was told of, or an ask that was cut off.
  bool may_send() const {
    std::set<std::string> cancelled;
    std::set<int> failures;  // asks whose failure was told, or not waited for to a good end
    std::map<std::string, std::size_t> index;
    for (const Event& event : before_.events) {
      const auto seal = told_.seals.find({event.path, index[event.path]++});
      const bool kept = seal != told_.seals.end() && *seal->second == sealed &&
                        (event.how == "timeout" || is_failure(event.how));
      const bool cut_off = event.how == "interrupted" || event.how == "timeout";
      if (before_.ok && event.what == "raised" && cut_off &&
          is_failed(event.id, told_.prompt_of.at(event.ask)))
        failures.insert(event.ask);
      // Who asks after that has asked for nothing.
      if (event.how == "interrupted" && event.what != "refused") cancelled.insert(event.path);
      if (event.what == "refused" && cancelled.count(event.path) == 0) return true;
      if (event.what == "leave" && event.how == "timeout" && !kept) return true;
      if (event.what != "raised" || event.how == "interrupted") continue;
      if (!kept) return true;
      if (is_failure(event.how)) failures.insert(event.ask);
    }
    for (const Event& event : before_.events) {
      if (event.what != "asked") continue;
      if (told_.good.count(event.id) + failures.count(event.ask) == 0) return true;
    }
    return false;
  }

  const Service& service_;
  std::map<Key, std::vector<std::string>> record_;
  std::map<std::string, std::vector<std::string>> steps_;  // by prompt
  std::set<std::string> kept_;                             // steps that somebody goes on with
  std::map<std::string, Story> spawned_;
  std::set<std::string> cut_;  // prompts of asks that are not known
  bool killed_ = false;        ///< a run so far
  Told run_, told_;
  Run before_;
};

}  // namespace kling::story
