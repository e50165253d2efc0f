// Threads that outlive their pool.
#include "engine/worker_pool.h"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace kling;
using namespace kling::engine;

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
