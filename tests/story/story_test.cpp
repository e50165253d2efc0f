// Thousands of random scripts on a jumping clock, judged by a model of the rules (model.h).
// KLING_STORIES=N runs N of them, KLING_STORY=SEED one.
#include <atomic>
#include <cstdlib>
#include <sstream>
#include <thread>

#include <doctest/doctest.h>

#include "story/model.h"
#include "story/script.h"

using namespace kling;
using namespace kling::story;

namespace {

struct Tally {
  std::atomic<int> scripts{0}, runs{0}, reruns{0}, silent{0}, excused{0}, kills{0}, posts{0};
};

std::string told(const Run& run) {
  std::string text;
  for (const Event& event : run.events)
    text += "    " + event.path + " " + event.what + " " + event.id + " " + event.how + "\n";
  return text;
}

/// What is wrong with it; empty: nothing. The same seed does the same things to a script.
std::string play(const Block& block, std::uint32_t seed, Tally& tally,
                 std::string* trace = nullptr) {
  Maker dice(seed ^ 0x5eed);
  World world;
  Model model(*world.service);
  const auto go = [&](const Block& script, bool same, int kill_at) {
    const Run run = world.run(Teller().tell(script), kill_at);
    ++tally.runs;
    tally.posts += static_cast<int>(run.posted);
    if (trace != nullptr)
      *trace += "  a run" + std::string(run.done ? "" : " that was killed") + ", " +
                std::to_string(run.posted) + " sent\n" + told(run);
    if (!run.done && kill_at == 0)
      return std::string("the script does not come to its end: " + run.message);
    return model.judge(run, same);
  };
  std::string wrong = go(block, false, 0);
  for (int more = dice.draw(3); more >= 0 && wrong.empty(); --more) wrong = go(block, true, 0);
  if (wrong.empty() && dice.draw(3) == 0) {
    ++tally.kills;
    Block edited = block;
    dice.edit(edited);
    wrong = go(edited, false, 1 + dice.draw(30));
    if (wrong.empty()) wrong = go(edited, false, 0);
    if (wrong.empty()) wrong = go(edited, true, 0);
  } else if (Block edited = block; wrong.empty() && dice.edit(edited)) {
    wrong = go(edited, false, 0);
    if (wrong.empty()) wrong = go(edited, true, 0);
    if (wrong.empty()) wrong = go(block, false, 0);  // and back
  }
  ++tally.scripts;
  tally.reruns += model.reruns;
  tally.silent += model.silent;
  tally.excused += model.excused;
  return wrong;
}

/// A complaint without what differs from script to script.
std::string kind_of(const std::string& complaint) {
  std::istringstream words(complaint);
  std::string kind;
  for (std::string word; words >> word;)
    if (word.find_first_of("0123456789/") == std::string::npos && word != "main")
      kind += word + " ";
  return kind;
}

int number(const char* name, int otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atoi(text);
}

}  // namespace

TEST_CASE("random scripts pay as the rules say, and an unchanged one sends nothing again") {
  const int only = number("KLING_STORY", 0);
  const int count = only ? 1 : number("KLING_STORIES", 100);
  const std::uint32_t first = only ? static_cast<std::uint32_t>(only) : 1;
  Tally tally;
  std::atomic<std::uint32_t> next{first};
  std::mutex mutex;
  std::map<std::uint32_t, std::string> wrong;
  std::vector<std::thread> threads;
  for (int i = 0; i < std::min(count, 12); ++i)
    threads.emplace_back([&] {
      for (;;) {
        const std::uint32_t seed = next++;
        if (seed >= first + static_cast<std::uint32_t>(count)) return;
        // Tasks that run at once may ask in another order: what is wrong is so each time.
        std::string complaint;
        for (int tries = 0; tries == 0 || (tries < 4 && !complaint.empty()); ++tries)
          complaint = play(Maker(seed).make(), seed, tally);
        if (complaint.empty()) continue;
        std::lock_guard lock(mutex);
        wrong[seed] = complaint;
      }
    });
  for (std::thread& thread : threads) thread.join();
  MESSAGE(tally.scripts.load() << " scripts, " << tally.runs.load() << " runs, "
                               << tally.posts.load() << " POSTs, " << tally.reruns.load()
                               << " run again: " << tally.silent.load() << " sent nothing, "
                               << tally.excused.load() << " went on with what is not kept");
  if (wrong.size() > 0) MESSAGE(wrong.size() << " scripts were wrong");
  int shown = 0;
  for (const auto& [seed, complaint] : wrong) {
    if (++shown > number("KLING_SHOW", 1)) break;
    Block block = Maker(seed).make();
    // Left out, one by one, what is not needed to show it.
    std::string why = complaint;
    for (bool shrunk = number("KLING_SHRINK", 1) != 0; shrunk;) {
      shrunk = false;
      for (Block& less : smaller(block)) {
        const std::string still = play(less, seed, tally);
        if (kind_of(still) != kind_of(why)) continue;
        block = std::move(less);
        why = still;
        shrunk = true;
        break;
      }
    }
    std::string trace;
    const std::string last = play(block, seed, tally, &trace);
    FAIL_CHECK("KLING_STORY=" << seed << ": " << why
                              << (last == why ? "" : "\n(once more: " + last + ")") << "\n"
                              << Teller().body(block) << trace);
  }
}

TEST_CASE("a time-out of who waited beside it is not told to the task that was told a failure") {
  World world;
  Model model(*world.service);
  const std::string script = std::string(kWords) + R"(
local first = kling.spawn(body(function()
  for _ = 1, 2 do if pcall(function() wait(ask("sink 0"), 200) end) then break end end
end))
note("spawned", first.path)
local second = kling.spawn(body(function()
  pcall(function() wait(ask("down 1"), 1) end)
  note("joins", first.path)
  pcall(enter, "join", first.wait, first, { timeout = 40 })
end))
note("spawned", second.path)
)";
  for (const bool same : {false, true, true}) CHECK(model.judge(world.run(script), same) == "");
}
