#include "cli/board.h"

#include "api/text.h"
#include "base/files.h"

namespace kling {
extern const std::string_view kViewStyleText, kViewScriptText;
}

namespace kling::cli {

namespace {

using nlohmann::json;
std::string type_of(const std::string& file) {
  const std::string ending = api::lower(std::filesystem::path(file).extension().string());
  if (ending == ".png" || ending == ".webp") return "image/" + ending.substr(1);
  return ending == ".jpg" || ending == ".jpeg" ? "image/jpeg" : "video/mp4";
}

constexpr std::chrono::milliseconds kPause{200};  // no page is told more often
constexpr std::chrono::seconds kHeartbeat{3};     // so that a page that is gone is noticed
constexpr std::chrono::seconds kLinger{10};
constexpr std::size_t kMostPages =
    3;  // a browser has six connections to a server, for all its tabs

}  // namespace

Board::~Board() {
  {
    std::lock_guard lock(mutex_);
    version_ += ended_ ? 0 : 1;
    ended_ = closing_ = true;
  }
  changed_.notify_all();
  server_.reset();
}

void Board::linger() {
  std::unique_lock lock(mutex_);
  ended_ = true;
  ++version_;
  changed_.notify_all();
  const auto until = std::chrono::steady_clock::now() + kLinger;
  while ((!pages_.empty() || awaited) && !interrupted() && std::chrono::steady_clock::now() < until)
    changed_.wait_for(lock, kPause);
}

void Board::tell_failure(const std::string& why) {
  std::lock_guard lock(mutex_);
  failures_.insert(why);
  ++version_;
  changed_.notify_all();
}

Status Board::listen() {
  auto server = net::serve("127.0.0.1:0", [this](const auto& request) { return answer(request); });
  if (!server) return server.error();
  std::lock_guard lock(mutex_);
  server_ = std::move(*server);
  host_ = "127.0.0.1:" + std::to_string(server_->port());
  address_ = "http://" + host_ + "/" + token_ + "/";
  return Done{};
}

void Board::update() {
  const auto engines = runtime_->engines();
  std::map<std::int64_t, json> news;
  json questions = json::array();
  std::string works;
  for (engine::Engine* engine : engines) {
    for (const engine::Work& work : engine->works())
      works += (works.empty() ? "" : ", ") + to_text(work);
    for (const auto& job : engine->changes(seen_[engine])) {
      const engine::JobSnapshot shot = engine->snapshot(job);
      if (shot.id == 0 || engine != engines.front()) continue;
      json& now = news[shot.id] = {{"state", shot.state}, {"waiting_for", shot.waiting_for}};
      if (shot.expected != 0) now["expected"] = static_cast<double>(shot.expected) / 1000;
    }
    // A client's own ledger has other numbers.
    if (engine->options.ledger_path == engines.front()->options.ledger_path)
      for (const engine::Question& question : engine->questions())
        questions.push_back({question.id, question.answer});
  }
  const std::string asked = questions.dump();
  std::lock_guard lock(mutex_);
  if (engines.empty() || (news.empty() && asked == questions_ && works == works_)) return;
  ledger_ = engines.front()->options.ledger_path;
  run_ = engines.front()->options.run_name();
  questions_ = asked;
  works_ = works;
  for (auto& [row, now] : news) live_[row] = std::move(now);
  ++version_;
  changed_.notify_all();
}

/// Only pages of ours, which know the token, from this machine under this name: a foreign page, or
/// a name that was made to lead here, gets nothing.
bool Board::is_ours(const net::ServerRequest& request) const {
  bool named = false, from_us = request.method == "GET" || request.method == "HEAD";
  for (const auto& [field, value] : request.headers) {
    const std::string name = api::lower(field);
    if (name == "host" && (value != host_ || std::exchange(named, true))) return false;
    if (name == "origin" && value != "http://" + host_) return false;
    from_us = from_us || name == "origin";
  }
  return named && from_us &&
         equal_secrets(request.target.substr(0, token_.size() + 2), "/" + token_ + "/");
}

net::ServerAnswer Board::answer(const net::ServerRequest& request) {
  if (!is_ours(request)) return {.status = 404};
  const std::string what = request.target.substr(token_.size() + 2);
  if (request.method == "POST" && what == "answer") return take_answer(request.body);
  if (request.method != "GET" && request.method != "HEAD") return {.status = 404};
  if (what.empty())
    return {.status = 200, .type = "text/html; charset=utf-8", .body = view_page(true)};
  if (what == "view.css")
    return {.status = 200, .type = "text/css", .body = std::string(kViewStyleText)};
  if (what == "view.js")
    return {.status = 200, .type = "text/javascript", .body = std::string(kViewScriptText)};
  std::lock_guard lock(mutex_);
  if (what == "events") {
    awaited = false;
    const std::uint64_t number = *pages_.insert(++last_page_).first;
    changed_.notify_all();
    const std::shared_ptr<void> page(this, [number](Board* board) {
      std::lock_guard gone(board->mutex_);
      board->pages_.erase(number);
      board->changed_.notify_all();
    });
    return {.status = 200,
            .type = "text/event-stream",
            .next = [this, page, number, seen = std::uint64_t{0}]() mutable {
              return next_event(number, seen);
            }};
  }
  const auto file = files_.find(what);
  if (file == files_.end()) return {.status = 404};
  return {.status = 200, .type = type_of(file->second), .file = file->second};
}

/// Blocks until there is something to tell; empty: nothing more.
std::string Board::next_event(std::uint64_t page, std::uint64_t& seen) {
  bool ended = false;
  {
    std::unique_lock lock(mutex_);
    if (!pages_.contains(page)) return "";
    if (seen != 0 && !ended_) changed_.wait_for(lock, kPause, [&] { return ended_; });
    const auto gives_way = [&] {
      return !ended_ && pages_.size() > kMostPages && page == *pages_.begin();
    };
    const auto news = [&] { return version_ != seen || closing_ || gives_way(); };
    if (!changed_.wait_for(lock, ended_ ? kPause : kHeartbeat, news)) return ": still here\n\n";
    if (gives_way()) return pages_.erase(page), "event: elsewhere\ndata: -\n\n";
    if (version_ == seen) return "";
    ended = ended_;
    seen = version_;
  }
  json told = data();
  if (ended) told["ended"] = true;
  return "data: " + told.dump(-1, ' ', true, json::error_handler_t::replace) + "\n\n";
}

json Board::data() {
  std::unique_lock lock(mutex_);
  const std::string path = ledger_, again = again_;
  const ViewFilter filter{.run = run_};
  const auto live = live_;
  const json asked = json::parse(questions_);
  const std::string works = works_;
  lock.unlock();
  const auto book =
      path.empty() ? Result(std::shared_ptr<engine::Ledger>()) : engine::open_ledger(path);
  auto read = book ? view_data(book->get(), filter) : book.error();
  json told = read ? std::move(*read) : *view_data(nullptr, filter);
  told["title"] = title_;
  told["again"] = again;
  told["works"] = works;
  told["now"] = static_cast<double>(queue_->clock().now()) / 1000;
  json waiting = json::array();  // what an earlier run asked is asked no more
  for (json& question : told["questions"])
    for (const json& one : asked)
      if (one[0] == question["id"]) waiting.push_back(question);
  told["questions"] = std::move(waiting);
  lock.lock();
  told["failures"] = failures_;
  for (const char* list : {"cards", "films"})
    for (json& item : told[list]) {
      if (item.contains("row"))
        if (const auto now = live.find(item["row"]); now != live.end()) item.update(now->second);
      const std::string file = item.value("path", "");
      item.erase("path");
      if (file.empty()) continue;
      item["place"] = sha256_hex(file).substr(0, 16);
      item["clip"] = address_of(file);
    }
  for (json& question : told["questions"])
    for (json& choice : question["choices"])
      if (choice.is_object() && choice.contains("path")) {
        const std::string file = choice["path"];
        choice["file"] = std::filesystem::path(file).filename().string();
        choice["clip"] = address_of(file);
      }
  return told;
}

/// Under which the page gets it; one that is made anew is another to the page.
std::string Board::address_of(const std::string& file) {
  std::error_code gone;
  const auto made = std::filesystem::last_write_time(file, gone).time_since_epoch().count();
  const std::string name = "clip/" + sha256_hex(file + "\n" + std::to_string(made)).substr(0, 16);
  files_[name] = file;
  return name;
}

/// Into the ledger, where the run finds it: the first answer counts.
net::ServerAnswer Board::take_answer(const std::string& body) {
  json given = json::parse(body, nullptr, false);  // not const: what is missing is null
  if (!given.is_object() || !given["id"].is_number_integer() ||
      !given["choice"].is_number_integer())
    return {.status = 400};
  std::unique_lock lock(mutex_);
  const std::string path = ledger_;
  lock.unlock();
  if (path.empty()) return {.status = 404};
  const auto book = engine::open_ledger(path);
  const Status kept =
      book ? (*book)->answer(given["id"], given["choice"], queue_->clock().now(), false)
           : book.error();
  if (kept) return {.status = 204};
  return {.status = 409, .type = "text/plain; charset=utf-8", .body = kept.error().message};
}

void BoardOptions::add_options(CLI::App& app) {
  auto* const shown =
      app.add_flag("--board", on, "show progress as a web page, on this machine only");
  app.add_flag("--open", open_it, "show that page in the browser")->needs(shown);
}

Status BoardOptions::start(const Voice& voice, const std::string& title,
                           const std::shared_ptr<engine::CompletionQueue>& queue,
                           std::unique_ptr<Board>& board) const {
  if (!on) return Done{};
  board = std::make_unique<Board>(title, queue);
  if (Status listening = board->listen(); !listening) return listening;
  if (voice.json)
    Voice::line({{"board", board->address()}});
  else
    std::fprintf(stderr, "kling: board: %s\n", board->address().c_str());
  board->awaited = open_it;
  if (open_it && !open_in_browser(voice, board->address())) board->awaited = false;
  return Done{};
}

}  // namespace kling::cli
