// Every framing as the answer to the create, the queries or the download of a whole job, over real
// sockets: nothing is paid for twice, nothing that was paid for is lost, nothing is asked for ever.
#include "net/framings.h"

#include <atomic>
#include <csignal>
#include <map>
#include <regex>
#include <thread>

#include <sys/resource.h>

#include "engine/stage.h"

namespace kling::engine::testing {
namespace {

const std::string kTaskId = "861309198188019719";

/// A service of three answers, one of which comes framed as told, the first `times` times.
class FramedService {
 public:
  FramedService(const test::Framing& framing, std::string what, bool finds, int times = 3)
      : framing_(framing), what_(std::move(what)), finds_(finds), times_(times) {}

  std::string url() const { return server_.url(); }
  std::function<void(const std::string& external_id)> on_first_miss;  // of the wrong id
  int count(const std::string& what) {
    std::lock_guard lock(mutex_);
    return counts_[what];
  }

 private:
  void serve(Peer& peer) {
    for (std::string request; !(request = peer.read_request()).empty();) {
      const bool create = request.starts_with("POST ");
      const bool download = request.starts_with("GET /clip.mp4");
      const std::string what = create ? "create" : download ? "download" : "query";
      const std::string body = download ? test::film_of(20'000) : answer_to(request, create);
      int count = 0;
      {
        std::lock_guard lock(mutex_);
        count = ++counts_[what];
      }
      if (what == what_ && count <= times_) return test::play(peer, framing_.framing(body));
      const bool lost = what == "query" && (request.find("task_of_none") != request.npos ||
                                            (!finds_ && request.find(kTaskId) == request.npos));
      if (lost && on_first_miss) std::exchange(on_first_miss, nullptr)(external_id_);
      if (!peer.send(lost ? answer(R"({"code":1203,"message":"task not found"})", "", "404 No")
                          : test::sized(body)))
        return;
    }
  }

  std::string answer_to(const std::string& request, bool create) {
    Json data = {{"task_id", kTaskId}, {"task_status", create ? "submitted" : "succeed"}};
    if (create) {
      const Json sent = Json::parse(request.substr(request.find("\r\n\r\n") + 4));
      std::lock_guard lock(mutex_);
      external_id_ = sent["external_task_id"];
    } else {
      data["task_result"] = {
          {"videos", {{{"id", "1"}, {"url", url() + "/clip.mp4"}, {"duration", "5"}}}}};
    }
    std::lock_guard lock(mutex_);
    data["task_info"] = {{"external_task_id", external_id_}};
    return Json{{"code", 0}, {"message", "SUCCEED"}, {"data", data}}.dump();
  }

  const test::Framing& framing_;
  const std::string what_;
  const bool finds_;
  const int times_;
  std::mutex mutex_;
  std::map<std::string, int> counts_;
  std::string external_id_;
  RawServer server_{[this](Peer& peer, int) { serve(peer); }};  // ends first
};

struct FramedRun {
  TempFolder folder;
  std::shared_ptr<JumpingClock> clock = std::make_shared<JumpingClock>();
  std::shared_ptr<CompletionQueue> queue = std::make_shared<CompletionQueue>(clock);

  /// `plain`: by kling.request.
  JobSnapshot run(const std::string& url, bool plain = false) {
    EngineOptions options;
    options.base_url = url;
    options.service = "sim";
    options.key = "sk-test";
    options.ledger_path = folder / "ledger.db";
    options.queue = queue;
    auto engine = make_engine(options);
    REQUIRE(engine.ok());
    bool done = false;
    std::shared_ptr<Job> job;
    const auto watch = [&](std::shared_ptr<Job> made) {
      job = std::move(made);
      (*engine)->watch(job, plain ? Milestone::finished : Milestone::stored,
                       {job, [&] { done = true; }});
    };
    if (plain)
      (*engine)->post("/x", {{"prompt", "x"}}, Stage::from_main(),
                      [&](const Result<std::shared_ptr<Job>>& made) { watch(made.value()); });
    else
      watch(Stage::create(**engine, Stage::shot()));
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(3);
    while (!done && std::chrono::steady_clock::now() < end) {
      queue->drain();
      std::this_thread::sleep_for(std::chrono::microseconds(300));
    }
    CHECK_MESSAGE(done, "the job did not come to rest");
    return (*engine)->snapshot(job);
  }
};

void check_framing(const test::Framing& framing, const std::string& what, bool finds) {
  CAPTURE(framing.name);
  CAPTURE(what);
  CAPTURE(finds);
  FramedService service(framing, what, finds);
  FramedRun place;
  const JobSnapshot seen = place.run(service.url());
  const std::string reason = seen.error         ? seen.error->message
                             : seen.store_error ? seen.store_error->message
                                                : "";
  CAPTURE(reason);
  CHECK(service.count("create") == 1);
  CHECK(service.count("query") <= (finds ? 8 : 40));  // three minutes of looking
  CHECK(service.count("download") <= 4);
  // What names the task although its end is missing is enough.
  const bool lost =
      what == "create" && framing.fault != nullptr && !finds && seen.phase != Phase::stored;
  if (framing.fault == nullptr) CHECK(seen.phase == Phase::stored);
  if (lost) {
    CHECK(seen.phase == Phase::ambiguous);
    CHECK(reason.find(framing.fault) != reason.npos);
  } else if (seen.phase != Phase::stored) {  // what cannot be unpacked is no outage
    CHECK(seen.phase == Phase::succeeded);
    CHECK(reason.find(framing.fault) != reason.npos);
    for (int runs = 0; runs < 3 && service.count("download") <= 3; ++runs)
      CHECK(place.run(service.url()).error == nullptr);
    CHECK(place.run(service.url()).phase == Phase::stored);
  }
  CHECK(service.count("create") == 1);
}

struct Damage {
  const char* name;
  std::string (*framing)(const std::string& body);
};

std::string instead(std::string body, const std::string& what, const std::string& with) {
  return test::sized(body.replace(body.find(what), what.size(), with));
}

const Damage kDamages[] = {
    {"bytes that are no UTF-8 in another text",
     [](const std::string& b) { return instead(b, "SUCCEED", "\xb3\xc9\xb9\xa6"); }},
    {"a raw line break in another text",
     [](const std::string& b) { return instead(b, "SUCCEED", "done\r\n\tsoon"); }},
    {"a comment behind it", [](const std::string& b) { return test::sized(b + "\n<!-- 7 -->"); }},
    {"zeros behind it", [](const std::string& b) { return test::sized(b + std::string(9, '\0')); }},
    {"another value behind it", [](const std::string& b) { return test::sized(b + "{}"); }},
    {"a guard before it", [](const std::string& b) { return test::sized(")]}',\n" + b); }},
    {"as an event", [](const std::string& b) { return test::sized("data: " + b + "\n\n"); }},
    {"its last brace cut off",
     [](const std::string& b) { return test::sized(b.substr(0, b.size() - 1)); }},
    {"a comma too many",
     [](const std::string& b) { return instead(b, "},\"message", ",},\"message"); }},
    {"in UTF-16",
     [](const std::string& b) {
       std::string wide("\xff\xfe");
       for (const char c : b) wide += {c, '\0'};
       return test::sized(wide);
     }},
};

/// Answers that are whole HTTP, and odd. Each comes as often as it is asked for, or a few times.
struct Odd {
  const char* name;
  const char* what;
  std::string (*framing)(const std::string& body);
  Phase end;
  int queries;
  const char* reason = "";
  int times = 99;
  bool finds = true;  ///< the task by its external id
  int creates = 1;
};

/// A refusal whose body breaks off.
std::string cut(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: 500\r\n\r\n" + body;
}

std::string with_id(const std::string& body, const std::string& id) {
  return instead(body, "\"" + kTaskId + "\"", id);
}

/// The answer to a query with what it says of its task replaced: null takes it out.
std::string about(const std::string& body, const Json& data, const char* external_id) {
  Json changed = Json::parse(body);
  changed["data"].update(data);
  changed["data"]["task_info"] = Json::object();
  if (external_id != nullptr) changed["data"]["task_info"]["external_task_id"] = external_id;
  return test::sized(changed.dump());
}

const std::string kMoved = test::sized(
    "<html>", "Location: https://www.example.org/?token=secret\r\n", "HTTP/1.1 301 Moved\r\n");
const char* const kLeads = "<html>, and leads to https://www.example.org/";

const Odd kOdd[] = {
    {"a refusal by its status, cut off", "create",
     [](const std::string&) { return cut("413 Too Large", "{\"co"); }, Phase::failed, 0,
     "HTTP 413"},
    {"a key that is refused, cut off", "create",
     [](const std::string&) { return cut("401 No", "{\"co"); }, Phase::failed, 0, "HTTP 401"},
    {"an error without a name, cut off", "create",
     [](const std::string&) { return cut("400 No", "{\"co"); }, Phase::stored, 1},
    {"an error without a name, cut off and not looked up", "create",
     [](const std::string&) { return cut("400 No", "{\"co"); }, Phase::failed, 1,
     "HTTP 400 with something unexpected: {\"co (cut off: the connection to ", 99, false},
    {"an error with a name, cut off behind it", "create",
     [](const std::string&) { return cut("400 No", "{\"code\":1301,\"message\":\"no\",\"re"); },
     Phase::failed, 0, "the content was refused: no (HTTP 400, code 1301) (cut off", 99, false},
    {"an error with half a name, cut off", "create",
     [](const std::string&) { return cut("400 No", "{\"code\":130"); }, Phase::failed, 1,
     "(cut off", 99, false},
    {"a lost answer in a proxy's words, cut off behind them", "create",
     [](const std::string&) { return cut("400 No", "{\"message\":\"context canceled\","); },
     Phase::ambiguous, 14, "broke before the answer was whole", 99, false},
    {"too many requests, cut off", "create",
     [](const std::string&) { return cut("429 Many", "{\"co"); }, Phase::stored, 1, "", 1, false,
     2},
    {"a conflict, cut off", "create",
     [](const std::string&) { return cut("409 Conflict", "{\"co"); }, Phase::stored, 1},
    {"a redirect that tells of the task", "create",
     [](const std::string& b) {
       return test::sized(b, "Location: /login\r\n", "HTTP/1.1 302 Found\r\n");
     },
     Phase::stored, 1, "", 99, false},
    {"a redirect that tells of the task, cut off", "create",
     [](const std::string& b) { return cut("302 Found\r\nLocation: /login", b); }, Phase::stored, 1,
     "", 99, false},
    {"a redirect that names the task only", "create",
     [](const std::string& b) {
       Json body = Json::parse(b);
       body["data"].erase("task_status");
       return test::sized(body.dump(), "Location: /x\r\n", "HTTP/1.1 303 See Other\r\n");
     },
     Phase::stored, 1, "", 99, false},
    {"a redirect of the create", "create", [](const std::string&) { return kMoved; },
     Phase::ambiguous, 15, kLeads, 99, false},
    {"a redirect of the query", "query", [](const std::string&) { return kMoved; }, Phase::stored,
     3, "", 2},
    {"an id that has lost its digits", "create",
     [](const std::string& b) { return with_id(b, "8.613091981880197e17"); }, Phase::stored, 1},
    {"an id that is the word null", "create",
     [](const std::string& b) { return with_id(b, "\"null\""); }, Phase::stored, 1},
    {"an id that is the word undefined", "create",
     [](const std::string& b) { return with_id(b, "\" Undefined\""); }, Phase::stored, 1},
    {"an id that is zero", "create", [](const std::string& b) { return with_id(b, "0"); },
     Phase::stored, 1},
    {"an id that is the folder above", "create",
     [](const std::string& b) { return with_id(b, "\"..\""); }, Phase::stored, 1},
    {"an id that is half a letter", "create",
     [](const std::string& b) { return with_id(b, "\"\\ud800\""); }, Phase::stored, 1},
    {"an id that holds a broken byte", "create",
     [](const std::string& b) { return with_id(b, "\"8613\xff\""); }, Phase::stored, 1},
    {"an id that is a sentence", "create",
     [](const std::string& b) { return with_id(b, "\"please wait\""); }, Phase::stored, 1},
    {"an id that holds a slash", "create",
     [](const std::string& b) { return with_id(b, "\"N/A\""); }, Phase::stored, 1},
    {"an id that is a state", "create",
     [](const std::string& b) { return with_id(b, "\"SUCCESS\""); }, Phase::stored, 1},
    {"an id that the service does not know afterwards", "create",
     [](const std::string& b) { return with_id(b, "\"task_of_none\""); }, Phase::stored, 7},
    {"a number that JSON has no word for", "create",
     [](const std::string& b) {
       return instead(b, "{\"code\":0", "{\"request_id\": NaN, \"code\":0");
     },
     Phase::stored, 1, "", 99, false},
    {"an id that is none beside a row's number", "create",
     [](const std::string& b) { return with_id(b, "\"null\",\"id\":12"); }, Phase::stored, 1},
    {"a page before it", "create",
     [](const std::string& b) { return test::sized("<br />\n<b>Warning</b>: x\n" + b); },
     Phase::stored, 1},
    {"an id with blanks around it", "create",
     [](const std::string& b) { return with_id(b, "\" " + kTaskId + "\\n\""); }, Phase::stored, 1,
     "", 99, false},
    {"the failure of another task", "query",
     [](const std::string& b) {
       return about(b, {{"task_id", "7"}, {"task_status", "failed"}}, "another");
     },
     Phase::stored, 3, "", 2},
    {"the failure of another task without an external id", "query",
     [](const std::string& b) {
       return about(b, {{"task_id", "7"}, {"task_status", "failed"}}, nullptr);
     },
     Phase::stored, 3, "", 2},
    {"the clip of another task", "query",
     [](const std::string& b) {
       return about(b, {{"task_id", "7"}}, nullptr);
     },
     Phase::stored, 3, "", 2},
    {"the failure of our id under another external id", "query",
     [](const std::string& b) {
       return about(b, {{"task_status", "failed"}}, "another");
     },
     Phase::stored, 3, "", 2},
    {"no id at all", "query",
     [](const std::string& b) {
       return about(b, {{"task_id", nullptr}}, nullptr);
     },
     Phase::stored, 1},
    {"words instead of ids", "query",
     [](const std::string& b) {
       return about(b, {{"task_id", "null"}}, "undefined");
     },
     Phase::stored, 1},
    {"another id with our external id", "query",
     [](const std::string& b) { return with_id(b, "\"task_9\""); }, Phase::stored, 1},
    {"blanks around the status", "query",
     [](const std::string& b) { return instead(b, "\"succeed\"", "\" succeed\\t\\u0000\""); },
     Phase::stored, 1},
    {"an address that is none", "query",
     [](const std::string& b) { return instead(b, "\"http:", "\"oss:"); }, Phase::paused, 6,
     "gives no address for it: oss://127.0.0.1"},
    {"an address at the service itself", "query",
     [](const std::string& b) {
       return test::sized(std::regex_replace(b, std::regex("http://[^/\"]*"), ""));
     },
     Phase::stored, 1},
};

}  // namespace

TEST_CASE("an odd answer is read as what it is, and says what is odd") {
  for (const Odd& odd : kOdd) {
    CAPTURE(odd.name);
    const test::Framing framing{odd.name, odd.framing};
    FramedService service(framing, odd.what, odd.finds, odd.times);
    FramedRun place;
    const JobSnapshot seen = place.run(service.url());
    const std::string reason = seen.error ? seen.error->message : "";
    CHECK_MESSAGE(seen.phase == odd.end, name(seen.phase), ": ", reason);
    CHECK(service.count("create") == odd.creates);
    const bool unknown = std::string(odd.name).ends_with("does not know afterwards");
    CHECK(std::abs(service.count("query") - odd.queries) <= (unknown ? 3 : 0));
    CHECK_MESSAGE(reason.find(odd.reason) != reason.npos, reason);
    if (odd.end == Phase::stored) CHECK(seen.task_id == kTaskId);
  }
}

TEST_CASE("an accepted job whose id finds nothing is another task on a person's word only") {
  const test::Framing framing{"a wrong id",
                              [](const std::string& b) { return with_id(b, "\"task_of_none\""); }};
  FramedService service(framing, "create", false);
  FramedRun place;
  const JobSnapshot lost = place.run(service.url());
  REQUIRE(lost.phase == Phase::paused);
  EngineOptions options;
  options.base_url = service.url();
  options.service = "sim";
  options.key = "sk-test";
  options.ledger_path = place.folder / "ledger.db";
  const std::string handle = "kling:text2video/~" + lost.external_id;
  for (const char* none : {"123", " ", "\"\""})  // that give nothing up
    CHECK(!resolve(options, handle, none, false).ok());
  const Status adopted = resolve(options, handle, kTaskId, false);
  REQUIRE_MESSAGE(adopted.ok(), (adopted ? "" : adopted.error().message));
  const JobSnapshot found = place.run(service.url());
  CHECK(found.phase == Phase::stored);
  CHECK(found.task_id == kTaskId);
  CHECK(service.count("create") == 1);
}

TEST_CASE("a job that waits goes on as the task that a person names meanwhile") {
  const test::Framing framing{"a wrong id",
                              [](const std::string& b) { return with_id(b, "\"task_of_none\""); }};
  FramedService service(framing, "create", false);
  FramedRun place;
  EngineOptions options;
  options.base_url = service.url();
  options.service = "sim";
  options.key = "sk-test";
  options.ledger_path = place.folder / "ledger.db";
  bool told = false;
  service.on_first_miss = [&](const std::string& external_id) {
    told = resolve(options, "kling:text2video/~" + external_id, kTaskId, false).ok();
  };
  const JobSnapshot seen = place.run(service.url());
  CHECK(told);
  CHECK(seen.phase == Phase::stored);
  CHECK(seen.task_id == kTaskId);
  CHECK(service.count("create") == 1);
}

TEST_CASE("a service that has moved is told with its new address, and nothing is sent there") {
  RawServer server([](Peer& peer, int) {
    const std::string request = peer.read_request(),
                      target = request.substr(0, request.find(" HTTP"));
    peer.send(answer(
        "", "Location: https://www.example.org/v2" + target.substr(target.find('/')) + "\r\n",
        "308 Moved"));
  });
  FramedRun place;
  const JobSnapshot seen = place.run(server.url());
  CHECK(seen.phase == Phase::failed);
  REQUIRE(seen.error);
  CHECK(seen.error->message ==
        "the service answered HTTP 308 with an empty body, and leads to "
        "https://www.example.org/v2/kling/v1/videos/text2video");
  CHECK(seen.error->hint == "set the base URL (KLING_BASE_URL) to https://www.example.org/v2");
}

TEST_CASE("an acceptance that cannot be recorded names its task and how to adopt it") {
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  rlimit whole{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &whole) == 0);
  RawServer server([&](Peer& peer, int) {
    peer.read_request();
    const rlimit full{1, whole.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &full);
    peer.send(test::sized(R"({"code":0,"data":{"task_id":")" + kTaskId + "\"}}"));
  });
  for (const bool plain : {false, true}) {
    FramedRun place;
    const JobSnapshot seen = place.run(server.url(), plain);
    ::setrlimit(RLIMIT_FSIZE, &whole);
    CHECK(seen.phase == Phase::paused);
    REQUIRE(seen.error);
    const std::string says =
        plain ? "the request was carried out" : "the task " + kTaskId + " was accepted";
    CHECK_MESSAGE(seen.error->message.find(says + ", and the ledger") == 0, seen.error->message);
    const std::string& hint = seen.error->hint;
    CHECK_MESSAGE(hint.find(plain ? " --abandon" : " --adopt " + kTaskId) != hint.npos, hint);
    CHECK(hint.find("nothing was lost") == hint.npos);
  }
  std::signal(SIGXFSZ, old_handler);
}

TEST_CASE("an accepted task whose id can be read is never asked for again") {
  for (const Damage& damage : kDamages) {
    CAPTURE(damage.name);
    const test::Framing framing{damage.name, damage.framing};
    check_framing(framing, "create", false);
  }
}

TEST_CASE("no framing of any answer leads to a second create or to a lost clip") {
  struct Cell {
    const test::Framing* framing;
    const char* what;
    bool finds;
  };
  std::vector<Cell> cells;
  for (const test::Framing& framing : test::kFramings) {
    for (const char* what : {"create", "query", "download"})
      cells.push_back({&framing, what, true});
    cells.push_back({&framing, "create", false});
  }
  CHECK(cells.size() > 60 * 3);
  std::atomic<std::size_t> next{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i)
    threads.emplace_back([&] {
      for (std::size_t at = next++; at < cells.size(); at = next++) {
        try {
          check_framing(*cells[at].framing, cells[at].what, cells[at].finds);
        } catch (...) {  // doctest ends a case so; it has noted the failure
        }
      }
    });
  for (std::thread& thread : threads) thread.join();
}

}  // namespace kling::engine::testing
