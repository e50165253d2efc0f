// Every answer that the documents, proxies and captures show, and what it has to mean.
#include "api/decoder.h"

#include <random>
#include <sstream>

#include <doctest/doctest.h>

#include "api/text.h"

using namespace kling;
using namespace kling::api;

namespace {

enum Asked { create, query };

struct TaskCase {
  const char* source;
  Asked asked;
  int http;
  std::string body;
  const char* id;
  TaskState state;
  const char* url;  ///< of the clip; "" when there must be none
  bool warns = false;
};

const char* const kUrl = "https://v16-kling-fdl.klingai.com/a.mp4?cacheKey=1&ksSecret=2";
const std::string kVideos = R"({"videos":[{"id":"842250903708762200","url":")" + std::string(kUrl) +
                            R"(","watermark_url":"https://e.com/w.mp4","duration":"5.041"}]})";

std::string wrapped(const std::string& status, const std::string& inner,
                    const std::string& more = "") {
  return R"({"code":"success","message":"","data":{"task_id":"861309198188019719","platform":"kling",
    "action":"OMNI_VIDEO","status":")" +
         status + R"(","fail_reason":"","submit_time":1773380634,
    "start_time":1773380650,"finish_time":1773380760,"progress":"100%")" +
         more + R"(,"data":)" + inner + "}}";
}

std::string native(const std::string& status, const std::string& result = "{}") {
  return R"({"task_id":"861309198188019719","task_status":")" + status +
         R"(","task_info":{},"created_at":1773380633979,"updated_at":1773380758123,"task_result":)" +
         result + "}";
}

const std::vector<TaskCase>& task_cases() {
  constexpr auto queued = TaskState::queued;
  constexpr auto running = TaskState::running;
  constexpr auto succeeded = TaskState::succeeded;
  constexpr auto failed = TaskState::failed;
  static const std::string in_text =
      Json(R"({"code":0,"data":)" + native("succeed", kVideos) + "}").dump();
  static const std::vector<TaskCase> rows = {
      {"1.2 real create", create, 200,
       R"({"code":0,"message":"SUCCEED","data":{"task_id":"861309198188019719","task_status":"submitted","task_info":{},"created_at":1773380633979,"updated_at":1773380633979}})",
       "861309198188019719", queued, ""},
      {"1.2 id as a number", create, 200,
       R"({"code":0,"data":{"task_id":861309198188019719,"task_status":"submitted"}})",
       "861309198188019719", queued, ""},
      {"1.2 id beyond 64 bits", create, 200,
       R"({"code":0,"data":{"task_id":86130919818801971986130919,"task_status":"submitted"}})",
       "86130919818801971986130919", queued, ""},
      {"1.3 running", query, 200,
       R"({"code":0,"message":"SUCCEED","request_id":"9ab","data":{"task_id":"878106242831892487","task_info":{},"created_at":1777385361501,"updated_at":1777385363321,"task_result":{},"task_status":"processing"}})",
       "878106242831892487", running, ""},
      {"1.3 done", query, 200,
       R"({"code":0,"message":"SUCCEED","data":)" + native("succeed", kVideos) + "}",
       "861309198188019719", succeeded, kUrl},
      {"1.4 A", query, 200, wrapped("SUCCESS", native("succeed", kVideos)), "861309198188019719",
       succeeded, kUrl},
      {"1.4 B", query, 200,
       R"({"code":0,"message":"success","request_id":"878106484537192522","data":{"task_id":"878106484537192522","task_info":{},"created_at":1777385419126,"updated_at":1777385430317,"task_result":{},"task_status":"processing"}})",
       "878106484537192522", running, ""},
      {"1.6 callback body", query, 200,
       R"({"task_id":"7","task_status":"succeed","task_status_msg":"","created_at":1722769557708,"task_result":{"images":[],"videos":[{"id":"v","url":"https://e.com/a.mp4","duration":"5"}]}})",
       "7", succeeded, "https://e.com/a.mp4"},
      {"1.9 nulls", query, 200,
       R"({"code":0,"message":null,"request_id":null,"data":{"task_id":"7","task_status":"processing","task_status_msg":null,"task_info":{"external_task_id":null},"task_result":null,"created_at":null}})",
       "7", running, ""},
      {"3.2 oldest create", create, 200, R"({"task_id":"abc"})", "abc", queued, ""},
      {"3.2 native with an id on top", create, 200,
       R"({"task_id":"task_1","code":0,"data":{"task_id":"861","task_status":"submitted"}})",
       "task_1", queued, ""},
      {"3.2 OpenAI video", create, 200,
       R"({"id":"task_abc","object":"video","model":"kling-v1","status":"queued","progress":0,"created_at":1773380634})",
       "task_abc", queued, ""},
      {"3.3 own public id", query, 200,
       R"({"code":"success","data":{"id":123,"task_id":"task_0123","status":"IN_PROGRESS","progress":"30%","data":)" +
           native("processing") + "}}",
       "task_0123", running, ""},
      {"3.3 NOT_START", query, 200, wrapped("NOT_START", "null"), "861309198188019719", queued, ""},
      {"3.3 UNKNOWN", query, 200, wrapped("UNKNOWN", "{}"), "861309198188019719", running, ""},
      {"3.3 url in fail_reason", query, 200,
       R"({"code":"success","data":{"task_id":"7","status":"SUCCESS","fail_reason":"https://e.com/f.mp4?x=1","data":null}})",
       "7", succeeded, "https://e.com/f.mp4?x=1"},
      {"3.3 result_url", query, 200,
       wrapped("SUCCESS", "{}", R"(,"result_url":"https://e.com/r.mp4")"), "861309198188019719",
       succeeded, "https://e.com/r.mp4"},
      {"3.3 proxy ahead of its copy", query, 200,
       wrapped("SUCCESS", native("processing"), R"(,"result_url":"https://e.com/r.mp4")"),
       "861309198188019719", succeeded, "https://e.com/r.mp4", true},
      {"3.3 proxy ahead without address", query, 200, wrapped("SUCCESS", native("processing")),
       "861309198188019719", running, "", true},
      {"3.3 proxy behind", query, 200, wrapped("IN_PROGRESS", native("succeed", kVideos)),
       "861309198188019719", succeeded, kUrl, true},
      {"3.3 proxy gave up", query, 200, wrapped("FAILURE", native("processing")),
       "861309198188019719", running, "", true},
      {"3.3 proxy gave up though done", query, 200, wrapped("FAILURE", native("succeed", kVideos)),
       "861309198188019719", succeeded, kUrl, true},
      {"3.3 failed", query, 200, wrapped("FAILURE", native("failed")), "861309198188019719", failed,
       ""},
      {"3.3 failed without a copy", query, 200,
       R"({"code":"success","data":{"task_id":"7","status":"FAILURE","fail_reason":"任务超时（60分钟）","data":null}})",
       "7", failed, ""},
      {"3.4 three levels", query, 200,
       wrapped("SUCCESS", R"({"code":0,"data":)" + native("succeed", kVideos) + "}"),
       "861309198188019719", succeeded, kUrl},
      {"3.5 crazyrouter", query, 200,
       R"({"code":"success","message":"","data":{"error":null,"format":"mp4","metadata":null,"status":"succeeded","task_id":"t1","url":"https://e.com/c.mp4"}})",
       "t1", succeeded, "https://e.com/c.mp4"},
      {"3.5 crazyrouter failed", query, 200,
       R"({"code":"success","data":{"error":{"message":"bad picture","code":"task_failed"},"status":"failed","task_id":"t1","url":""}})",
       "t1", failed, ""},
      {"3.5 old ids", create, 200,
       R"({"code":0,"data":{"task_id":"CjMT7WdSwWcAAAAAALvB3g","task_status":"succeed","task_status_msg":""},"message":"SUCCEED","request_id":"CjNTkGdSwxYAAAAAALud5A"})",
       "CjMT7WdSwWcAAAAAALvB3g", succeeded, ""},
      {"4.10 list of one", query, 200, R"({"code":0,"data":[)" + native("succeed", kVideos) + "]}",
       "861309198188019719", succeeded, kUrl},
      {"4.11 new callback", query, 200,
       R"({"id":"913827032734642185","status":"succeeded","message":"","create_time":1785901861504,"external_id":"mine","outputs":[{"type":"image","url":"https://e.com/i.png"},{"type":"video","id":"v","url":"https://e.com/n.mp4","duration":"5"}]})",
       "913827032734642185", succeeded, "https://e.com/n.mp4"},
      {"4.12 test callback", query, 200, R"({"id":"9","status":"submitted","outputs":[]})", "9",
       queued, ""},
      {"4.14 new create", create, 200,
       R"({"code":0,"message":"","data":{"id":"913827032734642185","status":"submitted","create_time":1785901861504,"external_id":"mine"}})",
       "913827032734642185", queued, ""},
      {"4.14 new query", query, 200,
       R"({"code":0,"data":[{"id":"913","status":"succeeded","outputs":[{"type":"video","url":"https://e.com/n.mp4"}]}]})",
       "913", succeeded, "https://e.com/n.mp4"},
      {"10.4 own ids", create, 200,
       R"({"code":0,"message":"success","data":{"task_id":"1987654321098765432","task_status":"submitted"}})",
       "1987654321098765432", queued, ""},
      {"10.5 create already failed", create, 200, R"({"code":0,"data":)" + native("failed") + "}",
       "861309198188019719", failed, ""},
      {"10.5 create already done", create, 200,
       R"({"code":0,"data":)" + native("succeed", kVideos) + "}", "861309198188019719", succeeded,
       kUrl},
      {"10.5 create wrapped", create, 200, wrapped("IN_PROGRESS", "null"), "861309198188019719",
       running, ""},
      {"10.6 empty first entry", query, 200,
       R"({"code":0,"data":)" +
           native("succeed", R"({"videos":[{"id":"","url":""},{"url":"https://e.com/2.mp4"}]})") +
           "}",
       "861309198188019719", succeeded, "https://e.com/2.mp4"},
      {"10.6 address in a failed task", query, 200,
       R"({"code":"success","data":{"task_id":"7","status":"FAILURE","fail_reason":"https://e.com/x.mp4"}})",
       "7", failed, ""},
      {"10.6 echoed address while running", query, 200,
       R"({"code":"success","data":{"task_id":"7","status":"IN_PROGRESS","url":"https://e.com/x.mp4"}})",
       "7", running, ""},
      {"10.7 body as text", query, 200, in_text, "861309198188019719", succeeded, kUrl},
      {"10.7 data as text", query, 200,
       R"({"code":0,"data":)" + Json(native("succeed", kVideos)).dump() + "}", "861309198188019719",
       succeeded, kUrl},
      {"10.7 database key", query, 200,
       R"({"code":"success","data":{"id":4711,"task_id":"861","status":"SUBMITTED"}})", "861",
       queued, ""},
      {"10.7 status beside task_result", query, 200,
       R"({"code":0,"data":{"task_id":"7","status":"succeed","task_result":)" + kVideos + "}}", "7",
       succeeded, kUrl},
      {"10.7 done with error code 0", query, 200,
       R"({"id":"7","status":"completed","error":{"code":0},"metadata":{"url":"https://e.com/m.mp4"}})",
       "7", succeeded, "https://e.com/m.mp4"},
      {"10.7 images null", query, 200,
       R"({"code":0,"data":)" +
           native("succeed",
                  R"({"images":null,"videos":[{"id":"","url":"https://e.com/2.mp4"}]})") +
           "}",
       "861309198188019719", succeeded, "https://e.com/2.mp4"},
      {"10.8 code 1000 for success", query, 200,
       R"({"code":1000,"data":)" + native("processing") + "}", "861309198188019719", running, ""},
      {"10.8 code 1 with a failed task", query, 200,
       R"({"code":1,"data":)" + native("failed") + "}", "861309198188019719", failed, ""},
      {"10.8 400 still pending", query, 400,
       R"({"code":"pending","message":"wait","data":{"task_id":"7","task_status":"processing"}})",
       "7", running, ""},
      {"10.10 unknown word", query, 200, R"({"code":0,"data":)" + native("teleporting") + "}",
       "861309198188019719", running, "", true},
      {"10.10 unknown word of the proxy", query, 200, wrapped("ARCHIVED", "null"),
       "861309198188019719", running, "", true},
      {"done without an address", query, 200, R"({"code":0,"data":)" + native("succeed") + "}",
       "861309198188019719", succeeded, ""},
      {"an address that is none", query, 200,
       R"({"code":0,"data":)" + native("succeed", R"({"videos":[{"url":"file:///etc/passwd"}]})") +
           "}",
       "861309198188019719", succeeded, ""},
  };
  return rows;
}

struct RefusalCase {
  const char* source;
  Asked asked;
  int http;
  std::string body;
  Refusal refusal;
  Kind kind;
  const char* says;  ///< part of the message
};

const std::vector<RefusalCase>& refusal_cases() {
  constexpr auto definite = Refusal::definite;
  constexpr auto unnamed = Refusal::unnamed;
  constexpr auto lost = Refusal::unavailable;
  constexpr auto no_task = Refusal::no_such_task;
  constexpr auto later = Refusal::rate_limited;
  const auto code = [](int number, const char* message) {
    return Json::object({{"code", number}, {"message", message}, {"request_id", "r"}}).dump();
  };
  static const std::vector<RefusalCase> rows = {
      {"1.7", create, 400,
       R"j({"error":{"code":"","message":"model name is required (request id: 2026abc)","type":"comet_api_error"}})j",
       unnamed, Kind::invalid, "model name is required"},
      {"1.7", create, 500,
       R"({"error":{"message":"field messages is required","type":"comet_api_error","param":"","code":"invalid_request"}})",
       definite, Kind::invalid, "field messages"},
      {"1.7", create, 503,
       R"j({"error":{"code":"model_not_found","type":"comet_api_error","message":"no available channel for group default and model x (distributor)"}})j",
       definite, Kind::invalid, "no available channel"},
      {"1.7 429", create, 429, R"({"error":{"message":"slow"}})", later, Kind::rate_limit, "slow"},
      {"1.7 524", create, 524, "<html>timeout</html>", lost, Kind::protocol, "<html>"},
      {"1.7 401", query, 401, R"({"error":{"message":"invalid token","type":"comet_api_error"}})",
       definite, Kind::auth, "invalid token"},
      {"1.7 redirect", create, 301, "", definite, Kind::protocol, "HTTP 301"},
      {"1.7 redirect", query, 302, "", lost, Kind::protocol, "HTTP 302"},
      {"1.7 page", create, 200, "<!doctype html><title>Comet</title>", lost, Kind::protocol,
       "<!doctype html><title>Comet</title>"},
      {"1.7 page for a path", create, 404, "<html>not found</html>", definite, Kind::protocol,
       "404"},
      {"1.7 page is no word on a task", query, 404, "<html>not found</html>", lost, Kind::protocol,
       "404"},
      {"1.7 invalid url", query, 404, R"j({"error":{"message":"Invalid URL (GET /x)"}})j", definite,
       Kind::protocol, "Invalid URL"},
      {"3.2 task_failed", create, 400,
       R"({"code":"task_failed","message":"image can not be null","data":null})", unnamed,
       Kind::invalid, "image can not be null"},
      {"3.2 task_failed policy", create, 400,
       R"({"code":"task_failed","message":"Failure to pass the risk control system","data":null})",
       definite, Kind::policy, "risk control"},
      {"3.2 task_failed balance", create, 400,
       R"({"code":"task_failed","message":"Account balance not enough","data":null})", definite,
       Kind::balance, "balance"},
      {"3.2 task_failed busy", create, 400,
       R"({"code":"task_failed","message":"parallel task over resource pack limit","data":null})",
       later, Kind::rate_limit, "parallel"},
      {"3.2 prompt required", create, 400,
       R"({"code":"invalid_request","message":"prompt is required"})", definite, Kind::invalid,
       "prompt"},
      {"3.5 unknown id", query, 400,
       R"({"code":"task_not_exist","message":"task_not_exist","data":null})", no_task,
       Kind::invalid, "task_not_exist"},
      {"3.5 empty stored body", query, 200, R"({"code":"success","data":null})", no_task,
       Kind::invalid, "no such task"},
      {"3.5 Kling's JSON in the message", create, 429,
       R"({"code":"fail_to_fetch_task","message":"{\"code\":1102,\"message\":\"Account balance not enough\"}","data":null})",
       definite, Kind::balance, "code 1102"},
      {"3.5 Kling's JSON in the message", create, 400,
       R"({"code":"fail_to_fetch_task","message":"status 400, body: {\"code\":1201,\"message\":\"External_task_id a already exists\"}"})",
       Refusal::duplicate, Kind::invalid, "already exists"},
      {"3.5 upstream unreachable", create, 500,
       R"({"code":"do_request_failed","message":"请求上游地址失败"})", lost, Kind::server,
       "请求上游地址失败"},
      {"3.5 any 429", create, 429, R"({"message":"当前分组上游负载已饱和，请稍后再试"})", later,
       Kind::rate_limit, "429"},
      {"3.5 quota", create, 403, R"({"error":{"code":"insufficient_user_quota","message":"x"}})",
       definite, Kind::balance, "insufficient_user_quota"},
      {"4.13", create, 401, code(1000, "authentication failed"), definite, Kind::auth, "1000"},
      {"4.13", create, 401, R"({"code":1001,"message":"Authorization is empty"})", definite,
       Kind::auth, "1001"},
      {"4.13", create, 401, code(1002, "api key not found"), definite, Kind::auth, "1002"},
      {"4.13", create, 401, code(1003, "not yet valid"), Refusal::clock, Kind::auth, "1003"},
      {"4.13", create, 401, code(1004, "expired"), Refusal::clock, Kind::auth, "1004"},
      {"4.13", create, 429, code(1100, "account"), definite, Kind::balance, "1100"},
      {"4.13", create, 429, code(1101, "arrears"), definite, Kind::balance, "1101"},
      {"4.13", create, 429, code(1102, "Account balance not enough"), definite, Kind::balance,
       "1102"},
      {"4.13", create, 403, code(1103, "no permission"), definite, Kind::auth, "1103"},
      {"4.13", create, 400, code(1200, "parameters"), unnamed, Kind::invalid, "1200"},
      {"4.13", create, 400, code(1201, "duration value '99' is invalid"), unnamed, Kind::invalid,
       "'99'"},
      {"4.13", create, 404, code(1202, "method"), definite, Kind::protocol, "1202"},
      {"4.13", create, 404, code(1203, "model"), definite, Kind::invalid, "1203"},
      {"4.13", create, 400, code(1300, "policy"), definite, Kind::policy, "1300"},
      {"4.13", create, 400, code(1301, "content"), definite, Kind::policy, "1301"},
      {"4.13", create, 429, code(1302, "too fast"), later, Kind::rate_limit, "1302"},
      {"4.13", create, 429, code(1303, "parallel task over resource pack limit"), later,
       Kind::rate_limit, "1303"},
      {"4.13", create, 429, code(1304, "whitelist"), definite, Kind::auth, "1304"},
      {"4.13", create, 500, code(5000, "internal"), lost, Kind::server, "5000"},
      {"4.13", create, 503, code(5001, "maintenance"), lost, Kind::server, "5001"},
      {"4.13", create, 504, code(5002, "timeout"), lost, Kind::server, "5002"},
      {"4.13 error in a 200", create, 200, code(1303, "busy"), later, Kind::rate_limit, "1303"},
      {"4.13 code as text", create, 200, R"({"code":"1201","message":"bad","data":null})", unnamed,
       Kind::invalid, "bad"},
      {"4.14 nothing found", query, 200, R"({"code":0,"message":"","data":[]})", no_task,
       Kind::invalid, "no such task"},
      {"4.14", query, 400, code(1201, "task_ids or external_task_ids is required"), definite,
       Kind::invalid, "required"},
      {"10.1", query, 400, code(1201, "Task not found by id/external id: 7"), no_task,
       Kind::invalid, "Task not found"},
      {"10.1", create, 400, code(1201, "From video not found by id 7"), unnamed, Kind::invalid,
       "From video"},
      {"10.1 404", query, 404, R"({"message":"x"})", no_task, Kind::invalid, "404"},
      {"10.1 404 without a body", query, 404, "", no_task, Kind::invalid, "404"},
      {"10.2", create, 400, code(1201, "External_task_id abc already exists"), Refusal::duplicate,
       Kind::invalid, "already exists"},
      {"10.3", create, 401, code(1002, "The token was expected to have 3 parts, but got 0"),
       definite, Kind::auth, "3 parts"},
      {"10.8 inner code", create, 200,
       R"({"code":0,"data":{"code":1100,"message":"account exception"}})", definite, Kind::balance,
       "account exception"},
      {"10.8 500 for a bad picture", create, 500, code(1201, "image is broken"), unnamed,
       Kind::invalid, "broken"},
      {"10.8 500 without a code", create, 500, R"({"message":"bad image"})", lost, Kind::server,
       "bad image"},
      {"10.8 400 that means pending", query, 400, R"({"message":"still pending"})", lost,
       Kind::server, "pending"},
      {"status in the code of a 200", create, 200, R"({"code":503,"message":"busy"})", lost,
       Kind::server, "busy"},
      {"success without an id proves nothing", create, 200, "{}", lost, Kind::protocol, "{}"},
      {"success without an id proves nothing", create, 200,
       R"({"code":0,"message":"SUCCEED","data":{}})", lost, Kind::protocol, "SUCCEED"},
      {"success without an id proves nothing", create, 200,
       R"({"code":0,"data":{"task_status":"submitted"}})", lost, Kind::protocol, "unexpected"},
      {"nothing said", query, 200, R"({"code":0,"data":null})", lost, Kind::protocol, "unexpected"},
      {"empty", create, 200, "", lost, Kind::protocol, "empty body"},
      {"cut off", create, 200, R"({"code":0,"data":{"task_id":"861309)", lost, Kind::protocol,
       "861309"},
      {"garbage", create, 200, "\x01\xff\xfe\x1b[31m", lost, Kind::protocol, " ?? [31m"},
      {"bytes", create, 200, "\x1f\x8b\b\x01\xff\xfe\x03", lost, Kind::protocol,
       "unexpected: binary data"},
      {"refused with a comment behind it", create, 400,
       "{\"code\":1102,\"message\":\"\xb2\xbb\xd7\xe3\"}\n<!-- 7 -->", definite, Kind::balance,
       "code 1102"},
      {"an id within a page", create, 200,
       R"(<script>{"data":{"task_id":"861309","task_status":"submitted"}}</script>)", lost,
       Kind::protocol, "<script>"},
      {"an id cut off as a number", create, 200, R"({"code":0,"data":{"task_id":861309)", lost,
       Kind::protocol, "861309"},
      {"a state cut off", query, 200, R"({"code":0,"data":{"task_id":"1","task_status":"succeed")",
       lost, Kind::protocol, "succeed"},
      {"words around a refusal", create, 200, R"(oops: {"code":1102,"message":"no credit"})", lost,
       Kind::protocol, "oops"},
      {"unreadable 400", create, 400, "oops", unnamed, Kind::invalid, "oops"},
      {"a 4xx without a known reason", create, 400, R"({"code":9999,"message":"odd"})", unnamed,
       Kind::invalid, "odd"},
      {"a 4xx without a known reason", create, 422, R"({"detail":"no"})", unnamed, Kind::invalid,
       "HTTP 422"},
      {"a 4xx without a known reason", create, 418, "", unnamed, Kind::invalid, "418"},
      {"a status that says it alone", create, 402, "", definite, Kind::balance, "402"},
      {"a status that says it alone", create, 405, "<html>", definite, Kind::protocol, "405"},
      {"a status that says it alone", create, 407, "", definite, Kind::network, "407"},
      {"said on the way", create, 409, R"({"message":"conflict"})", lost, Kind::server, "conflict"},
      {"said on the way", create, 409, "", lost, Kind::protocol, "409"},
      {"said on the way", create, 425, R"({"code":"early"})", lost, Kind::server, "early"},
      {"said on the way", create, 499, R"({"message":"closed"})", lost, Kind::server, "closed"},
      {"said on the way", create, 409, code(1201, "external_task_id x already exists"),
       Refusal::duplicate, Kind::invalid, "already exists"},
      {"lost in words", create, 400, R"({"code":"task_failed","message":"context canceled"})", lost,
       Kind::server, "context canceled"},
      {"lost in words", create, 400, R"({"error":{"code":"bad_response_body","message":"x"}})",
       lost, Kind::server, "bad_response_body"},
      {"an unknown code in a 200", create, 200, R"({"code":7777,"message":"huh"})", lost,
       Kind::protocol, "huh"},
      {"an unknown code in a 200", create, 200, R"({"code":400,"message":"huh"})", lost,
       Kind::invalid, "huh"},
      {"an error in a 200", create, 200, R"({"error":"it broke"})", lost, Kind::protocol, "broke"},
      {"an unknown code in a 303", create, 303, R"({"code":"moved"})", lost, Kind::protocol,
       "moved"},
      {"unreadable 401", create, 401, "Unauthorized", definite, Kind::auth, "Unauthorized"},
      {"unreadable 429", create, 429, "Too Many", later, Kind::rate_limit, "Too Many"},
      {"too large", create, 413, "<html>", definite, Kind::invalid, "413"},
      {"request time-out", create, 408, "", lost, Kind::protocol, "408"},
  };
  return rows;
}

Answer decode(Asked asked, int http, std::string_view body) {
  return asked == create ? decode_create(http, body) : decode_query(http, body);
}

void check_sound(const Answer& answer) {
  CHECK(answer.task.has_value() == (answer.refusal == Refusal::none));
  if (answer.task && answer.task->state != TaskState::succeeded) CHECK(answer.task->videos.empty());
  if (!answer.task) CHECK(!answer.error.hint.empty());
}

}  // namespace

TEST_CASE("every dialect of a task is read") {
  for (const TaskCase& row : task_cases()) {
    CAPTURE(row.source);
    CAPTURE(row.body);
    const Answer answer = decode(row.asked, row.http, row.body);
    check_sound(answer);
    REQUIRE_MESSAGE(answer.task, answer.error.message);
    CHECK(answer.task->id == row.id);
    CHECK(answer.task->state == row.state);
    CHECK((answer.task->videos.empty() ? "" : answer.task->videos[0].url) == row.url);
    CHECK(answer.warnings.empty() == !row.warns);
  }
}

TEST_CASE("every refusal is told apart") {
  for (const RefusalCase& row : refusal_cases()) {
    CAPTURE(row.source);
    CAPTURE(row.http);
    CAPTURE(row.body);
    const Answer answer = decode(row.asked, row.http, row.body);
    check_sound(answer);
    CHECK(answer.refusal == row.refusal);
    CHECK(std::string(name(answer.error.kind)) == name(row.kind));
    CHECK_MESSAGE(answer.error.message.find(row.says) != std::string::npos, answer.error.message);
    CHECK(answer.error.http_status == row.http);
    const bool again = row.refusal == Refusal::rate_limited || row.refusal == Refusal::clock ||
                       (row.refusal == Refusal::unavailable && row.asked == query);
    CHECK(answer.error.retryable == again);
  }
}

TEST_CASE("the details of a task are kept") {
  const Answer answer = decode_query(200, R"({"code":0,"request_id":"r1","data":{
      "task_id":"7","task_status":"succeed","task_status_msg":"fine","task_info":{"external_task_id":"mine",
      "parent_video":{"url":"https://e.com/parent.mp4"}},"created_at":1773380633,"updated_at":1773380758123,
      "final_unit_deduction":1.5,"task_result":{"images":[{"index":0,"url":"https://e.com/i.png"}],
      "audios":[{"url_mp3":"https://e.com/a.mp3"}],"videos":[{"id":842250903708762200,
      "url":"https://e.com/a.mp4?k=1","watermark_url":"https://e.com/w.mp4","duration":5.1}]}}})");
  REQUIRE(answer.task);
  CHECK(answer.request_id == "r1");
  CHECK(answer.task->external_id == "mine");
  CHECK(answer.task->message == "fine");
  CHECK(answer.task->status_word == "succeed");
  CHECK(answer.task->created_at == 1773380633000);
  CHECK(answer.task->updated_at == 1773380758123);
  CHECK(*answer.task->cost_usd == doctest::Approx(0.21));
  CHECK(answer.task->others ==
        std::vector<std::string>{"https://e.com/i.png", "https://e.com/a.mp3"});
  CHECK(answer.task->videos[0].id == "842250903708762200");
  CHECK(answer.task->videos[0].duration == doctest::Approx(5.1));
  CHECK(answer.task->videos[0].watermark_url == "https://e.com/w.mp4");
}

TEST_CASE("the cost is read in every form") {
  const auto cost = [](const char* field) {
    const Answer answer = decode_query(
        200,
        std::string(R"({"code":0,"data":{"task_id":"7","task_status":"succeed",)") + field + "}}");
    return answer.task && answer.task->cost_usd ? *answer.task->cost_usd : -1;
  };
  CHECK(cost(R"("final_unit_deduction":"2.5")") == doctest::Approx(0.35));
  CHECK(cost(R"("final_balance_deduction":{"quota":"0.33","list_price":"0.35"})") ==
        doctest::Approx(0.33));
  CHECK(cost(R"("final_balance_deduction":0.5)") == doctest::Approx(0.5));
  CHECK(
      cost(
          R"("billing":[{"charge_type":"unit","amount":"1"},{"charge_type":"cash","amount":"1","currency":"USD"},{"charge_type":"cash","amount":"9","currency":"CNY"}])") ==
      doctest::Approx(1.14));
  CHECK(cost(R"("final_unit_deduction":null)") == -1);
  CHECK(cost(R"("final_unit_deduction":"")") == -1);
  CHECK(cost(R"("final_unit_deduction":" 2.5 ")") == doctest::Approx(0.35));
  for (const char* none : {"$0.2", "N/A", "-", "~1.5", "1,5", "NaN", "-1", "1e300"}) {
    CAPTURE(none);
    CHECK(cost(("\"final_unit_deduction\":\"" + std::string(none) + "\"").c_str()) == -1);
  }
}

TEST_CASE("times in seconds and a wrapper around them are read as milliseconds") {
  const Answer answer = decode_query(200, wrapped("IN_PROGRESS", "null"));
  REQUIRE(answer.task);
  CHECK(answer.task->created_at == 1773380634000);
  CHECK(answer.task->updated_at == 1773380760000);
}

TEST_CASE("the reason of a failure is kept without its secrets") {
  const Answer answer =
      decode_query(200, R"({"code":"success","data":{"task_id":"7","status":"FAILURE",
      "fail_reason":"cannot read https://e.com/a.png?sig=hidden with sk-abcdef123 \u001b[0m"}})");
  REQUIRE(answer.task);
  CHECK(answer.task->message == "cannot read https://e.com/a.png?… with [key]  [0m");
  const Answer refused = decode_create(
      401, R"j({"error":{"message":"Incorrect key sk-abcdef (request id: 2026xyz)"}})j");
  CHECK(refused.error.message ==
        "the key is not accepted: Incorrect key [key] (request id: 2026xyz) (HTTP 401)");
  CHECK(refused.request_id == "2026xyz");
  CHECK(refused.error.request_id == "2026xyz");
}

TEST_CASE("a signature is cut out however JSON writes the characters of its URL") {
  for (const char* url : {R"(https://h/a.mp4?Expires=1&Signature=secret)",
                          R"(https://h/a.mp4?Expires=1\u0026Signature=secret)",
                          R"(https:\/\/h\/a.mp4?Expires=1\u0026Signature=sec\/ret)"}) {
    const std::string shown = excerpt(R"({"url":")" + std::string(url) + R"(","id":"7"})", 999);
    CAPTURE(shown);
    CHECK(shown.find("Signature") == std::string::npos);
    CHECK(shown.find("ret") == std::string::npos);
    CHECK(parse_json(shown)["id"] == "7");
  }
  for (const char* path : {"//h/a.mp4?ksSecret=secret", "denied: /a.mp4?Signature=secret&Expires=1",
                           "ftp://h/a.mp4?ksSecret=secret"})
    CHECK_MESSAGE(excerpt(path, 999).find("secret") == std::string::npos, path);
  CHECK(excerpt("what? no = sign", 999) == "what? no = sign");
}

TEST_CASE("the first bytes of a page are kept and no more") {
  const Answer answer = decode_create(502, "<html>" + std::string(5000, 'x'));
  CHECK(answer.error.message.size() < 200);
  CHECK(answer.error.hint.find("base URL") != std::string::npos);
}

TEST_CASE("JSON is read without exceptions and without losing digits") {
  CHECK(parse_json("{\"a\":[1,2.5,\"x\",null,true]}").dump() == "{\"a\":[1,2.5,\"x\",null,true]}");
  CHECK(parse_json("9223372036854775807") == Json(std::int64_t{9223372036854775807}));
  CHECK(parse_json("99999999999999999999") == Json("99999999999999999999"));
  for (const char* bad : {"", "{", "nul", "{\"a\":}", "[1,]", "1e999", "\"\xff\"", "{} x"})
    CHECK_MESSAGE(parse_json(bad).is_discarded(), bad);
  const auto nested = [](std::size_t depth) {
    return parse_json(std::string(depth, '[') + std::string(depth, ']'));
  };
  CHECK(nested(64).is_array());
  CHECK(nested(65).is_discarded());
  CHECK(nested(1000000).is_discarded());
}

TEST_CASE("no damage to any sample crashes the decoder or makes up a clip") {
  std::mt19937 random(7);
  std::vector<std::string> samples;
  for (const TaskCase& row : task_cases()) samples.push_back(row.body);
  for (const RefusalCase& row : refusal_cases()) samples.push_back(row.body);
  for (const std::string& sample : samples) {
    for (std::size_t cut = 0; cut < sample.size(); cut += 5) {
      decode_create(200, sample.substr(0, cut));
      decode_query(200, sample.substr(0, cut));
    }
    for (int round = 0; round < 12 && !sample.empty(); ++round) {
      std::string damaged = sample;
      for (int flips = 0; flips < 3; ++flips)
        damaged[random() % damaged.size()] = static_cast<char>(random());
      for (const int http : {200, 400, 503}) {
        const Answer created = decode_create(http, damaged);
        const Answer queried = decode_query(http, damaged);
        for (const Answer* answer : {&created, &queried}) {
          if (answer->task.has_value() != (answer->refusal == Refusal::none)) FAIL(damaged);
          if (answer->task && answer->task->state != TaskState::succeeded &&
              !answer->task->videos.empty())
            FAIL(damaged);
        }
      }
    }
  }
}

TEST_CASE("any structure in the place of a value is survived") {
  for (const TaskCase& row : task_cases()) {
    const Json whole = parse_json(row.body);
    if (!whole.is_object()) continue;
    const Json flat = whole.flatten();
    for (const auto& [path, unused] : flat.items())
      for (const char* other :
           {"null", "{}", "[]", "[1]", "\"x\"", "-1", "1e300", "true", "[[{}]]"}) {
        Json changed = whole;
        changed[Json::json_pointer(path)] = parse_json(other);
        const Answer answer = decode(row.asked, row.http, changed.dump());
        if (answer.task.has_value() != (answer.refusal == Refusal::none)) FAIL(changed.dump());
      }
  }
}

TEST_CASE("an answer to a query is believed when it names the task that was asked for, or none") {
  const std::string ours = "kling-1a2b3c4d-0123456789abcdef-1";
  const struct {
    std::string id, external, asked, asked_external;
    bool believed;
  } rows[] = {
      {"8613", ours, "8613", ours, true},
      {"8613", "", "8613", ours, true},
      {"", "", "8613", ours, true},
      {"", ours, "8613", ours, true},
      {"8613", "their own", "8613", "", true},     // asked for by id alone
      {"task_9", ours, "8613", ours, true},        // its id is another one to the proxy
      {"8613", "u7-" + ours, "8613", ours, true},  // marked by a proxy
      {"8613", "my shot", "my shot", "", true},    // a bare external id
      {"8613", "", "my shot", "my shot", true},    // a handle of an external id
      {"7", "", "8613", ours, false},
      {"7", "", "8613", "", false},
      {"7", "another", "8613", ours, false},
      {"8613", "another", "8613", ours, false},
      {"8613", ours + "1", "8613", ours, false},  // the eleventh attempt is not the first
      {"", "another", "8613", ours, false},
      {"8613", "another", "8613", "r", false},  // a short id of the user's own
      {"8613", "another", "my shot", "my shot", false},
  };
  for (const auto& row : rows) {
    Task task;
    task.id = row.id;
    task.external_id = row.external;
    CAPTURE(row.id);
    CAPTURE(row.external);
    CHECK(is_that(task, row.asked, row.asked_external).ok() == row.believed);
  }
}

TEST_CASE("a code or words of the service count whatever the HTTP status is") {
  using enum Kind;
  const struct {
    const char* codes;
    const char* words;
    Kind kind;
    Refusal create, query;
  } rows[] = {
      {"bad_response_body bad_response read_response_body_failed do_request_failed", "x", server,
       Refusal::unavailable, Refusal::unavailable},
      {"7", "bad_response_body", server, Refusal::unavailable, Refusal::unavailable},
      {"7", "context canceled", server, Refusal::unavailable, Refusal::unavailable},
      {"7", "context deadline exceeded", server, Refusal::unavailable, Refusal::unavailable},
      {"7", "unexpected EOF", server, Refusal::unavailable, Refusal::unavailable},
      {"7", "it does already exist", invalid, Refusal::duplicate, Refusal::unavailable},
      {"7", "task not found", invalid, Refusal::unnamed, Refusal::no_such_task},
      {"7", "task_not_exist", invalid, Refusal::unnamed, Refusal::no_such_task},
      {"task_not_exist", "x", invalid, Refusal::unnamed, Refusal::no_such_task},
      {"1000 1001 1002 1103 1304", "x", auth, Refusal::definite, Refusal::definite},
      {"1003 1004", "x", auth, Refusal::clock, Refusal::clock},
      {"1100 1101 1102 insufficient_user_quota", "x", balance, Refusal::definite,
       Refusal::definite},
      {"1200 1201", "external_task_id is taken", invalid, Refusal::unnamed, Refusal::definite},
      {"1203 invalid_request model_not_found", "x", invalid, Refusal::definite, Refusal::definite},
      {"1202", "x", protocol, Refusal::definite, Refusal::definite},
      {"1300 1301", "x", policy, Refusal::definite, Refusal::definite},
      {"1302 1303", "x", rate_limit, Refusal::rate_limited, Refusal::rate_limited},
      {"5000 5001 5002", "x", server, Refusal::unavailable, Refusal::unavailable},
      {"task_failed", "risk control", policy, Refusal::definite, Refusal::unavailable},
      {"task_failed", "no balance", balance, Refusal::definite, Refusal::unavailable},
      {"task_failed", "resource pack limit", rate_limit, Refusal::rate_limited,
       Refusal::unavailable},
  };
  for (const auto& row : rows) {
    std::istringstream codes(row.codes);
    for (std::string code; codes >> code;) {
      const std::string body = Json{{"code", code}, {"message", row.words}}.dump();
      CAPTURE(body);
      const Answer created = decode_create(418, body), asked = decode_query(418, body);
      CHECK(created.refusal == row.create);
      CHECK(created.error.kind == row.kind);
      CHECK(asked.refusal == row.query);
      CHECK(asked.error.hint.find("not started") == std::string::npos);  // its task may run
    }
  }
  for (const int status : {204, 304}) {
    CHECK(decode_create(status, "{\"code\": 7}").refusal == Refusal::unavailable);
    CHECK(decode_query(status, "{\"code\": 7}").refusal == Refusal::unavailable);
  }
}

TEST_CASE("a status that stands in the code of a 200 counts as one, and no other number does") {
  const struct {
    int http;
    const char* code;
    Kind kind;
  } rows[] = {{200, "399", Kind::protocol}, {200, "400", Kind::invalid},  {200, "401", Kind::auth},
              {200, "599", Kind::server},   {200, "600", Kind::protocol}, {299, "401", Kind::auth},
              {199, "401", Kind::protocol}, {300, "401", Kind::protocol}};
  for (const auto& row : rows) {
    CAPTURE(row.http);
    CAPTURE(row.code);
    const Answer answer =
        decode_create(row.http, Json{{"code", row.code}, {"message", "x"}}.dump());
    CHECK(std::string(name(answer.error.kind)) == name(row.kind));
    CHECK(answer.error.code == row.code);
    CHECK(answer.error.http_status == row.http);
  }
  // Without a reason nothing is certain.
  CHECK(decode_create(200, R"({"code":400,"message":"x"})").refusal == Refusal::unavailable);
  CHECK(decode_create(400, R"({"code":400,"message":"x"})").refusal == Refusal::unnamed);
}

TEST_CASE("a hint says what to do about this answer to this request") {
  const struct {
    Asked asked;
    int http;
    const char* body;
    const char* hint;
  } rows[] = {
      {create, 400, R"({"code":1201,"message":"bad prompt"})", "correct the field"},
      {create, 400, R"({"code":1201})", "it gives no reason"},
      {create, 402, R"({"code":1102})", "top up the account; it was not started"},
      {query, 402, R"({"code":1102})", "top up the account"},
      {create, 503, R"({"code":5001,"message":"x"})", "whether it was accepted is unknown"},
      {query, 503, R"({"code":5001,"message":"x"})", "ask again later"},
      {query, 401, R"({"code":1000,"message":"x"})", "check the key"},
      {create, 413, "<html>", "make the pictures smaller"},
      {create, 400, "<html>", "it gives no reason"},
      {create, 502, "<html>", "check the base URL"},
      {query, 404, "<html>", "check the base URL"},
      {query, 404, "", "check the id and the kind"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.http);
    CAPTURE(row.body);
    const std::string hint = decode(row.asked, row.http, row.body).error.hint;
    CHECK_MESSAGE(hint.starts_with(row.hint), hint);
    if (row.asked == query) CHECK(hint.find("not started") == std::string::npos);
  }
}
