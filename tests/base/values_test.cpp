#include <set>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"

using namespace kling;

TEST_CASE("every error kind has the name that scripts see") {
  const std::vector<std::string> names = {"invalid",     "auth",        "balance",   "policy",
                                          "rate_limit",  "network",     "timeout",   "server",
                                          "protocol",    "task_failed", "ambiguous", "budget",
                                          "interrupted", "media",       "ledger"};
  REQUIRE(names.size() == std::size_t(Kind::ledger) + 1);
  for (std::size_t i = 0; i < names.size(); ++i) CHECK(name(Kind(i)) == names[i]);
}

TEST_CASE("a result holds a value or an error") {
  Result<std::string> text = std::string("x");
  REQUIRE(text.ok());
  *text += "y";
  CHECK(text.value() == "xy");
  Error error;
  error.kind = Kind::budget;
  text = error;
  CHECK(!text);
  CHECK(text.error().kind == Kind::budget);
}

TEST_CASE("SHA 256 matches the published vectors") {
  CHECK(sha256_hex("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(sha256_hex("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  Sha256 digest;
  digest.update("a");
  Sha256 moved = std::move(digest);
  moved.update("");
  moved.update("bc");
  CHECK(moved.hex() == sha256_hex("abc"));
}

TEST_CASE("Base64 matches the vectors of RFC 4648 in both directions") {
  const std::vector<std::pair<std::string, std::string>> vectors = {{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, coded] : vectors) {
    CHECK(base64_encode(plain) == coded);
    CHECK(base64_size(plain.size()) == coded.size());
    std::string out;
    REQUIRE(base64_decode(coded, out));
    CHECK(out == plain);
  }
}

TEST_CASE("Base64 takes white space and missing padding and refuses the rest") {
  std::string out = "kept";
  REQUIRE(base64_decode(" Zm9v\r\nYg", out));
  CHECK(out == "foob");
  out = "kept";
  for (const std::string bad : {"Zm9v!", "Z", "=", "====", "Zm9v====", "Z===", "-_-_"}) {
    CAPTURE(bad);
    CHECK(!base64_decode(bad, out));
    CHECK(out == "kept");
  }
  std::string every;
  for (int i = 0; i < 256; ++i) every += char(i);
  REQUIRE(base64_decode(base64_encode(every), out));
  CHECK(out == every);
}

TEST_CASE("random hex has the asked length and does not repeat") {
  std::set<std::string> seen;
  for (int i = 0; i < 100; ++i) seen.insert(random_hex(8));
  CHECK(seen.size() == 100);
  CHECK(seen.begin()->size() == 16);
  CHECK(seen.begin()->find_first_not_of("0123456789abcdef") == std::string::npos);
}

TEST_CASE("a fast clock lets minutes pass in milliseconds") {
  const auto clock = make_clock(60'000, 1'000'000);
  CHECK(clock->now() >= 1'000'000);
  const Millis deadline = clock->now() + 600'000;
  const Millis left = clock->real_millis_until(deadline);
  CHECK(left <= 10);
  CHECK(clock->real_millis_until(0) == 0);
  CHECK(clock->real_millis_until(kNever) == kNever);
  std::mutex mutex;
  std::condition_variable wake;
  std::unique_lock lock(mutex);
  while (clock->now() < deadline) clock->wait_until(lock, wake, deadline);
  CHECK(clock->now() >= deadline);
}

TEST_CASE("a wait without end is ended by a notification") {
  const auto clock = make_clock();
  CHECK(clock->now() > 1'700'000'000'000);
  std::mutex mutex;
  std::condition_variable wake;
  bool woken = false;
  std::unique_lock lock(mutex);
  std::thread waker([&] {
    std::lock_guard guard(mutex);
    woken = true;
    wake.notify_all();
  });
  while (!woken) clock->wait_until(lock, wake, kNever);
  lock.unlock();
  waker.join();
  CHECK(woken);
}
