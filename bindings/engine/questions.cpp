// Questions for people: recorded before anybody sees them, answered by whoever comes first.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include "api/text.h"
#include "base/digest.h"
#include "base/terminal.h"
#include "engine/inside.h"

namespace kling::engine {
namespace {

constexpr double kLookForAnswers = 300;  // real ms between two looks: others answer, too
constexpr std::size_t kWidest = 2000;

/// A path as it is typed here.
std::string from_here(const std::string& path) {
  std::error_code unknown;
  const std::string here = std::filesystem::current_path(unknown).string() + "/";
  return path.substr(path.starts_with(here) ? here.size() : 0);
}

std::string label(const api::Json& choice) {
  if (choice.is_string()) return choice.get<std::string>();
  const std::string text = choice.value("name", "");
  for (const char* field : {"path", "handle"})
    if (const std::string more = choice.value(field, "");
        !more.empty() && (text.empty() || more.find("kling-plan-") == more.npos))
      return text + (text.empty() ? "" : ", ") + from_here(more);
  return text;
}

/// The choices of which one name is `text`.
std::vector<int> called(const Question& question, const std::string& text) {
  const std::string word = api::lower(text);
  std::vector<int> found;
  for (int i = 0; question.kind != "approve" && !word.empty() && i < answers(question); ++i) {
    api::Json names = question.choices[std::size_t(i)];
    if (names.is_object()) {
      names["typed"] = from_here(names.value("path", ""));
      names["file"] = std::filesystem::path(names.value("path", "")).filename().string();
    }
    if (std::any_of(names.begin(), names.end(), [&](const api::Json& name) {
          return api::lower(name.get<std::string>()) == word;
        }))
      found.push_back(i + 1);
  }
  return found;
}

/// The number of a choice, after which points may stand; 0: none.
int numbered(const Question& question, const std::string& text) {
  int number = 0;
  const auto* const end = text.data() + text.find_last_not_of('.') + 1;
  const auto [at, failed] = std::from_chars(text.data(), end, number);
  const bool good = failed == std::errc() && at == end && number > 0 && number <= answers(question);
  return good ? number : 0;
}

}  // namespace

int answers(const Question& question) {
  return question.kind == "approve" ? 2 : static_cast<int>(question.choices.size());
}

int read_answer(const Question& question, const std::string& text) {
  const std::string word = api::lower(text);
  const bool approve = question.kind == "approve";
  if (approve && (word == "y" || word == "yes")) return 1;
  if (approve && (word == "n" || word == "no")) return 2;
  const int number = numbered(question, text);
  const std::vector<int> names = called(question, text);
  if (names.empty()) return number;
  return names.size() == 1 && (number == 0 || number == names[0]) ? names[0] : 0;
}

std::string no_answer(const Question& question, const std::string& text) {
  use_utf8();
  const std::string id = std::to_string(question.id);
  std::vector<int> meant = called(question, text);
  const int number = numbered(question, text);
  if (number != 0 && !meant.empty()) {
    std::string doubt = "\"" + fitted(text, kWidest) + "\" is the number of one choice and the " +
                        (question.kind == "ask" ? "text" : "name") + " of another: type ";
    std::erase(meant, number);
    meant.push_back(number);
    for (const int choice : meant) {
      std::string plain = std::to_string(choice);  // how it is named without doubt
      while (read_answer(question, plain) != choice) plain += '.';
      doubt += (choice == meant.front() ? "" : ", or ") + plain + " for " +
               choice_text(question, choice);
    }
    return doubt;
  }
  return "\"" + fitted(text, kWidest) + "\" is no answer to question " + id + ": type " +
         (question.kind == "approve"
              ? "yes or no"
              : "1 to " + std::to_string(answers(question)) +
                    (question.kind == "ask" ? ", or one of the texts" : ", or the name of one"));
}

std::string choice_text(const Question& question, int number) {
  if (question.kind == "approve") return number == 1 ? "yes" : "no";
  return "\"" + fitted(label(question.choices[std::size_t(number - 1)]), kWidest) + "\"";
}

std::string answer_prompt(const Question& question) {
  return "question " + std::to_string(question.id) + ", " +
         (question.kind == "approve" ? "yes or no: "
                                     : "1 to " + std::to_string(answers(question)) + ": ");
}

std::string answer_command(const Question& question) {
  return "kling jobs answer " + std::to_string(question.id) +
         (question.kind == "approve" ? " yes|no" : " CHOICE");
}

std::string to_text(const Question& question) {
  use_utf8();
  std::string text = question.where + " asks: " + fitted(question.text, kWidest);
  for (std::size_t i = 0; i < question.choices.size(); ++i)
    text += "\n  " + (question.kind == "approve" ? "-" : std::to_string(i + 1)) + "  " +
            fitted(label(question.choices[i]), kWidest);
  return text;
}

api::Json to_json(const Question& question) {
  api::Json json = {{"id", question.id},         {"kind", question.kind},
                    {"question", question.text}, {"choices", question.choices},
                    {"where", question.where},   {"script", question.run}};
  if (question.answer == 0) return json;
  json["answer"] = question.answer;
  if (question.at != 0) json["answered"] = static_cast<double>(question.at) / 1000;
  return json;
}

/// Finds or makes the question's row. Blocks on the disk.
Result<Question> Engine::record_question(Question question,
                                         const std::vector<std::shared_ptr<MediaSource>>& about,
                                         const std::weak_ptr<void>& owner) {
  std::string address = question.kind + "\n" + question.text;
  std::set<std::string> known;
  for (std::size_t i = 0; i < about.size(); ++i) {
    auto identity = identify(*about[i]);
    if (!identity) return identity.error();
    api::Json choice = api::Json::object();
    const auto& job = about[i]->job;
    const bool whole = job != nullptr && about[i]->recipe == MediaSource::Recipe::clip;
    if (!whole) {
      const auto path = materialize(*about[i]);
      if (!path) return path.error();
      choice["path"] = *path;
    }
    if (job) {
      std::lock_guard lock(job->mutex);
      const std::string which = about[i]->which();
      choice["name"] = job->step.name + (which.empty() ? "" : ", " + which);
      choice["handle"] = handle_of(*job);
      if (whole) choice["path"] = job->step.file;
    }
    if (!known.insert(*identity).second)
      return Error{.message = question.kind + ": item " + std::to_string(i + 1) +
                              " is the same clip as one before it: " + label(choice),
                   .hint = "give each clip once; another take of it is another clip"};
    address += "\n" + *identity;
    question.choices.push_back(std::move(choice));
  }
  if (about.empty()) address += "\n" + api::to_text(question.choices);
  question.run = options.run_name();
  auto book = ledger();
  if (!book) return book.error();
  std::lock_guard lock(questions_mutex);
  // One that nobody waits for any more, such as after kling.timeout, is the same one.
  int turn = 1;
  for (const auto& [digest, asked_by] : asked_again) {
    if (asked_by.address != address) continue;
    ++turn;
    const auto open = std::ranges::find(questions_, digest, &Question::digest);
    if (asked_by.owner.expired() && (open == questions_.end() || open->answer == 0))
      question.digest = digest;
  }
  // Else the n-th equal question of a task is that of the next run: one yes is one yes. Clips tell
  // questions apart by themselves.
  const bool alike = about.empty() && question.task != "main";
  const std::string asker = address + (alike ? "\ntask " + question.task : "");
  for (int nth = 1; question.digest.empty(); ++nth) {
    std::string digest =
        sha256_hex("question 1\n" + asker + (nth > 1 ? "\n" + std::to_string(nth) : ""));
    if (!asked_again.contains(digest)) question.digest = std::move(digest);
  }
  const bool anew =
      asked_again.insert_or_assign(question.digest, AskedAgain{address, owner}).second;
  auto row = (*book)->record_question(question, anew && (options.typed || options.ask_again));
  // A plan says no the second time, so that its loops end.
  if (row && options.take_first && row->answer == 0) row->answer = turn > 1 ? answers(*row) : 1;
  return row;
}

/// On the owner's thread, so that nobody is asked before the question is told.
void Engine::await_answer(const Question& question, Asker asker) {
  bool first = false;
  {
    std::lock_guard lock(questions_mutex);
    std::erase_if(questions_, [&](const Question& other) { return other.id == question.id; });
    questions_.push_back(question);
    first = askers.empty();
    if (question.answer == 0) askers.emplace_back(question.id, asker);
  }
  if (question.answer != 0) {
    if (options.take_first && question.at == 0)
      log("question", to_text(question) + "\na plan goes on as if the answer were " +
                          (question.kind == "approve" ? choice_text(question, question.answer)
                           : question.answer == 1     ? "the first"
                                                      : "the last"));
    return asker.tell(question);
  }
  const std::string choice = question.kind == "approve" ? " (1 yes, 2 no)" : "";
  log("question", to_text(question) + "\n  " +
                      (options.embedded ? "kling_host_answer(host, " + std::to_string(question.id) +
                                              ", CHOICE)" + choice
                                        : answer_command(question)));
  if (first) look_for_answers();
}

/// Again and again on a worker, while somebody waits for one.
void Engine::look_for_answers() {
  const Millis hour = 3'600'000;
  const double real = static_cast<double>(clock->real_millis_until(now() + hour));
  const auto delay = real < 1 ? Millis(kLookForAnswers) : Millis(kLookForAnswers * hour / real) + 1;
  pool.submit_at(now() + delay, Lane::light, [self = shared_from_this()] {
    if (!self->closing && self->take_answers()) self->look_for_answers();
  });
}

/// Tells those whose answer is in the ledger; false when nobody waits for another.
bool Engine::take_answers() {
  auto book = ledger();
  const auto rows = book ? (*book)->questions() : Result<std::vector<Question>>(book.error());
  std::lock_guard lock(questions_mutex);
  if (rows)
    for (const Question& row : *rows)
      for (Question& known : questions_)
        if (known.id == row.id) known.answer = row.answer, known.at = row.at;
  std::erase_if(askers, [&](auto& one) {
    const auto found = std::ranges::find(questions_, one.first, &Question::id);
    if (one.second.owner.expired() || found == questions_.end()) return true;
    if (found->answer != 0) queue->post([tell = one.second.tell, row = *found] { tell(row); });
    return found->answer != 0;
  });
  return !askers.empty();
}

/// Blocks on the disk.
Status Engine::answer(std::int64_t id, int choice) {
  auto book = ledger();
  if (!book) return book.error();
  if (Status kept = (*book)->answer(id, choice, now(), false); !kept) return kept;
  (void)take_answers();
  return Done{};
}

}  // namespace kling::engine
