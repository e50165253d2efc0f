// Random scripts: a tree of statements that asks, waits, catches, retries, falls back and works in
// tasks. The same seed gives the same script; what is not needed to show a fault is left out.
#pragma once

#include <random>
#include <string>
#include <vector>

#include "story/world.h"

namespace kling::story {

// What the statements are made of. Each tells the model what it got.
inline const char* const kWords = R"(
local asks = 0
local function kind(e) return type(e) == "userdata" and e.kind or tostring(e) end
local function ask(prompt)
  note("asks", "", prompt)
  local ok, job = pcall(kling.text2video, { prompt = prompt })
  if not ok then note("refused", prompt, kind(job)) error(job, 0) end
  asks = asks + 1
  note("asked", job.external_id, prompt, asks)
  return { job = job, ask = asks }
end
local function wait(of, seconds)
  local job = of.job
  note("waits", job.external_id, "", of.ask)
  local ok, clip = pcall(job.wait, job, seconds and { timeout = seconds })
  note(ok and "clip" or "raised", job.external_id, ok and job.id or kind(clip), of.ask)
  if not ok then error(clip, 0) end
  return clip
end
local function body(fn)
  return function(...)
    note("begin")
    local ok, e = pcall(fn, ...)
    note("end", "", ok and "ok" or kind(e))
    if not ok then error(e, 0) end
  end
end
local function enter(what, fn, ...)
  note("enter", what)
  local ok, e = pcall(fn, ...)
  note("leave", what, ok and "ok" or kind(e))
  if not ok then error(e, 0) end
end
)";

struct Statement {
  enum Kind { ask, wait, retry, fallback, all, any, map, timeout, spawn, join, caught };
  Kind kind = ask;
  std::string prompt;
  std::vector<std::string> prompts;  ///< of a map
  int seconds = 0;                   ///< 0: no limit
  int count = 0;                     ///< tries of a loop, limit of a map
  int which = 0;                     ///< of the jobs or tasks at hand; -1: the last
  std::vector<std::vector<Statement>> blocks;
};
using Block = std::vector<Statement>;

class Teller {
 public:
  std::string tell(const Block& main) {
    Scope scope;
    put(main, scope, "");
    return kWords + text_;
  }
  /// Without the words that every script begins with.
  std::string body(const Block& main) {
    Scope scope;
    put(main, scope, "");
    return text_;
  }

 private:
  struct Scope {
    std::vector<std::string> jobs, tasks;
  };
  std::string text_;
  int names_ = 0;

  static std::string quoted(const std::string& text) { return '"' + text + '"'; }
  static std::string limit(int seconds) {
    return seconds > 0 ? ", " + std::to_string(seconds) : "";
  }
  void line(const std::string& indent, const std::string& text) { text_ += indent + text + "\n"; }

  void put(const Block& block, Scope scope, const std::string& indent) {
    for (const Statement& one : block) put(one, scope, indent);
  }
  void functions(const Statement& one, const Scope& scope, const std::string& indent) {
    for (const Block& block : one.blocks) {
      line(indent, "body(function()");
      put(block, scope, indent + "  ");
      line(indent, "end),");
    }
  }
  void put(const Statement& one, Scope& scope, const std::string& indent) {
    const auto pick = [&](const std::vector<std::string>& names) {
      if (one.which < 0) return names.back();
      return names.at(static_cast<std::size_t>(one.which) % names.size());
    };
    const std::string asked = "wait(ask(" + quoted(one.prompt) + ")" + limit(one.seconds) + ")";
    switch (one.kind) {
      case Statement::ask:
        scope.jobs.push_back("j" + std::to_string(++names_));
        return line(indent, "local " + scope.jobs.back() + " = ask(" + quoted(one.prompt) + ")");
      case Statement::wait:
        if (!scope.jobs.empty())
          line(indent, "wait(" + pick(scope.jobs) + limit(one.seconds) + ")");
        return;
      case Statement::retry:
        line(indent, "for _ = 1, " + std::to_string(one.count) + " do if pcall(function() " +
                         asked + " end) then break end end");
        return;
      case Statement::fallback:
        line(indent, "if not pcall(function() " + asked + " end) then");
        put(one.blocks.at(0), scope, indent + "  ");
        return line(indent, "end");
      case Statement::all:
      case Statement::any: {
        const std::string name = one.kind == Statement::all ? "all" : "any";
        line(indent, "enter(\"" + name + "\", kling." + name + ", {");
        functions(one, scope, indent + "  ");
        return line(indent, "})");
      }
      case Statement::map: {
        std::string list;
        for (const std::string& prompt : one.prompts)
          list += (list.empty() ? "" : ", ") + quoted(prompt);
        return line(indent, "enter(\"map\", kling.map, { " + list +
                                " }, body(function(p) wait(ask(p)" + limit(one.seconds) +
                                ") end), { limit = " + std::to_string(one.count) + " })");
      }
      case Statement::timeout:
        line(indent, "enter(\"timeout\", kling.timeout, " + std::to_string(one.seconds) + ",");
        line(indent, "body(function()");
        put(one.blocks.at(0), scope, indent + "  ");
        return line(indent, "end))");
      case Statement::spawn: {
        const std::string name = "t" + std::to_string(++names_);
        line(indent, "local " + name + " = kling.spawn(body(function()");
        put(one.blocks.at(0), scope, indent + "  ");
        line(indent, "end))");
        line(indent, "note(\"spawned\", " + name + ".path)");
        return scope.tasks.push_back(name);
      }
      case Statement::join:
        if (!scope.tasks.empty()) {
          const std::string task = pick(scope.tasks);
          line(indent, "note(\"joins\", " + task + ".path)");
          line(indent,
               "enter(\"join\", " + task + ".wait, " + task +
                   (one.seconds ? ", { timeout = " + std::to_string(one.seconds) + " }" : "") +
                   ")");
        }
        return;
      case Statement::caught:
        line(indent, "pcall(function()");
        put(one.blocks.at(0), scope, indent + "  ");
        return line(indent, "end)");
    }
  }
};

class Maker {
 public:
  explicit Maker(std::uint32_t seed) : random_(seed) {
    for (int i = 0, count = 1 + draw(4); i < count; ++i) {
      const auto& all = fates();
      prompts_.push_back(
          all.at(draw(4) == 0 ? 0 : static_cast<std::size_t>(draw(int(all.size())))) + " " +
          std::to_string(draw(2)));
    }
  }
  Block make() {
    Block main = block(3, 1 + draw(5));
    // What was caught is kept once another request is sent.
    if (draw(3) > 0) main.push_back({.kind = Statement::retry, .prompt = "ok 9", .count = 1});
    return main;
  }
  /// Another prompt in place of one, new or as elsewhere in the script; false: there is none.
  bool edit(Block& block) {
    std::vector<std::string*> found;
    collect(block, found);
    if (found.empty()) return false;
    const auto any = [&] { return found.at(static_cast<std::size_t>(draw(int(found.size())))); };
    const std::string other = *any();
    *any() = draw(2) == 0 ? other : "ok " + std::to_string(20 + draw(3));
    return true;
  }
  int draw(int below) { return static_cast<int>(random_() % static_cast<std::uint32_t>(below)); }

 private:
  static void collect(Block& block, std::vector<std::string*>& found) {
    for (Statement& one : block) {
      if (!one.prompt.empty()) found.push_back(&one.prompt);
      for (std::string& prompt : one.prompts) found.push_back(&prompt);
      for (Block& inner : one.blocks) collect(inner, found);
    }
  }
  std::string prompt() { return prompts_.at(static_cast<std::size_t>(draw(int(prompts_.size())))); }
  int seconds() {
    static constexpr int kSeconds[] = {0, 0, 0, 1, 1, 40, 200};
    return kSeconds[draw(7)];
  }
  Block block(int depth, int size) {
    Block made;
    for (int i = 0; i < size; ++i) made.push_back(statement(depth));
    return made;
  }
  Statement statement(int depth) {
    Statement one;
    const int kind = draw(depth > 0 ? 23 : 8);
    one.seconds = seconds();
    one.which = draw(10);
    one.prompt = kind == 1 || kind >= 10 ? "" : prompt();
    switch (kind) {
      case 0: one.kind = Statement::ask; return one;
      case 1:
      case 2:
        one.prompt.clear();
        one.kind = Statement::wait;
        return draw(4) == 0 ? one : caught({one});
      case 3:
      case 4:
        one.kind = Statement::retry;
        one.count = 2 + draw(3);
        return one;
      case 5:
        one.prompt.clear();
        one.kind = Statement::join;
        return draw(3) == 0 ? one : caught({one});
      case 6:
      case 7: {
        Statement first;
        first.kind = Statement::retry;
        first.prompt = one.prompt;
        first.seconds = one.seconds;
        first.count = 1;
        return first;
      }
      case 8:
      case 9:
        one.kind = Statement::fallback;
        one.blocks = {block(depth - 1, 1 + draw(2))};
        return one;
      case 10:
      case 11:
      case 12:
      case 13:
        one.kind = kind < 12 ? Statement::all : Statement::any;
        for (int i = 0, count = 1 + draw(3); i < count; ++i)
          one.blocks.push_back(block(depth - 1, 1 + draw(3)));
        break;
      case 14:
      case 15:
        one.kind = Statement::map;
        one.count = 1 + draw(3);
        for (int i = 0, count = 1 + draw(4); i < count; ++i) one.prompts.push_back(prompt());
        break;
      case 16:
      case 17:
        one.kind = Statement::timeout;
        if (one.seconds == 0) one.seconds = 30;
        one.blocks = {block(depth - 1, 1 + draw(3))};
        break;
      case 18:  // who loses, or is cut off, would go on with another request
        one.kind = draw(2) == 0 ? Statement::any : Statement::all;
        one.blocks = {chain("ok"), chain("slow")};
        if (one.kind == Statement::all) {
          one.blocks[0].push_back({.kind = Statement::ask, .prompt = "never 5"});
          one.blocks[0].push_back({.kind = Statement::wait, .which = -1});
        }
        break;
      case 19:
        one.kind = Statement::spawn;
        one.blocks = {chain("slow")};
        return caught({one, caught({{.kind = Statement::join, .seconds = 100, .which = -1}})});
      default:
        one.kind = Statement::spawn;
        one.blocks = {block(depth - 1, 1 + draw(3))};
        return one;
    }
    return draw(4) == 0 ? one : caught({one});
  }
  /// Waits for one request, then asks for another.
  Block chain(const std::string& fate) {
    const std::string which = std::to_string(draw(2));
    return {{.kind = Statement::retry, .prompt = fate + " 3" + which, .count = 1},
            {.kind = Statement::retry, .prompt = "ok 4" + which, .count = 1}};
  }
  static Statement caught(Block inner) {
    Statement one;
    one.kind = Statement::caught;
    one.blocks = {std::move(inner)};
    return one;
  }

  std::mt19937 random_;
  std::vector<std::string> prompts_;
};

/// Every script that is `block` without one statement, or with the statement's blocks in its place.
inline std::vector<Block> smaller(const Block& block) {
  std::vector<Block> found;
  for (std::size_t i = 0; i < block.size(); ++i) {
    Block without = block;
    without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
    found.push_back(without);
    const Statement& one = block[i];
    if (one.kind == Statement::map)
      for (std::size_t n = 0; one.prompts.size() > 1 && n < one.prompts.size(); ++n) {
        found.push_back(block);
        auto& prompts = found.back()[i].prompts;
        prompts.erase(prompts.begin() + static_cast<std::ptrdiff_t>(n));
      }
    for (std::size_t n = 0; n < one.blocks.size(); ++n) {
      if (one.kind != Statement::spawn && one.kind != Statement::fallback &&
          one.blocks.size() == 1) {
        Block opened = without;
        opened.insert(opened.begin() + static_cast<std::ptrdiff_t>(i), one.blocks[n].begin(),
                      one.blocks[n].end());
        found.push_back(opened);
      }
      if (one.blocks.size() > 1) {
        found.push_back(block);
        auto& blocks = found.back()[i].blocks;
        blocks.erase(blocks.begin() + static_cast<std::ptrdiff_t>(n));
      }
      for (Block& inner : smaller(one.blocks[n])) {
        found.push_back(block);
        found.back()[i].blocks[n] = std::move(inner);
      }
    }
    if (one.count > 1) {
      found.push_back(block);
      --found.back()[i].count;
    }
  }
  return found;
}

}  // namespace kling::story
