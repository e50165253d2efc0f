#include "base/files.h"

#include <filesystem>
#include <thread>
#include <vector>

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/process.h"
#include "base/temp_folder.h"

using namespace kling;
using test::TempFolder;

namespace {

mode_t mode_of(const std::string& path) {
  struct stat info {};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  return info.st_mode & 07777;
}

}  // namespace

TEST_CASE("what was written is read back with every byte") {
  TempFolder folder;
  const std::string content("a\0b\r\n\xff", 6);
  REQUIRE(write_file(folder / "x", content).ok());
  CHECK(read_file(folder / "x", 6).value() == content);
  CHECK(folder.size() == 1);
}

TEST_CASE("a read stops at its cap and says so") {
  TempFolder folder;
  REQUIRE(write_file(folder / "x", std::string(1000, 'a')).ok());
  CHECK(read_file(folder / "x", 1000).ok());
  const auto result = read_file(folder / "x", 999);
  REQUIRE(!result);
  CHECK(result.error().kind == Kind::media);
  CHECK(result.error().message.find("larger than 999 bytes") != std::string::npos);
}

TEST_CASE("a read error names path and reason") {
  TempFolder folder;
  const auto missing = read_file(folder / "none.png", 10);
  REQUIRE(!missing);
  CHECK(missing.error().message == "no such file: " + folder / "none.png");
  CHECK(missing.error().hint == "check the path; relative ones start at the working folder");
  CHECK(read_file(folder.path(), 10).error().message.find("it is a folder") != std::string::npos);
  for (const std::string pasted : {"'ok.png'", "\"ok.png\"", "\"ok.png", " ok.png\n", "`ok.png`"})
    CHECK(no_such_file(pasted).hint == "leave out the quotes or blanks around it: ok.png");
  for (const std::string plain : {"", "ok.png", "it's.png", "''", " "})
    CHECK(no_such_file(plain).hint.starts_with("check the path"));
}

TEST_CASE("whoever has no descriptor left is told of the limit") {
  TempFolder folder;
  rlimit whole{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &whole) == 0);
  const rlimit none{0, whole.rlim_max};
  ::setrlimit(RLIMIT_NOFILE, &none);
  const auto read = read_file(folder / "x", 10);
  const auto written = write_file(folder / "x", "1");
  const auto locked = try_lock(folder / "x");
  const auto ran = run_process({"true"});
  ::setrlimit(RLIMIT_NOFILE, &whole);
  for (const Error& error : {read.error(), written.error(), locked.error(), ran.error()}) {
    CHECK(error.message.find("Too many open files") != std::string::npos);
    CHECK(error.hint.find("ulimit -n") != std::string::npos);
  }
}

TEST_CASE("a pipe without a writer is refused instead of waited for") {
  TempFolder folder;
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  CHECK(!read_file(folder / "pipe", 10));
}

TEST_CASE("a path with a zero byte names no file") {
  TempFolder folder;
  REQUIRE(write_file(folder / "x", "1").ok());
  const std::string path = folder / std::string("x\0.png", 6);
  CHECK(!read_file(path, 10));
  CHECK(!write_file(path, "2"));
  CHECK(!commit_file(folder / "x", path));
  CHECK(!try_lock(path));
  CHECK(read_file(folder / "x", 10).value() == "1");
}

TEST_CASE("the hash of a file is the hash of its content") {
  TempFolder folder;
  const std::string content(1'000'003, 'k');
  REQUIRE(write_file(folder / "x", content).ok());
  std::uint64_t size = 0;
  CHECK(hash_file(folder / "x", &size).value() == sha256_hex(content));
  CHECK(size == content.size());
  CHECK(!hash_file(folder / "none"));
}

TEST_CASE("a secret file is readable by its owner only") {
  TempFolder folder;
  const mode_t mask = ::umask(022);
  REQUIRE(write_file(folder / "open", "1").ok());
  REQUIRE(write_file(folder / "secret", "1", true).ok());
  ::umask(mask);
  CHECK(mode_of(folder / "open") == 0644);
  CHECK(mode_of(folder / "secret") == 0600);
}

TEST_CASE("a failed write leaves the old content and no rest") {
  TempFolder folder;
  CHECK(!write_file(folder / "missing/x", "1"));
  REQUIRE(make_folders(folder / "target/inside").ok());
  const auto onto_folder = write_file(folder / "target", "1");
  REQUIRE(!onto_folder);
  CHECK(onto_folder.error().message.find(folder / "target") != std::string::npos);
  CHECK(folder.size() == 1);
}

TEST_CASE("devices and pipes are not replaced by a file") {
  TempFolder folder;  // a pipe of our own: a real device would be lost if this failed
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  REQUIRE(write_file(folder / "x", "1").ok());
  CHECK(!write_file(folder / "pipe", "1"));
  CHECK(!copy_file(folder / "x", folder / "pipe"));
  CHECK(!commit_file(folder / "x", folder / "pipe"));
  CHECK(std::filesystem::is_fifo(folder / "pipe"));
  CHECK(folder.size() == 2);
}

TEST_CASE("a failed copy leaves the old content and no rest") {
  TempFolder folder;
  REQUIRE(write_file(folder / "old", "old").ok());
  CHECK(!copy_file(folder / "none", folder / "old"));
  CHECK(read_file(folder / "old", 10).value() == "old");
  CHECK(folder.size() == 1);
}

TEST_CASE("copy and commit replace the target") {
  TempFolder folder;
  REQUIRE(write_file(folder / "a", std::string(600'000, 'a')).ok());
  REQUIRE(write_file(folder / "b", "b").ok());
  REQUIRE(copy_file(folder / "a", folder / "b").ok());
  CHECK(hash_file(folder / "a").value() == hash_file(folder / "b").value());
  REQUIRE(write_file(folder / "c", "c").ok());
  REQUIRE(commit_file(folder / "c", folder / "a").ok());
  CHECK(read_file(folder / "a", 10).value() == "c");
  CHECK(folder.size() == 2);
}

TEST_CASE("names as long as the system allows can be written") {
  TempFolder folder;
  CHECK(write_file(folder / std::string(255, 'n'), "1").ok());
}

TEST_CASE("folders are made with those above and may exist") {
  TempFolder folder;
  CHECK(make_folders(folder / "a/b/c").ok());
  CHECK(make_folders(folder / "a/b/c").ok());
  CHECK(std::filesystem::is_directory(folder / "a/b/c"));
  REQUIRE(write_file(folder / "file", "1").ok());
  CHECK(!make_folders(folder / "file/x"));
}

TEST_CASE("writers at the same time never mix their content") {
  TempFolder folder;
  std::vector<std::thread> writers;
  for (char letter : {'a', 'b', 'c', 'd'})
    writers.emplace_back([&folder, letter] {
      for (int i = 0; i < 10; ++i)
        if (!write_file(folder / "x", std::string(50'000, letter))) std::abort();
    });
  for (std::thread& writer : writers) writer.join();
  const std::string content = read_file(folder / "x", 100'000).value();
  CHECK(content == std::string(50'000, content[0]));
  CHECK(folder.size() == 1);
}

TEST_CASE("a lock has one holder also inside one process") {
  TempFolder folder;
  auto first = try_lock(folder / "lock");
  REQUIRE(first.ok());
  REQUIRE(first.value());
  CHECK(mode_of(folder / "lock") == 0600);
  auto second = try_lock(folder / "lock");
  REQUIRE(second.ok());
  CHECK(!second.value());
  first.value() = {};
  CHECK(try_lock(folder / "lock").value());
  CHECK(!try_lock(folder / "none/lock"));
}

TEST_CASE("a forked child holds no lock of its parent and can take its own") {
  TempFolder folder;
  auto held = try_lock(folder / "lock");
  REQUIRE(held.value());
  int ready[2], over[2];
  REQUIRE(::pipe(ready) == 0);
  REQUIRE(::pipe(over) == 0);
  const pid_t child = ::fork();
  if (child == 0) {
    char byte = 0;
    const bool none = !held.value() && try_lock(folder / "own").value();
    if (::write(ready[1], "x", 1) != 1 || ::read(over[0], &byte, 1) != 1) ::_exit(2);
    ::_exit(none ? 0 : 1);
  }
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  CHECK_FALSE(try_lock(folder / "lock").value());
  held.value() = {};
  CHECK(try_lock(folder / "lock").value());  // though the child lives
  CHECK(::write(over[1], "x", 1) == 1);
  int status = 1;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(status == 0);
  for (const int end : {ready[0], ready[1], over[0], over[1]}) ::close(end);
}
