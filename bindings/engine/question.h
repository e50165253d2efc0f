// A question that a script asks a person, and the answer. Plain data.
#pragma once

#include "api/endpoint.h"
#include "base/clock.h"

namespace kling::engine {

struct Question {
  std::int64_t id = 0;  ///< of the ledger; what people name it by
  std::string kind;     ///< "pick", "approve" or "ask"
  std::string text;
  /// What is chosen, or looked at: texts, and {"name", "path", "handle"} of clips.
  api::Json choices = api::Json::array();
  std::string where;  ///< script and line
  std::string task;   ///< its path: equal questions are counted task by task
  std::string run;    ///< script and take
  std::string digest;
  int answer =
      0;          ///< the number of the choice, from 1; 0: none yet. 1 and 2 of approve: yes and no
  Millis at = 0;  ///< when it was answered
  bool withdrawn = false;  ///< its script asks it no more; who still waits gets an answer
};

/// One that was asked in this run.
struct AskedAgain {
  std::string address;  ///< what is asked, by whichever task and however often
  std::weak_ptr<void> owner;
};

using AnswerDone = std::function<void(Result<Question>)>;
/// Who waits for an answer, for as long as the owner lives.
struct Asker {
  std::weak_ptr<void> owner;
  AnswerDone tell;
};

int answers(const Question& question);
/// The answer that a person means by `text`: its number ("2", or "2." where that is what another
/// is called), its text, or what its clip alone is called; 0: none of them, or in doubt.
int read_answer(const Question& question, const std::string& text);
/// What is said of a text that is none.
std::string no_answer(const Question& question, const std::string& text);
/// What the choice of this number is called.
std::string choice_text(const Question& question, int number);
/// What stands before the typed answer: "question 1, yes or no: ".
std::string answer_prompt(const Question& question);
/// What is typed elsewhere: "kling jobs answer 1 CHOICE".
std::string answer_command(const Question& question);
/// The question with its choices, a line each, fit for a terminal.
std::string to_text(const Question& question);
api::Json to_json(const Question& question);

}  // namespace kling::engine
