// The one way back from the workers.
#include "engine/completion_queue.h"

#include <new>
#include <vector>

#include <doctest/doctest.h>
#include <poll.h>

using namespace kling;
using namespace kling::engine;

namespace {

bool readable(CompletionQueue& queue) {
  pollfd wait{queue.fd(), POLLIN, 0};
  return ::poll(&wait, 1, 0) == 1;
}

}  // namespace

TEST_CASE("a completion that throws leaves the others for the next round") {
  CompletionQueue queue(make_clock());
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i)
    queue.post([&ran, i] {
      if (i == 1) throw std::bad_alloc();
      ran.push_back(i);
    });
  CHECK_THROWS_AS(queue.drain(), std::bad_alloc);
  CHECK(ran == std::vector{0});
  CHECK(readable(queue));
  CHECK(queue.drain() == 1);
  CHECK(ran == std::vector{0, 2});
  CHECK_FALSE(readable(queue));
}

TEST_CASE("what a completion posts waits for the next round and the descriptor says so") {
  CompletionQueue queue(make_clock());
  int ran = 0;
  queue.post([&] {
    ++ran;
    queue.post([&ran] { ++ran; });
  });
  CHECK(readable(queue));
  CHECK(queue.drain() == 1);
  CHECK(ran == 1);
  CHECK(readable(queue));
  CHECK(queue.drain() == 1);
  CHECK_FALSE(readable(queue));
  CHECK(queue.drain() == 0);
}

TEST_CASE("a round that is out of time runs one completion and keeps the rest") {
  CompletionQueue queue(make_clock());
  int ran = 0;
  for (int i = 0; i < 3; ++i) queue.post([&ran] { ++ran; });
  CHECK(queue.drain(CompletionQueue::TimePoint::min()) == 1);
  CHECK(readable(queue));
  CHECK(queue.drain() == 2);
  CHECK(ran == 3);
}
