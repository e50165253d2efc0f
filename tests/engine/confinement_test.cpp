// Ways out of the roots and to other hosts, at the place where files and addresses are judged.
#include "engine/confinement.h"

#include <filesystem>
#include <fstream>

#include <doctest/doctest.h>

#include "base/temp_folder.h"

namespace kling::engine {
namespace {

namespace fs = std::filesystem;

/// A root with a file, beside a secret outside of it.
struct Folders {
  Folders() {
    fs::create_directories(all / "root/sub/.kling");
    for (const char* name : {"root/in.png", "root/sub/.kling/x.db", "secret.png", "root/l.db"})
      std::ofstream(all / name) << "x";
    confinement.on = true;
    confinement.roots = {all / "root"};
    confinement.ledger = all / "root/l.db";
  }
  bool reads(const std::string& path) const { return bool(readable(confinement, path)); }
  bool writes(const std::string& path) const { return bool(writable(confinement, path)); }
  bool neither(const std::string& path) const { return !reads(path) && !writes(path); }

  test::TempFolder all;
  Confinement confinement;
};

net::Origin origin(const std::string& url) { return net::parse_url(url)->origin; }

TEST_CASE("files: what lies below the root may be named in both ways") {
  const Folders folders;
  CHECK(folders.reads("in.png"));
  CHECK(folders.reads(folders.all / "root/in.png"));
  CHECK(folders.writes("new/deep/out.mp4"));
  CHECK(*writable(folders.confinement, "out.mp4") ==
        fs::canonical(folders.all / "root") / "out.mp4");
}

TEST_CASE("files: an absolute path elsewhere is refused") {
  const Folders folders;
  for (const char* path : {"/etc/passwd", "/", "", "/tmp/x"}) CHECK(folders.neither(path));
  CHECK(folders.neither(folders.all / "secret.png"));
  CHECK(folders.neither(folders.all / "root-of-another/x"));
}

TEST_CASE("files: two dots are refused wherever they lead") {
  const Folders folders;
  for (const char* path :
       {"../secret.png", "sub/../../secret.png", "sub/../in.png", "..", "new/../../secret.png"})
    CHECK(folders.neither(path));
}

TEST_CASE("files: links out of the root are refused for files and folders and when they dangle") {
  const Folders folders;
  fs::create_symlink(folders.all / "secret.png", folders.all / "root/link.png");
  fs::create_symlink(folders.all.path(), folders.all / "root/up");
  fs::create_symlink(folders.all / "not-there", folders.all / "root/dangling");
  for (const char* path : {"link.png", "up/secret.png", "up/new.png", "dangling"})
    CHECK(folders.neither(path));
}

TEST_CASE("files: links within the root may be used") {
  const Folders folders;
  fs::create_symlink(folders.all / "root/in.png", folders.all / "root/link.png");
  CHECK(folders.reads("link.png"));
}

TEST_CASE("files: what tells of processes and devices is refused even below a root") {
  Folders folders;
  folders.confinement.roots = {"/"};
  for (const char* path : {"/proc/self/environ", "/proc/1/cmdline", "/dev/null", "/sys/kernel/x"})
    CHECK(folders.neither(path));
}

TEST_CASE("files: the ledger and its folders are refused below a root") {
  const Folders folders;
  for (const char* path : {"l.db", "l.db-wal", "l.db.owners/x", "sub/.kling/x.db", ".kling/new"})
    CHECK(folders.neither(path));
}

TEST_CASE("files: a folder and a pipe are not read as files") {
  const Folders folders;
  CHECK_FALSE(folders.reads("sub"));
}

TEST_CASE("files: a zero byte does not cut a name") {
  const Folders folders;
  CHECK(folders.neither(std::string("in.png\0/../../x", 15)));
}

TEST_CASE("files: without a root no file may be named") {
  Folders folders;
  folders.confinement.roots.clear();
  CHECK(folders.neither("in.png"));
}

TEST_CASE("network: clips come from the service itself and public addresses only") {
  Confinement all{.on = true};
  const auto service = origin("https://api.example.com");
  CHECK(reach_allowed(all, service, service) == net::kAnywhere);
  CHECK(reach_allowed(all, origin("https://cdn.example.net"), service) == net::kPublic);
  CHECK(reach_allowed(all, origin("http://127.0.0.1:6379"), service) == net::kPublic);
}

TEST_CASE("network: with a list only what is listed is called") {
  Confinement some{.on = true, .hosts = {"cdn.example.net", "10.0.0.5:8080", "[::1]:81"}};
  const auto service = origin("https://api.example.com");
  CHECK(reach_allowed(some, origin("https://evil.example"), service) == 0);
  CHECK(reach_allowed(some, origin("https://cdn.example.net:8443"), service) == net::kPublic);
  CHECK(reach_allowed(some, origin("http://10.0.0.5:8080"), service) ==
        (net::kPublic | net::kPrivate));
  CHECK(reach_allowed(some, origin("http://[::1]:81"), service) == (net::kPublic | net::kLoopback));
}

TEST_CASE("network: other ports of a listed host and port are not called") {
  Confinement some{.on = true, .hosts = {"10.0.0.5:8080", "h.example:443"}};
  const auto service = origin("http://127.0.0.1:4000");
  for (const char* url : {"http://10.0.0.5:8081", "http://10.0.0.5", "https://h.example:444",
                          "http://127.0.0.1:4001"})
    CHECK(reach_allowed(some, origin(url), service) == 0);
}

TEST_CASE("network: a listed name that resolves to a private address is not called") {
  Confinement some{.on = true, .hosts = {"rebound.example"}};
  const auto service = origin("https://api.example.com");
  CHECK(reach_allowed(some, origin("https://rebound.example"), service) == net::kPublic);
  some.private_addresses = true;
  CHECK(reach_allowed(some, origin("https://rebound.example"), service) == net::kAnywhere);
}

}  // namespace
}  // namespace kling::engine
