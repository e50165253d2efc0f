// An engine without service: the test says when a job is accepted, finishes or fails. Owner's
// thread; completions go through the real queue.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/inside.h"

namespace kling::engine {

struct FakeJob : Job {
  JobSnapshot now;
  CreateRequest request;
};
inline FakeJob& fake(const std::shared_ptr<Job>& job) { return static_cast<FakeJob&>(*job); }

class FakeEngine : public Engine {
 public:
  explicit FakeEngine(EngineOptions chosen) : Engine(std::move(chosen), "fake", nullptr, nullptr) {}

  std::shared_ptr<Job> create(CreateRequest request, JobDone prepared) override {
    const auto job = std::make_shared<FakeJob>();
    const int number = static_cast<int>(made.size()) + 1;
    job->now.endpoint = request.request.endpoint;
    job->now.handle = "kling:" + job->now.endpoint + "/" + std::to_string(number);
    job->now.state = "running";
    job->now.phase = Phase::accepted;
    job->now.task_id = std::to_string(number);
    job->now.script = request.where;
    job->now.created_at = 1'700'000'000'000;
    job->request = std::move(request);
    made.push_back(job);
    const auto error = refuse;
    options.queue->post(
        [prepared, error, job] { error ? prepared(*error) : prepared(std::shared_ptr<Job>(job)); });
    if (finish_at_once) succeed(*job);
    return job;
  }
  void find(const std::string& handle, JobDone done, const std::shared_ptr<Ask>&) override {
    for (const auto& job : made)
      if (job->now.handle == handle)
        return options.queue->post([done, job] { done(std::shared_ptr<Job>(job)); });
    Error error;
    error.message = "no such job";
    options.queue->post([done, error] { done(error); });
  }
  void read(const std::shared_ptr<Job>& job, const ReadJob& reader) const override {
    reader(fake(job).now.view());
  }
  void watch(const std::shared_ptr<Job>& job, Milestone milestone, Watch watch) override {
    ++watches;
    if (has_reached(fake(job), milestone)) return options.queue->post(std::move(watch.tell));
    watch.milestone = static_cast<int>(milestone);
    add_watch(job->watches, std::move(watch));
  }
  void query(const QueryTarget& target, std::function<void(Result<QueryResult>)> done) override {
    queried = target;
    QueryResult result;
    result.task.id = "7";
    result.task.state = api::TaskState::succeeded;
    result.task.videos.push_back({"v", "https://h/v.mp4", "", 5});
    result.handle = "kling:text2video/7";
    result.raw = "{}";
    options.queue->post([done, result] { done(result); });
  }
  void notify(api::CallbackRequest request, TextDone) override {
    callbacks.push_back(std::move(request));
  }
  void post(const std::string& target, api::Json body, CreateRequest, JobDone prepared) override {
    const auto job = std::make_shared<FakeJob>();
    job->now.phase = Phase::stored;
    job->answer = {{"method", "POST"},          {"target", target}, {"body", std::move(body)},
                   {"big", 861309876543210987}, {"none", nullptr},  {"list", api::Json::array()}};
    options.queue->post([prepared, job] { prepared(std::shared_ptr<Job>(job)); });
  }
  api::Json answer(const std::shared_ptr<Job>& job) const override { return job->answer; }
  void ask(Question, std::vector<std::shared_ptr<MediaSource>>, std::weak_ptr<void>,
           AnswerDone done, std::shared_ptr<void>) override {
    options.queue->post([done] { done(Question{.answer = 1}); });
  }
  void answer_question(std::int64_t, int, std::function<void(Status)>) override {}
  void get(const std::string& target, std::function<void(Result<api::Json>)> done) override {
    const api::Json answer = {{"method", "GET"}, {"target", target}};
    options.queue->post([done, answer] { done(answer); });
  }
  void materialize(std::shared_ptr<MediaSource> source, TextDone done) override {
    const std::string path = source->path.empty() ? "/store/made.png" : source->path;
    options.queue->post([done, path] { done(path); });
  }
  void bytes(std::shared_ptr<MediaSource> source, TextDone done) override {
    materialize(std::move(source), std::move(done));
  }
  void save(std::shared_ptr<MediaSource> source, const std::string& path, TextDone done) override {
    saved.push_back(source);
    options.queue->post([done, path] { done(path); });
  }
  void concat(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
              api::Json written, TextDone done) override {
    joined = std::move(parts);
    joined_options = std::move(written);
    options.queue->post([done, out] { done(out); });
  }
  void timeline(std::vector<std::shared_ptr<MediaSource>> parts, const std::string& out,
                api::Json written, TextDone done) override {
    concat(std::move(parts), out, std::move(written), std::move(done));
  }
  void probe(std::shared_ptr<MediaSource>, std::function<void(Result<api::Json>)> done) override {
    options.queue->post([done] { done(api::Json{{"duration", 5.0}, {"width", 1280}}); });
  }
  void read(const std::string&, TextDone done) override {
    options.queue->post([done] { done(std::string("a,b\n1,")); });
  }
  std::size_t pending() const override { return 0; }
  std::vector<std::shared_ptr<Job>> jobs() const override { return {made.begin(), made.end()}; }
  std::vector<std::shared_ptr<Job>> changes(std::uint64_t&, std::size_t) const override {
    return jobs();
  }

  void succeed(FakeJob& job, Millis finished_at = 0) {
    job.now.phase = Phase::stored;
    job.now.state = "succeeded";
    job.now.file = "/store/" + job.now.task_id + ".mp4";
    job.now.finished_at = finished_at ? finished_at : options.queue->clock().now();
    job.now.videos = {{"v" + job.now.task_id, "https://h/" + job.now.task_id + ".mp4", "", 5}};
    tell(job);
  }
  void fail(FakeJob& job, const std::string& message) {
    job.now.phase = Phase::failed;
    job.now.state = "failed";
    job.now.error = std::make_shared<const Error>(
        Error{.kind = Kind::task_failed, .message = message, .job = job.now.handle});
    tell(job);
  }

  std::vector<std::shared_ptr<FakeJob>> made;
  std::vector<std::shared_ptr<MediaSource>> saved, joined;
  api::Json joined_options;
  QueryTarget queried;
  std::vector<api::CallbackRequest> callbacks;
  std::optional<Error> refuse;
  bool finish_at_once = false;
  int watches = 0;

 private:
  static bool has_reached(const FakeJob& job, Milestone milestone) {
    const bool ended = job.now.phase == Phase::stored || job.now.phase == Phase::failed;
    return milestone <= Milestone::accepted ? !job.now.task_id.empty() || ended : ended;
  }
  void tell(FakeJob& job) {
    for (Watch& watch : job.watches)
      if (has_reached(job, static_cast<Milestone>(watch.milestone)))
        options.queue->post(std::move(watch.tell));
    job.watches.clear();
  }
};

}  // namespace kling::engine
