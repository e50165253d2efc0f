// The pool against a model of it: what may run does, whatever else hangs.
#include "engine/worker_pool.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/jumping_clock.h"

using namespace kling;
using namespace kling::engine;

namespace {

/// A minute only ends a hang.
template <class Condition>
bool comes(Condition condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

struct Item {
  Lane lane = Lane::light;
  std::atomic<bool> held{false}, begun{false}, done{false};

  void run() {
    begun = true;
    while (held) std::this_thread::sleep_for(std::chrono::microseconds(200));
    done = true;
  }
};
using Items = std::vector<std::shared_ptr<Item>>;

std::shared_ptr<Item> submit(WorkerPool& pool, Items& items, Lane lane, bool held, Millis due = 0) {
  auto item = items.emplace_back(std::make_shared<Item>());
  item->lane = lane;
  item->held = held;
  auto work = [item] { item->run(); };
  due == 0 ? pool.submit(lane, work) : pool.submit_at(due, lane, work);
  return item;
}

/// `body` in a child process: its code.
template <class Body>
int in_child(Body body) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(body());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// From now on no thread can be started here: not one of the stacks that were used before fits.
void forbid_threads(bool forbidden) {
  pthread_attr_t attributes;
  ::pthread_attr_init(&attributes);
  ::pthread_attr_setstacksize(&attributes, forbidden ? std::size_t{1} << 45 : std::size_t{1} << 20);
  ::pthread_setattr_default_np(&attributes);
}

}  // namespace

TEST_CASE("the second of two pieces of work does not wait for the end of the first") {
  for (int round = 0; round < 50; ++round) {
    CAPTURE(round);
    WorkerPool pool(make_clock());
    Items items;
    REQUIRE(
        comes([first = submit(pool, items, Lane::light, false)] { return first->done.load(); }));
    for (int i = 0; i < 200; ++i) std::this_thread::yield();  // one thread, idle
    const auto hanging = submit(pool, items, Lane::light, true);
    const auto other = submit(pool, items, Lane::light, false);
    const bool ran = comes([&] { return other->done.load(); });
    hanging->held = false;
    REQUIRE(ran);
  }
}

TEST_CASE("of timers that are due together one that hangs does not keep the others") {
  for (int round = 0; round < 20; ++round) {
    CAPTURE(round);
    const auto clock = make_clock();
    WorkerPool pool(clock);
    Items items;
    REQUIRE(
        comes([first = submit(pool, items, Lane::light, false)] { return first->done.load(); }));
    for (int i = 0; i < 200; ++i) std::this_thread::yield();  // one thread, idle
    const Millis due = clock->now() + 5;
    for (int i = 0; i < 6; ++i) submit(pool, items, Lane::light, i % 2 == 0, due);
    submit(pool, items, Lane::light, false, due + 5);
    const bool ran = comes([&] {
      for (const auto& item : items)
        if (item->held ? !item->begun : !item->done) return false;
      return true;
    });
    for (const auto& item : items) item->held = false;
    REQUIRE(ran);
  }
}

TEST_CASE("a timer that is due before the one that is waited for does not wait for that") {
  WorkerPool pool(make_clock());
  REQUIRE(pool.start());
  for (int round = 0; round < 10; ++round) {
    CAPTURE(round);
    Items items;
    const Millis now = make_clock()->now();
    submit(pool, items, Lane::light, false, now + 3'600'000 - round);
    for (int i = 0; i < 2000; ++i) std::this_thread::yield();  // somebody waits for it
    const auto earlier = submit(pool, items, Lane::light, false, now + 5);
    REQUIRE(comes([&] { return earlier->done.load(); }));
  }
}

TEST_CASE("a pool that has a thread starts no other until there is work for it") {
  const auto threads = [] {
    return std::ranges::distance(std::filesystem::directory_iterator("/proc/self/task"));
  };
  WorkerPool pool(make_clock());
  REQUIRE(pool.start());
  const auto one = threads();
  for (int i = 0; i < 3; ++i) REQUIRE(pool.start());
  CHECK(threads() <= one);  // those of other tests may end meanwhile
}

TEST_CASE("whatever hangs, what its lane has room for is run") {
  constexpr std::array kLanes = {Lane::claim, Lane::light, Lane::post, Lane::transfer, Lane::media};
  constexpr std::array kRoom = {1, 24, 8, 6, 2};
  for (unsigned seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random(seed);
    const auto chance = [&random](int of) { return static_cast<int>(random() % unsigned(of)); };
    const auto clock = make_clock();
    WorkerPool pool(clock);
    Items items;
    std::array<int, 5> hanging{};
    int all_hanging = 0;
    bool well = true;
    for (int step = 0; step < 40 && well; ++step) {
      for (int burst = chance(6); burst >= 0; --burst) {
        const auto lane = static_cast<std::size_t>(chance(5));
        const bool held = chance(3) == 0 && hanging[lane] < kRoom[lane] && all_hanging < 20;
        hanging[lane] += held;
        all_hanging += held;
        submit(pool, items, kLanes[lane], held, chance(3) == 0 ? clock->now() + chance(4) : 0);
      }
      for (const auto& item : items)
        if (item->held && chance(6) == 0) {
          item->held = false;
          --hanging[static_cast<std::size_t>(item->lane)];
          --all_hanging;
        }
      // What was submitted to a full lane before it was full may still be behind those that hang.
      well = comes([&] {
        for (const auto& item : items) {
          const auto lane = static_cast<std::size_t>(item->lane);
          if (hanging[lane] < kRoom[lane] && (item->held ? !item->begun : !item->done))
            return false;
        }
        return true;
      });
    }
    for (const auto& item : items) item->held = false;
    REQUIRE(well);
    REQUIRE(comes([&] {
      for (const auto& item : items)
        if (!item->done) return false;
      return true;
    }));
  }
}

TEST_CASE("without a thread nothing is taken, and with one more cannot be started all is run") {
  CHECK(in_child([] {
          WorkerPool pool(make_clock());
          forbid_threads(true);
          if (pool.start().ok()) return 1;
          forbid_threads(false);
          if (!pool.start().ok()) return 2;
          forbid_threads(true);
          std::atomic<int> ran{0};
          std::atomic<bool> outer{false};
          pool.submit(Lane::light, [&] {
            for (int i = 0; i < 5; ++i) pool.submit(Lane::post, [&ran] { ++ran; });
            pool.submit_at(1, Lane::light, [&ran] { ++ran; });
            outer = true;
          });
          if (!comes([&] { return outer.load(); })) return 3;
          for (int i = 0; i < 5; ++i) pool.submit(Lane::media, [&ran] { ++ran; });
          return comes([&] { return ran == 11; }) ? 0 : 4;
        }) == 0);
}

TEST_CASE("a piece of work that throws ends alone") {
  CHECK(in_child([] {
          WorkerPool pool(make_clock());
          std::atomic<bool> ran{false};
          for (int i = 0; i < 30; ++i)
            pool.submit(Lane::claim, []() -> void { throw std::bad_alloc(); });
          pool.submit(Lane::claim, [&ran] { ran = true; });
          return comes([&] { return ran.load(); }) ? 0 : 1;
        }) == 0);
}

TEST_CASE("the end of main ends the threads of a pool that nobody stopped") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto* const pool = new WorkerPool(make_clock());
    static std::atomic<int> begun{0};
    static std::atomic<bool> interrupted{false};
    pool->set_interrupt([] { interrupted = true; });
    for (int i = 0; i < 3; ++i)
      pool->submit(Lane::light, [to = ends[1]] {
        ++begun;
        while (!interrupted) std::this_thread::sleep_for(std::chrono::milliseconds(1));
        if (::write(to, "x", 1) != 1) ::_exit(3);
      });
    while (begun < 3) std::this_thread::yield();  // what has not begun is dropped
    const pid_t grandchild = ::fork();            // it has no threads to wait for
    if (grandchild == 0) std::exit(0);
    int status = 1;
    ::waitpid(grandchild, &status, 0);
    std::exit(WIFEXITED(status) && !interrupted ? WEXITSTATUS(status) : 4);
  }
  ::close(ends[1]);
  char bytes[8];
  std::size_t count = 0;
  for (ssize_t got = 0; (got = ::read(ends[0], bytes, sizeof bytes)) > 0;)
    count += static_cast<std::size_t>(got);
  CHECK(count == 3);
  ::close(ends[0]);
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("the end of main waits for a worker that a stopped pool left behind") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    {
      WorkerPool pool(make_clock(1));
      std::atomic<bool> begun{false};
      pool.submit(Lane::light, [&begun, to = ends[1]] {
        begun = true;
        std::this_thread::sleep_for(std::chrono::milliseconds(400));
        if (::write(to, "x", 1) != 1) ::_exit(3);
      });
      while (!begun) std::this_thread::yield();
    }  // after a tenth of a second
    std::exit(0);
  }
  ::close(ends[1]);
  char byte = 0;
  CHECK(::read(ends[0], &byte, 1) == 1);
  ::close(ends[0]);
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
}

TEST_CASE("threads that a burst took end when half a minute needs none of them") {
  const auto threads = [] {
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
      std::ifstream name(entry.path() / "comm");
      if (std::string text; std::getline(name, text) && text == "kling-worker") ++count;
    }
    return count;
  };
  const int others = threads();
  const auto clock = std::make_shared<test::JumpingClock>();
  WorkerPool pool(clock);
  REQUIRE(pool.start());
  Items items;
  for (int i = 0; i < 20; ++i) submit(pool, items, Lane::light, true);
  CHECK(comes([&] { return threads() >= others + 20; }));
  for (const auto& item : items) item->held = false;
  std::atomic<int> looks{0};
  std::function<void()> look = [&] {
    if (++looks < 500) pool.submit_at(clock->now() + 1'000, Lane::light, look);
  };
  pool.submit_at(clock->now() + 1'000, Lane::light, look);
  CHECK(comes([&] { return looks >= 500; }));
  CHECK(comes([&] { return threads() <= others + 4; }));
  // What comes then is done as before.
  items.clear();
  for (int i = 0; i < 20; ++i) submit(pool, items, Lane::light, true);
  CHECK(
      comes([&] { return std::ranges::all_of(items, [](auto& item) { return !!item->begun; }); }));
  for (const auto& item : items) item->held = false;
  CHECK(comes([&] { return std::ranges::all_of(items, [](auto& item) { return !!item->done; }); }));
  pool.stop();
}
