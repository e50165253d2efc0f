// Programs of others with a Lua 5.4 inside: each loads the module as its users would.
#include <netinet/in.h>
#include <sys/socket.h>

#include "cli/program.h"
#include "foreign/foreign.h"

using namespace kling;
using namespace kling::test;

namespace {

void write(const std::string& path, const std::string& text) { std::ofstream(path) << text; }

/// A path request to the web server that listens on the port of `descriptor`'s owner: its answer.
std::string ask(int port, const std::string& path) {
  const auto answer =
      run_process({"python3", "-c",
                   "import sys, urllib.request as u; print(u.urlopen('http://127.0.0.1:'"
                   " + sys.argv[1] + sys.argv[2], timeout=300).read().decode())",
                   std::to_string(port), path});
  return answer.ok() ? answer->output : "";
}

/// A port that was free a moment ago; a server that cannot listen on 0 needs one.
int free_port() {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  ::close(listener);
  return ntohs(address.sin_port);
}

}  // namespace

TEST_CASE("clingo generates a clip for an answer set") {
  NEEDS("clingo");
  const Stage stage("");
  write(stage.folder / "film.lp",
        "#script (lua)\n"
        "local kling = require 'kling'\n"
        "function state(prompt)\n"
        "  local job = kling.text2video { prompt = prompt.string }\n"
        "  return clingo.String(kling.query(job:accepted()).status ~= nil and job.kind or '?')\n"
        "end\n"
        "#end.\n"
        "clip(@state(\"a paper boat\")).\n");
  const Outcome outcome = foreign(stage, {"clingo", "film.lp"});
  CAPTURE(outcome.err);
  CHECK(contains(outcome.out, "clip(\"text2video\")"));
  CHECK(stage.service->counters().accepted == 1);
}

TEST_CASE("lighttpd serves others while a request of it generates a clip") {
  NEEDS("lighttpd");
  NEEDS("python3");
  sim::Options slow;
  slow.clock = make_clock(60);  // a generation takes a second or more
  slow.min_run = slow.max_run = 60'000;
  const Stage stage("", std::move(slow));
  const int port = free_port();
  write(stage.folder / "clip.lua",
        "local kling = require 'kling'\n"
        "local kept = package.loaded\n"  // each request has globals of its own
        "kept.job = kept.job or kling.text2video { prompt = 'a paper boat' }\n"
        "lighty.content = { kept.job.state .. '\\n' }\n"
        "return 200\n");
  write(stage.folder / "page.txt", "served\n");
  write(stage.folder / "lighttpd.conf",
        "server.document-root = \"" + stage.folder.path() +
            "\"\n"
            "server.bind = \"127.0.0.1\"\nserver.port = " +
            std::to_string(port) +
            "\n"
            "server.modules = (\"mod_magnet\")\n"
            "$HTTP[\"url\"] == \"/clip\" { magnet.attract-raw-url-to = (\"" +
            (stage.folder / "clip.lua") + "\") }\n");
  const auto server = start_foreign(stage, {"lighttpd", "-D", "-f", "lighttpd.conf"});
  std::string first;
  for (int i = 0; i < 200 && first.empty(); ++i) first = ask(port, "/clip");
  CHECK(first != "");
  CHECK(first != "succeeded\n\n");  // it answered before the clip was there
  int served = 0;
  std::string last;
  for (int i = 0; i < 80 && last != "succeeded\n\n"; ++i) {
    served += contains(ask(port, "/page.txt"), "served");
    last = ask(port, "/clip");
  }
  CHECK(served > 0);
  CHECK(last == "succeeded\n\n");
  CHECK(stage.service->counters().accepted == 1);
  server->signal(SIGTERM);
}

TEST_CASE("neomutt loads the module") {
  NEEDS("neomutt");
  const Stage stage("io.stderr:write(require('kling')._VERSION, '\\n')\n");
  write(stage.folder / "rc", "lua-source " + (stage.folder / "film.lua") + "\n");
  const Outcome outcome = foreign(stage, {"neomutt", "-n", "-F", "rc", "-Q", "folder"});
  CHECK(contains(outcome.err, "kling 0.1"));
}

TEST_CASE("gnuplot loads the module into a terminal of its own") {
  NEEDS("gnuplot");
  Stage stage("");
  write(stage.folder / "gnuplot-film.lua",
        "io.stderr:write(require('kling')._VERSION, '\\n')\nerror('seen', 0)\n");
  stage.environment.push_back("GNUPLOT_LUA_DIR=" + stage.folder.path());
  const Outcome outcome = foreign(stage, {"gnuplot", "-e", "set terminal lua film"});
  CHECK(contains(outcome.err, "kling 0.1"));
}

TEST_CASE("a loop of lua-luv drives the module") {
  NEEDS("lua5.4");
  const Stage stage(
      "local ok, uv = pcall(require, 'luv')\n"
      "if not ok then print('no luv') os.exit() end\n"
      "local kling = require 'kling'\n"
      "kling.pump()\n"
      "local watch = uv.new_poll(kling.fd())\n"
      "local ticks, ticker = 0, uv.new_timer()\n"
      "ticker:start(1, 1, function() ticks = ticks + 1 end)\n"
      "kling.spawn(function()\n"
      "  local job = kling.text2video { prompt = 'a paper boat' }:accepted()\n"
      "  kling.sleep(0.02)\n"
      "  print(job.kind, ticks > 5)\n"
      "  watch:stop() ticker:stop()\n"
      "end)\n"
      "watch:start('r', function() kling.pump(1000) end)\n"
      "print(pcall(kling.sleep, 1))\n"
      "uv.run()\n");
  const Outcome outcome = foreign(stage, {"lua5.4", "film.lua"});
  CAPTURE(outcome.err);
  if (contains(outcome.out, "no luv")) {
    MESSAGE("skipped: lua-luv is not installed");
    return;
  }
  CHECK(contains(outcome.out, "text2video\ttrue"));
  CHECK(contains(outcome.out, "start it with kling.spawn"));
}
