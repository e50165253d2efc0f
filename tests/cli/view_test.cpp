// kling view and --board: a page of what was made. In a browser where there is one; what foreign
// pages may try, over raw sockets.
#include <cstdlib>
#include <filesystem>
#include <regex>

#include <arpa/inet.h>
#include <nlohmann/json.hpp>

#include "cli/browser.h"

using namespace kling;
using namespace kling::test;
using nlohmann::json;

namespace {

const std::string kStormFilm = R"(local kling = require "kling"
local one = kling.text2video { prompt = "</script><script>console.error('run')</script>\u{202e}x" ..
  ("long "):rep(480), name = "<b>one</b>" }:wait()
local two = kling.image2video { prompt = "two", image = one:last_frame(), name = "two" }:wait()
pcall(function() kling.text2video { prompt = "a bloodbath", name = "bad" }:wait() end)
kling.concat({ one, two }, "film.mp4")
)";

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

/// What the browser shows of a page in the end, and what it complained about.
Outcome browse(const Stage& stage, const std::string& address) {
  const std::vector<std::string> words = {
      "/usr/bin/chromium",
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--user-data-dir=" + stage.folder.path() + "/browser",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
      "--enable-logging=stderr",
      "--virtual-time-budget=5000",
      "--dump-dom",
      address};
  Outcome page = Child(words, stage.folder.path(), {}).wait();
  std::istringstream lines(page.err);
  page.err.clear();
  for (std::string line; std::getline(lines, line);)  // the rest is about the machine
    if (contains(line, "CONSOLE") || contains(line, "Page load")) page.err += line + "\n";
  return page;
}

/// A connection to the board, on which a request went out as it is.
int ask_board(int port, const std::string& request) {
  const int connection = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  REQUIRE(::connect(connection, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  REQUIRE(::send(connection, request.data(), request.size(), MSG_NOSIGNAL) > 0);
  return connection;
}

/// What comes until the words do, or until the end.
std::string read_until(int connection, const std::string& words) {
  std::string answer;
  char block[4096];
  for (ssize_t size = 0; (size = ::recv(connection, block, sizeof block, 0)) > 0;) {
    answer.append(block, std::size_t(size));
    if (contains(answer, words)) break;
  }
  return answer;
}

/// One request; the whole answer, of a stream the first event.
std::string converse(int port, const std::string& request) {
  const int connection = ask_board(port, request);
  const std::string answer = read_until(connection, "\n\n\r\n");
  ::close(connection);
  return answer;
}

/// The board's address, once the run has told so much.
std::string board_of(const Stage& stage, const Child& run, const std::string& words) {
  REQUIRE(stage.until([&](const auto&) { return contains(run.told(), words); }));
  const std::string told = run.told();
  std::smatch found;
  REQUIRE(std::regex_search(told, found, std::regex("http://127[^ \n]*/")));
  return found[0];
}

}  // namespace

TEST_CASE("the page of a film is a folder that holds all it shows, and nothing else") {
  if (std::system("command -v ffmpeg >/dev/null") != 0) {
    MESSAGE("skipped: no ffmpeg");
    return;
  }
  const Stage stage(kStormFilm);
  REQUIRE(stage.run().code == 0);
  const Outcome view = stage.run({"view", "-o", "page", "film.lua"});
  CAPTURE(view.err);
  CHECK(view.code == 0);
  CHECK(contains(view.out, "/page/index.html"));
  const json data = json::parse(stage.run({"view", "--json", "film.lua"}).out);
  REQUIRE(data["cards"].size() == 3);
  const json &one = data["cards"][0], &two = data["cards"][1];
  CHECK(one["name"] == "<b>one</b>");
  CHECK(one["from"].empty());
  CHECK(two["from"] == json{{{"what", "last frame"}, {"step", one["address"]}}});
  CHECK(data["cards"][2]["state"] == "failed");
  REQUIRE(data["films"].size() == 1);
  CHECK(data["films"][0]["name"] == "film.mp4");
  const std::string script = text_of(stage.folder / "page/data.js");
  CHECK_FALSE(contains(script, "<"));
  CHECK_FALSE(contains(script, stage.folder.path()));
  const json kept = json::parse(script.substr(13, script.rfind(';') - 13));
  for (const char* list : {"cards", "films"})
    for (const json& item : kept[list])
      if (item.value("state", "") != "failed")
        CHECK(std::filesystem::file_size(stage.folder /
                                         ("page/" + item["clip"].get<std::string>())) > 1000);
  for (const char* name : {"index.html", "view.css", "view.js", "data.js"})
    CHECK_FALSE(std::regex_search(text_of(stage.folder / (std::string("page/") + name)),
                                  std::regex("https?://|@import|url\\(|innerHTML| on[a-z]+=\"")));
  CHECK(stage.run({"view", "-o", "page", "film.lua"}).code == 0);  // once more into the same
  CHECK(json::parse(stage.run({"view", "--json", "--take", "none"}).out)["cards"].empty());

  const Outcome files =
      stage.run({"view", "--sheet", "shots.png", "--otio", "film.otio", "film.lua"});
  CAPTURE(files.err);
  CHECK(files.code == 0);
  CHECK(files.out == "shots.png\nfilm.otio\n");
  CHECK(text_of(stage.folder / "shots.png").starts_with("\x89PNG"));
  const json timeline = json::parse(text_of(stage.folder / "film.otio"));
  CHECK(timeline["OTIO_SCHEMA"] == "Timeline.1");
  CHECK(stage.service->counters().creates == 3);
  Stage elsewhere("");  // clips that are here are joined whatever service is set now
  elsewhere.environment.push_back("KLING_BASE_URL=https://api.invalid");
  CHECK(elsewhere.run({"view", "--ledger", stage.folder / ".kling/ledger.db", "--sheet", "all.png"})
            .out == "all.png\n");
  const Outcome none = stage.run({"view", "--sheet", "x.png", "--take", "none", "film.lua"});
  CHECK(none.code == 1);
  CHECK(contains(none.err, "no finished shot"));
  std::ofstream(stage.folder / "other.lua") << "";
  const Outcome other = stage.run({"view", "-o", "none", "other.lua"});
  CHECK(other.code == 1);
  CHECK(contains(other.err, "ledger.db has no shots of other.lua\n  do: kling jobs lists"));
  const Outcome rehearsed = stage.run({"view", "--sim", "-o", "none"});
  CHECK(rehearsed.code == 1);
  CHECK(contains(rehearsed.err, "there is no ledger at"));
  CHECK_FALSE(std::filesystem::exists(stage.folder / "none"));
}

TEST_CASE("a page has what its script asks for, whoever paid, and takes no file of others") {
  Stage stage("");
  for (const char* place : {"x", "y"}) {
    std::filesystem::create_directory(stage.folder / place);
    std::ofstream(stage.folder / (std::string(place) + "/film.lua"))
        << "local kling = require 'kling'\nkling.map({ 'hero', '" << place
        << "' }, function(name) return kling.text2video { prompt = name, name = name }:wait() end)";
    const Outcome run = stage.run({"run", "--ledger", "all.db", std::string(place) + "/film.lua"});
    CAPTURE(run.err);
    REQUIRE(run.code == 0);
  }
  CHECK(stage.service->counters().creates == 3);
  const auto names = [&](const std::string& script) {
    std::string found;
    const json data = json::parse(stage.run({"view", "--json", "--ledger", "all.db", script}).out);
    for (const json& card : data["cards"]) found += card["name"].get<std::string>() + " ";
    return found;
  };
  CHECK(names("x/film.lua") == "hero x ");
  CHECK(names("y/film.lua") == "hero y ");
  for (const char* name : {"data.js", "view.css", "index.html"}) {
    const std::string folder = std::string("own-") + name;
    std::filesystem::create_directory(stage.folder / folder);
    std::ofstream(stage.folder / (folder + "/" + name)) << "mine";
    const Outcome view = stage.run({"view", "--ledger", "all.db", "-o", folder, "x/film.lua"});
    CHECK(view.code == 1);
    CHECK(contains(view.err, name + std::string(" of another kind")));
    CHECK(text_of(stage.folder / (folder + "/" + name)) == "mine");
  }
  CHECK(stage.run({"view", "--ledger", "all.db", "-o", "page", "x/film.lua"}).code == 0);
  std::filesystem::remove(stage.folder / "page/index.html");  // the rest is still ours
  CHECK(stage.run({"view", "--ledger", "all.db", "-o", "page", "x/film.lua"}).code == 0);
}

TEST_CASE("a browser shows the page without a complaint, and hostile prompts are only text") {
  if (::access("/usr/bin/chromium", X_OK) != 0) {
    MESSAGE("skipped: no Chromium");
    return;
  }
  if (std::system("command -v ffmpeg >/dev/null") != 0) {
    MESSAGE("skipped: no ffmpeg");
    return;
  }
  const Stage stage(kStormFilm);
  REQUIRE(stage.run().code == 0);
  REQUIRE(stage.run({"view", "-o", "page", "film.lua"}).code == 0);
  const Outcome page = browse(stage, "file://" + stage.folder.path() + "/page/index.html");
  CAPTURE(page.err);
  REQUIRE(page.code == 0);
  CHECK_FALSE(contains(page.err, "CONSOLE"));
  CHECK(contains(page.out, "&lt;/script&gt;&lt;script&gt;console.error('run')"));
  CHECK(contains(page.out, "&lt;b&gt;one&lt;/b&gt;</h3>"));
  CHECK_FALSE(contains(page.out, "<b>"));
  for (const char* shown : {"aria-label=\"The film film.mp4\"", "aria-label=\"last frame of two\"",
                            "3 shots · 10 s · $", "1 failed", "last frame of &lt;b&gt;one",
                            "role=\"img\" aria-label=\"waited "})
    CHECK_MESSAGE(contains(page.out, shown), shown);
  CHECK(std::regex_search(page.out, std::regex("<video controls[^>]* src=\"clips/")));
}

TEST_CASE(
    "the board shows a run to who knows its address, takes a click, and gives others nothing") {
  const Stage stage(R"(local kling = require "kling"
local clip = kling.text2video { prompt = "A kite", name = "kite" }:wait()
print(kling.approve("Ship it?", { clip })))");
  const auto run = stage.start({"run", "--board", "film.lua"});
  std::smatch found;
  const std::regex address("http://127\\.0\\.0\\.1:([0-9]+)/([0-9a-f]{32})/");
  REQUIRE(stage.until([&](const auto&) { return contains(run->told(), "Ship it?"); }));
  const std::string told = run->told();
  REQUIRE(std::regex_search(told, found, address));
  const int port = std::stoi(found[1]);
  const std::string host = "127.0.0.1:" + found[1].str(), token = found[2];
  const auto ask = [&](const std::string& method, const std::string& target,
                       const std::string& name, const std::string& more = "",
                       const std::string& body = "") {
    return converse(port, method + " " + target + " HTTP/1.1\r\nHost: " + name +
                              "\r\nConnection: close\r\n" + more +
                              "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  };
  const std::string root = "/" + token + "/", ours = "Origin: http://" + host + "\r\n";
  const std::string yes = R"({"id":1,"choice":1})";

  // A foreign page, a name that was made to lead here, a guessed token, no token.
  const std::vector<std::string> nothing = {
      ask("GET", root, "evil.example:" + found[1].str()),
      ask("GET", root, "localhost:" + found[1].str()),
      ask("GET", root, host, "Host: evil.example\r\n"),
      ask("GET", root, host, "Origin: http://evil.example\r\n"),
      ask("GET", root, host, "Origin: null\r\n"),
      ask("GET", "/", host),
      ask("GET", "/" + std::string(32, '0') + "/", host),
      ask("GET", "/" + token.substr(0, 31) + "/", host),
      ask("GET", "/" + std::string(32, '0') + "/events", host),
      ask("GET", root + "../../film.lua", host),
      ask("GET", root + "clip/../../film.lua", host),
      ask("DELETE", root, host, ours),
      ask("POST", root + "answer", host, "", yes),
      ask("POST", root + "answer", host, "Origin: http://evil.example\r\n", yes),
      ask("POST", root + "answer", "evil.example", ours, yes),
      ask("POST", "/" + std::string(32, '0') + "/answer", host, ours, yes)};
  for (std::size_t i = 0; i < nothing.size(); ++i) {
    CAPTURE(i);
    CHECK(nothing[i].starts_with("HTTP/1.1 404"));
    CHECK(contains(nothing[i], "\r\n\r\n") == nothing[i].ends_with("\r\n\r\n"));
    CHECK_FALSE(contains(nothing[i], "Access-Control"));
  }
  CHECK(contains(stage.run({"jobs", "answer"}).out, "Ship it?"));  // it still waits

  const std::string page = ask("GET", root, host);
  CHECK(page.starts_with("HTTP/1.1 200"));
  CHECK(contains(page, "default-src 'none'; script-src 'nonce-"));
  CHECK(contains(page, "X-Frame-Options: DENY"));
  CHECK_FALSE(contains(page, "data.js"));
  const std::string event = ask("GET", root + "events", host);
  CHECK(contains(event, "text/event-stream"));
  const std::size_t from = event.find("data: ");
  REQUIRE(from != std::string::npos);
  const json data = json::parse(event.substr(from + 6, event.find("\n\n", from) - from - 6));
  REQUIRE(data["cards"].size() == 1);
  CHECK(data["cards"][0]["state"] == "succeeded");
  CHECK(data["questions"][0]["question"] == "Ship it?");
  const std::string clip = data["cards"][0]["clip"];
  const std::string part = ask("GET", root + clip, host, "Range: bytes=4-7\r\n");
  CHECK(part.starts_with("HTTP/1.1 206"));
  CHECK(part.ends_with("\r\n\r\nftyp"));
  const std::string whole = ask("GET", root + clip, host);
  CHECK(whole.substr(whole.find("\r\n\r\n") + 4) ==
        text_of(json::parse(stage.run({"jobs", "list", "--json"}).out)["path"]));

  // A browser has six connections to a server: a fourth page takes the place of the oldest.
  std::vector<int> pages;
  for (int i = 0; i < 4; ++i) {
    pages.push_back(
        ask_board(port, "GET " + root + "events HTTP/1.1\r\nHost: " + host + "\r\n\r\n"));
    CHECK_FALSE(contains(read_until(pages.back(), "data: {"), "elsewhere"));
  }
  CHECK(contains(read_until(pages.front(), "event: elsewhere"), "event: elsewhere"));
  for (const int open : pages) ::close(open);

  for (const char* wrong : {"[]", "{}", "{\"id\":1}", "{\"id\":\"1\",\"choice\":1}", "", "no"})
    CHECK(ask("POST", root + "answer", host, ours, wrong).starts_with("HTTP/1.1 400"));
  for (const char* wrong :
       {R"({"id":1,"choice":3})", R"({"id":1,"choice":0})", R"({"id":1,"choice":-1})",
        R"({"id":1,"choice":4294967297})", R"({"id":7,"choice":1})"})
    CHECK(ask("POST", root + "answer", host, ours, wrong).starts_with("HTTP/1.1 409"));
  CHECK(ask("POST", root + "answer", host, ours, yes).starts_with("HTTP/1.1 204"));
  const std::string late = ask("POST", root + "answer", host, ours, R"({"id":1,"choice":2})");
  CHECK(late.starts_with("HTTP/1.1 409"));
  CHECK(contains(late, "question 1 is answered already: yes"));
  const Outcome ended = run->wait();
  CHECK(ended.code == 0);
  CHECK(ended.out == "true\n");
  CHECK(stage.run().out == "true\n");
}

TEST_CASE("in a browser a double click, or one on what has just come, answers no other question") {
  if (!Browser::is_there()) {
    MESSAGE("skipped: no Chromium");
    return;
  }
  const Stage stage("require('kling').ask('Day or night?', { 'day', 'night', 'noon' })");
  CHECK(stage.run().code == 4);  // what is asked no more is not shown
  std::ofstream(stage.folder / "film.lua") << R"(local kling = require "kling"
print(kling.ask("Day or night?", { "day", "night" }))
print(kling.ask("Pay for ten more?", { "no", "yes" })))";
  const auto run = stage.start({"run", "--board", "film.lua"});
  Browser browser(stage);
  browser.open(board_of(stage, *run, "Day or night?"));
  REQUIRE(browser.shows("document.querySelector('.choices button')"));
  browser.settle();
  CHECK(browser.evaluate("document.querySelectorAll('.question').length") == 1);
  browser.click("document.querySelectorAll('.choices button')[1]", 2);
  REQUIRE(browser.shows("document.querySelectorAll('legend')[1]"));
  CHECK(browser.evaluate("document.querySelector('.question .state').textContent") ==
        "answered: night");
  browser.click("document.querySelectorAll('.question')[1].querySelectorAll('button')[1]");
  CHECK(browser.evaluate("document.querySelectorAll('.question .state')[1].textContent") ==
        "This has just come here. Press again.");
  CHECK(browser.shows("!document.querySelectorAll('.question')[1]"));  // the first has left
  CHECK(contains(stage.run({"jobs", "answer"}).out, "Pay for ten more?"));
  browser.settle();
  browser.click("document.querySelectorAll('.question button')[0]");
  CHECK(run->wait().out == "night\nno\n");
  CHECK(browser.complaints == "");
}

TEST_CASE("in a browser the board shows what happens, and answers by mouse and keyboard arrive") {
  if (!Browser::is_there()) {
    MESSAGE("skipped: no Chromium");
    return;
  }
  const Stage stage(R"(local kling = require "kling"
kling.text2video { prompt = "A <i>kite</i>", name = "kite" }:wait()
print(kling.ask("Day or night?", { "day", "night" }))
kling.text2video { prompt = "A crow", name = "crow" }:wait()
print(kling.approve("Ship it?", { kling.image("a.png") })))");
  std::ofstream(stage.folder / "a.png") << "\x89PNG";
  const auto run = stage.start({"run", "--board", "film.lua"});
  const std::string address = board_of(stage, *run, "Day or night?");
  Browser browser(stage);
  browser.open(address);
  REQUIRE(browser.shows("document.querySelector('legend')?.textContent === 'Day or night?'"));
  CHECK(browser.evaluate("document.querySelectorAll('article').length") == 1);
  CHECK(browser.evaluate("document.querySelectorAll('i').length") == 0);
  REQUIRE(browser.shows("document.querySelector('article video')?.videoWidth > 0"));
  browser.settle();
  browser.click("document.querySelectorAll('.choices button')[1]");
  REQUIRE(browser.shows("document.querySelectorAll('legend')[1]?.textContent === 'Ship it?'"));
  CHECK(browser.evaluate("document.querySelectorAll('article').length") == 2);  // it came by itself
  // From the top of the page, as who has no mouse goes there.
  browser.evaluate("document.body.focus()");
  for (int i = 0; i < 50 && browser.evaluate("document.activeElement.textContent") != "Yes"; ++i)
    browser.press("Tab", 9);
  CHECK(browser.evaluate("document.activeElement.textContent") == "Yes");
  CHECK(browser.complaints == "");
  browser.settle();
  browser.press("Enter", 13);
  const Outcome ended = run->wait();
  CHECK(ended.code == 0);
  CHECK(ended.out == "night\ntrue\n");
  CHECK(browser.shows("document.querySelector('#totals').textContent.includes('has ended')"));
  for (const std::string& url : browser.requests)  // and clips that the page has taken
    CHECK_MESSAGE((url.starts_with(address) || url.starts_with("blob:http://127.")), url);
}

TEST_CASE("in a browser the film plays after the run that made it has ended") {
  if (!Browser::is_there()) {
    MESSAGE("skipped: no Chromium");
    return;
  }
  if (std::system("command -v ffmpeg >/dev/null") != 0) {
    MESSAGE("skipped: no ffmpeg");
    return;
  }
  const Stage stage(R"(local kling = require "kling"
local one = kling.text2video { prompt = "A kite" }:wait()
while not io.open("go") do kling.sleep(0.02) end
kling.concat({ one, one }, "film.mp4")
error("out of <b>film</b>"))");
  const auto run = stage.start({"run", "--board", "film.lua"});
  Browser browser(stage);
  browser.open(board_of(stage, *run, "board: http"));
  REQUIRE(browser.shows("document.querySelector('article video')?.videoWidth > 0"));
  std::ofstream(stage.folder / "go") << "now";
  const Outcome ended = run->wait();
  CHECK(ended.code == 1);
  CHECK(browser.shows(
      "document.querySelector('#failures li').textContent === 'film.lua:5: out of <b>film</b>'"));
  CHECK(contains(ended.err, "see it again with: kling view --open film.lua\n"));
  CHECK(browser.shows("document.querySelector('#films video')?.videoWidth > 0"));
  CHECK(browser.shows("document.querySelector('article video')?.videoWidth > 0"));
  for (const char* video : {"#films video", "article video"})
    CHECK(browser.evaluate(std::string("(() => { const video = document.querySelector('") + video +
                           "'); video.muted = true;"
                           " return video.play().then(() => 'plays', String); })()") == "plays");
  CHECK(
      browser.shows("document.querySelector('#totals').textContent.endsWith("
                    "'see it again with: kling view --open film.lua')"));
  CHECK(browser.complaints == "");
}

TEST_CASE(
    "in a browser shots of equal words follow what each was made from, and a film is the newest") {
  if (!Browser::is_there() || std::system("command -v ffmpeg >/dev/null") != 0) {
    MESSAGE("skipped: no Chromium or no ffmpeg");
    return;
  }
  const Stage stage(R"(local kling = require "kling"
local one = kling.text2video { prompt = "Dusk", name = "dusk" }:wait()
local two = kling.text2video { prompt = "Gulls", name = "gulls" }:wait()
kling.image2video { image = one:last_frame(), prompt = "Back", name = "a" }:wait()
local b = kling.image2video { image = two:last_frame(), prompt = "Back", name = "b" }:wait()
kling.image2video { image = b:last_frame(), prompt = "Back", name = "c" }:wait()
kling.concat({ one }, "film.mp4")
kling.ask("Longer?", { "no", "yes" })
kling.concat({ one, two }, "film.mp4")
kling.approve("This film?", { b }))");
  const auto run = stage.start({"run", "--board", "film.lua"});
  Browser browser(stage);
  browser.open(board_of(stage, *run, "board: http"));
  REQUIRE(browser.shows("document.querySelectorAll('article').length === 5"));
  const std::string before =
      "(name) => [...document.querySelectorAll('h3')].find((title) => title.textContent === name)"
      ".closest('ol').closest('li')?.querySelector('h3').textContent";
  CHECK(browser.evaluate("['a', 'b', 'c', 'dusk'].map(" + before + ")") ==
        json({"dusk", "gulls", "b", nullptr}));
  REQUIRE(browser.shows("document.querySelector('#films video')?.duration > 0"));
  const double first = browser.evaluate("document.querySelector('#films video').duration");
  CHECK(stage.run({"jobs", "answer", "1", "yes"}).code == 0);
  CHECK(browser.shows("document.querySelector('#films video')?.duration > 1.5 * " +
                      std::to_string(first)));
  CHECK(browser.evaluate("document.querySelectorAll('#films video').length") == 1);
}

TEST_CASE("a run with a board waits at its end for a page that is on its way until Ctrl-C") {
  Stage stage("print(1)");
  std::ofstream(stage.folder / "xdg-open") << "#!/bin/sh\n[ ! -e none ]\n";
  std::filesystem::permissions(stage.folder / "xdg-open", std::filesystem::perms::owner_all);
  stage.environment.push_back("PATH=" + stage.folder.path() + ":" + std::getenv("PATH"));
  const auto run = stage.start({"run", "--board", "--open", "film.lua"});
  REQUIRE(stage.until([&](const auto&) { return contains(run->told(), "see it again"); }));
  std::smatch found;
  const std::string told = run->told();
  REQUIRE(std::regex_search(told, found, std::regex("127.0.0.1:([0-9]+)(/[^ \n]*/)")));
  CHECK(contains(converse(std::stoi(found[1]),
                          "GET " + found[2].str() +
                              "events HTTP/1.1\r\nHost: 127.0.0.1:" + found[1].str() + "\r\n\r\n"),
                 "\"ended\":true"));
  CHECK(run->wait().code == 0);

  CHECK(stage.run({"run", "--board", "film.lua"}).code == 0);  // nobody looks
  std::ofstream(stage.folder / "none") << "";
  CHECK(contains(stage.run({"run", "--board", "--open", "film.lua"}).err, "no browser"));

  std::filesystem::remove(stage.folder / "none");
  const auto left = stage.start({"run", "--board", "--open", "film.lua"});
  REQUIRE(stage.until([&](const auto&) { return contains(left->told(), "see it again"); }));
  left->signal(SIGINT);
  CHECK(left->wait().code == 0);
}

// The texts that stand out from what is behind them by less than 4.5 : 1 (WCAG 2, AA), with that.
constexpr char kFaintTexts[] = R"js((() => {
  const rgba = (text) => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1]; };
  const over = (top, below, part) => below.map((c, i) => c + (top[i] - c) * top[3] * part).slice(0, 3);
  const light = (c) => c.map((v) => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
  const behind = (node) => {
    if (!node) return [255, 255, 255];
    const style = getComputedStyle(node);
    return over(rgba(style.backgroundColor), behind(node.parentElement), Number(style.opacity));
  };
  const seen = (node) => node ? seen(node.parentElement) * getComputedStyle(node).opacity : 1;
  const faint = new Set();
  for (const node of document.querySelectorAll('body *')) {
    if (![...node.childNodes].some((n) => n.nodeType === 3 && n.data.trim())) continue;
    if (!node.checkVisibility() || node.closest('.skip')) continue;
    const ground = behind(node);
    const [a, b] = [light(over(rgba(getComputedStyle(node).color), ground, seen(node))), light(ground)];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) faint.add(`${node.tagName} ${node.className} ${ratio.toFixed(2)}`);
  }
  return [...faint].join(", ");
})())js";

TEST_CASE("in a browser hundreds of shots load no video before they are near, also on a phone") {
  if (!Browser::is_there()) {
    MESSAGE("skipped: no Chromium");
    return;
  }
  const Stage stage("require('kling').text2video { prompt = 'A kite' }:wait()");
  REQUIRE(stage.run().code == 0);
  REQUIRE(stage.run({"view", "-o", "page"}).code == 0);
  const std::string script = text_of(stage.folder / "page/data.js");
  json data = json::parse(script.substr(13, script.rfind(';') - 13));
  const json card = data["cards"][0];
  for (int i = 1; i < 500; ++i) {
    json& more = data["cards"].emplace_back(card);
    more["row"] = 1000 + i;
    more["address"] = std::to_string(i);
    more["superseded"] = i % 5 == 0;
    more["state"] = std::array{"succeeded", "failed", "running", "ambiguous"}[std::size_t(i) % 4];
    if (i % 4 == 1) more["error"] = {{"message", "the generation failed"}, {"kind", "task_failed"}};
    more["prompt"] = std::to_string(i) + std::string(2500, 'W');
  }
  std::ofstream(stage.folder / "page/data.js") << "const film = " << data << ";";
  Browser browser(stage);
  browser.open("file://" + stage.folder.path() + "/page/index.html", 390);
  REQUIRE(browser.shows("document.querySelectorAll('article').length === 500"));
  browser.evaluate("document.querySelector('article video').scrollIntoView()");
  CHECK(browser.shows("document.querySelector('article video').videoWidth > 0"));
  CHECK(browser.evaluate("document.querySelectorAll('video[src]').length") < 60);
  CHECK(browser.evaluate("document.documentElement.scrollWidth") <= 390);
  const json unnamed = browser.evaluate(
      "[...document.querySelectorAll('button, a, video')].filter((node) =>"
      " !(node.getAttribute('aria-label') || node.textContent).trim()).length");
  CHECK(unnamed == 0);
  const json frames = browser.evaluate(R"js(new Promise((done) => {
    const times = [];
    let last = performance.now(), top = 0;
    requestAnimationFrame(function step(now) {
      times.push(now - last);
      last = now;
      scrollTo(0, top += 150);
      if (times.length < 300) requestAnimationFrame(step);
      else done([...times].sort((a, b) => a - b).filter((_, i) => [150, 296, 299].includes(i)));
    });
  }))js");
  MESSAGE("ms of a frame while 500 cards scroll, median, 99 of 100, longest: " << frames.dump());
  for (const char* scheme : {"light", "dark"}) {
    browser.prefer(scheme);
    INFO(std::string(scheme));
    CHECK(browser.evaluate(kFaintTexts) == "");
  }
  CHECK(browser.complaints == "");
}
