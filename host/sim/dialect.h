// How the service words what it says: the four dialects in which the same task is answered, and
// the twists that faults give them. Values only; any thread, never blocks.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "sim/faults.h"
#include "sim/task.h"

namespace kling::sim {

/// The shape of one body: Kling's own; a proxy's wrapper with Kling's body one or two levels down;
/// Kling's new design.
enum class Shape { native, wrapped, nested, fresh };

/// A mix of shapes as one service has it.
struct Dialect {
  std::string name;
  const char* doc;
  Shape create, query, omni_query;
  bool proxy_errors;      ///< errors as new-api words them; the codes are lost
  const char* ids;        ///< "" Kling's, "task": task_…
  const char* image_ids;  ///< the same for image2video; "proxy": longer snowflakes
};

const std::vector<Dialect>& dialects();
/// Null when there is none of that name.
const Dialect* find_dialect(const std::string& name);

struct Answer {
  int status = 200;
  std::string body;
  std::string type = "application/json; charset=utf-8";  // with a charset it is not compressed
  const char* header = nullptr;
  std::string header_value;
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

Json task_data(const View& view);  ///< Kling's own object, without code and message
Answer create_answer(const Dialect& dialect, const View& view);
Answer query_answer(const Dialect& dialect, const View& view);
Answer error_answer(const Dialect& dialect, const Refusal& refusal, const std::string& request_id);
Answer json_answer(const Json& body, int status = 200);

}  // namespace kling::sim
