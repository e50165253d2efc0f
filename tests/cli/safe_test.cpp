// kling run --profile safe: attempts on files, network, key and process, as a user would meet them.
#include <atomic>
#include <filesystem>

#include <linux/landlock.h>
#include <pty.h>
#include <sys/syscall.h>

#include "cli/program.h"
#include "net/raw_server.h"

using namespace kling;
using namespace kling::test;

namespace {

constexpr const char* kPreface = R"(local kling = require 'kling'
local function refused(what, f, ...)
  local ok, e = pcall(f, ...)
  assert(not ok, what .. ' went through')
  local text = tostring(e)
  assert(text:find('may not use the file') or text:find('for the host') or text:find('read%-only') or
         text:find('nil value') or text:find('not found'), what .. ': ' .. text)
end
)";

struct Safe : Stage {
  explicit Safe(const std::string& script) : Stage(kPreface + script) {
    std::filesystem::create_directories(folder / "root");
    std::ofstream(folder / "secret.png") << "\x89PNG\r\n\x1a\n";
  }
  Outcome run(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = {"run", "--profile", "safe", "--root", folder / "root"};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("film.lua");
    return Stage::run(words);
  }
  /// Starts a script that does not end.
  std::unique_ptr<Child> start_endless(std::vector<std::string> more) const {
    std::ofstream(folder / "film.lua")
        << "require 'kling'.log('info', 'it runs') while true do end";
    std::vector<std::string> words = {"run", "--profile", "safe", "--root", folder / "root"};
    words.insert(words.end(), more.begin(), more.end());
    words.emplace_back("film.lua");
    auto child = start(words);
    for (int i = 0; i < 40'000 && !contains(child->told(), "it runs"); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return child;
  }
  /// The process that runs the script of a child.
  static std::string inner(const Child& child) {
    const std::string pid = std::to_string(child.pid());
    std::string script;
    std::ifstream("/proc/" + pid + "/task/" + pid + "/children") >> script;
    REQUIRE(!script.empty());
    return script;
  }
  void passes() const {
    const Outcome outcome = run();
    INFO(outcome.err);
    CHECK(outcome.code == 0);
  }
};

}  // namespace

TEST_CASE("safe: a film is made and saved below the root and its wait does not count") {
  const Safe safe(R"(
    local clip = kling.text2video { prompt = 'x' }:wait()
    assert(clip:save('a/shot.mp4'):find('root.a.shot.mp4$'))
    kling.sleep(0.6)
    print('made', clip.path ~= nil)
  )");
  const Outcome outcome = safe.run({"--wall", "0.5"});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK(contains(outcome.out, "made\ttrue"));
  CHECK(std::filesystem::exists(safe.folder / "root/a/shot.mp4"));
}

TEST_CASE("safe: a loop is stopped by its instructions and by its seconds") {
  const Safe safe("while true do pcall(function() while true do end end) end");
  Outcome outcome = safe.run({"--instructions", "100000"});
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "film.lua:9: the script used up its 100000 instructions"));
  outcome = safe.run({"--wall", "0.2"});
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "ran longer than 0.2 seconds"));
}

TEST_CASE("safe: memory ends where it was said") {
  const Safe safe("local t = {} while true do t[#t + 1] = {} end");
  const Outcome outcome = safe.run({"--memory", "4000000"});
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "not enough memory"));
}

TEST_CASE("safe: a picture cannot be read from outside of the roots") {
  const Safe safe(R"(
    for _, path in ipairs { '/etc/passwd', '../secret.png', '/proc/self/environ',
                            '../film.lua' } do
      refused(path, kling.image2video, { prompt = 'x', image = path })
      refused(path, kling.image2video, { prompt = 'x', image = kling.image(path) })
      refused(path, kling.omni, { prompt = 'x', image_list = { path } })
      refused(path, function() return kling.image(path).path end)
    end
  )");
  std::filesystem::create_symlink(safe.folder / "secret.png", safe.folder / "root/link.png");
  safe.passes();
  CHECK(safe.service->counters().creates == 0);
}

TEST_CASE("safe: a picture behind a link out of the root is refused") {
  const Safe safe("refused('link', kling.image2video, { prompt = 'x', image = 'link.png' })");
  std::filesystem::create_symlink(safe.folder / "secret.png", safe.folder / "root/link.png");
  safe.passes();
}

TEST_CASE("safe: nothing is saved outside of the roots nor over the ledger") {
  const Safe safe(R"(
    local picture = kling.bytes('\x89PNG')
    for _, path in ipairs { '/tmp/kling-out.png', '../out.png', 'up/out.png', '../.kling/ledger.db',
                            '/dev/null', '../film.lua', '.kling/x' } do
      refused(path, picture.save, picture, path)
    end
  )");
  std::filesystem::create_symlink(safe.folder.path(), safe.folder / "root/up");
  safe.passes();
  CHECK_FALSE(std::filesystem::exists(safe.folder / "out.png"));
}

TEST_CASE("safe: concat and frames and sound name no file outside of the roots") {
  const Safe safe(R"(
    refused('part', kling.concat, { '../secret.mp4' }, 'out.mp4')
    local ok, e = pcall(kling.concat, { 'http://127.0.0.1:1/x.mp4' }, '../out.mp4')
    assert(not ok and tostring(e):find('an address and no path'), tostring(e))
    local clip = kling.text2video { prompt = 'x' }:wait()
    refused('out', kling.concat, { clip }, '/tmp/kling-out.mp4')
    refused('sound', kling.concat, { clip }, 'out.mp4', { audio = '/etc/passwd' })
    refused('still', function() return kling.still('/etc/passwd').path end)
    refused('frame', function() return kling.still('/etc/x.mp4', { at = 1 }).path end)
  )");
  safe.passes();
}

TEST_CASE("safe: a playlist by the name of a film is not followed") {
  const Safe safe(R"(
    for _, name in ipairs { 'list.mp4', 'concat.mp4', 'hls.mp4' } do
      local ok, e = pcall(kling.concat, { name }, 'out.mp4')
      assert(not ok and tostring(e):find('neither a picture nor a video'), tostring(e))
    end
  )");
  std::ofstream(safe.folder / "root/list.mp4") << "ffconcat version 1.0\nfile '/etc/passwd'\n";
  std::ofstream(safe.folder / "root/concat.mp4") << "ffconcat version 1.0\nfile 'http://x/'\n";
  std::ofstream(safe.folder / "root/hls.mp4")
      << "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
  safe.passes();
}

TEST_CASE("safe: names of protocols and options are only names of files") {
  const Safe safe(R"(
    for _, name in ipairs { 'concat:/etc/passwd|/etc/passwd.mp4', 'http://127.0.0.1:1/x.mp4',
                            '-i.mp4', 'subfile,,start,0,end,9,,:/etc/passwd.mp4', 'data:x.mp4' } do
      local ok, e = pcall(kling.concat, { name }, 'out.mp4')
      e = tostring(e)
      assert(not ok and (e:find('no such file') or e:find('an address and no path')), e)
    end
  )");
  safe.passes();
}

TEST_CASE("safe: neither io nor the loaders of files exist") {
  const Safe safe(R"(
    assert(io == nil and dofile == nil and loadfile == nil and os.execute == nil)
    assert(os.getenv == nil and os.remove == nil and os.exit == nil and package.loadlib == nil)
    for _, name in ipairs { 'io', 'ffi', 'socket', '../film', 'lfs' } do
      refused(name, require, name)
    end
    assert(require('tool') == 7)
  )");
  std::ofstream(safe.folder / "root/tool.lua") << "return 7";
  safe.passes();
}

TEST_CASE("safe: the key cannot be sent to another host nor be seen") {
  const Safe safe(R"(
    for _, option in ipairs { 'base_url', 'key', 'ledger', 'store', 'insecure' } do
      refused(option, kling.configure, { [option] = 'http://127.0.0.1:1' })
      refused(option, kling.client, { [option] = 'http://127.0.0.1:1' })
    end
    for _, target in ipairs { 'http://127.0.0.1:1/', '@evil.example/', '/\r\nHost: evil', ' ' } do
      local ok, e = pcall(kling.request, 'GET', target)
      assert(not ok and not tostring(e):find('sk%-test'), tostring(e))
    end
    local ok, e = pcall(kling.request, 'GET', '//evil.example/')
    print(e)
  )");
  const Outcome outcome = safe.run();
  INFO(outcome.err);
  CHECK(outcome.code == 0);
  CHECK_FALSE(contains(outcome.out + outcome.err, "sk-test"));
}

TEST_CASE("safe: clips from hosts that are not listed are not fetched") {
  const Safe safe("print(kling.text2video { prompt = 'x' }:wait():save('x.mp4'))");
  // The service's own address needs no leave; a list names what is allowed besides.
  const Outcome outcome = safe.run({"--allow-host", "cdn.example.net"});
  INFO(outcome.err);
  CHECK(outcome.code == 0);
}

TEST_CASE("safe: a slice that no hook can end is killed by the parent") {
  // No such attack is known: the child is stopped from outside, in the middle of its slice.
  const Safe safe("");
  const auto child = safe.start_endless({"--wall", "2"});
  ::kill(std::stoi(Safe::inner(*child)), SIGSTOP);
  const Outcome outcome = child->wait();
  CHECK(outcome.code == 1);
  CHECK(contains(outcome.err, "could only be killed"));
}

TEST_CASE("safe: the kernel limits memory and time and files and processes of the script") {
  const Safe safe("");
  const auto child = safe.start_endless({"--memory", "8000000", "--wall", "20"});
  const std::string place = "/proc/" + Safe::inner(*child);
  std::ostringstream status, limits;
  status << std::ifstream(place + "/status").rdbuf();
  limits << std::ifstream(place + "/limits").rdbuf();
  INFO(limits.str());
  CHECK(contains(status.str(), "NoNewPrivs:\t1"));
  const auto limit = [&](const std::string& name) {
    std::string line = limits.str().substr(limits.str().find(name) + name.size());
    return line.find_first_not_of(" u") == std::string::npos || line.starts_with("unlimited")
               ? -1
               : std::atoll(line.c_str());
  };
#ifndef __SANITIZE_ADDRESS__
  CHECK(limit("Max address space") == 8'000'000 + (4LL << 30));
#endif
  CHECK(limit("Max cpu time") == 3620);
  CHECK(limit("Max file size") == 4LL << 30);
  CHECK(limit("Max open files") == 1024);
  CHECK(limit("Max core file size") == 0);
  CHECK(limit("Max processes") > 4096);
  CHECK(limit("Max processes") < 100'000);
}

TEST_CASE("safe: what the engine itself would open outside of the roots the kernel refuses") {
  if (::syscall(SYS_landlock_create_ruleset, nullptr, 0, 1) < 1) return;  // no Landlock here
  const Safe safe("print(kling.text2video { prompt = 'x' }:accepted().id)");
  std::filesystem::create_directories(safe.folder / "ledger");
  std::filesystem::create_directories(safe.folder / "elsewhere");
  const std::string real = safe.folder / "elsewhere/real.db",
                    link = safe.folder / "ledger/ledger.db";
  CHECK(safe.Stage::run({"run", "--ledger", real, "film.lua"}).code == 0);
  std::filesystem::create_symlink(real, link);
  const Outcome refused = safe.run({"--ledger", link});
  INFO(refused.err);
  CHECK(refused.code == 1);
  CHECK(contains(refused.err, "ledger"));
  CHECK(safe.service->counters().creates == 1);
  CHECK(safe.Stage::run({"run", "--ledger", link, "film.lua"}).code == 0);  // as in full
}

TEST_CASE("safe: a script that is typed or comes through a pipe is confined as any other") {
  const Safe safe("");
  std::ofstream(safe.folder / "stdin") << "print(io, pcall(require('kling').image2video, { prompt "
                                          "= 'x', image = '../secret.png' }))";
  const std::vector<std::string> words = {
      "run", "--profile", "safe", "--root", safe.folder / "root", "--wall", "5", "-"};
  const Outcome piped = safe.Stage::run(words);
  INFO(piped.err);
  CHECK(piped.code == 0);
  CHECK(contains(piped.out, "nil\tfalse\tstdin:1: image2video: image: this script may not use"));

  // At a terminal, where a background process that reads is stopped.
  int terminal = -1;
  const pid_t typist = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (typist == 0) {
    if (::chdir(safe.folder.path().c_str()) != 0) ::_exit(126);
    std::vector<char*> argv = {const_cast<char*>(KLING_PROGRAM)};
    for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  const std::string text = "print(6 * 7, io)\n\x04";
  REQUIRE(::write(terminal, text.data(), text.size()) == ssize_t(text.size()));
  std::string shown;
  pollfd wait{terminal, POLLIN, 0};
  while (!contains(shown, "42\tnil") && ::poll(&wait, 1, 10'000) == 1) {
    char block[256];
    const ssize_t size = ::read(terminal, block, sizeof block);
    if (size <= 0) break;
    shown.append(block, std::size_t(size));
  }
  CHECK(contains(shown, "42\tnil"));
  ::kill(typist, SIGTERM);
  ::waitpid(typist, nullptr, 0);
  ::close(terminal);
}

TEST_CASE("safe: clips come from no private address but those that were allowed") {
  std::atomic<int> fetched = 0;
  RawServer inside([&](Peer& peer, int) {
    peer.read_request();
    ++fetched;
    peer.send(answer("no", "", "404 Not Found"));
  });
  std::string url;
  RawServer service([&](Peer& peer, int) {
    const std::string request = peer.read_request();
    if (contains(request, "GET /moved"))
      return void(peer.send(answer("", "Location: " + inside.url() + "/x.mp4\r\n", "302 Found")));
    peer.send(answer(R"({"code":0,"message":"ok","data":{"task_id":"1","task_status":"succeed",)"
                     R"("created_at":1,"updated_at":1,"task_result":{"videos":[{"id":"v","url":")" +
                         url + R"(","duration":"5"}]}}})",
                     "Content-Type: application/json\r\n"));
  });
  const Safe safe(R"(
    local clip = kling.text2video { prompt = 'x' }:wait()
    print(pcall(clip.save, clip, 'x.mp4')))");
  const std::vector<std::string> common = {"--base-url", service.url(), "--no-store", "--ledger",
                                           ":memory:"};
  const std::string port = std::to_string(inside.port());
  const auto fetches = [&](const std::string& address, const std::string& allowed) {
    url = address;
    fetched = 0;
    std::vector<std::string> words = common;
    if (!allowed.empty()) words.insert(words.end(), {"--allow-host", allowed});
    const Outcome outcome = safe.run(words);
    INFO(outcome.out << outcome.err);
    CHECK(outcome.code == 0);
    CHECK(contains(outcome.out, "false\t"));  // there is no clip in any case
    return fetched > 0;
  };
  CHECK_FALSE(fetches(inside.url() + "/x.mp4", ""));
  CHECK_FALSE(fetches(inside.url() + "/x.mp4", "cdn.example.net"));
  CHECK_FALSE(fetches(inside.url() + "/x.mp4", "127.0.0.1:1"));
  CHECK_FALSE(fetches("http://localhost:" + port + "/x.mp4", ""));  // a name for such an address
  CHECK_FALSE(fetches("http://localhost:" + port + "/x.mp4", "cdn.example.net"));
  CHECK_FALSE(fetches(service.url() + "/moved.mp4", ""));
  CHECK(fetches(inside.url() + "/x.mp4", "127.0.0.1:" + port));
  CHECK(fetches(service.url() + "/moved.mp4", "127.0.0.1:" + port));
}

TEST_CASE("safe: a module of the script is text below a root and nothing else") {
  const Safe safe(R"(
    assert(require('sub.tool') == 7 and require('sub') == 8)
    for _, name in ipairs { 'link', 'up.film', 'chunk', 'sub/../../film', '/etc/passwd', '.kling.x',
                            '..film', ('x'):rep(1e6) } do
      local ok, e = pcall(require, name)
      assert(not ok and not tostring(e):find('root:'), name .. ': ' .. tostring(e))
    end
  )");
  namespace fs = std::filesystem;
  fs::create_directories(safe.folder / "root/sub");
  std::ofstream(safe.folder / "root/sub/tool.lua") << "return 7";
  std::ofstream(safe.folder / "root/sub/init.lua") << "return 8";
  std::ofstream(safe.folder / "root/chunk.lua") << "\x1bLuaS";
  std::ofstream(safe.folder / "outside.lua") << "return 'outside'";
  fs::create_symlink(safe.folder / "outside.lua", safe.folder / "root/link.lua");
  fs::create_symlink(safe.folder.path(), safe.folder / "root/up");
  safe.passes();
}

TEST_CASE("safe: the commands of its page work") {
  const Safe safe("print(kling.text2video { prompt = 'x' }:wait():save('x.mp4'))");
  std::filesystem::create_directories(safe.folder / "clips");
  std::ifstream page(KLING_SOURCE_DIR "/docs/safe.md");
  int commands = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("kling run --sim")) continue;
    std::istringstream text(line.substr(6));
    std::vector<std::string> words;
    for (std::string word; text >> word;) words.push_back(word);
    words.insert(words.begin() + 1, {"--speed", "10000"});
    const Outcome outcome = safe.Stage::run(words);
    INFO(line << "\n" << outcome.err);
    CHECK(outcome.code == 0);
    ++commands;
  }
  CHECK(commands == 3);
}

TEST_CASE("safe: options that make no sense are a usage error") {
  const Safe safe("");
  CHECK(safe.Stage::run({"run", "--profile", "lax", "film.lua"}).code == 2);
  CHECK(safe.run({"--memory", "1"}).code == 2);
}
