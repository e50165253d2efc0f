// How the service words what it says: the dialects in which the same task is answered, and the
// twists that faults give them. Values only; any thread, never blocks.
#pragma once

#include "sim/faults.h"
#include "sim/store.h"

namespace kling::sim {

/// The shape of one body: Kling's own; a proxy's wrapper with Kling's body one or two levels down;
/// Kling's new design.
enum class Shape { native, wrapped, nested, fresh };

/// How one endpoint answers; or, with `mix`, how each of them does.
struct Dialect {
  const char* name;
  const char* doc;
  Shape create = Shape::native, query = Shape::native;
  Ids ids = Ids::kling;
  bool relayed = false;       ///< passed on by a proxy: "success", and its own request ids
  bool proxy_errors = false;  ///< errors as new-api words them; the codes are lost
  const char* mix = nullptr;
};

const std::vector<Dialect>& dialects();

/// Which dialect each endpoint speaks.
class Mix {
 public:
  /// Reads "native", or "native,omni=wrapped": later words change what earlier ones said. Errors
  /// name the dialects there are.
  static Result<Mix> read(const std::string& words);
  /// That of the endpoint; of any other path, that of the first word.
  const Dialect& of(const std::string& kind) const;

 private:
  std::map<std::string, const Dialect*> by_kind_;  // "" is the first word's
};

struct Answer {
  int status = 200;
  std::string body;
  std::string type = "application/json; charset=utf-8";  // with a charset it is not compressed
  const char* header = nullptr;
  const char* header_value = nullptr;
  std::string file;  ///< when set, its content is the body
};

/// Everything a body tells of a task.
struct View {
  const Task& task;
  Millis now;
  std::string url;  ///< the clip's
  std::string request_id;
  const Faults& faults;
};

Answer json_answer(const Json& body, int status = 200);
Answer create_answer(const Dialect& dialect, const View& view);
Answer query_answer(const Dialect& dialect, const View& view);
Answer error_answer(const Dialect& dialect, const Refusal& refusal, const std::string& request_id);
/// A list of tasks: each as a query answers it, without what is around it.
Json list_item(const Dialect& dialect, const View& view);
/// What a callback tells. It comes from Kling itself, whatever proxy is asked.
Json callback_body(const Dialect& dialect, const View& view);

}  // namespace kling::sim
